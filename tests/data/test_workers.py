"""Workers that are killed, that cannot share memory, and that never answer."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from test_loader import Numbers

from pggan_framework.data import workers
from pggan_framework.data.loader import BatchLoader
from pggan_framework.data.workers import StoppedWaitingError
from pggan_framework.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills processes")


class Deadly(Numbers):
    """The first readers of image 13 die; how many have is noted in a file."""

    def __init__(self, path, deaths, how=signal.SIGKILL):
        super().__init__()
        self.path, self.deaths, self.how = path, deaths, how

    def image(self, index):
        if index == 13 and self.path.stat().st_size < self.deaths:
            with self.path.open("ab") as file:
                file.write(b"x")
            os.kill(os.getpid(), self.how)
        return super().image(index)


def batches(data, count, **flags):
    with BatchLoader(data, 1, **flags) as loader:
        return [loader.batch(4 * step, 1, 4) for step in range(count)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV, signal.SIGTERM])
@pytest.mark.parametrize("count", [1, 3])
def test_a_worker_that_dies_is_replaced_and_no_bit_changes(tmp_path, how, count):
    noted = tmp_path / "noted"
    noted.touch()
    found = batches(Deadly(noted, 2, how), 25, workers=count)
    assert noted.stat().st_size == 2
    assert all(torch.equal(a, b) for a, b in zip(found, batches(Numbers(), 25), strict=True))


def test_workers_killed_from_outside_at_any_moment(tmp_path):
    random = np.random.default_rng(0)
    expected, killed = batches(Numbers(), 60), []
    with BatchLoader(Numbers(), 1, workers=2, prefetch=3) as loader:
        for step, batch in enumerate(expected):
            assert torch.equal(loader.batch(4 * step, 1, 4), batch)
            if step % 4 == 1:
                time.sleep(random.uniform(0, 0.01))
                # One whose death has not been noticed yet, since its batches had come already, is not killed again.
                alive = [each.process for each in loader._ahead._workers if each.process not in killed]
                killed.append(alive[random.integers(len(alive))])
                killed[-1].kill()
        assert 13 <= loader._ahead.replaced <= len(killed) == 15  # the last two may not have been missed at the end


def test_workers_that_always_die_are_given_up_in_one_line(tmp_path):
    noted = tmp_path / "noted"
    noted.touch()
    with pytest.raises(
        UserError, match=r"4 data workers in a row have died, the last one by signal 9.*num_data_workers"
    ):
        batches(Deadly(noted, 10**6), 25, workers=2)


class Stuck(Numbers):
    """Image 13 never comes, as from a network drive that has gone."""

    def image(self, index):
        if index == 13:
            time.sleep(600)
        return super().image(index)


def test_no_wait_without_an_end(monkeypatch):
    monkeypatch.setattr(workers, "POLL", 0.05)
    monkeypatch.setattr(workers, "PATIENCE", 0.5)
    with pytest.raises(UserError, match="no batch of data arrived for"):
        batches(Stuck(), 25, workers=2)
    monkeypatch.setattr(workers, "GRACE", 0.2)
    with BatchLoader(Stuck(), 1, workers=1) as loader:
        loader.stopping = lambda: True
        with pytest.raises(StoppedWaitingError):
            [loader.batch(4 * step, 1, 4) for step in range(25)]


def test_a_batch_larger_than_expected_comes_through_the_pipe():
    class Large(Numbers):
        def image(self, index):
            return np.full((1, 8, 8), index, np.float64)

    found = batches(Large(), 5, workers=2)
    assert all(torch.equal(a, b) for a, b in zip(found, batches(Large(), 5), strict=True))


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file"), OSError(5, "Input/output error"), MemoryError()]
)
def test_data_that_vanish_are_one_line(count, error):
    class Gone(Numbers):
        def image(self, index):
            raise error

    with pytest.raises(UserError, match="the data cannot be read: "):
        batches(Gone(), 1, workers=count)


@pytest.mark.parametrize("count", [0, 2])
def test_a_bug_in_a_dataset_shows_its_place(count):
    class Wrong(Numbers):
        def image(self, index):
            return {}["missing"]

    with pytest.raises((KeyError, RuntimeError), match="missing"):
        batches(Wrong(), 1, workers=count)


SMALL = """
mount -t tmpfs -o size=64k tmpfs /dev/shm || exit 77
exec "$0" -c '
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, torch
from test_loader import Numbers
from pggan_framework.data.loader import BatchLoader
class Big(Numbers):
    def __init__(self):
        super().__init__()
        super(Numbers, self).__init__((1, 512, 512))
    def image(self, index):
        return np.full((1, 512, 512), index, np.uint8)
with BatchLoader(Big(), 1, workers=2) as loader:
    for step in range(10):
        assert loader.batch(8 * step, 7, 8).shape == (8, 1, 512, 512)
    assert not loader._ahead.replaced
print("done")
' "$1"
"""


def test_a_small_dev_shm_does_not_matter():
    if os.geteuid() != 0:
        pytest.skip("mounts a file system")
    words = ["unshare", "-m", "bash", "-c", SMALL, sys.executable, str(Path(__file__).parent)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode in (1, 77) and "done" not in done.stdout and "unshare" in done.stderr:
        pytest.skip("may not mount a file system")
    assert done.stdout == "done\n", done.stderr
