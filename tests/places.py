"""Directories and contexts for tests that need no shell."""

from __future__ import annotations

import os
from pathlib import Path

from harness import write

from shellenv.context import Context


def context(home: Path, cwd: Path | None = None, **env: str) -> Context:
    """A context in `cwd` (default: the home directory), with nothing of the machine's in it."""
    return Context(
        cwd=str(cwd or home),
        env={"HOME": str(home), **env},
        home=str(home),
        uid=os.geteuid(),
        system_config=str(home / "etc"),
    )


file = write


def venv(path: Path, made_for: Path | str | None = None) -> Path:
    """What counts as a virtual environment to those who look, and its `.project` file."""
    file(path / "bin" / "activate")
    if made_for is not None:
        file(path / ".project", f"{made_for}\n")
    return path
