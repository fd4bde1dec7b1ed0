# SPDX-License-Identifier: Apache-2.0
""".jsfs/history and .jsfs/deleted: what a bucket keeps of its keys; the truth is read past jsfs."""

import errno
import os
import stat
import threading

import pytest

from support import content, noise, refused, run, shell, wait_until, write_file


def history_of(mnt, bucket, *names):
    return mnt.kv(bucket, ".jsfs", "history", *names)


def deleted_of(mnt, bucket, *names):
    return mnt.kv(bucket, ".jsfs", "deleted", *names)


def names_of(kv, bucket, key):
    """What the history of a key must show, written from the messages that are stored."""
    suffix = {"PUT": "", "DEL": ".deleted", "PURGE": ".purged"}
    return [f"@{message.seq}{suffix[message.operation]}"
            for message in kv.history(bucket, key)]


# -- history ----------------------------------------------------------------------------


def test_every_kept_revision_is_a_read_only_file(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    for value in (b"one", b"", b"three"):
        kv.put(bucket, "key", value)
    kv.delete(bucket, "key")
    kv.put(bucket, "key", b"again")
    directory = history_of(mnt, bucket, "key")
    assert sorted(os.listdir(directory)) == sorted(names_of(kv, bucket, "key"))
    for message in kv.history(bucket, "key"):
        marker = ".deleted" if message.operation == "DEL" else ""
        path = directory / f"@{message.seq}{marker}"
        state = os.stat(path)
        assert stat.S_ISREG(state.st_mode) and stat.S_IMODE(state.st_mode) == 0o444
        assert state.st_size == len(message.data)
        assert state.st_mtime_ns == message.time_ns
        assert path.read_bytes() == message.data


def test_purge_and_delete_markers_show_as_empty_files(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "key", b"1")
    kv.purge(bucket, "key")
    kv.put(bucket, "key", b"2")
    kv.delete(bucket, "key")
    names = names_of(kv, bucket, "key")
    assert [name.partition(".")[2] for name in names] == ["purged", "", "deleted"]
    assert sorted(os.listdir(history_of(mnt, bucket, "key"))) == sorted(names)
    for name in names[0], names[2]:
        assert history_of(mnt, bucket, "key", name).read_bytes() == b""
        with refused(errno.ENOENT):  # the number alone is no name of a marker
            os.stat(history_of(mnt, bucket, "key", name.partition(".")[0]))


def test_an_expiry_marker_shows_as_a_purge(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "key", b"1")
    kv.put(bucket, "key", b"", {"Nats-Marker-Reason": "MaxAge"})
    assert sorted(os.listdir(history_of(mnt, bucket, "key"))) == ["@1", "@2.purged"]
    assert os.getxattr(history_of(mnt, bucket, "key", "@2.purged"), "user.nats.operation") == b"PURGE"
    assert os.listdir(deleted_of(mnt, bucket)) == ["key"]


def test_what_is_no_kept_revision_is_enoent(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=2)
    kv.put_all(bucket, [("other", b"x"), ("key", b"1"), ("key", b"2"), ("key", b"3")])
    assert sorted(os.listdir(history_of(mnt, bucket, "key"))) == ["@3", "@4"]
    for name in ("@1", "@2", "@5", "@3.deleted", "@03", "@", "@x", "@value", "x"):
        with refused(errno.ENOENT):
            os.stat(history_of(mnt, bucket, "key", name))
    with refused(errno.ENOENT):
        os.stat(history_of(mnt, bucket, "@3"))
    with refused(errno.ENOENT):
        os.stat(history_of(mnt, bucket, "nothing"))


def test_the_history_has_live_and_deleted_keys_in_directories(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put_all(bucket, [("live", b"1"), ("app/db", b"2"), ("app/old", b"3"), ("gone/deep/key", b"4")])
    kv.delete(bucket, "app/old")
    kv.delete(bucket, "gone/deep/key")
    assert sorted(os.listdir(history_of(mnt, bucket))) == ["app", "gone", "live"]
    assert sorted(os.listdir(history_of(mnt, bucket, "app"))) == ["db", "old"]
    assert os.listdir(history_of(mnt, bucket, "gone", "deep")) == ["key"]
    assert sorted(os.listdir(history_of(mnt, bucket, "gone", "deep", "key"))) == ["@4", "@6.deleted"]
    assert sorted(os.listdir(mnt.kv(bucket))) == ["app", "live"]


def test_a_key_that_is_also_a_directory_shows_revisions_and_keys(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put_all(bucket, [("a", b"1"), ("a/b", b"2"), ("a", b"3")])
    assert sorted(os.listdir(history_of(mnt, bucket, "a"))) == ["@1", "@3", "b"]
    assert history_of(mnt, bucket, "a", "@3").read_bytes() == b"3"
    assert history_of(mnt, bucket, "a", "b", "@2").read_bytes() == b"2"
    types = {entry.name: entry.is_dir() for entry in os.scandir(history_of(mnt, bucket, "a"))}
    assert types == {"@1": False, "@3": False, "b": True}


def test_encoded_names_have_a_history(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put(bucket, "@odd", b"1")
    assert os.listdir(history_of(mnt, bucket)) == ["%40odd"]
    assert history_of(mnt, bucket, "%40odd", "@1").read_bytes() == b"1"


def test_a_history_shows_every_change_at_once(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    key = mnt.kv(bucket, "key")
    for number in range(1, 8):
        write_file(key, b"%d" % number)
        assert sorted(os.listdir(history_of(mnt, bucket, "key"))) == sorted(names_of(kv, bucket, "key"))
    revision = kv.put(bucket, "key", b"elsewhere")
    wait_until(lambda: content(key) == b"elsewhere", "the change has come")
    assert history_of(mnt, bucket, "key", f"@{revision}").read_bytes() == b"elsewhere"
    assert len(os.listdir(history_of(mnt, bucket, "key"))) == 3
    kv.delete(bucket, "key")
    wait_until(lambda: not key.exists(), "the removal has come")
    assert f"@{revision + 1}.deleted" in os.listdir(history_of(mnt, bucket, "key"))


def test_the_longest_history_is_listed_whole(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=64)
    kv.put_all(bucket, [("key", noise(1000 + number, number)) for number in range(100)])
    listed = os.listdir(history_of(mnt, bucket, "key"))
    assert len(listed) == 64
    assert sorted(listed) == sorted(names_of(kv, bucket, "key"))
    for message in kv.history(bucket, "key"):
        assert history_of(mnt, bucket, "key", f"@{message.seq}").read_bytes() == message.data


def test_a_history_is_whole_while_others_write_the_key(mnt, kv, kv_bucket, server):
    """Each listing has what was newest when it began, and a run of revisions up to that."""
    bucket = kv_bucket(history=8)
    kv.put_all(bucket, [("key", b"%d" % number) for number in range(8)])
    assert len(os.listdir(history_of(mnt, bucket, "key"))) == 8
    connection, stop = server.connect(), threading.Event()

    def write():
        while not stop.is_set():
            connection.store_all((f"$KV.{bucket}.key", b"x" * 100, None) for _ in range(20))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            newest = kv.entry(bucket, "key").seq
            found = [int(name[1:]) for name in os.listdir(history_of(mnt, bucket, "key"))]
            assert found == sorted(set(found))
            assert found[-1] >= newest
    finally:
        stop.set()
        writer.join()
        connection.close()


def test_listing_a_history_costs_that_key_only(mnt, kv, kv_bucket, server):
    bucket = kv_bucket(history=4)
    kv.put_all(bucket, [(f"key{number}", b"x" * 4096) for number in range(500)])
    kv.put_all(bucket, [("key7", b"y"), ("key7", b"z")])
    assert len(os.listdir(mnt.kv(bucket))) == 500

    def sent_by_a_look():
        before = server.requests()
        assert "@501" in run("ls", "-l", history_of(mnt, bucket, "key7")).stdout
        return server.requests() - before

    assert min(sent_by_a_look() for _ in range(3)) <= 6  # newest, consumer, its end, flow


def test_the_tools_of_a_shell_work_on_revisions(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("k", b"old line\n"), ("k", b"new line\n"), ("k", b"newest line\n")])
    top = mnt.kv(bucket)
    assert shell("diff .jsfs/history/k/@3 k", top).stdout == ""
    assert shell("diff .jsfs/history/k/@1 k", top, check=False).returncode == 1
    assert shell("grep -rl line .jsfs/history/k/", top).stdout.count("@") == 3
    assert shell("grep -r old .jsfs/history/", top).stdout == ".jsfs/history/k/@1:old line\n"
    assert shell("wc -c < .jsfs/history/k/@2", top).stdout.strip() == "9"
    found = shell("find .jsfs/history -type f", top).stdout.split()
    assert sorted(found) == [f".jsfs/history/k/@{number}" for number in (1, 2, 3)]


def test_copying_a_revision_back_reverts_by_a_new_revision(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("k", b"good"), ("k", b"bad")])
    run("cp", history_of(mnt, bucket, "k", "@1"), mnt.kv(bucket, "k"))
    assert kv.get(bucket, "k") == b"good"
    assert names_of(kv, bucket, "k") == ["@1", "@2", "@3"]


def test_a_revision_cannot_be_written_or_removed(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("k", b"1"), ("k", b"2")])
    path = history_of(mnt, bucket, "k", "@1")
    for attempt in (lambda: os.remove(path), lambda: os.open(path, os.O_WRONLY),
                    lambda: os.open(path, os.O_RDWR | os.O_TRUNC),
                    lambda: os.truncate(path, 0), lambda: os.chmod(path, 0o600),
                    lambda: write_file(path.parent / "@9", b"1"), lambda: os.mkdir(path.parent / "x")):
        with refused(errno.EPERM):
            attempt()
    assert run("rm", "-r", path.parent, check=False).returncode != 0
    assert names_of(kv, bucket, "k") == ["@1", "@2"]


def test_a_revision_that_went_is_estale_or_enoent_never_another_one(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=2)
    kv.put_all(bucket, [("k", b"first"), ("k", b"second")])
    path = history_of(mnt, bucket, "k", "@1")
    held = os.open(path, os.O_RDONLY)
    try:
        assert os.pread(held, 100, 0) == b"first"
        kv.put(bucket, "k", b"third")
        wait_until(lambda: content(mnt.kv(bucket, "k")) == b"third", "the change has come")
        assert os.pread(held, 100, 0) == b"first"
        with refused(errno.ENOENT):
            os.stat(path)
    finally:
        os.close(held)


def test_rmdir_of_a_history_purges_the_key(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("k", b"1"), ("k", b"2"), ("other", b"3")])
    assert mnt.kv(bucket, "k").read_bytes() == b"2"
    os.rmdir(history_of(mnt, bucket, "k"))
    assert [message.operation for message in kv.history(bucket, "k")] == ["PURGE"]
    assert not mnt.kv(bucket, "k").exists()
    assert os.listdir(mnt.kv(bucket)) == ["other"]
    assert os.listdir(history_of(mnt, bucket, "k")) == ["@4.purged"]
    write_file(mnt.kv(bucket, "k"), b"new")
    assert sorted(os.listdir(history_of(mnt, bucket, "k"))) == ["@4.purged", "@5"]


def test_rmdir_purges_a_deleted_key_too(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "d/k", b"secret")
    kv.delete(bucket, "d/k")
    os.rmdir(history_of(mnt, bucket, "d", "k"))
    assert [message.operation for message in kv.history(bucket, "d/k")] == ["PURGE"]


def test_rmdir_of_a_directory_of_histories_is_enotempty(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "d/k", b"1")
    with refused(errno.ENOTEMPTY):
        os.rmdir(history_of(mnt, bucket, "d"))
    with refused(errno.ENOENT):
        os.rmdir(history_of(mnt, bucket, "nothing"))
    with refused(errno.EPERM):
        os.rmdir(history_of(mnt, bucket))
    assert kv.get(bucket, "d/k") == b"1"


def test_a_history_works_without_direct_get(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5, allow_direct=False)
    kv.put_all(bucket, [("k", b"1"), ("k", b"22"), ("k", b"333")])
    directory = history_of(mnt, bucket, "k")
    assert sorted(os.listdir(directory)) == ["@1", "@2", "@3"]
    assert [(directory / name).read_bytes() for name in ("@1", "@2", "@3")] == [b"1", b"22", b"333"]


def test_a_bucket_without_history_shows_the_one_revision(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("k", b"1"), ("k", b"2"), ("gone", b"3")])
    kv.delete(bucket, "gone")
    assert os.listdir(history_of(mnt, bucket, "k")) == ["@2"]
    assert os.listdir(history_of(mnt, bucket, "gone")) == ["@4.deleted"]


def test_an_object_store_has_no_history(mnt, obj_bucket):
    store = obj_bucket()
    for name in ("history", "deleted"):
        with refused(errno.ENOENT):
            os.stat(mnt.obj(store, ".jsfs", name))


def test_the_history_of_a_bucket_that_is_gone_is_estale(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put(bucket, "k", b"1")
    os.listdir(history_of(mnt, bucket, "k"))
    directory = os.open(history_of(mnt, bucket, "k"), os.O_PATH)
    try:
        kv.remove(bucket)
        wait_until(lambda: not mnt.kv(bucket).exists(), "the bucket is not shown")
        with refused(errno.ESTALE):
            os.stat(f"/proc/self/fd/{directory}/@1")
    finally:
        os.close(directory)


# -- deleted keys -----------------------------------------------------------------------


def test_deleted_keys_are_listed_with_the_time_of_their_marker(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put_all(bucket, [("live", b"1"), ("gone", b"22"), ("app/old", b"333"), ("app/new", b"4")])
    kv.delete(bucket, "gone")
    kv.purge(bucket, "app/old")
    assert sorted(os.listdir(deleted_of(mnt, bucket))) == ["app", "gone"]
    assert os.listdir(deleted_of(mnt, bucket, "app")) == ["old"]
    state = os.stat(deleted_of(mnt, bucket, "gone"))
    assert state.st_mtime_ns == kv.entry(bucket, "gone").time_ns
    assert state.st_size == 2
    with refused(errno.ENOENT):
        os.stat(deleted_of(mnt, bucket, "live"))


def test_a_deleted_key_has_its_last_value(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("k", b"old"), ("k", b"last value")])
    kv.delete(bucket, "k")
    kv.delete(bucket, "k")
    assert deleted_of(mnt, bucket, "k").read_bytes() == b"last value"
    run("cp", deleted_of(mnt, bucket, "k"), mnt.kv(bucket, "k"))
    assert kv.get(bucket, "k") == b"last value"
    wait_until(lambda: os.listdir(deleted_of(mnt, bucket)) == [], "it is not deleted any more")


def test_a_deleted_key_of_which_no_value_is_kept_is_enodata(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put_all(bucket, [("k", b"1"), ("other", b"2")])
    kv.purge(bucket, "k")
    path = deleted_of(mnt, bucket, "k")
    assert os.stat(path).st_size == 0
    with refused(errno.ENODATA):
        path.read_bytes()


def test_a_deleted_key_with_deleted_keys_below_is_a_directory(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put_all(bucket, [("a", b"of a"), ("a/b", b"of b")])
    kv.delete(bucket, "a")
    kv.delete(bucket, "a/b")
    assert sorted(os.listdir(deleted_of(mnt, bucket, "a"))) == ["@value", "b"]
    assert deleted_of(mnt, bucket, "a", "@value").read_bytes() == b"of a"
    assert deleted_of(mnt, bucket, "a", "b").read_bytes() == b"of b"
    os.remove(deleted_of(mnt, bucket, "a", "@value"))
    assert kv.history(bucket, "a") == []
    assert len(kv.history(bucket, "a/b")) == 2


def test_a_rm_shows_up_among_the_deleted_keys_at_once(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put(bucket, "k", b"oops")
    os.remove(mnt.kv(bucket, "k"))
    assert os.listdir(deleted_of(mnt, bucket)) == ["k"]
    assert deleted_of(mnt, bucket, "k").read_bytes() == b"oops"


def test_removing_a_deleted_key_erases_all_that_was_kept_of_it(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("k", b"1"), ("k", b"2"), ("kk", b"3"), ("k.k", b"4")])
    kv.delete(bucket, "k")
    os.remove(deleted_of(mnt, bucket, "k"))
    assert kv.history(bucket, "k") == []
    assert kv.keys(bucket) == ["k.k", "kk"]
    assert os.listdir(deleted_of(mnt, bucket)) == []
    assert sorted(os.listdir(history_of(mnt, bucket))) == ["k.k", "kk"]
    with refused(errno.ENOENT):
        os.remove(deleted_of(mnt, bucket, "k"))


def test_rm_r_erases_a_directory_of_deleted_keys(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    for key in ("d/a", "d/e/b", "d/e/c", "kept"):
        kv.put(bucket, key, b"1")
        kv.delete(bucket, key)
    with refused(errno.ENOTEMPTY):
        os.rmdir(deleted_of(mnt, bucket, "d"))
    run("rm", "-r", deleted_of(mnt, bucket, "d"))
    assert kv.keys(bucket) == ["kept"]
    assert os.listdir(deleted_of(mnt, bucket)) == ["kept"]
    with refused(errno.ENOENT):
        os.stat(deleted_of(mnt, bucket, "d"))


def test_a_value_that_is_put_meanwhile_is_never_erased(mnt, kv, kv_bucket):
    """The mount may not have heard of the new value yet: the leader is asked."""
    bucket = kv_bucket(history=3)
    os.listdir(mnt.kv(bucket))
    for number in range(20):
        kv.put(bucket, f"k{number}", b"old")
        kv.delete(bucket, f"k{number}")
    wait_until(lambda: len(os.listdir(deleted_of(mnt, bucket))) == 20, "all are deleted")
    for number in range(20):
        path = deleted_of(mnt, bucket, f"k{number}")
        os.stat(path)
        kv.put(bucket, f"k{number}", b"new")
        with refused(errno.ENOENT):
            os.remove(path)
        assert kv.get(bucket, f"k{number}") == b"new"


def test_another_mount_hears_that_a_deleted_key_was_erased(mount, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    one, other = mount(), mount()
    kv.put_all(bucket, [("k", b"1"), ("kept", b"2")])
    kv.delete(bucket, "k")
    for mnt in (one, other):
        wait_until(lambda: os.listdir(deleted_of(mnt, bucket)) == ["k"], "it is deleted")
    os.remove(deleted_of(one, bucket, "k"))
    wait_until(lambda: os.listdir(deleted_of(other, bucket)) == [], "it is erased there too")


def test_nothing_is_purged_or_erased_through_a_read_only_mount(mount, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put_all(bucket, [("k", b"1"), ("gone", b"2")])
    kv.delete(bucket, "gone")
    mnt = mount("-o", "ro")
    assert sorted(os.listdir(history_of(mnt, bucket))) == ["gone", "k"]
    for attempt in (lambda: os.rmdir(history_of(mnt, bucket, "k")),
                    lambda: os.remove(deleted_of(mnt, bucket, "gone"))):
        with refused(errno.EROFS):
            attempt()
    assert len(kv.history(bucket, "gone")) == 2


def test_a_mirror_shows_what_it_has_copied_and_erases_nothing(mnt, kv, kv_bucket, unique, wire):
    origin, mirror = kv_bucket(history=3), unique()
    kv.put(origin, "k", b"1")
    kv.delete(origin, "k")
    wire.stream_create(f"KV_{mirror}", mirror={"name": f"KV_{origin}"}, mirror_direct=True,
                       allow_direct=True, max_msgs_per_subject=3)
    wait_until(lambda: wire.stream_info(f"KV_{mirror}")["state"]["messages"] == 2, "it is filled")
    wait_until(lambda: os.listdir(deleted_of(mnt, mirror)) == ["k"], "it is shown")
    assert sorted(os.listdir(history_of(mnt, mirror, "k"))) == ["@1", "@2.deleted"]
    assert deleted_of(mnt, mirror, "k").read_bytes() == b"1"
    with refused(errno.EPERM):
        os.remove(deleted_of(mnt, mirror, "k"))
    assert len(kv.history(origin, "k")) == 2


@pytest.mark.parametrize("part", ["history", "deleted"])
def test_a_large_bucket_is_listed_whole(mnt, kv, kv_bucket, part):
    bucket = kv_bucket(history=2)
    kv.put_all(bucket, [(f"k{number:05}", b"") for number in range(3000)])
    kv.wire.store_all((f"$KV.{bucket}.k{number:05}", b"", {"KV-Operation": "DEL"})
                      for number in range(0, 3000, 2))
    wait_until(lambda: len(os.listdir(mnt.kv(bucket))) == 1500, "every removal has come")
    step = 1 if part == "history" else 2
    assert sorted(os.listdir(mnt.kv(bucket, ".jsfs", part))) == [f"k{number:05}"
                                                                for number in range(0, 3000, step)]
