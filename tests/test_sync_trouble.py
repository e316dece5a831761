"""The sync in bad surroundings: cut off, locked, full, closed. Nothing is lost, and it says why."""

from __future__ import annotations

import errno
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from docksync import Far, Pair, again, contents, tree
from harness import eventually, write

from shellenv.errors import ShellenvError
from shellenv.sync import aside, bracket, first, receive, send, transfer
from shellenv.sync import contents as versions
from shellenv.sync.channel import Channel, Loan
from shellenv.sync.manifest import Store, store
from shellenv.sync.remote import Owner, Remote
from shellenv.sync.wish import DOWN, UP
from shellenv.sync.yard import Yard


def children(pid: int, name: str) -> list[int]:
    """Processes of this name that a process has started."""
    argv = ["pgrep", "-P", str(pid), "-x", name]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]


# --- cut off --------------------------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["python", "rsync", "ssh"])
@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_sync_that_is_killed_is_finished_by_the_next(
    pair: Pair, direction: str, victim: str
) -> None:
    pair.started(a="1")
    source = pair.here if direction == UP else pair.there
    for number in range(20):
        write(source / f"big {number}", os.urandom(3 << 20))
    pair.far.own(pair.remote_root)
    sync = pair.spawn(direction)
    eventually(lambda: children(sync.pid, "rsync") or sync.poll() is not None, pause=0.002)
    pid = sync.pid if victim == "python" else children(sync.pid, victim)[0]
    os.kill(pid, signal.SIGKILL)
    sync.communicate()
    assert sync.returncode != 0 or (victim, direction) == ("ssh", DOWN)  # it may not need that
    pair.up()
    pair.down()
    assert len(tree(pair.here)) == 21
    assert tree(pair.here) == tree(pair.there)
    assert not any(pair.there.parent.joinpath(".shellenv", "project", "in").rglob("*"))
    assert not any(pair.there.parent.joinpath(".shellenv", "project", "was").iterdir())


@pytest.mark.parametrize("victim", ["python", "rsync"])
def test_a_first_sync_that_is_killed_is_finished_by_the_next(pair: Pair, victim: str) -> None:
    for number in range(150):
        write(pair.here / f"file {number}", os.urandom(1 << 18))
    sync = pair.spawn(UP)
    eventually(lambda: children(sync.pid, "rsync"), pause=0.002)
    time.sleep(0.05)
    pid = sync.pid if victim == "python" else children(sync.pid, "rsync")[0]
    os.kill(pid, signal.SIGKILL)
    sync.communicate()
    write(pair.here / "file 1", "changed since")
    (pair.here / "file 2").unlink()
    assert not pair.up().conflicts
    assert tree(pair.here) == tree(pair.there)
    assert not pair.down().did_anything
    assert sorted(os.listdir(pair.there.parent / ".shellenv" / "project" / "was")) == []


@contextmanager
def cut_off_before_its_end(
    monkeypatch: pytest.MonkeyPatch, target: object = Store, name: str = "save"
) -> Iterator[None]:
    """A sync in here does everything but write down what it did, or comes to another end."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target, name, stop)
        try:
            yield
        except KeyboardInterrupt:
            return
    pytest.fail("it was not cut off")


def test_what_a_cut_off_sync_brought_is_no_conflict_for_the_next(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.started(a="1", b="1", gone="1", left="1")
    write(pair.here / "a", "2")
    (pair.here / "gone").unlink()
    with cut_off_before_its_end(monkeypatch):
        pair.up()
    assert (pair.there / "a").read_text() == "2"
    write(pair.here / "a", "3")
    write(pair.there / "b", "2")
    (pair.there / "left").unlink()
    pair.up()
    with cut_off_before_its_end(monkeypatch):
        pair.down()
    assert (pair.here / "b").read_text() == "2"
    write(pair.there / "b", "3")
    pair.up()
    pair.down()
    expected = {"a": (0o644, b"3"), "b": (0o644, b"3")}
    assert tree(pair.here) == tree(pair.there) == expected


def test_a_conflict_of_a_cut_off_sync_is_told_when_the_other_version_comes(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.started(a="1", b="1")
    write(pair.here / "a", "here")
    write(pair.there / "a", "there")
    with cut_off_before_its_end(monkeypatch, transfer, "run"):
        pair.up()
    pair.up()
    ((name, copy),) = pair.down().conflicts
    assert name == b"a"
    assert (pair.here / os.fsdecode(copy)).read_text() == "there"
    assert not pair.down().conflicts


@contextmanager
def killed_before_mv(pair: Pair) -> Iterator[None]:
    """Meanwhile the shell at the dock is killed when the old version has its second name."""
    with (
        instead(pair, "perl", "exit 1"),  # then mv does it
        instead(pair, "mv", "kill -9 $PPID"),
        pytest.raises(ShellenvError, match="Killed"),
    ):
        yield


def test_what_a_cut_off_sync_was_about_to_replace_is_no_conflict(pair: Pair) -> None:
    pair.started(a="1")
    write(pair.here / "a", "2")
    with killed_before_mv(pair):
        pair.up()
    assert (pair.there / "a").read_text() == "1"
    assert not pair.up().conflicts
    pair.both()
    assert contents(pair.here) == {b"2"}


@pytest.mark.parametrize("large", [False, True])
def test_what_a_cut_off_sync_brought_is_not_taken_for_what_has_become_of_it_since(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """It is as long, and as old, and rsync does not come to replace it."""
    if large:
        monkeypatch.setattr(versions, "_LARGE", 1)
    pair.started(a="1")
    write(pair.here / "a", "ours")
    with cut_off_before_its_end(monkeypatch, aside, "install"):
        pair.up()
    again(pair.here / "a", "late")
    with instead(pair, "rsync", "exit 3"):
        assert pair.up().failed == (b"a",)
    pair.down()
    assert (pair.here / "a").read_text() == "late"
    pair.both()
    assert (pair.there / "a").read_text() == "late"


def with_a_closed_directory(pair: Pair) -> None:
    """On both sides, with a file in it."""
    write(pair.here / "d" / "a", "1")
    (pair.here / "d").chmod(0o555)
    pair.started()


def test_a_directory_that_a_cut_off_sync_had_made_writable_is_as_it_was(pair: Pair) -> None:
    with_a_closed_directory(pair)
    write(pair.here / "d" / "a", "2")
    with killed_before_mv(pair):
        pair.up()
    assert (pair.there / "d").stat().st_mode & 0o777 == 0o755
    pair.both()
    assert tree(pair.here) == {"d": ("directory", 0o555), "d/a": (0o644, b"2")}


def test_a_directory_whose_permissions_cannot_be_told_is_not_made_writable(pair: Pair) -> None:
    with_a_closed_directory(pair)
    write(pair.here / "d" / "a", "2")
    with instead(pair, "stat", "exit 1"):
        assert pair.up().failed == (b"d/a",)
    pair.both()
    assert tree(pair.here) == {"d": ("directory", 0o555), "d/a": (0o644, b"2")}


def test_a_directory_here_that_a_cut_off_sync_had_made_writable_is_as_it_was(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_closed_directory(pair)
    write(pair.there / "d" / "a", "2")
    with cut_off_before_its_end(monkeypatch):
        pair.down()
    (pair.here / "d").chmod(0o755)  # as root need not do it
    pair.both()
    assert tree(pair.here) == {"d": ("directory", 0o555), "d/a": (0o644, b"2")}


def test_a_read_only_directory_that_a_cut_off_sync_has_made_here_is_as_it_is_there(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.started(first="1")
    write(pair.there / "d" / "a", "2")
    (pair.there / "d").chmod(0o555)
    with cut_off_before_its_end(monkeypatch, Yard, "chmod"):
        pair.down()
    assert (pair.here / "d").stat().st_mode & 0o777 == 0o755
    pair.both()
    assert tree(pair.here)["d"] == ("directory", 0o555)


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_directory_that_somebody_makes_writable_stays_it_though_a_sync_is_cut_off(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    with_a_closed_directory(pair)
    changed, other = (pair.here, pair.there) if side == "here" else (pair.there, pair.here)
    (changed / "d").chmod(0o755)
    write(other / "d" / "a", "2")
    with cut_off_before_its_end(monkeypatch):
        pair.down() if side == "here" else pair.up()
    pair.both()
    assert tree(pair.here) == {"d": ("directory", 0o755), "d/a": (0o644, b"2")}


@contextmanager
def cut_off_with_an_unseen_version_aside(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A sync has moved aside what somebody had just written: gives the directory of that."""
    pair.started(a="1", b="1")
    write(pair.here / "a", "2")
    install = aside.install

    def write_first(*args: Any) -> None:
        again(pair.there / "a", "unseen")
        install(*args)

    with cut_off_before_its_end(monkeypatch, send, "verify"), monkeypatch.context() as patch:
        patch.setattr(aside, "install", write_first)
        pair.up()
    (was,) = (pair.there.parent / ".shellenv" / "project" / "was").iterdir()
    assert contents(was) == {b"unseen"}
    yield was
    pair.both()
    assert contents(pair.here) == {b"1", b"2", b"unseen"}


def test_what_a_cut_off_sync_moved_aside_is_kept_while_nobody_can_look_at_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cut_off_with_an_unseen_version_aside(pair, monkeypatch) as was:
        was.chmod(0)
        with pytest.raises(ShellenvError):
            pair.up()
        was.chmod(0o755)


def test_what_a_cut_off_sync_moved_aside_is_kept_though_it_is_not_listed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cut_off_with_an_unseen_version_aside(pair, monkeypatch) as was:
        was.parent.chmod(0o311)
        pair.up()
        was.parent.chmod(0o755)
        pair.up()


@pytest.mark.parametrize("more", [False, True])
def test_what_could_not_be_removed_of_a_cut_off_sync_goes_with_the_next(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, more: bool
) -> None:
    pair.started(a="1")
    write(pair.here / "a", "2")
    with cut_off_before_its_end(monkeypatch):
        pair.up()
    if more:
        write(pair.here / "a", "3")
    with instead(pair, "rm", "kill -9 $$"):
        pair.up()
    pair.up()
    assert pair.told == []
    assert not any(pair.there.parent.joinpath(".shellenv", "project", "was").iterdir())


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_what_was_written_over_what_a_cut_off_sync_brought_is_kept(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    pair.started(a="1")
    target = pair.there if direction == UP else pair.here
    source = pair.here if direction == UP else pair.there
    write(source / "a", "brought")
    with cut_off_before_its_end(monkeypatch):
        pair.sync(direction)
    assert (target / "a").read_text() == "brought"
    again(target / "a", "written")
    pair.both()
    assert contents(pair.here) == {b"brought", b"written"}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_cut_off_sync_did_not_bring_what_only_looks_as_if_it_had(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, direction: str, large: bool
) -> None:
    if large:
        monkeypatch.setattr(versions, "_LARGE", 1)
    pair.started(a="one")
    again((pair.here if direction == UP else pair.there) / "a", "two")
    with cut_off_before_its_end(monkeypatch, transfer, "run"):
        pair.sync(direction)
    pair.both()
    assert contents(pair.here) == {b"two"}


def test_a_version_that_only_the_cut_off_sync_had_is_brought_back(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written into the place of the file at the very moment in which that was replaced."""
    pair.started(a="their  a", gone="their  gone")
    write(pair.here / "a", "ours")
    (pair.here / "gone").unlink()
    with cut_off_before_its_end(monkeypatch):
        pair.up()
    (was,) = pair.there.parent.joinpath(".shellenv", "project", "was").iterdir()
    for path in was.rglob("*"):
        if path.is_file():
            again(path, "unseen " + path.name)
    pair.both()
    assert contents(pair.here) == {b"ours", b"unseen a", b"unseen gone"}
    assert (pair.here / "gone").read_text() == "unseen gone"


def test_a_directory_that_only_the_cut_off_sync_had_is_brought_back(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made in the place of the file at the very moment in which that was replaced."""
    pair.started(a="old")
    write(pair.there / "a", "from there")
    install = receive.install

    def replaced_first(*args: Any) -> receive.Received:
        (pair.here / "a").unlink()
        write(pair.here / "a" / "deep" / "b", "unseen")
        return install(*args)

    with monkeypatch.context() as patch:
        patch.setattr(receive, "install", replaced_first)
        with cut_off_before_its_end(monkeypatch, Yard, "is_at"):
            pair.down()
    pair.both()
    assert contents(pair.here) == {b"from there", b"unseen"}


def test_a_connection_that_is_lost_before_a_first_sync_sends_anything_is_said(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(pair)
    begin = Loan.begin

    def lose_first(loan: Loan) -> None:
        loan._channel._child.kill()
        loan._channel._child.wait()
        begin(loan)

    with monkeypatch.context() as patch:
        patch.setattr(Loan, "begin", lose_first)
        with pytest.raises(ShellenvError, match=r"rsync|lost"):
            pair.up()
    pair.both()
    assert len(tree(pair.there)) == 150


def many(pair: Pair) -> Pair:
    """A project that a first sync brings up as a whole."""
    for number in range(150):
        write(pair.here / f"{number}", "old")
    return pair


def test_what_a_first_sync_brought_and_did_not_write_down_is_no_conflict(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(pair)
    with cut_off_before_its_end(monkeypatch, Store, "commit"):
        pair.up()
    write(pair.here / "1", "new")
    (pair.here / "2").unlink()
    for sync in (pair.up, pair.down):
        outcome = sync()
        assert not outcome.conflicts
        assert not outcome.received
    assert tree(pair.here) == tree(pair.there)
    assert len(tree(pair.here)) == 149


def test_a_first_sync_that_goes_on_sees_what_neither_size_nor_time_say(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cut_off_before_its_end(monkeypatch, first, "put_in_place"):
        many(pair).up()
    again(pair.here / "1", "new")
    (pair.here / "2").chmod(0o444)
    assert not pair.up().failed
    assert not pair.down().conflicts
    assert tree(pair.here) == tree(pair.there)
    assert (pair.here / "1").read_text() == "new"


def test_what_changes_here_during_a_first_sync_comes_with_the_next(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = transfer.run

    def busy(*args: Any) -> transfer.Moved:
        def change(when: str) -> None:
            write(pair.here / f"1{when}", "longer")
            again(pair.here / f"2{when}", "new")
            (pair.here / f"3{when}").unlink()
            write(pair.here / f"new{when}", "new")

        change("0")
        moved = run(*args)
        change("1")
        return moved

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "run", busy)
        failed = 'printf half >"$own/new/4"\n'
        patch.setattr(first, "LISTING", failed + first.LISTING)
        many(pair).up()
    assert "new0" in tree(pair.there)
    for sync in (pair.up, pair.down):
        outcome = sync()
        assert not outcome.conflicts
        assert not outcome.received
    assert tree(pair.here) == tree(pair.there)
    assert len(tree(pair.here)) == 150


@pytest.mark.parametrize("name", ["manifest", "manifest.next"])
@pytest.mark.parametrize("left", [0.0, 0.5, 0.999])
def test_a_first_sync_of_which_a_failing_power_left_half_a_note_is_no_conflict(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, name: str, left: float
) -> None:
    """Its notes are not waited for until they are on the disk."""
    many(pair)
    if name == "manifest":
        pair.up()
    else:
        with cut_off_before_its_end(monkeypatch, Store, "commit"):
            pair.up()
    (note,) = pair.home.glob(f"**/sync/*/{name}")
    os.truncate(note, int(note.stat().st_size * left))
    for sync in (pair.up, pair.down):
        outcome = sync()
        assert not outcome.conflicts
        assert not outcome.sent
        assert not outcome.received
    assert tree(pair.here) == tree(pair.there)
    assert len(tree(pair.here)) == 150
    assert not list(pair.home.glob("**/sync/*/manifest.next"))


@pytest.mark.parametrize("name", ["manifest", "journal"])
def test_a_note_of_which_a_failing_power_left_zeros_counts_as_lost(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A file system may write down how long a file is before it writes what is in it."""
    pair.started(a="1")
    if name == "journal":
        write(pair.here / "a", "2")
        with cut_off_before_its_end(monkeypatch):
            pair.up()
    (note,) = pair.home.glob(f"**/sync/*/{name}")
    head, line, rest = note.read_bytes().partition(b"\n")
    for content in (head + line + bytes(len(rest)), bytes(len(head + line + rest)), b"[]\n"):
        note.write_bytes(content)
        assert not pair.up().conflicts
    assert tree(pair.here) == tree(pair.there)
    assert not list(pair.home.glob("**/sync/*/journal"))


@pytest.mark.parametrize("name", ["manifest", "manifest.next", "id", "seen"])
@pytest.mark.parametrize("content", [b'{"here": "x", "sum": 0}\n', b'{"sum": 0}\n', b"\xff\n"])
def test_a_note_that_is_damaged_counts_as_lost(pair: Pair, name: str, content: bytes) -> None:
    pair.started(a="1")
    (note,) = pair.home.glob("**/sync/*/id")
    (note.parent / name).write_bytes(content)
    write(pair.here / "b", "2")
    assert pair.up().sent == (b"b",)
    pair.both()


def test_a_state_directory_that_cannot_be_written_to_is_named(pair: Pair) -> None:
    pair.started(a="1")
    (lock,) = pair.home.glob("**/sync/*/lock")
    lock.unlink()
    lock.mkdir()
    with pytest.raises(ShellenvError, match=r"cannot write .*/sync/project-"):
        pair.up()


def test_a_list_of_names_that_cannot_be_written_here_is_said(pair: Pair) -> None:
    pair.started(a="1")
    write(pair.here / "a", "2")
    (listing,) = pair.home.glob("**/sync/*/files")
    listing.unlink()
    listing.mkdir()  # it is like a full disk
    with pytest.raises(ShellenvError, match=r"cannot write .*/files: "):
        pair.up()
    listing.rmdir()
    pair.both()
    assert contents(pair.there) == {b"2"}


def test_a_project_that_its_owner_may_not_write_to_is_brought_up(pair: Pair) -> None:
    """Nobody can move such a directory, nor remove what is in it."""
    many(pair)
    write(pair.here / "sub" / "x")
    (pair.here / "sub").chmod(0o500)
    pair.here.chmod(0o500)
    assert len(pair.up().sent) == 152
    write(pair.here / "new")
    assert pair.up().sent == (b"new",)


def test_a_first_sync_that_fails_leaves_no_directory_that_cannot_be_removed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(many(pair).here / "sub" / "x")
    (pair.here / "sub").chmod(0o500)
    with monkeypatch.context() as patch:
        patch.setattr(first, "put_in_place", lambda *_: False)
        pair.up()
    assert tree(pair.here) == tree(pair.there)
    assert not pair.there.parent.joinpath(".shellenv", "project", "new").exists()


def test_what_is_made_and_left_out_during_a_first_sync_is_not_sent(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rsync is told the paths that these rules leave out, as the scan has found them."""
    load = first.load
    many(pair)

    def later(*args: Any) -> first.Load:
        write(pair.here / "sub" / "secret1")
        return load(*args)

    monkeypatch.setattr(first, "load", later)
    assert len(pair.up("**/secret?").sent) == 150
    assert len(tree(pair.there)) == 150
    assert pair.up("**/secret?").sent == (b"sub",)


def test_a_journal_that_was_only_not_removed_is_no_reason_to_recover_twice(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.started(a="1")
    write(pair.here / "a", "2")
    time.sleep(0.1)  # else it is looked at again, and all of it written anew
    with cut_off_before_its_end(monkeypatch, Store, "forget_journal"):
        pair.up()
    assert list(pair.home.glob("**/sync/*/journal"))
    assert not pair.up().did_anything
    assert not list(pair.home.glob("**/sync/*/journal"))


def test_a_name_with_a_backslash_beside_a_wildcard_comes_down_with_all_others(pair: Pair) -> None:
    """rsync itself would refuse it, and everything else with it."""
    pair.started(a="1")
    for name in ("a\\*", "[x\\]", "sub/\\[", "plain"):
        write(pair.there / name, name)
    outcome = pair.down()
    assert outcome.problem is None
    assert tree(pair.here) == tree(pair.there)
    assert len(tree(pair.here)) == 6


def test_a_directory_replaced_there_that_holds_something_left_out_is_named_not_copied_each_time(
    pair: Pair,
) -> None:
    write(pair.here / "d" / "f", "1")
    cache = write(pair.here / "d" / "__pycache__" / "x")
    pair.started(a="1")
    shutil.rmtree(pair.there / "d")
    (pair.there / "d").symlink_to("a")
    for _ in range(2):
        outcome = pair.down()
        assert outcome.failed == (b"d",)
        assert not outcome.conflicts
        assert "d is no directory at the dock" in str(outcome.problem)
    assert cache.exists()
    shutil.rmtree(cache.parent)
    pair.both()
    assert (pair.here / "d").is_symlink()


def test_a_directory_there_that_holds_something_left_out_and_is_replaced_here_is_named(
    pair: Pair,
) -> None:
    write(pair.here / "d" / "f", "1")
    pair.started(a="1")
    cache = write(pair.there / "d" / "__pycache__" / "x")
    shutil.rmtree(pair.here / "d")
    write(pair.here / "d", "2")
    for _ in range(2):
        outcome = pair.up()
        assert outcome.failed == (b"d",)
        assert str(outcome.problem).startswith("d is a directory at the dock")
    shutil.rmtree(cache.parent)
    pair.both()
    assert (pair.there / "d").read_text() == "2"


def test_what_cannot_come_here_as_it_is_another_file_system_is_named(pair: Pair) -> None:
    write(pair.here / "data" / "a", "1")
    pair.started(b="1")
    with small(pair.here / "data", (0, 0)):
        shutil.copy(pair.there / "data" / "a", pair.here / "data" / "a")
        pair.both()
        write(pair.there / "data" / "a", "2")
        write(pair.there / "b", "2")
        outcome = pair.down()
        assert (outcome.received, outcome.failed) == ((b"b",), (b"data/a",))
        assert "data/a: it is on another file system" in str(outcome.problem)
        assert contents(pair.here) == {b"1", b"2"}


def test_what_a_cut_off_sync_has_here_is_kept_while_nobody_can_look_at_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails now and then must not make it pass for nothing."""
    pair.started(a="1", b="1")
    write(pair.there / "a", "2")
    rescue, stat = receive.rescue_late, os.stat

    def write_first(yard: Yard, *args: Any) -> None:
        again(Path(os.fsdecode(yard.root + b"/" + yard.inside), "a"), "unseen")
        monkeypatch.setattr(os, "stat", broken)
        rescue(yard, *args)

    def broken(path: Any, **options: Any) -> os.stat_result:
        if path == b"a":
            raise OSError(errno.EIO, "Input/output error")
        return stat(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(receive, "rescue_late", write_first)
        for _ in range(2):
            with pytest.raises(ShellenvError, match="Input/output error"):
                pair.down()
    monkeypatch.setattr(os, "stat", stat)
    pair.both()
    assert contents(pair.here) == {b"1", b"2", b"unseen"}


def test_what_is_in_a_closed_directory_that_a_sync_has_moved_is_not_overlooked(
    far: Far,
) -> None:
    top = Path(tempfile.mkdtemp(dir=far.home))
    for path in (top, top / "own", top / "own" / "gone", top / "own" / "gone" / "d"):
        path.mkdir(exist_ok=True)
        os.chown(path, far.uid, far.gid)
    write(top / "own" / "gone" / "d" / "a", "unseen")
    (top / "own" / "gone" / "d").chmod(0)
    os.seteuid(far.uid)
    try:
        with closing(Yard(os.fsencode(top), b"own", lambda path: path)) as yard:
            assert list(yard.left(yard.gone)) == [b"d/a"]
    finally:
        os.seteuid(0)
        shutil.rmtree(top)


# --- two docks ---


def second_dock(pair: Pair, base: Path) -> Pair:
    """The same project with another dock."""
    other = Pair(pair.far, base / f"{base.name}-second")
    other.here, other.home = pair.here, pair.home
    other.up()
    return other


def test_syncs_of_one_project_with_two_docks_do_not_meet(pair: Pair, tmp_path: Path) -> None:
    other = second_dock(pair.started(a="1"), tmp_path)
    names = set()
    for number in range(300):
        names |= {write(side.there / f"{side.base.name} {number}").name for side in (pair, other)}
        pair.far.own(pair.remote_root)
        pair.far.own(other.remote_root)
    syncs = [side.spawn(DOWN) for side in (pair, other)]
    assert [sync.communicate()[1] for sync in syncs] == [b"", b""]
    assert set(tree(pair.here)) == {"a", *names}


def test_a_sync_that_was_cut_off_is_left_to_its_own_dock(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = second_dock(pair.started(a="1"), tmp_path)
    write(pair.there / "a", "2")
    with cut_off_before_its_end(monkeypatch, Yard, "clear"):
        pair.down()
    other.up()
    assert tree(other.there) == {"a": (0o644, b"2")}
    pair.down()
    assert tree(pair.here) == tree(pair.there) == tree(other.there)


LARGE = 80 << 20


@contextmanager
def rsync_that_stops(pair: Pair, size: int) -> Iterator[None]:
    """The rsync there ends when it has written `size` bytes of a file."""
    shim = write(pair.far.home / "remote" / "rsync", SHIM.format(size // 512))
    shim.chmod(0o755)
    yield
    shim.unlink()


SHIM = """#!/bin/sh
trap '' XFSZ; ulimit -f {}; exec /usr/bin/rsync "$@"
"""


def over_the_line(pair: Pair) -> int:
    """The bytes that the connection has brought to and fro so far."""
    check = [*pair.far.words[:-1], "-O", "check", pair.far.words[-1]]
    said = subprocess.run(check, capture_output=True, text=True, check=True).stderr
    found = Path(f"/proc/{said.partition('=')[2].partition(')')[0]}/io").read_text()
    return sum(int(line.split()[1]) for line in found.splitlines()[:2])


def test_what_a_first_sync_has_brought_of_a_large_file_is_not_brought_again(pair: Pair) -> None:
    write(many(pair).here / "large", os.urandom(LARGE))
    with rsync_that_stops(pair, LARGE // 2), pytest.raises(ShellenvError):
        pair.up()
    before = over_the_line(pair)
    assert not pair.up().problem
    assert over_the_line(pair) - before < 2 * LARGE * 0.8  # read once, and written once
    assert tree(pair.here) == tree(pair.there)


def test_what_a_later_sync_has_brought_of_a_large_file_is_not_brought_again(pair: Pair) -> None:
    write(pair.here / "large", "former")
    pair.started()
    write(pair.here / "large", os.urandom(LARGE))
    write(pair.here / "also", "1")
    with rsync_that_stops(pair, LARGE // 2):
        assert pair.up().failed == (b"large",)
    assert (pair.there / "large").read_text() == "former"
    before = over_the_line(pair)
    assert not pair.up().problem
    assert over_the_line(pair) - before < 2 * LARGE * 0.8  # read once, and written once
    assert tree(pair.here) == tree(pair.there)
    assert not (pair.there.parent / ".shellenv" / "project" / "in").exists()


def test_what_is_half_there_of_a_large_file_goes_when_that_is_not_to_go_on(pair: Pair) -> None:
    pair.started(a="1")
    write(pair.here / "large", os.urandom(LARGE))
    with rsync_that_stops(pair, LARGE // 2):
        assert pair.up().failed
    (pair.here / "large").unlink()
    assert not pair.up().did_anything
    assert not (pair.there.parent / ".shellenv" / "project" / "in").exists()
    assert tree(pair.here) == tree(pair.there)


def test_what_a_sync_replaces_is_kept_until_it_is_seen_also_without_perl(pair: Pair) -> None:
    pair.started(a="1", b="1", **{"-c": "1"})
    for name in ("a", "b", "-c", "new"):
        write(pair.here / name, "2")
    write(pair.there / "b", "unseen")
    once = f"mkdir {pair.far.home / pair.base.name} 2>/dev/null"
    edit = f"{once} && printf 'unseen, too' >{pair.there}/a"
    with instead(pair, "perl", f"{edit}; exit 1"):
        outcome = pair.up()
    assert sorted(outcome.sent) == [b"-c", b"a", b"b", b"new"]
    assert {name for name, _ in outcome.conflicts} == {b"a", b"b"}
    pair.both()
    assert contents(pair.here) == {b"2", b"unseen", b"unseen, too"}


@pytest.mark.parametrize("moment", ["r/a", "r/b", "in/b"])
def test_what_is_put_in_the_place_of_a_file_at_any_moment_is_kept_also_without_perl(
    pair: Pair, moment: str
) -> None:
    draft = a_draft_there(pair)
    late = f'/usr/bin/mv "$@"; case "$*" in *{moment}*) /usr/bin/mv {draft} {pair.there}/b; esac'
    with instead(pair, "perl", "exit 1"), instead(pair, "mv", late):
        pair.up()
    pair.both()
    assert contents(pair.here) == {b"2", b"theirs"}


def test_what_is_put_in_the_place_of_a_file_while_that_is_replaced_is_kept(pair: Pair) -> None:
    """It was put there when the new one was about to take its place."""
    draft = a_draft_there(pair)
    late = f"CORE::rename('{draft}', 'b') if $_[1] =~ m{{r/b}}"
    with perl_where(pair, rename=f"my $done = CORE::rename($_[0], $_[1]); {late}; $done"):
        assert [name for name, _ in pair.up().conflicts] == [b"b"]
    pair.both()
    assert contents(pair.here) == {b"2", b"theirs"}


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_sync_that_is_killed_while_a_place_is_empty_deletes_nothing_here(
    pair: Pair, direction: str
) -> None:
    """Without perl, the old version is aside before the new one is there."""
    a_draft_there(pair)
    mv = 'case "$*" in *in/b*) kill -9 $PPID $$; esac; exec /usr/bin/mv "$@"'
    with instead(pair, "perl", "exit 1"), instead(pair, "mv", mv), pytest.raises(ShellenvError):
        pair.up()
    assert not (pair.there / "b").exists()
    pair.sync(direction)
    assert contents(pair.here) == {b"2"}
    pair.both()
    assert contents(pair.there) == {b"2"}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("traded", [False, True])
def test_a_sync_that_is_killed_while_a_file_is_replaced_neither_loses_nor_copies_one(
    pair: Pair, traded: bool, late: bool
) -> None:
    draft = a_draft_there(pair)
    steps = [f"CORE::rename('{draft}', 'b') if $_[2] =~ m{{r/b}};"] if late else []
    steps += ["my $done = CORE::syscall($_[0], @_[1..5]);"] if traded else []
    killed = "kill 'KILL', getppid, $$ if $_[2] =~ m{r/b}; CORE::syscall($_[0], @_[1..5])"
    with perl_where(pair, syscall="".join([*steps, killed])), pytest.raises(ShellenvError):
        pair.up()
    pair.both()
    assert sorted(contents(pair.here)) == ([b"2", b"theirs"] if late else [b"2"])
    assert len(tree(pair.here)) == 2 + late


def test_a_directory_that_is_put_in_the_place_of_a_file_while_that_is_replaced_stays(
    pair: Pair,
) -> None:
    draft = a_draft_there(pair)
    late = f"do {{ unlink 'b'; mkdir 'b'; CORE::rename('{draft}', 'b/c') }} if $_[1] =~ m{{r/b}}"
    with perl_where(pair, rename=f"my $done = CORE::rename($_[0], $_[1]); {late}; $done"):
        assert pair.up().failed == (b"b",)
    assert contents(pair.there) == {b"2", b"theirs"}
    pair.both()
    assert contents(pair.here) == {b"2", b"theirs"}


def test_what_a_sync_replaces_is_kept_where_two_files_cannot_trade_places(pair: Pair) -> None:
    a_draft_there(pair)
    edit = f"open my $f, '>', '{pair.there}/b'; print $f 'unseen'"
    with perl_where(pair, syscall=f"{edit}; -1"):
        assert [name for name, _ in pair.up().conflicts] == [b"b"]
    pair.both()
    assert contents(pair.here) == {b"2", b"unseen"}


def test_why_a_file_at_the_dock_cannot_be_replaced_is_said(pair: Pair) -> None:
    write(pair.here / "d" / "a", "1")
    pair.started()
    os.chown(pair.there / "d", 0, 0)
    os.chown(pair.there / "d" / "a", 0, 0)
    (pair.there / "d").chmod(0o1777)
    bracket.sync(pair.context, pair.wish(), DOWN)
    write(pair.here / "d" / "a", "2")
    outcome = pair.sync_up()
    assert outcome.failed == (b"d/a",)
    assert outcome.problem
    assert "Operation not permitted" in outcome.problem.message
    assert contents(pair.there) == {b"1"}
    (pair.there / "d").chmod(0o777)
    assert pair.sync_up().sent == (b"d/a",)
    assert contents(pair.there) == {b"2"}


def test_changes_in_many_directories_need_one_program_to_replace_the_old_versions(
    pair: Pair,
) -> None:
    names = [f"{n}%{odd}/{n}{odd}" for n, odd in enumerate(("", "%25", "\n", "'", " x\n", "é"))]
    pair.started()
    for content in ("1", "2"):
        for name in names:
            write(pair.here / name, content)
        started = pair.far.home / f"{pair.base.name}.started"
        perl = f'echo perl >>{started}; exec /usr/bin/perl "$@"'
        mv = f'case "$*" in *was/*) echo mv >>{started};; esac; exec /usr/bin/mv "$@"'
        with instead(pair, "perl", perl), instead(pair, "mv", mv):
            assert len(pair.up().sent) >= len(names)
    assert started.read_text() == "perl\n"
    assert tree(pair.here) == tree(pair.there)


def a_draft_there(pair: Pair) -> Path:
    """Two files that are to be replaced at the dock, and what somebody there will put somewhere."""
    pair.started(a="1", b="1")
    write(pair.here / "a", "2")
    write(pair.here / "b", "2")
    draft = write(pair.far.home / f"{pair.base.name}.draft", "theirs")
    pair.far.own(pair.far.home)
    return draft


@contextmanager
def perl_where(pair: Pair, **functions: str) -> Iterator[None]:
    """perl at the dock, but some of its own functions do something else."""
    code = "".join(
        f"*CORE::GLOBAL::{name} = sub {{ {body} }};\n" for name, body in functions.items()
    )
    write(pair.far.home / "remote" / "Otherwise.pm", f"package Otherwise;\n{code}1;\n")
    with instead(pair, "perl", 'exec /usr/bin/perl -I "${0%/*}" -MOtherwise "$@"'):
        yield


def test_what_has_just_been_made_at_the_dock_is_not_replaced_by_what_is_new_here(
    pair: Pair,
) -> None:
    pair.started(a="1")
    write(pair.here / "new", "ours")
    (pair.here / "d").mkdir()
    made = f"cd {pair.there}; echo theirs >new; mkdir d; echo theirs, too >d/file"
    with instead(pair, "rsync", f'/usr/bin/rsync "$@"; status=$?; {made}; exit $status'):
        assert pair.up().failed == (b"new",)
    pair.both()
    assert contents(pair.here) == {b"1", b"ours", b"theirs\n", b"theirs, too\n"}


# --- locks ----------------------------------------------------------------------------------------


def test_a_second_sync_waits_for_the_first(pair: Pair) -> None:
    pair.started(a="1")
    write(pair.here / "big", os.urandom(30 << 20))
    first = pair.spawn(UP)
    eventually(lambda: children(first.pid, "rsync"), pause=0.002)
    second = pair.spawn(UP)
    for sync in (first, second):
        assert sync.communicate()[1].count(b"Error") == 0
        assert sync.returncode == 0
    assert tree(pair.here) == tree(pair.there)


def test_the_rsync_of_a_killed_sync_is_waited_for(pair: Pair) -> None:
    pair.started(a="1")
    write(pair.here / "big", os.urandom(30 << 20))
    first = pair.spawn(UP)
    eventually(lambda: children(first.pid, "rsync"), pause=0.002)
    rsync = children(first.pid, "rsync")
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    pair.up()
    for pid in rsync:
        with suppress(FileNotFoundError):
            assert "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]
    assert tree(pair.here) == tree(pair.there)


def test_a_lock_at_the_dock_whose_owner_is_gone_is_broken(pair: Pair) -> None:
    """The cable was cut: the shell there still waits for words that will never come."""
    pair.started(a="1")
    wish = pair.wish()
    far = f"{wish.ssh[-1]}:{wish.remote_root}/{wish.name}"
    with store(pair.context, wish.root, far) as found:
        owner = found.owner(wish.root)
    with Remote(wish, owner) as left:
        left.place()
        write(pair.here / "b", "2")
        pair.up()
        assert tree(pair.here) == tree(pair.there)
        with pytest.raises(ShellenvError, match="connection to dock is lost"):
            left.run(":")


HELD = """mkdir -p {own} && cd {own} && exec 9>>lock && flock 9 || exit
sleep {seconds} & echo $! >$HOME/begun; wait"""


@contextmanager
def held_there(pair: Pair, seconds: int, words: str = "exec sh -s") -> Iterator[int]:
    """The lock there, held by a shell and by a program that it waits for, whose pid comes."""
    begun = pair.far.home / "begun"
    begun.unlink(missing_ok=True)
    own = shlex.quote(str(pair.there.parent / ".shellenv" / pair.name))
    script = HELD.format(own=own, seconds=seconds)
    with subprocess.Popen([*pair.far.words, words], stdin=subprocess.PIPE) as shell:
        assert shell.stdin
        shell.stdin.write(script.encode())
        shell.stdin.close()
        eventually(lambda: begun.exists() and begun.read_text())
        pid = int(begun.read_text())
        try:
            yield pid
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    begun.unlink()


def test_a_lock_at_the_dock_is_waited_for_where_nobody_says_whose_it_is(pair: Pair) -> None:
    """A first sync that was killed before it said so has not quite ended there."""
    write(pair.here / "a", "1")
    with held_there(pair, seconds=2):
        pair.up()
    assert tree(pair.here) == tree(pair.there)


def test_what_a_shell_of_a_killed_sync_waits_for_at_the_dock_is_ended_with_it(pair: Pair) -> None:
    pair.started(a="1")
    write(pair.here / "b", "2")
    with held_there(pair, 1000, "exec sh -s 'head -c'") as pid:
        parent = Path(f"/proc/{pid}/stat").read_text().split()[3]
        own = pair.there.parent / ".shellenv" / pair.name
        (own / "holder").write_text(f"{parent}\n")
        pair.up()
    assert tree(pair.here) == tree(pair.there)


def test_a_lock_at_the_dock_is_not_broken_by_a_stranger(pair: Pair) -> None:
    pair.started(a="1")
    wish = pair.wish()
    far = f"{wish.ssh[-1]}:{wish.remote_root}/{wish.name}"
    with store(pair.context, wish.root, far) as found:
        owner = found.owner(wish.root)
    with Remote(wish, owner) as held:
        held.place()
        stranger = owner._replace(id="other")
        with (
            Remote(wish, stranger) as other,
            pytest.raises(ShellenvError, match=r"another sync .* is at work"),
        ):
            other.place()
        held.run(":")


def test_a_lock_at_the_dock_is_broken_also_while_an_rsync_has_the_channel(pair: Pair) -> None:
    pair.started(a="1")
    wish = pair.wish()
    begun = pair.far.home / "begun"
    far = f"{wish.ssh[-1]}:{wish.remote_root}/{wish.name}"
    with store(pair.context, wish.root, far) as found:
        owner = found.owner(wish.root)
    with Channel(wish.ssh) as channel:
        left = Remote(wish, owner, channel)
        left.place()
        with left.lent(":") as loan:
            loan.begin()
            script = b"echo $$ >$HOME/begun; exec sleep 1000"
            channel.send(b"%d\nsh -c '%b'" % (len(script) + 8, script))
            eventually(lambda: begun.exists() and begun.read_text())
            write(pair.here / "b", "2")
            try:
                pair.up()
            finally:
                with suppress(ProcessLookupError):  # it ends with the shell that waits for it
                    os.kill(int(begun.read_text()), signal.SIGKILL)
    assert tree(pair.here) == tree(pair.there)


# --- one channel ----------------------------------------------------------------------------------


def test_the_rsync_of_a_first_sync_needs_no_ssh_of_its_own(pair: Pair) -> None:
    for number in range(150):
        write(pair.here / f"file {number}", os.urandom(1 << 18))
    sync = pair.spawn(UP)
    eventually(lambda: children(sync.pid, "rsync"), pause=0.002)
    rsync = children(sync.pid, "rsync")[0]
    eventually(lambda: children(rsync, "cat") or children(rsync, "ssh"), pause=0.002)
    assert not children(rsync, "ssh")
    assert sync.communicate()[1] == b""
    assert tree(pair.here) == tree(pair.there)


def test_a_first_sync_works_where_descriptors_have_large_numbers(pair: Pair) -> None:
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
    many(pair).up()
    for descriptor in held:
        os.close(descriptor)
    assert len(tree(pair.there)) == 150


@pytest.mark.parametrize(
    "victim",
    ["$PPID", "$own", "$outer", "$main", "$(pgrep -oP $outer)", "$(pgrep -nP $outer)"],
    ids=["flock", "its shell", "the shell around it", "the first", "its input", "its output"],
)
def test_a_first_sync_ends_whatever_is_killed_around_its_rsync(pair: Pair, victim: str) -> None:
    many(pair)
    parents = "own=$(up $PPID); outer=$(up $own); main=$(up $outer)"
    code = f'up() {{ ps -o ppid= -p $1; }}; {parents}; kill -9 {victim}; exec /usr/bin/rsync "$@"'
    with instead(pair, "rsync", code), suppress(ShellenvError):
        pair.up()
    pair.up()
    assert tree(pair.here) == tree(pair.there)


SURPLUS = (b"", b"x", b"13\ntouch $HOME/x\n")


@pytest.mark.parametrize(("early", "late"), [*itertools.product(SURPLUS, SURPLUS)])
def test_what_an_rsync_leaves_in_the_channel_is_never_run(
    pair: Pair, early: bytes, late: bytes
) -> None:
    wish = pair.wish()
    with Channel(wish.ssh) as channel:
        remote = Remote(wish, Owner("id", "machine", wish.root), channel)
        remote.place()
        with remote.lent("printf done") as loan:
            loan.begin()
            channel.send(b"4\ntrue" + early)
            loan.begun()
            eventually(partial(getattr, loan, "over"))
        said = b""
        with suppress(ShellenvError, OSError):  # the channel may be lost, or all of it be rsync's
            channel.send(late)
            said = b"".join(remote.rest()) + remote.run("printf again")
        assert said == b"doneagain" or early or late
    assert not (pair.far.home / "x").exists()


# --- full, closed, missing --------------------------------------------------------------------------


@contextmanager
def small(path: Path, owner: tuple[int, int], files: int = 0) -> Iterator[None]:
    """A file system of one megabyte at `path`, or one for so many `files`."""
    path.mkdir(parents=True, exist_ok=True)
    options = f"size=1m,nr_inodes={files},mode=755,uid={owner[0]},gid={owner[1]}"
    argv = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_full_disk_is_said_and_nothing_is_lost(pair: Pair, direction: str) -> None:
    if direction == UP:
        source, target, full, owner = pair.here, pair.there, pair.remote_root, pair.far[3:]
    else:
        source, target, full, owner = pair.there, pair.here, pair.here, (0, 0)
    with small(full, owner):
        pair.started(a="1", b="1")
        write(source / "big", os.urandom(2 << 20))
        write(source / "a", "2")
        write(target / "b", "theirs")
        problem = (pair.up() if direction == UP else pair.down()).problem
        assert problem is not None
        assert "No space left on device" in problem.message
        (source / "big").unlink()
        pair.up()
        pair.down()
        assert tree(pair.here) == tree(pair.there)
        assert contents(pair.here) == {b"2", b"theirs"}


def test_a_disk_is_not_filled_by_what_is_half_there_of_a_large_file_that_is_gone_here(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LARGE", 1 << 20)
    with small(pair.remote_root, pair.far[3:]):
        pair.started(a="1")
        write(pair.here / "d" / "large", os.urandom(2 << 20))
        assert pair.up().failed == (b"d/large",)
        (pair.here / "d" / "large").unlink()
        (pair.here / "d").chmod(0o700)
        write(pair.here / "a", os.urandom(1 << 19))
        assert not pair.up().problem
        pair.both()


@pytest.mark.parametrize("files", [0, 150])
@pytest.mark.parametrize("side", ["here", "there"])
def test_a_path_that_is_too_long_is_named_and_all_else_is_synced(
    pair: Pair, side: str, files: int
) -> None:
    """A program that has gone astray has made it."""
    for number in range(files):
        write(pair.here / "more" / str(number), "1")
    if side == "there":
        pair.started(a="1")
    directory = os.open(getattr(pair, side), os.O_RDONLY)
    for _ in range(40):
        os.mkdir("d" * 200, dir_fd=directory)
        os.chown("d" * 200, pair.far.uid, pair.far.gid, dir_fd=directory)
        above, directory = directory, os.open("d" * 200, os.O_RDONLY, dir_fd=directory)
        os.close(above)
        with open(os.open("f", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=directory), "w") as file:
            file.write("deep")
    os.close(directory)
    write(getattr(pair, side) / "b", "2")
    os.chown(getattr(pair, side) / "b", pair.far.uid, pair.far.gid)
    for direction in (UP, DOWN, UP, DOWN):
        outcome = bracket.sync(pair.context, pair.wish(), direction)
        assert (outcome.failed, outcome.problem) == ((), None)
        assert max(map(len, outcome.left_alone)) > 8000
    shallow = [Path(*["d" * 200] * 15, "f"), Path("b")]
    assert all((root / path).exists() for root in (pair.here, pair.there) for path in shallow)
    for root in (pair.here, pair.there):
        shutil.rmtree(root / ("d" * 200))
    pair.both()


def test_a_lock_at_the_dock_that_cannot_be_written_to_is_said(pair: Pair) -> None:
    """Root has made it, or the file system is read-only by now."""
    pair.started(a="1")
    lock = pair.remote_root / pair.far.user / ".shellenv" / pair.name / "lock"
    os.chown(lock, 0, 0)
    with pytest.raises(ShellenvError, match=r"cannot use dock:.*/lock: Permission denied$"):
        pair.sync_up()
    pair.both()


def test_a_disk_that_is_too_full_for_the_name_of_the_owner_is_said(pair: Pair) -> None:
    write(pair.here / "a", "1")
    with small(pair.remote_root, pair.far[3:]):
        with open(pair.remote_root / "full", "wb", 0) as full, suppress(OSError):
            while True:
                full.write(bytes(4096))
        with pytest.raises(ShellenvError, match="No space left on device"):
            pair.up()
        (pair.remote_root / "full").unlink()
        pair.both()


@pytest.mark.parametrize("files", [0, 60])
def test_a_disk_that_is_full_before_the_first_sync_is_said(pair: Pair, files: int) -> None:
    """rsync's status does not say it where it cannot make a file in its place."""
    for number in range(150):
        write(pair.here / str(number), bytes(10 if files else 20_000))
    with small(pair.remote_root, pair.far[3:], files):
        with pytest.raises(ShellenvError, match="No space left on device"):
            raise pair.up().problem or ValueError
        for number in range(20, 150):
            (pair.here / str(number)).unlink()
        if files:
            shutil.rmtree(pair.there)  # nothing else makes room
        pair.up(restore=True)
        pair.both()


def test_what_is_left_of_a_list_of_names_is_no_command(pair: Pair) -> None:
    """Whoever may make files in the project may not run commands as the login for that: not even
    where the one who was to read their names was killed."""
    pair.started(a="1")
    with store(pair.context, str(pair.here), "a dock") as held:
        owner = held.owner(str(pair.here))
    with Remote(pair.wish(), owner) as remote:
        remote.place()
        remote._send(b"name\n14\ntouch escaped\n")
        with pytest.raises(ShellenvError, match="lost"):
            remote.run(":")
    assert not (pair.far.home / "escaped").exists()


def test_a_directory_there_may_be_another_file_system(pair: Pair) -> None:
    """What moves from one to another is a copy, and no version that nobody has seen."""
    write(pair.here / "data" / "a", "1")
    write(pair.here / "data" / "b", "1")
    pair.started()
    with small(pair.there / "data", pair.far[3:]):
        for name in "ab":
            shutil.copy(pair.here / "data" / name, pair.there / "data")
        pair.both()
        write(pair.here / "data" / "a", "2")
        (pair.here / "data" / "b").unlink()
        assert not pair.up().conflicts
        pair.both()
        assert contents(pair.there) == {b"2"}


def test_what_does_not_fit_on_another_file_system_there_is_not_said_to_be_there(pair: Pair) -> None:
    write(pair.here / "data" / "a", "1")
    pair.started()
    with small(pair.there / "data", pair.far[3:]):
        shutil.copy(pair.here / "data" / "a", pair.there / "data")
        pair.both()
        write(pair.here / "data" / "a", os.urandom(2 << 20))
        outcome = pair.up()
        assert (outcome.sent, outcome.failed) == ((), (b"data/a",))
        assert outcome.problem is not None
        assert outcome.problem.message.endswith("No space left on device")
        write(pair.here / "data" / "a", "3")
        assert not pair.up().conflicts
        pair.both()


@contextmanager
def coarse(path: Path, owner: tuple[int, int]) -> Iterator[None]:
    """A file system at `path` that keeps whole seconds."""
    path.mkdir(parents=True, exist_ok=True)
    image = path.parent / "image"
    with open(image, "wb") as stream:
        stream.truncate(16 << 20)
    make = ["mkfs.ext4", "-q", "-I", "128", "-E", f"root_owner={owner[0]}:{owner[1]}", str(image)]
    for argv in (make, ["mount", "-o", "loop", str(image), str(path)]):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{argv[0]}: {done.stderr}")
    (path / "lost+found").rmdir()
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.parametrize("count", [1, 150])
@pytest.mark.parametrize("direction", [UP, DOWN])
def test_what_is_noted_as_brought_over_survives_a_power_failure(
    pair: Pair, direction: str, count: int
) -> None:
    """The file system is what its disk has of it; a later sync would bring that back."""
    source, target = (pair.here, pair.there) if direction == UP else (pair.there, pair.here)
    top = pair.remote_root if direction == UP else pair.here
    with coarse(top, pair.far[3:] if direction == UP else (0, 0)):
        pair.started(a="1")
        for number in range(count):
            write(source / "new" / str(number), f"2{number}")
        pair.sync(direction)
        disk, after = top.parent / "disk", pair.base / "after"
        shutil.copy(top.parent / "image", disk)
        after.mkdir()
        subprocess.run(["mount", "-o", "loop", str(disk), str(after)], check=True)
        survived = contents(after / target.relative_to(top))
        subprocess.run(["umount", "-l", after], check=True)
        disk.unlink()
        assert survived >= {b"2%d" % number for number in range(count)}


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_whole_seconds_hide_no_change(pair: Pair, direction: str) -> None:
    """Two versions of one second have one time, where a file system keeps no more of it."""
    top, owner = (pair.here, (0, 0)) if direction == UP else (pair.remote_root, pair.far[3:])
    with coarse(top, owner):
        pair.started(a="0")
        source = pair.here if direction == UP else pair.there
        for number in range(3):
            time.sleep(1 - time.time() % 1)  # as much of a second as can be
            write(source / "a", f"one {number}")
            pair.sync(direction)
            with open(source / "a", "r+") as stream:
                stream.write(f"two {number}")
            pair.sync(direction)
            assert contents(pair.here) == contents(pair.there) == {b"two %d" % number}


def test_what_is_at_a_dock_whose_disk_is_full_comes_down(pair: Pair) -> None:
    with small(pair.remote_root, pair.far[3:]):
        pair.started(a="1", b="1", c="1")
        write(pair.there / "a", "2")
        (pair.there / "b").unlink()
        for number in range(40):
            write(pair.there / f"{number:03}{'-' * 200}", "3")
        with open(pair.there / "full", "wb", 0) as full, suppress(OSError):
            while True:
                full.write(bytes(4096))
        assert pair.down().problem is None
        assert tree(pair.here) == tree(pair.there)
        assert {b"1", b"2", b"3"} < contents(pair.here)


def test_what_cannot_be_read_is_named_and_not_taken_for_deleted(pair: Pair) -> None:
    write(pair.here / "shut" / "inside", "1")
    pair.started(a="1")
    write(pair.there / "file", "1")
    pair.far.own(pair.remote_root)
    os.chown(pair.there / "file", 0, 0)
    (pair.there / "file").chmod(0)
    (pair.there / "shut").chmod(0)
    (pair.there / "shut" / "inside").write_text("changed there")
    outcome = pair.down()
    assert outcome.failed == (b"file",)
    assert outcome.problem is not None
    assert outcome.problem.message.endswith("Permission denied (13)")
    assert b"shut" in outcome.left_alone
    assert (pair.here / "shut" / "inside").read_text() == "1"
    write(pair.here / "shut" / "inside", "changed here")
    pair.up()
    (pair.there / "shut").chmod(0o755)
    (pair.there / "file").chmod(0o644)
    pair.both()
    assert {b"changed here", b"changed there"} <= contents(pair.here)


def test_a_place_that_cannot_be_made_is_said(pair: Pair) -> None:
    pair.remote_root.mkdir(parents=True)
    with pytest.raises(ShellenvError, match="Permission denied") as caught:
        bracket.sync(pair.context, pair.wish(), UP)
    assert "[shellenv.sync] remote_root" in caught.value.hint


def test_a_dock_without_rsync_is_said(pair: Pair, tmp_path: Path) -> None:
    bare = pair.far.home / "bare"
    bare.mkdir()
    for name in ("sh", "head", "id", "gzip", "mkdir", "flock", "cat", "ls", "grep", "find"):
        (bare / name).symlink_to(shutil.which(name) or "")
    wrapper = write(tmp_path / "ssh", WRAPPER)
    wrapper.chmod(0o755)
    wish = pair.wish()
    words = (str(wrapper), str(bare), *wish.ssh)
    with pytest.raises(ShellenvError, match="there is no rsync at dock"):
        bracket.sync(pair.context, wish._replace(ssh=words), UP)


WRAPPER = """\
#!/bin/sh
bin=$1; shift
for word; do
  shift
  case $word in "exec "*) word="PATH=$bin; export PATH; $word" ;; esac
  set -- "$@" "$word"
done
exec "$@"
"""
"""Calls ssh, with another PATH for the far shell: its first argument."""


DYING = """\
#!/bin/sh
case "$PWD $*" in {which}) {program} "$@" | head -c 60; kill -9 $$ ;; esac
exec {program} "$@"
"""


@pytest.mark.parametrize(
    ("name", "which"),
    [("find", "*'-maxdepth 0'*"), ("find", "*/was/*"), ("gzip", "*'-d'"), ("xargs", "*")],
)
def test_what_a_killed_program_at_the_dock_has_said_is_not_taken_for_all(
    pair: Pair, tmp_path: Path, name: str, which: str
) -> None:
    pair.started(a="former", b="former", c="c")
    write(pair.here / "a", "ours")
    (pair.here / "c").unlink()
    dying = pair.far.home / "dying"
    program = DYING.format(which=which, program=shutil.which(name))
    write(dying / name, program).chmod(0o755)
    write(tmp_path / "ssh", WRAPPER).chmod(0o755)
    words = (str(tmp_path / "ssh"), f"{dying}:/usr/bin:/bin", *pair.far.words)

    def meanwhile(text: str) -> None:
        if text.startswith("rsync"):
            again(pair.there / "a", "unseen")

    with pytest.raises(ShellenvError, match="dock: "):
        bracket.sync(pair.context, pair.wish()._replace(ssh=words, explain=meanwhile), UP)
    shutil.rmtree(dying)
    changed = b"unseen" in contents(pair.there.parent)
    pair.both()
    assert contents(pair.here) == {b"ours", b"former", *([b"unseen"] if changed else [])}


@contextmanager
def instead(pair: Pair, name: str, code: str) -> Iterator[None]:
    """A program at the dock is replaced by a script."""
    program = write(pair.far.home / "remote" / name, f"#!/bin/sh\n{code}\n")
    program.chmod(0o755)
    try:
        yield
    finally:
        program.unlink()


def test_what_a_failing_rsync_left_as_it_was_has_not_arrived(pair: Pair) -> None:
    """It is as long as what is here, and as old."""
    pair.started(a="former")
    again(pair.here / "a", "edited")
    with instead(pair, "rsync", "exit 3"):
        assert pair.up().failed == (b"a",)
        pair.down()
    assert contents(pair.here) == {b"edited"}
    pair.both()
    assert contents(pair.there) == {b"edited"}


@pytest.mark.parametrize("code", ["kill -9 $$", "echo no >&2; exit 1"])
def test_a_conflict_that_cannot_be_renamed_at_the_dock_is_one_for_the_next_sync(
    pair: Pair, code: str
) -> None:
    write(pair.here / "d" / "in", "former")
    pair.started(a="former")
    write(pair.there / "d" / "in", "theirs in d")
    shutil.rmtree(pair.here / "d")
    write(pair.here / "d", "our d")
    write(pair.here / "a", "our a")
    write(pair.there / "a", "their a")
    versions = {b"theirs in d", b"our d", b"our a", b"their a"}
    with instead(pair, "mv", code):
        outcome = pair.up()
    assert (outcome.failed, outcome.conflicts) == ((b"a", b"d"), ())
    assert outcome.problem is not None
    assert outcome.problem.message.startswith("cannot rename a at dock: ")
    assert contents(pair.here) == {b"our d", b"our a"}
    assert len(pair.up().conflicts) == 2
    pair.both()
    assert contents(pair.here) == versions


def test_a_directory_that_is_given_back_its_name_after_a_conflict_comes_down_whole(
    pair: Pair,
) -> None:
    write(pair.here / "d" / "a", "former")
    pair.started()
    write(pair.there / "d" / "b", "theirs")
    shutil.rmtree(pair.here / "d")
    write(pair.here / "d", "ours")
    ((_, copy),) = pair.up().conflicts
    (pair.there / "d").unlink()
    (pair.there / os.fsdecode(copy)).rename(pair.there / "d")
    pair.down()
    pair.both()
    assert contents(pair.here / "d") == {b"former", b"theirs"}


def test_what_cannot_be_changed_at_the_dock_is_a_failure_and_makes_no_copies(pair: Pair) -> None:
    """As root, a container has made the directory its own."""
    for name in "abc":
        write(pair.here / "d" / name, "former")
    pair.started()
    os.chown(pair.there / "d", 0, 0)
    (pair.here / "d" / "a").unlink()
    outcome = pair.sync_up()
    assert outcome.failed == (b"d/a",)
    assert outcome.problem is not None
    assert outcome.problem.message.startswith("cannot delete d/a at dock: mv: cannot move 'a' to ")
    write(pair.here / "d" / "b", "ours")
    write(pair.there / "d" / "b", "theirs")
    for _ in range(3):
        assert pair.sync_up().failed == (b"d/a", b"d/b")
        bracket.sync(pair.context, pair.wish(), DOWN)
    assert {path.name for path in (*pair.here.rglob("*"), *pair.there.rglob("*"))} == set("abcd")
    pair.both()
    assert contents(pair.here) == {b"former", b"ours", b"theirs"}


def test_a_directory_that_cannot_be_deleted_at_the_dock_is_said_and_goes_when_it_can(
    pair: Pair,
) -> None:
    write(pair.here / "d" / "e" / "f" / "a", "1")
    write(pair.here / "b", "1")
    pair.started()
    os.chown(pair.there / "d" / "e", 0, 0)
    shutil.rmtree(pair.here / "d")
    for _ in range(2):
        outcome = pair.sync_up()
        assert outcome.failed == (b"d/e/f",)
        assert outcome.problem is not None
        assert outcome.problem.message.startswith("cannot delete d/e/f at dock: ")
    assert sorted(pair.up().deleted_there) == [b"d", b"d/e", b"d/e/f"]
    pair.both()


def test_a_directory_that_cannot_be_deleted_here_is_said_and_goes_when_it_can(pair: Pair) -> None:
    write(pair.here / "d" / "e" / "a", "1")
    write(pair.here / "b", "1")
    pair.started()
    with small(pair.here / "d" / "e", (0, 0)):
        shutil.rmtree(pair.there / "d")
        outcome = pair.down()
        assert outcome.failed == (b"d/e",)
        assert outcome.problem is not None
        assert outcome.problem.message == "cannot change d/e: Device or resource busy"
    (pair.here / "d" / "e" / "a").unlink()
    assert sorted(pair.down().deleted_here) == [b"d", b"d/e"]
    pair.both()


@pytest.mark.parametrize("side", ["here", "there"])
def test_directories_in_which_there_was_what_is_left_out_go_all_at_once_when_that_has_gone(
    pair: Pair, side: str
) -> None:
    write(pair.here / "d" / "e" / "f" / "a", "1")
    write(pair.here / "b", "1")
    pair.started()
    deleted, other = (pair.there, pair.here) if side == "here" else (pair.here, pair.there)
    left_out = write(other / "d" / "e" / "f" / ".cache", "left out")
    shutil.rmtree(deleted / "d")
    pair.up()
    pair.down()
    assert (other / "d" / "e" / "f").is_dir()
    left_out.unlink()
    pair.down() if side == "here" else pair.up()
    assert tree(pair.here) == tree(pair.there) == {"b": (0o644, b"1")}


@pytest.mark.parametrize("content", ["\0" * 80, "id\n\nroot\n", "id\n", ""])
def test_a_note_of_an_owner_that_is_damaged_counts_as_lost(pair: Pair, content: str) -> None:
    pair.started(a="1")
    (pair.there.parent / ".shellenv" / pair.name / "owner").write_text(content)
    with pytest.raises(ShellenvError, match="is not empty, and not from here"):
        pair.up()
    pair.up(adopt=True)


def test_a_directory_at_the_dock_that_cannot_be_entered_is_not_empty(pair: Pair) -> None:
    pair.started(a="1")
    pair.there.chmod(0)
    with pytest.raises(ShellenvError, match="can't cd to"):
        pair.down()
    pair.there.chmod(0o755)
    pair.both()


OUTSIDE = r"printf 'd 777 0 0 0 0 ../..//\0'"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *itertools.product(("find", "date", "gzip"), ("echo nonsense", "printf x; kill -9 $$")),
        *(("find", code) for code in (OUTSIDE, "echo 'f 644 1 2 3 4 //'", "echo 'f a b c d e f'")),
        ("date", "exec true"),
    ],
)
def test_nonsense_of_a_program_at_the_dock_is_said_and_changes_nothing(
    pair: Pair, name: str, code: str
) -> None:
    pair.started(a="1")
    mode = pair.base.stat().st_mode
    with instead(pair, name, code), pytest.raises(ShellenvError):
        pair.down()
    assert (contents(pair.here), pair.base.stat().st_mode) == ({b"1"}, mode)
    pair.both()


def test_a_file_system_that_cannot_be_written_to_is_said(pair: Pair) -> None:
    with small(pair.here, (0, 0)):
        pair.started(a="1")
        far = f"{pair.far.words[-1]}:{pair.remote_root}/{pair.name}"
        with store(pair.context, str(pair.here), far) as held:
            write(pair.here / os.fsdecode(held.yard) / "in" / "b", "2")
        subprocess.run(["mount", "-o", "remount,ro", str(pair.here)], check=True)
        with pytest.raises(ShellenvError, match=r"cannot change .*: Read-only file system"):
            pair.up()
        subprocess.run(["mount", "-o", "remount,rw", str(pair.here)], check=True)
        pair.up()
        assert contents(pair.there) == {b"1", b"2"}


def test_what_an_rsync_could_not_give_its_permissions_gets_them(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.started(a="1")
    write(pair.there / "b", "2").chmod(0o755)
    code = '/usr/bin/rsync "$@"; for last; do :; done; chmod 600 "$last/b"; exit 23'
    write(tmp_path / "bin" / "rsync", f"#!/bin/sh\n{code}\n").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        assert pair.down().problem
    assert (pair.here / "b").stat().st_mode & 0o777 == 0o755
    pair.both()


@pytest.mark.parametrize("program", ["rsync", "mv", "perl"])
def test_a_link_that_is_put_in_the_way_of_a_sync_at_work_is_not_written_through(
    pair: Pair, program: str
) -> None:
    write(pair.here / "d" / "a", "former")
    write(pair.here / "d" / "b", "former")
    pair.started()
    write(pair.here / "d" / "a", "ours")
    (pair.here / "d" / "b").unlink()
    write(pair.here / "d" / "new", "ours")
    inside, outside = pair.there / "d", pair.far.home / pair.base.name
    write(outside / "a", "outside")
    pair.far.own(outside)
    swap = f"[ -L {inside} ] || {{ /usr/bin/mv {inside} {inside}2 && ln -s {outside} {inside}; }}"
    with instead(pair, program, f'{swap} 2>/dev/null; exec /usr/bin/{program} "$@"'):
        assert pair.up().failed == (b"d/a", b"d/new")
        pair.up()
    pair.both()
    assert contents(outside) == {b"outside"}
    assert sorted(contents(pair.here)) == [b"former", b"ours"]


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("top", ["/far/away", "/", "/etc/passwd"])
def test_a_place_at_the_dock_that_cannot_be_used_is_said(pair: Pair, top: str, dry: bool) -> None:
    wish = pair.wish(dry=dry)._replace(remote_root=top)
    with pytest.raises(ShellenvError, match=r"cannot use dock:.*: mkdir: cannot create directory"):
        bracket.sync(pair.context, wish, UP)


def test_a_connection_that_does_not_come_is_said(pair: Pair) -> None:
    wish = pair.wish()._replace(ssh=("ssh", "-oBatchMode=yes", "-p1", "127.0.0.1"))
    with pytest.raises(ShellenvError, match=r"connection to dock is lost: .*refused"):
        bracket.sync(pair.context, wish, UP)


def test_a_project_that_is_gone_here_deletes_nothing_there(far: Far, tmp_path: Path) -> None:
    pair = Pair(far, tmp_path).started(a="1")
    shutil.rmtree(pair.here)
    with pytest.raises(ShellenvError, match="cannot read"):
        pair.up()
    assert contents(pair.there) == {b"1"}
