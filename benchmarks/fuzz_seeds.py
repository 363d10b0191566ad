"""The seed corpus of fuzz.py: one or more small valid files of every readable kind, with their readers.

The files of other tools are written by the code of the tests, byte by byte, from the definitions of the formats.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

TESTS = Path(__file__).resolve().parents[1] / "tests"
Reader = Callable[[Path], object]
"""Reads a file of a kind, all of it; raises UserError for one that is damaged."""
Kinds = dict[str, tuple[Reader, list[Path]]]
"""For each kind what reads it, and its seeds."""
RANDOM = np.random.default_rng(0)


def seeds(folder: Path) -> Kinds:
    """Write the corpus into `folder`; return the reader and the files of each kind."""
    sys.path[:0] = [str(TESTS), str(TESTS / "models" / "importing")]
    made: Kinds = {}
    for kinds in (_checkpoints, _prepared, _archives, _tools, _foreign, _texts, _sounds, _images):
        made |= kinds(folder)
    return made


def _file(folder: Path, kind: str, name: str, content: bytes) -> Path:
    path = folder / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _checkpoints(folder: Path) -> Kinds:
    tones = importlib.import_module("tiny").TONES
    from pggan_framework import run
    from pggan_framework.cli.main import main
    from pggan_framework.models.details import describe_file
    from pggan_framework.models.pretrained import load_generator
    from pggan_framework.reporting.page import render
    from pggan_framework.reporting.run import Run
    from pggan_framework.runs.best_checkpoint import described, use_best
    from pggan_framework.runs.folders import snapshots

    flags = {**tones, "Trainer.tick_nimg_default": 8, "total_kimg": 0.016, "plugin_dirs": []}
    result = run(overrides={**flags, "result_dir": str(folder / "run")})
    snapshot = snapshots(result.path)[-1]
    checkpoint = _file(folder, "checkpoint", "network-snapshot-000000.pt", snapshot.read_bytes())
    exported = folder / "safetensors" / "model.safetensors"
    exported.parent.mkdir()
    main(["export", str(checkpoint), "--format", "safetensors", str(exported)])
    about = exported.with_name("model.safetensors.json")

    def read_checkpoint(path: Path) -> object:
        describe_file(path)
        return load_generator(path).sample(1)

    def read_about(path: Path) -> object:
        place = path.with_name("m.safetensors")
        place.write_bytes(exported.read_bytes())
        path.rename(path.with_name("m.safetensors.json"))
        describe_file(place)
        return load_generator(place).sample(1)

    def read_weights(path: Path) -> object:
        path.with_name(f"{path.name}.json").write_bytes(about.read_bytes())
        return load_generator(path).sample(1)

    lines = ["stats.jsonl", "metrics.jsonl", "network-best.json", "environment.json", "config.yaml"]
    texts = {name: (result.path / name).read_bytes() for name in lines if (result.path / name).is_file()}
    best = {
        "metric": "sound.frechet",
        "value": 3.5,
        "nimg": 16,
        "depth": 0,
        "alpha": 1.0,
        "n": 9,
        "by": "QualityMonitor",
    }
    texts["network-best.json"] = texts["metrics.jsonl"] = json.dumps(best).encode() + b"\n"

    def read_text(path: Path) -> object:
        run_folder = path.with_name("000-run")
        run_folder.mkdir()
        for name, content in texts.items():
            (run_folder / name).write_bytes(content)
        (run_folder / "network-best.pt").touch()
        path.rename(run_folder / path.name.partition("_")[2])
        use_best(run_folder, run_folder, checkpoint)
        found = Run(run_folder)
        return render([found]), found.best and described(found.best)

    runs = [_file(folder, "run's texts", f"seed_{name}", content) for name, content in texts.items()]
    return {
        "checkpoint": (read_checkpoint, [checkpoint]),
        "safetensors": (read_weights, [exported]),
        "safetensors' json": (read_about, [_file(folder, "safetensors' json", "a.json", about.read_bytes())]),
        "run's texts": (read_text, runs),
    }


def _picture(mode: str = "RGB", side: int = 16) -> Image.Image:
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    return Image.fromarray(RANDOM.integers(0, 256, (side, side, *channels), dtype=np.uint8))


def _encoded(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    mode = "L" if kind == "GIF" else "RGB"
    _picture(mode).save(stream, kind, **options)
    return stream.getvalue()


def _read_source(path: Path) -> object:
    """Read a source like `pggan prepare`, including the pixels."""
    from pggan_framework.data.images.plan import Options, make_plan
    from pggan_framework.data.prepare.images import prepare_pictures
    from pggan_framework.data.sources.base import LabelChoice
    from pggan_framework.data.sources.opening import open_source

    labels = LabelChoice(names=["class"]) if path.name == "labelled.zip" else None
    plan = make_plan(open_source(path, labels), str(path), Options(size=(8, 8), resize="crop"), 1)
    return prepare_pictures(plan, path.with_name("prepared.h5"), 1, lambda out, result: None)


def _prepared(folder: Path) -> Kinds:
    import h5py

    from pggan_framework.data.datasets.h5 import OldH5Dataset
    from pggan_framework.data.datasets.tones import TonesDataset
    from pggan_framework.data.store.prepared import save_prepared
    from pggan_framework.models.details import describe_file

    prepared, old = folder / "prepared" / "a.h5", folder / "hdf5" / "a.h5"
    for path in (prepared, old):
        path.parent.mkdir()
    save_prepared(TonesDataset(count=6), prepared)
    with h5py.File(old, "w") as file:
        for side in (4, 8):
            pixels = RANDOM.integers(0, 256, (5, 3, side, side), dtype=np.uint8)
            file.create_dataset(f"data{side}x{side}", data=pixels, compression="gzip" if side == 4 else None)

    def read(path: Path) -> object:
        describe_file(path)
        data = OldH5Dataset(path)
        return [data.images(range(min(len(data), 8)), depth) for depth in range(data.growth.max_depth + 1)]

    return {"prepared": (read, [prepared]), "hdf5": (read, [old])}


def _archives(folder: Path) -> Kinds:
    foreign = importlib.import_module("foreign")
    content = {f"{'ab'[n % 2]}/{n}.png": _encoded("PNG") for n in range(3)}
    names = [f"00000/img{n:08}.png" for n in range(3)]
    pixels = RANDOM.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    labelled = foreign.stylegan(names, pixels, [[name, n] for n, name in enumerate(names)])
    for name in ("zip", "tar"):
        (folder / name).mkdir()
    zips = [
        foreign.write_zip(folder / "zip" / "a.zip", content),
        foreign.write_zip(folder / "zip" / "labelled.zip", labelled),
    ]
    return {
        "zip": (_read_source, zips),
        "tar": (_read_source, [foreign.pack(folder / "tar" / "a.tar.gz", "p", content)]),
    }


def _tools(folder: Path) -> Kinds:
    foreign = importlib.import_module("foreign")
    pixels = RANDOM.integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    for name in ("tfrecords", "idx"):
        (folder / name).mkdir()
    foreign.write_tfrecords(folder / "tfrecords" / "a-r03.tfrecords", pixels)
    foreign.write_idx(folder / "idx", "train", pixels[:, 0], [1, 2, 3])
    idx = sorted((folder / "idx").glob("*images*"))

    def read_idx(path: Path) -> object:
        return _read_source(path.rename(path.with_name("train-images-idx3-ubyte")))

    def read_pickle(path: Path) -> object:
        from pggan_framework.storage import arrays, pickles

        return pickles.read_pickle(io.BytesIO(path.read_bytes()), path, arrays.names_arrays)

    batch = {"data": RANDOM.integers(0, 256, (2, 3072), dtype=np.uint8), "labels": [1, 2], "filenames": ["a", "b"]}
    return {
        "tfrecords": (_read_source, [folder / "tfrecords" / "a-r03.tfrecords"]),
        "idx": (read_idx, idx),
        "cifar's pickle": (read_pickle, [_file(folder, "cifar's pickle", "a", foreign.pickle2(batch))]),
    }


def _foreign(folder: Path) -> Kinds:
    import pytest

    from pggan_framework.models.importing.convert import build_discriminator, build_generator
    from pggan_framework.models.importing.detect import read_foreign

    def read(path: Path) -> object:
        model = read_foreign(path)
        return build_generator(model), build_discriminator(model)

    made: Kinds = {}
    for kind in ("karras", "deepsound", "gan_zoo"):
        (folder / kind).mkdir()
        module = importlib.import_module(f"test_{kind}")
        with pytest.MonkeyPatch.context() as patch:
            if kind == "karras":
                modules = module.modules._get_wrapped_function()(patch)
                paths = [module.written(modules, folder / kind)[0]]
            elif kind == "deepsound":
                classes = module.classes._get_wrapped_function()(patch)
                parts = module.generator(classes), module.discriminator(classes)
                paths = [module.save(folder / kind, *parts, _use_new_zipfile_serialization=False)]
                (folder / "zipped").mkdir()
                paths.append(module.save(folder / "zipped", *parts))
            else:
                config = module.config._get_wrapped_function()(patch)
                module.save(folder / kind / "a.pt", config)
                paths = [folder / kind / "a.pt"]
        made[kind] = (read, paths)
    return made


def _texts(folder: Path) -> Kinds:
    written = importlib.import_module("written")
    from pggan_framework.config.text import load_file
    from pggan_framework.data.labels.tables import read_json, read_table
    from pggan_framework.generate.midi import read_midi

    (folder / "midi").mkdir()
    written.midi_file(folder / "midi" / "a.mid", 60, 62, 64)
    tables = b"file,hair,age\na.png,red,3\nb.png,,4.5\n", b'{"a.png": {"hair": "red"}, "b.png": {"age": 3}}'
    configs = [path.read_bytes() for path in sorted((TESTS.parent / "configs").glob("*.yaml"))[:6]]
    configs.append(b"a: &a {x: 1, y: [1, 2]}\nb: {<<: *a}\nc: [*a, *a]\n")
    return {
        "yaml": (load_file, [_file(folder, "yaml", f"{n}.yaml", text) for n, text in enumerate(configs)]),
        "midi": (read_midi, [folder / "midi" / "a.mid"]),
        "csv labels": (lambda path: read_table(path, "x"), [_file(folder, "csv labels", "a.csv", tables[0])]),
        "json labels": (
            lambda path: read_json(path, "x"),
            [
                _file(folder, "json labels", "a.json", tables[1]),
                _file(folder, "json labels", "b.json", b'{"labels": [["a.png", 3], ["b.png", null]]}'),
            ],
        ),
    }


def _sounds(folder: Path) -> Kinds:
    import soundfile

    from pggan_framework.audio.reading import UnreadableSound, read_header, read_wave

    def read(path: Path) -> object:
        try:
            return read_wave(read_header(path), 8000, 0, 2000)
        except UnreadableSound:  # datasets name the file and continue
            return None

    tone = 0.5 * np.sin(np.arange(2000) / 5)
    made: Kinds = {}
    for kind in ("wav", "flac", "mp3", "ogg"):
        path = folder / kind / f"a.{kind}"
        path.parent.mkdir()
        soundfile.write(path, tone, 8000)
        made[kind] = (read, [path])
    with wave.open(str(folder / "wav" / "b.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(8000)
        file.writeframes(bytes(3000))
    made["wav"][1].append(folder / "wav" / "b.wav")
    return made


def _images(folder: Path) -> Kinds:
    from pggan_framework.data.datasets.images import DefaultImageFolderDataset

    def read(path: Path) -> object:
        (path.parent / "p").mkdir()
        path.rename(path.parent / "p" / path.name)
        _read_source(path.parent / "p")
        data = DefaultImageFolderDataset(path.parent / "p", size=8, resize="crop")
        return data.image(0)

    kinds = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "tif": "TIFF", "webp": "WEBP", "bmp": "BMP"}
    made: Kinds = {end: (read, [_file(folder, end, f"a.{end}", _encoded(kind))]) for end, kind in kinds.items()}
    return made


def rewrite_checkpoint(path: Path, change: Callable[[Any], Any]) -> None:
    """Change the values in a checkpoint and correct its checksums; an attacker can do this, a defective disk cannot."""
    torch.save(change(torch.load(path, weights_only=True)), path)
