"""Runs at a dock whose connection is lost go on there, and one hears of them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from aws import Aws
from dock import Images, RealDock
from harness import TIMEOUT, eventually, write
from proxies import Proxy
from runs import Environment
from servers import User

pytestmark = pytest.mark.needs("setpriv", "docker")


@pytest.fixture
def proxy(real_dock: RealDock) -> Iterator[Proxy]:
    with Proxy(real_dock.target) as proxy:
        yield proxy


@pytest.fixture
def environment(
    user: User, images: Images, real_dock: RealDock, proxy: Proxy
) -> Iterator[Environment]:
    """A project whose dock is behind a network that can go away."""
    environment = Environment("remote", user, images, real_dock, proxy.target)
    yield environment
    environment.remove()


def lose(environment: Environment, proxy: Proxy, code: str) -> str:
    """Run `code`, lose the connection once it has said `begin`; what the run then says."""
    with environment.start("bash", "-c", code) as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline() == b"begin\n"
        proxy.refuse()
        proxy.cut()
        said = child.stderr.read().decode()
        assert child.wait(TIMEOUT) == 255
    proxy.accept()
    return said


def says(environment: Environment, command: str) -> str:
    done = environment.shell_command(command)
    assert done.status == 0, done
    return done.stderr.decode()


def test_a_run_goes_on_and_its_output_status_and_files_are_offered(
    environment: Environment, proxy: Proxy
) -> None:
    said = lose(
        environment,
        proxy,
        "echo begin; until [ -e /tmp/on ]; do sleep 0.1; done; echo more; echo odd >&2; echo made >made; exit 3",
    )
    assert "goes on there" in said
    (name,) = environment.containers()
    assert name in said
    assert f"{name}, whose connection was lost, still runs" in says(environment, "sync-down")
    environment.engine("exec", name, "touch", "/tmp/on")
    end = time.monotonic() + TIMEOUT
    while environment.engine("inspect", "-f", "{{.State.Running}}", name).strip() == "true":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert "has ended with status 3" in says(environment, "sync-down")
    assert (environment.root / "made").read_text() == "made\n"
    kept = environment.home / ".local/state/shellenv/runs"
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        f"{name}.out": "begin\nmore\n",
        f"{name}.err": "odd\n",
    }
    assert environment.containers() == []
    assert "whose connection was lost" not in says(environment, "sync-down")


def test_who_interrupts_a_run_whose_connection_hangs_hears_of_it_as_well(
    environment: Environment, proxy: Proxy
) -> None:
    with environment.start("bash", "-c", "echo begin; sleep 1000") as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline() == b"begin\n"
        proxy.freeze()
        child.send_signal(signal.SIGINT)
        time.sleep(0.5)
        proxy.refuse()
        proxy.cut()
        assert "goes on there" in child.stderr.read().decode()
        assert child.wait(TIMEOUT) == 255
        proxy.thaw()
        proxy.accept()
    (name,) = environment.containers()
    assert f"{name}, whose connection was lost, still runs" in says(environment, "sync-down")
    environment.engine("rm", "-f", name)


def test_at_a_terminal_a_run_goes_on_too_and_the_terminal_is_as_it_was(
    environment: Environment, proxy: Proxy
) -> None:
    with environment.terminal() as terminal:
        terminal.type("stty -a")
        before = terminal.wait()
        terminal.type(environment.words("bash", "-c", "echo begin; sleep 1000"))
        terminal.expect("\nbegin")
        proxy.refuse()
        proxy.cut()
        terminal.expect("goes on there")
        terminal.wait()
        assert terminal.status() == 255
        proxy.accept()
        terminal.type("stty -a")
        assert terminal.wait() == before
    (name,) = environment.containers()
    assert f"{name}, whose connection was lost, still runs" in says(environment, "sync-down")
    environment.engine("rm", "-f", name)


@pytest.mark.parametrize("command", ["dock {host}", "run-shell -- true"])
def test_dock_and_run_shell_tell_of_it_too(
    environment: Environment, proxy: Proxy, real_dock: RealDock, command: str
) -> None:
    lose(environment, proxy, "echo begin; sleep 1000")
    (name,) = environment.containers()
    host = f"{real_dock.user}@{proxy.target}"
    assert environment.shell
    text = command.format(host=f"--for bash {environment.shell.pid} {host}")
    said = says(environment, f"shellenv {text}")
    assert f"{name}, whose connection was lost, still runs" in said
    environment.engine("rm", "-f", name)


@pytest.mark.usefixtures("_credstash")
def test_a_run_that_goes_on_has_its_secrets_and_nothing_here_keeps_them(
    environment: Environment, proxy: Proxy, aws: Aws
) -> None:
    aws.put("detached", "open-sesame-5318")
    environment.env.update(aws.env)
    personal = environment.home / ".config" / "shellenv" / "projects" / "api.cfg"
    write(personal, "[shellenv.env]\nTOKEN = credstash:detached\n")
    environment.user.own(environment.home / ".config")
    lose(environment, proxy, "echo begin; sleep 2; printf %s $TOKEN | sha256sum")
    (name,) = environment.containers()
    environment.engine("wait", name)
    says(environment, "sync-down")
    kept = environment.home / ".local/state/shellenv/runs" / f"{name}.out"
    assert kept.read_text().split()[1] == sha256(b"open-sesame-5318").hexdigest()
    for path in environment.home.rglob("*"):
        assert not path.is_file() or b"open-sesame" not in path.read_bytes()


def test_a_run_is_told_of_though_another_process_has_its_number_by_now(
    environment: Environment, proxy: Proxy
) -> None:
    """As after a reboot."""
    lose(environment, proxy, "echo begin; sleep 1000")
    (name,) = environment.containers()
    note = environment.home / ".local/state/shellenv/runs" / name
    said = json.loads(note.read_text())
    assert environment.shell
    said[3] = environment.shell.pid
    note.write_text(json.dumps(said))
    assert f"{name}, whose connection was lost, still runs" in says(environment, "sync-down")
    environment.engine("rm", "-f", name)


def test_a_run_whose_connection_is_lost_as_it_begins_is_lost_and_not_ended(
    environment: Environment, proxy: Proxy
) -> None:
    """Its container is there, and whether it has been started nobody here can tell."""
    with environment.start("sleep", "1000") as child:
        assert child.stderr
        eventually(environment.containers, pause=0.001)
        proxy.refuse()
        proxy.cut()
        said = child.stderr.read().decode()
        assert child.wait(TIMEOUT) == 255, said
    proxy.accept()
    (name,) = environment.containers()
    assert name in said
    environment.engine("rm", "-f", name)


def test_a_run_that_had_not_begun_is_not_said_to_have_ended(
    environment: Environment, proxy: Proxy
) -> None:
    lose(environment, proxy, "echo begin; sleep 1000")
    (name,) = environment.containers()
    image = environment.engine("inspect", "-f", "{{.Image}}", name).strip()
    environment.engine("rm", "-f", name)
    environment.engine("create", "--name", name, image)
    assert f"{name}, whose connection was lost, had not begun" in says(environment, "sync-down")
    assert name not in environment.engine("ps", "-a", "--format", "{{.Names}}").split()


def test_the_output_of_a_run_is_still_there_where_it_cannot_be_saved(
    environment: Environment, proxy: Proxy
) -> None:
    lose(environment, proxy, "echo begin; sleep 2; echo more; exit 3")
    (name,) = environment.containers()
    environment.engine("wait", name)
    kept = environment.home / ".local/state/shellenv/runs"
    kept.chmod(0o500)
    said = says(environment, "sync-down")
    kept.chmod(0o700)
    assert f"{name}, whose connection was lost, has ended with status 3" in said
    assert "cannot be written to: Permission denied" in said
    assert "has ended with status 3" in says(environment, "sync-down")
    assert (kept / f"{name}.out").read_text() == "begin\nmore\n"
    assert environment.containers() == []


def test_a_run_whose_end_is_seen_leaves_no_note(environment: Environment) -> None:
    assert environment.ok("echo", "fine") == b"fine\n"
    kept: Path = environment.home / ".local/state/shellenv/runs"
    assert list(kept.iterdir()) == []
    assert environment.containers() == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_in_the_sync_of_a_run_says_in_what_state_things_are(
    environment: Environment, moment: str
) -> None:
    large = "truncate -s 16G large"  # nobody waits for that
    if moment == "before":
        assert environment.shell_command(large).status == 0
    with environment.terminal() as terminal:
        terminal.type(environment.words("sh", "-c", large if moment == "after" else "true"))
        terminal.expect("--copy-dest")
        terminal.press("c")
        direction = "down" if moment == "after" else "up"
        terminal.expect(f"shellenv: sync-{direction} was interrupted: nothing is lost")
        terminal.wait()
        assert terminal.status() == 130
    assert not environment.containers()
