"""Pure: what to do about each path, from what each side was and what it is.

The table `DECISIONS` is the policy: a row is what happened here, a column what happened there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from shellenv.sync.entry import Entry

SAME, MODE, CHANGED, DELETED = "same", "mode", "changed", "deleted"
"""What has happened to a path on one side since the last sync. What was created has changed.

`MODE`: only the permissions differ.
"""

NOTHING, PUSH, PULL, FORGET, CONFLICT = "nothing", "push", "pull", "forget", "conflict"
PUSH_MODE, PULL_MODE, DELETE_HERE, DELETE_THERE = (
    "push mode",
    "pull mode",
    "delete here",
    "delete there",
)
ADOPT = "adopt"
"""Both sides have the same by themselves; it is written down."""

DECISIONS: Mapping[tuple[str, str], str] = {
    # here,   there
    (SAME, SAME): NOTHING,
    (SAME, MODE): PULL_MODE,
    (SAME, CHANGED): PULL,
    (SAME, DELETED): DELETE_HERE,
    (MODE, SAME): PUSH_MODE,
    (MODE, MODE): PUSH_MODE,  # nothing is lost by it: ours counts
    (MODE, CHANGED): CONFLICT,  # was the content changed here, too? nobody can know
    (MODE, DELETED): PUSH,
    (CHANGED, SAME): PUSH,
    (CHANGED, MODE): CONFLICT,
    (CHANGED, CHANGED): CONFLICT,
    (CHANGED, DELETED): PUSH,  # the change wins
    (DELETED, SAME): DELETE_THERE,
    (DELETED, MODE): PULL,
    (DELETED, CHANGED): PULL,
    (DELETED, DELETED): FORGET,
}

UPWARD = frozenset({PUSH, PUSH_MODE, DELETE_THERE})
DOWNWARD = frozenset({PULL, PULL_MODE, DELETE_HERE})
"""What only one direction of the sync does."""

BOTH = frozenset({CONFLICT, ADOPT, FORGET, NOTHING})
"""What is done in both."""


class Path(NamedTuple):
    """All that is known about one path: its past and its present on either side."""

    was_here: Entry | None
    here: Entry | None
    was_there: Entry | None
    there: Entry | None


def change(was: Entry | None, now: Entry | None) -> str:
    """What has happened on one side. `MODE` also where only the ctime or the inode says that
    something did (a hard link, a copy put in place with its old time): `doubtful` tells these."""
    if now is None:
        return SAME if was is None else DELETED
    if was is None or was.kind != now.kind or was.target != now.target:
        return CHANGED
    if now.kind == "f":
        if (was.size, was.mtime) != (now.size, now.mtime):
            return CHANGED
        if (was.ctime, was.inode) != (now.ctime, now.inode):
            return MODE
    return SAME if was.mode == now.mode else MODE


def questions(paths: Mapping[bytes, Path]) -> Iterator[bytes]:
    """The paths at which both sides' contents must be compared before `decide` can.

    These are files whose content may have changed although size and time are equal, and files that
    both sides have changed. Contents of different sizes differ without being asked for.
    """
    for name, path in paths.items():
        here, there = path.here, path.there
        if here is None or there is None or here.kind != "f" or there.kind != "f":
            continue
        changes = (change(path.was_here, here), change(path.was_there, there))
        if here.size == there.size and (MODE in changes or changes == (CHANGED, CHANGED)):
            yield name


def decide(path: Path, equal: bool | None) -> str:
    """What to do about one path. `equal`: both contents were compared, and found equal or not."""
    here, there = path.here, path.there
    changes = change(path.was_here, here), change(path.was_there, there)
    if here is None and there is None:
        return FORGET  # also what was on one side only, as it held what is not synced
    if here is not None and there is not None and here.kind == there.kind:
        if (here.kind == "l" and here.target == there.target) or here.kind == "d":
            equal = True
        if equal:
            return _of_equals(here, there, changes)
        if here.kind == "f" and MODE in changes:
            # the contents differ, so the side in doubt has changed its own
            changes = tuple(CHANGED if what == MODE else what for what in changes)  # type: ignore[assignment]
    return DECISIONS[changes]


def _of_equals(here: Entry, there: Entry, changes: tuple[str, str]) -> str:
    """Both sides have the same content: what about the permissions, and the time?"""
    if changes == (SAME, SAME):
        return NOTHING
    if here.mode != there.mode and here.kind != "l":
        return PULL_MODE if changes[0] == SAME else PUSH_MODE
    return ADOPT


def plan(paths: Mapping[bytes, Path], equal: Callable[[bytes], bool | None]) -> dict[bytes, str]:
    """What to do about every path that is not as it was on both sides.

    Beyond the single path: a directory lives as long as something in it does, and where one side
    has put a file in the place of a directory in which the other side changed something, that is a
    conflict of the whole.
    """
    actions = {name: decide(path, equal(name)) for name, path in paths.items()}
    for name in sorted(actions):
        if actions[name] in (PUSH, PULL, CONFLICT, PUSH_MODE, PULL_MODE):
            _make_room(name, paths, actions)
    for name in sorted(actions):
        if actions.get(name) == CONFLICT:
            _whole(name, paths, actions)
    return actions


def parents(path: bytes) -> Iterator[bytes]:
    """The directories that a path is in, the innermost first, without the root."""
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def _make_room(name: bytes, paths: Mapping[bytes, Path], actions: dict[bytes, str]) -> None:
    """Let what is above `name` be a directory on both sides."""
    for above in parents(name):
        path = paths.get(above)
        if path is None:
            continue  # as it was on both sides, so a directory
        action = actions[above]
        if action == DELETE_THERE:
            actions[above] = PULL
        elif action == DELETE_HERE:
            actions[above] = PUSH
        elif path.here and path.there and path.here.kind != path.there.kind:
            # a file of one side in the place of a directory of the other, in which `name` lives on
            winner = path.there if action == PULL else path.here
            if winner.kind != "d":
                actions[above] = CONFLICT


def _whole(name: bytes, paths: Mapping[bytes, Path], actions: dict[bytes, str]) -> None:
    """A conflict at which one side is a directory: ours stays in place, theirs moves as a whole."""
    here, there = paths[name].here, paths[name].there
    if here is None or there is None or "d" not in (here.kind, there.kind):
        return
    inside = name + b"/"
    for below in [path for path in actions if path.startswith(inside)]:
        actions[below] = PUSH if paths[below].here else FORGET


class Work(NamedTuple):
    """The paths that there is something to do about. `copies` are conflicts, which are `pushed` as
    well, and the names that the versions there get."""

    copies: dict[bytes, bytes]
    pushed: list[bytes]
    pulled: list[bytes]
    delete_there: list[bytes]
    delete_here: list[bytes]


def work(actions: Mapping[bytes, str], beside: Callable[[bytes], bytes]) -> Work:
    """The paths by what is to be done; `beside` gives a free name for a conflict copy."""

    def of(*kinds: str) -> list[bytes]:
        return sorted(name for name, action in actions.items() if action in kinds)

    return Work(
        {name: beside(name) for name in of(CONFLICT)},
        of(PUSH, PUSH_MODE, CONFLICT),
        of(PULL, PULL_MODE),
        of(DELETE_THERE),
        of(DELETE_HERE),
    )
