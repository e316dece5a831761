"""`config`: the settings that count here, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shellenv import paths, schema
from shellenv.cli import parser, say, write
from shellenv.config import Config, Entry
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.survey import Survey, survey

KEY_HELP = """\
A KEY is the section and the key with a dot between them: shellenv.venv_dir, shellenv.env.PORT,
shellenv.aliases.t. The leading `shellenv.` may be left out. dockerutils' own keys are found the
same way: run_image.synthetic_images.

"""


def main(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv config [get KEY | list] [--show-origin] [--json]`.

    Prints to stdout what counts in the current directory; what waits for approval does not count,
    and is named on stderr. Raises ShellenvError for a file that cannot be used, for a key that is
    not set, and for wrong usage.
    """
    arguments = parser("config")
    arguments.epilog = KEY_HELP + (arguments.epilog or "")
    add = arguments.add_argument
    add("action", choices=("get", "list"), nargs="?", default="list",
        help="print one value, or all settings (default)")  # fmt: skip
    add("key", metavar="KEY", nargs="?", help="which value to get")
    add("--show-origin", action="store_true", help="say which file and line each comes from")
    add("--json", action="store_true", help="print JSON")
    options = arguments.parse_intermixed_args(args)
    if (options.action == "get") != (options.key is not None):
        arguments.error("get takes one KEY, list takes none")
    found = survey(ctx)
    for error in found.errors:
        raise error
    _tell(ctx, found)
    if options.action == "get":
        chosen = {options.key: lookup(found.config, options.key)}
    else:
        chosen = dict(listing(found.config))
    if options.json:
        write(_json(chosen, options.show_origin, single=options.action == "get"))
    else:
        for name, entry in chosen.items():
            origin = f"{entry.origin}\t" if options.show_origin else ""
            label = "" if options.action == "get" else f"{name} = "
            write(f"{origin}{label}{entry.value}\n")
    return 0


def listing(config: Config) -> Iterator[tuple[str, Entry]]:
    """Every setting of shellenv's with its full name, sorted by section: those that are set, and
    those of [shellenv] that have a default."""
    defaults = {key.name for key in schema.KEYS if key.section == "shellenv" and key.default}
    for section in sorted({"shellenv", *filter(schema.is_ours, config.sections)}):
        names = sorted({*config.section(section), *(defaults if section == "shellenv" else ())})
        for name in names:
            entry = config.get(section, name)
            if entry is not None:
                yield f"{section}.{name}", entry


def lookup(config: Config, key: str) -> Entry:
    """The value of a key given as `section.key`, where a leading `shellenv.` may be missing.

    Raises ShellenvError if it is not set, and for a key that does not exist.
    """
    known = [*config.sections, *schema.SECTIONS]
    exists = False
    for full in (key, f"shellenv.{key}"):
        for section in sorted(set(known), key=len, reverse=True):
            name = full.removeprefix(f"{section}.")
            if name in (full, ""):
                continue
            entry = config.get(section, name)
            if entry is not None:
                return entry
            exists = exists or schema.known(section, name) is not None
    if exists:
        raise ShellenvError(f"{key} is not set", "shellenv config list shows what is")
    names = [f"{row.section}.{row.name}".removeprefix("shellenv.") for row in schema.KEYS]
    near = schema.nearest(key.removeprefix("shellenv."), names)
    hint = f"did you mean {near}?" if near else "shellenv config list shows what is set"
    raise ShellenvError(f"there is no key {key}", hint)


def _tell(ctx: Context, found: Survey) -> None:
    for warning in dict.fromkeys(found.warnings):
        say(f"shellenv: {warning}")
    for blocked in found.blocked:
        say(f"shellenv: not counted: {paths.tilde(ctx, blocked.path)} is {blocked.verdict}")


def _json(entries: dict[str, Entry], show_origin: bool, single: bool) -> str:
    import json

    def shape(entry: Entry) -> object:
        if not show_origin:
            return entry.value
        return {"value": entry.value, "file": entry.origin.file, "line": entry.origin.line}

    shaped = {name: shape(entry) for name, entry in entries.items()}
    answer: object = next(iter(shaped.values())) if single else shaped
    return json.dumps(answer, indent=2) + "\n"
