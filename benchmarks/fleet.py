"""Fifty simulated boards at once, seven of them faulty: wall time beside an ideal schedule, and memory per board.

``make bench`` prints the table of ``benchmarks/README.md``. Each kind of board is first written alone, with the same
command. The ideal schedule keeps two boards going at any time and wastes nothing: half the sum of these times, or the
longest of them if that is more.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

from hatch_romfs.settings.values import ARCHS
from tests.board.boards import ARMV7EMSP, coded, mpy
from tests.fleet.support import faulty_boards

GOOD: Final = 43
PORTS: Final = ("rp2", "stm32", "esp8266", "alif", "nrf", "esp32", "samd")
X64: Final = ARCHS.index("x64") + 1
"""The architecture of simulated boards, and of the code in the image."""
SIZE: Final = 64 << 10
DATA: Final = 30_000
MOST_TIME: Final = 1.3
"""Parts of the ideal schedule's time, at most."""
MOST_MEMORY: Final = 40
"""MiB for each board, at most."""


def flash(image: Path, ports: list[str]) -> tuple[float, dict[str, int], int]:
    """Write to boards; return the seconds, how they ended, and the KiB of the largest process of a board."""
    command = [str(Path(sysconfig.get_path("scripts")) / "romfs-flash"), str(image), "--json", "--jobs", "16"]
    for port in ports:
        command += ["--port", port]
    if len(ports) == 1:
        command += ["--report", str(image.parent / "alone.jsonl"), "--full"]
    started = time.monotonic()
    peaks = [0]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watcher = threading.Thread(target=watch_memory, args=(process, peaks))
        watcher.start()
        out, _ = process.communicate()
        watcher.join()
    seconds = time.monotonic() - started
    document = json.loads(out)
    return seconds, {name: document[name] for name in ("verified", "failed")}, max(peaks)


def watch_memory(process: subprocess.Popen[str], peaks: list[int]) -> None:
    """Note the peak memory of each process of a board while the command runs."""
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            except OSError:
                continue
            if fields.get("PPid", "").strip() == str(process.pid) and "VmHWM" in fields:
                peaks.append(int(fields["VmHWM"].split()[0]))
        time.sleep(0.05)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, faulty_boards(X64, ARMV7EMSP, SIZE) as reasons:
        faulty = list(reasons.values())
        data = random.Random(1).randbytes(DATA)  # noqa: S311 - any bytes
        image = Path(folder) / "app.romfs"
        image.write_bytes(coded({"app.mpy": mpy(arch=X64), "data.bin": data}))
        good = [f"sim:{folder}/{number}.bin?size={SIZE}&port={PORTS[number % len(PORTS)]}" for number in range(GOOD)]
        alone = {kind: flash(image, [f"sim:?size={SIZE}&port={kind}"])[0] for kind in PORTS}
        times = [alone[PORTS[number % len(PORTS)]] for number in range(GOOD)]
        times += [flash(image, [port])[0] for port in faulty[2:]]
        times += 2 * [alone["rp2"]]  # the worn one and the one that is cut can only be used once
        ideal = max(sum(times) / 2, *times)
        boards = [*good, *faulty]
        random.Random(1).shuffle(boards)  # noqa: S311 - which of them comes when is chance in a lab, too
        seconds, ended, memory = flash(image, boards)
    ratio, size = seconds / ideal, memory / 1024
    sys.stdout.write(
        "| boards | verified | failed | wall time | ideal | ratio | at most | memory per board | at most |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
        f"| {len(times)} | {ended['verified']} | {ended['failed']} | {seconds:.1f} s | {ideal:.1f} s | {ratio:.2f}"
        f" | {MOST_TIME} | {size:.0f} MiB | {MOST_MEMORY} MiB |\n"
    )
    sys.exit(ended != {"verified": GOOD, "failed": len(faulty)} or ratio > MOST_TIME or size > MOST_MEMORY)


if __name__ == "__main__":
    main()
