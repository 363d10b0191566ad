"""deepsound's checkpoints: whole modules, the same images and scores as functions written from its definition."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections import OrderedDict
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pggan_framework.errors import UserError
from pggan_framework.models.importing.convert import build_discriminator, build_generator
from pggan_framework.models.importing.detect import read_foreign

BLOCKS = 2
CLASSES = ["Generator", "Discriminator", "GFirstBlock", "GBlock", "DBlock", "DLastBlock", "PGConv2d", "MinibatchStddev"]


def maps(stage):
    return min(int(100 / 2**stage), 24)  # not all of them halves


@pytest.fixture
def classes(monkeypatch):
    """Classes of the names in its module ``network``, which have fields and nothing else."""
    torch.manual_seed(0)
    module = ModuleType("network")
    for name in CLASSES:
        cls = type(name, (nn.Module,), {"__module__": "network"})
        setattr(module, name, cls)
    monkeypatch.setitem(sys.modules, "network", module)
    return module


def conv(classes, into, out, size=3, pad=1, pixelnorm=False, act="lrelu", constant=None):
    layer = classes.PGConv2d()
    layer.conv = nn.Conv2d(into, out, size, 1, pad)
    nn.init.normal_(layer.conv.weight)
    layer.c = (
        np.float64(torch.empty(()).uniform_(0.5, 1.5).item() / np.sqrt(into * size**2))
        if constant is None
        else constant
    )
    layer.eps, layer.pixelnorm = 1e-8, pixelnorm
    layer.act = {"lrelu": nn.LeakyReLU(0.2), "relu": nn.ReLU(), None: None}[act]
    return layer


def generator(classes, depth=BLOCKS, alpha=1.0, pixelnorm=True, act="lrelu", constant=None, latents=6):
    options = {"pixelnorm": pixelnorm, "act": act, "constant": constant}
    G = classes.Generator()
    for index in range(BLOCKS + 1):
        block = (classes.GBlock if index else classes.GFirstBlock)()
        first = (maps(index), maps(index + 1)) if index else (latents, maps(1), 4, 3)
        block.c1 = conv(classes, *first, **options)
        block.c2 = conv(classes, maps(index + 1), maps(index + 1), **options)
        block.toRGB = conv(classes, maps(index + 1), 1, 1, 0, act=None)
        if index == 0:
            G.block0, G.blocks = block, nn.ModuleList()
        else:
            G.blocks.append(block)
    G.normalize_latents, G.eps, G.latent_size, G.max_depth = True, 1e-8, latents, BLOCKS
    G.depth, G.alpha = depth, alpha
    return G


def discriminator(classes, depth=BLOCKS, alpha=1.0, act="lrelu", pixelnorm=False):
    D = classes.Discriminator()
    D.blocks = nn.ModuleList()
    for index in range(BLOCKS, -1, -1):
        block = (classes.DBlock if index else classes.DLastBlock)()
        into, out = maps(index + 1), maps(index)
        block.fromRGB = conv(classes, 1, into, 1, 0)
        block.c1 = conv(classes, into + (index == 0), into, act=act, pixelnorm=pixelnorm)
        block.c2 = conv(classes, into, out, *((3, 1) if index else (4, 0)), act=act, pixelnorm=pixelnorm)
        if index == 0:
            block.stddev = classes.MinibatchStddev()
        D.blocks.append(block)
    D.linear = nn.Linear(maps(0), 1)
    D.R, D.eps, D.depth, D.alpha, D.max_depth = BLOCKS + 2, 1e-8, depth, alpha, BLOCKS
    return D


def layer(module, x, pad=1):
    """What its PGConv2d computes, in float64."""
    x = F.conv2d(x * float(module.c), module.conv.weight.double(), module.conv.bias.double(), padding=pad)
    if module.act is not None:
        x = torch.where(x > 0, x, x * (0.2 if isinstance(module.act, nn.LeakyReLU) else 0))
    return x / ((x * x).mean(1, keepdim=True) + 1e-8).sqrt() if module.pixelnorm else x


def up(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


@torch.no_grad()
def pictures(G, z):
    x = (z / ((z * z).mean(1, keepdim=True) + 1e-8).sqrt())[:, :, None, None]
    blocks = [G.block0, *G.blocks]
    for index, block in enumerate(blocks[: G.depth + 1]):
        before = x = up(x) if index else x
        x = layer(block.c2, layer(block.c1, x, 1 if index else 3))
    new = layer(blocks[G.depth].toRGB, x, 0)
    if G.depth == 0 or G.alpha == 1:
        return new
    return layer(blocks[G.depth - 1].toRGB, before, 0) * (1 - G.alpha) + new * G.alpha


@torch.no_grad()
def scores(D, images):
    blocks = list(D.blocks)[::-1]
    x = layer(blocks[D.depth].fromRGB, images, 0)
    for index in range(D.depth, 0, -1):
        x = F.avg_pool2d(layer(blocks[index].c2, layer(blocks[index].c1, x)), 2)
        if index == D.depth and D.alpha < 1:
            old = layer(blocks[index - 1].fromRGB, F.avg_pool2d(images, 2), 0)
            x = x * D.alpha + old * (1 - D.alpha)
    deviation = (((x - x.mean()) ** 2).mean() + 1e-8).sqrt().expand(len(x), 1, 4, 4)
    x = layer(blocks[0].c2, layer(blocks[0].c1, torch.cat([x, deviation], 1)), 0)
    return F.linear(x[:, :, 0, 0], D.linear.weight.double(), D.linear.bias.double())[:, 0]


def save(tmp_path, G, D=None, **options):
    """Its two files, in the manner of its SaverPlugin; the path of the generator's."""
    for name, network in (("generator", G), ("discriminator", D)):
        if network is not None:
            torch.save(network, tmp_path / f"network-snapshot-{name}-003000.dat", **options)
    return tmp_path / "network-snapshot-generator-003000.dat"


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(("depth", "alpha"), [(2, 1.0), (2, 0.25), (1, 0.5), (1, 1.0), (0, 1.0)])
def test_the_same_pictures_and_scores(depth, alpha, zipped, classes, tmp_path):
    G, D = generator(classes, depth, alpha), discriminator(classes, depth, alpha)
    path = save(tmp_path, G, D, _use_new_zipfile_serialization=zipped)
    model = read_foreign(path)
    assert (model.shape, model.depth, model.alpha, model.nimg) == ((1, 16, 16), depth, alpha, 3_000_000)
    z = torch.randn(4, 6, dtype=torch.float64)
    theirs = pictures(G, z)
    assert theirs.std() > 0.1
    torch.testing.assert_close(build_generator(model, None, torch.float64)(z), theirs, rtol=0, atol=1e-10)
    torch.testing.assert_close(build_generator(model)(z.float()).double(), theirs, rtol=1e-5, atol=1e-5)
    x = torch.randn(5, 1, 4 << depth, 4 << depth, dtype=torch.float64)
    found = build_discriminator(model, torch.float64)(x)
    torch.testing.assert_close(found, scores(D, x), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {"pixelnorm": False},
        {"act": "relu"},
        {"constant": 1.0},
        {"constant": np.float32(0.3)},
        {"constant": torch.tensor(0.3)},
    ],
    ids=str,
)
def test_its_switches(options, classes, tmp_path):
    G = generator(classes, **options)
    G.normalize_latents = True
    model = read_foreign(save(tmp_path, G))
    z = torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(build_generator(model, None, torch.float64)(z), pictures(G, z), rtol=1e-10, atol=1e-10)
    assert model.D is None and model.generator["wscale"] == (options.get("constant") != 1.0)
    build_discriminator(model)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_files_of_torch_0_3(classes, tmp_path):
    """Parameters were calls of their class then, and tensors of another function."""
    G = generator(classes)

    class Pickler(pickle.Pickler):
        def reducer_override(self, thing):
            if isinstance(thing, nn.Parameter):
                return nn.Parameter, (thing.data,), (True, False, OrderedDict())
            if isinstance(thing, torch.Tensor):
                size = thing.size(), thing.stride()
                storage = torch.storage.TypedStorage(
                    wrap_storage=thing.untyped_storage(), dtype=thing.dtype, _internal=True
                )
                return torch._utils._rebuild_tensor, (storage, thing.storage_offset(), *map(tuple, size))
            return NotImplemented

    old = SimpleNamespace(__name__="old", Pickler=Pickler, dump=pickle.dump)
    path = save(tmp_path, G, pickle_module=old, _use_new_zipfile_serialization=False)
    assert b"_rebuild_tensor_v2" not in path.read_bytes()
    z = torch.randn(3, 6, dtype=torch.float64)
    ours = build_generator(read_foreign(path), None, torch.float64)(z)
    torch.testing.assert_close(ours, pictures(G, z), rtol=1e-10, atol=1e-10)


def test_the_discriminator_may_lie_elsewhere(classes, tmp_path):
    path = save(tmp_path, generator(classes), discriminator(classes))
    elsewhere = (tmp_path / "network-snapshot-discriminator-003000.dat").rename(tmp_path / "judge.dat")
    assert read_foreign(path).D is None
    assert read_foreign(path, elsewhere).D is not None
    for name, file in (("does not exist", tmp_path / "none.dat"), ("holds no discriminator", path)):
        with pytest.raises(UserError, match=name):
            read_foreign(path, file)


def altered(G, D):
    """What our networks cannot do, by what is said of it."""

    def attribute(module, name, value):
        return lambda: setattr(module, name, value)

    return {
        "eps .*1e-08": attribute(G.blocks[0].c1, "eps", 1e-6),
        "layers of several kinds .pixelnorm.": attribute(G.blocks[0].c1, "pixelnorm", False),
        "slope 0.3": attribute(G.blocks[0].c1, "act", nn.LeakyReLU(0.3)),
        "activation at toRGB": attribute(G.block0.toRGB, "act", nn.ReLU()),
        "stride": attribute(G.block0.c2.conv, "stride", (2, 2)),
        "padding": attribute(G.block0.c2.conv, "padding", (0, 0)),
        "depth 7": attribute(G, "depth", 7),
        "feature maps": attribute(G.block0, "toRGB", conv_of(G, 5)),
        "expected": attribute(G.blocks[1].c1, "conv", nn.Conv2d(3, maps(3), 3, padding=1)),
        "damaged .'c2'": lambda: delattr(G.blocks[0], "c2"),
        "pixel norm in the discriminator": lambda: [
            setattr(part, "pixelnorm", True) for block in D.blocks for part in (block.c1, block.c2)
        ],
        "another activation at fromRGB": lambda: [
            setattr(part, "act", nn.ReLU()) for block in D.blocks for part in (block.c1, block.c2)
        ],
    }


def conv_of(G, into):
    module = type(G.block0.toRGB)()
    module.__dict__.update(G.block0.toRGB.__dict__)
    module._modules = {"conv": nn.Conv2d(into, 1, 1)}
    module.act = None
    return module


@pytest.mark.parametrize("index", range(12))
def test_what_our_networks_cannot_do_is_named(index, classes, tmp_path):
    G, D = generator(classes), discriminator(classes)
    message, change = list(altered(G, D).items())[index]
    change()
    with pytest.raises(UserError, match=message):
        model = read_foreign(save(tmp_path, G, D))
        build_generator(model)


def test_other_files_of_torch(classes, tmp_path):
    path = save(tmp_path, generator(classes), discriminator(classes))
    with pytest.raises(UserError, match="contains a discriminator; give the generator's"):
        read_foreign(tmp_path / "network-snapshot-discriminator-003000.dat")
    torch.save(generator(classes).state_dict(), tmp_path / "state.dat")
    with pytest.raises(UserError, match="state dict of deepsound's trainer, without layer constants"):
        read_foreign(tmp_path / "state.dat")
    torch.save({"a": torch.zeros(2)}, tmp_path / "dict.pt")
    with pytest.raises(UserError, match="is a torch file, but not a model of a supported system"):
        read_foreign(tmp_path / "dict.pt")
    torch.save(nn.BatchNorm2d(3), tmp_path / "norm.pt")
    with pytest.raises(UserError, match="requests torch.nn.modules.batchnorm.BatchNorm2d"):
        read_foreign(tmp_path / "norm.pt")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/data.pkl", b"\x80\x02c__torch__\nNet\n.")
    with pytest.raises(UserError, match="TorchScript"):
        read_foreign(tmp_path / "script.pt")
    assert path.is_file()


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("share", [0.001, 0.2, 0.9, 0.9999])
@pytest.mark.parametrize("zipped", [True, False])
def test_cut_short(share, zipped, classes, tmp_path):
    path = save(tmp_path, generator(classes), _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match="truncated or damaged"):
        read_foreign(path)
