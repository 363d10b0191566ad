"""Play a scale or a MIDI file on a model, as one sound."""

from __future__ import annotations

from pathlib import Path

from pggan_framework.errors import UserError, plural
from pggan_framework.generate.midi import read_midi
from pggan_framework.generate.player import Player
from pggan_framework.generate.render import Progress, Touch, perform
from pggan_framework.generate.score import scale
from pggan_framework.postprocessors.soundfiles import SoundFormat, write_sound

SCALES = ("scale", "major")
"""Scales that can be played without a MIDI file: every pitch of the model, or those in C major."""


def write_tune(
    player: Player,
    what: str,
    seed: int,
    folder: Path,
    seconds: float | None = None,
    by_channel: bool = False,
    touch: Touch | None = None,
    format: SoundFormat = "wav",
    progress: Progress | None = None,
) -> list[str]:
    """Write ``scale_seed0003.wav`` or ``tune_seed0003.wav``.

    Args:
        player: player of the model.
        what: one of `SCALES`, or the path of a MIDI file.
        seed: seed of the latent, which selects the instrument.
        folder: output folder.
        seconds: duration of each note of a scale (default: half a second, at most the clip length).
        by_channel: use a different latent for each MIDI channel.
        touch: attack and release of the keys.
        format: file format of the sound.
        progress: called after each clip.

    Returns:
        Remarks for the user; the last one names the written file.

    Raises:
        UserError: if the model has no pitches, `seconds` is given for a MIDI file, or the file cannot be read.
    """
    pitches, rate, said = player.pitches("--play"), player.codec.sample_rate, []
    if what in SCALES:
        notes = scale(pitches, seconds or min(0.5, player.codec.samples / rate), what == "major")
    elif seconds is not None:
        raise UserError("--seconds is the length of a scale's notes; a MIDI file has its own")
    else:
        score = read_midi(Path(what))
        notes = list(score.notes)
        said = [f"left out: {plural(score.drums, 'note')} of drums (channel 10)"] if score.drums else []
        if score.ignored:
            counts = ", ".join(f"{name} ({count})" for name, count in score.ignored.items())
            said.append(f"not played: {counts}")
    wave, remarks = perform(player, notes, "--play", seed, by_channel, touch, progress)
    name = f"{Path(what).stem}_seed{seed:04d}.{format}"
    write_sound(folder / name, wave, rate, format)
    return [*said, *remarks, f"{name}: {plural(len(notes), 'note')}, {wave.shape[1] / rate:.2f} s"]
