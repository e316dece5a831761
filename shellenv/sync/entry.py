"""What a scan says about one path: one record, the same from both sides.

A record is bytes without NUL, so that a tree is a list of records and two scans are compared as
sets, without looking into what is equal:

    KIND MODE SIZE MTIME CTIME INODE PATH//TARGET

A path contains no `//`. Kinds: `f` file, `d` directory, `l` symbolic link, `s` something that is
never synced (a pipe, socket or device), `x` a directory that cannot be read, `p` something that the
rules leave out and that was not looked into. Times are nanoseconds,
or seconds with a fraction as GNU find prints them; the ctime is `?` where a later change could have
left it equal (see `unsettled`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from shellenv.errors import ShellenvError

_PRINT = (
    *("(", "-type", "f", "-printf", r"f %m %s %T@ %C@ %i %P//\0", ")", "-o"),
    *("(", "-type", "l", "-printf", r"l 777 0 0 0 0 %P//%l\0", ")", "-o"),
    *("(", "-type", "d", "("),
    *("(", "-readable", "-executable", "-printf", r"d %m 0 0 0 0 %P//\0", ")", "-o"),
    *("(", "-printf", r"x 0 0 0 0 0 %P//\0", "-prune", ")"),
    *(")", ")", "-o", "-printf", r"s 0 0 0 0 0 %P//\0"),
)


def find(pruned: Iterable[str] = ()) -> tuple[str, ...]:
    """The words behind GNU find and where it starts that print the records of all that is below,
    each with a NUL behind it.

    It does not look into what matches one of these patterns (see `ignore.Rules`).
    """
    # one expression: a fifth faster than a test for each
    parts = "|".join(map(_expression, pruned))
    if not parts:
        return _PRINT
    expression = ("-regextype", "posix-extended", "-regex", parts)
    return (*expression, "-prune", "-printf", r"p 0 0 0 0 0 %P//\0", "-o", "(", *_PRINT, ")")


def _expression(pattern: str) -> str:
    """The POSIX expression for the paths, as find has them, that a pattern matches."""
    name = pattern.removeprefix("**/")
    said = re.sub(
        r"\[.*?\]|[.*{}()+|^$]", lambda part: _SAID.get(part[0][0], f"\\{part[0]}") or part[0], name
    )
    return f"\\./{said}" if name == pattern else f".*/{said}"


_SAID = {"*": "[^/]*", "[": ""}


TICK = 20_000_000
"""Nanoseconds in which a file system may give two changes the same time (100 Hz, twice)."""

_SECOND = 1_000_000_000


class Entry(NamedTuple):
    """A record, read. `mode` is the permission bits; set-uid, set-gid and sticky do not count.

    `ctime` is None where it says nothing.
    """

    kind: str
    mode: int
    size: int
    mtime: int
    ctime: int | None
    inode: int
    target: bytes = b""


class Version(NamedTuple):
    """What tells one version of a file, link or directory from every other: its record, and the
    SHA-256 of the file if that was read, in hexadecimal digits, or `DOUBT`."""

    record: bytes
    digest: bytes = b""

    def is_at(self, found: Entry | None, digest: Digest) -> bool:
        """Is this what was found on the same side, wherever it has been moved since? (That changes
        the ctime, which therefore does not count.)"""
        own = read(self.record)[1]
        if found is None or found.kind != own.kind:
            return False
        if found.kind != "f":
            return found.target == own.target
        if self.digest:  # moved to another file system, it has become a copy
            return found.size == own.size and self._has(digest)
        return (found.inode, found.size, found.mtime) == (own.inode, own.size, own.mtime)

    def came_as(self, found: Entry | None, digest: Digest) -> bool:
        """Is what was found on the other side a copy of this?"""
        own = read(self.record)[1]
        return found is not None and alike(own, found) and (own.kind != "f" or self._has(digest))

    def _has(self, digest: Digest) -> bool:
        return not self.digest or digest() == self.digest


Digest = Callable[[], bytes | None]
"""Reads a file, and returns its digest; None if it cannot be read."""

DOUBT = b"?"
"""In the place of a digest: the version was gone before it could be read."""


_SOUND = re.compile(rb"[dflpsx] [0-7]+ \d+ -?[\d.]+ -?[\d.]+ \d+ (.+?)//", re.DOTALL)


def check(record: bytes) -> None:
    """Raise ShellenvError if that is no record of a path inside of the project."""
    found = _SOUND.match(record)
    if found is None or {b"", b".", b".."} & set(found[1].split(b"/")):
        raise garbled(record)


def garbled(said: bytes) -> ShellenvError:
    """The error of what a program at the dock has not printed as it should."""
    return ShellenvError(
        f"the dock's programs say what cannot be: {said[:60]!r}",
        "nothing is lost; are sh, find and date there what they should be?",
    )


def read(record: bytes) -> tuple[bytes, Entry]:
    """The path of a record, and what it says."""
    kind, mode, size, mtime, ctime, inode, rest = record.split(b" ", 6)
    path, _, target = rest.partition(b"//")
    return path, Entry(
        kind.decode(),
        int(mode, 8) & 0o777,
        int(size),
        _nanoseconds(mtime),
        None if ctime == b"?" else _nanoseconds(ctime),
        int(inode),
        target,
    )


def path_of(record: bytes) -> bytes:
    """The path of a record."""
    return record.split(b" ", 6)[6].partition(b"//")[0]


def size_of(record: bytes) -> int:
    """The bytes of a file, by its record; of all else 0."""
    return int(record.split(b" ", 3)[2])


def unsettled(record: bytes) -> bytes:
    """`record` such that the next scan will differ from it: the file is looked at again."""
    if record[:1] != b"f":
        return record
    kind, mode, size, mtime, _, inode, rest = record.split(b" ", 6)
    return b" ".join((kind, mode, size, mtime, b"?", inode, rest))


def is_recent(entry: Entry, now: int) -> bool:
    """Could a change after the scan, which was at `now` on this side's clock, go unnoticed?"""
    if entry.kind != "f" or entry.ctime is None:
        return False
    return entry.ctime >= now - (TICK if entry.ctime % _SECOND else TICK + _SECOND)


def seconds_to_rest(records: Iterable[bytes]) -> float:
    """How long to wait until a change of these files leaves a trace: on file systems that keep
    whole seconds (ext3, HFS+), until the second is over."""
    coarse = any(
        ctime and ctime % _SECOND == 0
        for ctime in (read(record)[1].ctime for record in records if record[:1] == b"f")
    )
    return (TICK + _SECOND * coarse) / _SECOND


def settled(records: Iterable[bytes], at: int) -> list[bytes]:
    """Records of a scan at the time `at`, to be kept: those of files that had just been changed are
    `unsettled`. For many, so nothing is read that need not be."""
    # both ways in which records write times, as texts that sort like times
    fine, coarse = _texts(at - TICK), _texts(at - TICK - _SECOND)
    records = list(records)
    times = [record.split(b" ", 5)[4] for record in records]
    # with a point they are less than without, as texts
    if max(times, default=b"") < fine[True] and not any(t.endswith(_WHOLE[0]) for t in times):
        return records
    kept = []
    for record, time in zip(records, times, strict=True):
        pointed = b"." in time
        bounds = coarse if time.endswith(_WHOLE[pointed]) else fine
        late = time >= bounds[pointed] and len(time) > 1
        kept.append(unsettled(record) if late else record)
    return kept


_WHOLE = (b"000000000", b".0000000000")


def _texts(time: int) -> tuple[bytes, bytes]:
    seconds, rest = divmod(time, _SECOND)
    return b"%d%09d" % (seconds, rest), b"%d.%09d" % (seconds, rest)


def alike(one: Entry, other: Entry) -> bool:
    """Do two entries, of whatever sides, look like the same version?

    Kind, permissions, size and modification time, the latter as exactly as both file systems keep
    it; a link's target.
    """
    if one.kind != other.kind:
        return False
    if one.kind == "l":
        return one.target == other.target
    if one.kind != "f":
        return one.mode == other.mode
    return (one.mode, one.size) == (other.mode, other.size) and _same_time(one.mtime, other.mtime)


def _same_time(one: int, other: int) -> bool:
    if one == other:
        return True
    for grain in _GRAINS:
        if one // grain == other // grain:
            return one % grain == 0 or other % grain == 0
    return False


def is_between(time: int, first: int, last: int) -> bool:
    """Is it a time from `first` to `last`, as exactly as its file system keeps it?"""
    grain = max(grain for grain in (1, *_GRAINS) if time % grain == 0)
    return first // grain <= time // grain <= last // grain


_GRAINS = (100, 1_000, 1_000_000, 1_000_000_000)


def _nanoseconds(text: bytes) -> int:
    """Nanoseconds of a time, which GNU find prints with ten digits behind the point."""
    whole, point, fraction = text.partition(b".")
    if not point:
        return int(whole)
    value = int(whole or b"0") * 1_000_000_000
    part = int(fraction[:9].ljust(9, b"0"))
    # find prints times before 1970 as a floor and a positive fraction
    return value + part
