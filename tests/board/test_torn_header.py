"""Power that fails inside an operation on the header's unit or block, byte by byte: MicroPython's own driver judges."""

import random
from dataclasses import replace

import pytest

from hatch_romfs import flash
from hatch_romfs.errors import LinkError
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import declared, held, image_bytes, put, vfsrom_mounts
from tests.board.faulty import Faults, FaultyBoard, Kill

SIZE = 16 << 10
OLD, NEW = image_bytes(9000, 1), image_bytes(7006, 2)
PLAIN = {
    "rp2": SimOptions(port="rp2", size=SIZE),
    "esp32": SimOptions(port="esp32", size=SIZE),
    "stm32, external": SimOptions(port="stm32", unit=4, size=SIZE),
    "alif, external": SimOptions(port="alif", unit=4, size=SIZE),
    "esp8266": SimOptions(port="esp8266", size=SIZE),
    "alif, MRAM": SimOptions(port="alif", size=SIZE),
}
"""Flash that takes a second write."""
INTERNAL = SimOptions(port="stm32", unit=16, real_unit=32, size=SIZE)
"""Flash with error correction, which does not."""


def states(options, folder):
    """Flash NEW over OLD and return what the partition holds before and after each operation, with its place."""
    found = [OLD.ljust(SIZE, b"\xff")]
    places = []
    for step in range(1, 100):
        file = put(folder / "rom.bin", found[0])
        with FaultyBoard(replace(options, file=file), Faults(kill=Kill(step))) as board:
            try:
                flash(put(folder / "new", NEW), board.port, reset=False)
            except LinkError:
                found.append(held(board))
                places.append(board.operations[step - 1])
                continue
            assert held(board).startswith(NEW)
            return list(zip(places, found, found[1:], strict=False))
    raise AssertionError("the work does not end")


def tears(before, after, place, whole):
    """Yield what an operation leaves that is cut off: from either end at each byte, random words, random bits."""
    start, end = place.offset, min(place.offset + place.length, whole)
    for at in range(start, end + 1):
        yield before[:start] + after[start:at] + before[at:]
        yield before[:at] + after[at:end] + before[end:]
    for seed in range(60):
        chance = random.Random(seed)
        words, bits = bytearray(before), bytearray(before)
        for at in range(start, end, 4):
            if chance.random() < 0.5:
                words[at : at + 4] = after[at : at + 4]
        for at in range(start, end):
            mask = chance.getrandbits(8)
            bits[at] = before[at] & ~mask | after[at] & mask
        yield bytes(words[:SIZE])
        yield bytes(bits)


def torn_states(options, folder):
    """Return every state that a cut inside an operation on the header's unit can leave."""
    found: dict[bytes, str] = {}
    for place, before, after in states(options, folder):
        if place.offset == 0:
            found |= dict.fromkeys(tears(before, after, place, 512), place.kind)
    return found


@pytest.mark.parametrize("name", PLAIN)
def test_a_cut_at_any_byte_leaves_the_old_image_or_none_or_the_new_one(name, tmp_path):
    found = list(torn_states(PLAIN[name], tmp_path))
    assert len(found) > 60
    whole = [one.startswith((OLD, NEW)) for one in found]
    assert vfsrom_mounts(found, tmp_path) == whole
    for one in random.Random(1).sample(found, 6):
        file = put(tmp_path / "rom.bin", one)
        with SimulatedBoard(replace(PLAIN[name], file=file)) as board:
            assert flash(put(tmp_path / "new", NEW), board.port).mounted
            assert board.violations == ()


def test_with_error_correction_only_the_erase_and_the_write_of_the_header_can_leave_something_else(tmp_path):
    """docs/flashing.md says so: nothing else is left to do where flash takes no second write."""
    found = torn_states(INTERNAL, tmp_path)
    broken = [kind for one, kind in found.items() if declared(one) is not None and not one.startswith((OLD, NEW))]
    assert set(broken) == {"erase", "write"}
    for one in [one for one in found if declared(one) is not None and not one.startswith((OLD, NEW))][::60]:
        file = put(tmp_path / "rom.bin", one)
        with SimulatedBoard(SimOptions(port="stm32", unit=16, real_unit=32, size=SIZE, file=file)) as board:
            assert flash(put(tmp_path / "new", NEW), board.port).mounted
