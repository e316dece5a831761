"""Layered INI files, read into immutable records that know where each value came from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from shellenv import files, paths, schema
from shellenv.context import Context
from shellenv.errors import ShellenvError

DEFAULT = "default"
"""The origin's file for values that nobody set."""


class Origin(NamedTuple):
    """Where a value came from: a file and its line (from 1).

    Line 0: the file as a whole, or what is none, such as `default`, `$NAME` or `-e`.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Entry(NamedTuple):
    """One value as written. `root` is what relative paths in it start at: the project directory
    whose layer it comes from, None for the machine's and the user's."""

    value: str
    origin: Origin
    root: str | None = None


class Layer(NamedTuple):
    """One file's content. `root` is the project directory it belongs to, if it belongs to one."""

    file: str
    root: str | None
    sections: dict[str, dict[str, Entry]]
    warnings: tuple[str, ...] = ()

    def value(self, section: str, key: str) -> str | None:
        """This file's own value for a key; None if it does not set it."""
        entry = self.sections.get(section, {}).get(key)
        return None if entry is None else entry.value


class Config(NamedTuple):
    """All layers merged; look values up with `get`, `flag` and `section`."""

    sections: dict[str, dict[str, Entry]]
    warnings: tuple[str, ...] = ()

    def get(self, section: str, key: str) -> Entry | None:
        """The value that counts, else the default (origin `default`), else None."""
        entry = self.sections.get(section, {}).get(key)
        if entry is not None:
            return entry
        row = schema.known(section, key)
        return Entry(row.default, Origin(DEFAULT, 0)) if row and row.default else None

    def flag(self, section: str, key: str) -> bool:
        """A yes-or-no key's value; False if it has neither a value nor a default."""
        entry = self.get(section, key)
        return entry is not None and is_yes(entry.value)

    def section(self, name: str) -> dict[str, Entry]:
        """What is set in a section, in the order in which the keys were first set."""
        return dict(self.sections.get(name, {}))


class ConfigError(ShellenvError):
    """A configuration file (or variable) that cannot be used, and where the mistake is."""

    def __init__(self, origin: Origin, problem: str, hint: str = "") -> None:
        super().__init__(f"{origin}: {problem}", hint)
        self.origin = origin


def read_bytes(file: str) -> bytes | None:
    """A configuration file's content; None if there is no such file.

    Raises ConfigError if it is not a regular file, cannot be read or is too large.
    """
    try:
        content = files.read_regular(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        hint = (
            "check its permissions, then run `shellenv reload`"
            if isinstance(error, PermissionError)
            else "move it away"
        )
        raise ConfigError(Origin(file, 0), f"cannot be read: {error.strerror}", hint) from error
    _check_size(file, content)
    return content


def read_layer(file: str, root: str | None, content: bytes, *, personal: bool = False) -> Layer:
    """Parse one file's content. Pure.

    `root` is the project directory the file belongs to, None for the machine's and the user's;
    `personal` says that it is the user's own file for that project. Sections that start with
    `shellenv` are checked against the schema: what is unknown, or has no effect in this file, is
    left out with a warning; what is wrong raises. All other sections are dockerutils' and only
    parsed; where one looks like a slip, that is a warning. Raises ConfigError, which names file and
    line, for content that is too large, not UTF-8, or not INI (a key without value, a key or
    section twice), and for bad values and names.
    """
    where = {schema.ANYWHERE, schema.OWN_FILES if root is None else schema.PROJECT_FILES}
    if personal:
        where.add(schema.PERSONAL_FILE)
    sections: dict[str, dict[str, Entry]] = {}
    warnings: list[str] = []
    for name, (line, keys) in _parse(file, decode(file, content)).items():
        entries = {key: Entry(value, Origin(file, at), root) for key, (value, at) in keys.items()}
        if schema.is_ours(name):
            warnings += _check_section(name, Origin(file, line), entries, where)
        elif near := schema.meant(name):
            warnings.append(
                f"{Origin(file, line)}: unknown section [{name}]; did you mean [{near}]?"
            )
        sections[name] = entries
    return Layer(file, root, sections, tuple(warnings))


def environment_layer(ctx: Context) -> Layer:
    """The `SHELLENV_*` variables that override the files; set to nothing counts as unset.

    Raises ConfigError for a value that the key does not allow.
    """
    sections: dict[str, dict[str, Entry]] = {}
    for variable, key in schema.VARIABLES.items():
        value = ctx.env.get(variable, "")
        if not value:
            continue
        origin = Origin(f"${variable}", 0)
        problem = schema.value_problem(key.kind, value)
        if problem:
            raise ConfigError(origin, problem, _expected(key))
        sections.setdefault(key.section, {})[key.name] = Entry(value, origin)
    return Layer("environment", None, sections)


def merge(layers: Iterable[Layer]) -> Config:
    """Merge layers, given from the weakest to the strongest: later ones win key by key.

    A project directory whose layers say `inherit = no` drops the layers of the directories before
    it; layers that belong to no project (root None) stay.
    """
    given = tuple(layers)
    by_root: dict[str, list[Layer]] = {}
    for layer in given:
        if layer.root is not None:
            by_root.setdefault(layer.root, []).append(layer)
    roots: list[str] = []
    for root, own in by_root.items():
        roots = [root] if stands_alone(own) else [*roots, root]
    sections: dict[str, dict[str, Entry]] = {}
    warnings: list[str] = []
    for layer in given:
        if layer.root is None or layer.root in roots:
            warnings += layer.warnings
            for name, entries in layer.sections.items():
                sections.setdefault(name, {}).update(entries)
    return Config(sections, tuple(warnings))


def stands_alone(layers: Iterable[Layer]) -> bool:
    """True if the layers of one project directory say `inherit = no` (the last word counts)."""
    said = [value for layer in layers if (value := layer.value("shellenv", "inherit")) is not None]
    return bool(said) and not is_yes(said[-1])


def is_for(ctx: Context, layer: Layer, directory: str) -> bool:
    """False if this is a personal file whose `root` names another directory than `directory`."""
    written = layer.value("shellenv", "root")
    if written is None:
        return True
    root = paths.resolve(ctx, written, None)
    if root is None:
        return False
    return root.rstrip("/") == directory or os.path.realpath(root) == os.path.realpath(directory)


def is_yes(value: str) -> bool:
    """A yes-or-no value that was checked when it was read."""
    return value.lower() in schema.YES


def split_paths(value: str) -> tuple[str, ...]:
    """The entries of a `paths` value: separated by `:` or line ends, blanks around them dropped."""
    entries = (entry.strip() for entry in value.replace("\n", ":").split(":"))
    return tuple(entry for entry in entries if entry)


# --- parsing ---------------------------------------------------------------------------------


def decode(file: str, content: bytes) -> str:
    """A file's content as text, without a byte order mark.

    Raises ConfigError if it is larger than `files.MAX_BYTES`, not UTF-8, or contains a NUL byte.
    """
    _check_size(file, content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            Origin(file, line),
            f"is not UTF-8 (byte 0x{content[error.start]:02x})",
            "save the file as UTF-8",
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError(Origin(file, line), "contains a NUL byte", "remove it")
    return text


def _check_size(file: str, content: bytes) -> None:
    if len(content) > files.MAX_BYTES:
        raise ConfigError(
            Origin(file, 0),
            f"is larger than {files.MAX_BYTES >> 20} MiB",
            "is this a configuration file?",
        )


class _Lines:
    """The lines of a text, counting those handed out (from 1)."""

    def __init__(self, text: str) -> None:
        # Not splitlines(): that also breaks at form feeds and at U+2028, which values may contain.
        self._lines = text.split("\n")
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            yield line.removesuffix("\r") + "\n"


def _parse(file: str, text: str) -> dict[str, tuple[int, dict[str, tuple[str, int]]]]:
    """Section -> (line of its header, key -> (value, line of the key))."""
    import configparser

    lines = _Lines(text)

    class Noting(dict[str, Any]):
        """A dictionary that notes the line on which each key was first stored."""

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.lines: dict[str, int] = {}

        def __setitem__(self, key: str, value: Any) -> None:
            self.lines.setdefault(key, lines.number)
            super().__setitem__(key, value)

    parser = configparser.RawConfigParser(
        dict_type=Noting,
        interpolation=None,
        # No header can be empty: [DEFAULT] is a section like any other and reaches no other one.
        default_section="",
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_file(lines, file)
    except configparser.Error as error:
        raise _syntax_error(file, error) from error
    sections = parser._sections  # type: ignore[attr-defined]
    return {
        name: (sections.lines[name], {key: (keys[key], keys.lines[key]) for key in keys})
        for name, keys in sections.items()
    }


def _syntax_error(file: str, error: Exception) -> ConfigError:
    import configparser

    if isinstance(error, configparser.MissingSectionHeaderError):
        return ConfigError(
            Origin(file, error.lineno),
            "stands before the first [section]",
            "put a section such as [shellenv.env] above it",
        )
    if isinstance(error, configparser.DuplicateSectionError):
        return ConfigError(
            Origin(file, error.lineno or 0),
            f"section [{error.section}] is there twice",
            "merge the two",
        )
    if isinstance(error, configparser.DuplicateOptionError):
        return ConfigError(
            Origin(file, error.lineno or 0),
            f"{error.option!r} is there twice in [{error.section}]",
            "remove one of the two",
        )
    if isinstance(error, configparser.ParsingError) and error.errors:
        line, written = error.errors[0]
        # configparser reports repr(line), in all versions
        shown = written.strip("'\"").removesuffix("\\n").strip()
        return ConfigError(
            Origin(file, line),
            f"{shown!r} is no `key = value` line",
            "write `key =` for an empty value",
        )
    return ConfigError(Origin(file, 0), f"does not parse: {error}")


def _check_section(
    name: str, header: Origin, entries: dict[str, Entry], where: set[str]
) -> Iterator[str]:
    """Warnings about one shellenv section, taking out of `entries` what has no effect.

    Raises ConfigError for what is wrong in it.
    """
    from shellenv import names  # which most projects do without

    if name not in schema.SECTIONS:
        near = schema.nearest(name, schema.SECTIONS)
        yield f"{header}: unknown section [{name}]" + (f"; did you mean [{near}]?" if near else "")
        return
    for key, entry in tuple(entries.items()):
        if name == "shellenv.env":
            _raise_if(entry, names.variable_problem(key), "choose another name")
        elif name == "shellenv.aliases":
            _raise_if(entry, names.alias_problem(key), "choose another name")
        row = schema.known(name, key)
        if row is None:
            if name not in schema.UNCHECKED_SECTIONS:
                near = schema.nearest(key, (row.name for row in schema.KEYS if row.section == name))
                yield f"{entry.origin}: unknown key {key!r} in [{name}]" + (
                    f"; did you mean {near!r}?" if near else ""
                )
        elif row.where not in where:
            del entries[key]
            yield f"{entry.origin}: {key!r} has no effect in this file; it belongs in {row.where}"
        else:
            _raise_if(entry, schema.value_problem(row.kind, entry.value), _expected(row))


def _raise_if(entry: Entry, problem: str, hint: str) -> None:
    if problem:
        raise ConfigError(entry.origin, problem, hint)


def _expected(key: schema.Key) -> str:
    return f"{key.name} takes: {key.kind}, for example `{key.example}`"
