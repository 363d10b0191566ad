"""What README.md and docs/ show is run as it stands there: on small stand-ins for the data, cut short by more flags."""

from __future__ import annotations

import gzip
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import foreign
import h5py
import mido
import numpy as np
import pytest
import soundfile
import yaml
from forgotten import forgotten_plugins
from PIL import Image

from pggan_framework import launch
from pggan_framework.cli.main import main
from pggan_framework.config import resolve_overrides
from pggan_framework.config.resolve import resolve_general
from pggan_framework.recipes import RECIPES
from pggan_framework.runs import runs, stored_config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")

SHORT: dict[str, Any] = {
    "Generator.fmap_base": 64,
    "Generator.fmap_max": 8,
    "Generator.latent_size": 8,
    "Discriminator.fmap_base": 64,
    "Discriminator.fmap_max": 8,
    "minibatch_size": 8,
    "OutputGenerator.samples_count": 2,
}
GROWING: dict[str, Any] = {
    "DepthManager.lod_training_nimg": 8,
    "DepthManager.lod_training_overrides": {},
    "DepthManager.lod_transition_nimg": 8,
    "DepthManager.lod_transition_overrides": {},
    "DepthManager.minibatch_overrides": {},
    "DepthManager.tick_kimg_default": 0.03,
    "DepthManager.tick_kimg_overrides": {},
}
SMALL_SOUND: dict[str, Any] = {"SoundImageDataset.n_fft": 64, "SoundImageDataset.hop_length": 16}
DATA: dict[str, dict[str, Any]] = {
    "TonesDataset": {"TonesDataset.count": 30},
    "SoundImageDataset": SMALL_SOUND,
}
SAVERS = {"ImageSaver": {"ImageSaver.resolution": 16}, "SoundSaver": {"SoundSaver.griffin_lim_iter": 1}}
LONG = {"PitchMonitor": {"PitchMonitor.count": 2}, "SoundMetrics": {"TonesDataset.count": 130}}
KIMG = 0.05
"""Just beyond where 32x32, the largest of the stand-ins, begins."""
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
        picture = Image.new("RGB", (side, side), "#00ff00")
        picture.paste(colour, (0, 0, side // 2, side // number))
        picture.save(f"{order['out']}/{kind}/{number:05d}.png")
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


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, freed of the indent they have in lists."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(language, re.sub(f"^{indent}", "", text, flags=re.MULTILINE)) for indent, language, text in found]


def commands(block: Block) -> list[str]:
    """The lines of a block, continued ones joined, without blank ones and comments."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if any(block.language == language for block in blocks(page))]


def words_of(line: str) -> list[str]:
    """The words that bash makes of a line; what it cannot read fails."""
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.split("\0")[:-1]


def flags(values: dict[str, Any]) -> list[str]:
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def cut_short(words: list[str]) -> list[str]:
    """Further flags that make a training of seconds out of a training of hours, a longer one of a longer one."""
    general = resolve_general(words)
    asked = [float(words[at + 1]) for at, word in enumerate(words) if word == "--total_kimg"]
    more: dict[str, Any] = {"total_kimg": asked[-1] * 0.004 if asked else 3 * KIMG if general.resume else KIMG}
    if "--total_epochs" in words:
        more = {"total_epochs": 4}
    if general.resume and "--config" not in words:
        return flags(more)  # the stored run was cut short already
    # Our other networks have the same sizes.
    for name, value in SHORT.items():
        kind, _, parameter = name.partition(".")
        own = {"Generator": general.generator, "Discriminator": general.discriminator}.get(kind, kind)
        more[f"{own}.{parameter}" if parameter else name] = value
    if general.progressive_growing:
        # A schedule has lengths of its own.
        more |= {name: value for name, value in GROWING.items() if not (general.schedule and ".lod_" in name)}
    if "--Trainer.resume_nimg" in words:
        more["Trainer.resume_nimg"] = 24
    if not general.load_dataset:
        more |= DATA.get(general.dataset_class, {})
    if "configs/notes.yaml" in words:
        more["SoundImageDataset.seed_shape"] = "32,2"  # its own has more rows than the stand-ins
    sound = general.dataset_class in DATA or general.load_dataset
    for saver in general.postprocessors or (["ImageSaver", "SoundSaver"] if sound else ["ImageSaver"]):
        more |= SAVERS.get(saver, {})
    for plugin in general.plugins:
        more |= LONG.get(plugin, {})
    return flags(more)


def foreign_files(folder: Path) -> None:
    """Data in the files of other tools: twelve pictures each, of two classes."""
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


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the pages speak of it: datasets/, configs/, plugins/, results/007-piano/."""
    root = tmp_path_factory.mktemp("template")
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
    with pytest.MonkeyPatch.context() as patch, forgotten_plugins():
        patch.chdir(root)
        train_models(root)
    tune = mido.MidiFile()
    track = tune.add_track()
    for pitch in (60, 64, 67):
        track.append(mido.Message("note_on", note=pitch, velocity=90))
        track.append(mido.Message("note_off", note=pitch, time=240))
    tune.save(root / "tune.mid")
    return root


def train_models(root: Path) -> None:
    """results/007-piano, 005-cats and 003-notes, in the working folder."""
    line = ["--dataset_class", "SoundImageDataset", "--SoundImageDataset.dir_path", "datasets/piano"]
    assert main(["train", *line, "--exp_name", "piano", *cut_short(line)]) == 0
    run = root / "results" / "007-piano"
    (root / "results" / "000-piano").rename(run)
    (run / "network-snapshot-000000.pt").rename(run / "network-snapshot-000120.pt")
    shutil.copy(run / "images" / "fakes_000000.png", run / "images" / "fakes_000120.png")
    labels = ["--SoundImageDataset.labels", "pitch", "--SoundImageDataset.labels_pattern", r"(?P<pitch>\d+)\.wav"]
    assert main(["train", *line, *labels, "--exp_name", "notes", *cut_short(line)]) == 0
    notes = root / "results" / "003-notes"  # below 007, which is the latest
    (root / "results" / "008-notes").rename(notes)
    (notes / "network-snapshot-000000.pt").rename(notes / "network-snapshot-000120.pt")
    cats = ["--dataset_class", "DefaultImageFolderDataset", "--DefaultImageFolderDataset.dir_path", "datasets/cats"]
    assert main(["train", *cats, "--exp_name", "cats", *cut_short(cats)]) == 0
    (root / "results" / "008-cats").rename(root / "results" / "005-cats")


@pytest.fixture
def laid_out(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_plugins: None
) -> Iterator[Callable[[Path], None]]:
    """Lays out a folder of its own for a page, with the page's plugin files and config files in it, to run in."""
    root = tmp_path / "root"
    shutil.copytree(template, root)
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
    monkeypatch.syspath_prepend(root / "site")
    monkeypatch.setenv("PATH", str(root / "site" / "bin"), prepend=":")
    monkeypatch.setattr("pggan_framework.recipes.notes.SOUNDFONTS", (str(root / "site" / "font.sf2"),))
    monkeypatch.setattr("pggan_framework.recipes.fashion.FOLDER", root / "site")
    monkeypatch.setattr("pggan_framework.recipes.drums.INSTALLED", root / "site")
    monkeypatch.setattr("pggan_framework.recipes.units.INSTALLED", (str(root / "site" / "wesnoth"),))
    headers = {"train-images-idx3-ubyte.gz": (3, 6, 28, 28), "train-labels-idx1-ubyte.gz": (1, 6)}
    for name, (dimensions, *shape) in headers.items():
        values = np.resize(np.arange(10, dtype=np.uint8), shape).tobytes()
        idx = struct.pack(f">HBB{dimensions}I", 0, 8, dimensions, *shape) + values
        (root / "site" / name).write_bytes(gzip.compress(idx))
    monkeypatch.chdir(root)

    def lay_out(page: Path) -> None:
        for number, block in enumerate(blocks(page)):
            if block.language == "python" and "@register(" in block.text:
                (root / "plugins" / f"{page.stem.lower()}_{number}.py").write_text(block.text)
            path = re.match(r"# (\S+\.yaml)\n", block.text) if block.language == "yaml" else None
            if path:
                (root / path[1]).write_text(block.text)

    yield lay_out


def run_command(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run one line of a page and check what can be said of any such line."""
    words = words_of(line)
    if words[0] == "torchrun":  # one process does; tests/training/test_distributed.py starts several
        from torch.distributed.run import get_args_parser

        given = get_args_parser().parse_args(words[1:])
        script = "pggan" if given.module else "python"
        words = [script, *([] if given.module else [given.training_script]), *given.training_script_args]
    if words[:2] == ["python", "train.py"]:
        words = ["pggan", "train", *words[2:]]
    assert words[0] == "pggan", f"{line}: neither 'python train.py' nor 'pggan'"
    command, words = words[1], words[2:]
    before = set(runs(Path("results")))
    trains = command == "train" and not {"-h", "--help", "--help_component", "--print_config"} & set(words)
    recipe = command == "prepare" and words[0] in RECIPES
    if recipe:
        shutil.rmtree(words[1], ignore_errors=True)
        words = [*words, "--count", "6", *(["--seconds", "0.2"] if words[0] == "notes" else [])]
    elif command == "inspect" and words[0] == "datasets/piano":
        words = [*words, *flags({**SMALL_SOUND, "SoundImageDataset.too_short": "pad"})]
    elif command == "generate" and "--seconds" in words:
        at = words.index("--seconds") + 1
        words[at] = str(float(words[at]) / 128)  # so much shorter than 4.1 s are the clips of the stand-ins
    elif command == "project":
        words = [*words, "--random", "20", "--restarts", "2", "--steps", "3"]
    elif trains:
        words = [*words, *cut_short(words)]
    if command == "generate" and words[0] in ("results/007-piano", "results/003-notes"):
        words = [*words, "--griffin_lim_iter", "1"]
    if command == "generate" and "--count" in words:
        at = words.index("--count") + 1
        words[at] = str(min(int(words[at]), 8))
    status = main([command, *words])
    out, error = capsys.readouterr()
    assert status == 0, f"{line}\n{error}"
    assert "note:" not in error, f"{line}\n{error}"
    made = set(runs(Path("results"))) - before
    if command == "prepare" and not recipe:
        config = resolve_general(["--config", str(Path(words[1]).with_suffix(".yaml"))])
        assert config.dataset_class == "OldH5Dataset" and Path(words[1]).is_file()
    elif recipe:
        files = [path for path in Path(words[1]).rglob("*") if path.suffix in (".png", ".wav", ".flac")]
        assert len([path for path in files if path.parent.name != "labels"]) == 6
    elif not trains or "--dry_run" in words:
        assert out.strip() and not made
    elif "--resume" in words:
        assert not made
    else:
        (folder,) = made
        assert (folder / "reals.png").is_file() and list(folder.glob("network-snapshot-*.pt"))
        length = "total_epochs" if "--total_epochs" in words else "total_kimg"
        assert stored_config(folder)[length] == float(words[len(words) - words[::-1].index(f"--{length}")])
    if "--save_dataset" in words:
        assert Path(words[words.index("--save_dataset") + 1]).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("bash"), ids=lambda page: page.stem)
def test_every_command_runs(
    page: Path, template: Path, laid_out: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    laid_out(page)
    for block in blocks(page):
        if block.language == "bash":
            shutil.rmtree("results/007-piano")  # an earlier block may have gone on with it
            shutil.copytree(template / "results" / "007-piano", "results/007-piano")
            for line in commands(block):
                run_command(line, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: page.stem)
def test_every_python_example_runs(
    page: Path,
    laid_out: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    laid_out(page)

    def shortened(config: Any, overrides: dict[str, Any], base: Any = None) -> Any:
        return resolve_overrides(
            config, {**overrides, **SHORT, **GROWING, **DATA["TonesDataset"], "total_kimg": KIMG}, base
        )

    monkeypatch.setattr(launch, "resolve_overrides", shortened)
    scope: dict[str, Any] = {"__name__": "example"}
    for block in blocks(page):
        if block.language == "python" and "@register(" not in block.text:
            exec(compile(block.text, str(page), "exec"), scope)
        elif block.language == "python":
            for name in re.findall(r"^@register\(.*\)\nclass (\w+)", block.text, re.MULTILINE):
                assert main(["components", name]) == 0
                assert f"--{name}." in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_config_examples_are_valid_yaml(page: Path) -> None:
    for block in blocks(page):
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for named in re.findall(r"(?:^|`)make ([\w-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert named in targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{path}#{anchor}"


@pytest.mark.usefixtures("own_plugins")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("curl example.com", "neither"),
        ("pggan train --total_kimgs 3 --print_config", "unknown flag"),
        ("pggan train --SoundImageDataset.n_fft 64 --print_config", "note: --SoundImageDataset.n_fft is given but"),
        ("pggan components Generater", "did you mean 'Generator'"),
    ],
)
def test_lines_that_do_not_hold_fail(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match=message):
        run_command(line, capsys)
