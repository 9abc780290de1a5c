"""What builds of the image alone must know about a project's build backend, which they do not run."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from hatch_romfs.errors import Problem, SettingsError
from hatch_romfs.settings.project import load_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_romfs.settings.project import Project

OURS = "hatch_romfs.plugins."
"""The start of the names of the build backends that are part of this package."""
_GENERATING_ARGUMENTS = {"cmdclass", "ext_modules"}


def check_embed(project: Project, document: dict[str, Any]) -> None:
    """Refuse ``embed`` in a project whose build backend does not call this package: wheels would lack the image.

    Raises SettingsError.
    """
    keys = [settings.where("embed") for settings in project.images.values() if settings.embed]
    if not keys:
        return
    if advice := _missing_plugin(project.root, document):
        raise SettingsError(
            [Problem(keys[0], "the project's build backend does not add the image to wheels")], hint=advice
        )


def generator_warnings(root: Path, document: dict[str, Any]) -> Iterator[str]:
    """Yield a warning if the project's build backend may generate files that a build of the image alone lacks."""
    generators = sorted({*_hatch_hooks(root, document), *_other_generators(root, document)})
    if generators:
        yield (
            f"the build backend did not run, so files that it generates may be missing or old: {', '.join(generators)};"
            " a build front end runs it, as in `python -m build`"
        )


def extends_setuptools(document: dict[str, Any]) -> bool:
    """Return whether setuptools' commands build the image: the project names this package, and nothing else does."""
    backend = _backend(document)
    if backend.startswith(OURS):
        return backend.startswith(f"{OURS}setuptools")
    return _requires_this_package(document)


def _requires_this_package(document: dict[str, Any]) -> bool:
    requires = _table(document, "build-system").get("requires", [])
    names = [re.split(r"[^A-Za-z0-9._-]", str(entry).strip())[0] for entry in requires]
    return "hatch-romfs" in [re.sub(r"[._-]+", "-", name).lower() for name in names]


def _missing_plugin(root: Path, document: dict[str, Any]) -> str | None:
    """Return what to add so that the build backend calls this package, or None if it does."""
    backend = _backend(document)
    if backend.startswith(OURS):
        return None
    if backend == "hatchling.build":
        hooks = {name for name, _ in _hooks(root, document)}
        return None if "romfs" in hooks else "Enable the build hook: add a table [tool.hatch.build.hooks.romfs]."
    if backend.startswith("setuptools.build_meta"):
        return None if _requires_this_package(document) else "Add hatch-romfs to `build-system.requires`."
    return f'Set `build-system.build-backend` to "{OURS}backend", and `tool.romfs.backend` to "{backend}".'


def _backend(document: dict[str, Any]) -> str:
    return str(_table(document, "build-system").get("build-backend", "setuptools.build_meta:__legacy__"))


def _hatch_hooks(root: Path, document: dict[str, Any]) -> Iterator[str]:
    if _backend(document) == "hatchling.build":
        for name, place in _hooks(root, document):
            if name != "romfs":
                yield place


def _hooks(root: Path, document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of each of Hatch's build hooks for wheels, and its table."""
    own = _table(document, "tool", "hatch")
    for hatch, start in ((own, "tool.hatch."), (load_toml(root / "hatch.toml") or {}, "hatch.toml: ")):
        for path in (("build",), ("build", "targets", "wheel")):
            for name in _table(hatch, *path, "hooks"):
                yield name, f"{start}{'.'.join(path)}.hooks.{name}"


def _other_generators(root: Path, document: dict[str, Any]) -> Iterator[str]:
    if "setuptools" in _backend(document) or _backend(document).startswith(f"{OURS}setuptools"):
        if _generates(root / "setup.py"):
            yield "setup.py"
        scm = _table(document, "tool", "setuptools_scm")
        yield from (f"tool.setuptools_scm.{key}" for key in ("version_file", "write_to") if key in scm)
    if "script" in _table(document, "tool", "poetry", "build"):
        yield "tool.poetry.build.script"
    if (root / "pdm_build.py").is_file():
        yield "pdm_build.py"


def _generates(setup: Path) -> bool:
    """Return whether a ``setup.py`` does more than to call ``setup``."""
    try:
        module = ast.parse(setup.read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, SyntaxError, ValueError):
        return True
    return not all(_is_plain(statement) for statement in module.body)


def _is_plain(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return True
    if not isinstance(statement, ast.Expr):
        return False
    if isinstance(statement.value, ast.Constant):
        return True
    call = statement.value
    if not isinstance(call, ast.Call):
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name == "setup" and not any(argument.arg in {None, *_GENERATING_ARGUMENTS} for argument in call.keywords)


def _table(document: object, *path: str) -> dict[str, Any]:
    """Return the table at a path, or an empty one; other mistakes there are for the build backend to report."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}
