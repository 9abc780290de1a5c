"""What a change costs on a board that has the image from before it: blocks, bytes up the line, and seconds.

``make bench`` prints the tables of ``benchmarks/README.md``. The images are those of ``benchmarks/layout.py``. Whatever
has only moved is copied on the board; for comparison, it is also sent.
"""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.build import Bench
from benchmarks.counted import CountingBoard
from benchmarks.flash import LINES, Row, deploy, flash, table, unknown_images
from benchmarks.layout import KIB, Corpus, corpora, image_of
from hatch_romfs import flash as flash_here
from hatch_romfs.sim.board import SimOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_romfs import FlashResult

LAYOUTS: Final = ("compact", "stable")
BOARDS: Final = {4: SimOptions(), 64: SimOptions(port="stm32", block=64 * KIB)}
"""A board for each size of its erase blocks in KiB."""
PART: Final = 0.1
"""At most this part of the bytes of mpremote's deploy is sent for a change."""


def make_images(corpus: Corpus, layout: str) -> dict[str, bytes]:
    """Return an image of a corpus, under the name ``""``, and those after changes, by what was changed."""
    files = corpus.files()
    module, other = corpus.modules[len(corpus.modules) // 3], corpus.modules[len(corpus.modules) // 2]
    name = module.name.removesuffix(".mpy")
    changes = {
        "": files,
        "a module edited": corpus.files(module.name),
        "a module added": files | {f"{name}_added.mpy": other.edited},
        "a module deleted": {path: data for path, data in files.items() if path != module.name},
        "10 KB of data added": files | {f"{name}_added.bin": hashlib.shake_128(b"added").digest(10_000)},
    }
    for path, data in corpus.data.items():
        half = len(data) // 2
        changes["100 bytes inserted into the data"] = files | {path: data[:half] + bytes(range(100)) + data[half:]}
        changes["5 KB deleted from the data"] = files | {path: data[:half] + data[half + 5000 :]}
    return {what: image_of(changed, layout) for what, changed in changes.items()} | {
        "another version": image_of(files, layout, "1.10.12")
    }


@dataclass(frozen=True)
class Change:
    """What a change costs: the blocks that are erased, bytes up the line, and those if nothing is copied."""

    what: str
    blocks: int
    sent: int
    sent_all: int


def measure(images: dict[str, bytes], options: SimOptions, folder: Path) -> Iterator[Change]:
    """Make each change on a board that has the image from before it."""
    paths = {what: folder / (what or "before") for what in images}
    for what, path in paths.items():
        path.write_bytes(images[what])
    with CountingBoard(options) as board:

        def cost(path: Path) -> tuple[FlashResult, int]:
            before = board.counts
            done = flash_here(path, board.port)
            if not board.file.read_bytes().startswith(path.read_bytes()):
                raise RuntimeError(f"{path} is not in the partition")
            return done, board.counts.since(before).erased

        for what in filter(None, paths):
            cost(paths[""])
            with unknown_images():
                everything, _ = cost(paths[what])
            cost(paths[""])
            done, erased = cost(paths[what])
            yield Change(what, erased, done.sent, everything.sent)


class ChangesBench(Bench):
    """The environment with ours and mpremote."""

    packages = ("mpremote",)

    def rows(self, corpus: Corpus, folder: Path) -> Iterator[Row]:
        """Compare the first deploy and all changes on two lines, with whole processes."""
        paths = {what: folder / f"{what or 'before'}.romfs" for what in make_images(corpus, "compact")}
        for what, image in make_images(corpus, "compact").items():
            paths[what].write_bytes(image)
        for line in (LINES[0], LINES[-1]):
            with line.board() as board:
                peer = deploy(self.scripts, board, paths[""])
            with line.board() as board:
                for what in filter(None, paths):
                    before = flash(self.scripts, board, paths[""], line.baud)
                    if what == "a module edited":
                        yield Row(corpus.title, line.name, "first deploy", before, peer, None)
                    yield Row(
                        corpus.title, line.name, what, flash(self.scripts, board, paths[what], line.baud), peer, None
                    )


def bytes_table(scripts: Path, folder: Path) -> str:
    """Return the bytes of all changes as Markdown."""
    lines = [
        "| image | layout | blocks of | change | blocks erased | bytes up | if nothing is copied | mpremote's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for corpus, layout in itertools.product(corpora(), LAYOUTS):
        images = make_images(corpus, layout)
        path = folder / "peer.romfs"
        path.write_bytes(images[""])
        with CountingBoard() as board:
            peer = deploy(scripts, board, path)
        for block, options in BOARDS.items():
            lines += [
                f"| {corpus.title} | {layout} | {block} KiB | {change.what} | {change.blocks}"
                f" | {change.sent:,} ({change.sent / peer.sent:.1%}) | {change.sent_all:,} | {peer.sent:,} |"
                for change in measure(images, options, folder)
            ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print the tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = ChangesBench(folder / "bench")
        with unknown_images():
            print(bytes_table(bench.scripts, folder), end="\n\n")
            print(table([row for corpus in corpora() for row in bench.rows(corpus, folder)]))


if __name__ == "__main__":
    main()
