"""A backend for mpflash, which loads it by its entry point: ``.romfs`` files are written into a board's partition 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpflash.flash.base import FlashBackend
from mpflash.flash.context import FlashResult

if TYPE_CHECKING:
    from mpflash.flash.context import FlashContext


class RomfsBackend(FlashBackend):
    """Writes ROMFS images to boards that run MicroPython; no other backend takes files with this suffix."""

    name = "romfs"
    supported_formats = (".romfs",)

    def flash(self, ctx: FlashContext) -> FlashResult:
        """Write the image; with ``erase``, every block of it, also those that are right already."""
        from hatch_romfs.board.flash import flash  # noqa: PLC0415 - mpflash loads this module to list backends
        from hatch_romfs.errors import RomfsError  # noqa: PLC0415

        try:
            done = flash(ctx.fw_file, ctx.mcu.serialport, full=ctx.erase)
        except RomfsError as error:
            return FlashResult(success=False, backend=self.name, message=str(error))
        message = f"{done.size:,} bytes verified in partition {done.partition.number}"
        return FlashResult(success=True, mcu=ctx.mcu, backend=self.name, message=message)
