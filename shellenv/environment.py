"""A project's environment as a program gets it: what the hook does to a shell, computed.

Aliases, hooks and secrets are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from shellenv import program, state
from shellenv.byheart import LOOKED_AT, Script, environment_of
from shellenv.context import Context
from shellenv.plan import Plan, Venv, expand
from shellenv.state import Log, Record
from shellenv.survey import Survey

PROMPT = "VIRTUAL_ENV_DISABLE_PROMPT"

OWN = ("_", "SHLVL", "PWD", "OLDPWD", "PS1", "PS2", PROMPT)
"""What bash or we set or drop for the moment, whatever is sourced."""


def environment(ctx: Context, found: Survey) -> dict[str, str]:
    """`ctx.env` as a shell with the hook would have it, undo log included: a shell that is started
    in it, elsewhere, knows what to take back.

    The activate script is sourced for it unless it is known by heart, by bash if there is one, so
    what people have added to it is there. A virtual environment that is active already, or that
    the user has deactivated, is left as it is.
    """
    plan = found.plan
    before = dict(ctx.env)
    if plan is None or plan.empty:
        return before
    env = dict(before)
    if plan.venv and not env.get("VIRTUAL_ENV") and not _declined(ctx, plan):
        env = _activated(env, plan.venv)
    records = [Record("e", n, before.get(n), env.get(n)) for n in _changed(before, env)]
    for directory in reversed(plan.path):
        env["PATH"] = _front(directory.path, env)
    if env.get("PATH") != before.get("PATH"):
        records.insert(0, Record("p", "PATH", before.get("PATH", ""), env["PATH"]))
    dock = state.read_dock(env)
    for variable in plan.variables:
        value = expand(variable.value, env)
        covered = state.record_of(dock, variable.name)
        if covered is not None and covered.new == env.get(variable.name):  # it goes beneath
            records.append(Record("v", variable.name, covered.old, value))
            dock = state.with_old(dock, variable.name, value)
        else:
            records.append(Record("v", variable.name, env.get(variable.name), value))
            env[variable.name] = value
    if dock.root:
        env.update(state.write(dock, state.DOCK))
    return {**env, **state.write(Log(plan.key, plan.root, tuple(records)))}


def is_current(ctx: Context, target: Mapping[str, str]) -> bool:
    """Does the shell that we were called from have all that `target` has, but for what was changed
    in it by hand?"""
    there, wanted = state.read(ctx.shell_env), state.read(target)
    same_place = (there.key, there.root) == (wanted.key, wanted.root)
    done, to_do = ((_set_by(log), _front_of(log)) for log in (there, wanted))
    return same_place and done == to_do


def _set_by(log: Log) -> set[tuple[str, str | None]]:
    return {(record.name, record.new) for record in log.records if record.kind == "v"}


def _front_of(log: Log) -> str:
    """What a log says was put in front of PATH."""
    paths = [record for record in log.records if record.kind == "p"]
    return "".join((p.new or "").removesuffix(p.old or "") for p in paths)


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    names = sorted({*before, *after} - {"PATH"})
    return [name for name in names if before.get(name) != after.get(name)]


def _activated(env: Mapping[str, str], venv: Venv) -> dict[str, str]:
    """`env` after the activate script of `venv`; where bash cannot say, what such scripts do."""
    path = _front(f"{venv.path}/bin", env)
    if venv.script is not None and _is_plain(env, venv.script):
        return {**env, **environment_of(venv.path, venv.script), "PATH": path}
    script = 'source "$1" >/dev/null 2>&1; exec env -0'  # not $0: it would not be sourced, uv says
    command = ["bash", "--norc", "--noprofile", "-c", script, "bash", f"{venv.path}/bin/activate"]
    output = program.output(command, {**env, PROMPT: "1"})  # or it makes and exports a PS1
    if output is not None:
        words = output.decode("utf-8", "surrogateescape").split("\0")
        after = dict(word.split("=", 1) for word in words if "=" in word)
        own = {name: env[name] for name in OWN if name in env}
        return {**{name: after[name] for name in after if name not in OWN}, **own}
    plain = {**env, "VIRTUAL_ENV": venv.path, "PATH": path}
    plain.pop("PYTHONHOME", None)
    return plain


def _is_plain(env: Mapping[str, str], script: Script) -> bool:
    """Does `env` have nothing that the script would look at, but a PATH?"""
    functions = (f"BASH_FUNC_{name}%%" for name in script.functions)
    return bool(env.get("PATH")) and not any(name in env for name in (*LOOKED_AT, *functions))


def _declined(ctx: Context, plan: Plan) -> bool:
    """Has the user deactivated this project's virtual environment in this shell?"""
    log = state.read(ctx.shell_env)
    activated = any(record.name == "VIRTUAL_ENV" and record.new for record in log.records)
    return activated and log.root == plan.root and not ctx.shell_env.get("VIRTUAL_ENV")


def _front(directory: str, env: Mapping[str, str]) -> str:
    return f"{directory}:{env['PATH']}" if env.get("PATH") else directory
