"""The source of raw counts: a pin of the board, or a simulation with the same counts on every run."""

FULL_SCALE = 4096
"""Counts are those of a 12-bit converter: 0 to 4095."""


class Pin:
    """A sensor on an analog pin."""

    def __init__(self, pin):
        from machine import ADC  # here, since the unix port has none and simulates

        self._adc = ADC(pin)

    def read(self):
        """Return the count."""
        return self._adc.read_u16() >> 4


class Simulated:
    """A sensor that rises and falls between ``middle - swing`` and ``middle + swing``, with a little noise."""

    PERIOD = 24

    def __init__(self, middle, swing):
        self._middle = middle
        self._swing = swing
        self._at = 0
        self._noise = middle  # a seed, so that channels do not tremble alike

    def read(self):
        """Return the next count."""
        half = self.PERIOD // 2
        height = abs(self._at % self.PERIOD - half)  # a triangle: half .. 0 .. half
        self._at += 1
        self._noise = (self._noise * 75 + 74) % 65537  # a small Lehmer generator, which fits small integers
        count = self._middle - self._swing + 2 * self._swing * height // half + self._noise % 9 - 4
        return min(max(count, 0), FULL_SCALE - 1)


def sensor(channel):
    """Return the sensor of a configured channel."""
    return Simulated(*channel.simulated) if channel.pin is None else Pin(channel.pin)
