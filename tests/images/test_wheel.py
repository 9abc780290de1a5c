"""Images inside wheels: found, chosen by name, and read within bounds, whatever the wheel states."""

import json
import zipfile

import pytest

from hatch_romfs.errors import ImageError, SettingsError
from hatch_romfs.images import wheel as wheels
from hatch_romfs.images.wheel import open_in_wheel
from tests.board.boards import coded
from tests.commands import romfs_image
from tests.trees import contents

CODE = coded({"main.py": b"x = 1\n"})
FONTS = coded({"a.bin": bytes(999)})


def make_wheel(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return path


@pytest.fixture
def one(tmp_path):
    files = {"app/__init__.py": b"", "app/app.romfs": CODE, "app-1.dist-info/RECORD": b""}
    return make_wheel(tmp_path / "app-1-py3-none-any.whl", files)


@pytest.fixture
def two(tmp_path):
    files = {"app/app-code.romfs": CODE, "app/app-fonts.romfs": FONTS}
    return make_wheel(tmp_path / "app-2-py3-none-any.whl", files)


def test_commands_find_the_image_in_a_wheel(one, tmp_path):
    document = json.loads(romfs_image("info", one, "--json").stdout)
    assert (document["files"], document["size"]) == (1, len(CODE))
    assert romfs_image("tree", one).stdout.endswith("  main.py\n")
    assert romfs_image("cat", one, "main.py").stdout == "x = 1\n"
    assert romfs_image("verify", one).stdout.startswith(f"{one}: valid, {len(CODE)} bytes")
    romfs_image("extract", one, "-o", tmp_path / "out")
    assert (tmp_path / "out/main.py").read_bytes() == b"x = 1\n"
    assert "an image file, or a wheel or firmware that contains" in romfs_image("info", "--help").stdout


def test_several_images_are_listed_and_chosen_by_name(two):
    said = romfs_image("info", two, status=2).stderr
    assert said == (f"error: {two} contains several images: app-code.romfs, app-fonts.romfs\nName one with --image.\n")
    for name in ("fonts", "app-fonts", "app-fonts.romfs", "app/app-fonts.romfs"):
        with open_in_wheel(two, name) as image:
            assert contents(image.root) == {"a.bin": bytes(999)}
    said = romfs_image("info", two, "--image", "font", status=2).stderr
    assert "contains no ROMFS image 'font'; its images: app-code.romfs, app-fonts.romfs" in said


def test_image_is_for_wheels(one, tmp_path):
    image = tmp_path / "app.romfs"
    image.write_bytes(CODE)
    said = romfs_image("info", image, "--image", "app", status=2).stderr
    assert said == f"error: --image names one of a wheel's images, and {image} is not a wheel\n"
    assert "error: " in romfs_image("info", one, "--offset", "0", status=3).stderr  # a dump can be anything


def test_a_wheel_without_an_image(tmp_path):
    wheel = make_wheel(tmp_path / "x.whl", {"app/__init__.py": b""})
    said = romfs_image("info", wheel, status=2).stderr
    assert said == f"error: {wheel} contains no ROMFS image\nIts author can add one with `embed = true`.\n"


def test_an_invalid_image_in_a_wheel_is_named(tmp_path):
    wheel = make_wheel(tmp_path / "x.whl", {"app/app.romfs": CODE[:-2]})
    with pytest.raises(ImageError, match=r"x\.whl: app/app\.romfs: "):
        open_in_wheel(wheel)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_bomb_is_read_within_bounds(compression, tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "MAX_IMAGE", 1 << 20)
    wheel = make_wheel(tmp_path / "x.whl", {"app.romfs": CODE + bytes(64 << 20)}, compression)
    assert wheel.stat().st_size < 1 << 17
    read = []

    class Counted(zipfile.ZipExtFile):
        def read(self, n=-1):
            read.append(n)
            return super().read(n)

    monkeypatch.setattr(zipfile, "ZipExtFile", Counted)
    with pytest.raises(SettingsError, match="is larger than 1 MiB"):
        open_in_wheel(wheel)
    assert max(read) == (1 << 20) + 1
    assert min(read) > 0


@pytest.mark.parametrize("damage", ["truncated", "changed", "encrypted", "method"])
def test_a_damaged_wheel_is_an_error(damage, one):
    data = bytearray(one.read_bytes())
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    match damage:
        case "truncated":
            data = data[:-30]
        case "changed":
            data[data.index(b"app/app.romfs") + 20] ^= 0xFF
        case "encrypted":
            data[entry + 8] |= 1
        case "method":
            data[entry + 10] = 77
    one.write_bytes(data)
    said = romfs_image("info", one, status=3).stderr
    assert said.startswith(f"error: {one}: ")
    assert len(said.splitlines()) == 1
