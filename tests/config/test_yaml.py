from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pggan_framework.config import resolve, resolve_overrides
from pggan_framework.config.text import dump_line, load_value
from pggan_framework.errors import UserError

pytestmark = pytest.mark.usefixtures("toys")
Write = Callable[[str, str], str]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "None",
        "null",
        "1e-3",
        "yes",
        "007",
        "[a",
        "2024-01-01",
        "a: b",
        " x",
        "#",
        "~",
        "é",
        "1:30",
        ".5e3",
        "line\nline",
        "\x85",
        "a\u2028b",
    ]
)
numbers = st.floats(allow_nan=False)
overrides = st.fixed_dictionaries(
    {},
    optional={
        "total_kimg": st.floats(1e-300, allow_infinity=True),
        "comet_project_name": texts,
        "progressive_growing": st.booleans(),
        "minibatch_size": st.integers(1, 10**6),
        "Adam.betas": st.tuples(numbers, numbers),
        "Adam.eps": numbers,
        "Generator.title": texts,
        "Generator.note": st.none() | texts,
        "DepthManager.minibatch_overrides": st.dictionaries(st.integers(0, 9), st.integers(1, 99)),
        "DepthManager.max_lod": st.none() | st.integers(),
        "WGANGP.weights": st.lists(numbers, max_size=3),
        "ImageSaver.samples_path": texts.map(lambda text: Path(text.replace("\0", ""))),
    },
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(overrides)
def test_a_resolved_config_gives_the_same_text_again(tmp_path: Path, values: dict[str, Any]) -> None:
    config = resolve_overrides(None, values)
    text = config.to_yaml()
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8", newline="")
    again = resolve(["--config", str(file)])
    assert again.to_yaml() == text
    assert again.general == config.general
    assert again.components == config.components
    assert yaml.safe_load(text) == config.to_dict()


@given(texts)
def test_text_survives_yaml(text: str) -> None:
    assert load_value(dump_line(text)) == text
    assert yaml.safe_load(dump_line(text)) == text


def test_the_layout() -> None:
    text = resolve_overrides(None, {"Adam.betas": (0, 0.99)}).to_yaml()
    lines = text.splitlines()
    assert lines[0] == "exp_name: TonesDataset"
    assert "loggers: [TeeLogger, JSONLLogger, ProgressLogger]" in lines
    assert "  minibatch_overrides: {6: 14, 7: 6, 8: 3}" in lines
    assert lines[lines.index("Adam:") + 1] == "  betas: [0.0, 0.99]"
    order = ["dataset_class:", "TonesDataset:", "Generator:", "WGANGP:", "Adam:", "AbsoluteTimeMonitor:", "TeeLogger:"]
    positions = [text.index(f"\n{name}") for name in order]
    assert positions == sorted(positions)
    assert not {"resume", "dry_run", "debug", "iwass_lambda", "comet_key"} & set(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("genrator: X", ["a.yaml", "'genrator'", "'generator'"]),
        ("Adm: {betas: [0, 1]}", ["a.yaml", "'Adm.betas'", "'Adam.betas'"]),
        ("Adam: {beta: [0, 1]}", ["a.yaml", "Adam", "'Adam.betas'"]),
        ("Adam: 3", ["a.yaml", "Adam.betas"]),
        ("Adm:", ["'Adm'", "'Adam'"]),
        ("6: 3", ["a.yaml", "'6'"]),
        ("total_kimg: 1\nAdam: {eps: 1}\ntotal_kimg: 2", ["a.yaml:3", "total_kimg", "twice"]),
        ("Adam:\n  eps: 1\n  eps: 2", ["a.yaml:3", "eps", "twice"]),
        ("minibatch_size: four", ["a.yaml", "minibatch_size", "four", "int"]),
        ("exp_name: 7", ["a.yaml", "exp_name", "7", "quotes"]),
        ("- a\n- b", ["a.yaml", "list"]),
        ("a: [1", ["a.yaml"]),
        ("DepthManager: {minibatch_overrides: {six: 1}}", ["six", "dict[int, int]"]),
    ],
)
def test_mistakes_in_a_file(write: Write, text: str, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        resolve(["--config", write("a.yaml", text)])
    for word in words:
        assert word in str(error.value)


def test_a_missing_file_names_the_nearest(write: Write) -> None:
    write("configs/tones.yaml", "")
    with pytest.raises(UserError, match=r"configs/tone\.yaml does not exist.*'tones\.yaml'"):
        resolve(["--config", "configs/tone.yaml"])
    with pytest.raises(UserError, match="no folder nowhere"):
        resolve(["--config", "nowhere/tone.yaml"])


def test_empty_files_and_empty_components(write: Write) -> None:
    assert resolve(["--config", write("a.yaml", "")]).general.exp_name == "a"
    assert resolve(["--config", write("b.yaml", "Adam:\n")]).components["Adam"]["eps"] == 1e-8


def test_none_and_exponents_mean_what_they_look_like(write: Write) -> None:
    file = write("a.yaml", "postprocessors: None\ntotal_kimg: 2e1\nexp_name: 2024-01-01\nGenerator: {note: 'None'}\n")
    config = resolve(["--config", file])
    assert config.general.postprocessors is None
    assert config.general.total_kimg == 20.0
    assert config.general.exp_name == "2024-01-01"
    assert config.components["Generator"]["note"] == "None"


def test_of_kimg_and_epochs_the_stronger_layers_counts(write: Write) -> None:
    kimg, epochs = write("kimg.yaml", "total_kimg: 20"), write("epochs.yaml", "total_epochs: 7")
    for argv, wanted in [
        (["--config", kimg, "--config", epochs], (3000.0, 7.0)),
        (["--config", epochs, "--config", kimg], (20.0, None)),
        (["--config", kimg, "--total_epochs", "3"], (3000.0, 3.0)),
        (["--config", epochs, "--total_kimg", "5"], (5.0, None)),
    ]:
        resolved = resolve(argv)
        assert (resolved.general.total_kimg, resolved.general.total_epochs) == wanted
        again = resolve_overrides(write("again.yaml", resolved.to_yaml()), {})
        assert again.general == resolved.general
    with pytest.raises(UserError, match="total_kimg 5 and total_epochs 3 are given; allowed: one of them"):
        resolve(["--total_kimg", "5", "--total_epochs", "3"])
    with pytest.raises(UserError, match="total_epochs -1.0 is not above 0"):
        resolve(["--total_epochs", "-1"])
