"""Docks with real sshds: registering, host keys, failures, ls-dock, ssh-dock."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from harness import Result
from places import context
from servers import (
    SOURCE,
    Server,
    User,
    frozen,
    has_ipv6,
    hint_command,
    refusing,
)

from shellenv import cli, register
from shellenv.errors import ShellenvError


@pytest.fixture(scope="session")
def dock(base: Path, somebody: User) -> Iterator[Server]:
    server = Server(base / "dock", somebody, "127.0.0.1", ("ed25519", "ecdsa"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def jump(base: Path, somebody: User) -> Iterator[Server]:
    server = Server(base / "jump", somebody, "127.0.0.2")
    yield server
    server.stop()


def add(user: User, server: Server, moniker: str = "dev", *more: str) -> Result:
    """Register a server whose key is known to be right."""
    fingerprint = server.fingerprint()
    words = [server.target, moniker, "--accept-host-key", fingerprint, *more]
    return user.run("register-dock", *words)


def refused(result: Result, *words: str) -> None:
    """It failed with one line that says what and at least one that says what to do."""
    assert result.status == 1, result
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) >= 2, result
    failure = [line for line in lines if line.startswith("shellenv: ")][-1]
    for word in words:
        assert word in failure, result


def listed(user: User, *options: str) -> dict[str, dict[str, object]]:
    """What ls-dock says, by moniker."""
    rows = json.loads(user.run("ls-dock", "--json", *options).stdout)
    return {row["moniker"]: row for row in rows}


# --- registering ------------------------------------------------------------------------------


def test_a_registered_dock_is_known_to_plain_ssh_and_to_ls_dock(user: User, dock: Server) -> None:
    result = add(user, dock)
    assert result.status == 0, result
    assert "docker 27.3.1" in result.stderr
    assert user.run("ssh", "-o", "BatchMode=yes", "dev", "echo here").ok() == "here\n"
    row = listed(user)["dev"]
    assert (row["reachable"], row["docker"], row["problem"]) == (True, "27.3.1", None)
    assert (row["host"], row["port"]) == (dock.address, dock.port)


def test_what_is_written_is_for_its_user_alone(user: User) -> None:
    shutil.rmtree(user.home / ".ssh")
    user.run("register-dock", "--offline", "10.1.2.3", "dev").stderr.splitlines()
    modes = [path.stat().st_mode & 0o777 for path in (user.ssh_config.parent, user.ssh_config)]
    assert modes == [0o700, 0o600]
    assert (user.config / "ssh_config").stat().st_mode & 0o777 == 0o600
    assert user.ssh_config.read_text() == "Include ~/.config/shellenv/ssh_config\n"


def test_the_file_does_not_depend_on_the_order(user: User) -> None:
    contents = set()
    for order in ("abc", "cab", "bca"):
        for name in order:
            assert user.run("register-dock", "--offline", f"10.0.0.1:{ord(name)}", name).status == 0
        contents.add((user.config / "ssh_config").read_bytes())
        for name in order:
            assert user.run("unregister-dock", name).status == 0
    assert len(contents) == 1


def test_a_moniker_that_is_registered_again_moves(user: User) -> None:
    user.run("register-dock", "--offline", "me@10.0.0.1", "dev")
    user.run("register-dock", "--offline", "10.0.0.2:2222", "dev")
    row = listed(user, "--offline")["dev"]
    assert (row["host"], row["port"], row["user"]) == ("10.0.0.2", 2222, None)


def test_many_at_once_all_arrive_and_the_line_is_there_once(user: User) -> None:
    commands = [user.argv("register-dock", "--offline", f"10.0.0.{n}", f"d{n}") for n in range(8)]
    children = [subprocess.Popen(argv, env=user.env, cwd=user.home) for argv in commands]
    assert [child.wait() for child in children] == [0] * 8
    assert set(listed(user, "--offline")) == {f"d{n}" for n in range(8)}
    assert user.ssh_config.read_text().count("Include") == 1


def test_a_dry_run_shows_the_diff_and_changes_nothing(user: User) -> None:
    user.write(".ssh/config", "Host x\n  User y")
    before = user.files()
    output = user.run("register-dock", "--dry-run", "me@10.0.0.1:22", "dev").ok()
    assert "--- ~/.ssh/config\n+++ ~/.ssh/config\n" in output
    assert "\n+Include ~/.config/shellenv/ssh_config\n" in output
    assert "\n+Host dev\n+  HostName 10.0.0.1\n+  User me\n+  Port 22\n" in output
    assert "No newline at end of file" in output
    assert user.files() == before


def test_with_a_read_only_file_nothing_is_changed_and_the_line_is_said(user: User) -> None:
    user.write(".ssh/config", "Host x\n", 0o400)
    before = user.files()
    result = user.run("register-dock", "--offline", "10.0.0.1", "dev")
    refused(result, "~/.ssh/config is read-only; it was not changed")
    assert result.stderr.endswith(": Include ~/.config/shellenv/ssh_config\n")
    assert user.files() == before
    user.write(".ssh/config", "Include ~/.config/shellenv/ssh_config\nHost x\n", 0o400)
    assert user.run("register-dock", "--offline", "10.0.0.1", "dev").status == 0


def test_the_user_and_port_come_from_options_or_the_old_variable(user: User) -> None:
    user.env["DOCK_USER"] = "admin"
    user.run("register-dock", "--offline", "10.0.0.1", "a")
    user.run("register-dock", "--offline", "me@10.0.0.1", "b")
    user.run("register-dock", "--offline", "10.0.0.1", "c", "--user", "you", "--port", "77")
    rows = listed(user, "--offline")
    assert [rows[name]["user"] for name in "abc"] == ["admin", "me", "you"]
    assert rows["c"]["port"] == 77


def test_an_identity_is_used_and_must_exist(user: User, dock: Server) -> None:
    refused(user.run("register-dock", "10.0.0.1", "--identity", "nowhere"), "nowhere")
    (user.home / ".ssh" / "id_ed25519").rename(user.home / "my key")
    refused(add(user, dock), "authentication")
    assert add(user, dock, "dev", "--identity", "my key").status == 0
    assert user.run("ssh", "-o", "BatchMode=yes", "dev", "echo here").ok() == "here\n"


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6 on the loopback interface")
def test_an_ipv6_address_is_written_in_brackets(user: User, base: Path, somebody: User) -> None:
    server = Server(base / "six", somebody, "::1")
    try:
        assert add(user, server, "six").status == 0
        assert user.run("ssh-dock", "six", "--", "echo", "$SSH_CONNECTION").stdout.startswith("::1")
        assert f"[::1]:{server.port}" in user.run("ls-dock", "--offline").ok()
    finally:
        server.stop()


def test_without_a_moniker_the_host_is_its_own_and_the_users_rules_hold(
    user: User, dock: Server
) -> None:
    rule = f"Host lab\n  HostName {dock.address}\n  Port {dock.port}\n"
    user.write(".ssh/config", rule)
    result = user.run("register-dock", "lab", "--accept-host-key", dock.fingerprint())
    assert result.status == 0, result
    assert user.run("ssh-dock", "lab", "--", "echo here").stdout == "here\n"


def test_names_that_the_users_configuration_has_keep_their_meaning(user: User) -> None:
    user.write(".ssh/config", "Host lab\n  HostName 10.9.9.9\n")
    before = user.files()
    refused(user.run("register-dock", "10.0.0.1", "lab"), "already has a lab", "10.9.9.9")
    refused(user.run("register-dock", "lab", "gpu"), "lab is no address")
    assert user.files() == before


def test_a_home_that_ssh_does_not_read_gets_no_line(user: User) -> None:
    user.env["HOME"] = str(user.home / "other")
    (user.home / "other").mkdir()
    user.own(user.home)
    result = user.run("register-dock", "--offline", "10.0.0.1", "dev")
    assert result.status == 0
    assert "plain `ssh dev` does not know it" in result.stderr
    assert not user.ssh_config.exists()
    assert not (user.home / "other" / ".ssh").exists()
    assert user.run("ssh-dock", "dev", "--", "-V").stderr.splitlines()[0].endswith("10.0.0.1 -V")


EVIL = [
    ["-oProxyCommand=touch${IFS}x"],
    ["host name"],
    ["host\nProxyCommand touch x"],
    ["me\nProxyCommand x@host"],
    ["-oProxyCommand=x@host"],
    ["%h"],
    ["*.example.com"],
    ["$(touch x)"],
    ["h;touch x"],
    ["fe80::1%eth0"],
    ["[::1"],
    ["[::1]22"],
    ["[::1]:"],
    ["host:"],
    ["host:0"],
    ["host:65536"],
    ["host:22x"],
    ["@host"],
    [""],
    ["host", "a b"],
    ["host", "-a"],
    ["host", "*"],
    ["host", "!a"],
    ["host", "a,b"],
    ["host", "a?"],
    ["host", "a\x1b[31m"],
    ["host", "a\nProxyCommand touch x"],
    ["host", ""],
    ["host", "ünïcode"],
    ["host", "--user=-oProxyCommand=x"],
    ["host", "--user=a b"],
    ["host", "--user=%r"],
    ["host", "--port=22 -oProxyCommand=x"],
    ["host", "--port=-1"],
    ["host", '--identity=key"\nProxyCommand x'],
    ["host", "--identity=%d"],
]


@pytest.mark.parametrize("words", EVIL, ids=repr)
def test_what_ssh_could_take_for_something_else_is_refused(
    tmp_path: Path, words: list[str]
) -> None:
    for name in ('key"\nProxyCommand x', "%d"):
        (tmp_path / name).touch()
    plain = [word for word in words if not word.startswith("--")]
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    with pytest.raises(ShellenvError) as caught:
        register.requested(context(tmp_path), *plain, **options)
    assert caught.value.status == 1
    assert caught.value.hint


def test_a_refusal_prints_no_control_character_and_changes_nothing(user: User) -> None:
    before = user.files()
    for words in (["--", "-oProxyCommand=touch x"], ["h\nProxyCommand x", "d"], ["h", "a\x1b[31m"]):
        result = user.run("register-dock", "--offline", *words)
        refused(result, "cannot be a dock's")
        assert len(result.stderr.splitlines()) == 2
        assert "\x1b" not in result.stderr
    assert user.files() == before


# --- host keys --------------------------------------------------------------------------------


def test_without_a_terminal_an_unknown_key_is_refused_with_the_command_that_accepts_it(
    user: User, dock: Server
) -> None:
    before = user.files()
    result = user.run("register-dock", dock.target, "dev")
    refused(result, "not known", "no terminal")
    command = hint_command(result)
    expected = f"shellenv register-dock {dock.target} dev --accept-host-key {dock.fingerprint()}"
    assert command == expected
    assert user.files() == before
    assert user.run("sh", "-c", command).status == 0
    assert listed(user)["dev"]["reachable"] is True


def test_at_a_terminal_the_fingerprint_is_shown_and_the_person_decides(
    user: User, dock: Server
) -> None:
    user.write(".ssh/config", "HashKnownHosts no\n")  # Debian's default is yes
    before = user.files()
    for answer in ("n", ""):
        with user.terminal("register-dock", dock.target, "dev") as terminal:
            terminal.expect_exact(f"ED25519 key {dock.fingerprint()}")
            terminal.expect_exact("[y/N]")
            terminal.sendline(answer)
            terminal.expect_exact("was not accepted")
            terminal.expect(pexpect.EOF)
            terminal.close()
            assert terminal.exitstatus == 1
        assert user.files() == before
    with user.terminal("register-dock", dock.target, "dev") as terminal:
        terminal.expect_exact("[y/N]")
        terminal.sendcontrol("c")
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 130
    assert user.files() == before
    with user.terminal("register-dock", dock.target, "dev") as terminal:
        terminal.expect_exact("[y/N]")
        terminal.sendline("y")
        terminal.expect_exact("registered dev")
        terminal.expect(pexpect.EOF)
    assert user.known_hosts.read_text() == dock.known_line()
    assert user.known_hosts.stat().st_mode & 0o777 == 0o600


def test_another_fingerprint_is_never_accepted(user: User, dock: Server, jump: Server) -> None:
    before = user.files()
    words = [dock.target, "dev", "--accept-host-key"]
    refused(
        user.run("register-dock", *words, jump.fingerprint()),
        "another host key",
        dock.fingerprint(),
    )
    for text in ("yes", "SHA256:", "MD5:00", "", dock.fingerprint()[:-1], "SHA256:" + "*" * 43):
        refused(user.run("register-dock", *words, text), "no fingerprint")
    assert user.files() == before


def test_a_known_key_is_compared_too(user: User, dock: Server, jump: Server) -> None:
    user.write(".ssh/known_hosts", dock.known_line())
    result = user.run("register-dock", dock.target, "--accept-host-key", jump.fingerprint())
    refused(result, "another host key")


def test_the_fingerprint_may_be_of_any_key_that_the_machine_has(user: User, dock: Server) -> None:
    user.write(".ssh/config", "HashKnownHosts no\n")
    fingerprint = dock.fingerprint("ecdsa")
    result = user.run("register-dock", dock.target, "dev", "--accept-host-key", fingerprint)
    assert result.status == 0, result
    assert user.known_hosts.read_text() == dock.known_line(kind="ecdsa")
    assert user.run("ssh", "-o", "BatchMode=yes", "dev", "echo here").ok() == "here\n"


def test_accepted_keys_go_where_and_under_the_name_that_ssh_is_configured_for(
    user: User, dock: Server
) -> None:
    user.write(
        ".ssh/config", 'Host *\n  HashKnownHosts no\n  UserKnownHostsFile "~/my hosts" /dev/null\n'
    )
    user.write("my hosts", "# no newline at the end", 0o600)
    assert add(user, dock).status == 0
    assert (user.home / "my hosts").read_text().splitlines()[1:] == [dock.known_line().rstrip()]
    assert not user.known_hosts.exists()


def test_a_host_key_alias_is_the_name_of_the_key(user: User, dock: Server) -> None:
    user.write(".ssh/config", "Host dev\n  HostKeyAlias instance-1\n  HashKnownHosts no\n")
    assert add(user, dock).status == 0
    assert user.known_hosts.read_text() == dock.known_line("instance-1")
    assert user.run("ssh", "-o", "BatchMode=yes", "dev", "echo here").ok() == "here\n"


def test_names_are_hashed_where_ssh_hashes_them(user: User, dock: Server) -> None:
    user.write(".ssh/config", "HashKnownHosts yes\n")
    assert add(user, dock).status == 0
    assert user.known_hosts.read_text().startswith("|1|")
    found = user.run("ssh-keygen", "-F", f"[{dock.address}]:{dock.port}")
    assert dock.known_line().split()[2] in found.stdout
    assert user.run("ssh", "-o", "BatchMode=yes", "dev", "echo here").ok() == "here\n"


def test_keys_are_verified_also_where_the_configuration_says_no(
    user: User, dock: Server, jump: Server
) -> None:
    user.write(".ssh/config", "StrictHostKeyChecking no\nNoHostAuthenticationForLocalhost yes\n")
    refused(user.run("register-dock", dock.target), "not known")
    wrong = jump.known_line(f"[{dock.address}]:{dock.port}")
    user.write(".ssh/known_hosts", wrong, 0o600)
    refused(user.run("register-dock", dock.target), "HAS CHANGED")
    assert user.known_hosts.read_text() == wrong


def test_a_registered_dock_is_verified_by_plain_ssh_and_ls_dock_too(
    user: User, dock: Server
) -> None:
    user.write(".ssh/config", "StrictHostKeyChecking no\n")
    user.run("register-dock", "--offline", dock.target, "dev")
    assert "\nstricthostkeychecking ask\n" in user.run("ssh", "-G", "dev").stdout
    own = user.config / "ssh_config"
    user.write(".config/shellenv/ssh_config", own.read_text().replace("StrictHostKeyChecking", "#"))
    problem = listed(user)["dev"]["problem"]
    assert isinstance(problem, dict)
    assert problem["kind"] == "unknown key"
    assert not user.known_hosts.exists()


def test_a_configuration_that_forgets_keys_is_refused(user: User, dock: Server) -> None:
    user.write(".ssh/config", "UserKnownHostsFile /dev/null\n")
    refused(add(user, dock), "forgets the host keys")


def test_a_changed_key_is_refused_loudly_with_the_line_and_the_command_for_later(
    user: User, dock: Server, jump: Server
) -> None:
    wrong = jump.known_line(f"[{dock.address}]:{dock.port}")
    user.write(".ssh/known_hosts", f"# mine\n{wrong}", 0o600)
    before = user.files()
    for options in ([], ["--accept-host-key", dock.fingerprint()]):
        result = user.run("register-dock", dock.target, "dev", *options)
        refused(result, "HAS CHANGED", f"{user.known_hosts} line 2", dock.fingerprint())
        assert user.files() == before
    command = hint_command(result)
    assert command.startswith(f"ssh-keygen -f {user.known_hosts} -R ")
    assert user.run("sh", "-c", command).status == 0
    assert add(user, dock).status == 0


def test_a_dock_is_checked_again_by_its_moniker_alone(user: User, dock: Server) -> None:
    user.run("register-dock", "--offline", dock.target, "dev", "--user", user.name)
    before = (user.config / "ssh_config").read_bytes()
    result = user.run("register-dock", "dev", "--accept-host-key", dock.fingerprint())
    assert result.status == 0, result
    assert (user.config / "ssh_config").read_bytes() == before
    assert listed(user)["dev"]["reachable"] is True


def test_a_revoked_key_is_refused(user: User, dock: Server) -> None:
    user.write(".ssh/known_hosts", "@revoked " + dock.known_line(), 0o600)
    refused(add(user, dock), "revoked")


# --- on the way there ---------------------------------------------------------------------------


def test_the_rule_for_an_address_holds_for_the_moniker(
    user: User, dock: Server, jump: Server
) -> None:
    user.write(
        ".ssh/config",
        f"Host bastion\n  HostName {jump.address}\n  Port {jump.port}\n"
        f"Host 127.0.0.1\n  ProxyJump bastion\n",
    )
    refused(add(user, dock), "on the way to dev")
    user.write(".ssh/known_hosts", jump.known_line(), 0o600)
    before = jump.log.read_text().count("direct-tcpip")
    assert add(user, dock).status == 0
    after = jump.log.read_text().count("direct-tcpip")
    assert after > before, "it went through the jump"
    assert user.run("ssh", "-o", "BatchMode=yes", "dev", "echo here").ok() == "here\n"
    assert listed(user)["dev"]["docker"] == "27.3.1"
    assert jump.log.read_text().count("direct-tcpip") >= after + 2


def test_what_a_jump_cannot_reach_is_said(user: User, jump: Server) -> None:
    user.write(".ssh/known_hosts", jump.known_line(), 0o600)
    rules = f"  ProxyJump {jump.target}\n"
    with refusing() as target:
        user.write(".ssh/config", f"Host 127.0.0.1\n{rules}")
        refused(user.run("register-dock", target), "cannot be reached from", "Connection refused")
    with frozen() as target:
        user.patience(3)
        refused(user.run("register-dock", target), "did not answer within 3 s")
    user.write(".ssh/config", f"Host nowhere.invalid\n{rules}")
    user.patience(60)
    refused(user.run("register-dock", "nowhere.invalid"), "cannot be reached from")
    with refusing() as target:
        user.write(".ssh/config", f"Host 10.0.0.1\n  ProxyJump {target}\n")
        refused(user.run("register-dock", "10.0.0.1"), target.replace(":", " port "), "refuses")


def test_an_agent_is_used(user: User, dock: Server) -> None:
    key = user.home / ".ssh" / "id_ed25519"
    script = (
        f"ssh-add -q {key} && rm {key} && "
        f"register-dock {dock.target} dev --accept-host-key {dock.fingerprint()}"
    )
    assert user.run("ssh-agent", "sh", "-c", script).status == 0


# --- failures -----------------------------------------------------------------------------------


def test_a_name_that_cannot_be_found(user: User) -> None:
    before = user.files()
    refused(user.run("register-dock", "nowhere.invalid"), "nowhere.invalid is not a name")
    assert user.files() == before


def test_a_port_that_refuses(user: User) -> None:
    before = user.files()
    with refusing() as target:
        refused(user.run("register-dock", target), "refuses connections")
    assert user.files() == before


def test_a_machine_that_never_answers(user: User) -> None:
    user.patience(1)
    before = user.files()
    with frozen() as target:
        refused(user.run("register-dock", target), "did not answer within 1 s")
    assert user.files() == before


def test_a_key_that_the_machine_does_not_take(user: User, dock: Server) -> None:
    (user.home / ".ssh" / "id_ed25519").unlink()
    refused(add(user, dock), f"{user.name}@127.0.0.1: authentication failed (publickey)")
    assert not user.ssh_config.exists()
    assert not (user.config / "ssh_config").exists()


# What Docker Engine 20.10 and 28 say
DOWN = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?"
)
DENIED_OLD = (
    "permission denied while trying to connect to the Docker daemon socket at "
    "unix:///var/run/docker.sock: connect: permission denied"
)
DENIED = (
    "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock"
)


@pytest.mark.parametrize(
    ("docker", "words"),
    [
        (None, "there is no docker at dev"),
        (f"echo '{DOWN}' >&2; echo; exit 1", "the docker daemon at dev does not run"),
        (f"echo '{DENIED_OLD}' >&2; exit 1", "may not use docker there (not in the group docker)"),
        (f"echo '{DENIED}' >&2; exit 1", "may not use docker there (not in the group docker)"),
        ("echo something else >&2; exit 3", "status 3: something else"),
    ],
    ids=["none", "down", "denied in 20.10", "denied in 28", "else"],
)
def test_a_machine_without_a_docker_to_use(
    user: User, dock: Server, docker: str | None, words: str
) -> None:
    if docker is None:
        (user.home / "remote" / "docker").unlink()
    else:
        user.write("remote/docker", f"#!/bin/sh\n{docker}\n", 0o755)
    refused(add(user, dock), words)
    assert not user.ssh_config.exists()
    assert not (user.config / "ssh_config").exists()


def test_a_machine_without_ssh(user: User) -> None:
    programs = user.home / "programs"
    programs.mkdir()
    for name in ("sh", "readlink"):
        (programs / name).symlink_to(shutil.which(name) or name)
    user.env["PATH"] = f"{user.base / 'bin'}:{programs}"
    refused(user.run("register-dock", "10.0.0.1"), "ssh is not in PATH")


def test_an_ssh_configuration_that_does_not_parse(user: User) -> None:
    user.write(".ssh/config", "Nonsense yes\n")
    refused(user.run("register-dock", "10.0.0.1"), "ssh does not start")


# --- ls-dock and ssh-dock -----------------------------------------------------------------------


def test_all_docks_are_asked_and_each_says_what_is_wrong(
    user: User, dock: Server, jump: Server
) -> None:
    assert add(user, dock, "good").status == 0
    user.run("register-dock", "--offline", jump.target, "stranger")
    with refusing() as target:
        user.run("register-dock", "--offline", target, "down")
        rows = listed(user)
        table = user.run("ls-dock").stdout.splitlines()
    assert {name: row["reachable"] for name, row in rows.items()} == {
        "down": False,
        "good": True,
        "stranger": False,
    }
    problems = {name: row["problem"] for name, row in rows.items()}
    assert isinstance(problems["down"], dict)
    assert isinstance(problems["stranger"], dict)
    assert problems["down"]["kind"] == "refused"
    assert problems["stranger"]["kind"] == "unknown key"
    assert table[0].split() == ["moniker", "address", "user", "docked", "reachable", "docker"]
    assert table[1].split()[0] == "down"
    assert "no (refused)" in table[1]
    assert table[2].split()[-2:] == ["yes", "27.3.1"]
    assert not user.known_hosts.read_text().count(f":{jump.port}"), "asking accepts nothing"


def test_a_frozen_dock_does_not_keep_the_others(user: User, dock: Server) -> None:
    assert add(user, dock, "good").status == 0
    with frozen() as target:
        user.run("register-dock", "--offline", target, "mute")
        user.patience(5)
        rows = listed(user)
    assert rows["good"]["docker"] == "27.3.1"
    assert rows["mute"]["reachable"] is False


def test_ctrl_c_ends_every_question_at_once(user: User) -> None:
    with frozen() as target:
        user.run("register-dock", "--offline", target, "mute")
        with user.terminal("ls-dock") as terminal:
            while subprocess.run(["pgrep", "-u", user.name, "-x", "ssh"], check=False).returncode:
                assert terminal.isalive()
            terminal.sendcontrol("c")
            terminal.expect(pexpect.EOF)
            terminal.close()
            assert terminal.exitstatus == 130
    assert subprocess.run(["pgrep", "-u", user.name, "-x", "ssh"], check=False).returncode == 1


def test_offline_asks_nobody_and_needs_no_ssh(user: User) -> None:
    lines = "".join(f"Host d{n}\n  HostName 10.0.{n // 250}.{n % 250}\n" for n in range(1000))
    user.write(".config/shellenv/ssh_config", lines)
    programs = user.home / "programs"
    programs.mkdir()
    for name in ("sh", "readlink"):
        (programs / name).symlink_to(shutil.which(name) or name)
    user.env["PATH"] = f"{user.base / 'bin'}:{programs}"
    rows = listed(user, "--offline")
    assert len(rows) == 1000
    assert rows["d7"]["reachable"] is None
    assert len(user.run("ls-dock", "--offline").ok().splitlines()) == 1001


def test_without_docks_ls_dock_says_how_to_get_one(user: User) -> None:
    result = user.run("ls-dock")
    assert (result.status, result.stdout) == (0, "")
    assert "register-dock HOST" in result.stderr
    assert user.run("ls-dock", "--json").stdout == "[]\n"


def test_ssh_dock_says_the_command_and_becomes_it(user: User, dock: Server) -> None:
    assert add(user, dock).status == 0
    result = user.run("ssh-dock", "dev", "--", "read x; echo got $x; exit 7", stdin="it\n")
    assert (result.status, result.stdout) == (7, "got it\n")
    assert result.stderr == "ssh dev 'read x; echo got $x; exit 7'\n"
    by_address = user.run("ssh-dock", dock.target, "--", "echo", "here")
    assert by_address.stdout == "here\n"


def test_ssh_dock_names_the_nearest_moniker(user: User) -> None:
    user.run("register-dock", "--offline", "10.0.0.1", "production")
    result = user.run("ssh-dock", "prodution")
    assert result.status == 1
    assert "did you mean production?" in result.stderr


def test_ssh_dock_takes_the_hosts_of_ones_own_ssh_configuration(user: User) -> None:
    user.run("register-dock", "--offline", "10.0.0.1", "box")
    with user.ssh_config.open("a") as config:
        config.write("Host box2\n  HostName 127.0.0.1\n  Port 1\n")
    for host in ("box2", "nothing.like.it.invalid"):
        result = user.run("ssh-dock", host)
        assert (result.status, result.stderr.splitlines()[0].split()[-1]) == (255, host)
        assert "no dock is called" not in result.stderr


def test_wrong_usage_has_status_2(user: User) -> None:
    for words in (
        ["register-dock"],
        ["register-dock", "a", "b", "c"],
        ["unregister-dock"],
        ["ssh-dock"],
        ["ssh-dock", "dev", "ls"],
        ["ssh-dock", "dev", "--"],
        ["ls-dock", "dev"],
    ):
        assert user.run(*words).status == 2, words


# --- dockerutils' docks -------------------------------------------------------------------------

OLD = "DOCK_USER={}\nDOCK_MONIKER={}\nDOCK_HOSTNAME={}\nDOCK_IP={}\n"


def test_dockerutils_docks_are_known_unregistered(user: User) -> None:
    text = OLD.format("admin", "old", "10.0.0.1", "10.0.0.1")
    user.write(".docker/10.0.0.1/connection_config.txt", text)
    text = OLD.format("ubuntu", "none", "10.0.0.2", "10.0.0.2")
    user.write(".docker/10.0.0.2/connection_config.txt", text)
    user.write(".docker/10.0.0.3/connection_config.txt", "declare -x DOCK_MONIKER='third'\r\n")
    user.write(".docker/config.json", "{}")
    user.own(user.home)
    user.env["DOCK_USER"] = "me"
    rows = listed(user, "--offline")
    found = {name: (row["host"], row["user"]) for name, row in rows.items()}
    assert found == {
        "old": ("10.0.0.1", "admin"),
        "10.0.0.2": ("10.0.0.2", "ubuntu"),
        "third": ("10.0.0.3", "me"),
    }
    assert not user.ssh_config.exists()


def test_a_dockerutils_dock_can_be_used_and_its_key_is_verified(user: User, dock: Server) -> None:
    user.write(".ssh/config", f"Host 127.0.0.1\n  Port {dock.port}\n  StrictHostKeyChecking no\n")
    text = OLD.format(user.name, "old", "127.0.0.1", "127.0.0.1")
    user.write(".docker/127.0.0.1/connection_config.txt", text)
    user.own(user.home)
    assert user.run("ssh-dock", "old", "--", "echo here").status == 255
    problem = listed(user)["old"]["problem"]
    assert isinstance(problem, dict)
    assert problem["kind"] == "unknown key"
    user.write(".ssh/known_hosts", dock.known_line(), 0o600)
    assert listed(user)["old"]["docker"] == "27.3.1"
    result = user.run("ssh-dock", "old", "--", "echo here")
    assert result.stdout == "here\n"
    words = f"ssh -o StrictHostKeyChecking=ask -l {user.name} 127.0.0.1 'echo here'"
    assert result.stderr.splitlines()[0] == words


def test_nothing_in_a_dockerutils_file_is_run(user: User) -> None:
    text = (
        "DOCK_IP=$(touch ran)\nDOCK_MONIKER=`touch ran`\n-a x\ntouch ran\n"
        "DOCK_USER=-oProxyCommand=touch${IFS}ran\nPATH=/nowhere\n"
    )
    user.write(".docker/bad/connection_config.txt", text)
    user.write(".docker/good/connection_config.txt", "DOCK_IP=10.0.0.1\nDOCK_USER=x\n")
    user.own(user.home)
    result = user.run("ls-dock", "--json", "--offline")
    assert [row["moniker"] for row in json.loads(result.stdout)] == ["10.0.0.1"]
    assert "~/.docker/bad/connection_config.txt is left out" in result.stderr
    assert not list(user.home.rglob("ran"))


def test_another_users_directory_is_left_alone(user: User) -> None:
    directory = user.config / "ssh_config"
    user.config.chmod(0o777)
    os.chown(user.config, 0, 0)
    refused(user.run("register-dock", "--offline", "10.0.0.1"), "belongs to another user")
    assert not directory.exists()


def test_a_dockerutils_dock_is_registered_by_its_moniker(user: User) -> None:
    text = OLD.format("admin", "old", "10.0.0.1", "10.0.0.1")
    user.write(".docker/10.0.0.1/connection_config.txt", text)
    user.own(user.home)
    assert user.run("register-dock", "--offline", "old").status == 0
    assert "Host old\n  HostName 10.0.0.1\n  User admin\n" in (
        user.config / "ssh_config"
    ).read_text(encoding="utf-8")


def test_a_dockerutils_dock_can_be_unregistered(user: User) -> None:
    user.write(".docker/10.0.0.1/connection_config.txt", OLD.format("u", "old", "a", "10.0.0.1"))
    user.own(user.home)
    assert user.run("unregister-dock", "old").status == 0
    assert not (user.home / ".docker" / "10.0.0.1").exists()
    assert listed(user, "--offline") == {}


# --- unregistering --------------------------------------------------------------------------------


def test_unregistering_leaves_the_others(user: User) -> None:
    user.run("register-dock", "--offline", "10.0.0.1", "a")
    user.run("register-dock", "--offline", "10.0.0.2", "b")
    before = user.files()
    result = user.run("unregister-dock", "a", "--remove-include")
    refused(result, "ssh would no longer know b")
    assert user.files() == before
    assert user.run("unregister-dock", "10.0.0.1").status == 0
    assert set(listed(user, "--offline")) == {"b"}
    assert user.ssh_config.exists()


@pytest.mark.parametrize("content", ["Host x\n  User y", "Host x\r\n\tUser y\r\n", "# only\n\n"])
def test_without_a_terminal_the_line_stays_until_it_is_asked_for(user: User, content: str) -> None:
    user.write(".ssh/config", content, 0o600)
    before = user.files()
    user.run("register-dock", "--offline", "10.0.0.1", "a")
    result = user.run("unregister-dock", "a")
    assert result.status == 0
    assert hint_command(result).startswith("shellenv unregister-dock --remove-include")
    assert "Include" in user.ssh_config.read_text()
    assert user.run("unregister-dock", "--remove-include").status == 0
    assert user.files() == before


@pytest.mark.parametrize("answer", ["y", "n"])
def test_at_a_terminal_the_person_is_asked_about_the_line(user: User, answer: str) -> None:
    user.run("register-dock", "--offline", "10.0.0.1", "a")
    with user.terminal("unregister-dock", "a") as terminal:
        terminal.expect_exact("[y/N]")
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0
    assert ("Include" in user.ssh_config.read_text()) == (answer == "n")


def test_an_unknown_dock_cannot_be_unregistered(user: User) -> None:
    user.run("register-dock", "--offline", "10.0.0.1", "a")
    before = user.files()
    refused(user.run("unregister-dock", "b"), "no dock is called 'b'")
    assert user.files() == before


def test_each_bare_verb_is_installed_as_a_program_of_its_own() -> None:
    text = (SOURCE / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition('"shellenv.sh" = [')[2].partition("]")[0]
    names = set(re.findall(r'"([\w-]+)"', section))
    assert names == {name for name, verb in cli.VERBS.items() if verb.bare}
