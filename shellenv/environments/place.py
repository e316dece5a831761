"""Where containers are: on this machine's engine, or on another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


def _nothing() -> None:
    """No bracket around a run."""


def _ignore(_: str) -> None:
    """Nobody wants to know."""


class Place(NamedTuple):
    """Where the containers are.

    `host` is the engine's address (as in DOCKER_HOST), `name` what people call it, `source` the
    project's directory on the engine's machine, where `uid` and `gid` are the user's and `home` is
    their home directory; `groups` are others of theirs that the directory needs; `elsewhere`: that
    is not this machine. `before` and `after` bracket everything that uses that directory; `after`
    is called if `before` returned, whatever came then.
    `driver` is docker's log driver: `none` keeps no output. `noted` is told the container's name
    before a run that goes on if the connection to the engine is lost, and `seen` once its end was
    seen; None where a container lives no longer than the run.
    """

    host: str
    name: str
    source: str
    uid: int
    gid: int
    home: str
    groups: tuple[int, ...] = ()
    elsewhere: bool = False
    before: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing
    driver: str = "none"
    noted: Callable[[str], None] | None = None
    seen: Callable[[str], None] = _ignore
