"""The short way: whatever is in its way, or changed by hand, the shell ends as on the long one.

Each story is told twice, once with snippets as they are and once with snippets that have only the
long way; everything that the shell has must be the same, inside and afterwards.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import rendering
from harness import Shell, make_venv
from snapshot import change, snapshot

from shellenv import render, state
from shellenv.plan import Plan, Ref, Venv

SHORT = "__shellenv_short"

# What the user has before, or does inside; `{}` is a directory with two virtual environments.
POSIX = {
    "nothing": "",
    "a variable": "export A=theirs",
    "an empty variable": "export A=",
    "a private variable": "A=theirs",
    "a private variable with our value": "unset A; A=1",
    "an unset variable": "unset A",
    "a variable with the log's separator": r"export A=$'1\x1fB=2'",
    "an alias": "alias t='echo theirs'",
    "no alias": "alias t=x; unalias t",
    "a function deactivate": "deactivate() { :; }",
    "no function deactivate": "unset -f deactivate 2>/dev/null",
    "another environment": ". {}/other/bin/activate",
    "no environment": "if [ ${VIRTUAL_ENV-} ]; then deactivate; fi",
    "VIRTUAL_ENV": "export VIRTUAL_ENV=/theirs",
    "no VIRTUAL_ENV": "unset VIRTUAL_ENV",
    "no _OLD_VIRTUAL_PATH": "unset _OLD_VIRTUAL_PATH",
    "VIRTUAL_ENV_PROMPT": "export VIRTUAL_ENV_PROMPT='(theirs) '",
    "VIRTUAL_ENV_DISABLE_PROMPT": "VIRTUAL_ENV_DISABLE_PROMPT=1",
    "PYTHONHOME": "export PYTHONHOME=/python",
    "PATH in front": "PATH=/mine:$PATH",
    "PATH behind": "PATH=$PATH:/mine",
    "PATH with a percent sign": "PATH=/100%:$PATH",
    "PATH without ours": "PATH=/bin",
    "PS1": "PS1='mine> '",
    "a changed PS1": 'PS1="$PS1 mine> "',
    "nounset and errexit": "set -eu",
    "noglob and noclobber": "set -fC",
    "an odd IFS": "IFS=vV=0_",
}
STORIES = {
    "bash": {
        **POSIX,
        "an integer": "unset A; declare -i A=7",
        "an exported integer": "declare -ix A",
        "a readonly variable": "readonly A",
        "a readonly alias of PATH": "declare -r PS1",
        "posix": "set -o posix",
    },
    "zsh": {
        **POSIX,
        "an integer": "typeset -gi A=7",
        "an upper-case variable": "typeset -gu A",
        "a global alias": "alias -g t='| cat'",
        "unique paths": "typeset -gU path PATH",
        "ksh_arrays": "setopt ksh_arrays sh_word_split",
        "rc_expand_param": "setopt rc_expand_param glob_subst",
        "warnings": "setopt warn_create_global warn_nested_var",
        "a sh": "emulate sh",
        "no global exports": "unsetopt global_export",
    },
    "fish": {
        "nothing": "",
        "a variable": "set -gx A theirs",
        "an empty variable": "set -gx A ''",
        "an empty list": "set -gx A",
        "a private variable": "set -g A theirs",
        "a private variable with our value": "set -e A; set -g A 1",
        "a list": "set -gx B it\\'s 2",
        "a universal variable": "set -U A theirs",
        "an unset variable": "set -e A",
        "an alias": "alias t 'echo theirs'",
        "the same alias": "alias t 'pytest -q'",
        "no alias": "functions -e t",
        "a function deactivate": "function deactivate; end",
        "no function deactivate": "functions -e deactivate",
        "another environment": "source {}/other/bin/activate.fish",
        "no environment": "functions -q deactivate; and deactivate",
        "VIRTUAL_ENV": "set -gx VIRTUAL_ENV /theirs",
        "no VIRTUAL_ENV": "set -e VIRTUAL_ENV",
        "no _OLD_VIRTUAL_PATH": "set -e _OLD_VIRTUAL_PATH",
        "VIRTUAL_ENV_PROMPT": "set -gx VIRTUAL_ENV_PROMPT '(theirs) '",
        "PYTHONHOME": "set -gx PYTHONHOME /python",
        "PATH in front": "set PATH /mine $PATH",
        "PATH behind": "set PATH $PATH /mine",
        "PATH with a percent sign": "set PATH /100% $PATH",
        "PATH without ours": "set PATH /bin",
        "a path": "set -gx XPATH /theirs",
    },
}
OUTSIDE = [(shell, name) for shell, stories in STORIES.items() for name in stories]


class Told(NamedTuple):
    """A story's end: what was printed, what the shell lost or gained, and the undo log inside."""

    said: str
    inside: dict[str, tuple[str, str]]
    after: dict[str, tuple[str, str]]
    log: frozenset[state.Record]
    short: str


def tell(shell: Shell, venvs: Path, before: str, inside: str, *, again: bool = False) -> Told:
    """Enter, do `inside`, leave; `again`: the same project anew before that, as after an edit."""
    plan = Plan(
        key="/k",
        root="/r",
        name="n",
        venv=Venv(str(venvs / "ours")),
        path=rendering.directories(["/p q", "/r"]),
        variables=rendering.variables(
            {"A": "1", "B": "it's 2", "E": "", "XPATH": "/a::/b", "R": ("x", Ref("A"))}
        ),
        aliases=rendering.aliases({"t": "pytest -q", "u": "echo 'it'; echo 5%", "v": "git log"}),
        marker="(n) ",
    )
    apply = ["__shellenv_apply"] * (2 if again else 1)
    visit = rendering.visit(
        shell,
        plan,
        {"PS1": "$ "},
        before="\n".join([before.replace("{}", str(venvs)), snapshot(shell, "before")]),
        inside="\n".join(
            [
                f'builtin printf "short:%s\\n" "${SHORT}"',
                inside.replace("{}", str(venvs)),
                *apply[1:],
                snapshot(shell, "inside"),
            ]
        ),
        after=snapshot(shell, "after"),
    )
    said, _, short = visit.result.stdout.partition("short:")
    log = state.read(visit.inside).records if visit.inside else ()
    return Told(
        f"{said}{short.partition(chr(10))[2]}{visit.result.stderr}",
        plainly(change(shell, "before", "inside")),
        change(shell, "before", "after"),
        frozenset(log),
        short.partition("\n")[0],
    )


def plainly(changes: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """`changes` without the order of the undo log, and how fish has indented a function."""
    return {
        name: (" ".join(before.split()), " ".join(DEFINED.sub("", after).split()))
        for name, (before, after) in changes.items()
        if not name.endswith(" __SHELLENV_UNDO")
    }


DEFINED = re.compile(r"^# Defined .*$", re.M)


@pytest.fixture
def venvs(tmp_path: Path) -> Path:
    for name in ("ours", "other"):
        make_venv(tmp_path / "venvs" / name)
    return tmp_path / "venvs"


def both(
    shell: Shell,
    venvs: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: str = "",
    inside: str = "",
    *,
    again: bool = False,
) -> tuple[Told, Told]:
    short = tell(shell, venvs, before, inside, again=again)
    monkeypatch.setattr(render, "_short", lambda *_: None)
    long = tell(shell, venvs, before, inside, again=again)
    assert long.short == ""
    return short, long


def stories(*, but: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    names = dict.fromkeys(name for _, name in OUTSIDE if name not in but)
    return pytest.mark.parametrize("story", names)


def code(shell: Shell, story: str) -> str:
    if story not in STORIES[shell.name]:
        pytest.skip(f"not in {shell.name}")
    return STORIES[shell.name][story]


@stories()
def test_what_is_there_before_is_treated_as_on_the_long_way(
    shell: Shell, venvs: Path, monkeypatch: pytest.MonkeyPatch, story: str
) -> None:
    short, long = both(shell, venvs, monkeypatch, before=code(shell, story))
    assert short._replace(short="") == long


@stories()
def test_what_is_changed_inside_is_treated_as_on_the_long_way(
    shell: Shell, venvs: Path, monkeypatch: pytest.MonkeyPatch, story: str
) -> None:
    short, long = both(shell, venvs, monkeypatch, inside=code(shell, story))
    assert short.short != "", "the short way was not taken"
    assert short._replace(short="") == long


@stories()
def test_what_is_changed_by_hand_is_carried_over_as_on_the_long_way(
    shell: Shell, venvs: Path, monkeypatch: pytest.MonkeyPatch, story: str
) -> None:
    short, long = both(shell, venvs, monkeypatch, inside=code(shell, story), again=True)
    assert short.short != "", "the short way was not taken"
    assert short._replace(short="") == long
