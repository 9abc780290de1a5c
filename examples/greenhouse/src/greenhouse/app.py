"""The program: `import greenhouse.app` runs a short demo of it, on a board or in the unix port."""

import time

from greenhouse import config
from greenhouse.calibration import Calibration
from greenhouse.monitor import Monitor
from greenhouse.web import respond

BOUNDARY = 32
"""The alignment in pyproject.toml, in bytes, from the start of the image, which boards align to more."""


def run(monitor, cycles=3, pause_s=0):
    """Take this many samples, or run forever with None."""
    while cycles is None or monitor.samples < cycles:
        monitor.sample()
        time.sleep(pause_s)


def report(table):
    """Print where the table is; raises RuntimeError unless it is in place and aligned."""
    if not table.is_in_place():
        raise RuntimeError("the calibration table is a copy: is it in a ROMFS image?")
    if not table.is_aligned(BOUNDARY):
        raise RuntimeError("the calibration table is not aligned: see tool.romfs.alignment")
    print("calibration: {} bytes, read in place, on a {}-byte boundary".format(table.size, BOUNDARY))


def main():
    """Print a report, some readings, and the page that a browser would receive."""
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
