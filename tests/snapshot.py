"""All that a shell has, written down and compared: variables, aliases, functions, options, traps.

Leaving a project must leave no trace, so tests do not look at single variables but at everything
that the shell can list, before and after.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness import Shell, write

# What changes from one command to the next in any shell, and what is the hook's own.
_RESTLESS = re.compile(
    r"(?:__shellenv_.*|__test.*|_|BASH.*|COMP_.*|DIRSTACK|EPOCH.*|FUNCNAME|HISTCMD|LINENO|OLDPWD"
    r"|PIPESTATUS|PPID|PWD|RANDOM|SECONDS|SRANDOM|SHELLOPTS|OPTIND|OPTARG|COLUMNS|LINES"
    # zsh
    r"|[-!?$#*@0-9]|status|pipestatus|TTYIDLE|histcmd|history|historywords|functions.*|aliases"
    r"|commands|parameters|options|builtins|reswords|dirstack|jobdirs|jobstates|jobtexts|funcstack"
    r"|func.*trace|dis_.*|modules|userdirs|usergroups|nameddirs|galiases|saliases|ARGC|argv|ERRNO"
    r"|ZSH_EVAL_CONTEXT|zsh_eval_context|ZSH_SUBSHELL|patchars|keymaps|widgets|TRY_.*|signals|MATCH"
    r"|MBEGIN|MEND|match|mbegin|mend"
    # fish
    r"|CMD_DURATION|dirprev|dirnext|__fish.*|fish_kill_signal|status_generation|fish_pid|last_pid"
    r"|fish_killring)"
)

_CODE = {
    "bash": r"""{
builtin echo '@@variables'; builtin declare -p
builtin echo '@@aliases'; builtin alias
builtin echo '@@traps'; builtin trap -p
builtin echo '@@options'; builtin set -o; builtin shopt
builtin echo '@@functions'; builtin declare -f
} >|"$1" 2>&1
""",
    "zsh": r"""{
builtin echo '@@variables'; builtin typeset -p
builtin echo '@@aliases'; builtin alias -L
builtin echo '@@traps'; builtin trap
builtin echo '@@options'; builtin set -o
builtin echo '@@functions'; builtin typeset -f
} >|"$1" 2>&1
""",
    "fish": r"""begin
echo '@@variables'
set --global --long | string replace -r '^' 'global '
set --universal --long | string replace -r '^' 'universal '
set --export --names | string replace -r '^(.*)$' 'export $1 yes'
echo '@@aliases'; abbr --show
echo '@@traps'; functions --handlers
echo '@@options'; status job-control; true
echo '@@functions'
set -l fish_function_path # listing and showing functions must not load any
for __test_name in (functions --all --names)
    echo "@function $__test_name"
    functions $__test_name
end
true
end >$argv[1] 2>&1
""",
}


def snapshot(shell: Shell, name: str) -> str:
    """One line of code that writes down, under `name`, all that the shell has; see `change`."""
    top = shell.home.path.parent
    code = write(top / f"snapshot.{shell.name}", _CODE[shell.name])
    return f". {shell.quote(code)} {shell.quote(top / f'snapshot-{name}')}"


def change(
    shell: Shell, before: str = "before", after: str = "after"
) -> dict[str, tuple[str, str]]:
    """What differs between two snapshots: `{"variable X": (then, now)}`, "" where there is none."""
    old, new = (_read(shell, name) for name in (before, after))
    assert len(old) > 10, "an empty snapshot"
    return {
        item: (old.get(item, ""), new.get(item, ""))
        for item in sorted({*old, *new})
        if _COPIED.sub("", old.get(item, "")) != _COPIED.sub("", new.get(item, ""))
        and not (item not in old and _is_fishs_own(item, new[item]))
    }


# fish notes where a function comes from, but does not copy that with the function.
_COPIED = re.compile(r"^# Defined (?:in|via|interactively).*\n", re.M)


def _is_fishs_own(item: str, text: str) -> bool:
    """Is this what fish itself loads when the function is called?"""
    file = Path(f"/usr/share/fish/functions/{item.removeprefix('function ')}.fish")
    if re.search(
        r"\n# Defined in (?:/usr/share/fish/|embedded:)", text
    ):  # fish 4.1 has them inside
        return True
    body = _COPIED.sub("", text).split("\n", 2)[-1]
    return file.exists() and body.strip() in file.read_text(encoding="utf-8")


_VARIABLE = {
    "bash": re.compile(r"declare (\S+) (\w+)(?:=|$)"),
    "zsh": re.compile(r"(?:typeset|export|readonly|local)((?: [-+]\S+)*) ([^\s=]+)(?:=|$| )"),
    "fish": re.compile(r"(global|universal|export) (\w+)(?: |$)"),
}
_FUNCTION = {
    "bash": re.compile(r"(\S+) \(\) *$"),
    "zsh": re.compile(r"(\S+) \(\) \{$"),
    "fish": re.compile(r"@function (\S+)$"),
}


def _read(shell: Shell, name: str) -> dict[str, str]:
    path: Path = shell.home.path.parent / f"snapshot-{name}"
    found: dict[str, str] = {}
    section, item = "", ""
    for line in os.fsdecode(path.read_bytes()).splitlines():
        if line.startswith("@@"):
            section, item = line[2:], ""
        elif section == "variables":
            match = _VARIABLE[shell.name].match(line)
            if match:
                prefix = f"{match[1]} " if shell.name == "fish" else ""
                item = f"variable {prefix}{match[2]}"
                if _RESTLESS.fullmatch(match[2]):
                    item = ""
            if item:
                found[item] = found.get(item, "") + line + "\n"
        elif section == "functions":
            match = _FUNCTION[shell.name].match(line)
            if match:
                item = f"function {match[1]}"
                if match[1].startswith(("__shellenv_", "_shellenv", "__fish", "__test")):
                    item = ""
            if item:
                found[item] = found.get(item, "") + line + "\n"
        elif "shellenv" not in line and "fish_" not in line and line.strip():
            found[f"{section}: {line}"] = "yes"
    return found
