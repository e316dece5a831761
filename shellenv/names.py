"""Which names a project may give to variables and aliases, in whatever shell it is entered."""

from __future__ import annotations

_OWN_PREFIXES = ("SHELLENV_", "__shellenv", "__SHELLENV")

_PROMPTS = (
    "PS0 PS1 PS2 PS3 PS4 PROMPT PROMPT2 PROMPT3 PROMPT4 PROMPT_COMMAND PROMPT_DIRTRIM RPROMPT "
    "RPROMPT2 RPS1 RPS2 SPROMPT prompt fish_prompt psvar PSVAR"
)

# From bash(1) "Shell Variables", zshparam(1) "Parameters Set By The Shell" and "Used By The
# Shell", zshmodules(1) "The zsh/parameter Module", fish(1) "Special variables": what a shell keeps
# up to date itself, makes read-only, gives another type, or breaks on.
_SHELLS_OWN = (
    # Assigning to these truncates the user's history, which nothing can bring back
    "HISTFILESIZE HISTSIZE SAVEHIST "
    # Numbers, which zsh calculates and prints anew, or options in disguise
    "BASH_COMPAT IGNOREEOF KEYTIMEOUT LISTMAX MAILCHECK WATCH ZLE_RPROMPT_INDENT ignoreeof "
    # POSIX and all shells
    "_ COLUMNS EUID IFS LINENO LINES OLDPWD OPTARG OPTERR OPTIND PPID PWD RANDOM SECONDS SHLVL UID "
    # bash
    "BASH BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND "
    "BASH_EXECUTION_STRING BASH_LINENO BASH_REMATCH BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO "
    "BASH_VERSION BASH_XTRACEFD COMP_CWORD COMP_KEY COMP_LINE COMP_POINT COMP_TYPE COMP_WORDBREAKS "
    "COMP_WORDS COMPREPLY COPROC DIRSTACK EPOCHREALTIME EPOCHSECONDS EXECIGNORE FUNCNAME FUNCNEST "
    "GLOBIGNORE GROUPS HISTCMD HOSTTYPE MACHTYPE MAPFILE OSTYPE PIPESTATUS POSIXLY_CORRECT "
    "READLINE_ARGUMENT READLINE_LINE READLINE_MARK READLINE_POINT REPLY SHELLOPTS SRANDOM "
    # zsh
    "ARGC CPUTYPE EGID ERRNO FIGNORE GID HISTCHARS KEYBOARD_HACK MODULE_PATH TRY_BLOCK_ERROR "
    "TRY_BLOCK_INTERRUPT TTY TTYIDLE USERNAME VENDOR ZSH_ARGZERO ZSH_EVAL_CONTEXT "
    "ZSH_EXECUTION_STRING ZSH_NAME ZSH_PATCHLEVEL ZSH_SUBSHELL ZSH_VERSION aliases argv builtins "
    "cdpath commands dirstack dis_aliases dis_builtins dis_functions dis_functions_source "
    "dis_galiases dis_patchars dis_reswords dis_saliases epochtime errnos fignore fpath "
    "funcfiletrace funcsourcetrace funcstack functions functions_source functrace galiases "
    "histchars history historywords jobdirs jobstates jobtexts keymaps langinfo mailpath manpath "
    "mapfile match mbegin mend module_path modules nameddirs options parameters patchars path "
    "pipestatus reply reswords saliases signals status sysparams termcap terminfo userdirs "
    "usergroups watch widgets zsh_eval_context zsh_scheduled_events "
    # fish
    "CMD_DURATION FISH_VERSION fish_function_path fish_kill_signal fish_killring fish_pid "
    "fish_user_paths hostname status_generation umask version"
)

_REFUSED = {
    **dict.fromkeys(_SHELLS_OWN.split(), "the shell itself keeps it"),
    **dict.fromkeys(_PROMPTS.split(), "the prompt is the shell's; see [shellenv] prompt"),
    "PATH": "use [shellenv.path] prepend",
    "HOME": "the hook finds its own files by it",
    "XDG_CACHE_HOME": "the hook finds its own files by it",
    "XDG_CONFIG_HOME": "the hook finds its own files by it",
    "XDG_STATE_HOME": "the hook finds its own files by it",
    "VIRTUAL_ENV": "the project's virtual environment sets it",
    "VIRTUAL_ENV_PROMPT": "the project's virtual environment sets it",
}

_ALIAS_REFUSED = frozenset("'\"$`=/;&|<>()\\")

# Reserved words of bash (RESERVED WORDS), zsh (Reserved Words) and fish (`function` refuses them):
# an alias of that name would change the shell's grammar, or cannot be defined.
_RESERVED_WORDS = (
    "! [ [[ ]] _ { } and argparse begin break builtin case command continue coproc declare do done "
    "elif else end esac eval exec export fi float for foreach function if in integer local "
    "nocorrect not or read readonly repeat return select set status string switch test then time "
    "typeset until while"
)

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")


def is_variable(name: str) -> bool:
    """True for names that every shell can export: [A-Za-z_][A-Za-z0-9_]*."""
    return bool(name) and name[0] in _LETTERS and set(name) <= _LETTERS | _DIGITS


def variable_problem(name: str) -> str:
    """Why a project must not set the variable `name`; "" if it may."""
    if not is_variable(name):
        return f"{name!r} is not a variable name (letters, digits and _, no digit first)"
    if name in _REFUSED:
        return f"{name} cannot be set here: {_REFUSED[name]}"
    if name.startswith(_OWN_PREFIXES):
        return f"{name} cannot be set here: it is shellenv's own"
    if name.startswith("_OLD_VIRTUAL_"):
        return f"{name} cannot be set here: a virtual environment's deactivate would restore it"
    return ""


def alias_problem(name: str) -> str:
    """Why `name` cannot be an alias in every shell; "" if it can."""
    if name.startswith("-"):
        return f"{name!r} is not an alias name: it starts with a dash"
    bad = sorted({c for c in name if c in _ALIAS_REFUSED or c.isspace() or not c.isprintable()})
    if bad:
        return f"{name!r} is not an alias name: it contains {bad[0]!r}"
    if name in _RESERVED_WORDS.split():
        return f"{name!r} is not an alias name: it is a reserved word"
    if name.startswith(_OWN_PREFIXES):
        return f"{name!r} is not an alias name: it is shellenv's own"
    return ""
