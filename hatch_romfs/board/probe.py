"""One round trip that says what a board is, what its partitions are, and what it has to offer."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from hatch_romfs.board.plan import Geometry
from hatch_romfs.errors import LinkError
from hatch_romfs.formats.micropython.metadata import Metadata, decode
from hatch_romfs.formats.micropython.records import MAGIC, PADDING
from hatch_romfs.settings.values import ARCHS

if TYPE_CHECKING:
    from hatch_romfs.board.repl import RawRepl

HEAD: Final = 512
"""Bytes of a partition's start that are looked at."""
GROUP: Final = 4096
"""Bytes compared at once where what is erased at once is smaller, or nothing is."""
OBJECT_UNIT: Final = 256
"""Bytes that partitions of the object family are written in: a page of NOR flash, the largest unit among them."""

Family = Literal["object", "ranged", "whole", "mram", "read-only"]

# Sizes: of a block by op 6; the unit of writing by op 3, which erases nothing when it is asked for no bytes.
CODE: Final = f"""\
import sys,gc
def h(n,*a):
 try:
  m=__import__(n)
  for x in a:m=getattr(m,x)
  return 1
 except Exception:return 0
def t(f,*a):
 try:return f(*a)
 except Exception:return None
def a(d):
 from uctypes import addressof
 return addressof(d)
i=sys.implementation
r={{'machine':getattr(i,'_machine',sys.platform),
'version':'.'.join(str(x)for x in i.version[:3]),'mpy':getattr(i,'_mpy',0),
'sha256':h('hashlib','sha256'),'crc32':h('binascii','crc32'),'deflate':h('deflate','DeflateIO'),'base64':h('binascii','a2b_base64'),
'fromhex':int(hasattr(bytes,'fromhex')),'stream':h('sys','stdin','buffer'),'parts':None}}
try:
 from vfs import rom_ioctl as q
 r['parts']=[]
 for n in range(t(q,1)or 0):
  d=q(2,n)
  p={{'object':int(hasattr(d,'ioctl')),'at':t(a,d)}}
  if p['object']:
   c,b=d.ioctl(4,0),d.ioctl(5,0)
   p['size'],p['block']=c*b,b
   e=bytearray(min({HEAD},b));d.readblocks(0,e)
  else:
   p['size'],p['op6']=len(d),t(q,6,n)
   p['op3']=t(q,3,n,0,0)if(p['op6']or-1)>0 else t(q,3,n,0)
   e=bytes(memoryview(d)[:{HEAD}])
  p['head']=bytes(e)
  r['parts'].append(p)
except (ImportError,AttributeError):pass
gc.collect()
r['free']=gc.mem_free()
print(r)
"""


@dataclass(frozen=True, slots=True)
class Partition:
    """A ROMFS partition: its family, its geometry, and what it holds: an image's size in bytes and its metadata.

    ``address`` is where programs on the board see its first byte, None where the board cannot tell.
    """

    number: int
    family: Family
    geometry: Geometry
    image_size: int | None
    metadata: Metadata | None
    address: int | None


@dataclass(frozen=True, slots=True)
class Board:
    """A board: what it says of itself, what it can, and its partitions, None where its firmware has no ROMFS."""

    machine: str
    version: str
    mpy: int
    free: int
    sha256: bool
    crc32: bool
    deflate: bool
    base64: bool
    fromhex: bool
    stream: bool
    partitions: tuple[Partition, ...] | None

    @property
    def mpy_version(self) -> tuple[int, int]:
        """The version and sub-version of ``.mpy`` that it loads; (0, 0) for none."""
        return self.mpy & 0xFF, self.mpy >> 8 & 3

    @property
    def arch(self) -> str | None:
        """The architecture of native code that it runs."""
        number = self.mpy >> 10 & 0xF
        return ARCHS[number - 1] if 0 < number <= len(ARCHS) else None


def probe(repl: RawRepl) -> Board:
    """Ask the board; raises LinkError where the answer makes no sense."""
    answer = repl.value(CODE)
    try:
        return _board(answer)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise LinkError(f"the board's description of itself makes no sense: {error!r} in {str(answer)[:200]}") from None


def _board(answer: dict[str, Any]) -> Board:
    parts = answer["parts"]
    flags = {name: bool(answer[name]) for name in ("sha256", "crc32", "deflate", "base64", "fromhex", "stream")}
    return Board(
        machine=str(answer["machine"]),
        version=str(answer["version"]),
        mpy=int(answer["mpy"]),
        free=int(answer["free"]),
        partitions=None if parts is None else tuple(_partition(n, part) for n, part in enumerate(parts)),
        **flags,
    )


def _partition(number: int, part: dict[str, Any]) -> Partition:
    size = int(part["size"])
    family, block, unit = _family(part)
    erasing: dict[Family, Any] = {
        "object": "blocks",
        "ranged": "blocks",
        "whole": "all",
        "mram": "nothing",
        "read-only": "never",
    }
    if min(size, block, unit) <= 0 or block % unit or not isinstance(part["head"], bytes):
        raise ValueError(f"a partition of {size} bytes with blocks of {block} and units of {unit}")
    geometry = Geometry(size, block, unit, erasing[family])
    return Partition(number, family, geometry, *_held(part["head"], size), _address(part["at"]))


def _address(told: object) -> int | None:
    """Return an address that a board has told; older firmware tells the upper half of 32 bits as negative."""
    return told % (1 << 32 if told < 0 else 1 << 64) if isinstance(told, int) else None


def _family(part: dict[str, Any]) -> tuple[Family, int, int]:
    """Return the family, the bytes erased or compared at once, and the unit of writing."""
    if part["object"]:
        return "object", int(part["block"]), min(OBJECT_UNIT, int(part["block"]))
    block, unit = part["op6"], part["op3"]
    if unit is None or unit == -errno.EINVAL:  # any other error is of the flash, and will show again when it is used
        return "read-only", GROUP, 1
    unit = max(4, int(unit))
    if block is None or block <= 0:
        return "whole", GROUP, unit
    return ("mram", GROUP, unit) if block <= unit else ("ranged", int(block), unit)


def _held(head: bytes, size: int) -> tuple[int | None, Metadata | None]:
    """Return the size of the image that a partition seems to hold, and what it says of itself."""
    if not head.startswith(MAGIC):
        return None, None
    length, at = _number(head, len(MAGIC))
    if at + length > size:
        return None, None
    comment = b""
    if head[at : at + 1] == bytes([PADDING]):
        stop, start = _number(head, at + 1)
        comment = head[start : start + stop]  # where it is longer than what was looked at, it is no whole JSON
    return at + length, decode(comment)


def _number(head: bytes, at: int) -> tuple[int, int]:
    """Return the varuint at ``at`` and the offset behind it; one that is cut short is as good as any."""
    value, more = 0, True
    while more and at < len(head):
        value, more = value << 7 | head[at] & 0x7F, head[at] >= 0x80  # noqa: PLR2004 - the high bit
        at += 1
    return value, at
