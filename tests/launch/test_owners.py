"""A run has one owner and a unique number, and writes into its own folder alone; no file has code loaded."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny import TONES

from pggan_framework import run
from pggan_framework.cli.main import main
from pggan_framework.errors import UserError
from pggan_framework.models.pretrained import load_generator
from pggan_framework.runs.folders import check_name, inside, make_run_folder, snapshots
from pggan_framework.storage.locks import owned

SMALL = {**TONES, "Trainer.tick_nimg_default": 8, "total_kimg": 0.016, "plugin_dirs": []}
EVIL = "from pathlib import Path\nPath('ran').touch()\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ticks."""
    return run(overrides={**SMALL, "result_dir": str(tmp_path_factory.mktemp("results"))}).path


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change, in the working folder; with code of a stranger next to it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "evil_twin.py").write_text(EVIL, encoding="utf-8")
    return shutil.copytree(trained, tmp_path / "results" / "000-a")


def _edit(folder: Path, **changes: Any) -> None:
    """Change the configuration of a run, in its file and in its checkpoint."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}), encoding="utf-8")
    checkpoint = snapshots(folder)[-1]
    state = torch.load(checkpoint, weights_only=True)
    state["config"] |= changes
    torch.save(state, checkpoint)


def test_a_second_owner_is_refused_and_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with owned(folder, "it"):
        assert main(["train", "--resume", str(folder), "--total_kimg", "0.032"]) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(f"error: the run {folder} is in use by ")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert main(["train", "--resume", str(folder), "--total_kimg", "0.032"]) == 0
    assert not (folder / ".lock").exists()


def test_the_saver_removes_what_it_wrote_or_resumed_from_and_nothing_else(folder: Path) -> None:
    start = snapshots(folder)[-1]
    older = folder / "network-snapshot-000000.pt"
    assert start == older  # 16 images are 0 kimg
    foreign = folder / "network-snapshot-000007.pt"
    shutil.copy(start, foreign)
    run(overrides={"resume": str(start), "total_kimg": 2, "minibatch_size": 500, "allow_config_change": True})
    # The newer one of a line that is given up stays, under a name that latest does not find.
    assert [path.name for path in snapshots(folder)] == ["network-snapshot-000002.pt"]
    assert (folder / "network-snapshot-000007.pt.superseded").exists()


def test_runs_that_start_at_once_have_numbers_of_their_own(tmp_path: Path) -> None:
    names = [f"run{number % 5}" for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda name: make_run_folder(tmp_path, name), names))
    numbers = sorted(int(path.name[:3]) for path in made)
    assert len(set(numbers)) == 24
    assert sorted(tmp_path.iterdir()) == sorted(made)


def test_a_claim_of_another_run_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def renamed(path: Path, target: Path) -> Path:
        made = rename(path, target)
        path.mkdir()  # at this very moment, another run claims the number
        return made

    monkeypatch.setattr(Path, "rename", renamed)
    assert make_run_folder(tmp_path, "a") == tmp_path / "000-a"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".claim-000", "000-a"]


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "a/b", "..", ".", "", "a\x1b[2J", "a\\b", "x" * 201, "a\u2028b"])
def test_a_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="exp_name: ") as caught:
        check_name(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["piano", "Klavier-Töne_2", "a b", "猫", "x" * 200])
def test_other_names_are_allowed(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "given", ["/tmp/x", "../x", "a/../../x", "..", "C:\\x", "\\\\host\\x", "a\\..\\..\\x", "", "a\nb"]
)
def test_a_path_out_of_the_run_is_refused(given: str) -> None:
    with pytest.raises(UserError, match="allowed: a path inside the run's folder"):
        inside("ImageSaver.samples_path", given)


@pytest.mark.parametrize(
    "flags",
    [
        {"postprocessors": ["ImageSaver"], "ImageSaver.samples_path": "../../x"},
        {"postprocessors": ["SoundSaver"], "SoundSaver.samples_path": "/tmp/x"},
        {"JSONLLogger.filename": "/tmp/x.jsonl"},
        {"loggers": ["TeeLogger"], "TeeLogger.filename": "../../../.bashrc"},
        {"plugins": ["LossCurves"], "LossCurves.filename": "../x.png"},
    ],
)
def test_a_config_cannot_write_outside_its_run(tmp_path: Path, flags: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="a path inside the run's folder"):
        run(overrides={**SMALL, **flags, "result_dir": str(tmp_path / "results")})
    assert not (tmp_path / "results").exists()


def test_a_link_out_of_a_downloaded_run_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = folder.parents[1] / ".bashrc"
    target.write_text("mine\n", encoding="utf-8")
    (folder / "log.txt").unlink(missing_ok=True)
    (folder / "log.txt").symlink_to(target)
    assert main(["train", "--resume", str(folder), "--total_kimg", "0.032", "--loggers", "TeeLogger"]) == 2
    assert "is a link out of the run's folder" in capsys.readouterr().err
    assert target.read_text() == "mine\n"


@pytest.mark.parametrize("plugin_dirs", [["theirs"], "theirs"])
def test_a_checkpoint_has_no_code_loaded(
    folder: Path, plugin_dirs: Any, capsys: pytest.CaptureFixture[str], own_plugins: None
) -> None:
    _edit(folder, plugin_dirs=plugin_dirs)
    checkpoint = str(snapshots(folder)[-1])
    assert load_generator(Path(checkpoint)).sample(1).shape[0] == 1
    assert main(["generate", checkpoint, "--count", "1", "--out", "made"]) == 0
    assert main(["export", checkpoint, "--format", "safetensors", "--out", "made.safetensors"]) in (0, 2)
    assert main(["train", "--resume", str(folder), "--total_kimg", "0.024"]) == 0
    assert "--plugin_dirs theirs" in capsys.readouterr().err
    assert main(["train", "--config", str(folder / "config.yaml"), "--total_kimg", "0.008", "--exp_name", "b"]) == 0
    assert not Path("ran").exists()
    assert not [name for name in sys.modules if "evil_twin" in name]


def test_a_checkpoint_that_needs_code_says_what_to_type(
    folder: Path, capsys: pytest.CaptureFixture[str], own_plugins: None
) -> None:
    _edit(folder, plugin_dirs=["theirs"], generator="Theirs", Theirs={})
    checkpoint = str(snapshots(folder)[-1])
    assert main(["generate", checkpoint]) == 2
    assert "needs the generator 'Theirs'" in (error := capsys.readouterr().err)
    assert "--plugin_dirs DIR" in error
    assert not Path("ran").exists()
    assert main(["generate", checkpoint, "--plugin_dirs", "theirs"]) == 2
    assert Path("ran").exists()  # the user has said so


def test_runs_of_one_name_in_two_folders_keep_their_checkpoints_apart(tmp_path: Path) -> None:
    flags = {**SMALL, "exp_name": "a", "checkpoints_dir": str(tmp_path / "weights")}
    first = run(overrides={**flags, "result_dir": str(tmp_path / "one")})
    (saved,) = snapshots(tmp_path / "weights" / "000-a")
    content = saved.read_bytes()
    with pytest.raises(UserError, match="checkpoints_dir: .*000-a has the checkpoints of another run"):
        run(overrides={**flags, "result_dir": str(tmp_path / "two")})
    assert not list((tmp_path / "two").iterdir())
    # A stranger's run whose checkpoint is in its folder, and whose config names this one.
    theirs = run(overrides={**flags, "result_dir": str(tmp_path / "two"), "checkpoints_dir": ""})
    _edit(theirs.path, checkpoints_dir=str(tmp_path / "weights"))
    more = {"total_kimg": 0.032, "resume": str(snapshots(theirs.path)[-1])}
    with pytest.raises(UserError, match="checkpoints of another run"):
        run(overrides=more)
    assert [path.read_bytes() for path in snapshots(tmp_path / "weights" / "000-a")] == [content]
    assert run(overrides={**more, "checkpoints_dir": ""}).nimg == 32
    assert run(overrides={"total_kimg": 0.032, "resume": str(first.path)}).nimg == 32


def test_checkpoints_may_be_in_the_runs_own_folder_by_name(tmp_path: Path) -> None:
    assert run(overrides={**SMALL, "result_dir": str(tmp_path), "checkpoints_dir": str(tmp_path)}).nimg == 16


def test_a_run_that_moves_its_checkpoints_has_the_old_one_until_there_is_a_new_one(folder: Path) -> None:
    _edit(folder, checkpoints_dir=str(folder.parent / "elsewhere"))
    assert run(overrides={"total_kimg": 0.024, "resume": str(folder), "checkpoints_dir": ""}).nimg == 24


@pytest.mark.parametrize(
    "place", ["config.yaml", "stats.jsonl", "images/fakes_000000.png", "network-snapshot-000009.pt"]
)
@pytest.mark.parametrize("link", [False, True])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_in_a_downloaded_run_hangs_no_command(
    folder: Path, place: str, link: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = folder / place
    pipe.parent.mkdir(exist_ok=True)
    pipe.unlink(missing_ok=True)
    pipe.symlink_to("/dev/zero") if link else os.mkfifo(pipe)
    for words in (["report"], ["verify"], ["info"], ["generate"], ["train", "--resume"]):
        assert main([*words, str(folder)]) == 2
        assert (
            capsys.readouterr().err
            == f"error: {pipe} is not a file but a pipe or a device; allowed: files and folders\n"
        )
