"""What a hostile reader found once: each of these was a hole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from harness import Home, Shell, write

from shellenv.shells import HOOK_VERSION

SET_X = "[shellenv.env]\nX = {}\n"
US = "\x1f"


def test_allowing_an_inner_project_speaks_for_no_other(shell: Shell, home: Home) -> None:
    outer = home.project("outer", SET_X.format("outer"))
    inner = outer / "inner"
    write(inner / "dockerutils.cfg", "[shellenv.env]\nY = inner\n")
    assert home.shellenv("deny", outer).status == 0
    said = home.shellenv("allow", inner)
    assert (said.status, said.stderr) == (
        0,
        "shellenv: allowed ~/projects/outer/inner/dockerutils.cfg\n",
    )
    result = shell.script("\n".join([shell.cd(inner), shell.show("X", "Y")]))
    assert result.stdout == "X unset\nY=inner\n"


def test_an_outer_project_that_waits_is_named_and_not_allowed_along(home: Home) -> None:
    outer = home.project("outer", SET_X.format("outer"))
    write(outer / "inner/dockerutils.cfg", "[shellenv.env]\nY = inner\n")
    assert home.shellenv("deny", outer).status == 0
    assert home.shellenv("allow", outer).status == 0
    write(outer / "dockerutils.cfg", SET_X.format("changed"))
    said = home.shellenv("allow", outer / "inner")
    assert "still waits: shellenv allow ~/projects/outer\n" in said.stderr
    state = json.loads(home.shellenv("status", "--json", cwd=outer).ok())
    assert [blocked["state"] for blocked in state["blocked"]] == ["blocked"]


def test_denying_an_inner_project_leaves_the_outer_one_allowed(shell: Shell, home: Home) -> None:
    outer = home.project("outer", SET_X.format("outer"))
    home.allow(outer)
    write(outer / "inner/dockerutils.cfg", "[shellenv.env]\nY = inner\n")
    assert home.shellenv("deny", outer / "inner").status == 0
    script = [shell.cd(outer), shell.show("X"), shell.cd(outer / "inner"), shell.show("X", "Y")]
    assert shell.script("\n".join(script)).stdout == "X=outer\nX=outer\nY unset\n"


def test_a_file_that_nobody_allowed_does_not_make_ones_own_settings_apply(
    shell: Shell, home: Home
) -> None:
    write(home.config / "dockerutils.cfg", "[shellenv.path]\nprepend = bin\n")
    root = write(home.projects / "evil/dockerutils.cfg", SET_X.format("1")).parent
    result = shell.script("\n".join([shell.cd(root), shell.show("SHELLENV_PROJECT"), "env"]))
    assert "SHELLENV_PROJECT unset" in result.stdout
    assert f"{root}/bin" not in result.stdout


def test_status_names_the_files_that_settings_would_bring_before_they_are_allowed(
    home: Home,
) -> None:
    root = write(home.projects / "api/dockerutils.cfg", "[shellenv.dotenv]\nfiles = .env\n").parent
    write(root / ".env", "LD_PRELOAD=/evil.so\n")
    blocked = json.loads(home.shellenv("status", "--json", cwd=root).ok())["blocked"]
    assert [Path(one["file"]).name for one in blocked] == ["dockerutils.cfg", ".env"]


@pytest.mark.parametrize("name", ["a[$(echo pwned >&2)]", "a b", "1", ""])
def test_an_inherited_log_with_a_name_that_is_no_name_is_not_evaluated(
    shell: Shell, home: Home, name: str
) -> None:
    home.env["__SHELLENV_UNDO"] = US.join(["#", "1", "/k", "/r", "v", name, "-", "=1", ""])
    result = shell.script("\n".join([shell.cd("/"), "true"]))
    assert (result.status, result.stderr) == (0, "")


@pytest.mark.shells("bash", "zsh")
def test_a_function_that_the_activate_script_hides_comes_back(shell: Shell, home: Home) -> None:
    root = home.project("api", venv=True)
    lines = [
        "deactivate() { echo mine; }",
        shell.cd(root),
        'echo "$VIRTUAL_ENV"',
        shell.cd("/"),
        "deactivate",
    ]
    result = shell.script("\n".join(lines))
    # activate itself calls a `deactivate nondestructive` that is there
    assert result.stdout.splitlines()[-2:] == [str(home.path / ".venv/api"), "mine"]


def test_what_a_script_of_the_users_changes_through_others_is_undone(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", venv=True)
    extra = home.path / "extra"
    write(extra, shell.set("EDITOR", "emacs") + "\n" + shell.unset("PAGER") + "\n")
    script = (
        home.path / ".venv/api" / ("bin/activate.fish" if shell.name == "fish" else "bin/activate")
    )
    write(script, script.read_text() + shell.source(extra) + "\n")
    names = shell.show("EDITOR", "PAGER")
    lines = [
        shell.set("EDITOR", "vi"),
        shell.set("PAGER", "less"),
        shell.cd(root),
        names,
        shell.cd("/"),
        names,
    ]
    assert (
        shell.script("\n".join(lines)).ok() == "EDITOR=emacs\nPAGER unset\nEDITOR=vi\nPAGER=less\n"
    )


def test_a_link_in_place_of_a_private_directory_is_not_followed(tmp_path: Path) -> None:
    from shellenv.errors import ShellenvError
    from shellenv.paths import private_dir

    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(ShellenvError):
        private_dir(str(tmp_path / "link"), os.geteuid(), follow=False)
    assert victim.stat().st_mode & 0o777 == 0o755


@pytest.mark.shells("bash")
def test_a_path_that_was_appended_to_and_then_edited_can_be_left(shell: Shell, home: Home) -> None:
    root = home.project("api", venv=True)
    script = home.path / ".venv/api/bin/activate"
    write(script, script.read_text() + 'PATH="$PATH:/appended"\n')
    lines = [shell.cd(root), "PATH=/front:$PATH:/behind", shell.cd("/"), 'echo "$PATH"']
    left = shell.script("\n".join(lines)).ok().strip().split(":")
    assert left[0] == "/front"
    assert left[-1] == "/behind"
    assert str(home.path / ".venv/api/bin") not in left


def test_a_running_shell_with_an_older_hook_takes_up_the_new_one(shell: Shell, home: Home) -> None:
    root = home.project("api", SET_X.format("1"))
    home.allow(root)
    lines = [
        shell.set("__shellenv_version", "0", export=False),
        shell.cd(root),
        shell.show("X", "__shellenv_version"),
        shell.at_prompt,
        shell.cd("/"),
        shell.at_prompt,
        shell.show("X"),
    ]
    expected = f"X=1\n__shellenv_version={HOOK_VERSION}\nX unset\n"
    assert shell.script("\n".join(lines)).ok() == expected


@pytest.mark.shells("fish")
def test_handlers_of_an_older_hook_are_replaced_by_the_new_ones(shell: Shell, home: Home) -> None:
    root = home.project("api", SET_X.format("1"))
    home.allow(root)
    lines = [
        "function __shellenv_prompt --on-event fish_prompt; __shellenv_of_the_older_one; end",
        "set -g __shellenv_version 0",
        shell.cd(root),
        shell.at_prompt,
        shell.show("X"),
    ]
    assert shell.script("\n".join(lines)).ok() == "X=1\n"


def test_editors_are_told_nothing_by_a_shell_that_is_up_to_date(shell: Shell, home: Home) -> None:
    root = home.project("api", SET_X.format("1"), venv=True)
    home.allow(root)
    lines = [shell.cd(root), shell.set("X", "mine"), "command shellenv export json"]
    assert shell.script("\n".join(lines)).stdout == "{}\n"
