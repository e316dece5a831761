"""What may go wrong when one docks: it is said, and the shell is as it was."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest
from dock import RealDock
from harness import Result, Shell, eventually
from sailor import Sailor, reaches
from servers import frozen, refusing
from snapshot import change, snapshot

pytestmark = pytest.mark.usefixtures("sailor")


def refused(result: Result, *words: str) -> None:
    """It failed with one line that says what and one that says what to do."""
    lines = result.stderr.splitlines()
    assert len(lines) >= 2, result
    failure = [line for line in lines if line.startswith("shellenv: ")][-1]
    for word in words:
        assert word in failure, result


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


@pytest.mark.usefixtures("gpu")
def test_a_name_that_is_nearly_that_of_a_dock(shell: Shell) -> None:
    assert "did you mean gpu?" in fails(shell, "gup", "no dock is called 'gup'").stderr


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
