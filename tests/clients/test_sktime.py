"""sktime: an autoencoder for each time point of a multivariate series, there and back by its adaptor."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer


@pytest.fixture
def series():
    """Six sensors that follow two signals, by the day."""
    t = np.linspace(0, 20, 120)
    signals = np.column_stack([np.sin(t), np.cos(2 * t)])
    rng = np.random.default_rng(0)
    values = signals @ rng.normal(size=(2, 6)) + 0.05 * rng.normal(size=(120, 6))
    return pd.DataFrame(values, index=pd.period_range("2024-01-01", periods=120, freq="D"), columns=list("abcdef"))


def test_series_round_trip(client, series):
    from sktime.transformations.adapt import TabularToSeriesAdaptor

    ae = AutoencoderTransformer(2, max_epochs=3, module__hidden_layer_sizes=(8,), random_state=0)
    adaptor = TabularToSeriesAdaptor(ae).fit(series)
    codes = adaptor.transform(series)
    assert codes.shape == (120, 2)
    assert codes.index.equals(series.index)
    back = adaptor.inverse_transform(codes)
    ae.fit(series.to_numpy())
    np.testing.assert_array_equal(codes, ae.transform(series.to_numpy()))
    np.testing.assert_array_equal(back, ae.reconstruct(series.to_numpy()))
    assert np.square(back.to_numpy() - series.to_numpy()).mean() < 0.05 * series.to_numpy().var()


def test_chain_of_transformers(client, series):
    from sktime.transformations.adapt import TabularToSeriesAdaptor

    ae = AutoencoderTransformer(2, max_epochs=3, module__hidden_layer_sizes=(8,), random_state=0)
    chain = TabularToSeriesAdaptor(StandardScaler()) * TabularToSeriesAdaptor(ae)
    codes = chain.fit_transform(series.iloc[:80])
    assert codes.shape == (80, 2)
    assert chain.transform(series.iloc[80:]).index.equals(series.index[80:])
    back = chain.inverse_transform(codes)
    assert np.square(back.to_numpy() - series.iloc[:80].to_numpy()).mean() < 0.1 * series.to_numpy().var()
