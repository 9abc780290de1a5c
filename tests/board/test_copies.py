"""What a new image has in common with an old one: every copy is right, and nothing that moved is missed."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_romfs.board.copies import PATIENCE, SHORTEST, Copy, find_copies, recipe
from tests.board.flash_model import put_together

luck = random.Random(1)
PARTS = [luck.randbytes(luck.choice([1, 20, 33, 64, 500, 3000])) for _ in range(12)] + [bytes(300), b"\xff" * 40]


def joined(numbers: list[int]) -> bytes:
    return b"".join(PARTS[number] for number in numbers)


images = st.lists(st.integers(0, len(PARTS) - 1), max_size=20).map(joined)


def copied(old: bytes, new: bytes) -> int:
    return sum(copy.size for copy in find_copies(old, new, [(0, len(new))]))


@settings(max_examples=200, deadline=None)
@given(images, images, st.lists(st.integers(0, 8000), min_size=2, max_size=6, unique=True), st.integers(1, 3000))
def test_copies_are_equal_in_order_and_within_the_ranges(old, new, bounds, size):
    ranges = [(start, end) for start, end in zip(*[iter(sorted(bounds))] * 2, strict=False) if end <= len(new)]
    copies = list(find_copies(old, new, ranges))
    for copy in copies:
        assert old[copy.source : copy.source + copy.size] == new[copy.at : copy.at + copy.size]
        assert copy.size >= SHORTEST
        assert any(start <= copy.at and copy.at + copy.size <= end for start, end in ranges)
    assert all(one.at + one.size <= two.at for one, two in zip(copies, copies[1:], strict=False))
    for at in range(0, len(new), size):
        data = new[at : at + size]
        how = recipe(copies, at, data)
        if how:
            assert put_together(how.data, lambda start, length: old[start : start + length]) == data
            assert 0 < how.copied <= len(data)
        else:
            assert not any(copy.at < at + len(data) and copy.at + copy.size > at for copy in copies)


def test_what_moved_is_found_whole_in_both_directions_and_in_another_order():
    old = luck.randbytes(20_000)
    assert copied(old, b"x" * 77 + old) == len(old)
    assert copied(old, old[5001:]) == len(old) - 5001
    assert copied(old, old[9000:] + old[:9000]) == len(old)
    assert copied(old, old[:7000] + luck.randbytes(100) + old[7000:]) == len(old)


def test_a_change_of_one_byte_costs_one_byte():
    old = luck.randbytes(10_000)
    new = old[:4321] + bytes([old[4321] ^ 1]) + old[4322:]
    assert list(find_copies(old, new, [(0, 10_000)])) == [Copy(0, 0, 4321), Copy(4322, 4322, 5678)]


def test_content_that_did_not_move_is_not_looked_for_elsewhere():
    twice = luck.randbytes(64) * 2
    assert list(find_copies(twice, twice, [(64, 128)])) == [Copy(64, 64, 64)]


def test_repeated_content_that_moved_is_one_copy():
    often = luck.randbytes(64) * 10
    assert list(find_copies(often, b"x" + often, [(0, 641)])) == [Copy(1, 0, 640)]


def test_bytes_that_are_all_the_same_are_not_copied_but_found_next_to_others():
    assert copied(luck.randbytes(5000) + bytes(5000), bytes(5000)) == 0
    assert copied(b"start" * 20 + bytes(900), b"x" + b"start" * 20 + bytes(900)) == 1000


def test_what_moved_far_behind_new_content_is_still_found():
    old = luck.randbytes(8000)
    new = luck.randbytes(9 * PATIENCE) + old
    assert copied(old, new) == len(old)


def test_a_large_image_is_divided_into_larger_pieces():
    old = luck.randbytes(5 << 20)
    assert copied(old, b"xyz" + old) == len(old)
