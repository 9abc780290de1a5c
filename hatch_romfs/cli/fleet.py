"""``romfs-flash`` with many boards: choose them, prepare their images, write, and show the results."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import Namespace
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hatch_romfs.board.checks import check_format
from hatch_romfs.board.ports import Port, choose_port, find_port, list_ports
from hatch_romfs.cli import fleet_view, show
from hatch_romfs.cli.asking import ask, can_ask
from hatch_romfs.cli.command import print_json, tell, warn
from hatch_romfs.cli.fleet_text import count_results
from hatch_romfs.cli.source import check_content, open_source, source_path
from hatch_romfs.errors import LinkError, RomfsError, SettingsError
from hatch_romfs.events import Progress
from hatch_romfs.fleet.choice import (
    Filters,
    is_expected,
    machine_matches,
    parse_filters,
    port_matches,
    repeated_boards,
    second_ports,
)
from hatch_romfs.fleet.file import read_fleet
from hatch_romfs.fleet.messages import Finished, Found, ImageFile, Job
from hatch_romfs.fleet.report import check_report, done, read_report
from hatch_romfs.fleet.run import run_jobs
from hatch_romfs.fleet.schedule import JOBS, Limits
from hatch_romfs.formats import open_image
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hatch_romfs.board.session import PortOptions
    from hatch_romfs.fleet.messages import Event


class Target(NamedTuple):
    """A board to write: its name in the output, what to do with it, and what the system says of its port."""

    label: str
    job: Job
    port: Port


def flash_many(options: Namespace, port: PortOptions) -> None:
    """Write to many boards and show the results; exits with the status of the failures unless all are verified."""
    if options.report:
        check_report(options.report)
    filters = parse_filters(options.filters or ())
    with ExitStack() as stack:
        if options.fleet:
            targets = _fleet_targets(options, port, filters, stack)
        else:
            job = stack.enter_context(_image_job(options, port, source_path(options)))
            if options.watch_ports:
                from hatch_romfs.cli.bench import watch_ports  # noqa: PLC0415 - a bench of its own

                watch_ports(options, job, filters)
                return
            targets = [Target(name, replace(job, port=name), found) for name, found in _ports(options, port, filters)]
        if not options.all:
            _check_distinct(targets)
        is_many = options.all or options.fleet or len(targets) > 1
        asks = bool(is_many) and can_ask() and not (options.yes or options.json)
        boards: list[Found | None] = [None] * len(targets)
        if options.all or filters.machines or asks:
            targets, boards = _identify(options, targets, filters)
        if not targets:
            advice = "are the filters right?" if filters != Filters() else "are the boards plugged in?"
            raise LinkError("no board was found", hint=f"'romfs-flash --list-ports' shows every port; {advice}")
        if asks:
            _confirm(targets, boards)
        _write(options, targets, boards)


def _confirm(targets: Sequence[Target], boards: Sequence[Found | None]) -> None:
    """Show which boards will get which image, and ask; raises RomfsError if the answer is no."""
    from hatch_romfs.cli.fleet_table import print_boards  # noqa: PLC0415 - a pipe needs none of it

    images = [_image_title(target.job.image) for target in targets]
    is_one = len(set(images)) == 1
    print_boards([target.label for target in targets], boards, () if is_one else images)
    what = images[0] if is_one else f"{len(set(images))} images"
    if not ask(f"Write {what} to {show.count(len(targets), 'board')}?"):
        raise RomfsError("no board was changed")


def _image_title(image: ImageFile | None) -> str:
    if image is None:
        return ""
    return f"{' '.join(filter(None, (image.name, image.version))) or 'an unnamed image'} ({image.size:,} bytes)"


@contextmanager
def _image_job(options: Namespace, port: PortOptions, source: Path) -> Iterator[Job]:
    """Prepare the image once, and yield what to do with a board; a copy stays the same whatever happens to the file."""
    with open_source(options, source) as image, TemporaryFolder() as folder:
        copy = folder / "image.romfs"
        with open_image(image.path) as opened:
            opened.check()
            check_format(opened, source)
        shutil.copyfile(image.path, copy)
        if not options.force:
            check_content(copy, source)
        with open_image(copy) as opened:
            file = ImageFile(str(copy), opened.name, opened.version, opened.sha256(), opened.size)
        yield Job(
            "",
            file,
            image.partition,
            image.board,
            str(options.report.absolute()) if options.report else None,
            _boards_done(options, file, image.partition),
            force=options.force,
            full=options.full,
            reset=not options.no_reset,
            baudrate=port.baudrate,
            dtr=port.dtr,
            rts=port.rts,
            wait=port.wait,
            boot=port.boot,
        )


def _boards_done(options: Namespace, image: ImageFile, partition: int) -> tuple[str, ...]:
    """Return the boards that have the image according to the report; none with ``--full``, which writes every board."""
    if options.report is None or options.full:
        return ()
    return tuple(sorted(done(read_report(options.report), image.sha256, partition)))


def _fleet_targets(options: Namespace, port: PortOptions, filters: Filters, stack: ExitStack) -> list[Target]:
    """Return what goes to the boards of a fleet file that pass the filters; each image is built once."""
    jobs: dict[tuple[Path, str | None, int | None], Job] = {}
    targets = []
    for board in read_fleet(options.fleet):
        found = find_port(board.port)
        if not port_matches(found, filters):
            continue
        what = (board.source, board.image, board.partition)
        if what not in jobs:
            own = Namespace(**vars(options) | {"image": board.image, "partition": board.partition})
            jobs[what] = stack.enter_context(_image_job(own, port, board.source))
        targets.append(Target(board.name, replace(jobs[what], port=board.port), found))
    return targets


def _ports(options: Namespace, port: PortOptions, filters: Filters) -> list[tuple[str, Port]]:
    """Return the chosen ports and their names: those that are named, or all USB ports that pass the filters."""
    if options.all:
        return [(found.name, found) for found in list_ports() if found.usb and port_matches(found, filters)]
    if options.ports:
        return [(name, find_port(name)) for name in options.ports]
    found = choose_port(port.port, port.origin)
    return [(found.name, found)]


def _check_distinct(targets: Sequence[Target]) -> None:
    """Raise SettingsError if a board is meant twice: whoever mistyped a name would believe that another is written."""
    owners: dict[str, str] = {}
    for target in targets:
        port = os.path.realpath(target.port.name)  # a name in /dev/serial/by-id is a link
        other = owners.get(port)
        if other is not None:
            is_repeated = other == target.label
            problem = f"{other} is named twice" if is_repeated else f"{other} and {target.label} are the same port"
            raise SettingsError(problem, hint="Name each board once.")
        owners[port] = target.label


def _identify(
    options: Namespace, targets: Sequence[Target], filters: Filters
) -> tuple[list[Target], list[Found | None]]:
    """Ask each board what it is, and return the chosen ones.

    A board that does not answer is one of them, and will be tried once more: it has failed unless it is verified.
    """
    boards, silent = _ask_boards(options, targets)
    same = repeated_boards(sorted(boards.items()))
    if options.all:
        same |= second_ports([target.port for target in targets], boards)
    chosen = []
    found: list[Found | None] = []
    for number, target in enumerate(targets):
        board = boards.get(number)
        if number in same:
            tell(f"{target.label} is left out: {targets[same[number]].label} is the same board")
        elif board is None and options.all and not is_expected(target.port, filters):
            advice = f"if a board is there, --filter {target.port.usb_id} says so"
            warn(f"{target.label} is left out: {silent[number]}; {advice}")
        elif board is None or machine_matches(board.machine, filters.machines):
            chosen.append(target._replace(job=replace(target.job, machines=filters.machines)))
            found.append(board)
    return chosen, found


def _ask_boards(options: Namespace, targets: Sequence[Target]) -> tuple[dict[int, Found], dict[int, str]]:
    """Ask each board what it is; return the boards, and why others did not answer, by number."""
    boards: dict[int, Found] = {}
    silent: dict[int, str] = {}
    questions = [replace(target.job, image=None) for target in targets]
    with show.progress(quiet=options.json) as on_progress:

        def on_event(number: int, event: Event) -> None:
            if isinstance(event, Found):
                boards[number] = event
            elif isinstance(event, Finished) and event.result == "failed":
                silent[number] = event.reason
                boards.pop(number, None)
            on_progress(Progress("asking the boards", len(boards.keys() | silent.keys()), len(targets), "steps"))

        run_jobs(questions, Limits(options.jobs or JOBS), on_event)
    return boards, silent


def _write(options: Namespace, targets: Sequence[Target], boards: Sequence[Found | None]) -> None:
    """Write to the boards, show the results, also after a Ctrl-C, and exit unless all boards are verified."""
    limits = Limits(options.jobs or JOBS, options.canary or 0, options.stop_after or 0)
    jobs = [target.job for target in targets]
    labels = [target.label for target in targets]
    machines = [board.machine if board else "" for board in boards]
    results: list[Finished | None] = [None] * len(targets)

    def on_event(number: int, event: Event) -> None:
        if isinstance(event, Finished):
            results[number] = event
        screen.on_event(number, event)

    try:
        with fleet_view.view(labels, machines, json=options.json, verbose=options.verbose) as screen:
            run_jobs(jobs, limits, on_event)
    except KeyboardInterrupt:
        if not options.json:
            fleet_view.show_summary(labels, results)
        raise
    if options.json:
        print_json(_document(targets, results))
    else:
        fleet_view.show_summary(labels, results)
    status = exit_status(results)
    if status:
        sys.exit(status)


def exit_status(results: Sequence[Finished | None]) -> int:
    """Return 0 if every board is verified, or else the highest status of those that are not."""
    return max((result.status for result in results if result is not None), default=0)


def _document(targets: Sequence[Target], results: Sequence[Finished | None]) -> dict[str, object]:
    boards = []
    for target, result in zip(targets, results, strict=True):
        outcome = "not started" if result is None else result.result
        known = result.entry if result is not None and result.entry else {"port": target.job.port}
        hint = result.hint or None if result is not None else None
        boards.append({"name": target.label, **known, "result": outcome, "hint": hint})
    return {"boards": boards, **count_results(results)}
