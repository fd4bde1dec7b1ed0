# SPDX-License-Identifier: Apache-2.0
"""A real jsfs mount: started, ended, killed; its log and its sanitizers' reports."""

import contextlib
import os
import select
import subprocess
import time
from pathlib import Path

from support import run, wait_until

UNMOUNT = ("umount",) if os.getuid() == 0 else ("fusermount3", "-u")
START = 30.0  # [s] to become a mount
END = 60.0  # [s] to go after the unmount; a sanitizer looks for leaks then

REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
           "runtime error:", "AddressSanitizer:DEADLYSIGNAL")


class Mount:
    """One jsfs in the foreground. Behaves like the path of its mount point: mount / "kv".

    user: a user id to run as; only that user may look into the mount, and `identity` is what
    subprocess takes to be that user.
    """

    def __init__(self, binary, work, arguments, environment=None, user=None):
        self.path = work / "mnt"
        self.work = work
        self._log_path = work / "log"
        self._ended = False
        self.path.mkdir(exist_ok=True)
        if user is not None:
            os.chown(self.path, user, user)
        self.environment = environment_of(work, environment)
        self.identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        with open(self._log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(binary), "-f", *arguments, str(self.path)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=self.environment, cwd=work, **self.identity)

    @property
    def pid(self):
        return self.process.pid

    def __truediv__(self, name):
        return self.path / name

    def kv(self, bucket, *names):
        """The path of a bucket, or of a name in it."""
        return self.path.joinpath("kv", bucket, *names)

    def obj(self, bucket, *names):
        return self.path.joinpath("obj", bucket, *names)

    def log(self):
        return self._log_path.read_text(errors="replace")

    def wait_mounted(self):
        wait_until(self._is_up, "the mount answers", START)
        return self

    def _is_up(self):
        """Not when the mount is there: jsfs asks it for an answer then, which keeps it busy."""
        code = self.process.poll()
        assert code is None, f"jsfs ended with {code}: {self.log()[-2000:]}"
        return is_mounted(self.path) and "mounted source=" in self.log()

    def unmount(self, command=UNMOUNT):
        """Unmount as a user does; the exit code of jsfs."""
        done = run(*command, self.path, check=False)
        assert done.returncode == 0, f"{done.stderr}in use by: {users_of(self.path)}"
        return self.wait_gone()

    def signal(self, number):
        """End it by a signal; the exit code of jsfs."""
        self.process.send_signal(number)
        return self.wait_gone()

    def crash(self):
        """SIGKILL; the dead mount stays."""
        self.process.kill()
        self.process.wait()
        self._ended = True

    def kill(self):
        """SIGKILL, and take the dead mount away."""
        self.crash()
        take_away(self.path)

    def wait_gone(self):
        code = self.process.wait(END)
        self._ended = True
        wait_until(lambda: not is_mounted(self.path), "nothing is mounted any more")
        return code

    def finish(self):
        """After a test: what is wrong with how it ended, or None."""
        complaint = None
        if not self._ended:
            try:
                code = self.unmount()
                if code != 0:
                    complaint = f"jsfs ended with {code}"
            except (AssertionError, subprocess.TimeoutExpired) as error:
                complaint = f"it did not unmount: {error}"
                self.kill()
        take_away(self.path)
        return complaint or self.reports()

    def reports(self):
        """The first sanitizer report of this mount, or None."""
        if any(mark in self.log() for mark in REPORTS):
            return f"a sanitizer report in the log:\n{self.log()[-4000:]}"
        return reports_in(self.work)

    def memory_peak(self):
        """The most memory it ever held [bytes]."""
        return status_field(self.pid, "VmHWM") * 1024


def users_of(path):
    """What processes have open, or stand in, below a path: (process, what, where)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for link in (process / "cwd", *(process / "fd").iterdir()):
                if os.readlink(link).startswith(str(path)):
                    found.append(((process / "stat").read_text(), str(link), os.readlink(link)))
    return found


def environment_of(work, changes=None):
    """The environment of a jsfs under test: nothing of the user's own settings.

    changes: name -> value, None takes the name away.
    """
    report = f"log_path={work}/sanitizer:print_stacktrace=1"
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("NATS_", "JSFS_", "XDG_"))}
    kept.update(HOME=str(work), XDG_DATA_HOME=f"{work}/data", XDG_CONFIG_HOME=f"{work}/config")
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        kept[name] = ":".join(filter(None, [os.environ.get(name), report]))
    for name, value in (changes or {}).items():
        kept.pop(name, None)
        if value is not None:
            kept[name] = value
    return kept


def reports_in(work):
    """The first sanitizer report that a program with this folder's environment left, or None."""
    for path in work.glob("sanitizer.*"):
        return f"a sanitizer report in {path}:\n{path.read_text(errors='replace')[-4000:]}"
    return None


def is_mounted(path):
    """Whether a mount point is one, without asking the filesystem."""
    escaped = str(path).replace("\\", "\\134").replace(" ", "\\040")
    with open("/proc/self/mountinfo") as table:
        return any(line.split()[4] == escaped for line in table)


def take_away(path):
    """Unmount by all means, without asking the filesystem."""
    for _ in range(10):
        if not is_mounted(path):
            return
        command = ["umount", "-l"] if os.getuid() == 0 else ["fusermount3", "-uz"]
        subprocess.run([*command, str(path)], capture_output=True)


def status_field(pid, field):
    """A number of /proc/PID/status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def processes(matches):
    """The ids of processes whose command line (a list of words) matches."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0] and matches(words):
                    found.append(int(entry.name))
    return found


def child_of(parent, program):
    """The id of the one child process that runs a program."""
    found = []
    for pid in processes(lambda words: os.path.basename(words[0]) == program):
        with contextlib.suppress(OSError):
            if status_field(pid, "PPid") == parent:
                found.append(pid)
    assert len(found) == 1, f"{program} below {parent}: {found}"
    return found[0]


def wait_process_gone(pid, timeout=END):
    """Until a process that is not our child has ended; its zombie counts as ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with open(descriptor) as handle:
        ready, _, _ = select.select([handle], [], [], timeout)
    assert ready, f"process {pid} has not ended within {timeout} s"


def time_to_end(process, number):
    """Send a child of ours a signal; how long it took to go [s]."""
    start = time.monotonic()
    process.send_signal(number)
    process.wait(END)
    return time.monotonic() - start
