# SPDX-License-Identifier: Apache-2.0
"""Objects as files: every layout that clients write, uploads that fail, bounded memory."""

import base64
import contextlib
import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading

import pytest

from nats_stores import CHUNK, Objects, digest_of
from nats_wire import ApiError
from support import content, noise, path_of, refused, run, shell, wait_until, walk, write_file

MIB = 1 << 20

SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]

NAMES = ["plain", "with spaces", "a/b/c", "käse", "数据/图", "🎉", "/lead", "trail/", "a//b",
         "a/../b", "./x", "%41", "@value", ".jsfs/x", "new\nline", "quote\"back\\slash",
         ".hidden", "x" * 250]


# -- with nats.js, both ways ------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_what_nats_js_writes_reads_back(mnt, js, obj_bucket, size):
    bucket, data = obj_bucket(), noise(size)
    js.obj_put(bucket, "object", data)
    assert mnt.obj(bucket, "object").read_bytes() == data
    assert os.stat(mnt.obj(bucket, "object")).st_size == size


@pytest.mark.parametrize("size", SIZES)
def test_what_the_mount_writes_nats_js_reads(mnt, js, objects, obj_bucket, size):
    bucket, data = obj_bucket(), noise(size)
    write_file(mnt.obj(bucket, "object"), data)
    if not data:  # it is committed by the release, which nobody waits for
        wait_until(lambda: objects.meta(bucket, "object"), "the empty object is stored")
    assert js.obj_get(bucket, "object") == data
    meta = objects.meta(bucket, "object")
    assert meta["digest"] == digest_of(data)
    assert (meta["size"], meta["chunks"]) == (size, -(-size // CHUNK))
    assert meta["options"]["max_chunk_size"] == CHUNK
    assert objects.get(bucket, "object") == data


def test_64_mib_agree_with_nats_js_both_ways(mnt, js, obj_bucket, tmp_path):
    bucket, data = obj_bucket(), noise(64 * MIB)
    (tmp_path / "in").write_bytes(data)
    js.obj_put(bucket, "from js", file=tmp_path / "in")
    run("cmp", tmp_path / "in", mnt.obj(bucket, "from js"))
    run("cp", tmp_path / "in", mnt.obj(bucket, "from mount"))
    js.obj_get_file(bucket, "from mount", tmp_path / "out")
    run("cmp", tmp_path / "in", tmp_path / "out")


def test_names_of_nats_js_are_paths(mnt, js, obj_bucket):
    bucket = obj_bucket()
    for name in NAMES:
        js.obj_put(bucket, name, name.encode())
    assert walk(mnt.obj(bucket)) == sorted(path_of(name) for name in NAMES)
    for name in NAMES:
        assert mnt.obj(bucket, path_of(name)).read_bytes() == name.encode()


def test_paths_are_names_of_nats_js(mnt, js, obj_bucket):
    bucket = obj_bucket()
    for name in NAMES:
        path = mnt.obj(bucket, path_of(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, name.encode())
    assert js.obj_list(bucket) == sorted(NAMES)
    for name in NAMES:
        assert js.obj_get(bucket, name) == name.encode()


def test_names_in_nats_js_own_encoding_are_read(mnt, js, obj_bucket):
    bucket = obj_bucket()
    js.obj_put(bucket, "grün", b"data", latin1=True)
    assert os.listdir(mnt.obj(bucket)) == ["grün"]
    assert mnt.obj(bucket, "grün").read_bytes() == b"data"


def test_a_name_that_is_not_utf8_is_eilseq(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    with refused(errno.EILSEQ):
        write_file(os.fsencode(mnt.obj(bucket)) + b"/bad\xff", b"data")
    assert objects.nuids(bucket) == {} and os.listdir(mnt.obj(bucket)) == []


def test_an_object_that_is_also_a_directory_has_its_bytes_inside(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    objects.put(bucket, "a", b"own")
    objects.put(bucket, "a/b", b"below")
    assert walk(mnt.obj(bucket)) == ["a/@value", "a/b"]
    assert mnt.obj(bucket, "a", "@value").read_bytes() == b"own"


# -- attributes, removing ---------------------------------------------------------------


def test_an_object_shows_its_size_and_the_servers_time(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    objects.put(bucket, "object", noise(200_000))
    state = os.stat(mnt.obj(bucket, "object"))
    assert state.st_size == 200_000
    assert state.st_mtime_ns == objects.entry(bucket, "object").time_ns


def test_an_own_object_shows_at_once(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    for size in (300_000, 1, 10):
        write_file(mnt.obj(bucket, "object"), noise(size, size))
        state = os.stat(mnt.obj(bucket, "object"))
        assert mnt.obj(bucket, "object").read_bytes() == noise(size, size)
        assert (state.st_size, os.listdir(mnt.obj(bucket))) == (size, ["object"])
        assert state.st_mtime_ns == objects.entry(bucket, "object").time_ns


def test_rm_leaves_a_tombstone_and_no_chunks(mnt, js, objects, obj_bucket):
    bucket = obj_bucket()
    objects.put(bucket, "object", noise(300_000))
    os.unlink(mnt.obj(bucket, "object"))
    assert objects.meta(bucket, "object")["deleted"] is True
    assert js.obj_get(bucket, "object") is None
    assert os.listdir(mnt.obj(bucket)) == []
    wait_until(lambda: objects.nuids(bucket) == {}, "the chunks are purged")


def test_rm_works_in_a_full_store(mnt, objects, obj_bucket, wire):
    """A full store refuses the tombstone too."""
    bucket = obj_bucket(max_bytes=400_000)
    objects.put(bucket, "object", noise(300_000))
    with pytest.raises(ApiError):
        for _ in range(2000):
            wire.store(f"$O.{bucket}.C.filler", bytes(100))
    os.unlink(mnt.obj(bucket, "object"))
    assert os.listdir(mnt.obj(bucket)) == []
    wait_until(lambda: list(objects.nuids(bucket)) == ["filler"], "the chunks are purged")
    assert objects.get(bucket, "object") is None


def test_deleted_objects_are_not_there(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    objects.put(bucket, "gone", b"1")
    objects.put(bucket, "kept", b"2")
    objects.delete(bucket, "gone")
    assert os.listdir(mnt.obj(bucket)) == ["kept"]
    with refused(errno.ENOENT):
        mnt.obj(bucket, "gone").read_bytes()


@pytest.mark.parametrize("script", [": > object", "touch object"])
def test_an_empty_file_is_an_empty_object(mnt, js, objects, obj_bucket, script):
    bucket = obj_bucket()
    shell(script, mnt.obj(bucket))
    wait_until(lambda: objects.meta(bucket, "object"), "the object is there")
    assert js.obj_get(bucket, "object") == b""
    assert objects.meta(bucket, "object")["digest"] == digest_of(b"")


def test_cp_r_copies_a_tree_in_and_out(mnt, js, obj_bucket, tmp_path):
    bucket = obj_bucket()
    for number, name in enumerate(("a/b/one", "a/two", "three")):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(noise(number * 200_000, number))
    shell(f"cp -r in/* '{mnt.obj(bucket)}' && cp -r '{mnt.obj(bucket)}' out", tmp_path)
    run("diff", "-r", tmp_path / "in", tmp_path / "out")
    assert js.obj_list(bucket) == ["a/b/one", "a/two", "three"]


# -- layouts of others ------------------------------------------------------------------


def cut(data, sizes):
    """Pieces of these sizes, again and again, until the data ends."""
    pieces, start = [], 0
    while start < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[start:start + size])
        start += size
    return pieces


def test_chunks_of_any_size_are_read(mnt, objects, obj_bucket):
    bucket, data = obj_bucket(), noise(3 * MIB)
    layouts = {"uneven": [1, 70_000, 131_072, 5, 40_000], "short first": [10, CHUNK, CHUNK],
               "large": [900_000], "small": [4096]}
    for name, sizes in layouts.items():
        objects.put_pieces(bucket, name, cut(data, sizes))
    for name in layouts:
        assert mnt.obj(bucket, name).read_bytes() == data, name


def test_unequal_chunks_that_look_equal_from_outside_are_read(mnt, objects, obj_bucket):
    """Consecutive, as many as expected, and the last as long as it would be."""
    bucket = obj_bucket()
    pieces = [noise(100_000, 1), noise(2 * CHUNK - 100_000, 2), noise(1000, 3)]
    objects.put_pieces(bucket, "object", pieces)
    whole = b"".join(pieces)
    assert mnt.obj(bucket, "object").read_bytes() == whole
    with open(mnt.obj(bucket, "object"), "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 5000, 99_000) == whole[99_000:104_000]


def test_interleaved_uploads_are_read(mnt, objects, obj_bucket):
    bucket, one, two = obj_bucket(), noise(2 * MIB, 1), noise(MIB + 7, 2)
    objects.put_interleaved(bucket, ("one", one), ("two", two))
    assert mnt.obj(bucket, "one").read_bytes() == one
    assert mnt.obj(bucket, "two").read_bytes() == two


def test_empty_chunk_messages_are_skipped(mnt, objects, obj_bucket):
    """nats.net ends objects that fill their last chunk with an empty one, and does not count it."""
    bucket, data = obj_bucket(), noise(3 * CHUNK)
    pieces = cut(data, [CHUNK])
    objects.put_pieces(bucket, "behind", [*pieces, b""], chunks=3)
    objects.put_pieces(bucket, "between", [b"", pieces[0], b"", *pieces[1:]], chunks=3)
    objects.put_pieces(bucket, "only", [b""], chunks=0)
    assert mnt.obj(bucket, "behind").read_bytes() == data
    assert mnt.obj(bucket, "between").read_bytes() == data
    assert mnt.obj(bucket, "only").read_bytes() == b""


@pytest.mark.parametrize("change", [
    {"options": None}, {"options": {}}, {"chunks": None}, {"mtime": ""}, {"mtime": "yesterday"},
    {"options": {"link": None, "max_chunk_size": CHUNK}}, {"headers": {"K": ["v"]}},
    {"metadata": {"a": "b"}, "description": "text"}, {"unknown": [1, {"x": 2}]}, {"bucket": None}],
    ids=str)
def test_metas_of_other_clients_are_understood(mnt, objects, obj_bucket, change):
    bucket, data = obj_bucket(), noise(300_000)
    objects.put(bucket, "object", data, **change)
    assert mnt.obj(bucket, "object").read_bytes() == data


# Its standard base64 has both "+" and "/".
PLUS = next(data for data in (noise(200_000, seed) for seed in range(1000))
            if {"+", "/"} <= set(base64.b64encode(hashlib.sha256(data).digest()).decode()))
SUM = hashlib.sha256(PLUS).digest()
URL = base64.urlsafe_b64encode(SUM).decode()

DIGESTS = {"hex": "SHA-256=" + SUM.hex(),
           "standard base64": "SHA-256=" + base64.b64encode(SUM).decode(),
           "unpadded": "SHA-256=" + URL.rstrip("="), "lower case": "sha-256=" + URL,
           "empty": "", "none": None}


@pytest.mark.parametrize("form", DIGESTS)
def test_digests_are_read_in_every_form(mnt, objects, obj_bucket, form):
    bucket = obj_bucket()
    objects.put(bucket, "object", PLUS, digest=DIGESTS[form])
    assert mnt.obj(bucket, "object").read_bytes() == PLUS


# -- bad data ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, CHUNK, 3 * MIB + 1])
def test_a_wrong_digest_is_eio_before_the_end(mnt, objects, obj_bucket, size):
    bucket = obj_bucket()
    objects.put(bucket, "bad", noise(size), digest=digest_of(b"something else"))
    seen = 0
    with open(mnt.obj(bucket, "bad"), "rb", buffering=0) as file, refused(errno.EIO):
        while data := file.read(65_536):
            seen += len(data)
    assert seen < size


def test_an_object_without_its_chunks_is_eio(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    nuid = objects.put_pieces(bucket, "bad", cut(noise(MIB), [CHUNK]))
    objects.purge_chunks(bucket, nuid)
    with refused(errno.EIO):
        mnt.obj(bucket, "bad").read_bytes()


@pytest.mark.parametrize("missing", [0, 3, 7])
def test_an_object_without_one_of_its_chunks_is_eio(mnt, objects, obj_bucket, wire, missing):
    bucket = obj_bucket()
    nuid = objects.put_pieces(bucket, "bad", cut(noise(MIB), [CHUNK]))
    seq = objects.chunks(bucket, nuid)[missing].seq
    wire.api(f"STREAM.MSG.DELETE.OBJ_{bucket}", {"seq": seq})
    with refused(errno.EIO):
        mnt.obj(bucket, "bad").read_bytes()


@pytest.mark.parametrize("size", [MIB + 1, MIB - 1, 2 * MIB])
def test_an_object_that_is_not_as_long_as_it_says_is_eio(mnt, objects, obj_bucket, size):
    bucket = obj_bucket()
    objects.put(bucket, "bad", noise(MIB), size=size)
    with refused(errno.EIO):
        mnt.obj(bucket, "bad").read_bytes()


@pytest.mark.parametrize("meta", [b"{ not json", b"", b"[]", b"\xff\xfe", b'{"size": 3}',
                                  b'{"name": 7, "nuid": "x"}'], ids=repr)
def test_a_meta_that_cannot_be_read_is_eio_on_that_file_alone(mnt, objects, obj_bucket, meta):
    bucket = obj_bucket()
    objects.put_meta(bucket, "bad", meta)
    objects.put(bucket, "good", b"data")
    assert sorted(os.listdir(mnt.obj(bucket))) == ["bad", "good"]
    with refused(errno.EIO):
        mnt.obj(bucket, "bad").read_bytes()
    assert mnt.obj(bucket, "good").read_bytes() == b"data"


def test_a_meta_under_a_subject_of_no_name_hides_nothing(mnt, objects, obj_bucket, wire):
    bucket = obj_bucket()
    wire.store(f"$O.{bucket}.M.%%%", b"{ not json")
    objects.put(bucket, "good", b"data")
    assert "good" in os.listdir(mnt.obj(bucket))
    assert mnt.obj(bucket, "good").read_bytes() == b"data"


def test_a_broken_object_can_be_replaced_and_removed(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    objects.put_meta(bucket, "replaced", b"{ not json")
    objects.put_meta(bucket, "removed", b"{ not json")
    write_file(mnt.obj(bucket, "replaced"), b"good")
    os.unlink(mnt.obj(bucket, "removed"))
    assert objects.get(bucket, "replaced") == b"good"
    assert os.listdir(mnt.obj(bucket)) == ["replaced"]


# -- reading ----------------------------------------------------------------------------


def test_random_reads_are_the_bytes_there(mnt, objects, obj_bucket):
    bucket, data = obj_bucket(), noise(16 * MIB)
    objects.put(bucket, "object", data)
    chance = random.Random(1)
    with open(mnt.obj(bucket, "object"), "rb", buffering=0) as file:
        for _ in range(200):
            start, size = chance.randrange(len(data) + 10), chance.randrange(1, 300_000)
            assert os.pread(file.fileno(), size, start) == data[start:start + size]


def test_two_readers_at_once_get_the_same_bytes(mnt, objects, obj_bucket):
    bucket, data = obj_bucket(), noise(16 * MIB)
    objects.put(bucket, "object", data)
    seen = {}

    def read(number):
        seen[number] = mnt.obj(bucket, "object").read_bytes() == data

    threads = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {0: True, 1: True}


# -- overwriting ------------------------------------------------------------------------


def test_an_overwrite_purges_the_old_chunks(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    for seed in range(3):
        write_file(mnt.obj(bucket, "object"), noise(500_000, seed))
    nuid = objects.meta(bucket, "object")["nuid"]
    wait_until(lambda: objects.nuids(bucket) == {nuid: 4}, "only the newest chunks are left")
    assert objects.get(bucket, "object") == noise(500_000, 2)


def test_a_reader_keeps_the_version_it_opened(mnt, objects, obj_bucket):
    bucket, old, new = obj_bucket(), noise(24 * MIB, 1), noise(20 * MIB, 2)
    objects.put(bucket, "object", old)
    with open(mnt.obj(bucket, "object"), "rb", buffering=0) as reader:
        assert reader.read(MIB) == old[:MIB]
        write_file(mnt.obj(bucket, "object"), new)
        assert len(objects.nuids(bucket)) == 2
        for start in range(MIB, len(old), MIB):
            assert os.pread(reader.fileno(), MIB, start) == old[start:start + MIB]
            assert content_at(mnt.obj(bucket, "object"), start // 2) == new[start // 2:][:4096]
    wait_until(lambda: len(objects.nuids(bucket)) == 1, "the old chunks go after the last close")
    assert mnt.obj(bucket, "object").read_bytes() == new


def content_at(path, start):
    with open(path, "rb", buffering=0) as file:
        return os.pread(file.fileno(), 4096, start)


def test_a_removed_object_can_still_be_read_by_who_has_it_open(mnt, objects, obj_bucket):
    bucket, data = obj_bucket(), noise(24 * MIB)
    objects.put(bucket, "object", data)
    with open(mnt.obj(bucket, "object"), "rb", buffering=0) as reader:
        assert reader.read(MIB) == data[:MIB]
        os.unlink(mnt.obj(bucket, "object"))
        assert os.pread(reader.fileno(), MIB, 23 * MIB) == data[23 * MIB:]
    wait_until(lambda: objects.nuids(bucket) == {}, "the chunks go after the last close")


def test_a_childs_close_does_not_finish_the_upload(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    shell("(printf a; /bin/echo b; printf c) > object", mnt.obj(bucket))
    assert objects.get(bucket, "object") == b"ab\nc"


def test_fsync_makes_the_bytes_the_object(mnt, objects, obj_bucket):
    bucket, data = obj_bucket(), noise(300_000)
    with open(mnt.obj(bucket, "object"), "wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
        assert objects.get(bucket, "object") == data


# -- uploads that fail ------------------------------------------------------------------


@pytest.mark.parametrize("before", ["an old object", "nothing"])
def test_a_failed_upload_leaves_the_old_object_and_no_chunks(mnt, objects, obj_bucket, before):
    bucket, old = obj_bucket(max_bytes=2 * MIB), noise(200_000)
    left = {}
    if before == "an old object":
        left = {objects.put_pieces(bucket, "object", cut(old, [CHUNK])): 2}
    with refused(errno.ENOSPC):
        write_file(mnt.obj(bucket, "object"), noise(8 * MIB, 1))
    wait_until(lambda: objects.nuids(bucket) == left, "the new chunks are purged")
    assert objects.get(bucket, "object") == (old if left else None)
    wait_until(lambda: content(mnt.obj(bucket, "object")) == (old if left else None), "it shows")


def test_a_killed_jsfs_leaves_the_old_object(mnt, mount, js, objects, obj_bucket):
    bucket, old = obj_bucket(), noise(300_000)
    write_file(mnt.obj(bucket, "object"), old)
    descriptor = os.open(mnt.obj(bucket, "object"), os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, noise(8 * MIB, 1))
    mnt.kill()
    with contextlib.suppress(OSError):
        os.close(descriptor)
    assert js.obj_get(bucket, "object") == old
    assert mount().obj(bucket, "object").read_bytes() == old


def test_a_killed_writer_leaves_a_whole_object(mnt, objects, obj_bucket):
    """The kernel closes its files, so what it wrote may become the object; never a torn one."""
    bucket, old = obj_bucket(), noise(300_000)
    write_file(mnt.obj(bucket, "object"), old)
    writer = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfile = open(sys.argv[1], 'wb', buffering=0)\n"
         "file.write(bytes(4 << 20))\nprint(flush=True)\nsys.stdin.read()",
         str(mnt.obj(bucket, "object"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout.read(1) == b"\n"
        assert objects.get(bucket, "object") == old
        writer.send_signal(signal.SIGKILL)
    assert mnt.unmount() == 0
    assert objects.get(bucket, "object") in (old, bytes(4 << 20))


def test_writing_in_the_middle_is_refused_and_changes_nothing(mnt, objects, obj_bucket):
    bucket, old = obj_bucket(), noise(300_000)
    objects.put(bucket, "object", old)
    descriptor = os.open(mnt.obj(bucket, "object"), os.O_RDWR)
    with refused(errno.EOPNOTSUPP):
        os.pwrite(descriptor, b"new", 100_000)
    os.close(descriptor)
    with refused(errno.EOPNOTSUPP), open(mnt.obj(bucket, "object"), "ab", buffering=0) as file:
        file.write(b"more")
    assert objects.get(bucket, "object") == old


# -- limits -----------------------------------------------------------------------------


def test_chunks_fit_into_the_servers_messages(mount, make_server):
    small = make_server(settings="max_payload: 65536")
    connection, data = small.connect(), noise(MIB)
    objects = Objects(connection)
    objects.create("store")
    write_file(mount(server=small).obj("store", "object"), data)
    assert objects.get("store", "object") == data
    connection.close()


def test_the_chunk_size_is_configurable(mount, objects, obj_bucket):
    bucket, data = obj_bucket(), noise(300_000)
    write_file(mount(config="[object]\nchunk_size = 64K\n").obj(bucket, "object"), data)
    meta = objects.meta(bucket, "object")
    assert (meta["chunks"], meta["options"]["max_chunk_size"]) == (5, 65_536)
    assert objects.get(bucket, "object") == data


def test_memory_is_bounded_whatever_the_size(mnt, obj_bucket, sanitized):
    bucket, limit = obj_bucket(), (1024 if sanitized else 256) * MIB
    where = mnt.obj(bucket, "object")
    run("dd", "if=/dev/zero", f"of={where}", "bs=1M", "count=512")
    assert mnt.memory_peak() < limit
    assert run("sh", "-c", f"cksum < '{where}'").stdout.split()[1] == str(512 * MIB)
    assert mnt.memory_peak() < limit
