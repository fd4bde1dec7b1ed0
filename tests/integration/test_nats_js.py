# SPDX-License-Identifier: Apache-2.0
"""Whatever names and bytes: nats.js and the mount agree, in both directions."""

import itertools
import string

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from support import content, noise, path_of, wait_until, write_file

few = settings(max_examples=40, deadline=None, derandomize=True, database=None,
               suppress_health_check=list(HealthCheck))

KEY = string.ascii_letters + string.digits + "-_=./"
keys = some.text(KEY, min_size=1, max_size=60).filter(
    lambda key: ".." not in key and not key.startswith(".") and not key.endswith("."))
names = some.text(some.characters(blacklist_categories=("Cs",), blacklist_characters="\0"),
                  min_size=1, max_size=60)
values = some.binary(max_size=3000)
long_ones = some.integers(0, 400_000).map(noise)
contents = some.one_of(some.binary(max_size=300), long_ones)


def numbered():
    """A directory for each example, so that none meets the files of another."""
    count = itertools.count(1)
    return lambda name: f"e{next(count)}/{name}"


def test_keys_agree_both_ways(mnt, js, kv_bucket):
    bucket, apart = kv_bucket(), numbered()

    @few
    @given(keys, values, values)
    def agree(key, first, second):
        key = apart(key)
        path = mnt.kv(bucket, path_of(key))
        js.kv_put(bucket, key, first)
        wait_until(lambda: content(path) == first, f"{path} has what nats.js wrote")
        write_file(path, second)
        if second:  # an empty one is committed by the release, which nobody waits for
            assert js.kv_get(bucket, key) == second
        wait_until(lambda: js.kv_get(bucket, key) == second, f"{path} is stored")
        path.unlink()
        assert js.kv_get(bucket, key) is None
        js.kv_put(bucket, key, first)
        wait_until(lambda: content(path) == first, f"{path} is there again")
        js.kv_delete(bucket, key)
        wait_until(lambda: not path.exists(), f"{path} is gone")

    agree()


def test_objects_agree_both_ways(mnt, js, obj_bucket):
    bucket, apart = obj_bucket(), numbered()

    @few
    @given(names, contents, contents)
    def agree(name, first, second):
        name = apart(name)
        path = mnt.obj(bucket, path_of(name))
        js.obj_put(bucket, name, first)
        wait_until(lambda: content(path) == first, f"{path} has what nats.js wrote")
        write_file(path, second)
        if second:
            assert js.obj_get(bucket, name) == second
        wait_until(lambda: js.obj_get(bucket, name) == second, f"{path} is stored")
        path.unlink()
        assert js.obj_get(bucket, name) is None

    agree()
