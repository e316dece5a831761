"""`subprocess` as this program uses it: Ctrl-Z at any moment stops us as it should.

vfork(2), which Python's and posix_spawn(3) prefer, holds the parent back until the child has become
another program. A Ctrl-Z in between stops the child, and the parent can then neither stop nor end:
the terminal is nobody's. fork(2) takes 1 ms longer, and has no such moment.
"""

from __future__ import annotations

import subprocess

# Which is how to say so: docs.python.org/3/library/subprocess.html#disable-vfork
subprocess._USE_VFORK = False  # type: ignore[attr-defined]
subprocess._USE_POSIX_SPAWN = False  # type: ignore[misc]

__all__ = ["subprocess"]
