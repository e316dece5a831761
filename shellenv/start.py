"""Where the program starts. Python makes an exception of Ctrl-C, and shows it where nobody catches
it: while modules are imported it just ends us."""

# What `signal` is made of: that takes longer to import
import _signal  # type: ignore[import-not-found]

_catches = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
if _catches:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from shellenv import cli  # noqa: E402


def program() -> None:
    """`cli.program`."""
    if _catches:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    cli.program()
