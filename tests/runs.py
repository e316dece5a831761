"""Runs in an execution environment, for the tests that compare what a command sees in each."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pexpect
from dock import Images, RealDock, engine
from harness import TIMEOUT, write
from servers import User

_count = itertools.count(1)

PROMPT = "ready$ "


class Outcome(NamedTuple):
    """What a run left; `stderr` is without what run-shell itself said before it."""

    status: int
    stdout: bytes
    stderr: bytes


class Environment:
    """A project, and one execution environment that it runs in, for a user who is not root."""

    def __init__(
        self, name: str, user: User, images: Images, dock: RealDock | None = None, target: str = ""
    ) -> None:
        """`target` is where the dock is, if a proxy is in front of it."""
        self.name = name
        self.shell: subprocess.Popen[bytes] | None = None
        self.engine = dock.docker if dock else engine
        self.dock = dock
        self.user = user
        self.home = user.base / f"{name}-{next(_count)}"
        self.root = self.home / "projects" / "api"
        self.env = {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": f"{user.base / 'bin'}:/usr/bin:/bin",
            "TERM": "xterm",
            "USER": user.name,
            "LOGNAME": user.name,
        }
        write(
            self.home / ".config" / "shellenv" / "dockerutils.cfg",
            f"[shellenv.run]\ndefault_image = {images.base}\n",
        )
        (self.root / "sub" / "dir").mkdir(parents=True)
        (self.root / ".git").mkdir()  # the root, and not where one stands
        user.own(self.home)
        user.use_engine()
        if name == "venv":
            python = [*self.as_user(), "/usr/bin/python3", "-m", "venv", "--without-pip"]
            subprocess.run([*python, self.home / ".venv" / "api"], check=True, env=self.env)
        if dock is not None:
            dock.load(images.base)
            self._dock(dock, target or dock.target)
        done = self.run("true")
        assert done.status == 0, done

    def _dock(self, dock: RealDock, target: str) -> None:
        """Have runs in a docked shell's environment; a process stands for that shell."""
        user = self.user
        with user.known_hosts.open("a") as stream:
            stream.write(dock.known_line("[{}]:{}".format(*target.rsplit(":", 1))))
        user.own(user.known_hosts)
        runtime = user.base / f"{self.home.name}-run"
        runtime.mkdir(mode=0o700)
        user.own(runtime)
        self.env["XDG_RUNTIME_DIR"] = str(runtime)
        config = self.home / ".config" / "shellenv" / "dockerutils.cfg"
        write(config, config.read_text() + "[shellenv.sync]\nremote_root = ~/workspace\n")
        self.shell = subprocess.Popen([*user.argv("sleep", "3600")])
        host = f"{dock.user}@{target}"
        words = ["shellenv", "dock", "--for", "bash", str(self.shell.pid), host]
        code = subprocess.check_output(user.argv(*words), env=self.env, cwd=self.home, text=True)
        hook = subprocess.check_output(
            user.argv("shellenv", "hook", "bash"), env=self.env, text=True
        )
        script = hook.replace("--install", "--definitions") + f"__shellenv_load_dock\n{code}env -0"
        shown = subprocess.check_output(user.argv("bash", "-c", script), env=self.env, text=True)
        self.env = dict(word.split("=", 1) for word in shown.split("\0") if "=" in word)

    def remove(self) -> None:
        """Remove what runs leave on purpose: images, and the volume of the home. Those of projects
        that are gone go as well: a test run that was killed has left them."""
        if self.shell is not None:  # a dock goes as a whole
            self.shell.kill()
            self.shell.wait()
            return
        gone = {path for path in (*_labels("image"), *_labels("volume")) if _is_gone(path)}
        for path in (str(self.root), *gone):
            label = f"label=shellenv.project={path}"
            for volume in engine("volume", "ls", "-qf", label).split():
                _try("volume", "rm", volume)
            while images := engine("image", "ls", "-qf", label).split():
                if sum(_try("image", "rm", image) for image in images) == 0:
                    break  # those that others were made from go last

    def as_user(self) -> list[str]:
        return self.user.argv()

    def argv(self, *command: str | bytes, options: Sequence[str] = ()) -> list[str | bytes]:
        return [*self.as_user(), "run-shell", "--env", self.name, *options, "--", *command]

    @contextmanager
    def start(
        self,
        *command: str | bytes,
        options: Sequence[str] = (),
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        **streams: Any,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A run that has been started, by default with nothing to read and both its outputs in
        pipes. What a test does not wait for is killed if it fails."""
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(
            self.argv(*command, options=options),
            cwd=self.root / cwd,
            env={**self.env, **(env or {})},
            **{**given, **streams},
        ) as child:
            try:
                yield child
            except BaseException:
                child.kill()
                raise

    def run(self, *command: str | bytes, stdin: Any = b"", **how: Any) -> Outcome:
        """A run from its start to its end; `stdin` is what it reads, or a file."""
        given = {"stdin": subprocess.PIPE} if isinstance(stdin, bytes) else {"stdin": stdin}
        with self.start(*command, **given, **how) as child:
            data = stdin if isinstance(stdin, bytes) else None
            stdout, stderr = child.communicate(data, TIMEOUT)
        return Outcome(child.returncode, stdout, self.own(stderr))

    def shell_command(self, line: str) -> Outcome:
        """A line of sh in the project, from its start to its end."""
        argv = [*self.as_user(), "sh", "-c", line]
        done = subprocess.run(
            argv, cwd=self.root, env=self.env, capture_output=True, check=False, timeout=TIMEOUT
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def own(self, stderr: bytes) -> bytes:
        """What the command itself said, behind the reason and the command line."""
        lines = stderr.splitlines(keepends=True)
        assert lines[0].startswith(b"shellenv: " + self.name.encode() + b": "), stderr
        shown = b". " if self.name == "venv" else b"docker run "
        first = next((n for n, line in enumerate(lines) if shown in line[:80]), None)
        assert first is not None, stderr
        rest = lines[first + 1 :]
        if self.name == "remote":  # the end of the bracket
            rest = [line for line in rest if not line.startswith((b"shellenv: ", b"rsync "))]
        return b"".join(rest)

    def ok(self, *command: str | bytes, **how: Any) -> bytes:
        """The stdout of a run that succeeds without a word."""
        done = self.run(*command, **how)
        assert (done.status, done.stderr) == (0, b""), done
        return done.stdout

    def words(self, *command: str, options: Sequence[str] = ()) -> str:
        """The run as a line of sh."""
        import shlex

        return shlex.join(["run-shell", "--env", self.name, *options, "--", *command])

    @contextmanager
    def terminal(self) -> Iterator[Terminal]:
        """An interactive bash of the user's, at a terminal, in the project."""
        program, *args = self.user.argv("bash", "--norc", "--noprofile", "-i")
        child = pexpect.spawn(
            program,
            args,
            env={**self.env, "PS1": PROMPT, "INPUTRC": "/dev/null"},
            cwd=str(self.root),
            encoding="utf-8",
            timeout=TIMEOUT,
            dimensions=(33, 999),
        )
        child.delaybeforesend = None
        session = Terminal(child)
        try:
            session.wait()
            child.sendline("bind 'set enable-bracketed-paste off'")
            session.wait()
            yield session
        finally:
            child.close(force=True)

    def find(self, text: str, *paths: str) -> list[str]:
        """The files below `paths`, on the engine's machine, that have this text."""
        line = 'word=$1; shift; grep -rlaF --devices=skip -e "$word" -- "$@" || [ $? = 1 ]'
        argv = ["sh", "-c", line, "sh", text, *paths]
        if self.dock is not None:
            return self.dock.exec(*argv).splitlines()
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()

    def containers(self) -> list[str]:
        """The names of all containers of this project."""
        label = f"label=shellenv.project={self.root}"
        return self.engine("ps", "-a", "--filter", label, "--format", "{{.Names}}").split()


class Terminal:
    """A shell at a terminal."""

    def __init__(self, child: pexpect.spawn[str]) -> None:
        self.child = child

    def type(self, line: str) -> None:
        self.child.sendline(line)

    def press(self, key: str) -> None:
        self.child.sendcontrol(key)

    def stop(self) -> None:
        """Press Ctrl-Z, and wait for the prompt."""
        self.press("z")
        self.expect("Stopped")
        self.wait()

    def is_raw(self) -> bool:
        """Does what is typed go to somebody as it is?"""
        return not termios.tcgetattr(self.child.child_fd)[3] & termios.ECHO

    def expect(self, text: str) -> str:
        """Wait until `text` is shown; what was before it."""
        self.child.expect_exact(text)
        return self.child.before or ""

    def wait(self) -> str:
        """Wait for the prompt; what was before it."""
        return self.expect(PROMPT)

    def status(self) -> int:
        """The status of the last command."""
        self.type("echo status=$?.")
        self.child.expect(r"status=(\d+)\.")
        assert isinstance(self.child.match, re.Match)
        found = int(self.child.match[1])
        self.wait()
        return found


def _labels(kind: str) -> set[str]:
    """The projects that have images or volumes."""
    names = engine(kind, "ls", "-qf", "label=shellenv.project").split()
    path = "Config.Labels" if kind == "image" else "Labels"
    form = f'{{{{index .{path} "shellenv.project"}}}}'
    try:
        return set(engine(kind, "inspect", "-f", form, *names).splitlines()) if names else set()
    except subprocess.CalledProcessError:  # others remove theirs meanwhile
        return set()


def _is_gone(project: str) -> bool:
    """Is this the project of a test that is over? `base` in conftest.py names the directory."""
    base = re.match(r"/\w+/shellenv-docks-[^/]+", project)
    return base is not None and not Path(base[0]).exists()


def _try(*words: str) -> bool:
    try:
        engine(*words)
    except subprocess.CalledProcessError:
        return False
    return True


def pids(text: str, where: str = "cmdline") -> list[int]:
    """The processes of this machine, docks included, whose command line (or another of their files
    in /proc) has `text`."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal() and int(directory.name) != os.getpid():
            try:
                line = (directory / where).read_bytes()
            except OSError:
                continue
            if text.encode() in line:
                found.append(int(directory.name))
    return found
