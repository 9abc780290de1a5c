"""Firmware files that carry a ROMFS partition: what is in them, and the same files with images in their partitions.

Everything here is pure, except for ``files``, which reads firmware from disk.
"""
