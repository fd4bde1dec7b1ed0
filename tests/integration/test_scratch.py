# SPDX-License-Identifier: Apache-2.0
"""What editors write beside a file: it stays in the mount, and a save is one revision of the key."""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import random
import signal
import stat
import threading

import pytest

from support import content, noise, refused, run, shell, wait_until, walk, write_file

NOREPLACE, EXCHANGE = 1, 2
FUTEX = ("202", "98")  # a thread that waits for the interpreter: x86_64, aarch64


@pytest.fixture
def told(kv, wire):
    """told(bucket) -> all that was ever stored in it, as (key, operation, bytes), in order."""
    def everything(bucket):
        stream = f"KV_{bucket}"
        last = wire.stream_info(stream)["state"]["last_seq"]
        stored = [wire.message(stream, seq=sequence) for sequence in range(1, last + 1)]
        return [(message.subject.removeprefix(f"$KV.{bucket}."), message.operation, message.data)
                for message in stored]
    return everything


@pytest.fixture
def patient(mount):
    """A mount that holds removals back longer than any test takes; unmounting decides them."""
    return mount("-o", "hold=60s")


@pytest.fixture
def saved(patient, kv, kv_bucket, told):
    """saved(save, key="f") -> the directory after save(directory), which must have added exactly
    one revision, b"new", to a key that was b"old", and nothing else."""
    def check(save, key="f", **config):
        bucket = kv_bucket(history=64, **config)
        kv.put(bucket, key, b"old")
        save(patient.kv(bucket))
        assert told(bucket) == [(key, "PUT", b"old"), (key, "PUT", b"new")]
        path = patient.kv(bucket, *key.split("/"))
        assert path.read_bytes() == b"new"
        assert os.stat(path).st_mtime_ns == kv.entry(bucket, key).time_ns
        assert os.stat(path).st_size == 3
        return patient.kv(bucket)
    return check


def make(path, data=b"", mode=0o644, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL):
    """Create a file as a program does that must be the first; its name."""
    descriptor = os.open(path, flags, mode)
    if data:
        assert os.write(descriptor, data) == len(data)
    os.close(descriptor)
    return path


def mkstemp(path, data, mode=None):
    """What mkstemp(3) makes, filled, with another mode."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    assert os.write(descriptor, data) == len(data)
    if mode is not None:
        os.fchmod(descriptor, mode)
    os.close(descriptor)
    return path


class Blocked(threading.Thread):
    """A call that waits in the kernel, in a thread."""

    def __init__(self, call, *arguments):
        super().__init__(target=call, args=arguments)
        self.start()
        wait_until(lambda: self._system_call() not in ("running", *FUTEX),
                   "the call waits in the kernel")

    def _system_call(self):
        with open(f"/proc/self/task/{self.native_id}/syscall") as file:
            return file.read().split()[0]


def renameat2(old, new, flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def probe(directory):
    """How vim tries whether it may write."""
    descriptor = os.open(directory / "4913", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o100644)
    os.fchown(descriptor, os.getuid(), os.getgid())
    os.close(descriptor)
    os.unlink(directory / "4913")


# -- the programs, call by call (reference: their system calls) --------------------------------


def vim_save(directory, name="f", in_place=False, keep_backup=False):
    path = directory / name
    swap = directory / f".{name}.swp"
    make(swap, mode=0o600, flags=os.O_RDWR | os.O_CREAT | os.O_EXCL)
    make(directory / f".{name}.swx", mode=0o600, flags=os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.unlink(directory / f".{name}.swx")
    os.unlink(swap)
    held = os.open(swap, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(held, noise(4096))
    assert path.read_bytes() == b"old"
    if in_place:
        make(directory / f"{name}~", b"old")
    else:
        probe(directory)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(directory / f"{name}~")
        os.rename(path, directory / f"{name}~")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"new")
    os.fsync(descriptor)
    os.fchmod(descriptor, 0o644)
    os.close(descriptor)
    if not keep_backup:
        os.unlink(directory / f"{name}~")
    os.pwrite(held, noise(4096), 4096)
    os.fsync(held)
    os.close(held)
    os.unlink(swap)


def nano_save(directory):
    for _ in range(2):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(directory / ".f.swp")
        make(directory / ".f.swp", b"lock")
    descriptor = os.open(directory / "f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, b"new")
    os.fsync(descriptor)
    os.close(descriptor)
    os.unlink(directory / ".f.swp")


def emacs_save(directory):
    os.symlink("user@host.1234:5678", directory / ".#f")
    assert os.readlink(directory / ".#f") == "user@host.1234:5678"
    os.rename(directory / "f", directory / "f~")
    descriptor = os.open(directory / "f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.write(descriptor, b"new")
    os.close(descriptor)
    os.close(os.open(directory / "f", os.O_WRONLY))
    os.unlink(directory / ".#f")
    os.chmod(directory / "f", 0o644)


def sed_save(directory):
    name = mkstemp(directory / "sedAbC123", b"new")
    os.chmod(name, 0o644)
    os.rename(name, directory / "f")


def perl_save(directory):
    os.rename(mkstemp(directory / "XXyZ01ab", b"new", mode=0o644), directory / "f")


def rsync_save(directory):
    name = mkstemp(directory / ".f.x0Yz9A", b"new", mode=0o644)
    os.utime(name, (1, 1))
    assert os.stat(name).st_mtime == 1
    os.rename(name, directory / "f")


def vscode_atomic_save(directory):
    os.rename(make(directory / "f.vsctmp", b"new"), directory / "f")


def jetbrains_save(directory):
    make(directory / "f___jb_tmp___", b"new")
    os.rename(directory / "f", directory / "f___jb_old___")
    os.rename(directory / "f___jb_tmp___", directory / "f")
    os.unlink(directory / "f___jb_old___")


SAVES = [vim_save, nano_save, emacs_save, sed_save, perl_save, rsync_save, vscode_atomic_save,
         jetbrains_save]


@pytest.mark.parametrize("save", SAVES, ids=lambda save: save.__name__)
def test_a_save_adds_exactly_one_revision(saved, save):
    saved(save)


def test_a_save_of_the_only_key_in_a_directory_adds_exactly_one_revision(saved):
    saved(lambda top: vim_save(top / "only"), key="only/f")


def test_a_save_in_place_adds_exactly_one_revision(saved):
    saved(lambda top: vim_save(top, in_place=True))


def test_a_kept_backup_is_of_this_mount_alone(saved):
    top = saved(lambda directory: vim_save(directory, keep_backup=True))
    assert (top / "f~").read_bytes() == b"old"
    assert sorted(os.listdir(top)) == ["f", "f~"]


def test_many_saves_add_one_revision_each(patient, kv, kv_bucket, told):
    bucket = kv_bucket(history=64)
    kv.put(bucket, "f", b"old")
    for number in range(12):
        os.rename(patient.kv(bucket, "f"), patient.kv(bucket, "f~"))
        write_file(patient.kv(bucket, "f"), b"%d" % number)
        assert os.stat(patient.kv(bucket, "f")).st_mtime_ns == kv.entry(bucket, "f").time_ns
    assert told(bucket)[1:] == [("f", "PUT", b"%d" % number) for number in range(12)]


def test_a_new_file_by_way_of_a_temporary_one_is_one_revision(mnt, kv_bucket, told):
    bucket = kv_bucket(history=5)
    os.rename(mkstemp(mnt.kv(bucket, ".f.x0Yz9A"), b"new"), mnt.kv(bucket, "f"))
    assert told(bucket) == [("f", "PUT", b"new")]
    assert os.listdir(mnt.kv(bucket)) == ["f"]


# -- the programs themselves -------------------------------------------------------------------


@pytest.mark.parametrize("script", [
    "sed -i s/old/new/ f",
    "perl -i -pe s/old/new/ f",
    "printf new > x && mv x f",
    "printf new > $OUT && cp $OUT f",
    "printf new > $OUT && rsync -I $OUT f",
    "printf new > $OUT && rsync -aI $OUT f",
    "printf new > $OUT && rsync -I --inplace $OUT f",
    "printf new | dd of=f conv=notrunc",
    "printf new | tee f",
], ids=lambda script: script.split("|")[-1].split("&&")[-1].strip().replace("/", "")[:30])
def test_a_program_adds_exactly_one_revision(mnt, kv, kv_bucket, told, tmp_path, script):
    bucket = kv_bucket(history=64)
    kv.put(bucket, "f", b"old")
    shell(script, mnt.kv(bucket), env={**os.environ, "OUT": str(tmp_path / "f")})
    assert [entry for entry in told(bucket) if entry[0] == "f"] == \
        [("f", "PUT", b"old"), ("f", "PUT", b"new")]
    assert {key for key, _, _ in told(bucket)} <= {"f", "x"}
    assert mnt.kv(bucket, "f").read_bytes() == b"new"


@pytest.mark.parametrize("script", ["sed -i.bak s/old/new/ f", "perl -i.bak -pe s/old/new/ f"])
def test_a_backup_with_a_keys_name_is_a_key(mnt, kv, kv_bucket, told, script):
    bucket = kv_bucket(history=64)
    kv.put(bucket, "f", b"old")
    shell(script, mnt.kv(bucket))
    assert (kv.get(bucket, "f"), kv.get(bucket, "f.bak")) == (b"new", b"old")
    assert {key for key, _, _ in told(bucket)} == {"f", "f.bak"}


def test_tee_a_appends_with_one_revision(mnt, kv, kv_bucket, told):
    bucket = kv_bucket(history=64)
    kv.put(bucket, "f", b"old\n")
    shell("echo new | tee -a f; echo more >> f", mnt.kv(bucket))
    assert [data for _, _, data in told(bucket)] == [b"old\n", b"old\nnew\n", b"old\nnew\nmore\n"]


def test_rsync_of_a_tree_publishes_the_names_and_nothing_else(mnt, kv_bucket, told, tmp_path):
    bucket = kv_bucket(history=64)
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    for number in range(20):
        (tmp_path / "tree" / "deep" / f"key{number}").write_bytes(noise(100 * number, number))
    run("rsync", "-a", f"{tmp_path}/tree", mnt.kv(bucket))
    assert sorted(told(bucket)) == sorted(
        (f"tree/deep/key{number}", "PUT", noise(100 * number, number)) for number in range(20))


def test_a_watcher_elsewhere_never_sees_the_key_vanish(patient, kv, kv_bucket, wire):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "f", b"old")
    watch = wire.subscribe(f"$KV.{bucket}.>")
    for save in SAVES:
        save(patient.kv(bucket))
        message = watch.next()
        assert (message.subject, message.data) == (f"$KV.{bucket}.f", b"new")
        assert message.header("KV-Operation") is None
        write_file(patient.kv(bucket, "f"), b"old")
        assert watch.next().data == b"old"
    kv.put(bucket, "last", b"")
    assert watch.next().subject == f"$KV.{bucket}.last"
    watch.close()


# -- a key that is renamed away ------------------------------------------------------------------


def test_a_key_renamed_away_is_removed_when_its_history_keeps_the_value(
        mnt, kv, kv_bucket, told):
    bucket = kv_bucket(history=2)
    kv.put(bucket, "f", b"value")
    os.rename(mnt.kv(bucket, "f"), mnt.kv(bucket, "f~"))
    assert os.listdir(mnt.kv(bucket)) == ["f~"]
    with refused(errno.ENOENT):
        os.stat(mnt.kv(bucket, "f"))
    wait_until(lambda: kv.entry(bucket, "f").operation == "DEL", "the removal is published")
    assert told(bucket) == [("f", "PUT", b"value"), ("f", "DEL", b"")]
    assert mnt.kv(bucket, "f~").read_bytes() == b"value"
    assert os.listdir(mnt.kv(bucket)) == ["f~"]


def test_a_key_renamed_away_stays_when_nothing_would_keep_the_value(mnt, kv, kv_bucket, told):
    bucket = kv_bucket(history=1)
    kv.put(bucket, "f", b"value")
    os.rename(mnt.kv(bucket, "f"), mnt.kv(bucket, "f~"))
    with refused(errno.ENOENT):
        os.stat(mnt.kv(bucket, "f"))
    wait_until(lambda: content(mnt.kv(bucket, "f")) == b"value", "the key shows again")
    wait_until(lambda: sorted(os.listdir(mnt.kv(bucket))) == ["f", "f~"], "it is listed again")
    assert told(bucket) == [("f", "PUT", b"value")]
    assert "no history" in mnt.log()


def test_a_backup_renamed_back_is_the_key_again(patient, kv, kv_bucket, told):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "f", b"value")
    os.rename(patient.kv(bucket, "f"), patient.kv(bucket, "f~"))
    os.rename(patient.kv(bucket, "f~"), patient.kv(bucket, "f"))
    assert patient.kv(bucket, "f").read_bytes() == b"value"
    assert os.listdir(patient.kv(bucket)) == ["f"]
    patient.unmount()
    patient.wait_gone()
    assert told(bucket) == [("f", "PUT", b"value")]


def test_a_change_elsewhere_calls_a_held_removal_off(patient, kv, kv_bucket, told):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "f", b"value")
    os.rename(patient.kv(bucket, "f"), patient.kv(bucket, "f~"))
    kv.put(bucket, "f", b"theirs")
    wait_until(lambda: content(patient.kv(bucket, "f")) == b"theirs", "their version shows")
    patient.unmount()
    patient.wait_gone()
    assert told(bucket) == [("f", "PUT", b"value"), ("f", "PUT", b"theirs")]


@pytest.mark.parametrize("flags", [os.O_EXCL, os.O_TRUNC, os.O_APPEND, 0])
def test_a_key_made_again_however_it_is_opened_is_one_replacement(
        patient, kv, kv_bucket, told, flags):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "f", b"old value")
    os.rename(patient.kv(bucket, "f"), patient.kv(bucket, "f~"))
    make(patient.kv(bucket, "f"), b"new", flags=os.O_WRONLY | os.O_CREAT | flags)
    assert told(bucket) == [("f", "PUT", b"old value"), ("f", "PUT", b"new")]
    assert patient.kv(bucket, "f").read_bytes() == b"new"


def test_a_key_made_again_and_removed_is_removed(patient, kv, kv_bucket, told):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "f", b"old")
    os.rename(patient.kv(bucket, "f"), patient.kv(bucket, "f~"))
    descriptor = os.open(patient.kv(bucket, "f"), os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"never")
    os.unlink(patient.kv(bucket, "f"))
    assert told(bucket) == [("f", "PUT", b"old"), ("f", "DEL", b"")]
    os.close(descriptor)
    assert len(told(bucket)) == 2
    assert os.listdir(patient.kv(bucket)) == ["f~"]


def test_what_an_open_handle_has_written_is_in_the_backup(mnt, kv, kv_bucket, told):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "f", b"old")
    with open(mnt.kv(bucket, "f"), "r+b", buffering=0) as file:
        file.write(b"new")
        os.rename(mnt.kv(bucket, "f"), mnt.kv(bucket, "f~"))
        assert mnt.kv(bucket, "f~").read_bytes() == b"new"
    assert [data for _, _, data in told(bucket)][:2] == [b"old", b"new"]


@pytest.mark.parametrize("history", [1, 5])
def test_an_unmount_decides_what_is_held_at_once(mount, kv, kv_bucket, told, history):
    bucket, one = kv_bucket(history=history), mount("-o", "hold=60s")
    kv.put(bucket, "f", b"value")
    os.rename(one.kv(bucket, "f"), one.kv(bucket, "f~"))
    one.unmount()
    one.wait_gone()
    removal = [("f", "DEL", b"")] if history > 1 else []
    assert told(bucket) == [("f", "PUT", b"value"), *removal]


def test_a_signal_decides_what_is_held_at_once(mount, kv, kv_bucket, told):
    bucket, one = kv_bucket(history=5), mount("-o", "hold=60s")
    kv.put(bucket, "f", b"value")
    os.rename(one.kv(bucket, "f"), one.kv(bucket, "f~"))
    one.signal(signal.SIGTERM)
    one.wait_gone()
    assert told(bucket) == [("f", "PUT", b"value"), ("f", "DEL", b"")]


def test_a_killed_jsfs_leaves_a_key_that_was_renamed_away(mount, kv, kv_bucket, told):
    bucket, one = kv_bucket(history=5), mount("-o", "hold=60s")
    kv.put(bucket, "f", b"value")
    os.rename(one.kv(bucket, "f"), one.kv(bucket, "f~"))
    one.crash()
    assert told(bucket) == [("f", "PUT", b"value")]
    assert mount().kv(bucket, "f").read_bytes() == b"value"


def test_a_failed_save_shows_the_key_again(make_server, mount, kv):
    server = make_server()
    wire = server.connect()
    type(kv)(wire).create("b", history=5)
    type(kv)(wire).put("b", "f", b"value")
    one = mount("-o", "timeout=1s,hold=60s", server=server)
    assert one.kv("b", "f").read_bytes() == b"value"
    os.rename(one.kv("b", "f"), one.kv("b", "f~"))
    descriptor = os.open(one.kv("b", "f"), os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"new")
    wire.close()
    server.stop()
    with refused(errno.EHOSTDOWN, errno.ETIMEDOUT):
        os.fsync(descriptor)
    with contextlib.suppress(OSError):
        os.close(descriptor)
    wait_until(lambda: os.stat(one.kv("b", "f")).st_size == 5, "the key shows again")
    assert sorted(os.listdir(one.kv("b"))) == ["f", "f~"]


# -- a scratch file that is renamed to a key -----------------------------------------------------


def test_rename_to_a_name_that_kv_does_not_allow_is_einval(mnt, kv_bucket, told):
    bucket = kv_bucket()
    make(mnt.kv(bucket, "f~"), b"data")
    with refused(errno.EINVAL):
        os.rename(mnt.kv(bucket, "f~"), mnt.kv(bucket, "not a key"))
    assert mnt.kv(bucket, "f~").read_bytes() == b"data"
    assert told(bucket) == []


def test_a_refused_save_over_a_hidden_key_shows_it_again(patient, kv, kv_bucket, told):
    bucket = kv_bucket(history=5, max_msg_size=200)
    kv.put_all(bucket, [("f", b"value"), ("g", b"other")])
    top = patient.kv(bucket)
    make(top / "new~", b"x" * 1000)
    os.rename(top / "f", top / "f~")
    assert content(top / "f") is None
    with refused(errno.EFBIG):
        os.rename(top / "new~", top / "f")
    wait_until(lambda: content(top / "f") == b"value", "the key shows again")
    assert (top / "new~").stat().st_size == 1000
    assert len(told(bucket)) == 2


def test_rename_without_replacement_onto_a_key_is_eexist(mnt, kv, kv_bucket, told):
    bucket = kv_bucket()
    make(mnt.kv(bucket, "f~"), b"data")
    kv.put(bucket, "f", b"value")
    with refused(errno.EEXIST):
        renameat2(mnt.kv(bucket, "f~"), mnt.kv(bucket, "f"), NOREPLACE)
    renameat2(mnt.kv(bucket, "f~"), mnt.kv(bucket, "g"), NOREPLACE)
    assert told(bucket) == [("f", "PUT", b"value"), ("g", "PUT", b"data")]


def test_rename_without_replacement_is_decided_by_the_server(make_server, mount, kv):
    """The mount has not been told yet of the key that is there."""
    server = make_server()
    wire = server.connect()
    keys = type(kv)(wire)
    keys.create("b", history=5)
    one = mount(server=server)
    make(one.kv("b", "f~"), b"data")
    keys.put("b", "f", b"value")
    with refused(errno.EEXIST):
        renameat2(one.kv("b", "f~"), one.kv("b", "f"), NOREPLACE)
    assert keys.get("b", "f") == b"value"
    wire.close()


def test_exchange_of_a_scratch_file_and_a_key_is_einval(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    make(mnt.kv(bucket, "f~"), b"data")
    kv.put(bucket, "f", b"value")
    wait_until(lambda: content(mnt.kv(bucket, "f")), "the key is there")
    for names in (("f~", "f"), ("f", "f~")):
        with refused(errno.EINVAL):
            renameat2(mnt.kv(bucket, names[0]), mnt.kv(bucket, names[1]), EXCHANGE)


def test_a_value_above_the_limit_stays_scratch(mnt, kv, kv_bucket, told):
    bucket = kv_bucket(max_msg_size=1000)
    kv.put(bucket, "f", b"value")
    make(mnt.kv(bucket, "f~"), noise(2000))
    with refused(errno.EFBIG):
        os.rename(mnt.kv(bucket, "f~"), mnt.kv(bucket, "f"))
    assert mnt.kv(bucket, "f").read_bytes() == b"value"
    assert mnt.kv(bucket, "f~").read_bytes() == noise(2000)
    assert told(bucket) == [("f", "PUT", b"value")]


def test_links_and_fifos_do_not_become_keys(mnt, kv_bucket, told):
    bucket = kv_bucket()
    os.symlink("target", mnt.kv(bucket, ".#f"))
    os.mkfifo(mnt.kv(bucket, "#f#"))
    for name in (".#f", "#f#"):
        with refused(errno.EPERM):
            os.rename(mnt.kv(bucket, name), mnt.kv(bucket, "f"))
    assert told(bucket) == []


def test_between_buckets_scratch_files_are_copied(mnt, kv, kv_bucket, told):
    one, two = kv_bucket(), kv_bucket()
    make(mnt.kv(one, "f~"), b"data")
    with refused(errno.EXDEV):
        os.rename(mnt.kv(one, "f~"), mnt.kv(two, "f~"))
    run("mv", mnt.kv(one, "f~"), mnt.kv(two, "f"))
    assert os.listdir(mnt.kv(one)) == []
    assert kv.get(two, "f") == b"data"


def test_a_handle_on_a_file_that_became_a_key_does_not_change_the_key(mnt, kv_bucket, told):
    bucket = kv_bucket(history=5)
    descriptor = os.open(mnt.kv(bucket, "f~"), os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"before")
    os.rename(mnt.kv(bucket, "f~"), mnt.kv(bucket, "f"))
    os.write(descriptor, b" and after")
    assert os.pread(descriptor, 100, 0) == b"before and after"
    os.close(descriptor)
    assert told(bucket) == [("f", "PUT", b"before")]
    assert mnt.kv(bucket, "f").read_bytes() == b"before"


def test_handles_on_the_replaced_key_keep_their_version(mnt, kv, kv_bucket, told):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "f", b"old")
    with open(mnt.kv(bucket, "f"), "rb", buffering=0) as reader, \
            open(mnt.kv(bucket, "f"), "r+b", buffering=0) as writer:
        before = os.fstat(reader.fileno()).st_ino
        writer.write(b"lost")
        os.rename(make(mnt.kv(bucket, "f~"), b"new"), mnt.kv(bucket, "f"))
        assert os.stat(mnt.kv(bucket, "f")).st_ino != before
    assert mnt.kv(bucket, "f").read_bytes() == b"new"
    assert told(bucket) == [("f", "PUT", b"old"), ("f", "PUT", b"new")]


def test_a_bucket_that_takes_no_writes_takes_no_rename(mnt, kv, kv_bucket, unique, wire):
    origin, name = kv_bucket(history=5), unique()
    kv.put(origin, "f", b"value")
    wire.stream_create(f"KV_{name}", sources=[{"name": f"KV_{origin}"}], allow_direct=True,
                       max_msgs_per_subject=1, discard="new", allow_rollup_hdrs=True)
    wait_until(lambda: content(mnt.kv(name, "f")) == b"value", "it is filled")
    make(mnt.kv(name, ".f.swp"), b"swap")
    for names in ((".f.swp", "g"), ("f", "f~")):
        with refused(errno.EROFS):
            os.rename(mnt.kv(name, names[0]), mnt.kv(name, names[1]))
    assert sorted(os.listdir(mnt.kv(name))) == [".f.swp", "f"]


def test_a_mirror_is_saved_at_its_origin(patient, kv, kv_bucket, unique, told):
    origin, mirror = kv_bucket(history=5), unique()
    kv.put(origin, "f", b"old")
    kv.mirror(mirror, origin)
    wait_until(lambda: content(patient.kv(mirror, "f")) == b"old", "it is filled")
    vim_save(patient.kv(mirror))
    assert told(origin) == [("f", "PUT", b"old"), ("f", "PUT", b"new")]
    assert patient.kv(mirror, "f").read_bytes() == b"new"


# -- beside renames of keys and directories ------------------------------------------------------


def test_scratch_files_go_along_with_a_directory(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("d/x", b"x"), ("d/e/y", b"y")])
    top = mnt.kv(bucket)
    wait_until(lambda: walk(top) == ["d/e/y", "d/x"], "all keys are there")
    make(top / "d" / "e" / ".y.swp", b"swap")
    make(top / "d" / "x~", b"backup")
    held = os.open(top / "d" / "x~", os.O_RDWR)
    os.rename(top / "d", top / "n")
    assert os.listdir(top) == ["n"]
    assert walk(top / "n") == ["e/.y.swp", "e/y", "x", "x~"]
    assert (top / "n" / "e" / ".y.swp").read_bytes() == b"swap"
    assert os.pread(held, 10, 0) == b"backup"
    os.close(held)
    os.rename(top / "n" / "x~", top / "n" / "x")
    assert kv.get(bucket, "n/x") == b"backup"
    os.unlink(top / "n" / "e" / ".y.swp")
    run("rm", "-r", top / "n")
    assert os.listdir(top) == []


def test_a_directory_of_scratch_files_alone_is_renamed(mnt, kv_bucket):
    top = mnt.kv(kv_bucket())
    os.makedirs(top / "d" / "e")
    make(top / "d" / "e" / "f~", b"data")
    os.rename(top / "d", top / "n")
    assert walk(top) == ["n/e/f~"] and os.listdir(top) == ["n"]
    os.mkdir(top / "d")
    with refused(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(top / "d", top / "n")
    assert walk(top) == ["n/e/f~"]


def test_a_key_that_is_renamed_onto_one_that_is_hidden_replaces_it(patient, kv, kv_bucket, told):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("a", b"value a"), ("b", b"value b")])
    top = patient.kv(bucket)
    os.rename(top / "a", top / "a~")
    renameat2(top / "b", top / "a", NOREPLACE)
    assert (top / "a").read_bytes() == b"value b"
    assert [data for key, _, data in told(bucket) if key == "a"] == [b"value a", b"value b"]
    assert sorted(os.listdir(top)) == ["a", "a~"]


# -- the configuration, which is edited, too ---------------------------------------------------


@pytest.mark.parametrize("save", [vim_save, sed_save], ids=["vim_save", "sed_save"])
def test_the_configuration_is_saved_by_renaming(mnt, kv_bucket, wire, save):
    bucket = kv_bucket(history=5)
    control = mnt.kv(bucket, ".jsfs")
    old = (control / "config.json").read_bytes()
    new = old.replace(b'"max_msgs_per_subject": 5', b'"max_msgs_per_subject": 7')
    assert new != old
    if save is sed_save:
        os.rename(mkstemp(control / "sedAbC123", new), control / "config.json")
    else:
        make(control / ".config.json.swp", b"swap")
        probe(control)
        os.rename(control / "config.json", control / "config.json~")
        assert (control / "config.json~").read_bytes() == old
        write_file(control / "config.json", new)
        os.unlink(control / "config.json~")
        os.unlink(control / ".config.json.swp")
    config = wire.stream_info(f"KV_{bucket}")["config"]
    assert config["max_msgs_per_subject"] == 7
    assert (control / "config.json").read_bytes() == new
    assert not [name for name in os.listdir(control) if "~" in name or "sed" in name]


def test_nothing_else_in_the_control_directory_is_renamed(mnt, kv_bucket):
    control = mnt.kv(kv_bucket(), ".jsfs")
    make(control / "f~", b"data")
    for names in (("f~", "status.json"), ("f~", "f"), ("history", "history~"),
                  ("status.json", "status.json~"), ("config.json", "other.json")):
        with refused(errno.EPERM, errno.EISDIR, errno.EXDEV):
            os.rename(control / names[0], control / names[1])
    os.unlink(control / "f~")


# -- scratch files as files ----------------------------------------------------------------------


def test_modes_owners_and_times_of_scratch_files_are_kept(mnt, kv_bucket):
    path = mnt.kv(kv_bucket(), "f~")
    make(path, mode=0o640)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    os.chmod(path, 0o600)
    os.utime(path, ns=(1_000_000_007, 2_000_000_009))
    if os.getuid() == 0:
        os.chown(path, 12, 34)
        assert (os.stat(path).st_uid, os.stat(path).st_gid) == (12, 34)
    state = os.stat(path)
    assert stat.S_IMODE(state.st_mode) == 0o600
    assert (state.st_atime_ns, state.st_mtime_ns) == (1_000_000_007, 2_000_000_009)
    assert state.st_nlink == 1


def test_an_unlinked_scratch_file_can_still_be_used(mnt, kv_bucket):
    path = mnt.kv(kv_bucket(), "f~")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"one")
    os.unlink(path)
    os.write(descriptor, b"two")
    os.fsync(descriptor)
    assert os.pread(descriptor, 10, 0) == b"onetwo"
    assert os.fstat(descriptor).st_nlink == 0
    assert not path.exists() and os.listdir(path.parent) == []
    os.close(descriptor)


def test_scratch_files_are_renamed_over_each_other(mnt, kv_bucket):
    top = mnt.kv(kv_bucket())
    make(top / "a~", b"a")
    make(top / "b~", b"b")
    number = os.stat(top / "a~").st_ino
    os.rename(top / "a~", top / "b~")
    assert (top / "b~").read_bytes() == b"a"
    assert os.stat(top / "b~").st_ino == number
    assert os.listdir(top) == ["b~"]
    make(top / "a~", b"again")
    with refused(errno.EEXIST):
        renameat2(top / "a~", top / "b~", NOREPLACE)
    renameat2(top / "a~", top / "b~", EXCHANGE)
    assert ((top / "a~").read_bytes(), (top / "b~").read_bytes()) == (b"a", b"again")


def test_a_renamed_scratch_file_that_is_open_has_a_link(mnt, kv_bucket):
    top = mnt.kv(kv_bucket())
    descriptor = os.open(top / "a~", os.O_RDWR | os.O_CREAT)
    os.rename(top / "a~", top / "b~")
    os.write(descriptor, b"later")
    assert os.fstat(descriptor).st_nlink == 1
    assert (top / "b~").read_bytes() == b"later"
    os.close(descriptor)


def test_scratch_files_grow_shrink_and_are_appended_to(mnt, kv_bucket):
    path = mnt.kv(kv_bucket(), "f~")
    write_file(path, b"0123456789")
    with open(path, "ab", buffering=0) as one, open(path, "ab", buffering=0) as two:
        one.write(b"one")
        two.write(b"two")
        one.write(b"three")
    assert path.read_bytes() == b"0123456789onetwothree"
    os.truncate(path, 4)
    assert path.read_bytes() == b"0123"
    os.truncate(path, 6)
    assert path.read_bytes() == b"0123\0\0"
    write_file(path, b"new")
    assert path.read_bytes() == b"new"


def test_scratch_files_are_what_was_written_whatever_the_order(mnt, kv_bucket):
    """Against a copy in memory, with the kernel's pages and without."""
    path, chance, copy = mnt.kv(kv_bucket(), "f~"), random.Random(7), bytearray()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    for _ in range(300):
        offset, size = chance.randrange(60_000), chance.randrange(1, 9000)
        if chance.random() < 0.1:
            os.ftruncate(descriptor, offset)
            copy = copy[:offset].ljust(offset, b"\0")
        elif chance.random() < 0.5:
            data = chance.randbytes(size)
            assert os.pwrite(descriptor, data, offset) == size
            copy = copy.ljust(offset, b"\0")
            copy[offset:offset + size] = data
        else:
            assert os.pread(descriptor, size, offset) == copy[offset:offset + size]
        assert os.fstat(descriptor).st_size == len(copy)
    os.close(descriptor)
    assert path.read_bytes() == copy


def test_mapped_writes_reach_the_scratch_file(mnt, kv_bucket):
    path = mnt.kv(kv_bucket(), "f~")
    write_file(path, b"x" * 10_000)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        pages[4000:4005] = b"there"
        pages.flush()
    assert path.read_bytes()[3999:4006] == b"xtherex"


def test_locks_on_scratch_files_work(mnt, kv_bucket):
    path = mnt.kv(kv_bucket(), ".f.swp")
    with open(path, "w+b") as one, open(path, "r+b") as two:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with refused(errno.EWOULDBLOCK):
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_fifo_and_a_link_among_scratch_files(mnt, kv_bucket):
    top = mnt.kv(kv_bucket())
    os.mkfifo(top / "#f#")
    assert stat.S_ISFIFO(os.stat(top / "#f#").st_mode)
    os.symlink("nowhere", top / ".#f")
    assert os.readlink(top / ".#f") == "nowhere"
    assert stat.S_ISLNK(os.lstat(top / ".#f").st_mode)
    assert sorted(os.listdir(top)) == ["#f#", ".#f"]
    with refused(errno.EEXIST):
        os.symlink("again", top / ".#f")
    make(top / "f~")
    with refused(errno.EPERM):
        os.link(top / "f~", top / "g~")
    with refused(errno.EPERM):
        os.mknod(top / "x~", stat.S_IFSOCK | 0o600)


def test_scratch_files_are_listed_beside_the_keys(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put_all(bucket, [(f"key{number}", b"") for number in range(2000)])
    names = {f"key{number}" for number in range(2000)}
    wait_until(lambda: set(os.listdir(mnt.kv(bucket))) == names, "all keys are there")
    for number in range(300):
        make(mnt.kv(bucket, f"{number}~"))
    names |= {f"{number}~" for number in range(300)}
    found = os.listdir(mnt.kv(bucket))
    assert sorted(found) == sorted(names)
    with os.scandir(mnt.kv(bucket)) as entries:
        assert all(entry.is_file() for entry in entries)


def test_listing_goes_on_while_scratch_files_come_and_go(mnt, kv_bucket):
    top = mnt.kv(kv_bucket())
    for number in range(2000):
        make(top / f"stays{number:04}~")
    seen = []
    with os.scandir(top) as entries:
        for number, entry in enumerate(entries):
            seen.append(entry.name)
            if number % 100 == 0:
                make(top / f"comes{number}~")
                os.unlink(top / f"comes{number}~")
    assert sorted(name for name in seen if name.startswith("stays")) == \
        [f"stays{number:04}~" for number in range(2000)]


def test_a_directory_with_scratch_files_cannot_be_removed(mnt, kv_bucket):
    bucket = kv_bucket()
    os.mkdir(mnt.kv(bucket, "d"))
    make(mnt.kv(bucket, "d", "f~"))
    with refused(errno.ENOTEMPTY):
        os.rmdir(mnt.kv(bucket, "d"))
    with refused(errno.ENOTEMPTY):
        os.rmdir(mnt.kv(bucket))
    os.unlink(mnt.kv(bucket, "d", "f~"))
    os.rmdir(mnt.kv(bucket, "d"))


def test_a_directory_stays_while_an_editor_has_a_scratch_file_in_it(mnt, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "d/f", b"value")
    make(mnt.kv(bucket, "d", ".f.swp"), b"swap")
    kv.delete(bucket, "d/f")
    wait_until(lambda: os.listdir(mnt.kv(bucket, "d")) == [".f.swp"], "the key is gone")
    assert mnt.kv(bucket, "d", ".f.swp").read_bytes() == b"swap"
    write_file(mnt.kv(bucket, "d", "f"), b"saved")
    os.unlink(mnt.kv(bucket, "d", ".f.swp"))
    assert kv.get(bucket, "d/f") == b"saved"


def test_the_memory_of_scratch_files_is_limited(mount, kv_bucket):
    one = mount("-o", "scratch.max_bytes=64K")
    top = one.kv(kv_bucket())
    make(top / "a~", noise(60_000))
    descriptor = os.open(top / "b~", os.O_WRONLY | os.O_CREAT)
    with refused(errno.ENOSPC):
        os.write(descriptor, noise(6000))
    with refused(errno.ENOSPC):
        os.ftruncate(descriptor, 6000)
    os.unlink(top / "a~")

    def fits():
        with contextlib.suppress(OSError):
            return os.write(descriptor, noise(6000)) == 6000

    wait_until(fits, "the kernel has let go of the other file")
    os.close(descriptor)


def test_scratch_files_are_gone_after_the_unmount(mount, kv_bucket, told):
    bucket, one = kv_bucket(), mount()
    make(one.kv(bucket, "f~"), b"data")
    os.symlink("x", one.kv(bucket, ".#f"))
    one.unmount()
    one.wait_gone()
    assert os.listdir(mount().kv(bucket)) == []
    assert told(bucket) == []


def test_scratch_files_of_one_mount_are_not_in_another(mount, kv_bucket):
    bucket, one, two = kv_bucket(), mount(), mount()
    make(one.kv(bucket, "f~"), b"data")
    assert os.listdir(two.kv(bucket)) == []
    make(two.kv(bucket, "f~"), b"other")
    assert one.kv(bucket, "f~").read_bytes() == b"data"


def test_a_bucket_that_goes_takes_its_scratch_files_along(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    make(mnt.kv(bucket, "f~"), b"data")
    kv.remove(bucket)
    wait_until(lambda: not os.path.exists(mnt.kv(bucket)), "the bucket is gone")
    kv.create(bucket)
    wait_until(lambda: os.path.exists(mnt.kv(bucket)), "it is there again")
    assert os.listdir(mnt.kv(bucket)) == []


# -- which names -----------------------------------------------------------------------------------


def test_a_key_is_shown_whatever_the_patterns_say(mnt, kv, kv_bucket, told):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("4913", b"1"), ("f.vsctmp", b"2"), ("x/.f.swp", b"3")])
    assert sorted(os.listdir(mnt.kv(bucket))) == ["4913", "f.vsctmp", "x"]
    assert mnt.kv(bucket, "f.vsctmp").read_bytes() == b"2"
    write_file(mnt.kv(bucket, "f.vsctmp"), b"22")
    write_file(mnt.kv(bucket, "x", ".f.swp"), b"33")
    assert told(bucket)[3:] == [("f.vsctmp", "PUT", b"22"), ("x/.f.swp", "PUT", b"33")]
    with refused(errno.EEXIST):
        make(mnt.kv(bucket, "4913"))


def test_a_key_that_comes_hides_the_scratch_file_of_its_name(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    make(mnt.kv(bucket, "f.vsctmp"), b"scratch")
    kv.put(bucket, "f.vsctmp", b"key")
    wait_until(lambda: content(mnt.kv(bucket, "f.vsctmp")) == b"key", "the key shows")
    assert os.listdir(mnt.kv(bucket)) == ["f.vsctmp"]


@pytest.mark.parametrize("name", ["sedAbC123", "sediments", "XXabcdef", "4913", "f.orig", "f.rej",
                                  "f.bak", "f.lock", "f.oAbCdEf", "f.save", "f.tmp"])
def test_a_name_that_a_key_may_have_is_a_key_when_it_is_written(mnt, kv_bucket, told, name):
    """As cp(1), `>` and O_EXCL make them; what a program means by it is not known."""
    bucket = kv_bucket(history=5)
    make(mnt.kv(bucket, name), b"data")
    assert told(bucket)[-1] == (name, "PUT", b"data")
    assert mnt.kv(bucket, name).read_bytes() == b"data"
    assert os.listdir(mnt.kv(bucket)) == [name]


def test_a_probe_is_never_published(mnt, kv_bucket, told):
    bucket = kv_bucket()
    for _ in range(3):
        probe(mnt.kv(bucket))
    assert told(bucket) == []


def test_a_lock_file_is_a_key(mnt, kv_bucket, told):
    bucket = kv_bucket()
    shell("set -o noclobber; : > my.lock", mnt.kv(bucket))
    assert told(bucket) == [("my.lock", "PUT", b"")]


def test_the_patterns_can_be_chosen(mount, kv_bucket, told):
    bucket = kv_bucket(history=5)
    one = mount("-o", "patterns=*.tmp *.part")
    for name in ("a.tmp", "b.part"):
        make(one.kv(bucket, name), b"data")
    with refused(errno.EINVAL):
        make(one.kv(bucket, "f~"))
    make(one.kv(bucket, "c.vsctmp"), b"data")
    assert {key for key, _, _ in told(bucket)} == {"c.vsctmp"}


def test_there_may_be_no_patterns(mount, kv_bucket, told):
    bucket = kv_bucket(history=5)
    one = mount("--scratch=none")
    with refused(errno.EINVAL):
        make(one.kv(bucket, "f~"))
    make(one.kv(bucket, "c.vsctmp"), b"data")
    assert told(bucket)[-1] == ("c.vsctmp", "PUT", b"data")


def test_object_stores_have_no_scratch_files(mnt, objects, obj_bucket):
    bucket = obj_bucket()
    write_file(mnt.obj(bucket, "f~"), b"data")
    assert objects.get(bucket, "f~") == b"data"


# -- a file that is removed while it is committed ------------------------------------------------------


def test_rm_of_a_file_whose_first_commit_is_on_its_way_is_the_last_word(make_server, mount, kv):
    """The commit is frozen in the server; the removal has to wait for it."""
    server = make_server()
    wire = server.connect()
    keys = type(kv)(wire)
    keys.create("b", history=5)
    one = mount("-o", "timeout=20s", server=server)
    assert os.listdir(one.kv("b")) == []
    descriptor = os.open(one.kv("b", "f"), os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"data")
    server.freeze()
    committer = Blocked(os.fsync, descriptor)
    remover = Blocked(os.unlink, one.kv("b", "f"))
    server.thaw()
    committer.join()
    remover.join()
    os.close(descriptor)
    assert keys.get("b", "f") is None
    assert os.listdir(one.kv("b")) == []
    wire.close()
