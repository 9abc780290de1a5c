"""``romfs-image run``: code from an image, in a real MicroPython on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, show_error
from hatch_romfs.errors import SettingsError
from hatch_romfs.formats import open_image
from hatch_romfs.images.run import run_image

if TYPE_CHECKING:
    import argparse


def run_code(options: argparse.Namespace) -> None:
    """Run code from an image."""
    code = options.code
    if options.module is not None:
        if not all(part.isidentifier() for part in options.module.split(".")):
            raise SettingsError(f"-m: {options.module!r} is not the name of a module")
        code = f"import {options.module}"
    if code is None and (options.json or not sys.stdin.isatty()):
        raise SettingsError("a prompt needs a terminal", hint="Choose what to run with -m MODULE or -c CODE.")
    with open_image(options.image) as image:
        image.check()
        size = image.size
        if image.format != "micropython":
            raise SettingsError(f"{options.image} is not a MicroPython image, so nothing can run from it")
    result = run_image(options.image, size, code, capture=options.json)
    if options.json:
        print_json({"status": result.status, "output": result.output})
    elif result.status:
        hint = "'romfs-image tree' lists the files of the image; native code cannot run here."
        show_error(
            f"the code from {options.image} ended with status {result.status}", hint if result.import_failed else None
        )
    if result.status:
        sys.exit(result.status)
