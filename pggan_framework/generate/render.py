"""Render notes: each one a clip of the model, shaped by attack and release, mixed into one wave."""

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
"""Time in which a new channel volume is reached: at once, it would click."""
Progress = Callable[[int, int], None]
"""Called with how many are done, and of how many."""


@dataclass(frozen=True)
class Touch:
    """How a note begins and ends.

    Args:
        attack_ms: time of the fade at its onset.
        release_ms: time it takes to fade once the key is up.
    """

    attack_ms: float = 5.0
    release_ms: float = 150.0


@dataclass(frozen=True)
class Event:
    """A clip in the mix, in samples: where it starts, how long the key is held; its gain, and later ones."""

    start: int
    held: int
    gain: float
    changes: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class _Sound:
    """What makes one clip: notes that share it are generated once."""

    seed: int
    values: tuple[tuple[str, int], ...]
    semitones: int


def envelope(held: int, attack: int, release: int, longest: int) -> NDArray[np.float32]:
    """The gain of a note over time, all in samples: attack, 1, and the release after `held`; at most `longest` long.

    A note that would last longer than its clip is released early enough to end with it.
    """
    length = min(held + release, longest)
    gain = np.ones(length, np.float32)
    rise, fall = min(attack, length), min(release, length)
    gain[:rise] = raised_cosine(attack)[:rise]
    gain[length - fall :] *= raised_cosine(fall)[::-1]
    return gain


def gain_curve(event: Event, length: int, glide: int) -> NDArray[np.float32] | float:
    """The gain of an event over time, [length]: each new one is reached in `glide` samples; one number without any."""
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
    """All events, each with its part's clip, as one wave [channels, T] at unit gain.

    Each clip is made once, and let go before the next one: memory holds the mix and one clip.
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

    Where the model also has labels ``velocity`` or ``program`` that the user left open, a note is made with the nearest
    velocity and its own program; else a velocity v is a gain of (v / 127) squared, as sound fonts and SFZ have it.

    Args:
        player: the model.
        notes: what to play.
        what: the flag that asks, for messages.
        seed: of the latent: which instrument.
        by_channel: give each MIDI channel a latent of its own: `seed`, seed + 1 and so on.
        touch: attack and release.
        progress: called after each clip.

    Returns:
        The wave [channels, T], its loudest sample 1 dB below full scale, and what is to be said of it.

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
