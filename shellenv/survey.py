"""Everything that is read from disk to know what the shell should have.

One `Survey` is one look: which project, which settings, what is approved, and the *watch list*:
every path whose existence or content had a say. While none of those changes, the survey stands.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from shellenv import byheart, config, paths, project, schema, trust
from shellenv.config import ConfigError, Layer, Origin
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.plan import Group, Plan, Ref, Value, Variable, Venv, join, make

NO_VENVS = "/dev/null/.venv"
"""Where virtual environments are if there is no home: nowhere. The hooks say the same."""

PRESENT = -1
"""The time of what only has to be there: a directory, an approval."""


class Watch(NamedTuple):
    """A path that was looked at, and its modification time (ns) then.

    The time is `PRESENT` where only existence matters, and None if there was nothing.
    """

    path: str
    mtime: int | None


FOREIGN = "foreign"
"""The verdict on another user's file: it cannot be read, or stands where only one's own may."""


class Blocked(NamedTuple):
    """A file that is not used before the user allows it.

    `directory` is the one whose project it belongs to, `content` what was read: what is approved
    is what was looked at. `verdict` is one of shellenv.trust's, or `FOREIGN`.
    """

    path: str
    verdict: str
    kind: str  # settings, variables or environment
    directory: str = ""
    content: bytes = b""


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
    """Reads files, each once, and remembers what was looked at; the only state in a survey."""

    def __init__(self, ctx: Context, trusting: bool) -> None:
        self.ctx = ctx
        self.trusting = trusting
        self.seen: dict[str, int | None] = {}
        self.layers: dict[str, Layer | None] = {}
        self.blocked: list[Blocked] = []
        self.errors: list[ShellenvError] = []
        self.broken: set[str] = set()  # the projects that these are in; "" for what is no project's

    def look(self, path: str) -> bool:
        """Is there something at `path`? Its time is noted before anything is read from it."""
        if path not in self.seen:
            try:
                status = os.stat(path)
                self.seen[path] = PRESENT if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
            except (OSError, ValueError):
                self.seen[path] = None
        return self.seen[path] is not None

    def own(self, path: str | None) -> Layer | None:
        """The user's or the machine's file `path`, which needs no approval."""
        return self._layer(path, None) if path else None

    def of_directory(self, directory: str) -> list[Layer]:
        """The files that configure the project directory, from the weakest to the strongest."""
        files = [f"{directory}/{name}" for name in paths.PROJECT_FILES]
        layers = [layer for path in files if (layer := self._layer(path, directory, ask=True))]
        personal = self.personal(directory)
        return [*layers, personal] if personal else layers

    def personal(self, directory: str) -> Layer | None:
        """The user's own file for the project directory, if it is for this one."""
        path = paths.personal_file(self.ctx, os.path.basename(directory))
        layer = self._layer(path, directory, personal=True) if path else None
        return layer if layer and config.is_for(self.ctx, layer, directory) else None

    def _layer(
        self, path: str, root: str | None, *, ask: bool = False, personal: bool = False
    ) -> Layer | None:
        """The content of `path`; None if there is none, or none allowed, or a mistake in it."""
        if path not in self.layers:
            self.layers[path] = None
            try:
                content = config.read_bytes(path) if self.look(path) else None
                if content is not None and (
                    self.allowed(path, content, "settings", root or "") if ask else self._ours(path)
                ):
                    self.layers[path] = config.read_layer(path, root, content, personal=personal)
            except ShellenvError as error:
                if ask and self._is_foreign(path):  # nobody can break what is below their files
                    self.blocked.append(Blocked(path, FOREIGN, "settings", root or ""))
                else:
                    self._refuse(path, error, root)
        return self.layers[path]

    def _ours(self, path: str) -> bool:
        """May a file that needs no approval be used? Not if others own it or can write to it."""
        foreign = self._is_foreign(path)
        if foreign or trust.writable_by_others(path):
            self.blocked.append(Blocked(path, FOREIGN if foreign else trust.UNSAFE, "settings"))
            return False
        return True

    def _is_foreign(self, path: str) -> bool:
        try:
            return os.stat(path).st_uid not in (self.ctx.uid, 0)
        except OSError:
            return False

    def _refuse(self, path: str, error: ShellenvError, directory: str | None) -> None:
        self.mistake(error, directory)
        try:  # a directory in place of a file: a file in place of that must be seen
            self.seen[path] = os.stat(path).st_mtime_ns
        except OSError:
            self.seen[path] = None

    def mistake(self, error: ShellenvError, directory: str | None = None) -> None:
        """Note a mistake in what belongs to the project `directory`, or to the user."""
        self.errors.append(error)
        self.broken.add(directory or "")

    def allowed(self, path: str, content: bytes, kind: str, directory: str) -> bool:
        """Has the user allowed this content? If not, that is noted, and the answer watched."""
        record = trust.record_path(self.ctx, path, content)
        if record and self.look(record):
            self.seen[record] = PRESENT  # its name says it all
        verdict = trust.check(self.ctx, path, content)
        if verdict != trust.ALLOWED:
            self.look(trust.denial_path(self.ctx, path) or path)
            self.blocked.append(Blocked(path, verdict, kind, directory, content))
        return verdict == trust.ALLOWED or (self.trusting and verdict == trust.BLOCKED)

    def venv_allowed(self, path: str) -> bool:
        """May the environment at `path`, a project's own, be used? Its scripts are code."""
        scripts = [f"{path}/bin/{name}" for name in ("activate", "activate.fish")]
        contents = {script: _content(script) for script in scripts if self.look(script)}
        return bool(contents) and all(
            content is not None
            and self.allowed(script, content, "environment", os.path.dirname(path))
            for script, content in contents.items()
        )

    def venv(self, path: str | None, activate: str) -> Venv | None:
        """The environment at `path`, and what is known of its script called `activate`."""
        if path is None:
            return None
        script = f"{path}/bin/{activate}"
        content = _content(script) if self.look(script) else None
        text = (content or b"").decode("utf-8", "surrogateescape")
        known = byheart.known(text, path)
        if known:
            return Venv(path, script=known)
        from shellenv.activation import touches  # few need it, and it takes 4 ms

        return Venv(path, touches(text, fish=activate.endswith(".fish")))

    def dotenv(self, layers: list[Layer], root: str) -> tuple[Variable, ...]:
        """The variables in the files that [shellenv.dotenv] of these layers names."""
        files = config.merge(layers).get("shellenv.dotenv", "files")
        found: list[Variable] = []
        for name in config.split_paths(files.value) if files else ():
            path = paths.resolve(self.ctx, name, root)
            if path is None or not self.look(path):
                continue
            try:
                content = config.read_bytes(path)
                if content is not None and self.allowed(path, content, "variables", root):
                    found += _dotenv(path, content)
            except ShellenvError as error:
                self._refuse(path, error, root)
        return tuple(found)

    def watch(self) -> tuple[Watch, ...]:
        """All that was looked at; a directory that is missing stands for what would be in it."""
        seen = {
            path if time is not None else _missing(path): time for path, time in self.seen.items()
        }
        return tuple(Watch(path, mtime) for path, mtime in sorted(seen.items()))


def survey(
    ctx: Context, activate: str = "activate", for_run: bool = False, trusting: bool = False
) -> Survey:
    """Look at the disk from `ctx.cwd`; `activate` names the script that the shell would source.

    `trusting` shows what would be if all that waits for approval were allowed.

    Never raises for what a project's or the user's files contain: that is in `errors`, and then
    the plan applies nothing of that project, nor of those below it, or nothing at all. `for_run`:
    see shellenv.project.detect.
    """
    reader = _Reader(ctx, trusting)
    base = [layer for path in _own_files(ctx) if (layer := reader.own(path))]
    try:
        environment = config.environment_layer(ctx)
    except ShellenvError as error:
        environment = Layer("environment", None, {})
        reader.mistake(error)
    settings = _settings(reader, base)
    view = _look_from(ctx.cwd, reader, settings, activate, for_run)
    if reader.broken and "" not in reader.broken:
        further_out = os.path.dirname(min(reader.broken, key=len))
        view = view.seen_from_within(_look_from(further_out, reader, settings, activate))
    groups = (
        Group(None, config.merge(base).sections),
        *view.groups,
        Group(None, environment.sections),
    )
    merged = config.merge([*base, *view.layers, environment])
    return Survey(
        detection=view.detection,
        plan=_plan(reader, view, merged, groups, activate),
        config=merged,
        groups=groups,
        blocked=tuple(reader.blocked),
        errors=tuple(reader.errors),
        warnings=merged.warnings,
        settings=settings,
        watch=reader.watch(),
    )


def survey_for_run(ctx: Context) -> tuple[Survey, project.Project]:
    """What a run goes by, and the project that it is of. Raises the first mistake."""
    found = survey(ctx, for_run=True)
    for error in found.errors:
        raise error
    assert found.detection.project is not None  # for a run there always is one
    return found, found.detection.project


class _View(NamedTuple):
    """What is seen from one directory: the projects that it is in, and their settings."""

    detection: project.Detection
    groups: tuple[Group, ...]
    layers: tuple[Layer, ...]

    def seen_from_within(self, outer: _View) -> _View:
        """`outer`, where one stands further in: in this, which was looked at, too."""
        mine, theirs = self.detection, outer.detection
        return outer._replace(
            detection=theirs._replace(
                candidate=mine.candidate,
                consulted=tuple(dict.fromkeys((*mine.consulted, *theirs.consulted))),
                present=mine.present | theirs.present,
                passed_over=tuple(dict.fromkeys((*mine.passed_over, *theirs.passed_over))),
            )
        )

    @property
    def counts(self) -> bool:
        """Does anything that is not blocked make this a project? A file that nobody has approved
        must not even make the user's own settings apply: `prepend = bin` would mean its bin."""
        found = self.detection.project
        return found is not None and (found.venv is not None or bool(self.layers))


def _look_from(
    directory: str, reader: _Reader, settings: Settings, activate: str, for_run: bool = False
) -> _View:
    detection = project.detect(
        reader.ctx._replace(cwd=directory),
        settings.venv_dir,
        reader.venv_allowed,
        for_run,
        personal_counts=lambda _, directory: reader.personal(directory) is not None,
        inherits=lambda directory: not config.stands_alone(reader.of_directory(directory)),
    )
    for path in detection.consulted:
        read = path in reader.seen
        if reader.look(path) and path.endswith("/bin/activate") and activate != "activate":
            # another shell's script: unless it had to be approved, it only has to be there
            reader.seen[path] = reader.seen[path] if read else PRESENT
    directories = detection.project.directories if detection.project else ()
    inner = [(directory, reader.of_directory(directory)) for directory in directories]
    groups = tuple(
        Group(directory, config.merge(layers).sections, reader.dotenv(layers, directory))
        for directory, layers in inner
    )
    return _View(detection, groups, tuple(layer for _, layers in inner for layer in layers))


def _own_files(ctx: Context) -> list[str]:
    return [path for path in (paths.system_file(ctx), paths.user_file(ctx)) if path]


def _settings(reader: _Reader, layers: list[Layer]) -> Settings:
    """Where the virtual environments are. Only the machine, the user and the environment say so."""
    ctx = reader.ctx
    entry = config.merge(layers).get("shellenv", "venv_dir")
    written = ctx.env.get("SHELLENV_VENV_DIR") or (entry.value if entry else "")
    if schema.value_problem("directory", written):
        written = "~/.venv"  # as the shell does; that this is a mistake is said elsewhere
    venv_dir = paths.resolve(ctx, written, None)
    watch = tuple(Watch(path, reader.seen.get(path)) for path in _own_files(ctx))
    return Settings(venv_dir or NO_VENVS, watch)


def _plan(
    reader: _Reader,
    view: _View,
    merged: config.Config,
    groups: tuple[Group, ...],
    activate: str,
) -> Plan | None:
    detection = view.detection
    if detection.candidate is None:
        return None
    found = detection.project
    root = found.root if found else ""
    name = found.name if found else ""
    quiet = merged.flag("shellenv", "quiet")
    said = (
        *merged.warnings,
        *(() if quiet else _requests(reader.ctx, _all_blocked(reader, activate))),
    )
    notices = _lines(map(_told, reader.errors) if reader.errors else said)
    if found is None or not view.counts or "" in reader.broken:
        return Plan(detection.candidate, root, name, notices=notices)
    venv = reader.venv(found.venv, activate)
    return make(detection.candidate, root, name, venv, groups, notices)


def _all_blocked(reader: _Reader, activate: str) -> Iterable[Blocked]:
    """What is blocked, with what the settings among it name: `allow` would approve that, too."""
    if reader.trusting or all(b.verdict != trust.BLOCKED for b in reader.blocked):
        return reader.blocked
    return survey(reader.ctx, activate, trusting=True).blocked


def _told(error: ShellenvError) -> str:
    hint = f" ({error.hint})" if error.hint else ""
    return f"{error.message}{hint}; nothing of this project is applied"


def _lines(notices: Iterable[str]) -> tuple[str, ...]:
    """Notices as a terminal may see them: no name of a file can make it do anything."""
    from shellenv.cli import printable

    return tuple(map(printable, notices))


def _requests(ctx: Context, blocked: Iterable[Blocked]) -> tuple[str, ...]:
    """What to say about files that wait for the user: one line for each that is not used, and one
    for all that `allow` would approve in a directory; none for denied ones."""
    refused = []
    waiting: dict[str, list[str]] = {}
    for path, verdict, _, directory, _ in blocked:
        shown = paths.tilde(ctx, path)
        if verdict == FOREIGN and not directory:
            refused.append(f"{shown} is not used: it belongs to another user")
        elif verdict == trust.UNSAFE:
            refused.append(f"{shown} is not used: others can write to it (try chmod o-w)")
        elif verdict == trust.BLOCKED and not path.endswith(".fish"):
            known = waiting.setdefault(directory, [])
            name = paths.tilde(ctx, path.removeprefix(f"{directory}/")) if known else shown
            if name not in known:
                known.append(name)
    return (*refused, *map(_request, waiting.values()))


def _request(names: list[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} is not allowed yet; read it, then run `shellenv allow`"
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed} are not allowed yet; read them, then run `shellenv allow`"


def _missing(path: str) -> str:
    """The highest part of `path`, where nothing is, that is not there itself."""
    above = os.path.dirname(path)
    while above != path and not os.path.lexists(above):
        path, above = above, os.path.dirname(above)
    return path


def _content(path: str) -> bytes | None:
    try:
        return config.read_bytes(path)
    except ShellenvError:
        return None


def _dotenv(path: str, content: bytes) -> list[Variable]:
    """The variables that a file in the syntax of python-dotenv sets; `${NAME}` is expanded."""
    from io import StringIO

    from dotenv.parser import parse_stream

    from shellenv.names import variable_problem

    text = config.decode(path, content)
    found = []
    for binding in parse_stream(StringIO(text)):
        origin = Origin(path, binding.original.line)
        if binding.error:
            raise ConfigError(
                origin,
                "is no NAME=value line",
                "Configuration.md has the syntax, below [shellenv.dotenv]",
            )
        if binding.key is None or binding.value is None:
            continue
        problem = variable_problem(binding.key)
        if problem:
            raise ConfigError(origin, problem, "choose another name")
        found.append(Variable(binding.key, _dotenv_value(binding.value), origin))
    return found


def _dotenv_value(text: str) -> Value:
    from dotenv.variables import Literal, parse_variables
    from dotenv.variables import Variable as DotenvVariable

    parts: list[str | Ref] = []
    for atom in parse_variables(text):
        if isinstance(atom, Literal):
            parts.append(atom.value)
        elif isinstance(atom, DotenvVariable):
            parts.append(Ref(atom.name, atom.default or ""))
    return join(parts)
