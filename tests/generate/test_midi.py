import struct

import mido
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_rows import rows_of

from pggan_framework.errors import UserError
from pggan_framework.generate.midi import read_midi
from pggan_framework.generate.score import Note


def chunk(name, data):
    return name + struct.pack(">I", len(data)) + data


def midi(path, *tracks, division=480, kind=1):
    """Write tracks of raw bytes, each ended as it must be."""
    header = chunk(b"MThd", struct.pack(">HHH", kind, len(tracks), division))
    path.write_bytes(header + b"".join(chunk(b"MTrk", track + b"\x00\xff\x2f\x00") for track in tracks))
    return path


def close(notes, expected):
    assert [(n.pitch, n.velocity, n.channel, n.program) for n in notes] == [
        (n.pitch, n.velocity, n.channel, n.program) for n in expected
    ]
    for note, wanted in zip(notes, expected, strict=True):
        assert (note.onset, note.duration) == pytest.approx((wanted.onset, wanted.duration), abs=1e-9)


def test_running_status_note_on_of_velocity_0_and_a_tempo_change(tmp_path):
    # By hand: 120 beats a minute, after one beat 60; 0x83 0x60 is 480 ticks, one beat.
    tempo = b"\x83\x60\xff\x51\x03\x0f\x42\x40"
    notes = b"\x00\x90\x3c\x64" + b"\x83\x60\x3c\x00" + b"\x00\x40\x50" + b"\x83\x60\x40\x00"
    score = read_midi(midi(tmp_path / "a.mid", tempo, notes))
    close(score.notes, [Note(0.0, 0.5, 60, 100), Note(0.5, 1.0, 64, 80)])
    assert score.drums == 0


def test_several_tracks_programs_and_drums(tmp_path):
    first = b"\x00\xc0\x28" + b"\x00\x90\x3c\x64" + b"\x83\x60\x80\x3c\x40"
    second = b"\x81\x70\x91\x30\x40" + b"\x83\x60\x81\x30\x00"  # from half a beat on
    drums = b"\x00\x99\x24\x64" + b"\x10\x99\x26\x64" + b"\x10\x99\x24\x00" + b"\x10\x99\x26\x00"
    score = read_midi(midi(tmp_path / "a.mid", first, second, drums))
    close(score.notes, [Note(0.0, 0.5, 60, 100, 0, 40), Note(0.25, 0.5, 48, 64, 1, 0)])
    assert score.drums == 2


def test_the_sustain_pedal_holds_notes(tmp_path):
    track = b"\x00\x90\x3c\x64" + b"\x00\xb0\x40\x7f" + b"\x83\x60\x80\x3c\x00" + b"\x83\x60\xb0\x40\x00"
    track += b"\x00\x90\x3c\x64" + b"\x83\x60\x80\x3c\x00"  # without it
    close(read_midi(midi(tmp_path / "a.mid", track)).notes, [Note(0.0, 1.0, 60, 100), Note(1.0, 0.5, 60, 100)])


def test_a_pitch_struck_twice_and_notes_never_released(tmp_path):
    track = b"\x00\x90\x3c\x64" + b"\x83\x60\x90\x3c\x50" + b"\x83\x60\x80\x3c\x00" + b"\x83\x60\x90\x40\x10"
    end = b"\x83\x60\xb0\x07\x64"  # a controller that ends the file one beat later
    notes = read_midi(midi(tmp_path / "a.mid", track + end)).notes
    close(notes, [Note(0.0, 1.0, 60, 100), Note(0.5, 1.5, 60, 80), Note(1.5, 0.5, 64, 16)])


def test_smpte_time(tmp_path):
    # 25 frames a second, 40 ticks a frame: 480 ticks are 0.48 s, whatever the tempo.
    track = b"\x00\xff\x51\x03\x0f\x42\x40" + b"\x00\x90\x3c\x64" + b"\x83\x60\x80\x3c\x00"
    path = midi(tmp_path / "a.mid", track, division=(256 - 25) << 8 | 40)
    close(read_midi(path).notes, [Note(0.0, 0.48, 60, 100)])


def test_what_mido_writes_is_read_with_its_times(tmp_path):
    file = mido.MidiFile(ticks_per_beat=96)
    track = file.add_track()
    track.append(mido.MetaMessage("set_tempo", tempo=600_000))
    for pitch in (60, 64, 67):
        track.append(mido.Message("note_on", note=pitch, velocity=90, time=7))
        track.append(mido.Message("note_off", note=pitch, time=41))
    file.save(tmp_path / "a.mid")
    beat = 0.6
    expected = [Note((48 * k + 7) / 96 * beat, 41 / 96 * beat, p, 90) for k, p in enumerate((60, 64, 67))]
    close(read_midi(tmp_path / "a.mid").notes, expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "cannot be read as a MIDI file: MThd not found"),
        (b"", "cannot be read as a MIDI file: it ends too early"),
        (b"words " * 9, "cannot be read as a MIDI file: MThd not found"),
        (chunk(b"MThd", struct.pack(">HHH", 1, 1, 480)) + b"MTrk\x00\x00\x00\xff\x00\x90", "holds no notes"),
        (chunk(b"MThd", struct.pack(">HHH", 1, 1, 480)) + chunk(b"MTrk", b"\x00\x3c\x40"), "holds no notes"),
        (b"MThd\0\0\0\x06", "it ends too early"),
        (chunk(b"MThd", struct.pack(">HHH", 1, 0, 480)), "holds no notes"),
        (chunk(b"MThd", struct.pack(">HHH", 1, 0, 0)), "its header says that a beat has 0 ticks"),
        (chunk(b"MThd", struct.pack(">HHH", 1, 0, 0xE700)), "its header says that a beat has 0 ticks"),
    ],
)
def test_files_that_are_no_music(content, message, tmp_path):
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_midi(tmp_path / "a.mid")
    assert "a.mid" in str(error.value)


def test_a_missing_file_only_drums_and_one_that_lasts_for_hours(tmp_path):
    with pytest.raises(UserError, match="there is no MIDI file .*none.mid"):
        read_midi(tmp_path / "none.mid")
    with pytest.raises(UserError, match="holds no notes but 1 of drums"):
        read_midi(midi(tmp_path / "a.mid", b"\x00\x99\x24\x64\x10\x99\x24\x00"))
    with pytest.raises(UserError, match="longer than 60 minutes"):
        read_midi(midi(tmp_path / "a.mid", b"\xff\xff\xff\x7f\x90\x3c\x64\x10\x80\x3c\x00"))


# ---- what players pass over


ONE = b"\x00\x90\x3c\x64" + b"\x83\x60\x80\x3c\x00"


@pytest.mark.parametrize(
    "oddity",
    [
        b"\x00\xff\x59\x02\x09\x00",  # a key signature of nine sharps
        b"\x00\xff\x59\x00",  # none at all
        b"\x00\xff\x58\x00",  # an empty time signature
        b"\x00\xff\x51\x00",  # an empty tempo
        b"\x00\xff\x51\x03\x00\x00\x00",  # a tempo of 0
        b"\x00\xff\x51\x02\x01\x00",
        b"\x00\xff\x54\x01\x60",  # half an SMPTE offset
        b"\x00\xff\x20\x00",  # a channel prefix without a channel
        b"\x00\xff\x7f\x00",
        b"\x00\xff\x01\x03\xff\xfe\x00",  # text in no encoding
        b"\x00\xff\x70\x01\x00",  # an unknown meta event
        b"\x00\xf0\x03\x7e\x7f\xf7",
        b"\x00\xf7\x01\x00",
        b"\x00\xf8",  # a clock, which has no place in a file
        b"\x00\x3c",  # data of no message
        b"\x00\xe0\x00\x40",
        b"\x00\xb0\x00\xff",  # a controller's value above 127
    ],
)
def test_what_players_pass_over_is_passed_over(tmp_path, oddity):
    path = midi(tmp_path / "a.mid", oddity + ONE)
    close(read_midi(path).notes, [Note(0.0, 0.5, 60, 100)])
    close(read_midi(midi(path, ONE + oddity)).notes, [Note(0.0, 0.5, 60, 100)])


def test_the_tracks_of_type_2_are_played_one_after_another(tmp_path):
    close(
        read_midi(midi(tmp_path / "a.mid", ONE, ONE, kind=2)).notes, [Note(0.0, 0.5, 60, 100), Note(0.5, 0.5, 60, 100)]
    )


def test_wrong_sizes_and_unknown_chunks(tmp_path):
    whole = midi(tmp_path / "a.mid", ONE).read_bytes()
    expected = [Note(0.0, 0.5, 60, 100)]
    header = whole[:14]
    odd = {
        "unknown chunk": header + chunk(b"XFIH", b"abc") + whole[14:],
        "longer header": b"MThd\0\0\0\x08" + whole[8:14] + b"\0\0" + whole[14:],
        "track too long": header + b"MTrk\0\0\xff\xff" + whole[22:],
        "RMID": b"RIFF\0\0\0\0RMIDdata\0\0\0\0" + whole,
        "junk after": whole + bytes(50),
        "cut short": whole[:-3],
        "more tracks promised": whole[:10] + b"\0\x09" + whole[12:],
    }
    for name, data in odd.items():
        (tmp_path / "b.mid").write_bytes(data)
        assert [note.pitch for note in read_midi(tmp_path / "b.mid").notes] == [60], name
        close(read_midi(tmp_path / "b.mid").notes, expected)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_are_notes_or_one_line(tmp_path, data):
    for content in (data, chunk(b"MThd", struct.pack(">HHH", 1, 1, 96)) + chunk(b"MTrk", data)):
        (tmp_path / "a.mid").write_bytes(content)
        try:
            notes = read_midi(tmp_path / "a.mid").notes
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert all(note.duration >= 0 and 0 <= note.pitch <= 127 for note in notes)


def test_volume_and_expression_are_gains_and_the_rest_is_named(tmp_path):
    # Volume 50 before the note is a quarter of the default 100; expression halves and comes back half a beat apart.
    track = b"\x00\xb0\x07\x32" + b"\x00\x90\x3c\x64" + b"\x81\x70\xb0\x0b\x40" + b"\x81\x70\xb0\x0b\x7f"
    track += b"\x81\x70\x80\x3c\x00" + b"\x00\xb0\x79\x00" + ONE
    track += b"\x00\xe0\x00\x50\x00\xe0\x00\x40\x00\xb0\x0a\x20\x00\xb0\x5b\x20\x00\xb0\x00\x01\x00\xb0\x2c\x01"
    score = read_midi(midi(tmp_path / "a.mid", track))
    first, second = score.notes
    half = 0.25 * (64 / 127) ** 2
    assert first.gain == pytest.approx(0.25) and np.ravel(first.changes) == pytest.approx([0.25, half, 0.5, 0.25])
    assert second.gain == pytest.approx(0.25) and second.changes == ()
    assert score.ignored == {"pitch bend": 2, "pan": 1, "reverb": 1, "controller 44": 1}


def test_channels_are_ended_by_all_notes_off(tmp_path):
    for controller, expected in ((b"\x7b", 1.0), (b"\x78", 0.5)):  # with the pedal down, notes off waits for it
        pedal = b"\x00\xb0\x40\x7f" + b"\x00\x90\x3c\x64" + b"\x83\x60\xb0" + controller + b"\x00"
        track = pedal + b"\x83\x60\xb0\x40\x00" + b"\x83\x60\xb0\x01\x00"
        close(read_midi(midi(tmp_path / "a.mid", track)).notes, [Note(0.0, expected, 60, 100)])


# ---- the table of docs/reference/data.md

SHOWN = {
    "a wrong key signature or an empty meta event": test_what_players_pass_over_is_passed_over,
    "unknown chunks, stray bytes or values above 127": test_wrong_sizes_and_unknown_chunks,
    "a truncated file, or a wrong track length": test_wrong_sizes_and_unknown_chunks,
    "a MIDI file inside a RIFF file": test_wrong_sizes_and_unknown_chunks,
    "a file of type 2": test_the_tracks_of_type_2_are_played_one_after_another,
    "volume, expression or the sustain pedal": test_volume_and_expression_are_gains_and_the_rest_is_named,
    "pitch bend or other controllers": test_volume_and_expression_are_gains_and_the_rest_is_named,
    "only drums, or no notes": test_a_missing_file_only_drums_and_one_that_lasts_for_hours,
    "a text file, an empty file, or beats of 0 ticks": test_files_that_are_no_music,
}


def test_the_table_in_the_docs_has_these_rows():
    assert rows_of("MIDI") == list(SHOWN)
