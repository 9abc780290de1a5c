"""Names and addresses, and the URLs that they lead to."""

import pytest

from romfs_manifest import ManifestError
from romfs_manifest.mip.names import Location, locate, locate_source, parse_request

RAW = "https://raw.githubusercontent.com"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("aiohttp", "aiohttp"),
        ("aiohttp@0.0.3", "aiohttp@0.0.3"),
        ("aiohttp@latest", "aiohttp"),
        ("aiohttp@", "aiohttp"),
        ("umqtt.simple@1.4.0", "umqtt.simple@1.4.0"),
        ("github:o/r", "github:o/r"),
        ("github:o/r/", "github:o/r"),
        ("github:o/r/package.json@v1", "github:o/r@v1"),
        ("github:o/r/sub/package.json", "github:o/r/sub"),
        ("github:o/r/other.json", "github:o/r/other.json"),
        ("github:o/r@feature/x", "github:o/r@feature/x"),
        ("gitlab:o/r/a.py@main", "gitlab:o/r/a.py@main"),
        ("https://Example.org/pkg/package.json", "https://example.org/pkg"),
        ("https://example.org/npm/x@1.0/package.json", "https://example.org/npm/x@1.0"),
        ("https://example.org/pkg?author=1&monkey=2", "https://example.org/pkg?author=1&monkey=2"),
        ("https://example.org:443/pkg?a=1", "https://example.org/pkg?a=1"),
        ("https://example.org/package.json?a=1", "https://example.org?a=1"),
        ("__future__", "__future__"),
        ("github:Own/Repo/Path@V1", "github:own/repo/Path@V1"),
        ("gitlab:Own/Repo", "gitlab:own/repo"),
        ("codeberg:Own/Repo", "codeberg:Own/Repo"),
        ("./vendor/pkg/", "file:vendor/pkg"),
        ("../pkg/package.json", "file:../pkg"),
        ("./package.json", "file:."),
        ("file:a/../b/x.py", "file:b/x.py"),
        (".\\vendor\\pkg", "file:vendor/pkg"),
    ],
)
def test_a_package_has_one_name(text, written):
    assert str(parse_request(text)) == written
    assert parse_request(written) == parse_request(text)


@pytest.mark.parametrize(
    "text",
    ["", "@1", "a b", "/etc/passwd", "a.json/b", "a@1@2", "a@../x", "a@1/../../x", "C:/x", "x" * 1000, "\u00e4", "a\n",
     "file:", "file:/x", "file:///x", "./a:b", "./a\0b", "./a?b", "github:o", "github:o/..", "github:o/r/../x",
     "github:o/r@a..b", "github:o/r@/x", "https://", "https://u:p@h/x", "https://h/%2e%2e/x", "https://h/x?y z",
     "https://h/x?Private_Token=1", "https://h/x?a=1&%74oken=2", "https://h/x?X-Amz-Signature=1", "https://h/x#y", "https://h\\x"],
)  # fmt: skip
def test_texts_that_are_not_names(text):
    with pytest.raises(ManifestError):
        parse_request(text)


@pytest.mark.parametrize(
    ("name", "ref", "url"),
    [
        ("github:o/r/d/a.py", "", f"{RAW}/o/r/HEAD/d/a.py"),
        ("github:o/r/a.py", "v1.0", f"{RAW}/o/r/v1.0/a.py"),
        ("gitlab:o/r/a.py", "main", "https://gitlab.com/o/r/-/raw/main/a.py"),
        ("codeberg:o/r/d/a.py", "v2", "https://codeberg.org/api/v1/repos/o/r/raw/d/a.py?ref=v2"),
        ("https://example.org/d/a.py", "", "https://example.org/d/a.py"),
    ],
)
def test_what_a_name_leads_to(name, ref, url):
    location = locate(name, ref)
    assert location
    assert location.url == url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("a.py", f"{RAW}/o/r/v1/pkg/a.py"),
        ("../a.py", f"{RAW}/o/r/v1/a.py"),
        ("./sub/a.py", f"{RAW}/o/r/v1/pkg/sub/a.py"),
        ("github:o/r/x.py", f"{RAW}/o/r/v1/x.py"),
        ("github:o/other/x.py", f"{RAW}/o/other/HEAD/x.py"),
        ("github:O2/r/x.py@v7", f"{RAW}/o2/r/v7/x.py"),
        ("github:O/R/x.py", f"{RAW}/o/r/v1/x.py"),
        ("gitlab:o/r/x.py", "https://gitlab.com/o/r/-/raw/HEAD/x.py"),
        ("https://example.org/x.py", "https://example.org/x.py"),
    ],
)
def test_a_ref_applies_in_its_own_repository_only(text, url):
    assert locate_source(text, Location("github:o/r", "pkg", "v1")).url == url


def test_packages_and_files_by_their_addresses(lock, index):
    index.put(
        "/pkg/package.json", {"v": 1, "version": "3", "urls": [["p/x.py", "src/x.py"]], "deps": [["a", "latest"]]}
    )
    index.put("/pkg/src/x.py", b"x")
    index.put("/one/y.py", b"y")
    index.add("a")
    made = lock(f"{index.site}/pkg/", f"{index.site}/one/y.py")
    assert [(package.name, [file.target for file in package.files]) for package in made.packages] == [
        ("a", ["a.py"]),
        (f"{index.site}/one/y.py", ["y.py"]),
        (f"{index.site}/pkg", ["p/x.py"]),
    ]
