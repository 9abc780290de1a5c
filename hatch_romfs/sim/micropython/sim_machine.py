"""The module ``machine`` of a simulated board: timers that only are remembered, a watchdog that resets the board.

MicroPython runs this.
"""

import time

_REPEAT = 10  # milliseconds in which a watchdog need not be told again that it was fed


class Machine:
    """What is the same for all of the module: its way to the world outside the board, and how to see ROM mounts."""

    def __init__(self, open_control, rom_mounts, unique_id):
        self.open_control, self.rom_mounts, self.unique_id = open_control, rom_mounts, unique_id
        self.control = None
        self.timers = []

    def tell(self, text):
        """Ask the machine around MicroPython for something that a program cannot do."""
        self.control = self.control or self.open_control()
        self.control.write(text + "\n")

    def check_timers(self):
        """Hang, as hardware does, where flash changes under code that a timer still runs; only a reset helps then."""
        if any(timer.runs_from_rom for timer in self.timers):
            self.hang()

    def reset(self):
        """Reset the board."""
        self.tell("reset")
        self.hang()

    def hang(self):
        """Do nothing until the board is reset; no interrupt ends it."""
        while True:
            try:  # noqa: SIM105 - there is no contextlib
                time.sleep(60)
            except KeyboardInterrupt:
                pass

    def soft_reset(self):
        """Reset MicroPython."""
        raise SystemExit

    def make(self):
        """Return the classes and functions of the module."""
        machine = self

        class Timer:
            """A timer: nothing is called, but while it runs its code is in use."""

            ONE_SHOT, PERIODIC = 0, 1

            def __init__(self, _number=-1, **options):
                self.runs_from_rom = False
                if options:
                    self.init(**options)

            def init(self, callback=None, **_options):
                self.deinit()
                self.runs_from_rom = callback is not None and machine.is_from_rom(callback)
                machine.timers.append(self)

            def deinit(self):
                if self in machine.timers:
                    machine.timers.remove(self)

        class WDT:
            """A watchdog, which nothing stops."""

            def __init__(self, _number=0, timeout=5000, **_options):
                self.timeout = timeout
                self.start()

            def start(self):
                self.fed = time.ticks_ms()
                machine.tell(str(self.timeout))

            def feed(self):
                if time.ticks_diff(time.ticks_ms(), self.fed) >= _REPEAT:
                    self.start()

        return {
            "Timer": Timer,
            "WDT": WDT,
            "reset": self.reset,
            "soft_reset": self.soft_reset,
            "unique_id": lambda: self.unique_id,
        }

    def is_from_rom(self, function):
        """Tell whether a function is of a module on a ROM filesystem, or sees one."""
        names = getattr(function, "__globals__", {})
        mounts = tuple(path + "/" for path in self.rom_mounts())
        files = [names.get("__file__")]
        for value in names.values():
            files.append(getattr(value, "__file__", None))
            files.append(getattr(value, "__globals__", {}).get("__file__"))
        return any(file and any(file.startswith(mount) for mount in mounts) for file in files)
