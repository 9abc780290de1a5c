"""Ways to have the agent work: over a stream of frames, or statement by statement through the raw REPL."""

from __future__ import annotations

import ast
import base64
import binascii
import hashlib
import zlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, Protocol

from hatch_romfs.board.plan import Block
from hatch_romfs.board.repl import RaisedError
from hatch_romfs.errors import LinkError

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
"""Free memory of the board in bytes, and the bytes of image that go into one frame then."""
LITTLE: Final = 32 << 10
"""Bytes of free memory below which a board gets the agent statement by statement."""
ANSWER: Final = 10.0
"""Seconds for any answer, beside those for the work."""
SLOWEST: Final = {"sha256": 50_000, "crc32": 100_000, "bytes": 2_000}
"""Bytes a second that the slowest board hashes; ``bytes`` come back over the line."""
SLOWEST_ERASE: Final = 10_000
"""Bytes a second that the slowest flash erases: data sheets allow 0.4 seconds for 4 KiB."""
READ: Final = 2048
"""Bytes that one read of a partition brings back."""


class RefusedError(Exception):
    """The board said that something went wrong: ``reason`` is a negative errno, or an exception."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the board answers {reason}")

    @property
    def for_memory(self) -> bool:
        """Say whether the frame was too large for the board; nothing says whether some of it was written."""
        return "MemoryError" in str(self)


class Channel(Protocol):
    """The agent's functions, called from here. Each raises RefusedError or LinkError."""

    frame: int
    """Bytes of image for one call of ``write``."""

    def erase(self, at: int, size: int) -> None:
        """Erase ``size`` bytes at ``at``."""
        ...

    def write(self, at: int, data: bytes, size: int) -> str:
        """Write ``data``; return the hash of its first ``size`` bytes as the board reads them."""
        ...

    def digest(self, at: int, size: int) -> str:
        """Return the hash of what is there."""
        ...

    def close(self) -> None:
        """Let the agent go; the raw REPL has its prompt again."""
        ...


def algorithm(board: Board) -> str:
    """Return the best hash that the board has; ``bytes`` for none."""
    return "sha256" if board.sha256 else "crc32" if board.crc32 else "bytes"


HASHES: Final[dict[str, Callable[[bytes | memoryview], str]]] = {
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "crc32": lambda data: f"{binascii.crc32(data):08x}",
    "bytes": lambda data: bytes(data).hex(),
}


@cache
def agent_code(name: str) -> tuple[str, ...]:
    """Return the statements of a part of the agent: without docstrings and comments, indented by one space."""
    tree = ast.parse(
        resources.files("hatch_romfs.board").joinpath("micropython", f"{name}.py").read_text(encoding="utf-8")
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Module) and ast.get_docstring(node) is not None:
            del node.body[0]
    return tuple(_indented_by_one(ast.unparse(node)) for node in tree.body)


def _indented_by_one(code: str) -> str:
    lines = code.split("\n")
    return "\n".join(" " * ((len(line) - len(line.lstrip())) // 4) + line.lstrip() for line in lines if line)


def _install(repl: RawRepl, board: Board, name: str) -> None:
    """Send a part of the agent; bit by bit to one with little memory, for compiling takes more than code."""
    code = agent_code(name)
    for part in code if board.free < LITTLE else ("\n".join(code),):
        repl.run(part)


def attach(repl: RawRepl, board: Board, partition: Partition) -> None:
    """Send the part of the agent that looks, and have it take a partition."""
    _install(repl, board, "agent")
    ranged = partition.family in ("ranged", "mram")
    repl.run(f"attach({partition.number},{partition.geometry.block},{algorithm(board)!r},{ranged})")


def scan(repl: RawRepl, board: Board, size: int, block: int) -> list[Block]:
    """Return what the partition's blocks hold, as far as an image of ``size`` bytes would reach."""
    speed = SLOWEST[algorithm(board)]
    said = repl.run(f"scan({size},{block})", ANSWER + 2 * size / speed, most=_most(size) + 80 * (size // block))
    found = [line.partition(" =") for line in said.splitlines()]
    if len(found) != -(-size // block) or any(blank not in ("0", "1") for blank, _, _ in found):
        raise LinkError(f"{repl.link.name}: the board's list of blocks makes no sense: {said[:200]!r}")
    return [Block(digest, blank == "1") for blank, _, digest in found]


def fetch(repl: RawRepl, at: int, size: int) -> Iterator[bytes]:
    """Read what is there, piece by piece."""
    for start in range(at, at + size, READ):
        part = min(READ, at + size - start)
        said = repl.run(f"for t in hexes({start},{part}):print(t)", ANSWER + part)
        try:
            data = bytes.fromhex(said)
        except ValueError:
            data = b""
        if len(data) != part:
            raise LinkError(f"{repl.link.name}: the board answered {said[:200]!r}, which is no part of its partition")
        yield data


def told(repl: RawRepl, board: Board, size: int) -> str:
    """Return the hash of the partition's first ``size`` bytes."""
    said = repl.run(f"tell('=',0,{size})", ANSWER + size / SLOWEST[algorithm(board)], most=_most(size))
    try:
        return _answer(said)
    except RefusedError as error:
        raise LinkError(f"{repl.link.name}: the board cannot read its partition: {error}") from None


def _most(size: int) -> int:
    """Return how long the answer to a question for ``size`` bytes is at most, where they come back themselves."""
    return 4 * size + 4096


def open_channel(repl: RawRepl, board: Board) -> Channel:
    """Send the part of the agent that writes, and open the best channel that the board has."""
    _install(repl, board, "agent_write")
    if board.stream:
        channel = StreamChannel(repl, board)
        if channel.begin():
            return channel
    return StatementChannel(repl, board)


def _frame(board: Board) -> int:
    return next(frame for free, frame in FRAMES if board.free >= free)


def _deflated(data: bytes) -> tuple[bytes, int]:
    """Return raw deflated data, and the logarithm of the window that it needs."""
    wbits = max(9, min(15, (len(data) - 1).bit_length()))
    packer = zlib.compressobj(9, zlib.DEFLATED, -wbits, 9)
    return packer.compress(data) + packer.flush(), wbits


class StreamChannel:
    """Frames on the agent's standard input: what goes up is deflated, and the board asks for each frame.

    There is no flow control on a UART: the next frame goes out only when the last one has been answered.
    """

    def __init__(self, repl: RawRepl, board: Board) -> None:
        self.frame = _frame(board)
        self._repl = repl
        self._deflate = board.deflate
        self._speed = SLOWEST[algorithm(board)]

    def begin(self) -> bool:
        """Start the agent's loop; say whether it answers."""
        self._repl.send("serve()")
        try:
            self._repl.link.read_until(b"+", 3.0)
            self._repl.link.read_until(b"\n", 1.0)
        except LinkError:
            self._repl.enter()
            return False
        return True

    def erase(self, at: int, size: int) -> None:
        """Erase."""
        self._call(b"E", (at, size, 0), b"", size / SLOWEST_ERASE)

    def write(self, at: int, data: bytes, size: int) -> str:
        """Write and return the hash."""
        wbits = 0
        if self._deflate:
            packed, window = _deflated(data)
            if len(packed) < len(data):
                data, wbits = packed, window
        escaped = data.replace(b"\x1b", b"\x1b[").replace(b"\x03", b"\x1bC")
        return self._call(b"W", (at, size, wbits), escaped, size / self._speed)

    def digest(self, at: int, size: int) -> str:
        """Return the hash."""
        return self._call(b"H", (at, size, 0), b"", size / self._speed)

    def close(self) -> None:
        """End the agent's loop."""
        self._repl.link.write(b"Q" + b"0" * 32)
        self._repl.finish(ANSWER)

    def _call(self, kind: bytes, numbers: tuple[int, int, int], data: bytes, seconds: float) -> str:
        link = self._repl.link
        link.write(kind + b"%08x%08x%08x%08x" % (*numbers, len(data)) + data)
        timeout = ANSWER + seconds + len(data) / 2_000
        return _answer(link.read_until(b"\n", timeout, most=_most(numbers[1])).decode(errors="replace"))


class StatementChannel:
    """Calls as statements of the raw REPL, for boards whose standard input has no binary side."""

    def __init__(self, repl: RawRepl, board: Board) -> None:
        self.frame = min(_frame(board), 2 << 10)
        self._repl = repl
        self._board = board
        self._speed = SLOWEST[algorithm(board)]

    def erase(self, at: int, size: int) -> None:
        """Erase."""
        self._call(f"erase({at},{size})", 0, 0, size / SLOWEST_ERASE)

    def write(self, at: int, data: bytes, size: int) -> str:
        """Write and return the hash."""
        wbits = 0
        if self._board.deflate:
            packed, window = _deflated(data)
            if len(packed) < len(data):
                data, wbits = packed, window
        if self._board.base64:
            literal = f"__import__('binascii').a2b_base64({base64.b64encode(data)!r})"
        elif self._board.fromhex:
            literal = f"bytes.fromhex({data.hex()!r})"
        else:
            literal = repr(data)
        return self._call(f"write({at},{literal},{wbits})", at, size, size / self._speed)

    def digest(self, at: int, size: int) -> str:
        """Return the hash."""
        return self._call("'='", at, size, size / self._speed)

    def close(self) -> None:
        """Do nothing: the prompt is there."""

    def _call(self, call: str, at: int, size: int, seconds: float) -> str:
        code = f"try:\n tell({call},{at},{size})\nexcept Exception as e:print('!'+repr(e))"
        try:
            return _answer(self._repl.run(code, ANSWER + seconds + len(code) / 2_000, most=_most(size)))
        except RaisedError as error:  # while it was compiled: there is no memory for the literal
            raise RefusedError(error.last) from None


def _answer(said: str) -> str:
    good, bad, reason = said.strip().partition("!")
    if bad and good[:1] in ("", "="):  # what goes wrong while it hashes comes behind the =
        raise RefusedError(reason)
    if good.startswith("="):
        return good[1:]
    raise LinkError(f"the board answered {said[:200]!r}", hint="Run the same command again.")
