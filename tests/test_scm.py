"""Versions for projects that take theirs from git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from places import file

from shellenv import scm
from shellenv.dependencies import find

ENV = {
    "PATH": os.environ["PATH"],
    **{f"GIT_{who}_{what}": "me" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", root, *words], env=ENV, check=True, capture_output=True)


def variables(root: Path) -> dict[str, str]:
    return scm.variables(str(root), find(str(root)), ENV)


@pytest.mark.parametrize(
    ("described", "version"),
    [
        ("1.6.0-0-ge382e72", "1.6.0"),
        ("v1.6.0-179-ge382e72", "1.6.1.dev179+ge382e72"),
        ("thing-v2.0rc1-1-gabc", "2.0rc2.dev1+gabc"),
        ("2.9.0.post0-20-gabc", "2.9.0.post1.dev20+gabc"),
        ("release/9-3-gabc", "10.dev3+gabc"),
        ("e382e72", "0.1.dev0+ge382e72"),
        ("nightly-3-gabc", ""),
        ("", ""),
    ],
)
def test_the_version_is_the_one_after_the_tags(described: str, version: str) -> None:
    assert scm.version(described) == version


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ('requires = ["setuptools-scm>=8"]', "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_A_THING"),
        ('requires = ["setuptools_scm<8.0"]', "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ('requires = ["hatch-vcs", "setuptools-scm"]', "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ('version = {source = "scm"}', "PDM_BUILD_SCM_VERSION"),
        ('requires = ["pbr"]', "PBR_VERSION"),
    ],
)
def test_each_tool_is_told_by_its_own_variable(tmp_path: Path, text: str, variable: str) -> None:
    others = '[[tool.notes.type]]\nname = "News"\n'
    pyproject = f'[build-system]\n{text}\n{others}[project]\nreadme = "x"\nname = "a.Thing"\n'
    file(tmp_path / "pyproject.toml", pyproject)
    file(tmp_path / "uv.lock", 'name = "hatch-vcs"\n')
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    git(tmp_path, "tag", "v1.0")
    assert variables(tmp_path) == {variable: "1.0"}


def test_a_setup_py_has_its_name_in_a_call(tmp_path: Path) -> None:
    file(
        tmp_path / "setup.py", "setup(name='t', use_scm_version=1, setup_requires='setuptools_scm')"
    )
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (name,) = variables(tmp_path)
    assert name == "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_T"


def test_who_does_not_ask_git_is_told_nothing(tmp_path: Path) -> None:
    file(tmp_path / "pyproject.toml", '[project]\nname = "thing"\nversion = "1"\n')
    assert variables(tmp_path) == {}


def test_without_a_repository_nobody_knows(tmp_path: Path) -> None:
    file(tmp_path / "setup.py", "setup(name='t', setup_requires='setuptools_scm')")
    assert variables(tmp_path) == {}
