"""What building the wheel adds: the templates, compiled (shellenv/precompiled.py says why)."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileTemplates(BuildHookInterface[Any]):
    """Puts a module for each template beside the package's own."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # it uses the source tree, where templates change
        sys.path.insert(0, self.root)
        from shellenv import render

        self.modules = tempfile.mkdtemp()
        for name, source in render.compile_templates():
            path = Path(self.modules, f"{name}.py")
            path.write_text(source, encoding="utf-8")
            build_data["force_include"][str(path)] = f"shellenv/{name}.py"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del build_data, artifact_path
        if version != "editable":
            shutil.rmtree(self.modules)
