"""The table of boards: it fits every terminal, shows what matters most, and no name can change the terminal."""

import io

import pytest
from rich.console import Console

from hatch_romfs.cli.fleet_table import BenchTable, LiveTable, Row, choose_rows, is_cut, print_boards, render
from hatch_romfs.cli.fleet_text import wrap
from hatch_romfs.events import Progress
from hatch_romfs.fleet.messages import Alive, Finished, Found, Message
from hatch_romfs.fleet.report import to_document
from tests.fleet.support import ENTRY

VERIFIED = Finished("verified", entry=to_document(ENTRY))
FAILED = Finished("failed", 6, "block 3 at 0x3000 does not keep what is written", "Replace the board.")


def console(columns, lines=24):
    return Console(file=io.StringIO(), width=columns, height=lines, highlight=False, force_terminal=False)


def shown(table, columns, lines=24):
    screen = console(columns, lines)
    screen.print(table)
    return screen.file.getvalue().splitlines()


def rows(count):
    events = [Progress("writing", 30, 100), VERIFIED, FAILED, Message("waiting for the board: it is in use"), None]
    made = []
    for number in range(count):
        row = Row(f"/dev/ttyACM{number}")
        if event := events[number % 5]:
            row.update(Found(row.label, None, None, "Raspberry Pi Pico with RP2040", "1.29.0"))
            row.update(event)
        made.append(row)
    return made


@pytest.mark.parametrize("columns", [20, 60, 80, 160])
@pytest.mark.parametrize("count", [1, 3, 30])
def test_a_row_is_one_line_of_any_terminal(columns, count):
    table = shown(render(rows(count), columns), columns)
    assert len(table) == count
    assert all(len(line) <= columns for line in table)


def test_the_rows_say_what_happens():
    lines = shown(render(rows(5), 160), 160)
    assert lines[0].startswith("/dev/ttyACM0  Raspberry Pi Pico with RP2040  ")
    assert lines[0].rstrip().endswith(" 30 % writing")
    assert lines[1].rstrip().endswith("verified, 4 blocks written, 1.2 s")
    assert lines[2].rstrip().endswith("failed: block 3 at 0x3000 does not keep what is written")
    assert lines[3].rstrip().endswith("waiting for the board: it is in use")
    assert lines[4].rstrip().endswith("waiting")


@pytest.mark.parametrize("columns", range(60, 130, 3))
def test_a_text_that_is_cut_off_is_known(columns):
    some = rows(3)
    lines = shown(render(some, columns), columns)
    assert [is_cut(row, some, columns) for row in some[1:]] == [line.rstrip().endswith("…") for line in lines[1:]]


def test_reasons_are_broken_between_words_on_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "40")
    path = f"/dev/serial/by-id/{'x' * 40}"
    text = f"/dev/ttyACM0: failed: block 3 at 0x3000 does not keep what is written to it, see {path}"
    lines = wrap(text, Terminal())
    assert [len(line) <= 40 for line in lines] == [True, True, True, False]
    assert lines[1].startswith("  ")
    assert " ".join(line.strip() for line in lines) == text
    assert wrap(text, io.StringIO()) == [text]


def test_a_board_that_was_started_is_connecting():
    table = LiveTable(["COM1", "COM2"], console(80))
    table.on_event(0, Alive())
    lines = shown(table, 80)
    assert [line.split() for line in lines] == [
        ["COM1", "connecting"],
        ["COM2", "waiting"],
        ["1", "running,", "1", "waiting"],
    ]


def test_where_there_is_no_room_for_all_the_most_important_rows_are_shown():
    many = rows(30)
    chosen = choose_rows(many, 20)
    assert [row for row in many if row in chosen] == chosen
    states = [row.state for row in chosen]
    assert (states.count("running"), states.count("failed")) == (12, 6)
    assert choose_rows(many, 0) == []


@pytest.mark.parametrize("lines", [5, 24])
def test_the_table_is_no_higher_than_the_terminal(lines):
    screen = console(80, lines)
    table = LiveTable([f"/dev/ttyACM{number}" for number in range(30)], screen)
    table.on_event(3, FAILED)
    screen.print(table)
    found = screen.file.getvalue().splitlines()
    assert len(found) < lines
    assert found[-1] == "1 failed, 29 waiting"  # a terminal can print ^C behind it in the same line


@pytest.mark.parametrize("columns", [80, 160])
def test_the_question_shows_boards_with_their_whole_ids(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    machine = "Arduino Portenta H7 with STM32H747 and a long name that goes on and on"
    boards = [
        Found("", "E6614C311B7E6F35", None, machine, "1.29.0-preview"),
        Found("", None, "ab" * 8, "N6", "1"),
        None,
    ]
    print_boards(["/dev/ttyACM0", "/dev/ttyACM10", "/dev/ttyACM2"], boards, ())
    heading, one, other, silent = capsys.readouterr().err.splitlines()
    assert heading.split() == ["port", "firmware", "ID", "board"]
    assert "  1.29.0-preview  id:E6614C311B7E6F35  Arduino Portenta H7" in one
    assert one.rstrip().endswith(machine if columns > 120 else "…")
    assert len(one) <= columns
    assert other.split() == ["/dev/ttyACM10", "1", "ab" * 8, "N6"]
    assert silent.split() == ["/dev/ttyACM2", "does", "not", "answer"]


def test_a_hostile_name_stays_in_its_row():
    table = LiveTable(["a\x1b[2J\nb"], console(80))
    table.on_event(0, Found("", None, None, "evil\x1b]0;title\x07\r\n", "1"))
    table.on_event(0, Finished("failed", 6, "\x1b[31m[bold]markup[/bold]"))
    lines = shown(table, 160)
    assert len(lines) == 2
    assert "\x1b" not in lines[0]
    assert "[bold]markup[/bold]" in lines[0]


def test_a_bench_shows_each_result_with_a_bell():
    screen = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard", highlight=False)
    labels = ["/dev/ttyACM0"]
    table = BenchTable(labels, screen)
    table.on_event(0, Found("", None, None, "Pico", "1"))
    assert len(shown(table, 80)) == 2
    table.on_event(0, VERIFIED)
    labels.append("/dev/ttyACM0")
    table.on_event(1, FAILED)
    text = screen.file.getvalue()
    assert text.count("\a") == 2
    green, red = (line for line in text.splitlines() if "Pico" in line or "block 3" in line)
    assert "42m" in green
    assert "41m" in red
    assert shown(table, 80)[-1].strip() == "1 failed, 1 verified"


def test_a_bench_breaks_results_between_words_and_says_what_to_do():
    screen = console(40)
    table = BenchTable(["/dev/ttyACM0"], screen)
    table.on_event(0, Message("the board may not be a PICO, but it is a PICO2", is_warning=True))
    table.on_event(0, FAILED)
    lines = screen.file.getvalue().replace("\a", "").splitlines()
    assert all(len(line) <= 40 for line in lines)
    words = " ".join(line.strip() for line in lines)
    assert words == (
        "/dev/ttyACM0: the board may not be a PICO, but it is a PICO2 "
        f"/dev/ttyACM0  failed: {FAILED.reason} {FAILED.hint}"
    )
