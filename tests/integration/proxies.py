# SPDX-License-Identifier: Apache-2.0
"""A proxy between jsfs and its server that can lose exactly one message, or the connection.

It reads the NATS protocol in both directions, so that what is lost is a whole message.
"""

import contextlib
import socket
import threading

PASS, DROP = "pass", "drop"
CUT_BEFORE, CUT_AFTER = "cut before", "cut after"  # the connection, and the message or not


class Proxy:
    """Listens on a port of its own; `url` leads through it.

    rule(message) says what happens to each message with a payload: PASS, DROP, CUT_BEFORE or
    CUT_AFTER. It is called on the proxy's threads, one message at a time.
    """

    def __init__(self, url):
        self._target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._rule_lock = threading.Lock()
        self._sockets = set()
        self._closed = False
        self.rule = None
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"nats://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self):
        self._closed = True
        for one in [self._listener, *self._sockets]:
            hang_up(one)

    def _accept(self):
        while not self._closed:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                continue
            self._sockets |= {client, server}
            for source, sink, is_server in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._copy, args=(source, sink, is_server),
                                 daemon=True).start()

    def _copy(self, source, sink, is_server):
        with contextlib.suppress(OSError), source.makefile("rb") as stream:
            while True:
                message = Message.read(stream, is_server)
                if message is None:
                    break
                action = self._decide(message)
                if action in (PASS, CUT_AFTER):
                    sink.sendall(message.raw)
                if action in (CUT_BEFORE, CUT_AFTER):
                    break
        for one in (source, sink):
            hang_up(one)

    def _decide(self, message):
        if message.payload is None or self.rule is None:
            return PASS
        with self._rule_lock:
            return self.rule(message) if self.rule is not None else PASS


def hang_up(one):
    """What was sent still arrives, unlike with a reset."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


class Message:
    """One line of the protocol with what belongs to it."""

    def __init__(self, raw, is_server, subject=None, payload=None):
        self.raw, self.is_server = raw, is_server
        self.subject, self.payload = subject, payload

    @classmethod
    def read(cls, stream, is_server):
        line = stream.readline()
        if not line.endswith(b"\r\n"):
            return None
        words = line.split()
        if words[0].upper() not in (b"PUB", b"HPUB", b"MSG", b"HMSG"):
            return cls(line, is_server)
        payload = stream.read(int(words[-1]) + 2)
        return cls(line + payload, is_server, words[1].decode(), payload[:-2])

    def is_publish_to(self, subject):
        return not self.is_server and self.subject == subject

    def is_ack_of(self, stream):
        """A PubAck: what a stream says of one stored message."""
        return (self.is_server and self.payload.startswith(b"{") and b'"type"' not in self.payload
                and b'"stream":"%s"' % stream.encode() in self.payload.replace(b" ", b""))

    def is_stored_message(self):
        """The leader's answer to which message is the newest."""
        return self.is_server and b"stream_msg_get_response" in self.payload


def first(count, wanted, action):
    """A rule: do something to the first messages that are wanted; then everything passes."""
    left = [count]

    def rule(message):
        if left[0] == 0 or not wanted(message):
            return PASS
        left[0] -= 1
        return action

    rule.is_over = lambda: left[0] == 0
    return rule
