"""`status`: what is active here, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness import Home, Shell, run, write

CONFIG = """\
[shellenv.env]
STAGE = dev
URL = http://$HOST_NAME/$STAGE?price=5$$
PLAIN = here
TOOLS = ${VIRTUAL_ENV}/bin
"""


def variables(home: Home, root: Path) -> dict[str, dict[str, Any]]:
    found = json.loads(home.shellenv("status", "--json", cwd=root).ok())
    return {row.pop("name"): row for row in found["variables"]}


def test_values_are_those_that_the_shell_gets(home: Home) -> None:
    root = home.project("api", venv=True, config=CONFIG)
    home.env["HOST_NAME"] = "localhost"
    shown = home.shellenv("status", cwd=root).ok()
    assert "URL              = http://localhost/dev?price=5$   (~/projects/api/" in shown
    found = variables(home, root)
    file = f"{root}/dockerutils.cfg"
    assert found["PLAIN"] == {"value": "here", "file": file, "line": 4}
    assert found["URL"] == {
        "value": "http://localhost/dev?price=5$",
        "written": "http://${HOST_NAME}/${STAGE}?price=5$$",
        "file": file,
        "line": 3,
    }
    assert found["TOOLS"]["value"] == f"{home.path}/.venv/api/bin"


def test_values_are_the_same_in_a_shell_that_has_them(home: Home, shell: Shell) -> None:
    root = home.project("api", venv=True, config=CONFIG)
    home.env["HOST_NAME"] = "localhost"
    inside = shell.script(f"{shell.cd(root)}\nshellenv status --json").ok()
    assert (
        json.loads(inside)["variables"]
        == json.loads(home.shellenv("status", "--json", cwd=root).ok())["variables"]
    )


def test_a_default_of_a_dotenv_file_is_shown_as_it_is_written(home: Home) -> None:
    root = home.project("api", config="[shellenv.dotenv]\nfiles = .env\n")
    write(root / ".env", "PORT=${API_PORT:-8080}\n")
    home.allow(root)
    found = variables(home, root)["PORT"]
    assert (found["value"], found["written"]) == ("8080", "${API_PORT:-8080}")


def test_hooks_are_shown_with_their_lines(home: Home) -> None:
    root = home.project("api", config="[shellenv.hooks]\nleave = echo out\nenter = echo in\n")
    shown = home.shellenv("status", cwd=root).ok()
    assert "enter     echo in   (~/projects/api/dockerutils.cfg:3)\n" in shown
    assert "leave     echo out   (~/projects/api/dockerutils.cfg:2)\n" in shown


def test_a_blocked_environment_is_told_of_once(home: Home) -> None:
    root = home.project("api", config="[shellenv.env]\nA = 1\n")
    write(root / ".venv/bin/activate", "")
    shown = home.shellenv("status", cwd=root).ok()
    assert "blocked   ~/projects/api/.venv/bin/activate\n" in shown
    assert "passed" not in shown


def test_a_deleted_directory_is_no_project(home: Home) -> None:
    gone = home.projects / "gone"
    gone.mkdir()
    words = ["sh", "-c", 'rmdir "$PWD" && exec shellenv status']
    result = run(words, home.env, gone)
    assert result.status == 1
    assert "shellenv: the current directory is gone\n" in result.stderr


def test_it_is_known_why_nothing_is_applied(home: Home, shell: Shell) -> None:
    root = home.project("api", config="[shellenv.env]\nA = 1\n")
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert "shell     applied\n" in session.run("shellenv status")
        session.run("shellenv pause")
        assert "not applied: paused; `shellenv resume` goes on" in session.run("shellenv status")
    assert "the hook is not loaded in this shell" in home.shellenv("status", cwd=root).ok()
