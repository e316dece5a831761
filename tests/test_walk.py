"""The shell's walk and the core's project detection find the same directory, on random trees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from harness import Shell, run, write
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shellenv import export, installation
from shellenv.context import Context, home_of
from shellenv.shells import SHELLS
from shellenv.survey import survey

NAMES = (
    *("a", "b", "a b", "é", "it's", '"', "$HOME", "-e", "--", "~", "*", "[a]", "\\", "#", "!", "="),
    *(
        "new\nline",
        "tab\t",
        "\udcff",
        ".venv",
        "docker",
        ".hidden",
        "a.cfg",
        "...",
        "projects",
        "%",
    ),
    "x" * 252,  # with `.cfg` behind it, longer than a name can be
)
SIGNS = (".venv", "dockerutils.cfg", "docker/dockerutils.cfg", "personal", "named", "default")
KINDS = ("file", "directory", "link", "dangling", "loop")
HOMES = ("outside", "tree", "inner", "slash", "slashes", "unset", "empty", "relative", "root")
VENV_DIRS = (
    *("", "/", "/nowhere", "~", "~/", "~//envs", "~/envs", "~/envs/", "envs", "./envs", "~other"),
    *("$HOME/envs", "absolute", "absolute/", "configured", "both"),
)


class Tree(NamedTuple):
    """Directories inside each other, what is in them, and the surroundings."""

    names: list[str]
    signs: list[tuple[int, str, str]]  # at which depth, what, as what
    home: str
    venv_dir: str
    linked: bool


TREES = st.builds(
    Tree,
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(SIGNS), st.sampled_from(KINDS)), max_size=3
    ),
    st.sampled_from(HOMES),
    st.sampled_from(VENV_DIRS),
    st.booleans(),
)


class Case(NamedTuple):
    """Where a shell is to stand, with which variables (None: unset)."""

    cwd: str
    env: dict[str, str | None]


def put(path: Path, kind: str) -> None:
    with suppress(OSError):  # a name that is too long, or something is there
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "directory":
            path.mkdir()
        elif kind == "file":
            path.touch()
        else:
            path.symlink_to({"link": "/", "dangling": "/nowhere", "loop": path.name}[kind])


def cases(top: Path, tree: Tree) -> Iterator[Case]:
    """Make `tree` below `top`, which is new; a case for each directory in it."""
    directories = [top / "tree"]
    for name in tree.names:
        directories.append(directories[-1] / name)
    directories[-1].mkdir(parents=True)
    place = directories[0]
    home = {
        "outside": str(top / "home"),
        "tree": str(place),
        "inner": str(directories[1]),
        "slash": f"{place}/",
        "slashes": f"{place}//",
        "unset": None,
        "empty": "",
        "relative": "home",
        "root": "/",
    }[tree.home]
    (top / "home").mkdir()
    own = Path(home) if home and home.startswith("/") and home != "/" else top / "home"
    absolute = str(top / "absolute venvs")
    written = {
        "absolute": absolute,
        "absolute/": f"{absolute}/",
        "configured": "",
        "both": "~/envs",
    }.get(tree.venv_dir, tree.venv_dir)
    if tree.venv_dir in ("configured", "both"):
        write(top / "config/shellenv/dockerutils.cfg", f"[shellenv]\nvenv_dir = {top}/configured\n")
    for depth, sign, kind in tree.signs:
        directory = directories[depth % len(directories)]
        if sign == "personal":
            put(top / f"config/shellenv/projects/{directory.name}.cfg", kind)
        elif sign == "default":
            put(own / ".venv" / directory.name, kind)
        elif sign == "named":
            for venvs in (
                own / "envs",
                top / "absolute venvs",
                top / "configured",
                own,
                Path("envs"),
            ):
                put(directories[-1] / venvs / directory.name, kind)
        else:
            put(directory / sign, kind)
    env = {
        "HOME": home,
        "SHELLENV_VENV_DIR": written or None,
        "XDG_CONFIG_HOME": str(top / "config"),
        "XDG_CACHE_HOME": str(top / "cache"),
    }
    for directory in directories:
        yield Case(str(directory), env)
    if tree.linked:
        with suppress(OSError):
            (top / "link").symlink_to(directories[-1])
            yield Case(str(top / "link"), env)


def of_the_core(shell: Shell, case: Case) -> str:
    env = {name: value for name, value in {**shell.env, **case.env}.items() if value is not None}
    context = Context(case.cwd, env, home_of(env), os.geteuid())
    if os.path.exists(f"{env['XDG_CONFIG_HOME']}/shellenv/dockerutils.cfg"):
        export.code(context, SHELLS[shell.name])  # leaves the settings for the shell
    return survey(context, SHELLS[shell.name].activate).detection.candidate or ""


# The hook without the program and without snippets: what is left is the walk.
STUBS = {
    "bash": "__shellenv_ask() { :; }; __shellenv_load() { return 1; }",
    "zsh": "__shellenv_ask() { return 1; }; __shellenv_load() { return 1; }",
    "fish": "function __shellenv_ask; end; function __shellenv_load; return 1; end",
}

# … and loaded as for the first time
RESET = {
    "bash": "unset -v __shellenv_shell; unset -f __shellenv_settled",
    "zsh": "unset -v __shellenv_shell; unset -f __shellenv_settled 2>/dev/null",
    "fish": "set -e __shellenv_shell; functions -e __shellenv_settled",
}


def of_the_shell(shell: Shell, cases: list[Case]) -> list[str]:
    source = "source" if shell.name == "fish" else "."
    static = shell.quote(f"{installation.static_dir()}/hook.{shell.name}")
    lines = []
    for case in cases:
        lines.append(shell.cd(case.cwd))
        for name, value in case.env.items():
            lines.append(shell.unset(name) if value is None else shell.set(name, value))
        lines += [RESET[shell.name], f"{source} {static} --definitions", STUBS[shell.name]]
        lines += ["__shellenv_found=x" if shell.name != "fish" else "set -g __shellenv_found x"]
        lines += ["__shellenv_update", 'builtin printf "%s\\0" "$__shellenv_found"']
    script = write(shell.home.path.parent / f"walk.{shell.name}", "\n".join(lines) + "\n")
    result = run(shell.argv(script), shell.env, shell.home.path)
    assert (result.status, result.stderr[:1000]) == (0, "")
    return result.stdout.split("\0")[:-1]


@settings(
    max_examples=30,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # the case that differs is shown
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(trees=st.lists(TREES, min_size=1, max_size=12))
def test_the_shell_and_the_core_find_the_same_directory(shell: Shell, trees: list[Tree]) -> None:
    forest = shell.home.path.parent / "forest"
    forest.mkdir(exist_ok=True)
    tops = forest / f"{len(list(forest.iterdir()))}"
    found = [case for n, tree in enumerate(trees) for case in cases(tops / str(n), tree)]
    wanted = [of_the_core(shell, case) for case in found]
    got = of_the_shell(shell, found)
    assert len(got) == len(wanted)
    for case, core, own in zip(found, wanted, got, strict=True):
        assert own == core, case
