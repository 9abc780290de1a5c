# mypy: ignore-errors
"""The faults on the board's side: MicroPython runs this in place of sim_boot.py, which it is built on.

Which operation a fault meets depends on the operations before it, so all of them are in a journal, FILE.log, and are
counted again after a reset.
"""

import builtins
import io
import os
import random
import sys

import sim_boot
import sim_flash

KINDS = {"erase_error": "erase", "write_error": "write", "drop": "write", "flip": "write"}  # the others: both


MIDDLES = ("front", "back", "words", "bits")
STEP = 256


class Journal:
    """What was done to the flash since the board was plugged in, and which faults that has met."""

    def __init__(self, path, faults):
        self.path = path
        self.whens = {name: faults[name] for name in ("erase_error", "write_error", "drop", "flip", "hang", "kill")}
        self.met = {}
        with sim_boot.host.open(path, "r") as lines:
            for line in lines:
                kind, _, offset, length = line.split()
                if kind != "killed":
                    self.meet(kind, int(offset), int(length))

    def note(self, kind, index, offset, length):
        with sim_boot.host.open(self.path, "a") as lines:
            lines.write("%s %d %d %d\n" % (kind, index, offset, length))  # noqa: UP031

    def meet(self, kind, offset, length):
        """Return the faults that this operation meets."""
        met = set()
        for name, when in self.whens.items():
            if when is None or KINDS.get(name, kind) != kind:
                continue
            if when["offset"] is not None and not offset <= when["offset"] < offset + length:
                continue
            count = self.met[name] = self.met.get(name, 0) + 1
            if when["after"] < count and (when["times"] < 0 or count <= when["after"] + when["times"]):
                met.add(name)
        return met


class FaultyFlash(sim_flash.Flash):
    """Flash on which things go wrong."""

    journal = None

    def erase(self, offset, length):
        own = super().erase
        start, end = self.real_range(offset, length)
        return self.faulty("erase", start, end - start, lambda at, size: b"\xff" * size, lambda: own(offset, length))

    def write(self, offset, data):
        own, data = super().write, memoryview(data)
        return self.faulty(
            "write",
            offset,
            len(data),
            lambda at, size: self.result(at, data[at - offset : at - offset + size]),
            lambda: own(offset, data),
        )

    def faulty(self, kind, offset, length, result, operation):
        """Do an operation; ``result(at, size)`` returns what it would leave there."""
        self.journal.note(kind, self.index, offset, length)
        met = self.journal.meet(kind, offset, length)
        while "hang" in met:
            pass
        if kind + "_error" in met:
            when = self.journal.whens[kind + "_error"]
            if when["raises"]:
                raise OSError(when["errno"])
            return -when["errno"]
        kill = self.journal.whens["kill"] if "kill" in met else None
        if kill and any([kill["torn"]] + [kill[name] is not None for name in MIDDLES]):
            self.do_in_part(kill, offset, length, result)
            self.die()
        done = 0 if "drop" in met else operation()
        if "flip" in met:
            at = self.journal.whens["flip"]["offset"]
            at = offset if at is None else at
            self.put(at, bytes([self.memory[at] ^ 1]))
        self.stick(kind, offset, length)
        if kill:
            self.die()
        return done

    def stick(self, kind, offset, length):
        """Let a byte take no value but its own, whatever is written; an erase still looks right."""
        stuck = self.config["faults"]["stuck"]
        if stuck and kind == "write" and offset <= stuck["offset"] < offset + length:
            self.put(stuck["offset"], bytes([stuck["value"]]))

    def do_in_part(self, kill, offset, length, result):
        """Let part of an operation take effect, as a power cut in the middle of it leaves it."""
        front = length // 2 if kill["torn"] else kill["front"]
        if kill["words"] is not None or kill["bits"] is not None:
            random.seed(kill["bits"] if kill["words"] is None else kill["words"])
        for at in range(offset, offset + length, STEP):
            size = min(STEP, offset + length - at)
            new = bytearray(result(at, size))
            for index in range(size):
                number = at - offset + index
                if front is not None:
                    mask = 0xFF if number < front else 0
                elif kill["back"] is not None:
                    mask = 0xFF if number >= length - kill["back"] else 0
                elif kill["bits"] is not None:
                    mask = random.getrandbits(8)
                elif number % 4 == 0:
                    mask = 0xFF * random.getrandbits(1)
                new[index] = self.memory[at + index] & ~mask | new[index] & mask
            self.put(at, new)

    def die(self):
        self.journal.note("killed", 0, 0, 0)
        os.system("kill -9 $PPID")  # noqa: S605 - the shell's parent is this MicroPython
        while True:
            pass


def start(config):
    """Make this MicroPython the board of ``config``, with its faults."""
    faults = config["faults"]
    FaultyFlash.journal = Journal(config["file"] + ".log", faults)
    sim_boot.make_board(config, FaultyFlash)
    if faults["mpy"] is not None:
        own = sim_boot.Sys.implementation
        sim_boot.Sys.implementation = type(own)(
            *[faults["mpy"] if name == "_mpy" else getattr(own, name) for name in sim_boot.IMPLEMENTATION]
        )
    if faults["crlf"]:
        cook()
    hide(faults["hide"])
    sim_boot.finish(config)


class Cooked(io.IOBase):
    """Text output as a board's: lines end with CR LF."""

    def write(self, data):
        sys.stdout.buffer.write((data if isinstance(data, str) else bytes(data).decode()).replace("\n", "\r\n"))
        return len(data)

    @property
    def buffer(self):
        return sys.stdout.buffer


def cook():
    own, cooked = builtins.print, Cooked()
    builtins.print = lambda *values, file=cooked, **options: own(*values, file=file, **options)
    sim_boot.Sys.stdout = cooked


class Without:
    """A module or object with some of its names left out."""

    def __init__(self, whole, names):
        for name in dir(whole):
            if name not in names and not name.startswith("__"):
                setattr(self, name, getattr(whole, name))


def hide(names):
    """Leave out modules (``deflate``), names of modules (``hashlib.sha256``), and ``sys.stdin.buffer``."""
    modules = [name for name in names if "." not in name]
    parts = {}
    for name in names:
        module, _, attribute = name.partition(".")
        if attribute == "stdin.buffer":
            sim_boot.Sys.stdin = Without(sys.stdin, ["buffer"])
        elif attribute:
            parts.setdefault(module, []).append(attribute)
    for module, attributes in parts.items():
        sys.modules[module] = Without(__import__(module), attributes)
    own = builtins.__import__

    def found(name, *rest):
        if name in modules:
            raise ImportError("no module named '" + name + "'")
        return own(name, *rest)

    if modules:
        builtins.__import__ = found
