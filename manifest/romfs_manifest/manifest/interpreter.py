"""A bounded interpreter for manifests: it walks the syntax tree, and nothing of a manifest ever runs.

It knows calls of the functions of manifests, ``options``, assignments, ``for``, ``if``, ``try``, literals, ``+``, and
f-strings. Every other node of a syntax tree is an error that says what to write instead. After an error evaluation
goes on with the next statement, so that one run reports all errors.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Protocol

from romfs_manifest.errors import LimitError, ManifestError, MissingFileError
from romfs_manifest.manifest.advice import unsupported
from romfs_manifest.manifest.expressions import Expressions, Scope, UnknownValueError
from romfs_manifest.manifest.functions import FUNCTIONS, Call
from romfs_manifest.manifest.values import CALL_STEPS, Sequence, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from romfs_manifest.errors import Place
    from romfs_manifest.manifest.syntax import Source
    from romfs_manifest.manifest.values import Budget

OPTIONS = "options"
_CATCHABLE = ("Exception", "BaseException", "OSError", "IOError", "EnvironmentError", "FileNotFoundError")


class Caller(Protocol):
    """Carries out calls, and receives errors and warnings."""

    is_guarded: bool
    """Whether evaluation is inside a ``try`` that skips missing files."""

    def call(self, call: Call) -> None:
        """Carry out one call; raises ManifestError."""

    def report(self, error: ManifestError, place: Place) -> None:
        """Record an error."""

    def warn(self, place: Place, text: str) -> None:
        """Record a warning."""


class Interpreter:
    """Evaluates one manifest."""

    def __init__(self, source: Source, options: dict[str, Value], budget: Budget, caller: Caller) -> None:
        self._source = source
        self._budget = budget
        self._caller = caller
        self._scope = Scope(options)
        self._expressions = Expressions(source, self._scope, budget)

    def run(self, body: list[ast.stmt]) -> None:
        """Evaluate statements one after another."""
        with self._budget.block():
            self._run(body)

    def _run(self, body: list[ast.stmt]) -> None:
        for statement in body:
            try:
                self._budget.step()
                self._statement(statement)
            except UnknownValueError:  # noqa: PERF203 - one statement after another; the error that made it unknown was reported already
                self._scope.forget(statement)
            except ManifestError as error:
                if isinstance(error, LimitError):
                    error.place = error.place or self._source.place(statement)
                    raise
                if self._caller.is_guarded and isinstance(error, MissingFileError):
                    raise
                self._caller.report(error, self._source.place(statement))
                self._scope.forget(statement)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                pass
            case ast.Expr(value=ast.Call() as call):
                self._call(call)
            case ast.Expr(value=value):
                raise self._error(value)
            case ast.Assign(targets=targets, value=expression):
                assigned = self._expressions.value(expression)
                for target in targets:
                    self._bind(target, assigned)
            case ast.For(target=target, iter=iterable, body=body, orelse=orelse):
                for item in self._items(iterable):
                    self._bind(target, item)
                    self.run(body)
                self.run(orelse)
            case ast.If(test=test, body=body, orelse=orelse):
                self.run(body if self._is_true(test) else orelse)
            case ast.Try():
                self._try(node)
            case _:
                raise self._error(node)

    def _call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Name(id=name):
                if name in self._scope.unknown:
                    raise UnknownValueError
                self._budget.step(CALL_STEPS)
                place = self._source.place(node)
                positional, keywords = self._expressions.arguments(node)
                self._caller.call(Call(name, positional, keywords, place))
            case ast.Attribute(value=ast.Name(id="options"), attr="defaults"):
                positional, keywords = self._expressions.arguments(node)
                if positional:
                    raise self._error(node.args[0], "a default without a name", "Write options.defaults(NAME=VALUE).")
                self._scope.defaults = keywords
            case function:
                raise self._error(function)

    def _bind(self, target: ast.expr, value: Value) -> None:
        self._budget.step()
        match target:
            case ast.Name(id=name):
                if name == OPTIONS or name in FUNCTIONS:
                    hint = "Use another name for the value."
                    raise self._error(target, f"assigning to {name!r}, which manifests use,", hint)
                self._scope.assign(name, value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                items = self._iterate(value, target)
                if len(items) != len(targets):
                    place = self._source.place(target)
                    text = f"{len(targets)} names for {len(items)} values"
                    raise ManifestError(text, hint="Give one name for each value.", place=place)
                for one, item in zip(targets, items, strict=True):
                    self._bind(one, item)
            case _:
                raise self._error(target)

    def _items(self, node: ast.expr) -> Iterator[Value]:
        for item in self._iterate(self._expressions.value(node), node):
            self._budget.step()
            yield item

    def _iterate(self, value: Value, node: ast.expr) -> tuple[Value, ...]:
        if isinstance(value, Sequence):
            return value.items
        if isinstance(value, str):
            return tuple(value)
        place = self._source.place(node)
        raise ManifestError("a list, a tuple, or a string is needed here", hint="Write a list, [...].", place=place)

    def _is_true(self, node: ast.expr) -> bool:
        value = self._expressions.value(node)
        return bool(value.items) if isinstance(value, Sequence) else bool(value)

    def _try(self, node: ast.Try) -> None:
        self._check_handlers(node.handlers)
        try:
            missing = self._guarded(node)
            if missing is None:
                self.run(node.orelse)
            else:
                place = missing.place or self._source.place(node)
                self._caller.warn(place, f"skipped because of 'try': {missing.message}")
                self.run(_handler(node.handlers, missing).body)
        finally:
            self.run(node.finalbody)

    def _guarded(self, node: ast.Try) -> MissingFileError | None:
        """Evaluate the body of ``try`` up to the first missing file, and return the error that a handler catches."""
        before = self._caller.is_guarded
        self._caller.is_guarded = before or bool(node.handlers)
        try:
            self.run(node.body)
        except MissingFileError as error:
            if not node.handlers:
                raise
            return error
        finally:
            self._caller.is_guarded = before
        return None

    def _check_handlers(self, handlers: list[ast.ExceptHandler]) -> None:
        hint = f"A manifest can skip missing files only: write 'except OSError:'; known are {', '.join(_CATCHABLE)}."
        for handler in handlers:
            caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            for one in caught:
                self._budget.step()
                if not (one is None or (isinstance(one, ast.Name) and one.id in _CATCHABLE)):
                    raise self._error(one, "catching this exception", hint)

    def _error(self, node: ast.AST, what: str | None = None, hint: str | None = None) -> ManifestError:
        return unsupported(node, self._source.place(node), what, hint)


def _handler(handlers: list[ast.ExceptHandler], missing: MissingFileError) -> ast.ExceptHandler:
    """Return the first handler that would catch the error if the manifest ran, or else the first one."""
    for handler in handlers:
        caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        names = {one.id for one in caught if isinstance(one, ast.Name)}
        if missing.is_os_error or not names or names & {"Exception", "BaseException"}:
            return handler
    return handlers[0]
