# SPDX-License-Identifier: Apache-2.0
"""Keys that end at their time: max_age, a TTL of their own, markers; what vanishes unannounced."""

import itertools
import os
import threading
import time

import pytest

from support import content, run, wait_until

SECOND = 10**9  # [ns]
LATE = 3.0  # [s] behind its time that a key may still show; a bound for loaded machines


@pytest.fixture
def ttl_bucket(kv_bucket, wire):
    """ttl_bucket(history=1, **config) -> a bucket that heeds Nats-TTL where the server can."""
    def make(history=1, **config):
        if heeds_ttl(wire):
            config["allow_msg_ttl"] = True
        return kv_bucket(history=history, **config)
    return make


def heeds_ttl(wire):
    """Older servers store a Nats-TTL as any header."""
    return wire.version >= (2, 11)


def vanished(path):
    """Whether a path is gone, through every cache."""
    return not os.path.exists(path) and path.name not in os.listdir(path.parent)


def wait_vanished(path, due):
    """Until a path is gone, which must not be later than LATE behind its time."""
    wait_until(lambda: vanished(path), f"{path.name} is gone", max(due - time.time(), 0) + LATE)
    assert time.time() > due - 0.5, "it went before its time"


def test_a_key_with_a_ttl_vanishes_at_its_time(mnt, kv, wire, ttl_bucket):
    bucket = ttl_bucket()
    kv.put(bucket, "stays", b"s")
    path = mnt.kv(bucket, "goes")
    assert os.listdir(path.parent) == ["stays"]
    kv.put(bucket, "goes", b"g", {"Nats-TTL": "2"})
    due = time.time() + 2
    wait_until(lambda: content(path) == b"g", "the key shows")
    if heeds_ttl(wire):
        wait_vanished(path, due)
    assert content(mnt.kv(bucket, "stays")) == b"s"


def test_a_ttl_that_the_bucket_does_not_heed_is_no_expiry(mnt, kv, wire, kv_bucket):
    bucket = kv_bucket()
    if heeds_ttl(wire):
        with pytest.raises(Exception, match="10166"):
            kv.put(bucket, "k", b"v", {"Nats-TTL": "1"})
        return
    path = mnt.kv(bucket, "k")
    kv.put(bucket, "k", b"v", {"Nats-TTL": "1"})
    wait_until(lambda: content(path) == b"v", "the key shows")
    first = os.stat(path)
    kv.put(bucket, "probe", b"", {"Nats-TTL": "1"})
    end = time.monotonic() + 2
    wait_until(lambda: time.monotonic() > end or not os.path.exists(path), "two seconds")
    assert os.stat(path).st_ino == first.st_ino


def test_a_ttl_told_by_the_list_counts(mount, kv, wire, ttl_bucket):
    bucket = ttl_bucket()
    kv.put(bucket, "d/goes", b"g", {"Nats-TTL": "3s"})
    due = time.time() + 3
    mnt = mount()
    path = mnt.kv(bucket, "d", "goes")
    assert content(path) == b"g"
    if heeds_ttl(wire):
        wait_until(lambda: not os.path.exists(path.parent), "the directory is gone",
                   max(due - time.time(), 0) + LATE)
        assert os.listdir(mnt.kv(bucket)) == []


def test_an_older_revision_shows_when_the_newest_expires(mnt, kv, wire, ttl_bucket):
    bucket = ttl_bucket(history=5)
    path = mnt.kv(bucket, "k")
    first = kv.put(bucket, "k", b"lasting")
    kv.put(bucket, "k", b"for two seconds", {"Nats-TTL": "2"})
    assert content(path) == b"for two seconds"
    if heeds_ttl(wire):
        wait_until(lambda: content(path) == b"lasting", "the older revision shows", 2 + LATE)
        assert kv.entry(bucket, "k").seq == first
    else:
        assert kv.get(bucket, "k") == b"for two seconds"


def test_a_new_revision_without_a_ttl_stays(mnt, kv, wire, ttl_bucket):
    bucket = ttl_bucket(history=3)
    path = mnt.kv(bucket, "k")
    kv.put(bucket, "k", b"short", {"Nats-TTL": "1"})
    kv.put(bucket, "k", b"long")
    kv.put(bucket, "other", b"o", {"Nats-TTL": "2"})
    wait_until(lambda: content(path) == b"long", "the newest shows")
    if heeds_ttl(wire):
        wait_until(lambda: vanished(mnt.kv(bucket, "other")), "its neighbour is gone", 2 + LATE)
    assert content(path) == b"long"


def test_a_limit_marker_removes_the_key(mnt, kv, wire, ttl_bucket):
    if not heeds_ttl(wire):
        bucket = ttl_bucket(max_age=2 * SECOND)
    else:
        bucket = ttl_bucket(max_age=2 * SECOND, subject_delete_marker_ttl=1 * SECOND)
    path = mnt.kv(bucket, "k")
    kv.put(bucket, "k", b"v")
    due = time.time() + 2
    wait_until(lambda: content(path) == b"v", "the key shows")
    wait_vanished(path, due)
    wait_until(lambda: kv.entry(bucket, "k") is None, "the marker is gone too")
    assert vanished(path)
    kv.put(bucket, "k", b"again")
    wait_until(lambda: content(path) == b"again", "the key is made again")


def test_many_keys_of_one_age_vanish_together(mnt, kv, kv_bucket):
    count, age = 5000, 4
    bucket = kv_bucket(max_age=age * SECOND)
    directory = mnt.kv(bucket)
    assert os.listdir(directory) == []
    kv.put_all(bucket, ((f"d{i % 10}/k{i}", b"v") for i in range(count)))
    last = time.time()
    run("ls", "-lR", directory)
    wait_until(lambda: os.listdir(directory) == [], "all are gone",
               max(last + age - time.time(), 0) + LATE)


def test_many_keys_of_one_ttl_vanish_together(mnt, kv, wire, ttl_bucket):
    count, ttl = 2000, 3
    bucket = ttl_bucket(history=2)
    directory = mnt.kv(bucket)
    kv.put_all(bucket, ((f"k{i}", b"old") for i in range(0, count, 2)))
    wire.store_all((f"$KV.{bucket}.k{i}", b"new", {"Nats-TTL": str(ttl)}) for i in range(count))
    last = time.time()
    wait_until(lambda: len(os.listdir(directory)) == count, "all show")
    if heeds_ttl(wire):
        wait_until(lambda: len(os.listdir(directory)) == count // 2, "half is left",
                   max(last + ttl - time.time(), 0) + 2 * LATE)
        assert content(directory / "k0") == b"old"
        assert not os.path.exists(directory / "k1")


def test_a_key_that_never_expires_outlives_the_buckets_age(mnt, kv, wire, ttl_bucket):
    bucket = ttl_bucket(max_age=2 * SECOND)
    for key, ttl in (("goes", None), ("stays", "never")):
        kv.put(bucket, key, b"v", {"Nats-TTL": ttl} if ttl else None)
    due = time.time() + 2
    path = mnt.kv(bucket, "goes")
    wait_until(lambda: content(path) == b"v", "the key shows")
    wait_vanished(path, due)
    assert (content(mnt.kv(bucket, "stays")) == b"v") == heeds_ttl(wire)


@pytest.fixture
def changing(server):
    """changing(bucket) -> others write that bucket all the time, until the test ends."""
    ending, threads = threading.Event(), []

    def write(bucket):
        wire = server.connect()
        numbers = itertools.count()
        while not ending.wait(0.002):
            number = next(numbers)
            wire.store(f"$KV.{bucket}.busy{number % 20}", b"%d" % number)
            wire.store(f"$KV.{bucket}.new{number}", b"")
        wire.close()

    def start(bucket):
        threads.append(threading.Thread(target=write, args=(bucket,)))
        threads[-1].start()

    yield start
    ending.set()
    for thread in threads:
        thread.join()


NOTICED = 10.0  # [s], as promised


@pytest.mark.parametrize("busy", [False, True], ids=["at rest", "while others write"])
def test_a_purged_subject_is_noticed(mnt, kv, wire, kv_bucket, changing, busy):
    bucket = kv_bucket(history=3)
    for key in ("first", "d/middle", "last"):
        kv.put(bucket, key, b"1")
        kv.put(bucket, key, b"2")
    path = mnt.kv(bucket, "d", "middle")
    assert content(path) == b"2"
    if busy:
        changing(bucket)
    wire.stream_purge(f"KV_{bucket}", f"$KV.{bucket}.d/middle")
    wait_until(lambda: not os.path.exists(path.parent), "it is gone, and its directory", 2 * NOTICED)
    assert content(mnt.kv(bucket, "first")) == content(mnt.kv(bucket, "last")) == b"2"


def test_a_purge_that_keeps_the_newest_changes_nothing(mnt, kv, wire, kv_bucket):
    bucket = kv_bucket(history=5)
    for value in (b"1", b"2", b"3"):
        kv.put(bucket, "k", value)
    path = mnt.kv(bucket, "k")
    assert content(path) == b"3"
    before = os.stat(path).st_ino
    wire.api(f"STREAM.PURGE.KV_{bucket}", {"filter": f"$KV.{bucket}.k", "keep": 1})
    kv.put(bucket, "other", b"o")
    wait_until(lambda: content(mnt.kv(bucket, "other")) == b"o", "what comes later shows")
    assert os.stat(path).st_ino == before
    assert content(path) == b"3"


@pytest.mark.parametrize("history", [1, 3])
def test_a_removed_message_is_noticed(mnt, kv, wire, kv_bucket, history):
    bucket = kv_bucket(history=history, deny_delete=False)
    kv.put(bucket, "k", b"older")
    newest = kv.put(bucket, "k", b"newest")
    kv.put(bucket, "other", b"o")
    path = mnt.kv(bucket, "k")
    assert content(path) == b"newest"
    wait_polled(mnt, kv, bucket, wire)
    wire.api(f"STREAM.MSG.DELETE.KV_{bucket}", {"seq": newest})
    wanted = b"older" if history > 1 else None
    wait_until(lambda: content(path) == wanted, "the newest revision is gone", 2 * NOTICED)


def wait_polled(mnt, kv, bucket, wire):
    """Until the mount has asked for the stream's state once more: what it compares with later."""
    def asked():
        return wire.stream_info(f"KV_{bucket}")["state"]["consumer_count"] > 0
    wait_until(asked, "the bucket is watched")
    end = time.monotonic() + 5  # two polls
    wait_until(lambda: time.monotonic() > end, "the mount has looked at the stream twice", 6)


def test_a_purge_of_everything_is_noticed(mnt, kv, wire, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, ((f"k{i}", b"v") for i in range(100)))
    assert len(os.listdir(mnt.kv(bucket))) == 100
    wire.stream_purge(f"KV_{bucket}")
    wait_until(lambda: os.listdir(mnt.kv(bucket)) == [], "all are gone", 2 * NOTICED)
