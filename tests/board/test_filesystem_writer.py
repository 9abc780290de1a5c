"""Changes as records, and what becomes of frames that are too large, lost, damaged, or refused."""

import random

import pytest

from hatch_romfs.board.answers import DiffersError, LostFrameError, RefusedError
from hatch_romfs.board.blocks import LEAST_FRAME
from hatch_romfs.board.filesystem.plan import Step
from hatch_romfs.board.filesystem.records import HEAD
from hatch_romfs.board.filesystem.writer import MOST, FileWriter
from hatch_romfs.board.frame import check_sum
from hatch_romfs.errors import BoardError, VerifyError
from hatch_romfs.events import ignore_progress

CONTENTS = {f"{number:02}": random.Random(number).randbytes(number * 211) for number in range(25)}


def unpack(data):
    """Yield the records of a frame as the board does: kind, path, offset, and data."""
    assert data[0] == 0
    assert int.from_bytes(data[1:5], "big") == check_sum(data[5:])
    at = 5
    while at < len(data):
        numbers = [int.from_bytes(data[at + start : at + end], "big") for start, end in ((1, 3), (3, 7), (7, 11))]
        start = at + HEAD + numbers[0]
        end = start + numbers[2]
        yield chr(data[at]), data[at + HEAD : start].decode(), numbers[1], data[start:end]
        at = end


class Board:
    """A channel to a board whose files are in memory; ``fail`` may raise for a frame."""

    def __init__(self, frame=4096, fail=lambda _data: None):
        self.frame, self.fail = frame, fail
        self.files, self.unfinished = {}, b""
        self.frames = 0

    def write(self, _at, data, *, seconds):
        assert seconds > 0
        self.frames += 1
        self.fail(data)
        for kind, path, offset, part in unpack(data):
            if kind == "r":
                self.files.pop(path, None)
            elif kind == "s":
                self.files[path] = self.files.get(path, b"")[:offset] + part
            elif kind in "wl":
                self.unfinished = self.unfinished[:offset] + part
                assert len(self.unfinished) == offset + len(part)
                if kind == "l":
                    self.files[path] = self.unfinished


def carry_out(board, *more):
    writer = FileWriter(board, CONTENTS.__getitem__, ignore_progress, 1, crc32=False)
    steps = [Step("write list", "list", 900, b"l" * 900)]
    steps += [Step("write", path, len(data)) for path, data in CONTENTS.items()]
    writer.carry_out([*steps, *more])
    return writer


def check(board, writer):
    assert board.files == {"list": b"l" * 900, **CONTENTS}
    return writer


@pytest.mark.parametrize("frame", [LEAST_FRAME, 1000, 4096, 32768])
def test_small_files_share_frames_and_large_ones_take_several(frame):
    board = Board(frame)
    writer = check(board, carry_out(board))
    total = sum(map(len, CONTENTS.values())) + 900
    assert board.frames >= total // frame
    assert writer.rewritten == 0
    if frame == 32768:
        assert board.frames <= total // frame + 2


def test_a_frame_has_a_limited_number_of_changes():
    board = Board(1 << 20)
    carry_out(board, *(Step("remove", f"gone {number}") for number in range(3 * MOST)))
    assert board.frames == -(-(3 * MOST + len(CONTENTS) + 1) // MOST)


@pytest.mark.parametrize("room", [300, 1000, 5000])
def test_frames_become_smaller_where_the_board_has_no_memory_for_them(room):
    def fail(data):
        if len(data) > room:
            raise RefusedError("MemoryError('memory allocation failed',)")

    board = Board(32768, fail)
    check(board, carry_out(board))
    assert board.frame <= room


def test_lost_frames_are_sent_again():
    luck = random.Random(5)

    def fail(_data):
        if luck.random() < 0.3:
            raise LostFrameError

    board = Board(2048, fail)
    assert check(board, carry_out(board)).rewritten > 3


def test_a_frame_that_was_for_a_faster_line_is_split_where_frames_are_given_up():
    board = Board(16384)

    def fail(data):
        if len(data) > 2100:
            board.frame = 2048
            raise LostFrameError

    board.fail = fail
    check(board, carry_out(board))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (DiffersError(), VerifyError, "the board's filesystem does not keep what is written to 07"),
        (RefusedError("OSError(28,)"), BoardError, "cannot write 07 on the board: ENOSPC (28)"),
        (RefusedError("OSError(5, 'EIO')"), BoardError, "cannot write 07 on the board: EIO (5)"),
        (RefusedError("ValueError('x\x1b[2J',)"), BoardError, "the board answers ValueError('x\\x1b[2J',)"),
        (RefusedError("MemoryError()"), BoardError, "the board answers MemoryError()"),
    ],
)
def test_a_change_that_the_board_refuses_is_found_and_named(error, kind, message):
    def fail(data):
        if any(path == "07" and data for _, path, _, data in unpack(data)):
            raise error

    board = Board(fail=fail)
    with pytest.raises(kind) as caught:
        carry_out(board)
    assert message in caught.value.message
    assert "Each file on the board is the old or the new one. Run the same command again." in caught.value.hint
    assert board.files == {"list": b"l" * 900} | {path: data for path, data in CONTENTS.items() if path < "07"}
