"""`dock` and `castoff`: what they do to real shells, docked to real docks."""

from __future__ import annotations

import json
import os
import random

import pytest
from dock import RealDock
from harness import Shell, Trace, eventually, write
from sailor import HOSTNAME, Sailor, layered, reaches
from snapshot import change, snapshot

pytestmark = pytest.mark.usefixtures("sailor")

VARIABLES = (
    *("DOCKER_HOST", "DOCKER_IP", "SHELLENV_DOCK", "DOCKER_CONTEXT", "DOCKER_TLS"),
    *("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "__SHELLENV_DOCK_UNDO"),
)


def test_dock_points_docker_at_the_dock_and_castoff_brings_everything_back(
    shell: Shell, gpu: RealDock
) -> None:
    before = "\n".join(
        [
            shell.set("DOCKER_HOST", "tcp://10.0.0.9:2375"),
            shell.set("DOCKER_CONTEXT", "a 'b' \\ $c", export=False),
            shell.set("DOCKER_TLS_VERIFY", ""),
            shell.set("DOCKER_CERT_PATH", "~/certs"),
        ]
    )
    with shell.interactive(before=before) as session:
        session.run("dock nowhere.invalid; castoff")  # what is loaded then is loaded
        session.run(snapshot(shell, "before"))
        assert session.run("dock gpu") == ""
        assert session.prompt.startswith("[dock:gpu] ")
        assert reaches(session, gpu)
        assert session.value("DOCKER_IP") == gpu.address
        assert session.value("SHELLENV_DOCK") == "gpu"
        assert [session.value(name) for name in VARIABLES[3:7]] == [None] * 4
        assert session.run("castoff") == ""
        assert not session.prompt.startswith("[")
        session.run(snapshot(shell, "after"))
    assert change(shell) == {}


def test_variables_changed_while_docked_stay_as_they_were_changed(
    shell: Shell, gpu: RealDock
) -> None:
    del gpu
    code = [
        shell.set("DOCKER_HOST", "tcp://old"),
        "dock gpu",
        shell.set("DOCKER_HOST", "tcp://mine"),
        shell.unset("DOCKER_IP"),
        shell.set("DOCKER_CONTEXT", "mine"),
        "castoff",
        shell.show(*VARIABLES),
    ]
    assert shell.script("\n".join(code)).ok().splitlines() == [
        "DOCKER_HOST=tcp://mine",
        "DOCKER_IP unset",
        "SHELLENV_DOCK unset",
        "DOCKER_CONTEXT=mine",
        *(f"{name} unset" for name in VARIABLES[4:]),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_docking_casting_off_entering_and_leaving_restores_everything(
    shell: Shell, sailor: Sailor, gpu: RealDock, other_dock: RealDock, seed: int
) -> None:
    del gpu
    sailor.know(other_dock, "lab")
    write(sailor.home.path / ".venv/a/bin/activate", ACTIVATE)
    write(sailor.home.path / ".venv/a/bin/activate.fish", ACTIVATE_FISH)
    sailor.user.own(sailor.home.path)
    projects = [layered(sailor, "a"), layered(sailor, "b")]
    layered(sailor, "a/inner")
    steps = {
        "dock gpu": "dock gpu",
        "dock lab": "dock lab",
        "castoff": "castoff 2>/dev/null",
        "cd a": shell.cd(projects[0]),
        "cd a/inner": shell.cd(projects[0] / "inner"),
        "cd b": shell.cd(projects[1]),
        "cd": shell.cd(sailor.home.path),
        "reload": "shellenv reload",
        "deactivate": "functions -q deactivate; and deactivate"
        if shell.name == "fish"
        else "command -v deactivate >/dev/null && deactivate",
    }
    chance = random.Random(seed)
    code = ["dock gpu", "castoff", snapshot(shell, "before")]
    wanted = []
    for _ in range(8):
        docked = ""
        for step in chance.choices(list(steps), k=12):
            code += [steps[step], shell.at_prompt]
            docked = {"dock gpu": "gpu", "dock lab": "lab", "castoff": ""}.get(step, docked)
            code.append(f"builtin echo {shell.quote(step)}")
            code.append(shell.show("SHELLENV_DOCK", "DOCKER_HOST", "DOCKER_TLS_VERIFY"))
            wanted.append((step, docked))
        code += [*chance.sample([steps["castoff"], steps["cd"]], 2), shell.at_prompt]
    code += [snapshot(shell, "after"), "true"]
    result = shell.script("\n".join(code))
    assert (result.status, result.stderr) == (0, ""), result
    lines = iter(result.stdout.splitlines())
    for step, docked in wanted:
        assert next(lines) == step
        seen = [next(lines) for _ in range(3)]
        if docked:
            assert seen[0] == f"SHELLENV_DOCK={docked}", step
            assert f"/{docked}-" in seen[1], step
            assert seen[2] == "DOCKER_TLS_VERIFY unset", step
        else:
            assert seen[0] == "SHELLENV_DOCK unset", step
    assert change(shell) == {}


ACTIVATE = """\
deactivate () {
    if [ -n "${_OLD_VIRTUAL_PATH:-}" ] ; then PATH="$_OLD_VIRTUAL_PATH" ; export PATH; fi
    unset _OLD_VIRTUAL_PATH VIRTUAL_ENV
    [ "${1:-}" = nondestructive ] || unset -f deactivate
}
deactivate nondestructive
VIRTUAL_ENV=$HOME/.venv/a
export VIRTUAL_ENV
_OLD_VIRTUAL_PATH="$PATH"
PATH="$VIRTUAL_ENV/bin:$PATH"
export PATH
"""
ACTIVATE_FISH = """\
function deactivate
    set -q _OLD_VIRTUAL_PATH; and set -gx PATH $_OLD_VIRTUAL_PATH
    set -e _OLD_VIRTUAL_PATH
    set -e VIRTUAL_ENV
    functions -e deactivate
end
set -gx VIRTUAL_ENV $HOME/.venv/a
set -gx _OLD_VIRTUAL_PATH $PATH
set -gx PATH $VIRTUAL_ENV/bin $PATH
"""


def test_a_project_gets_and_takes_back_its_docker_host_beneath_the_dock(
    shell: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    del gpu
    project = layered(sailor, "a")
    code = [shell.set("DOCKER_HOST", "tcp://old")]
    show = shell.show("DOCKER_HOST")
    for order in (
        ["dock gpu", shell.cd(project), "castoff", show, shell.cd(sailor.home.path), show],
        ["dock gpu", shell.cd(project), shell.cd(sailor.home.path), "castoff", show],
        [shell.cd(project), "dock gpu", shell.cd(sailor.home.path), "castoff", show],
        [shell.cd(project), "dock gpu", "castoff", show, shell.cd(sailor.home.path), show],
        [shell.cd(project), "dock gpu", "shellenv reload", "castoff", show, "cd ~", show],
    ):
        code += [*order, "builtin echo"]
    project_, old = "DOCKER_HOST=tcp://project-a", "DOCKER_HOST=tcp://old"
    assert shell.script("\n".join(code)).ok().split("\n\n") == [
        f"{project_}\n{old}",
        old,
        old,
        f"{project_}\n{old}",
        f"{project_}\n{old}",
        "",
    ]


def test_docked_while_docked_moves_over(
    shell: Shell, sailor: Sailor, gpu: RealDock, other_dock: RealDock
) -> None:
    sailor.know(other_dock, "lab")
    with shell.interactive(before=shell.set("DOCKER_HOST", "tcp://old")) as session:
        session.run("dock gpu")
        assert session.run("dock lab") == ""
        assert session.prompt.startswith("[dock:lab] ")
        assert session.prompt.count("[dock:") == 1
        assert reaches(session, other_dock)
        eventually(lambda: "alive" not in os.listdir(sailor.place("gpu")), "the first one ends")
        assert "nowhere" in session.run("dock nowhere.invalid")
        assert reaches(session, other_dock)
        session.run("castoff")
        assert session.value("DOCKER_HOST") == "tcp://old"
    del gpu


@pytest.mark.parametrize("other", ["bash", "zsh", "fish"])
def test_a_child_shell_of_any_kind_is_docked_and_can_cast_off(
    shell: Shell, sailor: Sailor, gpu: RealDock, other: str
) -> None:
    del gpu
    child = Shell(other, sailor.home, sailor.user.argv())
    inner = f"{child.hook}\n{child.show('SHELLENV_DOCK')}\ncastoff\n{child.show(*VARIABLES)}\n"
    file = write(sailor.home.path.parent / f"inner.{other}", inner)
    code = [
        shell.set("DOCKER_HOST", "tcp://old"),
        "dock gpu",
        " ".join(map(shell.quote, [child.program, *child.argv(file)[len(child.prefix) + 1 :]])),
        shell.show("SHELLENV_DOCK"),
    ]
    assert shell.script("\n".join(code)).ok().splitlines() == [
        "SHELLENV_DOCK=gpu",
        "DOCKER_HOST=tcp://old",
        *(f"{name} unset" for name in VARIABLES[1:]),
        "SHELLENV_DOCK=gpu",
    ]


def test_exec_status_and_ls_dock_know(bash: Shell, sailor: Sailor, gpu: RealDock) -> None:
    project = layered(sailor, "a")
    code = [
        "dock gpu",
        f"shellenv exec {project} -- sh -c 'echo $STAGE $SHELLENV_DOCK $DOCKER_HOST'",
        f"shellenv exec {project} -- bash -c '{bash.hook}\ncastoff; echo $DOCKER_HOST; cd /; echo $DOCKER_HOST.'",
        "shellenv status --json",
        "echo ---",
        "ls-dock --offline",
        "shellenv status",
    ]
    result = bash.script("\n".join(code))
    assert result.status == 0, result
    stage, dock, host = result.stdout.split("\n", 1)[0].split()
    assert (stage, dock, host) == ("a", "gpu", f"unix://{sailor.place()}/docker.sock")
    rest = result.stdout.split("\n", 1)[1]
    assert rest.startswith("tcp://project-a\n.\n")
    status, _, words = rest.removeprefix("tcp://project-a\n.\n").partition("---\n")
    found = json.loads(status)
    assert found["dock"]["connected"] is True
    assert (found["dock"]["moniker"], found["dock"]["user"]) == ("gpu", gpu.user)
    assert found["exec_env"] == {"name": "remote", "because": "docked to gpu"}
    assert "gpu" in words.splitlines()[1]
    assert "1 shell" in words.splitlines()[1]
    assert f"dock      gpu, as {gpu.user}, docker " in words


def test_castoff_and_an_idle_prompt_while_docked_start_no_process(
    shell: Shell, gpu: RealDock
) -> None:
    del gpu
    log = shell.home.path.parent / "trace"
    log.unlink(missing_ok=True)
    code = [
        "dock gpu",
        "sleep 1",  # the keeper has come to rest
        shell.at_prompt,
        shell.mark("idle"),
        *[shell.at_prompt] * 3,
        shell.mark("castoff"),
        "castoff",
        shell.at_prompt,
        shell.mark("end"),
    ]
    trace = shell.trace_script("\n".join(code))
    assert isinstance(trace, Trace)
    for begin, end in (("idle", "castoff"), ("castoff", "end")):
        calls = trace.between(begin, end)
        assert (calls.forks, calls.execs) == (0, 0), calls.lines


def test_a_readonly_variable_refuses_to_be_docked_and_nothing_is_done(
    sailor: Sailor, gpu: RealDock
) -> None:
    del gpu
    for name in ("bash", "zsh"):  # fish has no such variables
        shell = Shell(name, sailor.home, sailor.user.argv())
        code = "DOCKER_IP=mine; readonly DOCKER_IP; dock gpu; echo $?\n" + shell.show(*VARIABLES)
        result = shell.script(code)
        assert "DOCKER_IP is readonly" in result.stderr
        assert result.stdout.splitlines()[:3] == ["1", "DOCKER_HOST unset", "DOCKER_IP=mine"]


def test_a_variable_that_became_readonly_keeps_the_shell_docked_and_that_is_said(
    sailor: Sailor, gpu: RealDock
) -> None:
    for name in ("bash", "zsh"):  # fish has no such variables
        shell = Shell(name, sailor.home, sailor.user.argv())
        code = f"dock gpu; readonly DOCKER_HOST; castoff; echo $? $SHELLENV_DOCK; {HOSTNAME}"
        result = shell.script(code)
        assert "DOCKER_HOST is readonly" in result.stderr
        assert result.stdout.splitlines() == ["1 gpu", gpu.exec("hostname").strip()]


def test_what_was_declared_but_not_set_stays_declared(sailor: Sailor, gpu: RealDock) -> None:
    del gpu
    shell = Shell("bash", sailor.home, sailor.user.argv())
    code = "declare -x DOCKER_HOST; declare -i DOCKER_TLS; dock gpu; castoff; declare -p DOCKER_HOST DOCKER_TLS"
    assert shell.script(code).ok().splitlines() == [
        "declare -x DOCKER_HOST",
        "declare -i DOCKER_TLS",
    ]


@pytest.mark.shells("fish")
def test_a_local_variable_of_a_function_is_not_taken_for_the_global_one(
    shell: Shell, gpu: RealDock
) -> None:
    del gpu
    code = """
set -gx DOCKER_HOST outer
set -g --path DOCKER_CONTEXT x y
function f
    set -lx DOCKER_HOST inner
    dock gpu
    castoff
end
f
echo $DOCKER_HOST
set --show DOCKER_CONTEXT
"""
    output = shell.script(code).ok()
    assert output.startswith("outer\n")
    assert "a path variable" in output


def test_a_prompt_that_looks_docked_stays_as_it_is(sailor: Sailor, gpu: RealDock) -> None:
    del gpu
    for name in ("bash", "zsh"):
        shell = Shell(name, sailor.home, sailor.user.argv())
        code = "PS1='[dock:gpu] mine> '; dock gpu; castoff; echo \"$PS1\""
        assert shell.script(code).ok() == "[dock:gpu] mine> \n"


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_source_dock_works_without_the_hook(sailor: Sailor, gpu: RealDock, name: str) -> None:
    shell = Shell(name, sailor.home, sailor.user.argv())
    code = ["set -- some arguments", "source dock gpu", HOSTNAME, "source castoff", 'echo "$*"']
    result = shell.script("\n".join([*code, shell.show(*VARIABLES)]), hook=False)
    assert result.status == 0, result
    assert result.stdout.splitlines() == [
        gpu.exec("hostname").strip(),
        "some arguments",
        *(f"{variable} unset" for variable in VARIABLES),
    ]


def test_dock_as_a_program_says_that_it_acts_on_shells(sailor: Sailor) -> None:
    for words in (["dock", "gpu"], ["castoff"], ["shellenv", "dock", "gpu"]):
        result = sailor.user.run(*words)
        assert result.status == 1
        assert "acts on the shell it is typed in" in result.stderr


@pytest.mark.parametrize("words", ["", "''", "--wrong", "gpu lab"])
def test_wrong_usage_says_how_and_changes_nothing(shell: Shell, words: str) -> None:
    result = shell.script(f"dock {words}\nbuiltin echo {shell.status}\n{shell.show(*VARIABLES)}")
    assert result.stdout.splitlines() == ["2", *(f"{name} unset" for name in VARIABLES)]
    assert len(result.stderr.splitlines()) == 2


def test_the_prompt_can_be_kept(shell: Shell, gpu: RealDock) -> None:
    del gpu
    with shell.interactive(before=shell.set("SHELLENV_DISABLE_PROMPT", "1")) as session:
        before = session.prompt
        session.run("dock gpu")
        assert session.prompt == before


def test_the_markers_of_the_project_and_the_dock_stand_in_one_order_whichever_came_first(
    shell: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    del gpu
    a, b = shell.cd(layered(sailor, "a")), shell.cd(layered(sailor, "b"))
    with shell.interactive() as session:
        plain = session.prompt
        for command, markers in (
            *(("dock gpu", "[dock:gpu] "), (a, "(a) [dock:gpu] "), (b, "(b) [dock:gpu] ")),
            *(("cd", "[dock:gpu] "), (b, "(b) [dock:gpu] "), ("castoff", "(b) ")),
            *(("dock gpu", "(b) [dock:gpu] "), ("dock gpu", "(b) [dock:gpu] ")),
            *((a, "(a) [dock:gpu] "), ("cd", "[dock:gpu] "), ("castoff", "")),
        ):
            session.run(command)
            assert session.prompt == markers + plain, command


@pytest.mark.shells("bash", "zsh")
def test_what_was_put_in_front_of_the_markers_stays_there_when_they_come_and_go(
    shell: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    del gpu
    with shell.interactive() as session:
        plain = session.prompt
        for command, prompt in (
            (shell.cd(layered(sailor, "a")), f"(a) {plain}"),
            ('PS1="mine $PS1"', f"mine (a) {plain}"),
            ("dock gpu", f"mine (a) [dock:gpu] {plain}"),
            ("cd", f"mine [dock:gpu] {plain}"),
            ("castoff", f"mine {plain}"),
        ):
            session.run(command)
            assert session.prompt == prompt, command


@pytest.mark.shells("zsh")  # bash takes no prompt from the environment, and fish makes its own
def test_a_child_that_inherits_a_marked_prompt_does_not_mark_it_twice(
    shell: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    del gpu
    script = write(
        sailor.home.path.parent / "child", f'{shell.hook}\necho "$PS1"; castoff; echo "$PS1"\n'
    )
    code = [
        "PS1='mine> '",
        "export PS1",
        "dock gpu",
        shell.cd(layered(sailor, "a")),
        " ".join(map(shell.quote, shell.argv(script)[len(shell.prefix) :])),
    ]
    assert shell.script("\n".join(code)).ok() == "(a) [dock:gpu] mine> \n(a) mine> \n"


def test_monikers_complete(shell: Shell, sailor: Sailor) -> None:
    sailor.user.run("register-dock", "--offline", "10.0.0.1", "submarine")
    sailor.user.write(".docker/10.0.0.2/connection_config.txt", "DOCK_MONIKER=subway\n")
    before = "autoload -U compinit; compinit -u" if shell.name == "zsh" else ""
    with shell.interactive(before=before) as session:
        session.send("dock subm\t")
        session.child.expect_exact("arine")
        session.send("\x15")
