"""docs/architecture.md and the README say where things are: every path that they name exists, the map is complete."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = ["README.md", "docs/architecture.md"]
# `path` or `path: function`; a path has a slash or a suffix of a text file. One after "new" is yet to be written.
PATH = re.compile(r"(\bnew )?`([\w.-]+(?:/[\w.-]*)+|[\w-]+\.(?:py|toml|md|sh))(?:: [\w.]+)?`")
MAP_ROW = re.compile(r"^\| `([\w/]+/)` \| ([\w, ]+) \|", re.MULTILINE)
TREE_ROW = re.compile(r"^([\w]+/) {2,}", re.MULTILINE)
CREATED_BY_MAKE = {"data/"}


def text(page):
    return (ROOT / page).read_text()


def paths(page, *, new):
    return {path for is_new, path in PATH.findall(text(page)) if bool(is_new) is new}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page):
    named = paths(page, new=False) - paths(page, new=True) - CREATED_BY_MAKE
    assert len(named) > 1
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_what_a_walkthrough_calls_new_has_a_directory_to_be_in():
    new = paths("docs/architecture.md", new=True)
    assert new
    assert [path for path in sorted(new) if not (ROOT / path).parent.is_dir()] == []


def test_the_map_names_every_module_of_every_package():
    rows = {folder: set(modules.split(", ")) for folder, modules in MAP_ROW.findall(text("docs/architecture.md"))}
    for folder, named in rows.items():
        assert named == {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}, folder
    code = {path.parent for top in ("commercia", "schema", "domain") for path in (ROOT / top).rglob("[!_]*.py")}
    assert code <= {ROOT / folder for folder in rows}


def test_the_readme_shows_the_directories_of_the_repository():
    shown = TREE_ROW.findall(text("README.md"))
    assert shown
    assert [folder for folder in shown if not (ROOT / folder).is_dir()] == []
