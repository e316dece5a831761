"""One sync: what is asked of it, its two sides, and the names that it gives."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from shellenv.context import Context
from shellenv.sync.manifest import Store
from shellenv.sync.mover import Mover
from shellenv.sync.remote import Place, Remote
from shellenv.sync.wish import Wish


class Session:
    """What all steps of a sync need. `id` is its name, `stamp` the time at which it began."""

    def __init__(
        self,
        ctx: Context,
        wish: Wish,
        direction: str,
        store: Store,
        remote: Remote,
        there: Place,
    ) -> None:
        import time

        self.wish, self.direction = wish, direction
        self.store, self.remote, self.there = store, remote, there
        self.root = os.fsencode(wish.root)
        self.stamp = time.strftime("%Y%m%dT%H%M%S")
        self.id = f"{self.stamp}-{os.urandom(3).hex()}"
        self.mover = Mover(ctx, wish, direction, store, remote)
        self._taken: set[bytes] = set()

    def beside(self, path: bytes) -> bytes:
        """A free name for the other version of `path`."""
        above, slash, name = path.rpartition(b"/")
        number = 1
        while True:
            tail = b".from-%b-%b" % (os.fsencode(self.remote.label), self.stamp.encode())
            tail += b"-%d" % number if number > 1 else b""
            copy = above + slash + name[: 255 - len(tail)] + tail
            if copy not in self._taken and not os.path.lexists(self.root + b"/" + copy):
                self._taken.add(copy)
                return copy
            number += 1


_COPY = re.compile(rb"(.+)\.from-.+-\d{8}T\d{6}(?:-\d+)?", re.DOTALL)
"""What `beside` makes of a name."""


def parked(names: Iterable[bytes]) -> dict[bytes, bytes]:
    """The conflicts, of those that an interrupted sync could not tell of, whose other version is
    one of these, which are new here."""
    return {found[1]: name for name in names if (found := _COPY.fullmatch(name))}
