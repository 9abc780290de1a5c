"""Requests to a lock: the graph, versions, conflicts, pins."""

import hashlib
import itertools

import pytest

from romfs_manifest import LockedFile, ManifestError, check_lock, fetch, write_lock


def versions(lock):
    return {package.name: package.version for package in lock.packages}


def test_a_package_and_everything_that_it_requires(index, cache, lock):
    index.add("app", "1.2", {"app/__init__.py": b"import net\n", "app/page.html": b"<p>"}, [["net", "latest"]])
    index.add("net", "0.9")
    made = lock("app")
    assert made.requests == ("app",)
    assert (made.index_url, made.form) == (index.url, "py")
    app, net = made.packages
    assert (app.name, app.version, app.dependencies) == ("app", "1.2", ("net",))
    sha256 = hashlib.sha256(b"<p>").hexdigest()
    assert app.files[1] == LockedFile("app/page.html", f"{index.url}/file/{sha256[:2]}/{sha256[:8]}", sha256, 3)
    assert net.files[0].target == "net.py"
    check_lock(made, ["app"])
    del index.pages  # from here on the cache must do
    assert fetch(made, cache) == {
        "app/__init__.py": b"import net\n",
        "app/page.html": b"<p>",
        "net.py": b"net = '0.9'\n",
    }


def test_the_requested_versions_are_locked(index, lock):
    for version in ("1.0", "1.1", "2.0"):
        index.add("a", version)
    assert versions(lock("a")) == {"a": "2.0"}
    assert versions(lock("a@1.1")) == {"a": "1.1"}
    assert lock("a@latest") == lock("a")


def test_the_compiled_form_is_named_by_its_number(index, lock):
    data = b"M\x06\x00\x1f"
    index.put("/pi/v2/package/6/a/latest.json", {"v": 1, "version": "1.0", "hashes": [["a.mpy", index.file(data)]]})
    made = lock("a", form="6")
    assert made.form == "6"
    assert made.packages[0].files[0].target == "a.mpy"


def test_cycles_end(index, lock):
    index.add("itself", deps=[["itself", "latest"], ["itself", "1.0"]])
    index.add("ping", deps=[["pong", ""]])
    index.add("pong", deps=[["ping", "1.0"]])
    made = lock("itself", "ping")
    assert versions(made) == {"itself": "1.0", "ping": "1.0", "pong": "1.0"}
    check_lock(made, ["ping", "itself"])


def test_a_diamond_is_fetched_once(index, lock):
    index.add("base", files={"base.py": b"shared"})
    index.add("left", files={"left.py": b"l", "license.txt": b"MIT"}, deps=[["base", "latest"]])
    index.add("right", files={"right.py": b"r", "license.txt": b"MIT"}, deps=[["base", "latest"]])
    index.add("top", deps=[["left", "latest"], ["right", "latest"]])
    made = lock("top")
    assert len(made.packages) == 4
    assert len(index.requests) == len(set(index.requests)) == 4 + 5  # packages; files, of which two are equal


def test_two_versions_of_a_package_are_a_conflict_that_names_who_requires_them(index, lock):
    for version in ("1.0", "2.0"):
        index.add("base", version)
        index.add(f"for-{version}", deps=[["base", version]])
    with pytest.raises(ManifestError) as caught:
        lock("for-1.0", "for-2.0")
    assert "two versions of base: base 1.0 (for for-1.0 1.0), base 2.0 (for for-2.0 1.0)" in str(caught.value)
    with pytest.raises(ManifestError, match=r"base 2\.0 \(for the project\)"):
        lock("for-1.0", "base@2.0")


def test_a_version_that_one_package_names_serves_those_that_accept_any(index, lock):
    for version in ("1.0", "2.0", "10.0"):
        index.add("base", version)
    index.add("any", deps=[["base", "latest"]])
    index.add("old", deps=[["base", "1.0"]])
    made = lock("any", "old")
    assert versions(made)["base"] == "1.0"
    check_lock(made, ["any", "old"])
    assert versions(lock("any", "old", "base@1.0"))["base"] == "1.0"
    assert versions(lock("any"))["base"] == "10.0"
    # What is locked gives way, too, and what is not needed any more is gone.
    before = lock("any")
    assert versions(lock("any", "old", previous=before))["base"] == "1.0"
    # Equal files are no conflict, and the newest version that somebody names is the one for all.
    for version in ("3.0", "20.0"):
        index.add("same", version, {"same.py": b"same"})
        index.add(f"needs-{version}", deps=[["same", version]])
    index.add("same", "30.0")
    index.add("top", deps=[["same", ""]])
    made = lock("top", "needs-3.0", "needs-20.0")
    assert sorted(one.version for one in made.packages if one.name == "same") == ["20.0", "3.0"]


def test_a_version_that_only_a_replaced_version_names_ends_the_search(index, lock):
    """The latest a wants an old b, which wants an old a, which wants any b."""
    index.add("a", "1.0", deps=[["b", ""]])
    index.add("b", "1.0", deps=[["a", "1.0"]])
    index.add("b", "2.0", deps=[["a", ""]])
    index.add("a", "2.0", deps=[["b", "1.0"]])
    made = lock("a")
    assert versions(made) == {"a": "1.0", "b": "1.0"}
    check_lock(made, ["a"])


def test_two_versions_with_the_same_files_do_not_conflict(index, lock):
    for version in ("1.0", "1.1"):
        index.add("base", version, {"base.py": b"same"})
    made = lock("base@1.0", "base@1.1")
    assert [package.version for package in made.packages] == ["1.0", "1.1"]
    check_lock(made, ["base@1.1", "base@1.0"])


def test_two_packages_for_one_path_are_a_conflict_unless_their_bytes_are_equal(index, lock):
    index.add("a", files={"lib/x.py": b"x"})
    index.add("b", files={"lib/x.py": b"x", "b.py": b"b"})
    index.add("c", files={"lib/x.py": b"other"})
    index.add("d", files={"lib": b"a file where others have a folder"})
    index.add("e", deps=[["c", "latest"]])
    assert versions(lock("a", "b")) == {"a": "1.0", "b": "1.0"}
    with pytest.raises(
        ManifestError, match=r"'lib/x.py': from a 1.0 \(for the project\), and from c 1.0 \(for e 1.0\)"
    ):
        lock("e", "a")
    with pytest.raises(ManifestError, match=r"'lib': from d 1.0 .*, and from a 1.0"):
        lock("a", "d")


def test_one_package_cannot_have_two_files_for_a_path(index, lock):
    hashes = [["a.py", index.file(b"1")], ["a.py", index.file(b"2")]]
    index.describe("a", {"v": 1, "hashes": hashes})
    with pytest.raises(ManifestError, match="two different files for 'a.py'"):
        lock("a")


def test_an_index_that_describes_a_version_in_two_ways(index, lock):
    index.add("a")
    index.describe("a", {"v": 1, "version": "1.0"}, "latest")
    index.add("b", deps=[["a", "1.0"]])
    index.add("c", deps=[["a", "latest"]])
    with pytest.raises(ManifestError, match=r"describes a 1\.0 twice"):
        lock("b", "c")
    index.describe("a", {"v": 1, "version": "7.0"}, "3.0")
    with pytest.raises(ManifestError, match="version '7.0' under this name"):
        lock("a@3.0")


def test_locks_do_not_depend_on_the_order_of_requests(index, cache, lock, tmp_path):
    for name, dep in itertools.pairwise("abcdef"):
        index.add(name, deps=[[dep, "latest"], ["f", "1.0"]])
    index.add("f")
    written = set()
    for number, order in enumerate(itertools.permutations(["a", "c@1.0", "e", "f"])):
        path = tmp_path / f"{number}.lock"
        write_lock(path, lock(*order, "a"))
        written.add(path.read_bytes())
    assert len(written) == 1
    text = written.pop()
    assert b"\r" not in text
    assert str(cache).encode() not in text


class TestPins:
    @pytest.fixture(autouse=True)
    def packages(self, index):
        index.add("a", deps=[["base", "latest"]])
        index.add("b", deps=[["base", "latest"]])
        index.add("base")

    def test_locked_packages_stay_and_need_no_network(self, index, lock):
        before = lock("a", "b")
        index.add("base", "2.0")
        index.add("a", "2.0", deps=[["base", "latest"]])
        index.requests.clear()
        assert lock("a", "b", previous=before) == before
        assert index.requests == []

    def test_an_upgrade_touches_only_what_it_names(self, index, lock):
        before = lock("a", "b")
        for name in ("a", "b", "base"):
            index.add(name, "2.0", deps=[["base", "latest"]] if name != "base" else [])
        after = lock("a", "b", previous=before, upgrade=["base"])
        assert versions(after) == {"a": "1.0", "b": "1.0", "base": "2.0"}
        assert before.packages[:2] == after.packages[:2]
        with pytest.raises(ManifestError, match="'nope'"):
            lock("a", previous=before, upgrade=["nope"])

    def test_new_requests_use_locked_packages(self, index, lock):
        before = lock("a")
        index.add("base", "2.0")
        index.requests.clear()
        after = lock("a", "b", previous=before)
        assert versions(after) == {"a": "1.0", "b": "1.0", "base": "1.0"}
        assert [path for path in index.requests if "/base/" in path] == []

    def test_packages_that_nothing_requires_are_removed(self, lock):
        assert versions(lock("base", previous=lock("a", "b"))) == {"base": "1.0"}

    def test_another_version_another_index_and_another_form_are_resolved_anew(self, index, lock):
        before = lock("base")
        index.add("base", "2.0")
        assert versions(lock("base@2.0", previous=before)) == {"base": "2.0"}
        assert versions(lock("base", previous=before._replace(form="6"))) == {"base": "2.0"}
        assert versions(lock("base", previous=before._replace(index_url="https://else.where"))) == {"base": "2.0"}


class TestTheLockIsStale:
    @pytest.mark.parametrize(
        ("requests", "message"),
        [
            (["a", "b"], "b is a dependency"),
            ([], "a is locked, but is not a dependency"),
            (["a@2.0"], "a is locked"),
        ],
    )
    def test_requests_that_changed(self, requests, message, index, lock):
        index.add("a")
        made = lock("a")
        index.requests.clear()
        with pytest.raises(ManifestError, match=message):
            check_lock(made, requests)
        assert index.requests == []

    def test_packages_that_are_missing_or_too_many(self, index, lock):
        index.add("a", deps=[["base", "1.0"]])
        index.add("base")
        made = lock("a")
        with pytest.raises(ManifestError, match=r"base@1.0, which a 1.0 requires, is not in the lock"):
            check_lock(made._replace(packages=made.packages[:1]), ["a"])
        renamed = made.packages[1]._replace(version="3.0")
        with pytest.raises(ManifestError, match=r"base@1.0, which a 1.0"):
            check_lock(made._replace(packages=(made.packages[0], renamed)), ["a"])
        extra = made.packages[1]._replace(name="stowaway")
        with pytest.raises(ManifestError, match="stowaway 1.0 is in the lock, but nothing requires it"):
            check_lock(made._replace(packages=(*made.packages, extra)), ["a"])
