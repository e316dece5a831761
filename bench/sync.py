"""The sync itself beside bare rsync, over the same connection; and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from bench.row import Row

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from docksync import Far, Pair, machine

COUNTS = {10_000: 7, 100_000: 3}  # files, and how often
ENTRIES = 1_000_000

MEMORY = """
import resource, sys
from shellenv.sync.manifest import Manifest, Store
from shellenv.sync.ledger import Ledger
from shellenv.sync.ignore import Rules
name, count = sys.argv[1], int(sys.argv[2])
record = b"f 644 %d 1700000000123456789 1700000000123456789 %d package/module%d/file%d.py//"
def made():
    return [record % (n, n, n // 100, n) for n in range(count)]
store = Store(name, 0, b"")
if sys.argv[3] == "write":
    store.save(Manifest(made(), made()))
else:
    ledger = Ledger(store.load(), (made(), 0), (made(), 0), Rules([]))
    assert not ledger.names
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def populate(root: Path, count: int) -> None:
    """A project of that many small files, a hundred in a directory."""
    for number in range(count):
        directory = root / f"package{number // 1000}" / f"module{number // 100 % 10}"
        if number % 100 == 0:
            directory.mkdir(parents=True)
        (directory / f"file{number}.py").write_text(f"content {number}\n" * 10)


def taken(action: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1e3


def rsync(far: Far, pair: Pair, target: Path) -> None:
    """What one would type."""
    shell = " ".join(far.words[:-1])
    argv = ["rsync", "-a", "-e", shell, f"{pair.here}/", f"{far.words[-1]}:{target}/"]
    subprocess.run(argv, check=True)


def measure(far: Far, top: Path, count: int, runs: int) -> Iterator[Row]:
    """Both in turns: into an empty directory, and with nothing to do."""
    times: dict[str, list[float]] = {name: [] for name in ("first", "first*", "none", "none*")}
    source = Pair(far, top / str(count))
    populate(source.here, count)
    for run in range(runs):
        pair = Pair(far, top / f"{count}-{run}")
        bare = far.home / f"bare{count}-{run}"
        pair.here = source.here
        times["first"].append(taken(partial(rsync, far, pair, bare)))
        times["first*"].append(taken(pair.sync_up))
        for _ in range(3):
            times["none"].append(taken(partial(rsync, far, pair, bare)))
            times["none*"].append(taken(pair.sync_up))
    for name, wanted in (("first", 1.15), ("none", 1.2 if count < 100_000 else 1.3)):
        what = {"first": "the first time", "none": "nothing to do"}[name]
        plain, ours = median(times[name]), median(times[f"{name}*"])
        yield Row(f"the sync, {count:,} files, {what}", "rsync -a", plain, ours, wanted)


def memory() -> str:
    """What a sync with a million files in its manifest needs, and the manifest's size; in words."""
    with tempfile.TemporaryDirectory() as name:
        argv = [sys.executable, "-c", MEMORY, name, str(ENTRIES)]
        subprocess.run([*argv, "write"], check=True)
        peak = int(subprocess.check_output([*argv, "read"])) / 1024
        size = os.path.getsize(f"{name}/manifest") / 1e6
    return f"{ENTRIES:,} files: the manifest has {size:.0f} MB, the sync takes {peak:.0f} MiB."


def rows(quick: bool) -> Iterator[Row]:
    """What is found, for each number of files."""
    with machine() as far, tempfile.TemporaryDirectory() as top:
        for count, runs in [*COUNTS.items()][: 1 if quick else 2]:
            yield from measure(far, Path(top), count, runs)
