"""Whole runs, from the command line to the files."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from PIL import Image
from processes import Command

from pggan_framework import __version__, run
from pggan_framework.cli.main import main

ROOT = Path(__file__).parents[2]
CLOCKS = {"time", "sec.tick", "sec.kimg", "ms.data", "ms.saving"}
KEY = "Zq7FAKEKEYOFTHISTEST4"
# The command in the README of deepsound's PGGAN, letter by letter but for the folder.
DEEPSOUND = (
    "python train.py --exp_name TEST --dataset_class SoundImageDataset --SoundImageDataset.dir_path PATH"
    " --SoundImageDataset.preload True --SoundImageDataset.img_mode abslog"
    " --postprocessors ['ImageSaver', 'SoundSaver'] --ImageSaver.samples_path images --SoundSaver.samples_path sound"
)
NETWORKS = "--Generator.fmap_base 64 --Generator.fmap_max 8 --Generator.latent_size 8 --Discriminator.fmap_max 8"
TRAINING = (
    "--minibatch_size 8 --total_kimg 0.2 --DepthManager.lod_training_nimg 24 --DepthManager.lod_transition_nimg 24"
    " --DepthManager.tick_kimg_default 0.04 --DepthManager.tick_kimg_overrides {}"
    " --OutputGenerator.output_snapshot_ticks 2 --ImageSaver.resolution 32"
)
SOUND = "--SoundImageDataset.n_fft 64 --SoundImageDataset.hop_length 16 --SoundSaver.griffin_lim_iter 2"
TINY = f"{NETWORKS} {TRAINING}"
TONES = f"--TonesDataset.count 30 {TINY} --SoundSaver.griffin_lim_iter 2"


def environment() -> dict[str, str]:
    """That of a shell in which `python` is this one."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": places, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def bash(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line as typed into bash."""
    command = ["bash", "-c", line]
    return subprocess.run(
        command, cwd=folder, env={**environment(), **more}, capture_output=True, text=True, check=False
    )


def stats(folder: Path) -> list[dict[str, Any]]:
    """The values of each tick, without those of the clock."""
    lines = (folder / "stats.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in CLOCKS} for line in lines]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five recordings of 0.1 s and train.py, in which deepsound's command has run."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "PATH").mkdir()
    for number, pitch in enumerate([220, 440, 660, 880, 1320]):
        wave = 0.5 * np.sin(2 * np.pi * pitch * np.arange(1600) / 16000)
        soundfile.write(folder / "PATH" / f"{number}.wav", wave, 16000)
    shutil.copy(ROOT / "train.py", folder)
    done = bash(f"{DEEPSOUND} {TINY} {SOUND}", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_deepsounds_command_gives_every_file(place: Path) -> None:
    folder = place / "results" / "000-TEST"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    # Ticks of 40 images: at 40, 80 ... 200; samples at the first, at every second, and at the end.
    numbers = ("000000", "000000.080", "000000.160", "000000.200")
    sheets = {f"images/fakes_{number}.png" for number in numbers}
    samples = ("00", "01", "02", "03", "04", "05", "all")
    sounds = {f"sound/fakes_sound_{number}_{which}.wav" for number in numbers for which in samples}
    reals = {f"sound/reals_sound_{which}.wav" for which in samples}
    logs = {"log.txt", "stats.jsonl", "metrics.jsonl", "config.yaml", "environment.json", "report.html", "run.json"}
    logs |= {"reals.png", "network-snapshot-000000.pt", "network-best.pt", "network-best.json"}
    assert found == sheets | sounds | reals | logs
    assert [tick["nimg"] for tick in stats(folder)] == [40, 80, 120, 160, 200]
    # Depth 1 begins at 24 images, 2 at 72, 3 at 120; the tick's last step is the one 8 images before its end.
    assert [tick["depth"] for tick in stats(folder)] == [1, 2, 2, 3, 3]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["postprocessors"] == ["ImageSaver", "SoundSaver"]
    assert config["SoundImageDataset"]["preload"] is True and config["SoundImageDataset"]["dir_path"] == "PATH"
    facts = json.loads((folder / "environment.json").read_text())
    assert facts["pggan_framework"] == __version__ and facts["torch"] == torch.__version__
    log = (folder / "log.txt").read_text()
    for text in ("configuration", "n_fft: 64", "codec", "Generator", "Discriminator", "tick", "finished"):
        assert text in log


def test_the_sheet_and_the_sounds_have_the_size_of_the_data(place: Path) -> None:
    folder = place / "results" / "000-TEST"
    # n_fft 64 and its default of 32 frames: 32x32; 6 tiles in 2 rows of 3, not enlarged, and the axes.
    with Image.open(folder / "images" / "fakes_000000.png") as sheet:
        assert 3 * 32 < sheet.width < 6 * 32 and 2 * 32 < sheet.height < 5 * 32
        assert len(np.unique(np.asarray(sheet))) > 10
    # Samples without the margins of 2 columns, and all of them with a quarter of a second between.
    assert soundfile.info(str(folder / "sound" / "fakes_sound_000000_all.wav")).frames == 6 * 448 + 5 * 4000
    for path in sorted((folder / "sound").glob("*_0?.wav")):
        info = soundfile.info(str(path))
        assert (info.samplerate, info.frames, info.channels) == (16000, (32 - 2 * 2) * 16, 1)
        assert np.abs(soundfile.read(str(path))[0]).max() > 0


@pytest.mark.usefixtures("all_samples_are_measured")  # as in the other process, which no fixture reaches
def test_the_stored_config_repeats_the_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert main(["train", "--config", "results/000-TEST/config.yaml", "--exp_name", "again"]) == 0
    again = Path("results/001-again")
    assert stats(again) == stats(place / "results" / "000-TEST")
    first, second = (yaml.safe_load((path / "config.yaml").read_text()) for path in (Path("results/000-TEST"), again))
    assert {**first, "exp_name": "again"} == second


def test_a_dry_run_prints_a_row_a_depth_and_makes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TONES.split(), "--dry_run", "--save_dataset", "tones.h5"]
    assert main(["train", *words]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    at = next(number for number, row in enumerate(rows) if row[:2] == ["depth", "shape"])
    assert rows[at] == ["depth", "shape", "batch", "kimg", "parameters", "memory", "time"]
    table = [row[:4] for row in rows[at + 1 : at + 5]]
    # Depth 0 is trained for 24 images, each further one fades for 24 and is trained for 24, the last to the end at 200.
    assert table == [
        ["0", "1x4x4", "8", "0.024"],
        ["1", "1x8x8", "8", "0.048"],
        ["2", "1x16x16", "8", "0.048"],
        ["3", "1x32x32", "8", "0.08"],
    ]
    assert rows[at + 5] == [] and rows[at + 6][0] == "about"
    assert list(here.iterdir()) == []


def test_without_growing_the_full_size_is_trained_from_the_first_step(here: Path) -> None:
    words = f"--TonesDataset.count 30 {NETWORKS} --minibatch_size 8 --total_kimg 0.04 --Trainer.tick_nimg_default 16"
    assert main(["train", *words.split(), "--progressive_growing", "False", "--postprocessors", "ImageSaver"]) == 0
    figures = stats(here / "results" / "000-TonesDataset")
    assert [(tick["nimg"], tick["depth"]) for tick in figures] == [(16, 3), (32, 3), (40, 3)]
    assert "alpha" not in figures[0]


def test_prepared_data_train_as_their_source_does(here: Path) -> None:
    words = TONES.split()
    assert main(["train", *words, "--exp_name", "source", "--save_dataset", "datasets/tones.h5"]) == 0
    assert main(["train", *words, "--exp_name", "prepared", "--load_dataset", "datasets/tones.h5"]) == 0
    assert stats(Path("results/000-source")) == stats(Path("results/001-prepared"))
    assert sorted(path.name for path in Path("results/001-prepared/sound").iterdir()) == sorted(
        path.name for path in Path("results/000-source/sound").iterdir()
    )


def test_a_run_from_python_equals_one_from_the_command_line(here: Path) -> None:
    assert main(["train", *TONES.split(), "--exp_name", "typed"]) == 0
    Path("tones.yaml").write_text("total_kimg: 7\nexp_name: python\nminibatch_size: 8\n")
    overrides = {
        "total_kimg": 0.2,
        "TonesDataset": {"count": 30},
        "Generator": {"fmap_base": 64, "fmap_max": 8, "latent_size": 8},
        "Discriminator.fmap_max": 8,
        "DepthManager.lod_training_nimg": 24,
        "DepthManager.lod_transition_nimg": 24,
        "DepthManager.tick_kimg_default": 0.04,
        "DepthManager.tick_kimg_overrides": {},
        "OutputGenerator.output_snapshot_ticks": 2,
        "postprocessors": ["ImageSaver"],
    }
    result = run(config="tones.yaml", overrides=overrides)
    assert result.path == Path("results/001-python")
    assert (result.nimg, result.exit_status) == (200, 0)
    assert stats(result.path) == stats(Path("results/000-typed"))
    assert result.stats["nimg"] == 200 and result.stats["D_loss"] == stats(result.path)[-1]["D_loss"]
    assert result.files["log"].is_file() and result.files["images"].is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_saves_and_goes_on(number: signal.Signals, status: int, here: Path) -> None:
    command = Command(["train", *TONES.split(), "--total_kimg", "1000", "--compile", "never"], here)
    try:
        figures = here / "results" / "000-TonesDataset" / "stats.jsonl"
        deadline = time.monotonic() + 120
        while not (figures.exists() and figures.read_text().count("\n") > 1):
            assert command.process.is_alive() and time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(command.process.pid, number)
    finally:
        assert command.end(60) == status
    before = figures.read_text()
    assert "interrupted" in (figures.parent / "log.txt").read_text()
    snapshot = torch.load(next(figures.parent.glob("network-snapshot-*.pt")), weights_only=True)
    assert snapshot["nimg"] % 8 == 0 and snapshot["nimg"] >= stats(figures.parent)[-1]["nimg"]
    more = (snapshot["nimg"] + 48) / 1000
    assert main(["train", "--resume", "latest", "--total_kimg", str(more)]) == 0
    after = figures.read_text()
    assert after.startswith(before) and stats(figures.parent)[-1]["nimg"] == snapshot["nimg"] + 48
    assert [path.name for path in (here / "results").iterdir()] == ["000-TonesDataset"]
    assert "resumed at" in (figures.parent / "log.txt").read_text()


@pytest.mark.slow
def test_the_comet_key_is_written_nowhere(here: Path) -> None:
    words = f"train {TONES} --comet_key {KEY} --comet_project_name tests --CometLogger.timeout 0.5"
    offline = {"COMET_URL_OVERRIDE": "http://127.0.0.1:9/clientlib/", "COMET_INTERNAL_REPORTING": "false"}
    command = Command(words.split(), here, HOME=str(here / "home"), **offline)
    assert command.end() == 0, command.error
    folder = here / "results" / "000-TonesDataset"
    assert "logging offline into" in (folder / "log.txt").read_text()
    (archive,) = (folder / "comet").glob("*.zip")
    assert KEY not in command.out + command.error
    for path in (path for path in here.rglob("*") if path.is_file()):
        assert KEY.encode() not in path.read_bytes(), path
        if zipfile.is_zipfile(path):  # a checkpoint is one too
            with zipfile.ZipFile(path) as packed:
                for name in packed.namelist():
                    assert KEY.encode() not in packed.read(name), (path, name)
    with zipfile.ZipFile(archive) as packed:
        assert any(b"D_loss" in packed.read(name) for name in packed.namelist())


@pytest.mark.parametrize("command", ["pggan", "python -m pggan_framework"])
def test_version_as_an_installed_command(command: str, here: Path) -> None:
    done = bash(f"{command} --version", here)
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        ("import pggan_framework", 0.3),
        ("from pggan_framework.cli.main import main; main(['train', '-h'])", 1.0),
    ],
    ids=["import", "help"],
)
def test_import_and_help_are_quick_and_leave_torch_alone(code: str, seconds: float, here: Path) -> None:
    check = "import sys; print(sorted({'torch', 'librosa', 'numpy', 'comet_ml'} & set(sys.modules)))"
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", f"{code}; {check}"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.stdout.splitlines()[-1] == "[]"
    # Time on the processor, so that other work on the machine does not count.
    assert min(taken) < seconds
