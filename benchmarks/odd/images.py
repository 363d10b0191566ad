"""Odd images, tables and archives, each with its expected result; see benchmarks/odd_files.py.

A case is a folder or an archive that a dataset or `pggan prepare` reads. The expected result is the one image in it,
computed without the reader, or the words of the message about it. ``python benchmarks/odd_files.py images`` runs the
cases.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
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
    """A name, the path to read, the expected pixels [C, H, W] or words, and the allowed deviation in levels."""

    name: str
    path: Path
    expected: Pixels | str
    tolerance: int = 0
    labels: LabelChoice | None = None


def check(case: Case) -> str:
    """Return ``read right``, ``named``, or a description of the error."""
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
    """Return all cases, with their files in `folder`."""
    makers: list[Callable[[Path], Iterator[Case]]] = [
        *(formats, packings, turned, late_orientations, greys, profiles, broken, walks, archives, tables, other_tables)
    ]
    found = []
    for maker in makers:
        inside = folder / maker.__name__
        inside.mkdir()
        found += list(maker(inside))
    return found


def smooth(seed: int = 0) -> Pixels:
    """Create a smooth image [H, W, 3], which lossy formats preserve."""
    rough = np.random.default_rng(seed).integers(40, 216, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def planes(pixels: Pixels) -> Pixels:
    """Convert [H, W, 3] or [H, W] to [3, H, W]."""
    return pixels.transpose(2, 0, 1) if pixels.ndim == 3 else np.repeat(pixels[None], 3, axis=0)


def saved(folder: Path, name: str, image: Image.Image, **options: Any) -> Path:
    """Create a separate folder with one image file."""
    own = folder / name.replace(".", "_")
    own.mkdir()
    image.save(own / name, **(BEST.get(Path(name).suffix, {}) | options))
    return own


def formats(folder: Path) -> Iterator[Case]:
    """Every file extension, with every mode that the format supports."""
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


def chunk(kind: bytes, data: bytes) -> bytes:
    """Build a chunk of a PNG (PNG Specification, 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(lines: list[bytes], head: tuple[int, ...], before: bytes = b"", after: bytes = b"") -> bytes:
    """Build a PNG of unfiltered lines; `head` is width, height, bits and colour type, and the others are chunks."""
    pixels = zlib.compress(b"".join(b"\0" + line for line in lines))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *head, 0, 0, 0))
    return start + before + chunk(b"IDAT", pixels) + after + chunk(b"IEND", b"")


def kept(folder: Path, name: str, content: bytes) -> Path:
    """Create a separate folder with one file of these bytes."""
    own = folder / name.replace(".", "_")
    own.mkdir()
    (own / name).write_bytes(content)
    return own


def packings(folder: Path) -> Iterator[Case]:
    """Bit depths, channels, transparency and compression that other programs write."""
    pixels = smooth(7)
    grey, side = pixels[..., 0], (SIDE, SIDE)
    alpha = np.full(side, 51, np.uint8)
    for name, kind, parts in (("RGB", 2, [pixels]), ("RGBA", 6, [pixels, alpha]), ("grey and alpha", 4, [grey, alpha])):
        levels = np.dstack(parts)
        over = levels[..., : 1 if kind == 4 else 3] * (1 if kind == 2 else 0.2) + (0 if kind == 2 else 0.8 * 255)
        expected = planes(np.broadcast_to(np.rint(over), (*side, 3)).astype(np.uint8))
        for bits, scale, dtype in ((8, 1, ">u1"), (16, 257, ">u2")):
            lines = [(line.astype(np.uint32) * scale).astype(dtype).tobytes() for line in levels]
            own = kept(folder, f"{name}{bits}.png", png(lines, (*side, bits, kind)))
            yield Case(f"{bits} bit {name} .png", own, expected, 1)
    for bits in (1, 2, 4):
        few = grey >> (8 - bits)
        lines = [
            np.packbits([value >> place & 1 for value in line for place in reversed(range(bits))]).tobytes()
            for line in few
        ]
        expected = planes((few * (255 // ((1 << bits) - 1))).astype(np.uint8))
        yield Case(f"{bits} bit grey .png", kept(folder, f"grey{bits}.png", png(lines, (*side, bits, 0))), expected)
    see_through = planes(np.where(grey == grey[0, 0], 255, grey).astype(np.uint8))
    for bits, scale, dtype in ((8, 1, ">u1"), (16, 257, ">u2")):
        lines = [(line.astype(np.uint32) * scale).astype(dtype).tobytes() for line in grey]
        clear = chunk(b"tRNS", struct.pack(">H", int(grey[0, 0]) * scale))
        own = kept(folder, f"clear{bits}.png", png(lines, (*side, bits, 0), clear))
        yield Case(f"{bits} bit grey .png of a transparent level", own, see_through)
    image = Image.fromarray(pixels)
    for method in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield Case(f"{method} .tif", saved(folder, f"{method}.tif", image, compression=method), planes(pixels))
    yield Case("a BigTIFF", saved(folder, "big.tif", image, big_tiff=True), planes(pixels))
    fax = planes((grey > 127).astype(np.uint8) * 255)
    own = saved(folder, "fax.tif", Image.fromarray(grey).convert("1", dither=Image.Dither.NONE), compression="group4")
    yield Case("a fax .tif", own, fax)
    yield Case("run lengths .tga", saved(folder, "rle.tga", image, compression="tga_rle"), planes(pixels))
    yield Case("progressive .jpg", saved(folder, "progressive.jpg", image, progressive=True), planes(pixels), 5)
    two = {"format": "MPO", "save_all": True, "append_images": [image]}
    yield Case("a photograph with a preview .jpg", saved(folder, "preview.jpg", image, **two), planes(pixels), 5)
    for ending, coding in ((".jpg", "PNG"), (".png", "JPEG")):
        how = {"quality": 100, "subsampling": 0} if coding == "JPEG" else {}
        data = io.BytesIO()
        image.save(data, coding, **how)
        tolerance = 5 if coding == "JPEG" else 0
        own = kept(folder, f"named{ending}", data.getvalue())
        yield Case(f"{coding} called {ending}", own, planes(pixels), tolerance)
        own = kept(folder, f"junk{ending}", data.getvalue() + bytes(5000))
        yield Case(f"{kind} with zeros after it", own, planes(pixels), tolerance)
    yield Case("a name beyond ASCII", saved(folder, "ünï 🎹.png", image), planes(pixels))


def late_orientations(folder: Path) -> Iterator[Case]:
    """An EXIF orientation that swaps the sides of a PNG, before and after its pixels."""
    pixels = np.vstack([smooth(8), smooth(9)])
    stored = np.ascontiguousarray(np.rot90(pixels, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    own = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    head = (stored.shape[1], stored.shape[0], 8, 2)
    lines = [line.tobytes() for line in stored]
    for place in ("before", "after"):
        path = kept(folder, f"{place}.png", png(lines, head, **{place: own}))
        yield Case(f"an orientation {place} the pixels .png", path, planes(pixels))
        yield Case(f"an orientation {place} the pixels .png, named", path, "turned upright as EXIF says")


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
    """Integer grey images of many bit depths: the highest level of the range is white."""
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
    """Build an ICC profile (ICC.1:2001-04) with these primaries and a gamma of 2.2."""

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
    """Convert pixels [..., 3] of that profile to sRGB (IEC 61966-2-1) with the matrices."""
    linear = (pixels / 255) ** GAMMA @ np.array(P3).T @ np.linalg.inv(np.array(SRGB)).T
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    levels: Pixels = np.rint(encoded * 255).astype(np.uint8)
    return levels


def profiles(folder: Path) -> Iterator[Case]:
    """Colour profiles that are converted, or that are meaningless and ignored."""
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
    """Truncated files and files of another kind next to a good file: each is named in a message with the reason."""
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
    """Hidden files, system files and links."""
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
    """Zips and tars, including files that file managers add."""
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
    """Tables whose file names are written differently from the names of the files."""
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


def other_tables(folder: Path) -> Iterator[Case]:
    """Tables in the formats of other data sets and programs."""
    images = folder / "images"
    images.mkdir()
    for number, name in enumerate(("a.png", "b.png")):
        Image.fromarray(smooth(number)).save(images / name)
    names = ("filename", "file_name", "image_id", "path", "ID", "slice_file_name", "Image Index", "track_id")
    texts = {f"the column {name}": f"kind,{name}\ndog,a.png\ncat,b.png\n" for name in names} | {
        "a quoted line break": 'kind,file,text\ndog,a.png,"x\ny"\ncat,b.png,"z"\n',
        "bars": "kind|file\ndog|a.png\ncat|b.png\n",
        "a mark and sep=": "\ufeffsep=;\r\nkind;file\r\ndog;a.png\r\ncat;b.png\r\n",
        "spaces after commas": "kind , file\ndog , a.png\ncat , b.png\n",
        "old Macs' line ends": "kind,file\rdog,a.png\rcat,b.png\r",
        "rows that are too long": "kind,file\ndog,a.png,extra\ncat,b.png\n",
        "a column of numbers": ",kind,file\n0,dog,a.png\n1,cat,b.png\n",
        "paths of Windows": "kind,file\ndog,C:\\data\\a.png\ncat,C:\\data\\b.png\n",
    }
    contents = {name: text.encode() for name, text in texts.items()}
    plain = "kind,file\ndog,a.png\ncat,b.png\n"
    contents |= {name: plain.encode(name) for name in ("utf-16-le", "utf-16-be", "utf-32")}
    for number, (name, content) in enumerate(contents.items()):
        path = folder / f"{number}.csv"
        path.write_bytes(content)
        yield Case(f"table with {name}", images, "2 values from cat to dog", labels=LabelChoice(["kind"], path))
    refused = {
        "no header": (b"a.png,dog\nb.png,cat\n", "'kind' is not known"),
        "a header only": (b"kind,file\n", "kind"),
        "a short row": (b"file,kind\na.png\nb.png,cat\n", "a.png has no label kind"),
        "addresses": (b"kind,file\ndog,https://x.org/a.png?1\ncat,https://x.org/b.png?1\n", "the table has https:"),
    }
    for number, (name, (content, words)) in enumerate(refused.items()):
        path = folder / f"refused{number}.csv"
        path.write_bytes(content)
        yield Case(f"table with {name}", images, words, labels=LabelChoice(["kind"], path))
