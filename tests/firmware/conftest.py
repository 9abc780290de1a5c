"""An image to put into firmware."""

import pytest

from hatch_romfs import build
from tests.projects import make_project


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """An image file of two sectors and a part of a third."""
    files = {"data.bin": bytes(i * 3 & 0xFF for i in range(9001)), "app.py": b"print('hello')\n"}
    root = make_project(tmp_path_factory.mktemp("image") / "app", files)
    return build(root, root.with_name("app.romfs")).path
