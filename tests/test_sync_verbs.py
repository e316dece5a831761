"""`sync-up` and `sync-down` as a user types them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from docksync import contents, tree
from harness import Result
from servers import Server, User


@pytest.fixture(scope="module")
def server(base: Path, somebody: User) -> Iterator[Server]:
    server = Server(base / "sync-dock", somebody, "127.0.0.1", programs=":/usr/bin:/bin")
    yield server
    server.stop()


@pytest.fixture
def user(somebody: User, server: Server) -> User:
    """Someone who has a dock called gpu, and a project."""
    somebody.move_in()
    config = "[shellenv.ssh]\nconnect_timeout = 60\n[shellenv.sync]\nremote_root = ~/far\n"
    somebody.write(".config/shellenv/dockerutils.cfg", config)
    words = [server.target, "gpu", "--accept-host-key", server.fingerprint()]
    assert somebody.run("register-dock", *words).status == 0
    somebody.write("src/api/pyproject.toml", "")
    somebody.write("src/api/deep/down/file", "1")
    somebody.own(somebody.home)
    return somebody


def there(user: User) -> Path:
    return user.home / "far" / user.name / "api"


def sync(user: User, verb: str, *words: str, cwd: str = "src/api", **env: str) -> Result:
    script = f'cd {user.home / cwd} && exec {verb} "$@"'
    assignments = [f"{name}={value}" for name, value in env.items()]
    return user.run("env", *assignments, "sh", "-c", script, verb, *words)


def test_up_and_down_from_any_directory_of_the_project(user: User) -> None:
    result = sync(user, "sync-up", "gpu", cwd="src/api/deep/down")
    assert result.status == 0, result
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("rsync ")  # what is run is said first
    assert lines[-1].startswith(f"shellenv: sync-up to gpu:{there(user)}: 4 sent, 1 B (")
    assert tree(there(user)) == tree(user.home / "src" / "api")
    (there(user) / "deep" / "made").write_text("there")
    result = sync(user, "sync-down", cwd="src/api/deep", SHELLENV_DOCK="gpu")
    assert "1 received" in result.stderr
    assert b"there" in contents(user.home / "src" / "api")
    result = sync(user, "sync-down", "gpu")
    assert "nothing to do" in result.stderr


def test_the_command_that_was_said_can_be_typed(user: User) -> None:
    said = sync(user, "sync-up", "gpu").stderr.splitlines()[0]
    listing = said.split("--files-from=")[1].split()[0]
    names = Path(listing).read_bytes().split(b"\0")
    assert b"deep/down/file" in names


def test_json_says_all_of_it(user: User) -> None:
    user.write("src/api/.dockerignore", "*.log\n")
    user.write("src/api/x.log", "")
    user.write("src/api/__pycache__/x", "")
    sync(user, "sync-up", "gpu")
    user.write("src/api/deep/down/file", "ours")
    (there(user) / "deep" / "down" / "file").write_text("theirs!")
    result = sync(user, "sync-up", "gpu", "--json")
    assert result.status == 0, result
    answer = json.loads(result.stdout)
    assert answer["sent"] == ["deep/down/file"]
    (conflict,) = answer["conflicts"]
    assert conflict["path"] == "deep/down/file"
    assert (there(user) / conflict["theirs"]).read_text() == "theirs!"
    assert (user.home / "src/api" / conflict["theirs"]).read_text() == "theirs!"
    left_out = {(row["rule"], row["file"], row["line"]) for row in answer["left_out"]}
    assert ("*.log", "~/src/api/.dockerignore", 1) in left_out
    assert ("**/__pycache__", "the default rules", 0) in left_out
    assert "conflict: deep/down/file was changed on both sides" in result.stderr
    assert "left out: 1 by the default rules, 1 by ~/src/api/.dockerignore" in result.stderr


def test_a_dry_run_changes_nothing_and_says_what_would_be(user: User) -> None:
    result = sync(user, "sync-up", "gpu", "--dry-run")
    assert result.status == 0, result
    assert "push         deep/down/file\n" in result.stdout
    assert not (user.home / "far").exists()
    sync(user, "sync-up", "gpu")
    result = sync(user, "sync-up", "gpu", "--dry-run")
    where = f"sync-up to gpu:{there(user)}"
    assert result == Result(0, "", f"shellenv: {where}: nothing would be done\n")
    (user.home / "src/api/deep/down/file").unlink()
    user.write("src/api/new\n\033[31m", "1")
    result = sync(user, "sync-up", "gpu", "--dry-run", "--json")
    planned = {row["path"]: row["action"] for row in json.loads(result.stdout)["planned"]}
    assert planned == {"new\n\033[31m": "push", "deep/down/file": "delete there"}
    result = sync(user, "sync-up", "gpu", "--dry-run")
    assert "push         new\\n\\x1b[31m\n" in result.stdout
    assert (there(user) / "deep/down/file").exists()


def test_explain_names_the_rule_its_file_and_line(user: User) -> None:
    user.write("src/api/.dockerignore", "# no\n\ndocs\n")
    user.write("src/api/docs/x", "")
    result = sync(user, "sync-up", "--explain", "docs/x")
    assert result.ok() == "docs/x: left out by docs (~/src/api/.dockerignore:3)\n"
    result = sync(user, "sync-up", "--explain", "file", cwd="src/api/deep/down")
    assert result.ok() == "file: synced\n"
    assert sync(user, "sync-up", "--explain", "/etc/passwd").status == 1


def test_explain_says_that_a_path_is_not_here_and_what_would_become_of_it(user: User) -> None:
    user.write("src/api/.dockerignore", "docs\n")
    for path, said in (
        ("nowhere", "not here; would be synced"),
        ("docs/x", "not here; would be left out by docs (~/src/api/.dockerignore:1)"),
    ):
        assert sync(user, "sync-up", "--explain", path).ok() == f"{path}: {said}\n"


def test_a_directory_like_tmp_goes_nowhere(user: User) -> None:
    shared = user.home / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o1777)
    user.own(shared)
    result = sync(user, "sync-up", "gpu", cwd="shared")
    assert (result.status, result.stderr.splitlines()) == (
        1,
        ["shellenv: ~/shared is no project, and not yours alone", "cd into the project first"],
    )
    user.write("shared/setup.py", "")
    assert sync(user, "sync-up", "gpu", cwd="shared").status == 0


def test_print_does_nothing_and_what_it_prints_does_it_by_hand(user: User) -> None:
    def by_hand(verb: str, lines: int) -> None:
        before = tree(here), there(user).exists() and tree(there(user))
        printed = sync(user, verb, "gpu", "--print").ok()
        assert (tree(here), there(user).exists() and tree(there(user))) == before
        assert len(printed.replace("\n'", "'").splitlines()) == lines, printed
        done = user.run("sh", "-c", printed)
        assert (done.status, done.stderr) == (0, "")
        assert tree(there(user)) == tree(here)

    here = user.home / "src" / "api"
    for name in ("it's", "-n", "#1", "line\n", "été"):
        (here / name).write_text(name)
    user.own(here)
    by_hand("sync-up", 1)
    assert sync(user, "sync-up", "gpu", "--adopt").status == 0
    (here / "it's").unlink()
    shutil.rmtree(here / "deep")
    (here / "-n").write_text("changed")
    by_hand("sync-up", 2)
    assert sync(user, "sync-up", "gpu").status == 0
    (there(user) / "line\n").unlink()
    (there(user) / "#1").write_text("changed there")
    by_hand("sync-down", 2)


def test_print_says_what_no_line_does(user: User) -> None:
    assert sync(user, "sync-up", "gpu").status == 0
    for side in (there(user), user.home / "src" / "api"):
        (side / "deep" / "down" / "file").write_text(f"changed {side}")
    result = sync(user, "sync-up", "gpu", "--print")
    said = "shellenv: not in these lines: deep/down/file was changed on both sides"
    assert (result.status, result.stdout, result.stderr.splitlines()) == (0, "", [said])


def test_undocked_it_says_how_to_dock_to_what_is_known(user: User) -> None:
    def hint() -> str:
        result = sync(user, "sync-up")
        said, hint = result.stderr.splitlines()
        assert (result.status, said) == (1, "shellenv: this shell is not docked")
        return hint

    assert hint() == "dock gpu first, or name one here"
    user.run("register-dock", "--offline", "10.0.0.1", "lab")
    assert hint() == (
        "dock HOST first, or name one here (shellenv ls-dock lists those that are known)"
    )
    for moniker in ("gpu", "lab"):
        user.run("unregister-dock", moniker)
    assert hint() == "no dock is known: shellenv register-dock HOST makes one known"


@pytest.mark.parametrize(("options", "env"), [(["-q"], {}), ([], {"SHELLENV_QUIET": "yes"})])
def test_quietly_it_says_only_what_needs_somebody(
    user: User, options: list[str], env: dict[str, str]
) -> None:
    def quiet(verb: str, *words: str) -> Result:
        return sync(user, verb, "gpu", *options, *words, cwd="src/api", **env)

    user.write("src/api/__pycache__/x", "")
    assert quiet("sync-up") == Result(0, "", "")
    assert quiet("sync-up", "--dry-run") == Result(0, "", "")
    (there(user) / "made").write_text("there")
    assert quiet("sync-down") == Result(0, "", "")
    assert (user.home / "src/api/made").exists()
    user.write("src/api/made", "ours")
    (there(user) / "made").write_text("theirs!")
    result = quiet("sync-up")
    (line,) = result.stderr.splitlines()
    assert line.startswith("shellenv: conflict: made was changed on both sides; theirs is made.")


def test_ctrl_c_says_in_what_state_things_are(user: User) -> None:
    sync(user, "sync-up", "gpu")
    with user.write("src/api/large", "").open("wb") as stream:
        stream.truncate(1 << 34)  # nobody waits for that
    command = f"cd {user.home}/src/api && exec sync-up gpu"
    with user.terminal("sh", "-c", command) as terminal:
        terminal.expect("rsync ")
        terminal.sendintr()
        terminal.expect("shellenv: sync-up was interrupted: nothing is lost; the next one goes on")
        terminal.expect(pexpect.EOF)
        assert terminal.wait() == 130
    user.write("src/api/large", "small now")
    assert sync(user, "sync-up", "gpu").status == 0
    assert tree(there(user)) == tree(user.home / "src" / "api")


def test_the_home_directory_is_no_project(user: User) -> None:
    result = sync(user, "sync-up", "gpu", cwd=".")
    assert result.status == 1
    assert "is no project" in result.stderr


def test_what_cannot_be_read_here_is_named_and_the_rest_is_synced(user: User) -> None:
    sync(user, "sync-up", "gpu")
    user.write("src/api/secret", "x", mode=0)
    user.write("src/api/plain", "x")
    (user.home / "src/api/deep").chmod(0)
    result = sync(user, "sync-up", "gpu")
    (user.home / "src/api/deep").chmod(0o755)
    assert result.status == 1
    assert "not brought over: secret" in result.stderr
    assert (
        "left alone, on both sides (no file, unreadable, too long, or a .git changed there): deep"
        in result.stderr
    )
    assert "Permission denied" in result.stderr.splitlines()[-2]
    assert (there(user) / "plain").exists()
    assert (there(user) / "deep" / "down" / "file").exists()


def test_what_is_read_only_comes_down_to_someone_who_is_not_root(user: User) -> None:
    sync(user, "sync-up", "gpu")
    user.write("far/" + user.name + "/api/deep/new/made", "there", 0o444)
    user.write("far/" + user.name + "/api/deep/down/file", "changed there")
    for side in (there(user), user.home / "src" / "api"):
        (side / "deep" / "down").chmod(0o555)
        side.chmod(0o555)
    (there(user) / "deep" / "new").chmod(0o555)
    result = sync(user, "sync-down", "gpu")
    assert result.status == 0, result
    assert tree(there(user)) == tree(user.home / "src" / "api")
    assert "nothing to do" in sync(user, "sync-down", "gpu").stderr
    assert (user.home / "src" / "api").stat().st_mode & 0o777 == 0o555


def test_dockerutils_copy_of_the_project_is_named(user: User) -> None:
    old = Path("/data/workspaces") / user.name / "code" / "api"
    made = [path for path in (*reversed(old.parents), old) if not path.exists()]
    old.mkdir(parents=True)
    try:
        result = sync(user, "sync-up", "gpu")
        assert f"dockerutils' copy of this project is gpu:{old}" in result.stderr
        assert "copy of this project" not in sync(user, "sync-up", "gpu").stderr
    finally:
        for path in reversed(made):
            path.rmdir()


@pytest.mark.parametrize("answer", ["n", "y"])
def test_an_emptied_side_is_asked_about_at_a_terminal(user: User, answer: str) -> None:
    sync(user, "sync-up", "gpu")
    shutil.rmtree(there(user) / "deep")
    (there(user) / "pyproject.toml").unlink()
    command = f"cd {user.home}/src/api && exec sync-down gpu"
    with user.terminal("sh", "-c", command) as terminal:
        terminal.expect("is empty now, and 4 files and directories were there")
        terminal.expect(r"to be emptied, too\? \[y/N\]")
        terminal.sendline(answer)
        terminal.expect("--accept-empty" if answer == "n" else "4 deleted here")
    assert (user.home / "src/api/deep/down/file").exists() == (answer == "n")


def test_without_ssh_it_is_said(user: User) -> None:
    sync(user, "sync-up", "gpu")
    bare = user.home / "bare"
    bare.mkdir()
    for name in ("sh", "rsync", "find"):
        (bare / name).symlink_to(shutil.which(name) or "")
    launcher = shutil.which("shellenv", path=user.env["PATH"])
    result = sync(user, f"{launcher} sync-up", "gpu", PATH=str(bare))
    assert (result.status, result.stderr.splitlines()[0]) == (1, "shellenv: ssh is not in PATH")
