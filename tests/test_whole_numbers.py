"""Convolutions in whole numbers: exact, and bounded."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skae._density.whole_numbers import LARGEST, WholeConv2d, shift


@st.composite
def layers(draw):
    """A layer, and inputs for it that reach their bound."""
    groups = draw(st.sampled_from([1, 3]))
    n_in, n_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (1, 5), (5, 3)]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    weight = torch.randn(n_out, n_in // groups, *kernel, generator=generator) * 10
    bias = torch.randn(n_out, generator=generator)
    # With these bounds sums pass 2 ** 24, where float32 would round, by far.
    largest = draw(st.integers(1, 2**30))
    size = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    x = torch.randint(-largest, largest + 1, (2, n_in, *size), generator=generator).double()
    x[0] = largest * x[0].sign()
    return WholeConv2d(weight, bias, n_bits_weight=10, n_bits_in=6, largest_input=largest, groups=groups), x


def in_python(conv, x):
    """The sums, by Python's integers."""
    weight, bias, x = (np.array(A.tolist(), dtype=object) for A in (conv.weight, conv.bias, x))
    n_out, n_each, height, width = weight.shape
    around = ((0, 0), (0, 0), (height // 2,) * 2, (width // 2,) * 2)
    padded = np.pad(x, around, constant_values=0)
    found = np.empty((len(x), n_out, *x.shape[2:]), dtype=object)
    for o in range(n_out):
        first = o // (n_out // conv.groups) * n_each
        for i, j in np.ndindex(x.shape[2:]):
            window = padded[:, first : first + n_each, i : i + height, j : j + width]
            found[:, o, i, j] = [int(bias[o]) + sum(int(v) for v in (weight[o] * part).ravel()) for part in window]
    return found.astype(np.float64)


@given(layers())
def test_sums_are_exact_by_convolution_and_by_matmul(case):
    conv, x = case
    expected = in_python(conv, x)
    np.testing.assert_array_equal(conv(x), expected)
    np.testing.assert_array_equal(conv.by_matmul(x), expected)
    assert np.abs(expected).max() <= conv.largest


def test_bound_is_reached():
    weight = torch.tensor([1.0, -2.0, 0.5])[None, :, None, None]
    conv = WholeConv2d(weight, torch.tensor([-1.0]), n_bits_weight=3, n_bits_in=2, largest_input=100)
    x = -100 * weight[0].sign()[None].double()
    assert conv(x).item() == -conv.largest == -(100 * (8 + 16 + 4) + 32)


def test_sums_match_rounded_weights():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(4, 5, 3, padding=1).double()
    conv = WholeConv2d(layer.weight, layer.bias, n_bits_weight=12, n_bits_in=6, largest_input=2**10)
    x = torch.randint(-(2**10), 2**10, (2, 4, 5, 6)).double()
    away = conv(x) / 2**conv.n_bits_out - layer(x / 2**6)
    assert 0 < away.abs().max() < 36 * 2**4 * 2**-13


@pytest.mark.parametrize("n_bits", [21, 22])
def test_sums_that_might_be_rounded_raise(n_bits):
    params = {"n_bits_weight": n_bits, "n_bits_in": 0, "largest_input": 2**31}
    weight, bias = torch.ones(1, 1, 1, 1), torch.zeros(1)
    if n_bits == 21:  # 2 ** 52
        assert WholeConv2d(weight, bias, **params).largest == LARGEST
        return
    with pytest.raises(ValueError, match=r"must not exceed 2 \*\* 52.*Try fewer n_bits_weight \(22\)"):
        WholeConv2d(weight, bias, **params)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_raise(bad):
    with pytest.raises(ValueError, match="must be finite"):
        WholeConv2d(torch.full((1, 1, 1, 1), bad), torch.zeros(1), n_bits_in=0, largest_input=1)


def test_shift_rounds_down_and_clamps():
    x = torch.tensor([-9.0, -8.0, -1.0, 0.0, 7.0, 8.0, 1000.0], dtype=torch.float64)
    assert shift(x, 3, -1, 100).tolist() == [-1, -1, -1, 0, 0, 1, 100]
    assert shift(x, 3, -5, 100).tolist() == [-2, -1, -1, 0, 0, 1, 100]
