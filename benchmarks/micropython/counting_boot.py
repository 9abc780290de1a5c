"""The board's side of ``benchmarks/counted.py``: MicroPython runs this in place of sim_boot.py.

FILE.counts gets a line for each erase and each SHA-256, with the number of bytes.
"""

import sim_boot
import sim_flash


def note(config, kind, size):
    with sim_boot.host.open(config["file"] + ".counts", "a") as lines:
        lines.write("%s %d\n" % (kind, size))


class CountingFlash(sim_flash.Flash):
    """Flash that notes what is erased."""

    def erase(self, offset, length):
        note(self.config, "erase", length)
        return super().erase(offset, length)


def start(config):
    """Make this MicroPython the board of ``config``."""

    class CountingHash:
        """A SHA-256 that notes how many bytes it has seen."""

        def __init__(self, data=b""):
            self.own, self.size = sha256(data), len(data)

        def update(self, data):
            self.size += len(data)
            self.own.update(data)

        def digest(self):
            note(config, "sha256", self.size)
            return self.own.digest()

    sim_boot.make_board(config, CountingFlash)
    sha256 = __import__("hashlib").sha256
    sim_boot.replace("hashlib", "sha256", CountingHash)
    sim_boot.finish(config)
