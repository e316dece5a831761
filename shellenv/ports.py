"""Ports that a run publishes, and at a dock their way to this machine.

What `docker run -p` publishes, the engine's machine listens at. If that is a dock, the connection
to it brings such a port here for the time of the run (ssh(1), -O forward), so that `localhost:PORT`
is the run's, wherever it is. Nobody need look after it: what a run that was killed has left ends
with the connection.
"""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Callable, Iterable
from typing import NamedTuple

from shellenv.cli import say
from shellenv.connection import Place


class Port(NamedTuple):
    """A TCP port that is published: `inside` the container it is another one, or the same.

    `address` is the one of the engine's machine that it is at, "" for all of them.
    """

    address: str
    number: int
    inside: int


def published(option: str) -> list[Port]:
    """The ports of a `-p` as docker reads it: `[ADDRESS:]PORT[-LAST]:PORT[-LAST][/PROTOCOL]`.

    Empty for what nobody knows beforehand (docker chooses the port), and for what is no TCP.
    """
    text, _, protocol = option.partition("/")
    rest, _, inside = text.rpartition(":")
    address, _, outside = rest.rpartition(":")
    numbers, targets = _range(outside), _range(inside)
    if protocol not in ("", "tcp") or not numbers or len(numbers) != len(targets):
        return []
    address = address.strip("[]")
    anywhere = address in ("", "0.0.0.0", "::")
    return [
        Port("" if anywhere else address, number, target)
        for number, target in zip(numbers, targets, strict=True)
    ]


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        return range(int(first), int(last or first) + 1)
    except ValueError:
        return range(0)


class Forwards:
    """The ports of a run at the dock called `name`, here for as long as it wants them; `explain` is
    told what is done."""

    def __init__(
        self, place: Place, name: str, options: Iterable[str], explain: Callable[[str], None]
    ) -> None:
        self.place = place
        self.name = name
        self.options = list(options)
        self.explain = explain
        self.ours: list[str] = []

    def open(self) -> None:
        """Have each listen here. Says which cannot, and why; the run can do without."""
        for option in self.options:
            ports = published(option)
            if not ports:
                say(f"shellenv: -p {option} is published at {self.name} alone")
            for port in ports:
                self._open(port)

    def close(self) -> None:
        """Have those that `open` has opened listen no more."""
        while self.ours:
            self.place.tell("cancel", "-L", self.ours.pop())

    def _open(self, port: Port) -> None:
        where = f"[{port.address}]" if ":" in port.address else port.address or "localhost"
        forwarding = f"127.0.0.1:{port.number}:{where}:{port.number}"
        problem = _problem(port.number)
        # There may be one that a run which was killed has left
        if not self.place.tell("forward", "-L", forwarding):
            say(
                f"shellenv: localhost:{port.number} is not the run's: {problem or 'ssh refuses'}",
                f"another port can be: ssh -N -L PORT:{where}:{port.number} {self.name}",
            )
        elif not problem:
            self.ours.append(forwarding)
            self.explain(shlex.join(["ssh", "-N", "-L", forwarding, self.name]))


def _problem(port: int) -> str:
    """Why nobody can listen at this port of ours; "" if one can."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return ""
    except OSError as error:
        return os.strerror(error.errno or 0)
