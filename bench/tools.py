"""What is compared, and how each of it is installed: by the bench itself, once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parent.parent
CACHE = SOURCE / ".cache" / "bench"
MISE_PACKAGE = "@jdxcode/mise-linux-x64"  # the wrapper's install script may be blocked


class Tool(NamedTuple):
    """One thing to measure.

    `bin` is where its program is, None for `/usr/bin`; `hooks` are lines for rc files, by shell.
    """

    name: str
    version: str
    bin: Path | None
    hooks: Mapping[str, str]


def all_tools() -> tuple[Tool, ...]:
    """shellenv, its two peers, and nothing: whatever is missing is installed first.

    Raises SystemExit with one line if something cannot be had here.
    """
    return (
        shellenv(),
        direnv(),
        mise(),
        Tool("by hand", "", None, dict.fromkeys(("bash", "zsh", "fish"), "")),
    )


def _hooks(command: str) -> dict[str, str]:
    evaluated = {shell: f'eval "$({command} {shell})"' for shell in ("bash", "zsh")}
    return {**evaluated, "fish": f"{command} fish | source"}


def shellenv() -> Tool:
    """This checkout, installed as a user has it: an environment with nothing else in it."""
    target = CACHE / "shellenv"
    stamp = target / "installed-from"
    state = _digest_of_source()
    if not stamp.exists() or stamp.read_text() != state:
        _say("installing shellenv")
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(target))
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        _run(*pip, "--python", str(target / "bin/python"), "install", "-q", str(SOURCE))
        stamp.write_text(state)
    version = _run(str(target / "bin/shellenv"), "--version").split()[-1]
    return Tool("shellenv", version, target / "bin", _hooks("shellenv hook"))


def core() -> list[str]:
    """The command line that the launcher runs for `shellenv`, without the launcher."""
    python, program = (str(CACHE / "shellenv/bin" / name) for name in ("python", "shellenv-core"))
    return [python, "-E", "-X", "utf8", program]


def direnv() -> Tool:
    """Debian's package, which `make bench` has installed."""
    program = shutil.which("direnv")
    if program is None:
        raise SystemExit("bench: direnv is not installed; run `make bench`, or install it")
    return Tool("direnv", _run(program, "version").strip(), None, _hooks("direnv hook"))


def mise() -> Tool:
    """The program in its npm package, unpacked once; a newer one is fetched by `make clean`."""
    target = CACHE / "mise"
    program = target / "package/bin/mise"
    if not program.exists():
        _say("fetching mise")
        target.mkdir(parents=True, exist_ok=True)
        out = _run("npm", "pack", "--json", MISE_PACKAGE, cwd=target)
        archive = target / json.loads(out)[0]["filename"]
        _run("tar", "-xzf", str(archive), "-C", str(target))
        archive.unlink()
        program.chmod(0o755)
    version = _run(str(program), "--version", MISE_OFFLINE="1").split()[0]
    return Tool("mise", version, program.parent, _hooks("mise activate"))


def _digest_of_source() -> str:
    """What the installed shellenv was made from."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(_sources()):
        digest.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    yield SOURCE / "pyproject.toml"
    for directory in ("shellenv", "shell", "templates"):
        for path in (SOURCE / directory).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _run(*argv: str, cwd: Path | None = None, **env: str) -> str:
    """A program's stdout; SystemExit with what it said if it fails."""
    done = subprocess.run(
        argv, capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, check=False
    )
    if done.returncode:
        raise SystemExit(f"bench: failed: {' '.join(argv)}\n{done.stderr or done.stdout}")
    return done.stdout


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
