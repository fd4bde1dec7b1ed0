# SPDX-License-Identifier: Apache-2.0
"""Real editors on keys: what a save publishes, and what is never published."""

import os

import pytest

from support import run, shell, wait_until
from terminal import Terminal


class Published:
    """Every message that is published to a bucket from now on, whoever keeps it or not."""

    def __init__(self, wire, bucket):
        self._prefix = f"$KV.{bucket}."
        self._wire = wire
        self._subscription = wire.subscribe(self._prefix + ">")
        self._operations = []
        wire.flush()

    def operations(self):
        """(key, "PUT" | "DEL" | "PURGE") in order, so far."""
        self._wire.flush()
        for message in self._subscription.waiting():
            self._operations.append((message.subject.removeprefix(self._prefix),
                                     message.header("KV-Operation") or "PUT"))
        return list(self._operations)

    def close(self):
        self._subscription.close()


@pytest.fixture
def published(wire):
    """published(bucket) -> a Published."""
    made = []

    def make(bucket):
        made.append(Published(wire, bucket))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def edit(mnt, tmp_path):
    """edit(program, bucket, key, session): runs the program on the key in a terminal."""

    def start(program, bucket, key, session):
        directory = mnt.kv(bucket)
        with Terminal([*program, key], directory, tmp_path) as terminal:
            session(terminal)
            terminal.wait_closed()

    return start


def vim(*commands):
    """A session that adds a line at the end, runs ex commands and has the last one leave."""

    def session(terminal):
        terminal.wait_for("first")
        terminal.type("Gosecond")
        terminal.press("Escape")
        for command in commands[:-1]:
            terminal.type(command)
            terminal.press("Enter")
            terminal.wait_for("written")
        terminal.type(commands[-1])
        terminal.press("Enter")

    return session


def nano(terminal):
    terminal.wait_for("first")
    terminal.press("C-End")
    terminal.type("second")
    terminal.press("C-o")
    terminal.wait_for("Name to Write")
    terminal.press("Enter")
    terminal.wait_for("Wrote")
    terminal.press("C-x")


def emacs(terminal):
    terminal.wait_for("first")
    terminal.press("M->")
    terminal.type("second")
    terminal.press("Enter", "C-x", "C-s")
    terminal.wait_for("Wrote")
    terminal.press("C-x", "C-c")


# As for files outside of /tmp, where these tests mount: editors make no backups there.
VIM = ["vim", "-i", "NONE", "-c", "set backupskip="]
EMACS = ["emacs", "-nw", "-Q", "--eval", "(setq backup-enable-predicate (lambda (name) t))"]
EDITORS = {
    "vim": (VIM, vim(":wq")),
    "vim, forced": (VIM, vim(":w!", ":q")),
    "vim, copying": ([*VIM, "-c", "set backupcopy=yes"], vim(":wq")),
    "vim, renaming": ([*VIM, "-c", "set backupcopy=no"], vim(":wq")),
    "vim, with a backup": ([*VIM, "-c", "set backup backupcopy=no"], vim(":wq")),
    "vim, without swap file": ([*VIM, "-n"], vim(":x")),
    "nano": (["nano", "--ignorercfiles"], nano),
    "nano, with a backup and a lock": (["nano", "--ignorercfiles", "--backup", "--locking"], nano),
    "emacs": (EMACS, emacs),
    "emacs, copying": ([*EMACS, "--eval", "(setq backup-by-copying t)"], emacs),
    "emacs, with numbered backups": ([*EMACS, "--eval", "(setq version-control t)"], emacs),
}


@pytest.mark.parametrize("history", [1, 10])
@pytest.mark.parametrize("editor", EDITORS)
def test_a_save_by_an_editor_adds_exactly_one_revision(mnt, kv, kv_bucket, published, edit,
                                                       editor, history):
    bucket = kv_bucket(history=history)
    kv.put_all(bucket, [("conf.yaml", b"first\n"), ("other", b"stays\n")])
    seen = published(bucket)
    program, session = EDITORS[editor]
    edit(program, bucket, "conf.yaml", session)
    assert kv.get(bucket, "conf.yaml") == b"first\nsecond\n"
    shown = os.stat(mnt.kv(bucket, "conf.yaml"))
    assert shown.st_mtime_ns == kv.entry(bucket, "conf.yaml").time_ns
    assert mnt.unmount() == 0  # what waits for its time is decided now
    assert seen.operations() == [("conf.yaml", "PUT")]
    assert kv.keys(bucket) == ["conf.yaml", "other"]


def test_nothing_of_an_editor_stays_beside_the_key(mnt, kv, kv_bucket, edit):
    bucket = kv_bucket()
    kv.put(bucket, "dir/conf", b"first\n")
    for program, session in (EDITORS["vim"], EDITORS["emacs"], EDITORS["nano"]):
        kv.put(bucket, "dir/conf", b"first\n")
        wait_until(lambda: mnt.kv(bucket, "dir/conf").read_bytes() == b"first\n", "it is reset")
        edit(program, bucket, "dir/conf", session)
    left = sorted(os.listdir(mnt.kv(bucket, "dir")))
    assert left == ["conf", "conf~"]  # emacs keeps its backup, in this mount only
    assert kv.keys(bucket) == ["dir/conf"]


def test_a_new_key_by_an_editor_is_published(mnt, kv, kv_bucket, published, edit):
    bucket = kv_bucket(history=10)
    seen = published(bucket)

    def write(terminal):
        terminal.wait_for("[New]")
        terminal.type("ihello")
        terminal.press("Escape")
        terminal.type(":wq")
        terminal.press("Enter")

    edit(VIM, bucket, "fresh", write)
    assert kv.get(bucket, "fresh") == b"hello\n"
    assert mnt.unmount() == 0
    assert set(seen.operations()) == {("fresh", "PUT")}


def test_two_saves_of_one_session_are_two_revisions(mnt, kv, kv_bucket, published, edit):
    bucket = kv_bucket(history=10)
    kv.put(bucket, "conf", b"first\n")
    seen = published(bucket)
    edit(VIM, bucket, "conf", vim(":w", ":s/second/third/ | x"))
    assert kv.get(bucket, "conf") == b"first\nthird\n"
    assert mnt.unmount() == 0
    assert seen.operations() == [("conf", "PUT")] * 2


def test_vim_warns_of_a_change_from_elsewhere(mnt, kv, kv_bucket, edit):
    bucket = kv_bucket(history=10)
    kv.put(bucket, "conf", b"first\n")

    def session(terminal):
        terminal.wait_for("first")
        kv.put(bucket, "conf", b"theirs, and longer\n")
        wait_until(lambda: mnt.kv(bucket, "conf").read_bytes() == b"theirs, and longer\n", "seen")
        terminal.type("Gosecond")
        terminal.press("Escape")
        terminal.type(":w")
        terminal.press("Enter")
        terminal.wait_for("changed since")
        terminal.press("n")
        terminal.wait_for("Press ENTER")
        terminal.press("Enter")
        terminal.type(":q!")
        terminal.press("Enter")

    edit(VIM, bucket, "conf", session)
    assert kv.get(bucket, "conf") == b"theirs, and longer\n"


def test_the_swap_file_warns_a_second_vim_of_this_mount(mnt, kv, kv_bucket, tmp_path):
    bucket = kv_bucket()
    kv.put(bucket, "conf", b"first\n")
    with Terminal([*VIM, "conf"], mnt.kv(bucket), tmp_path) as first:
        first.wait_for("first")
        with Terminal([*VIM, "conf"], mnt.kv(bucket), tmp_path) as second:
            second.wait_for("Found a swap file")
            second.press("q")
        first.type(":q")
        first.press("Enter")
        first.wait_closed()
    assert kv.keys(bucket) == ["conf"]


def test_a_git_work_tree_in_a_bucket_follows_its_branches(mnt, kv, kv_bucket, tmp_path):
    bucket = kv_bucket(history=10)
    tree = mnt.kv(bucket)

    def git(*arguments):
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"],
                       "GIT_DIR": str(tmp_path / "repository"), "GIT_WORK_TREE": str(tree)}
        return run("git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments, cwd=tree,
                   env=environment).stdout

    git("init", "-q", "-b", "main")
    shell("echo one > a; mkdir d; echo two > d/b; echo three > c", tree)
    git("add", "-A")
    git("commit", "-qm", "first")
    git("checkout", "-q", "-b", "side")
    shell("echo changed > d/b; rm c; echo new > e", tree)
    git("add", "-A")
    git("commit", "-qm", "second")
    git("checkout", "-q", "main")
    values = {key: kv.get(bucket, key) for key in ("a", "c", "d/b", "e")}
    assert values == {"a": b"one\n", "c": b"three\n", "d/b": b"two\n", "e": None}
    git("checkout", "-q", "side")
    assert kv.get(bucket, "d/b") == b"changed\n"
    assert git("status", "--porcelain") == ""
    assert kv.keys(bucket) == ["a", "c", "d/b", "e"]
