"""Odd recordings and MIDI files, each with its expected result; see benchmarks/odd_files.py.

A case is a folder of recordings that a dataset reads, or a MIDI file. The expected result is the sound in it, computed
from the numbers that it was created from, or the words of the message about it. ``python benchmarks/odd_files.py
sounds`` runs the cases.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from pggan_framework.audio.ffmpeg import find_program
from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.errors import UserError
from pggan_framework.generate.midi import read_midi

Wave = NDArray[np.float32]
RATE = 8000
CLIP = 1024
"""Samples of a clip."""
LENGTH = 4 * CLIP
DELAY = 576
"""Samples that LAME puts before a sound; only its Info frame reports of them."""
EXACT = 60.0
"""dB of signal over error from which 16 bits are read right."""
KINDS: dict[str, tuple[str, dict[str, int]]] = {
    "wav": (
        "WAV",
        {"PCM_U8": 35, "PCM_16": 75, "PCM_24": 120, "PCM_32": 120, "FLOAT": 120, "DOUBLE": 120, "ULAW": 30}
        | {"ALAW": 30, "IMA_ADPCM": 20, "MS_ADPCM": 20, "GSM610": 10},
    ),
    "w64": ("W64", {"PCM_16": 75, "FLOAT": 120, "DOUBLE": 120}),
    "rf64": ("RF64", {"PCM_16": 75, "PCM_24": 120, "FLOAT": 120}),
    "flac": ("FLAC", {"PCM_S8": 35, "PCM_16": 75, "PCM_24": 120}),
    "aiff": ("AIFF", {"PCM_S8": 35, "PCM_16": 75, "PCM_24": 120, "FLOAT": 120, "ULAW": 30}),
    "au": ("AU", {"PCM_16": 75, "FLOAT": 120, "ULAW": 30, "G721_32": 10}),
    "caf": ("CAF", {"PCM_16": 75, "ALAC_16": 75, "FLOAT": 120}),
    "ogg": ("OGG", {"VORBIS": 15}),
    "opus": ("OGG", {"OPUS": 8}),
    "mp3": ("MP3", {"MPEG_LAYER_III": 15}),
    "sph": ("NIST", {"PCM_16": 75, "ULAW": 30}),
    "voc": ("VOC", {"PCM_16": 75}),
    "svx": ("SVX", {"PCM_16": 75}),
    "paf": ("PAF", {"PCM_16": 75}),
    "sf": ("IRCAM", {"PCM_16": 75, "FLOAT": 120}),
}
"""Endings, containers, and the least signal over error in dB of each encoding."""
BY_FFMPEG = {"m4a": "aac", "aac": "aac", "wma": "wmav2", "webm": "libopus", "mka": "libvorbis", "wv": "wavpack"}
BY_FFMPEG |= {"tta": "tta", "ac3": "ac3"}


class Case(NamedTuple):
    """A name, the folder or MIDI file, the expected sound, notes or words, and the lowest allowed SNR in dB."""

    name: str
    path: Path
    expected: Wave | list[tuple[float, float, int]] | str
    least: float = EXACT
    how: dict[str, Any] = {}


def check(case: Case) -> str:
    """Return ``read right``, ``named``, or a description of the error."""
    sizes = {"n_fft": 64, "hop_length": 32, "margin": 0, "frequency": RATE, "jobs": 1, "prepared_dir": None}
    try:
        if case.path.suffix == ".mid":
            found = [(note.onset, note.duration, note.pitch) for note in read_midi(case.path).notes]
            same = isinstance(case.expected, list) and np.allclose(found, case.expected)
            return "read right" if same else f"read as {found}"
        data = SoundImageDataset(case.path, **{**sizes, "too_short": "pad", "too_long": "slices", **case.how})
    except UserError as error:
        return "named" if isinstance(case.expected, str) and case.expected in str(error) else f"refused: {error}"
    if isinstance(case.expected, str):
        text = "; ".join(f"{key}: {value}" for key, value in data.summary().items())
        return "named" if case.expected in text else f"not named: {text}"
    wave = np.concatenate([data.wave(index) for index in range(len(data))])
    expected = np.asarray(case.expected, np.float32)
    if len(wave) <= len(expected) - CLIP:  # a rest shorter than a clip is left out
        return f"{len(expected) - len(wave)} samples lost"
    expected = expected[: len(wave)]
    wrong = float(np.sum((wave[: len(expected)] - expected) ** 2))
    over = 10 * np.log10(float(np.sum(expected**2)) / max(wrong, 1e-30)) if expected.any() else 200.0 - 1e9 * wrong
    return "read right" if over >= case.least else f"{over:.1f} dB over the error"


def cases(folder: Path) -> list[Case]:
    """Return all cases, with their files in `folder`."""
    makers: list[Callable[[Path], Iterator[Case]]] = [
        *(formats, foreign, rates, channels, wav_headers, other_wavs, mp3_streams, other_streams, tags),
        *(damaged, contents, levels, folders, midi),
    ]
    found = []
    for maker in makers:
        inside = folder / maker.__name__
        inside.mkdir()
        found += list(maker(inside))
    return found


def sound(frames: int = LENGTH, rate: int = RATE) -> Wave:
    """Create a chord that swells: lossy codecs preserve it, and no part of it repeats within a clip."""
    time = np.arange(frames) / rate
    chord = sum(np.sin(2 * np.pi * hz * time + hz) for hz in (311.0, 523.7, 880.3))
    return (0.15 * chord * (0.4 + 0.6 * np.sin(np.pi * time * rate / frames))).astype(np.float32)


def kept(folder: Path, name: str, data: bytes | bytearray) -> Path:
    """Create a separate folder with one file of these bytes."""
    own = folder / name.replace(".", "_")
    own.mkdir()
    (own / name.rsplit("/", 1)[-1]).write_bytes(data)
    return own


def written(name: str, wave: Any = None, rate: int = RATE, **how: Any) -> bytes:
    """Return the bytes of a file written by soundfile."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        soundfile.write(path, sound() if wave is None else wave, rate, **how)
        return path.read_bytes()


def formats(folder: Path) -> Iterator[Case]:
    """Every container and encoding, and each container with the extension of another one."""
    for ending, (container, subtypes) in KINDS.items():
        for subtype, least in subtypes.items():
            if not soundfile.check_format(container, subtype):
                continue
            wave, rate = (sound(), RATE) if ending != "mp3" else (sound(2 * LENGTH, 2 * RATE), 2 * RATE)
            data = written("a", wave, rate, format=container, subtype=subtype)
            name = f"{ending}_{subtype}"
            yield Case(f"{ending} {subtype}", kept(folder, f"{name}.{ending}", data), sound(), min(least, 90))
        yield Case(f"{ending} called .wav", kept(folder, f"{name}_renamed.wav", data), sound(), min(least, 90))
        yield Case(
            f"{ending} in capitals", kept(folder, f"{name}_capitals.{ending.upper()}", data), sound(), min(least, 90)
        )


def foreign(folder: Path) -> Iterator[Case]:
    """Formats that ffmpeg reads, or the message if ffmpeg is missing."""
    program = find_program()
    for ending, codec in BY_FFMPEG.items():
        own = kept(folder, f"in_{ending}.wav", written("a.wav", sound(6 * LENGTH, 6 * RATE), 6 * RATE))
        name = own / f"a.{ending}"
        if program:
            command = [program, "-loglevel", "error", "-i", str(own / f"in_{ending}.wav"), "-c:a", codec, str(name)]
            if subprocess.run(command, check=False).returncode:
                continue  # built without this encoder
        (own / f"in_{ending}.wav").unlink()
        if program:
            lossless = ending in ("wv", "tta")
            # Lossy encoders delay what they encode, by different amounts: found here, and taken off.
            yield Case(f"{ending} by ffmpeg", own, sound() if lossless else "1 at 48000 Hz, resampled", 40)
            whole = name.read_bytes()
            yield Case(f"{ending} cut short", kept(folder, f"cut.{ending}", whole[: len(whole) // 2]), "")
    for ending, head in {
        "m4a": b"\0\0\0\x18ftypM4A ",
        "wma": b"0&\xb2u\x8ef\xcf\x11",
        "webm": b"\x1aE\xdf\xa3",
    }.items():
        own = kept(folder, f"no_sound.{ending}", head + bytes(300))
        yield Case(f"{ending} without sound", own, "ffmpeg: " if program else "it needs ffmpeg")


def rates(folder: Path) -> Iterator[Case]:
    """Sample rates, from those of heart sounds to those of bats, and impossible ones."""
    for rate in (
        1000,
        2000,
        4000,
        6000,
        11025,
        16000,
        22050,
        32000,
        44100,
        48000,
        88200,
        96000,
        192000,
        384000,
        500000,
    ):
        frames = LENGTH * rate // RATE
        wave = sound(frames, rate) if rate > 2000 else np.zeros(frames)
        expected = sound() if rate > 2000 else np.zeros(LENGTH, np.float32)
        yield Case(f"{rate} Hz", kept(folder, f"{rate}.wav", written("a.wav", wave, rate)), expected, 30)
    for rate in (0, 1, 7, 100, 499, 5_000_000, 2**31 - 1):
        data = bytearray(written("a.wav"))
        at = data.index(b"fmt ") + 12
        data[at : at + 4] = struct.pack("<I", rate)
        yield Case(f"a header of {rate} Hz", kept(folder, f"wrong{rate}.wav", data), f"{rate}")


def channels(folder: Path) -> Iterator[Case]:
    """One to eight channels: their mean, the first channel, or both channels."""
    for number in (2, 3, 4, 6, 8):
        wave = np.stack([sound() * (channel < 2) for channel in range(number)], axis=1)
        own = kept(folder, f"{number}.wav", written("a.wav", wave, subtype="FLOAT"))
        yield Case(f"{number} channels, mixed", own, sound() * np.float32(2 / number))
        yield Case(f"{number} channels, the first", own, sound(), EXACT, {"channels": "left"})


def wav_headers(folder: Path) -> Iterator[Case]:
    """Sizes in headers of streams that were never completed, and chunks around the samples."""
    for subtype in ("PCM_16", "FLOAT"):
        whole = written("a.wav", subtype=subtype)
        at = whole.index(b"data") + 4
        for size in (0, 1, 2, 1000, 4096, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF):
            data = bytearray(whole)
            data[at : at + 4] = struct.pack("<I", size)
            yield Case(f"wav {subtype}, samples of {size} bytes", kept(folder, f"{subtype}{size}.wav", data), sound())
            data[4:8] = struct.pack("<I", min(size + 36, 0xFFFFFFFF))
            yield Case(f"the same, RIFF too", kept(folder, f"riff{subtype}{size}.wav", data), sound())  # noqa: F541
        for name, chunk in {
            "LIST": b"LIST\x04\0\0\0abcd",
            "id3": b"id3 \x04\0\0\0abcd",
            "odd size": b"LIST\x03\0\0\0abc",
            "a zero": b"\0",
            "zeros": bytes(64),
        }.items():
            yield Case(f"wav {subtype} with {name} after", kept(folder, f"{subtype}{name}.wav", whole + chunk), sound())
        before = whole[:12] + b"JUNK\x1c\0\0\0" + bytes(28) + whole[12:]
        yield Case(f"wav {subtype} with JUNK before", kept(folder, f"{subtype}junk.wav", before), sound())
        half = whole[: at + 4 + (len(whole) - at - 4) // 2]
        yield Case(f"wav {subtype} cut in half", kept(folder, f"{subtype}half.wav", half), sound()[: LENGTH // 2])


def other_wavs(folder: Path) -> Iterator[Case]:
    """Wavs of recorders and editors: big-endian, with large chunks, with a single sample, with impossible numbers."""
    whole = written("a.wav")
    head, start = whole.index(b"fmt "), whole.index(b"data")
    for name, data in {
        "big-endian": written("a.wav", endian="BIG"),
        "extensible": written("a.wav", format="WAVEX", subtype="PCM_24"),
        "extensible, floats": written("a.wav", format="WAVEX", subtype="FLOAT"),
        "a broadcast chunk": whole[:start] + b"bext" + struct.pack("<I", 602) + bytes(602) + whole[start:],
        "200 kB before its samples": whole[:12] + b"LIST" + struct.pack("<I", 200000) + bytes(200000) + whole[12:],
        "a longer format": whole[: head + 4] + b"\x12\0\0\0" + whole[head + 8 : head + 24] + b"\0\0" + whole[start:],
        "a wrong block size": whole[: head + 20] + b"\3\0" + whole[head + 22 :],
    }.items():
        yield Case(f"wav, {name}", kept(folder, f"{len(data)}{name.replace(' ', '')}.wav", data), sound())
    for count in (1, 2):
        own = kept(folder, f"{count}samples.wav", written("a.wav", sound()[-count:]))
        yield Case(f"wav of {count} samples", own, "1 file padded with silence")
    for number in (0, 2000):
        data = whole[: head + 10] + struct.pack("<H", number) + whole[head + 12 :]
        yield Case(f"wav of {number} channels", kept(folder, f"{number}.wav", data), f"{number}.wav")
    huge = np.where(np.arange(LENGTH) % 2, 3e38, -3e38)
    yield Case(
        "the largest floats", kept(folder, "huge.wav", written("a.wav", huge, subtype="FLOAT")), "which no sound has"
    )


def tags(folder: Path) -> Iterator[Case]:
    """ID3 tags and images at the start of sounds other than mp3."""
    tag = b"ID3\x04\0\0\0\0\x10\0" + bytes(2048)
    for ending, least in (("flac", EXACT), ("wav", EXACT), ("ogg", 15.0), ("aiff", EXACT)):
        data = written(f"a.{ending}", format="OGG" if ending == "ogg" else None)
        yield Case(f"{ending} after an ID3 tag", kept(folder, f"tagged.{ending}", tag + data), sound(), least)
        yield Case(f"{ending} after two", kept(folder, f"twice.{ending}", tag + tag + data), sound(), least)
    flac = written("a.flac")
    for size in (200, 1_000_000):
        text = struct.pack(">II9sIIIIII", 3, 9, b"image/png", 0, 1, 1, 24, 0, size)
        block = b"\6" + struct.pack(">I", len(text) + size)[1:] + text + bytes(size)
        yield Case(
            f"flac with an image of {size} bytes", kept(folder, f"{size}.flac", flac[:42] + block + flac[42:]), sound()
        )


def mp3_streams(folder: Path) -> Iterator[Case]:
    """mp3 streams with no length or a wrong length, as radio stations, editors and broken downloads produce them."""
    for mode in ("CONSTANT", "VARIABLE"):
        for rate in (16000, 48000):
            frames = LENGTH * rate // RATE
            whole = written("a.mp3", sound(frames, rate), rate, bitrate_mode=mode)
            stream = whole[whole.index(whole[:2], 4) :]
            delay = np.zeros(round(DELAY * RATE / rate), np.float32)
            late = np.concatenate([delay, sound()])
            id3 = b"ID3\x04\0\0\0\0\x10\0" + bytes(2048)
            named = f"mp3 {mode.lower()} {rate} Hz"
            variants = {
                "whole": (whole, sound()),
                "stream": (stream, late),
                "with tags around": (id3 + whole + b"TAG" + bytes(125), sound()),
                "stream with tags": (id3 + stream + b"TAG" + bytes(125), late),
                "with an image": (id3[:6] + b"\0\x02\0\0" + bytes(32768) + stream, late),
                "junk after": (stream + bytes(range(255)) * 20, late),
                "zeros after": (stream + bytes(60000), late),
                "junk before": (bytes(range(1, 200)) * 9 + stream, late),
                "joined": (whole + whole, late),
                "streams joined": (stream + stream, late),
                "cut": (stream[: len(stream) * 3 // 4], late[: LENGTH // 2]),
                "cut after its header": (whole[: len(whole) * 3 // 4], late[: LENGTH // 2]),
            }
            for name, (data, expected) in variants.items():
                path = kept(folder, f"{mode}{rate}{name.replace(' ', '')}.mp3", data)
                yield Case(f"{named}, {name}", path, expected, 12)
            last = kept(folder, f"{mode}{rate}count.mp3", whole + whole)
            yield Case(f"{named}, joined, its length", last, "wrong headers: 1: ")


def other_streams(folder: Path) -> Iterator[Case]:
    """Streams in flac, ogg and au."""
    flac = bytearray(written("a.flac", sound(8 * LENGTH)))
    flac[21], flac[22:26] = flac[21] & 0xF0, bytes(4)
    yield Case("flac of unknown length", kept(folder, "stream.flac", flac), sound(8 * LENGTH))
    flac[21], flac[22:26] = flac[21] | 0x0F, b"\xff" * 4
    yield Case("flac of 68 thousand million samples", kept(folder, "huge.flac", flac), sound(8 * LENGTH))
    good = written("a.flac")
    yield Case("flac with a tag after", kept(folder, "tag.flac", good + b"TAG" + bytes(125)), sound())
    yield Case("flac with junk after", kept(folder, "junk.flac", good + bytes(range(255)) * 9), sound())
    for ending, subtype, least in (("ogg", "VORBIS", 15.0), ("opus", "OPUS", 8.0)):
        one = written("a", format="OGG", subtype=subtype)
        yield Case(f"{ending} twice", kept(folder, f"twice.{ending}", one + one), np.tile(sound(), 2), least)
        yield Case(f"{ending} three times", kept(folder, f"3.{ending}", 3 * one), np.tile(sound(), 3), least)
        yield Case(
            f"{ending} with junk after", kept(folder, f"junk.{ending}", one + bytes(range(255)) * 9), sound(), least
        )
    for size in (0, 0xFFFFFFFF):
        au = bytearray(written("a.au"))
        au[8:12] = struct.pack(">I", size)
        yield Case(f"au of {size} bytes", kept(folder, f"{size}.au", au), sound())
    for part in (0.5, 0.8):
        long = written("a.flac", sound(8 * LENGTH))
        own = kept(folder, f"cut{part}.flac", long[: int(part * len(long))])
        yield Case(f"flac cut at {part:.0%}", own, sound(8 * LENGTH)[:CLIP])
        yield Case(f"flac cut at {part:.0%}, named", own, "damaged: 1: ")


def damaged(folder: Path) -> Iterator[Case]:
    """Files that are not sound, whatever their name."""
    noise = np.random.default_rng(0).integers(0, 256, 20000, np.uint8).tobytes()
    for ending in ("wav", "mp3", "flac", "ogg", "aiff", "opus", "au", "m4a", "caf"):
        yield Case(f"text called .{ending}", kept(folder, f"text.{ending}", b"words " * 999), f"text.{ending}")
        yield Case(f"noise called .{ending}", kept(folder, f"noise.{ending}", noise), f"noise.{ending}")
        yield Case(f"empty .{ending}", kept(folder, f"empty.{ending}", b""), "it is an empty file")
    for ending in ("wav", "flac", "ogg", "aiff", "caf"):
        yield Case(
            f"the head of a {ending}", kept(folder, f"head.{ending}", written(f"a.{ending}")[:30]), f"head.{ending}"
        )
    yield Case("no samples", kept(folder, "none.wav", written("a.wav", np.zeros(0))), "it holds no samples")
    own = kept(folder, "link.txt", b"x")
    (own / "a.wav").symlink_to("gone.wav")
    yield Case("a link to nowhere", own, "No such file or directory")
    own = kept(folder, "page.mp3", b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 40)
    yield Case("a web page called .mp3", own, "page.mp3")


def contents(folder: Path) -> Iterator[Case]:
    """Files with no samples, constants, silence, or copies."""
    for name, value in {"NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf}.items():
        for place in (0, LENGTH // 2, LENGTH - 1):
            wave = sound()
            wave[place] = value
            own = kept(folder, f"{name}{place}.wav", written("a.wav", wave, subtype="FLOAT"))
            yield Case(f"{name} at {place}", own, "not finite numbers; 1 of 4 clips left out")
    silence = written("a.wav", np.zeros(LENGTH))
    yield Case("silence", kept(folder, "silence.wav", silence), np.zeros(LENGTH, np.float32))
    yield Case("silence, named", kept(folder, "named.wav", silence), "silent sounds: 4: ")
    for offset in (-0.3, -0.02, 0.02, 0.3):
        own = kept(folder, f"offset{offset}.wav", written("a.wav", sound() + offset, subtype="FLOAT"))
        yield Case(f"an offset of {offset}", own, sound(), 25)
        yield Case(
            f"an offset of {offset}, named", own, "a constant offset above -50 dB of full scale was removed from 1: "
        )
    own = kept(folder, "one.wav", written("a.wav"))
    shutil.copy(own / "one.wav", own / "two.wav")
    yield Case("a copy", own, "equal sounds: 4: two.wav")


def levels(folder: Path) -> Iterator[Case]:
    """One file with a different scale among twelve files."""
    for name, factor, words in (
        ("16-bit numbers as floats", 32767.0, "times full scale"),
        ("24-bit numbers as floats", 8388607.0, "times full scale"),
        ("32-bit numbers as floats", 2147483647.0, "times full scale"),
        ("30 times full scale", 100.0, "times full scale"),
    ):
        own = kept(folder, f"loud{factor:.0f}.wav", written("a.wav", sound() * factor, subtype="FLOAT"))
        for number in range(12):
            (own / f"{number}.wav").write_bytes(written("a.wav", sound()[number:], subtype="FLOAT"))
        yield Case(name, own, words)
    own = kept(folder, "tone.wav", written("a.wav", np.sin(np.arange(LENGTH) / 3), subtype="FLOAT"))
    noise = np.random.default_rng(0).normal(0, 1e-4, (12, LENGTH))
    for number in range(12):
        (own / f"{number}.wav").write_bytes(written("a.wav", noise[number], subtype="FLOAT"))
    yield Case("a loud tone among quiet ones", own, "outliers: 1: tone.wav", EXACT, {"too_long": "first"})
    own = kept(folder, "full.wav", written("a.wav", 4 * sound(), subtype="FLOAT"))
    yield Case("four times full scale, alone", own, 4 * sound())


def folders(folder: Path) -> Iterator[Case]:
    """Hidden, linked, and other files."""
    for name, inside in {
        "hidden file": ".a.wav",
        "resource fork": "._a.wav",
        "notebook checkpoints": ".ipynb_checkpoints/a.wav",
        "macOS archive": "__MACOSX/a.wav",
        "network drive": "@eaDir/a.wav",
    }.items():
        own = kept(folder, f"{name.replace(' ', '')}.wav", written("a.wav"))
        (own / inside).parent.mkdir(exist_ok=True)
        (own / inside).write_bytes(written("a.wav", np.ones(LENGTH) / 3))
        yield Case(name, own, sound())
        yield Case(f"{name}, named", own, "hidden or system files: 1: ")
    for ending in ("txt", "mid", "sfk", "asd", "reapeaks", "pk", "raw"):
        own = kept(folder, f"other_{ending}.wav", written("a.wav"))
        (own / f"a.{ending}").write_bytes(b"x")
        yield Case(f"a file .{ending}", own, f"1 .{ending} (a.{ending})")
    own, there = folder / "linked", kept(folder, "there.wav", written("a.wav"))
    own.mkdir()
    (own / "inside").symlink_to(there)
    yield Case("a linked folder", own, sound())
    (own / "loop").symlink_to(own)
    yield Case("a link to itself", own, sound())
    yield Case("a link to itself, named", own, "links: 1: loop")
    os.mkfifo(kept(folder, "pipe.wav", written("a.wav")) / "z.wav")
    yield Case("a pipe", folder / "pipe_wav", sound())


def midi(folder: Path) -> Iterator[Case]:
    """MIDI files that every player can play."""
    note = b"\x00\x90\x3c\x64\x83\x60\x80\x3c\x00"
    expected = [(0.0, 0.5, 60)]
    odd = {
        "nine sharps": b"\x00\xff\x59\x02\x09\x00",
        "an empty key signature": b"\x00\xff\x59\x00",
        "an empty time signature": b"\x00\xff\x58\x00",
        "an empty tempo": b"\x00\xff\x51\x00",
        "a tempo of 0": b"\x00\xff\x51\x03\x00\x00\x00",
        "half an SMPTE offset": b"\x00\xff\x54\x01\x60",
        "an empty channel prefix": b"\x00\xff\x20\x00",
        "text in no encoding": b"\x00\xff\x01\x03\xff\xfe\x00",
        "an unknown meta event": b"\x00\xff\x70\x01\x00",
        "system exclusive": b"\x00\xf0\x03\x7e\x7f\xf7",
        "a clock": b"\x00\xf8",
        "data of no message": b"\x00\x3c",
        "a value above 127": b"\x00\xb0\x00\xff",
        "nothing odd": b"",
    }

    def made(name: str, data: bytes | bytearray) -> Path:
        path = folder / f"{name.replace(' ', '')}.mid"
        path.write_bytes(data)
        return path

    def chunk(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack(">I", len(data)) + data

    header = chunk(b"MThd", struct.pack(">HHH", 1, 1, 480))
    track = chunk(b"MTrk", note + b"\x00\xff\x2f\x00")
    for name, event in odd.items():
        data = header + chunk(b"MTrk", event + note + b"\x00\xff\x2f\x00")
        yield Case(f"MIDI with {name}", made(name, data), expected)
    variants = {
        "an unknown chunk": header + chunk(b"XFIH", b"abc") + track,
        "a longer header": b"MThd\0\0\0\x08" + header[8:] + b"\0\0" + track,
        "a track said to be longer": header + b"MTrk\0\0\xff\xff" + track[8:],
        "a RIFF around it": b"RIFF\0\0\0\0RMIDdata\0\0\0\0" + header + track,
        "junk after": header + track + bytes(99),
        "nine tracks promised": header[:10] + b"\0\x09" + header[12:] + track,
        "no end of track": header + chunk(b"MTrk", note),
        "a note off before any on": header + chunk(b"MTrk", b"\x00\x80\x3c\x00" + note + b"\x00\xff\x2f\x00"),
        "a note that never ends": header + chunk(b"MTrk", note[:6] + b"\xff\x2f\x00"),
        "type 0": header[:8] + b"\0\0" + header[10:] + track,
        "type 2": header[:8] + b"\0\2" + header[10:] + track,
        "type 7": header[:8] + b"\0\7" + header[10:] + track,
    }
    for name, data in variants.items():
        yield Case(f"MIDI with {name}", made(name, data), expected)
    two = header[:8] + b"\0\2\0\2" + header[12:] + track + track
    yield Case("MIDI of type 2, one after another", made("type2twice", two), [*expected, (0.5, 0.5, 60)])
    for ticks in (0, 0xE700):
        data = header[:12] + struct.pack(">H", ticks) + track
        yield Case(f"MIDI of no ticks, {ticks:x}", made(f"ticks{ticks}", data), "a beat has 0 ticks")
    for name, data in {"text": b"words", "nothing in it": b"", "half a header": header[:9]}.items():
        yield Case(f"a MIDI file with {name}", made(name, data), "cannot be read as a MIDI file")
