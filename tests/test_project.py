"""Which project a directory belongs to: real trees, and the rule that was used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import context, file, venv

from shellenv import project
from shellenv.context import Context, home_of
from shellenv.project import Detection


def never(_: str) -> bool:
    return False


def always(_: str) -> bool:
    return True


def detect(
    home: Path,
    cwd: Path,
    allowed: Callable[[str], bool] = never,
    *,
    for_run: bool = False,
) -> Detection:
    return project.detect(context(home, cwd), f"{home}/.venv", allowed, for_run)


def root(found: Detection) -> str | None:
    return found.project.root if found.project else None


def directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


# --- the virtual environment and the root -----------------------------------------------------


def test_a_directory_named_like_a_virtual_environment_is_its_project(tmp_path: Path) -> None:
    venv(tmp_path / ".venv/api")
    found = detect(tmp_path, directory(tmp_path / "src/api/lib/deep")).project
    assert found is not None
    assert (found.root, found.name, found.venv) == (
        f"{tmp_path}/src/api",
        "api",
        f"{tmp_path}/.venv/api",
    )
    assert found.directories == (f"{tmp_path}/src/api",)
    assert found.rule == "the innermost directory with a virtual environment"
    assert found.venv_rule == f"{tmp_path}/.venv/api is named after the directory"


def test_a_virtual_environment_needs_an_activate_script(tmp_path: Path) -> None:
    directory(tmp_path / ".venv/api/bin")
    found = detect(tmp_path, directory(tmp_path / "api"))
    assert found.candidate == f"{tmp_path}/api", "the hook looks at existence only"
    assert found.project is None


def test_a_virtual_environment_made_for_another_directory_does_not_match(tmp_path: Path) -> None:
    venv(tmp_path / ".venv/api", made_for=tmp_path / "code/api")
    venv(tmp_path / ".venv/code")
    found = detect(tmp_path, directory(tmp_path / "code/other/api"))
    assert root(found) == f"{tmp_path}/code"
    assert found.passed_over == (
        f"{tmp_path}/.venv/api is for another directory, as {tmp_path}/.venv/api/.project says",
    )
    assert root(detect(tmp_path, directory(tmp_path / "code/api/src"))) == f"{tmp_path}/code/api"


def test_the_project_file_is_compared_as_written_and_after_symbolic_links(tmp_path: Path) -> None:
    directory(tmp_path / "disk/api")
    (tmp_path / "link").symlink_to("disk")
    for written in ("disk/api", "link/api"):
        shutil.rmtree(tmp_path / ".venv", ignore_errors=True)
        venv(tmp_path / ".venv/api", made_for=tmp_path / written)
        for entered in ("disk/api", "link/api"):
            assert root(detect(tmp_path, tmp_path / entered)) == f"{tmp_path}/{entered}"


@pytest.mark.parametrize("content", ["", "\n", "api\n", "/nowhere/api\n", "/a\0b\n"])
def test_a_project_file_that_does_not_name_the_directory_is_no_match(
    tmp_path: Path, content: str
) -> None:
    file(venv(tmp_path / ".venv/api") / ".project", content)
    assert detect(tmp_path, directory(tmp_path / "api")).project is None


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "/\n"])
def test_a_project_file_may_end_as_editors_end_it(tmp_path: Path, end: str) -> None:
    file(venv(tmp_path / ".venv/api") / ".project", f"{tmp_path}/api{end}")
    assert root(detect(tmp_path, directory(tmp_path / "api"))) == f"{tmp_path}/api"


def test_a_project_file_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(venv(tmp_path / ".venv/api") / ".project")
    assert detect(tmp_path, directory(tmp_path / "api")).project is None


def test_the_directory_s_own_environment_counts_once_it_is_allowed(tmp_path: Path) -> None:
    own = venv(tmp_path / "api/.venv")
    blocked = detect(tmp_path, tmp_path / "api", never)
    assert blocked.project is None
    assert blocked.passed_over == (f"{own} is not allowed yet",)
    allowed = detect(tmp_path, tmp_path / "api", lambda path: path == str(own)).project
    assert allowed is not None
    assert (allowed.venv, allowed.root) == (str(own), f"{tmp_path}/api")
    assert allowed.venv_rule == f"{own} is the directory's own and is allowed"


def test_the_environment_by_name_is_taken_before_the_directory_s_own(tmp_path: Path) -> None:
    venv(tmp_path / "api/.venv")
    named = venv(tmp_path / ".venv/api")
    found = detect(tmp_path, tmp_path / "api", always).project
    assert found is not None
    assert found.venv == str(named)


def test_a_virtual_environment_s_own_directories_are_no_projects(tmp_path: Path) -> None:
    inside = venv(tmp_path / ".venv/api")
    for cwd in (inside, directory(inside / "lib/api"), tmp_path / ".venv"):
        assert detect(tmp_path, cwd).project is None


def test_the_innermost_virtual_environment_wins_and_settings_of_all_count(tmp_path: Path) -> None:
    venv(tmp_path / ".venv/outer")
    venv(tmp_path / ".venv/inner")
    file(tmp_path / "group/dockerutils.cfg")
    cwd = directory(tmp_path / "group/outer/a/inner/b")
    file(cwd / "docker/dockerutils.cfg")
    found = detect(tmp_path, cwd).project
    assert found is not None
    assert found.root == f"{tmp_path}/group/outer/a/inner"
    assert found.venv == f"{tmp_path}/.venv/inner"
    assert found.directories == (f"{tmp_path}/group", found.root, str(cwd))


def test_the_root_is_the_environment_s_directory_although_settings_lie_below(
    tmp_path: Path,
) -> None:
    venv(tmp_path / ".venv/outer")
    file(tmp_path / "outer/inner/dockerutils.cfg")
    found = detect(tmp_path, tmp_path / "outer/inner").project
    assert found is not None
    assert found.root == f"{tmp_path}/outer"
    assert found.directories == (f"{tmp_path}/outer", f"{tmp_path}/outer/inner")


@pytest.mark.parametrize("name", ["dockerutils.cfg", "docker/dockerutils.cfg"])
def test_without_an_environment_the_innermost_configuration_is_the_root(
    tmp_path: Path, name: str
) -> None:
    file(tmp_path / "outer/dockerutils.cfg")
    file(tmp_path / "outer/inner" / name)
    found = detect(tmp_path, directory(tmp_path / "outer/inner/src")).project
    assert found is not None
    assert (found.root, found.venv) == (f"{tmp_path}/outer/inner", None)
    assert found.rule == "the innermost directory with configuration"
    assert found.directories == (f"{tmp_path}/outer", f"{tmp_path}/outer/inner")


def test_a_personal_file_makes_a_project(tmp_path: Path) -> None:
    file(tmp_path / ".config/shellenv/projects/shop.cfg")
    assert root(detect(tmp_path, directory(tmp_path / "code/shop/src"))) == f"{tmp_path}/code/shop"


def test_a_personal_file_for_another_directory_does_not(tmp_path: Path) -> None:
    personal = file(tmp_path / ".config/shellenv/projects/shop.cfg")
    asked: list[tuple[str, str]] = []

    def counts(path: str, directory: str) -> bool:
        asked.append((path, directory))
        return False

    ctx = context(tmp_path, directory(tmp_path / "shop"))
    found = project.detect(ctx, f"{tmp_path}/.venv", never, personal_counts=counts)
    assert found.candidate == f"{tmp_path}/shop"
    assert found.project is None
    assert asked == [(str(personal), f"{tmp_path}/shop")]


def test_a_project_that_stands_alone_ends_the_search(tmp_path: Path) -> None:
    venv(tmp_path / ".venv/outer")
    file(tmp_path / "outer/dockerutils.cfg")
    file(tmp_path / "outer/inner/dockerutils.cfg")
    ctx = context(tmp_path, tmp_path / "outer/inner")
    found = project.detect(
        ctx, f"{tmp_path}/.venv", never, inherits=lambda path: not path.endswith("inner")
    ).project
    assert found is not None
    assert (found.root, found.venv) == (f"{tmp_path}/outer/inner", None)
    assert found.directories == (f"{tmp_path}/outer/inner",)


@pytest.mark.parametrize("marker", project.MARKERS)
def test_markers_make_a_project_for_runs_only(tmp_path: Path, marker: str) -> None:
    cwd = directory(tmp_path / "repo/src")
    file(tmp_path / "repo" / marker)
    assert detect(tmp_path, cwd).project is None
    found = detect(tmp_path, cwd, for_run=True).project
    assert found is not None
    assert (found.root, found.rule) == (
        f"{tmp_path}/repo",
        f"the innermost directory with {marker}",
    )


def test_a_run_takes_the_current_directory_at_last(tmp_path: Path) -> None:
    found = detect(tmp_path, directory(tmp_path / "a/b"), for_run=True).project
    assert found is not None
    assert (found.root, found.rule) == (f"{tmp_path}/a/b", "the current directory")
    assert root(detect(tmp_path, tmp_path, for_run=True)) == str(tmp_path)


# --- where the walk ends ---------------------------------------------------------------------


def test_the_home_directory_and_what_is_above_it_are_no_projects(tmp_path: Path) -> None:
    home = directory(tmp_path / "home")
    venv(home / ".venv/home")
    file(home / "dockerutils.cfg")
    file(tmp_path / "dockerutils.cfg")
    for cwd in (home, directory(home / "src")):
        found = detect(home, cwd)
        assert (found.candidate, found.project, found.consulted) == (None, None, ())


def test_outside_the_home_directory_the_walk_ends_below_the_root_directory(tmp_path: Path) -> None:
    home = directory(tmp_path / "home")
    venv(home / ".venv/srv")
    assert root(detect(home, directory(tmp_path / "srv/a"))) == f"{tmp_path}/srv"
    assert detect(home, Path("/")).candidate is None


def test_the_home_directory_by_another_name_is_no_project_either(tmp_path: Path) -> None:
    real = directory(tmp_path / "real")
    (tmp_path / "home").symlink_to("real")
    venv(real / ".venv/real")
    venv(real / ".venv/api")
    directory(real / "src/api")
    home = tmp_path / "home"
    assert root(detect(home, home / "src/api")) == f"{home}/src/api"
    assert root(detect(home, real / "src/api")) == f"{real}/src/api", "entered by cd -P"
    assert detect(home, real / "src").project is None


def test_without_a_home_there_are_still_projects(tmp_path: Path) -> None:
    file(tmp_path / "api/dockerutils.cfg")
    ctx = Context(f"{tmp_path}/api", {}, None, os.geteuid())
    found = project.detect(ctx, None, never)
    assert root(found) == f"{tmp_path}/api"
    assert not any(".config" in path for path in found.consulted)


@pytest.mark.parametrize(
    ("value", "home"),
    [
        ("/home/u", "/home/u"),
        ("/home/u/", "/home/u"),
        ("/home/u//", "/home/u"),
        ("/", "/"),
        ("", None),
        ("home/u", None),
        (None, None),
    ],
)
def test_home_is_taken_without_its_slash_and_only_if_it_is_absolute(
    value: str | None, home: str | None
) -> None:
    assert home_of({} if value is None else {"HOME": value}) == home


def test_a_home_that_is_the_root_directory_ends_the_walk_as_ever(tmp_path: Path) -> None:
    file(tmp_path / "api/dockerutils.cfg")
    ctx = context(tmp_path, tmp_path / "api")._replace(home="/", env={})
    found = project.detect(ctx, "/.venv", never)
    assert root(found) == f"{tmp_path}/api"
    assert "/.config/shellenv/projects/api.cfg" in found.consulted


def test_a_deleted_current_directory_is_a_name_like_any_other(tmp_path: Path) -> None:
    venv(tmp_path / ".venv/api")
    gone = directory(tmp_path / "api/gone")
    gone.rmdir()
    assert root(detect(tmp_path, gone)) == f"{tmp_path}/api"


ODD = (
    "with space",
    "-dash",
    "new\nline",
    "tab\tand'quote\"",
    "$(echo)`x`\\",
    "*?[a]",
    "été 日本",
    "~",
    "%0A",
    "a" * 255,
    os.fsdecode(b"not utf-8 \xff\xfe"),
)


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_names_are_bytes_and_nothing_in_them_is_special(tmp_path: Path, name: str) -> None:
    here = directory(tmp_path / name)
    venv(tmp_path / ".venv" / name, made_for=here)
    found = detect(tmp_path, here).project
    assert found is not None
    assert (found.root, found.name) == (str(here), name)


def test_links_are_followed_and_dangling_ones_are_not_there(tmp_path: Path) -> None:
    real = venv(tmp_path / "elsewhere")
    directory(tmp_path / ".venv")
    (tmp_path / ".venv/api").symlink_to(real)
    (tmp_path / ".venv/web").symlink_to("nowhere")
    (tmp_path / ".venv/loop").symlink_to("loop")
    assert root(detect(tmp_path, directory(tmp_path / "api"))) == f"{tmp_path}/api"
    assert detect(tmp_path, directory(tmp_path / "web")).candidate is None
    assert detect(tmp_path, directory(tmp_path / "loop")).candidate is None


# --- the context -----------------------------------------------------------------------------


def asked(cwd: Path, pwd: str | None, *, delete: bool = False) -> str:
    """What a process started in `cwd` with that $PWD takes for its current directory."""
    code = (
        "import os, sys; from shellenv.context import Context\n"
        "if sys.argv[1]: os.rmdir(sys.argv[1])\n"
        "sys.stdout.buffer.write(os.fsencode(Context.from_process().cwd))"
    )
    env = {name: value for name, value in os.environ.items() if name != "PWD"}
    if pwd is not None:
        env["PWD"] = pwd
    argv = [sys.executable, "-c", code, str(cwd) if delete else ""]
    done = subprocess.run(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, check=True)
    return os.fsdecode(done.stdout)


def test_the_current_directory_is_the_name_by_which_the_user_came(tmp_path: Path) -> None:
    real = directory(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    link = str(tmp_path / "link")
    assert asked(real, link) == link
    assert asked(real, str(real)) == str(real)


def test_a_wrong_pwd_is_not_believed(tmp_path: Path) -> None:
    here = directory(tmp_path / "here")
    for pwd in (None, "", ".", "/", "/nowhere", f"{here}/", f"{here}/../here", f"{here}/."):
        assert asked(here, pwd) == str(here)


def test_in_a_deleted_directory_pwd_is_all_there_is(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert asked(directory(Path(gone)), gone, delete=True) == gone
    assert asked(directory(Path(gone)), None, delete=True) == "/"


# --- the watch list ----------------------------------------------------------------------------


def test_what_was_consulted_says_what_was_there(tmp_path: Path) -> None:
    venv(tmp_path / ".venv/api")
    found = detect(tmp_path, directory(tmp_path / "src/api/lib"))
    assert found.present == {f"{tmp_path}/.venv/api/bin/activate"}
    assert found.consulted == (
        f"{tmp_path}/src/api/docker/dockerutils.cfg",
        f"{tmp_path}/src/api/dockerutils.cfg",
        f"{tmp_path}/.config/shellenv/projects/api.cfg",
        f"{tmp_path}/.venv/api/bin/activate",
        f"{tmp_path}/.venv/api/.project",
        f"{tmp_path}/src/docker/dockerutils.cfg",
        f"{tmp_path}/src/dockerutils.cfg",
        f"{tmp_path}/.config/shellenv/projects/src.cfg",
    )


NAMES = ("a", "b")
DIRECTORIES = tuple(
    "/".join(parts) for parts in (("a",), ("a", "b"), ("a", "b", "a"), ("a", "b", "a", "b"))
)
SIGNS = (
    *(f"{d}/{name}" for d in DIRECTORIES for name in ("dockerutils.cfg", "docker/dockerutils.cfg")),
    *(f"{d}/.venv/bin/activate" for d in DIRECTORIES),
    *(f"{d}/.venv/bin/python" for d in DIRECTORIES),
    *(f".venv/{name}/bin/{script}" for name in NAMES for script in ("activate", "python")),
    *(f".venv/{name}/.project" for name in NAMES),
    *(f".config/shellenv/projects/{name}.cfg" for name in NAMES),
)


def toggle(home: Path, sign: str) -> None:
    path = home / sign
    if path.exists():
        path.unlink()
        while not any(path.parent.iterdir()) and str(path.parent.relative_to(home)) not in (
            ".",
            *DIRECTORIES,
        ):
            path.parent.rmdir()
            path = path.parent
    else:
        file(path, f"{home}/a/b\n" if sign.endswith(".project") else "")


@settings(max_examples=300)
@given(
    st.sets(st.sampled_from(SIGNS), max_size=6),
    st.lists(st.sampled_from(SIGNS), min_size=1, max_size=3),
    st.sampled_from(DIRECTORIES),
    st.booleans(),
)
def test_while_nothing_consulted_changes_the_answer_stays(
    before: set[str], changes: list[str], cwd: str, allowed: bool
) -> None:
    """Also: what the walk finds is the innermost directory of any interest, so no project lies
    below it, and without a candidate there is no project."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        directory(home / DIRECTORIES[-1])
        for sign in before:
            toggle(home, sign)
        permit = always if allowed else never
        first = detect(home, home / cwd, permit)
        assert first.project is None or first.candidate is not None
        assert first.candidate == project.candidate(context(home, home / cwd), f"{home}/.venv")
        for sign in changes:
            toggle(home, sign)
        second = detect(home, home / cwd, permit)
        unchanged = all((path in first.present) == os.path.exists(path) for path in first.consulted)
        if unchanged and first.candidate == second.candidate:
            assert second == first
