# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a server, ways to look at it past jsfs, mounts that never stay behind.

A part that is missing is a failure with a clear line, never a skip. docs/testing.md says more.
"""

import contextlib
import faulthandler
import itertools
import os
import re
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from mounts import Mount
from nats_js import NatsJs
from nats_stores import KeyValues, Objects
from servers import NatsServer

ROOT = Path(__file__).resolve().parents[2]
LIMIT = float(os.environ.get("JSFS_TEST_LIMIT", "120"))  # [s] for one test, then its mounts die

_numbers = itertools.count(1)
_mounts = []  # those of the running test
_frozen = []  # servers of the running test


@pytest.fixture(scope="session")
def server_binary():
    """The nats-server to test against: JSFS_NATS_SERVER, else that of PATH."""
    found = os.environ.get("JSFS_NATS_SERVER") or shutil.which("nats-server")
    assert found, "no nats-server: set JSFS_NATS_SERVER or install it"
    assert os.access(found, os.X_OK), f"JSFS_NATS_SERVER: cannot run {found}"
    return os.path.abspath(found)


@pytest.fixture(scope="session")
def jsfs_binary():
    """The jsfs to test: JSFS_BIN, else that of the dev preset."""
    found = Path(os.environ.get("JSFS_BIN") or ROOT / "build" / "dev" / "jsfs").absolute()
    assert os.access(found, os.X_OK), f"no jsfs at {found}: build it or set JSFS_BIN"
    return found


@pytest.fixture(scope="session")
def sanitized(jsfs_binary):
    """Whether that jsfs was built with a sanitizer, which takes its own memory and time."""
    program = jsfs_binary.read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


@pytest.fixture(scope="session")
def server(server_binary, tmp_path_factory):
    """A server that all tests share; none may stop or freeze it."""
    shared = NatsServer(server_binary, tmp_path_factory.mktemp("server")).start()
    yield shared
    shared.stop()


@pytest.fixture
def make_server(server_binary, tmp_path_factory):
    """make_server(settings="", jetstream=True) -> a started server of this test alone."""
    made = []

    def make(**options):
        directory = tmp_path_factory.mktemp("server")
        made.append(NatsServer(server_binary, directory, **options).start())
        _frozen.append(made[-1])
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def own_server(make_server):
    """A server of this test alone, to stop, freeze and restart."""
    return make_server()


@pytest.fixture(scope="session")
def wire(server):
    """The wire client of the shared server."""
    connection = server.connect()
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def kv(wire):
    """KV buckets of the shared server, past jsfs."""
    return KeyValues(wire)


@pytest.fixture(scope="session")
def objects(wire):
    """Object stores of the shared server, past jsfs."""
    return Objects(wire)


@pytest.fixture(scope="session")
def js(server):
    """nats.js on the shared server."""
    agent = NatsJs(server.url)
    yield agent
    agent.close()


@pytest.fixture
def unique(request, wire):
    """unique() -> a bucket name that nobody has, made of the test's; goes after the test."""
    stem = re.sub(r"\W", "_", request.node.name.removeprefix("test_"))[:40]
    given = []

    def make():
        given.append(f"{stem}-{next(_numbers)}")
        return given[-1]

    yield make
    for stream in wire.stream_names():
        if stream.partition("_")[2] in given:
            wire.stream_delete(stream)


@pytest.fixture
def kv_bucket(kv, unique):
    """kv_bucket(history=1, **stream config) -> the name of a new bucket."""
    return _maker(kv, unique)


@pytest.fixture
def obj_bucket(objects, unique):
    """obj_bucket(**stream config) -> the name of a new object store."""
    return _maker(objects, unique)


def _maker(stores, unique):
    def make(**config):
        name = unique()
        stores.create(name, **config)
        return name

    return make


@pytest.fixture
def mount(jsfs_binary, server, tmp_path_factory):
    """mount(*options, server=..., environment={}, config="", user=None) -> a Mount of a server.

    Unmounted after the test; that must end with exit code 0 and without a sanitizer's report.
    """
    made = []

    def make(*options, server=server, environment=None, config=None, user=None):
        work, program = tmp_path_factory.mktemp("jsfs"), jsfs_binary
        if user is not None:
            work, program = _for_user(user, jsfs_binary)
        if config is not None:
            (work / "jsfs.conf").write_text(config)
            options = (f"--config={work}/jsfs.conf", *options)
        arguments = [*options, server.url] if server else options
        made.append(Mount(program, work, arguments, environment, user))
        _mounts.append(made[-1])
        return made[-1].wait_mounted()

    yield make
    complaints = list(filter(None, (one.finish() for one in made)))
    for one in made:
        print(f"--- log of {one.path}\n{one.log()[-8000:]}")
        if one.identity:
            shutil.rmtree(one.work)
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def _for_user(user, binary):
    """A folder that a user owns and reaches, with a copy of the program in it."""
    work = Path(tempfile.mkdtemp(prefix="jsfs-user-"))
    os.chown(work, user, user)
    return work, shutil.copy(binary, work)


@pytest.fixture
def mnt(mount):
    """One mount of the shared server."""
    return mount()


@pytest.fixture(autouse=True)
def time_limit():
    """A test that hangs in a mount is freed by killing what it started, and fails."""
    late = threading.Event()

    def free():
        late.set()
        faulthandler.dump_traceback(sys.__stderr__)
        for one in _frozen:
            one.thaw()
        for one in _mounts:
            with contextlib.suppress(OSError):
                one.process.kill()

    watchdog = threading.Timer(LIMIT, free)
    watchdog.start()
    yield
    watchdog.cancel()
    _mounts.clear()
    _frozen.clear()
    assert not late.is_set(), f"the test took longer than {LIMIT} s; its mounts were killed"
