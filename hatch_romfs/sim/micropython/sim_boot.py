"""The board's side of the simulated board: MicroPython runs this before its prompt appears.

``board.py`` has MicroPython call ``start``; CPython never imports this file.
"""

import gc
import io
import os
import sys

import vfs
from micropython import kbd_intr
from sim_flash import Flash, RomIoctl
from sim_machine import Machine

IMPLEMENTATION = ("name", "version", "_machine", "_mpy", "_build", "_thread")
_CHUNK = 1024
_CTRL_C = 3

host = vfs.VfsPosix()
"""The files of the machine, which the board's programs do not see."""

kept = None
"""What must not be collected: the memory that this board shall not have."""


class Module:
    """A module of this board."""


class Sys:
    """The module ``sys`` of this board: MicroPython's own, which says what machine this is."""

    def __getattr__(self, name):
        return getattr(sys, name)

    def __setattr__(self, name, value):
        setattr(sys, name, value)


def start(config):
    """Make this MicroPython the board of ``config`` (see ``SimulatedBoard.config``)."""
    make_board(config, Flash)
    finish(config)


def make_board(config, flash):
    """Give it partitions that are ``flash``, modules of its own, a root folder, and what is mounted."""
    access = config["access"]
    unique_id = bytes.fromhex(config["unique_id"])
    machine = Machine(lambda: host.open(config["home"] + "/control", "w"), rom_mounts, unique_id)
    flash.open_file, flash.check_timers = host.open, machine.check_timers
    if config["durations"]:
        from sim_time import Clock, make_slow

        flash.clock = Clock(machine.tell)
        make_slow(flash.clock, config["durations"], replace)
    file = host.open(config["file"], "r+b")
    partitions = [flash(config, index, file) for index in range(config["partitions"])]
    if access != "no-romfs":
        replace("vfs", "rom_ioctl", RomIoctl(access, partitions, config["unusable"]))
    for name, value in machine.make().items():
        replace("machine", name, value)
    Sys.implementation, Sys.platform = implementation(config["machine"]), config["platform"]
    sys.modules["sys"] = Sys()
    vfs.umount("/")
    vfs.mount(vfs.VfsPosix(config["root"]), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    if partitions and 0 not in config["unusable"]:
        mount_rom(partitions[0].handle)


def replace(name, attribute, value):
    """Change an attribute of a module that is in the firmware, and cannot be changed itself."""
    if name not in sys.modules:
        own, board = __import__(name), Module()
        for known in dir(own):
            if not known.startswith("__"):
                setattr(board, known, getattr(own, known))
        sys.modules[name] = board
    setattr(sys.modules[name], attribute, value)


def rom_mounts():
    """Return where ROM filesystems are mounted."""
    return [path for fs, path in vfs.mount() if isinstance(fs, vfs.VfsRom)]


def finish(config):
    """Leave the memory that the board shall have, run its boot.py, say that it is up, and run its main.py."""
    leave(config["ram"])
    booted = run("/boot.py", config["booting"])
    sys.stdout.write(config["ready"])
    if booted and not config["raw"]:
        run("/main.py")


def run(path, announcement=""):
    """Run a program where there is one; return False where it failed."""
    try:
        with open(path) as file:  # noqa: PTH123 - there is no pathlib
            source = file.read()
    except OSError:
        return True
    try:
        kbd_intr(_CTRL_C)
        sys.stdout.write(announcement)
        exec(compile(source, path[1:], "exec"), __import__("__main__").__dict__)  # noqa: S102 - the board's own
        kbd_intr(-1)  # an interrupt from here on would end this file's own code
    except SystemExit:
        raise
    except BaseException as error:
        kbd_intr(-1)
        print_exception(error)
        return False
    return True


def print_exception(error):
    """Print a traceback as a board does, whose firmware has no frame of its own in it."""
    text = io.StringIO()
    sys.print_exception(error, text)
    lines = text.getvalue().split("\n")
    sys.stdout.write("\n".join([line for line in lines if "sim_boot.py" not in line]))


def implementation(name):
    """Return ``sys.implementation`` with the machine's name in it."""
    from collections import namedtuple

    values = [name if key == "_machine" else getattr(sys.implementation, key, None) for key in IMPLEMENTATION]
    return namedtuple("implementation", IMPLEMENTATION)(*values)  # noqa: PYI024 - what there is


def mount_rom(memory):
    """Mount what the partition holds, if that is an image, as the firmware does before boot.py."""
    try:
        vfs.mount(vfs.VfsRom(memory), "/rom")
    except OSError:
        return
    sys.path.extend(["/rom", "/rom/lib"])


def leave(ram):
    """Take all memory but ``ram`` bytes in one piece: what is free in small pieces elsewhere would not be of use."""
    global kept
    gc.collect()
    free = bytearray(ram)
    for size in (_CHUNK, 96, 0):
        try:
            while True:
                kept = (kept, bytearray(size)) if size else (kept,)
        except MemoryError:
            pass
    del free
    gc.collect()
