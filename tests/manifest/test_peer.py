"""The same paths and bytes as mpremote's mip installs, for packages that are not hostile."""

import pytest

from romfs_manifest import fetch

mip = pytest.importorskip("mpremote.mip")


class Board:
    """As much of a board's file system as mip uses."""

    def __init__(self):
        self.files = {}

    def fs_exists(self, path):
        return True

    def fs_hashfile(self, path, algorithm):
        raise FileNotFoundError

    def fs_writefile(self, path, data, progress_callback):
        self.files[path.removeprefix("/lib/")] = data


@pytest.mark.parametrize("version", ["", "1.0"])
def test_mip_installs_the_same(version, index, lock, cache, capsys):
    index.add("base", files={"base/__init__.py": b"b", "base/page.html": b"<p>"})
    index.add("side", files={"side.py": b"s", "license": b"MIT"}, deps=[["base", "1.0"]])
    for each in ("1.0", "2.0"):
        index.add("app", each, {"app.py": each.encode(), "license": b"MIT"}, [["base", "latest"], ["side", ""]])
    files = [["far.py", "src/far.py"], ["near.mpy", f"{index.site}/else/near.mpy"]]
    index.put("/far/package.json", {"urls": files, "deps": [["app", version or "latest"]], "version": "1"})
    index.put("/far/src/far.py", b"far")
    index.put("/else/near.mpy", b"near")
    board = Board()
    mip._install_package(board, f"{index.site}/far", index.url, "/lib", None, mpy=False)
    assert len(board.files) == 7
    assert fetch(lock(f"{index.site}/far"), cache) == board.files


@pytest.mark.parametrize(
    ("name", "ref"),
    [("github:o/r/d/a.py", None), ("github:o/r/a.py", "v1"), ("gitlab:o/r/a.py", "main"), ("codeberg:o/r/d/a.py", "x")],
)
def test_mip_asks_for_the_same_addresses(name, ref):
    from romfs_manifest.mip.names import locate

    location = locate(name, ref or "")
    assert location
    assert location.url == mip._rewrite_url(name, ref)
