"""Renaming without overwriting: two names exchanged, or a name that must not exist yet.

renameat2(2) of Linux and renameatx_np(2) of macOS do it in one step, so that nobody sees a moment
without the file, and nothing that appeared meanwhile is lost. Where the file system cannot, links
and plain renames come as near as possible: still nothing is overwritten.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import sys
from collections.abc import Callable

Call = Callable[[int, bytes, int, bytes, int], int]

_UNABLE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
_UNLINKABLE = (*_UNABLE, errno.EPERM, errno.EMLINK)


@functools.cache
def _rename() -> tuple[Call, int, int] | None:
    """The system's function, and its flags for `no replace` and `exchange`."""
    import ctypes

    name, flags = ("renameatx_np", (4, 2)) if sys.platform == "darwin" else ("renameat2", (1, 2))
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return None
    function.argtypes = (
        *(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint),
    )

    def call(source: int, old: bytes, target: int, new: bytes, flag: int) -> int:
        return 0 if function(source, old, target, new, flag) == 0 else ctypes.get_errno()

    return call, *flags


def place(source: int, old: bytes, target: int, new: bytes) -> None:
    """Rename `old` in the directory `source` to `new` in `target`.

    Raises FileExistsError if there is something, OSError as rename(2).
    """
    found = _rename()
    if found is not None:
        call, exclusive, _ = found
        failed = call(source, old, target, new, exclusive)
        if not failed:
            return
        if failed not in _UNABLE:
            raise OSError(failed, os.strerror(failed), os.fsdecode(new))
    _place(source, old, target, new)


def _place(source: int, old: bytes, target: int, new: bytes) -> None:
    try:
        os.link(old, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _UNLINKABLE:
            raise
    else:
        os.unlink(old, dir_fd=source)
        return
    # A directory, or a file system without links: something of ours takes the name, and is replaced
    if stat.S_ISDIR(os.stat(old, dir_fd=source, follow_symlinks=False).st_mode):
        os.mkdir(new, 0o700, dir_fd=target)
    else:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(new, flags, 0o600, dir_fd=target))
    os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)


def exchange(source: int, old: bytes, target: int, new: bytes, spare: Callable[[], int]) -> None:
    """Exchange `old` in the directory `source` and `new` in `target`, which both exist.

    Raises OSError as rename(2). What was at `new` is at `old` afterwards, whatever it was. Where
    the file system cannot do it in one step, it is `new` in the directory `spare` meanwhile, and
    stays there if something else has taken its place.
    """
    found = _rename()
    if found is not None:
        call, _, swap = found
        failed = call(source, old, target, new, swap)
        if not failed:
            return
        if failed not in _UNABLE:
            raise OSError(failed, os.strerror(failed), os.fsdecode(new))
    aside = spare()
    os.rename(new, new, src_dir_fd=target, dst_dir_fd=aside)
    try:
        _place(source, old, target, new)
    except OSError:
        _place(aside, new, target, new)
        raise
    os.rename(new, old, src_dir_fd=aside, dst_dir_fd=source)


FEW = 100
"""Files that are written to the disk one by one; of more the whole file system is."""


def flush(directory: int) -> None:
    """Have all of the file system that a directory is on written to the disk."""
    import ctypes

    function = getattr(ctypes.CDLL(None), "syncfs", None)
    if function is None or function(directory) != 0:
        os.sync()
