"""The cache of rendered snippets, at paths that a shell can compute by concatenation.

`<cache>/snippets/<shell><key>/.snippet` is what the shell sources when it enters `key`; beside it
stands a directory with one empty *stamp* per watched file, with that file's modification time. A
file that is neither newer nor older than its stamp is the one that was read: `-nt` alone misses a
file that is replaced by an older one.

Everything here may be deleted at any time, and a cache that cannot be written costs only speed.
"""

from __future__ import annotations

import os
from zlib import crc32

from shellenv import paths
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.survey import PRESENT, Watch

KEEP_SECONDS = 60
"""How long stamps of an older generation stay: shells that are just reading them may go on."""


def snippet_dir(ctx: Context, shell: str, key: str) -> str | None:
    """Where the snippet for `key` is kept; None where there is no place for it."""
    cache = paths.cache_dir(ctx)
    return f"{cache}/snippets/{shell}{key}" if cache else None


def stamp(ctx: Context, directory: str | None, watch: tuple[Watch, ...]) -> str | None:
    """Keep the times of `watch`; the directory that holds them, or None if it cannot be.

    If `directory` cannot be written, a private one below $XDG_RUNTIME_DIR or /tmp serves. The name
    follows from the content, so that any number of shells may do this at once.
    """
    times = [w.mtime for w in watch if w.mtime not in (None, PRESENT)]
    generation = f"{crc32(repr(watch).encode('utf-8', 'surrogateescape')):08x}"
    runtime = ctx.env.get("XDG_RUNTIME_DIR") or "/tmp"
    spare = f"{runtime}/shellenv-{ctx.uid}"
    for base in (directory, spare):
        if base is None:
            continue
        target = f"{base}/.stamps-{generation}"
        try:
            _private(ctx, base, spare)
            os.makedirs(target, mode=0o700, exist_ok=True)
            for index, time in enumerate(times):
                _stamp(f"{target}/{index}", time or 0)
            return target
        except (OSError, ShellenvError):
            continue
    return None


def write(ctx: Context, path: str, text: str) -> bool:
    """Put `text` at `path`, whole or not at all; False if that cannot be done."""
    temporary = f"{path}.{os.getpid()}"
    try:
        _private(ctx, os.path.dirname(path), "")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(text.encode("utf-8", "surrogateescape"))
        os.replace(temporary, path)
    except (OSError, ShellenvError):
        try:
            os.unlink(temporary)
        except OSError:
            pass
        return False
    return True


def forget(directory: str, keep: str | None) -> None:
    """Delete stamps of older generations from `directory`, except `keep` and the newest ones."""
    from time import time

    try:
        names = [name for name in os.listdir(directory) if name.startswith(".stamps-")]
    except OSError:
        return
    for name in names:
        old = f"{directory}/{name}"
        try:
            if old == keep or time() - os.stat(old).st_mtime < KEEP_SECONDS:
                continue
            for entry in os.listdir(old):
                os.unlink(f"{old}/{entry}")
            os.rmdir(old)
        except OSError:
            continue


def _private(ctx: Context, directory: str, spare: str) -> None:
    """Make `directory`; the top of the cache (or `spare`) is the user's own and 0700."""
    cache = paths.cache_dir(ctx)
    top = cache if cache and directory.startswith(cache) else spare
    if top:
        paths.private_dir(top, ctx.uid)
    os.makedirs(directory, mode=0o700, exist_ok=True)


def _stamp(path: str, time: int) -> None:
    """An empty file with the modification time `time` (ns); OSError if the time is not kept."""
    try:
        if os.stat(path).st_mtime_ns == time:
            return
    except OSError:
        pass
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    os.utime(path, ns=(time, time))
    if os.stat(path).st_mtime_ns != time:
        raise OSError(f"{path}: this file system keeps coarser times")
