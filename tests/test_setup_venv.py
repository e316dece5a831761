"""`setup-venv`: complete or not at all, and the same as by hand."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness import BIN, TIMEOUT, Home, make_venv, run, write

from shellenv.indexes import VARIABLES

SETUP = """from setuptools import setup
setup(name="thing", py_modules=["thing"], entry_points={"console_scripts": ["say = thing:say"]})
"""


# What packages are fetched with, on machines that have something of their own there
NETWORK = ("SSL_CERT_FILE", "PIP_CERT", *VARIABLES)


@pytest.fixture(autouse=True)
def _network(home: Home) -> None:
    home.env.update({name: os.environ[name] for name in NETWORK if name in os.environ})


@pytest.fixture(params=["uv", "pip"])
def tool(request: pytest.FixtureRequest, home: Home) -> str:
    """What installs: uv, or pip where there is none."""
    if request.param == "pip":  # a PATH without uv
        programs = home.path / "bin"
        programs.mkdir()
        for name in ("shellenv", "shellenv-core", "setup-venv", "run-shell"):
            (programs / name).symlink_to(BIN / name)
        home.env["PATH"] = f"{programs}:/usr/local/bin:/usr/bin:/bin"
        if shutil.which("uv", path=home.env["PATH"]):
            pytest.skip("uv is installed beside everything else")
    return str(request.param)


def thing(home: Home) -> Path:
    root = home.project("thing")
    write(root / "setup.py", SETUP)
    write(root / "thing.py", "def say(): print('first')\n")
    return root


def test_what_an_install_leaves_in_the_project_comes_back_with_the_next(
    home: Home, tool: str
) -> None:
    del tool
    root = thing(home)
    home.shellenv("setup-venv", cwd=root)
    left = root / "thing.egg-info"
    shutil.rmtree(left)
    assert home.shellenv("setup-venv", cwd=root).status == 0
    assert left.is_dir()


def test_it_makes_an_environment_with_the_project_in_it(home: Home, tool: str) -> None:
    del tool
    root = thing(home)
    done = home.shellenv("setup-venv", cwd=root)
    assert (done.status, done.stdout) == (0, ""), done
    venv = home.path / ".venv" / "thing"
    assert (venv / ".project").read_text() == f"{root}\n"
    assert run([venv / "bin" / "say"], home.env, home.path).ok() == "first\n"
    write(root / "thing.py", "def say(): print('second')\n")
    assert run([venv / "bin" / "say"], home.env, home.path).ok() == "second\n"
    code = "for name in say python pip; do command -v $name; done"
    found = home.shellenv("run-shell", "--", "sh", "-c", code, cwd=root)
    assert found.stdout.split() == [f"{venv}/bin/{name}" for name in ("say", "python", "pip")]


def test_nothing_in_it_knows_where_it_was_made(home: Home, tool: str) -> None:
    del tool
    root = thing(home)
    assert home.shellenv("setup-venv", cwd=root).status == 0
    venv = home.path / ".venv" / "thing"
    assert list(venv.parent.iterdir()) == [venv]
    texts = (path for path in venv.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert [path for path in texts if b"/.setup-venv." in path.read_bytes()] == []
    script = run(["sh", "-c", f". {venv}/bin/activate; echo $VIRTUAL_ENV"], home.env, root)
    assert script.ok() == f"{venv}\n"


@pytest.mark.parametrize("name", ["it's", "-dash", "é&;!"])
def test_a_project_may_have_an_odd_name(home: Home, tool: str, name: str) -> None:
    del tool
    root = home.project(name)
    write(root / "setup.py", SETUP)
    write(root / "thing.py", "def say(): print('said')\n")
    assert home.shellenv("setup-venv", cwd=root).status == 0
    venv = home.path / ".venv" / name
    code = 'echo "$VIRTUAL_ENV"; command -v python; command -v say; say'
    done = home.shellenv("run-shell", "--", "sh", "-c", code, cwd=root)
    assert done.stdout.splitlines() == [str(venv), f"{venv}/bin/python", f"{venv}/bin/say", "said"]
    for shell, script in (("bash", "activate"), ("fish", "activate.fish")):
        words = [shell, "-c", f'source "$P/bin/{script}"; echo "$VIRTUAL_ENV"']
        assert run(words, {**home.env, "P": str(venv)}, root).ok() == f"{venv}\n"


@pytest.mark.parametrize("name", ['a"b', "a`b", "a\tb", "a:b"])
def test_what_scripts_cannot_hold_is_said_before_anything_is_made(home: Home, name: str) -> None:
    done = home.shellenv("setup-venv", cwd=home.project(name))
    assert (done.status, done.stderr.splitlines()[1]) == (1, "rename the project")
    assert list((home.path / ".venv").iterdir()) == []


def test_a_project_that_cannot_be_installed_is_importable_all_the_same(home: Home) -> None:
    root = home.project("plain")
    write(root / "plain.py", "print('found')\n")
    write(root / "requirements.txt", "")
    (root / "sub").mkdir()
    assert home.shellenv("setup-venv", cwd=root / "sub").status == 0
    words = ["run-shell", "--", "python", "-c", "import plain"]
    assert home.shellenv(*words, cwd=root / "sub").stdout == "found\n"


def test_what_only_uv_knows_how_to_find_is_not_looked_for_elsewhere(home: Home, tool: str) -> None:
    root = home.project("all/packages/a")
    text = "[project]\nname = 'a'\nversion = '1'\ndependencies = ['no-such-thing-b']\n"
    write(
        root / "pyproject.toml",
        f"{text}[tool.uv.sources]\nno-such-thing-b = {{ workspace = true }}\n",
    )
    write(root / "a.py", "")
    b = "[project]\nname = 'no-such-thing-b'\nversion = '1'\n"
    write(root.parent / "b" / "pyproject.toml", b)
    write(root.parent / "b" / "no_such_thing_b.py", "print('found')\n")
    write(root.parent.parent / "pyproject.toml", "[tool.uv.workspace]\nmembers = ['packages/*']\n")
    write(root.parent.parent / "uv.lock", "")
    done = home.shellenv("setup-venv", cwd=root)
    if tool == "uv":
        assert done.status == 0, done
        words = ["run-shell", "--", "python", "-c", "import no_such_thing_b"]
        assert home.shellenv(*words, cwd=root).stdout == "found\n"
    else:
        problem, hint = done.stderr.splitlines()[-2:]
        assert problem.startswith("shellenv: pyproject.toml has workspace = true, but pip has")
        assert hint.startswith(f"make {root.parent.parent} the project: ")


@pytest.mark.parametrize(
    ("name", "reason"), [("environment.yml", "is conda's"), ("Pipfile", "has no Pipfile.lock")]
)
def test_what_nothing_is_installed_of_is_said_where_it_is_all_there_is(
    home: Home, name: str, reason: str
) -> None:
    root = home.project("plain")
    write(root / name, "")
    said = f"shellenv: {name} {reason}: nothing of it is installed"
    assert said in home.shellenv("setup-venv", cwd=root).stderr.splitlines()
    write(root / "requirements.txt", "")
    assert said not in home.shellenv("setup-venv", cwd=root).stderr.splitlines()


def test_a_second_time_brings_it_up_to_date(home: Home) -> None:
    root = home.project("plain")
    write(root / "requirements.txt", "")
    assert home.shellenv("setup-venv", cwd=root).status == 0
    kept = write(home.path / ".venv" / "plain" / "kept", "")
    write(root / "setup.py", SETUP)
    write(root / "thing.py", "def say(): print('said')\n")
    done = home.shellenv("setup-venv", cwd=root)
    assert "bringing it up to date" in done.stderr.splitlines()[0]
    assert home.shellenv("run-shell", "--", "say", cwd=root).stdout == "said\n"
    assert kept.exists()
    assert home.shellenv("setup-venv", "--recreate", cwd=root).status == 0
    assert not kept.exists()
    assert home.shellenv("run-shell", "--", "say", cwd=root).stdout == "said\n"


def test_a_run_says_what_has_changed_since_it_was_installed(home: Home) -> None:
    root = home.project("plain")
    write(root / "requirements.txt", "")
    write(root / "setup.py", SETUP)
    write(root / "thing.py", "def say(): print('said')\n")
    assert home.shellenv("setup-venv", cwd=root).status == 0

    def said(*options: str) -> str:
        return home.shellenv("run-shell", *options, "--", "true", cwd=root).stderr

    assert "installed" not in said()
    write(root / "thing.py", "def say(): print('other')\n")
    assert "installed" not in said()
    write(root / "requirements.txt", "-r more.txt\n")
    write(root / "more.txt", "")
    assert "more.txt, requirements.txt: not as when this was installed; setup-venv" in said()
    assert said("-q") == ""
    assert home.shellenv("setup-venv", cwd=root).status == 0
    assert "installed" not in said()
    write(home.path / ".venv" / "plain" / ".installed", "damaged")
    assert "installed" not in said()


def test_when_installing_fails_what_was_there_stays(home: Home) -> None:
    root = home.project("plain")
    assert home.shellenv("setup-venv", cwd=root).status == 0
    venv = home.path / ".venv" / "plain"
    kept = write(venv / "kept", "")
    write(root / "requirements.txt", "./no-such-thing\n")
    done = home.shellenv("setup-venv", "--recreate", cwd=root)
    assert done.status == 1
    assert "no-such-thing" in done.stderr
    assert "shellenv: installing requirements.txt failed" in done.stderr
    assert kept.exists()
    assert list(venv.parent.iterdir()) == [venv]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_leaves_nothing_half_made(home: Home, number: signal.Signals) -> None:
    root = home.project("slow")
    mark = home.path / "mark"
    write(
        root / "setup.py",
        f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(1000)\n",
    )
    argv = [str(BIN / "shellenv"), "setup-venv"]
    with subprocess.Popen(argv, env=home.env, cwd=root, stderr=subprocess.DEVNULL) as child:
        wait_for(mark)
        child.send_signal(number)
        child.wait(TIMEOUT)
    assert child.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert list((home.path / ".venv").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        wait_until_gone(int(mark.read_text()))


def test_what_a_killed_run_left_is_removed_by_the_next(home: Home) -> None:
    root = home.project("plain")
    write(home.path / ".venv" / ".setup-venv.999999999" / "new" / "plain" / "bin" / "activate", "")
    assert home.shellenv("setup-venv", cwd=root).status == 0
    assert [path.name for path in (home.path / ".venv").iterdir()] == ["plain"]


def test_an_environment_of_another_project_is_left_alone(home: Home) -> None:
    root, other = home.project("a/api"), home.project("b/api")
    for directory in (root, other):
        write(directory / "requirements.txt", "")
    assert home.shellenv("setup-venv", cwd=root).status == 0
    done = home.shellenv("setup-venv", "--recreate", cwd=other)
    assert done.status == 1
    assert done.stderr.splitlines() == [
        f"shellenv: ~/.venv/api is the virtual environment of {root}",
        "rename one of the two projects, or remove ~/.venv/api",
    ]


@pytest.mark.parametrize("allowed", [False, True])
def test_an_environment_that_a_project_has_of_its_own_is_not_hidden(
    home: Home, allowed: bool
) -> None:
    root = home.project("api")
    write(root / "requirements.txt", "")
    make_venv(root / ".venv")
    if allowed:
        home.allow(root)
    done = home.shellenv("setup-venv", cwd=root)
    assert (done.status, list((home.path / ".venv").iterdir())) == (1, [])
    assert done.stderr.splitlines() == [
        "shellenv: ~/projects/api/.venv is the project's own, and ~/.venv/api would hide it",
        "shellenv allow, then run-shell -- pip install ...; or remove it, then setup-venv",
    ]


def test_a_directory_that_is_others_too_is_no_project_by_itself(home: Home) -> None:
    shared = home.project("shared")
    shared.chmod(0o1777)
    done = home.shellenv("setup-venv", cwd=shared)
    assert (done.status, list((home.path / ".venv").iterdir())) == (1, [])
    assert done.stderr.splitlines() == [
        "shellenv: ~/projects/shared is no project, and not yours alone",
        "cd into the project first",
    ]


def test_an_environment_that_was_made_by_hand_is_taken_with_a_word(home: Home) -> None:
    root, other = home.project("a/api"), home.project("b/api")
    home.venv("api")
    words = ("setup-venv", "--recreate")
    word = "shellenv: ~/.venv/api was nobody's; from now on it belongs to ~/projects/a/api"
    failed = home.shellenv(*words, "--python", "no-such-python", cwd=root)
    assert (failed.status, word in failed.stderr) == (1, False)
    assert word in home.shellenv(*words, cwd=root).stderr.splitlines()
    assert word not in home.shellenv(*words, cwd=root).stderr
    assert home.shellenv(*words, cwd=other).status == 1


def test_settings_that_it_does_not_go_by_are_named(home: Home) -> None:
    root = home.project("api")
    write(root / "dockerutils.cfg", "[shellenv.run]\ninstall = nothing-like-it\n")
    done = home.shellenv("setup-venv", "-q", cwd=root)
    assert (done.status, done.stdout) == (0, "")
    assert done.stderr == f"shellenv: {root}/dockerutils.cfg is not allowed and not used\n"


def test_where_no_environment_can_be_is_said(home: Home) -> None:
    root = home.project("api")
    home.env["SHELLENV_VENV_DIR"] = str(write(home.path / "file", "") / "envs")
    done = home.shellenv("setup-venv", "-q", cwd=root)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == f"shellenv: {home.path}/file/envs: Not a directory"
    del home.env["SHELLENV_VENV_DIR"], home.env["HOME"]
    done = home.shellenv("setup-venv", "-q", cwd=root)
    assert done.stderr.splitlines() == [
        "shellenv: there is no home directory to keep virtual environments in",
        "set HOME, or SHELLENV_VENV_DIR to a directory",
    ]


def test_what_is_no_environment_is_left_alone(home: Home) -> None:
    root = home.project("api")
    precious = write(home.path / ".venv" / "api" / "precious", "")
    done = home.shellenv("setup-venv", "--recreate", cwd=root)
    assert (done.status, precious.exists()) == (1, True)
    assert done.stderr.splitlines()[0] == "shellenv: ~/.venv/api is no virtual environment"


@pytest.mark.parametrize("how", ["-q", "quiet"])
def test_it_says_only_what_needs_somebody(home: Home, how: str) -> None:
    root = home.project("api")
    options = ["-q"] if how == "-q" else []
    home.env.update({} if options else {"SHELLENV_QUIET": "yes"})
    for _ in ("made", "brought up to date"):
        assert home.shellenv("setup-venv", *options, cwd=root).ok() == ""
    write(root / "requirements.txt", "./no-such-thing\n")
    done = home.shellenv("setup-venv", *options, cwd=root)
    assert done.status == 1
    assert "no-such-thing" in done.stderr
    assert "shellenv: installing requirements.txt failed" in done.stderr


def test_a_python_that_is_not_there_is_said(home: Home, tool: str) -> None:
    root = home.project("api")
    done = home.shellenv("setup-venv", "--python", "no-such-python", cwd=root)
    assert done.status == 1
    assert "no-such-python" in done.stderr
    assert list((home.path / ".venv").iterdir()) == []
    if tool == "pip":
        assert done.stderr.splitlines()[-1].startswith("install it")


def test_the_python_that_is_asked_for_is_used(home: Home, tool: str) -> None:
    del tool
    root = home.project("api")
    assert home.shellenv("setup-venv", "--python", "/usr/bin/python3", cwd=root).status == 0
    code = "import sys; print(sys.base_prefix)"
    assert home.shellenv("run-shell", "--", "python", "-c", code, cwd=root).stdout == "/usr\n"


def test_a_lock_file_is_for_the_tool_that_owns_it(home: Home) -> None:
    root = home.project("locked")
    write(
        root / "pyproject.toml",
        '[project]\nname = "locked"\nversion = "1"\nrequires-python = ">=3.10"\n',
    )
    write(root / "locked.py", "")
    lock = [str(BIN / "uv"), "lock", "--offline", "--no-cache"]
    assert run(lock, home.env, root).status == 0
    write(root / "requirements.txt", "./not-read\n")
    done = home.shellenv("setup-venv", cwd=root)
    assert done.status == 0, done
    packages = home.path / ".venv" / "locked"
    assert (packages / "bin" / "python").exists()


def test_the_python_that_is_asked_for_is_used_also_where_uv_would_take_another(home: Home) -> None:
    root = home.project("locked")
    write(root / "pyproject.toml", '[project]\nname = "locked"\nversion = "1"\n')
    assert run([BIN / "uv", "lock", "--offline", "--no-cache", "-q"], home.env, root).status == 0
    write(root / ".python-version", "3.99\n")
    done = home.shellenv("setup-venv", "--python", "python3", cwd=root)
    assert done.status == 0, done
    assert (home.path / ".venv" / "locked" / "bin" / "pip").exists()


def wait_for(path: Path) -> None:
    end = time.monotonic() + TIMEOUT
    while not path.exists() or not path.read_text():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def wait_until_gone(pid: int) -> None:
    """Raises ProcessLookupError once the process is gone."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        os.kill(pid, 0)
        time.sleep(0.02)
