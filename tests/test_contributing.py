"""CONTRIBUTING.md is true: its recipes work to the letter in an empty folder, and it names the rooms there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from forgotten import forgotten_plugins
from pages import ROOT, Block, blocks, commands
from test_architecture import AT_THE_TOP, ORDER

from pggan_framework.cli.main import main
from pggan_framework.runs.folders import runs, snapshots

PAGE = ROOT / "CONTRIBUTING.md"
KINDS = ("A loss", "A codec", "A network", "A dataset")


def recipe(title: str) -> list[Block]:
    """The blocks below a heading."""
    text = PAGE.read_text(encoding="utf-8").split(f"### {title}\n")[1].split("\n### ")[0]
    return [block for block in blocks(PAGE) if block.text in text]


@pytest.mark.slow
@pytest.mark.parametrize("title", KINDS)
def test_a_recipe_followed_to_the_letter_works(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, lines = recipe(title)
    assert (code.language, lines.language) == ("python", "bash")
    place = Path(code.text.partition("\n")[0].removeprefix("# "))
    place.parent.mkdir()
    place.write_text(code.text)
    for line in commands(lines):
        program, *words = shlex.split(line)
        assert program == "pggan"
        with forgotten_plugins():  # each command starts anew
            assert main(words) == 0, capsys.readouterr().err
    assert f"plugins.{place.stem}" in capsys.readouterr().out
    (run,) = runs(tmp_path / "results")
    assert len(snapshots(run)) == 1


def test_it_names_every_room() -> None:
    rows = [row.split("|")[1] for row in PAGE.read_text(encoding="utf-8").splitlines() if row.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == set(ORDER) - AT_THE_TOP
