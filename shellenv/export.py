"""`export`: what would bring the current shell up to date.

context -> survey -> plan -> snippet. The shell evaluates what is printed, and finds the same in
the cache the next time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from shellenv import paths, snippets, state
from shellenv.context import Context
from shellenv.errors import ShellenvError
from shellenv.plan import Plan, expand
from shellenv.shells import Shell, shell_named
from shellenv.survey import Survey, Watch, survey

TICK = 20_000_000
"""Two ticks of a kernel's clock (ns): within that time a file may change twice and keep its time."""

COARSE = 2_000_000_000
"""The same (ns) where times are kept, or compared, in whole seconds."""


def main(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv export SHELL [--coarse]`: print code for bash, zsh or fish, or JSON for editors.

    `--coarse` says that the shell compares file times in whole seconds (bash before 4.3).
    """
    import sys

    coarse = "--coarse" in args
    names = [arg for arg in args if arg != "--coarse"]
    if len(names) != 1 or names[0].startswith("-"):
        raise ShellenvError(
            "export takes the name of a shell", "For example: shellenv export bash", status=2
        )
    text = as_json(ctx) if names[0] == "json" else code(ctx, shell_named(names[0]), coarse)
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
    return 0


def code(ctx: Context, shell: Shell, coarse: bool = False) -> str:
    """The code for `shell`; it is also kept in the cache."""
    found, settled = look(ctx, shell.activate, coarse)
    text = _hook_first(shell) + _settings(ctx, shell, found, settled)
    if found.plan is None:
        return text + "__shellenv_leave\n"
    return text + _snippet(ctx, shell, found, found.plan, settled) + "__shellenv_apply\n"


def look(ctx: Context, activate: str, coarse: bool = False) -> tuple[Survey, bool]:
    """A survey, and whether it can be recognised by the times of its files.

    A file that was written just now may be written again without its time changing: wait until
    the clock has moved on, and read then. Where times are whole seconds, do not wait, but do not
    vouch for them either.
    """
    while True:
        found = survey(ctx, activate)
        now = time.time_ns()
        ages = [(now - w.mtime, w.mtime) for w in found.watch if w.mtime is not None and w.mtime > 0]
        if any(0 <= age < TICK for age, _ in ages):
            time.sleep(TICK / 1e9)
            continue
        whole = [age for age, mtime in ages if coarse or mtime % 1_000_000_000 == 0]
        return found, not any(0 <= age < COARSE for age in whole)


def _hook_first(shell: Shell) -> str:
    """Code that loads the hook's functions where `shellenv hook` was not evaluated."""
    return ""


def _settings(ctx: Context, shell: Shell, found: Survey, settled: bool) -> str:
    """The settings, where the user or the machine has any; kept for the next shell."""
    from shellenv import render

    watch = found.settings.watch
    if all(w.mtime is None for w in watch):
        return ""
    cache = paths.cache_dir(ctx)
    stamps = snippets.stamp(ctx, f"{cache}/settings" if cache else None, watch)
    override = ctx.env.get("SHELLENV_VENV_DIR", "")
    guard = render.Guard(watch, stamps, override, never=not settled)
    text = render.settings(shell, found.settings.venv_dir, guard)
    if cache and _is_kept(stamps, cache) and settled:
        snippets.write(ctx, f"{cache}/settings.{shell.name}", text)
    return text


def _snippet(ctx: Context, shell: Shell, found: Survey, plan: Plan, settled: bool) -> str:
    from shellenv import render

    directory = snippets.snippet_dir(ctx, shell.name, plan.key)
    stamps = snippets.stamp(ctx, directory, found.watch) if settled else None
    guard = render.Guard(found.watch, stamps, overrides(ctx.env), never=not settled)
    text = render.snippet(shell, plan, guard)
    if directory and settled and _is_kept(stamps, directory):
        snippets.write(ctx, f"{directory}/.snippet", text)
        snippets.forget(directory, stamps)
    return text


def _is_kept(stamps: str | None, directory: str) -> bool:
    return stamps is not None and stamps.startswith(directory)


def overrides(env: Mapping[str, str]) -> str:
    """The environment variables that settings depend on, as the guards compare them."""
    return "|".join(env.get(f"SHELLENV_{key}", "") for key in ("VENV_DIR", "PROMPT", "QUIET"))


def as_json(ctx: Context) -> str:
    """What to change in `ctx.env`, as a JSON object: name to value, or to null for "unset"."""
    import json

    target = environment(ctx, survey(ctx))
    changes = {name: value for name, value in target.items() if ctx.env.get(name) != value}
    gone = {name: None for name in ctx.env if name not in target}
    return json.dumps({**changes, **gone}, sort_keys=True, indent=2) + "\n"


def environment(ctx: Context, found: Survey) -> dict[str, str]:
    """`ctx.env` as a shell with the hook would have it: without what another project did there,
    with this one's variables, PATH and virtual environment.

    Aliases, hooks and secrets are not in it.
    """
    log = state.read(ctx.env)
    declined = any(
        record.name == "VIRTUAL_ENV" and "VIRTUAL_ENV" not in ctx.env for record in log.records
    )
    env = state.revert(ctx.env, "project")
    plan = found.plan
    if plan is None:
        return env
    same = log.root == plan.root
    if plan.venv and not env.get("VIRTUAL_ENV") and not (same and declined):
        env["VIRTUAL_ENV"] = plan.venv.path
        env["VIRTUAL_ENV_PROMPT"] = os.path.basename(plan.venv.path)
        env["PATH"] = _front(f"{plan.venv.path}/bin", env)
        env.pop("PYTHONHOME", None)
    for directory in reversed(plan.path):
        env["PATH"] = _front(directory.path, env)
    for variable in plan.variables:
        env[variable.name] = expand(variable.value, env)
    return env


def _front(directory: str, env: Mapping[str, str]) -> str:
    return f"{directory}:{env['PATH']}" if env.get("PATH") else directory


__all__ = ["Watch", "as_json", "code", "environment", "look", "main"]
