"""The short way: whatever is in its way, or changed by hand, the shell ends as on the long one.

Each story is told twice, once with snippets as they are and once with snippets that have only the
long way; everything that the shell has must be the same, inside and afterwards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import rendering
from harness import Home, Shell, make_venv
from samples import variables
from snapshot import change, snapshot

from shellenv import byheart, render, state
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


class Told(NamedTuple):
    """A story's end: what was printed, what the shell lost or gained, and the undo log inside."""

    said: str
    inside: dict[str, tuple[str, ...]]
    after: dict[str, tuple[str, ...]]
    log: frozenset[state.Record]
    short: str


def tell(shell: Shell, venvs: Path, before: str, inside: str, again: bool) -> Told:
    """Enter, do `inside`, leave; `again`: the same project anew before that, as after an edit."""
    script = "activate.fish" if shell.name == "fish" else "activate"
    text = (venvs / "ours/bin" / script).read_text(encoding="utf-8")
    plan = Plan(
        key="/k",
        root="/r",
        name="n",
        venv=Venv(str(venvs / "ours"), script=byheart.known(text, str(venvs / "ours"))),
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
        plainly(change(shell, "before", "after")),
        frozenset(record for record in log if record.old != record.new),
        short.partition("\n")[0],
    )


def plainly(changes: dict[str, tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """`changes` without the order of the undo log, and where and how a function was written."""
    return {
        name: tuple(" ".join(DEFINED.sub("", text).split()) for text in states)
        for name, states in changes.items()
        if not name.endswith(" __SHELLENV_UNDO")
    }


DEFINED = re.compile(r"^# Defined .*$", re.M)


@pytest.fixture
def venvs(tmp_path: Path) -> Path:
    for name in ("ours", "other"):
        make_venv(tmp_path / "venvs" / name)
    return tmp_path / "venvs"


Way = Callable[[Shell, str], Told]


def different(shell: Shell, monkeypatch: pytest.MonkeyPatch, way: Way) -> dict[str, object]:
    """The stories of which the short way makes something else than the long one, and what."""
    found: dict[str, object] = {}
    for number, (name, story) in enumerate(STORIES[shell.name].items()):
        top = shell.home.path.parent / str(number)
        short = way(Shell(shell.name, Home.create(top / "short/home")), story)
        with monkeypatch.context() as patch:
            patch.setattr(render, "_short", lambda *_: None)
            long = way(Shell(shell.name, Home.create(top / "long/home")), story)
        if short._replace(short="") != long:
            found[name] = (short, long)
    return found


def test_what_is_there_before_is_treated_as_on_the_long_way(
    shell: Shell, venvs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def way(shell: Shell, story: str) -> Told:
        return tell(shell, venvs, before=story, inside="", again=False)

    assert different(shell, monkeypatch, way) == {}


@pytest.mark.parametrize("again", [False, True], ids=["and left", "and entered anew"])
def test_what_is_changed_inside_is_treated_as_on_the_long_way(
    shell: Shell, venvs: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    def way(shell: Shell, story: str) -> Told:
        return tell(shell, venvs, before="", inside=story, again=again)

    assert way(shell, "").short != "", "the short way is not taken"
    assert different(shell, monkeypatch, way) == {}


@pytest.mark.parametrize("moment", ["entering", "leaving", "editing"])
def test_an_interrupt_in_the_middle_is_made_good_at_the_next_prompt(
    shell: Shell, home: Home, moment: str
) -> None:
    config = variables(X="1", Y="2") + "[shellenv.aliases]\nt = true\n"
    root = home.project("api", config, venv=True)
    shell.script(shell.cd(root))  # so that it is warm
    # what every activate script calls, or sets, and every deactivate, too
    trap, untrap = {
        "bash": ("hash() { unset -f hash; kill -INT $$; }", "unset -f hash"),
        "zsh": ("hash() { unfunction hash; kill -INT $$; }", "unset -f hash"),
        "fish": (
            "function trap --on-variable VIRTUAL_ENV; functions -e trap; kill -INT $fish_pid; end",
            "functions -e trap",
        ),
    }[shell.name]
    with shell.interactive() as session:
        path = session.value("PATH")
        if moment != "entering":
            session.run(shell.cd(root))
            assert session.value("X") == "1"
        session.run(trap)
        if moment == "editing":
            os.utime(root / "dockerutils.cfg")
            session.run("true")
        else:
            session.run(shell.cd(root if moment == "entering" else "/"))
        session.run(f"{untrap} 2>/dev/null; true")
        session.enter()
        if moment != "leaving":
            assert (session.value("X"), session.value("Y")) == ("1", "2")
            assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")
            session.run(shell.cd("/"))
        assert (session.value("X"), session.value("Y")) == (None, None)
        assert session.value("VIRTUAL_ENV") is None
        assert session.value("PATH") == path
        assert session.run(shell.count_aliases("t=", "t ")).strip() == "0"


def test_what_appears_where_nothing_was_for_many_prompts_is_seen(shell: Shell, home: Home) -> None:
    """The walk is one test by then."""
    odd = home.projects / "it's $odd"
    below = odd / "src"
    below.mkdir(parents=True)
    with shell.interactive(cwd=below) as session:
        session.run(shell.cd(below))
        for _ in range(4):
            assert session.enter() == ""
        home.project(odd.name, variables(X="outer"))
        session.enter()
        assert session.value("X") == "outer"
        for _ in range(4):
            assert session.enter() == ""
        assert session.value("X") == "outer"
        home.project(f"{odd.name}/src", variables(X="inner"))
        session.enter()
        assert session.value("X") == "inner"
        (below / "dockerutils.cfg").unlink()
        (odd / "dockerutils.cfg").unlink()
        session.enter()
        assert session.value("X") is None


def test_nor_does_it_miss_what_the_walk_depends_on_besides_files(shell: Shell, home: Home) -> None:
    place = home.projects / "api"
    place.mkdir()
    make_venv(home.path / "elsewhere/api")
    with shell.interactive(cwd=place) as session:
        for _ in range(5):
            assert session.enter() == ""
        session.run(shell.set("SHELLENV_VENV_DIR", str(home.path / "elsewhere")))
        assert session.value("VIRTUAL_ENV") == str(home.path / "elsewhere/api")
        for _ in range(5):
            assert session.enter() == ""
        session.run(shell.unset("SHELLENV_VENV_DIR"))
        assert session.value("VIRTUAL_ENV") is None
        make_venv(home.projects / "home/.venv/projects")
        session.run("cd ..")
        for _ in range(5):
            assert session.enter() == ""
        session.run(shell.set("HOME", str(home.projects / "home")))
        # ~/projects is a project of that home
        assert session.value("VIRTUAL_ENV") == str(home.projects / "home/.venv/projects")
        session.run(shell.set("HOME", str(home.path)))
        assert session.value("VIRTUAL_ENV") is None


def test_no_leave_is_missed_where_nothing_was_for_many_prompts(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"), venv=True)
    with shell.interactive() as session:
        for _ in range(3):
            for _ in range(4):
                assert session.enter() == ""
            session.run(shell.cd(root))
            assert session.value("X") == "1"
            session.run("cd -")
            assert session.value("X") is None
