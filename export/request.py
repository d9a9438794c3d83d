"""What to export."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgesr.errors import UsageError
from edgesr.export.profiles import MOST_PICTURES, profiles_of
from edgesr.export.target import Target, targets
from edgesr.manifest import Profile
from edgesr.parity import IDENTICAL_DB
from edgesr.tensors import Precision, Size, SizeRule, one_of


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """One export.

    weights: a file, or the name of fetched official weights; None takes the demo weights or seeded ones. sizes: the input sizes
    to convert for; None takes the target's default. batch: how many pictures at a time at most. optimum: the size of a range that
    an engine is to be made fast for; None takes the target's default size, or what of the range is nearest to it. opset,
    precision: None takes the target's default. budget_db: the least PSNR on the picture; None takes the precision's own. options:
    of the target, by name; those left out take their defaults. half_io: whether input and output of an fp16 artifact are float16
    too. without: rewrites to leave out. folder: where the artifact goes; None makes one in the current folder, named after the
    model.
    """

    model: str
    scale: int | None = None
    weights: str | None = None
    target_name: str = "ort"
    sizes: SizeRule | None = None
    batch: int = 1
    optimum: Size | None = None
    opset: int | None = None
    precision: Precision | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    budget_db: float | None = None
    half_io: bool = False
    without: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def target(self) -> Target:
        """The target; raises UnknownNameError, or UsageError for what it does not have."""
        target = targets()[self.target_name]
        if self.precision and self.precision not in target.precisions:
            raise UsageError(
                f"target {self.target_name} has no precision {self.precision!r}",
                hint=f"Its precisions: {', '.join(target.precisions)}.",
            )
        if self.opset is not None and self.opset not in target.opsets:
            raise UsageError(
                f"target {self.target_name} has no opset {self.opset}",
                hint=f"Its opsets: {', '.join(str(opset) for opset in target.opsets)}.",
            )
        if self.budget_db is not None and not 0 < self.budget_db < IDENTICAL_DB:
            raise UsageError(f"{self.budget_db} dB is no budget", hint="Take decibels above 0, as in --budget 50.")
        for name, value in self.options.items():
            if name not in target.parsed and value not in target.options.get(name, ()):
                known = "; ".join(
                    f"--{option} {'|'.join(values)}" for option, values in target.options.items() if option not in target.parsed
                )
                raise UsageError(f"target {self.target_name} has no --{name} {value}", hint=f"Its options: {known or 'none'}.")
        target.check(self.precision or target.precisions[0], self._options_of(target))
        if self.sizes and not self.sizes.fixed and not target.several_sizes:
            any_size = target.default_size is None
            raise UsageError(
                f"target {self.target_name} takes one size{', or any' * any_size}; not {self.sizes.description}",
                hint=f"Name one, as in --size 128x128{', or none for a file that takes any size' * any_size}.",
            )
        if self.sizes and self.sizes.is_range and self._options_of(target).get("shapes") == "functions":
            ends = ",".join(str(end) for end in (self.sizes.minimum, self.sizes.maximum))
            raise UsageError(
                f"--shapes functions is for listed sizes, one function for each, and not for {self.sizes.description}",
                hint=f"List them, as in --size {ends}, or leave --shapes functions out for one function that takes the range.",
            )
        self._check_profiles(target)
        if self.half_io and not target.half_io:
            raise UsageError(f"target {self.target_name} has no --half-io", hint="Leave it out.")
        if self.half_io and self.precision != "fp16":
            raise UsageError("float16 input and output need half precision", hint="Add --precision fp16, or leave --half-io out.")
        return target

    def _check_profiles(self, target: Target) -> None:
        """Raise UsageError for a batch or an optimum that the target or the sizes do not have."""
        if not target.profiles and (self.batch != 1 or self.optimum):
            any_number = (
                "a file for any size takes any number of pictures" if not target.default_size else "pictures go one by one"
            )
            raise UsageError(f"target {self.target_name} has no --batch and no --optimum", hint=f"Leave them out: {any_number}.")
        if not 1 <= self.batch <= MOST_PICTURES:
            raise UsageError(f"{self.batch} is no number of pictures", hint=f"Take 1 to {MOST_PICTURES}, as in --batch 4.")
        if self.optimum:
            if not self.sizes or not self.sizes.is_range:
                raise UsageError("--optimum is for a range of sizes", hint="As in --size 64x64..540x960 --optimum 180x320.")
            self.sizes.check(self.optimum)

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """What engines are to be built for: one profile for each size or range; none where the target has no profiles."""
        target, rule = self.target, self.sizes_of_target
        if not target.profiles or rule is None:
            return ()
        return profiles_of(rule, batch=self.batch, optimum=self.optimum or target.default_size)

    @property
    def opset_of_target(self) -> int:
        """The opset asked for, or the target's default."""
        return self.opset or self.target.opsets[0]

    @property
    def precision_of_target(self) -> Precision:
        """The precision asked for, or the target's default."""
        return self.precision or self.target.precisions[0]

    @property
    def options_of_target(self) -> dict[str, str]:
        """Every option of the target, as asked for or by default."""
        return self._options_of(self.target)

    def _options_of(self, target: Target) -> dict[str, str]:
        asked = {name: self.options.get(name, values[0]) for name, values in target.options.items()}
        return {name: target.parsed[name](value) if name in target.parsed else value for name, value in asked.items()}

    @property
    def sizes_of_target(self) -> SizeRule | None:
        """The sizes asked for, or the target's default; None is any."""
        default = self.target.default_size
        return self.sizes or (one_of((default,)) if default else None)

    @property
    def proof(self) -> Size | None:
        """The size of what is run in the artifact's place, or nothing where the artifact itself is run."""
        asked, small = self.sizes_of_target, self.target.proof
        if not asked or not small or self.options_of_target.get("verify") == "full":
            return None
        height, width = asked.minimum.height, asked.minimum.width
        if height * width <= small.height * small.width:
            return None
        return Size(height=_shorter(height, small.height), width=_shorter(width, small.width))

    @property
    def pictures(self) -> bool:
        """Whether the artifact takes and gives pictures of whole numbers."""
        return self.options_of_target.get("io") == "image"

    @property
    def colours_last(self) -> bool:
        """Whether the artifact takes and gives (N,H,W,3), not (N,3,H,W)."""
        return self.options_of_target.get("layout") == "nhwc"


def _shorter(side: int, small: int) -> int:
    """A side of at most `small` pixels that leaves the same rest when it is cut into windows of 8, 16 or half of `small`."""
    return side if side <= small else small // 2 + (side % (small // 2) or small // 2)
