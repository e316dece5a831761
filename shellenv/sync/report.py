"""What a sync did, for people and for programs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shellenv.errors import ShellenvError
from shellenv.sync.wish import UP, Outcome

SHOWN = 20
"""How many paths of a kind are named; the rest is counted."""


class InterruptedSyncError(ShellenvError):
    """Ctrl-C has ended a sync."""


@contextmanager
def interruptible(direction: str) -> Iterator[None]:
    """Raise InterruptedSyncError, which says in what state things are, where Ctrl-C ends a sync."""
    try:
        yield
    except KeyboardInterrupt:
        what = f"sync-{direction} was interrupted: nothing is lost; the next one goes on from there"
        raise InterruptedSyncError(what, status=130) from None


def lines(outcome: Outcome, label: str, quiet: bool = False) -> Iterator[str]:
    """A summary, and a line for everything that a person should know of; `quiet`: only for what
    needs them."""
    if not quiet:
        yield _summary(outcome, label)
    for path, copy in outcome.conflicts[:SHOWN]:
        yield (
            f"shellenv: conflict: {os.fsdecode(path)} was changed on both sides; "
            f"theirs is {os.fsdecode(copy)}"
        )
    yield from _listed(outcome.failed, "not brought over")
    if quiet:
        return
    yield from _listed(
        outcome.left_alone,
        "left alone, on both sides (no file, unreadable, too long, or a .git changed there)",
    )
    if outcome.left_out:
        yield f"shellenv: left out: {_left_out(outcome)}"


def title(outcome: Outcome, label: str) -> str:
    """Which sync this is: its verb, and the directory at the dock."""
    way = "to" if outcome.direction == UP else "from"
    return f"sync-{outcome.direction} {way} {label}:{outcome.there}"


def _summary(outcome: Outcome, label: str) -> str:
    parts = []
    for paths, what in (
        (outcome.sent, "sent"),
        (outcome.received, "received"),
        (outcome.deleted_there, f"deleted at {label}"),
        (outcome.deleted_here, "deleted here"),
    ):
        if paths:
            parts.append(f"{len(paths)} {what}")
    if outcome.sent or outcome.received:
        parts.append(size(outcome.size))
    if outcome.conflicts:
        parts.append(_count(len(outcome.conflicts), "conflict"))
    if outcome.failed:
        parts.append(f"{len(outcome.failed)} not brought over")
    done = ", ".join(parts) or "nothing to do"
    return f"shellenv: {title(outcome, label)}: {done} ({outcome.seconds:.1f} s)"


def _listed(paths: tuple[bytes, ...], what: str) -> Iterator[str]:
    for path in paths[:SHOWN]:
        yield f"shellenv: {what}: {os.fsdecode(path)}"
    if len(paths) > SHOWN:
        yield f"shellenv: {what}: {len(paths) - SHOWN} more"


def _left_out(outcome: Outcome) -> str:
    files: Counter[str] = Counter()
    for rule, count in outcome.left_out.items():
        files[rule.origin.file] += count
    return ", ".join(f"{count} by {file}" for file, count in sorted(files.items()))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def size(count: float) -> str:
    """Bytes as people write them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def as_json(outcome: Outcome, label: str) -> str:
    """The outcome as JSON; bytes that are not UTF-8 are surrogates, as Python's `os` has them."""
    import json

    answer = {
        "direction": outcome.direction,
        "dock": label,
        "directory": outcome.there,
        "sent": _texts(outcome.sent),
        "received": _texts(outcome.received),
        "deleted_here": _texts(outcome.deleted_here),
        "deleted_there": _texts(outcome.deleted_there),
        "conflicts": [
            {"path": os.fsdecode(path), "theirs": os.fsdecode(copy)}
            for path, copy in outcome.conflicts
        ],
        "failed": _texts(outcome.failed),
        "left_alone": _texts(outcome.left_alone),
        "left_out": [
            {
                "rule": str(rule),
                "file": rule.origin.file,
                "line": rule.origin.line,
                "count": count,
            }
            for rule, count in outcome.left_out.items()
        ],
        "planned": [{"path": os.fsdecode(path), "action": what} for path, what in outcome.planned],
        "bytes": outcome.size,
        "seconds": round(outcome.seconds, 3),
        "problem": outcome.problem.message if outcome.problem else None,
    }
    return json.dumps(answer, indent=2) + "\n"


def _texts(paths: tuple[bytes, ...]) -> list[str]:
    return [os.fsdecode(path) for path in paths]
