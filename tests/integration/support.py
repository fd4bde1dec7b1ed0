# SPDX-License-Identifier: Apache-2.0
"""Small things that every test uses: waiting, running programs, bytes to compare."""

import contextlib
import errno
import os
import random
import subprocess
import time

PATIENCE = 30.0  # [s]; an upper bound for what should be at once, never a measurement


def wait_until(predicate, what, timeout=PATIENCE):
    """Call predicate until it gives something true; that. Says what it waited for."""
    end = time.monotonic() + timeout
    pause = 0.001
    while True:
        found = predicate()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}; last seen: {found!r}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def run(*command, timeout=60, check=True, **options):
    """Run a program and keep what it says; AssertionError when it fails."""
    done = subprocess.run([str(word) for word in command], timeout=timeout, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options)
    if check:
        assert done.returncode == 0, f"{command}: exit {done.returncode}: {done.stderr}"
    return done


def shell(script, directory, **options):
    """Run a line of shell in a directory."""
    return run("sh", "-c", script, cwd=directory, **options)


@contextlib.contextmanager
def refused(*numbers):
    """The block must fail with one of these errnos."""
    names = "/".join(errno.errorcode[number] for number in numbers)
    try:
        yield
    except OSError as error:
        seen = errno.errorcode.get(error.errno, error.errno)
        assert error.errno in numbers, f"wanted {names}, got {seen}"
    else:
        raise AssertionError(f"wanted {names}, but it succeeded")


def noise(size, seed=0):
    """Bytes that differ everywhere, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def write_file(path, data):
    """Make or replace a file; the error of close(2) is this call's."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view[: 1 << 20]):]
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        raise
    os.close(descriptor)


def walk(top):
    """Every file below a directory, as sorted paths relative to it."""
    found = []
    for directory, _, names in os.walk(top, onerror=_raise):
        found += [os.path.relpath(os.path.join(directory, name), top) for name in names]
    return sorted(found)


def _raise(error):
    raise error


def path_of(raw):
    """The path of a raw name (text) in its bucket; written from the design, not from jsfs."""
    parts = []
    for number, part in enumerate(raw.split("/")):
        text = part.replace("%", "%25").replace("\0", "%00")
        if part in ("", ".", ".."):
            text = {"": "%", ".": "%2E", "..": "%2E%2E"}[part]
        elif part.startswith("@"):
            text = "%40" + text[1:]
        elif part == ".jsfs" and number == 0:
            text = "%2Ejsfs"
        parts.append(text)
    return "/".join(parts)


def content(path):
    """The bytes of a file now; None when it is not there or has just changed."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE, errno.ENOTDIR, errno.EISDIR):
            return None
        raise
