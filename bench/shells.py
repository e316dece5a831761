"""Starting shells: to drive a tool from prompt to prompt, to time a start, to count processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.tools import SOURCE, Tool
from bench.world import Case, World

TIMEOUT = 120.0  # seconds; only a hang gets there
HERE = Path(__file__).resolve().parent
Samples = Mapping[str, Sequence[float]]
"""Microseconds, by action."""


class Calls(NamedTuple):
    """How many processes an action forked, and how many programs it started."""

    forks: int
    execs: int

    def __str__(self) -> str:
        return f"{self.forks}+{self.execs}"


class WrongError(Exception):
    """A shell that did not end well, or in which the environment was not as it must be."""


class Shell(NamedTuple):
    """A kind of shell."""

    name: str
    script: tuple[str, ...]  # options for running a script, with no rc file
    interactive: tuple[str, ...]  # options for an interactive one; {rc} is the rc file
    rc: str  # that file's name
    prompt: str  # code that does what the shell does before a prompt

    @property
    def program(self) -> str:
        return shutil.which(self.name) or self.name

    @property
    def version(self) -> str:
        text = subprocess.run(
            [self.program, "--version"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        found = re.search(r"\d+(?:\.\d+)+", text)
        return found[0] if found else text.strip()

    def missing(self, tool: Tool) -> str:
        """Why `tool` cannot be measured in this shell; "" if it can."""
        if shutil.which(self.name) is None:
            return f"{self.name} is not installed"
        parts = (f"shell/hook.{self.name}", f"templates/snippet.{self.name}")
        gone = [part for part in parts if not (SOURCE / part).exists()]
        if tool.name == "shellenv" and gone:
            return f"this checkout has no {' and no '.join(gone)}"
        return ""

    # one way in and out: by the tool, or by hand

    def _moves(self, tool: Tool, case: Case) -> tuple[list[str], list[str]]:
        # in fish, cd is a function of its own, for all of them
        enter, leave = [f"cd {case.inside}"], [f"cd {case.outside}"]
        if tool.name == "by hand":
            names = [f"V{number}" for number in range(1, case.variables + 1)]
            suffix = ".fish" if self.name == "fish" else ""
            put = "set -gx {} " if self.name == "fish" else "export {}="
            drop = "set -e " if self.name == "fish" else "unset -v "
            enter.append(f"source {case.venv}/bin/activate{suffix}")
            enter += [f"{put.format(name)}'value number {name[1:]}'" for name in names]
            leave += ["deactivate", drop + " ".join(names)]
        return enter, leave

    def _drive(self, tool: Tool, case: Case) -> str:
        """The script that drives, with the lines that go in and out."""
        text = (HERE / f"drive.{self.name}").read_text()
        moves = dict(zip(("bench_enter", "bench_leave"), self._moves(tool, case), strict=True))
        if self.name == "fish":  # whose `time` wants one word
            functions = (f"function {name}\n{_lines(lines)}end\n" for name, lines in moves.items())
            return "".join([*functions, text])
        for name, lines in moves.items():
            text = text.replace(f"      {name}\n", _lines(lines))
        return text

    def _script(self, tool: Tool, case: Case, made: World, gate: str = "") -> list[str]:
        file = made.home / f"{tool.name.replace(' ', '-')}{case.variables}.{self.name}"
        file.write_text(f"{tool.hooks[self.name]}\n{gate}{self._drive(tool, case)}")
        return [self.program, *self.script, str(file)]

    def _env(
        self, tool: Tool, case: Case, made: World, prompts: int = 0, cds: int = 0
    ) -> dict[str, str]:
        return {
            **made.environment(tool),
            "PWD": str(made.home),
            "BENCH_OUTSIDE": str(case.outside),
            "BENCH_NAME": case.name,
            "BENCH_STATE": f"{case.value}|{case.venv or ''}",
            "BENCH_PROMPTS": str(prompts),
            "BENCH_CDS": str(cds),
        }

    # measuring

    def drive(self, tool: Tool, case: Case, made: World, prompts: int = 0, cds: int = 0) -> Samples:
        """Go in once, then stand at so many prompts outside and inside, and go in and out so often.

        Raises WrongError if the environment is not as it must be.
        """
        argv = self._script(tool, case, made)
        env = self._env(tool, case, made, prompts, cds)
        done = subprocess.run(
            argv,
            env=env,
            cwd=made.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            start_new_session=True,
            timeout=TIMEOUT,
            check=False,
        )
        if done.returncode:
            raise WrongError(f"{self.name} with {tool.name}: {done.stderr.strip()[-2000:]}")
        samples = defaultdict(list)
        found = _from_fish(done.stderr) if self.name == "fish" else _from_others(done.stdout)
        for name, microseconds in found:
            samples[name].append(microseconds)
        return samples

    def processes(self, tool: Tool, case: Case, made: World) -> Mapping[str, Calls]:
        """Each action's forks and execs, the second time it is done, and those of a start."""
        log = made.home / "trace"
        env = {**self._env(tool, case, made, 1, 1), "BENCH_TRACE": "1"}
        _trace(self._script(tool, case, made), env, made.home, log)
        found: dict[str, Calls] = {}
        name, calls = "", Calls(0, 0)
        for line in log.read_text(errors="replace").splitlines():
            mark = re.search(r'write\(\d+, "@@([^"]+)([+-])\\n"', line)
            if mark is None:
                calls = _count(calls, line)
            elif mark[2] == "+":
                name, calls = mark[1], Calls(0, 0)
            elif name == mark[1]:
                found[name] = calls
        argv, start_env = self._start(tool, made, ":")
        _trace(argv, start_env, made.home, log)
        calls = Calls(0, -1)  # the shell itself is a program, too
        for line in log.read_text(errors="replace").splitlines():
            calls = _count(calls, line)
        return {**found, "start-up": calls}

    def start(self, tool: Tool, made: World, prompt: bool) -> float:
        """Microseconds from starting an interactive shell to its first command, or also over its
        first prompt."""
        argv, env = self._start(tool, made, self.prompt if prompt else ":")
        return spawn(argv, env)

    def _start(self, tool: Tool, made: World, code: str) -> tuple[list[str], dict[str, str]]:
        directory = made.home / "rc" / tool.name.replace(" ", "-")
        file = directory / self.rc
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(tool.hooks[self.name] + "\n")
            made.home.joinpath(".config/fish/config.fish").write_text("source $BENCH_RC\n")
        argv = [word.format(rc=file) for word in self.interactive]
        env = {
            **made.environment(tool),
            "BENCH_RC": str(file),
            "PWD": str(made.home),
            "ZDOTDIR": str(directory),
        }
        return [self.program, *argv, "-c", code], env

    def crowd(self, tool: Tool, case: Case, made: World, shells: int) -> float:
        """Seconds until so many shells, let go at once, were inside and outside again.

        Raises WrongError unless every one of them saw the right environment.
        """
        ready = {"fish": "builtin echo ready; read bench_line <&0"}.get(
            self.name, "builtin echo ready; read -r bench_line"
        )
        argv = self._script(tool, case, made, gate=ready + "\n")
        env = self._env(tool, case, made)
        gate, opener = os.pipe()
        crowd = [
            subprocess.Popen(
                argv,
                env=env,
                cwd=made.home,
                stdin=gate,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
            for _ in range(shells)
        ]
        try:
            for process in crowd:
                assert process.stdout is not None
                if process.stdout.readline() != "ready\n":
                    raise WrongError(f"{self.name} with {tool.name}: one of {shells} did not start")
            begin = time.perf_counter()
            os.close(opener)
            wrong = sum(process.wait(TIMEOUT) != 0 for process in crowd)
            seconds = time.perf_counter() - begin
        finally:
            os.close(gate)
            for process in crowd:
                if process.poll() is None:
                    process.kill()
                process.communicate()
        if wrong:
            raise WrongError(f"{self.name} with {tool.name}: {wrong} of {shells} shells were wrong")
        return seconds


SHELLS = (
    Shell(
        "bash",
        ("--norc", "--noprofile"),
        ("--noprofile", "--rcfile", "{rc}", "-i"),
        ".bashrc",
        'for command in "${PROMPT_COMMAND[@]}"; do eval "$command"; done',
    ),
    Shell(
        "zsh",
        ("-f",),
        ("-d", "-i"),
        ".zshrc",
        "for function in $precmd_functions; do $function; done",
    ),
    Shell("fish", ("--no-config",), ("-i",), "config.fish", "emit fish_prompt"),
)


def spawn(argv: list[str], env: Mapping[str, str], *, processor: bool = False) -> float:
    """Microseconds that a program takes, which has no terminal and whose output nobody reads.

    `processor`: only those in which it had the processor; what else runs has no say in these.
    """
    null = os.devnull
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, null, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, null, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, null, os.O_WRONLY, 0),
    ]
    begin = time.perf_counter()
    child = os.posix_spawn(argv[0], argv, env, file_actions=actions, setsid=True)
    _, status, used = os.wait4(child, 0)
    elapsed = used.ru_utime + used.ru_stime if processor else time.perf_counter() - begin
    if status:
        raise WrongError(f"{' '.join(argv)}: status {os.waitstatus_to_exitcode(status)}")
    return elapsed * 1e6


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"  {line}\n" for line in lines)


def _from_others(stdout: str) -> list[tuple[str, float]]:
    """What drive.bash and drive.zsh print."""
    return [
        (name, float(time))
        for name, _, time in (line.rpartition(" ") for line in stdout.splitlines())
        if name
    ]


_UNITS = {"nanos": 1e-3, "micros": 1, "millis": 1e3, "secs": 1e6}


def _from_fish(stderr: str) -> list[tuple[str, float]]:
    """fish's reports: `Executed in 12.34 millis …`."""
    found, name = [], ""
    for line in stderr.splitlines():
        if line.startswith("@@") and line.endswith("+"):
            name = line[2:-1]
        elif line.startswith("Executed in"):
            number, unit = line.split()[2:4]
            found.append((name, float(number) * _UNITS[unit]))
    return found


def _trace(argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> None:
    calls = "trace=fork,vfork,clone,clone3,execve,execveat,write"
    strace = shutil.which("strace") or sys.exit("bench: strace is not installed")
    done = subprocess.run(
        [strace, "-f", "-qq", "-s", "80", "-o", str(log), "-e", calls, "-e", "signal=none", *argv],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        start_new_session=True,
        check=False,
    )
    if done.returncode:
        raise WrongError(f"strace {' '.join(argv)}: {done.stderr.strip()[-2000:]}")


def _count(calls: Calls, line: str) -> Calls:
    """`calls` and what one line of strace adds. A thread is no process, and a program that is not
    there (while searching $PATH) was not started."""
    call = re.match(r"(?:\d+ +)?(\w+)\(", line)
    if call is None or call[1] == "write" or "CLONE_THREAD" in line or ") = -1" in line:
        return calls
    if call[1].startswith("execve"):
        return calls._replace(execs=calls.execs + 1)
    return calls._replace(forks=calls.forks + 1)
