from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import edgesr
from edgesr.errors import ImageError, SizeError
from edgesr.evaluation import evaluate
from edgesr.metrics import score
from edgesr.parity import IDENTICAL_DB
from edgesr.resize import matlab_bicubic
from edgesr.tensors import FloatArray, Size, SizeRule, size_of

if TYPE_CHECKING:
    from torch import nn

Pixels = NDArray[np.uint8]
ANY = SizeRule(minimum=Size(height=1, width=1))


@dataclass
class Recorded:
    """A network whose answer is known: `answer` of the small picture's pixels, in [0,1] floats."""

    answer: Callable[[Pixels], NDArray[np.floating]]
    scale: int = 2
    sizes: SizeRule = ANY

    def run(self, image: FloatArray) -> FloatArray:
        self.sizes.check(size_of(image))
        small = np.rint(image[0].transpose(1, 2, 0) * 255).astype(np.uint8)
        return np.asarray(self.answer(small).transpose(2, 0, 1)[None], np.float32)


def bicubic(small: Pixels) -> NDArray[np.floating]:
    return matlab_bicubic(small, scale=2) / 255


@dataclass
class FromPyTorch:
    """The reference module of a real checkpoint."""

    module: "nn.Module"
    scale: int
    sizes: SizeRule = ANY

    def run(self, image: FloatArray) -> FloatArray:
        import torch

        with torch.inference_mode():
            return np.asarray(self.module(torch.from_numpy(image)).numpy())


def real(data: Path, name: str, file: str, *, scale: int) -> FromPyTorch:
    import torch

    module = edgesr.build_model(name, scale=scale)
    state = torch.load(data / "weights" / "vapsr" / file, weights_only=True, map_location="cpu")
    module.load_state_dict(state.get("params_ema", state.get("params", state)))
    return FromPyTorch(module=module, scale=scale)


def picture(height: int, width: int, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(height, width, 3)).cumsum(axis=0).cumsum(axis=1)
    return np.asarray((noise - noise.min()) / np.ptp(noise) * 255, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hr").mkdir()
    Image.fromarray(picture(41, 50)).save(tmp_path / "hr" / "b.png")
    Image.fromarray(picture(36, 37, seed=1)).save(tmp_path / "hr" / "a.png")
    return tmp_path / "hr"


def test_originals_are_cropped_and_small_pictures_made(folder: Path) -> None:
    seen: list[Pixels] = []

    def answer(small: Pixels) -> NDArray[np.floating]:
        seen.append(small)
        return bicubic(small)

    result = evaluate(Recorded(answer), hr_dir=folder)
    assert [one.name for one in result.pictures] == ["a.png", "b.png"]
    assert [one.size for one in result.pictures] == [Size(height=36, width=36), Size(height=40, width=50)]
    cropped = picture(36, 37, seed=1)[:, :36]
    np.testing.assert_array_equal(seen[0], matlab_bicubic(cropped, scale=0.5))
    assert result.pictures[0].bicubic == score(matlab_bicubic(seen[0], scale=2), cropped, border=2)
    assert (result.scale, result.lr) == (2, "made")


def test_bicubic_as_the_network_scores_as_bicubic(folder: Path) -> None:
    result = evaluate(Recorded(bicubic), hr_dir=folder)
    assert result.network == result.bicubic
    for part in ("psnr_db", "ssim"):
        mean = np.mean([getattr(one.network, part) for one in result.pictures])
        assert getattr(result.network, part) == pytest.approx(mean)
    assert 15 < result.network.psnr_db < 60


def test_result_is_clamped_and_rounded_to_8_bits(folder: Path) -> None:
    (folder / "a.png").unlink()
    original = picture(41, 50)[:40]
    original[:10] = 255
    Image.fromarray(original).save(folder / "b.png")
    answer = original / 255 + np.where(original == 255, 0.3, 0.4 / 255)
    result = evaluate(Recorded(lambda small: answer), hr_dir=folder)
    assert result.network.psnr_db == IDENTICAL_DB
    assert result.network.ssim == pytest.approx(1)


@pytest.mark.parametrize("suffix", ["", "x2"])
def test_given_small_pictures_are_found_by_name(folder: Path, suffix: str) -> None:
    lr = folder.parent / "lr"
    lr.mkdir()
    Image.fromarray(picture(20, 25, seed=7)).save(lr / f"b{suffix}.tif")
    Image.fromarray(picture(18, 18, seed=8)).save(lr / f"a{suffix}.tif")
    Image.fromarray(picture(18, 18, seed=9)).save(lr / "ax3.png")
    seen: list[Pixels] = []

    def answer(small: Pixels) -> NDArray[np.floating]:
        seen.append(small)
        return bicubic(small)

    result = evaluate(Recorded(answer), hr_dir=folder, lr_dir=lr)
    np.testing.assert_array_equal(seen[0], picture(18, 18, seed=8))
    assert result.lr == "given"


def test_missing_doubled_and_misshaped_small_pictures_are_refused(folder: Path) -> None:
    lr = folder.parent / "lr"
    lr.mkdir()
    Image.fromarray(picture(18, 18)).save(lr / "a.png")
    with pytest.raises(ImageError, match=r"for b\.png, and holds none") as caught:
        evaluate(Recorded(bicubic), hr_dir=folder, lr_dir=lr)
    assert "bx2.png" in caught.value.hint
    Image.fromarray(picture(20, 24)).save(lr / "bx2.png")
    with pytest.raises(ImageError, match=r"is 20x24.*not 1/2 of b\.png, cropped to 40x50"):
        evaluate(Recorded(bicubic), hr_dir=folder, lr_dir=lr)
    Image.fromarray(picture(20, 25)).save(lr / "b.png")
    with pytest.raises(ImageError, match=r"several: b\.png, bx2\.png"):
        evaluate(Recorded(bicubic), hr_dir=folder, lr_dir=lr)


def test_folders_and_pictures_that_will_not_do(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="none is no folder"):
        evaluate(Recorded(bicubic), hr_dir=tmp_path / "none")
    with pytest.raises(ImageError, match="no picture in"):
        evaluate(Recorded(bicubic), hr_dir=tmp_path)
    Image.fromarray(picture(1, 30)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="smaller than the scale ×2"):
        evaluate(Recorded(bicubic), hr_dir=tmp_path)
    Image.fromarray(picture(12, 30)).save(tmp_path / "a.png")
    with pytest.raises(SizeError, match="SSIM needs"):
        evaluate(Recorded(bicubic), hr_dir=tmp_path)
    (tmp_path / "a.png").write_bytes(b"nonsense")
    with pytest.raises(ImageError, match="begins with b'nonsense'"):
        evaluate(Recorded(bicubic), hr_dir=tmp_path)


def test_grey_originals_count_as_rgb(tmp_path: Path) -> None:
    grey = picture(30, 32)[..., 1]
    Image.fromarray(grey).save(tmp_path / "a.png")
    as_grey = evaluate(Recorded(bicubic), hr_dir=tmp_path)
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "a.png")
    assert evaluate(Recorded(bicubic), hr_dir=tmp_path) == as_grey


def test_a_network_of_one_size_is_evaluated_in_tiles_and_says_so(folder: Path) -> None:
    fixed = SizeRule(minimum=Size(height=16, width=16), maximum=Size(height=16, width=16))

    def nearest(small: Pixels) -> NDArray[np.floating]:
        return np.asarray(small.repeat(2, axis=0).repeat(2, axis=1) / 255)

    whole = evaluate(Recorded(nearest), hr_dir=folder)
    tiled = evaluate(Recorded(nearest, sizes=fixed), hr_dir=folder)
    assert tiled.network == whole.network
    assert [one.tiled for one in whole.pictures] == [False, False]
    assert [one.tiled for one in tiled.pictures] == [True, True]


def test_progress_and_result_are_plain_data(folder: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    result = evaluate(
        Recorded(bicubic), hr_dir=folder, progress=lambda stage, done=0, total=None: told.append((stage, done, total))
    )
    assert told == [("evaluating a.png", 0, 2), ("evaluating b.png", 1, 2), ("evaluated", 2, 2)]
    assert asdict(result)["pictures"][0]["size"] == {"height": 36, "width": 36}


@pytest.mark.parametrize(
    ("name", "file", "scale", "psnr_db", "bicubic_db"),
    [("vapsr-s", "VapSR-S.pth", 4, 32.17, 28.43), ("vapsr", "VapSR_X2.pth", 2, 38.11, 33.67)],
)
def test_set5_with_the_authors_weights(data: Path, name: str, file: str, scale: int, psnr_db: float, bicubic_db: float) -> None:
    set5 = data / "images" / "Set5"
    if not set5.is_dir():
        pytest.skip(f"no Set5 in {set5}; name the folder that holds images/Set5 with EDGESR_DATA")
    result = evaluate(real(data, name, file, scale=scale), hr_dir=set5 / "HR", lr_dir=set5 / f"LRbicx{scale}")
    assert result.network.psnr_db == pytest.approx(psnr_db, abs=0.01)
    assert result.bicubic.psnr_db == pytest.approx(bicubic_db, abs=0.01)


def test_set5_made_small_here_is_set5_made_small_by_matlab(data: Path) -> None:
    set5 = data / "images" / "Set5"
    if not set5.is_dir():
        pytest.skip(f"no Set5 in {set5}; name the folder that holds images/Set5 with EDGESR_DATA")
    session = Recorded(lambda small: matlab_bicubic(small, scale=4) / 255, scale=4)
    made = evaluate(session, hr_dir=set5 / "HR")
    given = evaluate(session, hr_dir=set5 / "HR", lr_dir=set5 / "LRbicx4")
    assert made.pictures == given.pictures
