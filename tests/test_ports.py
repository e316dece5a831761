"""What `-p` publishes, as docker reads it, and what is said where it cannot be brought here from a
dock. That it can be is in test_conformance.py."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator

import pytest
from dock import Images, RealDock
from harness import TIMEOUT
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
    shutil.rmtree(user.base / "remote-run")


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
