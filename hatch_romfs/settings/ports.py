"""How firmware of each port of MicroPython gets a ROMFS partition, and what to do with firmware that has none.

Read off MicroPython, August 2026: ports/*/mpconfigport.h, ports/rp2/CMakeLists.txt, the Makefiles of mimxrt and samd,
ports/esp32/partitions-4MiB-romfs.csv, ports/nrf/boards/*.ld, ports/renesas-ra/boards/*/*.ld, ports/stm32/flash.c.
"""

from __future__ import annotations

from typing import Final

ROMFS_SETTINGS: Final = {
    "rp2": "build it with -DMICROPY_HW_ROMFS_BYTES=524288, or another multiple of 4096",
    "esp32": "build it with MICROPY_VFS_ROM=1 and a partition table that has romfs, such as partitions-4MiB-romfs.csv",
    "esp8266": "build ESP8266_GENERIC with BOARD_VARIANT=FLASH_2M_ROMFS",
    "stm32": "set MICROPY_HW_ROMFS_ENABLE_INTERNAL_FLASH=1 (or _EXTERNAL_QSPI, _EXTERNAL_XSPI) and"
    " MICROPY_HW_ROMFS_ENABLE_PART0=1 in mpconfigboard.h, and the place of the partition",
    "mimxrt": "set MICROPY_HW_ROMFS_BYTES in mpconfigboard.mk to more than 0",
    "samd": "set MICROPY_HW_ROMFS_BYTES in mpconfigboard.mk to more than 0",
    "nrf": "set _micropy_hw_romfs_part0_size in the linker script to more than 0",
    "renesas-ra": "add the region FLASH_ROMFS to the linker script",
    "alif": "set MICROPY_HW_ROMFS_ENABLE_PART0=1 in mpconfigboard.h, and the place of the partition in board.ld.S",
}
"""What a build of the firmware needs."""
WITHOUT_ROMFS: Final = "romfs-flash PROJECT --to-filesystem needs no ROMFS"
"""What works with any firmware."""

_PLATFORMS: Final = {"pyboard": "stm32"}
_NAMES: Final = {"RP2040": "rp2", "RP2350": "rp2", "PICO": "rp2", "ESP32": "esp32", "ESP8266": "esp8266"}


def port_of_platform(platform: str) -> str | None:
    """Return the port whose firmware has this ``sys.platform``, None if it is not known how it gets a partition."""
    port = _PLATFORMS.get(platform, platform)
    return port if port in ROMFS_SETTINGS else None


def port_of_board(name: str) -> str | None:
    """Return the port of a board whose usual firmware has no ROMFS partition, None for other names."""
    return next((port for part, port in _NAMES.items() if part in name.upper()), None)
