"""``romfs-flash --to-filesystem``: the files of an image in a board's writable filesystem."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hatch_romfs.board.filesystem.compare import list_filesystem, verify_filesystem
from hatch_romfs.board.filesystem.deploy import erase_filesystem, write_filesystem
from hatch_romfs.board.messages import list_paths
from hatch_romfs.cli import show
from hatch_romfs.cli.command import print_json, print_line, say, tell
from hatch_romfs.cli.replacing import announce_files
from hatch_romfs.cli.source import check_content, open_source, source_path
from hatch_romfs.cli.write import finish
from hatch_romfs.tree import Directory, File, MemoryContent

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from hatch_romfs.board.filesystem.compare import FilesystemListing
    from hatch_romfs.board.filesystem.deploy import FilesystemResult
    from hatch_romfs.board.link import Trace
    from hatch_romfs.board.session import PortOptions


def write(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """Write files, and do what the options ask for afterward."""
    source = source_path(options)
    with open_source(options, source) as image, show.progress(quiet=options.json) as on_event:
        if not options.force:
            check_content(image.path, source)
        done = write_filesystem(
            image.path,
            port,
            folder=options.to_filesystem,
            force=options.force,
            full=options.full,
            dry_run=options.dry_run,
            reset=not options.no_reset,
            on_board=image.check_board,
            on_event=on_event,
            on_replace=lambda found: announce_files(
                found, verbose=options.verbose, yes=options.yes or options.dry_run or options.json
            ),
            on_written=lambda found, done: finish(options, found, summary(done), is_restarted=False),
            trace=trace,
        )
    for warning in done.warnings:
        image.warn(warning)
    if options.json:
        print_json(_document(done, image.warnings, dry_run=options.dry_run))
        return
    if done.plan.removed:
        _tell_removed(done, verbose=options.verbose, dry_run=options.dry_run)
    if not options.run:
        show_line = print_line if options.dry_run else say
        if options.dry_run or options.verbose:
            for step in done.plan.steps:
                show_line(str(step))
        show_line(summary(done, dry_run=options.dry_run))


def _tell_removed(done: FilesystemResult, *, verbose: bool, dry_run: bool) -> None:
    """Say which files of an earlier run are gone: they may have been those of another project."""
    removed = done.plan.removed
    count = show.count(len(removed), "file")
    verb = "would remove" if dry_run else "removed"
    tell(f"{verb} {count} of an earlier run that the new image does not have:")
    for line in list_paths(removed, verbose=verbose):
        tell(line)


def summary(done: FilesystemResult, *, dry_run: bool = False) -> str:
    """Return what was done, in a line."""
    written, size = len(done.plan.written), sum(step.size for step in done.plan.written)
    removed = len(done.plan.removed)
    where = f"{done.folder} of {done.board.machine}"
    if dry_run:
        text = f"{where}: {written:,} of {show.count(done.files, 'file')}, {size:,} bytes, would be written"
        return f"{text}, {removed:,} removed" if removed else text
    text = f"{where}: {show.count(done.files, 'file')}, {done.size:,} bytes verified, {written:,} of them written"
    return f"{text}, {removed:,} removed" if removed else text


def _document(done: FilesystemResult, warnings: list[str], *, dry_run: bool) -> dict[str, object]:
    return {
        "board": done.board.machine,
        "folder": done.folder,
        "files": done.files,
        "size": done.size,
        "dry_run": dry_run,
        "steps": [{"action": step.action, "path": step.path, "size": step.size} for step in done.plan.steps],
        "written": 0 if dry_run else sum(step.size for step in done.plan.written),
        "files_kept": done.plan.kept,
        "removed": list(done.plan.removed),
        "rewritten": done.rewritten,
        "resent": done.resent,
        "sent": done.sent,
        "received": done.received,
        "verified": not dry_run,
        "warnings": warnings,
    }


def verify(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """Compare only."""
    with (
        open_source(options, options.verify) as image,
        show.progress(quiet=options.json) as on_event,
    ):
        board, folder = verify_filesystem(
            image.path,
            port,
            folder=options.to_filesystem,
            on_board=image.check_board,
            on_event=on_event,
            trace=trace,
            name=str(options.verify),
        )
    if options.json:
        print_json({"board": board.machine, "folder": folder, "verified": True, "warnings": image.warnings})
    else:
        say(f"{folder} of {board.machine} has the files of {options.verify}, byte for byte")


def erase(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """Remove the files that were written."""
    with show.progress(quiet=options.json) as on_event:
        done = erase_filesystem(port, folder=options.to_filesystem, on_event=on_event, trace=trace)
    removed = done.plan.removed
    if options.json:
        print_json({"board": done.board.machine, "folder": done.folder, "removed": list(removed)})
    else:
        say(f"{done.folder} of {done.board.machine}: {show.count(len(removed), 'file')} removed")


def query(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """List the files that were written."""
    found = list_filesystem(port, folder=options.to_filesystem, trace=trace)
    if options.json:
        files = [{"path": path, "size": size} for path, size in found.files.items()]
        print_json(
            {
                "board": found.board.machine,
                "folder": found.folder,
                "size": found.size,
                "free": found.free,
                "files": files,
            }
        )
    else:
        _show(found)


def _show(found: FilesystemListing) -> None:
    count = show.count(len(found.files), "file")
    print_line(f"{found.board.machine}, MicroPython {found.board.version}")
    print_line(f"{found.folder}: {count} written by --to-filesystem; {found.free:,} of {found.size:,} bytes are free")
    if found.files and sys.stdout.isatty():
        from hatch_romfs.cli.table import print_tree  # noqa: PLC0415 - a pipe needs none of it

        print_tree(_tree(found.files), found.folder, ("size",), lambda file: (_size(found.files[file.origin]),))
        return
    if found.files:
        print_line(f"{'size':>10}  path")
    for path, size in found.files.items():
        print_line(f"{'missing' if size is None else size:>10}  {path}")


def _size(size: int | None) -> str:
    return "missing" if size is None else f"{size:,}"


def _tree(paths: Iterable[str]) -> Directory:
    """Return a tree of files without content, whose origin is their path."""
    root = Directory()
    for path in paths:
        *parents, name = path.split("/")
        folder = root
        for parent in parents:
            inner = folder.entries.setdefault(parent, Directory())
            if not isinstance(inner, Directory):  # a list that names both a file and something in it
                break
            folder = inner
        folder.entries.setdefault(name, File(MemoryContent(b""), path))
    return root
