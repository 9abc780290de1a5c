"""Building Linux's romfs beside genromfs and PyPI's romfs, in one run: whole processes, wall time and memory.

``make bench`` prints the table of ``benchmarks/README.md``. The folder of many files has 2,000 of them, of 0 to 4,000
random bytes, in 40 folders; the other holds one file of 512 MiB. Each image goes to a new file, because some file
systems write a file to the disk at once that takes the place of another.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.build import BLOB, Bench, Row, Run, best, measured

FILES = 2000
ROUNDS = 15


class LinuxBench(Bench):
    """The same environment with PyPI's romfs, and Debian's genromfs."""

    packages = ("romfs",)

    def run(self, command: list[str]) -> Run:
        """Run a command that makes ``image``, which is not there before."""
        (self.folder / "image").unlink(missing_ok=True)
        return measured(command)

    def turns(self, ours: list[str], theirs: list[str], rounds: int, bound: float, what: str) -> Row:
        """Compare in turns; when the best of all rounds is not good enough, as often again."""
        pairs: list[tuple[Run, Run]] = []
        row: Row | None = None
        while row is None or (row.ratio > bound and len(pairs) < 2 * rounds):
            pairs += [(self.run(ours), self.run(theirs)) for _ in range(rounds)]
            row = Row(what, best([pair[0] for pair in pairs]), best([pair[1] for pair in pairs]), bound)
        return row

    def image_command(self, tree: Path) -> list[str]:
        """Return the call of romfs-image."""
        options = ["--format", "linux", "-o", str(self.folder / "image")]
        return [str(self.scripts / "romfs-image"), "build", str(tree), *options]

    def many_files(self) -> Row:
        """Compare on many small files."""
        tree, generator = self.folder / "files", random.Random(1)  # noqa: S311
        for number in range(FILES):
            folder = tree / f"d{number % 40}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"f{number}").write_bytes(generator.randbytes(generator.randrange(4000)))
        theirs = [str(self.scripts / "romfs"), "pack", str(tree), "-o", str(self.folder / "image")]
        return self.turns(self.image_command(tree), theirs, ROUNDS, 0.8, f"{FILES:,} files, beside romfs pack")

    def blob(self, rounds: int = 5) -> list[Row]:
        """Compare on one large file, with and without the hash of the image that romfs-image says."""
        tree = self.folder / "blob"
        tree.mkdir()
        with (tree / "blob.bin").open("wb") as file:
            for _ in range(BLOB >> 20):
                file.write(os.urandom(1 << 20))
        options = ["-d", str(tree), "-f", str(self.folder / "image")]
        front = [str(self.scripts / "python"), "-m", "hatch_romfs.genromfs", *options]
        theirs = ["genromfs", *options]
        what = f"a file of {BLOB >> 20} MiB, beside genromfs"
        rows = [
            self.turns(front, theirs, rounds, 1.2, what),
            self.turns(self.image_command(tree), theirs, rounds, 2.0, f"{what}, and hashed"),
        ]
        shutil.rmtree(tree)
        return rows


def main() -> None:
    """Measure everything and print the table; with ``--json`` what the tests read."""
    with tempfile.TemporaryDirectory() as folder:
        bench = LinuxBench(Path(folder))
        rows = [bench.many_files(), *bench.blob()]
    if "--json" in sys.argv:
        print(json.dumps({"rows": [asdict(row) | {"ratio": row.ratio} for row in rows]}))
        return
    print("| build | ours | the peer | ratio | our memory |\n|---|---|---|---|---|")
    for row in rows:
        memory = f"{row.ours.memory >> 20} MiB"
        print(f"| {row.what} | {row.ours.seconds:.3f} s | {row.peer.seconds:.3f} s | {row.ratio:.2f} | {memory} |")


if __name__ == "__main__":
    main()
