"""The connection to a real dock: shared by shells, lost and back again, of every kind."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time

import pytest
from dock import Images, RealDock
from harness import Shell, eventually, write
from proxies import Proxy
from sailor import HOSTNAME, Sailor, reaches

pytestmark = pytest.mark.usefixtures("sailor")


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
        eventually(lambda: sailor.keeper() not in (0, keeper), "somebody keeps it again")
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


def test_a_dock_that_was_never_registered_has_a_name_in_the_shell_that_is_docked_there(
    bash: Shell, sailor: Sailor, real_dock: RealDock
) -> None:
    sailor.user.write(".ssh/known_hosts", real_dock.known_line())
    with bash.interactive() as session:
        assert session.run(f"dock {real_dock.user}@{real_dock.target}") == ""
        said = session.run(f"ssh-dock {real_dock.address} -- echo he''re 2>/dev/null")
        assert said.strip() == "here"


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
