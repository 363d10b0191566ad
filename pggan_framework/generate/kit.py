"""Sampler kits: one sound file per key, and an SFZ file (version 1) that any SFZ player loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pggan_framework.audio.base import Wave
from pggan_framework.errors import UserError, plural
from pggan_framework.generate.player import Player, common_gain
from pggan_framework.generate.render import Progress, Touch
from pggan_framework.postprocessors.soundfiles import SoundFormat, write_sound
from pggan_framework.storage.atomic import atomic_path
from pggan_framework.storage.names import write_text

FIRST_PAD = 36
"""The lowest drum pad: the bass drum of General MIDI."""
PADS = 128 - FIRST_PAD
FORMATS = ("wav", "flac", "ogg")
"""Formats that SFZ players read. ``ogg`` is Vorbis, since sfizz is silent with Opus; mp3 is missing, since it begins
with padding."""


@dataclass(frozen=True)
class Region:
    """One sample and the keys and velocities that play it, both ends included.

    Args:
        stem: name of the sample's file without its extension.
        centre: key that plays the sample at its original pitch.
        keys: lowest and highest key, MIDI.
        velocities: softest and hardest, 1 to 127.
    """

    stem: str
    centre: int
    keys: tuple[int, int]
    velocities: tuple[int, int] = (1, 127)


def spans(values: Sequence[int], low: int, high: int) -> list[tuple[int, int]]:
    """For each of the ascending `values`, the range of numbers from `low` to `high` nearest to it, inclusive."""
    ends = [(before + after) // 2 for before, after in zip(values[:-1], values[1:], strict=True)]
    return list(zip([low, *(end + 1 for end in ends)], [*ends, high], strict=True))


def evenly(values: Sequence[int], count: int) -> list[int]:
    """At most `count` of the ascending `values`, evenly spaced and including the last one."""
    if len(values) <= count:
        return list(values)
    places = np.linspace(0, len(values) - 1, count) if count > 1 else np.array([len(values) - 1])
    return [values[round(float(place))] for place in places]


def make_kit(
    player: Player,
    seeds: Sequence[int],
    folder: Path,
    title: str,
    layers: int = 4,
    format: SoundFormat = "wav",
    touch: Touch | None = None,
    progress: Progress | None = None,
) -> str:
    """Write ``kit.sfz`` and its samples into `folder`.

    A model conditioned on pitch gives one sample per pitch, all from the first seed's latent; keys between two pitches
    play the nearer one. If the model also has a label ``velocity``, up to `layers` of its values become velocity
    layers.
    Any other model gives one drum pad per seed, from key 36 upwards.

    All samples have the same gain, which brings the loudest sample to 1 dB below full scale and preserves relative
    levels.

    Returns:
        A summary of the kit.

    Raises:
        UserError: if there are more seeds than keys, or a file cannot be written.
    """
    touch, rate = touch or Touch(), player.codec.sample_rate
    velocities = evenly(list(player.numbers("velocity")), layers)
    pitched = bool(player.numbers("pitch"))
    parts = _tuned(player, seeds[0], velocities) if pitched else _pads(player, seeds)
    clips: list[Wave] = []
    for done, (_, seed, values) in enumerate(parts, 1):
        clips.append(player.finished(player.clip(seed, values)))
        if progress:
            progress(done, len(parts))
    gain = np.float32(common_gain(max(float(np.abs(clip).max(initial=0.0)) for clip in clips)))
    for (region, _, _), clip in zip(parts, clips, strict=True):
        write_sound(folder / "samples" / f"{region.stem}.{format}", clip * gain, rate, format, vorbis=True)
    regions = [region for region, _, _ in parts]
    text = sfz(regions, format, title, touch, pads=not pitched, layered=pitched and bool(velocities))
    with atomic_path(folder / "kit.sfz") as temporary:
        write_text(temporary, text)
    keys = f"keys {regions[0].keys[0]} to {regions[-1].keys[1]}"
    layer = f", {len(velocities)} velocity layers" if pitched and velocities else ""
    return f"kit.sfz with {plural(len(parts), 'sample')} on {keys}{layer}"


_Part = tuple[Region, int, dict[str, int]]
"""The regions of a sample, and its seed and labels."""


def _tuned(player: Player, seed: int, velocities: Sequence[int]) -> list[_Part]:
    pitches = list(player.numbers("pitch"))
    layers: list[tuple[dict[str, int], tuple[int, int]]] = [({}, (1, 127))]
    if velocities:
        layers = [({"velocity": v}, s) for v, s in zip(velocities, spans(velocities, 1, 127), strict=True)]
    parts: list[_Part] = []
    for pitch, keys in zip(pitches, spans(pitches, pitches[0], pitches[-1]), strict=True):
        for layer, struck in layers:
            values = {"pitch": pitch} | layer
            stem = player.stem(seed, player.label(seed, values))
            parts.append((Region(stem, pitch, keys, struck), seed, values))
    return parts


def _pads(player: Player, seeds: Sequence[int]) -> list[_Part]:
    if len(seeds) > PADS:
        raise UserError(f"{len(seeds)} seeds are given; allowed for a kit: {PADS}, one per key from {FIRST_PAD} on")
    return [
        (Region(player.stem(seed, player.label(seed)), key, (key, key)), seed, {})
        for key, seed in enumerate(seeds, FIRST_PAD)
    ]


def sfz(regions: Sequence[Region], ending: str, title: str, touch: Touch, pads: bool, layered: bool) -> str:
    """Return the text of an SFZ file whose samples are in the folder ``samples`` next to it.

    Args:
        regions: samples with their keys and velocities.
        ending: extension of the sample files.
        title: a line that describes the kit.
        touch: attack and release of the keys.
        pads: play each sample to its end, even if the key is released earlier.
        layered: samples of different velocities already differ in loudness, so the player must not scale them by
        velocity.
    """
    mode = "one_shot" if pads else "no_loop"
    group = [f"loop_mode={mode}", f"ampeg_attack={touch.attack_ms / 1000:g}"]
    group += [f"ampeg_release={touch.release_ms / 1000:g}", "volume=0", f"amp_veltrack={0 if layered else 100}"]
    lines = [f"// {title}", "", "<group>", *group, ""]
    for region in regions:
        (low, high), (soft, hard) = region.keys, region.velocities
        lines.append(
            f"<region> sample=samples/{region.stem}.{ending} pitch_keycenter={region.centre}"
            f" lokey={low} hikey={high} lovel={soft} hivel={hard}"
        )
    return "\n".join(lines) + "\n"
