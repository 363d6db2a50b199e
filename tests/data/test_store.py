import errno
import itertools
import multiprocessing
import os
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segaug.data import StoreCounts, TokenStore

# Python 3.12 and later warn of any fork beside torch's threads.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

KEY = {"version": 1, "image": {"file": "0f3c", "size": 144}, "segmenter": None}
TENSORS = {"labels": torch.arange(12, dtype=torch.uint8).view(3, 4), "areas": torch.tensor([0.25, 0.75])}


@pytest.fixture
def store(tmp_path):
    return TokenStore(tmp_path / "store")


def entry(store: TokenStore) -> Path:
    (path,) = store.folder.glob("??/*")
    return path


def assert_same(stored, tensors):
    assert stored.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert stored[name].dtype == tensor.dtype
        assert torch.equal(stored[name], tensor)


def test_what_was_saved_is_loaded_also_by_another_store(store):
    assert store.load(KEY) is None
    store.save(KEY, TENSORS)
    assert_same(TokenStore(store.folder).load(dict(reversed(KEY.items()))), TENSORS)
    assert store.counts == StoreCounts(made=1)


def test_every_part_of_the_key_matters(store):
    store.save(KEY, TENSORS)
    assert store.load({**KEY, "version": 2}) is None
    assert store.load({**KEY, "image": {"file": "0f3c", "size": 145}}) is None
    assert store.load({**KEY, "more": 0}) is None
    assert store.load({**KEY, "segmenter": False}) is None
    assert store.counts.damaged == 0


def test_a_cut_off_entry_is_not_used_and_is_made_anew(store):
    store.save(KEY, TENSORS)
    path = entry(store)
    data = path.read_bytes()
    for length in (0, 1, 14, 15, 40, 47, 60, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert store.load(KEY) is None
    assert store.take_counts().damaged == 9
    store.save(KEY, TENSORS)
    assert_same(store.load(KEY), TENSORS)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_an_entry_with_one_flipped_bit_is_not_used(tmp_path_factory, place, bit):
    store = TokenStore(tmp_path_factory.mktemp("flipped"))
    store.save(KEY, TENSORS)
    path = entry(store)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    assert store.load(KEY) is None
    assert store.counts.damaged == 1


def test_the_whole_entry_of_another_key_is_not_used(store):
    other = {**KEY, "version": 2}
    store.save(KEY, TENSORS)
    path = entry(store)
    data = path.read_bytes()
    store.save(other, {"labels": torch.zeros(1)})
    (theirs,) = set(store.folder.glob("??/*")) - {path}
    theirs.write_bytes(data)
    assert store.load(other) is None
    assert store.counts.damaged == 1


def test_longer_or_unreadable_entries_are_not_used(store):
    store.save(KEY, TENSORS)
    path = entry(store)
    path.write_bytes(path.read_bytes() + b"\0")
    assert store.load(KEY) is None
    path.unlink()
    path.mkdir()
    assert store.load(KEY) is None
    assert store.counts.damaged == 2


def test_a_full_disk_stops_writing_but_not_reading(store, monkeypatch):
    store.save(KEY, TENSORS)

    def full(self, data):
        # As the real thing: the file is there, and half of it is written.
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        store.save({"other": 1}, TENSORS)
        assert store.load({"other": 1}) is None
        store.save({"other": 2}, TENSORS)
        assert_same(store.load(KEY), TENSORS)
    counts = store.take_counts()
    assert (counts.made, counts.unsaved, counts.damaged) == (3, 2, 0)
    assert "No space left" in counts.problem
    assert not list(store.folder.rglob("*.tmp"))
    store.save({"other": 3}, TENSORS)
    assert store.take_counts().unsaved == 1, "it must not try again for every entry"
    later = TokenStore(store.folder)
    later.save({"other": 1}, TENSORS)
    assert_same(later.load({"other": 1}), TENSORS)


def test_a_folder_that_cannot_be_made_stops_writing(tmp_path):
    (tmp_path / "file").write_text("no folder")
    store = TokenStore(tmp_path / "file" / "store")
    assert store.load(KEY) is None
    store.save(KEY, TENSORS)
    assert store.counts.unsaved == 1


def save_for_ever(folder):
    store = TokenStore(folder)
    tensors = {"patches": torch.zeros(300_000, dtype=torch.uint8)}
    for number in itertools.count():
        store.save({"number": number % 50}, tensors)


def test_a_kill_in_the_middle_of_writing_leaves_only_whole_entries(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=save_for_ever, args=(tmp_path,))
    process.start()
    while not list(tmp_path.glob("??/*")):
        time.sleep(0.005)
    time.sleep(0.02)
    process.kill()
    process.join()
    # What such a kill can leave, if this one did not.
    (tmp_path / "unfinished" / ".name.0.tmp").write_bytes(b"half of an ent")
    store = TokenStore(tmp_path)
    loaded = [store.load({"number": number}) for number in range(50)]
    assert store.counts.damaged == 0
    assert all(len(tensors["patches"]) == 300_000 for tensors in loaded if tensors)
    assert store.counts.found > 0


def test_leftovers_of_long_ago_are_removed_and_fresh_ones_are_left(store):
    store.save(KEY, TENSORS)
    old, fresh = store.folder / "unfinished" / ".a.0.tmp", store.folder / "unfinished" / ".b.0.tmp"
    old.write_bytes(b"")
    fresh.write_bytes(b"")
    os.utime(old, (0, 0))
    TokenStore(store.folder)
    assert (old.exists(), fresh.exists()) == (False, True)


def save_some(folder):
    store = TokenStore(folder)
    for _ in range(20):
        store.save(KEY, TENSORS)
        assert store.load(KEY) is not None
    assert store.counts.damaged == 0


def test_several_processes_may_write_the_same_entry(tmp_path):
    processes = [multiprocessing.get_context("fork").Process(target=save_some, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert_same(TokenStore(tmp_path).load(KEY), TENSORS)


def test_types_of_tensors_are_kept_and_subclasses_are_not(store):
    tensors = {
        "none": torch.zeros(0, 3, dtype=torch.float16),
        "one": torch.tensor(3),
        "strided": torch.arange(12).view(3, 4).t(),
        "bool": torch.tensor([True, False]),
    }
    store.save(KEY, tensors)
    assert_same(store.load(KEY), tensors)


def test_bad_arguments(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ValueError, match=r"folder must be a folder, there is a file at .*file"):
        TokenStore(tmp_path / "file")
    store = TokenStore(tmp_path)
    with pytest.raises(TypeError, match="key must be a dict that JSON can hold"):
        store.load({"path": tmp_path})
    with pytest.raises(TypeError, match="key must be a dict that JSON can hold"):
        store.save({"number": float("nan")}, TENSORS)
