# SPDX-License-Identifier: Apache-2.0
"""The directory .jsfs of buckets: reached by its path, in no listing unless it is asked for."""

import errno
import os
import stat

from support import refused, run, wait_until


def test_the_control_directory_is_reached_but_not_listed(mnt, kv, objects, kv_bucket, obj_bucket):
    keys, store = kv_bucket(), obj_bucket()
    kv.put(keys, "key", b"1")
    objects.put(store, "object", b"1")
    for top, name in ((mnt.kv(keys), "key"), (mnt.obj(store), "object")):
        assert os.listdir(top) == [name]
        state = os.stat(top / ".jsfs")
        assert stat.S_ISDIR(state.st_mode)
        assert stat.S_IMODE(state.st_mode) == 0o555
        assert state.st_mtime_ns == os.stat(top).st_mtime_ns
        assert run("find", top).stdout.split() == [str(top), str(top / name)]


def test_the_control_directory_is_at_the_top_of_a_bucket_only(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "a/b", b"1")
    for path in (mnt.path / "kv", mnt.kv(bucket, "a")):
        with refused(errno.ENOENT):
            os.stat(path / ".jsfs")


def test_show_control_lists_it(mount, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("a/b", b"1"), ("c", b"2")])
    mnt = mount("-o", "show_control")
    assert sorted(os.listdir(mnt.kv(bucket))) == [".jsfs", "a", "c"]
    entry = next(one for one in os.scandir(mnt.kv(bucket)) if one.name == ".jsfs")
    assert entry.is_dir()
    assert entry.inode() == os.stat(mnt.kv(bucket, ".jsfs")).st_ino
    assert os.listdir(mnt.kv(bucket, "a")) == ["b"]


def test_nothing_can_be_made_or_removed_in_it(mnt, kv_bucket):
    bucket = kv_bucket()
    control = mnt.kv(bucket, ".jsfs")
    for attempt in (lambda: (control / "new").write_bytes(b"1"), lambda: os.mkdir(control / "new"),
                    lambda: os.mkfifo(control / "new"), lambda: os.symlink("x", control / "new"),
                    lambda: os.rmdir(control)):
        with refused(errno.EPERM):
            attempt()
    with refused(errno.EEXIST):
        os.mkdir(control)
    with refused(errno.ENOENT):
        os.stat(control / "new")


def test_it_is_estale_when_its_bucket_is_gone(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"1")
    os.listdir(mnt.kv(bucket))
    held = os.open(mnt.kv(bucket, ".jsfs"), os.O_PATH)
    try:
        kv.remove(bucket)
        wait_until(lambda: not mnt.kv(bucket).exists(), "the bucket is not shown")
        with refused(errno.ESTALE):
            os.listdir(f"/proc/self/fd/{held}")
        with refused(errno.ENOENT):
            os.stat(mnt.kv(bucket, ".jsfs"))
    finally:
        os.close(held)
