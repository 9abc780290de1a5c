"""An image below the sources: the files of a vendor stay, with their alignment, and none of them is trusted."""

import hashlib
import json
import shutil
import sys
import tarfile

import pytest

from hatch_romfs import BuildError, ImageError, SettingsError, build, open_image
from hatch_romfs.formats.image import image_content
from hatch_romfs.formats.micropython.layout import lay_out
from hatch_romfs.formats.micropython.metadata import Metadata
from hatch_romfs.formats.micropython.writer import image_chunks
from hatch_romfs.sim.board import SimulatedBoard
from hatch_romfs.tree import files, walk
from tests import foreign, judges
from tests.board.boards import on_board, options
from tests.commands import romfs_image, run
from tests.projects import make_project
from tests.trees import contents, tree

HEAD = '[project]\nname = "app"\nversion = "1.0"\n[tool.romfs]\nbase = "vendor.romfs"\ninventory = true\n'
OURS = {
    "src/app.py": b"import wifi\nsaid = wifi.name\n",
    "src/data.txt": b"ours\n",
    "src/models/face.tflite": b"our own model" * 9,
    "vendor/util.py": b"x = 1\n",
}
NESTED = {f"label{number}.bin": bytes([number]) * 77 for number in range(4)}


def image_of(entries, align=lambda _: 1, **options):
    return b"".join(image_chunks(lay_out(tree(entries), align=align, **options)))


def vendor_files():
    """Return forty files: firmware for a radio, models, modules, and an image with aligned files of its own."""
    nested = image_of(NESTED, lambda _: 256)
    return {
        **{f"firmware/{number:02}.bin": hashlib.shake_128(bytes([number])).digest(number * 97) for number in range(30)},
        **{f"models/{name}.tflite": name.encode() * 99 for name in ("face", "hand", "person", "speech")},
        "wifi.py": b"name = 'vendor'\n",
        "lib/util.mpy": b"M\x06\x00\x1f" + bytes(40),
        "legal/LICENSE": b"All rights reserved.\r\n",
        "legal/latin.py": "# gr\xfc\xdfe\n".encode("latin-1"),
        "labels.romfs": nested,
        "firmware/again.bin": hashlib.shake_128(bytes([7])).digest(7 * 97),
    }


def vendor_alignment(path):
    return {"bin": 32, "tflite": 16, "romfs": 256}.get(path.rpartition(".")[2], 1)


VENDOR = image_of(vendor_files(), vendor_alignment, metadata=Metadata("openmv", "4.7"))


@pytest.fixture
def project(tmp_path):
    table = f'{HEAD}lib = ["vendor"]\n'
    return make_project(tmp_path / "project", OURS | {"vendor.romfs": VENDOR, "pyproject.toml": table})


def table(project, text):
    (project / "pyproject.toml").write_text(f"{HEAD}{text}", encoding="utf-8")
    return project


def inventory(built):
    return {entry["path"]: entry for entry in json.loads(built.inventory.read_bytes())["files"]}


def offsets(path):
    with open_image(path) as image:
        return {path: image_content(file).offset for path, file in files(image.root)}


def test_the_files_of_the_vendor_stay_unless_a_source_replaces_them(project):
    assert len(vendor_files()) == 40
    built = build(project)
    assert built.warnings == ()
    with open_image(built.path) as image:
        found = contents(image.root)
    theirs = {path: data for path, data in vendor_files().items() if path not in ("lib/util.mpy", "models/face.tflite")}
    assert {path: found[path] for path in theirs} == theirs
    assert found["models/face.tflite"] == OURS["src/models/face.tflite"]
    assert found["lib/util.mpy"] != vendor_files()["lib/util.mpy"]
    added = {path for path, data in found.items() if data is not None} - theirs.keys()
    assert added == {"app.mpy", "data.txt", "models/face.tflite", "lib/util.mpy"}


def test_the_alignment_of_their_data_holds_in_the_real_micropython(project):
    before = offsets(project / "vendor.romfs")
    found = judges.read_by_micropython(build(project).path)
    for path, data in vendor_files().items():
        least = min(before[path] & -before[path], 4096) if data else 1
        assert least >= vendor_alignment(path) or not data
        if path != "models/face.tflite":
            assert found[path][2] % least == 0, path
    code = (
        f"{judges.LIST}\nouter = vfs.VfsRom(load({str(project / 'dist/app.romfs')!a}))\n"
        "vfs.mount(outer, '/rom')\nvfs.mount(vfs.VfsRom(memoryview(open('/rom/labels.romfs', 'rb'))), '/labels')\n"
        "start = uctypes.addressof(memoryview(open('/rom/labels.romfs', 'rb')))\n"
        "for n in range(4):\n"
        " data = memoryview(open('/labels/label%d.bin' % n, 'rb'))\n"
        " print((uctypes.addressof(data) - start) % 256, len(data), data[0])\n"
    )
    assert judges.micropython(code).split("\n")[:-1] == [f"0 77 {number}" for number in range(4)]
    assert found["labels.romfs"][2] % 256 == 0


def test_our_code_imports_the_module_of_the_vendor_on_a_board(project, tmp_path):
    board_file = tmp_path / "rom.bin"
    with SimulatedBoard(options("rp2", board_file)) as board:
        run(judges.command("romfs-flash"), project, "--port", board.port, cwd=tmp_path)
        assert on_board(board.port, "import app; print(app.said)") == "vendor"


def test_what_is_excluded_is_gone_and_a_pattern_that_matches_nothing_is_reported(project):
    table(project, 'base-exclude = ["/firmware/", "models/*", "!models/hand.tflite", "modles/"]\n')
    built = build(project)
    assert built.warnings == ("tool.romfs.base-exclude: 'modles/' matches nothing in vendor.romfs",)
    with open_image(built.path) as image:
        found = {path for path, _ in walk(image.root)}
    assert {"models/hand.tflite", "models/face.tflite", "wifi.py"} <= found
    assert not {"firmware", "models/speech.tflite"} & found


def test_the_inventory_says_where_each_file_comes_from(project):
    found = inventory(build(project))
    assert {path: entry["from"] for path, entry in found.items() if entry["from"] != "base"} == {
        "app.mpy": "source",
        "data.txt": "source",
        "lib/util.mpy": "library",
        "models/face.tflite": "source",
    }
    assert {entry["source"] for entry in found.values() if entry["from"] == "base"} == {"vendor.romfs"}
    assert sum(entry["from"] == "base" for entry in found.values()) == 38


def test_a_module_replaces_the_module_of_the_base_in_either_form(tmp_path):
    base = image_of({"a.mpy": b"M\x06\x00\x1f", "b.py": b"vendor = 1\n", "c.py": b"vendor = 1\n", "d.txt": b"d"})
    project = make_project(
        tmp_path / "p", {"src/a.py": "x = 1\n", "src/b.mpy": b"M\x06\x00\x1fmore", "vendor.romfs": base}
    )
    for mpy, a in (("true", "a.mpy"), ("false", "a.py")):
        with open_image(build(table(project, f"mpy = {mpy}\n")).path) as image:
            assert sorted(image.root.entries) == [a, "b.mpy", "c.py", "d.txt"]


def test_the_files_of_a_base_are_not_changed(tmp_path):
    """Not even a module that no board can read: whoever built the base is responsible for it."""
    odd = {
        "bom.py": b"\xef\xbb\xbfx = 1\r\n",
        "latin.py": b"# \xfc\n",
        "wrong.py": b"def f(:\n",
        "empty": None,
        "none": b"",
    }
    project = make_project(tmp_path / "p", {"src/x.txt": "x", "vendor.romfs": image_of(odd)})
    built = build(table(project, ""))
    assert built.warnings == ()
    with open_image(built.path) as image:
        assert contents(image.root) == odd | {"x.txt": b"x"}


@pytest.mark.parametrize("name", foreign.IMAGES)
def test_images_of_other_tools_can_be_bases(name, tmp_path):
    data = foreign.IMAGES[name] + foreign.TAILS["zeros, then erased flash"]
    project = make_project(tmp_path / "p", {"src/x.txt": "x", "vendor.romfs": data})
    with open_image(build(table(project, "")).path) as image:
        found = {path: data for path, data in contents(image.root).items() if data is not None}
    expected = {} if name.startswith("empty") else foreign.DATA
    assert found == expected | {"x.txt": b"x"}


def test_an_image_is_the_same_from_two_folders_and_a_base_of_a_base_keeps_everything(project, tmp_path):
    first = build(project)
    moved = shutil.copytree(project, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("dist"))
    assert build(moved).sha256 == first.sha256
    shutil.copy(first.path, moved / "vendor.romfs")
    for path in ("src", "vendor"):
        shutil.rmtree(moved / path)
    again = build(table(moved, "sources = []\n"))
    with open_image(again.path) as image, open_image(first.path) as other:
        assert contents(image.root) == contents(other.root)


def test_linux_images_keep_links_permissions_and_devices(tmp_path):
    root = make_project(tmp_path / "root", {"bin/sh": "#!", "etc/motd": "old\n"})
    (root / "bin/sh").chmod(0o755)
    (root / "bin/bash").hardlink_to(root / "bin/sh")
    (root / "init").symlink_to("bin/sh")
    devices = {"linux": {"devices": {"dev/console": "c 5 1"}, "fifos": ["run/pipe"]}, "format": "linux"}
    project = make_project(tmp_path / "project", {"src/etc/motd": "new\n"})
    build(root, project / "vendor.romfs", overrides=devices)
    built = build(table(project, 'format = "linux"\n'))
    found = {entry["path"]: entry for entry in json.loads(romfs_image("tree", built.path, "--json").stdout)["entries"]}
    assert found["bin/sh"]["hard_link_to"] == "bin/bash"
    assert found["bin/bash"]["executable"] is True
    assert found["init"]["target"] == "bin/sh"
    assert (found["dev/console"]["major"], found["run/pipe"]["type"]) == (5, "fifo")
    assert romfs_image("cat", built.path, "etc/motd").stdout == "new\n"


def test_each_of_several_images_has_its_own(project):
    text = '[tool.romfs.images.a]\nbase-exclude = ["firmware/"]\n[tool.romfs.images.b]\nbase = "other.romfs"\n'
    (project / "other.romfs").write_bytes(image_of({"other.txt": b"1"}))
    romfs_image("build", table(project, text))
    paths = {name: offsets(project / f"dist/app-{name}.romfs").keys() for name in "ab"}
    assert {"wifi.py", "app.mpy"} <= paths["a"]
    assert "firmware/01.bin" not in paths["a"]
    assert paths["b"] == {"other.txt", "app.mpy", "data.txt", "models/face.tflite"}


def test_a_plain_folder_can_have_a_base_too(tmp_path):
    folder = make_project(tmp_path / "plain", {"wifi.py": "name = 1\n", "vendor.romfs": VENDOR})
    built = build(folder, tmp_path / "out.romfs", overrides={"base": "vendor.romfs"})
    assert built.files == 40
    assert "wifi.mpy" in offsets(built.path)


# What cannot be a base


def refusal(project, kind, text=""):
    with pytest.raises(kind) as caught:
        build(table(project, text))
    assert not (project / "dist").exists()
    return str(caught.value)


def test_a_base_that_is_missing_or_of_the_other_format(project):
    (project / "vendor.romfs").unlink()
    missing = refusal(project, SettingsError)
    assert missing == "tool.romfs.base: vendor.romfs cannot be read: No such file or directory"
    (project / "vendor.romfs").write_bytes(VENDOR)
    wrong = refusal(project, SettingsError, 'format = "linux"\n')
    assert wrong == "tool.romfs.base: vendor.romfs is an image of format 'micropython', not 'linux'"


DAMAGED = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "vendor.romfs: not a MicroPython ROMFS image"),
    "empty": (b"", "vendor.romfs: the file is empty"),
    "cut short": (VENDOR[:-100], "vendor.romfs: the image is cut short"),
    "changed": (VENDOR.replace(b"'vendor'", b"'hacker'"), "vendor.romfs: the content does not match the SHA-256"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_base_is_reported_with_its_name(kind, project):
    data, message = DAMAGED[kind]
    (project / "vendor.romfs").write_bytes(data)
    said = refusal(project, ImageError)
    assert said.startswith(message)
    assert "tool.romfs.base names it." in said


def test_code_that_the_board_cannot_load_is_reported_with_its_place(project):
    (project / "vendor.romfs").write_bytes(image_of({"lib/old.mpy": b"M\x05\x00\x1f"}))
    said = refusal(project, BuildError)
    assert said.startswith("vendor.romfs: lib/old.mpy is .mpy version 5; boards load 6\n")
    assert said.endswith(" base-exclude removes a file of the base.")
    (project / "vendor.romfs").write_bytes(image_of({"lib/old.mpy": b"M\x06\x1f\x1f"}))  # armv7emsp
    assert build(table(project, "")).warnings == (
        "lib/old.mpy is armv7emsp code: other boards cannot load it; set tool.romfs.mpy.arch to check it",
    )
    with pytest.raises(
        BuildError, match="vendor.romfs: lib/old.mpy is armv7emsp code, and tool.romfs.mpy.arch is armv6m"
    ):
        build(table(project, '[tool.romfs.mpy]\narch = "armv6m"\n'))


def test_a_folder_and_a_file_of_one_name_are_reported(project):
    (project / "src/firmware").write_bytes(b"a file")
    said = refusal(project, BuildError)
    first, hint = said.split("\n")
    assert first == (
        "two sources for 'firmware' in the image: src/firmware and the folder of vendor.romfs: firmware/00.bin"
    )
    assert "base-exclude" in hint
    assert build(table(project, 'base-exclude = ["firmware/"]\n')).files == 12


def test_a_build_cannot_begin_with_its_own_result(project):
    build(project)
    text = (project / "pyproject.toml").read_text().replace("vendor.romfs", "dist/app.romfs")
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(SettingsError, match="dist/app.romfs is the file that this build writes"):
        build(project)


def test_a_base_that_changes_during_the_build_fails_it(project, monkeypatch):
    from hatch_romfs.builder import build as module

    def change(tree, settings):
        (project / "vendor.romfs").write_bytes(VENDOR[:-2])
        return []

    monkeypatch.setattr(module, "check_content", change)
    assert "vendor.romfs changed while the image was being built" in refusal(project, BuildError)


def test_an_sdist_contains_the_base_and_a_base_outside_of_the_project_is_refused(project, tmp_path):
    head = '[build-system]\nrequires = ["hatchling", "hatch-romfs"]\nbuild-backend = "hatchling.build"\n'
    hatch = "[tool.hatch.build.hooks.romfs]\n[tool.hatch.build.targets.sdist]\nonly-include = ['src']\n"
    text = head + HEAD + 'lib = ["vendor"]\n' + hatch
    (project / "pyproject.toml").write_text(text)
    run(judges.command("hatchling"), "build", "-t", "sdist", cwd=project)
    with tarfile.open(project / "dist/app-1.0.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert build(tmp_path / "unpacked/app-1.0").sha256 == build(project).sha256
    (project / "vendor.romfs").rename(tmp_path / "vendor.romfs")
    (project / "pyproject.toml").write_text(text.replace('"vendor.romfs"', '"../vendor.romfs"'))
    said = run(judges.command("hatchling"), "build", "-t", "sdist", cwd=project, status=2)
    assert "../vendor.romfs is outside the project, so an sdist cannot contain it" in said
    if sys.platform != "win32":
        assert build(project).files == 42


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
def test_an_sdist_contains_a_base_that_is_a_link_inside_of_the_project_only(project, tmp_path):
    head = '[build-system]\nrequires = ["hatchling", "hatch-romfs"]\nbuild-backend = "hatchling.build"\n'
    hatch = "[tool.hatch.build.hooks.romfs]\n[tool.hatch.build.targets.sdist]\nexclude = ['images']\n"
    (project / "pyproject.toml").write_text(head + HEAD + 'lib = ["vendor"]\n' + hatch)
    (project / "images").mkdir()
    base = (project / "vendor.romfs").rename(project / "images/vendor.romfs")
    (project / "vendor.romfs").symlink_to("images/vendor.romfs")
    expected = build(project).sha256
    run(judges.command("hatchling"), "build", "-t", "sdist", cwd=project)
    with tarfile.open(project / "dist/app-1.0.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert build(tmp_path / "unpacked/app-1.0").sha256 == expected
    base.rename(tmp_path / "secret")
    (project / "vendor.romfs").unlink()
    (project / "vendor.romfs").symlink_to(tmp_path / "secret")
    said = run(judges.command("hatchling"), "build", "-t", "sdist", cwd=project, status=2)
    assert "vendor.romfs is outside the project, so an sdist cannot contain it" in said
