"""``pggan inspect``: what it reads, prints and writes, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image

from pggan_framework.cli.main import main
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.data.store.prepared import save_prepared
from pggan_framework.planning.speed import Speed

SIZES = ["--SoundImageDataset.n_fft", "64", "--SoundImageDataset.hop_length", "32", "--SoundImageDataset.margin", "0"]
SIZES += ["--SoundImageDataset.frames", "32", "--SoundImageDataset.img_mode", "abslog"]
RESIZE = ["--DefaultImageFolderDataset.size", "16", "--DefaultImageFolderDataset.resize", "crop"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Four recordings, 0.1 to 0.4 s, of half full scale; one is stereo at 8 kHz, one lasts no whole image."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "pggan_framework.planning.command.measure_speed", lambda channels: Speed({32: 0.008, 64: 0.015})
    )
    (tmp_path / "tones").mkdir()
    for number, (rate, seconds) in enumerate([(16000, 0.1), (16000, 0.2), (8000, 0.4), (16000, 0.05)]):
        wave = 0.5 * np.sin(2 * np.pi * 500 * np.arange(round(rate * seconds)) / rate)
        soundfile.write(f"tones/{number}.wav", np.stack([wave] * 2, 1) if rate == 8000 else wave, rate)
    (tmp_path / "photos").mkdir()
    for number, size in enumerate([(20, 30), (30, 20), (20, 30)]):
        Image.new("RGB", size, (number, 100, 255)).save(f"photos/{number}.png")
    return tmp_path


def inspect(capsys, *words):
    """Exit status, standard output and the last line on standard error."""
    status = main(["inspect", *map(str, words)])
    out, error = capsys.readouterr()
    assert "Traceback" not in error
    return status, out, error.strip()


def test_a_folder_of_recordings(root, capsys):
    words = ["--dataset_class", "SoundImageDataset", *SIZES, "--SoundImageDataset.too_short", "pad", "--clips", "2"]
    status, out, error = inspect(capsys, "tones", *words)
    assert (status, error) == (0, "")
    folder = root / "results" / "inspect-tones"
    names = {"report.txt", "report.json", "pictures.png", "depths.png"}
    names |= {f"clip_0{n}{end}" for n in range(2) for end in (".png", "_original.wav", "_decoded.wav")}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "report.txt").read_text() in out and str(folder.name) in out
    found = json.loads((folder / "report.json").read_text())
    assert found["count"] == 4 and found["shape"] == [1, 32, 32] and found["stages"][0] == "4x4"
    lengths = {"min": 0.05, "median": 0.15, "max": 0.4, "total": 0.75}
    assert found["recordings"]["seconds"] == pytest.approx(lengths)
    assert found["recordings"]["sample_rates"] == {"8000": 1, "16000": 3}
    assert found["recordings"]["channels"] == {"1": 3, "2": 1}
    assert found["levels"]["rms_db"]["50"] == pytest.approx(-9.03, abs=0.05)
    assert found["round_trip"]["clips"] == 2 and found["round_trip"]["mean_db"] < -5
    original, rate = soundfile.read(folder / "clip_01_original.wav")
    assert rate == 16000 and original.shape == (1024,) and np.abs(original).max() == pytest.approx(0.5, abs=0.01)
    assert "padded" in out


def test_a_folder_without_flags_is_inspected_as_pggan_train_would_train_on_it(root, capsys):
    status, out, error = inspect(capsys, "tones", "--clips", "1")
    assert status == 0 and "found: 4 recordings" in out and "tones: 4 clips" in out
    found = json.loads((root / "results" / "inspect-tones" / "report.json").read_text())
    main(["plan", "tones", "-o", "tones.yaml"])
    planned = yaml.safe_load((root / "tones.yaml").read_text())["SoundImageDataset"]
    assert found["shape"] == [1, planned["bins"] if "bins" in planned else planned["frames"], planned["frames"]]
    status, out, error = inspect(capsys, "photos", "--clips", "1", "--DefaultImageFolderDataset.size", "8")
    assert status == 0 and "images of 8 px" in out and "photos: 3 images" in out


def test_clipping_is_seen_in_the_files_before_they_are_mixed(root, capsys):
    wave = np.zeros((4000, 2), np.float32)
    wave[:, 0] = 0.3 * np.sin(np.arange(4000))
    wave[:80, 0] = 1  # 1 % of both channels' samples; half full scale when mixed
    (root / "loud").mkdir()
    soundfile.write("loud/a.wav", wave, 16000)
    status, out, _ = inspect(capsys, "loud", *SIZES)
    found = json.loads((root / "results" / "inspect-loud" / "report.json").read_text())
    assert status == 0 and found["recordings"]["full_scale_share"] == 0.01
    assert found["levels"]["full_scale_share"] == 0
    assert "1.00% of the recordings' samples are at full scale" in " ".join(out.split())


def test_a_second_inspection_leaves_the_first_alone(root, capsys):
    for name in ("inspect-photos", "inspect-photos-2", "inspect-photos-3"):
        assert inspect(capsys, "photos", *RESIZE)[0] == 0
        assert (root / "results" / name / "report.txt").is_file()
    assert not list((root / "results").glob(".*"))


def test_a_folder_of_pictures_to_a_named_folder(root, capsys):
    (root / "photos" / "voice.wav").write_bytes(b"")  # three images to one recording
    status, out, _ = inspect(capsys, "photos", *RESIZE, "--out", root / "look")
    assert status == 0 and "2 upright; 1 wide" in out and "20 to 30 high, 20 to 30 wide" in out
    found = json.loads((root / "look" / "report.json").read_text())
    assert found["files"] == {"count": 3, "sizes": {"30x20": 2, "20x30": 1}, "modes": {"RGB": 3}}
    assert found["values"]["mean"] == pytest.approx([1, 100, 255])
    assert Image.open(root / "look" / "pictures.png").mode == "RGB"


def test_the_more_frequent_kind_of_file_counts(root, capsys):
    Image.new("RGB", (8, 8)).save("tones/cover.png")
    assert inspect(capsys, "tones", *SIZES, "--SoundImageDataset.too_short", "reject")[1].count("tones: 2 clips")
    status, out, _ = inspect(capsys, "tones", "--dataset_class", "DefaultImageFolderDataset")
    assert status == 0 and out.startswith("tones: 1 image")


def test_a_config_file_and_a_flag_above_it(root, capsys):
    (root / "small.yaml").write_text(
        "dataset_class: TonesDataset\nsave_dataset: never.h5\n"
        "TonesDataset: {count: 30}\nSoundSaver.griffin_lim_iter: 2\n"
    )
    status, out, _ = inspect(capsys, "small.yaml", "--TonesDataset.count", "7")
    assert status == 0 and out.startswith("small.yaml: 7 clips")
    found = json.loads((root / "results" / "inspect-small" / "report.json").read_text())
    assert next(iter(found["round_trip"]["others"])) == "--SoundSaver.griffin_lim_iter 6"  # three times as many
    assert not (root / "never.h5").exists()


def test_a_prepared_file_has_no_originals(root, capsys):
    save_prepared(TonesDataset(count=5), root / "tones.h5")
    status, out, _ = inspect(capsys, "tones.h5", "--clips", "2")
    assert status == 0 and "holds no originals" in " ".join(out.split())
    assert sorted(path.name for path in (root / "results" / "inspect-tones").glob("*.wav")) == [
        "clip_00_decoded.wav",
        "clip_01_decoded.wav",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "inspect needs DATA as its first argument"),
        (["--clips", "3"], "inspect needs DATA as its first argument"),
        (["tone"], "tone does not exist (did you mean 'tones'?)"),
        (["tones", "--clip", "3"], "unknown flag --clip (did you mean '--clips'?)"),
        (["tones", "--clips", "0"], "--clips 0 is not allowed; allowed: 1 or more"),
        (["tones", "--max_clips", "many"], "invalid int value: 'many'"),
        (["tones", "--SoundImageDataset.nfft", "64"], "did you mean 'SoundImageDataset.n_fft'?"),
        (["tones", "--out", "photos"], "photos exists already and is not empty"),
        (["tones", "--resume", "latest"], "inspect takes no --resume"),
        (["tones", "--dataset_class", "TonesDataset"], "TonesDataset takes no folder from inspect"),
        (["tones", "photos"], "unexpected 'photos'"),
        (["empty"], "neither recordings nor images: it is empty"),
        (["texts"], "1 file ending in .txt"),
        (["texts/a.txt"], "allowed: a folder, a prepared file (.h5), a config file (.yaml)"),
        (["bad.yaml"], "unknown key 'dataset_clas'"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_nothing(root, capsys, words, message):
    (root / "empty").mkdir()
    (root / "texts").mkdir()
    (root / "texts" / "a.txt").write_text("hello")
    (root / "bad.yaml").write_text("dataset_clas: TonesDataset\n")
    status, out, error = inspect(capsys, *words)
    assert (status, out) == (2, "")
    assert error.startswith("error: ") and message in error and "\n" not in error
    assert not (root / "results").exists()


def test_help_loads_no_torch():
    code = (
        "import sys; from pggan_framework.cli.main import main; main(['inspect', '-h']);"
        " sys.exit(bool({'torch', 'librosa', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("usage: pggan inspect DATA") and "--max_clips" in done.stdout
