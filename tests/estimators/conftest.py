"""No method of an estimator touches a global random stream: every test here is held to it. What tests share."""

import random

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def streams_left_as_found():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    yield
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


@pytest.fixture
def unchanged():
    """A function that holds a refused call to its error, and to what the estimator was before."""

    def check(estimator, call, error, match):
        before = dict(vars(estimator))
        with pytest.raises(error, match=match):
            call()
        assert vars(estimator).keys() == before.keys()
        assert all(vars(estimator)[name] is value for name, value in before.items())

    return check
