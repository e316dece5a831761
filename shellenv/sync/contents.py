"""What files contain. A digest says which version a file is, whatever its size and times say.

It is asked for where these do not tell, and of every file that is about to be replaced, deleted or
brought over: so that a version which somebody makes in that very moment is told from the one that
the scan saw, though it is as long and its time was put back.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Mapping

from shellenv.sync import entry, tree
from shellenv.sync.ledger import Ledger
from shellenv.sync.remote import Remote

_LARGE = 1 << 26
"""Bytes from which on a file is not read only to be sure."""

_MOST = 1 << 30
"""Bytes that are read in all on one side only to be sure, of the smallest files."""


def know(remote: Remote, root: bytes, ledger: Ledger, names: list[bytes]) -> None:
    """Read the versions that the scan saw at these paths, for the ledger's `version_here` and
    `version_there`.

    Of what is too large to be read twice, size, times and inode have to tell.
    """
    worth = [_worth(names, records) for records in (ledger.here, ledger.there)]
    here = read(root, worth[0])
    # looked at after it was read: what is the same now was the same then
    for name in worth[0]:
        if not _is_same(tree.look(root, name), ledger.scanned_here(name)):
            here[name] = entry.DOUBT
    seen = remote.look(worth[1], read=worth[1]) if worth[1] else None
    there = dict(seen.digests) if seen else {}
    found = {entry.path_of(record): record for record in seen.records} if seen else {}
    for name in worth[1]:
        if not _is_same(found.get(name), ledger.scanned_there(name)):
            there[name] = entry.DOUBT
    ledger.digests_here.update(here)
    ledger.digests_there.update(there)


def _worth(names: Iterable[bytes], records: Mapping[bytes, bytes]) -> list[bytes]:
    """The files that are worth being read."""
    files = ((entry.size_of(records[n]), n) for n in names if records.get(n, b"")[:1] == b"f")
    found, most = [], _MOST
    for size, name in sorted(files):
        most -= size
        if size >= _LARGE or most < 0:
            break
        found.append(name)
    return found


def _is_same(record: bytes | None, scanned: bytes | None) -> bool:
    if record is None or scanned is None:
        return False
    return entry.read(record) == entry.read(scanned)


def read(root: bytes, names: Iterable[bytes]) -> dict[bytes, bytes]:
    """The digests of files below `root`, as far as they can be read."""
    found = {}
    for name in names:
        digest = digest_of(root + b"/" + name)
        if digest:
            found[name] = digest
    return found


def digest_of(path: bytes, directory: int | None = None, size: int | None = None) -> bytes | None:
    """The digest of one file, `path` of a `directory`'s descriptor, or of its first `size` bytes;
    None if it is none, or cannot be read."""
    import hashlib

    digest = hashlib.sha256()
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, dir_fd=directory)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            left = sys.maxsize if size is None else size
            while chunk := os.read(descriptor, min(left, 1 << 20)):
                digest.update(chunk)
                left -= len(chunk)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return digest.hexdigest().encode()


def same(remote: Remote, root: bytes, names: list[bytes]) -> dict[bytes, bool]:
    """Whether both sides have the same bytes at these paths."""
    if not names:
        return {}
    there = remote.look([], read=names).digests
    here = read(root, names)
    return {name: name in here and here[name] == there.get(name) for name in names}
