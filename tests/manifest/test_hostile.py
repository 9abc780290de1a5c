"""An index that is hostile or broken: one clear error, and no file is fetched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from romfs_manifest import ManifestError
from romfs_manifest.mip import package_json
from romfs_manifest.mip.names import Location

OUT = [
    "a" * 256,
    "../main.py",
    "/boot.py",
    "C:/x",
    r"a\b",
    "a//b",
    "",
    ".",
    "a/../b",
    "a/",
    "./a",
    "x\0y",
    "x\x1b[2J",
    "\ud800",
    "a" * 256,
]


@pytest.mark.parametrize("target", OUT)
@pytest.mark.parametrize("key", ["hashes", "urls"])
def test_targets_that_lead_out_are_refused_before_any_file_is_fetched(key, target, index, lock):
    index.add("good")
    good = ["a.py", index.file(b"a")]
    index.describe("bad", {"v": 1, "hashes": [good], key: [good, [target, good[1]]]})
    index.add("top", deps=[["good", "1.0"], ["bad", ""]])
    with pytest.raises(ManifestError, match=r"^bad \(for top 1.0\): the target .* must ") as caught:
        lock("top")
    assert "\x1b" not in str(caught.value)
    assert index.asked("file") == []


@pytest.mark.parametrize(
    "document",
    [
        [],
        7,
        None,
        {"v": 2},
        {"v": [[]]},
        {"version": True},
        {"version": 1e30},
        {"version": {}},
        {"version": "1 0"},
        {"version": "\x1b[2J"},
        {"hashes": {}},
        {"hashes": [["a" * 1500, "1" * 1500]]},
        {"hashes": [["a.py"]]},
        {"hashes": ["ab"]},
        {"hashes": [["a.py", 12345678]]},
        {"hashes": [["a.py", "123"]]},
        {"hashes": [["a.py", "1234567G"]]},
        {"hashes": [["a.py", "../../../x"]]},
        {"hashes": [["a.py", "0" * 65]]},
        {"hashes": [[["a.py"], "12345678"]]},
        {"urls": "a.py"},
        {"urls": [["a.py", None]]},
        {"urls": [["a.py", "file:///etc/passwd"]]},
        {"urls": [["a.py", "/etc/passwd"]]},
        {"urls": [["a.py", "//host/x.py"]]},
        {"urls": [["a.py", "C:/x.py"]]},
        {"urls": [["a.py", r"..\x.py"]]},
        {"urls": [["a.py", "../../../../../../x.py"]]},
        {"urls": [["a.py", "%2e%2e/x.py"]]},
        {"urls": [["a.py", "x.py?y z"]]},
        {"urls": [["a.py", "x.py?token=y"]]},
        {"urls": [["a.py", "file:x.py"]]},
        {"urls": [["a.py", "github:owner"]]},
        {"urls": [["a.py", "github:../../x.py"]]},
        {"urls": [["a.py", "github:o/r/../../../x.py"]]},
        {"urls": [["a.py", "github:o/r/x.py@../../x"]]},
        {"urls": [["a.py", "https://user:secret@host/x.py"]]},
        {"urls": [["a.py", "https://ho st/x.py"]]},
        {"urls": [["a.py", "ftp://host/x.py"]]},
        {"deps": ["a"]},
        {"deps": [["a"]]},
        {"deps": [["a", True]]},
        {"deps": [["a", []]]},
        {"deps": [["../a", ""]]},
        {"deps": [["/etc/passwd.json", ""]]},
        {"deps": [["./local", ""]]},
        {"deps": [["a", "../../x"]]},
        {"deps": [["a", "1?x=y"]]},
        {"deps": [["a" * 101, ""]]},
        {"deps": [["github:o", ""]]},
        {"deps": [["file:///x", ""]]},
    ],
    ids=str,
)
def test_invalid_descriptions(document, index, lock):
    index.describe("bad", document)
    with pytest.raises(ManifestError, match=r"^bad \(for the project\): "):
        lock("bad")
    assert index.requests == ["/pi/v2/package/py/bad/latest.json"]


@pytest.mark.parametrize(
    "page",
    [b"", b"\xff", b"{", b"[" * 500_000, b'{"a":' * 100_000, b"9" * 10_000, b"{}" + b" " * package_json.MAX_SIZE],
    ids=["nothing", "not UTF-8", "cut", "deep lists", "deep objects", "a long number", "too large"],
)
def test_pages_that_are_not_descriptions(page, index, lock):
    index.describe("bad", page)
    with pytest.raises(ManifestError, match=r"^bad \(for the project\): ") as caught:
        lock("bad")
    assert len(str(caught.value)) < 500


def test_nested_json_of_any_depth_is_a_clean_error():
    folder = Location("https://example.org", "pkg")
    for depth in range(400, 1200):
        nested = "[" * depth + "]" * depth
        for page in ('{"hashes": [%s]}', '{"v": %s}', '{"version": %s}', '{"deps": [["a", %s]]}'):
            with pytest.raises(ManifestError):
                package_json.read_listing((page % nested).encode(), folder, folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["v", "urls", "x"]), inner, max_size=3),
)
ROWS = st.lists(
    st.tuples(st.text(max_size=12), st.text("abc0123456789:/@.\\", max_size=12)).map(list) | JSON, max_size=3
)
DOCUMENTS = st.fixed_dictionaries({}, optional={"v": JSON, "version": JSON, "hashes": ROWS, "urls": ROWS, "deps": ROWS})


@given(DOCUMENTS | JSON)
def test_any_json_is_a_listing_or_an_error(document):
    folder = Location("https://example.org", "pkg")
    try:
        listing = package_json.read_listing(json.dumps(document).encode(), folder, folder)
    except ManifestError:
        return
    assert all(source.location.url.startswith("https://") for source in listing.sources)
    assert all(".." not in source.target.split("/") for source in listing.sources)


def test_bytes_that_do_not_match_the_short_hash(index, cache, lock):
    short = index.file(b"honest")
    index.describe("a", {"v": 1, "hashes": [["a.py", short]]})
    index.put(f"/pi/v2/file/{short[:2]}/{short}", b"forged")
    with pytest.raises(ManifestError, match=f"^a: .*but the index says {short}"):
        lock("a")
    assert not cache.exists()


def test_a_missing_package(index, lock):
    index.add("a", deps=[["missing", "1.0"]])
    with pytest.raises(ManifestError, match=r"^missing@1.0 \(for a 1.0\): .*no such file"):
        lock("a")


def test_too_many_packages_and_files(index, lock, monkeypatch):
    for number in range(60):
        index.describe(f"p{number}", {"v": 1, "deps": [[f"p{number + 1}", ""]]})
    monkeypatch.setattr("romfs_manifest.mip.resolve.MAX_PACKAGES", 50)
    with pytest.raises(ManifestError, match="more than 50 packages"):
        lock("p0")
    monkeypatch.setattr("romfs_manifest.mip.resolve.MAX_FILES", 2)
    index.add("many", files={f"{n}.py": b"" for n in range(3)})
    with pytest.raises(ManifestError, match="more than 2 files"):
        lock("many")
    monkeypatch.setattr("romfs_manifest.mip.resolve.MAX_TOTAL", 5)
    index.add("large", files={"a.py": b"123", "b.py": b"456"})
    with pytest.raises(ManifestError, match="more than 5 bytes"):
        lock("large")
