"""The one table of shells, and the one place that quotes for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from shellenv.errors import ShellenvError


class Code(str):
    """Text that is code already, and therefore not quoted."""


def quote_posix(text: str) -> str:
    """`text` as one word of bash or zsh, whatever their options are.

    Only `'` ends a single-quoted string (POSIX.1-2017, XCU 2.2.2); zsh's RC_QUOTES changes the
    meaning of `''` inside one, which never stands here.
    """
    return "'" + text.replace("'", "'\\''") + "'"


PLAIN_IN_FISH = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/")


def quote_fish(text: str) -> str:
    """`text` as one word of fish, where `\\` and `'` are special inside single quotes, too.

    There are no quotes where fish_indent would write none (its `clean_text`, fish 3.6).
    """
    if text and PLAIN_IN_FISH.issuperset(text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def reference_bash(name: str, default: str) -> str:
    """A word that expands to the variable `name`, or to `default` if it is not set."""
    text = _in_quotes(default)
    # Even here bash pairs apostrophes and looks for process substitutions.
    text = text.replace("'", "${__shellenv_apostrophe}")
    text = text.replace("<(", "<${_:+}(").replace(">(", ">${_:+}(")
    return f'"${{{name}-{text}}}"'


def reference_zsh(name: str, default: str) -> str:
    """The same for zsh."""
    return f'"${{{name}-{_in_quotes(default)}}}"'


def reference_fish(name: str, default: str) -> str:
    """The same for fish; a list is joined as it would be for a program."""
    if not default:
        return f'"${name}"'
    # `echo` is one empty string: without it there would be no word at all.
    return f'"${name}"(set -q {name}; and echo; or string collect -N -- {quote_fish(default)})'


def _in_quotes(text: str) -> str:
    for special in '\\"$`}':
        text = text.replace(special, "\\" + special)
    return text


HOOK_VERSION = "5"
"""The version of what snippets call in shell/hook.*, where it stands, too. It is raised whenever
that changes, so that no hook sources what was rendered for another one."""


class Shell(NamedTuple):
    """What differs between shells as far as the core is concerned."""

    name: str
    quote: Callable[[str], str]
    reference: Callable[[str, str], str]
    activate: str  # the script in <venv>/bin

    def call(self, function: str, *words: str) -> str:
        """A line that calls a function of the hook's with these words."""
        return " ".join([function, *map(self.quote, words)]) + "\n"


SHELLS = {
    shell.name: shell
    for shell in (
        Shell("bash", quote_posix, reference_bash, "activate"),
        Shell("zsh", quote_posix, reference_zsh, "activate"),
        Shell("fish", quote_fish, reference_fish, "activate.fish"),
    )
}


def shell_named(name: str) -> Shell:
    """The shell called `name`; a `ShellenvError` that lists the known ones otherwise."""
    try:
        return SHELLS[name]
    except KeyError:
        raise ShellenvError(
            f"there is no hook for {name!r}", f"there is one for {', '.join(SHELLS)}", status=2
        ) from None
