"""The original PGGAN's pickles: the same images and scores as networks written from its definition."""

from __future__ import annotations

import pickle
import sys
from io import BytesIO
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pggan_framework.errors import UserError
from pggan_framework.models.importing.convert import build_discriminator, build_generator
from pggan_framework.models.importing.detect import read_foreign
from pggan_framework.storage.arrays import as_array
from pggan_framework.storage.pickles import read_pickle

TOP = 4
"""log2 of the resolution."""
SIZES = {"fmap_base": 96, "fmap_decay": 1.0, "fmap_max": 24}


def maps(stage):
    return min(int(96 / 2**stage), 24)


@pytest.fixture
def modules(monkeypatch):
    """The modules that such pickles name, with a class Network that gives the state it was made with."""

    torch.manual_seed(0)

    def network(module):
        made = ModuleType(module)

        class Network:
            def __init__(self, state):
                self.state = state

            def __getstate__(self):
                return self.state

            def __setstate__(self, state):
                self.state = state

        Network.__module__, Network.__qualname__ = module, "Network"
        made.Network = Network
        monkeypatch.setitem(sys.modules, module, made)
        return Network

    return {name: network(name) for name in ("tfutil", "network")}


# The TensorFlow version ---------------------------------------------------------------------------------------------


def variables(which, labels=0, fused=True, channels=2, seed=0, group=4):
    """Random variables by name, as its functions G_paper and D_paper make them."""
    random = np.random.default_rng(seed)
    shapes = {}

    def layer(name, *shape, bias):
        shapes[f"{name}/weight"] = shape
        shapes[f"{name}/bias"] = (bias,)

    if which == "G":
        layer("4x4/Dense", maps(0) + labels, maps(1) * 16, bias=maps(1))
        layer("4x4/Conv", 3, 3, maps(1), maps(1), bias=maps(1))
        for res in range(3, TOP + 1):
            name, into, out = f"{2**res}x{2**res}", maps(res - 2), maps(res - 1)
            if fused:
                layer(f"{name}/Conv0_up", 3, 3, out, into, bias=out)
            else:
                layer(f"{name}/Conv0", 3, 3, into, out, bias=out)
            layer(f"{name}/Conv1", 3, 3, out, out, bias=out)
        for res in range(2, TOP + 1):
            layer(f"ToRGB_lod{TOP - res}", 1, 1, maps(res - 1), channels, bias=channels)
    else:
        for res in range(2, TOP + 1):
            layer(f"FromRGB_lod{TOP - res}", 1, 1, channels, maps(res - 1), bias=maps(res - 1))
        for res in range(3, TOP + 1):
            name, into, out = f"{2**res}x{2**res}", maps(res - 1), maps(res - 2)
            layer(f"{name}/Conv0", 3, 3, into, into, bias=into)
            layer(f"{name}/Conv1_down" if fused else f"{name}/Conv1", 3, 3, into, out, bias=out)
        layer("4x4/Conv", 3, 3, maps(1) + (group > 1), maps(1), bias=maps(1))
        layer("4x4/Dense0", maps(1) * 16, maps(0), bias=maps(0))
        layer("4x4/Dense1", maps(0), 1 + labels, bias=1 + labels)
    found = {name: random.standard_normal(shape) for name, shape in shapes.items()}
    for name in found:
        found[name] = found[name] * (0.3 if name.endswith("bias") else 1)
    return found


def he(weight, gain, wscale, fan_in=None):
    fan_in = np.prod(weight.shape[:-1]) if fan_in is None else fan_in
    return torch.from_numpy(weight) * (gain / np.sqrt(fan_in) if wscale else 1)


def conv2d(x, weight):
    """NCHW with a kernel [k, k, C, C'], SAME."""
    return F.conv2d(x, weight.permute(3, 2, 0, 1), padding=weight.shape[0] // 2)


def four(weight):
    """A kernel of 3 as one of 4, summed over four shifts."""
    weight = F.pad(weight, (0, 0, 0, 0, 1, 1, 1, 1))
    return weight[1:, 1:] + weight[:-1, 1:] + weight[1:, :-1] + weight[:-1, :-1]


def conv2d_transpose(x, weight):
    """By definition the gradient of the convolution of stride 2 with the kernel [k, k, C', C]."""
    size = 2 * x.shape[2]
    z = torch.zeros(x.shape[0], weight.shape[2], size, size, dtype=x.dtype, requires_grad=True)
    y = F.conv2d(F.pad(z, (1, 1, 1, 1)), weight.permute(3, 2, 0, 1), stride=2)
    return torch.autograd.grad((y * x).sum(), z)[0]


def pixel_norm(x):
    return x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-8)


def up(x, factor=2):
    return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def down(x, factor=2):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // factor, factor, w // factor, factor).mean((3, 5))


def generate(v, z, lod, wscale=True, leaky=True, pixelnorm=True):
    """Images of full size by the rule of its "recursive" structure."""
    norm = pixel_norm if pixelnorm else (lambda x: x)

    def done(x, name):
        x = x + torch.from_numpy(v[f"{name}/bias"]).reshape(1, -1, 1, 1)
        return norm(torch.maximum(x, x * (0.2 if leaky else 0)))

    def block(x, res):
        name = f"{2**res}x{2**res}"
        if res == 2:
            x = pixel_norm(x) @ he(v["4x4/Dense/weight"], np.sqrt(2) / 4, wscale)
            x = done(x.reshape(-1, maps(1), 4, 4), "4x4/Dense")
            return done(conv2d(x, he(v["4x4/Conv/weight"], np.sqrt(2), wscale)), "4x4/Conv")
        if f"{name}/Conv0_up/weight" in v:
            raw = v[f"{name}/Conv0_up/weight"]
            weight = he(raw, np.sqrt(2), wscale, 9 * raw.shape[3])
            x = done(conv2d_transpose(x, four(weight)), f"{name}/Conv0_up")
        else:
            x = done(conv2d(up(x), he(v[f"{name}/Conv0/weight"], np.sqrt(2), wscale)), f"{name}/Conv0")
        return done(conv2d(x, he(v[f"{name}/Conv1/weight"], np.sqrt(2), wscale)), f"{name}/Conv1")

    def rgb(x, res):
        name = f"ToRGB_lod{TOP - res}"
        return conv2d(x, he(v[f"{name}/weight"], 1, wscale)) + torch.from_numpy(v[f"{name}/bias"]).reshape(1, -1, 1, 1)

    def grow(x, res, level):
        y = block(x, res)
        if level > 0 and lod < level:
            return grow(y, res + 1, level - 1)
        if res > 2 and lod > level:
            old = up(rgb(x, res - 1))
            return up(rgb(y, res) + (old - rgb(y, res)) * (lod - level), 2**level)
        return up(rgb(y, res), 2**level)

    return grow(z, 2, TOP - 2)


def score(v, x, lod, group=4, wscale=True):
    """Scores and class logits of images of full size."""

    def done(x, name):
        bias = torch.from_numpy(v[f"{name}/bias"])
        x = x + (bias if x.dim() == 2 else bias.reshape(1, -1, 1, 1))
        return torch.maximum(x, x * 0.2)

    def from_rgb(x, res):
        name = f"FromRGB_lod{TOP - res}"
        return done(conv2d(x, he(v[f"{name}/weight"], np.sqrt(2), wscale)), name)

    def block(x, res):
        name = f"{2**res}x{2**res}"
        if res > 2:
            x = done(conv2d(x, he(v[f"{name}/Conv0/weight"], np.sqrt(2), wscale)), f"{name}/Conv0")
            if f"{name}/Conv1_down/weight" in v:
                weight = four(he(v[f"{name}/Conv1_down/weight"], np.sqrt(2), wscale)) / 4
                x = F.conv2d(F.pad(x, (1, 1, 1, 1)), weight.permute(3, 2, 0, 1), stride=2)
                return done(x, f"{name}/Conv1_down")
            return down(done(conv2d(x, he(v[f"{name}/Conv1/weight"], np.sqrt(2), wscale)), f"{name}/Conv1"))
        if group > 1:
            members = x.reshape(min(group, len(x)), -1, *x.shape[1:])
            spread = torch.sqrt(((members - members.mean(0)) ** 2).mean(0) + 1e-8).mean((1, 2, 3))
            spread = spread.repeat(min(group, len(x))).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4)
            x = torch.cat([x, spread], 1)
        x = done(conv2d(x, he(v["4x4/Conv/weight"], np.sqrt(2), wscale)), "4x4/Conv")
        x = done(x.reshape(len(x), -1) @ he(v["4x4/Dense0/weight"], np.sqrt(2), wscale), "4x4/Dense0")
        return x @ he(v["4x4/Dense1/weight"], 1, wscale) + torch.from_numpy(v["4x4/Dense1/bias"])

    def grow(res, level):
        deeper = level > 0 and lod < level
        x = grow(res + 1, level - 1) if deeper else from_rgb(down(x_full, 2**level), res)
        x = block(x, res)
        if res > 2 and lod > level:
            old = from_rgb(down(x_full, 2 ** (level + 1)), res - 1)
            x = x + (old - x) * (lod - level)
        return x

    x_full = x
    return grow(2, TOP - 2)


def tensorflow(Network, which, lod=0.0, labels=0, fused=True, seed=0, channels=2, **arguments):
    """A network of the pickle and its variables."""
    found = variables(which, labels, fused, channels, seed, arguments.get("mbstd_group_size", 4))
    static = {"num_channels": channels, "resolution": 2**TOP, "label_size": labels, **SIZES, "fused_scale": fused}
    state = {
        "version": 2,
        "name": which,
        "static_kwargs": {**static, **arguments},
        "build_module_src": "import os; os.abort()",
        "build_func_name": f"{which}_paper",
        "variables": [("lod", np.float32(lod)), *found.items()],
    }
    return Network(state), found


def dump(path, networks, protocol=4, **options):
    path.write_bytes(pickle.dumps(networks, protocol, **options))
    return path


def written(modules, tmp_path, lod=0.0, labels=0, protocol=4, **arguments):
    kinds = {"fused", "num_channels"}
    judging = {key: value for key, value in arguments.items() if key in {*kinds, "mbstd_group_size", "use_wscale"}}
    making = {key: value for key, value in arguments.items() if key != "mbstd_group_size"}
    made = [
        tensorflow(modules["tfutil"], "G", lod, labels, seed=1, **making),
        tensorflow(modules["tfutil"], "D", lod, labels, seed=2, **judging),
        tensorflow(modules["tfutil"], "G", lod, labels, seed=3, **making),
    ]
    path = dump(tmp_path / "network-snapshot-010041.pkl", tuple(network for network, _ in made), protocol)
    return path, *(found for _, found in made)


@pytest.mark.parametrize(("lod", "protocol"), [(0.0, 2), (0.0, 5), (0.3, 4), (1.0, 4), (1.75, 3), (2.0, 4)])
def test_the_same_pictures_and_scores_at_every_level_of_detail(lod, protocol, modules, tmp_path):
    path, G, D, Gs = written(modules, tmp_path, lod, protocol=protocol)
    model = read_foreign(path)
    assert (model.shape, model.nimg) == ((2, 16, 16), 10_041_000)
    assert (model.depth, model.alpha) == (2 - int(lod), pytest.approx(1 - (lod - int(lod)), abs=1e-7))
    z = torch.randn(4, maps(0), dtype=torch.float64)
    for layers, found in ((None, Gs), (model.G, G)):
        ours = build_generator(model, layers, torch.float64)(z)
        theirs = generate(found, z, float(np.float32(lod)))
        torch.testing.assert_close(up(ours, 2 ** int(lod)), theirs, rtol=0, atol=1e-10)
        assert theirs.std() > 0.1
    judge = build_discriminator(model, torch.float64)
    x = torch.randn(8, 2, 16, 16, dtype=torch.float64)
    ours = judge(down(x, 2 ** int(lod)))
    torch.testing.assert_close(ours, score(D, x, float(np.float32(lod)))[:, 0], rtol=0, atol=1e-10)


def test_the_checkpoints_own_precision(modules, tmp_path):
    path, _, _, Gs = written(modules, tmp_path)
    z = torch.randn(4, maps(0), dtype=torch.float64)
    ours = build_generator(read_foreign(path))(z.float())
    torch.testing.assert_close(ours.double(), generate(Gs, z, 0.0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"labels": 3},
        {"fused": False},
        {"use_wscale": False},
        {"use_pixelnorm": False, "use_leakyrelu": False},
        {"mbstd_group_size": 0},
        {"mbstd_group_size": 2, "dtype": "float16", "structure": "linear"},
    ],
    ids=str,
)
def test_its_switches(arguments, modules, tmp_path):
    path, _, D, Gs = written(modules, tmp_path, 0.25, **arguments)
    model = read_foreign(path)
    labels, wscale = arguments.get("labels", 0), arguments.get("use_wscale", True)
    z, classes = torch.randn(4, maps(0), dtype=torch.float64), torch.eye(4, labels, dtype=torch.float64)
    ours = build_generator(model, None, torch.float64)(z, classes if labels else None)
    options = {key[4:].replace("relu", ""): value for key, value in arguments.items() if key.startswith("use_")}
    theirs = generate(Gs, torch.cat([z, classes], 1), 0.25, **options)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    x = torch.randn(8, 2, 16, 16, dtype=torch.float64)
    said = build_discriminator(model, torch.float64).judge(x)
    expected = score(D, x, 0.25, arguments.get("mbstd_group_size", 4), wscale)
    found = said.scores[:, None] if said.logits is None else torch.cat([said.scores[:, None], said.logits], 1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


# The Theano version -------------------------------------------------------------------------------------------------


def theano(Network, which, cur_lod, seed, wscale=True):
    """A network of the Theano version and its layers in order: (kind, W, scale, b)."""
    random = np.random.default_rng(seed)
    layers = []

    def layer(kind, shape, bias):
        scale = np.float32(random.uniform(0.1, 0.4))
        layers.append((kind, random.standard_normal(shape), scale, random.standard_normal(bias) * 0.3))

    if which == "G":
        layer("spread", (maps(1), maps(0), 4, 4), maps(1))
        layer("conv", (maps(1), maps(1), 3, 3), maps(1))
        for res in range(3, TOP + 1):
            layer("conv", (maps(res - 1), maps(res - 2), 3, 3), maps(res - 1))
            layer("conv", (maps(res - 1), maps(res - 1), 3, 3), maps(res - 1))
        for res in range(TOP, 1, -1):
            layer("image", (maps(res - 1), 2), 2)
    else:
        layer("image", (2, maps(TOP - 1)), maps(TOP - 1))
        for res in range(TOP, 2, -1):
            layer("conv", (maps(res - 1), maps(res - 1), 3, 3), maps(res - 1))
            layer("conv", (maps(res - 2), maps(res - 1), 3, 3), maps(res - 2))
            layer("image", (2, maps(res - 2)), maps(res - 2))
        layer("conv", (maps(1), maps(1) + 1, 3, 3), maps(1))
        layer("gather", (maps(0), maps(1), 4, 4), maps(0))
        layer("dense", (maps(0), 1), 1)
    values = [value for _, W, scale, b in layers for value in ((W, np.asarray(scale), b) if wscale else (W, b))]
    state = {
        "build_func_spec": {
            "func": f"{which}_paper", "num_channels": 2, "resolution": 2**TOP, "label_size": 0, **SIZES,
            "use_wscale": wscale,
            **({"tanh_at_end": None} if which == "G" else {"mbstat_avg": "all", "use_gdrop": True}),
        },
        "build_module_src": "import os; os.abort()",
        "param_values": values,
        "toplevel_params": {"cur_lod": np.asarray(np.float32(cur_lod))},
    }  # fmt: skip
    return Network(state), layers


def applied(layer, x, wscale):
    """A layer of Lasagne, its convolutions true ones, with its scale and bias, without activation."""
    kind, W, scale, b = layer
    W = torch.from_numpy(W)
    if kind == "conv":
        y = F.conv2d(x, W.flip(2, 3), padding=1)
    elif kind == "spread":
        y = torch.einsum("ni,oiyx->noyx", x, W)
    elif kind == "gather":
        y = torch.einsum("niyx,oiyx->no", x, W.flip(2, 3))
    elif kind == "image":
        y = torch.einsum("niyx,io->noyx", x, W)
    else:
        y = x @ W
    y = y * float(scale) if wscale else y
    b = torch.from_numpy(b)
    return y + (b if y.dim() == 2 else b.reshape(1, -1, 1, 1))


@pytest.mark.parametrize(("lod", "wscale"), [(0.0, True), (0.5, False), (1.25, True)])
def test_the_theano_version(lod, wscale, modules, tmp_path):
    Network = modules["network"]
    made = [theano(Network, which, lod, seed, wscale) for which, seed in (("G", 1), ("D", 2), ("G", 3))]
    path = dump(tmp_path / "network-final.pkl", tuple(network for network, _ in made), 2)
    model = read_foreign(path)
    assert model.nimg is None and "Theano" in model.system
    z = torch.randn(4, maps(0), dtype=torch.float64)
    layers = made[2][1]

    def lrelu(x):
        return F.leaky_relu(x, 0.2)

    x, pictures = pixel_norm(z), []
    for index, layer in enumerate(layers[: 2 * TOP - 2]):
        x = up(x) if index >= 2 and index % 2 == 0 else x
        x = pixel_norm(lrelu(applied(layer, x, wscale)))
        if index % 2:
            pictures.insert(0, x)
    pictures = [
        up(applied(layer, x, wscale), 2**level)
        for level, (layer, x) in enumerate(zip(layers[2 * TOP - 2 :], pictures, strict=True))
    ]
    whole = int(lod)
    theirs = pictures[whole] * (1 - (lod - whole)) + pictures[min(whole + 1, TOP - 2)] * (lod - whole)
    ours = up(build_generator(model, None, torch.float64)(z), 2**whole)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)

    images = torch.randn(5, 2, 16, 16, dtype=torch.float64)
    first, *rest = made[1][1]
    x = lrelu(applied(first, images, wscale))
    for index in range(TOP - 2):
        a, b, image = rest[3 * index : 3 * index + 3]
        x = down(lrelu(applied(b, lrelu(applied(a, x, wscale)), wscale)))
        old = lrelu(applied(image, down(images, 2 ** (index + 1)), wscale))
        share = min(max(lod - index, 0), 1)
        x = x * (1 - share) + old * share
    spread = torch.sqrt(((x - x.mean(0)) ** 2).mean(0) + 1e-8).mean().expand(len(x), 1, 4, 4)
    *inner, last = rest[-3:]
    x = torch.cat([x, spread], 1)
    for layer in inner:
        x = lrelu(applied(layer, x, wscale))
    scores = build_discriminator(model, torch.float64)(down(images, 2**whole))
    torch.testing.assert_close(scores, applied(last, x, wscale)[:, 0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("change", [lambda values: values.pop(), lambda values: values.append(np.zeros(3))])
def test_a_theano_pickle_with_other_layers(change, modules, tmp_path):
    made = [theano(modules["network"], which, 0.0, 1)[0] for which in "GDG"]
    change(made[1].state["param_values"])
    with pytest.raises(UserError, match="truncated or damaged"):
        read_foreign(dump(tmp_path / "network-final.pkl", tuple(made), 2))


def test_labels_of_the_theano_version_are_refused(modules, tmp_path):
    made = [theano(modules["network"], which, 0.0, 1)[0] for which in "GDG"]
    made[0].state["build_func_spec"]["label_size"] = 10
    with pytest.raises(UserError, match="has G with label_size=10, which is not supported"):
        read_foreign(dump(tmp_path / "network-final.pkl", tuple(made), 2))


def test_strings_of_python_2(modules, tmp_path):
    """Python 2 has no bytes: arrays' data are text, to be read as Latin-1, and classes may be made by copy_reg."""
    path, G, D, Gs = written(modules, tmp_path, protocol=2)
    data = path.read_bytes()
    # What Python 3 writes for Python 2 is a call of _codecs.encode; Python 2 itself writes the string.
    assert b"_codecs\nencode" in data and b"copy_reg" not in data
    array = np.arange(3, dtype="<f4")
    text = b"\x80\x02" + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    text += (
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    text += b"\x89U\x0c" + array.tobytes() + b"tb."
    np.testing.assert_array_equal(as_array(read_pickle(BytesIO(text), path, lambda *_: True)), array)
    old = dump(tmp_path / "old.pkl", (1, 2, 3), 0)
    with pytest.raises(UserError, match="not the original PGGAN's"):
        read_foreign(old)
    model = read_foreign(dump(tmp_path / "zero.pkl", pickle.loads(data), 1))
    z = torch.randn(2, maps(0), dtype=torch.float64)
    ours = build_generator(model, None, torch.float64)(z)
    torch.testing.assert_close(ours, generate(Gs, z, 0.0), rtol=0, atol=1e-10)


# What is refused ----------------------------------------------------------------------------------------------------


def change(modules, tmp_path, which, edit):
    """A pickle with the state of one of its networks changed."""
    made = [tensorflow(modules["tfutil"], name, seed=seed)[0] for seed, name in enumerate("GDG")]
    edit(made[which].state)
    return dump(tmp_path / "network.pkl", tuple(made))


def without(name):
    return lambda state: state.update(variables=[pair for pair in state["variables"] if pair[0] != name])


def reshaped(state):
    state["variables"] = [
        (name, value[..., :-1] if name == "4x4/Conv/weight" else value) for name, value in state["variables"]
    ]


def diverged(state):
    state["variables"][3][1][...] = np.nan


@pytest.mark.parametrize(
    ("which", "edit", "message"),
    [
        (0, without("8x8/Conv1/bias"), "lacks 8x8/Conv1/bias of G"),
        (1, without("4x4/Dense0/weight"), "lacks 4x4/Dense0/weight of D"),
        (2, reshaped, r"a weight of 23x24x3x3 at blocks.0.conv; expected 24x24x3x3"),
        (2, diverged, "not finite"),
        (0, lambda state: state["variables"].append(("4x4/Noise", np.zeros(3))), "has 4x4/Noise in G"),
        (0, lambda state: state["static_kwargs"].update(pixelnorm_epsilon=1e-6), "pixelnorm_epsilon=1e-06.*allowed"),
        (0, lambda state: state["static_kwargs"].update(use_attention=True), "use_attention=True"),
        (0, lambda state: state["static_kwargs"].update(label_size=-1), "do not fit each other: label_size"),
        (1, lambda state: state["static_kwargs"].update(resolution=32), "do not fit each other: resolution"),
        (0, lambda state: state.update(build_func_name="G_style"), "built by G_style.*allowed: G_paper"),
        (0, lambda state: state.update(version=3), "version 3"),
        (2, lambda state: state["variables"].__setitem__(0, ("lod", np.float32(7))), "lod 7.0 is outside"),
        (2, lambda state: state.pop("static_kwargs"), "truncated or damaged"),
    ],
    ids=range(13),
)
def test_what_our_networks_cannot_do_is_named(which, edit, message, modules, tmp_path):
    with pytest.raises(UserError, match=message):
        model = read_foreign(change(modules, tmp_path, which, edit))
        build_generator(model)


def test_an_unknown_argument_that_is_off_changes_nothing(modules, tmp_path):
    path = change(modules, tmp_path, 0, lambda state: state["static_kwargs"].update(use_attention=False))
    assert read_foreign(path).depth == 2


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.999])
def test_cut_short(share, modules, tmp_path):
    path, *_ = written(modules, tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match="truncated or damaged"):
        read_foreign(path)
