"""The agent, MicroPython code on the board that reads its partition: sending it, and asking it."""

from __future__ import annotations

import ast
import base64
import zlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.answers import RefusedError, read_result
from hatch_romfs.board.hashes import HASHES, SLOWEST, algorithm
from hatch_romfs.board.plan import Block
from hatch_romfs.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_romfs.board.probe import Board, Partition
    from hatch_romfs.board.repl import RawRepl

LITTLE: Final = 32 << 10
"""Bytes of free memory below which a board gets the agent one function at a time, and no frames.

Compiling needs memory too: a board that has little is better off with statements.
"""
ROOMY: Final = 64 << 10
"""Bytes of free memory from which on a board gets the agent deflated, all of its parts at once."""
ANSWER: Final = 10.0
"""Seconds allowed for any answer, in addition to those for the work."""
READ: Final = 2048
"""Bytes that one read of a partition brings back."""


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


def install(repl: RawRepl, board: Board, *names: str) -> None:
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
    install(repl, board, "agent")
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
    most = 80 * -(-size // block) + (longest_answer(size) if how == "bytes" else 0) + 4096
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
    return range_hash(repl, algorithm(board), 0, size)


def range_hash(repl: RawRepl, how: str, at: int, size: int) -> str:
    """Return the hash of a range of the partition, made by ``how``."""
    answer = repl.run_again(f"tell({how!r},{at},{size})", ANSWER + size / SLOWEST[how], most=longest_answer(size))
    try:
        return read_result(answer)
    except RefusedError as error:
        raise LinkError(f"{repl.link.name}: the board cannot read its partition: {error}") from None


def longest_answer(size: int) -> int:
    """Return the length of the longest answer to a question for the hash of ``size`` bytes."""
    return 4 * size + 4096
