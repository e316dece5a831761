"""Changing this side: what has come in is put in its place, what was deleted there goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shellenv.errors import ShellenvError
from shellenv.sync import compare, entry
from shellenv.sync.entry import Version
from shellenv.sync.ledger import Ledger, settled
from shellenv.sync.yard import Yard


class Received:
    """What has become of it: `done` is here as it is there, `deleted` is gone here.

    `kept` names the copies of what came in where somebody had just changed something, `failed` is
    what did not work, `problem` why (the first time). `staged` is what had come in.
    """

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.deleted: list[bytes] = []
        self.kept: dict[bytes, bytes] = {}
        self.failed: list[bytes] = []
        self.staged: dict[bytes, Version] = {}
        self.problem: ShellenvError | None = None

    def refuse(self, name: bytes) -> None:
        """Note that a directory cannot be replaced for what is left out in it."""
        import os

        if name in self.failed:
            return  # it is known why
        self.failed.append(name)
        self.problem = self.problem or ShellenvError(
            f"{os.fsdecode(name)} is no directory at the dock any more; it cannot go here",
            "move away what it still holds: it is not synced",
        )

    @contextmanager
    def attempt(self, name: bytes) -> Iterator[None]:
        """Note what the system refuses, and go on with the next path."""
        try:
            yield
        except OSError as error:
            self.failed.append(name)
            import errno
            import os

            path, why = os.fsdecode(name), error.strerror
            hint = "nothing is lost; the next sync tries again"
            if error.errno == errno.EXDEV:
                why = "it is on another file system than the project"
                hint = "leave it out ([shellenv.sync] exclude), or bring it here by hand"
            self.problem = self.problem or ShellenvError(f"cannot change {path}: {why}", hint)


def install(
    yard: Yard,
    ledger: Ledger,
    actions: Mapping[bytes, str],
    names: list[bytes],
    deletions: list[bytes],
) -> Received:
    """Put `names` in their places and remove `deletions`. The files have come in already."""
    result = Received()
    came: dict[bytes, Version] = {}
    paths = ledger.paths
    _delete(yard, ledger, actions, names, deletions, result)
    for name in sorted(names):
        there, failed = paths[name].there, False
        assert there is not None
        if actions[name] == compare.PULL_MODE:
            continue
        with result.attempt(name):
            yard.make_room(name)
            if there.kind == "d":
                failed = not yard.make_directory(name, there.mode)
                if not failed:
                    result.done.append(name)
                continue
            here = paths[name].here
            if here and here.kind == "d" and _is_held(yard, name):
                result.refuse(name)
                continue
            came_in = yard.entry(_inside(yard, name))
            if came_in and came_in.kind == there.kind == "f" and came_in.mode != there.mode:
                yard.chmod(_inside(yard, name), there.mode, directory=False)  # rsync could not
            staged = _staged(yard, name, worth=name in ledger.digests_there)
            if staged is not None:
                result.staged[name] = staged
            known = None if here and here.kind == "d" else ledger.version_here(name)
            got = yard.install(name, known)
            if got == name and staged is not None:
                came[name] = staged
                result.done.append(name)
            elif got is not None:
                result.kept[name] = got
            else:
                failed = True
        if failed:
            result.failed.append(name)
    for name in sorted(names, reverse=True):
        there = paths[name].there
        if there and (actions[name] == compare.PULL_MODE or there.kind == "d"):
            with result.attempt(name):
                yard.chmod(name, there.mode, there.kind == "d")
                if actions[name] == compare.PULL_MODE:
                    result.done.append(name)
    _settle(yard, ledger, actions, came, result)
    return result


def _staged(yard: Yard, name: bytes, worth: bool) -> Version | None:
    """The version that has come in for `name`; read if that is worth it."""
    path = _inside(yard, name)
    record = yard.look(path)
    if record is None:
        return None
    digest = yard.digest(path) if worth else None
    return Version(record.replace(b" %b/" % yard.inside, b" ", 1), digest or b"")


def _inside(yard: Yard, name: bytes) -> bytes:
    return yard.inside + b"/" + name


def _is_held(yard: Yard, name: bytes) -> bool:
    """Is the directory `name` still there, as there is something in it that is not synced?"""
    found = yard.look(name)
    return found is not None and found[:1] == b"d"


def _settle(
    yard: Yard,
    ledger: Ledger,
    actions: Mapping[bytes, str],
    came: Mapping[bytes, Version],
    result: Received,
) -> None:
    """Write down what is here now: what has come in, not what somebody made of it meanwhile.

    What has changed there since the scan differs from its record, and comes next time.
    """
    import time

    if result.done:
        time.sleep(entry.TICK / 1e9)  # so that no later change can have these times
    for name in result.done:
        at, record = time.time_ns(), yard.look(name)
        path, there = ledger.paths[name], ledger.scanned_there(name)
        if record is None or path.there is None:
            continue
        what = entry.read(record)[1]
        if name in came:
            as_it_came = entry.read(came[name].record)[1]
            if what.mode != as_it_came.mode or not yard.is_at(name, came[name]):
                record = entry.unsettled(came[name].record)
        elif what.kind == "d" or path.there.kind == "d":
            record = ledger.there[name]  # for a directory, both sides' records say the same
        elif actions[name] == compare.PULL_MODE:
            known = ledger.version_here(name)
            if known is None or what.mode != path.there.mode:
                continue
            if not yard.is_at(name, known):
                record = entry.unsettled(known.record)
        ledger.settle(name, settled(record, at), there)


def rescue_late(yard: Yard, ledger: Ledger, result: Received) -> None:
    """Whoever still had a file open that was replaced or deleted may have written to it: keep such
    a version, too."""
    for name in result.done:
        known, path = ledger.version_here(name), _inside(yard, name)
        if known is None or ledger.here[name][:1] != b"f":
            continue
        late = yard.entry(path)
        if late is not None and late.kind != "d" and not yard.is_at(path, known):
            result.kept[name] = yard.keep(path, name)
    for name in result.failed:  # it may have been exchanged, and not back
        came, known, path = result.staged.get(name), ledger.version_here(name), _inside(yard, name)
        left = yard.look(path) and came and not yard.is_at(path, came)
        if left and not (known and yard.is_at(path, known)):
            result.kept[name] = yard.keep(path, name)
    for name in list(yard.left(yard.gone)):
        known, path = ledger.version_here(name), yard.gone + b"/" + name
        if known is not None and yard.is_at(path, known):
            continue
        new = yard.restore(path, name)
        if new != name:
            result.kept[name] = new
        elif name in result.deleted:
            result.deleted.remove(name)  # deleted there, changed here: the change wins


def _delete(
    yard: Yard,
    ledger: Ledger,
    actions: Mapping[bytes, str],
    names: list[bytes],
    deletions: list[bytes],
    result: Received,
) -> None:
    directories = []
    for name in [*deletions, *names]:
        here, there = ledger.paths[name].here, ledger.paths[name].there
        if here is None or actions[name] == compare.PULL_MODE:
            continue
        if here.kind == "d" and (there is None or there.kind != "d"):
            directories.append(name)
        elif there is None or (there.kind == "d") != (here.kind == "d"):
            with result.attempt(name):
                known = ledger.version_here(name)
                if known and yard.delete(name, known) and there is None:
                    result.deleted.append(name)
                # What was changed meanwhile stays, as if it had just been made
                ledger.settle(name, None, None)
    waiting = {above for name in result.failed for above in compare.parents(name)}
    for name in sorted(directories, reverse=True):
        gone = False
        with result.attempt(name):
            gone = yard.delete_directory(name)
        if name in result.failed:
            waiting.update((name, *compare.parents(name)))
        if ledger.paths[name].there is None:
            if gone:
                result.deleted.append(name)
            elif name in waiting:
                continue  # it goes with what is in it
            left = None if gone else yard.look(name)
            # what is not synced may still be in it: it stays, and is no news to anyone
            ledger.settle(name, left if left and left[:1] == b"d" else None, None)
