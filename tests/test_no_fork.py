"""The hook starts no process where nothing has changed: strace says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Home, Shell, Trace
from samples import rich, variables

pytestmark = pytest.mark.needs("strace")


def test_an_idle_prompt_starts_nothing_outside_and_inside(
    shell: Shell, home: Home, tmp_path: Path
) -> None:
    root = rich(home)
    (root / "a/b/c").mkdir(parents=True)
    log = tmp_path / "log"
    with shell.interactive(trace=log) as session:
        session.run(shell.mark("outside"))
        for _ in range(3):
            session.enter()
        session.run(shell.cd("/tmp"))
        session.run(shell.cd("/"))
        session.run(shell.mark("end of outside"))
        session.run(shell.cd(root))
        session.run(shell.mark("inside"))
        for _ in range(3):
            session.enter()
        session.run(shell.cd(root / "a/b/c"))
        session.run("cd ..")
        session.run(shell.mark("end of inside"))
    trace = Trace(log)
    assert trace.between("outside", "end of outside").lines == ()
    assert trace.between("inside", "end of inside").lines == ()
    # the trace does see what starts: the first visit asks the program
    assert trace.between("end of outside", "inside").execs > 0


def test_a_warm_cd_in_and_out_starts_nothing(shell: Shell, home: Home, tmp_path: Path) -> None:
    root = rich(home)
    other = home.project("other", variables(X="1"), venv=True)
    nested = home.project("other/nested", variables(Y="1") + "[shellenv.path]\nprepend = bin\n")
    home.venv("nested")
    for project in (root, other, nested):
        shell.script(shell.cd(project))
    log = tmp_path / "log"
    with shell.interactive(trace=log) as session:
        session.run(shell.mark("start"))
        session.run(shell.cd(root))
        session.enter()
        session.run(shell.cd("/"))
        session.enter()
        session.run(shell.cd(other))
        session.run(shell.cd(root))
        session.run(shell.cd(nested))
        session.run("cd ..")
        session.run(shell.cd("/"))
        session.run(shell.cd(root))
        session.run(shell.mark("end"))
        assert session.value("PLAIN") == "one"
    assert Trace(log).between("start", "end").lines == ()


def test_a_warm_start_inside_a_project_starts_nothing_but_the_hook(
    shell: Shell, home: Home, tmp_path: Path
) -> None:
    root = rich(home)
    shell.script(shell.cd(root))
    log = tmp_path / "log"
    with shell.interactive(
        cwd=root, trace=log, before=shell.mark("rc"), after=shell.mark("loaded")
    ) as session:
        session.run(shell.mark("prompt"))
        assert session.value("PLAIN") == "one"
    assert Trace(log).between("loaded", "prompt").lines == ()


def test_shadowed_things_of_the_users_cost_no_process_either(
    shell: Shell, home: Home, tmp_path: Path
) -> None:
    root = rich(home)
    shell.script(shell.cd(root))
    before = "\n".join(
        [
            shell.set("SHADOWS_EXPORTED", "the user's"),
            shell.set("SHADOWS_PRIVATE", "the user's", export=False),
            shell.alias("shadowed", "echo theirs"),
        ]
    )
    log = tmp_path / "log"
    with shell.interactive(before=before, trace=log) as session:
        session.run(shell.cd("/tmp"))
        session.run(shell.mark("start"))
        session.run(shell.cd(root))
        session.run(shell.cd("/"))
        session.run(shell.mark("end"))
        assert session.value("SHADOWS_EXPORTED") == "the user's"
    assert Trace(log).between("start", "end").lines == ()


def test_with_settings_of_the_users_own_it_is_the_same(
    shell: Shell, home: Home, tmp_path: Path
) -> None:
    (home.config).mkdir(parents=True)
    (home.config / "dockerutils.cfg").write_text("[shellenv]\nvenv_dir = ~/.venv\n")
    root = rich(home)
    shell.script(shell.cd(root))
    log = tmp_path / "log"
    with shell.interactive(trace=log) as session:
        session.run(shell.mark("start"))
        session.enter()
        session.run(shell.cd(root))
        session.enter()
        session.run(shell.cd("/"))
        session.enter()
        session.run(shell.mark("end"))
    assert Trace(log).between("start", "end").lines == ()


def test_a_project_that_waits_for_approval_costs_nothing_once_told(
    shell: Shell, home: Home, tmp_path: Path
) -> None:
    root = home.project("api")
    (root / "dockerutils.cfg").write_text(variables(X="1"))
    log = tmp_path / "log"
    with shell.interactive(trace=log) as session:
        session.run(shell.cd(root))
        session.run(shell.mark("start"))
        session.enter()
        session.run(shell.cd("/"))
        session.run(shell.cd(root))
        session.run(shell.mark("end"))
    assert Trace(log).between("start", "end").lines == ()
