"""docs/reference/data.md says what becomes of each odd image file and table: its rows, one by one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from odd_rows import rows_of
from PIL import Image

from benchmarks.odd.images import cases, check
from pggan_framework.data.datasets.images import DefaultImageFolderDataset as Folder

# Each row of the page by its beginning -> cases of benchmarks/odd/images.py that show it, by how their names begin.
SHOWN = {
    "png, apng": ["colour .png", "colour .apng", "colour .jpg", "colour .gif", "colour .bmp", "colour .tif", "colour .webp"],
    "avif, jp2": ["colour .avif", "colour .jp2", "grey .avif"],
    "an unknown extension": ["other endings are named"],
    "a hidden or system file": [".hidden.png is named", "__MACOSX/a.png is named", ".ipynb_checkpoints/a.png is named"],
    "an image in a": ["behind a link"],
    "an image in a folder with": ["a cycle is named"],
    "a grey, colour, palette": ["white P", "white CMYK .tif", "white CMYK .jpg", "grey .png"],
    "a colour profile, such": ["Display P3 .png", "Display P3 named .png", "P3 RGBA", "profile damaged", "profile sRGB"],
    "a 16-bit grey": ["16 bit .png", "16 bit .pgm", "16 bit .jp2"],
    "a tif that stores": ["10 in 16", "12 in 16", "14 in 32", "TIFF that states", "a guess is named"],
    "32-bit floating-point values": ["a float TIFF"],
    "transparency": ["transparent .png", "transparent .webp", "16 bit grey .png of a transparent level", "16 bit RGBA"],
    "an EXIF orientation": ["orientation 6 .jpg", "orientation 2 .tif", "orientation 8 .avif", "an orientation after"],
    "an animation, or a": ["two frames .gif", "two frames named .tif", "two frames named .webp"],
    "an empty file, an": ["empty.png is named", "page.jpg is named", "lfs.png is named", "phone.jpg is named"],
    "a truncated file": ["cut0.5.png is named", "cut0.9.jpg is named", "next to cut0.1.gif", "cut0.5.bmp is named"],
    "names equal to the": ["table as written, utf-8-sig, ','"],
    "names in a different": ["table ignoring case"],
    "absolute paths": ["table without the folders that all"],
    "file names without": ["table by file names alone, utf"],
    "names without extensions,": ["table by file names alone, without endings"],
    "no row for a file": ["a table of other files"],
    "commas, semicolons, tabs": ["table with bars", "table with a mark and sep=", "table as written, utf-8-sig, ';'", "table as written, utf-8-sig, '\\t'"],
    "UTF-8 or UTF-16": ["table as written, utf-16", "table with utf-16-le", "table with utf-16-be", "table with utf-32"],
}
# Rows that other tests show, each in a function named so.
ELSEWHERE = {
    "a level above the guessed": "test_a_grey_level_above_the_guess_is_named test_negative_levels_are_named",
    "a size that differs": "test_none_demands_one_size_and_names_the_file",
    "a file with damage": "test_a_damaged_image_is_replaced_by_the_next_with_its_label",
    "more than 89,478,485 pixels": "test_the_limit_of_pixels_can_be_set test_more_pixels_than_pillow_allows_can_be_allowed",
    "a single colour, or a": "test_images_that_teach_nothing_are_named",
    "a file without": "test_a_link_to_nowhere_and_a_file_without_permission",
    "numbers without their": "test_numbers_without_leading_zeros",
    "one name for two": "test_what_is_ambiguous_is_not_guessed",
    "rows for missing files": "test_a_table",
    "file names in any": "test_the_column_of_names_need_not_be_the_first",
    "Windows-1252": "test_encodings_separators_and_empty_rows",
    "empty rows": "test_encodings_separators_and_empty_rows",
    "a list of numbers in JSON": "test_nsynth",
    "a list of texts in JSON": "test_nsynth",
    "folders named `808`": "test_folders_are_names_and_no_numbers",
}


def test_every_row_is_shown_by_a_case_or_a_test(tmp_path: Path) -> None:
    by_name = {case.name: case for case in cases(tmp_path)}
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    known, rows = {*SHOWN, *ELSEWHERE}, rows_of("image", "table")
    assert [row for row in rows if not any(row.startswith(start) for start in known)] == []
    assert [start for start in known if not any(row.startswith(start) for row in rows)] == []
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
