"""The argument of `inverse_transform` is X, as in scikit-learn, and its deprecated name still works."""

import inspect
import warnings

import numpy as np
import pytest
import sklearn
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator
from skae.estimators._warnings import renamed_argument

FIT = {"max_epochs": 1, "random_state": 0}
ESTIMATORS = [AutoencoderTransformer(2, **FIT), ConvAutoencoder(2, input_shape=(2, 3), **FIT), VAEGenerator(2, **FIT)]
each = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)


@each
def test_signature_matches_scikit_learn(estimator):
    ours, theirs = (list(inspect.signature(cls.inverse_transform).parameters) for cls in (type(estimator), PCA))
    assert ours[:2] == theirs == ["self", "X"]


@each
def test_x_as_positional_and_keyword_argument(estimator, blobs):
    codes = estimator.fit(blobs).transform(blobs)
    expected = estimator.inverse_transform(codes)
    np.testing.assert_array_equal(estimator.inverse_transform(X=codes), expected)
    assert isinstance(estimator.inverse_transform(X=torch.from_numpy(codes)), torch.Tensor)


@each
def test_deprecated_name_warns_at_callers_line(estimator, blobs):
    codes = estimator.fit(blobs).transform(blobs)
    with pytest.warns(FutureWarning, match=r"argument Z of inverse_transform was renamed to X in 0\.3") as caught:
        found = estimator.inverse_transform(Z=codes)
    assert [warning.filename for warning in caught] == [__file__]
    np.testing.assert_array_equal(found, estimator.inverse_transform(codes))
    with pytest.warns(FutureWarning, match="argument Z"):
        assert isinstance(estimator.inverse_transform(Z=torch.from_numpy(codes)), torch.Tensor)
    with pytest.raises(TypeError, match="both X and Z"):
        estimator.inverse_transform(X=codes, Z=codes)
    with pytest.warns(FutureWarning, match="argument Z"), pytest.raises(TypeError, match="multiple values"):
        estimator.inverse_transform(codes, Z=codes)


def test_conditional_decoding_with_keyword(blobs):
    y = np.arange(60) % 3
    vae = VAEGenerator(2, conditional=True, prior=None, **FIT).fit(blobs, y)
    codes = vae.transform(blobs)
    with pytest.warns(FutureWarning, match="argument Z"):
        found = vae.inverse_transform(Z=codes, y=1)
    np.testing.assert_array_equal(found, vae.inverse_transform(X=codes, y=1))


@each
def test_no_metadata_to_route(estimator):
    assert not hasattr(estimator, "set_inverse_transform_request")


def test_pipeline_with_metadata_routing(blobs):
    pipe = make_pipeline(StandardScaler(), AutoencoderTransformer(2, **FIT)).fit(blobs)
    codes = pipe.transform(blobs)
    expected = pipe.inverse_transform(codes)
    with sklearn.config_context(enable_metadata_routing=True):
        np.testing.assert_array_equal(pipe.inverse_transform(X=codes), expected)


def test_renamed_argument():
    @renamed_argument("b", "a", since="1.0", until="2.0")
    def double(a, *, c=0):
        """Double."""
        return 2 * a + c

    assert list(inspect.signature(double).parameters) == ["a", "c"]
    assert double.__doc__ == "Double."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert double(3, c=1) == double(a=3, c=1) == 7
    with pytest.warns(FutureWarning, match=r"argument b of double was renamed to a in 1\.0; b will be .* 2\.0"):
        assert double(b=3, c=1) == 7


def test_sample_posterior_takes_deprecated_n_samples(blobs):
    vae = VAEGenerator(2, **FIT).fit(blobs)
    with pytest.warns(FutureWarning, match=r"argument n_samples of sample_posterior was renamed to n_draws in 0\.3"):
        found = vae.sample_posterior(blobs[:3], n_samples=4, random_state=0)
    np.testing.assert_array_equal(found, vae.sample_posterior(blobs[:3], n_draws=4, random_state=0))
