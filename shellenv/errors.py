"""The one kind of failure that a user sees."""

from __future__ import annotations


class ShellenvError(Exception):
    """Something was refused or failed, for a reason that the user can act on.

    `message` says what is wrong, in one line and without a full stop; `hint` says what to do next
    (may be empty); `status` is the exit status: 1 refused or failed, 2 wrong usage.
    Only `shellenv.cli.main` prints it; but what fails after a run, which has a status of its own,
    is told by the run (`environments.remote`).
    """

    def __init__(self, message: str, hint: str = "", status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status
