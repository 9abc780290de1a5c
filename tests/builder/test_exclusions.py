"""What is excluded without being asked for: a project's own files, and leftovers of tools and systems."""

import pytest

from hatch_romfs import build, open_image
from tests import judges
from tests.commands import romfs_image, run
from tests.projects import make_project
from tests.trees import paths

TABLE = '[project]\nname = "flat"\nversion = "1"\n[tool.romfs]\nsources = ["."]\n'
BACKEND = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
WANTED = {
    "app.py": "x = 1\n",
    "LICENSE": "free\n",
    "web/README.md": "shown to visitors\n",
    "web/requirements.txt": "data\n",
    "env/settings.py": "x = 1\n",
    "venv.py": "x = 1\n",
}
UNWANTED = {
    ".env": "TOKEN=1\n",
    ".env.local": "TOKEN=1\n",
    ".envrc": "TOKEN=1\n",
    ".github/workflows/ci.yml": "",
    ".ipynb_checkpoints/a.py": "",
    ".python-version": "3.12\n",
    "._app.py": "\0\5\x16\7",
    "web/.nfs0000001": "",
    "web/._logo.png": "",
    "venv/pyvenv.cfg": "home = /home/me\n",
    ".venv/pyvenv.cfg": "home = /home/me\n",
    "aioble-0.1.dist-info/RECORD": "/home/me/app\n",
    "pyproject.toml": TABLE,
    "README.md": "# flat\n",
    "README.zh-CN.md": "# flat\n",
    "requirements.txt": "x\n",
    "uv.lock": "",
}
EXCLUDED = {
    ".env", ".env.local", ".envrc", ".github/", ".ipynb_checkpoints/", ".python-version", "._app.py",
    "web/.nfs0000001", "web/._logo.png", "venv/", ".venv/", "aioble-0.1.dist-info/", "pyproject.toml", "README.md",
    "README.zh-CN.md", "requirements.txt", "uv.lock",
}  # fmt: skip


@pytest.fixture
def flat(tmp_path):
    return make_project(tmp_path / "flat", WANTED | UNWANTED)


def content(image):
    with open_image(image) as opened:
        return set(paths(opened.root))


def test_an_image_of_a_flat_project_has_nothing_of_the_host(flat):
    built = build(flat, overrides={"mpy": False})
    assert content(built.path) == set(WANTED)
    assert set(built.excluded) == {f"./{path}" for path in EXCLUDED}


def test_a_plain_folder_with_a_pyproject_toml_is_a_project_too(flat):
    (flat / "pyproject.toml").write_text('[project]\nname = "flat"\n', encoding="utf-8")
    built = build(flat, overrides={"mpy": False})
    assert content(built.path) == set(WANTED)
    assert {path.removeprefix(f"{flat}/") for path in built.excluded} == EXCLUDED


def test_a_folder_without_a_project_keeps_its_readme(tmp_path):
    root = make_project(tmp_path / "web", {"README.md": "", "requirements.txt": "", ".env": ""})
    assert content(build(root).path) == {"README.md", "requirements.txt"}


def test_patterns_include_something_again(flat):
    text = 'exclude = ["!.env", "!/README.md", "!venv/", "!*.dist-info"]\n'
    (flat / "pyproject.toml").write_text(TABLE + text, encoding="utf-8")
    added = {".env", "README.md", "venv/pyvenv.cfg", "aioble-0.1.dist-info/RECORD"}
    assert content(build(flat, overrides={"mpy": False}).path) == set(WANTED) | added


def test_only_verbose_output_lists_what_was_excluded(flat):
    lines = romfs_image("build", flat, "-v").stderr.splitlines()
    assert {line for line in lines if line.startswith("excluded ")} == {
        f"excluded ./{path} (by a built-in pattern)" for path in EXCLUDED
    }
    assert "excluded" not in romfs_image("build", flat).stderr


def test_what_the_user_excludes_is_not_listed(flat):
    (flat / "pyproject.toml").write_text(TABLE + 'exclude = ["web"]\n', encoding="utf-8")
    assert not [path for path in build(flat).excluded if path.startswith("./web")]


def test_hatch_lists_it_too(flat, wheelhouse):
    backend = BACKEND.replace('"hatchling"]', '"hatchling", "hatch-romfs"]')
    (flat / "pyproject.toml").write_text(backend + TABLE, encoding="utf-8")
    hatch = judges.command("hatch")
    assert "excluded ./.env (by a built-in pattern)" in run(hatch, "-v", "build", "-t", "romfs", cwd=flat)
    assert "excluded ./.env" not in run(hatch, "build", "-t", "romfs", cwd=flat)
