"""Every place on disk that shellenv reads or writes, by the XDG base directory specification."""

from __future__ import annotations

import os
import stat

from shellenv.context import Context
from shellenv.errors import ShellenvError

USER_FILE = "dockerutils.cfg"
"""The name of the system's and the user's configuration file."""

PROJECT_FILES = ("docker/dockerutils.cfg", "dockerutils.cfg")
"""A project's configuration files, relative to its directory; the later one wins."""


def config_dir(ctx: Context) -> str | None:
    """The user's configuration directory; None without a home."""
    return _base(ctx, "XDG_CONFIG_HOME", ".config")


def cache_dir(ctx: Context) -> str | None:
    """Where rendered snippets are kept; may be deleted at any time. None without a home."""
    return _base(ctx, "XDG_CACHE_HOME", ".cache")


def state_dir(ctx: Context) -> str | None:
    """Where approvals, the past of syncs and notes of runs are kept. None without a home."""
    return _base(ctx, "XDG_STATE_HOME", ".local/state")


def runtime_dir(ctx: Context) -> str:
    """Where sockets are, gone after a restart: `$XDG_RUNTIME_DIR/shellenv`; where that is not set,
    below what systemd would set it to, or else `/tmp/shellenv-UID`."""
    for base in (ctx.env.get("XDG_RUNTIME_DIR", ""), f"/run/user/{ctx.uid}"):
        if base.startswith("/") and os.path.isdir(base):
            return f"{base.rstrip('/')}/shellenv"
    return f"/tmp/shellenv-{ctx.uid}"


def system_file(ctx: Context) -> str:
    """The machine's configuration file."""
    return f"{ctx.system_config}/{USER_FILE}"


def user_file(ctx: Context) -> str | None:
    """The user's configuration file; None without a home."""
    base = config_dir(ctx)
    return None if base is None else f"{base}/{USER_FILE}"


def personal_file(ctx: Context, name: str) -> str | None:
    """The user's own settings for projects called `name`; None without a home."""
    base = config_dir(ctx)
    return None if base is None else f"{base}/projects/{name}.cfg"


def in_home(ctx: Context, path: str) -> str | None:
    """`path` below the home directory, by concatenation as the shells do it; None without one."""
    if ctx.home is None:
        return None
    return f"{ctx.home.rstrip('/')}/{path}"


def resolve(ctx: Context, path: str, base: str | None) -> str | None:
    """The absolute path that a configuration value means.

    A leading `~` or `~/` is the home directory; a relative path starts at `base`. None where
    what it would start from does not exist. Symbolic links and `..` are left as they are.
    """
    if path == "~":
        return ctx.home
    if path.startswith("~/"):
        return in_home(ctx, path[2:].lstrip("/"))
    if path.startswith("/"):
        return path
    return None if base is None else f"{base.rstrip('/')}/{path}"


def tilde(ctx: Context, path: str) -> str:
    """`path` as people write it: the home directory shortened to `~`."""
    if ctx.home not in (None, "/"):
        if path == ctx.home:
            return "~"
        if path.startswith(f"{ctx.home}/"):
            return "~" + path[len(ctx.home or "") :]
    return path


def private_dir(path: str, uid: int | None = None, follow: bool = True) -> None:
    """Make `path` a directory that only its user can enter (0700), with its parents.

    Raises ShellenvError if it cannot be made or if another user owns it: what is read back from
    there is trusted. A directory that others could enter is closed to them. Without `follow`, a
    symbolic link is refused: in /tmp, anyone could have made it.
    """
    owner = os.geteuid() if uid is None else uid
    try:
        make_private(path)
        status = os.stat(path, follow_symlinks=follow)
        if status.st_uid != owner or stat.S_ISLNK(status.st_mode):
            raise ShellenvError(
                f"{path} belongs to another user",
                "remove it, or have HOME or the XDG_* variable for it name a directory of your own",
            )
        if status.st_mode & 0o077:
            os.chmod(path, 0o700)
    except OSError as error:
        raise ShellenvError(
            f"cannot use {path}: {error.strerror}", "check its permissions and the free space"
        ) from error


def make_private(path: str) -> None:
    """Make the directory `path`, with its parents, such that only its user can enter those that
    were missing. Raises OSError."""
    mask = os.umask(0o077)  # a mode given to makedirs would not count for the parents
    try:
        os.makedirs(path, exist_ok=True)
    finally:
        os.umask(mask)


def _base(ctx: Context, variable: str, default: str) -> str | None:
    # The specification: "All paths set in these environment variables must be absolute. If an
    # implementation encounters a relative path […] it should consider the path invalid."
    base = ctx.env.get(variable, "")
    if base.startswith("/"):
        return f"{base.rstrip('/')}/shellenv"
    return in_home(ctx, f"{default}/shellenv")
