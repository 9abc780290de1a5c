"""What comes from npm: exact versions, each with its hash, and from whichever registry npm is configured for."""

import json

from tests import judges

FOLDER = judges.REPO / "tests" / "web"


def test_every_npm_package_is_pinned_by_its_hash_and_by_no_registry():
    named = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert lock.pop("")["devDependencies"] == named
    assert {name: lock[f"node_modules/{name}"]["version"] for name in named} == named
    assert all(entry["integrity"].startswith("sha512-") for entry in lock.values())
    assert not [name for name, entry in lock.items() if "resolved" in entry]


def test_the_installed_npm_packages_are_the_pinned_ones():
    named = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    found = {name: json.loads((judges.npm_package(name) / "package.json").read_bytes())["version"] for name in named}
    assert found == named
