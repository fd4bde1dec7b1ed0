# SPDX-License-Identifier: Apache-2.0
"""`.jsfs/events`: one JSON line for each change, in order, from the moment of opening."""

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from nats_stores import KeyValues
from support import refused, run, wait_until, write_file

EVENTS = (".jsfs", "events")
QUEUE = 1 << 20  # [bytes] of lines that a reader may have waiting


class Reader:
    """An open events file and the lines that were read from it."""

    def __init__(self, path, flags=os.O_NONBLOCK):
        self.descriptor = os.open(path, os.O_RDONLY | flags)
        self.ended = False
        self._rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def read_available(self):
        """Every whole line that is there, decoded."""
        while not self.ended:
            try:
                data = os.read(self.descriptor, 65536)
            except BlockingIOError:
                break
            self.ended = not data
            self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]

    def wait(self, count=1, timeout=15.0):
        """The next lines, exactly so many."""
        found = []

        def enough():
            found.extend(self.read_available())
            return len(found) >= count or self.ended

        wait_until(enough, f"{count} lines of events", timeout)
        assert len(found) == count, found
        return found

    def until(self, last):
        """The lines up to the first for which last(line) is true."""
        found = []

        def seen():
            found.extend(self.read_available())
            return any(map(last, found)) or self.ended

        wait_until(seen, "the last line", 60.0)
        assert any(map(last, found)), found[-3:]
        return found


@contextlib.contextmanager
def many(*paths):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Reader(path)) for path in paths]


def told(line):
    """What counts of a line of one change."""
    return line["key"], line["operation"], line["revision"], line["size"]


# -- what is told -------------------------------------------------------------------------------


def test_changes_of_keys_are_told_with_key_operation_revision_and_size(mnt, kv, js, kv_bucket):
    bucket = kv_bucket(history=5)
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        first = js.kv_put(bucket, "a/b.c", b"four")
        js.kv_delete(bucket, "a/b.c")
        assert [told(line) for line in events.wait(2)] == [
            ("a/b.c", "put", first, 4), ("a/b.c", "delete", first + 1, 0)]
        kv.put(bucket, "x", b"")
        events.wait()
        kv.purge(bucket, "x")
        assert told(events.wait()[0]) == ("x", "purge", first + 3, 0)


def test_a_line_has_the_servers_time_the_bucket_and_the_path(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        kv.put(bucket, "one%two/.x/three", b"1")
        line = events.wait()[0]
    assert line["bucket"] == bucket
    assert line["key"] == "one%two/.x/three"
    assert line["path"] == "one%25two/.x/three"
    assert line["time"].endswith("Z")
    path = mnt.kv(bucket, line["path"])
    seconds, _, fraction = line["time"].removesuffix("Z").partition(".")
    stored = int(time.mktime(time.strptime(seconds + " UTC", "%Y-%m-%dT%H:%M:%S %Z")))
    assert (stored - time.timezone) * 10**9 + int(fraction.ljust(9, "0")) == os.stat(path).st_mtime_ns


def test_the_path_of_a_key_that_is_also_a_directory_is_its_value(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "a/b", b"1")
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        kv.put(bucket, "a", b"2")
        line = events.wait()[0]
    assert (line["key"], line["path"]) == ("a", "a/@value")


def test_keys_of_any_bytes_are_told(mnt, wire, kv_bucket):
    bucket = kv_bucket()
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        wire.store(f"$KV.{bucket}.quote\"back\\slash", b"1")
        wire.store(f"$KV.{bucket}.grün", b"2")
        wire.store(f"$KV.{bucket}.".encode() + b"raw\xff\xc3", b"3")
        quoted, umlaut, raw = events.wait(3)
    assert quoted["key"] == 'quote"back\\slash'
    assert umlaut["key"] == umlaut["path"] == "grün"
    assert "key_base64" not in umlaut
    assert raw["key"] == raw["path"] == "raw��"
    assert raw["key_base64"] == raw["path_base64"] == "cmF3_8M="


def test_changes_of_objects_are_told(mnt, js, objects, obj_bucket):
    bucket = obj_bucket()
    objects.put(bucket, "before", b"x")
    with Reader(mnt.obj(bucket, *EVENTS)) as events:
        objects.put(bucket, "dir/big", bytes(300000))
        meta = objects.entry(bucket, "dir/big").seq
        assert told(events.wait()[0]) == ("dir/big", "put", meta, 300000)
        js.obj_delete(bucket, "dir/big")
        line = events.wait()[0]
        assert (line["key"], line["operation"], line["size"]) == ("dir/big", "delete", 0)
        assert line["revision"] == objects.entry(bucket, "dir/big").seq


def test_writes_of_this_mount_are_events_too(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        write_file(mnt.kv(bucket, "own"), b"12345")
        assert told(events.wait()[0]) == ("own", "put", kv.entry(bucket, "own").seq, 5)
        os.unlink(mnt.kv(bucket, "own"))
        assert told(events.wait()[0]) == ("own", "delete", kv.entry(bucket, "own").seq, 0)


def test_writes_of_this_mount_to_objects_are_events_too(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    with Reader(mnt.obj(bucket, *EVENTS)) as events:
        write_file(mnt.obj(bucket, "own"), bytes(200000))
        sequence = objects.entry(bucket, "own").seq
        assert told(events.wait()[0]) == ("own", "put", sequence, 200000)


def test_what_was_there_before_opening_is_not_told(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    for number in range(20):
        kv.put(bucket, f"k{number % 7}", b"old")
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        revision = kv.put(bucket, "k1", b"new")
        assert told(events.wait()[0]) == ("k1", "put", revision, 3)


def test_nothing_after_opening_is_missed(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=64)
    for number in range(200):
        kv.put(bucket, f"k{number}", b"x")
    for number in range(20):
        with Reader(mnt.kv(bucket, *EVENTS)) as events:
            revision = kv.put(bucket, "k", str(number).encode())
            assert [line["revision"] for line in
                    events.until(lambda line: line["revision"] >= revision)] == [revision]


def test_expiry_by_age_is_told_once(mnt, kv, kv_bucket):
    bucket = kv_bucket(max_age=2 * 10**9)
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        revision = kv.put(bucket, "short", b"lived")
        put, expired = events.wait(2)
        assert told(expired) == ("short", "expiry", revision, 0)
        assert expired["time"][:17] >= put["time"][:17]
        last = kv.put(bucket, "after", b"")
        lines = events.until(lambda line: line["key"] == "after")
        assert [told(line) for line in lines] == [("after", "put", last, 0)]


def test_a_purge_that_leaves_no_message_is_told(mnt, kv, wire, kv_bucket):
    bucket = kv_bucket()
    revision = kv.put(bucket, "gone", b"x")
    kv.put(bucket, "stays", b"x")
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        wire.stream_purge(f"KV_{bucket}", f"$KV.{bucket}.gone")
        assert told(events.wait()[0]) == ("gone", "purge", revision, 0)


def test_every_revision_is_told_in_order(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=64)
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        for number in range(40):
            kv.put_all(bucket, ((f"k{key}", b"x" * number) for key in range(50)))
        lines = events.until(lambda line: line["revision"] == 2000)
    assert [line["revision"] for line in lines] == list(range(1, 2001))
    assert [line["size"] for line in lines] == [number for number in range(40) for _ in range(50)]


def test_two_mounts_tell_the_same(mount, kv_bucket):
    bucket, one, two = kv_bucket(history=10), mount(), mount()
    with many(one.kv(bucket, *EVENTS), two.kv(bucket, *EVENTS)) as (here, there):
        write_file(one.kv(bucket, "a"), b"1")
        write_file(two.kv(bucket, "b"), b"22")
        os.unlink(one.kv(bucket, "a"))
        assert here.wait(3) == there.wait(3)


# -- how it is read -----------------------------------------------------------------------------


def test_a_read_waits_for_a_change(mnt, kv, kv_bucket):
    bucket, lines = kv_bucket(), []
    with Reader(mnt.kv(bucket, *EVENTS), 0) as events:
        thread = threading.Thread(target=lambda: lines.append(os.read(events.descriptor, 4096)))
        thread.start()
        wait_until(lambda: _waits_in_read(thread), "the read waits")
        kv.put(bucket, "k", b"1")
        thread.join(15)
        assert not thread.is_alive()
    assert json.loads(lines[0])["key"] == "k"


def _waits_in_read(thread):
    """In the kernel's wait for an answer of FUSE."""
    with contextlib.suppress(OSError):
        with open(f"/proc/self/task/{thread.native_id}/syscall") as file:
            return file.read().split()[0] == "0"
    return False


def test_a_waiting_read_is_interruptible(mnt, kv_bucket):
    bucket = kv_bucket()
    reader = subprocess.Popen(["cat", str(mnt.kv(bucket, *EVENTS))], stdout=subprocess.PIPE)
    wait_until(lambda: _has_open(reader.pid, "events"), "cat has the file open")
    reader.send_signal(signal.SIGINT)
    assert reader.wait(15) == -signal.SIGINT
    reader.stdout.close()


def _has_open(pid, name):
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            if os.path.basename(os.readlink(entry.path)) == name:
                return True
    return False


def test_an_interrupted_read_loses_nothing(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=64)
    script = ("import os,signal,sys\n"
              "signal.signal(signal.SIGALRM, lambda *_: None)\n"
              "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n"
              "fd = os.open(sys.argv[1], os.O_RDONLY)\n"
              "print('open', flush=True)\n"
              "data = b''\n"
              "while data.count(b'\\n') < 1000: data += os.read(fd, 4096)\n"
              "signal.setitimer(signal.ITIMER_REAL, 0)\n"
              "sys.stdout.write(data.decode())\n")
    reader = subprocess.Popen(["python3", "-c", script, str(mnt.kv(bucket, *EVENTS))],
                              stdout=subprocess.PIPE, text=True)
    assert reader.stdout.readline() == "open\n"
    for number in range(1000):
        kv.put(bucket, f"k{number % 20}", b"")
    text, _ = reader.communicate(timeout=60)
    assert [json.loads(line)["revision"] for line in text.splitlines()] == list(range(1, 1001))


def test_without_a_change_a_nonblocking_read_is_eagain(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        with refused(errno.EAGAIN):
            os.read(events.descriptor, 100)
        kv.put(bucket, "k", b"")
        events.wait()
        with refused(errno.EAGAIN):
            os.read(events.descriptor, 100)


def test_nonblocking_can_be_set_later(mnt, kv_bucket):
    with Reader(mnt.kv(kv_bucket(), *EVENTS), 0) as events:
        flags = fcntl.fcntl(events.descriptor, fcntl.F_GETFL)
        fcntl.fcntl(events.descriptor, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        with refused(errno.EAGAIN):
            os.read(events.descriptor, 100)


def test_small_reads_get_every_byte(mnt, kv, kv_bucket):
    bucket, data = kv_bucket(), b""
    with Reader(mnt.kv(bucket, *EVENTS), 0) as events:
        kv.put(bucket, "a", b"")
        kv.put(bucket, "b", b"")
        while data.count(b"\n") < 2:
            data += os.read(events.descriptor, 7)
    assert [json.loads(line)["key"] for line in data.splitlines()] == ["a", "b"]


@pytest.mark.parametrize("how", ["select", "poll", "epoll", "epoll edge"])
def test_a_change_wakes_who_waits_for_readiness(mnt, kv, kv_bucket, how):
    bucket = kv_bucket()
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        ready = _poller(how, events.descriptor)
        assert not ready(0)
        for number in range(5):
            late = threading.Timer(0.05, kv.put, (bucket, f"k{number}", b""))
            late.start()
            assert ready(15)
            late.join()
            events.wait()
            assert how == "epoll edge" or not ready(0)


def _poller(how, descriptor):
    """ready(seconds) -> whether the descriptor became readable in that time."""
    if how == "select":
        return lambda seconds: select.select([descriptor], [], [], seconds)[0]
    if how == "poll":
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return lambda seconds: poll.poll(seconds * 1000)
    epoll = select.epoll()
    epoll.register(descriptor, select.EPOLLIN | (select.EPOLLET if "edge" in how else 0))
    return lambda seconds: epoll.poll(seconds)


def test_tail_f_follows(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=10)
    command = ["tail", "-f", str(mnt.kv(bucket, *EVENTS))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tail:
        try:
            wait_until(lambda: _has_open(tail.pid, "events"), "tail has the file open")
            lines = []
            for number in range(3):  # what is put before tail has opened is not told
                revision = kv.put(bucket, "k", b"x" * number)
                lines.append(json.loads(tail.stdout.readline()))
                assert lines[-1]["revision"] == revision
            kv.put_all(bucket, ((f"many{number}", b"") for number in range(500)))
            lines = [json.loads(tail.stdout.readline()) for _ in range(500)]
            assert [line["key"] for line in lines] == [f"many{number}" for number in range(500)]
        finally:
            tail.terminate()


def test_tail_f_shows_what_came_before_its_first_read(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    script = 'exec 3< "$1"; echo open; read -r go; exec tail -f <&3 3<&-'
    with subprocess.Popen(["sh", "-c", script, "sh", str(mnt.kv(bucket, *EVENTS))],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tail:
        try:
            assert tail.stdout.readline() == b"open\n"
            kv.put_all(bucket, ((f"k{number}", b"") for number in range(3)))
            _wait_until_told(mnt, kv, bucket)
            tail.stdin.write(b"go\n")
            tail.stdin.flush()
            keys = [json.loads(tail.stdout.readline())["key"] for _ in range(4)]
            assert keys == ["k0", "k1", "k2", "last"]
        finally:
            tail.terminate()


def _wait_until_told(mnt, kv, bucket):
    """Every reader that is open now has a change of the key "last" queued."""
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        kv.put(bucket, "last", b"")
        events.until(lambda line: line["key"] == "last")


def test_a_second_tail_f_follows_beside_the_first(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        kv.put(bucket, "first", b"")
        events.wait()
        with subprocess.Popen(["tail", "-n", "0", "-f", str(mnt.kv(bucket, *EVENTS))],
                              stdout=subprocess.PIPE) as tail:
            try:
                wait_until(lambda: _has_open(tail.pid, "events"), "tail has the file open")
                kv.put(bucket, "second", b"")
                assert json.loads(tail.stdout.readline())["key"] == "second"
            finally:
                tail.terminate()


def test_head_ends_at_the_first_change(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    with subprocess.Popen(["head", "-n", "1", str(mnt.kv(bucket, *EVENTS))],
                          stdout=subprocess.PIPE) as head:
        wait_until(lambda: _has_open(head.pid, "events"), "head has the file open")
        kv.put(bucket, "k", b"")
        out, _ = head.communicate(timeout=15)
    assert json.loads(out)["key"] == "k"


def test_it_cannot_be_written(mnt, kv_bucket):
    path = mnt.kv(kv_bucket(), *EVENTS)
    for flags in (os.O_WRONLY, os.O_RDWR):
        with refused(errno.EACCES):
            os.open(path, flags)
    with refused(errno.EPERM):
        os.unlink(path)
    assert os.stat(path).st_mode & 0o777 == 0o444


# -- many and slow readers ----------------------------------------------------------------------


def test_many_readers_get_every_change(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=64)
    with many(*[mnt.kv(bucket, *EVENTS)] * 50) as readers:
        for number in range(100):
            kv.put(bucket, f"k{number % 5}", b"")
        for events in readers:
            assert [line["revision"] for line in events.wait(100)] == list(range(1, 101))


def test_a_reader_that_falls_behind_is_told_what_it_lost(mnt, kv, kv_bucket):
    bucket, last = kv_bucket(history=64), 12000
    with many(*[mnt.kv(bucket, *EVENTS)] * 2) as (slow, quick):
        for start in range(0, last, 1000):
            kv.put_all(bucket, ((f"k{number % 400}-{'x' * 60}", b"")
                                for number in range(start, start + 1000)))
            assert len(quick.wait(1000)) == 1000
        lines = slow.until(lambda line: line["operation"] == "lost")
        revisions = [line["revision"] for line in lines[:-1]]
        assert revisions == list(range(1, len(revisions) + 1))
        assert sum(len(json.dumps(line)) for line in lines) > QUEUE / 2
        lost = lines[-1]
        assert lost["first"] == revisions[-1] + 1
        assert lost["last"] == last
        assert lost["lost"] == last - revisions[-1]
        after = kv.put(bucket, "after", b"")
        assert slow.wait()[0]["revision"] == quick.wait()[0]["revision"] == after


def test_who_does_not_read_takes_bounded_memory(mnt, kv, kv_bucket, sanitized):
    bucket = kv_bucket()
    with many(*[mnt.kv(bucket, *EVENTS)] * 5):
        before = mnt.memory_peak()
        for start in range(0, 50000, 5000):
            kv.put_all(bucket, ((f"k{number % 100}-{'x' * 100}", b"")
                                for number in range(start, start + 5000)))
        wait_until(lambda: os.path.getmtime(mnt.kv(bucket, f"k99-{'x' * 100}")), "it is shown")
        most = 5 * 4 * QUEUE + (20 << 20)
        assert mnt.memory_peak() - before < most * (10 if sanitized else 1)


# -- servers and mounts that go -----------------------------------------------------------------


def test_no_change_is_missing_or_doubled_over_a_restart_of_the_server(mount, own_server):
    mnt = mount(server=own_server)
    wire = own_server.connect()
    kv = KeyValues(wire)
    kv.create("b", history=64)
    with Reader(mnt.kv("b", *EVENTS)) as events:
        kv.put("b", "k", b"1")
        wire.close()
        own_server.restart()
        wire = own_server.connect()
        kv = KeyValues(wire)
        for number in range(50):
            kv.put("b", f"k{number % 3}", b"2")
        lines = events.until(lambda line: line["revision"] == 51)
        assert [line["revision"] for line in lines] == list(range(1, 52))
        kv.put("b", "k", b"3")
        assert [line["revision"] for line in events.wait()] == [52]
    wire.close()


def test_no_change_is_missing_or_doubled_over_a_frozen_server(mount, own_server):
    mnt = mount(server=own_server)
    wire = own_server.connect()
    kv = KeyValues(wire)
    kv.create("b", history=64)
    with Reader(mnt.kv("b", *EVENTS)) as events:
        writer = threading.Thread(target=lambda: [kv.put("b", f"k{n % 3}", b"") for n in range(300)])
        writer.start()
        events.until(lambda line: line["revision"] >= 20)
        own_server.freeze()
        time.sleep(1.0)  # the time that passes is what is tested
        own_server.thaw()
        writer.join()
        lines = events.until(lambda line: line["revision"] == 300)
        revisions = [line["revision"] for line in lines]
        assert revisions == list(range(revisions[0], 301))
    wire.close()


def test_revisions_that_are_not_kept_are_told_as_a_gap(mount, own_server):
    """A bucket without history: what was replaced while the watch was away is nowhere."""
    mnt = mount(server=own_server)
    wire = own_server.connect()
    kv = KeyValues(wire)
    kv.create("b")
    with Reader(mnt.kv("b", *EVENTS)) as events:
        first = kv.put("b", "k", b"")
        events.wait()
        wire.close()
        os.kill(mnt.pid, signal.SIGSTOP)
        try:
            own_server.restart()
            wire = own_server.connect()
            kv = KeyValues(wire)
            for _ in range(10):
                last = kv.put("b", "k", b"")
        finally:
            os.kill(mnt.pid, signal.SIGCONT)
        gap, put = events.until(lambda line: line.get("revision") == last)
        assert (gap["operation"], gap["after"], gap["before"]) == ("gap", first, last)
        assert put["operation"] == "put"
    wire.close()


def is_put(line):
    return line["operation"] == "put"


def test_readers_get_a_last_line_when_the_bucket_goes(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    with many(*[mnt.kv(bucket, *EVENTS)] * 2) as readers:
        kv.put(bucket, "k", b"")
        for events in readers:
            assert [line["operation"] for line in events.until(is_put)] == ["put"]
        kv.remove(bucket)  # what the server had not sent yet would go with the bucket
        for events in readers:
            lines = events.until(lambda line: line["operation"] == "end")
            assert [line["operation"] for line in lines] == ["end"]
            wait_until(lambda: not events.read_available() and events.ended, "end of file")


def test_a_bucket_that_is_made_again_has_events_of_its_own(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        kv.remove(bucket)
        events.until(lambda line: line["operation"] == "end")
    kv.create(bucket)
    path = mnt.kv(bucket, *EVENTS)
    wait_until(lambda: os.path.exists(path), "the new bucket is shown")
    with Reader(path) as events:
        kv.put(bucket, "k", b"")
        assert events.wait()[0]["revision"] == 1


def test_opening_while_the_server_is_away_fails(mount, own_server):
    mnt = mount("-o", "timeout=1s", server=own_server)
    wire = own_server.connect()
    KeyValues(wire).create("b")
    wire.close()
    path = mnt.kv("b", *EVENTS)
    with Reader(path):
        own_server.stop()
        wait_until(lambda: _cannot_open(path), "the mount has noticed")
    own_server.start()


def _cannot_open(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        assert error.errno in (errno.EHOSTDOWN, errno.ETIMEDOUT), error
        return True
    return False


def _is_asleep(pid):
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "S"


def test_sigterm_ends_readers_with_end_of_file(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    path = str(mnt.kv(bucket, *EVENTS))
    readers = [subprocess.Popen(["cat", path], stdout=subprocess.PIPE) for _ in range(3)]
    for reader in readers:
        wait_until(lambda: _has_open(reader.pid, "events"), "cat has the file open")
    kv.put(bucket, "k", b"")
    lines = [reader.stdout.readline() for reader in readers]
    assert len(set(lines)) == 1
    for reader in readers:  # who asks again only after the end is told that nobody is there
        wait_until(lambda: _is_asleep(reader.pid), "cat waits for more")
    assert mnt.signal(signal.SIGTERM) == 0
    for reader in readers:
        assert reader.wait(15) == 0
        reader.stdout.close()


def test_sigterm_wakes_who_polls(mnt, kv_bucket):
    with Reader(mnt.kv(kv_bucket(), *EVENTS)) as events:
        poll = select.poll()
        poll.register(events.descriptor, select.POLLIN)
        ended = threading.Thread(target=mnt.signal, args=(signal.SIGTERM,))
        assert not poll.poll(0)
        ended.start()
        assert poll.poll(15000)
        ended.join()


def test_a_readers_watch_does_not_stop_when_idle(mount, kv, kv_bucket):
    mnt, bucket = mount("-o", "idle=1s"), kv_bucket()
    with Reader(mnt.kv(bucket, *EVENTS)) as events:
        time.sleep(3.0)  # idleness is what is tested
        kv.put(bucket, "k", b"")
        assert events.wait()[0]["key"] == "k"


def test_events_are_read_like_any_text(mnt, kv, kv_bucket):
    """What the man page shows: a loop of a shell."""
    bucket = kv_bucket()
    script = f"head -n 2 {mnt.kv(bucket, *EVENTS)} | while read -r line; do echo got $line; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as shell:
        wait_until(lambda: run("pgrep", "-P", str(shell.pid), "head", check=False).stdout,
                   "head runs")
        head = int(run("pgrep", "-P", str(shell.pid), "head").stdout)
        wait_until(lambda: _has_open(head, "events"), "head has the file open")
        kv.put(bucket, "one", b"")
        kv.put(bucket, "two", b"")
        out, _ = shell.communicate(timeout=15)
    assert out.count("got {") == 2
