import numpy as np
import pytest
import torch

from pggan_framework.errors import UserError
from pggan_framework.labels.attributes import Attribute, LabelSpace
from pggan_framework.labels.maps import MapSpace, default_classes
from pggan_framework.models.pretrained import Pretrained
from pggan_framework.networks import DCGANGenerator, Generator
from pggan_framework.networks.base import GeneratorBase
from pggan_framework.projection.projecting import project
from pggan_framework.projection.search import BAND, Search
from pggan_framework.projection.views import picture_terms
from pggan_framework.schedules.growth import Growth

QUICK = Search(random=40, restarts=3, steps=60, lr=0.3)
KINDS = Attribute("kind", ("boot", "bag", "coat", "shirt"))


def of(generator, space=None, rows=None, range_out=(-1.0, 1.0)):
    counts = None if rows is None else np.ones(len(rows), np.int64)
    return Pretrained(generator.eval(), None, 5000, {}, range_out, rows, counts)


def small(shape=(3, 8, 8), latent_size=6, **settings):
    torch.manual_seed(3)
    return Generator(Growth.of(shape), fmap_base=64, fmap_max=8, latent_size=latent_size, tanh_at_end=True, **settings)


def sought(model, search=QUICK, given=None, seed=99, label=None):
    """An image that the model has made, and what is found of it."""
    latent = model.latents(1, seed)
    target = model.generate(latent, label)[0]
    return target, project(model, target, picture_terms(None, 1.0), given, search)


@pytest.mark.parametrize(
    "generator",
    [
        lambda: small(),
        lambda: small((1, 4, 16)),
        lambda: small((4, 8, 8), latent_size=3, normalize_latents=False),
        lambda: DCGANGenerator((3, 8, 8), fmap_base=8, latent_size=5, norm="none"),
    ],
    ids=["rgb", "grey and wide", "transparent", "dcgan"],
)
def test_a_picture_of_the_model_is_found_again(generator):
    target, found = sought(of(generator()))
    assert found.distances[0] < found.random_distance / 10
    assert found.factor == pytest.approx(found.random_distance / found.distances[0])
    assert np.sqrt(np.mean((found.pictures[0] - target) ** 2)) < 0.05
    assert list(found.distances) == sorted(found.distances) and len(found.distances) == 3
    assert found.terms["pixels"] == pytest.approx((found.random_distance, found.distances[0]), rel=1e-4)
    assert [step for step, _ in found.way] == sorted({step for step, _ in found.way})
    assert found.random == 40 and found.labels is None


def test_pictures_of_another_range_are_found_too():
    generator = small()
    target, found = sought(of(generator, range_out=(-0.5, 0.5)))
    assert target.max() == 1.0  # cut off
    assert found.distances[0] < found.random_distance / 5


def test_what_is_found_is_what_its_latents_make():
    model = of(small())
    _, found = sought(model)
    np.testing.assert_allclose(model.generate(torch.from_numpy(found.latents)), found.pictures, atol=1e-6)
    lengths = np.linalg.norm(found.latents, axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(6), rtol=1e-5)  # it scales them itself


def test_latents_stay_as_long_as_normal_ones():
    model = of(DCGANGenerator((3, 8, 8), fmap_base=8, latent_size=16, norm="none"))
    far = model.generate(20 * model.latents(1, 5))[0]
    found = project(model, far, picture_terms(None, 1.0), search=QUICK)
    lengths = np.linalg.norm(found.latents, axis=1)
    assert lengths.max() <= 4 + BAND + 1e-4


def test_the_same_seed_finds_the_same():
    model = of(small())
    short = Search(20, 3, 12)
    (_, one), (_, two) = sought(model, short), sought(model, short)
    np.testing.assert_array_equal(one.latents, two.latents)
    np.testing.assert_array_equal(one.distances, two.distances)
    state = torch.get_rng_state()
    _, other = sought(model, Search(20, 3, 12, seed=1))
    assert torch.equal(state, torch.get_rng_state())
    assert np.abs(one.latents - other.latents).max() > 0


def test_more_steps_never_end_farther_away():
    model = of(small())
    _, found = sought(model, Search(60, 2, 1, 1e-9))
    assert found.distances[0] <= found.random_distance


@pytest.mark.parametrize("given", [None, {"kind": "bag"}])
def test_progress_counts_every_picture(given):
    model = labelled(KINDS, rows=[[0], [1]])
    calls = []
    target = model.generate(model.latents(1), np.array([[1]]))[0]
    terms, search = picture_terms(None, 1.0), Search(100, 3, 6)
    project(model, target, terms, given, search, lambda *counted: calls.append(counted))
    done, total = zip(*calls, strict=True)
    assert list(done) == sorted(done) and done[-1] == total[0] and len(set(total)) == 1
    assert total[0] == (100 + 3 * 6 if given else 2 * 100 + 3 * 2 + 4 * 6)


def test_the_model_is_left_as_it_was():
    model = of(small())
    before = {name: value.clone() for name, value in model.generator.state_dict().items()}
    sought(model, Search(10, 2, 3))
    assert all(torch.equal(value, before[name]) for name, value in model.generator.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.generator.parameters())


def labelled(*attributes, rows):
    space = LabelSpace(attributes)
    return of(small(label_space=space, latent_size=4), rows=space.typed(np.array(rows)))


@pytest.mark.parametrize("kind", range(4))
def test_the_label_is_found(kind):
    model = labelled(KINDS, rows=[[0], [1], [2], [3]])
    label = np.array([[kind]])
    _, found = sought(model, label=label)
    assert found.labels.tolist() == [[kind]] * len(found.labels)
    assert found.random == 80  # of all labels, then of the one found
    assert found.distances[0] < found.random_distance / 10


def test_a_label_that_is_given_stays():
    model = labelled(KINDS, Attribute("worn", ("no", "yes")), rows=[[0, 0], [1, 1], [2, 0], [3, 1]])
    label = np.array([[2, 0]])
    _, found = sought(model, Search(40, 4, 10), {"kind": "boot"}, label=label)
    assert set(found.labels[:, 0].tolist()) == {0}
    _, both = sought(model, Search(40, 4, 10), {"kind": "coat", "worn": "yes"}, label=label)
    assert both.labels.tolist() == [[2, 1]] * 4 and both.random == 40


def test_a_continuous_label_is_found_by_gradient():
    size = Attribute("size", span=(10.0, 30.0))
    model = labelled(KINDS, size, rows=[[kind, number] for kind in range(4) for number in (10, 20, 30)])
    label = np.array([[1, 24.0]])
    _, found = sought(model, Search(60, 4, 80, 0.2), {"kind": "bag"}, label=label)
    assert found.distances[0] < found.random_distance / 10
    assert found.labels[0, 0] == 1 and 10 <= found.labels[0, 1] <= 30
    np.testing.assert_allclose(model.generate(torch.from_numpy(found.latents), found.labels), found.pictures, atol=1e-5)
    numbers = found.labels[:, 1].tolist()
    assert any(number not in (10, 20, 30) for number in numbers)
    _, fixed = sought(model, Search(60, 4, 5), {"kind": "bag", "size": "24"}, label=label)
    assert fixed.labels.tolist() == [[1, 24.0]] * 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kin": "bag"}, r"there is no label 'kin' \(did you mean 'kind'\?\)"),
        ({"kind": "bgg"}, r"kind 'bgg' is not known \(did you mean 'bag'\?\)"),
    ],
)
def test_labels_that_are_not_there(given, message):
    model = labelled(KINDS, rows=[[0], [1]])
    with pytest.raises(UserError, match=message):
        project(model, np.zeros((3, 8, 8), np.float32), picture_terms(None, 1.0), given, QUICK)
    with pytest.raises(UserError, match="the label kind is given, but the model was trained without labels"):
        project(of(small()), np.zeros((3, 8, 8), np.float32), picture_terms(None, 1.0), {"kind": "bag"}, QUICK)


class Drawing(GeneratorBase):
    """A map's classes in two greys, lighter by the latent."""

    takes_maps = True

    def __init__(self, space):
        super().__init__(Growth.of((1, 8, 8)), 2, space)
        self.shade = torch.nn.Parameter(torch.tensor([-0.5, 0.3]))

    def forward(self, latents, labels=None):
        self.check_labels(labels, len(latents))
        grey = (labels * self.shade[:, None, None]).sum(1, keepdim=True)
        return grey + 0.2 * torch.tanh(latents[:, :1, None, None])


def drawing():
    maps = np.zeros((3, 8, 8), np.uint8)
    for index in range(3):
        maps[index, : 2 * index + 1] = 1
    space = MapSpace.of(default_classes(2), maps.__getitem__, 3, (8, 8))
    return of(Drawing(space), rows=np.arange(3)[:, None])


def test_label_maps_are_given():
    model = drawing()
    target = model.generate(torch.tensor([[0.4, 0.0]]), np.array([[2]]))[0]
    with pytest.raises(UserError, match="the model draws label maps, .*; give it with --maps FILE"):
        project(model, target, picture_terms(None, 1.0), search=QUICK)
    found = project(model, target, picture_terms(None, 1.0), {"map": "2"}, QUICK)
    assert found.distances[0] < 1e-2 and found.labels[0].tolist() == [2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"restarts": 0}, "--restarts is 0; allowed: 1 to 1000"),
        ({"random": 5}, "--restarts is 8; allowed: 1 to 5"),
        ({"steps": 0}, "--steps is 0"),
        ({"lr": 0.0}, "--lr is 0; allowed: above 0"),
        ({"lr": float("nan")}, "--lr is nan"),
    ],
)
def test_searches_that_cannot_be(wrong, message):
    with pytest.raises(UserError, match=message):
        Search(**wrong)


def test_a_diverged_model_and_a_target_of_another_shape():
    generator = small()
    with torch.no_grad():
        generator.to_rgb[-1].weight.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite: its training has diverged"):
        project(of(generator), np.zeros((3, 8, 8), np.float32), picture_terms(None, 1.0), search=QUICK)
    with pytest.raises(ValueError, match="does not have the shape of the model's images"):
        project(of(small()), np.zeros((3, 4, 4), np.float32), picture_terms(None, 1.0), search=QUICK)
