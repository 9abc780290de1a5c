"""Plans, carried out step by step on a model of flash, with the power cut at every unit that is written."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hatch_romfs.board.plan import ERASE_AT_ONCE, Block, Geometry, Plan, Step, digests, make_plan, spans
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.writer import image_chunks
from tests.board.boards import declared, is_sound
from tests.trees import tree

ERASED = 0xFF


def image_of(data: bytes) -> bytes:
    return b"".join(image_chunks(lay_out(tree({"f": data} if data else {}))))


def hashed(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Flash:
    """A partition under flash rules: erasing sets whole blocks, and a unit is written once, or wherever it lies."""

    geometry: Geometry
    held: bytearray

    def blocks(self, size: int) -> list[Block]:
        """What a board says of its blocks, as far as an image of ``size`` bytes reaches."""
        block = self.geometry.block
        return [
            Block(hashed(self.held[at : at + part]), set(self.held[at : at + block]) <= {ERASED})
            for at, part in spans(size, block)
        ]

    def plan(self, image: bytes, *, full: bool = False) -> Plan:
        wanted = digests(memoryview(image), self.geometry.block)
        return make_plan(len(image), wanted, self.blocks(len(image)), self.geometry, full=full)

    def carry_out(self, plan: Plan, image: bytes) -> Iterator[Step]:
        """Do the steps; each thing that is yielded is a moment at which the power may be cut."""
        for step in plan.steps:
            end = step.offset + step.length
            if step.action == "verify":
                assert self.held[step.offset : end] == image[step.offset : end]
            elif step.action in ("write", "commit"):
                yield from self.write(step, image[step.offset : end])
            elif self.geometry.erasing == "nothing":
                assert step.action == "invalidate"
                yield from self.write(step, bytes([ERASED]) * step.length)
            else:
                yield from self.erase(step)

    def erase(self, step: Step) -> Iterator[Step]:
        """Erase blocks, the first one first; where not all is erased, only whole ones can be."""
        block = self.geometry.block
        assert step.offset % block == 0
        assert step.length % block == 0 or self.geometry.erasing == "all"
        assert step.offset == 0 or self.geometry.erasing == "blocks"
        for at in range(step.offset, step.offset + step.length, block):
            assert at + block <= len(self.held)
            self.held[at : at + block] = bytes([ERASED]) * block
            yield step

    def write(self, step: Step, data: bytes) -> Iterator[Step]:
        unit = self.geometry.unit
        assert step.offset % unit == 0
        for start in range(0, len(data), unit):
            at = step.offset + start
            if self.geometry.erasing != "nothing":
                assert set(self.held[at : at + unit]) == {ERASED}, f"{step} writes over what is not erased"
            self.held[at : at + unit] = data[start : start + unit].ljust(unit, bytes([ERASED]))
            yield step


def assert_not_broken(held: bytearray, *images: bytes) -> None:
    """Hold that there is no valid header, or an image whole."""
    if declared(bytes(held)) is not None:
        assert any(held.startswith(image) for image in images)
        assert is_sound(bytes(held))


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    unit = draw(st.sampled_from([4, 8, 16, 64, 256]))
    block = unit * draw(st.sampled_from([1, 2, 4, 16]))
    size = block * draw(st.integers(1, 24))
    return Geometry(size, block, unit, draw(st.sampled_from(["blocks", "all", "nothing"])))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Flash, bytes, bytes]:
    """A partition, the image that it holds before (or nothing of the kind), and the one to write."""
    geometry = draw(geometries())

    def images() -> bytes:
        fitting = geometry.size - 16
        size = draw(st.one_of(st.integers(0, max(0, fitting)), st.just(max(0, fitting))))
        return image_of(hashlib.shake_128(bytes([draw(st.integers(0, 3))])).digest(size))[: geometry.size]

    new = images()
    if len(new) % 2 or not is_sound(new):  # there is no room for any but the empty one
        new = image_of(b"")
    old = draw(st.sampled_from(["erased", "other", "same", "changed", "left over", "junk"]))
    held = bytearray([ERASED]) * geometry.size
    before = b""
    if old in ("other", "same", "changed"):
        before = new if old != "other" else images()
        if old == "changed":
            at = draw(st.integers(0, len(new) - 1))
            before = new[:at] + bytes([new[at] ^ 1]) + new[at + 1 :]
        held[: len(before)] = before
        if not is_sound(before):
            before = b""
            held[0] ^= 1 if declared(bytes(held)) is not None else 0
    elif old == "left over":  # the new one, but for its header
        held[: len(new)] = bytes([ERASED]) * geometry.unit + new[geometry.unit :]
        del held[geometry.size :]
    elif old == "junk":
        held[:] = hashlib.shake_128(b"junk").digest(geometry.size)
    return Flash(geometry, held), before, new


@settings(max_examples=400, deadline=None)
@given(cases(), st.booleans())
def test_no_cut_leaves_a_valid_header_over_wrong_bytes(case, full):
    flash, old, image = case
    before = bytes(flash.held)
    there = flash.blocks(len(image))
    plan = flash.plan(image, full=full)
    for _ in flash.carry_out(plan, image):
        assert_not_broken(flash.held, old, image)
    assert flash.held.startswith(image)
    check_economy(flash, plan, image, before, there, full=full)


def check_economy(flash: Flash, plan: Plan, image: bytes, before: bytes, there: list[Block], *, full: bool) -> None:
    """Hold that nothing is touched needlessly, and what the plan says of itself."""
    geometry, wanted = flash.geometry, digests(memoryview(image), flash.geometry.block)
    beyond = -(-len(image) // geometry.block) * geometry.block
    if geometry.erasing == "nothing":
        beyond = -(-len(image) // geometry.unit) * geometry.unit
    assert flash.held[beyond:] == before[beyond:]
    differing = [n for n, want in enumerate(wanted) if full or there[n].digest != want]
    if not differing:
        assert plan == Plan((Step("verify", 0, len(image)),), kept=len(wanted))
        assert plan.writes == 0
        return
    touched = touched_blocks(plan, geometry.block)
    if geometry.erasing != "all" or plan.steps[0].action != "invalidate":
        assert touched == {0, *differing}
    assert plan.kept == len(wanted) - len(touched)
    written = [step for step in plan.steps if step.action in ("write", "commit")]
    assert plan.writes == sum(step.length for step in written)
    assert written[-1] == Step("commit", 0, min(geometry.unit, len(image)))
    assert all(step.action == "write" and step.offset >= geometry.unit for step in written[:-1])
    assert [step.action for step in plan.steps].count("invalidate") == (plan.steps[0].action == "invalidate")
    assert plan.steps[-1] == Step("verify", 0, len(image))


def touched_blocks(plan: Plan, block: int) -> set[int]:
    return {
        number
        for step in plan.steps
        if step.action != "verify"
        for number in range(step.offset // block, -(-(step.offset + step.length) // block))
    }


@settings(max_examples=150, deadline=None)
@given(cases(), st.data())
def test_after_any_cut_the_same_command_completes(case, data):
    flash, old, image = case
    moments = sum(1 for _ in Flash(flash.geometry, flash.held[:]).carry_out(flash.plan(image), image))
    cut = data.draw(st.integers(0, moments))
    steps = flash.carry_out(flash.plan(image), image)
    for _ in range(cut):
        next(steps)
    right = {n for n, block in enumerate(flash.blocks(len(image))) if block.digest == digests_of(image, flash)[n]}
    again = flash.plan(image)
    for _ in flash.carry_out(again, image):
        assert_not_broken(flash.held, old, image)
    assert flash.held.startswith(image)
    if flash.geometry.erasing != "all":
        assert not touched_blocks(again, flash.geometry.block) & (right - {0})


def digests_of(image: bytes, flash: Flash) -> list[str]:
    return digests(memoryview(image), flash.geometry.block)


WHOLE = Geometry(64, 16, 4, "all")


def test_a_whole_partition_is_resumed_while_what_is_missing_is_blank():
    image = image_of(bytes(range(1, 49)))
    flash = Flash(WHOLE, bytearray(b"\xff" * 16) + bytearray(image[16:32]) + bytearray(b"\xff" * 32))
    assert flash.plan(image).steps == (
        Step("write", 32, len(image) - 32),
        Step("write", 4, 12),
        Step("verify", 4, len(image) - 4),
        Step("commit", 0, 4),
        Step("verify", 0, len(image)),
    )


@pytest.mark.parametrize("spoilt", [0, 15, 40, 63])
def test_a_whole_partition_starts_over_where_a_missing_block_is_not_blank(spoilt):
    """Also behind the image's last byte: a unit is written there that would not be erased."""
    image = image_of(bytes(range(1, 45)))
    assert 48 < len(image) < 60
    held = bytearray(b"\xff" * 64)
    held[16:32] = image[16:32]
    held[spoilt] = 0
    plan = Flash(WHOLE, held).plan(image)
    assert plan.steps[0] == Step("invalidate", 0, len(image))
    assert plan.kept == 0


@given(
    st.sampled_from([256, 4096, 24 << 10, 64 << 10, 128 << 10]),
    st.lists(st.booleans(), min_size=1, max_size=300),
    st.integers(1, 256),
)
@example(block=4096, right=[False] * 100, tail=4096)
def test_no_erase_is_long(block, right, tail):
    """At most 64 KiB at once, or one block; what follows one another is written at once."""
    size = block * (len(right) - 1) + min(tail, block)
    there = [Block("right" if good else "wrong", blank=False) for good in right]
    geometry = Geometry(block * 300, block, 4, "blocks")
    plan = make_plan(size, ["right"] * len(right), there, geometry)
    erased = [step for step in plan.steps if step.action in ("erase", "invalidate")]
    assert all(step.length <= max(block, ERASE_AT_ONCE) for step in erased)
    assert ERASE_AT_ONCE == 64 << 10
    if all(right):
        assert not erased
        return
    assert erased[0] == Step("invalidate", 0, block)
    spread = [n for step in erased for n in range(step.offset // block, (step.offset + step.length) // block)]
    assert spread == sorted({0, *(n for n, good in enumerate(right) if not good)})
    longest = max(1, ERASE_AT_ONCE // block)
    assert len(erased) <= 1 + sum(-(-run // longest) for run in runs(right))
    for step in erased[1:]:  # each is written right after it was erased
        assert plan.steps[plan.steps.index(step) + 1] == Step(
            "write", step.offset, min(step.length, size - step.offset)
        )


def runs(right: list[bool]) -> list[int]:
    """Return how many wrong blocks, but the first, follow one another."""
    found = [0]
    for good in right[1:]:
        found = [*found, 0] if good else [*found[:-1], found[-1] + 1]
    return found


def test_steps_read_well():
    plan = Flash(Geometry(64, 16, 4, "blocks"), bytearray(b"U" * 64)).plan(image_of(bytes(20)))
    assert list(map(str, plan.steps)) == [
        "invalidate 0x00000000        16 bytes",
        "erase      0x00000010        16 bytes",
        "write      0x00000010        14 bytes",
        "write      0x00000004        12 bytes",
        "verify     0x00000004        26 bytes",
        "commit     0x00000000         4 bytes",
        "verify     0x00000000        30 bytes",
    ]


def test_digests_are_those_of_the_image_s_part_of_each_block():
    image = memoryview(bytes(range(10)))
    assert spans(10, 4) == [(0, 4), (4, 4), (8, 2)]
    assert digests(image, 4) == [hashed(image[0:4]), hashed(image[4:8]), hashed(image[8:10])]
    assert digests(image, 4, lambda data: bytes(data).hex()) == ["00010203", "04050607", "0809"]
