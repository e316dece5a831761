"""rsync's part: moving the bytes of listed paths, one way, over the connection that is there."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple

from shellenv import files
from shellenv.errors import ShellenvError

if TYPE_CHECKING:
    import subprocess

    from shellenv.sync.channel import Loan

COMMON = (
    *("--links", "--perms", "--times", "--dirs", "--omit-dir-times"),
    # set-uid and its like do not travel; all else of the mode does
    *("--chmod=u-s,g-s,o-t", "--protect-args", "--from0", "--files-from=-"),
    # ends what waits for a connection that is gone
    "--timeout=60",
)

LARGE = 1 << 26
"""Bytes from which on holes in a file matter."""


ENDED = (0, 23, 24)
"""rsync's statuses for: all, some, or all that were still there have been brought over."""


class Moved(NamedTuple):
    """What came of an rsync: its status and last words; 0 if all went well."""

    status: int
    said: str


def push(ssh: Sequence[str], root: str, target: str, own: str, sparse: bool) -> list[str]:
    """The command line that brings listed paths from `root` to `own`/in there.

    Files of `target` that changed only in part are completed from what is there. `sparse`: there
    are large files; what has come of one when it is cut off stays, and the next one goes on.
    """
    options = [
        *(*COMMON, "--chmod=Du+rwx", "--ignore-times", f"--copy-dest={target}", "--force"),
        *(["--sparse", "--partial"] if sparse else []),
        f"--rsync-path=flock -s {shlex.quote(own + '/moving')} rsync",
    ]
    return ["rsync", *options, *_way(ssh), f"{root}/", f"{_host(ssh)}:{own}/in/"]


def push_all(
    ssh: Sequence[str],
    root: str,
    own: str,
    left_out: str,
    pruned: Sequence[str],
    again: bool,
    sparse: bool,
    few: bool,
) -> list[str]:
    """The command line that brings all of `root` to `own`/new there, but not the paths in the file
    `left_out`, nor what matches `pruned` (see `ignore.Rules`).

    `again`: some of it may be there, of any age. Else nothing is, and files are written in their
    places: a tenth faster than by way of temporary ones. `sparse`: there are large files, with
    holes perhaps; what has come of one when it is cut off stays. `few`: it is faster, too, to send
    the list of all before the first file, if that is not long.
    """
    options = [
        *("--recursive", "--links", "--perms", "--times", "--omit-dir-times"),
        *(["--checksum", "--delete", "--delete-excluded"] if again else []),
        *("--chmod=u-s,g-s,o-t", "--protect-args", "--from0", f"--exclude-from={left_out}"),
        *(f"--exclude={_pattern(pattern)}" for pattern in pruned),
        "--timeout=60",
        *(["--no-inc-recursive"] if few else []),
        # rsync 3.1.2 cannot do both
        *(["--sparse", "--partial"] if sparse else [] if again else ["--inplace"]),
        f"--rsync-path=flock -s {shlex.quote(own + '/moving')} rsync",
    ]
    return ["rsync", *options, *_way(ssh), f"{root}/", f"{_host(ssh)}:{own}/new/"]


def excluded(paths: Iterable[bytes]) -> Iterable[bytes]:
    """Paths as patterns of rsync's that match them alone."""
    return (b"/" + _literal(path) for path in paths)


def _pattern(pattern: str) -> str:
    """Docker's as rsync's."""
    name = pattern.removeprefix("**/")
    return f"/{name}" if name == pattern else name


def _literal(name: bytes) -> bytes:
    """A name as a pattern: a backslash means something only where a wildcard is, too (rsync(1))."""
    return re.sub(rb"([\\*?\[])", rb"\\\1", name) if set(name) & set(b"*?[") else name


def pull(
    ssh: Sequence[str], source: str, staging: str, root: str, sparse: bool, trust: bool
) -> list[str]:
    """The command line that brings listed paths from `source` there to `staging` here.

    Files of `root` that changed only in part are completed from what is there. `trust`: do not
    compare what comes with the list (see `must_trust`).
    """
    options = [*COMMON, "--ignore-times", f"--copy-dest={root}", *(["--sparse"] if sparse else [])]
    options += ["--trust-sender"] if trust else []
    return ["rsync", *options, *_way(ssh), f"{_host(ssh)}:{source}/", f"{staging}/"]


def by_hand(ssh: Sequence[str], root: str, target: str, up: bool) -> list[str]:
    """The command line that brings listed paths from `root` to the directory `target` there, or
    back, for people: straight into their places."""
    near, far = f"{root}/", f"{_host(ssh)}:{target}/"
    made = [f"--rsync-path=mkdir -p {shlex.quote(target)} && rsync"] if up else []
    ends = [near, far] if up else [far, near]
    return ["rsync", *COMMON, "--ignore-times", *made, *_way(ssh), *ends]


def must_trust(names: Iterable[bytes], env: dict[str, str]) -> bool:
    """Is rsync to be told to trust the other side, as it would refuse one of these names and all
    the others with it?

    Since 3.2.5 it compares what comes with what was asked for, and misreads a backslash beside a
    wildcard, and long paths. Where it has no such option, it does not compare. What comes goes into
    a directory of ours, and only what was asked for goes on from there.
    """
    if not any(len(name) > 1000 or (b"\\" in name and set(name) & set(b"*?[")) for name in names):
        return False
    from shellenv.processes import subprocess

    done = subprocess.run(["rsync", "--help"], env=env, capture_output=True, check=False)
    return b"--trust-sender" in done.stdout


def run(
    command: Sequence[str],
    listing: str,
    paths: Iterable[bytes],
    env: dict[str, str],
    keep: Sequence[int],
    update: Callable[[int], None] | None = None,
    meanwhile: Callable[[], object] | None = None,
    loan: Loan | None = None,
) -> Moved:
    """Run an rsync for these paths, which the file `listing` will list.

    `keep` are descriptors that it shall have: locks that are held as long as it runs. `update` is
    told now and then how many bytes are done. `meanwhile` is called once, while it runs. It goes
    by way of `loan`, and else by its own.
    Raises ShellenvError if there is no usable rsync, or if the list cannot be written.
    """
    try:
        with open(listing, "wb") as names:
            names.write(b"".join(b"%b\0" % listed(path) for path in paths))
    except OSError as error:
        raise ShellenvError(
            f"cannot write {listing}: {error.strerror}",
            "nothing is lost; check its permissions and the free space",
        ) from error
    words = [command[0], *(["--info=progress2"] if update else []), *command[1:]]
    if loan:
        words[words.index("-e") + 1] = loan.relay
        keep = (*keep, *loan.ends)
        loan.begin()
    with files.unnamed() as errors:
        with _at_work(words, env, keep, errors) as child:
            assert child.stdout
            if loan:
                loan.begun()
            if meanwhile:
                meanwhile()
            while said := os.read(child.stdout.fileno(), 4096):
                if update and (found := re.findall(rb"([\d,.]+) +\d+%", said)):
                    update(int(re.sub(rb"\D", b"", found[-1])))
            status = child.wait()
        if status in (1, 2, 4):  # syntax or usage; protocol; a feature that it does not have
            _check_version(env)
        errors.seek(0)
        return Moved(status, meaning(os.fsdecode(errors.read()[-65536:])))


@contextmanager
def _at_work(
    words: Sequence[str], env: dict[str, str], keep: Sequence[int], errors: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """An rsync, which ends at the latest with the `with` statement: also where Ctrl-C comes while
    it is being started, and nobody would know of it. Raises ShellenvError if there is none."""
    import signal

    from shellenv.processes import subprocess

    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = None
    try:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**env, "LC_ALL": "C"},
            pass_fds=keep,
            start_new_session=True,
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        yield child
    except BaseException as error:
        if child is not None:
            child.terminate()
            child.wait()
        elif isinstance(error, FileNotFoundError):
            hint = "install rsync 3.1 or newer"
            raise ShellenvError("rsync is not in PATH", hint) from None
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        if child is not None and child.stdout is not None:
            child.stdout.close()


def _check_version(env: dict[str, str]) -> None:
    """Raise ShellenvError if the rsync here is too old, or none of Samba's."""
    from shellenv.processes import subprocess

    done = subprocess.run(["rsync", "--version"], env=env, capture_output=True, check=False)
    line = os.fsdecode(done.stdout or done.stderr).partition("\n")[0].strip()
    found = re.match(r"rsync +version v?(\d+)\.(\d+)", line)
    if found is None or (int(found[1]), int(found[2])) < (3, 1):
        raise ShellenvError(
            f"the rsync here is too old: {line or 'it says no version'}",
            "install rsync 3.1 or newer (macOS: brew install rsync)",
        )


def listed(path: bytes) -> bytes:
    """A path as a line of `--files-from`, where a line with # or ; in front is a comment."""
    return b"./" + path if path.startswith((b"#", b";")) else path


def meaning(said: str) -> str:
    """The line of rsync's that says what was wrong, not the one that says that something was."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r": .*\(\d+\)$", line) and "(code" not in line]
    return (telling or lines or [""])[0]


def _way(ssh: Sequence[str]) -> list[str]:
    words = list(ssh[:-1])
    if words and words[-1] == "--":  # rsync puts `-l USER` behind the words
        words.pop()
    return ["-e", " ".join(map(_word, words))]


def _host(ssh: Sequence[str]) -> str:
    user, at, host = ssh[-1].rpartition("@")
    return f"{user}{at}[{host}]" if ":" in host else ssh[-1]


def _word(word: str) -> str:
    """A word for rsync's `-e`: quotes, no backslashes, a quote in quotes is written twice."""
    if re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII):
        return word
    return "'" + word.replace("'", "''") + "'"
