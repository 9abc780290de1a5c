"""Tables with fixed keys: a model declares each key once, and knows afterwards which were given, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from hatch_romfs.errors import Problem
from hatch_romfs.settings.types import INVALID, Place, read
from romfs_manifest.shared.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self, dataclass_transform

    from hatch_romfs.settings.types import Problems, Schema, Value
else:

    def dataclass_transform(**_options: object) -> object:
        """Do nothing: only type checkers read it, and Python 3.10 has none."""
        return lambda model: model


T = TypeVar("T")
_REQUIRED: Any = object()


class Key:
    """What a model knows about one of its keys; ``default`` is in TOML's terms, None for a key that is optional."""

    def __init__(self, value: Value[Any], doc: str, default: object) -> None:
        self.value, self.doc = value, doc
        self.required = default is _REQUIRED
        self.default = None if self.required else default

    @property
    def initial(self) -> Any:  # noqa: ANN401 - of the key's own type
        """The value of the key if it is not given."""
        return None if self.default is None else read(self.value, self.default, Place(), [])


@overload
def key(value: Value[T], doc: str) -> T: ...
@overload
def key(value: Value[T], doc: str, *, default: None) -> T | None: ...
@overload
def key(value: Value[T], doc: str, *, default: object) -> T: ...
def key(value: Value[Any], doc: str, *, default: object = _REQUIRED) -> Any:
    """Declare a key of a model: its type, what it means, and its default in TOML's terms; without one it is required.

    The attribute must be annotated with the type that ``value`` reads.
    """
    return Key(value, doc, default)


@dataclass_transform(frozen_default=True, field_specifiers=(key,))
class Model:
    """The content of a table. A subclass declares each key with ``key``, as an attribute.

    Models are frozen and refuse unknown names. They do what dataclasses do, in a tenth of the time, because every
    start of a command creates these classes.
    """

    keys: ClassVar[dict[str, Key]]
    """The keys by their names in TOML."""
    _initial: ClassVar[dict[str, Any]]
    _given: Mapping[str, str]
    _items: Mapping[str, Mapping[str, str]]
    _place: str

    def __init_subclass__(cls) -> None:
        declared = {name: entry for name, entry in vars(cls).items() if isinstance(entry, Key)}
        cls.keys = {name.replace("_", "-"): entry for name, entry in declared.items()}
        cls._initial = {name: entry.initial for name, entry in declared.items()}

    def __init__(self, *values: Any, **named: Any) -> None:  # noqa: ANN401 - subclasses declare the types
        values_by_name = dict(zip(self._initial, values, strict=False)) | named
        known = {name.replace("-", "_") for name in self.keys}
        if unknown := sorted(values_by_name.keys() - known):
            raise TypeError(f"{type(self).__name__} has no {', '.join(unknown)}")
        missing = {name for name, entry in self.keys.items() if entry.required} - values_by_name.keys()
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(sorted(missing))}")
        self._fill(values_by_name, {name: name.replace("_", "-") for name in values_by_name}, {}, "")

    @classmethod
    def create(
        cls, values: Mapping[str, Any], given: Mapping[str, str], items: Mapping[str, Mapping[str, str]], place: str
    ) -> Self:
        """Return a model of values that were checked, with what ``given``, ``items``, and ``place`` will return."""
        model = cls.__new__(cls)
        model._fill(values, given, items, place)  # noqa: SLF001 - of this class
        return model

    def _fill(
        self, values: Mapping[str, Any], given: Mapping[str, str], items: Mapping[str, Mapping[str, str]], place: str
    ) -> None:
        self.__dict__.update(self._initial)
        self.__dict__.update(values)
        self.__dict__.update(_given=given, _items=items, _place=place)

    @property
    def given(self) -> Mapping[str, str]:
        """Where each value was given, by attribute; those that are missing have their defaults."""
        return self._given

    @property
    def items(self) -> Mapping[str, Mapping[str, str]]:
        """Where each entry was given of a value that was given as a table, by attribute and by the entry's name."""
        return self._items

    @property
    def place(self) -> str:
        """Where the table is, such as ``tool.romfs``."""
        return self._place

    def where(self, name: str, item: str | None = None) -> str:
        """Return where an attribute was given, or should be, such as ``tool.romfs.size`` or an option.

        With ``item``, return where that entry of the attribute's table was given.
        """
        if item is not None and item in self._items.get(name, {}):
            return self._items[name][item]
        key_name = name.replace("_", "-")
        return self._given.get(name) or (f"{self._place}.{key_name}" if self._place else key_name)

    def replace(self, **values: Any) -> Self:  # noqa: ANN401 - of the attributes' own types
        """Return a copy with other values, given where the old ones were."""
        return self.create({**self.values(), **values}, self._given, self._items, self._place)

    def values(self) -> dict[str, Any]:
        """Return every attribute's value, by name."""
        return {name: vars(self)[name] for name in self._initial}

    def __setattr__(self, name: str, _value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be deleted")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.values().items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.values() == other.values()

    __hash__ = None  # type: ignore[assignment]


M = TypeVar("M", bound=Model)


class Table(Generic[M]):
    """A table with the keys of ``model``, as an instance of it."""

    toml: ClassVar[type] = dict

    def __init__(self, model: type[M], description: str = "a table") -> None:
        self.model, self.description = model, description

    def read(self, raw: dict[str, object], place: Place, problems: Problems) -> M:
        """Read each key, and report those that are unknown or missing."""
        known = self.model.keys
        values: dict[str, object] = {}
        given: dict[str, str] = {}
        items: dict[str, dict[str, str]] = {}
        for name, item in raw.items():
            at = place.key(name)
            if name not in known:
                problems.append(Problem(str(at), f"unknown key{did_you_mean(name, known)}"))
                continue
            attribute = name.replace("-", "_")
            values[attribute] = read(known[name].value, item, at, problems)
            given[attribute] = str(at)
            if isinstance(item, dict):
                items[attribute] = {inner: str(at.item(inner)) for inner in item}
        missing = [name for name, entry in known.items() if entry.required and name not in raw]
        problems.extend(Problem(str(place.key(name)), f"is required: {known[name].doc}") for name in missing)
        if missing or INVALID in values.values():
            invalid: M = INVALID
            return invalid
        return self.model.create(values, given, items, str(place))

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
        return self.description
