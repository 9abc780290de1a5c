"""Plans that copy on the board, carried out on a model of flash: never from what is overwritten, and within memory."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_romfs.board.delta import is_possible, make_copying_plan, memory_for
from hatch_romfs.board.plan import Geometry, Plan, digests
from tests.board.boards import declared
from tests.board.flash_model import ERASED, WINDOWS, Flash, cuts, image_of, is_allowed

NOR = Geometry(64 << 10, 4096, 256, "blocks", "clear")
KINDS = [("blocks", "clear"), ("blocks", "once"), ("blocks", "none"), ("nothing", "any")]
PLENTY = 1 << 20


def flash_with(image: bytes, geometry: Geometry = NOR) -> Flash:
    return Flash(geometry, bytearray(image.ljust(geometry.size, bytes([ERASED]))))


def copying_plan(flash: Flash, old: bytes, new: bytes, memory: int = PLENTY) -> Plan:
    wanted = digests(memoryview(new), flash.geometry.block)
    return make_copying_plan(old, new, wanted, flash.blocks(len(new)), flash.geometry, memory)


def carried_out(old: bytes, new: bytes, memory: int = PLENTY, geometry: Geometry = NOR) -> Plan:
    """Carry out a plan; the model checks what each step reads."""
    flash = flash_with(old, geometry)
    plan = copying_plan(flash, old, new, memory)
    for change in flash.carry_out(plan, new):
        assert declared(bytes(flash.content)) is None or change.step.action in ("clear", "invalidate")
    assert flash.content.startswith(new)
    assert flash.most_saved <= memory
    assert all(copy.at >= geometry.unit for copy in plan.copies)  # the header's unit is sent
    return plan


def shuffled(seed: int) -> tuple[bytes, bytes]:
    """Return two images with parts in common, at any place and in any order."""
    luck = random.Random(seed)
    parts = [luck.randbytes(luck.choice([10, 300, 1000, 4096, 5000, 9000])) for _ in range(8)]
    old, new = (b"".join(luck.choices(parts, k=luck.randrange(1, 7))) for _ in range(2))
    return image_of(old), image_of(luck.choice([new, old[luck.randrange(2000) :], luck.randbytes(700) + old]))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 1 << 32),
    st.sampled_from([1024, 2048, 4096, 16384]),
    st.sampled_from(KINDS),
    st.sampled_from([0, 1024, 3000, 5000, 20_000, PLENTY]),
)
def test_any_image_becomes_any_other_within_any_memory(seed, block, kind, memory):
    old, new = shuffled(seed)
    carried_out(old, new, memory, Geometry(64 << 10, block, 256, *kind))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from(KINDS))
def test_no_cut_leaves_a_valid_header_over_wrong_bytes(seed, kind):
    old, new = shuffled(seed)
    flash = flash_with(old, Geometry(64 << 10, 4096, 256, *kind))
    for change, state in cuts(flash, copying_plan(flash, old, new), new, random.Random(seed)):
        assert is_allowed(state.content, old, new) or change.step.action in WINDOWS[flash.geometry.reprogramming]


luck = random.Random(2)
DATA = luck.randbytes(40_000)
OLD = image_of(DATA)


def offsets(plan: Plan, action: str = "write") -> list[int]:
    return [step.offset for step in plan.steps if step.action == action]


def test_what_moves_towards_the_end_is_copied_from_there_and_the_other_way_round():
    tight = 10 * 1024
    longer = carried_out(OLD, image_of(luck.randbytes(100) + DATA), tight)
    assert offsets(longer) == [*range(9 * 4096, 0, -4096), 256]
    shorter = carried_out(OLD, image_of(DATA[100:]), tight)
    assert offsets(shorter) == [*range(4096, 10 * 4096, 4096), 256]
    assert min(longer.copied, shorter.copied) > len(DATA) - 500


def test_old_content_is_saved_before_the_header_goes_and_forgotten_when_nothing_needs_it():
    plan = carried_out(OLD, image_of(b"x" + DATA), 16 << 10)
    actions = [step.action for step in plan.steps]
    assert actions.index("save") < actions.index("clear") < actions.index("invalidate")
    saved, forgotten = ([step for step in plan.steps if step.action == action] for action in ("save", "forget"))
    assert {step.offset for step in saved if step.offset} == {step.offset for step in forgotten}


def test_without_memory_or_anything_in_common_everything_is_sent_as_before():
    for old, new, memory in ((OLD, image_of(b"x" + DATA), 0), (OLD, image_of(luck.randbytes(40_000)), PLENTY)):
        flash = flash_with(old)
        assert copying_plan(flash, old, new, memory) == flash.plan(new)


def test_a_gain_that_is_smaller_than_what_it_takes_is_left_out():
    old = image_of(bytes(10_000))
    new = image_of(bytes(5000) + b"x" + bytes(5000))
    flash = flash_with(old)
    assert copying_plan(flash, old, new) == flash.plan(new)


def test_where_memory_is_short_it_is_not_kept_for_the_headers_block():
    """That is saved for the whole time; the others need the same memory one after the other."""
    geometry = Geometry(64 << 10, 8192, 256, "blocks", "clear")
    plan = carried_out(OLD, image_of(luck.randbytes(100) + DATA), 8192, geometry)
    assert plan.copied > len(DATA) - 2 * 8192
    assert 0 not in offsets(plan, "save")


@pytest.mark.parametrize(
    ("block", "erasing", "possible"),
    [(4096, "blocks", True), (4096, "nothing", True), (4096, "all", False), (512, "blocks", False)],
)
def test_old_content_must_survive_an_erase_and_be_saved_in_whole_chunks(block, erasing, possible):
    assert is_possible(Geometry(1 << 20, block, 256, erasing)) is possible


def test_half_of_the_memory_and_less_is_used():
    assert [memory_for(free << 10) for free in (16, 32, 64, 512)] == [0, 0, 16 << 10, 240 << 10]
