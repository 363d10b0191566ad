import numpy as np
import pytest
import torch

from pggan_framework.audio import build_codec
from pggan_framework.audio.curve import compress
from pggan_framework.errors import UserError
from pggan_framework.metrics.extractors import build_extractor
from pggan_framework.projection.distance import Distance
from pggan_framework.projection.views import (
    FLOOR,
    Term,
    feature_term,
    magnitudes,
    picture_terms,
    premultiplied,
    pyramid,
    wave_spectra,
)

RATE = 8000


def fitted(name, **sizes):
    codec = build_codec(name, sample_rate=RATE, **sizes)
    time = np.arange(codec.samples) / RATE
    wave = (0.5 * np.sin(2 * np.pi * 440 * time) * np.exp(-3 * time)).astype(np.float32)
    return codec.fit([wave]), wave


def test_a_distance_is_the_root_of_weighted_means_over_random_ones():
    target = torch.tensor([[[[0.0, 0.5], [1.0, -1.0]]]])
    terms = [
        Term("one", 3, lambda x: [x]),
        Term("two", 1, lambda x: [x.mean((2, 3)), x[:, :, 0]]),
        Term("off", 0, None),
    ]
    distance = Distance(terms, target)
    pictures = torch.tensor([[[[0.5, 0.5], [1.0, 1.0]]], [[[0.0, 0.5], [1.0, -1.0]]]])
    # 0.5 and 2 away in two of four pixels; the means are 0.75 and 0.125; the first row is 0.5 away in one of two
    parts = distance.parts(pictures)
    np.testing.assert_allclose(parts, [[(0.25 + 4) / 4, 0.625**2, 0.125], [0, 0, 0]], rtol=1e-6)
    distance.calibrate(torch.tensor([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0]]))
    expected = 0.75 * 1.0625 / 2 + 0.125 * 0.390625 / 2  # the last part, 0 for all random ones, is left out
    np.testing.assert_allclose(distance.squared(parts), [expected, 0], rtol=1e-6)
    by_term = distance.by_term(parts[0])
    assert by_term["one"] == pytest.approx(np.sqrt(1.0625 / 2))
    assert by_term["two"] == pytest.approx(np.sqrt((0.390625 / 2) / 2))
    with pytest.raises(UserError, match="all weights are 0"):
        Distance(terms[2:], target)


@pytest.mark.parametrize(("size", "sizes"), [((16, 16), [16, 8, 4]), ((4, 12), [12, 6, 4]), ((10, 5), [10, 5])])
def test_pictures_are_compared_at_several_sizes(size, sizes):
    picture = torch.rand(2, 3, *size)
    levels = pyramid(picture)
    assert [max(level.shape[2:]) for level in levels] == sizes
    for level in levels:
        down, across = size[0] // level.shape[2], size[1] // level.shape[3]
        boxes = picture.reshape(2, 3, level.shape[2], down, level.shape[3], across).mean((3, 5))
        np.testing.assert_allclose(level, boxes, atol=1e-6)


def test_colours_of_what_is_transparent_do_not_count():
    clear = torch.full((1, 4, 2, 2), -1.0)
    other = clear.clone()
    other[:, :3] = 0.7
    assert torch.equal(premultiplied(clear), premultiplied(other))
    solid = torch.rand(1, 4, 2, 2)
    solid[:, 3] = 1
    np.testing.assert_allclose(premultiplied(solid), solid, atol=1e-6)


@pytest.mark.parametrize("name", ["abslog", "if", "complex"])
def test_magnitudes_of_a_sound_follow_from_any_picture_of_it(name):
    codec, wave = fitted(name, n_fft=64, hop_length=16, frames=32)
    picture = codec.encode(wave)
    found = magnitudes(torch.from_numpy(picture)[None], codec.channel_kinds())[0].numpy()
    spectrum = codec._spectrum(wave)
    knee = {"abslog": 1e4, "if": 1e6, "complex": 1e3}[name]
    expected = 2 * compress(np.abs(spectrum), codec.statistic("peak"), knee) - 1
    held = expected == 1  # above the peak, which for complex is that of either part
    np.testing.assert_allclose(found[~held], expected[~held], atol=1e-4)
    assert held.mean() < 0.1 and np.all(found[held] >= 1 - 1e-6)


def test_phases_are_compared_on_a_circle_and_by_loudness():
    codec, _ = fitted("if", n_fft=64, hop_length=16, frames=8)
    assert [(term.name, term.weight) for term in picture_terms(codec, 2.0)] == [("magnitudes", 2.0), ("phases", 0.2)]
    terms = [term for term in picture_terms(codec, 1.0) if term.name == "phases"]
    target = torch.ones(1, *codec.shape)  # as loud as can be, phases at pi
    distance = Distance(terms, target)

    def away(loudness, phase):
        picture = torch.full_like(target, phase)
        picture[:, 0] = loudness
        return float(distance.parts(picture)[0, 0])

    assert away(1.0, -1.0) == pytest.approx(0, abs=1e-6)  # -pi is pi
    assert away(1.0, 0.0) == pytest.approx(2)  # the other side, 2 away in one of two numbers
    assert away(1.0, 0.5) == pytest.approx(away(1.0, -0.5)) == pytest.approx(1)
    silent = Distance(terms, -target)
    assert float(silent.parts(torch.stack([-target[0], target[0]]))[0, 0]) == 0


def test_folded_waves_are_compared_by_spectra():
    codec = build_codec("raw", sample_rate=RATE, samples=4096, height=64)
    codec.statistics = {"peak": 1.0}
    time = np.arange(4096) / RATE
    tone = torch.from_numpy(codec.encode(np.sin(2 * np.pi * 1000 * time).astype(np.float32)))[None]
    later = torch.from_numpy(codec.encode(np.cos(2 * np.pi * 1000 * time).astype(np.float32)))[None]
    other = torch.from_numpy(codec.encode(np.sin(2 * np.pi * 1300 * time).astype(np.float32)))[None]
    spectra = wave_spectra(tone, (64, 64))[0].reshape(2048 // 2 + 1, -1)
    middle = spectra[:, spectra.shape[1] // 2]
    assert int(middle.argmax()) == 1000 * 2048 // RATE
    assert float(middle.max()) == pytest.approx(0, abs=1e-3)  # a sine at full scale
    assert float(middle.min()) < np.log(100 * FLOOR)
    spectrum, samples = picture_terms(codec, 1.0)
    by_spectrum, by_sample = (
        Distance([term], tone).parts(torch.cat([later, other])).mean(1) for term in (spectrum, samples)
    )
    assert by_spectrum[0] < by_spectrum[1] / 3  # the same tone with another phase is near, though its samples are not
    assert by_sample[0] > 0.9 * by_sample[1]
    small = tone[:, :, ::2, ::2]  # of a smaller depth
    assert wave_spectra(small, (64, 64))[0].shape == wave_spectra(tone, (64, 64))[0].shape


@pytest.mark.parametrize("places", [True, False])
def test_features_are_compared_by_place_or_of_the_whole(places):
    term = feature_term(build_extractor("random"), 1.0, None, places)
    assert (term.name, term.weight) == ("random", 1.0)
    target = torch.zeros(1, 3, 16, 16)
    target[:, :, 2:6, 2:6] = 1
    distance = Distance([term], target)
    moved = target.roll(8, 2)
    noise = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    parts = distance.parts(torch.cat([target, moved, noise])).mean(1)
    assert parts[0] < 1e-9 and parts[1] < parts[2]
    ratio = float(parts[1] / parts[2])
    assert ratio > 0.1 if places else ratio < 0.1  # where it is does not count for features of the whole
    assert torch.autograd.grad(distance.parts(noise.requires_grad_()).sum(), noise)[0].abs().sum() > 0


def test_an_extractor_sees_sounds_and_many_channels_in_grey():
    codec, wave = fitted("complex", n_fft=64, hop_length=16, frames=32)
    picture = torch.from_numpy(codec.encode(wave))[None]
    random = build_extractor("random")
    seen = feature_term(random, 1.0, codec, False).view(picture)[0]
    np.testing.assert_allclose(seen, random.features(magnitudes(picture, codec.channel_kinds())), atol=1e-5)
    two = torch.rand(3, 2, 8, 8)
    each = feature_term(random, 1.0, None, False).view(two)[0]
    np.testing.assert_allclose(
        each[1], torch.cat([random.features(two[1:2, :1])[0], random.features(two[1:2, 1:])[0]]), atol=1e-5
    )
