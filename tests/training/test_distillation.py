import pytest
import torch
import torch.nn.functional as F
from torch import nn

from segaug.data import BadImageError, SceneImages, Scenes
from segaug.training import Distillation, teacher_logits
from segaug.training._loss import training_loss

STUDENT = torch.tensor([[1.0, -1.0, 0.5], [0.0, 2.0, -1.0]], dtype=torch.float64)
TEACHER = torch.tensor([[2.0, 0.0, 1.0], [3.0, 0.0, -2.0]], dtype=torch.float64)
TARGETS = torch.tensor([0, 1])


class MeanColour(nn.Module):
    """A teacher whose logits are three colours."""

    def forward(self, images):
        assert images.shape[1] == 3
        assert images.dtype == torch.float32
        assert not self.training
        return images.mean((-1, -2))


class Tupled(nn.Module):
    def forward(self, images):
        return (images,)


def test_soft_labels_are_equation_2():
    distillation = Distillation(TEACHER, alpha=0.3, temperature=3.0)
    loss, logits = training_loss(STUDENT, TARGETS, label_smoothing=0.0, distillation=distillation, teacher=TEACHER)
    p, q = (TEACHER / 3).softmax(-1), (STUDENT / 3).softmax(-1)
    divergence = (p * (p.log() - q.log())).sum(-1).mean()
    expected = 0.7 * F.cross_entropy(STUDENT, TARGETS) + 0.3 * 9 * divergence
    torch.testing.assert_close(loss, expected)
    assert logits is STUDENT


def test_hard_labels_are_equation_3():
    distillation = Distillation(TEACHER, hard=True)
    loss, _ = training_loss(STUDENT, TARGETS, label_smoothing=0.0, distillation=distillation, teacher=TEACHER)
    expected = (F.cross_entropy(STUDENT, TARGETS) + F.cross_entropy(STUDENT, torch.tensor([0, 0]))) / 2
    torch.testing.assert_close(loss, expected)


def test_a_distillation_token_gets_the_teachers_loss():
    distillation = Distillation(TEACHER, hard=True, alpha=0.25)
    other = STUDENT.flip(-1)
    options = {"label_smoothing": 0.1, "distillation": distillation, "teacher": TEACHER}
    loss, logits = training_loss((STUDENT, other), TARGETS, **options)
    expected = 0.75 * F.cross_entropy(STUDENT, TARGETS, label_smoothing=0.1)
    torch.testing.assert_close(loss, expected + 0.25 * F.cross_entropy(other, torch.tensor([0, 0])))
    torch.testing.assert_close(logits, (STUDENT + other) / 2)
    with pytest.raises(ValueError, match="distillation must be given to train a model that returns two logits"):
        training_loss((STUDENT, other), TARGETS, label_smoothing=0.0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_teacher_sees_the_images_as_they_are(token_sets, workers):
    train, _ = token_sets
    logits = teacher_logits(MeanColour(), train, batch_size=7, workers=workers)
    images = torch.stack([train.source.images[i][0].image for i in train.indices])
    torch.testing.assert_close(logits, images.float().div(255).mean((-1, -2)))
    assert logits.dtype == torch.float32
    assert not logits.is_inference()
    doubled = teacher_logits(MeanColour(), train.source.images, transform=lambda image: image * 2)
    torch.testing.assert_close(doubled, 2 * logits)


def test_bad_teachers():
    images = SceneImages(Scenes("count", 3, size=64))
    with pytest.raises(TypeError, match=r"teacher must be a torch\.nn\.Module, got 'resnet18'"):
        teacher_logits("resnet18", images)
    with pytest.raises(ValueError, match=r"teacher must give logits \(3, classes\), got "):
        teacher_logits(nn.Identity(), images)
    with pytest.raises(TypeError, match=r"teacher must give a float tensor \(B, classes\), got"):
        teacher_logits(Tupled(), images)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[1.0]],), TypeError, "logits must be a float tensor"),
        ((torch.zeros(3),), ValueError, r"logits must have shape \(images, classes\)"),
        ((torch.tensor([[float("nan")]]),), ValueError, "logits must be finite"),
        ((TEACHER, 1.5), ValueError, r"alpha must be in \[0\.0, 1\.0\], got 1\.5"),
        ((TEACHER, 0.5, 0), ValueError, "temperature must be above 0, got 0"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        Distillation(*arguments)


class Broken(SceneImages):
    def __getitem__(self, index):
        if index == 1:
            raise BadImageError("cannot read b.png as an image: it is empty")
        return super().__getitem__(index)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_is_named(workers):
    with pytest.raises(BadImageError, match=r"^cannot read b\.png as an image: it is empty$"):
        teacher_logits(MeanColour(), Broken(Scenes("count", 3, size=64)), workers=workers)
