"""What building the wheel adds: the templates, compiled (shellenv/precompiled.py says why), and
the launcher under the bare names of verbs, which pyproject.toml lists."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Additions(BuildHookInterface[Any]):
    """Puts a module for each template beside the package's own, and makes the launchers."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.made = tempfile.mkdtemp()
        for source, names in self.config["scripts"].items():
            for name in names:
                # copies, because hatchling installs each file once
                path = shutil.copy(Path(self.root, "shell", source), Path(self.made, name))
                build_data["shared_scripts"][str(path)] = name
        if version == "editable":
            return  # it uses the source tree, where templates change
        sys.path.insert(0, self.root)
        from shellenv import render

        for name, source in render.compile_templates():
            path = Path(self.made, f"{name}.py")
            path.write_text(source, encoding="utf-8")
            build_data["force_include"][str(path)] = f"shellenv/{name}.py"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del version, build_data, artifact_path
        shutil.rmtree(self.made)
