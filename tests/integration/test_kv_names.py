# SPDX-License-Identifier: Apache-2.0
"""Names of keys as paths: percent-encoding, foreign keys, what KV does not allow."""

import contextlib
import errno
import os

import pytest

from support import refused, walk, write_file

ENCODED = {"a/./b": "a/%2E/b", "/lead": "%/lead", "trail/": "trail/%", "e//f": "e/%/f",
           "%x": "%25x", "@x": "%40x", "a@x": "a@x", "100%": "100%25", "g/@value": "g/%40value",
           "käse:1": "käse:1", "dotted.name": "dotted.name", "=_-": "=_-"}


def test_names_that_a_path_cannot_carry_are_percent_encoded(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [(raw, raw.encode()) for raw in ENCODED])
    assert walk(mnt.kv(bucket)) == sorted(ENCODED.values())
    for raw, path in ENCODED.items():
        assert mnt.kv(bucket, path).read_bytes() == raw.encode()


@pytest.mark.parametrize("raw", ["a/./b", "/lead", "trail/", "e//f"])
def test_an_encoded_path_names_the_raw_key(mnt, kv, kv_bucket, raw):
    bucket = kv_bucket()
    path = mnt.kv(bucket, ENCODED[raw])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, b"value")
    assert kv.keys(bucket) == [raw]


@pytest.mark.parametrize("key", ["käse:1", "bell\a"])
def test_a_foreign_key_can_be_replaced_and_removed(mnt, kv, kv_bucket, key):
    bucket = kv_bucket()
    kv.put(bucket, key, b"foreign")
    assert os.listdir(mnt.kv(bucket)) == [key]
    assert mnt.kv(bucket, key).read_bytes() == b"foreign"
    write_file(mnt.kv(bucket, key), b"ours")
    assert kv.get(bucket, key) == b"ours"
    os.unlink(mnt.kv(bucket, key))
    assert kv.get(bucket, key) is None


@pytest.mark.parametrize("name", ["a b", ".lead", "trail.", "a..b", "a*b", "*", ">", "käse", "a:b",
                                  "back\\slash", "new\nline", "%zz", "a%2Fb", "%", "@mine"])
def test_a_name_that_kv_does_not_allow_is_einval(mnt, kv, kv_bucket, name):
    bucket = kv_bucket()
    with refused(errno.EINVAL):
        write_file(mnt.kv(bucket, name), b"value")
    assert kv.keys(bucket) == [] and os.listdir(mnt.kv(bucket)) == []


def test_a_name_that_is_too_long_for_a_subject_is_refused(mnt, kv_bucket):
    """Above max_control_line the server would close the connection."""
    with contextlib.chdir(mnt.kv(kv_bucket())), refused(errno.ENAMETOOLONG):
        for _ in range(17):
            os.mkdir("d" * 240)
            os.chdir("d" * 240)
        write_file("d" * 240, b"")


def test_the_longest_name_that_a_subject_carries_is_written(mnt, kv, kv_bucket):
    bucket, key = kv_bucket(), "k" * 900
    write_file(mnt.kv(bucket, key), b"value")
    assert kv.get(bucket, key) == b"value"
