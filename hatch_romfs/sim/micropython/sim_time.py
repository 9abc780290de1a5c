"""The time that a board's hardware takes, on a machine that is faster: MicroPython runs this."""

import time

_LEAST = 1000


class Clock:
    """Spends microseconds by sleeping; those that are too few for a sleep add up.

    ``tell`` is called with "busy" and "idle": what comes over the line meanwhile is not read by anybody.
    """

    def __init__(self, tell):
        self.owed = 0
        self.tell = tell

    def spend(self, microseconds):
        """Sleep. An interrupt meanwhile is raised afterwards: an erase or a hash is C code, which none stops."""
        self.owed += microseconds
        if self.owed < _LEAST:
            return
        end = time.ticks_add(time.ticks_us(), int(self.owed))
        interrupt = None
        self.tell("busy")
        while True:
            try:
                while time.ticks_diff(end, time.ticks_us()) > 0:
                    time.sleep(time.ticks_diff(end, time.ticks_us()) / 1e6)
                break
            except KeyboardInterrupt as error:
                interrupt = error
        self.tell("idle")
        self.owed = time.ticks_diff(end, time.ticks_us())  # what was slept too long is saved next time
        if interrupt:
            raise interrupt


class Hash:
    """A hash whose updates take ``duration`` microseconds per KiB."""

    def __init__(self, own, clock, duration):
        self.own, self.clock, self.duration = own, clock, duration

    def update(self, data):
        self.own.update(data)
        self.clock.spend(len(data) * self.duration / 1024)

    def digest(self):
        return self.own.digest()


def make_slow(clock, durations, replace):
    """Let what a board computes in C take its time; ``replace(module, name, value)`` changes modules."""
    import binascii
    import gc
    import hashlib

    collect, sha256, crc32 = gc.collect, hashlib.sha256, binascii.crc32

    def slow_collect():
        result = collect()
        clock.spend(durations["gc"])
        return result

    def slow_sha256(data=b""):
        hashing = Hash(sha256(), clock, durations["hash"])
        hashing.update(data)
        return hashing

    def slow_crc32(data, *start):
        result = crc32(data, *start)
        clock.spend(len(data) * durations["hash"] / 1024 / 8)  # CRC-32 takes about an eighth of SHA-256's time
        return result

    if durations["gc"]:
        replace("gc", "collect", slow_collect)
    if durations["hash"]:
        replace("hashlib", "sha256", slow_sha256)
        replace("binascii", "crc32", slow_crc32)
