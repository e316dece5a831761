"""Starting programs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pexpect
import pytest
from harness import TIMEOUT, write

import shellenv

SOURCES = sorted(Path(shellenv.__file__).parent.rglob("*.py"))

STARTER = """import os
from shellenv import program
from shellenv.processes import subprocess
slow = "/proc/self/root" * 19 + "/x:"
env = dict(PATH=slow * 400 + os.defpath)  # most of the time is spent before the exec
print("begin", flush=True)
for _ in range(100):
    {}
print("the end")
"""


@pytest.mark.parametrize(
    "statement",
    ["subprocess.run(['true'], env=env)", "program.output(['true'], env)"],
    ids=["subprocess", "output"],
)
def test_ctrl_z_while_a_program_is_being_started_stops_us(statement: str, tmp_path: Path) -> None:
    script = write(tmp_path / "script.py", STARTER.format(statement))
    child = pexpect.spawn("bash --norc -i", encoding="utf-8", timeout=TIMEOUT, dimensions=(24, 500))
    child.sendline(f"'{sys.executable}' {script}")
    child.expect_exact("begin\r\n")
    for _ in range(4):
        child.sendcontrol("z")
        child.expect_exact("Stopped")
        child.sendline("fg")
        child.expect_exact("fg\r\n")
        child.expect_exact("script.py\r\n")
    child.expect_exact("the end")
    child.close(force=True)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_module_starts_programs_in_another_way(path: Path) -> None:
    text = path.read_text()
    assert "posix_spawn(" not in text.replace("posix_spawn(3)", "")
    tree = ast.parse(text)
    only_for_types = [node for node in tree.body if "TYPE_CHECKING" in ast.unparse(node)[:20]]
    imports = {
        alias.name
        for statement in tree.body
        if statement not in only_for_types
        for node in ast.walk(statement)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert path.stem == "processes" or "subprocess" not in imports | modules
