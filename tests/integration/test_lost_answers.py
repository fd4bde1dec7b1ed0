# SPDX-License-Identifier: Apache-2.0
"""Answers that do not come: what the server has is found out, and nothing is stored twice."""

import contextlib
import ctypes
import errno
import os
import random

import pytest

from proxies import CUT_AFTER, CUT_BEFORE, DROP, PASS, Proxy, first
from support import refused, wait_until, write_file

LOST = (errno.ETIMEDOUT, errno.EHOSTDOWN)


@pytest.fixture
def proxy(server):
    """A proxy in front of the shared server."""
    made = Proxy(server.url)
    yield made
    made.close()


@pytest.fixture
def mnt(proxy, mount):
    """A mount through the proxy that is not patient."""
    return mount("-o", "timeout=1s", server=proxy)


@pytest.fixture
def bucket(kv_bucket, kv, mnt):
    """A bucket with a key `key`, that the mount knows."""
    name = kv_bucket(history=64)
    kv.put(name, "key", b"old\n")
    assert mnt.kv(name, "key").read_bytes() == b"old\n"
    return name


def put(path):
    write_file(path, b"new\n")


def edit(path):
    with open(path, "r+b", buffering=0) as file:
        file.write(b"new")


def append(path):
    with open(path, "ab", buffering=0) as file:
        file.write(b"new\n")


def create(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


# what is done, the key, and the message that the history must have once more
WRITES = {
    "put": (put, "key", ("PUT", b"new\n")),
    "edit": (edit, "key", ("PUT", b"new\n")),
    "append": (append, "key", ("PUT", b"old\nnew\n")),
    "create": (create, "lock", ("PUT", b"")),
    "delete": (os.unlink, "key", ("DEL", b"")),
}


def entries(kv, bucket, key):
    return [(entry.operation, entry.data) for entry in kv.history(bucket, key)]


@pytest.mark.parametrize("what", WRITES)
def test_an_acknowledgement_that_is_lost_is_asked_for(mnt, kv, proxy, bucket, what):
    write, key, stored = WRITES[what]
    before = entries(kv, bucket, key)
    proxy.rule = first(1, lambda message: message.is_ack_of(f"KV_{bucket}"), DROP)
    write(mnt.kv(bucket, key))
    assert proxy.rule.is_over()
    assert entries(kv, bucket, key) == [*before, stored]


@pytest.mark.parametrize("action", [CUT_BEFORE, CUT_AFTER])
@pytest.mark.parametrize("what", WRITES)
def test_a_write_whose_connection_is_cut_is_stored_once(mnt, kv, proxy, bucket, what, action):
    write, key, stored = WRITES[what]
    before = entries(kv, bucket, key)
    proxy.rule = first(1, lambda message: message.is_publish_to(f"$KV.{bucket}.{key}"), action)
    try:
        write(mnt.kv(bucket, key))
        told = True
    except OSError as error:
        assert error.errno in LOST, error
        told = False
    assert proxy.rule.is_over()
    now = entries(kv, bucket, key)
    assert now == [*before, stored] or (not told and now == before)


@pytest.mark.parametrize("what", WRITES)
def test_a_write_that_others_wrote_on_is_stored_once(mnt, kv, proxy, bucket, server, what):
    """The newest message is not ours any more when the leader is asked."""
    write, key, stored = WRITES[what]
    before = entries(kv, bucket, key)
    lost = first(1, lambda message: message.is_ack_of(f"KV_{bucket}"), DROP)
    other = server.connect()

    def rule(message):
        action = lost(message)
        if action == DROP:
            other.store(f"$KV.{bucket}.{key}", b"theirs", None)
        return action

    proxy.rule = rule
    write(mnt.kv(bucket, key))
    other.close()
    assert lost.is_over()
    assert entries(kv, bucket, key) == [*before, stored, ("PUT", b"theirs")]


@pytest.mark.parametrize("what", ["put", "edit", "append"])
def test_a_commit_that_nobody_answered_is_asked_about_by_the_next(mnt, kv, proxy, bucket, what):
    _, key, stored = WRITES[what]
    flags = {"put": os.O_TRUNC, "edit": 0, "append": os.O_APPEND}[what]
    before = entries(kv, bucket, key)
    descriptor = os.open(mnt.kv(bucket, key), os.O_WRONLY | flags)
    os.write(descriptor, b"new" if what == "edit" else b"new\n")
    proxy.rule = lambda message: (
        DROP if message.is_ack_of(f"KV_{bucket}") or message.is_stored_message() else PASS)
    with refused(*LOST):
        os.fsync(descriptor)
    proxy.rule = None
    os.fsync(descriptor)
    os.close(descriptor)
    assert entries(kv, bucket, key) == [*before, stored]
    assert mnt.unmount() == 0
    assert entries(kv, bucket, key) == [*before, stored]


@pytest.mark.parametrize("seed", range(3))
def test_what_close_says_is_what_the_history_has(mnt, kv, proxy, bucket, seed):
    """Messages and connections are lost at random; every write is there at most once, and once if
    it was said to be."""
    dice = random.Random(seed)
    mine = lambda message: (message.is_ack_of(f"KV_{bucket}") or message.is_stored_message() or
                            message.is_publish_to(f"$KV.{bucket}.key"))
    actions = [PASS] * 6 + [DROP, CUT_BEFORE, CUT_AFTER]
    proxy.rule = lambda message: dice.choice(actions) if mine(message) else PASS
    told = {}
    for number in range(25):
        line = b"line %d\n" % number
        with contextlib.suppress(OSError):
            told[line] = False
            descriptor = os.open(mnt.kv(bucket, "key"), os.O_WRONLY | os.O_APPEND)
            os.write(descriptor, line)
            os.close(descriptor)
            told[line] = True
    proxy.rule = None
    lines = wait_until(lambda: kv.get(bucket, "key"), "the value").splitlines(keepends=True)
    for line, was_told in told.items():
        assert lines.count(line) == 1 or (not was_told and line not in lines), (line, lines)
    stored = [entry.data for entry in kv.history(bucket, "key")]
    assert len(set(stored)) == len(stored), "each revision was stored once"
    assert any(told.values())


# -- renames ------------------------------------------------------------------------------------


@pytest.fixture(params=["steps", "atomic"])
def renamed(request, kv_bucket, kv, wire, mnt):
    """A bucket whose renames are two messages, or one batch where the server has them."""
    more = {"allow_atomic": True} if request.param == "atomic" and wire.version >= (2, 12) else {}
    name = kv_bucket(history=64, **more)
    kv.put(name, "old", b"value")
    assert mnt.kv(name, "old").read_bytes() == b"value"
    return name


def nth(number, wanted, action):
    """A rule: do something to one of the messages that are wanted."""
    seen = [0]

    def rule(message):
        if not wanted(message):
            return PASS
        seen[0] += 1
        return action if seen[0] == number else PASS

    rule.is_over = lambda: seen[0] >= number
    return rule


@pytest.mark.parametrize("number", [1, 2])
def test_a_rename_whose_answer_is_lost_is_done_once(mnt, kv, proxy, renamed, number):
    """The copy's and the marker's, or that of the batch."""
    proxy.rule = nth(number, lambda message: message.is_ack_of(f"KV_{renamed}"), DROP)
    os.rename(mnt.kv(renamed, "old"), mnt.kv(renamed, "new"))
    proxy.rule = None
    assert entries(kv, renamed, "new") == [("PUT", b"value")]
    assert [operation for operation, _ in entries(kv, renamed, "old")] == ["PUT", "DEL"]
    assert os.listdir(mnt.kv(renamed)) == ["new"]


@pytest.mark.parametrize("action", [CUT_BEFORE, CUT_AFTER])
@pytest.mark.parametrize("key", ["old", "new"])
def test_a_rename_that_is_cut_off_can_be_repeated(mnt, kv, proxy, renamed, key, action):
    """Whatever is told, the value is under a name, and the next try ends it."""
    proxy.rule = first(1, lambda message: message.is_publish_to(f"$KV.{renamed}.{key}"), action)
    try:
        os.rename(mnt.kv(renamed, "old"), mnt.kv(renamed, "new"))
    except OSError as error:
        assert error.errno in LOST, error
    assert proxy.rule.is_over()
    values = {kv.get(renamed, name) for name in ("old", "new")}
    assert values - {None} == {b"value"}

    def ended():
        with contextlib.suppress(OSError):
            os.rename(mnt.kv(renamed, "old"), mnt.kv(renamed, "new"))
        return kv.get(renamed, "old") is None

    wait_until(ended, "the rename is repeated")
    assert kv.get(renamed, "new") == b"value"
    assert len(entries(kv, renamed, "new")) <= 2


@pytest.fixture
def exchange():
    """renameat2(2) with RENAME_EXCHANGE."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(one, other):
        if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) != 0:
            raise OSError(ctypes.get_errno(), "renameat2")

    return call


@pytest.mark.parametrize("remembers", [True, False])
def test_an_exchange_that_others_wrote_on_is_done_once(mnt, kv, proxy, kv_bucket, wire, server,
                                                       exchange, remembers):
    """The answer is lost, and neither newest message is ours when the leader is asked. A server
    that does not remember the messages any more is not sent them again."""
    more = {"allow_atomic": True} if wire.version >= (2, 12) else {}
    more |= {} if remembers else {"duplicate_window": 500_000_000}
    name = kv_bucket(history=64, **more)
    kv.put(name, "a", b"A")
    kv.put(name, "b", b"B")
    wait_until(lambda: sorted(os.listdir(mnt.kv(name))) == ["a", "b"], "both keys show")
    lost = first(1, lambda message: message.is_ack_of(f"KV_{name}"), DROP)
    other = server.connect()

    def rule(message):
        action = lost(message)
        if action == DROP:
            other.store(f"$KV.{name}.a", b"theirs", None)
            other.store(f"$KV.{name}.b", b"theirs", None)
        return action

    proxy.rule = rule
    try:
        exchange(mnt.kv(name, "a"), mnt.kv(name, "b"))
        told = None
    except OSError as error:
        told = error.errno
    proxy.rule = None
    other.close()
    now = [entries(kv, name, key) for key in ("a", "b")]
    if wire.version < (2, 12):
        assert told == errno.EINVAL and now == [[("PUT", b"A")], [("PUT", b"B")]]
        return
    assert lost.is_over()
    assert told is None if remembers else told in LOST
    assert now == [[("PUT", b"A"), ("PUT", b"B"), ("PUT", b"theirs")],
                   [("PUT", b"B"), ("PUT", b"A"), ("PUT", b"theirs")]]


def claim_batches(message):
    """What jsfs is told of a stream whose leader is older than the server that it talks to."""
    claims = {b'"config":{': b'"config":{"allow_atomic":true,', b'"api":{': b'"api":{"level":2,'}
    if message.is_server and b"jetstream.api.v1" in message.payload:
        payload = message.payload
        for old, new in claims.items():
            payload = payload.replace(old, new)
        words = message.raw.partition(b"\r\n")[0].split()
        words[-1] = b"%d" % len(payload)
        message.raw = b" ".join(words) + b"\r\n" + payload + b"\r\n"
    return PASS


@pytest.fixture
def deceived(proxy, mount):
    """A mount that takes the server for one that has batches in every bucket."""
    proxy.rule = claim_batches
    return mount(server=proxy)


def test_a_server_that_knows_no_batches_loses_nothing(deceived, kv, kv_bucket, wire, exchange):
    """Before 2.12 it stores each message of one by itself; later it refuses the first."""
    mnt, name = deceived, kv_bucket(history=64)
    for key in ("old", "a", "b", "dir/1", "dir/2", "dir/3"):
        kv.put(name, key, key.encode())
    wait_until(lambda: sorted(os.listdir(mnt.kv(name))) == ["a", "b", "dir", "old"], "all show")
    os.rename(mnt.kv(name, "old"), mnt.kv(name, "new"))
    assert entries(kv, name, "new") == [("PUT", b"old")]
    assert [operation for operation, _ in entries(kv, name, "old")] == ["PUT", "DEL"]
    os.rename(mnt.kv(name, "dir"), mnt.kv(name, "to"))
    for number in "123":
        assert entries(kv, name, f"to/{number}") == [("PUT", f"dir/{number}".encode())]
        assert kv.get(name, f"dir/{number}") is None
    if wire.version >= (2, 12):
        with refused(errno.EINVAL):
            exchange(mnt.kv(name, "a"), mnt.kv(name, "b"))
        return
    exchange(mnt.kv(name, "a"), mnt.kv(name, "b"))
    assert entries(kv, name, "a") == [("PUT", b"a"), ("PUT", b"b")]
    assert entries(kv, name, "b") == [("PUT", b"b"), ("PUT", b"a")]
