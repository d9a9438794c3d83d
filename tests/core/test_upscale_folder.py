"""Folders: one picture's failure is not the others', and what ends a run leaves what is finished and nothing half."""

import errno
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr.errors import ImageError, UsageError
from edgesr.tensors import FloatArray, Size, SizeRule
from edgesr.upscale import UpscaleOptions, upscale_folder


@dataclass
class Nearest:
    """×2; raises KeyboardInterrupt at picture number `stop`."""

    stop: int = -1
    scale: int = 2
    sizes: SizeRule = field(default_factory=lambda: SizeRule(minimum=Size(height=4, width=4)))
    seen: list[Size] = field(default_factory=list)

    def run(self, image: FloatArray) -> FloatArray:
        if len(self.seen) == self.stop:
            raise KeyboardInterrupt
        height, width = image.shape[2:]
        self.sizes.check(Size(height=height, width=width))
        self.seen.append(Size(height=height, width=width))
        return image.repeat(2, axis=2).repeat(2, axis=3)


def save(path: Path, *, height: int = 6, width: int = 8, alpha: bool = False) -> None:
    Image.fromarray(np.zeros((height, width, 4 if alpha else 3), np.uint8)).save(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "c.jpg", "d.TIF"):
        save(folder / name)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_every_picture_keeps_its_name(source: Path, tmp_path: Path) -> None:
    report = upscale_folder(Nearest(), source, tmp_path / "made" / "out")
    assert names(tmp_path / "made" / "out") == ["a.png", "c.jpg", "d.TIF"]
    assert [Path(one.source).name for one in report.upscaled] == ["a.png", "c.jpg", "d.TIF"]
    assert (report.failed, report.skipped) == ((), ())
    with Image.open(tmp_path / "made" / "out" / "d.TIF") as image:
        assert (image.format, image.size) == ("TIFF", (16, 12))


def test_another_format_for_all(source: Path, tmp_path: Path) -> None:
    upscale_folder(Nearest(), source, tmp_path / "out", UpscaleOptions(suffix=".webp"))
    assert names(tmp_path / "out") == ["a.webp", "c.webp", "d.webp"]


def test_a_run_goes_on_past_what_fails(source: Path, tmp_path: Path) -> None:
    (source / "b.png").write_bytes((source / "a.png").read_bytes()[:45])
    save(source / "e.png", height=3)
    save(source / "f.png")
    report = upscale_folder(Nearest(), source, tmp_path / "out")
    assert names(tmp_path / "out") == ["a.png", "c.jpg", "d.TIF", "f.png"]
    assert [Path(one.source).name for one in report.failed] == ["b.png", "e.png"]
    assert "b.png" in report.failed[0].message
    assert "too small" in report.failed[1].message
    assert report.failed[1].hint


def test_transparency_that_a_format_cannot_hold_fails_that_picture(source: Path, tmp_path: Path) -> None:
    save(source / "b.png", alpha=True)
    report = upscale_folder(Nearest(), source, tmp_path / "out", UpscaleOptions(suffix=".jpg"))
    assert names(tmp_path / "out") == ["a.jpg", "c.jpg", "d.jpg"]
    assert "transparency" in report.failed[0].message


def test_what_is_no_picture_is_skipped_and_listed(source: Path, tmp_path: Path) -> None:
    (source / "notes.txt").write_text("text")
    (source / "more.png").mkdir()
    save(source / "more.png" / "inside.png")
    (source / ".hidden.png").write_text("text")
    report = upscale_folder(Nearest(), source, tmp_path / "out")
    assert (report.skipped, report.failed) == (("more.png", "notes.txt"), ())
    assert names(tmp_path / "out") == ["a.png", "c.jpg", "d.TIF"]


def test_results_of_one_name_are_refused_before_the_work(source: Path, tmp_path: Path) -> None:
    save(source / "a.jpg")
    session = Nearest()
    with pytest.raises(UsageError, match=r"a\.jpg and a\.png would be written to the same file"):
        upscale_folder(session, source, tmp_path / "out", UpscaleOptions(suffix=".png"))
    assert session.seen == []
    assert not (tmp_path / "out").exists()
    upscale_folder(session, source, tmp_path / "out")
    assert names(tmp_path / "out") == ["a.jpg", "a.png", "c.jpg", "d.TIF"]


def test_names_that_differ_in_case_alone_are_one_name(source: Path, tmp_path: Path) -> None:
    save(source / "C.png")
    with pytest.raises(UsageError, match=r"C\.png and c\.jpg would be written to the same file"):
        upscale_folder(Nearest(), source, tmp_path / "out", UpscaleOptions(suffix=".tif"))


def test_folders_that_will_not_do(source: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(source)
    session = Nearest()
    with pytest.raises(ImageError, match="no picture in"):
        upscale_folder(session, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ImageError, match="none is no folder"):
        upscale_folder(session, tmp_path / "none", tmp_path / "out")
    for same in (source, tmp_path / "link"):
        with pytest.raises(UsageError, match="the pictures themselves"):
            upscale_folder(session, source, same)
    with pytest.raises(ImageError, match="cannot use the folder"):
        upscale_folder(session, source, source / "a.png")
    with pytest.raises(UsageError, match="which kind of picture"):
        upscale_folder(session, source, tmp_path / "out", UpscaleOptions(suffix=".gif"))
    assert session.seen == []
    assert not (tmp_path / "out").exists()


def test_an_interrupt_keeps_what_is_finished_and_nothing_half(source: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        upscale_folder(Nearest(stop=1), source, tmp_path / "out")
    assert names(tmp_path / "out") == ["a.png"]
    assert names(source) == ["a.png", "c.jpg", "d.TIF"]


def test_a_full_disk_ends_the_run_and_says_how_far_it_came(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if target.name == "c.jpg":
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    session = Nearest()
    with pytest.raises(ImageError, match=r"c\.jpg: No space left on device.*1 of 3 pictures are finished"):
        upscale_folder(session, source, tmp_path / "out")
    assert names(tmp_path / "out") == ["a.png"]
    assert len(session.seen) == 2


def test_progress_names_the_picture(source: Path, tmp_path: Path) -> None:
    told: list[str] = []
    upscale_folder(Nearest(), source, tmp_path / "out", progress=lambda stage, done=0, total=None: told.append(stage))
    assert list(dict.fromkeys(told)) == [f"{name} ({n} of 3): upscaling" for n, name in enumerate(["a.png", "c.jpg", "d.TIF"], 1)]
