"""The one line of ours in `~/.ssh/config`: `Include` of the file that holds the docks.

It stands above everything that could switch it off or win over it: above the first `Host` or
`Match` (in one, it would hold for those hosts alone) and above options that hold for all hosts
(the first value counts in ssh, ssh_config(5)). All but `replace` and `read` is text in, text out.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress

from shellenv import files
from shellenv.errors import ShellenvError

_INCLUDE = re.compile(rb"[ \t]*include(?:[ \t]+|[ \t]*=[ \t]*)(.*?)[ \t\r\n]*", re.IGNORECASE)
_IDLE = re.compile(rb"[ \t\r\n\f]*(?:#.*)?", re.DOTALL)


def include_line(path: str, home: str) -> str:
    """The line that includes `path`; below `home` it is written with `~`, as dotfiles are shared.

    Raises ShellenvError for a path that ssh would read as a pattern.
    """
    if re.search(r"[\x00-\x1f\x7f\"'\\*?\[\]%$]", path):
        raise ShellenvError(
            f"ssh cannot include {path!r}", "set XDG_CONFIG_HOME to a directory of a plainer name"
        )
    short = f"~{path.removeprefix(home)}" if path.startswith(f"{home}/") else path
    return f'Include "{short}"' if " " in short else f"Include {short}"


def has_include(content: bytes, path: str, home: str) -> bool:
    """Does `path` count for every host, before everything else?"""
    for line in content.splitlines():
        if path in _included(line, home):
            return True
        if not _INCLUDE.fullmatch(line) and not _IDLE.fullmatch(line):
            return False
    return False


def with_include(content: bytes, path: str, home: str) -> bytes:
    """`content` with our line first, once; as it is if the line is effective where it stands.

    The line ends as the file's first line does.
    """
    if has_include(content, path, home):
        return content
    rest = without_include(content, path, home)
    end = b"\r\n" if content.partition(b"\n")[0].endswith(b"\r") else b"\n"
    return os.fsencode(include_line(path, home)) + end + rest


def without_include(content: bytes, path: str, home: str) -> bytes:
    """`content` without lines that include `path` and nothing else."""
    lines = content.splitlines(keepends=True)
    return b"".join(line for line in lines if _included(line, home) != [path])


def diff(name: str, before: bytes, after: bytes) -> str:
    """What changes in a file, as `diff -u` shows it; "" if nothing does."""
    import difflib

    old, new = (os.fsdecode(text).splitlines(keepends=True) for text in (before, after))
    label = name if before else "/dev/null"
    lines = difflib.unified_diff(old, new, label, name if after else "/dev/null")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _included(line: bytes, home: str) -> list[str]:
    """The paths that an `Include` line names, absolute where they start with `~/`."""
    match = _INCLUDE.fullmatch(line)
    if match is None:
        return []
    words = re.findall(rb'"([^"]*)"|([^" \t]+)', match[1])
    names = [os.fsdecode(quoted or plain) for quoted, plain in words]
    return [f"{home}{name[1:]}" if name.startswith("~/") else name for name in names]


# --- reading and writing --------------------------------------------------------------------


def read(path: str) -> bytes:
    """The whole file, b"" if there is none. Raises ShellenvError if it cannot be read."""
    try:
        content = files.read_regular(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _failed("read", path, error) from error
    if len(content) > files.MAX_BYTES:
        raise ShellenvError(f"{path} is larger than 1 MiB", "that cannot be an ssh configuration")
    return content


def check_writable(path: str, name: str, hint: str) -> None:
    """Raise ShellenvError, with this hint, if `path`, which people call `name`, is read-only."""
    real = os.path.realpath(path)
    with suppress(FileNotFoundError):
        # root may write everything, but who took the permission away meant it
        if not os.stat(real).st_mode & 0o200 or not os.access(real, os.W_OK):
            raise ShellenvError(
                f"{name} is read-only; it was not changed",
                hint,
            )


def replace(path: str, before: bytes, after: bytes) -> None:
    """Put `after` in place of `before`, complete or not at all.

    A symbolic link is followed and stays. Mode, owner and extended attributes stay. A new file is
    for its user alone (0600), in a directory that is (0700). The file is replaced by renaming a
    complete one, except where that would break something: a file with more than one hard link,
    one that is mounted, or another user's is written in place, after the space for it has been
    set aside. Raises ShellenvError if it cannot be written, or if somebody has changed it since
    `before` was read; then it is as it was.
    """
    real = os.path.realpath(path)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        try:
            status = os.stat(real)
        except FileNotFoundError:
            status = None
        if read(real) != before:
            raise ShellenvError(f"{path} was changed by somebody else just now", "try again")
        if status and _only_in_place(real, status):
            _overwrite(real, before, after)
            return
        try:
            _exchange(real, after, status)
        except OSError as error:
            if error.errno != errno.EBUSY or not status:  # mounted, as containers do it
                raise
            _overwrite(real, before, after)
    except OSError as error:
        raise _failed("write", path, error) from error


def _only_in_place(real: str, status: os.stat_result) -> bool:
    return (
        status.st_nlink > 1
        or status.st_uid != os.geteuid()
        or not os.access(os.path.dirname(real), os.W_OK)
    )


def _exchange(real: str, content: bytes, status: os.stat_result | None) -> None:
    temporary = f"{real}.{os.getpid()}.new"
    try:
        files.forget(temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            if status:
                with suppress(PermissionError):  # a group that is no longer the user's
                    os.chown(stream.fileno(), -1, status.st_gid)
                _copy_attributes(real, temporary)
                os.chmod(stream.fileno(), status.st_mode & 0o7777)
            os.fsync(stream.fileno())
        os.replace(temporary, real)
    except OSError:
        files.forget(temporary)
        raise


def _copy_attributes(source: str, to: str) -> None:
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(source):
                os.setxattr(to, name, os.getxattr(source, name))


def _overwrite(real: str, before: bytes, after: bytes) -> None:
    with open(os.open(real, os.O_RDWR | os.O_CLOEXEC), "r+b") as stream:
        if hasattr(os, "posix_fallocate") and len(after) > len(before):
            os.posix_fallocate(stream.fileno(), 0, len(after))
        stream.write(after)
        stream.truncate(len(after))
        os.fsync(stream.fileno())


def _failed(verb: str, path: str, error: OSError) -> ShellenvError:
    return ShellenvError(
        f"cannot {verb} {path}: {error.strerror}", "check its permissions and the free space"
    )
