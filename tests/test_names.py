"""Names of variables and aliases: what is said of them is true of real shells."""

from __future__ import annotations

import pytest
from harness import Shell

from shellenv import names

# Each prints the variables that this shell does not let anyone set, or sets itself.
RESERVED = {
    "bash": "readonly -p | while read -r _ _ name; do printf '%s\\n' \"${name%%=*}\"; done",
    "zsh": (
        "zmodload zsh/parameter zsh/system zsh/datetime zsh/langinfo zsh/termcap zsh/terminfo\n"
        "zmodload zsh/mapfile zsh/sched zsh/zle\n"
        'for name in "${(@k)parameters}"; do\n'
        "  case ${parameters[$name]} in *readonly*|*hideval*) print -r -- $name;; esac\n"
        "done"
    ),
    "fish": (
        "for name in (set --names)\n"
        "  switch $name; case '__fish*'; continue; end\n"
        '  eval "set -gx $name x" 2>/dev/null; or echo $name\n'
        "end"
    ),
}


def test_what_a_shell_keeps_to_itself_cannot_be_set(shell: Shell) -> None:
    found = shell.script(RESERVED[shell.name], hook=False).stdout.split()
    reserved = [name for name in found if names.is_variable(name)]
    assert reserved, "a shell has such variables"
    assert [name for name in reserved if not names.variable_problem(name)] == []


def test_ordinary_variables_can_be_set() -> None:
    ordinary = ["A", "_x", "http_proxy", "LANG", "TERM", "AWS_PROFILE", "DOCKER_HOST", "PYTHONPATH"]
    assert [names.variable_problem(name) for name in ordinary] == [""] * len(ordinary)


WORDS = [
    "t",
    "g.s",
    "a@b",
    "a+b",
    "a,b",
    "été",
    "日本",
    "ll",
    "..",
    "~x",
    "a*b",
    "a?b",
    "a#b",
    "%x",
    "^",
    "@",
    ",",
    "+",
    "]",
    "a[b",
    "a{b",
    "a!b",
    "cd",
    "ls",
    "source",
    "printf",
    "echo",
    "alias",
    "unset",
    "export",
    "true",
    ".",
    ":",
    "test",
    "set",
    "read",
    "if",
    "[",
    "{",
    "[[",
    "function",
    "end",
]


def test_a_name_that_is_accepted_is_an_alias_in_every_shell(shell: Shell) -> None:
    accepted = [word for word in WORDS if not names.alias_problem(word)]
    assert {"t", "g.s", "été", "cd"} <= set(accepted)
    for word in accepted:
        quoted = shell.quote(word)
        if shell.name == "fish":
            define, ask = f"function {quoted}; end", f"functions -q {quoted}; and builtin echo yes"
        else:
            define = f"builtin alias -- {quoted}=x"
            ask = f"builtin alias -- {quoted} >/dev/null && builtin echo yes"
        assert shell.script(f"{define}\n{ask}", hook=False).ok() == "yes\n", word


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a b",
            "a\tb",
            "a'b",
            'a"b',
            "a$b",
            "a`b",
            "a=b",
            "a/b",
            "a;b",
            "a&b",
            "a|b",
            "a<b",
            "a>b",
        ),
        *("a(b", "a)b", "a\\b", "-a", "if", "test", "[", "time", "a\x1bb", "a\u2028b"),
        "__shellenv_x",
    ],
)
def test_a_name_that_would_not_be_one_everywhere_is_refused(name: str) -> None:
    assert names.alias_problem(name) != ""
