"""`status`: what is active here, and why.

First the facts, as one JSON-able value; then, for people, the same in words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from shellenv import connection, paths, state, trust
from shellenv.cli import parser, printable, write
from shellenv.config import Origin
from shellenv.context import Context
from shellenv.environment import environment
from shellenv.errors import ShellenvError
from shellenv.hint import hint, image_sign
from shellenv.plan import Plan, Ref, Value, Variable
from shellenv.survey import FOREIGN, Blocked, Survey, survey

Facts = dict[str, Any]


def main(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv status [--json]`: print it to stdout. Mistakes in files are part of it.

    Raises ShellenvError where there is no directory any more.
    """
    arguments = parser("status")
    arguments.add_argument("--json", action="store_true", help="print JSON")
    options = arguments.parse_args(args)
    try:
        os.getcwd()
    except OSError as error:
        raise ShellenvError("the current directory is gone", "cd to one that is there") from error
    found = facts(ctx)
    if options.json:
        import json

        write(json.dumps(found, indent=2) + "\n")
    else:
        write("".join(f"{printable(line)}\n" for line in words(ctx, found)))
    return 0


def facts(ctx: Context) -> Facts:
    """All that is known about the current directory, as JSON-able values; secrets as written."""
    found = survey(ctx, for_run=True)
    would = survey(ctx, for_run=True, trusting=True)  # if all that waits were allowed
    plan = found.plan
    project = found.detection.project
    root = project.root if project else ""
    choice = hint(ctx.env, found.config, project, image_sign(root) if root else "")
    log = state.read(ctx.shell_env)
    return {
        "directory": ctx.cwd,
        "project": {
            "name": project.name,
            "root": project.root,
            "because": project.rule,
            "directories": list(project.directories),
        }
        if project
        else None,
        "shell": _shell(ctx, log, plan),
        "venv": {"path": project.venv, "because": project.venv_rule}
        if project and project.venv
        else None,
        "exec_env": {"name": choice.exec_env or None, "because": choice.reason},
        "dock": _dock(ctx),
        **_changes(plan, _values(ctx, found)),
        "blocked": [_blocked(blocked, would) for blocked in _shown(would.blocked)],
        "passed_over": list(found.detection.passed_over),
        "warnings": list(found.warnings),
        "errors": [{"message": e.message, "hint": e.hint} for e in found.errors],
    }


def _dock(ctx: Context) -> Facts | None:
    """Where this shell is docked, and how the connection is."""
    place = connection.docked(ctx)
    if place is None:
        return None
    known = connection.read(place)
    return {
        "moniker": ctx.env.get("SHELLENV_DOCK"),
        "docker_host": ctx.env.get("DOCKER_HOST"),
        "connected": known is not None,
        "kept": connection.is_kept(place),
        "problem": connection.problem(place) or None,
        "docker": known.docker if known else None,
        "user": known.user if known else None,
        "shells": len(connection.shells(place)),
    }


def _shell(ctx: Context, log: state.Log, plan: Plan | None) -> Facts:
    """What this shell has: whose environment is applied, and what was changed by hand since."""
    env = ctx.shell_env
    covered = {r.name for r in state.read_dock(env).records if r.new == env.get(r.name)}
    by_hand = [
        r.name
        for r in log.records
        if r.kind == "v" and r.name not in covered and env.get(r.name) != r.new
    ]
    venv = env.get("VIRTUAL_ENV") or None
    wanted = plan.venv.path if plan and plan.venv else None
    ours = next((r.new for r in log.records if r.name == "VIRTUAL_ENV"), None)
    applied = bool(log.root) and plan is not None and not plan.empty and log.root == plan.root
    return {
        "root": log.root or None,
        "applied": applied,
        "virtual_env": venv,
        "venv_by_hand": applied and wanted is not None and venv != ours,
        "changed_by_hand": by_hand,
        "paused": {"yes": True, "no": False}.get(env.get("__SHELLENV_PAUSED", "")),
    }


def _values(ctx: Context, found: Survey) -> dict[str, str]:
    """The project's variables as a shell gets them: with what they refer to."""
    records = state.read(environment(ctx, found)).records
    return {r.name: r.new for r in records if r.kind == "v" and r.new is not None}


def _changes(plan: Plan | None, values: Mapping[str, str]) -> Facts:
    """What a plan would do to a shell, each with its file and line."""
    if plan is None:
        return {"variables": [], "secrets": [], "path": [], "aliases": [], "hooks": []}
    return {
        "variables": [
            {"name": v.name, **_value(v, values), **_where(v.origin)} for v in plan.variables
        ],
        "secrets": [
            {"name": v.name, "value": text(v.value), **_where(v.origin)} for v in plan.secrets
        ],
        "path": [{"directory": d.path, **_where(d.origin)} for d in plan.path],
        "aliases": [{"name": a.name, "value": a.value, **_where(a.origin)} for a in plan.aliases],
        "hooks": [
            {
                "enter": h.enter,
                "leave": h.leave,
                "origins": {"enter": _where(h.enter_origin), "leave": _where(h.leave_origin)},
            }
            for h in plan.hooks
        ],
    }


def _value(variable: Variable, values: Mapping[str, str]) -> Facts:
    """What a shell gets, and, where that is something else, how it is written."""
    written = text(variable.value)
    value = values.get(variable.name, written)
    return {"value": value} if value == written else {"value": value, "written": written}


def _where(origin: Origin) -> Facts:
    return {"file": origin.file or None, "line": origin.line or None}


def text(value: Value) -> str:
    """A value as it would be written in a configuration file."""
    return "".join(
        part.replace("$", "$$") if isinstance(part, str) else _reference(part) for part in value
    )


def _reference(part: Ref) -> str:
    default = f":-{part.default}" if part.default else ""
    return "${" + part.name + default + "}"


def _shown(blocked: Iterable[Blocked]) -> Iterator[Blocked]:
    """Each file once; a virtual environment by its first script."""
    return (one for one in blocked if not one.path.endswith("/bin/activate.fish"))


def _blocked(blocked: Blocked, would: Survey) -> Facts:
    """A blocked file, and what would happen if it were allowed."""
    effects = []
    if blocked.kind == "environment":
        effects.append(f"activate {blocked.path.removesuffix('/bin/activate')}")
    elif would.plan and blocked.verdict == trust.BLOCKED:
        effects += _effects(would.plan, blocked.path)
    mistakes = [e.message for e in would.errors if e.message.startswith(blocked.path)]
    return {
        "file": blocked.path,
        "state": blocked.verdict,
        "if_allowed": [*effects, *(f"fail: {mistake}" for mistake in mistakes)],
    }


def _effects(plan: Plan, file: str) -> Iterator[str]:
    for variable in (*plan.variables, *plan.secrets):
        if variable.origin.file == file:
            yield f"set {variable.name}"
    for directory in plan.path:
        if directory.origin.file == file:
            yield f"put {directory.path} in front of PATH"
    for alias in plan.aliases:
        if alias.origin.file == file:
            yield f"define the alias {alias.name}"
    for hook in plan.hooks:
        if file in (hook.enter_origin.file, hook.leave_origin.file):
            yield "run code on entering and leaving"


STATES = {
    trust.BLOCKED: "not allowed yet: read it, then run `shellenv allow`",
    trust.DENIED: "denied: `shellenv allow` would change that",
    FOREIGN: "not used: it belongs to another user",
    trust.UNSAFE: "not used, because others can write to it: chmod o-w makes it yours",
}


def words(ctx: Context, found: Facts) -> Iterator[str]:
    """The facts in words, line by line."""

    def short(path: str | None) -> str:
        return paths.tilde(ctx, path) if path else ""

    def origin(row: Facts) -> str:
        if not row["file"]:
            return "shellenv itself"
        return short(row["file"]) + (f":{row['line']}" if row["line"] else "")

    project, venv, shell = found["project"], found["venv"], found["shell"]
    if project is None:
        yield "project   none: no directory from here up has an environment or configuration"
    else:
        yield f"project   {project['name']} in {short(project['root'])}"
        yield f"          {project['because']}"
    if venv is not None:
        yield f"venv      {short(venv['path'])}"
        yield f"          {venv['because']}"
    choice = found["exec_env"]
    yield f"runs in   {choice['name'] or 'nothing'}: {choice['because']}"
    if found["dock"]:
        yield from _docked(found["dock"])
    yield f"shell     {_applied(found, short)}"
    if shell["changed_by_hand"]:
        yield f"          changed by hand since: {', '.join(shell['changed_by_hand'])}"
    yield from _table("variables", ((v["name"], v["value"], origin(v)) for v in found["variables"]))
    yield from _table("secrets", ((s["name"], s["value"], origin(s)) for s in found["secrets"]))
    if found["secrets"]:
        yield "          fetched by exec and run-shell, for the command alone"
    yield from _table("path", ((short(d["directory"]), "", origin(d)) for d in found["path"]))
    yield from _table("aliases", ((a["name"], a["value"], origin(a)) for a in found["aliases"]))
    for hook in found["hooks"]:
        for when in filter(hook.get, ("enter", "leave")):
            yield f"{when:9} {hook[when]}   ({origin(hook['origins'][when])})"
    for blocked in found["blocked"]:
        yield f"blocked   {short(blocked['file'])}"
        yield f"          {STATES[blocked['state']]}"
        if blocked["if_allowed"]:
            yield f"          it would {', '.join(blocked['if_allowed'])}"
    said = [f"{blocked['file'].removesuffix('/bin/activate')} " for blocked in found["blocked"]]
    for sentence in found["passed_over"]:
        if not sentence.startswith(tuple(said)):
            yield f"passed    {sentence}"
    yield from (f"warning   {warning}" for warning in found["warnings"])
    for error in found["errors"]:
        yield f"error     {error['message']}"
        if error["hint"]:
            yield f"          {error['hint']}"


def _docked(dock: Facts) -> Iterator[str]:
    who = f", as {dock['user']}, docker {dock['docker']}" if dock["connected"] else ""
    yield f"dock      {dock['moniker']}{who}"
    yield f"          docker's clients use {dock['docker_host']}"
    if dock["connected"]:
        shells = dock["shells"]
        yield f"          connected; {shells} shell{'s are' if shells != 1 else ' is'} docked there"
    else:
        end = "comes back as soon as it can" if dock["kept"] else "comes back at the next prompt"
        why = f": {dock['problem']}" if dock["problem"] else ""
        yield f"          the connection is lost and {end}{why}"


def _applied(found: Facts, short: Any) -> str:
    shell = found["shell"]
    if shell["applied"] and shell["venv_by_hand"]:
        now = short(shell["virtual_env"])
        return (
            f"applied, but for the venv: {now} was activated by hand"
            if now
            else ("applied, but for the venv, which was deactivated by hand")
        )
    if shell["applied"]:
        return "applied"
    if shell["root"] and shell["root"] != (found["project"] or {}).get("root"):
        return f"has {short(shell['root'])} applied; the next prompt brings it up to date"
    if found["project"] is None or not (found["variables"] or found["venv"] or found["path"]):
        return "nothing to apply"
    return WHY_NOT[shell["paused"]]


WHY_NOT = {
    True: "not applied: paused; `shellenv resume` goes on",
    False: "not applied yet: the next prompt brings it",
    None: "not applied: the hook is not loaded in this shell",
}
"""By whether the hook, which says so in a variable, is paused."""


def _table(title: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Rows of name, value and origin, the title before the first."""
    kept = list(rows)
    width = max((len(name) for name, _, _ in kept), default=0)
    for name, value, origin in kept:
        shown = f"{name:{width}} = {value}" if value else name
        yield f"{title:9} {shown}   ({origin})"
        title = ""
