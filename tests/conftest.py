from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from docksync import Far, Pair, machine
from harness import BIN, SHELLS, Home, Shell, require, set_template_directory


def pytest_sessionstart() -> None:
    if not (BIN / "shellenv").exists():
        pytest.exit(f"shellenv is not installed in {BIN.parent}: run `make test`", returncode=4)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `shell` runs in each shell, or in those that its marker names."""
    if "shell" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("shells")
        metafunc.parametrize("shell", marker.args if marker else SHELLS, indirect=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        require(*marker.args)


@pytest.fixture(scope="session", autouse=True)
def _venv_template(tmp_path_factory: pytest.TempPathFactory) -> None:
    set_template_directory(tmp_path_factory.mktemp("venv"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A throw-away home directory and a clean environment."""
    return Home.create(tmp_path / "home")


@pytest.fixture
def shell(request: pytest.FixtureRequest, home: Home) -> Shell:
    """One of the shells, in a throw-away home."""
    return Shell(request.param, home)


@pytest.fixture(scope="session")
def far() -> Iterator[Far]:
    """A machine to sync with, as a throw-away user."""
    with machine() as found:
        yield found


@pytest.fixture
def pair(far: Far, tmp_path: Path) -> Pair:
    """A project here and its directory there."""
    return Pair(far, tmp_path)
