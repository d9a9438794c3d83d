"""Which files scripts/ablate compares, and what it says where there is nothing to compare."""

from pathlib import Path
from typing import Any

import ablate
import pytest

from edgesr.bench.child import CellError
from edgesr.bench.protocol import quick
from edgesr.tensors import Size

SIZE = Size(height=64, width=64)


def failing(*fails: tuple[str | None, bool]) -> Any:
    """A step that fails for these sizes, with (False) or without (True) the rewrite."""

    def step(name: str, *, size: str | None, without: list[str], **rest: Any) -> dict[str, Any]:
        if (size, bool(without)) in fails:
            raise CellError("ExportError: no")
        return {"nodes": 1}

    return step


@pytest.mark.parametrize(
    ("fails", "kind", "reason"),
    [
        ((), "any size", ""),
        (((None, True),), "static", "the export for any size fails without it: ExportError: no"),
        (((None, False),), "static", "the export for any size fails with it: ExportError: no"),
    ],
)
def test_a_static_file_where_one_for_any_size_fails(
    fails: tuple[tuple[str | None, bool], ...], kind: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablate, "step", failing(*fails))
    made, found, why = ablate.exported("split-kernel-sum", "esc-fp", SIZE, tmp_path, 1)
    assert (len(made), found, why) == (2, kind, reason)


def test_a_rewrite_that_the_export_needs_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablate, "step", failing((None, True), (str(SIZE), True)))
    evidence = ablate.ablate("split-kernel-sum", "esc-fp", SIZE, quick(1), 1).to_json()
    reasons = [f"the export for {size} fails without it: ExportError: no" for size in ("any size", "64x64")]
    assert evidence == {"model": "esc-fp", "size": "64x64", "needed": "; ".join(reasons)}


def test_where_a_rewrite_matches() -> None:
    assert ablate.matching("split-kernel-sum", ("vapsr", "esc-fp")) == ["esc-fp"]


def test_a_rewrite_of_core_mls_is_compared_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def step(_: str, *, without: list[str], target: str, size: str, **__: Any) -> dict[str, Any]:
        asked.append((target, size))
        counts = {"nodes": 9, "bytes": 10} if without else {"nodes": 5, "bytes": 7}
        return {**counts, "rewrites": {} if without else {"shifted-kernels": 1}}

    monkeypatch.setattr(ablate, "step", step)
    evidence = ablate.ablate("shifted-kernels", "esc", SIZE, quick(1), 1).to_json()
    assert asked == [("coreml", "64x64")] * 2
    counts = {"nodes_with": 5, "nodes_without": 9, "bytes_with": 7, "bytes_without": 10}
    assert evidence == {"model": "esc", "size": "64x64", "file": "static", **counts}
