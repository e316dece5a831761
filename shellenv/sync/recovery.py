"""Finishing what a sync that was cut off has left behind, on both sides.

Its journal says what it was about to put where, and what it knew to be in those places. What it did
put there is what was wished; what it moved aside and knew may go; all else is a version that nobody
has seen, and is brought back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial

from shellenv.sync import aside, compare, contents, entry
from shellenv.sync.ledger import index, settled
from shellenv.sync.manifest import Intent, Journal, Manifest, Store, after
from shellenv.sync.remote import Place, Remote
from shellenv.sync.yard import Beside, Yard

Scan = tuple[list[bytes], int]
"""The records of a side, and when that was on its clock."""

Tell = Callable[[str], None]


def is_needed(store: Store, root: bytes, there: Place) -> bool:
    """Is there anything left of an earlier sync?"""
    return bool(
        there.left
        or store.has_journal()
        or store.is_prepared
        or os.path.lexists(root + b"/" + store.yard)
    )


def recover(
    store: Store,
    root: bytes,
    remote: Remote,
    there: Place,
    scans: tuple[Scan, Scan],
    beside: Beside,
    tell: Tell,
) -> None:
    """Tidy up after an earlier sync, and write down what it achieved.

    `scans` are those of both sides as they are now; they must be made anew afterwards.
    Raises what changing either side raises; then the next sync tries again.
    """
    if store.is_prepared:
        # by a first sync, before it put `new` in its place there; by others, at the very end
        store.withdraw() if there.begun else store.commit()
    past = store.load() or Manifest([], [])
    journal = store.journal()
    if journal is not None and journal.sync in past.done.split():
        journal = None  # all of it was done
    _tidy_here(root, store.yard, journal, beside, tell)
    # what the journal's sync moved aside is looked for also where the list of these fails
    for sync in dict.fromkeys([*([journal.sync] if journal else []), *there.left]):
        if journal is not None and sync == journal.sync:
            _tidy_there(remote, journal, beside, tell)
        elif sync not in past.done.split():
            tell(
                f"shellenv: {remote.label}:{there.own}/was/{sync} is left of a sync that nothing "
                "is known of here; it holds what that replaced: look at it, then remove it"
            )
            continue
        aside.forget(remote, sync)
    if journal is not None:
        _close_there(remote, journal, scans[1][0])
        _close_here(root, store.yard, journal, scans[0][0], beside)
        store.save(_achieved(past, journal, scans, root, remote))
    store.forget_journal()


def _achieved(
    past: Manifest, journal: Journal, scans: tuple[Scan, Scan], root: bytes, remote: Remote
) -> Manifest:
    """The past, with what the journal's sync did bring to its place.

    Where only size and time say so, as the file is too large to be read, the next sync looks at it
    again.
    """
    import time

    names = frozenset({*journal.pushed, *journal.pulled})
    was = (index(past.here, names), index(past.there, names))
    now = (index(scans[0][0], names), index(scans[1][0], names))
    times = (scans[0][1], scans[1][1])
    result = (set(past.here), set(past.there))
    read = _read(journal.pushed)
    # What was to be replaced has lost its second name just now; no later change can have that time
    time.sleep(entry.TICK / 1e9)
    late = remote.look(read)
    found_late = index(late.records, names)
    digests = (
        contents.read(root, _read(journal.pulled)),
        remote.look([], read=read).digests,
    )
    for intents, target in ((journal.pushed, 1), (journal.pulled, 0)):
        for name, intent in intents.items():
            found, wished = now[target].get(name), intent.new
            digest = digests[target].get(name)
            if not _is_achieved(found, intent, digest):
                old, found = was[target].get(name), found_late.get(name)
                if target == 1 and old and found and _is_as_before(found, old, intent, digest):
                    result[target].discard(old)
                    result[target].add(settled(found, late.time) or found)
                continue
            for side, past_of_side in enumerate(result):
                old, new = was[side].get(name), wished.record if wished else None
                if side == target and found:
                    new = settled(found, times[target]) if digest else entry.unsettled(found)
                if old is not None:
                    past_of_side.discard(old)
                if new is not None:
                    past_of_side.add(new)
    return Manifest(list(result[0]), list(result[1]), past.time, after(journal.sync, past.done))


def _is_as_before(found: bytes, old: bytes, intent: Intent, digest: bytes | None) -> bool:
    """Is it what it was before the sync, but for the ctime? That changes with the second name that
    a version gets before it is replaced."""
    what = entry.read(found)[1]
    if what._replace(ctime=None) != entry.read(old)[1]._replace(ctime=None):
        return False
    return bool(digest and intent.old and intent.old.is_at(what, lambda: digest))


def _is_achieved(found: bytes | None, intent: Intent, digest: bytes | None) -> bool:
    """Has the sync done what it was about to do at a path? `found` is the record there, and
    `digest` that of the file, if the sync knew what it was about to bring."""
    if found is None or intent.new is None:
        return found is None and intent.new is None
    what = entry.read(found)[1]
    if intent.new.digest or not intent.old:
        return intent.new.came_as(what, lambda: digest)
    # too large to be read: the old one may be as long and of the same time
    old = entry.read(intent.old.record)[1]
    return intent.new.came_as(what, lambda: None) and (old.inode, old.mode) != (
        what.inode,
        what.mode,
    )


def _read(intents: Mapping[bytes, Intent]) -> list[bytes]:
    """The paths at which a sync knew what it was about to bring."""
    return [name for name, intent in intents.items() if intent.new and intent.new.digest]


def _tidy_there(remote: Remote, journal: Journal, beside: Beside, tell: Tell) -> None:
    """Bring back what the sync moved aside there without having seen it."""
    for new in aside.rescue(remote, journal.sync, journal.pushed, beside).values():
        tell(f"shellenv: kept from an interrupted sync: {os.fsdecode(new)}")


def _close_there(remote: Remote, journal: Journal, records: list[bytes]) -> None:
    """Give directories there back their permissions that the sync had made writable for a moment.

    What it was to give others comes with the next sync: ours count.
    """
    closed = {path: r for path, r in journal.closed_there.items() if path not in journal.pushed}
    aside.chmod(remote, journal.sync, _opened(closed, records, 0o200))


def _close_here(
    root: bytes, own: bytes, journal: Journal, records: list[bytes], beside: Beside
) -> None:
    """The same here; and those that the sync has made, which it would have closed at its end."""
    intents = journal.pulled.items()
    made = {path: i.new.record for path, i in intents if i.new and not i.old}
    modes = _opened({**made, **journal.closed_here}, records, 0o700)
    now = index(records, modes)
    with closing(Yard(root, own, beside)) as yard:
        for path, mode in modes.items():
            intent = journal.pulled.get(path)
            if not (
                intent and intent.new and intent.new.came_as(entry.read(now[path])[1], lambda: None)
            ):
                with suppress(OSError):
                    yard.chmod(path, mode, directory=True)


def _opened(closed: Mapping[bytes, bytes], records: list[bytes], bits: int) -> dict[bytes, int]:
    """The permissions of those of these directories that have got `bits` since, and no others."""
    modes = {}
    for path, record in index(records, closed).items():
        old, new = entry.read(closed[path])[1], entry.read(record)[1]
        if old.kind == new.kind == "d" and old.mode != new.mode == old.mode | bits:
            modes[path] = old.mode
    return modes


def _tidy_here(
    root: bytes, own: bytes, journal: Journal | None, beside: Beside, tell: Tell
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
    with closing(Yard(root, own, beside)) as yard:
        for name in list(yard.left(yard.inside)):
            intent = journal.pulled.get(name)
            path = yard.inside + b"/" + name
            found = yard.entry(path)
            if found is None:
                continue
            if intent is None:
                if not _is_in_a_file(name, journal):
                    continue  # one of rsync's unfinished files
                copy = yard.keep(path, name)
                tell(f"shellenv: kept from an interrupted sync: {os.fsdecode(copy)}")
                continue
            digest = partial(yard.digest, path)
            if intent.new and intent.new.came_as(found, digest):
                continue
            if intent.old and intent.old.is_at(found, digest):
                continue
            copy = yard.keep(path, name)
            tell(f"shellenv: kept from an interrupted sync: {os.fsdecode(copy)}")
        for name in list(yard.left(yard.gone)):
            intent = journal.pulled.get(name)
            path = yard.gone + b"/" + name
            if intent and intent.old and yard.is_at(path, intent.old):
                continue
            copy = yard.restore(path, name)
            tell(f"shellenv: kept from an interrupted sync: {os.fsdecode(copy)}")
        yard.clear()


def _is_in_a_file(name: bytes, journal: Journal) -> bool:
    """Is it in a directory that somebody put in the place of a file that was to be replaced?"""
    intents = (journal.pulled.get(above) for above in compare.parents(name))
    return any(intent and intent.new and intent.new.record[:1] != b"d" for intent in intents)
