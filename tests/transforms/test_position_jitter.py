import copy
import pickle

import pytest
import torch
from torchvision.transforms import v2

from segaug import PositionJitter, SegmentedImage, collate

MODES = ["corners", "translate_scale"]


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def same(left, right):
    return torch.equal(plain(left.boxes), plain(right.boxes)) and torch.equal(left.areas, right.areas)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_places_alone_change(make_tokens, mode, shape):
    tokens = make_tokens(5, batch=shape, padding=2)
    before = copy.deepcopy(tokens)
    torch.manual_seed(0)
    out = PositionJitter(0.05, 0.05, mode)(tokens)
    assert same(tokens, before)
    assert torch.equal(plain(out.patches), plain(tokens.patches))
    assert torch.equal(plain(out.alpha), plain(tokens.alpha))
    assert torch.equal(out.labels, tokens.labels)
    place = tokens.labels > 0
    assert torch.equal(plain(out.boxes)[~place], plain(tokens.boxes)[~place])
    assert torch.equal(out.areas[~place], tokens.areas[~place])
    assert (plain(out.boxes)[place] != plain(tokens.boxes)[place]).any(-1).all()
    assert (out.areas[place] != tokens.areas[place]).all()
    boxes = plain(out.boxes)[place]
    assert (boxes >= 0).all()
    assert (boxes <= 1).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert type(out.boxes) is type(tokens.boxes)
    assert (out.boxes.dtype, out.areas.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize("mode", MODES)
def test_no_deviation_changes_nothing(make_tokens, mode):
    tokens = make_tokens(5)
    out = PositionJitter(0.0, 0.0, mode)(tokens)
    torch.testing.assert_close(plain(out.boxes), plain(tokens.boxes), rtol=0, atol=1e-6)
    torch.testing.assert_close(out.areas, tokens.areas)


def test_noise_has_the_deviations_that_were_asked_for(make_tokens):
    tokens = make_tokens(1, batch=(20_000,), size=1, background=False)
    boxes = torch.tensor([0.4, 0.4, 0.6, 0.6]).expand(20_000, 1, 4)
    tokens = type(tokens)(tokens.patches, tokens.alpha, boxes, torch.full((20_000, 1), 0.3), tokens.labels)
    torch.manual_seed(0)
    out = PositionJitter(0.02, 0.05)(tokens)
    noise = plain(out.boxes) - boxes
    torch.testing.assert_close(noise.std((0, 1)), torch.full((4,), 0.02), rtol=0.05, atol=0)
    assert noise.mean((0, 1)).abs().max() < 0.001
    assert (out.areas - 0.3).std().item() == pytest.approx(0.05, rel=0.05)
    # Independent: no two of the five go together.
    numbers = torch.cat([noise, (out.areas - 0.3)[..., None]], -1).squeeze(1)
    assert (torch.corrcoef(numbers.T) - torch.eye(5)).abs().max() < 0.03
    out = PositionJitter(0.02, 0.1, mode="translate_scale")(tokens)
    assert (out.areas / 0.3).log().std().item() == pytest.approx(0.1, rel=0.05)
    side = plain(out.boxes)[..., 2:] - plain(out.boxes)[..., :2]
    torch.testing.assert_close(side.square() / 0.04, (out.areas / 0.3)[..., None].expand_as(side), rtol=1e-3, atol=0)


def test_draws_from_the_given_generator_or_the_default_one(make_tokens):
    tokens = make_tokens(5)
    torch.manual_seed(1)
    first, second = PositionJitter()(tokens), PositionJitter()(tokens)
    torch.manual_seed(1)
    assert same(first, PositionJitter()(tokens))
    assert not same(first, second)
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(1)
    own = PositionJitter(generator=generator)
    assert same(own(tokens), first)
    assert not same(own(tokens), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_do_not_depend_on_pixels(make_tokens):
    left, right = make_tokens(5, size=3), make_tokens(5, size=9)
    right = type(left)(right.patches, right.alpha, left.boxes, left.areas, left.labels)
    torch.manual_seed(3)
    first = PositionJitter()(left)
    torch.manual_seed(3)
    assert same(first, PositionJitter()(right))


def test_params_can_be_replayed(make_tokens):
    tokens, jitter = make_tokens(5), PositionJitter()
    params = jitter.make_params([tokens])
    assert same(jitter.transform(tokens, params), jitter.transform(tokens, params))


def test_in_a_compose_with_a_target(make_tokens):
    batch = collate([(make_tokens(2), 0), (make_tokens(4), 1)])
    out, target = v2.Compose([v2.RandomHorizontalFlip(), PositionJitter()])(*batch)
    assert out.labels.tolist() == batch[0].labels.tolist()
    assert target.tolist() == [0, 1]


def test_pickles(make_tokens):
    twin = pickle.loads(pickle.dumps(PositionJitter(0.1, 0.2, "translate_scale")))
    assert (twin.box_std, twin.area_std, twin.mode) == (0.1, 0.2, "translate_scale")


def test_no_tokens(make_tokens):
    assert PositionJitter()(make_tokens(0, background=False)).num_tokens == 0
    assert PositionJitter()(make_tokens(0)).labels.tolist() == [0]


class TestBadInput:
    @pytest.mark.parametrize("name", ["box_std", "area_std"])
    @pytest.mark.parametrize("value", [-0.1, -1, float("nan"), float("inf")])
    def test_deviations(self, name, value):
        with pytest.raises(ValueError, match=f"{name} must be at least 0.0, got {value}"):
            PositionJitter(**{name: value})

    @pytest.mark.parametrize("name", ["box_std", "area_std"])
    @pytest.mark.parametrize("value", [None, "0.1", True, (0.1, 0.2)])
    def test_no_numbers(self, name, value):
        with pytest.raises(TypeError, match=f"{name} must be a number, got"):
            PositionJitter(**{name: value})

    @pytest.mark.parametrize("mode", ["shake", None, 3])
    def test_mode(self, mode):
        with pytest.raises(ValueError, match="mode must be one of 'corners', 'translate_scale', got"):
            PositionJitter(mode=mode)

    def test_generator(self):
        with pytest.raises(TypeError, match=r"generator must be a torch.Generator or None, got 5"):
            PositionJitter(generator=5)

    def test_samples_without_tokens(self, photo, make_map):
        with pytest.raises(TypeError, match="PositionJitter takes SegmentTokens, got SegmentedImage"):
            PositionJitter()(SegmentedImage(photo, make_map(72, 96, 3)))
        with pytest.raises(TypeError, match="PositionJitter takes SegmentTokens, got"):
            PositionJitter()(photo, 5)
