"""``-q`` hides the same in every command: all but errors and what was asked for."""

import argparse
import re
import shutil

import pytest

from hatch_romfs import build
from hatch_romfs.cli import command, flash, flash_options, image, manifest
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.projects import make_project

PARSERS = {"romfs-image": image.parser, "romfs-manifest": manifest.parser, "romfs-flash": flash_options.parser}
RUN = {"romfs-image": image.command, "romfs-manifest": manifest.command, "romfs-flash": flash.command}

REPORTS = {
    "romfs-image build": "folder",
    "romfs-image bundle": "manifest.py app.romfs -o new --base-address 0 --address 0x10000 --size 64K",
    "romfs-image extract": "app.romfs -o new",
    "romfs-image verify": "app.romfs",
    "romfs-image page": "app.romfs -o new",
    "romfs-manifest lock": "project --index INDEX --upgrade",
    "romfs-manifest check": "project",
    "romfs-manifest fetch": "project --index INDEX --cache file",
    "romfs-manifest mirror": "new project --index INDEX --cache file",
    "romfs-flash": "--folder folder --full --port PORT",
    "romfs-flash --verify": "app.romfs --port PORT",
    "romfs-flash --read": "new --port PORT",
    "romfs-flash --erase": "--port PORT",
}
"""What does something and reports it."""
LISTINGS = {
    "romfs-image info": "app.romfs",
    "romfs-image tree": "app.romfs",
    "romfs-image cat": "app.romfs app.py",
    "romfs-image run": "app.romfs -c print(1)",
    "romfs-image map": "app.romfs",
    "romfs-image diff": "app.romfs app.romfs",
    "romfs-image scan": "app.romfs",
    "romfs-image import-openmv": "openmv.json",
    "romfs-image settings": "",
    "romfs-manifest outdated": "project --index INDEX",
    "romfs-manifest tree": "project",
    "romfs-manifest show": "manifest.py",
    "romfs-flash --query": "--port PORT",
    "romfs-flash --list-ports": "",
    "romfs-flash --summary": "report.jsonl",
    "romfs-flash --dry-run": "app.romfs --port PORT",
}
"""What answers a question, on standard output."""
OPENMV = '{"0": {"size": "0x1800000", "entries": [{"type": "tflite", "path": "a.tflite"}]}}'
ENDLESS = {"romfs-flash --watch", "romfs-flash --watch-ports", "romfs-flash --serve", "romfs-flash --monitor"}
"""What shows the output of a board, or the name of its port, until it is interrupted."""


@pytest.fixture(scope="module")
def board():
    with SimulatedBoard(SimOptions(size=64 << 10)) as board:
        yield board


@pytest.fixture
def run(tmp_path, monkeypatch, capfd, index, board):
    """Return what runs a command of a table in a folder with everything that they need."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    make_project(
        tmp_path,
        {"folder/main.py": "x = 1\n", "app/app.py": "x = 1\n", "manifest.py": "", "file": "", "report.jsonl": ""},
    )
    build("app", "app.romfs", overrides={"mpy": False})
    table = 'dependencies = ["a"]\n'
    make_project(tmp_path, {"project/pyproject.toml": f'[project]\nname = "p"\n[tool.romfs]\n{table}'})
    (tmp_path / "openmv.json").write_text(OPENMV)
    (tmp_path / "manifest.py").write_text('module("app.py", base_path="app")\n')
    index.add("a")
    assert command._status(manifest.command, ["lock", "project", "--index", index.url]) == 0
    index.add("a", "2.0")

    def run_it(name: str, arguments: str, *more: str) -> tuple[int, str, str]:
        program, *verb = name.split()
        words = [*verb, *arguments.replace("INDEX", index.url).replace("PORT", board.port).split(), *more]
        if board.port in words and "--erase" not in words:
            assert command._status(flash.command, ["app.romfs", "-q", "--port", board.port]) == 0
        capfd.readouterr()
        status = command._status(RUN[program], words)
        shutil.rmtree("new") if (tmp_path / "new").is_dir() else (tmp_path / "new").unlink(missing_ok=True)
        out, err = capfd.readouterr()
        return status, re.sub("[0-9,]+ bytes of memory free", "", out), err

    return run_it


@pytest.mark.parametrize("name", REPORTS)
def test_reports_and_warnings_are_hidden(name, run):
    status, out, err = run(name, REPORTS[name])
    assert out + err
    assert status == 0
    assert run(name, REPORTS[name], "-q") == (0, "", "")


@pytest.mark.parametrize("name", LISTINGS)
def test_what_was_asked_for_is_shown(name, run):
    status, out, _ = run(name, LISTINGS[name])
    assert (status, bool(out)) == (0, True)
    expected = "" if name == "romfs-flash --list-ports" else out  # which says that there are none
    assert run(name, LISTINGS[name], "-q") == (0, expected, "")


@pytest.mark.parametrize("name", REPORTS)
def test_a_document_is_shown(name, run):
    _, out, _ = run(name, REPORTS[name], "--json", "-q")
    assert out.startswith("{\n")
    assert out.endswith("}\n")


def test_errors_are_shown(run):
    message = "error: cannot read nowhere: No such file or directory\n"
    assert run("romfs-image info", "nowhere", "-q") == (2, "", message)


def test_a_command_does_not_inherit_it(run):
    assert run("romfs-image verify", "app.romfs", "-q")[1] == ""
    assert run("romfs-image verify", "app.romfs")[1].startswith("app.romfs: valid")


@pytest.mark.parametrize("program", PARSERS)
def test_no_command_is_missing_here(program):
    parser = PARSERS[program]()
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    found = {f"{program} {name}" for group in groups for name in group.choices}
    exclusive = [action for group in parser._mutually_exclusive_groups for action in group._group_actions]
    found |= {f"{program} {action.option_strings[0]}" for action in exclusive}
    assert found <= {*REPORTS, *LISTINGS, *ENDLESS}
