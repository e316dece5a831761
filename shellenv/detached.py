"""Runs at docks whose connection was lost: they go on there, and this is how one hears of them.

While a run is at a dock there is a note `<state>/runs/<container>`: the connection, the project and
the process here that waits for it. A note whose process is gone is a run that nobody waits for. It
may still be at work; once it has ended, its output is fetched beside the note and its container is
removed. Its files come with the next sync-down.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from shellenv import connection, files, paths
from shellenv.cli import say
from shellenv.connection import Facts, Place
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.frames import Frames

if TYPE_CHECKING:
    from shellenv.engine import Engine


class Note(NamedTuple):
    """A run: its container, the connection's directory, the project's root, the process here and
    when that was started: after a reboot, its number may be another's."""

    container: str
    directory: str
    root: str
    pid: int
    started: str = ""


def write(ctx: Context, note: Note) -> None:
    """Note that a run begins. Raises ShellenvError if that cannot be written."""
    import json

    top = _top(ctx)
    if top is None:
        return
    paths.private_dir(top, ctx.uid)
    try:
        files.write_private(f"{top}/{note.container}", json.dumps(note).encode())
    except OSError as error:
        raise ShellenvError(
            f"cannot write into {top}: {error.strerror}", "check its permissions and the free space"
        ) from error


def forget(ctx: Context, container: str) -> None:
    """The run's end was seen here, or there is nothing to hear of it. Never fails."""
    with suppress(OSError):
        os.unlink(f"{_top(ctx)}/{container}")


def notes(ctx: Context, where: Place) -> list[Note]:
    """The runs over this connection that nobody waits for."""
    return [
        note for note in _all(ctx) if note.directory == where.directory and not _is_waited_for(note)
    ]


def _is_waited_for(note: Note) -> bool:
    started = connection.started(note.pid).decode()
    return connection.is_running(note.pid) and note.started in ("", started)


def tell(ctx: Context, where: Place, facts: Facts) -> None:
    """Say what has become of such runs. Never fails, and asks nobody if there are none."""
    from shellenv.engine import Engine

    for note in notes(ctx, where):
        with suppress(ShellenvError, OSError):
            _tell(ctx, Engine(facts.docker_host, 10), note, facts.moniker)


def _top(ctx: Context) -> str | None:
    base = paths.state_dir(ctx)
    return None if base is None else f"{base}/runs"


def _all(ctx: Context) -> Iterator[Note]:
    import json

    top = _top(ctx)
    try:
        names = sorted(os.listdir(top)) if top else []
    except OSError:
        names = []
    for name in names:
        with suppress(OSError, ValueError, TypeError):
            note = Note(*json.loads(files.read_regular(f"{top}/{name}")))
            if note.container == name:
                yield note


def _tell(ctx: Context, engine: Engine, note: Note, moniker: str) -> None:
    found = engine.get(f"/containers/{note.container}/json")
    name, what = note.container, f"shellenv: {note.container}, whose connection was lost,"
    if found is None:
        say(f"{what} is not there any more")
        forget(ctx, name)
        return
    if found["State"]["Running"]:
        say(f"{what} still runs at {moniker}", f"there: docker logs -f {name}, docker rm -f {name}")
        return
    if found["State"]["Status"] == "created":
        say(f"{what} had not begun")
        engine.delete(f"/containers/{name}", force="1", v="1")
        forget(ctx, name)
        return
    what += f" has ended with status {found['State']['ExitCode']}"
    files_come = f"its files come with sync-down in {paths.tilde(ctx, note.root)}"
    try:
        saved = _save(ctx, engine, note, bool(found["Config"]["Tty"]))
    except OSError as error:
        say(
            what,
            f"its output is still at {moniker}, as {paths.tilde(ctx, str(_top(ctx)))} cannot be "
            f"written to: {error.strerror}; {files_come}",
        )
        return
    output = " and ".join(paths.tilde(ctx, path) for path in saved)
    say(what, f"its output is in {output}; {files_come}")  # first, as we may be killed
    engine.delete(f"/containers/{name}", force="1", v="1")
    forget(ctx, name)


def _save(ctx: Context, engine: Engine, note: Note, tty: bool) -> list[str]:
    """Keep what it has written to stdout and to stderr: the files."""
    query = {"stdout": "1", "stderr": "1"}
    body = engine.call("GET", f"/containers/{note.container}/logs", query).body
    outputs = {1: body, 2: b""} if tty else _separated(body)
    saved = []
    for number, ending in ((1, "out"), (2, "err")):
        if outputs[number] or number == 1:
            path = f"{_top(ctx)}/{note.container}.{ending}"
            files.write_private(path, outputs[number])
            saved.append(path)
    return saved


def _separated(body: bytes) -> dict[int, bytes]:
    """What of it was written to stdout (1), and what to stderr (2)."""
    parts = Frames().take(memoryview(body))
    return {number: b"".join(part for to, part in parts if to == number) for number in (1, 2)}
