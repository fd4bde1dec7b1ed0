# SPDX-License-Identifier: Apache-2.0
"""nats.js, driven from Python: one long-running agent (tests/js/agent.mjs) and its words."""

import base64
import itertools
import json
import subprocess
import threading
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
TIMEOUT = 60.0  # [s], of one request


class JsError(Exception):
    """What nats.js threw."""


class NatsJs:
    """The agent. Bytes go in and come out as bytes; `file` names a path instead."""

    def __init__(self, url):
        if not (TESTS / "node_modules").is_dir():
            raise RuntimeError("nats.js is not installed: run npm ci in tests/")
        self._process = subprocess.Popen(
            ["node", str(TESTS / "js" / "agent.mjs"), url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._numbers = itertools.count(1)

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def call(self, operation, **request):
        """One request; what it gave. JsError when nats.js threw."""
        request = {key: value for key, value in request.items() if value is not None}
        if isinstance(request.get("data"), bytes):
            request["data"] = base64.b64encode(request["data"]).decode()
        if "file" in request:
            request["file"] = str(request["file"])
        request.update(id=next(self._numbers), op=operation)
        watchdog = threading.Timer(TIMEOUT, self._process.kill)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise JsError(f"the agent ended during {operation}")
        answer = json.loads(line)
        if "error" in answer:
            raise JsError(answer["error"])
        return answer["ok"]

    # -- KV -----------------------------------------------------------------------------

    def kv_create(self, bucket, **options):
        self.call("kv.create", bucket=bucket, options=options)

    def kv_status(self, bucket):
        """What it knows of a bucket's configuration; ttl in ms."""
        return self.call("kv.status", bucket=bucket)

    def kv_destroy(self, bucket):
        self.call("kv.destroy", bucket=bucket)

    def kv_put(self, bucket, key, value):
        """Store a value; its revision."""
        return self.call("kv.put", bucket=bucket, key=key, data=value)

    def kv_get(self, bucket, key):
        """The value; None when the key does not live."""
        entry = self.call("kv.get", bucket=bucket, key=key)
        if entry is None or entry["operation"] != "PUT":
            return None
        return base64.b64decode(entry["data"])

    def kv_delete(self, bucket, key):
        self.call("kv.delete", bucket=bucket, key=key)

    def kv_purge(self, bucket, key):
        self.call("kv.purge", bucket=bucket, key=key)

    def kv_keys(self, bucket):
        return sorted(self.call("kv.keys", bucket=bucket))

    def kv_history(self, bucket, key):
        """What happened to a key, oldest first: PUT, DEL, PURGE."""
        return [entry["operation"] for entry in self.call("kv.history", bucket=bucket, key=key)]

    # -- objects ------------------------------------------------------------------------

    def obj_create(self, bucket, **options):
        self.call("obj.create", bucket=bucket, options=options)

    def obj_destroy(self, bucket):
        self.call("obj.destroy", bucket=bucket)

    def obj_put(self, bucket, name, data=None, file=None, chunk=None, latin1=None):
        """Store bytes or a file; the object's info."""
        return self.call("obj.put", bucket=bucket, name=name, data=data, file=file,
                         chunk=chunk, latin1=latin1)

    def obj_get(self, bucket, name, latin1=None):
        """The bytes, digest checked by nats.js; None when there is no such object."""
        found = self.call("obj.get", bucket=bucket, name=name, latin1=latin1)
        return None if found is None else base64.b64decode(found["data"])

    def obj_get_file(self, bucket, name, file):
        """As obj_get, into a file; the object's info."""
        return self.call("obj.get", bucket=bucket, name=name, file=file)

    def obj_info(self, bucket, name):
        return self.call("obj.info", bucket=bucket, name=name)

    def obj_delete(self, bucket, name):
        self.call("obj.delete", bucket=bucket, name=name)

    def obj_list(self, bucket):
        """The names that live, sorted."""
        return sorted(info["name"] for info in self.call("obj.list", bucket=bucket))
