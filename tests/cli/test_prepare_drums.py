"""`pggan prepare drums`, on a package made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pggan_framework.cli.prepare import run
from pggan_framework.errors import UserError
from pggan_framework.recipes import drums

NAMES = ("bd_808", "bd_ada", "drum_roll", "elec_blip", "perc_bell", "sn_dub", "tabla_na_o", "loop_amen", "ambi_choir")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package" / "usr" / "share" / "sonic-pi" / "samples"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        soundfile.write(folder / f"{name}.flac", np.full((100, 1 + number % 2), number / 100), 44100)
    (folder / "README.md").write_text("CC0")
    return tmp_path / "package"


def found(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*.flac")}


def test_a_folder_a_kind(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = package / "usr" / "share" / "sonic-pi" / "samples"
    for number, source in enumerate((package, package / "usr" / "share", samples.parent, samples)):
        out = tmp_path / str(number)
        assert run(["drums", str(out), "--from", str(source)]) == 0
        assert found(out) == {f"{name.split('_')[0]}/{name}.flac" for name in NAMES[:7]}
        assert (out / "bd" / "bd_ada.flac").read_bytes() == (samples / "bd_ada.flac").read_bytes()
        assert "CC0" in (out / "CREDITS.txt").read_text()
    assert "7 sounds: bd 2, drum 1, elec 1, perc 1, sn 1, tabla 1. Samples of Sonic Pi" in capsys.readouterr().out


def test_other_kinds_and_some_of_them(package: Path, tmp_path: Path) -> None:
    here = ["--from", str(package)]
    run(["drums", str(tmp_path / "loops"), *here, "--kinds", "loop", "ambi"])
    assert found(tmp_path / "loops") == {"loop/loop_amen.flac", "ambi/ambi_choir.flac"}
    for name, words in {"a": ["--count", "3"], "b": ["--count", "5"], "c": ["--count", "3", "--seed", "1"]}.items():
        run(["drums", str(tmp_path / name), *here, *words])
    a, b, c = (found(tmp_path / name) for name in "abc")
    assert (len(a), len(b)) == (3, 5) and a < b and a != c


def test_mistakes(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, here = str(tmp_path / "out"), ["--from", str(package)]
    monkeypatch.setattr(drums, "INSTALLED", tmp_path / "none")
    for words, message in (
        (
            [*here, "--kinds", "tablas"],
            r"no samples 'tablas' \(did you mean 'tabla'\?\); allowed: ambi, bd, drum, elec",
        ),
        ([*here, "--count", "8"], "count is 8; there are 7 samples of bd, drum, elec, perc, sn, tabla"),
        ([*here, "--count", "0"], "count is 0"),
        (["--from", str(tmp_path)], "no samples of Sonic Pi .* in .*; run 'apt-get install sonic-pi-samples'"),
        ([], r"no samples of Sonic Pi .* in .*none; run 'apt-get install sonic-pi-samples' \(22 MB; CC0\)"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            run(["drums", out, *words])
        assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"package"}
