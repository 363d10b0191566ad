"""Does a conditioned model generate the requested class? Agreement with a classifier trained on the data.

    python benchmarks/classes.py results/000-fashion datasets/fashion

The script trains a small convolutional network on a folder with one subfolder of images per class, and prints its
accuracy on a held-out tenth of the images. It then generates images of uniformly drawn classes and prints how often the
classifier recognizes the requested class: in total, and for each class together with the class it is most often
confused with. The baseline of the disagreement is the error of the classifier on real images: it does not recognize all
of them either.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pggan_framework.data.datasets.images import DefaultImageFolderDataset
from pggan_framework.data.loader import to_network_range
from pggan_framework.errors import UserError
from pggan_framework.models.pretrained import load_generator
from pggan_framework.runs.folders import find_checkpoint

HELD_OUT = 10
"""Every so many-th image of a random order is held out."""
BATCH = 128


def main() -> None:
    """Measure one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="checkpoint, or folder of a run (its last checkpoint)")
    parser.add_argument("data_dir", type=Path, help="training images, with one folder per class")
    parser.add_argument("--count", type=int, default=2000, help="number of generated images (default: %(default)s)")
    parser.add_argument(
        "--epochs", type=int, default=3, help="training epochs of the classifier (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="random seed of classifier, latents and requested classes (default: %(default)s)",
    )
    given = parser.parse_args()
    try:
        measure(
            find_checkpoint(str(given.checkpoint), Path())[1], given.data_dir, given.count, given.epochs, given.seed
        )
    except UserError as error:
        raise SystemExit(f"error: {error}") from error


def measure(checkpoint: Path, data_dir: Path, count: int, epochs: int, seed: int) -> float:
    """Print the values; return the fraction of `count` generated images that are classified as the requested class.

    Raises:
        UserError: if the model is not conditioned on the folders of these images.
    """
    model = load_generator(checkpoint)
    channels, height, width = model.growth.shape_at(model.generator.depth)
    data = DefaultImageFolderDataset(
        data_dir, imread_mode="L" if channels == 1 else "RGB", size=(height, width), resize="stretch", labels=["folder"]
    )
    space = data.label_space
    assert space is not None and data.labels is not None
    if model.label_space != space:
        asked = ", ".join(a.name for a in model.label_space.attributes) if model.label_space else "nothing"
        raise UserError(f"{checkpoint} is conditioned on {asked}, or other folders than those of {data_dir}")
    names, classes = space.attributes[0].values, torch.from_numpy(data.labels[:, 0])
    pictures = torch.from_numpy(data.images(range(len(data)), data.growth.max_depth))
    torch.manual_seed(seed)
    order = torch.randperm(len(pictures))
    held_out = torch.zeros(len(pictures), dtype=torch.bool)
    held_out[order[::HELD_OUT]] = True
    start = time.perf_counter()
    classifier = train(pictures[~held_out], classes[~held_out], len(names), epochs)
    seen = classify(classifier, to_network_range(pictures[held_out], (0, 255), (-1, 1)))
    print(f"on {platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"classifier: {epochs} epochs of {int((~held_out).sum())} images in {time.perf_counter() - start:.0f} s")
    report("held-out reals", seen, classes[held_out].numpy(), names)
    wanted = space.uniform(np.random.default_rng(seed).random((count, 1)))
    fakes = torch.from_numpy(model.generate(model.latents(count, seed), wanted))
    title = f"fakes at {model.nimg / 1000:g} kimg, {height}x{width}, of uniform classes"
    return report(title, classify(classifier, fakes), wanted[:, 0].astype(np.int64), names)


def network(channels: int, classes: int) -> nn.Module:
    """Build a network that maps images [N, C, h, w] in [-1, 1] to logits [N, K]: three convolutions and a mean."""
    return nn.Sequential(
        nn.Conv2d(channels, 24, 3, stride=2, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Conv2d(24, 48, 3, padding=1),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(48, 96, 3, padding=1),
        nn.BatchNorm2d(96),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(96 * 16, classes),
    )


def train(pictures: Tensor, classes: Tensor, count: int, epochs: int) -> nn.Module:
    """Train a network for `count` classes on uint8 images [N, C, h, w], half of them mirrored, and the classes [N]."""
    model = network(pictures.shape[1], count)
    steps = epochs * (len(pictures) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, max(steps, 1))
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(pictures)), BATCH)[: len(pictures) // BATCH]:
            batch = to_network_range(pictures[rows], (0, 255), (-1, 1))
            batch = torch.where(torch.rand(len(batch), 1, 1, 1) < 0.5, batch, batch.flip(3))
            optimizer.zero_grad()
            torch.autograd.backward(cross_entropy(model(batch), classes[rows]))
            optimizer.step()
            rates.step()
    return model.eval()


def classify(model: nn.Module, pictures: Tensor) -> NDArray[np.int64]:
    """Return the class [N] that a network predicts for each image [N, C, h, w]."""
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in torch.split(pictures, 512)]).numpy()


def report(title: str, seen: NDArray[np.int64], wanted: NDArray[np.int64], names: tuple[str, ...]) -> float:
    """Print how often the predicted class in `seen` [N] is the class in `wanted` [N]; return this fraction."""
    share = float(np.mean(seen == wanted))
    print(f"\n{title}: {share:.1%} of {len(seen)}")
    for number, name in enumerate(names):
        chosen = seen[wanted == number]
        counts = np.bincount(chosen, minlength=len(names))
        right, counts[number] = counts[number] / max(len(chosen), 1), 0
        mistaken = f", else {names[counts.argmax()]}" if counts.any() else ""
        print(f"  {name:<12} {right:6.1%} of {len(chosen)}{mistaken}")
    return share


if __name__ == "__main__":
    main()
