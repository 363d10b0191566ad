"""What the tests of shards share."""

from __future__ import annotations

from pathlib import Path

import pytest

from pggan_framework.cli.main import main

COUNT = 22
SMALL = [
    *[f"--{network}.{name}=8" for network in ("Generator", "Discriminator") for name in ("fmap_base", "fmap_max")],
    *["--minibatch_size", "4", "--progressive_growing", "False", "--Trainer.tick_nimg_default", "8"],
    *["--compile", "never", "--num_data_workers", "0", "--postprocessors", "['ImageSaver']"],
]
TRAIN = ["train", "--dataset_class", "OldH5Dataset", "--OldH5Dataset.h5_path"]


def prepare(source: Path, out: Path, *words: str) -> Path:
    assert main(["prepare", str(source), str(out), "--labels", "folder", "--jobs", "1", *words]) == 0
    return out


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends with."""
    capsys.readouterr()
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error
