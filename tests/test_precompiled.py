"""The templates that an installed package has compiled are the templates."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import test_rendered

from shellenv import precompiled, render
from shellenv.shells import SHELLS


@pytest.fixture
def modules() -> dict[str, ModuleType]:
    """What hatch_build.py puts into the wheel, imported, but not yet in use."""
    found = {}
    for name, source in render.compile_templates():
        module = ModuleType(f"shellenv.{name}")
        exec(compile(source, name, "exec"), module.__dict__)
        found[name] = module
    return found


def install(modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"shellenv.{name}", module)


def test_there_is_a_module_for_each_template(modules: dict[str, ModuleType]) -> None:
    assert set(modules) == {
        f"compiled_{template}_{shell}" for template in ("settings", "snippet") for shell in SHELLS
    }


def test_a_source_tree_has_none() -> None:
    assert precompiled.find("snippet.bash") is None


@pytest.mark.parametrize("name", SHELLS)
def test_they_render_what_jinja_renders(
    name: str, modules: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_jinja = list(test_rendered.combinations(name))
    install(modules, monkeypatch)
    monkeypatch.setitem(sys.modules, "jinja2", None)  # importing it fails
    assert list(test_rendered.combinations(name)) == by_jinja


@pytest.mark.parametrize("template", ["{{ nothing }}", "{{ guard.nothing }}"])
def test_what_does_not_exist_is_an_error(template: str) -> None:
    environment = render._environment(SHELLS["bash"])
    source = precompiled.adapt(environment.compile(template, "t", raw=True, defer_init=True))
    module = ModuleType("t")
    exec(compile(source, "t", "exec"), module.__dict__)
    with pytest.raises((NameError, AttributeError), match="nothing"):
        precompiled.render(module, str, {"guard": render.Guard()})
