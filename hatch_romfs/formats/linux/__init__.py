"""The Linux kernel's romfs, version ``-rom1fs-``."""
