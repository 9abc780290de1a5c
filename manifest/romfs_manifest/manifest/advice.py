"""What to write instead of Python that manifests cannot contain."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from romfs_manifest.errors import ManifestError

if TYPE_CHECKING:
    from romfs_manifest.errors import Place

_VALUES = "Values are strings, numbers, True, False, None, lists, and tuples."
_WRITE_OUT = "Write the calls out; a manifest is evaluated, never run."
_PATHS = "Write out the paths of the files, or use $(NAME) in a path and give that variable a value."
_CONDITION = "Test a single value, such as options.NAME, and use 'else' for the opposite."
_LOOP = "Use 'for' with a list, or write the calls out."
_ADVICE: dict[type[ast.AST], tuple[str, str]] = {
    ast.Import: ("'import'", _PATHS),
    ast.ImportFrom: ("'import'", _PATHS),
    ast.While: ("'while'", _LOOP),
    ast.AsyncFor: ("'async for'", _LOOP),
    ast.With: ("'with'", _WRITE_OUT),
    ast.AsyncWith: ("'async with'", _WRITE_OUT),
    ast.FunctionDef: ("'def'", _WRITE_OUT),
    ast.AsyncFunctionDef: ("'async def'", _WRITE_OUT),
    ast.ClassDef: ("'class'", _WRITE_OUT),
    ast.AnnAssign: ("an annotation", "Write NAME = VALUE."),
    ast.AugAssign: ("'+='", "Write NAME = NAME + VALUE."),
    ast.NamedExpr: ("':='", "Assign the value in a line of its own."),
    ast.Assert: ("'assert'", "Remove it."),
    ast.Raise: ("'raise'", "Remove it; an error in a manifest is reported with its line."),
    ast.Delete: ("'del'", "Remove it."),
    ast.Return: ("'return'", "Put the calls below it into 'if' or 'else'."),
    ast.Break: ("'break'", "Remove the items that are not wanted from the list."),
    ast.Continue: ("'continue'", "Remove the items that are not wanted from the list."),
    ast.Global: ("'global'", "Remove it."),
    ast.Nonlocal: ("'nonlocal'", "Remove it."),
    ast.Lambda: ("'lambda'", _WRITE_OUT),
    ast.Await: ("'await'", _WRITE_OUT),
    ast.Yield: ("'yield'", _WRITE_OUT),
    ast.YieldFrom: ("'yield'", _WRITE_OUT),
    ast.IfExp: ("'if' in an expression", "Use an 'if' statement."),
    ast.BoolOp: ("an operator", _CONDITION),
    ast.Compare: ("a comparison", _CONDITION),
    ast.UnaryOp: ("an operator", _CONDITION),
    ast.BinOp: ("an operator", "Use '+', or write the value out."),
    ast.Starred: ("'*'", "Write the items out, or add lists with '+'."),
    ast.keyword: ("'**'", "Write the arguments out as NAME=VALUE."),
    ast.Dict: ("a dictionary", "Use a list of tuples."),
    ast.Set: ("a set", "Use a list."),
    ast.ListComp: ("a comprehension", "Write the list out."),
    ast.SetComp: ("a comprehension", "Write the list out."),
    ast.DictComp: ("a comprehension", "Write the list out."),
    ast.GeneratorExp: ("a comprehension", "Write the list out."),
    ast.Attribute: ("an attribute", "Only options.NAME and options.defaults() are known. Write the value out."),
    ast.Subscript: ("an index", "Write the item out, or give it a name of its own."),
    ast.Call: ("the result of a call", _PATHS),
    ast.Constant: ("such a value", _VALUES),
    ast.Name: ("a name on its own", "Write a call, or an assignment, NAME = VALUE."),
    ast.JoinedStr: ("an f-string on its own", "Remove it, or use it in a call."),
}


def unsupported(node: ast.AST, place: Place, what: str | None = None, hint: str | None = None) -> ManifestError:
    """Return the error for a node of a syntax tree that manifests cannot contain."""
    shown, advice = _ADVICE.get(type(node), ("this", _WRITE_OUT))
    return ManifestError(f"{what or shown} is not supported in a manifest", hint=hint or advice, place=place)
