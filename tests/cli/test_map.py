"""``romfs-image map``: the picture, plain lines, Markdown, JSON, and budgets."""

import json
import re

import pytest

from hatch_romfs import build, image_map, open_image
from tests.commands import on_a_terminal, romfs_image
from tests.projects import make_project

FILES: dict[str, str | bytes] = {
    "app.py": "def start(value):\n    return [value + n for n in range(3)]\n",
    "lib/driver.py": "class Sensor:\n    def read(self):\n        return 'a string constant that is stored once'\n",
    "models/a.tflite": bytes(range(256)) * 40,
    "models/b.tflite": bytes(range(256)) * 40,
    **{f"small/{number}.txt": "x" * number for number in range(20)},
}
PYPROJECT = '[project]\nname = "app"\nversion = "1.0.0"\n[tool.romfs]\nsize = "64 KiB"\n'


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    files = {f"src/{path}": data for path, data in FILES.items()}
    return make_project(tmp_path_factory.mktemp("map") / "project", {"pyproject.toml": PYPROJECT, **files})


@pytest.fixture(scope="module")
def image(project, tmp_path_factory):
    return build(project, tmp_path_factory.mktemp("images") / "app.romfs").path


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r", "")


def test_the_document_accounts_for_every_byte(image):
    document = json.loads(romfs_image("map", image, "--json").stdout)
    assert (document["format"], document["size"]) == ("micropython", image.stat().st_size)
    assert sum(cell["size"] for cell in document["cells"]) == document["size"]
    assert {"offset", "size", "kind", "path"} <= document["cells"][0].keys()
    assert document["shared"] == 256 * 40


def test_the_python_api_returns_the_same(image):
    document = json.loads(romfs_image("map", image, "--json").stdout)
    assert image_map(image) == document
    with open_image(image) as opened:
        assert image_map(opened) == document
        assert opened.sha256()  # it is still open


def test_a_project_knows_its_partition_and_is_not_changed(project):
    before = sorted(project.rglob("*"))
    document = json.loads(romfs_image("map", project, "--json").stdout)
    assert document["partition"] == 64 << 10
    assert "free" in romfs_image("map", project).stdout
    assert sorted(project.rglob("*")) == before


def test_lines_in_a_pipe_name_every_file_with_its_size(image):
    shown = romfs_image("map", image).stdout
    assert "\x1b" not in shown
    for path in ("app.mpy", "models/a.tflite", "small/19.txt", "lib/"):
        assert re.search(rf"^ +\d+ +[\d.]+  {re.escape(path)}$", shown, re.MULTILINE), path
    assert re.search(r"^ +\d+ +[\d.]+  bytecode$", shown, re.MULTILINE)
    assert "equal files are stored once, which saves 10,240 bytes" in shown


def test_the_sizes_at_the_top_add_up_to_the_image(image):
    rows = re.findall(
        r"^ +(\d+) +[\d.]+  ([^/\n]+/?)$", romfs_image("map", image).stdout.split("kind")[0], re.MULTILINE
    )
    assert {path for _, path in rows} == {"app.mpy", "lib/", "models/", "small/", "(image)"}
    assert sum(int(size) for size, _ in rows) == image.stat().st_size


def test_files_are_sorted_as_asked(image):
    def paths(order):
        shown = romfs_image("map", image, "--sort", order).stdout
        rows = re.findall(r"^ +(\d+) +[\d.]+  (.*\.\w+)$", shown, re.MULTILINE)
        return [path for _, path in rows], [int(size) for size, _ in rows]

    assert paths("size")[1] == sorted(paths("size")[1], reverse=True)
    assert paths("path")[0] == sorted(paths("path")[0])
    by_kind = paths("kind")[0]
    assert by_kind.index("app.mpy") < by_kind.index("models/a.tflite") < by_kind.index("small/0.txt")


def test_verbose_output_lists_the_functions_of_modules(image):
    shown = romfs_image("map", image, "-v").stdout
    assert re.search(r" lib/driver\.mpy:Sensor\.read\(\)$", shown, re.MULTILINE)
    assert re.search(r" app\.mpy:start\.<listcomp>$", shown, re.MULTILINE)
    assert "Sensor.read()" in plain(on_a_terminal("map", image, "-v"))


def test_erase_blocks_are_listed_with_their_files(image):
    shown = romfs_image("map", image, "--blocks", "4K").stdout.split("block     offset")[1]
    assert len(re.findall(r"^ +\d+ +0x[0-9a-f]+ +\d+  ", shown, re.MULTILINE)) == -(-image.stat().st_size // 4096)
    assert "models/a.tflite" in shown
    assert "models/a.tflite" in plain(on_a_terminal("map", image, "--blocks", "4 KiB"))


@pytest.mark.parametrize("width", [30, 60, 80, 160])
def test_the_picture_is_as_wide_as_the_screen_and_no_wider(image, width):
    shown = plain(on_a_terminal("map", image, "--blocks", "4K", "--partition-size", "64K", columns=width))
    lines = shown.splitlines()
    assert max(map(len, lines)) == width
    assert any(len(line) == width and set(line) <= set("█░") for line in lines)
    if width >= 60:
        assert "models/" in shown
        assert "… 20 smaller" in shown


def test_groups_differ_without_color(image, monkeypatch):
    assert "\x1b[34m" in on_a_terminal("map", image)
    monkeypatch.setenv("NO_COLOR", "1")
    shown = on_a_terminal("map", image)
    assert "\x1b[3" not in shown
    assert {"█", "▓", "▒", "≡", "·"} <= set(shown)


def test_hostile_names_are_one_line_everywhere(tmp_path):
    name = "a\n| `x` <img src=x> \x1b[31m"
    image = build(make_project(tmp_path / "tree", {name: "x" * 3000})).path
    for shown in (romfs_image("map", image).stdout, plain(on_a_terminal("map", image))):
        assert "a\\n| `x`" in shown
        assert "\x1b" not in shown
    markdown = romfs_image("map", image, "--markdown").stdout
    assert "<img" not in markdown
    assert "\n| `x" not in markdown


def test_markdown_has_tables_of_folders_and_parts(image):
    shown = romfs_image("map", image, "--markdown").stdout
    assert shown.startswith("### `app 1.0.0`\n")
    assert re.search(r"^\| `models/` \| [\d,]+ \| [\d.]+% \|$", shown, re.MULTILINE)
    assert re.search(r"^\| code \| [\d,]+ \| [\d.]+% \|$", shown, re.MULTILINE)
    assert shown.count("<details>") == shown.count("</details>") == 2


def test_a_budget_that_is_kept_passes_and_one_that_is_exceeded_fails_and_shows_what_has_grown(project, image, tmp_path):
    budget = tmp_path / "budget.toml"
    budget.write_text('"/" = "64 KiB"\n"models/" = 20000\n"*.mpy" = "1 KiB"\n')
    base = tmp_path / "baseline.json"
    romfs_image("map", image, "--save-baseline", base, "--budget", budget)
    changed = make_project(tmp_path / "more", {f"src/{path}": data for path, data in FILES.items()})
    make_project(changed, {"pyproject.toml": PYPROJECT, "src/lib/driver.py": "x = 'a' * 10\n" * 300})
    failed = romfs_image("map", changed, "--budget", budget, "--baseline", base, status=1)
    assert "the image exceeds its budget for *.mpy" in failed.stderr
    assert re.search(r"^ +\d+ +1024 +\d+%  \*\.mpy  exceeded by [\d,]+$", failed.stdout, re.MULTILINE)
    assert re.search(r"^ +\d+ +\+\d+  lib/driver\.mpy$", failed.stdout, re.MULTILINE)
    assert "models" not in failed.stdout.split("grown since")[1]
    document = json.loads(
        romfs_image("map", changed, "--budget", budget, "--baseline", base, "--json", status=1).stdout
    )
    assert [one["exceeded"] for one in document["budgets"]] == [False, False, True]
    assert document["grown"][0]["path"] == "lib/driver.mpy"
    markdown = romfs_image("map", changed, "--budget", budget, "--baseline", base, "--markdown", status=1).stdout
    assert "| ❌ | `*.mpy` |" in markdown
    assert "| `lib/driver.mpy` |" in markdown.split("grown since the baseline")[1]


def test_a_budget_counts_a_folder_with_everything_in_it(image, tmp_path):
    budget = tmp_path / "budget.toml"
    budget.write_text('"small/" = 1\n"/small/1*.txt" = 1\n"nothing" = 1\n')
    done = romfs_image("map", image, "--budget", budget, "--json", status=1)
    sizes = {one["pattern"]: one["size"] for one in json.loads(done.stdout)["budgets"]}
    document = json.loads(romfs_image("map", image, "--json").stdout)
    assert sizes["small/"] == sum(cell["size"] for cell in document["cells"] if cell["path"].startswith("small"))
    assert sizes["/small/1*.txt"] == sum(
        cell["size"] for cell in document["cells"] if re.match(r"small/1.*txt", cell["path"])
    )
    assert "'nothing' matches nothing" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = [", "is not valid TOML"),
        ("", "contains no budget"),
        ('"lib/" = "many"', 'must be a size such as "128 KiB"'),
        ('"lib/" = true', "not a boolean"),
        ('"a\\\\" = 5', "is not a gitignore pattern"),
    ],
)
def test_a_wrong_budget_is_one_clear_error(image, tmp_path, text, message):
    budget = tmp_path / "budget.toml"
    budget.write_text(text)
    assert message in romfs_image("map", image, "--budget", budget, status=2).stderr


@pytest.mark.parametrize("text", ["", "[]", '{"hatch-romfs-baseline": 2, "paths": {}}', '{"paths": 3}', "[" * 99999])
def test_a_file_that_is_not_a_baseline_is_an_error(image, tmp_path, text):
    (tmp_path / "base.json").write_text(text)
    assert "is not a baseline" in romfs_image("map", image, "--baseline", tmp_path / "base.json", status=2).stderr


def test_no_other_file_is_overwritten(image, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    for option in ("--html", "--save-baseline"):
        assert "already exists" in romfs_image("map", image, option, other, status=2).stderr
    assert other.read_text() == "mine"
    page = tmp_path / "map.html"
    for _ in range(2):
        romfs_image("map", image, "--html", page, "-q")


def test_options_that_exclude_each_other_are_refused(image):
    assert "--json and --markdown" in romfs_image("map", image, "--json", "--markdown", status=2).stderr
    assert "is not a wheel" in romfs_image("map", image, "--image", "x", status=2).stderr
    assert "must be a size" in romfs_image("map", image, "--blocks", "4Q", status=2).stderr
