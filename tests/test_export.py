"""`export`: the whole way from a directory to what a shell or an editor gets."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from harness import Home, Shell, write

SETTINGS = """
[shellenv.env]
GOOD = yes
URL = http://$LANG/
[shellenv.path]
prepend = bin
[shellenv.aliases]
t = pytest
"""


def changes(home: Home, cwd: Path) -> dict[str, str | None]:
    found = json.loads(home.shellenv("export", "json", cwd=cwd).ok())
    assert isinstance(found, dict)
    return found


# --- json, for editors ------------------------------------------------------------------------


def test_json_says_what_to_set_and_nothing_outside(home: Home) -> None:
    root = home.project("api", SETTINGS, venv=True)
    assert changes(home, home.path) == {}
    found = changes(home, root)
    environment = str(home.path / ".venv/api")
    assert found["PATH"] == f"{root}/bin:{environment}/bin:{home.env['PATH']}"
    assert (found["GOOD"], found["URL"]) == ("yes", "http://C.UTF-8/")
    assert found["VIRTUAL_ENV"] == environment
    assert (found["SHELLENV_PROJECT"], found["SHELLENV_ROOT"]) == ("api", str(root))
    assert not {"USER", "HOME", "TERM"} & {*found}  # what stays is not said


def test_json_unsets_what_has_to_go(home: Home) -> None:
    root = home.project("api", SETTINGS, venv=True)
    home.env["PYTHONHOME"] = "/somewhere"
    assert changes(home, root)["PYTHONHOME"] is None


def test_json_takes_back_what_the_shell_has_done_elsewhere(shell: Shell) -> None:
    first = shell.home.project("first", SETTINGS, venv=True)
    second = shell.home.project("second", "[shellenv.env]\nOTHER = 2\nGOOD = no\n")
    program = shell.quote(shell.home.path.parent / "json")
    lines = [
        shell.cd(first),
        f"/usr/bin/env -C {shell.quote(second)} shellenv export json >{program}",
    ]
    shell.script("\n".join(lines)).ok()
    found = json.loads((shell.home.path.parent / "json").read_text(encoding="utf-8"))
    assert (found["OTHER"], found["GOOD"]) == ("2", "no")
    assert found["PATH"] == shell.env["PATH"]
    assert found["URL"] is None
    assert found["VIRTUAL_ENV"] is None
    assert str(first) not in (found["__SHELLENV_UNDO"] or "")


def test_an_environment_that_the_user_has_activated_stays(home: Home) -> None:
    root = home.project("api", SETTINGS, venv=True)
    home.env["VIRTUAL_ENV"] = "/theirs"
    found = changes(home, root)
    assert "VIRTUAL_ENV" not in found
    assert (found["PATH"] or "").startswith(f"{root}/bin:{home.env['PATH']}")


def test_json_holds_bytes_that_are_no_utf_8(home: Home) -> None:
    root = home.project("api", "[shellenv.env]\nGOOD = é$ODD\n")
    home.env["ODD"] = os.fsdecode(b"\xff")
    text = home.shellenv("export", "json", cwd=root).ok()
    assert json.loads(text)["GOOD"] == "é\udcff"


# --- code -------------------------------------------------------------------------------------


def evaluate(shell: Shell) -> str:
    if shell.name == "fish":
        return "shellenv export fish | source"
    return f'eval "$(shellenv export {shell.name})"'


def test_the_code_works_in_a_shell_without_the_hook(shell: Shell) -> None:
    root = shell.home.project("api", SETTINGS, venv=True)
    lines = [
        shell.cd(root),
        evaluate(shell),
        shell.show("GOOD", "URL", "VIRTUAL_ENV"),
        shell.cd("/"),
        shell.show("GOOD"),  # nothing follows by itself
        evaluate(shell),
        shell.show("GOOD", "URL", "VIRTUAL_ENV", "PATH"),
    ]
    assert shell.script("\n".join(lines), hook=False).ok().splitlines() == [
        "GOOD=yes",
        "URL=http://C.UTF-8/",
        f"VIRTUAL_ENV={shell.home.path}/.venv/api",
        "GOOD=yes",
        "GOOD unset",
        "URL unset",
        "VIRTUAL_ENV unset",
        f"PATH={shell.env['PATH']}",
    ]


def test_what_is_printed_is_what_is_kept(shell: Shell) -> None:
    root = shell.home.project("api", SETTINGS)
    os.utime(root / "dockerutils.cfg", (1_600_000_000.5, 1_600_000_000.5))
    printed = shell.home.shellenv("export", shell.name, cwd=root).ok()
    kept = (shell.home.cache / f"snippets/{shell.name}{root}/.snippet").read_text(encoding="utf-8")
    assert kept in printed
    assert shell.home.shellenv("export", shell.name, cwd=root).ok() == printed


def test_a_file_that_was_written_within_its_clocks_tick_is_not_vouched_for(home: Home) -> None:
    """Where times are whole seconds, a file may change again within the second."""
    root = home.project("api", SETTINGS)
    file, snippet = root / "dockerutils.cfg", home.cache / f"snippets/bash{root}/.snippet"
    now = file.stat().st_mtime_ns // 10**9 + 3600  # in the future: is left alone by the clock
    os.utime(file, (now, now))
    home.shellenv("export", "bash", cwd=root).ok()
    assert snippet.exists()
    snippet.unlink()
    now = int(time.time())
    os.utime(file, (now, now))
    home.shellenv("export", "bash", cwd=root).ok()
    assert not snippet.exists()
    os.utime(file, (now - 10, now - 10))
    home.shellenv("export", "bash", cwd=root).ok()
    assert snippet.exists()


@pytest.mark.parametrize("args", [(), ("bash", "zsh"), ("--coarse",), ("-x",), ("tcsh",)])
def test_wrong_usage_is_told(home: Home, args: tuple[str, ...]) -> None:
    result = home.shellenv("export", *args)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("shellenv: ")


def test_a_broken_file_is_told_by_the_code_and_not_by_the_program(shell: Shell) -> None:
    root = shell.home.project("api", venv=True)
    write(shell.home.config / "projects/api.cfg", "oh\n")
    code = shell.home.shellenv("export", shell.name, cwd=root).ok()
    result = shell.script(f"{shell.cd(root)}\n{evaluate(shell)}", hook=False)
    assert "api.cfg:1" in code
    assert len(result.stderr.splitlines()) == 1
