import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.data.base import DepthDataset
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.data.loader import BatchLoader, to_network_range
from pggan_framework.data.sampling import indices
from pggan_framework.data.store.prepared import save_prepared
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import collect


class Numbers(DepthDataset):
    """Image i has the value i everywhere; image 13 cannot be read where `broken` is set."""

    def __init__(self, count=20, broken=False, dtype=np.uint8):
        super().__init__((1, 8, 8))
        self.count, self.broken, self.dtype = count, broken, dtype

    def __len__(self):
        return self.count

    def image(self, index):
        if self.broken and index == 13:
            raise UserError("image 13 is broken")
        return np.full((1, 8, 8), index, self.dtype)

    def fingerprint(self):
        return "x"


def children():
    """Processes whose parent is this one."""
    pid, found = os.getpid(), []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_a_batch_is_what_the_sampler_says():
    loader = BatchLoader(Numbers(dtype=np.float16), seed=5)
    batch = loader.batch(17, 0, 6)
    assert batch.shape == (6, 1, 4, 4) and batch.dtype == torch.float16 and batch.device.type == "cpu"
    assert batch[:, 0, 0, 0].tolist() == indices(5, 17, 6, 20).tolist()


def test_a_process_gets_its_part_of_the_batch():
    whole = BatchLoader(Numbers(), 5).batch(8, 1, 7)
    odd = BatchLoader(Numbers(), 5, part=lambda size: np.arange(1, size, 2)).batch(8, 1, 7)
    assert torch.equal(odd, whole[1::2])


def test_workers_change_no_bit_through_growth_and_jumps(tmp_path):
    from PIL import Image

    for index in range(9):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    folder = DefaultImageFolderDataset(tmp_path)
    save_prepared(folder, tmp_path / "all.h5")
    sources = [folder, DefaultImageFolderDataset(tmp_path, preload=True), OldH5Dataset(tmp_path / "all.h5")]
    calls = [(0, 0, 4), (4, 0, 4), (8, 0, 4), (12, 1, 3), (15, 1, 3), (18, 2, 3), (0, 0, 4), (4, 0, 4)]
    expected = [BatchLoader(folder, 3).batch(*call) for call in calls]
    for source in sources:
        for workers in (0, 2):
            with BatchLoader(source, 3, workers=workers) as loader:
                for call, batch in zip(calls, expected, strict=True):
                    assert torch.equal(loader.batch(*call), batch), (source, workers, call)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_worker_outlives_its_use():
    before = set(children())
    loader = BatchLoader(Numbers(), 1, workers=2)
    loader.batch(0, 0, 4)
    first = set(children()) - before
    assert len(first) >= 2
    loader.batch(4, 1, 4)  # another depth: others take over
    assert not first & set(children())
    loader.close()
    loader.close()
    assert set(children()) <= before
    assert loader.batch(8, 1, 4).shape == (4, 1, 8, 8)  # a closed one starts again
    loader.close()


def test_the_layout_in_memory_is_always_the_same():
    class Turned(Numbers):
        def image(self, index):
            return super().image(index).swapaxes(1, 2)

    assert (
        BatchLoader(Turned(), seed=5).batch(0, 1, 4).stride() == BatchLoader(Numbers(), seed=5).batch(0, 1, 4).stride()
    )


def test_labels_are_those_of_the_pictures():
    data = Numbers()
    data.label_space, data.labels = collect({"number": range(20)})
    loader = BatchLoader(data, seed=5)
    batch, labels = loader.batch(17, 0, 6), loader.labels(17, 0, 6)
    assert labels.shape == (6, 20) and labels.dtype == torch.float32
    assert labels.argmax(1).tolist() == batch[:, 0, 0, 0].tolist()
    assert BatchLoader(Numbers(), seed=5).labels(17, 0, 6) is None


@pytest.mark.parametrize("workers", [0, 1])
def test_a_user_error_arrives_as_such(workers):
    with BatchLoader(Numbers(broken=True), 1, workers=workers) as loader, pytest.raises(UserError) as caught:
        for step in range(5):
            loader.batch(step * 4, 0, 4)
    assert str(caught.value) == "image 13 is broken"


PROGRAM = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_loader import Numbers
from pggan_framework.data.loader import BatchLoader
loader = BatchLoader(Numbers(), 1, workers=2)
loader.batch(0, 0, 4)
"""


def start(program, before=""):
    words = [sys.executable, "-c", before + PROGRAM + program, str(Path(__file__).parent)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)


SLOW_TO_START = """
import os, time
from multiprocessing import current_process
leave = os.setpgrp
os.setpgrp = lambda: (time.sleep(3 * int(current_process().name[-1])), leave())
"""


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", SLOW_TO_START], ids=["", "a worker not ready yet"])
def test_a_program_that_forgets_to_close_ends(before):
    begin = time.monotonic()
    process = start("print('done')", before)
    assert process.communicate(timeout=60)[0] == "done\n"
    assert process.returncode == 0
    assert time.monotonic() - begin < 30


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_signals_to_the_group_do_not_reach_the_workers():
    numbers = [int(signal.SIGINT), int(signal.SIGTERM)]
    program = f"""
import signal
seen = []
for number in {numbers}:
    signal.signal(number, lambda *given: seen.append(given[0]))
print("ready", flush=True)
for number in {numbers}:
    while number not in seen:
        time.sleep(.01)
    time.sleep(.2)
    print([loader.batch(4 * step, 0, 4).shape[0] for step in range(1, 20)] == [4] * 19, flush=True)
loader.close()
"""
    process = start(program)
    assert process.stdout.readline() == "ready\n"
    for number in numbers:
        os.killpg(process.pid, number)
        assert process.stdout.readline() == "True\n"
    assert process.communicate(timeout=60)[0] == "" and process.returncode == 0


@settings(deadline=None)
@given(
    low=st.integers(-300, 300), width=st.integers(1, 600), out=st.sampled_from([(-1.0, 1.0), (0.0, 1.0), (-2.0, 0.5)])
)
def test_range_is_linear_and_exact_at_both_ends(low, width, out):
    values = torch.linspace(low, low + width, 9)
    mapped = to_network_range(values, (low, low + width), out)
    exact = (values.double() - low) / width * (out[1] - out[0]) + out[0]
    assert mapped.dtype == torch.float32
    assert (mapped[0].item(), mapped[-1].item()) == out
    torch.testing.assert_close(mapped.double(), exact, atol=3e-7, rtol=0)


def test_range_of_bytes():
    batch = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(to_network_range(batch, (0, 255), (-1, 1)), torch.tensor([-1.0, -0.6, 1.0]))
    same = torch.tensor([0.1, -0.7], dtype=torch.float16)
    assert torch.equal(to_network_range(same, (-1, 1), (-1, 1)), same.float())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("workers", [0, 1])
def test_values_that_are_no_numbers_are_named(bad, workers):
    class Floats(DepthDataset):
        def __init__(self):
            super().__init__((1, 8, 8), range_in=(-1, 1))

        def __len__(self):
            return 4

        def image(self, index):
            image = np.zeros((1, 8, 8), np.float16)
            if index == 2:
                image[0, 3, 3] = bad
            return image

        def fingerprint(self):
            return "floats"

    with (
        BatchLoader(Floats(), 0, workers) as loader,
        pytest.raises(UserError, match="Floats: image 2 holds NaN or inf"),
    ):
        loader.batch(0, 1, 8)
