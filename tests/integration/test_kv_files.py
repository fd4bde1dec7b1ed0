# SPDX-License-Identifier: Apache-2.0
"""Keys as files: reading, writing, removing, conflicts; the truth is read past jsfs."""

import errno
import os
import stat
import sys
import threading

import pytest

from support import content, noise, refused, run, shell, wait_until, write_file

# -- reading ----------------------------------------------------------------------------


def test_a_key_shows_its_size_and_the_servers_time(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"12345")
    state = os.stat(mnt.kv(bucket, "key"))
    assert stat.S_ISREG(state.st_mode)
    assert state.st_size == 5
    assert state.st_mtime_ns == kv.entry(bucket, "key").time_ns


def test_ls_shows_every_key(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("one", b"1"), ("two", b"22"), ("three.four", b"333")])
    lines = run("ls", "-l", mnt.kv(bucket)).stdout.splitlines()[1:]
    sizes = {line.split()[-1]: int(line.split()[4]) for line in lines}
    assert sizes == {"one": 1, "two": 2, "three.four": 3}


def test_an_empty_bucket_is_an_empty_directory(mnt, kv_bucket):
    bucket = kv_bucket()
    assert os.listdir(mnt.kv(bucket)) == []
    assert stat.S_ISDIR(os.stat(mnt.kv(bucket)).st_mode)


def test_a_missing_key_is_enoent(mnt, kv_bucket):
    with refused(errno.ENOENT):
        os.stat(mnt.kv(kv_bucket(), "missing"))


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 131072, (1 << 20) - 1024, 1 << 20])
def test_a_value_of_any_size_reads_back(mnt, kv, kv_bucket, size):
    bucket, data = kv_bucket(), noise(size)
    kv.put(bucket, "key", data)
    assert mnt.kv(bucket, "key").read_bytes() == data


def test_an_empty_value_is_not_deleted(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "empty", b"")
    assert os.listdir(mnt.kv(bucket)) == ["empty"]
    assert mnt.kv(bucket, "empty").read_bytes() == b""


def test_a_value_with_headers_is_its_body(mnt, kv, kv_bucket):
    """Values written with compare-and-set keep the header that asked for it."""
    bucket = kv_bucket()
    kv.put(bucket, "cas", b"checked", {"Nats-Expected-Last-Subject-Sequence": "0"})
    kv.put(bucket, "tag", b"tagged", {"Nats-Sequence": "999", "X-Mine": "yes"})
    assert mnt.kv(bucket, "cas").read_bytes() == b"checked"
    assert mnt.kv(bucket, "tag").read_bytes() == b"tagged"
    assert os.stat(mnt.kv(bucket, "cas")).st_size == 7


def test_deleted_and_purged_keys_are_not_there(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=3)
    kv.put_all(bucket, [("deleted", b"1"), ("purged", b"2"), ("kept", b"3")])
    kv.delete(bucket, "deleted")
    kv.purge(bucket, "purged")
    assert os.listdir(mnt.kv(bucket)) == ["kept"]
    with refused(errno.ENOENT):
        mnt.kv(bucket, "deleted").read_bytes()


def test_an_expired_key_vanishes(mnt, kv, kv_bucket):
    bucket = kv_bucket(max_age=1_500_000_000)

    def read_in_time():  # a busy machine may take longer than the key lives
        kv.put(bucket, "short", b"lived")
        return content(mnt.kv(bucket, "short")) == b"lived"

    wait_until(read_in_time, "the key is read while it lives")
    wait_until(lambda: os.listdir(mnt.kv(bucket)) == [], "the key is not listed any more")
    wait_until(lambda: not mnt.kv(bucket, "short").exists(), "the key is not found any more")


def test_parts_of_a_value_can_be_read(mnt, kv, kv_bucket):
    bucket, data = kv_bucket(), noise(100_000)
    kv.put(bucket, "key", data)
    with open(mnt.kv(bucket, "key"), "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 10, 50_000) == data[50_000:50_010]
        assert os.pread(file.fileno(), 100, 99_990) == data[99_990:]
        assert os.pread(file.fileno(), 10, 100_000) == b""


# -- writing ----------------------------------------------------------------------------


def test_a_new_file_is_a_new_key(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    write_file(mnt.kv(bucket, "key"), b"value")
    assert kv.get(bucket, "key") == b"value"


def test_an_own_write_shows_at_once(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    for text in (b"one", b"2", b"three"):
        write_file(mnt.kv(bucket, "key"), text)
        state = os.stat(mnt.kv(bucket, "key"))
        assert mnt.kv(bucket, "key").read_bytes() == text
        assert os.listdir(mnt.kv(bucket)) == ["key"]
        assert state.st_size == len(text)
        assert state.st_mtime_ns == kv.entry(bucket, "key").time_ns


def test_cp_copies_in_and_out(mnt, kv, kv_bucket, tmp_path):
    bucket, data = kv_bucket(), noise(300_000)
    (tmp_path / "in").write_bytes(data)
    run("cp", tmp_path / "in", mnt.kv(bucket, "key"))
    run("cp", mnt.kv(bucket, "key"), tmp_path / "out")
    assert kv.get(bucket, "key") == data
    assert (tmp_path / "out").read_bytes() == data


def test_cp_r_copies_a_tree_in_and_out(mnt, kv, kv_bucket, tmp_path):
    bucket = kv_bucket()
    for name in ("a/b/one", "a/two", "three"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    shell(f"cp -r in/* '{mnt.kv(bucket)}' && cp -r '{mnt.kv(bucket)}' out", tmp_path)
    run("diff", "-r", tmp_path / "in", tmp_path / "out")
    assert kv.keys(bucket) == ["a/b/one", "a/two", "three"]


def test_a_value_as_large_as_a_message_is_written(mnt, kv, kv_bucket):
    bucket, data = kv_bucket(), noise((1 << 20) - 1024)
    write_file(mnt.kv(bucket, "key"), data)
    assert kv.get(bucket, "key") == data


def test_a_value_above_the_servers_limit_is_efbig(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "key", b"old")
    with refused(errno.EFBIG):
        write_file(mnt.kv(bucket, "key"), noise(3 << 20))
    assert kv.get(bucket, "key") == b"old"


def test_a_value_above_the_buckets_limit_is_efbig(mnt, kv, kv_bucket):
    bucket = kv_bucket(max_msg_size=1000)
    with refused(errno.EFBIG):
        write_file(mnt.kv(bucket, "key"), noise(5000))
    assert kv.get(bucket, "key") is None


def test_a_full_bucket_is_enospc(mnt, kv, kv_bucket):
    bucket = kv_bucket(max_bytes=50_000)
    kv.put(bucket, "key", b"old")
    with refused(errno.ENOSPC):
        write_file(mnt.kv(bucket, "other"), noise(100_000))
    assert kv.get(bucket, "key") == b"old" and kv.get(bucket, "other") is None


def test_a_small_value_replaces_a_big_one(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    write_file(mnt.kv(bucket, "key"), noise(500_000))
    write_file(mnt.kv(bucket, "key"), b"small")
    assert kv.get(bucket, "key") == mnt.kv(bucket, "key").read_bytes() == b"small"


def test_an_edit_in_the_middle_keeps_the_rest(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"hello world")
    with open(mnt.kv(bucket, "key"), "r+b", buffering=0) as file:
        file.seek(6)
        file.write(b"there")
    assert kv.get(bucket, "key") == b"hello there"


def test_a_write_behind_the_end_fills_with_zeros(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"ab")
    with open(mnt.kv(bucket, "key"), "r+b", buffering=0) as file:
        os.pwrite(file.fileno(), b"c", 5)
    assert kv.get(bucket, "key") == b"ab\0\0\0c"


@pytest.mark.parametrize("size, wanted", [(2, b"ab"), (0, b""), (6, b"abcd\0\0")])
def test_truncate_cuts_or_extends(mnt, kv, kv_bucket, size, wanted):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"abcd")
    os.truncate(mnt.kv(bucket, "key"), size)
    wait_until(lambda: kv.get(bucket, "key") == wanted, "the truncation is committed")
    assert mnt.kv(bucket, "key").read_bytes() == wanted


def test_fsync_commits_and_writing_goes_on(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    with open(mnt.kv(bucket, "key"), "wb", buffering=0) as file:
        file.write(b"one")
        os.fsync(file.fileno())
        assert kv.get(bucket, "key") == b"one"
        file.write(b" two")
    assert kv.get(bucket, "key") == b"one two"


def test_an_open_file_shows_its_growing_size(mnt, kv_bucket):
    with open(mnt.kv(kv_bucket(), "key"), "wb", buffering=0) as file:
        file.write(b"12345")
        assert os.fstat(file.fileno()).st_size == 5


def test_a_touched_name_is_an_empty_key(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    run("touch", mnt.kv(bucket, "new"))
    wait_until(lambda: kv.get(bucket, "new") == b"", "the empty key is stored")
    assert os.listdir(mnt.kv(bucket)) == ["new"]


# -- one revision -----------------------------------------------------------------------

SAVES = {
    "echo": ("echo a > key", b"a\n"),
    "two writers in a group": ("(echo a; /bin/echo b) > key", b"a\nb\n"),
    "dd": ("dd if=/dev/zero of=key bs=10 count=3 status=none", bytes(30)),
    "dd in place": ("printf X | dd of=key bs=1 seek=1 conv=notrunc status=none", b"oXd"),
    "tee": ("echo a | tee key", b"a\n"),
    "cat": ("printf abc | cat > key", b"abc"),
    "append": ("echo a >> key", b"olda\n"),
    "truncate": (": > key", b""),
    "cp": ("cp ../../../source key", b"source"),
    "popen": (f"{sys.executable} -c 'import subprocess\n"
              "subprocess.run([\"echo\", \"a\"], stdout=open(\"key\", \"w\"))'", b"a\n"),
}


@pytest.mark.parametrize("name", SAVES)
def test_saving_adds_exactly_one_revision(mnt, kv, kv_bucket, name):
    script, wanted = SAVES[name]
    bucket = kv_bucket(history=10)
    kv.put(bucket, "key", b"old")
    (mnt.work / "source").write_bytes(b"source")
    shell(script, mnt.kv(bucket))
    assert mnt.unmount() == 0  # whatever comes late has come now
    assert [entry.data for entry in kv.history(bucket, "key")] == [b"old", wanted]


@pytest.mark.parametrize("name", ["echo", "dd", "tee", "popen", "append"])
def test_a_new_key_has_exactly_one_revision(mnt, kv, kv_bucket, name):
    script, wanted = SAVES[name]
    bucket = kv_bucket(history=10)
    shell(script, mnt.kv(bucket))
    assert mnt.unmount() == 0
    assert [entry.data for entry in kv.history(bucket, "key")] == [wanted.removeprefix(b"old")]


@pytest.mark.parametrize("script", ["cat key", "touch key", "chmod 600 key", ": >> key",
                                    "exec 3<> key", "stat key", "ls -l"])
def test_what_writes_nothing_adds_no_revision(mnt, kv, kv_bucket, script):
    bucket = kv_bucket(history=10)
    kv.put(bucket, "key", b"old")
    shell(script, mnt.kv(bucket))
    assert mnt.unmount() == 0
    assert len(kv.history(bucket, "key")) == 1


# -- removing ---------------------------------------------------------------------------


def test_rm_leaves_a_delete_marker(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "key", b"value")
    os.unlink(mnt.kv(bucket, "key"))
    entries = kv.history(bucket, "key")
    assert [entry.operation for entry in entries] == ["PUT", "DEL"]
    assert entries[1].headers["KV-Operation"] == ["DEL"] and entries[1].data == b""
    assert os.listdir(mnt.kv(bucket)) == []


def test_rm_of_a_missing_key_is_enoent(mnt, kv_bucket):
    with refused(errno.ENOENT):
        os.unlink(mnt.kv(kv_bucket(), "missing"))


def test_rm_r_removes_a_tree_of_keys(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("a/b/c", b"1"), ("a/d", b"2"), ("a", b"3"), ("keep", b"4")])
    assert sorted(os.listdir(mnt.kv(bucket))) == ["a", "keep"]  # before the list, a is a file
    run("rm", "-r", mnt.kv(bucket, "a"))
    assert os.listdir(mnt.kv(bucket)) == ["keep"]
    live = [key for key in kv.keys(bucket) if kv.get(bucket, key) is not None]
    assert live == ["keep"]


def test_a_removed_key_can_be_made_again(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    write_file(mnt.kv(bucket, "key"), b"one")
    os.unlink(mnt.kv(bucket, "key"))
    write_file(mnt.kv(bucket, "key"), b"two")
    assert kv.get(bucket, "key") == b"two"


def test_a_removed_file_that_is_open_is_not_published_again(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "key", b"value")
    with open(mnt.kv(bucket, "key"), "r+b", buffering=0) as file:
        file.write(b"V")
        os.unlink(mnt.kv(bucket, "key"))
    assert mnt.unmount() == 0
    assert kv.get(bucket, "key") is None


# -- directories ------------------------------------------------------------------------


def test_slashes_in_keys_make_directories(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("app/db.yaml", b"1"), ("app/web/port", b"2"), ("top", b"3")])
    assert sorted(os.listdir(mnt.kv(bucket))) == ["app", "top"]
    assert sorted(os.listdir(mnt.kv(bucket, "app"))) == ["db.yaml", "web"]
    assert mnt.kv(bucket, "app", "web", "port").read_bytes() == b"2"


def test_a_made_directory_takes_a_key(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    mnt.kv(bucket, "new", "deep").mkdir(parents=True)
    assert kv.keys(bucket) == []
    write_file(mnt.kv(bucket, "new", "deep", "key"), b"value")
    assert kv.get(bucket, "new/deep/key") == b"value"


def test_a_made_directory_can_be_removed(mnt, kv_bucket):
    bucket = kv_bucket()
    mnt.kv(bucket, "new").mkdir()
    assert os.listdir(mnt.kv(bucket)) == ["new"]
    mnt.kv(bucket, "new").rmdir()
    assert os.listdir(mnt.kv(bucket)) == []


def test_a_directory_with_keys_cannot_be_removed(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "dir/key", b"value")
    with refused(errno.ENOTEMPTY):
        mnt.kv(bucket, "dir").rmdir()
    assert kv.get(bucket, "dir/key") == b"value"


def test_a_file_is_no_directory_and_a_directory_no_file(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("file", b"1"), ("dir/key", b"2")])
    with refused(errno.ENOTDIR):
        write_file(mnt.kv(bucket, "file", "below"), b"")
    with refused(errno.EISDIR):
        write_file(mnt.kv(bucket, "dir"), b"")
    with refused(errno.EISDIR):
        os.unlink(mnt.kv(bucket, "dir"))
    with refused(errno.ENOTDIR):
        os.rmdir(mnt.kv(bucket, "file"))
    with refused(errno.EEXIST):
        os.mkdir(mnt.kv(bucket, "file"))


def test_a_key_that_is_also_a_directory_has_its_value_inside(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("a", b"own"), ("a/b", b"below")])
    assert os.listdir(mnt.kv(bucket)) == ["a"]
    assert sorted(os.listdir(mnt.kv(bucket, "a"))) == ["@value", "b"]
    assert mnt.kv(bucket, "a", "@value").read_bytes() == b"own"
    assert mnt.kv(bucket, "a", "b").read_bytes() == b"below"


def test_the_value_of_a_directory_can_be_written_and_removed(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [("a", b"own"), ("a/b", b"below")])
    assert os.listdir(mnt.kv(bucket)) == ["a"]  # before the list, a is a file
    write_file(mnt.kv(bucket, "a", "@value"), b"changed")
    assert kv.get(bucket, "a") == b"changed"
    os.unlink(mnt.kv(bucket, "a", "@value"))
    assert kv.get(bucket, "a") is None and kv.get(bucket, "a/b") == b"below"
    assert os.listdir(mnt.kv(bucket, "a")) == ["b"]


def test_a_directory_can_be_given_a_value(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "a/b", b"below")
    write_file(mnt.kv(bucket, "a", "@value"), b"own")
    assert kv.get(bucket, "a") == b"own"


# -- conflicts --------------------------------------------------------------------------


def exclusive(path):
    """Make a file if there is none; whether it was ours."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def test_exclusive_creation_of_what_exists_is_eexist(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    os.listdir(mnt.kv(bucket))
    kv.put(bucket, "key", b"theirs")  # the watch may not have told yet: the server decides
    assert not exclusive(mnt.kv(bucket, "key"))
    assert kv.get(bucket, "key") == b"theirs"


@pytest.mark.parametrize("before", ["nothing", "a delete marker", "a purge marker"])
def test_only_one_of_two_mounts_creates_exclusively(mount, kv, kv_bucket, before):
    bucket = kv_bucket()
    names = [f"lock{number}" for number in range(10)]
    for name in names if before != "nothing" else []:
        kv.put(bucket, name, b"old")
        {"a delete marker": kv.delete, "a purge marker": kv.purge}[before](bucket, name)
    won = {}
    mounts = [mount(), mount()]
    barrier = threading.Barrier(2)

    def race(number):
        barrier.wait()
        won[number] = [exclusive(mounts[number].kv(bucket, name)) for name in names]

    threads = [threading.Thread(target=race, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(first != second for first, second in zip(won[0], won[1])), won


def test_appends_from_two_mounts_are_all_kept(mount, kv, kv_bucket):
    bucket = kv_bucket()
    lines = [[f"{number} {count}\n" for count in range(25)] for number in range(2)]

    def append(where, texts):
        for text in texts:
            with open(where, "ab", buffering=0) as file:
                file.write(text.encode())

    threads = [threading.Thread(target=append, args=(mount().kv(bucket, "log"), texts))
               for texts in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = kv.get(bucket, "log").decode().splitlines(keepends=True)
    assert sorted(kept) == sorted(lines[0] + lines[1])
    assert [line for line in kept if line[0] == "0"] == lines[0]


def test_an_edit_over_a_change_from_elsewhere_is_estale(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "key", b"first")
    descriptor = os.open(mnt.kv(bucket, "key"), os.O_RDWR)
    assert os.read(descriptor, 10) == b"first"
    os.pwrite(descriptor, b"F", 0)
    kv.put(bucket, "key", b"theirs")
    with refused(errno.ESTALE):
        os.close(descriptor)
    assert kv.get(bucket, "key") == b"theirs"


def test_a_replacement_over_a_change_from_elsewhere_wins(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "key", b"first")
    with open(mnt.kv(bucket, "key"), "wb", buffering=0) as file:
        file.write(b"ours")
        kv.put(bucket, "key", b"theirs")
    assert [entry.data for entry in kv.history(bucket, "key")] == [b"first", b"theirs", b"ours"]
