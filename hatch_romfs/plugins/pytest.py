"""The fixture ``romfs_board``: tests of an app run on a board that has the image of the project.

The board is simulated unless ``--romfs-port`` names one. Everything but pytest is imported when a test asks for it.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_romfs.board.probe import Board
    from hatch_romfs.board.session import Session

# Every run of pytest loads this file.
# ruff: noqa: PLC0415


class RomfsBoard:
    """A board that holds the image, right after a reset; ``image`` is the image file, ``board`` what the board is."""

    def __init__(self, session: Session, image: Path) -> None:
        self.image = image
        self._session = session

    @property
    def board(self) -> Board:
        """What the board is: its machine, its firmware, and its partitions."""
        return self._session.board

    def run(self, code: str, timeout: float = 10.0) -> str:
        """Run code on the board and return what it printed.

        Raises RomfsError with the board's traceback if the code raises, and LinkError if it does not end in
        ``timeout`` seconds.
        """
        from hatch_romfs.errors import LinkError

        try:
            return self._session.repl.run(code, timeout).replace("\r\n", "\n")
        except LinkError:
            with suppress(LinkError):
                self._session.repl.enter()  # interrupt the code, so that the next call has a prompt
            raise

    def reset(self) -> None:
        """Restart MicroPython, without ``boot.py`` and ``main.py``: nothing is imported then, and the image mounted."""
        self._session.restart()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin."""
    group = parser.getgroup("hatch-romfs")
    group.addoption(
        "--romfs-port",
        default="sim:",
        metavar="PORT",
        help="the board for romfs_board: a port, id:SERIAL, or sim: for a simulated board, which is the default",
    )
    parser.addini(
        "romfs_source",
        "the project of romfs_board, relative to the file of these settings",
        default=".",
    )
    parser.addini("romfs_image", "which image of a project that has several", default="")


@pytest.fixture(scope="session")
def _romfs_session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RomfsBoard]:
    """Build the image and write it once for all tests."""
    from hatch_romfs.board.flash import flash_on
    from hatch_romfs.board.session import PortOptions, session
    from hatch_romfs.builder.api import build
    from hatch_romfs.errors import RomfsError
    from hatch_romfs.formats import open_image

    config = request.config
    # Not the root folder of pytest: after "--romfs-port /dev/ttyACM0", without "=", it takes /dev for that.
    folder = config.inipath.parent if config.inipath else config.invocation_params.dir
    source = folder / config.getini("romfs_source")
    out = tmp_path_factory.mktemp("romfs") / "image.romfs"
    problem = ""
    with ExitStack() as stack:
        try:
            built = build(source, out, image=config.getini("romfs_image"))
            found = stack.enter_context(session(PortOptions(config.getoption("--romfs-port"))))
            with open_image(built.path) as image:
                flash_on(found, image, partition=built.partition)
        except RomfsError as error:
            problem = str(error)
        if problem:
            pytest.fail(f"romfs_board: {problem}", pytrace=False)
        yield RomfsBoard(found, built.path)


@pytest.fixture
def romfs_board(_romfs_session: RomfsBoard) -> RomfsBoard:
    """Return a board that holds the image of the project, right after a reset."""
    _romfs_session.reset()
    return _romfs_session
