"""The functions of a manifest: their parameters, and calls held against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from romfs_manifest.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from romfs_manifest.parse import Call, Value

MAX_OPT = 3
"""The highest level that mpy-cross knows."""


class Kind(NamedTuple):
    """What an argument must be: in words, and as a test."""

    text: str
    fits: Callable[[object], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_text, value))


def _or_none(kind: Kind) -> Kind:
    return Kind(f"{kind.text}, or None", lambda value: value is None or kind.fits(value))


TEXT = Kind("a string", _is_text)
TEXTS = Kind("a list of strings", _is_texts)
TEXT_OR_TEXTS = Kind("a string or a list of strings", lambda value: _is_text(value) or _is_texts(value))
FLAG = Kind("True or False", lambda value: isinstance(value, bool))
OPT = Kind(f"a level from 0 to {MAX_OPT}", lambda value: type(value) is int and 0 <= value <= MAX_OPT)


class Parameter(NamedTuple):
    """One parameter; ``alias`` is a second name that a keyword argument may have."""

    name: str
    kind: Kind
    default: Value = None
    required: bool = False
    alias: str | None = None


class Function(NamedTuple):
    """One function; ``options`` says whether it takes any other keyword arguments, too."""

    parameters: tuple[Parameter, ...]
    options: bool = False
    keywords_only: bool = False


class Bound(NamedTuple):
    """The arguments of a call by parameter, every one of them there and of its kind, and its options."""

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
    """Give each argument of ``call`` to its parameter; raises ManifestError where the two do not fit."""
    function = FUNCTIONS.get(call.function)
    if function is None:
        raise ManifestError(
            f"there is no function {call.function!r} for manifests{_did_you_mean(call.function, FUNCTIONS)}",
            hint=f"There are {', '.join(FUNCTIONS)}.",
        )
    given, options = _given(call, function)
    for parameter in function.parameters:
        if parameter.name not in given:
            if parameter.required:
                raise _mismatch(call, function, f"needs its argument {parameter.name!r}")
        elif not parameter.kind.fits(given[parameter.name]):
            raise _mismatch(call, function, f"needs {parameter.kind.text} as its argument {parameter.name!r}")
    return Bound({one.name: given.get(one.name, one.default) for one in function.parameters}, options)


def _given(call: Call, function: Function) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return the arguments that are given by parameter, and the options."""
    if len(call.positional) > (0 if function.keywords_only else len(function.parameters)):
        raise _mismatch(call, function, "has too many arguments without a name")
    given = {parameter.name: value for parameter, value in zip(function.parameters, call.positional, strict=False)}
    names = {name: one.name for one in function.parameters for name in (one.name, one.alias) if name}
    options: dict[str, Value] = {}
    for word, value in call.keywords.items():
        name = names.get(word)
        if name is None and function.options:
            options[word] = value
        elif name is None:
            raise _mismatch(call, function, f"has no argument {word!r}{_did_you_mean(word, names)}")
        elif name in given:
            raise _mismatch(call, function, f"has its argument {name!r} twice")
        else:
            given[name] = value
    return given, options


def _mismatch(call: Call, function: Function, problem: str) -> ManifestError:
    arguments = (one.name if one.required else f"{one.name}={one.default!r}" for one in function.parameters)
    shown = [*(["*"] if function.keywords_only else []), *arguments, *(["**options"] if function.options else [])]
    return ManifestError(f"{call.function} {problem}", hint=f"It is {call.function}({', '.join(shown)}).")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - only mistakes pay for it

    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
