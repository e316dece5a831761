"""Plan to snippet: the code that a shell evaluates. The only importer of Jinja.

Whatever a template prints is quoted for its shell unless it is `Code`, so no template can print a
value as code by mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from shellenv import precompiled, state
from shellenv.byheart import LOOKED_AT, Script, environment_of
from shellenv.plan import Alias, Plan, Ref, Value, Variable
from shellenv.shells import HOOK_VERSION, PLAIN_IN_FISH, SHELLS, Code, Shell
from shellenv.survey import PRESENT, Watch

if TYPE_CHECKING:
    from jinja2 import Environment


RUN = 20
"""Variables set by one call: a shell takes time squared to go through its arguments."""


LOT = 200
"""Variables that fish asks about at once."""

PLAIN_IN_ALIAS = PLAIN_IN_FISH.union(".:@+,")
RESERVED_IN_FISH = (
    " and argparse begin break builtin case command continue else end eval exec for function if"
    " not or read return set status string switch test time while _ "
)
"""Words that are no names of functions, or that begin something else than a command."""


class Guard(NamedTuple):
    """What must be as it was for a snippet to be fresh.

    `stamps` is a directory with one empty file per watched file (named by its index in `changed`)
    that has the modification time which that file had; None where such files cannot be kept.
    `never` makes the snippet stale at once.
    """

    watch: tuple[Watch, ...] = ()
    stamps: str | None = None
    overrides: str = ""
    never: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """Files whose time must not change."""
        return tuple(w.path for w in self.watch if w.mtime not in (None, PRESENT))

    @property
    def present(self) -> tuple[str, ...]:
        """Paths that must stay there."""
        return tuple(w.path for w in self.watch if w.mtime == PRESENT)

    @property
    def absent(self) -> tuple[str, ...]:
        """Paths where there must still be nothing."""
        return tuple(w.path for w in self.watch if w.mtime is None)


def snippet(shell: Shell, plan: Plan, guard: Guard, caution: str = "") -> str:
    """The functions `__shellenv_fresh` and `__shellenv_apply` for `plan`, in `shell`'s language.

    `caution` is about the cache, and said once in a shell.
    """
    plain, others = _split(shell, plan.variables)
    return _render(
        shell,
        "snippet",
        plan=plan,
        guard=guard,
        caution=caution,
        plain_runs=_runs(plain),
        runs=_runs(others),
        short=_short(shell, plan, plain),
        us=Code(state.SEPARATOR),
        names=tuple(map(Code, ("PATH", *LOOKED_AT, *(v.name for v in plan.variables)))),
        hook_ids="".join(hook.id + "\n" for hook in plan.hooks),
    )


def settings(shell: Shell, venv_dir: str, guard: Guard) -> str:
    """The function `__shellenv_settled` and what it vouches for."""
    return _render(shell, "settings", venv_dir=venv_dir, guard=guard)


def word(shell: Shell, value: object) -> str:
    """`value` as one word of `shell`: text quoted, references expanded, `Code` as it is."""
    if isinstance(value, Code):
        return value
    if isinstance(value, str):
        return shell.quote(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return "".join(_part(shell, part) for part in value) or shell.quote("")
    # `str` of a name that does not exist says which
    raise TypeError(f"a template prints {type(value).__name__}: {value!s}")


def _part(shell: Shell, part: str | Ref) -> str:
    return shell.quote(part) if isinstance(part, str) else shell.reference(part.name, part.default)


class Short(NamedTuple):
    """What a shell can set in a row if it is all unset, and take back in a row if it still has it.

    `path` is what goes in front of PATH, the environment's directory last; `values` is what the
    names expand to; `records` is what they leave in the undo log (shellenv.state).
    """

    variables: tuple[Variable, ...]
    aliases: tuple[Alias, ...]
    path: tuple[str, ...]
    values: tuple[str, ...]
    records: str
    venv: str = ""
    script: Script | None = None

    @property
    def id(self) -> Code:
        """Another for whatever else is set: a shell may have the functions of several."""
        return Code(f"{crc32(repr(self).encode('utf-8', 'surrogateescape')):08x}")

    @property
    def variable_names(self) -> tuple[Code, ...]:
        return tuple(Code(variable.name) for variable in self.variables)

    @property
    def alias_names(self) -> tuple[Code, ...]:
        return tuple(Code(alias.name) for alias in self.aliases)

    @property
    def free(self) -> tuple[Code, ...]:
        """Names that must not be an alias's: also what a script would unalias."""
        return (*self.alias_names, *(name for name in self.functions if name == "pydoc"))

    @property
    def exports(self) -> tuple[tuple[Code, Value], ...]:
        """The environment's variables and all others."""
        own = environment_of(self.venv, self.script) if self.script else {}
        return (
            *((Code(name), (value,)) for name, value in own.items()),
            *((Code(variable.name), variable.value) for variable in self.variables),
        )

    @property
    def untouched(self) -> tuple[Code, ...]:
        """Variables that an activate script looks at and must find unset."""
        return tuple(map(Code, LOOKED_AT)) if self.script else ()

    @property
    def functions(self) -> tuple[Code, ...]:
        """What the activate script defines."""
        return tuple(map(Code, self.script.functions)) if self.script else ()

    @property
    def code(self) -> Code:
        return Code(self.script.code if self.script else "")

    @property
    def defined(self) -> int:
        """How many functions are defined in fish, where an alias is one."""
        return len(self.functions) + len(self.aliases)

    @property
    def lots(self) -> tuple[tuple[int, tuple[Code, ...]], ...]:
        """The variables that must be unset."""
        return _lots((*self.untouched, *self.variable_names))

    @property
    def own_lots(self) -> tuple[tuple[int, tuple[Code, ...]], ...]:
        """Those of them that the project sets."""
        return _lots(self.variable_names)

    @property
    def text(self) -> str:
        """All values, a separator behind each."""
        return "".join(f"{value}{state.SEPARATOR}" for value in self.values)

    @property
    def exported(self) -> str:
        """The same with the attributes that bash says they have."""
        return "".join(f"x{value}{state.SEPARATOR}" for value in self.values)

    @property
    def types(self) -> str:
        """The same with the type that zsh says they have."""
        return "".join(f"scalar-export={value}{state.SEPARATOR}" for value in self.values)

    @property
    def commands(self) -> tuple[tuple[Alias, Code], ...]:
        """The aliases, and their values as code of fish's: nothing in them needs quotes."""
        return tuple((alias, Code(alias.value)) for alias in self.aliases)


def _lots(names: tuple[Code, ...]) -> tuple[tuple[int, tuple[Code, ...]], ...]:
    """`names` in lots that fish can count, and their numbers: its $status ends at 255."""
    parts = (names[i : i + LOT] for i in range(0, len(names), LOT))
    return tuple((len(part), part) for part in parts)


def _short(shell: Shell, plan: Plan, plain: Iterable[Variable]) -> Short | None:
    """The short way for `plan`; None if there is nothing to do on it, or if the script of its
    environment is not known by heart."""
    variables = tuple(plain)
    fish = shell.name == "fish"
    aliases = tuple(filter(_is_plain_in_fish if fish else _is_plain, plan.aliases))
    script = plan.venv.script if plan.venv else None
    if not script if plan.venv else not (plan.path or variables or aliases):
        return None
    set_ = [("v", v.name, "".join(map(str, v.value))) for v in variables]
    set_ += [("a", alias.name, alias.value) for alias in (() if fish else aliases)]
    own = environment_of(plan.venv.path, script) if plan.venv and script else {}
    records = [("e", name, value) for name, value in own.items()] + set_
    words = (word for kind, name, value in records for word in (kind, name, "-", f"={value}"))
    front = [directory.path for directory in plan.path]
    if plan.venv:
        front.append(f"{plan.venv.path}/bin")
    return Short(
        variables,
        aliases,
        tuple(front),
        tuple(value for _, _, value in set_),
        "".join(state.encode(word) + state.SEPARATOR for word in words),
        plan.venv.path if plan.venv else "",
        script,
    )


def _is_plain(alias: Alias) -> bool:
    """Can the name stand in a subscript as it is, and the value among others?"""
    return PLAIN_IN_FISH.issuperset(alias.name) and state.SEPARATOR not in alias.value


def _is_plain_in_fish(alias: Alias) -> bool:
    """Can `alias` be written as a function as it is? What it mentions may need a change."""
    words = [alias.name, *alias.value.split(" ")]
    return (
        all(words)
        and PLAIN_IN_ALIAS.issuperset("".join(words))
        and not alias.name.startswith("-")
        and alias.name not in alias.value
        and not any(f" {word} " in RESERVED_IN_FISH for word in words[:2])
    )


def _split(shell: Shell, variables: Iterable[Variable]) -> tuple[list[Variable], list[Variable]]:
    """Those that can be set all at once before the others without making a difference, and the
    others: with references; or referred to by one further up, which means the outer value; or with
    a value that the undo log encodes; or one that a dock may hold, under which it is to go; or one
    that fish reads as something else than it was set to.
    """
    plain: list[Variable] = []
    others: list[Variable] = []
    referred: set[str] = set()
    for variable in variables:
        references = set(_references(variable.value))
        apart = variable.name in state.DOCKED or _is_encoded(variable)
        apart = apart or (shell.name == "fish" and variable.name.endswith("PATH"))
        later = apart or references or variable.name in referred
        (others if later else plain).append(variable)
        referred |= references
    return plain, others


def _is_encoded(variable: Variable) -> bool:
    return any(isinstance(part, str) and state.encode(part) != part for part in variable.value)


def _runs(variables: Iterable[Variable]) -> list[list[Variable]]:
    """Variables in runs in which none refers to one further up: each can be set by one call."""
    runs: list[list[Variable]] = []
    names: set[str] = set()
    for variable in variables:
        full = bool(runs) and len(runs[-1]) == RUN
        if not runs or full or names.intersection(_references(variable.value)):
            runs.append([])
            names = set()
        runs[-1].append(variable)
        names.add(variable.name)
    return runs


def _references(value: Value) -> Iterable[str]:
    return (part.name for part in value if isinstance(part, Ref))


def _render(shell: Shell, template: str, **values: object) -> str:
    file = f"{template}.{shell.name}"
    compiled = precompiled.find(file)
    values["version"] = Code(HOOK_VERSION)
    if compiled is None:
        return _environment(shell).get_template(file).render(values)
    return precompiled.render(compiled, lambda value: word(shell, value), values)


def compile_templates() -> Iterator[tuple[str, str]]:
    """Each template as a Python module that does without Jinja: its name and its source."""
    for shell in SHELLS.values():
        environment = _environment(shell)
        assert environment.loader is not None
        for file in environment.list_templates(extensions=[shell.name]):
            text, _, _ = environment.loader.get_source(environment, file)
            source = environment.compile(text, file, raw=True, defer_init=True)
            yield precompiled.module_name(file), precompiled.adapt(source)


def _environment(shell: Shell) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from shellenv.installation import templates_dir

    environment = Environment(
        loader=FileSystemLoader(templates_dir()),
        undefined=StrictUndefined,
        finalize=lambda value: word(shell, value),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="{=",  # `${#array}` is code, not a comment
        comment_end_string="=}",
        cache_size=0,
        autoescape=False,
    )
    environment.filters["code"] = Code  # for the names of variables, which are checked
    return environment
