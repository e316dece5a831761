"""Quoting, proved: names and values through template and shell and back, byte for byte."""

from __future__ import annotations

import os
import random
import string
from collections.abc import Sequence
from pathlib import Path

import pytest
import rendering
from harness import Shell, run, write
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rendering import outside, visit

from shellenv import export, state
from shellenv.context import Context
from shellenv.names import alias_problem, variable_problem
from shellenv.plan import Hook, Plan, Ref
from shellenv.shells import SHELLS

PLAN = Plan(key="/key", root="/root", name="name")

# What means something to some shell, to a template, to the undo log or to a terminal
TOKENS: tuple[bytes, ...] = (
    *(bytes([byte]) for byte in range(1, 256)),
    *rb"""'\'' '' \' \\ \" $'\n' $"x" `id` $(id) (id) ${HOME} $HOME $$ $? $_ ${x:- $((1+1))
    {$HOME} {a,b} ~/ ~root !! !$ !1 ^a^b %1F %25 %s %n \n \c \x41 \u00e9 \0 \1 -n -- -e #c
    [a-z] **/* =ls == && || ;; &> <( >( {{x}} {%raw%} {#x#} {= =} -x =x ~x function end if
    !declare""".split(),
    *(b"\r\n", b"\n\n", b"\n#", b"\\\n", b" #", b"\nEOF\n", b"\x1b[31m", b"\x1b]0;x\x07"),
    # UTF-8: whole, half, too much; unusual blanks and directions
    *(b"\xc3\xa9", b"\xf0\x9f\x90\x9a", b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *(b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xc2\x85", b"\xc2\xa0", b"\xef\xbb\xbf"),
    # what fish and zsh use themselves for other bytes
    *(b"\xef\x98\x80", b"\xef\x9b\xbf", b"\xef\xb7\x90", b"\xee\x80\x80", b"\x83\x20"),
)

# Values of these change what the program that reads the environment back does with it.
CHANGES_THE_READER = {"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"}

BYTES = st.binary(max_size=12).map(lambda value: value.replace(b"\0", b""))
PIECES = st.lists(st.one_of(st.sampled_from(TOKENS), BYTES), max_size=8).map(b"".join)
NAMES: st.SearchStrategy[str] = st.from_regex(
    r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True
).filter(lambda name: variable_problem(name) == "" and name not in CHANGES_THE_READER)

many = settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # the home stays as it is
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)


PERSONAL = "[shellenv.env]\nHERE = yes\n"


class Batch:
    """Names and values for one shell: those that hypothesis chose, and others made of them."""

    def __init__(self, names: Sequence[str], pieces: Sequence[bytes], seed: int) -> None:
        self.random = random.Random(seed)
        self.names = iter([*dict.fromkeys(names)])
        self.used: set[str] = set(names)
        self.pieces = [*pieces, b""]
        self.given = iter(pieces)

    def __repr__(self) -> str:
        return f"Batch(pieces={self.pieces!r})"

    def name(self) -> str:
        for name in self.names:
            return name
        letters = string.ascii_letters + "_"
        while True:
            name = "".join(
                self.random.choices(letters + string.digits, k=self.random.randint(1, 9))
            )
            name = self.random.choice(letters) + name
            if name not in self.used and variable_problem(name) == "":
                self.used.add(name)
                return name

    def value(self) -> str:
        for piece in self.given:
            return os.fsdecode(piece)
        pick = self.random.choice
        kind = self.random.random()
        if kind < 0.3:
            value = pick(self.pieces) + pick(TOKENS) + pick(self.pieces)
        elif kind < 0.6:
            value = b"".join(self.random.choices(TOKENS, k=self.random.randint(0, 12)))
        elif kind < 0.9:
            value = self.random.randbytes(self.random.randint(0, 40)).replace(b"\0", b"")
        else:
            text = (chr(self.random.randrange(1, 0x11_0000)) for _ in range(12))
            value = "".join(text).encode("utf-8", "ignore")
        return os.fsdecode(value)

    def values(self, number: int) -> dict[str, str]:
        return {self.name(): self.value() for _ in range(number)}

    def words(self, number: int, forbidden: str = "") -> list[str]:
        """Different values that are not empty and contain no character of `forbidden`."""
        found: dict[str, None] = {}
        while len(found) < number:
            word = "".join(char for char in self.value() if char not in forbidden)
            if word:
                found[word] = None
        return [*found]


BATCHES = st.builds(
    Batch,
    st.lists(NAMES, max_size=20, unique=True),
    st.lists(PIECES, max_size=40),
    st.integers(0, 2**64),
)


def differences(wanted: dict[str, str], got: dict[str, str]) -> dict[str, tuple[object, object]]:
    """The names whose values are not as wanted, with both values: short where all is well."""
    return {
        name: (wanted.get(name), got.get(name))
        for name in sorted({*wanted, *got})
        if wanted.get(name) is None
        or got.get(name) is None
        # as bytes: two halves of a character may have come together
        or os.fsencode(wanted[name]) != os.fsencode(got[name])
    }


def check(shell: Shell, wanted: dict[str, str], seen: rendering.Visit) -> None:
    """Inside there is what was wanted and nothing else; afterwards all is as it was; and the core
    reads the same out of the undo log."""
    assert (seen.result.status, seen.result.stderr[:2000]) == (0, "")
    assert differences({**seen.before, **wanted}, outside(seen.inside)) == {}
    assert differences(seen.before, seen.after) == {}
    assert differences(seen.before, state.revert(seen.inside)) == {}
    log = state.read(seen.inside)
    assert (log.key, log.root) == (PLAN.key, PLAN.root), shell


@settings(many, max_examples=40)
@given(batch=BATCHES)
def test_any_value_of_any_variable_arrives_as_it_is(shell: Shell, batch: Batch) -> None:
    wanted = batch.values(400)
    seen = visit(shell, PLAN._replace(variables=rendering.variables(wanted)))
    check(shell, wanted, seen)


@settings(many, max_examples=15)
@given(batch=BATCHES)
def test_any_value_that_is_replaced_comes_back_as_it_was(shell: Shell, batch: Batch) -> None:
    wanted = batch.values(200)
    before = {name: batch.value() for name in wanted}
    seen = visit(shell, PLAN._replace(variables=rendering.variables(wanted)), before)
    assert differences(before, {name: seen.before.get(name, "") for name in before}) == {}
    check(shell, wanted, seen)


@settings(many, max_examples=15)
@given(batch=BATCHES)
def test_references_expand_to_any_value_between_any_text(shell: Shell, batch: Batch) -> None:
    before = batch.values(40)
    names = [*before]
    plan, wanted = {}, {}
    for _ in range(150):
        name, known = batch.name(), batch.random.choice(names)
        left, right, default = batch.value(), batch.value(), batch.value()
        missing = Ref(f"missing_{batch.random.randrange(9)}", default)
        plan[name] = tuple(part for part in (left, Ref(known), missing, right) if part != "")
        wanted[name] = left + before[known] + default + right
    seen = visit(shell, PLAN._replace(variables=rendering.variables(plan)), before)
    check(shell, wanted, seen)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX", "no_SUCH.locale"])
def test_the_locale_has_no_say(shell: Shell, locale: str) -> None:
    batch = Batch([], TOKENS, 7)
    wanted = batch.values(len(TOKENS) + 200)
    before = {name: batch.value() for name in [*wanted][::2]}
    before.pop("LC_ALL", None)
    seen = visit(
        shell,
        PLAN._replace(variables=rendering.variables(wanted)),
        {**before, "LC_ALL": locale},
    )
    seen = seen._replace(result=seen.result._replace(stderr=""))  # bash: cannot change locale
    check(shell, wanted, seen)


@settings(many, max_examples=5)
@given(batch=BATCHES)
def test_values_may_be_a_hundred_kilobytes_long(shell: Shell, batch: Batch) -> None:
    # Linux: one string of the environment at most 128 KiB, all of them 2 MiB by default.
    wanted = {}
    for length in (100_000, 99_999, 30_000, 29_999, 65_536):
        text = os.fsencode("".join(batch.value() for _ in range(200)) or "'")
        value = (text * (length // len(text) + 1))[:length]
        wanted[batch.name()] = os.fsdecode(value)
    seen = visit(shell, PLAN._replace(variables=rendering.variables(wanted)))
    check(shell, wanted, seen)


@settings(many, max_examples=10)
@given(batch=BATCHES)
def test_any_entry_of_path_arrives_and_leaves(shell: Shell, batch: Batch) -> None:
    # A colon separates entries: no shell and no system can have one in an entry.
    entries = [f"/{word}" for word in batch.words(60, forbidden=":")]
    theirs = [f"/{word}" for word in batch.words(20, forbidden=":")]
    path = ":".join([*theirs, shell.env["PATH"]])
    seen = visit(shell, PLAN._replace(path=rendering.directories(entries)), {"PATH": path})
    check(shell, {"PATH": ":".join([*entries, path])}, seen)


@settings(many, max_examples=10)
@given(batch=BATCHES)
def test_any_path_may_be_key_and_root(shell: Shell, batch: Batch) -> None:
    words = batch.words(2)
    plan = PLAN._replace(key=f"/{words[0]}", root=f"/{words[1]}")
    seen = visit(shell, plan._replace(variables=rendering.variables({"ONE": words[0]})))
    log = state.read(seen.inside)
    assert (log.key, log.root) == (plan.key, plan.root)
    assert differences(seen.before, seen.after) == {}
    assert (seen.result.status, seen.result.stderr) == (0, "")


@settings(many, max_examples=3)
@given(batch=BATCHES)
def test_any_name_of_a_directory_is_found_by_the_shell_in_the_cache(
    shell: Shell, batch: Batch
) -> None:
    home = shell.home.path
    names = {
        os.fsdecode(name)
        for name in (os.fsencode(word)[:200] for word in batch.words(80, forbidden="/"))
        if name not in (b".", b"..")
    }
    parent = home / f"{batch.random.randrange(10**9)}"  # hypothesis runs this often in one home
    directories = [str(parent / name) for name in sorted(names)]
    for directory in directories:
        Path(directory).mkdir(parents=True)
        write(shell.home.config / f"projects/{os.path.basename(directory)}.cfg", PERSONAL)
    for directory in directories:
        context = Context(directory, shell.env, str(home), os.geteuid())
        export.code(context, SHELLS[shell.name])
    show = 'builtin printf "%s\\0" "$SHELLENV_ROOT" "$PWD"'
    gone = shell.set("__shellenv_bin", "/nowhere", export=False)  # the cache must do
    lines = [gone, *(f"{shell.cd(directory)}\n{show}" for directory in directories)]
    said = shell.script("\n".join(lines)).ok().split("\0")[:-1]
    assert said == [word for directory in directories for word in (directory, directory)]


@settings(many, max_examples=10)
@given(batch=BATCHES)
def test_any_notice_is_said_as_it_is(shell: Shell, batch: Batch) -> None:
    # Each once, and lines as lines: none may be another one's line.
    notices = [f"{number} {word}" for number, word in enumerate(batch.words(40))]
    seen = visit(shell, PLAN._replace(notices=tuple(notices)))
    assert seen.result.stderr == "".join(f"shellenv: {notice}\n" for notice in notices)


@settings(many, max_examples=10)
@given(batch=BATCHES)
def test_any_code_of_a_hook_runs_as_it_stands(shell: Shell, batch: Batch) -> None:
    values = [batch.value() for _ in range(30)]
    hooks = tuple(
        Hook(
            f"/{number} #{word}",
            shell.set(f"ENTERED_{number}", value),
            shell.set(f"LEFT_{number}", value),
        )
        for number, (value, word) in enumerate(
            zip(values, batch.words(30, forbidden="\n"), strict=True)
        )
    )
    seen = visit(shell, PLAN._replace(hooks=hooks))
    assert (seen.result.status, seen.result.stderr) == (0, "")
    entered = {f"ENTERED_{number}": value for number, value in enumerate(values)}
    left = {f"LEFT_{number}": value for number, value in enumerate(values)}
    assert differences({**seen.before, **entered}, outside(seen.inside)) == {}
    assert differences({**seen.before, **entered, **left}, seen.after) == {}


RUNS = {"bash": "shopt -s expand_aliases", "zsh": "setopt aliases", "fish": ""}


@settings(many, max_examples=10)
@given(batch=BATCHES)
def test_any_value_of_an_alias_runs_as_it_stands(shell: Shell, batch: Batch) -> None:
    # As words of its command line: a newline ends a command, also in an alias.
    values = [value.replace("\n", " ") for value in batch.words(40)]
    names = [batch.name() for _ in values]
    names = [name for name in names if not alias_problem(name)]
    out = shell.quote(shell.home.path.parent / "said")
    plan = PLAN._replace(
        aliases=rendering.aliases(
            {
                name: f"printf '%s\\0' {shell.quote(value)}"
                for name, value in zip(names, values, strict=False)
            }
        )
    )
    calls = "\n".join(f"eval {name} >>{out}" for name in names)
    write(shell.home.path.parent / "said", "")
    seen = visit(shell, plan, before=RUNS[shell.name], inside=calls)
    assert (seen.result.status, seen.result.stderr) == (0, "")
    said = os.fsdecode((shell.home.path.parent / "said").read_bytes()).split("\0")[:-1]
    wanted = dict(zip(names, values, strict=False))
    assert differences(wanted, dict(zip(names, said, strict=True))) == {}
    assert differences(seen.before, seen.after) == {}


READ_ALIAS = {
    "bash": 'printf "%s\\0" "${{BASH_ALIASES[{}]-none}}"',
    "zsh": 'printf "%s\\0" "${{aliases[{}]-none}}"',
}


@pytest.mark.shells("bash", "zsh")
@settings(many, max_examples=10)
@given(batch=BATCHES)
def test_any_text_may_be_an_alias_and_the_old_one_comes_back(shell: Shell, batch: Batch) -> None:
    names = [name for name in (batch.name() for _ in range(60)) if not alias_problem(name)]
    # odd names, as far as they are allowed
    names += [word for word in batch.words(60, "]") if not alias_problem(word)]
    wanted = {name: batch.value() for name in names}
    before = {name: batch.value() for name in names[::2]}
    for values in (wanted, before):
        values.update({name: "x" for name, value in values.items() if not value})
    define = "\n".join(f"alias -- {shell.quote(f'{n}={v}')}" for n, v in before.items())
    if shell.name == "bash":
        define = define.replace("alias -- ", "alias ")
    read = "\n".join(READ_ALIAS[shell.name].format(shell.quote(name)) for name in names)
    if shell.name == "zsh":  # no quotes in subscripts there
        read = "\n".join(
            f"n={shell.quote(name)}; {READ_ALIAS['zsh'].format('$n')}" for name in names
        )
    plan = PLAN._replace(aliases=rendering.aliases(wanted))
    seen = visit(shell, plan, before=define, inside=read, after=read)
    assert (seen.result.status, seen.result.stderr) == (0, "")
    said = seen.result.stdout.split("\0")[:-1]
    assert len(said) == 2 * len(names)
    inside, after = said[: len(names)], said[len(names) :]
    assert differences(wanted, dict(zip(names, inside, strict=True))) == {}
    gone = dict.fromkeys(names, "none")
    assert differences({**gone, **before}, dict(zip(names, after, strict=True))) == {}


# All names that some shell has of its own, where they are programs' names and variables.
LIST_NAMES = {
    "bash": "compgen -v",
    "zsh": "zmodload zsh/parameter; print -l ${(k)parameters} $psvar",
    "fish": "set --names",
}


@pytest.mark.parametrize("kind", ["text", "number"])
def test_each_variable_of_the_shells_own_is_refused_or_takes_any_value(
    shell: Shell, kind: str
) -> None:
    listed = run(
        shell.argv(write(shell.home.path.parent / "list", LIST_NAMES[shell.name])),
        shell.env,
        shell.home.path,
    ).ok()
    documented = DOCUMENTED[shell.name].split()
    names = [
        name
        for name in sorted({*listed.split(), *documented})
        if not variable_problem(name) and name not in CHANGES_THE_READER
    ]
    assert names
    for name in names:
        value = "it's 7" if kind == "text" else "007"
        plan = PLAN._replace(variables=rendering.variables({name: value}))
        seen = visit(shell, plan)
        assert outside(seen.inside).get(name) == value, name
        # What a variable means is the user's business, such as an unknown terminal or locale …
        assert differences(seen.before, seen.after) == {}, name


# bash(1) "Shell Variables", zshparam(1) "Parameters Used By The Shell", fish-language "Special
# variables": those that are not there before someone sets them.
DOCUMENTED = {
    "bash": "BASH_COMPAT BASH_ENV BASH_LOADABLES_PATH CDPATH CHILD_MAX COLUMNS EMACS ENV FCEDIT "
    "FIGNORE HISTCONTROL HISTFILE HISTIGNORE HISTTIMEFORMAT HOSTFILE IGNOREEOF INPUTRC "
    "INSIDE_EMACS LANG LC_ALL LC_COLLATE LC_CTYPE LC_MESSAGES LC_NUMERIC LC_TIME MAIL MAILCHECK "
    "MAILPATH OPTERR PROMPT_DIRTRIM TERM TIMEFORMAT TMOUT TMPDIR TZ auto_resume histchars",
    "zsh": "BAUD CDPATH CORRECT_IGNORE CORRECT_IGNORE_FILE DIRSTACKSIZE ENV FCEDIT FPATH FUNCNEST "
    "HISTFILE HISTORY_IGNORE KEYTIMEOUT LANG LISTMAX LC_ALL LC_CTYPE LC_COLLATE LC_MESSAGES "
    "LC_NUMERIC LC_TIME LOGCHECK MAIL MAILCHECK MAILPATH MANPATH NULLCMD POSTEDIT READNULLCMD "
    "REPORTMEMORY REPORTTIME STTY TERM TERMINFO TERMINFO_DIRS TIMEFMT TMOUT TMPPREFIX TMPSUFFIX "
    "TRACE WATCH WATCHFMT WORDCHARS ZBEEP ZDOTDIR ZLE_LINE_ABORTED ZLE_REMOVE_SUFFIX_CHARS "
    "ZLE_RPROMPT_INDENT ZLE_SPACE_SUFFIX_CHARS",
    "fish": "BROWSER CDPATH FISH_DEBUG LANG LC_ALL LC_CTYPE MANPATH fish_autosuggestion_enabled "
    "fish_ambiguous_width fish_emoji_width fish_escape_delay_ms fish_greeting fish_history "
    "fish_handle_reflow fish_trace fish_features fish_term24bit fish_read_limit",
}
