"""A TCP proxy that makes the network bad: slow, cut, refusing or frozen, at a test's command."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

from servers import free_port

_T = TypeVar("_T")
_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, no time


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Proxy:
    """HOST:port in front of another HOST:port, while the `with` statement lasts.

    `round_trip` (seconds) is added to what the network below takes: half of it to each direction,
    and one and a half before the server hears of a new connection, as with a real handshake. It
    may be changed at any time; throughput stays. Calls return when what they say is so.
    """

    def __init__(self, target: str, round_trip: float = 0.0, address: str = "127.0.0.1") -> None:
        host, _, port = target.rpartition(":")
        self._upstream = host.strip("[]"), int(port)
        self.address, self.port = address, free_port(address)
        self.round_trip = round_trip
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def target(self) -> str:
        """HOST:port as register-dock takes it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- what may happen ---

    def cut(self) -> None:
        """Reset all connections; new ones are let in."""
        self._call(self._cut)

    def refuse(self) -> None:
        """Refuse new connections; old ones stay."""
        self._call(self._refuse)

    def accept(self) -> None:
        """Let new connections in again."""
        self._call(self._accept)

    def freeze(self) -> None:
        """Keep connections, let new ones in, and pass nothing on, not even an end."""
        self._call(self._flowing.clear)

    def thaw(self) -> None:
        """Pass on what came meanwhile, and go on."""
        self._call(self._flowing.set)

    @property
    def connections(self) -> int:
        """How many there are at the moment."""
        return self._call(lambda: len(self._connections))

    # --- in the loop's thread ---

    def _run(self, work: Coroutine[object, object, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _call(self, function: Callable[[], _T]) -> _T:
        async def call() -> _T:
            return function()

        return self._run(call())

    def _begin(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._bind()
        self._accept()

    def _bind(self) -> None:
        """Own the port; who connects before `_accept` is refused."""
        self._listener = socket.socket(_family(self.address))
        self._listener.setblocking(False)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, self.port))

    def _accept(self) -> None:
        self._listener.listen(128)
        self._loop.add_reader(self._listener, self._welcome)

    def _refuse(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._bind()

    def _welcome(self) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            client.setblocking(False)
            connection = _Connection(self, client)
            self._connections.add(connection)
            connection.task.add_done_callback(lambda _: self._connections.discard(connection))

    def _cut(self) -> None:
        for connection in tuple(self._connections):
            connection.reset()

    async def _end(self) -> None:
        self._loop.remove_reader(self._listener)
        self._listener.close()
        tasks = [connection.task for connection in self._connections]
        self._cut()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what is to be done after each


class _Connection:
    """One client's connection and ours to the server: each sees the other's bytes, late."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.proxy, self.sockets = proxy, [client]
        self.task = proxy._loop.create_task(self._serve(client))
        self.task.add_done_callback(self._close)  # even if it was cancelled before it began

    def _close(self, _: asyncio.Task[None]) -> None:
        for end in self.sockets:
            end.close()

    def reset(self) -> None:
        self._linger_not()
        self.task.cancel()

    def _linger_not(self) -> None:
        for end in self.sockets:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    async def _serve(self, client: socket.socket) -> None:
        loop = self.proxy._loop
        ready = loop.time() + 1.5 * self.proxy.round_trip
        pumps: list[asyncio.Task[None]] = []
        try:
            server = socket.socket(_family(self.proxy._upstream[0]))
            self.sockets.append(server)
            server.setblocking(False)
            to_server, to_client = _Pipe(self.proxy), _Pipe(self.proxy)
            pumps.append(loop.create_task(to_server.fill(client)))
            await asyncio.sleep(ready - loop.time())
            await self.proxy._flowing.wait()
            await loop.sock_connect(server, self.proxy._upstream)
            pumps.append(loop.create_task(to_client.fill(server)))
            pumps.append(loop.create_task(to_server.drain(server)))
            pumps.append(loop.create_task(to_client.drain(client)))
            await asyncio.gather(*pumps)
        except OSError:  # either end is gone: so is the other
            self._linger_not()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


class _Pipe:
    """Bytes on their way in one direction, each with the time when it may arrive."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

    async def fill(self, source: socket.socket) -> None:
        data = b"."
        while data:
            data = await self.proxy._loop.sock_recv(source, _CHUNK)
            due = self.proxy._loop.time() + self.proxy.round_trip / 2
            await self.queue.put((due, data))

    async def drain(self, sink: socket.socket) -> None:
        while True:
            due, data = await self.queue.get()
            await asyncio.sleep(due - self.proxy._loop.time())
            await self.proxy._flowing.wait()
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            await self.proxy._loop.sock_sendall(sink, data)
