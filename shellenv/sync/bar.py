"""A progress bar on stderr for what takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 1.0
"""Seconds in which there is no bar."""

Update = Callable[[int], None]
"""Is told how many bytes are done."""


@contextmanager
def bar(what: str, total: int) -> Iterator[Update | None]:
    """A bar for `total` bytes; None where stderr is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    start = time.monotonic()
    progress = task = None

    def update(done: int) -> None:
        nonlocal progress, task
        if progress is None:
            if time.monotonic() - start < PATIENCE:
                return
            from rich import progress as rich
            from rich.console import Console

            progress = rich.Progress(
                rich.TextColumn("{task.description}"),
                rich.BarColumn(),
                rich.DownloadColumn(),
                rich.TransferSpeedColumn(),
                rich.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            progress.start()
            task = progress.add_task(what, total=total)
        assert task is not None
        progress.update(task, completed=min(done, total))

    try:
        yield update
    finally:
        if progress is not None:
            progress.stop()
