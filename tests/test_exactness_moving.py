"""However one gets into a directory, and whichever shell starts from there."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from harness import SHELLS, Home, Shell, hook_code, which, write
from samples import rich, variables
from snapshot import change, snapshot


def x(shell: Shell) -> str:
    """Code that says what $X is, in one line."""
    if shell.name == "fish":
        return "set -q X; and echo \"X=$X\"; or echo 'X unset'"
    return '[ "${X+x}" ] && echo "X=$X" || echo "X unset"'


def lines(*code: str) -> str:
    return "\n".join(code)


def test_cd_minus_pushd_popd_and_cdpath(shell: Shell, home: Home) -> None:
    one = home.project("one", variables(X="one"))
    two = home.project("two", variables(X="two"))
    cdpath = "set -g CDPATH . " if shell.name == "fish" else "CDPATH=.:"
    result = shell.script(
        lines(
            shell.cd(one),
            shell.cd(two),
            f"cd - >{'/dev/null'}",
            x(shell),
            "cd - >/dev/null",
            x(shell),
            f"pushd {one} >/dev/null",
            x(shell),
            "popd >/dev/null",
            x(shell),
            shell.cd("/"),
            x(shell),
            f"{cdpath}{home.projects}",
            "cd one >/dev/null",
            x(shell),
            "cd ..",
            x(shell),
            "cd two/../one >/dev/null",
            x(shell),
            "cd",
            x(shell),
        ),
    )
    assert result.ok() == ("X=one\nX=two\nX=one\nX=two\nX unset\nX=one\nX unset\nX=one\nX unset\n")


def test_a_cd_that_fails_changes_nothing_and_keeps_its_status(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="api"))
    result = shell.script(
        lines(
            shell.cd(root),
            snapshot(shell, "before"),
            "cd /not/there 2>/dev/null",
            f"echo {shell.status}",
            "pwd",
            x(shell),
            snapshot(shell, "after"),
            "popd 2>/dev/null",
            f"echo {shell.status}",
        )
    )
    assert result.ok() == f"1\n{root}\nX=api\n1\n"
    assert change(shell) == {}


def test_a_symlinked_directory_is_the_project_under_its_own_name(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="api"), venv=True)
    (root / "sub").mkdir()
    (home.projects / "link").symlink_to(root)
    (home.path / "deep").symlink_to(root / "sub")
    physical = "cd (pwd -P); pwd" if shell.name == "fish" else "cd -P .; pwd"
    result = shell.script(
        lines(
            shell.cd(home.projects / "link"),
            x(shell),  # its file is allowed under another path
            physical,
            x(shell),
            shell.cd("/"),
            shell.cd(home.path / "deep"),
            x(shell),
            physical,
            x(shell),
        )
    )
    assert result.stdout == f"X unset\n{root}\nX=api\nX unset\n{root}/sub\nX=api\n"


def test_a_project_below_a_symlink_is_allowed_there_and_behaves(shell: Shell, home: Home) -> None:
    real = home.path / "real"
    (real / "api/sub").mkdir(parents=True)
    (home.projects / "linked").symlink_to(real)
    root = home.projects / "linked/api"
    write(root / "dockerutils.cfg", variables(X="1") + "[shellenv.path]\nprepend = bin\n")
    home.allow(root)
    result = shell.script(
        lines(
            snapshot(shell, "before"),
            shell.cd(root / "sub"),
            x(shell),
            "cd ..",
            x(shell),
            "env | grep ^PATH= | cut -d: -f1",
            "cd ..",
            x(shell),
            "cd ../..",
            snapshot(shell, "after"),
        ),
        cwd=home.path,
    )
    assert result.ok() == f"X=1\nX=1\nPATH={root}/bin\nX unset\n"
    assert change(shell) == {}


def test_a_current_directory_that_is_deleted_is_survived(shell: Shell, home: Home) -> None:
    root = home.project("api", variables(X="1"))
    gone = root / "gone"
    gone.mkdir()
    lone = home.projects / "lone"
    write(lone / "dockerutils.cfg", variables(X="lone"))
    home.allow(lone)
    with shell.interactive() as session:
        session.run(shell.cd(gone))
        gone.rmdir()
        session.enter()
        assert session.value("X") == "1"
        session.run(shell.cd(lone))
        assert session.value("X") == "lone"
        (lone / "dockerutils.cfg").unlink()
        lone.rmdir()
        assert session.enter() == ""
        assert session.value("X") is None
        assert session.enter() == ""
        session.run(shell.cd(root))
        assert session.value("X") == "1"
        session.run(shell.cd("/"))
        assert session.value("X") is None


@pytest.mark.shells("bash", "zsh")  # what stands in fish's (…) runs in the shell itself
def test_a_sub_shells_visit_leaves_its_parent_alone(shell: Shell, home: Home) -> None:
    root = rich(home)
    visit = (
        f'( {shell.cd(root)}; echo "$PLAIN" )\nout=$({shell.cd(root)}; echo "$PLAIN"); echo "$out"'
    )
    visit += "; unset out"
    result = shell.script(lines(snapshot(shell, "before"), visit, snapshot(shell, "after")))
    assert result.ok() == "one\none\n"
    assert change(shell) == {}
    # inside, a sub-shell that leaves
    result = shell.script(
        lines(
            shell.cd(root),
            snapshot(shell, "before"),
            '( cd /; echo "${PLAIN-unset}" )',
            "true | cd / | true",
            'echo "$PLAIN"',
            snapshot(shell, "after"),
        )
    )
    assert result == (0, "unset\none\n", "entering\n")
    assert change(shell) == {}


def rc_script(home: Home, kind: str, code: str, name: str = "child") -> Path:
    return write(home.path.parent / f"{name}.{kind}", f"{hook_code(kind)}\n{code}\n")


def child(home: Home, kind: str, code: str, name: str = "child") -> str:
    """A command that runs `code` in another shell, of this kind, with the hook."""
    other = Shell(kind, home)
    return " ".join(shlex.quote(word) for word in other.argv(rc_script(home, kind, code, name)))


@pytest.mark.parametrize("kind", SHELLS)
def test_a_child_shell_of_any_kind_has_the_project_and_can_leave_it(
    shell: Shell, home: Home, kind: str
) -> None:
    root = rich(home)
    other = Shell(kind, home)
    in_child = lines(
        # of a shell that starts inside: what is exported is there, and once
        "env | grep -E '^(PLAIN|REFERS|VIRTUAL_ENV|PATH)=' | sort",
        other.cd("/"),
        other.show("SHADOWS_EXPORTED", "PLAIN", "VIRTUAL_ENV", "__SHELLENV_UNDO"),
        "env | grep ^PATH=",
        other.cd(root),
        other.show("SHADOWS_EXPORTED", "PLAIN"),
    )
    for prefix in ("", "exec "):
        result = shell.script(
            lines(
                shell.set("SHADOWS_EXPORTED", "the user's"),
                shell.cd(root),
                prefix + child(home, kind, in_child),
            )
        )
        venv = home.path / ".venv/rich"
        inside_path = f"PATH={root}/bin:{root}/more tools:{venv}/bin:{home.env['PATH']}\n"
        assert result.stdout == (
            f"{inside_path}PLAIN=one\nREFERS=one::tester\nVIRTUAL_ENV={venv}\n"
            "SHADOWS_EXPORTED=the user's\nPLAIN unset\nVIRTUAL_ENV unset\n__SHELLENV_UNDO unset\n"
            f"PATH={home.env['PATH']}\n"
            "SHADOWS_EXPORTED=ours\nPLAIN=one\n"
        )


@pytest.mark.parametrize("kind", SHELLS)
def test_a_child_that_starts_elsewhere_undoes_what_it_inherits(
    shell: Shell, home: Home, kind: str
) -> None:
    many = {f"V{number}": f"{number} % é {'x' * 100}" for number in range(400)}
    root = home.project("api", variables(X="a%1Fb\tc", **many), venv=True)
    other = Shell(kind, home)
    code = child(
        home,
        kind,
        lines(
            other.show("X", "V7", "V399", "VIRTUAL_ENV"),
            "env | grep ^PATH=",
            "env | grep -c ^__SHELL",
        ),
    )
    result = shell.script(
        lines(shell.set("X", "before: 100%\x1f"), shell.cd(root), f"env -C / {code}")
    )
    assert result.stdout == (
        f"X=before: 100%\x1f\nV7 unset\nV399 unset\nVIRTUAL_ENV unset\nPATH={home.env['PATH']}\n0\n"
    )


def test_a_child_without_the_hook_sees_what_is_exported_and_no_errors(
    shell: Shell, home: Home
) -> None:
    root = rich(home)
    with shell.interactive() as session:
        session.run(shell.cd(root))
        assert session.run("sh -c 'echo $PLAIN'") == "one\n"
        assert session.run(f"{shell.program} -c 'echo $PLAIN'") == "one\n"


@pytest.mark.needs("tmux")
def test_a_tmux_window_opened_elsewhere_has_nothing_of_the_project(
    shell: Shell, home: Home
) -> None:
    root = rich(home)
    before = {name: value for name, value in home.env.items() if name == "PATH"}
    out = home.path.parent / "window"
    window = rc_script(
        home,
        shell.name,
        lines(
            f"env | grep -E '^(PLAIN|VIRTUAL_ENV|SHADOWS_EXPORTED|__SHELLENV.*|PATH)=' >{out}.part",
            f"mv {out}.part {out}",
        ),
        "window",
    )
    socket = home.path.parent / "t"
    tmux = f"{which('tmux')} -S {socket} -f /dev/null"
    command = " ".join(shlex.quote(word) for word in shell.argv(window))
    server = shell.script(
        lines(
            shell.cd(root),
            f"{tmux} new-session -d -s test {shlex.quote('exec sleep 600')}",
            f"{tmux} set-option -g remain-on-exit on",
            f"{tmux} new-window -c / {shell.quote(command + f'; {tmux} wait-for -S done')}",
            f"{tmux} wait-for done",
            f"{tmux} kill-server",
        )
    )
    assert server.status == 0, server
    assert out.read_text() == f"PATH={before['PATH']}\n"


# --- nested projects ------------------------------------------------------------------------------


HOOKS = "[shellenv.hooks]\nenter = echo in {0}\nleave = echo out {0}\n"


def test_nested_projects_merge_and_the_outers_hooks_stay_entered(shell: Shell, home: Home) -> None:
    outer = home.project(
        "outer",
        variables(X="outer", OUT="1")
        + "[shellenv.path]\nprepend = bin\n[shellenv.aliases]\no = echo o\ni = echo outer\n"
        + HOOKS.format("outer"),
        venv=True,
    )
    inner = home.project(
        "outer/inner",
        variables(X="inner", IN="1")
        + "[shellenv.path]\nprepend = bin\n[shellenv.aliases]\ni = echo inner\n"
        + HOOKS.format("inner"),
    )
    with shell.interactive() as session:
        session.run(snapshot(shell, "outside"))
        assert session.run(shell.cd(outer)) == "in outer\n"
        session.run(snapshot(shell, "before"))
        assert session.run(shell.cd(inner)) == "in inner\n"
        assert [session.value(n) for n in ("X", "OUT", "IN")] == ["inner", "1", "1"]
        assert session.value("VIRTUAL_ENV") == str(home.path / ".venv/outer")
        assert session.run("env | grep ^PATH= | cut -d: -f1-3") == (
            f"PATH={inner}/bin:{outer}/bin:{home.path}/.venv/outer/bin\n"
        )
        assert session.run("o; i") == "o\ninner\n"
        assert session.run("cd ..") == "out inner\n"
        session.run(snapshot(shell, "after"))
        assert session.run("i") == "outer\n"
        assert session.run(shell.cd(inner)) == "in inner\n"
        assert session.run(shell.cd("/")) == "out inner\nout outer\n"
        session.run(snapshot(shell, "outside again"))
    assert change(shell) == {}
    assert change(shell, "outside", "outside again") == {}


def test_a_nested_project_that_does_not_inherit_stands_alone(shell: Shell, home: Home) -> None:
    outer = home.project("outer", variables(X="outer", OUT="1") + HOOKS.format("outer"))
    inner = home.project(
        "outer/inner", "[shellenv]\ninherit = no\n" + variables(X="inner") + HOOKS.format("inner")
    )
    with shell.interactive() as session:
        assert session.run(shell.cd(outer)) == "in outer\n"
        assert session.run(shell.cd(inner)) == "out outer\nin inner\n"
        assert [session.value(n) for n in ("X", "OUT")] == ["inner", None]
        assert session.run("cd ..") == "out inner\nin outer\n"
        assert [session.value(n) for n in ("X", "OUT")] == ["outer", "1"]


def test_an_inner_venv_takes_the_place_of_the_outers(shell: Shell, home: Home) -> None:
    outer = home.project("outer", variables(OUT="1"), venv=True)
    inner = home.project("outer/inner", variables(IN="1"), venv=True)
    venvs = home.path / ".venv"
    result = shell.script(
        lines(
            shell.cd(outer),
            shell.cd(inner),
            shell.show("VIRTUAL_ENV", "OUT", "IN"),
            "env | grep ^PATH=",
            shell.cd(outer),
            shell.show("VIRTUAL_ENV", "OUT", "IN"),
            "env | grep ^PATH=",
        )
    )
    assert result.ok() == (
        f"VIRTUAL_ENV={venvs}/inner\nOUT=1\nIN=1\nPATH={venvs}/inner/bin:{home.env['PATH']}\n"
        f"VIRTUAL_ENV={venvs}/outer\nOUT=1\nIN unset\nPATH={venvs}/outer/bin:{home.env['PATH']}\n"
    )


def test_a_hook_that_changes_directory_or_fails_does_no_harm(shell: Shell, home: Home) -> None:
    other = home.project("other", variables(X="other"))
    root = home.project("api", variables(X="api") + f"[shellenv.hooks]\nenter = cd {other}\n")
    broken = home.project("broken", variables(X="broken") + "[shellenv.hooks]\nenter = false\n")
    result = shell.script(
        lines(
            shell.cd(root),
            shell.show("X"),
            "pwd",
            shell.cd(broken),
            f"echo {shell.status}",
            shell.show("X"),
            shell.cd("/"),
            shell.show("X"),
        )
    )
    assert result.ok() == f"X=other\n{other}\n0\nX=broken\nX unset\n"


def test_code_of_the_users_that_moves_while_changes_are_made_ends_where_it_should(
    shell: Shell, home: Home
) -> None:
    other = home.project("other", variables(X="other"))
    leaving = home.project(
        "leaving", variables(X="leaving") + f"[shellenv.hooks]\nleave = cd {other}\n", venv=True
    )
    moving = home.project("moving", variables(X="moving"), venv=True)
    script = home.path / ".venv/moving/bin" / shell.activate
    write(script, f"{script.read_text()}\ncd {other}\ncd {moving}\n")
    with shell.interactive() as session:
        session.run(snapshot(shell, "before"))
        session.run(shell.cd(moving))
        assert session.value("X") == "moving"
        session.run(shell.cd("/"))
        assert session.value("X") is None
        session.run(shell.cd(leaving))
        assert session.value("X") == "leaving"
        session.run(shell.cd("/"))
        session.enter()
        assert session.run("pwd") == f"{other}\n"
        assert session.value("X") == "other"
        assert session.value("VIRTUAL_ENV") is None
        session.run(shell.cd("/"))
        session.run(snapshot(shell, "after"))
    assert change(shell) == {}


def test_the_environment_that_exec_gives_is_the_one_of_the_hook(shell: Shell, home: Home) -> None:
    root = rich(home)
    show = "env | grep -E '^(PLAIN|ODD|REFERS|EMPTY|DASH|PATH|VIRTUAL_ENV)=' | sort"
    by_hook = shell.script(lines(shell.cd(root), show)).stdout
    other = home.project("other", variables(PLAIN="other", MORE="1"))
    done = subprocess.run(
        shell.argv(
            write(
                home.path.parent / f"exec.{shell.name}",
                lines(
                    shell.hook,
                    shell.cd(other),
                    f"shellenv exec {root} -- sh -c {shell.quote(show + '; echo ${MORE-no more}')}",
                ),
            )
        ),
        env=home.env,
        cwd=home.path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == by_hook + "no more\n"
