"""Changing the project here: what has come in is put in its place, what is deleted moves out of it.

Every step goes through descriptors of directories that are opened one by one without following
symbolic links, so nothing outside the project is ever reached. A file is exchanged with the one
that is there, and only then looked at: if that is not the version that the scan saw, somebody has
changed it meanwhile, and both are kept. Files come in below `.shellenv-sync` in the root, which is
on the same file system.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from shellenv.errors import ShellenvError
from shellenv.sync import contents, entry, swap, tree
from shellenv.sync.entry import Entry, Version
from shellenv.sync.ignore import OWN

Beside = Callable[[bytes], bytes]
"""A free name for a conflict copy of a path."""


class Yard:
    """The project's root as a place to change things in. Close it at the end.

    `own` is the directory for what comes in (`inside`) and goes (`gone`); syncs of one project with
    several docks have one each.
    """

    def __init__(self, root: bytes, own: bytes, beside: Beside) -> None:
        self.root = root
        self.own, self.inside, self.gone = own, own + b"/in", own + b"/gone"
        self.beside = beside
        self._top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: dict[bytes, int] = {b"": self._top}
        self._closed: dict[bytes, int] = {}  # directories made writable for us, and their modes

    def close(self) -> None:
        """Let go of all directories; those that were made writable get their modes back."""
        for path, mode in self._closed.items():
            with suppress(OSError):
                os.fchmod(self.directory(path), mode)
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open = {}

    def prepare(self) -> None:
        """Make the directory that files come into. Raises ShellenvError if that cannot be."""
        try:
            own = self._make_own()
            if os.fstat(own).st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "it belongs to another user")
            for name in (b"in", b"gone"):
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=own)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(b".gitignore", flags, 0o600, dir_fd=own), "wb") as stream:
                stream.write(b"*\n")
        except OSError as error:
            raise ShellenvError(
                f"cannot use {os.fsdecode(self.root + b'/' + self.own)}: {error.strerror}",
                "nothing was changed here; check permissions and free space",
            ) from error

    def _make_own(self) -> int:
        """Make the directory of ours, and return its descriptor."""
        while True:
            with suppress(FileExistsError):
                os.mkdir(OWN, 0o700, dir_fd=self._writable(b""))
            try:
                with suppress(FileExistsError):
                    os.mkdir(self.own.rpartition(b"/")[2], 0o700, dir_fd=self.directory(OWN))
                return self.directory(self.own)
            except FileNotFoundError:  # a sync with another dock has just cleared it away
                self._forget(OWN)

    def flush(self, names: Sequence[bytes]) -> None:
        """Have what has come to these paths on the disk, before a note says that it is here."""
        if len(names) > swap.FEW:
            swap.flush(self._top)
            return
        for name in names:
            above, _, last = name.rpartition(b"/")
            with suppress(OSError):  # it has gone, or is no file
                parent = self.directory(above)
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(last, flags, dir_fd=parent)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.fsync(parent)

    def clear(self) -> None:
        """Remove the directory that files came into, with all that is left in it."""
        import shutil

        self._forget(OWN)
        own = self.root + b"/" + self.own
        try:
            with suppress(FileNotFoundError):
                shutil.rmtree(own)
        except PermissionError:  # what is read-only at the dock came in as that
            for directory, _, _ in os.walk(own):
                os.chmod(directory, 0o700)
            shutil.rmtree(own)
        with suppress(OSError):  # another dock's may be in it
            os.rmdir(OWN, dir_fd=self._top)

    # --- looking ----------------------------------------------------------------------------------

    def directory(self, path: bytes) -> int:
        """A descriptor of the directory `path`. Raises OSError; ELOOP or ENOTDIR where a part of
        it is no directory."""
        found = self._open.get(path)
        if found is not None:
            return found
        above, _, name = path.rpartition(b"/")
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self.directory(above))
        if len(self._open) > 200:
            for old in [old for old in self._open if old and not path.startswith(old + b"/")]:
                os.close(self._open.pop(old))
        self._open[path] = descriptor
        return descriptor

    def _forget(self, path: bytes) -> None:
        for old in [old for old in self._open if old == path or old.startswith(path + b"/")]:
            os.close(self._open.pop(old))

    def look(self, path: bytes) -> bytes | None:
        """The record of what is at `path`; None if nothing is, or its directory is none that we may
        look into. Raises OSError for all else: what is only not seen must not count as gone."""
        above, _, name = path.rpartition(b"/")
        try:
            descriptor = self.directory(above)
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            target = b""
            if stat.S_ISLNK(status.st_mode):
                target = os.readlink(name, dir_fd=descriptor)
        except OSError as error:
            if error.errno not in _UNSEEN:
                raise
            return None
        return tree.record(path, status, target)

    def entry(self, path: bytes) -> Entry | None:
        """What is at `path`, read."""
        found = self.look(path)
        return None if found is None else entry.read(found)[1]

    def digest(self, path: bytes) -> bytes | None:
        """The digest of the file at `path`; None if there is none, or it cannot be read."""
        above, _, name = path.rpartition(b"/")
        try:
            return contents.digest_of(name, self.directory(above))
        except OSError:
            return None

    def is_at(self, path: bytes, version: Version) -> bool:
        """Is it this version that is at `path`?"""
        return version.is_at(self.entry(path), lambda: self.digest(path))

    # --- changing ---------------------------------------------------------------------------------

    def install(self, path: bytes, expected: Version | None) -> bytes | None:
        """Put what has come in for `path` in its place, if `expected` is what is there.

        Returns the name at which it is now: `path`, or a conflict copy's if something else was
        there; None if nothing has come in. Raises OSError.
        """
        above, _, name = path.rpartition(b"/")
        staged_above = self.inside + b"/" + above if above else self.inside
        try:
            staged = self._writable(staged_above)
            os.stat(name, dir_fd=staged, follow_symlinks=False)
        except FileNotFoundError:
            return None
        try:
            target = self._writable(above)
            if expected is None:
                swap.place(staged, name, target, name)
                return path
            gone = partial(self._made, self.gone + b"/" + above if above else self.gone)
            swap.exchange(staged, name, target, name, gone)
            if self.is_at(self.inside + b"/" + path, expected):
                return path
            # Somebody was quicker. Theirs goes back; what has come in is at `staged` again.
            swap.exchange(staged, name, target, name, gone)
        except OSError as error:
            if error.errno not in _OBSTRUCTED:
                raise
        return self.keep(self.inside + b"/" + path, path)

    def keep(self, source: bytes, path: bytes) -> bytes:
        """Move `source` (a path of ours) beside `path`, under a name that is free: its new name.

        If the directory of `path` is gone, it goes beside the nearest one that is there.
        """
        while True:
            copy = self.beside(path)
            try:
                self._move(source, copy)
                return copy
            except FileExistsError:
                continue
            except OSError as error:
                above = copy.rpartition(b"/")[0]
                if error.errno not in _OBSTRUCTED or not above:
                    raise
                path = above

    def delete(self, path: bytes, expected: Version) -> bool:
        """Take a file or link out of the project if it is the expected version, else leave it."""
        above, _, name = path.rpartition(b"/")
        self.make_directories(self.gone + b"/" + above if above else self.gone)
        gone = self.gone + b"/" + path
        if not self.is_at(path, expected):
            return False
        with suppress(FileNotFoundError):
            swap.place(self._writable(above), name, self.directory(gone.rpartition(b"/")[0]), name)
            if not self.is_at(gone, expected):
                self.restore(gone, path)
                return False
        return True

    def restore(self, source: bytes, path: bytes) -> bytes:
        """Put something of ours back at `path`, or beside it if the place is taken."""
        try:
            self._move(source, path)
            return path
        except OSError:
            return self.keep(source, path)

    def _move(self, source: bytes, path: bytes) -> None:
        """Rename `source` to `path`. Raises FileExistsError if there is something, and OSError."""
        above, _, name = path.rpartition(b"/")
        source_above, _, source_name = source.rpartition(b"/")
        swap.place(self._writable(source_above), source_name, self._writable(above), name)

    def delete_directory(self, path: bytes) -> bool:
        """Remove a directory; False if something is in it. Raises OSError."""
        above, _, name = path.rpartition(b"/")
        self._forget(path)
        try:
            os.rmdir(name, dir_fd=self._writable(above))
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno not in _OBSTRUCTED:
                raise
            return False
        return True

    def make_directory(self, path: bytes, mode: int) -> bool:
        """Make a directory, writable for now (`chmod` is the last step). False if that fails."""
        above, _, name = path.rpartition(b"/")
        try:
            os.mkdir(name, mode | 0o700, dir_fd=self._writable(above))
        except FileExistsError:
            found = self.entry(path)
            return found is not None and found.kind == "d"
        return True

    def make_room(self, path: bytes) -> None:
        """Make the directories above `path` that are missing, as they came in."""
        above = path.rpartition(b"/")[0]
        if above and self.look(above) is None:
            self.make_room(above)
            came = self.entry(self.inside + b"/" + above)
            self.make_directory(above, came.mode if came else 0o755)

    def make_directories(self, path: bytes) -> None:
        """Make the directory `path` and those above it, for ourselves."""
        try:
            self.directory(path)
        except FileNotFoundError:
            above, _, name = path.rpartition(b"/")
            self.make_directories(above)
            os.mkdir(name, 0o700, dir_fd=self.directory(above))

    def _made(self, path: bytes) -> int:
        self.make_directories(path)
        return self.directory(path)

    def chmod(self, path: bytes, mode: int, directory: bool) -> None:
        """Give a file, or a `directory`, its permissions, through no link, and to nothing else."""
        above, _, name = path.rpartition(b"/")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        parent = self.directory(above)
        try:
            descriptor = os.open(name, flags, dir_fd=parent)
        except PermissionError:  # a file that not even we can read
            found = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
            if stat.S_ISREG(found) and not directory:
                os.chmod(name, mode, dir_fd=parent)
            return
        try:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode) == directory:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        self._closed.pop(path, None)

    def _writable(self, path: bytes) -> int:
        """A descriptor of a directory in which names can be made; its mode comes back later."""
        descriptor = self.directory(path)
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o300 != 0o300 and os.geteuid() != 0:
            os.fchmod(descriptor, mode | 0o700)
            self._closed.setdefault(path, mode)
        return descriptor

    def left(self, top: bytes) -> Iterator[bytes]:
        """The files and links below `top`, one of our own directories, relative to it; also those
        in what somebody had closed. Raises OSError where that cannot be told."""
        for directory, names, files in os.walk(self.root + b"/" + top, onerror=_raised):
            inside = directory[len(self.root) + len(top) + 2 :]
            links = [name for name in names if os.path.islink(directory + b"/" + name)]
            for name in names:
                path = directory + b"/" + name
                if name not in links and os.lstat(path).st_mode & 0o700 != 0o700:
                    os.chmod(path, 0o700)
            for name in (*files, *links):
                yield inside + b"/" + name if inside else name


def _raised(error: OSError) -> None:
    if error.errno != errno.ENOENT:
        raise error


_UNSEEN = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES)

_OBSTRUCTED = (
    errno.EEXIST,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.EISDIR,
    errno.ENOTEMPTY,
)
"""Not the system's failure: something else is in the way, or something is gone."""
