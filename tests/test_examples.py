"""The examples, built and run; and the demo, as a newcomer runs it."""

import os
import subprocess
import sys

import pytest

from hatch_romfs import build, build_all, open_image
from hatch_romfs.formats.image import image_content
from hatch_romfs.images.run import run_image
from hatch_romfs.tree import files
from tests import judges
from tests.projects import copied

EXAMPLES = sorted(path.parent.name for path in (judges.REPO / "examples").glob("*/pyproject.toml"))


@pytest.fixture
def example(tmp_path):
    return lambda name: copied(judges.REPO / "examples" / name, tmp_path / name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_builds_soundly(name, example):
    for kind, built in build_all(example(name)).items():
        assert built.warnings == ()
        with open_image(built.path) as image:
            image.check()
            assert image.name == (f"{name}-{kind}" if kind else name)


def test_blink_runs(example):
    built = build(example("blink"))
    status, said, _ = run_image(built.path, built.size, "import blink", capture=True)
    assert (status, said.splitlines()[:2]) == (0, ["LED on", "LED off"])


def test_greenhouse_runs(example):
    built = build(example("greenhouse"))
    with open_image(built.path) as image:
        offsets = {path: image_content(file).offset for path, file in files(image.root)}
    assert offsets["data/calibration.bin"] % 32 == 0
    assert {"greenhouse/app.mpy", "greenhouse/config.py", "lib/ringbuffer/__init__.mpy", "www/index.html"} <= set(
        offsets
    )
    status, said, _ = run_image(built.path, built.size, "import greenhouse.app", capture=True)
    assert status == 0, said
    assert "read in place, on a 32-byte boundary" in said
    assert "GET / -> 200 text/html" in said


def test_camera_runs(example):
    built = build_all(example("camera"))
    assert {name: (one.partition, one.limit) for name, one in built.items()} == {
        "models": (0, 24 << 20),
        "code": (1, 1 << 20),
    }
    with open_image(built["models"].path) as image:
        assert image_content(image.file("person.tflite")).offset % 16 == 0
    status, said, _ = run_image(built["code"].path, built["code"].size, "import camera", capture=True)
    assert (status, said) == (0, "Mensch (0, 0, 4, 4)\nKatze (2, 2, 4, 4)\nvision 1.2.0\n")


def test_make_demo_on_a_fresh_checkout(tmp_path):
    checkout = copied(judges.REPO, tmp_path / "checkout")
    done = subprocess.run(
        ["make", "demo", f"PYTHON={sys.executable}"],
        cwd=checkout,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "MAKEFLAGS")},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    for expected in (
        "$ hatch build -t romfs",
        "dist/greenhouse.romfs",
        "greenhouse/app.mpy",
        "read in place, on a 32-byte boundary",
        "GET / -> 200 text/html",
        "$ romfs-flash dist/greenhouse.romfs --port sim:rom.bin",
        "mounted at /rom",
        "holds dist/greenhouse.romfs, byte for byte",
    ):
        assert expected in shown
    assert shown.count("read in place, on a 32-byte boundary") == 2, "once on this machine, once on the board"
    left = {path.name for path in checkout.iterdir()} - {path.name for path in judges.REPO.iterdir()}
    assert left <= {".venv"}
