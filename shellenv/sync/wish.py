"""What is asked of a sync, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from shellenv.errors import ShellenvError
from shellenv.sync.ignore import Rule, Rules
from shellenv.sync.settings import Settings

UP, DOWN = "up", "down"


Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None] | None]]
"""Shows how far a transfer is: is given a name and bytes, gives what is to be told of progress."""


def unwatched(_: str, __: int) -> AbstractContextManager[None]:
    """A `Watch` that shows nothing."""
    return nullcontext()


def quietly(_: str) -> None:
    """Says nothing."""


class Wish(NamedTuple):
    """What to sync, and how: what configuration and options say."""

    root: str
    ssh: tuple[str, ...]
    remote_root: str
    name: str
    rules: Rules
    label: str = ""
    tell: Callable[[str], None] = quietly
    explain: Callable[[str], None] = quietly
    watch: Watch | None = None
    dry: bool = False
    adopt: bool = False
    restore: bool = False
    accept_empty: bool = False


def wish(
    found: Settings,
    ssh: Sequence[str],
    label: str,
    tell: Callable[[str], None] = quietly,
    explain: Callable[[str], None] = quietly,
    watch: Watch | None = None,
) -> Wish:
    """A wish by a project's settings. `ssh` are the words of a command line that runs a command at
    the dock, which is called `label`; `tell` is told what a person must know, `explain` the
    command lines."""
    words = tuple(ssh)
    place = (found.root, words, found.remote_root, found.name)
    return Wish(*place, found.rules, label, tell, explain, watch)


class EmptiedError(ShellenvError):
    """One side, which was not empty after the last sync, is: nothing was done. `other` is the side
    that would be emptied if that is meant."""

    def __init__(self, message: str, hint: str, other: str) -> None:
        super().__init__(message, hint)
        self.other = other


class Outcome(NamedTuple):
    """What a sync did. Paths are as in the project; `there` is the directory at the dock."""

    direction: str
    there: str
    sent: tuple[bytes, ...] = ()
    received: tuple[bytes, ...] = ()
    deleted_here: tuple[bytes, ...] = ()
    deleted_there: tuple[bytes, ...] = ()
    conflicts: tuple[tuple[bytes, bytes], ...] = ()
    failed: tuple[bytes, ...] = ()
    left_alone: tuple[bytes, ...] = ()
    left_out: Mapping[Rule, int] = {}
    size: int = 0
    seconds: float = 0.0
    problem: ShellenvError | None = None
    planned: tuple[tuple[bytes, str], ...] = ()

    @property
    def did_anything(self) -> bool:
        """Has it changed anything on either side, or left something undone?"""
        return bool(
            self.sent
            or self.received
            or self.deleted_here
            or self.deleted_there
            or self.conflicts
            or self.failed
            or self.problem
        )
