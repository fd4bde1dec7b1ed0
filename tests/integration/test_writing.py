# SPDX-License-Identifier: Apache-2.0
"""Programs that write keys: what is in them then, and how many revisions that took."""

import mmap
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest

from support import noise, run, wait_until

SHELLS = ["dash", "bash"]


@pytest.fixture(params=SHELLS)
def program(request):
    found = shutil.which(request.param)
    assert found, f"no {request.param}"
    return found


def values(kv, bucket, key):
    return [entry.data for entry in kv.history(bucket, key)]


def contents(kv, bucket, key="key"):
    """What it was before, without the first revision."""
    return values(kv, bucket, key)[1:]


@pytest.fixture
def bucket(kv, kv_bucket):
    """A bucket whose key `key` is "old\\n"."""
    name = kv_bucket(history=64)
    kv.put(name, "key", b"old\n")
    return name


# -- shells -----------------------------------------------------------------------------

# one revision each, whatever the children close
GROUPS = {
    "builtins": ("{ echo a; echo b; } > key", b"a\nb\n"),
    "a child last": ("{ echo a; /bin/echo b; } > key", b"a\nb\n"),
    "a child first": ("{ /bin/echo a; echo b; } > key", b"a\nb\n"),
    "children only": ("{ /bin/echo a; /bin/echo b; /bin/echo c; } > key", b"a\nb\nc\n"),
    "a subshell": ("(/bin/echo a; echo b; /bin/echo c) > key", b"a\nb\nc\n"),
    "a pipeline inside": ("{ echo a; printf 'c\\nb\\n' | sort; } > key", b"a\nb\nc\n"),
    "a loop": ("for n in 1 2 3 4 5; do /bin/echo $n; done > key", b"1\n2\n3\n4\n5\n"),
    "appended": ("{ echo a; /bin/echo b; } >> key", b"old\na\nb\n"),
    "in the background": ("/bin/echo a > key & wait", b"a\n"),
    "a group in the background": ("{ /bin/echo a; /bin/echo b; } > key & wait", b"a\nb\n"),
    "a program with children": ("sh -c '/bin/echo a; /bin/echo b; :' > key", b"a\nb\n"),
    "xargs": ("printf '1 2 3' | xargs -n1 /bin/echo > key", b"1\n2\n3\n"),
    "a here document": ("cat > key <<END\na\nb\nEND", b"a\nb\n"),
    "tee": ("{ echo a; /bin/echo b; } | tee key > /dev/null", b"a\nb\n"),
    "tee -a": ("{ echo a; /bin/echo b; } | tee -a key > /dev/null", b"old\na\nb\n"),
    "what ends without a close": ("exec > key; /bin/echo a; echo b", b"a\nb\n"),
    "a killed child": ("{ echo a; sh -c 'echo b; kill -9 $$'; echo c; } > key 2> /dev/null",
                       b"a\nb\nc\n"),
}


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_of_commands_adds_one_revision(mnt, kv, bucket, program, name):
    script, wanted = GROUPS[name]
    run(program, "-c", script, cwd=mnt.kv(bucket))
    assert mnt.unmount() == 0  # whatever comes late has come now
    assert contents(kv, bucket) == [wanted]


def test_closing_a_duplicate_of_its_own_descriptor_is_a_commit(mnt, kv, bucket, program):
    """dash duplicates descriptor 3 in itself, and closes that after each command; bash in a child."""
    run(program, "-c", "exec 3> key; /bin/echo a >&3; /bin/echo b >&3; exec 3>&-",
        cwd=mnt.kv(bucket))
    assert mnt.unmount() == 0
    assert contents(kv, bucket)[-1] == b"a\nb\n"
    assert len(contents(kv, bucket)) == (2 if program.endswith("dash") else 1)


def test_a_child_that_outlives_the_opener_commits_by_itself(mnt, kv, bucket, program):
    done = subprocess.Popen(
        [program, "-c", "exec 3<&0; { sh -c 'read line; /bin/echo late' <&3 & } > key"],
        cwd=mnt.kv(bucket), stdin=subprocess.PIPE)
    done.wait(30)
    with done.stdin as pipe:
        pipe.write(b"go\n")
    wait_until(lambda: contents(kv, bucket) == [b"late\n"], "the child's line is stored")


def test_what_a_child_wrote_does_not_wait_for_ever(mnt, kv, bucket):
    """The opener keeps its descriptor open: after about two seconds the bytes are committed."""
    with open(mnt.kv(bucket, "key"), "wb", buffering=0) as file:
        subprocess.run(["/bin/echo", "a"], stdout=file, check=True)
        assert contents(kv, bucket) == []
        wait_until(lambda: contents(kv, bucket) == [b"a\n"], "the child's line is stored")
        subprocess.run(["/bin/echo", "b"], stdout=file, check=True)
    assert contents(kv, bucket) == [b"a\n", b"a\nb\n"]


def test_a_childs_close_commits_when_the_opener_has_closed(mnt, kv, bucket):
    file = open(mnt.kv(bucket, "key"), "wb", buffering=0)
    child = subprocess.Popen(["/bin/sh", "-c", "read line; exec /bin/echo a"],
                             stdin=subprocess.PIPE, stdout=file)
    file.close()
    child.communicate(b"go\n", 30)
    assert child.returncode == 0
    assert contents(kv, bucket) == [b"a\n"]


# -- single programs --------------------------------------------------------------------

ONE = {
    "cp": ("cp ../../../source key", b"source"),
    "cp -f": ("cp -f ../../../source key", b"source"),
    "cat": ("cat ../../../source > key", b"source"),
    "dd": ("dd if=../../../source of=key status=none", b"source"),
    "dd in the middle": ("printf XX | dd of=key bs=1 seek=1 conv=notrunc status=none", b"oXX\n"),
    "dd behind the end": ("printf X | dd of=key bs=1 seek=6 conv=notrunc status=none",
                          b"old\n\0\0X"),
    "truncate to less": ("truncate -s 2 key", b"ol"),
    "truncate to more": ("truncate -s 6 key", b"old\n\0\0"),
    "truncate to nothing": ("truncate -s 0 key", b""),
    "python": (f"{sys.executable} -c \"open('key', 'w').write('py')\"", b"py"),
    "python appends": (f"{sys.executable} -c \"open('key', 'a').write('py')\"", b"old\npy"),
    "rsync --inplace": ("rsync --inplace ../../../source key", b"source"),
}


@pytest.mark.parametrize("name", ONE)
def test_a_program_that_writes_once_adds_one_revision(mnt, kv, bucket, name):
    script, wanted = ONE[name]
    (mnt.work / "source").write_bytes(b"source")
    run("sh", "-c", script, cwd=mnt.kv(bucket))
    assert contents(kv, bucket) == [wanted] or wanted == b""
    assert mnt.unmount() == 0
    assert contents(kv, bucket) == [wanted]


def test_how_vim_and_nano_write_in_place_adds_one_revision(mnt, kv, bucket):
    descriptor = os.open(mnt.kv(bucket, "key"), os.O_WRONLY | os.O_CREAT)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"new\n")
    os.fsync(descriptor)
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)
    assert mnt.unmount() == 0
    assert contents(kv, bucket) == [b"new\n"]


@pytest.mark.parametrize("script", [
    "touch key", "touch -d 2001-01-01 key", "chmod 600 key", "chmod +x key", "chown 0:0 key",
    ": >> key", "truncate -s 4 key", "exec 3<> key", "dd if=/dev/null of=key conv=notrunc 2> /dev/null",
    "head -c1 key > /dev/null"])
def test_what_changes_nothing_adds_no_revision(mnt, kv, bucket, script):
    run("sh", "-c", script, cwd=mnt.kv(bucket))
    assert mnt.unmount() == 0
    assert contents(kv, bucket) == []


def test_touch_of_a_new_key_makes_an_empty_value(mnt, kv, bucket):
    run("touch", mnt.kv(bucket, "new"))
    assert mnt.unmount() == 0
    assert values(kv, bucket, "new") == [b""]


# -- one file, several handles ----------------------------------------------------------


def test_each_close_of_a_duplicate_commits_what_is_there(mnt, kv, bucket):
    first = os.open(mnt.kv(bucket, "key"), os.O_WRONLY | os.O_TRUNC)
    second = os.dup(first)
    os.write(first, b"a")
    os.close(first)
    assert contents(kv, bucket) == [b"a"]
    os.write(second, b"b")
    os.close(second)
    assert contents(kv, bucket) == [b"a", b"ab"]


def test_handles_of_one_key_see_each_others_bytes(mnt, kv, bucket):
    first = os.open(mnt.kv(bucket, "key"), os.O_RDWR)
    second = os.open(mnt.kv(bucket, "key"), os.O_RDWR)
    os.pwrite(first, b"A", 0)
    assert os.pread(second, 10, 0) == b"Ald\n"
    os.pwrite(second, b"B", 1)
    assert os.pread(first, 10, 0) == b"ABd\n"
    os.close(first)
    assert contents(kv, bucket) == [b"ABd\n"]
    os.close(second)
    assert contents(kv, bucket) == [b"ABd\n"]


def test_a_handle_reads_what_it_wrote_before_and_after_a_commit(mnt, kv, bucket):
    with open(mnt.kv(bucket, "key"), "r+b", buffering=0) as file:
        file.write(b"new")
        assert os.pread(file.fileno(), 10, 0) == b"new\n"
        os.fsync(file.fileno())
        assert os.pread(file.fileno(), 10, 0) == b"new\n"
        os.pwrite(file.fileno(), b"er", 3)
        assert os.pread(file.fileno(), 10, 0) == b"newer"
    assert contents(kv, bucket) == [b"new\n", b"newer"]


def test_the_time_after_a_close_is_the_servers_and_stays(mnt, kv, bucket):
    for text in (b"one", b"two"):
        with open(mnt.kv(bucket, "key"), "wb", buffering=0) as file:
            file.write(text)
        at_once = os.stat(mnt.kv(bucket, "key")).st_mtime_ns
        assert at_once == kv.entry(bucket, "key").time_ns
        time.sleep(0.01)  # not to wait for anything: a later clock would show
        assert os.stat(mnt.kv(bucket, "key")).st_mtime_ns == at_once


def test_the_time_after_an_fsync_is_the_servers(mnt, kv, bucket):
    with open(mnt.kv(bucket, "key"), "r+b", buffering=0) as file:
        file.write(b"new")
        os.fsync(file.fileno())
        assert os.fstat(file.fileno()).st_mtime_ns == kv.entry(bucket, "key").time_ns


# -- mapped files -----------------------------------------------------------------------


def test_msync_commits_a_mapped_change(mnt, kv, kv_bucket):
    bucket, data = kv_bucket(history=5), noise(20_000)
    kv.put(bucket, "key", data)
    with open(mnt.kv(bucket, "key"), "r+b", buffering=0) as file:
        with mmap.mmap(file.fileno(), 0) as mapped:
            mapped[10_000:10_003] = b"new"
            mapped.flush()
            changed = data[:10_000] + b"new" + data[10_003:]
            assert kv.get(bucket, "key") == changed
    assert contents(kv, bucket) == [changed]


MAPPED = """
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
file = os.open(sys.argv[1], os.O_RDWR | (os.O_APPEND if "append" in sys.argv[2] else 0))
address = libc.mmap(None, 4, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file, 0)
if "close first" in sys.argv[2]:
    os.close(file)
ctypes.memmove(address, b"NEW", 3)
if "exit" in sys.argv[2]:
    os._exit(0)
libc.munmap(address, 4)
if "close first" not in sys.argv[2]:
    os.close(file)
"""


@pytest.mark.parametrize("order", ["unmap first", "close first", "append handle", "exit"])
def test_a_mapped_change_without_msync_is_committed(mnt, kv, bucket, order):
    run(sys.executable, "-c", MAPPED, mnt.kv(bucket, "key"), order)
    wait_until(lambda: kv.get(bucket, "key") == b"NEW\n", "the change is stored")
    assert mnt.unmount() == 0
    assert contents(kv, bucket) == [b"NEW\n"]


# -- appends ----------------------------------------------------------------------------

LINES, BATCH, WIDTH = 10_000, 50, 40


def append_lines(path, name):
    """LINES lines from one handle, committed every BATCH of them."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for start in range(0, LINES, BATCH):
        for number in range(start, start + BATCH):
            os.write(descriptor, b"%s %05d".ljust(WIDTH) % (name, number) + b"\n")
        os.fsync(descriptor)
    os.close(descriptor)


def together(*works):
    failures = []

    def call(work):
        try:
            work()
        except BaseException as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=call, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_two_mounts_append_ten_thousand_lines_each(mount, kv, kv_bucket):
    bucket = kv_bucket()
    paths = [mount().kv(bucket, "log") for _ in range(2)]
    together(*(lambda path=path, name=name: append_lines(path, name)
               for path, name in zip(paths, (b"one", b"two"))))
    kept = kv.get(bucket, "log").splitlines()
    assert len(kept) == 2 * LINES
    for name in (b"one", b"two"):
        numbers = [int(line.split()[1]) for line in kept if line.startswith(name)]
        assert numbers == list(range(LINES))


def test_shells_on_two_mounts_append_line_by_line(mount, kv, kv_bucket):
    bucket, count = kv_bucket(), 150
    script = f"n=0; while [ $n -lt {count} ]; do echo $0 $n >> log || exit 1; n=$((n + 1)); done"
    together(*(lambda one=mount(), name=name: run("sh", "-c", script, name, cwd=one.kv(bucket))
               for name in ("one", "two")))
    kept = kv.get(bucket, "log").decode().splitlines()
    for name in ("one", "two"):
        assert [line for line in kept if line.startswith(name)] == [
            f"{name} {number}" for number in range(count)]
    assert len(kept) == 2 * count


def test_shells_on_two_mounts_replace_one_key(mount, kv, kv_bucket):
    """Each of them succeeds, whatever the other has just done, and is in the history once."""
    bucket, count = kv_bucket(history=64), 30
    script = f"n=0; while [ $n -lt {count} ]; do echo $0 $n > key || exit 1; n=$((n + 1)); done"
    together(*(lambda one=mount(), name=name: run("sh", "-c", script, name, cwd=one.kv(bucket))
               for name in ("one", "two")))
    assert sorted(values(kv, bucket, "key")) == sorted(
        f"{name} {number}\n".encode() for name in ("one", "two") for number in range(count))


def test_the_end_of_one_handle_does_not_publish_what_another_has_begun(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=64)
    path = mnt.kv(bucket, "key")
    for number in range(20):
        first = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(first, b"first %d" % number)
        os.close(first)  # its release comes later
        second = os.open(path, os.O_WRONLY | os.O_TRUNC)
        idle = os.open(path, os.O_WRONLY)
        os.close(idle)
        os.write(second, b"second %d" % number)
        os.close(second)
    assert values(kv, bucket, "key") == [b"%s %d" % (which, number) for number in range(20)
                                         for which in (b"first", b"second")]


def test_tee_a_on_two_mounts_keeps_every_line(mount, kv, kv_bucket):
    bucket = kv_bucket()
    script = ("for batch in 1 2 3 4 5 6 7 8 9 10; do "
              "seq -f \"$0 $batch %g\" 100 | tee -a log > /dev/null || exit 1; done")
    together(*(lambda one=mount(), name=name: run("sh", "-c", script, name, cwd=one.kv(bucket))
               for name in ("one", "two")))
    kept = kv.get(bucket, "log").decode().splitlines()
    assert sorted(kept) == sorted(f"{name} {batch} {number}" for name in ("one", "two")
                                  for batch in range(1, 11) for number in range(1, 101))
