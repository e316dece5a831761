"""`run-shell`: a shell or a command in the project's execution environment."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from shellenv.cli import parser, write
from shellenv.context import Context
from shellenv.environments import Request, Scene, open_named
from shellenv.errors import ShellenvError
from shellenv.exec import tell
from shellenv.hint import Hint, hint, image_sign
from shellenv.names import is_variable
from shellenv.progress import raise_when_ended
from shellenv.project import refuse_home
from shellenv.secrets import fetch
from shellenv.supervisor import leave
from shellenv.survey import survey_for_run


def main(ctx: Context, args: Sequence[str]) -> int:
    """`shellenv run-shell [OPTION…] [-- CMD…]`: run it, and return its status.

    128 + N if signal N ended it, 126 if it cannot be executed and 127 if it is not found. Raises
    ShellenvError for a project whose settings do not parse, for an environment that is not there
    and for a secret that cannot be had.
    """
    chosen, request = _parse(args)
    found, project = survey_for_run(ctx)
    scene = Scene(ctx, found, project, request)
    choice = _choice(scene, chosen.env)
    scene.explain(f"shellenv: {choice.exec_env or 'nowhere to run'}: {choice.reason}")
    tell(found)
    if not choice.exec_env:
        refuse_home(ctx, project.root)
        raise ShellenvError(
            f"{project.name} has nothing to run in",
            "setup-venv makes a virtual environment; run-shell --env docker takes a container",
        )
    environment = open_named(choice.exec_env, scene)
    if chosen.print:
        write(environment.command_line() + "\n")
        return 0
    secrets = fetch(ctx, found, scene.secrets())
    raise_when_ended()
    return leave(environment.run(secrets))


class Chosen(NamedTuple):
    """What concerns this verb alone."""

    env: str = ""
    print: bool = False


def _parse(args: Sequence[str]) -> tuple[Chosen, Request]:
    """What stands before `--` is ours, what stands behind it is the command's."""
    if args[:1] == ["--"] and args[1:]:
        return Chosen(), Request(tuple(args[1:]))  # as a rule, and without argparse
    position = list(args).index("--") if "--" in args else len(args)
    own, command = list(args[:position]), tuple(args[position + 1 :])
    options = parser("run-shell")
    add = options.add_argument
    add("--env", metavar="ENV", default="", choices=("auto", "venv", "docker", "remote"),
        help="the execution environment: auto, venv, docker or remote")  # fmt: skip
    add("--image", default="", help="the image to start from, or a directory in docker/")
    add("-g", "--gpu", action="store_true", help="with all GPUs of the machine")
    add("-e", dest="variables", metavar="NAME[=VALUE]", action="append", default=[],
        help="set a variable, or pass on your own")  # fmt: skip
    add("-p", dest="ports", metavar="PORTS", action="append", default=[],
        help="publish a port of the container, as docker run -p does")  # fmt: skip
    add("-v", dest="volumes", metavar="VOLUME", action="append", default=[],
        help="mount something more, as docker run -v does")  # fmt: skip
    add("--network", metavar="NET", default="",
        help="the container's network, as docker run --network")  # fmt: skip
    add("--no-sync", action="store_true", help="neither bring changes to the dock nor back")
    add("--recreate", action="store_true", help="make the container's image anew")
    add("--print", action="store_true", help="print the command line, and run nothing")
    add("--keep", action="store_true", help="do not remove the container at the end")
    add("-q", "--quiet", action="store_true", help="say only what needs you")
    chosen, others = options.parse_known_args(own)
    if others and not others[0].startswith("-"):
        typed = [*own[own.index(others[0]) :], *args[position:]]
        options.error(f"put -- before the command: run-shell -- {shlex.join(typed)}")
    if others:
        options.error(f"unrecognized arguments: {' '.join(others)}")
    if position < len(args) and not command:
        options.error("there is no command behind --")
    variables = []
    for word in chosen.variables:
        name, separator, value = word.partition("=")
        if not is_variable(name):  # a container's shell would drop it
            options.error(f"-e {word}: {name!r} is not a variable name")
        variables.append((name, value if separator else None))
    return Chosen(chosen.env, chosen.print), Request(
        command=command,
        image=chosen.image,
        gpu=chosen.gpu,
        env=tuple(variables),
        ports=tuple(chosen.ports),
        volumes=tuple(chosen.volumes),
        network=chosen.network,
        sync=not chosen.no_sync,
        keep=chosen.keep,
        quiet=chosen.quiet,
        recreate=chosen.recreate,
    )


def _choice(scene: Scene, option: str) -> Hint:
    """The hint; an image that is asked for means a container."""
    project = scene.project
    sign = "" if project.venv else image_sign(project.root)  # it would not count
    found = hint(scene.ctx.env, scene.found.config, project, sign, option)
    image = scene.request.image
    if image and not option and found.exec_env in ("", "venv"):
        return Hint("docker", f"--image {image}")
    return found
