"""What is left out: Docker's rules, git's, and those of the configuration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import context, file

from shellenv import config
from shellenv.errors import ShellenvError
from shellenv.project import Project
from shellenv.sync import entry, ignore, tree
from shellenv.sync import settings as sync_settings
from shellenv.sync.ignore import Rules
from shellenv.sync.ledger import sift


def rules(text: str) -> Rules:
    return Rules(list(ignore.parse(text, ".dockerignore")))


# Patterns, a path, and whether it is left out: what moby's own tests of patternmatcher say, and its
# documentation
DOCKER = [
    ("**", "file", True),
    ("**/", "dir/file", True),
    ("**/**", "dir/file", True),
    ("dir/**", "dir/dir2/file", True),
    ("abc/**", "abc", False),
    ("abc/**", "abc/def/ghi", True),
    ("**/dir", "dir/file", True),
    ("**/dir2/*", "dir/dir2/file", True),
    ("**/dir2/**", "dir/dir2/dir3/file", True),
    ("**file", "file", True),
    ("**file", "dir/dir/file", True),
    ("**file", "dir/myfile", True),
    ("**file*", "dir/myfile1", False),
    ("**/file*txt", "dir/dir/file.txt", True),
    ("**/**/*.txt", "dir/dir/file.txt", True),
    ("**/**/*.txt2", "dir/dir/file.txt", False),
    ("**/*.txt", "file.txt", True),
    ("a**/*.txt", "a/dir/dir/file.txt", True),
    ("a/*.txt", "a/dir/file.txt", False),
    ("a/*.txt**", "a/file.txt", True),
    ("a[b-d]e", "ae", False),
    ("a[b-d]e", "ace", True),
    ("a[^b-d]e", "aze", True),
    ("a[^b-d]e", "ace", False),
    ("a[!b]e", "a!e", True),
    (".*", ".foo", True),
    (".*", "foo", False),
    ("abc.def", "abcZdef", False),
    ("abc?def", "abcZdef", True),
    ("abc?def", "abc/def", False),
    ("a\\\\", "a\\", True),
    ("a\\*b", "a*b", True),
    ("a\\*b", "axb", False),
    ("a(b)c/def", "a(b)c/def", True),
    ("a.|)$(}+{bc", "a.|)$(}+{bc", True),
    ("a*/b", "a/c/b", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True),
    ("a?b", "a☺b", True),
    ("a[^a]b", "a☺b", True),
    ("a???b", "a☺b", False),
    ("[a-ζ]*", "\u03b1", True),
    ("*[a-ζ]", "A", False),
    ("[\\]a]", "]", True),
    ("[\\-x]", "-", True),
    ("[x\\-]", "z", False),
    ("a***b", "ab", True),
    ("a***b", "a/x/b", True),
    # anchored, however it is written
    ("foo", "foo", True),
    ("foo", "sub/foo", False),
    ("/foo", "foo", True),
    ("./foo/", "foo/bar", True),
    ("foo/../bar", "bar", True),
    ("  foo  ", "foo", True),
    ("# foo", "# foo", False),
    ("\ufefffoo", "foo", True),
    # exceptions: the last rule that matches decides, also about what is in a directory
    ("**\n!util/docker/web", "util/docker/web/foo", False),
    ("**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", True),
    ("dist\n!dist/*.whl", "dist/a.whl", False),
    ("dist\n!dist/*.whl", "dist/a.txt", True),
    ("!a\na", "a", True),
    ("a\n ! a", "a", False),
    ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
    ("*.md\n!README*.md", "README-1.md", False),
    ("a\n!a/b\na/b/c", "a/b/c/d", True),
    ("a\n!a/b\na/b/c", "a/b/x", False),
    ("**/*.bak", "café/ü.bak", True),
]


@pytest.mark.parametrize(("text", "path", "left_out"), DOCKER)
def test_patterns_mean_what_they_mean_to_docker(text: str, path: str, left_out: bool) -> None:
    assert (rules(text).rule(path.encode()) is not None) == left_out


@pytest.mark.parametrize(
    "text", ["!", "[", "a[", "[^", "[^bc", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "\\", "a\n!\n"]
)
def test_what_docker_refuses_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ShellenvError, match=r"\.dockerignore:\d"):
        rules(text)


def synced(records: list[bytes], found: Rules) -> set[bytes]:
    """The files of a scan that are not left out."""
    files = {entry.path_of(record) for record in records if record[:1] == b"f"}
    return files - set(sift(set(), set(records), found))


SEGMENTS = st.sampled_from(["a", "b", "*", "**", "a*", "?b", "[ab]", "c.d"])
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)
LINES = st.lists(st.tuples(st.booleans(), PATTERNS), min_size=1, max_size=5)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "c.d", "cxd"]), min_size=1, max_size=4)


@given(LINES, PATHS)
@settings(max_examples=500)
def test_the_last_rule_that_matches_a_path_or_what_is_above_it_decides(
    lines: list[tuple[bool, str]], parts: list[str]
) -> None:
    """As moby's MatchesOrParentMatches does it, rule by rule."""
    found = rules("\n".join(f"{'!' if back else ''}{pattern}" for back, pattern in lines))
    paths = ["/".join(parts[: number + 1]).encode() for number in range(len(parts))]
    matched = False
    for rule in found.rules:
        if rule.back == matched and any(map(ignore.compiled(rule).fullmatch, paths)):
            matched = not rule.back
    assert (found.rule(paths[-1]) is not None) == matched


@given(LINES, st.lists(PATHS, max_size=8))
@settings(max_examples=200)
def test_a_scan_finds_what_the_rules_let_through_however_deep(
    lines: list[tuple[bool, str]], paths: list[list[str]]
) -> None:
    """What is not looked into holds nothing that an exception would bring back."""
    import tempfile

    text = "\n".join(f"{'!' if back else ''}{pattern}" for back, pattern in lines)
    with tempfile.TemporaryDirectory() as name:
        made = set()
        for parts in paths:
            path = Path(name, *parts[:-1], parts[-1] + ".file")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            made.add(str(path.relative_to(name)).encode())
        for records in (
            tree.scan(name.encode(), rules(text)).records,
            tree.walk(name.encode(), rules(text)),
        ):
            wanted = {path for path in made if rules(text).rule(path) is None}
            assert synced(records, rules(text)) == wanted


GIT = """
*.log
!keep.log
/anchored
build/
doc/*.txt
**/deep
a/**/z
\\!bang
# comment
vendor
!vendor/keep
trailing\\ """


def test_a_gitignore_means_what_it_means_to_git(tmp_path: Path) -> None:
    names = ["x.log", "sub/x.log", "keep.log", "anchored", "sub/anchored", "build/x", "sub/build/y"]
    names += ["file/build", "doc/a.txt", "doc/sub/a.txt", "x/deep", "deep/y", "a/z", "a/b/c/z"]
    names += ["!bang", "trailing ", "plain", "vendor/keep", "vendor/x", "sub/keep.log"]
    for name in names:
        file(tmp_path / name)
    file(tmp_path / ".gitignore", GIT)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    argv = ["git", "-C", str(tmp_path), "ls-files", "-z", "--others", "--exclude-standard"]
    wanted = set(subprocess.check_output(argv).split(b"\0")[:-1])
    found = Rules(list(ignore.parse_git(GIT, ".gitignore")))
    assert synced(tree.scan(bytes(tmp_path), found).records, found) == wanted
    assert synced(tree.walk(bytes(tmp_path), found), found) == wanted
    assert {name for name in names if found.rule(name.encode()) is None} == {
        name.decode() for name in wanted - {b".gitignore"}
    }


def test_a_gitignore_takes_back_a_default_name_only_if_it_says_it(tmp_path: Path) -> None:
    for name in (".cache/x", "sub/.cache/x", "node_modules/x/y", "sub/node_modules/x", "x"):
        file(tmp_path / name)
    file(tmp_path / ".gitignore", "!*/\n!.cache/\n")
    found = chosen(tmp_path, "ignore_file = .gitignore")
    for records in (tree.scan(bytes(tmp_path), found).records, tree.walk(bytes(tmp_path), found)):
        assert synced(records, found) == {b".cache/x", b"sub/.cache/x", b"x", b".gitignore"}
    assert found.rule(b"sub/node_modules", directory=True)
    assert found.rule(b"node_modules/x/y")
    assert not found.rule(b"sub/.cache/x")


# --- the configuration ----------------------------------------------------------------------------


def chosen(root: Path, text: str = "") -> Rules:
    """The rules of the project at `root` with these settings."""
    layer = config.read_layer("cfg", str(root), f"[shellenv.sync]\n{text}\n".encode())
    project = Project(str(root), root.name, "", None, "", (str(root),))
    return sync_settings.settings(context(root.parent), config.merge([layer]), project).rules


def reason(found: Rules, path: str) -> str:
    rule = found.rule(path.encode())
    return f"{rule} ({rule.origin})" if rule else ""


def test_every_rule_says_where_it_was_written(tmp_path: Path) -> None:
    root = tmp_path / "project"
    file(root / ".dockerignore", "# what docker need not know\n\ndocs\n*.md\n!README.md\n")
    found = chosen(root, "exclude = data:secret\n  more\ninclude = data/labels.csv:**/.cache")
    assert reason(found, "docs/a/b") == "docs (~/project/.dockerignore:3)"
    assert reason(found, "README.md") == ""
    assert reason(found, "x/__pycache__/y") == "**/__pycache__ (the default rules)"
    assert reason(found, "node_modules/x") == "**/node_modules (the default rules)"
    assert reason(found, "data/x") == "data (cfg:2)"
    assert reason(found, "more") == "more (cfg:2)"
    assert reason(found, "data/labels.csv") == ""
    assert reason(found, ".cache/x") == ""
    assert reason(found, "sub/.git/config") == "**/.git (the rule for .git)"
    for path in (".shellenv-sync/in/x", "inner/.shellenv-sync/in/x"):
        assert reason(found, path) == "**/.shellenv-sync (the default rules)"


def test_the_ignore_file_can_be_another_or_none(tmp_path: Path) -> None:
    root = tmp_path / "project"
    file(root / ".dockerignore", "docs")
    file(root / ".gitignore", "build/\n")
    file(root / "docs")
    assert reason(chosen(root), "docs")
    assert not reason(chosen(root, "ignore_file = none"), "docs")
    git = chosen(root, "ignore_file = .gitignore")
    assert not reason(git, "docs")
    assert reason(git, "sub/build/x") == "build/ (~/project/.gitignore:1)"
    with pytest.raises(ShellenvError, match="there is no other"):
        chosen(root, "ignore_file = other")


def test_an_exception_cannot_bring_git_down(tmp_path: Path) -> None:
    root = file(tmp_path / "project" / ".dockerignore", "!.git\n!**/.git").parent
    assert reason(chosen(root, "include = .git"), ".git/config")
    assert not reason(chosen(root, "git = yes"), ".git/config")


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden"])
def test_a_name_that_is_no_directorys_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ShellenvError, match="cannot be a directory's name"):
        chosen(file(tmp_path / "project" / "x").parent, f"name = {name}")


def test_both_ways_of_looking_see_the_same(tmp_path: Path) -> None:
    """By GNU find, as at the dock, and by ourselves where there is none."""
    file(tmp_path / "a b" / "\n", "x" * 5).chmod(0o6751)
    file(tmp_path / "sub" / "__pycache__" / "x")
    file(tmp_path / "__pycache__" / "x")
    (tmp_path / "shut").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("a//b")
    os.mkfifo(tmp_path / "pipe")
    found = chosen(tmp_path)
    ways = (tree.scan(bytes(tmp_path), found).records, tree.walk(bytes(tmp_path), found))
    one, other = (dict(map(entry.read, way)) for way in ways)
    assert one == other
    assert len(one) == 8
