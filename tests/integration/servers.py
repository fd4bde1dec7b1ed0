# SPDX-License-Identifier: Apache-2.0
"""A real nats-server on a free loopback port: started, stopped, frozen, counted."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import urllib.request

from nats_wire import Wire
from support import wait_until

PR_SET_PDEATHSIG = 1

_unused = []  # sockets that keep ports on which nobody is to listen


class NatsServer:
    """One server; its data and its port outlive a restart.

    settings: more lines of its configuration file. jetstream: False leaves it off.
    """

    def __init__(self, binary, directory, settings="", jetstream=True):
        self.directory = directory
        self._binary = binary
        self._kept = [keep_port(), keep_port()]
        self._port, self._monitor_port = (kept.getsockname()[1] for kept in self._kept)
        self._process = None
        self._log = directory / "server.log"
        self._config = directory / "server.conf"
        self._config.write_text("\n".join([
            f"listen: 127.0.0.1:{self._port}",
            f"http: 127.0.0.1:{self._monitor_port}",
            f'jetstream {{ store_dir: "{directory}/data" }}' if jetstream else "",
            settings, ""]))

    @property
    def url(self):
        return f"nats://127.0.0.1:{self._port}"

    def start(self):
        """Start and wait until it serves."""
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "-c", str(self._config)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=_die_with_the_parent)
        wait_until(self._serves, f"{self._binary} serves; its log is {self._log}")
        return self

    def stop(self):
        """End it as an administrator does. Stopped already: nothing."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self):
        self.stop()
        self.start()

    def freeze(self):
        """It keeps its connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # every thread has stopped

    def thaw(self):
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def connect(self):
        """A wire client of this server; close it."""
        return Wire(self.url)

    def requests(self):
        """How many messages clients have sent that are not the tests' own: the mounts."""
        connections = self._ask("connz?limit=4096")["connections"]
        return sum(connection["in_msgs"] for connection in connections
                   if not connection.get("name", "").startswith("test-"))

    def _serves(self):
        assert self._process.poll() is None, f"the server ended: {self._log.read_text()[-2000:]}"
        try:
            return self._ask("healthz").get("status") == "ok"
        except OSError:
            return False

    def _ask(self, what):
        address = f"http://127.0.0.1:{self._monitor_port}/{what}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)


def keep_port():
    """A socket that has a free port and never listens: nobody is given that port as a free one,
    yet a server, which like this asks for SO_REUSEADDR, may listen on it, again and again."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept


def free_port():
    """A port on which nobody listens as long as this process runs."""
    _unused.append(keep_port())
    return _unused[-1].getsockname()[1]


def _die_with_the_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
