"""`hook`: the line that loads the static shell code.

The launcher answers this itself where it can (it takes a tenth of the time); this is for editable
installs and for places whose names need more quoting than it can do.
"""

from __future__ import annotations

from collections.abc import Sequence

from shellenv import installation
from shellenv.cli import write
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.shells import shell_named


def main(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv hook SHELL`: print what `eval` in an rc file is to run."""
    del ctx  # the same in every directory
    if len(args) != 1:
        raise ShellenvError(
            "hook takes the name of a shell", 'for example: eval "$(shellenv hook bash)"', 2
        )
    shell = shell_named(args[0])
    static = shell.quote(f"{installation.static_dir()}/hook.{shell.name}")
    program = shell.quote(installation.launcher())
    if shell.name == "fish":
        write(f"set -g __shellenv_bin {program}\nsource {static} --install\n")
    else:
        write(f"__shellenv_bin={program}\n\\. {static} --install\n")
    return 0
