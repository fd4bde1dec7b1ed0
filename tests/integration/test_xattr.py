# SPDX-License-Identifier: Apache-2.0
"""Extended attributes user.nats.*; the truth is read past jsfs."""

import datetime
import errno
import os

import pytest

from nats_stores import digest_of
from support import noise, refused, run, shell, wait_until, write_file

OWN = "user.nats."


def attributes(path, **options):
    """Every attribute of a path by its name without user.nats."""
    names = os.listxattr(path, **options)
    assert all(name.startswith(OWN) for name in names)
    return {name.removeprefix(OWN): os.getxattr(path, name, **options).decode() for name in names}


def rfc3339(time_ns):
    """A time as user.nats.created shows it."""
    seconds, rest = divmod(time_ns, 10**9)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def setfattr(path, name, value):
    os.setxattr(path, OWN + name, value.encode())


# -- what is shown ----------------------------------------------------------------------


def test_a_key_has_its_revision_and_raw_name(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put_all(bucket, [("other", b"1"), ("app/db", b"2")])
    assert attributes(mnt.kv(bucket, "app", "db")) == {
        "bucket": bucket, "key": "app/db", "revision": "2", "operation": "PUT", "delta": "0",
        "created": rfc3339(kv.entry(bucket, "app/db").time_ns)}
    kv.put(bucket, "@odd", b"3")
    wait_until(lambda: mnt.kv(bucket, "%40odd").exists(), "the key has come")
    assert attributes(mnt.kv(bucket, "%40odd"))["key"] == "@odd"


def test_a_value_beside_a_directory_has_the_attributes_of_its_key(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("a", b"1"), ("a/b", b"2")])
    os.listdir(mnt.kv(bucket))
    found = attributes(mnt.kv(bucket, "a", "@value"))
    assert (found["key"], found["revision"], found["delta"]) == ("a", "1", "0")


def test_the_attributes_follow_every_change(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    key = mnt.kv(bucket, "key")
    write_file(key, b"here")
    assert attributes(key)["revision"] == "1"
    revision = kv.put(bucket, "key", b"elsewhere")
    wait_until(lambda: attributes(key)["revision"] == str(revision), "the change has come")
    assert attributes(key)["created"] == rfc3339(kv.entry(bucket, "key").time_ns)


def test_an_old_version_counts_the_newer_ones(mnt, kv, kv_bucket):
    """delta: how many messages newer than this one the server keeps of the key, markers too."""
    bucket = kv_bucket(history=5)
    kv.put(bucket, "key", b"1")
    with open(mnt.kv(bucket, "key"), "rb") as held:
        assert attributes(held.fileno())["delta"] == "0"
        kv.put(bucket, "key", b"2")
        kv.delete(bucket, "key")
        wait_until(lambda: not mnt.kv(bucket, "key").exists(), "the removal has come")
        assert attributes(held.fileno())["delta"] == "2"
        assert attributes(held.fileno())["revision"] == "1"


def test_a_revision_of_the_history_has_attributes(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("key", b"1"), ("key", b"2")])
    kv.delete(bucket, "key")
    kept = kv.history(bucket, "key")
    for delta, name, message in zip((2, 1, 0), ("@1", "@2", "@3.deleted"), kept):
        assert attributes(mnt.kv(bucket, ".jsfs", "history", "key", name)) == {
            "bucket": bucket, "key": "key", "revision": str(message.seq), "delta": str(delta),
            "operation": message.operation, "created": rfc3339(message.time_ns)}
    deleted = attributes(mnt.kv(bucket, ".jsfs", "deleted", "key"))
    assert (deleted["revision"], deleted["delta"]) == ("2", "1")


def test_an_object_has_what_its_meta_says(mnt, objects, obj_bucket):
    store, data = obj_bucket(), noise(300_000)
    nuid = objects.put(store, "dir/name", data)
    assert attributes(mnt.obj(store, "dir", "name")) == {
        "bucket": store, "name": "dir/name", "size": "300000", "chunks": "3", "nuid": nuid,
        "digest": digest_of(data)}


def test_a_symbolic_link_has_no_attributes(mnt, objects, obj_bucket):
    store = obj_bucket()
    objects.put(store, "target", b"x")
    objects.put_meta(store, "link", {"name": "link", "bucket": store, "nuid": "L", "size": 0,
                                     "chunks": 0, "options": {
                                         "link": {"bucket": store, "name": "target"}}})
    wait_until(lambda: os.path.islink(mnt.obj(store, "link")), "the link is there")
    assert os.listxattr(mnt.obj(store, "link"), follow_symlinks=False) == []


def test_a_bucket_has_its_status(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5, max_age=3_600_000_000_000, max_msg_size=1024,
                       max_bytes=1 << 20, storage="memory", description="what it is for")
    kv.put_all(bucket, [("a", b"1"), ("a", b"2"), ("b", b"3")])
    kv.delete(bucket, "b")
    os.listdir(mnt.kv(bucket))
    wait_until(lambda: os.listdir(mnt.kv(bucket)) == ["a"], "the list is there")
    assert attributes(mnt.kv(bucket)) == {
        "bucket": bucket, "keys": "1", "values": "4", "history": "5", "max_value_size": "1024",
        "bytes": str(kv.wire.stream_info(f"KV_{bucket}")["state"]["bytes"]), "ttl": "1h",
        "storage": "memory", "replicas": "1", "max_bytes": str(1 << 20), "mirror": "",
        "description": "what it is for", "sealed": "no"}


def test_an_object_store_has_its_status(mnt, objects, obj_bucket):
    store = obj_bucket()
    objects.put(store, "one", b"x" * 1000)
    wait_until(lambda: os.listdir(mnt.obj(store)) == ["one"], "the object is there")
    found = attributes(mnt.obj(store))
    assert (found["objects"], found["storage"], found["max_bytes"]) == ("1", "file", "unlimited")
    assert "history" not in found


def test_directories_and_roots_have_no_attributes(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "a/b", b"1")
    for path in (mnt.path, mnt / "kv", mnt.kv(bucket, "a"), mnt.kv(bucket, ".jsfs")):
        assert os.listxattr(path) == []


# -- what it costs, and sizes -----------------------------------------------------------


def test_attributes_of_known_names_cost_no_request(mnt, kv, kv_bucket, server):
    bucket = kv_bucket()
    kv.put_all(bucket, [(f"key{number}", b"1") for number in range(20)])
    assert len(os.listdir(mnt.kv(bucket))) == 20

    def sent_by_a_look():
        before = server.requests()
        for name in os.listdir(mnt.kv(bucket)):
            attributes(mnt.kv(bucket, name))
        os.listxattr(mnt.kv(bucket))
        return server.requests() - before

    assert min(sent_by_a_look() for _ in range(3)) == 0


def test_a_buffer_that_is_too_small_is_erange(mnt, kv, kv_bucket):
    script = """
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1].encode()
def ask(call, *arguments):
    result = call(path, *arguments)
    return result if result >= 0 else -ctypes.get_errno()
room = ctypes.create_string_buffer(4096)
get, names = libc.getxattr, libc.listxattr
get.restype = names.restype = ctypes.c_ssize_t
assert ask(get, b"user.nats.key", None, 0) == 5
assert ask(get, b"user.nats.key", room, 5) == 5 and room.raw[:5] == b"k.e.y"
assert ask(get, b"user.nats.key", room, 4) == -errno.ERANGE
assert ask(get, b"user.nats.none", room, 4096) == -errno.ENODATA
size = ask(names, None, 0)
assert size > 0 and ask(names, room, size) == size
assert ask(names, room, size - 1) == -errno.ERANGE
assert b"user.nats.key\\0" in room.raw[:size]
"""
    bucket = kv_bucket()
    kv.put(bucket, "k.e.y", b"1")
    run("/usr/bin/python3", "-c", script, mnt.kv(bucket, "k.e.y"))


# -- what cannot be set -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["security.capability", "system.posix_acl_access", "user.mine",
                                  "trusted.mine", "user.nats.none"])
def test_foreign_attributes_are_not_there_and_cannot_be_set(mnt, kv, kv_bucket, name):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"1")
    key = mnt.kv(bucket, "key")
    for path in (key, mnt.kv(bucket), mnt.path):
        with refused(errno.ENODATA):
            os.getxattr(path, name)
        with refused(errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM):
            os.setxattr(path, name, b"value")
    with refused(errno.EOPNOTSUPP):
        os.setxattr(key, "user.nats.revision", b"9")
    with refused(errno.ENODATA):
        os.removexattr(key, "user.mine")
    with refused(errno.EOPNOTSUPP):
        os.removexattr(key, "user.nats.revision")
    assert len(kv.history(bucket, "key")) == 1


def test_copying_with_attributes_leaves_them_behind_silently(mnt, kv, kv_bucket, tmp_path):
    source, target = kv_bucket(), kv_bucket()
    kv.put(source, "key", b"1")
    for command in ("cp -a", "mv"):
        done = shell(f"{command} {mnt.kv(source, 'key')} {mnt.kv(target, 'copy')}", tmp_path)
        assert done.stderr == ""
        assert kv.get(target, "copy") == b"1"
    assert kv.get(source, "key") is None


def test_tools_that_set_acls_go_on(mnt, kv_bucket):
    bucket = kv_bucket()
    run("install", "-m", "0600", "/etc/hostname", mnt.kv(bucket, "key"))
    assert mnt.kv(bucket, "key").read_bytes() == open("/etc/hostname", "rb").read()


def test_the_attributes_of_a_bucket_that_is_gone_are_estale(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    directory = os.open(mnt.kv(bucket), os.O_RDONLY)
    try:
        kv.remove(bucket)
        with refused(errno.ESTALE):
            os.getxattr(directory, "user.nats.values")
    finally:
        os.close(directory)


# -- time to live -----------------------------------------------------------------------


@pytest.fixture
def ttl_bucket(kv, kv_bucket):
    """A bucket that allows a time to live for each key, or None where the server has none."""
    bucket = kv_bucket(history=3, allow_msg_ttl=True)
    has_it = kv.wire.stream_info(f"KV_{bucket}")["config"].get("allow_msg_ttl")
    return bucket if has_it else None


def test_a_new_key_takes_a_time_to_live(mnt, kv, kv_bucket, ttl_bucket):
    """Servers before 2.11 have none: there it is EOPNOTSUPP, and the key is made all the same."""
    bucket = ttl_bucket or kv_bucket()
    key = mnt.kv(bucket, "lease")
    with open(key, "wb", buffering=0) as file:
        if ttl_bucket:
            setfattr(key, "ttl", "1h")
            assert os.getxattr(file.fileno(), "user.nats.ttl") == b"3600s"
        else:
            with refused(errno.EOPNOTSUPP):
                setfattr(key, "ttl", "1h")
        file.write(b"value")
    entry = kv.entry(bucket, "lease")
    assert entry.data == b"value"
    assert entry.headers.get("Nats-TTL") == (["3600s"] if ttl_bucket else None)


def test_a_key_goes_when_its_time_to_live_is_over(mnt, kv, kv_bucket, ttl_bucket):
    bucket = ttl_bucket or kv_bucket()
    key = mnt.kv(bucket, "lease")
    with open(key, "wb", buffering=0) as file:
        if ttl_bucket:
            setfattr(key, "ttl", "1s")
        file.write(b"value")
    if ttl_bucket:
        wait_until(lambda: not key.exists(), "it has expired")
    else:
        assert key.read_bytes() == b"value"


def test_a_time_to_live_counts_for_every_commit_of_the_new_key(mnt, kv, ttl_bucket, kv_bucket):
    bucket = ttl_bucket or kv_bucket()
    key = mnt.kv(bucket, "lease")
    with open(key, "wb", buffering=0) as file:
        if ttl_bucket:
            setfattr(key, "ttl", "2h")
        file.write(b"one")
        os.fsync(file.fileno())
        with refused(errno.EOPNOTSUPP):
            setfattr(key, "ttl", "1h")
        file.write(b" two")
    entry = kv.entry(bucket, "lease")
    assert entry.data == b"one two"
    assert entry.headers.get("Nats-TTL") == (["7200s"] if ttl_bucket else None)


def test_a_time_to_live_can_be_taken_away_again(mnt, kv, ttl_bucket, kv_bucket):
    bucket = ttl_bucket or kv_bucket()
    key = mnt.kv(bucket, "key")
    with open(key, "wb", buffering=0) as file:
        if ttl_bucket:
            setfattr(key, "ttl", "1s")
            os.removexattr(key, "user.nats.ttl")
        else:
            with refused(errno.EOPNOTSUPP):
                os.removexattr(key, "user.nats.ttl")
        file.write(b"value")
    assert "Nats-TTL" not in kv.entry(bucket, "key").headers


def test_a_time_to_live_is_for_new_keys_only(mnt, kv, objects, obj_bucket, kv_bucket, ttl_bucket):
    bucket, store = ttl_bucket or kv_bucket(), obj_bucket()
    kv.put(bucket, "old", b"1")
    objects.put(store, "object", b"1")
    os.listdir(mnt.kv(bucket)), os.listdir(mnt.obj(store))
    for path in (mnt.kv(bucket, "old"), mnt.obj(store, "object"), mnt.kv(bucket)):
        with refused(errno.EOPNOTSUPP):
            setfattr(path, "ttl", "30s")
    with open(mnt.kv(bucket, "old"), "ab", buffering=0), refused(errno.EOPNOTSUPP):
        setfattr(mnt.kv(bucket, "old"), "ttl", "30s")


def test_a_bucket_without_times_to_live_refuses_one(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    with open(mnt.kv(bucket, "key"), "wb", buffering=0) as file:
        with refused(errno.EOPNOTSUPP):
            setfattr(mnt.kv(bucket, "key"), "ttl", "30s")
        file.write(b"value")
    assert kv.get(bucket, "key") == b"value"


@pytest.mark.parametrize("text", ["", "0", "500ms", "soon", "-1s", "1h30", "1.5s"])
def test_what_is_no_time_to_live_is_einval(mnt, kv_bucket, text):
    key = mnt.kv(kv_bucket(), "key")
    with open(key, "wb"), refused(errno.EINVAL):
        setfattr(key, "ttl", text)
