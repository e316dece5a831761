"""Secrets on their way into a container.

Its environment would be the place for them, but `docker inspect` shows that to everybody who may
use docker, and the engine keeps it in a file. So they come once it runs: over the standard input of
an `exec`, through a named pipe there, into the shell that is about to become the command
(shell/enter.sh). No command line, no file and no log has them, here or at a dock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from shellenv.engine import Engine, EngineError
from shellenv.errors import ShellenvError
from shellenv.frames import Frames
from shellenv.shells import quote_posix
from shellenv.signals import in_thread

VARIABLE = "SHELLENV_PIPE"
"""It tells a container's shell to wait for secrets, and where they come."""

PIPE = "/dev/shm/shellenv"
"""Where every container has a file system of its own, in memory."""

RECEIVE = """umask 077
mkfifo "$0" || exit
cat >"$0"
rm -f "$0"
"""

END = "# all"
"""The last words of what is handed over; without them something is missing."""


@contextmanager
def handing_over(
    engine: Engine, container: str, values: Mapping[str, str], remove: Callable[[], None]
) -> Iterator[None]:
    """The run of `container`, in whose command's environment `values` shall be.

    Raises ShellenvError at the end if they could not be handed over; then the command has not run,
    and `remove()` has ended the container.
    """
    if not values:
        yield
        return
    courier = _Courier(engine, container, values, remove)
    in_thread(courier.run)
    try:
        yield
    finally:
        courier.over = True
    if courier.problem is not None:
        raise courier.problem


class _Courier:
    def __init__(
        self,
        engine: Engine,
        container: str,
        values: Mapping[str, str],
        remove: Callable[[], None],
    ) -> None:
        self.engine = engine
        self.path = f"/containers/{container}/exec"
        self.code = code(values)
        self.remove = remove
        self.over = False
        self.problem: ShellenvError | None = None

    def run(self) -> None:
        """Hand them over as soon as the container runs. Runs in a thread."""
        with suppress(ShellenvError, OSError):  # the run has ended, or its connection is lost
            made = self._once_there()
            if not made:
                return
            said = self._deliver(made)
            if 0 < self._status(made) < 128:  # else the end of the container has ended it
                problem = f"the secrets could not be handed over: {said}"
                self.problem = ShellenvError(problem, "the image needs mkfifo, cat and rm")
                self.remove()

    def _once_there(self) -> str:
        """Make the exec once the container runs; its name, "" if that has ended."""
        command = {
            "Cmd": ["sh", "-c", RECEIVE, PIPE],
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
        }
        while not self.over:
            try:
                return str(self.engine.post(self.path, command)["Id"])
            except EngineError:  # noqa: PERF203
                time.sleep(0.02)
        return ""

    def _deliver(self, made: str) -> str:
        """Send the code and wait for the end; what was said meanwhile."""
        import socket

        start = {"Detach": False, "Tty": False}
        with self.engine.hijack(f"/exec/{made}/start", {}, start) as stream:
            with suppress(BrokenPipeError):  # it says why
                stream.sendall(self.code)
                stream.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: stream.recv(1 << 12), b""))
        text = b"".join(part for _, part in Frames().take(memoryview(said)))
        return text.decode("utf-8", "replace").strip()

    def _status(self, made: str) -> int:
        """The exit status, which the engine knows a little later; 0 if nobody can know."""
        while not self.over and (found := self.engine.get(f"/exec/{made}/json")):
            if not found["Running"]:
                return int(found["ExitCode"] or 0)
            time.sleep(0.02)
        return 0


def code(values: Mapping[str, str]) -> bytes:
    """The values as code for sh, to the last byte."""
    lines = (f"export {name}={quote_posix(value)}\n" for name, value in values.items())
    return f"{''.join(lines)}{END}".encode("utf-8", "surrogateescape")
