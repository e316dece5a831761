"""A project here and its directory at a dock, for tests of the sync: real sshd, ssh and rsync.

The far side is the home directory of a throw-away unix user, reached by ssh only. A test has a
`Pair` for itself; the server and the connection to it are shared.

As a program it runs one sync, so that a test can kill it: `docksync.py DIRECTION WISH`, the latter
as JSON (see `Pair.spawn`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from harness import require
from places import context
from servers import Server, User, python_for_others

from shellenv.context import Context
from shellenv.sync import bracket, ignore
from shellenv.sync.wish import DOWN, UP, Outcome, Wish


class Far(NamedTuple):
    """A machine to sync with: the words that run a command there, and who does."""

    words: tuple[str, ...]
    home: Path
    user: str
    uid: int
    gid: int

    def own(self, top: Path) -> None:
        """Give its user what a test has put there as root."""
        for above, directories, files in os.walk(top):  # an rsync may be coming to its end in there
            for name in (".", *directories, *files):
                path = os.path.join(above, name)
                with suppress(FileNotFoundError):
                    if os.lstat(path).st_uid != self.uid:
                        os.chown(path, self.uid, self.gid, follow_symlinks=False)


class Pair:
    """A project here, its directory there, and the syncs between them."""

    def __init__(self, far: Far, base: Path, name: str = "project") -> None:
        self.far = far
        self.base = base
        self.name = name
        self.here = base / name
        self.here.mkdir(parents=True)
        workspace = far.home / "workspace"
        workspace.mkdir(exist_ok=True)
        os.chown(workspace, far.uid, far.gid)
        self.remote_root = workspace / base.name
        self.there = self.remote_root / far.user / name
        self.home = base / "home"
        self.home.mkdir(exist_ok=True)
        self.told: list[str] = []

    @property
    def context(self) -> Context:
        return context(self.home)._replace(shell_env=dict(os.environ))

    def wish(self, *patterns: str, git: bool = False, **options: bool) -> Wish:
        rules = [ignore.cleaned(text, ignore.BUILT_IN) for text in (*ignore.DEFAULTS, *patterns)]
        return Wish(
            str(self.here),
            self.far.words,
            str(self.remote_root),
            self.name,
            ignore.Rules([rule for rule in rules if rule], git),
            "dock",
            self.told.append,
            adopt=options.get("adopt", False),
            restore=options.get("restore", False),
            accept_empty=options.get("accept_empty", False),
        )

    def up(self, *patterns: str, git: bool = False, **options: bool) -> Outcome:
        return self.sync(UP, self.wish(*patterns, git=git, **options))

    def down(self, *patterns: str, git: bool = False, **options: bool) -> Outcome:
        return self.sync(DOWN, self.wish(*patterns, git=git, **options))

    def sync_up(self) -> Outcome:
        """Only that: no file there is given to its user first."""
        return bracket.sync(self.context, self.wish(), UP)

    def sync(self, direction: str, wish: Wish | None = None) -> Outcome:
        self.far.own(self.remote_root)
        return bracket.sync(self.context, wish or self.wish(), direction)

    def both(self) -> None:
        """Up and down, until nothing is left to do; then both sides are the same."""
        for _ in range(4):
            if not (self.up().did_anything | self.down().did_anything):
                assert tree(self.here) == tree(self.there)
                return
        raise AssertionError("the syncs come to no end")

    def started(self, **files: str) -> Pair:
        """Make files here, and bring them up."""
        for name, content in files.items():
            (self.here / name).write_text(content)
        self.up()
        return self

    def spawn(self, direction: str) -> subprocess.Popen[bytes]:
        """A sync in a process of its own."""
        wish = {
            "root": str(self.here),
            "ssh": self.far.words,
            "remote_root": str(self.remote_root),
            "name": self.name,
            "home": str(self.home),
        }
        argv = [sys.executable, __file__, direction, json.dumps(wish)]
        return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def tree(root: Path) -> dict[str, object]:
    """What a directory holds, by path: a file's mode and content, a link's target, a directory's
    mode. Names that are not UTF-8 have surrogates."""
    found: dict[str, object] = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            key = str(path.relative_to(root))
            if path.is_symlink():
                found[key] = ("link", os.readlink(path))
            elif path.is_dir():
                mode = path.stat().st_mode & 0o777
                # One that its owner cannot enter may be one that they can on the other side.
                found[key] = ("directory", mode if mode & 0o100 else mode | 0o700)
            elif path.is_file():
                found[key] = (path.stat().st_mode & 0o777, path.read_bytes())
            else:
                found[key] = "special"
    return found


def contents(root: Path) -> set[bytes]:
    """The content of every file below `root`."""
    return {
        path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.is_symlink()
    }


def again(path: Path, content: str) -> None:
    """Write a file so that its time does not say it; nor its size, if that is the same."""
    times = path.stat()
    path.write_text(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextmanager
def machine() -> Iterator[Far]:
    """A machine that root can reach as a throw-away user, with a connection to it."""
    require("ssh", "rsync", "setpriv", "useradd")
    python = python_for_others() if os.geteuid() == 0 else None
    if python is None or not os.path.exists("/usr/sbin/sshd"):
        message = "needs root, sshd, and a Python that other users can run"
        pytest.skip(message)
    assert python is not None
    base = Path(tempfile.mkdtemp(prefix="shellenv-sync-"))
    base.chmod(0o755)
    user = User(base, f"shellenvs{os.getpid()}", python)
    user.move_in()
    server = Server(base / "dock", user, "127.0.0.1", programs=":/usr/bin:/bin")
    (base / "known").write_text(server.known_line())
    words = ["-i", f"{base}/key", "-o", f"UserKnownHostsFile={base}/known"]
    words += ["-p", str(server.port), "-l", user.name, server.address]
    with master(words, base) as connection:
        yield Far(connection, user.home, user.name, user.uid, user.gid)
    server.stop()
    user.remove()
    shutil.rmtree(base)


@contextmanager
def master(words: list[str], directory: Path) -> Iterator[tuple[str, ...]]:
    """A connection that other ssh commands share: the words that run a command over it."""
    control = directory / "ctl"
    child = subprocess.Popen(["ssh", "-MNT", "-S", control, *words])
    try:
        end = time.monotonic() + 60
        while not control.exists():
            assert child.poll() is None
            assert time.monotonic() < end, "no connection"
            time.sleep(0.01)
        yield ("ssh", "-S", str(control), *words)
    finally:
        child.terminate()
        child.wait()


def _main(direction: str, wish: Mapping[str, str]) -> None:
    rules = [ignore.cleaned(text, ignore.BUILT_IN) for text in ignore.DEFAULTS]
    chosen = Wish(
        wish["root"],
        tuple(wish["ssh"]),
        wish["remote_root"],
        wish["name"],
        ignore.Rules([rule for rule in rules if rule]),
        "dock",
        lambda text: print(text, file=sys.stderr),  # noqa: T201
    )
    ctx = context(Path(wish["home"]))._replace(shell_env=dict(os.environ))
    outcome = bracket.sync(ctx, chosen, direction)
    if outcome.problem:
        raise outcome.problem


if __name__ == "__main__":
    _main(sys.argv[1], json.loads(sys.argv[2]))
