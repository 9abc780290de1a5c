"""A model of flash on which plans are carried out, with the power cut at every unit that is written."""

import binascii
import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hatch_romfs.board.copies import LITERAL, recipe
from hatch_romfs.board.delta import CHUNK
from hatch_romfs.board.plan import Block, Geometry, Plan, Step, digests, make_plan, spans
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.records import MAGIC
from hatch_romfs.formats.micropython.writer import image_chunks
from tests.board.boards import declared
from tests.trees import tree

ERASED = 0xFF


def image_of(data: bytes) -> bytes:
    return b"".join(image_chunks(lay_out(tree({"f": data} if data else {}))))


def hashed(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


WORD = 4
"""Bytes that flash with ``once`` programs at most twice."""


@dataclass(frozen=True)
class Change:
    """An erase or a write that is about to happen: what the bytes from ``at`` on are before and after it."""

    step: Step
    at: int
    old: bytes
    new: bytes


@dataclass
class Flash:
    """A partition under the rules of its kind of flash; ``programmed`` counts writes of each word since an erase.

    ``saved`` is what the board has in its memory, by its offset, and ``most_saved`` how many bytes that were at most.
    """

    geometry: Geometry
    content: bytearray
    programmed: list[int] = field(default_factory=list)
    saved: dict[int, bytes] = field(default_factory=dict)
    most_saved: int = 0

    def __post_init__(self) -> None:
        if not self.programmed:
            self.programmed = [2] * -(-len(self.content) // WORD)

    def copy(self) -> "Flash":
        return Flash(self.geometry, self.content[:], self.programmed[:])

    def blocks(self, size: int) -> list[Block]:
        """Return what a board says of its blocks, as far as an image of ``size`` bytes reaches."""
        block = self.geometry.block
        return [
            Block(hashed(self.content[at : at + part]), set(self.content[at : at + block]) <= {ERASED})
            for at, part in spans(size, block)
        ]

    def plan(self, image: bytes, *, full: bool = False) -> Plan:
        wanted = digests(memoryview(image), self.geometry.block)
        return make_plan(len(image), wanted, self.blocks(len(image)), self.geometry, full=full)

    def carry_out(self, plan: Plan, image: bytes) -> Iterator[Change]:
        """Do the steps; yield each change before it is made, so that a test can make a part of it instead."""
        prepared = False
        for step in plan.steps:
            end = step.offset + step.length
            data = image[step.offset : end]
            if step.action in ("save", "forget"):
                self.change_memory(step)
                continue
            match step.action:
                case "verify":
                    assert self.content[step.offset : end] == data
                    continue
                case "invalidate" | "erase":
                    change = self.erased(step)
                case "clear":
                    change = self.cleared(step)
                case "prepare":
                    prepared = True
                    change = self.written(step, bytes([ERASED]) * len(MAGIC) + data[len(MAGIC) :])
                case "commit" if prepared and self.geometry.reprogramming != "any":
                    change = self.written(step, MAGIC)
                case "write":
                    change = self.written(step, self.assembled(plan, step, data))
                case _:
                    change = self.written(step, data)
            yield change
            self.content[change.at : change.at + len(change.new)] = change.new

    def change_memory(self, step: Step) -> None:
        """Copy content into memory, in whole chunks, or free it."""
        assert step.offset % CHUNK == step.length % CHUNK == 0
        for at in range(step.offset, step.offset + step.length, CHUNK):
            if step.action == "forget":
                del self.saved[at]
            else:
                assert at not in self.saved
                self.saved[at] = bytes(self.content[at : at + CHUNK])
        self.most_saved = max(self.most_saved, CHUNK * len(self.saved))

    def assembled(self, plan: Plan, step: Step, data: bytes) -> bytes:
        """Return what the board puts together, which is ``data`` if all that it copies is still there."""
        block = self.geometry.block
        own = range(step.offset // block * block, -(-(step.offset + step.length) // block) * block, CHUNK)

        def old(at: int, size: int) -> bytes:
            chunks = range(at - at % CHUNK, at + size, CHUNK)
            assert all(chunk in self.saved for chunk in chunks if chunk in own), f"{step} overwrites what it needs"
            found = b"".join(self.saved.get(chunk, bytes(self.content[chunk : chunk + CHUNK])) for chunk in chunks)
            return found[at % CHUNK :][:size]

        how = recipe(plan.copies, step.offset, data)
        return put_together(how.data, old) if how else data

    def erased(self, step: Step) -> Change:
        """Erase blocks; where single ones cannot be erased, from the start."""
        block, everything = self.geometry.block, self.geometry.erasing == "all"
        assert step.offset % block == 0
        assert step.length % block == 0 or everything
        assert step.offset == 0 or self.geometry.erasing == "blocks"
        end = step.offset + -(-step.length // block) * block
        assert end <= len(self.content)
        for word in range(step.offset // WORD, end // WORD):
            self.programmed[word] = 0
        return Change(step, step.offset, bytes(self.content[step.offset : end]), bytes([ERASED]) * (end - step.offset))

    def cleared(self, step: Step) -> Change:
        """Replace a magic by zeros, in the unit that holds it."""
        assert (step.offset, step.length) == (0, len(MAGIC))
        assert self.geometry.reprogramming in ("any", "clear")
        old = bytes(self.content[: self.geometry.unit])
        blank = old.startswith(bytes([ERASED]) * len(MAGIC))
        return Change(step, 0, old, old if blank else bytes(len(MAGIC)) + old[len(MAGIC) :])

    def written(self, step: Step, data: bytes) -> Change:
        """Program whole units, as often as this kind of flash allows; a write of flash only clears bits."""
        assert step.offset % self.geometry.unit == 0
        data = data.ljust(-(-step.length // self.geometry.unit) * self.geometry.unit, bytes([ERASED]))
        old = bytes(self.content[step.offset : step.offset + len(data)])
        match self.geometry.reprogramming:
            case "any":
                return Change(step, step.offset, old, data)
            case "none":
                assert set(old) == {ERASED}, f"{step} writes over what is not erased"
            case "once":
                for word in range(step.offset // WORD, (step.offset + len(data)) // WORD):
                    self.programmed[word] += 1
                    assert self.programmed[word] <= 2, f"{step} is the third write of a word"
        new = bytes(was & bits for was, bits in zip(old, data, strict=True))
        assert all(new[at] == byte or byte == ERASED for at, byte in enumerate(data)), f"{step} would set bits"
        return Change(step, step.offset, old, new)


def torn(change: Change, luck: random.Random) -> Iterator[bytes]:
    """Return what a power cut inside an erase or a write can leave: its front, its back, random words, random bits.

    Of the header's unit every front and every back is tried, of other changes a few.
    """
    old, new, size = change.old, change.new, len(change.new)
    ends = {*range(min(size, 24)), *range(max(0, size - 3), size), *(luck.randrange(size) for _ in range(4))}
    for end in ends if change.at == 0 else (luck.randrange(size),):
        yield new[:end] + old[end:]
        yield old[:end] + new[end:]
    for _ in range(4 if change.at == 0 else 1):
        words = [new if luck.getrandbits(1) else old for _ in range(0, size, WORD)]
        yield b"".join(one[at * WORD : at * WORD + WORD] for at, one in enumerate(words))
        mask = luck.getrandbits(8 * size)
        before, after = (int.from_bytes(one, "big") for one in (old, new))
        yield (before ^ (before ^ after) & mask).to_bytes(size, "big")


def cuts(flash: Flash, plan: Plan, image: bytes, luck: random.Random) -> Iterator[tuple[Change, Flash]]:
    """Carry out a plan; return each state in which a power cut inside a change, or before it, leaves the flash."""
    for change in flash.carry_out(plan, image):
        for part in (change.old, change.new, *torn(change, luck)):
            state = flash.copy()
            state.content[change.at : change.at + len(part)] = part
            yield change, state


def is_allowed(content: bytearray, *images: bytes) -> bool:
    """Say whether nothing mounts, or an image that is whole."""
    if declared(bytes(content)) is None:
        return True
    return any(image and content.startswith(image) for image in images)


def put_together(data: bytes, old: Callable[[int, int], bytes]) -> bytes:
    """Follow a recipe, as a board does."""
    found, at = b"", 4
    while at < len(data):
        source, size = (int.from_bytes(data[start : start + 4], "big") for start in (at, at + 4))
        at += 8
        if source == LITERAL:
            found += data[at : at + size]
            at += size
        else:
            found += old(source, size)
    assert binascii.crc32(found) == int.from_bytes(data[:4], "big")
    return found


WINDOWS: dict[str, set[str]] = {
    "any": set(),
    "clear": set(),
    "once": {"invalidate"},
    "none": {"invalidate", "commit"},
}
"""The steps that may leave something else that mounts when they are torn: those that no order of writing avoids."""
