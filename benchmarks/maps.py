"""How well generated images fit the label maps they were drawn from, on maps that were not trained on.

    python benchmarks/maps.py results/012-avatars/network-snapshot-000016.pt datasets/avatars_test

The second argument is a folder with images/ and labels/. A small network learns, on the pairs the checkpoint was
trained on, to find the map of an image. Printed are the fraction of pixels whose class it finds, and the mean over the
classes of intersection over union: of the other folder's real images (the ceiling), of the images generated from
its maps, and of the same against the maps of other images (what reports nothing). With --sheet a PNG is written: maps,
generated images and real ones in three rows.
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
    parser.add_argument("checkpoint", type=Path, help="a network-snapshot-*.pt")
    parser.add_argument("data", type=Path, help="a folder with images/ and labels/ that was not trained on")
    parser.add_argument("--train", type=Path, help="the same of what was trained on, if it is elsewhere now")
    parser.add_argument("--count", type=int, default=256, help="most pairs of it")
    parser.add_argument("--steps", type=int, default=400, help="of the network that finds maps")
    parser.add_argument("--sheet", type=Path, help="a PNG to write")
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
    """The pairs in a folder, or those trained on, as large as those trained on."""
    known = parameters(LabelMapDataset)  # an older run's may have had others
    options: dict[str, Any] = {k: v for k, v in model.config["LabelMapDataset"].items() if k in known}
    if folder is not None:
        options |= {"image_dir": folder / "images", "label_dir": folder / "labels"}
    assert isinstance(model.label_space, MapSpace)
    classes = None if options["label_colours"] else len(model.label_space.classes)
    return LabelMapDataset(**options | {"classes": classes, "max_images": count, "mirror": False})


def pictures(dataset: LabelMapDataset, indices: Any) -> NDArray[np.float32]:
    """Real images [N, C, H, W] in [-1, 1]."""
    batch = torch.from_numpy(dataset.images(list(indices), dataset.growth.max_depth))
    reals: NDArray[np.float32] = to_network_range(batch, dataset.range_in, (-1, 1)).numpy()
    return reals


def wanted(dataset: LabelMapDataset, indices: Any) -> Numbers:
    """Their maps [N, H, W]."""
    return np.stack([dataset.label_map(int(index)) for index in indices]).astype(np.int64)


def train(dataset: LabelMapDataset, classes: int, steps: int) -> nn.Module:
    """A network that finds maps in images: it sees 31 x 31 pixels around each."""
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
    """The maps [N, H, W] it finds in images [N, C, H, W]."""
    with torch.no_grad():
        parts = [finder(part).argmax(1).numpy() for part in torch.split(torch.from_numpy(images), 64)]
    numbers: Numbers = np.concatenate(parts)
    return numbers


def agreement(maps: Numbers, truth: Numbers, classes: int) -> tuple[float, float]:
    """The fraction of pixels that agree, and the mean over the classes in `truth` of intersection over union."""
    table = np.bincount((truth * classes + maps).ravel(), minlength=classes**2).reshape(classes, classes)
    both, there = table.diagonal(), table.sum(1)
    union = there + table.sum(0) - both
    return float(both.sum() / table.sum()), float(np.mean(both[there > 0] / union[there > 0]))


if __name__ == "__main__":
    main()
