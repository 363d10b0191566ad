import numpy as np
import pytest
import torch
from PIL import Image
from tiny import TONES
from written import names

from pggan_framework import run as train
from pggan_framework.cli.main import main
from pggan_framework.generate.player import Player
from pggan_framework.generate.samples import drawn
from pggan_framework.models.pretrained import load_generator
from pggan_framework.runs.folders import snapshots
from pggan_framework.training.checkpoint import save_checkpoint


@pytest.fixture
def sheets(tmp_path, monkeypatch):
    """A run whose grids are 2, 4 and 8 pixels wide, each a step brighter."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "003-cats"
    (folder / "pictures").mkdir(parents=True)
    (folder / "config.yaml").write_text("ImageSaver: {samples_path: pictures}\n")
    for kimg, side in ((10, 2), (20, 4), (100, 8)):
        Image.new("RGB", (2 * side, side), (kimg, 2 * kimg, 0)).save(folder / "pictures" / f"fakes_{kimg:06d}.png")
    return folder


def frames_of(path):
    with Image.open(path) as moving:
        found, shown = [], []
        for number in range(moving.n_frames):
            moving.seek(number)
            found.append(np.asarray(moving.convert("RGB")).astype(int))
            shown.append(moving.info["duration"])
    return found, shown


def test_the_sheets_of_a_run_in_one_size(sheets, tmp_path, capsys):
    for model in ("latest", "results/003-cats"):
        assert main(["video", model, f"{model[:3]}/training.gif", "--fps", "4", "--hold", "1.5"]) == 0
        assert names(tmp_path / model[:3])[:1] in (["training.gif"], ["003-cats/config.yaml"])
    frames, shown = frames_of(tmp_path / "lat" / "training.gif")
    assert [frame.shape for frame in frames] == [(8, 16, 3)] * 3 and shown == [250, 250, 1500]
    for frame, kimg in zip(frames, (10, 20, 100), strict=True):
        assert abs(frame - (kimg, 2 * kimg, 0)).max() <= 4
    assert "3 sheets of results/003-cats, 2.00 s\nwritten to lat/training.gif\n" in capsys.readouterr().out
    assert main(["video", "latest", "small.gif", "--size", "16", "--caption"]) == 0
    frames, _ = frames_of(tmp_path / "small.gif")
    assert frames[0].shape == (8 + 22, 16, 3) and frames[0][8:].min() < 128  # words on white below


def test_samples_of_the_snapshots(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = train(config=[], overrides={**TONES, "total_kimg": 0.02, "result_dir": "results"}).path
    state = torch.load(snapshots(run)[0], weights_only=True)
    later = {**state, "nimg": 5000, "networks": {**state["networks"], "depth": 2}}  # as if it had continued
    save_checkpoint(run / "network-snapshot-000005.pt", later)
    kept = snapshots(run)
    words = ["--of", "snapshots", "--seeds", "3,5", "--size", "64"]
    assert main(["video", "latest", "a.webp", *words]) == 0
    frames, shown = frames_of(tmp_path / "a.webp")
    assert len(frames) == len(kept) == 2 and shown == [200, 2000]
    for place in (0, -1):
        model = load_generator(kept[place])
        player = Player(model)
        pictures = np.stack([player.picture(player.latent(seed), None) for seed in (3, 5)])
        wanted = np.asarray(drawn(model, pictures, 64).convert("RGB")).astype(int)
        assert frames[place].shape == wanted.shape and abs(frames[place] - wanted).mean() < 12
    assert main(["video", "latest", "b.gif", *words, "--weights", "raw", "--caption"]) == 0
    assert "snapshots of results/000-" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["latest"], "OUT"),
        (["latest", "a.avi"], "a.avi is given; allowed: a file that ends in .gif, .webp, .mp4"),
        (["latest", "old.gif"], "old.gif exists already"),
        (["latest", "a.gif", "--fps", "70"], "--fps is 70; allowed for gif: 0.05 to 50"),
        (["latest", "a.gif", "--fps", "nan"], "--fps is nan"),
        (["latest", "a.gif", "--hold", "-1"], "--hold is -1; allowed: 0 to 60 seconds"),
        (["latest", "a.gif", "--size", "2"], "--size is 2; allowed: 16 to 8192"),
        (["latest", "a.gif", "--seeds", "1"], "--seeds is given without --of snapshots"),
        (["latest", "a.gif", "--label", "pitch=60"], "--label is given without --of snapshots"),
        (
            ["latest", "a.gif", "--of", "snapshots"],
            "results/003-cats holds 0 checkpoints, and a video needs two or more",
        ),
        (["latest", "a.gif", "--of", "snapshots", "--seeds", "x"], "--seeds 'x' is given"),
        (["results/003-dogs", "a.gif"], "results/003-dogs does not exist (did you mean 'results/003-cats'?)"),
        (["old.gif", "a.gif"], "old.gif is a file; allowed: a run's folder, or latest"),
        (["results", "a.gif"], "results is not a run's folder"),
        (["latest", "a.gif", "--result_dir", "none"], "there is no run in none"),
        (["one", "a.gif"], "one/images holds 0 sample grids (fakes_*.png), and a video needs two or more"),
        (["latest", "old.gif/a.gif"], "cannot write old.gif/a.gif"),
    ],
)
def test_what_cannot_be_is_one_line(words, message, sheets, tmp_path, capsys):
    (tmp_path / "old.gif").touch()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "config.yaml").write_text("postprocessors: []\n")
    before = names(tmp_path)
    assert main(["video", *words]) == 2
    out, error = capsys.readouterr()
    assert error.startswith("error: ") and message in error and error.count("\n") == 1 and not out
    assert names(tmp_path) == before


def test_a_sheet_that_is_damaged_leaves_nothing(sheets, tmp_path, capsys):
    (sheets / "pictures" / "fakes_000050.png").write_bytes(b"no image")
    before = names(tmp_path)
    assert main(["video", "latest", "a.gif"]) == 2
    assert "fakes_000050.png" in capsys.readouterr().err and names(tmp_path) == before
