"""The hint: which execution environment, and why. The rules in their order, first match wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import file

from shellenv import config
from shellenv.config import Config
from shellenv.hint import Hint, hint, image_sign, other_machine
from shellenv.project import Project

WITH_VENV = Project("/p", "p", "rule", "/v/p", "rule", ("/p",))
WITHOUT_VENV = WITH_VENV._replace(venv=None)
REMOTE = {"SHELLENV_DOCK": "gpu"}


def settings(text: str = "") -> Config:
    return config.merge([config.read_layer("f", "/p", text.encode())])


def test_an_option_is_stronger_than_everything() -> None:
    found = hint(REMOTE, settings("[shellenv]\nexec_env = venv\n"), WITH_VENV, option="docker")
    assert found == Hint("docker", "--env docker")


def test_then_comes_the_setting_with_its_origin() -> None:
    found = hint(REMOTE, settings("[shellenv]\nexec_env = docker\n"), WITH_VENV)
    assert found == Hint("docker", "exec_env = docker (f:2)")


def test_auto_as_an_option_overrules_the_setting() -> None:
    found = hint({}, settings("[shellenv]\nexec_env = docker\n"), WITH_VENV, option="auto")
    assert found.exec_env == "venv"


def test_docked_is_remote() -> None:
    assert hint(REMOTE, settings(), WITH_VENV) == Hint("remote", "docked to gpu")


def test_a_docker_host_on_another_machine_is_remote() -> None:
    found = hint({"DOCKER_HOST": "ssh://me@gpu:2222"}, settings(), WITH_VENV)
    assert found == Hint("remote", "DOCKER_HOST names another machine, gpu:2222")


@pytest.mark.parametrize(
    ("docker_host", "machine"),
    [
        ("ssh://gpu", "gpu"),
        ("ssh://user:secret@gpu/path", "gpu"),
        ("ssh://127.0.0.2", "127.0.0.2"),
        ("tcp://10.0.0.1:2376", "10.0.0.1:2376"),
        ("10.0.0.1:2376", "10.0.0.1:2376"),
        ("tcp://[fe80::1]:2376", "[fe80::1]:2376"),
        ("tcp://localhost:2375", ""),
        ("tcp://localhost.example.com:2375", "localhost.example.com:2375"),
        ("tcp://127.0.0.1:2375", ""),
        ("tcp://[::1]:2375", ""),
        ("unix:///var/run/docker.sock", ""),
        ("npipe:////./pipe/docker_engine", ""),
        ("fd://", ""),
        ("", ""),
    ],
)
def test_a_docker_host_is_another_machine_or_this_one(docker_host: str, machine: str) -> None:
    assert other_machine(docker_host) == machine


def test_a_virtual_environment_comes_before_an_image() -> None:
    found = hint({}, settings("[shellenv.run]\nimage = x\n"), WITH_VENV, image="/p/docker")
    assert found == Hint("venv", "the project has the virtual environment /v/p")


def test_a_docker_directory_or_a_named_image_is_docker() -> None:
    run = settings("[shellenv.run]\nimage = python:3.12\n")
    assert hint({}, run, WITHOUT_VENV, image="/p/docker") == Hint(
        "docker", "the project has a docker image: /p/docker"
    )
    assert hint({}, run, WITHOUT_VENV) == Hint("docker", "[shellenv.run] image = python:3.12 (f:2)")


def test_where_there_is_nothing_it_says_so() -> None:
    nothing = Hint("", "there is neither a virtual environment nor a docker image")
    assert hint({}, settings(), WITHOUT_VENV) == nothing
    assert hint({}, settings(), None) == nothing


SIGNS = (
    *("docker/Dockerfile", "docker/dev/Dockerfile", ".devcontainer.json"),
    *(".devcontainer/devcontainer.json", ".devcontainer/dev/devcontainer.json"),
)


@pytest.mark.parametrize("sign", SIGNS)
def test_a_project_with_a_dockerfile_in_docker_or_a_devcontainer_has_an_image(
    tmp_path: Path, sign: str
) -> None:
    file(tmp_path / "docker" / "compose.yml")
    file(tmp_path / ".devcontainer" / "Dockerfile")
    assert image_sign(str(tmp_path)) == ""
    file(tmp_path / sign)
    assert image_sign(str(tmp_path)) == f"{tmp_path}/{sign.split('/')[0]}"
