"""The images of installed packages."""

import pytest

from hatch_romfs import SettingsError
from tests.projects import make_project


def test_a_package_with_several_images_needs_the_name_of_one(tmp_path, monkeypatch):
    from hatch_romfs import installed_image

    image = b"\xd2\xcd\x31\x00"
    names = ["app/app-code.romfs", "app/app-barcode.romfs", "app/__init__.py"]
    make_project(tmp_path, {"app-1.dist-info/METADATA": "Name: app\nVersion: 1\n", **dict.fromkeys(names, image)})
    make_project(tmp_path, {"app-1.dist-info/RECORD": "".join(f"{name},,\n" for name in names)})
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_image("app", "code").name == installed_image("app", "app-code").name == "app-code.romfs"
    assert installed_image("app", "app-barcode.romfs").name == "app-barcode.romfs"
    with pytest.raises(SettingsError, match="several images: app-barcode.romfs, app-code.romfs"):
        installed_image("app")
    with pytest.raises(SettingsError, match="contains no ROMFS image 'ode'"):
        installed_image("app", "ode")


def test_packages_without_images():
    from hatch_romfs import installed_image

    with pytest.raises(SettingsError, match="the installed package hatch-romfs contains no ROMFS image"):
        installed_image("hatch-romfs")
    with pytest.raises(SettingsError, match="nobody-has-this is not installed here"):
        installed_image("nobody-has-this")
