# SPDX-License-Identifier: Apache-2.0
"""What a refused, abandoned or late write must not do to what is there."""

import errno
import os

import pytest

from support import content, noise, refused, wait_until, write_file

MIB = 1 << 20


def test_a_refused_write_leaves_the_old_object(mnt, objects, obj_bucket):
    bucket, old = obj_bucket(), noise(MIB)
    path = mnt.obj(bucket, "object")
    objects.put(bucket, "object", old)
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, b"x" * 1000)
    with refused(errno.EOPNOTSUPP):
        os.pwrite(descriptor, b"y", 500_000)
    with refused(errno.EOPNOTSUPP):
        os.close(descriptor)
    assert objects.get(bucket, "object") == old
    wait_until(lambda: content(path) == old, "the mount shows it too")


def test_a_refused_write_leaves_the_old_value(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"old")
    descriptor = os.open(mnt.kv(bucket, "key"), os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, b"x" * 1000)
    with refused(errno.EFBIG):
        while True:  # a part may be taken before
            os.write(descriptor, b"y" * MIB)
    with refused(errno.EFBIG):
        os.close(descriptor)
    assert kv.get(bucket, "key") == b"old"
    wait_until(lambda: content(mnt.kv(bucket, "key")) == b"old", "the mount shows it too")


def test_an_object_that_is_being_replaced_reads_as_before(mnt, objects, obj_bucket):
    bucket, old, new = obj_bucket(), noise(3 * MIB, 1), noise(2 * MIB, 2)
    path = mnt.obj(bucket, "object")
    objects.put(bucket, "object", old)
    writer = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(writer, new[:MIB])
    with open(path, "rb") as reader:
        assert reader.read() == old
        os.write(writer, new[MIB:])
        os.close(writer)
        assert path.read_bytes() == new
        reader.seek(0)
        assert reader.read() == old
    assert objects.get(bucket, "object") == new


def test_opening_an_empty_object_adds_no_version(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    write_file(mnt.obj(bucket, "empty"), b"")
    before = wait_until(lambda: objects.entry(bucket, "empty"), "it is stored").seq
    os.close(os.open(mnt.obj(bucket, "empty"), os.O_WRONLY))
    os.utime(mnt.obj(bucket, "empty"))
    write_file(mnt.obj(bucket, "other"), b"later")
    assert objects.entry(bucket, "empty").seq == before


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_a_name_that_could_not_be_stored_goes_again(mnt, kv_bucket, obj_bucket, kind):
    """Its creation is committed by the release, which can tell nobody."""
    limits = {"max_bytes": 1}
    place = mnt.kv(kv_bucket(**limits)) if kind == "kv" else mnt.obj(obj_bucket(**limits))
    os.close(os.open(place / "ghost", os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    wait_until(lambda: os.listdir(place) == [], "the name is not listed")
    wait_until(lambda: not os.path.lexists(place / "ghost"), "the name is not found")


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_creating_a_file_only_to_read_it_makes_it(mnt, kv, objects, kv_bucket, obj_bucket, kind):
    """As flock(1) does."""
    stores, bucket = (kv, kv_bucket()) if kind == "kv" else (objects, obj_bucket())
    descriptor = os.open(mnt / kind / bucket / "lock", os.O_RDONLY | os.O_CREAT)
    assert os.read(descriptor, 10) == b""
    os.close(descriptor)
    wait_until(lambda: stores.get(bucket, "lock") == b"", "it is stored")
