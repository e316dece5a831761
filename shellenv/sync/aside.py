"""Scripts for the far end that move things aside, and back, without leaving the project.

A step is a directory of the project and a command run in it. The directory is entered by its name
and then asked for its physical one: if that differs, a part of it has become a symbolic link, and
nothing is done there. `mv -n` never overwrites.
"""

from __future__ import annotations

import os
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from shellenv.errors import ShellenvError
from shellenv.sync import entry, place
from shellenv.sync.entry import Version
from shellenv.sync.remote import Remote

_HEAD = """\
cd -P "$root" || exit
real=$PWD was=$own/was/{sync}
run() {{ # also in a directory that is not writable
  if [ -w . ]; then "$@"; else m=$(stat -c %a .); chmod u+w . && {{ "$@"; chmod "$m" .; }}; fi
}}
enter() {{ cd -P "$root$1" 2>/dev/null && [ "$PWD" = "$real$1" ]; }}
"""

_AT_ONCE = 500


def set_aside(remote: Remote, sync: str, paths: Iterable[bytes]) -> None:
    """Move files and links into `was/<sync>/d`, each under its path."""
    steps = []
    directories = set()
    for directory, names in _grouped(paths):
        target = "d" + directory
        directories.add(target)
        steps += [
            f'enter {_quote(directory)} && run mv -n -t "$was"/{_quote(target)} -- {_all(some)}'
            for some in _chunks(names)
        ]
    made = [f"mkdir -p -- {' '.join(map(_in_was, some))}" for some in _chunks(sorted(directories))]
    _run(remote, sync, [*made, *steps])


def remove_directories(remote: Remote, sync: str, paths: Iterable[bytes]) -> None:
    """Remove directories, the innermost first, that have nothing in them."""
    steps = []
    for path in sorted(paths, reverse=True):
        enter, name = _parted(path)
        steps.append(f"{enter} && run rmdir --ignore-fail-on-non-empty -- {name}")
    _run(remote, sync, steps)


def rename(remote: Remote, sync: str, names: Mapping[bytes, bytes]) -> None:
    """Give things other names in the directories that they are in."""
    steps = []
    for path, new in names.items():
        enter, name = _parted(path)
        steps.append(f"{enter} && run mv -n -T -- {name} {_parted(new)[1]}")
    _run(remote, sync, steps)


def chmod(remote: Remote, sync: str, modes: Mapping[bytes, int]) -> None:
    """Give directories their permissions."""
    steps = [
        f"enter {_quote('/' + os.fsdecode(path))} && chmod {mode:o} ."
        for path, mode in modes.items()
    ]
    _run(remote, sync, steps)


def rescue(
    remote: Remote,
    sync: str,
    known: Mapping[bytes, Version | None],
    deleted: frozenset[bytes],
    beside: place.Beside,
) -> dict[bytes, bytes]:
    """Bring back what was set aside and is not the version that was `known` to be at its path.

    What was to be `deleted` goes to its own place, if that is free, all else beside it, or as near
    as there is a directory. Returns the new names by path. Raises ShellenvError if something stays.
    """
    found: dict[bytes, bytes] = {}
    read = [
        b"%b/%b" % (k, n)
        for n, version in known.items()
        if version and version.digest
        for k in (b"d", b"r")
    ]
    for attempt in range(_DEPTH):
        back = {}
        seen = remote.aside(sync, read)
        for record in seen.records:
            source, what = entry.read(record)
            kind, _, path = source.partition(b"/")
            if what.kind in "dx" or not path:
                continue
            expected = known.get(path)
            if expected and expected.is_at(what, partial(seen.digests.get, source)):
                continue
            if attempt == 0 and kind == b"d" and path in deleted:
                back[source] = found[path] = path
            else:
                parts = path.split(b"/")
                near = parts[: max(0, len(parts) - max(attempt, 1))]
                back[source] = found[path] = beside(b"/".join([*near, parts[-1]]))
        if not back:
            return found
        _bring_back(remote, sync, back)
    raise ShellenvError(
        f"cannot bring back files that were changed at {remote.label} during the sync",
        f"they are there, in .shellenv/*/was/{sync}; the next sync tries again",
    )


_DEPTH = 100
"""More levels than a path has."""


def _bring_back(remote: Remote, sync: str, names: Mapping[bytes, bytes]) -> None:
    """Move what is in `was/<sync>` (`d/PATH`, `r/PATH`) to paths of the project."""
    steps = []
    for source, new in names.items():
        enter, name = _parted(new)
        steps.append(f'{enter} && run mv -n -T -- "$was"/{_quote(os.fsdecode(source))} {name}')
    _run(remote, sync, steps)


def forget(remote: Remote, sync: str) -> None:
    """Remove what a sync has set aside."""
    _run(
        remote,
        sync,
        [
            # the directories alone: a file may have other names, outside of all this
            'find "$was" "$own/new" -type d ! -perm -700 -exec chmod u+rwx {} + 2>/dev/null',
            'rm -rf -- "$was" "$own/tmp"/* "$own/new"',
        ],
    )


def _run(remote: Remote, sync: str, steps: list[str]) -> None:
    if steps:
        script = _HEAD.format(sync=sync) + "set +f\n" + "\n".join(steps) + "\n:"
        remote.run(script)


def _parted(path: bytes) -> tuple[str, str]:
    """The step into the directory that a path is in, and its name there, quoted."""
    above, _, name = os.fsdecode(path).rpartition("/")
    return f"enter {_quote('/' + above if above else '')}", _quote(name)


def _grouped(paths: Iterable[bytes]) -> Iterator[tuple[str, list[str]]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        above, _, name = os.fsdecode(path).rpartition("/")
        found["/" + above if above else ""].append(name)
    yield from found.items()


def _chunks(words: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(words), _AT_ONCE):
        yield words[start : start + _AT_ONCE]


def _all(names: list[str]) -> str:
    return " ".join(map(_quote, names))


def _in_was(path: str) -> str:
    return f'"$was"/{_quote(path)}'


def _quote(text: str) -> str:
    return shlex.quote(text)
