"""What a build costs in memory, calls and imports; `make bench` measures what it costs in seconds, beside its peers."""

import subprocess
import sys

import pytest

from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.tree import Directory, File, MemoryContent
from tests.commands import unmeasured

LARGE = 192 << 20

MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.parametrize("options", [[], ["--format", "linux"]])
def test_a_large_file_is_streamed(options, tmp_path):
    pytest.importorskip("resource")
    source = tmp_path / "app"
    source.mkdir()
    with (source / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    code = "import sys; from hatch_romfs.cli.image import main; sys.exit(main())"
    image = tmp_path / "out.romfs"
    command = [sys.executable, "-c", code, "build", str(source), "-o", str(image), "--no-mpy", *options]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, check=False, env=unmeasured()
    )
    assert done.returncode == 0, done.stderr
    assert image.stat().st_size > LARGE
    assert int(done.stdout) < 64 << 20


SLOW = {
    "asyncio",
    "hatchling",
    "importlib.metadata",
    "rich",
    "romfs_manifest",
    "serial",
    "setuptools",
    "shtab",
    "urllib3",
}
"""Modules that no command imports to print its help."""


@pytest.mark.parametrize("command", ["image", "flash", "manifest"])
def test_help_imports_nothing_slow(command):
    code = (
        "import sys; sys.argv[1:] = ['--help']\n"
        f"from hatch_romfs.cli.{command} import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=unmeasured())
    loaded = set(done.stderr.split())
    assert not loaded & SLOW
    assert len(loaded) < 120


def test_a_layout_takes_few_passes():
    """Time grows with the tree, not with its square: ten times the files in at most twenty times the calls."""

    def folder() -> Directory:
        return Directory({f"f{n}": File(MemoryContent(b"x" * n), "") for n in range(20)})

    def calls(count: int) -> int:
        seen = 0

        def count_call(*_: object) -> None:
            nonlocal seen
            seen += 1

        root = Directory({f"d{n}": folder() for n in range(count)})
        before = sys.getprofile()
        sys.setprofile(count_call)
        lay_out(root, align=lambda path: 64 if path.endswith("7") else 1)
        sys.setprofile(before)
        return seen

    assert calls(100) < 20 * calls(10)
