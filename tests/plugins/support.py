"""What tests of both build backends need."""

import hashlib
from pathlib import Path

from tests.projects import FILES


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


WRONG = {
    "src/app/greeting.py": (b"def greet(:\n", "src/app/greeting.py:1: SyntaxError: invalid syntax", 1),
    "pyproject.toml": (
        FILES["pyproject.toml"] + b"shara = true\n",
        "tool.romfs.shara: unknown key; did you mean 'share'?",
        2,
    ),
}
