"""Asking a docker engine something over its unix socket, in a millisecond and without a library."""

from __future__ import annotations

import os
from typing import Any, NamedTuple


class Version(NamedTuple):
    """What an engine says of itself; "" where it says nothing."""

    docker: str
    api: str


def version(socket: str, seconds: float) -> Version:
    """Its version and the newest API version that it speaks (`GET /version`, Docker Engine API).

    Empty if nobody listens there, or if what answers within `seconds` is no docker engine.
    """
    try:
        found = get(socket, "/version", seconds)
        return Version(str(found.get("Version", "")), str(found.get("ApiVersion", "")))
    except (OSError, ValueError, AttributeError):
        return Version("", "")


def get(socket: str, path: str, seconds: float) -> Any:
    """The JSON value at `path`. Raises OSError, and ValueError for what is none."""
    import json
    import socket as sockets
    from time import monotonic

    end = monotonic() + seconds
    received = b""
    with sockets.socket(sockets.AF_UNIX) as connection:
        connection.settimeout(max(seconds, 0.01))
        connection.connect(socket)
        # HTTP/1.0: the answer ends with the connection, and comes in one piece (RFC 1945, 7.2.2)
        connection.sendall(os.fsencode(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n"))
        while chunk := connection.recv(65536):
            received += chunk
            connection.settimeout(max(end - monotonic(), 0.01))
    head, _, body = received.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise ValueError(f"docker does not answer: {head[:100]!r}")
    return json.loads(body)
