"""The sync between two real trees, by a real sshd and rsync: what comes of every kind of change."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest
from docksync import Far, Pair, again, contents, tree
from harness import write

from shellenv.errors import ShellenvError
from shellenv.sync import aside, bracket, receive, send, swap
from shellenv.sync import contents as versions
from shellenv.sync.wish import DOWN, UP, Outcome


def same(pair: Pair) -> dict[str, object]:
    """What both sides have, which must be the same."""
    assert tree(pair.here) == tree(pair.there)
    return tree(pair.here)


# --- one side -------------------------------------------------------------------------------------

NAMES = [
    b"plain",
    b"with space",
    b" ",
    b"-rf",
    b"--delete",
    b"new\nline",
    b"new\n..line",
    b"quote'\"$(x)`x`\\",
    b"*?[a]",
    b"tab\t\x01\x7f",
    "é日本".encode(),
    b"latin\xe9\xff\x81\x88",
    b"README",
    b"readme",
    b"a:b",
    b"#x",
    b";x",
    b"~",
    b"x" * 255,
]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_every_name_that_a_file_can_have_travels(pair: Pair, direction: str) -> None:
    pair.started(first="1")
    source, other = (pair.here, pair.there) if direction == "up" else (pair.there, pair.here)
    for name in NAMES:
        for parent in (os.fsencode(source), os.fsencode(source / "dir")):
            os.makedirs(parent, exist_ok=True)
            with open(parent + b"/" + name, "wb") as stream:
                stream.write(name)
    getattr(pair, direction)()
    found = same(pair)
    assert len(found) == 2 * len(NAMES) + 2
    for name in NAMES:  # and is changed, and goes again
        with open(os.fsencode(source) + b"/" + name, "wb") as stream:
            stream.write(b"again " + name)
        os.unlink(os.fsencode(source) + b"/dir/" + name)
    getattr(pair, direction)()
    assert len(same(pair)) == len(NAMES) + 2
    assert b"again -rf" in contents(other)
    assert not pair.up().did_anything
    assert not pair.down().did_anything


def test_what_is_not_changed_is_not_touched(pair: Pair) -> None:
    pair.started(a="1", b="2")
    before = [(path.stat().st_ino, path.stat().st_ctime_ns) for path in pair.there.iterdir()]
    assert not pair.up().did_anything
    assert not pair.down().did_anything
    after = [(path.stat().st_ino, path.stat().st_ctime_ns) for path in pair.there.iterdir()]
    assert before == after


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_changes_of_every_kind_are_brought_over(pair: Pair, direction: str) -> None:
    for name in ("changed", "deleted", "moved", "made executable", "file to directory", "kept"):
        write(pair.here / name, name)
    write(pair.here / "directory to file" / "inside" / "deep", "x")
    write(pair.here / "gone" / "with" / "all", "x")
    (pair.here / "link").symlink_to("kept")
    (pair.here / "link to file").symlink_to("kept")
    pair.up()
    same(pair)
    top, bring, bring_back = pair.here, pair.up, pair.down
    if direction == DOWN:
        top, bring, bring_back = pair.there, pair.down, pair.up
    write(top / "changed", "CHANGED")
    (top / "deleted").unlink()
    write(top / "created" / "deep" / "down", "new")
    (top / "moved").rename(top / "moved away")
    (top / "made executable").chmod(0o755)
    (top / "file to directory").unlink()
    write(top / "file to directory" / "inside", "x")
    shutil.rmtree(top / "directory to file")
    write(top / "directory to file", "x")
    shutil.rmtree(top / "gone")
    (top / "empty" / "too").mkdir(parents=True)
    (top / "link").unlink()
    (top / "link").symlink_to("changed")
    (top / "link to file").unlink()
    write(top / "link to file", "now one")
    (top / "kept").chmod(0o400)
    outcome = bring()
    same(pair)
    assert not outcome.conflicts
    assert not bring_back().did_anything


def test_a_directory_without_write_permission_is_still_synced(pair: Pair) -> None:
    write(pair.here / "shut" / "a", "1")
    (pair.here / "shut").chmod(0o555)
    pair.up()
    write(pair.here / "shut" / "a", "22")
    write(pair.here / "shut" / "b", "new")
    pair.up()
    assert same(pair)["shut"] == ("directory", 0o555)
    write(pair.here / "shut" / "c", "new")
    (pair.here / "shut" / "a").unlink()
    pair.up()
    assert same(pair)["shut"] == ("directory", 0o555)


def test_a_first_sync_of_many_files_brings_exactly_what_is_to_be_synced(pair: Pair) -> None:
    for number in range(300):
        write(pair.here / f"d{number % 7}" / f"file {number}", str(number))
    for name in NAMES:
        write(pair.here / "names" / os.fsdecode(name), name)
        write(pair.here / "left out" / os.fsdecode(name), name)
    (pair.here / "names" / "link").symlink_to("/etc")
    (pair.here / "shut").mkdir(mode=0o555)
    (pair.here / "empty").mkdir()
    os.mkfifo(pair.here / "pipe")
    write(pair.here / "d1" / "__pycache__" / "x")
    write(pair.here / ".git" / "config")
    write(pair.here / "su", "1").chmod(0o4755)
    outcome = pair.up("left out/*")
    assert outcome.left_alone == (b"pipe",)
    assert sum(outcome.left_out.values()) == len(NAMES) + 2
    wanted = tree(pair.here)
    for path in list(wanted):
        if path.startswith((".git", "left out/", "pipe", "d1/__pycache__")):
            del wanted[path]
    assert tree(pair.there) == wanted
    assert (pair.there / "su").stat().st_mode & 0o7777 == 0o755
    assert not pair.up("left out/*").did_anything
    assert not pair.down("left out/*").did_anything


def test_find_and_rsync_read_the_patterns_of_rules_as_we_do(pair: Pair) -> None:
    patterns = ["**/*.py[co]", "data/*", "a/*/c", "x*", "**/* b", "#c", "**/;d", "**/{e}|g+$^(.)"]
    patterns += ["- k", "l/m", "**/n.o", "[pq]r", "**/t*u*v", "**/#c"]
    names = ["a.pyc", "a.pyd", "x", "ax", "a b", "ab", "#c", ";d", "{e}|g+$^(.)", "-h", "!i"]
    names += ["+ j", "- k", "m", "n.o", "nxo", "pr", "qr", "rr", "s]", "tuv", "t1u2v", "tu", ".GIT"]
    names += [".git", ".gitx", "c", "-", "**", "*", "[pq]r", "\\", "t\nu v"]
    for above in ("", "data", "a", "a/b", "a/b/c", "l", "xx", ".cache"):
        for name in names:
            write(pair.here / above / "in" / name)
            if (above, name) != ("a/b", "c"):
                write(pair.here / above / name)
    rules = pair.wish(*patterns).rules
    wanted = {name for name in tree(pair.here) if not rules.rule(os.fsencode(name), True)}
    lines: list[str] = []
    wish = pair.wish(*patterns)._replace(explain=lines.append)
    outcome = bracket.sync(pair.context, wish, UP)
    assert set(tree(pair.there)) == wanted == set(map(os.fsdecode, outcome.sent))
    (line,) = lines
    assert {"--recursive", "--exclude=/a/*/c"} <= set(shlex.split(line))
    assert not pair.up(*patterns).did_anything


def test_more_rules_than_a_command_line_has_room_for_count(pair: Pair) -> None:
    names = [f"{number:050}" for number in range(4000)]
    for name in (*names[:99], *names[-99:], "x"):
        write(pair.here / name, "1")
    rules = [f"**/{name}" for name in names]
    pair.up(*rules)
    write(pair.there / names[-1], "2")
    write(pair.there / "y", "2")
    pair.down(*rules)
    assert {path.name for path in pair.there.iterdir()} == {"x", "y", names[-1]}
    assert (pair.here / names[-1]).read_text() == "1"
    assert (pair.here / "y").exists()


def test_a_directory_that_is_left_out_is_one_path_for_rsync(pair: Pair) -> None:
    for number in range(150):
        write(pair.here / "out 1" / "deep" / str(number))
        write(pair.here / "in" / str(number))
    lines: list[str] = []
    wish = pair.wish("out?1")._replace(explain=lines.append)
    assert list(bracket.sync(pair.context, wish, UP).left_out.values()) == [1]
    assert set(os.listdir(pair.there)) == {"in"}
    (line,) = lines
    assert "--recursive" in shlex.split(line)


def test_a_sparse_file_stays_sparse(pair: Pair) -> None:
    with open(pair.here / "sparse", "wb") as stream:
        stream.truncate(300 << 20)
        stream.seek(100 << 20)
        stream.write(b"in the middle")
    pair.up()
    assert (pair.there / "sparse").stat().st_size == 300 << 20
    assert (pair.there / "sparse").stat().st_blocks * 512 < 10 << 20
    with open(pair.there / "sparse", "r+b") as stream:
        stream.seek(200 << 20)
        stream.write(b"there")
    pair.down()
    assert (pair.here / "sparse").stat().st_blocks * 512 < 10 << 20
    subprocess.run(["cmp", pair.here / "sparse", pair.there / "sparse"], check=True)


def test_a_file_of_the_same_size_and_time_is_seen_to_be_another(pair: Pair) -> None:
    pair.started(a="one", b="one")
    for side in (pair.here / "a", pair.there / "b"):
        times = side.stat()
        side.write_text("two")
        os.utime(side, ns=(times.st_atime_ns, times.st_mtime_ns))
    pair.up()
    pair.down()
    assert same(pair) == {"a": (0o644, b"two"), "b": (0o644, b"two")}


def test_a_change_right_after_a_sync_is_seen(pair: Pair) -> None:
    (pair.here / "a").write_text("0")
    for number in range(1, 10):
        pair.up()
        (pair.here / "a").write_text(str(number))
    pair.up()
    assert (pair.there / "a").read_text() == "9"


@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_that_differ_change_nothing(pair: Pair, hours: int) -> None:
    pair.started(a="1", b="2")
    later = time.time() + hours * 3600
    write(pair.there / "a", "there")
    os.utime(pair.there / "a", (later, later))
    write(pair.here / "b", "here")
    assert not pair.up().conflicts
    assert not pair.down().conflicts
    assert same(pair) == {"a": (0o644, b"there"), "b": (0o644, b"here")}


# --- both sides -----------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_file_changed_on_both_sides_keeps_both_versions_on_both_sides(
    pair: Pair, direction: str
) -> None:
    pair.started(a="old")
    write(pair.here / "a", "ours")
    write(pair.there / "a", "theirs")
    outcome = getattr(pair, direction)()
    ((path, copy),) = outcome.conflicts
    assert path == b"a"
    assert copy.startswith(b"a.from-dock-2")
    assert same(pair) == {
        "a": (0o644, b"ours"),
        os.fsdecode(copy): (0o644, b"theirs"),
    }
    assert not pair.up().did_anything
    assert not pair.down().did_anything


def test_the_same_change_on_both_sides_is_no_conflict(pair: Pair) -> None:
    pair.started(a="old")
    for side in (pair.here, pair.there):
        write(side / "a", "new")
        write(side / "b", "created")
    assert not pair.up().conflicts
    assert same(pair) == {"a": (0o644, b"new"), "b": (0o644, b"created")}
    assert not pair.down().did_anything


@pytest.mark.parametrize("deleted", ["here", "there"])
def test_a_change_wins_over_a_deletion(pair: Pair, deleted: str) -> None:
    pair.started(a="old", b="b")
    gone, changed = (pair.here, pair.there) if deleted == "here" else (pair.there, pair.here)
    (gone / "a").unlink()
    write(changed / "a", "changed")
    pair.up()
    pair.down()
    assert same(pair)["a"] == (0o644, b"changed")


def test_deleted_on_both_sides_is_forgotten(pair: Pair) -> None:
    pair.started(a="old", b="b")
    (pair.here / "a").unlink()
    (pair.there / "a").unlink()
    assert not pair.up().did_anything
    write(pair.there / "a", "made anew")
    pair.down()
    assert same(pair)["a"] == (0o644, b"made anew")


def test_a_directory_deleted_here_lives_on_for_what_was_made_in_it_there(pair: Pair) -> None:
    write(pair.here / "d" / "old", "1")
    write(pair.here / "x", "1")
    pair.up()
    shutil.rmtree(pair.here / "d")
    write(pair.there / "d" / "new", "2")
    pair.both()
    assert set(same(pair)) == {"x", "d", "d/new"}


def test_a_file_in_the_place_of_a_directory_that_changed_there_keeps_both(pair: Pair) -> None:
    write(pair.here / "d" / "a", "1")
    write(pair.here / "d" / "b", "1")
    pair.up()
    shutil.rmtree(pair.here / "d")
    write(pair.here / "d", "a file")
    write(pair.there / "d" / "a", "changed there")
    outcome = pair.up()
    assert [path for path, _ in outcome.conflicts] == [b"d"]
    pair.both()
    assert {b"a file", b"changed there"} <= contents(pair.here)
    assert (pair.here / "d").read_text() == "a file"


def test_a_directory_in_the_place_of_a_file_that_changed_there_keeps_both(pair: Pair) -> None:
    pair.started(d="1")
    (pair.here / "d").unlink()
    write(pair.here / "d" / "a", "inside")
    write(pair.there / "d", "changed there")
    pair.down()
    pair.both()
    assert {b"inside", b"changed there"} <= contents(pair.here)
    assert (pair.here / "d" / "a").read_text() == "inside"


def test_a_change_below_a_directory_that_became_a_file_there_keeps_both(pair: Pair) -> None:
    write(pair.here / "d" / "a", "1")
    write(pair.here / "d" / "b", "unchanged")
    pair.up()
    write(pair.here / "d" / "a", "changed here")
    shutil.rmtree(pair.there / "d")
    write(pair.there / "d", "a file there")
    pair.down()
    pair.both()
    assert {b"changed here", b"a file there", b"unchanged"} <= contents(pair.here)


def test_permissions_that_they_gave_a_directory_survive_our_files(pair: Pair) -> None:
    write(pair.here / "d" / "a", "1")
    pair.up()
    (pair.there / "d").chmod(0o700)
    write(pair.here / "d" / "b", "2")
    pair.up()
    assert (pair.there / "d").stat().st_mode & 0o777 == 0o700
    pair.down()
    assert same(pair)["d"] == ("directory", 0o700)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_is_made_in_a_directory_that_one_side_deleted_comes_with_it(
    pair: Pair, direction: str
) -> None:
    """The directory had stayed there for a cache in it, and was no news to anyone."""
    write(pair.here / "d" / "a", "1")
    pair.started(b="1")
    kept, gone = (pair.here, pair.there) if direction == "up" else (pair.there, pair.here)
    write(kept / "d" / "__pycache__" / "x", "cache")
    shutil.rmtree(gone / "d")
    pair.up()
    pair.down()
    assert (kept / "d").exists()
    assert not (gone / "d").exists()
    write(kept / "d" / "new" / "file", "2")
    (kept / "d" / "empty" / "too").mkdir(parents=True)
    getattr(pair, direction)()
    shutil.rmtree(kept / "d" / "__pycache__")
    assert (gone / "d" / "new" / "file").read_text() == "2"
    pair.both()
    assert {"d/empty/too", "d/new/file"} <= set(same(pair))


def test_two_files_that_differ_in_case_only_are_two_files(pair: Pair) -> None:
    pair.started(README="1")
    write(pair.there / "readme", "2")
    pair.down()
    assert same(pair) == {"README": (0o644, b"1"), "readme": (0o644, b"2")}


# --- meanwhile ------------------------------------------------------------------------------------


def meanwhile(pair: Pair, direction: str, action: Callable[[], object]) -> Outcome:
    """A sync during which something is done: after it has looked, before it brings anything over."""
    done: list[str] = []

    def tell(text: str) -> None:
        if text.startswith("rsync") and not done:
            done.append(text)
            action()
            pair.far.own(pair.remote_root)

    pair.far.own(pair.remote_root)
    outcome = bracket.sync(pair.context, pair.wish()._replace(explain=tell), direction)
    assert done
    return outcome


HOWS = ["anew", "in place", "with its size and time"]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_is_written_in_the_moment_of_the_sync_is_kept_beside(
    pair: Pair, direction: str, how: str
) -> None:
    pair.started(a="former", b="b")
    source, target = (pair.here, pair.there) if direction == "up" else (pair.there, pair.here)
    write(source / "a", "from the other side")

    def edit() -> None:
        if how == "anew":
            (target / "a").unlink()
        (again if how == HOWS[2] else write)(target / "a", "unseen")

    outcome = meanwhile(pair, direction, edit)
    assert [path for path, _ in outcome.conflicts] == [b"a"]
    pair.both()
    assert contents(pair.here) == {b"unseen", b"from the other side", b"b"}
    ours = "from the other side" if direction == "up" else "unseen"
    assert (pair.here / "a").read_text() == ours


@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_is_made_in_the_moment_of_the_sync_is_kept(pair: Pair, direction: str) -> None:
    pair.started(a="old")
    source, target = (pair.here, pair.there) if direction == "up" else (pair.there, pair.here)
    write(source / "new", "from the other side")
    meanwhile(pair, direction, lambda: write(target / "new", "unseen"))
    pair.both()
    assert contents(pair.here) == {b"old", b"unseen", b"from the other side"}


@pytest.mark.parametrize("how", HOWS[1:])
def test_what_is_changed_in_the_moment_of_its_deletion_stays(pair: Pair, how: str) -> None:
    pair.started(a="former", b="b")
    (pair.there / "a").unlink()
    write(pair.there / "c", "c")
    edit = again if how == HOWS[2] else write
    meanwhile(pair, "down", lambda: edit(pair.here / "a", "unseen"))
    assert (pair.here / "a").read_text() == "unseen"
    pair.both()
    assert contents(pair.there) == {b"unseen", b"b", b"c"}


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("fate", ["replaced", "deleted"])
def test_what_is_changed_between_the_look_at_it_and_its_end_is_kept(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, direction: str, fate: str
) -> None:
    pair.started(a="former", b="b")
    source, target = (pair.here, pair.there) if direction == "up" else (pair.there, pair.here)
    write(source / "a", "from the other side")
    if fate == "deleted":
        (source / "a").unlink()
    know = versions.know

    def late(*args: Any) -> None:
        again(target / "a", "unseen")
        know(*args)

    with monkeypatch.context() as patch:
        patch.setattr(versions, "know", late)
        pair.sync(direction)
    pair.both()
    assert b"unseen" in contents(pair.here)


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("content", ["brought", "permissions"])
def test_what_is_written_over_what_has_just_arrived_comes_back_with_the_next(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, direction: str, content: str
) -> None:
    pair.started(a="brought" if content == "permissions" else "old")
    source, target = (pair.here, pair.there) if direction == "up" else (pair.there, pair.here)
    write(source / "a", "brought") if content == "brought" else (source / "a").chmod(0o600)
    module, step = (send, "verify") if direction == "up" else (receive, "_settle")
    look = getattr(module, step)

    def late(*args: Any) -> Any:
        again(target / "a", "written")
        return look(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module, step, late)
        assert not pair.sync(direction).conflicts
    pair.both()
    assert contents(pair.here) == {b"written"}


@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_changes_while_it_is_brought_over_is_brought_over_again(
    pair: Pair, direction: str
) -> None:
    pair.started(a="old")
    source = pair.here if direction == "up" else pair.there
    write(source / "a", "first")
    meanwhile(pair, direction, lambda: write(source / "a", "second, and longer"))
    pair.both()
    assert same(pair) == {"a": (0o644, b"second, and longer")}


@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_goes_before_it_is_brought_over_is_no_failure(pair: Pair, direction: str) -> None:
    pair.started(a="1")
    source = pair.here if direction == "up" else pair.there
    write(source / "b", "2")
    write(source / "c", "2")
    outcome = meanwhile(pair, direction, (source / "b").unlink)
    assert (outcome.sent or outcome.received) == (b"c",)
    assert (outcome.failed, outcome.problem) == ((), None)
    pair.both()


@contextmanager
def just_before_verifying(
    monkeypatch: pytest.MonkeyPatch, edit: Callable[[], object]
) -> Iterator[None]:
    """Somebody edits when all has been brought there, and has not been looked at."""
    verify = send.verify

    def edit_first(*args: Any) -> send.Sent:
        edit()
        return verify(*args)

    with monkeypatch.context() as patch:
        patch.setattr(send, "verify", edit_first)
        yield


def test_what_grows_here_while_it_is_sent_is_no_conflict(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log: what has been sent is neither what the scan saw nor what is here when that is done."""
    pair.started(a="1", b="1")

    def grow() -> None:
        with open(pair.here / "a", "a") as stream:
            stream.write(", and more")

    grow()
    with just_before_verifying(monkeypatch, grow):
        outcome = meanwhile(pair, "up", grow)
    assert (outcome.sent, outcome.failed) == ((b"a",), ())
    assert not pair.down().did_anything
    assert pair.up().sent == (b"a",)
    assert same(pair)["a"] == (0o644, b"1" + 3 * b", and more")


def test_what_is_written_there_while_something_grows_here_is_kept(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.started(a="1", b="1")
    write(pair.here / "a", "1, and more")

    def write_first() -> None:
        write(pair.here / "a", "1, and more and more")
        write(pair.there / "a", "unseen")

    with just_before_verifying(monkeypatch, write_first):
        pair.up()
    pair.both()
    assert contents(pair.here) == {b"1", b"unseen", b"1, and more and more"}


def test_what_is_as_long_and_as_old_as_what_could_not_be_put_there_is_not_taken_for_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.started(a="1", b="1")
    again(pair.here / "a", "2")

    def edit_instead(*_: object) -> None:
        (pair.there / "a").rename(pair.base / "a")
        shutil.copy2(pair.base / "a", pair.there / "a")
        again(pair.there / "a", "3")
        pair.far.own(pair.there)

    with monkeypatch.context() as patch:
        patch.setattr(aside, "install", edit_instead)
        assert pair.up().failed == (b"a",)
    pair.down()
    pair.both()
    assert contents(pair.here) == {b"1", b"2", b"3"}


def test_what_somebody_there_cuts_short_as_soon_as_it_has_come_is_kept(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not what had been written here by then, though all of it is here, too."""
    pair.started(a="1", b="1")
    write(pair.here / "a", "2, and more")

    def cut_first() -> None:
        write(pair.there / "a", "2")

    with just_before_verifying(monkeypatch, cut_first):
        pair.up()
    pair.both()
    assert contents(pair.here) == {b"1", b"2", b"2, and more"}


@pytest.mark.parametrize("how", HOWS[1:])
def test_what_is_written_late_into_a_replaced_file_is_kept(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Somebody had it open since before, and writes when the other version is in place."""
    pair.started(a="early")
    write(pair.there / "a", "from there")
    with written_late(monkeypatch, pair.here / "a", how) as written:
        pair.down()
    pair.both()
    assert contents(pair.here) == {b"from there", written}


@pytest.mark.parametrize("how", HOWS[1:])
def test_what_is_written_late_into_a_deleted_file_is_kept(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Deleted there, changed here: the change wins, also when it comes as late as that."""
    pair.started(a="early", b="b")
    (pair.there / "a").unlink()
    with written_late(monkeypatch, pair.here / "a", how) as written:
        assert not pair.down().deleted_here
    assert (pair.here / "a").read_bytes() == written
    pair.both()
    assert contents(pair.there) == {written, b"b"}


@contextmanager
def written_late(monkeypatch: pytest.MonkeyPatch, path: Path, how: str) -> Iterator[bytes]:
    """Somebody has the file open, and writes this when a sync has done to it what it was to do."""
    rescue = receive.rescue_late
    content = "late, " if how == HOWS[1] else "later"
    with open(path, "r+") as late:

        def write_first(*args: object) -> None:
            times = os.fstat(late.fileno())
            late.write(content)
            late.flush()
            if how == HOWS[2]:
                os.utime(late.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))
            rescue(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(receive, "rescue_late", write_first)
        yield content.encode()


def test_permissions_that_are_given_in_the_moment_of_arrival_go_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.started(a="1")
    write(pair.there / "a", "from there")
    settle = receive._settle

    def give_first(*args: Any) -> None:
        (pair.here / "a").chmod(0o755)
        settle(*args)

    with monkeypatch.context() as patch:
        patch.setattr(receive, "_settle", give_first)
        pair.down()
    pair.both()
    assert same(pair) == {"a": (0o755, b"from there")}


def test_permissions_of_a_file_are_given_to_no_directory_that_has_taken_its_place(
    pair: Pair,
) -> None:
    pair.started(a="1", b="1")
    (pair.there / "a").chmod(0o600)
    write(pair.there / "b", "from there")

    def replace() -> None:
        (pair.here / "a").unlink()
        write(pair.here / "a" / "in", "2")

    meanwhile(pair, "down", replace)
    assert (pair.here / "a").stat().st_mode & 0o777 == 0o755
    pair.both()
    assert contents(pair.here) == {b"2", b"from there"}


@pytest.mark.parametrize("links", [True, False])
def test_a_file_system_that_cannot_exchange_names_is_synced_as_well(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    monkeypatch.setattr(swap, "_rename", lambda: None)
    if not links:

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", refuse)
    long = "x" * 255
    pair.started(**dict.fromkeys(("a", long, "gone", "link", "busy", "directory"), "1"))
    for name in ("a", long, "busy", "directory", "new"):
        write(pair.there / name, "from there")
    for name in ("gone", "link"):
        (pair.there / name).unlink()
    (pair.there / "link").symlink_to("a")

    def edit() -> None:
        write(pair.here / "busy", "unseen")
        (pair.here / "directory").unlink()
        write(pair.here / "directory" / "b", "unseen, too")

    outcome = meanwhile(pair, "down", edit)
    assert [path for path, _ in outcome.conflicts] == [b"busy", b"directory"]
    assert not outcome.failed
    pair.both()
    assert {"a", long, "new", "link", "busy", "directory/b"} < set(same(pair))
    assert (pair.here / "a").read_text() == (pair.here / long).read_text() == "from there"
    assert not (pair.here / "gone").exists()
    assert contents(pair.here) == {b"from there", b"unseen", b"unseen, too"}


# --- nothing outside ------------------------------------------------------------------------------


def test_links_are_kept_and_never_followed(pair: Pair, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "secret", "untouched").parent
    outside.chmod(0o777)
    pair.started(a="1")
    (pair.there / "to directory").symlink_to(outside)
    (pair.there / "to file").symlink_to(outside / "secret")
    (pair.there / "up").symlink_to("../../../..")
    (pair.there / "dangling").symlink_to("/nowhere/at all")
    pair.down()
    assert same(pair)["to directory"] == ("link", str(outside))
    write(pair.here / "a", "changed")
    pair.up()
    assert tree(outside) == {"secret": (0o644, b"untouched")}


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_directory_that_became_a_link_there_is_not_written_through(
    pair: Pair, tmp_path: Path, direction: str
) -> None:
    outside = write(tmp_path / "outside" / "a", "untouched").parent
    outside.chmod(0o777)
    write(pair.here / "d" / "a", "1")
    write(pair.here / "d" / "deleted", "1")
    pair.up()
    shutil.rmtree(pair.there / "d")
    (pair.there / "d").symlink_to(outside)
    write(pair.here / "d" / "a", "changed here")
    write(pair.here / "d" / "b", "made here")
    (pair.here / "d" / "deleted").unlink()
    getattr(pair, direction)()
    pair.both()
    assert tree(outside) == {"a": (0o644, b"untouched")}
    assert b"changed here" in contents(pair.here)


def test_a_directory_that_became_a_link_here_is_not_written_through(
    pair: Pair, tmp_path: Path
) -> None:
    outside = write(tmp_path / "outside" / "a", "untouched").parent
    write(pair.here / "d" / "a", "1")
    pair.up()
    shutil.rmtree(pair.here / "d")
    (pair.here / "d").symlink_to(outside)
    write(pair.there / "d" / "a", "changed there")
    write(pair.there / "d" / "b", "made there")
    pair.down()
    pair.both()
    assert tree(outside) == {"a": (0o644, b"untouched")}
    assert {b"changed there", b"made there"} <= contents(pair.there)


def test_a_hard_link_to_outside_is_broken_and_not_written_through(
    pair: Pair, tmp_path: Path
) -> None:
    outside = write(tmp_path / "outside", "shared")
    os.link(outside, pair.here / "a")
    pair.up()
    write(pair.there / "a", "changed")
    pair.down()
    assert (pair.here / "a").read_text() == "changed"
    assert outside.read_text() == "shared"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_hard_link_to_outside_keeps_its_permissions(pair: Pair, direction: str) -> None:
    pair.started(a="shared")
    source, target = (pair.here, pair.there) if direction == "up" else (pair.there, pair.here)
    outside = target.parent / f"outside {direction}"
    os.link(target / "a", outside)
    pair.up()
    (source / "a").chmod(0o600)
    pair.sync(direction)
    assert same(pair) == {"a": (0o600, b"shared")}
    assert outside.stat().st_mode & 0o777 == 0o644


def test_pipes_sockets_and_devices_are_left_alone_and_named(pair: Pair) -> None:
    pair.started(a="1", b="1", c="1")
    os.mkfifo(pair.there / "pipe")
    (pair.there / "a").unlink()
    os.mkfifo(pair.there / "a")
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(pair.there)
        bound.bind("sock")
        os.chdir("/")
    if hasattr(os, "mknod"):
        os.mknod(pair.there / "null", 0o20666, os.makedev(1, 3))
    outcome = pair.down()
    assert set(outcome.left_alone) == {b"pipe", b"sock", b"null", b"a"}
    assert tree(pair.here) == dict.fromkeys("abc", (420, b"1"))
    write(pair.here / "a", "2")
    assert pair.up().left_alone
    assert tree(pair.there)["a"] == "special"


def test_set_uid_bits_do_not_travel(pair: Pair) -> None:
    pair.started(a="1")
    write(pair.there / "su", "2").chmod(0o6755)
    write(pair.here / "own", "2").chmod(0o6755)
    pair.up()
    pair.down()
    assert (pair.here / "su").stat().st_mode & 0o7777 == 0o755
    assert (pair.there / "own").stat().st_mode & 0o7777 == 0o755
    assert not pair.up().did_anything


def test_git_never_comes_down_and_goes_up_only_when_asked(pair: Pair) -> None:
    write(pair.here / ".git" / "HEAD", "here")
    write(pair.here / "sub" / ".git", "gitdir: elsewhere")
    pair.started(a="1")
    assert set(tree(pair.there)) == {"a", "sub"}
    write(pair.there / "other" / ".git" / "hooks" / "post-checkout", "evil")
    pair.down()
    assert not (pair.here / "other" / ".git").exists()
    pair.up(git=True)
    assert (pair.there / ".git" / "HEAD").read_text() == "here"
    write(pair.there / ".git" / "HEAD", "there")
    write(pair.there / ".git" / "new", "there")
    pair.down(git=True)
    assert (pair.here / ".git" / "HEAD").read_text() == "here"
    assert not (pair.here / ".git" / "new").exists()


# --- what is left out -----------------------------------------------------------------------------


def test_what_is_left_out_is_neither_brought_over_nor_deleted(pair: Pair) -> None:
    for side in ("here", "there"):
        root = getattr(pair, side)
        write(root / "__pycache__" / side, side)
        write(root / "data" / side, side)
        if side == "here":
            pair.started(a="1")
    pair.up("data")
    pair.down("data")
    assert (pair.here / "data" / "here").exists()
    assert not (pair.here / "data" / "there").exists()
    assert (pair.there / "data" / "there").exists()
    assert not (pair.there / "__pycache__" / "here").exists()


def test_what_a_sync_of_a_project_inside_of_another_has_begun_is_left_out(pair: Pair) -> None:
    write(pair.here / "inner" / ".shellenv-sync" / "0123" / "in" / "half", "1")
    pair.started(a="1")
    write(pair.there / "inner" / ".shellenv-sync" / "theirs", "1")
    pair.down()
    assert not (pair.there / "inner" / ".shellenv-sync" / "0123").exists()
    assert not (pair.here / "inner" / ".shellenv-sync" / "theirs").exists()


def test_a_new_rule_deletes_nothing_on_either_side(pair: Pair) -> None:
    write(pair.here / "data" / "x", "1")
    pair.started(a="1")
    for _ in range(2):
        pair.up("data")
        pair.down("data")
    assert (pair.here / "data" / "x").exists()
    assert (pair.there / "data" / "x").exists()
    write(pair.there / "data" / "x", "changed")
    pair.down()
    assert (pair.here / "data" / "x").exists()
    assert b"changed" in contents(pair.here)


def test_a_rule_that_came_and_went_hides_no_change_there(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bracket, "_PAYS", 0)
    pair.started(a="1", b="1", gone="1")
    pair.both()
    write(pair.there / "a", "changed there")
    (pair.there / "gone").unlink()
    for _ in range(2):
        assert not pair.down("*", "!b").did_anything
    outcome = pair.down()
    assert (outcome.received, outcome.deleted_here) == ((b"a",), (b"gone",))


def test_a_deleted_directory_with_a_cache_in_it_does_not_come_back(pair: Pair) -> None:
    write(pair.here / "d" / "a", "1")
    pair.started(b="1")
    write(pair.there / "d" / "__pycache__" / "x", "cache")
    shutil.rmtree(pair.here / "d")
    pair.up()
    assert tree(pair.there).keys() == {"b", "d", "d/__pycache__", "d/__pycache__/x"}
    pair.down()
    assert set(tree(pair.here)) == {"b"}
    assert not pair.up().did_anything


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_deleted_directory_goes_when_nothing_is_left_in_it(pair: Pair, direction: str) -> None:
    write(pair.here / "d" / "a", "1")
    pair.started(b="1")
    source, target = (pair.here, pair.there) if direction == "up" else (pair.there, pair.here)
    write(target / "d" / "__pycache__" / "x", "cache")
    shutil.rmtree(source / "d")
    pair.sync(direction)
    shutil.rmtree(target / "d" / "__pycache__")
    pair.sync(DOWN if direction == "up" else UP)
    assert (target / "d").exists()
    pair.sync(direction)
    assert same(pair) == {"b": (0o644, b"1")}
    assert not pair.sync(direction).did_anything


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_directory_that_stayed_for_a_cache_may_be_deleted_by_hand(
    pair: Pair, direction: str
) -> None:
    write(pair.here / "d" / "a", "1")
    pair.started(b="1")
    source, target = (pair.here, pair.there) if direction == "up" else (pair.there, pair.here)
    write(target / "d" / "__pycache__" / "x", "cache")
    shutil.rmtree(source / "d")
    pair.sync(direction)
    shutil.rmtree(target / "d")
    for way in (UP, DOWN):
        assert not pair.sync(way).did_anything
    assert same(pair) == {"b": (0o644, b"1")}


def test_what_is_left_out_does_not_come_down_in_a_conflict_of_directories(pair: Pair) -> None:
    write(pair.here / "d" / "a", "1")
    pair.started(b="1")
    write(pair.there / "d" / "a", "changed there")
    write(pair.there / "d" / ".git" / "hooks" / "post-checkout", "code")
    write(pair.there / "d" / "__pycache__" / "x", "cache")
    shutil.rmtree(pair.here / "d")
    write(pair.here / "d", "a file")
    pair.up()
    pair.down()
    assert contents(pair.here) == {b"1", b"a file", b"changed there"}
    assert contents(pair.there) == {b"1", b"a file", b"changed there", b"code", b"cache"}


# --- whose it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["here", "there"])
@pytest.mark.parametrize("how", ["emptied", "missing"])
def test_an_emptied_side_stops_the_sync(pair: Pair, side: str, how: str) -> None:
    pair.started(a="1", b="2")
    gone, kept = (pair.here, pair.there) if side == "here" else (pair.there, pair.here)
    shutil.rmtree(gone)
    if how == "emptied" or side == "here":
        gone.mkdir()
    for sync in (pair.up, pair.down):
        with pytest.raises(ShellenvError, match="is empty now, and 2 files") as caught:
            sync()
        assert "--restore" in caught.value.hint
    assert set(tree(kept)) == {"a", "b"}
    (pair.up if side == "there" else pair.down)(restore=True)
    assert len(same(pair)) == 2


def test_an_emptied_side_can_be_meant(pair: Pair) -> None:
    pair.started(a="1", b="2")
    for name in "ab":
        (pair.there / name).unlink()
    pair.down(accept_empty=True)
    assert same(pair) == {}


def test_another_project_of_that_name_is_refused(far: Far, tmp_path: Path) -> None:
    one, other = Pair(far, tmp_path), Pair(far, tmp_path / "b")
    other.remote_root, other.there = one.remote_root, one.there
    one.started(a="1")
    write(other.here / "a", "other")
    for sync in (other.up, other.down):
        with pytest.raises(ShellenvError, match=f"belongs to {one.here} on") as caught:
            sync()
        assert "[shellenv.sync] name" in caught.value.hint
    assert (one.there / "a").read_text() == "1"
    other.up(adopt=True)
    assert {b"other", b"1"} <= contents(one.there)
    with pytest.raises(ShellenvError, match="belongs to"):
        one.up()


def test_the_same_project_on_another_machine_is_refused(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the other machine's home directory is a copy of this one's."""
    pair.started(a="1")
    monkeypatch.setattr("shellenv.sync.manifest.machine", lambda: "laptop 0123")
    with pytest.raises(ShellenvError, match=f"belongs to {pair.here} on {socket.gethostname()}"):
        pair.up()
    pair.up(adopt=True)
    monkeypatch.setattr("shellenv.sync.manifest.machine", lambda: "other-name 0123")
    pair.up()  # a machine may be called by another name


def test_a_directory_that_is_nobodys_is_refused(pair: Pair) -> None:
    write(pair.there / "theirs", "1")
    with pytest.raises(ShellenvError, match="not empty, and not from here"):
        pair.started(a="1")
    pair.up(adopt=True)
    pair.both()
    assert set(same(pair)) == {"a", "theirs"}


def test_without_its_manifest_a_project_loses_nothing(pair: Pair) -> None:
    pair.started(a="1", b="2", c="3")
    shutil.rmtree(pair.home / ".local")
    write(pair.here / "a", "ours")
    write(pair.there / "b", "theirs")
    pair.up()
    pair.both()
    assert contents(pair.here) == {b"ours", b"1", b"2", b"theirs", b"3"}


def test_a_listing_counts_for_nothing_where_the_manifest_is_lost(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bracket, "_PAYS", 0)
    pair.started(a="1", b="1")
    pair.both()
    (manifest,) = pair.home.glob("**/sync/*/manifest")
    manifest.write_bytes(bytes(100))  # the power failed
    write(pair.here / "a", "2")
    outcome = pair.up()
    assert (outcome.sent, outcome.failed) == ((b"a",), ())
    pair.both()
    assert contents(pair.here) == {b"1", b"2"}


# --- progress -------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["up", "down"])
def test_progress_is_told_in_bytes(pair: Pair, direction: str) -> None:
    pair.started(a="1")
    write((pair.here if direction == "up" else pair.there) / "big", os.urandom(20 << 20))
    pair.far.own(pair.remote_root)
    told: list[int] = []
    totals: list[int] = []

    @contextmanager
    def watch(what: str, total: int) -> Iterator[Callable[[int], None]]:
        assert what == f"sync-{direction}"
        totals.append(total)
        yield told.append

    bracket.sync(pair.context, pair.wish()._replace(watch=watch), direction)
    same(pair)
    assert totals == [20 << 20]
    assert told
    assert told == sorted(told)
    assert told[-1] == 20 << 20


BAR = """
import time
from shellenv.sync.bar import bar
with bar("sync-up", 100) as update:
    for done in range(0, 101, 10):
        if update:
            update(done)
        time.sleep({pause})
print("over")
"""


@pytest.mark.parametrize(("pause", "shown"), [(0.25, True), (0.0, False)])
def test_a_bar_is_shown_only_where_it_takes_longer_than_a_second(pause: float, shown: bool) -> None:
    child = pexpect.spawn(
        sys.executable, ["-c", BAR.format(pause=pause)], encoding="utf-8", timeout=60
    )
    child.expect("over")
    assert ("sync-up" in str(child.before)) == shown
    child.close()
    done = subprocess.run(
        [sys.executable, "-c", BAR.format(pause=pause)], capture_output=True, check=True
    )
    assert done.stderr == b""
