import pytest
import torch

from memvos.memory.storage import FrameStore
from memvos.model.interface import MemoryFrame


def test_a_read_is_a_view_of_the_slots_in_order(record):
    store = FrameStore(chunk=4)
    for slot in range(3):
        store.write(slot, record(slot, 0.5, size=2))
    memory = store.read(3)
    assert memory.key.shape == memory.value.shape == (1, 1, 2, 3, 2, 2)
    assert memory.key[0, 0, 0, :, 0, 0].tolist() == [0, 1, 2]
    assert memory.valid is None
    assert memory.key.data_ptr() == store.key.data_ptr()
    assert memory.key.flatten(3).data_ptr() == store.key.data_ptr()  # flattening for the read copies nothing


def test_room_grows_in_chunks_and_keeps_what_is_there(record):
    store = FrameStore(chunk=2)
    capacities = []
    for slot in range(7):
        store.write(slot, record(slot, 0.5))
        capacities.append(store.capacity)
    assert capacities == [2, 2, 4, 4, 6, 6, 9]  # by 2, 2, 2, then by half of 6
    assert store.read(7).value[0, 0, 0, :, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_bytes_are_those_of_the_allocated_slots(record):
    store = FrameStore(chunk=2)
    assert store.nbytes == 0
    store.write(0, record(0, 0.5))
    assert store.nbytes == 2 * (record(0, 0.5).key.nbytes + record(0, 0.5).value.nbytes)


def test_room_never_exceeds_the_bound(record):
    store = FrameStore(chunk=8)
    for slot in range(5):
        store.write(slot, record(slot, 0.5), bound=5)
    assert store.capacity == 5


def test_objects_added_later_are_not_valid_in_earlier_frames(record):
    store = FrameStore()
    store.write(0, record(0, 0.5))
    store.write(1, record(1, 0.5, 0.5))
    memory = store.read(2)
    assert memory.valid.tolist() == [[[True, True], [False, True]]]
    assert memory.value[0, 1, :, 0].abs().sum() == 0
    assert store.read(1).valid.tolist() == [[[True], [False]]]


def test_an_object_out_of_sight_keeps_what_the_slot_held_of_it_if_that_is_wanted(record):
    for wanted, time, valid in ((True, 0, None), (False, 1, [[[True], [False], [True]]])):
        store = FrameStore()
        store.write(0, record(0, 0.5, 0.5))
        store.write(0, record(1, 0.5, 0.5, 0.5, valid=[True, False, True]), last_seen=wanted)
        memory = store.read(1)
        assert memory.key[0, :, 0, 0, 0, 0].tolist() == memory.value[0, :, 0, 0, 0, 0].tolist() == [1, time, 1]
        assert (memory.valid if valid is None else memory.valid.tolist()) == valid


def test_a_record_can_say_which_objects_it_describes(record):
    store = FrameStore()
    store.write(0, record(0, 0.5, 0.5, valid=[True, False]))
    assert store.read(1).valid.tolist() == [[[True], [False]]]
    store.write(0, record(1, 0.5, 0.5))
    assert store.read(1).valid is None


def test_a_key_shared_by_all_objects_stays_one():
    store = FrameStore()
    for slot, objects in enumerate((1, 3)):
        frame = MemoryFrame(torch.ones(1, 1, 2, 1, 1), torch.ones(1, objects, 4, 1, 1), torch.ones(1, objects))
        store.write(slot, frame)
    memory = store.read(2)
    assert memory.key.shape == (1, 1, 2, 2, 1, 1)
    assert memory.value.shape == (1, 3, 4, 2, 1, 1)


def test_frames_of_another_size_are_refused(record):
    store = FrameStore()
    store.write(0, record(0, 0.5, size=2))
    with pytest.raises(ValueError, match=r"key of a new frame, \(1, 1, 2, 3, 3\), does not fit .* start a new bank"):
        store.write(1, record(1, 0.5, size=3))


def test_fewer_objects_than_before_are_refused(record):
    store = FrameStore()
    store.write(0, record(0, 0.5, 0.5))
    with pytest.raises(ValueError, match="at least 2 objects, got 1"):
        store.write(1, record(1, 0.5))


def test_state_comes_back_equal(record):
    store, other = FrameStore(), FrameStore()
    store.write(0, record(0, 0.5))
    store.write(1, record(1, 0.5, 0.7))
    other.load_state_dict(store.state_dict(2))
    mine, theirs = store.read(2), other.read(2)
    assert torch.equal(mine.key, theirs.key)
    assert torch.equal(mine.valid, theirs.valid)
    other.write(2, record(2, 0.5, 0.7))
    assert other.read(3).value[0, 0, 0, :, 0, 0].tolist() == [0, 1, 2]
