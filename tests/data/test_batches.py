from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.data import BatchOrder

LENGTHS = torch.randint(20, 200, (203,), generator=torch.Generator().manual_seed(0)).tolist()


def epoch(order, number=0):
    order.epoch = number
    return list(order)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=40),
    batch_size=st.integers(1, 50),
    pool=st.integers(1, 5),
    shuffle=st.booleans(),
)
def test_every_item_once_in_even_batches(lengths, batch_size, pool, shuffle):
    order = BatchOrder(lengths, batch_size, pool=pool, shuffle=shuffle)
    batches = epoch(order, 3)
    assert len(batches) == len(order)
    assert Counter(i for batch in batches for i in batch.indices) == Counter(range(len(lengths)))
    sizes = [len(batch.indices) for batch in batches]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert [(batch.epoch, batch.step) for batch in batches] == [(3, step) for step in range(len(batches))]


def test_the_order_depends_on_seed_and_epoch_alone():
    order = BatchOrder(LENGTHS, 32, seed=1)
    first = epoch(order)
    assert epoch(order, 1) != first
    torch.rand(1)
    assert epoch(order) == first
    assert epoch(BatchOrder(LENGTHS, 32, seed=2)) != first


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    items=st.integers(8, 60),
    batch_size=st.integers(8, 20),
    processes=st.integers(1, 3),
    per_process=st.integers(1, 2),
    start=st.integers(0, 3),
)
def test_groups_are_the_same_in_however_many_processes(items, batch_size, processes, per_process, start):
    groups = processes * per_process
    if groups > items // -(-items // batch_size):
        with pytest.raises(ValueError, match="groups must be at most the items of the smallest batch"):
            BatchOrder([1] * items, batch_size, groups=groups)
        return
    alone = BatchOrder([1] * items, batch_size, groups=groups)
    shares = [BatchOrder([1] * items, batch_size, groups=groups, share=(r, processes)) for r in range(processes)]
    for order in (alone, *shares):
        order.start = start
    assert [len(list(order)) for order in shares] == [len(order) for order in shares]
    assert all(order.groups_per_step == per_process for order in shares)
    together = sorted(batch for order in shares for batch in epoch(order, 2))
    assert together == sorted(epoch(alone, 2))
    whole = BatchOrder([1] * items, batch_size)
    for batch in epoch(whole, 2)[start:]:
        parts = [part for part in together if part.step == batch.step]
        assert sorted(i for part in parts for i in part.indices) == sorted(batch.indices)
        assert sum(part.share for part in parts) == pytest.approx(1.0)
        assert max(len(part.indices) for part in parts) - min(len(part.indices) for part in parts) <= 1


@pytest.mark.parametrize("processes", [1, 2, 3, 9])
def test_without_a_shuffle_each_item_goes_to_one_process(processes):
    orders = [BatchOrder(LENGTHS[:31], 8, shuffle=False, share=(r, processes)) for r in range(processes)]
    seen = [i for order in orders for batch in order for i in batch.indices]
    assert sorted(seen) == list(range(31))
    assert [len(order) for order in orders] == [len(list(order)) for order in orders]


def test_pools_make_less_padding_and_stay_random():
    def padding(order):
        return sum(max(LENGTHS[i] for i in b.indices) * len(b.indices) for b in order) / sum(LENGTHS) - 1

    plain, pooled = (BatchOrder(LENGTHS, 32, pool=pool) for pool in (1, 4))
    assert padding(pooled) < 0.6 * padding(plain)
    assert padding(BatchOrder(LENGTHS, 32, shuffle=False)) < 0.2
    assert {frozenset(b.indices) for b in epoch(pooled)} != {frozenset(b.indices) for b in epoch(pooled, 1)}


def test_bad_arguments():
    with pytest.raises(ValueError, match="lengths must hold at least one item, got none"):
        BatchOrder([], 4)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        BatchOrder([3], 0)
    with pytest.raises(ValueError, match=r"groups must be a multiple of the number of shares \(2\), got 3"):
        BatchOrder([3] * 9, 9, groups=3, share=(0, 2))
    with pytest.raises(ValueError, match="share must be at least 3, got 2"):
        BatchOrder([3] * 9, 9, share=(2, 2))
    with pytest.raises(ValueError, match="pool must be at least 1, got 0"):
        BatchOrder([3], 1, pool=0)
    with pytest.raises(TypeError, match="shuffle must be True or False, got 1"):
        BatchOrder([3], 1, shuffle=1)
