# SPDX-License-Identifier: Apache-2.0
"""inotify(7) over ctypes: watches, and the events that the kernel tells."""

import contextlib
import ctypes
import os
import select
import struct
import time

MASKS = {0x2: "MODIFY", 0x4: "ATTRIB", 0x8: "CLOSE_WRITE", 0x10: "CLOSE_NOWRITE", 0x20: "OPEN",
         0x40: "MOVED_FROM", 0x80: "MOVED_TO", 0x100: "CREATE", 0x200: "DELETE",
         0x400: "DELETE_SELF", 0x800: "MOVE_SELF", 0x2000: "UNMOUNT", 0x4000: "OVERFLOW",
         0x8000: "IGNORED"}
ISDIR = 0x40000000
ALL = 0xfff & ~(0x1 | 0x10)  # not ACCESS, not CLOSE_NOWRITE
HEADER = struct.Struct("iIII")

_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """One inotify instance; seen: every event so far as (watched path, name, what)."""

    def __init__(self, *paths, mask=ALL):
        self.descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.descriptor >= 0, os.strerror(ctypes.get_errno())
        self.seen = []
        self._mask = mask
        self._paths = {}
        for path in paths:
            self.add(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def add(self, path):
        watch = _libc.inotify_add_watch(self.descriptor, os.fsencode(path), self._mask)
        if watch < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", str(path))
        self._paths[watch] = str(path)

    def read(self):
        """Take what is there into seen; all of it."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.descriptor, 65536)
            while data:
                watch, mask, _, length = HEADER.unpack_from(data)
                name = data[HEADER.size:HEADER.size + length].rstrip(b"\0").decode()
                data = data[HEADER.size + length:]
                what = "|".join(text for bit, text in MASKS.items() if mask & bit)
                what += "|ISDIR" if mask & ISDIR else ""
                self.seen.append((self._paths.get(watch), name, what))
        return self.seen

    def names(self, *what):
        """The names of the events of these kinds, in order."""
        return [name for _, name, kind in self.read() if kind in what]

    def kinds(self, name=""):
        """The kinds of events that a name has had, in order."""
        return [kind for _, seen, kind in self.read() if seen == name]

    def quiet(self, seconds):
        """Whether nothing comes for so long."""
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        return not ready

    def settle(self, seconds=1.0, limit=20.0):
        """Wait until nothing has come for so long; everything that was seen."""
        end = time.monotonic() + limit
        while not self.quiet(seconds):
            self.read()
            assert time.monotonic() < end, f"events without an end: {self.seen[-10:]}"
        return self.read()
