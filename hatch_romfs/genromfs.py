"""``python -m hatch_romfs.genromfs``: the command of ``hatch_romfs.cli.genromfs``."""

from __future__ import annotations

from hatch_romfs.cli.genromfs import main

if __name__ == "__main__":
    main()
