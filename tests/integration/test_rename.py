# SPDX-License-Identifier: Apache-2.0
"""Renames within a bucket: atomic where the stream allows batches, else copied and removed."""

import contextlib
import ctypes
import errno
import os
import random
import subprocess
import sys
import threading
import time

import pytest

from nats_stores import KeyValues
from nats_wire import Wire
from support import refused, run, wait_until, write_file

NOREPLACE, EXCHANGE = 1, 2


def renameat2(old, new, flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def has_batches(wire):
    return wire.version >= (2, 12)


@pytest.fixture(params=["steps", "atomic"])
def bucket(request, wire, kv_bucket):
    """A bucket without and with atomic batches; older servers rename by steps in both."""
    if request.param == "atomic" and has_batches(wire):
        return kv_bucket(history=5, allow_atomic=True)
    return kv_bucket(history=5)


def is_atomic(wire, bucket):
    return bool(wire.stream_info(f"KV_{bucket}")["config"].get("allow_atomic"))


def batch_of(stored):
    """The batch that a stored message came in; None: none."""
    return stored.headers.get("Nats-Batch-Id", [None])[0]


def live(kv, bucket):
    return {key: kv.get(bucket, key) for key in kv.keys(bucket)
            if kv.get(bucket, key) is not None}


# -- keys ---------------------------------------------------------------------------------------


def test_a_renamed_key_has_its_value_under_the_new_name_alone(mnt, kv, bucket):
    kv.put(bucket, "d/a", b"value")
    os.rename(mnt.kv(bucket, "d", "a"), mnt.kv(bucket, "b"))
    assert live(kv, bucket) == {"b": b"value"}
    assert kv.entry(bucket, "d/a").operation == "DEL"
    assert len(kv.history(bucket, "b")) == 1
    assert mnt.kv(bucket, "b").read_bytes() == b"value"
    assert os.stat(mnt.kv(bucket, "b")).st_mtime_ns == kv.entry(bucket, "b").time_ns
    assert os.listdir(mnt.kv(bucket, "d")) == []
    assert sorted(os.listdir(mnt.kv(bucket))) == ["b", "d"]
    with refused(errno.ENOENT):
        os.stat(mnt.kv(bucket, "d", "a"))


def test_where_there_are_batches_both_messages_are_one(mnt, kv, wire, bucket):
    kv.put(bucket, "a", b"value")
    os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
    copy, marker = kv.entry(bucket, "b"), kv.entry(bucket, "a")
    assert marker.seq == copy.seq + 1
    batches = {batch_of(message) for message in (copy, marker)}
    assert len(batches) == 1
    assert (batches != {None}) == is_atomic(wire, bucket)


def test_a_rename_onto_a_key_replaces_it(mnt, kv, bucket):
    kv.put(bucket, "a", b"new")
    kv.put(bucket, "b", b"old")
    assert mnt.kv(bucket, "b").read_bytes() == b"old"
    with open(mnt.kv(bucket, "b"), "rb") as reader:
        os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
        assert reader.read() == b"old"
    assert mnt.kv(bucket, "b").read_bytes() == b"new"
    assert [message.data for message in kv.history(bucket, "b")] == [b"old", b"new"]


def test_noreplace_leaves_a_key_alone(mnt, kv, bucket):
    kv.put(bucket, "a", b"new")
    kv.put(bucket, "b", b"old")
    with refused(errno.EEXIST):
        renameat2(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"), NOREPLACE)
    assert live(kv, bucket) == {"a": b"new", "b": b"old"}
    kv.delete(bucket, "b")
    wait_until(lambda: os.listdir(mnt.kv(bucket)) == ["a"], "the removal shows")
    renameat2(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"), NOREPLACE)
    assert live(kv, bucket) == {"b": b"new"}


def test_two_keys_are_exchanged_in_one_step_or_not_at_all(mnt, kv, wire, bucket):
    kv.put(bucket, "a", b"first")
    kv.put(bucket, "b", b"second")
    if not is_atomic(wire, bucket):
        with refused(errno.EINVAL):
            renameat2(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"), EXCHANGE)
        assert live(kv, bucket) == {"a": b"first", "b": b"second"}
        return
    renameat2(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"), EXCHANGE)
    assert live(kv, bucket) == {"a": b"second", "b": b"first"}
    assert mnt.kv(bucket, "a").read_bytes() == b"second"
    assert mnt.kv(bucket, "b").read_bytes() == b"first"


def test_mv_renames_a_key(mnt, kv, bucket):
    kv.put(bucket, "a", b"value")
    run("mv", mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
    assert kv.entry(bucket, "a").operation == "DEL"
    assert len(kv.history(bucket, "b")) == 1


def test_a_rename_to_a_name_that_no_key_may_have_is_einval(mnt, kv, bucket):
    kv.put(bucket, "a", b"value")
    with refused(errno.EINVAL):
        os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "no space"))
    assert live(kv, bucket) == {"a": b"value"}


def test_a_rename_to_another_bucket_is_exdev(mnt, kv, kv_bucket, bucket):
    other = kv_bucket()
    kv.put(bucket, "a", b"value")
    with refused(errno.EXDEV):
        os.rename(mnt.kv(bucket, "a"), mnt.kv(other, "a"))
    run("mv", mnt.kv(bucket, "a"), mnt.kv(other, "a"))
    assert kv.get(other, "a") == b"value"
    assert live(kv, bucket) == {}


def test_renames_show_in_other_mounts(mnt, mount, kv, bucket):
    kv.put(bucket, "a", b"value")
    other = mount()
    assert os.listdir(other.kv(bucket)) == ["a"]
    os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
    wait_until(lambda: os.listdir(other.kv(bucket)) == ["b"], "the new name shows")
    assert other.kv(bucket, "b").read_bytes() == b"value"


def test_a_name_is_right_at_every_moment_of_many_renames(mnt, kv, bucket):
    """What the kernel keeps of the old inode is never taken for the new one."""
    write_file(mnt.kv(bucket, "n0"), b"0")
    for i in range(100):
        old, new = mnt.kv(bucket, f"n{i % 3}"), mnt.kv(bucket, f"n{(i + 1) % 3}")
        os.rename(old, new)
        assert not os.path.exists(old)
        assert os.stat(new).st_size == len(str(i))
        assert new.read_bytes() == str(i).encode()
        write_file(new, str(i + 1).encode())
    assert live(kv, bucket) == {"n1": b"100"}


@pytest.mark.parametrize("atomic", [False, True], ids=["steps", "atomic"])
def test_a_key_that_expires_does_so_under_its_new_name(mnt, kv, wire, kv_bucket, atomic):
    """The rest of its time to live goes along; servers before 2.11 know none."""
    if wire.version < (2, 11):
        bucket = kv_bucket()
        kv.put(bucket, "a", b"value", {"Nats-TTL": "100s"})
        os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
        assert "Nats-TTL" not in kv.entry(bucket, "b").headers
        return
    more = {"allow_atomic": True} if atomic and has_batches(wire) else {}
    bucket = kv_bucket(allow_msg_ttl=True, **more)
    kv.put(bucket, "a", b"value", {"Nats-TTL": "100s"})
    os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
    assert 50 < int(kv.entry(bucket, "b").headers["Nats-TTL"][0].rstrip("s")) <= 100
    assert (batch_of(kv.entry(bucket, "b")) is not None) == bool(more)


# -- open files ---------------------------------------------------------------------------------


def test_who_writes_a_file_that_is_renamed_writes_the_new_name(mnt, kv, bucket):
    with open(mnt.kv(bucket, "log"), "ab", buffering=0) as file:
        file.write(b"one\n")
        os.rename(mnt.kv(bucket, "log"), mnt.kv(bucket, "log.1"))
        assert kv.get(bucket, "log.1") == b"one\n"
        file.write(b"two\n")
        assert os.fstat(file.fileno()).st_nlink == 1
    assert live(kv, bucket) == {"log.1": b"one\ntwo\n"}
    assert mnt.kv(bucket, "log.1").read_bytes() == b"one\ntwo\n"


def test_who_writes_a_file_that_is_renamed_again_writes_the_newest_name(mnt, kv, bucket):
    kv.put(bucket, "log", b"zero\n")
    with open(mnt.kv(bucket, "log"), "ab", buffering=0) as file:
        for number in range(3):
            os.rename(mnt.kv(bucket, f"log.{number}" if number else "log"),
                      mnt.kv(bucket, f"log.{number + 1}"))
            file.write(b"%d\n" % number)
    assert live(kv, bucket) == {"log.3": b"zero\n0\n1\n2\n"}


def test_what_is_written_to_a_renamed_file_after_its_removal_makes_no_key(mnt, kv, bucket):
    kv.put_all(bucket, [("a", b"a"), ("b", b"b"), ("c", b"c")])
    with open(mnt.kv(bucket, "a"), "ab", buffering=0) as one, \
            open(mnt.kv(bucket, "b"), "ab", buffering=0) as two:
        os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "n"))
        os.unlink(mnt.kv(bucket, "n"))
        one.write(b"nowhere")
        os.rename(mnt.kv(bucket, "b"), mnt.kv(bucket, "m"))
        os.rename(mnt.kv(bucket, "c"), mnt.kv(bucket, "m"))
        two.write(b"nowhere")
    assert live(kv, bucket) == {"m": b"c"}
    assert os.listdir(mnt.kv(bucket)) == ["m"]


def test_who_writes_files_that_are_exchanged_goes_on_with_the_same_one(mnt, kv, wire, bucket):
    if not is_atomic(wire, bucket):
        return
    kv.put_all(bucket, [("a", b"a"), ("b", b"b")])
    with open(mnt.kv(bucket, "a"), "ab", buffering=0) as one, \
            open(mnt.kv(bucket, "b"), "ab", buffering=0) as two:
        renameat2(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"), EXCHANGE)
        one.write(b"1")
        two.write(b"2")
    assert live(kv, bucket) == {"a": b"b2", "b": b"a1"}


def test_who_reads_a_file_that_is_renamed_goes_on_reading(mnt, kv, bucket):
    kv.put(bucket, "a", b"x" * 300_000)
    with open(mnt.kv(bucket, "a"), "rb", buffering=0) as file:
        assert file.read(10) == b"x" * 10
        os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
        assert os.pread(file.fileno(), 300_000, 200_000) == b"x" * 100_000


def test_what_is_not_committed_is_renamed_too(mnt, kv, bucket):
    with open(mnt.kv(bucket, "new"), "wb", buffering=0) as file:
        file.write(b"bytes")
        os.rename(mnt.kv(bucket, "new"), mnt.kv(bucket, "named"))
    assert live(kv, bucket) == {"named": b"bytes"}


# -- directories --------------------------------------------------------------------------------


def fill(kv, bucket, directory, count):
    values = {f"s{i % 7}/k{i}": f"value {i}".encode() for i in range(count)}
    kv.put_all(bucket, ((f"{directory}/{name}", value) for name, value in values.items()))
    return values


def below(mnt, bucket, directory):
    top = mnt.kv(bucket, directory)
    return {str(path.relative_to(top)): path.read_bytes()
            for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("count", [300, 1500])
def test_a_directory_is_renamed_with_all_below_it(mnt, kv, wire, bucket, count):
    values = fill(kv, bucket, "old", count)
    kv.put(bucket, "beside", b"stays")
    assert len(os.listdir(mnt.kv(bucket, "old", "s0"))) > 40
    os.mkdir(mnt.kv(bucket, "old", "empty"))
    os.rename(mnt.kv(bucket, "old"), mnt.kv(bucket, "new"))
    assert live(kv, bucket) == {"beside": b"stays",
                                **{f"new/{name}": value for name, value in values.items()}}
    assert sorted(os.listdir(mnt.kv(bucket))) == ["beside", "new"]
    assert below(mnt, bucket, "new") == values
    assert os.listdir(mnt.kv(bucket, "new", "empty")) == []
    with refused(errno.ENOENT):
        os.stat(mnt.kv(bucket, "old", "s0"))
    if is_atomic(wire, bucket) and count == 300:
        assert len({batch_of(kv.entry(bucket, f"new/{name}"))
                    for name in values}) == 1


def test_a_process_in_a_renamed_directory_goes_on_working(mnt, kv, bucket):
    kv.put(bucket, "old/sub/a", b"value")
    script = """
import os, sys
os.chdir(sys.argv[1])
assert open('a').read() == 'value'
print(flush=True)
sys.stdin.readline()
assert os.listdir('.') == ['a'], os.listdir('.')
assert open('a').read() == 'value'
open('b', 'w').write('new')
assert sorted(os.listdir('.')) == ['a', 'b']
os.unlink('a')
os.rename('b', 'c')
assert os.listdir('.') == ['c']
assert os.listdir('..') == ['sub']
"""
    with subprocess.Popen([sys.executable, "-c", script, str(mnt.kv(bucket, "old", "sub"))],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout.read(1) == b"\n"
        os.rename(mnt.kv(bucket, "old"), mnt.kv(bucket, "new"))
        worker.stdin.write(b"\n")
        worker.stdin.flush()
        assert worker.wait(30) == 0
    assert live(kv, bucket) == {"new/sub/c": b"new"}
    assert below(mnt, bucket, "new") == {"sub/c": b"new"}


def test_who_writes_a_file_in_a_renamed_directory_writes_the_new_name(mnt, kv, bucket):
    kv.put(bucket, "d/e/log", b"one\n")
    with open(mnt.kv(bucket, "d", "e", "log"), "ab", buffering=0) as file:
        file.write(b"two\n")
        os.rename(mnt.kv(bucket, "d"), mnt.kv(bucket, "n"))
        file.write(b"three\n")
        os.fsync(file.fileno())
        os.rename(mnt.kv(bucket, "n", "e"), mnt.kv(bucket, "x"))
        file.write(b"four\n")
    assert live(kv, bucket) == {"x/log": b"one\ntwo\nthree\nfour\n"}


def test_a_directory_with_names_is_not_replaced_and_an_empty_one_is(mnt, kv, bucket):
    kv.put(bucket, "a/x", b"1")
    kv.put(bucket, "b/y", b"2")
    with refused(errno.ENOTEMPTY):
        os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
    assert live(kv, bucket) == {"a/x": b"1", "b/y": b"2"}
    os.mkdir(mnt.kv(bucket, "c"))
    os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "c"))
    assert live(kv, bucket) == {"c/x": b"1", "b/y": b"2"}
    with refused(errno.EISDIR, errno.ENOTDIR):
        os.rename(mnt.kv(bucket, "b"), mnt.kv(bucket, "c", "x"))


def test_an_empty_directory_is_renamed(mnt, kv, bucket):
    os.makedirs(mnt.kv(bucket, "a", "b"))
    os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "c"))
    assert os.listdir(mnt.kv(bucket)) == ["c"]
    assert os.listdir(mnt.kv(bucket, "c")) == ["b"]
    write_file(mnt.kv(bucket, "c", "b", "key"), b"value")
    assert live(kv, bucket) == {"c/b/key": b"value"}


# -- others, and what stops ---------------------------------------------------------------------


def test_no_write_to_the_source_is_lost_while_it_is_renamed(mnt, kv, server, bucket):
    """Another client numbers its writes; the newest one has to be under one of the names."""
    kv.put(bucket, "a", b"0")
    stop, written = threading.Event(), [0]

    def write():
        with contextlib.closing(Wire(server.url)) as wire:
            values = KeyValues(wire)
            while not stop.is_set():
                written[0] += 1
                values.put(bucket, "a", str(written[0]).encode())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            with contextlib.suppress(FileNotFoundError, OSError):
                os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
            time.sleep(0.001)
    finally:
        stop.set()
        writer.join()
    newest = max(int(value) for value in live(kv, bucket).values())
    assert newest == written[0]


@pytest.mark.parametrize("atomic", [False, True], ids=["steps", "atomic"])
def test_a_killed_rename_leaves_every_value_and_can_be_continued(own_server, mount, atomic):
    """SIGKILL at random moments of the rename of a directory."""
    with contextlib.closing(Wire(own_server.url)) as wire:
        values = KeyValues(wire)
        more = {"allow_atomic": True} if atomic and has_batches(wire) else {}
        values.create("bucket", history=3, **more)
        for attempt in range(4):
            old, new = f"old{attempt}", f"new{attempt}"
            wanted = fill(values, "bucket", old, 400)
            mnt = mount(server=own_server)
            assert len(os.listdir(mnt.kv("bucket", old))) == 7
            kill = threading.Timer(random.uniform(0, 0.12), mnt.crash)
            kill.start()
            with contextlib.suppress(OSError):
                os.rename(mnt.kv("bucket", old), mnt.kv("bucket", new))
            kill.join()
            mnt.kill()
            # What was on its way may still arrive: a name that has left is looked for afterwards.
            for name, value in wanted.items():
                there = [values.get("bucket", f"{top}/{name}") for top in (old, new)]
                assert set(there) - {None} == {value}, name
            mnt = mount(server=own_server)
            with contextlib.suppress(FileNotFoundError):
                os.rename(mnt.kv("bucket", old), mnt.kv("bucket", new))
            assert below(mnt, "bucket", new) == wanted
            assert not mnt.kv("bucket", old).exists()
            assert mnt.unmount() == 0


def test_buckets_that_jsfs_makes_allow_atomic_renames(mnt, wire, kv, unique):
    bucket = unique()
    os.mkdir(mnt.kv(bucket))
    assert is_atomic(wire, bucket) == has_batches(wire)
    write_file(mnt.kv(bucket, "a"), b"value")
    os.rename(mnt.kv(bucket, "a"), mnt.kv(bucket, "b"))
    batch = batch_of(kv.entry(bucket, "b"))
    assert (batch is not None) == has_batches(wire)
