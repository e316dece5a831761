"""What importing the program brings in: every prompt that has something to do pays for it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from harness import Home, run

HEAVY = (
    "argparse",
    "asyncio",
    "boto3",
    "botocore",
    "configparser",
    "credstash",
    "dataclasses",
    "difflib",
    "docker",
    "dotenv",
    "hashlib",
    "importlib.metadata",
    "importlib.resources",
    "inspect",
    "jinja2",
    "json",
    "paramiko",
    "pathlib",
    "rich",
    "shlex",
    "subprocess",
    "tempfile",
)


def imported(code: str) -> set[str]:
    """The modules that a fresh interpreter has after running `code`, and had not before."""
    around = f"import sys; before = set(sys.modules)\n{code}\nprint(*set(sys.modules) - before)"
    argv = [sys.executable, "-c", around]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        *("shellenv.cli", "shellenv.config", "shellenv.project", "shellenv.trust", "shellenv.hint"),
        *("shellenv.export", "shellenv.render"),
    ],
)
def test_importing_it_brings_in_nothing_heavy(module: str) -> None:
    found = imported(f"import {module}")
    assert module in found
    assert found & set(HEAVY) == set()


def test_reading_a_configuration_file_brings_in_configparser_and_nothing_else_heavy() -> None:
    found = imported(
        "from shellenv import config\nconfig.read_layer('f', None, b'[shellenv.env]\\nA = 1\\n')"
    )
    assert found & set(HEAVY) == {"configparser"}


def test_a_run_in_a_virtual_environment_brings_in_nothing_of_containers_and_docks(
    home: Home,
) -> None:
    root = home.project("api", venv=True)
    code = """import sys
from shellenv import cli
print(cli.main(["run-shell", "--", "true"]), *sys.modules)"""
    status, *found = run([sys.executable, "-c", code], home.env, root).stdout.split()
    assert status == "0"
    assert "shellenv.environments.venv" in found
    unwanted = {*HEAVY, "socket", "shellenv.baseimage", "shellenv.connection", "shellenv.engine"}
    assert set(found) & unwanted == {"shlex"}
