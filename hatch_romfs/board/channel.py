"""Calls to the agent on the board: as frames on its standard input, or as statements of the raw REPL."""

from __future__ import annotations

import base64
import binascii
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.agent import ANSWER, LITTLE, install, longest_answer
from hatch_romfs.board.answers import LostFrameError, RefusedError, read_result
from hatch_romfs.board.frame import Frame, deflate, without_interrupts
from hatch_romfs.board.hashes import SLOWEST, algorithm
from hatch_romfs.board.repl import RaisedError, restart_error
from hatch_romfs.errors import LinkError, LostLinkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_romfs.board.probe import Board
    from hatch_romfs.board.repl import RawRepl

FRAMES: Final = (
    (320 << 10, 32 << 10),
    (160 << 10, 16 << 10),
    (80 << 10, 8 << 10),
    (40 << 10, 4 << 10),
    (24 << 10, 2 << 10),
    (0, 1 << 10),
)
"""Free memory of the board in bytes, and the bytes of the image in one frame."""
STATEMENT: Final = 2 << 10
"""Bytes of the image in one statement at most."""
ASK: Final = 2.0
"""Seconds in which the board asks for a frame's data: it may have to collect garbage first."""
SLOWEST_ERASE: Final = 10_000
"""Bytes per second that the slowest flash erases: data sheets allow 0.4 seconds for 4 KiB."""
LONGEST_ERASE: Final = 600.0
"""Seconds that an erase is waited for at most, whatever size a board states."""
SLOWEST_PROGRAM: Final = 10_000
"""Bytes per second that the slowest flash programs."""
SHORT: Final = 4096
"""Bytes of the longest answer that brings no data back."""
RESENDS: Final = 3
"""How often in a row the head or the data of a frame is sent again before frames are given up."""
MOST_LOST: Final = 30
"""Lost frames after which a line counts as unfit for frames."""


def open_channel(repl: RawRepl, board: Board, *writing: str) -> Channel:
    """Send the parts of the agent that write, and open the best channel that the board has.

    ``writing`` are the parts whose functions the calls reach.
    """
    has_frames = board.stream and board.free >= LITTLE
    install(repl, board, *writing, "agent_inflate", *(["agent_frames"] if has_frames else []))
    channel = Channel(repl, board)
    if has_frames:
        channel.start_frames()
    return channel


@contextmanager
def channel_on(repl: RawRepl, board: Board, *writing: str) -> Iterator[Channel]:
    """Open a channel for the time of a ``with`` block; the raw REPL has its prompt again afterwards."""
    channel = open_channel(repl, board, *writing)
    try:
        yield channel
    except LinkError:
        raise
    except BaseException:
        # The board waits for a frame, also after a Ctrl-C here.
        with suppress(LinkError):
            repl.enter()
        raise
    else:
        channel.close()


def _frame_size(board: Board) -> int:
    return next(frame for free, frame in FRAMES if board.free >= free)


class Channel:
    """The agent's functions, called from the host. Each raises RefusedError or LinkError.

    Frames are the fast way: a head; the board allocates what the frame needs and asks for the data; the host sends it;
    the board says that it is complete, and then what came of it. A UART has no flow control: nothing is ever sent
    while the board is not waiting for it. A frame that is lost costs one frame. On a line that keeps losing them, each
    call becomes a statement of the raw REPL, which has flow control of its own.

    ``frame`` is the number of bytes of the image for one call of ``write``; ``resent`` counts lost frames.
    """

    def __init__(self, repl: RawRepl, board: Board) -> None:
        self.frame = min(_frame_size(board), STATEMENT)
        self.resent = 0
        self._repl = repl
        self._board = board
        self._frames = False
        self._lost_in_a_row = 0
        self._speed = SLOWEST[algorithm(board)]

    def start_frames(self) -> None:
        """Start the agent's loop; where it does not answer, calls stay statements."""
        self._frames = self._start_loop()
        if self._frames:
            self.frame = _frame_size(self._board)

    def erase(self, at: int, size: int) -> None:
        """Erase ``size`` bytes at ``at``."""
        self._call(Frame(b"E", at, size), f"print(erase({at},{size}))", min(LONGEST_ERASE, size / SLOWEST_ERASE))

    def write(self, at: int, data: bytes, *, check: bool = True, seconds: float = 0.0) -> None:
        """Write ``data``; with ``check``, have the board compare what its flash holds then.

        ``seconds`` is the time that the slowest board needs for it in addition to that for programming flash.
        Raises DiffersError if it contains something else, LostFrameError if that is unknown.
        """
        self._write(b"W" if check else b"P", at, len(data), data, seconds)

    def assemble(self, at: int, size: int, recipe: bytes) -> None:
        """Have the board put together ``size`` bytes from old content, write them, and compare; see ``write``."""
        self._write(b"C", at, size, recipe)

    def save(self, at: int, size: int) -> None:
        """Have the board keep content in its memory that is about to be erased."""
        self._call(Frame(b"S", at, size), f"print(save({at},{size}))", size / self._speed)

    def forget(self, at: int, size: int) -> None:
        """Have the board free the memory of content that it has saved."""
        self._call(Frame(b"F", at, size), f"print(forget({at},{size}))", size / self._speed)

    def digest(self, at: int, size: int) -> str:
        """Return the hash of a range."""
        code = f"tell({algorithm(self._board)!r},{at},{size})"
        return self._call(Frame(b"H", at, size), code, size / self._speed, longest_answer(size))

    def close(self) -> None:
        """End the agent's loop; the raw REPL has its prompt again."""
        if not self._frames:
            return
        self._frames = False
        try:
            self._repl.link.write(Frame(b"Q", 0, 0).head())
            self._receive_result(0.0, SHORT)
            self._repl.finish(ANSWER)
        except LostLinkError:
            raise
        except (_DamagedError, LinkError):
            self._repl.enter()

    def _write(self, kind: bytes, at: int, size: int, data: bytes, seconds: float = 0.0) -> None:
        packed, wbits = deflate(data) if self._board.deflate else (data, 0)
        if len(packed) >= len(data):
            packed, wbits = data, 0
        seconds += size / SLOWEST_PROGRAM
        if self._frames:
            self._send(Frame(kind, at, size, packed, wbits), seconds)
        else:
            call = "assemble" if kind == b"C" else "inflate"
            code = f"print(program({at},{call}({self._literal(packed)},{wbits},{size}),{kind != b'P'}))"
            self._run(code, seconds)

    def _call(self, frame: Frame, code: str, seconds: float, most: int = SHORT) -> str:
        """Return the answer to a frame without data, or to a statement; either may be repeated without harm."""
        while self._frames:
            try:
                self._repl.link.write(frame.head())
                return self._receive_result(seconds, most)
            except _DamagedError:  # noqa: PERF203 - a retry
                self._restart()
        return self._run(code, seconds, most)

    # Frames

    def _start_loop(self) -> bool:
        self._repl.send("serve()")
        try:
            self._repl.link.read_until(b"+", 3.0)
            self._repl.link.read_until(b"\n", 1.0)
        except LinkError:
            self._repl.enter()
            return False
        return True

    def _restart(self) -> None:
        """Recover from a lost frame; after too many of them, use statements."""
        self.resent += 1
        self._lost_in_a_row += 1
        self._repl.enter()
        if self._repl.run_again("print('serve' in globals())").strip() != "True":
            raise restart_error(self._repl.link.name)
        if self._lost_in_a_row > RESENDS or self.resent > MOST_LOST or not self._start_loop():
            self._frames = False
            self.frame = min(self.frame, STATEMENT)

    def _send(self, frame: Frame, seconds: float) -> None:
        """Send a frame whose data the board asks for."""
        link = self._repl.link
        payload, patches = without_interrupts(frame.data)
        crc = (binascii.crc32(payload) or 1) if self._board.crc32 else 0
        try:
            link.write(frame.head(patches, crc))
            self._expect(b">", ASK)
            link.write(payload)
            self._expect(b".", ASK + 1.5 * link.seconds_for(len(payload)))
            self._receive_result(seconds, SHORT)
        except _DamagedError:
            self._restart()
            raise LostFrameError from None

    def _expect(self, sign: bytes, timeout: float) -> None:
        """Wait for a one-byte answer. Raises RefusedError for a refusal, _DamagedError for anything else."""
        link = self._repl.link
        try:
            found = link.read(1, timeout)
            if found == b"!":
                raise RefusedError(link.read_until(b"\n", ANSWER, most=SHORT).decode(errors="replace").strip())
        except LostLinkError:
            raise
        except LinkError:
            raise _DamagedError from None
        if found != sign:
            raise _DamagedError

    def _receive_result(self, seconds: float, most: int) -> str:
        """Return a frame's final answer."""
        link = self._repl.link
        timeout = ANSWER + seconds + link.seconds_for(most if most > 1 << 16 else 0)
        try:
            line = link.read_until(b"\n", timeout, most=most).decode(errors="replace")
        except LostLinkError:
            raise
        except LinkError:
            raise _DamagedError from None
        answer = line.strip()
        if answer[:1] not in ("=", "!"):
            raise _DamagedError
        self._lost_in_a_row = 0
        return read_result(answer)

    # Statements

    def _literal(self, data: bytes) -> str:
        if self._board.base64:
            return f"__import__('binascii').a2b_base64({base64.b64encode(data)!r})"
        if self._board.fromhex:
            return f"bytes.fromhex({data.hex()!r})"
        return repr(data)

    def _run(self, call: str, seconds: float, most: int = SHORT) -> str:
        code = f"try:\n {call}\nexcept Exception as e:print('!'+repr(e))"
        timeout = ANSWER + seconds + len(code) / 2_000
        try:
            answer = self._repl.run(code, timeout, most=most)
            if "!NameError" in answer:
                raise restart_error(self._repl.link.name)
            return read_result(answer)
        except RaisedError as error:  # while it was compiled: there is no memory for the literal, or it was damaged
            raise RefusedError(error.last) from None


class _DamagedError(Exception):
    """Something else arrived than should have, or nothing."""
