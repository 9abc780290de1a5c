"""Plans, carried out step by step on a model of flash, with the power cut at every unit that is written."""

import hashlib
import random
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hatch_romfs.board.plan import ERASE_AT_ONCE, Block, Geometry, Plan, Step, digests, make_plan, spans
from hatch_romfs.formats.micropython.records import MAGIC
from tests.board.boards import declared, is_sound
from tests.board.flash_model import ERASED, WINDOWS, Flash, cuts, hashed, image_of, is_allowed

KINDS = [
    ("blocks", "clear"),
    ("blocks", "once"),
    ("blocks", "none"),
    ("all", "clear"),
    ("all", "none"),
    ("nothing", "any"),
]
"""What can be erased, and what a second write can do."""


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    unit = draw(st.sampled_from([4, 8, 16, 64, 256]))
    block = unit * draw(st.sampled_from([1, 2, 4, 16]))
    size = block * draw(st.integers(1, 12))
    return Geometry(size, block, unit, *draw(st.sampled_from(KINDS)))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Flash, bytes, bytes]:
    """Return a partition, the image that it holds before (or nothing of the kind), and the one to write."""
    geometry = draw(geometries())

    def images() -> bytes:
        fitting = geometry.size - 16
        size = draw(st.one_of(st.integers(0, max(0, fitting)), st.just(max(0, fitting))))
        return image_of(hashlib.shake_128(bytes([draw(st.integers(0, 3))])).digest(size))[: geometry.size]

    new = images()
    if len(new) % 2 or not is_sound(new):  # there is no room for any but the empty one
        new = image_of(b"")
    old = draw(st.sampled_from(["erased", "other", "same", "changed", "left over", "junk"]))
    content = bytearray([ERASED]) * geometry.size
    before = b""
    if old in ("other", "same", "changed"):
        before = new if old != "other" else images()
        if old == "changed":
            at = draw(st.integers(0, len(new) - 1))
            before = new[:at] + bytes([new[at] ^ 1]) + new[at + 1 :]
        content[: len(before)] = before
        if not is_sound(before):
            before = b""
            content[0] ^= 1 if declared(bytes(content)) is not None else 0
    elif old == "left over":  # the new one, but for its header
        content[: len(new)] = bytes([ERASED]) * geometry.unit + new[geometry.unit :]
        del content[geometry.size :]
    elif old == "junk":
        content[:] = hashlib.shake_128(b"junk").digest(geometry.size)
    return Flash(geometry, content), before, new


@settings(max_examples=300, deadline=None)
@given(cases(), st.booleans(), st.integers(0, 1 << 32))
def test_no_cut_leaves_a_valid_header_over_wrong_bytes(case, full, seed):
    """Nor a cut inside an erase or a write, but for those of the header itself on flash that allows no other way."""
    flash, old, image = case
    before = bytes(flash.content)
    there = flash.blocks(len(image))
    plan = flash.plan(image, full=full)
    for change, state in cuts(flash, plan, image, random.Random(seed)):
        if not is_allowed(state.content, old, image):
            assert change.step.action in WINDOWS[flash.geometry.reprogramming]
            assert bytes(state.content[: len(change.new)]) not in (change.old, change.new)
    assert flash.content.startswith(image)
    check_economy(flash, plan, image, before, there, full=full)


def check_economy(flash: Flash, plan: Plan, image: bytes, before: bytes, there: list[Block], *, full: bool) -> None:
    """Check that nothing is touched needlessly, and what the plan says of itself."""
    geometry, wanted = flash.geometry, digests(memoryview(image), flash.geometry.block)
    beyond = -(-len(image) // geometry.block) * geometry.block
    if geometry.erasing == "nothing":
        beyond = -(-len(image) // geometry.unit) * geometry.unit
    assert flash.content[beyond:] == before[beyond:]
    differing = [n for n, want in enumerate(wanted) if full or there[n].digest != want]
    if not differing:
        assert plan == Plan((Step("verify", 0, len(image)),), kept=len(wanted))
        assert plan.writes == 0
        return
    actions = [step.action for step in plan.steps]
    touched = touched_blocks(plan, geometry.block)
    if geometry.erasing != "all" or "invalidate" not in actions:
        assert touched == {0, *differing}
    assert plan.kept == len(wanted) - len(touched)
    written = [step for step in plan.steps if step.action in ("write", "commit")]
    assert plan.writes == sum(step.length for step in written)
    assert written[-1] == Step("commit", 0, min(geometry.unit, len(image)))
    assert all(step.action == "write" and step.offset >= geometry.unit for step in written[:-1])
    assert "invalidate" not in actions[2:]
    assert "clear" not in actions[1:]
    assert plan.steps[-1] == Step("verify", 0, min(geometry.block, len(image)))
    check_end(plan, image, geometry)


def check_end(plan: Plan, image: bytes, geometry: Geometry) -> None:
    """Check that everything is verified before the commit that can be, and that nothing is written in between."""
    head = min(geometry.unit, len(image))
    *_, before, verified, commit, _ = [None, None, *plan.steps]
    assert commit == Step("commit", 0, head)
    if geometry.reprogramming == "none":
        assert len(image) == head or verified == Step("verify", head, len(image) - head)
    else:
        assert (before, verified) == (Step("prepare", 0, head), Step("verify", len(MAGIC), len(image) - len(MAGIC)))


def touched_blocks(plan: Plan, block: int) -> set[int]:
    return {
        number
        for step in plan.steps
        if step.action != "verify"
        for number in range(step.offset // block, -(-(step.offset + step.length) // block))
    }


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(0, 1 << 32))
def test_after_any_cut_the_same_command_completes(case, seed):
    """And whatever cuts it in turn leaves no more than the first did."""
    flash, old, image = case
    luck = random.Random(seed)
    for change, state in cuts(flash, flash.plan(image), image, luck):
        if luck.random() > 0.1:  # of all the states a tenth
            continue
        right = {n for n, block in enumerate(state.blocks(len(image))) if block.digest == digests_of(image, flash)[n]}
        allowed = (old, image, *([] if is_allowed(state.content, old, image) else [bytes(state.content)]))
        again = state.plan(image)
        rerun = state.copy()
        for step in rerun.carry_out(again, image):
            assert is_allowed(rerun.content, *allowed), f"{step.step} after a cut in {change.step}"
        assert rerun.content.startswith(image)
        if flash.geometry.erasing != "all":
            assert not touched_blocks(again, flash.geometry.block) & (right - {0})
        for twice, left in cuts(state, again, image, luck):
            assert is_allowed(left.content, *allowed) or twice.step.action in WINDOWS[flash.geometry.reprogramming]


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
        Step("verify", 0, 16),
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
        "verify     0x00000000        16 bytes",
    ]
    plan = Flash(Geometry(64, 16, 4, "nothing", "any"), bytearray(b"U" * 64)).plan(image_of(bytes(20)))
    assert list(map(str, plan.steps)) == [
        "clear      0x00000000         3 bytes",
        "write      0x00000010        14 bytes",
        "write      0x00000004        12 bytes",
        "prepare    0x00000000         4 bytes",
        "verify     0x00000003        27 bytes",
        "commit     0x00000000         4 bytes",
        "verify     0x00000000        16 bytes",
    ]


OLD, NEW = image_of(bytes(range(200))), image_of(bytes(range(100, 250)))


@pytest.mark.parametrize(("erasing", "reprogramming"), KINDS)
@pytest.mark.parametrize("unit", [4, 16, 32, 256])
def test_how_many_cuts_inside_an_operation_leave_something_else(unit, erasing, reprogramming):
    """Counted over every front and back of every erase and write, as docs/flashing.md describes them."""
    geometry = Geometry(1024, 256, unit, erasing, reprogramming)
    flash = Flash(geometry, bytearray(OLD.ljust(1024, bytes([ERASED]))))
    found: Counter[str] = Counter()
    for change in flash.carry_out(flash.plan(NEW), NEW):
        for end in range(len(change.new)):
            for part in (change.new[:end] + change.old[end:], change.old[:end] + change.new[end:]):
                state = flash.copy()
                state.content[change.at : change.at + len(part)] = part
                if not is_allowed(state.content, OLD, NEW):
                    found[change.step.action] += 1
    # A front of the new unit mounts from the header's last byte on, and the old image while only its back is erased.
    header = 6
    left = {"invalidate": len(OLD) - header, "commit": max(0, min(unit, len(NEW)) - header)}
    assert found == {action: left[action] for action in WINDOWS[reprogramming] if left[action]}


def test_digests_are_those_of_the_image_s_part_of_each_block():
    image = memoryview(bytes(range(10)))
    assert spans(10, 4) == [(0, 4), (4, 4), (8, 2)]
    assert digests(image, 4) == [hashed(image[0:4]), hashed(image[4:8]), hashed(image[8:10])]
    assert digests(image, 4, lambda data: bytes(data).hex()) == ["00010203", "04050607", "0809"]
