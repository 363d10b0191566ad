import numpy as np
import pytest
import soundfile
import torch
from instrument import SECONDS, cents, frequency, sines
from PIL import Image
from written import names

from pggan_framework.cli.generate import run
from pggan_framework.generate.interpolate import slerp
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks import Generator
from pggan_framework.schedules.growth import Growth


def test_a_walk_as_one_sound(model, tmp_path, capsys):
    assert run(["net.pt", "--interpolate", "4", "--seeds", "1,5,2", "--label", "pitch=64", "--out", "out"]) == 0
    assert names(tmp_path / "out") == ["interpolation.png", "interpolation.wav"]
    wave, rate = soundfile.read(tmp_path / "out" / "interpolation.wav")
    clip = round(SECONDS * rate)
    assert len(wave) == 8 * (clip - round(0.1 * clip)) + clip
    assert abs(cents(frequency(wave[clip : 2 * clip]), 64)) < 10
    assert np.sqrt(np.mean(wave.reshape(-1)[: 8 * 7000].reshape(8, -1) ** 2, axis=1)).min() > 0.1
    assert "9 steps through 3 seeds" in capsys.readouterr().out
    run(["net.pt", "--interpolate", "4", "--seconds", "2", "--out", "short"])
    assert soundfile.info(tmp_path / "short" / "interpolation.wav").duration == pytest.approx(2, abs=0.001)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.pt", "--interpolate", "0"], "--interpolate is 0; allowed: 1 or more"),
        (["net.pt", "--interpolate", "2", "--seeds", "1"], "1 is given; allowed: two or more"),
        (["net.pt", "--interpolate", "10000"], "an interpolation of 10001 steps is requested; allowed: up to 10000"),
        (
            ["net.pt", "--interpolate", "9000"],
            "an interpolation of 9001 steps lasts 4148 s; allowed: 3600; give --seconds",
        ),
        (["net.pt", "--interpolate", "2", "--seconds", "9"], "--seconds 9 does not fit 3 clips; allowed: 0.51 to 1.54"),
    ],
)
def test_walks_that_cannot_be_are_one_line(words, message, model, refused):
    refused(words, message)


@pytest.fixture
def classes(model):
    """Takes it for a model of images 8x8 of three classes, whose data have the last ten times as often."""
    torch.manual_seed(0)
    space = LabelSpace((Attribute("kind", ("boot", "bag", "coat")),))
    generator = Generator(Growth.of((3, 8, 8)), fmap_base=32, fmap_max=4, latent_size=4, label_space=space).eval()
    held = Pretrained(generator, None, 5000, {}, (-1, 1), np.array([[0], [1], [2]]), np.array([1, 1, 10]))
    model(held)
    return held


def frames_of(path):
    with Image.open(path) as moving:
        found = []
        for number in range(moving.n_frames):
            moving.seek(number)
            found.append(np.asarray(moving.convert("RGB")).astype(int))
        return found


def tiles(frame, rows, columns):
    """The images on a grid."""
    height, width = (frame.shape[0] + 2) // rows - 2, (frame.shape[1] + 2) // columns - 2
    return [
        frame[row * (height + 2) : row * (height + 2) + height, column * (width + 2) : column * (width + 2) + width]
        for row in range(rows)
        for column in range(columns)
    ]


def drawn(model, latent, condition, side):
    """What a frame must show, by the network itself."""
    with torch.no_grad():
        picture = model.generator(latent[None], condition)[0].clamp(-1, 1).numpy()
    pixels = np.rint((picture + 1) * 127.5).transpose(1, 2, 0).astype(int)
    return pixels.repeat(side // 8, 0).repeat(side // 8, 1)


def test_a_walk_as_a_gif_that_can_be_repeated(classes, tmp_path, capsys):
    words = ["--interpolate", "3", "--seeds", "4,2", "--label", "kind=bag", "--video", "gif", "--loop", "--fps", "10"]
    assert run(["net.pt", *words, "--resolution", "16", "--out", "out"]) == 0
    assert names(tmp_path / "out") == ["interpolation.gif", "interpolation.png"]
    frames = frames_of(tmp_path / "out" / "interpolation.gif")
    assert [frame.shape for frame in frames] == [(16, 16, 3)] * 6  # there and back, neither end twice
    assert "6 steps through 2 seeds, interpolation.gif of 0.60 s, 10 frames a second" in capsys.readouterr().out
    bag = torch.tensor([[0.0, 1.0, 0.0]])
    for place, seed in ((0, 4), (3, 2)):
        wanted = drawn(classes, classes.latents(1, seed)[0], bag, 16)
        assert abs(frames[place] - wanted).max() <= 8  # a GIF has few colours
    middle = drawn(classes, slerp(classes.latents(1, 4)[0], classes.latents(1, 2)[0], 1 / 3), bag, 16)
    assert abs(frames[1] - middle).max() <= 8 and abs(frames[5] - frames[1]).max() <= 8


def test_walks_side_by_side_share_the_seeds_and_the_time(classes, tmp_path, capsys):
    words = ["--interpolate", "--seeds", "0-3", "--walks", "2", "--label", "kind=coat", "--video", "gif"]
    assert run(["net.pt", *words, "--seconds", "1", "--fps", "5", "--resolution", "32", "--out", "out"]) == 0
    frames = frames_of(tmp_path / "out" / "interpolation.gif")
    assert len(frames) == 6  # five steps a second, and the end
    coat = torch.tensor([[0.0, 0.0, 1.0]])
    for place, seeds in ((0, (0, 2)), (5, (1, 3))):
        shown = tiles(frames[place], 1, 2)
        for tile, seed in zip(shown, seeds, strict=True):
            wanted = drawn(classes, classes.latents(1, seed)[0], coat, tile.shape[0])
            assert abs(tile - wanted).max() <= 16
    sheet = np.asarray(Image.open(tmp_path / "out" / "interpolation.png")).astype(int)
    first = tiles(sheet, 2, 6)[6]  # a row for each walk
    assert abs(first - drawn(classes, classes.latents(1, 2)[0], coat, first.shape[0])).max() == 0
    assert "2 paths side by side" in capsys.readouterr().out


def test_a_walk_between_labels(classes, tmp_path, capsys):
    words = ["--interpolate", "2", "--every", "kind=coat,boot", "--seed", "5", "--video", "gif", "--resolution", "8"]
    assert run(["net.pt", *words, "--out", "out"]) == 0
    coat, half, boot = frames_of(tmp_path / "out" / "interpolation.gif")
    latent = classes.latents(1, 5)[0]
    for frame, seen in ((coat, [0.0, 0, 1]), (half, [0.5, 0, 0.5]), (boot, [1.0, 0, 0])):
        assert abs(frame - drawn(classes, latent, torch.tensor([seen]), 8)).max() <= 8
    assert "3 steps through 2 values of kind" in capsys.readouterr().out


def test_a_walk_from_each_seeds_own_label_to_the_next(classes, tmp_path):
    seeds = [seed for seed in range(40) if classes.draw_labels(1, seed)[0, 0] != 2][:1] + [0]
    own = [int(classes.draw_labels(1, seed)[0, 0]) for seed in seeds]
    assert own[0] != own[1]
    words = ["--interpolate", "2", "--own_labels", "--seeds", ",".join(map(str, seeds)), "--video", "gif"]
    assert run(["net.pt", *words, "--resolution", "8", "--out", "out"]) == 0
    frames = frames_of(tmp_path / "out" / "interpolation.gif")
    eye = torch.eye(3)
    latents = [classes.latents(1, seed)[0] for seed in seeds]
    middle = (eye[own[0]] + eye[own[1]]) / 2
    assert abs(frames[1] - drawn(classes, slerp(*latents, 0.5), middle[None], 8)).max() <= 8
    assert abs(frames[2] - drawn(classes, latents[1], eye[own[1]][None], 8)).max() <= 8


def test_a_sound_that_can_be_repeated_and_its_spectrograms(model, tmp_path):
    words = ["--interpolate", "2", "--seeds", "1,5", "--label", "pitch=64", "--loop", "--video", "gif"]
    assert run(["net.pt", *words, "--out", "out"]) == 0
    assert names(tmp_path / "out") == ["interpolation.gif", "interpolation.png", "interpolation.wav"]
    wave, rate = soundfile.read(tmp_path / "out" / "interpolation.wav")
    clip = round(SECONDS * rate)
    hop = clip - round(0.1 * clip)
    assert len(wave) == 4 * hop
    level = np.sqrt(np.mean(np.concatenate([wave[-500:], wave[:500]]) ** 2))
    assert level == pytest.approx(np.sqrt(np.mean(wave**2)), rel=0.5)  # no gap where it begins again
    with Image.open(tmp_path / "out" / "interpolation.gif") as moving:
        shown = 0.0
        for number in range(moving.n_frames):
            moving.seek(number)
            shown += moving.info["duration"]
    assert (moving.n_frames, shown) == (4, pytest.approx(1000 * len(wave) / rate, abs=10))


def test_an_mp4_with_its_sound(model, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    assert run(["net.pt", "--interpolate", "2", "--label", "pitch=64", "--video", "mp4", "--out", "out"]) == 0
    about = next(ffmpeg.read_frames(str(tmp_path / "out" / "interpolation.mp4")))
    seconds = soundfile.info(tmp_path / "out" / "interpolation.wav").duration
    assert about["audio_codec"] == "aac" and about["duration"] == pytest.approx(seconds, abs=0.1)


def test_a_walk_whose_video_cannot_be_finished_is_not_there(pictures, tmp_path, monkeypatch, refused):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pggan_framework.generate.walks.write_moving", full)
    refused(["net.pt", "--interpolate", "2", "--video", "gif", "--out", "new"], "cannot write new: No space left")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--video", "gif"], "--video is given without --interpolate"),
        (["--interpolate", "2", "--fps", "5"], "--fps is given without --video"),
        (["--interpolate", "2", "--video", "gif", "--fps", "60"], "--fps is 60; allowed for gif: 0.05 to 50"),
        (["--interpolate", "2", "--video", "avi"], "--video: invalid choice: 'avi'"),
        (
            ["--interpolate", "2", "--walks", "2", "--seeds", "0-4"],
            "5 seeds given for --walks 2; allowed: equal numbers",
        ),
        (
            ["--interpolate", "2", "--walks", "2", "--seeds", "0,1"],
            "1 is given for each of 2 paths; allowed: two or more",
        ),
        (["--interpolate", "2", "--walks", "0"], "--walks is 0; allowed: 1 or more"),
        (["--interpolate", "2", "--every", "kind", "--walks", "2"], "--walks is given with --every"),
        (
            ["--interpolate", "2", "--every", "kind=bag"],
            "--every kind names one value, bag; an interpolation needs two or more",
        ),
        (["--interpolate", "2", "--seconds", "3"], "--seconds needs a model of sound, or --video"),
        (["--interpolate", "2", "--seconds", "3", "--video", "gif"], "allowed: --interpolate alone, whose steps"),
        (["--interpolate", "--seconds", "900", "--video", "gif"], "an interpolation of 22501 steps is requested"),
        (["--interpolate", "-3"], "--interpolate is -3; allowed: 1 or more"),
        (["--interpolate", "2", "--resolution", "0"], "--resolution is 0; allowed: 1 or more"),
    ],
)
def test_walks_through_pictures_that_cannot_be(words, message, classes, refused):
    refused(["net.pt", *words], message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--walks", "2"], "2 paths side by side are requested; allowed for a model of sound: one"),
        (["--video", "gif", "--fps", "5"], "--fps is for images; the length of sounds is set with --seconds"),
        (["--loop", "--seconds", "9"], "--seconds 9 does not fit 4 clips; allowed: 0.51 to 2.05"),
        (["--own_labels"], "--own_labels is given, but the model was trained without labels"),
    ],
)
def test_walks_through_sounds_that_cannot_be(words, message, model, refused):
    if "--own_labels" in words:
        model(sines())
    refused(["net.pt", "--interpolate", "2", *words], message)


def test_what_an_mp4_needs_is_named(pictures, monkeypatch, refused):
    monkeypatch.setattr("pggan_framework.errors.find_spec", lambda name: None)
    message = "--video mp4 needs the package imageio_ffmpeg, which is not installed; pip install imageio_ffmpeg"
    refused(["net.pt", "--interpolate", "2", "--video", "mp4"], message)
