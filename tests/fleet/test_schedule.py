"""Which boards start when: how many at once, canaries first, and no more after too many failures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_romfs.fleet.schedule import Limits, Tally, may_start


@pytest.mark.parametrize(
    ("tally", "limits", "count"),
    [
        (Tally(0, 0, 0), Limits(4), 4),
        (Tally(4, 4, 0), Limits(4), 0),
        (Tally(6, 3, 2), Limits(4), 1),
        # canaries
        (Tally(0, 0, 0), Limits(4, canary=2), 2),
        (Tally(0, 0, 0), Limits(1, canary=2), 1),
        (Tally(1, 0, 0), Limits(1, canary=2), 1),
        (Tally(1, 0, 1), Limits(1, canary=2), 0),  # no other canary after one has failed
        (Tally(2, 1, 0), Limits(4, canary=2), 0),
        (Tally(2, 0, 1), Limits(4, canary=2), 0),
        (Tally(2, 0, 0), Limits(4, canary=2), 4),
        (Tally(3, 1, 0), Limits(4, canary=2), 3),
        (Tally(5, 1, 2), Limits(4, canary=2), 3),
        # failures
        (Tally(4, 2, 1), Limits(4, stop_after=2), 2),
        (Tally(4, 2, 2), Limits(4, stop_after=2), 0),
    ],
)
def test_how_many_boards_may_start(tally, limits, count):
    assert may_start(tally, limits) == count


@given(
    st.integers(1, 8),
    st.integers(0, 5),
    st.integers(0, 4),
    st.lists(st.booleans(), max_size=30),
    st.randoms(use_true_random=False),
)
def test_a_schedule_always_ends_within_its_limits(jobs, canary, stop_after, boards, random):
    limits = Limits(jobs, canary, stop_after)
    started, failed = 0, 0
    running: list[int] = []
    while True:
        free = may_start(Tally(started, len(running), failed), limits)
        for number in range(started, min(len(boards), started + free)):
            canaries_succeeded = all(boards[:canary]) and not set(running) & set(range(canary))
            assert number < canary or canaries_succeeded
            running.append(number)
            started += 1
        assert len(running) <= jobs
        if not running:
            break
        failed += not boards[running.pop(random.randrange(len(running)))]
    if not failed:
        assert started == len(boards)
    if stop_after:
        assert failed < stop_after + jobs
