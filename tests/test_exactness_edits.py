"""Whatever is watched: a change of it is seen at the next prompt, and only then asked for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness import Home, Session, Shell, make_venv, write
from samples import variables


def values(session: Session, *names: str) -> list[str | None]:
    return [session.value(name) for name in names]


def allowed(home: Home, root: Path, *configs: str) -> None:
    """Let the project's file have each of these contents, now or later."""
    for config in configs:
        write(root / "dockerutils.cfg", config)
        home.allow(root)


def test_an_edit_is_seen_at_the_next_prompt_even_within_the_same_second(
    shell: Shell, home: Home
) -> None:
    root = home.project("api")
    contents = [variables(X=str(number)) for number in range(6)]
    allowed(home, root, *contents)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        for number, content in enumerate(contents):
            write(root / "dockerutils.cfg", content)
            session.enter()
            assert session.value("X") == str(number)


def test_touching_deleting_creating_and_replacing_by_an_older_file_are_seen(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", venv=True)
    config = root / "dockerutils.cfg"
    old, new = variables(X="old"), variables(X="new")
    allowed(home, root, old, new)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert session.value("X") == "new"
        # replaced by one that is older, as `git stash` or `mv` would
        older = write(root / "older", old)
        os.utime(older, (1_000_000_000, 1_000_000_000))
        older.replace(config)
        session.enter()
        assert session.value("X") == "old"
        # a new time, the same content
        os.utime(config, (1_100_000_000, 1_100_000_000))
        assert session.enter() == ""
        assert session.value("X") == "old"
        config.unlink()
        session.enter()
        assert session.value("X") is None
        assert session.prompt == "(api) $ "
        write(config, new)
        session.enter()
        assert session.value("X") == "new"
        # the place that wins over it
        stronger = write(root / "docker/dockerutils.cfg", variables(X="weaker", Y="1"))
        home.allow(root)
        session.enter()
        assert values(session, "X", "Y") == ["new", "1"]
        stronger.unlink()
        session.enter()
        assert values(session, "X", "Y") == ["new", None]


def test_the_personal_and_the_users_own_file_are_watched(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="project"))
    personal = home.config / "projects/api.cfg"
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert session.value("X") == "project"
        write(personal, variables(X="personal", MINE="yes"))
        session.enter()
        assert values(session, "X", "MINE") == ["personal", "yes"]
        personal.unlink()
        session.enter()
        assert values(session, "X", "MINE") == ["project", None]
        user = write(home.config / "dockerutils.cfg", variables(X="user", USER_WIDE="1"))
        session.enter()
        assert values(session, "X", "USER_WIDE") == ["project", "1"]
        user.unlink()
        session.enter()
        assert values(session, "X", "USER_WIDE") == ["project", None]


def test_a_personal_file_alone_makes_a_project(shell: Shell, home: Home) -> None:
    root = home.projects / "bare"
    root.mkdir()
    write(home.config / "projects/bare.cfg", variables(X="personal"))
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert session.value("X") == "personal"
        assert session.prompt == "(bare) $ "
        session.run(shell.cd("/"))
        assert session.value("X") is None


def test_a_parent_directorys_file_is_watched_from_below(shell: Shell, home: Home) -> None:
    outer = home.project("outer", variables(X="outer", OUT="1"))
    inner = home.project("outer/inner", variables(X="inner"))
    (inner / "deep").mkdir()
    with shell.interactive() as session:
        session.run(shell.cd(inner / "deep"))
        assert values(session, "X", "OUT") == ["inner", "1"]
        allowed(home, outer, variables(X="outer", OUT="2"))
        session.enter()
        assert values(session, "X", "OUT") == ["inner", "2"]
        (inner / "dockerutils.cfg").unlink()
        session.enter()
        assert values(session, "X", "OUT") == ["outer", "2"]
        (outer / "dockerutils.cfg").unlink()
        session.enter()
        assert values(session, "X", "OUT") == [None, None]
        # and one that appears between here and there
        allowed(home, inner, variables(X="again"))
        session.enter()
        assert values(session, "X", "OUT") == ["again", None]


def test_an_environment_that_appears_or_goes_is_seen(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"))
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert session.value("VIRTUAL_ENV") is None
        venv = home.venv("api")
        session.enter()
        assert session.value("VIRTUAL_ENV") == str(venv)
        shutil.rmtree(venv)
        session.enter()
        assert values(session, "VIRTUAL_ENV", "X") == [None, "1"]
        own = make_venv(root / ".venv")
        assert "not allowed" in session.enter()
        assert session.value("VIRTUAL_ENV") is None
        session.run("shellenv allow")
        assert session.value("VIRTUAL_ENV") == str(own)
        activate = own / "bin" / shell.activate
        write(activate, activate.read_text() + "\n# edited\n")
        session.enter()
        assert session.value("VIRTUAL_ENV") is None


def test_a_dotenv_file_is_watched(shell: Shell, home: Home) -> None:
    root = home.project("api", "[shellenv.dotenv]\nfiles = .env\n")
    with shell.interactive() as session:
        session.run(shell.cd(root))
        write(root / ".env", "A='one two'\nB=\"${A} three\"\n")
        assert "not allowed" in session.enter()
        assert values(session, "A", "B") == [None, None]
        session.run("shellenv allow")
        assert values(session, "A", "B") == ["one two", "one two three"]
        (root / ".env").unlink()
        session.enter()
        assert values(session, "A", "B") == [None, None]


def test_an_edit_asks_again_and_says_so_once(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"))
    with shell.interactive() as session:
        session.run(shell.cd(root))
        write(root / "dockerutils.cfg", variables(X="2"))
        output = session.enter()
        assert output.count("not allowed yet") == 1
        assert session.value("X") is None
        assert session.enter() == ""
        # allowed from elsewhere
        home.allow(root)
        session.enter()
        assert session.value("X") == "2"


def test_a_mistake_is_told_once_applies_nothing_and_is_over_when_mended(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(X="1"), venv=True)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        write(root / "dockerutils.cfg", variables(X="2") + "no key here\n")
        home.approve(root / "dockerutils.cfg")
        output = session.enter()
        assert "dockerutils.cfg:3" in output
        assert values(session, "X", "VIRTUAL_ENV") == [None, None]
        assert session.enter() == ""
        assert session.run("true") == ""
        allowed(home, root, variables(X="3"))
        assert session.enter() == ""
        assert session.value("X") == "3"


def test_hooks_stay_entered_while_they_stay_the_same(shell: Shell, home: Home) -> None:
    hooks = "[shellenv.hooks]\nenter = echo in\nleave = echo out\n"
    root = home.project("api", variables(X="1") + hooks)
    with shell.interactive() as session:
        assert session.run(shell.cd(root)) == "in\n"
        allowed(home, root, variables(X="2") + hooks)
        assert session.enter() == ""
        assert session.value("X") == "2"
        allowed(home, root, variables(X="2") + hooks.replace("echo in", "echo new"))
        assert session.enter() == "out\nnew\n"
        assert session.run(shell.cd("/")) == "out\n"


def test_settings_in_the_shells_own_variables_are_seen(shell: Shell, home: Home) -> None:
    root = home.project("api", venv=True)
    other = make_venv(home.path / "elsewhere/api")
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")
        session.run(shell.set("SHELLENV_VENV_DIR", str(home.path / "elsewhere")))
        assert session.value("VIRTUAL_ENV") == str(other)
        session.run(shell.set("SHELLENV_PROMPT", "no"))
        assert session.prompt == "$ "
        session.run(shell.unset("SHELLENV_VENV_DIR"))
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")


def test_the_users_own_venv_dir_is_watched(shell: Shell, home: Home) -> None:
    root = home.project("api", venv=True)
    other = make_venv(home.path / "elsewhere/api")
    config = home.config / "dockerutils.cfg"
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")
        write(config, "[shellenv]\nvenv_dir = ~/elsewhere\n")
        session.enter()
        assert session.value("VIRTUAL_ENV") == str(other)
        config.unlink()
        session.enter()
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/api")
