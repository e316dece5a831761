"""What activate scripts touch: nothing unusual in those that tools write, all that people add."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import BIN, make_venv

from shellenv.activation import touches

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


@pytest.mark.parametrize("version", pythons())
@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_unusual_in_what_venv_writes(tmp_path: Path, version: str, script: str) -> None:
    venv = tmp_path / "it's a venv"
    subprocess.run([pythons()[version], "-m", "venv", "--without-pip", venv], check=True)
    assert touches(read(venv, script), SCRIPTS[script]) == ()


@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_unusual_in_what_uv_writes(tmp_path: Path, script: str) -> None:
    uv = BIN / "uv"
    if not uv.exists():
        pytest.skip("needs uv (make test installs it)")
    command = [str(uv), "venv", "--offline", "-q", "-p", sys.executable, str(tmp_path / "venv")]
    subprocess.run(command, check=True, env={**os.environ, "UV_CACHE_DIR": str(tmp_path / "c")})
    assert touches(read(tmp_path / "venv", script), SCRIPTS[script]) == ()


@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_unusual_in_what_virtualenv_writes(tmp_path: Path, script: str) -> None:
    pytest.importorskip("virtualenv", reason="needs virtualenv")
    command = [sys.executable, "-m", "virtualenv", "-q", "--no-seed", str(tmp_path / "venv")]
    subprocess.run(command, check=True)
    assert touches(read(tmp_path / "venv", script), SCRIPTS[script]) == ()


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
