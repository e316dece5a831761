"""The undo log as the core reads it, held against what the shells do themselves."""

from __future__ import annotations

import os

import pytest
import rendering
from harness import Shell, run, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rendering import outside, visit

from shellenv import installation, state
from shellenv.plan import Plan, Ref

PLAN = Plan(key="/k", root="/r", name="n")
ENTRIES = st.sampled_from(["/a", "/b", "/c", "/ours", "/ours too", "/a/b"])
PATHS = st.lists(ENTRIES, max_size=6)
OURS = st.lists(st.sampled_from(["/ours", "/ours too", "/a", "/b"]), min_size=1, max_size=3)

quick = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


# --- the text ---------------------------------------------------------------------------------


@given(word=st.text())
def test_decoding_undoes_encoding_and_no_separator_remains(word: str) -> None:
    assert state.decode(state.encode(word)) == word
    assert state.SEPARATOR not in state.encode(word)


def log(*records: tuple[str, str, str, str]) -> str:
    words = ["#", "1", "/key", "/root", *(word for record in records for word in record)]
    return "".join(state.encode(word) + state.SEPARATOR for word in words)


def test_records_are_read_oldest_first_and_those_of_the_shell_alone_are_left_out() -> None:
    text = log(
        ("p", "PATH", "=/bin", "=/x:/bin"),
        ("v", "A", "-", "=1"),
        ("a", "t", "-", "=pytest"),
        ("v", "B", "~not exported", "=2"),
        ("v", "C", "!declare -i C=1", "=3"),
        ("h", "/r #1", "-", "=echo"),
        ("m", "PS1", "-", "=(n) "),
        ("e", "VIRTUAL_ENV", "=/old", "-"),
    )
    assert state.read({state.NAME: text}) == state.Log(
        "/key",
        "/root",
        (
            state.Record("p", "PATH", "/bin", "/x:/bin"),
            state.Record("v", "A", None, "1"),
            state.Record("v", "B", None, "2"),
            state.Record("v", "C", None, "3"),
            state.Record("e", "VIRTUAL_ENV", "/old", None),
        ),
    )


def test_a_long_log_is_put_together_from_its_parts() -> None:
    text = log(("v", "A", "-", "=" + "x" * 1000))
    parts = [text[start : start + 100] for start in range(0, len(text), 100)]
    env = {f"{state.NAME}_{n}" if n else state.NAME: part for n, part in enumerate(parts)}
    assert state.read(env) == state.read({state.NAME: text})
    assert state.revert({**env, "A": "x" * 1000, "B": "1"}) == {"B": "1"}


@pytest.mark.parametrize(
    "text",
    ["", "x", "#", log().replace("1", "2", 1), "\x1f" * 10, log()[:-7], "#\x1f1\x1f", "\udcff\x1f"],
)
def test_what_is_no_log_is_an_empty_one(text: str) -> None:
    assert state.read({state.NAME: text}) == state.EMPTY
    assert state.revert({state.NAME: text, "A": "1"}) == {"A": "1"}


def test_a_log_that_is_cut_short_yields_its_whole_records() -> None:
    text = log(("v", "A", "-", "=1"), ("v", "B", "-", "=2"))
    whole = state.read({state.NAME: text})
    for length in range(len(text)):
        found = state.read({state.NAME: text[:length]})
        assert found == state.EMPTY or whole.records[: len(found.records)] == found.records


def test_only_the_parts_of_the_log_are_taken_for_such() -> None:
    assert state.is_part("__SHELLENV_UNDO")
    assert state.is_part("__SHELLENV_UNDO_12")
    for name in ("__SHELLENV_UNDO_", "__SHELLENV_UNDO_x", "__SHELLENV_UNDO1", "SHELLENV_UNDO"):
        assert not state.is_part(name)


# --- going back -------------------------------------------------------------------------------


def test_what_was_changed_by_hand_stays() -> None:
    env = {
        state.NAME: log(
            ("v", "KEPT", "=old", "=ours"),
            ("v", "EDITED", "=old", "=ours"),
            ("v", "REMOVED", "=old", "=ours"),
            ("v", "NEW", "-", "=ours"),
        ),
        "KEPT": "ours",
        "EDITED": "theirs",
        "NEW": "ours",
        "OTHER": "x",
    }
    assert state.revert(env) == {"KEPT": "old", "EDITED": "theirs", "OTHER": "x"}


def test_a_variable_that_was_set_twice_goes_all_the_way_back() -> None:
    env = {state.NAME: log(("e", "A", "=1", "=2"), ("v", "A", "=2", "=3")), "A": "3"}
    assert state.revert(env) == {"A": "1"}


@given(old=st.lists(st.one_of(ENTRIES, st.just("")), max_size=6), ours=OURS)
def test_a_path_that_nobody_edited_goes_back_to_the_letter(old: list[str], ours: list[str]) -> None:
    before, after = ":".join(old), ":".join([*ours, *old])
    assert state.unpath(after, before, after) == before


@given(
    old=st.lists(st.sampled_from(["/a", "/b", "/c"]), unique=True, min_size=1),
    ours=st.lists(st.sampled_from(["/x", "/y"]), unique=True, min_size=1),
    front=st.lists(st.sampled_from(["/f", "/g"]), unique=True),
    behind=st.lists(st.sampled_from(["/h", "/i"]), unique=True),
)
def test_entries_that_were_added_around_ours_stay(
    old: list[str], ours: list[str], front: list[str], behind: list[str]
) -> None:
    before, after = ":".join(old), ":".join([*ours, *old])
    edited = ":".join([*front, *ours, *old, *behind])
    assert state.unpath(edited, before, after) == ":".join([*front, *old, *behind])


def test_entries_that_were_added_between_ours_stay_and_one_that_the_user_had_too() -> None:
    assert state.unpath("/x:/new:/y:/a", "/a", "/x:/y:/a") == "/new:/a"
    assert state.unpath("/y:/new:/x", "/x", "/x:/y:/x") == "/new:/x"  # one is left: theirs
    assert state.unpath("/new:/x:/b:/x", "/a:/x", "/x:/a:/x") == "/new:/b:/x"
    assert state.unpath("/only", "/a", "/x:/a") == "/only"


class Edit:
    """PATH before, what we put in front, and what the user has made of it."""

    def __init__(self, old: list[str], ours: list[str], now: list[str]) -> None:
        self.old = ":".join(old)
        self.new = ":".join([*ours, *old])
        self.now = ":".join(now)

    def __repr__(self) -> str:
        return f"Edit({self.old!r}, {self.new!r}, {self.now!r})"


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    old = draw(PATHS.filter(bool))
    ours = draw(OURS)
    now = [*ours, *old]
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(now)))
        if draw(st.booleans()):
            now.insert(place, draw(ENTRIES))
        elif len(now) > 1:
            del now[place % len(now)]
    return Edit(old, ours, now)


@pytest.mark.shells("bash")  # the others by leaving, below
@settings(quick, max_examples=20)
@given(cases=st.lists(edits(), min_size=1, max_size=60))
def test_the_shell_takes_path_apart_as_the_core_does(shell: Shell, cases: list[Edit]) -> None:
    static = shell.quote(f"{installation.static_dir()}/hook.{shell.name}")
    lines = [f". {static} --definitions"]
    for case in cases:
        words = {name: shell.quote(value) for name, value in vars(case).items()}
        lines.append("X={now}; __shellenv_unpath X {old} {new}".format(**words))
        lines.append('builtin printf "%s\\0" "$X"')
    script = write(shell.home.path.parent / "unpath", "\n".join(lines) + "\n")
    said = run(shell.argv(script), shell.env, shell.home.path).ok().split("\0")[:-1]
    for case, own in zip(cases, said, strict=True):
        assert own == state.unpath(case.now, case.old, case.new), case


NAMES = ("A", "B", "C", "D")
VALUES = st.sampled_from(["", "1", "2", "it's", "%", "\x1f", "a b\nc"])
CHANGES = st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), VALUES))


@settings(quick, max_examples=20)
@given(
    before=st.dictionaries(st.sampled_from(NAMES), VALUES),
    ours=st.dictionaries(st.sampled_from(NAMES), VALUES),
    by_hand=CHANGES,
    path=edits(),
)
def test_the_shell_leaves_as_the_core_does(
    shell: Shell,
    before: dict[str, str],
    ours: dict[str, str],
    by_hand: dict[str, str | None],
    path: Edit,
) -> None:
    """Whatever was there before and whatever was changed by hand meanwhile."""
    front = path.new[: len(path.new) - len(path.old)].rstrip(":").split(":")
    plan = PLAN._replace(
        variables=rendering.variables({**ours, "E": (Ref("A"), "+")}),
        path=rendering.directories(front),
    )
    edits = [
        shell.unset(name) if value is None else shell.set(name, value)
        for name, value in by_hand.items()
        if value is not None or name in {**before, **ours}
    ]
    if shell.name == "fish":
        edits.append(f"set -gx PATH (string split : -- {shell.quote(path.now)})")
    else:
        edits.append(shell.set("PATH", path.now))
    seen = visit(shell, plan, {**before, "PATH": path.old}, inside="\n".join(edits))
    assert seen.result.stderr == ""
    assert seen.after == state.revert(seen.inside)
    assert not [name for name in seen.after if name.startswith("__SHELLENV")]


def test_an_environment_of_another_shell_is_reverted_by_exec(shell: Shell) -> None:
    root = shell.home.project("api", "[shellenv.env]\nGOOD = yes\n[shellenv.path]\nprepend = bin\n")
    lines = [shell.cd(root), "shellenv exec / -- /usr/bin/env -0"]
    said = shell.script("\n".join(lines)).ok()
    env = rendering.environment(os.fsencode(said))
    assert "GOOD" not in env
    assert env["PATH"] == shell.env["PATH"]
    assert outside(env).keys() == env.keys()
