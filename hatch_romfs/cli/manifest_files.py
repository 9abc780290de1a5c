"""``romfs-manifest show``: the files that a manifest puts into an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hatch_romfs.cli.command import print_json, print_line, warn
from hatch_romfs.errors import SettingsError
from romfs_manifest import evaluate

if TYPE_CHECKING:
    import argparse


def show(options: argparse.Namespace) -> None:
    """List what a manifest puts into an image."""
    variables = _parse_assignments("--var", options.var)
    libraries = {name: Path(folder) for name, folder in _parse_assignments("--library", options.library).items()}
    above = [options.file.resolve(), *options.file.resolve().parents]
    project = [folder for folder in above if (folder / "pyproject.toml").is_file()][:1]
    manifest = evaluate(options.file, variables=variables, libraries=libraries, folders=project)
    files = [
        {
            "target": entry.target,
            "source": str(entry.source),
            "kind": entry.kind,
            "opt": entry.opt,
            "manifest": str(entry.manifest),
            "line": entry.line,
        }
        for entry in manifest.entries
    ]
    if options.json:
        print_json({"metadata": dict(manifest.metadata), "files": files, "warnings": list(manifest.warnings)})
        return
    for warning in manifest.warnings:
        warn(warning)
    width = max((len(entry.target) for entry in manifest.entries), default=0)
    for entry in manifest.entries:
        level = "" if entry.opt is None else f"-O{entry.opt}"
        origin = f"  ({entry.manifest}:{entry.line})" if options.verbose else ""
        print_line(f"{entry.target:{width}}  {entry.kind:4}  {level:3}  {entry.source}{origin}")


def _parse_assignments(option: str, texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if wrong := [name for name, equals, _ in pairs if not (name and equals)]:
        raise SettingsError(f"{option}: {wrong[0]!r} has no value", hint=f"Write {option} NAME=VALUE.")
    return {name: value for name, _, value in pairs}
