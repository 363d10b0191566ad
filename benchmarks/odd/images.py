"""Odd images, tables and archives, each with what should become of it; see benchmarks/odd_files.py.

A case is a folder or an archive that a dataset or `pggan prepare` reads. Expected is the one image in it, worked
out without the reader, or the words with which it is named. ``python benchmarks/odd_files.py images`` runs them.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from pggan_framework.data.images.plan import Options, make_plan
from pggan_framework.data.sources.base import LabelChoice
from pggan_framework.data.sources.opening import open_source
from pggan_framework.errors import UserError

Pixels = NDArray[np.uint8]
SIDE = 16
BEST: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 100, "subsampling": 0},
    ".avif": {"quality": 100, "subsampling": "4:4:4"},
    ".webp": {"lossless": True},
    ".apng": {"format": "PNG"},
}
"""How each kind is saved with the least loss."""
LOSSY = {".jpg": 4, ".avif": 6, ".gif": 40}
"""Levels that a lossy file may still differ by; of GIF, by its palette."""
P3 = ((0.51512, 0.29198, 0.15710), (0.24120, 0.69225, 0.06657), (-0.00105, 0.04189, 0.78407))
SRGB = ((0.43607, 0.38515, 0.14307), (0.22249, 0.71687, 0.06061), (0.01392, 0.09708, 0.71410))
"""Linear red, green and blue to XYZ under D50: columns as in the profiles of Apple and of the ICC."""
GAMMA = 563 / 256
"""Of the profile made here: 2.2 in steps of 1/256."""


class Case(NamedTuple):
    """A name, what is read, the pixels [C, H, W] or the words expected, and the levels that it may be off by."""

    name: str
    path: Path
    expected: Pixels | str
    tolerance: int = 0
    labels: LabelChoice | None = None


def check(case: Case) -> str:
    """``read right``, ``named``, or what is wrong."""
    try:
        plan = make_plan(open_source(case.path, case.labels), str(case.path), Options(), 1)
        text = " ".join([*plan.summary(plan.unreadable), *plan.summary(plan.unreadable).values()])
    except UserError as error:
        return "named" if isinstance(case.expected, str) and case.expected in str(error) else f"refused: {error}"
    if isinstance(case.expected, str):
        return "named" if case.expected in text else f"not named: {text}"
    found = plan.pixels(plan.chosen[0])
    worst = int(np.abs(found.astype(int) - case.expected).max()) if found.shape == case.expected.shape else 256
    return "read right" if worst <= case.tolerance else f"{worst} levels off"


def cases(folder: Path) -> list[Case]:
    """All cases, their files made in `folder`."""
    makers: list[Callable[[Path], Iterator[Case]]] = [formats, turned, greys, profiles, broken, walks, archives, tables]
    found = []
    for maker in makers:
        inside = folder / maker.__name__
        inside.mkdir()
        found += list(maker(inside))
    return found


def smooth(seed: int = 0) -> Pixels:
    """A smooth image [H, W, 3]: lossy formats keep it."""
    rough = np.random.default_rng(seed).integers(40, 216, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def planes(pixels: Pixels) -> Pixels:
    """[H, W, 3] or [H, W] as [3, H, W]."""
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else np.repeat(pixels[None], 3, axis=0)


def saved(folder: Path, name: str, image: Image.Image, **options: Any) -> Path:
    """A separate folder with one file."""
    own = folder / name.replace(".", "_")
    own.mkdir()
    image.save(own / name, **(BEST.get(Path(name).suffix, {}) | options))
    return own


def formats(folder: Path) -> Iterator[Case]:
    """Every ending, and every mode that it can hold."""
    pixels = smooth()
    colour = Image.fromarray(pixels)
    for ending in (".png", ".apng", ".bmp", ".ppm", ".tga", ".tif", ".tiff", ".gif", ".jpg", ".webp", ".avif", ".jp2"):
        own = saved(folder, f"colour{ending}", colour)
        yield Case(f"colour {ending}", own, planes(pixels), LOSSY.get(ending, 0))
        grey = Image.fromarray(pixels[..., 0])
        yield Case(
            f"grey {ending}",
            saved(folder, f"grey{ending}", grey),
            planes(pixels[..., 0]),
            LOSSY.get(ending, 0),
        )
    clear = np.dstack([pixels, np.full((SIDE, SIDE), 51, np.uint8)])
    over_white = np.rint(pixels * 0.2 + 255 * 0.8).astype(np.uint8)
    for ending in (".png", ".tif", ".tga", ".webp"):
        own = saved(folder, f"clear{ending}", Image.fromarray(clear))
        yield Case(f"transparent {ending}", own, planes(over_white), 1)
    for mode, ending in (
        ("1", ".png"),
        ("P", ".png"),
        ("CMYK", ".tif"),
        ("CMYK", ".jpg"),
        ("YCbCr", ".jpg"),
        ("LA", ".png"),
    ):
        flat = Image.new("RGB", (SIDE, SIDE), "white").convert("L" if mode == "LA" else "RGB").convert(mode)
        own = saved(folder, f"{mode}{ending}", flat)
        yield Case(f"white {mode} {ending}", own, np.full((3, SIDE, SIDE), 255, np.uint8), 2)
    frames = [Image.new("RGB", (SIDE, SIDE), name) for name in ("red", "blue")]
    for ending in (".gif", ".png", ".webp", ".tif"):
        own = saved(folder, f"moving{ending}", frames[0], save_all=True, append_images=frames[1:])
        red = np.zeros((3, SIDE, SIDE), np.uint8)
        red[0] = 255
        yield Case(f"two frames {ending}", own, red, 4)
        yield Case(f"two frames named {ending}", own, "first frame of several used")


def turned(folder: Path) -> Iterator[Case]:
    """Each EXIF orientation (EXIF 2.3, tag 0x0112)."""
    pixels = smooth(1)
    stored = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, 1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels, -1),
    }
    for tag, way in stored.items():
        for ending in (".png", ".jpg", ".tif", ".avif"):
            exif = Image.Exif()
            exif[0x0112] = tag
            own = saved(folder, f"{tag}{ending}", Image.fromarray(np.ascontiguousarray(way)), exif=exif)
            yield Case(f"orientation {tag} {ending}", own, planes(pixels), LOSSY.get(ending, 0))


def greys(folder: Path) -> Iterator[Case]:
    """Integer greys of many depths: the highest level of the range is white."""
    ramp = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)
    expected = planes(np.rint(ramp * 255).astype(np.uint8))
    for bits in (10, 12, 14, 16):
        levels = np.rint(ramp * ((1 << bits) - 1)).astype(np.uint16)
        yield Case(f"{bits} in 16 bit TIFF", saved(folder, f"{bits}.tif", Image.fromarray(levels)), expected, 1)
        wide = Image.fromarray(levels.astype(np.int32))
        yield Case(f"{bits} in 32 bit TIFF", saved(folder, f"wide{bits}.tif", wide), expected, 1)
    levels = np.rint(ramp * 1000).astype(np.uint16)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = 1000
    stated = saved(folder, "stated.tif", Image.fromarray(levels), tiffinfo=tags)
    yield Case("TIFF that states its highest level", stated, expected, 1)
    full = np.rint(ramp * 65535).astype(np.uint16)
    for ending in (".png", ".pgm", ".jp2"):
        own = saved(
            folder, f"full{ending}", Image.fromarray(full), **({"irreversible": False} if ending == ".jp2" else {})
        )
        yield Case(f"16 bit {ending}", own, expected, 1)
    yield Case("a float TIFF", saved(folder, "float.tif", Image.fromarray(ramp.astype(np.float32))), "32-bit float")
    yield Case("a guess is named", folder / "12_tif", "12 bit, white is 4,095")


def profile(matrix: tuple[tuple[float, ...], ...] = P3, name: str = "Display P3") -> bytes:
    """An ICC profile (ICC.1:2001-04) of these primaries and a gamma of 2.2."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    text = name.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1, 0.8249),
        **{
            f"{letter}XYZ".encode(): b"XYZ \0\0\0\0" + fixed(*(row[place] for row in matrix))
            for place, letter in enumerate("rgb")
        },
        **{f"{letter}TRC".encode(): b"curv\0\0\0\0" + struct.pack(">IH", 1, 563) for letter in "rgb"},
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I", start + len(body)) + bytes(4) + b"\x02\x40\0\0mntrRGB XYZ " + bytes(12) + b"acsp"
    return head.ljust(68, b"\0") + fixed(0.9642, 1, 0.8249) + bytes(48) + table + body


def from_p3(pixels: Pixels) -> Pixels:
    """Pixels [..., 3] of that profile in sRGB (IEC 61966-2-1), by the matrices."""
    linear = (pixels / 255) ** GAMMA @ np.array(P3).T @ np.linalg.inv(np.array(SRGB)).T
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    levels: Pixels = np.rint(encoded * 255).astype(np.uint8)
    return levels


def profiles(folder: Path) -> Iterator[Case]:
    """Colour profiles: converted, or of no meaning and ignored."""
    pixels = smooth(2)
    image = Image.fromarray(pixels)
    for ending in (".png", ".tif", ".webp", ".jpg", ".avif"):
        own = saved(folder, f"p3{ending}", image, icc_profile=profile())
        yield Case(f"Display P3 {ending}", own, planes(from_p3(pixels)), 24 if ending in (".jpg", ".avif") else 2)
        yield Case(f"Display P3 named {ending}", own, "converted to sRGB from Display P3")
    clear = Image.fromarray(np.dstack([pixels, np.full((SIDE, SIDE), 255, np.uint8)]))
    yield Case("P3 RGBA", saved(folder, "rgba.png", clear, icc_profile=profile()), planes(from_p3(pixels)), 2)
    for name, content in (("damaged", profile()[:200]), ("sRGB", profile(SRGB, "sRGB IEC61966-2.1")), ("empty", b"x")):
        own = saved(folder, f"{name}.png", image, icc_profile=content)
        yield Case(f"profile {name}", own, planes(pixels))
    yield Case(
        "RGB profile in grey",
        saved(folder, "g.png", image.convert("L"), icc_profile=profile()),
        planes(np.asarray(image.convert("L"))),
    )


def broken(folder: Path) -> Iterator[Case]:
    """Files that are cut short or are something else, next to a good one: each is named with its reason."""
    pixels = smooth(3)
    contents: dict[str, tuple[bytes, str]] = {
        "page.jpg": (b"<!DOCTYPE html><html>", "an HTML page"),
        "lfs.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        "empty.png": (b"", "an empty file"),
        "text.png": (b"hello", "no image"),
        "phone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        "zip.jpg": (b"PK\x03\x04" + bytes(60), "a zip"),
        "svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    }
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for ending in (".png", ".jpg", ".gif", ".webp", ".bmp", ".tif"):
        whole = io.BytesIO()
        noise.save(whole, {".jpg": "JPEG", ".tif": "TIFF"}.get(ending, ending[1:].upper()))
        for fraction in (0.1, 0.5, 0.9):
            contents[f"cut{fraction}{ending}"] = whole.getvalue()[: int(len(whole.getvalue()) * fraction)], ""
    for name, (content, words) in contents.items():
        own = saved(folder, f"{name}_good.png", Image.fromarray(pixels))
        (own / name).write_bytes(content)
        yield Case(f"{name} is named", own, f"unreadable, 1: {name} ({words}")
        yield Case(f"next to {name}", own, planes(pixels))


def walks(folder: Path) -> Iterator[Case]:
    """Hidden, system and linked files."""
    pixels = smooth(4)
    for place, name in enumerate(
        (".hidden.png", "._a.png", "__MACOSX/a.png", "@eaDir/a.png", ".ipynb_checkpoints/a.png")
    ):
        own = saved(folder, f"{place}good.png", Image.fromarray(pixels))
        (own / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (3, 3)).save(own / name)
        yield Case(f"next to {name}", own, planes(pixels))
        yield Case(f"{name} is named", own, f"1: {name.split('/')[0]}")
    outside = saved(folder, "outside.png", Image.fromarray(pixels))
    (folder / "linked").mkdir()
    (folder / "linked" / "x").symlink_to(outside)
    (folder / "linked" / "y").symlink_to(folder / "linked")
    yield Case("behind a link", folder / "linked", planes(pixels))
    yield Case("a cycle is named", folder / "linked", "1: y; they lead to folders that are read already")
    other = saved(folder, "other.png", Image.fromarray(pixels))
    (other / "a.heic").touch()
    (other / "notes.txt").touch()
    yield Case("other endings are named", other, "2: 1 .heic (a.heic), 1 .txt (notes.txt)")


def archives(folder: Path) -> Iterator[Case]:
    """Zips and tars, with what file managers put into them."""
    pixels = smooth(5)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    members = {"a/x.png": content.getvalue(), "__MACOSX/a/._x.png": b"\0", ".DS_Store": b"\0", "read.me": b"hello"}
    for evil in (False, True):
        names = members | ({"../y.png": content.getvalue()} if evil else {})
        with zipfile.ZipFile(folder / f"{evil}.zip", "w") as packed:
            for name, data in names.items():
                packed.writestr(name, data)
        for kind in ("", "gz", "bz2", "xz"):
            mode: Any = f"w:{kind}"
            with tarfile.open(folder / f"{evil}.tar.{kind}", mode) as tar:
                for name, data in names.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        for path in (folder / f"{evil}.zip", *(folder / f"{evil}.tar.{kind}" for kind in ("", "gz", "bz2", "xz"))):
            if evil:
                yield Case(f"{path.name} that leads out", path, "a path that leads out of it")
            else:
                yield Case(path.name, path, planes(pixels))
                yield Case(f"hidden in {path.name}", path, "2: .DS_Store, __MACOSX/a/._x.png")
    whole = (folder / "False.zip").read_bytes()
    (folder / "cut.zip").write_bytes(whole[: len(whole) // 2])
    yield Case("a zip cut short", folder / "cut.zip", "cut.zip is not a source of images")


def tables(folder: Path) -> Iterator[Case]:
    """Tables whose names are written otherwise than the files'."""
    images = folder / "images"
    for number, name in enumerate(("fold1/a.png", "fold2/b.png")):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth(number)).save(images / name)
    ways = {
        "": ("fold1/a.png", "fold2/b.png"),
        "ignoring case": ("FOLD1/A.PNG", "fold2/B.png"),
        "without the folders that all have in common": ("/data/fold1/a.png", "/data/fold2/b.png"),
        "by file names alone": ("a.png", "x/b.png"),
        "by file names alone, without endings": ("a", "b"),
    }
    for way, (first, second) in ways.items():
        for encoding in ("utf-8-sig", "utf-16"):
            for separator in (",", ";", "\t"):
                path = folder / f"{len(list(folder.iterdir()))}.csv"
                rows = (("kind", "name"), ("dog", first), ("cat", second), ("", ""))
                path.write_text("\n".join(separator.join(row) for row in rows), encoding=encoding)
                words = f"files found {way}" if way else "2 values from cat to dog"
                name = f"table {way or 'as written'}, {encoding}, {separator!r}"
                yield Case(name, images, words, labels=LabelChoice(["kind"], path))
    path = folder / "none.csv"
    path.write_text("name,kind\np.png,x\nq.png,y\n")
    words = "the files are called fold1/a.png, fold2/b.png; the table has p.png, q.png"
    yield Case("a table of other files", images, words, labels=LabelChoice(["kind"], path))
