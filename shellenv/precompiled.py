"""Templates without Jinja: what Jinja's compiler made of them, and what that needs to run.

Importing Jinja takes 40 ms and compiling a template 8: most of the first cd into a project, at
which a person waits. So an installed package has each template as a Python module, compiled when
the wheel was built (hatch_build.py). A source tree has none, and there Jinja itself renders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

HEADER = "from jinja2.runtime import "
"""How a module that Jinja has compiled begins, before it imports the names it may need."""

missing = object()
"""The value of a name that the template was not given."""


def module_name(template: str) -> str:
    """The module for the template file `template`, in the package `shellenv`."""
    return f"compiled_{template.replace('.', '_')}"


def adapt(source: str) -> str:
    """The Python code that Jinja made of a template, importing from here what it needs."""
    first, rest = source.split("\n", 1)
    if not first.startswith(HEADER):
        raise ValueError(f"Jinja compiles differently now: {first}")
    return f"from {__name__} import Loop as LoopContext, missing, str_join, Undefined\n{rest}"


def find(template: str) -> Any | None:
    """The module for `template`; None where there is none."""
    try:
        return __import__(f"{__package__}.{module_name(template)}", fromlist=["root"])
    except ModuleNotFoundError:
        return None


def render(module: Any, finalize: Callable[[object], str], values: Mapping[str, object]) -> str:
    """The text of a compiled template; each value that it prints goes through `finalize`.

    Raises NameError or AttributeError where the template asks for what is not there.
    """
    module.environment = Environment(finalize)
    return "".join(cast("Iterator[str]", module.root(Context(values))))


# --- what compiled templates call, by the names that Jinja's compiler gives it --------------------
#
# This is not all of Jinja: a template that uses more of it fails in tests/test_precompiled.py, and
# what it uses is to be added here.


class Undefined:
    """What is not there: nothing can be done with it."""

    def __init__(self, name: str) -> None:
        raise NameError(f"{name} is undefined")


class Context:
    """The values that a template was given, and those that it has set itself."""

    eval_ctx = None

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values
        self.vars: dict[str, object] = {}
        self.exported_vars: set[str] = set()

    def resolve_or_missing(self, name: str) -> object:
        return self.values.get(name, missing)


class Environment:
    """How values are looked into, and printed."""

    undefined = Undefined
    concat = "".join
    getattr = staticmethod(getattr)

    def __init__(self, finalize: Callable[[object], str]) -> None:
        from shellenv.shells import Code

        self.finalize = finalize
        self.filters = {"code": Code, "join": _join}


class Loop:
    """`loop`, and the items with it."""

    def __init__(self, items: Iterable[object], _undefined: object) -> None:
        self.items = tuple(items)
        self.index0 = -1

    def __iter__(self) -> Iterator[tuple[object, Loop]]:
        for index, item in enumerate(self.items):
            self.index0 = index
            yield item, self

    @property
    def index(self) -> int:
        return self.index0 + 1

    @property
    def length(self) -> int:
        return len(self.items)

    @property
    def first(self) -> bool:
        return self.index0 == 0

    @property
    def last(self) -> bool:
        return self.index == self.length


def str_join(parts: Iterable[object]) -> str:
    """The operator `~`."""
    return "".join(map(str, parts))


def _join(_eval_ctx: None, words: Iterable[str], separator: str) -> str:
    return separator.join(words)
