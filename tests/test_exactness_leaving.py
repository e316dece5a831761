"""Leaving is a three-way merge: what the user changed meanwhile stays, all else goes back."""

from __future__ import annotations

import subprocess
import sys

import pytest
from harness import Home, Shell, write
from samples import rich, variables
from snapshot import change, snapshot


def path(shell: Shell) -> str:
    """Code that prints PATH as programs see it."""
    return 'env | sed -n "s/^PATH=//p"' if shell.name != "fish" else "env | sed -n 's/^PATH=//p'"


def path_is(shell: Shell, *entries: str) -> str:
    """Code that gives PATH these entries, each a word of code."""
    if shell.name == "fish":
        return "set -gx PATH " + " ".join(entries)
    return "export PATH=" + ":".join(entries)


def all_of_path(shell: Shell) -> str:
    return "$PATH" if shell.name == "fish" else '"$PATH"'


def test_a_project_that_is_entered_again_is_left_as_the_first_time(
    shell: Shell, home: Home
) -> None:
    a, b = (shell.cd(home.project(name, f"[shellenv.aliases]\nt = true {name}\n")) for name in "ab")
    with shell.interactive() as session:
        plain = session.prompt
        session.run(snapshot(shell, "before"))
        for visit in (a, a, b, b, f"{a}; true", b):
            session.run(visit)
            session.run("cd")
            assert session.prompt == plain, visit
        session.run(snapshot(shell, "after"))
    assert change(shell) == {}


def test_a_variable_changed_unset_or_added_inside_keeps_what_the_user_did(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(CHANGED="ours", GONE="ours", KEPT="ours", PRIVATE="ours"))
    result = shell.script(
        "\n".join(
            [
                shell.set("GONE", "before"),
                shell.set("PRIVATE", "before", export=False),
                shell.cd(root),
                shell.set("CHANGED", "by hand"),
                shell.unset("GONE"),
                shell.set("ADDED", "by hand"),
                shell.set("PRIVATE", "by hand"),
                shell.cd("/"),
                shell.show("CHANGED", "GONE", "KEPT", "ADDED", "PRIVATE"),
            ]
        )
    )
    assert result.ok() == (
        "CHANGED=by hand\nGONE unset\nKEPT unset\nADDED=by hand\nPRIVATE=by hand\n"
    )


def test_entries_that_the_user_puts_around_ours_stay_in_their_order(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", "[shellenv.path]\nprepend = a:b\n", venv=True)
    venv = home.path / ".venv/api/bin"
    before = home.env["PATH"]
    everything = all_of_path(shell)
    in_front = shell.quote(f"{root}/a"), shell.quote(f"{root}/b"), shell.quote(venv)
    cases = {
        "front": (path_is(shell, "/front", everything), f"/front:{before}"),
        "behind": (path_is(shell, everything, "/behind"), f"{before}:/behind"),
        "both": (
            path_is(shell, "/front", everything, "/behind"),
            f"/front:{before}:/behind",
        ),
        "between": (
            path_is(shell, in_front[0], "/between", in_front[1], in_front[2], "/rest"),
            "/between:/rest",
        ),
        "after ours": (path_is(shell, *in_front, "/between", "/rest"), "/between:/rest"),
        "order changed": (
            path_is(shell, "/rest", in_front[2], "/more", in_front[0], in_front[1]),
            "/rest:/more",
        ),
        "ours removed": (path_is(shell, in_front[2], "/rest"), "/rest"),
        "all replaced": (path_is(shell, "/own"), "/own"),
        "ours twice": (path_is(shell, in_front[0], *in_front, "/rest"), f"{root}/a:/rest"),
    }
    for name, (edit, expected) in cases.items():
        # `env` and `sed` are still needed when PATH is made of inventions
        put_back = (
            shell.set("PATH", before)
            if shell.name != "fish"
            else ("set -gx PATH " + " ".join(before.split(":")))
        )
        result = shell.script(
            "\n".join(
                [
                    shell.cd(root),
                    edit,
                    shell.cd("/"),
                    "/usr/bin/env | /bin/sed -n 's/^PATH=//p'",
                    put_back,
                ]
            )
        )
        assert (name, result.ok()) == (name, expected + "\n")


def test_an_entry_of_ours_that_the_user_had_too_stays_where_it_was(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", "[shellenv.path]\nprepend = bin\n", venv=True)
    mine = f"/first:{root}/bin:{home.env['PATH']}"
    home.env["PATH"] = mine
    script = [shell.cd(root), "true", shell.cd("/"), path(shell)]
    assert shell.script("\n".join(script)).ok() == f"{mine}\n"
    script[1] = path_is(shell, all_of_path(shell), "/behind")
    assert shell.script("\n".join(script)).ok() == f"{mine}:/behind\n"
    script[1] = path_is(shell, "/front", all_of_path(shell), "/behind")
    assert shell.script("\n".join(script)).ok() == f"/front:{mine}:/behind\n"


@pytest.mark.shells("bash", "zsh")  # fish itself turns an empty entry into a dot
def test_a_path_with_empty_entries_comes_back_to_the_letter(shell: Shell, home: Home) -> None:
    root = home.project("api", "[shellenv.path]\nprepend = bin\n", venv=True)
    for mine in (f"{home.env['PATH']}:", f":{home.env['PATH']}", f"/x::{home.env['PATH']}", "/bin"):
        script = [
            shell.set("PATH", mine),
            shell.cd(root),
            shell.cd("/"),
            shell.show("PATH"),
            shell.cd(root),
            "PATH=/front:$PATH",
            shell.cd("/"),
            shell.show("PATH"),
        ]
        assert shell.script("\n".join(script)).ok() == f"PATH={mine}\nPATH=/front:{mine}\n"


def test_an_alias_or_function_that_was_shadowed_comes_back_or_stays_changed(
    shell: Shell, home: Home
) -> None:
    root = home.project(
        "api",
        "[shellenv.aliases]\nshadowed = echo ours\nchanged = echo ours\nfresh = echo ours\n"
        "gone = echo ours\nfun = echo ours\n",
    )
    with shell.interactive(
        before="\n".join(
            [
                shell.alias("shadowed", "echo the user"),
                shell.alias("changed", "echo the user"),
                shell.function("fun", "echo a function"),
            ]
        )
    ) as session:
        session.run(snapshot(shell, "before"))
        session.run(shell.cd(root))
        assert session.run("shadowed") == "ours\n"
        assert session.run("fun") == "ours\n"
        session.run(shell.cd("/"))
        session.run(snapshot(shell, "after"))
        assert session.run("shadowed") == "the user\n"
        assert session.run("fun") == "a function\n"
        session.run(shell.cd(root))
        session.run(shell.alias("changed", "echo by hand"))
        session.run("functions -e gone" if shell.name == "fish" else "unalias gone")
        assert session.run(shell.cd("/")) == ""
        assert session.run("changed") == "by hand\n"
        assert session.run("shadowed") == "the user\n"
    assert change(shell) == {}


@pytest.mark.shells("bash", "zsh")
def test_an_array_an_integer_and_a_lowercase_variable_come_back_as_such(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(ARRAY="ours", INTEGER="7 + 1", LOWER="OURS", MAP="ours"))
    result = shell.script(
        "\n".join(
            [
                "ARRAY=(a 'b c' '')",
                "typeset -i INTEGER=5",
                "typeset -l LOWER=abc" if shell.name == "zsh" else "declare -l LOWER=abc",
                "typeset -A MAP; MAP=([k]='v w')"
                if shell.name == "bash"
                else "typeset -A MAP=(k v)",
                snapshot(shell, "before"),
                shell.cd(root),
                "env | grep -E '^(ARRAY|INTEGER|LOWER|MAP)=' | sort",
                shell.cd("/"),
                snapshot(shell, "after"),
            ]
        )
    )
    assert result.ok() == "ARRAY=ours\nINTEGER=7 + 1\nLOWER=OURS\nMAP=ours\n"
    assert change(shell) == {}


@pytest.mark.shells("fish")
def test_a_list_and_a_universal_variable_come_back_as_such(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(LIST="ours", UNIVERSAL="ours"))
    result = shell.script(
        "\n".join(
            [
                "set -g LIST a 'b c' ''",
                "set -U UNIVERSAL one two",
                snapshot(shell, "before"),
                shell.cd(root),
                shell.show("LIST", "UNIVERSAL"),
                shell.cd("/"),
                snapshot(shell, "after"),
            ]
        )
    )
    assert result.ok() == "LIST=ours\nUNIVERSAL=ours\n"
    assert change(shell) == {}


def test_what_the_user_changes_by_hand_survives_an_edit_of_the_project(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(A="ours", B="ours", C="ours"))
    config = root / "dockerutils.cfg"
    with shell.interactive(before=shell.set("A", "before")) as session:
        session.run(shell.cd(root))
        session.run(shell.set("A", "by hand"))
        write(config, variables(A="ours", B="new", D="new"))
        home.allow(root)
        assert session.enter() == ""
        values = {name: session.value(name) for name in "ABCD"}
        assert values == {"A": "by hand", "B": "new", "C": None, "D": "new"}
        session.run(shell.set("A", "ours"))
        session.run(shell.cd("/"))
        assert {name: session.value(name) for name in "ABD"} == {
            "A": "before",
            "B": None,
            "D": None,
        }


def test_the_prompt_changed_inside_keeps_the_change_and_loses_the_marker(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", venv=True)
    change_prompt = {
        "bash": "PS1='> '$PS1",
        "zsh": "PROMPT='> '$PROMPT",
        "fish": "functions -c fish_prompt mine; function fish_prompt; printf '> '; mine; end",
    }[shell.name]
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert session.prompt == "(api) $ "
        session.run(change_prompt)
        session.run(shell.cd("/"))
        assert session.prompt == "> $ "
        session.run(shell.cd(root))
        assert session.prompt in ("(api) > $ ", "> (api) $ ")


def test_two_hundred_visits_leave_the_shell_as_it_was(shell: Shell, home: Home) -> None:
    one = rich(home, "one")
    two = home.project("two", variables(PLAIN="2"), venv=True)
    loop = {
        "fish": f"for i in (seq 20); {shell.cd(one)}; {shell.cd(two)}; {shell.cd('/')}; end",
    }.get(
        shell.name,
        f"for i in 1 2 3 4 5 6 7 8 9 0; do {shell.cd(one)}; {shell.cd(two)}; {shell.cd('/')}; done",
    )
    unset_i = "" if shell.name == "fish" else "unset i"
    result = shell.script(
        "\n".join(
            [snapshot(shell, "before"), f"{loop} 2>/dev/null", unset_i, snapshot(shell, "after")]
        )
    )
    assert (result.status, result.stdout) == (0, "")
    assert change(shell) == {}


# --- virtual environments and hands -------------------------------------------------------------


WAYS = ["nothing in the way", "a variable in the way"]


def in_the_way(shell: Shell, way: str) -> str:
    """Where nothing is in the way, hooks may change everything at once: not with this in the rc."""
    return shell.set("X", "the user's") if way == "a variable in the way" else ""


def outside(way: str) -> str | None:
    return "the user's" if way == "a variable in the way" else None


def activated(shell: Shell, home: Home, name: str) -> str:
    return shell.source(home.path / ".venv" / name / "bin" / shell.activate)


def test_an_environment_activated_by_hand_before_wins_and_stays(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"), venv=True)
    home.venv("mine")
    with shell.interactive() as session:
        session.run(activated(shell, home, "mine"))
        session.run(snapshot(shell, "before"))
        session.run(shell.cd(root))
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/mine")
        assert session.value("X") == "1"
        assert session.run("command -v python") == f"{home.path}/.venv/mine/bin/python\n"
        session.run(shell.cd("/"))
        session.run(snapshot(shell, "after"))
        assert change(shell) == {}
        session.run(shell.cd(root))
        # theirs wins until they deactivate it
        session.run("deactivate")
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")
        session.run(shell.cd("/"))
        assert session.value("VIRTUAL_ENV") is None
        assert session.run(path(shell)) == f"{home.env['PATH']}\n"
        assert session.prompt == "$ "


@pytest.mark.parametrize("way", WAYS)
def test_an_environment_activated_by_hand_inside_stays_when_the_project_goes(
    shell: Shell, home: Home, way: str
) -> None:
    root = home.project("api", variables(X="1") + "[shellenv.path]\nprepend = bin\n", venv=True)
    home.venv("mine")
    with shell.interactive(before=in_the_way(shell, way)) as session:
        session.run(shell.cd(root))
        session.run(activated(shell, home, "mine"))
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/mine")
        session.enter()
        session.run(shell.cd("/"))
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/mine")
        assert session.value("X") == outside(way)
        assert session.run(path(shell)) == f"{home.path}/.venv/mine/bin:{home.env['PATH']}\n"
        session.run("deactivate")
        assert session.value("VIRTUAL_ENV") is None
        assert session.run(path(shell)) == f"{home.env['PATH']}\n"
        assert session.prompt == "$ "


@pytest.mark.parametrize("way", WAYS)
def test_deactivate_inside_is_obeyed_until_the_project_is_left(
    shell: Shell, home: Home, way: str
) -> None:
    root = home.project("api", variables(X="1") + "[shellenv.path]\nprepend = bin\n", venv=True)
    (root / "sub").mkdir()
    with shell.interactive(before=in_the_way(shell, way)) as session:
        session.run(snapshot(shell, "before"))
        session.run(shell.cd(root))
        session.run("deactivate")
        for code in (shell.cd(root / "sub"), shell.cd(root), "true"):
            session.run(code)
            assert session.value("VIRTUAL_ENV") is None
            assert session.value("X") == "1"
        assert session.run(path(shell)) == f"{root}/bin:{home.env['PATH']}\n"
        write(root / "dockerutils.cfg", variables(X="2"))
        home.allow(root)
        session.enter()
        assert session.value("X") == "2"
        assert session.value("VIRTUAL_ENV") is None
        session.run(shell.cd("/"))
        session.run(snapshot(shell, "after"))
        session.run(shell.cd(root))
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")
    assert change(shell) == {}


def test_the_projects_own_environment_activated_again_by_hand_is_no_other(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(X="1"), venv=True)
    with shell.interactive() as session:
        session.run(snapshot(shell, "before"))
        session.run(shell.cd(root))
        session.run(activated(shell, home, "api"))
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")
        session.run("deactivate")
        session.run(shell.cd("/"))
        assert session.value("VIRTUAL_ENV") is None
        assert session.run(path(shell)) == f"{home.env['PATH']}\n"
        session.run(snapshot(shell, "after"))
    difference = change(shell)
    difference.pop("variable PS1", None)  # bash: exported by the script when it runs by hand
    assert difference == {}


def test_a_path_edited_around_the_environment_survives_deactivate_on_leaving(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", venv=True)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        session.run(path_is(shell, "/front", all_of_path(shell), "/behind"))
        session.run(shell.cd("/"))
        assert session.run(path(shell)) == f"/front:{home.env['PATH']}:/behind\n"


def test_pythonhome_is_out_of_the_way_inside_and_back_outside(shell: Shell, home: Home) -> None:
    root = home.project("api", venv=True)
    result = shell.script(
        "\n".join(
            [
                shell.set("PYTHONHOME", "/mine"),
                shell.cd(root),
                shell.show("PYTHONHOME"),
                shell.cd("/"),
                "env | grep PYTHONHOME",
            ]
        )
    )
    assert result.ok() == "PYTHONHOME unset\nPYTHONHOME=/mine\n"


def test_what_virtualenvs_script_sets_besides_is_put_back(shell: Shell, home: Home) -> None:
    pytest.importorskip("virtualenv", reason="needs virtualenv")
    root = home.project("api", variables(X="1"))
    venv = home.path / ".venv/api"
    command = [sys.executable, "-m", "virtualenv", "-q", "--no-seed", str(venv)]
    subprocess.run(command, check=True)
    for before in (
        shell.unset("PKG_CONFIG_PATH"),
        shell.set("PKG_CONFIG_PATH", "/theirs"),
        shell.set("PKG_CONFIG_PATH", "/theirs", export=False),
        shell.set("PKG_CONFIG_PATH", ""),
    ):
        lines = [
            before,
            snapshot(shell, "before"),
            shell.cd(root),
            shell.show("VIRTUAL_ENV", "X"),
            'test -n "$PKG_CONFIG_PATH"',
            shell.cd("/"),
            snapshot(shell, "after"),
        ]
        # twice: by the program's answer, and from the cache
        for _ in range(2):
            assert shell.script("\n".join(lines)).ok() == f"VIRTUAL_ENV={venv}\nX=1\n"
            assert change(shell) == {}, before


def test_a_local_variable_of_a_function_that_calls_cd_neither_suffers_nor_matters(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(X="ours", Y="y"), venv=True)
    if shell.name == "fish":
        hides = ["set -l X mine", "set -lx X mine", "set -l X", "set -lx PATH /bin:/usr/bin"]
    else:
        hides = ["local X=mine", "local -x X=mine", "local X", "local PATH=/bin:/usr/bin"]
    lines = []
    for number, hide in enumerate(hides):
        for way, directory in (("in", root), ("out", "/")):
            cd = shell.cd(directory)
            keeps = (
                f"{hide}; set -q X; or set -l X; {cd}" if shell.name == "fish" else f"{hide}; {cd}"
            )
            lines.append(shell.function(f"{way}{number}", keeps))
    with shell.interactive(before="\n".join(lines)) as session:
        for before in (shell.unset("X"), shell.set("X", "theirs")):
            session.run(before)
            session.run(snapshot(shell, "before"))
            session.run(shell.cd(root))
            session.run(snapshot(shell, "inside"))
            session.run(shell.cd("/"))
            for number in range(len(hides)):
                assert session.run(f"in{number}") == ""
                session.run(snapshot(shell, f"inside {number}"))
                assert session.run(f"out{number}") == ""
                session.run(snapshot(shell, f"after {number}"))
    for number, hide in enumerate(hides):
        assert change(shell, "inside", f"inside {number}") == {}, hide
        assert change(shell, "before", f"after {number}") == {}, hide


def test_names_that_the_hook_uses_for_itself_are_names_like_any_other(
    shell: Shell, home: Home
) -> None:
    names = (
        "tag name new old how key root value text word again index now entry front i n state code"
    )
    home.venv("api")
    root = home.project("api", variables(**{name: f"our {name}" for name in names.split()}))
    for before in (shell.unset, lambda name: shell.set(name, f"their {name}")):
        lines = [
            *map(before, names.split()),
            snapshot(shell, "before"),
            shell.cd(root),
            shell.show(*names.split()),
            "shellenv reload",
            shell.show(*names.split()),
            shell.cd("/"),
            snapshot(shell, "after"),
        ]
        inside = "".join(f"{name}=our {name}\n" for name in names.split())
        assert shell.script("\n".join(lines)).ok() == inside * 2
        assert change(shell) == {}


def test_what_both_the_project_and_its_environments_script_set_goes_back_to_the_users(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(X="the project's"), venv=True)
    script = home.path / ".venv/api/bin" / shell.activate
    more = """
        export X=script
        eval "their_$(typeset -f deactivate)"
        deactivate() { unset X; their_deactivate "$@"; unset -f their_deactivate 2>/dev/null; }
    """
    if shell.name == "fish":
        more = """
            set -gx X script
            functions -c deactivate their_deactivate
            function deactivate; set -e X; their_deactivate; functions -e their_deactivate; end
        """
    write(script, script.read_text() + more)
    for before in (shell.unset("X"), shell.set("X", "theirs")):
        lines = [
            before,
            snapshot(shell, "before"),
            shell.cd(root),
            "shellenv reload",
            shell.show("X"),
            shell.cd("/"),
            snapshot(shell, "after"),
        ]
        assert shell.script("\n".join(lines)).ok() == "X=the project's\n"
        assert change(shell) == {}
