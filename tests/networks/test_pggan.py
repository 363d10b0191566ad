import math
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import collect
from pggan_framework.networks import Discriminator, Generator, describe
from pggan_framework.networks.stddev import group_stddev
from pggan_framework.schedules.growth import Growth

SMALL = {"fmap_base": 64, "fmap_max": 8}
RECTANGLE = Growth(2, (2, 8), ((False, True), (True, True), (True, False)))


def pair(shape, **options):
    torch.manual_seed(0)
    G, D = Generator(shape, latent_size=6, **SMALL, **options), Discriminator(shape, **SMALL)
    for network in (G, D):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter)
    return G.double(), D.double()


def pn(x):
    return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)


def lrelu(x):
    return np.where(x > 0, x, 0.2 * x)


def conv(x, weight, bias, gain):
    """Plain correlation with zero padding, tap by tap, weights scaled by gain / sqrt(fan in)."""
    weight = weight * gain / math.sqrt(weight[0].size)
    k = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (0, 0), (k // 2,) * 2, (k // 2,) * 2))
    h, w = x.shape[2:]
    out = sum(
        np.einsum("nchw,oc->nohw", padded[:, :, i : i + h, j : j + w], weight[:, :, i, j])
        for i in range(k)
        for j in range(k)
    )
    return out + bias[None, :, None, None]


def up(x, factor):
    return x.repeat(factor[0], 2).repeat(factor[1], 3)


def down(x, factor):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // factor[0], factor[0], w // factor[1], factor[1]).mean((3, 5))


def arrays(network):
    return {name: p.detach().numpy() for name, p in network.named_parameters()}


def reference_G(G, z, alpha):
    p, root2, d = arrays(G), math.sqrt(2), G.depth

    def layer(x, name, gain=root2):
        return conv(x, p[name + ".weight"], p[name + ".bias"], gain)

    size, maps = G.growth.seed, p["blocks.0.dense.bias"].size
    x = pn(z) @ p["blocks.0.dense.weight"].T * (root2 / 4) / math.sqrt(z.shape[1])
    x = x.reshape(len(z), maps, *size) + p["blocks.0.dense.bias"][None, :, None, None]
    x = pn(lrelu(x))
    x = pn(lrelu(layer(x, "blocks.0.conv")))
    before = x
    for i in range(1, d + 1):
        before = x
        x = up(x, G.growth.factor(i))
        x = pn(lrelu(layer(x, f"blocks.{i}.first")))
        x = pn(lrelu(layer(x, f"blocks.{i}.second")))
    out = layer(x, f"to_rgb.{d}", 1.0)
    if d == 0:
        return out
    return alpha * out + (1 - alpha) * up(layer(before, f"to_rgb.{d - 1}", 1.0), G.growth.factor(d))


def reference_D(D, x, alpha, fused=True):
    p, root2, d = arrays(D), math.sqrt(2), D.depth

    def layer(x, name):
        return conv(x, p[name + ".weight"], p[name + ".bias"], root2)

    images, x = x, lrelu(layer(x, f"from_rgb.{d}"))
    for i in range(d, 0, -1):
        x = lrelu(layer(x, f"blocks.{i}.first"))
        x = layer(x, f"blocks.{i}.second")
        x = lrelu(down(x, D.growth.factor(i))) if fused else down(lrelu(x), D.growth.factor(i))
        if i == d:
            old = lrelu(layer(down(images, D.growth.factor(i)), f"from_rgb.{i - 1}"))
            x = alpha * x + (1 - alpha) * old
    n = len(x)
    groups = math.ceil(n / 4)
    extra = np.zeros((n, 1, *x.shape[2:]))
    for group in range(groups):
        members = x[group::groups]
        extra[group::groups] = np.sqrt(members.var(0) + 1e-8).mean()
    x = lrelu(layer(np.concatenate([x, extra], 1), "blocks.0.conv")).reshape(n, -1)
    x = lrelu(x @ p["blocks.0.dense.weight"].T * root2 / math.sqrt(x.shape[1]) + p["blocks.0.dense.bias"])
    return (x @ p["score.weight"].T / math.sqrt(x.shape[1]) + p["score.bias"])[:, 0]


@pytest.mark.parametrize("shape", [[1, 16, 16], RECTANGLE])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_both_networks_equal_a_reference_at_every_depth(shape, alpha):
    G, D = pair(shape)
    for depth in range(G.max_depth + 1):
        for network in (G, D):
            network.depth = depth
            network.alpha = alpha
        z = torch.randn(5, 6, dtype=torch.float64)
        x = torch.randn(6, *G.growth.shape_at(depth), dtype=torch.float64)
        np.testing.assert_allclose(G(z).detach().numpy(), reference_G(G, z.numpy(), alpha), atol=1e-10)
        np.testing.assert_allclose(D(x).detach().numpy(), reference_D(D, x.numpy(), alpha), atol=1e-10)


def test_the_mean_after_the_activation_is_a_switch():
    D = Discriminator([1, 16, 16], **SMALL, fused_downscale=False).double()
    x = torch.randn(4, 1, 16, 16, dtype=torch.float64)
    np.testing.assert_allclose(D(x).detach().numpy(), reference_D(D, x.numpy(), 1.0, fused=False), atol=1e-10)


@pytest.mark.parametrize("shape", [[3, 32, 32], RECTANGLE])
def test_alpha_0_is_the_depth_before_and_alpha_1_is_continuous(shape):
    G, D = pair(shape)
    z = torch.randn(8, 6, dtype=torch.float64)
    for depth in range(1, G.max_depth + 1):
        factor = G.growth.factor(depth)
        x = torch.randn(8, *G.growth.shape_at(depth), dtype=torch.float64)
        G.depth = D.depth = depth - 1
        G.alpha = D.alpha = 1
        image, score = G(z), D(F.avg_pool2d(x, factor))
        G.depth = D.depth = depth
        G.alpha = D.alpha = 0
        large = image.repeat_interleave(factor[0], 2).repeat_interleave(factor[1], 3)
        torch.testing.assert_close(G(z), large, rtol=0, atol=1e-12)
        torch.testing.assert_close(D(x), score, rtol=0, atol=1e-12)
        G.alpha = D.alpha = 1 - 1e-9
        almost = G(z), D(x)
        G.alpha = D.alpha = 1
        torch.testing.assert_close(almost, (G(z), D(x)), rtol=0, atol=1e-6)


def test_sizes_and_channels():
    for side in (4, 8, 64, 1024):
        G, D = Generator([4, side, side], fmap_base=16, fmap_max=2, latent_size=3), Discriminator([4, side, side], 16)
        x = G(torch.randn(1, 3))
        assert x.shape == (1, 4, side, side) and D(x).shape == (1,)


def test_feature_maps_of_the_paper():
    maps = {name: shape for name, shape, _ in describe(Generator([3, 1024, 1024]))}
    got = [maps[f"blocks.{d}.second"].split("x")[0] for d in range(1, 9)]
    assert got == ["512", "512", "512", "256", "128", "64", "32", "16"]
    assert maps["to_rgb.8"] == "3x1024x1024"
    # Karras et al. 2018, table 2: 23.1 million each; to_rgb and from_rgb of lower depths included here.
    for network in (Generator([3, 1024, 1024]), Discriminator([3, 1024, 1024])):
        parameters = sum(row[2] for row in describe(network))
        assert parameters == sum(p.numel() for p in network.parameters())
        assert parameters == pytest.approx(23.1e6, rel=0.005)


def test_initial_scale():
    G = Generator([1, 8, 8], fmap_base=512, latent_size=64)
    assert G.blocks[1].first.weight.detach().std() == pytest.approx(1, abs=0.05)
    assert not any(p.any() for n, p in G.named_parameters() if n.endswith("bias"))
    plain = Generator([1, 8, 8], fmap_base=512, latent_size=64, wscale=False)
    fan_in = plain.blocks[1].first.weight[0].numel()
    assert plain.blocks[1].first.weight.detach().std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.05)


def test_switches_change_what_they_name():
    z = torch.randn(3, 6)
    torch.manual_seed(1)
    usual = Generator([1, 16, 16], latent_size=6, **SMALL)

    def other(**options):
        torch.manual_seed(1)
        return Generator([1, 16, 16], latent_size=6, **SMALL, **options)

    torch.testing.assert_close(usual(z * 10), usual(z))
    # Without pixel norm after the first layer, which hides it.
    raw = other(normalize_latents=False, pixelnorm=False)
    torch.testing.assert_close(raw(z * 10), raw(z) * 10)
    torch.testing.assert_close(other(tanh_at_end=True)(z), torch.tanh(usual(z)))
    for options in ({"pixelnorm": False}, {"leakyrelu": False}, {"upsampling": "bilinear"}):
        assert not torch.allclose(other(**options)(z), usual(z), atol=1e-3), options
    assert other(kernel_size=5)(z).shape == (3, 1, 16, 16)
    assert Discriminator([1, 16, 16], **SMALL, kernel_size=5)(torch.randn(2, 1, 16, 16)).shape == (2,)


def test_a_collapsed_batch_shows_in_the_minibatch_stddev():
    torch.manual_seed(0)
    same = torch.randn(1, 16, 4, 4).repeat(16, 1, 1, 1)
    assert group_stddev(same, 4) == pytest.approx(1e-4, rel=0.01)
    # Four unit normal samples: mean of the biased deviation is sqrt(3/4) * c4(4) * ... = 0.798 in expectation.
    expected = math.sqrt(2 / 4) * math.gamma(2) / math.gamma(1.5)
    assert group_stddev(torch.randn(16, 64, 4, 4), 4).mean() == pytest.approx(expected, rel=0.01)


@given(st.integers(1, 19), st.integers(2, 5))
@settings(deadline=None, max_examples=20)
def test_groups_are_strided_even_and_leave_the_input_alone(samples, size):
    x = torch.randn(samples, 2, 3, 3, dtype=torch.float64)
    kept = x.clone()
    got = group_stddev(x, size).numpy()
    groups = min(math.ceil(samples / size), max(samples // 2, 1))
    for i in range(samples):
        members = x[i % groups :: groups].numpy()
        assert samples == 1 or 2 <= len(members) <= max(size, 3)
        assert got[i] == pytest.approx(np.sqrt(members.var(0) + 1e-8).mean())
    assert torch.equal(x, kept)


@pytest.mark.parametrize("kind", ["grouped", "batch", "flat", "none"])
def test_parts_are_judged_apart(kind):
    torch.manual_seed(0)
    D = Discriminator([1, 8, 8], **SMALL, mbstd=kind)
    a, b = torch.randn(6, 1, 8, 8), 3 * torch.randn(6, 1, 8, 8)
    first, second = D.judge(torch.cat([a, b]), parts=2).split(2)
    torch.testing.assert_close(first.scores, D(a))
    torch.testing.assert_close(second.features, D.judge(b).features)


def test_growth_adds_the_image_facing_block():
    G, D = pair([1, 16, 16])
    G.depth = D.depth = 1
    G(torch.randn(2, 6, dtype=torch.float64)).sum().backward()
    D(torch.randn(2, 1, 8, 8, dtype=torch.float64)).sum().backward()
    for network, image in ((G, "to_rgb"), (D, "from_rgb")):
        used = {".".join(n.split(".")[:2]) for n, p in network.named_parameters() if p.grad is not None}
        assert used - {"score.weight", "score.bias"} == {"blocks.0", "blocks.1", f"{image}.1"}


def test_misuse_is_told():
    G, D = pair([1, 8, 8])
    with pytest.raises(ValueError, match="given labels of shape"):
        G(torch.randn(2, 6).double(), torch.zeros(2))
    with pytest.raises(ValueError, match="given labels of shape"):
        D(torch.randn(2, 1, 8, 8).double(), torch.zeros(2))
    with pytest.raises(ValueError, match="depth 2 is outside 0 to 1"):
        G.depth = 2
    with pytest.raises(ValueError, match="alpha 2.0 is outside"):
        G.alpha = 2
    with pytest.raises(ValueError, match="at depth 1"):
        D(torch.randn(2, 1, 4, 4).double())
    with pytest.raises(UserError, match="Generator.kernel_size 4"):
        Generator([1, 8, 8], kernel_size=4)
    with pytest.raises(UserError, match="mbstd_group 1"):
        Discriminator([1, 8, 8], mbstd_group=1)
    with pytest.raises(UserError, match="fmap_base 0"):
        Generator([1, 8, 8], fmap_base=0)


def test_state_dict_holds_weights_only_and_copies_are_equal():
    G, _ = pair([1, 16, 16])
    assert set(G.state_dict()) == {n for n, _ in G.named_parameters()}
    other = Generator([1, 16, 16], latent_size=6, **SMALL).double()
    other.load_state_dict(deepcopy(G.state_dict()))
    z = torch.randn(2, 6, dtype=torch.float64)
    assert torch.equal(G(z), other(z))


def test_derivatives_of_the_convolution_to_second_order():
    from pggan_framework.networks.functional import Geometry, convolve

    torch.manual_seed(0)
    weight = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    for transposed, channels in ((False, 3), (True, 2)):
        x = torch.randn(2, channels, 4, 4, dtype=torch.float64, requires_grad=True)
        bias = torch.randn(5 - channels, dtype=torch.float64, requires_grad=True)

        def smooth(x, weight, bias, transposed=transposed):
            return convolve(x, weight, bias, Geometry((2, 2), (1, 1), transposed)).square()

        assert torch.autograd.gradcheck(smooth, (x, weight, bias))
        assert torch.autograd.gradgradcheck(smooth, (x, weight, bias), fast_mode=True)


def test_labels_are_joined_to_the_latents():
    space, labels = collect({"pitch": [60, 61, 62], "who": ["a", "b", "b"]})
    one_hot = torch.from_numpy(space.one_hot(labels)).double()
    torch.manual_seed(5)
    G = Generator([1, 8, 8], fmap_base=32, fmap_max=4, latent_size=6, label_space=space).double()
    plain = Generator([1, 8, 8], fmap_base=32, fmap_max=4, latent_size=6 + 5).double()
    plain.load_state_dict(G.state_dict())
    latents = torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(G(latents, one_hot), plain(torch.cat([latents, one_hot], 1)), rtol=0, atol=0)
    assert not torch.allclose(G(latents, one_hot), G(latents, one_hot.roll(1, 0)))
    for wrong in (None, one_hot[:2], one_hot[:, 1:]):
        with pytest.raises(ValueError, match="due are"):
            G(latents, wrong)


def test_a_discriminator_says_which_label():
    space, _ = collect({"pitch": [60, 61, 62], "who": ["a", "b", "b"]})
    D = Discriminator([1, 8, 8], fmap_base=32, fmap_max=4, label_space=space).double()
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    verdict = D.judge(images, parts=2)
    assert verdict.logits.shape == (4, 5)
    torch.testing.assert_close(verdict.logits, D.classify(verdict.features))
    first, second = verdict.split(2)
    torch.testing.assert_close(torch.cat([first.logits, second.logits]), verdict.logits)
    assert Discriminator([1, 8, 8], fmap_base=32, fmap_max=4).double().judge(images).logits is None
