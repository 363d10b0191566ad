"""Single notes of known pitch and velocity, rendered by the command ``fluidsynth`` with a General MIDI soundfont."""

from __future__ import annotations

import argparse
import shutil
import struct
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pggan_framework.errors import UserError
from pggan_framework.recipes import Progress, at_least, new_folder

SOUNDFONTS = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2",
    "/usr/share/soundfonts/default.sf2",
)
INSTALL = "install the Debian packages fluidsynth (LGPL-2.1+) and fluid-soundfont-gm (MIT), or give --soundfont FILE"

THINGS = "notes"
EXAMPLE = """  apt-get install fluidsynth fluid-soundfont-gm
  pggan prepare notes datasets/notes --count 1000 --seconds 4 --rate 16000
"""

GAIN = 1.5
"""With this gain, the loudest piano notes reach about half of full scale; louder instruments need the rest."""
PAUSE = 1.0
"""Seconds between two notes in a rendering, so that no note rings into the next."""
HELD = 0.75
"""Fraction of a clip during which the key is down; the rest is the release."""
BATCH = 250
"""Notes per rendering, which limits the temporary file (a few hundred MB at 44.1 kHz)."""


def summary(given: argparse.Namespace, made: int) -> str:
    """Describe what was created with these flags."""
    warning = f"; {made} samples are clipped" if made else ""
    return f"{given.count} notes of {given.seconds} s at {given.rate} Hz{warning}"


def make_notes(
    out: Path,
    count: int = 1000,
    seconds: float = 4.0,
    rate: int = 16000,
    pitches: tuple[int, int] = (48, 83),
    velocities: tuple[int, int] = (60, 120),
    program: int = 0,
    soundfont: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> int:
    """Write `count` notes as 16-bit mono ``note_0000_m60_v100.wav`` ... and ``labels.csv`` into the new folder `out`.

    Pitch and velocity are drawn uniformly. The same seed gives the same notes; a larger count extends them. Levels are
    those of the soundfont and are not normalized.

    Args:
        out: the folder to create.
        count: number of notes.
        seconds: length of a clip.
        rate: sample rate in Hz, 8000 to 96000.
        pitches: lowest and highest MIDI note; 60 is middle C, 69 is 440 Hz.
        velocities: softest and loudest MIDI velocity, 1 to 127.
        program: General MIDI instrument, 0 to 127; 0 is the grand piano.
        soundfont: an .sf2 or .sf3 file (default: Debian's ``fluid-soundfont-gm``).
        seed: random seed of the notes.
        progress: called after each batch of notes.

    Returns:
        The number of samples at full scale over all notes (clipping).

    Raises:
        UserError: if fluidsynth or the soundfont is missing or fails, a number is invalid, or `out` exists.
    """
    at_least("count", count, 1)
    at_least("seconds", seconds, 0.05)
    at_least("seed", seed, 0)
    within("rate", (rate, rate), 8000, 96000)
    within("pitches", pitches, 0, 127)
    within("velocities", velocities, 1, 127)
    within("program", (program, program), 0, 127)
    command, font = find_fluidsynth(soundfont)
    low, high = (pitches[0], velocities[0]), (pitches[1] + 1, velocities[1] + 1)
    notes = np.random.default_rng(seed).integers(low, high, size=(count, 2))

    full_scale = 0
    rows = ["file,pitch,velocity,program"]
    with new_folder(out) as folder:
        for start in range(0, count, BATCH):
            batch = [(int(pitch), int(velocity)) for pitch, velocity in notes[start : start + BATCH]]
            clips = render(batch, seconds, rate, program, command, font)
            full_scale += int((np.abs(clips.astype(np.int32)) >= 32767).sum())
            for index, ((pitch, velocity), clip) in enumerate(zip(batch, clips, strict=True), start):
                name = f"note_{index:04d}_m{pitch}_v{velocity}.wav"
                write_wav(folder / name, clip, rate)
                rows.append(f"{name},{pitch},{velocity},{program}")
            if progress:
                progress(min(start + BATCH, count), count)
        (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return full_scale


def find_fluidsynth(soundfont: Path | None) -> tuple[str, Path]:
    """Find the fluidsynth command and the soundfont.

    Raises:
        UserError: if one is missing; the message names the packages.
    """
    command = shutil.which("fluidsynth")
    if command is None:
        raise UserError(f"the command fluidsynth is not installed; {INSTALL}")
    candidates = [soundfont] if soundfont else [Path(name) for name in SOUNDFONTS]
    for font in candidates:
        if font.is_file():
            with font.open("rb") as file:
                header = file.read(12)
            if header[:4] + header[8:] != b"RIFFsfbk":  # fluidsynth would silently use its default instead
                raise UserError(f"{font} is not a soundfont; {INSTALL}")
            return command, font
    raise UserError(f"no soundfont at {', '.join(map(str, candidates))}; {INSTALL}")


def render(
    notes: list[tuple[int, int]], seconds: float, rate: int, program: int, command: str, font: Path
) -> NDArray[np.int16]:
    """Render (pitch, velocity) notes in one call and cut them at their known positions: int16 [N, seconds * rate].

    Raises:
        UserError: if fluidsynth fails; the message quotes it.
    """
    length = round(seconds * rate)
    step = round((seconds + PAUSE) * 1000)  # milliseconds, one MIDI tick each
    starts = [index * step * rate // 1000 for index in range(len(notes))]
    score = midi_file(notes, step, round(seconds * HELD * 1000), program)
    frames = synthesize(score, rate, starts[-1] + length, program, command, font)
    return np.stack([frames[start : start + length] for start in starts])


def synthesize(
    score: bytes, rate: int, length: int, program: int, command: str, font: Path, gain: float = GAIN
) -> NDArray[np.int16]:
    """Render a MIDI file, dry and mixed to mono: int16 [T], T at least `length`.

    Args:
        score: MIDI file to render.
        rate: sample rate in Hz.
        length: number of samples needed.
        program: instrument in the MIDI file, for messages.
        command: fluidsynth.
        font: soundfont with the instrument.
        gain: fluidsynth's gain.

    Raises:
        UserError: if fluidsynth fails (the message quotes it), writes too few samples, or writes silence.
    """
    with tempfile.TemporaryDirectory() as temporary:
        midi, sound = Path(temporary, "score.mid"), Path(temporary, "score.wav")
        midi.write_bytes(score)
        options = ["-ni", "-q", "-r", str(rate), "-g", str(gain), "-O", "s16", "-T", "wav"]
        options += ["-o", "synth.reverb.active=0", "-o", "synth.chorus.active=0"]
        done = subprocess.run(
            [command, *options, "-F", str(sound), str(font), str(midi)], capture_output=True, text=True, check=False
        )
        if done.returncode or not sound.is_file():
            raise UserError(f"fluidsynth failed with {font}: {done.stderr.strip() or done.stdout.strip()}")
        with wave.open(str(sound)) as file:
            frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
    if len(frames) < length:
        raise UserError(f"fluidsynth wrote {len(frames)} samples instead of {length}; is {font} complete?")
    if not frames.any():
        said = (done.stderr + done.stdout).strip()
        raise UserError(
            f"silence from {font}: is it a soundfont, with program {program} in it? fluidsynth said: {said}"
        )
    mixed: NDArray[np.int16] = (frames.sum(axis=1, dtype=np.int32) // frames.shape[1]).astype(np.int16)
    return mixed


def midi_file(notes: list[tuple[int, int]], step: int, held: int, program: int) -> bytes:
    """A standard MIDI file (format 0) with one tick per millisecond.

    Args:
        notes: (pitch, velocity) of each note.
        step: milliseconds from one note's start to the next one's.
        held: milliseconds from key down to key up.
        program: instrument.
    """
    events = [(0, bytes([0xC0, program]))]
    for index, (pitch, velocity) in enumerate(notes):
        start = index * step
        events += [
            (start, bytes([0x90, pitch, velocity])),
            (start + held, bytes([0x80, pitch, 0])),
            (start + step - 20, bytes([0xB0, 120, 0])),  # all sound off, inside the pause
        ]
    return midi_of(events, len(notes) * step)


def midi_of(events: list[tuple[int, bytes]], end: int) -> bytes:
    """A standard MIDI file (format 0) of messages at given times in milliseconds, in order; it lasts until `end`."""
    tempo = b"\xff\x51\x03" + (1_000_000).to_bytes(3, "big")  # one second per quarter, 1000 ticks by the header
    before = 0
    parts = []
    for time, message in [(0, tempo), *events, (end, b"\xff\x2f\x00")]:
        parts.append(variable_length(time - before) + message)
        before = time
    track = b"".join(parts)
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 1000) + b"MTrk" + struct.pack(">I", len(track)) + track


def variable_length(number: int) -> bytes:
    """A MIDI variable-length quantity: seven bits per byte, most significant first, all but the last with bit 7 set."""
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))


def write_wav(path: Path, samples: NDArray[np.int16], rate: int) -> None:
    """Write [T] as a mono 16-bit file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


def within(name: str, span: tuple[int, int], least: int, most: int) -> None:
    """Check a number, or a range (lowest, highest), from the user.

    Raises:
        UserError: if it is outside `least` to `most`, or not in ascending order.
    """
    if not least <= span[0] <= span[1] <= most:
        given = " to ".join(map(str, dict.fromkeys(span)))
        raise UserError(f"{name}: {given} is outside {least} to {most} (lowest first)")
