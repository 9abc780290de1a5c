"""Several images of one project, nested images, and images in wheels."""

import json
import subprocess
import sys
import zipfile

import pytest

from hatch_romfs import SettingsError, build_all, open_image
from hatch_romfs.formats.micropython.image import RomImage
from tests import judges
from tests.commands import romfs_image
from tests.content import checked_build as build
from tests.projects import make_project

HEAD = """\
[build-system]
requires = ["hatchling", "hatch-romfs"]
build-backend = "hatchling.build"
[project]
name = "My-app"
version = "1.0"
[tool.hatch.build.targets.wheel]
packages = ["my_app"]
[tool.hatch.build.hooks.romfs]
[tool.romfs]
"""
FILES = {
    "src/app.py": "value = 3\n",
    "src/data.txt": "text\n",
    "assets/a.tflite": bytes(range(100)),
    "assets/b/c.bin": b"x" * 33,
    "my_app/__init__.py": "",
}


def project(root, table, head=HEAD, **files):
    return make_project(root, FILES | files | {"pyproject.toml": head + table})


TWO = """\
alignment = 4
[tool.romfs.images.code]
[tool.romfs.images.assets]
sources = ["assets"]
alignment = { "*.tflite" = 32 }
mpy = false
"""


@pytest.fixture
def two(tmp_path):
    return project(tmp_path / "project", TWO)


def test_several_images_are_built_in_one_go(two):
    made = build_all(two)
    assert {name: built.path.name for name, built in made.items()} == {
        "code": "My-app-code.romfs",
        "assets": "My-app-assets.romfs",
    }
    with open_image(made["code"].path) as image:
        assert image.name == "My-app-code"
        assert image.file("app.mpy").read()[:1] == b"M"
        assert image.file("data.txt").content.offset % 4 == 0
    with open_image(made["assets"].path) as image:
        assert sorted(image.root.entries) == ["a.tflite", "b"]
        assert image.file("a.tflite").content.offset % 32 == 0


def test_one_of_several_is_named(two, tmp_path):
    assert build(two, image="assets").sha256 == build_all(two)["assets"].sha256
    with pytest.raises(SettingsError, match="has several images: code, assets"):
        build(two)
    said = romfs_image("build", two).stdout.splitlines()
    assert [line.split()[0].rpartition("/")[2] for line in said] == ["My-app-code.romfs", "My-app-assets.romfs"]
    documents = json.loads(romfs_image("build", two, "--json").stdout)["images"]
    assert sorted(documents) == ["assets", "code"]
    romfs_image("build", two, "--image", "code", "-o", tmp_path / "x.romfs")
    assert "several images: code, assets" in romfs_image("build", two, "-o", tmp_path / "x.romfs", status=2).stderr
    assert "has no image 'x'; its images: code" in romfs_image("build", two, "--image", "x", status=2).stderr


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ('[tool.romfs.images."a b"]', "tool.romfs.images.a b: must consist of letters, digits, '-', and '_'"),
        ("[tool.romfs.images.a]\nsorces = []", "tool.romfs.images.a.sorces: unknown key; did you mean 'sources'?"),
        ("images = { a = 1 }", "tool.romfs.images.a: must be a table, not an integer"),
        ('[tool.romfs.images.a]\ndependencies = ["x"]', "tool.romfs.images.a.dependencies: can only be [], for none"),
        ("[tool.romfs.images.a.images.b]", "tool.romfs.images.a.images: an image cannot have further images"),
        (
            'sources = [{ path = "src", image = {} }]',
            "tool.romfs.sources[0].to: must name the file",
        ),
    ],
)
def test_tables_of_images_that_are_wrong(table, text, tmp_path):
    with pytest.raises(SettingsError) as caught:
        build_all(project(tmp_path / "project", table))
    assert [str(problem) for problem in caught.value.problems if str(problem).startswith(text)]
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('filename = "x.romfs"\nimages = { a = {}, b = {} }', "x.romfs"),
        ("images = { Code = {}, code = {} }", "My-app-code.romfs"),
        ('images.a.filename = "{name}-1.0.romfs"\nimages.b.filename = "My-app-{version}.romfs"', "My-app-1.0.romfs"),
        ('embed = "my_app/x.romfs"\nimages = { a = {}, b = {} }', "my_app/x.romfs in the wheel"),
    ],
)
def test_images_that_would_take_one_anothers_place(table, place, tmp_path):
    with pytest.raises(SettingsError, match="would both be written to .*") as caught:
        build_all(project(tmp_path / "project", table))
    assert place in str(caught.value)
    assert not (tmp_path / "project/dist").exists()


def test_keys_that_images_share_need_not_be_complete(tmp_path):
    table = """mpy = { emit = "native" }
[tool.romfs.images.one]
mpy = { emit = "native", arch = "armv6m" }
[tool.romfs.images.two]
format = "linux"
mpy = false
linux = { volume = "v" }
"""
    made = build_all(project(tmp_path / "project", table))
    assert list(made) == ["one", "two"]


# An image inside the image


NESTED = """\
alignment = 1
mpy = true
sources = ["src", { path = "assets", to = "in/assets.romfs", image = { alignment = { "*.tflite" = 32 } } }]
"""


def test_a_nested_image_can_be_mounted_in_place(tmp_path):
    root = project(tmp_path / "project", NESTED, **{"src/odd": b"odd", "assets/m.py": "inner = 5\n"})
    built = build(root)
    with open_image(built.path) as image:
        inner = image.file("in/assets.romfs")
        assert inner.content.offset % 32 == 0
        with RomImage(inner.read()) as opened:
            assert opened.file("a.tflite").read() == FILES["assets/a.tflite"]
            opened.check()
    code = (
        "import uctypes, vfs\n"
        "outer = open('/rom/in/assets.romfs', 'rb')\n"
        "view = memoryview(outer)\n"
        "vfs.mount(vfs.VfsRom(view), '/assets')\n"
        "data = memoryview(open('/assets/a.tflite', 'rb'))\n"
        "start = uctypes.addressof(memoryview(open('/rom/app.mpy', 'rb')))\n"
        "print(uctypes.addressof(data) % 32, bytes(data[:3]), uctypes.addressof(view) < uctypes.addressof(data)"
        " < uctypes.addressof(view) + len(view))\n"
        "import sys; sys.path.append('/assets'); import m; print(m.inner)"
    )
    assert romfs_image("run", built.path, "-c", code).stdout == "0 b'\\x00\\x01\\x02' True\n5\n"


def test_a_nested_image_inherits_missing_keys(tmp_path):
    table = (
        "alignment = 64\nmpy = false\nmetadata = false\n"
        'sources = [{ path = "assets", to = "a.romfs", image = { share = false } }]\n'
    )
    with open_image(build(project(tmp_path / "project", table, **{"assets/m.py": "x = 1\n"})).path) as image:
        inner = RomImage(image.file("a.romfs").read())
        assert "m.py" in inner.root.entries
        assert inner.content_sha256 is None
        assert inner.file("b/c.bin").content.offset % 64 == 0


def test_a_nested_image_adds_to_the_settings_around_it(tmp_path):
    table = (
        'board = "OPENMV_N6"\n'
        'sources = [{ path = "assets", to = "a.romfs",'
        ' image = { alignment = { "*.bin" = 64 }, mpy = { optimize = 3 } } }]\n'
    )
    native = "import micropython\n@micropython.native\ndef f():\n    return 1\n"
    built = build(project(tmp_path / "project", table, **{"assets/n.py": native}))
    assert built.warnings == ()
    with open_image(built.path) as image:
        assert image.file("a.romfs").content.offset % 64 == 0
        inner = RomImage(image.file("a.romfs").read())
        assert inner.file("a.tflite").content.offset % 32 == 0
        assert inner.file("b/c.bin").content.offset % 64 == 0


def test_a_nested_image_is_checked_like_everything_else(tmp_path):
    root = project(
        tmp_path / "project", 'sources = [{ path = "empty", to = "a.romfs", image = { alignment = { "*.x" = 4 } } }]\n'
    )
    (root / "empty").mkdir()
    first, second = build(root).warnings
    assert first == "a.romfs is an empty image: no file in empty was included"
    assert second == 'no file in the image matches tool.romfs.sources[0].image.alignment."*.x"'
    deep = "a/" * 300 + "x.romfs"
    with pytest.raises(Exception, match="folders are nested more than 255 deep"):
        build(project(tmp_path / "deep", f'sources = [{{ path = "assets", to = "{deep}", image = {{}} }}]\n'))


def test_c_source_is_aligned_for_nested_images(tmp_path):
    from hatch_romfs import CArray

    table = 'sources = ["src", { path = "assets", to = "a.romfs", image = { alignment = { "*.tflite" = 256 } } }]\n'
    built = build(project(tmp_path / "project", table), emit=CArray())
    assert "aligned(256)" in built.path.read_text().splitlines()[0]


def test_a_nested_image_and_a_file_with_its_name_clash(tmp_path):
    table = 'sources = ["src", { path = "assets", to = "app.py", image = {} }]\n'
    with pytest.raises(Exception, match="two sources for 'app.py' in the image"):
        build(project(tmp_path / "project", table))


# Through Hatch


def hatchling(root, *arguments, status=0, **environment):
    import os

    command = [sys.executable, "-m", "hatchling", "build", *arguments]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, env=os.environ | {"NO_COLOR": "1"} | environment
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def outputs(root, folder="dist"):
    return sorted(path.name for path in (root / folder).iterdir()) if (root / folder).exists() else []


def test_hatch_builds_one_or_all(two):
    hatchling(two, "-t", "romfs:assets")
    assert outputs(two) == ["My-app-assets.romfs"]
    hatchling(two, "-t", "romfs")
    assert outputs(two) == ["My-app-assets.romfs", "My-app-code.romfs"]
    hatchling(two, "-t", "romfs", "-c")
    assert outputs(two) == ["My-app-assets.romfs", "My-app-code.romfs"]
    hatchling(two, "-t", "romfs", "--clean-only")
    assert outputs(two) == []
    hatchling(two, "-t", "wheel", HATCH_BUILD_LOCATION="elsewhere")
    assert outputs(two, "elsewhere") == ["My-app-assets.romfs", "My-app-code.romfs", "my_app-1.0-py2.py3-none-any.whl"]
    hatchling(two, "-t", "romfs", HATCH_BUILD_LOCATION="elsewhere")


def test_an_sdist_carries_all_that_images_need(two, tmp_path):
    (two / ".gitignore").write_text("assets/\nromfs.lock\nsp*\nmanifest.py\nextra.py\n")
    make_project(two, {"sp [1]/y.txt": "y", "manifest.py": 'include("between")\n', "extra.py": "z = 1\n"})
    make_project(
        two, {"between/manifest.py": 'include("../last")\n', "last/manifest.py": 'module("extra.py", base_path="..")\n'}
    )
    text = (two / "pyproject.toml").read_text()
    code = '[tool.romfs.images.code]\nsources = ["./src", "sp [1]/"]\nmanifest = "manifest.py"\n'
    (two / "pyproject.toml").write_text(text.replace("[tool.romfs.images.code]\n", code))
    subprocess.run([judges.command("git"), "init", "-q", two], check=True)
    first = {name: built.sha256 for name, built in build_all(two).items()}
    hatchling(two, "-t", "sdist")
    (sdist,) = (two / "dist").glob("*.tar.gz")
    subprocess.run(["tar", "xf", sdist, "-C", tmp_path], check=True)
    again = build_all(tmp_path / "my_app-1.0")
    assert {name: built.sha256 for name, built in again.items()} == first


@pytest.mark.parametrize(
    ("embed", "path"), [("true", "my_app/My-app.romfs"), ('"my_app/data/rom.romfs"', "my_app/data/rom.romfs")]
)
def test_a_wheel_contains_its_image(embed, path, tmp_path):
    root = project(tmp_path / "project", f"embed = {embed}\n")
    hatchling(root, "-t", "wheel")
    (wheel,) = (root / "dist").glob("*.whl")
    built = build(root)
    assert zipfile.ZipFile(wheel).read(path) == built.path.read_bytes()
    venv = tmp_path / "venv"
    uv = judges.command("uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, venv], check=True)
    python = venv / "bin/python"
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "--no-deps", wheel], check=True)
    code = (
        f"import sys; sys.path.append({str(judges.REPO)!r})\n"
        "from hatch_romfs.images.installed import installed_image; print(installed_image('my-app').read_bytes().hex())"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert bytes.fromhex(done.stdout.strip()) == built.path.read_bytes()
