"""What goes wrong on boards: success only with the right bytes, or a message that names the block and no header."""

import re
from collections import Counter
from types import SimpleNamespace

import pytest

from hatch_romfs import BoardError, LinkError, VerifyError, flash
from hatch_romfs.board import channel, probe
from hatch_romfs.board import flash as flashing
from hatch_romfs.board.answers import RefusedError
from hatch_romfs.board.flash import erase
from hatch_romfs.board.reading import read, verify
from hatch_romfs.errors import RomfsError
from hatch_romfs.sim.board import SimulatedBoard
from tests.board.boards import (
    BLOCK,
    FAMILIES,
    SIZE,
    UNITS,
    assert_never_broken,
    declared,
    held,
    image_bytes,
    options,
    put,
)
from tests.board.faulty import ALWAYS, Faults, FaultyBoard, Kill, Stuck, When

OLD, NEW = image_bytes(18_000, 1), image_bytes(14_006, 2)
KEPT = "the header that was there before cannot be removed, and the board may mount it"
BLOCKS = ("rp2", "stm32")
"""Families of which single blocks can be erased."""


@pytest.fixture
def image(tmp_path):
    return put(tmp_path / "new.romfs", NEW)


@pytest.fixture
def file(tmp_path):
    """A flash that holds an old image."""
    return put(tmp_path / "rom.bin", OLD + b"\xff" * (SIZE - len(OLD)))


def assert_got_over(board, done):
    assert held(board).startswith(NEW)
    assert done.mounted
    assert board.violations == ()


def operations(board, kind):
    """Return how often each block was erased, or written to."""
    return Counter(
        number
        for one in board.operations
        if one.kind == kind
        for number in range(one.offset // BLOCK, -(-(one.offset + one.length) // BLOCK))
    )


# Flash that fails for a while

AT = {"the header": 0, "the header's block": 300, "a block": 9000, "the last byte": len(NEW) - 1}
WRITES = {
    "fails": lambda when: Faults(write_error=when),
    "is dropped": lambda when: Faults(drop=when),
    "flips a bit": lambda when: Faults(flip=when),
}


WRONG = [("flips a bit", at) for at in AT] + [
    (how, at) for how in ("fails", "is dropped") for at in ("the header", "a block")
]


@pytest.mark.parametrize(("how", "at"), WRONG)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_write_that_goes_wrong_three_times_is_got_over(family, at, how, image, file):
    with FaultyBoard(options(family, file, ram=64 << 10), WRITES[how](When(offset=AT[at], times=3))) as board:
        done = flash(image, board.port)
        # Clearing the old header meets the fault first where flash can be programmed twice.
        tries = 2 if at == "the header" and done.partition.geometry.reprogramming == "clear" else 3
        assert done.rewritten == tries
        erased = operations(board, "erase")
        assert_got_over(board, done)
    if family in BLOCKS:
        bad = AT[at] // BLOCK
        assert erased == {0: 1, 1: 1, 2: 1, 3: 1, bad: tries + 1}


@pytest.mark.parametrize(
    ("how", "at", "family"),
    [(*case, family) for case in WRONG for family in FAMILIES if (family, case[1]) != ("alif", "the header")],
)
def test_a_write_that_always_goes_wrong_is_given_up(family, at, how, file, romfs_flash):
    new = put(file.parent / "new.romfs", NEW)
    with FaultyBoard(options(family, file, ram=64 << 10), WRITES[how](When(offset=AT[at], times=ALWAYS))) as board:
        ran = romfs_flash(new, "--port", board.port)
        written = operations(board, "write")
        assert board.violations == ()
        found = held(board)
    reason = "cannot be written: the board answers EIO (-5)" if how == "fails" else "does not keep what is written"
    number = AT[at] // BLOCK
    assert ran == (
        6,
        "",
        (
            f"error: block {number} at {number * BLOCK:#x} {reason}, 4 times over; the partition holds no image now\n"
            "Run the same command again. If it is always this block, the flash is worn out or protected.\n"
        ),
    )
    assert declared(found) is None
    # The header's block takes more writes: its old magic is cleared, its unit comes in one or two parts, and the unit
    # of writing may turn out to be larger than stated. Every part has four tries, and the removal of the header two.
    assert written[number] <= (4 * 3 + 8 if number == 0 else 4)


@pytest.mark.parametrize("family", BLOCKS)
def test_each_bad_block_is_rewritten_by_itself(family, image, file):
    faults = Faults(
        flip=When(offset=5000, times=3), drop=When(offset=9000, times=3), write_error=When(offset=13_000, times=2)
    )
    with FaultyBoard(options(family, file), faults) as board:
        done = flash(image, board.port)
        assert 6 <= done.rewritten <= 8
        assert max(operations(board, "erase").values()) == 4
        assert operations(board, "erase")[0] == 1
        assert_got_over(board, done)


@pytest.mark.parametrize("family", BLOCKS)
def test_a_commit_and_what_is_before_it_fail_in_turn(family, image, file):
    """While the header's block is written again for the header's sake, another part of it fails."""
    faults = Faults(flip=When(offset=0, times=1), drop=When(offset=300, after=1, times=1))
    with FaultyBoard(options(family, file), faults) as board:
        done = flash(image, board.port)
        assert 0 <= done.rewritten <= 2  # none where the old magic, which is cleared first, takes the wrong bit
        assert_got_over(board, done)


@pytest.mark.parametrize("how", WRITES)
def test_a_header_that_cannot_be_overwritten(how, image, file, romfs_flash):
    """Where nothing is erased, overwriting is all that there is; nothing else of the old image was touched."""
    with FaultyBoard(options("alif", file), WRITES[how](When(offset=0, times=ALWAYS))) as board:
        ran = romfs_flash(image, "--port", board.port)
        left = held(board)
    reason = "the board answers EIO (-5)" if how == "fails" else "it does not keep what is written"
    assert ran.status == 6
    # Only a magic of 0xff or zeros is known to be none: what a bad bit makes of it may be a bad answer.
    assert ran.err.startswith(f"error: block 0 at 0x0 cannot be erased: {reason}; {KEPT}\n")
    assert declared(left) is None if how == "flips a bit" else left.startswith(OLD)


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("at", [0, 9000])
@pytest.mark.parametrize("family", ["rp2", "stm32", "esp8266"])
def test_an_erase_that_fails_is_tried_again(family, at, raises, image, file):
    with FaultyBoard(options(family, file), Faults(erase_error=When(offset=at, times=3, raises=raises))) as board:
        done = flash(image, board.port)
        assert done.rewritten in (2, 3)
        assert_got_over(board, done)


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("family", ["rp2", "stm32", "esp8266"])
def test_an_erase_that_always_fails(family, raises, image, file, romfs_flash):
    answer = "OSError(5,)" if raises else "EIO (-5)"
    faults = Faults(erase_error=When(offset=9000, times=ALWAYS, errno=5, raises=raises))
    with FaultyBoard(options(family, file), faults) as board:
        ran = romfs_flash(image, "--port", board.port)
        assert operations(board, "erase")[2] <= 5  # the fifth takes the header away, where that means to erase all
        assert declared(held(board)) is None
    block = "block 0 at 0x0" if family == "esp8266" else "block 2 at 0x2000"
    assert ran.status == 6
    assert ran.err.startswith(
        f"error: {block} cannot be erased: the board answers {answer}; the partition holds no image now\n"
    )


@pytest.mark.parametrize("family", ["rp2", "stm32"])
def test_a_header_that_cannot_be_erased_is_written_over(family, image, file, romfs_flash):
    """As the last resort: nothing else of the old image was touched, and nobody counts on it."""
    with FaultyBoard(options(family, file), Faults(erase_error=When(offset=0, times=ALWAYS))) as board:
        ran = romfs_flash(image, "--port", board.port)
        assert ran.status == 6
        assert ran.err.startswith(
            "error: block 0 at 0x0 cannot be erased: the board answers EIO (-5); the partition holds no image now\n"
        )
        assert declared(held(board)) is None
        assert held(board)[BLOCK:] == file.read_bytes()[BLOCK:]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_flash_that_refuses_everything_keeps_its_image_and_that_is_said(family, image, file, romfs_flash):
    faults = Faults(erase_error=When(times=ALWAYS, offset=0), write_error=When(times=ALWAYS))
    with FaultyBoard(options(family, file), faults) as board:
        ran = romfs_flash(image, "--port", board.port)
        assert held(board).startswith(OLD)
    assert ran.status == 6
    assert ran.err.startswith(f"error: block 0 at 0x0 cannot be erased: the board answers EIO (-5); {KEPT}\n")


@pytest.mark.parametrize(
    ("at", "value"), [(0, 0x00), (1, 0x55), (4, 0x00), (300, 0x55), (9000, 0x00), (len(NEW) - 1, 0x55)]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_stuck_byte(family, at, value, image, file):
    assert NEW[at] != value
    with FaultyBoard(options(family, file), Faults(stuck=Stuck(at, value))) as board:
        with pytest.raises(VerifyError) as caught:
            flash(image, board.port)
        assert declared(held(board)) is None
    block = f"block {at // BLOCK} at {at // BLOCK * BLOCK:#x}"
    assert caught.value.status == 6
    if family == "alif" and 0 < at < UNITS["alif"]:  # already when the old magic is overwritten
        assert caught.value.message.startswith(f"{block} cannot be erased: it does not keep what is written; ")
    else:
        assert caught.value.message.startswith(f"{block} does not keep what is written, 4 times over; ")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_operation_that_takes_too_long_is_interrupted_and_tried_again(family, image, file, monkeypatch):
    monkeypatch.setattr(channel, "ANSWER", 0.3)
    with FaultyBoard(options(family, file, ram=64 << 10), Faults(hang=When(offset=9000))) as board:
        done = flash(image, board.port)
        assert done.resent == 1
        assert_got_over(board, done)


# Boards that reset


@pytest.mark.parametrize("step", [2, 4, 6])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_board_that_resets_at_a_step(family, step, image, file, tmp_path):
    with FaultyBoard(options(family, file, ram=64 << 10), Faults(kill=Kill(step, restart=True))) as board:
        with pytest.raises(LinkError) as caught:
            flash(image, board.port)
        assert re.search(
            r": the board restarted in the middle of the work, while working on block \d at 0x[0-9a-f]+$",
            str(caught.value.message),
        )
        assert_never_broken([held(board)], [OLD, NEW], tmp_path)
        assert_got_over(board, flash(image, board.port))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_board_that_resets_at_some_byte(family, image, file, tmp_path, monkeypatch):
    monkeypatch.setattr(channel, "ANSWER", 0.5)
    monkeypatch.setattr("hatch_romfs.board.repl.ANSWER_TIMEOUT", 0.5)
    found, failed = [], 0
    for after in (10, 2000, 4500, 8000, 14_000):
        put(file, OLD + b"\xff" * (SIZE - len(OLD)))
        with FaultyBoard(options(family, file, ram=64 << 10), Faults(reset_after=after)) as board:
            try:
                done = flash(image, board.port)
            except RomfsError as error:
                assert error.status in (4, 5)  # noqa: PT017 - some are got over
                failed += 1
                found.append(held(board))
                done = flash(image, board.port)
            assert_got_over(board, done)
    assert failed > 2
    assert_never_broken(found, [OLD, NEW], tmp_path)


# Boards that lack something

LACKING = {
    "sha256": Faults(hide=("hashlib.sha256",)),
    "any hash": Faults(hide=("hashlib.sha256", "binascii.crc32")),
    "hashlib and binascii": Faults(hide=("hashlib", "binascii")),
    "deflate": Faults(hide=("deflate",)),
    "sys.stdin.buffer": Faults(hide=("sys.stdin.buffer",)),
    "binary input and base64": Faults(hide=("sys.stdin.buffer", "binascii.a2b_base64")),
    "everything but literals": Faults(
        hide=("sys.stdin.buffer", "binascii.a2b_base64", "deflate", "hashlib.sha256", "binascii.crc32")
    ),
    "raw-paste": Faults(raw_paste=b"R\x00"),
    "any idea of raw-paste": Faults(raw_paste=b""),
    "op 6": Faults(op6=False),
    "bare line ends": Faults(crlf=True),
    "all that is new": Faults(
        op6=False,
        raw_paste=b"",
        crlf=True,
        hide=("sys.stdin.buffer", "binascii.a2b_base64", "deflate", "hashlib.sha256", "binascii.crc32"),
    ),
}


def without_fromhex(monkeypatch):
    """Have a board's bytes seem to have no ``fromhex``, which MicroPython's cannot be without here."""
    asks = "if hasattr(bytes,'fromhex'):"
    assert asks in probe.CODE
    monkeypatch.setattr(probe, "CODE", probe.CODE.replace(asks, "if 0:"))


WIRE = ("raw-paste", "any idea of raw-paste", "bare line ends")
"""Of which the family knows nothing."""


@pytest.mark.parametrize(
    ("what", "family"), [(what, family) for what in LACKING for family in (FAMILIES[:1] if what in WIRE else FAMILIES)]
)
def test_boards_that_lack_something(what, family, file, tmp_path, monkeypatch):
    image = put(tmp_path / "new.romfs", NEW)
    if what == "everything but literals":
        without_fromhex(monkeypatch)
    with FaultyBoard(options(family, file), LACKING[what]) as board:
        done = flash(image, board.port)
        assert_lacks(done.board, what)
        assert (done.rewritten, done.partition.geometry.erasing == "all") == (0, family in ALL_OR_NOTHING[what])
        assert_got_over(board, done)
        verify(image, board.port)
        with pytest.raises(VerifyError, match="of them block 0 at 0x0\n"):
            verify(put(tmp_path / "old", OLD), board.port)
        assert read(board.port) == NEW


ALL_OR_NOTHING = {what: {"esp8266"} | ({"stm32"} if what in ("op 6", "all that is new") else set()) for what in LACKING}


def assert_lacks(found, what):
    """Hold that the board lacks what it should, so that a test of it is one."""
    lacks = {name for name in ("sha256", "crc32", "deflate", "base64", "stream") if not getattr(found, name)}
    assert lacks == {
        "sha256": {"sha256"},
        "any hash": {"sha256", "crc32"},
        "hashlib and binascii": {"sha256", "crc32", "base64"},
        "deflate": {"deflate"},
        "sys.stdin.buffer": {"stream"},
        "binary input and base64": {"stream", "base64"},
        "everything but literals": {"sha256", "crc32", "deflate", "base64", "stream"},
        "all that is new": {"sha256", "crc32", "deflate", "base64", "stream"},
    }.get(what, set())


@pytest.mark.parametrize("family", FAMILIES)
def test_faults_are_found_without_any_hash_too(family, image, file):
    faults = Faults(hide=("hashlib.sha256", "binascii.crc32"), flip=When(offset=9000, times=3))
    with FaultyBoard(options(family, file), faults) as board:
        done = flash(image, board.port)
        assert done.rewritten == 3
        assert_got_over(board, done)


LITTLE = {
    "stream": (),
    "statements": ("sys.stdin.buffer",),
    "no deflate": ("deflate",),
    "no hash": ("hashlib.sha256", "binascii.crc32"),
    "nothing": (
        "sys.stdin.buffer",
        "binascii.a2b_base64",
        "deflate",
        "hashlib.sha256",
        "binascii.crc32",
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("what", LITTLE)
def test_a_board_with_20_kb_of_memory(what, family, image, file, monkeypatch):
    """22 KiB at the prompt, that is, which are 20 KB when the question for it runs."""
    if what == "nothing":
        without_fromhex(monkeypatch)
    if family == "esp8266":  # the simulation takes half of what is erased from the board's memory
        put(file, b"\xff" * SIZE)
    with FaultyBoard(options(family, file, ram=22 << 10), Faults(hide=LITTLE[what])) as board:
        done = flash(image, board.port)
        assert 16_000 < done.board.free < 22_000
        assert_got_over(board, done)
        assert read(board.port) == NEW
        if family != "esp8266":
            erase(board.port)
            assert held(board) == b"\xff" * SIZE


@pytest.mark.parametrize("hide", [(), ("sys.stdin.buffer",)])
@pytest.mark.parametrize("family", FAMILIES)
def test_frames_get_smaller_where_memory_is_short(family, hide, image, file, monkeypatch):
    """The board has less than it said it has."""
    monkeypatch.setattr(channel, "FRAMES", ((0, 32 << 10),))
    monkeypatch.setattr(channel, "deflate", lambda data: (data, 0))
    with FaultyBoard(options(family, file, ram=28 << 10), Faults(hide=hide)) as board:
        seen = []
        done = flash(image, board.port, on_event=lambda event: seen.append(event[:3]))
        assert done.rewritten <= 3
        assert_got_over(board, done)


def test_what_completing_answers():
    """-22 where the port has no such operation; anything else that is wrong is reported."""

    def answering(answer):
        return SimpleNamespace(repl=SimpleNamespace(run=lambda _code: answer))

    for answer in ("0", "None", "16", "-22"):
        flashing._complete(answering(answer), 0)
    for answer, text in (("-5", "EIO (-5)"), ("OSError(5,)", "OSError(5,)"), ("9" * 5000, "9" * 5000)):
        with pytest.raises(VerifyError, match=re.escape(f"the board could not complete writing it: {text}")):
            flashing._complete(answering(answer), 0)


# Boards that talk

PROGRAMS = {
    "prints without end": "while True: print('x' * 50)",
    "prints and sleeps": "import time\nwhile True:\n print('hello')\n time.sleep(0.01)",
    "prints what looks like prompts": "while True: print('raw REPL; CTRL-B to exit\\r\\n>', end='\\x04')",
    "reads": "import sys\nwhile True: sys.stdin.read(1)",
    "catches one interrupt": "try:\n while True: pass\nexcept KeyboardInterrupt:\n while True: print('y')",
    "runs in silence": "while True: pass",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_runs_is_got_out_of_the_way(program, image, file):
    with FaultyBoard(options("rp2", file), Faults(main=PROGRAMS[program])) as board:
        done = flash(image, board.port)
        assert held(board).startswith(NEW)
        assert done.mounted


GARBAGE = {
    "bytes": b"\x00\xff\xfe>>>\x04\x04OK",
    "a lot": bytes(range(256)) * 20,
    "nearly a banner": b"raw REPL; CTRL-B to exit\r\n",
    "lines": b"rst:0x1 (POWERON_RESET),boot:0x13\r\nconfigsip: 0\r\n" * 10,
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_before_the_prompt(what, image, file):
    with FaultyBoard(options("stm32", file), Faults(garbage=GARBAGE[what])) as board:
        assert_got_over(board, flash(image, board.port))


def test_a_refused_image_is_not_half_written(file, tmp_path):
    """What is refused before anything is erased has touched nothing, whatever else is wrong with the board."""
    with SimulatedBoard(options("rp2", file)) as board:
        with pytest.raises(BoardError):
            flash(put(tmp_path / "large", image_bytes(SIZE + 2)), board.port)
        assert held(board).startswith(OLD)


def test_erasing_makes_do_with_the_memory_there_is(file, image, monkeypatch):
    """Where erasing is overwriting, a frame that does not fit into the board's memory is halved."""
    write = channel.Channel.write

    def tight(self, at, data, *, check=True):
        if len(data) > 512:
            raise RefusedError("MemoryError: memory allocation failed")
        write(self, at, data, check=check)

    with FaultyBoard(options("alif", file)) as board:
        flash(image, board.port)
        monkeypatch.setattr(channel.Channel, "write", tight)
        erase(board.port)
        assert read(board.port, whole=True) == b"\xff" * SIZE
