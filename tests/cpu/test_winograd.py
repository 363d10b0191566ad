"""Convolutions by minimal filtering: the library's values and derivatives, for every kind, tile and layout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from pggan_framework import cpu
from pggan_framework.cpu import native, winograd
from pggan_framework.losses import WGANGP
from pggan_framework.losses.context import Side, StepContext
from pggan_framework.networks import Discriminator, Generator
from pggan_framework.networks.execution import Execution
from pggan_framework.networks.functional import Geometry, convolve
from pggan_framework.training.capture import capture
from pggan_framework.training.graphs import weights_of
from pggan_framework.training.step import backward

PAIRS = {3: (1, 1), 4: (2, 2)}
REFERENCE = Execution(reference=True)


def forget() -> None:
    """Look for compiled code again, as a new process does."""
    winograd.load.cache_clear()
    native._library.cache_clear()


needed = pytest.mark.skipif(winograd.load(torch.float64) is None, reason="not used on this machine")


def tensor(*shape: int, dtype: torch.dtype = torch.float64, channels_last: bool = True) -> Tensor:
    order = torch.channels_last if channels_last and len(shape) == 4 else torch.contiguous_format
    return torch.randn(*shape, dtype=dtype).contiguous(memory_format=order)


def library(x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool) -> Tensor:
    operation = F.conv_transpose2d if transposed else F.conv2d
    return operation(x, weight, bias, PAIRS[weight.shape[2]], 1)


def case(samples: int, channels: int, out: int, side: tuple[int, int], kernel: int, transposed: bool) -> Any:
    shape = (channels, out) if transposed else (out, channels)
    return tensor(samples, channels, *side), tensor(*shape, kernel, kernel), tensor(out)


# Samples, channels in and out, height and width, kernel: for each kind, outputs that only small tiles divide and ones
# that large tiles do; most numbers of channels fill no vector.
SHAPES = [
    (3, 32, 48, (4, 6), 3, False),
    (2, 33, 45, (8, 12), 3, False),
    (2, 40, 37, (8, 12), 3, True),
    (3, 35, 33, (4, 12), 4, False),
    (2, 32, 41, (16, 8), 4, False),
    (3, 33, 35, (2, 6), 4, True),
    (2, 45, 32, (4, 8), 4, True),
]


@pytest.fixture
def any_number(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """However few tiles there are, they are worth it."""
    for name in ("_FEWEST", "_FEWEST_FOR_WEIGHTS"):
        monkeypatch.setattr(winograd, name, dict.fromkeys(getattr(winograd, name), (1, 1)))
    for plans in (winograd.plan, winograd.weights_plan):
        plans.cache_clear()
    yield
    for plans in (winograd.plan, winograd.weights_plan):
        plans.cache_clear()


@needed
@pytest.mark.usefixtures("any_number")
@pytest.mark.parametrize("shape", SHAPES)
def test_values_are_the_librarys(shape: Any) -> None:
    torch.manual_seed(0)
    x, weight, bias = case(*shape)
    transposed, stride = shape[-1], PAIRS[shape[-2]]
    assert winograd.suits(x, weight, stride, (1, 1), transposed)
    for given in (bias, None):
        found = winograd.winograd(x, weight, given, transposed, 0.2)
        assert found.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(
            found, F.leaky_relu(library(x, weight, given, transposed), 0.2), rtol=1e-11, atol=1e-11
        )
    scattered = weight.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    found = winograd.winograd(x.contiguous(), scattered, None, transposed, None)
    torch.testing.assert_close(found, library(x, weight, None, transposed), rtol=1e-11, atol=1e-11)


@needed
@pytest.mark.usefixtures("any_number")
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape[-1]])
def test_weight_gradients_are_the_librarys(shape: Any) -> None:
    torch.manual_seed(0)
    x, weight, _ = case(*shape)
    weight.requires_grad_()
    y = library(x, weight, None, False)
    gradient = tensor(*y.shape)
    (wanted,) = torch.autograd.grad(y, weight, gradient)
    kernel = (shape[-2], shape[-2])
    assert winograd.suits_weights(x, gradient, kernel, PAIRS[shape[-2]], (1, 1))
    torch.testing.assert_close(winograd.weights(x, gradient, kernel), wanted, rtol=1e-11, atol=1e-10)


@needed
def test_float32_rounds_about_as_the_library_does() -> None:
    torch.manual_seed(0)
    for kernel in (3, 4):
        x, weight = tensor(4, 64, 64, 64), tensor(64, 64, kernel, kernel)
        exact = library(x, weight, None, False)
        theirs = library(x.float(), weight.float(), None, False)
        mine = convolve(x.float(), weight.float(), None, Geometry(PAIRS[kernel], (1, 1)))
        assert (mine - exact).norm() < 8 * (theirs - exact).norm()
        assert (mine - exact).norm() < 4e-6 * exact.norm()
        assert not torch.equal(mine, theirs), "another algorithm was to be used"


@needed
@pytest.mark.usefixtures("any_number")
@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[3], SHAPES[5]])
def test_a_penaltys_gradients_are_the_plain_ones(shape: Any) -> None:
    torch.manual_seed(0)
    inputs = [value.requires_grad_() for value in case(*shape)]

    def gradients(execution: Execution) -> list[Tensor]:
        x = inputs[0]
        y = convolve(*inputs, Geometry(PAIRS[shape[-2]], (1, 1), shape[-1]), 0.2, execution)
        score = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum()
        (slope,) = torch.autograd.grad(score, x, create_graph=True)
        return [y, slope, *torch.autograd.grad(slope.square().sum() + y.square().mean(), inputs)]

    for mine, theirs in zip(gradients(Execution()), gradients(REFERENCE), strict=True):
        assert (mine - theirs).norm() < 1e-11 * theirs.norm()


@needed
def test_networks_use_them_at_every_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    operations = cpu._pggan

    def counted(x: Tensor, weight: Tensor, *rest: Any) -> Any:
        used.append(x.shape[2])
        return operations.winograd(x, weight, *rest)

    monkeypatch.setattr(cpu, "_pggan", SimpleNamespace(winograd=counted))
    torch.manual_seed(0)
    sizes = {"fmap_base": 512, "fmap_max": 32}
    G, D = Generator([3, 16, 16], latent_size=8, **sizes).double(), Discriminator([3, 16, 16], **sizes).double()
    latents = torch.randn(16, 8, dtype=torch.float64)
    with torch.no_grad():
        for depth in range(3):
            G.depth = D.depth = depth
            for alpha in (1.0, 0.5):
                G.alpha = D.alpha = alpha
                scores = D(G(latents))
                assert {4, 8, 16}.intersection(used) == {4 << i for i in range(depth + 1)}
                for network in (G, D):
                    network.execute(REFERENCE)
                torch.testing.assert_close(scores, D(G(latents)), rtol=1e-11, atol=1e-11)
                for network in (G, D):
                    network.execute(Execution())


@needed
@pytest.mark.parametrize("side", ["D", "G"])
def test_the_graph_of_an_update_has_them(side: Side) -> None:
    torch.manual_seed(0)
    sizes = {"fmap_base": 256, "fmap_max": 32}
    G, D = Generator([3, 8, 8], latent_size=8, **sizes).double(), Discriminator([3, 8, 8], **sizes).double()
    reals, mixing = tensor(16, 3, 8, 8), torch.rand(16, 1, 1, 1, dtype=torch.float64)
    drawn = (reals, None, mixing) if side == "D" else ()
    context, loss = StepContext(side, G, D, torch.randn(16, 8, dtype=torch.float64), *drawn), WGANGP()
    trained, other = (D, G) if side == "D" else (G, D)
    other.requires_grad_(False)
    operators: list[str] = []

    def as_it_is(graph: GraphModule) -> GraphModule:
        operators.extend(str(node.target) for node in graph.graph.nodes)
        return graph

    weights = weights_of(loss, context)
    captured = capture(loss, context, weights, as_it_is)
    assert sum("winograd" in name for name in operators) >= 6
    captured.apply(captured.update.inputs(context, weights), context)
    found = [p.grad for p in trained.parameters()]
    trained.zero_grad(set_to_none=True)
    for network in (G, D):
        network.execute(REFERENCE)
    backward(loss, StepContext(side, G, D, context.latents, *drawn))
    for mine, p in zip(found, trained.parameters(), strict=True):
        assert (mine is None) == (p.grad is None)
        if mine is not None and p.grad is not None:
            torch.testing.assert_close(mine, p.grad, rtol=1e-9, atol=1e-11)


@needed
def test_results_do_not_depend_on_the_number_of_threads() -> None:
    torch.manual_seed(0)
    x, weight, gradient = tensor(7, 32, 16, 16), tensor(32, 32, 3, 3), tensor(7, 32, 16, 16)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            values = winograd.winograd(x, weight, None, False, None), winograd.weights(x, gradient, (3, 3))
            results.append(values)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def test_what_does_not_suit_is_the_librarys() -> None:
    x, weight = tensor(16, 32, 8, 8), tensor(32, 32, 3, 3)
    for stride, padding in (((2, 2), (1, 1)), ((1, 1), (0, 0)), ((1, 2), (1, 1))):
        assert not winograd.suits(x, weight, stride, padding, False)
    assert not winograd.suits(x[:, :8], weight[:, :8], (1, 1), (1, 1), False), "few channels"
    assert not winograd.suits(x[:1, :, :4, :4], weight, (1, 1), (1, 1), False), "few tiles"
    assert not winograd.suits(x[:, :, :7], weight, (1, 1), (1, 1), False), "an odd height"
    assert not winograd.suits(x.to(torch.bfloat16), weight.to(torch.bfloat16), (1, 1), (1, 1), False)
    assert not winograd.suits(x.to("meta"), weight.to("meta"), (1, 1), (1, 1), False)
    wide = tensor(16, 32, 8, 9)
    assert not winograd.suits(wide, tensor(32, 32, 4, 4), (2, 2), (1, 1), False), "an odd width"
    assert not winograd.suits_weights(wide, tensor(16, 32, 4, 4), (4, 4), (2, 2), (1, 1))


def test_without_a_compiler_the_library_computes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setattr(native, "compiler", lambda: None)
    forget()
    try:
        assert winograd.load(torch.float64) is None
        x, weight = tensor(16, 32, 8, 8), tensor(32, 32, 3, 3)
        assert not winograd.suits(x, weight, (1, 1), (1, 1), False)
        torch.testing.assert_close(convolve(x, weight, None, Geometry((1, 1), (1, 1))), library(x, weight, None, False))
        note = cpu.note(torch.device("cpu"), weight.shape[0], "auto")
        assert ("no C++ compiler" in note) == bool(native.processor())
    finally:
        forget()


def test_a_compiler_that_fails_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setattr(native, "processor", lambda: "AVX2")
    failing, tried = tmp_path / "failing", tmp_path / "tried"
    failing.write_text(f"#!/bin/sh\necho once >> {tried}\nexit 1\n", encoding="utf-8")
    failing.chmod(0o700)
    monkeypatch.setattr(native, "compiler", lambda: str(failing))
    try:
        for _ in range(2):
            forget()
            assert winograd.load(torch.float32) is None
        assert tried.read_text(encoding="utf-8") == "once\n", "a run after it need not wait for it again"
        for marker in tmp_path.rglob("*.failed"):
            os.utime(marker, (0, 0))
        forget()
        assert winograd.load(torch.float32) is None
        assert tried.read_text(encoding="utf-8") == "once\nonce\n", "but another day it may be fixed"
    finally:
        forget()
    assert not list(tmp_path.rglob("*.so")) and not list(tmp_path.rglob("*.tmp"))


@needed
@pytest.mark.usefixtures("any_number")
@pytest.mark.parametrize("quicker", [0.0, 1e9])
def test_on_an_unknown_processor_it_is_used_if_it_is_quicker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quicker: float
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    # Not as large as a real one, and quick to compile.
    monkeypatch.setattr(native, "FLAGS", tuple("-O1" if flag == "-O3" else flag for flag in native.FLAGS))
    monkeypatch.setattr(native, "on_trial", lambda: True)
    monkeypatch.setattr(winograd, "_QUICKER", quicker)
    x, weight = tensor(2, 32, 8, 8), tensor(32, 32, 3, 3)
    try:
        forget()
        # Even if the first convolution of all is one that is being traced, the trial is not part of the graph.
        graph = make_fx(lambda x: convolve(x, weight, None, Geometry((1, 1), (1, 1))))(x)
        operations = [str(node.target) for node in graph.graph.nodes if "conv" in str(node.target)]
        assert len(operations) == (quicker > 0)
        assert winograd.suits(x, weight, (1, 1), (1, 1), False) == (quicker == 0)
        torch.testing.assert_close(convolve(x, weight, None, Geometry((1, 1), (1, 1))), library(x, weight, None, False))
        # What was found is kept for the next process.
        monkeypatch.setattr(winograd, "_trial", lambda code, number: pytest.fail("tried twice"))
        forget()
        assert (winograd.load(torch.float64) is not None) == (quicker == 0)
    finally:
        forget()


@needed
def test_code_that_computes_something_else_fails_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "_QUICKER", 0.0)
    code = winograd.load(torch.float64)
    assert winograd._trial(code, torch.float64)
    monkeypatch.setattr(winograd, "_convolve", lambda x, *rest: torch.zeros_like(x))
    assert not winograd._trial(code, torch.float64)


@needed
@pytest.mark.usefixtures("any_number")
def test_vectors_as_wide_as_those_of_avx512_give_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    flags = tuple("-O1" if flag == "-O3" else flag for flag in native.FLAGS)
    monkeypatch.setattr(native, "FLAGS", (*flags, "-DVECTOR_BYTES=64"))
    torch.manual_seed(0)
    try:
        forget()
        for shape in SHAPES:
            x, weight, bias = case(*shape)
            found = winograd.winograd(x, weight, bias, shape[-1], 1.0)
            torch.testing.assert_close(found, library(x, weight, bias, shape[-1]), rtol=1e-11, atol=1e-11)
            if not shape[-1]:
                stride = PAIRS[shape[-2]]
                gradient = torch.randn_like(found)
                (expected,) = torch.autograd.grad(library(x, weight.requires_grad_(), None, False), weight, gradient)
                assert winograd.suits_weights(x, gradient, (shape[-2],) * 2, stride, (1, 1))
                torch.testing.assert_close(
                    winograd.weights(x, gradient, (shape[-2],) * 2), expected, rtol=1e-11, atol=1e-11
                )
    finally:
        forget()


@needed
def test_the_operator_is_well_formed() -> None:
    for weight, transposed in ((tensor(32, 40, 3, 3), True), (tensor(40, 32, 4, 4), False)):
        args = tensor(32, 32, 8, 8), weight, None, transposed, 0.2
        torch.library.opcheck(torch.ops.pggan.winograd.default, args, test_utils=("test_schema", "test_faketensor"))
