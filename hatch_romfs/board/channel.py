"""Calls to the agent on the board: as frames on its standard input, or as statements of the raw REPL."""

from __future__ import annotations

import ast
import base64
import binascii
import hashlib
import zlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.mperrno import describe
from hatch_romfs.board.plan import Block
from hatch_romfs.board.repl import RaisedError
from hatch_romfs.errors import LinkError, LostLinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_romfs.board.probe import Board, Partition
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
LITTLE: Final = 32 << 10
"""Bytes of free memory below which a board gets the agent one function at a time, and no frames.

Compiling needs memory too: a board that has little is better off with statements.
"""
ROOMY: Final = 64 << 10
"""Bytes of free memory from which on a board gets the agent deflated, all of its parts at once."""
ANSWER: Final = 10.0
"""Seconds allowed for any answer, in addition to those for the work."""
ASK: Final = 2.0
"""Seconds in which the board asks for a frame's data: it may have to collect garbage first."""
SLOWEST: Final = {"sha256": 50_000, "crc32": 100_000, "bytes": 2_000}
"""Bytes per second that the slowest board hashes; with "bytes" they come back over the line."""
SLOWEST_ERASE: Final = 10_000
"""Bytes per second that the slowest flash erases: data sheets allow 0.4 seconds for 4 KiB."""
LONGEST_ERASE: Final = 600.0
"""Seconds that an erase is waited for at most, whatever size a board states."""
SLOWEST_PROGRAM: Final = 10_000
"""Bytes per second that the slowest flash programs."""
SHORT: Final = 4096
"""Bytes of the longest answer that brings no data back."""
READ: Final = 2048
"""Bytes that one read of a partition brings back."""
RESENDS: Final = 3
"""How often in a row the head or the data of a frame is sent again before frames are given up."""
MOST_LOST: Final = 30
"""Lost frames after which a line counts as unfit for frames."""


class RefusedError(Exception):
    """The board reported an error: ``reason`` is a negative error number, or an exception."""

    def __init__(self, reason: str) -> None:
        number = reason.lstrip("-").isdigit()
        super().__init__(f"the board answers {describe(int(reason))}" if number else f"the board answers {reason}")
        self.reason = reason

    @property
    def is_memory_error(self) -> bool:
        """Whether the frame was too large for the board's memory; some of it may have been written."""
        return "MemoryError" in self.reason


class LostFrameError(RefusedError):
    """A frame or its answer was lost or damaged on the line; the board may have carried it out or not."""

    def __init__(self) -> None:
        super().__init__("a damaged frame")


class DiffersError(RefusedError):
    """What the flash holds after a write is not what was written."""

    def __init__(self) -> None:
        super().__init__("differs")
        self.args = ("it does not keep what is written",)


def algorithm(board: Board) -> str:
    """Return the best hash that the board has; ``bytes`` for none."""
    return "sha256" if board.sha256 else "crc32" if board.crc32 else "bytes"


def fast_algorithm(board: Board) -> str:
    """Return the fastest hash, good enough to decide what to write: a SHA-256 proves the result."""
    return "crc32" if board.crc32 else algorithm(board)


HASHES: Final[dict[str, Callable[[bytes | memoryview], str]]] = {
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "crc32": lambda data: f"{binascii.crc32(data):08x}",
    "bytes": lambda data: bytes(data).hex(),
}


@cache
def agent_code(name: str) -> tuple[str, ...]:
    """Return the statements of a part of the agent: without docstrings and comments, indented by one space."""
    folder = resources.files("hatch_romfs.board").joinpath("micropython")
    tree = ast.parse(folder.joinpath(f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Module) and ast.get_docstring(node) is not None:
            del node.body[0]
    return tuple(_indented_by_one(ast.unparse(node)) for node in tree.body)


def _indented_by_one(code: str) -> str:
    lines = code.split("\n")
    return "\n".join(" " * ((len(line) - len(line.lstrip())) // 4) + line.lstrip() for line in lines if line)


def _install(repl: RawRepl, board: Board, *names: str) -> None:
    """Send parts of the agent; sending them twice does no harm, so a damaged line gets a second try."""
    parts = [agent_code(name) for name in names]
    if board.free >= ROOMY:
        repl.run_again(_shorten("\n".join(statement for part in parts for statement in part), board))
        return
    for part in parts:
        for code in part if board.free < LITTLE else ("\n".join(part),):
            repl.run_again(code)


def _shorten(code: str, board: Board) -> str:
    """Return code that does the same and is shorter on the line, where the board can inflate it."""
    if not (board.deflate and board.base64):
        return code
    data = code.encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, max(9, (len(data) - 1).bit_length()))
    packed = packer.compress(data) + packer.flush()  # with a check sum: code that was damaged on the line raises
    return (
        "import io,deflate,binascii\n"
        f"exec(deflate.DeflateIO(io.BytesIO(binascii.a2b_base64({base64.b64encode(packed)!r})),deflate.ZLIB).read())"
    )


def attach(repl: RawRepl, board: Board, partition: Partition) -> None:
    """Send the part of the agent that reads, and choose the partition; raises LinkError where that failed."""
    _install(repl, board, "agent")
    ranged = partition.access == "ranged" and partition.geometry.erasing == "blocks"
    number, block, how = partition.number, partition.geometry.block, algorithm(board)
    answer = repl.run_again(f"attach({number},{block},{how!r},{ranged})")
    if answer.split() != [str(number), str(block), how, str(int(ranged))]:
        raise LinkError(
            f"{repl.link.name}: the board did not understand which partition to use: {answer[:200]!r}",
            hint="Run the same command again.",
        )


def scan(repl: RawRepl, partition: Partition, size: int, how: str) -> list[Block]:
    """Return the state of the partition's blocks that an image of ``size`` bytes covers, hashed by ``how``."""
    block, limit = partition.geometry.block, partition.geometry.size
    most = 80 * -(-size // block) + (_most(size) if how == "bytes" else 0) + 4096
    timeout = ANSWER + 2 * size / SLOWEST[how] + repl.link.seconds_for(most)
    code = f"scan({how!r},{size},{block},{limit})"
    for left in (1, 0):
        answer = repl.run_again(code, timeout, most=most)
        lines = answer.splitlines()
        if len(lines) == -(-size // block) and all(line == "-" or line[:1] == "=" for line in lines):
            break
        if not left:
            raise LinkError(f"{repl.link.name}: the board's list of blocks is not one: {answer[:200]!r}")
    hashed = HASHES[how]
    return [
        Block(hashed(b"\xff" * min(block, size - at)) if line == "-" else line[1:], line == "-")
        for at, line in zip(range(0, size, block), lines, strict=True)
    ]


def fetch(repl: RawRepl, at: int, size: int) -> Iterator[bytes]:
    """Read a range, piece by piece."""
    for start in range(at, at + size, READ):
        part = min(READ, at + size - start)
        answer = repl.run_again(f"for t in hexes({start},{part}):print(t)", ANSWER + part / 200)
        try:
            data = bytes.fromhex(answer)
        except ValueError:
            data = b""
        if len(data) != part:
            raise LinkError(
                f"{repl.link.name}: the board answered {answer[:200]!r} instead of a part of its partition",
                hint="Run the same command again.",
            )
        yield data


def partition_hash(repl: RawRepl, board: Board, size: int) -> str:
    """Return the hash of the partition's first ``size`` bytes."""
    how = algorithm(board)
    answer = repl.run_again(f"tell({how!r},0,{size})", ANSWER + size / SLOWEST[how], most=_most(size))
    try:
        return _result(answer)
    except RefusedError as error:
        raise LinkError(f"{repl.link.name}: the board cannot read its partition: {error}") from None


def _most(size: int) -> int:
    """Return the length of the longest answer to a question for the hash of ``size`` bytes."""
    return 4 * size + 4096


def open_channel(repl: RawRepl, board: Board) -> Channel:
    """Send the parts of the agent that write, and open the best channel that the board has."""
    has_frames = board.stream and board.free >= LITTLE
    _install(repl, board, "agent_write", *(["agent_frames"] if has_frames else []))
    channel = Channel(repl, board)
    if has_frames:
        channel.start_frames()
    return channel


def _frame_size(board: Board) -> int:
    return next(frame for free, frame in FRAMES if board.free >= free)


def _deflate(data: bytes) -> tuple[bytes, int]:
    """Return raw deflated data, and the logarithm of the window that it needs."""
    wbits = max(9, min(15, (len(data) - 1).bit_length()))
    packer = zlib.compressobj(9, zlib.DEFLATED, -wbits, 9)
    return packer.compress(data) + packer.flush(), wbits


def _without_interrupts(data: bytes) -> tuple[bytes, int]:
    """Return data whose bytes 0x03, which would interrupt the board, are 0x02, with their places after it."""
    places = [at for at, byte in enumerate(data) if byte == 3]  # noqa: PLR2004 - Ctrl-C
    tail = b"".join(bytes((0x80 | at >> 14, 0x80 | at >> 7 & 0x7F, 0x80 | at & 0x7F)) for at in places)
    return data.replace(b"\x03", b"\x02") + tail, len(places)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the host asks of the agent: a letter, a range of the partition, and data for it, deflated if ``wbits``."""

    kind: bytes
    at: int
    size: int
    data: bytes = b""
    wbits: int = 0

    def head(self, patches: int = 0, crc: int = 0) -> bytes:
        """Return the frame's first 44 bytes: its numbers in hex, and the check sum that the agent computes too."""
        head = self.kind + b"%08x%08x%08x%04x%01x%08x" % (
            self.at,
            self.size,
            len(self.data),
            patches,
            self.wbits,
            crc,
        )
        total = 0
        for byte in head:
            total = (total * 31 + byte) & 0xFFFFFF
        return head + b"%06x" % total


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
        self._call(_Frame(b"E", at, size), f"print(erase({at},{size}))", min(LONGEST_ERASE, size / SLOWEST_ERASE))

    def write(self, at: int, data: bytes, *, check: bool = True) -> None:
        """Write ``data``; with ``check``, have the board compare what its flash holds then.

        Raises DiffersError where it holds something else, LostFrameError where nobody knows.
        """
        packed, wbits = _deflate(data) if self._board.deflate else (data, 0)
        if len(packed) >= len(data):
            packed, wbits = data, 0
        seconds = len(data) / SLOWEST_PROGRAM
        if self._frames:
            self._send(_Frame(b"W" if check else b"P", at, len(data), packed, wbits), seconds)
        else:
            code = f"print(program({at},inflate({self._literal(packed)},{wbits},{len(data)}),{check}))"
            self._run(code, seconds)

    def digest(self, at: int, size: int) -> str:
        """Return the hash of a range."""
        code = f"tell({algorithm(self._board)!r},{at},{size})"
        return self._call(_Frame(b"H", at, size), code, size / self._speed, _most(size))

    def close(self) -> None:
        """End the agent's loop; the raw REPL has its prompt again."""
        if not self._frames:
            return
        self._frames = False
        try:
            self._repl.link.write(_Frame(b"Q", 0, 0).head())
            self._receive_result(0.0, SHORT)
            self._repl.finish(ANSWER)
        except LostLinkError:
            raise
        except (_DamagedError, LinkError):
            self._repl.enter()

    def _call(self, frame: _Frame, code: str, seconds: float, most: int = SHORT) -> str:
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
            raise self._restart_error()
        if self._lost_in_a_row > RESENDS or self.resent > MOST_LOST or not self._start_loop():
            self._frames = False
            self.frame = min(self.frame, STATEMENT)

    def _send(self, frame: _Frame, seconds: float) -> None:
        """Send a frame whose data the board asks for."""
        link = self._repl.link
        payload, patches = _without_interrupts(frame.data)
        crc = (binascii.crc32(payload) or 1) if self._board.crc32 else 0
        try:
            link.write(frame.head(patches, crc))
            self._expect(b">", ASK)
            link.write(payload)
            self._expect(b".", 1.0 + 1.5 * link.seconds_for(len(payload)))
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
        return _result(answer)

    def _restart_error(self) -> LinkError:
        return LinkError(
            f"{self._repl.link.name}: the board restarted in the middle of the work",
            hint="Does a watchdog run on it? Run the same command again: what is already right is not sent again.",
        )

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
                raise self._restart_error()
            return _result(answer)
        except RaisedError as error:  # while it was compiled: there is no memory for the literal, or it was damaged
            raise RefusedError(error.last) from None


class _DamagedError(Exception):
    """Something else arrived than should have, or nothing."""


def _result(answer: str) -> str:
    """Return what follows ``=`` in an answer; raises RefusedError for ``!``, and LinkError for anything else."""
    good, bad, reason = answer.strip().partition("!")
    if bad and good[:1] in ("", "="):  # an error while hashing follows the =
        raise DiffersError if reason == "differs" else RefusedError(reason)
    if good.startswith("="):
        return good[1:]
    raise LinkError(f"the board answered {answer[:200]!r}", hint="Run the same command again.")
