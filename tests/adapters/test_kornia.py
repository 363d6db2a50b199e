"""kornia's augmentations inside PerSegment: every class, step with coverage, draws per segment, errors."""

import pickle

import kornia.augmentation as K
import pytest
import torch
from kornia.augmentation import auto
from scipy import stats
from torchvision.transforms import v2

from segaug import PerSegment, SegmentTokens
from segaug.adapters import kornia_support
from segaug.data import seeded


def pair(low, high):
    return torch.tensor([low, high])


# RGB alone, by kornia.
RGB_ONLY = {
    "RandomHue",
    "RandomJPEG",
    "RandomPlanckianJitter",
    "RandomRGBShift",
    "RandomSnow",
    "RandomSaturation",
    "ColorJiggle",
    "ColorJitter",
    "AutoAugment",
    "RandAugment",
}
# They draw nothing, or nothing but whether to run.
FIXED = {
    "CenterCrop",
    "Denormalize",
    "LongestMaxSize",
    "Normalize",
    "PadTo",
    "RandomAutoContrast",
    "RandomBoxBlur",
    "RandomEqualize",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomMedianBlur",
    "RandomVerticalFlip",
    "Resize",
    "SmallestMaxSize",
}
FLOAT_ONLY = {"Denormalize", "Normalize"}
SIZES = {
    "CenterCrop": (10, 10),
    "LongestMaxSize": (12, 12),
    "PadTo": (20, 20),
    "RandomCrop": (9, 9),
    "RandomResizedCrop": (11, 11),
    "Resize": (9, 9),
    "SmallestMaxSize": (7, 7),
}


def samples(p=1.0):
    """Samples by class, each with ``p``."""
    return {
        "AugmentationSequential": K.AugmentationSequential(K.RandomRotation(40.0, p=p), K.RandomGamma((0.5, 2.0), p=p)),
        "AutoAugment": auto.AutoAugment(),
        "CenterCrop": K.CenterCrop(10, p=p),
        "ColorJiggle": K.ColorJiggle(0.5, 0.5, 0.5, 0.3, p=p),
        "ColorJitter": K.ColorJitter(0.5, 0.5, 0.5, 0.3, p=p),
        "Denormalize": K.Denormalize(0.4, 0.5, p=p),
        "ImageSequential": K.ImageSequential(
            K.RandomAffine(10.0, p=p), K.RandomBrightness((0.4, 1.6), p=p), random_apply=1
        ),
        "LongestMaxSize": K.LongestMaxSize(12, p=p),
        "Normalize": K.Normalize(0.4, 0.5, p=p),
        "PadTo": K.PadTo((20, 20), pad_value=1.0),
        "RandAugment": auto.RandAugment(2, 12),
        "RandomAffine": K.RandomAffine(30.0, (0.1, 0.2), (0.7, 1.3), 10.0, padding_mode="fill", fill_value=1.0, p=p),
        "RandomAutoContrast": K.RandomAutoContrast(p=p),
        "RandomBoxBlur": K.RandomBoxBlur(p=p),
        "RandomBrightness": K.RandomBrightness((0.4, 1.6), p=p),
        "RandomChannelDropout": K.RandomChannelDropout(p=p),
        "RandomChannelShuffle": K.RandomChannelShuffle(p=p),
        "RandomClahe": K.RandomClahe((2.0, 40.0), grid_size=(2, 2), p=p),
        "RandomContrast": K.RandomContrast((0.4, 1.6), p=p),
        "RandomCrop": K.RandomCrop((9, 9), padding=2, fill=1.0, p=p),
        "RandomElasticTransform": K.RandomElasticTransform((7, 7), (3.0, 3.0), (2.0, 2.0), p=p),
        "RandomEqualize": K.RandomEqualize(p=p),
        "RandomErasing": K.RandomErasing(value=0.5, p=p),
        "RandomFisheye": K.RandomFisheye(pair(-0.3, 0.3), pair(-0.3, 0.3), pair(0.9, 1.1), p=p),
        "RandomGamma": K.RandomGamma((0.5, 2.0), p=p),
        "RandomGaussianBlur": K.RandomGaussianBlur((5, 5), (0.3, 3.0), p=p),
        "RandomGaussianIllumination": K.RandomGaussianIllumination((0.1, 0.3), p=p),
        "RandomGaussianNoise": K.RandomGaussianNoise(std=0.2, p=p),
        "RandomGrayscale": K.RandomGrayscale(p=p),
        "RandomHorizontalFlip": K.RandomHorizontalFlip(p=p),
        "RandomHue": K.RandomHue((-0.5, 0.5), p=p),
        "RandomInvert": K.RandomInvert(p=p),
        "RandomJPEG": K.RandomJPEG((5.0, 60.0), p=p),
        "RandomJigsaw": K.RandomJigsaw((4, 4), p=p),
        "RandomLinearCornerIllumination": K.RandomLinearCornerIllumination((0.1, 0.3), p=p),
        "RandomLinearIllumination": K.RandomLinearIllumination((0.1, 0.3), p=p),
        "RandomMedianBlur": K.RandomMedianBlur(p=p),
        "RandomMotionBlur": K.RandomMotionBlur((3, 7), 90.0, 1.0, p=p),
        "RandomPerspective": K.RandomPerspective(0.5, p=p),
        "RandomPlanckianJitter": K.RandomPlanckianJitter(p=p),
        "RandomPlasmaBrightness": K.RandomPlasmaBrightness(p=p),
        "RandomPlasmaContrast": K.RandomPlasmaContrast(p=p),
        "RandomPlasmaShadow": K.RandomPlasmaShadow(p=p),
        "RandomPosterize": K.RandomPosterize((1.0, 6.0), p=p),
        "RandomRGBShift": K.RandomRGBShift(p=p),
        "RandomRain": K.RandomRain((5, 30), (3, 6), (-3, 3), p=p),
        "RandomResizedCrop": K.RandomResizedCrop((11, 11), p=p),
        "RandomRotation": K.RandomRotation(60.0, p=p),
        "RandomRotation90": K.RandomRotation90((-3, 3), p=p),
        "RandomSaltAndPepperNoise": K.RandomSaltAndPepperNoise((0.1, 0.4), p=p),
        "RandomSaturation": K.RandomSaturation((0.0, 3.0), p=p),
        "RandomSharpness": K.RandomSharpness((0.0, 5.0), p=p),
        "RandomShear": K.RandomShear(30.0, p=p),
        "RandomSnow": K.RandomSnow((0.2, 0.8), (1.5, 3.0), p=p),
        "RandomSolarize": K.RandomSolarize((0.2, 0.8), p=p),
        "RandomThinPlateSpline": K.RandomThinPlateSpline(p=p),
        "RandomTranslate": K.RandomTranslate((-0.3, 0.3), (-0.3, 0.3), p=p),
        "RandomVerticalFlip": K.RandomVerticalFlip(p=p),
        "Resize": K.Resize((9, 9), p=p),
        "SmallestMaxSize": K.SmallestMaxSize(7, p=p),
        "TrivialAugment": auto.TrivialAugment(),
    }


def alike(count, channels, dtype):
    """The same token over and over: colours that change smoothly in a disc with a soft edge."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((1, channels, 4, 4), generator=generator)
    patch = torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear")[0]
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    alpha = (7.0 - ((rows - 6.5) ** 2 + (columns - 6.0) ** 2).sqrt()).clamp(0, 1)
    patches, alpha = (patch * alpha).expand(count, -1, -1, -1), alpha.expand(count, -1, -1)
    if dtype == torch.uint8:
        patches, alpha = (patches * 255).round(), (alpha * 255).round()
    boxes = torch.tensor([0.1, 0.2, 0.5, 0.7]).repeat(count, 1)
    patches, alpha = patches.to(dtype, copy=True), alpha.to(dtype, copy=True)
    return SegmentTokens(patches, alpha, boxes, torch.full((count,), 0.1), torch.arange(1, count + 1))


def plain(tensor):
    return tensor.as_subclass(torch.Tensor)


def draw(transform, tokens, seed=0, **options):
    per_segment = PerSegment(transform, generator=torch.Generator().manual_seed(seed), **options)
    return per_segment, per_segment.make_params([tokens])


class TestSupport:
    def test_names_every_class(self):
        named = {row.name: row for row in kornia_support()}
        for name in K.__all__:
            assert name in named or name in ("auto", "container")
        assert {"AutoAugment", "RandAugment", "TrivialAugment"} <= set(named)
        assert all(row.how == "batched" or (row.how == "refused" and row.reason) for row in named.values())

    def test_every_supported_class_has_a_sample(self):
        assert {row.name for row in kornia_support() if row.how == "batched"} == set(samples())

    @pytest.mark.parametrize("row", [row for row in kornia_support() if row.how == "refused"], ids=lambda row: row.name)
    def test_refused_classes_are_refused(self, row):
        kind = getattr(K, row.name)
        # Some need a model or arguments; what counts is the class.
        transform = kind.__new__(kind)
        torch.nn.Module.__init__(transform)
        with pytest.raises(TypeError, match="must give one picture per segment") as caught:
            PerSegment(transform)
        assert row.reason in str(caught.value)


def cases():
    for name in samples():
        for channels, dtype in ((1, torch.float32), (3, torch.uint8), (3, torch.float32)):
            if not (name in FLOAT_ONLY and dtype == torch.uint8) and not (name in RGB_ONLY and channels == 1):
                yield pytest.param(name, dtype, channels, id=f"{name}-{channels}-{str(dtype)[6:]}")


@pytest.mark.parametrize(("name", "dtype", "channels"), list(cases()))
class TestEveryClass:
    def test_runs_and_draws_for_each_segment(self, name, dtype, channels):
        tokens = alike(24, channels, dtype)
        before = tokens.patches.clone(), tokens.alpha.clone()
        torch.manual_seed(0)
        default = torch.get_rng_state()
        per_segment, params = draw(samples()[name], tokens)
        out = per_segment.transform(tokens, params)
        assert torch.equal(default, torch.get_rng_state())
        assert torch.equal(before[0], tokens.patches)
        assert torch.equal(before[1], tokens.alpha)
        assert out.patches.dtype == out.alpha.dtype == dtype
        assert out.patches.shape == (24, channels, *SIZES.get(name, (16, 16)))
        assert not plain(out.patches).masked_select((plain(out.alpha) == 0)[:, None]).any()
        if name not in FLOAT_ONLY and dtype != torch.uint8:
            assert float(out.patches.min()) >= 0.0
            assert float(out.patches.max()) <= 1.0
        different = len(torch.unique(plain(out.patches).flatten(1), dim=0))
        if name in FIXED or (channels == 1 and name.startswith("RandomChannel")):
            assert different == 1
        else:
            assert different >= (2 if name == "RandomChannelDropout" else 4)
        again = per_segment.transform(tokens, pickle.loads(pickle.dumps(params)))
        assert torch.equal(out.patches, again.patches)
        assert torch.equal(out.alpha, again.alpha)


class TestGeometry:
    MOVES = (
        "RandomAffine",
        "RandomCrop",
        "RandomFisheye",
        "RandomJigsaw",
        "RandomPerspective",
        "RandomThinPlateSpline",
    )

    @pytest.mark.parametrize("name", MOVES)
    def test_coverage_moves_as_colour_does(self, name):
        tokens = alike(30, 1, torch.float32)
        # Colour that is its own coverage.
        tokens = SegmentTokens(tokens.alpha[:, None].clone(), tokens.alpha, tokens.boxes, tokens.areas, tokens.labels)
        per_segment, params = draw(samples()[name], tokens)
        out = per_segment.transform(tokens, params)
        assert (plain(out.patches)[:, 0] - plain(out.alpha)).abs().max() < 1e-6
        assert not torch.equal(plain(out.alpha)[:, :9, :9], plain(tokens.alpha)[:, :9, :9])

    def test_flips_are_exact_and_as_likely_as_said(self):
        tokens = alike(600, 3, torch.uint8)
        per_segment, params = draw(K.RandomHorizontalFlip(p=0.3), tokens)
        out = per_segment.transform(tokens, params)
        flipped = (plain(out.patches) == plain(tokens.patches).flip(-1)).flatten(1).all(1)
        kept = (plain(out.patches) == plain(tokens.patches)).flatten(1).all(1)
        assert bool((flipped ^ kept).all())
        assert torch.equal(plain(out.alpha)[flipped], plain(tokens.alpha)[flipped].flip(-1))
        assert stats.binomtest(int(flipped.sum()), 600, 0.3).pvalue > 0.001

    def test_a_gate_of_the_batch_is_a_gate_of_the_segment(self):
        # kornia turns p of RandomResizedCrop into one draw for the whole batch.
        tokens = alike(300, 1, torch.uint8)
        per_segment, params = draw(K.RandomResizedCrop((16, 16), scale=(0.2, 0.5), p=0.5), tokens)
        kept = (plain(per_segment.transform(tokens, params).patches) == plain(tokens.patches)).flatten(1).all(1)
        assert stats.binomtest(int(kept.sum()), 300, 0.5).pvalue > 0.001

    def test_a_size_for_some_is_an_error(self):
        with pytest.raises(ValueError, match=r"same size and channels: with p=0\.5"):
            PerSegment(K.CenterCrop(8, p=0.5))(alike(4, 3, torch.uint8))

    def test_sizes_are_known_beforehand(self):
        chain = v2.Compose([K.RandomCrop((9, 9)), v2.RandomCrop(5), K.Resize((7, 7)), v2.RandomHorizontalFlip()])
        assert PerSegment(chain)(alike(4, 3, torch.uint8)).patches.shape == (4, 3, 7, 7)


class TestColour:
    def test_a_full_mask_gives_what_kornia_gives(self, make_tokens):
        tokens = make_tokens(12, size=16, dtype=torch.float32, full=True, background=False)
        for name in ("RandomGamma", "RandomEqualize", "RandomGaussianBlur", "RandomSharpness", "RandomPosterize"):
            per_segment, params = draw(samples()[name], tokens)
            leaf = params["child"]
            expected = samples()[name](plain(tokens.patches), params={**leaf["rows"], **leaf["whole"]}).clamp(0, 1)
            assert torch.equal(plain(per_segment.transform(tokens, params).patches), expected)

    @pytest.mark.parametrize("name", ["ColorJiggle", "ColorJitter"])
    def test_each_segment_has_its_own_order(self, name, make_tokens):
        tokens = make_tokens(40, size=16, dtype=torch.float32, full=True, background=False)
        per_segment, params = draw(samples()[name], tokens)
        out = per_segment.transform(tokens, params)
        rows, whole = params["child"]["rows"], params["child"]["whole"]
        assert len(torch.unique(rows["order"], dim=0)) > 12
        for i in range(40):
            own = {key: value[[i]] for key, value in rows.items()}
            own["order"] = rows["order"][i]
            expected = samples()[name](plain(tokens.patches)[[i]], params={**whole, **own})
            assert (plain(out.patches)[[i]] - expected).abs().max() < 1e-6

    @pytest.mark.parametrize("name", ["ColorJiggle", "ColorJitter", "RandomMotionBlur", "RandomPlasmaShadow"])
    def test_what_was_found_out_before_does_not_change_the_draws(self, name, make_tokens):
        tokens = make_tokens(12, size=16, dtype=torch.float32, background=False)

        def run(per_segment, inputs=tokens):
            torch.manual_seed(5)
            return plain(per_segment(inputs).patches)

        one, other = PerSegment(samples()[name]), PerSegment(samples()[name])
        cold = run(one)
        assert torch.equal(cold, run(one))
        assert torch.equal(cold, run(other))
        # Of another size, which is found out anew, in between.
        third = PerSegment(samples()[name])
        run(third, make_tokens(4, size=20, dtype=torch.float32))
        assert torch.equal(cold, run(third))

    def test_a_seeded_dataset_gives_the_same_twice(self, make_tokens):
        tokens = [make_tokens(5, size=16, dtype=torch.float32, seed=seed) for seed in range(3)]
        first, second = (seeded(tokens, PerSegment(samples()["ColorJitter"]), 7) for _ in range(2))
        expected = [plain(first[i].patches) for i in range(3)]
        for i in (2, 0, 1):
            assert torch.equal(expected[i], plain(second[i].patches))
            assert torch.equal(expected[i], plain(first[i].patches))

    def test_nothing_black_leaks_in(self):
        tokens = alike(4, 3, torch.float32)
        even = SegmentTokens(
            tokens.alpha[:, None].repeat(1, 3, 1, 1) * 0.5, tokens.alpha, tokens.boxes, tokens.areas, tokens.labels
        )
        for blur in (K.RandomGaussianBlur((7, 7), (3.0, 3.0), p=1.0), K.RandomMedianBlur((5, 5), p=1.0)):
            out = PerSegment(blur)(even)
            # A median pads its own frame with black, beyond the segment here.
            inside = plain(out.alpha)[:, 3:-3, 3:-3]
            assert (plain(out.patches)[:, :, 3:-3, 3:-3] - inside[:, None] * 0.5).abs().max() < 1e-4

    def test_equalize_counts_own_pixels(self):
        tokens = alike(1, 3, torch.uint8)
        own = plain(tokens.alpha)[0] == 255
        alpha = (plain(tokens.alpha) == 255).to(torch.uint8) * 255
        patches = plain(tokens.patches) * (alpha[:, None] // 255)
        out = PerSegment(K.RandomEqualize(p=1.0))(
            SegmentTokens(patches, alpha, tokens.boxes, tokens.areas, tokens.labels)
        )
        # As few own pixels alone, as a picture of one row.
        row = patches[:, :, own].unsqueeze(2).float() / 255
        expected = (K.RandomEqualize(p=1.0)(row) * 255).round()
        difference = (plain(out.patches)[:, :, own].float() - expected[:, :, 0]).abs()
        assert difference.mean() < 4.0

    def test_normalize_takes_floats(self):
        with pytest.raises(TypeError, match="must be float for Normalize"):
            PerSegment(K.Normalize(0.5, 0.5))(alike(2, 3, torch.uint8))
        out = PerSegment(K.Normalize(0.5, 0.5))(alike(2, 3, torch.float32))
        assert float(out.patches.min()) < -0.1


class TestContainers:
    def test_steps_run_in_order_each_by_its_own_draw(self):
        tokens = alike(800, 1, torch.uint8)
        flips = K.AugmentationSequential(K.RandomHorizontalFlip(p=0.5), K.RandomVerticalFlip(p=0.5))
        per_segment, params = draw(flips, tokens)
        assert per_segment.lowered == [("RandomHorizontalFlip", "batched"), ("RandomVerticalFlip", "batched")]
        out = plain(per_segment.transform(tokens, params).patches)
        counts = [
            int((out == plain(tokens.patches).flip(dims)).flatten(1).all(1).sum())
            for dims in ((), (-1,), (-2,), (-2, -1))
        ]
        assert sum(counts) == 800
        assert stats.chisquare(counts).pvalue > 0.001

    def test_random_apply_picks_for_each_segment(self):
        tokens = alike(600, 1, torch.float32)
        steps = [K.RandomInvert(p=1.0), K.RandomHorizontalFlip(p=1.0), K.RandomVerticalFlip(p=1.0)]
        pick = K.ImageSequential(*steps, random_apply=1, random_apply_weights=[0.5, 0.3, 0.2])
        per_segment, params = draw(pick, tokens)
        counts = torch.bincount(params["child"]["picks"].flatten(), minlength=3)
        assert stats.chisquare(counts.tolist(), [300, 180, 120]).pvalue > 0.001
        assert len(torch.unique(plain(per_segment.transform(tokens, params).patches).flatten(1), dim=0)) == 3

    def test_random_apply_draws_how_many_and_the_order(self):
        tokens = alike(400, 1, torch.float32)
        picks = draw(K.ImageSequential(*[K.RandomInvert()] * 3, random_apply=(1, 2)), tokens)[1]["child"]["picks"]
        assert set((picks >= 0).sum(1).tolist()) == {1, 2}
        both = picks[(picks >= 0).all(1)]
        assert len(torch.unique(both, dim=0)) == 6

    def test_random_apply_with_replacement_draws_anew(self):
        noise = K.ImageSequential(K.RandomGaussianNoise(std=0.1, p=1.0), random_apply=2)
        tokens = alike(2, 1, torch.float32)
        params = draw(noise, tokens)[1]["child"]
        assert params["picks"].tolist() == [[0, 0], [0, 0]]
        first, second = (rows[0]["rows"]["gaussian_noise"] for rows in params["rounds"])
        assert not torch.equal(first, second)

    def test_other_modules_are_called_once_per_segment(self):
        chain = K.ImageSequential(K.RandomHorizontalFlip(), v2.RandomInvert(1.0), torch.nn.Identity())
        per_segment = PerSegment(chain)
        assert [how.partition(":")[0] for _, how in per_segment.lowered][::2] == ["batched", "looped"]
        assert per_segment(alike(3, 3, torch.float32)).num_tokens == 3

    def test_mixes_with_torchvision(self):
        chain = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomApply([K.RandomGamma((0.5, 2.0))], p=0.5)])
        out = PerSegment(chain, p=0.5, generator=torch.Generator().manual_seed(0))(alike(20, 3, torch.uint8))
        assert len(torch.unique(plain(out.patches).flatten(1), dim=0)) > 4

    def test_the_loop_runs_one_segment_at_a_time(self):
        tokens = alike(40, 3, torch.uint8)
        chain = v2.Compose([v2.RandomVerticalFlip(), K.RandomHorizontalFlip(p=0.5), K.ColorJitter(0.5, p=1.0)])
        out = PerSegment(chain, vectorized=False, generator=torch.Generator().manual_seed(0))(tokens)
        assert len(torch.unique(plain(out.patches).flatten(1), dim=0)) > 30
        assert len(torch.unique(plain(out.alpha).flatten(1), dim=0)) == 4


class TestTokens:
    def test_padding_and_background(self, make_tokens):
        tokens = make_tokens(3, batch=(2,), size=8, padding=2)
        out = PerSegment(K.RandomInvert(p=1.0), background=False)(tokens)
        same = (plain(out.patches) == plain(tokens.patches)).flatten(2).all(2)
        assert same.tolist() == [[False, False, False, True, True, True]] * 2
        assert not plain(PerSegment(K.Resize((5, 5)))(tokens).patches)[:, 4:].any()

    def test_a_segment_keeps_its_draw_among_others(self):
        tokens = alike(20, 3, torch.uint8)
        for name in ("ColorJitter", "RandomChannelDropout", "RandomMotionBlur", "RandomAffine", "RandomRain"):
            per_segment, params = draw(samples()[name], tokens)
            everything = per_segment.transform(tokens, params)
            labels = tokens.labels.clone()
            labels[::2] = -1
            some = SegmentTokens(tokens.patches, tokens.alpha, tokens.boxes, tokens.areas, labels)
            out = per_segment.transform(some, params)
            difference = plain(out.patches)[1::2].int() - plain(everything.patches)[1::2].int()
            assert difference.abs().max() <= 1

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
    def test_other_floats(self, dtype):
        for transform in (K.RandomAffine(20.0, p=1.0), K.ColorJitter(0.4, 0.4, 0.4, 0.2, p=1.0)):
            assert PerSegment(transform)(alike(3, 3, dtype)).patches.dtype == dtype

    def test_none_at_all(self, make_tokens):
        tokens = make_tokens(0, size=8, background=False)
        assert PerSegment(K.Resize((5, 5)))(tokens).patches.shape == (0, 3, 5, 5)


class OwnErasing(K.IntensityAugmentationBase2D):
    """A user's own, which draws while it is applied."""

    def apply_transform(self, input, params, flags, transform=None):  # noqa: A002
        return input * (torch.rand(len(input), 1, 1, 1) > 0.5)


class OwnUnknown(K.AugmentationBase2D):
    def apply_transform(self, input, params, flags, transform=None):  # noqa: A002
        return input


class TestOwn:
    def test_augmentations_of_users(self):
        tokens = alike(30, 1, torch.uint8)
        per_segment, params = draw(OwnErasing(p=1.0), tokens)
        out = per_segment.transform(tokens, params)
        assert len(torch.unique(plain(out.patches).flatten(1), dim=0)) == 2
        assert torch.equal(out.patches, per_segment.transform(tokens, params).patches)

    def test_what_is_not_known_to_move_is_refused(self):
        with pytest.raises(TypeError, match="OwnUnknown: it is not known whether it moves pixels"):
            PerSegment(OwnUnknown(p=1.0))

    def test_the_users_transform_stays_as_it_is(self):
        affine = samples(0.4)["RandomAffine"]
        before = repr(affine)
        PerSegment(affine)(alike(3, 3, torch.uint8))
        assert repr(affine) == before
        assert affine._params == {}


class TestErrors:
    def test_an_error_names_the_transform_and_a_segment(self):
        tokens = alike(3, 1, torch.uint8)
        with pytest.raises(ValueError, match="3, H, W") as caught:
            PerSegment(K.RandomHue((-0.5, 0.5)))(tokens)
        assert (
            "RandomHue of kornia on 3 segments at once, the first the segment with label 1" in caught.value.__notes__[0]
        )

    def test_a_crop_that_does_not_fit(self):
        with pytest.raises(AssertionError) as caught:
            PerSegment(K.CenterCrop(20))(alike(3, 3, torch.uint8))
        assert "CenterCrop of kornia, drawing for segments of 16 x 16 pixels" in caught.value.__notes__[0]

    def test_what_contradicts_a_draw_per_segment(self):
        with pytest.raises(ValueError, match="same_on_batch of RandomGamma must be False"):
            PerSegment(K.RandomGamma(same_on_batch=True))
        with pytest.raises(ValueError, match=r"data_keys .* must be the picture alone, got image, mask"):
            PerSegment(K.AugmentationSequential(K.RandomGamma(), data_keys=["input", "mask"]))
        with pytest.raises(ValueError, match="random_apply must have no RandomJigsaw"):
            PerSegment(K.ImageSequential(K.RandomJigsaw((4, 4)), random_apply=1))

    def test_can_be_sent_to_a_worker(self):
        tokens = alike(5, 3, torch.uint8)
        chain = v2.Compose([K.ImageSequential(K.RandomAffine(20.0), random_apply=1), auto.RandAugment(2, 12)])
        for vectorized in (True, False):
            per_segment, params = draw(chain, tokens, vectorized=vectorized)
            sent = pickle.loads(pickle.dumps(PerSegment(chain, vectorized=vectorized)))
            assert torch.equal(per_segment.transform(tokens, params).patches, sent.transform(tokens, params).patches)

    def test_no_outcomes(self):
        with pytest.raises(ValueError, match="RandomInvert of kornia has not"):
            PerSegment(K.RandomInvert())._plan.outcomes((3, 4, 4))
