"""How well generated images match their label maps, for maps that are not in the training data.

    python benchmarks/maps.py results/012-avatars/network-snapshot-000016.pt datasets/avatars_test

The second argument is a folder with images/ and labels/. A small network is trained on the training data of the
checkpoint to predict the map of an image. The script prints the fraction of pixels whose class it predicts correctly,
and the mean intersection over union of the classes, for: the real images of the other folder (the upper limit), images
generated from its maps, and the same generated images with the maps of other images (the lower limit). With --sheet, it
writes a PNG with maps, generated images and real images in three rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pggan_framework.config.parameters import parameters
from pggan_framework.data.datasets.label_maps import LabelMapDataset
from pggan_framework.data.loader import to_network_range
from pggan_framework.labels.maps import MapSpace
from pggan_framework.models.pretrained import Pretrained, load_generator
from pggan_framework.postprocessors.picture import enlarge, picture_tiles, save_png, sheet, to_uint8

Numbers = NDArray[np.int64]


def main() -> None:
    """Measure one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="checkpoint, network-snapshot-*.pt")
    parser.add_argument("data", type=Path, help="held-out folder with images/ and labels/")
    parser.add_argument("--train", type=Path, help="folder of the training data, if it has moved")
    parser.add_argument(
        "--count", type=int, default=256, help="largest number of held-out pairs (default: %(default)s)"
    )
    parser.add_argument(
        "--steps", type=int, default=400, help="training steps of the network that predicts maps (default: %(default)s)"
    )
    parser.add_argument("--sheet", type=Path, help="PNG file for a sample grid")
    given = parser.parse_args()
    model = load_generator(given.checkpoint)
    assert isinstance(model.label_space, MapSpace)
    known = pairs(model, given.train)
    held_out = pairs(model, given.data, given.count)
    if model.generator.depth < model.generator.max_depth:
        raise SystemExit(
            f"{given.checkpoint} has not grown to its full size yet: its images are {model.generator.size}"
        )
    torch.manual_seed(0)
    finder = train(known, len(model.label_space.classes), given.steps)
    indices = range(len(held_out))
    reals, truth = pictures(held_out, indices), wanted(held_out, indices)
    own = model.with_maps(truth.astype(np.uint8))
    fakes = own.generate(own.latents(len(truth)), np.arange(len(truth))[:, None])
    print(f"{given.checkpoint.name}: {model.nimg / 1000:g} kimg, {len(truth)} pairs of {given.data}")
    rows = ("reals", reals, truth), ("fakes", fakes, truth), ("other maps", fakes, np.roll(truth, 1, axis=0))
    for name, images, maps in rows:
        accuracy, union = agreement(found(finder, images), maps, len(model.label_space.classes))
        print(f"{name:>12}: {accuracy:.1%} of the pixels, mean IoU {union:.1%}")
    if given.sheet:
        painted = own.label_space.paint(np.arange(8)[:, None]) if isinstance(own.label_space, MapSpace) else reals[:8]
        tiles = np.concatenate([painted, to_uint8(fakes[:8]), to_uint8(reals[:8])])
        save_png(sheet(picture_tiles(enlarge(tiles, (2, 2))), (3, 8)), given.sheet)


def pairs(model: Pretrained, folder: Path | None, count: int | None = None) -> LabelMapDataset:
    """Return the pairs in a folder, or those of the training data, at the size of the training data."""
    known = parameters(LabelMapDataset)  # an older run's may have had others
    options: dict[str, Any] = {k: v for k, v in model.config["LabelMapDataset"].items() if k in known}
    if folder is not None:
        options |= {"image_dir": folder / "images", "label_dir": folder / "labels"}
    assert isinstance(model.label_space, MapSpace)
    classes = None if options["label_colours"] else len(model.label_space.classes)
    return LabelMapDataset(**options | {"classes": classes, "max_images": count, "mirror": False})


def pictures(dataset: LabelMapDataset, indices: Any) -> NDArray[np.float32]:
    """Return real images [N, C, H, W] in [-1, 1]."""
    batch = torch.from_numpy(dataset.images(list(indices), dataset.growth.max_depth))
    reals: NDArray[np.float32] = to_network_range(batch, dataset.range_in, (-1, 1)).numpy()
    return reals


def wanted(dataset: LabelMapDataset, indices: Any) -> Numbers:
    """Return the maps [N, H, W] of the real images."""
    return np.stack([dataset.label_map(int(index)) for index in indices]).astype(np.int64)


def train(dataset: LabelMapDataset, classes: int, steps: int) -> nn.Module:
    """Train a network that predicts maps from images; it sees 31 x 31 pixels around each pixel."""
    layers: list[nn.Module] = []
    for dilation in (1, 2, 4, 8):
        channels = 24 if layers else dataset.shape[0]
        layers += [nn.Conv2d(channels, 24, 3, padding=dilation, dilation=dilation), nn.ReLU()]
    finder = nn.Sequential(*layers, nn.Conv2d(24, classes, 1))
    optimizer = torch.optim.Adam(finder.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    random = np.random.default_rng(0)
    for _ in range(steps):
        indices = random.integers(0, len(dataset), 16)
        logits: Tensor = finder(torch.from_numpy(pictures(dataset, indices)))
        loss = cross_entropy(logits, torch.from_numpy(wanted(dataset, indices)))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return finder.eval()


def found(finder: nn.Module, images: NDArray[np.float32]) -> Numbers:
    """Return the maps [N, H, W] that the network predicts for images [N, C, H, W]."""
    with torch.no_grad():
        parts = [finder(part).argmax(1).numpy() for part in torch.split(torch.from_numpy(images), 64)]
    numbers: Numbers = np.concatenate(parts)
    return numbers


def agreement(maps: Numbers, truth: Numbers, classes: int) -> tuple[float, float]:
    """Return the fraction of pixels that agree, and the mean intersection over union of the classes in `truth`."""
    table = np.bincount((truth * classes + maps).ravel(), minlength=classes**2).reshape(classes, classes)
    both, there = table.diagonal(), table.sum(1)
    union = there + table.sum(0) - both
    return float(both.sum() / table.sum()), float(np.mean(both[there > 0] / union[there > 0]))


if __name__ == "__main__":
    main()
