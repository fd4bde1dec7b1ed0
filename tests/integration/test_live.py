# SPDX-License-Identifier: Apache-2.0
"""Live: what others change is seen through warm kernel caches; versions, inodes, two mounts."""

import contextlib
import errno
import os
import random
import threading

import pytest

from nats_stores import KeyValues
from support import content, noise, refused, wait_until, walk, write_file


def warm(*paths):
    """Fill every kernel cache there is for these files."""
    for _ in range(3):
        for path in paths:
            os.stat(path)
            path.read_bytes()
            os.listdir(path.parent)


# The kernel has a cache for names, one for attributes and one for each listing, and is told of
# them one after the other. So each is waited for.


def seen(path, data):
    """Wait until a file has these bytes, by open and read, by stat, and in its directory."""
    wait_until(lambda: content(path) == data, f"{path.name} has the new bytes")
    wait_until(lambda: size_of(path) == len(data), f"{path.name} has the new size")
    wait_until(lambda: is_listed(path), f"{path.name} is listed")


def vanished(path):
    """Wait until a name is gone, for stat, for open, and from its directory."""
    wait_until(lambda: not os.path.lexists(path), f"{path.name} is gone")
    with refused(errno.ENOENT):
        path.read_bytes()
    wait_until(lambda: not is_listed(path), f"{path.name} is not listed any more")


def size_of(path):
    """The size of a file now; None when it is not there or has just changed."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_listed(path):
    """Whether its directory lists a name; a directory that is not there lists none."""
    try:
        return path.name in os.listdir(path.parent)
    except (FileNotFoundError, NotADirectoryError):
        return False


# -- changes from elsewhere -------------------------------------------------------------


def test_a_remote_put_is_seen_through_warm_caches(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"old")
    warm(mnt.kv(bucket, "key"))
    kv.put(bucket, "key", b"newer")
    seen(mnt.kv(bucket, "key"), b"newer")
    assert os.stat(mnt.kv(bucket, "key")).st_mtime_ns == kv.entry(bucket, "key").time_ns


def test_a_remote_put_of_the_same_size_is_seen(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"one")
    warm(mnt.kv(bucket, "key"))
    for text in (b"two", b"thr", b"fou"):
        kv.put(bucket, "key", text)
        seen(mnt.kv(bucket, "key"), text)


@pytest.mark.parametrize("remove", ["delete", "purge"])
def test_a_remote_removal_is_seen_through_warm_caches(mnt, kv, kv_bucket, remove):
    bucket = kv_bucket()
    kv.put_all(bucket, [("key", b"value"), ("dir/key", b"value")])
    warm(mnt.kv(bucket, "key"), mnt.kv(bucket, "dir", "key"))
    getattr(kv, remove)(bucket, "key")
    getattr(kv, remove)(bucket, "dir/key")
    vanished(mnt.kv(bucket, "key"))
    vanished(mnt.kv(bucket, "dir"))


def test_a_remote_object_is_seen_through_warm_caches(mnt, js, objects, obj_bucket):
    bucket = obj_bucket()
    path = mnt.obj(bucket, "object")
    js.obj_put(bucket, "object", noise(300_000, 1))
    warm(path)
    js.obj_put(bucket, "object", noise(200_000, 2))
    seen(path, noise(200_000, 2))
    assert os.stat(path).st_mtime_ns == objects.entry(bucket, "object").time_ns
    js.obj_delete(bucket, "object")
    vanished(path)


def test_a_remote_name_appears_in_a_listed_directory(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "dir/first", b"1")
    for _ in range(3):
        assert os.listdir(mnt.kv(bucket, "dir")) == ["first"]
        assert os.listdir(mnt.kv(bucket)) == ["dir"]
    kv.put_all(bucket, [("dir/second", b"2"), ("other/deep/third", b"3")])
    wait_until(lambda: sorted(os.listdir(mnt.kv(bucket, "dir"))) == ["first", "second"],
               "the new file is listed")
    wait_until(lambda: sorted(os.listdir(mnt.kv(bucket))) == ["dir", "other"],
               "the new directory is listed")
    wait_until(lambda: walk_while_it_changes(mnt.kv(bucket)) ==
               ["dir/first", "dir/second", "other/deep/third"], "everything is found")


def test_a_remote_name_appears_where_it_was_looked_for(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    for _ in range(3):
        assert not mnt.kv(bucket, "key").exists()
        assert not mnt.kv(bucket, "dir", "key").exists()
    kv.put_all(bucket, [("key", b"1"), ("dir/key", b"2")])
    seen(mnt.kv(bucket, "key"), b"1")
    seen(mnt.kv(bucket, "dir", "key"), b"2")


def test_a_key_becomes_a_directory_and_a_file_again(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    path = mnt.kv(bucket, "a")
    kv.put(bucket, "a", b"own")
    warm(path)
    kv.put(bucket, "a/b", b"below")
    wait_until(path.is_dir, "the key is a directory")
    wait_until(lambda: sorted(os.listdir(path)) == ["@value", "b"], "it has both")
    assert (path / "@value").read_bytes() == b"own"
    kv.delete(bucket, "a/b")
    wait_until(path.is_file, "the key is a file")
    wait_until(lambda: content(path) == b"own", "the file has the key's value")


def test_a_directory_that_a_remote_delete_emptied_is_gone(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("a/b/c", b"1"), ("keep", b"2")])
    warm(mnt.kv(bucket, "a", "b", "c"))
    kv.delete(bucket, "a/b/c")
    wait_until(lambda: os.listdir(mnt.kv(bucket)) == ["keep"], "the directories are not listed")
    wait_until(lambda: not mnt.kv(bucket, "a").exists(), "the directories are not found")


def test_a_storm_of_changes_ends_in_what_the_server_has(mnt, kv, kv_bucket):
    bucket, chance = kv_bucket(), random.Random(2)
    names = [f"d{number % 7}/k{number}" for number in range(100)]
    kv.put_all(bucket, [(name, b"start") for name in names])
    done = threading.Event()

    def storm():
        try:
            for count in range(2000):
                name = chance.choice(names)
                if chance.random() < 0.3:
                    kv.delete(bucket, name)
                else:
                    kv.put(bucket, name, b"%d" % count)
        finally:
            done.set()

    changes = threading.Thread(target=storm)
    changes.start()
    while not done.is_set():
        for name in walk_while_it_changes(mnt.kv(bucket)):
            content(mnt.kv(bucket, name))
    changes.join()
    wanted = {name: kv.get(bucket, name) for name in names}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    wait_until(lambda: walk_while_it_changes(mnt.kv(bucket)) == sorted(wanted),
               "the mount lists what is there")
    wait_until(lambda: {name: content(mnt.kv(bucket, name)) for name in wanted} == wanted,
               "every file has its last value")


def walk_while_it_changes(top):
    """The files below a directory, sorted; what goes away on the way is no matter."""
    return sorted(os.path.relpath(os.path.join(directory, name), top)
                  for directory, _, names in os.walk(top) for name in names)


@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_a_key_that_has_just_changed_is_opened_and_not_estale(mnt, kv, kv_bucket, mode):
    """The server has dropped what the mount still shows; open(2) looks again only once."""
    bucket = kv_bucket(history=1)
    path = mnt.kv(bucket, "key")
    for count in range(200):
        kv.put(bucket, "key", b"%d unread" % count)
        wait_until(lambda: size_of(path) == len(b"%d unread" % count), "the change is seen")
        kv.put(bucket, "key", b"%d" % count)
        with open(path, mode, buffering=0) as file:
            assert file.read() == b"%d" % count


# -- versions and inodes ----------------------------------------------------------------


@pytest.mark.parametrize("read_before", [True, False])
def test_an_open_handle_stays_on_its_version(mnt, kv, kv_bucket, read_before):
    bucket, path = kv_bucket(history=5), mnt.kv
    kv.put(bucket, "key", b"the old value")
    with open(path(bucket, "key"), "rb", buffering=0) as file:
        if read_before:
            assert file.read(3) == b"the"
        kv.put(bucket, "key", b"new")
        seen(path(bucket, "key"), b"new")
        assert os.pread(file.fileno(), 100, 0) == b"the old value"
        assert os.fstat(file.fileno()).st_size == 13
        assert path(bucket, "key").read_bytes() == b"new"


def test_a_handle_whose_version_is_not_kept_is_estale_never_new(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=1)
    kv.put(bucket, "key", b"the old value")
    with open(mnt.kv(bucket, "key"), "rb", buffering=0) as file:
        kv.put(bucket, "key", b"new")
        seen(mnt.kv(bucket, "key"), b"new")
        with contextlib.suppress(OSError):
            assert os.pread(file.fileno(), 100, 0) == b"the old value"


def test_a_reader_of_an_object_never_gets_a_mixture(mnt, js, obj_bucket):
    bucket, old, new = obj_bucket(), noise(24 << 20, 1), noise(24 << 20, 2)
    js.obj_put(bucket, "object", old)
    with open(mnt.obj(bucket, "object"), "rb", buffering=0) as file:
        assert file.read(1000) == old[:1000]
        js.obj_put(bucket, "object", new)
        with contextlib.suppress(OSError):  # its chunks are gone: ESTALE is honest
            for start in range(0, len(old), 1 << 20):
                got = os.pread(file.fileno(), 1 << 20, start)  # may end before what is gone
                assert got and got == old[start:start + len(got)]
    wait_until(lambda: content_start(mnt.obj(bucket, "object")) == new[:1000], "it is the new one")


def content_start(path):
    """The first bytes; None when the version that was opened is gone already."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(1000)
    except OSError as error:
        assert error.errno == errno.ESTALE, error
        return None


def test_a_remote_change_gives_a_new_inode(mnt, kv, objects, kv_bucket, obj_bucket):
    keys, store = kv_bucket(), obj_bucket()
    kv.put(keys, "key", b"old")
    objects.put(store, "object", b"old")
    paths = [mnt.kv(keys, "key"), mnt.obj(store, "object")]
    warm(*paths)
    before = [os.stat(path).st_ino for path in paths]
    kv.put(keys, "key", b"new")
    objects.put(store, "object", b"new")
    for path, inode in zip(paths, before):
        seen(path, b"new")
        assert os.stat(path).st_ino != inode
        wait_until(lambda: listed_inode(path) == os.stat(path).st_ino, "the listing has it too")


def listed_inode(path):
    """The inode that the listing has for the only name of a directory."""
    [entry] = os.scandir(path.parent)
    return entry.inode()


def test_an_own_write_keeps_the_inode(mnt, kv, kv_bucket):
    bucket, path = kv_bucket(), mnt.kv
    write_file(path(bucket, "key"), b"one")
    before = os.stat(path(bucket, "key")).st_ino
    for text in (b"two", b"three"):
        write_file(path(bucket, "key"), text)
        kv.put(bucket, "marker", text)  # comes behind the echo of our write
        seen(path(bucket, "marker"), text)
        assert os.stat(path(bucket, "key")).st_ino == before
        assert path(bucket, "key").read_bytes() == text


# -- two mounts -------------------------------------------------------------------------


def test_two_mounts_see_each_others_writes(mount, kv_bucket, obj_bucket):
    keys, store, here, there = kv_bucket(), obj_bucket(), mount(), mount()
    for one, other in ((here, there), (there, here)):
        for text in (b"first", b"second"):
            write_file(one.kv(keys, "key"), text)
            seen(other.kv(keys, "key"), text)
            write_file(one.obj(store, "object"), noise(300_000) + text)
            seen(other.obj(store, "object"), noise(300_000) + text)
        os.unlink(one.kv(keys, "key"))
        os.unlink(one.obj(store, "object"))
        vanished(other.kv(keys, "key"))
        vanished(other.obj(store, "object"))


def test_two_mounts_see_each_others_buckets(mount, unique):
    name, here, there = unique(), mount(), mount()
    os.listdir(there / "kv")
    here.kv(name).mkdir()
    wait_until(lambda: name in os.listdir(there / "kv"), "the bucket is listed")
    wait_until(there.kv(name).is_dir, "the bucket is found")
    assert os.listdir(there.kv(name)) == []
    here.kv(name).rmdir()
    wait_until(lambda: name not in os.listdir(there / "kv"), "the bucket is gone")


def test_a_working_directory_follows_remote_changes(mnt, kv, kv_bucket):
    """A shell that stands in a directory goes on when others change its files."""
    bucket = kv_bucket()
    kv.put(bucket, "dir/key", b"one")
    with contextlib.chdir(mnt.kv(bucket, "dir")):
        assert os.listdir(".") == ["key"]
        kv.put_all(bucket, [("dir/key", b"two"), ("dir/more", b"three")])
        wait_until(lambda: sorted(os.listdir(".")) == ["key", "more"], "the change is listed")
        wait_until(lambda: content("key") == b"two", "the change is read")


# -- a large bucket ---------------------------------------------------------------------

MANY = 20_000


@pytest.fixture(scope="module")
def large(wire):
    """A bucket with MANY keys, half of them in one directory."""
    kv = KeyValues(wire)
    kv.create("large")
    kv.put_all("large", ((f"flat{n}" if n % 2 else f"d{n % 500}/k{n}", b"%d" % n)
                         for n in range(MANY)))
    yield "large"
    kv.remove("large")


def test_a_large_list_is_complete_while_others_write(mount, kv, large):
    wanted = {f"flat{n}" for n in range(1, MANY, 2)} | {f"d{n}" for n in range(0, 500, 2)}
    stop = threading.Event()

    def write():
        while not stop.is_set():
            kv.put_all(large, ((f"flat{n}", b"again") for n in range(1, 100, 2)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        names = os.listdir(mount().kv(large))
    finally:
        stop.set()
        writer.join()
    assert len(names) == len(set(names))
    assert set(names) == wanted


def test_a_single_key_is_read_before_the_list_is_there(mnt, large):
    assert mnt.kv(large, "flat777").read_bytes() == b"777"
    assert mnt.kv(large, "d2", "k502").read_bytes() == b"502"
    with refused(errno.ENOENT):
        os.stat(mnt.kv(large, "missing"))


def test_find_over_a_loaded_bucket_sends_nothing(mnt, large, server):
    assert len(walk(mnt.kv(large))) == MANY

    def sent_by_a_walk():
        before = server.requests()
        for directory, _, names in os.walk(mnt.kv(large)):
            for name in names:
                os.stat(os.path.join(directory, name))
        return server.requests() - before

    # What is sent by the clock, a few a second, is no matter; one for each of the 250
    # directories, let alone of the files, would be.
    assert min(sent_by_a_walk() for _ in range(3)) < 100
