# SPDX-License-Identifier: Apache-2.0
"""A server that is away: restarted, stopped, or frozen. Nothing hangs, nothing is lost."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mounts import time_to_end
from nats_stores import KeyValues, Objects
from support import PATIENCE, content, noise, refused, wait_until, write_file

BACK = 60.0  # [s] for a reconnect, with every pause that a client makes
FREE = 20.0  # [s]; a process must be freed at once, but not freed it would wait for a minute
AWAY = (errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EIO)


@pytest.fixture
def home(own_server):
    """A server of its own with a bucket `keys`, a store `store` and a few names in them."""
    connection = own_server.connect()
    keys, store = KeyValues(connection), Objects(connection)
    keys.create("keys", history=5)
    keys.put_all("keys", [("known", b"known"), ("unread", b"never read"), ("dir/deep", b"deep")])
    store.create("store")
    store.put("store", "big", noise(24 << 20))
    connection.close()
    return own_server


@pytest.fixture
def again(home):
    """again() -> the key values of the server as it is now, by a new connection."""
    with contextlib.ExitStack() as open_ones:
        def connect():
            return KeyValues(open_ones.enter_context(contextlib.closing(home.connect())))

        yield connect


@pytest.fixture
def mnt(mount, home):
    """A mount of that server with everything known and one key read; timeouts are short."""
    mnt = mount("-o", "timeout=3s", server=home)
    known = mnt.kv("keys", "known")
    wait_until(lambda: names(mnt.kv("keys")) == ["dir", "known", "unread"], "the keys are known")
    wait_until(lambda: told(content, known) == b"known", "the key is read")
    wait_until(lambda: names(mnt.obj("store")) == ["big"], "the object is known")
    return mnt


def told(ask, *arguments):
    """What a call tells, or None while it is refused because the server is not there yet."""
    try:
        return ask(*arguments)
    except OSError as error:
        assert error.errno in AWAY, error
        return None


def names(directory):
    """The sorted names in a directory, or None as for told."""
    found = told(os.listdir, directory)
    return None if found is None else sorted(found)


# -- restarts ---------------------------------------------------------------------------


def test_changes_after_a_restart_are_seen(home, mnt, again):
    home.restart()
    keys = again()
    keys.put("keys", "known", b"changed")
    keys.put("keys", "added", b"new")
    keys.delete("keys", "unread")
    known, added = mnt.kv("keys", "known"), mnt.kv("keys", "added")
    wait_until(lambda: told(content, known) == b"changed", "the change is seen", BACK)
    wait_until(lambda: names(mnt.kv("keys")) == ["added", "dir", "known"], "all is listed", BACK)
    wait_until(lambda: told(content, added) == b"new", "the new key is read", BACK)
    keys.put("keys", "known", b"live")
    wait_until(lambda: told(content, known) == b"live", "the watch is live again", BACK)


def test_removals_that_left_no_trace_are_seen_after_a_restart(home, mnt, again):
    home.restart()
    again().wire.stream_purge("KV_keys", "$KV.keys.unread")
    wait_until(lambda: names(mnt.kv("keys")) == ["dir", "known"], "the purged key is gone", BACK)


def test_writing_works_again_after_a_restart(home, mnt, again):
    home.restart()

    def written():
        try:
            write_file(mnt.kv("keys", "known"), b"ours")
            return True
        except OSError:
            return False

    wait_until(written, "a write is accepted", BACK)
    assert again().get("keys", "known") == b"ours"


def test_a_bucket_made_while_it_was_away_appears(home, mnt, again):
    home.restart()
    again().create("later")
    wait_until(lambda: names(mnt / "kv") == ["keys", "later"], "it is listed", BACK)


# -- stopped ----------------------------------------------------------------------------


def test_known_names_stay_while_the_server_is_stopped(home, mnt):
    home.stop()
    assert sorted(os.listdir(mnt.kv("keys"))) == ["dir", "known", "unread"]
    assert os.stat(mnt.kv("keys", "unread")).st_size == 10
    assert os.listdir(mnt.kv("keys", "dir")) == ["deep"]


def test_what_needs_a_stopped_server_fails_and_does_not_hang(home, mnt):
    home.stop()
    with refused(*AWAY):
        mnt.kv("keys", "unread").read_bytes()
    with refused(*AWAY):
        write_file(mnt.kv("keys", "known"), b"lost?")
    with refused(*AWAY):
        os.unlink(mnt.kv("keys", "known"))


def test_the_keys_of_a_history_stay_while_the_server_is_stopped(home, mnt):
    home.stop()
    history = mnt.kv("keys", ".jsfs", "history")
    assert sorted(os.listdir(history)) == ["dir", "known", "unread"]
    with refused(*AWAY):
        os.listdir(history / "known")
    with refused(*AWAY):
        os.stat(history / "known" / "@1")
    with refused(*AWAY):
        os.rmdir(history / "known")
    with refused(*AWAY):
        os.getxattr(mnt.kv("keys"), "user.nats.values")
    assert os.getxattr(mnt.kv("keys", "known"), "user.nats.key") == b"known"


def test_it_unmounts_while_the_server_is_stopped(home, mnt):
    home.stop()
    assert mnt.unmount() == 0


def test_a_failed_close_is_told_and_a_later_save_succeeds(home, mnt, again):
    home.stop()
    with refused(*AWAY):
        write_file(mnt.kv("keys", "new"), b"first try")
    home.start()

    def saved():
        try:
            write_file(mnt.kv("keys", "new"), b"second try")
            return True
        except OSError:
            return False

    wait_until(saved, "a save succeeds", BACK)
    assert again().get("keys", "new") == b"second try"


# -- frozen -----------------------------------------------------------------------------


@pytest.fixture
def patient(mount, home):
    """As mnt, but it waits for the server for a minute."""
    mnt = mount("-o", "timeout=60s", server=home)
    assert sorted(os.listdir(mnt.kv("keys"))) == ["dir", "known", "unread"]
    assert mnt.kv("keys", "known").read_bytes() == b"known"
    assert os.listdir(mnt.obj("store")) == ["big"]
    return mnt


@contextlib.contextmanager
def stuck(script, path):
    """A Python program (given the path as argv[1]) that waits inside the mount."""
    program = subprocess.Popen(
        [sys.executable, "-c", LIKE_CAT + script, str(path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert program.stdout.readline() == b"ready\n"
        wait_until(lambda: waits_in_fuse(program.pid), "the program waits in the mount")
        yield program
    finally:
        program.kill()
        program.stdout.close()
        program.wait(PATIENCE)


def waits_in_fuse(pid):
    """Whether the kernel has it waiting for an answer, or for a page, of a filesystem."""
    place = Path(f"/proc/{pid}/wchan").read_text()
    return any(mark in place for mark in ("fuse", "request_wait", "folio_wait"))


# Python's own handler would keep the kernel waiting for a page that is being read ahead; only a
# deadly signal ends that wait (folio_wait_bit_common is killable, not interruptible).
LIKE_CAT = "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\n"

STUCK = {
    "read a value": ("keys/unread", "kv",
                     "print('ready', flush=True)\nopen(sys.argv[1], 'rb').read()"),
    "read an object": ("store/big", "obj",
                       "print('ready', flush=True)\nopen(sys.argv[1], 'rb').read()"),
    "close a value": ("keys/known", "kv",
                      "file = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)\n"
                      "os.write(file, b'written')\nprint('ready', flush=True)\nos.close(file)"),
    "close an object": ("store/new", "obj",
                        "file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)\n"
                        "os.write(file, b'written')\nprint('ready', flush=True)\nos.close(file)"),
    "remove a key": ("keys/known", "kv", "print('ready', flush=True)\nos.unlink(sys.argv[1])"),
    "list a history": ("keys/.jsfs/history/known", "kv",
                       "print('ready', flush=True)\nos.listdir(sys.argv[1])"),
    "purge a key": ("keys/.jsfs/history/known", "kv",
                    "print('ready', flush=True)\nos.rmdir(sys.argv[1])"),
    "read a bucket's status": ("keys", "kv", "print('ready', flush=True)\n"
                               "os.getxattr(sys.argv[1], 'user.nats.values')"),
    "make a bucket": ("fresh", "kv", "print('ready', flush=True)\nos.mkdir(sys.argv[1])"),
}


def test_known_names_are_answered_while_the_server_is_frozen(home, patient):
    home.freeze()
    assert os.stat(patient.kv("keys", "unread")).st_size == 10
    assert sorted(os.listdir(patient.kv("keys"))) == ["dir", "known", "unread"]
    assert patient.kv("keys", "known").read_bytes() == b"known"
    with refused(errno.ENOENT):
        os.stat(patient.kv("keys", "missing"))
    home.thaw()  # umount asks for the statfs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "sigkill"])
@pytest.mark.parametrize("what", STUCK)
def test_a_signal_frees_who_waits_for_a_frozen_server(home, patient, what, number):
    name, kind, script = STUCK[what]
    home.freeze()
    with stuck(script, patient / kind / name) as program:
        assert time_to_end(program, number) < FREE
    home.thaw()


def test_an_interrupted_close_still_reaches_the_server(home, patient, again):
    name, kind, script = STUCK["close a value"]
    home.freeze()
    with stuck(script, patient / kind / name) as program:
        time_to_end(program, signal.SIGKILL)
    home.thaw()
    keys = again()
    wait_until(lambda: keys.get("keys", "known") == b"written", "the value is stored")


def test_a_waiting_read_goes_on_after_the_thaw(home, patient):
    home.freeze()
    show = "print('ready', flush=True)\nsys.stdout.write(open(sys.argv[1]).read())"
    with stuck(show, patient.kv("keys", "unread")) as reader:
        home.thaw()
        assert reader.stdout.read() == b"never read"
        assert reader.wait(PATIENCE) == 0


def test_a_thawed_server_is_live_again(home, patient, again):
    home.freeze()
    assert os.stat(patient.kv("keys", "known")).st_size == 5
    home.thaw()
    again().put("keys", "known", b"changed")
    known = patient.kv("keys", "known")
    wait_until(lambda: told(content, known) == b"changed", "it is live", BACK)


def test_a_frozen_server_does_not_stop_the_unmount(home, mnt):
    home.freeze()
    assert mnt.unmount() == 0
