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
from shellenv.cli import say
from shellenv.errors import ShellenvError
from shellenv.shells import quote_posix

LOCKS = (("uv.lock", "uv"), ("poetry.lock", "poetry"), ("Pipfile.lock", "pipenv"))
"""Lock files and the tools that own them; the first one that is there counts."""

REQUIREMENTS = "requirements.txt"
PROJECT = ("pyproject.toml", "setup.py", "setup.cfg")
BESIDE = {"pipenv": ("Pipfile",)}


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

    def task(self) -> str:
        """What is to be done about them, as one says it of somebody at work."""
        if self.empty:
            return "making the project importable"
        names = [path for path, _ in self.contents if path not in self.more]
        return "installing " + ", ".join([*names, *filter(None, [" ".join(self.more)])])


def find(root: str, install: str = "") -> Dependencies:
    """What the project in the directory `root` needs, and what `[shellenv.run] install` says beyond
    its files. A file that cannot be read is not there. Raises ShellenvError for an open quote."""
    contents: dict[str, bytes] = {}

    def has(name: str) -> bool:
        content = files.content(f"{root}/{name}")
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
    more = _words(install)
    if not (tool or requirements or installable or "--group" in install):
        contents.clear()
    contents.update(_included(root, "", _lines(more)))
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


def changed(root: str, install: str, venv: str) -> list[str]:
    """What of a project says otherwise now (`find`) than when it was installed in this virtual
    environment; nothing where that is not known."""
    try:
        noted = files.read_regular(f"{venv}/{_NOTE}")
        import json

        was = json.loads(noted)
        return sorted({name for name, _ in was.items() ^ find(root, install).digests().items()})
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
    content = dict(found.contents)
    lines = [] if by_pip else [IMPORTABLE]
    if found.tool:
        lines += _bootstrap(found.tool, tools)
        lines.append(
            {
                "uv": UV_SYNC + _members(content.get("pyproject.toml", b"")),
                "poetry": "poetry install --no-interaction",
                "pipenv": "PIPENV_VERBOSITY=-1 pipenv sync --dev",
            }[found.tool]
        )
    first = ["-r", REQUIREMENTS] if found.requirements else []
    then = ["-e", "."] if by_pip else []
    listed, others = _by_kind(found.more)
    calls = [[*first, *then, *found.more]]
    if any(HASH.search(text) for text in content.values()):
        # For pip one hash means that everything has one, and a directory cannot.
        calls = [[*first, *listed], [*then, *others]]
    pip = "uv pip install" if uv else "python -m pip install --disable-pip-version-check"
    lines += [" ".join([pip, *map(shlex.quote, call)]) for call in calls if call]
    return lines


def tell(root: str, found: Dependencies) -> None:
    """Say what is passed over, where that is all there is."""
    if not found.empty:
        return
    install = "[shellenv.run] install says what pip is to install"
    for name, reason, hint in (
        ("environment.yml", "is conda's", f"{install}, image names one that has it all"),
        ("environment.yaml", "is conda's", f"{install}, image names one that has it all"),
        ("Pipfile", "has no Pipfile.lock", f"pipenv lock makes it; {install}"),
    ):
        if os.path.isfile(f"{root}/{name}"):
            say(f"shellenv: {name} {reason}: nothing of it is installed", hint)


HASH = re.compile(rb"\s--hash[ =]|^\s*--require-hashes", re.M)
"""How a requirements file has hashes; lock files say it otherwise."""


def _by_kind(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Words for pip: the requirements files, and the others."""
    files: list[str] = []
    others: list[str] = []
    for before, word in zip(("", *words), words, strict=False):
        is_file = before in ("-r", "--requirement") or word.startswith(("-r", "--requirement"))
        (files if is_file else others).append(word)
    return files, others


WORKSPACE = b"[tool.uv.workspace]"


def _members(pyproject: bytes) -> str:
    """uv's option for a workspace whose root is no package: it would install none of it."""
    virtual = re.search(rb"^\s*\[\s*project\s*\]", pyproject, re.M) is None
    return " --all-packages" if virtual and WORKSPACE in pyproject else ""


def _bootstrap(tool: str, tools: str) -> list[str]:
    path = quote_posix(f"{tools}/{tool}")
    return [
        f"if ! command -v {tool} >/dev/null; then",
        f"  [ -x {path}/bin/{tool} ] || python -m venv {path}",
        f"  [ -x {path}/bin/{tool} ] || {path}/bin/python -m pip install -q {tool}",
        f"  PATH=$PATH:{path}/bin",
        "fi",
    ]


INCLUDE = re.compile(rb"^\s*(?:-r|-c|--requirement|--constraint)[ =]*([^\s#]+)", re.M)

LOCAL = re.compile(
    rb"^[ \t]*(?:(?:-e|--editable)[ =]*([^\s#;\[]+)|([^\s#;\[@:]*/[^\s#;\[]*|\.{1,2}(?=[\s\[]|$)))",
    re.M,
)
"""A path in place of a name. Unlike those of included files it is relative to the root."""


def _lines(words: tuple[str, ...]) -> bytes:
    """Words for pip as a requirements file has them."""
    return os.fsencode(" ".join(words).replace(" -", "\n-"))


def _included(root: str, name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The files that a requirements file includes, and those that they do (pip: requirements
    file format), with what says what the directories need that it names. Paths are relative to the
    file that names them."""
    waiting, seen = [(name, content)], {name}
    while waiting:
        name, content = waiting.pop()
        for directory in _locals(content):
            for path in (directory, *(os.path.normpath(f"{directory}/{n}") for n in PROJECT)):
                if (found := files.content(os.path.join(root, path))) is not None:
                    yield path, found
        for match in INCLUDE.findall(content):
            path = os.path.normpath(os.path.join(os.path.dirname(name), os.fsdecode(match)))
            if path in seen or "://" in path:
                continue
            found = files.content(os.path.join(root, path))
            if found is not None:
                seen.add(path)
                waiting.append((path, found))
                yield path, found


def _locals(content: bytes) -> Iterator[str]:
    for editable, other in LOCAL.findall(content):
        path = os.fsdecode(editable or other)
        if "://" not in path:
            yield os.path.normpath(path)


MEMBER = "workspace = true"
"""How a member of uv's workspace refers to others."""

BESIDE_IT = re.compile(rb"\{[^}\n]*\bpath\s*=\s*[\"'](\.\./[^\"']*)")
"""How poetry and uv write that a dependency is a directory beside the project."""


def outside(found: Dependencies) -> tuple[str, str]:
    """The first thing that the project asks for and that is not in its own directory, and the file
    that says so; both "" if there is none."""
    pyproject = dict(found.contents).get("pyproject.toml", b"")
    member = found.tool != "uv" and WORKSPACE not in pyproject
    if member and re.search(rb"\{\s*workspace\s*=\s*true", pyproject):
        return MEMBER, "pyproject.toml"
    if match := BESIDE_IT.search(pyproject):
        return os.fsdecode(match[1]), "pyproject.toml"
    texts = [(file, text) for file, text in found.contents if file.endswith(".txt")]
    for file, text in (*texts, ("[shellenv.run] install", _lines(found.more))):
        path = next((path for path in _locals(text) if path.startswith("..")), None)
        if path is not None:
            return path, file
    return "", ""


def refuse_outside(root: str, found: Dependencies, who: str) -> None:
    """Raise a ShellenvError if the project asks for what is not in its own directory; `who` has no
    access to that."""
    what, file = outside(found)
    if what:
        top = _around(root, what)
        raise ShellenvError(
            f"{file} has {what}, but {who} has nothing from outside of {root}",
            f"make {top} the project: by setup-venv there, or by "
            f"~/.config/shellenv/projects/{os.path.basename(top)}.cfg, which may be empty",
        )


def _around(root: str, what: str) -> str:
    """The directory that has both the project and what it asks for."""
    if what != MEMBER:
        return os.path.commonpath([root, os.path.normpath(f"{root}/{what}")])
    above = root
    while above != "/":
        above = os.path.dirname(above)
        if os.path.exists(f"{above}/uv.lock"):
            return above
    return os.path.dirname(root)


def _is_package(pyproject: bytes) -> bool:
    """Does this pyproject.toml describe a package? Many hold settings of tools only."""
    return re.search(rb"^\s*\[\s*(?:project|build-system)\s*\]", pyproject, re.M) is not None
