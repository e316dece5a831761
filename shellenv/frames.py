"""Stdout and stderr of a container, which come through one connection."""

from __future__ import annotations


class Frames:
    """A stream of frames: stdout (1) or stderr (2), three zeros, the length in four bytes,
    big-endian, and as many bytes (Engine API, ContainerAttach)."""

    def __init__(self) -> None:
        self._left = 0  # bytes that are still to come of the current frame
        self._target = 1  # where they go
        self._head = b""

    def take(self, view: memoryview) -> list[tuple[int, memoryview]]:
        """The parts of what has come next, and where each goes: 1 or 2."""
        found = []
        while view:
            if self._left == 0:
                missing = 8 - len(self._head)
                self._head += bytes(view[:missing])
                view = view[missing:]
                if len(self._head) == 8:
                    self._target = 2 if self._head[0] == 2 else 1
                    self._left = int.from_bytes(self._head[4:], "big")
                    self._head = b""
                continue
            part = view[: self._left]
            view = view[len(part) :]
            self._left -= len(part)
            found.append((self._target, part))
        return found
