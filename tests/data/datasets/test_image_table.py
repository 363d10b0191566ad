"""docs/reference/data.md says what becomes of each odd image file and table: its rows, one by one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.odd.images import cases, check
from pggan_framework.data.datasets.images import DefaultImageFolderDataset as Folder

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "data.md"

# Each row of the page by its beginning -> cases of benchmarks/odd/images.py that show it, by how their names begin.
SHOWN = {
    "png, apng": ["colour .png", "colour .apng", "colour .jpg", "colour .gif", "colour .bmp", "colour .tif", "colour .webp"],
    "avif, jp2": ["colour .avif", "colour .jp2", "grey .avif"],
    "another ending": ["other endings are named"],
    "hidden, or a system's own": [".hidden.png is named", "__MACOSX/a.png is named", ".ipynb_checkpoints/a.png is named"],
    "in a linked folder": ["behind a link"],
    "in a folder that links back": ["a cycle is named"],
    "grey, colour, palette, CMYK": ["white P", "white CMYK .tif", "white CMYK .jpg", "grey .png"],
    "with a colour profile": ["Display P3 .png", "Display P3 named .png", "P3 RGBA", "profile damaged", "profile sRGB"],
    "16-bit grey png": ["16 bit .png", "16 bit .pgm", "16 bit .jp2"],
    "tif with integer grey": ["10 in 16", "12 in 16", "14 in 32", "TIFF that states", "a guess is named"],
    "32-bit floating point": ["a float TIFF"],
    "transparent": ["transparent .png", "transparent .webp"],
    "with an EXIF orientation": ["orientation 6 .jpg", "orientation 2 .tif", "orientation 8 .avif"],
    "an animation, a tif": ["two frames .gif", "two frames named .tif", "two frames named .webp"],
    "empty, an HTML page": ["empty.png is named", "page.jpg is named", "lfs.png is named", "phone.jpg is named"],
    "cut short": ["cut0.5.png is named", "cut0.9.jpg is named", "next to cut0.1.gif", "cut0.5.bmp is named"],
    "names as the files": ["table as written, utf-8-sig, ','"],
    "names in another case": ["table ignoring case"],
    "absolute paths": ["table without the folders that all"],
    "file names alone": ["table by file names alone, utf"],
    "no endings": ["table by file names alone, without endings"],
    "no row for a file": ["a table of other files"],
    "commas, semicolons": ["table as written, utf-8-sig, ';'", "table as written, utf-8-sig, '\\t'"],
    "UTF-8 with or": ["table as written, utf-16"],
}
# Rows that other tests show, each in a function named so.
ELSEWHERE = {
    "a level above that guess": "test_a_grey_level_above_the_guess_is_named test_negative_levels_are_named",
    "of another size than": "test_none_demands_one_size_and_names_the_file",
    "damaged in its middle": "test_a_damaged_image_is_replaced_by_the_next_with_its_label",
    "of more than 89,478,485": "test_the_limit_of_pixels_can_be_set test_more_pixels_than_pillow_allows_can_be_allowed",
    "of one colour, or equal": "test_images_that_teach_nothing_are_named",
    "without permission": "test_a_link_to_nowhere_and_a_file_without_permission",
    "numbers without their": "test_numbers_without_leading_zeros",
    "one name for two": "test_what_is_ambiguous_is_not_guessed",
    "rows for files that": "test_a_table",
    "the names in any": "test_the_column_of_names_need_not_be_the_first",
    "Windows-1252": "test_encodings_separators_and_empty_rows",
    "empty rows": "test_encodings_separators_and_empty_rows",
    "JSON with a list of numbers": "test_nsynth",
    "JSON with a list of texts": "test_nsynth",
    "folders `808`": "test_folders_are_names_and_no_numbers",
}


def rows() -> list[str]:
    """The first cells of the tables of images and of tables."""
    text = PAGE.read_text(encoding="utf-8")
    found = []
    for head in ("| an image file |", "| a table ("):
        for line in text[text.index(head) :].splitlines()[2:]:
            if not line.startswith("|"):
                break
            found.append(line.split("|")[1].strip())
    return found


def test_every_row_is_shown_by_a_case_or_a_test(tmp_path: Path) -> None:
    by_name = {case.name: case for case in cases(tmp_path)}
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    known = {*SHOWN, *ELSEWHERE}
    assert [row for row in rows() if not any(row.startswith(start) for start in known)] == []
    assert [start for start in known if not any(row.startswith(start) for row in rows())] == []
    for start, names in SHOWN.items():
        for name in names:
            chosen = [case for own, case in by_name.items() if own.startswith(name)]
            assert chosen, (start, name)
            assert {check(case) for case in chosen} <= {"read right", "named"}, (start, name)
    for start, names_of in ELSEWHERE.items():
        for test in names_of.split():
            assert f"def {test}(" in tests, (start, test)


def test_a_link_to_nowhere_and_a_file_without_permission(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "good.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    closed = tmp_path / "closed.png"
    closed.write_bytes((tmp_path / "good.png").read_bytes())
    closed.chmod(0)
    data = Folder(tmp_path)
    assert "gone.png (No such file or directory)" in data.summary()["skipped"]
    if os.geteuid() != 0:  # root reads everything
        assert "closed.png (Permission denied)" in data.summary()["skipped"]
