"""Configuration files: what they say, what is wrong with them and where, and who wins."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import context, file

from shellenv import config
from shellenv.config import ConfigError, Entry, Origin
from shellenv.files import MAX_BYTES


def layer(text: str | bytes, root: str | None = "/p", *, personal: bool = False) -> config.Layer:
    content = text.encode() if isinstance(text, str) else text
    return config.read_layer("f.cfg", root, content, personal=personal)


def values(text: str | bytes, section: str = "shellenv.env") -> dict[str, str]:
    return {key: entry.value for key, entry in layer(text).sections[section].items()}


def mistake(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        layer(text)
    assert caught.value.hint, "every mistake comes with what to do about it"
    return caught.value.message


def test_every_value_knows_its_file_line_and_directory() -> None:
    text = "# a comment\n\n[shellenv.env]\nA = 1\n\n; another\nB: 2\n"
    assert layer(text).sections["shellenv.env"] == {
        "A": Entry("1", Origin("f.cfg", 4), "/p"),
        "B": Entry("2", Origin("f.cfg", 7), "/p"),
    }


def test_a_value_on_several_lines_is_one_value_at_its_first_line() -> None:
    found = layer("[shellenv.hooks]\nenter = echo a\n  echo b\n\n  echo c\nleave = x\n")
    assert found.sections["shellenv.hooks"] == {
        "enter": Entry("echo a\necho b\n\necho c", Origin("f.cfg", 2), "/p"),
        "leave": Entry("x", Origin("f.cfg", 6), "/p"),
    }


def test_an_empty_value_is_a_value() -> None:
    assert values("[shellenv.env]\nA =\nB = \nC:") == {"A": "", "B": "", "C": ""}


def test_only_a_line_that_starts_as_one_is_a_comment() -> None:
    assert values("[shellenv.env]\nA = b # c ; d\n#B = 1\n;C = 2") == {"A": "b # c ; d"}


def test_case_matters_and_nothing_is_interpolated() -> None:
    found = values("[shellenv.env]\na = %(b)s\nA = ${a}\n")
    assert found == {"a": "%(b)s", "A": "${a}"}


def test_default_is_a_section_like_any_other_and_reaches_no_other() -> None:
    found = layer("[DEFAULT]\nX = 1\n[shellenv.env]\nA = 2\n")
    assert found.sections["shellenv.env"].keys() == {"A"}
    assert found.warnings == ()


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf[shellenv.env]\nA = 1\nB = \xc3\xa9\n",
        b"[shellenv.env]\r\nA = 1\r\nB = \xc3\xa9\r\n",
        b"[shellenv.env]\nA = 1\nB = \xc3\xa9",
        b"\n\n[shellenv.env]\n\n\nA = 1\n\nB = \xc3\xa9\n\n",
    ],
    ids=["byte order mark", "CRLF", "no final newline", "blank lines"],
)
def test_files_as_editors_leave_them_are_read(content: bytes) -> None:
    assert values(content) == {"A": "1", "B": "é"}


def test_dockerutils_files_in_the_wild_are_read_without_a_word() -> None:
    found = layer(
        "[run_image]\nsynthetic_images = train, serve\n# volumes = /data:/data\n"
        "[notebook]\nvolumes = {project_root}:/home/x --- /Users/{user}/a:/b\n"
        "ports = 8888:8888\nenv = common\n[common]\nAWS_REGION=us-east-1\n[train]\ncmd = a = b: c"
    )
    assert found.warnings == ()
    assert found.value("run_image", "synthetic_images") == "train, serve"
    assert found.value("train", "cmd") == "a = b: c"


def test_unusual_line_ends_inside_a_value_do_not_end_it() -> None:
    assert values("[shellenv.env]\nA = x\u2028y\x0cz\x85w\nB = 1\n") == {
        "A": "x\u2028y\x0cz\x85w",
        "B": "1",
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("A = 1\n", "f.cfg:1: stands before the first [section]"),
        ("[a]\nx = 1\ny\n", "f.cfg:3: 'y' is no `key = value` line"),
        ("[a]\n\nx = 1\nx = 2\n", "f.cfg:4: 'x' is there twice in [a]"),
        ("[a]\n[b]\n[a]\n", "f.cfg:3: section [a] is there twice"),
        (b"[a]\nx = 1\ny = \xff\n", "f.cfg:3: is not UTF-8 (byte 0xff)"),
        ("[a]\nx = \0\n", "f.cfg:2: contains a NUL byte"),
        ("[shellenv]\n\nprompt = maybe\n", "f.cfg:3: 'maybe' is neither yes nor no"),
        (
            "[shellenv]\nexec_env = vnev\n",
            "f.cfg:2: 'vnev' is none of auto, venv, docker, remote",
        ),
        (
            "[shellenv.env]\n2A = 1\n",
            "f.cfg:2: '2A' is not a variable name (letters, digits and _, no digit first)",
        ),
        (
            "[shellenv.env]\nA-B = 1\n",
            "f.cfg:2: 'A-B' is not a variable name (letters, digits and _, no digit first)",
        ),
        (
            "[shellenv.env]\nÉ = 1\n",
            "f.cfg:2: 'É' is not a variable name (letters, digits and _, no digit first)",
        ),
        (
            "[shellenv.env]\nPATH = /x\n",
            "f.cfg:2: PATH cannot be set here: use [shellenv.path] prepend",
        ),
        (
            "[shellenv.env]\nPWD = /x\n",
            "f.cfg:2: PWD cannot be set here: the shell itself keeps it",
        ),
        (
            "[shellenv.env]\n__shellenv_bin = x\n",
            "f.cfg:2: __shellenv_bin cannot be set here: it is shellenv's own",
        ),
        ("[shellenv.aliases]\na b = x\n", "f.cfg:2: 'a b' is not an alias name: it contains ' '"),
        (
            "[shellenv.aliases]\n-a = x\n",
            "f.cfg:2: '-a' is not an alias name: it starts with a dash",
        ),
        (
            "[shellenv.aliases]\nif = x\n",
            "f.cfg:2: 'if' is not an alias name: it is a reserved word",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(content: str | bytes, expected: str) -> None:
    assert mistake(content) == expected


def test_a_file_that_is_too_large_is_refused() -> None:
    assert mistake(b"[a]\n" + b"#" * MAX_BYTES) == "f.cfg: is larger than 1 MiB"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "[shellenv]\nvenvdir = /x\n",
            "f.cfg:2: unknown key 'venvdir' in [shellenv]; did you mean 'venv_dir'?",
        ),
        ("[shellenv]\nzzzzzz = 1\n", "f.cfg:2: unknown key 'zzzzzz' in [shellenv]"),
        (
            "[shellenv.sync]\nexclud = *.pem\n",
            "f.cfg:2: unknown key 'exclud' in [shellenv.sync]; did you mean 'exclude'?",
        ),
        (
            "\n[shellenv.alias]\n",
            "f.cfg:2: unknown section [shellenv.alias]; did you mean [shellenv.aliases]?",
        ),
        (
            "[shelenv.env]\nA = 1\n",
            "f.cfg:1: unknown section [shelenv.env]; did you mean [shellenv.env]?",
        ),
        ("[shellnev]\n", "f.cfg:1: unknown section [shellnev]; did you mean [shellenv]?"),
        (
            "[Shellenv.Env]\nA = 1\n",
            "f.cfg:1: unknown section [Shellenv.Env]; did you mean [shellenv.env]?",
        ),
        (
            "[shellenv]\nvenv_dir = /x\n",
            "f.cfg:2: 'venv_dir' has no effect in this file; it belongs in the user's file",
        ),
    ],
)
def test_what_is_unknown_is_a_warning_with_the_nearest_name(content: str, expected: str) -> None:
    assert layer(content).warnings == (expected,)


@pytest.mark.parametrize("name", ["shell", "shell.env", "servers.env", "virtualenv", "run_image"])
def test_the_section_of_another_program_is_no_slip(name: str) -> None:
    assert layer(f"[{name}]\nA = 1\n").warnings == ()


def test_sections_of_later_versions_are_known() -> None:
    for section in ("notebook", "aws"):
        assert layer(f"[shellenv.{section}]\nanything.at.all = 1\n").warnings == ()


def test_what_has_no_effect_in_a_file_is_not_taken_from_it() -> None:
    text = "[shellenv]\nvenv_dir = /x\nroot = /y\ninherit = no\nquiet = yes\n"
    assert layer(text).sections["shellenv"].keys() == {"inherit", "quiet"}
    assert layer(text, personal=True).sections["shellenv"].keys() == {"root", "inherit", "quiet"}
    assert layer(text, root=None).sections["shellenv"].keys() == {"venv_dir", "quiet"}


def outcome(content: bytes) -> str:
    try:
        layer(content)
    except ConfigError as error:
        return error.message
    return "read"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_reason(content: bytes) -> None:
    assert outcome(content).startswith(("read", "f.cfg"))


HEADERS = ("[shellenv]", "[shellenv.env]", "[shellenv.aliases]", "[DEFAULT]", "[a]", "[]", "[")
PIECES = (*HEADERS, "=", ":", "A", " ", "\n", "\r\n", "#", ";", "\t", "\ufeff", "prompt", "yes")


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30))
def test_almost_right_files_are_read_or_refused_with_a_reason(pieces: list[str]) -> None:
    content = "".join(pieces).encode("utf-8", "surrogatepass")
    assert outcome(content).startswith(("read", "f.cfg"))


NAMES = st.text(string.ascii_letters, min_size=1, max_size=8).map(lambda name: f"X{name}")
LINES = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"])).map(
    str.strip
)


@given(st.dictionaries(NAMES, LINES, min_size=1))
def test_every_value_of_one_line_comes_back_as_written_and_where(settings: dict[str, str]) -> None:
    written = [f"{name} = {value}" for name, value in settings.items()]
    found = layer("\n".join(["[shellenv.env]", *written]))
    assert found.sections["shellenv.env"] == {
        name: Entry(value, Origin("f.cfg", line), "/p")
        for line, (name, value) in enumerate(settings.items(), start=2)
    }


# --- reading from disk ---------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_no_layer(tmp_path: Path) -> None:
    file(tmp_path / "file")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("absent", "dangling", "file/below"):
        assert config.read_bytes(str(tmp_path / name)) is None


def unreadable(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        config.read_bytes(str(path))
    assert caught.value.hint
    return caught.value.message


def test_a_directory_is_no_configuration_file(tmp_path: Path) -> None:
    assert unreadable(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert unreadable(tmp_path / "pipe") == f"{tmp_path}/pipe: cannot be read: Not a regular file"


def test_a_device_is_refused() -> None:
    assert unreadable(Path("/dev/zero")) == "/dev/zero: cannot be read: Not a regular file"


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    secret = file(tmp_path / "secret")
    secret.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything
        os.seteuid(65534)
    try:
        assert unreadable(secret) == f"{secret}: cannot be read: Permission denied"
    finally:
        os.seteuid(user)


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    assert "cannot be read: " in unreadable(tmp_path / "a")


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    with open(tmp_path / "huge", "wb") as stream:
        stream.truncate(1 << 40)
    assert "is larger than 1 MiB" in unreadable(tmp_path / "huge")


# --- layers --------------------------------------------------------------------------------------


def named(file: str, root: str | None, text: str) -> config.Layer:
    return config.read_layer(file, root, text.encode())


def test_later_layers_win_key_by_key() -> None:
    merged = config.merge(
        [
            named("system", None, "[shellenv.env]\nA = 1\nB = 1\n[shellenv]\nquiet = yes\n"),
            named("user", None, "[shellenv.env]\nB = 2\nC = 2\n"),
            named("project", "/p", "[shellenv.env]\nC = 3\n[shellenv]\nquiet = no\n"),
        ]
    )
    found = {name: (e.value, e.origin.file) for name, e in merged.section("shellenv.env").items()}
    assert found == {"A": ("1", "system"), "B": ("2", "user"), "C": ("3", "project")}
    assert not merged.flag("shellenv", "quiet")


def test_a_project_that_stands_alone_drops_the_directories_further_out() -> None:
    merged = config.merge(
        [
            named("user", None, "[shellenv.env]\nU = 1\n"),
            named("outer", "/p", "[shellenv.env]\nO = 1\n[shellenv]\nquiet = yes\n"),
            named("docker", "/p/q", "[shellenv.env]\nD = 1\n"),
            named("inner", "/p/q", "[shellenv]\ninherit = no\n[shellenv.env]\nI = 1\n"),
            named("innermost", "/p/q/r", "[shellenv.env]\nR = 1\n"),
        ]
    )
    assert set(merged.section("shellenv.env")) == {"U", "D", "I", "R"}
    assert not merged.flag("shellenv", "quiet")


def test_a_personal_file_can_let_the_outer_projects_in_again() -> None:
    merged = config.merge(
        [
            named("outer", "/p", "[shellenv.env]\nO = 1\n"),
            named("inner", "/p/q", "[shellenv]\ninherit = no\n"),
            named("personal", "/p/q", "[shellenv]\ninherit = yes\n"),
        ]
    )
    assert set(merged.section("shellenv.env")) == {"O"}


def test_what_nobody_set_has_its_default() -> None:
    merged = config.merge([])
    assert merged.get("shellenv", "venv_dir") == Entry("~/.venv", Origin("default", 0))
    assert merged.flag("shellenv", "prompt")
    assert merged.get("shellenv", "root") is None
    assert merged.get("shellenv.env", "HOME") is None
    assert merged.section("shellenv") == {}


def test_variables_override_the_files_and_empty_ones_do_not(tmp_path: Path) -> None:
    ctx = context(tmp_path, SHELLENV_VENV_DIR="/v", SHELLENV_PROMPT="", SHELLENV_EXEC_ENV="venv")
    merged = config.merge(
        [
            named("user", None, "[shellenv]\nprompt = no\nvenv_dir = ~/x\n"),
            config.environment_layer(ctx),
        ]
    )
    assert merged.get("shellenv", "venv_dir") == Entry("/v", Origin("$SHELLENV_VENV_DIR", 0))
    assert merged.get("shellenv", "prompt") == Entry("no", Origin("user", 2))
    assert merged.get("shellenv", "exec_env") == Entry("venv", Origin("$SHELLENV_EXEC_ENV", 0))


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SHELLENV_QUIET", "perhaps", "$SHELLENV_QUIET: 'perhaps' is neither yes nor no"),
        (
            "SHELLENV_VENV_DIR",
            "relative",
            "$SHELLENV_VENV_DIR: 'relative' is not an absolute path (it may start with ~/)",
        ),
    ],
)
def test_a_variable_with_a_wrong_value_is_named(
    tmp_path: Path, variable: str, value: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config.environment_layer(context(tmp_path, None, **{variable: value}))
    assert caught.value.message == expected


def test_a_personal_file_can_name_the_directory_it_is_for(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    (tmp_path / "code" / "shop").mkdir(parents=True)
    (tmp_path / "link").symlink_to("code")
    personal = layer("[shellenv]\nroot = ~/code/shop/\n", personal=True)
    assert config.is_for(ctx, personal, f"{tmp_path}/code/shop")
    assert config.is_for(ctx, personal, f"{tmp_path}/link/shop")
    assert not config.is_for(ctx, personal, f"{tmp_path}/other/shop")
    assert config.is_for(ctx, layer(""), "/anywhere")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bin:scripts", ("bin", "scripts")),
        (" a b : c ", ("a b", "c")),
        ("a\nb:\n\nc", ("a", "b", "c")),
        ("", ()),
        (":", ()),
    ],
)
def test_lists_of_paths_are_separated_by_colons_and_line_ends(
    value: str, expected: tuple[str, ...]
) -> None:
    assert config.split_paths(value) == expected
