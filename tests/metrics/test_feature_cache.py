"""Features of reals on disk: found again, and never believed when damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pggan_framework.metrics.cache import FeatureCache
from pggan_framework.storage.cache import cache_folder

KEY: dict[str, object] = {"data": "abc", "extractor": "random:1", "n": 6, "order": [0, 6]}
VALUES = np.random.default_rng(0).standard_normal((6, 50)).astype(np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    cache = FeatureCache(tmp_path / "deep" / "cache")
    cache.save(KEY, VALUES)
    return cache


def stored(cache: FeatureCache) -> Path:
    path = cache.path(KEY)
    assert path is not None
    return path


def test_found_again_by_all_of_its_key(cache: FeatureCache) -> None:
    found = cache.load(KEY, 6)
    assert found is not None and np.array_equal(found, VALUES)
    for name, other in (("data", "abd"), ("extractor", "random:2"), ("n", 7), ("order", "all")):
        assert cache.load({**KEY, name: other}, 6) is None
    assert cache.load(KEY, 5) is None
    assert [path.suffix for path in stored(cache).parent.iterdir()] == [".npz"]


def test_every_damage_is_noticed(cache: FeatureCache) -> None:
    """A bit that has turned anywhere in the numbers, and a file cut anywhere."""
    whole = stored(cache).read_bytes()
    start = whole.index(VALUES.tobytes())
    for place in range(start, start + VALUES.nbytes, 37):
        stored(cache).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert cache.load(KEY, 6) is None
    for length in range(0, len(whole), 101):
        stored(cache).write_bytes(whole[:length])
        assert cache.load(KEY, 6) is None
    stored(cache).write_bytes(b"no zip at all")
    assert cache.load(KEY, 6) is None
    cache.save(KEY, VALUES)
    assert cache.load(KEY, 6) is not None


@pytest.mark.parametrize(
    "values", [VALUES.astype(np.float64), VALUES[0], np.where(VALUES > 2, np.nan, VALUES).astype(np.float32)]
)
def test_what_is_no_features_is_not_believed(cache: FeatureCache, values: np.ndarray) -> None:  # type: ignore[type-arg]
    np.savez(stored(cache), key=np.load(stored(cache))["key"], values=values)
    assert cache.load(KEY, 6) is None


def test_of_another_key_under_its_name(cache: FeatureCache) -> None:
    np.savez(stored(cache), key=np.array("{}"), values=VALUES)
    assert cache.load(KEY, 6) is None


def test_a_pickle_in_it_is_not_run(cache: FeatureCache) -> None:
    np.savez(stored(cache), key=np.array([object()], dtype=object), values=VALUES)
    assert cache.load(KEY, 6) is None


def test_where_nothing_can_be_kept(tmp_path: Path) -> None:
    nowhere = FeatureCache(None)
    nowhere.save(KEY, VALUES)
    assert nowhere.load(KEY, 6) is None
    (tmp_path / "file").touch()
    blocked = FeatureCache(tmp_path / "file" / "cache")
    blocked.save(KEY, VALUES)
    assert blocked.load(KEY, 6) is None


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PGGAN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("PGGAN_CACHE", "")
    assert cache_folder() is None
    monkeypatch.delenv("PGGAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "pggan_framework"
