"""Changing the far side: what is in the way moves aside, rsync brings ours beside the project, from
where it moves to its place, and all is looked at again afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from shellenv.errors import ShellenvError
from shellenv.sync import aside, compare, contents, entry, tree
from shellenv.sync.entry import Version
from shellenv.sync.ledger import Ledger, read, settled
from shellenv.sync.manifest import Intent
from shellenv.sync.remote import Remote
from shellenv.sync.yard import Beside


class Sent:
    """What has become of it: `done` is there as it is here, `deleted` is gone there, `failed` is
    neither, `rescued` names the copies of versions that nobody had seen, `problem` is why something
    failed, where that is known."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.deleted: list[bytes] = []
        self.failed: list[bytes] = []
        self.rescued: dict[bytes, bytes] = {}
        self.problem: ShellenvError | None = None


def make_room(
    remote: Remote,
    sync: str,
    ledger: Ledger,
    pushed: list[bytes],
    deletions: list[bytes],
    copies: Mapping[bytes, bytes],
) -> None:
    """Move aside what is to go and what is in the way of `pushed`; give conflicts their names."""
    aside.rename(remote, sync, copies)
    files, directories = [], []
    for name in [*deletions, *(name for name in pushed if name not in copies)]:
        there, here = ledger.there.get(name, b" ")[:1], ledger.here.get(name, b" ")[:1]
        if there == b"d" and here != b"d":
            directories.append(name)
        elif there in b"fl" and here in b" d":
            files.append(name)
    aside.set_aside(remote, sync, files)
    aside.remove_directories(remote, sync, directories)


def arrival(
    root: bytes, ledger: Ledger, pushed: list[bytes], copies: Mapping[bytes, bytes]
) -> aside.Arrival:
    """How `pushed` are to go to their places, if all of them come."""
    above = {above for name in pushed for above in compare.parents(name)}.difference(pushed)
    modes = {name: found.mode for name in above if (found := read(tree.look(root, name)))}
    came = aside.Arrival(modes, {}, {}, [], [])
    for name in pushed:
        here = entry.read(ledger.here[name])[1]
        there = b" " if name in copies else ledger.there.get(name, b" ")[:1]
        if here.kind == "d":
            (came.modes if there == b"d" else came.directories)[name] = here.mode
        else:
            (came.replaced if there in b"fl" else came.new).append(name)
    return came


def came_whole(
    remote: Remote, root: bytes, ledger: Ledger, came: aside.Arrival, left: bool
) -> aside.Arrival:
    """The part of it that has come, where rsync says that not all has. `left`: some of it may be
    what an earlier sync has brought, and no more than look like what is here."""
    names = [*came.new, *came.replaced]
    files = [name for name in names if left and ledger.here[name][:1] == b"f"]
    known = [name for name in files if name in ledger.digests_here]
    in_doubt = set(files).difference(known)
    seen = remote.came(names, known)
    found = {entry.path_of(record): record for record in seen.records}

    def is_whole(name: bytes) -> bool:
        if name not in found or name in in_doubt or not _is_like(root, ledger, name, found[name]):
            return False
        return not left or _is_ours(root, ledger, name, seen.digests.get(name))

    def whole(names: list[bytes]) -> list[bytes]:
        return list(filter(is_whole, names))

    return came._replace(new=whole(came.new), replaced=whole(came.replaced))


def verify(
    remote: Remote, root: bytes, ledger: Ledger, pushed: list[bytes], deletions: list[bytes]
) -> Sent:
    """See what there is now, and write it down."""
    import os
    import time

    sent = Sent()
    if not pushed and not deletions:
        return sent
    time.sleep(entry.TICK / 1e9)  # so that no later change can have these times
    read = [name for name in pushed if name in ledger.digests_here]
    names = [*pushed, *deletions]
    above = {directory for name in names for directory in compare.parents(name)}
    records, now, digests = remote.look([*above.union(names)], read=read, durably=True)
    found = {entry.path_of(record): record for record in records}
    for name in names:  # what is seen through a link is somewhere else
        if any(found.get(directory, b"")[:1] == b"l" for directory in compare.parents(name)):
            found.pop(name, None)
    arrived = {n for n in pushed if n in found and _arrived(root, ledger, n, found[n])}
    other = {n for n in arrived if not _is_ours(root, ledger, n, digests.get(n))}
    if other:  # somebody has written to it already; or made it, and ours still waits
        arrived -= set(map(entry.path_of, remote.came([*other]).records))
    odd = {name: found[name] for name in pushed if name in found and name not in arrived}
    begun = _begun(remote, root, ledger, odd)
    for name in pushed:
        record = found.get(name)
        if record is not None and name in begun:
            (sent.failed if _is_half(root, ledger, name, record) else sent.done).append(name)
            # as if it had been that on both sides: it was changed here since, and only here
            ledger.settle(name, entry.unsettled(record), settled(record, now))
        elif record is not None and name in arrived:
            sent.done.append(name)
            if name in other:
                record = entry.unsettled(record)
            ledger.settle(name, ledger.scanned_here(name), settled(record, now))
        elif tree.look(root, name) is not None:  # what is gone here was to be brought by nobody
            sent.failed.append(name)
            if record is not None and record[:1] == b"d" != ledger.here.get(name, b"d")[:1]:
                sent.problem = ShellenvError(
                    f"{os.fsdecode(name)} is a directory at the dock; what is here cannot go there",
                    "move away what it still holds there: it is not synced",
                )
    refused = _refused(remote, ledger, {n: found[n] for n in deletions if n in found})
    above = {directory for name in refused for directory in compare.parents(name)}
    for name in deletions:
        record = found.get(name)
        if name in refused:
            sent.failed.append(name)
            sent.problem = sent.problem or ShellenvError(
                f"cannot delete {os.fsdecode(name)} at {remote.label}{remote.because()}",
                "nothing is lost; the next sync tries again",
            )
        elif record is None or record[:1] != b"d" or ledger.there[name][:1] != b"d":
            sent.deleted.append(name)
            ledger.settle(name, None, None)
        elif name not in above:
            ledger.settle(name, None, record)  # something that is not synced is in it
    return sent


def _refused(remote: Remote, ledger: Ledger, found: Mapping[bytes, bytes]) -> set[bytes]:
    """Those of these paths, which were to be deleted, that the system there did not let us: files
    that are what they were, and directories that have nothing in them."""
    was = ledger.there
    directories = [name for name in found if found[name][:1] == was[name][:1] == b"d"]
    refused = remote.empty(directories) if directories else set()
    files = found.keys() - directories
    return refused.union(name for name in files if _is_untouched(was[name], found[name]))


def _arrived(root: bytes, ledger: Ledger, name: bytes, record: bytes) -> bool:
    """Is what is there now what was here, at the scan or by now? What was there before may look
    like it, and is not."""
    old = ledger.there.get(name)
    if old is not None and record[:1] == b"f" and _is_untouched(old, record):
        return False
    return _is_like(root, ledger, name, record)


def _is_like(root: bytes, ledger: Ledger, name: bytes, record: bytes) -> bool:
    """Does a record look like what was here, at the scan or by now?"""
    what, here = entry.read(record)[1], ledger.paths[name].here
    if here is not None and entry.alike(here, what):
        return True
    after = read(tree.look(root, name))
    return after is not None and entry.alike(after, what)


def _begun(remote: Remote, root: bytes, ledger: Ledger, found: Mapping[bytes, bytes]) -> set[bytes]:
    """Those of these files that are there as far as they had been written here by then: nothing is
    in them that is not here, and nobody there has cut them short.

    They have a time that they had here meanwhile. What was only copied in part to its place has
    none, and is still whole where it has come in.
    """
    files = [name for name, record in found.items() if record[:1] == b"f"]
    if not files:
        return set()
    there = remote.look([], read=files).digests
    begun = {
        name
        for name in files
        if name in there
        and there[name] == contents.digest_of(root + b"/" + name, size=entry.size_of(found[name]))
    }
    strange = [name for name in begun if not _had_its_time(root, ledger, name, found[name])]
    if strange:
        waiting = set(map(entry.path_of, remote.came(strange).records))
        begun.difference_update(name for name in strange if name not in waiting)
    return begun


def _had_its_time(root: bytes, ledger: Ledger, name: bytes, record: bytes) -> bool:
    """Is the time of what is there one that the file here may have had since the scan?"""
    after = read(tree.look(root, name))
    first = entry.read(ledger.here[name])[1].mtime
    last = after.mtime if after else first
    return entry.is_between(entry.read(record)[1].mtime, first, last)


def _is_half(root: bytes, ledger: Ledger, name: bytes, record: bytes) -> bool:
    """Does it lack some of what has been here since the scan? Where it had to be copied to its
    place, the disk may have been full."""
    lacks = entry.size_of(record) < entry.size_of(ledger.here[name])
    return lacks and read(tree.look(root, name)) == ledger.paths[name].here


def _is_untouched(old: bytes, record: bytes) -> bool:
    return Version(old).is_at(entry.read(record)[1], lambda: None)


def _is_ours(root: bytes, ledger: Ledger, name: bytes, digest: bytes | None) -> bool:
    """Is what has arrived what is here, at the scan or by now, as far as that is known?"""
    known = ledger.digests_here.get(name)
    return known is None or digest == known or digest == contents.digest_of(root + b"/" + name)


def rescue(
    remote: Remote,
    sync: str,
    ledger: Ledger,
    pushed: list[bytes],
    deletions: list[bytes],
    copies: Mapping[bytes, bytes],
    beside: Beside,
    sent: Sent,
) -> None:
    """Bring back versions that nobody had seen, as late as that can be: whoever still had a file
    open may have written to it."""
    here, there = ledger.version_here, ledger.version_there
    intents = {name: Intent(here(name), there(name)) for name in pushed}
    intents.update((name, Intent(here(name), None)) for name in copies)
    intents.update((name, Intent(None, there(name))) for name in deletions)
    names = aside.rescue(remote, sync, intents, beside)
    for name, new in names.items():
        if name != new:
            sent.rescued[name] = new
        elif name in sent.deleted:
            sent.deleted.remove(name)  # deleted here, changed there: the change wins
