"""Becoming a program as a shell's `exec` does, and saying why that cannot be; what one prints."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from typing import NoReturn

from shellenv.cli import say


def become(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Become the program `argv`, as the PATH in `env` has it; a script without `#!` is sh's.

    Returns only if that cannot be, once it has said why: 126 if it cannot be executed and 127 if
    it is not found (POSIX.1-2017, XCU 2.8.2).
    """
    name = argv[0] or "''"
    try:
        _exec(argv, env)
    except FileNotFoundError:
        if needed := _interpreter(argv[0], env):
            say(f"shellenv: {name} needs {needed}, which is not there", "its first line says so")
        else:
            say(f"shellenv: {name} is not found", "is it installed, and its directory in PATH?")
        return 127
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        say(f"shellenv: cannot run {name}: {what}", "is it executable?")
        return 126


def output(argv: Sequence[str], env: Mapping[str, str]) -> bytes | None:
    """What a program prints; None if it fails or there is none.

    Without subprocess, whose import alone would take longer; `processes` says why it is a fork.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for new, old in enumerate((null, writer, null)):
                os.dup2(old, new)
            os.execvpe(argv[0], list(argv), env)
        finally:
            os._exit(127)
    os.close(writer)
    with open(reader, "rb") as stream:
        found = stream.read()
    return found if os.waitpid(pid, 0)[1] == 0 else None


def _exec(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    if not argv[0]:
        raise FileNotFoundError
    try:
        os.execvpe(argv[0], list(argv), env)
    except OSError as error:
        file = _file(argv[0], env)
        if error.errno != errno.ENOEXEC or b"\0" in _beginning(file):
            raise
        os.execve("/bin/sh", ["sh", file, *argv[1:]], env)


def _interpreter(name: str, env: Mapping[str, str]) -> str:
    """What the first line of a script says that runs it, if that is not there; else ""."""
    line = _beginning(_file(name, env)).partition(b"\n")[0]
    words = line[2:].replace(b"\r", b"\\r").split() if line.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words and not os.path.exists(words[0]) else ""


def _file(name: str, env: Mapping[str, str]) -> str:
    """The file that is called `name`; "" if there is none."""
    import shutil

    return name if "/" in name else shutil.which(name, path=env.get("PATH", os.defpath)) or ""


def _beginning(file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read(256)  # a kernel reads no more
    except OSError:
        return b""
