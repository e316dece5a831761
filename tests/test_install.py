"""shellenv works from every kind of install: the sdist, the wheel made from it, and four tools."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from harness import SHELLS, Home, Result, Shell, require, run, trace_command, which

from shellenv import cli, precompiled

SOURCE = Path(__file__).resolve().parent.parent


class Built(NamedTuple):
    sdist: Path
    wheel: Path  # built from the sdist


class Installed(NamedTuple):
    """One install, and the directory that its user has in PATH."""

    kind: str
    bin: Path

    def run(self, home: Home, *args: str, cwd: Path | None = None) -> Result:
        return run(["shellenv", *args], home.env, cwd or home.path)


def tool(*argv: str | Path, **env: str | Path) -> None:
    """Run an installer or builder with the machine's own environment (indexes, certificates)."""
    done = subprocess.run(
        [str(word) for word in argv],
        env={**os.environ, **{name: str(value) for name, value in env.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A directory that `make` fills once, for all of pytest-xdist's workers."""
    top = factory.getbasetemp()
    directory = (top.parent if "PYTEST_XDIST_WORKER" in os.environ else top) / name
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = directory.with_suffix(".done")
        if not done.exists():
            directory.mkdir()
            make(directory)
            done.touch()
    return directory


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = once(
        tmp_path_factory,
        "dist",
        lambda directory: tool(sys.executable, "-m", "build", "--outdir", directory, SOURCE),
    )
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return Built(sdist, wheel)


# Each installs into a directory of its own, and has a user's PATH directory in `bin` there.


def by_pip(built: Built, directory: Path) -> None:
    tool(sys.executable, "-m", "venv", directory)
    tool(directory / "bin/pip", "install", built.wheel)


def by_pip_editable(built: Built, directory: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(directory / "checkout")
    (checkout,) = (directory / "checkout").iterdir()
    tool(sys.executable, "-m", "venv", directory)
    tool(directory / "bin/pip", "install", "--editable", checkout)


def by_pipx(built: Built, directory: Path) -> None:
    require("pipx")
    tool(
        which("pipx") or "pipx",
        *("install", "--python", sys.executable, built.wheel),
        PIPX_HOME=directory / "pipx",
        PIPX_BIN_DIR=directory / "bin",
        PIPX_MAN_DIR=directory / "man",
    )


def by_uv(built: Built, directory: Path) -> None:
    require("uv")
    tool(
        which("uv") or "uv",
        *("tool", "install", "--python", sys.executable, built.wheel),
        UV_TOOL_DIR=directory / "tools",
        UV_TOOL_BIN_DIR=directory / "bin",
        UV_PYTHON_DOWNLOADS="never",
    )


INSTALLERS: dict[str, Callable[[Built, Path], None]] = {
    "pip": by_pip,
    "pip -e": by_pip_editable,
    "pipx": by_pipx,
    "uv tool": by_uv,
}


@pytest.fixture(scope="session", params=INSTALLERS)
def installed(
    request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    kind: str = request.param
    install = INSTALLERS[kind]
    name = kind.replace(" ", "_")
    directory = once(tmp_path_factory, name, lambda directory: install(built, directory))
    return Installed(kind, directory / "bin")


@pytest.fixture
def user(home: Home, installed: Installed) -> Home:
    """Somebody with only this install in PATH, and a project with a virtual environment."""
    home.env["PATH"] = f"{installed.bin}{os.pathsep}/usr/local/bin:/usr/bin:/bin"
    (home.projects / "api").mkdir()
    home.venv("api")
    return home


# --- what is in the archives ------------------------------------------------------------------


def tracked(*directories: str) -> set[str]:
    """The files below these directories of the source tree, without what Python leaves there."""
    return {
        path.relative_to(SOURCE).as_posix()
        for directory in directories
        for path in (SOURCE / directory).rglob("*")
        if path.is_file() and not {"__pycache__", ".hypothesis"}.intersection(path.parts)
    }


def test_the_wheel_has_every_module_static_file_and_template(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = set(archive.namelist())
    copied = {f"shellenv/{name}" for name in tracked("shell", "templates")}
    assert {f"shellenv/shell/hook.{shell}" for shell in SHELLS} <= copied
    compiled = {
        f"shellenv/{precompiled.module_name(name.removeprefix('templates/'))}.py"
        for name in tracked("templates")
    }
    modules = tracked("shellenv") | compiled
    assert modules | copied == {name for name in names if name.startswith("shellenv/")}
    bare = {name for name, verb in cli.VERBS.items() if verb.bare}
    scripts = f"shellenv-{built.wheel.name.split('-')[1]}.data/scripts/"
    installed = {name.removeprefix(scripts) for name in names if name.startswith(scripts)}
    assert installed == {"shellenv", "dock", "castoff", *bare}


def test_the_sdist_has_what_a_packager_needs(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = tracked("shellenv", "shell", "templates", "tests", "scripts")
    assert wanted | {"pyproject.toml", "Makefile", "README.md", "LICENSE"} <= names


# --- each install at work ---------------------------------------------------------------------


@pytest.mark.parametrize("name", SHELLS)
def test_the_printed_hook_activates_a_project(user: Home, name: str) -> None:
    shell = Shell(name, user)
    load = "shellenv hook fish | source" if name == "fish" else f'eval "$(shellenv hook {name})"'
    code = [load, shell.cd(user.projects / "api"), shell.show("VIRTUAL_ENV"), shell.cd(user.path)]
    result = shell.script("\n".join([*code, shell.show("VIRTUAL_ENV")]), hook=False)
    assert result.status == 0, result
    assert result.stdout == f"VIRTUAL_ENV={user.path}/.venv/api\nVIRTUAL_ENV unset\n"


def test_the_hook_names_the_path_that_survives_an_upgrade(installed: Installed, user: Home) -> None:
    first = installed.run(user, "hook", "bash").ok().splitlines()[0]
    assert first == f"__shellenv_bin='{installed.bin}/shellenv'"


@pytest.mark.parametrize("installed", ["pip", "pipx", "uv tool"], indirect=True)
@pytest.mark.needs("strace")
def test_the_hook_is_printed_without_python(
    installed: Installed, user: Home, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    run([*trace_command(log), "shellenv", "hook", "bash"], user.env, user.path).ok()
    programs = [line for line in log.read_text().splitlines() if "execve(" in line]
    assert programs
    assert not [line for line in programs if "python" in line or "shellenv-core" in line]
    if installed.kind == "pip":
        assert len(programs) == 1, "a launcher that is no link starts nothing at all"


@pytest.mark.parametrize("installed", ["pip -e"], indirect=True)
def test_an_editable_install_uses_the_source_tree(installed: Installed, user: Home) -> None:
    (checkout,) = installed.bin.parent.glob("checkout/*/shell")
    assert f"'{checkout}/hook.zsh'" in installed.run(user, "hook", "zsh").ok()


@pytest.mark.parametrize("name", SHELLS)
def test_export_prints_code_that_the_shell_takes(
    installed: Installed, user: Home, name: str
) -> None:
    code = installed.run(user, "export", name, cwd=user.projects / "api").ok()
    assert f"{user.path}/.venv/api" in code
    result = installed.run(user, "export", "json", cwd=user.projects / "api")
    assert json.loads(result.ok())["VIRTUAL_ENV"] == f"{user.path}/.venv/api"


@pytest.mark.parametrize("installed", ["pip", "pipx", "uv tool"], indirect=True)
@pytest.mark.parametrize("name", SHELLS)
def test_export_does_without_jinja(installed: Installed, user: Home, name: str) -> None:
    real = Path(os.path.realpath(installed.bin / "shellenv")).parent
    argv = [str(real / "python"), "-X", "importtime", str(real / "shellenv-core"), "export", name]
    result = run(argv, user.env, user.projects / "api")
    assert f"{user.path}/.venv/api" in result.stdout
    assert "shellenv.render" in result.stderr
    assert "jinja2" not in result.stderr


def test_a_bare_verb_is_a_program_of_its_own(user: Home) -> None:
    result = run(["ls-dock", "--json"], user.env, user.path)
    assert result.ok() == "[]\n"


def test_status_explains_the_project(installed: Installed, user: Home) -> None:
    root = user.projects / "api"
    text = installed.run(user, "status", cwd=root).ok()
    assert str(root) in text
    assert f"{user.path}/.venv/api" in text
    facts = json.loads(installed.run(user, "status", "--json", cwd=root).ok())
    assert str(root) in json.dumps(facts)


def test_a_projects_python_settings_do_not_break_it(installed: Installed, user: Home) -> None:
    user.env["PYTHONHOME"] = user.env["PYTHONPATH"] = str(user.path / "nowhere")
    assert (
        str(user.projects / "api") in installed.run(user, "status", cwd=user.projects / "api").ok()
    )
