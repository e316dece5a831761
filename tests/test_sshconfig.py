"""Our one line in ~/.ssh/config: where it goes, and that nothing else in the file changes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from harness import require
from hypothesis import given
from hypothesis import strategies as st

from shellenv import docks, sshconfig
from shellenv.docks import Dock
from shellenv.errors import ShellenvError

HOME = "/home/me"
OURS = f"{HOME}/.config/shellenv/ssh_config"
LINE = b"Include ~/.config/shellenv/ssh_config"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", LINE + b"\n"),
        (b"Host a\n  User b", LINE + b"\nHost a\n  User b"),
        (b"Host a\r\n  User b\r\n", LINE + b"\r\nHost a\r\n  User b\r\n"),
        (b"User b\n", LINE + b"\nUser b\n"),
        (b"# mine\n\n\xff\n", LINE + b"\n# mine\n\n\xff\n"),
        # in a block it holds for that block's hosts alone; below an option, the option wins
        (b"Host a\n" + LINE + b"\n  User b\n", LINE + b"\nHost a\n  User b\n"),
        (b"User b\n" + LINE + b"\n", LINE + b"\nUser b\n"),
        (b"Match all\n  " + LINE, LINE + b"\nMatch all\n"),
        (LINE.replace(b"ssh", b"SSH", 1), LINE + b"\n" + LINE.replace(b"ssh", b"SSH", 1)),
    ],
)
def test_the_line_becomes_the_first_and_the_rest_stays(before: bytes, after: bytes) -> None:
    assert sshconfig.with_include(before, OURS, HOME) == after
    assert sshconfig.with_include(after, OURS, HOME) == after


@pytest.mark.parametrize(
    "content",
    [
        LINE,
        b"# mine\n\n" + LINE + b"\r\nHost a\n",
        b"Include other\n" + LINE + b"\n",
        b"include=" + OURS.encode() + b"\n",
        b'\tINCLUDE "' + OURS.encode() + b'"\nHost a\n',
        b"Include conf.d/* " + OURS.encode() + b"\nHost a\n",
    ],
)
def test_a_line_that_is_effective_stays_where_it_is(content: bytes) -> None:
    assert sshconfig.with_include(content, OURS, HOME) == content


@given(st.binary().filter(lambda content: b"nclude" not in content.lower()))
def test_adding_and_removing_it_gives_the_same_bytes(content: bytes) -> None:
    added = sshconfig.with_include(content, OURS, HOME)
    assert added.endswith(content)
    assert sshconfig.has_include(added, OURS, HOME)
    assert sshconfig.without_include(added, OURS, HOME) == content


def test_a_space_in_the_path_is_quoted_and_a_pattern_refused() -> None:
    assert sshconfig.include_line("/a b/ssh_config", HOME) == 'Include "/a b/ssh_config"'
    for path in ("/a*/c", "/a[b]/c", "/a\nb/c", '/a"b/c', "/a%b/c", "/a\\b"):
        with pytest.raises(ShellenvError):
            sshconfig.include_line(path, HOME)


# The two ways in which OpenSSH would read the file otherwise, shown by OpenSSH itself


def effective(config: bytes, host: str, tmp_path: Path) -> dict[str, str]:
    require("ssh")
    file = tmp_path / "config"
    file.write_bytes(config)
    argv = ["ssh", "-T", "-F", str(file), "-G", host]
    lines = subprocess.check_output(argv, text=True).splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


@pytest.mark.parametrize(
    "users",
    [b"Host *\n  User other\n  Port 1\n", b"User other\r\nPort 1\r\n", b"Match all\nPort 1"],
)
def test_ssh_reads_the_dock_before_everything_of_the_users(users: bytes, tmp_path: Path) -> None:
    ours = tmp_path / "my docks"
    ours.write_text(docks.with_dock("", Dock("dev", "10.1.2.3", "me", 2222, "/my key")))
    content = sshconfig.with_include(users, str(ours), HOME)
    found = effective(content, "dev", tmp_path)
    assert (found["hostname"], found["user"], found["port"]) == ("10.1.2.3", "me", "2222")
    assert (found["identityfile"], found["identitiesonly"]) == ("/my key", "yes")
    found = effective(content, "elsewhere", tmp_path)
    assert (found["hostname"], found["port"]) == ("elsewhere", "1")


def test_ssh_reads_the_users_rules_for_a_docks_address(tmp_path: Path) -> None:
    ours = tmp_path / "docks"
    ours.write_text(docks.with_dock("", Dock("dev", "10.1.2.3")))
    users = b"Host 10.1.*\n  ProxyJump bastion\nHost dev\n  ForwardAgent yes\n"
    found = effective(sshconfig.with_include(users, str(ours), HOME), "dev", tmp_path)
    assert (found["proxyjump"], found["forwardagent"]) == ("bastion", "yes")


# --- writing -------------------------------------------------------------------------------------


def test_a_missing_file_is_made_for_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / ".ssh" / "config"
    sshconfig.replace(str(file), b"", b"new\n")
    assert file.read_bytes() == b"new\n"
    modes = [path.stat().st_mode & 0o777 for path in (file.parent, file)]
    assert modes == [0o700, 0o600]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640])
def test_the_mode_stays(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"old")
    file.chmod(mode)
    sshconfig.replace(str(file), b"old", b"new")
    assert (file.stat().st_mode & 0o777, file.read_bytes()) == (mode, b"new")
    assert os.listdir(tmp_path) == ["config"]


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles" / "ssh", tmp_path / ".ssh" / "config"
    for path in (target, link):
        path.parent.mkdir()
    target.write_bytes(b"old")
    link.symlink_to("../dotfiles/ssh")
    sshconfig.replace(str(link), b"old", b"new")
    assert os.readlink(link) == "../dotfiles/ssh"
    assert target.read_bytes() == b"new"


def test_hard_links_stay_one_file(tmp_path: Path) -> None:
    file, other = tmp_path / "config", tmp_path / "other"
    file.write_bytes(b"older")
    other.hardlink_to(file)
    sshconfig.replace(str(file), b"older", b"longer than it was")
    assert other.read_bytes() == b"longer than it was"
    sshconfig.replace(str(file), b"longer than it was", b"short")
    assert other.read_bytes() == b"short"
    assert file.samefile(other)


def test_a_reader_sees_the_old_or_the_new_file_and_never_a_part(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"old")
    with file.open("rb") as reader:
        sshconfig.replace(str(file), b"old", b"new content")
        assert reader.read() == b"old", "it was replaced, not written to"


def test_a_read_only_file_is_left_alone_and_the_line_is_said(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"old")
    file.chmod(0o444)
    with pytest.raises(ShellenvError) as caught:
        sshconfig.check_writable(str(file), "it", "do it")
    assert "read-only" in caught.value.message
    assert caught.value.hint == "do it"


def test_somebody_elses_change_meanwhile_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"theirs")
    with pytest.raises(ShellenvError, match="changed by somebody else"):
        sshconfig.replace(str(file), b"old", b"new")
    assert file.read_bytes() == b"theirs"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ShellenvError):
            sshconfig.read(str(path))


# --- our own file ---------------------------------------------------------------------------------


DOCKS = st.builds(
    Dock,
    moniker=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,9}", fullmatch=True),
    host=st.sampled_from(["10.0.0.1", "fd00::1", "dock.example.com", "x"]),
    user=st.sampled_from(["", "ubuntu", "me@corp", "a.b-c_d+e"]),
    port=st.sampled_from([0, 1, 22, 65535]),
    identity=st.sampled_from(["", "/k", "~/.ssh/my key"]),
    source=st.just(""),
)


@given(st.lists(DOCKS, unique_by=lambda dock: dock.moniker))
def test_what_is_written_is_read_back_in_any_order(known: list[Dock]) -> None:
    text = backwards = ""
    for dock in known:
        text = docks.with_dock(text, docks.checked(dock))
    for dock in reversed(known):
        backwards = docks.with_dock(backwards, dock)
    assert text == backwards
    assert docks.parse(text) == tuple(sorted(known))
    for dock in known:
        text = docks.without_dock(text, dock.moniker)
    assert text == ""


def test_blocks_and_options_of_other_hands_are_kept() -> None:
    text = "# mine\n\nHost *.x\n  User y\n\nHost a\n  HostName 10.0.0.1\n  ForwardAgent yes\n"
    both = docks.with_dock(text, Dock("b", "10.0.0.2"))
    assert "ForwardAgent yes" in both
    assert "Host *.x\n  User y\n" in both
    assert [dock.moniker for dock in docks.parse(both)] == ["a", "b"]
    assert docks.without_dock(docks.without_dock(both, "a"), "b").startswith("# mine\n\nHost *.x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", ("", "host", 0)),
        ("me@host", ("me", "host", 0)),
        ("me@corp@host:22", ("me@corp", "host", 22)),
        ("10.0.0.1:2222", ("", "10.0.0.1", 2222)),
        ("fd00::1", ("", "fd00::1", 0)),
        ("me@[fd00::1]", ("me", "fd00::1", 0)),
        ("[fd00::1]:2222", ("", "fd00::1", 2222)),
        ("ssh://me@host:1", ("me", "host", 1)),
    ],
)
def test_a_target_is_read_as_ssh_reads_it(text: str, expected: tuple[str, str, int]) -> None:
    assert docks.target(text) == expected
