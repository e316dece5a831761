"""The connection that `sync-up` and `sync-down` use when nobody has made one for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from shellenv import docks, ssh, sshconfig
from shellenv.context import Context
from shellenv.errors import ShellenvError


def words_of(ctx: Context, name: str | None) -> tuple[str, list[str]]:
    """The moniker of the dock called `name` (by default the one this shell is docked to), and the
    words behind ssh that reach it. Raises ShellenvError if there is no such dock."""
    name = name or ctx.env.get("SHELLENV_DOCK") or ctx.shell_env.get("SHELLENV_DOCK")
    if not name:
        raise ShellenvError("which dock?", "name one (shellenv ls-dock lists them), or dock first")
    dock = docks.find(docks.known(ctx).docks, name)
    home, own = ssh.home(), docks.own_file(ctx)
    known = sshconfig.has_include(sshconfig.read(f"{home}/.ssh/config"), own, home)
    return dock.moniker, [dock.moniker] if known and dock.source == own else ssh.words(dock)


@contextmanager
def connected(ctx: Context, name: str | None) -> Iterator[tuple[str, list[str]]]:
    """The dock as `words_of` finds it, and the words that run a command there, over one connection
    that lasts as long as the context. Raises ShellenvError if it cannot be reached."""
    import subprocess
    import tempfile
    import time

    moniker, words = words_of(ctx, name)
    program = ssh.program(ctx)
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
                        raise ssh.diagnose(done, moniker, {}, limit).error()
                    time.sleep(0.005)
                yield moniker, ["ssh", "-S", control, *words]
            finally:
                master.terminate()
                master.wait()
