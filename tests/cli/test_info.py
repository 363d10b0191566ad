import json
import os
import pickle

import h5py
import numpy as np
import pytest
import torch
from tiny import TONES

from pggan_framework import run as train
from pggan_framework.cli.main import main
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.data.store.prepared import save_prepared
from pggan_framework.models.details import count_parameters
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.runs.folders import snapshots


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("info")
    overrides = {**TONES, "total_kimg": 0.05, "result_dir": str(root), "exp_name": "notes", "penalties": ["R1"]}
    return train(config=[], overrides=overrides).path


def told(capsys, *words):
    assert main(["info", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_a_run_and_its_checkpoint(run_folder, capsys, monkeypatch):
    (path,) = snapshots(run_folder)
    found = json.loads(told(capsys, run_folder, "--json"))
    assert found == json.loads(told(capsys, path, "--json"))
    assert found == json.loads(told(capsys, "latest", "--result_dir", run_folder.parent, "--json"))
    state = torch.load(path, weights_only=True)
    assert (found["kind"], found["format_version"], found["run"]) == ("checkpoint", 1, "notes")
    assert (found["nimg"], found["tick"]) == (state["nimg"], state["tick"]) and found["nimg"] >= 50
    shape = found["shape"]
    sides = {name: network(shape, fmap_base=32, fmap_max=4, **more) for name, network, more in (
        ("generator", Generator, {"latent_size": 4}), ("discriminator", Discriminator, {}))}  # fmt: skip
    for name, network in sides.items():
        assert found[f"{name}_parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert (found["depth"], found["shape_at_depth"]) == (0, [shape[0], 4, 4])
    assert (found["loss"], found["penalties"], found["dataset"]) == ("WGANGP", ["R1"], "TonesDataset")
    assert found["codec"]["name"] == state["codec"]["name"] and found["labels"] is None
    lines = dict(line.split("  ", 1) for line in told(capsys, path).splitlines())
    assert (
        lines["stopped at"].strip()
        == f"{found['kimg']:g} of 0.05 kimg ({found['nimg']} images), tick {found['tick']}, finished"
    )
    assert lines["labels    ".strip()].strip() == "none"


def test_labels_have_counts(run_folder, tmp_path, capsys):
    state = torch.load(snapshots(run_folder)[0], weights_only=True)
    space = [{"name": "pitch", "values": ["60", "61", "62"]}, {"name": "level", "span": [0.0, 2.0]}]
    rows = torch.tensor([[0.0, 0.5], [0.0, 1.5], [2.0, 2.0]], dtype=torch.float64)
    state["labels"] = {"space": space, "rows": rows, "counts": torch.tensor([3, 4, 5])}
    state["networks"]["alpha"], state["trainer"]["total_nimg"] = 0.5, 20_000
    torch.save(state, tmp_path / "net.pt")
    out = told(capsys, tmp_path / "net.pt")
    assert "3 values: 60 (7), 61 (0), 62 (5)" in out and "a number from 0 to 2" in out
    assert "fading in at alpha 0.50" in out and "not finished" in out


def test_a_run_of_epochs_is_finished_where_they_are(tmp_path, capsys):
    result = train(overrides={**TONES, "total_epochs": 0.4, "result_dir": str(tmp_path)})
    out = told(capsys, result.path)
    assert "0.008 of 0.008 kimg (8 images)" in out and ", finished" in out


def test_running_averages_are_no_parameters():
    network = Generator((3, 16, 16), fmap_base=32, fmap_max=4, norm="batch", spectral_norm=True)
    assert len(network.state_dict()) > len(list(network.parameters()))
    assert count_parameters(network.state_dict()) == sum(parameter.numel() for parameter in network.parameters())


def test_files_of_data(tmp_path, capsys):
    dataset = TonesDataset(count=6)
    save_prepared(dataset, tmp_path / "tones.h5")
    found = json.loads(told(capsys, tmp_path / "tones.h5", "--json"))
    assert (found["kind"], found["format_version"], found["images"]) == ("prepared data", 1, 6)
    assert found["shape"] == list(dataset.shape) and found["data_fingerprint"] == dataset.fingerprint()
    assert found["codec"] == json.loads(json.dumps(dataset.codec.state_dict()))
    with h5py.File(tmp_path / "old.h5", "w") as file:
        for side in (8, 4):
            file.create_dataset(f"data{side}x{side}", data=np.zeros((5, 3, side, side), np.uint8))
    out = told(capsys, tmp_path / "old.h5")
    assert (
        "HDF5 file of images\n" in out
        and "5 of 3x8x8, uint8" in out
        and "data8x8, data4x4" in out.replace("data4x4, data8x8", "data8x8, data4x4")
    )


class Code:
    def __reduce__(self):
        return os.mkdir, ("was_run",)


@pytest.mark.parametrize(
    "kind", ["text", "empty", "cut", "pickle", "old torch", "torch", "other", "damaged", "hdf5", "missing"]
)
def test_what_is_neither_is_one_line(kind, run_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (source,) = snapshots(run_folder)
    whole, path = source.read_bytes(), tmp_path / "file"
    if kind == "damaged":
        state = torch.load(source, weights_only=True)
        state["growth"]["doubles"] = 3
        torch.save(state, path)
    elif kind in ("torch", "old torch"):
        torch.save({"format": Code()}, path, _use_new_zipfile_serialization=kind == "torch")
    elif kind == "other":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind != "missing":
        bad = {"text": b"hello", "empty": b"", "cut": whole[: len(whole) // 2], "pickle": pickle.dumps(Code())}
        path.write_bytes(bad.get(kind, b"\x89HDF\r\n\x1a\nnothing"))
    assert main(["info", "file"]) == 2
    out, error = capsys.readouterr()
    message = {"other": "not a checkpoint of pggan_framework", "damaged": "is damaged", "missing": "does not exist",
               "hdf5": "cannot open", **dict.fromkeys(("pickle", "torch"), "nothing in it was executed")}  # fmt: skip
    assert error.startswith("error: ") and error.count("\n") == 1 and not out
    assert message.get(kind, "cannot be read as a checkpoint") in error
    assert not (tmp_path / "was_run").exists()
