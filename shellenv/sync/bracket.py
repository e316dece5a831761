"""A sync from its beginning to its end."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar

from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.sync import (
    aside,
    carry,
    compare,
    contents,
    entry,
    first,
    git,
    manifest,
    ownership,
    recovery,
    tree,
)
from shellenv.sync.channel import Channel
from shellenv.sync.ignore import Rule
from shellenv.sync.ledger import Ledger
from shellenv.sync.manifest import Manifest, Store
from shellenv.sync.remote import Listing, Remote
from shellenv.sync.session import Session
from shellenv.sync.wish import UP, EmptiedError, Outcome, Wish

T = TypeVar("T")


def sync(ctx: Context, wish: Wish, direction: str, channel: Channel | None = None) -> Outcome:
    """One direction of the sync; conflicts are settled in both. `channel`: one by `wish.ssh` that
    may be used.

    Raises ShellenvError where nothing was done, or where it was not finished: the next sync goes
    on from there, and no version of any file is lost.
    """
    import time

    start = time.monotonic()
    far = f"{wish.ssh[-1]}:{wish.remote_root}/{wish.name}"
    with _refusals(wish), manifest.store(ctx, wish.root, far) as store:
        owner = store.owner(wish.root)
        with Remote(wish, owner, channel) as remote:
            programs = ctx.surroundings.get("PATH", os.defpath)
            look = partial(tree.scan, os.fsencode(wish.root), wish.rules, programs)
            scan = _Background(look)
            there = remote.place()
            ownership.check(wish, remote, there, owner)
            found = (
                remote.listing(wish.rules, _seen(store, wish)) if there.exists else Listing([], 0)
            )
            here = scan.result()
            session = Session(ctx, wish, direction, store, remote, there)
            work = _Sync(session)
            if not wish.dry and recovery.is_needed(store, session.root, there):
                time.sleep(entry.TICK / 1e9)  # so that the times of what was done last are past
                here = look()
                work.recover(((here.records, here.time), _list(remote, wish)))
                here = look()
                found = remote.listing(wish.rules)
            outcome = work.run(here, found)
            if there.came and direction == UP and not (wish.dry or outcome.sent or outcome.failed):
                aside.forget(remote, session.id, came=True)  # nobody needs it any more
    return outcome._replace(seconds=time.monotonic() - start)


@contextmanager
def _refusals(wish: Wish) -> Iterator[None]:
    """Say what the system has refused, where nobody knows better what that means."""
    try:
        yield
    except OSError as error:
        name = os.fsdecode(error.filename or wish.root)
        raise ShellenvError(
            f"cannot change {name}: {error.strerror}",
            "nothing is lost; check permissions and free space, the next sync goes on from there",
        ) from error


def _seen(store: Store, wish: Wish) -> str:
    """The name of the listing there that is equal to the manifest's, by these rules; or ""."""
    name, _, rules = store.seen.partition(" ")
    return name if rules == wish.rules.fingerprint else ""


def _list(remote: Remote, wish: Wish) -> tuple[list[bytes], int]:
    records, now = remote.listing(wish.rules)
    return records or [], now


class _Background(Generic[T]):
    """A function at work in a thread; `result` waits for it, and raises what it raised."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._result: T | BaseException
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:
            self._result = error

    def result(self) -> T:
        self._thread.join()
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


class _Sync:
    """One sync at work."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.wish, self.direction = session.wish, session.direction
        self.remote, self.there, self.root = session.remote, session.there, session.root

    def recover(self, scans: tuple[recovery.Scan, recovery.Scan]) -> None:
        """Tidy up after a sync that was cut off."""
        store, beside = self.session.store, self.session.beside
        recovery.recover(store, self.root, self.remote, self.there, scans, beside, self.wish.tell)

    def run(self, here: tree.Tree, listing: Listing) -> Outcome:
        """Decide, and carry out."""
        outcome = Outcome(self.direction, self.there.root)
        past = self.session.store.load()
        there, now_there = listing
        if there is None and past is not None:
            there = past.there
        elif there is None:  # what it was equal to is lost
            there, now_there = _list(self.remote, self.wish)
        past = past or Manifest([], [])
        if self._is_first(past, there):
            whole = self._push_all(here, outcome)
            if whole is not None:
                return whole
            there, now_there = _list(self.remote, self.wish)
        ledger = self.ledger = self._ledger(past, here, there, now_there)
        outcome = outcome._replace(left_out=self._counted(ledger.left_out))
        if not ledger.names:
            if listing.records is not None and len(there) > _PAYS and not self.wish.dry:
                self.remote.remember(self.session.id)
                # what these rules leave out is not in the manifest
                self.session.store.see(f"{self.session.id} {self.wish.rules.fingerprint}")
            return outcome
        self._wait_for_restless()
        self.left_alone = tuple(sorted(ledger.frozen))
        equal = contents.same(self.remote, self.root, list(compare.questions(ledger.paths)))
        actions = self._chosen(compare.plan(ledger.paths, equal.get))
        outcome = outcome._replace(left_alone=self.left_alone)
        if self.wish.dry:
            quiet = (compare.NOTHING, compare.ADOPT, compare.FORGET)
            planned = sorted((name, what) for name, what in actions.items() if what not in quiet)
            return outcome._replace(planned=tuple(planned))
        ledger.settle_scanned(actions, compare.NOTHING, compare.ADOPT)
        return carry.carry_out(self.session, ledger, actions, outcome)

    # --- the first time ---------------------------------------------------------------------------

    def _is_first(self, past: Manifest, there: list[bytes]) -> bool:
        """Is all of it to go up, to where nothing is?"""
        return (
            self.direction == UP
            and not self.wish.dry
            and not there
            and self.there.empty
            and (self.wish.restore or not past.there)
            and not self.wish.rules.may_return(b"")
        )

    def _push_all(self, here: tree.Tree, outcome: Outcome) -> Outcome | None:
        """Bring everything up. None if that cannot be: the usual way is left."""
        load = first.load(here.records, self.wish.rules)
        if not load.is_worth_it or max(map(len, load.records)) > self._longest:
            return None
        mover = self.session.mover
        arrived = first.bring(load, here.time, self.wish, self.there, self.remote, mover)
        if arrived is None:
            return None
        result = Manifest(arrived.here, arrived.there, self.session.stamp, self.session.id)
        if not first.keep(self.remote, self.session.store, result):
            return None
        failed = [name for name in arrived.failed if tree.look(self.root, name) is not None]
        return outcome._replace(
            sent=tuple(arrived.done),
            failed=tuple(failed),
            left_alone=tuple(load.special),
            left_out=self._counted(load.left_out),
            size=load.size,
            problem=mover.complaint(bool(failed)),
        )

    def _counted(self, left_out: Mapping[bytes, Rule]) -> Counter[Rule]:
        """How many paths each rule leaves out; a directory counts as one."""
        rule = self.wish.rules.rule
        return Counter(
            why
            for path, why in left_out.items()
            if not rule(path.rpartition(b"/")[0], directory=True)
        )

    # --- deciding -------------------------------------------------------------------------------

    def _ledger(self, past: Manifest, here: tree.Tree, there: list[bytes], there_at: int) -> Ledger:
        """The ledger, unless one side is suddenly empty. Raises EmptiedError then."""
        scans = (here.records, here.time), (there, there_at)
        ledger = Ledger(past, *scans, self.wish.rules, self._longest)
        where = f"{self.remote.label}:{self.there.root}"
        emptied = []
        for empty, records, root, command, other in (
            (ledger.empty_here, past.here, self.wish.root, "sync-down", where),
            (ledger.empty_there, past.there, where, "sync-up", self.wish.root),
        ):
            if not empty or not records:
                continue
            emptied.append(root)
            if not self.wish.restore and not self.wish.accept_empty:
                what = f"{len(records)} files and directories were" if records[1:] else "a file was"
                raise EmptiedError(
                    f"{root} is empty now, and {what} there after the last sync",
                    f"shellenv {command} --restore fills it again; "
                    f"--accept-empty empties {other}, too",
                    other,
                )
        if emptied and self.wish.restore:
            return Ledger(Manifest([], []), *scans, self.wish.rules, self._longest)
        return ledger

    @property
    def _longest(self) -> int:
        """The bytes of the longest path that is synced: both systems must be able to name it."""
        above = max(len(self.root), len(os.fsencode(self.there.own)))
        return os.pathconf("/", "PC_PATH_MAX") - above - _SPARE

    def _wait_for_restless(self) -> None:
        """Look again at files that changed during the scan, when their times cannot lie any more:
        else the next sync could not tell whether they have changed since."""
        import time

        ledger = self.ledger
        here, there = ledger.restless
        if not here and not there:
            return
        records = [*map(ledger.here.__getitem__, here), *map(ledger.there.__getitem__, there)]
        time.sleep(entry.seconds_to_rest(records))
        now = time.time_ns()
        found = {name: record for name in here if (record := tree.look(self.root, name))}
        records, at, _ = self.remote.look(there)
        self.ledger.look_again(
            (found, now), ({entry.path_of(record): record for record in records}, at)
        )

    def _chosen(self, actions: dict[bytes, str]) -> dict[bytes, str]:
        """The actions of this direction."""
        ours = compare.UPWARD if self.direction == UP else compare.DOWNWARD
        within = tuple(
            name + b"/" for name, action in actions.items() if action == compare.CONFLICT
        )
        chosen = {
            name: action
            for name, action in actions.items()
            if action in ours or action in compare.BOTH or (within and name.startswith(within))
        }
        if self.wish.rules.git:
            changed = git.one_way(actions, chosen, self.direction == UP)
            self.left_alone = tuple(sorted({*self.ledger.frozen, *changed}))
        return chosen


_SPARE = 96
"""Bytes that a path needs besides while it moves, or for a conflict copy's name."""

_PAYS = 5000
"""Records from which on it pays to keep a listing there."""
