"""Real shells for the tests: scripts, terminals and traces, each in a throw-away home.

Nothing here knows how the hook works. A test loads it as a user does (what `shellenv hook`
prints), types at a real terminal or runs a real script, and looks at what the shell then has.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pexpect
import pytest

SHELLS = ("bash", "zsh", "fish")
BIN = Path(sys.executable).parent  # where pip put `shellenv`: the environment that runs pytest
TIMEOUT = 180.0  # seconds; only a hang gets there


def eventually(
    condition: Callable[[], object], what: str = "what a test waits for", pause: float = 0.02
) -> None:
    """Wait until it is so; only a hang makes it fail."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"it never came about: {what}"
        time.sleep(pause)


def strict() -> bool:
    """Is a skipped test a failure, as on the CI machine, which has all parts?"""
    return os.environ.get("CI") == "true" or os.environ.get("SHELLENV_TEST_STRICT") == "1"


def require(*programs: str) -> None:
    """Skip the running test unless all `programs` are installed."""
    missing = [name for name in programs if which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}, not installed here (`make test` as root does it)")


def which(program: str) -> str | None:
    return shutil.which(program, path=f"{BIN}{os.pathsep}{os.environ['PATH']}")


class Result(NamedTuple):
    """What a finished program left: bytes that are no UTF-8 are surrogates in the texts."""

    status: int
    stdout: str
    stderr: str

    def ok(self) -> str:
        """Its stdout, once it is certain that it succeeded without a word on stderr."""
        assert (self.status, self.stderr) == (0, ""), self
        return self.stdout


def run(
    argv: Sequence[str | Path],
    env: Mapping[str, str],
    cwd: Path,
    stdin: str = "",
    timeout: float = TIMEOUT,
) -> Result:
    """Run a program to its end and return what it left, whatever its status."""
    done = subprocess.run(
        [os.fsencode(word) for word in argv],
        input=os.fsencode(stdin),
        capture_output=True,
        env=dict(env),
        cwd=cwd,
        timeout=timeout,
        check=False,
    )
    return Result(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))


# --- the throw-away home ----------------------------------------------------------------------


@dataclass(frozen=True)
class Home:
    """A home directory of its own, with nothing of the user's or the machine's in its environment.

    `env` may be changed by a test; what it starts afterwards sees the change.
    """

    path: Path
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: Path) -> Home:
        for name in (
            ".venv",
            "projects",
            # without these fish would start Python to parse every manual page of the machine
            ".local/share/fish/generated_completions",
            # nor make these at its first start
            ".config/fish/conf.d",
            ".config/fish/completions",
            ".config/fish/functions",
        ):
            (path / name).mkdir(parents=True)
        directories = [str(BIN), "/usr/local/bin", "/usr/bin", "/bin"]
        for shell in SHELLS:  # Homebrew's, Nix's, …
            directory = os.path.dirname(which(shell) or "/bin/sh")
            if directory not in directories:
                directories.append(directory)
        env = {
            "HOME": str(path),
            "LANG": "C.UTF-8",
            "LOGNAME": "tester",
            "PATH": os.pathsep.join(directories),
            "SHELL": "/bin/sh",
            "TERM": "dumb",
            "USER": "tester",
        }
        return cls(path, env)

    @property
    def projects(self) -> Path:
        return self.path / "projects"

    @property
    def cache(self) -> Path:
        return self.path / ".cache" / "shellenv"

    @property
    def state(self) -> Path:
        return self.path / ".local" / "state" / "shellenv"

    @property
    def config(self) -> Path:
        return self.path / ".config" / "shellenv"

    def shellenv(self, *args: str | Path, cwd: Path | None = None, stdin: str = "") -> Result:
        """Run the installed `shellenv` with `args`, by default in the home directory."""
        return run([BIN / "shellenv", *args], self.env, cwd or self.path, stdin)

    def project(self, name: str, config: str | None = None, *, venv: bool = False) -> Path:
        """Make `~/projects/<name>`, with a dockerutils.cfg that is allowed, and its venv."""
        root = self.projects / name
        root.mkdir(parents=True, exist_ok=True)
        if venv:
            self.venv(root.name)
        if config is not None:
            write(root / "dockerutils.cfg", config)
            self.allow(root)
        return root

    def venv(self, name: str) -> Path:
        """Make the virtual environment `~/.venv/<name>`."""
        return make_venv(self.path / ".venv" / name)

    def allow(self, directory: Path) -> None:
        result = self.shellenv("allow", directory)
        assert result.status == 0, result

    def approve(self, file: Path) -> None:
        """Record the approval of a file as it is, also of one that `allow` refuses."""
        if file.is_file():
            content = os.fsencode(file) + b"\0" + file.read_bytes()
            write(self.state / "allow" / hashlib.sha256(content).hexdigest(), f"{file}\n")


def write(path: Path, content: str | bytes = "") -> Path:
    """Write a file, and the directories it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else os.fsencode(content))
    return path


@functools.cache
def _venv_template(directory: Path) -> Path:
    template = directory / "shellenv-venv-template"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(template)], check=True, env=os.environ
    )
    return template


_template_directory: Path | None = None


def set_template_directory(directory: Path) -> None:
    """Say where the one environment is made that `make_venv` copies; it lives for the session."""
    global _template_directory
    _template_directory = directory


def make_venv(path: Path) -> Path:
    """Make a real virtual environment without pip; plain paths get a copy of one made before."""
    if _template_directory is None or not re.fullmatch(r"[\w/.+-]+", str(path), re.ASCII):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True)
        return path
    template = _venv_template(_template_directory)
    shutil.copytree(template, path, symlinks=True)
    for script in [*(path / "bin").glob("[aA]ctivate*"), path / "pyvenv.cfg"]:
        text = script.read_text(encoding="utf-8")
        text = text.replace(str(template), str(path)).replace(template.name, path.name)
        script.write_text(text, encoding="utf-8")
    return path


# --- shells -----------------------------------------------------------------------------------


@functools.cache
def hook_code(shell: str) -> str:
    """What `eval "$(shellenv hook SHELL)"` gets. It is the same for all tests, so ask once."""
    result = run([BIN / "shellenv", "hook", shell], {"PATH": os.environ["PATH"]}, Path("/"))
    return result.ok()


class Shell:
    """One kind of shell (bash, zsh or fish) in one home."""

    def __init__(self, name: str, home: Home, prefix: Sequence[str | Path] = ()) -> None:
        require(name)
        self.name = name
        self.home = home
        self.program = which(name) or name
        self.prefix = [*map(str, prefix)]  # words before each command line: to be somebody else

    def __repr__(self) -> str:
        return f"Shell({self.name})"

    @property
    def env(self) -> dict[str, str]:
        return self.home.env

    @property
    def hook(self) -> str:
        """The line(s) that load the hook, as a user's rc file does."""
        if self.prefix:
            return run([*self.prefix, "shellenv", "hook", self.name], self.env, Path("/")).ok()
        return hook_code(self.name)

    # Code that means the same in each of the shells

    def quote(self, text: str | Path) -> str:
        """`text` as one literal word."""
        if self.name == "fish":
            return "'" + str(text).replace("\\", "\\\\").replace("'", "\\'") + "'"
        # not shlex.quote, which leaves `=` bare: zsh expands it
        return "'" + str(text).replace("'", "'\\''") + "'"

    def cd(self, directory: Path | str) -> str:
        return f"cd -- {self.quote(directory)}"

    def set(self, name: str, value: str, *, export: bool = True) -> str:
        """Code that gives a global variable a value."""
        if self.name == "fish":
            return f"set -g{'x' if export else 'u'} {name} {self.quote(value)}"
        return f"{'export ' if export else ''}{name}={self.quote(value)}"

    def unset(self, name: str) -> str:
        return f"set -e {name}" if self.name == "fish" else f"unset -v {name}"

    def show(self, *names: str) -> str:
        """Code that prints `NAME=value` or `NAME unset`, a line for each variable."""
        lines = []
        for name in names:
            if self.name == "fish":
                lines.append(
                    f'if set -q {name}; builtin printf "%s=%s\\n" {name} "${name}"; '
                    f'else; builtin printf "%s unset\\n" {name}; end'
                )
            else:
                lines.append(
                    f'if [ "${{{name}+x}}" ]; then builtin printf "%s=%s\\n" {name} "${{{name}}}"; '
                    f'else builtin printf "%s unset\\n" {name}; fi'
                )
        return "\n".join(lines)

    def alias(self, name: str, value: str) -> str:
        """Code that defines an alias."""
        equals = " " if self.name == "fish" else "="
        return f"alias {name}{equals}{self.quote(value)}"

    def count_aliases(self, *names: str) -> str:
        """Code that prints how many of these are aliases."""
        if self.name == "fish":  # whose `alias` loads all functions that there are
            return f"functions {' '.join(names)} | grep -c '^function'"
        return f"alias | grep -c -E '{'|'.join(names)}'"

    def function(self, name: str, body: str) -> str:
        """Code, in one line, that defines a function."""
        if self.name == "fish":
            return f"function {name}; {body}; end"
        return f"{name}() {{ {body}; }}"

    def source(self, file: Path | str) -> str:
        return f"source {self.quote(file)}"

    @property
    def status(self) -> str:
        """The last command's exit status, as a word."""
        return "$status" if self.name == "fish" else "$?"

    @property
    def activate(self) -> str:
        """The name of the script that activates a virtual environment in this shell."""
        return "activate.fish" if self.name == "fish" else "activate"

    @property
    def at_prompt(self) -> str:
        """Code for scripts that runs what this shell runs before it prints a prompt."""
        return {
            "bash": 'for __test in "${PROMPT_COMMAND[@]}"; do eval "$__test"; done',
            "zsh": 'for __test in "${precmd_functions[@]}"; do "$__test"; done',
            "fish": "emit fish_prompt",
        }[self.name]

    def mark(self, text: str) -> str:
        """Code that leaves a mark in a trace (see `Trace.between`)."""
        return f"builtin printf '@@{text}\\n' >&2"

    # Running it

    def argv(self, script: Path) -> list[str]:
        options = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}
        return [*self.prefix, self.program, *options[self.name], str(script)]

    def script(
        self, text: str, *, hook: bool = True, cwd: Path | None = None, stdin: str = ""
    ) -> Result:
        """Run `text` as a script, by default after loading the hook, in the home directory."""
        return run(self.argv(self._script_file(text, hook)), self.env, cwd or self.home.path, stdin)

    def trace_script(self, text: str, *, hook: bool = True, cwd: Path | None = None) -> Trace:
        """Run `text` as a script below strace; it must succeed."""
        log = self.home.path.parent / "trace"
        argv = [*trace_command(log), *self.argv(self._script_file(text, hook))]
        result = run(argv, self.env, cwd or self.home.path)
        assert result.status == 0, result
        return Trace(log)

    def _script_file(self, text: str, hook: bool) -> Path:
        loader = self.hook if hook else ""
        return write(self.home.path.parent / f"script.{self.name}", f"{loader}\n{text}\n")

    @contextmanager
    def interactive(
        self,
        *,
        hook: bool = True,
        before: str = "",
        after: str = "",
        cwd: Path | None = None,
        trace: Path | None = None,
    ) -> Iterator[Session]:
        """A shell at a terminal of its own, with an rc file that loads the hook.

        `before` and `after` are further lines for the rc file, on either side of the hook;
        `trace` names a file to which strace writes (see `Trace`), complete once the shell ended.
        The first prompt is already there.
        """
        rc = "\n".join([_RC[self.name], before, self.hook if hook else "", after, ""])
        file = write(self.home.path / _RC_FILE[self.name], rc)
        options = {
            "bash": ["--noprofile", "--rcfile", str(file), "-i"],
            "zsh": ["-d", "-i"],
            "fish": ["-i"],
        }
        argv = [*self.prefix, self.program, *options[self.name]]
        if trace is not None:
            argv = [*trace_command(trace), *argv]
        child = pexpect.spawn(
            argv[0],
            argv[1:],
            env=self.env,
            cwd=str(cwd or self.home.path),
            dimensions=(50, 4000),  # no line wraps
            timeout=TIMEOUT,
            encoding="utf-8",
            codec_errors="surrogateescape",
        )
        child.delaybeforesend = None
        session = Session(self, child)
        try:
            session.greeting = session.wait()
            yield session
            if trace is not None:
                child.sendline(" exit")
                child.expect(pexpect.EOF)
        finally:
            child.close(force=True)


# The prompt is `$ <ready>`, and `<begin>` appears when a command line was accepted. Both are
# spelled such that neither the echo of a command nor a listing of variables contains them.
_READY = "<ready>"
_BEGIN = "<begin>"
_RC_FILE = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}
_RC = {
    "bash": r"""
bind 'set enable-bracketed-paste off'
PS1='$ <\162eady>'
PS0='<\142egin>'
""",
    "zsh": r"""
unsetopt prompt_sp
unset zle_bracketed_paste
PROMPT='$ <%(?.r.r)eady>'
__test_begin() { builtin print -n '<'begin'>' }
preexec_functions=(__test_begin)
""",
    "fish": r"""
set -g fish_greeting
set -g fish_autosuggestion_enabled 0
function fish_prompt; builtin printf '$ <%s>' ready; end
function fish_right_prompt; end
function fish_title; end
function __test_begin --on-event fish_preexec; builtin printf '<%s>' begin; end
""",
}

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-9;?>=]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>])"
)


class Session:
    """An interactive shell at a pseudo-terminal, between two of its prompts."""

    def __init__(self, shell: Shell, child: pexpect.spawn[str]) -> None:
        self.shell = shell
        self.child = child
        self.prompt = ""  # the last prompt's line, e.g. "(api) $ "
        self.greeting = ""  # what came before the first prompt

    def run(self, command: str, timeout: float = TIMEOUT) -> str:
        """Type one line and return all that the terminal showed until the next prompt.

        What a last line without a newline says is part of the prompt, as it is on a screen.
        """
        assert command.strip(), "use enter() for an empty line"
        assert "\n" not in command, "one line at a time"
        self.child.send(command + "\r")
        self.child.expect_exact(_BEGIN, timeout=timeout)
        return self.wait(timeout)

    def enter(self) -> str:
        """Press Enter at an empty line: what the next prompt says beside itself, "" as a rule."""
        self.drain()
        self.child.send("\r")
        return self.wait().lstrip("\n")

    def send(self, text: str) -> None:
        """Type without waiting for anything; a carriage return is Enter."""
        self.child.send(text)

    def interrupt(self) -> str:
        """Press Ctrl-C and wait for the next prompt."""
        self.drain()
        self.child.send("\x03")
        return self.wait()

    def wait(self, timeout: float = TIMEOUT) -> str:
        """Wait for a prompt; return what came before it, note the prompt itself."""
        self.child.expect_exact(_READY, timeout=timeout)
        output, self.prompt = _split(self.child.before or "")
        return output

    def drain(self) -> None:
        """Read away what a shell may still paint after its prompt."""
        try:
            while True:
                self.child.read_nonblocking(4096, timeout=0.05)
        except pexpect.TIMEOUT:
            self.child.buffer = ""

    def value(self, name: str) -> str | None:
        """A variable's exact value (a list's words joined as the shell does it), None if unset."""
        file = self.shell.home.path.parent / "value"
        target = self.shell.quote(file)
        if self.shell.name == "fish":
            code = f'set -q {name}; and builtin printf "=%s" "${name}" >{target}; or true >{target}'
        else:
            code = f'builtin printf "%s" "${{{name}+=}}${{{name}-}}" >|{target}'
        output = self.run(code)
        assert output == "", output
        content = os.fsdecode(file.read_bytes())
        return content[1:] if content else None


def _split(raw: str) -> tuple[str, str]:
    """What a terminal was sent until a prompt's end -> (the output, the prompt's last line)."""
    text = _ESCAPES.sub("", raw).replace("\r\n", "\n")
    # fish marks a missing end of line, then overwrites that with the prompt
    text = re.sub(r"[⏎¶~] *\r *\r?", "\r", text)
    lines = text.split("\n")
    last, _, prompt = lines.pop().rpartition("\r")
    output = "".join(line.rpartition("\r")[2] + "\n" for line in lines) + last.strip("\r ")
    return output, prompt


# --- traces -----------------------------------------------------------------------------------


def trace_command(log: Path) -> list[str]:
    """The words before a command line that make strace note its processes in `log`."""
    require("strace")
    return [
        which("strace") or "strace",
        *("-f", "-qq", "-s", "80", "-o", str(log)),
        *("-e", "trace=fork,vfork,clone,clone3,execve,execveat,write"),
        *("-e", "signal=none"),
    ]


class Calls(NamedTuple):
    """How many processes were started, and programs, and the trace's lines that say so."""

    forks: int
    execs: int
    lines: tuple[str, ...]


class Trace:
    """What strace wrote about a shell and everything it started."""

    def __init__(self, log: Path) -> None:
        self.lines = log.read_text(encoding="utf-8", errors="replace").splitlines()

    def between(self, begin: str, end: str) -> Calls:
        """Count what happened between two marks (`Shell.mark`). Threads are no processes."""
        start, stop = self._mark(begin), self._mark(end)
        assert start < stop, (begin, end)
        forks, execs = [], []
        for line in self.lines[start + 1 : stop]:
            call = re.match(r"(?:\d+ +)?(\w+)\(", line)
            if call is None:
                continue
            if call[1].startswith("execve"):
                execs.append(line)
            elif call[1] != "write" and "CLONE_THREAD" not in line:
                forks.append(line)
        return Calls(len(forks), len(execs), (*forks, *execs))

    def _mark(self, text: str) -> int:
        for number, line in enumerate(self.lines):
            if "write(" in line and f'"@@{text}\\n"' in line:
                return number
        raise AssertionError(f"no mark {text!r} in the trace")
