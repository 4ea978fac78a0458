"""The runner gives what the network gives, whatever the length of the data and the memory there is."""

import numpy as np
import pytest
import torch
from sklearn import config_context
from torch import nn

from skae import AutoencoderTransformer
from skae._module.runner import BatchRunner


@pytest.fixture(scope="module")
def runner(digits):
    module = AutoencoderTransformer(4, max_epochs=0, random_state=0).fit(digits[:100]).module_
    return BatchRunner(module, "cpu")


@pytest.mark.parametrize("as_tensor", [False, True])
def test_slices_are_put_together(runner, digits, as_tensor, monkeypatch):
    X = np.array(digits[:150])
    whole = runner.run(runner.module.encode, X)
    monkeypatch.setattr("skae._data.chunked._rows_at_once", lambda *args: 7)
    sliced = runner.run(runner.module.encode, torch.from_numpy(X) if as_tensor else X)
    np.testing.assert_allclose(sliced, whole, rtol=1e-5, atol=1e-5)
    assert not sliced.requires_grad


def test_little_memory_gives_the_same(runner, digits):
    with config_context(working_memory=1):
        small = runner.run(runner.module.encode, np.array(digits))
    np.testing.assert_allclose(small, runner.run(runner.module.encode, np.array(digits)), rtol=1e-5, atol=1e-5)


def test_module_is_evaluated(runner, digits):
    runner.module.train()
    runner.run(runner.module.encode, np.array(digits[:3]))
    assert not runner.module.training


def test_results_that_are_not_finite_raise_by_name(runner, digits):
    with pytest.raises(ValueError, match="non-finite values for the codes"):
        runner.run(lambda x: x / 0, np.array(digits[:3]), name="the codes")


def test_nan_is_allowed_after_the_end_of_sequences():
    class Padded(nn.Module):
        reads_padding, any_size, n_multiplications, n_values, n_weights = True, False, 1, 1, 1

    X = np.ones((2, 4, 1), np.float32)
    X[1, 2:] = np.nan
    np.testing.assert_array_equal(BatchRunner(Padded(), "cpu").run(lambda x: 2 * x, X, lengths_of=0), 2 * X)
    with pytest.raises(ValueError, match="non-finite"):
        BatchRunner(Padded(), "cpu").run(lambda x: x * np.nan, X, lengths_of=0)
