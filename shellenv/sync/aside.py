"""Scripts for the far end that move things in, aside, and back, without leaving the project.

A step is a directory of the project and a command run in it. The directory is entered by its name
and then asked for its physical one: if that differs, a part of it has become a symbolic link, and
nothing is done there. `mv -n` never overwrites.

Only to replace files there is one program for all directories, where there is perl
(shell/replace.pl). What that leaves over, steps do.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from shlex import quote
from typing import NamedTuple

from shellenv.errors import ShellenvError
from shellenv.installation import static_dir
from shellenv.sync import entry
from shellenv.sync.manifest import Intent
from shellenv.sync.remote import Remote
from shellenv.sync.yard import Beside

_HEAD = """\
cd -P "$root" 2>/dev/null || {{ mkdir -p -- "$root" && cd -P "$root"; }} || exit
real=$PWD came=$own/in was=$own/was/{sync}
run() {{ # also in a directory that is not writable
  if [ -w . ] || ! m=$(stat -c %a .) || ! chmod u+w . 2>/dev/null; then
    "$@" # or it says why not
  else
    "$@"
    chmod "$m" .
  fi
}}
enter() {{ cd -P "$root$1" 2>/dev/null && [ "$PWD" = "$real$1" ]; }}
"""

# Where there is no perl, or it cannot do it. The place is empty for a moment, but what is set aside
# is always what was there last
_REPLACE = """\
replace() { # DIRECTORY NAME...
  to=$1
  shift
  for n; do
    new=$came$to/$n
    [ -e "$new" ] || [ -L "$new" ] || continue # it has gone on
    if [ -L "$n" ] || { [ -e "$n" ] && [ ! -d "$n" ]; }; then
      mv -n -T -- "$n" "$was/r$to/$n"
    fi
    mv -n -T -- "$new" "$n"
  done
}
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
            f'enter {quote(directory)} && run mv -n -t "$was"/{quote(target)} -- {_all(some)}'
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


class Arrival(NamedTuple):
    """What has come in, to be put in its place: new `directories` and such as get other `modes`,
    `new` files and links, and those whose old versions are to be `replaced`. Those `above` it are
    there, as far as is known; they are made if not."""

    above: dict[bytes, int]
    directories: dict[bytes, int]
    modes: dict[bytes, int]
    new: list[bytes]
    replaced: list[bytes]


def install(remote: Remote, sync: str, came: Arrival) -> None:
    """Put what has come in in its place; the old versions are in `was/<sync>/r` afterwards.

    What is `new` replaces nothing, and nothing replaces a directory.
    """
    steps = list(_made(came))
    for directory, names in _grouped(came.new):
        steps += [
            f"enter {quote(directory)} && run mv -n -t . -- {_came(directory, some)}"
            for some in _chunks(names)
        ]
    if came.replaced:
        steps += _replaced(came.replaced)
    closed = {path: mode for path, mode in came.directories.items() if mode & 0o700 != 0o700}
    _run(remote, sync, [*steps, *_permitted({**closed, **came.modes})])


def _replaced(paths: list[bytes]) -> Iterator[str]:
    """Have what has come in take the place of what is there."""
    grouped = list(_grouped(paths))
    kept = sorted("r" + directory for directory, _ in grouped)
    yield from (f"mkdir -p -- {' '.join(map(_in_was, some))}" for some in _chunks(kept))
    with open(f"{static_dir()}/replace.pl", encoding="utf-8") as stream:
        perl = quote(stream.read())
    lines = "".join(
        f"{directory}/{name}".replace("%", "%25").replace("\n", "%0A") + "\n"
        for directory, names in grouped
        for name in names
    )
    yield f'perl -e {perl} -- "$real" "$came" "$was" 2>/dev/null <<\'%\' || {{\n{lines}%'
    yield _REPLACE
    for directory, names in grouped:
        yield from (
            f"enter {quote(directory)} && run replace {quote(directory)} {_all(some)}"
            for some in _chunks(names)
        )
    yield "}"


def chmod(remote: Remote, sync: str, modes: Mapping[bytes, int]) -> None:
    """Give directories their permissions."""
    _run(remote, sync, list(_permitted(modes)))


def _permitted(modes: Mapping[bytes, int]) -> Iterator[str]:
    """Give directories their permissions, the innermost first."""
    for path, mode in sorted(modes.items(), reverse=True):
        yield f"enter {quote('/' + os.fsdecode(path))} && chmod {mode:o} ."


def _made(came: Arrival) -> Iterator[str]:
    """Make the directories, the outermost first, such that things can be put in them."""
    modes = {**came.above, **came.directories}
    for directory, names in _grouped(sorted(modes)):
        enter = f"enter {quote(directory)}"
        alike = defaultdict(list)
        for name in names:
            path = os.fsencode(f"{directory}/{name}"[1:])
            mkdir = f"run mkdir -m {modes[path] | 0o700:o} --"
            if path in came.above:
                there = quote(f"{directory}/{name}")
                yield f'[ -d "$root"{there} ] || {{ {enter} && {mkdir} {quote(name)}; }}'
            else:
                alike[mkdir].append(name)
        for mkdir, words in alike.items():
            yield from (f"{enter} && {mkdir} {_all(some)}" for some in _chunks(words))


def rescue(
    remote: Remote, sync: str, intents: Mapping[bytes, Intent], beside: Beside
) -> dict[bytes, bytes]:
    """Bring back what was set aside and is neither the version that the sync saw at its path nor
    ours, which was about to take that one's place.

    What was to be deleted goes to its own place, if that is free, all else beside it, or as near
    as there is a directory. Returns the new names by path. Raises ShellenvError if something stays.
    """
    found: dict[bytes, bytes] = {}
    read = [
        b"%b/%b" % (kind, name)
        for name, intent in intents.items()
        if any(version and version.digest for version in intent)
        for kind in (b"d", b"r")
    ]
    for attempt in range(_DEPTH):
        back = {}
        seen = remote.aside(sync, read)
        for record in seen.records:
            source, what = entry.read(record)
            kind, _, path = source.partition(b"/")
            if what.kind in "dx" or not path:
                continue
            new, old = intents.get(path, Intent(None, None))
            digest = partial(seen.digests.get, source)
            if old and old.is_at(what, digest):
                continue
            if new and kind == b"r" and new.came_as(what, digest):
                continue
            if attempt == 0 and kind == b"d" and path in intents and not new:
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
        steps.append(f'{enter} && run mv -n -T -- "$was"/{quote(os.fsdecode(source))} {name}')
    _run(remote, sync, steps)


def forget(remote: Remote, sync: str, came: bool = False) -> None:
    """Remove what a sync has set aside, and, with `came`, what has come in and not gone on."""
    _run(
        remote,
        sync,
        [
            # the directories alone: a file may have other names, outside of all this
            'find "$was" "$own/new" -type d ! -perm -700 -exec chmod u+rwx {} + 2>/dev/null',
            'rm -rf -- "$was" "$own/new"' + (' "$came"' if came else ""),
        ],
    )


def _run(remote: Remote, sync: str, steps: list[str]) -> None:
    if steps:
        script = _HEAD.format(sync=sync) + "set +f\n" + "\n".join(steps) + "\n:"
        remote.run(script)


def _parted(path: bytes) -> tuple[str, str]:
    """The step into the directory that a path is in, and its name there, quoted."""
    above, _, name = os.fsdecode(path).rpartition("/")
    return f"enter {quote('/' + above if above else '')}", quote(name)


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
    return " ".join(map(quote, names))


def _came(directory: str, names: list[str]) -> str:
    return " ".join(f'"$came"{quote(f"{directory}/{name}")}' for name in names)


def _in_was(path: str) -> str:
    return f'"$was"/{quote(path)}'
