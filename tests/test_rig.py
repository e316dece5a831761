"""The docks, the engine and the proxy are what they claim, or tests that use them are worth nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from dock import OWNER, SOCKET, Images, RealDock, engine, remove_leftovers
from harness import TIMEOUT, Result, eventually
from proxies import Proxy
from servers import User, refusing


def know(user: User, dock: RealDock, *names: str) -> None:
    """Let the user's ssh know the dock's host key, under its own address and other names."""
    lines = [dock.known_line(name) for name in (None, *names)]
    user.write(".ssh/known_hosts", "".join(lines))


def ssh(dock: RealDock | Proxy, *options: str) -> list[str]:
    at = ["-p", str(dock.port), f"{RealDock.user}@{dock.address}"]
    return ["ssh", "-o", "BatchMode=yes", *options, *at]


@contextmanager
def forwarding(user: User, dock: RealDock | Proxy) -> Iterator[tuple[Path, Path]]:
    """ssh with the dock's docker socket forwarded: the local socket, and what ssh says."""
    local, said = user.home / "s", user.home / "said"
    argv = ssh(dock, "-N", "-o", "ExitOnForwardFailure=yes", "-L", f"{local}:{SOCKET}")
    with said.open("w") as log:
        process = subprocess.Popen(user.argv(*argv), env=user.env, cwd=user.home, stderr=log)
    try:
        eventually(lambda: local.exists() or process.poll() is not None)
        assert process.poll() is None, said.read_text()
        yield local, said
    finally:
        process.terminate()
        process.wait()
        local.unlink(missing_ok=True)  # what ends by a signal leaves it


def answer(user: User, local: Path) -> Result:
    """What the engine's name is, for a client on this machine."""
    return user.run("docker", "-H", f"unix://{local}", "info", "-f", "{{.Name}}")


# --- docks ------------------------------------------------------------------------------------


def test_ssh_logs_in_to_a_dock_with_the_users_key_and_finds_docker(
    user: User, real_dock: RealDock
) -> None:
    know(user, real_dock)
    version = real_dock.docker("version", "-f", "{{.Server.Version}}")
    command = "id -un; hostname; docker version -f '{{.Server.Version}}'"
    said = user.run(*ssh(real_dock), command).ok()
    assert said == f"ubuntu\n{real_dock.exec('hostname')}{version}"


def test_two_docks_are_two_machines(user: User, real_dock: RealDock, other_dock: RealDock) -> None:
    assert real_dock.fingerprint() != other_dock.fingerprint()
    assert real_dock.address != other_dock.address
    know(user, other_dock)
    assert "REMOTE HOST IDENTIFICATION" not in user.run(*ssh(other_dock), "true").ok()
    ids = {dock.docker("info", "-f", "{{.ID}}") for dock in (real_dock, other_dock)}
    assert len(ids | {engine("info", "-f", "{{.ID}}")}) == 3
    real_dock.docker("volume", "create", "mine")
    assert "mine" not in other_dock.docker("volume", "ls")


def test_the_engine_of_a_dock_runs_the_base_image(real_dock: RealDock, images: Images) -> None:
    real_dock.load(images.base)
    code = "import venv, sys; print(sys.version_info[0])"
    assert real_dock.docker("run", "--rm", images.base, "python3", "-c", code) == "3\n"


def test_the_docker_socket_is_forwarded_to_the_command_and_to_the_library(
    user: User, real_dock: RealDock
) -> None:
    know(user, real_dock)
    name = real_dock.exec("hostname").strip()
    with forwarding(user, real_dock) as (local, _):
        assert answer(user, local).ok() == f"{name}\n"
        client = docker.DockerClient(f"unix://{local}")
        assert client.info()["Name"] == name
        client.close()


def test_a_dock_that_forbids_forwarding_refuses_it_and_still_runs_docker(
    user: User, real_dock: RealDock
) -> None:
    know(user, real_dock)
    real_dock.forbid_forwarding()
    with forwarding(user, real_dock) as (local, said):
        assert answer(user, local).status != 0
        assert "open failed: connect failed" in said.read_text()
    assert "refused streamlocal" in real_dock.exec("cat", "/var/log/sshd.log")
    assert user.run(*ssh(real_dock), "docker ps -q").ok() == ""
    real_dock.reset()
    with forwarding(user, real_dock) as (local, _):
        assert answer(user, local).status == 0


@pytest.mark.parametrize(
    ("told_by", "found"), [("environment", True), ("context", True), (None, False)]
)
def test_a_docker_socket_elsewhere_is_found_by_those_who_ask(
    user: User, real_dock: RealDock, told_by: str | None, found: bool
) -> None:
    know(user, real_dock)
    real_dock.move_socket("/run/user/1000/docker.sock", told_by)
    assert (user.run(*ssh(real_dock), "docker ps -q").status == 0) == found
    assert user.run(*ssh(real_dock), f"test -e {SOCKET}").status == 1
    real_dock.reset()
    assert user.run(*ssh(real_dock), "docker ps -q").ok() == ""


def test_a_dock_fails_as_told(user: User, real_dock: RealDock) -> None:
    know(user, real_dock)

    def complaint() -> str:
        result = user.run(*ssh(real_dock), "docker ps -q")
        assert result.status != 0
        real_dock.reset()
        assert user.run(*ssh(real_dock), "docker ps -q").ok() == ""
        return result.stderr

    real_dock.leave_group()
    assert "permission denied" in complaint()
    real_dock.without_docker()
    assert "command not found" in complaint()
    real_dock.stop_engine()
    assert "Cannot connect to the Docker daemon" in complaint()
    real_dock.old_api("1.11")
    assert "1.11" in complaint()
    real_dock.stop_sshd()
    assert "onnection" in complaint()


def test_the_next_test_finds_nothing_of_the_last(user: User, real_dock: RealDock) -> None:
    know(user, real_dock)
    real_dock.docker("volume", "create", "mine")
    real_dock.docker("network", "create", "mine")
    user.run(*ssh(real_dock), "touch file").ok()
    with forwarding(user, real_dock):
        real_dock.reset()
        left = [
            real_dock.docker(kind, "ls", "-f", "name=mine", "-q") for kind in ("volume", "network")
        ]
        assert [*left, real_dock.exec("ls", "/home/ubuntu")] == ["", "", ""]
        eventually(lambda: not real_dock.exec("sh", "-c", "pgrep -u ubuntu || true"))


def test_a_restarted_dock_is_the_same_machine(
    user: User, real_dock: RealDock, images: Images
) -> None:
    know(user, real_dock)
    real_dock.load(images.base)
    real_dock.restart()
    command = f"docker image inspect -f '{{{{.Id}}}}' {images.base}"
    assert user.run(*ssh(real_dock), command).ok().startswith("sha256:")


def test_a_frozen_dock_answers_once_it_is_thawed(user: User, real_dock: RealDock) -> None:
    know(user, real_dock)
    with forwarding(user, real_dock) as (local, _), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(local))
        real_dock.freeze()
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        assert silent(connection)
        real_dock.thaw()
        assert connection.recv(100).startswith(b"HTTP/1.0 200 OK")


def test_freezing_a_dock_freezes_its_containers(real_dock: RealDock, images: Images) -> None:
    real_dock.load(images.base)
    code = "import time\nwhile True: print(time.monotonic(), flush=True); time.sleep(0.02)"
    container = real_dock.docker("run", "-d", images.base, "python3", "-c", code).strip()

    def beats() -> list[float]:
        return [float(word) for word in real_dock.docker("logs", container).split()]

    eventually(lambda: len(beats()) > 2)
    real_dock.freeze()
    start = time.monotonic()
    time.sleep(0.5)
    stop = time.monotonic()  # the clock of all containers here
    real_dock.thaw()
    eventually(lambda: beats()[-1] > stop)
    assert not [beat for beat in beats() if start < beat < stop]


def test_a_dock_is_reached_through_another(
    user: User, real_dock: RealDock, other_dock: RealDock
) -> None:
    host, _, port = real_dock.inner_target.rpartition(":")
    lines = [other_dock.known_line(), real_dock.known_line(host)]
    user.write(".ssh/known_hosts", "".join(lines))
    jump = f"{other_dock.user}@{other_dock.target}"
    command = ["ssh", "-o", "BatchMode=yes", "-J", jump, "-p", port, f"{real_dock.user}@{host}"]
    client, *_ = user.run(*command, "echo $SSH_CLIENT").ok().split()
    assert client == other_dock.inner_target.rpartition(":")[0]


def test_docks_are_removed_after_a_run_that_was_killed(images: Images, tmp_path: Path) -> None:
    # the process has its id from one that is gone
    reused = engine("create", "--label", f"{OWNER}={os.getpid()}-1", images.base).strip()
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAA nobody\n")
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import dock, pathlib\n"
        f"made = dock.RealDock(dock.require_images(), pathlib.Path({str(key)!r}))\n"
        "print(made.name, flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        name = owner.stdout.readline().strip()
        volume = engine("inspect", "-f", '{{range .Mounts}}{{.Name}}{{"\\n"}}{{end}}', name).split()
        assert name not in remove_leftovers()
        owner.send_signal(signal.SIGKILL)
    remove_leftovers()  # or another worker of this run, meanwhile
    left = engine("ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}}").split()
    assert not {name, reused} & set(left)
    assert not set(volume) & set(engine("volume", "ls", "-q").split())


def test_the_user_may_use_the_local_engine_only_when_asked_to(user: User, images: Images) -> None:
    command = ["docker", "-H", f"unix://{SOCKET}", "image", "inspect", "-f", "{{.Os}}", images.base]
    assert "permission denied" in user.run(*command).stderr
    user.use_engine()
    assert user.run(*command).ok() == "linux\n"


# --- the proxy --------------------------------------------------------------------------------


def silent(connection: socket.socket) -> bool:
    """Does nothing come, for now?"""
    connection.settimeout(0.3)
    try:
        return connection.recv(1) == b"impossible"
    except TimeoutError:
        return True
    finally:
        connection.settimeout(TIMEOUT)


@pytest.fixture
def echo() -> Iterator[str]:
    """HOST:port of a server that sends back what it gets, and ends when its client does."""
    code = (
        "import socketserver\n"
        "class Echo(socketserver.BaseRequestHandler):\n"
        "    def handle(self):\n"
        "        while data := self.request.recv(65536): self.request.sendall(data)\n"
        "server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Echo)\n"
        "print(server.server_address[1], flush=True); server.serve_forever()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield f"127.0.0.1:{server.stdout.readline().strip()}"
        server.kill()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((proxy.address, proxy.port), timeout=TIMEOUT)


def echoes(connection: socket.socket) -> bool:
    connection.sendall(b"x")
    return connection.recv(1) == b"x"


def test_the_proxy_passes_everything_on_and_the_end_too(echo: str) -> None:
    sent = os.urandom(3_000_000)
    with Proxy(echo, 0.01) as proxy, connect(proxy) as connection:
        received = bytearray()
        for start in range(0, len(sent), 100_000):
            connection.sendall(sent[start : start + 100_000])
            while len(received) < start + 100_000:
                received += connection.recv(65536)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
        assert received == sent


def test_the_proxys_round_trip_is_at_least_what_was_asked_for(echo: str) -> None:
    with Proxy(echo, 0.1) as proxy, connect(proxy) as connection:
        for round_trip, trips in ((0.1, 2), (0.1, 1), (0.2, 1)):  # the first with a handshake
            proxy.round_trip = round_trip
            start = time.monotonic()
            assert echoes(connection)
            assert time.monotonic() - start >= trips * round_trip


def test_a_frozen_proxy_keeps_connections_and_passes_nothing(echo: str) -> None:
    with Proxy(echo) as proxy, connect(proxy) as connection:
        assert echoes(connection)
        proxy.freeze()
        connection.sendall(b"late")
        assert silent(connection)
        with connect(proxy) as later:
            later.sendall(b"later")
            assert silent(later)
            proxy.thaw()
            assert later.recv(5) == b"later"
        assert connection.recv(4) == b"late"


def test_a_frozen_proxy_says_nothing_of_a_server_that_refuses() -> None:
    with refusing() as target, Proxy(target) as proxy:
        proxy.freeze()
        with connect(proxy) as connection:
            assert silent(connection)
            proxy.thaw()
            with pytest.raises(ConnectionResetError):
                connection.recv(1)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_cut_ends_every_connection_and_lets_new_ones_in(echo: str, frozen: bool) -> None:
    with Proxy(echo) as proxy, connect(proxy) as one, connect(proxy) as two:
        assert echoes(one)
        assert echoes(two)
        if frozen:
            proxy.freeze()
        proxy.cut()
        for connection in (one, two):
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        assert proxy.connections == 0
        proxy.thaw()
        with connect(proxy) as new:
            assert echoes(new)


def test_a_refusing_proxy_refuses_new_connections_and_keeps_old_ones(echo: str) -> None:
    with Proxy(echo) as proxy, connect(proxy) as old:
        assert echoes(old)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert echoes(old)
        proxy.accept()
        connect(proxy).close()


def test_ssh_through_the_proxy_is_as_slow_as_the_network(user: User, real_dock: RealDock) -> None:
    with Proxy(real_dock.target, 0.05) as proxy:
        know(user, real_dock, f"[{proxy.address}]:{proxy.port}")
        start = time.monotonic()
        user.run(*ssh(proxy), "true").ok()
        # the handshake, versions, keys, authentication, the session: ssh waits for each
        assert time.monotonic() - start >= 6 * 0.05
        with forwarding(user, proxy) as (local, _):
            assert answer(user, local).status == 0
            proxy.cut()
            assert answer(user, local).status != 0
