"""A machine to dock to, for benchmarks: this one, by way of its own sshd and a slow network.

Docker's engine is the same at both ends, so that what is compared is the way there and nothing
else. ssh reads a configuration of its own, by a program `ssh` in front of the real one in PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parent.parent / "tests"
CONFIG = """\
Host near-{ms}ms far-{ms}ms
  HostName 127.0.0.1
  Port {port}
  IdentityFile {base}/key
  UserKnownHostsFile {base}/known
Host far-{ms}ms
  ControlMaster auto
  ControlPath {base}/c-%C
  ControlPersist 60
"""


class Harbour(NamedTuple):
    """`near-Nms` is a host N ms away; `far-Nms` is the same one with OpenSSH's own multiplexing."""

    base: Path
    env: dict[str, str]
    ports: dict[int, int]  # by the distance in ms, for clients that read no configuration


@contextmanager
def harbour(milliseconds: tuple[int, ...]) -> Iterator[Harbour]:
    """The machine, as far away as each of these says, while the `with` statement lasts."""
    sys.path.insert(0, str(TESTS))
    import tempfile
    from contextlib import ExitStack

    servers: Any = __import__("servers")
    proxies: Any = __import__("proxies")
    base = Path(tempfile.mkdtemp(prefix="shellenv-bench-"))
    home, programs = base / "home", base / "programs"
    for directory in (home, programs, base / "run"):
        directory.mkdir()
    (home / "remote").symlink_to("/usr/bin")  # its PATH
    subprocess.run(["ssh-keygen", "-qN", "", "-t", "ed25519", "-f", base / "key"], check=True)
    shutil.copy(base / "key.pub", base / "authorized_keys")
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {base}/config "$@"\n')
    ssh.chmod(0o755)
    server = servers.Server(
        base / "server", SimpleNamespace(name="root", base=base, home=home), "127.0.0.1"
    )
    env = {
        **{name: os.environ[name] for name in ("LANG", "TERM") if name in os.environ},
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{programs}:/usr/local/bin:/usr/bin:/bin",
        "XDG_RUNTIME_DIR": str(base / "run"),
    }
    try:
        with ExitStack() as stack:
            config, known, ports = "", "", {}
            for ms in milliseconds:
                way = server  # which a proxy would make slower
                if ms:
                    way = stack.enter_context(proxies.Proxy(server.target, ms / 1000))
                config += CONFIG.format(ms=ms, port=way.port, base=base)
                ports[ms] = way.port
                known += server.known_line(f"[127.0.0.1]:{way.port}")
            (base / "config").write_text(config)
            (base / "known").write_text(known)
            yield Harbour(base, env, ports)
    finally:
        server.stop()
        shutil.rmtree(base)
