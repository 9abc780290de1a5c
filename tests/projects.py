"""Projects to build, and copies of folders."""

import shutil
from collections.abc import Mapping
from pathlib import Path

PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-romfs"]
build-backend = "hatchling.build"

[project]
name = "My.app"
version = "1.2.3-rc1"

[tool.hatch.build.hooks.romfs]

[tool.hatch.build.targets.wheel]
packages = ["src/app"]

[tool.romfs]
lib = ["vendor"]
alignment = { "*.bin" = 32 }
"""


FILES = {
    "pyproject.toml": PYPROJECT.encode(),
    "src/app/__init__.py": b"from app.greeting import greet\n",
    "src/app/greeting.py": b"import util\n\n\ndef greet():\n    return 'hello ' + util.who()\n",
    "src/app/table.bin": bytes(range(256)),
    "src/app/copy of table.bin": bytes(range(256)),
    "src/ünï cödé/text.txt": "grüße\n".encode(),
    "vendor/util.py": b"def who():\n    return 'world'\n",
}


def copied(source: Path, target: Path) -> Path:
    """Copy a checkout without what it does not keep."""
    left_out = shutil.ignore_patterns(".git", ".venv*", "dist", "__pycache__", ".*_cache", ".coverage*", ".hypothesis")
    return Path(shutil.copytree(source, target, ignore=left_out, symlinks=True))


def make_project(root: Path, files: Mapping[str, str | bytes] = FILES) -> Path:
    """Write files below ``root``; keys are their paths."""
    for path, data in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
    return root
