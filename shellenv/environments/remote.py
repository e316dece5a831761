"""The container on the dock: docker on another engine, between sync-up and sync-down."""

from __future__ import annotations

import os

from shellenv import connect, connection, detached
from shellenv.cli import say
from shellenv.connection import Facts
from shellenv.detached import Note
from shellenv.engine import LostError
from shellenv.environments import Scene
from shellenv.environments.docker import Docker
from shellenv.environments.place import Place
from shellenv.errors import ShellenvError
from shellenv.hint import other_machine
from shellenv.ports import Forwards
from shellenv.secrets import Secrets
from shellenv.supervisor import End
from shellenv.sync import bar, bracket, report, wish
from shellenv.sync.settings import Settings, settings

LOST = 255
"""The status of a run whose end was not seen: ssh's own (ssh(1), EXIT STATUS)."""


def open(scene: Scene) -> Docker:  # noqa: A001 # the interface's name
    """The container on the dock. Raises ShellenvError if this shell is not docked, or if there is
    no way to the dock."""
    ctx = scene.ctx
    found = settings(ctx, scene.found.config, scene.project)
    typed = _dock(scene)
    where, facts = connect.join(ctx, connect.resolve(ctx, typed), typed, os.getpid())
    if not facts.docker_host.startswith("unix:"):
        raise ShellenvError(
            f"{facts.moniker} does not let its docker socket be forwarded",
            "allow it in its sshd_config: AllowStreamLocalForwarding yes",
        )
    moniker = facts.moniker
    asked = wish.wish(found, (*where.ssh(), moniker), moniker, say, scene.explain, bar.bar)

    def sync(direction: str) -> None:
        with report.interruptible(direction):
            outcome = bracket.sync(ctx, asked, direction)
        # What a file of the project leaves out is missed there; what is left out anywhere is not.
        own = {rule: count for rule, count in outcome.left_out.items() if rule.origin.line}
        if outcome.did_anything:
            say(*report.lines(outcome._replace(left_out=own), moniker, scene.quiet))
        if outcome.problem is not None:
            raise outcome.problem

    def before() -> None:
        sync(wish.UP)

    def after() -> None:
        """Whatever happens now, the run has its own status; but for Ctrl-C."""
        try:
            sync(wish.DOWN)
        except report.InterruptedSyncError:
            raise
        except ShellenvError as error:
            say(
                f"shellenv: {error.message}",
                *([error.hint] if error.hint else []),
                "shellenv: sync-down brings the rest, once that is mended",
            )

    forwards = Forwards(where, moniker, scene.ports(), scene.explain)

    def noted(container: str) -> None:
        pid = os.getpid()
        started = connection.started(pid).decode()
        note = Note(container, where.directory, scene.project.root, pid, started)
        detached.write(ctx, note)
        forwards.open()

    def seen(container: str) -> None:
        forwards.close()
        detached.forget(ctx, container)

    detached.tell(ctx, where, facts)
    place = Place(
        host=facts.docker_host,
        name=moniker,
        source=directory(found, facts),
        uid=facts.uid,
        gid=facts.gid,
        home=facts.home,
        elsewhere=True,
        driver="json-file",
        noted=noted,
        seen=seen,
    )
    if scene.request.sync:
        place = place._replace(before=before, after=after)
    return Remote(scene, place)


class Remote(Docker):
    """A run at a dock, which goes on if the connection to the dock is lost."""

    def run(self, secrets: Secrets) -> End:
        try:
            return super().run(secrets)
        except LostError:
            dock, run = self.place.name, self.name
            say(
                f"shellenv: the connection to {dock} was lost; {run} goes on there",
                "run-shell, sync-down and dock say what has become of it",
            )
            return End(LOST)


def _dock(scene: Scene) -> str:
    """What to call the dock: the connection of this shell, or the machine in $DOCKER_HOST."""
    env = scene.ctx.surroundings
    docked = connection.docked(scene.ctx)
    if docked is not None:
        return docked.directory
    host = env.get("DOCKER_HOST", "")
    if not other_machine(host):
        raise connect.undocked(scene.ctx)
    if host.startswith("ssh://"):
        return host.rstrip("/")
    return other_machine(host)


def directory(found: Settings, facts: Facts) -> str:
    """The project's directory at the dock: `<remote_root>/<user>/<name>`."""
    top = found.remote_root
    if top == "~" or top.startswith("~/"):
        top = facts.home + top[1:]
    return f"{top}/{facts.user}/{found.name}"
