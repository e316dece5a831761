#!/usr/bin/env python3
"""The main job, in a throw-away home with two projects.

At a terminal: an interactive bash in that home. Otherwise: a story, typed at a real interactive
bash on a pseudo-terminal, which ends with status 1 at the first step that is not as it says.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from shellenv.cli import VERBS

BIN = Path(sys.executable).parent
PROGRAMS = ("shellenv", "dock", "castoff", *(name for name, verb in VERBS.items() if verb.bare))

RC = r"""
PS1='\w $ '
eval "$(shellenv hook bash)"
"""

SETTINGS = """\
[shellenv.env]
STAGE = development
DATABASE_URL = postgres:///shop_$STAGE

[shellenv.aliases]
hello = echo "hello from the shop"

[shellenv.path]
prepend = bin
"""

INVITATION = """\
This is a bash in a throw-away home, with the hook in its .bashrc. Try:

  cd projects/api     its environment ~/.venv/api becomes active, `run-shell -- python -V` uses it,
                      and with the next `cd` it is gone
  cd projects/shop    it brings settings: `cat dockerutils.cfg`, then `shellenv allow`
  shellenv status     what is active and why; `exit` ends the demo and removes this home
"""


class Step(NamedTuple):
    """A line to type, and what must be found in what the terminal then shows."""

    command: str
    shows: str = ""  # "" = nothing at all; the home directory is written ~
    prompt: str | None = None


STORY: list[str | Step] = [
    "The environment ~/.venv/api belongs to ~/projects/api by its name: cd is all it takes.",
    Step("echo ${VIRTUAL_ENV-none}", "none"),
    Step("cd projects/api", prompt="(api) ~/projects/api $ "),
    Step("command -v python", "~/.venv/api/bin/python"),
    "Leave, and it is gone.",
    Step("cd", prompt="~ $ "),
    Step("echo ${VIRTUAL_ENV-none}", "none"),
    "~/projects/shop brings settings of its own. None of them counts before they are allowed.",
    Step("cd projects/shop", "shellenv allow"),
    Step("echo ${STAGE-none}", "none"),
    Step("shellenv allow", "dockerutils.cfg"),
    Step("echo $STAGE $DATABASE_URL", "development postgres:///shop_development"),
    Step("hello", "hello from the shop"),
    Step("sales-report", "nothing sold yet"),
    "An edit is seen at the next prompt, and has to be allowed again.",
    Step("sed -i.old s/development/testing/ dockerutils.cfg", "shellenv allow"),
    Step("shellenv allow", "dockerutils.cfg"),
    Step("echo $STAGE", "testing"),
    "Programs started here have it all; so has a child shell.",
    Step("bash -c 'echo $DATABASE_URL'", "postgres:///shop_testing"),
    "What you change yourself stays yours when you leave; the rest goes.",
    Step("STAGE=mine"),
    Step("PATH=/opt/mine:$PATH"),
    Step("cd ../api", prompt="(api) ~/projects/api $ "),
    Step("echo $STAGE ${DATABASE_URL-none}", "mine none"),
    Step("echo ${PATH%%/bin*}", "~/.venv/api"),
    Step("type hello", "not found"),
    Step("cd", prompt="~ $ "),
    Step("echo ${PATH%%:*}", "/opt/mine"),
]


@contextmanager
def throw_away_home() -> Iterator[Path]:
    """A home with the two projects and a .bashrc, with shellenv's programs as pipx has them."""
    home = Path(tempfile.mkdtemp(prefix="shellenv-demo-")).resolve()
    try:
        (home / ".local/bin").mkdir(parents=True)
        for program in PROGRAMS:
            (home / ".local/bin" / program).symlink_to(BIN / program)
        (home / ".bashrc").write_text(RC)
        (home / "projects/api").mkdir(parents=True)
        venv = [sys.executable, "-m", "venv", "--without-pip", str(home / ".venv/api")]
        subprocess.run(venv, check=True)
        report = home / "projects/shop/bin/sales-report"
        report.parent.mkdir(parents=True)
        report.write_text("#!/bin/sh\necho nothing sold yet\n")
        report.chmod(0o755)
        (home / "projects/shop/dockerutils.cfg").write_text(SETTINGS)
        yield home
    finally:
        shutil.rmtree(home)


def environment(home: Path) -> dict[str, str]:
    """The demo's environment: the terminal's settings, and nothing of what the user has set."""
    kept = {"TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME"}
    return {
        **{name: value for name, value in os.environ.items() if name in kept},
        "HOME": str(home),
        "SHELL": bash(),
        "PATH": f"{home}/.local/bin:/usr/local/bin:/usr/bin:/bin",
    }


def bash() -> str:
    return shutil.which("bash") or "/bin/bash"


def argv(home: Path) -> list[str]:
    return [bash(), "--noprofile", "--rcfile", str(home / ".bashrc"), "-i"]


class Terminal:
    """An interactive bash on a pseudo-terminal, which is wide enough that no line wraps."""

    READY = "\x1e"  # at the end of each prompt, where no output has it

    def __init__(self, home: Path) -> None:
        self.home = home
        with (home / ".bashrc").open("a") as rc:
            rc.write("PS1+='\\[\\036\\]'\n")
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 4000, 0, 0))
                os.chdir(home)
                # without line editing, the echo of a line is that line and nothing else
                options = {**environment(home), "TERM": "dumb", "LC_ALL": "C"}
                os.execve(bash(), [bash(), "--noediting", *argv(home)[1:]], options)
            finally:
                os._exit(127)
        self.prompt = self._until_ready()

    def type(self, command: str) -> str:
        """Type one line; return what the terminal shows below it, up to the next prompt."""
        os.write(self.descriptor, f"{command}\r".encode())
        _, _, shown = self._until_ready().partition("\n")
        output, newline, self.prompt = shown.rpartition("\n")
        return output + newline

    def close(self) -> None:
        os.close(self.descriptor)  # bash gets a SIGHUP
        os.waitpid(self.pid, 0)

    def _until_ready(self) -> str:
        seen = b""
        deadline = time.monotonic() + 60
        while self.READY.encode() not in seen:
            ready, _, _ = select.select([self.descriptor], [], [], deadline - time.monotonic())
            if not ready:
                raise TimeoutError(f"no prompt after: {seen!r}")
            seen += os.read(self.descriptor, 65536)
        text = seen.decode(errors="replace").replace("\r", "").replace(self.READY, "")
        return re.sub(re.escape(str(self.home)) + r"(?![\w-])", "~", text)


def tell(home: Path) -> str | None:
    """Run the story, printing what the terminal shows; return what went wrong, if anything."""
    terminal = Terminal(home)
    try:
        for step in STORY:
            if isinstance(step, str):
                print(f"\n# {step}")
                continue
            print(f"{terminal.prompt}{step.command}", flush=True)
            shown = terminal.type(step.command)
            print(shown, end="", flush=True)
            if step.shows not in shown or (shown and not step.shows):
                return f"`{step.command}` should show: {step.shows or 'nothing'}"
            if step.prompt not in (None, terminal.prompt):
                return f"the prompt should be {step.prompt!r}, it is {terminal.prompt!r}"
    finally:
        terminal.close()
    return None


def main() -> int:
    with throw_away_home() as home:
        if sys.stdin.isatty() and sys.stdout.isatty():
            print(INVITATION, flush=True)
            subprocess.run(argv(home), cwd=home, env=environment(home), check=False)
            print("The throw-away home is removed; yours was not touched.")
            return 0
        problem = tell(home)
    if problem is not None:
        print(f"\ndemo: {problem}", file=sys.stderr)
        return 1
    print(f"\nAll {sum(isinstance(step, Step) for step in STORY)} steps went as told.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
