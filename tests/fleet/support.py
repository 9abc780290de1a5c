"""Entries of reports, and the command in a process of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

from hatch_romfs.fleet.report import Entry
from tests import judges

ENTRY = Entry(
    time="2026-11-25T20:00:00Z",
    port="/dev/ttyACM0",
    serial_number="E6614C311B7E6F35",
    unique_id="e6614c311b7e6f35",
    machine="Raspberry Pi Pico with RP2040",
    firmware="1.27.0",
    image="app",
    version="1.0.0",
    sha256="ab" * 32,
    partition=0,
    blocks=4,
    bytes=14_000,
    seconds=1.25,
    retries=0,
    result="verified",
)


def command(*arguments: object) -> list[str]:
    return [judges.command("romfs-flash"), *map(str, arguments)]


def romfs_flash(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def lines(report: Path) -> list[dict[str, Any]]:
    """Return the lines of a report, read without our reader."""
    text = report.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]
