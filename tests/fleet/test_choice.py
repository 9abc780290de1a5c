"""Which boards are meant: filters, ports that lead to the same board, and a bench where boards come and go."""

import pytest

from hatch_romfs import SettingsError
from hatch_romfs.board.ports import Port
from hatch_romfs.fleet.bench import UNPLUGGED, Bench
from hatch_romfs.fleet.choice import (
    is_expected,
    machine_matches,
    parse_filters,
    port_matches,
    repeated_boards,
    second_ports,
)
from hatch_romfs.fleet.messages import Found

PICO = Port("/dev/ttyACM0", "Board in FS mode", "E6614C", usb=True, usb_id="2e8a:0005")
OTHER = Port("/dev/ttyACM1", "", "0042", usb=True, usb_id="37c5:1206")
ANONYMOUS = Port("/dev/ttyUSB0", "", None, usb=True, usb_id="10c4:ea60")


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ([], ["/dev/ttyACM0", "/dev/ttyACM1", "/dev/ttyUSB0"]),
        (["2E8A:0005"], ["/dev/ttyACM0"]),
        (["id:E66"], ["/dev/ttyACM0"]),
        (["id:0042", "37c5:1206"], ["/dev/ttyACM1"]),
        (["id:0042", "2e8a:0005"], []),
        (["Pico"], ["/dev/ttyACM0", "/dev/ttyACM1", "/dev/ttyUSB0"]),  # only the board itself knows
    ],
)
def test_a_port_must_match_every_filter(texts, names):
    filters = parse_filters(texts)
    assert [port.name for port in (PICO, OTHER, ANONYMOUS) if port_matches(port, filters)] == names


def test_a_machine_matches_by_a_part_of_its_name():
    machines = parse_filters(["PICO", "rp2040"]).machines
    assert machine_matches("Raspberry Pi Pico with RP2040", machines)
    assert not machine_matches("Raspberry Pi Pico 2 with RP2350", machines)


@pytest.mark.parametrize("text", ["", " ", "id:", "id: "])
def test_an_empty_filter_is_an_error(text):
    with pytest.raises(SettingsError, match=f"--filter '{text}' is empty"):
        parse_filters([text])


@pytest.mark.parametrize("text", ["2e8a:5", "0x2e8a:0x0005", "02E8A:0005"])
def test_usb_ids_with_missing_digits_are_an_error_and_no_name(text):
    with pytest.raises(SettingsError, match=f"--filter {text}: VID:PID are four hexadecimal digits each"):
        parse_filters([text])


def test_two_ports_of_one_board_are_recognized():
    boards = [Found(f"/dev/ttyACM{number}", "E6", unique_id, "", "") for number, unique_id in enumerate("aabb")]
    assert repeated_boards(enumerate(boards)) == {1: 0, 3: 2}
    unknown = [Found("COM1", None, None, "", ""), Found("COM2", None, None, "", "")]
    assert repeated_boards(enumerate(unknown)) == {}


def test_a_silent_port_beside_one_of_the_same_board_is_that_board():
    adapter = Port("COM9", "", "0001", usb=True, usb_id="10c4:ea60", adapter="Silicon Labs")
    ports = [PICO, PICO, OTHER, OTHER, ANONYMOUS, ANONYMOUS, adapter, adapter]
    assert second_ports(ports, {1, 6}) == {0: 1, 3: 2}
    assert second_ports(ports, {0, 1, 2, 3}) == {}


def test_a_silent_port_counts_as_a_board_if_its_vendor_makes_boards_or_a_filter_names_it():
    modem = Port("/dev/ttyACM2", "", "IMEI", usb=True, usb_id="12d1:1506")
    ports = [PICO, OTHER, ANONYMOUS, modem, Port("/dev/ttyS0")]
    assert [is_expected(port, parse_filters([])) for port in ports] == [True, True, False, False, False]
    assert [is_expected(port, parse_filters(["Pico"])) for port in ports] == [True, True, False, False, False]
    assert is_expected(ANONYMOUS, parse_filters(["10c4:ea60"]))
    assert is_expected(modem, parse_filters(["id:IM"]))


def test_a_bench_leaves_boards_alone_that_were_there():
    bench = Bench([PICO], 0.0)
    assert bench.update([PICO], 1.0) == []
    assert bench.update([PICO, OTHER], 2.0) == [OTHER]
    assert bench.update([PICO, OTHER], 3.0) == []


def test_a_board_that_is_gone_for_a_moment_was_reset_and_not_unplugged():
    bench = Bench([PICO], 0.0)
    assert bench.update([], 1.0) == []
    assert bench.update([PICO], UNPLUGGED) == []
    assert bench.update([], UNPLUGGED + 1) == []
    assert bench.update([PICO], 2 * UNPLUGGED + 1) == [PICO]


def test_another_board_at_the_same_port_is_new_at_once():
    bench = Bench([PICO], 0.0)
    other = Port(PICO.name, "", "9999", usb=True)
    assert bench.update([other], 0.3) == [other]
    bench = Bench([ANONYMOUS], 0.0)  # without serial numbers, nobody can tell
    assert bench.update([ANONYMOUS], 0.3) == []


def test_a_board_that_is_being_written_may_be_gone_for_long():
    bench = Bench([], 0.0)
    assert bench.update([PICO], 1.0) == [PICO]
    assert bench.update([], 20.0, busy=["E6614C"]) == []
    assert bench.update([PICO], 22.0) == []
