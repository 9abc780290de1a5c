"""The documentation: its links lead somewhere, and it describes everything that is public."""

import json
import re
import subprocess
import sys
from urllib.parse import unquote

import pytest

import hatch_romfs
from hatch_romfs.settings.ports import ROMFS_SETTINGS
from hatch_romfs.settings.schema import tool_schema
from tests import judges

PAGES = sorted(
    path.relative_to(judges.REPO).as_posix()
    for path in judges.REPO.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(judges.REPO).parts)
)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text(page):
    return (judges.REPO / page).read_text(encoding="utf-8")


def headings(page):
    return re.findall(r"^#+ (.+)$", FENCED.sub("", text(page)), re.MULTILINE)


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(CODE.sub("", text(page))):
        if link.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (judges.REPO / page).parent / path if path else judges.REPO / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target.resolve().relative_to(judges.REPO.resolve())), f"{page}: {link}"


def test_no_page_repeats_a_heading():
    for page in PAGES:
        assert len(headings(page)) == len(set(headings(page))), page


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/")])
def test_every_page_can_be_reached_from_the_readme(page):
    seen, waiting = set(), ["README.md"]
    while waiting:
        here = waiting.pop()
        seen.add(here)
        for link in LINK.findall(CODE.sub("", text(here))):
            target = ((judges.REPO / here).parent / link.split("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file():
                found = target.relative_to(judges.REPO.resolve()).as_posix()
                if found not in seen:
                    waiting.append(found)
    assert page in seen


@pytest.mark.parametrize("name", hatch_romfs.__all__)
def test_the_api_page_has_a_heading_for_every_public_name(name):
    assert name in headings("docs/reference/api.md")


def test_the_script_for_editors_writes_a_schema_of_the_whole_file(tmp_path):
    script = re.findall(r"^```python\n(.*?)^```$", text("docs/reference/platforms.md"), re.MULTILINE | re.DOTALL)
    subprocess.run([sys.executable, "-c", script[0]], cwd=tmp_path, check=True)
    schema = json.loads((tmp_path / "romfs.schema.json").read_text(encoding="utf-8"))
    assert schema["properties"]["tool"]["properties"]["romfs"] == tool_schema()


def test_the_page_about_firmware_without_romfs_says_what_the_messages_say():
    rows = dict(re.findall(r"^\| ([\w-]+) \| (.+) \|$", text("docs/how-to/use-a-board-without-romfs.md"), re.MULTILINE))
    found = {port: row.replace("`", "") for port, row in rows.items() if port in ROMFS_SETTINGS}
    assert found == ROMFS_SETTINGS
