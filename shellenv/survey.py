"""Everything that is read from disk to know what the shell should have.

One `Survey` is one look: which project, which settings, what is approved, and the *watch list*:
every path whose existence or content had a say. While none of those changes, the survey stands.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from shellenv import config, paths, project, trust
from shellenv.activation import touches
from shellenv.config import ConfigError, Entry, Layer, Origin
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.plan import Group, Plan, Ref, Value, Variable, Venv, join, make


PRESENT = -1
"""The time of what only has to be there: a directory, an approval."""


class Watch(NamedTuple):
    """A path that was looked at, and its modification time (ns) then.

    The time is `PRESENT` where only existence matters, and None if there was nothing.
    """

    path: str
    mtime: int | None


class Blocked(NamedTuple):
    """A file that is not read before the user allows it."""

    path: str
    verdict: str  # blocked, denied or unsafe: see shellenv.trust
    kind: str  # configuration, variables or environment


class Survey(NamedTuple):
    """What one look at the disk has found. `plan` is None where there is no project."""

    detection: project.Detection
    plan: Plan | None
    config: config.Config
    groups: tuple[Group, ...]
    blocked: tuple[Blocked, ...]
    errors: tuple[ShellenvError, ...]
    warnings: tuple[str, ...]
    settings: Settings
    watch: tuple[Watch, ...]


class Settings(NamedTuple):
    """What the shell's walk must know itself, and the files that say so."""

    venv_dir: str
    watch: tuple[Watch, ...]


class _Reader:
    """Reads files and remembers what was looked at; the only state in a survey."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.seen: dict[str, int | None] = {}
        self.blocked: list[Blocked] = []
        self.errors: list[ShellenvError] = []
        self.warnings: list[str] = []

    def look(self, path: str) -> bool:
        """Is there something at `path`? Its time is noted before anything is read from it."""
        if path not in self.seen:
            try:
                status = os.stat(path)
                self.seen[path] = PRESENT if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
            except (OSError, ValueError):
                self.seen[path] = None
        return self.seen[path] is not None

    def own_layer(self, path: str | None, root: str | None = None) -> Layer | None:
        """A file of the user's or the machine's, which needs no approval."""
        if path is None or not self.look(path):
            return None
        return self._layer(path, root, config.read_bytes(path))

    def project_layer(self, path: str, root: str) -> Layer | None:
        """A file of the project's, if it is allowed."""
        if not self.look(path):
            return None
        content = config.read_bytes(path)
        if content is None or not self.allowed(path, content, "configuration"):
            return None
        return self._layer(path, root, content)

    def allowed(self, path: str, content: bytes, kind: str) -> bool:
        """Has the user allowed this content? If not, that is noted, and the answer watched."""
        self.look(trust.record_path(self.ctx, path, content) or path)
        verdict = trust.check(self.ctx, path, content)
        if verdict != "allowed":
            self.look(trust.denial_path(self.ctx, path) or path)
            self.blocked.append(Blocked(path, verdict, kind))
        return verdict == "allowed"

    def venv_allowed(self, path: str) -> bool:
        """May the environment at `path`, inside a project, be used? Its script runs in the shell."""
        scripts = [f"{path}/bin/{name}" for name in ("activate", "activate.fish")]
        contents = {script: _content(script) for script in scripts if self.look(script)}
        return bool(contents) and all(
            content is not None and self.allowed(script, content, "environment")
            for script, content in contents.items()
        )

    def venv(self, path: str | None, activate: str) -> Venv | None:
        """The environment at `path`, and what its script called `activate` touches."""
        if path is None:
            return None
        script = f"{path}/bin/{activate}"
        content = _content(script) if self.look(script) else None
        text = (content or b"").decode("utf-8", "surrogateescape")
        return Venv(path, touches(text, fish=activate.endswith(".fish")))

    def dotenv(self, layers: list[Layer], root: str) -> tuple[Variable, ...]:
        """The variables in the files that [shellenv.dotenv] of these layers names."""
        entries = [layer.sections.get("shellenv.dotenv", {}).get("files") for layer in layers]
        named = [entry for entry in entries if entry]
        found: list[Variable] = []
        for name in config.split_paths(named[-1].value) if named else ():
            path = paths.resolve(self.ctx, name, root)
            if path is None or not self.look(path):
                continue
            content = config.read_bytes(path)
            ours = named[-1].root is None  # the user's own file names it: the user's own choice
            if content is not None and (ours or self.allowed(path, content, "variables")):
                found += _dotenv(path, content)
        return tuple(found)

    def watch(self) -> tuple[Watch, ...]:
        return tuple(Watch(path, mtime) for path, mtime in sorted(self.seen.items()))

    def _layer(self, path: str, root: str | None, content: bytes | None) -> Layer | None:
        if content is None:
            return None
        layer = config.read_layer(path, root, content)
        self.warnings += layer.warnings
        return layer


def survey(ctx: Context, activate: str = "activate") -> Survey:
    """Look at the disk from `ctx.cwd`; `activate` names the script that the shell would source.

    Never raises for what a project's or the user's files contain: that is in `errors`, and then
    the plan applies nothing.
    """
    reader = _Reader(ctx)
    settings = _settings(reader)
    detection = project.detect(ctx, settings.venv_dir, reader.venv_allowed)
    for path in detection.consulted:
        reader.look(path)
    groups: tuple[Group, ...] = ()
    layers: list[Layer] = []
    try:
        layers, groups = _groups(reader, detection)
    except ShellenvError as error:
        reader.errors.append(error)
    merged = config.merge(layers)
    return Survey(
        detection=detection,
        plan=_plan(reader, detection, merged, groups, activate),
        config=merged,
        groups=groups,
        blocked=tuple(reader.blocked),
        errors=tuple(reader.errors),
        warnings=tuple(reader.warnings),
        settings=settings,
        watch=reader.watch(),
    )


def _settings(reader: _Reader) -> Settings:
    """Where the virtual environments are. Only the machine, the user and the environment say so."""
    ctx = reader.ctx
    layers = []
    files = [path for path in (paths.system_file(ctx), paths.user_file(ctx)) if path]
    try:
        layers = [layer for path in files if (layer := reader.own_layer(path))]
        layers.append(config.environment_layer(ctx))
    except ShellenvError:
        pass  # _groups meets it again, and reports it
    entry = config.merge(layers).get("shellenv", "venv_dir")
    venv_dir = paths.resolve(ctx, entry.value, None) if entry else None
    watch = tuple(Watch(path, reader.seen.get(path)) for path in files)
    return Settings(venv_dir or "/dev/null/.venv", watch)


def _groups(reader: _Reader, detection: project.Detection) -> tuple[list[Layer], tuple[Group, ...]]:
    """All layers from the weakest to the strongest, and the same by directory."""
    ctx = reader.ctx
    own = [paths.system_file(ctx), paths.user_file(ctx)]
    base = [layer for path in own if (layer := reader.own_layer(path))]
    environment = config.environment_layer(ctx)
    directories: list[tuple[str, list[Layer]]] = []
    for directory in detection.project.directories if detection.project else ():
        files = [f"{directory}/{name}" for name in paths.PROJECT_FILES]
        layers = [layer for path in files if (layer := reader.project_layer(path, directory))]
        personal = reader.own_layer(paths.personal_file(ctx, os.path.basename(directory)), directory)
        if personal and config.is_for(ctx, personal, directory):
            layers.append(personal)
        if not all(config.inherits(layer) for layer in layers):
            directories.clear()
        directories.append((directory, layers))
    groups = [Group(None, config.merge(base).sections)]
    for directory, layers in directories:
        sections = config.merge(layers).sections
        groups.append(Group(directory, sections, reader.dotenv(layers, directory)))
    groups.append(Group(None, environment.sections))
    everything = [*base, *(layer for _, layers in directories for layer in layers), environment]
    return everything, tuple(groups)


def _plan(
    reader: _Reader,
    detection: project.Detection,
    merged: config.Config,
    groups: tuple[Group, ...],
    activate: str,
) -> Plan | None:
    if detection.candidate is None:
        return None
    found = detection.project
    root = found.root if found else ""
    name = found.name if found else ""
    if reader.errors:
        notices = tuple(_told(error) for error in reader.errors)
        return Plan(detection.candidate, root, name, notices=notices)
    quiet = merged.flag("shellenv", "quiet")
    notices = (*reader.warnings, *(() if quiet else _requests(reader, found)))
    if found is None:
        return Plan(detection.candidate, root, name, notices=notices)
    venv = reader.venv(found.venv, activate)
    return make(detection.candidate, root, name, venv, groups, notices)


def _told(error: ShellenvError) -> str:
    return f"{error.message}\nnothing of this project is applied{'; ' + error.hint if error.hint else ''}"


def _requests(reader: _Reader, found: project.Project | None) -> tuple[str, ...]:
    """What to say about files that wait for the user: one line each, none for denied ones."""
    ctx = reader.ctx
    waiting = []
    for path, verdict, _ in reader.blocked:
        shown = paths.tilde(ctx, path)
        if verdict == "unsafe":
            waiting.append(f"{shown} is not used: others can write to it (chmod o-w makes it yours)")
        elif verdict == "blocked" and not path.endswith(".fish"):
            waiting.append(f"{shown} is not allowed yet; read it, then run `shellenv allow`")
    return tuple(waiting)


def _content(path: str) -> bytes | None:
    try:
        return config.read_bytes(path)
    except ConfigError:
        return None


def _dotenv(path: str, content: bytes) -> list[Variable]:
    """The variables that a file in the syntax of python-dotenv sets; `${NAME}` is expanded."""
    from io import StringIO

    from dotenv.parser import parse_stream

    from shellenv.schema import variable_problem

    text = config.decode(path, content)
    found = []
    for binding in parse_stream(StringIO(text)):
        origin = Origin(path, binding.original.line)
        if binding.error:
            raise ConfigError(origin, "is no NAME=value line", "see the syntax of .env files")
        if binding.key is None or binding.value is None:
            continue
        problem = variable_problem(binding.key)
        if problem:
            raise ConfigError(origin, problem, "choose another name")
        found.append(Variable(binding.key, _dotenv_value(binding.value), origin))
    return found


def _dotenv_value(text: str) -> Value:
    from dotenv.variables import Literal, parse_variables

    return join(
        atom.value if isinstance(atom, Literal) else Ref(atom.name, atom.default or "")
        for atom in parse_variables(text)
    )


__all__ = ["Blocked", "Entry", "Settings", "Survey", "Watch", "survey"]
