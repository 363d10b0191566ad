"""Labels of files: from folders, names and tables."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from pggan_framework.data.datasets.sound import SoundImageDataset
from pggan_framework.data.labels.labelling import read_labels
from pggan_framework.errors import UserError

SMALL = {"n_fft": 64, "hop_length": 32, "margin": 0, "frequency": 8000, "too_long": "slices", "jobs": 1}
FILES = {"bell/a_m060_v20.wav": 1, "bell/b_m72_v90.wav": 2, "drum/kick/c_m60_v90.wav": 1}  # how many slices each
PATTERN = r"_m(?P<pitch>\d+)_v(?P<velocity>\d+)"
TABLE = "file,pitch,player\nbell/a_m060_v20.wav,60,Ann\ndrum\\kick\\c_m60_v90.wav,60,Bo\n./bell/b_m72_v90.wav,72,Ann\n"


@pytest.fixture
def folder(tmp_path):
    for name, slices in FILES.items():
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(1024 * slices, 0.1), 8000)
    return tmp_path / "sounds"


def described(data):
    return [data.label_space.describe(label) for label in data.labels]


def test_without_a_source_there_are_none(folder):
    data = SoundImageDataset(folder, **SMALL)
    assert data.label_space is None and data.labels is None and "labels" not in data.summary()


def test_folders(folder):
    data = SoundImageDataset(folder, labels=["folder"], **SMALL)
    assert [attribute.values for attribute in data.label_space.attributes] == [("bell", "drum")]
    assert data.labels.dtype == np.int64 and data.labels.tolist() == [[0], [0], [0], [1]]
    assert "folder, 2 values from bell to drum, 1 to 3 sounds each; from the folders" in data.summary()["labels"]
    assert data.fingerprint() != SoundImageDataset(folder, **SMALL).fingerprint()


def test_names(folder):
    data = SoundImageDataset(folder, labels_pattern=PATTERN, **SMALL)
    assert described(data) == ["pitch 60, velocity 20", *["pitch 72, velocity 90"] * 2, "pitch 60, velocity 90"]
    chosen = SoundImageDataset(folder, labels_pattern=PATTERN, labels=["folder", "pitch"], **SMALL)
    assert described(chosen) == ["folder bell, pitch 60", *["folder bell, pitch 72"] * 2, "folder drum, pitch 60"]


@pytest.mark.parametrize("text", [TABLE, TABLE.replace(",", ";"), "\ufeff" + TABLE, TABLE.replace("file", "path")])
def test_a_table(folder, text):
    (folder / "labels.csv").write_text(text + TABLE.splitlines()[1].replace("a_", "gone_").replace(",", text[5]) + "\n")
    data = SoundImageDataset(folder, labels=["player", "pitch"], labels_csv=folder / "labels.csv", **SMALL)
    assert described(data) == ["player Ann, pitch 60", *["player Ann, pitch 72"] * 2, "player Bo, pitch 60"]


def test_the_column_file_names_the_files_wherever_it_stands(tmp_path):
    (tmp_path / "t.csv").write_text('id,file,kind\n1,a.wav,"warm, low"\n2,b.wav,cold\n')
    found = read_labels(["b.wav", "a.wav"], ["kind"], tmp_path / "t.csv", None, "Data")
    assert found.columns == {"kind": ["cold", "warm, low"]}


def test_a_table_of_one_column_needs_no_choice(tmp_path):
    (tmp_path / "t.csv").write_text("name,kind\na.wav,x\nb.wav,y\n")
    assert read_labels(["b.wav"], None, tmp_path / "t.csv", None, "Data").columns == {"kind": ["y"]}


def test_labels_are_those_of_the_clips_that_can_be_read(folder):
    broken = np.full(1024, 0.1)
    broken[5] = np.nan
    soundfile.write(folder / "bell" / "broken_m99_v90.wav", broken, 8000, subtype="FLOAT")
    data = SoundImageDataset(folder, labels_pattern=PATTERN, labels=["pitch"], **SMALL)
    assert list(data.skipped) == ["bell/broken_m99_v90.wav"]
    assert data.label_space.attributes[0].values == ("60", "72") and len(data.labels) == len(data) == 4


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            {"labels_pattern": "(?P<pitch>"},
            r"^SoundImageDataset.labels_pattern .*\?P<pitch>' is not a regular exp",
        ),
        ({"labels_pattern": r"_m(\d+)_"}, "has no named group; allowed: one or more, such as"),
        (
            {"labels_pattern": PATTERN, "labels": ["pich"]},
            r"'pich' is not known \(did you mean 'pitch'\?\); allowed: p",
        ),
        ({"labels": ["pitch"]}, "allowed: folder; others need labels_csv, labels_pattern or labels_json"),
        ({"labels": []}, "no label is named"),
        ({"labels_pattern": r"_v(?P<v>20)"}, "^bell/b_m72_v90.wav has no label v .*nor have 1 more.*of 3 files 1 are"),
        ({"labels_pattern": r"m(?P<pitch>\d)?x?"}, "has no label pitch"),
        ({"labels_csv": "gone.csv"}, "labels_csv gone.csv cannot be read: No such file"),
        (
            {"labels_csv": "t.csv"},
            "t.csv has 2 columns of labels: pitch, player; choose some with SoundImageDataset.labels",
        ),
        ({"labels_csv": "t.csv", "labels": ["pitsch"]}, r"did you mean 'pitch'\?\); allowed: pitch, player, folder"),
        ({"labels_csv": "t.csv", "labels_pattern": PATTERN}, "are both given"),
        ({"labels_csv": "twice.csv"}, "twice.csv names bell/b_m72_v90.wav twice, again in line 3"),
        ({"labels_csv": "names.csv"}, "no column next to the files' names"),
        ({"labels_csv": "empty.csv"}, "no column next to the files' names"),
        ({"labels_csv": "picture.csv"}, "it is not text in UTF-8"),
        ({"labels_csv": "few.csv"}, "^bell/b_m72_v90.wav has no label pitch in the table few.csv, nor have 1 more"),
        ({"labels_pattern": r"(?P<kind>wav)"}, "the label kind is 'wav' in all data"),
    ],
)
def test_mistakes_are_one_line(folder, monkeypatch, flags, said):
    monkeypatch.chdir(folder.parent)
    (folder.parent / "t.csv").write_text(TABLE)
    (folder.parent / "twice.csv").write_text("file,x\nbell/b_m72_v90.wav,1\n./bell/b_m72_v90.wav,2\n")
    (folder.parent / "names.csv").write_text("file\na.wav\n")
    (folder.parent / "empty.csv").write_text("")
    (folder.parent / "picture.csv").write_bytes(b"\x89PNG\r\n\xff\xfe")
    (folder.parent / "few.csv").write_text("file,pitch\nbell/a_m060_v20.wav,60\nbell/b_m72_v90.wav,\n")
    with pytest.raises(UserError, match=said) as error:
        SoundImageDataset(folder, **SMALL, **flags)
    assert "\n" not in str(error.value)


def test_a_file_in_no_folder_has_no_folder_label(folder):
    soundfile.write(folder / "loose.wav", np.full(1024, 0.1), 8000)
    with pytest.raises(UserError, match="^loose.wav has no label folder in the folders they are in; of 4 files 3 are"):
        SoundImageDataset(folder, labels=["folder"], **SMALL)
