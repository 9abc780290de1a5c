"""Packages and indexes in folders of this machine: locked by hash, and never outside of what the user named."""

import json
import os
import shutil

import pytest

from romfs_manifest import ManifestError, check_lock, fetch, make_lock, read_lock, write_lock
from romfs_manifest.mip.mirror import write_mirror
from tests.manifest.support import linked, put


@pytest.fixture
def root(tmp_path):
    return tmp_path / "project"


@pytest.fixture
def local(index, cache, root):
    """Lock requests of a project that has packages in folders of its own."""

    def make(*requests, **options):
        return make_lock(requests, root=root, **({"index": index.url, "cache": cache} | options))

    return make


def package(urls, **more):
    return json.dumps({"v": 1, "urls": urls, **more})


def targets(lock):
    return {package.name: [file.target for file in package.files] for package in lock.packages}


def test_a_folder_a_package_json_and_a_file(local, root, index, cache):
    index.add("base")
    index.put("/far.py", b"far")
    files = [["one/__init__.py", "src/one.py"], ["far.py", f"{index.site}/far.py"]]
    put(
        root,
        {"vendor/one/package.json": package(files, version=2, deps=[["base", None]]), "vendor/one/src/one.py": "1"},
    )
    put(root, {"vendor/two/list.json": package([["two.py", "two.py"]]), "vendor/two/two.py": "2", "three.py": "3"})
    put(root.parent, {"beside/package.json": package([["b.py", "b.py"]]), "beside/b.py": "b"})
    asked = ["./vendor/one", "./vendor/two/list.json", "file:three.py", "../beside/package.json"]
    made = local(*asked)
    assert targets(made) == {
        "base": ["base.py"],
        "file:../beside": ["b.py"],
        "file:three.py": ["three.py"],
        "file:vendor/one": ["far.py", "one/__init__.py"],
        "file:vendor/two/list.json": ["two.py"],
    }
    assert [file.url for file in made.packages[3].files] == [f"{index.site}/far.py", "file:vendor/one/src/one.py"]
    write_lock(root / "romfs.lock", made)
    assert str(root.parent) not in (root / "romfs.lock").read_text()
    assert read_lock(root / "romfs.lock") == made
    check_lock(made, asked)
    index.requests.clear()
    expected = {"b.py": b"b", "base.py": b"base = '1.0'\n", "far.py": b"far", "one/__init__.py": b"1", "three.py": b"3"}
    assert fetch(made, cache, root=root) == {**expected, "two.py": b"2"}
    assert index.requests == []


def test_a_byte_order_mark_is_not_part_of_a_package_json_or_a_lock(local, root, cache):
    put(root, {"p/package.json": "\ufeff" + package([["p.py", "p.py"]]), "p/p.py": "1"})
    made = local("./p")
    assert fetch(made, cache, root=root) == {"p.py": b"1"}
    path = root / "romfs.lock"
    write_lock(path, made)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_lock(path) == made


def test_a_change_of_a_local_file_is_noticed_even_if_the_cache_has_the_locked_bytes(local, root, index, cache):
    index.add("same", files={"same.py": b"1"})
    put(root, {"p/package.json": package([["p.py", "p.py"]]), "p/p.py": "1"})
    made = local("./p", "same")
    put(root, {"p/p.py": "2"})
    with pytest.raises(ManifestError, match="^file:p: file:p/p.py: the bytes differ"):
        fetch(made, cache, root=root)
    again = local("./p", "same", previous=made)  # is enough to lock what is there now
    assert fetch(again, cache, root=root) == {"p.py": b"2", "same.py": b"1"}
    (root / "p/p.py").unlink()
    with pytest.raises(ManifestError, match="^file:p: cannot read"):
        fetch(again, cache, root=root)


@pytest.mark.parametrize(
    "path", ["../secret.py", "/etc/passwd", "file:../secret.py", "a/../../secret.py", "C:/x", "..\\x"]
)
def test_a_local_package_names_only_files_in_its_folder(path, local, root):
    put(root, {"p/package.json": package([["p.py", path]]), "secret.py": "secret"})
    with pytest.raises(ManifestError, match="^file:p "):
        local("./p")


@linked
def test_a_link_in_a_local_package_does_not_lead_out_of_it(local, root, cache):
    put(root, {"p/package.json": package([["p.py", "p.py"]]), "secret.py": "secret", "p/in.py": "in"})
    (root / "p/p.py").symlink_to("in.py")
    made = local("./p")
    (root / "p/p.py").unlink()
    (root / "p/p.py").symlink_to("../secret.py")
    for attempt in (lambda: local("./p"), lambda: fetch(made, cache, root=root)):
        with pytest.raises(ManifestError, match="is a link that leads out of the folder of the package"):
            attempt()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_a_local_package_is_an_error(local, root):
    put(root, {"p/package.json": package([["p.py", "p.py"]])})
    os.mkfifo(root / "p/p.py")
    with pytest.raises(ManifestError, match="is not a regular file"):
        local("./p")
    (root / "p/package.json").unlink()
    os.mkfifo(root / "p/package.json")
    with pytest.raises(ManifestError, match="is not a regular file"):
        local("./p")


@pytest.mark.parametrize("name", ["./p", "file:p", "../p", "/p", "file:///p"])
def test_only_the_project_can_ask_for_a_local_package(name, local, root, index):
    put(root, {"p/package.json": package([])})
    index.add("a", deps=[[name, ""]])
    with pytest.raises(ManifestError, match=r"^a \(for the project\): .* is not the name of a package"):
        local("a")
    put(root, {"q/package.json": package([], deps=[[name, ""]])})
    with pytest.raises(ManifestError, match=r"^file:q \(for the project\): .* is not the name of a package"):
        local("./q")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("file:p", "file:q/x.py"),
        ("file:p", "file:p/../q/x.py"),
        ("file:p", "file:/etc/passwd"),
        ("file:../p", "file:../q/x.py"),
        ("file:../p", "file:../p/../q/x.py"),
        ("github:o/r", "file:p/x.py"),
        ("a", "file:p/x.py"),
        ("a", "file:mirror/../p/x.py"),
    ],
)
def test_a_forged_lock_reads_no_other_file_of_this_machine(name, url, local, root, tmp_path):
    put(root, {"x.py": "1"})
    lock = local("./x.py")
    file = lock.packages[0].files[0]._replace(url=url)
    forged = lock._replace(
        requests=(name,), packages=(lock.packages[0]._replace(name=name, files=(file,)),), index_url="file:mirror"
    )
    put(root, {"q/x.py": "1", "p/x.py": "1", "mirror/x.py": "1"})
    with pytest.raises(ManifestError, match="is not in the folder of the package"):
        fetch(forged, tmp_path / "empty", root=root)
    write_lock(tmp_path / "romfs.lock", forged)
    with pytest.raises(ManifestError, match="is not in the folder of the package"):
        read_lock(tmp_path / "romfs.lock")


@pytest.fixture
def mirrored(index, other, cache, root, monkeypatch):
    """A lock with packages of all kinds, and its mirror in the project; nothing answers any more."""
    index.add("a", "1.2", deps=[["base", "latest"], ["old", "0.1"]])
    index.add("base", files={"base/__init__.py": b"b", "base/page.html": b"<p>", "base/empty.py": b""})
    index.add("old", "0.1", latest=False)
    index.add("old", "9.0")
    repository = "https://raw.githubusercontent.com/own/repo/v1.0"
    index.put("/repo/package.json", {"v": 1, "urls": [["repo.py", "src/repo.py"]], "deps": [["base", ""]]})
    index.put("/repo/src/repo.py", b"repo")
    index.put("/single.py", b"single")
    put(root, {"p/package.json": package([["p.py", "p.py"]]), "p/p.py": "p"})
    real = monkeypatch_get(monkeypatch, {repository: f"{index.site}/repo"})
    asked = ["a", "github:Own/Repo@v1.0", f"{index.site}/single.py", "./p"]
    made = make_lock(asked, index=index.url, cache=cache, root=root)
    files = fetch(made, cache, root=root)
    write_mirror(root / "mirror", made, files)
    index.close()
    shutil.rmtree(cache)
    monkeypatch.setattr("romfs_manifest.mip.client.Client.get", real)
    return asked, made, files


def monkeypatch_get(monkeypatch, places):
    """Have the client fetch some addresses from another place; returns what it was before."""
    from romfs_manifest.mip.client import Client

    real = Client.get

    def get(self, url, limit):
        for place, instead in places.items():
            url = url.replace(place, instead)
        return real(self, url, limit)

    monkeypatch.setattr(Client, "get", get)
    return real


def test_a_mirror_serves_everything_without_a_network(mirrored, root, cache, monkeypatch):
    asked, before, files = mirrored
    monkeypatch.setattr("romfs_manifest.mip.client.Client.get", lambda _, url, limit: pytest.fail(f"asked for {url}"))
    for index in ("file:mirror", (root / "mirror").as_uri()):
        made = make_lock(asked, index=index, cache=cache, root=root)
        assert [package[:3] for package in made.packages] == [package[:3] for package in before.packages]
        hashes = [[(file.target, file.sha256, file.size) for file in package.files] for package in made.packages]
        assert hashes == [[(one.target, one.sha256, one.size) for one in package.files] for package in before.packages]
        write_lock(root / "romfs.lock", made)
        shutil.rmtree(cache)
        assert fetch(read_lock(root / "romfs.lock"), cache, root=root) == files
        shutil.rmtree(cache)


def test_a_mirror_has_the_layout_of_an_index(mirrored, root):
    listed = json.loads((root / "mirror/index.json").read_text())
    assert listed == {
        "v": 2,
        "packages": [
            {"name": "a", "version": "1.2", "versions": {"py": ["1.2"]}},
            {"name": "base", "version": "1.0", "versions": {"py": ["1.0"]}},
            {"name": "old", "version": "0.1", "versions": {"py": ["0.1"]}},
        ],
    }
    found = sorted(
        path.relative_to(root / "mirror/package/py").as_posix() for path in (root / "mirror/package").rglob("*.json")
    )
    assert found[:2] == ["a/1.2.json", "a/latest.json"]
    assert {"github=3Aown=2Frepo/v1.0.json", "github=3Aown=2Frepo/latest.json"} <= set(found)
    assert not any(":" in name or "\\" in name for name in found)
    assert not list((root / "mirror").rglob(".*"))


def test_mip_installs_from_a_mirror_that_a_web_server_has(mirrored, root, other, capsys):
    mip = pytest.importorskip("mpremote.mip")
    from tests.manifest.test_peer import Board

    for path in (root / "mirror").rglob("*"):
        if path.is_file():
            other.put(f"/{path.relative_to(root / 'mirror').as_posix()}", path.read_bytes())
    board = Board()
    mip._install_package(board, "a", other.site, "/lib", None, mpy=False)
    names = {"a.py", "base/__init__.py", "base/page.html", "base/empty.py", "old.py"}
    assert board.files == {name: data for name, data in mirrored[2].items() if name in names}


def test_a_mirror_is_extended_and_nothing_else_is_overwritten(mirrored, root, tmp_path):
    _, made, files = mirrored
    only = made._replace(packages=tuple(one for one in made.packages if one.name == "base"))
    newer = only._replace(packages=(only.packages[0]._replace(version="1.1"),))
    write_mirror(root / "mirror", newer, files)
    listed = {one["name"]: one for one in json.loads((root / "mirror/index.json").read_text())["packages"]}
    assert listed["base"] == {"name": "base", "version": "1.1", "versions": {"py": ["1.0", "1.1"]}}
    assert {"a", "old"} <= set(listed)
    for name, content in (("x.txt", "mine"), ("index.json", "[]"), ("index.json", "{}")):
        folder = put(tmp_path / f"folder-{name}-{len(content)}-{content[0]}", {name: content})
        with pytest.raises(ManifestError, match="empty nor an index|not a JSON object|is not the list of an index"):
            write_mirror(folder, made, files)
        assert [path.name for path in folder.iterdir()] == [name]
    put(tmp_path, {"file": ""})
    with pytest.raises(ManifestError, match="neither empty nor an index"):
        write_mirror(tmp_path / "file", made, files)


def test_a_file_index_is_only_read_below_its_folder(root, cache):
    document = {"v": 1, "version": "1", "hashes": [["a.py", "0" * 8]]}
    put(root, {"mirror/package/py/a/latest.json": json.dumps(document)})
    with pytest.raises(ManifestError, match="^a 1: cannot read"):
        make_lock(["a"], index="file:mirror", root=root, cache=cache)
    put(
        root,
        {"mirror/package/py/b/latest.json": json.dumps({"v": 1, "urls": [["b.py", "../../../../x.py"]]}), "x.py": "x"},
    )
    with pytest.raises(ManifestError, match=r"leads out of file:mirror"):
        make_lock(["b"], index="file:mirror", root=root, cache=cache)
