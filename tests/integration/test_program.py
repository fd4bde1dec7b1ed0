# SPDX-License-Identifier: Apache-2.0
"""The program: its exit codes, its daemon, how it ends, for whom it runs, its own server."""

import contextlib
import os
import re
import signal
import stat

import pytest

from mounts import (UNMOUNT, child_of, environment_of, is_mounted, processes, reports_in,
                    take_away, wait_process_gone)
from nats_stores import KeyValues
from nats_wire import Wire
from servers import free_port
from support import noise, run, wait_until

NOBODY = 65534
USAGE, FAILURE = 1, 32


@pytest.fixture
def work(tmp_path):
    (tmp_path / "mnt").mkdir()
    return tmp_path


@pytest.fixture
def jsfs(jsfs_binary, work):
    """jsfs(*arguments) -> what running it to its end gave; nothing stays mounted."""
    def call(*arguments, **environment):
        return run(jsfs_binary, *arguments, check=False, cwd=work,
                   env=environment_of(work, environment))

    yield call
    take_away(work / "mnt")
    assert reports_in(work) is None, reports_in(work)


@pytest.fixture
def daemon(jsfs_binary, jsfs, work):
    """daemon(*options) -> the id of a jsfs that went to the background."""
    started = []

    def start(*arguments):
        done = jsfs(*arguments, str(work / "mnt"))
        assert done.returncode == 0, done.stderr
        started.extend(processes(lambda words: str(work / "mnt") in words))
        assert len(started) == 1
        return started[0]

    yield start
    for pid in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_one_line(text):
    return len(text.strip().splitlines()) == 1 and len(text) > 10


# -- the command line -------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--no-such-option", "mnt"],
                                       ["nats://127.0.0.1:1", "mnt", "more"], ["--embedded"]])
def test_a_wrong_command_line_is_one_line_and_exit_code_1(jsfs, arguments):
    done = jsfs(*arguments)
    assert done.returncode == USAGE
    assert is_one_line(done.stderr), done.stderr


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_go_to_stdout(jsfs, option):
    done = jsfs(option)
    assert done.returncode == 0
    assert "jsfs" in done.stdout and done.stderr == ""


def test_a_server_that_is_not_there_mounts_nothing(jsfs, work):
    done = jsfs(f"nats://127.0.0.1:{free_port()}", "mnt")
    assert done.returncode == FAILURE
    assert is_one_line(done.stderr), done.stderr
    assert not is_mounted(work / "mnt")


def test_a_server_without_jetstream_mounts_nothing(jsfs, work, make_server):
    done = jsfs(make_server(jetstream=False).url, "mnt")
    assert done.returncode == FAILURE
    assert is_one_line(done.stderr) and "JetStream" in done.stderr
    assert not is_mounted(work / "mnt")


def test_a_missing_mount_point_is_one_line(jsfs, server):
    done = jsfs(server.url, "missing")
    assert done.returncode in (USAGE, FAILURE)
    assert is_one_line(done.stderr) and "missing" in done.stderr


def test_a_mount_point_that_is_a_file_is_one_line(jsfs, work, server):
    (work / "file").write_text("here")
    done = jsfs(server.url, "file")
    assert done.returncode in (USAGE, FAILURE)
    assert is_one_line(done.stderr) and "file" in done.stderr
    assert (work / "file").read_text() == "here"


def test_a_mount_point_that_is_not_empty_is_one_line(jsfs, work, server):
    (work / "mnt" / "mine").write_text("here")
    done = jsfs(server.url, "mnt")
    assert done.returncode in (USAGE, FAILURE)
    assert is_one_line(done.stderr), done.stderr
    assert not is_mounted(work / "mnt")


def test_a_mount_point_of_a_dead_jsfs_is_used_again(mnt, jsfs, server):
    mnt.crash()
    done = jsfs(server.url, str(mnt.path))
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(mnt.path)) == ["kv", "obj"]
    run(*UNMOUNT, mnt.path)


def test_a_broken_configuration_names_its_line(jsfs, work, server):
    (work / "jsfs.conf").write_text("[kv]\nhistory = 5\nno_such_key = 1\n")
    done = jsfs(f"--config={work}/jsfs.conf", server.url, "mnt")
    assert done.returncode == USAGE
    assert is_one_line(done.stderr) and "jsfs.conf:3" in done.stderr


# -- the daemon -------------------------------------------------------------------------


def test_it_returns_when_the_mount_answers(daemon, server, work):
    pid = daemon(server.url)
    assert is_mounted(work / "mnt")
    assert sorted(os.listdir(work / "mnt")) == ["kv", "obj"]
    run(*UNMOUNT, work / "mnt")
    wait_process_gone(pid)


def test_a_relative_mount_point_is_of_the_callers_directory(jsfs, server, work):
    assert jsfs(server.url, "mnt").returncode == 0
    assert is_mounted(work / "mnt")
    run(*UNMOUNT, work / "mnt")


def test_the_daemon_ends_by_sigterm(daemon, server, work):
    pid = daemon(server.url)
    os.kill(pid, signal.SIGTERM)
    wait_process_gone(pid)
    wait_until(lambda: not is_mounted(work / "mnt"), "nothing is mounted any more")


def test_f_stays_in_the_foreground(mnt):
    assert mnt.process.poll() is None
    assert sorted(os.listdir(mnt.path)) == ["kv", "obj"]


def test_the_mount_says_what_it_is(mnt, server):
    words = run("findmnt", "-n", "-o", "FSTYPE,SOURCE", "--mountpoint", mnt.path).stdout.split()
    assert words[0] == "fuse.jsfs"
    assert server.url.removeprefix("nats://") in words[1]


# -- the end ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["umount"], ["fusermount3", "-u"]])
def test_unmounting_ends_it_with_0(mnt, command):
    assert mnt.unmount(command) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(mnt, number):
    assert mnt.signal(number) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_commits_what_was_not_closed(mnt, kv, objects, kv_bucket, obj_bucket, number):
    keys, store, data = kv_bucket(), obj_bucket(), noise(300_000)
    value = os.open(mnt.kv(keys, "open"), os.O_WRONLY | os.O_CREAT)
    thing = os.open(mnt.obj(store, "open"), os.O_WRONLY | os.O_CREAT)
    os.write(value, b"not closed")
    os.write(thing, data)
    assert mnt.signal(number) == 0
    for descriptor in (value, thing):
        with contextlib.suppress(OSError):  # the mount is gone
            os.close(descriptor)
    assert kv.get(keys, "open") == b"not closed"
    assert objects.get(store, "open") == data


# -- where it runs ----------------------------------------------------------------------


def test_the_server_may_come_from_nats_url(mount, server, kv_bucket):
    bucket = kv_bucket()
    mnt = mount(server=None, environment={"NATS_URL": server.url})
    assert bucket in os.listdir(mnt / "kv")


def test_the_command_line_is_stronger_than_nats_url(mount, kv_bucket):
    bucket = kv_bucket()
    mnt = mount(environment={"NATS_URL": f"nats://127.0.0.1:{free_port()}"})
    assert bucket in os.listdir(mnt / "kv")


def test_one_of_several_servers_is_enough(mount, server, kv_bucket):
    bucket = kv_bucket()
    mnt = mount(f"nats://127.0.0.1:{free_port()},{server.url}", server=None)
    assert bucket in os.listdir(mnt / "kv")


def test_it_runs_without_a_home(mount, kv_bucket):
    bucket = kv_bucket()
    mnt = mount(environment={"HOME": None, "XDG_DATA_HOME": None, "XDG_CONFIG_HOME": None})
    (mnt.kv(bucket, "key")).write_bytes(b"value")
    assert (mnt.kv(bucket, "key")).read_bytes() == b"value"


@pytest.fixture
def fuse_for_everyone():
    """/dev/fuse as Debian has it: for every user."""
    mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
    if mode != 0o666:
        os.chmod("/dev/fuse", 0o666)
    yield
    if mode != 0o666:
        os.chmod("/dev/fuse", mode)


def test_a_plain_user_mounts_and_unmounts(mount, fuse_for_everyone, kv, kv_bucket):
    """As nobody when the tests run as root; else every mount is a plain user's."""
    bucket, user = kv_bucket(), NOBODY if os.getuid() == 0 else os.getuid()
    kv.put(bucket, "there", b"from the server")
    mnt = mount(user=NOBODY if os.getuid() == 0 else None)
    seen = run("cat", mnt.kv(bucket, "there"), **mnt.identity).stdout
    run("sh", "-c", f"echo hello > {mnt.kv(bucket, 'here')}", **mnt.identity)
    owner = run("stat", "-c", "%u", mnt.kv(bucket, "here"), **mnt.identity).stdout
    assert seen == "from the server"
    assert kv.get(bucket, "here") == b"hello\n"
    assert int(owner) == user
    run("fusermount3", "-u", mnt.path, **mnt.identity)
    assert mnt.wait_gone() == 0


# -- its own server ---------------------------------------------------------------------


@pytest.fixture
def embedded(mount, server_binary, tmp_path):
    """embedded(DIR) -> a mount that has a server of its own in DIR."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nats-server").symlink_to(server_binary)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"

    def start(directory=None):
        option = "--embedded" if directory is None else f"--embedded={directory}"
        mnt = mount(option, server=None, environment={"PATH": path})
        mnt.server = child_of(mnt.pid, "nats-server")
        return mnt

    return start


def url_in(mnt):
    """The URL that it printed."""
    found = wait_until(lambda: re.search(r"nats://127\.0\.0\.1:\d+", mnt.log()), "a URL is printed")
    return found.group()


def test_embedded_prints_the_url_of_its_server(embedded, tmp_path):
    mnt = embedded(tmp_path / "data")
    (mnt / "kv" / "bucket").mkdir()
    mnt.kv("bucket", "key").write_bytes(b"value")
    connection = Wire(url_in(mnt))
    assert KeyValues(connection).get("bucket", "key") == b"value"
    connection.close()


def test_embedded_has_its_data_again_the_next_time(embedded, tmp_path):
    mnt = embedded(tmp_path / "data")
    (mnt / "kv" / "bucket").mkdir()
    (mnt / "obj" / "store").mkdir()
    mnt.kv("bucket", "key").write_bytes(b"value")
    mnt.obj("store", "object").write_bytes(noise(200_000))
    assert mnt.unmount() == 0
    again = embedded(tmp_path / "data")
    assert again.kv("bucket", "key").read_bytes() == b"value"
    assert again.obj("store", "object").read_bytes() == noise(200_000)


def test_embedded_can_be_mounted_again_as_soon_as_it_is_unmounted(embedded, tmp_path):
    first = embedded(tmp_path / "data")
    (first / "kv" / "bucket").mkdir()
    run(*UNMOUNT, first.path)  # its server still runs
    assert (embedded(tmp_path / "data") / "kv" / "bucket").is_dir()
    assert first.wait_gone() == 0


def test_embedded_without_a_folder_takes_the_users_data_folder(embedded):
    mnt = embedded()
    assert (mnt.work / "data" / "jsfs").is_dir()
    assert (mnt / "kv").is_dir()


def test_the_embedded_server_stops_after_the_unmount(embedded, tmp_path):
    mnt = embedded(tmp_path / "data")
    assert mnt.unmount() == 0
    wait_process_gone(mnt.server)


def test_the_embedded_server_does_not_outlive_a_killed_jsfs(embedded, tmp_path):
    mnt = embedded(tmp_path / "data")
    mnt.kill()
    wait_process_gone(mnt.server)


def test_dirty_bytes_reach_the_embedded_server_before_it_stops(embedded, tmp_path):
    mnt = embedded(tmp_path / "data")
    (mnt / "kv" / "bucket").mkdir()
    descriptor = os.open(mnt.kv("bucket", "key"), os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"late")
    assert mnt.signal(signal.SIGTERM) == 0
    with contextlib.suppress(OSError):
        os.close(descriptor)
    assert embedded(tmp_path / "data").kv("bucket", "key").read_bytes() == b"late"


HIDE_NATS_SERVER = """
if [ -e /usr/sbin/nats-server ]; then mount --bind /dev/null /usr/sbin/nats-server; fi
PATH=/nonexistent exec "$@"
"""


def test_embedded_without_a_nats_server_is_one_line(jsfs_binary, work, tmp_path):
    """Debian's lies beside PATH and is found there too, so it is hidden from this jsfs."""
    namespace = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    done = run(*namespace, "sh", "-c", HIDE_NATS_SERVER, "sh", jsfs_binary,
               f"--embedded={tmp_path}/data", "mnt", check=False, cwd=work,
               env=environment_of(work))
    assert done.returncode in (2, FAILURE)
    assert is_one_line(done.stderr) and "nats-server" in done.stderr
    assert not is_mounted(work / "mnt")
