"""What `make benchmark` asks and how it judges; that it runs is shown by running it."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import parse, validate

from benchmarks import catalogue, load, report
from schema.root import graphql_schema
from storefront.models import Product, SearchDocument

ROOT = Path(__file__).parent.parent.parent
OPERATIONS = sorted((ROOT / "benchmarks/operations").glob("*.graphql"))

# Imports a module where of what is installed only the distributions named in a lock are there.
IMPORT = """
import importlib, importlib.metadata, sys
module, *locked = sys.argv[1:]
for name, owners in importlib.metadata.packages_distributions().items():
    if not {owner.lower().replace("_", "-") for owner in owners} & set(locked):
        sys.modules[name] = None
importlib.import_module(module)
"""


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.stem)
def test_the_schema_knows_what_is_asked(path):
    assert validate(graphql_schema, parse(path.read_text())) == []


@pytest.mark.django_db
def test_the_catalogue_has_as_many_products_as_are_asked_for_and_each_can_be_found():
    catalogue.fill(3)
    catalogue.fill(2)
    assert Product.objects.count() == SearchDocument.objects.count() == 5


def test_each_request_carries_one_operation_alone():
    place = load.documents(next(path for path in OPERATIONS if path.stem == "w4-buy"))["Place"]
    assert [part.name.value for part in parse(place).definitions] == ["Place"]


def test_the_page_tells_medians_and_which_promise_is_not_held(tmp_path):
    found = report.Found()
    options = argparse.Namespace(rounds=3, seconds=10, products=1_000, many=100_000, vendure=True)
    found.conditions = report.Conditions(options, cores=2, postgres="15", vendure="Vendure", day="2026-01-01")
    for who, rates in {"missed": [90, 500, 600], "vendure": [100, 200, 300]}.items():
        found.results["W2", who] = [load.Result(rate, 1, 2, {}) for rate in rates]
        found.results["W3", who] = [load.Result(rate, 1, 2, {}) for rate in rates]
    report.write(found, tmp_path / "benchmarks.md")
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| W2 product page | 200 | 500 |" in page
    assert "| W2 uncached, to Vendure | 2.5 | 2.5 | yes |" in page
    assert "| W3, to Vendure | 6 | 2.5 | **no** |" in page
    assert ">500</text>" in (tmp_path / "benchmarks.svg").read_text()


@pytest.mark.parametrize("module", ["run", "catalogue"])
def test_it_needs_nothing_that_make_run_does_not_install(module):
    """`run` starts `catalogue` in a process of its own."""
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements/app.lock").read_text(), re.MULTILINE)
    command = [sys.executable, "-c", IMPORT, f"benchmarks.{module}", *locked]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
