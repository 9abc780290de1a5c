"""The images of installed packages."""

from urllib.request import url2pathname

import pytest

from hatch_romfs import SettingsError, installed_image
from tests.projects import make_project


def test_a_package_with_several_images_needs_the_name_of_one(tmp_path, monkeypatch):
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
    with pytest.raises(SettingsError, match="the installed package hatch-romfs contains no ROMFS image"):
        installed_image("hatch-romfs")
    with pytest.raises(SettingsError, match="nobody-has-this is not installed here"):
        installed_image("nobody-has-this")


def test_an_editable_installation_names_its_project(tmp_path, monkeypatch):
    made = make_project(
        tmp_path,
        {
            "site/app-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: app\nVersion: 1\n",
            "site/app-1.dist-info/RECORD": "app.pth,,\n",
            "site/app-1.dist-info/direct_url.json": '{"dir_info": {"editable": true}, "url": "file:///home/me/my%20app"}',
        },
    )
    monkeypatch.syspath_prepend(made / "site")
    with pytest.raises(SettingsError) as caught:
        installed_image("app")
    project = url2pathname("/home/me/my%20app")
    assert str(caught.value).splitlines() == [
        "the installed package app contains no ROMFS image: an editable installation never does",
        f"Name its project instead of --installed: {project}",
    ]
    (made / "site/app-1.dist-info/direct_url.json").write_text("[]")
    with pytest.raises(SettingsError, match="contains no ROMFS image\n"):
        installed_image("app")
