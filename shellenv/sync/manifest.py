"""What the last sync left on either side, and what a sync that was cut off was about to do.

One directory a project and dock, below the user's state directory:

    manifest       the records of both sides
    manifest.next  what they shall be as soon as something else is done
    journal        what a sync is about to do; it is there only while one is at work, or was cut off
    id             who we are to the far end
    seen           which listing there is equal to the manifest's
    files          what the rsync at work is to bring, or to leave out
    lock           held by the sync at work and by its rsync
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from shellenv import paths
from shellenv.context import Context
from shellenv.digest import fingerprint
from shellenv.errors import ShellenvError
from shellenv.files import forget
from shellenv.sync import entry
from shellenv.sync.entry import Version
from shellenv.sync.ignore import OWN
from shellenv.sync.remote import Owner

WAIT_SECONDS = 60


class Manifest(NamedTuple):
    """The past of both sides, as records (see `entry`); when that was, and which syncs left it: the
    last one, and the one before it, of which something may not have gone yet."""

    here: list[bytes]
    there: list[bytes]
    time: str = ""
    done: str = ""


def after(sync: str, done: str) -> str:
    """What a manifest says to be `done` when one more sync has been."""
    return " ".join([sync, *done.split()[:1]])


class Intent(NamedTuple):
    """What is about to be done at one path of the side that changes: the version that shall be
    there (of the other side; None: nothing), and the one that is known to be (None: nothing)."""

    new: Version | None
    old: Version | None


_NOTHING = Version(b"")


class Journal(NamedTuple):
    """What a sync was about to do there (`pushed`) and here (`pulled`), by path; and the records of
    the directories here and there that it might have to make writable for that."""

    sync: str
    pushed: dict[bytes, Intent]
    pulled: dict[bytes, Intent]
    closed_here: dict[bytes, bytes]
    closed_there: dict[bytes, bytes]


class Store(NamedTuple):
    """The directory that all this is in, locked for this process. `lock` is the descriptor.

    `yard` is the place in the project's root for what comes from that dock.
    """

    directory: str
    lock: int
    yard: bytes

    @property
    def files(self) -> str:
        """The file that lists what an rsync is to bring over, or to leave out."""
        return f"{self.directory}/files"

    def load(self) -> Manifest | None:
        """The manifest; None if there was no sync yet, or if the power failed too soon after it."""
        content = _read(f"{self.directory}/manifest")
        if content is None:
            return None
        head, _, rest = content.partition(b"\n")
        try:
            facts = json.loads(head)
            here = rest[: facts["here"]].split(b"\0")[:-1]
            there = rest[facts["here"] :].split(b"\0")[:-1]
            found = Manifest(here, there, facts["time"], facts["done"])
            return found if facts["sum"] == _sum(rest) else None
        except (ValueError, KeyError, TypeError):
            return None

    def save(self, manifest: Manifest) -> None:
        """Put a manifest in place, whole or not at all, and forget the journal."""
        self.prepare(manifest)
        self.commit()

    def prepare(self, manifest: Manifest, durable: bool = True) -> None:
        """Write down what shall be the manifest as soon as something else is done.

        Not `durable`: if the power fails within seconds, the sync is as if it had not been noted.
        """
        here = _joined(manifest.here)
        rest = here + _joined(manifest.there)
        facts = {"version": 1, "time": manifest.time, "done": manifest.done}
        head = json.dumps({**facts, "here": len(here), "sum": _sum(rest)}).encode()
        self._write("manifest.next", b"%b\n%b" % (head, rest), durable)

    def commit(self) -> None:
        """That is done: what was prepared is the manifest now."""
        self.see("")
        try:
            os.replace(f"{self.directory}/manifest.next", f"{self.directory}/manifest")
        except OSError as error:
            raise _unwritable(self.directory, error) from error
        self.forget_journal()

    def withdraw(self) -> None:
        """That will not be done: what was prepared does not count."""
        forget(f"{self.directory}/manifest.next")

    @property
    def is_prepared(self) -> bool:
        """Is there something that `commit` or `withdraw` has not been said to?"""
        return os.path.exists(f"{self.directory}/manifest.next")

    @property
    def seen(self) -> str:
        """What was written down of the listing there that is equal to the manifest's; "" if none
        is."""
        return (_read(f"{self.directory}/seen") or b"").decode("ascii", "replace")

    def see(self, seen: str) -> None:
        """Write down that a listing there is equal to the manifest's, and which."""
        self._write("seen", seen.encode(), durable=False)

    def has_journal(self) -> bool:
        """Was the last sync cut off?"""
        return os.path.exists(f"{self.directory}/journal")

    def journal(self) -> Journal | None:
        """What the last sync was about to do, if it was cut off and could write that down."""
        content = _read(f"{self.directory}/journal")
        if not content:
            return None
        checked, _, rest = content.partition(b"\n")
        if checked != b"%d" % _sum(rest):
            return None  # the power failed
        sync, *words = rest.split(b"\0")[:-1]
        kinds = (b"push", b"pull", b"here", b"there")
        sides: dict[bytes, dict[bytes, Intent]] = {kind: {} for kind in kinds}
        for kind, *said in zip(*(words[n::5] for n in range(5)), strict=True):
            new, old = (Version(*pair) if pair[0] else None for pair in (said[:2], said[2:]))
            sides[kind][entry.path_of(said[0] or said[2])] = Intent(new, old)
        here, there = (
            {path: intent.old.record for path, intent in sides[kind].items() if intent.old}
            for kind in kinds[2:]
        )
        return Journal(sync.decode(), sides[b"push"], sides[b"pull"], here, there)

    def begin(
        self,
        sync: str,
        pushed: Iterable[Intent],
        pulled: Iterable[Intent],
        closed_here: Iterable[bytes],
        closed_there: Iterable[bytes],
    ) -> None:
        """Write down what is about to be done (see `Journal`)."""
        words = [sync.encode()]
        closed = ([Intent(None, Version(r)) for r in side] for side in (closed_here, closed_there))
        kinds = (b"push", b"pull", b"here", b"there")
        for kind, intents in zip(kinds, (pushed, pulled, *closed), strict=True):
            for new, old in intents:
                if new or old:
                    words += (kind, *(new or _NOTHING), *(old or _NOTHING))
        rest = _joined(words)
        self._write("journal", b"%d\n%b" % (_sum(rest), rest))

    def forget_journal(self) -> None:
        """There is nothing to find out any more."""
        forget(f"{self.directory}/journal")

    def owner(self, root: str) -> Owner:
        """Who we are to the far end: a random id that is made once."""
        content = _read(f"{self.directory}/id")
        if not content or not content.isalnum():
            content = os.urandom(12).hex().encode()
            self._write("id", content, durable=False)  # the root tells us, too
        return Owner(content.decode(), machine(), root)

    def _write(self, name: str, content: bytes, durable: bool = True) -> None:
        path = f"{self.directory}/{name}"
        try:
            with open(f"{path}.new", "wb") as stream:
                stream.write(content)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            os.replace(f"{path}.new", path)
        except OSError as error:
            raise _unwritable(path, error) from error


@contextmanager
def store(ctx: Context, root: str, far: str) -> Iterator[Store]:
    """The store of the project at `root` and the place `far`, for this process alone.

    Raises ShellenvError if another sync of it is at work for too long, or if it cannot be made.
    """
    import fcntl
    import time

    from shellenv.cli import say

    directory = directory_of(ctx, root, far)
    paths.private_dir(directory, ctx.uid)
    try:
        descriptor = os.open(f"{directory}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ShellenvError(
            f"cannot write {directory}: {error.strerror}", "nothing was synced; check permissions"
        ) from error
    try:
        end = time.monotonic() + WAIT_SECONDS
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.fsdecode(os.pread(descriptor, 100, 0)).strip() or "unknown"
                if time.monotonic() > end:
                    raise ShellenvError(
                        f"another sync of {root} is at work (process {holder})",
                        "try again when it is done, or end it, and its rsync",
                    ) from None
                if not told:
                    say(f"shellenv: waiting for another sync of this project (process {holder})")
                    told = True
                time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        with suppress(OSError):  # the disk is full: those who wait do not know for whom
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield Store(directory, descriptor, _yard(far))
    finally:
        os.close(descriptor)


def directory_of(ctx: Context, root: str, far: str) -> str:
    """Where the store of a project and a far place is. Raises ShellenvError without a home."""
    base = paths.state_dir(ctx)
    if base is None:
        what = "there is no home directory to keep the state of syncs in"
        raise ShellenvError(what, "set HOME or XDG_STATE_HOME")
    key = fingerprint(os.fsencode(f"{root}\0{far}"))
    return f"{base}/sync/{os.path.basename(root)[:100]}-{key}"


def _yard(far: str) -> bytes:
    # not of the root, too: a project that has been moved finds what was left in it
    return OWN + b"/" + fingerprint(os.fsencode(far)).encode()


def machine() -> str:
    """This machine: its name, for people, and what tells it from others wherever it is.

    The latter is made of systemd's machine id, which is not to leave the machine as it is
    (machine-id(5)), or of a network card's address.
    """
    known = _read("/etc/machine-id")
    if not known:
        import uuid

        known = b"%x" % uuid.getnode()
    return f"{os.uname().nodename} {fingerprint(b'shellenv' + known)}"


def _unwritable(path: str, error: OSError) -> ShellenvError:
    return ShellenvError(
        f"cannot write {path}: {error.strerror}",
        "nothing is lost; check its permissions and the free space",
    )


def _sum(content: bytes) -> int:
    """Tells what was written from what a failing power has left of it: too little, or zeros."""
    import zlib

    return zlib.crc32(content)


def _joined(words: Sequence[bytes]) -> bytes:
    return b"\0".join([*words, b""])


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ShellenvError(f"cannot read {path}: {error.strerror}", "check its permissions") from (
            error
        )
