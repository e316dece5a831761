"""Ports and volumes of runs at a dock, which is another machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from dock import Images, RealDock
from harness import TIMEOUT, write
from runs import Environment
from servers import User

from shellenv.ports import Port, published


@pytest.mark.parametrize(
    ("option", "ports"),
    [
        ("8000:80", [Port("", 8000, 80)]),
        ("0.0.0.0:8000:80/tcp", [Port("", 8000, 80)]),
        ("[::]:8000:80", [Port("", 8000, 80)]),
        ("10.0.0.1:8000:80", [Port("10.0.0.1", 8000, 80)]),
        ("[::1]:8000:80", [Port("::1", 8000, 80)]),
        ("8000-8001:80-81", [Port("", 8000, 80), Port("", 8001, 81)]),
        ("80", []),
        ("10.0.0.1::80", []),
        ("8000-8009:80", []),
        ("53:53/udp", []),
        ("what:80", []),
    ],
)
def test_a_port_is_read_as_docker_does(option: str, ports: list[Port]) -> None:
    assert published(option) == ports


@pytest.fixture
def environment(user: User, images: Images, real_dock: RealDock) -> Iterator[Environment]:
    environment = Environment("remote", user, images, real_dock)
    yield environment
    environment.remove()


@pytest.mark.needs("setpriv", "docker")
def test_a_port_that_cannot_be_brought_here_is_said_and_the_run_goes_on(
    environment: Environment,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ["-p", f"{port}:80", "-p", "81"]
        with environment.start("echo", "ran", options=options) as child:
            stdout, stderr = child.communicate(timeout=TIMEOUT)
        assert (child.returncode, stdout) == (0, b"ran\n")
        said = stderr.decode().splitlines()
        assert f"shellenv: localhost:{port} is not the run's: Address already in use" in said
        dock = environment.env["SHELLENV_DOCK"]
        assert f"shellenv: -p 81 is published at {dock} alone" in said
        with socket.create_connection(("127.0.0.1", port), TIMEOUT):
            taken.accept()[0].close()  # and not ssh


@pytest.mark.needs("setpriv", "docker")
def test_what_was_killed_while_it_made_an_image_is_removed_by_the_next_run_and_no_other(
    environment: Environment,
) -> None:
    with environment.start("sh", "-c", "echo begin; exec sleep 1000") as going:
        assert going.stdout
        assert going.stdout.readline() == b"begin\n"
        going.kill()
    (runs,) = environment.containers()
    personal = environment.home / ".config" / "shellenv" / "projects" / "api.cfg"
    write(personal, "[shellenv.run]\nsetup = echo begin; sleep 1000\n")
    environment.user.own(personal.parent)
    with environment.start("true") as child:
        assert child.stderr
        assert any(line.startswith(b"begin") for line in child.stderr)
        child.kill()
    assert len(environment.containers()) == 2
    personal.unlink()
    environment.run("true")
    assert environment.containers() == [runs]
    environment.engine("rm", "-f", runs)


@pytest.mark.needs("setpriv", "docker")
def test_volumes_are_the_docks_and_those_of_the_project_the_projects_there(
    environment: Environment, real_dock: RealDock
) -> None:
    write(environment.root / "sub" / "dir" / "file", "project ")
    environment.user.own(environment.root)
    real_dock.exec_as_user("sh", "-c", "mkdir data; echo dock >data/file")
    personal = environment.home / ".config" / "shellenv" / "projects" / "api.cfg"
    write(personal, "[shellenv.run]\nvolumes = ~/data:/one:ro, $HOME/data:/two\n")
    environment.user.own(personal.parent)
    code = "cat /four/file /one/file /two/file; touch /two/made; ! touch /one/x 2>/dev/null"
    found = environment.ok("sh", "-c", code, cwd="sub", options=["-v", "./dir:/four"])
    assert found == b"project dock\ndock\n"
    assert real_dock.exec_as_user("ls", "data") == "file\nmade\n"


@pytest.mark.needs("setpriv", "docker")
def test_in_another_directory_at_the_dock_a_project_is_installed_again(
    environment: Environment,
) -> None:
    words = "entry_points={'console_scripts': ['thing-say = thing:say']}"
    code = f"from setuptools import setup\nsetup(name='thing', py_modules=['thing'], {words})\n"
    write(environment.root / "setup.py", code)
    write(environment.root / "thing.py", "def say(): print('well')\n")
    environment.user.own(environment.root)
    environment.run("true")
    assert environment.ok("thing-say") == b"well\n"
    personal = environment.home / ".config" / "shellenv" / "projects" / "api.cfg"
    write(personal, "[shellenv.sync]\nname = api-laptop\n")
    environment.user.own(personal.parent)
    environment.run("true")
    assert environment.ok("thing-say") == b"well\n"


@pytest.mark.needs("setpriv", "docker")
def test_what_an_ignore_file_leaves_out_is_said(environment: Environment) -> None:
    write(environment.root / ".dockerignore", "tests\n")
    write(environment.root / "tests" / "test_a.py", "")
    write(environment.root / "__pycache__" / "a.pyc", "")
    environment.user.own(environment.root)
    with environment.start("ls", "tests") as child:
        stderr = child.communicate(timeout=TIMEOUT)[1].decode()
    assert child.returncode == 2
    said = [line for line in stderr.splitlines() if "left out" in line]
    assert said == ["shellenv: left out: 1 by ~/projects/api/.dockerignore"]


@pytest.mark.needs("setpriv", "docker")
def test_a_volume_that_is_here_and_not_there_is_said(environment: Environment) -> None:
    here = write(environment.home / "data", "")
    with environment.start("true", options=["-v", f"{here}:/data"]) as child:
        stderr = child.communicate(timeout=TIMEOUT)[1].decode()
    assert child.returncode == 1
    assert f"bind source path does not exist: {here}" in stderr
