"""What only fish has: lists, paths, universal variables, wraps, the mode prompt, config.fish."""

from __future__ import annotations

import pytest
from harness import Home, Shell, run, write
from samples import variables
from snapshot import change, snapshot

pytestmark = pytest.mark.shells("fish")


def lines(*text: str) -> str:
    return "\n".join(text)


def test_a_list_of_paths_comes_back_as_one(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(MINE="/ours:/more", CDPATH="/ours"))
    result = shell.script(
        lines(
            "set -gx --path MINE /a '/b c'",
            "set -g CDPATH . /x",
            snapshot(shell, "before"),
            shell.cd(root),
            "env | grep -E '^(MINE|CDPATH)=' | sort",
            shell.cd("/"),
            "count $MINE; env | grep ^MINE=; count $CDPATH",
            snapshot(shell, "after"),
        )
    )
    assert result.ok() == "CDPATH=/ours\nMINE=/ours:/more\n2\nMINE=/a:/b c\n2\n"
    assert change(shell) == {}


def test_a_path_that_the_user_adds_inside_stays(shell: Shell, home: Home) -> None:
    root = home.project("api", "[shellenv.path]\nprepend = bin\n", venv=True)
    extra = home.path / "extra"
    extra.mkdir()
    with shell.interactive() as session:
        before = session.value("PATH")
        session.run(shell.cd(root))
        session.run(f"fish_add_path {extra}")
        assert str(session.value("PATH")).startswith(f"{extra}:{root}/bin:")
        session.run(shell.cd("/"))
        assert session.value("PATH") == f"{extra}:{before}"


def test_the_mode_of_vis_keys_is_shown_beside_the_marker(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"))
    mode = "function fish_mode_prompt; printf '[I]'; end"
    with shell.interactive(before=mode) as session:
        session.run(snapshot(shell, "before"))
        session.run(shell.cd(root))
        assert session.prompt == "[I](api) $ "
        session.run(shell.cd("/"))
        assert session.prompt == "[I]$ "
        session.run(snapshot(shell, "after"))
        session.run(shell.cd(root))
        session.run("function fish_mode_prompt; printf '[mine]'; end")
        session.run(shell.cd("/"))
        assert session.prompt == "[mine]$ "
    assert change(shell) == {}


def test_completions_of_an_alias_go_with_it_and_those_of_the_user_stay(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", "[shellenv.aliases]\ngreet = echo hello\n")
    result = shell.script(
        lines(
            "complete -c greet -a mine",
            shell.cd(root),
            "complete -c greet | sort",
            shell.cd("/"),
            "complete -c greet",
        )
    )
    assert result.ok() == (
        "complete greet --wraps 'echo hello'\ncomplete greet -a mine\ncomplete greet -a mine\n"
    )


def test_an_alias_may_call_what_it_hides(shell: Shell, home: Home) -> None:
    root = home.project("api", "[shellenv.aliases]\nuname = uname -s\nmath = math 1 +\n")
    result = shell.script(lines(shell.cd(root), "uname", "math 2", shell.cd("/"), "math 2"))
    assert result.ok() == "Linux\n3\n2\n"


def test_an_alias_that_does_not_parse_is_told_and_the_rest_applies(
    shell: Shell, home: Home
) -> None:
    root = home.project(
        "api", "[shellenv.aliases]\nbad = for x in\nok = echo ok\n[shellenv.env]\nX = 1\n"
    )
    result = shell.script(lines(shell.cd(root), "echo $X; ok", shell.cd("/"), "functions -q bad"))
    assert result.stdout == "1\nok\n"
    # fish says itself, wherever stderr goes, what it cannot parse
    assert result.stderr.endswith("shellenv: bad cannot be an alias for: for x in\n")
    assert result.status == 1


def test_an_environment_without_a_script_for_fish_is_activated_all_the_same(
    shell: Shell, home: Home
) -> None:
    venv = home.venv("api")
    (venv / "bin/activate.fish").unlink()
    root = home.project("api", variables(X="1"))
    result = shell.script(
        lines(
            "set -gx PYTHONHOME /python",
            snapshot(shell, "before"),
            shell.cd(root),
            shell.show("VIRTUAL_ENV", "PYTHONHOME"),
            "echo $PATH[1]",
            shell.cd("/"),
            snapshot(shell, "after"),
            shell.cd(root),
            "deactivate",
            shell.show("VIRTUAL_ENV", "PYTHONHOME", "X"),
        )
    )
    assert result.ok() == (
        f"VIRTUAL_ENV={venv}\nPYTHONHOME unset\n{venv}/bin\n"
        "VIRTUAL_ENV unset\nPYTHONHOME=/python\nX=1\n"
    )
    assert change(shell) == {}


def test_a_script_that_has_only_read_config_fish_is_left_alone(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"))
    write(home.path / ".config/fish/config.fish", shell.hook)
    code = f"cd {root}; set -q X; and echo set; true"
    assert run([shell.program, "-c", code], home.env, root).ok() == ""
    asked = f"{shell.hook}\n{code}"
    assert run([shell.program, "-c", asked], home.env, home.path).ok() == "set\n"


def test_the_hook_loaded_three_times_is_one(shell: Shell, home: Home) -> None:
    root = home.project("api", "[shellenv.hooks]\nenter = echo in\nleave = echo out\n")
    with shell.interactive(after=lines(shell.hook, shell.hook)) as session:
        assert session.run(shell.cd(root)) == "in\n"
        assert session.run("functions --handlers | grep -c __shellenv") == "2\n"
        assert session.run(shell.cd("/")) == "out\n"


def test_a_fish_that_cannot_compare_times_asks_at_each_prompt_in_a_project(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(X="1"), venv=True)
    with shell.interactive(after="set -g __shellenv_timeless yes") as session:
        session.run(shell.cd(root))
        assert session.value("X") == "1"
        for value in "23":
            write(root / "dockerutils.cfg", variables(X=value))
            home.allow(root)
            assert session.enter() == ""
            assert session.value("X") == value
        session.run(shell.cd("/"))
        assert session.value("X") is None


def test_code_of_the_users_meets_no_local_variables(shell: Shell, home: Home) -> None:
    names = "name code word index text new old argv variables functions"
    root = home.project(
        "api", f"[shellenv.hooks]\nenter = for v in {names}; set -q $v[1]; and echo $v; end\n"
    )
    result = shell.script(shell.cd(root))
    assert result.stderr.replace("argv\n", "") == ""
