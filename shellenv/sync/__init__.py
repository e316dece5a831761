"""The sync between a project here and its directory at a dock: it never loses a byte.

Each side is compared with its own past (`manifest`), so the two clocks never meet. What to do about
a path is a pure function (`compare`). rsync brings the bytes into a directory of ours (`transfer`);
from there they move to their places (`aside` at the dock, `yard` here). What they replace is kept
and looked at again: a version that nobody had seen becomes a conflict copy. `bracket` is the whole
of it, `verbs` what a person types.

Paths are bytes, relative to the project's root, without `.` and `..`.
"""
