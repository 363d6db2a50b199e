"""A sample's code makes the sample anew."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors  # noqa: F401 (the code names it)

from segaug import SegmentedImage, SegmentMap, SegmentTokens  # noqa: F401 (the code names them)
from segaug.testing._code import IMPORTS, code_of
from segaug.testing._compare import check_equal, named_leaves
from segaug.testing._domain import Domain
from segaug.testing._property import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_comes_back(kind):
    domain = Domain((kind,), min_side=1)

    @given(st.data())
    @settings(derandomize=True, deadline=None, max_examples=30)
    def check(data):
        sample = data.draw(domain.strategy(kind))
        names = {}
        exec("\n".join(IMPORTS), names)
        again = eval(code_of(sample), names)
        check_equal(sample, again, "the code's")
        for name, leaf in named_leaves(sample).items():
            assert type(named_leaves(again)[name]) is type(leaf)
            if isinstance(sample, torch.Tensor) and leaf.numel():
                assert [s for s, n in zip(leaf.stride(), leaf.shape, strict=True) if n > 1] == [
                    s for s, n in zip(named_leaves(again)[name].stride(), leaf.shape, strict=True) if n > 1
                ]

    check()


def test_numbers_that_are_no_numbers():
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e-45])
    again = eval(code_of(odd))
    assert torch.equal(odd.nan_to_num(7), again.nan_to_num(7))
