from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from aws import CREDSTASH, Aws
from dock import Images, RealDock, remove_leftovers, require_images
from docksync import Far, Pair, machine
from harness import (
    BIN,
    SHELLS,
    Home,
    Shell,
    eventually,
    require,
    set_template_directory,
    strict,
)
from proxies import Proxy
from sailor import Sailor
from servers import User, python_for_others

# No example fails because the machine is busy
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


# A shell that starts us in the background has them ignored, and so would have whatever we start
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """Where `strict`, a test that skips fails, whatever it misses."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and strict():
        report.outcome, report.longrepr = "failed", f"skipped: {report.longrepr}"


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
def shell(request: pytest.FixtureRequest) -> Shell:
    """One of the shells, in a throw-away home: that of the sailor, where a test has one."""
    if "sailor" in request.fixturenames:
        sailor: Sailor = request.getfixturevalue("sailor")
        return sailor.shell(request.param)
    return Shell(request.param, request.getfixturevalue("home"))


# --- secrets ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Amazon's cloud, with a store of secrets."""
    found = Aws(tmp_path_factory.mktemp("aws"))
    yield found
    found.stop()


@pytest.fixture(scope="session")
def _credstash(somebody: User) -> None:
    """`user` can fetch secrets."""
    somebody.bring(*CREDSTASH)


# --- docks ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def base() -> Iterator[Path]:
    """A directory that every user can enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="shellenv-docks-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def somebody(base: Path) -> Iterator[User]:
    require("ssh", "setpriv", "useradd")
    python = python_for_others() if os.geteuid() == 0 else None
    if python is None or not os.path.exists("/usr/sbin/sshd"):
        message = "needs root, sshd, and a Python that other users can run"
        pytest.skip(message)
    assert python is not None
    user = User(base, f"shellenv{os.getpid()}", python)
    yield user
    user.remove()


@pytest.fixture
def user(somebody: User) -> User:
    """A unix user with a new home directory, whose key docks know."""
    somebody.move_in()
    return somebody


@pytest.fixture(scope="session")
def images() -> Images:
    """The images that the local engine has for tests."""
    return require_images()


@pytest.fixture(scope="session")
def _first_dock(images: Images, somebody: User) -> Iterator[RealDock]:
    remove_leftovers()
    with RealDock(images, somebody.base / "key.pub") as dock:
        yield dock


@pytest.fixture(scope="session")
def _second_dock(images: Images, somebody: User) -> Iterator[RealDock]:
    with RealDock(images, somebody.base / "key.pub") as dock:
        yield dock


@pytest.fixture
def real_dock(_first_dock: RealDock) -> RealDock:
    """A dock with its own Docker Engine, as at its first start; `user` may log in."""
    _first_dock.reset()
    return _first_dock


@pytest.fixture
def other_dock(_second_dock: RealDock) -> RealDock:
    """A second dock beside `real_dock`."""
    _second_dock.reset()
    return _second_dock


# --- somebody who docks ---


@pytest.fixture
def sailor(user: User) -> Iterator[Sailor]:
    """The throw-away user, who docks; a test that has one has their shells."""
    user.base.chmod(0o777)  # scripts and what they write down lie beside the home directory
    runtime = user.base / "run"
    shutil.rmtree(runtime, ignore_errors=True)
    runtime.mkdir(mode=0o700)
    user.own(runtime)
    user.env |= {"XDG_RUNTIME_DIR": str(runtime), "LOGNAME": user.name, "SHELL": "/bin/sh"}
    for directory in (".venv", "projects", ".config/fish", ".local/share/fish"):
        (user.home / directory).mkdir(parents=True, exist_ok=True)
    user.own(user.home)
    sailor = Sailor(user, Home(user.home, user.env))
    yield sailor
    eventually(lambda: not sailor.processes(), "the connections of ended shells end")


@pytest.fixture
def bash(sailor: Sailor) -> Shell:
    """For what does not depend on the shell."""
    return sailor.shell("bash")


@pytest.fixture
def gpu(sailor: Sailor, real_dock: RealDock) -> RealDock:
    """A dock that is registered as gpu."""
    sailor.know(real_dock)
    return real_dock


@pytest.fixture
def proxy(sailor: Sailor, real_dock: RealDock) -> Iterator[Proxy]:
    """The way to a dock that is registered as gpu."""
    with Proxy(real_dock.target) as proxy:
        sailor.know(real_dock, target=proxy.target)
        yield proxy


# --- syncs ---


@pytest.fixture(scope="session")
def far() -> Iterator[Far]:
    """A machine to sync with, as a throw-away user."""
    with machine() as found:
        yield found


@pytest.fixture
def pair(far: Far, tmp_path: Path) -> Pair:
    """A project here and its directory there."""
    return Pair(far, tmp_path)
