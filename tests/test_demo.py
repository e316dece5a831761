"""`make demo` is the first thing that people run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pexpect
from harness import Home, run

DEMO = Path(__file__).resolve().parent.parent / "scripts" / "demo.py"


def test_the_story_goes_as_told_and_the_real_home_is_left_alone(home: Home) -> None:
    before = sorted(home.path.rglob("*"))
    result = run([sys.executable, DEMO], home.env, home.path)
    assert result.status == 0, result.stdout + result.stderr
    assert "All 23 steps went as told." in result.stdout
    assert "(api) ~/projects/api $ command -v python\n~/.venv/api/bin/python\n" in result.stdout
    assert sorted(home.path.rglob("*")) == before


def test_at_a_terminal_it_is_a_real_shell_in_a_throw_away_home(home: Home) -> None:
    child = pexpect.spawn(
        sys.executable, [str(DEMO)], env=home.env, dimensions=(50, 4000), encoding="utf-8"
    )
    child.expect_exact("cd projects/api")
    child.expect_exact("exit")
    child.expect_exact("~ $ ")
    child.sendline("cd projects/api")
    child.expect_exact("(api) ~/projects/api $ ")
    child.sendline("run-shell -- python -c 'import sys; print(sys.prefix)'")
    child.expect(r"\n/[^ ]*/\.venv/api\r")
    child.sendline("echo home=$HOME=")
    child.expect(r"home=(/[^=]*)=")
    assert isinstance(child.match, re.Match)
    throw_away = Path(child.match[1])
    assert throw_away.is_dir()
    assert throw_away != home.path
    child.sendline("exit")
    child.expect_exact("removed")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert not throw_away.exists()
