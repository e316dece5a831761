"""The cache of rendered snippets, at paths that a shell can compute by concatenation.

`<cache>/snippets/<shell><key>/.snippet` is what the shell sources when it enters `key`. For each it
needs a directory `<cache>/stamps/<generation>`, with one empty *stamp* per watched file that has
that file's modification time. A file that is neither newer nor older than its stamp is the one that
was read: `-nt` alone misses a file that is replaced by an older one.

Everything here may be deleted at any time, and a cache that cannot be written costs only speed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple
from zlib import adler32, crc32

from shellenv import files, paths
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.survey import PRESENT, Watch

KEEP_NUMBER, KEEP_DAYS = 1000, 30
"""Stamps are swept when there are more than this many, and then only those older than this."""


class Stamps(NamedTuple):
    """Where the times of a watch list are kept; None if that cannot be. `problem` says why that
    is not in the cache, and is "" if it is, or if there is no home directory to have one in."""

    directory: str | None
    problem: str


def stamp(ctx: Context, watch: tuple[Watch, ...]) -> Stamps:
    """Keep the times of `watch`.

    If the cache cannot be written, a private directory below $XDG_RUNTIME_DIR or /tmp serves. The
    name follows from the content, so that any number of shells may do this at once.
    """
    problem = ""
    times = [w.mtime for w in watch if w.mtime not in (None, PRESENT)]
    text = repr(watch).encode("utf-8", "surrogateescape")
    generation = f"{crc32(text):08x}{adler32(text):08x}"
    cache = paths.cache_dir(ctx)
    runtime = ctx.env.get("XDG_RUNTIME_DIR", "")
    spare = [f"{place}/shellenv-{ctx.uid}" for place in (runtime, "/tmp") if place.startswith("/")]
    for top in (*([cache] if cache else []), *spare):
        target = f"{top}/stamps/{generation}"
        try:
            paths.private_dir(top, ctx.uid, follow=top == cache)
            try:
                _stamps(target, times)
            except OSError:
                _clear(target)  # what is there is damaged
                _stamps(target, times)
            return Stamps(target, problem)
        except (OSError, ShellenvError) as error:
            problem = problem or _reason(error, target)
    return Stamps(None, problem)


def write(ctx: Context, path: str, text: str) -> str:
    """Put `text` at `path` in the cache, whole or not at all; why not, "" if it was done."""
    cache = paths.cache_dir(ctx)
    try:
        if cache is not None:
            paths.private_dir(cache, ctx.uid)
            paths.make_private(os.path.dirname(path))
            files.write_private(path, text.encode("utf-8", "surrogateescape"))
    except (OSError, ShellenvError) as error:
        return _reason(error, path)
    return ""


def _reason(error: OSError | ShellenvError, path: str) -> str:
    return (
        error.message
        if isinstance(error, ShellenvError)
        else f"cannot write {error.filename or path}: {error.strerror}"
    )


def forget_unused(ctx: Context) -> None:
    """Delete the stamps that were made more than `KEEP_DAYS` ago, if there are many."""
    from time import time

    cache = paths.cache_dir(ctx)
    if cache is None:
        return
    try:
        names = os.listdir(f"{cache}/stamps")
    except OSError:
        return
    for name in names if len(names) > KEEP_NUMBER else ():
        old = f"{cache}/stamps/{name}"
        try:
            if time() - os.stat(old).st_mtime < KEEP_DAYS * 86400:
                continue
            for entry in os.listdir(old):
                os.unlink(f"{old}/{entry}")
            os.rmdir(old)
        except OSError:
            continue


def _clear(path: str) -> None:
    """Remove whatever is at `path`; it stays where that cannot be done."""
    import shutil
    from contextlib import suppress

    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        os.unlink(path)


def _stamps(directory: str, times: Iterable[int | None]) -> None:
    paths.make_private(directory)
    for index, time in enumerate(times):
        _stamp(f"{directory}/{index}", time or 0)


def _stamp(path: str, time: int) -> None:
    """An empty file with the modification time `time` (ns); OSError if the time is not kept."""
    try:
        if os.stat(path).st_mtime_ns == time:
            return
    except OSError:
        pass
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o600))  # no pipe waits
    os.utime(path, ns=(time, time))
    if os.stat(path).st_mtime_ns != time:
        raise OSError(0, "this file system keeps coarser times", path)
