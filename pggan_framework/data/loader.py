"""Batches of real pictures, each a pure function of (seed, nimg, depth, size); worker processes run ahead."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from pggan_framework.data.base import DepthDataset
from pggan_framework.data.sampling import indices
from pggan_framework.errors import UserError

STOPS = {signal.SIGINT, signal.SIGTERM}
Part = Callable[[int], NDArray[np.int64]]


class Request(NamedTuple):
    """What defines a batch."""

    nimg: int
    depth: int
    size: int


class BatchLoader:
    """Gives the batch that stands at a position of the stream of real pictures.

    With `workers` the next batches are prepared in other processes, on the assumption that each call's `nimg` is the
    one before plus `size`. A call that differs (a new depth, a new batch size, a jump) starts them anew; it costs
    some ten milliseconds and changes no bit.

    Args:
        dataset: where the pictures come from.
        seed: decides the order of the pictures.
        workers: how many processes; 0 reads in this one.
        pin_memory: return page-locked tensors, which copy to a GPU without waiting.
        prefetch: batches each worker prepares ahead.
        part: size of a batch -> which of its pictures this process gets, where several train together.
        machine_part: size of a batch -> which of them all processes of this machine get; due where the dataset has but
            this machine's own pictures.
    """

    before_fork: Callable[[], None] | None = None
    """Called before worker processes are started."""

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
        self._ahead: Iterator[_Batch | _Failure] | None = None
        self._reported: set[str] = set()
        self._expected: Request | None = None

    def batch(self, nimg: int, depth: int, size: int) -> torch.Tensor:
        """The batch at position `nimg`.

        Args:
            nimg: real pictures shown so far, over all processes.
            depth: 0 is the smallest picture.
            size: of the batch, over all processes; this one gets its part of it.

        Returns:
            [N, C, h, w] on the CPU in the dataset's own dtype (uint8 or float16).

        Raises:
            UserError: what the dataset raised, here or in a worker.
        """
        request = Request(nimg, depth, size)
        if self._workers == 0:
            result = self._batches[request]
        else:
            if self._ahead is None or request != self._expected:
                self._start(request)
            assert self._ahead is not None
            result = next(self._ahead)
            self._expected = Request(nimg + size, depth, size)
        if isinstance(result, _Failure):
            self.close()
            raise UserError(result.message)
        self._report(result.replaced)
        return result.images.pin_memory() if self._pin_memory else result.images

    def labels(self, nimg: int, depth: int, size: int) -> torch.Tensor | None:
        """The labels of the batch at position `nimg` as networks see them at `depth`; None where the data have none.

        They are [N, width], one-hot blocks, or label maps [N, K, h, w]. Call it after `batch`: of a damaged example the
        label is that of the one used instead, which is known when the batch is.
        """
        return self._batches.labels(nimg, depth, size)

    def _report(self, replaced: Mapping[int, tuple[int, str]]) -> None:
        """Print once which examples are damaged, and use the labels of others for them."""
        self._batches.dataset.replaced.update(replaced)
        for _, why in replaced.values():
            if why not in self._reported:
                self._reported.add(why)
                print(f"cannot decode {why}; the next image is used instead", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the worker processes; a later call of `batch` starts new ones."""
        self._ahead = None  # the last reference: torch's iterator stops and joins its workers when it goes
        self._expected = None

    def __enter__(self) -> BatchLoader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, request: Request) -> None:
        self.close()
        if self.before_fork is not None:
            self.before_fork()
        loader: DataLoader[Any] = DataLoader(
            self._batches,
            batch_size=None,
            sampler=_Onwards(request),
            num_workers=self._workers,
            prefetch_factor=self._prefetch,
            collate_fn=_same,
            worker_init_fn=_leave_group,
            # torch draws the workers' seed when they start; from the global generator, a resumed run would differ.
            generator=torch.Generator(),
            # fork shares a preloaded dataset, and knows classes from a user's file, which spawn could not import.
            multiprocessing_context="fork" if sys.platform == "linux" else None,
        )
        with _signals_held():
            self._ahead = iter(loader)


class _Failure(NamedTuple):
    """A UserError on its way out of a worker: torch would wrap it in a traceback of many lines."""

    message: str


class _Batch(NamedTuple):
    """Images, and which examples among them are damaged: see `DepthDataset.replaced`."""

    images: torch.Tensor
    replaced: dict[int, tuple[int, str]]


class _Batches(Dataset["_Batch | _Failure"]):
    def __init__(self, dataset: DepthDataset, seed: int, part: Part | None, machine_part: Part | None) -> None:
        self.dataset = dataset
        self.seed = seed
        self.part = part
        self.machine_part = machine_part

    def __getitem__(self, request: Request) -> _Batch | _Failure:
        order = self._order(request.nimg, request.size)
        try:
            images = self.dataset.images(order, request.depth)
        except UserError as error:
            return _Failure(str(error))
        known = self.dataset.replaced
        # One layout in memory whatever the dataset's: convolutions round differently on another.
        return _Batch(
            torch.from_numpy(np.ascontiguousarray(images)),
            {index: known[index] for index in order if index in known},
        )

    def labels(self, nimg: int, depth: int, size: int) -> torch.Tensor | None:
        space, labels = self.dataset.label_space, self.dataset.labels
        if space is None or labels is None:
            return None
        _, height, width = self.dataset.growth.shape_at(depth)
        known = self.dataset.replaced
        order = [known[index][0] if index in known else index for index in self._order(nimg, size)]
        return torch.from_numpy(space.condition(labels[order], (height, width)))

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


class _Onwards(Sampler[Request]):
    """A request and all that follow it."""

    def __init__(self, first: Request) -> None:
        self.first = first

    def __iter__(self) -> Iterator[Request]:
        nimg, depth, size = self.first
        while True:
            yield Request(nimg, depth, size)
            nimg += size


def _same(result: Any) -> Any:
    return result


def _leave_group(worker: int) -> None:
    # Ctrl-C and a SIGTERM to the group are for the trainer, which finishes its step and then ends the workers.
    if sys.platform != "win32":
        os.setpgrp()
        from_trainer = _pending_from(os.getppid())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        if from_trainer:
            os._exit(0)


def _pending_from(process: int) -> bool:
    """Drop the signals that came between the fork and here; whether `process` itself sent one, to end this worker."""
    found = False
    for number in signal.sigpending() & STOPS:
        if sys.platform == "linux":
            found |= signal.sigwaitinfo({number}).si_pid == process
        else:
            signal.sigwait({number})
    return found


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back what stops a program, so that none hits a worker before it has left the group."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def to_network_range(
    batch: torch.Tensor, range_in: tuple[float, float], range_out: tuple[float, float]
) -> torch.Tensor:
    """Map [N, C, h, w] linearly from `range_in` to `range_out`, as float32 on the batch's device.

    Both ends are met exactly.
    """
    low, high = range_in
    out_low, out_high = range_out
    pixels = batch.float()
    if (low, high) == (out_low, out_high):
        return pixels
    return (pixels - low) / (high - low) * (out_high - out_low) + out_low
