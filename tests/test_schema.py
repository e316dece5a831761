"""The table of keys: the same in code and documentation, and true of real shells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import Shell

from shellenv import config, schema
from shellenv.schema import KEYS, Key

DOCUMENT = Path(__file__).resolve().parent.parent / "Configuration.md"


def documented() -> list[Key]:
    """The keys as Configuration.md describes them."""
    text = DOCUMENT.read_text(encoding="utf-8")
    keys = []
    for section, body in re.findall(r"^## `\[([^`]+)\]`\n(.*?)(?=^## |\Z)", text, re.M | re.S):
        for name, block in re.findall(r"^### `([^`]+)`\n(.*?)(?=^### |\Z)", body, re.M | re.S):
            meaning, _, facts = block.strip().partition("\n\n")
            fact = dict(re.findall(r"^- ([^:\n]+): ([^\n]+)$", facts, re.M))
            keys.append(
                Key(
                    section=section,
                    name=name,
                    kind=fact.pop("value"),
                    default=fact.pop("default").strip("`").replace("none", ""),
                    meaning=" ".join(meaning.split()),
                    example=fact.pop("example").strip("`"),
                    where=fact.pop("counts").removeprefix("in "),
                    variable=fact.pop("overridden by", "").strip("`").removeprefix("$"),
                )
            )
            assert not fact, f"{section}.{name}"
    return keys


def test_the_documentation_describes_exactly_the_keys_there_are() -> None:
    assert documented() == list(KEYS)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.section}.{key.name}")
def test_every_example_is_accepted_without_a_word(key: Key) -> None:
    content = f"[{key.section}]\n{key.example}\n".encode()
    personal = key.where in (schema.PERSONAL_FILE, schema.PROJECT_FILES)
    layer = config.read_layer("f", "/p" if personal else None, content, personal=personal)
    assert layer.warnings == ()
    (name,) = layer.sections[key.section]
    assert schema.known(key.section, name) == key


@pytest.mark.parametrize("key", [key for key in KEYS if key.default], ids=lambda key: key.name)
def test_every_default_is_a_value_that_the_key_takes(key: Key) -> None:
    assert schema.value_problem(key.kind, key.default) == ""


@pytest.mark.parametrize("word", ["yes", "No", "TRUE", "false", "on", "OFF", "1", "0"])
def test_yes_and_no_may_be_written_in_other_words(word: str) -> None:
    assert schema.value_problem("yes or no", word) == ""


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("venvdir", "venv_dir"), ("Prompt", "prompt"), ("exec-env", "exec_env"), ("xyzzy", "")],
)
def test_the_nearest_name_is_found_or_none(word: str, nearest: str) -> None:
    names = [key.name for key in KEYS if key.section == "shellenv"]
    assert schema.nearest(word, names) == nearest


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
    names = shell.script(RESERVED[shell.name], hook=False).stdout.split()
    reserved = [name for name in names if schema.is_variable(name)]
    assert reserved, "a shell has such variables"
    assert [name for name in reserved if not schema.variable_problem(name)] == []


def test_ordinary_variables_can_be_set() -> None:
    names = ["A", "_x", "http_proxy", "LANG", "TERM", "AWS_PROFILE", "DOCKER_HOST", "PYTHONPATH"]
    assert [schema.variable_problem(name) for name in names] == [""] * len(names)


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
    accepted = [word for word in WORDS if not schema.alias_problem(word)]
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
    assert schema.alias_problem(name) != ""
