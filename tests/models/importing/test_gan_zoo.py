"""The GAN zoo's checkpoints: the same images and scores as functions written from its definition."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from math import sqrt
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pggan_framework.errors import UserError
from pggan_framework.models.importing.convert import build_discriminator, build_generator
from pggan_framework.models.importing.detect import read_foreign

SCALES = [12, 12, 6]
LATENTS = 5


@pytest.fixture
def config(monkeypatch):
    """Its module of an empty class, and an object of it with the fields of a progressive GAN."""
    torch.manual_seed(0)
    module = ModuleType("models.utils.config")
    module.BaseConfig = type("BaseConfig", (), {"__module__": "models.utils.config"})
    for name in ("models", "models.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "models.utils.config", module)
    made = module.BaseConfig()
    vars(made).update(
        depthScale0=SCALES[0], depthOtherScales=SCALES[1:], initBiasToZero=True, leakyReluLeak=0.2, alpha=0,
        perChannelNormalization=True, miniBatchStdDev=True, equalizedlR=True, noiseVectorDim=LATENTS, dimOutput=3,
        latentVectorDim=LATENTS, categoryVectorDim=0, attribKeysOrder=None, lossCriterion="WGANGP", GDPP=False,
        learningRate=0.001, lambdaGP=10.0,
    )  # fmt: skip
    return made


def weights(shapes, seed):
    random = torch.Generator().manual_seed(seed)
    state = OrderedDict()
    for name, shape in shapes.items():
        state[f"{name}.module.weight"] = torch.randn(shape, generator=random)
        state[f"{name}.module.bias"] = torch.randn(shape[0], generator=random)
    return state


def generator(config, labels=0, seed=0):
    scales = [config.depthScale0, *config.depthOtherScales]
    shapes = {
        "formatLayer": (16 * scales[0], LATENTS + labels),
        "groupScale0.0": (scales[0], scales[0], 3, 3),
    }
    for index, (into, out) in enumerate(zip(scales, scales[1:], strict=False)):
        shapes[f"scaleLayers.{index}.0"], shapes[f"scaleLayers.{index}.1"] = (out, into, 3, 3), (out, out, 3, 3)
    for index, maps in enumerate(scales):
        shapes[f"toRGBLayers.{index}"] = (config.dimOutput, maps, 1, 1)
    return weights(shapes, seed)


def discriminator(config, labels=0, seed=7):
    scales = [config.depthScale0, *config.depthOtherScales]
    shapes = {
        "decisionLayer": (1 + labels, scales[0]),
        "groupScaleZero.0": (scales[0], scales[0] + config.miniBatchStdDev, 3, 3),
        "groupScaleZero.1": (scales[0], scales[0] * 16),
    }
    for index, (out, into) in enumerate(zip(scales, scales[1:], strict=False)):
        shapes[f"scaleLayers.{index}.0"], shapes[f"scaleLayers.{index}.1"] = (into, into, 3, 3), (out, into, 3, 3)
    for index, maps in enumerate(scales):
        shapes[f"fromRGBLayers.{index}"] = (maps, config.dimOutput, 1, 1)
    return weights(shapes, seed)


def applied(state, name, x, config):
    weight, bias = state[f"{name}.module.weight"].double(), state[f"{name}.module.bias"].double()
    y = F.linear(x, weight, bias) if weight.dim() == 2 else F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)
    return y * sqrt(2 / weight[0].numel()) if config.equalizedlR else y


def pictures(state, z, config):
    def norm(x):
        return x * ((x**2).mean(1, keepdim=True) + 1e-8).rsqrt() if config.perChannelNormalization else x

    def done(x):
        return norm(F.leaky_relu(x, config.leakyReluLeak))

    top = len(config.depthOtherScales)
    x = done(applied(state, "formatLayer", norm(z), config).view(len(z), -1, 4, 4))
    x = before = done(applied(state, "groupScale0.0", x, config))
    for index in range(top):
        before = x
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        for part in range(2):
            x = done(applied(state, f"scaleLayers.{index}.{part}", x, config))
    new = applied(state, f"toRGBLayers.{top}", x, config)
    if top and config.alpha > 0:
        old = applied(state, f"toRGBLayers.{top - 1}", before, config)
        new = config.alpha * old.repeat_interleave(2, 2).repeat_interleave(2, 3) + (1 - config.alpha) * new
    return new.tanh() if config.lossCriterion in ("MSE", "DCGAN") else new


def decisions(state, images, config):
    def done(name, x):
        return F.leaky_relu(applied(state, name, x, config), config.leakyReluLeak)

    top = len(config.depthOtherScales)
    x = done(f"fromRGBLayers.{top}", images)
    for index in range(top - 1, -1, -1):
        x = F.avg_pool2d(done(f"scaleLayers.{index}.1", done(f"scaleLayers.{index}.0", x)), 2)
        if index == top - 1 and config.alpha > 0 and top > 1:
            x = config.alpha * done(f"fromRGBLayers.{top - 1}", F.avg_pool2d(images, 2)) + (1 - config.alpha) * x
    if config.miniBatchStdDev:
        groups = x.view(-1, 4, *x.shape[1:])  # four that follow each other
        deviation = (groups.var(1) + 1e-8).sqrt().mean((1, 2, 3)).repeat_interleave(4)
        x = torch.cat([x, deviation.view(-1, 1, 1, 1).expand(-1, 1, 4, 4)], 1)
    x = done("groupScaleZero.0", x)
    return applied(state, "decisionLayer", done("groupScaleZero.1", x.flatten(1)), config)


def save(path, config, labels=0, rename=lambda name: name, kind=lambda config: config):
    """A checkpoint in its manner, its parts, and the path."""
    parts = {
        "netG": generator(config, labels), "netD": discriminator(config, labels), "avgG": generator(config, labels, 3)
    }  # fmt: skip
    renamed = {key: OrderedDict((rename(name), value) for name, value in state.items()) for key, state in parts.items()}
    torch.save({"config": kind(config), **renamed}, path)
    return parts


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"alpha": 0.3},
        {"depthOtherScales": [12], "alpha": 0.3},
        {"depthOtherScales": []},
        {"lossCriterion": "MSE"},
        {"leakyReluLeak": 0},
        {"equalizedlR": False},
        {"perChannelNormalization": False, "dimOutput": 1},
        {"miniBatchStdDev": False},
        {"depthScale0": 25, "depthOtherScales": [12, 6]},
    ],
    ids=str,
)
def test_the_same_pictures_and_scores(changes, config, tmp_path):
    vars(config).update(changes)
    path = tmp_path / "faces_s2_i96000.pt"
    parts = save(path, config)
    model = read_foreign(path)
    top = len(config.depthOtherScales)
    assert (model.depth, model.alpha) == (top, pytest.approx(1 - config.alpha))
    z = torch.randn(4, LATENTS, dtype=torch.float64)
    for key, layers in (("netG", model.G), ("avgG", model.averaged)):
        theirs = pictures(parts[key], z, config)
        assert theirs.std() > 0.1
        ours = build_generator(model, layers, torch.float64)(z)
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
        if not changes:
            single = build_generator(model, layers)(z.float())
            torch.testing.assert_close(single.double(), theirs, rtol=1e-5, atol=1e-5)
    x = torch.randn(8, config.dimOutput, 4 << top, 4 << top, dtype=torch.float64)
    judge = build_discriminator(model, torch.float64)
    if top == 1 and config.alpha:
        judge.alpha = 1.0  # theirs does not fade at its second scale
    # Our groups of 4 in a batch of 8 are every second image.
    order = torch.tensor([0, 4, 1, 5, 2, 6, 3, 7])
    found = judge(x[order])[torch.argsort(order)]
    theirs = decisions(parts["netD"], x, config)[:, 0]
    # The 1e-8 in the root is scaled with the deviation.
    torch.testing.assert_close(found, theirs, rtol=1e-5, atol=1e-5)


ATTRIBUTES = {
    "Nationality": {"order": 1, "values": ["english", "french", "indian"]},
    "Gender": {"order": 0, "values": ["M", "W"], "weights": {"M": 1.0, "W": 2.0}},
}


@pytest.mark.parametrize("version", ["later", "first"])
def test_labels(version, config, tmp_path):
    vars(config).update(attribKeysOrder=ATTRIBUTES, categoryVectorDim=5, latentVectorDim=LATENTS + 5)
    if version == "first":
        config.kInnerD = 1
    parts = save(tmp_path / "net.pt", config, labels=5)
    model = read_foreign(tmp_path / "net.pt")
    assert model.generator["latent_size"] == LATENTS
    labels = np.array([model.labels.find({"Gender": "W", "Nationality": "english"}), [0, 2]])
    one_hot = torch.from_numpy(model.labels.one_hot(labels)).double()
    assert one_hot.tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]
    z = torch.randn(2, LATENTS, dtype=torch.float64)
    ours = build_generator(model, None, torch.float64)(z, one_hot)
    theirs = pictures(parts["avgG"], torch.cat([z, one_hot], 1), config)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    said, theirs = build_discriminator(model, torch.float64).judge(x), decisions(parts["netD"], x, config)
    torch.testing.assert_close(said.scores, theirs[:, 0], rtol=1e-7, atol=1e-7)
    classes = theirs[:, 1:] if version == "first" else theirs[:, :5]
    torch.testing.assert_close(said.logits, classes, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "rename",
    [lambda name: name.replace(".module", ""), lambda name: f"module.{name}"],
    ids=["first version", "several GPUs"],
)
def test_names_of_its_versions(rename, config, tmp_path):
    parts = save(tmp_path / "net.pth", config, rename=rename, kind=vars)
    model = read_foreign(tmp_path / "net.pth")
    z = torch.randn(2, LATENTS, dtype=torch.float64)
    ours = build_generator(model, None, torch.float64)(z)
    torch.testing.assert_close(ours, pictures(parts["avgG"], z, config), rtol=1e-10, atol=1e-10)


def test_depths_that_are_still_to_come(config, tmp_path):
    config.alpha = 0.25
    parts = save(tmp_path / "faces_s2_i48000.pt", config)
    beside = tmp_path / "faces_train_config.json"
    beside.write_text(json.dumps({"depthScales": [*SCALES, 3]}))
    model = read_foreign(tmp_path / "faces_s2_i48000.pt")
    assert model.shape == (3, 32, 32) and model.depth == 2 and "depths 3 to 3" in model.notes[0]
    z = torch.randn(2, LATENTS, dtype=torch.float64)
    network = build_generator(model, None, torch.float64)
    torch.testing.assert_close(network(z), pictures(parts["avgG"], z, config), rtol=1e-10, atol=1e-10)
    network.depth = 3
    assert network(z).shape == (2, 3, 32, 32)
    for text, message in (("{}", "not a configuration"), ('{"depthScales": [9, 9, 9, 9]}', "of another run")):
        beside.write_text(text)
        with pytest.raises(UserError, match=message):
            read_foreign(tmp_path / "faces_s2_i48000.pt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"leakyReluLeak": 0.1}, "slope 0.1"),
        ({"lossCriterion": "Hinge"}, "lossMode Hinge; allowed: WGANGP"),
        ({"depthOtherScales": [5, 9]}, "12, 5, 9 feature maps"),
        ({"miniBatchStdDev": False}, "a weight of 12x13x3x3 at blocks.0.conv"),
    ],
    ids=str,
)
def test_what_our_networks_cannot_do_is_named(changes, message, config, tmp_path):
    path = tmp_path / "net.pt"
    states = {"netG": generator(config), "netD": discriminator(config), "avgG": generator(config)}
    vars(config).update(changes)
    torch.save({"config": config, **states}, path)
    with pytest.raises(UserError, match=message):
        build_discriminator(read_foreign(path))


def test_other_checkpoints_of_the_zoo(config, tmp_path):
    path = tmp_path / "net.pt"
    states = {"netG": generator(config), "netD": discriminator(config)}
    torch.save({"config": {"dimG": 64}, **states}, path)
    with pytest.raises(UserError, match="not of a progressive GAN"):
        read_foreign(path)
    del config.noiseVectorDim
    torch.save({"config": config, **states}, path)
    with pytest.raises(UserError, match="without noiseVectorDim"):
        read_foreign(path)


@pytest.mark.parametrize(
    ("key", "name"), [("netG", "scaleLayers.1.0.module.bias"), ("netD", "decisionLayer.module.weight")]
)
def test_layers_missing_or_unknown(key, name, config, tmp_path):
    path = tmp_path / "net.pt"
    states = {"netG": generator(config), "netD": discriminator(config)}
    kept = states[key].pop(name)
    torch.save({"config": config, **states}, path)
    with pytest.raises(UserError, match=f"lacks {name.replace('.module', '')} in {key}"):
        read_foreign(path)
    states[key] |= {name: kept, "noise.weight": torch.zeros(1)}
    torch.save({"config": config, **states}, path)
    with pytest.raises(UserError, match=f"has noise.weight in {key}"):
        read_foreign(path)
