"""Carrying out what was decided: the other side first, then this one, and what has come of it is
written down."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing

from shellenv.errors import ShellenvError
from shellenv.sync import aside, compare, contents, entry, receive, send, transfer, tree
from shellenv.sync.ledger import Ledger
from shellenv.sync.manifest import Intent, after
from shellenv.sync.session import Session, parked
from shellenv.sync.wish import Outcome
from shellenv.sync.yard import Yard


def carry_out(
    session: Session, ledger: Ledger, actions: dict[bytes, str], outcome: Outcome
) -> Outcome:
    """Do it, and note the result in the manifest and in `outcome`.

    Raises ShellenvError where it could not be finished; the journal says then what was to be done.
    """
    return _Carrier(session, ledger).run(actions, outcome)


class _Carrier:
    def __init__(self, session: Session, ledger: Ledger) -> None:
        self.session, self.ledger = session, ledger
        self.root, self.remote = session.root, session.remote
        self.problem: ShellenvError | None = None

    def run(self, actions: dict[bytes, str], outcome: Outcome) -> Outcome:
        session, ledger = self.session, self.ledger
        for name in [name for name, action in actions.items() if action == compare.PULL_MODE]:
            if self._has_other_names(name):
                actions[name] = compare.PULL  # those keep their permissions
        work = compare.work(actions, session.beside)
        copies, pushed, pulled, delete_there, delete_here = work
        if not any(work):
            ledger.forget(actions)
            session.store.save(ledger.manifest(session.stamp, ledger.done))
            return outcome
        self._begin(work)
        if pushed and session.there.came and not self._goes_on(pushed):
            aside.forget(self.remote, session.id, came=True)  # it may fill the disk
        send.make_room(self.remote, session.id, ledger, pushed, delete_there, copies)
        copied, stuck = self._renamed(copies)
        if stuck:
            copies = {name: copy for name, copy in copies.items() if name not in stuck}
            left = tuple(name + b"/" for name in stuck)
            actions = {n: a for n, a in actions.items() if not (n + b"/").startswith(left)}
            pushed = [name for name in pushed if name in actions]
        ledger.forget(actions)
        actions.update(dict.fromkeys(copied, compare.PULL))
        whole = not pushed or self._push(pushed, copies)
        sent = send.verify(self.remote, self.root, ledger, pushed, delete_there)
        received = receive.Received()
        if pulled or copied or delete_here:
            received = self._receive(actions, [*pulled, *copied], delete_here)
        if pushed or delete_there:
            replaced = (pushed, delete_there, copies)
            send.rescue(self.remote, session.id, ledger, *replaced, session.beside, sent)
        session.store.save(ledger.manifest(session.stamp, after(session.id, ledger.done)))
        if pushed or delete_there:
            aside.forget(self.remote, session.id, came=whole)
        done = set(received.done) - set(copied)
        found = parked(name for name in done if ledger.paths[name].here is None)
        failed = sorted([*stuck, *sent.failed, *self._not_gone(received, actions)])
        known = sent.problem or self.problem or session.mover.problem or received.problem
        return outcome._replace(
            sent=tuple(sent.done),
            received=tuple(sorted(done)),
            deleted_there=tuple(sent.deleted),
            deleted_here=tuple(received.deleted),
            conflicts=tuple(sorted({**found, **copies, **sent.rescued, **received.kept}.items())),
            failed=tuple(failed),
            size=_size(sent.done, ledger.here) + _size(received.done, ledger.there),
            problem=known or session.mover.complaint(bool(failed)),
        )

    def _begin(self, work: compare.Work) -> None:
        """Write down what is about to be done, in the place of which versions."""
        pushes = [*work.pushed, *work.delete_there]
        pulls = [*work.pulled, *work.delete_here]
        contents.know(self.remote, self.root, self.ledger, [*pushes, *pulls])
        here, there = self.ledger.version_here, self.ledger.version_there
        self.session.store.begin(
            self.session.id,
            [Intent(here(name), None if name in work.copies else there(name)) for name in pushes],
            [Intent(there(name), here(name)) for name in pulls],
            *self._closed({above for n in (*pushes, *pulls) for above in compare.parents(n)}),
        )

    def _closed(self, names: set[bytes]) -> Iterator[list[bytes]]:
        """The records of those of these directories, here and there, that are not writable."""
        here = {name: record for name in names if (record := tree.look(self.root, name))}
        for records in (here.values(), self.ledger.directories_there(names).values()):
            found = [record for record in records if record[:1] == b"d"]
            yield [record for record in found if entry.read(record)[1].mode & 0o300 != 0o300]

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
        wish, there = self.session.wish, self.session.there
        place = (wish.root, there.root, there.own)
        command = transfer.push(wish.ssh, *place, _is_large(names, here))
        status = self.session.mover.run(command, names, _size(names, here))
        came = send.arrival(self.root, self.ledger, names, copies)
        if status:
            came = send.came_whole(self.remote, self.root, self.ledger, came, there.came)
        aside.install(self.remote, self.session.id, came)
        return status in transfer.ENDED

    def _goes_on(self, names: list[bytes]) -> bool:
        """Is anything of these files there, in what an earlier sync has brought?"""
        return any(record[:1] == b"f" for record in self.remote.came(names).records)

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
        left_out = self.session.wish.rules.rule
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
        session = self.session
        with closing(Yard(self.root, session.store.yard, session.beside)) as yard:
            yard.prepare()
            there = self.ledger.there
            files = [
                name for name in names if actions[name] == compare.PULL and there[name][:1] != b"d"
            ]
            if files:
                staging = os.fsdecode(self.root + b"/" + yard.inside)
                sparse = _is_large(files, there)
                ssh, source = session.wish.ssh, session.there.root
                trust = transfer.must_trust(files, session.mover.env)
                command = transfer.pull(ssh, source, staging, session.wish.root, sparse, trust)
                session.mover.run(command, files, _size(files, there))
            received = receive.install(yard, self.ledger, actions, names, deletions)
            receive.rescue_late(yard, self.ledger, received)
            yard.clear()
            yard.flush(received.done)
        return received


def _is_large(names: Iterable[bytes], records: Mapping[bytes, bytes]) -> bool:
    """Is any of these files so large that holes in it would matter?"""
    return any(entry.size_of(records[name]) >= transfer.LARGE for name in names if name in records)


def _size(names: Iterable[bytes], records: Mapping[bytes, bytes]) -> int:
    return sum(entry.size_of(records[name]) for name in names if name in records)
