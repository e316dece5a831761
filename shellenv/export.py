"""`export`: what would bring the current shell up to date.

context -> survey -> plan -> snippet. The shell evaluates what is printed, and finds the same in
the cache the next time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from shellenv import installation, paths, snippets
from shellenv.cli import printable, write
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.plan import Plan
from shellenv.shells import HOOK_VERSION, Shell, shell_named
from shellenv.survey import Survey, survey

TICK = 20_000_000
"""Two ticks of a clock (ns): within them a file may change twice and keep its time."""

PATIENCE = 5
"""How often to wait for a file that is being written to come to rest."""

COARSE = 2_000_000_000
"""The same (ns) where times are kept, or compared, in whole seconds."""


def main(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv export SHELL [--coarse]`: print code for bash, zsh or fish, or JSON for editors.

    `--coarse` says that the shell compares file times in whole seconds (bash before 4.3).
    """
    coarse = "--coarse" in args
    names = [arg for arg in args if arg != "--coarse"]
    if len(names) != 1 or names[0].startswith("-"):
        raise ShellenvError(
            "export takes the name of a shell", "for example: shellenv export bash", status=2
        )
    text = as_json(ctx) if names[0] == "json" else code(ctx, shell_named(names[0]), coarse)
    write(text)
    return 0


def code(ctx: Context, shell: Shell, coarse: bool = False) -> str:
    """The code for `shell`; it is also kept in the cache."""
    found, settled = look(ctx, shell.activate, coarse)
    text = _primitives(shell) + _settings(ctx, shell, found, settled)
    if found.plan is None:
        return text + "__shellenv_leave\n"
    return text + _snippet(ctx, shell, found, found.plan, settled) + "__shellenv_apply\n"


def look(ctx: Context, activate: str, coarse: bool = False) -> tuple[Survey, bool]:
    """A survey, and whether it can be recognised by the times of its files.

    A file that was written just now may be written again without its time changing: wait until
    the clock has moved on, and read then. Where times are whole seconds, do not wait, but do not
    vouch for them either.
    """
    for _ in range(PATIENCE):
        found = survey(ctx, activate)
        now = time.time_ns()
        times = [w.mtime for w in found.watch if w.mtime is not None and w.mtime > 0]
        if not any(0 <= now - mtime < TICK for mtime in times):
            whole = (m for m in times if coarse or m % 1_000_000_000 == 0)
            return found, not any(0 <= now - mtime < COARSE for mtime in whole)
        time.sleep(TICK / 1e9)
    return found, False


def _primitives(shell: Shell) -> str:
    """Code that loads what the rest is made of, where `shellenv hook` was not evaluated, or was by
    an older version: then what that one did is undone by its own functions first."""
    static = shell.quote(f"{installation.static_dir()}/hook.{shell.name}")
    program = shell.quote(installation.launcher())  # the bare name would be the function itself
    if shell.name == "fish":
        return (
            f'if test "x$__shellenv_version" != x{HOOK_VERSION}\n'
            "    functions -q __shellenv_leave; and __shellenv_leave\n"
            f"    set -q __shellenv_bin; or set -g __shellenv_bin {program}\n"
            f"    set -e __shellenv_shell\n    source {static} --definitions\nend\n"
        )
    return (
        f'if [ "${{__shellenv_version-}}" != {HOOK_VERSION} ]; then\n'
        "  if command -v __shellenv_leave >/dev/null; then __shellenv_leave; fi\n"
        f'  [ -n "${{__shellenv_bin-}}" ] || __shellenv_bin={program}\n'
        f"  unset __shellenv_shell\n  \\. {static} --definitions\nfi\n"
    )


def _settings(ctx: Context, shell: Shell, found: Survey, settled: bool) -> str:
    """The settings, where the user or the machine has any; kept for the next shell."""
    from shellenv import render

    watch = found.settings.watch
    if all(w.mtime is None for w in watch):
        return ""
    stamps = snippets.stamp(ctx, watch)
    overridden = ctx.env.get("SHELLENV_VENV_DIR", "")
    never = not settled or stamps.directory is None
    guard = render.Guard(watch, stamps.directory, overridden, never)
    text = render.settings(shell, found.settings.venv_dir, guard)
    if settled and not stamps.problem:
        _keep(ctx, f"settings.{shell.name}", text)
    return text


def _snippet(ctx: Context, shell: Shell, found: Survey, plan: Plan, settled: bool) -> str:
    from shellenv import render

    if plan.hooks:
        from shellenv.hookcode import checked

        plan = checked(ctx, shell, plan)
    if not settled:
        return render.snippet(shell, plan, render.Guard(found.watch, never=True))
    stamps = snippets.stamp(ctx, found.watch)
    guard = render.Guard(found.watch, stamps.directory, overrides(ctx.env))
    text = render.snippet(shell, plan, guard)
    name = f"snippets/{shell.name}{plan.key}/.snippet"
    problem = stamps.problem or _keep(ctx, name, text)
    if not problem:
        return text
    if stamps.directory is None:  # an edit could not be noticed: ask again each time
        guard = guard._replace(never=True)
    caution = printable(f"{problem}; without its cache shellenv is slow")
    return render.snippet(shell, plan, guard, caution)


def _keep(ctx: Context, name: str, text: str) -> str:
    """Keep `text` in the cache for the next time; why that cannot be, or ""."""
    problem = snippets.write(ctx, f"{paths.cache_dir(ctx)}/{name}", text)
    snippets.forget_unused(ctx)
    return problem


def overrides(env: Mapping[str, str]) -> str:
    """The environment variables that settings depend on, as the guards compare them."""
    names = ("HOME", "SHELLENV_VENV_DIR", "SHELLENV_PROMPT", "SHELLENV_QUIET")
    return "|".join(env.get(name, "") for name in names)


def as_json(ctx: Context) -> str:
    """What to change in the shell's environment, as a JSON object: name to value, or to null for
    "unset". Empty if the shell is up to date; what was changed there by hand stays."""
    import json

    from shellenv.environment import environment, is_current

    present = ctx.shell_env
    target = environment(ctx, survey(ctx))
    if is_current(ctx, target):
        return "{}\n"
    changes = {name: value for name, value in target.items() if present.get(name) != value}
    gone = {name: None for name in present if name not in target}
    return json.dumps({**changes, **gone}, sort_keys=True, indent=2) + "\n"
