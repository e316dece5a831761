"""`.git` goes up if it is asked for, never down, and never over what was committed there."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from shellenv.sync import compare

INDEX = b"/index"
"""The file that `git status` writes anew: it alone does not say that something was done there."""


def repository(path: bytes) -> bytes | None:
    """The `.git` that a path is in or is; None if it is in none."""
    parts = path.split(b"/")
    for number, part in enumerate(parts):
        if part.lower() == b".git":
            return b"/".join(parts[: number + 1])
    return None


def one_way(
    actions: Mapping[bytes, str], chosen: MutableMapping[bytes, str], upward: bool
) -> set[bytes]:
    """Take out of the `chosen` actions what must not happen to a `.git`.

    Nothing of it comes down, and nothing goes up where something was done there: the two together
    would be a broken repository. Returns each `.git` that is left alone for this.
    """
    changed = {
        top
        for path, action in actions.items()
        if action in _THERE and (top := repository(path)) and path != top + INDEX
    }
    for path in list(chosen):
        top = repository(path)
        if top is None:
            continue
        if chosen[path] in (compare.NOTHING, compare.ADOPT, compare.FORGET):
            continue
        if top in changed or not upward or actions[path] in compare.DOWNWARD:
            del chosen[path]
        elif chosen[path] == compare.CONFLICT:
            chosen[path] = compare.PUSH
    return changed if upward else set()


_THERE = compare.DOWNWARD | {compare.CONFLICT}
"""Actions that say that something was done there."""
