"""Entering brings the project's environment, leaving takes it away, and nothing else happens."""

from __future__ import annotations

import pytest
from harness import Home, Shell, write
from samples import VARIABLES, rich, variables
from snapshot import change, snapshot


def users_own(shell: Shell) -> str:
    """What a user may have that the rich project shadows."""
    return "\n".join(
        [
            shell.set("SHADOWS_EXPORTED", "the user's"),
            shell.set("SHADOWS_EMPTY", ""),
            shell.set("SHADOWS_PRIVATE", "not exported", export=False),
            shell.alias("shadowed", "echo 'the user'\\''s'" if shell.name != "fish" else "echo u"),
            shell.set("UNTOUCHED", "x y", export=False),
        ]
    )


def shown(values: dict[str, str | None]) -> str:
    """What `Shell.show` prints for these variables."""
    return "".join(
        f"{name} unset\n" if value is None else f"{name}={value}\n"
        for name, value in values.items()
    )


def test_a_project_is_there_after_cd_and_gone_without_a_trace_after_leaving(
    shell: Shell, home: Home
) -> None:
    root = rich(home)
    path = home.env["PATH"]
    venv = home.path / ".venv/rich"
    result = shell.script(
        "\n".join(
            [
                users_own(shell),
                snapshot(shell, "before"),
                shell.cd(root),
                shell.show(*VARIABLES, "VIRTUAL_ENV", "UNTOUCHED"),
                "env | grep ^PATH=",
                "env | grep ^SHADOWS_ | sort",
                shell.count_aliases("greet", "shadowed"),
                shell.cd(home.path),
                snapshot(shell, "after"),
            ]
        )
    )
    assert result.stderr == "entering\nleaving\n"
    assert result.stdout == (
        shown({**VARIABLES, "VIRTUAL_ENV": str(venv), "UNTOUCHED": "x y"})
        + f"PATH={root}/bin:{root}/more tools:{venv}/bin:{path}\n"
        + "SHADOWS_EMPTY=ours\nSHADOWS_EXPORTED=ours\nSHADOWS_PRIVATE=ours\n2\n"
    )
    assert change(shell) == {}


def test_at_a_terminal_it_is_the_same_and_the_second_prompt_changes_nothing(
    shell: Shell, home: Home
) -> None:
    root = rich(home)
    with shell.interactive(before=users_own(shell)) as session:
        session.run(snapshot(shell, "before"))
        assert session.run(shell.cd(root)) == "entering\n"
        assert session.prompt == "(rich) $ "
        session.run(snapshot(shell, "inside"))
        assert session.run("greet") == "hello\n"
        assert session.run("shadowed") == "ours\n"
        assert {name: session.value(name) for name in VARIABLES} == VARIABLES
        for _ in range(3):
            assert session.enter() == ""
        session.run(snapshot(shell, "later"))
        assert session.prompt == "(rich) $ "
        assert session.run(shell.cd(home.path)) == "leaving\n"
        assert session.prompt == "$ "
        session.run(snapshot(shell, "after"))
        assert session.run("shadowed") in ("the user's\n", "u\n")
    assert change(shell) == {}
    assert change(shell, "inside", "later") == {}
    assert "variable PLAIN" in " ".join(change(shell, "before", "inside")).replace("global ", "")


def test_the_command_after_cd_on_one_line_sees_the_project(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="inside"))
    with shell.interactive() as session:
        join = "; and" if shell.name == "fish" else " &&"
        command = f"{shell.cd(root)}{join} env | grep ^X="
        assert session.run(command) == "X=inside\n"
        assert session.run(f"{shell.cd(home.path)}{join} env | grep -c ^X=") == "0\n"


def test_from_one_project_to_another_nothing_of_the_first_is_left(shell: Shell, home: Home) -> None:
    one = rich(home, "one")
    two = home.project("two", variables(TWO="2", PLAIN="of two"), venv=True)
    result = shell.script(
        "\n".join(
            [
                users_own(shell),
                snapshot(shell, "outside"),
                shell.cd(two),
                snapshot(shell, "before"),
                shell.cd(one),
                shell.show("TWO", "PLAIN"),
                shell.cd(two),
                shell.show("TWO", "PLAIN"),
                snapshot(shell, "after"),
                shell.cd("/"),
                snapshot(shell, "outside again"),
            ]
        )
    )
    assert result.stderr == "entering\nleaving\n"
    assert result.stdout == "TWO unset\nPLAIN=one\nTWO=2\nPLAIN=of two\n"
    assert change(shell) == {}
    assert change(shell, "outside", "outside again") == {}


def test_a_shell_that_starts_inside_a_project_has_it_at_its_first_prompt(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(X="inside"), venv=True)
    (root / "deep/er").mkdir(parents=True)
    with shell.interactive(cwd=root / "deep/er") as session:
        assert session.prompt == "(api) $ "
        assert session.value("X") == "inside"
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")


def test_a_sub_directory_is_the_same_project_and_its_hooks_run_once(
    shell: Shell, home: Home
) -> None:
    root = rich(home)
    (root / "a/b").mkdir(parents=True)
    result = shell.script(
        "\n".join(
            [
                shell.cd(root),
                snapshot(shell, "before"),
                shell.cd(root / "a/b"),
                shell.at_prompt,
                shell.cd(root),
                shell.at_prompt,
                snapshot(shell, "after"),
                shell.cd("/"),
                shell.cd(root / "a"),
            ]
        )
    )
    assert result == (0, "", "entering\nleaving\nentering\n")
    assert change(shell) == {}


def test_root_and_home_are_no_projects_whatever_is_there(shell: Shell, home: Home) -> None:
    home.project("api", variables(X="1"))
    write(home.path / "dockerutils.cfg", variables(HOME_FILE="1"))
    home.venv(home.path.name)
    # also where the loop over the parents ends: an empty name would be the directory of all venvs
    lines = [shell.mark("start")]
    for directory in ("/", "//", "/tmp", str(home.path), str(home.projects)):
        lines += [shell.cd(directory), shell.at_prompt, shell.show("HOME_FILE", "VIRTUAL_ENV")]
    lines += [shell.mark("end")]
    trace = shell.trace_script("\n".join(lines))
    assert trace.between("start", "end").lines == ()


def test_nothing_happens_before_the_user_allows_it(shell: Shell, home: Home) -> None:
    root = home.project("api")
    write(root / "dockerutils.cfg", variables(X="1"))
    with shell.interactive() as session:
        output = session.run(shell.cd(root))
        assert "not allowed yet" in output
        assert output.count("\n") == 1
        assert session.value("X") is None
        assert session.enter() == ""
        session.run("shellenv allow")
        assert session.value("X") == "1"
        session.run("shellenv deny")
        assert session.value("X") is None
        assert session.prompt == "$ "


def test_what_waits_is_named_with_the_files_that_would_be_allowed_along(
    shell: Shell, home: Home
) -> None:
    root = home.project("api")
    write(root / "dockerutils.cfg", "[shellenv.dotenv]\nfiles = .env:~/all.env:missing\n")
    write(home.path / "all.env", "Y=1\n")
    write(root / ".env", "X=1\n")
    with shell.interactive() as session:
        assert session.run(shell.cd(root)) == (
            "shellenv: ~/projects/api/dockerutils.cfg, .env and ~/all.env are not allowed yet; "
            "read them, then run `shellenv allow`\n"
        )


def test_a_name_that_path_cannot_hold_is_said_and_not_used(shell: Shell, home: Home) -> None:
    root = home.project("a:b", "[shellenv.path]\nprepend = bin\n[shellenv.env]\nX = 1\n")
    with shell.interactive() as session:
        before = session.value("PATH")
        assert session.run(shell.cd(root)) == (
            f"shellenv: {root}/bin is not used: PATH cannot hold a name with a colon (rename it)\n"
        )
        assert (session.value("X"), session.value("PATH")) == ("1", before)


def test_a_mistake_in_a_hook_is_said_with_its_line(shell: Shell, home: Home) -> None:
    hooks = "[shellenv.hooks]\nleave = echo out\nenter = if then (\n"
    root = home.project("api", hooks + "[shellenv.env]\nX = 1\n")
    with shell.interactive() as session:
        said = session.run(shell.cd(root)).splitlines()
        ours = f"shellenv: ~/projects/api/dockerutils.cfg:3: {shell.name} cannot read the code of"
        assert [line.startswith(ours) for line in said].count(True) == 1, said
        assert len(said) == 1 or shell.name != "fish"
        assert session.value("X") == "1"
        assert session.run(shell.cd(home.path)) == "out\n"


@pytest.mark.parametrize(
    "code", ["echo it", "false", "ls !(a)", "[[ a == +(a) ]] && echo it", "for i in a; do :; done"]
)
def test_code_of_any_kind_is_no_mistake(shell: Shell, home: Home, code: str) -> None:
    if shell.name == "fish":
        code = {"f": "for i in a; end"}.get(code[0], "echo it")
    root = home.project("api", f"[shellenv.hooks]\nenter = {code}\n")
    with shell.interactive() as session:
        assert "cannot read the code" not in session.run(shell.cd(root))


def test_a_project_of_two_prompts_has_one_marker(shell: Shell, home: Home) -> None:
    root = home.project("api", venv=True)
    prompt_off = home.project("plain", "[shellenv]\nprompt = no\n", venv=True)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert session.prompt == "(api) $ "
        session.run(shell.cd(prompt_off))
        assert session.prompt == "$ "
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/plain")
        session.run(shell.cd(root))
        session.run("shellenv reload")
        assert session.prompt == "(api) $ "


@pytest.mark.parametrize("name", ["SHELLENV_DISABLE_PROMPT", "DOCKERUTILS_DISABLE_PROMPT"])
def test_the_prompt_can_be_kept_for_oneself(shell: Shell, home: Home, name: str) -> None:
    root = home.project("api", venv=True)
    with shell.interactive(before=shell.set(name, "1")) as session:
        session.run(shell.cd(root))
        assert session.prompt == "$ "
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")
        session.run(shell.cd("/"))
        assert session.prompt == "$ "


def test_pause_resume_and_reload(shell: Shell, home: Home) -> None:
    root = rich(home)
    with shell.interactive(before=users_own(shell)) as session:
        session.run(snapshot(shell, "before"))
        session.run(shell.cd(root))
        assert session.run("shellenv reload") == "leaving\nentering\n"
        assert session.value("PLAIN") == "one"
        assert session.run("shellenv pause") == "leaving\n"
        assert session.prompt == "$ "
        session.run(shell.cd("/"))
        assert session.run(shell.cd(root)) == ""
        session.run(snapshot(shell, "after"))
        assert session.run("shellenv resume") == "entering\n"
        assert session.value("PLAIN") == "one"
    assert change(shell) == {}


def test_what_people_add_to_an_activate_script_works_and_is_undone(
    shell: Shell, home: Home
) -> None:
    venv = home.venv("api")
    root = home.project("api")
    script = venv / "bin" / shell.activate
    added = [
        shell.set("ADDED", "by activate"),
        shell.set("ADDED_SHADOW", "by activate"),
        shell.alias("added", "echo added"),
    ]
    write(script, script.read_text() + "\n".join(added) + "\n")
    result = shell.script(
        "\n".join(
            [
                shell.set("ADDED_SHADOW", "the user's", export=False),
                snapshot(shell, "before"),
                shell.cd(root),
                shell.show("ADDED", "ADDED_SHADOW"),
                shell.count_aliases("added"),
                shell.cd("/"),
                snapshot(shell, "after"),
            ]
        )
    )
    assert result.ok() == "ADDED=by activate\nADDED_SHADOW=by activate\n1\n"
    assert change(shell) == {}


def test_many_and_long_variables_leave_room_for_programs(shell: Shell, home: Home) -> None:
    many = {f"V{number}": f"value {number} " + "x" * 300 for number in range(1000)}
    long = {f"LONG{number}": str(number) * 100_000 for number in range(2)}
    root = home.project("big", variables(**many, **long))
    result = shell.script(
        "\n".join(
            [
                snapshot(shell, "before"),
                shell.cd(root),
                "env | grep -c '^V[0-9]'",
                "env | grep -c '^LONG[01]='",
                f"{shell.program} -c 'echo a child starts'",
                shell.cd("/"),
                "env | grep -c '^V[0-9]'",
                snapshot(shell, "after"),
            ]
        )
    )
    assert result.stdout == "1000\n2\na child starts\n0\n"
    assert result.stderr == ""
    assert change(shell) == {}


NAMES = [
    "two words",
    "it's",
    'q"uote',
    "$HOME",
    "back\\slash",
    "é ü",
    "-n",
    "*",
    "[a]?",
    "~",
    "%1",
    "a\nb",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_projects_name_may_be_anything(shell: Shell, home: Home, name: str) -> None:
    root = home.projects / name
    write(root / "dockerutils.cfg", variables(X="inside") + "[shellenv.path]\nprepend = bin\n")
    inner = root / "sub"
    inner.mkdir()
    home.allow(root)
    script = "\n".join(
        [
            snapshot(shell, "before"),
            shell.cd(inner),
            shell.at_prompt,
            "env | grep ^X=",
            "env | sed -n '/^PATH=/,/[^=]*:/p'" if "\n" in name else "env | grep ^PATH=",
            shell.cd(home.path),
            snapshot(shell, "after"),
        ]
    )
    output = f"X=inside\nPATH={root}/bin:{home.env['PATH']}\n"
    assert shell.script(script).ok() == output
    assert change(shell) == {}
    assert shell.script(script).ok() == output  # from the cache as well
    assert change(shell) == {}


@pytest.mark.shells("bash", "zsh")
def test_a_readonly_variable_stays_and_the_rest_is_applied(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(A="1", FIXED="ours", Z="2"))
    with shell.interactive(before="readonly FIXED=mine\nreadonly FIXED_TOO") as session:
        output = session.run(shell.cd(root))
        assert "FIXED" in output
        assert "readonly" in output
        assert output.count("\n") == 1
        assert [session.value(name) for name in ("A", "FIXED", "Z")] == ["1", "mine", "2"]
        assert session.enter() == ""
        assert session.run(shell.cd("/")) == ""
        assert [session.value(name) for name in ("A", "FIXED", "Z")] == [None, "mine", None]


def test_the_program_may_go_away_under_a_running_shell(shell: Shell, home: Home) -> None:
    known = home.project("known", variables(X="known"))
    new = home.project("new", variables(X="new"))
    program = write(home.path / "bin/shellenv", '#!/bin/sh\nexec shellenv "$@"\n')
    program.chmod(0o755)
    program_variable = shell.set("__shellenv_bin", str(program), export=False)
    with shell.interactive(after=program_variable) as session:
        session.run(shell.cd(known))
        session.run(shell.cd("/"))
        program.unlink()
        session.run(shell.cd(known))  # from the cache
        assert session.value("X") == "known"
        output = session.run(shell.cd(new))
        assert "is gone" in output
        assert output.count("\n") == 1
        for _ in range(2):
            assert session.enter() == ""
        assert session.value("X") is None
        assert session.run(shell.cd(home.project("newer", venv=True))) == ""
        assert session.run(shell.cd(known)) == ""
        assert session.value("X") == "known"
        assert session.run(shell.cd("/")) == ""
        assert session.value("X") is None


def test_an_activate_script_that_fails_leaves_a_usable_shell(shell: Shell, home: Home) -> None:
    venv = home.venv("api")
    root = home.project("api", variables(X="1"))
    script = venv / "bin" / shell.activate
    write(script, script.read_text() + "\nfalse\n")
    result = shell.script(
        "\n".join(
            [
                snapshot(shell, "before"),
                shell.cd(root),
                shell.show("X"),
                shell.cd("/"),
                snapshot(shell, "after"),
            ]
        )
    )
    assert result.ok() == "X=1\n"
    assert change(shell) == {}
