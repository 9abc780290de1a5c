"""Build front ends show progress as lines: a few, and only if many modules are compiled."""

import pytest

from hatch_romfs.events import Progress
from hatch_romfs.plugins.errors import report_lines
from tests import judges
from tests.commands import run
from tests.projects import FILES, make_project


def lines(total, step=1, unit="modules"):
    printed: list[str] = []
    report = report_lines(printed.append)
    for done in range(step, total + 1, step):
        report(Progress("compiling", done, total, unit))
    return printed


def test_many_modules_are_worth_four_lines():
    assert lines(200) == [f"compiling: {done} of 200 modules" for done in (50, 100, 150, 200)]
    assert lines(200, step=70) == ["compiling: 70 of 200 modules", "compiling: 140 of 200 modules"]


@pytest.mark.parametrize(("total", "unit"), [(99, "modules"), (1 << 20, "bytes")])
def test_less_work_is_done_silently(total, unit):
    assert lines(total, step=max(1, total // 50), unit=unit) == []


@pytest.mark.parametrize("command", [["hatchling", "build", "-t", "romfs"], ["hatchling", "build", "-t", "wheel"]])
def test_hatch_shows_how_many_modules_are_compiled(command, tmp_path):
    files = FILES | {f"src/app/m{number}.py": f"x = '{command[-1]} {number}'\n" for number in range(100)}
    project = make_project(tmp_path / "project", files)
    name, *rest = command
    shown = run(judges.command(name), *rest, cwd=project)
    assert "compiling: 103 of 103 modules" in shown
    assert shown.count("compiling: ") == 4
    assert "compiling" not in run(judges.command(name), *rest, cwd=project), "everything is cached now"
