"""Each mapping computes before training what the model computed: on fixed latents, alone and in pairs."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from small_models import Model, grown, instruments, source_of
from torch import Tensor

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import LabelSpace
from pggan_framework.models.growing.spaces import SAME
from pggan_framework.networks.pggan import Discriminator, Generator
from pggan_framework.schedules.growth import Growth

BASE = Model(Growth.of((1, 16, 16)))
LATENTS = torch.randn(6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
TOLERANCE = 1e-6


def one_hot(space: LabelSpace | None, **values: Any) -> Tensor | None:
    """The label with these values, for all latents; the first value of what is not given."""
    if space is None:
        return None
    found = {a.name: values.get(a.name, a.values[0] if a.span is None else 0.5) for a in space.attributes}
    return torch.from_numpy(space.one_hot(space.find(found)[None])).double().repeat(len(LATENTS), 1)


def draw(G: Generator, depth: int | None = None, alpha: float = 1.0, **values: Any) -> Tensor:
    """Images of the fixed latents at a depth."""
    G.depth, G.alpha = G.max_depth if depth is None else depth, alpha
    with torch.no_grad():
        labels = one_hot(G.label_space, **values)
        weight = next(G.parameters())
        return G(LATENTS.to(weight), None if labels is None else labels.to(weight))


def larger(model: Model) -> Model:
    return replace(model, growth=replace(model.growth, doubles=(*model.growth.doubles, (True, True))))


def coloured(model: Model) -> Model:
    return replace(model, growth=replace(model.growth, channels=3))


def wider(model: Model) -> Model:
    return replace(model, options={**model.options, "fmap_base": 80, "fmap_max": 20})


def labelled(model: Model) -> Model:
    return replace(model, labels=instruments("flute", "organ"))


MAPPINGS = {"larger": larger, "coloured": coloured, "wider": wider, "labelled": labelled}
PAIRS = [*((name,) for name in MAPPINGS), *combinations(MAPPINGS, 2), tuple(MAPPINGS)]


def unchanged(old: Generator, new: Generator) -> float:
    """The largest difference of images at the switch: at alpha 0 of a new block, or at the same depth."""
    depth, before = old.max_depth, draw(old)
    more = new.max_depth - depth
    after = draw(new, depth + 1, 0.0) if more else draw(new, depth)
    factor = after.shape[2] // before.shape[2]
    before = before.repeat_interleave(factor, 2).repeat_interleave(factor, 3).expand_as(after)
    return float((before - after).abs().max())


@pytest.mark.parametrize("names", PAIRS, ids="+".join)
def test_images_are_unchanged_at_the_switch(names: tuple[str, ...]) -> None:
    G, D = BASE.networks(0)
    model = BASE
    for name in names:
        model = MAPPINGS[name](model)
    new, _, taken = grown(source_of(G, D), model)
    assert unchanged(G, new) < TOLERANCE
    assert len(taken.table()) == len(taken.rows) + 1


@pytest.mark.parametrize(("name", "limit"), [("larger", 0.0), ("coloured", 1e-6), ("wider", 1e-4), ("labelled", 2e-5)])
def test_in_float32_only_rounding_differs(name: str, limit: float) -> None:
    G, D = BASE.networks(0, torch.float32)
    new, _, _ = grown(source_of(G, D), MAPPINGS[name](BASE))
    assert unchanged(G, new.float()) <= limit


@pytest.mark.parametrize("names", list(combinations(MAPPINGS, 2)), ids="+".join)
def test_growing_twice_is_growing_once_by_both(names: tuple[str, str]) -> None:
    G, D = BASE.networks(0)
    first, both = MAPPINGS[names[0]](BASE), MAPPINGS[names[1]](MAPPINGS[names[0]](BASE))
    once, once_D, _ = grown(source_of(G, D), both)
    between, between_D, _ = grown(source_of(G, D), first)
    twice, twice_D, _ = grown(source_of(between, between_D), both)
    depth = BASE.growth.max_depth
    assert (draw(once, depth) - draw(twice, depth)).abs().max() < TOLERANCE
    if "wider" not in names:
        assert (scores(once_D, depth) - scores(twice_D, depth)).abs().max() < 1e-5


def test_widening_twice_computes_what_widening_once_does() -> None:
    G, D = BASE.networks(0)
    middle, middle_D, _ = grown(source_of(G, D), replace(BASE, options={"fmap_base": 48, "fmap_max": 12}))
    twice, _, _ = grown(source_of(middle, middle_D), wider(BASE))
    assert (draw(twice) - draw(G)).abs().max() < TOLERANCE


def scores(D: Discriminator, depth: int | None = None, channels: int | None = None) -> Tensor:
    """Scores of fixed images, equal in all channels."""
    D.depth, D.alpha = D.max_depth if depth is None else depth, 1.0
    C, height, width = D.growth.shape_at(D.depth)
    random = torch.Generator().manual_seed(4)
    images = torch.randn(8, 1, height, width, generator=random, dtype=torch.float64).expand(-1, C, -1, -1)
    labels = one_hot(D.label_space)
    labels = None if labels is None else labels[:1].repeat(8, 1)
    with torch.no_grad():
        return D(images, labels)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("mbstd", ["grouped", "batch", "none"])
@pytest.mark.parametrize("name", ["larger", "coloured", "wider"])
def test_a_discriminator_scores_as_before(name: str, mbstd: str, rows: bool) -> None:
    base = replace(BASE, discriminator={"mbstd": mbstd, "row_statistics": rows})
    G, D = base.networks(0)
    _, new, _ = grown(source_of(G, D), MAPPINGS[name](base))
    depth = base.growth.max_depth
    torch.testing.assert_close(scores(new, depth), scores(D.eval(), depth), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("options", [{"leakyrelu": False}, {"norm": "batch"}, {"norm": "instance"}], ids=str)
def test_wider_layers_of_other_kinds(options: dict[str, Any]) -> None:
    base = replace(BASE, options=options)
    G, D = base.networks(0)
    model = replace(base, options={**options, "fmap_base": 64, "fmap_max": 13})
    new, _, _ = grown(source_of(G.eval(), D), model)
    assert (draw(new) - draw(G)).abs().max() < 1e-5


def test_what_reads_copies_differs_between_them() -> None:
    G, D = BASE.networks(0)
    new, _, _ = grown(source_of(G, D), replace(BASE, options={"fmap_base": 64, "fmap_max": 16}))
    images = new(LATENTS)
    (images.square().sum()).backward()
    gradient = new.get_submodule("blocks.0.conv").weight.grad
    assert isinstance(gradient, Tensor)
    first, copies = gradient[:8], gradient[8:16]
    # Copies of one unit start with equal rows; their gradients point elsewhere.
    cosine = torch.nn.functional.cosine_similarity(first.flatten(1), copies.flatten(1))
    assert float(cosine.max()) < 0.9999 and float(cosine.mean()) < 0.95


@pytest.mark.parametrize(
    ("norm", "words"), [({"norm": "layer"}, "norm layer"), ({"spectral_norm": True}, "spectral_norm")], ids=str
)
def test_widening_that_would_change_the_output_is_refused(norm: dict[str, Any], words: str) -> None:
    base = replace(BASE, options=norm)
    G, D = base.networks(0)
    with pytest.raises(UserError, match=words):
        grown(source_of(G, D), replace(base, options={**norm, "fmap_base": 64, "fmap_max": 16}))


def test_a_narrower_layer_is_refused() -> None:
    G, D = BASE.networks(0)
    with pytest.raises(UserError, match="retrained; allowed: 8 and more"):
        grown(source_of(G, D), replace(BASE, options={"fmap_max": 4}))


def test_a_smaller_size_draws_what_the_model_drew_there() -> None:
    G, D = BASE.networks(0)
    new, new_D, taken = grown(source_of(G, D), replace(BASE, growth=Growth.of((1, 8, 8))))
    assert torch.equal(draw(new), draw(G, 1))
    assert torch.equal(scores(new_D, 1), scores(D.eval(), 1))
    assert {row.what for row in taken.rows} == {"kept", "dropped"}
    assert sorted(row.layer for row in taken.rows if row.what == "dropped")[-1] == "G.to_rgb.2"


def test_colours_of_a_grey_model_are_equal_and_opaque() -> None:
    G, D = BASE.networks(0)
    new, _, _ = grown(source_of(G, D), replace(BASE, growth=replace(BASE.growth, channels=4)))
    grey, images = draw(G), draw(new)
    assert (images[:, :3] - grey).abs().max() < TOLERANCE
    assert torch.equal(images[:, 3], torch.ones_like(images[:, 3]))


# labels


def test_values_are_kept_by_name_and_new_ones_are_the_mean() -> None:
    base = replace(BASE, labels=instruments("flute", "organ"))
    G, D = base.networks(0)
    more = replace(base, labels=instruments("bass", "organ", "flute"))
    new, new_D, _ = grown(source_of(G, D), more)
    for name in ("flute", "organ"):
        assert (draw(new, instrument=name) - draw(G, instrument=name)).abs().max() < TOLERANCE
    weight, old = (n.get_submodule("blocks.0.dense").weight[:, 6:] for n in (new, G))
    ratio = new.get_submodule("blocks.0.dense").scale / G.get_submodule("blocks.0.dense").scale
    gain = np.sqrt((6 + 2) / (6 + 3))  # normalized with the latents, among more numbers
    torch.testing.assert_close(weight[:, 0] * float(ratio), old.mean(1) * float(gain), atol=1e-6, rtol=1e-5)
    rows, before = new_D.classify, D.classify
    assert rows is not None and before is not None
    torch.testing.assert_close(
        rows.weight,
        before.weight[[0, 1, 0]].index_copy(
            0, torch.tensor([0, 1, 2]), torch.stack([before.weight.mean(0), before.weight[1], before.weight[0]])
        ),
    )


def test_a_further_attribute_has_no_effect_at_first() -> None:
    base = replace(BASE, labels=instruments("flute", "organ"))
    G, D = base.networks(0)
    new, _, _ = grown(source_of(G, D), replace(base, labels=instruments("flute", "organ", brightness=True)))
    for value in (0.0, 1.0):
        images = draw(new, instrument="organ", brightness=value)
        assert (images - draw(G, instrument="organ")).abs().max() < TOLERANCE


def test_growing_labels_twice_is_growing_once() -> None:
    G, D = BASE.networks(0)
    one, both = instruments("flute", "organ"), instruments("flute", "organ", brightness=True)
    once, _, _ = grown(source_of(G, D), replace(BASE, labels=both))
    between, between_D, _ = grown(source_of(G, D), replace(BASE, labels=one))
    twice, _, _ = grown(source_of(between, between_D), replace(BASE, labels=both))
    assert (draw(once) - draw(twice)).abs().max() < TOLERANCE


def test_without_labels_the_first_layer_draws_their_mean() -> None:
    base = replace(BASE, labels=instruments("flute", "organ"), generator={"normalize_latents": False})
    G, D = base.networks(0)
    new, _, _ = grown(source_of(G, D), replace(base, labels=None))
    dense = G.get_submodule("blocks.0.dense")
    with torch.no_grad():
        sides = [dense(torch.cat([LATENTS, one_hot(G.label_space, instrument=n)], 1)) for n in ("flute", "organ")]  # type: ignore[list-item]
        assert (new.get_submodule("blocks.0.dense")(LATENTS) - sum(sides) / 2).abs().max() < 1e-5


def test_a_number_of_another_range_stays_the_same_number() -> None:
    base = replace(
        BASE,
        labels=instruments("flute", "organ", brightness=True),
        generator={"normalize_latents": False, "position_bias": True},
    )
    G, D = base.networks(0)
    wide = replace(base.labels.attributes[1], span=(0.0, 2.0))  # type: ignore[union-attr]
    new, _, _ = grown(source_of(G, D), replace(base, labels=LabelSpace((base.labels.attributes[0], wide))))  # type: ignore[union-attr]
    assert (draw(new, brightness=0.25) - draw(G, brightness=0.25)).abs().max() < 1e-5


def test_embeddings_of_a_discriminator_that_is_told() -> None:
    base = replace(BASE, labels=instruments("flute", "organ"), told=True)
    G, D = base.networks(0)
    _, new, _ = grown(source_of(G, D), replace(base, labels=instruments("bass", "flute", "organ")))
    old, after = D.get_submodule("embed").weight, new.get_submodule("embed").weight
    torch.testing.assert_close(after, torch.stack([(old[0] + old[1]) / 2, old[0], old[1]]))  # type: ignore[operator, index]


def test_what_is_the_same_is_no_mapping() -> None:
    G, D = BASE.networks(0)
    _, _, taken = grown(source_of(G, D), BASE)
    assert taken.all_kept and SAME.out is None
    assert all(torch.equal(taken.generator[name], value) for name, value in G.state_dict().items())
    assert all(torch.equal(taken.ema[name], value * 0.9) for name, value in G.state_dict().items())
