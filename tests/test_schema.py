"""The table of keys: the same in code and documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shellenv import config, schema
from shellenv.schema import KEYS, Key

DOCUMENT = Path(__file__).resolve().parent.parent / "Configuration.md"


def documented() -> list[Key]:
    """The keys as Configuration.md describes them."""
    text = DOCUMENT.read_text(encoding="utf-8")
    keys = []
    for section, body in re.findall(r"^## `\[([^`]+)\]`\n(.*?)(?=^## |\Z)", text, re.M | re.S):
        for name, block in re.findall(r"^### `([^`]+)`\n(.*?)(?=^### |\Z)", body, re.M | re.S):
            meaning, _, facts = block.strip().partition("\n\n")
            fact = dict(re.findall(r"^- ([^:\n]+): ([^\n]+)$", facts, re.M))
            keys.append(
                Key(
                    section=section,
                    name=name,
                    kind=fact.pop("value"),
                    default=fact.pop("default").strip("`").replace("none", ""),
                    meaning=" ".join(meaning.split()),
                    example=fact.pop("example").strip("`"),
                    where=fact.pop("counts").removeprefix("in "),
                    variable=fact.pop("overridden by", "").strip("`").removeprefix("$"),
                )
            )
            assert not fact, f"{section}.{name}"
    return keys


def test_the_documentation_describes_exactly_the_keys_there_are() -> None:
    assert documented() == list(KEYS)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.section}.{key.name}")
def test_every_example_is_accepted_without_a_word(key: Key) -> None:
    content = f"[{key.section}]\n{key.example}\n".encode()
    personal = key.where in (schema.PERSONAL_FILE, schema.PROJECT_FILES)
    layer = config.read_layer("f", "/p" if personal else None, content, personal=personal)
    assert layer.warnings == ()
    (name,) = layer.sections[key.section]
    assert schema.known(key.section, name) == key


@pytest.mark.parametrize("key", [key for key in KEYS if key.default], ids=lambda key: key.name)
def test_every_default_is_a_value_that_the_key_takes(key: Key) -> None:
    assert schema.value_problem(key.kind, key.default) == ""


@pytest.mark.parametrize("word", ["yes", "No", "TRUE", "false", "on", "OFF", "1", "0"])
def test_yes_and_no_may_be_written_in_other_words(word: str) -> None:
    assert schema.value_problem("yes or no", word) == ""


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("venvdir", "venv_dir"), ("Prompt", "prompt"), ("exec-env", "exec_env"), ("xyzzy", "")],
)
def test_the_nearest_name_is_found_or_none(word: str, nearest: str) -> None:
    names = [key.name for key in KEYS if key.section == "shellenv"]
    assert schema.nearest(word, names) == nearest
