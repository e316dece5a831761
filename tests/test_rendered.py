"""What is rendered: every template with every combination of options, in every shell."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import rendering
from harness import Shell, require, which, write

from shellenv import installation, render
from shellenv.plan import Hook, Plan, Ref, Venv
from shellenv.render import Guard
from shellenv.shells import HOOK_VERSION, SHELLS
from shellenv.survey import PRESENT, Watch

PLAN = Plan(
    key="/k e'y",
    root="/r $oot",
    name="n",
    venv=Venv("/v e", ("v:X", "a:t", "f:g", "*")),
    path=rendering.directories(["/a b", "/c"]),
    variables=rendering.variables(
        {
            "A": "1",
            "B": "it's\n2",
            "C": ("x", Ref("A"), "y"),
            "D": (Ref("C", "de'f"),),
            "E": "5%",
            "F": "",
        }
    ),
    aliases=rendering.aliases({"t": "pytest -q", "u": "echo it\\'s"}),
    hooks=(Hook("/r #1", "echo 'a'\necho b", "echo c"), Hook("/r #2", "", "echo d")),
    marker="(n) ",
    notices=("it's\nblocked", "$x"),
)
OPTIONS = ("venv", "path", "variables", "aliases", "hooks", "marker", "notices")
WATCHED = (Watch("/a", 1), Watch("/b 'c", 2), Watch("/d $e", PRESENT), Watch("/e", None))
STAMPS = "/st am'ps"
GUARDS = (
    *(Guard(watch, stamps, "/h|a|b|c'") for watch in (WATCHED, ()) for stamps in (STAMPS, None)),
    *(Guard((watch,), STAMPS, "/h|||") for watch in WATCHED),
    Guard(never=True),
)


def plans() -> Iterator[Plan]:
    """PLAN with each combination of its parts, and what some parts look like alone."""
    for chosen in product((True, False), repeat=len(OPTIONS)):
        missing = [name for name, keep in zip(OPTIONS, chosen, strict=True) if not keep]
        yield PLAN._replace(**{name: Plan._field_defaults[name] for name in missing})
    yield PLAN._replace(venv=Venv("/v"))
    for variable in PLAN.variables:
        yield PLAN._replace(variables=(variable,))


def combinations(shell: str) -> Iterator[str]:
    """The text of each template with each combination of options, each text once."""
    texts = [rendering.snippet(shell, plan, GUARDS[0]) for plan in plans()]
    texts += [rendering.snippet(shell, PLAN, guard) for guard in GUARDS]
    texts += [render.settings(SHELLS[shell], "/ve nv's", guard) for guard in GUARDS]
    return iter(dict.fromkeys(texts))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a file for each rendered text, numbered, the shell's name behind it."""
    directory = tmp_path_factory.mktemp("rendered")
    for shell in SHELLS:
        if os.path.exists(f"{installation.templates_dir()}/snippet.{shell}"):
            for number, text in enumerate(combinations(shell)):
                write(directory / f"{number:03}.{shell}", text)
    return directory


def texts_of(shell: str, directory: Path) -> list[str]:
    found = sorted(map(str, directory.glob(f"*.{shell}")))
    assert len(found) > 2 ** len(OPTIONS)
    return found


def lint(*argv: str) -> None:
    """Run a linter, which must be content."""
    require(argv[0])
    done = subprocess.run([which(argv[0]) or "", *argv[1:]], capture_output=True, text=True)
    if (done.returncode, done.stdout, done.stderr) != (0, "", ""):
        pytest.fail(f"{argv[0]}: status {done.returncode}\n{(done.stdout + done.stderr)[:3000]}")


def test_bash_is_as_shfmt_writes_it(rendered: Path) -> None:
    lint("shfmt", "-d", "-ln", "bash", "-i", "2", "-ci", *texts_of("bash", rendered))


def test_shellcheck_has_nothing_to_say_about_bash(rendered: Path) -> None:
    # SC2016, SC1003: a `$` in single quotes, or a backslash before one, is what quoting is for.
    # SC2317: it does not see that the function which is defined on the way is called.
    lint(
        "shellcheck",
        "--norc",
        "-s",
        "bash",
        "-e",
        "SC2016,SC1003,SC2317",
        *texts_of("bash", rendered),
    )


def test_fish_is_as_fish_indent_writes_it(rendered: Path) -> None:
    for file in texts_of("fish", rendered):
        lint("fish_indent", "--check", file)


CHECKS = {
    "bash": 'for file; do bash --norc -n "$file" || echo "$file"; done',
    "zsh": 'for file; do zsh -f -n "$file" || echo "$file"; done',
    "fish": 'for file; do fish --no-config --no-execute "$file" || echo "$file"; done',
}


def test_the_shell_can_read_it(shell: Shell, rendered: Path) -> None:
    files = texts_of(shell.name, rendered)
    lint("sh", "-c", CHECKS[shell.name], "sh", *files)


def test_the_shell_can_run_it(shell: Shell, rendered: Path) -> None:
    """All primitives of all snippets are called with what they take, and are undone."""
    files = texts_of(shell.name, rendered)
    source = "source" if shell.name == "fish" else "."
    environment = shell.home.path / "env"
    for name in ("activate", "activate.fish"):
        write(environment / "bin" / name, shell.set("VIRTUAL_ENV", str(environment)) + "\n")
    lines = []
    for number, file in enumerate(files):
        text = Path(file).read_text(encoding="utf-8").replace("/v e", str(environment))
        write(shell.home.path / f"{number}", text)
        lines.append(f"{source} {shell.quote(shell.home.path / str(number))}")
        if "__shellenv_apply" in text:
            lines += [
                "__shellenv_apply >/dev/null 2>&1; or echo failed"
                if shell.name == "fish"
                else "__shellenv_apply >/dev/null 2>&1 || echo failed",
                f'test "$__shellenv_key" = {shell.quote(PLAN.key)} || echo {number} no key'
                if shell.name != "fish"
                else f'test "$__shellenv_key" = {shell.quote(PLAN.key)}; or echo {number} no key',
                "__shellenv_leave >/dev/null 2>&1",
                shell.show("A", "VIRTUAL_ENV", "__SHELLENV_UNDO"),
            ]
    static = shell.quote(f"{installation.static_dir()}/hook.{shell.name}")
    said = shell.script("\n".join([f"{source} {static} --definitions", *lines]), hook=False).ok()
    nothing = ("A unset", "VIRTUAL_ENV unset", "__SHELLENV_UNDO unset")
    assert set(said.splitlines()) == set(nothing)


def test_it_is_the_same_each_time(shell: Shell) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_rendered as t;"
        "sys.stdout.write(t.rendering.snippet(sys.argv[2], t.PLAN, t.GUARDS[0]))"
    )
    texts = {
        subprocess.run(
            [which("python3") or "", "-c", script, os.path.dirname(__file__), shell.name],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {rendering.snippet(shell.name, PLAN, GUARDS[0]).encode()}


def test_the_first_line_says_what_it_is_and_the_last_one_that_it_is_whole(shell: Shell) -> None:
    lines = rendering.snippet(shell.name, PLAN, GUARDS[0]).splitlines()
    assert lines[0] == f"# shellenv snippet {HOOK_VERSION}"
    assert "__shellenv_loaded" in lines[-1]
    settings = render.settings(SHELLS[shell.name], "/venvs", GUARDS[0]).splitlines()
    assert settings[0] == f"# shellenv snippet {HOOK_VERSION}"
    assert "__shellenv_venvs" in settings[-1]


# --- what a template cannot do -----------------------------------------------------------------


def test_a_bare_value_in_a_template_cannot_be_left_unquoted(shell: Shell) -> None:
    template = render._environment(SHELLS[shell.name]).from_string("say {{ value }}")
    hostile = "'; touch /tmp/pwned; $(id) `id` \\"
    assert template.render(value=hostile) == f"say {SHELLS[shell.name].quote(hostile)}"
    assert template.render(value="") == "say ''"
    assert template.render(value=("a b", Ref("X"))) == (
        f"say {SHELLS[shell.name].quote('a b')}{SHELLS[shell.name].reference('X', '')}"
    )


@pytest.mark.parametrize(
    "expression",
    [
        "value | upper",
        "value | trim",
        "value ~ ''",
        "value | join",
        "[value] | first",
        "value[0:]",
        "value | string",
        "value if value else 0",
        "'%s' | format(value)",
        "value | replace('x', 'y')",
    ],
)
def test_nor_can_one_that_a_filter_has_passed(shell: Shell, expression: str) -> None:
    template = render._environment(SHELLS[shell.name]).from_string("{{ " + expression + " }}")
    text = template.render(value=" A;B ")
    assert re.fullmatch(r"'\s*A;B\s*'", text), text


def test_a_constant_in_an_expression_is_quoted_too(shell: Shell) -> None:
    # Jinja folds constants when it compiles; finalize must see these as well.
    template = render._environment(SHELLS[shell.name]).from_string("{{ 'a;' ~ 'b' }} {{ 7 }}")
    assert template.render() == "'a;b' 7"


@pytest.mark.parametrize("value", [None, 1.5, b"x", ["a"], {"a": 1}, object()])
def test_what_is_no_text_is_an_error_and_not_its_repr(shell: Shell, value: object) -> None:
    template = render._environment(SHELLS[shell.name]).from_string("{{ value }}")
    with pytest.raises(TypeError, match="a template prints"):
        template.render(value=value)


@pytest.mark.parametrize(
    "template", ["{{ nothing }}", "{{ plan.nothing }}", "{% if nothing %}{% endif %}"]
)
def test_a_name_that_does_not_exist_is_an_error(shell: Shell, template: str) -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render._environment(SHELLS[shell.name]).from_string(template).render(plan=PLAN)


def test_only_what_is_code_already_is_printed_as_it_is() -> None:
    """The filter `code` stands where a variable's name does, and nowhere else."""
    found = []
    for file in sorted(Path(installation.templates_dir()).iterdir()):
        found += re.findall(r"\{\{-?\s*([^{}]*?)\s*\|\s*code\b", file.read_text(encoding="utf-8"))
    assert set(found) <= {"name", "variable.name"}
    for name in ("Code", "safe", "autoescape", "raw"):
        for file in Path(installation.templates_dir()).iterdir():
            assert not re.search(rf"\{{[{{%][^}}]*\b{name}\b", file.read_text(encoding="utf-8"))


def test_each_hook_has_the_version_that_snippets_name(shell: Shell) -> None:
    text = Path(f"{installation.static_dir()}/hook.{shell.name}").read_text(encoding="utf-8")
    assert re.findall(r"__shellenv_version[ =](\S+)", text)[0] == HOOK_VERSION
