"""One round trip that tells what a board is, what its partitions are, and what it can do.

A board's answer is data: lines of a name and a value. It is bounded and checked before anything is made of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hatch_romfs.board.frame import check_sum
from hatch_romfs.board.geometry import find_geometry, read_integer
from hatch_romfs.board.plan import Geometry
from hatch_romfs.errors import LinkError
from hatch_romfs.formats.micropython.head import read_head
from hatch_romfs.settings.values import ARCHS

if TYPE_CHECKING:
    from hatch_romfs.board.autostart import MainFile
    from hatch_romfs.board.geometry import Access
    from hatch_romfs.board.repl import RawRepl
    from hatch_romfs.formats.micropython.metadata import Metadata

HEAD: Final = 512
"""Bytes of a partition's start that are looked at."""
PARTITIONS: Final = 16
"""Partitions that are looked at; boards have one or two."""
ANSWER: Final = 32 << 10
"""Bytes of the longest answer."""
TRIES: Final = 3
"""How often the board is asked where its answer arrives damaged."""
# Sizes: of a block by op 6; the unit of writing by op 3, which erases nothing when it is asked for no bytes.
_QUESTIONS: Final = f"""\
import sys,gc
c=0
def o(*a):
 global c
 s=' '.join(str(x)for x in a).replace(chr(10),' ')
 for x in s.encode():c=(c*31+x)&0xffffff
 print(s)
def h(n,*a):
 try:
  m=__import__(n)
  for x in a:m=getattr(m,x)
  o('has','.'.join((n,)+a))
 except Exception:pass
def t(f,*a):
 try:return f(*a)
 except Exception as e:return e
def a(d):
 from uctypes import addressof
 return addressof(d)
def p(k,v):o('part',n,k,v)
i=sys.implementation
o('machine',getattr(i,'_machine',sys.platform))
o('version','.'.join(str(x)for x in i.version[:3]))
o('platform',sys.platform)
o('mpy',getattr(i,'_mpy',0))
h('hashlib','sha256')
h('binascii','crc32')
h('deflate','DeflateIO')
h('binascii','a2b_base64')
h('sys','stdin','buffer')
if hasattr(bytes,'fromhex'):o('has fromhex')
try:
 from vfs import rom_ioctl as q
 k=t(q,1)
 o('parts',k if isinstance(k,int)else 0)
 for n in range(min(k,{PARTITIONS})if isinstance(k,int)else 0):
  try:
   d=q(2,n)
   if d is None or isinstance(d,int):raise ValueError(d)
   p('address',t(a,d))
   if hasattr(d,'ioctl'):
    p('object',1)
    b=d.ioctl(5,0)
    p('block',b)
    p('size',d.ioctl(4,0)*b)
    e=bytearray(min({HEAD},b))
    d.readblocks(0,e)
    if hasattr(d,'info'):p('encrypted',t(lambda:int(d.info()[5])))
   else:
    p('size',len(d))
    u=t(q,6,n)
    p('block',u)
    p('unit',t(q,3,n,0,0)if isinstance(u,int)and u>0 else t(q,3,n,0))
    e=bytes(memoryview(d)[:{HEAD}])
   p('head','')
   for x in range(0,len(e),32):p('head',''.join('%02x'%y for y in e[x:x+32]))
  except Exception as x:p('problem',repr(x))
except (ImportError,AttributeError):pass
"""
_UNIQUE_ID: Final = """\
try:
 from machine import unique_id as f
 o('unique',''.join('%02x'%x for x in f()))
except Exception:pass
"""
_END: Final = """\
gc.collect()
o('free',gc.mem_free())
print('sum',c)
"""
CODE: Final = _QUESTIONS + _END
IDENTIFYING_CODE: Final = _QUESTIONS + _UNIQUE_ID + _END
"""Also asks for the number that no other board has, if the firmware knows it."""
LONGEST_ID: Final = 64
"""Bytes of the longest unique ID that is believed; boards have 6 to 16."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A ROMFS partition: how it is reached, its geometry, and what it holds: an image's size in bytes and metadata.

    ``address`` is where programs on the board see its first byte, None where the board cannot tell. ``head`` is its
    first bytes, 512 at most. ``problem`` says why it cannot be used, "" where it can.
    """

    number: int
    access: Access
    geometry: Geometry
    image_size: int | None
    metadata: Metadata | None
    address: int | None
    head: bytes = field(default=b"", repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """A board: what it reports of itself, what it can do, and its partitions, None where its firmware has no ROMFS.

    ``main`` is its ``main.py``, None if it has none or has not been asked for it. ``unique_id`` is the answer of
    ``machine.unique_id()`` in hexadecimal, None if the firmware does not know it or has not been asked.
    """

    machine: str
    version: str
    platform: str
    mpy: int
    free: int
    sha256: bool
    crc32: bool
    deflate: bool
    base64: bool
    fromhex: bool
    stream: bool
    partitions: tuple[Partition, ...] | None
    main: MainFile | None = None
    unique_id: str | None = None

    def __repr__(self) -> str:
        count = None if self.partitions is None else len(self.partitions)
        return f"<{type(self).__name__} {self.machine!r}: MicroPython {self.version!r}, partitions: {count}>"

    @property
    def mpy_version(self) -> tuple[int, int]:
        """The version and sub-version of ``.mpy`` that it loads; (0, 0) for none."""
        return self.mpy & 0xFF, self.mpy >> 8 & 3

    @property
    def arch(self) -> str | None:
        """The architecture of native code that it runs."""
        number = self.mpy >> 10 & 0xF
        return ARCHS[number - 1] if 0 < number <= len(ARCHS) else None


FEATURES: Final = {
    "hashlib.sha256": "sha256",
    "binascii.crc32": "crc32",
    "deflate.DeflateIO": "deflate",
    "binascii.a2b_base64": "base64",
    "fromhex": "fromhex",
    "sys.stdin.buffer": "stream",
}


def probe(repl: RawRepl, *, identify: bool = False) -> Board:
    """Ask the board, with ``identify`` also for its unique ID.

    Raises LinkError where the answer is not a description of a board.
    """
    code = IDENTIFYING_CODE if identify else CODE
    for _ in range(TRIES):
        lines = [line.rstrip("\r") for line in repl.run_again(code, most=ANSWER).split("\n")[:-1]]
        if lines and lines[-1] == f"sum {check_sum(''.join(lines[:-1]).encode())}":
            break
    else:
        raise _not_understood(repl, "its check sum is wrong", lines)
    try:
        return _board(lines)
    except (KeyError, ValueError) as error:
        raise _not_understood(repl, str(error), lines) from None


def _not_understood(repl: RawRepl, reason: str, lines: list[str]) -> LinkError:
    return LinkError(
        f"{repl.link.name}: the board's description of itself cannot be understood: {reason}:"
        f" {' '.join(lines)[:200]!r}",
        hint="Is it a MicroPython board? Run the same command again.",
    )


@dataclass(slots=True)
class _Answer:
    """The lines of an answer: values by name, and those of each partition by its number."""

    values: dict[str, str] = field(default_factory=dict)
    features: set[str] = field(default_factory=set)
    partitions: dict[int, dict[str, str]] = field(default_factory=dict)


def _read(lines: list[str]) -> _Answer:
    found = _Answer()
    for line in lines:
        name, _, value = line.partition(" ")
        if name == "has":
            found.features.add(value)
        elif name == "part":
            number, key, text = value.split(" ", 2)
            part = found.partitions.setdefault(read_integer(number), {})
            part[key] = part.get(key, "") + text  # the first bytes come in several lines
        else:
            found.values[name] = value
    return found


def _board(lines: list[str]) -> Board:
    found = _read(lines)
    count = found.values.get("parts")
    platform = found.values["platform"]
    partitions = None
    if count is not None:
        numbers = range(min(max(read_integer(count), 0), PARTITIONS))
        partitions = tuple(_partition(n, found.partitions.get(n, {}), platform) for n in numbers)
    return Board(
        machine=found.values["machine"],
        version=found.values["version"],
        platform=platform,
        mpy=read_integer(found.values["mpy"]),
        free=max(0, read_integer(found.values["free"])),
        partitions=partitions,
        main=None,
        unique_id=_unique_id(found.values.get("unique", "")),
        **{name: feature in found.features for feature, name in FEATURES.items()},
    )


def _partition(number: int, part: dict[str, str], platform: str) -> Partition:
    """Return a partition; one that cannot be understood is unusable, which is no reason not to use the others."""
    try:
        if "problem" in part:
            return _unusable(number, f"the board answers {part['problem']}")
        size = read_integer(part["size"])
        first = bytes.fromhex(part["head"])
        access, geometry = find_geometry(part, size, platform)
    except (KeyError, ValueError) as error:
        reason = f"the board does not tell its {error}" if isinstance(error, KeyError) else str(error)
        return _unusable(number, reason)
    head = read_head(first, size)
    address = _address(part.get("address", ""))
    return Partition(number, access, geometry, head and head.size, head and head.metadata, address, first)


def _unusable(number: int, problem: str) -> Partition:
    return Partition(number, "unusable", Geometry(0, 1, 1, "never"), None, None, None, problem=problem)


def _unique_id(text: str) -> str | None:
    """Return a unique ID as the board printed it, or None if it is none, such as the zeros of a chip without one."""
    is_id = re.fullmatch(f"([0-9a-f]{{2}}){{1,{LONGEST_ID}}}", text) and len(set(bytes.fromhex(text))) > 1
    return text if is_id else None


def _address(text: str) -> int | None:
    """Return an address; older firmware prints the upper half of 32 bits as negative."""
    try:
        address = read_integer(text, 1 << 64)
    except ValueError:
        return None
    return address % (1 << 32 if address < 0 else 1 << 64)
