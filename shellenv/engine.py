"""The Docker Engine's API, as much of it as a run needs, over its socket.

A question takes a millisecond; importing the docker library would take 200. For what takes more
than the wire format (registries and their credentials, builds) there is the docker CLI: see
`layers`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from shellenv import state
from shellenv.context import Context
from shellenv.digest import sha256
from shellenv.errors import ShellenvError
from shellenv.hint import other_machine

DEFAULT_HOST = "unix:///var/run/docker.sock"


class EngineError(ShellenvError):
    """The engine refused: `code` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"the Docker Engine refuses: {message}", _advice(message))
        self.code = code


GPU = (
    "-g needs the NVIDIA Container Toolkit on that machine: sudo apt-get install "
    "nvidia-container-toolkit && sudo systemctl restart docker"
)

ADVICE = (
    ("could not select device driver", GPU),
    (r"network (\S+) not found", r"docker network create \1 makes it; docker network ls lists all"),
    (
        r":(\d+): bind: address already in use|:(\d+) failed: port is already allocated",
        r"something else has port \1\2: docker ps and ss -ltnp say what; -p takes another",
    ),
)
"""What to do about some of the engine's complaints."""


def _advice(message: str) -> str:
    for pattern, advice in ADVICE:
        if found := re.search(pattern, message):
            return found.expand(advice)
    return "docker info tells more about it"


class LostError(ShellenvError):
    """The connection to the engine is gone: what has become of a container is not known."""


class Response(NamedTuple):
    """An answer: the HTTP status and the whole body."""

    code: int
    body: bytes

    def json(self) -> Any:
        import json

        return json.loads(self.body) if self.body else None


class Version(NamedTuple):
    """What an engine says of itself; "" where it says nothing."""

    docker: str
    api: str


class Engine:
    """One engine, by its address as in DOCKER_HOST: `unix://…`, or `tcp://…` without TLS.

    `patience` is how many seconds each step of an answer may take, None for as long as it takes.
    """

    def __init__(self, host: str, patience: float | None = None) -> None:
        self.host = host
        self.patience = patience

    def version(self) -> Version:
        """Its version and the newest API version that it speaks. Never raises: empty if nobody
        listens there, or if what answers is no docker engine."""
        try:
            found = self.get("/version")
            return Version(str(found["Version"]), str(found["ApiVersion"]))
        except (ShellenvError, ValueError, KeyError, TypeError):
            return Version("", "")

    def get(self, path: str, **query: str) -> Any:
        """The JSON at `path`; None if there is no such thing (404)."""
        response = self.call("GET", path, query)
        return None if response.code == 404 else _checked(response).json()

    def post(self, path: str, body: Any = None, **query: str) -> Any:
        """Do something; what the engine answers. Raises EngineError if it refuses."""
        return _checked(self.call("POST", path, query, body)).json()

    def delete(self, path: str, **query: str) -> bool:
        """Remove something; False if there was nothing (404) or it is going already (409)."""
        response = self.call("DELETE", path, query)
        return response.code not in (404, 409) and bool(_checked(response))

    def call(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Response:
        """Ask, and read the whole answer. Raises ShellenvError if the engine cannot be reached."""
        from json import dumps

        content = b"" if body is None else dumps(body).encode()
        with self._connection() as connection:
            try:
                connection.sendall(_request(method, path, query or {}, content))
                return _parse(b"".join(_chunks(connection)))
            except OSError as error:
                raise _unreachable(self.host, error) from error

    @contextmanager
    def hijack(
        self, path: str, query: Mapping[str, str | bytes], body: Any = None
    ) -> Iterator[socket.socket]:
        """A connection that becomes a container's streams. Raises EngineError if it is refused."""
        from json import dumps

        content = b"" if body is None else dumps(body).encode()
        upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
        with self._connection() as connection:
            self._begin(connection, _request("POST", path, query, content, "1.1", upgrade))
            yield connection

    @contextmanager
    def waiting(self, path: str, **query: str) -> Iterator[socket.socket]:
        """A connection on which the answer comes later, the engine having begun to wait."""
        with self._connection() as connection:
            self._begin(connection, _request("POST", path, query, b""))
            yield connection

    def _begin(self, connection: socket.socket, request: bytes) -> None:
        """Ask, and read no more than the head of the answer."""
        try:
            connection.sendall(request)
            response = _read_head(connection)
        except OSError as error:
            raise _unreachable(self.host, error) from error
        _checked(response)

    @contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        with self._connect() as connection:
            connection.settimeout(self.patience)
            yield connection

    def _connect(self) -> socket.socket:
        scheme, _, rest = self.host.partition("://")
        try:
            if scheme == "unix" and rest:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.connect(rest)
                return connection
            if scheme in ("tcp", "http"):
                name, _, port = rest.rstrip("/").rpartition(":")
                if port.isdecimal():
                    return socket.create_connection((name.strip("[]"), int(port)))
        except OSError as error:
            raise _unreachable(self.host, error) from error
        raise ShellenvError(
            f"an engine at {self.host} is not supported",
            "DOCKER_HOST takes unix:///PATH or tcp://HOST:PORT; dock HOST is for other machines",
        )


def local_host(ctx: Context) -> str:
    """The address of the engine of this machine, as the docker CLI would find it.

    DOCKER_HOST wins over DOCKER_CONTEXT, that over the configuration's currentContext. What names
    another machine is passed over, and in a docked shell it is what was there before that counts.
    """
    env = dict(ctx.surroundings)
    for record in state.read_dock(env).records:
        env[record.name] = record.old or ""
    host = "" if env.get("SHELLENV_DOCK") else env.get("DOCKER_HOST", "")
    if host and not other_machine(host):
        return host if "://" in host else f"tcp://{host}"
    if not host:
        found = _of_context(ctx, env)
        if found and not other_machine(found):
            return found
    return DEFAULT_HOST


def cli_settings(ctx: Context) -> dict[str, Any]:
    """The docker CLI's config.json; empty if there is none or it does not parse."""
    found = _read_json(f"{_cli_directory(ctx)}/config.json")
    return found if isinstance(found, dict) else {}


def _cli_directory(ctx: Context) -> str:
    env = ctx.surroundings
    return env.get("DOCKER_CONFIG") or f"{ctx.home or ''}/.docker"


def _of_context(ctx: Context, env: Mapping[str, str]) -> str:
    """The address in the docker context that counts; "" where none does or it has none."""
    name = env.get("DOCKER_CONTEXT") or cli_settings(ctx).get("currentContext")
    if not isinstance(name, str) or name == "default":
        return ""
    key = sha256(name.encode())
    meta = _read_json(f"{_cli_directory(ctx)}/contexts/meta/{key}/meta.json")
    try:
        return str(meta["Endpoints"]["docker"]["Host"])
    except (KeyError, TypeError):
        return ""


def _read_json(path: str) -> Any:
    import json

    try:
        with open(path, "rb") as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return {}


def _request(
    method: str,
    path: str,
    query: Mapping[str, str | bytes],
    content: bytes,
    version: str = "1.0",
    headers: str = "",
) -> bytes:
    if query:
        from urllib.parse import urlencode

        path = f"{path}?{urlencode(query)}"
    # HTTP/1.0: the answer ends where the connection does, and is never chunked
    head = f"{method} {path} HTTP/{version}\r\nHost: docker\r\n{headers}"
    if content or method == "POST":
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return f"{head}\r\n".encode() + content


def _chunks(connection: socket.socket) -> Iterator[bytes]:
    while chunk := connection.recv(1 << 16):
        yield chunk


def _read_head(connection: socket.socket) -> Response:
    """The status line and headers of an answer, and no byte more; the whole of an error."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := connection.recv(1)):
        head += byte
    response = _parse(head)
    if response.code < 400:
        return response
    connection.settimeout(1)
    with suppress(OSError):
        return Response(response.code, connection.recv(1 << 16))
    return response


def _parse(answer: bytes) -> Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        return Response(int(head.split(None, 2)[1]), body)
    except (IndexError, ValueError):
        raise ShellenvError(
            "what answers there is no Docker Engine", "check DOCKER_HOST and docker context ls"
        ) from None


def _checked(response: Response) -> Response:
    if response.code >= 400:
        try:
            message = response.json()["message"]
        except (ValueError, KeyError, TypeError):
            message = f"HTTP status {response.code}"
        raise EngineError(response.code, str(message).strip())
    return response


def _unreachable(host: str, error: OSError) -> ShellenvError:
    path = host.removeprefix("unix://")
    if isinstance(error, PermissionError):
        return ShellenvError(
            f"you may not use the Docker Engine at {path}",
            "sudo usermod -aG docker $USER, then log in again",
        )
    if isinstance(error, FileNotFoundError):
        hint = "install Docker, or start it: sudo systemctl start docker"
        return ShellenvError(f"there is no Docker Engine at {path}", hint)
    if isinstance(error, ConnectionRefusedError):
        hint = "start it: sudo systemctl start docker"
        return ShellenvError(f"the Docker Engine at {path} does not run", hint)
    hint = "does `docker version` show a Server?"
    return ShellenvError(
        f"cannot reach the Docker Engine at {path}: {error.strerror or error}", hint
    )
