"""The program: finds the verb, calls it, and is the one place that reports failures.

A verb is a function `(ctx, args) -> exit status` in a module that is imported when it is asked
for. `export` runs at a shell's prompt, so nothing here may cost: argparse is imported by the verbs
that use it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from shellenv.errors import ShellenvError

if TYPE_CHECKING:
    import argparse


class Verb(NamedTuple):
    """A row of the table: where the verb is, how it is called, and how it is explained.

    `target` is `module:function`, or "" for what only the hook in a shell can do. A `bare` verb is
    also a program of its own name: the launcher, installed once more (pyproject.toml lists them).
    """

    target: str
    arguments: str
    summary: str
    examples: tuple[str, ...]
    bare: bool = False


VERBS: dict[str, Verb] = {
    "hook": Verb(
        "shellenv.hook:main",
        "bash | zsh | fish",
        "print the code that loads the hook, for an rc file",
        (
            'eval "$(shellenv hook bash)"      in ~/.bashrc',
            'eval "$(shellenv hook zsh)"       in ~/.zshrc',
            "shellenv hook fish | source       in ~/.config/fish/config.fish",
        ),
    ),
    "export": Verb(
        "shellenv.export:main",
        "bash | zsh | fish | json",
        "print what would bring this shell up to date, or JSON for editors",
        (
            'eval "$(shellenv export bash)"',
            "shellenv export json",
        ),
    ),
    "exec": Verb(
        "shellenv.exec:main",
        "[DIR] -- CMD...",
        "run a command in a directory's environment, without a hook",
        (
            "shellenv exec -- pytest -q",
            "shellenv exec ~/src/api -- python -m api",
        ),
    ),
    "status": Verb(
        "shellenv.status:main",
        "[--json]",
        "show what is active here, and why",
        (
            "shellenv status",
            "shellenv status --json | jq .project",
        ),
    ),
    "allow": Verb(
        "shellenv.approval:allow",
        "[DIR]",
        "approve a project's configuration as it is now",
        (
            "shellenv allow                    the project you are in",
            "shellenv allow ~/src/api",
        ),
    ),
    "deny": Verb(
        "shellenv.approval:deny",
        "[DIR]",
        "refuse a project's configuration, whatever it says",
        (
            "shellenv deny                     the project you are in",
            "shellenv deny ~/src/api",
        ),
    ),
    "reload": Verb(
        "",
        "",
        "apply everything again, in this shell",
        ("shellenv reload",),
    ),
    "pause": Verb(
        "",
        "",
        "take everything back until resume, in this shell",
        ("shellenv pause",),
    ),
    "resume": Verb(
        "",
        "",
        "go on after pause, in this shell",
        ("shellenv resume",),
    ),
    "config": Verb(
        "shellenv.settings:main",
        "[get KEY | list] [--show-origin] [--json]",
        "show the settings that count here",
        (
            "shellenv config                   all settings",
            "shellenv config get venv_dir      [shellenv] venv_dir",
            "shellenv config get env.PORT      PORT in [shellenv.env]",
            "shellenv config list --show-origin",
        ),
    ),
    "dock": Verb(
        "shellenv.dock:main",
        "[user@]HOST[:port] | MONIKER",
        "have this shell's docker on another machine",
        (
            "dock gpu                          a known dock (ls-dock lists them)",
            "dock ubuntu@10.1.2.3              any machine that hosts docker",
            "source dock gpu                   where the hook is not loaded (bash, zsh)",
        ),
    ),
    "castoff": Verb(
        "",
        "",
        "have this shell's docker where it was before",
        ("castoff",),
    ),
    "setup-venv": Verb(
        "shellenv.setupvenv:main",
        "[--python X] [--recreate] [-q]",
        "make the project's virtual environment and install the project into it",
        (
            "setup-venv                        again, it brings the environment up to date",
            "setup-venv --python 3.12 --recreate",
        ),
        bare=True,
    ),
    "run-shell": Verb(
        "shellenv.run:main",
        "[OPTION...] [-- CMD...]",
        "run a command, or a shell, in the project's execution environment",
        (
            "run-shell                                 a shell",
            "run-shell -- pytest -q",
            "run-shell --env docker -p 8000:8000 -- python -m http.server",
            "run-shell --print -- make test            what would be run",
        ),
        bare=True,
    ),
    "register-dock": Verb(
        "shellenv.register:register",
        "[user@]HOST[:port] [MONIKER] [OPTION...]",
        "make a machine that hosts docker known, by a short name",
        (
            "register-dock ubuntu@10.1.2.3 gpu",
            "register-dock [2001:db8::1]:2222 lab --identity ~/.ssh/lab",
            "register-dock --dry-run 10.1.2.3 gpu              what would change in which file",
        ),
        bare=True,
    ),
    "unregister-dock": Verb(
        "shellenv.register:unregister",
        "[MONIKER] [--remove-include]",
        "forget a dock",
        (
            "unregister-dock gpu",
            "unregister-dock --remove-include  take our line out of ~/.ssh/config",
        ),
        bare=True,
    ),
    "ls-dock": Verb(
        "shellenv.fleet:ls",
        "[--json] [--offline]",
        "list the known docks, and ask them all for their docker",
        (
            "ls-dock",
            "ls-dock --json | jq -r '.[] | select(.reachable).moniker'",
            "ls-dock --offline                 without asking them",
        ),
        bare=True,
    ),
    "ssh-dock": Verb(
        "shellenv.fleet:ssh_dock",
        "MONIKER | HOST [-- CMD...]",
        "log in to a dock, or run a command there as ssh does",
        (
            "ssh-dock gpu",
            "ssh-dock gpu -- docker ps",
        ),
        bare=True,
    ),
    "sync-up": Verb(
        "shellenv.sync.start:up",
        "[DOCK] [OPTION...]",
        "bring what changed in this project to its directory at a dock",
        (
            "sync-up                           to the dock that this shell is docked to",
            "sync-up gpu --dry-run             what would be done",
            "sync-up --explain data/raw        is it left out, and by which rule?",
        ),
        bare=True,
    ),
    "sync-down": Verb(
        "shellenv.sync.start:down",
        "[DOCK] [OPTION...]",
        "bring what changed in this project's directory at a dock here",
        (
            "sync-down                         from the dock that this shell is docked to",
            "sync-down gpu --dry-run           what would be done",
            "sync-down gpu --json | jq .conflicts",
        ),
        bare=True,
    ),
}

AWAITED = ("hook", "export", "dock")
"""Verbs that a shell waits for, so they do without argparse (8 ms); `--help` is handled here."""

QUICK = (*AWAITED, "run-shell", "sync-up", "sync-down")
"""Verbs that start and end without what a long run of Python would want."""

LOADERS = {
    "bash": 'put this line into ~/.bashrc: eval "$(shellenv hook bash)"',
    "zsh": 'put this line into ~/.zshrc: eval "$(shellenv hook zsh)"',
    "fish": "put this line into ~/.config/fish/config.fish: shellenv hook fish | source",
}


def program() -> NoReturn:
    """The program itself: `main`, and the end of the process.

    A shell that waits for code does not wait until Python has counted its garbage (3 ms) and taken
    its modules apart (10 ms, with Jinja): the process just ends.
    """
    waiting = sys.argv[1:2] and sys.argv[1] in QUICK
    if waiting:
        import gc

        gc.disable()
    try:
        status = main()
    except KeyboardInterrupt:  # once more, while the end was told
        status = _interrupted(sys.argv[1:])
    if waiting:
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError):  # closed, or nobody reads it
                stream.flush()
        os._exit(status)
    sys.exit(status)


def main(argv: list[str] | None = None) -> int:
    """Run `shellenv` with these arguments (default: the process's) and return its exit status.

    0; 1 refused or failed, with one line that says what happened and one that says what to do; 2
    wrong usage; 130 interrupted. A reader of stdout that goes away ends the run with 1, silently.
    Never raises, and shows no traceback unless SHELLENV_DEBUG is 1.
    """
    words = sys.argv[1:] if argv is None else argv
    try:
        status = run(words)
        write("")
    except KeyboardInterrupt:
        _abandon_stdout()
        return _interrupted(words)
    except BrokenPipeError:
        _abandon_stdout()
        return 1
    except ShellenvError as error:
        status = _report(error.message, error.hint, error.status)
        return _interrupted(words) if status == 130 else status
    except OSError as error:
        name = error.filename if isinstance(error.filename, (str, bytes)) else ""
        what = error.strerror or str(error) or type(error).__name__
        hint = "check permissions and the free space; SHELLENV_DEBUG=1 shows the traceback"
        return _report(f"{os.fsdecode(name)}: {what}" if name else what, hint, 1)
    except Exception as error:
        what = str(error).strip() or "no further information"
        hint = "this should not happen; set SHELLENV_DEBUG=1 for the traceback"
        return _report(f"{type(error).__name__}: {what}", hint, 1)
    return status


def run(argv: list[str]) -> int:
    """Call the verb that `argv` names; raises what it raises."""
    if not argv:
        say(*_overview().splitlines())
        return 2
    name, *args = argv
    if name in ("--help", "-h", "help"):
        write(_overview())
        return 0
    if name == "--version":
        from shellenv import __version__

        write(f"shellenv {__version__}\n")
        return 0
    verb = VERBS.get(name)
    if verb is None:
        raise _unknown(name)
    if (name in AWAITED or not verb.target) and args and args[0] in ("--help", "-h"):
        write(_help(name, verb))
        return 0
    if not verb.target:
        if args:
            raise ShellenvError(
                f"{name} takes no arguments", f"shellenv {name} --help shows how", 2
            )
        raise needs_hook(name)
    module, _, function = verb.target.partition(":")
    from shellenv.context import Context

    # With a `fromlist`, __import__ returns the module itself; importlib would cost an import.
    entry = getattr(__import__(module, fromlist=[function]), function)
    try:
        status: int = entry(Context.from_process(), args)
    except SystemExit:  # argparse, after --help
        return 0
    return status


def parser(name: str) -> argparse.ArgumentParser:
    """An argument parser for a verb, with its `--help`. Wrong usage raises ShellenvError."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> None:  # type: ignore[override]
            raise ShellenvError(f"{name}: {message}", f"shellenv {name} --help shows how", 2)

    verb = VERBS[name]
    return Parser(
        prog=f"shellenv {name}",
        usage=f"shellenv {name} {verb.arguments}",
        description=f"{verb.summary[:1].upper()}{verb.summary[1:]}.",
        epilog=_examples(verb),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def write(text: str) -> None:
    """Write data or code to stdout, byte for byte: what was not UTF-8 leaves as it came.

    Raises ShellenvError if stdout is closed or cannot take it, and BrokenPipeError if its reader
    is gone.
    """
    if sys.stdout is None:
        if text:
            raise ShellenvError("stdout is closed", "this verb writes its answer there")
        return
    try:
        sys.stdout.flush()  # what others printed, argparse for one
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _abandon_stdout()
        raise ShellenvError(
            f"cannot write to stdout: {error.strerror}", "what was printed is not complete"
        ) from error


def say(*lines: str) -> None:
    """Tell a person something on stderr, without a control character out of any file's name."""
    if lines and sys.stderr is not None:
        with suppress(OSError):  # nobody is there to be told
            print(*map(printable, lines), sep="\n", file=sys.stderr, flush=True)


def at_terminal() -> bool:
    """Is there a person who can be told and asked something?"""
    streams = (sys.stdin, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def ask(question: str) -> bool | None:
    """Ask a person yes or no on stderr; None if there is no terminal on either side."""
    if not at_terminal():
        return None
    print(printable(question), "[y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def printable(text: str) -> str:
    """`text` on one line, with control characters and bytes that are no UTF-8 spelled out."""
    if text.isprintable():
        return text
    spelled = []
    for char in text:
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8 (PEP 383)
            spelled.append(f"\\x{code - 0xDC00:02x}")
        elif code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code <= 0xDFFF:
            spelled.append(char.encode("unicode_escape").decode("ascii"))
        else:
            spelled.append(char)
    return "".join(spelled)


def _interrupted(words: list[str]) -> int:
    """The exit status after Ctrl-C. `run-shell` ends as its command would have, by the signal."""
    if words[:1] == ["run-shell"]:
        from shellenv.supervisor import End, leave

        return leave(End(130, interrupted=True))
    return 130


def _abandon_stdout() -> None:
    """Send what is still in stdout's buffer nowhere: Python flushes once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _report(message: str, hint: str, status: int) -> int:
    from shellenv.context import Context

    if Context.from_process().env.get("SHELLENV_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    say(f"shellenv: {message}", *([hint] if hint else []))
    return status


def _overview() -> str:
    width = max(map(len, VERBS))
    rows = (f"  {name:{width}}  {verb.summary}\n" for name, verb in VERBS.items())
    return (
        "usage: shellenv VERB ...\n\n"
        "cd into a project and its environment is there; leave and it is gone.\n\n"
        f"{''.join(rows)}\n"
        "shellenv VERB --help explains a verb; shellenv --version tells the version.\n"
    )


def _help(name: str, verb: Verb) -> str:
    usage = f"usage: shellenv {name} {verb.arguments}".rstrip()
    return f"{usage}\n\n{verb.summary[:1].upper()}{verb.summary[1:]}.\n\n{_examples(verb)}"


def _examples(verb: Verb) -> str:
    return "examples:\n" + "".join(f"  {example}\n" for example in verb.examples)


def _unknown(name: str) -> Exception:
    from shellenv.schema import nearest

    what = "option" if name.startswith("-") else "verb"
    near = nearest(name, VERBS)
    hint = f"did you mean `shellenv {near}`?" if near else "shellenv --help lists the verbs"
    return ShellenvError(f"unknown {what} {name!r}", hint, 2)


def needs_hook(name: str) -> Exception:
    """The error of a verb that only the hook's function of that name can carry out."""
    from shellenv.context import Context

    shell = os.path.basename(Context.from_process().env.get("SHELL", ""))
    return ShellenvError(
        f"{name} acts on the shell it is typed in, and the hook is not loaded there",
        LOADERS.get(shell, LOADERS["bash"]),
    )
