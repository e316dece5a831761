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
    r"_OLD_|VIRTUAL_ENV|PATH$|PS1$|PYTHONHOME$|SCRIPT_PATH$|_$|deactivate$|pydoc$|_bashify_path$|_fishify_path$|bashy_path$|fishy_path$"
    r"|_old_fish_prompt$|fish_prompt$|_VIRTUALENV|_tcl|TCL_LIBRARY$|TK_LIBRARY$|PKG_CONFIG_PATH$"
)

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
DYNAMIC = re.compile(
    r"(?:^|[;&|({]|\bthen|\belse|\bdo|\band|\bor)\s*(?:source|\.|eval)[ \t]+(?=[^\s\"|;])", re.M
)
COMMENT = re.compile(r"^\s*#.*$", re.M)


def touches(script: str, fish: bool) -> tuple[str, ...]:
    """The words for `__shellenv_activate`: `v:VARIABLE`, `a:ALIAS`, `f:FUNCTION`, sorted.

    `*` stands last if the script sources or evaluates more than can be read here. An alias of fish
    is a function, so both are `a:` there.
    """
    text = COMMENT.sub("", script)
    found = {
        f"{kind}:{name}"
        for kind, pattern in (FISH if fish else POSIX)
        for name in pattern.findall(text)
        if not USUAL.match(name)
    }
    words = sorted(found)
    if DYNAMIC.search(text):
        words.append("*")
    return tuple(words)
