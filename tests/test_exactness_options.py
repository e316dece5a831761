"""Whatever the shell's options, traps and special variables are: it works, and they stay."""

from __future__ import annotations

import pytest
from harness import Home, Shell, which, write
from samples import VARIABLES, rich, variables
from snapshot import change, snapshot

BASH_OPTIONS = {
    "errexit and nounset": "set -eu",
    "pipefail": "set -euo pipefail",
    "noglob": "set -f",
    "noclobber": "set -C",
    "all of them": "set -Ceuf -o pipefail",
    "allexport": "set -a",
    "posix": "set -o posix",
    "posix and errexit": "set -o posix -eu",
    "no brace expansion": "set +B",
    "hashall off": "set +h",
    "physical": "set -P",
    "privileged": "set -p",
    "nocasematch": "shopt -s nocasematch",
    "failglob and nullglob": "shopt -s nullglob failglob",
    "extglob": "shopt -s extglob",
    "extdebug": "shopt -s extdebug",
    "expand_aliases": "shopt -s expand_aliases",
    "lastpipe": "shopt -s lastpipe",
    "compat": "shopt -s compat42 2>/dev/null || :",
    "no sourcepath": "shopt -u sourcepath",
    "xpg_echo": "shopt -s xpg_echo",
    "localvar_inherit": "shopt -s localvar_inherit 2>/dev/null || :",
    "patsub_replacement off": "shopt -u patsub_replacement 2>/dev/null || :",
    "errtrace and functrace": "set -ET",
    "IFS of digits": "IFS=0123456789",
    "IFS of letters": "IFS=aeinstxv_-",
    "IFS of slashes": "IFS=/:=",
    "IFS empty": "IFS=",
    "IFS unset": "unset IFS",
    "IFS of the log's separator": "IFS=$'\\x1f%'",
    "locale": "LC_ALL=C",
    "POSIXLY_CORRECT": "POSIXLY_CORRECT=1",
    "GLOBIGNORE": "GLOBIGNORE='*'",
}
ZSH_OPTIONS = {
    "errexit and nounset": "setopt err_exit no_unset",
    "errreturn": "setopt err_return",
    "noglob": "setopt no_glob",
    "noclobber": "setopt no_clobber",
    "nomatch": "setopt no_match",
    "nullglob": "setopt null_glob",
    "cshnullglob": "setopt csh_null_glob",
    "ksharrays": "setopt ksh_arrays",
    "shwordsplit": "setopt sh_word_split",
    "globsubst": "setopt glob_subst",
    "shfileexpansion": "setopt sh_file_expansion",
    "extendedglob": "setopt extended_glob",
    "kshglob": "setopt ksh_glob",
    "rcquotes": "setopt rc_quotes",
    "rcexpandparam": "setopt rc_expand_param",
    "allexport": "setopt all_export",
    "globalexport off": "unsetopt global_export",
    "typesetsilent off": "unsetopt typeset_silent",
    "warncreateglobal": "setopt warn_create_global",
    "warnnestedvar": "setopt warn_nested_var",
    "posixbuiltins": "setopt posix_builtins",
    "posixidentifiers": "setopt posix_identifiers",
    "posixaliases": "setopt posix_aliases",
    "posixtraps": "setopt posix_traps",
    "ignorebraces": "setopt ignore_braces",
    "ignoreclosebraces": "setopt ignore_close_braces",
    "no shortloops": "setopt no_short_loops",
    "cbases": "setopt c_bases octal_zeroes",
    "kshtypeset": "setopt ksh_typeset",
    "localoptions": "setopt local_options local_traps",
    "noequals": "setopt no_equals",
    "magicequalsubst": "setopt magic_equal_subst",
    "nomultibyte": "setopt no_multibyte",
    "nomultios": "setopt no_multios",
    "nocasematch": "setopt no_case_match no_case_glob",
    "autocd and pushd": "setopt auto_cd auto_pushd pushd_silent",
    "chaselinks": "setopt chase_links",
    "aliasfuncdef off": "unsetopt alias_func_def",
    "interactivecomments off": "unsetopt interactive_comments",
    "bareglobqual off": "unsetopt bare_glob_qual",
    "functionargzero off": "unsetopt function_argzero",
    "nobanghist": "setopt no_bang_hist bsd_echo",
    "shemulation": "emulate sh",
    "kshemulation": "emulate ksh",
    "IFS of digits": "IFS=0123456789",
    "IFS of letters": "IFS=aeinstxv_-",
    "IFS of slashes": "IFS=/:=",
    "IFS empty": "IFS=",
    "IFS unset": "unset IFS",
    "locale": "LC_ALL=C",
}


def visit(shell: Shell, home: Home, setting: str) -> None:
    """Enter, stay at a prompt, edit, leave, with these options on; nothing differs afterwards."""
    root = rich(home)
    other = home.project("other", variables(X="1", PLAIN="other"))
    lines = [
        # options change how a script is read, so each stands in a function that was read before
        "__test_show() {",
        shell.show(*VARIABLES, "X"),
        'builtin printf "%s\\n" "$PATH"',
        "}",
        "SHADOWS_PRIVATE=mine",
        "export SHADOWS_EMPTY=",
        setting,
        snapshot(shell, "before"),
        shell.cd(root),
        "__test_show",
        snapshot(shell, "inside"),
        shell.at_prompt,
        shell.at_prompt,
        snapshot(shell, "at prompt"),
        "PATH=/front:$PATH",
        shell.cd(other),
        'builtin printf "%s %s\\n" "$PLAIN" "$X"',
        shell.at_prompt,
        shell.cd(root),
        shell.cd("/"),
        'builtin printf "%s\\n" "$PATH"',
        "PATH=${PATH#/front:}",
        snapshot(shell, "after"),
    ]
    for run in ("cold", "warm"):
        result = shell.script("\n".join(lines))
        assert result.stderr == "entering\nleaving\nentering\nleaving\n", run
        venv = home.path / ".venv/rich/bin"
        path = home.env["PATH"]
        assert result.stdout == (
            "".join(f"{name}={value}\n" for name, value in VARIABLES.items())
            + f"X unset\n{root}/bin:{root}/more tools:{venv}:{path}\nother 1\n/front:{path}\n"
        ), run
        assert result.status == 0, run
        assert change(shell) == {}, run
        assert change(shell, "inside", "at prompt") == {}, run


@pytest.mark.shells("bash")
@pytest.mark.parametrize("option", BASH_OPTIONS)
def test_bash_options(shell: Shell, home: Home, option: str) -> None:
    visit(shell, home, BASH_OPTIONS[option])


@pytest.mark.shells("zsh")
@pytest.mark.parametrize("option", ZSH_OPTIONS)
def test_zsh_options(shell: Shell, home: Home, option: str) -> None:
    visit(shell, home, ZSH_OPTIONS[option])


@pytest.mark.shells("bash", "zsh")
def test_options_set_before_the_hook_is_loaded_do_not_matter(shell: Shell, home: Home) -> None:
    root = rich(home)
    options = {
        "bash": "set -Ceuf -o pipefail; shopt -s nocasematch; IFS=0_e",
        "zsh": "setopt err_exit no_unset ksh_arrays sh_word_split no_clobber no_glob; IFS=0_e",
    }[shell.name]
    result = shell.script(
        "\n".join(
            [options, shell.hook, shell.cd(root), 'builtin echo "$PLAIN"', shell.cd("/"), "true"]
        ),
        hook=False,
    )
    assert result == (0, "one\n", "entering\nleaving\n")


@pytest.mark.shells("bash", "zsh")
def test_a_script_with_strict_options_may_use_the_verbs(shell: Shell, home: Home) -> None:
    root = rich(home)
    result = shell.script(
        "\n".join(
            [
                "set -eu",
                shell.cd(root),
                "shellenv reload",
                "shellenv pause",
                'echo "${PLAIN-unset}"',
                "shellenv resume",
                'echo "${PLAIN-unset}"',
                "shellenv deny >/dev/null 2>&1",
                'echo "${PLAIN-unset}"',
            ]
        )
    )
    assert result.status == 0
    assert result.stdout == "unset\none\nunset\n"


@pytest.mark.shells("bash")
def test_projects_whose_names_differ_in_case_are_two_also_with_nocasematch(
    shell: Shell, home: Home
) -> None:
    hooks = "[shellenv.hooks]\nenter = echo in\nleave = echo out\n[shellenv.path]\nprepend = bin\n"
    lower = home.project("api", variables(X="lower") + hooks)
    upper = home.project("API", variables(X="upper") + hooks)
    result = shell.script(
        "\n".join(
            [
                "shopt -s nocasematch",
                f"PATH={upper}/bin:$PATH",
                shell.cd(lower),
                "PATH=$PATH:/behind",
                'echo "$X"',
                shell.cd(upper),
                'echo "$X"',
                shell.cd("/"),
                'echo "$PATH"',
            ]
        )
    )
    assert result.stdout == f"lower\nupper\n{upper}/bin:{home.env['PATH']}:/behind\n"
    assert result.stderr == "in\nout\nin\nout\n"


# --- status, pipestatus, $_ and traps --------------------------------------------------------------


def test_status_pipestatus_and_last_argument_are_kept(shell: Shell, home: Home) -> None:
    root = rich(home)
    other = home.project("other", variables(X="1"))
    pipe, show = {
        "bash": ("(exit 3) | true | false", 'echo "${PIPESTATUS[@]}"'),
        "zsh": ("(exit 3) | true | false", 'echo "${pipestatus[@]}"'),
        "fish": ("sh -c 'exit 3' | true | false", "echo $pipestatus"),
    }[shell.name]
    with shell.interactive() as session:
        for directory in (str(root), str(other), "/"):
            session.run(shell.cd(directory))
            for _ in range(2):
                session.run("false")
                assert session.run(f"echo {shell.status}") == "1\n"
                session.run("sh -c 'exit 42'")
                assert session.run(f"echo {shell.status}") == "42\n"
                session.run(pipe)
                assert session.run(show) == "3 0 1\n"
            if shell.name != "fish":
                session.run("true the last")
                assert session.run("echo $_") == "last\n"
        # also when the prompt itself has something to do
        session.run(shell.cd(root))
        write(root / "dockerutils.cfg", variables(X="edited"))
        home.allow(root)
        session.run(pipe)
        assert session.run(show) == "3 0 1\n"
        assert session.value("X") == "edited"


@pytest.mark.shells("bash")
def test_bash_traps_are_kept_and_do_not_see_the_hook(shell: Shell, home: Home) -> None:
    root = rich(home)
    traps = "\n".join(
        [
            "trap 'echo int' INT",
            "trap 'echo bye' EXIT",
            "trap 'echo err:$BASH_COMMAND' ERR",
            "trap 'echo return' RETURN",
            "trap '[[ $BASH_COMMAND == *__shellenv* ]] || debugged=$BASH_COMMAND' DEBUG",
            "trap '' HUP",
            "trap 'echo usr1' USR1",
        ]
    )
    with shell.interactive(before=traps) as session:
        session.run(snapshot(shell, "before"))
        assert session.run(shell.cd(root)) == "entering\n"
        assert session.run("false") == "err:false\n"
        assert session.run("true") == ""
        assert session.run("sh -c 'exit 3'") == "err:sh -c 'exit 3'\n"
        assert session.run("cd /not/there 2>/dev/null") == 'err:builtin cd "$@"\n'
        assert session.run("kill -USR1 $$") == "usr1\n"
        assert session.interrupt().strip() in ("int", "^Cint", "^C\nint")
        assert session.run(shell.cd("/")) == "leaving\n"
        session.run("unset debugged")
        session.run(snapshot(shell, "after"))
        assert session.run("echo x") == "x\n"
        session.send("exit\r")
        session.child.expect_exact("bye")
    difference = {name: value for name, value in change(shell).items() if "debugged" not in name}
    assert difference == {}


@pytest.mark.shells("zsh")
def test_zsh_traps_are_kept_and_do_not_see_the_hook(shell: Shell, home: Home) -> None:
    root = rich(home)
    traps = "\n".join(
        [
            "TRAPUSR1() { echo usr1 }",
            "trap 'echo bye' EXIT",
            "trap 'echo zerr' ZERR",
            "trap '' HUP",
        ]
    )
    with shell.interactive(before=traps) as session:
        session.run(snapshot(shell, "before"))
        assert session.run(shell.cd(root)) == "entering\n"
        assert session.run("false") == "zerr\n"
        assert session.run("true") == ""
        assert session.run("kill -USR1 $$") == "usr1\n"
        assert session.run(shell.cd("/")) == "leaving\n"
        session.run(snapshot(shell, "after"))
        session.send("exit\r")
        session.child.expect_exact("bye")
    assert change(shell) == {}


@pytest.mark.shells("bash", "zsh")
def test_an_interactive_shell_with_errexit_survives_prompts_and_moves(
    shell: Shell, home: Home
) -> None:
    root = rich(home)
    with shell.interactive() as session:
        session.run("set -eu")
        session.run(shell.cd(root))
        session.enter()
        session.run("true")
        assert session.value("PLAIN") == "one"
        session.run(shell.cd("/"))
        session.enter()
        assert session.value("PLAIN") is None
        assert session.run("echo $-").strip()


@pytest.mark.shells("bash")
def test_errtrace_and_functrace_traps_find_no_failing_command_in_the_hook(
    shell: Shell, home: Home
) -> None:
    root = rich(home)
    with shell.interactive(before="set -E\ntrap 'echo err:$BASH_COMMAND' ERR") as session:
        assert session.run(shell.cd(root)) == "entering\n"
        assert session.enter() == ""
        assert session.run("true") == ""
        assert session.run(shell.cd("/")) == "leaving\n"


@pytest.mark.parametrize(
    "program", [p for v in ("", "-3.2", "-4.4", "-5.3") if (p := which(f"bash{v}"))]
)
def test_all_versions_of_bash_that_are_here_behave_the_same(home: Home, program: str) -> None:
    shell = Shell("bash", home)
    shell.program = program
    visit(shell, home, "set -eu")


@pytest.mark.shells("fish")
def test_fish_keeps_its_features_and_handlers(shell: Shell, home: Home) -> None:
    root = rich(home)
    handlers = "\n".join(
        [
            "function moved --on-variable PWD; echo moved; end",
            "function asked --on-event fish_prompt; set -g asked yes; end",
            "function on_usr1 --on-signal USR1; echo usr1; end",
        ]
    )
    with shell.interactive(before=handlers) as session:
        session.run(snapshot(shell, "before"))
        assert session.run(shell.cd(root)) in ("moved\nentering\n", "entering\nmoved\n")
        assert session.value("asked") == "yes"
        assert session.run("kill -USR1 $fish_pid; true") == "usr1\n"
        assert session.run(shell.cd("/")) in ("moved\nleaving\n", "leaving\nmoved\n")
        session.run(snapshot(shell, "after"))
    assert change(shell) == {}
