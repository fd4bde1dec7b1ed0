# SPDX-License-Identifier: Apache-2.0
"""-o inotify: programs that watch files and directories hear of changes made elsewhere."""

import os
import re
import signal
import subprocess
import threading
import time

import pytest

from inotify import Inotify
from mounts import child_of, is_mounted, processes, status_field, wait_process_gone
from nats_stores import KeyValues
from support import content, run, wait_until, write_file

OPTIONS = ("-o", "inotify,log_level=debug")


@pytest.fixture
def poked(mount):
    """One mount of the shared server with -o inotify."""
    return mount(*OPTIONS)


def looks(mnt):
    """How many watched inodes jsfs knew of, each time that they were others."""
    return [int(count) for count in re.findall(r"inotify watched=(\d+)", mnt.log())]


def wait_watched(mnt, count=1, after=0):
    """Until jsfs knows of so many watched inodes, and listens; after: so many looks."""
    wait_until(lambda: looks(mnt)[after:][-1:] == [count], f"jsfs sees {count} watches")


def helper_of(mnt):
    """The process that pokes."""
    return child_of(mnt.pid, os.path.basename(mnt.process.args[0]))


def last_sequence(wire, stream):
    return wire.stream_info(stream)["state"]["last_seq"]


def test_a_watched_directory_hears_of_a_new_a_changed_and_a_removed_key(poked, js, kv_bucket):
    bucket = kv_bucket()
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        js.kv_put(bucket, "key", b"1")
        wait_until(lambda: "CLOSE_WRITE" in watch.kinds("key"), "the new key is told")
        assert watch.kinds("key") == ["CREATE", "OPEN", "MODIFY", "ATTRIB", "CLOSE_WRITE"]
        assert content(poked.kv(bucket, "key")) == b"1"
        watch.settle()
        watch.seen.clear()
        js.kv_put(bucket, "key", b"22")
        wait_until(lambda: "CLOSE_WRITE" in watch.kinds("key"), "the change is told")
        assert watch.kinds("key") == ["OPEN", "MODIFY", "ATTRIB", "CLOSE_WRITE"]
        assert content(poked.kv(bucket, "key")) == b"22"
        watch.settle()
        watch.seen.clear()
        js.kv_delete(bucket, "key")
        wait_until(lambda: "DELETE" in watch.kinds("key"), "the removal is told")
        assert watch.kinds("key") == ["DELETE"]
        assert not os.path.exists(poked.kv(bucket, "key"))
        assert os.listdir(poked.kv(bucket)) == []


def test_a_watched_directory_hears_of_objects(poked, js, objects, obj_bucket):
    bucket = obj_bucket()
    with Inotify(poked.obj(bucket)) as watch:
        wait_watched(poked)
        objects.put(bucket, "big", bytes(300000))
        wait_until(lambda: "CLOSE_WRITE" in watch.kinds("big"), "the new object is told")
        assert watch.kinds("big")[0] == "CREATE"
        js.obj_delete(bucket, "big")
        wait_until(lambda: "DELETE" in watch.kinds("big"), "the removal is told")


def test_inotifywait_hears_of_changes_by_nats_js(poked, js, kv_bucket):
    bucket = kv_bucket()
    command = ["inotifywait", "-m", "-q", "--format", "%e %f", "-e",
               "create,modify,close_write,attrib,delete", str(poked.kv(bucket))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        try:
            wait_watched(poked)
            js.kv_put(bucket, "a", b"x")
            lines = [watcher.stdout.readline().strip() for _ in range(4)]
            assert lines == ["CREATE a", "MODIFY a", "ATTRIB a", "CLOSE_WRITE,CLOSE a"]
            js.kv_delete(bucket, "a")
            assert watcher.stdout.readline() == "DELETE a\n"
        finally:
            watcher.terminate()


def test_directories_appear_and_vanish_with_their_keys(poked, kv, kv_bucket):
    bucket = kv_bucket()
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        kv.put(bucket, "a/b/c", b"x")
        wait_until(lambda: watch.kinds("a") == ["CREATE|ISDIR"], "the directory is told")
        kv.put(bucket, "a/d", b"x")
        watch.add(poked.kv(bucket, "a"))
        watch.add(poked.kv(bucket, "a", "b"))
        wait_watched(poked, 3)
        watch.settle()
        watch.seen.clear()
        kv.delete(bucket, "a/b/c")
        wait_until(lambda: ("DELETE|ISDIR" in watch.kinds("b")), "the inner directory is told")
        assert watch.names("DELETE", "DELETE|ISDIR") == ["c", "b"]
        kv.delete(bucket, "a/d")
        wait_until(lambda: "DELETE|ISDIR" in watch.kinds("a"), "the directory is told")
        assert watch.names("DELETE", "DELETE|ISDIR") == ["c", "b", "d", "a"]
        assert os.listdir(poked.kv(bucket)) == []
        kv.put(bucket, "a/again", b"x")
        wait_until(lambda: content(poked.kv(bucket, "a/again")) == b"x", "it is there again")
        write_file(poked.kv(bucket, "a/own"), b"y")
        assert kv.get(bucket, "a/own") == b"y"


def test_a_watched_file_hears_of_its_change_and_can_be_watched_again(poked, kv, kv_bucket):
    """As an editor: the name leads to another inode, so the watch ends as after a rename."""
    bucket = kv_bucket(history=5)
    kv.put(bucket, "file", b"one")
    path = poked.kv(bucket, "file")
    with Inotify(path) as watch:
        before = 0
        for number in range(3):
            wait_watched(poked, 1, before)
            before = len(looks(poked))
            kv.put(bucket, "file", b"%d" % number)
            wait_until(lambda: "IGNORED" in watch.kinds(), "the watch has ended")
            kinds = [kind for kind in watch.kinds() if kind != "IGNORED"]
            assert kinds[:4] == ["OPEN", "MODIFY", "ATTRIB", "CLOSE_WRITE"]
            assert kinds[-1] == "DELETE_SELF"
            assert content(path) == b"%d" % number
            watch.seen.clear()
            watch.add(path)


def test_a_watched_file_hears_of_its_removal(poked, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "file", b"x")
    with Inotify(poked.kv(bucket, "file")) as watch:
        wait_watched(poked)
        kv.delete(bucket, "file")
        wait_until(lambda: "DELETE_SELF" in watch.kinds(), "the removal is told")
    assert not os.path.exists(poked.kv(bucket, "file"))


def test_a_file_that_is_open_keeps_its_version_when_it_is_watched(poked, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "file", b"old content")
    path = poked.kv(bucket, "file")
    with open(path, "rb", buffering=0) as file, Inotify(path) as watch:
        wait_watched(poked)
        kv.put(bucket, "file", b"new")
        wait_until(lambda: "CLOSE_WRITE" in watch.kinds(), "the change is told")
        assert file.read() == b"old content"
        assert content(path) == b"new"


def test_a_link_to_an_object_is_told(poked, objects, obj_bucket):
    bucket = obj_bucket()
    link = {"link": {"bucket": bucket, "name": "target"}}
    with Inotify(poked.obj(bucket)) as watch:
        wait_watched(poked)
        objects.put_meta(bucket, "link", {"name": "link", "bucket": bucket, "nuid": "n",
                                          "size": 0, "chunks": 0, "options": link})
        wait_until(lambda: "CREATE" in watch.kinds("link"), "the link is told")
    assert os.readlink(poked.obj(bucket, "link")) == "target"


def test_expiry_is_told(poked, kv, kv_bucket):
    bucket = kv_bucket(max_age=4 * 10**9)
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        kv.put(bucket, "short", b"x")
        wait_until(lambda: "DELETE" in watch.kinds("short"), "the expiry is told")
        assert watch.names("DELETE") == ["short"]


def test_what_this_mount_changes_is_told_once(poked, kv, kv_bucket):
    bucket = kv_bucket(history=5)
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        write_file(poked.kv(bucket, "own"), b"x")
        os.unlink(poked.kv(bucket, "own"))
        kv.put(bucket, "other", b"")
        wait_until(lambda: "CLOSE_WRITE" in watch.kinds("other"), "a later change is told")
        watch.settle()
        assert [kind for kind in watch.kinds("own") if kind != "ATTRIB"] == [
            "CREATE", "OPEN", "MODIFY", "CLOSE_WRITE", "DELETE"]


def test_a_poke_adds_no_revision_and_asks_nothing(poked, kv, wire, kv_bucket):
    bucket = kv_bucket(history=64)
    kv.put(bucket, "k0", b"x")
    with Inotify(poked.kv(bucket), poked.kv(bucket, "k0")) as watch:
        wait_watched(poked, 2)
        for number in range(20):
            kv.put(bucket, f"k{number % 4}", b"%d" % number)
        kv.delete(bucket, "k3")
        wait_until(lambda: "DELETE" in watch.kinds("k3"), "the removal is told")
        watch.settle()
    assert poked.unmount() == 0
    assert last_sequence(wire, f"KV_{bucket}") == 22
    assert [entry.operation for entry in kv.history(bucket, "k3")][-1] == "DEL"


def test_two_mounts_that_poke_do_not_make_each_other_poke(mount, kv, wire, kv_bucket):
    bucket = kv_bucket(history=64)
    one, two = mount(*OPTIONS), mount(*OPTIONS)
    with Inotify(one.kv(bucket)) as here, Inotify(two.kv(bucket)) as there:
        wait_watched(one)
        wait_watched(two)
        kv.put(bucket, "outside", b"x")
        write_file(one.kv(bucket, "from-one"), b"1")
        write_file(two.kv(bucket, "from-two"), b"2")
        for watch in (here, there):
            wait_until(lambda: set(watch.names("CLOSE_WRITE")) == {"outside", "from-one",
                                                                  "from-two"},
                       "every change is told in both")
        here.settle(2.0)
        there.settle(2.0)
        for watch in (here, there):
            assert sorted(watch.names("CREATE")) == ["from-one", "from-two", "outside"]
            assert sorted(watch.names("CLOSE_WRITE")) == ["from-one", "from-two", "outside"]
    assert last_sequence(wire, f"KV_{bucket}") == 3


def test_every_change_of_many_is_told(poked, kv, kv_bucket):
    bucket = kv_bucket()
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        kv.put_all(bucket, ((f"k{number}", b"x") for number in range(1000)))
        wait_until(lambda: len(watch.names("CREATE")) >= 1000, "a thousand keys are told", 60)
        assert sorted(watch.names("CREATE")) == sorted(f"k{number}" for number in range(1000))


def test_without_the_option_nothing_is_told(mnt, kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "file", b"x")
    path = mnt.kv(bucket, "file")
    with Inotify(mnt.kv(bucket), path) as watch:
        kv.put(bucket, "file", b"yy")
        kv.put(bucket, "new", b"z")
        wait_until(lambda: os.stat(path).st_size == 2, "the change is shown")
        wait_until(lambda: "new" in os.listdir(mnt.kv(bucket)), "the new key is shown")
        assert [event for event in watch.settle() if event[2] != "OPEN|ISDIR"] == []
    program = mnt.process.args[0]
    assert [pid for pid in processes(lambda words: words[0] == program)
            if status_field(pid, "PPid") == mnt.pid] == []


def test_a_new_watch_does_not_need_the_bucket_to_be_used(mount, kv, kv_bucket):
    """The watch of a bucket in which something is watched does not stop when it is idle."""
    poked, bucket = mount("-o", "inotify,log_level=debug,idle=1s"), kv_bucket()
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        time.sleep(3.0)  # idleness is what is tested
        kv.put(bucket, "k", b"")
        wait_until(lambda: "CREATE" in watch.kinds("k"), "the new key is told")
    wait_until(lambda: "idle bucket=" in poked.log(), "the watch stops when nobody cares")


@pytest.mark.parametrize("number", [signal.SIGTERM, None], ids=["sigterm", "umount"])
def test_pokes_do_not_hold_up_the_unmount(poked, server, kv_bucket, number):
    bucket = kv_bucket()
    helper = helper_of(poked)
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        writer = threading.Thread(target=write_many, args=(server, bucket))
        writer.start()
        try:
            wait_until(lambda: watch.names("CREATE"), "pokes are under way")
            if number is not None:
                poked.process.send_signal(number)
            else:  # a call of a poke may just be there
                wait_until(lambda: run("umount", poked.path, check=False).returncode == 0,
                           "it is unmounted")
            assert poked.wait_gone() == 0
            assert not os.path.exists(f"/proc/{helper}")
        finally:
            writer.join()


@pytest.mark.parametrize("moment", range(6))
def test_a_kill_under_a_storm_of_pokes_leaves_no_process_and_no_mount(poked, server, kv_bucket,
                                                                      moment):
    bucket = kv_bucket()
    helper = helper_of(poked)
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        writer = threading.Thread(target=write_many, args=(server, bucket))
        writer.start()
        try:
            wait_until(lambda: len(watch.names("CREATE")) > 30 * moment, "pokes are under way")
            poked.process.kill()
            wait_process_gone(poked.pid)
            wait_process_gone(helper)
            assert is_mounted(poked.path)
            poked.kill()
        finally:
            writer.join()
    assert not is_mounted(poked.path)


def test_the_helper_holds_nothing_of_the_mount_or_the_server(poked, js, kv_bucket):
    bucket = kv_bucket()
    helper = helper_of(poked)
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        js.kv_put(bucket, "key", b"1")
        wait_until(lambda: "CLOSE_WRITE" in watch.kinds("key"), "the new key is told")
        watch.settle()
        held = sorted(os.readlink(f"/proc/{helper}/fd/{name}").split(":")[0]
                      for name in os.listdir(f"/proc/{helper}/fd"))
        assert held == ["/dev/null"] * 3 + ["socket"]
        assert os.readlink(f"/proc/{helper}/cwd") == "/"
    assert poked.unmount() == 0
    assert not os.path.exists(f"/proc/{helper}")


def test_a_helper_that_was_killed_takes_nothing_with_it_but_the_events(poked, kv, kv_bucket):
    bucket = kv_bucket()
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        os.kill(helper_of(poked), signal.SIGKILL)
        kv.put(bucket, "key", b"1")
        wait_until(lambda: "helper process of inotify has ended" in poked.log(), "it is logged")
        assert content(poked.kv(bucket, "key")) == b"1"
        write_file(poked.kv(bucket, "own"), b"x")
        wait_until(lambda: "CLOSE_WRITE" in watch.kinds("own"), "the kernel's events stay")
    assert kv.get(bucket, "own") == b"x"


def write_many(server, bucket):
    """Over a connection of its own, as it is a thread of its own."""
    wire = server.connect()
    kv = KeyValues(wire)
    for _ in range(10):
        kv.put_all(bucket, ((f"k{number}", b"x") for number in range(500)))
    wire.close()


def test_pokes_into_a_frozen_server_do_not_hold_up_the_unmount(mount, own_server):
    wire = own_server.connect()
    kv = KeyValues(wire)
    kv.create("b")
    mnt = mount("-o", "inotify,log_level=debug,timeout=60s", server=own_server)
    with Inotify(mnt.kv("b")) as watch:
        wait_watched(mnt)
        kv.put("b", "k", b"")
        wait_until(lambda: "CLOSE_WRITE" in watch.kinds("k"), "the new key is told")
        own_server.freeze()
        stuck = subprocess.Popen(["rm", str(mnt.kv("b", "k"))], stderr=subprocess.DEVNULL)
        mnt.process.send_signal(signal.SIGTERM)
        assert mnt.wait_gone() == 0
        own_server.thaw()
        stuck.wait(15)
    wire.close()


def test_a_watched_bucket_can_be_deleted_and_made_again(poked, kv, kv_bucket):
    bucket = kv_bucket()
    with Inotify(poked.kv(bucket)) as watch:
        wait_watched(poked)
        kv.remove(bucket)
        wait_until(lambda: not os.path.exists(poked.kv(bucket)), "the bucket is gone")
    kv.create(bucket)
    wait_until(lambda: os.path.exists(poked.kv(bucket)), "the bucket is there again")
    with Inotify(poked.kv(bucket)) as watch:
        wait_until(lambda: kv.put(bucket, "k", b"") and watch.kinds("k"), "changes are told")


def test_who_watches_is_seen_in_other_processes(poked, kv, kv_bucket):
    bucket = kv_bucket()
    script = ("inotifywait -q -t 60 -e create --format %f " + str(poked.kv(bucket)))
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as watcher:
        wait_watched(poked)
        kv.put(bucket, "k", b"")
        assert watcher.communicate(timeout=30)[0] == "k\n"
    assert run("ls", poked.kv(bucket)).stdout == "k\n"
