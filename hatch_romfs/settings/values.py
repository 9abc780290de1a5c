"""The kinds of value a key can have: each knows how to read one, and how to describe itself.

From one such description of a key come its parser, its JSON schema and its line of the reference page. These
are plain classes because every start of a command makes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hatch_romfs.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Problems = list[Problem]
    Schema = dict[str, Any]

INVALID: Any = object()
"""What ``read`` returns after it has reported a problem."""

_NAMES = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "a table",
}


def kind_of(raw: object) -> str:
    """Name the TOML type of ``raw``."""
    return _NAMES.get(type(raw), "a date or time")


class Value(Protocol):
    """A kind of value, which TOML gives as a ``toml``."""

    @property
    def toml(self) -> type:
        """The Python type that TOML gives it."""
        ...

    def read(self, raw: Any, key: str, problems: Problems) -> Any:  # noqa: ANN401 - TOML is any of its types
        """Return the value, or report what is wrong with it and return INVALID; ``raw`` is a ``toml``."""
        ...

    def schema(self) -> Schema:
        """Return the JSON schema (draft 7)."""
        ...

    def text(self) -> str:
        """Describe what is allowed, to follow "must be"."""
        ...


def read(value: Value | Either, raw: object, key: str, problems: Problems) -> Any:  # noqa: ANN401
    """Read ``raw`` as a ``value``: the one entrance, which checks the TOML type first."""
    for kind in value.kinds if isinstance(value, Either) else (value,):
        if type(raw) is kind.toml:
            return kind.read(raw, key, problems)
    problems.append(Problem(key, f"must be {value.text()}, not {kind_of(raw)}"))
    return INVALID


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to add to a message, or nothing where no known word is near."""
    import difflib  # noqa: PLC0415 - only mistakes pay for it

    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class Bool:
    """True or false."""

    toml: ClassVar[type] = bool

    def read(self, raw: bool, _key: str, _problems: Problems) -> bool:  # noqa: FBT001
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

    def read(self, raw: int, key: str, problems: Problems) -> Any:  # noqa: ANN401
        """Check the range."""
        if self.least <= raw <= self.most and not (self.power and raw & (raw - 1)):
            return raw
        shown = raw if raw.bit_length() <= 64 else "a number of that size"  # noqa: PLR2004 - longer than any message
        problems.append(Problem(key, f"must be {self.text()}, not {shown}"))
        return INVALID

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
    """A string that ``check``, which returns what is wrong, has nothing against.

    ``what`` describes it, and ``pattern`` is what a JSON schema can say of it.
    """

    toml: ClassVar[type] = str

    def __init__(
        self, what: str = "a string", check: Callable[[str], str | None] | None = None, pattern: str | None = None
    ) -> None:
        self.what, self.pattern = what, pattern
        self.check = check or (lambda raw: None if raw else "must not be empty")

    def read(self, raw: str, key: str, problems: Problems) -> Any:  # noqa: ANN401
        """Check the string."""
        if (problem := self.check(raw)) is None:
            return raw
        problems.append(Problem(key, problem))
        return INVALID

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"type": "string", "pattern": self.pattern} if self.pattern else {"type": "string", "minLength": 1}

    def text(self) -> str:
        """Describe what is allowed."""
        return self.what


class OneOf:
    """One of some strings."""

    toml: ClassVar[type] = str

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices

    def read(self, raw: str, key: str, problems: Problems) -> Any:  # noqa: ANN401
        """Check the choice."""
        if raw in self.choices:
            return raw
        problems.append(Problem(key, f"must be {self.text()}, not {raw!r}{did_you_mean(raw, self.choices)}"))
        return INVALID

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"type": "string", "enum": list(self.choices)}

    def text(self) -> str:
        """Describe what is allowed."""
        quoted = [f'"{choice}"' for choice in self.choices]
        return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]


class ListOf:
    """An array of values of one kind, as a tuple."""

    toml: ClassVar[type] = list

    def __init__(self, item: Value | Either) -> None:
        self.item = item

    def read(self, raw: list[object], key: str, problems: Problems) -> Any:  # noqa: ANN401
        """Read each item."""
        items = [read(self.item, item, f"{key}[{index}]", problems) for index, item in enumerate(raw)]
        return INVALID if INVALID in items else tuple(items)

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"type": "array", "items": self.item.schema()}

    def text(self) -> str:
        """Describe what is allowed."""
        return f"an array, each item {self.item.text()}"


class Patterns:
    """A table from ``names``, which ``check`` has nothing against, to values of one kind."""

    toml: ClassVar[type] = dict

    def __init__(self, item: Value, check: Callable[[str], str | None], names: str = '"default" and patterns') -> None:
        self.item, self.check, self.names = item, check, names

    def read(self, raw: dict[str, object], key: str, problems: Problems) -> Any:  # noqa: ANN401
        """Read each value."""
        items = {name: read(self.item, value, f'{key}."{name}"', problems) for name, value in raw.items()}
        wrong = [Problem(f'{key}."{name}"', problem) for name in raw if (problem := self.check(name))]
        problems.extend(wrong)
        if wrong:
            return INVALID
        return INVALID if INVALID in items.values() else items

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"type": "object", "additionalProperties": self.item.schema()}

    def text(self) -> str:
        """Describe what is allowed."""
        return f"a table of {self.names}, each {self.item.text()}"


class Made:
    """What ``make`` makes of a value."""

    def __init__(self, value: Value, make: Callable[[Any], object]) -> None:
        self.value, self.make = value, make

    @property
    def toml(self) -> type:
        """The Python type that TOML gives it."""
        return self.value.toml

    def read(self, raw: object, key: str, problems: Problems) -> Any:  # noqa: ANN401
        """Read the value and make something of it."""
        value = self.value.read(raw, key, problems)
        return INVALID if value is INVALID else self.make(value)

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return self.value.schema()

    def text(self) -> str:
        """Describe what is allowed."""
        return self.value.text()


class Either:
    """A value of one of some kinds, which TOML gives as different types."""

    def __init__(self, *kinds: Value) -> None:
        self.kinds = kinds

    def schema(self) -> Schema:
        """Return the JSON schema."""
        return {"anyOf": [kind.schema() for kind in self.kinds]}

    def text(self) -> str:
        """Describe what is allowed."""
        return ", or ".join(kind.text() for kind in self.kinds)


class Key:
    """What a model knows of one of its keys; ``default`` is as TOML would give it, None for none."""

    def __init__(self, value: Value | Either, doc: str, default: object, *, required: bool) -> None:
        self.value, self.doc, self.default, self.required = value, doc, default, required

    @property
    def initial(self) -> Any:  # noqa: ANN401
        """The value of a key that is not given."""
        return None if self.default is None else read(self.value, self.default, "", [])


def key(value: Value | Either, doc: str, default: object = None, *, required: bool = False) -> Any:  # noqa: ANN401
    """Declare an attribute of a model that is a key of its table."""
    return Key(value, doc, default, required=required)


class Model:
    """What a table says, as attributes: a subclass declares each with ``key``.

    It does for these what dataclasses do, in a tenth of the time, of which there is little before a command begins.
    """

    keys: ClassVar[dict[str, Key]]
    """The keys by their names in TOML."""
    _initial: ClassVar[dict[str, Any]]

    def __init_subclass__(cls) -> None:
        declared = {name: entry for name, entry in vars(cls).items() if isinstance(entry, Key)}
        cls.keys = {name.replace("_", "-"): entry for name, entry in declared.items()}
        cls._initial = {name: entry.initial for name, entry in declared.items() if not entry.required}

    def __init__(self, *values: Any, **named: Any) -> None:  # noqa: ANN401
        self.__dict__.update(self._initial)
        self.__dict__.update(zip(self.keys, values, strict=False), **named)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class Table:
    """A table with the keys of ``model``, as an instance of it."""

    toml: ClassVar[type] = dict

    def __init__(self, model: type[Model], what: str = "a table") -> None:
        self.model, self.what = model, what

    def read(self, raw: dict[str, object], key: str, problems: Problems) -> Any:  # noqa: ANN401
        """Read each key, and report those that are unknown or missing."""
        known = self.model.keys
        values: dict[str, object] = {}
        for name, item in raw.items():
            at = f"{key}.{name}"
            if name not in known:
                problems.append(Problem(at, f"unknown key{did_you_mean(name, known)}"))
            else:
                values[name.replace("-", "_")] = read(known[name].value, item, at, problems)
        missing = [name for name, entry in known.items() if entry.required and name not in raw]
        problems.extend(Problem(f"{key}.{name}", f"is required: {known[name].doc}") for name in missing)
        return INVALID if missing or INVALID in values.values() else self.model(**values)

    def schema(self) -> Schema:
        """Return the JSON schema."""
        known = self.model.keys
        described = {
            name: entry.value.schema()
            | {"description": entry.doc}
            | ({} if entry.default is None else {"default": entry.default})
            for name, entry in known.items()
        }
        required = [name for name, entry in known.items() if entry.required]
        body: Schema = {"type": "object", "additionalProperties": False, "properties": described}
        return body | ({"required": required} if required else {})

    def text(self) -> str:
        """Describe what is allowed."""
        return self.what
