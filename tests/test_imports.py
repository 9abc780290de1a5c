"""The contracts in pyproject.toml catch every import in the wrong place."""

import ast
import os
import subprocess

import pytest

from tests import judges
from tests.projects import copied

PLANTED = [
    ("hatch_romfs.board.plan", "hatchling"),
    ("hatch_romfs.plugins.setuptools", "hatchling"),
    ("hatch_romfs.cli.image", "hatchling"),
    ("hatch_romfs.builder.build", "serial"),
    ("hatch_romfs.cli.flash", "serial"),
    ("hatch_romfs.plugins.hatch", "setuptools"),
    ("hatch_romfs.builder.version", "setuptools"),
    ("hatch_romfs.plugins.setuptools", "pytest"),
    ("hatch_romfs.board.flash", "hatch_romfs.fleet.run"),
    ("hatch_romfs.fleet.run", "rich"),
    ("hatch_romfs.cli.fleet", "labgrid"),
    ("hatch_romfs.board.plan", "rich"),
    ("hatch_romfs.formats.image", "rich"),
    ("hatch_romfs.plugins.errors", "rich"),
    ("hatch_romfs.builder.build", "romfs_manifest"),
    ("hatch_romfs.board.plan", "romfs_manifest"),
    ("hatch_romfs.settings.layers", "romfs_manifest"),
    ("hatch_romfs.cli.show", "build"),
    ("hatch_romfs.cli.map", "hatch_romfs.web.page"),
    ("hatch_romfs.web.page", "hatch_romfs.fleet.run"),
    ("hatch_romfs.builder.bundle", "bincopy"),
    ("romfs_manifest.mip.names", "hatch_romfs.errors"),
    ("romfs_manifest.mip.names", "serial"),
    ("hatch_romfs.settings.layers", "hatch_romfs.builder.jobs"),
    ("hatch_romfs.formats.image", "hatch_romfs.settings.values"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What lint-imports says about a copy in which every one of them is imported by a function."""
    root = tmp_path_factory.mktemp("planted")
    copied(judges.REPO / "hatch_romfs", root / "hatch_romfs")
    copied(judges.REPO / "manifest", root / "manifest")
    (root / "pyproject.toml").write_bytes((judges.REPO / "pyproject.toml").read_bytes())
    for module, package in PLANTED:
        folder = root / "manifest" if module.startswith("romfs_manifest") else root
        with folder.joinpath(*module.split(".")).with_suffix(".py").open("a") as file:
            file.write(f"\n\ndef planted():\n    import {package}\n")
    command = [judges.command("lint-imports"), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(root / "manifest"), "COLUMNS": "500"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("module", "package"), PLANTED)
def test_an_import_in_the_wrong_place_is_caught(module, package, report):
    assert f"{module} -> {package} (" in report


def test_no_package_imports_itself_in_a_circle():
    """Among modules too, not only among packages; imports for type checkers count."""
    imports = {}
    for top in (judges.REPO, judges.REPO / "manifest"):
        for path in [*top.glob("hatch_romfs/**/*.py"), *top.glob("romfs_manifest/**/*.py")]:
            name = ".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__")
            imports[name] = set(imported(path.read_text(encoding="utf-8")))
    done: set[str] = set()

    def visit(name, above):
        assert name not in above, f"a cycle: {' -> '.join([*above[above.index(name) :], name])}"
        if name not in done:
            for target in imports[name] & imports.keys():
                visit(target, [*above, name])
            done.add(name)

    for name in imports:
        visit(name, [])


def imported(text):
    """Yield the modules that a module imports at its top, where a cycle would be one at run time or to a reader."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
