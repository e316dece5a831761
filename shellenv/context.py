"""What a run starts from: the directory, the environment, the user."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from shellenv import state


class Context(NamedTuple):
    """Everything that decisions may depend on besides files. Tests replace it whole.

    `cwd` is the logical current directory (absolute, `$PWD` where that is true), `home` is `$HOME`
    without a trailing slash and None where it is unset, empty or relative, `uid` the effective
    user. `env` is the environment as it is outside of projects, `shell_env` as it was found: what
    a project sets must not decide where shellenv looks for its files. Bytes that are not UTF-8 are
    kept as surrogates (PEP 383), as `os` does.
    """

    cwd: str
    env: Mapping[str, str]
    home: str | None
    uid: int
    system_config: str = "/etc/shellenv"
    shell_env: Mapping[str, str] = {}

    @property
    def surroundings(self) -> Mapping[str, str]:
        """The environment for programs that the user could have typed: the shell's, as it is."""
        return self.shell_env or self.env

    @classmethod
    def from_process(cls) -> Context:
        """The context of this process. The only reader of `os.environ`; never fails."""
        shell_env = dict(os.environ)
        env = state.revert(shell_env)
        return cls(_logical_cwd(env), env, home_of(env), os.geteuid(), shell_env=shell_env)


def home_of(env: Mapping[str, str]) -> str | None:
    """`$HOME` without a trailing slash (`/` stays `/`), None if it is unset, empty or relative."""
    home = env.get("HOME", "")
    if not home.startswith("/"):
        return None
    return home.rstrip("/") or "/"


def _logical_cwd(env: Mapping[str, str]) -> str:
    """`$PWD` if it is normal and names the current directory, or if that no longer exists.

    POSIX lets the shell keep the name by which the user came, symbolic links included; a `$PWD`
    handed down by a program that changed directory without saying so is not believed.
    """
    claimed = env.get("PWD", "")
    believable = claimed.startswith("/") and os.path.normpath(claimed) == claimed
    try:
        actual = os.getcwd()
    except OSError:
        return claimed if believable else "/"
    if believable and claimed != actual:
        try:
            believable = os.path.samefile(claimed, actual)
        except OSError:
            believable = False
    return claimed if believable else actual
