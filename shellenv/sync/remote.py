"""The far end of a sync: one shell at the dock that runs our small scripts, one after the other
(shell/sync.sh).

It needs what every Linux dock has: sh, GNU find and coreutils, gzip, flock (util-linux) and rsync;
with perl, which most have, it is better at one thing (see `aside`).
The shell holds a lock as long as it lives, and it ends when the connection does: its stdin is over.
Each answer is one gzip member, whose content ends with two NULs and the script's status. Before
each script is a line with its size and a word that nobody else knows: were the two ends ever to
disagree on where a list of names ends, no name could be taken for a script. The first sync's rsync
has the shell's own way for a while (see `channel.Loan`): another would take as long as a login.

Beside a project's directory, `<remote_root>/<user>/<name>`, there is `.shellenv/<name>` with

    owner          whose it is (`Owner`)
    lock, moving   locks: of this shell, whose number is in `holder`; of the rsync that writes there
    in, new        what rsync has brought, until it is put in its place; all of a first sync
    list, seen     the last listing, and one that the manifest is equal to (`seen.id` names it)
    was/<sync>     what a sync replaced or deleted, until it is verified
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from shellenv.errors import ShellenvError
from shellenv.installation import static_dir
from shellenv.sync import entry, swap
from shellenv.sync.channel import Channel, Loan

if TYPE_CHECKING:
    import threading

    from shellenv.sync.ignore import Rules
    from shellenv.sync.wish import Wish

# Where the disk is full, find is asked once more, and what it says goes over the line
_LISTING = """\
{now}[ -e "$root" ] || exit 0
cd -P "$root" || exit
if {find} >"$own/list" 2>/dev/null; then
  seen=
  [ ! -e "$own/seen.id" ] || read -r seen <"$own/seen.id"
  if [ -n "$seen" ] && [ "$seen" = {seen} ] && cmp -s "$own/list" "$own/seen"; then
    printf same
  else
    cat "$own/list"
  fi
else
  {find}
fi"""

_STATUS = len("\0\0255")
"""Bytes at the end of an answer that may be the status."""

_DIGEST = 'find "$@" -maxdepth 0 -type f -exec sha256sum -z -- {} +'
"""Prints the digests of the paths behind it, and never waits for a pipe."""

_DIGITS = 64

_OPENED = "find . -type d ! -perm -700 -exec chmod u+rwx {} +;"
"""What nobody can look into would not be seen."""

_AT_ONCE = 1 << 16
"""Bytes that the line takes, whatever the far end is at."""

_PRINT = shlex.join(word.replace("%P", "%p") for word in entry.find())
"""Words of find's that print records whose paths begin with `./`."""

FLUSH = "timeout {seconds} sync -f . >/dev/null 2>&1 || :"
"""Has what was written there on the disk, before a note here says that it is there: a power failure
would take it back, and the next sync took that for what somebody has done."""

_FLUSH_EACH = 'timeout 10 sync -- "$@"'
"""The same for some paths, without waiting for what others write."""

_NOW = "date +%s.%N; "
"""Prints the time there, for `_records`."""


class Owner(NamedTuple):
    """Whose a remote directory is: a random id, the machine, and the directory there."""

    id: str
    machine: str
    root: str

    def is_same(self, other: Owner) -> bool:
        """The same project: on the same machine, whatever that is called now, and by its id or,
        where that was lost, its place."""
        if self.machine.split()[-1:] != other.machine.split()[-1:]:
            return False
        return self.id == other.id or self.root == other.root

    def text(self) -> str:
        return "\n".join((self.id, self.machine, self.root)) + "\n"

    @classmethod
    def of(cls, text: str) -> Owner | None:
        lines = text.split("\n", 2)
        if len(lines) < 3 or not lines[1].strip():
            return None  # whoever wrote it did not come to an end
        return cls(lines[0], lines[1], lines[2].removesuffix("\n"))


class Place(NamedTuple):
    """What the far end said at the beginning. `old` is dockerutils' directory of that name, or "";
    `begun`: a first sync has left something in `new`, `came`: another one in `in`; `left` are the
    syncs that did so in `was`.
    """

    user: str
    root: str
    own: str
    owner: Owner | None
    exists: bool
    empty: bool
    old: str
    begun: bool
    came: bool
    left: tuple[str, ...]


class Listing(NamedTuple):
    """A scan of the far side, and when that was on its clock (ns). `records` is None if they are
    still those that the manifest has."""

    records: list[bytes] | None
    time: int


class Seen(NamedTuple):
    """What was looked at there: records, when that was on the clock there (ns), and digests."""

    records: list[bytes]
    time: int
    digests: dict[bytes, bytes]


class LostError(ShellenvError):
    """The connection is gone: what the other side did last is not known."""


class Remote:
    """The session, over a channel that may be there already. Use it as a context manager; leaving
    it ends the far shell."""

    def __init__(self, wish: Wish, owner: Owner, channel: Channel | None = None) -> None:
        self.label = wish.label or wish.ssh[-1].rpartition("@")[2]
        self._token = os.urandom(16).hex().encode()
        usable = channel is not None and channel.is_fresh and channel.ssh == wish.ssh
        self._channel = channel if channel and usable else Channel(wish.ssh)
        self._sender: threading.Thread | None = None
        try:
            self._send(_counted(_script(wish, owner, self._token)))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the far shell."""
        if self._sender is not None and self._sender.is_alive():
            self._channel.kill()  # nobody takes what it still has to say
            self._sender.join()
        self._channel.close()

    def place(self) -> Place:
        """What is there, once the lock is had. Raises ShellenvError for what makes a sync
        impossible: no rsync, a directory that cannot be made, another sync at work."""
        said = b"".join(self._parts())
        words = said.split(b"\0")
        if len(words) < 10:
            raise entry.garbled(said)
        state, user, root, own, owner, held, old, new, came, left = map(os.fsdecode, words[:10])
        if state == "busy":
            raise ShellenvError(
                f"another sync with {self.label}:{root} is at work", "try again when it is done"
            )
        if state == "moving":
            raise ShellenvError(
                f"the rsync of a sync that was interrupted still runs at {self.label}",
                "try again in a minute",
            )
        if state == "no rsync":
            raise ShellenvError(
                f"there is no rsync at {self.label}", "install it there: apt-get install rsync"
            )
        if state != "ok":
            why = state.splitlines()[-1].removeprefix("cannot ")
            raise ShellenvError(
                f"cannot use {self.label}:{os.path.dirname(root)}: {why}",
                f"ssh-dock {self.label} -- sudo install -d -o {user} {os.path.dirname(root)}; or "
                "[shellenv.sync] remote_root = ~/workspace in ~/.config/shellenv/dockerutils.cfg",
            )
        return Place(
            user,
            root,
            own,
            Owner.of(owner),
            held != "",
            held.strip() != "full",
            old,
            new != "",
            came == "full",
            tuple(left.split()),
        )

    def run(self, script: str) -> bytes:
        """Run a script there, with `$root` and `$own`; returns what it printed.

        Raises LostError if the connection ends, ShellenvError if the script's status is not 0.
        """
        return b"".join(self.parts(script))

    def parts(self, script: str) -> Iterator[bytes]:
        """`run`, but what is printed comes part by part, before the script is at its end."""
        self._ask(os.fsencode(script))
        return self._parts()

    @contextmanager
    def lent(self, then: str) -> Iterator[Loan]:
        """The channel for an rsync, after which the script `then` runs.

        Its answer is the `rest`. Where the loan is not over afterwards, the connection is `lost`.
        """
        self._wait_for_sender()
        loan = Loan(self._channel, self._token, _counted(then))
        try:
            yield loan
        finally:
            loan.end()

    def rest(self) -> Iterator[bytes]:
        """What the script prints that was to run after a loan, part by part."""
        return self._parts()

    def listing(self, rules: Rules, seen: str = "") -> Listing:
        """Every record below the root. Not if they are those that were `remember`ed as `seen`.

        Raises ShellenvError if not all could be seen.
        """
        find = f"find . {shlex.join(('-mindepth', '1', *entry.find(rules.pruned)))}"
        script = _LISTING.format(now=_NOW, find=find, seen=shlex.quote(seen))
        for _ in range(3):  # a directory may go while find looks into it
            try:
                out = self.run(script)
                break
            except LostError:
                raise
            except ShellenvError as error:
                failed = error
        else:
            raise failed
        records, now = _records(out)
        return Listing(None if records == [b"same"] else records, now)

    def remember(self, seen: str) -> None:
        """Keep the last listing there, under this name, so that the next need not be sent."""
        self.run(f'mv -f "$own/list" "$own/seen" && echo {shlex.quote(seen)} >"$own/seen.id"')

    def look(
        self,
        paths: Sequence[bytes],
        deep: bool = False,
        read: Sequence[bytes] = (),
        durably: bool = False,
    ) -> Seen:
        """The records of these paths, as far as they are there.

        `deep`: also of all that is below them. `read`: the files whose digests are wanted; they are
        read before anything is looked at. `durably`: what is there is on the disk by then, unless
        that takes too long.
        """
        find = f'find "$@" {"" if deep else "-maxdepth 0 "}{_PRINT}'
        few = len(paths) <= swap.FEW
        steps = [FLUSH.format(seconds=10)] if durably and not few else []
        flushed = paths if durably and few else ()
        lists = [(flushed, _FLUSH_EACH), (read, _DIGEST), (paths, find)]
        return self._look('"$root"', lists, steps=steps)

    def empty(self, paths: Sequence[bytes]) -> set[bytes]:
        """Those of these directories that are there, and have nothing in them."""
        find = f'find "$@" -maxdepth 0 -type d -empty "(" {_PRINT} ")"'
        seen = self._look('"$root"', [(paths, find)])
        return {entry.path_of(record) for record in seen.records}

    def came(self, paths: Sequence[bytes], read: Sequence[bytes] = ()) -> Seen:
        """The records of those of these paths that have come in, and are not in their places, and
        the digests of some."""
        return self._look(
            '"$own/in"', [(read, _DIGEST), (paths, f'find "$@" -maxdepth 0 {_PRINT}')]
        )

    def aside(self, sync: str, read: Sequence[bytes]) -> Seen:
        """What a sync has set aside, and the digests of some of it."""
        last = f"{_OPENED} find . -mindepth 1 {_PRINT}"
        return self._look(f'"$own/was/{sync}"', [(read, _DIGEST)], last)

    def _look(
        self,
        directory: str,
        lists: Sequence[tuple[Sequence[bytes], str]],
        last: str = "",
        steps: Iterable[str] = (),
    ) -> Seen:
        """What commands print that are run in a directory, each for its list of paths; then what
        `last` prints. The `steps` come first, and print nothing.

        The lists come over the line and are written nowhere: the disk there may be full.
        Raises ShellenvError if a command was killed, or if the directory is there and cannot be
        entered.
        """
        enter = f"if [ -e {directory} ]; then cd -P {directory} || exit; else directory=; fi"
        steps, content = [enter, *steps], b""
        for paths, command in lists:
            if paths:
                packed = _packed(paths)
                content += packed
                steps.append(f"each {len(packed)} {shlex.quote(command)}")
        steps.append(f'[ -z "$directory" ] || {{ {last or ":"}; }}')
        self._ask(os.fsencode(f"{_NOW}directory=1\n" + "\n".join(steps)), content)
        said, now = _records(b"".join(self._parts()))
        records, digests = [], {}
        for words in said:
            digest, _, path = words.partition(b"  ./")
            if len(digest) == _DIGITS and b" " not in digest:
                digests[path] = digest
            else:
                records.append(words.replace(b" ./", b" ", 1))
                entry.check(records[-1])
        return Seen(records, now, digests)

    # --- the protocol ---------------------------------------------------------------------------

    def _ask(self, code: bytes, content: bytes = b"") -> None:
        """Send a script, and what it is to read."""
        import threading

        self._wait_for_sender()
        self._send(b"%b %d\n" % (self._token, len(code)) + code)
        if len(content) <= _AT_ONCE:
            self._send(content)
        else:  # it may answer to the first of it before it takes the last
            self._sender = threading.Thread(target=self._send_all, args=[content], daemon=True)
            self._sender.start()

    def _wait_for_sender(self) -> None:
        if self._sender is not None:
            self._sender.join()
            self._sender = None

    def _send(self, data: bytes) -> None:
        try:
            self._channel.send(data)
        except OSError:
            raise self.lost() from None

    def _send_all(self, data: bytes) -> None:
        from contextlib import suppress

        with suppress(OSError, ValueError):  # then there is no answer, either
            self._channel.send(data)

    def _parts(self) -> Iterator[bytes]:
        import zlib

        inflate = zlib.decompressobj(31)
        text = b""
        while not inflate.eof:
            chunk = self._channel.stdout.read1(1 << 18)  # type: ignore[attr-defined]
            if not chunk:
                raise self.lost()
            try:
                text += inflate.decompress(chunk)
            except zlib.error:
                raise ShellenvError(
                    f"{self.label} says something of its own before it runs commands",
                    "a shell's start-up files must be silent for `ssh HOST command`",
                ) from None
            yield text[:-_STATUS]
            text = text[-_STATUS:]
        text, _, status = text.rpartition(b"\0\0")
        if status != b"0":
            said = self.errors()
            raise ShellenvError(
                f"{self.label}: {said or 'a command failed there'}",
                "what was done is kept; the next sync does the rest",
            )
        yield text

    def errors(self) -> str:
        """The last line that the far end (or ssh) has said on stderr."""
        lines = self.said().splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def said(self) -> str:
        """What the far end (or ssh) has said on stderr, with what its rsync says on a loan."""
        return self._channel.said()

    def because(self) -> str:
        """`errors`, as the end of a sentence."""
        said = self.errors()
        return f": {said}" if said else ""

    def lost(self) -> LostError:
        """The error of a connection that is gone."""
        return LostError(
            f"the connection to {self.label} is lost{self.because()}",
            "the next sync finds out how far this one came",
        )


def _script(wish: Wish, owner: Owner, token: bytes) -> str:
    """What the far shell runs.

    It is told who we are, because our own lock here says that no sync of ours is at work: whoever
    holds the lock there as us is left over from a connection that broke.
    """
    values = {
        "remote": wish.remote_root,
        "name": wish.name,
        "dry": str(int(wish.dry)),
        "owner": f"{owner.id}\n{owner.machine}",
        "token": token.decode(),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    with open(f"{static_dir()}/sync.sh", encoding="utf-8") as stream:
        return "\n".join([*lines, stream.read()])


def _counted(script: str) -> bytes:
    """A script, behind the number of its bytes."""
    code = os.fsencode(script)
    return b"%d\n" % len(code) + code


def _packed(paths: Iterable[bytes]) -> bytes:
    import zlib

    packed = zlib.compressobj(1, wbits=31)
    return packed.compress(b"".join(b"./%b\0" % path for path in paths)) + packed.flush()


def _records(out: bytes) -> tuple[list[bytes], int]:
    first, _, rest = out.partition(b"\n")
    records = rest.split(b"\0")
    if records and not records[-1]:
        records.pop()
    return records, nanoseconds(first)


def nanoseconds(text: bytes) -> int:
    """Nanoseconds of what `date` says. Raises ShellenvError if it is something else."""
    seconds, _, fraction = text.strip().partition(b".")
    try:
        return int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    except ValueError:
        raise entry.garbled(text) from None
