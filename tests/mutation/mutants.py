"""The mutants of a module: its source with one small fault in each.

Most operators are mutmut's. mutmut itself leaves out functions with decorators, which most of the domain's are, so the
walk over the source is ours. Prose, annotations and imports are not changed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper
from mutmut.mutation import mutators

# A condition given by name to one of these narrows or changes rows: a test has to notice when it is missing.
QUERIES = {"filter", "exclude", "update", "get", "annotate", "update_or_create", "get_or_create", "bulk_create"}


@dataclass(frozen=True)
class Mutant:
    """`function` is the outermost function around the change, by its qualified name; empty at module or class level."""

    path: Path
    line: int
    function: str
    before: str
    after: str
    source: bytes

    def __str__(self) -> str:
        return f"{self.path}:{self.line}\n- {self.before}\n+ {self.after}"

    def code(self) -> CodeType:
        """The compiled function."""
        return _functions(self.source, self.path)[self.function]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def of_file(path: Path) -> list[Mutant]:
    """Every mutant of a file, in its order."""
    text = path.read_bytes()
    wrapper = MetadataWrapper(cst.parse_module(text))
    walk = _Walk()
    wrapper.module.visit(walk)
    spans = wrapper.resolve(ByteSpanPositionProvider)
    original = _functions(text, path)
    found: dict[bytes, Mutant] = {}
    for old, new, around in walk.found:
        start, end = spans[old].start, spans[old].start + spans[old].length
        source = text[:start] + wrapper.module.code_for_node(new).strip().encode() + text[end:]
        try:
            changed = _functions(source, path)
        except SyntaxError:
            continue
        # The default of a parameter lies outside of its function: it is known when that is defined.
        is_inside = around and changed[around] != original[around]
        line = text[:start].count(b"\n")
        before = text.splitlines()[line : text[:end].count(b"\n") + 1]
        after = source.splitlines()[line : line + source.count(b"\n") - text.count(b"\n") + len(before)]
        shown = (" ".join(each.strip().decode() for each in lines) for lines in (before, after))
        found.setdefault(source, Mutant(path, line + 1, around if is_inside else "", *shown, source))
    return list(found.values())


def _functions(source: bytes, path: Path) -> dict[str, CodeType]:
    """The compiled functions of a file, by their qualified names."""
    return {code.co_qualname: code for code in _codes(compile(source, str(path.resolve()), "exec"))}


class _Walk(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, str]] = []
        self._scopes: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom) or _is_log(node):
            return False
        if isinstance(node, cst.ClassDef | cst.FunctionDef):
            self._scopes.append(node)
        for type_, operator in OPERATORS:
            if isinstance(node, type_):
                self.found += [(*change, self._function()) for change in operator(node)]
        return True

    def on_leave(self, node: cst.CSTNode) -> None:
        if self._scopes and self._scopes[-1] is node:
            self._scopes.pop()

    def _function(self) -> str:
        """The outermost one that the walk is in."""
        names = []
        for scope in self._scopes:
            names.append(scope.name.value)
            if isinstance(scope, cst.FunctionDef):
                return ".".join(names)
        return ""


def _is_log(node: cst.CSTNode) -> bool:
    return m.matches(node, m.Call(func=m.Attribute(value=m.Name("logger"))))


Change = tuple[cst.CSTNode, cst.CSTNode]


def _conditions(node: cst.If | cst.While | cst.CompIf | cst.IfExp) -> Iterator[Change]:
    """Always, and never."""
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.test, cst.BooleanOperation(left=test, operator=cst.And(), right=cst.Name("False"))
    if not isinstance(node, cst.While):
        yield node.test, cst.BooleanOperation(left=test, operator=cst.Or(), right=cst.Name("True"))


def _queries(node: cst.Call) -> Iterator[Change]:
    """Without one of the conditions."""
    if isinstance(node.func, cst.Attribute) and node.func.attr.value in QUERIES:
        for index, argument in enumerate(node.args):
            if argument.keyword or len(node.args) > 1:
                yield node, node.with_changes(args=[*node.args[:index], *node.args[index + 1 :]])


def _statements(node: cst.SimpleStatementLine) -> Iterator[Change]:
    """Without what is called, or raised, or changed in place."""
    (statement, *others) = node.body
    calls = m.matches(statement, m.Expr(value=m.Call())) and not _is_log(statement.value)
    if not others and (calls or isinstance(statement, cst.Raise | cst.AugAssign)):
        yield statement, cst.Pass()


def _by_mutmut(operator: Callable[[Any], Any]) -> Callable[[Any], Iterator[Change]]:
    return lambda node: ((node, new) for new in operator(node))


_FROM_MUTMUT = {
    mutators.operator_number,
    mutators.operator_name,
    mutators.operator_augmented_assignment,
    mutators.operator_remove_unary_ops,
    mutators.operator_keywords,
    mutators.operator_swap_op,
}
OPERATORS: list[tuple[Any, Callable[[Any], Iterator[Change]]]] = [
    *((type_, _by_mutmut(each)) for type_, each in mutators.mutation_operators if each in _FROM_MUTMUT),
    (cst.If | cst.While | cst.CompIf | cst.IfExp, _conditions),
    (cst.Call, _queries),
    (cst.SimpleStatementLine, _statements),
]
