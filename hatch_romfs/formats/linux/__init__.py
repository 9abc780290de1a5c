"""The romfs format of the Linux kernel, version ``-rom1fs-``."""
