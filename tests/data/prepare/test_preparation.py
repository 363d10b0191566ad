"""Reading once and encoding ahead: the same bits whatever the way, and nothing lost when it is stopped."""

from __future__ import annotations

import errno
import filecmp
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pggan_framework.audio import build_codec
from pggan_framework.data.base import box_mean, box_means
from pggan_framework.data.datasets.h5 import OldH5Dataset
from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.data.datasets.tones import TonesDataset
from pggan_framework.data.datasets.wave import SourceRead, WaveDataset
from pggan_framework.data.prepare import sounds as preparation
from pggan_framework.data.prepare.meter import Meter
from pggan_framework.data.prepare.parallel import in_order
from pggan_framework.data.store import level_writer
from pggan_framework.data.store.prepared import load_prepared, save_prepared
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.schedules.growth import Growth
from pggan_framework.storage.rows import RowLog, load_rows, locked

PARTS = (2, 0, 3, 1, 1, 0, 4)


class Noise(WaveDataset):
    """Sources of so many clips of noise; `seen` is a file with a line for each source that was read."""

    def __init__(self, seen: Path, parts=PARTS, fails_at=None, salt="", codec=None, **keywords):
        self.seen, self.sizes, self.fails_at, self.salt = seen, parts, fails_at, salt
        self.clips, self.facts = [], []
        super().__init__(codec or build_codec("abslog", n_fft=16, hop_length=8, margin=0), **keywords)

    def source_count(self):
        return len(self.sizes)

    def read_source(self, index):
        if index == self.fails_at:
            raise RuntimeError("stopped")
        with self.seen.open("a") as file:
            file.write(f"{index}\n")
        waves = [self._noise(index, part) for part in range(self.sizes[index])]
        return SourceRead(waves, {"tuple": (index, None), 1: 0.1 + index})

    def add_source(self, index, parts, facts):
        self.clips += [(index, part) for part in range(parts)]
        self.facts.append(facts)

    def sources_fingerprint(self):
        return f"{self.sizes} {self.salt}"

    def _noise(self, index, part):
        random = np.random.default_rng([index, part])
        return (random.normal(size=64) * random.uniform(0.01, 1)).astype(np.float32)

    def __len__(self):
        return len(self.clips)

    def wave(self, index):
        return self._noise(*self.clips[index])

    def fingerprint(self):
        return f"{self.sources_fingerprint()} {self.codec.statistics}"


@pytest.fixture
def seen(tmp_path):
    return tmp_path / "seen"


def read(seen):
    """Which sources were read since the last call."""
    numbers = sorted(map(int, seen.read_text().split())) if seen.exists() else []
    seen.unlink(missing_ok=True)
    return numbers


@pytest.fixture
def at_once(monkeypatch):
    """Rows are kept from the first on, and each source is a block."""
    monkeypatch.setattr(preparation, "PATIENCE", 0.0)
    monkeypatch.setattr(preparation, "BLOCK", 1)


def bits(dataset):
    order = [3, 0, 10, 3]
    return [dataset.images(order, depth).tobytes() for depth in range(dataset.growth.max_depth + 1)] + [
        dataset.image(7).tobytes(),
        *(level.tobytes() for level in dataset.pyramid(range(11))),
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_bits_are_the_same_on_every_way(tmp_path, seen, at_once, jobs):
    plain = Noise(seen)
    assert len(plain) == 11 and plain.shape == (1, 8, 8)
    waves = [plain.wave(index) for index in range(11)]
    assert plain.codec.statistics == build_codec("abslog", n_fft=16, hop_length=8, margin=0).fit(waves).statistics
    by_hand = [plain.codec.encode(wave).astype(np.float16) for wave in waves]
    assert plain.images(range(11), 1).tobytes() == np.stack(by_hand).tobytes()
    expected = bits(plain)

    assert bits(Noise(seen, preload=True, jobs=jobs)) == expected
    kept = Noise(seen, prepared_dir=tmp_path / "kept", jobs=jobs)
    assert bits(kept) == expected and "before a training" in kept.summary()["images"]
    kept.prepare()
    assert bits(kept) == expected and "prepared in" in kept.summary()["images"]
    read(seen)
    again = Noise(seen, prepared_dir=tmp_path / "kept", jobs=jobs)
    again.prepare()
    assert bits(again) == expected and bits(Noise(seen, prepared_dir=tmp_path / "kept", preload=True)) == expected
    assert read(seen) == []
    assert again.facts == kept.facts == plain.facts and plain.facts[2] == {"tuple": [2, None], "1": 2.1}
    (file,) = (tmp_path / "kept").rglob("pictures.h5")
    loaded = load_prepared(file)
    assert bits(loaded) == expected and loaded.codec.state_dict() == plain.codec.state_dict()
    save_prepared(plain, tmp_path / "saved.h5")
    assert bits(load_prepared(tmp_path / "saved.h5")) == expected


def test_reading_goes_on_where_it_was_stopped(tmp_path, seen, at_once):
    with pytest.raises(RuntimeError):
        Noise(seen, prepared_dir=tmp_path / "kept", fails_at=4)
    assert read(seen) == [0, 1, 2, 3]
    (rows,) = (tmp_path / "kept").rglob("reads.jsonl")
    with rows.open("ab") as file:
        file.write(b'{"facts": {"tuple": [4')  # the power went
    data = Noise(seen, prepared_dir=tmp_path / "kept", jobs=2)
    assert read(seen) == [4, 5, 6]
    assert bits(data) == bits(Noise(seen)) and len(data.facts) == 7
    # A torn row in the middle ends what is believed.
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join([*lines[:3], b"\0" * 20 + b"\n", *lines[4:]]))
    read(seen)
    assert bits(Noise(seen, prepared_dir=tmp_path / "kept")) == bits(data)
    assert set(read(seen)) >= {2, 3, 4, 5, 6} - {0, 1}


@pytest.mark.parametrize("jobs", [1, 2])
def test_encoding_goes_on_where_it_was_stopped(tmp_path, seen, at_once, jobs):
    Noise(seen, prepared_dir=tmp_path / "kept").prepare()
    whole = (tmp_path / "kept").rename(tmp_path / "whole")

    def stop(done, total):
        calls.append((done, total))
        if done == 5:
            raise KeyboardInterrupt

    calls = []
    data = Noise(seen, prepared_dir=tmp_path / "kept", jobs=jobs)
    with pytest.raises(KeyboardInterrupt):
        data.prepare(stop)
    assert calls == [(2, 11), (5, 11)]
    assert not list((tmp_path / "kept").rglob("pictures.h5"))
    assert "before a training" in Noise(seen, prepared_dir=tmp_path / "kept").summary()["images"]
    read(seen)
    calls.clear()
    again = Noise(seen, prepared_dir=tmp_path / "kept", jobs=jobs)
    again.prepare(lambda *done: calls.append(done))
    assert calls == [(6, 11), (7, 11), (11, 11)] and read(seen) == [3, 4, 6]
    assert sorted(path.name for path in again._folder.iterdir()) == ["lock", "pictures.h5", "reads.jsonl"]
    (one,), (other,) = whole.rglob("*.h5"), (tmp_path / "kept").rglob("*.h5")
    assert filecmp.cmp(one, other, shallow=False)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pggan_framework.data.prepare import sounds as preparation
from test_preparation import Noise
preparation.PATIENCE, preparation.BLOCK = 0.0, 1
folder = Path(sys.argv[2])
data = Noise(folder / "seen", prepared_dir=folder / "kept", jobs=2)
data.prepare(lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done >= 5 else None)
"""


@pytest.mark.slow
def test_a_kill_loses_no_finished_block_and_leaves_no_process(tmp_path, seen, at_once):
    words = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    read(seen)
    data = Noise(seen, prepared_dir=tmp_path / "kept")
    data.prepare()  # waits for the lock, which the killed one's workers hold until they see that it has gone
    assert set(read(seen)) <= {3, 4, 6}
    assert bits(data) == bits(Noise(seen))


def test_other_files_or_parameters_are_other_preparations(tmp_path, seen, at_once):
    keywords = {"prepared_dir": tmp_path / "kept"}
    Noise(seen, **keywords)
    Noise(seen, salt="other", **keywords)
    Noise(seen, codec=build_codec("abslog", n_fft=16, hop_length=8, frames=16, margin=0), **keywords)
    Noise(seen, model_dataset_depth_offset=1, **keywords)
    assert read(seen) == sorted([*range(7)] * 4)
    Noise(seen, **keywords)
    assert read(seen) == [] and len(list((tmp_path / "kept").iterdir())) == 4


def test_a_changed_recording_is_prepared_anew(tmp_path, at_once):
    (tmp_path / "in").mkdir()
    tone = 0.5 * np.sin(np.arange(1024) / 3)
    soundfile.write(tmp_path / "in" / "a.wav", tone, 8000)
    keywords = {"n_fft": 64, "hop_length": 32, "frequency": 8000, "prepared_dir": tmp_path / "kept", "jobs": 1}
    first = SoundImageDataset(tmp_path / "in", **keywords)
    first.prepare()
    assert first.image(0).tobytes() == SoundImageDataset(tmp_path / "in", **keywords).image(0).tobytes()
    soundfile.write(tmp_path / "in" / "a.wav", tone[::-1], 8000)
    second = SoundImageDataset(tmp_path / "in", **keywords)
    second.prepare()
    assert second.image(0).tobytes() != first.image(0).tobytes()
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_small_folders_and_tones_leave_nothing(tmp_path, seen, monkeypatch):
    Noise(seen, prepared_dir=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    monkeypatch.chdir(tmp_path)
    TonesDataset(count=3, preload=False).prepare()
    Noise(seen, prepared_dir=tmp_path / "kept", preload=True).prepare()
    assert [path.name for path in tmp_path.iterdir()] == ["seen"]


def test_sources_that_change_in_between(tmp_path, seen):
    data = Noise(seen, prepared_dir=tmp_path / "kept")
    data.sizes = (2, 0, 2, 1, 1, 0, 4)
    with pytest.raises(UserError, match="have changed"):
        data.prepare()


@pytest.mark.parametrize("where", ["no room", "full", "not writable"])
def test_what_the_disk_says_is_one_line(tmp_path, seen, monkeypatch, where, at_once):
    kept = tmp_path / "kept"
    said = {
        "no room": "has too little space.*0.0 MB are free",
        "full": "No space left",
        "not writable": "cannot write to",
    }
    if where == "not writable":
        kept.write_text("a file")
        with pytest.raises(UserError, match=said[where]):
            Noise(seen, prepared_dir=kept)
        return
    data = Noise(seen, prepared_dir=kept)
    if where == "no room":
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    else:

        def full(*arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(level_writer, "box_means", full)
    with pytest.raises(UserError, match=said[where]):
        data.prepare()


def _prepare(folder):
    Noise(folder / "seen", prepared_dir=folder / "kept").prepare()


def test_two_at_once_do_it_once(tmp_path, seen, at_once):
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_prepare, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    encoded = read(seen)
    assert all(encoded.count(number) <= 3 for number in range(7))  # each may have read its first; one has encoded
    assert bits(Noise(seen, prepared_dir=tmp_path / "kept")) == bits(Noise(seen))


def test_jobs_below_one(seen):
    with pytest.raises(UserError, match=r"Noise.jobs 0 .*1 or more"):
        Noise(seen, jobs=0)


def _hold(folder, held):
    with locked(folder, "testing"):
        held.set()
        time.sleep(60)


def test_a_lock_waits_and_goes_with_its_process(tmp_path, capfd):
    context = multiprocessing.get_context("fork")
    held = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "a", held))
    process.start()
    assert held.wait(30)
    timer = context.Process(target=lambda pid: (time.sleep(0.5), os.kill(pid, signal.SIGKILL)), args=(process.pid,))
    timer.start()
    begun = time.monotonic()
    with locked(tmp_path / "a", "testing"):
        assert 0.3 < time.monotonic() - begun < 30
    process.join()
    timer.join()
    assert "another process that is testing" in capfd.readouterr().err


def test_rows(tmp_path):
    path = tmp_path / "rows"
    assert load_rows(path, {"format": 1}) is None
    with RowLog(path, {"format": 1}) as log:
        log.append({"a": 0.1})
        assert load_rows(path, {"format": 1}) == [{"a": 0.1}]  # on the way, without a close
    with RowLog(path, {"format": 1}) as log:
        assert log.rows == [{"a": 0.1}]
        log.append({"a": 1e-300})
    assert load_rows(path, {"format": 1}) == [{"a": 0.1}, {"a": 1e-300}]
    assert load_rows(path, {"format": 2}) is None
    with RowLog(path, {"format": 2}) as log:
        assert log.rows == []
    assert path.read_text() == '{"format": 2}\n'


class TestInOrder:
    @pytest.mark.parametrize("jobs", [1, 2, 5])
    def test_order(self, jobs):
        def late(index):
            time.sleep(0.05 * (index == 3))
            return index, os.getpid()

        results = list(in_order(late, range(3, 20), jobs))
        assert [index for index, _ in results] == list(range(3, 20))
        assert (os.getpid() in {pid for _, pid in results}) == (jobs == 1)
        assert list(in_order(late, [], jobs)) == []

    def test_it_does_not_run_far_ahead(self, tmp_path):
        results = in_order(lambda index: (tmp_path / str(index)).touch(), range(100), 2)
        next(results)
        time.sleep(0.3)
        results.close()
        assert len(list(tmp_path.iterdir())) <= 6

    def test_errors_come_back(self):
        def refuse(index):
            raise UserError(f"number {index}")

        with pytest.raises(UserError, match="number 0"):
            list(in_order(refuse, range(5), 2))

    def test_a_worker_that_is_killed(self):
        with pytest.raises(UserError, match="was killed"):
            list(in_order(lambda index: os.kill(os.getpid(), signal.SIGKILL), range(5), 2))


@pytest.mark.parametrize("name", ["abslog", "mellog", "if", "ifmel", "complex", "reallog", "raw"])
def test_codecs_are_fitted_to_measures_as_to_waves(name):
    sizes = {"samples": 1024} if name == "raw" else {"n_fft": 64, "hop_length": 16, "frames": 64}
    waves = [np.random.default_rng(seed).normal(size=1024).astype(np.float32) / (seed + 1) for seed in range(4)]
    fitted = build_codec(name, **sizes).fit(waves)
    measures = [build_codec(name, **sizes).measure(wave) for wave in reversed(waves)]
    assert build_codec(name, **sizes).fit_measures(measures).statistics == fitted.statistics
    silent = build_codec(name, **sizes).fit([np.zeros(1024, np.float32)])
    assert silent.statistics == {"peak": 1.0}
    with pytest.raises(ValueError, match="no waves"):
        build_codec(name, **sizes).fit_measures([])


@pytest.mark.parametrize("dtype", [np.uint8, np.float16])
def test_means_are_exact(dtype):
    growth = Growth.of((2, 16, 64), (1, 4))
    random = np.random.default_rng(0)
    picture = (random.uniform(0, 255, growth.shape) if dtype == np.uint8 else random.normal(size=growth.shape)).astype(
        dtype
    )
    for depth, level in enumerate(box_means([picture], growth)):
        channels, height, width = growth.shape_at(depth)
        boxes = picture.astype(np.float64).reshape(channels, height, 16 // height, width, 64 // width)
        mean = boxes.mean(axis=(2, 4))
        expected = (np.rint(mean) if dtype == np.uint8 else mean).astype(dtype)
        assert level[0].tobytes() == expected.tobytes() == box_mean(picture, (height, width)).tobytes()
    assert box_mean(picture[:, :15, :63], (5, 9)).shape == (2, 5, 9)


def test_label_spaces_are_kept(tmp_path, seen):
    data = Noise(seen)
    data.label_space = LabelSpace((Attribute("pitch", ("60", "61")),))
    data.labels = np.arange(11)[:, None] % 2
    save_prepared(data, tmp_path / "a.h5")
    again = OldH5Dataset(tmp_path / "a.h5", max_images=3)
    assert again.label_space == data.label_space and again.labels.tolist() == [[0], [1], [0]]


def test_plain_lines_say_how_far_it_is(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    meter = Meter("reading", "read", 5000, "recording", 100)
    for now[0], count in ((1, 200), (16, 1234), (17, 1300), (40, 5000)):
        meter.update(count)
    meter.finish(sound=36000)
    assert capsys.readouterr().err.splitlines() == [
        "reading 1,234 of 5,000 recordings",
        "reading 5,000 of 5,000 recordings",
        "read 5,000 recordings (100 before) in 40 s, 900 times real time",
    ]
    quick = Meter("reading", "read", 3, "recording")
    quick.update(3)
    quick.finish()
    assert capsys.readouterr().err == ""


MEASURE = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from pggan_framework.audio import build_codec
from pggan_framework.data.prepare import sounds as preparation
from test_preparation import Noise

class Loud(Noise):
    def _noise(self, index, part):
        import numpy as np
        return np.full(self.codec.samples, (index % 7 + 1) / 8, np.float32)

def peak():  # kB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

preparation.PATIENCE = 0.0
folder, count = Path(sys.argv[2]), int(sys.argv[3])
codec = build_codec("abslog", n_fft=256, hop_length=128, margin=0)  # 16384 samples, 32 kB images
Loud(folder / "seen", parts=(4,) * count, codec=codec, prepared_dir=folder / "kept", jobs=2).prepare()
print(peak())
"""


@pytest.mark.slow
def test_memory_stays_flat(tmp_path):
    peaks = []
    for count in (50, 500):  # 13 MB and 131 MB of waves, 9 MB and 85 MB of images
        (tmp_path / str(count)).mkdir()
        words = [sys.executable, "-c", MEASURE, str(Path(__file__).parent), str(tmp_path / str(count)), str(count)]
        peaks.append(int(subprocess.run(words, capture_output=True, text=True, check=True).stdout))
    assert peaks[1] - peaks[0] < 16 * 1024, f"{peaks} kB"
