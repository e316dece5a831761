"""What the image that a Dockerfile makes depends on, as far as that is known without docker.

Those are the files in the Dockerfile's directory, unless that is the whole project, and single
files that it copies from elsewhere (`COPY requirements.txt /tmp`). Directories elsewhere are the
project's source, which a run has mounted: an edit there makes no new image.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator

from shellenv import files
from shellenv.baseimage import Build

DEEPEST = 4
"""How far below the Dockerfile's directory one looks."""

COPY = re.compile(r"^[ \t]*(?:COPY|ADD)[ \t]+(.+)$", re.I | re.M)


def parts(build: Build, root: str) -> Iterator[str | bytes]:
    """The names and contents of all these files, always in the same order. `root` is the
    project's."""
    beside = _beside(build.dockerfile, root)
    for path in (build.dockerfile, *beside, *sorted(set(_copied(build)))):
        yield path
        yield files.content(path) or b""


def _beside(dockerfile: str, root: str) -> Iterator[str]:
    top = os.path.dirname(dockerfile)
    for directory, names, found in os.walk(top) if top != root else ():
        names.sort()
        if directory.count("/") - dockerfile.count("/") > DEEPEST:
            names.clear()
        yield from (f"{directory}/{name}" for name in sorted(found))


def _copied(build: Build) -> Iterator[str]:
    """The single files of the context that the Dockerfile names in COPY and ADD."""
    text = (files.content(build.dockerfile) or b"").decode("utf-8", "replace")
    for instruction in COPY.findall(re.sub(r"\\\r?\n", " ", text)):
        words = re.sub(r'[\[\]",]', " ", instruction).split()
        if not any(word.startswith("--from") for word in words):
            for source in [word for word in words if not word.startswith("--")][:-1]:
                found = glob.glob(f"{glob.escape(build.context)}/{source.lstrip('/')}")
                yield from filter(os.path.isfile, found)
