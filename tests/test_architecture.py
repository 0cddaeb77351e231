"""Habits of the house that no linter knows."""

import ast
import re
from pathlib import Path

from django.apps import apps

from domain.jobs.handlers import HANDLERS

ROOT = Path(__file__).parent.parent
PACKAGES = ("commercia", "schema", "domain", "storefront")
MIGRATIONS = ROOT / "storefront" / "migrations"
SOURCES = [path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py") if path.parent != MIGRATIONS]
FORBIDDEN_NAMES = {"utils", "helpers", "common", "managers", "services", "misc"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def public_functions(path: Path) -> list[ast.FunctionDef]:
    body = ast.parse(path.read_text()).body
    return [node for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def test_a_module_is_named_by_what_it_is_about():
    assert [relative(path) for path in SOURCES if path.stem in FORBIDDEN_NAMES] == []


def test_rows_are_locked_in_one_file_only():
    locking = [relative(path) for path in SOURCES if "select_for_update" in path.read_text()]
    assert locking == ["domain/base/locks.py"]


def test_time_is_passed_in_by_the_interfaces():
    clocks = re.compile(r"timezone\.now\(|datetime\.now\(|time\.time\(")
    assert [relative(path) for path in (ROOT / "domain").rglob("*.py") if clocks.search(path.read_text())] == []


def test_public_functions_of_the_domain_take_their_arguments_by_name():
    """Only the outbox's handlers do not: the outbox calls each with (payload, key, now)."""
    handlers = {f"{handler.__module__}.{handler.__qualname__}" for handler in HANDLERS.values()}
    for path in (ROOT / "domain").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for function in public_functions(path):
            name = f"{module}.{function.name}"
            assert name in handlers or not (function.args.args or function.args.posonlyargs), (
                f"{name} is not keyword-only"
            )


def private_names(path: Path) -> list[str]:
    """Where a test names what a module of ours keeps to itself: `module._name`, or by a text, as for monkeypatch."""
    tree, found = ast.parse(path.read_text()), []
    ours = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).partition(".")[0] in PACKAGES
    }
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] in PACKAGES:
                found += [f"{module}.{alias.name}" for alias in names if alias.name.startswith("_")]
            case ast.Attribute(attr=name) if name.startswith("_") and not re.match("__|_meta|_fields|_replace", name):
                if ast.unparse(node).partition(".")[0] in ours:
                    found.append(ast.unparse(node))
            case ast.Call(args=[ast.Name(id=owner), ast.Constant(value=str(name)), *_]):
                if owner in ours and name.startswith("_"):
                    found.append(f"{owner}.{name}")
            case ast.Constant(value=str(text)) if re.fullmatch(rf"({'|'.join(PACKAGES)})\.[\w.]*\._\w+", text):
                found.append(text)
    return found


def test_tests_use_what_modules_offer_and_not_what_they_keep_to_themselves():
    used = {relative(path): private_names(path) for path in (ROOT / "tests").rglob("*.py")}
    assert {path: names for path, names in used.items() if names} == {}


def test_an_outermost_transaction_is_durable():
    for path in (ROOT / "domain").rglob("*.py"):
        for function in public_functions(path):
            if any("atomic" in ast.unparse(decorator) for decorator in function.decorator_list):
                assert "durable=True" in ast.unparse(function.decorator_list[0]), f"{path.name}: {function.name}"


def test_a_resolver_is_short():
    for path in (ROOT / "schema").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any("mutation" in ast.unparse(d) for d in node.decorator_list):
                statements = [child for child in ast.walk(node) if isinstance(child, ast.stmt)]
                assert len(statements) <= 10, f"{path.name}: {node.name} is long"


def test_no_signals():
    for path in SOURCES:
        text = path.read_text().replace("field.pre_save(", "")  # By which a field gives its value, as auto_now does.
        assert not re.search(r"\b(pre|post)_(save|delete|init)\b|@receiver", text), relative(path)


def test_every_setting_is_explained():
    explained = set(re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    settings = (ROOT / "commercia" / "settings.py").read_text() + (ROOT / "deploy" / "gunicorn.conf.py").read_text()
    read = set(re.findall(r"""(?:env(?:\.\w+|_list)?|environ\.get)\(\s*"([A-Z0-9_]+)""", settings))
    assert read == explained


def test_the_er_diagram_shows_every_model_and_column():
    drawn = (ROOT / "docs" / "erd.svg").read_text()
    for model in apps.get_app_config("storefront").get_models():
        assert model.__name__ in drawn
        for field in model._meta.fields:
            assert field.name in drawn, f"{model.__name__}.{field.name}: run make erd"


def test_every_index_is_accounted_for():
    page = (ROOT / "docs" / "indexes.md").read_text()
    for model in apps.get_app_config("storefront").get_models():
        for index in model._meta.indexes:
            assert index.name in page


def test_no_address_of_a_registry_is_committed():
    for path in [*(ROOT / "requirements").glob("*.lock"), *ROOT.glob("*/**/package-lock.json")]:
        if "node_modules" not in path.parts:
            assert '"resolved"' not in path.read_text()
            assert "index-url" not in path.read_text()
