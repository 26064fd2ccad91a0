"""Builds floorwatch-sdk from the project's own sources, under the one name ``floorwatch_sdk``.

``floorwatch/sdk`` becomes ``floorwatch_sdk``, and what it needs of ``streams/models`` becomes ``floorwatch_sdk.models``. So the
package brings no top-level name that a labelling tool could have itself, and may be installed beside the whole of Floorwatch.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
COPIED = HERE / "sources"
"""In a source distribution the sources are copied here; in the repository they stand beside this folder."""

SOURCES = {"floorwatch_sdk": "floorwatch/sdk", "floorwatch_sdk.models": "streams/models"}
RENAMED = {"floorwatch.sdk": "floorwatch_sdk", "streams.models": "floorwatch_sdk.models"}
GENERATORS = {"asyncapi", "contract_files", "contract_readme", "field_docs", "outputs", "contract_schema"}
"""Modules that write the contract's files: no tool needs them."""

ROOT = COPIED if COPIED.exists() else HERE.parent


class BuildRenamed(build_py):
    """Copies the modules, and renames what they import."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Return (package, module, file) of what is built."""
        return [one for one in super().find_package_modules(package, package_dir) if one[1] not in GENERATORS]

    def build_module(self, module: str, module_file: str, package: str | list[str]) -> tuple[str, bool]:
        """Copy one module, renamed."""
        target, copied = super().build_module(module, module_file, package)
        text = Path(target).read_text(encoding="utf-8")
        for old, new in RENAMED.items():
            text = text.replace(old, new)
        Path(target).write_text(text, encoding="utf-8")
        return target, copied


class SourcesWithin(sdist):
    """Puts the sources into the source distribution."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Write the tree that is packed."""
        super().make_release_tree(base_dir, [name for name in files if not name.startswith("..")])
        for source in SOURCES.values():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, Path(base_dir) / "sources" / source, dirs_exist_ok=True, ignore=ignored)


setup(
    packages=list(SOURCES),
    package_dir={name: os.path.relpath(ROOT / source, HERE) for name, source in SOURCES.items()},
    package_data={"floorwatch_sdk": ["py.typed"]},
    cmdclass={"build_py": BuildRenamed, "sdist": SourcesWithin},
)
