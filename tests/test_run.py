"""`run-shell`: where it runs and why, what it says, what it refuses. What a command sees there is
in test_conformance.py."""

from __future__ import annotations

import grp
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from dock import SOCKET, Images, engine
from harness import BIN, TIMEOUT, Home, Result, eventually, make_venv, run, which, write
from runs import Environment
from servers import User

from shellenv import attach
from shellenv.engine import Engine
from shellenv.environments import docker
from shellenv.errors import ShellenvError

# --- which environment ----------------------------------------------------------------------------


def test_the_first_line_says_where_and_why(home: Home) -> None:
    root = home.project("api", venv=True)
    done = home.shellenv("run-shell", "--", "echo", "hi", cwd=root)
    venv = home.path / ".venv" / "api"
    assert (done.status, done.stdout) == (0, "hi\n")
    assert done.stderr.splitlines() == [
        f"shellenv: venv: the project has the virtual environment {venv}",
        f". {venv}/bin/activate && env SHELLENV_PROJECT=api SHELLENV_ROOT={root} echo hi",
    ]


@pytest.mark.parametrize(
    ("options", "variable", "reason"),
    [
        (["--env", "venv"], "remote", "--env venv"),
        ([], "venv", "exec_env = venv ($SHELLENV_EXEC_ENV)"),
    ],
)
def test_an_option_and_a_variable_choose(
    home: Home, options: list[str], variable: str, reason: str
) -> None:
    root = home.project("api", venv=True)
    home.env["SHELLENV_EXEC_ENV"] = variable
    done = home.shellenv("run-shell", *options, "--", "true", cwd=root)
    assert (done.status, done.stderr.splitlines()[0]) == (0, f"shellenv: venv: {reason}")


def test_it_runs_from_a_directory_below_the_project(home: Home) -> None:
    root = home.project("api", venv=True)
    below = root / "a" / "b"
    below.mkdir(parents=True)
    done = home.shellenv("run-shell", "--", "sh", "-c", "pwd; echo $VIRTUAL_ENV", cwd=below)
    assert done.stdout.split() == [str(below), str(home.path / ".venv" / "api")]


def last_lines(result: Result, status: int = 1) -> list[str]:
    """What a run that failed said behind the reason for its environment."""
    assert (result.status, result.stdout) == (status, ""), result
    return result.stderr.splitlines()[1:]


def test_where_there_is_nothing_to_run_in_it_says_what_makes_something(home: Home) -> None:
    root = home.project("api")
    done = home.shellenv("run-shell", "--", "true", cwd=root)
    assert done.stderr.splitlines()[0] == (
        "shellenv: nowhere to run: there is neither a virtual environment nor a docker image"
    )
    assert last_lines(done) == [
        "shellenv: api has nothing to run in",
        "setup-venv makes a virtual environment; run-shell --env docker takes a container",
    ]


def test_a_missing_virtual_environment_is_said_with_the_command_that_makes_it(home: Home) -> None:
    done = home.shellenv("run-shell", "--env", "venv", "--", "true", cwd=home.project("api"))
    assert last_lines(done) == [
        "shellenv: api has no virtual environment",
        "setup-venv makes ~/.venv/api",
    ]


def test_remote_says_that_one_must_dock_first(home: Home) -> None:
    done = home.shellenv("run-shell", "--env", "remote", "--", "true", cwd=home.project("api"))
    assert last_lines(done) == [
        "shellenv: this shell is not docked",
        "no dock is known: shellenv register-dock HOST makes one known",
    ]


def test_without_the_docker_program_it_says_so(home: Home, images: Images) -> None:
    del images  # there is an engine
    home.env["PATH"] = str(BIN)
    argv = ["/bin/sh", str(BIN / "shellenv"), "run-shell", "--image", "shellenv-none:x"]
    done = run([*argv, "--", "true"], home.env, home.project("api"))
    assert last_lines(done)[0] == "shellenv: docker is not in PATH"


@pytest.mark.needs("docker")
@pytest.mark.parametrize("kind", ["nothing", "nobody listens", "no docker"])
def test_without_an_engine_it_says_so(home: Home, kind: str) -> None:
    path = home.path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind != "nothing":
            listener.bind(str(path))
        if kind == "no docker":
            listener.listen()
        home.env["DOCKER_HOST"] = f"unix://{path}"
        argv = [str(BIN / "shellenv"), "run-shell", "--env", "docker", "--", "true"]
        with subprocess.Popen(
            argv, env=home.env, cwd=home.project("api"), stderr=subprocess.PIPE, text=True
        ) as child:
            if kind == "no docker":
                with listener.accept()[0] as connection:
                    connection.recv(1 << 16)
                    connection.sendall(b"220 mail.example.org ESMTP\r\n")
            stderr = child.communicate(timeout=TIMEOUT)[1]
    said = {
        "nothing": f"there is no Docker Engine at {path}",
        "nobody listens": f"the Docker Engine at {path} does not run",
        "no docker": "what answers there is no Docker Engine",
    }
    assert child.returncode == 1
    assert stderr.splitlines()[1] == f"shellenv: {said[kind]}"
    assert len(stderr.splitlines()) == 3


@pytest.mark.needs("docker")
@pytest.mark.parametrize("address", ["unix://", "tcp://localhost", "tcp://[::1]:x", "fd://"])
def test_what_is_no_address_of_an_engine_is_said(home: Home, address: str) -> None:
    home.env["DOCKER_HOST"] = address
    done = home.shellenv("run-shell", "--env", "docker", "--", "true", cwd=home.project("api"))
    assert last_lines(done) == [
        f"shellenv: an engine at {address} is not supported",
        "DOCKER_HOST takes unix:///PATH or tcp://HOST:PORT; dock HOST is for other machines",
    ]


def test_an_engine_that_hangs_up_is_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def hang_up() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1)  # what is not read makes it a reset

        thread = threading.Thread(target=hang_up)
        thread.start()
        asked = Engine(f"unix://{tmp_path}/s").hijack("/containers/x/attach", {})
        with pytest.raises(ShellenvError, match="reset by peer"), asked:
            pass
        thread.join()


@pytest.mark.parametrize(
    "arguments",
    [
        *(["true"], ["--"], ["--env", "vm", "--", "true"]),
        *(["-e", word, "--", "true"] for word in ("=x", "1X=3", "a.b=c", "A B")),
    ],
)
def test_wrong_usage_is_said(home: Home, arguments: list[str]) -> None:
    done = home.shellenv("run-shell", *arguments)
    assert done.status == 2
    assert done.stderr.endswith("shellenv run-shell --help shows how\n")


def test_a_command_without_its_dashes_is_shown_with_them(home: Home) -> None:
    done = home.shellenv("run-shell", "-e", "A=1", "pytest", "-k", "a b", "--", "sub")
    assert done.status == 2
    assert "put -- before the command: run-shell -- pytest -k 'a b' -- sub" in done.stderr


def test_print_prints_the_command_line_and_runs_nothing(home: Home) -> None:
    root = home.project("api", venv=True)
    words = ["run-shell", "--print", "-e", "A=b c", "-e", "API_TOKEN=x", "--", "touch", "made"]
    done = home.shellenv(*words, cwd=root)
    assert (done.status, (root / "made").exists()) == (0, False)
    assert " 'A=b c' 'API_TOKEN=***' touch made\n" in done.stdout


def test_what_print_prints_for_a_virtual_environment_does_the_same(home: Home) -> None:
    root = home.project(
        "api", "[shellenv.env]\nA = it's\n[shellenv.path]\nprepend = b\n", venv=True
    )
    code = "echo $A $VIRTUAL_ENV $PATH"
    words = ["run-shell", "-e", "B=*", "--", "sh", "-c", code]
    line = home.shellenv(*words[:1], "--print", *words[1:], cwd=root).stdout
    by_hand = run(["sh", "-c", line], home.env, root)
    assert by_hand.stdout == home.shellenv(*words, cwd=root).stdout


@pytest.mark.needs("docker")
def test_an_image_that_is_not_there_brings_to_mind_one_of_the_project(home: Home) -> None:
    root = home.project("api")
    for name in ("base", "other"):
        write(root / "docker" / name / "Dockerfile", "FROM scratch\n")
    done = home.shellenv("run-shell", "--image", "othr", "--", "true", cwd=root)
    assert last_lines(done)[-2:] == [
        "shellenv: cannot pull othr",
        "did you mean other, the project's docker/other?",
    ]


@pytest.mark.parametrize("options", [[], ["--env", "docker", "--print"]])
@pytest.mark.parametrize("place", ["~", "/", "/usr"])
def test_the_whole_home_is_no_project_nor_is_what_is_the_systems(
    home: Home, place: str, options: list[str]
) -> None:
    cwd = home.path if place == "~" else Path(place)
    done = home.shellenv("run-shell", *options, "--", "true", cwd=cwd)
    assert last_lines(done) == [f"shellenv: {place} is no project", "cd into the project first"]


@pytest.mark.parametrize("options", [[], ["--env", "venv"]])
def test_an_environment_that_was_activated_by_hand_is_the_one_that_is_named(
    home: Home, options: list[str]
) -> None:
    root = home.project("api", venv=True)
    hand = make_venv(home.path / "hand")
    home.env.update(VIRTUAL_ENV=str(hand), PATH=f"{hand}/bin:{home.env['PATH']}")
    words = [*options, "--", "sh", "-c", "echo $VIRTUAL_ENV"]
    done = home.shellenv("run-shell", *words, cwd=root)
    assert done.stdout == f"{hand}\n"
    reason, line = done.stderr.splitlines()
    assert reason.endswith(f"; you have activated {hand}, which wins")
    assert line.startswith(f". {hand}/bin/activate && ")
    status = home.shellenv("status", cwd=root).stdout.splitlines()
    [runs_in] = [line for line in status if line.startswith("runs in")]
    assert runs_in.endswith(f"; you have activated {hand}, which wins")


def test_with_env_venv_one_that_was_activated_by_hand_will_do(home: Home) -> None:
    home.env["VIRTUAL_ENV"] = hand = str(make_venv(home.path / "hand"))
    words = ["run-shell", "-q", "--env", "venv", "--", "sh", "-c", "echo $VIRTUAL_ENV"]
    assert home.shellenv(*words, cwd=home.project("api")).ok() == f"{hand}\n"


def test_options_for_containers_are_said_to_have_no_effect_elsewhere(home: Home) -> None:
    root = home.project("api", venv=True)
    done = home.shellenv(
        "run-shell",
        "--env",
        "venv",
        "-p",
        "81:80",
        "-p",
        "80:80",
        "-v",
        "a:b",
        "-g",
        "--keep",
        "--",
        "true",
        cwd=root,
    )
    assert done.stderr.splitlines()[1:-1] == [
        "shellenv: --gpu has no effect in a virtual environment",
        "shellenv: -v has no effect in a virtual environment",
        "shellenv: --keep has no effect in a virtual environment",
        "shellenv: -p 81:80 has no effect in a virtual environment",  # 80 is 80 anyway
    ]


def test_what_is_not_allowed_is_not_used_and_said(home: Home) -> None:
    root = home.project("api", venv=True)
    file = write(root / "dockerutils.cfg", "[shellenv.env]\nA = 1\n")
    done = home.shellenv("run-shell", "--", "sh", "-c", "echo A=$A", cwd=root)
    assert (done.status, done.stdout) == (0, "A=\n")
    assert f"shellenv: {file} is not allowed and not used" in done.stderr.splitlines()


# --- containers -----------------------------------------------------------------------------------


STOPPER = """import signal
from shellenv import signals
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
signal.raise_signal(signal.SIGTSTP)
assert signals.stop()
print("went on")
"""


def test_a_stop_that_is_asked_for_twice_needs_one_fg() -> None:
    child = pexpect.spawn("bash --norc -i", encoding="utf-8", timeout=TIMEOUT)
    child.sendline(f"'{sys.executable}' -c '{STOPPER}'")
    child.expect_exact("Stopped")
    child.sendline("fg")
    child.expect(["\nwent on", "Stopped"])
    assert child.after == "\nwent on"
    child.close(force=True)


HASTY = """import os, signal
from shellenv import supervisor
class Hasty(supervisor._Supervisor):
    def _stopped(self):
        found = super()._stopped()
        if found:
            os.killpg(0, signal.SIGCONT)
        return found
Hasty(["sh", "-c", "kill -s STOP $$; :"], os.environ).run()
"""


HASTIER = """import os, signal
from shellenv import supervisor
really = signal.raise_signal
def raise_signal(number):
    os.killpg(0, signal.SIGCONT)
    really(number)
signal.raise_signal = raise_signal
supervisor.supervise(["sh", "-c", "kill -s STOP $$; :"], os.environ)
"""


HASTIEST = """import os, signal
from shellenv import supervisor
class Hastiest(supervisor.Signals):
    def take(self):
        for number, sent in super().take():
            if number == signal.SIGTSTP:
                os.killpg(0, signal.SIGCONT)
            yield number, sent
supervisor.Signals = Hastiest
supervisor.supervise(["sh", "-c", "kill -s TSTP $PPID; sleep 1"], os.environ)
"""


@pytest.mark.parametrize("code", [HASTY, HASTIER, HASTIEST], ids=["hasty", "hastier", "hastiest"])
def test_a_shell_that_continues_us_before_we_have_stopped_needs_no_second_fg(code: str) -> None:
    child = pexpect.spawn("bash --norc -i", encoding="utf-8", timeout=TIMEOUT)
    child.sendline(f"'{sys.executable}' -c '{code}'; echo status=$?.")
    child.expect([r"status=0\.", r"status=\d+\."])
    assert child.after == "status=0."
    child.close(force=True)


@pytest.fixture(scope="module")
def container(somebody: User, images: Images) -> Iterator[Environment]:
    environment = Environment("docker", somebody, images)
    yield environment
    environment.remove()


@pytest.fixture
def project(container: Environment) -> Iterator[Environment]:
    """The project of `container`, without what a test before has put there."""
    yield container
    for path in container.root.iterdir():
        if path.name not in ("sub", ".git"):
            subprocess.run(["rm", "-rf", path], check=True)
    personal(container, "").unlink()


def personal(environment: Environment, text: str) -> Path:
    """Write the user's own settings for the project."""
    path = write(environment.home / ".config" / "shellenv" / "projects" / "api.cfg", text)
    environment.user.own(path.parent)
    return path


def said(environment: Environment, *options: str) -> str:
    """All that a run of `true` says on stderr; it must succeed."""
    with environment.start("true", options=options) as child:
        stderr = child.communicate(timeout=TIMEOUT)[1].decode()
    assert child.returncode == 0, stderr
    return stderr


def test_an_image_that_is_asked_for_means_a_container(container: Environment) -> None:
    argv = [*container.as_user(), "run-shell", "--image", "shellenv-no-such-image:x", "--", "true"]
    done = run(argv, container.env, container.root)
    assert done.status == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "shellenv: docker: --image shellenv-no-such-image:x"
    assert lines[1] == "docker pull shellenv-no-such-image:x"
    assert lines[-2] == "shellenv: cannot pull shellenv-no-such-image:x"


def test_what_is_installed_is_installed_once_for_the_same_files(project: Environment) -> None:
    write(project.root / "requirements.txt", "-r sub/more.txt\n")
    more = write(project.root / "sub" / "more.txt", "# nothing yet\n")
    try:
        assert "installing requirements.txt, sub/more.txt in " in said(project)
        assert "installing" not in said(project)
        more.write_text("# something else\n")
        assert "installing requirements.txt, sub/more.txt in " in said(project)
        more.write_text("# nothing yet\n")
        assert "installing" not in said(project)
    finally:
        more.unlink()


def test_nothing_is_said_of_what_is_installed_if_only_what_matters_is_to_be(
    project: Environment,
) -> None:
    write(project.root / "requirements.txt", "# quietly\n")
    assert said(project, "-q") == ""


def test_images_of_files_that_are_long_gone_are_removed(project: Environment) -> None:
    def names() -> list[str]:
        label = f"label=shellenv.project={project.root}"
        form = "{{.Repository}}:{{.Tag}}"
        return engine("image", "ls", "-f", label, "--format", form).split()

    def named(*options: str) -> str:
        (name,) = re.findall(r" in (shellenv/api:\w+), once", said(project, *options))
        return str(name)

    mine = f"{project.home.name}-mine:1"
    made = []
    try:
        for number in range(6):
            write(project.root / "requirements.txt", f"# {number}\n")
            made.append(named())
            if number == 0:
                engine("tag", made[0], mine)
        assert [name for name in made if name in names()] == [made[0], *made[-3:]]
        assert mine in names()
        assert made[-1] == named("--recreate")
        assert "<none>:<none>" not in names()
    finally:
        engine("image", "rm", mine)


def test_an_image_is_made_anew_when_that_is_asked_for(project: Environment) -> None:
    personal(project, "[shellenv.run]\nsetup = cat /proc/sys/kernel/random/uuid >/made\n")
    said(project)
    first = project.ok("cat", "/made")
    text = said(project, "--recreate")
    assert "shellenv: making" in text
    assert "shellenv: making the project importable in" in text
    assert project.ok("cat", "/made") != first


def test_where_an_image_lacks_something_it_says_what_to_do(project: Environment) -> None:
    write(project.root / "requirements.txt", "./no-such-thing\n")
    with project.start("true") as child:
        said = child.communicate(timeout=TIMEOUT)[1].decode().splitlines()
    assert child.returncode == 1
    assert said[-2] == "shellenv: installing requirements.txt failed (status 1)"
    assert said[-1].startswith("it says above why; [shellenv.run] setup adds to an image")


def test_an_installed_project_is_the_one_that_is_edited(project: Environment) -> None:
    write(
        project.root / "setup.py",
        "from setuptools import setup\n"
        "setup(name='thing', py_modules=['thing'], entry_points={'console_scripts': "
        "['thing-say = thing:say']})\n",
    )
    module = write(project.root / "thing.py", "def say(): print('first')\n")
    project.user.own(project.root)
    said(project)
    assert project.ok("thing-say", cwd="sub") == b"first\n"
    module.write_text("def say(): print('second')\n")
    assert project.ok("thing-say", cwd="sub") == b"second\n"
    owners = {path.stat().st_uid for path in project.root.rglob("*")}
    assert owners <= {project.user.uid, 0}
    left = project.root / "thing.egg-info"
    assert left.stat().st_uid == project.user.uid
    shutil.rmtree(left)
    said(project, "--recreate")
    assert left.is_dir()


def test_a_version_that_git_knows_is_known_where_there_is_no_git(project: Environment) -> None:
    variable = "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_TAGGED"  # which setuptools-scm goes by
    code = f"import os; from setuptools import setup\nsetup(\nversion=os.environ['{variable}'],\n"
    write(project.root / "setup.py", f"# setuptools_scm\n{code}name='tagged')\n")
    project.user.own(project.root)
    who = [word for key in ("name", "email") for word in ("-c", f"user.{key}=me")]
    for words in (["init"], ["commit", "--allow-empty", "-m", "x"], ["tag", "v3.1"]):
        done = run([*project.as_user(), "git", *who, *words], project.env, project.root)
        assert done.status == 0, done
    said(project)
    code = "from importlib.metadata import version; print(version('tagged'))"
    assert project.ok("python3", "-c", code) == b"3.1\n"


def test_a_lock_file_is_for_the_tool_that_owns_it(project: Environment) -> None:
    write(
        project.root / "pyproject.toml",
        '[project]\nname = "locked"\nversion = "1"\nrequires-python = ">=3.10"\n',
    )
    write(project.root / "locked.py", "print('found')\n")
    lock = [str(BIN / "uv"), "lock", "--offline", "--no-cache", "-q"]
    assert run(lock, {**os.environ, **project.env}, project.root).status == 0
    project.user.own(project.root)
    assert "installing pyproject.toml, uv.lock in " in said(project)
    assert project.ok("python3", "-c", "import locked", cwd="sub") == b"found\n"


def test_what_cannot_be_installed_is_said_and_tried_again(project: Environment) -> None:
    write(project.root / "requirements.txt", "./no-such-directory\n")
    for _ in range(2):
        with project.start("true") as child:
            stderr = child.communicate(timeout=TIMEOUT)[1].decode()
        assert child.returncode == 1
        assert "no-such-directory" in stderr
        assert re.search(r"^shellenv: installing requirements.txt failed", stderr, re.M)
    assert not project.containers()


def test_setup_runs_once_as_root_and_again_when_it_changes(project: Environment) -> None:
    text = "[shellenv.run]\nsetup = echo made by $(id -u) >/made{0}\n    test ! -w .\n"
    personal(project, text.format(1))
    assert "making" in said(project)
    assert project.ok("cat", "/made1") == b"made by 0\n"
    assert "making" not in said(project)
    personal(project, text.format(2))
    assert "making" in said(project)
    assert project.run("cat", "/made1").status == 1


def test_a_login_shell_has_the_path_of_the_run(project: Environment) -> None:
    write(project.root / "dockerutils.cfg", "[shellenv.path]\nprepend = bin\n")
    project.shell_command("shellenv allow")
    path = project.ok("sh", "-c", "echo $PATH")
    assert project.ok("bash", "-lc", "echo $PATH") == path
    assert path.startswith(b"%s/bin:/opt/shellenv/venv/bin:" % os.fsencode(project.root))


def test_the_project_may_be_elsewhere_in_the_container(project: Environment) -> None:
    personal(project, "[shellenv.run]\ncontainer_dir = /inside/it\n[shellenv.path]\nprepend = b\n")
    code = "pwd; echo ${PATH%%:*} $SHELLENV_ROOT"
    said(project)
    found = project.ok("sh", "-c", code, cwd="sub/dir").decode().split()
    assert found == ["/inside/it/sub/dir", "/inside/it/b", "/inside/it"]


def test_volumes_come_from_the_settings_and_the_options(project: Environment) -> None:
    data = project.home / "data dir"
    write(data / "file", "data")
    personal(
        project,
        "[shellenv.run]\nvolumes = ~/data dir:/one:ro, {project_root}/sub:/two\n"
        "    $HOME/data dir:/three:ro\n",
    )
    options = ["-v", "./dir:/four"]
    code = "cat /one/file /three/file; ls /two; touch /four/made; ! touch /one/x 2>/dev/null"
    found = project.ok("sh", "-c", code, cwd="sub", options=options)
    assert found == b"datadatadir\n"
    assert (project.root / "sub" / "dir" / "made").exists()


def test_ports_are_published_and_networks_joined(project: Environment) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = (
        "import socket; server = socket.create_server(('', 8080)); print('listening', flush=True)\n"
        "server.accept()[0].sendall(b'hello')"
    )
    personal(project, f"[shellenv.run]\nports = 127.0.0.1:{port}:8080\n")
    with project.start("python3", "-c", code) as child:
        assert child.stdout
        assert child.stdout.readline() == b"listening\n"
        with socket.create_connection(("127.0.0.1", port)) as connection:
            assert connection.recv(100) == b"hello"
        child.communicate(timeout=TIMEOUT)
    code = "import os; print(sorted(os.listdir('/sys/class/net')))"
    options = ["--network", "none"]
    personal(project, "")
    assert project.ok("python3", "-c", code, options=options) == b"['lo']\n"


def test_the_windows_size_does_not_depend_on_what_the_client_hears(project: Environment) -> None:
    client = f'#!/bin/sh\nexec setsid -w {which("docker")} "$@"\n'  # no SIGWINCH gets there
    write(project.home / "deaf" / "docker", client).chmod(0o755)
    code = "stty size; until [ $(stty size | tr -d ' ') = 44888 ]; do sleep 0.05; done; echo seen"
    with project.terminal() as terminal:
        terminal.type(f"PATH={project.home}/deaf:$PATH {project.words('sh', '-c', code)}")
        terminal.expect("33 999\r\n")
        terminal.child.setwinsize(44, 888)
        terminal.expect("seen\r\n")
        terminal.wait()


KILLER = """echo begin
until [ "$killed" ]; do
  for process in /proc/[0-9]*; do
    case $(tr '\\0' ' ' <"$process/cmdline") in
      *bash*) ;; *State:*) kill -9 "${process#/proc/}" && killed=yes ;;
    esac
  done
done 2>/dev/null
echo alone
sleep 1000
"""
"""Kills what looks whether it is stopped."""


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--network", "no-such-net"], "docker network create no-such-net makes it"),
        (["-p", "{port}:80"], "something else has port {port}"),
        (["-g"], "-g needs the NVIDIA Container Toolkit"),
    ],
    ids=["network", "port", "gpu"],
)
def test_what_docker_refuses_is_status_1_and_said_with_a_way_out(
    container: Environment, options: list[str], hint: str
) -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        options = [option.format(port=port) for option in options]
        with container.start("true", options=options) as child:
            said = child.communicate(timeout=TIMEOUT)[1].decode().splitlines()
        assert child.returncode == 1
        assert said[-2].startswith("shellenv: the Docker Engine refuses: ")
        assert said[-1].startswith(hint.format(port=port))
        with container.terminal() as terminal:
            terminal.type(container.words("true", options=options))
            terminal.expect("shellenv: the Docker Engine refuses: ")
            terminal.expect(hint.format(port=port))
            terminal.wait()
            assert terminal.status() == 1
    assert not container.containers()


@pytest.mark.parametrize(
    ("own", "inside"), [("xterm-kitty", "xterm-256color"), ("xterm", "xterm"), ("dumb", "dumb")]
)
def test_a_terminal_that_the_image_does_not_know_is_one_that_it_knows(
    container: Environment, own: str, inside: str
) -> None:
    with container.terminal() as terminal:
        terminal.type(f"TERM={own} {container.words('sh', '-c', 'echo it is $TERM.')}")
        terminal.expect(f"it is {inside}.\r\n")
        terminal.wait()


@pytest.mark.parametrize("options", [[], ["-p", "127.0.0.1:{port}:80"]], ids=["run", "start"])
def test_a_terminal_is_as_it_was_however_a_container_comes_to_its_end(
    project: Environment, options: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, project.terminal() as terminal:
        terminal.type("stty -a")
        before = terminal.wait()
        port = taken.getsockname()[1]
        words = [option.format(port=port) for option in options]
        terminal.type(project.words("sh", "-c", "echo begin; sleep 1000", options=words))
        terminal.expect("\nshellenv: the Docker Engine refuses" if options else "\nbegin")
        if not options:
            engine("rm", "-f", *project.containers())
        terminal.wait()
        terminal.type("stty -a")
        assert terminal.wait() == before


def test_a_shell_in_a_container_says_where_it_is_unless_the_prompt_is_to_be_kept(
    project: Environment,
) -> None:
    with project.terminal() as terminal:
        for kept in ("", "SHELLENV_DISABLE_PROMPT=1 ", "DOCKERUTILS_DISABLE_PROMPT=1 "):
            terminal.type(f"{kept}run-shell --env docker")
            terminal.expect("\r\ndocker run ")
            terminal.type('echo "<$SHELLENV_MARKER>"')
            terminal.expect("<>\r" if kept else "<(api@docker) >\r")
            terminal.type("exit")
            terminal.wait()


def test_ctrl_z_stops_what_has_killed_all_around_it(project: Environment) -> None:
    with project.terminal() as terminal:
        terminal.type(project.words("bash", "-c", KILLER))
        terminal.expect("\r\nalone")
        terminal.stop()
        terminal.type("fg")
        terminal.expect("bash -c")
        terminal.press("c")
        terminal.wait()


def test_a_signal_that_comes_before_the_command_reaches_it(
    container: Environment, images: Images
) -> None:
    """A process that has no child yet is an init that has not come to it."""
    name = f"{container.home.name}-early"
    code = "echo ready; read line; setsid -w sh -c 'echo begin; exec sleep 1000'; echo $?"
    argv = ["docker", "run", "-i", "--rm", "--name", name, images.base, "sh", "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        attach.signal_group(Engine(f"unix://{SOCKET}"), f"/containers/{name}", signal.SIGTERM)
        eventually(lambda: "kill -s" in engine("top", name))
        child.stdin.write(b"\n")
        child.stdin.close()
        assert child.stdout.read().endswith(b"143\n")


def test_a_container_that_is_kept_stays(project: Environment) -> None:
    done = project.run("sh", "-c", "exit 3", options=["--keep"])
    assert done.status == 3
    (name,) = re.findall(rb"docker rm -f (\S+)", done.stderr)
    assert project.run("true").status == 0  # which cleans up
    assert name.decode() in project.containers()
    engine("rm", name.decode())


def test_the_printed_command_line_does_the_same_by_hand(project: Environment) -> None:
    argv = [*project.as_user(), "run-shell", "--env", "docker"]
    words = ["-e", "A=it's", "--", "sh", "-c", "pwd; id; echo $A; umask"]
    line = run([*argv, "--print", *words], project.env, project.root).stdout
    by_hand = run([*project.as_user(), "sh", "-c", line], project.env, project.root)
    assert by_hand.stdout == run([*argv, *words], project.env, project.root).stdout
    assert by_hand.status == 0


def test_a_project_of_a_group_can_be_written_by_who_is_in_it(project: Environment) -> None:
    user = project.user
    group = grp.getgrnam("docker").gr_gid  # the user's second one
    write(project.root / "setup.py", "from setuptools import setup; setup(name='team')\n")
    os.chown(project.root, 0, group)
    project.root.chmod(0o2775)
    try:
        done = project.run("sh", "-c", "touch made && stat -c %g made")
        assert (done.status, done.stdout) == (0, b"%d\n" % group), done
        assert list(project.root.glob("*.egg-info"))
    finally:
        os.chown(project.root, user.uid, user.gid)
        project.root.chmod(0o755)


def test_print_makes_nothing_and_says_so(project: Environment) -> None:
    write(project.root / "requirements.txt", "# not installed by --print\n")
    argv = [*project.as_user(), "run-shell", "--env", "docker", "--print", "--", "true"]
    label = f"label=shellenv.project={project.root}"
    before = set(engine("image", "ls", "-qf", label).split())
    done = run(argv, project.env, project.root)
    assert done.status == 0
    assert "is not there yet, so this line does not work by hand" in done.stderr
    assert set(engine("image", "ls", "-qf", label).split()) == before
    said(project)
    assert "not there yet" not in run(argv, project.env, project.root).stderr


def test_without_permission_it_says_how_to_get_it(container: Environment) -> None:
    outside = ["setpriv", f"--reuid={container.user.uid}", f"--regid={container.user.gid}"]
    argv = [*outside, "--clear-groups", "--", "run-shell", "--env", "docker", "--", "true"]
    done = run(argv, container.env, container.root)
    assert last_lines(done) == [
        "shellenv: you may not use the Docker Engine at /var/run/docker.sock",
        "sudo usermod -aG docker $USER, then log in again",
    ]


def test_a_directory_in_docker_is_built_and_used(project: Environment, images: Images) -> None:
    write(
        project.root / "docker" / "tools" / "Dockerfile",
        f'FROM {images.base}\nCOPY docker/tools/word /word\nENTRYPOINT ["false"]\n',
    )
    word = write(project.root / "docker" / "tools" / "word", "first\n")
    assert "docker build --tag api-tools:" in said(project)
    assert project.ok("cat", "/word") == b"first\n"
    word.write_text("second\n")
    stderr = said(project)
    assert "docker build" in stderr
    assert ", once: docker/tools is the project's only image\n" in stderr
    assert project.ok("cat", "/word") == b"second\n"
    assert "docker build" not in said(project, "--image", "tools")
    engine("rmi", f"api-tools:{project.user.name}")


def test_a_devcontainer_names_the_image(project: Environment, images: Images) -> None:
    write(
        project.root / ".devcontainer" / "devcontainer.json",
        f'{{\n// why\n"image": "{images.base}", /* "x" */\n"features": {{}},\n}}\n',
    )
    argv = [*project.as_user(), "run-shell", "--", "true"]
    done = run(argv, project.env, project.root)
    assert done.status == 0
    reason = f"the project has a docker image: {project.root}/.devcontainer"
    assert done.stderr.splitlines()[0] == f"shellenv: docker: {reason}"


def test_another_engine_is_not_taken_for_this_machines(project: Environment) -> None:
    env = {"DOCKER_HOST": "tcp://192.0.2.1:2375", "SHELLENV_DOCK": "gpu", "DOCKER_TLS": "1"}
    for options in ([], ["-p", "127.0.0.1::80"]):  # which docker's own client reads
        done = project.run("true", env=env, options=options)
        assert (done.status, done.stderr) == (0, b""), options


@pytest.mark.parametrize("when", ["setting up", "installing"])
def test_an_interrupt_while_an_image_is_made_leaves_no_container(
    project: Environment, when: str
) -> None:
    if when == "installing":
        write(project.root / "setup.py", f"import time; print({os.getpid()}); time.sleep(1000)\n")
    else:
        personal(project, "[shellenv.run]\nsetup = echo begin; sleep 1000\n")
    with project.start("true") as child:
        assert child.stderr
        for line in child.stderr:
            if line.startswith((b"begin", b"  Running setup.py", b"  Preparing", b"Obtaining")):
                break
        child.terminate()
        child.communicate(timeout=TIMEOUT)
        assert child.returncode == 143
    assert not project.containers()


def test_bg_while_a_run_is_prepared_makes_it_go_on(project: Environment) -> None:
    slow = write(
        project.root / "slow" / "docker", '#!/bin/sh\nsleep 2\nexec /usr/bin/docker "$@"\n'
    )
    slow.chmod(0o755)
    line = project.words("sh", "-c", "echo got $((6 * 7))", options=["-v", "/tmp:/mnt:ro"])
    with project.terminal() as terminal:
        terminal.type(f"PATH={slow.parent}:$PATH {line}")
        terminal.expect("\r\ndocker run ")  # by then docker, which is slow, makes the container
        terminal.stop()
        terminal.type("bg")
        terminal.expect("got 42\r")


def test_ctrl_c_while_a_container_is_made_comes_when_it_can_be_removed() -> None:
    made = []

    def make() -> None:
        with docker._held_back():
            signal.raise_signal(signal.SIGINT)
            made.append("container")

    with pytest.raises(KeyboardInterrupt):
        make()
    assert made
