"""The tables for people who come from other systems name only flags that exist, and the configs they speak of."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pggan_framework.config.discovery import load_builtin
from pggan_framework.config.general import General
from pggan_framework.config.parameters import parameters
from pggan_framework.registry import REGISTRY

ROOT = Path(__file__).parents[1]
ROWS = [
    line.split("|")[1:-1]
    for line in (ROOT / "docs" / "how-to" / "migrate.md").read_text().splitlines()
    if line.startswith("|") and "---" not in line and "theirs" not in line
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip()[:40])
def test_our_side_of_a_row_exists(row: list[str]) -> None:
    assert len(row) == 3
    load_builtin()
    general = {field.name for field in fields(General)}
    ours = row[1]
    owner = None
    for text in re.findall(r"`([^`]+)`", ours):
        for flag in re.findall(r"--(\w+)(?![\w.])", text):
            assert flag in general or flag in ("count", "config"), flag
        for name, parameter in re.findall(r"(?<![\w/])([A-Z]\w+)\.(\w*)", text):
            assert name in REGISTRY, name
            owner = REGISTRY.get(name)
            assert not parameter or parameter in parameters(owner.cls, owner.name), f"{name}.{parameter}"
        if owner is not None and re.fullmatch(r"[a-z]\w+", text):
            known = {*parameters(owner.cls, owner.name), *general, "freeze"}
            assert text in known | {"seed_shape", "size", "resize", "mellog", "ifmel", "complex", "raw", "reallog"}, (
                text
            )
        for name in re.findall(r"\[([\w, ]+)\]", text):
            for component in name.split(","):
                assert component.strip() in REGISTRY or component.strip() == "folder", component


def test_every_system_has_its_configs() -> None:
    page = (ROOT / "docs" / "how-to" / "migrate.md").read_text()
    named = set(re.findall(r"configs/(\w+)\.yaml", page))
    assert named == {
        "anime_pggan", "yukyeongleee_pggan", "deepsound_pggan", "label2img", "pokegan_dcgan", "pokegan_progan",
        "pgan_paddle", "pytorch_gan_zoo",
    }  # fmt: skip
    assert all((ROOT / "configs" / f"{name}.yaml").exists() for name in named)
