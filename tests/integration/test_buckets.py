# SPDX-License-Identifier: Apache-2.0
"""kv/ and obj/: which buckets there are, making and removing them, how full they are."""

import errno
import os

import pytest

from nats_wire import ApiError
from support import noise, refused, wait_until

MINUTES = 60 * 10**9  # [ns]


def listed(directory):
    """The names in a directory, as a set."""
    return set(os.listdir(directory))


# -- listing ----------------------------------------------------------------------------


def test_the_top_shows_the_two_kinds(mnt):
    assert sorted(os.listdir(mnt.path)) == ["kv", "obj"]


def test_buckets_of_other_clients_are_listed(mnt, kv_bucket, obj_bucket, js, unique):
    by_js = unique()
    js.kv_create(by_js)
    keys, store = kv_bucket(), obj_bucket()
    wait_until(lambda: {by_js, keys} <= listed(mnt / "kv"), "the advisories have come")
    wait_until(lambda: store in listed(mnt / "obj"), "the advisories have come")
    assert store not in listed(mnt / "kv") and keys not in listed(mnt / "obj")


def test_streams_that_are_no_buckets_are_not_listed(mnt, wire, unique):
    name = unique()
    wire.stream_create(f"XX_{name}", subjects=[f"xx.{name}"])
    try:
        assert not any(name in bucket for bucket in listed(mnt / "kv") | listed(mnt / "obj"))
    finally:
        wire.stream_delete(f"XX_{name}")


def test_more_buckets_than_one_answer_holds_are_all_listed(mount, own_server):
    """STREAM.NAMES comes in pages of 1024."""
    connection = own_server.connect()
    names = {f"b{number}" for number in range(1100)}
    for name in names:
        connection.stream_create(f"KV_{name}", subjects=[f"$KV.{name}.>"], storage="memory",
                                 max_msgs_per_subject=1, allow_direct=True)
    assert listed(mount(server=own_server) / "kv") == names
    connection.close()


def test_a_mirror_is_listed_and_shows_the_keys_of_its_origin(mnt, kv, kv_bucket, unique, wire):
    origin, mirror = kv_bucket(), unique()
    kv.put(origin, "key", b"value")
    kv.mirror(mirror, origin)
    wait_until(lambda: wire.stream_info(f"KV_{mirror}")["state"]["messages"] == 1, "it is filled")
    wait_until(lambda: mirror in listed(mnt / "kv"), "the mirror is listed")
    assert os.listdir(mnt.kv(mirror)) == ["key"]
    assert mnt.kv(mirror, "key").read_bytes() == b"value"


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_a_bucket_made_elsewhere_appears(mnt, kv_bucket, obj_bucket, kind):
    os.listdir(mnt / kind)
    name = {"kv": kv_bucket, "obj": obj_bucket}[kind]()
    wait_until(lambda: name in listed(mnt / kind), "the new bucket is listed")
    wait_until((mnt / kind / name).is_dir, "the new bucket is found")


def test_a_name_that_was_looked_up_before_appears(mnt, kv, unique):
    name = unique()
    for _ in range(3):
        assert not mnt.kv(name).exists()
    kv.create(name)
    wait_until(mnt.kv(name).is_dir, "the new bucket is found")


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_a_bucket_deleted_elsewhere_vanishes(mnt, kv, objects, kv_bucket, obj_bucket, kind):
    name = {"kv": kv_bucket, "obj": obj_bucket}[kind]()
    assert os.listdir(mnt / kind / name) == []
    wait_until(lambda: name in listed(mnt / kind), "the bucket is listed")
    {"kv": kv, "obj": objects}[kind].remove(name)
    wait_until(lambda: name not in listed(mnt / kind), "the bucket is not listed any more")
    wait_until(lambda: not (mnt / kind / name).exists(), "the bucket is not found any more")


def test_a_bucket_made_again_is_a_new_one(mnt, kv, kv_bucket):
    name = kv_bucket()
    kv.put(name, "old", b"old")
    assert os.listdir(mnt.kv(name)) == ["old"]
    kv.remove(name)
    kv.create(name)
    kv.put(name, "new", b"new")

    def seen():
        try:
            return os.listdir(mnt.kv(name)) == ["new"]
        except OSError as error:
            assert error.errno in (errno.ENOENT, errno.ESTALE), error
            return False

    wait_until(seen, "only the new bucket's key is listed")


# -- mkdir ------------------------------------------------------------------------------


def config_of(wire, stream):
    """A stream's configuration without its name, subjects and the server's own notes."""
    config = wire.stream_info(stream)["config"]
    for field in ("name", "subjects"):
        del config[field]
    metadata = config.pop("metadata", {})
    assert all(key.startswith("_nats.") for key in metadata), metadata
    return config


def test_mkdir_makes_the_bucket_that_go_makes(mnt, wire, unique):
    name = unique()
    mnt.kv(name).mkdir()
    info = wire.stream_info(f"KV_{name}")["config"]
    wanted = {"max_msgs_per_subject": 1, "discard": "new", "allow_rollup_hdrs": True,
              "deny_delete": True, "allow_direct": True, "duplicate_window": 2 * MINUTES,
              "max_bytes": -1, "max_msg_size": -1, "num_replicas": 1, "max_age": 0,
              "storage": "file", "retention": "limits", "max_msgs": -1, "max_consumers": -1}
    assert info["subjects"] == [f"$KV.{name}.>"]
    assert {field: info[field] for field in wanted} == wanted


def test_mkdir_makes_the_object_store_that_go_makes(mnt, wire, unique):
    name = unique()
    mnt.obj(name).mkdir()
    info = wire.stream_info(f"OBJ_{name}")["config"]
    wanted = {"discard": "new", "allow_rollup_hdrs": True, "allow_direct": True, "max_bytes": -1,
              "num_replicas": 1, "max_age": 0, "storage": "file", "retention": "limits",
              "deny_delete": False, "deny_purge": False, "max_msgs_per_subject": -1}
    assert info["subjects"] == [f"$O.{name}.C.>", f"$O.{name}.M.>"]
    assert {field: info[field] for field in wanted} == wanted


def test_mkdir_differs_from_nats_js_where_go_does(mnt, wire, js, unique):
    """nats.js sets no deny_delete; allow_atomic is jsfs's own, where the server has it."""
    ours, theirs = unique(), unique()
    mnt.kv(ours).mkdir()
    js.kv_create(theirs)
    one, two = config_of(wire, f"KV_{ours}"), config_of(wire, f"KV_{theirs}")
    different = {field for field in one.keys() | two.keys() if one.get(field) != two.get(field)}
    assert different <= {"deny_delete", "allow_atomic"}, different


def test_nats_js_uses_a_bucket_that_mkdir_made(mnt, js, unique):
    keys, store = unique(), unique()
    mnt.kv(keys).mkdir()
    mnt.obj(store).mkdir()
    js.kv_put(keys, "key", b"value")
    js.obj_put(store, "name", b"object")
    wait_until(mnt.kv(keys, "key").exists, "the key is seen")
    wait_until(mnt.obj(store, "name").exists, "the object is seen")
    assert mnt.kv(keys, "key").read_bytes() == b"value"
    assert mnt.obj(store, "name").read_bytes() == b"object"


def test_mkdir_takes_the_defaults_of_the_configuration(mount, wire, unique):
    keys, store = unique(), unique()
    mnt = mount(config="[kv]\nhistory = 7\nstorage = memory\nttl = 15m\nmax_bytes = 10M\n"
                       "max_value_size = 64K\n"
                       "[object]\nttl = 1h\nmax_bytes = 20M\nstorage = memory\n")
    mnt.kv(keys).mkdir()
    mnt.obj(store).mkdir()
    kv_config = wire.stream_info(f"KV_{keys}")["config"]
    obj_config = wire.stream_info(f"OBJ_{store}")["config"]
    assert kv_config["max_msgs_per_subject"] == 7
    assert kv_config["max_msg_size"] == 64 << 10
    assert (kv_config["storage"], obj_config["storage"]) == ("memory", "memory")
    assert (kv_config["max_age"], obj_config["max_age"]) == (15 * MINUTES, 60 * MINUTES)
    assert (kv_config["max_bytes"], obj_config["max_bytes"]) == (10 << 20, 20 << 20)


def test_every_default_of_kv_is_sent_and_nats_js_sees_it(mount, wire, js, unique):
    name = unique()
    mnt = mount(config="[kv]\nhistory = 7\nstorage = memory\nttl = 15m\nmax_bytes = 10M\n"
                       "max_value_size = 64K\nreplicas = 1\ncompression = yes\n"
                       "description = käse & \"more\"\nplacement_tags = ssd, eu west\n")
    mnt.kv(name).mkdir()
    config = wire.stream_info(f"KV_{name}")["config"]
    assert config["description"] == 'käse & "more"'
    assert config["placement"] == {"cluster": "", "tags": ["ssd", "eu west"]} or config[
        "placement"] == {"tags": ["ssd", "eu west"]}
    assert config.get("compression") in ("s2", None)  # None: servers before 2.10 know no such
    seen = js.kv_status(name)
    assert seen == {"history": 7, "ttl": 15 * 60_000, "storage": "memory", "replicas": 1,
                    "max_bytes": 10 << 20, "maxValueSize": 64 << 10,
                    "description": 'käse & "more"', "compression": config.get("compression") == "s2"}


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_mkdir_with_what_the_server_has_not_is_refused(mount, wire, unique, kind):
    """Three replicas need three servers; nothing is made then."""
    name = unique()
    mnt = mount(config=f"[{ {'kv': 'kv', 'obj': 'object'}[kind]}]\nreplicas = 3\n")
    with refused(errno.EINVAL):
        (mnt / kind / name).mkdir()
    assert not any(name in stream for stream in wire.stream_names())
    assert "replicas" in mnt.log() or "invalid" in mnt.log()


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_mkdir_of_what_exists_is_eexist(mnt, kv_bucket, obj_bucket, kind):
    name = {"kv": kv_bucket, "obj": obj_bucket}[kind]()
    with refused(errno.EEXIST):
        (mnt / kind / name).mkdir()


@pytest.mark.parametrize("kind", ["kv", "obj"])
@pytest.mark.parametrize("name", ["a.b", "a b", "käse", "a*", ">", "x:y"])
def test_mkdir_of_a_name_that_no_bucket_may_have_is_einval(mnt, kind, name):
    with refused(errno.EINVAL):
        (mnt / kind / name).mkdir()


def test_mkdir_of_a_name_that_is_too_long_is_refused(mnt):
    with refused(errno.EINVAL, errno.ENAMETOOLONG):
        mnt.kv("b" * 253).mkdir()


def test_nothing_can_be_made_beside_the_buckets(mnt):
    with refused(errno.EPERM, errno.EACCES, errno.EROFS):
        (mnt / "other").mkdir()
    with refused(errno.EPERM, errno.EACCES, errno.EROFS):
        (mnt / "file").write_bytes(b"")
    with refused(errno.EPERM, errno.EACCES, errno.EROFS):
        (mnt / "kv" / "file").write_bytes(b"")


# -- rmdir ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_rmdir_deletes_an_empty_bucket(mnt, wire, unique, kind):
    name = unique()
    (mnt / kind / name).mkdir()
    (mnt / kind / name).rmdir()
    with pytest.raises(ApiError) as caught:
        wire.stream_info({"kv": "KV_", "obj": "OBJ_"}[kind] + name)
    assert caught.value.err_code == 10059
    assert name not in listed(mnt / kind) and not (mnt / kind / name).exists()


def test_rmdir_keeps_a_bucket_with_a_key(mnt, kv, kv_bucket):
    name = kv_bucket()
    kv.put(name, "key", b"value")
    with refused(errno.ENOTEMPTY):
        mnt.kv(name).rmdir()
    assert kv.get(name, "key") == b"value"


def test_rmdir_keeps_a_store_with_an_object(mnt, objects, obj_bucket):
    name = obj_bucket()
    objects.put(name, "object", b"bytes")
    with refused(errno.ENOTEMPTY):
        mnt.obj(name).rmdir()
    assert objects.get(name, "object") == b"bytes"


def test_delete_markers_do_not_keep_a_bucket(mnt, kv, objects, kv_bucket, obj_bucket):
    keys, store = kv_bucket(), obj_bucket()
    kv.put(keys, "key", b"value")
    kv.delete(keys, "key")
    objects.put(store, "object", b"bytes")
    objects.delete(store, "object")
    mnt.kv(keys).rmdir()
    mnt.obj(store).rmdir()
    assert keys not in listed(mnt / "kv") and store not in listed(mnt / "obj")


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_rmdir_sees_what_was_put_right_before(mnt, kv, objects, kv_bucket, obj_bucket, kind):
    """The list that this mount has may be older than the put, which is acknowledged."""
    stores = {"kv": kv, "obj": objects}[kind]
    for _ in range(20):
        name = {"kv": kv_bucket, "obj": obj_bucket}[kind]()
        wait_until((mnt / kind / name).is_dir, "it is found")
        assert os.listdir(mnt / kind / name) == []
        stores.put(name, "name", b"bytes")
        with refused(errno.ENOTEMPTY):
            (mnt / kind / name).rmdir()
        assert stores.get(name, "name") == b"bytes"


@pytest.mark.parametrize("kind", ["kv", "obj"])
def test_rmdir_sees_what_was_removed_right_before(mnt, kv, objects, kv_bucket, obj_bucket, kind):
    stores = {"kv": kv, "obj": objects}[kind]
    for _ in range(10):
        name = {"kv": kv_bucket, "obj": obj_bucket}[kind]()
        stores.put(name, "name", b"bytes")
        wait_until((mnt / kind / name / "name").exists, "it is seen")
        stores.delete(name, "name")
        (mnt / kind / name).rmdir()


def test_rmdir_of_a_store_whose_newest_message_is_a_lost_chunk_works(mnt, objects, obj_bucket):
    """What is stored behind the last meta is no object."""
    name = obj_bucket()
    assert os.listdir(mnt.obj(name)) == []
    objects.put_chunks(name, "abandoned", [b"chunk"])
    mnt.obj(name).rmdir()
    assert name not in listed(mnt / "obj")


def test_rmdir_of_no_bucket_is_enoent(mnt):
    with refused(errno.ENOENT):
        mnt.kv("nothing-here").rmdir()


def test_the_two_kinds_cannot_be_removed(mnt):
    with refused(errno.EPERM, errno.EACCES, errno.EROFS, errno.EBUSY, errno.ENOTEMPTY):
        (mnt / "kv").rmdir()
    assert (mnt / "kv").is_dir()


# -- how full ---------------------------------------------------------------------------


def test_df_of_a_limited_bucket_is_its_limit_and_its_use(mnt, objects, obj_bucket):
    name = obj_bucket(max_bytes=64 << 20)
    before = os.statvfs(mnt.obj(name))
    objects.put(name, "object", noise(8 << 20))
    after = os.statvfs(mnt.obj(name))
    block = before.f_frsize
    assert abs(before.f_blocks * block - (64 << 20)) <= block
    assert before.f_bfree == before.f_blocks
    used = (after.f_blocks - after.f_bfree) * block
    assert 8 << 20 <= used < 10 << 20
    assert after.f_bavail == after.f_bfree


def test_df_of_an_account_with_a_limit_is_that(mount, make_server):
    limited = make_server(settings="""
        accounts { A { jetstream { max_file: 512MB, max_memory: 64MB }, users [ {user: a} ] } }
        no_auth_user: a""")
    state = os.statvfs(mount(server=limited).path)
    assert abs(state.f_blocks * state.f_frsize - (512 << 20)) <= state.f_frsize


def test_df_of_an_unlimited_bucket_works(mnt, kv_bucket):
    name = kv_bucket()
    assert os.statvfs(mnt.kv(name)).f_namemax >= 255
    assert os.statvfs(mnt.path).f_bsize > 0
