"""What an activate script touches beyond the usual, found by reading it.

The hook sources the real script, so that what people add to it works. To undo that as well, the
shell must know what to look at before and after. The scripts that venv, virtualenv, uv, poetry
and pdm write touch only what their own `deactivate` and the hook take care of; what else stands
in one is looked for here.
"""

from __future__ import annotations

import re

# What the hook itself records, and what the generated scripts restore in their own deactivate.
USUAL = re.compile(
    r"_OLD_|VIRTUAL_ENV|CURRENT_(?:DIR|ENV|PATH)$|_VIRTUAL_|_virtualenv_|PATH$|PS1$"
    r"|PYTHONHOME$|SCRIPT_PATH$|_$|deactivate$|pydoc$|_bashify_path$|_fishify_path$|bashy_path$|fishy_path$"
    r"|_old_fish_prompt$|fish_prompt$|_VIRTUALENV|_tcl"
)
VIRTUALENVS = {"v:PKG_CONFIG_PATH", "v:TCL_LIBRARY", "v:TK_LIBRARY"}
"""What virtualenv's scripts set, too; not all of them put it back."""

START = r"(?:^|[;&|({]|\bthen|\belse|\bdo)\s*"  # where a command begins
POSIX = (
    (
        "v",
        re.compile(
            START + r"(?:(?:export|readonly|declare|typeset)\s+(?:-\w+\s+)*)?([A-Za-z_]\w*)\+?=",
            re.M,
        ),
    ),
    ("v", re.compile(START + r"(?:export|unset(?:\s+-v)?)\s+([A-Za-z_]\w*)\s*(?:$|[;&|#])", re.M)),
    ("a", re.compile(START + r"alias\s+(?:--\s+)?([^\s=;'\"$`]+)=", re.M)),
    ("f", re.compile(r"^\s*(?:function\s+)?([A-Za-z_][\w.-]*)\s*\(\s*\)", re.M)),
    ("f", re.compile(r"^\s*function\s+([A-Za-z_][\w.-]*)\s*(?:\{|$)", re.M)),
)
FISH_START = r"(?:^|;|\band|\bor)\s*"
FISH = (
    (
        "v",
        re.compile(
            FISH_START + r"set\s+(?!-\w*l|--local)(?:-\w+\s+|--\w+\s+)*([A-Za-z_]\w*)\b", re.M
        ),
    ),
    ("a", re.compile(FISH_START + r"alias\s+(?:-\w+\s+)*([^\s=;'\"$]+)[\s=]", re.M)),
    ("a", re.compile(r"(?:^|;)\s*function\s+([\w.-]+)", re.M)),
)
# Lines of generated scripts name one of these, or are nothing but grammar.
USUAL_LINE = re.compile(
    r"_OLD_|_old_|VIRTUAL_?ENV|_VIRTUAL_|\bPATH\b|PS1|PYTHONHOME|SCRIPT_PATH|deactivate|pydoc|hash\b"
    r"|BASH|ZSH|KSH|OSTYPE|cygpath|uname|T[CK]L?_LIBRARY|PKG_CONFIG_PATH|fish_prompt|fishify|bashify"
    r"|fish_function_path|old_status|set_color|CURRENT_|\$prompt|\bprompt\b|fishy_path|bashy_path"
    r"|functions -|nondestructive|ksharrays|CYGWIN|exit 33|^echo |^set (?:-l|--local) "
    r"|^(?:el)?if (?:\[|test) |_virtualenv_|^func\*|^local LC_ALL=C "
    r"|^\W*(?:|if|fi|then|else|end|esac|do|done|return( \d)?|in|begin|unset|false)\W*$"
)
COMMENT = re.compile(r"^\s*#.*$", re.M)


def touches(script: str, fish: bool) -> tuple[str, ...]:
    """The words for `__shellenv_activate`: `v:VARIABLE`, `a:ALIAS`, `f:FUNCTION`, sorted.

    `*` stands last if there is anything that generated scripts do not have: then more may happen
    than can be read here, and all variables are to be looked at. An alias of fish is a function, so
    both are `a:` there.
    """
    text = COMMENT.sub("", script)
    found = {
        f"{kind}:{name}"
        for kind, pattern in (FISH if fish else POSIX)
        for name in pattern.findall(text)
        if not USUAL.match(name)
    }
    words = sorted(found)
    usual = all(USUAL_LINE.search(line.strip()) for line in text.splitlines())
    return (*words, *(() if usual and VIRTUALENVS.issuperset(found) else ("*",)))
