"""The harness shows what a real shell does, or every other test is worth nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import SHELLS, Home, Shell, Trace, make_venv


def test_a_script_returns_status_and_both_streams(shell: Shell) -> None:
    result = shell.script("echo out; echo err >&2; exit 3", hook=False)
    assert result == (3, "out\n", "err\n")


@pytest.mark.parametrize(
    "value", ["", "plain", "a 'b' \"c\" $d \\e `f`", "two\nlines\n", "é\udcff"]
)
def test_values_survive_quoting_and_showing(shell: Shell, value: str) -> None:
    code = "\n".join([shell.set("X", value), shell.show("X", "NOT_THERE")])
    assert shell.script(code, hook=False).ok() == f"X={value}\nNOT_THERE unset\n"


def test_only_our_environment_reaches_a_shell(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "1")
    assert shell.script(shell.show("LEAKED"), hook=False).ok() == "LEAKED unset\n"


def test_a_terminal_gives_each_commands_output_and_the_prompt(shell: Shell) -> None:
    with shell.interactive(hook=False) as session:
        assert session.greeting == ""
        assert session.prompt == "$ "
        assert session.run("echo one; echo two") == "one\ntwo\n"
        assert session.run("true") == ""
        assert session.enter() == ""
        assert session.run("echo still in step") == "still in step\n"


def test_a_terminal_is_wide(shell: Shell) -> None:
    text = "x" * 3000
    with shell.interactive(hook=False) as session:
        assert session.run(f"echo {text}") == f"{text}\n"


def test_a_prompts_own_text_is_seen(shell: Shell) -> None:
    mark = (
        "functions -c fish_prompt old; function fish_prompt; printf '(api) '; old; end"
        if shell.name == "fish"
        else 'PS1="(api) $PS1"'
    )
    with shell.interactive(hook=False) as session:
        session.run(mark)
        assert session.prompt == "(api) $ "


def test_what_the_terminal_hands_out_does_not_disturb_the_shell(shell: Shell) -> None:
    status = "echo $status" if shell.name == "fish" else "echo $?"
    with shell.interactive(hook=False) as session:
        session.run("false")
        assert session.run(status) == "1\n"
        if shell.name != "fish":
            session.run("true kept")
            assert session.run("echo $_") == "kept\n"
        if shell.name == "bash":
            session.run("true | false | true")
            assert session.run('echo "${PIPESTATUS[@]}"') == "0 1 0\n"


@pytest.mark.parametrize("value", ["", "a 'b' \"c\" $d", "tab\tand é\nlines\n"])
def test_a_sessions_variables_are_read_exactly(shell: Shell, value: str) -> None:
    shell.env["X"] = value
    with shell.interactive(hook=False) as session:
        assert session.value("X") == value
        assert session.value("NOT_THERE") is None


def test_interrupt_ends_a_running_command(shell: Shell) -> None:
    with shell.interactive(hook=False) as session:
        session.send("sleep 1000\r")
        session.child.expect_exact("<begin>")
        session.interrupt()
        assert session.run("echo alive") == "alive\n"


@pytest.mark.needs("strace")
def test_a_trace_counts_processes_between_marks(shell: Shell) -> None:
    trace = shell.trace_script(
        "\n".join(
            [
                "/bin/true",
                shell.mark("one"),
                "cd /",
                shell.mark("two"),
                "/bin/true",
                shell.mark("three"),
            ]
        ),
        hook=False,
    )
    assert trace.between("one", "two").lines == ()
    assert trace.between("two", "three")[:2] == (1, 1)


@pytest.mark.needs("strace")
def test_a_terminal_session_can_be_traced(shell: Shell, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with shell.interactive(hook=False, trace=log) as session:
        session.run(shell.mark("one"))
        session.enter()
        session.run("cd /")
        session.run(shell.mark("two"))
        session.run("/bin/true")
        session.run(shell.mark("three"))
    trace = Trace(log)
    assert trace.between("one", "two").lines == ()
    assert trace.between("two", "three")[:2] == (1, 1)


@pytest.mark.parametrize("name", ["plain", "with space"])
def test_a_venv_is_real(home: Home, name: str) -> None:
    venv = make_venv(home.path / ".venv" / name)
    shell = Shell("bash", home)
    code = f'. {shell.quote(venv / "bin/activate")}; echo "$VIRTUAL_ENV"; command -v python'
    assert shell.script(code, hook=False).ok() == f"{venv}\n{venv}/bin/python\n"


@pytest.mark.shells("zsh")
def test_the_marker_limits_the_shells(shell: Shell) -> None:
    assert shell.name == "zsh"
    assert shell.name in SHELLS
