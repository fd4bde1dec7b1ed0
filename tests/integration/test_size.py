# SPDX-License-Identifier: Apache-2.0
"""Buckets of many keys, many buckets, many changes. Speed is measured by bench/run --million; here are
the promises that hold on any machine, with generous bounds."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mounts import status_field
from support import content, run, wait_until, walk

KEYS = 50_000
DIRECTORIES = 50
STALL = 5.0  # [s] that what the mount knows may take while others write at full speed
SERVER_STALL = 30.0  # [s] for what the server must be asked for; it is what is overloaded

# Another process, so that its work is not ours: puts as fast as the server stores them. It waits for the last of
# each burst, or what a slow machine has queued would keep the server from answering anybody for minutes.
WRITER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from nats_wire import Wire
wire, bucket, keys, directories = Wire(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
end, i = time.monotonic() + float(sys.argv[6]), 0
while time.monotonic() < end:
    lines = []
    for i in range(i, i + 500):
        key = i * 7919 % keys
        lines.append(b"PUB $KV.%s.d%d/k%d 8\\r\\n%08d\\r\\n" % (bucket.encode(), key % directories, key, i))
    wire._send(b"".join(lines))
    wire.store("$KV.%s.d%d/k%d" % (bucket, key % directories, key), b"last one")
print(i)
"""


@pytest.fixture(scope="module")
def many(kv, wire):
    """A bucket of KEYS keys in DIRECTORIES directories."""
    bucket = "test-size-many"
    kv.create(bucket, history=5, storage="memory")
    fill(wire, bucket, (f"d{i % DIRECTORIES}/k{i}" for i in range(KEYS)))
    yield bucket
    kv.remove(bucket)


def fill(wire, bucket, keys):
    """Puts of which the last of each burst is acknowledged: faster than waiting for each."""
    keys = list(keys)
    for start in range(0, len(keys), 1000):
        *burst, last = keys[start:start + 1000]
        for key in burst:
            wire.publish(f"$KV.{bucket}.{key}", b"v" * 64)
        wire.store(f"$KV.{bucket}.{last}", b"v" * 64)
    stream = f"KV_{bucket}"
    wait_until(lambda: wire.stream_info(stream)["state"]["num_subjects"] == len(keys),
               "every key is stored")


def timed(work):
    start = time.monotonic()
    work()
    return time.monotonic() - start


def test_a_single_key_of_a_large_bucket_is_read_before_its_list_is_there(mount, kv, many):
    mnt = mount()
    assert content(mnt.kv(many, "d7", "k7")) == b"v" * 64
    assert content(mnt.kv(many, "d7", "no-such-key")) is None


def test_a_large_bucket_is_walked_without_requests_and_in_little_memory(
        mount, server, many, sanitized):
    mnt = mount()
    os.listdir(mnt / "kv")
    before = status_field(mnt.pid, "VmRSS") * 1024
    assert len(walk(mnt.kv(many))) == KEYS
    a_key = (status_field(mnt.pid, "VmRSS") * 1024 - before) / KEYS
    assert sanitized or a_key < 600, f"{a_key} bytes a key"  # the process's own are in it
    requests, start = server.requests(), time.monotonic()
    run("find", mnt.kv(many), "-type", "f", "-size", "1")
    run("ls", "-l", mnt.kv(many, "d3"))
    polls = 2 + (time.monotonic() - start)  # the stream's state, the list of buckets, heartbeats
    assert server.requests() - requests <= polls + 2


def test_a_change_in_a_large_bucket_is_seen(mnt, kv, many):
    directory = mnt.kv(many, "d9")
    path = directory / "k9"
    assert content(path) is not None
    for i in range(20):
        value = b"%d" % i
        kv.put(many, "d9/k9", value)
        wait_until(lambda value=value: content(path) == value, "the change shows")
    kv.put(many, "d9/added", b"")
    wait_until(lambda: "added" in os.listdir(directory), "an added key is listed")
    kv.purge(many, "d9/added")
    wait_until(lambda: "added" not in os.listdir(directory), "a purged key is not")


def test_a_large_directory_is_listed_while_keys_come_and_go(mnt, kv, wire, kv_bucket, server):
    bucket = kv_bucket(storage="memory")
    lasting = {f"k{i}" for i in range(KEYS)}
    fill(wire, bucket, sorted(lasting))
    directory = mnt.kv(bucket)
    os.listdir(directory)
    ending = threading.Event()

    def come_and_go():
        other = server.connect()
        number = 0
        while not ending.is_set():
            other.publish(f"$KV.{bucket}.t{number}", b"")
            other.store(f"$KV.{bucket}.t{number - 10}", b"",
                        {"KV-Operation": "PURGE", "Nats-Rollup": "sub"})
            number += 1
        other.close()

    changer = threading.Thread(target=come_and_go)
    changer.start()
    try:
        for _ in range(3):
            names = [name for name in os.listdir(directory) if name.startswith("k")]
            assert len(names) == len(lasting) and set(names) == lasting
    finally:
        ending.set()
        changer.join()


def test_readers_go_on_while_others_change_keys_at_full_speed(mnt, server, kv, many):
    top = mnt.kv(many)
    assert len(os.listdir(top)) == DIRECTORIES
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(Path(__file__).parent), server.url, many, str(KEYS),
         str(DIRECTORIES), "3"], stdout=subprocess.PIPE, text=True)
    waits = {"stat": 0.0, "ls": 0.0, "cat": 0.0}
    number = 0
    while writer.poll() is None:
        number = (number + 1) % DIRECTORIES
        path = top / f"d{number}" / f"k{number}"
        waits["stat"] = max(waits["stat"], timed(lambda path=path: os.path.exists(path)))
        waits["ls"] = max(waits["ls"], timed(lambda path=path: os.listdir(path.parent)))
        waits["cat"] = max(waits["cat"], timed(lambda path=path: content(path)))
    assert int(writer.stdout.read()) > 1000
    assert waits["stat"] < STALL and waits["ls"] < STALL and waits["cat"] < SERVER_STALL, waits
    kv.put(many, "d0/last", b"last")
    wait_until(lambda: content(top / "d0" / "last") == b"last", "the last change shows", 30)
    kv.purge(many, "d0/last")


def test_many_buckets_are_listed_and_only_those_in_use_are_watched(make_server, mount):
    own = make_server()
    with contextlib.closing(own.connect()) as wire:
        count = 200
        for i in range(count):
            wire.stream_create(f"KV_b{i}", subjects=[f"$KV.b{i}.>"], max_msgs_per_subject=1,
                               storage="memory", allow_direct=True)
        wire.store("$KV.b7.key", b"value")
        mnt = mount(server=own)
        assert sorted(os.listdir(mnt / "kv")) == sorted(f"b{i}" for i in range(count))
        assert content(mnt.kv("b7", "key")) == b"value"
        assert os.listdir(mnt.kv("b7")) == ["key"]

        def watched():
            return [stream["config"]["name"] for stream in wire.api("STREAM.LIST")["streams"]
                    if stream["state"]["consumer_count"] > 0]
        wait_until(lambda: watched() == ["KV_b7"], "one bucket is watched")
