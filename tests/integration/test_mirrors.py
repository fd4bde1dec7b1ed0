# SPDX-License-Identifier: Apache-2.0
"""Buckets that copy from others, buckets without direct gets, keys that no client would make."""

import errno
import json
import os
import time

import pytest

from nats_stores import KeyValues
from servers import free_port
from support import refused, run, wait_until, write_file


@pytest.fixture
def pair(kv, kv_bucket, unique, wire):
    """(origin, mirror); the origin has "old", and keeps five revisions."""
    origin, mirror = kv_bucket(history=5), unique()
    kv.put(origin, "old", b"value")
    kv.mirror(mirror, origin)
    wait_until(lambda: wire.stream_info(f"KV_{mirror}")["state"]["messages"] == 1, "it is filled")
    return origin, mirror


def sourced(kv, wire, name, origin, transform=False, **config):
    """A bucket that copies another one's keys; subjects=None: nothing can be published into it."""
    source = {"name": f"KV_{origin}"}
    if transform:
        source["subject_transforms"] = [{"src": f"$KV.{origin}.>", "dest": f"$KV.{name}.>"}]
    config = {"sources": [source], **config}
    if "subjects" in config and config["subjects"] is None:
        fields = {"max_msgs_per_subject": 1, "discard": "new", "allow_rollup_hdrs": True,
                  "deny_delete": True, "allow_direct": True}
        del config["subjects"]
        wire.stream_create(f"KV_{name}", **fields, **config)
    else:
        kv.create(name, **config)
    return name


def copied(wire, bucket, count):
    wait_until(lambda: wire.stream_info(f"KV_{bucket}")["state"]["messages"] >= count, "copied")


# -- mirrors ----------------------------------------------------------------------------


def test_a_mirror_shows_what_its_origin_has(mnt, kv, pair):
    origin, mirror = pair
    assert os.listdir(mnt.kv(mirror)) == ["old"]
    assert mnt.kv(mirror, "old").read_bytes() == b"value"
    kv.put(origin, "a/b", b"new")
    wait_until(mnt.kv(mirror, "a", "b").exists, "it is copied and seen")
    assert mnt.kv(mirror, "a", "b").read_bytes() == b"new"
    kv.delete(origin, "old")
    wait_until(lambda: not mnt.kv(mirror, "old").exists(), "the removal is copied")


def test_a_write_to_a_mirror_is_its_origins_and_shows_at_once(mnt, kv, pair):
    origin, mirror = pair
    for number in range(20):
        value = b"number %d" % number
        write_file(mnt.kv(mirror, "key"), value)
        assert kv.get(origin, "key") == value
        assert mnt.kv(mirror, "key").read_bytes() == value
        assert os.stat(mnt.kv(mirror, "key")).st_mtime_ns == kv.entry(origin, "key").time_ns
    assert sorted(os.listdir(mnt.kv(mirror))) == ["key", "old"]


def test_a_key_of_a_mirror_is_edited_appended_and_removed(mnt, kv, pair):
    origin, mirror = pair
    path = mnt.kv(mirror, "old")
    run("sh", "-c", f"echo more >> {path}")
    assert kv.get(origin, "old") == b"valuemore\n"
    with open(path, "r+b") as file:
        file.write(b"VALUE")
    assert kv.get(origin, "old") == b"VALUEmore\n"
    os.unlink(path)
    assert kv.get(origin, "old") is None and not path.exists()
    assert os.listdir(mnt.kv(mirror)) == []
    assert len(kv.history(origin, "old")) == 4


def test_exclusive_creation_in_a_mirror_is_decided_by_the_origin(mnt, kv, pair):
    origin, mirror = pair
    kv.put(origin, "lock", b"theirs")
    with refused(errno.EEXIST):
        os.close(os.open(mnt.kv(mirror, "lock"), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.close(os.open(mnt.kv(mirror, "lock2"), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    assert kv.get(origin, "lock2") == b""


def test_an_edit_in_a_mirror_over_a_change_of_its_origin_is_estale(mnt, kv, pair):
    origin, mirror = pair
    file = open(mnt.kv(mirror, "old"), "r+b", buffering=0)
    assert file.read() == b"value"
    kv.put(origin, "old", b"theirs")
    file.write(b" mine")
    with refused(errno.ESTALE):
        file.close()
    assert kv.get(origin, "old") == b"theirs"


def test_a_mirror_writes_to_its_origin_in_another_domain(mount, make_server, tmp_path):
    with Domains(make_server, tmp_path) as domains:
        mnt = mount(server=domains.leaf)
        assert os.listdir(mnt.kv("copy")) == ["old"]
        write_file(mnt.kv("copy", "key"), b"mine")
        assert domains.kv.get("origin", "key") == b"mine"
        assert mnt.kv("copy", "key").read_bytes() == b"mine"
        os.unlink(mnt.kv("copy", "old"))
        assert domains.kv.get("origin", "old") is None
        assert not mnt.kv("copy", "old").exists()


def test_a_mirror_without_its_origin_is_read_and_not_written(mnt, kv, pair):
    origin, mirror = pair
    assert mnt.kv(mirror, "old").read_bytes() == b"value"
    kv.remove(origin)
    with refused(errno.EROFS):
        write_file(mnt.kv(mirror, "new"), b"value")
    with refused(errno.EROFS):
        os.unlink(mnt.kv(mirror, "old"))
    assert mnt.kv(mirror, "old").read_bytes() == b"value"
    wait_until(lambda: os.listdir(mnt.kv(mirror)) == ["old"], "the new name is gone")


def test_rmdir_of_a_mirror_with_keys_is_enotempty(mnt, kv, pair):
    origin, mirror = pair
    with refused(errno.ENOTEMPTY):
        mnt.kv(mirror).rmdir()
    kv.delete(origin, "old")
    wait_until(lambda: not mnt.kv(mirror, "old").exists(), "the removal is copied")
    mnt.kv(mirror).rmdir()
    assert mnt.kv(origin).is_dir()


def test_a_mirror_of_an_object_store_is_read_only(mnt, objects, obj_bucket, unique, wire):
    origin, mirror, data = obj_bucket(), unique(), os.urandom(300_000)
    objects.put(origin, "name", data)
    wire.stream_create(f"OBJ_{mirror}", mirror={"name": f"OBJ_{origin}"}, mirror_direct=True,
                       allow_direct=True, allow_rollup_hdrs=True)
    wait_until(lambda: wire.stream_info(f"OBJ_{mirror}")["state"]["messages"] == 4, "copied")
    wait_until(lambda: os.listdir(mnt.obj(mirror)) == ["name"], "it is seen")
    assert mnt.obj(mirror, "name").read_bytes() == data
    with refused(errno.EROFS):
        write_file(mnt.obj(mirror, "name"), b"new")
    with refused(errno.EROFS):
        write_file(mnt.obj(mirror, "new"), b"new")
    with refused(errno.EROFS):
        os.unlink(mnt.obj(mirror, "name"))
    assert objects.get(origin, "name") == data and os.listdir(mnt.obj(mirror)) == ["name"]


class Domains:
    """Two servers: "hub" has the bucket "origin", its leaf node the mirror "copy" of it."""

    def __init__(self, make_server, directory):
        port = free_port()
        self.hub = _domain(make_server, directory, "hub",
                           f'leafnodes {{ listen: "127.0.0.1:{port}" }}')
        self.leaf = _domain(make_server, directory, "leaf", "leafnodes { remotes [ "
                            f'{{ url: "nats-leaf://127.0.0.1:{port}" }} ] }}')
        self._hub, self._leaf = self.hub.connect(), self.leaf.connect()
        self.kv = KeyValues(self._hub)
        self.kv.create("origin", history=3)
        self.kv.put("origin", "old", b"value")
        wait_until(self._make_mirror, "the leaf node is connected")
        wait_until(lambda: self._leaf.stream_info("KV_copy")["state"]["messages"] == 1, "filled")

    def _make_mirror(self):
        answer = json.loads(self._leaf.request("$JS.API.STREAM.CREATE.KV_copy", json.dumps({
            "name": "KV_copy", "max_msgs_per_subject": 3, "allow_direct": True,
            "mirror": {"name": "KV_origin", "external": {"api": "$JS.hub.API", "deliver": ""}},
        }).encode()).data)
        return "error" not in answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._hub.close()
        self._leaf.close()


def _domain(make_server, directory, name, settings):
    return make_server(jetstream=False, settings=(
        f'server_name: {name}\njetstream {{ store_dir: "{directory}/{name}", domain: {name} }}\n'
        f"{settings}"))


# -- sources ----------------------------------------------------------------------------


def test_a_sourced_bucket_with_transforms_is_an_ordinary_one(mnt, kv, kv_bucket, unique, wire):
    """Servers before 2.10 know no transforms: there the keys keep the origin's subjects."""
    origin, name = kv_bucket(), unique()
    kv.put(origin, "key", b"theirs")
    sourced(kv, wire, name, origin, transform=True)
    copied(wire, name, 1)
    wait_until(lambda: os.listdir(mnt.kv(name)) == ["key"], "it is seen")
    assert mnt.kv(name, "key").read_bytes() == b"theirs"
    write_file(mnt.kv(name, "key"), b"ours")
    assert mnt.kv(name, "key").read_bytes() == b"ours"
    assert kv.get(name, "key") == b"ours" and kv.get(origin, "key") == b"theirs"


@pytest.fixture(params=["direct", "leader"])
def plain(request, kv, kv_bucket, unique, wire):
    """(origin, bucket): it copies from the origin without a transform, and takes writes."""
    origin, name = kv_bucket(), unique()
    kv.put(origin, "key", b"theirs")
    kv.put(origin, "dir/key", b"deep")
    sourced(kv, wire, name, origin, allow_direct=request.param == "direct")
    copied(wire, name, 2)
    return origin, name


def test_keys_of_a_source_without_a_transform_have_their_own_names(mnt, kv, plain):
    origin, name = plain
    assert sorted(os.listdir(mnt.kv(name))) == ["dir", "key"]
    assert mnt.kv(name, "key").read_bytes() == b"theirs"
    assert mnt.kv(name, "dir", "key").read_bytes() == b"deep"
    kv.put(origin, "key", b"changed")
    wait_until(lambda: mnt.kv(name, "key").read_bytes() == b"changed", "the change is copied")
    kv.delete(origin, "key")
    wait_until(lambda: not mnt.kv(name, "key").exists(), "the removal is copied")


def test_a_write_beside_a_source_is_the_buckets_own(mnt, kv, plain):
    origin, name = plain
    write_file(mnt.kv(name, "key"), b"ours")
    assert kv.get(name, "key") == b"ours" and kv.get(origin, "key") == b"theirs"
    assert mnt.kv(name, "key").read_bytes() == b"ours"
    with open(mnt.kv(name, "dir", "key"), "r+b") as file:
        file.write(b"D")
    assert kv.get(name, "dir/key") == b"Deep"
    with refused(errno.EEXIST):
        os.close(os.open(mnt.kv(name, "key"), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.unlink(mnt.kv(name, "key"))
    assert not mnt.kv(name, "key").exists() and kv.get(origin, "key") == b"theirs"
    assert os.listdir(mnt.kv(name)) == ["dir"]
    os.close(os.open(mnt.kv(name, "key"), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    assert mnt.kv(name, "key").read_bytes() == b""


def test_keys_beside_a_source_are_renamed(mnt, kv, plain):
    origin, name = plain
    os.rename(mnt.kv(name, "key"), mnt.kv(name, "new"))
    assert kv.get(name, "new") == b"theirs" and not mnt.kv(name, "key").exists()
    os.rename(mnt.kv(name, "dir"), mnt.kv(name, "to"))
    assert kv.get(name, "to/key") == b"deep"
    assert sorted(os.listdir(mnt.kv(name))) == ["new", "to"]
    assert kv.get(origin, "key") == b"theirs" and kv.get(origin, "dir/key") == b"deep"


def test_the_newest_of_both_is_the_key(mnt, kv, plain, wire):
    origin, name = plain
    write_file(mnt.kv(name, "key"), b"ours")
    kv.put(origin, "key", b"newer")
    wait_until(lambda: mnt.kv(name, "key").read_bytes() == b"newer", "the copy is newer")
    file = open(mnt.kv(name, "key"), "r+b", buffering=0)
    kv.put(origin, "key", b"newest")
    wait_until(lambda: mnt.kv(name, "key").read_bytes() == b"newest", "the copy is newer")
    file.write(b"stale")
    with refused(errno.ESTALE):
        file.close()


def test_a_bucket_without_subjects_is_read_only(mnt, kv, kv_bucket, unique, wire):
    origin, name = kv_bucket(), unique()
    kv.put(origin, "key", b"theirs")
    sourced(kv, wire, name, origin, subjects=None)
    copied(wire, name, 1)
    wait_until(lambda: os.listdir(mnt.kv(name)) == ["key"], "it is seen")
    assert mnt.kv(name, "key").read_bytes() == b"theirs"
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                  os.O_WRONLY | os.O_APPEND):
        with refused(errno.EROFS):
            os.open(mnt.kv(name, "key"), flags)
    with refused(errno.EROFS):
        os.open(mnt.kv(name, "new"), os.O_WRONLY | os.O_CREAT)
    with refused(errno.EROFS):
        os.unlink(mnt.kv(name, "key"))
    with refused(errno.EROFS):
        os.truncate(mnt.kv(name, "key"), 0)
    assert os.listdir(mnt.kv(name)) == ["key"]


# -- without direct gets ----------------------------------------------------------------


def test_a_bucket_without_direct_gets_works(mnt, kv, kv_bucket):
    name = kv_bucket(allow_direct=False, history=3)
    kv.put(name, "theirs", b"value")
    began = time.monotonic()
    assert mnt.kv(name, "theirs").read_bytes() == b"value"
    write_file(mnt.kv(name, "dir-key"), b"one")
    run("sh", "-c", f"echo two >> {mnt.kv(name, 'dir-key')}")
    assert mnt.kv(name, "dir-key").read_bytes() == b"onetwo\n"
    os.unlink(mnt.kv(name, "theirs"))
    assert os.listdir(mnt.kv(name)) == ["dir-key"]
    assert not mnt.kv(name, "nothing").exists()
    assert time.monotonic() - began < 4  # 2.9 does not answer a direct get there at all


def test_an_object_store_without_direct_gets_works(mnt, objects, obj_bucket):
    name, data = obj_bucket(allow_direct=False), os.urandom(300_000)
    objects.put(name, "theirs", data)
    assert mnt.obj(name, "theirs").read_bytes() == data
    write_file(mnt.obj(name, "ours"), data)
    assert objects.get(name, "ours") == data


# -- keys of other clients --------------------------------------------------------------

FOREIGN = ["a:b", "~tilde", "a&b", "käse", "back\\slash", "日本", "quo\"te", "semi;colon", "$dollar",
           "{brace}", "a%b", "tab'", "a,b", "x:y/z~"]


@pytest.mark.parametrize("raw", FOREIGN)
@pytest.mark.parametrize("direct", [True, False])
def test_a_key_outside_of_the_common_set_is_shown_read_replaced_and_removed(mnt, kv, kv_bucket,
                                                                            raw, direct):
    name, path = kv_bucket(allow_direct=direct), raw.replace("%", "%25")
    kv.put(name, raw, b"theirs")
    top = path.partition("/")[0]
    wait_until(lambda: os.listdir(mnt.kv(name)) == [top], "it is shown")
    assert mnt.kv(name, path).read_bytes() == b"theirs"
    with open(mnt.kv(name, path), "ab") as file:
        file.write(b" and ours")
    assert kv.get(name, raw) == b"theirs and ours"
    write_file(mnt.kv(name, path), b"ours")
    assert kv.get(name, raw) == b"ours"
    os.unlink(mnt.kv(name, path))
    assert kv.get(name, raw) is None and kv.entry(name, raw).operation == "DEL"
