"""What only zsh has: special and tied parameters, kinds of aliases, widgets, options in its own way."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Home, Shell, write
from samples import variables
from snapshot import change, snapshot

pytestmark = pytest.mark.shells("zsh")


def lines(*commands: str) -> str:
    return "\n".join(commands)


@pytest.mark.parametrize(
    "declaration",
    [
        "typeset -T SHADOW shadow; export SHADOW=/a:/b",
        "typeset -T SHADOW shadow; SHADOW=/a:/b",
        "typeset -u SHADOW=mine",
        "typeset -Z 8 SHADOW=mine",
        "typeset -i 16 SHADOW=255",
        "typeset -xi SHADOW=7",
        "typeset -F SHADOW=2.5",
        "typeset -a SHADOW=(a 'b c' '')",
        "typeset -A SHADOW=(k 'v w')",
        "typeset -g SHADOW=",
        "export SHADOW=$'odd \\n % \\x1f'",
    ],
)
def test_a_shadowed_variable_of_any_type_comes_back(
    shell: Shell, home: Home, declaration: str
) -> None:
    root = home.project("api", variables(SHADOW="5"))
    result = shell.script(
        lines(
            declaration,
            snapshot(shell, "before"),
            shell.cd(root),
            "printenv SHADOW",
            shell.cd("/"),
            snapshot(shell, "after"),
        )
    )
    assert result == (0, "5\n", "")
    assert change(shell) == {}


@pytest.mark.parametrize("kind", ["-F", "-F 3", "-F 17", "-E 5", "-xE 1", "-xF 12"])
def test_a_shadowed_float_keeps_the_digits_that_are_shown_and_those_that_are_not(
    shell: Shell, home: Home, kind: str
) -> None:
    root = home.project("api", variables(SHADOW="5"))
    show = 'builtin print -r -- "$SHADOW $(( SHADOW )) ${(t)SHADOW}"'
    for number in ("1.0 / 3", "-12345.678", "0"):
        result = shell.script(
            lines(
                f"typeset {kind} SHADOW='{number}'",
                show,
                shell.cd(root),
                "printenv SHADOW",
                shell.cd("/"),
                show,
            )
        )
        before, inside, after = result.ok().splitlines()
        assert (inside, after) == ("5", before)


def test_unique_paths_stay_unique_and_come_back(shell: Shell, home: Home) -> None:
    config = "[shellenv.path]\nprepend = bin:/usr/bin\n"
    root = home.project("api", config)
    show = 'builtin print -r -- "${(t)path} $PATH"'
    result = shell.script(
        lines(
            "typeset -U path PATH; path=(/bin /usr/bin)",
            shell.cd(root),
            show,
            "path=(/mine $path)",
            shell.cd("/"),
            show,
            shell.cd(root),
            shell.cd("/"),
            show,
        )
    )
    assert (result.status, result.stderr) == (0, "")
    kind = "array-tied-unique-special"
    # /usr/bin is the user's, too, so it stays: where they had it, or in front once they edit around it
    assert result.stdout == (
        f"{kind} {root}/bin:/usr/bin:/bin\n{kind} /mine:/bin:/usr/bin\n{kind} /mine:/bin:/usr/bin\n"
    )


def test_global_and_suffix_aliases_survive(shell: Shell, home: Home) -> None:
    root = home.project(
        "api", "[shellenv.aliases]\nG = echo ours\ntxt = echo ours\nL = echo ours\n"
    )
    show = 'builtin print -r -- "${(@kv)aliases[(I)G|txt|L]} / ${(@kv)galiases} / ${(@kv)saliases}"'
    result = shell.script(
        lines(
            "unalias -m '*'; alias -g G='| grep'; alias -s txt=cat; alias L=less",
            show,
            shell.cd(root),
            show,
            shell.cd("/"),
            show,
        )
    )
    before, inside, after = result.ok().splitlines()
    assert "G | grep" in before
    assert "ours" in inside
    assert "saliases" not in inside
    assert after == before


def test_global_aliases_reach_neither_the_hook_nor_a_snippet(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1") + "[shellenv.aliases]\nt = true\n", venv=True)
    # no word of the activate script, which is the user's
    words = ("-e", "-gx", "-L", "emulate", "zsh", "typeset", "while", "__shellenv_log", "-nt")
    globals_ = lines(*(f"alias -g -- {shell.quote(word)}='; false'" for word in words))
    with shell.interactive(before=globals_) as session:
        assert session.run(shell.cd(root)) == ""
        assert session.value("X") == "1"
        write(root / "dockerutils.cfg", variables(X="2"))
        home.allow(root)
        assert session.enter() == ""
        assert session.value("X") == "2"
        assert session.run(shell.cd("/")) == ""
        assert session.value("VIRTUAL_ENV") is None


def test_the_users_code_runs_under_the_users_options_and_may_set_some(
    shell: Shell, home: Home
) -> None:
    hooks = "[shellenv.hooks]\nenter = a='x y'; print -l $a; setopt ksh_arrays\nleave = setopt rc_quotes\n"
    root = home.project("api", hooks, venv=True)
    script = home.path / ".venv/api/bin/activate"
    write(script, script.read_text() + '\ns="p q"; echo $#$s ${=s} $s >&2; setopt no_case_glob\n')
    result = shell.script(
        lines(
            "setopt sh_word_split",
            shell.cd(root),
            shell.cd("/"),
            "builtin print -r -- ${options[shwordsplit]} ${options[ksharrays]} "
            "${options[rcquotes]} ${options[caseglob]}",
        )
    )
    assert result.stdout == "on on on off\n"
    assert result.stderr.endswith("x\ny\n")


def test_a_widget_that_changes_directory_changes_the_project(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"))
    widget = f"into() {{ cd {root}; zle reset-prompt }}; zle -N into; bindkey '^G' into"
    with shell.interactive(before=widget) as session:
        session.send("\x07")
        session.wait()
        session.drain()
        assert session.value("X") == "1"


def test_cd_without_hooks_is_followed_at_the_next_prompt(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"))
    with shell.interactive() as session:
        assert session.run(f"cd -q {root}; echo ${{X-unset}}") == "unset\n"
        assert session.value("X") == "1"
        session.run("pushd -q /")
        assert session.value("X") is None


def test_prompts_name_no_directory_after_a_variable_of_ours(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(DATA=str(home.path)), venv=True)
    show = "print -P %~; hash -d | grep -i shellenv"
    with shell.interactive(before="setopt auto_name_dirs") as session:
        for _ in range(2):
            assert session.run(f"cd {root}; {show}") == "~/projects/api\n"
            assert session.run(show) == "~/projects/api\n"
            assert session.run(f"cd {home.projects}; {show}") == "~/projects\n"


def test_a_theme_that_computes_the_prompt_sees_the_environment(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"))
    theme = 'theme() { PROMPT="[${X-none}] $ <%(?.r.r)eady>" }; precmd_functions=(theme)'
    with shell.interactive(before=theme) as session:
        session.run(shell.cd(root))
        assert "[1]" in session.prompt
        session.run(shell.cd("/"))
        assert "[none]" in session.prompt


def test_an_activate_script_that_sources_others_is_undone(shell: Shell, home: Home) -> None:
    root = home.project("api", "", venv=True)
    more = write(
        home.path / "more.sh",
        "export MORE=1\nalias more_alias=true\nmore_function() { :; }\nmore_array=(a b)\n",
    )
    script = home.path / ".venv/api/bin/activate"
    write(script, script.read_text() + f"\nwhere={more}\n. $where\n")
    result = shell.script(
        lines(
            "zmodload zsh/parameter",
            snapshot(shell, "before"),
            shell.cd(root),
            "echo $MORE $more_array $+aliases[more_alias] $+functions[more_function]",
            shell.cd("/"),
            snapshot(shell, "after"),
        )
    )
    assert result == (0, "1 a b 1 1\n", "")
    assert change(shell) == {}


def test_emulating_other_shells_does_not_matter(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1") + "[shellenv.path]\nprepend = bin\n", venv=True)
    for mode in ("sh", "ksh", "csh", "zsh"):
        code = f"emulate {mode}; cd {root}; echo $X; cd /; echo ${{X-unset}}"
        assert shell.script(code).ok() == "1\nunset\n", mode
        assert shell.script(f"emulate {mode}\n{shell.hook}\n{code}", hook=False).ok() == (
            "1\nunset\n"
        ), mode


@pytest.mark.parametrize(
    "option", ["ksh_glob", "rc_quotes", "ignore_braces", "ignore_close_braces"]
)
def test_the_hook_can_be_read_under_options_that_change_the_language(
    shell: Shell, option: str
) -> None:
    static = Path(__file__).parent.parent / "shell/hook.zsh"
    assert shell.script(f"zsh -f -o {option} -n {static}", hook=False).ok() == ""
