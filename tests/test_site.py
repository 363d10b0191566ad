"""The documentation builds as a site without a broken link, and its reference has what the code has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT

from pggan_framework.cli.main import COMMANDS
from pggan_framework.config.discovery import index
from pggan_framework.config.general import General
from pggan_framework.config.parameters import parameters


@pytest.mark.slow
def test_the_site_builds_and_lists_everything(tmp_path: Path) -> None:
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    reference = tmp_path / "site" / "reference"
    flags = (reference / "flags" / "index.html").read_text(encoding="utf-8")
    assert [name for name in parameters(General) if f"<code>--{name}</code>" not in flags] == []
    commands = (reference / "commands" / "index.html").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"usage: pggan {name}" not in commands] == []
    kinds = {page.parent.name: page.read_text(encoding="utf-8") for page in (reference / "components").glob("*/*.html")}
    assert [entry.name for entry in index() if f'id="{entry.name.lower()}"' not in kinds[entry.kind]] == []
    assert "<code>--SoundImageDataset.hop_length</code> (int" in kinds["dataset"]
