"""Bad input at a real prompt: one clear line, once; the shell stays usable and as it was."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Session, Shell, require, run, write
from snapshot import change, snapshot

GOOD = "[shellenv.env]\nGOOD = yes\n"


@pytest.fixture(autouse=True)
def _ready(request: pytest.FixtureRequest) -> None:
    if "shell" in request.fixturenames:
        shell: Shell = request.getfixturevalue("shell")
        runtime = shell.home.path.parent / "run"  # where stamps go that the cache cannot hold
        runtime.mkdir(mode=0o700)
        shell.env["XDG_RUNTIME_DIR"] = str(runtime)


def expect(shell: Shell, session: Session, name: str, wanted: str | None) -> None:
    """The variable `name` has this value, or is not set."""
    shown = session.run(shell.show(name).replace("\n", "; "))
    assert shown == (f"{name} unset\n" if wanted is None else f"{name}={wanted}\n")


def status_of(shell: Shell) -> str:
    return "echo $status" if shell.name == "fish" else "echo $?"


def still_usable(shell: Shell, session: Session) -> None:
    """The next prompts are silent and keep the status; leaving works."""
    assert session.enter() == ""
    assert session.run("sh -c 'exit 3'") == ""
    assert session.run(status_of(shell)) == "3\n"
    assert session.enter() == ""


def told_once(shell: Shell, session: Session, directory: Path, *words: str) -> str:
    """Entering says one line, which has the words in it, and applies nothing."""
    output = session.run(shell.cd(directory))
    lines = output.splitlines()
    assert len(lines) == 1, output
    assert lines[0].startswith("shellenv: "), output
    for word in words:
        assert word in lines[0]
    still_usable(shell, session)
    return lines[0]


def nothing_applied(shell: Shell, session: Session, path: str | None = None) -> None:
    for name in ("GOOD", "VIRTUAL_ENV"):
        expect(shell, session, name, None)
    assert session.value("PATH") == (path or shell.env["PATH"])


def powerless(shell: Shell) -> None:
    """Start `shell` such that permissions hold for it even if root runs the tests."""
    if os.geteuid() == 0:
        require("setpriv")
        wrap(
            shell,
            "setpriv --bounding-set={0} --inh-caps={0}".format("-dac_override,-dac_read_search"),
        )


def wrap(shell: Shell, command: str) -> None:
    script = f'#!/bin/sh\nexec {command} {shell.program} "$@"\n'
    wrapper = write(shell.home.path.parent / f"wrapped-{shell.name}", script)
    wrapper.chmod(0o755)
    shell.program = str(wrapper)


# --- configuration ---------------------------------------------------------------


def unreadable(path: Path) -> None:
    write(path, GOOD).chmod(0)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        short = os.open(path.parent, os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{short}/{path.name}")
        finally:
            os.close(short)


def content(text: str | bytes) -> Callable[[Path], None]:
    return lambda path: write(path, text) and None  # type: ignore[return-value]


# What is there, and what the line says of it
BROKEN: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "text before the first section": (content("GOOD = yes\n"), ("cfg:1", "[section]")),
    "a line without a value": (content(f"{GOOD}oh\n"), ("cfg:3", "'oh'")),
    "a key twice": (content(f"{GOOD}GOOD = no\n"), ("cfg:3", "twice")),
    "a section twice": (content(GOOD * 2), ("cfg:3", "twice")),
    "an unclosed section": (content(f"{GOOD}[shellenv\n"), ("cfg:3",)),
    "no UTF-8": (content(GOOD.encode() + b"A = \xff\n"), ("cfg:3", "UTF-8")),
    "UTF-16": (content(GOOD.encode("utf-16")), ("cfg:1", "UTF-8")),
    "NUL bytes": (content(GOOD.encode() + b"\0" * 100), ("cfg:3", "NUL")),
    "10 MB": (content(GOOD + "# much\n" * 1_500_000), ("larger than 1 MiB",)),
    "a bad variable name": (content(f"{GOOD}BAD-NAME = 1\n"), ("cfg:3", "BAD-NAME")),
    "a variable that is the shell's": (content(f"{GOOD}PWD = /\n"), ("cfg:3", "PWD")),
    "a bad alias": (content(f"{GOOD}[shellenv.aliases]\nif = x\n"), ("cfg:4", "'if'")),
    "neither yes nor no": (content(f"[shellenv]\nprompt = maybe\n{GOOD}"), ("cfg:2", "maybe")),
    "escapes": (content(f"{GOOD}\x1b]0;hello\x07\x1b[2J\n"), ("cfg:3",)),
    "a directory": (lambda path: path.mkdir(), ("directory",)),
    "unreadable": (unreadable, ("ermission",)),
    "a pipe": (fifo, ("egular",)),
    "a socket": (listening, ("cannot be read",)),
    "a loop": (lambda path: path.symlink_to(path.name), ()),  # nothing is there
}


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def test_a_personal_file_that_cannot_be_used(shell: Shell) -> None:
    powerless(shell)
    roots = {}
    for number, (what, (make, _)) in enumerate(BROKEN.items()):
        roots[what] = shell.home.project(f"p{number}", venv=number == 0)
        (shell.home.config / "projects").mkdir(parents=True, exist_ok=True)
        make(shell.home.config / f"projects/p{number}.cfg")
    with shell.interactive() as session:
        for what, (_, words) in BROKEN.items():
            if words:
                told_once(shell, session, roots[what], *words)
            else:
                assert session.run(shell.cd(roots[what])) == "", what
            nothing_applied(shell, session)
            assert session.run(shell.cd(shell.home.path)) == "", what


def test_a_projects_file_that_cannot_be_used(shell: Shell) -> None:
    powerless(shell)
    roots = {}
    for number, (what, (make, _)) in enumerate(BROKEN.items()):
        roots[what] = shell.home.project(f"p{number}", venv=True)
        make(roots[what] / "dockerutils.cfg")
        shell.home.approve(roots[what] / "dockerutils.cfg")
    with shell.interactive() as session:
        for what, (_, words) in BROKEN.items():
            if words:
                told_once(shell, session, roots[what], *words)
                nothing_applied(shell, session)
            assert session.run(shell.cd(shell.home.path)) == "", what
            nothing_applied(shell, session)


def test_the_users_file_that_cannot_be_used(shell: Shell) -> None:
    powerless(shell)
    inside = shell.home.project("api", venv=True)
    file = shell.home.config / "dockerutils.cfg"
    shell.home.config.mkdir(parents=True)
    with shell.interactive() as session:
        for what, (make, words) in BROKEN.items():
            remove(file)
            make(file)
            if words:
                told_once(shell, session, inside, *words)
                nothing_applied(shell, session)
            assert session.run(shell.cd(shell.home.path)) == "", what
            nothing_applied(shell, session)
            assert session.enter() == "", what
        # mended, everything is there at the next prompt
        remove(file)
        session.run(shell.cd(inside))
        expect(shell, session, "VIRTUAL_ENV", str(shell.home.path / ".venv/api"))


def test_a_dotenv_file_that_cannot_be_used(shell: Shell) -> None:
    broken: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
        **{name: BROKEN[name] for name in ("a directory", "unreadable", "a pipe", "a socket")},
        "10 MB": (content("A=1\n" * 2_600_000), ("larger than 1 MiB",)),
        "no UTF-8": (content(b"A=1\nB=\xff\n"), ("env:2", "UTF-8")),
        "a bad name": (content("A=1\nPWD=/\n"), ("env:2", "PWD")),
        "no line of a .env file": (content("A=1\n'oh\n"), ("env:2",)),
    }
    powerless(shell)
    roots = {}
    for number, (what, (make, _)) in enumerate(broken.items()):
        roots[what] = shell.home.project(
            f"p{number}", f"{GOOD}[shellenv.dotenv]\nfiles = my.env\n", venv=True
        )
        make(roots[what] / "my.env")
        shell.home.approve(roots[what] / "my.env")
    with shell.interactive() as session:
        for what, (_, words) in broken.items():
            told_once(shell, session, roots[what], *words)
            nothing_applied(shell, session)
            assert session.run(shell.cd(shell.home.path)) == "", what


def test_a_file_that_breaks_while_one_is_inside_takes_everything_back(shell: Shell) -> None:
    root = shell.home.project("api", GOOD, venv=True)
    with shell.interactive() as session:
        assert session.run(shell.cd(root)) == ""
        expect(shell, session, "GOOD", "yes")
        write(root / "dockerutils.cfg", f"{GOOD}oh\n")
        shell.home.approve(root / "dockerutils.cfg")
        said = session.enter()
        assert said.count("\n") == 1, said
        assert "cfg:3" in said
        still_usable(shell, session)
        nothing_applied(shell, session)
        write(root / "dockerutils.cfg", GOOD)  # which is allowed
        assert session.enter() == ""
        expect(shell, session, "GOOD", "yes")


def test_a_mistake_in_an_inner_project_leaves_the_outer_one_as_it_is(shell: Shell) -> None:
    hooks = "[shellenv.hooks]\nenter = echo in\nleave = echo out\n"
    outer = shell.home.project("outer", GOOD + hooks, venv=True)
    inner = shell.home.project("outer/inner", venv=True)
    write(
        inner / "dockerutils.cfg", "[shellenv.env]\nINNER = yes\n[shellenv.dotenv]\nfiles = .env\n"
    )
    shell.home.allow(inner)
    write(inner / ".env", "DOT = yes\n")
    shell.home.allow(inner)
    below = inner / "below"
    below.mkdir()
    with shell.interactive() as session:
        assert session.run(shell.cd(outer)) == "in\n"
        session.run(snapshot(shell, "outer"))
        for file, mistake in ((".env", "DOT = yes\noh no\n"), ("dockerutils.cfg", f"{GOOD}oh\n")):
            right = (inner / file).read_text()
            write(inner / file, mistake)
            shell.home.approve(inner / file)
            told_once(shell, session, inner, f"{file}:", "nothing of this project")
            session.run(snapshot(shell, "inner"))
            assert [name for name in change(shell, "outer", "inner") if "_UNDO" not in name] == []
            assert session.run(shell.cd(below)) == ""
            expect(shell, session, "GOOD", "yes")
            write(inner / file, right)  # which is allowed
            assert session.enter() == ""
            expect(shell, session, "INNER", "yes")
            expect(shell, session, "VIRTUAL_ENV", str(shell.home.path / ".venv/inner"))
            assert session.run(shell.cd(outer)) == ""
        assert session.run(shell.cd(shell.home.path)) == "out\n"
        nothing_applied(shell, session)


def test_unknown_keys_are_told_and_the_rest_is_applied(shell: Shell) -> None:
    root = shell.home.project("api", f"{GOOD}[shellenv]\npromt = no\n")
    with shell.interactive() as session:
        line = session.run(shell.cd(root))
        assert line.splitlines() == [line.rstrip("\n")]
        assert "cfg:4: unknown key 'promt'" in line
        assert "'prompt'" in line
        still_usable(shell, session)
        expect(shell, session, "GOOD", "yes")


@pytest.mark.parametrize(
    "name", ["SHELLENV_PROMPT", "SHELLENV_QUIET", "SHELLENV_EXEC_ENV", "SHELLENV_VENV_DIR"]
)
def test_a_variable_of_ours_with_a_bad_value(shell: Shell, name: str) -> None:
    root = shell.home.project("api", GOOD)
    shell.env[name] = "may/be"
    with shell.interactive() as session:
        told_once(shell, session, root, f"${name}", "may/be")
        nothing_applied(shell, session)
        assert session.run(shell.cd(shell.home.path)) == ""


def test_a_name_of_a_file_cannot_command_the_terminal(shell: Shell) -> None:
    root = shell.home.projects / "\x1b]0;pwned\x07\r\x1b[2Jx"
    write(root / "dockerutils.cfg", GOOD)
    result = shell.script(f"{shell.cd(root)}\n{shell.at_prompt}")
    assert "is not allowed yet" in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.rstrip("\n").isprintable()


# --- cache and state ---------------------------------------------------------------


@contextmanager
def limited(shell: Shell, kind: str, directory: Path) -> Iterator[None]:
    """`directory` is full, or read-only, for what `shell` starts."""
    directory.mkdir(parents=True, exist_ok=True)
    if kind == "full":
        require("unshare", "mount")
        mount = (
            f"mount -t tmpfs -o size=64k,mode=0700 none {shell.quote(directory)} && "
            f"cp -a {shell.quote(directory)}.kept/. {shell.quote(directory)}/ 2>/dev/null; "
            f"cat /dev/zero >{shell.quote(directory / 'zeros')} 2>/dev/null; "
        )
        probe = run(
            ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"], os.environ, Path("/")
        )
        if probe.status != 0:
            pytest.skip("needs a mount namespace (root)")
        if directory.exists():
            shutil.copytree(directory, f"{directory}.kept", symlinks=True)
        script = write(
            shell.home.path.parent / "full", f'#!/bin/sh\n{mount}\nexec {shell.program} "$@"\n'
        )
        script.chmod(0o755)
        wrap_program = write(
            shell.home.path.parent / "full-in",
            f'#!/bin/sh\nexec unshare -m {script} "$@"\n',
        )
        wrap_program.chmod(0o755)
        shell.program = str(wrap_program)
        yield
    else:
        powerless(shell)
        for path in (*directory.rglob("*"), directory):
            if path.is_dir():
                path.chmod(0o500)
        yield
        for path in (directory, *directory.rglob("*")):
            if path.is_dir():
                path.chmod(0o700)


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_cache_that_cannot_be_written_costs_only_speed_and_is_told_once(
    shell: Shell, kind: str
) -> None:
    roots = [shell.home.project(name, GOOD, venv=True) for name in ("api", "web")]
    with limited(shell, kind, shell.home.cache), shell.interactive() as session:
        said = ""
        for root in (*roots, *roots):
            said += session.run(shell.cd(root))
            still_usable(shell, session)
            expect(shell, session, "GOOD", "yes")
            assert session.run(shell.cd(shell.home.path)) == ""
            expect(shell, session, "GOOD", None)
        assert len(said.splitlines()) == 1, said
        assert "cannot" in said
        assert str(shell.home.cache) in said


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_state_that_cannot_be_written_allows_nothing_and_says_so(shell: Shell, kind: str) -> None:
    old = shell.home.project("old", GOOD, venv=True)
    new = shell.home.projects / "new"
    write(new / "dockerutils.cfg", GOOD)
    with limited(shell, kind, shell.home.state), shell.interactive() as session:
        assert session.run(shell.cd(old)) == ""
        expect(shell, session, "GOOD", "yes")  # what was allowed stays so
        told_once(shell, session, new, "not allowed yet")
        said = session.run("shellenv allow").splitlines()
        assert said[0].startswith("shellenv: cannot ")
        assert len(said) == 2
        assert session.run(status_of(shell)) == "1\n"
        nothing_applied(shell, session)
        still_usable(shell, session)


def test_cache_and_state_are_closed_to_others(shell: Shell) -> None:
    root = shell.home.project("api", GOOD)
    shell.home.cache.mkdir(parents=True)
    for top in (shell.home.cache, shell.home.state):
        top.chmod(0o777)
    os.umask(0)
    try:
        with shell.interactive() as session:
            assert session.run(shell.cd(root)) == ""
            expect(shell, session, "GOOD", "yes")
        shell.home.shellenv("deny", root)
    finally:
        os.umask(0o022)
    for top in (shell.home.cache, shell.home.state):
        assert any(top.iterdir())
        assert stat.S_IMODE(top.stat().st_mode) == 0o700
        for path in top.rglob("*"):
            assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path


def as_another(path: Path) -> None:
    """Give `path` to another user."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a file to another user")
    os.chown(path, 65534, 65534, follow_symlinks=False)


def test_a_snippet_of_another_user_is_not_sourced(shell: Shell) -> None:
    root = shell.home.project("api", GOOD)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        expect(shell, session, "GOOD", "yes")
        session.run(shell.cd(shell.home.path))
    snippet = shell.home.cache / f"snippets/{shell.name}{root}/.snippet"
    text = snippet.read_text(encoding="utf-8")
    assert text.count("yes") >= 1
    write(snippet, text.replace("yes", "theirs"))
    with shell.interactive() as session:
        session.run(shell.cd(root))
        expect(shell, session, "GOOD", "theirs")  # it is what is sourced
        session.run(shell.cd(shell.home.path))
    as_another(snippet)
    snippet.chmod(0o644)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        expect(shell, session, "GOOD", "yes")


def test_settings_of_another_user_are_not_sourced(shell: Shell) -> None:
    root = shell.home.project("api", venv=True)
    write(shell.home.config / "dockerutils.cfg", f"[shellenv]\nvenv_dir = {shell.home.path}/envs\n")
    shutil.copytree(shell.home.path / ".venv", shell.home.path / "envs", symlinks=True)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        session.run(shell.cd(shell.home.path))
    file = shell.home.cache / f"settings.{shell.name}"
    write(file, file.read_text(encoding="utf-8") + "echo PWNED >&2\necho PWNED\n")
    as_another(file)
    file.chmod(0o644)
    with shell.interactive() as session:
        assert "PWNED" not in session.greeting + session.run(shell.cd(root))


def test_a_cache_of_another_user_is_not_used(shell: Shell) -> None:
    root = shell.home.project("api", GOOD)
    shell.home.cache.mkdir(parents=True)
    shell.home.cache.chmod(0o777)
    as_another(shell.home.cache)
    with shell.interactive() as session:
        said = session.run(shell.cd(root))
        assert len(said.splitlines()) == 1, said
        assert "belongs to another user" in said
        still_usable(shell, session)
        expect(shell, session, "GOOD", "yes")
    assert list(shell.home.cache.iterdir()) == []


def test_an_approval_of_another_user_is_worth_nothing(shell: Shell) -> None:
    root = shell.home.project("api", GOOD)
    for record in (shell.home.state / "allow").iterdir():
        as_another(record)
    with shell.interactive() as session:
        told_once(shell, session, root, "not allowed yet")
        nothing_applied(shell, session)


# --- files of ours that are damaged ---------------------------------------------------------------


def damages(original: bytes) -> dict[str, Callable[[Path], None]]:
    half = len(original) // 2
    return {
        "empty": content(b""),
        "NUL bytes": content(b"\0" * len(original)),
        "noise": content(bytes(range(256)) * 8),
        "half NUL bytes": content(original[:half] + b"\0" * half),
        "half noise": content(original[:half] + bytes(range(256)) * 8),
        "another version": content(re.sub(rb"snippet \d+", b"snippet 0", original)),
        "one line only": content(original.partition(b"\n")[0] + b"\n"),
        "a directory": lambda path: path.mkdir(),
        "a pipe": fifo,
        "a socket": listening,
        "a loop": lambda path: path.symlink_to(path.name),
        "a device": lambda path: path.symlink_to("/dev/full"),
        "endless": lambda path: path.symlink_to("/dev/zero"),
        "unreadable": unreadable,
    }


def test_a_damaged_snippet_or_settings_file_is_made_anew(shell: Shell) -> None:
    powerless(shell)
    root = shell.home.project("api", GOOD)
    write(shell.home.config / "dockerutils.cfg", "[shellenv]\nquiet = no\n")
    with shell.interactive() as session:
        assert session.run(shell.cd(root)) == ""
        expect(shell, session, "GOOD", "yes")
    for file in (
        shell.home.cache / f"snippets/{shell.name}{root}/.snippet",
        shell.home.cache / f"settings.{shell.name}",
    ):
        original = file.read_bytes()
        for what, damage in damages(original).items():
            remove(file)
            damage(file)
            with shell.interactive() as session:
                said = session.run(shell.cd(root))
                # A directory cannot be replaced; that is told.
                assert len(said.splitlines()) <= (what == "a directory"), (what, said)
                still_usable(shell, session)
                expect(shell, session, "GOOD", "yes")
                assert session.run(shell.cd(shell.home.path)) == ""
                expect(shell, session, "GOOD", None)
            if what != "a directory":
                assert file.read_bytes() == original, what


CUT = {
    "bash": 'builtin printf %s "${{whole:0:cut}}" >|{snippet}',
    "zsh": 'builtin print -rn -- "${{whole[1,cut]}}" >|{snippet}',
    "fish": 'builtin printf "%.*s" $cut "$whole" >{snippet}',
}


def test_a_snippet_cut_short_anywhere_is_not_used(shell: Shell) -> None:
    """Around every line's and every word's end: what the shell then has is the same."""
    root = shell.home.project("a p'i", GOOD)
    shell.home.project("a p")  # a shorter name that a cut last line may spell
    answer = shell.home.shellenv("export", shell.name, cwd=root).ok()
    snippet = shell.home.cache / f"snippets/{shell.name}{root}/.snippet"
    original = snippet.read_bytes()
    # It takes 2 ms to print the program's answer again, instead of 60 ms to find it out again.
    asked = shell.home.path.parent / "asked"
    program = write(
        shell.home.path.parent / "program",
        f"#!/bin/sh\necho asked >>{asked}\nprintf %s {shlex.quote(answer)}\n",
    )
    program.chmod(0o755)
    ends = [place for place, byte in enumerate(original) if byte in b"\n'"]
    near = {place + step for place in ends for step in (-1, 0, 1, 2)}
    lengths = sorted(n for n in {*near, *range(0, len(original), 5)} if 0 <= n < len(original))
    body = [
        CUT[shell.name].format(snippet=shell.quote(snippet)),
        shell.cd(root),
        shell.show("GOOD"),
        shell.cd(shell.home.path),
        shell.show("GOOD"),
        # forget what is in memory
        "set -g __shellenv_loaded ''" if shell.name == "fish" else "__shellenv_loaded=",
    ]
    lines = [
        shell.set("__shellenv_bin", str(program), export=False),
        shell.set("whole", original.decode(), export=False),
        f"for cut in {' '.join(map(str, lengths))}" + (";" if shell.name == "fish" else "; do"),
        *body,
        "end" if shell.name == "fish" else "done",
    ]
    result = shell.script("\n".join(lines))
    assert result.stderr[:2000] == ""
    said = result.ok()
    assert said == "GOOD=yes\nGOOD unset\n" * len(lengths)
    assert asked.read_text().count("asked") >= len(lengths) - 1  # the last newline may be missing


@pytest.mark.parametrize("what", ["gone", "newer", "a file", "pipes", "directories", "unreadable"])
def test_damaged_stamps_are_made_anew(shell: Shell, what: str) -> None:
    powerless(shell)
    root = shell.home.project("api", GOOD)
    with shell.interactive() as session:
        session.run(shell.cd(root))
    stamps = shell.home.cache / "stamps"
    for generation in stamps.iterdir():
        if what in ("gone", "a file"):
            shutil.rmtree(generation)
        elif what == "unreadable":
            generation.chmod(0)
        for stamp in generation.glob("*") if generation.is_dir() else ():
            if what == "newer":
                os.utime(stamp)
            else:
                stamp.unlink()
                fifo(stamp) if what == "pipes" else stamp.mkdir()
        if what == "a file":
            generation.touch()
    with shell.interactive() as session:
        said = session.run(shell.cd(root))
        assert len(said.splitlines()) <= (what in ("a file", "unreadable")), said
        still_usable(shell, session)
        expect(shell, session, "GOOD", "yes")
        write(root / "dockerutils.cfg", GOOD + "# more\n")
        shell.home.shellenv("allow", root)
        assert session.enter() in ("", said)
        expect(shell, session, "GOOD", "yes")
    for path in stamps.iterdir():
        path.chmod(0o700)


@pytest.mark.parametrize("what", ["empty", "noise", "a directory", "a pipe"])
def test_damaged_approvals_neither_hang_nor_allow_anything_else(shell: Shell, what: str) -> None:
    root = shell.home.project("api", GOOD)
    for record in (shell.home.state / "allow").iterdir():
        record.unlink()
        damages(b"x")[what](record)
    other = shell.home.projects / "other"
    write(other / "dockerutils.cfg", GOOD)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        still_usable(shell, session)
        told_once(shell, session, other, "not allowed yet")
        nothing_applied(shell, session)
        session.run("shellenv deny")
        session.run("shellenv allow")
        expect(shell, session, "GOOD", "yes")


# --- homes ---------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "relative", "/dev/null"])
def test_without_a_usable_home_the_shell_is_usable(shell: Shell, value: str | None) -> None:
    root = shell.home.project("api", GOOD, venv=True)
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        shell.env.pop(name, None)
    lines = [
        shell.unset("HOME") if value is None else shell.set("HOME", value),
        shell.hook,
        shell.cd(root),
        shell.at_prompt,
        shell.at_prompt,
        shell.show("GOOD", "VIRTUAL_ENV"),
        shell.cd("/"),
        shell.at_prompt,
    ]
    result = shell.script("\n".join(lines), hook=False)
    assert result.status == 0
    assert result.stdout == "GOOD unset\nVIRTUAL_ENV unset\n"
    told = result.stderr.splitlines()
    assert "not allowed yet" in told.pop()
    assert len(told) <= 1, result.stderr
    assert all("/dev/null/.cache" in line for line in told)


def test_the_root_directory_may_be_a_home(shell: Shell) -> None:
    root = shell.home.project("api", GOOD)
    for name, place in (("CONFIG", ".config"), ("CACHE", ".cache"), ("STATE", ".local/state")):
        shell.env[f"XDG_{name}_HOME"] = str(shell.home.path / place)
    shell.env["HOME"] = "/"
    said = shell.script(
        f"{shell.cd(root)}\n{shell.show('GOOD')}\n{shell.cd('/')}\n{shell.show('GOOD')}"
    )
    assert said.ok() == "GOOD=yes\nGOOD unset\n"
