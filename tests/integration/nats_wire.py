# SPDX-License-Identifier: Apache-2.0
"""A small NATS client of nothing but the standard library: what the server really holds.

It speaks the wire protocol and JetStream's JSON API and hides nothing, so that a test can
read past jsfs and write what no client library would. One thread reads; any thread may call.
"""

import base64
import itertools
import json
import os
import queue
import socket
import threading
import time
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

TIMEOUT = 30.0  # [s], of every wait for the server
BURST = 200  # publishes on the way at once; newer servers refuse far more with 429


class NoResponders(Exception):
    """Nobody listens on the subject of a request."""


class ApiError(Exception):
    """JetStream refused: its HTTP-like code, its error code, its words."""

    def __init__(self, error):
        super().__init__(f"{error.get('err_code')}: {error.get('description')}")
        self.code = error.get("code")
        self.err_code = error.get("err_code")


class Message(NamedTuple):
    """A message as it came. headers: name -> every value, in order. status: None or 3 digits."""

    subject: str
    reply: str | None
    headers: dict
    data: bytes
    status: int | None = None

    def header(self, name):
        """The last value: servers append their own behind a stored one. None without."""
        return self.headers.get(name, [None])[-1]


class Stored(NamedTuple):
    """A message as a stream holds it. time_ns: when the server stored it, since 1970."""

    subject: str
    seq: int
    headers: dict
    data: bytes
    time_ns: int

    @property
    def operation(self):
        """What it means in a KV bucket: PUT, DEL or PURGE."""
        return self.headers.get("KV-Operation", ["PUT"])[0]


class Subscription:
    """Messages of one subscription, in order. End it with close()."""

    def __init__(self, wire, sid):
        self._wire, self._sid = wire, sid
        self._queue = queue.SimpleQueue()

    def put(self, message):
        self._queue.put(message)

    def next(self, timeout=TIMEOUT):
        """The next message; TimeoutError when none comes."""
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no message within {timeout} s") from None

    def next_where(self, wanted, timeout=TIMEOUT):
        """The next message for which wanted(message) is true; drops those before it."""
        end = time.monotonic() + timeout
        while True:
            message = self.next(max(0.0, end - time.monotonic()))
            if wanted(message):
                return message

    def waiting(self):
        """Everything that came and was not taken yet."""
        messages = []
        while not self._queue.empty():
            messages.append(self._queue.get())
        return messages

    def close(self):
        self._wire.unsubscribe(self._sid)


class Wire:
    """One connection to one server."""

    def __init__(self, url, name="test-wire"):
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), TIMEOUT)
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in = self._socket.makefile("rb", 1 << 20)
        self._out_lock = threading.Lock()
        self._sinks = {}  # sid -> called with each message
        self._replies = {}  # last token of a reply subject -> called with the message
        self._pongs = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._closed = None  # why, once it is
        self.info = json.loads(self._in.readline().split(b" ", 1)[1])
        options = {"verbose": False, "pedantic": False, "lang": "test", "version": "1",
                   "headers": True, "no_responders": True, "protocol": 1, "name": name}
        self._send(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self._inbox = f"_INBOX.{os.urandom(8).hex()}."
        threading.Thread(target=self._read, daemon=True).start()
        self._subscribe(self._inbox + "*", self._answer)
        self.flush()

    @property
    def version(self):
        """The server's version as numbers, such as (2, 9, 10)."""
        return tuple(int(part) for part in self.info["version"].split("-")[0].split("."))

    # -- protocol -----------------------------------------------------------------------

    def _send(self, data):
        if self._closed:
            raise ConnectionError(self._closed)
        with self._out_lock:
            self._socket.sendall(data)

    def _read(self):
        try:
            while line := self._in.readline():
                self._take(line.rstrip(b"\r\n"))
            self._end("the server closed the connection")
        except (OSError, ValueError) as error:
            self._end(str(error))

    def _end(self, why):
        self._closed = self._closed or why
        for sink in list(self._replies.values()):
            sink(None)
        self._pongs.put(False)

    def _take(self, line):
        verb, _, rest = line.partition(b" ")
        if verb in (b"MSG", b"HMSG"):
            self._deliver(rest.decode().split(), verb == b"HMSG")
        elif verb == b"PING":
            self._send(b"PONG\r\n")
        elif verb == b"PONG":
            self._pongs.put(True)
        elif verb == b"-ERR":
            raise OSError(rest.decode())

    def _deliver(self, words, with_headers):
        total = int(words[-1])
        body = self._in.read(total + 2)[:total]
        head = int(words[-2]) if with_headers else 0
        fixed = 4 if with_headers else 3
        reply = words[2] if len(words) > fixed else None
        status, headers = _parse_headers(body[:head])
        sink = self._sinks.get(words[1])
        if sink:
            sink(Message(words[0], reply, headers, body[head:], status))

    def _answer(self, message):
        sink = self._replies.get(message.subject[len(self._inbox):])
        if sink:
            sink(message)

    def _subscribe(self, subject, sink):
        sid = str(next(self._numbers))
        self._sinks[sid] = sink
        self._send(f"SUB {subject} {sid}\r\n".encode())
        return sid

    # -- core NATS ----------------------------------------------------------------------

    def subscribe(self, subject):
        """Listen; when it returns, the server knows."""
        subscription = Subscription(self, None)
        subscription._sid = self._subscribe(subject, subscription.put)
        self.flush()
        return subscription

    def unsubscribe(self, sid):
        self._sinks.pop(sid, None)
        if not self._closed:
            self._send(f"UNSUB {sid}\r\n".encode())

    def publish(self, subject, data=b"", headers=None, reply=None):
        """Send and wait for nothing. headers: name -> value."""
        self._send(_message(subject, data, headers, reply))

    def flush(self, timeout=TIMEOUT):
        """Everything sent so far has been handled by the server."""
        self._send(b"PING\r\n")
        if not self._pongs.get(timeout=timeout):
            raise ConnectionError(self._closed)

    def request(self, subject, data=b"", headers=None, timeout=TIMEOUT):
        """Send and wait for one answer."""
        answers = queue.SimpleQueue()
        token = str(next(self._numbers))
        self._replies[token] = answers.put
        try:
            self.publish(subject, data, headers, self._inbox + token)
            answer = answers.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no answer to {subject} within {timeout} s") from None
        finally:
            del self._replies[token]
        if answer is None:
            raise ConnectionError(self._closed)
        if answer.status == 503 and not answer.data:
            raise NoResponders(subject)
        return answer

    def close(self):
        self._closed = self._closed or "closed by the test"
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the server was first
        self._socket.close()

    # -- JetStream ----------------------------------------------------------------------

    def api(self, name, body=None, timeout=TIMEOUT):
        """One request of $JS.API; what it answered. ApiError when it refused."""
        data = b"" if body is None else json.dumps(body).encode()
        answer = json.loads(self.request("$JS.API." + name, data, timeout=timeout).data)
        if "error" in answer:
            raise ApiError(answer["error"])
        return answer

    def store(self, subject, data=b"", headers=None):
        """Publish into a stream; the sequence it got. ApiError when it was refused."""
        return _acknowledged(self.request(subject, data, headers))

    def store_all(self, messages):
        """Publish many (subject, data, headers), in order; their sequences."""
        sequences = []
        messages = iter(messages)
        while burst := list(itertools.islice(messages, BURST)):
            sequences += self._store_burst(burst)
        return sequences

    def _store_burst(self, burst):
        answers = queue.SimpleQueue()
        tokens = [str(next(self._numbers)) for _ in burst]
        for token in tokens:
            self._replies[token] = answers.put
        try:
            self._send(b"".join(
                _message(subject, data, headers, self._inbox + token)
                for token, (subject, data, headers) in zip(tokens, burst)))
            found = [answers.get(timeout=TIMEOUT) for _ in burst]
        except queue.Empty:
            raise TimeoutError("not every message was acknowledged") from None
        finally:
            for token in tokens:
                del self._replies[token]
        if None in found:
            raise ConnectionError(self._closed)
        return sorted(_acknowledged(answer) for answer in found)

    def message(self, stream, **which):
        """A stored message by seq=, last_by_subj=, or seq= and next_by_subj=; None if none."""
        try:
            found = self.api(f"STREAM.MSG.GET.{stream}", which)["message"]
        except ApiError as error:
            if error.err_code == 10037:
                return None
            raise
        _, headers = _parse_headers(base64.b64decode(found.get("hdrs", "")))
        return Stored(found["subject"], found["seq"], headers,
                      base64.b64decode(found.get("data") or ""), nanoseconds(found["time"]))

    def messages(self, stream, subject):
        """Every message that the stream holds of a subject, oldest first."""
        found, seq = [], 1
        while entry := self.message(stream, seq=seq, next_by_subj=subject):
            found.append(entry)
            seq = entry.seq + 1
        return found

    def stream_info(self, stream, subjects=None):
        """STREAM.INFO; with subjects (a filter) also how many messages each of them has."""
        return self.api(f"STREAM.INFO.{stream}",
                        {"subjects_filter": subjects} if subjects else None)

    def subjects(self, stream, subject_filter=">"):
        """subject -> number of messages, of those that have any."""
        found, offset = {}, 0
        while True:
            info = self.api(f"STREAM.INFO.{stream}",
                            {"subjects_filter": subject_filter, "offset": offset})
            page = info["state"].get("subjects") or {}
            found.update(page)
            offset += len(page)
            if not page or offset >= info.get("total", 0):
                return found

    def stream_names(self):
        """The name of every stream of the account."""
        names = []
        while True:
            page = self.api("STREAM.NAMES", {"offset": len(names)})
            names += page["streams"] or []
            if not page["streams"] or len(names) >= page["total"]:
                return names

    def stream_create(self, name, **config):
        return self.api(f"STREAM.CREATE.{name}", {"name": name, **config})

    def stream_delete(self, name):
        self.api(f"STREAM.DELETE.{name}")

    def stream_purge(self, name, subject=None):
        """Remove messages, leaving no marker; how many."""
        return self.api(f"STREAM.PURGE.{name}", {"filter": subject} if subject else None)["purged"]


def nanoseconds(text):
    """RFC 3339 with up to nine decimals, as [ns since 1970]."""
    seconds, _, rest = text.rstrip("Z").partition(".")
    zone = ""
    for sign in "+-":
        if sign in rest:
            rest, _, zone = rest.partition(sign)
            zone = sign + zone
    whole = datetime.fromisoformat(seconds + (zone or "+00:00"))
    return int(whole.timestamp()) * 10**9 + int(rest.ljust(9, "0") or 0)


def _message(subject, data, headers, reply):
    subject = subject if isinstance(subject, bytes) else subject.encode()
    words = [subject] + ([reply.encode()] if reply else [])
    if not headers:
        return b"PUB %s %d\r\n%s\r\n" % (b" ".join(words), len(data), data)
    head = b"NATS/1.0\r\n"
    head += b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
    head += b"\r\n"
    sizes = (b" ".join(words), len(head), len(head) + len(data))
    return b"HPUB %s %d %d\r\n%s%s\r\n" % (*sizes, head, data)


def _parse_headers(block):
    """The status (or None) and the headers of a block that starts with NATS/1.0."""
    if not block:
        return None, {}
    first, *lines = block.decode("utf-8", "surrogateescape").split("\r\n")
    words = first.split()
    headers = {}
    if len(words) > 2:
        headers["Description"] = [" ".join(words[2:])]
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name, []).append(value.strip())
    return (int(words[1]) if len(words) > 1 else None), headers


def _acknowledged(answer):
    ack = json.loads(answer.data)
    if "error" in ack:
        raise ApiError(ack["error"])
    return ack["seq"]
