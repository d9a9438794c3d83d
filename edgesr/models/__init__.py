"""The families: every public file of this folder declares one as `MODEL` (see `edgesr.model.Family`)."""

from functools import cache

from edgesr.errors import RegistryError, UnknownNameError, UsageError
from edgesr.model import Family, ModelSpec, Shapes
from edgesr.registry import Registry, discover


@cache
def families() -> Registry[Family]:
    """All families by name; raises RegistryError when two of them use the same variant name."""
    found = discover("edgesr.models", "MODEL", Family)
    names = [name for family in found.values() for name in family.variants]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise RegistryError(f"variant names used by two families: {', '.join(doubled)}")
    return found


def model_spec(name: str, *, scale: int = 4) -> ModelSpec:
    """The variant called `name` at `scale`; raises UnknownNameError, or UsageError for a scale that it does not have."""
    by_variant = {variant: key for key, family in families().items() for variant in family.variants}
    if name not in by_variant:
        raise UnknownNameError("model", name, by_variant, hint="See all of them: edgesr models")
    family = families()[by_variant[name]]
    configs = family.variants[name]
    if scale not in configs:
        known = ", ".join(f"×{s}" for s in configs)
        raise UsageError(f"{name} has no scale ×{scale}", hint=f"Its scales: {known}. See: edgesr models")
    return ModelSpec(family_name=by_variant[name], family=family, variant=name, config=configs[scale])


def detect_spec(shapes: Shapes) -> ModelSpec | None:
    """The network that a state dict with these tensors belongs to, from names and shapes alone; None when it is of no family."""
    for key, family in families().items():
        config = family.detect(shapes)
        if config is not None:
            known = (name for name, configs in family.variants.items() if config in configs.values())
            return ModelSpec(family_name=key, family=family, variant=next(known, None), config=config)
    return None
