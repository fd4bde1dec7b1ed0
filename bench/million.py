# SPDX-License-Identifier: Apache-2.0
"""Buckets of many keys, one directory of many keys, many buckets: what bench/run --million measures.

Raw nats.c (bench/keys.c) fills, drains and changes; nats.js lists the same bucket. No figure is a sum over
mounts: each comes from a mount of its own, and with it what that process held resident.
"""

import json
import os
import subprocess
import sys
import threading
import time

from mounts import status_field
from nats_wire import ApiError

DIRECTORIES = 100
VALUE = 64  # [bytes]
LISTER = """
import { connect } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
const connection = await connect({ servers: process.argv[2] });
const bucket = await new Kvm(jetstream(connection, { timeout: 120000 })).open(process.argv[3]);
const start = performance.now();
let count = 0;
for await (const key of await bucket.keys()) count++;
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000, count,
                             peak: process.resourceUsage().maxRSS * 1024 }));
await connection.close();
"""


class Million:
    """The measurements; bench is bench/run's, with its server, its wire, its mounts and its table."""

    def __init__(self, bench, count):
        self.bench, self.count = bench, count

    def keys(self, *arguments, start=False):
        """One line of bench/keys.c, or the running program."""
        command = [self.bench.tool("keys"), self.bench.server.url, *map(str, arguments)]
        if start:
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def fill(self):
        for bucket, directories in (("million", DIRECTORIES), ("flat", 0)):
            if f"KV_{bucket}" not in self.bench.wire.stream_names():
                self.bench.kv.create(bucket, history=5)
                self.keys("fill", bucket, 0, self.count, directories, VALUE)
        for i in range(1000):
            if f"KV_few{i}" not in self.bench.names:
                self.bench.kv.create(f"few{i}", storage="memory")
        self.bench.names = self.bench.wire.stream_names()

    def note(self, name, unit, value, limit=None, better="less"):
        self.bench.note(f"{self.count} keys: {name}", unit, value, limit, better)

    # -- one after the other, each in a mount of its own ------------------------------------------

    def cat(self):
        """One key, as the first thing that is done with a mount."""
        for bucket, key in (("million", "d7/k7"), ("flat", f"k{self.count * 3 // 4}")):
            with self.bench.mounted() as mount:
                path = mount.kv(bucket, key)
                seconds = timed(path.read_bytes)
            self.note(f"open, read, close of {key}, right after mounting", "ms", seconds * 1e3)

    def list(self):
        """find beside the consumer that it waits for, then everything again from memory."""
        drain = self.keys("drain", "million")
        with self.bench.mounted() as mount:
            before = resident(mount)
            seconds = timed(lambda: self.find(mount))
            self.note("first find", "s", seconds, drain["seconds"])
            self.note("memory a key, after find", "B", (resident(mount) - before) / self.count)
            self.note("peak memory a key, after find", "B", (peak(mount) - before) / self.count)
            self.note("second find", "s", timed(lambda: self.find(mount)))
            requests = self.bench.server.requests()
            start = time.monotonic()
            self.note("ls -l of a directory", "s", timed(lambda: listing(mount.kv("million", "d3"))))
            self.note("stat of each in a directory", "s", timed(lambda: os.system(
                f"find {mount.kv('million', 'd4')} -type f -printf %s >/dev/null")))
            polls = 1 + (time.monotonic() - start) / 2 * 2  # of the stream's state, of the buckets
            self.note("requests beyond the polls", "",
                      max(0, self.bench.server.requests() - requests - polls))
            self.note("find -size over all, from a cold kernel cache", "s",
                      timed(lambda: subprocess.run(["find", mount.kv("million"), "-size", "-2"],
                                                   stdout=subprocess.DEVNULL, check=True)))
            self.note("memory a key, every inode in the kernel", "B",
                      (resident(mount) - before) / self.count)

    def find(self, mount):
        out = subprocess.run(["find", mount.kv("million"), "-type", "f"], capture_output=True,
                             check=True).stdout
        assert out.count(b"\n") == self.count, out.count(b"\n")

    def others(self):
        """nats.js lists the same bucket."""
        tests = self.bench.repo / "tests"
        program = tests / "js" / ".lister.mjs"  # modules are found from the file's own folder
        program.write_text(LISTER)
        try:
            done = subprocess.run(["node", program, self.bench.server.url, "million"], cwd=tests,
                                  capture_output=True, text=True, timeout=600)
        finally:
            program.unlink()
        if done.returncode != 0:
            print(f"bench: nats.js did not list it: {done.stderr[-400:]}", file=sys.stderr)
            return
        found = json.loads(done.stdout)
        self.note("keys() of nats.js", "s", found["seconds"])
        self.note("keys() of nats.js, keys it told", "", found["count"])
        self.note("keys() of nats.js, peak memory a key", "B", found["peak"] / self.count)

    def visible(self):
        """From a PubAck elsewhere to the new bytes, in the full bucket."""
        times = []
        with self.bench.mounted() as mount:
            path = mount.kv("million", "d1", "k1")
            self.find(mount)
            for i in range(300):
                value = b"%08d" % i
                self.bench.kv.put("million", "d1/k1", value)
                start = time.perf_counter()
                while bytes_of(path) != value:
                    pass
                times.append(time.perf_counter() - start)
        self.percentiles("change visible", times)

    def percentiles(self, name, times, limits=()):
        for part, label in ((.5, "p50"), (.99, "p99"), (1, "worst")):
            self.note(f"{name}, {label}", "ms", at(times, part),
                      at(limits, part) if limits else None)

    def last_sequence(self):
        return self.bench.wire.stream_info("KV_million")["state"]["last_seq"]

    def put_accepted(self, key, value):
        """A server that cannot keep up refuses some (429)."""
        try:
            return self.bench.kv.put("million", key, value)
        except ApiError:
            return None

    def storm(self, rate=100000, seconds=10):
        """Readers while others change keys at full speed, and how long until the mount is even."""
        with self.bench.mounted() as mount:
            self.find(mount)
            before = self.last_sequence()
            writer = self.keys("storm", "million", self.count, DIRECTORIES, VALUE, rate, seconds,
                               start=True)
            reads, raw, stats, lists = [], [], [], []
            i = 0
            while writer.poll() is None:
                number = i % DIRECTORIES
                key = f"d{number}/k{number}"
                reads.append(timed(lambda: bytes_of(mount.kv("million", key))))
                raw.append(timed(lambda: self.bench.wire.request(
                    f"$JS.API.DIRECT.GET.KV_million.$KV.million.{key}", timeout=60)))
                stats.append(timed(lambda: stat_of(mount.kv("million", f"{key}00"))))
                if i % 4 == 0:
                    lists.append(timed(lambda: os.listdir(mount.kv("million", f"d{number}"))))
                i += 1
            seconds = json.loads(writer.stdout.read())["seconds"]
            stored = self.last_sequence() - before
            wait(lambda: self.put_accepted("d0/last", b"last"))
            even = timed(lambda: wait(lambda: bytes_of(mount.kv("million", "d0", "last")) == b"last"))
            self.note("changes a second from elsewhere, stored", "1/s", stored / seconds,
                      better="more")
            self.percentiles("cat meanwhile, beside a direct get", reads, raw)
            self.percentiles("stat meanwhile", stats)
            self.percentiles(f"ls of {self.count // DIRECTORIES} meanwhile", lists)
            self.note("the last change visible after", "s", even)
            self.note("peak memory a key, after that", "B", peak(mount) / self.count)
        self.bench.wire.stream_delete("KV_million")  # the next round begins with one revision each
        self.bench.names = self.bench.wire.stream_names()

    def flat(self):
        """One directory of all keys, listed while keys come and go."""
        with self.bench.mounted() as mount:
            directory = mount.kv("flat")
            self.note("flat, first ls -f", "s", timed(lambda: subprocess.run(
                ["ls", "-f", directory], stdout=subprocess.DEVNULL, check=True)))
            ending = threading.Event()

            def change():
                i = 0
                while not ending.is_set():
                    self.bench.kv.put("flat", f"t{i}", b"t")
                    self.bench.kv.purge("flat", f"t{i - 50}")
                    i += 1
            changer = threading.Thread(target=change)
            changer.start()
            try:
                start = time.perf_counter()
                names = [entry.name for entry in os.scandir(directory)]
                self.note("flat, listed while keys come and go", "s", time.perf_counter() - start)
            finally:
                ending.set()
                changer.join()
            lasting = [name for name in names if name.startswith("k")]
            assert len(lasting) == len(set(lasting)) == self.count, (len(lasting), len(set(lasting)))

    def buckets(self):
        """ls of kv/ with 1,000 buckets; which of them are watched."""
        with self.bench.mounted() as mount:
            self.note("1000 buckets, ls", "s", timed(lambda: os.listdir(mount / "kv")))
            os.listdir(mount.kv("few1"))
            consumers = sum(stream["state"]["consumer_count"] for stream in
                            self.bench.wire.api("STREAM.LIST", {"subject": "$KV.*.>"})["streams"])
            self.note("1000 buckets, watchers with one in use", "", consumers)

    def round(self):
        self.fill()
        for part in (self.cat, self.list, self.others, self.visible, self.flat, self.buckets,
                     self.storm):
            part()


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def at(times, part):
    """A percentile of seconds [ms]; part 1 is the longest."""
    return sorted(times)[min(len(times) - 1, int(len(times) * part))] * 1e3


def wait(predicate):
    while not predicate():
        pass


def resident(mount):
    return status_field(mount.pid, "VmRSS") * 1024


def peak(mount):
    return mount.memory_peak()


def listing(directory, how="-l"):
    subprocess.run(["ls", how, directory], stdout=subprocess.DEVNULL, check=True)


def bytes_of(path):
    """A key that is replaced all the time may be gone between lookup and open."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def stat_of(path):
    try:
        return path.stat()
    except OSError:
        return None
