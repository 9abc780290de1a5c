"""What hangs in this greenhouse. It is not compiled, so that it can be read on the board."""

from collections import namedtuple

PAGE = "/rom/www/index.html"
CALIBRATION = "/rom/data/calibration.bin"

INTERVAL_S = 60
"""Seconds between samples on a board."""

KEPT = 24
"""How many samples of each channel are kept."""

Channel = namedtuple("Channel", ("name", "unit", "steps", "low", "high", "pin", "simulated"))
"""One sensor; its place in CHANNELS is its row in the calibration table.

``steps`` of the table make one ``unit``, in which ``low`` and ``high`` limit what plants like. ``pin`` is what
``machine.ADC`` takes; with None the sensor is simulated, around the middle and with the swing of ``simulated``,
in counts of a 12-bit converter.
"""

CHANNELS = (
    Channel("Air", "°C", 100, 12, 28, None, (2150, 260)),
    Channel("Soil moisture", "%", 100, 35, 80, None, (2500, 150)),
    Channel("Light", "lx", 1, 0, 20000, None, (3300, 400)),
)
