"""Where packages come from: what is known here, for those who install in a container."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from configparser import Error, RawConfigParser

from shellenv.context import Context
from shellenv.dependencies import Dependencies

VARIABLES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"),
    *("UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX"),
    *("PIPENV_PYPI_MIRROR", "POETRY_PYPI_MIRROR_URL"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
CREDENTIALS = re.compile(r"UV_INDEX_\w+_(?:USERNAME|PASSWORD)|POETRY_HTTP_BASIC_\w+")
"""uv's and poetry's variables that hold an index's name."""

SYSTEM = "/etc/pip.conf"

KEYS = ("index-url", "extra-index-url", "trusted-host")
"""What of pip's configuration says where packages come from."""


def variables(ctx: Context, found: Dependencies, given: Mapping[str, str]) -> dict[str, str]:
    """What to set while a container installs `found`: what pip's configuration says here, the
    user's own variables for it, and those of `given` that a requirements file refers to.

    A requirements file does not choose from the user's own: it is the project's.
    """
    own = ctx.surroundings
    named = {name for name in own if name in VARIABLES or CREDENTIALS.fullmatch(name)}
    text = b"\n".join(content for file, content in found.contents if file.endswith(".txt"))
    wanted = {name.decode() for name in re.findall(rb"\$\{([A-Z0-9_]+)\}", text)}
    result = _configured(ctx, own)
    result.update({name: own[name] for name in named if own[name]})
    result.update({name: given[name] for name in wanted if name in given})
    return dict(sorted(result.items()))


def _configured(ctx: Context, own: Mapping[str, str]) -> dict[str, str]:
    """What pip's configuration files say, as its variables; no directories of this machine."""
    result: dict[str, str] = {}
    for file in _files(ctx, own):
        parser = RawConfigParser(strict=False)
        try:
            parser.read(file, "utf-8")
        except (Error, UnicodeDecodeError, OSError):
            continue  # pip itself says what is wrong with it
        for section in ("global", "install"):
            for key, value in parser.items(section) if parser.has_section(section) else ():
                name = key.replace("_", "-").removeprefix("--")
                words = [w for w in value.split() if "/" not in w or re.match("https?://", w)]
                if name in KEYS and words:
                    result[f"PIP_{name.replace('-', '_').upper()}"] = " ".join(words)
    return result


def _files(ctx: Context, own: Mapping[str, str]) -> Iterator[str]:
    """pip's configuration files, later ones win (pip: configuration)."""
    last = own.get("PIP_CONFIG_FILE", "")
    if last == "/dev/null":
        return
    for directory in (own.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"):
        yield f"{directory}/pip/pip.conf"
    yield SYSTEM
    if ctx.home:
        yield f"{ctx.home}/.pip/pip.conf"
        yield f"{own.get('XDG_CONFIG_HOME') or f'{ctx.home}/.config'}/pip/pip.conf"
        yield f"{ctx.home}/Library/Application Support/pip/pip.conf"
    if last:
        yield last
