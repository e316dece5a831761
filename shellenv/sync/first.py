"""The first sync of a project: all of it goes up, into a directory that is then put in place.

Nothing is there that could be replaced, so rsync may walk the tree by itself, twice as fast as by a
list of paths; and nothing is half there if it is cut off: the next one goes on.
"""

from __future__ import annotations

from collections.abc import Iterable

from shellenv.sync.remote import Remote

_IN_PLACE = """\
if [ -d "$root" ]; then rmdir "$root" 2>/dev/null || exit 3; fi
mv -T -- "$own/new" "$root"
"""


def put_in_place(remote: Remote) -> bool:
    """Make what has come in the project's directory there; False if something is there by now."""
    from shellenv.errors import ShellenvError
    from shellenv.sync.remote import LostError

    try:
        remote.run(_IN_PLACE)
    except LostError:
        raise
    except ShellenvError:
        return False
    return True


def _time(text: bytes) -> bytes:
    """A record's time, the same for the same in both ways of writing it."""
    whole, point, fraction = text.partition(b".")
    return whole + fraction[:9] if point else text


def matches(
    here: Iterable[bytes], there: Iterable[bytes]
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """The records of both sides that are the same version, and the paths here that have none."""
    found = {}
    for record in there:
        kind, mode, size, mtime, _, _, rest = record.split(b" ", 6)
        found[rest] = (kind, mode[-3:], size, _time(mtime), record)
    ours, theirs, missing = [], [], []
    for record in here:
        kind, mode, size, mtime, _, _, rest = record.split(b" ", 6)
        other = found.get(rest)
        if other is not None and other[:4] == (kind, mode[-3:], size, _time(mtime)):
            ours.append(record)
            theirs.append(other[4])
        elif kind in (b"f", b"l", b"d"):
            missing.append(rest.partition(b"//")[0])
    return ours, theirs, missing
