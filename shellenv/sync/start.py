"""`sync-up` and `sync-down` in their first moment.

The way to the dock takes as long as importing all that a sync needs, so it comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from shellenv import connection
from shellenv.context import Context
from shellenv.sync.channel import Channel

UNUSUAL = ("-h", "--help", "--explain", "--print")
"""Options with which there is no sync."""


def up(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv sync-up [DOCK]`: bring what changed here to the dock."""
    return _main(ctx, args, "up")


def down(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv sync-down [DOCK]`: bring what changed at the dock here."""
    return _main(ctx, args, "down")


def _main(ctx: Context, args: Sequence[str], direction: str) -> int:
    with _soon(ctx, args) as channel:
        from shellenv.sync import verbs

        return verbs.main(ctx, args, direction, channel)


def _soon(ctx: Context, args: Sequence[str]) -> AbstractContextManager[Channel | None]:
    """A channel over the connection of this shell, if there is one and a sync is likely."""
    docked = connection.docked(ctx)
    if docked is None or any(not word.startswith("-") or word.startswith(UNUSUAL) for word in args):
        return nullcontext()
    facts = connection.read(docked)
    if facts is None or not connection.is_kept(docked):
        return nullcontext()
    return Channel((*docked.ssh(), facts.moniker))
