"""Where those who install in a container get packages from."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import context, file

from shellenv import dependencies, indexes

INDEX = "https://me:pass@pip.test/simple"


def variables(home: Path, given: dict[str, str] | None = None, /, **env: str) -> dict[str, str]:
    ctx = context(home, None, XDG_CONFIG_DIRS=str(home / "xdg"), **env)
    found = dependencies.find(str(home / "api"))
    return indexes.variables(ctx, found, given or {})


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what this machine's own /etc/pip.conf says."""
    monkeypatch.setattr(indexes, "SYSTEM", "/nonexistent")


def test_what_pip_is_told_here_counts_there(tmp_path: Path) -> None:
    file(tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = https://old.test\ntimeout = 9\n")
    file(tmp_path / ".pip/pip.conf", f"[install]\nindex_url = {INDEX}\n[global]\nindex-url = x/y\n")
    extra = "extra-index-url =\n  https://a.test/%s\n  file:///here\n  https://b.test\n"
    file(tmp_path / ".config/pip/pip.conf", f"[global]\n{extra}trusted-host = pip.test\n")
    assert variables(tmp_path) == {
        "PIP_EXTRA_INDEX_URL": "https://a.test/%s https://b.test",
        "PIP_INDEX_URL": INDEX,
        "PIP_TRUSTED_HOST": "pip.test",
    }
    assert variables(tmp_path, PIP_INDEX_URL="https://mine.test")["PIP_INDEX_URL"] == (
        "https://mine.test"
    )
    assert variables(tmp_path, PIP_CONFIG_FILE="/dev/null") == {}


def test_a_configuration_of_pips_that_does_not_parse_is_pips_affair(tmp_path: Path) -> None:
    file(tmp_path / ".pip/pip.conf", "index-url = x\n")
    file(tmp_path / ".config/pip/pip.conf", b"[global]\nindex-url = \xff\n")
    file(tmp_path / "mine", f"[global]\nindex-url = {INDEX}\n")
    assert variables(tmp_path, PIP_CONFIG_FILE=str(tmp_path / "mine")) == {"PIP_INDEX_URL": INDEX}


def test_credentials_of_an_index_go_where_they_are_needed(tmp_path: Path) -> None:
    env = {"UV_INDEX_CORP_PASSWORD": "a", "POETRY_HTTP_BASIC_CORP_USERNAME": "b"}
    assert variables(tmp_path, **env, AWS_SECRET_ACCESS_KEY="c", UV_INDEX_URL="") == env


def test_a_requirements_file_has_of_the_users_variables_what_they_give_it(tmp_path: Path) -> None:
    file(tmp_path / "api/requirements.txt", "-r more.txt\n")
    file(tmp_path / "api/more.txt", "--index-url https://${USER_NAME}:${TOKEN}@pip.test\n")
    assert variables(tmp_path, {"TOKEN": "a", "OTHER": "b"}, USER_NAME="c") == {"TOKEN": "a"}
