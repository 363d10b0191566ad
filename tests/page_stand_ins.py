"""Small stand-ins for the data and the programs that the pages speak of."""

from __future__ import annotations

import gzip
import shutil
import struct
import sys
from pathlib import Path

import foreign
import h5py
import mido
import numpy as np
import soundfile
from pages import ROOT
from PIL import Image

FLUIDSYNTH = """#!/usr/bin/env python3
import sys, wave
words = sys.argv[1:]
with wave.open(words[words.index("-F") + 1], "wb") as file:
    file.setnchannels(2)
    file.setsampwidth(2)
    file.setframerate(int(words[words.index("-r") + 1]))
    file.writeframes(b"\\x10\\x20\\xf0\\xe0" * (1 << 20))
"""
NODE = """#!/usr/bin/env python3
import json, sys
from PIL import Image
order = json.loads(sys.argv[-1])
for number in range(1, order["count"] + 1):
    for kind, side, colour in (("images", order["size"], "red"), ("labels", order["size"] * order["finer"], "#0000ff")):
        image = Image.new("RGB", (side, side), "#00ff00")
        image.paste(colour, (0, 0, side // 2, side // number))
        image.save(f"{order['out']}/{kind}/{number:05d}.png")
    print(number, flush=True)
"""

ESPEAK = """#!/usr/bin/env python3
import sys, wave
words = sys.argv[1:]
if words[0].startswith("--voices"):
    print("Pty Language Age/Gender VoiceName File")
    for name in "en-us en-gb en-gb-scotland en-gb-x-rp en-029 f2 f3 f4 m4 m7".split():
        print(5, name, "--/M", name, f"!v/{name}")
else:
    with wave.open(words[words.index("-w") + 1], "wb") as file:
        file.setparams((1, 2, 22050, 0, "NONE", ""))
        file.writeframes(b"\\x10\\x20\\xf0\\xe0" * (1 << 13))
"""
CHORALE = """<score-partwise><part><measure><attributes><divisions>1</divisions></attributes>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>60</duration></note></measure></part></score-partwise>
"""


def data(root: Path) -> None:
    """The folders datasets/, configs/, plugins/ and what is next to them."""
    random = np.random.default_rng(0)
    for name in ("configs", "plugins"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train.py", "hubconf.py"):
        shutil.copy(ROOT / name, root)
    (root / "shared_plugins").mkdir()
    for folder, sides in {
        "photos": [(20, 30), (40, 16)],
        "cats": [(16, 16)],
        "animals/cat": [(16, 16)],
        "animals/dog": [(16, 16)],
    }.items():
        (root / "datasets" / folder).mkdir(parents=True)
        for number, (height, width) in enumerate(sides * 6):
            pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "datasets" / folder / f"{number}.png")
    shutil.make_archive(str(root / "datasets" / "photos"), "zip", root / "datasets" / "photos")
    foreign_files(root / "datasets")
    (root / "datasets" / "piano").mkdir()
    for number in range(57, 65):
        wave = 0.3 * np.sin(2 * np.pi * 220 * 2 ** ((number - 57) / 12) * np.arange(2000) / 16000)
        soundfile.write(root / "datasets" / "piano" / f"{number}.wav", wave, 16000)
    for name in ("avatars", "avatars_test"):
        for kind, levels, shape in (("images", 256, (64, 64, 3)), ("labels", 6, (64, 64))):
            (root / "datasets" / name / kind).mkdir(parents=True)
            for number in range(1, 9):
                pixels = random.integers(0, levels, shape, dtype=np.uint8)
                Image.fromarray(pixels).save(root / "datasets" / name / kind / f"{number:05d}.png")
    for package in ("@dicebear/core", "@dicebear/toon-head", "@resvg/resvg-js"):
        (root / "avatars_npm" / "node_modules" / package).mkdir(parents=True)
    np.save(root / "datasets" / "digits.npy", random.integers(0, 256, (12, 1, 16, 16), dtype=np.uint8))
    with h5py.File(root / "datasets" / "faces.h5", "w") as file:
        for side in (32, 16, 8, 4, 2, 1):
            file.create_dataset(f"data{side}x{side}", data=random.integers(0, 256, (12, 3, side, side), dtype=np.uint8))
    tune = mido.MidiFile()
    track = tune.add_track()
    for pitch in (60, 64, 67):
        track.append(mido.Message("note_on", note=pitch, velocity=90))
        track.append(mido.Message("note_off", note=pitch, time=240))
    tune.save(root / "tune.mid")


def foreign_files(folder: Path) -> None:
    """Data in the files of other tools: twelve images each, of two classes."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    classes = [0, 1] * 6
    for name in ("cats-tfrecords", "celeba/img_align_celeba", "mnist"):
        (folder / name).mkdir(parents=True)
    foreign.write_tfrecords(folder / "cats-tfrecords" / "cats-r05.tfrecords", pictures)
    with (folder / "cats-tfrecords" / "cats-rxx.labels").open("wb") as file:
        np.save(file, np.eye(2, dtype=np.float32)[classes])
    names = [f"00000/img{number:08d}.png" for number in range(12)]
    labels = [list(pair) for pair in zip(names, classes, strict=True)]
    foreign.write_zip(folder / "afhq.zip", foreign.stylegan(names, pictures.transpose(0, 2, 3, 1), labels))
    rows = ["12", "Eyeglasses Smiling"]
    for number in range(12):
        Image.new("RGB", (178, 218), (20 * number, 0, 0)).save(folder / f"celeba/img_align_celeba/{number:06d}.jpg")
        rows.append(f"{number:06d}.jpg {(-1) ** number} {-1 if number < 6 else 1}")
    (folder / "celeba" / "list_attr_celeba.txt").write_text("\n".join(rows))
    foreign.write_idx(folder / "mnist", "train", pictures[:, 0, :28, :28], classes)
    batch = {"data": pictures.reshape(12, -1), "labels": classes}
    content = {"data_batch_1": batch, "batches.meta": {"label_names": ["airplane", "cat"]}}
    pickled = {name: foreign.pickle2(value) for name, value in content.items()}
    foreign.pack(folder / "cifar-10-python.tar.gz", "cifar-10-batches-py", pickled)


def installed(root: Path) -> None:
    """site/, with what packages and programs bring along."""
    parts = root / "site" / "robohash" / "sets" / "set4"
    for number in range(2):
        (parts / f"00{number}#0{number}part").mkdir(parents=True)
        for colour in range(3):
            Image.new("RGBA", (64, 64), (80 * colour, 90 * number, 0, 255 - 128 * number)).save(
                parts / f"00{number}#0{number}part" / f"{colour}.png"
            )
    (root / "site" / "robohash" / "__init__.py").touch()
    (root / "site" / "bin").mkdir()
    (root / "site" / "bin" / "fluidsynth").write_text(FLUIDSYNTH)
    (root / "site" / "bin" / "fluidsynth").chmod(0o755)
    (root / "site" / "bin" / "node").write_text(NODE.replace("/usr/bin/env python3", sys.executable))
    (root / "site" / "bin" / "node").chmod(0o755)
    (root / "site" / "bin" / "espeak-ng").write_text(ESPEAK.replace("/usr/bin/env python3", sys.executable))
    (root / "site" / "bin" / "espeak-ng").chmod(0o755)
    (root / "site" / "music21" / "corpus" / "bach").mkdir(parents=True)
    (root / "site" / "music21" / "__init__.py").touch()
    (root / "site" / "music21" / "corpus" / "bach" / "bwv1.xml").write_text(CHORALE)
    for number, people in enumerate(("elves", "orcs") * 50):
        picture = Image.new("RGBA", (72, 72), (2 * number, 90, 0, 255))
        path = root / "site" / "wesnoth" / "data" / "core" / "images" / "units" / people / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, compress_level=1)
    for number, kind in enumerate(("bd", "drum", "elec", "perc", "sn", "tabla", *["loop", "ambi"] * 3)):
        wave = 0.3 * np.sin(2 * np.pi * 220 * (number + 1) * np.arange(8000) / 44100)
        soundfile.write(root / "site" / f"{kind}_{number}.flac", wave, 44100)
    (root / "site" / "font.sf2").write_bytes(b"RIFF" + struct.pack("<I", 4) + b"sfbk")
    headers = {"train-images-idx3-ubyte.gz": (3, 6, 28, 28), "train-labels-idx1-ubyte.gz": (1, 6)}
    for name, (dimensions, *shape) in headers.items():
        values = np.resize(np.arange(10, dtype=np.uint8), shape).tobytes()
        idx = struct.pack(f">HBB{dimensions}I", 0, 8, dimensions, *shape) + values
        (root / "site" / name).write_bytes(gzip.compress(idx))
