"""Expressions of a manifest: literals, names, ``options.NAME``, ``+``, and f-strings."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from romfs_manifest.errors import LimitError, ManifestError
from romfs_manifest.manifest.advice import unsupported
from romfs_manifest.manifest.values import Sequence, Value, check_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from romfs_manifest.manifest.syntax import Source
    from romfs_manifest.manifest.values import Budget

_MAX_DEPTH = 60
"""Maximum depth of an expression. Chains of '+' do not count, however long they are."""
_CONVERSIONS: dict[int, Callable[[object], str]] = {-1: str, ord("s"): str, ord("r"): repr, ord("a"): ascii}


class UnknownValueError(Exception):
    """A statement uses a value that an error, which was reported before, has left unknown."""


class Scope:
    """The names of a manifest with their values, and its options."""

    def __init__(self, options: dict[str, Value]) -> None:
        self._options = options
        self._values: dict[str, Value] = {}
        self.defaults: dict[str, Value] = {}
        self.unknown: set[str] = set()
        """Names whose assignment failed."""
        self._assigned: dict[ast.stmt, frozenset[str]] = {}

    def assign(self, name: str, value: Value) -> None:
        """Give a name its value."""
        self.unknown.discard(name)
        self._values[name] = value

    def forget(self, statement: ast.stmt) -> None:
        """Make every name unknown that a statement, which has failed, would have assigned."""
        if statement not in self._assigned:  # a loop can fail in the same statement again and again
            self._assigned[statement] = frozenset(_assigned_names(statement))
        self.unknown |= self._assigned[statement]

    def option(self, name: str) -> Value:
        """Return an option, its default, or None, which is what an option without a value is."""
        return self._options[name] if name in self._options else self.defaults.get(name)

    def value(self, name: str) -> Value:
        """Return the value of a name; raises UnknownValueError or KeyError."""
        if name in self.unknown:
            raise UnknownValueError
        return self._values[name]


class Expressions:
    """Evaluates expressions in the scope of one manifest."""

    def __init__(self, source: Source, scope: Scope, budget: Budget) -> None:
        self._source = source
        self._scope = scope
        self._budget = budget
        self._depth = 0

    def arguments(self, node: ast.Call) -> tuple[tuple[Value, ...], dict[str, Value]]:
        """Return the positional and the keyword arguments of a call; raises ManifestError."""
        positional = tuple(map(self.value, node.args))
        keywords: dict[str, Value] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._error(keyword)
            if keyword.arg in keywords:
                text, place = f"{keyword.arg}= is given twice", self._source.place(keyword)
                raise ManifestError(text, hint="Remove one of the two.", place=place)
            keywords[keyword.arg] = self.value(keyword.value)
        return positional, keywords

    def value(self, node: ast.expr) -> Value:
        """Return the value of an expression; raises ManifestError, with its place."""
        self._budget.step()
        self._depth += 1
        try:
            if self._depth > _MAX_DEPTH:
                raise LimitError("an expression is nested too deeply", hint="Use names for parts of it.")
            return self._value(node)
        except ManifestError as error:
            error.place = error.place or self._source.place(node)
            raise
        finally:
            self._depth -= 1

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant() | ast.UnaryOp():
                return self._constant(node)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                items = tuple(map(self.value, elements))
                return self._budget.sequence(items, is_list=isinstance(node, ast.List))
            case ast.Name():
                return self._name(node)
            case ast.Attribute(value=ast.Name(id="options"), attr="defaults"):
                raise self._error(node, "options.defaults without a call", "Write options.defaults(NAME=VALUE).")
            case ast.Attribute(value=ast.Name(id="options"), attr=name) if not name.startswith("_"):
                return self._scope.option(name)
            case ast.BinOp(op=ast.Add()):
                return self._sum(node)
            case ast.JoinedStr(values=parts):
                return self._budget.join(list(map(self._part, parts)))
            case _:
                raise self._error(node)

    def _constant(self, node: ast.Constant | ast.UnaryOp) -> Value:
        match node:
            case ast.Constant(value=str() | None as text):
                return text
            case ast.Constant(value=int() | float() as number):  # and bool, which is an int
                return check_number(number)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return check_number(-number)
            case _:
                raise self._error(node)

    def _name(self, node: ast.Name) -> Value:
        try:
            return self._scope.value(node.id)
        except KeyError:
            place = self._source.place(node)
            hint = "Write text in quotes, or assign a value to the name first. Paths can contain $(NAME) instead."
            raise ManifestError(f"the name {node.id!r} has no value", hint=hint, place=place) from None

    def _sum(self, node: ast.BinOp) -> Value:
        """Return the value of a chain of additions, from left to right."""
        terms: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
            terms.append(left.right)
            left = left.left
        value = self.value(left)
        for term in reversed(terms):
            value = self._budget.add(value, self.value(term))
        return value

    def _part(self, node: ast.expr) -> str:
        """Return the text of one part of an f-string."""
        if not isinstance(node, ast.FormattedValue):
            return str(self.value(node))
        if node.format_spec is not None:
            raise self._error(node, "a format after ':'", "Write the formatted text out.")
        value = self.value(node.value)
        if isinstance(value, Sequence):
            raise self._error(node, "a list in an f-string", "Write the text out.")
        return _CONVERSIONS[node.conversion](value)

    def _error(self, node: ast.AST, what: str | None = None, hint: str | None = None) -> ManifestError:
        return unsupported(node, self._source.place(node), what, hint)


def _assigned_names(statement: ast.stmt) -> Iterator[str]:
    """Yield every name that a statement, or one inside it, assigns."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
