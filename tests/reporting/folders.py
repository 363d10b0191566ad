"""A run's folder as training writes it, small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml
from PIL import Image

from pggan_framework.postprocessors.picture import record_tiles, save_png

SIDE = 4


def make_run(folder: Path, kimgs: list[int], scale: float = 1.0, samples: int = 2, **config: Any) -> Path:
    """At each kimg, `samples` tiles of one colour (kimg, 0, number) and as many constant sounds (number / 10)."""
    (folder / "images").mkdir(parents=True)
    (folder / "sound").mkdir()
    settings = {"total_kimg": 40.0, "loss": "WGANGP", "Adam": {"betas": [0.0, 0.99]}, **config}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "environment.json").write_text(json.dumps({"torch": "2.14.1", "device": "cpu"}))
    lines = []
    for number, kimg in enumerate(kimgs):
        write_samples(folder, samples, kimg)
        lines.append({"nimg": kimg * 1000, "kimg": kimg, "depth": number // 2, "alpha": 1.0, "time": 61.0 * kimg})
        lines[-1] |= {"G_loss": scale * kimg, "D_loss": None if number == 1 else -scale * kimg, "<b>": 1}
    write_samples(folder, samples, None)
    (folder / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"nimg": 5')
    (folder / "metrics.jsonl").write_text(json.dumps({"n": 500, "fid": 31.25, "fid.floor": 2.5, "depth": 3}) + "\n")
    return folder


def write_samples(folder: Path, samples: int, kimg: int | None) -> None:
    """A grid and sounds; reals for None."""
    sheet = Image.new("RGB", (SIDE * samples, SIDE))
    stem = "reals_sound" if kimg is None else f"fakes_sound_{kimg:06d}"
    for number in range(samples):
        colour = (0, 255, number) if kimg is None else (kimg, 0, number)
        sheet.paste(colour, (SIDE * number, 0, SIDE * (number + 1), SIDE))
        soundfile.write(folder / "sound" / f"{stem}_{number:02d}.wav", np.full(80, number / 10), 8000)
    soundfile.write(folder / "sound" / f"{stem}_all.wav", np.zeros(80), 8000)
    record_tiles(sheet, [(SIDE * number, 0, SIDE, SIDE) for number in range(samples)], "0.01 s, 0 to 4 kHz")
    save_png(sheet, folder / ("reals.png" if kimg is None else f"images/fakes_{kimg:06d}.png"))
