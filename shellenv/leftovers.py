"""Containers whose run was killed: each says whose it is, and the next run removes them."""

from __future__ import annotations

import json
import os

from shellenv import connection, layers
from shellenv.cli import say
from shellenv.engine import Engine

MACHINE, PROCESS = "shellenv.machine", "shellenv.process"
"""The labels that say which run a container belongs to."""

STEP = {"shellenv.step": "image"}
"""The label of containers in which images are made; those of the images have it without a value."""


def labels(root: str, keep: bool) -> dict[str, str]:
    """Those of this run's containers, for the project at `root`; `keep`: they outlive it."""
    found = {layers.PROJECT: root}
    if not keep:
        machine, pid, start = _owner()
        found.update({MACHINE: machine, PROCESS: f"{pid}/{start}"})
    return found


def sweep(engine: Engine, steps_only: bool = False) -> None:
    """Remove the containers of runs on this machine that were killed; `steps_only`: no run itself,
    as it may go on without us."""
    machine, _, _ = _owner()
    wanted = {MACHINE: machine, **(STEP if steps_only else {})}
    filters = json.dumps({"label": [f"{name}={value}" for name, value in wanted.items()]})
    for found in engine.get("/containers/json", all="1", filters=filters) or ():
        pid, _, start = found["Labels"].get(PROCESS, "").partition("/")
        if _start_time(pid) != start:
            say(f"shellenv: removing {found['Names'][0][1:]}, whose run was killed")
            engine.delete(f"/containers/{found['Id']}", force="1", v="1")


def _owner() -> tuple[str, int, str]:
    """This process, such that nobody takes another one for it: where, its number, its start."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as stream:
            machine = f"{stream.read().strip()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        machine = os.uname().nodename
    pid = os.getpid()
    return machine, pid, _start_time(str(pid))


def _start_time(pid: str) -> str:
    """When a process started, in the kernel's ticks; "" if there is none. Where nobody can tell,
    whether it runs."""
    if not pid.isdecimal():
        return ""
    found = connection.started(int(pid)).decode()
    if found or os.path.isdir("/proc/self"):
        return found
    return "running" if connection.is_running(int(pid)) else ""
