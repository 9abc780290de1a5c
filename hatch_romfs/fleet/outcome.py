"""What the report says about a board, from what is known when its work ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hatch_romfs.fleet.report import Entry, now

if TYPE_CHECKING:
    from hatch_romfs.board.flash import FlashResult
    from hatch_romfs.fleet.messages import Found, ImageFile, Job


def failed_entry(job: Job, image: ImageFile, board: Found | None, reason: str, seconds: float) -> Entry:
    """Return the entry of a board that is not verified; ``board`` is None if it did not even answer."""
    return Entry(
        time=now(),
        port=board.port if board else job.port,
        serial_number=board.serial_number if board else None,
        unique_id=board.unique_id if board else None,
        machine=board.machine if board else None,
        firmware=board.version if board else None,
        image=image.name,
        version=image.version,
        sha256=image.sha256,
        partition=job.partition,
        blocks=0,
        bytes=0,
        seconds=round(seconds, 3),
        retries=0,
        result="failed",
        reason=reason,
    )


def verified_entry(job: Job, image: ImageFile, board: Found | None, result: FlashResult, seconds: float) -> Entry:
    """Return the entry of a board that has the image."""
    blocks = -(-result.size // result.partition.geometry.block)
    return replace(
        failed_entry(job, image, board, "", seconds),
        blocks=blocks - result.plan.kept if result.plan.writes else 0,
        bytes=result.plan.writes,
        retries=result.rewritten + result.resent,
        result="verified",
    )
