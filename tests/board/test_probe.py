"""What boards say of themselves is data: bounded, never run, and never the cause of a traceback."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hatch_romfs import BoardError, LinkError, flash
from hatch_romfs.board import link as link_module
from hatch_romfs.board.channel import Channel, _frame_size
from hatch_romfs.board.flash import erase
from hatch_romfs.board.frame import check_sum
from hatch_romfs.board.hashes import algorithm
from hatch_romfs.board.plan import Geometry
from hatch_romfs.board.probe import ANSWER, CODE, PARTITIONS, Board, probe
from hatch_romfs.board.reading import query, read, verify
from hatch_romfs.board.repl import RawRepl
from hatch_romfs.board.session import PortOptions, session
from hatch_romfs.board.writer import Writer
from hatch_romfs.cli.boards import document
from hatch_romfs.errors import VerifyError
from hatch_romfs.formats.micropython.records import MAGIC
from hatch_romfs.sim.board import SimOptions, SimulatedBoard
from tests.board.boards import ERASED, SIZE, held, image_bytes, options, put, signed_again, touched
from tests.board.faulty import Faults, FaultyBoard

LIES = """\
import vfs
if not hasattr(vfs, 'own'): vfs.own = vfs.rom_ioctl
class Device:
 def __init__(self, count, block, data=b''):
  self.count, self.block, self.data = count, block, data
 def ioctl(self, op, _):
  return self.count if op == 4 else self.block
 def readblocks(self, block, buffer, offset=0):
  {reading}
  buffer[:len(self.data)] = self.data
def rom_ioctl(op, *args):
 {lie}
 return vfs.own(op, *args)
vfs.rom_ioctl = rom_ioctl
"""


def lies(lie: str, reading: str = "pass") -> str:
    """Return code that makes the real MicroPython's ``rom_ioctl`` begin with ``lie``."""
    return LIES.format(lie=lie, reading=reading)


def query_of(lie: str, family: str = "stm32") -> Board:
    """Return what is understood of a board that lies."""
    with SimulatedBoard(options(family)) as board, session(PortOptions(board.port)) as found:
        found.repl.run(lies(lie))
        return probe(found.repl)


@pytest.fixture
def lying_board(monkeypatch):
    """Return what makes a board that lies from its start, and in each session, whether or not its boot.py got far."""

    def make(family: str, lie: str, reading: str = "pass") -> FaultyBoard:
        code = lies(lie, reading)

        def probe_later(repl: RawRepl, **asked: bool) -> Board:
            repl.run(code)
            return probe(repl, **asked)

        monkeypatch.setattr("hatch_romfs.board.session.probe", probe_later)
        return FaultyBoard(options(family), Faults(boot=code))

    return make


# How many partitions


@pytest.mark.parametrize(("count", "number"), [("-22", 0), ("None", 0), ("'two'", 0), ("10**6", PARTITIONS)])
def test_a_strange_number_of_partitions(count, number):
    partitions = query_of(f"if op == 1: return {count}").partitions
    assert len(partitions) == number
    if number:
        assert partitions[0].problem == ""
        assert {one.access for one in partitions[1:]} == {"unusable"}


@pytest.mark.parametrize("count", ["2**62", "10**5000"])
def test_a_number_of_partitions_that_is_too_large(count):
    with pytest.raises(LinkError, match="cannot be understood: [0-9]{19,50} is too large a number"):
        query_of(f"if op == 1: return {count}")


# What a partition is


@pytest.mark.parametrize(
    ("lie", "problem"),
    [
        ("if op == 2: return -22", "the board answers ValueError(-22,)"),
        ("if op == 2: return None", "the board answers ValueError(None,)"),
        ("if op == 2: raise OSError(5)", "the board answers OSError(5,)"),
        ("if op == 2: raise OSError('\\x1b[2J\\n')", "the board answers OSError('\\x1b[2J\\n',)"),
        ("if op == 2: return memoryview(b'')", "it is empty"),
        ("if op == 2: return Device(2**62, 4096)", "is too large a number"),
        ("if op == 2: return Device(10**5000, 4096)", "is too large a number"),
        ("if op == 2: return Device(-22, 4096)", "it is empty"),
        ("if op == 2: return Device(0, 4096)", "it is empty"),
        ("if op == 2: return Device(16, -22)", "the board answers "),
        ("if op == 2: return Device(16, None)", "the board answers TypeError("),
        ("if op == 2: return Device(4, 2**29)", "it has 2147483648 bytes in blocks of 536870912"),
        ("if op == 3: return 8192", "it is written in units of 8192 bytes"),
        ("if op == 3: return 2**62", "4611686018427387904 is too large a number"),
        ("if op == 3: return 10**5000", "is too large a number"),
        ("if op == 6: return 2**62", "4611686018427387904 is too large a number"),
        ("if op == 6: return 10**5000", "is too large a number"),
    ],
)
def test_a_partition_that_cannot_be_believed_is_unusable(lie, problem):
    (partition,) = query_of(lie).partitions
    assert partition.access == "unusable"
    assert problem in partition.problem
    assert partition.geometry.size == 0


@pytest.mark.parametrize("lie", ["if op == 3: return -22", "if op == 3: return None", "if op == 3: raise OSError(5)"])
def test_a_partition_without_a_unit_is_read_only(lie):
    (partition,) = query_of(lie).partitions
    assert (partition.access, partition.problem) == ("read-only", "")


@pytest.mark.parametrize("block", ["-22", "None", "0", "2**29", "4097"])
def test_a_block_that_cannot_be_means_to_erase_everything(block, lying_board, tmp_path):
    """Among them a block larger than the partition, and one that does not divide it."""
    image = put(tmp_path / "image", image_bytes(14_000))
    with lying_board("stm32", f"if op == 6: return {block}") as board:
        done = flash(image, board.port)
        assert done.partition.geometry.erasing == "all"
        assert done.partition.geometry.block == 4096
        assert held(board).startswith(image.read_bytes())
        assert board.violations == ()


# One of several


@pytest.mark.parametrize("family", ["rp2", "stm32"])
@pytest.mark.parametrize("kind", ["einval", "none", "raises", "empty"])
def test_an_unusable_partition_does_not_disable_the_other(kind, family, tmp_path, romfs_flash):
    image = put(tmp_path / "image", image_bytes(14_000))
    with SimulatedBoard(SimOptions(port=family, size=SIZE, partitions=2, unusable=((1, kind),))) as board:
        assert flash(image, board.port).mounted
        for act in (
            lambda: flash(image, board.port, partition=1),
            lambda: verify(image, board.port, partition=1),
            lambda: read(board.port, partition=1, whole=True),
            lambda: erase(board.port, partition=1),
        ):
            with pytest.raises(BoardError, match=f"partition 1 of Simulated board with {family} cannot be used: "):
                act()
        assert romfs_flash("--query", "--files", "--port", board.port).status == 0
        lines = romfs_flash("--query", "--port", board.port).out.splitlines()[2:]
        assert lines[0].startswith("partition 0: 65,536 bytes")
        assert lines[1].startswith("partition 1: cannot be used: ")
        one, other = romfs_flash("--query", "--json", "--port", board.port).document["partitions"]
        assert (one["problem"], one["access"] != "unusable", other["access"]) == ("", True, "unusable")
        assert lines[1].endswith(other["problem"])
        assert held(board).startswith(image.read_bytes())
        assert held(board, 1) == ERASED * SIZE


# Flash that is not as stated


@pytest.mark.parametrize(
    ("block", "real_block", "size"),
    [(128 << 10, 4096, 64 << 10), (64 << 10, 4096, 96 << 10), (128 << 10, 0, 256 << 10)],
)
@pytest.mark.parametrize("units", [(4, 4), (16, 32), (4, 128)])
def test_flash_that_differs_from_its_stated_geometry(units, block, real_block, size, tmp_path):
    """An image is written, edited and verified where the block exceeds the partition, or does not divide it."""
    unit, real_unit = units
    old, new = image_bytes(30_000, 1), image_bytes(30_000, 2)
    shape = SimOptions(port="stm32", size=size, block=block, real_block=real_block, unit=unit, real_unit=real_unit)
    with SimulatedBoard(shape) as board:
        for data in (old, signed_again(old, 20_000, b"edited"), new, image_bytes(size, 3), old):
            done = flash(put(tmp_path / "image", data), board.port)
            assert held(board).startswith(data)
            assert done.mounted
            verify(tmp_path / "image", board.port)
        erase(board.port)
        assert held(board) == ERASED * size
        assert board.violations == ()


def test_a_partition_that_is_no_multiple_of_its_unit_takes_what_fits_into_whole_units(tmp_path):
    with SimulatedBoard(SimOptions(port="stm32", size=12_300, block=12_300, unit=4)) as board:
        flash(put(tmp_path / "image", image_bytes(12_288)), board.port)
        before = held(board)
        with pytest.raises(BoardError, match="2 more than partition 0 holds \\(12,288\\)"):
            flash(put(tmp_path / "large", image_bytes(12_290)), board.port)
        assert held(board) == before
        assert board.violations == ()


# What a board is


def test_a_name_with_newlines_and_escapes_is_one_printable_line(romfs_flash):
    name = "Evil\x1b[2J\nhas sha256\nparts 9\npart 0 size 7\nfree 1\n"
    with SimulatedBoard(SimOptions(machine=name, size=SIZE)) as board:
        found = query(board.port)
        assert (found.machine, len(found.partitions), found.partitions[0].geometry.size) == (
            name.replace("\n", " "),
            1,
            SIZE,
        )
        for more in ((), ("--json",), ("-v",)):
            ran = romfs_flash("--query", *more, "--port", board.port)
            assert ran.status == 0
            assert "\x1b" not in ran.out + ran.err
        assert romfs_flash("--query", "--port", board.port).out.startswith("Evil\\x1b[2J has sha256 parts 9 ")


class Repl:
    """A raw REPL that gives one answer to everything."""

    link = type("Link", (), {"name": "/dev/board"})

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def run_again(self, _code: str, *, most: int) -> str:
        assert len(self.answer.encode()) <= most == ANSWER
        return self.answer


def asked(answer: str) -> Board | None:
    """Return what an answer, signed again, makes of a board, usable by all that looks at one; None for a failure."""
    lines = [line for line in answer.split("\n") if line and not line.startswith("sum ")]
    try:
        total = check_sum("".join(lines).encode())
        board = probe(Repl("\n".join([*lines, f"sum {total}", ""])))
    except LinkError as error:
        if len(error.message) > 1500:
            raise AssertionError("the whole answer is in a message") from error
        return None
    assert document(board, ())
    assert _frame_size(board)
    assert algorithm(board)
    assert board.arch is None or board.mpy_version
    return board


@pytest.fixture(scope="module")
def answers():
    """Return what real boards answer."""
    found = []
    for family in ("rp2", "stm32", "esp8266", "alif", "qemu"):
        with SimulatedBoard(SimOptions(port=family, size=SIZE)) as board, session(PortOptions(board.port)) as opened:
            found.append(opened.repl.run(CODE))
    return found


def test_each_missing_line_is_a_clean_failure_or_an_unusable_partition(answers):
    for answer in answers:
        lines = answer.splitlines()
        assert asked(answer).partitions[0].problem == ""
        for at, line in enumerate(lines):
            board = asked("\n".join(lines[:at] + lines[at + 1 :]))
            if line.split()[0] in ("machine", "version", "platform", "mpy", "free"):
                assert board is None, line
            elif re.match("part 0 head .", line):
                continue  # one of several pieces
            elif re.match("part 0 (size|block|unit) ", line):
                assert board.partitions[0].access == "unusable"
                assert board.partitions[0].problem == f"the board does not tell its '{line.split()[2]}'"
            else:
                assert board is not None


GARBAGE = [
    *("-22", "None", "0", "-1", str(1 << 62), str(1 << 32), "9" * 5000, "1e9", "0x10", "²", "", " ", "nan", "True"),
    *("__import__('os').abort()", "[" * 5000, "\x1b[2J", "a\nb", "\x00", "\ufffd", str((1 << 32) + 1), "1 << 20"),
]


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 4), st.data())
def test_no_answer_is_run_or_believed_without_bounds(answers, which, data):
    lines = answers[which].splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        words = lines[at].split(" ")
        word = data.draw(st.integers(0, len(words) - 1))
        words[word] = data.draw(st.one_of(st.sampled_from(GARBAGE), st.text(max_size=20)))
        lines[at] = " ".join(words)
    board = asked("\n".join(lines)[: ANSWER // 4])
    for partition in (board and board.partitions) or ():
        geometry = partition.geometry
        assert 0 <= geometry.size <= 1 << 32
        assert 0 < geometry.unit <= 4096
        assert geometry.block <= 1 << 20


@given(st.text(max_size=500))
@example("")
@example("[" * 5000)
@example("has\npart\nparts")
def test_any_text_is_no_board(answer):
    assert asked(answer) is None


def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr("hatch_romfs.board.probe.IDENTIFYING_CODE", "while True: print('machine', 'x' * 100)")
    with SimulatedBoard(options("rp2")) as board, pytest.raises(LinkError, match="sends without end") as caught:
        query(board.port)
    assert len(str(caught.value)) < 1500


# Waiting


HUGE = (MAGIC + b"\x8f\xff\xff\xff\x70").ljust(16, b"\0")
"""The head of an image of nearly 4 GiB."""


@pytest.mark.parametrize("whole", [False, True])
def test_reading_a_silent_board_waits_for_one_piece(whole, lying_board, monkeypatch):
    """Whatever size it states: no wait is for more than a piece, and the second failure in a row is the last."""
    waits = []
    read_until = link_module.Link.read_until

    def noted(self, ending, timeout, **more):
        waits.append(timeout)
        return read_until(self, ending, min(timeout, 1.0), **more)

    lie = f"if op == 2: return Device(2**20, 4096, {HUGE!r})"
    with lying_board("rp2", lie, "while len(buffer) != 512: pass") as board:
        (partition,) = query(board.port).partitions
        assert partition.geometry.size == 1 << 32
        assert partition.image_size > 4_000_000_000
        monkeypatch.setattr(link_module.Link, "read_until", noted)
        with pytest.raises(LinkError):
            read(board.port, whole=whole)
        assert max(waits) < 30
        assert sum(wait for wait in waits if wait > 5) < 200
        assert touched(board) == set()


@pytest.mark.parametrize("erasing", ["blocks", "all", "nothing"])
def test_erasing_a_huge_partition_allocates_and_awaits_nothing_of_its_size(erasing, monkeypatch):
    """The first piece that still holds something ends it."""
    monkeypatch.setattr(Channel, "erase", lambda *_: None)
    monkeypatch.setattr(Channel, "write", lambda *_, **__: None)
    asked_for = []

    def digest(_channel: Channel, _at: int, size: int) -> str:
        asked_for.append(size)
        return "something"

    monkeypatch.setattr(Channel, "digest", digest)
    with SimulatedBoard(options("rp2")) as board, session(PortOptions(board.port)) as found:
        geometry = Geometry(1 << 32, 4096, 32, erasing)
        writer = Writer(Channel(found.repl, found.board), memoryview(b""), geometry, bytes.hex, lambda *_: None)
        with pytest.raises(VerifyError, match="block 0 at 0x0 still holds something"):
            writer.clear()
    assert sum(asked_for) <= 64 << 10


@pytest.mark.parametrize(("size", "most"), [(4096, 11), (1 << 32, 620)])
def test_an_erase_is_awaited_for_ten_minutes_at_most(size, most, monkeypatch):
    waits = []

    def run(_repl: RawRepl, _code: str, timeout: float, **_: int) -> str:
        waits.append(timeout)
        return "="

    with SimulatedBoard(options("rp2")) as board, session(PortOptions(board.port)) as found:
        monkeypatch.setattr(RawRepl, "run", run)
        Channel(found.repl, found.board).erase(0, size)
    assert 10 < waits[-1] < most


# The number that no other board has


def test_a_board_is_asked_for_its_unique_id_only_on_demand(tmp_path):
    with SimulatedBoard(options("rp2", tmp_path / "rom.bin")) as board:
        assert len(query(board.port).unique_id) == 16
        assert query(board.port).unique_id == query(board.port).unique_id
        with session(PortOptions(board.port)) as found:
            assert found.board.unique_id is None


@pytest.mark.parametrize("answer", ["b''", "bytes(65)", "'ab'", "None", "1/0", "bytes(8)", "b'\\xff' * 8"])
def test_a_unique_id_that_makes_no_sense_is_none(answer):
    with SimulatedBoard(options("rp2")) as board, session(PortOptions(board.port)) as found:
        found.repl.run(f"import machine\nmachine.unique_id = lambda: {answer}")
        assert probe(found.repl, identify=True).unique_id is None


def test_firmware_without_a_unique_id_is_no_failure():
    with SimulatedBoard(options("rp2")) as board, session(PortOptions(board.port)) as found:
        found.repl.run("import sys, machine\nsys.modules['machine'] = object()")
        assert probe(found.repl, identify=True).unique_id is None
