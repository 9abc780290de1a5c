"""``romfs-flash IMAGE``: write an image into a partition of a board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.board.autostart import write_main
from hatch_romfs.board.flash import flash
from hatch_romfs.board.messages import flash_summary
from hatch_romfs.cli import replacing, show
from hatch_romfs.cli.command import print_json, print_line, say, tell
from hatch_romfs.cli.source import check_content, open_source, source_path

if TYPE_CHECKING:
    import argparse

    from hatch_romfs.board.flash import FlashResult
    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.replacing import Replacement
    from hatch_romfs.board.session import PortOptions, Session


def write(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """Write an image."""
    removed: list[str] = []

    def on_replace(found: Replacement) -> None:
        removed.extend(found.removed)
        replacing.announce(
            found,
            quiet=options.quiet or options.json,
            verbose=options.verbose,
            yes=options.yes or options.dry_run or options.json,
        )

    source = source_path(options)
    with open_source(options, source) as image, show.progress(quiet=options.json) as on_event:
        if not options.force:
            check_content(image.path, source)
        done = flash(
            image.path,
            port,
            partition=image.partition,
            force=options.force,
            full=options.full,
            dry_run=options.dry_run,
            reset=not options.no_reset,
            on_board=image.check_board,
            on_event=on_event,
            on_replace=on_replace,
            on_flashed=lambda found, done: finish(options, found, flash_summary(done), is_restarted=bool(done.mounted)),
            trace=trace,
            name=str(source),
        )
    if not options.run:
        _show_result(options, done, image.warnings, removed)


def finish(options: argparse.Namespace, found: Session, summary: str, *, is_restarted: bool) -> None:
    """Do what is to be done on a board that was just written to."""
    if options.autostart:
        if not is_restarted:  # the last reset was one that changed the working folder
            found.restart()
        changed = write_main(found.repl, options.autostart)
        if not options.json:
            tell(f"main.py {'imports' if changed else 'already imported'} {options.autostart}")
    if options.run:
        from hatch_romfs.cli.monitor import run as run_on_board  # noqa: PLC0415 - not needed otherwise

        tell(summary)
        run_on_board(found, options.run)


def _show_result(options: argparse.Namespace, done: FlashResult, warnings: list[str], removed: list[str]) -> None:
    """Print what was written, or what would be."""
    steps = [{"action": step.action, "offset": step.offset, "length": step.length} for step in done.plan.steps]
    if options.json:
        print_json(
            {
                "board": done.board.machine,
                "partition": done.partition.number,
                "size": done.size,
                "dry_run": options.dry_run,
                "steps": steps,
                "written": 0 if options.dry_run else done.plan.writes,
                "copied": done.copied,
                "blocks_kept": done.plan.kept,
                "rewritten": done.rewritten,
                "resent": done.resent,
                "sent": done.sent,
                "received": done.received,
                "verified": not options.dry_run,
                "mounted": done.mounted,
                "removed": removed,
                "warnings": warnings,
            }
        )
        return
    show_line = print_line if options.dry_run else say
    if options.dry_run or options.verbose:
        for step in done.plan.steps:
            show_line(str(step))
    show_line(flash_summary(done, dry_run=options.dry_run))
