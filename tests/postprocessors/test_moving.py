import numpy as np
import pytest
from PIL import Image

from pggan_framework.errors import UserError
from pggan_framework.postprocessors.moving import check_fps, check_moving, sheet_frames, sheets_in, write_moving

COLOURS = [(200, 30, 40), (20, 180, 60), (10, 20, 220)]


def frames(count=3, size=(40, 20)):
    return (Image.new("RGB", size, COLOURS[number % 3]) for number in range(count))


def durations(path):
    with Image.open(path) as moving:
        found = []
        for number in range(moving.n_frames):
            moving.seek(number)
            moving.load()
            found.append(moving.info["duration"])
    return found


@pytest.mark.parametrize(("kind", "tolerance"), [("gif", 4), ("webp", 24)])
def test_a_moving_picture_shows_the_frames_in_order(tmp_path, kind, tolerance):
    assert write_moving(tmp_path / "a", kind, frames(), 0.25, 2.5) == 3
    with Image.open(tmp_path / "a") as moving:
        assert (moving.format, moving.n_frames, moving.info["loop"]) == (kind.upper(), 3, 0)
        for number, colour in enumerate(COLOURS):
            moving.seek(number)
            pixels = np.asarray(moving.convert("RGB")).astype(int)
            assert pixels.shape == (20, 40, 3)
            assert np.abs(pixels - colour).max() <= tolerance
    assert durations(tmp_path / "a") == [250, 250, 2500]


def test_roundings_of_a_gif_do_not_add_up(tmp_path):
    write_moving(tmp_path / "a.gif", "gif", frames(31), 1 / 30)
    found = durations(tmp_path / "a.gif")
    assert set(found) == {30, 40} and sum(found[:30]) == 1000


def test_frames_of_two_sizes_or_none_are_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="there are no frames"):
        write_moving(tmp_path / "a", "gif", [], 1)
    with pytest.raises(ValueError, match=r"a frame is \(3, 3\), the first one \(40, 20\)"):
        write_moving(tmp_path / "a", "gif", [*frames(), Image.new("RGB", (3, 3))], 1)


def test_sheets_become_frames_of_one_size(tmp_path):
    for kimg, side in ((6, 2), (12, 4), (1200000, 8)):
        Image.fromarray(np.arange(side * side, dtype=np.uint8).reshape(side, side)).save(
            tmp_path / f"fakes_{kimg:06d}.png"
        )
    for other in ("reals.png", "fakes_x.png", "fakes_000012.jpg"):
        (tmp_path / other).touch()
    found = sheets_in(tmp_path)
    assert [kimg for kimg, _ in found] == [6, 12, 1200000]
    small, _, large = (np.asarray(frame)[..., 0] for frame in sheet_frames([path for _, path in found], 1024))
    np.testing.assert_array_equal(small, np.arange(4).reshape(2, 2).repeat(4, 0).repeat(4, 1))
    np.testing.assert_array_equal(large, np.arange(64).reshape(8, 8))
    assert [frame.size for frame in sheet_frames([path for _, path in found], 4)] == [(4, 4)] * 3


def test_mp4_by_the_package(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    assert write_moving(tmp_path / "a.tmp", "mp4", frames(3, (35, 21)), 0.5, 5) == 3
    assert ffmpeg.count_frames_and_secs(str(tmp_path / "a.tmp")) == (12, pytest.approx(6, abs=0.1))
    reader = ffmpeg.read_frames(str(tmp_path / "a.tmp"))
    assert next(reader)["size"] == (36, 22)
    shown = np.frombuffer(next(reader), np.uint8).reshape(22, 36, 3).astype(int)
    assert np.abs(shown - COLOURS[0]).max() < 12


def test_an_mp4_that_cannot_be_written_is_an_error(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(OSError, match="ffmpeg"):
        write_moving(tmp_path / "none" / "a.tmp", "mp4", frames(), 0.5)


def test_what_cannot_be_written_is_refused_before(monkeypatch):
    monkeypatch.setattr("pggan_framework.errors.find_spec", lambda name: None)
    check_moving("gif", "--video gif")
    with pytest.raises(UserError, match=r"--video mp4 needs the package imageio_ffmpeg.*pip install"):
        check_moving("mp4", "--video mp4")
    check_fps("mp4", 60)
    for kind, fps in (("gif", 60), ("mp4", 0), ("webp", float("nan"))):
        with pytest.raises(UserError, match=f"--fps is {fps:g}; allowed for {kind}: 0.05 to"):
            check_fps(kind, fps)
