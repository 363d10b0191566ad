"""Spoken digits, or any words, in several voices, from the command ``espeak-ng``."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pggan_framework.errors import UserError, nearest, plural
from pggan_framework.recipes import Progress, at_least, new_folder
from pggan_framework.recipes.notes import within

INSTALL = "run 'apt-get install espeak-ng' (GPL-3 or later; its output is free of it)"

THINGS = "words"
EXAMPLE = """  apt-get install espeak-ng
  pggan prepare digits datasets/digits --count 1000
  pggan prepare digits datasets/words --words yes no stop go --voices en-us en-gb+f2
"""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VOICES = ("en-us", "en-us+f3", "en-us+m4", "en-gb", "en-gb+f2", "en-gb-scotland", "en-gb-x-rp+f4", "en-029+m7")
"""Accents; the part after a ``+`` is a different speaker."""
SPEED = (130, 190)
"""Words per minute."""
PITCH = (30, 70)
"""Range of espeak's pitch, 0 to 99."""


def summary(given: argparse.Namespace, _: None) -> str:
    """Describe what was created with these flags."""
    words, voices = plural(len(given.words), "word"), plural(len(given.voices), "voice")
    return f"{plural(given.count, 'recording')} of {words} in {voices} at 22050 Hz"


def make_digits(
    out: Path,
    count: int = 1000,
    words: Sequence[str] = DIGITS,
    voices: Sequence[str] = VOICES,
    speed: tuple[int, int] = SPEED,
    pitch: tuple[int, int] = PITCH,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write ``zero/0007_en-us+f3.wav`` ..., 16-bit mono, a folder per word, and ``labels.csv`` into the folder `out`.

    The words take turns; voice, speed and pitch are drawn uniformly. A recording is as long as the word, about half a
    second. The same seed gives the same recordings; a larger count extends them. ``labels.csv`` has the word, voice,
    speed and pitch of each.

    Args:
        out: the folder to create.
        count: number of recordings.
        words: the words to speak.
        voices: espeak's names.
        speed: slowest and fastest, in words per minute, 80 to 450.
        pitch: lowest and highest, 0 to 99.
        seed: random seed of voices, speeds and pitches.
        progress: called after each word.

    Raises:
        UserError: if espeak-ng is missing or fails, lacks a voice, a number is invalid, or `out` exists.
    """
    at_least("count", count, 1)
    at_least("seed", seed, 0)
    within("speed", speed, 80, 450)
    within("pitch", pitch, 0, 99)
    folders = {word: _folder(word) for word in words}
    if not words or not all(folders.values()) or len(set(folders.values())) < len(words):
        raise UserError(f"words {' '.join(words)}: allowed are distinct words with at least one letter or digit")
    command = find_espeak()
    _check_voices(command, voices)
    random = np.random.default_rng(seed)
    low, high = (0, speed[0], pitch[0]), (len(voices), speed[1] + 1, pitch[1] + 1)
    drawn = random.integers(low, high, size=(count, 3)).tolist()

    rows = ["file,word,voice,speed,pitch"]
    with new_folder(out) as folder:
        for name in folders.values():
            (folder / name).mkdir()
        for index, (number, fast, tone) in enumerate(drawn):
            word, voice = words[index % len(words)], voices[number]
            file = f"{folders[word]}/{index:04d}_{voice}.wav"
            _speak(command, word, voice, fast, tone, folder / file)
            rows.append(f"{file},{folders[word]},{voice},{fast},{tone}")
            if progress:
                progress(index + 1, count)
        for name in folders.values():
            if not any((folder / name).iterdir()):
                (folder / name).rmdir()
        (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def find_espeak() -> str:
    """The path of espeak-ng.

    Raises:
        UserError: if it is missing; the message says what to install.
    """
    command = shutil.which("espeak-ng")
    if command is None:
        raise UserError(f"the command espeak-ng is not installed; {INSTALL}")
    return command


def _folder(word: str) -> str:
    """Convert a word to a name for its folder and label."""
    return re.sub(r"\W+", "-", word.strip().lower()).strip("-_")


def _check_voices(command: str, voices: Sequence[str]) -> None:
    """Check the voices, since espeak-ng silently uses its default for unknown variants.

    Raises:
        UserError: if a language or a variant does not exist.
    """
    if not voices:
        raise UserError("no voice is given; see 'espeak-ng --voices'")
    languages = _listed(command, "--voices", 1)
    variants = {name.removeprefix("!v/") for name in _listed(command, "--voices=variant", 4)}
    for voice in voices:
        language, plus, variant = voice.partition("+")
        if language not in languages:
            raise UserError(
                f"espeak-ng has no voice '{language}'{nearest(language, languages)}; see 'espeak-ng --voices'"
            )
        if plus and variant not in variants:
            raise UserError(
                f"espeak-ng has no variant '+{variant}'{nearest(variant, variants)}; see 'espeak-ng --voices=variant'"
            )


def _listed(command: str, flag: str, column: int) -> set[str]:
    """One column of a list printed by espeak-ng."""
    done = subprocess.run([command, flag], capture_output=True, text=True, check=False)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    found = {row[column] for row in rows if len(row) > column}
    if done.returncode or not found:
        raise UserError(f"'espeak-ng {flag}' failed: {done.stderr.strip() or 'it lists nothing'}")
    return found


def _speak(command: str, word: str, voice: str, speed: int, pitch: int, file: Path) -> None:
    """Write one recording.

    Raises:
        UserError: if espeak-ng fails; the message quotes it.
    """
    flags = ["-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(file)]
    done = subprocess.run([command, *flags, "--", word], capture_output=True, text=True, check=False)
    if done.returncode or not file.is_file() or file.stat().st_size <= 44:  # a header without sound
        raise UserError(f"espeak-ng cannot speak '{word}' as {voice}: {done.stderr.strip() or 'it wrote no sound'}")
