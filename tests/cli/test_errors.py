"""What a user can get wrong ends in one line that says what was given and what is allowed, and leaves no run behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from pggan_framework.cli.main import main

NETWORKS = "--Generator.fmap_base 64 --Generator.fmap_max 8 --Generator.latent_size 8 --Discriminator.fmap_max 8"
TINY = [*NETWORKS.split(), "--total_kimg", "0.02", "--minibatch_size", "4", "--loggers", "JSONLLogger"]
PICTURES = "--dataset_class DefaultImageFolderDataset --postprocessors ImageSaver --DefaultImageFolderDataset.dir_path"
SOUNDS = "--dataset_class SoundImageDataset --SoundImageDataset.dir_path"
GOOD = f"{PICTURES} pictures"
REFUSES = """
from pggan_framework import Every, Plugin, register

@register("plugin")
class Often(Plugin):
    def __init__(self, ticks: int = 1) -> None:
        self.every = Every(ticks, "tick")
"""
SYNTAX = "from pggan_framework import register\n\nclass Broken(:\n"
NAMED = """
from pggan_framework import Plugin, register

@register("plugin")
class Same(Plugin):
    pass
"""


class Payload:
    """What a checkpoint that runs code would hold."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("it-ran"),)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, config files, plugin files and checkpoints, good and bad ones."""
    root = tmp_path_factory.mktemp("stand_ins")
    random = np.random.default_rng(0)
    for name, sides in {"pictures": [8, 8], "odd": [48, 48], "mixed": [8, 16]}.items():
        (root / name).mkdir()
        for number, side in enumerate(sides):
            pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    (root / "empty").mkdir()
    (root / "unreadable").mkdir()
    for ending in ("png", "wav"):
        (root / "unreadable" / f"broken.{ending}").write_bytes(b"no image and no sound")
    (root / "texts").mkdir()
    (root / "texts" / "letter.txt").write_text("Dear all")
    (root / "short").mkdir()
    soundfile.write(root / "short" / "click.wav", np.zeros(800), 16000)
    (root / "key.yaml").write_text("total_kimgs: 3\n")
    (root / "nested.yaml").write_text("Generator:\n  fmap_bas: 64\n")
    (root / "twice.yaml").write_text("total_kimg: 3\ntotal_kimg: 4\n")
    for name, text in {
        "syntax/broken": SYNTAX,
        "one/same_one": NAMED,
        "two/same_two": NAMED,
        "often/often": REFUSES,
    }.items():
        path = root / f"{name}.py"
        path.parent.mkdir()
        path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main(["train", *GOOD.split(), *TINY, "--exp_name", "cut", "--result_dir", "earlier"]) == 0
    (run,) = (root / "earlier").iterdir()
    (whole,) = run.glob("*.pt")
    shutil.copy(whole, root / "whole.pt")
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (root / "nothing.pt").write_bytes(b"")
    torch.save({"generator": torch.zeros(3)}, root / "other.pt")
    torch.save({"format": "pggan_framework checkpoint", "version": 99}, root / "newer.pt")
    torch.save(Payload(), root / "code.pt")
    shutil.copytree(run, root / "earlier" / "001-other")
    shutil.copytree(run, root / "earlier" / "002-whole")
    shutil.copy(root / "whole.pt", root / "earlier" / "002-whole" / whole.name)
    shutil.copy(root / "other.pt", root / "earlier" / "001-other" / whole.name)
    return root


CASES = {
    # flags and keys
    "flag": ("--total_kimgs 3", "unknown flag --total_kimgs (did you mean '--total_kimg'?)"),
    "flag-of-a-class": ("--Generator.fmap_bas 3", "Generator has no 'fmap_bas' (did you mean 'Generator.fmap_base'?)"),
    "flag-of-no-class": ("--Generater.fmap_base 3", "unknown flag --Generater.fmap_base (did you mean '--Generator."),
    "key": ("--config key.yaml", "key.yaml: unknown key 'total_kimgs' (did you mean 'total_kimg'?)"),
    "key-of-a-class": ("--config nested.yaml", "nested.yaml: Generator.fmap_bas: Generator has no 'fmap_bas' (did you"),
    "key-twice": ("--config twice.yaml", "twice.yaml:2: key 'total_kimg' is given twice"),
    "config": ("--config tones.yml", "config file tones.yml does not exist"),
    # values
    "type": ("--minibatch_size many", "--minibatch_size: many is not of type int"),
    "type-of-a-tuple": ("--Adam.betas 0.5", "--Adam.betas: [0.5] is not of type tuple[float, float]"),
    "choice": (
        f"{PICTURES} pictures --DefaultImageFolderDataset.resize squash",
        "DefaultImageFolderDataset.resize: squash is not of type one of none, stretch, crop, pad",
    ),
    "below": ("--total_kimg 0", "total_kimg 0.0 is not above 0"),
    "beyond": (f"{GOOD} --Trainer.resume_nimg 500", "Trainer.resume_nimg 500 is not allowed; allowed: 0 and up, in im"),
    "repeats": (f"{GOOD} --Trainer.D_training_repeats 0", "Trainer.D_training_repeats 0 is not allowed; allowed: 1 an"),
    "required": (
        "--dataset_class SoundImageDataset",
        "SoundImageDataset.dir_path is required: folder of the recordings",
    ),
    "class": (
        "--dataset_class SoundImageDatset",
        "unknown dataset 'SoundImageDatset' (did you mean 'SoundImageDataset'?); allowed: DefaultImageFolderDataset,",
    ),
    "class-in-a-list": (
        "--postprocessors ['ImageSavr']",
        "postprocessors: unknown postprocessor 'ImageSavr' (did you mean 'ImageSaver'?); allowed: ImageSaver, Sound",
    ),
    "class-of-another-kind": (
        "--loss Generator",
        "loss: 'Generator' is a generator, not a loss; allowed: BEGAN, HingeGAN",
    ),
    "name": (f"{GOOD} --exp_name a/b", "exp_name: 'a/b' is given; allowed: a name without slashes"),
    "logger": (f"{GOOD} --loggers TeeLogger,ProgressLogger --ProgressLogger.seconds 0", "ProgressLogger.seconds 0 is"),
    "device": (f"{GOOD} --device cuda", "device: 'cuda' is given, but there is no CUDA device here; allowed: auto, c"),
    "device-apple": (
        f"{GOOD} --device mps",
        "device: 'mps' is given, but torch finds no Apple GPU here",
    ),
    "device-kind": (f"{GOOD} --device gpu", "device: 'gpu' is given; allowed: auto, cpu, cuda, cuda:1"),
    "saver": (f"{GOOD} --postprocessors SoundSaver", "SoundSaver needs data that are sound; these data have no codec"),
    # data
    "pictures-missing": (f"{PICTURES} picturs", "no folder picturs"),
    "pictures-empty": (f"{PICTURES} empty", "no readable image in empty: it is empty; endings: .apng"),
    "pictures-unreadable": (
        f"{PICTURES} unreadable",
        "no readable image in unreadable: broken.png (no image, or damaged at its",
    ),
    "pictures-none": (
        f"{PICTURES} texts",
        "no readable image in texts: other files: 1 .txt (letter.txt); not read as images",
    ),
    "pictures-size": (f"{PICTURES} odd", "0.png is 48x48: an image of 48x48 cannot be halved down to 4 on its shorter"),
    "pictures-sizes": (
        f"{PICTURES} mixed",
        "1.png is 16x16, 0.png is 8x8; with DefaultImageFolderDataset.resize none all",
    ),
    "sounds-missing": (f"{SOUNDS} sound", "SoundImageDataset.dir_path sound does not exist; give a folder of recordi"),
    "sounds-empty": (f"{SOUNDS} empty", "SoundImageDataset.dir_path empty has no readable sound: it is empty; allowed"),
    "sounds-unreadable": (f"{SOUNDS} unreadable", "no readable sound: none of 1 can be read, for example broken.wav"),
    "sounds-none": (f"{SOUNDS} texts", "no readable sound: 1 file with other endings, for example letter.txt"),
    "sounds-short": (f"{SOUNDS} short", "click.wav is shorter than one image: 800 samples (0.050 s), needed are 645"),
    "prepared-missing": ("--load_dataset piano.h5", "no file piano.h5"),
    "prepared-other": ("--load_dataset pictures/0.png", "pictures/0.png is not an HDF5 file"),
    # tables by depth; 8x8 has the depths 0 and 1
    "depth": (
        f"{GOOD} --DepthManager.minibatch_overrides.12 14",
        "DepthManager.minibatch_overrides: 12 is not a depth; allowed: 0 to 1 for these data",
    ),
    "depth-in-words": (
        f"{GOOD} --DepthManager.minibatch_overrides.six 6",
        "--DepthManager.minibatch_overrides.six: six is not of type int",
    ),
    # checkpoints
    "resume-nothing": ("--resume latest", "resume: there is no run with a checkpoint in results"),
    "resume-missing": ("--resume earlier/003-cut", "resume: earlier/003-cut does not exist (did you mean 'earlier/00"),
    "resume-no-run": (
        "--resume pictures",
        "resume: pictures/config.yaml cannot be read: pictures is not a run's folder",
    ),
    "resume-not-in-a-run": ("--resume whole.pt", "resume: whole.pt is not in a run's folder"),
    "resume-truncated": (
        "--resume earlier/000-cut",
        "network-snapshot-000000.pt is damaged (File is not a zip file), and there is no intact checkpoint next to it",
    ),
    "resume-other": (
        "--resume earlier/001-other/network-snapshot-000000.pt",
        "network-snapshot-000000.pt is not a checkpoint of pggan_framework; allowed: its network",
    ),
    "resume-changed": (
        "--resume earlier/002-whole --random_seed 7",
        "resume: the configuration differs from the run's: random_seed: 1337 -> 7; allowed: the same, another total_k",
    ),
    "network-missing": (f"{GOOD} --resume_network none.pt", "checkpoint none.pt does not exist; allowed: a network-sn"),
    "network-empty": (
        f"{GOOD} --resume_network nothing.pt",
        "nothing.pt cannot be read as a checkpoint: it is truncated",
    ),
    "network-truncated": (
        f"{GOOD} --resume_network earlier/000-cut/network-snapshot-000000.pt",
        "network-snapshot-000000.pt cannot be read as a checkpoint: it is truncated, damaged or of another kind",
    ),
    "network-other": (
        f"{GOOD} --resume_network other.pt",
        "other.pt is not a checkpoint of pggan_framework; allowed: its",
    ),
    "network-newer": (f"{GOOD} --resume_network newer.pt", "newer.pt has checkpoint version 99; this release reads"),
    "network-code": (
        f"{GOOD} --resume_network code.pt",
        "code.pt cannot be read as a checkpoint: it is truncated, damaged or",
    ),
    "network-of-other-latents": (
        f"{GOOD} --resume_network whole.pt --Generator.latent_size 16",
        "resume_network: whole.pt does not fit these networks: latents have 8 numbers, and 16 are requested",
    ),
    # plugin files
    "plugins-missing": ("--plugin_dirs nowhere", "plugin_dirs: there is no folder 'nowhere'"),
    "plugins-syntax": ("--plugin_dirs syntax", "plugin file", "syntax/broken.py:3: SyntaxError: "),
    "plugins-number": (
        f"{GOOD} --plugin_dirs often --plugins Often --Often.ticks 0",
        "Often cannot be created: an interval of 0 tick is not above 0",
    ),
    "plugins-same-name": (
        "--plugin_dirs one,two",
        "two components are called 'Same': one in pggan_user_plugins.same_one, one in pggan_user_plugins.same_two;",
    ),
}


@pytest.mark.parametrize("words", [[], ["--dry_run"]], ids=["run", "dry_run"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("own_plugins")
def test_mistakes_are_one_line_and_leave_no_run(
    case: str,
    words: list[str],
    stand_ins: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line, *expected = CASES[case]
    monkeypatch.chdir(stand_ins)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = sorted(stand_ins.rglob("*"))
    tiny = [] if "--resume " in line else TINY
    assert main(["train", *tiny, *line.split(), *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.endswith("\n") and error.count("\n") == 1, error
    for text in expected:
        assert text in error
    assert "Traceback" not in error
    left = [path for path in sorted(stand_ins.rglob("*")) if path not in before]
    shutil.rmtree("results", ignore_errors=True)
    assert left in ([], [stand_ins / "results"])


def test_an_allowed_change_that_does_not_fit_is_an_error_too_and_leaves_the_run_alone(
    stand_ins: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stand_ins)
    run = Path("earlier/002-whole")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    words = ["--resume", str(run), "--Generator.fmap_max", "4", "--allow_config_change", "True"]
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: resume: the checkpoint does not fit the changed settings: size mismatch for")
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_debug_shows_where_an_error_comes_from(
    stand_ins: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stand_ins)
    assert main(["train", *TINY, *PICTURES.split(), "empty", "--debug"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert any("datasets/images.py" in line for line in lines)
    assert lines[-1].startswith("error: no readable image in empty")


def test_processes_that_do_not_tell_wait_for_the_one_that_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setenv("RANK", "1")
    assert main(["trian"]) == 2 and capsys.readouterr().err == "" and len(waited) == 1
    monkeypatch.setenv("RANK", "0")
    assert main(["trian"]) == 2 and capsys.readouterr().err.startswith("error: unknown command 'trian'")
    # Long enough for a slow start of the other, and not for ever where nobody ends them.
    assert len(waited) == 1 and 2 <= waited[0] <= 60
