"""An image to a folder: everything in it, or nothing."""

import json

from tests.commands import romfs_image


def test_extract_gives_back_what_went_in(project, image, tmp_path):
    done = romfs_image("extract", image, "-o", tmp_path / "out dir/deep")
    assert done.stdout == f"{tmp_path / 'out dir/deep'}: 6 files\n"
    assert (tmp_path / "out dir/deep/app/table.bin").read_bytes() == bytes(range(256))
    assert (tmp_path / "out dir/deep/ünï cödé/text.txt").read_text(encoding="utf-8") == "grüße\n"
    again = romfs_image("extract", image, "-o", tmp_path / "out dir/deep", status=2)
    assert "already exists and is not an empty folder" in again.stderr
    assert json.loads(romfs_image("extract", image, "--json", cwd=tmp_path).stdout) == {
        "path": "My.app",
        "files": 6,
        "skipped": [],
    }
    assert (tmp_path / "My.app/lib/util.mpy").exists()
    assert sorted(path.name for path in (tmp_path / "out dir").iterdir()) == ["deep"]


def test_extract_never_follows_a_link(image, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert "not an empty folder" in romfs_image("extract", image, "-o", tmp_path / "link", status=2).stderr
    assert not list((tmp_path / "elsewhere").iterdir())


def test_extract_into_an_empty_folder(image, tmp_path):
    (tmp_path / "empty").mkdir()
    romfs_image("extract", image, "-o", tmp_path / "empty")
    assert (tmp_path / "empty/app").is_dir()


def test_extract_names_a_folder_that_cannot_be_written(image, tmp_path):
    (tmp_path / "file").touch()
    assert "cannot extract to" in romfs_image("extract", image, "-o", tmp_path / "file/x", status=1).stderr


def test_damaged_content_is_neither_run_nor_extracted(image, tmp_path):
    data = bytearray(image.read_bytes())
    data[-3] ^= 1
    image.write_bytes(data)
    for arguments in (["run", image, "-m", "app"], ["extract", image, "-o", tmp_path / "out"], ["verify", image]):
        assert f"{image}: the content does not match" in romfs_image(*arguments, status=3).stderr
    assert not (tmp_path / "out").exists()
    assert json.loads(romfs_image("info", image, "--json", status=3).stdout)["content_matches"] is False
