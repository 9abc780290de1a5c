"""Boards of tests answer at once, and the command is run without a process of its own."""

import itertools

import pytest

from hatch_romfs.board import flashed, link, repl
from hatch_romfs.cli import command
from hatch_romfs.cli import flash as cli
from tests.board.boards import Ran, image_bytes, put


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Shorten the silence after which an interrupted program counts as over: every session waits for it."""
    monkeypatch.setattr(repl, "QUIET", 0.02)
    monkeypatch.setattr(link, "SLICE", 0.01)


_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _no_known_images(monkeypatch):
    """Let no test know what another one has flashed."""
    monkeypatch.setattr(flashed, "FOLDER", f"flashed-{next(_numbers)}")


@pytest.fixture
def romfs_flash(capsys):
    """Return what runs ``romfs-flash``."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        status = command._status(cli.command, [str(one) for one in arguments])
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def image(tmp_path):
    """Return an image file of 14,000 bytes."""
    return put(tmp_path / "app.romfs", image_bytes(14_000))
