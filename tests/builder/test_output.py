"""Outputs beside hostile neighbors: their links are not followed, and what killed builds left is removed."""

import os
import stat

import pytest

from hatch_romfs import SettingsError
from hatch_romfs.builder import links
from romfs_manifest.shared.atomic import SUFFIX
from tests.content import checked_build as build
from tests.projects import make_project

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no such folders")


@pytest.fixture
def shared(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act for another user")
@pytest.mark.parametrize("target", ["a file", "nothing", "a folder"])
def test_a_link_of_another_user_in_a_shared_folder_is_not_followed(project, shared, tmp_path, target):
    victim = tmp_path / "victim"
    if target == "a file":
        victim.touch()
    elif target == "a folder":
        victim.mkdir()
    link = shared / "app.romfs"
    link.symlink_to(victim)
    os.chown(link, 1234, 1234, follow_symlinks=False)
    with pytest.raises(SettingsError, match="is a link of another user in a folder that everybody can write to"):
        build(project, link / "app.romfs" if target == "a folder" else link)
    assert victim.exists() == (target != "nothing")
    assert not victim.is_file() or victim.read_bytes() == b""


def test_a_link_of_one_s_own_is_followed(project, shared, tmp_path):
    (shared / "app.romfs").symlink_to("../real.romfs")
    build(project, shared / "app.romfs")
    assert stat.S_ISREG((tmp_path / "real.romfs").lstat().st_mode)
    assert (shared / "app.romfs").is_symlink()


def test_paths_with_links_and_dots_lead_where_the_system_leads(tmp_path):
    make_project(tmp_path, {"a/b/c": "", "d/e": ""})
    (tmp_path / "l").symlink_to("a/b")
    (tmp_path / "a/up").symlink_to("../d")
    for path in ("l/c", "l/../up/e", "a/up/e", "l/new", "a/../d/e"):
        out = tmp_path / path
        assert str(links.resolve_output(out)) == os.path.realpath(out)


def test_a_loop_of_links_is_an_error(tmp_path):
    (tmp_path / "l").symlink_to("l")
    with pytest.raises(OSError, match="Too many levels"):
        links.resolve_output(tmp_path / "l")


def test_the_next_build_removes_what_a_killed_build_left(project):
    out = build(project).path
    left = out.with_name(f".{out.name}.0123abcd{SUFFIX}")
    left.write_bytes(bytes(1000))
    build(project)
    assert os.listdir(out.parent) == [out.name]
