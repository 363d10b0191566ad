"""The contract: what each spelling on a command line means."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pggan_framework.config import Config, resolve, resolve_overrides
from pggan_framework.errors import UserError

pytestmark = pytest.mark.usefixtures("toys")
Write = Callable[[str, str], str]

DEEPSOUND = (
    "--exp_name TEST --dataset_class SoundImageDataset --SoundImageDataset.dir_path PATH"
    " --SoundImageDataset.preload True --SoundImageDataset.img_mode abslog"
    " --postprocessors ['ImageSaver', 'SoundSaver']"
    " --ImageSaver.samples_path images --SoundSaver.samples_path sound"
)


def value(config: Config, dotted: str) -> Any:
    owner, _, name = dotted.rpartition(".")
    return config.components[owner][name] if owner else getattr(config.general, name)


def test_the_command_in_deepsounds_readme() -> None:
    config = resolve(shlex.split(DEEPSOUND))  # splits as bash does: the quotes go, the list becomes two words
    assert config.general.exp_name == "TEST"
    assert config.general.postprocessors == ["ImageSaver", "SoundSaver"]
    sound = config.components["SoundImageDataset"]
    assert sound == {"dir_path": Path("PATH"), "preload": True, "img_mode": "abslog", "range_out": (-1.0, 1.0)}
    assert config.components["ImageSaver"]["samples_path"] == Path("images")
    assert config.components["SoundSaver"]["samples_path"] == Path("sound")
    assert "TonesDataset" not in config.components


@pytest.mark.parametrize(
    ("line", "dotted", "expected"),
    [
        ("--total_kimg 20", "total_kimg", 20.0),
        ("--total_kimg=1e-3", "total_kimg", 0.001),
        ("--Adam.eps 1e-7", "Adam.eps", 1e-7),
        ("--Adam.betas (0, 0.9)", "Adam.betas", (0.0, 0.9)),
        ("--Adam.betas '(0, 0.9)'", "Adam.betas", (0.0, 0.9)),
        ("--Adam.betas=[0.5, 0.9]", "Adam.betas", (0.5, 0.9)),
        ("--Adam.betas 0.5,0.9", "Adam.betas", (0.5, 0.9)),
        ("--Adam.betas.1 0.5", "Adam.betas", (0.0, 0.5)),
        ("--DepthManager.minibatch_overrides '{3: 8}'", "DepthManager.minibatch_overrides", {3: 8}),
        ("--DepthManager.minibatch_overrides {3: 8, 4: 2}", "DepthManager.minibatch_overrides", {3: 8, 4: 2}),
        ("--DepthManager.minibatch_overrides.6 9", "DepthManager.minibatch_overrides", {6: 9, 7: 6, 8: 3}),
        ("--DepthManager.minibatch_overrides {}", "DepthManager.minibatch_overrides", {}),
        ("--DepthManager.max_lod None", "DepthManager.max_lod", None),
        ("--DepthManager.max_lod 7", "DepthManager.max_lod", 7),
        ("--progressive_growing False", "progressive_growing", False),
        ("--progressive_growing no", "progressive_growing", False),
        ("--dry_run", "dry_run", True),
        ("--debug --dry_run false", "dry_run", False),
        ("--exp_name 007", "exp_name", "007"),
        ("--Generator.title None", "Generator.title", "None"),
        ("--Generator.note None", "Generator.note", None),
        ("--Generator.title '[half'", "Generator.title", "[half"),
        ("--plugins RawThing --RawThing.x -3", "RawThing.x", -3),
        ("--plugins [RawThing]", "plugins", ["RawThing"]),
        ("--postprocessors None", "postprocessors", None),
        ("--postprocessors []", "postprocessors", []),
        ("--loggers [\"TeeLogger\", 'JSONLLogger']", "loggers", ["TeeLogger", "JSONLLogger"]),
        ("--loss wgan_gp", "loss", "WGANGP"),
        ("--wgan_gp.iwass_lambda 5", "WGANGP.iwass_lambda", 5.0),
        ("--iwass_lambda 5", "WGANGP.iwass_lambda", 5.0),
        ("--WGANGP.weights.1 3", "WGANGP.weights", [1.0, 3.0]),
        ("--TonesDataset.range_out [0, 1]", "TonesDataset.range_out", (0.0, 1.0)),
        ("--total_kimg 1 --total_kimg 2", "total_kimg", 2.0),
    ],
)
def test_spellings(line: str, dotted: str, expected: object) -> None:
    found = value(resolve(shlex.split(line)), dotted)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--minibatch_sise 4", ["--minibatch_sise", "'--minibatch_size'"]),
        ("--betas 0,1", ["--betas", "'--Adam.betas'"]),
        ("--Adm.betas 0,1", ["--Adm.betas", "'--Adam.betas'"]),
        ("--Adam.beta 0,1", ["Adam", "'Adam.betas'"]),
        ("--Adam 3", ["--Adam", "Adam.betas"]),
        ("--minibatch_size four", ["--minibatch_size", "four", "int"]),
        ("--minibatch_size 4.5", ["--minibatch_size", "4.5", "int"]),
        ("--minibatch_size None", ["--minibatch_size", "int"]),
        ("--minibatch_size", ["--minibatch_size", "value"]),
        ("--minibatch_size 0", ["minibatch_size", "0"]),
        ("--num_data_workers -1", ["num_data_workers", "-1"]),
        ("--progressive_growing maybe", ["--progressive_growing", "maybe", "bool"]),
        ("--Adam.betas 1", ["--Adam.betas", "tuple[float, float]"]),
        ("--Adam.betas.2 1", ["--Adam.betas.2", "position 2"]),
        ("--Adam.eps.x 1", ["--Adam.eps.x", "no key 'x'"]),
        ("--DepthManager.minibatch_overrides.six 14", ["six", "int"]),
        ("--DepthManager.minibatch_overrides '{six: 14}'", ["six", "dict[int, int]"]),
        ("--DepthManager.minibatch_overrides '{6: 14'", ["minibatch_overrides", "dict[int, int]"]),
        ("--DepthManager.minibatch_size 4", ["DepthManager", "general flag minibatch_size"]),
        ("--dataset_class SoundImageDataset", ["SoundImageDataset.dir_path", "required"]),
        ("--dataset_class ToneDataset", ["dataset_class", "'ToneDataset'", "'TonesDataset'"]),
        ("--dataset_class WGANGP", ["dataset_class", "loss", "TonesDataset"]),
        ("--SoundImageDataset.img_mode abslok --SoundImageDataset.dir_path x", ["abslok", "abslog, raw"]),
        ("--SoundImageDataset.offset 4", ["SoundImageDataset", "'offset'"]),
        ("--loss Plain --iwass_lambda 5", ["--iwass_lambda", "Plain"]),
        ("--iwass_lambda 5 --WGANGP.iwass_lambda 6", ["--iwass_lambda", "--WGANGP.iwass_lambda"]),
        ("--plugins [RawThing, RawThing]", ["RawThing", "twice"]),
        ("--plugins [SaverPlugin]", ["SaverPlugin", "every run"]),
        ("--plugins [RawThing] Other", ["'Other'"]),
        ("tones.yaml", ["'tones.yaml'", "--config"]),
        ("--config", ["--config"]),
        ("--plugin_dirs none_such", ["none_such"]),
    ],
)
def test_mistakes_are_one_line_that_names_what_was_given_and_what_is_allowed(line: str, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        resolve(shlex.split(line))
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_config_files_lie_under_the_command_line_wherever_they_stand(write: Write) -> None:
    first = write("first.yaml", "total_kimg: 1\nminibatch_size: 2\nAdam:\n  betas: (0, 0.5)\n  eps: 1e-3\n")
    second = write("second.yaml", "minibatch_size: 3\nAdam.eps: 1e-4\n")
    config = resolve(["--total_kimg", "9", "--config", first, f"--config={second}"])
    assert (config.general.total_kimg, config.general.minibatch_size) == (9.0, 3)
    assert config.components["Adam"] == {"betas": (0.0, 0.5), "eps": 1e-4}
    assert config.general.exp_name == "first"
    assert config.explicit == {"total_kimg", "minibatch_size", "Adam.betas", "Adam.eps"}


def test_a_dict_in_a_file_replaces_and_a_key_merges(write: Write) -> None:
    file = write("a.yaml", "DepthManager:\n  minibatch_overrides: {2: 4, 3: 5}\n")
    config = resolve(["--DepthManager.minibatch_overrides.3", "6", "--config", file])
    assert config.components["DepthManager"]["minibatch_overrides"] == {2: 4, 3: 6}
    merged = resolve_overrides(None, {"DepthManager.minibatch_overrides.3": 6})
    assert merged.components["DepthManager"]["minibatch_overrides"] == {3: 6, 6: 14, 7: 6, 8: 3}
    assert resolve([]).components["DepthManager"]["minibatch_overrides"] == {6: 14, 7: 6, 8: 3}


def test_python_overrides_are_dotted_or_nested(write: Write) -> None:
    file = write("a.yaml", "total_kimg: 5")
    config = resolve_overrides(Path(file), {"Adam": {"betas": (0, 0.5)}, "ImageSaver.samples_path": Path("x")})
    assert config.general.total_kimg == 5.0
    assert config.components["Adam"]["betas"] == (0.0, 0.5)
    assert config.components["ImageSaver"]["samples_path"] == Path("x")


def test_the_experiments_name() -> None:
    assert resolve([]).general.exp_name == "TonesDataset"
    assert not resolve([]).names_experiment
    assert resolve(["--exp_name", "x"]).names_experiment


def test_a_stored_config_lies_between_defaults_and_files(write: Write) -> None:
    stored = resolve(["--total_kimg", "7", "--Adam.betas", "0,0.5", "--exp_name", "old", "--iwass_lambda", "3"])
    file = write("new.yaml", "Adam.eps: 0.5\niwass_lambda: 4\n")
    config = resolve(["--config", file, "--total_kimg", "8"], base=stored.to_dict())
    assert config.components["Adam"] == {"betas": (0.0, 0.5), "eps": 0.5}
    assert config.general.exp_name == "old"
    assert config.explicit == {"Adam.eps", "WGANGP.iwass_lambda", "total_kimg"}
    assert config.difference(stored.to_dict()) == [
        ("total_kimg", 7.0, 8.0),
        ("WGANGP.iwass_lambda", 3.0, 4.0),
        ("Adam.eps", 1e-8, 0.5),
    ]
    assert stored.difference(stored.to_dict()) == []


def test_what_an_earlier_release_did_not_know_is_no_difference_unless_it_is_given() -> None:
    stored = resolve(["--exp_name", "old"]).to_dict()
    del stored["compile"], stored["Adam"]["eps"], stored["WGANGP"]
    now = resolve(["--exp_name", "old"]).difference(stored)
    assert {key.partition(".")[0] for key, _, _ in now} == {"WGANGP"}  # another component than then is one
    given = resolve(["--exp_name", "old", "--compile", "never", "--Adam.eps", "0.5"]).difference(stored)
    assert ("compile", None, "never") in given and ("Adam.eps", None, 0.5) in given


def test_resume_waits_for_the_stored_config() -> None:
    line = ["--resume", "latest", "--dataset_class", "SoundImageDataset"]
    first = resolve(line)
    assert (first.general.resume, first.general.exp_name, first.names_experiment) == (
        "latest",
        "SoundImageDataset",
        True,
    )
    stored = resolve(["--dataset_class", "SoundImageDataset", "--SoundImageDataset.dir_path", "here"]).to_dict()
    assert resolve(line, base=stored).components["SoundImageDataset"]["dir_path"] == Path("here")


def test_a_prepared_file_stands_for_the_datasets_source() -> None:
    config = resolve(["--dataset_class", "SoundImageDataset", "--load_dataset", "x.h5"])
    assert "dir_path" not in config.components["SoundImageDataset"]


def test_flags_of_unused_components_are_checked_and_noted(capsys: pytest.CaptureFixture[str]) -> None:
    config = resolve(["--RawThing.x", "3"])
    assert capsys.readouterr().err == "note: --RawThing.x is given but RawThing is not used\n"
    assert "RawThing" not in config.components
    with pytest.raises(UserError, match=r"--RawThing\.x"):
        resolve(["--RawThing.x", "three"])
    resolve(["--RawThing.x", "3", "--plugins", "RawThing"])
    assert capsys.readouterr().err == ""


def test_components_in_use_follow_the_flags() -> None:
    assert "DepthManager" not in resolve(["--progressive_growing", "False"]).components
    assert {"ImageSaver", "SoundSaver"} <= set(resolve([]).components)
    assert "SoundSaver" not in resolve(["--postprocessors", "ImageSaver"]).components
    assert "CometLogger" not in resolve([]).components


def test_the_key_is_nowhere_but_in_general() -> None:
    config = resolve(["--comet_key", "S3CRET"])
    assert config.general.comet_key == "S3CRET"
    assert config.components["CometLogger"] == {"timeout": 10.0}
    for text in (config.to_yaml(), str(config.to_dict()), repr(config)):
        assert "S3CRET" not in text
    assert "comet_key" not in config.to_yaml()
    assert resolve_overrides(None, config.to_dict()).to_yaml() == config.to_yaml()


def test_the_loss_aliases_appear_as_the_losss_own_only() -> None:
    config = resolve(["--iwass_lambda", "5", "--WGANGP.iwass_lambda", "5.0"])
    assert config.to_dict()["WGANGP"]["iwass_lambda"] == 5.0
    assert "iwass_lambda" not in config.to_dict()
    assert config.general.iwass_lambda is None
    assert config.explicit == {"WGANGP.iwass_lambda"}
