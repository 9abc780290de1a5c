"""An index as MicroPython's own is: its layout, and everything in it and in package.json files that is unusual."""

import hashlib

import pytest

from romfs_manifest import ManifestError, check_lock, fetch, make_lock, write_lock
from romfs_manifest.mip.names import parse_request
from tests.manifest.test_local import monkeypatch_get

RAW = "https://raw.githubusercontent.com"


def test_sharp_edges_of_an_index(index, lock, cache):
    index.add("__future__", "0.1.0")
    index.add("umqtt.simple", "1.4.0", files={"umqtt/simple.py": b"m", "umqtt/license": b"MIT"})
    index.add("aioble", "0.6", deps=[["aioble-core", "latest"], ["aioble-peripheral", ""], ["__future__", None]])
    index.add("aioble-core", 2)
    index.add("aioble-peripheral", 1.5, deps=[["aioble-core", 2], ["no-version", None]])
    index.describe("aioble-core", {"v": 1, "version": 2, "hashes": [["core.py", index.file(b"core")]]}, "2", "latest")
    index.describe("no-version", {"hashes": [["n.py", index.file(b"n")]], "version": None})
    made = lock("aioble", "umqtt.simple", "__future__")
    assert {package.name: package.version for package in made.packages} == {
        "__future__": "0.1.0",
        "aioble": "0.6",
        "aioble-core": "2",
        "aioble-peripheral": "1.5",
        "no-version": "",
        "umqtt.simple": "1.4.0",
    }
    check_lock(made, ["aioble", "umqtt.simple", "__future__"])
    assert len(fetch(made, cache)) == 7


@pytest.mark.parametrize("digits", [4, 5, 6, 7, 8, 9, 64])
def test_short_hashes_of_any_length(digits, index, lock, cache):
    short = hashlib.sha256(b"data").hexdigest()[:digits]
    index.put(f"/pi/v2/file/{short[:2]}/{short}", b"data")
    index.describe("a", {"v": 1, "hashes": [["a.py", short]]})
    made = lock("a")
    assert fetch(made, cache) == {"a.py": b"data"}
    index.put(f"/pi/v2/file/{short[:2]}/{short}", b"other")
    with pytest.raises(ManifestError, match=f"but the index says {short}"):
        lock("a")


def test_a_file_that_packages_share_and_a_file_without_bytes(index, lock, cache):
    index.add("a", files={"a.py": b"", "license": b"MIT"})
    index.add("b", files={"b.py": b"", "license": b"MIT"})
    assert fetch(lock("a", "b"), cache) == {"a.py": b"", "b.py": b"", "license": b"MIT"}
    assert len(index.asked("file")) == 2


def test_addresses_with_a_query(index, lock, cache, tmp_path):
    index.put("/one.py?raw=1&x=%20", b"one")
    index.put("/pkg/package.json?v=2", {"v": 1, "urls": [["p.py", "src/p.py?raw=1"], ["q.py", "q.py"]]})
    index.put("/pkg/src/p.py?raw=1", b"p")
    index.put("/pkg/q.py", b"q")
    asked = [f"{index.site}/one.py?raw=1&x=%20", f"{index.site}/pkg?v=2"]
    made = lock(*asked)
    assert [package.name for package in made.packages] == asked
    assert fetch(made, cache) == {"one.py": b"one", "p.py": b"p", "q.py": b"q"}
    write_lock(tmp_path / "romfs.lock", made)
    check_lock(made, [f"{index.site}/pkg/package.json?v=2", asked[0]])


@pytest.fixture
def repositories(index, monkeypatch):
    """What GitHub serves, at the names in lower case; as GitHub does, whatever the case that is asked for."""
    asked = []
    real = monkeypatch_get(monkeypatch, {})

    def get(self, url, limit):
        asked.append(url)
        return real(self, url.lower().replace(RAW, f"{index.site}/raw") if url.startswith(RAW) else url, limit)

    monkeypatch.setattr("romfs_manifest.mip.client.Client.get", get)
    return asked


def test_a_repository_keeps_its_ref_whatever_the_case_of_its_name(index, lock, repositories):
    urls = [["a.py", "github:own/repo/a.py"], ["b.py", "github:OWN/REPO/b.py"], ["c.py", "c.py"]]
    index.put("/raw/own/repo/v1/package.json", {"v": 1, "urls": urls, "deps": [["github:own/REPO/sub", "v1"]]})
    index.put("/raw/own/repo/v1/sub/package.json", {"v": 1, "urls": [["d.py", "../d.py"]]})
    for name in "abcd":
        index.put(f"/raw/own/repo/v1/{name}.py", name.encode())
    made = lock("github:Own/Repo@v1")
    assert [(package.name, package.version) for package in made.packages] == [
        ("github:own/repo", "v1"),
        ("github:own/repo/sub", "v1"),
    ]
    assert not [url for url in repositories if "/HEAD/" in url]
    check_lock(made, ["github:OWN/repo@v1"])
    for text in ("github:OWN/repo@V1", "github:own/repo@v2", "github:own/repo/Sub@v1"):
        with pytest.raises(ManifestError):  # refs and paths keep their case
            check_lock(made, [text])


def test_repositories_that_differ_only_in_case_are_one(index, lock, repositories):
    index.put("/raw/own/repo/v1/package.json", {"v": 1, "urls": [["a.py", "a.py"]]})
    index.put("/raw/own/repo/v1/a.py", b"1")
    index.put("/raw/own/repo/head/package.json", {"v": 1, "urls": [["a.py", "a.py"]]})
    index.put("/raw/own/repo/head/a.py", b"2")
    index.describe("wants", {"v": 1, "deps": [["github:OWN/Repo", ""]]})
    made = lock("github:Own/Repo@v1", "github:own/repo@v1", "wants")
    # One request, one package, and the project's ref for those that accept any.
    assert made.requests == ("github:own/repo@v1", "wants")
    assert [str(package) for package in made.packages] == ["github:own/repo v1", "wants"]
    assert lock("github:OWN/REPO@v1", "wants", previous=made).packages == made.packages
    upgraded = lock("github:own/repo@v1", "wants", previous=made, upgrade=["github:Own/Repo"])
    assert upgraded.packages == made.packages
    index.put("/raw/own/repo/v2/package.json", {"v": 1, "urls": [["a.py", "github:own/Repo/a.py@HEAD"]]})
    with pytest.raises(ManifestError, match="two versions of github:own/repo: "):
        lock("github:OWN/repo@v1", "github:own/REPO@v2")


def test_gitlab_ignores_case_too_and_others_do_not():
    assert parse_request("gitlab:Own/Repo@V") == parse_request("gitlab:own/repo@V")
    assert parse_request("codeberg:Own/Repo") != parse_request("codeberg:own/repo")
    assert (
        parse_request("https://HOST/Path") == parse_request("https://host/Path") != parse_request("https://host/path")
    )


def test_the_whole_index_as_upstream_builds_it_is_read(index, cache):
    """With fields that mip does not know, and a list of all packages beside them."""
    index.put("/pi/v2/index.json", {"v": 2, "updated": 1, "packages": []})
    index.describe(
        "a", {"v": 1, "version": "1", "hashes": [["a.py", index.file(b"a")]], "urls": [], "deps": [], "license": "MIT"}
    )
    assert fetch(make_lock(["a"], index=f"{index.url}/", cache=cache), cache) == {"a.py": b"a"}
