"""The shapes that engines are built for, and what sizes a set of engines takes."""

from collections.abc import Iterable

from edgesr.artifact import Artifact
from edgesr.errors import ArtifactError, UsageError
from edgesr.manifest import Profile
from edgesr.tensors import Size, SizeRule, one_of


def wanted_profiles(artifact: Artifact, sizes: SizeRule | None) -> tuple[Profile, ...]:
    """The artifact's own profiles, or one for each of `sizes`, for pictures one by one.

    Raises UsageError when the artifact is not for TensorRT, SizeError for a size that it does not take.
    """
    check_target(artifact)
    manifest = artifact.manifest
    if sizes is None:
        if not manifest.profiles:
            raise ArtifactError(
                f"{artifact.folder} names no shapes to build for",
                hint="Export it again, or name sizes: --size 180x320",
            )
        return manifest.profiles
    if not sizes.fixed and not sizes.choices:
        raise UsageError(
            f"an engine is built for sizes, or for the artifact's own range; not for {sizes.description}",
            hint="Name sizes, as in --size 180x320,360x640; for another range, export again with --size HxW..HxW.",
        )
    chosen = sizes.choices or (sizes.minimum,)
    for size in chosen:
        manifest.sizes.check(size)
    return tuple(static(size) for size in chosen)


def check_target(artifact: Artifact) -> None:
    """Raise UsageError for an artifact that was not exported for TensorRT: its operators or types may be none of TensorRT's."""
    manifest = artifact.manifest
    if manifest.target != "tensorrt":
        raise UsageError(
            f"{artifact.folder} is an artifact for {manifest.target}, not for TensorRT",
            hint=f"Export it anew: edgesr export {manifest.model} --scale {manifest.scale} --target tensorrt",
        )


def static(size: Size) -> Profile:
    """The profile of one picture of one size."""
    shape = (1, size.height, size.width)
    return Profile(minimum=shape, optimum=shape, maximum=shape)


def size_rule(profile: Profile) -> SizeRule:
    """The sizes of a profile."""
    low, high = (Size(height=shape[1], width=shape[2]) for shape in (profile.minimum, profile.maximum))
    return SizeRule(minimum=low, maximum=high)


def takes(profile: Profile, size: Size) -> bool:
    """Whether the profile takes pictures of the size."""
    (_, low_height, low_width), (_, high_height, high_width) = profile.minimum, profile.maximum
    return low_height <= size.height <= high_height and low_width <= size.width <= high_width


def rule_of(profiles: Iterable[Profile]) -> SizeRule:
    """What engines for these profiles take together: the widest range; where there is none, the single sizes."""
    rules = [size_rule(profile) for profile in profiles]
    ranges = [rule for rule in rules if not rule.fixed]
    return max(ranges, key=_area) if ranges else one_of(tuple(rule.minimum for rule in rules))


def best_for(profiles: Iterable[Profile], size: Size) -> int | None:
    """Which profile to run a size with: the narrowest that takes it, so that one built for this very size comes first."""
    fitting = [(_area(size_rule(profile)), index) for index, profile in enumerate(profiles) if takes(profile, size)]
    return min(fitting)[1] if fitting else None


def _area(rule: SizeRule) -> int:
    """How many sizes the range has."""
    high = rule.maximum or rule.minimum
    return (high.height - rule.minimum.height + 1) * (high.width - rule.minimum.width + 1)
