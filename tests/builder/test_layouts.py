"""The two layouts, built from projects: what they cost, what an edit changes, and what readers see of them."""

import hashlib
import itertools
import json
import shutil
from pathlib import Path

import pytest

from hatch_romfs import BuildError, build_all, open_image
from hatch_romfs.builder.build import BuildResult
from hatch_romfs.formats.image import image_content
from tests import judges
from tests.commands import romfs_image
from tests.content import checked_build as build
from tests.projects import make_project
from tests.trees import contents

BLOCK = 4096
HEAD = '[project]\nname = "app"\nversion = "1.0"\n[tool.romfs]\n'


def noise(size: int, seed: int) -> bytes:
    return hashlib.shake_128(seed.to_bytes(2, "big")).digest(size)


def content(count: int) -> dict[str, bytes]:
    return {f"src/lib/m{number:03}.bin": noise(300 + number * 773 % 2400, number) for number in range(count)}


def project(root: Path, table: str, count: int = 40, **more: bytes) -> Path:
    return make_project(root, content(count) | more | {"pyproject.toml": f"{HEAD}{table}".encode()})


NESTED = 'sources = ["src", { path = "assets", to = "m/assets.romfs", image = {} }]\n'
ASSETS = {f"assets/d{number % 3}/{number}.bin": noise(900 + number * 331 % 3000, 500 + number) for number in range(30)}


def blocks(image: bytes) -> list[bytes]:
    return [image[start : start + BLOCK] for start in range(0, len(image), BLOCK)]


def mean_change(root: Path, edited: str) -> float:
    """Return how many blocks a line more in one of the files changes, on average; the first one always counts."""
    old = blocks(build(root).path.read_bytes())
    changed: list[int] = []
    for path in sorted(root.glob(edited)):
        before = path.read_bytes()
        path.write_bytes(before + b"one line more\n")
        new = blocks(build(root).path.read_bytes())
        path.write_bytes(before)
        changed.append(1 + sum(block != there for block, there in itertools.zip_longest(new[1:], old[1 : len(new)])))
    return sum(changed) / len(changed)


def test_an_edit_changes_few_blocks_with_a_stable_layout_and_not_half_of_them_with_the_default(tmp_path):
    compact, stable = (project(tmp_path / layout, f'layout = "{layout}"\n', 90) for layout in ("compact", "stable"))
    built = build(stable)
    assert len(blocks(built.path.read_bytes())) == 36
    assert mean_change(compact, "src/lib/*") < 12
    assert mean_change(stable, "src/lib/*") < 3.2
    assert built.layout_cost == built.size - build(compact).size
    assert 0 < built.layout_cost < 0.08 * built.size


def test_an_edit_inside_a_nested_image_changes_few_blocks(tmp_path):
    root = project(tmp_path / "project", f'layout = "stable"\n{NESTED}', 40, **ASSETS)
    assert mean_change(root, "assets/*/*") < 5  # two of them are the heads of both images


def test_a_nested_image_keeps_its_place_when_files_before_it_grow(tmp_path):
    root = project(tmp_path / "project", f'layout = "stable"\n{NESTED}', 40, **ASSETS)

    def place() -> int:
        with open_image(build(root).path) as image:
            return image_content(image.file("m/assets.romfs")).offset

    before, moved = place(), 0
    for path in sorted((root / "src/lib").iterdir()):
        original = path.read_bytes()
        path.write_bytes(original + b"one line more\n")
        moved += place() != before
        path.write_bytes(original)
    assert moved <= 1


@pytest.mark.parametrize(
    ("around", "inside"), [("stable", "stable"), ("stable", "compact"), ("compact", "stable"), ("compact", "compact")]
)
def test_the_cost_is_the_difference_to_an_image_with_compact_layouts(around, inside, tmp_path):
    def built(around: str, inside: str) -> BuildResult:
        nested = NESTED.replace("image = {}", f'image = {{ layout = "{inside}" }}')
        return build(project(tmp_path / f"{around}-{inside}", f'layout = "{around}"\n{nested}', 9, **ASSETS))

    result, compact = built(around, inside), built("compact", "compact")
    assert result.layout_cost == result.size - compact.size
    assert (result.layout_cost > 0) == ("stable" in (around, inside))


def test_each_of_several_images_has_its_own_layout(tmp_path):
    root = project(tmp_path / "project", '[tool.romfs.images.a]\nlayout = "stable"\n[tool.romfs.images.b]\n')
    results = build_all(root)
    with open_image(results["a"].path) as a, open_image(results["b"].path) as b:
        assert contents(a.root) == contents(b.root)
    assert results["a"].layout_cost > 0
    assert results["b"].layout_cost == 0
    assert build(root, image="a", overrides={"layout": "compact"}).layout_cost == 0


def test_an_image_that_only_a_compact_layout_makes_fit_says_so(tmp_path):
    root = project(tmp_path / "project", 'layout = "stable"\n', 9)
    size = build(root).size
    assert build(root, overrides={"size": size}).limit == size
    with pytest.raises(BuildError, match="1 more than") as caught:
        build(root, overrides={"size": size - 1})
    assert f'layout = "compact" saves {build(root).layout_cost:,} bytes' in str(caught.value.hint)


def test_a_stable_image_is_the_same_in_every_folder_and_from_every_order_of_files(tmp_path):
    table = f'layout = "stable"\nalignment = {{ "*7.bin" = 64 }}\n{NESTED}'
    first = build(project(tmp_path / "a", table, 30, **ASSETS)).sha256
    entries = list({**content(30), **ASSETS}.items())
    root = make_project(tmp_path / "b" / "c", {**dict(reversed(entries)), "pyproject.toml": f"{HEAD}{table}".encode()})
    assert build(root).sha256 == first


def test_a_build_reports_the_cost_of_a_stable_layout_in_one_line(tmp_path):
    root = project(tmp_path / "project", "", 9)
    compact, stable = (
        json.loads(romfs_image("build", root, "--layout", name, "--json").stdout) for name in ("compact", "stable")
    )
    assert compact["layout_cost"] == 0
    cost = stable["layout_cost"]
    assert cost == stable["size"] - compact["size"] > 0
    _, line = romfs_image("build", root, "--layout", "stable").stdout.splitlines()
    assert line == f"  stable layout: {cost:,} bytes ({cost / compact['size']:.1%}) more than a compact one"
    assert len(romfs_image("build", root).stdout.splitlines()) == 1


def test_an_option_that_linux_does_not_have_is_named(tmp_path):
    root = project(tmp_path / "project", "", 2)
    said = romfs_image("build", root, "--format", "linux", "--layout", "stable", status=2).stderr
    assert '--layout: "stable" is only for format = "micropython"' in said


@pytest.mark.parametrize("share", ["true", "false"])
@pytest.mark.parametrize("alignment", [1, 32])
@pytest.mark.parametrize("inside", ["compact", "stable"])
@pytest.mark.parametrize("layout", ["compact", "stable"])
def test_every_reader_reads_both_layouts(layout, inside, alignment, share, tmp_path):
    """With and without alignment and shared data, outside and inside a nested image."""
    of_all = f'layout = "{inside}", share = {share}, alignment = {{ "*/5.bin" = {2 * alignment} }}'
    nested = NESTED.replace("image = {}", f"image = {{ {of_all} }}")
    table = f'layout = "{layout}"\nshare = {share}\nalignment = {{ "*9.bin" = {alignment} }}\n{nested}'
    root = project(tmp_path / "project", table, 20, **ASSETS)
    shutil.copy(root / "src/lib/m003.bin", root / "src/lib/twin.bin")
    shutil.copy(root / "assets/d0/0.bin", root / "assets/twin.bin")
    image = build(root).path
    with open_image(image) as opened:
        opened.check()
    read = judges.read_by_micropython(image)
    for name, number in [*((f"m{number:03}", number) for number in range(20)), ("twin", 3)]:
        data = content(20)[f"src/lib/m{number:03}.bin"]
        size, digest, offset = read[f"lib/{name}.bin"] or (0, "", 0)
        assert (size, digest) == (len(data), hashlib.sha256(data).hexdigest())
        assert offset % (alignment if name.endswith("9") else 1) == 0
    assert (read["lib/m003.bin"] == read["lib/twin.bin"]) is (share == "true")
    more = 'with fs.open("m/assets.romfs", "rb") as file:\n    fs = vfs.VfsRom(memoryview(file))'
    inner = judges.read_by_micropython(image, more)
    assert (inner["d0/0.bin"] == inner["twin.bin"]) is (share == "true")
    for path, entry in inner.items():
        if entry:
            assert entry[1] == hashlib.sha256((root / "assets" / path).read_bytes()).hexdigest()
            assert entry[2] % (2 * alignment if path.endswith("/5.bin") else 1) == 0
