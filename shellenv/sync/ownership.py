"""Whose a directory at a dock is: no two projects ever share one."""

from __future__ import annotations

from shellenv.errors import ShellenvError
from shellenv.sync.remote import Owner, Place, Remote
from shellenv.sync.wish import Wish


def check(wish: Wish, remote: Remote, there: Place, owner: Owner) -> None:
    """Raise ShellenvError if the directory there is another project's; make it if there is none."""
    import shlex

    where = f"{remote.label}:{there.root}"
    held = there.owner
    if held is None and not there.empty and not wish.adopt:
        raise ShellenvError(
            f"{where} is not empty, and not from here",
            "--adopt takes it as this project's; [shellenv.sync] name chooses another",
        )
    if held is not None and not held.is_same(owner) and not wish.adopt:
        raise ShellenvError(
            f"{where} belongs to {held.root} on {held.machine.split()[0]}",
            "[shellenv.sync] name = ANOTHER keeps the two apart; "
            "if that is where this project was before: --adopt",
        )
    if there.old and held is None:
        wish.tell(
            f"shellenv: dockerutils' copy of this project is {remote.label}:{there.old}; "
            "it is left alone"
        )
    if not wish.dry and (held != owner or not there.exists):
        text = shlex.quote(owner.text())
        # a shell's own printf does not say why it cannot write
        write = f'printf %s {text} | cat >"$own/owner.new" && mv -f "$own/owner.new" "$own/owner"'
        remote.run(f'mkdir -p "$root" && {write}')
