"""The tree that everything is measured in: a throw-away home whose projects each tool knows."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.tools import Tool

VARIABLES = 10
ALIASES = 3
DEPTH = 100
MANY = 1000
ENVIRONMENTS = 10_000


class Case(NamedTuple):
    """Where to go from and to, and how to see that the environment is right there."""

    outside: Path
    inside: Path
    name: str  # of a variable
    value: str  # its value inside; it is unset outside
    venv: Path | None = None
    variables: int = VARIABLES


class World(NamedTuple):
    """A home directory and what is in it."""

    home: Path
    env: dict[str, str]
    project: Case  # a virtual environment, ten variables, three aliases
    deep: Case  # the same a hundred levels below its root, and as deep outside
    nested: Case  # a hundred projects inside each other, a variable each
    many: Case  # a thousand variables

    @property
    def cache(self) -> Path:
        """shellenv's."""
        return self.home / ".cache/shellenv"

    def environment(self, tool: Tool) -> dict[str, str]:
        """What a shell that uses `tool` starts with."""
        if tool.bin is None:
            return self.env
        path = self.local if tool.name == "shellenv" else tool.bin
        return {**self.env, "PATH": f"{path}:{self.env['PATH']}"}

    @property
    def local(self) -> Path:
        """Where pipx puts a link to shellenv."""
        return self.home / ".local/bin"


@contextmanager
def world(
    tools: tuple[Tool, ...], *, growth: bool = False, environments: int = 0
) -> Iterator[World]:
    """A home of its own, below the directory for temporary files, removed afterwards.

    `growth`: with what is large in it. `environments`: so many more virtual environments are in it,
    for projects that are not there.
    """
    top = Path(tempfile.mkdtemp(prefix="shellenv-bench-")).resolve()
    try:
        yield _make(top, tools, growth, environments)
    finally:
        shutil.rmtree(top)


def _make(home: Path, tools: tuple[Tool, ...], growth: bool, environments: int) -> World:
    env = {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LOGNAME": "bench",
        "MISE_OFFLINE": "1",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "TERM": "dumb",
        "USER": "bench",
    }
    # without these fish would parse every manual page of the machine
    for name in (".local/share/fish/generated_completions", ".config/fish", ".venv"):
        (home / name).mkdir(parents=True)
    work, levels = home / "work", "/".join("d" * DEPTH)
    outside = work / "notes"
    venv = home / ".venv/shop"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    shutil.copytree(venv, home / ".venv/deep", symlinks=True)
    for script in (home / ".venv/deep/bin").glob("activate*"):
        script.write_text(script.read_text().replace("shop", "deep"))
    values = [f"value number {number}" for number in range(1, MANY + 1)]
    last = VARIABLES
    result = World(
        home,
        env,
        Case(outside, work / "shop", f"V{last}", values[last - 1], venv),
        Case(
            work / "away" / levels,
            work / "deep" / levels,
            f"V{last}",
            values[last - 1],
            home / ".venv/deep",
        ),
        Case(outside, work / "nest" / levels, "V1", values[0], variables=DEPTH),
        Case(outside, work / "many", f"V{MANY}", values[-1], variables=MANY),
    )
    for case in (result.project, result.deep, result.nested, result.many):
        case.inside.mkdir(parents=True)
        case.outside.mkdir(parents=True, exist_ok=True)
    _configure(work / "shop", range(1, VARIABLES + 1), venv, ALIASES)
    if growth:
        _configure(work / "deep", range(1, VARIABLES + 1), home / ".venv/deep", ALIASES)
        _configure(work / "many", range(1, MANY + 1))
        directory = work / "nest"
        for level, name in enumerate("d" * DEPTH, 1):
            directory /= name
            _configure(directory, [level])
    for number in range(environments):
        (home / f".venv/project-{number}").symlink_to("shop")
    for tool in tools:
        if tool.name == "shellenv" and tool.bin:
            kept = home / ".local/share/pipx/venvs/shellenv"
            kept.parent.mkdir(parents=True)
            kept.symlink_to(tool.bin.parent)
            result.local.mkdir()
            (result.local / "shellenv").symlink_to(kept / "bin/shellenv")
    _approve(result, tools)
    return result


def _configure(
    root: Path, numbers: range | list[int], venv: Path | None = None, aliases: int = 0
) -> None:
    """Say the same in the three languages; shellenv finds the virtual environment itself."""
    variables = {f"V{number}": f"value number {number}" for number in numbers}
    short = {f"a{number}": f"echo number {number}" for number in range(1, aliases + 1)}
    ini = ["[shellenv.env]", *(f"{name} = {value}" for name, value in variables.items())]
    ini += ["[shellenv.aliases]", *(f"{name} = {value}" for name, value in short.items())]
    toml = ["[env]", *(f'{name} = "{value}"' for name, value in variables.items())]
    shell = [f"export {name}='{value}'" for name, value in variables.items()]
    if venv:
        toml.insert(1, f'_.python.venv = "{venv}"')
        shell.insert(0, f"source {venv}/bin/activate")
    # direnv has no aliases
    toml += ["[shell_alias]", *(f'{name} = "{value}"' for name, value in short.items())]
    for name, lines in (("dockerutils.cfg", ini), ("mise.toml", toml), (".envrc", shell)):
        (root / name).write_text("\n".join(lines) + "\n")


ALLOW = """
import sys
from shellenv.cli import main
sys.exit(any([main(["allow", directory]) for directory in sys.argv[1:]]))
"""


def _approve(made: World, tools: tuple[Tool, ...]) -> None:
    """Let each tool trust the files that are for it."""
    roots = sorted(str(path.parent) for path in (made.home / "work").rglob("mise.toml"))
    for tool in tools:
        env = {**made.environment(tool), "PWD": str(made.home)}
        if tool.name == "shellenv":  # all by one process: a hundred would take ten seconds
            commands = [[str((tool.bin or Path()) / "python"), "-E", "-c", ALLOW, *roots]]
        elif tool.name == "direnv":
            commands = [["direnv", "allow", root] for root in roots]
        elif tool.name == "mise":
            commands = [["mise", "trust", "--quiet", f"{root}/mise.toml"] for root in roots]
        else:
            commands = []
        for program, *words in commands:
            done = subprocess.run(
                [shutil.which(program, path=env["PATH"]) or program, *words],
                env=env,
                cwd=made.home,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"bench: failed: {program} {words[0]}\n{done.stderr}")
