"""For hatchling: installs the launcher once more under each bare verb's name.

pyproject.toml lists the names. The map of shared scripts takes each file once, hence the copies.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Launchers(BuildHookInterface):
    """Adds the copies to a wheel that is being built, and removes them when it is there."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del version
        self.copies = Path(tempfile.mkdtemp(prefix="shellenv-launchers-"))
        for name in self.config["names"]:
            copy = shutil.copy(Path(self.root, "shell", "shellenv.sh"), self.copies / name)
            build_data["shared_scripts"][str(copy)] = name

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del version, build_data, artifact_path
        shutil.rmtree(self.copies)
