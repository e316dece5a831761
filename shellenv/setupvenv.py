"""`setup-venv`: makes the project's virtual environment and installs the project into it.

It is made beside its place and moved there when it is complete, so nothing half-made is ever found
by name. As scripts in a virtual environment hold its absolute path, they are corrected before: it
has its name from the beginning, in a directory of ours whose own name is then taken out of them.
That one nobody quotes, in whichever way a script has quoted the rest.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence

from shellenv import dependencies, paths
from shellenv.cli import parser, say
from shellenv.context import Context
from shellenv.dependencies import Dependencies
from shellenv.errors import ShellenvError
from shellenv.exec import tell
from shellenv.files import MAX_BYTES, read_regular
from shellenv.progress import raise_when_ended, watch
from shellenv.project import Project, refuse_home, refuse_shared
from shellenv.survey import NO_VENVS, survey_for_run

WORKSHOP = ".setup-venv."
"""What the names of the directories begin with in which environments are made: a process's number
follows."""


def main(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv setup-venv [--python X] [--recreate] [-q]`: make it, or bring it up to date.

    Raises ShellenvError if a directory of that name is another project's or none of ours, if there
    is no such Python, and if something cannot be installed; then what was there is as it was,
    unless it was only to be brought up to date.
    """
    options = parser("setup-venv")
    options.add_argument(
        "--python", metavar="X", default="", help="the Python to use: a version, or a program"
    )
    options.add_argument("--recreate", action="store_true", help="make the environment anew")
    options.add_argument("-q", "--quiet", action="store_true", help="say only what needs you")
    chosen = options.parse_args(args)
    found, project = survey_for_run(ctx)
    refuse_home(ctx, project.root)
    refuse_shared(ctx, project)
    path = f"{found.settings.venv_dir}/{os.path.basename(project.root)}"
    _check_place(ctx, project, path)
    tell(found)
    more = found.config.get("shellenv.run", "install")
    needed = dependencies.find(project.root, more.value if more else "")
    raise_when_ended()
    quiet = chosen.quiet or found.config.flag("shellenv", "quiet")
    explain = (lambda _: None) if quiet else say
    env = _outside(ctx)
    shown = paths.tilde(ctx, path)
    taken = os.path.lexists(path) and not os.path.lexists(f"{path}/.project")
    if os.path.exists(f"{path}/bin/activate") and not (chosen.recreate or chosen.python):
        explain(f"shellenv: {shown} is there; bringing it up to date (--recreate makes it anew)")
        _install(ctx, env, needed, path, project.root, quiet)
        _write_notes(path, project.root, needed)
    else:
        explain(f"shellenv: making {shown} for {paths.tilde(ctx, project.root)}: {project.rule}")
        _make(ctx, env, needed, path, project.root, chosen.python, quiet)
    if taken:
        where = paths.tilde(ctx, project.root)
        say(f"shellenv: {shown} was nobody's; from now on it belongs to {where}")
    explain(f"shellenv: {shown} is ready")
    return 0


def _check_place(ctx: Context, project: Project, path: str) -> None:
    """Raise ShellenvError if `path` must not be touched, or can be no virtual environment."""
    if path.startswith(f"{NO_VENVS}/"):
        raise ShellenvError(
            "there is no home directory to keep virtual environments in",
            "set HOME, or SHELLENV_VENV_DIR to a directory",
        )
    if ":" in path:  # as Python's own venv says
        raise ShellenvError(f"{path} has a colon, so PATH cannot hold it", "rename the project")
    odd = next((char for char in path if char in '"`' or not char.isprintable()), "")
    if odd and not "\ud800" <= odd <= "\udfff":
        what = f"{path} has {odd!r}, which the scripts of virtual environments cannot hold"
        raise ShellenvError(what, "rename the project")
    shown = paths.tilde(ctx, path)
    if not os.path.lexists(path):
        own = f"{project.root}/.venv"
        if os.path.exists(f"{own}/bin/activate"):
            raise ShellenvError(
                f"{paths.tilde(ctx, own)} is the project's own, and {shown} would hide it",
                "shellenv allow, then run-shell -- pip install ...; or remove it, then setup-venv",
            )
        return
    if not os.path.exists(f"{path}/pyvenv.cfg"):
        raise ShellenvError(f"{shown} is no virtual environment", "move it away")
    try:
        written = os.fsdecode(read_regular(f"{path}/.project")).strip()
    except OSError:
        return
    if os.path.realpath(written) != os.path.realpath(project.root):
        raise ShellenvError(
            f"{shown} is the virtual environment of {written}",
            f"rename one of the two projects, or remove {shown}",
        )


def _make(
    ctx: Context,
    env: Mapping[str, str],
    needed: Dependencies,
    path: str,
    root: str,
    python: str,
    quiet: bool,
) -> None:
    directory, name = os.path.split(path)
    os.makedirs(directory, exist_ok=True)
    for left in _left_behind(directory):
        _remove(left)
    workshop = f"{directory}/{WORKSHOP}{os.getpid()}"
    new, old = (f"{workshop}/{kind}/{name}" for kind in ("new", "old"))
    try:
        os.makedirs(os.path.dirname(old))
        _create(env, new, root, python, name, quiet)
        _install(ctx, env, needed, new, root, quiet)
        _write_notes(new, root, needed)
        _relocate(new, workshop)
        if os.path.lexists(path):
            os.rename(path, old)
        os.rename(new, path)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it takes a moment, and is to be complete
        if os.path.lexists(old) and not os.path.lexists(path):
            os.rename(old, path)
        _remove(workshop)


def _create(
    env: Mapping[str, str], path: str, root: str, python: str, prompt: str, quiet: bool
) -> None:
    """An empty virtual environment, by uv if there is one."""
    uv = shutil.which("uv", path=env.get("PATH"))
    if uv:
        words = [uv, "venv", "--seed", "--no-project", f"--prompt={prompt}"]
        words += ["--python", python] if python else []
    else:
        words = [_python(env, python), "-m", "venv", f"--prompt={prompt}"]
    watch("making the virtual environment", [*words, path], env, cwd=root, quiet=quiet)


def _python(env: Mapping[str, str], wanted: str) -> str:
    """The program for `--python`: a path, a name, or a version."""
    names = (wanted, f"python{wanted}") if wanted else ("python3", "python")
    for name in names:
        found = shutil.which(name, path=env.get("PATH"))
        if found and os.path.isfile(found):
            return found
    if wanted:
        raise ShellenvError(
            f"there is no Python {wanted} in PATH", "install it, or uv, which fetches any version"
        )
    return sys.executable


def _install(
    ctx: Context,
    env: Mapping[str, str],
    needed: Dependencies,
    path: str,
    root: str,
    quiet: bool,
) -> None:
    dependencies.tell(root, needed)
    cache = paths.cache_dir(ctx) or "/tmp/shellenv"
    uv = shutil.which("uv", path=env.get("PATH")) is not None
    if not uv and dependencies.outside(needed)[0] == dependencies.MEMBER:
        dependencies.refuse_outside(root, needed, "pip")  # which would ask the index for it
    lines = ["set -e", *dependencies.commands(needed, uv, f"{cache}/tools")]
    active = {**env, "VIRTUAL_ENV": path, "PATH": f"{path}/bin:{env.get('PATH', os.defpath)}"}
    active.pop("PYTHONHOME", None)
    words = ["sh", "-c", "\n".join(lines)]
    watch(needed.task(), words, active, cwd=root, quiet=quiet)


def _write_notes(path: str, root: str, installed: Dependencies) -> None:
    with open(f"{path}/.project", "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(f"{root}\n")
    dependencies.note(installed, path)


def _relocate(path: str, workshop: str) -> None:
    """Have the files of the virtual environment `path` say that it is beside `workshop`."""
    extra = os.fsencode(f"/{os.path.basename(workshop)}/new/")
    for file in _scripts(path):
        if os.path.islink(file) or not os.path.isfile(file):
            continue
        content = read_regular(file)
        if extra in content and b"\0" not in content and len(content) <= MAX_BYTES:
            with open(file, "r+b") as stream:  # its mode stays
                stream.write(content.replace(extra, b"/"))
                stream.truncate()


def _scripts(path: str) -> Iterator[str]:
    """The files that may hold the environment's own path: not the packages' code."""
    yield f"{path}/pyvenv.cfg"
    for top in ("bin", "etc", "share"):
        for directory, _, names in os.walk(f"{path}/{top}"):
            yield from (f"{directory}/{name}" for name in names)
    for directory, directories, names in os.walk(f"{path}/lib"):
        if os.path.basename(directory) == "site-packages":
            directories[:] = [name for name in directories if name.endswith("-info")]
            yield from (f"{directory}/{name}" for name in names if name.endswith((".pth", "-link")))
        elif directory.endswith("-info"):
            yield from (f"{directory}/{name}" for name in names)


def _left_behind(directory: str) -> list[str]:
    """The directories in which runs that were killed have worked."""
    found = []
    for entry in os.listdir(directory):
        pid = entry.removeprefix(WORKSHOP)
        if entry.startswith(WORKSHOP) and pid.isdecimal():
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                found.append(f"{directory}/{entry}")
            except OSError:
                continue
    return found


def _remove(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _outside(ctx: Context) -> dict[str, str]:
    """The environment without a virtual environment that is active."""
    env = dict(ctx.env)
    active = env.pop("VIRTUAL_ENV", "")
    if active:
        parts = env.get("PATH", "").split(":")
        env["PATH"] = ":".join(part for part in parts if part != f"{active}/bin")
    return env
