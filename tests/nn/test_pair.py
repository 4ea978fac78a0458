"""A network composed of a separate encoder and decoder."""

import functools

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skae import AutoencoderTransformer
from skae.nn import EncoderDecoder

pytestmark = pytest.mark.usefixtures("seeded")


class Encoder(nn.Module):
    def __init__(self, input_shape, n_outputs, width=5):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(int(np.prod(input_shape)), width), nn.Linear(width, n_outputs)
        )

    def forward(self, x):
        return self.layers(x)


class Decoder(nn.Module):
    def __init__(self, n_components, input_shape, width=5, bias=True):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_components, width),
            nn.Linear(width, int(np.prod(input_shape)), bias),
            nn.Unflatten(1, input_shape),
        )

    def forward(self, z):
        return self.layers(z)


def test_classes_get_sizes_and_own_parameters():
    pair = EncoderDecoder(Encoder, Decoder, (2, 3), 4, 7, encoder__width=9, decoder__bias=False)
    assert [layer.out_features for layer in pair.encoder.layers[1:]] == [9, 7]
    assert pair.decoder.layers[0].out_features == 5, "the other half's width is its own"
    assert pair.decoder.layers[1].bias is None
    assert pair.encode(torch.zeros(3, 2, 3)).shape == (3, 7)
    assert pair.decode(torch.zeros(3, 4)).shape == (3, 2, 3)


def test_n_outputs_defaults_to_n_components():
    assert EncoderDecoder(Encoder, Decoder, (4,), 2).encode(torch.zeros(1, 4)).shape == (1, 2)


def test_encoder_and_decoder_may_be_any_callable():
    pair = EncoderDecoder(
        functools.partial(Encoder, width=3),
        lambda n_components, width: nn.Linear(n_components, width),
        [4],
        2,
        decoder__width=4,
    )
    assert pair.encoder.layers[1].out_features == 3
    assert pair.decode(torch.zeros(5, 2)).shape == (5, 4)


def test_modules_are_copied_with_equal_outputs():
    down, up = nn.Linear(4, 2), nn.Linear(2, 4)
    pair = EncoderDecoder(down, up, (4,), 2)
    x = torch.randn(3, 4)
    assert torch.equal(pair.encode(x), down(x))
    assert torch.equal(pair.decode(pair.encode(x)), up(down(x)))
    with torch.no_grad():
        for p in pair.parameters():
            p.zero_()
    assert down.weight.abs().sum() > 0
    assert up.weight.abs().sum() > 0
    assert len(list(pair.parameters())) == 4, "both halves are trained"


@pytest.mark.parametrize(
    ("halves", "params", "match"),
    [
        (
            (Encoder, Decoder),
            {"encodr__width": 3},
            r"EncoderDecoder has no parameter encodr\. Did you mean encoder\?",
        ),
        ((Encoder, Decoder), {"width": 3}, "EncoderDecoder has no parameter width"),
        (
            (Encoder, Decoder),
            {"encoder__widht": 3},
            r"encoder=Encoder has no parameter encoder__widht.*encoder__width",
        ),
        ((Encoder, Decoder), {"decoder__n_components": 3}, "decoder=Decoder has no parameter decoder__n_components"),
        ((nn.Linear(4, 2), Decoder), {"encoder__bias": True}, "an encoder that is a module already has no parameter"),
        ((Encoder, nn.Linear(2, 4)), {"decoder__bias": True}, "decoder that is a module already"),
    ],
)
def test_unknown_parameters_raise(halves, params, match):
    with pytest.raises(TypeError, match=match):
        EncoderDecoder(*halves, (4,), 2, **params)


def test_encoder_decoder_in_estimator(blobs):
    ae = AutoencoderTransformer(
        2,
        module=EncoderDecoder,
        module__encoder=Encoder,
        module__decoder=Decoder,
        module__encoder__width=9,
        max_epochs=5,
        random_state=0,
    )
    Z = ae.fit_transform(blobs)
    assert ae.module_.network.encoder.layers[1].out_features == 9
    np.testing.assert_array_equal(clone(ae).fit_transform(blobs), Z)
    wider = clone(ae).set_params(module__encoder__width=3, module__decoder__width=2).fit(blobs)
    assert wider.module_.network.decoder.layers[0].out_features == 2
    with pytest.raises(TypeError, match="Did you mean encoder__width"):
        clone(ae).set_params(module__encoder__widht=3).fit(blobs)


def test_mismatched_shapes_raise_in_fit(blobs):
    ae = AutoencoderTransformer(
        2, module=EncoderDecoder, module__encoder=nn.Linear(6, 3), module__decoder=nn.Linear(2, 6), max_epochs=1
    )
    with pytest.raises(
        ValueError, match=r"EncoderDecoder.encode must map samples of shape \(6,\) to \(2,\).*got \(3,\)"
    ):
        ae.fit(blobs)


def test_parameters_set_by_estimator_raise(blobs):
    ae = AutoencoderTransformer(
        2, module=EncoderDecoder, module__encoder=nn.Linear(6, 2), module__decoder=nn.Linear(2, 6), max_epochs=1
    )
    with pytest.raises(TypeError, match="has no parameter module__n_components"):
        ae.set_params(module__n_components=5).fit(blobs)
