"""The calibration table, read in place from the image: no copy, no heap.

The file is little-endian, as boards are: a header of 8 bytes, then for each channel a row of signed 16-bit
values, the channel's curve at evenly spaced counts. `tools/make_calibration.py` makes it.
"""

import uctypes

from greenhouse.sensors import FULL_SCALE

HEADER_SIZE = 8
HEADER = {"magic": 0 | uctypes.UINT32, "channels": 4 | uctypes.UINT16, "points": 6 | uctypes.UINT16}
MAGIC = 0x4C414347  # "GCAL"


class Calibration:
    """The curves of all channels; raises ValueError if the file is not such a table.

    A file that is not in a ROMFS image has no place in memory: TypeError.
    """

    def __init__(self, path):
        self._path = path
        with open(path, "rb") as file:
            self._view = memoryview(file)  # a file in a ROMFS image is memory: this is its place, not a copy
        self.size = len(self._view)
        self.address = uctypes.addressof(self._view)
        if self.size < HEADER_SIZE:
            raise ValueError("{} is too short for a calibration table".format(path))
        header = uctypes.struct(self.address, HEADER, uctypes.NATIVE)
        self.channels = header.channels
        self._points = header.points
        count = self.channels * self._points
        if header.magic != MAGIC or self._points < 2 or self.size != HEADER_SIZE + 2 * count:
            raise ValueError("{} is not a calibration table".format(path))
        # NATIVE reads each value with one load, which needs the alignment that pyproject.toml asks for.
        layout = {"values": (0 | uctypes.ARRAY, count | uctypes.INT16)}
        self._values = uctypes.struct(self.address + HEADER_SIZE, layout, uctypes.NATIVE).values

    def value(self, channel, count):
        """Convert a raw count to the unit of the channel, by interpolation between two points of its curve."""
        step = FULL_SCALE // (self._points - 1)
        at = channel * self._points + count // step
        left = self._values[at]
        return left + (self._values[at + 1] - left) * (count % step) // step

    def is_in_place(self):
        """Return whether the table is read in place: two copies could not have the same address."""
        with open(self._path, "rb") as file:
            return uctypes.addressof(file) == self.address

    def is_aligned(self, boundary):
        """Return whether the table is aligned to a number of bytes."""
        return self.address % boundary == 0
