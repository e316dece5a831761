"""The rsyncs of a sync: each is told of, and shown while it runs; what one complains of is kept."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable

from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.sync import transfer
from shellenv.sync.channel import Loan
from shellenv.sync.manifest import Store
from shellenv.sync.remote import Remote
from shellenv.sync.wish import Wish, unwatched


class Mover:
    """Runs them, with the environment `env`. `problem` is what one has complained of, if any has;
    `missing` what counts only if something that was to be moved is there, and was not: it may just
    have gone. `files` is the file that lists what one is to bring, or leave out."""

    def __init__(
        self, ctx: Context, wish: Wish, direction: str, store: Store, remote: Remote
    ) -> None:
        self.env = dict(ctx.surroundings)
        self.problem: ShellenvError | None = None
        self.missing: ShellenvError | None = None
        self.files = store.files
        self._lock, self._wish, self._direction = store.lock, wish, direction
        self._remote = remote

    def run(
        self,
        command: list[str],
        names: Iterable[bytes],
        size: int,
        meanwhile: Callable[[], None] | None = None,
        loan: Loan | None = None,
    ) -> int:
        """Run a command line of `transfer` for these paths, of `size` bytes; returns its status.
        `meanwhile` and `loan` are as in `transfer.run`, and so is what this raises."""
        files = self.files
        command = [f"--files-from={files}" if w == "--files-from=-" else w for w in command]
        self._wish.explain(shlex.join(command))
        show = self._wish.watch or unwatched
        with show(f"sync-{self._direction}", size) as update:
            keep = [self._lock]
            moved = transfer.run(command, files, names, self.env, keep, update, meanwhile, loan)
        if moved.status not in (0, 24):
            said = moved.said or transfer.meaning(self._remote.said())
            end = f"status {moved.status}" if moved.status > 0 else f"signal {-moved.status}"
            problem = ShellenvError(
                f"rsync: {said.removeprefix('rsync: ') or f'it ended with {end}'}",
                "what was not brought over is brought over by the next sync",
            )
            if moved.status == 23 and "No such file or directory (2)" in said:
                self.missing = self.missing or problem
            else:
                self.problem = self.problem or problem
        return moved.status

    def complaint(self, failed: bool) -> ShellenvError | None:
        """What there is to complain of, where something `failed` or nothing has: rsync may leave
        out a file and have status 0."""
        if self.problem or not failed:
            return self.problem
        return self.missing or ShellenvError(
            f"not all was brought over{self._remote.because()}",
            "nothing is lost; the next sync tries again",
        )
