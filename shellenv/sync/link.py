"""The connection that `sync-up` and `sync-down` use when nobody has made one for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from shellenv import docks, ssh, sshconfig
from shellenv.context import Context
from shellenv.errors import ShellenvError


@contextmanager
def connected(ctx: Context, name: str | None) -> Iterator[tuple[str, list[str]]]:
    """The moniker of the dock called `name` (by default the one this shell is docked to), and the
    words that run a command there, over one connection.

    Raises ShellenvError if there is no such dock, or if it cannot be reached.
    """
    import subprocess
    import tempfile
    import time

    name = name or ctx.env.get("SHELLENV_DOCK") or ctx.shell_env.get("SHELLENV_DOCK")
    if not name:
        raise ShellenvError("which dock?", "name one (shellenv ls-dock lists them), or dock first")
    dock = docks.find(docks.known(ctx).docks, name)
    program = ssh.program(ctx)
    home = ssh.home()
    own = docks.own_file(ctx)
    known = sshconfig.has_include(sshconfig.read(f"{home}/.ssh/config"), own, home)
    words = [dock.moniker] if known and dock.source == own else ssh.words(dock)
    limit = ssh.connect_timeout(ctx)
    with tempfile.TemporaryDirectory(prefix="shellenv-") as directory:
        control = f"{directory}/ctl"
        with open(f"{directory}/said", "w+b") as said:
            master = subprocess.Popen(
                [program, "-MNT", "-S", control, "-o", f"ConnectTimeout={limit}", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=dict(ssh.surroundings(ctx)),
            )
            try:
                end = time.monotonic() + limit + 60  # a person may have to touch a key
                while not os.path.exists(control):
                    if master.poll() is not None or time.monotonic() > end:
                        said.seek(0)
                        status = 255 if master.poll() is not None else None
                        done = ssh.Done(status, "", os.fsdecode(said.read()))
                        raise ssh.diagnose(done, dock.moniker, {}, limit).error()
                    time.sleep(0.005)
                yield dock.moniker, ["ssh", "-S", control, *words]
            finally:
                master.terminate()
                master.wait()
