import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instrument import RATE, SECONDS, cents, frequency, sines

from pggan_framework.audio import estimate_pitch
from pggan_framework.errors import UserError
from pggan_framework.generate.player import Player
from pggan_framework.generate.render import Touch, envelope, perform
from pggan_framework.generate.score import Note

SPAN = tuple(range(57, 70))
DRY = Touch(attack_ms=0, release_ms=0)


@pytest.fixture
def player():
    return Player(sines(pitch=SPAN))


def stretch(wave, start, end):
    return wave[0, round(start * RATE) : round(end * RATE)]


def rms(wave):
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


def test_notes_are_where_they_belong_and_in_tune(player):
    notes = [Note(0.1, 0.3, 60), Note(0.5, 0.3, 67), Note(1.0, 0.2, 57)]
    wave, remarks = perform(player, notes, "--play", touch=Touch(5, 50))
    assert wave.shape == (1, round(1.25 * RATE)) and wave.dtype == np.float32 and not remarks
    assert not stretch(wave, 0, 0.1).any()
    assert not stretch(wave, 0.45, 0.5).any()  # released after 50 ms
    for note in notes:
        heard = stretch(wave, note.onset, note.onset + note.duration)
        assert abs(cents(frequency(heard), note.pitch)) < 3
        assert abs(cents(estimate_pitch(heard, RATE, 100, 1000), note.pitch)) < 10
    assert np.abs(wave).max() == pytest.approx(10 ** (-1 / 20), rel=1e-4)


def test_each_clip_is_made_once(player):
    notes = [Note(0.1 * k, 0.1, 60 + k % 3) for k in range(30)]
    perform(player, notes, "--play")
    assert player.model.generator.calls == 3


def test_a_chord_is_the_sum_of_its_notes(player):
    parts = [[Note(0, 0.3, pitch)] for pitch in (57, 61, 64)]
    chord = perform(player, [note for part in parts for note in part], "--play", touch=DRY)[0]
    alone = sum(perform(player, part, "--play", touch=DRY)[0] for part in parts)
    # all clips are equally loud in their peaks, or nearly: compare up to one gain
    ratio = float((chord * alone).sum() / (alone * alone).sum())
    assert np.abs(chord - ratio * alone).max() < 0.02


def test_velocity_is_gain_where_it_is_no_label(player):
    wave, _ = perform(player, [Note(0, 0.2, 60, 127), Note(0.3, 0.2, 60, 64)], "--play", touch=DRY)
    ratio = rms(stretch(wave, 0.3, 0.5)) / rms(stretch(wave, 0, 0.2))
    assert ratio == pytest.approx((64 / 127) ** 2, rel=1e-3)


def test_channel_gains_are_heard_and_glide(player):
    notes = [Note(0, 0.2, 60, gain=0.5), Note(0.25, 0.2, 60, changes=((0.1, 0.25),))]
    wave, _ = perform(player, notes, "--play", touch=DRY)
    plain, _ = perform(player, [Note(0, 0.2, 60), Note(0.25, 0.2, 60)], "--play", touch=DRY)
    ratio = wave / np.where(plain == 0, 1, plain)
    full = np.median(stretch(ratio, 0.26, 0.34))
    assert np.median(stretch(ratio, 0.01, 0.19)) / full == pytest.approx(0.5, rel=1e-3)
    assert np.median(stretch(ratio, 0.36, 0.44)) / full == pytest.approx(0.25, rel=1e-3)
    assert np.abs(np.diff(stretch(wave, 0.34, 0.36))).max() < 1.1 * np.abs(np.diff(stretch(wave, 0.26, 0.34))).max()


def test_velocity_is_the_label_where_there_is_one():
    model = sines(pitch=SPAN, velocity=(40, 80, 120))
    wave, _ = perform(Player(model), [Note(0, 0.2, 60, 127), Note(0.3, 0.2, 60, 55)], "--play", touch=DRY)
    assert rms(stretch(wave, 0.3, 0.5)) / rms(stretch(wave, 0, 0.2)) == pytest.approx(40 / 120, rel=0.01)
    fixed = Player(model, fixed={"velocity": "80"})
    wave, _ = perform(fixed, [Note(0, 0.2, 60, 127), Note(0.3, 0.2, 60, 64)], "--play", touch=DRY)
    assert rms(stretch(wave, 0.3, 0.5)) / rms(stretch(wave, 0, 0.2)) == pytest.approx((64 / 127) ** 2, rel=0.01)


def test_notes_out_of_range_move_by_octaves_and_between_pitches_are_resampled():
    player = Player(sines(pitch=(57, 60, 64, 69)))
    notes = [Note(0, 0.4, 36), Note(0.5, 0.4, 62), Note(1.0, 0.4, 84)]
    wave, remarks = perform(player, notes, "--play")
    for note, pitch in zip(notes, (60, 62, 60), strict=True):
        assert abs(cents(frequency(stretch(wave, note.onset + 0.02, note.onset + 0.4)), pitch)) < 3
    assert remarks[0] == "2 of 3 notes: outside the model's range, 57 to 69, moved by octaves"
    assert remarks[1].startswith("1 of 3 notes: between the model's pitches")


def test_long_notes_end_with_the_clip_without_a_click(player):
    wave, remarks = perform(player, [Note(0, 3, 60)], "--play", touch=Touch(0, 100))
    assert wave.shape[1] == round(SECONDS * RATE)
    assert abs(wave[0, -1]) < 1e-3
    assert rms(stretch(wave, 0, SECONDS - 0.1)) > 0.5
    assert remarks == ["1 of 1 notes: held longer than the model's clips, 0.51 s, and end with them"]


def test_channels_can_have_latents_of_their_own(player):
    notes = [Note(0, 0.2, 60, channel=3), Note(0.3, 0.2, 60, channel=5)]
    one, _ = perform(player, notes, "--play", touch=DRY)
    two, _ = perform(player, notes, "--play", touch=DRY, by_channel=True)
    assert np.array_equal(stretch(one, 0, 0.2), stretch(one, 0.3, 0.5))
    assert not np.allclose(stretch(two, 0, 0.2), stretch(two, 0.3, 0.5), atol=0.01)
    # the first channel has the seed itself, the second one the next seed
    other, _ = perform(player, notes[1:], "--play", seed=1, touch=DRY)
    likeness = np.corrcoef(stretch(two, 0.3, 0.5), stretch(other, 0.3, 0.5))[0, 1]
    assert likeness > 0.9999


def test_programs_are_labels_where_the_model_has_them():
    model = sines(pitch=SPAN, program=(0, 40))
    player = Player(model)
    perform(player, [Note(0, 0.1, 60, program=40), Note(0.2, 0.1, 60, program=0)], "--play")
    assert model.generator.calls == 2
    # programs that it does not have are left to the draw: one clip
    perform(player, [Note(0, 0.1, 60, program=7), Note(0.2, 0.1, 60, program=8)], "--play")
    assert model.generator.calls == 3


def test_two_channels_stay_two():
    player = Player(sines(channels=2, pitch=SPAN))
    wave, _ = perform(player, [Note(0, 0.3, 60)], "--play", touch=DRY)
    assert wave.shape[0] == 2
    assert rms(wave[1]) / rms(wave[0]) == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize(
    ("model", "fixed", "message"),
    [
        ({}, {}, "conditioned on pitch, as MIDI numbers; this one's labels are none"),
        ({"kind": ("kick", "snare")}, {}, "this one's labels are kind"),
        ({"pitch": ("C4", "D4")}, {}, "this one's pitches are not MIDI numbers"),
        ({"pitch": (60, 200)}, {}, "this one's pitches are not MIDI numbers"),
        ({"pitch": (60, 61)}, {"pitch": "60"}, "--play chooses the pitches; omit it"),
    ],
)
def test_models_that_cannot_play(model, fixed, message):
    with pytest.raises(UserError, match=message):
        perform(Player(sines(**model), fixed=fixed), [Note(0, 1, 60)], "--play")


@given(st.integers(0, 500), st.integers(0, 300), st.integers(0, 300), st.integers(1, 400))
def test_envelopes_are_whole_and_bounded(held, attack, release, longest):
    gain = envelope(held, attack, release, longest)
    assert len(gain) == min(held + release, longest)
    assert np.all((gain >= 0) & (gain <= 1))
    if release and len(gain) > release:
        assert gain[-1] <= 0.5
    if held + release <= longest and held > attack:
        assert np.all(gain[attack:held] == 1)


def test_envelope_by_hand():
    # cosines at half-sample places: 0.5 - 0.5 cos(pi / 4), and of 3 pi / 4
    low, high = 0.5 - np.sqrt(0.125), 0.5 + np.sqrt(0.125)
    np.testing.assert_allclose(envelope(5, 2, 2, 100), [low, high, 1, 1, 1, high, low], atol=1e-6)
    np.testing.assert_allclose(envelope(5, 0, 2, 4), [1, 1, high, low], atol=1e-6)
    np.testing.assert_allclose(envelope(3, 0, 0, 9), [1, 1, 1])
