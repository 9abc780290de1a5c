"""A driver and a strategy for labgrid: boards of a lab are written, verified, and asked through their serial ports.

Name this module under ``imports`` in labgrid's environment file. It needs the extra ``labgrid``.
"""

from __future__ import annotations

import enum
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attr
from labgrid import step, target_factory
from labgrid.driver import Driver
from labgrid.strategy import Strategy, StrategyError, never_retry
from labgrid.util.proxy import proxymanager

from hatch_romfs.board import flash as flashing
from hatch_romfs.board import reading
from hatch_romfs.board.session import PortOptions
from hatch_romfs.builder.api import build
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_romfs.board.flash import FlashResult
    from hatch_romfs.board.probe import Board


@target_factory.reg_driver
@attr.s(eq=False)
class RomfsDriver(Driver):
    """Writes ROMFS images through a serial port of the lab, which no other driver uses at the same time.

    Args:
        image (str): what is written by default: the name of an entry of ``images`` in the environment file, which is
            the path of an image file or of a project
        image_name (str): which image of a project that has several
        partition (int): the partition; by default that of the project, or 0
    """

    bindings = {"port": {"SerialPort", "NetworkSerialPort"}}  # noqa: RUF012 - as labgrid reads it

    image: str | None = attr.ib(default=None, validator=attr.validators.optional(attr.validators.instance_of(str)))
    image_name: str = attr.ib(default="", validator=attr.validators.instance_of(str))
    partition: int | None = attr.ib(default=None, validator=attr.validators.optional(attr.validators.instance_of(int)))

    @Driver.check_active
    @step(args=["path"])
    def flash(self, path: str | None = None, **options: Any) -> FlashResult:  # noqa: ANN401 - those of flash
        """Write an image and verify it; ``path`` overrides ``image``, and ``options`` are those of hatch_romfs.flash.

        Raises RomfsError.
        """
        with self._source(path) as (image, partition):
            return flashing.flash(image, self._port(), partition=partition, **options)

    @Driver.check_active
    @step(args=["path"])
    def verify(self, path: str | None = None) -> Board:
        """Compare the partition with an image; raises VerifyError if they differ."""
        with self._source(path) as (image, partition):
            return reading.verify(image, self._port(), partition=partition)

    @Driver.check_active
    @step()
    def query(self) -> Board:
        """Return what the board is, and what its partitions contain."""
        return reading.query(self._port())

    def _port(self) -> PortOptions:
        """Return how the port is reached: by its name on this machine, or through the network and labgrid's proxies."""
        protocols = {"rfc2217": "rfc2217", "raw": "socket"}
        protocol = getattr(self.port, "protocol", None)
        if protocol is None:
            return PortOptions(self.port.port, self.port.speed)
        host, port = proxymanager.get_host_and_port(self.port)
        return PortOptions(f"{protocols[protocol]}://{host}:{port}", self.port.speed)

    @contextmanager
    def _source(self, path: str | None) -> Iterator[tuple[Path, int]]:
        """Yield an image file and the partition for it; a project is built first."""
        if path is None and self.image is None:
            raise ValueError("RomfsDriver has no image: set `image`, or name one in the call")
        source = Path(path if path is not None else self.target.env.config.get_image_path(self.image))
        if not source.is_dir():
            yield source, self.partition or 0
            return
        with TemporaryFolder() as folder:
            built = build(source, folder / "image.romfs", image=self.image_name)
            yield built.path, built.partition if self.partition is None else self.partition


class Status(enum.Enum):
    """The states of a board: not known, or with the image of its driver."""

    unknown = 0
    flashed = 1


@target_factory.reg_driver
@attr.s(eq=False)
class RomfsStrategy(Strategy):
    """Brings a board into the state ``flashed``: it has the image of its driver, verified, and runs it."""

    bindings = {"romfs": "RomfsDriver"}  # noqa: RUF012 - as labgrid reads it

    status: Status = attr.ib(default=Status.unknown)

    @never_retry
    @step(args=["status"])
    def transition(self, status: Status | str, *, step: Any) -> None:  # noqa: ANN401 - labgrid's
        """Bring the board into a state."""
        wanted = status if isinstance(status, Status) else Status[status]
        if wanted is Status.unknown:
            raise StrategyError(f"can not transition to {wanted}")
        if wanted is self.status:
            step.skip("nothing to do")
            return
        self.target.activate(self.romfs)
        self.romfs.flash()
        self.target.deactivate(self.romfs)  # so that a console can use the port
        self.status = wanted

    @never_retry
    @step(args=["status"])
    def force(self, status: Status | str) -> None:
        """Take a board for one that is in a state."""
        self.status = status if isinstance(status, Status) else Status[status]
