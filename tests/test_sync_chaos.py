"""Edits on both sides, syncs, and kills, all at the same time: no version is ever lost.

Two people write, replace, rename and delete files, one here and one there, while syncs run and are
killed: their own process, an rsync or ssh of theirs, an rsync or shell at the far end. Each write
has a content that no other has. A version must be there until a person has replaced or deleted it,
and each does so in a way that tells exactly what was replaced.

`SHELLENV_SYNC_SECONDS` makes it longer, `SHELLENV_SYNC_SEED` other.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from docksync import Far, Pair, contents, tree
from harness import write

from shellenv.sync import swap
from shellenv.sync.wish import DOWN, UP

SEED = "the wide sea"
SECONDS = 40.0
WORDS = ("a", "b", "c", "d", "e", "sub dir", "x\ny", "-z")


class Person:
    """Someone who edits one of the trees. `destroyed` is what they have replaced or deleted."""

    def __init__(self, name: str, root: Path, base: Path, owner: tuple[int, int] | None, seed: str):
        self.name, self.root, self.owner = name, root, owner
        self.bin = base / f"bin of {name}"
        self.bin.mkdir()
        self.random = random.Random(seed + name)
        self.count = 0
        self.edits = 0
        self.written: set[bytes] = set()
        self.destroyed: set[bytes] = set()
        self.log: list[str] = []

    def edit(self) -> None:
        """Do something, as far as the other things that happen let it be done."""
        kinds = [self.replace, self.replace, self.in_place, self.in_place, self.create]
        kinds += [self.create, self.delete, self.move, self.mode, self.tree, self.untree]
        kinds += [self.quietly, self.quietly]
        with suppress(OSError):
            self.random.choice(kinds)()
            self.edits += 1

    def path(self, depth: int = 2) -> Path:
        words = [self.random.choice(WORDS) for _ in range(self.random.randint(1, depth))]
        return self.root.joinpath(*words)

    def existing(self) -> Path:
        """A file that is there."""
        found = [
            Path(directory, name)
            for directory, _, files in os.walk(self.root)
            for name in files
            if ".shellenv-sync" not in directory
        ]
        if not found:
            raise FileNotFoundError
        return self.random.choice(sorted(found))

    def content(self) -> bytes:
        self.count += 1
        size = self.random.choice((0, 10, 10, 3000, 200_000))
        return f"{self.name} {self.count} ".encode() + b"." * size

    def draft(self) -> tuple[Path, bytes]:
        content = self.content()
        path = self.bin / f"draft {self.count}"
        path.write_bytes(content)
        if self.owner:
            os.chown(path, *self.owner)
        return path, content

    def exchange(self, draft: Path, path: Path, *, replace: bool) -> None:
        """Put a draft in the place of a file, or where nothing is, in one step."""
        source = os.open(draft.parent, os.O_RDONLY)
        target = -1
        try:
            target = os.open(path.parent, os.O_RDONLY | os.O_NOFOLLOW)
            names = (source, os.fsencode(draft.name), target, os.fsencode(path.name))
            if replace:
                swap.exchange(*names, lambda: source)
            else:
                swap.place(*names)
        finally:
            os.close(source)
            if target >= 0:
                os.close(target)

    def create(self) -> None:
        path = self.path()
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.own(path.parent)
        draft, content = self.draft()
        self.exchange(draft, path, replace=False)
        self.written.add(content)
        self.note("creates", path, content)

    def replace(self) -> None:
        path = self.existing()
        draft, content = self.draft()
        self.exchange(draft, path, replace=True)
        self.written.add(content)
        self.lose(draft)
        self.note("replaces", path, content)

    def in_place(self) -> None:
        path = self.existing()
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            before = os.pread(descriptor, 1 << 20, 0)
            content = self.content()
            self.written.add(content)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, content, 0)
            self.destroyed.add(before)
            self.note(f"writes over {before[:12]!r}", path, content)
        finally:
            os.close(descriptor)

    def quietly(self) -> None:
        """Neither the size nor the time say it."""
        path = self.existing()
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            times, before = os.fstat(descriptor), os.pread(descriptor, 1 << 20, 0)
            content = self.content()[: len(before)].ljust(len(before), b".")
            if len(content.strip(b".")) < 10:
                return
            self.written.add(content)
            os.pwrite(descriptor, content, 0)
            os.utime(descriptor, ns=(times.st_atime_ns, times.st_mtime_ns))
            self.destroyed.add(before)
            self.note(f"writes quietly over {before[:12]!r}", path, content)
        finally:
            os.close(descriptor)

    def delete(self) -> None:
        path = self.existing()
        gone = self.bin / f"gone {self.count} {self.random.random()}"
        path.rename(gone)
        self.lose(gone)
        self.note("deletes", path, b"")

    def move(self) -> None:
        path, target = self.existing(), self.path()
        self.exchange(path, target, replace=False)
        self.note(f"moves {path.relative_to(self.root)} to", target, b"")

    def mode(self) -> None:
        os.chmod(self.existing(), self.random.choice((0o644, 0o600, 0o755)))

    def tree(self) -> None:
        """A directory in the place of a file."""
        path = self.existing()
        gone = self.bin / f"gone {self.count} {self.random.random()}"
        path.rename(gone)
        self.lose(gone)
        path.mkdir()
        self.own(path)
        draft, content = self.draft()
        self.exchange(draft, path / self.random.choice(WORDS), replace=False)
        self.written.add(content)
        self.note("makes a directory of", path, content)

    def untree(self) -> None:
        """A file in the place of a directory."""
        path = self.path()
        if path.is_dir() and self.random.random() < 0.3:
            draft, content = self.draft()
            self.exchange(draft, path, replace=True)
            self.written.add(content)
            self.lose(draft)
            self.note("makes a file of", path, content)

    def note(self, what: str, path: Path, content: bytes) -> None:
        """For whoever has to find out how a version was lost."""
        when = time.strftime("%T") + f"{time.time() % 1:.4f}"[1:]
        self.log.append(f"{when} {self.name} {what} {path.relative_to(self.root)} {content[:12]!r}")

    def lose(self, path: Path) -> None:
        """Note what is gone by this person's own hand."""
        time.sleep(0.001)  # whoever has it open and writes
        if path.is_dir() and not path.is_symlink():
            self.destroyed |= contents(path)
        elif path.is_file():
            self.destroyed.add(path.read_bytes())

    def own(self, path: Path) -> None:
        if self.owner:
            while path != self.root and path.exists():
                os.chown(path, *self.owner)
                path = path.parent


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process has started, and theirs."""
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    for word in done.stdout.split():
        yield int(word)
        yield from descendants(int(word))


def kill_one(pair: Pair, sync: subprocess.Popen[bytes], dice: random.Random) -> str:
    """Kill one of the processes that a sync consists of; returns which."""
    choice = dice.randrange(4)
    victims = [sync.pid]
    if choice in (1, 2):
        victims = list(descendants(sync.pid))
    elif choice == 3:
        names = dice.choice(("rsync", "sh", "find", "mv"))
        argv = ["pgrep", "-u", pair.far.user, "-x", names]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        victims = [int(word) for word in done.stdout.split()]
    if victims:
        victim = dice.choice(victims)
        with suppress(OSError):
            words = Path(f"/proc/{victim}/cmdline").read_bytes().replace(b"\0", b" ")
            os.kill(victim, signal.SIGKILL)
            return os.fsdecode(words[-60:])
    return "nothing"


def last_words(sync: subprocess.Popen[bytes], log: list[str]) -> bytes:
    """What a sync says on stderr, which comes to its end in time."""
    try:
        return sync.communicate(timeout=150)[1]
    except subprocess.TimeoutExpired:
        shown = ["ps", "-eo", "pid,ppid,etimes,wchan:20,args", "--forest"]
        print(*log, sep="\n")  # noqa: T201
        subprocess.run(shown, check=False)
        raise


def calm(pair: Pair, people: list[Person], log: list[str]) -> None:
    """Sync until both sides are the same, and look for every version that must be there."""
    pair.far.own(pair.remote_root)
    outcomes = []
    for number in range(8):
        direction = pair.up if number % 2 == 0 else pair.down
        outcomes.append(direction(restore=True))
        if tree(pair.here) == tree(pair.there):
            break
    assert tree(pair.here) == tree(pair.there), outcomes[-2:]
    written = set().union(*(person.written for person in people))
    destroyed = set().union(*(person.destroyed for person in people))
    lost = written - destroyed - contents(pair.here)
    assert not lost, history(lost, [*log, *(line for person in people for line in person.log)])
    assert not (pair.here / ".shellenv-sync").exists()


def history(lost: set[bytes], log: list[str]) -> str:
    """What happened around the versions that are lost."""
    names = sorted(version[:12] for version in lost)
    about = [n for n, line in enumerate(sorted(log)) if any(repr(name) in line for name in names)]
    wanted = {k for n in about for k in range(n - 8, n + 25)}
    told = [line for n, line in enumerate(sorted(log)) if n in wanted]
    return "\n".join([f"lost: {names}", *told])


def test_no_version_is_lost_whatever_is_killed(far: Far, tmp_path: Path) -> None:
    seed = os.environ.get("SHELLENV_SYNC_SEED", SEED)
    end = time.monotonic() + float(os.environ.get("SHELLENV_SYNC_SECONDS", SECONDS))
    dice = random.Random(seed)
    pair = Pair(far, tmp_path).started(first="first")
    people = [
        Person("here", pair.here, tmp_path, None, seed),
        Person("there", pair.there, far.home, (far.uid, far.gid), seed),
    ]
    stop = threading.Event()

    def work(person: Person) -> None:
        while not stop.is_set():
            person.edit()
            if person.random.random() < 0.1:
                time.sleep(person.random.random() * 0.2)

    syncs = kills = 0
    log: list[str] = []

    def note(text: str) -> None:
        log.append(time.strftime("%T") + f"{time.time() % 1:.4f}"[1:] + f" sync {text}")

    try:
        while time.monotonic() < end:
            stop.clear()
            threads = [threading.Thread(target=work, args=(person,)) for person in people]
            for thread in threads:
                thread.start()
            for _ in range(6):
                direction = dice.choice((UP, DOWN))
                note(f"{direction} starts")
                sync = pair.spawn(direction)
                syncs += 1
                if dice.random() < 0.7:
                    time.sleep(dice.random() * 0.7)
                    note(f"kill: {kill_one(pair, sync, dice)}")
                    kills += 1
                said = last_words(sync, log)
                note(f"ends with {sync.returncode}: {said[-200:]!r}")
            stop.set()
            for thread in threads:
                thread.join()
            calm(pair, people, log)
    finally:
        stop.set()
        for person in people:
            shutil.rmtree(person.bin)
    assert syncs > 5
    edits = sum(person.edits for person in people)
    print(f"{edits} edits, {syncs} syncs, {kills} kills")  # noqa: T201


def test_no_version_is_lost_of_a_first_sync_whatever_is_killed(far: Far, tmp_path: Path) -> None:
    """Now and then, somebody there is quicker than it."""
    seed = os.environ.get("SHELLENV_SYNC_SEED", SEED)
    end = time.monotonic() + float(os.environ.get("SHELLENV_SYNC_SECONDS", SECONDS)) / 4
    dice = random.Random(seed)
    rounds = 0
    while time.monotonic() < end or rounds < 3:
        rounds += 1
        base = tmp_path / str(rounds)
        pair = Pair(far, base)
        people = [Person("here", pair.here, base, None, f"{seed}{rounds}")]
        for number in range(150):
            write(pair.here / "more" / str(number), "more")
            people[0].edit()
        if dice.random() < 0.3:
            owner = (far.uid, far.gid)
            people.append(Person("there", pair.there, base, owner, f"{seed}{rounds}"))
        log: list[str] = []
        for _ in range(dice.randrange(1, 4)):
            sync = pair.spawn(UP)
            until = time.monotonic() + dice.random() * 0.7
            while time.monotonic() < until:
                person = dice.choice(people)
                if person.root.exists():
                    person.edit()
            log.append(f"kill: {kill_one(pair, sync, dice)}")
            said = last_words(sync, log)
            log.append(f"ends with {sync.returncode}: {said[-200:]!r}")
        calm(pair, people, log)
    print(f"{rounds} first syncs")  # noqa: T201
