"""Stored configurations of earlier releases keep their meaning."""

from __future__ import annotations

import pytest

from pggan_framework.config import resolve_overrides

OLD = {
    "dataset_class": "SoundImageDataset",
    "SoundImageDataset": {"dir_path": "sounds", "n_fft": 64, "hop_length": 16},
}


def test_what_an_old_run_does_not_know_is_as_it_was_then():
    data = resolve_overrides(None, {}, base=OLD).components["SoundImageDataset"]
    assert data["margin"] == 0 and data["remove_offset"] is False and data["n_fft"] == 64
    tones = resolve_overrides(None, {}, base={"dataset_class": "TonesDataset", "TonesDataset": {"count": 5}})
    assert tones.components["TonesDataset"]["margin"] == 0


@pytest.mark.parametrize("margin", [None, 3])
def test_what_it_knows_and_what_is_given_now_counts(margin):
    known = {**OLD, "SoundImageDataset": {**OLD["SoundImageDataset"], "margin": margin, "remove_offset": True}}
    data = resolve_overrides(None, {}, base=known).components["SoundImageDataset"]
    assert data["margin"] == margin and data["remove_offset"] is True
    given = resolve_overrides(None, {"SoundImageDataset.margin": 2}, base=OLD)
    assert given.components["SoundImageDataset"]["margin"] == 2


def test_a_new_run_has_the_new_defaults():
    data = resolve_overrides(None, OLD).components["SoundImageDataset"]
    assert data["margin"] is None and data["remove_offset"] is True
