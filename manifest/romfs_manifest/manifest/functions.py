"""The functions of a manifest: their parameters, and calls checked against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from romfs_manifest.errors import ManifestError
from romfs_manifest.manifest.values import to_plain
from romfs_manifest.shared.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from romfs_manifest.errors import Place
    from romfs_manifest.manifest.values import Plain, Value

MAX_OPT = 3
"""Highest optimization level of mpy-cross."""


class Call(NamedTuple):
    """A call of a function: its name, its arguments, and its place."""

    function: str
    positional: tuple[Value, ...]
    keywords: dict[str, Value]
    place: Place


class Kind(NamedTuple):
    """What an argument must be, in words and as a predicate."""

    text: str
    is_valid: Callable[[object], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_text, value))


def _or_none(kind: Kind) -> Kind:
    return Kind(f"{kind.text}, or None", lambda value: value is None or kind.is_valid(value))


TEXT = Kind("a string", _is_text)
TEXTS = Kind("a list of strings", _is_texts)
TEXT_OR_TEXTS = Kind("a string or a list of strings", lambda value: _is_text(value) or _is_texts(value))
FLAG = Kind("True or False", lambda value: isinstance(value, bool))
OPT = Kind(f"a level from 0 to {MAX_OPT}", lambda value: type(value) is int and 0 <= value <= MAX_OPT)


class Parameter(NamedTuple):
    """One parameter; ``alias`` is another name for it in keyword arguments."""

    name: str
    kind: Kind
    default: Plain = None
    required: bool = False
    alias: str | None = None


class Function(NamedTuple):
    """One function; with ``options`` it also takes any other keyword arguments."""

    parameters: tuple[Parameter, ...]
    options: bool = False
    keywords_only: bool = False


class Bound(NamedTuple):
    """The arguments of a call by parameter, complete and valid, and its options."""

    arguments: dict[str, Any]
    options: dict[str, Value]


def _required(name: str, kind: Kind = TEXT, alias: str | None = None) -> Parameter:
    return Parameter(name, kind, required=True, alias=alias)


def _metadata(*names: str) -> Iterable[Parameter]:
    return (Parameter(name, _or_none(TEXT)) for name in names)


_OPT = Parameter("opt", _or_none(OPT))
_BASE_PATH = Parameter("base_path", TEXT, ".")
_FREEZE = Function((_required("path"), Parameter("script", _or_none(TEXT_OR_TEXTS)), _OPT))

FUNCTIONS = {
    "metadata": Function(
        (
            *_metadata("description", "version", "license", "author", "pypi", "pypi_publish"),
            Parameter("stdlib", FLAG, default=False),
        ),
        keywords_only=True,
    ),
    "include": Function((_required("manifest_path", TEXT_OR_TEXTS),), options=True),
    "require": Function((_required("name"), *_metadata("version", "pypi", "library")), options=True),
    "add_library": Function(
        (
            _required("library", alias="name"),
            _required("library_path", alias="path"),
            Parameter("prepend", FLAG, default=False),
        )
    ),
    "package": Function(
        (_required("package_path", alias="path"), Parameter("files", _or_none(TEXTS)), _BASE_PATH, _OPT)
    ),
    "module": Function((_required("module_path", alias="path"), _BASE_PATH, _OPT)),
    "freeze": _FREEZE,
    "freeze_as_mpy": _FREEZE,
    "freeze_mpy": _FREEZE,
    "freeze_as_str": Function((_required("path"),)),
    "c_module": Function((_required("module_path", alias="path"),)),
}


def bind(call: Call) -> Bound:
    """Assign each argument of ``call`` to its parameter; raises ManifestError if they do not match."""
    function = FUNCTIONS.get(call.function)
    if function is None:
        raise ManifestError(
            f"manifests have no function {call.function!r}{did_you_mean(call.function, FUNCTIONS)}",
            hint=f"The functions are {', '.join(FUNCTIONS)}.",
        )
    given, options = _match(call, function)
    for parameter in function.parameters:
        if parameter.name not in given:
            if parameter.required:
                raise _mismatch(call, function, f"needs the argument {parameter.name!r}")
        elif not parameter.kind.is_valid(given[parameter.name]):
            raise _mismatch(call, function, f"needs {parameter.kind.text} for {parameter.name!r}")
    return Bound({one.name: given.get(one.name, one.default) for one in function.parameters}, options)


def _match(call: Call, function: Function) -> tuple[dict[str, Plain], dict[str, Value]]:
    """Return the arguments of the call by parameter, and the options."""
    if len(call.positional) > (0 if function.keywords_only else len(function.parameters)):
        raise _mismatch(call, function, "has too many positional arguments")
    given = {
        parameter.name: to_plain(value) for parameter, value in zip(function.parameters, call.positional, strict=False)
    }
    names = {name: one.name for one in function.parameters for name in (one.name, one.alias) if name}
    options: dict[str, Value] = {}
    for word, value in call.keywords.items():
        name = names.get(word)
        if name is None and function.options:
            options[word] = value
        elif name is None:
            raise _mismatch(call, function, f"has no argument {word!r}{did_you_mean(word, names)}")
        elif name in given:
            raise _mismatch(call, function, f"gets the argument {name!r} twice")
        else:
            given[name] = to_plain(value)
    return given, options


def _mismatch(call: Call, function: Function, problem: str) -> ManifestError:
    arguments = (one.name if one.required else f"{one.name}={one.default!r}" for one in function.parameters)
    shown = [*(["*"] if function.keywords_only else []), *arguments, *(["**options"] if function.options else [])]
    return ManifestError(f"{call.function} {problem}", hint=f"Write {call.function}({', '.join(shown)}).")
