"""Render notes as clips of the model with attack and release, mixed into one waveform."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pggan_framework.audio.base import Wave
from pggan_framework.audio.finish import raised_cosine
from pggan_framework.generate.player import Player, common_gain
from pggan_framework.generate.score import Note, fit

GLIDE_MS = 5.0
"""Glide time of a change of channel volume; a sudden change would click."""
Progress = Callable[[int, int], None]
"""Called with the number of finished clips and the total."""


@dataclass(frozen=True)
class Touch:
    """Attack and release of notes.

    Args:
        attack_ms: fade-in time at the onset.
        release_ms: fade-out time after the key is released.
    """

    attack_ms: float = 5.0
    release_ms: float = 150.0


@dataclass(frozen=True)
class Event:
    """A clip in the mix: its start and how long its key is held, both in samples; its gain, and later gains."""

    start: int
    held: int
    gain: float
    changes: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class _Sound:
    """The inputs of one clip; notes with the same inputs use the same clip."""

    seed: int
    values: tuple[tuple[str, int], ...]
    semitones: int


def envelope(held: int, attack: int, release: int, longest: int) -> NDArray[np.float32]:
    """Return a note's gain over time: attack, constant 1, release after `held` samples; at most `longest` samples.

    A note longer than its clip is released early enough to end with it.
    """
    length = min(held + release, longest)
    gain = np.ones(length, np.float32)
    rise, fall = min(attack, length), min(release, length)
    gain[:rise] = raised_cosine(attack)[:rise]
    gain[length - fall :] *= raised_cosine(fall)[::-1]
    return gain


def gain_curve(event: Event, length: int, glide: int) -> NDArray[np.float32] | float:
    """Return the gain of an event over time, [length], in which changes take `glide` samples; a number if constant."""
    if not event.changes:
        return event.gain
    times, gains, now = [0], [event.gain], event.gain
    for at, gain in event.changes:
        start = max(at, times[-1])
        times += [start, start + glide]
        gains += [now, gain]
        now = gain
    curve: NDArray[np.float32] = np.interp(np.arange(length), times, gains).astype(np.float32)
    return curve


def mix(
    parts: Mapping[_Sound, Sequence[Event]],
    clip: Callable[[_Sound], Wave],
    attack: int,
    release: int,
    progress: Progress | None = None,
    glide: int = 1,
) -> Wave:
    """Mix all events, each with its clip, into one waveform [channels, T] at unit gain.

    Each clip is generated once and freed before the next one; only the mix and one clip are in memory.
    """
    length = max(event.start + event.held + release for events in parts.values() for event in events)
    mixed: NDArray[np.float32] | None = None
    end = 0
    for done, (part, events) in enumerate(parts.items(), 1):
        wave = clip(part)
        if mixed is None:
            mixed = np.zeros((len(wave), length), np.float32)
        for event in events:
            gain = envelope(event.held, attack, release, wave.shape[1])
            gain *= gain_curve(event, len(gain), glide)
            stop = event.start + len(gain)
            mixed[:, event.start : stop] += wave[:, : len(gain)] * gain
            end = max(end, stop)
        if progress:
            progress(done, len(parts))
    assert mixed is not None
    return mixed[:, :end]


def perform(
    player: Player,
    notes: Sequence[Note],
    what: str,
    seed: int = 0,
    by_channel: bool = False,
    touch: Touch | None = None,
    progress: Progress | None = None,
) -> tuple[Wave, list[str]]:
    """Play `notes` on a model conditioned on pitch.

    If the model has labels ``velocity`` or ``program`` that the user did not set, a note is generated with the nearest
    available velocity and its own program. Otherwise, a velocity v means a gain of (v / 127) squared, as in sound fonts
    and SFZ.

    Args:
        player: player of the model.
        notes: notes to play.
        what: name of the flag for messages.
        seed: seed of the latent, which selects the instrument.
        by_channel: use a different latent for each MIDI channel: `seed`, seed + 1 and so on.
        touch: attack and release of the keys.
        progress: called after each clip.

    Returns:
        The waveform [channels, T], with a peak 1 dB below full scale, and remarks for the user.

    Raises:
        UserError: if the model is not conditioned on pitch.
    """
    import soxr

    codec, pitches = player.codec, player.pitches(what)
    touch, rate = touch or Touch(), player.codec.sample_rate
    velocities, programs = list(player.numbers("velocity")), player.numbers("program")
    channels = sorted({note.channel for note in notes})
    parts: dict[_Sound, list[Event]] = defaultdict(list)
    moved = stretched = cut = 0
    for note in notes:
        way = fit(note.pitch, pitches)
        values = {"pitch": way.pitch}
        struck = (note.velocity / 127) ** 2
        if velocities:
            values["velocity"] = min(velocities, key=lambda value: abs(value - note.velocity))
            struck = 1.0
        if note.program in programs:
            values["program"] = note.program
        own = seed + (channels.index(note.channel) if by_channel else 0)
        changes = tuple((round(time * rate), struck * gain) for time, gain in note.changes)
        event = Event(round(note.onset * rate), round(note.duration * rate), struck * note.gain, changes)
        parts[_Sound(own, tuple(values.items()), way.semitones)].append(event)
        moved += way.octaves != 0
        stretched += way.semitones != 0
        cut += note.duration > codec.samples / rate * 2 ** (-way.semitones / 12)

    def clip(sound: _Sound) -> Wave:
        wave = player.clip(sound.seed, dict(sound.values))
        if not sound.semitones:
            return wave
        faster = rate * 2 ** (sound.semitones / 12)
        resampled: Wave = soxr.resample(wave.T, faster, rate, quality="HQ").T
        return resampled

    attack, release, glide = (round(ms * rate / 1000) for ms in (touch.attack_ms, touch.release_ms, GLIDE_MS))
    wave = mix(parts, clip, attack, release, progress, max(glide, 1))
    span = f"the model's range, {pitches[0]} to {pitches[-1]}"
    remarks = [
        (moved, f"outside {span}, moved by octaves"),
        (stretched, "between the model's pitches or next to them, taken from the nearest and resampled"),
        (cut, f"held longer than the model's clips, {codec.samples / rate:.2f} s, and end with them"),
    ]
    peak = float(np.abs(wave).max(initial=0.0))
    said = [f"{count} of {len(notes)} notes: {text}" for count, text in remarks if count]
    wave *= np.float32(common_gain(peak))
    return wave, said
