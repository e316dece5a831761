"""Plans: settings in, the wanted state out, and nothing else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shellenv.config import Entry, Origin
from shellenv.plan import (
    Group,
    Plan,
    Ref,
    Variable,
    Venv,
    absolute,
    expand,
    is_secret,
    join,
    make,
    marker,
    parse_value,
)


def group(root: str | None, dotenv: tuple[Variable, ...] = (), **sections: dict[str, str]) -> Group:
    """Settings, a keyword a section: `env={"A": "1"}` is [shellenv.env]; `own` is [shellenv]."""
    return Group(
        root,
        {
            "shellenv" if name == "own" else f"shellenv.{name}": {
                key: Entry(value, Origin(f"{root}/cfg", line), root)
                for line, (key, value) in enumerate(keys.items(), 1)
            }
            for name, keys in sections.items()
        },
        dotenv,
    )


def plan(*groups: Group, root: str = "/r", venv: Venv | None = None) -> Plan:
    return make("/r/key", root, "name", venv, groups, ())


def values(made: Plan) -> dict[str, str]:
    found = {v.name: expand(v.value, {}) for v in made.variables}
    return {k: v for k, v in found.items() if not k.startswith("SHELLENV_")}


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("$A", (Ref("A"),)),
        ("${A}", (Ref("A"),)),
        ("${A}b", (Ref("A"), "b")),
        ("$A$B", (Ref("A"), Ref("B"))),
        ("x$A_1-y", ("x", Ref("A_1"), "-y")),
        ("$$", ("$",)),
        ("$$A", ("$A",)),
        ("$$$A", ("$", Ref("A"))),
        ("$$$$", ("$$",)),
        ("$", ("$",)),
        ("a$", ("a$",)),
        ("$1", ("$1",)),
        ("$-", ("$-",)),
        ("${", ("${",)),
        ("${}", ("${}",)),
        ("${A", ("${A",)),
        ("${A-b}", ("${A-b}",)),
        ("${1}", ("${1}",)),
        ("$(id)", ("$(id)",)),
        ("`id`", ("`id`",)),
        ("\\$A", ("\\", Ref("A"))),
        ("$é", ("$é",)),
        ("$Aé", (Ref("A"), "é")),
    ],
)
def test_a_value_is_literal_text_and_references(text: str, parts: tuple[str | Ref, ...]) -> None:
    assert parse_value(text) == parts


@given(st.text())
def test_a_text_with_its_dollars_doubled_means_itself(text: str) -> None:
    assert expand(parse_value(text.replace("$", "$$")), {"A": "x"}) == text


@given(st.text())
def test_no_text_is_a_mistake_and_neighbours_are_joined(text: str) -> None:
    parts = parse_value(text)
    assert "" not in parts
    kinds = [isinstance(part, str) for part in parts]
    assert (True, True) not in set(pairwise(kinds))


def test_an_unset_variable_is_nothing_and_a_default_stands_for_it() -> None:
    assert expand(("a", Ref("NO"), "b", Ref("NO", "c")), {}) == "abc"
    assert expand((Ref("SET", "c"),), {"SET": ""}) == ""


def test_joining_keeps_the_order() -> None:
    assert join(["a", "b", Ref("C"), "", "d", "e"]) == ("ab", Ref("C"), "de")


def test_a_secret_is_never_a_variable_of_the_plan() -> None:
    made = plan(group("/r", env={"TOKEN": "credstash:token@2", "A": "1"}))
    assert [v.name for v in made.secrets] == ["TOKEN"]
    assert values(made) == {"A": "1"}
    assert not is_secret(Variable("A", (Ref("credstash"),), Origin("", 0)))
    assert not is_secret(Variable("A", (), Origin("", 0)))


def test_what_is_made_of_a_secret_is_one() -> None:
    env = {"EARLY": "$TOKEN", "TOKEN": "credstash:t", "URL": "db://$TOKEN@h", "DSN": "x $URL"}
    made = plan(group("/r", env=env, dotenv=(Variable("A", ("1",), Origin("", 0)),)))
    assert [v.name for v in made.secrets] == ["TOKEN", "URL", "DSN"]
    assert values(made) == {"A": "1", "EARLY": ""}


def test_a_plain_value_further_in_makes_a_secret_plain() -> None:
    outer = group("/r", env={"TOKEN": "credstash:t", "URL": "db://$TOKEN@h"})
    made = plan(outer, group("/r/in", env={"TOKEN": "fake"}))
    assert made.secrets == ()
    assert [v.name for v in made.variables][2:] == ["TOKEN", "URL"]


# --- merging ----------------------------------------------------------------------------------


def test_an_inner_project_wins_name_by_name_and_the_outers_other_settings_stay() -> None:
    made = plan(
        group("/r", env={"A": "outer", "B": "outer"}, aliases={"t": "outer", "u": "outer"}),
        group("/r/in", env={"B": "inner", "C": "inner"}, aliases={"u": "inner"}),
    )
    assert values(made) == {"A": "outer", "B": "inner", "C": "inner"}
    assert {alias.name: alias.value for alias in made.aliases} == {"t": "outer", "u": "inner"}
    assert {v.name: str(v.origin) for v in made.variables}["B"] == "/r/in/cfg:1"


def test_a_variable_stays_where_it_was_first_set_so_that_others_may_refer_to_it() -> None:
    made = plan(
        group("/r", env={"A": "1", "B": "$A"}),
        group("/r/in", env={"A": "2"}),
    )
    names = [v.name for v in made.variables if not v.name.startswith("SHELLENV_")]
    assert names == ["A", "B"]


def test_the_file_itself_wins_over_the_dotenv_files_it_names() -> None:
    dotenv = (
        Variable("A", ("dotenv",), Origin("/r/.env", 1)),
        Variable("B", ("dotenv",), Origin("/r/.env", 2)),
    )
    made = plan(group("/r", dotenv, env={"A": "file"}))
    assert values(made) == {"A": "file", "B": "dotenv"}
    inner = plan(group("/r", env={"A": "outer"}), group("/r/in", dotenv))
    assert values(inner)["A"] == "dotenv"


def test_path_entries_add_up_the_inner_ones_first_and_each_once() -> None:
    made = plan(
        group(None, path={"prepend": "tools"}),
        group("/r", path={"prepend": "bin:/abs: scripts \n./dot/"}),
        group("/r/in", path={"prepend": "bin:/abs"}),
    )
    assert [d.path for d in made.path] == [
        "/r/in/bin",
        "/abs",
        "/r/bin",
        "/r/scripts",
        "/r/dot",
        "/r/tools",  # the user's own: relative to whatever project it is
    ]


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        ("bin", "/r/bin"),
        ("./bin", "/r/bin"),
        (".//bin/", "/r/bin"),
        (".", "/r"),
        ("./", "/r"),
        ("../x", "/r/../x"),
        ("/abs/", "/abs/"),
        (".hidden", "/r/.hidden"),
    ],
)
def test_a_relative_path_starts_at_the_root(path: str, whole: str) -> None:
    assert absolute(path, "/r") == whole


def test_hooks_add_up_and_keep_their_id_as_long_as_they_say_the_same() -> None:
    outer, inner = {"enter": "a", "leave": "b"}, {"enter": "c"}
    made = plan(group("/r", hooks=outer), group("/r/in", hooks=inner))
    assert [(hook.enter, hook.leave) for hook in made.hooks] == [("a", "b"), ("c", "")]
    again = plan(group("/r", hooks=outer), group("/r/other", hooks=inner))
    assert made.hooks[0].id == again.hooks[0].id
    assert made.hooks[1].id != again.hooks[1].id
    edited = plan(group("/r", hooks={"enter": "a", "leave": "B"}))
    assert edited.hooks[0].id != made.hooks[0].id
    swapped = plan(group("/r", hooks={"enter": "b", "leave": "a"}))
    assert swapped.hooks[0].id != made.hooks[0].id


def test_the_users_own_hooks_run_for_each_project() -> None:
    own = group(None, hooks={"enter": "a"})
    ids = {plan(own, root=root).hooks[0].id for root in ("/r", "/s")}
    assert len(ids) == 2


def test_no_id_has_a_line_end_in_it() -> None:
    # the shell is told the ids one a line
    made = plan(group("/r", hooks={"enter": "a\nb"}))
    assert "\n" not in made.hooks[0].id


def test_a_project_says_its_name_and_root_and_shows_its_marker() -> None:
    made = plan(group("/r", env={"A": "1"}))
    found = {v.name: expand(v.value, {}) for v in made.variables}
    assert found == {"SHELLENV_PROJECT": "name", "SHELLENV_ROOT": "/r", "A": "1"}
    assert made.marker == "(name) "


@pytest.mark.parametrize("groups", [(), (group("/r", own={"quiet": "yes"}),)])
def test_a_project_that_would_change_nothing_changes_nothing(groups: tuple[Group, ...]) -> None:
    made = plan(*groups)
    assert made.empty
    assert (made.variables, made.marker) == ((), "")


def test_a_virtual_environment_alone_is_a_change() -> None:
    made = plan(venv=Venv("/v"))
    assert not made.empty
    assert made.marker == "(name) "


def test_the_last_word_on_the_prompt_counts() -> None:
    hidden = group("/r", own={"prompt": "no"}, env={"A": "1"})
    assert plan(hidden).marker == ""
    assert plan(hidden, group(None, own={"prompt": "yes"})).marker == "(name) "


@given(st.text())
def test_a_marker_means_nothing_to_any_shell(name: str) -> None:
    text = marker(name)
    assert text.startswith("(")
    assert text.endswith(") ")
    assert not set(text) & set("\\$`!%\n\t\x1b\x7f")
    text.encode("utf-8")


@given(
    st.lists(
        st.dictionaries(st.sampled_from("ABCD"), st.sampled_from(["1", "$A", "${B}x", ""])),
        max_size=4,
    )
)
def test_the_later_group_wins_for_every_name(settings: list[dict[str, str]]) -> None:
    made = plan(*(group(f"/r/{n}", env=env) for n, env in enumerate(settings)))
    merged: dict[str, str] = {}
    for env in settings:
        merged.update(env)
    assert {v.name: v.value for v in made.variables if not v.name.startswith("SHELLENV_")} == {
        name: parse_value(text) for name, text in merged.items()
    }
