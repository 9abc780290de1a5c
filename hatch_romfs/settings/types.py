"""Types of values in a table: each reads a value from TOML, and describes itself for the schema and the reference.

These are plain classes, not dataclasses, because every start of a command creates them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from hatch_romfs.errors import Problem
from romfs_manifest.shared.suggest import did_you_mean

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)

Problems: TypeAlias = list[Problem]
Schema: TypeAlias = dict[str, Any]
Check: TypeAlias = Callable[[str], "str | None"]
"""Returns why a string is not valid, or None."""

INVALID: Any = object()
"""What ``read`` returns after it has reported a problem."""

_TOML_TYPES = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "a table",
}


def type_name(raw: object) -> str:
    """Return the name of a value's TOML type, with its article."""
    return _TOML_TYPES.get(type(raw), "a date or time")


class Place(NamedTuple):
    """Where a value was given: ``path`` inside a layer of settings.

    ``root`` is the layer's name in messages, such as ``tool.romfs``. ``names`` has the values that go by another name,
    such as a command-line option.
    """

    path: str = ""
    root: str = ""
    names: Mapping[str, str] = {}

    def __str__(self) -> str:
        return self.names.get(self.path) or ".".join(filter(None, (self.root, self.path)))

    def key(self, name: str) -> Place:
        """Return the place of a key in the table at this place."""
        return self._replace(path=f"{self.path}.{name}" if self.path else name)

    def item(self, name: str) -> Place:
        """Return the place of a key that needs quotes, such as a pattern."""
        return self._replace(path=f'{self.path}."{name}"')

    def position(self, number: int) -> Place:
        """Return the place of an item of the array at this place."""
        return self._replace(path=f"{self.path}[{number}]")


class Value(Protocol[T_co]):
    """A type of value: TOML gives it as a ``toml``, and ``read`` returns a T_co."""

    @property
    def toml(self) -> type:
        """The Python type that the TOML parser gives it."""
        ...

    def read(self, raw: Any, place: Place, problems: Problems) -> T_co:  # noqa: ANN401 - TOML is any of its types
        """Return the value, or report what is wrong and return INVALID; ``raw`` is a ``toml``."""
        ...

    def schema(self) -> Schema:
        """Return the JSON schema (draft 7)."""
        ...

    def text(self) -> str:
        """Describe what is allowed, to follow "must be"."""
        ...


def read(value: Value[T], raw: object, place: Place, problems: Problems) -> T:
    """Read ``raw`` as a ``value``. This is the only entry point: it checks the TOML type first."""
    for option in value.options if isinstance(value, Either) else (value,):
        if type(raw) is option.toml:
            result: T = option.read(raw, place, problems)
            return result
    advice = ": put it in quotes" if _needs_quotes(value, raw) else ""
    problems.append(Problem(str(place), f"must be {value.text()}, not {type_name(raw)}{advice}"))
    invalid: T = INVALID
    return invalid


def _needs_quotes(value: Value[Any], raw: object) -> bool:
    """Return whether a number would be valid as a string, such as a version."""
    return isinstance(value, Text) and type(raw) in (int, float) and value.check(str(raw)) is None


class Bool:
    """True or false."""

    toml: ClassVar[type] = bool

    def read(self, raw: bool, _place: Place, _problems: Problems) -> bool:  # noqa: FBT001
        """Return it."""
        return raw

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"type": "boolean"}

    def text(self) -> str:
        """Describe what is allowed."""
        return "true or false"


class Int:
    """An integer from ``least`` to ``most``; with ``power``, a power of two."""

    toml: ClassVar[type] = int

    def __init__(self, least: int, most: int, *, power: bool = False) -> None:
        self.least, self.most, self.power = least, most, power

    def read(self, raw: int, place: Place, problems: Problems) -> int:
        """Check the range."""
        if self.least <= raw <= self.most and not (self.power and raw & (raw - 1)):
            return raw
        shown = raw if raw.bit_length() <= 64 else "a number of that size"  # noqa: PLR2004 - longer than any message
        problems.append(Problem(str(place), f"must be {self.text()}, not {shown}"))
        invalid: int = INVALID
        return invalid

    def schema(self) -> Schema:
        """Return the JSON schema."""
        if not self.power:
            return {"type": "integer", "minimum": self.least, "maximum": self.most}
        powers = range(self.least.bit_length() - 1, self.most.bit_length())
        return {"type": "integer", "enum": [1 << power for power in powers]}

    def text(self) -> str:
        """Describe what is allowed."""
        return f"{'a power of two' if self.power else 'an integer'} from {self.least} to {self.most}"


class Text:
    """A string that passes ``check``; ``description`` follows "must be", and ``pattern`` is for the JSON schema."""

    toml: ClassVar[type] = str

    def __init__(self, description: str = "a string", check: Check | None = None, pattern: str | None = None) -> None:
        self.description, self.pattern = description, pattern
        self.check: Check = check or (lambda raw: None if raw else "must not be empty")

    def read(self, raw: str, place: Place, problems: Problems) -> str:
        """Check the string."""
        if (problem := self.check(raw)) is None:
            return raw
        problems.append(Problem(str(place), problem))
        invalid: str = INVALID
        return invalid

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"type": "string", "pattern": self.pattern} if self.pattern else {"type": "string", "minLength": 1}

    def text(self) -> str:
        """Describe what is allowed."""
        return self.description


class OneOf:
    """One of several strings."""

    toml: ClassVar[type] = str

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices

    def read(self, raw: str, place: Place, problems: Problems) -> str:
        """Check the choice."""
        if raw in self.choices:
            return raw
        problems.append(Problem(str(place), f"must be {self.text()}, not {raw!r}{did_you_mean(raw, self.choices)}"))
        invalid: str = INVALID
        return invalid

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"type": "string", "enum": list(self.choices)}

    def text(self) -> str:
        """Describe what is allowed."""
        quoted = [f'"{choice}"' for choice in self.choices]
        match quoted:
            case [only]:
                return only
            case [first, second]:
                return f"{first} or {second}"
            case _:
                return f"{', '.join(quoted[:-1])}, or {quoted[-1]}"


class ListOf(Generic[T]):
    """An array of values of one type, as a tuple."""

    toml: ClassVar[type] = list

    def __init__(self, item: Value[T]) -> None:
        self.value = item

    def read(self, raw: list[object], place: Place, problems: Problems) -> tuple[T, ...]:
        """Read each item."""
        items = [read(self.value, item, place.position(number), problems) for number, item in enumerate(raw)]
        return INVALID if INVALID in items else tuple(items)

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"type": "array", "items": self.value.schema()}

    def text(self) -> str:
        """Describe what is allowed."""
        return f"an array, each item {self.value.text()}"


class TableOf(Generic[T]):
    """A table with free ``names``, which must pass ``check``, and values of one type."""

    toml: ClassVar[type] = dict

    def __init__(self, item: Value[T], check: Check, names: str) -> None:
        self.value, self.check, self.names = item, check, names

    def read(self, raw: dict[str, object], place: Place, problems: Problems) -> dict[str, T]:
        """Read each value."""
        items = {name: read(self.value, item, place.item(name), problems) for name, item in raw.items()}
        wrong = [Problem(str(place.item(name)), problem) for name in raw if (problem := self.check(name))]
        problems.extend(wrong)
        return INVALID if wrong or INVALID in items.values() else items

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"type": "object", "additionalProperties": self.value.schema()}

    def text(self) -> str:
        """Describe what is allowed."""
        return f"a table of {self.names}, each {self.value.text()}"


class Converted(Generic[T, U]):
    """A value that ``convert`` turns into what the program uses."""

    def __init__(self, value: Value[T], convert: Callable[[T], U]) -> None:
        self.value, self.convert = value, convert

    @property
    def toml(self) -> type:
        """The Python type that the TOML parser gives it."""
        return self.value.toml

    def read(self, raw: object, place: Place, problems: Problems) -> U:
        """Read the value and convert it."""
        value = self.value.read(raw, place, problems)
        invalid: U = INVALID
        return invalid if value is INVALID else self.convert(value)

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return self.value.schema()

    def text(self) -> str:
        """Describe what is allowed."""
        return self.value.text()


class Either(Generic[T, U]):
    """A value of one of two types, or more if they are nested, which TOML tells apart."""

    def __init__(self, first: Value[T], second: Value[U]) -> None:
        self.options: tuple[Value[Any], ...] = (*_options(first), *_options(second))

    @property
    def toml(self) -> type:
        """No single type: ``options`` have one each."""
        return object

    def read(self, raw: object, place: Place, problems: Problems) -> T | U:
        """Read it as the option that has its TOML type."""
        return read(self, raw, place, problems)

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"anyOf": [option.schema() for option in self.options]}

    def text(self) -> str:
        """Describe what is allowed."""
        return ", or ".join(option.text() for option in self.options)


def _options(value: Value[Any]) -> tuple[Value[Any], ...]:
    return value.options if isinstance(value, Either) else (value,)
