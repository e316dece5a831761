"""Which paths are left out of a sync, and by which rule.

Rules are Docker's (moby/patternmatcher, the reference for `.dockerignore`): anchored at the root,
`*` and `?` stop at `/`, `**` does not, `!` takes out of what earlier rules left out, and the last
rule that matches a path or a directory above it decides. A file called `.gitignore` is read by
pathspec instead.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from shellenv.config import Origin
from shellenv.digest import fingerprint
from shellenv.errors import ShellenvError

OWN = b".shellenv-sync"
"""The directory of ours in a project's root while files come in."""

DEFAULTS = (
    # version control and systems' own
    *("**/.hg", "**/.svn", "**/.DS_Store"),
    # caches
    *("**/__pycache__", "**/*.py[co]", "**/.cache", "**/.mypy_cache", "**/.pytest_cache"),
    *("**/.ruff_cache", "**/.hypothesis", "**/.ipynb_checkpoints"),
    # environments, and what installing leaves: of the machine that they were made on
    *("**/.venv", "**/.direnv", "**/.tox", "**/.nox", "**/node_modules", "**/*.egg-info"),
)
"""What is left out unless a rule of the project says otherwise."""


class Rule(NamedTuple):
    """One rule: what it says, where it was written, and whether it takes back (`!`).

    `expression` is the regular expression of a pattern that is not Docker's.
    """

    pattern: str
    origin: Origin
    back: bool = False
    expression: str = ""

    def __str__(self) -> str:
        return f"{'!' if self.back else ''}{self.pattern}"


BUILT_IN = Origin("the default rules", 0)
GIT = Rule("**/.git", Origin("the rule for .git", 0))
OURS = Rule(f"**/{OWN.decode()}", BUILT_IN)

_GIT = "**/.[gG][iI][tT]"
"""A macOS finds .git by .GIT, too."""


class Rules:
    """A list of rules, the last one that matches wins. Raises ShellenvError for a pattern that
    Docker refuses.

    `pruned` are the patterns of what is left out with all that is in it, so that nobody need look
    there: each is `**/NAME` or a path, with no wildcard but `*` and letters in brackets, which find
    and rsync read alike. `all_pruned`: there are no others.
    """

    def __init__(self, rules: Sequence[Rule], git: bool = False) -> None:
        self.rules = tuple(rules)
        self.git = git
        self._backs = [rule for rule in self.rules if rule.back and not rule.expression]
        self._names: dict[bytes, int] = {}  # **/NAME without a wildcard: by far the most
        self._others: list[tuple[int, re.Pattern[bytes], bool]] = []
        for number, rule in enumerate(self.rules):
            name = rule.pattern.removeprefix("**/")
            plain = rule.pattern.startswith("**/") and not set(name) & set("*?[]\\/")
            if plain and not rule.expression:
                self._names[_name(rule)] = number
            else:
                self._others.append((number, compiled(rule), bool(rule.expression)))
        self._any = _union(pattern for _, pattern, git in self._others if not git)
        self._any_git = _union(pattern for _, pattern, git in self._others if git)
        self._others.reverse()
        self._directories: dict[bytes, int] = {b"": -1}
        # what takes back by a .gitignore takes back no name that it does not say: with `!*/`, one
        # still looks into no node_modules
        backs = [rule.pattern for rule in self.rules if rule.back]
        form = _NAME if backs else _PLAIN
        taken = {f"**/{name}" for pattern in backs for name in pattern.split("/")}
        said = [rule for rule in self.rules if _is_said(rule, form) and rule.pattern not in taken]
        said = [] if self._backs else _that_fit(said)
        self._final = {_name(rule) for rule in said} & self._names.keys() if backs else set()
        self.pruned = (OURS.pattern, *([] if git else [_GIT]), *(rule.pattern for rule in said))
        self._said = {OURS, GIT, *said}
        self.all_pruned = len(said) == len(self.rules)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Tells these rules from others."""
        said = [(str(rule), rule.expression) for rule in self.rules]
        return fingerprint(repr((said, self.git)).encode("utf-8", "replace"))

    def is_pruned(self, rule: Rule) -> bool:
        """Is it one of those of `pruned`?"""
        return rule in self._said

    def rule(self, path: bytes, directory: bool = False) -> Rule | None:
        """The rule that leaves `path`, a `directory` or not, out; None if it is synced."""
        if OWN in path and b"/%b/" % OWN in b"/%b/" % path:  # also of a project inside of this one
            return OURS
        if not self.git and b".git" in (lower := path.lower()) and b"/.git/" in b"/%b/" % lower:
            return GIT
        above = self.of_directory(path.rpartition(b"/")[0])
        number = self.number(path, above, directory)
        return self.rules[number] if self.leaves_out(number) else None

    def leaves_out(self, number: int) -> bool:
        """Does the rule of this `number` leave out what it is the last one for?"""
        return number >= 0 and not self.rules[number].back

    def number(self, path: bytes, above: int, directory: bool) -> int:
        """The number of the last rule that matches `path`, given that of its directory; or -1."""
        name = path.rpartition(b"/")[2]
        found = self._names.get(name, -1)
        if name in self._final:
            return above if self.leaves_out(above) else found
        full = path + b"/" if directory else path
        if (self._any is not None and self._any.fullmatch(path)) or (
            self._any_git is not None and self._any_git.match(full)
        ):
            for number, pattern, git in self._others:
                if number <= found:
                    break
                if pattern.match(full) if git else pattern.fullmatch(path):
                    found = number
                    break
        if found <= above:
            return above
        # git does not look into a directory that it ignores
        return above if self.rules[found].expression and self.leaves_out(above) else found

    def of_directory(self, path: bytes) -> int:
        """`number` of a directory, remembered."""
        found = self._directories.get(path)
        if found is None:
            above = self.of_directory(path.rpartition(b"/")[0])
            found = self._directories[path] = self.number(path, above, True)
        return found

    def may_return(self, path: bytes) -> bool:
        """Could a rule with `!` bring back something in the directory `path`?"""
        if not self._backs:
            return False
        text = path.decode("utf-8", "surrogateescape")
        for rule in self._backs:
            literal = re.split(r"[*?\[\\]", rule.pattern, maxsplit=1)[0]
            if literal != rule.pattern:
                literal = literal.rpartition("/")[0]
            if (
                not literal
                or f"{literal}/".startswith(f"{text}/")
                or f"{text}/".startswith(f"{literal}/")
            ):
                return True
        return False


def _name(rule: Rule) -> bytes:
    """The NAME of a pattern `**/NAME`."""
    return rule.pattern.removeprefix("**/").encode("utf-8", "surrogateescape")


_PLAIN = re.compile(r"(?:\*\*/(?![-+!])(?!.*/))?(?:[^]*?[\\]|\*(?!\*)|\[[A-Za-z0-9]+\])+")
_NAME = re.compile(r"(?:\*\*/(?![-+!])(?!.*/))?[^]*?[\\]+")


_ROOM = 50_000
"""Bytes of patterns of which find's expression surely is no longer than a word may be (128 KiB)."""


def _that_fit(rules: list[Rule]) -> list[Rule]:
    """The first of these whose patterns a command line has room for."""
    sizes = accumulate(len(rule.pattern.encode("utf-8", "surrogateescape")) + 4 for rule in rules)
    return [rule for rule, size in zip(rules, sizes, strict=True) if size <= _ROOM]


def _is_said(rule: Rule, form: re.Pattern[str]) -> bool:
    """Can it be `pruned`? rsync takes `+`, `-` and `!` before a name for something else."""
    usual = form.fullmatch(rule.pattern) and not {".", ".."} & set(rule.pattern.split("/"))
    return bool(usual) and not rule.expression


def parse(text: str, file: str) -> Iterator[Rule]:
    """The rules of a `.dockerignore`, as moby's `ignorefile` reads it."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if line.startswith("#"):
            continue
        rule = cleaned(line, Origin(file, number))
        if rule is not None:
            yield rule


def cleaned(line: str, origin: Origin) -> Rule | None:
    """One line as a rule; None if nothing is on it. Raises ShellenvError for a lone `!`."""
    pattern = line.strip()
    if not pattern:
        return None
    back = pattern.startswith("!")
    if back:
        pattern = pattern[1:].strip()
        if not pattern:
            raise ShellenvError(f"{origin}: `!` stands alone", "write a pattern behind it")
    pattern = posixpath.normpath(pattern)
    if pattern.startswith("//"):  # POSIX lets two slashes be; Go's filepath.Clean does not
        pattern = pattern[1:]
    if len(pattern) > 1:
        pattern = pattern.removeprefix("/")
    return Rule(pattern, origin, back)


def parse_git(text: str, file: str) -> Iterator[Rule]:
    """The rules of a `.gitignore`, which pathspec reads as git does."""
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = line.removesuffix("\r")
        origin = Origin(file, number)
        try:
            expression, include = GitIgnoreSpecPattern.pattern_to_regex(line)
        except ValueError:
            raise ShellenvError(f"{origin}: {line!r} is no pattern", "see gitignore(5)") from None
        if expression is not None:
            # a name for a group can be used once in a union of expressions
            plain = str(expression).replace("(?P<ps_d>", "(?:")
            yield Rule(line.strip().removeprefix("!"), origin, not include, plain)


def compiled(rule: Rule) -> re.Pattern[bytes]:
    """The regular expression of a pattern, to be matched in full.

    Raises ShellenvError for what Docker refuses: a bracket that is not closed or empty, a range
    backwards, a backslash at the end.
    """
    if rule.expression:
        return re.compile(rule.expression.encode("utf-8", "surrogateescape"), re.DOTALL)
    try:
        return re.compile(_translated(rule.pattern), re.DOTALL)
    except (re.error, ValueError):
        raise ShellenvError(
            f"{rule.origin}: {rule.pattern!r} is no pattern",
            "close the bracket, or put \\ before it",
        ) from None


def _translated(pattern: str) -> bytes:
    found = []
    at, size = 0, len(pattern)
    # moby matches `**NAME` as a suffix of the path unless a wildcard follows
    suffix = not set(pattern[2:]) & set("*?[]\\")
    while at < size:
        char = pattern[at]
        at += 1
        if pattern.startswith("**", at - 1):
            first = at == 1
            at += 1
            slash = pattern.startswith("/", at)
            at += slash
            whole = at == size or (first and suffix and not slash)
            found.append(".*" if whole else "(?:.*/)?")
        elif char == "*":
            found.append("[^/]*")
        elif char == "?":
            found.append(_ONE)
        elif char == "[":
            part, at = _bracket(pattern, at)
            found.append(part)
        elif char == "\\":
            if at == size:
                raise ValueError
            found.append(re.escape(pattern[at]))
            at += 1
        else:
            found.append(re.escape(char))
    return "".join(found).encode("utf-8", "surrogateescape")


_WIDE = (
    "[\udcc2-\udcdf][\udc80-\udcbf]|[\udce0-\udcef][\udc80-\udcbf]{2}"
    "|[\udcf0-\udcf4][\udc80-\udcbf]{3}"
)
_ONE = f"(?:[\x00-.0-\x7f]|{_WIDE}|(?!{_WIDE})[\udc80-\udcff])"
"""One character of UTF-8 that is no slash, in an expression over bytes."""


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """A character class that starts behind `[`, as an expression, and where it ends."""
    negated = pattern.startswith("^", at)
    at += negated
    parts: list[str] = []
    while not (pattern.startswith("]", at) and parts):
        low, at = _member(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _member(pattern, at + 1)
        if high < low:
            raise ValueError
        parts.append(_range(low, high))
    inner = "|".join(parts)
    return (f"(?:(?!{inner})(?:{_ONE}|/))" if negated else f"(?:{inner})"), at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    if at >= len(pattern) or pattern[at] in "-]":
        raise ValueError
    if pattern[at] == "\\":
        at += 1
    return pattern[at : at + 1] or _refuse(), at + 1


def _refuse() -> str:
    raise ValueError


def _range(low: str, high: str) -> str:
    """Characters from `low` to `high`, as an expression over the bytes of UTF-8."""
    if low == high:
        return re.escape(low)
    if ord(high) < 0x80:
        return f"[{re.escape(low)}-{re.escape(high)}]"
    if ord(high) - ord(low) > 0x3000:
        raise ValueError
    return "|".join(re.escape(chr(code)) for code in range(ord(low), ord(high) + 1))


def _union(patterns: Iterable[re.Pattern[bytes]]) -> re.Pattern[bytes] | None:
    parts = [b"(?:%b)" % pattern.pattern for pattern in patterns]
    return re.compile(b"|".join(parts), re.DOTALL) if parts else None
