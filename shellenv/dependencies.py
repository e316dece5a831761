"""What a project needs installed, found by its files, and the commands that install it.

The same for a virtual environment and for an image layer: what is installed must not depend on
where.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from shellenv import files
from shellenv.errors import ShellenvError
from shellenv.shells import quote_posix

LOCKS = (("uv.lock", "uv"), ("poetry.lock", "poetry"), ("Pipfile.lock", "pipenv"))
"""Lock files and the tools that own them; the first one that is there counts."""

REQUIREMENTS = "requirements.txt"
PROJECT = ("pyproject.toml", "setup.py", "setup.cfg")
BESIDE = {"pipenv": ("Pipfile",)}

INDEXES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"),
    *("UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX"),
    *("PIPENV_PYPI_MIRROR", "POETRY_PYPI_MIRROR_URL"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
"""Variables that say where packages come from: an image layer is built with the user's."""


class Dependencies(NamedTuple):
    """What was found in a project's root.

    `tool` owns the lock file ("" if there is none), `requirements`: there is a requirements.txt,
    `installable`: the project itself can be installed. `contents` are the files that say all
    that, by their path from the root. `more` are words for pip that the user has added.
    """

    tool: str
    requirements: bool
    installable: bool
    contents: tuple[tuple[str, bytes], ...]
    more: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Is there nothing to install?"""
        return not (self.tool or self.requirements or self.installable or self.more)

    def digests(self) -> dict[str, int]:
        """A number for each of the files, and for what the user has added, that changes with it."""
        import zlib

        said = {"[shellenv.run] install": os.fsencode(shlex.join(self.more))} if self.more else {}
        return {name: zlib.crc32(text) for name, text in {**dict(self.contents), **said}.items()}

    def __str__(self) -> str:
        names = [path for path, _ in self.contents if path not in self.more]
        return ", ".join([*names, *filter(None, [" ".join(self.more)])]) or "the project"


def find(root: str, install: str = "") -> Dependencies:
    """What the project in the directory `root` needs, and what `[shellenv.run] install` says beyond
    its files. A file that cannot be read is not there. Raises ShellenvError for an open quote."""
    contents: dict[str, bytes] = {}

    def has(name: str) -> bool:
        content = _read(f"{root}/{name}")
        if content is not None:
            contents[name] = content
        return content is not None

    tool = next((tool for lock, tool in LOCKS if has(lock)), "")
    for name in (*BESIDE.get(tool, ()), *PROJECT):
        has(name)
    # uv's and poetry's lock files are of the whole project
    requirements = tool in ("", "pipenv") and has(REQUIREMENTS)
    if requirements:
        contents.update(_included(root, REQUIREMENTS, contents[REQUIREMENTS]))
    installable = "setup.py" in contents or _is_package(contents.get("pyproject.toml", b""))
    if not (tool or requirements or installable):
        contents.clear()
    more = _words(install)
    contents.update(_included(root, "", os.fsencode(" ".join(more).replace(" -", "\n-"))))
    return Dependencies(tool, requirements, installable, tuple(sorted(contents.items())), more)


def _words(install: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(install))
    except ValueError as error:
        raise ShellenvError(
            f"[shellenv.run] install = {install}: {error}", "it has words for pip install"
        ) from error


def note(found: Dependencies, venv: str) -> None:
    """Write down what is installed in a virtual environment, for `changed`. Raises OSError."""
    import json

    with open(f"{venv}/{_NOTE}", "w") as stream:
        json.dump(found.digests(), stream)


def changed(found: Dependencies, venv: str) -> list[str]:
    """What says otherwise now than when it was installed in this virtual environment; nothing where
    that is not known."""
    import json

    try:
        was = json.loads(files.read_regular(f"{venv}/{_NOTE}"))
        return sorted({name for name, _ in was.items() ^ found.digests().items()})
    except (OSError, ValueError, AttributeError):
        return []


_NOTE = ".installed"


IMPORTABLE = """python -c 'import os, sys, sysconfig
path = os.path.join(sysconfig.get_path("purelib"), "shellenv-project.pth")
with open(path, "w", encoding=sys.getfilesystemencoding()) as file:
    file.write(os.getcwd() + chr(10))'"""
"""Makes the current directory importable, behind everything else."""


UV_SYNC = 'UV_PROJECT_ENVIRONMENT="$VIRTUAL_ENV" uv sync --frozen --inexact --python "$VIRTUAL_ENV"'
"""With `--python`, because uv would replace an environment of another Python than .python-version
says."""


def commands(found: Dependencies, uv: bool, tools: str) -> list[str]:
    """Lines of sh that install it all into the virtual environment $VIRTUAL_ENV, the current
    directory being the root.

    A project that pip does not install is made importable, as an editable install would. With `uv`,
    that is used in place of pip. A tool that is missing is installed below the directory `tools`,
    beside the environment.
    """
    by_pip = found.installable and found.tool not in ("uv", "poetry")
    lines = [] if by_pip else [IMPORTABLE]
    if found.tool:
        lines += _bootstrap(found.tool, tools)
        lines.append(
            {
                "uv": UV_SYNC,
                "poetry": "poetry install --no-interaction",
                "pipenv": "PIPENV_VERBOSITY=-1 pipenv sync --dev",
            }[found.tool]
        )
    wanted = [*(["-r", REQUIREMENTS] if found.requirements else [])]
    if by_pip:
        wanted += ["-e", "."]
    wanted += map(shlex.quote, found.more)
    if wanted:
        pip = "uv pip install" if uv else "python -m pip install --disable-pip-version-check"
        lines.append(" ".join([pip, *wanted]))
    return lines


def _bootstrap(tool: str, tools: str) -> list[str]:
    path = quote_posix(f"{tools}/{tool}")
    return [
        f"if ! command -v {tool} >/dev/null; then",
        f"  [ -x {path}/bin/{tool} ] || python -m venv {path}",
        f"  [ -x {path}/bin/{tool} ] || {path}/bin/python -m pip install -q {tool}",
        f"  PATH=$PATH:{path}/bin",
        "fi",
    ]


def _read(path: str) -> bytes | None:
    try:
        return files.read_regular(path)
    except OSError:
        return None


INCLUDE = re.compile(rb"^\s*(?:-r|-c|--requirement|--constraint)[ =]*([^\s#]+)", re.M)


def _included(root: str, name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The files that a requirements file includes, and those that they do (pip: requirements
    file format). Paths are relative to the file that names them."""
    waiting, seen = [(name, content)], {name}
    while waiting:
        name, content = waiting.pop()
        for match in INCLUDE.findall(content):
            path = os.path.normpath(os.path.join(os.path.dirname(name), os.fsdecode(match)))
            found = None if path in seen or "://" in path else _read(os.path.join(root, path))
            if found is not None:
                seen.add(path)
                waiting.append((path, found))
                yield path, found


def _is_package(pyproject: bytes) -> bool:
    """Does this pyproject.toml describe a package? Many hold settings of tools only."""
    return re.search(rb"^\s*\[\s*(?:project|build-system)\s*\]", pyproject, re.M) is not None
