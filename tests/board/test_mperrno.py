"""MicroPython's error numbers, as the real one has them."""

import json

import pytest

from hatch_romfs.board import mperrno
from tests import judges


def test_the_names_are_those_of_the_real_micropython():
    there = json.loads(judges.micropython("import errno, json\nprint(json.dumps(errno.errorcode))"))
    assert there
    for number, name in there.items():
        assert mperrno.NAMES[int(number)] == name.removeprefix("MP_")


def test_the_constants_are_in_the_table():
    constants = {name: value for name, value in vars(mperrno).items() if isinstance(value, int)}
    assert constants
    for name, value in constants.items():
        assert mperrno.NAMES[value] == name


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (-5, "EIO (-5)"),
        (22, "EINVAL (22)"),
        (-110, "ETIMEDOUT (-110)"),
        (-200, "unknown error (-200)"),
        (0, "unknown error (0)"),
    ],
)
def test_a_number_is_described_by_its_name(number, text):
    assert mperrno.describe(number) == text
