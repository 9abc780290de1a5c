"""The sensors, their last readings, and whether those are good for plants."""

from ringbuffer import RingBuffer

from greenhouse.sensors import sensor


class Monitor:
    """Samples all channels, and stores the last values of each in the units of the calibration table."""

    def __init__(self, channels, calibration, kept):
        if calibration.channels != len(channels):
            raise ValueError("the calibration table is for {} channels".format(calibration.channels))
        self._calibration = calibration
        self._channels = [(channel, sensor(channel), RingBuffer(kept)) for channel in channels]
        self.samples = 0

    def sample(self):
        """Read every sensor once."""
        for row, (_, source, history) in enumerate(self._channels):
            history.append(self._calibration.value(row, source.read()))
        self.samples += 1

    def readings(self):
        """Return one dictionary for each channel, ready to display; there must be at least one sample."""
        return [_reading(channel, history) for channel, _, history in self._channels]


def _reading(channel, history):
    def shown(steps):
        return ("%.1f" if channel.steps > 1 else "%.0f") % (steps / channel.steps)

    latest = history.latest()
    state = "ok"
    if latest < channel.low * channel.steps:
        state = "low"
    elif latest > channel.high * channel.steps:
        state = "high"
    return {
        "name": channel.name,
        "unit": channel.unit,
        "now": shown(latest),
        "least": shown(min(history)),
        "most": shown(max(history)),
        "state": state,
    }
