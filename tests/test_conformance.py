"""What a command sees, and what becomes of it, in every execution environment alike.

Each test runs unchanged in each of them; that they behave the same is the point of it all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from aws import Aws
from dock import Images
from harness import TIMEOUT, eventually, write
from runs import Environment, pids
from servers import User

ENVIRONMENTS = ("venv", "docker", "remote")

# Commands that are sent signals are bash's: dash loses one that comes while it forks.

pytestmark = pytest.mark.needs("setpriv", "docker")

ODD = [
    "",
    " ",
    "two words",
    "'single' \"double\"",
    "line\nbreak\n",
    "*",
    "$HOME `id` $(id)",
    "back\\slash",
    "-n",
    "--",
    "été 日本 🐳",
    "\t",
    "#",
    "a=b",
    "!",
    "~",
]


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def environment(
    request: pytest.FixtureRequest, somebody: User, images: Images
) -> Iterator[Environment]:
    """A project in one of the environments."""
    dock = None
    if request.param == "remote":
        dock = request.getfixturevalue("_first_dock")
        dock.reset()
    somebody.move_in()
    environment = Environment(request.param, somebody, images, dock)
    yield environment
    environment.remove()


@pytest.fixture(autouse=True)
def _afterwards(environment: Environment) -> Iterator[None]:
    """What a test that failed has left at a dock, where runs go on, is no matter of the next."""
    yield
    if environment.name == "remote":
        for name in environment.containers():
            environment.engine("rm", "-f", name)


# --- how it ends --------------------------------------------------------------------------------


def test_the_exit_status_is_the_commands(environment: Environment) -> None:
    wanted = [0, 1, 2, 42, 100, 124, 125, 126, 127, 128, 129, 130, 137, 143, 254, 255]
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(lambda n: environment.run("sh", "-c", f"exit {n}"), wanted)
        assert [(done.status, done.stderr) for done in found] == [(n, b"") for n in wanted]


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "ABRT", "KILL", "SEGV", "PIPE", "TERM"])
def test_a_command_that_a_signal_ends_has_the_status_that_shells_give_it(
    environment: Environment, name: str
) -> None:
    done = environment.run("sh", "-c", f"kill -s {name} $$")
    assert done.status == 128 + getattr(signal, f"SIG{name}")


def test_what_is_not_there_is_127_and_what_cannot_be_executed_126(
    environment: Environment,
) -> None:
    write(environment.root / "data", "no program")
    write(environment.root / "stray", "#! /no/such/sh -e\n").chmod(0o755)
    write(environment.root / "windows", "#!/bin/sh\r\necho\r\n").chmod(0o755)
    for command, status, message in (
        ("no-such-command", 127, b"shellenv: no-such-command is not found"),
        ("", 127, b"shellenv: '' is not found"),
        ("./data", 126, b"shellenv: cannot run ./data: Permission denied"),
        ("./sub", 126, b"shellenv: cannot run ./sub: Permission denied"),
        ("./stray", 127, b"shellenv: ./stray needs /no/such/sh, which is not there"),
        ("./windows", 127, b"shellenv: ./windows needs /bin/sh\\r, which is not there"),
    ):
        with environment.start(command) as child:
            stderr = child.communicate(timeout=TIMEOUT)[1]
        assert child.returncode == status
        assert stderr.splitlines().count(message) == 1


def test_a_script_that_does_not_say_what_runs_it_is_sh_s(environment: Environment) -> None:
    write(environment.root / "bin" / "plain", 'echo "$0 $*"\n').chmod(0o755)
    assert environment.ok("bin/plain", "two  words", "*") == b"bin/plain two  words *\n"
    line = "PATH=$PWD/bin:$PATH shellenv exec -- plain; cd bin; exec shellenv exec -- ./plain 3"
    done = environment.shell_command(line)
    assert done.stdout == f"{environment.root}/bin/plain \n./plain 3\n".encode()


# --- streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "env"), [(["-q"], {}), ([], {"SHELLENV_QUIET": "yes"})])
def test_quietly_only_the_command_says_something(
    environment: Environment, options: list[str], env: dict[str, str]
) -> None:
    write(environment.root / "given", "brought there")
    line = "cat given; echo back >made; echo well >&2"
    with environment.start("sh", "-c", line, options=options, env=env) as child:
        assert child.communicate(timeout=TIMEOUT) == (b"brought there", b"well\n")
    assert (environment.root / "made").read_text() == "back\n"


def test_a_hundred_megabytes_go_through_unchanged(environment: Environment) -> None:
    data = os.urandom(1 << 20) * 100
    assert hashlib.sha256(environment.ok("cat", stdin=data)).digest() == (
        hashlib.sha256(data).digest()
    )


def test_stdin_may_be_a_file(environment: Environment) -> None:
    path = write(environment.root / "input", bytes(range(256)) * 1000)
    with path.open("rb") as stream:
        assert environment.ok("cat", stdin=stream) == path.read_bytes()


def test_a_command_that_does_not_read_ends_all_the_same(environment: Environment) -> None:
    assert environment.ok("true", stdin=bytes(10_000_000)) == b""


def test_the_end_of_stdin_is_seen_while_the_command_runs(environment: Environment) -> None:
    code = "cat >/dev/null; echo seen; sleep 0.2; echo later"
    assert environment.ok("sh", "-c", code, stdin=b"x") == b"seen\nlater\n"


def test_stdout_and_stderr_are_separate_and_complete(environment: Environment) -> None:
    code = "import sys\nfor n in range(20000):\n  print(n)\n  print(-n, file=sys.stderr)"
    done = environment.run("python3", "-c", code)
    assert done.status == 0
    assert done.stdout.split() == [b"%d" % n for n in range(20000)]
    assert done.stderr.split() == [b"%d" % -n for n in range(20000)]


def test_output_comes_while_the_command_runs(environment: Environment) -> None:
    with environment.start("bash", "-c", "echo one; read line; echo $line", stdin=-1) as child:
        assert child.stdin
        assert child.stdout
        assert child.stdout.readline() == b"one\n"
        child.stdin.write(b"two\n")
        child.stdin.close()
        assert child.stdout.readline() == b"two\n"


@pytest.mark.parametrize("size", [500_000, 1_000_000, 2_000_000])
def test_what_its_reader_has_not_taken_when_it_ends_is_not_lost(
    environment: Environment, size: int
) -> None:
    with environment.start("head", "-c", str(size), "/dev/zero") as child:
        assert child.stdout
        found = len(child.stdout.read(1))
        time.sleep(2)
        assert found + len(child.stdout.read()) == size
        assert child.wait(TIMEOUT) == 0


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_signal_ends_it_while_its_reader_takes_nothing(
    environment: Environment, name: str
) -> None:
    number = getattr(signal, f"SIG{name}")
    with environment.start("yes") as child:
        assert child.stdout
        assert child.stdout.read(1) == b"y"
        time.sleep(1)
        child.send_signal(number)
        assert child.wait(TIMEOUT) in (128 + number, -number)
    eventually(lambda: not environment.containers())


def test_it_may_take_its_time_to_end_while_its_reader_takes_nothing(
    environment: Environment,
) -> None:
    code = "yes & trap 'sleep 1; kill $!; exit 5' INT; wait"
    with environment.start("bash", "-c", code) as child:
        assert child.stdout
        assert child.stdout.read(1) == b"y"
        child.send_signal(signal.SIGINT)
        assert child.wait(TIMEOUT) == 5
    eventually(lambda: not environment.containers())


def test_it_ends_if_its_reader_goes_away_when_it_has_ended(environment: Environment) -> None:
    with environment.start("seq", "120000") as child:
        assert child.stdout
        assert child.stdout.read(1) == b"1"
        time.sleep(2)
        child.stdout.close()
        child.wait(TIMEOUT)
    eventually(lambda: not environment.containers())


@pytest.mark.parametrize("command", [["yes"], ["python3", "-c", "while True: print(1)"]])
def test_a_command_whose_reader_goes_away_ends(
    environment: Environment, command: list[str]
) -> None:
    with environment.start(*command) as child:
        assert child.stdout
        assert child.stdout.readline()
        child.stdout.close()
        child.wait(TIMEOUT)
    eventually(lambda: not environment.containers())


# --- the terminal -------------------------------------------------------------------------------

TTY = "import os; print('tty', *map(os.isatty, range(3)), end='.')"


def test_at_a_terminal_the_command_has_one(environment: Environment) -> None:
    with environment.terminal() as terminal:
        terminal.type(environment.words("python3", "-c", TTY))
        terminal.expect("tty True True True.")
        terminal.wait()


def test_at_a_terminal_stderr_may_go_elsewhere(environment: Environment) -> None:
    with environment.terminal() as terminal:
        command = environment.words("sh", "-c", "echo out; echo err >&2")
        terminal.type(f"{command} 2>$HOME/said; grep -x err $HOME/said | sed s/e/a/")
        terminal.expect("out")
        assert "arr" in terminal.wait()


def test_in_a_pipeline_it_has_none(environment: Environment) -> None:
    with environment.terminal() as terminal:
        terminal.type(f"echo | {environment.words('python3', '-c', TTY)} | cat")
        terminal.expect("tty False False")
        terminal.wait()


def test_the_window_has_its_size_from_the_start_and_changes_are_seen(
    environment: Environment,
) -> None:
    code = (  # not with print, which a signal must not interrupt with another one
        "import os, signal; size = os.get_terminal_size; "
        "say = lambda what: os.write(1, b'%s %d %d\\n' % (what, *size()));"
        "changed = lambda *_: (say(b'now'), size()[1] == 44 and os._exit(7));"
        "signal.signal(signal.SIGWINCH, changed); say(b'first');"
        "[signal.pause() for _ in range(99)]"
    )
    with environment.terminal() as terminal:
        terminal.type(environment.words("python3", "-c", code))
        terminal.expect("first 999 33\r\n")
        terminal.child.setwinsize(44, 888)
        terminal.expect("now 888 44\r\n")
        terminal.wait()
        assert terminal.status() == 7


@pytest.mark.parametrize("key", ["p", "q", "@"])
def test_a_key_comes_as_soon_as_it_is_typed(environment: Environment, key: str) -> None:
    """docker keeps Ctrl-P back until the next one."""
    code = "stty raw -echo; echo begin; head -c 1 | od -An -tx1; stty sane"
    with environment.terminal() as terminal:
        terminal.type(environment.words("sh", "-c", code))
        terminal.expect("\nbegin")
        terminal.press(key)
        terminal.expect(f" {ord(key) & 31:02x}\n")
        terminal.wait()


def test_ctrl_c_ends_it_with_130(environment: Environment) -> None:
    with environment.terminal() as terminal:
        terminal.type(environment.words("bash", "-c", "echo begin; sleep 1000; echo survived"))
        terminal.expect("\r\nbegin")
        terminal.press("c")
        assert "\nsurvived" not in terminal.wait()
        assert terminal.status() == 130
    eventually(lambda: not environment.containers())


def test_ctrl_c_is_the_commands_to_handle(environment: Environment) -> None:
    code = "trap 'echo caught; exit 3' INT; echo begin; while :; do sleep 0.05; done"
    with environment.terminal() as terminal:
        terminal.type(environment.words("bash", "-c", code))
        terminal.expect("\r\nbegin")
        terminal.press("c")
        terminal.expect("caught")
        terminal.wait()
        assert terminal.status() == 3


def test_ctrl_c_ends_a_pipeline_without_a_terminal_for_the_command(
    environment: Environment,
) -> None:
    code = "echo begin >&2; sleep 1000; echo survived >&2"
    with environment.terminal() as terminal:
        terminal.type(f"{environment.words('bash', '-c', code)} </dev/null | cat")
        terminal.expect("\r\nbegin")
        terminal.press("c")
        assert "\nsurvived" not in terminal.wait()
    eventually(lambda: not environment.containers())


@pytest.mark.parametrize("input_", ["", "</dev/null"], ids=["terminal", "no terminal"])
def test_ctrl_z_stops_it_and_fg_goes_on(environment: Environment, input_: str) -> None:
    code = "echo begin; for n in $(seq 100); do sleep 0.05; done; echo got there"
    with environment.terminal() as terminal:
        terminal.type(f"{environment.words('bash', '-c', code)} {input_}")
        terminal.expect("\r\nbegin")
        terminal.stop()
        terminal.type("stty -a")  # the terminal is the shell's again
        assert "-icanon" not in terminal.wait().replace(" icanon", "")
        terminal.type("sleep 6")  # longer than it takes
        assert "\ngot there" not in terminal.wait()
        terminal.type("fg")
        terminal.expect("got there\r")
        terminal.wait()
        assert terminal.status() == 0


@pytest.mark.parametrize("input_", ["", "</dev/null"], ids=["terminal", "no terminal"])
def test_after_ctrl_z_and_bg_it_goes_on_and_the_terminal_is_the_shells(
    environment: Environment, input_: str
) -> None:
    code = "echo begin; for n in $(seq 40); do sleep 0.05; done; echo got there"
    with environment.terminal() as terminal:
        terminal.type(f"{environment.words('bash', '-c', code)} {input_}")
        terminal.expect("\r\nbegin")
        terminal.stop()
        terminal.type("bg")
        terminal.expect("got there\r")
        terminal.type("wait; echo it is $((6 * 7))")
        terminal.expect("\r\nit is 42\r\n")
    eventually(lambda: not environment.containers())


def test_fg_after_bg_gives_the_command_the_terminal_again(environment: Environment) -> None:
    code = "echo begin; read -r line; echo got $line.; read -r line; echo and $line."
    with environment.terminal() as terminal:
        terminal.type(environment.words("bash", "-c", code))
        terminal.expect("\r\nbegin")
        terminal.stop()
        terminal.type("bg")
        terminal.type("echo it is $((6 * 7)).")  # what is typed is the shell's
        terminal.expect("\r\nit is 42.\r\n")
        terminal.type("fg")
        terminal.expect("\r\nrun-shell")
        terminal.type("one")
        terminal.expect("\ngot one.")
        terminal.stop()
        terminal.type("fg")
        terminal.type("two")
        terminal.expect("\nand two.")
        terminal.wait()
        assert terminal.status() == 0


@pytest.mark.parametrize("input_", ["", "</dev/null"], ids=["terminal", "no terminal"])
def test_what_is_stopped_can_be_killed(environment: Environment, input_: str) -> None:
    mark = f"{environment.root}/stopped"
    with environment.terminal() as terminal:
        code = f"trap 'exit 7' TERM; echo begin; while :; do sleep 0.05; done; : {mark}"
        terminal.type(f"{environment.words('bash', '-c', code)} {input_}")
        terminal.expect("\r\nbegin")
        terminal.stop()
        terminal.type("kill %1")
        eventually(lambda: not environment.containers() and not pids(mark))
        said = [terminal.wait()]

        def is_told() -> bool:
            terminal.type("")  # the shell says so before a prompt, once it knows
            said.append(terminal.wait())
            return "Exit 7" in "".join(said)

        eventually(is_told)


def test_ctrl_z_stops_what_has_started_the_run_as_well(environment: Environment) -> None:
    """It is one job of the user's shell, as with make."""
    line = environment.words("bash", "-c", "echo begin; sleep 1; echo got there")
    with environment.terminal() as terminal:
        terminal.type(f"sh -c {shlex.quote(line + '; echo and back')}")
        terminal.expect("\r\nbegin")
        terminal.stop()
        terminal.type("fg")
        terminal.expect("got there\r")
        terminal.expect("\nand back")
        terminal.wait()


@pytest.mark.parametrize("input_", ["", "</dev/null"], ids=["terminal", "no terminal"])
def test_an_fg_right_after_ctrl_z_continues_all_of_the_job(
    environment: Environment, input_: str
) -> None:
    """What started the run has stopped before the run has, and may be continued before it."""
    # It starts no programs: a bash that is continued while it forks may leave its child stopped
    code = "import time\nwhile True: print('tick'); time.sleep(0.05)"
    line = f"{environment.words('python3', '-uc', code)} {input_}"
    with environment.terminal() as terminal:
        terminal.type(f"sh -c {shlex.quote(line + '; echo and back')}; fg; fg; fg; fg; fg")
        for _ in range(5):
            terminal.expect("tick\r\ntick")
            terminal.press("z")
            terminal.expect("Stopped")
        terminal.expect("tick\r\ntick")
        terminal.press("c")
        terminal.wait()
    eventually(lambda: not environment.containers())


def test_what_is_stopped_and_continued_at_once_goes_on(environment: Environment) -> None:
    with environment.terminal() as terminal:
        terminal.type(environment.words("bash", "-c", "echo begin; sleep 2; echo got there"))
        terminal.expect("\r\nbegin")
        run = os.tcgetpgrp(terminal.child.child_fd)
        os.kill(run, signal.SIGTSTP)
        os.kill(run, signal.SIGCONT)
        terminal.expect("\r\ngot there")
        terminal.wait()
        assert terminal.status() == 0


def test_a_stop_that_nobody_can_notice_changes_nothing_for_who_types(
    environment: Environment,
) -> None:
    code = "echo begin; read -r line; echo got $line.; read -rs line; echo and $line."
    with environment.terminal() as terminal:
        terminal.type(environment.words("bash", "-c", code))
        terminal.expect("\r\nbegin")
        for command in ("bg", "fg"):
            os.killpg(os.tcgetpgrp(terminal.child.child_fd), signal.SIGSTOP)
            terminal.wait()
            terminal.type(command)
            if command == "bg":  # what is typed is the shell's
                for _ in range(3):
                    terminal.type("echo it is $((6 * 7)).")
                    terminal.expect("\r\nit is 42.\r\n")
                terminal.type("fg")
            terminal.expect("\r\nrun-shell")
            if environment.name != "venv":
                eventually(terminal.is_raw)
        terminal.type("one")
        assert terminal.expect("got one.").count("one") == 1
        terminal.type("two")
        assert "two" not in terminal.expect("and two.")
        terminal.wait()
        assert terminal.status() == 0


def test_a_window_that_changed_in_the_background_has_its_size_in_the_foreground(
    environment: Environment,
) -> None:
    code = "echo begin; while read -r line; do stty size; done"
    with environment.terminal() as terminal:
        terminal.type(environment.words("bash", "-c", code))
        terminal.expect("\r\nbegin")
        terminal.stop()
        terminal.type("bg")
        terminal.wait()
        terminal.child.setwinsize(44, 888)
        terminal.type("fg")
        terminal.expect("\r\nrun-shell")

        def is_told() -> bool:
            terminal.type("")
            terminal.child.expect(r"\n\d+ \d+\r")
            return terminal.child.after == "\n44 888\r"

        eventually(is_told)
        terminal.press("d")
        terminal.wait()


def test_the_end_of_input_may_be_typed_ahead(environment: Environment) -> None:
    with environment.terminal() as terminal:
        terminal.type(environment.words("sh", "-c", "cat; echo over"))
        terminal.expect(f"shellenv: {environment.name}: ")
        terminal.child.send("line\n\x04")
        terminal.expect("\r\nover")
        terminal.wait()


def test_ctrl_c_before_the_command_is_there_is_not_lost(environment: Environment) -> None:
    line = environment.words("bash", "-c", "echo begin; sleep 1000")
    with environment.terminal() as terminal:
        for _ in range(3):
            terminal.type(line)
            terminal.expect(f"shellenv: {environment.name}: ")
            if environment.name != "venv":  # once keys go there, it is started
                eventually(terminal.is_raw)
            terminal.press("c")
            terminal.wait()
            assert terminal.status() == 130
    eventually(lambda: not environment.containers())


def test_ctrl_c_ends_a_loop_whatever_the_run_is_at(environment: Environment) -> None:
    with environment.terminal() as terminal:
        for pause in (0, 0.1, 0.3):
            terminal.type(
                f"for n in 1 2; do echo round$n; {environment.words('sleep', '1000')}; done"
            )
            terminal.expect(f"shellenv: {environment.name}: ")
            time.sleep(pause)
            terminal.press("c")
            assert "round2" not in terminal.wait()
    eventually(lambda: not environment.containers())


def test_ctrl_z_stops_a_pipeline_whose_reader_takes_nothing(environment: Environment) -> None:
    reader = "(read -r line; echo begin; exec sleep 1000)"
    with environment.terminal() as terminal:
        terminal.type(f"{environment.words('yes')} | {reader}")
        terminal.expect("\r\nbegin")
        time.sleep(1)
        terminal.stop()
        terminal.type("fg")
        terminal.expect("\r\nrun-shell")
        time.sleep(0.5)
        terminal.press("c")
        terminal.wait()
        assert terminal.status() == 130
    eventually(lambda: not environment.containers())


def test_a_sigtstp_that_was_sent_stops_the_command_as_well(environment: Environment) -> None:
    mark = environment.root / "counted"
    code = f"echo >{mark}; echo begin; while sleep 0.05; do echo >>{mark}; done"
    with environment.terminal() as terminal:
        terminal.type(environment.words("bash", "-c", code))
        terminal.expect("\r\nbegin")
        (run,) = set(pids("shellenv-core")) & set(pids(str(mark)))
        os.kill(run, signal.SIGTSTP)
        terminal.expect("Stopped")
        terminal.wait()
        if environment.name != "remote":  # there it is not seen before the end
            size = mark.stat().st_size
            time.sleep(0.5)
            assert mark.stat().st_size == size
        terminal.type("fg")
        terminal.expect("\r\nrun-shell")
        time.sleep(0.5)
        terminal.press("c")
        terminal.wait()
        assert terminal.status() == 130


def test_ctrl_z_is_the_commands_to_handle(environment: Environment) -> None:
    code = (
        "import os, signal; signal.signal(signal.SIGTSTP, lambda *_: os._exit(3)); "
        "print('begin', flush=True); [signal.pause() for _ in range(9)]"
    )
    with environment.terminal() as terminal:
        terminal.type(environment.words("python3", "-c", code))
        terminal.expect("\r\nbegin")
        terminal.press("z")
        assert "Stopped" not in terminal.wait()
        assert terminal.status() == 3


def test_in_the_background_it_runs_without_reading_the_terminal(environment: Environment) -> None:
    with environment.terminal() as terminal:
        terminal.type(f"{environment.words('sh', '-c', 'echo ran')} & wait; echo over")
        terminal.expect("\r\nran\r\n")
        terminal.expect("over")


def test_when_the_terminal_goes_so_does_the_command(environment: Environment) -> None:
    mark = environment.root / "hung-up"
    code = f"trap 'echo gone >{mark}; exit' HUP; echo begin; while :; do sleep 0.05; done"
    with environment.terminal() as terminal:
        terminal.type(environment.words("bash", "-c", code))
        terminal.expect("\r\nbegin")
    eventually(lambda: mark.exists() and mark.read_text() == "gone\n")
    eventually(lambda: not environment.containers())
    eventually(lambda: not pids(f"{mark}"))


# --- signals ------------------------------------------------------------------------------------


def test_sigterm_reaches_the_command(environment: Environment) -> None:
    code = "trap 'echo caught; exit 9' TERM; echo begin; while :; do sleep 0.05; done"
    with environment.start("bash", "-c", code) as child:
        assert child.stdout
        assert child.stdout.readline() == b"begin\n"
        child.terminate()
        assert child.stdout.read() == b"caught\n"
        assert child.wait(TIMEOUT) == 9


@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1", "QUIT"])
def test_a_signal_that_ends_the_command_ends_the_run(environment: Environment, name: str) -> None:
    number = getattr(signal, f"SIG{name}")
    # sh: bash ignores SIGQUIT until it has become sleep
    with environment.start("sh", "-c", "echo begin; exec sleep 1000") as child:
        assert child.stdout
        assert child.stdout.readline() == b"begin\n"
        child.send_signal(number)
        assert child.wait(TIMEOUT) == 128 + number
    eventually(lambda: not environment.containers())


def test_what_is_killed_is_cleaned_up_by_the_next_run(environment: Environment) -> None:
    with environment.start("bash", "-c", "echo begin; exec sleep 86396") as child:
        assert child.stdout
        assert child.stdout.readline() == b"begin\n"
        child.kill()
    assert environment.run("true").status == 0
    if environment.name == "remote":  # it cannot be told from a machine that lost its network
        (name,) = environment.containers()
        environment.engine("rm", "-f", name)
    assert not environment.containers()
    eventually(lambda: not pids("86396"))


def test_a_background_child_does_not_outlive_the_run(environment: Environment) -> None:
    code = "sleep 86399 & setsid sleep 86398 & (setsid sleep 86397 &) ; sleep 0.2; echo over"
    assert environment.ok("sh", "-c", code) == b"over\n"
    eventually(lambda: not any(pids(f"8639{n}") for n in (7, 8, 9)))


# --- ports --------------------------------------------------------------------------------------

SERVER = """import socket, sys
with socket.create_server(("", int(sys.argv[1]))) as server:
    print("listening", flush=True)
    with server.accept()[0] as connection:
        connection.sendall(b"hello")
"""


def test_a_port_that_is_published_is_here(environment: Environment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for _ in range(2):  # the first run leaves nothing in the way of the second
        with environment.start(
            *("python3", "-c", SERVER, str(port)), options=["-p", f"{port}:{port}"]
        ) as child:
            assert child.stdout
            assert child.stdout.readline() == b"listening\n"
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
                assert connection.recv(100) == b"hello"
            assert child.wait(TIMEOUT) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


# --- what it is given ---------------------------------------------------------------------------


def test_arguments_arrive_as_they_are(environment: Environment) -> None:
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    assert json.loads(environment.ok("python3", "-c", code, *ODD)) == ODD


def test_variables_arrive_as_they_are(environment: Environment) -> None:
    values = {f"ODD_{number}": value for number, value in enumerate(ODD)}
    options = [word for name, value in values.items() for word in ("-e", f"{name}={value}")]
    options += ["-e", "INHERITED", "-e", "ABSENT", "-e", "A=b=c"]
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    given = {"INHERITED": "from outside"}
    found = json.loads(environment.ok("python3", "-c", code, options=options, env=given))
    assert {name: found.get(name) for name in values} == values
    assert (found["INHERITED"], found["A"]) == ("from outside", "b=c")
    assert "ABSENT" not in found
    assert not [name for name in found if name.startswith("SHELLENV_") and name[9:] not in (
        "PROJECT", "ROOT")]  # fmt: skip


def test_a_command_knows_the_shell_that_one_has_there(environment: Environment) -> None:
    code = "import os; print(os.path.basename(os.environ['SHELL']))"
    assert environment.ok("python3", "-c", code, env={"SHELL": "/bin/bash"}) == b"bash\n"


def test_a_secret_is_in_the_environment_and_not_in_sight(environment: Environment) -> None:
    options = ["-e", "API_TOKEN=sesame-8472"]
    code = "echo $API_TOKEN; read line"
    with environment.start("bash", "-c", code, options=options, stdin=-1) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline() == b"sesame-8472\n"
        own = {child.pid, os.getpid()}  # the user's own words
        assert not set(pids("sesame-8472")) - own
        child.stdin.close()
        child.wait(TIMEOUT)
        assert b"sesame" not in child.stderr.read()


@contextmanager
def settings(environment: Environment, text: str) -> Iterator[None]:
    """Meanwhile this is in the user's own file for the project."""
    personal = write(environment.home / ".config" / "shellenv" / "projects" / "api.cfg", text)
    environment.user.own(environment.home / ".config")
    try:
        yield
    finally:
        personal.unlink()


def test_the_projects_variables_and_path_are_there(environment: Environment) -> None:
    write(environment.root / "bin" / "greet", "#!/bin/sh\necho $STAGE $URL\n").chmod(0o755)
    env = "[shellenv.env]\nSTAGE = test\nURL = db://$USER/$STAGE $HOME\n"
    with settings(environment, f"{env}[shellenv.path]\nprepend = bin\n"):
        found = environment.ok("greet").decode().strip()
    assert found == f"test db://{environment.user.name}/test {environment.home}"


def test_it_runs_where_one_stands(environment: Environment) -> None:
    code = "pwd; echo $PWD"
    there = f"{environment.root}/sub/dir"
    assert environment.ok("sh", "-c", code, cwd="sub/dir").decode().split() == [there, there]


def test_the_locale_is_utf_8(environment: Environment) -> None:
    code = "import sys, locale; print(sys.stdout.encoding, locale.getpreferredencoding(), 'é')"
    assert environment.ok("python3", "-c", code).decode() == "utf-8 UTF-8 é\n"


def test_the_time_is_that_of_my_time_zone(environment: Environment) -> None:
    code = "import time; print(time.strftime('%H %Z', time.localtime(0)))"
    found = environment.ok("python3", "-c", code, env={"TZ": "Asia/Tokyo"})
    assert found == b"09 JST\n"


def test_programs_can_share_memory(environment: Environment) -> None:
    name = f"/dev/shm/shellenv-{os.getpid()}"
    code = f"head -c 100000000 /dev/zero >{name} && wc -c <{name}; rm {name}"
    assert environment.ok("sh", "-c", code) == b"100000000\n"


def test_one_is_oneself(environment: Environment) -> None:
    user = environment.user
    code = "id -u; id -g; id -un; echo $USER; echo $LOGNAME; echo $HOME; echo ~; echo ~$USER"
    found = environment.ok("sh", "-c", code).decode().split()
    home = str(environment.home)
    # At a dock files belong to who logs in there, and come back as one's own.
    ids = ["1000", "1000"] if environment.name == "remote" else [str(user.uid), str(user.gid)]
    assert found[:7] == [*ids, *[user.name] * 3, home, home]


def test_files_that_it_makes_are_mine_with_my_umask(environment: Environment) -> None:
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        path = environment.root / f"made-{mask:o}"
        environment.ok("touch", path.name, umask=mask)
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (environment.user.uid, environment.user.gid)
        assert found.st_mode & 0o777 == mode


def test_home_can_be_written_and_lasts(environment: Environment) -> None:
    environment.ok("sh", "-c", "mkdir -p ~/.cache/x && echo kept >~/.cache/x/file")
    assert environment.ok("sh", "-c", "cat ~/.cache/x/file; rm ~/.cache/x/file") == b"kept\n"


def test_an_edit_of_the_source_is_seen_at_once(environment: Environment) -> None:
    for word in (b"first", b"second"):
        path: Path = environment.root / "edited.py"
        write(path, b"print('%s')\n" % word)
        assert environment.ok("python3", "-B", "-c", "import edited") == word + b"\n"


def test_two_runs_at_the_same_time_do_not_disturb_each_other(environment: Environment) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(environment.ok, "cat", stdin=word * 9999) for word in (b"a", b"b")]
        assert [run.result() for run in runs] == [b"a" * 9999, b"b" * 9999]


def test_without_a_command_a_shell_reads_stdin(environment: Environment) -> None:
    argv = [*environment.as_user(), "run-shell", "--env", environment.name]
    done = subprocess.run(
        argv,
        input=b"cd sub\npwd\nexit 5\n",
        capture_output=True,
        env={**environment.env, "SHELL": "/bin/bash"},
        cwd=environment.root,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stdout.decode()) == (5, f"{environment.root}/sub\n")


def test_without_a_command_a_terminal_gets_a_shell(environment: Environment) -> None:
    with environment.terminal() as terminal:
        terminal.type(f"SHELL=/bin/bash run-shell --env {environment.name}")
        terminal.type("echo $((6 * 7)).")
        terminal.expect("42.")
        terminal.type("exit 6")
        terminal.wait()
        assert terminal.status() == 6


# --- secrets ------------------------------------------------------------------------------------

WORD = f"open-sesame-{os.getpid()}"  # no other test run's
SECRETS = """[shellenv.env]
STAGE = test
TOKEN = credstash:$STAGE/token
FIRST = credstash:$STAGE/token@1
LARGE = credstash:$STAGE/large
URL = db://$USER:$TOKEN@host$HOME
"""
LINES = f"{WORD} two words\n'quoted' \"twice\" $HOME `id` \\\n\té日本🐳\n\n"
LATIN = "".join(map(chr, range(1, 256)))


@pytest.fixture
def _stored(environment: Environment, aws: Aws, _credstash: None) -> Iterator[None]:
    """Secrets that the project has."""
    if not aws.has("test/large"):
        aws.put("test/token", LINES)
        aws.put("test/token", WORD)
        aws.put("test/large", LATIN + WORD * 5000)
    environment.env.update(aws.env)
    with settings(environment, SECRETS):
        yield
    for name in aws.env:
        del environment.env[name]


with_secrets = pytest.mark.usefixtures("_stored")


@with_secrets
def test_secrets_are_in_the_environment_to_the_last_byte(environment: Environment) -> None:
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    options = ["-e", "GIVEN=credstash:test/token@1", "-e", "PLAIN=x"]
    found = json.loads(environment.ok("python3", "-c", code, options=options))
    assert (found["TOKEN"], found["FIRST"], found["GIVEN"]) == (WORD, LINES, LINES)
    assert found["LARGE"] == LATIN + WORD * 5000
    assert found["URL"] == f"db://{environment.user.name}:{WORD}@host{environment.home}"
    assert found["PLAIN"] == "x"
    assert not [name for name in found if name.startswith("SHELLENV_") and name[9:] not in (
        "PROJECT", "ROOT")]  # fmt: skip


FIRST = hashlib.sha256(LINES.encode()).hexdigest()
WAITING = ("bash", "-c", 'printf %s "$FIRST" | sha256sum; read line')
"""Shows that it has the secret without showing that, and stays."""


@with_secrets
def test_a_secret_is_nowhere_but_in_the_environment_of_the_command(
    environment: Environment,
) -> None:
    began = time.time()
    with environment.start(*WAITING, stdin=-1) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline().split()[0].decode() == FIRST
        _assert_out_of_sight(environment, began)
        child.stdin.close()
        child.wait(TIMEOUT)
        said = child.stderr.read()
        assert b"TOKEN" in said
        assert WORD.encode() not in said
    here = ["grep", "-rlaF", "--devices=skip", WORD, str(environment.user.base)]
    assert subprocess.run(here, stdout=subprocess.PIPE, check=False).stdout == b""


@with_secrets
def test_at_a_terminal_it_is_nowhere_else_either(environment: Environment) -> None:
    began = time.time()
    with environment.terminal() as terminal:
        terminal.type(environment.words(*WAITING))
        assert WORD not in terminal.expect(FIRST)
        _assert_out_of_sight(environment, began)
        terminal.type("")
        terminal.wait()
        assert terminal.status() == 0


def _assert_out_of_sight(environment: Environment, began: float) -> None:
    """One process has it, and no other, no command line, nothing of docker's, no file there."""
    assert pids(WORD) == []
    eventually(lambda: len(pids(WORD, "environ")) == 1)  # the pipeline has ended
    assert set(pids(WORD, "environ")) <= set(pids("read line"))
    for name in environment.containers():
        _assert_docker_does_not_know(environment, name, began)
    if environment.dock is not None:
        assert environment.find(WORD, "/home", "/tmp", "/var/log") == []


def _assert_docker_does_not_know(environment: Environment, name: str, began: float) -> None:
    """Nothing that it shows, and none of its files: the container's, its layers, its home."""
    engine = environment.engine
    found = json.loads(engine("inspect", name))[0]
    assert WORD not in json.dumps(found)
    assert WORD not in engine("history", "--no-trunc", found["Image"])
    assert WORD not in engine("image", "inspect", found["Image"])
    events = engine("events", "--since", str(began), "--until", str(time.time()))
    assert "exec_create" in events
    assert WORD not in events
    if environment.dock is not None:
        assert FIRST in engine("logs", name)
    top = engine("info", "-f", "{{.DockerRootDir}}").strip()
    layers = found["GraphDriver"]["Data"]
    places = [layers["UpperDir"], *layers["LowerDir"].split(":")[:3]]
    places += [mount["Source"] for mount in found["Mounts"]]
    assert environment.find(WORD, f"{top}/containers/{found['Id']}", *places) == []


@with_secrets
def test_two_runs_at_once_have_their_own_secrets(environment: Environment) -> None:
    def run(version: int) -> bytes:
        options = ["-e", f"TOKEN=credstash:test/token@{version}"]
        return environment.ok("sh", "-c", 'printf %s "$TOKEN"', options=options)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, (1, 2))) == [LINES.encode(), WORD.encode()]


@with_secrets
def test_without_a_secret_nothing_is_run(environment: Environment) -> None:
    options = ["-e", "TOKEN=credstash:no/such"]
    with environment.start("touch", "was-run", options=options) as child:
        _, said = child.communicate(timeout=TIMEOUT)
    assert child.returncode == 1
    assert said.decode().splitlines()[-2] == "shellenv: TOKEN (-e): there is no secret no/such"
    assert not (environment.root / "was-run").exists()
    assert environment.containers() == []


@with_secrets
def test_ctrl_c_while_secrets_are_on_their_way_ends_the_run(environment: Environment) -> None:
    with environment.terminal() as terminal:
        terminal.type(environment.words("bash", "-c", "echo begin; sleep 1000"))
        terminal.expect("-e TOKEN" if environment.name != "venv" else "TOKEN=")
        terminal.press("c")
        terminal.wait()
        assert terminal.status() == 130
    eventually(lambda: not environment.containers())
