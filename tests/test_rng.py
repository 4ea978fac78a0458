"""Private random streams: equal for equal seeds, independent of each other and of the global ones."""

import contextlib
import copy
import pickle
import random
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from guards import HANGS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from skae._utils.rng import Stream, draw_seed

seeds = st.integers(0, 2**32 - 1)


def draw(stream):
    """Numbers of all the kinds that parts draw."""
    with stream:
        x = torch.randn(3)
        return torch.cat([x, F.dropout(torch.ones(4)), torch.rand_like(x), torch.randperm(5).float()]).tolist()


def torch_state():
    return torch.get_rng_state().tolist()


# ------------------------------------------------------------------ Stream


@given(seed=seeds, elsewhere=seeds)
@settings(max_examples=25)
def test_draws_follow_the_seed_and_not_the_global_stream(seed, elsewhere):
    with torch.random.fork_rng():
        one = Stream(seed)
        torch.manual_seed(elsewhere)
        first = [draw(one) for _ in range(3)]
        torch.rand(7)
        other = Stream(seed)
        assert [draw(other) for _ in range(3)] == first
    assert first[0] != first[1], "a stream goes on"
    assert draw(Stream(seed + 1)) != first[0]


@given(turns=st.lists(st.integers(0, 2), max_size=12))
@settings(max_examples=25)
def test_streams_are_independent(turns):
    streams = [Stream(seed) for seed in range(3)]
    drawn = [[], [], []]
    for turn in turns:
        drawn[turn].append(draw(streams[turn]))
    for seed, values in enumerate(drawn):
        alone = Stream(seed)
        assert values == [draw(alone) for _ in values]


@given(seed=seeds, error=st.sampled_from([None, ValueError, KeyboardInterrupt, SystemExit]))
@settings(max_examples=25)
def test_global_state_is_left_as_found(seed, error):
    before = torch_state(), random.getstate(), np.random.get_state()[1].tolist()
    stream = Stream(seed)
    with contextlib.suppress(BaseException), stream:
        torch.rand(5)
        if error:
            raise error
    stream.draw_seed()
    assert (torch_state(), random.getstate(), np.random.get_state()[1].tolist()) == before


def test_stream_cannot_be_entered_twice():
    stream = Stream(0)
    with stream, pytest.raises(RuntimeError, match="second time"), stream:
        pass
    with stream:
        once = torch.rand(3)
    assert not torch.equal(once, torch.rand(3))


def test_stream_continued_on_another_device():
    stream = Stream(0)
    stream.draw_seed()
    same = stream.continued_on("cpu")
    assert same is not stream
    assert same.draw_seed() == stream.draw_seed()
    elsewhere = Stream(0)
    elsewhere.device = torch.device("cuda")  # as if unpickled where there is none
    moved = [elsewhere.continued_on("cpu") for _ in range(2)]
    assert moved[0].device.type == "cpu"
    assert moved[0].draw_seed() == moved[1].draw_seed() != Stream(0).draw_seed()


def test_stream_after_a_block_that_raises():
    whole, broken = Stream(3), Stream(3)
    with contextlib.suppress(ZeroDivisionError), broken:
        torch.rand(5)
        raise ZeroDivisionError
    with whole:
        torch.rand(5)
    assert draw(broken) == draw(whole)


def test_nested_streams():
    outer, inner, alone = Stream(0), Stream(1), Stream(0)
    with outer:
        first = torch.rand(3).tolist()
        with inner:
            nested = torch.rand(3).tolist()
        second = torch.rand(3).tolist()
    with alone:
        assert torch.rand(3).tolist() == first
        assert torch.rand(3).tolist() == second
    with Stream(1):
        assert torch.rand(3).tolist() == nested


@pytest.mark.parametrize("copied_by", [copy.deepcopy, lambda stream: pickle.loads(pickle.dumps(stream))])
def test_copy_of_a_stream_draws_the_same(copied_by):
    stream = Stream(11)
    draw(stream)
    other = copied_by(stream)
    ahead = [draw(stream) for _ in range(3)]
    assert [draw(other) for _ in range(3)] == ahead


def test_seeds_drawn_from_a_stream_differ_and_repeat():
    stream, other = Stream(5), Stream(5)
    drawn = [stream.draw_seed() for _ in range(20)]
    assert len(set(drawn)) == 20
    assert all(0 <= seed < 2**31 for seed in drawn)
    assert [other.draw_seed() for _ in range(20)] == drawn


def test_threads_draw_the_same_as_alone():
    def work(seed, iterations=150):
        stream = Stream(seed)
        return [draw(stream) for _ in range(iterations)]

    before = torch_state()
    serial = [work(seed) for seed in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change places as often as they can
    try:
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(work, range(4)))
    finally:
        sys.setswitchinterval(interval)
    assert together == serial
    assert torch_state() == before


def test_thread_that_fails_releases_the_generator():
    def work(seed):
        with Stream(seed):
            if seed % 2:
                raise ValueError
            return torch.rand(()).item()

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, seed) for seed in range(20)]
        values = [future.result(timeout=HANGS) for future in futures[::2]]
        assert all(isinstance(future.exception(timeout=HANGS), ValueError) for future in futures[1::2])
    assert len(set(values)) == 10


def test_stream_on_the_device(device):
    if device == "cpu":
        pytest.skip("the tests above are those of the CPU; --device cuda runs this one")
    before = torch.cuda.get_rng_state(device)
    one, other = Stream(3, device), Stream(3, device)
    with one:
        first = torch.rand(5, device=device), torch.rand(5)
    with other:
        second = torch.rand(5, device=device), torch.rand(5)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(torch.cuda.get_rng_state(device), before)
    copied = pickle.loads(pickle.dumps(one))
    with one:
        first = torch.rand(5, device=device)
    with copied:
        assert torch.equal(first, torch.rand(5, device=device))


# ------------------------------------------------------------------ draw_seed


@given(seeds)
@settings(max_examples=25)
def test_seed_from_an_int(random_state):
    seed = draw_seed(random_state)
    assert type(seed) is int
    assert 0 <= seed < 2**32
    assert draw_seed(random_state) == seed
    assert draw_seed(np.random.RandomState(random_state)) == seed, "as scikit-learn reads it"


def test_seed_from_none_is_new_and_reads_no_global_stream():
    before = np.random.get_state()[1].tolist(), random.getstate(), torch_state()
    drawn = {draw_seed(None) for _ in range(10)}
    assert len(drawn) == 10
    assert all(type(seed) is int and 0 <= seed < 2**32 for seed in drawn)
    assert (np.random.get_state()[1].tolist(), random.getstate(), torch_state()) == before
    np.random.seed(0)
    first = draw_seed(None)
    np.random.seed(0)
    assert draw_seed(None) != first


def test_seed_from_a_random_state_repeats():
    one, other = np.random.RandomState(4), np.random.RandomState(4)
    drawn = [draw_seed(one) for _ in range(5)]
    assert len(set(drawn)) == 5
    assert [draw_seed(other) for _ in range(5)] == drawn


@pytest.mark.parametrize("wrong", ["seed", 1.5, -1])
def test_wrong_random_state_raises(wrong):
    with pytest.raises(ValueError, match="random_state must be None, an int"):
        draw_seed(wrong)


@pytest.mark.parametrize("call", [1, 2], ids=["entering", "leaving"])
def test_interrupt_restores_global_state_and_releases_threads(call, monkeypatch):
    stream, before, calls = Stream(0), torch.get_rng_state(), []

    def interrupted(self, states):
        torch.set_rng_state(states[0])
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt

    monkeypatch.setattr(Stream, "_set_global_states", interrupted)
    with pytest.raises(KeyboardInterrupt), stream:
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(Stream(1).draw_seed).result(HANGS) == Stream(1).draw_seed()
