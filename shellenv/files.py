"""Reading and writing whole files, safely."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import IO

MAX_BYTES = 1 << 20
"""No file that shellenv reads is larger (1 MiB) unless by mistake."""


def read_regular(path: str) -> bytes:
    """The content of a regular file, at most `MAX_BYTES` and one more byte of it.

    Raises OSError; for a directory with EISDIR, for a pipe, socket or device with EINVAL, never
    waiting for one. Symbolic links are followed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file", path)
        chunks: list[bytes] = []
        left = MAX_BYTES + 1
        while left > 0 and (chunk := os.read(descriptor, left)):
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)
    finally:
        os.close(descriptor)


def content(path: str) -> bytes | None:
    """What `read_regular` returns; None where it raises."""
    try:
        return read_regular(path)
    except OSError:
        return None


def write_private(path: str, content: bytes) -> None:
    """Put a file that only its user can read (0600) in place, complete or not at all.

    Raises OSError; then what was there is still there.
    """
    temporary = f"{path}.{os.getpid()}.new"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(content)
        os.replace(temporary, path)
    except OSError:
        forget(temporary)
        raise


def unnamed() -> IO[bytes]:
    """A new file for reading and writing that is gone when it is closed."""
    if sys.platform != "linux":
        import tempfile  # slow to import

        return tempfile.TemporaryFile()
    return open(os.memfd_create("shellenv"), "w+b")


def forget(path: str) -> None:
    """Remove a file if it is there. Raises OSError if it stays there."""
    import contextlib

    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def lock(path: str, seconds: float) -> int | None:
    """A descriptor that holds the lock `path` until it is closed; None if another process holds it
    for `seconds`. The file is made if it is not there. Raises OSError if that cannot be."""
    import time

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + seconds
    try:
        while not _lock_now(descriptor):
            if time.monotonic() >= end:
                os.close(descriptor)
                return None
            time.sleep(0.02)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock_now(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
