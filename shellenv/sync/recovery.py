"""Finishing what a sync that was cut off has left behind, on both sides.

Its journal says what it was about to put where, and what it knew to be in those places. What it did
put there is what was wished; what it moved aside and knew may go; all else is a version that nobody
has seen, and is brought back.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing

from shellenv.sync import aside, entry, place
from shellenv.sync.ledger import index, read, settled
from shellenv.sync.manifest import Journal, Manifest, Store
from shellenv.sync.remote import Place, Remote

Scan = tuple[list[bytes], int]
"""The records of a side, and when that was on its clock."""

Tell = Callable[[str], None]


def is_needed(store: Store, root: bytes, there: Place) -> bool:
    """Is there anything left of an earlier sync?"""
    return bool(there.left or store.has_journal() or os.path.lexists(root + b"/" + store.yard))


def recover(
    store: Store,
    root: bytes,
    remote: Remote,
    there: Place,
    scans: tuple[Scan, Scan],
    beside: place.Beside,
    tell: Tell,
) -> None:
    """Tidy up after an earlier sync, and write down what it achieved.

    `scans` are those of both sides as they are now; they must be made anew afterwards.
    Raises what changing either side raises; then the next sync tries again.
    """
    past = store.load() or Manifest([], [])
    journal = store.journal()
    if journal is not None and journal.sync == past.done:
        journal = None  # all of it was done
    _tidy_here(root, store.yard, journal, beside, tell)
    for sync in there.left:
        if journal is not None and sync == journal.sync:
            _tidy_there(remote, journal, beside, tell)
        elif sync != past.done:
            tell(
                f"shellenv: {remote.label}:{there.own}/was/{sync} is left of a sync that nothing "
                "is known of here; it holds what that replaced: look at it, then remove it"
            )
            continue
        aside.forget(remote, sync)
    if journal is not None:
        store.save(_achieved(past, journal, scans))
    store.forget_journal()


def _achieved(past: Manifest, journal: Journal, scans: tuple[Scan, Scan]) -> Manifest:
    """The past, with what the journal's sync did bring to its place."""
    sides = []
    names = frozenset({*journal.pushed, *journal.pulled})
    was = (index(past.here, names), index(past.there, names))
    now = (index(scans[0][0], names), index(scans[1][0], names))
    times = (scans[0][1], scans[1][1])
    result = (set(past.here), set(past.there))
    for intents, target in ((journal.pushed, 1), (journal.pulled, 0)):
        for name, intent in intents.items():
            found, wished = read(now[target].get(name)), read(intent.new)
            if wished is None:
                if found is not None:
                    continue
                new: tuple[bytes | None, bytes | None] = (None, None)
            elif found is not None and entry.alike(wished, found):
                pair = [intent.new, intent.new]
                pair[target] = settled(now[target][name], times[target])
                new = (pair[0], pair[1])
            else:
                continue
            for side in (0, 1):
                old, record = was[side].get(name), new[side]
                if old is not None:
                    result[side].discard(old)
                if record is not None:
                    result[side].add(record)
    sides = [list(side) for side in result]
    return Manifest(sides[0], sides[1], past.time, past.done)


def _tidy_there(remote: Remote, journal: Journal, beside: place.Beside, tell: Tell) -> None:
    """Bring back what the sync moved aside there without having seen it."""
    known = {name: read(intent.old) for name, intent in journal.pushed.items()}
    deleted = frozenset(name for name, intent in journal.pushed.items() if intent.new is None)
    for new in aside.rescue(remote, journal.sync, known, deleted, beside).values():
        tell(f"shellenv: kept from an interrupted sync: {os.fsdecode(new)}")


def _tidy_here(
    root: bytes, own: bytes, journal: Journal | None, beside: place.Beside, tell: Tell
) -> None:
    """Bring back what the sync moved aside here without having seen it, and drop the rest."""
    if not os.path.lexists(root + b"/" + own):
        return
    if journal is None:
        # Only where the journal is lost: nobody can say what these are
        name = beside(b"shellenv-sync-left")
        os.rename(root + b"/" + own, root + b"/" + name)
        tell(f"shellenv: {os.fsdecode(name)} holds what an unknown sync has left here")
        return
    with closing(place.Yard(root, own, beside)) as yard:
        for name in list(yard.left(yard.inside)):
            intent = journal.pulled.get(name)
            found = yard.entry(yard.inside + b"/" + name)
            if intent is None or found is None:
                continue  # one of rsync's unfinished files
            new, old = read(intent.new), read(intent.old)
            if (new and entry.alike(new, found)) or (old and place.is_version(old, found)):
                continue
            copy = yard.keep(yard.inside + b"/" + name, name)
            tell(f"shellenv: kept from an interrupted sync: {os.fsdecode(copy)}")
        for name in list(yard.left(yard.gone)):
            intent = journal.pulled.get(name)
            old = read(intent.old) if intent else None
            found = yard.entry(yard.gone + b"/" + name)
            if old is not None and place.is_version(old, found):
                continue
            copy = yard.restore(yard.gone + b"/" + name, name)
            tell(f"shellenv: kept from an interrupted sync: {os.fsdecode(copy)}")
        yard.clear()
