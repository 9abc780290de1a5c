"""``romfs-image build``: the images of a project or a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_romfs.builder import api
from hatch_romfs.cli import show
from hatch_romfs.cli.command import print_json
from hatch_romfs.cli.emit import read_emit
from hatch_romfs.errors import SettingsError
from hatch_romfs.formats import open_image
from hatch_romfs.settings.layers import Options

if TYPE_CHECKING:
    import argparse

_MAX_DIGITS = 9
"""Digits of a number of bytes, at most."""


def build(options: argparse.Namespace) -> None:
    """Build an image."""
    overrides, emit, cache = _overrides(options), read_emit(options), not options.no_cache
    if options.source.is_file() and (overrides.table or options.image):
        raise SettingsError(f"{options.source} is an image file: options of a build do not apply to it")
    with show.progress(quiet=options.json) as on_progress:
        if options.output is None and options.image is None and emit is None:
            results = api.build_all(options.source, overrides=overrides, cache=cache, on_progress=on_progress)
        else:
            name = options.image or ""
            result = api.build(
                options.source,
                options.output,
                overrides=overrides,
                cache=cache,
                emit=emit,
                image=name,
                on_progress=on_progress,
            )
            results = {name: result}
    if options.json:
        documents = {name: show.result_document(result) for name, result in results.items()}
        print_json(documents.get("") or {"images": documents})
    else:
        for result in results.values():
            show.result(result)
            if options.verbose:
                show.excluded(result)
            if options.verbose and not options.emit:
                with open_image(result.path) as image:
                    show.tree(image)


def _overrides(options: argparse.Namespace) -> Options:
    """Return the keys of the table that options set; their values are checked like those of the table."""
    table: dict[str, object] = {}
    names = {
        "format": "--format",
        "mpy": "--mpy",
        "layout": "--layout",
        "linux": "--volume",
        "linux.volume": "--volume",
    }
    if options.format is not None:
        table["format"] = options.format
    if options.mpy is not None:
        table["mpy"] = options.mpy
    if options.layout is not None:
        table["layout"] = options.layout
    if options.volume is not None:
        table["linux"] = {"volume": options.volume}
    alignment: dict[str, int] = {}
    for text in options.align:
        pattern, _, size = text.rpartition("=")
        if not (size.isascii() and size.isdecimal() and len(size) <= _MAX_DIGITS):
            raise SettingsError(f"--align: {size!r} is not a number of bytes", hint="--align 4 --align '*.tflite=32'")
        alignment[pattern or "default"] = int(size)
        names[f'alignment."{pattern or "default"}"'] = f"--align {text}"
    if alignment:
        table["alignment"] = alignment
    return Options(table, names)
