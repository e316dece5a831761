"""A sync from its beginning to its end."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Generic, TypeVar

from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.sync import (
    aside,
    compare,
    contents,
    entry,
    first,
    git,
    manifest,
    ownership,
    place,
    receive,
    recovery,
    send,
    transfer,
    tree,
)
from shellenv.sync.channel import Channel
from shellenv.sync.ignore import Rule
from shellenv.sync.ledger import Ledger
from shellenv.sync.manifest import Intent, Manifest, Store
from shellenv.sync.mover import Mover
from shellenv.sync.remote import Listing, Place, Remote
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
            scan = _Background(lambda: tree.scan(os.fsencode(wish.root), wish.rules))
            there = remote.place()
            ownership.check(wish, remote, there, owner)
            found = (
                remote.listing(wish.rules, _seen(store, wish)) if there.exists else Listing([], 0)
            )
            here = scan.result()
            work = _Sync(ctx, wish, direction, store, remote, there)
            if not wish.dry and recovery.is_needed(store, work.root, there):
                time.sleep(entry.TICK / 1e9)  # so that the times of what was done last are past
                here = tree.scan(work.root, wish.rules)
                work.recover(((here.records, here.time), _list(remote, wish)))
                here = tree.scan(work.root, wish.rules)
                found = remote.listing(wish.rules)
            outcome = work.run(here, found)
            if there.came and direction == UP and not (wish.dry or outcome.sent or outcome.failed):
                aside.forget(remote, work.id, came=True)  # nobody needs it any more
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

        self.ctx, self.wish, self.direction = ctx, wish, direction
        self.store, self.remote, self.there = store, remote, there
        self.root = os.fsencode(wish.root)
        self.stamp = time.strftime("%Y%m%dT%H%M%S")
        self.id = f"{self.stamp}-{os.urandom(3).hex()}"
        self.taken: set[bytes] = set()
        self.mover = Mover(ctx, wish, direction, store, remote)
        self.problem: ShellenvError | None = None

    def recover(self, scans: tuple[recovery.Scan, recovery.Scan]) -> None:
        """Tidy up after a sync that was cut off."""
        recovery.recover(
            self.store, self.root, self.remote, self.there, scans, self.beside, self.wish.tell
        )

    def run(self, here: tree.Tree, listing: Listing) -> Outcome:
        """Decide, and carry out."""
        outcome = Outcome(self.direction, self.there.root)
        past = self.store.load() or Manifest([], [])
        there, now_there = listing
        if there is None:
            there = past.there
        if self._is_first(past, there):
            whole = self._push_all(here, outcome)
            if whole is not None:
                return whole
            there, now_there = _list(self.remote, self.wish)
        ledger = self.ledger = self._ledger(past, here, there, now_there)
        outcome = outcome._replace(left_out=self._counted(ledger.left_out))
        if not ledger.names:
            if listing.records is not None and len(there) > _PAYS and not self.wish.dry:
                self.remote.remember(self.id)
                # what these rules leave out is not in the manifest
                self.store.see(f"{self.id} {self.wish.rules.fingerprint}")
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
        self._settle(actions, compare.NOTHING, compare.ADOPT)
        return self._carry_out(actions, outcome)

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
        if not load.is_worth_it:
            return None
        arrived = first.bring(load, here.time, self.wish, self.there, self.remote, self.mover)
        if arrived is None:
            return None
        result = Manifest(arrived.here, arrived.there, self.stamp, self.id)
        if not first.keep(self.remote, self.store, result):
            return None
        failed = [name for name in arrived.failed if tree.look(self.root, name) is not None]
        return outcome._replace(
            sent=tuple(arrived.done),
            failed=tuple(failed),
            left_alone=tuple(load.special),
            left_out=self._counted(load.left_out),
            size=load.size,
            problem=self.mover.complaint(bool(failed)),
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
        ledger = Ledger(past, (here.records, here.time), (there, there_at), self.wish.rules)
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
            past = Manifest([], [])
            return Ledger(past, (here.records, here.time), (there, there_at), self.wish.rules)
        return ledger

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

    # --- doing ----------------------------------------------------------------------------------

    def _carry_out(self, actions: dict[bytes, str], outcome: Outcome) -> Outcome:
        ledger = self.ledger
        for name in [name for name, action in actions.items() if action == compare.PULL_MODE]:
            if self._has_other_names(name):
                actions[name] = compare.PULL  # those keep their permissions
        copies, pushed, pulled, delete_there, delete_here = work = compare.work(
            actions, self.beside
        )
        if not any(work):
            self._settle(actions, compare.FORGET)
            self.store.save(ledger.manifest(self.stamp, ""))
            return outcome
        self._begin(work)
        send.make_room(self.remote, self.id, ledger, pushed, delete_there, copies)
        copied, stuck = self._renamed(copies)
        if stuck:
            copies = {name: copy for name, copy in copies.items() if name not in stuck}
            left = tuple(name + b"/" for name in stuck)
            actions = {n: a for n, a in actions.items() if not (n + b"/").startswith(left)}
            pushed = [name for name in pushed if name in actions]
        self._settle(actions, compare.FORGET)
        actions.update(dict.fromkeys(copied, compare.PULL))
        whole = not pushed or self._push(pushed, copies)
        sent = send.verify(self.remote, self.root, ledger, pushed, delete_there)
        received = receive.Received()
        if pulled or copied or delete_here:
            received = self._receive(actions, [*pulled, *copied], delete_here)
        if pushed or delete_there:
            send.rescue(
                self.remote, self.id, ledger, pushed, delete_there, copies, self.beside, sent
            )
        self.store.save(ledger.manifest(self.stamp, self.id))
        if pushed or delete_there:
            aside.forget(self.remote, self.id, came=whole)
        done = set(received.done) - set(copied)
        parked = _parked(name for name in done if ledger.paths[name].here is None)
        failed = sorted([*stuck, *sent.failed, *self._not_gone(received, actions)])
        known = sent.problem or self.problem or self.mover.problem or received.problem
        return outcome._replace(
            sent=tuple(sent.done),
            received=tuple(sorted(done)),
            deleted_there=tuple(sent.deleted),
            deleted_here=tuple(received.deleted),
            conflicts=tuple(sorted({**parked, **copies, **sent.rescued, **received.kept}.items())),
            failed=tuple(failed),
            size=_size(sent.done, ledger.here) + _size(received.done, ledger.there),
            problem=known or self.mover.complaint(bool(failed)),
        )

    def _begin(self, work: compare.Work) -> None:
        """Write down what is about to be done, in the place of which versions."""
        pushes = [*work.pushed, *work.delete_there]
        pulls = [*work.pulled, *work.delete_here]
        contents.know(self.remote, self.root, self.ledger, [*pushes, *pulls])
        here, there = self.ledger.version_here, self.ledger.version_there
        self.store.begin(
            self.id,
            [Intent(here(name), None if name in work.copies else there(name)) for name in pushes],
            [Intent(there(name), here(name)) for name in pulls],
        )

    def _not_gone(self, received: receive.Received, actions: Mapping[bytes, str]) -> list[bytes]:
        """What was not received, but for what was to come and is not there any more."""
        lacking = [
            name
            for name in received.failed
            if actions[name] == compare.PULL and name not in received.staged
        ]
        if not lacking:
            return received.failed
        there = set(map(entry.path_of, self.remote.look(lacking).records))
        return [name for name in received.failed if name in there or name not in lacking]

    def _has_other_names(self, name: bytes) -> bool:
        try:
            found = os.lstat(self.root + b"/" + name)
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_nlink > 1

    def _push(self, names: list[bytes], copies: Mapping[bytes, bytes]) -> bool:
        """Bring these there; False if rsync did not come to its end. What has come then goes to its
        place, too, and what is half there waits for the next sync."""
        here = self.ledger.here
        place = (self.wish.root, self.there.root, self.there.own)
        command = transfer.push(self.wish.ssh, *place, _is_large(names, here))
        status = self.mover.run(command, names, _size(names, here))
        came = send.arrival(self.root, self.ledger, names, copies)
        if status:
            came = send.came_whole(self.remote, self.root, self.ledger, came)
        aside.install(self.remote, self.id, came)
        return status in transfer.ENDED

    def _settle(self, actions: Mapping[bytes, str], *kinds: str) -> None:
        """Write down both sides as they are, where nothing is to be done."""
        ledger = self.ledger
        for name, action in actions.items():
            if action in kinds:
                ledger.settle(name, ledger.scanned_here(name), ledger.scanned_there(name))

    def _renamed(self, copies: Mapping[bytes, bytes]) -> tuple[list[bytes], list[bytes]]:
        """What conflicts have been renamed to there, and all below it that is synced, for the
        ledger; and the conflicts that are still where they were."""
        import time

        if not copies:
            return [], []
        time.sleep(entry.TICK / 1e9)  # so that no later change can have their times
        seen = self.remote.look(list(copies.values()), deep=True)
        moved = set(map(entry.path_of, seen.records))
        stuck = [name for name, copy in copies.items() if copy not in moved]
        if stuck:
            stuck = list(map(entry.path_of, self.remote.look(stuck).records))
        for name in stuck:
            self.problem = self.problem or ShellenvError(
                f"cannot rename {os.fsdecode(name)} at {self.remote.label}{self.remote.because()}",
                "both versions are where they were; the next sync tries again",
            )
        left_out = self.wish.rules.rule
        records = [
            record
            for record in seen.records
            if record[:1] in b"fld" and not left_out(entry.path_of(record), record[:1] == b"d")
        ]
        copied = [self.ledger.came(record, seen.time) for record in records]
        contents.know(self.remote, self.root, self.ledger, copied)
        return copied, stuck

    def _receive(
        self, actions: dict[bytes, str], names: list[bytes], deletions: list[bytes]
    ) -> receive.Received:
        with closing(place.Yard(self.root, self.store.yard, self.beside)) as yard:
            yard.prepare()
            there = self.ledger.there
            files = [
                name for name in names if actions[name] == compare.PULL and there[name][:1] != b"d"
            ]
            if files:
                staging = os.fsdecode(self.root + b"/" + yard.inside)
                sparse = _is_large(files, there)
                ssh, source = self.wish.ssh, self.there.root
                trust = transfer.must_trust(files, self.mover.env)
                command = transfer.pull(ssh, source, staging, self.wish.root, sparse, trust)
                self.mover.run(command, files, _size(files, there))
            received = receive.install(yard, self.ledger, actions, names, deletions)
            receive.rescue_late(yard, self.ledger, received)
            yard.clear()
            yard.flush(received.done)
        return received

    # --- what is kept ---------------------------------------------------------------------------

    def beside(self, path: bytes) -> bytes:
        """A free name for the other version of `path`."""
        above, slash, name = path.rpartition(b"/")
        number = 1
        while True:
            tail = b".from-%b-%b" % (os.fsencode(self.remote.label), self.stamp.encode())
            tail += b"-%d" % number if number > 1 else b""
            copy = above + slash + name[: 255 - len(tail)] + tail
            if copy not in self.taken and not os.path.lexists(self.root + b"/" + copy):
                self.taken.add(copy)
                return copy
            number += 1


_COPY = re.compile(rb"(.+)\.from-.+-\d{8}T\d{6}(?:-\d+)?", re.DOTALL)
"""What `beside` makes of a name."""


def _parked(names: Iterable[bytes]) -> dict[bytes, bytes]:
    """The conflicts, of those that an interrupted sync could not tell of, whose other version is
    one of these, which are new here."""
    return {found[1]: name for name in names if (found := _COPY.fullmatch(name))}


_PAYS = 5000
"""Records from which on it pays to keep a listing there."""


def _is_large(names: Iterable[bytes], records: Mapping[bytes, bytes]) -> bool:
    """Is any of these files so large that holes in it would matter?"""
    return any(entry.size_of(records[name]) >= transfer.LARGE for name in names if name in records)


def _size(names: Iterable[bytes], records: Mapping[bytes, bytes]) -> int:
    return sum(entry.size_of(records[name]) for name in names if name in records)
