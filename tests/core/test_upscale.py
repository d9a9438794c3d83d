"""One picture and one file through a network; folders have their own file."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from edgesr.errors import ImageError, SizeError, UsageError
from edgesr.images import Picture, read_picture, to_samples, write_picture
from edgesr.resize import matlab_bicubic
from edgesr.tensors import FloatArray, Size, SizeRule, size_of
from edgesr.upscale import UpscaleOptions, upscale_file, upscale_picture

ANY = SizeRule(minimum=Size(height=1, width=1))


@dataclass
class Nearest:
    """Every pixel becomes a square of `scale` pixels."""

    scale: int = 2
    sizes: SizeRule = ANY
    seen: list[Size] = field(default_factory=list)

    def run(self, image: FloatArray) -> FloatArray:
        self.sizes.check(size_of(image))
        self.seen.append(size_of(image))
        return np.asarray(image.repeat(self.scale, axis=2).repeat(self.scale, axis=3), np.float32)


class Tinted(Nearest):
    """Adds another amount to each channel, and the mean of all that it sees to all."""

    def run(self, image: FloatArray) -> FloatArray:
        tint = np.array([0.1, 0.2, -0.1], np.float32)[:, None, None] + image.mean()
        return np.asarray(super().run(image) + tint, np.float32)


def enlarged(samples: np.ndarray[tuple[int, ...], np.dtype[np.generic]], scale: int = 2) -> object:
    return samples.repeat(scale, axis=0).repeat(scale, axis=1)


def random_picture(height: int, width: int, *, depth: int = 8, grey: bool = False, alpha: bool = False) -> Picture:
    rng = np.random.default_rng(height)
    peak = 2**depth - 1
    planes = rng.integers(0, peak + 1, (1, 1 if grey else 3, height, width)) / peak
    return Picture(
        rgb=np.repeat(planes, 3 if grey else 1, axis=1).astype(np.float32),
        alpha=rng.random((height, width), dtype=np.float32) if alpha else None,
        depth=16 if depth == 16 else 8,
        grey=grey,
    )


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
def test_depth_and_grey_are_kept_exactly(tmp_path: Path, suffix: str, depth: int, grey: bool) -> None:
    original = random_picture(7, 11, depth=depth, grey=grey)
    source, destination = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    write_picture(source, original)
    report = upscale_file(Nearest(scale=3), source, destination)
    result = read_picture(destination)
    want = to_samples(original.rgb, depth=depth).repeat(3, axis=2).repeat(3, axis=3)
    np.testing.assert_array_equal(to_samples(result.rgb, depth=depth), want)
    assert (result.depth, result.grey, result.alpha) == (depth, grey, None)
    assert (report.input, report.output) == (Size(height=7, width=11), Size(height=21, width=33))
    assert (report.source, report.destination) == (str(source), str(destination))


def test_grey_comes_out_as_the_luma_of_the_result() -> None:
    original = random_picture(6, 6, grey=True)
    result, _ = upscale_picture(Tinted(), original)
    tinted = Tinted().run(original.rgb)
    luma = 0.299 * tinted[0, 0] + 0.587 * tinted[0, 1] + 0.114 * tinted[0, 2]
    np.testing.assert_allclose(result.rgb[0], [luma] * 3, atol=1e-6)


def test_alpha_is_enlarged_bicubically_and_colour_beside_it() -> None:
    original = random_picture(16, 9, alpha=True)
    assert original.alpha is not None
    result, _ = upscale_picture(Nearest(), original)
    bicubic = matlab_bicubic(original.alpha[..., None].astype(np.float64), scale=2)[..., 0]
    assert bicubic.min() < 0 < 1 < bicubic.max()
    assert result.alpha is not None
    np.testing.assert_allclose(result.alpha, bicubic.clip(0, 1), atol=1e-7)
    np.testing.assert_array_equal(result.rgb, Nearest().run(original.rgb))


@pytest.mark.parametrize("value", [0, 1])
def test_even_alpha_stays_even(tmp_path: Path, value: int) -> None:
    image = Image.fromarray(np.full((6, 7, 4), value * 255, np.uint8))
    image.save(tmp_path / "a.png")
    upscale_file(Nearest(scale=4), tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as result:
        np.testing.assert_array_equal(np.asarray(result), np.full((24, 28, 4), value * 255))


def test_orientation_is_honoured_once(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Model] = "Camera"
    Image.fromarray(samples).save(tmp_path / "a.png", exif=exif)
    upscale_file(Nearest(), tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as result:
        np.testing.assert_array_equal(np.asarray(result), enlarged(np.rot90(samples, -1)))
        assert dict(result.getexif()) == {ExifTags.Base.Model: "Camera"}


def test_format_is_that_of_the_destinations_suffix(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", random_picture(6, 6))
    upscale_file(Nearest(), tmp_path / "a.png", tmp_path / "b.webp")
    with Image.open(tmp_path / "b.webp") as result:
        assert result.format == "WEBP"


def test_whole_by_default_tiles_when_asked(tmp_path: Path) -> None:
    session = Nearest()
    original = random_picture(40, 33)
    whole, run = upscale_picture(session, original)
    assert (run.tiles, run.tiling, run.seams, len(session.seen)) == (1, None, None, 1)
    assert run.seconds > 0
    tiled, run = upscale_picture(session, original, UpscaleOptions(tile=16, overlap=4))
    assert (run.tiles, run.seams, len(session.seen)) == (4, None, 5)
    np.testing.assert_array_equal(tiled.rgb, whole.rgb)


def test_seams_are_measured_when_asked() -> None:
    options = UpscaleOptions(tile=16, overlap=4, check_seams=True)
    original = random_picture(40, 33)
    _, run = upscale_picture(Nearest(), original, options)
    assert run.seams is not None
    assert run.seams.max_abs == 0
    _, run = upscale_picture(Tinted(), original, options)
    assert run.seams is not None
    assert 0 < run.seams.max_abs < 0.2
    assert run.seams.psnr_db < 60


def test_seams_of_a_picture_run_whole_are_none() -> None:
    _, run = upscale_picture(Tinted(), random_picture(20, 20), UpscaleOptions(check_seams=True))
    assert run.seams is None


def test_a_fixed_size_takes_any_picture_in_tiles() -> None:
    fixed = SizeRule(minimum=Size(height=16, width=24), maximum=Size(height=16, width=24))
    original = random_picture(40, 33)
    result, run = upscale_picture(Nearest(sizes=fixed), original)
    np.testing.assert_array_equal(result.rgb, Nearest().run(original.rgb))
    assert run.tiles > 1
    with pytest.raises(SizeError):
        upscale_picture(Nearest(sizes=fixed), original, UpscaleOptions(check_seams=True))


def test_a_picture_below_the_minimum_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", random_picture(8, 40))
    session = Nearest(sizes=SizeRule(minimum=Size(height=16, width=16)))
    for options in (UpscaleOptions(), UpscaleOptions(tile=16)):
        with pytest.raises(SizeError, match="8x40"):
            upscale_file(session, tmp_path / "a.png", tmp_path / "b.png", options)
    assert not (tmp_path / "b.png").exists()


def test_progress_counts_the_tiles() -> None:
    told: list[tuple[str, int, int | None]] = []
    upscale_picture(
        Nearest(),
        random_picture(40, 33),
        UpscaleOptions(tile=32, overlap=0, check_seams=True),
        progress=lambda stage, done=0, total=None: told.append((stage, done, total)),
    )
    assert told == [*(("upscaling", done, 4) for done in range(5)), ("checking seams", 0, None)]


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    write_picture(source, random_picture(8, 8))
    before = source.read_bytes()
    (tmp_path / "link.png").symlink_to(source)
    (tmp_path / "hard.png").hardlink_to(source)
    for destination in (source, tmp_path / "." / "a.png", tmp_path / "link.png", tmp_path / "hard.png"):
        with pytest.raises(UsageError, match="the picture itself"):
            upscale_file(Nearest(), source, destination)
    assert source.read_bytes() == before


def test_what_can_be_known_before_is_said_before_the_network_runs(tmp_path: Path) -> None:
    session = Nearest()
    write_picture(tmp_path / "a.png", random_picture(8, 8, alpha=True))
    with pytest.raises(ImageError, match="transparency"):
        upscale_file(session, tmp_path / "a.png", tmp_path / "b.jpg")
    with pytest.raises(UsageError, match="which kind"):
        upscale_file(session, tmp_path / "a.png", tmp_path / "b.xyz")
    with pytest.raises(ImageError, match="is no folder"):
        upscale_file(session, tmp_path / "a.png", tmp_path / "no" / "b.png")
    with pytest.raises(ImageError, match="No such file"):
        upscale_file(session, tmp_path / "none.png", tmp_path / "b.png")
    with pytest.raises(UsageError, match="tile of 0"):
        upscale_file(session, tmp_path / "a.png", tmp_path / "b.png", UpscaleOptions(tile=0))
    assert session.seen == []


def test_a_network_that_gives_nan_writes_nothing(tmp_path: Path) -> None:
    class Broken(Nearest):
        def run(self, image: FloatArray) -> FloatArray:
            return super().run(image) * np.float32(np.nan)

    write_picture(tmp_path / "a.png", random_picture(8, 8))
    with pytest.raises(ImageError, match="NaN"):
        upscale_file(Broken(), tmp_path / "a.png", tmp_path / "b.png")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_report_is_plain_data(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", random_picture(8, 8))
    report = asdict(upscale_file(Nearest(), tmp_path / "a.png", tmp_path / "b.png", UpscaleOptions(tile=4)))
    assert report["input"] == {"height": 8, "width": 8}
    assert report["run"]["tiling"] == {"tile": 4, "overlap": 32}
