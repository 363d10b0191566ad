"""A full disk is noticed before it is written: no crash of a library, one line instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pggan_framework.errors import UserError
from pggan_framework.storage.numbers import Numbers, kimg_of
from pggan_framework.storage.space import MARGIN, require_space, reserve_file


def test_what_has_no_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(3_000_000_000))
    require_space(tmp_path, 3_000_000_000 - MARGIN, "give another")
    with pytest.raises(UserError, match=r"has too little space: 3.0 GB are needed, 3.0 GB are free; give another"):
        require_space(tmp_path, 3_000_000_001 - MARGIN, "give another")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(0))
    with pytest.raises(UserError, match=r"2.5 MB are needed, 0.0 MB are free"):
        require_space(tmp_path, 2_500_000, "give another")


@pytest.mark.skipif(sys.platform != "linux", reason="sparse files")
def test_a_reserved_file_has_its_blocks_and_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"start")
        file.truncate(1 << 20)
    assert path.stat().st_blocks * 512 < 1 << 20
    reserve_file(path)
    assert path.stat().st_blocks * 512 >= 1 << 20 and path.stat().st_size == 1 << 20
    assert path.read_bytes() == b"start".ljust(1 << 20, b"\0")


# Each in a separate process, on a tmpfs of 2 MB: a crash would be its exit status.
FULL = {
    "save_dataset": """
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.data.store.prepared import save_prepared
save_prepared(TonesDataset(count=2000), place / "tones.h5")
""",
    "save_dataset, filled meanwhile": """
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.data.store import prepared
import pggan_framework.data.store.prepared as module
module.require_space = lambda *given: None
(place / "other").write_bytes(bytes(1800000))
prepared.save_prepared(TonesDataset(count=150), place / "tones.h5")
""",
    "rows": """
import numpy as np
from pggan_framework.metrics import rows
rows.LARGE = 1
rows.Rows(1000).add(np.zeros((10, 10000), np.float32))
""",
    "checkpoint": """
import torch
from pggan_framework.training.checkpoint import save_checkpoint
save_checkpoint(place / "a.pt", {"weights": torch.zeros(1000000)})
""",
    "sound": """
import numpy as np
from pggan_framework.postprocessors.soundfiles import write_sound
for number in range(3):
    write_sound(place / f"{number}.wav", np.zeros(500000, np.float32), 16000)
""",
    "image": """
import numpy as np
from PIL import Image
from pggan_framework.errors import UserError
from pggan_framework.postprocessors.picture import save_png
try:
    save_png(Image.fromarray(np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), np.uint8)), place / "a.png")
except OSError as error:
    raise UserError(str(error))
""",
}
HEAD = """
import sys, tempfile
from pathlib import Path
from pggan_framework.errors import UserError
place = Path(sys.argv[1])
tempfile.tempdir = str(place)
try:
"""
TAIL = """
except UserError as error:
    print(f"refused: {error}")
print("left:", sorted(path.name for path in place.iterdir() if path.name.endswith((".h5", ".tmp", ".pt"))))
"""


@pytest.mark.parametrize("what", FULL)
def test_a_full_disk_is_one_line_and_no_crash(tmp_path: Path, what: str) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounts a file system")
    program = HEAD + "".join(f"    {line}\n" for line in FULL[what].strip().splitlines()) + TAIL
    line = f'mount -t tmpfs -o size=2m tmpfs {tmp_path} || exit 77; exec "$0" -c "$1" {tmp_path}'
    words = ["unshare", "-m", "bash", "-c", line, sys.executable, program]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("may not mount a file system")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("refused: ") and len(said) == 2, done.stdout
    assert "No space left" in said[0] or "too little space" in said[0] or "writ" in said[0]
    assert said[1] == "left: []"


def test_numbers_never_collide_and_follow_from_the_last_one() -> None:
    numbers = Numbers()
    given = [numbers.of(nimg) for nimg in (0, 384, 384, 999, 1000, 1999, 2500, 120_000, 120_000, 120_384)]
    assert given == [
        "000000", "000000.384", "000000.384", "000000.999", "000001", "000001.999", "000002",
        "000120", "000120", "000120.384",
    ]  # fmt: skip
    resumed = Numbers()
    resumed.last = 1000
    assert [resumed.of(nimg) for nimg in (1999, 2500)] == given[5:7]
    assert [kimg_of(number) for number in ("000000", "000000.384", "1234567")] == [0, 0.384, 1234567]
