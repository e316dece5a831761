"""Activate scripts that are known by heart: a shell follows them without reading them.

What venv, virtualenv and uv write is always the same, but for the path and the title in it. Where a
script is word for word one of those, the short way of a snippet does what it would do: without
sourcing the file, and without the processes that some of them start for it (`uname`, `basename`). A
script with one word more or less is sourced.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from shellenv.digest import fingerprint

SAFE = re.compile(r"[\w/.@%+=:,() -]*")  # nothing that means anything to a shell, or ends a quote

# Digests of what `_outline` leaves. tests/test_activation.py names the one of a script that is new.
UNTITLED = frozenset(
    (
        # venv of Python 3.9, 3.10, 3.11, 3.12
        *("316a07c856583239", "4cac107dee595730", "51bc18d9c5aab167", "defb3d281e01e0c2"),
        *("9ed50777b200cefb", "ba93dad55059a338", "19d59e0d5a13a69d"),
        # virtualenv of 2021
        *("048c282b58543a90", "9fb31e87b578851b", "26d0af868e34a21d"),
    )
)
"""These set no VIRTUAL_ENV_PROMPT where VIRTUAL_ENV_DISABLE_PROMPT is set."""
TITLED = frozenset(
    (
        # venv of Python 3.13, 3.14, 3.15
        *("e8786ef920f1ffd9", "6e9972811e30caca", "7dbe30816aa1653a", "27c7a818894cbc1b"),
        *("f8d30626405ed9ff", "4445929bed29e112", "5a1f5ddb901eb667", "e08cceca58e0c02e"),
        *("0a8136fd80d6b68b", "79959b4bb68ce514", "7ac1cbece3646ab1", "31741b5aa5dac9fd"),
        "bb413353334a5715",
        # uv
        *("2f01f50f3fae569b", "35f3d18e1a4ca9f4", "c508383d5b715041"),
        *("522f0c24915fdf49", "9f98e75f1daaa2a8"),
        # virtualenv since 2023, until it began to set PKG_CONFIG_PATH
        *("6ef1afc85dd41d88", "6d80b1a1088c85cf", "ee857da3ad2860a9", "c3b0fa0225c864d3"),
        "b2e533aa5950cf78",
    )
)
"""These do."""


LOOKED_AT = (
    *("VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "PYTHONHOME"),
    *("_OLD_VIRTUAL_PATH", "_OLD_VIRTUAL_PYTHONHOME", "_OLD_VIRTUAL_PS1"),
)
"""What an activate script that is known by heart may find, keep or clear."""


class Script(NamedTuple):
    """What one does where no environment is active, and PYTHONHOME and what it defines are unset.

    It exports VIRTUAL_ENV and, unless None, `title` as VIRTUAL_ENV_PROMPT; it keeps PATH in
    _OLD_VIRTUAL_PATH and puts `bin` in front of it; and it defines `functions` by `code`.
    """

    functions: tuple[str, ...]
    code: str
    title: str | None


def known(text: str, venv: str) -> Script | None:
    """What `text` does, the activate script of the environment at `venv`; None if not known."""
    key = digest(text, venv)
    if not (key in UNTITLED or key in TITLED) or not SAFE.fullmatch(venv):
        return None
    if "wslpath" in text and re.search("Microsoft|WSL", os.uname().release):
        return None
    functions = FUNCTIONS.findall(text)
    title = _title(text, venv) if key in TITLED else None
    if title is not None and not SAFE.fullmatch(title):
        return None
    names = tuple(posix or fish for _, posix, fish in functions)
    return Script(names, "\n".join(code for code, *_ in functions), title)


def environment_of(venv: str, script: Script) -> dict[str, str]:
    """The variables that the activate script `script` of the environment at `venv` exports."""
    title = {} if script.title is None else {"VIRTUAL_ENV_PROMPT": script.title}
    return {"VIRTUAL_ENV": venv, **title}


def digest(text: str, venv: str) -> str:
    """By which the script is known."""
    return fingerprint(_outline(text, venv).encode("utf-8", "surrogateescape"))


FUNCTIONS = re.compile(
    r"^((deactivate|pydoc) \(\) \{\n.*?^\}|function (deactivate|pydoc)\b.*?^end)$", re.M | re.S
)
TITLE = re.compile(
    r"""^\s*(?:set -gx )?VIRTUAL_ENV_PROMPT[= ](?:"([^"]*)"|'([^']*)'|(\S*))$""", re.M
)
PROMPT = re.compile(
    r"^(PS1=|(?:set -gx )?VIRTUAL_ENV_PROMPT[= ]|(?:builtin )?printf "
    r"""|if \[ "?x|if test -n (?!"\$)).*"""
)


def _outline(text: str, venv: str) -> str:
    """The lines of `text` that matter, without the path and what becomes of the prompt."""
    text = text.replace(f'"{venv}"', "@").replace(f"'{venv}'", "@").replace(venv, "@")
    lines = (line.strip() for line in text.replace('/"bin":', "/bin:").splitlines())
    return "\n".join(PROMPT.sub(r"\1", line) for line in lines if line and line[0] != "#")


def _title(text: str, venv: str) -> str:
    """What is exported as VIRTUAL_ENV_PROMPT: the words that stand there, or the name."""
    words = ("".join(found) for found in TITLE.findall(text))
    return next((word for word in words if SAFE.fullmatch(word) and word), os.path.basename(venv))
