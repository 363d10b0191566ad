"""Batches of real images, each a pure function of (seed, nimg, depth, size), prefetched by worker processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pggan_framework.data.base import DepthDataset, Pixels
from pggan_framework.data.sampling import indices
from pggan_framework.data.workers import Failure, Workers
from pggan_framework.errors import UserError

Part = Callable[[int], NDArray[np.int64]]
Replaced = dict[int, tuple[int, str]]


class Request(NamedTuple):
    """The key of a batch."""

    nimg: int
    depth: int
    size: int


class BatchLoader:
    """Returns the batch at a position of the stream of real images.

    `workers` processes prepare the next batches, assuming that the `nimg` of each call is the previous `nimg` plus
    `size`. Any other call (a new depth, a new batch size, a jump) restarts them; a restart takes some tens of
    milliseconds and does not change the batches.

    Args:
        dataset: the source of the images.
        seed: random seed of the order of the images.
        workers: number of worker processes; 0 reads in this process.
        pin_memory: whether to return page-locked tensors, which are copied to a GPU asynchronously.
        prefetch: number of batches that each worker prepares ahead.
        part: batch size -> indices of the batch's images for this process, in distributed training.
        machine_part: batch size -> indices for all processes of this machine; required if the dataset contains only the
            images of this machine.
    """

    before_fork: Callable[[], None] = staticmethod(lambda: None)
    """Called before worker processes are started."""
    stopping: Callable[[], bool] = staticmethod(lambda: False)
    """Returns True if training is about to end; the loader then stops waiting for overdue batches."""

    def __init__(
        self,
        dataset: DepthDataset,
        seed: int,
        workers: int = 0,
        pin_memory: bool = False,
        prefetch: int = 2,
        part: Part | None = None,
        machine_part: Part | None = None,
    ) -> None:
        self._batches = _Batches(dataset, seed, part, machine_part)
        self._workers = workers
        self._pin_memory = pin_memory
        self._prefetch = prefetch
        self._ahead: Workers | None = None
        self._reported: set[str] = set()
        self._expected: Request | None = None

    def batch(self, nimg: int, depth: int, size: int) -> torch.Tensor:
        """Return the batch at position `nimg`.

        Args:
            nimg: real images shown so far, over all processes.
            depth: 0 is the smallest image.
            size: batch size over all processes; this process gets its part.

        Returns:
            [N, C, h, w] on the CPU in the dataset's own dtype (uint8 or float16).

        Raises:
            UserError: as raised by the dataset, here or in a worker; also if the data cannot be read or a worker dies.
            StoppedWaitingError: if training is about to end and the batch does not arrive.
        """
        request = Request(nimg, depth, size)
        if self._workers == 0:
            pixels, replaced = self._batches.read(request)
            result: tuple[torch.Tensor, Replaced] | Failure = torch.from_numpy(pixels), replaced
        else:
            if self._ahead is None or request != self._expected:
                self._start(request)
            assert self._ahead is not None
            result = next(self._ahead)
            self._expected = Request(nimg + size, depth, size)
        if isinstance(result, Failure):
            self.close()
            raise (UserError if result.expected else RuntimeError)(result.message)
        images, replaced = result
        self._report(replaced)
        return images.pin_memory() if self._pin_memory else images

    def labels(self, nimg: int, depth: int, size: int) -> torch.Tensor | None:
        """The labels of the batch at position `nimg` as network input at `depth`; None for data without labels.

        The labels are one-hot blocks [N, width], or label maps [N, K, h, w]. Call this method after `batch`: a damaged
        example gets the label of its replacement, which is known only once the batch is read.
        """
        return self._batches.labels(nimg, depth, size)

    def _report(self, replaced: Mapping[int, tuple[int, str]]) -> None:
        """Print each damaged example once, and use the labels of the replacements."""
        self._batches.dataset.replaced.update(replaced)
        for _, why in replaced.values():
            if why not in self._reported:
                self._reported.add(why)
                print(f"cannot decode {why}; the next image is used instead", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Stop the worker processes; a later call of `batch` starts new processes."""
        if self._ahead is not None:
            self._ahead.close()
        self._ahead = self._expected = None

    def __enter__(self) -> BatchLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, request: Request) -> None:
        self.close()
        shape = self._batches.dataset.growth.shape_at(request.depth)
        self._ahead = Workers(
            partial(self._batches.ahead, request),
            self._workers,
            self._prefetch,
            4 * request.size * int(np.prod(shape)),
            self.before_fork,
            self.stopping,
        )


class _Batches:
    def __init__(self, dataset: DepthDataset, seed: int, part: Part | None, machine_part: Part | None) -> None:
        self.dataset = dataset
        self.seed = seed
        self.part = part
        self.machine_part = machine_part

    def ahead(self, first: Request, number: int) -> tuple[Pixels, Replaced]:
        """Read the batch that is `number` batches after the first."""
        return self.read(first._replace(nimg=first.nimg + number * first.size))

    def read(self, request: Request) -> tuple[Pixels, Replaced]:
        """Read a batch, and return it with the damaged examples in it; see `DepthDataset.replaced`."""
        order = self._order(request.nimg, request.size)
        try:
            images = self.dataset.images_at(order, request.depth, self._epochs(request.nimg, request.size))
        except (OSError, MemoryError) as error:
            raise UserError(f"the data cannot be read: {str(error) or type(error).__name__}") from error
        if images.dtype.kind == "f" and self.dataset.codec is None and not np.isfinite(images).all():
            bad = next(index for index, image in zip(order, images, strict=True) if not np.isfinite(image).all())
            raise UserError(f"{type(self.dataset).__name__}: image {bad} holds NaN or infinite values; remove it")
        known = self.dataset.replaced
        # One memory layout for all datasets: convolutions round differently in other layouts.
        return np.ascontiguousarray(images), {index: known[index] for index in order if index in known}

    def labels(self, nimg: int, depth: int, size: int) -> torch.Tensor | None:
        space, labels = self.dataset.label_space, self.dataset.labels
        if space is None or labels is None:
            return None
        _, height, width = self.dataset.growth.shape_at(depth)
        known = self.dataset.replaced
        order = [known[index][0] if index in known else index for index in self._order(nimg, size)]
        return torch.from_numpy(space.condition(labels[order], (height, width)))

    def _epochs(self, nimg: int, size: int) -> list[int]:
        """The epoch of each image of the batch."""
        places = np.arange(size) if self.part is None else self.part(size)
        epochs: list[int] = ((nimg + places) // len(self.dataset)).tolist()
        return epochs

    def _order(self, nimg: int, size: int) -> list[int]:
        own = self.dataset.own
        if own is not None:
            assert self.part is not None and self.machine_part is not None
            places = np.searchsorted(self.machine_part(size), self.part(size))
            numbers: list[int] = own.indices(self.seed, nimg, places).tolist()
            return numbers
        whole = indices(self.seed, nimg, size, len(self.dataset))
        order: list[int] = (whole if self.part is None else whole[self.part(size)]).tolist()
        return order


def to_network_range(
    batch: torch.Tensor, range_in: tuple[float, float], range_out: tuple[float, float]
) -> torch.Tensor:
    """Map [N, C, h, w] linearly from `range_in` to `range_out`, as float32 on the batch's device.

    Both ends are mapped exactly.
    """
    low, high = range_in
    out_low, out_high = range_out
    pixels = batch.float()
    if (low, high) == (out_low, out_high):
        return pixels
    return (pixels - low) / (high - low) * (out_high - out_low) + out_low
