"""Clips of Bach's chorales: scores of music21's corpus, rendered by ``fluidsynth`` with a General MIDI soundfont."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.recipes import Progress, at_least, new_folder
from pggan_framework.recipes.musicxml import Score, read_score
from pggan_framework.recipes.notes import find_fluidsynth, midi_of, synthesize, within, write_wav

CREDIT = (
    "Music by J. S. Bach, scores as encoded for music21's corpus: their encoders permit its distribution, some not its"
    " commercial use; see corpus/license.txt in the package."
)
"""The credit that must accompany the sounds."""
INSTALL = (
    "run 'pip install --no-deps music21' (20 MB; BSD, its scores with their encoders' permission, some not for"
    " commercial use), or unpack its wheel and give the folder with --from"
)

THINGS = "clips"
EXAMPLE = """  pip install --no-deps music21
  apt-get install fluidsynth fluid-soundfont-gm
  pggan prepare chorales datasets/chorales --count 1000 --seconds 4 --rate 16000
  pggan prepare chorales datasets/organ --program 19
"""

TEMPO = 84.0
"""Quarters per minute, for scores without tempo."""
VELOCITY = 80
GAIN = 1.0
"""With this gain, fifteen piano voices, the most that occur, stay below full scale; four reach a quarter of it."""
CHANNELS = [channel for channel in range(16) if channel != 9]
"""MIDI channels; 9, counted from 0, is reserved for drums."""
LONGEST = 600.0
"""Seconds of music per rendering, which limits the temporary file and the memory."""
REST = 3.0
"""Seconds between two pieces in a rendering, so that no tone rings into the next piece."""


def summary(given: argparse.Namespace, made: tuple[int, int, int]) -> str:
    """Describe what was created with these flags."""
    count, pieces, clipped = made
    fewer = "" if count == given.count else ", which is all there are"
    warning = f"; {clipped} samples are clipped" if clipped else ""
    return f"{count} clips of {given.seconds} s at {given.rate} Hz from {pieces} chorales{fewer}{warning}. {CREDIT}"


def make_chorales(
    out: Path,
    count: int = 1000,
    seconds: float = 4.0,
    rate: int = 16000,
    program: int = 0,
    soundfont: Path | None = None,
    source: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[int, int, int]:
    """Write ``bwv253_003.wav`` ..., 16-bit mono, ``labels.csv`` and ``CREDITS.txt`` into the new folder `out`.

    The chorales are shuffled by `seed`, and each is cut from its beginning into adjacent clips; a shorter remainder at
    its end is discarded. The tempo is the score's, or 84 quarters per minute. The same seed gives the same clips; a
    larger count extends them. ``labels.csv`` has for each file its piece, its start in seconds, and the sharps of the
    piece's key (negative: flats).

    Args:
        out: the folder to create.
        count: largest number of clips.
        seconds: length of a clip.
        rate: sample rate in Hz, 8000 to 96000.
        program: General MIDI instrument, 0 to 127.
        soundfont: an .sf2 or .sf3 file (default: Debian's ``fluid-soundfont-gm``).
        source: the unpacked package music21, or its ``corpus/bach`` (default: the installed package).
        seed: random seed of the order of chorales.
        progress: called after each batch of clips.

    Returns:
        The number of clips, of chorales, and of samples at full scale (clipping).

    Raises:
        UserError: if music21, fluidsynth or the soundfont is missing, a number is invalid, or `out` exists.
    """
    at_least("count", count, 1)
    at_least("seconds", seconds, 0.05)
    at_least("seed", seed, 0)
    within("rate", (rate, rate), 8000, 96000)
    within("program", (program, program), 0, 127)
    command, font = find_fluidsynth(soundfont)
    files = find_scores(source)
    order = [files[place] for place in np.random.default_rng(seed).permutation(len(files))]

    length = round(seconds * rate)
    done = pieces = full_scale = 0
    rows = ["file,piece,begin,sharps"]
    with new_folder(out) as folder:
        for batch in _batches(order, seconds, count):
            clips = _render(batch, length, rate, program, command, font)
            for (name, score, _), waves in zip(batch, clips, strict=True):
                pieces += 1
                for place, wave in enumerate(waves):
                    file = f"{name}_{place:03d}.wav"
                    write_wav(folder / file, wave, rate)
                    rows.append(f"{file},{name},{place * seconds:g},{score.fifths}")
                full_scale += int((np.abs(waves.astype(np.int32)) >= 32767).sum())
                done += len(waves)
            if progress:
                progress(done, count)
        if not done:
            raise UserError(f"no chorale lasts {seconds} seconds; give fewer --seconds")
        (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (folder / "CREDITS.txt").write_text(CREDIT + "\n", encoding="utf-8")
    return done, pieces, full_scale


def find_scores(source: Path | None) -> list[Path]:
    """Find the scores of Bach in the corpus, sorted by name.

    Raises:
        UserError: if there are none; the message says what to install.
    """
    if source is not None:
        starts = [source]
    else:
        package = find_spec("music21")
        starts = [Path(place) for place in (package.submodule_search_locations or [])] if package else []
    for start in starts:
        for inner in ("music21/corpus/bach", "corpus/bach", "bach", "."):
            scores = sorted(file for end in ("mxl", "xml", "musicxml") for file in (start / inner).glob(f"*.{end}"))
            if scores:
                return scores
    missing = f"no scores (corpus/bach) in {source}" if source else "the package music21 is not installed"
    raise UserError(f"{missing}; {INSTALL}")


Piece = tuple[str, Score, int]
"""A name, its notes, and the number of clips to cut from it."""


def _batches(files: list[Path], seconds: float, count: int) -> Iterator[list[Piece]]:
    """Yield pieces that are rendered together, until there are `count` clips."""
    batch: list[Piece] = []
    waiting = 0.0
    for file in files:
        if count <= 0:
            break
        score = read_score(file)
        lasts = max((float(note.onset + note.duration) for note in score.notes), default=0.0) * 60 / _tempo(score)
        wanted = min(int(lasts / seconds), count)
        if wanted:
            batch.append((file.stem, score, wanted))
            count -= wanted
            waiting += lasts
        if waiting >= LONGEST:
            yield batch
            batch, waiting = [], 0.0
    if batch:
        yield batch


def _render(
    batch: list[Piece], length: int, rate: int, program: int, command: str, font: Path
) -> list[NDArray[np.int16]]:
    """Render the clips of each piece, int16 [N, length]."""
    events = [(0, 0, bytes([0xC0 | channel, program])) for channel in CHANNELS]
    starts: list[int] = []
    now = 0  # milliseconds
    for _, score, clips in batch:
        starts.append(now)
        end = now + round(1000 * clips * length / rate)
        scale = 60_000 / _tempo(score)
        for note in score.notes:
            on = now + round(float(note.onset) * scale)
            off = min(now + round(float(note.onset + note.duration) * scale), end)
            if on < end:
                # One channel per part, since two voices may hold one key. Of simultaneous events, key releases come
                # first; otherwise, a repeated note would end as it begins.
                channel = CHANNELS[note.part % len(CHANNELS)]
                events.append((on, 2, bytes([0x90 | channel, note.pitch, VELOCITY])))
                events.append((max(off, on + 1), 1, bytes([0x80 | channel, note.pitch, 0])))
        now = end + round(1000 * REST)
        events += [(now - 20, 3, bytes([0xB0 | channel, 120, 0])) for channel in CHANNELS]  # all sound off
    firsts = [start * rate // 1000 for start in starts]
    due = firsts[-1] + batch[-1][2] * length
    score_file = midi_of([(time, message) for time, _, message in sorted(events)], now)
    sound = synthesize(score_file, rate, due, program, command, font, GAIN)
    ends = [first + clips * length for first, (_, _, clips) in zip(firsts, batch, strict=True)]
    return [sound[first:end].reshape(-1, length) for first, end in zip(firsts, ends, strict=True)]


def _tempo(score: Score) -> float:
    return score.tempo or TEMPO
