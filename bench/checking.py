"""Whether a record holds what its schema says: its file may have been written by hand, or by something else."""

from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_LARGEST = 1e30
"""No figure of ours comes near; NaN and infinity, which Python reads from JSON, do not pass."""


def complaint(record: Any) -> str:
    """The first thing in a dataclass that is not as its fields say, as in `cells[3].load_s is 'soon', not a number`; or ""."""
    return _dataclass(record, "")


def _dataclass(value: Any, where: str) -> str:
    hints = get_type_hints(type(value))
    parts = (_value(getattr(value, each.name), hints[each.name], f"{where}.{each.name}".lstrip(".")) for each in fields(value))
    return next((found for found in parts if found), "")


def _value(value: Any, kind: Any, where: str) -> str:
    origin, inside = get_origin(kind), get_args(kind)
    if kind is Any:
        return _value(value, float, where) if isinstance(value, float) else ""
    if origin is Literal:
        return "" if value in inside else f"{where} is {value!r}, not one of {', '.join(map(repr, inside))}"
    if origin in (Union, UnionType):
        return "" if value is None else _value(value, next(each for each in inside if each is not NoneType), where)
    if origin is tuple:
        return _items(enumerate(value), inside[0], where) if isinstance(value, tuple) else f"{where} is not a list"
    if origin is dict:
        return _items(value.items(), inside[1], where) if isinstance(value, dict) else f"{where} is not an object"
    if is_dataclass(kind):
        return _dataclass(value, where) if isinstance(value, type_of(kind)) else f"{where} is not an object"
    return _plain(value, kind, where)


def type_of(kind: Any) -> type:
    """A dataclass, for the type checker."""
    return kind


def _items(items: Any, kind: Any, where: str) -> str:
    parts = (_value(item, kind, f"{where}[{key}]") for key, item in items)
    return next((found for found in parts if found), "")


def _plain(value: Any, kind: Any, where: str) -> str:
    if kind in (int, float):
        sound = isinstance(value, int | kind) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST
        return "" if sound else f"{where} is {value!r:.60}, not a number"
    return "" if isinstance(value, kind) else f"{where} is {value!r:.60}, not a {kind.__name__}"
