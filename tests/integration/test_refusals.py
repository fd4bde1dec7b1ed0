# SPDX-License-Identifier: Apache-2.0
"""What a mount does not do yet, or never: each refusal has the errno that programs cope with."""

import errno
import os
import stat

import pytest

from support import refused, run, write_file


@pytest.fixture(params=["kv", "obj"])
def directory(request, mnt, kv_bucket, obj_bucket):
    """A bucket of each kind with one file in it."""
    place = mnt.kv(kv_bucket()) if request.param == "kv" else mnt.obj(obj_bucket())
    write_file(place / "there", b"bytes")
    return place


def test_mv_copies_and_removes(mnt, obj_bucket):
    """rename(2) of an object is EXDEV, so the new name is committed before the old one goes."""
    directory = mnt.obj(obj_bucket())
    write_file(directory / "there", b"bytes")
    with refused(errno.EXDEV):
        os.rename(directory / "there", directory / "moved")
    run("mv", directory / "there", directory / "moved")
    assert os.listdir(directory) == ["moved"]
    assert (directory / "moved").read_bytes() == b"bytes"


def test_links_and_devices_cannot_be_made(directory):
    with refused(errno.EPERM):
        os.link(directory / "there", directory / "hard")
    with refused(errno.EPERM):
        os.symlink("there", directory / "soft")
    with refused(errno.EPERM):
        os.mknod(directory / "fifo", stat.S_IFIFO | 0o644)
    assert os.listdir(directory) == ["there"]
