"""The program as people call it: what it prints where, and with which status it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import BIN, Home, Result, Shell, run, write

from shellenv.cli import VERBS, printable

PROGRAM = BIN / "shellenv"
TWO_LINES = re.compile(r"shellenv: [^\n]+\n[^\n]+\n")
IN_SHELL_ONLY = [name for name, verb in VERBS.items() if not verb.target]


def refused(result: Result, status: int = 1) -> str:
    """The first of the two lines on stderr of a run that failed as it should."""
    assert (result.status, result.stdout) == (status, ""), result
    assert TWO_LINES.fullmatch(result.stderr), result
    return result.stderr.splitlines()[0].removeprefix("shellenv: ")


# --- asking for help ---------------------------------------------------------------------------


def test_without_a_verb_it_lists_the_verbs_on_stderr(home: Home) -> None:
    result = home.shellenv()
    assert (result.status, result.stdout) == (2, "")
    assert all(re.search(rf"^  {verb} ", result.stderr, re.M) for verb in VERBS)
    assert home.shellenv("--help") == Result(0, result.stderr, "")
    assert home.shellenv("help") == Result(0, result.stderr, "")


def test_it_knows_its_version(home: Home) -> None:
    assert re.fullmatch(r"shellenv \d+\.\d+\.\d+\S*\n", home.shellenv("--version").ok())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_examples(home: Home, verb: str) -> None:
    text = home.shellenv(verb, "--help").ok()
    assert text.startswith(f"usage: shellenv {verb}")
    assert "\nexamples:\n  " in text
    assert text.endswith("\n")
    assert list(unexplained(text)) == []


def unexplained(text: str) -> Iterator[str]:
    """The arguments and options of which a help text says nothing, beside or below them."""
    for block in re.findall(r"^(?:positional arguments|options):\n((?:  .*\n)*)", text, re.M):
        lines = block.splitlines()
        for line, below in zip(lines, [*lines[1:], ""], strict=True):
            if line[2] != " " and "  " not in line[2:] and not below.startswith("   "):
                yield line


@pytest.mark.parametrize(
    ("argument", "said", "hint"),
    [
        ("statsu", "unknown verb 'statsu'", "did you mean `shellenv status`?"),
        ("xyzzy", "unknown verb 'xyzzy'", "shellenv --help lists the verbs"),
        ("", "unknown verb ''", "shellenv --help lists the verbs"),
        ("--frobnicate", "unknown option '--frobnicate'", "shellenv --help lists the verbs"),
    ],
)
def test_an_unknown_verb_is_wrong_usage_and_the_nearest_one_is_named(
    home: Home, argument: str, said: str, hint: str
) -> None:
    result = home.shellenv(argument)
    assert refused(result, status=2) == said
    assert result.stderr.splitlines()[1] == hint


@pytest.mark.parametrize(
    "arguments",
    [
        ("allow", "--frobnicate"),
        ("allow", "a", "b"),
        ("config", "get"),
        ("config", "list", "key"),
        ("config", "set", "key"),
        ("hook",),
        ("hook", "tcsh"),
        ("export", "tcsh"),
    ],
)
def test_wrong_usage_has_a_status_of_its_own(home: Home, arguments: tuple[str, ...]) -> None:
    refused(home.shellenv(*arguments), status=2)


@pytest.mark.parametrize("verb", IN_SHELL_ONLY)
def test_what_acts_on_a_shell_says_that_it_needs_the_hook(home: Home, verb: str) -> None:
    loaders = {}
    for shell in ("bash", "zsh", "fish"):
        home.env["SHELL"] = f"/usr/bin/{shell}"
        result = home.shellenv(verb)
        assert "the hook is not loaded" in refused(result)
        loaders[shell] = result.stderr.splitlines()[1]
    assert loaders == {
        "bash": 'put this line into ~/.bashrc: eval "$(shellenv hook bash)"',
        "zsh": 'put this line into ~/.zshrc: eval "$(shellenv hook zsh)"',
        "fish": "put this line into ~/.config/fish/config.fish: shellenv hook fish | source",
    }


# --- ends that nobody wants -------------------------------------------------------------------


def test_a_reader_that_goes_away_ends_it_silently(home: Home) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (["--help"], ["config"], ["config", "--help"]):
        done = subprocess.run(
            [PROGRAM, *arguments],
            env=home.env,
            cwd=home.path,
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (1, b""), arguments
    os.close(writer)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, which is Linux's")
def test_a_full_disk_is_said_in_two_lines(home: Home) -> None:
    for arguments in (["--help"], ["config"], ["config", "--help"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [PROGRAM, *arguments],
                env=home.env,
                cwd=home.path,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        said = refused(Result(done.returncode, "", done.stderr))
        assert said == "cannot write to stdout: No space left on device", arguments


def test_with_stdout_closed_it_says_so(home: Home) -> None:
    result = run(["sh", "-c", 'exec "$0" config >&-', PROGRAM], home.env, home.path)
    assert refused(result) == "stdout is closed"


def test_with_stderr_closed_it_still_answers(home: Home) -> None:
    result = run(["sh", "-c", 'exec "$0" config get prompt 2>&-', PROGRAM], home.env, home.path)
    assert result == Result(0, "yes\n", "")
    result = run(["sh", "-c", 'exec "$0" nonsense 2>&-', PROGRAM], home.env, home.path)
    assert result == Result(2, "", "")


def test_an_interrupt_ends_it_silently_with_130(home: Home) -> None:
    write(home.config / "dockerutils.cfg", f"[shellenv.env]\nLONG = {'x' * 900_000}\n")
    with subprocess.Popen(
        [PROGRAM, "config"],
        env=home.env,
        cwd=home.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)  # it is writing, and more than fits into a pipe
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == b""


def test_an_interrupt_while_modules_are_imported_ends_it_silently(home: Home) -> None:
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'shellenv.cli': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder)\n"
        "Finder.find_spec = classmethod(Finder.find_spec)\n"
        "import shellenv.start"
    )
    result = run([str(BIN / "python"), "-c", code], home.env, home.path)
    assert result == Result(-signal.SIGINT, "", "")


def test_what_should_not_happen_is_two_lines_without_a_traceback(home: Home) -> None:
    code = (
        "import sys; from shellenv import cli\n"
        "cli.VERBS['boom'] = cli.Verb('builtins:divmod', '', '', ())\n"
        "sys.exit(cli.main(['boom']))"
    )
    argv = [str(BIN / "python"), "-c", code]
    result = run(argv, home.env, home.path)
    assert refused(result).startswith("TypeError: ")
    assert "SHELLENV_DEBUG=1" in result.stderr
    home.env["SHELLENV_DEBUG"] = "1"
    assert run(argv, home.env, home.path).stderr.startswith("Traceback (most recent call last):\n")


def test_what_the_system_refuses_is_said_with_the_file_that_it_is_about(home: Home) -> None:
    code = (
        "import sys; from shellenv import cli\n"
        "cli.run = lambda argv: __import__('os').listdir(argv[0])\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    result = run([str(BIN / "python"), "-c", code, "/not/there"], home.env, home.path)
    assert refused(result) == "/not/there: No such file or directory"
    assert "free space" in result.stderr.splitlines()[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain été 日本", "plain été 日本"),
        ("a\nb\tc\x1b[31m", "a\\nb\\tc\\x1b[31m"),
        ("\x7f\x85\u202e", "\\x7f\\x85\u202e"),
        (os.fsdecode(b"\xff"), "\\xff"),
    ],
)
def test_control_characters_of_names_do_not_reach_the_terminal(text: str, expected: str) -> None:
    assert printable(text) == expected


# --- hook -------------------------------------------------------------------------------------


def test_the_core_prints_the_same_hook_as_the_launcher(home: Home, shell: Shell) -> None:
    core = run([BIN / "shellenv-core", "hook", shell.name], home.env, home.path).ok()
    assert core == home.shellenv("hook", shell.name).ok()
    assert f"hook.{shell.name}" in core


# --- allow and deny ----------------------------------------------------------------------------


def project(home: Home, name: str = "api", text: str = "[shellenv.env]\nA = 1\n") -> Path:
    return write(home.projects / name / "dockerutils.cfg", text).parent


def value(home: Home, directory: Path, key: str = "env.A") -> str:
    return home.shellenv("config", "get", key, cwd=directory).stdout


def test_allow_names_each_file_it_allowed(home: Home) -> None:
    root = project(home)
    write(root / "docker/dockerutils.cfg", "[shellenv.dotenv]\nfiles = .env\n")
    write(root / ".env", "B=1\n")
    assert value(home, root) == ""
    result = home.shellenv("allow", cwd=root)
    assert result == Result(
        0,
        "",
        "shellenv: allowed ~/projects/api/docker/dockerutils.cfg\n"
        "shellenv: allowed ~/projects/api/dockerutils.cfg\n"
        "shellenv: allowed ~/projects/api/.env\n",
    )
    assert value(home, root) == "1\n"
    again = home.shellenv("allow", cwd=root)
    assert again == Result(
        0, "", "shellenv: nothing to do: all of ~/projects/api is allowed already\n"
    )


def test_allow_takes_a_directory_and_works_from_below(home: Home) -> None:
    root = project(home)
    below = root / "src/deep"
    below.mkdir(parents=True)
    for directory, cwd in ((root, home.path), ("../..", below), (below, home.path)):
        assert home.shellenv("deny", root).status == 0
        assert value(home, root) == ""
        assert home.shellenv("allow", directory, cwd=cwd).status == 0
        assert value(home, root) == "1\n"


def test_an_edit_asks_again_and_deny_stays(home: Home) -> None:
    root = project(home)
    home.allow(root)
    project(home, text="[shellenv.env]\nA = 2\n")
    assert value(home, root) == ""
    home.allow(root)
    assert value(home, root) == "2\n"
    denied = home.shellenv("deny", cwd=root)
    assert denied == Result(0, "", "shellenv: denied ~/projects/api/dockerutils.cfg\n")
    project(home, text="[shellenv.env]\nA = 3\n")
    assert value(home, root) == ""
    home.allow(root)
    assert value(home, root) == "3\n"


def test_a_directory_s_own_environment_is_allowed_by_its_scripts(home: Home) -> None:
    root = home.projects / "api"
    for script in ("activate", "activate.fish"):
        write(root / ".venv/bin" / script, "")
    assert home.shellenv("allow", cwd=root).stderr.splitlines() == [
        "shellenv: allowed ~/projects/api/.venv/bin/activate",
        "shellenv: allowed ~/projects/api/.venv/bin/activate.fish",
    ]
    assert len(home.shellenv("deny", cwd=root).stderr.splitlines()) == 2


@pytest.mark.parametrize("verb", ["allow", "deny"])
def test_where_there_is_no_project_configuration_it_says_so(home: Home, verb: str) -> None:
    empty = home.projects / "empty"
    empty.mkdir()
    said = refused(home.shellenv(verb, cwd=empty))
    assert said == "~/projects/empty has no project configuration"
    assert refused(home.shellenv(verb)) == "~ has no project configuration"
    assert refused(home.shellenv(verb, "nowhere")) == "nowhere is not a directory"


def test_a_file_that_others_can_write_is_not_allowed(home: Home) -> None:
    root = project(home)
    (root / "dockerutils.cfg").chmod(0o666)
    result = home.shellenv("allow", cwd=root)
    assert "can be written by every user" in refused(result)
    assert result.stderr.splitlines()[1] == f"chmod o-w {root}/dockerutils.cfg"
    assert value(home, root) == ""


def test_a_file_that_does_not_parse_is_not_allowed_and_it_is_said_where_it_is_wrong(
    home: Home,
) -> None:
    root = project(home, text="[shellenv.env]\nA\n")
    result = home.shellenv("allow", cwd=root)
    assert result == Result(
        1,
        "",
        f"shellenv: {root}/dockerutils.cfg:2: 'A' is no `key = value` line\n"
        "write `key =` for an empty value\n",
    )


def test_a_directory_in_place_of_a_file_is_said_once_and_nothing_is_called_allowed(
    home: Home,
) -> None:
    root = home.projects / "api"
    (root / "dockerutils.cfg").mkdir(parents=True)
    result = home.shellenv("allow", cwd=root)
    assert result.status == 1
    assert result.stderr.startswith(f"shellenv: {root}/dockerutils.cfg: ")
    assert result.stderr.count("\n") == 2


def test_a_broken_file_that_settings_name_leaves_all_as_it_was(home: Home) -> None:
    root = project(home, text="[shellenv.dotenv]\nfiles = .env\n[shellenv.env]\nA = 1\n")
    write(root / ".env", "no assignment\n")
    result = home.shellenv("allow", cwd=root)
    assert result.status == 1
    assert result.stderr.startswith(f"shellenv: {root}/.env:1: ")
    assert value(home, root) == ""


def test_allow_of_a_file_says_to_name_its_directory(home: Home) -> None:
    root = project(home)
    result = home.shellenv("allow", "api/dockerutils.cfg", cwd=home.projects)
    assert result.stderr.splitlines()[1] == "name its directory: shellenv allow api"
    assert home.shellenv("deny", "dockerutils.cfg", cwd=root).stderr.endswith("deny .\n")


def test_allow_says_why_an_environment_of_the_project_s_own_is_not_in_use(home: Home) -> None:
    root = home.project("api", venv=True)
    write(root / ".venv/bin/activate", "")
    assert home.shellenv("allow", cwd=root) == Result(
        0,
        "",
        "shellenv: nothing to do: ~/projects/api/.venv is not in use, as "
        f"{home.path}/.venv/api is named after the directory\n",
    )


@pytest.mark.parametrize(
    "name", ["with space", "-n", "new\nline", "é", os.fsdecode(b"\xff")], ids=ascii
)
def test_projects_of_any_name_can_be_allowed(home: Home, name: str) -> None:
    root = project(home, name)
    result = home.shellenv("allow", cwd=root)
    assert result.stderr == f"shellenv: allowed ~/projects/{printable(name)}/dockerutils.cfg\n"
    assert value(home, root) == "1\n"


def test_a_verb_of_the_hook_s_that_is_given_too_much_says_where_its_help_is(home: Home) -> None:
    said = home.shellenv("pause", "x")
    assert said == Result(
        2, "", "shellenv: pause takes no arguments\nshellenv pause --help shows how\n"
    )


# --- config ------------------------------------------------------------------------------------


def test_config_lists_what_counts_here_and_where_it_comes_from(home: Home) -> None:
    write(home.config / "dockerutils.cfg", "[shellenv]\nquiet = yes\nprompt = no\n")
    home.env["SHELLENV_PROMPT"] = "yes"
    root = project(home, text="[shellenv.env]\nA = 1\n[run_image]\nsynthetic_images = a\n")
    home.allow(root)
    listed = home.shellenv("config", cwd=root).ok()
    assert listed == (
        "shellenv.exec_env = auto\n"
        "shellenv.inherit = yes\n"
        "shellenv.prompt = yes\n"
        "shellenv.quiet = yes\n"
        "shellenv.venv_dir = ~/.venv\n"
        "shellenv.env.A = 1\n"
    )
    origins = home.shellenv("config", "list", "--show-origin", cwd=root).ok()
    assert origins == (
        "default\tshellenv.exec_env = auto\n"
        "default\tshellenv.inherit = yes\n"
        "$SHELLENV_PROMPT\tshellenv.prompt = yes\n"
        f"{home.config}/dockerutils.cfg:2\tshellenv.quiet = yes\n"
        "default\tshellenv.venv_dir = ~/.venv\n"
        f"{root}/dockerutils.cfg:2\tshellenv.env.A = 1\n"
    )
    plain = json.loads(home.shellenv("config", "--json", cwd=root).ok())
    assert plain["shellenv.env.A"] == "1"
    full = json.loads(home.shellenv("config", "--json", "--show-origin", cwd=root).ok())
    assert full["shellenv.env.A"] == {"value": "1", "file": f"{root}/dockerutils.cfg", "line": 2}
    assert full["shellenv.venv_dir"] == {"value": "~/.venv", "file": "default", "line": 0}


def test_config_get_prints_one_value_by_its_long_or_short_name(home: Home) -> None:
    text = "[shellenv.env]\nA = a b\n[shellenv.aliases]\ng.s = git st\n[run_image]\nenv = x\n"
    root = project(home, text=text)
    home.allow(root)
    found = {
        key: value(home, root, key)
        for key in ("venv_dir", "shellenv.venv_dir", "env.A", "aliases.g.s", "run_image.env")
    }
    assert found == {
        "venv_dir": "~/.venv\n",
        "shellenv.venv_dir": "~/.venv\n",
        "env.A": "a b\n",
        "aliases.g.s": "git st\n",
        "run_image.env": "x\n",
    }
    as_json = home.shellenv("config", "get", "env.A", "--json", "--show-origin", cwd=root).ok()
    assert json.loads(as_json) == {"value": "a b", "file": f"{root}/dockerutils.cfg", "line": 2}


@pytest.mark.parametrize(
    ("key", "said", "hint"),
    [
        ("env.NOPE", "env.NOPE is not set", "shellenv config list shows what is"),
        ("root", "root is not set", "shellenv config list shows what is"),
        ("venvdir", "there is no key venvdir", "did you mean venv_dir?"),
        ("xyzzy.x", "there is no key xyzzy.x", "shellenv config list shows what is set"),
    ],
)
def test_config_get_of_what_is_not_set_fails(home: Home, key: str, said: str, hint: str) -> None:
    result = home.shellenv("config", "get", key)
    assert refused(result) == said
    assert result.stderr.splitlines()[1] == hint


def test_config_says_what_it_did_not_count_and_what_it_did_not_know(home: Home) -> None:
    file = write(home.config / "dockerutils.cfg", "[shellenv]\nquite = yes\n")
    root = project(home)
    result = home.shellenv("config", cwd=root)
    assert result.status == 0
    assert "env.A" not in result.stdout
    assert result.stderr.splitlines() == [
        f"shellenv: {file}:2: unknown key 'quite' in [shellenv]; did you mean 'quiet'?",
        "shellenv: not counted: ~/projects/api/dockerutils.cfg is blocked",
    ]


def test_config_fails_on_a_file_that_does_not_parse(home: Home) -> None:
    write(home.config / "dockerutils.cfg", "nonsense\n")
    said = refused(home.shellenv("config"))
    assert said == f"{home.config}/dockerutils.cfg:1: stands before the first [section]"


def test_config_prints_bytes_that_are_not_utf8_as_they_are(home: Home) -> None:
    root = project(home, os.fsdecode(b"\xff"))
    home.allow(root)
    listed = home.shellenv("config", "list", "--show-origin", cwd=root).ok()
    assert f"{root}/dockerutils.cfg:2\tshellenv.env.A = 1\n" in listed


def test_without_a_home_it_still_works(home: Home) -> None:
    del home.env["HOME"]
    assert home.shellenv("config", "get", "prompt").ok() == "yes\n"
    root = project(home)
    assert "no home directory" in refused(home.shellenv("allow", cwd=root))
