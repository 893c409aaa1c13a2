"""Prefetch: the same batches, made by a thread that ends whatever happens."""

import gc
import os
import signal
import threading
import time

import numpy as np
import pytest

from recurra import data

TIMEOUT = 20.0  # seconds until a test calls it a deadlock


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "recurra-prefetch"]


def wait_for(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    assert not threads()
    yield
    gc.collect()
    assert not threads()


class Counted(data.Dataset):
    """Batches that note when they are made, and may fail."""

    def __init__(self, count=8, fails_at=None, error=ValueError, delay=0.0):
        self.count, self.fails_at, self.error, self.delay = count, fails_at, error, delay
        self.made = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        time.sleep(self.delay)
        if index == self.fails_at:
            raise self.error(f"batch {index}")
        self.made.append(index)
        return (np.array([self.epoch, index]),)


def numbers(batches):
    return [tuple(x.tolist()) for (x,) in batches]


@pytest.mark.parametrize("size", [1, 2, 20])
def test_batches_and_their_order_are_those_of_the_data_set(size):
    prefetch = data.Prefetch(Counted(), size)
    for epoch in range(3):
        assert numbers(prefetch) == [(epoch, index) for index in range(8)]
        assert not threads()
        prefetch.on_epoch_end()
    assert prefetch.epoch == prefetch.dataset.epoch == 3


def test_batches_read_by_number_are_made_ahead_by_one_thread():
    prefetch = data.Prefetch(Counted(delay=0.001), 2)
    found = []
    for index in range(8):
        found.append(prefetch[index])
        assert len(threads()) <= 1
    assert numbers(found) == [(0, index) for index in range(8)]
    assert prefetch.dataset.made == list(range(8))  # each once


def test_no_more_is_made_ahead_than_allowed():
    prefetch = data.Prefetch(Counted(50), 3)
    prefetch[0]
    wait_for(lambda: len(prefetch.dataset.made) == 5)
    time.sleep(0.02)
    assert prefetch.dataset.made == [0, 1, 2, 3, 4]  # one taken, three ready, one in hand
    prefetch.close()


def test_jumping_about_returns_the_right_batches():
    prefetch = data.Prefetch(Counted(), 2)
    order = [3, 4, 0, 7, -1, 1, 2, 2]
    assert numbers(prefetch[index] for index in order) == [(0, index % 8) for index in order]
    prefetch.close()


def test_a_new_epoch_drops_what_was_made_for_the_old_one():
    prefetch = data.Prefetch(Counted(), 4)
    assert numbers([prefetch[0]]) == [(0, 0)]
    wait_for(lambda: len(prefetch.dataset.made) > 1)
    prefetch.set_epoch(5)
    assert numbers([prefetch[1]]) == [(5, 1)]
    prefetch.set_epoch(5)  # the same one: nothing is lost
    assert len(threads()) == 1
    prefetch.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, StopIteration])
def test_an_error_is_raised_where_its_batch_is_read(error):
    prefetch = data.Prefetch(Counted(8, 3, error), 5)
    assert numbers(prefetch[index] for index in range(3)) == [(0, 0), (0, 1), (0, 2)]
    for _ in range(2):  # and again
        with pytest.raises(error, match="batch 3"):
            prefetch[3]
        assert not threads()
    assert numbers([prefetch[4]]) == [(0, 4)]
    prefetch.close()


def test_a_loop_that_is_left_ends_the_thread():
    prefetch = data.Prefetch(Counted(50), 2)
    for _ in prefetch:
        break
    gc.collect()
    assert not threads()
    with data.Prefetch(Counted(50)) as batches:
        batches[0]
        assert threads()
    assert not threads()


def test_an_object_that_is_dropped_ends_the_thread():
    data.Prefetch(Counted(50), 2)[0]
    gc.collect()
    assert not threads()


def test_an_interrupt_while_a_batch_is_awaited_ends_the_thread():
    main = threading.get_ident()

    class Interrupting(Counted):
        def __getitem__(self, index):
            if index == 3:
                time.sleep(0.02)
                signal.pthread_kill(main, signal.SIGINT)
                time.sleep(0.05)
            return super().__getitem__(index)

    prefetch = data.Prefetch(Interrupting(), 2)
    with pytest.raises(KeyboardInterrupt):
        numbers(prefetch[index] for index in range(8))
    assert not threads()


def test_many_readers_that_start_and_stop_do_not_deadlock():
    """Readers of one object take turns; each gets the batches it asks for."""
    prefetch = data.Prefetch(Counted(6), 1)
    wrong = []

    def read(seed):
        random = np.random.default_rng(seed)
        for index in random.integers(0, 6, 100).tolist():
            if numbers([prefetch[index]]) != [(0, index)]:
                wrong.append(index)
            if index == 3:
                prefetch.close()

    readers = [threading.Thread(target=read, args=(seed,), daemon=True) for seed in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(TIMEOUT)
    assert not any(reader.is_alive() for reader in readers)
    assert not wrong
    prefetch.close()


def test_a_forked_child_starts_a_thread_of_its_own():
    prefetch = data.Prefetch(Counted(8), 2)
    prefetch[0]
    child = os.fork()
    if not child:
        os._exit(0 if numbers([prefetch[1]]) == [(0, 1)] else 1)
    deadline = time.monotonic() + TIMEOUT
    done, status = 0, 1
    while not done and time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.005)
    if not done:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done
    assert os.waitstatus_to_exitcode(status) == 0
    assert numbers([prefetch[1]]) == [(0, 1)]
    prefetch.close()


def test_states_are_carried_through():
    series = data.stream_dataset(np.arange(40), 2, 5)
    prefetch = data.Prefetch(series)
    assert prefetch.stateful
    assert [prefetch.resets(i).tolist() for i in (0, 1)] == [[True, True], [False, False]]
    assert all(np.array_equal(a, b) for a, b in zip(prefetch[1], series[1], strict=True))
    prefetch.close()
    assert not data.Prefetch(Counted()).stateful
    assert data.Prefetch([(np.zeros(1),)]).resets(0) is None
