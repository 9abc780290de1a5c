"""Releases: the same bytes from the same commit, with tools that are pinned and dependencies that are capped."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from romfs_manifest.shared.toml import loads
from tests import judges
from tests.plugins.support import sha256
from tests.projects import copied

PROJECT = loads((judges.REPO / "pyproject.toml").read_text(encoding="utf-8"))
CALENDAR = {"labgrid", "packaging"}
"""Packages whose major version is a year and says nothing about what changed."""


@pytest.fixture
def checkout(tmp_path):
    """A clean checkout of these sources."""
    root = copied(judges.REPO, tmp_path / "checkout")
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for arguments in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "A release")):
        subprocess.run([judges.command("git"), *arguments], cwd=root, check=True)
    return root


def release(root: Path, umask: int) -> dict[str, str]:
    subprocess.run([root / ".ci/release"], cwd=root, check=True, umask=umask, stdout=subprocess.DEVNULL)
    return {path.name: sha256(path) for path in (root / "dist").iterdir()}


@pytest.mark.skipif(os.name != "posix", reason="the script is for a POSIX shell")
def test_two_releases_of_a_commit_are_identical(checkout, tmp_path):
    first = release(checkout, 0o022)
    assert sorted(path.rpartition("-")[2] for path in first) == ["0.1.0.tar.gz", "any.whl"]
    root = checkout.rename(tmp_path / "another place")
    for path in root.rglob("*"):
        if ".venv-release" not in path.parts and ".git" not in path.parts:
            os.utime(path, (time.time() - 1e6, time.time() - 1e6))
    assert release(root, 0o077) == first


@pytest.mark.skipif(os.name != "posix", reason="the script is for a POSIX shell")
def test_a_release_needs_a_commit(checkout):
    (checkout / "hatch_romfs/new.py").touch()
    done = subprocess.run([checkout / ".ci/release"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there are changes that are not committed")
    assert not (checkout / "dist").exists()


def test_every_tool_of_a_release_is_pinned_by_its_hash():
    text = (judges.REPO / ".ci/release.txt").read_text(encoding="utf-8")
    entries = re.sub(r"^ *#.*\n", "", text.replace("\\\n", " "), flags=re.MULTILINE).splitlines()
    pins = [Requirement(entry.partition(" --hash=")[0]) for entry in entries]
    assert all(re.search(" --hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert all([one.operator for one in pin.specifier] == ["=="] for pin in pins)
    versions = {pin.name: next(iter(pin.specifier)).version for pin in pins}
    for text in (*PROJECT["dependency-groups"]["release"], *PROJECT["build-system"]["requires"]):
        wanted = Requirement(text)
        assert versions[wanted.name] in wanted.specifier


def test_the_next_major_release_of_a_dependency_is_not_installed():
    extras = PROJECT["project"]["optional-dependencies"].values()
    groups = [PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"], *extras]
    for requirement in (Requirement(text) for texts in groups for text in texts):
        capped = any(one.operator == "<" for one in requirement.specifier)
        assert capped or requirement.name in CALENDAR, requirement
