"""Numbers, names and places as people type them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.cli.main import main
from pggan_framework.config.convert import convert
from pggan_framework.config.general import General
from pggan_framework.config.parameters import parameters
from pggan_framework.config.resolve import resolve
from pggan_framework.config.text import load_file
from pggan_framework.config.typed import TYPED
from pggan_framework.errors import UserError
from pggan_framework.registry import REGISTRY


@settings(deadline=None)
@given(number=st.integers(0, 10**6), zeros=st.integers(0, 3), text=st.booleans())
def test_leading_zeros_are_no_octal(number: int, zeros: int, text: bool) -> None:
    written = "0" * zeros + str(number)
    assert convert(written, int, "x", text) == number
    assert convert(f"[{written}, {written}]", list[int], "x", text) == [number, number]
    assert convert(f"{{{written}: {written}}}", dict[int, int], "x", text) == {number: number}
    assert convert(written, str, "x", text) == written


@pytest.mark.parametrize("written", ["007", "0808", "010"])
def test_leading_zeros_in_files(tmp_path: Path, written: str) -> None:
    (tmp_path / "c.yaml").write_text(f"random_seed: {written}\nexp_name: {written}\n")
    config = resolve(["--config", str(tmp_path / "c.yaml")])
    assert config.general.random_seed == int(written, 10) and config.general.exp_name == written
    assert load_file(tmp_path / "c.yaml")["exp_name"] == written
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert resolve(["--config", str(tmp_path / "again.yaml")]).general == config.general


@settings(deadline=None)
@given(mantissa=st.integers(1, 99), exponent=st.integers(0, 5))
def test_whole_numbers_with_exponents(mantissa: int, exponent: int) -> None:
    written = f"{mantissa}e{exponent}"
    assert convert(written, int, "x", True) == mantissa * 10**exponent
    assert convert(float(written), int | None, "x") == mantissa * 10**exponent
    assert convert(f"{{0: {written}}}", dict[int, int], "x", True) == {0: mantissa * 10**exponent}


@pytest.mark.parametrize(("value", "kind"), [("1.5", int), ("1e-1", int), ("1:30", int), ("1:30", float | None)])
def test_what_is_no_whole_number_is_refused(value: str, kind: Any) -> None:
    with pytest.raises(UserError, match="x: .* is not of type"):
        convert(value, kind, "x", True)


def test_lod_training_nimg() -> None:
    assert resolve(["--DepthManager.lod_training_nimg", "1e3"]).components["DepthManager"]["lod_training_nimg"] == 1000


@pytest.mark.parametrize("held", [True, False])
def test_a_config_that_is_a_folder(tmp_path: Path, held: bool) -> None:
    if held:
        (tmp_path / "a.yaml").touch()
    found = r"such as .*a\.yaml" if held else "and it holds none"
    with pytest.raises(UserError, match=f"--config .* is a folder; allowed: a YAML file, {found}"):
        resolve(["--config", str(tmp_path)])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--lr", "--G_lr_max and --D_lr_max"),
        ("--seed", "--random_seed"),
        ("--data", "--dataset_class"),
        ("--batch-size", "--minibatch_size"),
        ("--image_snapshot_ticks", "--OutputGenerator.output_snapshot_ticks"),
        ("--SoundSaver.mode", "--SoundSaver.format"),
        ("--epochs", "--total_kimg"),
        ("--outdir", "--result_dir"),
        ("--sample_rate", "--SoundImageDataset.frequency"),
        ("--learning_rate", "--G_lr_max and --D_lr_max"),
        ("--checkpoint", "--resume latest"),
        ("--resume_pkl", "--resume_network"),
        ("--hop_size", "--SoundImageDataset.hop_length"),
        ("--duration", "--SoundImageDataset.frames"),
        ("--n_critic", "--Trainer.D_training_repeats"),
        ("--lambda_gp", "--iwass_lambda"),
        ("--ngf", "--Generator.fmap_base"),
        ("--class_cond", "--SoundImageDataset.labels"),
        ("--grad_clip", "--Adam.clip_norm"),
        ("--img-size", "--DefaultImageFolderDataset.size"),
        ("--wandb", "--loggers"),
        ("--model", "--generator"),
        ("--warmup", "--lr_rampup_kimg"),
        ("--quiet", "--verbosity"),
    ],
)
def test_names_that_people_type(typed: str, meant: str) -> None:
    with pytest.raises(UserError) as error:
        resolve([typed, "1"])
    assert f"use {meant}" in str(error.value) and "did you mean" not in str(error.value)


def test_what_is_suggested_exists() -> None:
    resolve([])  # loads the components
    known = set(parameters(General)) | {
        f"{component.name}.{name}" for component in REGISTRY for name in parameters(component.cls, component.name)
    }
    for typed, words in TYPED.items():
        flags = [word.strip("(),.").removeprefix("--") for word in words.split() if word.startswith("--")]
        assert flags, typed
        for flag in flags:
            assert flag in known or flag in ("NAME.dir_path", "config"), (typed, flag)
        assert typed not in known


def test_a_narrow_code_page_ends_nothing(tmp_path: Path) -> None:
    name = "Ωmega→"
    folder = tmp_path / name
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pggan_framework", "plan", str(folder)],
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2 and b"Traceback" not in done.stderr and b"mega" in done.stderr


def test_standard_output_that_cannot_print_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", narrow)
    monkeypatch.setattr("pggan_framework.cli.info.run", lambda words: print(words[0]) or 0)
    assert main(["info", "Ω→.h5"]) == 0
    narrow.flush()
    assert narrow.buffer.getvalue() == b"??.h5" + os.linesep.encode()  # type: ignore[attr-defined]
