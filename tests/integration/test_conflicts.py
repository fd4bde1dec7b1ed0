# SPDX-License-Identifier: Apache-2.0
"""Writes that race: who wins, who is told, and where the loser's bytes are."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from nats_stores import KeyValues
from support import content, noise, refused, run, shell, wait_until, walk, write_file


def in_threads(*works):
    """Run functions at the same time; what each gave, or the first exception."""
    outcomes = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def call(number):
        barrier.wait()
        try:
            outcomes[number] = works[number]()
        except BaseException as error:  # pylint: disable=broad-except
            outcomes[number] = error

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


def lose(path, change, theirs):
    """Open a file, write change to its start, let theirs() happen, close: that is ESTALE."""
    wait_until(path.exists, "the key is seen")
    descriptor = os.open(path, os.O_RDWR)
    os.pwrite(descriptor, change, 0)
    theirs()
    with refused(errno.ESTALE):
        os.close(descriptor)


# -- the loser's bytes ------------------------------------------------------------------


def test_a_lost_edit_is_kept_with_the_revision_it_was_based_on(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    revision = kv.put(bucket, "app/db.yaml", b"first")
    before = time.time()
    lose(mnt.kv(bucket, "app/db.yaml"), b"F", lambda: kv.put(bucket, "app/db.yaml", b"theirs"))
    conflicts = mnt.kv(bucket, ".jsfs/conflicts")
    assert walk(conflicts) == [f"app/db.yaml/@{revision}.1"]
    kept = conflicts / f"app/db.yaml/@{revision}.1"
    assert kept.read_bytes() == b"First"
    state = os.stat(kept)
    assert stat.S_ISREG(state.st_mode) and state.st_size == 5
    assert before - 1 < state.st_mtime < time.time() + 1
    assert kv.get(bucket, "app/db.yaml") == b"theirs"
    wait_until(lambda: content(mnt.kv(bucket, "app/db.yaml")) == b"theirs", "the winner shows")
    assert f"kv/{bucket}/.jsfs/conflicts/app/db.yaml/@{revision}.1" in mnt.log()


def test_nothing_lost_is_an_empty_directory(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    write_file(mnt.kv(bucket, "key"), b"value")
    assert os.listdir(mnt.kv(bucket, ".jsfs/conflicts")) == []


def test_cp_applies_a_lost_edit_again(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    revision = kv.put(bucket, "key", b"first")
    lose(mnt.kv(bucket, "key"), b"F", lambda: kv.put(bucket, "key", b"theirs"))
    shell(f"cp .jsfs/conflicts/key/@{revision}.1 key", mnt.kv(bucket))
    assert [entry.data for entry in kv.history(bucket, "key")] == [b"first", b"theirs", b"First"]


def test_each_loss_has_its_own_file(mnt, kv, kv_bucket):
    bucket, wanted = kv_bucket(), {}
    for number in range(4):
        base = b"base %d" % number
        revision = kv.put(bucket, "key", base)
        wait_until(lambda base=base: content(mnt.kv(bucket, "key")) == base, "it is seen")
        lose(mnt.kv(bucket, "key"), b"OURS", lambda: kv.put(bucket, "key", b"theirs"))
        wanted[f"@{revision}.1"] = b"OURS %d" % number
    folder = mnt.kv(bucket, ".jsfs/conflicts/key")
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == wanted


def test_a_loss_that_is_told_twice_is_kept_once(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    revision = kv.put(bucket, "key", b"first")
    descriptor = os.open(mnt.kv(bucket, "key"), os.O_RDWR)
    os.pwrite(descriptor, b"F", 0)
    kv.put(bucket, "key", b"theirs")
    for _ in range(2):
        with refused(errno.ESTALE):
            os.fsync(descriptor)
    with refused(errno.ESTALE):
        os.close(descriptor)
    assert walk(mnt.kv(bucket, ".jsfs/conflicts")) == [f"key/@{revision}.1"]


def test_rm_throws_a_loss_away(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    for key in ("a/b/c", "a/d", "e"):
        kv.put(bucket, key, b"first")
        lose(mnt.kv(bucket, key), b"F", lambda key=key: kv.put(bucket, key, b"theirs"))
    top = mnt.kv(bucket, ".jsfs/conflicts")
    assert sorted(os.listdir(top)) == ["a", "e"]
    run("rm", top / "e" / os.listdir(top / "e")[0])
    assert os.listdir(top) == ["a"]
    run("rm", "-r", top / "a")
    assert os.listdir(top) == [] and not (top / "a").exists()
    assert kv.get(bucket, "a/b/c") == b"theirs"


def test_nothing_else_can_be_done_to_a_loss(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    revision = kv.put(bucket, "key", b"first")
    lose(mnt.kv(bucket, "key"), b"F", lambda: kv.put(bucket, "key", b"theirs"))
    kept = mnt.kv(bucket, f".jsfs/conflicts/key/@{revision}.1")
    with refused(errno.EPERM):
        os.open(kept, os.O_WRONLY)
    with refused(errno.EPERM):
        write_file(mnt.kv(bucket, ".jsfs/conflicts/new"), b"")
    with refused(errno.EPERM):
        os.mkdir(mnt.kv(bucket, ".jsfs/conflicts/new"))
    with refused(errno.ENOTEMPTY):
        os.rmdir(mnt.kv(bucket, ".jsfs/conflicts/key"))
    assert kept.read_bytes() == b"First"


def test_losses_outlive_the_mount_and_a_crash(mount, kv, kv_bucket, tmp_path):
    bucket = kv_bucket()
    state = {"XDG_STATE_HOME": str(tmp_path)}
    names = []
    for end in ("unmount", "crash"):
        one = mount(environment=state)
        revision = kv.put(bucket, end, b"first")
        lose(one.kv(bucket, end), b"F", lambda end=end: kv.put(bucket, end, b"theirs"))
        names.append(f"{end}/@{revision}.1")
        if end == "unmount":
            assert one.unmount() == 0
        else:
            one.kill()
    later = mount(environment=state)
    assert walk(later.kv(bucket, ".jsfs/conflicts")) == sorted(names)
    assert later.kv(bucket, ".jsfs/conflicts", names[1]).read_bytes() == b"First"


def test_two_mounts_share_one_store_of_losses(mount, kv, kv_bucket, tmp_path):
    bucket = kv_bucket()
    mounts = [mount(environment={"XDG_STATE_HOME": str(tmp_path)}) for _ in range(2)]
    revision = kv.put(bucket, "key", b"first")
    files = [os.open(one.kv(bucket, "key"), os.O_RDWR) for one in mounts]
    for number, descriptor in enumerate(files):
        os.pwrite(descriptor, b"%d" % number, 0)
    kv.put(bucket, "key", b"theirs")
    for descriptor in files:
        with refused(errno.ESTALE):
            os.close(descriptor)
    for one in mounts:
        top = one.kv(bucket, ".jsfs/conflicts")
        assert walk(top) == [f"key/@{revision}.1", f"key/@{revision}.2"]
        assert {(top / name).read_bytes() for name in walk(top)} == {b"0irst", b"1irst"}


def test_only_the_owner_may_read_a_loss_on_the_disk(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"first")
    lose(mnt.kv(bucket, "key"), b"F", lambda: kv.put(bucket, "key", b"theirs"))
    state = mnt.work / ".local/state/jsfs/conflicts"
    files = walk(state)
    assert len(files) == 1 and f"/kv/{bucket}/key/@" in files[0]
    assert stat.S_IMODE(os.stat(state / files[0]).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o700


def test_a_state_directory_can_be_named(mount, kv, kv_bucket, tmp_path):
    bucket = kv_bucket()
    mnt = mount("-o", f"state_dir={tmp_path}/here")
    kv.put(bucket, "key", b"first")
    lose(mnt.kv(bucket, "key"), b"F", lambda: kv.put(bucket, "key", b"theirs"))
    assert len(walk(tmp_path / "here")) == 1


def test_a_loss_that_the_disk_refuses_is_in_memory_and_the_log_says_so(mount, kv, kv_bucket,
                                                                      tmp_path):
    bucket = kv_bucket()
    (tmp_path / "file").write_bytes(b"")
    mnt = mount("-o", f"state_dir={tmp_path}/file/below")
    revision = kv.put(bucket, "a/key", b"first")
    lose(mnt.kv(bucket, "a/key"), b"F", lambda: kv.put(bucket, "a/key", b"theirs"))
    assert walk(mnt.kv(bucket, ".jsfs/conflicts")) == [f"a/key/@{revision}.1"]
    kept = mnt.kv(bucket, f".jsfs/conflicts/a/key/@{revision}.1")
    assert kept.read_bytes() == b"First" and os.stat(kept).st_size == 5
    assert "kept in memory only until the unmount (Not a directory)" in mnt.log()
    os.unlink(tmp_path / "file")  # and now the disk is there
    assert mnt.unmount() == 0
    assert len(walk(tmp_path / "file/below")) == 1


def test_a_read_only_mount_has_no_losses(mount, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"value")
    mnt = mount("-o", "ro")
    assert os.listdir(mnt.kv(bucket, ".jsfs/conflicts")) == []
    with refused(errno.EROFS):
        write_file(mnt.kv(bucket, "key"), b"no")


# -- commits that fail for good ---------------------------------------------------------


@pytest.fixture
def away(make_server, mount):
    """A server of its own with a key, and a mount of it that is not patient."""
    server = make_server()
    connection = server.connect()
    keys = KeyValues(connection)
    keys.create("b", history=5)
    revision = keys.put("b", "key", b"first")
    connection.close()
    mnt = mount("-o", "timeout=1s", server=server)
    assert mnt.kv("b", "key").read_bytes() == b"first"
    return server, mnt, revision


def losses(mnt):
    """Every loss on the disk of a mount: name below the bucket's -> bytes."""
    state = mnt.work / ".local/state/jsfs/conflicts"
    names = walk(state) if state.exists() else []
    return {name.partition("/kv/b/")[2]: (state / name).read_bytes() for name in names}


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_what_a_server_that_is_away_did_not_take_is_kept(away, how):
    server, mnt, revision = away
    descriptor = os.open(mnt.kv("b", "key"), os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, b"written")
    getattr(server, how)()
    with refused(errno.EHOSTDOWN, errno.ETIMEDOUT):
        os.close(descriptor)
    wait_until(lambda: losses(mnt) == {f"key/@{revision}.1": b"written"}, "the bytes are kept")
    assert walk(mnt.kv("b", ".jsfs/conflicts")) == [f"key/@{revision}.1"]
    server.thaw()


def test_a_failed_close_of_one_handle_leaves_the_bytes_to_the_next(away):
    server, mnt, _ = away
    first = os.open(mnt.kv("b", "key"), os.O_RDWR)
    second = os.open(mnt.kv("b", "key"), os.O_RDWR)
    os.pwrite(first, b"F", 0)
    server.stop()
    with refused(errno.EHOSTDOWN, errno.ETIMEDOUT):
        os.close(first)
    server.start()

    def committed():
        try:
            os.fsync(second)
            return True
        except OSError:
            return False

    wait_until(committed, "the next fsync commits what the first could not", 30)
    os.close(second)
    connection = server.connect()
    assert KeyValues(connection).get("b", "key") == b"First"
    connection.close()
    assert mnt.unmount() == 0
    assert losses(mnt) == {}


def test_what_an_unmount_cannot_commit_is_kept(away):
    server, mnt, revision = away
    program = subprocess.Popen(
        [sys.executable, "-c", "import os, sys, time\n"
         "os.pwrite(os.open(sys.argv[1], os.O_RDWR), b'F', 0)\n"
         "print('written', flush=True)\ntime.sleep(600)", str(mnt.kv("b", "key"))],
        stdout=subprocess.PIPE)
    try:
        assert program.stdout.readline() == b"written\n"
        server.stop()
        assert mnt.signal(signal.SIGTERM) != 0
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
    assert losses(mnt) == {f"key/@{revision}.1": b"First"}


def test_what_a_full_bucket_did_not_take_is_kept(mnt, kv, kv_bucket):
    bucket, data = kv_bucket(max_bytes=50_000), noise(100_000)
    kv.put(bucket, "key", b"old")
    with refused(errno.ENOSPC):
        write_file(mnt.kv(bucket, "other"), data)
    top = mnt.kv(bucket, ".jsfs/conflicts")
    wait_until(lambda: walk(top) == ["other/@0.1"], "the bytes are kept")
    assert (top / "other/@0.1").read_bytes() == data
    assert kv.get(bucket, "key") == b"old"


def test_half_of_a_write_that_was_refused_is_not_kept(mnt, kv, kv_bucket):
    bucket = kv_bucket(max_msg_size=1000)
    with refused(errno.EFBIG):
        with open(mnt.kv(bucket, "key"), "wb", buffering=0) as file:
            file.write(noise(900))
            file.write(noise(900))
    assert mnt.unmount() == 0
    assert not (mnt.work / ".local").exists()


# -- many writers -----------------------------------------------------------------------


def test_every_acknowledged_edit_is_in_the_history(mount, kv, kv_bucket):
    """Read-modify-write from two mounts: each acknowledged one is there once, on top of the one
    that it had read; each refused one is among the conflicts, and not in the history."""
    bucket = kv_bucket(history=64)
    kv.put(bucket, "key", b"%08d start of all" % 0)
    mounts = [mount(), mount()]

    def edit(number):
        acknowledged, lost = [], []
        path = mounts[number].kv(bucket, "key")
        while len(acknowledged) < 12:
            try:
                descriptor = os.open(path, os.O_RDWR)
            except OSError as error:
                assert error.errno == errno.ESTALE, error
                continue
            count = int(os.read(descriptor, 8))
            text = b"%08d %d %010d" % (count + 1, number, len(acknowledged) + len(lost))
            os.pwrite(descriptor, text, 0)
            try:
                os.close(descriptor)
                acknowledged.append(text)
            except OSError as error:
                assert error.errno == errno.ESTALE, error
                lost.append(text)
        return acknowledged, lost

    outcomes = in_threads(lambda: edit(0), lambda: edit(1))
    stored = [entry.data for entry in kv.history(bucket, "key")]
    acknowledged = [text for texts, _ in outcomes for text in texts]
    assert [int(text[:8]) for text in stored] == list(range(25))
    assert sorted(stored[1:]) == sorted(acknowledged)
    for one, (_, lost) in zip(mounts, outcomes):
        top = one.kv(bucket, ".jsfs/conflicts")
        assert sorted((top / name).read_bytes() for name in walk(top)) == sorted(lost)


@pytest.mark.parametrize("before", ["nothing", "a delete marker", "a purge marker"])
def test_of_four_mounts_one_takes_each_lock(mount, kv, kv_bucket, before):
    bucket, rounds = kv_bucket(), 25
    names = [f"lock{number}" for number in range(rounds)]
    for name in names if before != "nothing" else []:
        kv.put(bucket, name, b"old")
        {"a delete marker": kv.delete, "a purge marker": kv.purge}[before](bucket, name)
    mounts = [mount() for _ in range(4)]

    def take(number):
        won = []
        for name in names:
            try:
                os.close(os.open(mounts[number].kv(bucket, name),
                                 os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                won.append(name)
            except FileExistsError:
                pass
        return won

    won = in_threads(*(lambda number=number: take(number) for number in range(4)))
    assert sorted(name for ones in won for name in ones) == sorted(names)


@pytest.mark.parametrize("program", ["sh", "bash"])
def test_noclobber_makes_a_lock_of_a_shell(mount, kv, kv_bucket, program):
    bucket = kv_bucket(history=5)
    mounts = [mount() for _ in range(4)]
    script = "set -o noclobber; for n in 1 2 3 4 5 6 7 8; do echo $0 > lock$n && echo $n; done"

    def take(number):
        done = run(program, "-c", script, f"m{number}", cwd=mounts[number].kv(bucket), check=False)
        return [(lock, f"m{number}") for lock in done.stdout.split()]

    won = sum(in_threads(*(lambda number=number: take(number) for number in range(4))), [])
    assert sorted(lock for lock, _ in won) == [str(number) for number in range(1, 9)]
    for lock, owner in won:
        assert kv.get(bucket, f"lock{lock}") == f"{owner}\n".encode()


def test_mkdir_in_a_bucket_is_no_lock(mount, kv_bucket):
    bucket = kv_bucket()
    for one in (mount(), mount()):
        os.mkdir(one.kv(bucket, "lock"))
