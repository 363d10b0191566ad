import pytest
from hypothesis import given
from hypothesis import strategies as st

from pggan_framework.errors import UserError
from pggan_framework.generate.score import Fit, Note, fit, scale


@pytest.mark.parametrize(
    ("pitch", "pitches", "expected"),
    [
        (60, range(48, 84), Fit(60)),
        (36, range(48, 84), Fit(48, 0, 1)),
        (20, range(48, 84), Fit(56, 0, 3)),
        (108, range(48, 84), Fit(72, 0, -3)),
        (84, range(48, 84), Fit(72, 0, -1)),
        (61, (60, 64, 67), Fit(60, 1)),  # a hole: from its neighbour, a semitone higher
        (63, (60, 64, 67), Fit(64, -1)),
        (70, (60, 62, 64), Fit(60, -2, -1)),  # 58 is nearer to the range than 70
        (60, (60,), Fit(60)),
        (73, (60,), Fit(60, 1, -1)),
    ],
)
def test_how_a_pitch_is_played(pitch, pitches, expected):
    assert fit(pitch, list(pitches)) == expected


@given(st.integers(0, 127), st.sets(st.integers(0, 127), min_size=1))
def test_a_note_stays_the_same_pitch_class_in_tune(pitch, pitches):
    way = fit(pitch, sorted(pitches))
    assert way.pitch in pitches
    assert way.pitch + way.semitones == pitch + 12 * way.octaves
    if pitch in pitches:
        assert way == Fit(pitch)
    if min(pitches) <= pitch <= max(pitches):
        assert way.octaves == 0


def test_scales():
    assert scale([62, 60, 61], 0.5) == [Note(0.0, 0.5, 60), Note(0.5, 0.5, 61), Note(1.0, 0.5, 62)]
    # an octave from a to a, white keys: a b c d e f g a
    assert [note.pitch for note in scale(range(57, 70), 1, major=True)] == [57, 59, 60, 62, 64, 65, 67, 69]
    with pytest.raises(UserError, match="none of the model's pitches .61, 63. is in C major"):
        scale([61, 63], 1, major=True)
