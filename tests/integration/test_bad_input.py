# SPDX-License-Identifier: Apache-2.0
"""Each errno for what cannot be done: what it is, that it comes at once, and what stays as it was."""

import contextlib
import errno
import json
import os
import time

import pytest

from nats_stores import KeyValues, Objects
from support import noise, refused, run, wait_until, write_file

PATIENT = "[connection]\ntimeout = 60s\n"  # an answer that is waited for would take this long
AT_ONCE = 20.0  # [s]; generous, and far below that

# What a user must be allowed to read every bucket (reference: the minimum of all clients).
READING = ["$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.>",
           "$JS.API.STREAM.MSG.GET.>", "$JS.API.DIRECT.GET.>", "$JS.API.CONSUMER.CREATE.>",
           "$JS.API.CONSUMER.DELETE.>", "$JS.FC.>"]
# And to use one bucket, and not even to list what there is.
ONE_BUCKET = ["$JS.API.INFO", "$JS.API.STREAM.INFO.KV_mine", "$JS.API.STREAM.MSG.GET.KV_mine",
              "$JS.API.DIRECT.GET.KV_mine.>", "$JS.API.DIRECT.GET.KV_mine",
              "$JS.API.CONSUMER.CREATE.KV_mine.>", "$JS.API.CONSUMER.DELETE.KV_mine.>",
              "$JS.FC.>", "$KV.mine.>"]
# To use it but for its keys below "secret".
PART = ["$JS.API.>", "$JS.FC.>", "$KV.mine.open.>", "$KV.mine.key"]


@contextlib.contextmanager
def at_once():
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AT_ONCE


@contextlib.contextmanager
def opened(path, flags):
    """A descriptor, closed whatever happens and whatever close(2) says."""
    descriptor = os.open(path, flags, 0o644)
    try:
        yield descriptor
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def user(name, allowed):
    subjects = ", ".join(f'"{subject}"' for subject in allowed)
    return (f'{{ user: {name}, password: x, permissions: {{ publish: {{ allow: [ {subjects} ] }}, '
            f'subscribe: {{ allow: [ "_INBOX.>", "$JS.EVENT.>" ] }} }} }}')


@pytest.fixture
def guarded(make_server):
    """A server with users of limited rights, and the buckets "mine" and "other"."""
    server = make_server(settings=f"""
        accounts {{ A {{ jetstream: enabled, users: [
            {{ user: all, password: x }}, {user("reader", READING)}, {user("one", ONE_BUCKET)},
            {user("part", PART)} ] }} }}
        no_auth_user: all""")
    wire = server.connect()
    kv, objects = KeyValues(wire), Objects(wire)
    for name in ("mine", "other"):
        kv.create(name, history=3)
        kv.put(name, "key", b"value")
    objects.create("store")
    objects.put("store", "object", b"bytes")
    server.kv, server.objects = kv, objects
    yield server
    wire.close()


@pytest.fixture
def mount_as(guarded, mount):  # in this order: the mounts go before their server
    """mount_as(user) -> a mount with that user's rights, which waits long for an answer."""
    def make(name):
        url = guarded.url.replace("nats://", f"nats://{name}:x@")
        return mount(url, server=None, config=PATIENT)

    return make


# -- permissions ------------------------------------------------------------------------


def test_a_user_who_may_only_read_reads_everything(mount_as):
    mnt = mount_as("reader")
    assert sorted(os.listdir(mnt / "kv")) == ["mine", "other"]
    assert mnt.kv("mine", "key").read_bytes() == b"value"
    assert mnt.obj("store", "object").read_bytes() == b"bytes"
    assert json.loads(mnt.kv("mine", ".jsfs", "config.json").read_text())["name"] == "KV_mine"


def test_writing_without_permission_is_eacces_at_once(mount_as, guarded):
    mnt = mount_as("reader")
    with at_once():
        with refused(errno.EACCES):
            write_file(mnt.kv("mine", "key"), b"changed")
        with refused(errno.EACCES):
            write_file(mnt.kv("mine", "new"), b"new")
        with refused(errno.EACCES), open(mnt.kv("mine", "key"), "ab", buffering=0) as file:
            file.write(b"more")
            os.fsync(file.fileno())
        with refused(errno.EACCES):
            os.close(os.open(mnt.kv("mine", "lock"), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    assert guarded.kv.get("mine", "key") == b"value"
    assert guarded.kv.keys("mine") == ["key"]
    wait_until(lambda: os.listdir(mnt.kv("mine")) == ["key"], "what was not stored is gone")
    assert mnt.kv("mine", "key").read_bytes() == b"value"


def test_removing_without_permission_is_eacces_at_once(mount_as, guarded):
    mnt = mount_as("reader")
    with at_once():
        with refused(errno.EACCES):
            os.unlink(mnt.kv("mine", "key"))
        with refused(errno.EACCES):
            os.unlink(mnt.obj("store", "object"))
    assert guarded.kv.get("mine", "key") == b"value"
    assert mnt.kv("mine", "key").read_bytes() == b"value"
    assert guarded.objects.get("store", "object") == b"bytes"


def test_uploading_without_permission_is_eacces_at_once(mount_as, guarded):
    mnt = mount_as("reader")
    with at_once(), refused(errno.EACCES):
        write_file(mnt.obj("store", "object"), noise(1 << 20))
    assert guarded.objects.get("store", "object") == b"bytes"


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_making_and_removing_buckets_without_permission_is_eacces_at_once(mount_as, guarded, kind):
    mnt = mount_as("reader")
    {"kv": guarded.kv, "obj": guarded.objects}[kind].create("empty")
    wait_until((mnt / kind / "empty").is_dir, "it is found")
    with at_once():
        with refused(errno.EACCES):
            (mnt / kind / "new").mkdir()
        with refused(errno.EACCES):
            (mnt / kind / "empty").rmdir()
    assert (mnt / kind / "empty").is_dir()


def test_changing_the_configuration_without_permission_is_eacces_at_once(mount_as):
    mnt = mount_as("reader")
    path = mnt.kv("mine", ".jsfs", "config.json")
    before = path.read_bytes()
    with at_once(), refused(errno.EACCES):
        write_file(path, before.replace(b'"max_bytes": -1', b'"max_bytes": 9000000'))
    assert path.read_bytes() == before
    assert json.loads((path.parent / "status.json").read_text())["last_error"]["text"] == "denied"


def test_a_user_of_one_bucket_uses_it_by_name(mount_as, guarded):
    mnt = mount_as("one")
    with at_once():
        assert mnt.kv("mine", "key").read_bytes() == b"value"
        write_file(mnt.kv("mine", "new"), b"new")
        run("sh", "-c", f"echo more >> {mnt.kv('mine', 'new')}")
        assert sorted(os.listdir(mnt.kv("mine"))) == ["key", "new"]
        os.unlink(mnt.kv("mine", "key"))
    assert guarded.kv.get("mine", "new") == b"newmore\n"


def test_what_a_user_of_one_bucket_may_not_see_is_eacces_at_once(mount_as):
    mnt = mount_as("one")
    with at_once():
        with refused(errno.EACCES):
            os.listdir(mnt / "kv")
        with refused(errno.EACCES):
            os.stat(mnt.kv("other"))
        with refused(errno.EACCES):
            mnt.kv("other", "key").read_bytes()
        with refused(errno.EACCES):
            os.stat(mnt.obj("store"))


def test_a_key_that_may_not_be_written_is_eacces_and_others_are_written(mount_as, guarded):
    mnt = mount_as("part")
    guarded.kv.put("mine", "secret/key", b"kept")
    wait_until(mnt.kv("mine", "secret", "key").exists, "it is seen")
    with at_once():
        write_file(mnt.kv("mine", "key"), b"allowed")
        with refused(errno.EACCES):
            write_file(mnt.kv("mine", "secret", "key"), b"denied")
        with refused(errno.EACCES):
            os.unlink(mnt.kv("mine", "secret", "key"))
    assert guarded.kv.get("mine", "key") == b"allowed"
    assert guarded.kv.get("mine", "secret/key") == b"kept"


# -- sizes and names --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a b", ".lead", "trail.", "a..b", "a*b", ">", "käse"])
def test_a_name_that_kv_refuses_is_einval_and_the_log_says_why(mnt, kv, kv_bucket, name):
    bucket = kv_bucket()
    with refused(errno.EINVAL):
        write_file(mnt.kv(bucket, name), b"value")
    assert kv.keys(bucket) == [] and os.listdir(mnt.kv(bucket)) == []
    assert "bad name" in mnt.log() and "EINVAL" in mnt.log()


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_a_name_above_what_a_subject_takes_is_enametoolong(mnt, kv_bucket, obj_bucket, kind):
    """The server would close the connection: nothing may be sent."""
    place = mnt / kind / {"kv": kv_bucket, "obj": obj_bucket}[kind]()
    with contextlib.chdir(place), refused(errno.ENAMETOOLONG):
        for _ in range(17):
            os.mkdir("d" * 240)
            os.chdir("d" * 240)
        write_file("d" * 240, b"value")
    write_file(place / "fine", b"value")
    assert (place / "fine").read_bytes() == b"value"


def test_a_value_that_is_too_large_is_efbig_and_the_old_one_stays(mnt, kv, kv_bucket):
    bucket = kv_bucket(max_msg_size=4096)
    kv.put(bucket, "key", b"old")
    with refused(errno.EFBIG):
        write_file(mnt.kv(bucket, "key"), noise(5000))
    with refused(errno.EFBIG):
        write_file(mnt.kv(bucket, "new"), noise(5000))
    assert kv.get(bucket, "key") == b"old" and kv.keys(bucket) == ["key"]
    wait_until(lambda: os.listdir(mnt.kv(bucket)) == ["key"], "what was not stored is gone")
    assert mnt.kv(bucket, "key").read_bytes() == b"old"


def test_a_full_bucket_is_enospc_and_the_old_value_stays(mnt, kv, kv_bucket):
    bucket = kv_bucket(max_bytes=4096)
    kv.put(bucket, "key", b"old")
    with refused(errno.ENOSPC):
        write_file(mnt.kv(bucket, "key"), noise(5000))
    with refused(errno.ENOSPC), open(mnt.kv(bucket, "key"), "ab", buffering=0) as file:
        file.write(noise(5000))
    assert kv.get(bucket, "key") == b"old"
    assert mnt.kv(bucket, "key").read_bytes() == b"old"
    write_file(mnt.kv(bucket, "key"), b"small")
    assert kv.get(bucket, "key") == b"small"


def test_a_full_store_is_enospc_and_the_old_object_stays(mnt, objects, obj_bucket):
    bucket = obj_bucket(max_bytes=200_000)
    objects.put(bucket, "object", b"old")
    with refused(errno.ENOSPC):
        write_file(mnt.obj(bucket, "object"), noise(1 << 20))
    assert objects.get(bucket, "object") == b"old"
    wait_until(lambda: mnt.obj(bucket, "object").read_bytes() == b"old", "the old one is shown")


# -- what is not there any more ---------------------------------------------------------


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_a_bucket_deleted_while_in_use_is_enoent_and_its_handles_are_estale(
        mnt, kv, objects, kv_bucket, obj_bucket, kind):
    stores = {"kv": kv, "obj": objects}[kind]
    name = {"kv": kv_bucket, "obj": obj_bucket}[kind]()
    place = mnt / kind / name
    stores.put(name, "name", noise(300_000))
    wait_until((place / "name").exists, "it is seen")
    with opened(place, os.O_RDONLY | os.O_DIRECTORY) as directory, \
            opened(place / "new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as writer:
        os.write(writer, b"bytes")
        stores.remove(name)
        wait_until(lambda: not place.exists(), "the bucket is gone")
        with refused(errno.ENOENT):
            os.stat(place)
        with refused(errno.ENOENT):
            os.open(place / "name", os.O_RDONLY)
        with refused(errno.ESTALE):
            os.fsync(writer)
        with refused(errno.ESTALE, errno.ENOENT):
            os.stat("name", dir_fd=directory)
        with refused(errno.ESTALE, errno.ENOENT):
            os.open("name", os.O_RDONLY, dir_fd=directory)


def test_the_files_of_a_deleted_bucket_are_estale(mnt, kv, kv_bucket):
    name = kv_bucket()
    control = mnt.kv(name, ".jsfs")
    wait_until(mnt.kv(name).is_dir, "it is found")
    text = (control / "config.json").read_bytes()
    with opened(control / "config.json", os.O_RDWR) as descriptor:
        kv.remove(name)
        wait_until(lambda: not mnt.kv(name).exists(), "the bucket is gone")
        os.write(descriptor, text)
        with refused(errno.ESTALE):
            os.fsync(descriptor)


# -- a mount that only reads ------------------------------------------------------------


@pytest.fixture(params=["option", "setting"])
def read_only(request, mount):
    """A read-only mount, by -o ro and by jsfs.conf."""
    return mount("-o", "ro") if request.param == "option" else mount(
        config="[mount]\nread_only = yes\n")


def test_everything_that_changes_a_read_only_mount_is_erofs(read_only, kv, objects, kv_bucket,
                                                           obj_bucket):
    keys, store = kv_bucket(), obj_bucket()
    kv.put(keys, "name", b"value")
    objects.put(store, "name", b"value")
    for place in (read_only.kv(keys), read_only.obj(store)):
        wait_until((place / "name").exists, "it is seen")
        assert (place / "name").read_bytes() == b"value"
        for attempt in (lambda p: write_file(p / "name", b"x"),
                        lambda p: write_file(p / "new", b"x"),
                        lambda p: os.open(p / "name", os.O_WRONLY | os.O_APPEND),
                        lambda p: os.truncate(p / "name", 0),
                        lambda p: os.unlink(p / "name"),
                        lambda p: os.rename(p / "name", p / "moved"),
                        lambda p: os.mkdir(p / "directory"),
                        lambda p: os.symlink("name", p / "link"),
                        lambda p: os.utime(p / "name"),
                        lambda p: os.chmod(p / "name", 0o600),
                        lambda p: write_file(p / ".jsfs" / "config.json", b"{}"),
                        lambda p: os.rmdir(p)):
            with refused(errno.EROFS):
                attempt(place)
    with refused(errno.EROFS):
        read_only.kv("new").mkdir()
    assert kv.get(keys, "name") == b"value" and objects.get(store, "name") == b"value"
