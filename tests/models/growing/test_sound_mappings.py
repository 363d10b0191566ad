"""What was at 1 kHz and at 0.2 s stays there, with another sample rate, clip length, transform size or codec."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_models import Model, grown, source_of

from pggan_framework.audio import Codec, build_codec
from pggan_framework.errors import UserError
from pggan_framework.models.growing.positions import axis_space, by_frequency, by_time, same_places
from pggan_framework.networks.pggan import Generator
from pggan_framework.schedules.growth import Growth

OLD = {"sample_rate": 8000, "n_fft": 64, "hop_length": 16, "frames": 32, "margin": 0}
NEW = {"sample_rate": 16000, "n_fft": 128, "hop_length": 32, "frames": 32, "margin": 0}


def codec(name: str = "abslog", peak: float = 1.0, **parameters: int) -> Codec:
    """A fitted codec."""
    made = build_codec(name, **parameters)
    made.statistics = {"peak": peak}
    return made


def model(of: Codec, seed: tuple[int, int]) -> Model:
    return Model(Growth.of(of.shape, seed), codec=of, discriminator={"row_statistics": True})


def images(G: Generator, depth: int) -> NDArray[np.float64]:
    """[N, C, h, w] of fixed latents."""
    G.depth, G.alpha = depth, 1.0
    latents = torch.randn(4, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with torch.no_grad():
        return G(latents).numpy()


def decibels(values: NDArray[np.float64], of: Codec) -> NDArray[np.float64]:
    """Levels in dB of a tone, whatever the codec's window and peak; nothing is quieter than -40 dB of peak 1."""
    linear = np.expm1((np.clip(values, -1, None) + 1) / 2 * np.log1p(1e4)) / 1e4
    levels = linear * of.statistics["peak"] / of.parameters["n_fft"]
    return 20 * np.log10(np.maximum(levels, 1e-2 / 64))


def test_low_bands_are_unchanged_by_a_higher_sample_rate() -> None:
    old, new = codec(**OLD), codec(peak=2.0, **NEW)  # the window is twice as long
    before = model(old, (8, 8))
    G, D = before.networks(0)
    after, _, taken = grown(source_of(G, D, old), model(new, (16, 8)))
    assert [row.layer for row in taken.rows if row.what == "mapped"] == [
        "G.blocks.0.dense",
        "D.blocks.0.dense",
        "D.rows.first",
    ]
    low, all_bands = images(G, 2), images(after, 2)
    assert low.shape[2] == 32 and all_bands.shape[2] == 64
    # Row r is r * 125 Hz in both. Convolutions see 2.5 cells of 4 rows; what is below does not see the band's end.
    np.testing.assert_allclose(old.row_hz(), new.row_hz()[:32])
    rows = slice(0, 32 - 10)
    assert np.abs(decibels(low, old)[:, :, rows] - decibels(all_bands, new)[:, :, rows]).max() < 0.5


def test_a_lower_sample_rate_takes_the_bands_that_are_left() -> None:
    old, new = codec(peak=2.0, **NEW), codec(**OLD)
    G, D = model(old, (16, 8)).networks(0)
    after, _, _ = grown(source_of(G, D, old), model(new, (8, 8)))
    rows = slice(0, 32 - 10)
    assert np.abs(images(G, 2)[:, :, rows] - images(after, 2)[:, :, rows]).max() < 1e-9


def test_longer_clips_begin_as_the_model_drew_them() -> None:
    old, new = codec(**OLD), codec(**{**OLD, "frames": 64})
    G, D = model(old, (8, 8)).networks(0)
    after, _, _ = grown(source_of(G, D, old), model(new, (8, 16)))
    columns = slice(0, 32 - 10)
    assert np.abs(images(G, 2)[..., columns] - images(after, 2)[..., columns]).max() < 1e-9


def test_a_loudest_value_that_differs_changes_no_level() -> None:
    old, new = codec(**OLD), codec(peak=3.0, **OLD)
    G, D = model(old, (8, 8)).networks(0)
    after, after_D, _ = grown(source_of(G, D, old), model(new, (8, 8)))
    before = images(G, 2)
    assert np.abs(decibels(before, old) - decibels(images(after, 2), new)).max() < 0.25
    sounds = torch.from_numpy(before)
    shift = float((images(after, 2) - before).mean())
    with torch.no_grad():
        torch.testing.assert_close(after_D(sounds + shift), D.eval()(sounds))


def test_a_finer_transform_is_a_larger_image_of_the_same_band() -> None:
    old, new = codec(**OLD), codec(**{**OLD, "n_fft": 128})
    G, D = model(old, (8, 8)).networks(0)
    after, _, _ = grown(source_of(G, D, old), model(new, (8, 8)))
    assert after.growth.doubles == (*G.growth.doubles, (True, False))
    # Where the new block is at alpha 0, values are those of the louder window.
    shift = images(after, 2) - images(G, 2)
    np.testing.assert_allclose(shift, shift.mean(), atol=1e-6)


def test_mel_bands_are_mapped_by_frequency() -> None:
    sizes = {"n_fft": 512, "hop_length": 64, "frames": 32, "margin": 0}
    old, new = codec("mellog", sample_rate=8000, mels=32, **sizes), codec("mellog", sample_rate=16000, mels=40, **sizes)
    G, D = model(old, (8, 8)).networks(0)
    after, _, _ = grown(source_of(G, D, old), model(new, (10, 8)))
    # Cells of the seed block: their middles in Hz, by what they draw most of.
    space = axis_space(8, 10, by_frequency(old, new))
    assert space.out is not None and space.into is not None
    from_hz, to_hz = (np.asarray(c.row_hz()).reshape(-1, 4).mean(1) for c in (old, new))
    inside = to_hz < from_hz[-1]
    mean = space.out.numpy() @ from_hz
    np.testing.assert_allclose(mean[inside], to_hz[inside], rtol=0.15, atol=60)
    np.testing.assert_allclose(space.into.sum(0).numpy(), 1.0)
    assert images(after, 2).shape[2] == 40


@pytest.mark.parametrize(("source", "target"), [(4, 4), (4, 8), (8, 4), (5, 7), (7, 5), (1, 3)])
def test_cells_of_images_are_means_and_parts(source: int, target: int) -> None:
    space = axis_space(source, target, same_places)
    if source == target:
        assert space.out is None
        return
    assert space.out is not None and space.into is not None
    np.testing.assert_allclose(space.out.sum(1), 1.0)
    np.testing.assert_allclose(space.into.sum(0), 1.0)
    # A ramp stays a ramp of the same places, but for its ends.
    ramp = (np.arange(source) + 0.5) / source
    np.testing.assert_allclose(space.out.numpy() @ ramp, (np.arange(target) + 0.5) / target, atol=0.5 / source)


def test_times_are_seconds_from_the_first_sample() -> None:
    old, new = codec(**{**OLD, "margin": 2}), codec(**{**OLD, "frames": 64, "margin": 4})
    places = by_time(old, new)(np.array([4 / 64, 32 / 64]))
    np.testing.assert_allclose(places, [2 / 32, 30 / 32])


def test_stereo_channels_are_equal_at_first_and_scored_as_one_was() -> None:
    old, new = codec(**OLD), codec(**OLD, channels=2)
    G, D = model(old, (8, 8)).networks(0)
    after, after_D, taken = grown(source_of(G, D, old), model(new, (8, 8)))
    mono, stereo = images(G, 2), images(after, 2)
    assert np.abs(stereo - mono).max() < 1e-9
    with torch.no_grad():
        torch.testing.assert_close(after_D(torch.from_numpy(stereo)), D.eval()(torch.from_numpy(mono)))
    left, right = (taken.discriminator["from_rgb.2.weight"][:, channel] for channel in (0, 1))
    assert not torch.allclose(left, right)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (codec(**OLD), None, "the data are images: all layers would have to be retrained; allowed: recordings"),
        (codec(**OLD), codec("complex", **OLD), "no mapping, so that all .* be retrained; allowed: abslog, mellog"),
        (codec("if", **OLD), codec("if", **{**OLD, "hop_length": 32}), "phase steps of the codec if"),
        (codec("raw", samples=1024), codec("raw", samples=1024, sample_rate=8000), "folded waveforms"),
    ],
    ids=["images", "complex", "if", "raw"],
)  # fmt: skip
def test_what_has_no_mapping_is_refused_in_a_line(old: Codec, new: Codec | None, words: str) -> None:
    before = Model(Growth.of(old.shape, (old.shape[1] // 4, old.shape[2] // 4)), codec=old)
    G, D = before.networks(0)
    shape = old.shape if new is None else new.shape
    after = replace(before, growth=Growth.of(shape, (shape[1] // 4, shape[2] // 4)), codec=new)
    with pytest.raises(UserError, match=words) as refused:
        grown(source_of(G, D, old), after)
    assert "\n" not in str(refused.value)


def test_axes_that_double_in_another_order_are_refused() -> None:
    old = codec(**OLD)
    G, D = model(old, (8, 8)).networks(0)
    with pytest.raises(UserError, match="block 1 of the model enlarges 2x2 times .* 1x2 times is requested"):
        grown(source_of(G, D, old), replace(model(old, (32, 8))))
