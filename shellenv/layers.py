"""The image that a run happens in: a base image, the user in it, and what the project needs.

It is made in two layers, each by running commands in a container and keeping the result: the
user's account, home and `setup` as root; then the project's dependencies as the user, with the
project mounted, so that an editable install points to it and nothing of root's is left there. Its
tag says what it was made from, so whether it is up to date is a question to the engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from shellenv import dependencies, dockerfile, files, installation, scm
from shellenv.baseimage import Base, component, own_images
from shellenv.container import Mount, group_words, mount_words
from shellenv.engine import Engine
from shellenv.errors import ShellenvError
from shellenv.progress import watch
from shellenv.schema import nearest
from shellenv.shells import quote_posix

if TYPE_CHECKING:
    from shellenv.dependencies import Dependencies

PREFIX = "/opt/shellenv"
"""Where our own files are in an image."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What docker makes of an image without a PATH."""

NAMES = "shellenv/"
"""What the names of these images begin with."""

PROJECT = "shellenv.project"
"""The label of a project's images, containers and volume: its directory."""

KEY = "shellenv.key"
"""The label of an image that a Dockerfile of the project's has made: what it was made from."""

AUTHORITIES = """bundle=/etc/ssl/certs/ca-certificates.crt
if [ -e "$bundle" ]; then
  export PIP_CERT="$bundle" SSL_CERT_FILE="$bundle" REQUESTS_CA_BUNDLE="$bundle"
fi"""
"""Whom the image trusts, its tools trust: most have a list of their own."""

KEPT, ALIKE = 6, 3
"""How many of a project's images stay, and how many of those from one image; the older ones go when
a new one is made."""


class Account(NamedTuple):
    """Who one is in the container."""

    user: str
    uid: int
    gid: int
    home: str


class Recipe(NamedTuple):
    """What an image is made from, besides its base.

    `root` is the project's directory, `source` mounts it at `target`, `home` is the user's.
    `groups` are those of the user that may write there.
    """

    project: str
    root: str
    base: Base
    account: Account
    target: str
    setup: str
    dependencies: Dependencies
    source: Mount
    home: Mount
    indexes: Mapping[str, str]
    groups: tuple[int, ...] = ()


class Image(NamedTuple):
    """An image: its name, and the environment that a container of it has."""

    tag: str
    env: Mapping[str, str]


def find(engine: Engine, recipe: Recipe) -> Image:
    """The image for `recipe`; what it is called, if it is not there yet."""
    base = _base(engine, recipe)
    if base is None:
        return Image(recipe.base.reference, {})
    tag = _tags(recipe, base["Id"])[-1]
    return _inspect(engine, tag) or Image(tag, {})


def make(engine: Engine, recipe: Recipe, docker: Docker, anew: bool) -> Image:
    """The image for `recipe`, made if it is not there, or in any case if it is to be made `anew`.
    Raises ShellenvError if that fails."""
    base = _base(engine, recipe)
    if base is None:
        docker.fetch(recipe.base, recipe.root)
        base = _base(engine, recipe)
        if base is None:
            raise ShellenvError(
                f"docker has no image {recipe.base.reference}",
                "docker image ls lists its images",
            )
    tags = _tags(recipe, base["Id"])
    found, image = (None if anew else _inspect(engine, tag) for tag in reversed(tags))
    if found is not None:
        return found
    dependencies.refuse_outside(recipe.root, recipe.dependencies, "a container")
    source = recipe.base.reference
    if image is None:
        docker.explain(f"shellenv: making {tags[0]} from {source}, once: {recipe.base.reason}")
        if recipe.base.notice:
            docker.explain(f"shellenv: {recipe.base.notice}")
        image = _first(engine, recipe, docker, source, tags[0], _env(base))
    labels = {PROJECT: recipe.root}
    engine.post("/volumes/create", {"Name": recipe.home.source, "Labels": labels})
    docker.explain(f"shellenv: {recipe.dependencies.task()} in {tags[1]}, once")
    dependencies.tell(recipe.root, recipe.dependencies)
    image = _second(engine, recipe, docker, image, tags[1])
    _prune(engine, recipe.root, tags[1])
    return image


class Docker:
    """The docker CLI at one engine, for what takes long: it shows progress as people know it.

    `explain` is told what is done, and the command lines that a person might want to repeat.
    `quiet`: what is installed is shown only if that fails.
    """

    def __init__(
        self,
        program: Callable[[], str],
        env: Mapping[str, str],
        labels: Mapping[str, str],
        explain: Callable[[str], None],
        quiet: bool,
    ) -> None:
        self.program = program
        self.env = dict(env)
        self.labels = labels
        self.explain = explain
        self.quiet = quiet

    def fetch(self, base: Base, root: str) -> None:
        """Build the base image if it is the project's own, else pull it."""
        hint = "docker says above why; run-shell --image takes another"
        if base.build is None:
            words = ["pull", base.reference]
            problem = f"cannot pull {base.reference}"
            near = nearest(base.reference, own_images(root))
            hint = f"did you mean {near}, the project's docker/{near}?" if near else hint
        else:
            build = base.build
            words = ["build", "--tag", base.reference, "--file", build.dockerfile]
            words += ["--label", f"{KEY}={_build_key(base, root)}"]
            words += ["--target", build.target] if build.target else []
            words += [word for k, v in build.args for word in ("--build-arg", f"{k}={v}")]
            words += [build.context]
            problem = f"cannot build {base.reference} from {build.dockerfile}"
        import shlex

        from shellenv.processes import subprocess

        program = self.program()
        self.explain(shlex.join(["docker", *words]))
        done = subprocess.run(
            [program, *words], env=self.env, stdin=subprocess.DEVNULL, stdout=2, check=False
        )
        if done.returncode:
            raise ShellenvError(problem, hint)

    def build(self, name: str, words: Sequence[str], script: str, title: str) -> None:
        """Run `script` in a container called `name`, showing what it says. Raises ShellenvError if
        it fails."""
        labels = [word for k, v in self.labels.items() for word in ("--label", f"{k}={v}")]
        argv = [self.program(), "run", "-i", "--init", "--name", name, *labels, *words]
        hint = "it says above why; [shellenv.run] setup adds to an image, --image takes another"
        stdin = script.encode("utf-8", "surrogateescape")
        watch(title, argv, self.env, stdin=stdin, quiet=self.quiet, hint=hint)


def _first(
    engine: Engine,
    recipe: Recipe,
    docker: Docker,
    source: str,
    tag: str,
    env: Mapping[str, str],
) -> Image:
    """The base image with the user in it, and `setup` done."""
    account = recipe.account
    directory = installation.static_dir()
    with open(f"{directory}/enter.sh", encoding="utf-8") as stream:
        enter = stream.read()
    with open(f"{directory}/layer.sh", encoding="utf-8") as stream:
        code = stream.read()
    values = {
        "user": account.user,
        "uid": str(account.uid),
        "gid": str(account.gid),
        "home": account.home,
        "root": recipe.target,
        "prefix": PREFIX,
        "enter": enter,
        "setup": recipe.setup,
    }
    settings = "".join(f"{name}={quote_posix(value)}\n" for name, value in values.items())
    script = _exports(recipe.indexes) + settings + code
    words = ["--user", "0:0", "--workdir", "/", "--entrypoint", "sh"]
    words += [*mount_words(recipe.source._replace(readonly=True)), source, "-s"]
    changes = [
        f'ENTRYPOINT ["{PREFIX}/enter"]',
        "CMD []",
        f"USER {account.uid}:{account.gid}",
        f"ENV VIRTUAL_ENV={PREFIX}/venv",
        f"ENV PATH={PREFIX}/venv/bin:{env.get('PATH', PATH)}",
    ]
    return _kept(engine, docker, words, script, f"setting up {source}", tag, changes)


def _second(engine: Engine, recipe: Recipe, docker: Docker, first: Image, tag: str) -> Image:
    """That image with the project's dependencies."""
    account = recipe.account
    nothing = recipe.dependencies.empty
    without = "exit 0" if nothing else '{ echo "the image has no python"; exit 1; }'
    lines = [
        "set -e",
        AUTHORITIES,
        "export UV_LINK_MODE=copy",  # the cache is on a volume
        f"command -v python >/dev/null || {without}",
        *dependencies.commands(recipe.dependencies, uv=False, tools=f"{PREFIX}/tools"),
    ]
    given = scm.variables(recipe.root, recipe.dependencies, docker.env)
    given.update(recipe.indexes, HOME=account.home)
    script = _exports(given) + "\n".join(lines) + "\n"
    words = ["--user", f"{account.uid}:{account.gid}", "--workdir", recipe.target]
    words += ["--entrypoint", "sh", *mount_words(recipe.source), *mount_words(recipe.home)]
    words += [*group_words(recipe.groups), first.tag, "-s"]
    changes = [f'ENTRYPOINT ["{PREFIX}/enter"]', "CMD []"]
    title = recipe.dependencies.task()
    return _kept(engine, docker, words, script, title, tag, changes)


def _kept(
    engine: Engine,
    docker: Docker,
    words: Sequence[str],
    script: str,
    title: str,
    tag: str,
    changes: Sequence[str],
) -> Image:
    """Run a script in a container and keep what it leaves as the image `tag`."""
    name = f"shellenv_build_{tag.rpartition(':')[2]}_{os.urandom(4).hex()}"
    try:
        docker.build(name, words, script, title)
        repo, _, version = tag.rpartition(":")
        # Labels of the container would be the image's, and those of all containers of it.
        cleared = [f'LABEL {name}=""' for name in docker.labels if name != PROJECT]
        engine.post(
            "/commit",
            {},
            container=name,
            repo=repo,
            tag=version,
            changes="\n".join([*changes, *cleared]),
        )
    finally:
        engine.delete(f"/containers/{name}", force="1", v="1")
    image = _inspect(engine, tag)
    assert image is not None
    return image


def _prune(engine: Engine, root: str, tag: str) -> None:
    """Remove the project's oldest images, and those whose name is another's by now, as `tag` is the
    newest; but none that is in use, or that a person has named."""
    from collections import Counter
    from json import dumps

    filters = dumps({"label": [f"{PROJECT}={root}"]})
    found = sorted(
        engine.get("/images/json", filters=filters) or (), key=lambda image: -image["Created"]
    )
    # What is newer is another run's, which may be about to name it
    while found and tag not in (found[0]["RepoTags"] or ()):
        del found[0]
    kept = 0
    alike: Counter[str] = Counter()
    for image in found:
        names = [name for name in image["RepoTags"] or () if name != "<none>:<none>"]
        alike[image["ParentId"]] += bool(names)
        if names and kept < KEPT and alike[image["ParentId"]] <= ALIKE:
            kept += 1
        elif all(name.startswith(NAMES) for name in names):
            engine.delete(f"/images/{image['Id']}")


def _base(engine: Engine, recipe: Recipe) -> Any:
    """What the engine knows of the base image; None if it is not there, or is to be built anew."""
    base = recipe.base
    found = engine.get(f"/images/{base.reference}/json")
    if found and base.build:
        labels = found["Config"].get("Labels") or {}
        return found if labels.get(KEY) == _build_key(base, recipe.root) else None
    return found


def _inspect(engine: Engine, tag: str) -> Image | None:
    found = engine.get(f"/images/{tag}/json")
    return Image(tag, _env(found)) if found else None


def _env(inspected: Any) -> dict[str, str]:
    words = inspected["Config"].get("Env") or ()
    return dict(word.split("=", 1) for word in words if "=" in word)


def _tags(recipe: Recipe, base_id: str) -> list[str]:
    """The names of the two layers."""
    directory = installation.static_dir()
    code = [files.content(f"{directory}/{name}") or b"" for name in ("layer.sh", "enter.sh")]
    first = digest(base_id, *map(str, recipe.account), recipe.target, recipe.setup, *code)
    contents = [part for file in recipe.dependencies.contents for part in file]
    how = dependencies.commands(recipe.dependencies, uv=False, tools="")
    # An install leaves things in the project's directory: another one does not have them.
    second = digest(first, recipe.source.source, *how, *contents)
    name = component(recipe.project)
    return [f"{NAMES}{name}:{key}" for key in (first, second)]


def _build_key(base: Base, root: str) -> str:
    """What the image that a Dockerfile makes depends on."""
    assert base.build is not None
    return digest(*map(str, base.build), *dockerfile.parts(base.build, root))


def digest(*parts: str | bytes) -> str:
    """Sixteen digits that stand for `parts`, which may be anything."""
    from hashlib import sha256

    state = sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else os.fsencode(part)
        state.update(b"%d:" % len(content) + content)
    return state.hexdigest()[:16]


def _exports(env: Mapping[str, str]) -> str:
    return "".join(f"export {name}={quote_posix(value)}\n" for name, value in env.items())
