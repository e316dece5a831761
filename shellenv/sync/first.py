"""The first sync of a project: all of it goes up, into a directory that is then put in place.

Nothing is there that could be replaced, so rsync may walk the tree by itself, twice as fast as by a
list of paths; and nothing is half there if it is cut off: the next one goes on. Nobody else changes
anything in that directory, so what is in it before it is put in place is what we have brought.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shellenv.errors import ShellenvError
from shellenv.sync import entry, transfer
from shellenv.sync.ignore import Rule, Rules
from shellenv.sync.ledger import sift
from shellenv.sync.manifest import Manifest, Store
from shellenv.sync.mover import Mover
from shellenv.sync.remote import FLUSH, LostError, Place, Remote, nanoseconds
from shellenv.sync.wish import Wish


class Load(NamedTuple):
    """What goes up, as records; what is left out, by which rule; and what is never synced.

    `excluded` are the paths that rsync must be told: those that no pattern of its says. `size` is
    the bytes of all, `largest` those of the largest.
    """

    records: list[bytes]
    left_out: dict[bytes, Rule]
    special: list[bytes]
    excluded: list[bytes]
    size: int
    largest: int

    @property
    def is_worth_it(self) -> bool:
        """Is it faster to let rsync walk the tree than to give it a list of paths, or is there
        something so large that it should go on where it was cut off?"""
        much = len(self.records) >= _MANY or self.largest >= transfer.LARGE
        return much and len(self.excluded) <= _MANY


def load(scan: list[bytes], rules: Rules) -> Load:
    """What a first sync is to bring of what a scan has found."""
    odd = [record for record in scan if record[0] not in b"fld"]
    left_out = sift(set(), set(odd if rules.all_pruned else scan), rules)
    records = [record for record in scan if record[0] in b"fld"] if odd else scan
    special = [entry.path_of(record) for record in odd if record[0] in b"sx"]
    excluded = [
        path
        for path, rule in left_out.items()
        if not rules.is_pruned(rule) and path.rpartition(b"/")[0] not in left_out
    ]
    if excluded:
        records = [record for record in records if entry.path_of(record) not in left_out]
        special = [path for path in special if path not in left_out]
    sizes = list(map(entry.size_of, records))
    total, largest = sum(sizes), max(sizes, default=0)
    return Load(records, left_out, special, [*special, *excluded], total, largest)


class Arrived(NamedTuple):
    """What has come of it: the records of both sides that are to be kept, and paths.

    What was changed here while it was sent has the record from there on both sides: the next sync
    finds that it was changed here, and only here.
    """

    here: list[bytes]
    there: list[bytes]
    done: list[bytes]
    failed: list[bytes]


def bring(
    load: Load, at: int, wish: Wish, there: Place, remote: Remote, mover: Mover
) -> Arrived | None:
    """Bring it all into `new`, where it waits to be kept; `at` is the time of the scan here.

    None if that cannot be; then nothing of it is left. Raises ShellenvError if the connection is
    lost, and what `Mover.run` raises; then the next sync goes on.
    """
    ours: dict[bytes, bytes] = {}

    def index() -> None:
        ours.update(by_name(load.records, at))

    command = transfer.push_all(
        wish.ssh,
        wish.root,
        there.own,
        mover.files,
        wish.rules.pruned,
        again=there.begun,
        sparse=load.largest >= transfer.LARGE,
        few=len(load.records) < _LOTS,
    )
    with remote.lent(LISTING) as loan:
        status = mover.run(command, transfer.excluded(load.excluded), load.size, index, loan)
    if not loan.over:
        raise mover.complaint(True) or remote.lost()
    arrived = look(remote.rest(), ours, wish.rules)
    if arrived is None or status not in transfer.ENDED:
        discard(remote)
        return None
    return arrived


def keep(remote: Remote, store: Store, result: Manifest) -> bool:
    """Put what has come in its place, and remember it. If that cannot be, nothing of it is left."""
    # not durable: it matters for a moment, if we are killed, and fsync may take long
    store.prepare(result, durable=False)
    if put_in_place(remote):
        store.commit()
        return True
    store.withdraw()
    discard(remote)
    return False


_MANY = 100
"""Paths from which on it pays to let rsync walk the tree, unless more would have to be left out."""

_LOTS = 100_000
"""Paths from which on rsync is not to list all of them before it sends the first."""


def by_name(records: Iterable[bytes], at: int) -> dict[bytes, bytes]:
    """Records of a scan at the time `at`, to be kept, by their path and target."""
    return {record.split(b" ", 6)[6]: record for record in entry.settled(records, at)}


# The pause lets no change from now on have a time of what is there
LISTING = f"""\
sleep {entry.TICK / 1e9} >/dev/null &
cd -P "$own/new" && find . -mindepth 1 {shlex.join(entry.find())} && wait && date +%s.%N
"""

# A directory that is not writable cannot be moved; the project's could take in nothing. Until so
# much is on the disk takes as long as bringing it: nobody waits for that
_IN_PLACE = f"""\
chmod u+rwx "$own/new" || exit
if [ -d "$root" ]; then rmdir "$root" 2>/dev/null || exit 3; fi
mv -T -- "$own/new" "$root" || exit
(cd "$root" && {FLUSH.format(seconds=60)}) </dev/null >/dev/null 2>&1 9>&- &
"""


def look(parts: Iterable[bytes], ours: dict[bytes, bytes], rules: Rules) -> Arrived | None:
    """See what has come of `ours`, the records here, by what `LISTING` prints there.

    None if that is not to be seen, or if something has come that is left out: it was made after
    the scan, and rsync knows only some of the rules.
    """
    here, there, done = [], [], []
    word, unwanted = b"", False
    try:
        for word in _words(parts):
            if word[:1] not in (b"f", b"l", b"d"):
                continue
            kind, mode, size, mtime, _, _, name = word.split(b" ", 6)
            our = ours.pop(name, None)
            path = name.partition(b"//")[0]
            if our is None and rules.rule(path, word[:1] == b"d") is not None:
                unwanted = True
            same = our is not None and (
                our.startswith(b"%b %b %b %b " % (kind, mode, size, mtime))
                or entry.alike(entry.read(our)[1], entry.read(word)[1])
            )
            here.append(our if our and same else entry.unsettled(word))
            there.append(word)
            done.append(path)
    except LostError:
        raise
    except (ShellenvError, ValueError):
        return None
    if unwanted:
        return None
    at = nanoseconds(word)  # the last one; only from then on can others change something there
    failed = [name.partition(b"//")[0] for name in ours]
    return Arrived(here, entry.settled(there, at), done, failed)


def put_in_place(remote: Remote) -> bool:
    """Make what has come the project's directory there, in one step. False if that cannot be, as
    when something is there by now."""
    try:
        remote.run(_IN_PLACE)
    except LostError:
        raise
    except ShellenvError:
        return False
    return True


def discard(remote: Remote) -> None:
    """Remove what has come."""
    remote.run('chmod -R u+rwx "$own/new"; rm -rf -- "$own/new"')


def _words(parts: Iterable[bytes]) -> Iterator[bytes]:
    """What is between NULs, as it comes."""
    begun = b""
    for part in parts:
        *words, begun = (begun + part).split(b"\0")
        yield from words
    yield begun
