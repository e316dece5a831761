"""What activate scripts touch: nothing unusual in those that tools write, all that people add.

And those that are known by heart: what the shell does instead of sourcing them is what they do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from harness import BIN, make_venv

from shellenv.activation import VIRTUALENVS, touches
from shellenv.byheart import digest, known
from shellenv.environment import _activated
from shellenv.plan import Venv

SCRIPTS = {"activate": False, "activate.fish": True}


def pythons() -> dict[str, str]:
    """A Python of each version from 3.10 on that this machine has, the running one at least."""
    found = {".".join(map(str, sys.version_info[:2])): sys.executable}
    versions = Path(os.path.expanduser("~/.pyenv/versions"))
    for minor in range(10, 15):
        for program in sorted(versions.glob(f"3.{minor}.*/bin/python3")):
            found.setdefault(f"3.{minor}", str(program))
    return found


def read(venv: Path, script: str) -> str:
    return (venv / "bin" / script).read_text(encoding="utf-8")


def by_venv(python: str, venv: Path) -> None:
    subprocess.run([python, "-m", "venv", "--without-pip", str(venv)], check=True)


def by_uv(venv: Path) -> None:
    command = [str(BIN / "uv"), "venv", "--offline", "-q", "-p", sys.executable, str(venv)]
    subprocess.run(command, check=True, env={**os.environ, "UV_CACHE_DIR": f"{venv}-cache"})


def by_virtualenv(venv: Path) -> None:
    command = [sys.executable, "-m", "virtualenv", "-q", "--no-seed", str(venv)]
    subprocess.run(command, check=True)


GENERATORS: dict[str, Callable[[Path], None]] = {
    **{f"venv of Python {v}": partial(by_venv, program) for v, program in pythons().items()},
    "uv": by_uv,
    "virtualenv": by_virtualenv,
}


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_unusual_in_what_generators_write(
    tmp_path: Path, generator: str, script: str
) -> None:
    GENERATORS[generator](tmp_path / "venv")
    found = touches(read(tmp_path / "venv", script), SCRIPTS[script])
    assert set(found) <= (VIRTUALENVS if generator == "virtualenv" else set())


# virtualenv sets PKG_CONFIG_PATH since 2026, which depends on what it was
KNOWN = [name for name in GENERATORS if name != "virtualenv"]


@pytest.mark.parametrize("generator", KNOWN)
@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_what_is_known_by_heart_is_what_the_script_does(
    tmp_path: Path, generator: str, kind: str
) -> None:
    venv = tmp_path / "venv"
    GENERATORS[generator](venv)
    script = "activate.fish" if kind == "fish" else "activate"
    text = read(venv, script)
    found = known(text, str(venv))
    assert found, f"not known: add {digest(text, str(venv))} to shellenv/byheart.py"
    titled = "(unset)" if found.title is None else found.title
    names = "\n".join(sorted(found.functions))
    assert (
        effect(kind, venv / "bin" / script) == f"{venv}\n{venv}/bin:/bin\n/bin\n{titled}\n{names}"
    )


@pytest.mark.parametrize("generator", KNOWN)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"PATH": "/a b:/bin"},
        {"PATH": ""},
        {"PYTHONHOME": "/usr"},
        {"_OLD_VIRTUAL_PATH": "/old"},
        {"VIRTUAL_ENV_PROMPT": "mine"},
        {"BASH_FUNC_deactivate%%": "() {  echo mine\n}"},
        {"PS1": "> "},
    ],
    ids=lambda more: "".join(more) or "nothing",
)
def test_a_program_gets_what_sourcing_it_would_export(
    tmp_path: Path, generator: str, more: dict[str, str]
) -> None:
    venv = tmp_path / "venv"
    GENERATORS[generator](venv)
    script = known(read(venv, "activate"), str(venv))
    assert script
    env = {"HOME": "/", "PATH": "/bin:/usr/bin", **more}
    by_heart, sourced = (_activated(env, Venv(str(venv), (), found)) for found in (script, None))
    assert by_heart == sourced


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_program_gets_what_people_have_added(tmp_path: Path, generator: str) -> None:
    venv = tmp_path / "venv"
    GENERATORS[generator](venv)
    with (venv / "bin" / "activate").open("a") as stream:
        stream.write("export ADDED=1\n")
    env = {"HOME": "/", "PATH": "/bin:/usr/bin", "PS1": "> "}
    found = _activated(env, Venv(str(venv)))
    assert (found["VIRTUAL_ENV"], found["ADDED"], found["PS1"]) == (str(venv), "1", "> ")


def test_what_is_known_by_heart_is_not_sourced(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    by_venv(sys.executable, venv)
    script = known(read(venv, "activate"), str(venv))
    (venv / "bin" / "activate").unlink()
    found = _activated({"PATH": "/bin"}, Venv(str(venv), (), script))
    assert found["PATH"] == f"{venv}/bin:/bin"
    assert found["VIRTUAL_ENV"] == str(venv)


def effect(shell: str, script: Path) -> str:
    """What sourcing `script` does: VIRTUAL_ENV, PATH, _OLD_VIRTUAL_PATH, the title, the functions."""
    if shell == "fish":
        code = f"""
            set -gx PATH /bin; set -g VIRTUAL_ENV_DISABLE_PROMPT 1; set -g before (functions -n)
            function uname; echo Linux; end; function basename; path basename $argv; end
            source {script}
            functions -e uname basename
            set -q VIRTUAL_ENV_PROMPT; or set VIRTUAL_ENV_PROMPT '(unset)'
            string join \\n $VIRTUAL_ENV "$PATH" "$_OLD_VIRTUAL_PATH" $VIRTUAL_ENV_PROMPT
            for name in (functions -n); contains $name $before; or echo $name; end | sort
            """
        argv = ["fish", "--no-config", "-c", code]
    else:
        functions = {"bash": "compgen -A function", "zsh": "print -rl -- ${(k)functions}"}[shell]
        code = f"""
            PATH=/bin; VIRTUAL_ENV_DISABLE_PROMPT=1
            . {script}
            printf '%s\n' "$VIRTUAL_ENV" "$PATH" "$_OLD_VIRTUAL_PATH" "${{VIRTUAL_ENV_PROMPT-(unset)}}"
            {functions} | sort
            """
        argv = [shell, "--norc" if shell == "bash" else "-f", "-c", code]
    argv[0] = shutil.which(shell) or shell
    done = subprocess.run(argv, env={"HOME": "/", "PATH": "/bin"}, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "edit", ["{}export FOO=1\n", "export FOO=1\n{}", "{}hash -r\n", "{}. ./more\n"]
)
def test_a_script_with_one_word_more_is_not_known(tmp_path: Path, script: str, edit: str) -> None:
    make_venv(tmp_path / "venv")
    text = read(tmp_path / "venv", script)
    venv = str(tmp_path / "venv")
    assert known(text, venv)
    assert known(edit.format(text), venv) is None


@pytest.mark.parametrize("script", SCRIPTS)
def test_nor_is_one_with_a_line_less_or_another_path(tmp_path: Path, script: str) -> None:
    make_venv(tmp_path / "venv")
    text, venv = read(tmp_path / "venv", script), str(tmp_path / "venv")
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.strip() and not line.strip().startswith("#"):
            assert known("".join(lines[:number] + lines[number + 1 :]), venv) is None, line
    assert known(text, str(tmp_path / "moved")) is None


POSIX = {
    "export FOO=1": "v:FOO",
    "FOO=1": "v:FOO",
    "  FOO=$BAR": "v:FOO",
    "FOO+=x": "v:FOO",
    "if true; then FOO=1; fi": "v:FOO",
    "true && export FOO=1": "v:FOO",
    "export -n FOO=1": "v:FOO",
    "declare -gx FOO=1": "v:FOO",
    "FOO=1; export FOO": "v:FOO",
    "unset FOO": "v:FOO",
    "unset -v FOO": "v:FOO",
    "export FOO": "v:FOO",
    "alias ll='ls -l'": "a:ll",
    "alias -- ll=ls": "a:ll",
    "greet() { echo hello; }": "f:greet",
    "greet ()\n{\n  echo hello\n}": "f:greet",
    "function greet { echo hello; }": "f:greet",
    "function greet() { echo hello; }": "f:greet",
    ". ~/more": "*",
    "source ./more": "*",
    "eval $(cat x)": "*",
    "# FOO=1": None,
    "echo FOO": None,
    'echo "FOO=1"': None,
}
FISH = {
    "set -gx FOO 1": "v:FOO",
    "set --global --export FOO 1": "v:FOO",
    "set FOO 1": "v:FOO",
    "set -e FOO": "v:FOO",
    "true; and set -gx FOO 1": "v:FOO",
    "set -l FOO 1": None,
    "set --local FOO 1": None,
    "alias ll='ls -l'": "a:ll",
    "alias ll 'ls -l'": "a:ll",
    "function greet; echo hello; end": "a:greet",
    "source ~/more": "*",
    "# set -gx FOO 1": None,
}


@pytest.mark.parametrize(
    ("script", "line", "word"),
    [
        *(("activate", line, word) for line, word in POSIX.items()),
        *(("activate.fish", line, word) for line, word in FISH.items()),
    ],
)
def test_what_people_add_is_found(tmp_path: Path, script: str, line: str, word: str | None) -> None:
    plain = read(make_venv(tmp_path / "venv"), script)
    for text in (f"{plain}\n{line}\n", f"{line}\n{plain}"):
        # whatever is found, or is not usual, has all variables looked at
        expected = () if word is None else tuple(dict.fromkeys((word, "*")))
        assert touches(text, SCRIPTS[script]) == expected


def test_words_are_sorted_and_each_is_there_once() -> None:
    text = "B=1\nA=2\nB=3\nalias x=y\n. more\n. more\nf() { :; }\n"
    assert touches(text, fish=False) == ("a:x", "f:f", "v:A", "v:B", "*")


@pytest.mark.parametrize("fish", [False, True])
def test_any_text_may_be_a_script(fish: bool) -> None:
    noise = bytes(range(256)).decode("utf-8", "surrogateescape") * 50
    for text in ("", "\n", noise, "=" * 10_000, "export " * 5_000, "function" + " " * 10_000):
        assert isinstance(touches(text, fish), tuple)
