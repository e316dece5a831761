"""The one table of configuration sections and keys.

`Configuration.md` is held equal to it by a test. A key is here once something implements it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

ANYWHERE = "anywhere"
OWN_FILES = "the user's file"
PERSONAL_FILE = "your personal file for a project"
PROJECT_FILES = "project files and personal files"

YES = ("yes", "true", "on", "1")
NO = ("no", "false", "off", "0")


class Key(NamedTuple):
    """One setting.

    `kind` is how its value is checked: `yes or no`, `directory` (absolute or from `~`), `paths`,
    `code`, `text`, `seconds`, or the allowed words separated by ` | `. `name` is NAME where the
    user chooses it. `default` is "" if there is none. `where` says in which files it counts;
    `variable` is the environment variable that overrides the files, or "".
    """

    section: str
    name: str
    kind: str
    default: str
    meaning: str
    example: str
    where: str = ANYWHERE
    variable: str = ""


KEYS: tuple[Key, ...] = (
    Key(
        "shellenv",
        "exec_env",
        "auto | venv | docker | remote",
        "auto",
        "The execution environment to prefer. `auto` decides: docked, or `DOCKER_HOST` names "
        "another machine: `remote`; else a virtual environment exists: `venv`; else the project "
        "has a docker image: `docker`.",
        "exec_env = venv",
        variable="SHELLENV_EXEC_ENV",
    ),
    Key(
        "shellenv",
        "venv_dir",
        "directory",
        "~/.venv",
        "Where virtual environments live, each named after its project. It must be known before "
        "any project is, so a project's file cannot set it.",
        "venv_dir = ~/envs",
        OWN_FILES,
        "SHELLENV_VENV_DIR",
    ),
    Key(
        "shellenv",
        "prompt",
        "yes or no",
        "yes",
        "Show the active project as `(project)` in front of the prompt.",
        "prompt = no",
        variable="SHELLENV_PROMPT",
    ),
    Key(
        "shellenv",
        "quiet",
        "yes or no",
        "no",
        "Say only what needs you: on entering, not that a file waits for approval; of runs, "
        "syncs and `setup-venv`, neither where and why, nor the command lines, nor a summary, as "
        "with their `-q`. Conflicts and errors are always said.",
        "quiet = yes",
        variable="SHELLENV_QUIET",
    ),
    Key(
        "shellenv",
        "inherit",
        "yes or no",
        "yes",
        "`no` makes this project stand alone: settings and virtual environments of directories "
        "further out do not reach it. The machine's and your own settings still do.",
        "inherit = no",
        PROJECT_FILES,
    ),
    Key(
        "shellenv",
        "root",
        "directory",
        "",
        "The only directory that this personal file is for, where two projects have one name.",
        "root = ~/src/shop",
        PERSONAL_FILE,
    ),
    Key(
        "shellenv.env",
        "NAME",
        "text",
        "",
        "Sets the environment variable NAME. `$OTHER` and `${OTHER}` are replaced by that "
        "variable's value, by nothing if it is unset; `$$` is a dollar sign. In the file's order, "
        "so a line may use those above it. An empty value sets NAME to the empty string. "
        "`credstash:KEY` or `credstash:KEY@VERSION` is a secret.",
        "DATABASE_URL = postgres://localhost/$USER",
    ),
    Key(
        "shellenv.path",
        "prepend",
        "paths",
        "",
        "Directories put in front of `PATH`, the first one first, separated by `:` or on lines of "
        "their own, relative to the project's directory. An inner project's stand before those of "
        "the project around it.",
        "prepend = bin:scripts",
    ),
    Key(
        "shellenv.aliases",
        "NAME",
        "text",
        "",
        "Defines the alias NAME.",
        "t = pytest -q",
    ),
    Key(
        "shellenv.hooks",
        "enter",
        "code",
        "",
        "Shell code run on entering, after everything else is set, in the shell that you use.",
        'enter = echo "welcome to $PWD"',
    ),
    Key(
        "shellenv.hooks",
        "leave",
        "code",
        "",
        "Shell code run on leaving, before anything is taken back.",
        "leave = rm -f .scratch",
    ),
    Key(
        "shellenv.dotenv",
        "files",
        "paths",
        "",
        "Files of `NAME=value` lines to set variables from, separated by `:` or on lines of their "
        "own, relative to the project's directory; the later one wins, `[shellenv.env]` of the "
        "same directory wins over all. A missing file is no error. Each needs approval of its own, "
        "also where a personal file names it.",
        "files = .env:.env.local",
        PROJECT_FILES,
    ),
    Key(
        "shellenv.run",
        "image",
        "text",
        "",
        "The docker image to work in, or the name of a directory in the project's `docker/` that "
        "has a Dockerfile. With `exec_env = auto` its presence makes `docker` the execution "
        "environment of a project that has no virtual environment.",
        "image = python:3.12-slim",
    ),
    Key(
        "shellenv.run",
        "default_image",
        "text",
        "python:3-slim",
        "The image of projects that name none, have none in `docker/` and no devcontainer.json.",
        "default_image = debian:12",
    ),
    Key(
        "shellenv.run",
        "container_dir",
        "directory",
        "",
        "Where the project is in the container, if not at the same path as outside.",
        "container_dir = /workspace",
    ),
    Key(
        "shellenv.run",
        "setup",
        "code",
        "",
        "Commands for sh that complete the image. They run once, as root, in the project's "
        "directory, which is read-only then; they run again when they or the image change.",
        "setup = apt-get update && apt-get install -y graphviz",
    ),
    Key(
        "shellenv.run",
        "install",
        "text",
        "",
        "What pip is to install beyond what the project's files ask for, as `pip install` takes "
        "it: in containers, and by `setup-venv`. (What a run in a container installs by itself is "
        "gone with the container.)",
        "install = -r requirements-dev.txt -e .[test]",
    ),
    Key(
        "shellenv.run",
        "gpu",
        "yes or no",
        "no",
        "Give containers all GPUs of the machine, as `-g` does.",
        "gpu = yes",
    ),
    Key(
        "shellenv.run",
        "network",
        "text",
        "",
        "The network of containers, as `docker run --network` takes it.",
        "network = host",
    ),
    Key(
        "shellenv.run",
        "ports",
        "text",
        "",
        "Ports of containers to publish, as `docker run -p` takes them, separated by commas or on "
        "lines of their own. Those that a run publishes at a dock are ports of this machine's "
        "`localhost`, too, for the time of the run.",
        "ports = 127.0.0.1:8000:8000",
    ),
    Key(
        "shellenv.run",
        "volumes",
        "text",
        "",
        "What else to mount, as `docker run -v` takes it, separated by commas or on lines of their "
        "own. A relative path starts at the project's directory; `~`, `$NAME` and `${NAME}`, "
        "`{project_root}`, `{project}`, `{user}` and `{home}` are replaced. At a dock what is not "
        "the project's is the dock's, home directories too, and has to be there.",
        "volumes = ~/data:/data:ro",
    ),
    Key(
        "shellenv.sync",
        "remote_root",
        "text",
        "/data/workspace",
        "The directory at the dock below which projects are, yours in "
        "`<remote_root>/<user>/<name>`. USER is the one who logs in there, `~` is the home "
        "directory of that user.",
        "remote_root = ~/workspace",
    ),
    Key(
        "shellenv.sync",
        "name",
        "text",
        "",
        "The name of the project's directory at the dock, where the project's own is taken by "
        "another project or another machine.",
        "name = api-laptop",
        PROJECT_FILES,
    ),
    Key(
        "shellenv.sync",
        "ignore_file",
        "text",
        ".dockerignore",
        "The file in the project's directory that says what is left out: by Docker's rules, or by "
        "git's if it is called `.gitignore`; `none` reads none. A `.gitignore` takes back a name "
        "that is left out by default (`.cache`, `node_modules`) only if it says that name: `!*/` "
        "does not.",
        "ignore_file = .gitignore",
    ),
    Key(
        "shellenv.sync",
        "exclude",
        "paths",
        "",
        "More to leave out: patterns by Docker's rules, separated by `:` or on lines of their own. "
        "They win over the ignore file.",
        "exclude = data:**/*.ckpt",
    ),
    Key(
        "shellenv.sync",
        "include",
        "paths",
        "",
        "What is synced whatever the other rules say, written as for `exclude`.",
        "include = data/labels.csv",
    ),
    Key(
        "shellenv.sync",
        "git",
        "yes or no",
        "no",
        "Bring `.git` up, too, for tools that look into it. It never comes down.",
        "git = yes",
    ),
    Key(
        "shellenv.ssh",
        "transport",
        "socket | ssh",
        "socket",
        "How docker's clients reach a dock: `socket` forwards its docker socket to one on this "
        "machine, which costs no more than the way there; `ssh` makes docker use ssh of its own, "
        "which takes a new session for each command.",
        "transport = ssh",
        OWN_FILES,
    ),
    Key(
        "shellenv.ssh",
        "connect_timeout",
        "seconds",
        "10",
        "How long a dock may take to answer, from 1 to 3600 seconds.",
        "connect_timeout = 30",
        OWN_FILES,
    ),
    Key(
        "shellenv.aws",
        "region",
        "text",
        "",
        "The region. Without it `AWS_REGION`, `AWS_DEFAULT_REGION` and the profile's count.",
        "region = eu-central-1",
        variable="SHELLENV_AWS_REGION",
    ),
    Key(
        "shellenv.aws",
        "profile",
        "text",
        "",
        "The profile in `~/.aws/config` whose credentials are used. Without it they are found as "
        "by all programs: `AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, the machine's role and so on.",
        "profile = shop",
        variable="SHELLENV_AWS_PROFILE",
    ),
)

FREE_SECTIONS = ("shellenv.env", "shellenv.aliases")
"""Sections whose keys the user names."""

UNCHECKED_SECTIONS = ("shellenv.notebook", "shellenv.aws")
"""Known sections of which not every key is in the table yet: no key of theirs is unknown."""

SECTIONS = tuple(dict.fromkeys([*(key.section for key in KEYS), *UNCHECKED_SECTIONS]))
"""Every known section whose name starts with `shellenv`."""

VARIABLES = {key.variable: key for key in KEYS if key.variable}
"""Environment variables that override the files."""

_BY_NAME = {(key.section, key.name): key for key in KEYS}

PREFIX = "shellenv"


def known(section: str, name: str) -> Key | None:
    """The table's row for a key; None if there is no such key. In free sections any name is."""
    if section in FREE_SECTIONS:
        name = "NAME"
    return _BY_NAME.get((section, name))


def is_ours(section: str) -> bool:
    """True for sections that belong to shellenv; all others are dockerutils'."""
    return section.lower().startswith(PREFIX)


def meant(section: str) -> str:
    """The section of ours that `section`, which is not, may be meant for: its name up to the dot is
    `shellenv` but for a slip. "" if it is not."""
    prefix, dot, rest = section.lower().partition(".")
    if abs(len(prefix) - len(PREFIX)) > 2 or len(set(PREFIX) & set(prefix)) < len(set(PREFIX)) - 1:
        return ""  # without difflib, which takes its time to load
    import difflib

    close = difflib.get_close_matches(prefix, [PREFIX], cutoff=0.85)
    return nearest(f"{PREFIX}{dot}{rest}", SECTIONS) if close else ""


def nearest(word: str, candidates: Iterable[str]) -> str:
    """The candidate most like `word`, or "" if none is like it."""
    import difflib

    lowered = {candidate.lower(): candidate for candidate in sorted(candidates, reverse=True)}
    close = difflib.get_close_matches(word.lower(), lowered, n=1)
    return lowered[close[0]] if close else ""


def value_problem(kind: str, value: str) -> str:
    """What is wrong with `value` for a key of this kind; "" if nothing."""
    if kind == "yes or no":
        return "" if value.lower() in YES + NO else f"{value!r} is neither yes nor no"
    if " | " in kind:
        words = kind.split(" | ")
        return "" if value in words else f"{value!r} is none of {', '.join(words)}"
    if kind == "seconds":
        fits = value.isascii() and value.isdecimal() and 1 <= int(value[:9]) <= 3600
        return "" if fits else f"{value!r} is no number of seconds from 1 to 3600"
    if kind == "directory" and not (value == "~" or value.startswith(("/", "~/"))):
        return f"{value!r} is not an absolute path (it may start with ~/)"
    return ""
