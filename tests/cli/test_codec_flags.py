"""A codec has no separate flags: they could disagree with the data."""

from __future__ import annotations

import pytest

from pggan_framework.cli.main import main


def test_codec_flags_are_refused_with_the_way_to_set_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--abslog.n_fft", "64", "--dry_run"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --abslog.n_fft")
    assert "SoundImageDataset.n_fft" in error
    assert main(["train", "--help_component", "abslog"]) == 0
    assert "--abslog" not in capsys.readouterr().out
