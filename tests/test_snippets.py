"""The cache: private, whole or not at all, and the same whoever writes it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import places
import pytest

from shellenv import snippets
from shellenv.context import Context
from shellenv.survey import PRESENT, Watch

OLD = 1_600_000_000_123_456_789


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    runtime = tmp_path / "run"
    runtime.mkdir()
    return places.context(tmp_path, XDG_RUNTIME_DIR=str(runtime))


def cache(ctx: Context) -> Path:
    return Path(ctx.env["HOME"]) / ".cache/shellenv"


def everything(path: Path) -> Iterator[Path]:
    yield path
    yield from path.rglob("*")


WATCH = (
    Watch("/a", OLD),
    Watch("/b", None),
    Watch("/c", PRESENT),
    Watch("/d", OLD + 1),
)


def test_each_watched_file_has_a_stamp_with_its_time(ctx: Context) -> None:
    stamps = snippets.stamp(ctx, WATCH)
    assert stamps.problem == ""
    assert stamps.directory is not None
    times = {path.name: path.stat().st_mtime_ns for path in Path(stamps.directory).iterdir()}
    assert times == {"0": OLD, "1": OLD + 1}  # what is absent, or only has to be there, has none


def test_the_same_watch_list_has_the_same_stamps_and_another_one_others(ctx: Context) -> None:
    first = snippets.stamp(ctx, WATCH)
    assert snippets.stamp(ctx, WATCH) == first
    others = {
        snippets.stamp(ctx, WATCH[:-1]),
        snippets.stamp(ctx, (*WATCH[:-1], Watch("/d", OLD))),
        snippets.stamp(ctx, (*WATCH[:-1], Watch("/d", None))),
        snippets.stamp(ctx, (*WATCH[:-1], Watch("/e", OLD + 1))),
    }
    assert len(others) == 4
    assert first not in others


def test_all_of_the_cache_is_private(ctx: Context) -> None:
    mask = os.umask(0)
    try:
        snippets.stamp(ctx, WATCH)
        assert snippets.write(ctx, f"{cache(ctx)}/snippets/bash/a/b/.snippet", "x") == ""
    finally:
        os.umask(mask)
    for path in everything(cache(ctx)):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_text_is_kept_byte_for_byte(ctx: Context) -> None:
    text = "a\udcff\né\r\n\udc80"
    path = f"{cache(ctx)}/snippets/zsh/\udcff/.snippet"
    assert snippets.write(ctx, path, text) == ""
    assert Path(path).read_bytes() == b"a\xff\n\xc3\xa9\r\n\x80"


def test_a_cache_that_cannot_be_made_is_told_and_another_place_keeps_the_stamps(
    ctx: Context,
) -> None:
    cache(ctx).parent.mkdir()
    cache(ctx).touch()
    stamps = snippets.stamp(ctx, WATCH)
    assert str(cache(ctx)) in stamps.problem
    assert (stamps.directory or "").startswith(ctx.env["XDG_RUNTIME_DIR"])
    assert "cannot" in snippets.write(ctx, f"{cache(ctx)}/x", "x")


def test_what_is_there_stays_where_the_new_cannot_be_written(ctx: Context) -> None:
    target = cache(ctx) / "snippets/bash/p/.snippet"
    (target / "in the way").mkdir(parents=True)
    assert "cannot write" in snippets.write(ctx, str(target), "x")
    assert [path.name for path in target.parent.iterdir()] == [".snippet"]  # and nothing half-made


WRITER = """
import sys, time
from shellenv import snippets
from shellenv.context import Context
from shellenv.survey import Watch
home, path, text, when = sys.argv[1:]
ctx = Context(home, {"HOME": home}, home, __import__("os").geteuid())
watch = tuple(Watch(f"/{n}", 1_600_000_000_123_456_789 + n) for n in range(20))
while time.time() < float(when):
    pass
for _ in range(20):
    print(snippets.stamp(ctx, watch))
    assert snippets.write(ctx, path, text * 5000) == ""
"""


def test_thirty_processes_that_write_at_once_leave_a_whole_cache(ctx: Context) -> None:
    home, path = ctx.env["HOME"], cache(ctx) / "snippets/bash/p/.snippet"
    begin = str(time.time() + 1)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, home, str(path), chr(ord("a") + number), begin],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(30)
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            text = path.read_text()
            seen.add((len(text), len(set(text))))  # at any moment one writer's, and whole
        time.sleep(0.001)
    outputs = [writer.communicate() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 30, outputs
    assert {line for out, _ in outputs for line in out.splitlines()} == {
        str(snippets.stamp(ctx, tuple(Watch(f"/{n}", OLD + n) for n in range(20))))
    }
    assert seen == {(5000, 1)}
    assert [entry.name for entry in path.parent.iterdir()] == [".snippet"]
    stamps = list((cache(ctx) / "stamps").glob("*/*"))
    assert sorted(stamp.stat().st_mtime_ns for stamp in stamps) == [OLD + n for n in range(20)]


def test_stamps_that_nobody_made_lately_are_swept_if_there_are_many(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snippets, "KEEP_NUMBER", 3)
    made = [snippets.stamp(ctx, (Watch(f"/{n}", OLD),)).directory or "" for n in range(3)]
    long_ago = time.time() - (snippets.KEEP_DAYS + 1) * 86400
    for directory in made[:2]:
        os.utime(directory, (long_ago, long_ago))
    snippets.forget_unused(ctx)
    assert all(map(os.path.exists, made))  # they are few
    made.append(snippets.stamp(ctx, (Watch("/new", OLD),)).directory or "")
    snippets.forget_unused(ctx)
    assert [os.path.exists(directory) for directory in made] == [False, False, True, True]


def test_without_a_home_there_is_no_cache_and_no_complaint(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nowhere = ctx._replace(env={"XDG_RUNTIME_DIR": ctx.env["XDG_RUNTIME_DIR"]}, home=None)
    assert snippets.stamp(nowhere, WATCH).problem == ""
    assert snippets.write(nowhere, "None/x", "x") == ""
    snippets.forget_unused(nowhere)
    assert not (tmp_path / "None").exists()
