"""Surveys: what was found, what waits for approval, and what must be watched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from places import context, file, venv

from shellenv import trust
from shellenv.context import Context
from shellenv.plan import expand
from shellenv.survey import PRESENT, Survey, survey

GOOD = "[shellenv.env]\nGOOD = yes\n"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    root = tmp_path / "p/api"
    root.mkdir(parents=True)
    return context(tmp_path, root)


def home(ctx: Context) -> Path:
    return Path(ctx.env["HOME"])


def allow(ctx: Context, path: Path, content: str = GOOD) -> None:
    file(path, content)
    trust.allow(ctx, [trust.Subject(str(path), content.encode())])


def values(found: Survey) -> dict[str, str]:
    variables = found.plan.variables if found.plan else ()
    return {
        variable.name: expand(variable.value, {})
        for variable in variables
        if not variable.name.startswith("SHELLENV_")
    }


def watched(found: Survey) -> dict[str, int | None]:
    return {watch.path: watch.mtime for watch in found.watch}


def test_where_there_is_nothing_there_is_no_plan(ctx: Context) -> None:
    found = survey(ctx)
    assert found.plan is None
    assert (found.errors, found.blocked, found.warnings) == ((), (), ())


def test_a_file_is_read_once_allowed_and_both_it_and_the_approval_are_watched(
    ctx: Context,
) -> None:
    path = file(Path(ctx.cwd) / "dockerutils.cfg", GOOD)
    before = survey(ctx)
    assert [blocked[:3] for blocked in before.blocked] == [(str(path), "blocked", "settings")]
    assert values(before) == {}
    assert before.plan is not None
    assert [notice for notice in before.plan.notices if "not allowed yet" in notice]
    record = trust.record_path(ctx, str(path), GOOD.encode()) or ""
    # absent: by the highest part of its path that is not there
    assert any(record.startswith(name) for name, time in watched(before).items() if time is None)
    allow(ctx, path)
    after = survey(ctx)
    assert values(after) == {"GOOD": "yes"}
    assert watched(after)[str(path)] == path.stat().st_mtime_ns
    assert watched(after)[record] == PRESENT
    assert before.watch != after.watch


def test_every_place_where_settings_may_appear_is_watched(ctx: Context) -> None:
    allow(ctx, Path(ctx.cwd) / "dockerutils.cfg")
    absent = [path for path, time in watched(survey(ctx)).items() if time is None]
    for path in (
        f"{ctx.cwd}/docker/dockerutils.cfg",
        f"{home(ctx)}/p/dockerutils.cfg",
        f"{ctx.cwd}/.venv/bin/activate",
        f"{home(ctx)}/.venv/api/bin/activate",
        f"{home(ctx)}/.config/shellenv/projects/api.cfg",
        f"{home(ctx)}/.config/shellenv/dockerutils.cfg",
    ):
        assert any(path == name or path.startswith(f"{name}/") for name in absent), path


def test_what_is_absent_is_watched_by_the_highest_part_that_is_missing(ctx: Context) -> None:
    allow(ctx, Path(ctx.cwd) / "dockerutils.cfg")
    absent = [path for path, time in watched(survey(ctx)).items() if time is None]
    assert absent
    for path in absent:
        assert not os.path.lexists(path)
        assert os.path.isdir(os.path.dirname(path)), path


def test_an_error_anywhere_applies_nothing_and_is_told_once(ctx: Context) -> None:
    allow(ctx, Path(ctx.cwd) / "dockerutils.cfg")
    venv(home(ctx) / ".venv/api")
    mine = file(home(ctx) / ".config/shellenv/projects/api.cfg", "oh\n")
    found = survey(ctx)
    assert len(found.errors) == 1
    assert found.plan is not None
    assert found.plan.empty
    assert len(found.plan.notices) == 1
    assert f"{mine}:1" in found.plan.notices[0]
    assert watched(found)[str(mine)] == mine.stat().st_mtime_ns  # mending it is seen


def test_a_directory_in_place_of_a_file_is_watched_by_its_time(ctx: Context) -> None:
    venv(home(ctx) / ".venv/api")
    mine = home(ctx) / ".config/shellenv/projects/api.cfg"
    mine.mkdir(parents=True)
    found = survey(ctx)
    assert len(found.errors) == 1
    assert watched(found)[str(mine)] == mine.stat().st_mtime_ns


def test_quiet_silences_requests_and_not_mistakes(ctx: Context) -> None:
    file(Path(ctx.cwd) / "dockerutils.cfg", GOOD)
    mine = file(
        home(ctx) / ".config/shellenv/projects/api.cfg", "[shellenv]\nquiet = yes\nquite = no\n"
    )
    found = survey(ctx)
    assert found.plan is not None
    assert len(found.plan.notices) == 1
    assert f"{mine}:3" in found.plan.notices[0]


def test_notices_are_single_lines_without_control_characters(tmp_path: Path) -> None:
    root = tmp_path / "p/a\x1b[2J\nb\r"
    file(root / "dockerutils.cfg", GOOD)
    found = survey(context(tmp_path, root))
    assert found.plan is not None
    assert found.plan.notices
    assert all(notice.isprintable() for notice in found.plan.notices)


def test_a_dotenv_file_needs_approval_of_its_own(ctx: Context) -> None:
    allow(ctx, Path(ctx.cwd) / "dockerutils.cfg", f"{GOOD}[shellenv.dotenv]\nfiles = .env\n")
    text = "A=1\nexport B='it s'\nC=${A}x${NO:-d}\n"
    path = file(Path(ctx.cwd) / ".env", text)
    before = survey(ctx)
    assert values(before) == {"GOOD": "yes"}
    assert [blocked.kind for blocked in before.blocked] == ["variables"]
    allow(ctx, path, text)
    found = survey(ctx)
    assert values(found)["A"] == "1"
    assert values(found)["C"] == "xd"  # A is the shell's to expand: here there is none
    assert watched(found)[str(path)] == path.stat().st_mtime_ns


def test_a_dotenv_file_that_is_missing_is_no_error_and_is_watched(ctx: Context) -> None:
    allow(ctx, Path(ctx.cwd) / "dockerutils.cfg", f"{GOOD}[shellenv.dotenv]\nfiles = .env\n")
    found = survey(ctx)
    assert found.errors == ()
    assert watched(found)[f"{ctx.cwd}/.env"] is None


def test_the_projects_own_environment_waits_for_approval_of_each_script(ctx: Context) -> None:
    own = Path(ctx.cwd) / ".venv"
    for script in ("activate", "activate.fish"):
        file(own / "bin" / script, "# script\n")
    assert {blocked.kind for blocked in survey(ctx).blocked} == {"environment"}
    allow(ctx, own / "bin/activate", "# script\n")
    still = survey(ctx)
    assert still.plan is not None
    assert still.plan.venv is None
    allow(ctx, own / "bin/activate.fish", "# script\n")
    found = survey(ctx)
    assert found.plan is not None
    assert found.plan.venv is not None
    assert found.plan.venv.path == str(own)


@pytest.mark.parametrize("value", ["relative", "~other/x", "$HOME/x"])
def test_a_directory_of_environments_that_is_none_is_told_and_has_no_effect(
    ctx: Context, value: str
) -> None:
    venv(home(ctx) / ".venv/api")
    found = survey(ctx._replace(env={**ctx.env, "SHELLENV_VENV_DIR": value}))
    assert found.settings.venv_dir == f"{home(ctx)}/.venv"
    assert found.plan is not None
    assert "$SHELLENV_VENV_DIR" in found.plan.notices[0]
    assert found.plan.venv is None


def test_the_variable_says_where_environments_are_before_the_file_does(ctx: Context) -> None:
    file(home(ctx) / ".config/shellenv/dockerutils.cfg", "[shellenv]\nvenv_dir = ~/file\n")
    assert survey(ctx).settings.venv_dir == f"{home(ctx)}/file"
    for value, wanted in (("/abs", "/abs"), ("~/x", f"{home(ctx)}/x"), ("~", str(home(ctx)))):
        env = {**ctx.env, "SHELLENV_VENV_DIR": value}
        assert survey(ctx._replace(env=env)).settings.venv_dir == wanted


def test_a_survey_of_the_same_disk_is_the_same(ctx: Context) -> None:
    allow(ctx, Path(ctx.cwd) / "dockerutils.cfg")
    venv(home(ctx) / ".venv/api")
    assert survey(ctx) == survey(ctx)


def test_a_mistake_in_an_outer_project_applies_nothing_of_those_in_it(ctx: Context) -> None:
    allow(ctx, Path(ctx.cwd) / "dockerutils.cfg")
    assert values(survey(ctx)) == {"GOOD": "yes"}
    allow(ctx, Path(ctx.cwd).parent / "dockerutils.cfg", f"{GOOD}oh\n")
    found = survey(ctx)
    assert len(found.errors) == 1
    assert values(found) == {}
    assert found.plan is not None
    assert found.plan.notices
