"""Tables as people have them: other prefixes, cases, endings, encodings, separators, columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.data.labels.labelling import FileLabels, read_labels
from pggan_framework.data.labels.matching import WAYS, match
from pggan_framework.data.labels.tables import Table, read_table
from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import collect

FILES = ["fold1/a-0.wav", "fold1/b-1.wav", "fold2/c-2.wav"]
KINDS = ["dog", "horn", "siren"]


def labels(names: list[str], table: Path, wanted: str = "kind") -> FileLabels:
    found = read_labels(names, [wanted], table, None, "Data")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("keys", "how"),
    [
        (["fold1/a-0.wav", "fold1/b-1.wav", "fold2/c-2.wav"], ""),
        (["./fold1/a-0.wav", "fold1\\b-1.wav", " fold2/c-2.wav "], ""),
        (["FOLD1/A-0.WAV", "fold1/B-1.wav", "fold2/c-2.WAV"], "ignoring case"),
        (
            ["/home/u/set/fold1/a-0.wav", "/home/u/set/fold1/b-1.wav", "/home/u/set/fold2/c-2.wav"],
            "without the folders",
        ),
        (["C:\\set\\fold1\\a-0.wav", "C:\\set\\fold1\\b-1.wav", "C:\\set\\fold2\\c-2.wav"], "without the folders"),
        (["x/fold1/a-0.wav", "y/fold1/b-1.wav", "fold2/c-2.wav"], "by the last two parts"),
        (["a-0.wav", "b-1.wav", "c-2.wav"], "by file names alone"),  # UrbanSound8K
        (["audio/a-0.wav", "audio/b-1.wav", "audio/c-2.wav"], "by file names alone"),
        (["fold1/a-0", "fold1/b-1", "fold2/c-2"], "without endings"),
        (["a-0", "b-1", "c-2"], "by file names alone, without endings"),  # FSD50K
        (["a-0.flac", "b-1.mp3", "c-2.wav"], "by file names alone, without endings"),
    ],
)
def test_names_that_are_written_otherwise(tmp_path: Path, keys: list[str], how: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text("kind,fname\n" + "".join(f"{kind},{key}\n" for kind, key in zip(KINDS, keys, strict=True)))
    found = labels(FILES, table)
    assert found.columns == {"kind": KINDS}
    assert f"files found {how}" in found.source if how else "files found" not in found.source


def test_numbers_without_leading_zeros(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("id,kind\n1,x\n22,y\n333,z\n")
    found = labels(["0001.png", "0022.png", "0333.png"], table)
    assert found.columns == {"kind": ["x", "y", "z"]} and "by the numbers" in found.source


def test_the_column_of_names_need_not_be_the_first(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("number,what,kind\n1,a.png,x\n2,b.png,y\n")
    assert labels(["b.png", "a.png"], table).columns == {"kind": ["y", "x"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n,,\n\n"])
def test_encodings_separators_and_empty_rows(tmp_path: Path, encoding: str, separator: str, end: str) -> None:
    first = "sep=|\n" if separator == "|" else ""
    lines = [f"file{separator}kind", f"ä.png{separator}größer", f"b.png{separator}x"]
    text = first + "\n".join(lines) + end.replace(",", separator)
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    found = labels(["ä.png", "b.png"], tmp_path / "t.csv")
    assert found.columns == {"kind": ["größer", "x"]}
    assert ("1 empty rows left out" in found.source) == (",," in end)
    assert ("Windows-1252" in found.source) == (encoding == "cp1252")


def test_what_is_ambiguous_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,kind\nx.wav,dog\ny.wav,cat\n")
    names = ["fold1/x.wav", "fold2/x.wav", "fold2/y.wav"]
    with pytest.raises(UserError, match=r"fold1/x.wav has no label.*called fold1/x.wav, fold2/x.wav; .* x.wav, y.wav"):
        labels(names, tmp_path / "t.csv")
    # Two rows that say the same are not contradiction; two that do not are.
    table = Table("t", ["", "k"], [{"": "a", "k": "1"}, {"": "a", "k": "1"}, {"": "b", "k": "2"}], [""])
    assert {name: row["k"] for name, row in match(table, ["a", "b"]).rows.items()} == {"a": "1", "b": "2"}


def test_names_from_both_sides_are_shown_when_nothing_matches(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,kind\np.wav,dog\nq.wav,cat\n")
    with pytest.raises(UserError, match=r"the files are called x.wav; the table has p.wav, q.wav") as error:
        labels(["x.wav"], tmp_path / "t.csv")
    assert "\n" not in str(error.value)


def test_nsynth(tmp_path: Path) -> None:
    rows = {
        "bass_synthetic_033-022-050": {"pitch": 22, "qualities": [0, 1], "qualities_str": ["dark"], "note_str": "b"},
        "organ_electronic_001-060-127": {"pitch": 60, "qualities": [0, 0], "qualities_str": [], "note_str": "o"},
    }
    path = tmp_path / "examples.json"
    path.write_text(json.dumps(rows))
    names = [f"audio/{name}.wav" for name in rows]
    found = read_labels(names, ["pitch", "qualities_1", "qualities_str"], None, None, "Data", path)
    assert found is not None
    assert found.columns == {"pitch": ["22", "60"], "qualities_1": ["1", "0"], "qualities_str": ["dark", "none"]}


def test_folders_are_names_and_no_numbers() -> None:
    rows = {"folder": ["808", "0808", "909"], "pitch": ["060", "60", "61"]}
    space, found = FileLabels(rows, "").collect()
    assert [attribute.values for attribute in space.attributes] == [("0808", "808", "909"), ("60", "61")]
    assert found.tolist() == [[1, 0], [0, 0], [2, 1]]
    assert collect({"folder": ["01", "02"]}, exact=["folder"])[0].attributes[0].values == ("1", "2")  # as before


@settings(max_examples=25, deadline=None)
@given(
    stems=st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True), min_size=1, max_size=6, unique=True),
    prefix=st.sampled_from(["", "audio/", "/abs/olute/", "C:\\x\\", "./"]),
    ending=st.sampled_from(["", ".wav", ".flac"]),
    upper=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_unique_file_names_are_always_found(
    stems: list[str], prefix: str, ending: str, upper: bool, order: object
) -> None:
    keys = [prefix + (stem.upper() if upper else stem) + ending for stem in stems]
    rows = [{"k": f"value {number}", "id": key} for number, key in enumerate(keys)]
    order.shuffle(rows)  # type: ignore[attr-defined]
    names = [f"deep/{number}/{stem}.wav" for number, stem in enumerate(stems)]
    found = match(Table("t", ["k", "id"], rows, ["k", "id"]), names)
    assert [found.rows[name]["k"] for name in names] == [f"value {number}" for number in range(len(stems))]
    assert found.column == "id" and found.how in WAYS


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"PK\x03\x04\0\0\xff\xfe")
    with pytest.raises(UserError, match="it is not text in UTF-8, UTF-16 or Windows-1252"):
        read_table(tmp_path / "t.csv", "Data")
