# SPDX-License-Identifier: Apache-2.0
"""A program in a real terminal (tmux): typed at, and looked at, as a person would."""

import contextlib
import itertools
import os
import subprocess
from pathlib import Path

from mounts import users_of
from support import wait_until

_numbers = itertools.count(1)
ROWS, COLUMNS = 24, 100


class Terminal:
    """One program on a terminal of its own; a context manager that ends it."""

    def __init__(self, command, directory, home):
        self._directory = directory
        self._socket = f"jsfs-test-{os.getpid()}-{next(_numbers)}"
        self._environment = {"HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8",
                             "PATH": os.environ["PATH"], "TMUX_TMPDIR": str(home)}
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS),
                   "-c", str(directory), *map(str, command), ";",
                   "set-option", "-g", "escape-time", "0", ";",
                   "set-option", "-g", "exit-empty", "off")
        pids = self._tmux("display-message", "-p", "#{pane_pid} #{pid}").stdout.split()
        self._program, self._server = map(int, pids)

    def _tmux(self, *arguments, check=True):
        return subprocess.run(["tmux", "-L", self._socket, *arguments], env=self._environment,
                              capture_output=True, text=True, timeout=30, check=check)

    def press(self, *keys):
        """Keys by tmux's names: "Enter", "Escape", "C-x"."""
        self._tmux("send-keys", *keys)

    def type(self, text):
        self._tmux("send-keys", "-l", text)

    def screen(self):
        return self._tmux("capture-pane", "-p", check=False).stdout

    def wait_for(self, text):
        """Until the text is on the screen."""
        wait_until(lambda: text in self.screen(), f"{text!r} is on the screen:\n{self.screen()}")

    def wait_closed(self):
        """Until the program has ended, and what it left in the background (Emacs: compilers)."""
        wait_until(lambda: not is_running(self._program), "the program has ended")
        wait_until(lambda: not users_of(self._directory), "nobody is in its directory")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._tmux("kill-server", check=False)
        wait_until(lambda: not (is_running(self._program) or is_running(self._server)),
                   "the terminal has gone")


def is_running(pid):
    """Until each thread has given back what it had open; zombies have."""
    states = []
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.append(path.read_text(errors="replace").rpartition(")")[2].split()[0])
    return any(state not in "ZX" for state in states)
