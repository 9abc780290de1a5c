"""The program: `import greenhouse.app` runs a short demo of it, on a board or in the unix port."""

import time

from greenhouse import config
from greenhouse.calibration import Calibration
from greenhouse.monitor import Monitor
from greenhouse.web import respond

BOUNDARY = 32
"""What pyproject.toml asks for, in bytes. It is counted from the image's start, which boards have aligned by more."""


def run(monitor, cycles=3, pause_s=0):
    """Take so many samples, or go on for ever with None."""
    while cycles is None or monitor.samples < cycles:
        monitor.sample()
        time.sleep(pause_s)


def report(table):
    """Print that the table lies as the program needs it; raises RuntimeError where it does not."""
    if not table.is_in_place():
        raise RuntimeError("the calibration table is a copy: is it in a ROMFS image?")
    if not table.is_aligned(BOUNDARY):
        raise RuntimeError("the calibration table is not aligned: see tool.romfs.alignment")
    print("calibration: {} bytes, read in place, on a {}-byte boundary".format(table.size, BOUNDARY))


def main():
    """Print the report, some readings, and the page that a browser would get."""
    table = Calibration(config.CALIBRATION)
    report(table)
    monitor = Monitor(config.CHANNELS, table, config.KEPT)
    run(monitor)
    for reading in monitor.readings():
        print("{name}: {now} {unit} ({least} to {most}), {state}".format(**reading))
    status, kind, body = respond("/", monitor)
    print("GET / -> {} {}".format(status, kind))
    print(body)


main()
