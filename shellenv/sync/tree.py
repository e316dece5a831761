"""A scan of this side: every path that is synced, as records (see `entry`)."""

from __future__ import annotations

import os
import stat
from collections import Counter
from typing import NamedTuple

from shellenv.errors import ShellenvError
from shellenv.sync.ignore import OWN, Rule, Rules


class Tree(NamedTuple):
    """What one side has: its records, in no order, when that was (nanoseconds on its own clock),
    and how many paths each rule left out (a directory counts as one)."""

    records: list[bytes]
    time: int
    left_out: Counter[Rule]


def scan(root: bytes, rules: Rules) -> Tree:
    """Look at everything below `root` that `rules` do not leave out.

    A directory that cannot be read is a record of kind `x`. Raises ShellenvError where the system
    cannot say what is there (an input/output error): what is not seen must not count as deleted.
    """
    import time

    now = time.time_ns()
    records: list[bytes] = []
    left_out: Counter[Rule] = Counter()
    append, numbers = records.append, rules.number
    stack = [(root, b"", -1)]
    plain = b"f %o %d %d %d %d %b//"
    while stack:
        directory, prefix, above = stack.pop()
        try:
            entries = os.scandir(directory)
        except PermissionError:
            if not prefix:
                raise _unreadable(root, "Permission denied") from None
            records.append(b"x 0 0 0 0 0 %b//" % prefix[:-1])
            continue
        except (FileNotFoundError, NotADirectoryError) as error:
            if not prefix:
                raise _unreadable(root, error.strerror) from None
            continue  # it has just gone
        except OSError as error:
            raise _unreadable(directory, error.strerror) from error
        if prefix and not rules.leaves_out(above):
            mode = _mode(directory)
            if mode is None:
                entries.close()
                continue
            append(b"d %o 0 0 0 0 %b//" % (mode, prefix[:-1]))
        with entries:
            try:
                for entry in entries:
                    name = entry.name
                    path = prefix + name
                    is_directory = entry.is_dir(follow_symlinks=False)
                    number = numbers(path, above, is_directory)
                    if number >= 0 or name == OWN or name.lower() == b".git":
                        rule = rules.rule(path, is_directory)
                        if rule is not None:
                            left_out[rule] += 1
                            if is_directory and rules.may_return(path):
                                stack.append((entry.path, path + b"/", number))
                            continue
                    if is_directory:
                        stack.append((entry.path, path + b"/", number))
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                        mode = status.st_mode
                        if stat.S_ISREG(mode):
                            append(
                                plain
                                % (
                                    mode & 0o777,
                                    status.st_size,
                                    status.st_mtime_ns,
                                    status.st_ctime_ns,
                                    status.st_ino,
                                    path,
                                )
                            )
                        elif stat.S_ISLNK(mode):
                            append(b"l 777 0 0 0 0 %b//%b" % (path, os.readlink(entry.path)))
                        else:
                            append(b"s 0 0 0 0 0 %b//" % path)
                    except FileNotFoundError:
                        continue
            except OSError as error:
                raise _unreadable(directory, error.strerror) from error
    return Tree(records, now, left_out)


def _mode(directory: bytes) -> int | None:
    try:
        return os.lstat(directory).st_mode & 0o777
    except OSError:
        return None


def record(path: bytes, status: os.stat_result, target: bytes = b"") -> bytes:
    """The record of one path, from its lstat."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return b"f %o %d %d %d %d %b//" % (
            mode & 0o777,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
            path,
        )
    if stat.S_ISLNK(mode):
        return b"l 777 0 0 0 0 %b//%b" % (path, target)
    if stat.S_ISDIR(mode):
        return b"d %o 0 0 0 0 %b//" % (mode & 0o777, path)
    return b"s 0 0 0 0 0 %b//" % path


def look(root: bytes, path: bytes) -> bytes | None:
    """The record of `path` as it is now; None if there is nothing."""
    full = root + b"/" + path
    try:
        status = os.lstat(full)
        target = os.readlink(full) if stat.S_ISLNK(status.st_mode) else b""
    except OSError:
        return None
    return record(path, status, target)


def _unreadable(directory: bytes, why: str | None) -> ShellenvError:
    return ShellenvError(
        f"cannot read {os.fsdecode(directory)}: {why}", "nothing was synced; check the directory"
    )
