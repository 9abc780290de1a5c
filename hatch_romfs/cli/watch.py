"""``romfs-flash . --watch``: at each save, build, write what differs, reset, and show what the board prints.

One loop does everything in turn, so that a save during a write leads to one more round after it. The port stays open
in between: what a board prints right after its reset is not lost, and boards that reset when a port is opened do not.
"""

from __future__ import annotations

import gc
import math
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hatch_romfs.board.autostart import write_main
from hatch_romfs.board.filesystem.deploy import write_filesystem_on
from hatch_romfs.board.filesystem.replacing import ignore_replacement
from hatch_romfs.board.flash import flash_on
from hatch_romfs.board.messages import describe_replacement
from hatch_romfs.board.repl import ANSWER_TIMEOUT, REOPEN_TIMEOUT
from hatch_romfs.board.session import POLL, connection, session_on
from hatch_romfs.builder.api import build
from hatch_romfs.cli.changes import Changes, watched_folders
from hatch_romfs.cli.interrupts import DeferredInterrupts
from hatch_romfs.cli.keys import LEAVE, keyboard
from hatch_romfs.cli.replacing import describe_files
from hatch_romfs.cli.screen import Screen
from hatch_romfs.cli.show import count, progress
from hatch_romfs.cli.source import Source, check_content, check_folder
from hatch_romfs.errors import FlashInterrupted, LinkError, LostLinkError, PortUnavailableError, RomfsError
from hatch_romfs.formats import open_image
from hatch_romfs.settings.project import has_table, load
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from hatch_romfs.board.filesystem.replacing import FilesystemReplacement
    from hatch_romfs.board.link import Link, Trace
    from hatch_romfs.board.replacing import Replacement
    from hatch_romfs.board.session import PortOptions, Session
    from hatch_romfs.cli.keys import Keys
    from hatch_romfs.events import Report
    from hatch_romfs.formats.image import Image

RESET_LOSS: Final = 5.0
"""Seconds after a reset in which a port that disappears does so because of it."""


class _Image(NamedTuple):
    """The last image that was built without an error."""

    source: Source
    sha256: str
    summary: str


def watch(options: argparse.Namespace, port: PortOptions, trace: Trace | None) -> None:
    """Run the loop until Ctrl-C or Ctrl-], which leave the board running. Raises RomfsError if it cannot go on."""
    gc.enable()  # commands run without it, but this one has no end
    screen = Screen()
    port = replace(port, wait=0.0, on_message=screen.say)
    with (
        TemporaryFolder() as folder,
        Changes(watched_folders(options.source)) as changes,
        ExitStack() as stack,
        suppress(_LeaveError),
    ):
        keys = stack.enter_context(keyboard())
        loop = _Loop(options, port, trace, screen, keys, folder, stack)
        try:
            loop.build()
            while True:
                loop.turn(changes)
        except FlashInterrupted:
            raise
        except KeyboardInterrupt:
            screen.end()


class _LeaveError(Exception):
    """Ctrl-] was typed."""


class _Loop:
    """The state of the loop: the last good image, what the board has of it, and the link."""

    def __init__(  # noqa: PLR0913, PLR0917 - what the loop connects
        self,
        options: argparse.Namespace,
        port: PortOptions,
        trace: Trace | None,
        screen: Screen,
        keys: Keys,
        folder: Path,
        stack: ExitStack,
    ) -> None:
        self.options, self.port, self.trace = options, port, trace
        self.screen, self.keys, self.stack = screen, keys, stack
        self.folder = folder
        self.to_filesystem = options.to_filesystem is not None
        self.image: _Image | None = None
        self.done = ""
        self.is_ours = False
        self.link: Link | None = None
        self.is_lost = False
        self.after_reset = False
        self.reset_at = -math.inf
        self.lost_at = 0.0
        self.said = ""
        self.is_announced = False

    def turn(self, changes: Changes) -> None:
        """Do what there is to do, or show what the board prints for a moment."""
        if changes.take():
            self.build()
        if self.link is None or self.is_lost:
            self.connect()
        elif self.image is not None and self.image.sha256 != self.done:
            self.write(self.link, self.image)
        else:
            self.pass_on(self.link)

    def build(self) -> None:
        """Build the image; where that fails, show why, and keep the last good one."""
        started = time.monotonic()
        source, out = self.options.source, self.folder / "image.romfs"
        self.screen.end()  # a bar would take the board's last line away
        try:
            check_folder(source, plain=self.options.folder)
            with progress() as on_progress:
                built = build(
                    source,
                    out,
                    overrides={} if self.to_filesystem else _overrides(source),
                    image=self.options.image or "",
                    on_progress=on_progress,
                )
            if not self.options.force:
                check_content(out, source)
        except RomfsError as error:
            self.screen.fail(error)
            self.screen.say("the build failed; the board is unchanged")
            self.said = ""
            return
        seconds = time.monotonic() - started
        if self.image is not None and built.sha256 == self.image.sha256:
            self.say_once(f"the image is unchanged, {seconds:.2f} s")
            return
        # A write uses a copy: a build that fails late must not take the last good image away.
        kept = out.replace(self.folder / "good.romfs")
        partition = built.partition if self.options.partition is None else self.options.partition
        summary = f"built {count(built.files, 'file')}, {built.size:,} bytes, {seconds:.2f} s"
        written = Source(kept, built.board, partition, [], not self.to_filesystem)
        written.warnings.extend(written.relevant(built.warnings))
        self.image = _Image(written, built.sha256, summary)
        self.is_announced = self.link is None or self.is_lost
        if self.is_announced:
            self.screen.say(summary)

    def connect(self) -> None:
        """Look for the board once, and wait for a moment if it is not there."""
        try:
            if self.link is None:
                self.link = self.stack.enter_context(connection(self.port, self.trace))
            else:
                self.link.reopen(0.0)
                self.come_back()
        except PortUnavailableError as error:
            self.say_once(f"waiting for the board: {error.message}")
            self.wait()
        except LinkError:
            if self.link is None:
                raise
            if not self.after_reset or time.monotonic() > self.lost_at + 1:
                self.say_once(f"waiting for the board: {self.link.name} is gone")
            self.wait()

    def come_back(self) -> None:
        """Go on with a board that is there again: it may be another one, or have lost what it had."""
        self.is_lost = False
        if not self.after_reset or time.monotonic() > self.lost_at + REOPEN_TIMEOUT:
            self.done = ""
            self.is_ours = False

    def wait(self) -> None:
        """Let some time pass without a board."""
        self.read_keys()
        time.sleep(POLL)

    def write(self, link: Link, image: _Image) -> None:
        """Write what differs, and reset the board."""
        started, before = time.monotonic(), link.sent
        self.reset_at = -math.inf  # a loss from here to the next reset is not because of one
        self.done = image.sha256  # also where this fails: the next save, or the board's return, is the next attempt
        self.screen.end()
        written, interrupts = "", DeferredInterrupts()
        try:
            with interrupts:
                written = self.write_image(link, image)
                self.reset_at = time.monotonic()
                self.show_round(image, written, link.sent - before, self.reset_at - started)
                link.read_until(b"soft reboot\r\n", ANSWER_TIMEOUT)
        except LostLinkError:
            self.lose()
        except RomfsError as error:
            self.reset_at = time.monotonic()
            if not written:  # else the board did not say that it resets, which is no failure
                self.screen.fail(error)
        if interrupts.interrupted:
            raise KeyboardInterrupt
        self.read_keys()  # what was typed meanwhile was not meant for what runs now

    def write_image(self, link: Link, image: _Image) -> str:
        """Write what differs, and main.py if it is asked for; return what was written, in words."""
        options = self.options
        with (
            open_image(image.source.path) as opened,
            progress() as on_event,
            session_on(link, boot=self.port.boot) as found,
        ):
            if difference := image.source.compare(found.board):
                image.source.warnings.append(difference)
            write = self.write_files if self.to_filesystem else self.write_blocks
            written, is_restarted = write(found, opened, image.source, on_event)
            if options.autostart:
                if not is_restarted:
                    found.restart()
                write_main(found.repl, options.autostart)
            return written

    def write_blocks(self, found: Session, opened: Image, source: Source, on_event: Report) -> tuple[str, bool]:
        """Write to the partition; return what was written, and whether the board was restarted afterwards."""
        options = self.options
        result = flash_on(
            found,
            opened,
            partition=source.partition,
            force=options.force,
            full=options.full,
            on_event=on_event,
            on_replace=None if self.is_ours else self.check_replacement,
        )
        self.is_ours = True
        blocks = -(-result.size // result.partition.geometry.block)
        written = blocks - result.plan.kept if result.plan.writes else 0
        return f"wrote {written:,} of {count(blocks, 'block')}", bool(result.mounted)

    def write_files(self, found: Session, opened: Image, source: Source, on_event: Report) -> tuple[str, bool]:
        """Write to the filesystem; return the same as ``write_blocks``."""
        options = self.options
        result = write_filesystem_on(
            found,
            opened,
            folder=options.to_filesystem,
            force=options.force,
            full=options.full,
            on_event=on_event,
            on_replace=ignore_replacement if self.is_ours else self.check_files,
        )
        self.is_ours = True
        source.warnings.extend(result.warnings)
        removed = f", removed {len(result.plan.removed):,}" if result.plan.removed else ""
        return f"wrote {len(result.plan.written):,} of {count(result.files, 'file')}{removed}", False

    def check_replacement(self, found: Replacement) -> None:
        """Before the first write, refuse to replace another image on a terminal; elsewhere say what is lost."""
        lines = describe_replacement(found, verbose=self.options.verbose)
        if found.is_other and self.screen.is_terminal and not self.options.yes:
            raise RomfsError(lines, hint="--yes replaces it. --read OUT saves it.")
        for line in lines:
            self.screen.say(line)

    def check_files(self, found: FilesystemReplacement) -> None:
        """Before the first write, refuse to replace the files of another project on a terminal."""
        if not found.is_other:
            return
        lines = describe_files(found, verbose=self.options.verbose)
        if self.screen.is_terminal and not self.options.yes:
            raise RomfsError(lines, hint="--yes replaces them. Or name another folder: --to-filesystem /flash/app.")
        for line in lines:
            self.screen.say(line)

    def show_round(self, image: _Image, written: str, sent: int, seconds: float) -> None:
        """Begin a screen with what was built and written."""
        self.screen.clear()
        if self.screen.is_terminal or not self.is_announced:
            self.screen.say(image.summary)
        self.screen.say(f"{written}, {sent:,} bytes sent, {seconds:.2f} s")
        for warning in dict.fromkeys(image.source.warnings):
            self.screen.say(f"warning: {warning}")
        self.said = ""

    def pass_on(self, link: Link) -> None:
        """Show what the board prints, and send it what is typed."""
        try:
            if typed := self.read_keys():
                link.write(typed)
            self.screen.output(link.receive())
        except LostLinkError:
            self.lose()
        except LinkError as error:
            self.screen.fail(error)

    def lose(self) -> None:
        """Note that the port is gone."""
        self.is_lost = True
        self.lost_at = time.monotonic()
        self.after_reset = self.lost_at < self.reset_at + RESET_LOSS

    def read_keys(self) -> bytes:
        """Return what was typed."""
        typed = self.keys()
        if LEAVE in typed:
            self.screen.end()
            raise _LeaveError
        return typed

    def say_once(self, text: str) -> None:
        """Show a line unless it says the same as the one before, whatever the numbers."""
        if (words := text.partition(",")[0]) != self.said:
            self.screen.say(text)
            self.said = words


def _overrides(source: Path) -> dict[str, Any]:
    """Return the settings that outrank the project's: the stable layout, unless a table names a layout or Linux."""
    document = load(source) or {}
    table = document["tool"]["romfs"] if has_table(document) else {}
    images = table.get("images", {}) if isinstance(table, dict) else {}
    tables = [table, *(images.values() if isinstance(images, dict) else ())]
    if any(isinstance(one, dict) and ("layout" in one or one.get("format") == "linux") for one in tables):
        return {}
    return {"layout": "stable"}
