"""Plugins: one file, one constant, found by listing a folder.

`discover("edgesr.models", "MODEL", Family)` imports every public module of the package and takes the constant from each. The
plugin's name is the file's name with `_` written `-`. Files whose names begin with `_` are helpers, not plugins.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from edgesr.errors import RegistryError, UnknownNameError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Plugins by name, in alphabetical order; an unknown name raises UnknownNameError."""

    def __init__(self, kind: str, plugins: Mapping[str, T]) -> None:
        self._kind = kind
        self._plugins = dict(sorted(plugins.items()))

    def __getitem__(self, name: str) -> T:
        if name not in self._plugins:
            raise UnknownNameError(self._kind, name, self._plugins)
        return self._plugins[name]

    def __contains__(self, name: object) -> bool:
        return name in self._plugins

    def __iter__(self) -> Iterator[str]:
        return iter(self._plugins)

    def __len__(self) -> int:
        return len(self._plugins)


def discover(package: str, constant: str, kind: type[T]) -> Registry[T]:
    """Import each public module of `package` and return its `constant`s, which must be of type `kind`, by plugin name.

    Raises RegistryError for a module without the constant, with one of another type, or with a name that is taken.
    """
    plugins: dict[str, T] = {}
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if info.name.startswith("_"):
            continue
        module = f"{package}.{info.name}"
        plugin = getattr(importlib.import_module(module), constant, None)
        if not isinstance(plugin, kind):
            raise RegistryError(
                f"{module} must define {constant} as a {kind.__name__}, not {type(plugin).__name__}",
                hint="Start the file's name with '_' if it is a helper and not a plugin.",
            )
        name = info.name.replace("_", "-")
        if name in plugins:
            raise RegistryError(f"{module}: the name {name!r} is taken by another file of {package}")
        plugins[name] = plugin
    return Registry(constant.lower(), plugins)
