"""Where the parts that are not Python are: the launcher, `shell/` and `templates/`."""

from __future__ import annotations

import os
import sys

PACKAGE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(PACKAGE)


def static_dir() -> str:
    """The directory of the static shell code."""
    return _directory("shell")


def templates_dir() -> str:
    """The directory of the templates."""
    return _directory("templates")


def launcher() -> str:
    """The launcher that belongs to the entry point that is running."""
    return os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "shellenv")


def _directory(name: str) -> str:
    # A source tree first: an editable install leaves copies beside the package that grow stale.
    if os.path.isfile(os.path.join(SOURCE, "pyproject.toml")):
        return os.path.join(SOURCE, name)
    return os.path.join(PACKAGE, name)
