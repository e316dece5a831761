"""The container: the command runs in an image made for the project, on some Docker Engine.

Which engine, and what the project's directory is called there, says a `Place`.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from shellenv import (
    attach,
    baseimage,
    container,
    dependencies,
    handover,
    indexes,
    layers,
    leftovers,
    state,
    terminal,
)
from shellenv.cli import say
from shellenv.container import Container, Mount
from shellenv.engine import Engine, EngineError, LostError, cli_settings, local_host
from shellenv.environments import Scene, is_secret, items, volumes
from shellenv.environments.place import Place
from shellenv.errors import ShellenvError
from shellenv.handover import handing_over
from shellenv.layers import Account, Image, Recipe
from shellenv.plan import expand
from shellenv.project import refuse_home
from shellenv.secrets import Secrets
from shellenv.supervisor import End

LANG = "C.UTF-8"
PASSED = ("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR")
"""What of the user's own environment a container gets, besides the time zone."""


class Streams(NamedTuple):
    """What the standard streams are. `size` is the terminal's, as rows and columns."""

    stdin: bool
    tty: bool
    size: str = ""


class Docker:
    """A run in a container."""

    def __init__(self, scene: Scene, place: Place) -> None:
        self.scene = scene
        self.place = place
        self.engine = Engine(place.host)
        project = scene.project
        refuse_home(scene.ctx, project.root)
        self.target = scene.setting("container_dir").rstrip("/") or project.root
        if self.target == "/":
            raise ShellenvError("/ cannot be mounted in a container", "go to a project's directory")
        self.account = _account(scene, place, self.target)
        self.base = baseimage.choose(
            scene.found.config,
            project.root,
            project.name,
            self.account.user,
            scene.request.image,
            scene.ctx.surroundings,
        )
        key = layers.digest(project.root, *map(str, self.account))
        volume = f"shellenv-{baseimage.component(project.name)}-{key}"
        self.project = Mount(place.source, self.target)
        self.home = Mount(volume, self.account.home, "volume")
        self.streams = _streams()
        self.name = _container_name(self.account.user, project.name)

    def command_line(self) -> str:
        """The `docker run`. A secret's value is not in it: `-e NAME` takes it from outside."""
        image = layers.find(self.engine, self._recipe())
        if not image.env:  # every image that was made has some
            say(
                f"shellenv: {image.tag} is not there yet, so this line does not work by hand",
                "after run-shell -- true with the same options, --print has one that does",
            )
        return self._shown(image)

    def run(self, secrets: Secrets) -> End:
        leftovers.sweep(self.engine, steps_only=self.place.noted is not None)
        self.place.before()
        lost = False
        try:
            anew = self.scene.request.recreate
            image = layers.make(self.engine, self._recipe(), self._cli(), anew)
            self.scene.explain(self._shown(image))
            return self._supervised(image, secrets)
        except LostError:
            lost = True  # and goes on, so there is nothing to finish
            raise
        finally:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what has begun is finished
            if not lost:
                self.place.after()

    # What it consists of

    def _recipe(self) -> Recipe:
        scene = self.scene
        found = dependencies.find(scene.project.root, scene.setting("install"))
        return Recipe(
            project=scene.project.name,
            root=scene.project.root,
            base=self.base,
            account=self.account,
            target=self.target,
            setup=scene.setting("setup"),
            dependencies=found,
            source=self.project,
            home=self.home,
            indexes=indexes.variables(scene.ctx, found, {**scene.planned(), **scene.given()}),
            groups=self.place.groups,
        )

    def _container(self, image: Image) -> Container:
        scene, request = self.scene, self.scene.request
        below = scene.ctx.cwd[len(scene.project.root.rstrip("/")) :]
        return Container(
            name=self.name,
            image=image.tag,
            command=request.command,
            workdir=(self.target + below) or "/",
            mounts=(self.project, self.home),
            env=self._variables(image),
            labels=leftovers.labels(scene.project.root, request.keep),
            driver=self.place.driver,
            stdin=self.streams.stdin,
            tty=self.streams.tty,
            keep=not self.transient,
            groups=self.place.groups,
            more=tuple(self._more()),
        )

    def _more(self) -> Iterator[str]:
        """Options that are docker's own, from the settings and from the command line."""
        scene, request = self.scene, self.scene.request
        if request.gpu or scene.found.config.flag("shellenv.run", "gpu"):
            yield from ("--gpus", "all")
        if network := request.network or scene.setting("network"):
            yield from ("--network", network)
        for port in scene.ports():
            yield from ("-p", port)
        for volume in items(scene.setting("volumes")):
            text = volumes.filled(scene, self.place, self.account.user, volume)
            yield from volumes.words(scene, self.place, text, scene.project.root)
        for volume in request.volumes:
            yield from volumes.words(scene, self.place, volume, scene.ctx.cwd)

    def _variables(self, image: Image) -> dict[str, str]:
        """What the container's environment has beyond the image's: the project's variables, as
        they are there, and those of `-e`."""
        scene = self.scene
        own = scene.ctx.surroundings
        plan = scene.found.plan
        set_here = {name: own[name] for name in PASSED if own.get(name)}
        if zone := _time_zone(own):
            set_here["TZ"] = zone
        user = self.account.user
        set_here.update(LANG=LANG, HOME=self.account.home, USER=user, LOGNAME=user)
        path = image.env.get("PATH", layers.PATH)
        known = {**scene.ctx.env, **set_here, "PATH": path}
        if plan and plan.path:
            set_here["PATH"] = ":".join([*(self._inside(d.path) for d in plan.path), path])
            known["PATH"] = set_here["PATH"]
        for variable in plan.variables if plan else ():
            value = expand(variable.value, known)
            if variable.name == "SHELLENV_ROOT":
                value = self._inside(value)
            set_here[variable.name] = known[variable.name] = value
        set_here.update(scene.given())
        if not scene.request.command and self.streams.tty and self._marked():
            set_here["SHELLENV_MARKER"] = f"({scene.project.name}@{self.place.name}) "
        mask = os.umask(0o22)
        os.umask(mask)
        if mask != 0o22:
            set_here["SHELLENV_UMASK"] = f"{mask:04o}"
        if self.streams.size:
            set_here["SHELLENV_SIZE"] = self.streams.size
        return set_here

    def _marked(self) -> bool:
        own = self.scene.ctx.surroundings
        kept = own.get("SHELLENV_DISABLE_PROMPT") or own.get("DOCKERUTILS_DISABLE_PROMPT")
        return self.scene.found.config.flag("shellenv", "prompt") and not kept

    def _inside(self, path: str) -> str:
        """What a path below the project's root is called in the container."""
        root = self.scene.project.root
        return self.target + path[len(root) :] if f"{path}/".startswith(f"{root}/") else path

    # Running it

    @property
    def transient(self) -> bool:
        """Is the engine to remove the container at its end? Not if its end may not be seen."""
        return not self.scene.request.keep and self.place.noted is None

    def _supervised(self, image: Image, secrets: Secrets) -> End:
        wanted = self._container(image)
        _check_text(wanted)
        values = secrets.values({**self.scene.ctx.env, **wanted.env})
        if values:
            wanted = wanted._replace(env={**wanted.env, handover.VARIABLE: handover.PIPE})
        if self.place.noted is not None:
            self.place.noted(self.name)
        try:
            with handing_over(self.engine, self.name, values, self._remove):
                end = self._attached(wanted)
        except LostError:
            raise  # it may go on
        except BaseException:
            self._finished()
            raise
        with suppress(LostError):  # its end was seen; a later run removes what is left
            self._finished()
        if self.scene.request.keep:
            say(f"shellenv: kept as {self.name}", f"docker rm -f {self.name} removes it")
        return end

    def _finished(self) -> None:
        """The end was seen. The terminal may be gone by now, which is said more than once."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if not self.transient and not self.scene.request.keep:
            self._remove()
        self.place.seen(self.name)

    def _attached(self, wanted: Container) -> End:
        try:
            with _held_back():  # what has begun to be made could not be removed
                if wanted.more or _has_proxies(self.scene):
                    argv = [self.program, "create", *container.words(wanted, is_secret)]
                    _create(argv, {**self._environment(), **_secrets(wanted)})
                else:
                    self.engine.post("/containers/create", container.body(wanted), name=self.name)
            if wanted.tty:
                return terminal.run(self.engine, self.name, removed=self.transient)
            return attach.run(self.engine, self.name, wanted.stdin, removed=self.transient)
        except LostError:
            raise
        except BaseException:
            self._remove()
            raise

    def _remove(self) -> None:
        """End the container, at once, if it is there. Raises LostError if nobody can tell."""
        for _ in range(3):
            try:
                if self.engine.delete(f"/containers/{self.name}", force="1", v="1"):
                    return
            except EngineError:
                raise
            except ShellenvError as error:
                raise LostError(error.message, error.hint) from error
            time.sleep(0.05)

    @property
    def program(self) -> str:
        """The docker CLI. Raises ShellenvError if there is none."""
        import shutil

        env = self.scene.ctx.surroundings
        path = shutil.which("docker", path=env.get("PATH", os.defpath))
        if path is None:
            raise ShellenvError("docker is not in PATH", "install the docker CLI (docs.docker.com)")
        return path

    def _cli(self) -> layers.Docker:
        explain = self.scene.explain
        labels = {**leftovers.labels(self.scene.project.root, keep=False), **leftovers.STEP}
        env, quiet = self._environment(), self.scene.quiet
        return layers.Docker(lambda: self.program, env, labels, explain, quiet)

    def _environment(self) -> dict[str, str]:
        """The docker CLI's environment: ours, at this engine."""
        own = dict(self.scene.ctx.surroundings)
        if self._differs():
            for name in state.MISLEADING:
                own.pop(name, None)
            own["DOCKER_HOST"] = self.place.host
        return own

    def _differs(self) -> bool:
        """Would plain `docker` go to another engine?"""
        own = self.scene.ctx.surroundings
        docked = own.get("DOCKER_HOST", "")
        return self.place.host != (docked or local_host(self.scene.ctx))

    def _shown(self, image: Image) -> str:
        secret = {variable.name: "" for variable in self.scene.secrets()}
        wanted = self._container(image)._replace(keep=self.scene.request.keep)
        wanted = wanted._replace(env={**wanted.env, **secret})
        words = container.words(wanted, lambda n: n in secret or is_secret(n), by_hand=True)
        line = shlex.join(["docker", "run", *words])
        return f"DOCKER_HOST={shlex.quote(self.place.host)} {line}" if self._differs() else line


def open(scene: Scene) -> Docker:  # noqa: A001 # the interface's name
    """A container on this machine's engine, which is not asked yet. Raises ShellenvError for a
    directory that is no project, and where it is not clear what image to take."""
    place = Place(
        host=local_host(scene.ctx),
        name="docker",
        source=scene.project.root,
        uid=os.getuid(),
        gid=os.getgid(),
        home=scene.ctx.home or "",
        groups=_groups(scene.project.root),
    )
    return Docker(scene, place)


def _groups(root: str) -> tuple[int, ...]:
    """The group of the project's directory, where that is one of the user's besides their own: not
    all of them, because those have no names in an image."""
    group = os.stat(root).st_gid
    return (group,) if group != os.getgid() and group in os.getgroups() else ()


@contextmanager
def _held_back() -> Iterator[None]:
    """Signals that would raise something come at the end."""
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _create(argv: list[str], env: dict[str, str]) -> None:
    """`docker create`, which says itself what is wrong. Raises ShellenvError if something is."""
    from shellenv.processes import subprocess

    null = subprocess.DEVNULL
    done = subprocess.run(argv, env=env, stdin=null, stdout=null, check=False)
    if done.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    if done.returncode:
        raise ShellenvError("docker could not make the container", "it says above why")


def _account(scene: Scene, place: Place, target: str) -> Account:
    """Who one is in the container: the user's name, and the home that they have here, unless that
    would hide the project or be a part of it."""
    import pwd

    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = scene.ctx.env.get("USER") or "user"
    user = re.sub(r"[^a-z0-9_-]+", "_", user.lower()) or "user"
    homes = (scene.ctx.home or "", f"/home/{user}", "/var/lib/shellenv/home")
    home = next(h for h in homes if h not in ("", "/") and not f"{h}/".startswith(f"{target}/"))
    return Account(user, place.uid, place.gid, home)


def _streams() -> Streams:
    """A terminal only if all three are one: a container's has no stderr of its own. In the
    background nothing is read from it: we would be stopped for it, where the command might never
    read."""
    try:
        stdin = os.isatty(0)
        os.fstat(0)
    except OSError:
        return Streams(stdin=False, tty=False)
    if not stdin:
        return Streams(stdin=True, tty=False)
    try:
        foreground = os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        foreground = True
    tty = foreground and os.isatty(1) and os.isatty(2)
    size = os.get_terminal_size(0) if tty else None
    text = f"{size.lines} {size.columns}" if size and size.lines and size.columns else ""
    return Streams(foreground, tty, text)


def _time_zone(env: Mapping[str, str]) -> str:
    """The user's time zone, by its name; "" for what containers have anyway, or has no name."""
    try:
        zone = env.get("TZ") or os.readlink("/etc/localtime").rpartition("/zoneinfo/")[2]
    except OSError:
        return ""
    return "" if zone in ("UTC", "Etc/UTC") else zone


def _container_name(user: str, project: str) -> str:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return baseimage.tag(f"{user}_shell_{baseimage.component(project)}_{stamp}_{os.getpid()}")


def _check_text(wanted: Container) -> None:
    """Docker's API is JSON: it cannot carry bytes that are no UTF-8, and would change them."""
    texts = [*wanted.command, wanted.workdir, *wanted.env.values(), wanted.mounts[0].source]
    odd = next((t for t in texts if any("\ud800" <= char <= "\udfff" for char in t)), None)
    if odd is not None:
        raise ShellenvError(
            f"{odd} is not UTF-8, which docker cannot pass on",
            "give it in a file, or run it with --env venv",
        )


def _secrets(wanted: Container) -> dict[str, str]:
    """The variables that the docker CLI takes from its own environment."""
    return {name: value for name, value in wanted.env.items() if is_secret(name)}


def _has_proxies(scene: Scene) -> bool:
    """Does the docker CLI give containers proxies? Which, it knows itself."""
    return bool(cli_settings(scene.ctx).get("proxies"))
