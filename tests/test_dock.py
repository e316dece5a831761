"""`dock` and `castoff`: real shells of a throw-away user's, docked to real docks."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from dock import Images, RealDock
from harness import TIMEOUT, Home, Result, Session, Shell, Trace, write
from proxies import Proxy
from servers import User, frozen, refusing
from snapshot import change, snapshot

VARIABLES = (
    *("DOCKER_HOST", "DOCKER_IP", "SHELLENV_DOCK", "DOCKER_CONTEXT", "DOCKER_TLS"),
    *("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "__SHELLENV_DOCK_UNDO"),
)
HOSTNAME = "docker info --format '{{.Name}}'"


class Sailor:
    """The throw-away user as somebody who docks: what is known to ssh, and what is left behind."""

    def __init__(self, user: User, home: Home) -> None:
        self.user, self.home = user, home

    @property
    def runtime(self) -> Path:
        return Path(self.home.env["XDG_RUNTIME_DIR"])

    def know(self, dock: RealDock, moniker: str = "gpu", target: str = "") -> None:
        """Register a dock (at `target`, a proxy's) and have its key known."""
        known = self.user.known_hosts
        before = known.read_text() if known.exists() else ""
        host, _, port = (target or dock.target).rpartition(":")
        self.user.write(".ssh/known_hosts", before + dock.known_line(f"[{host}]:{port}"))
        result = self.user.run(
            "register-dock", "--offline", f"{dock.user}@{target or dock.target}", moniker
        )
        assert result.status == 0, result

    def place(self, moniker: str = "gpu") -> Path:
        """The directory of the connection."""
        (found,) = (self.runtime / "shellenv").glob(f"{moniker}-*")
        return found

    def keeper(self, moniker: str = "gpu") -> int:
        return int((self.place(moniker) / "keeper").read_text())

    def await_loss(self) -> None:
        """Wait until the loss of the connection is noticed."""
        eventually(lambda: not (self.place() / "facts").exists(), "the loss is noticed")

    def await_return(self) -> None:
        """Wait until the connection is up again."""
        eventually((self.place() / "facts").exists, "it is back")

    def processes(self) -> list[str]:
        """What runs as this user, but for shells at terminals."""
        done = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-u", self.user.name],
            capture_output=True,
            text=True,
            check=False,
        )
        return [line for line in done.stdout.splitlines() if "control" in line]


@pytest.fixture
def sailor(user: User) -> Iterator[Sailor]:
    user.base.chmod(0o777)  # scripts and what they write down lie beside the home directory
    runtime = user.base / "run"
    shutil.rmtree(runtime, ignore_errors=True)
    runtime.mkdir(mode=0o700)
    user.own(runtime)
    user.env |= {"XDG_RUNTIME_DIR": str(runtime), "LOGNAME": user.name, "SHELL": "/bin/sh"}
    for directory in (".venv", "projects", ".config/fish", ".local/share/fish"):
        (user.home / directory).mkdir(parents=True, exist_ok=True)
    user.own(user.home)
    sailor = Sailor(user, Home(user.home, user.env))
    yield sailor
    eventually(lambda: not sailor.processes(), "the connections of ended shells end")


@pytest.fixture
def shell(request: pytest.FixtureRequest, sailor: Sailor) -> Shell:
    """One of the shells, as the throw-away user."""
    return Shell(request.param, sailor.home, sailor.user.argv())


@pytest.fixture
def bash(sailor: Sailor) -> Shell:
    """For what does not depend on the shell."""
    return Shell("bash", sailor.home, sailor.user.argv())


@pytest.fixture
def gpu(sailor: Sailor, real_dock: RealDock) -> RealDock:
    """A dock that is registered as gpu."""
    sailor.know(real_dock)
    return real_dock


@pytest.fixture
def proxy(sailor: Sailor, real_dock: RealDock) -> Iterator[Proxy]:
    """The way to a dock that is registered as gpu."""
    with Proxy(real_dock.target) as proxy:
        sailor.know(real_dock, target=proxy.target)
        yield proxy


def reaches(session: Session, dock: RealDock) -> bool:
    """Does docker in this session go to that dock?"""
    return session.run(HOSTNAME).strip() == dock.exec("hostname").strip()


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until it is so."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"it never came about that {what}"
        time.sleep(0.05)


def refused(result: Result, *words: str) -> None:
    """It failed with one line that says what and one that says what to do."""
    lines = result.stderr.splitlines()
    assert len(lines) >= 2, result
    failure = [line for line in lines if line.startswith("shellenv: ")][-1]
    for word in words:
        assert word in failure, result


# --- the shell ----------------------------------------------------------------------------------


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


LAYERED = """\
[shellenv.env]
DOCKER_HOST = tcp://project-{0}
DOCKER_TLS_VERIFY = 1
STAGE = {0}
[shellenv.path]
prepend = bin
[shellenv.aliases]
t = true {0}
"""


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


def layered(sailor: Sailor, name: str) -> Path:
    """A project, allowed, that sets what docks set, too."""
    project = sailor.home.projects / name
    write(project / "dockerutils.cfg", LAYERED.format(project.name))
    sailor.user.own(sailor.home.projects)
    assert sailor.user.run("shellenv", "allow", project).status == 0
    return project


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


# --- the connection -----------------------------------------------------------------------------


def test_shells_share_one_connection_until_the_last_is_gone(
    bash: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    del gpu
    with bash.interactive() as one, bash.interactive() as two:
        one.run("dock gpu")
        keeper = sailor.keeper()
        two.run("dock gpu")
        assert sailor.keeper() == keeper
        one.run("castoff")
        time.sleep(3)  # longer than the keeper needs to look
        assert two.run(f"{HOSTNAME} >/dev/null && echo fine").strip() == "fine"
        assert sailor.keeper() == keeper
        two.child.kill(signal.SIGKILL)
        eventually(lambda: not sailor.processes(), "the connection ends")
    assert not {"alive", "facts", "control", "docker.sock"} & set(os.listdir(sailor.place()))


def test_two_shells_that_dock_at_once_get_one_connection(
    bash: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    del gpu
    script = write(
        bash.home.path.parent / "both", f"{bash.hook}\ndock gpu && {HOSTNAME} && sleep 3"
    )
    argv = bash.argv(script)
    children = [
        subprocess.Popen(argv, env=bash.env, cwd=bash.home.path, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    outputs = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0] * 4
    assert len(set(outputs)) == 1
    masters = [line for line in sailor.processes() if "ControlMaster=yes" in line]
    assert len(masters) <= 1


def test_a_connection_that_was_cut_comes_back_by_itself(
    bash: Shell, sailor: Sailor, real_dock: RealDock, proxy: Proxy
) -> None:
    with bash.interactive() as session:
        session.run("dock gpu")
        proxy.refuse()
        proxy.cut()
        sailor.await_loss()
        # Meanwhile docker says what is the matter, and the prompt does not wait
        assert "the connection to gpu is lost" in session.run("docker ps")
        proxy.accept()
        sailor.await_return()
        assert reaches(session, real_dock)


def test_a_network_that_is_gone_without_a_word_is_noticed_and_comes_back(
    bash: Shell, sailor: Sailor, real_dock: RealDock, proxy: Proxy
) -> None:
    with bash.interactive() as session:
        session.run("dock gpu")
        proxy.freeze()
        sailor.await_loss()
        assert session.enter() == ""  # the prompt does not wait
        proxy.thaw()
        sailor.await_return()
        assert reaches(session, real_dock)


def test_unregistering_a_dock_says_what_becomes_of_the_shells_that_are_docked_there(
    shell: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    with shell.interactive() as session:
        session.run("dock gpu")
        said = session.run("unregister-dock gpu --remove-include").splitlines()
        assert said[1] == (
            "shellenv: 1 shell stays docked to gpu until castoff; "
            "a connection that is lost may not come back"
        )
        assert reaches(session, gpu)
        assert session.run("castoff") == ""
    sailor.know(gpu)
    assert (
        len(sailor.user.run("unregister-dock", "gpu", "--remove-include").stderr.splitlines()) == 2
    )


def test_it_comes_back_after_the_machine_was_restarted(
    bash: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    with bash.interactive() as session:
        session.run("dock gpu")
        gpu.restart()
        eventually(
            lambda: session.run(HOSTNAME).strip() == gpu.exec("hostname").strip(), "it is back"
        )
    del sailor


def test_without_its_keeper_the_next_prompt_brings_the_connection_back(
    shell: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    del gpu
    with shell.interactive() as session:
        session.run("dock gpu")
        keeper = sailor.keeper()
        os.kill(keeper, signal.SIGKILL)
        eventually(lambda: not (sailor.place() / "alive").exists(), "its end is noticed")
        session.enter()
        eventually(lambda: sailor.keeper() != keeper, "somebody keeps it again")
        sailor.await_return()
        assert (
            session.run(
                f"{HOSTNAME} >/dev/null; and echo fine"
                if shell.name == "fish"
                else f"{HOSTNAME} >/dev/null && echo fine"
            ).strip()
            == "fine"
        )


def test_a_dock_that_fails_leaves_a_lost_connection_to_those_who_wait_for_it(
    bash: Shell, sailor: Sailor, real_dock: RealDock, proxy: Proxy
) -> None:
    with bash.interactive() as one, bash.interactive() as two:
        one.run("dock gpu")
        proxy.refuse()
        proxy.cut()
        sailor.await_loss()
        assert "refuses connections" in two.run("dock gpu")
        one.enter()
        proxy.accept()
        sailor.await_return()
        assert reaches(one, real_dock)


def test_a_dock_takes_over_from_an_attempt_that_hangs_and_leaves_no_second_master(
    bash: Shell, sailor: Sailor, real_dock: RealDock, proxy: Proxy
) -> None:
    with bash.interactive() as one, bash.interactive() as two:
        one.run("dock gpu")
        proxy.freeze()
        proxy.cut()
        time.sleep(1)  # the keeper is at its next attempt
        two.send("dock gpu\r")
        time.sleep(0.5)
        proxy.thaw()
        two.wait()
        assert reaches(two, real_dock)
        assert reaches(one, real_dock)
        masters = [line for line in sailor.processes() if "ControlMaster=yes" in line]
        assert len(masters) == 1


def test_a_keeper_that_is_killed_while_the_connection_is_away_is_replaced_at_a_prompt(
    bash: Shell, sailor: Sailor, real_dock: RealDock, proxy: Proxy
) -> None:
    with bash.interactive() as session:
        session.run("dock gpu")
        proxy.refuse()
        proxy.cut()
        sailor.await_loss()
        os.kill(sailor.keeper(), signal.SIGKILL)
        eventually(lambda: not (sailor.place() / "alive").exists(), "its end is noticed")
        session.enter()
        eventually((sailor.place() / "alive").exists, "there is another one")
        proxy.accept()
        sailor.await_return()
        assert reaches(session, real_dock)


def test_a_directory_or_socket_that_is_taken_away_comes_back(
    bash: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    with bash.interactive() as session:
        session.run("dock gpu")
        (sailor.place() / "docker.sock").unlink()
        assert session.run("dock gpu") == ""
        assert reaches(session, gpu)
        place = sailor.place()
        shutil.rmtree(place)
        session.enter()
        eventually((place / "facts").exists, "it is back")
        assert reaches(session, gpu)


def test_two_monikers_of_one_machine_are_two_docks(
    bash: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    sailor.know(gpu, "production-server-east")
    sailor.know(gpu, "production-server-west")
    with bash.interactive() as one, bash.interactive() as two:
        one.run("dock production-server-east")
        two.run("dock production-server-west")
        assert one.value("SHELLENV_DOCK") == "production-server-east"
        assert two.value("SHELLENV_DOCK") == "production-server-west"


def test_docker_py_is_a_client_like_any_other(bash: Shell, gpu: RealDock) -> None:
    import docker

    with bash.interactive() as session:
        session.run("dock gpu")
        client = docker.DockerClient(base_url=session.value("DOCKER_HOST"))
        assert client.info()["Name"] == gpu.exec("hostname").strip()
        client.close()


@pytest.mark.needs("docker-compose")
def test_docker_compose_is_a_client_like_any_other(
    bash: Shell, gpu: RealDock, images: Images
) -> None:
    gpu.load(images.base)
    file = f"version: '3'\nservices:\n  one:\n    image: {images.base}\n    command: cat /etc/hostname\n"
    write(bash.home.path / "compose" / "docker-compose.yml", file)
    code = (
        "dock gpu; cd compose; docker-compose up --no-color >/dev/null 2>&1; docker-compose ps -q"
    )
    (container,) = bash.script(code).ok().split()
    assert gpu.docker("inspect", "-f", "{{.State.ExitCode}}", container) == "0\n"


def test_a_key_that_only_an_agent_has_is_enough(bash: Shell, sailor: Sailor, gpu: RealDock) -> None:
    key = sailor.user.home / ".ssh/id_ed25519"
    argv = sailor.user.argv(
        "ssh-agent", "sh", "-c", "ssh-add -q .ssh/id_ed25519; echo $SSH_AUTH_SOCK; cat"
    )
    with subprocess.Popen(
        argv,
        env=bash.env,
        cwd=sailor.user.home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as agent:
        assert agent.stdout
        bash.env["SSH_AUTH_SOCK"] = agent.stdout.readline().strip()
        key.unlink()
        assert bash.script(f"dock gpu && {HOSTNAME}").ok().strip() == gpu.exec("hostname").strip()
        agent.communicate("")


def test_a_dock_behind_another_is_reached_by_its_jump(
    bash: Shell, sailor: Sailor, gpu: RealDock, other_dock: RealDock
) -> None:
    host, _, port = other_dock.inner_target.rpartition(":")
    name = host if port == "22" else f"[{host}]:{port}"
    known = sailor.user.known_hosts.read_text() + other_dock.known_line(name)
    sailor.user.write(".ssh/known_hosts", known)
    block = f"Host {host}\n  ProxyJump gpu\n  User {other_dock.user}\n  Port {port}\n"
    sailor.user.write(".ssh/config", sailor.user.ssh_config.read_text() + block)
    with bash.interactive() as session:
        assert session.run(f"dock {host}") == ""
        assert reaches(session, other_dock)
    del gpu


def test_a_dock_that_forbids_forwarding_is_used_by_ssh_and_that_is_said(
    bash: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    gpu.forbid_forwarding()
    with bash.interactive() as session:
        assert "ssh://" in session.run("dock gpu")
        assert session.value("DOCKER_HOST") == "ssh://gpu"
        assert reaches(session, gpu)
    del sailor


def test_a_dock_that_only_ssh_can_use_must_be_registered(
    bash: Shell, sailor: Sailor, real_dock: RealDock
) -> None:
    sailor.user.write(".ssh/known_hosts", real_dock.known_line())
    real_dock.forbid_forwarding()
    target = f"{real_dock.user}@{real_dock.target}"
    result = fails(bash, target, "would not verify its host key")
    assert "register-dock" in result.stderr


@pytest.mark.parametrize("named", ["unix:///nowhere.sock", "tcp://127.0.0.1:2375"])
def test_a_socket_that_the_dock_names_is_used_or_none(
    bash: Shell, gpu: RealDock, named: str
) -> None:
    gpu.set_sshd(f"SetEnv DOCKER_HOST={named}")
    fails(bash, "gpu", "docker")


@pytest.mark.parametrize(
    "greeting", ["printf welcome", "echo 'shellenv-end 0'", "yes | head -c 3000000; echo"]
)
def test_what_a_login_shell_says_by_itself_does_not_matter(
    bash: Shell, gpu: RealDock, greeting: str
) -> None:
    gpu.exec(
        "sh",
        "-c",
        f"echo {shlex.quote(greeting)} >/home/{gpu.user}/.bashrc.new; "
        f"cat /home/{gpu.user}/.bashrc >>/home/{gpu.user}/.bashrc.new 2>/dev/null; "
        f"mv /home/{gpu.user}/.bashrc.new /home/{gpu.user}/.bashrc",
    )
    code = f"dock gpu && {HOSTNAME}"
    assert bash.script(code).ok().strip() == gpu.exec("hostname").strip()


@pytest.mark.parametrize("told_by", ["environment", "context"])
def test_where_the_socket_is_the_dock_itself_says(bash: Shell, gpu: RealDock, told_by: str) -> None:
    gpu.move_socket("/srv/rootless/docker.sock", told_by)
    with bash.interactive() as session:
        assert session.run("dock gpu") == ""
        assert reaches(session, gpu)


def test_dockerutils_docks_and_bare_addresses_can_be_docked_to(
    bash: Shell, sailor: Sailor, real_dock: RealDock
) -> None:
    sailor.user.write(".ssh/known_hosts", real_dock.known_line())
    config = f"DOCK_USER={real_dock.user}\nDOCK_MONIKER=old\nDOCK_IP={real_dock.address}\n"
    sailor.user.write(f".docker/{real_dock.address}/connection_config.txt", config)
    block = f"Host {real_dock.address}\n  Port {real_dock.port}\n"
    sailor.user.write(".ssh/config", block)
    with bash.interactive() as session:
        assert session.run("dock old") == ""
        assert session.prompt.startswith("[dock:old] ")
        assert session.run(f"dock {real_dock.user}@{real_dock.target}") == ""
        assert reaches(session, real_dock)
        assert session.run(f"DOCK_USER={real_dock.user} dock {real_dock.target}") == ""


# --- what may go wrong --------------------------------------------------------------------------


@contextmanager
def unchanged(shell: Shell) -> Iterator[list[str]]:
    """Commands of which none may change anything in a shell."""
    commands: list[str] = []
    yield commands
    old = [shell.set("DOCKER_HOST", "tcp://old"), shell.set("DOCKER_CONTEXT", "old")]
    code = [*old, "castoff 2>/dev/null", snapshot(shell, "before"), *commands]
    result = shell.script("\n".join([*code, snapshot(shell, "after"), "true"]))
    commands[:] = [result.stdout, result.stderr]
    assert change(shell) == {}


def fails(shell: Shell, host: str, *words: str) -> Result:
    """`dock HOST` fails for a reason said in one line, and the shell is exactly as before."""
    with unchanged(shell) as commands:
        commands += [f"dock {shell.quote(host)}", f"builtin echo {shell.status}"]
    result = Result(0, *commands)
    assert result.stdout == "1\n", result
    refused(result, *words)
    return result


def test_a_name_that_cannot_be_found(shell: Shell) -> None:
    fails(shell, "nowhere.invalid", "nowhere.invalid", "not a name that can be found")


def test_a_machine_that_refuses(shell: Shell) -> None:
    with refusing() as target:
        fails(shell, target, "refuses connections")


def test_a_machine_that_never_answers(shell: Shell, sailor: Sailor) -> None:
    sailor.user.patience(1)
    with frozen() as target:
        fails(shell, target, "did not answer within 1 s")


def test_a_key_that_is_not_known_is_refused_with_the_command_that_accepts_it(
    shell: Shell, sailor: Sailor, real_dock: RealDock
) -> None:
    target = f"{real_dock.user}@{real_dock.target}"
    result = fails(shell, target, "host key", "not known")
    command = result.stderr.splitlines()[-1].partition(": ")[2]
    assert real_dock.fingerprint() in command
    assert sailor.user.run("sh", "-c", command).status == 0
    assert shell.script(f"dock {shell.quote(target)}").ok() == ""


def test_an_ssh_configuration_that_forgets_keys_is_named(
    bash: Shell, sailor: Sailor, real_dock: RealDock
) -> None:
    sailor.user.write(".ssh/config", "UserKnownHostsFile /dev/null\nStrictHostKeyChecking no\n")
    result = fails(bash, f"{real_dock.user}@{real_dock.target}", "forgets the host keys")
    assert "UserKnownHostsFile" in result.stderr


def test_a_key_that_has_changed_is_refused_loudly(
    shell: Shell, sailor: Sailor, gpu: RealDock, other_dock: RealDock
) -> None:
    line = other_dock.known_line(f"[{gpu.address}]:{gpu.port}")
    sailor.user.write(".ssh/known_hosts", line)
    result = fails(shell, "gpu", "HAS CHANGED")
    assert "ssh-keygen" in result.stderr


def test_a_user_whom_the_dock_does_not_let_in(shell: Shell, gpu: RealDock) -> None:
    fails(shell, f"nobody@{gpu.target}", "authentication failed")


def test_a_machine_without_docker(shell: Shell, gpu: RealDock) -> None:
    gpu.without_docker()
    fails(shell, "gpu", "no docker at gpu")


def test_a_daemon_that_is_down(shell: Shell, gpu: RealDock) -> None:
    gpu.stop_engine()
    fails(shell, "gpu", "the docker daemon at gpu does not run")


def test_a_user_who_is_not_in_the_group_docker(shell: Shell, gpu: RealDock) -> None:
    gpu.leave_group()
    fails(shell, "gpu", "may not use docker")


def test_a_docker_that_is_too_old(shell: Shell, gpu: RealDock) -> None:
    gpu.old_api("1.21")
    fails(shell, "gpu", "speaks API 1.21")


def test_a_path_that_is_too_long_for_a_socket(shell: Shell, sailor: Sailor, gpu: RealDock) -> None:
    del gpu
    long = sailor.runtime / ("x" * 80)
    long.mkdir()
    sailor.user.own(long)
    sailor.home.env["XDG_RUNTIME_DIR"] = str(long)
    fails(shell, "gpu", "too long")


def test_no_ssh_in_path(shell: Shell, sailor: Sailor, gpu: RealDock) -> None:
    del gpu
    programs = sailor.user.base / "few"
    programs.mkdir(exist_ok=True)
    for name in ("sh", "readlink", "cat"):
        (programs / name).unlink(missing_ok=True)
        (programs / name).symlink_to(shutil.which(name) or name)
    sailor.home.env["PATH"] = f"{sailor.user.base / 'bin'}:{programs}"
    fails(shell, "gpu", "ssh is not in PATH")


def test_a_full_disk(shell: Shell, sailor: Sailor, gpu: RealDock) -> None:
    del gpu
    full = sailor.runtime / "full"
    full.mkdir()
    options = f"size=4k,nr_inodes=3,uid={sailor.user.uid},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", full], check=True)
    try:
        sailor.home.env["XDG_RUNTIME_DIR"] = str(full)
        fails(shell, "gpu", "No space left on device")
    finally:
        subprocess.run(["umount", full], check=True)


def test_at_a_terminal_an_unknown_key_is_shown_and_the_person_decides(
    shell: Shell, sailor: Sailor, real_dock: RealDock
) -> None:
    target = f"{real_dock.user}@{real_dock.target}"
    with shell.interactive() as session:
        for answer, status in (("n", "1"), ("y", "0")):
            session.send(f"dock {target}\r")
            session.child.expect_exact(real_dock.fingerprint())
            session.child.expect_exact("[y/N]")
            session.send(f"{answer}\r")
            session.wait()
            assert session.run(f"builtin echo {shell.status}").strip() == status
        assert reaches(session, real_dock)
    assert sailor.user.known_hosts.exists()


def test_at_a_terminal_a_passphrase_is_asked_for(
    shell: Shell, sailor: Sailor, gpu: RealDock
) -> None:
    key = sailor.user.home / ".ssh/id_ed25519"
    subprocess.run(["ssh-keygen", "-qp", "-P", "", "-N", "secret", "-f", key], check=True)
    sailor.user.own(key)
    with shell.interactive() as session:
        session.send("dock gpu\r")
        session.child.expect_exact("Enter passphrase for key")
        session.send("secret\r")
        session.wait()
        assert reaches(session, gpu)


def test_ctrl_c_while_connecting_leaves_the_shell_as_it_was_and_no_process(
    shell: Shell, sailor: Sailor
) -> None:
    with frozen() as target, shell.interactive() as session:
        session.run("castoff")
        session.run(snapshot(shell, "before"))
        session.send(f"dock {target}\r")
        eventually(lambda: sailor.processes(), "ssh is there")
        session.interrupt()
        eventually(lambda: not sailor.processes(), "ssh is gone")
        session.run(snapshot(shell, "after"))
    assert change(shell) == {}


@pytest.mark.shells(
    "bash", "zsh"
)  # fish repaints its prompt when it likes; what it left is not seen
def test_ctrl_c_at_any_moment_docks_or_does_not(shell: Shell, gpu: RealDock) -> None:
    del gpu
    chance = random.Random(7)
    old = shell.set("DOCKER_HOST", "tcp://old")
    with shell.interactive() as other, shell.interactive(before=old) as session:
        other.run("dock gpu")  # so the connection is there, and each dock is quick
        session.run("dock gpu")
        session.run("castoff")
        for _ in range(12):
            session.send("dock gpu\r")
            time.sleep(chance.uniform(0, 0.12))
            session.send("\x03")
            try:
                while True:
                    session.wait(timeout=1)
            except pexpect.TIMEOUT:
                session.drain()
            session.run("true")  # what fish paints after an interrupt is painted
            docked = session.value("SHELLENV_DOCK") == "gpu"
            assert docked == session.prompt.startswith("[dock:gpu] ")
            assert docked == (session.value("DOCKER_HOST") != "tcp://old")
            if docked:
                session.run("castoff")
            assert session.value("DOCKER_HOST") == "tcp://old"
