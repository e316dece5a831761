"""Approval by content: what is allowed, what ends it, and who can grant it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import context, file

from shellenv import trust
from shellenv.errors import ShellenvError
from shellenv.trust import Subject


def subject(path: Path) -> Subject:
    found = trust.read(str(path))
    assert found is not None
    return found


def test_a_file_is_blocked_until_it_is_allowed_and_again_after_an_edit(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    path = file(tmp_path / "p/dockerutils.cfg", "first")
    first = subject(path)
    assert trust.check(ctx, *first) == "blocked"
    trust.allow(ctx, [first])
    assert trust.check(ctx, *first) == "allowed"
    second = subject(file(path, "second"))
    assert trust.check(ctx, *second) == "blocked"
    assert trust.check(ctx, *first) == "allowed", "what was approved once stays so"


def test_the_same_content_elsewhere_is_another_file(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    one, other = (subject(file(tmp_path / name, "content")) for name in ("one", "other"))
    trust.allow(ctx, [one])
    assert trust.check(ctx, *other) == "blocked"


def test_path_and_content_cannot_be_mistaken_for_each_other(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    trust.allow(ctx, [Subject("/a", b"bc")])
    assert trust.check(ctx, "/ab", b"c") == "blocked"
    assert trust.check(ctx, "/a", b"") == "blocked"


def test_a_denied_file_stays_denied_whatever_it_says(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    path = file(tmp_path / "f", "first")
    first = subject(path)
    trust.allow(ctx, [first])
    trust.deny(ctx, [str(path)])
    assert trust.check(ctx, *first) == "denied"
    assert trust.check(ctx, *subject(file(path, "second"))) == "denied"


def test_allowing_a_denied_file_brings_back_none_of_its_older_approvals(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    path = file(tmp_path / "f", "first")
    other = subject(file(tmp_path / "g", "other"))
    first = subject(path)
    trust.allow(ctx, [first, other])
    trust.deny(ctx, [str(path)])
    second = subject(file(path, "second"))
    trust.allow(ctx, [second])
    assert trust.check(ctx, *second) == "allowed"
    assert trust.check(ctx, *first) == "blocked"
    assert trust.check(ctx, *other) == "allowed"


def test_a_file_that_others_can_write_is_refused_with_the_command_that_mends_it(
    tmp_path: Path,
) -> None:
    ctx = context(tmp_path)
    good = subject(file(tmp_path / "good"))
    path = file(tmp_path / "bad one")
    path.chmod(0o646)
    bad = subject(path)
    assert trust.check(ctx, *bad) == "unsafe"
    with pytest.raises(ShellenvError) as caught:
        trust.allow(ctx, [good, bad])
    assert caught.value.hint == f"chmod o-w '{path}'"
    assert trust.check(ctx, *good) == "blocked", "all or none"
    path.chmod(0o644)
    trust.allow(ctx, [good, bad])
    path.chmod(0o646)
    assert trust.check(ctx, *bad) == "unsafe", "also after it was allowed"


def test_records_are_private_and_say_what_they_are_about(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    path = file(tmp_path / "f")
    old_mask = os.umask(0)
    try:
        trust.allow(ctx, [subject(path)])
    finally:
        os.umask(old_mask)
    record = trust.record_path(ctx, *subject(path))
    assert record is not None
    assert Path(record).read_bytes() == os.fsencode(path) + b"\n"
    assert stat.S_IMODE(os.stat(record).st_mode) == 0o600
    state = tmp_path / ".local/state/shellenv"
    for directory in (state, state / "allow"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [entry.name for entry in (state / "allow").iterdir()] == [os.path.basename(record)]


def test_the_watched_records_are_those_that_decide(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    path = file(tmp_path / "f")
    found = subject(path)
    allowed = Path(trust.record_path(ctx, *found) or "")
    denied = Path(trust.denial_path(ctx, found.path) or "")
    trust.allow(ctx, [found])
    assert (allowed.exists(), denied.exists()) == (True, False)
    trust.deny(ctx, [found.path])
    assert (allowed.exists(), denied.exists()) == (False, True)
    trust.allow(ctx, [found])
    assert (allowed.exists(), denied.exists()) == (True, False)


def test_another_user_s_approval_is_worth_nothing(tmp_path: Path) -> None:
    theirs = context(tmp_path)
    found = subject(file(tmp_path / "f"))
    trust.allow(theirs, [found])
    ours = theirs._replace(uid=theirs.uid + 1)
    assert trust.check(ours, *found) == "blocked"
    with pytest.raises(ShellenvError, match="belongs to another user"):
        trust.allow(ours, [found])
    with pytest.raises(ShellenvError, match="belongs to another user"):
        trust.deny(ours, [found.path])


def test_without_a_home_nothing_is_allowed(tmp_path: Path) -> None:
    ctx = context(tmp_path)._replace(home=None, env={})
    found = subject(file(tmp_path / "f"))
    assert trust.check(ctx, *found) == "blocked"
    assert trust.record_path(ctx, *found) is None
    assert trust.denial_path(ctx, found.path) is None
    with pytest.raises(ShellenvError, match="no home directory"):
        trust.allow(ctx, [found])


def test_the_state_directory_can_be_elsewhere(tmp_path: Path) -> None:
    found = subject(file(tmp_path / "f"))
    ctx = context(tmp_path, XDG_STATE_HOME=f"{tmp_path}/state")
    trust.allow(ctx, [found])
    assert (tmp_path / "state/shellenv/allow").is_dir()
    relative = context(tmp_path, XDG_STATE_HOME="state")
    assert trust.check(relative, *found) == "blocked", "a relative one is ignored"


def test_a_state_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    file(tmp_path / ".local/state")
    with pytest.raises(ShellenvError) as caught:
        trust.allow(context(tmp_path), [subject(file(tmp_path / "f"))])
    assert caught.value.message.startswith(f"cannot use {tmp_path}/.local/state/shellenv: ")
    assert caught.value.hint


def test_a_virtual_environment_is_allowed_when_all_its_scripts_are(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    venv = str(tmp_path / "p/.venv")
    assert not trust.venv_allowed(ctx, venv), "there is none"
    posix = file(tmp_path / "p/.venv/bin/activate")
    fish = file(tmp_path / "p/.venv/bin/activate.fish")
    assert trust.venv_scripts(venv) == (str(posix), str(fish))
    trust.allow(ctx, [subject(posix)])
    assert not trust.venv_allowed(ctx, venv)
    trust.allow(ctx, [subject(fish)])
    assert trust.venv_allowed(ctx, venv)
    file(posix, "changed")
    assert not trust.venv_allowed(ctx, venv)


def test_what_is_no_regular_file_of_a_sane_size_cannot_be_approved(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "huge", "wb") as stream:
        stream.truncate(1 << 40)
    for name in ("pipe", "huge", "absent", "."):
        assert trust.read(str(tmp_path / name)) is None


NAMES = st.binary(min_size=1, max_size=200).filter(lambda name: not {0, ord("/")} & set(name))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES, st.binary(max_size=100))
def test_any_name_and_content_can_be_allowed_and_denied(
    tmp_path: Path, name: bytes, content: bytes
) -> None:
    ctx = context(tmp_path)
    path = f"{tmp_path}/{os.fsdecode(name)}"
    trust.allow(ctx, [Subject(path, content)])
    trust.allow(ctx, [Subject(path, content + b"!")])
    assert trust.check(ctx, path, content) == "allowed"
    trust.deny(ctx, [path])
    assert trust.check(ctx, path, content) == "denied"
    assert list((tmp_path / ".local/state/shellenv/allow").iterdir()) == []
