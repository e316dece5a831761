"""The records of both sides, past and present, of all paths at which something has changed."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Container, Iterable, Mapping

from shellenv.sync import compare, entry
from shellenv.sync.compare import Path
from shellenv.sync.entry import Entry, Version
from shellenv.sync.ignore import Rule, Rules
from shellenv.sync.manifest import Manifest

Records = dict[bytes, bytes]
"""Records, or digests, by path."""


class Ledger:
    """What was and what is, on both sides; and, as a sync goes on, what is from now on.

    Of each side it is given the past, and a scan: records, and when that was on the side's clock;
    `done` are the syncs that the past is from. `names` are the paths at which a side is not what it
    was, `frozen` those that are not looked at, because one side cannot read them or does not sync
    them, or they have more than `longest` bytes; the four dictionaries hold the records of `names`.
    `left_out` is what the rules leave out here. A file that changes at the very moment of the scan
    is `restless`. `digests_here` and `digests_there` are those of files that were read.
    """

    def __init__(
        self,
        past: Manifest,
        here: tuple[Iterable[bytes], int],
        there: tuple[Iterable[bytes], int],
        rules: Rules,
        longest: int = sys.maxsize,
    ) -> None:
        self.done, self._longest = past.done, longest
        self.past_here, self.past_there = set(past.here), set(past.there)
        now_here, now_there = set(here[0]), set(there[0])
        for record in now_there - self.past_there:
            entry.check(record)
        held = (_held(self.past_here, self.past_there), _held(self.past_there, self.past_here))
        emptied = (_emptied(held[0], now_here, rules), _emptied(held[1], now_there, rules))
        self.left_out = sift(self.past_here, now_here, rules)
        gone = {**self.left_out, **sift(self.past_there, now_there, rules)}
        for side in (self.past_here, self.past_there, now_here, now_there) if gone else ():
            side.difference_update(index(side, gone.keys()).values())
        differing = (self.past_here ^ now_here) | (self.past_there ^ now_there)
        self.names = {entry.path_of(record) for record in differing} | {*emptied[0], *emptied[1]}
        sides = (self.past_here, self.past_there, now_here, now_there)
        found = [index(side, self.names) if self.names else {} for side in sides]
        self.was_here, self.was_there, self.here, self.there = found
        # what could not be deleted on one side counts as just deleted on the other
        self.was_here.update(emptied[1])
        self.was_there.update(emptied[0])
        self.empty_here, self.empty_there = not now_here, not now_there
        self.digests_here: Records = {}
        self.digests_there: Records = {}
        self._restless_here = recent(self.here, here[1])
        self._restless_there = recent(self.there, there[1])

    @functools.cached_property
    def frozen(self) -> set[bytes]:
        """The names that are not looked at."""
        closed = {
            path
            for side in (self.here, self.there)
            for path, record in side.items()
            if record[:1] in b"sx" or len(path) > self._longest
        }
        if not closed:
            return closed
        return {
            name
            for name in self.names
            if name in closed or any(above in closed for above in compare.parents(name))
        }

    @functools.cached_property
    def paths(self) -> dict[bytes, Path]:
        """What is known about each name that is looked at."""
        return {
            name: Path(
                read(self.was_here.get(name)),
                read(self.here.get(name)),
                read(self.was_there.get(name)),
                read(self.there.get(name)),
            )
            for name in self.names - self.frozen
        }

    # --- files that change right now --------------------------------------------------------------

    @property
    def restless(self) -> tuple[list[bytes], list[bytes]]:
        """The files, here and there, that changed so shortly before the scan that a later change
        could leave no trace in their times."""
        return sorted(self._restless_here), sorted(self._restless_there)

    def look_again(self, here: tuple[Records, int], there: tuple[Records, int]) -> None:
        """Take these records of `restless` files, from a little later, and when that was."""
        for side, names, (records, at) in (
            (self.here, self._restless_here, here),
            (self.there, self._restless_there, there),
        ):
            for name in names:
                side.pop(name)
                if name in records:
                    side[name] = records[name]
            names &= recent(records, at)

    def scanned_here(self, name: bytes) -> bytes | None:
        """The record of the scan here, to be kept."""
        record = self.here.get(name)
        return entry.unsettled(record) if record and name in self._restless_here else record

    def scanned_there(self, name: bytes) -> bytes | None:
        """The record of the scan there, to be kept."""
        record = self.there.get(name)
        return entry.unsettled(record) if record and name in self._restless_there else record

    def version_here(self, name: bytes) -> Version | None:
        """What is known of the version that the scan here saw at a path; None if there was none."""
        record = self.scanned_here(name)
        return Version(record, self.digests_here.get(name, b"")) if record else None

    def version_there(self, name: bytes) -> Version | None:
        """What is known of the version that the scan there saw at a path; None if there was
        none."""
        record = self.scanned_there(name)
        return Version(record, self.digests_there.get(name, b"")) if record else None

    def directories_there(self, names: set[bytes]) -> Records:
        """The records of the scan there of those of these paths that are directories."""
        past = (record for record in self.past_there if record[:1] == b"d")
        found = {name: self.there[name] for name in names & self.there.keys()}
        found.update(index(past, names - self.names))
        return {name: record for name, record in found.items() if record[:1] == b"d"}

    # --- what is from now on ----------------------------------------------------------------------

    def settle(self, name: bytes, here: bytes | None, there: bytes | None) -> None:
        """From now on, these are the records of `name` that the next sync compares with."""
        for past, was, record in (
            (self.past_here, self.was_here, here),
            (self.past_there, self.was_there, there),
        ):
            old = was.pop(name, None)
            if old is not None:
                past.discard(old)
            if record is not None:
                past.add(record)
                was[name] = record

    def settle_scanned(self, actions: Mapping[bytes, str], *kinds: str) -> None:
        """From now on, the paths whose action is one of these are as the scans saw them."""
        for name, action in actions.items():
            if action in kinds:
                self.settle(name, self.scanned_here(name), self.scanned_there(name))

    def forget(self, actions: Mapping[bytes, str]) -> None:
        """From now on, nothing is at the paths that are to be forgotten: what was in a directory
        has moved with that."""
        for name, action in actions.items():
            if action == compare.FORGET:
                self.settle(name, None, None)

    def came(self, record: bytes, at: int) -> bytes:
        """Something new is there at the time `at`, of which the scan could not know: its path."""
        name, what = entry.read(record)
        self.there[name] = record
        self._restless_there |= recent({name: record}, at)
        self.paths[name] = Path(None, None, None, what)
        return name

    def manifest(self, time: str, done: str) -> Manifest:
        """What is to be kept of it."""
        return Manifest(list(self.past_here), list(self.past_there), time, done)


def _held(past: set[bytes], other: set[bytes]) -> Records:
    """The directories of a side that the other has not, by path: there was something in them that
    is not synced when they were to be deleted."""
    own = {record for record in past if record[:1] == b"d"} - other
    if not own:
        return {}
    theirs = {entry.path_of(record) for record in other if record[:1] == b"d"}
    return {path: record for record in own if (path := entry.path_of(record)) not in theirs}


def _emptied(held: Records, now: set[bytes], rules: Rules) -> Records:
    """Those of `held` that are as they were, with nothing in them by now but others of these."""
    if not held:
        return {}
    inside = Counter(entry.path_of(record).rpartition(b"/")[0] for record in now)
    found = {}
    for path, own in sorted(held.items(), reverse=True):  # what is inside comes first
        if own in now and not inside[path] and rules.rule(path, True) is None:
            found[path] = own
            inside[path.rpartition(b"/")[0]] -= 1
    return found


def sift(past: set[bytes], now: set[bytes], rules: Rules) -> dict[bytes, Rule]:
    """The paths that the rules leave out, and by which rule each.

    The past holds nothing that was left out, so only what differs from it is looked at. What is in
    the past and is not looked at any more was not deleted: a new rule leaves it out.
    """
    new = now - past
    if rules.all_pruned:
        new = {record for record in new if record[:1] == b"p"}
    return {
        path: rule
        for record in (*(past - now), *new)
        if (rule := rules.rule(path := entry.path_of(record), record[:1] in b"dxp"))
    }


def recent(records: Records, at: int) -> set[bytes]:
    """The paths of the files that had just been changed at the time of the scan."""
    return {name for name, record in records.items() if entry.is_recent(entry.read(record)[1], at)}


def settled(record: bytes | None, at: int) -> bytes | None:
    """A record of a scan at the time `at`, to be kept: such that a change which left no trace in
    the times (it was too soon after another) has the file looked at again."""
    if record is None or not entry.is_recent(entry.read(record)[1], at):
        return record
    return entry.unsettled(record)


def index(records: Iterable[bytes], names: Container[bytes]) -> Records:
    """The records of these paths, by path."""
    path_of = entry.path_of
    return {path: record for record in records if (path := path_of(record)) in names}


def read(record: bytes | None) -> Entry | None:
    """A record, read; None if there is none."""
    return None if record is None else entry.read(record)[1]
