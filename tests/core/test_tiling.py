from dataclasses import dataclass, field

import numpy as np
import pytest

from edgesr.errors import SizeError, UsageError
from edgesr.model import Reach
from edgesr.tensors import FloatArray, Size, SizeRule, size_of
from edgesr.tiling import LARGEST_SIDE, Tiling, choose_tiling, count_tiles, run_tiled, seam_error

ANY = SizeRule(minimum=Size(height=1, width=1))


@dataclass
class Blur:
    """×2; every output pixel is the mean of a box of `radius`, with zeros around the picture: a local network."""

    radius: int = 3
    scale: int = 2
    sizes: SizeRule = ANY
    seen: list[Size] = field(default_factory=list)

    def run(self, image: FloatArray) -> FloatArray:
        self.sizes.check(size_of(image))
        self.seen.append(size_of(image))
        height, width = image.shape[2:]
        r = self.radius
        padded = np.pad(image, ((0, 0), (0, 0), (r, r), (r, r)))
        total: FloatArray = np.zeros_like(image)
        for dy in range(2 * r + 1):
            for dx in range(2 * r + 1):
                total += padded[:, :, dy : dy + height, dx : dx + width] * np.float32(1 + dy + 3 * dx)
        return np.asarray(total.repeat(2, axis=2).repeat(2, axis=3), np.float32)


class Brightness(Blur):
    """A global network: adds the mean of all that it sees."""

    def run(self, image: FloatArray) -> FloatArray:
        return np.asarray((image + image.mean()).repeat(2, axis=2).repeat(2, axis=3), np.float32)


def picture(height: int, width: int, *, batch: int = 1) -> FloatArray:
    return np.random.default_rng(height * 1000 + width).random((batch, 3, height, width), dtype=np.float32)


def fixed(height: int, width: int) -> SizeRule:
    return SizeRule(minimum=Size(height=height, width=width), maximum=Size(height=height, width=width))


@pytest.mark.parametrize(("height", "width"), [(40, 33), (16, 70), (17, 16), (5, 90), (1, 1), (22, 23)])
@pytest.mark.parametrize("tile", [1, 7, 16, 100])
def test_overlap_of_the_radius_gives_the_untiled_result_exactly(height: int, width: int, tile: int) -> None:
    image = picture(height, width, batch=2)
    session = Blur()
    np.testing.assert_array_equal(run_tiled(session, image, Tiling(tile=tile, overlap=3)), session.run(image))


def test_overlap_below_the_radius_shows() -> None:
    image = picture(40, 40)
    session = Blur()
    assert not np.array_equal(run_tiled(session, image, Tiling(tile=16, overlap=2)), session.run(image))


@pytest.mark.parametrize(("height", "width"), [(40, 33), (20, 70), (21, 20), (61, 24)])
def test_no_tile_is_below_the_minimum(height: int, width: int) -> None:
    image = picture(height, width)
    session = Blur(sizes=SizeRule(minimum=Size(height=20, width=20)))
    np.testing.assert_array_equal(run_tiled(session, image, Tiling(tile=8, overlap=3)), Blur().run(image))
    assert all(size.height >= 20 and size.width >= 20 for size in session.seen)


def test_picture_below_the_minimum_is_refused() -> None:
    session = Blur(sizes=SizeRule(minimum=Size(height=20, width=20)))
    with pytest.raises(SizeError, match=r"19x40.*too small"):
        run_tiled(session, picture(19, 40), Tiling(tile=8, overlap=3))
    assert not session.seen


def test_maximum_bounds_the_tiles() -> None:
    image = picture(50, 60)
    session = Blur(sizes=SizeRule(minimum=Size(height=1, width=1), maximum=Size(height=18, width=24)))
    np.testing.assert_array_equal(run_tiled(session, image, Tiling(tile=999, overlap=3)), Blur().run(image))
    assert max(session.seen) == Size(height=18, width=24)


@pytest.mark.parametrize(("height", "width"), [(40, 33), (24, 18), (25, 19), (100, 18)])
def test_fixed_size_runs_at_that_size_only(height: int, width: int) -> None:
    image = picture(height, width)
    session = Blur(sizes=fixed(24, 18))
    result = run_tiled(session, image, Tiling(tile=64, overlap=3))
    np.testing.assert_array_equal(result, Blur().run(image))
    assert set(session.seen) == {Size(height=24, width=18)}


@pytest.mark.parametrize(("height", "width"), [(10, 40), (3, 5), (1, 1)])
def test_fixed_size_larger_than_the_picture_is_filled_by_mirroring(height: int, width: int) -> None:
    image = picture(height, width)
    session = Blur(sizes=fixed(24, 18))
    result = run_tiled(session, image, Tiling(tile=64, overlap=3))
    mirrored = np.pad(image, ((0, 0), (0, 0), (0, max(0, 24 - height)), (0, max(0, 18 - width))), mode="reflect")
    np.testing.assert_array_equal(result, Blur().run(mirrored)[:, :, : 2 * height, : 2 * width])


def test_overlap_that_leaves_no_tile_is_refused() -> None:
    session = Blur(sizes=fixed(24, 18))
    with pytest.raises(SizeError, match="overlap of 9") as caught:
        run_tiled(session, picture(40, 40), Tiling(tile=64, overlap=9))
    assert "8 at most" in caught.value.hint
    assert not session.seen


def test_tiles_start_at_multiples_of_the_tile() -> None:
    starts: list[float] = []

    class Corner(Blur):
        def run(self, image: FloatArray) -> FloatArray:
            starts.append(float(image[0, 0, 0, 0]))
            return image.repeat(2, axis=2).repeat(2, axis=3)

    columns = np.broadcast_to(np.arange(100, dtype=np.float32), (1, 3, 10, 100)).copy()
    run_tiled(Corner(), columns, Tiling(tile=32, overlap=4))
    assert starts == [0, 32, 64]


def test_count_and_progress_agree_with_the_runs() -> None:
    told: list[tuple[int, int | None]] = []
    session = Blur()
    tiling = Tiling(tile=16, overlap=3)
    run_tiled(session, picture(40, 33), tiling, progress=lambda stage, done=0, total=None: told.append((done, total)))
    count = count_tiles(Size(height=40, width=33), ANY, tiling)
    assert len(session.seen) == count == 6
    assert told == [(done, count) for done in range(count + 1)]


def test_seams_of_a_local_network_are_none() -> None:
    image = picture(40, 33)
    session = Blur()
    report = seam_error(session, image, run_tiled(session, image, Tiling(tile=16, overlap=3)))
    assert (report.max_abs, report.psnr_db) == (0, 300)


def test_seams_of_a_global_network_are_measured() -> None:
    image = picture(40, 40)
    image[:, :, :, 20:] = 0
    session = Brightness()
    tiled = run_tiled(session, image, Tiling(tile=20, overlap=0))
    report = seam_error(session, image, tiled)
    difference = np.abs(session.run(image) - tiled)
    assert report.max_abs == pytest.approx(difference.max())
    assert report.max_abs > 0.2
    assert report.psnr_db == pytest.approx(-10 * np.log10(np.mean(difference.astype(np.float64) ** 2)))


def test_seams_of_a_fixed_size_cannot_be_measured() -> None:
    session = Blur(sizes=fixed(24, 18))
    with pytest.raises(SizeError, match="24x18"):
        seam_error(session, picture(40, 40), np.zeros((1, 3, 80, 80), np.float32))


def size(height: int, width: int) -> Size:
    return Size(height=height, width=width)


def test_small_pictures_run_whole_and_large_ones_in_tiles() -> None:
    assert choose_tiling(size(LARGEST_SIDE, LARGEST_SIDE), ANY) is None
    assert choose_tiling(size(512, 2048), ANY) is None
    assert choose_tiling(size(LARGEST_SIDE, LARGEST_SIDE + 1), ANY) == Tiling(tile=960, overlap=32)


def test_overlap_is_the_reach_where_that_is_known() -> None:
    local = Reach(kind="local", radius=92)
    assert choose_tiling(size(2000, 2000), ANY, reach=local) == Tiling(tile=768, overlap=92)
    assert choose_tiling(size(2000, 2000), ANY, reach=local, tile=128) == Tiling(tile=128, overlap=92)
    assert choose_tiling(size(2000, 2000), ANY, reach=local, overlap=5) == Tiling(tile=960, overlap=5)
    assert choose_tiling(size(2000, 2000), ANY, reach=Reach(kind="global")) == Tiling(tile=960, overlap=32)
    assert choose_tiling(size(2000, 2000), ANY, reach=Reach(kind="windowed", radius=48)) == Tiling(tile=960, overlap=32)


def test_asked_for_tiles_are_made_unless_the_picture_is_one() -> None:
    assert choose_tiling(size(100, 65), ANY, tile=64) == Tiling(tile=64, overlap=32)
    assert choose_tiling(size(64, 64), ANY, tile=64) is None
    assert choose_tiling(size(3000, 3000), ANY, tile=4000) is None


def test_a_session_that_cannot_take_the_picture_whole_gets_tiles_that_fit() -> None:
    square = fixed(256, 256)
    assert choose_tiling(size(256, 256), square) is None
    for other in (size(256, 257), size(100, 100), size(2000, 2000)):
        tiling = choose_tiling(other, square, reach=Reach(kind="local", radius=172))
        assert tiling == Tiling(tile=96, overlap=64)
    limited = SizeRule(minimum=size(1, 1), maximum=size(512, 256))
    assert choose_tiling(size(512, 256), limited) is None
    assert choose_tiling(size(512, 257), limited) == Tiling(tile=192, overlap=32)


@pytest.mark.parametrize(("tile", "overlap"), [(0, 1), (-4, 1), (8, -1)])
def test_tiles_that_are_none_are_refused(tile: int, overlap: int) -> None:
    with pytest.raises(UsageError, match=f"{tile} pixels with an overlap of {overlap}"):
        choose_tiling(size(2000, 2000), ANY, tile=tile, overlap=overlap)
