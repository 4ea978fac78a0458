"""Implementations of the same autoencoder, compared by ``speed.py``.

A rival is a function of a task and a seed that makes a model and fits it, and returns a `Fitted`. All have the same
rows, layers, batch size, number of epochs and optimizer: Adam with a learning rate of 1e-3, and without a schedule,
a penalty or rows held out. Where a library does not allow that, a comment says what it does instead.
"""

import contextlib
import importlib
import io
import itertools
import logging
import tempfile
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skae import AutoencoderTransformer, ConvAutoencoder

LR = 1e-3


class Task(NamedTuple):
    """Data and network of a comparison."""

    X: np.ndarray  #: rows (n, n_features) or images (n, height, width), float32, standardized
    widths: tuple[int, ...]  #: of the dense layers, from the data to the code; of a convolutional network the code's
    batch: int
    epochs: int
    device: str = "cpu"


class Fitted(NamedTuple):
    """Result of a rival."""

    reconstruct: Callable[[np.ndarray], np.ndarray]  #: rows from rows
    n_weights: int | None  #: of the network, biases included


def count(module):
    """Return the number of weights of a module."""
    return sum(p.numel() for p in module.parameters())


def stack(widths):
    """Linear layers with ReLU between them."""
    pairs = [[nn.Linear(a, b), nn.ReLU()] for a, b in itertools.pairwise(widths)]
    return nn.Sequential(*itertools.chain(*pairs))[:-1]


def dense(widths):
    """The dense autoencoder; its code and its output are linear."""
    return nn.Sequential(*stack(widths), *stack(widths[::-1]))


def convolutional(n_components):
    """The layers of `skae.nn.Conv` for 28 x 28 images, without the linear skip, in plain torch."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.SiLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.SiLU(), nn.Flatten()),
        *(nn.Linear(32 * 7 * 7, 256), nn.SiLU(), nn.Linear(256, n_components)),
        *(nn.Linear(n_components, 256), nn.SiLU(), nn.Linear(256, 32 * 7 * 7), nn.Unflatten(1, (32, 7, 7)), nn.SiLU()),
        *(nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1), nn.SiLU()),
        nn.ConvTranspose2d(16, 1, 3, stride=2, padding=1, output_padding=1),
    )


# ---------------------------------------------------------------- skae


def skae_params(task, seed):
    """Parameters of both estimators; 'early' sets more."""
    return {
        "lr": LR,
        "lr_schedule": None,
        "early_stopping": False,
        "max_epochs": task.epochs,
        "batch_size": task.batch,
        "device": task.device,
        "random_state": seed,
        "module__linear_skip": False,
    }


def skae_estimator(task, seed, **params):
    """An AutoencoderTransformer with the dense network."""
    hidden = {"module__hidden_layer_sizes": task.widths[1:-1], "module__activation": "relu"}
    return AutoencoderTransformer(task.widths[-1], **skae_params(task, seed) | hidden | params)


def skae(task, seed, **params):
    """Fit an AutoencoderTransformer."""
    ae = skae_estimator(task, seed, **params).fit(task.X)
    return Fitted(ae.reconstruct, count(ae.module_.network))


def skae_conv(task, seed, **params):
    """Fit a ConvAutoencoder."""
    ae = ConvAutoencoder(task.widths[-1], **skae_params(task, seed) | params).fit(task.X)
    return Fitted(ae.reconstruct, count(ae.module_.network))


def skae_conv_bf16(task, seed):
    """Fit a ConvAutoencoder that computes in bfloat16."""
    return skae_conv(task, seed, precision="bf16")


# ---------------------------------------------------------------- written by hand


def fitted_network(network, shape, device):
    """The network after a training loop written by hand."""

    def reconstruct(X):
        with torch.inference_mode():
            parts = torch.from_numpy(X).reshape(-1, *shape).split(1024)
            return torch.cat([network(part.to(device)).cpu() for part in parts]).numpy().reshape(X.shape)

    return Fitted(reconstruct, count(network))


def loop(network, task, shape):
    """Training loop with all samples in one tensor, indexed by batch."""
    network.to(task.device)
    X = torch.from_numpy(task.X).reshape(-1, *shape).to(task.device)
    optimizer, criterion = torch.optim.Adam(network.parameters(), lr=LR), nn.MSELoss()
    for _ in range(task.epochs):
        total = 0.0
        perm = torch.randperm(len(X), device=task.device)
        for i in range(0, len(X), task.batch):
            x = X[perm[i : i + task.batch]]
            loss = criterion(network(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
    return fitted_network(network, shape, task.device)


def by_hand(task, seed):
    """The dense network and the loop."""
    torch.manual_seed(seed)
    return loop(dense(task.widths), task, task.X.shape[1:])


def by_hand_conv(task, seed):
    """The convolutional network and the loop, in torch's default memory format."""
    torch.manual_seed(seed)
    return loop(convolutional(task.widths[-1]), task, (1, 28, 28))


def by_hand_loader(task, seed):
    """Training loop with a DataLoader, as in most tutorials."""
    torch.manual_seed(seed)
    network = dense(task.widths).to(task.device)
    loader = DataLoader(TensorDataset(torch.from_numpy(task.X)), batch_size=task.batch, shuffle=True)
    optimizer, criterion = torch.optim.Adam(network.parameters(), lr=LR), nn.MSELoss()
    for _ in range(task.epochs):
        total = 0.0
        for (x,) in loader:
            x = x.to(task.device)
            loss = criterion(network(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
    return fitted_network(network, task.X.shape[1:], task.device)


# ---------------------------------------------------------------- other libraries


def skorch_net(task, seed):
    """Plain skorch with its default callbacks; nothing held out, nothing printed."""
    torch.manual_seed(seed)
    net = NeuralNetRegressor(
        dense,
        module__widths=task.widths,
        optimizer=torch.optim.Adam,
        lr=LR,
        max_epochs=task.epochs,
        batch_size=task.batch,
        iterator_train__shuffle=True,
        train_split=None,
        device=task.device,
        verbose=0,
    ).fit(task.X, task.X)
    return Fitted(net.predict, count(net.module_))


def mlp_regressor(task, seed):
    """scikit-learn's network, which has its activation after the code too."""
    hidden = (*task.widths[1:], *task.widths[-2:0:-1])
    net = MLPRegressor(
        hidden_layer_sizes=hidden,
        batch_size=task.batch,
        learning_rate_init=LR,
        max_iter=task.epochs,
        alpha=0,
        tol=0,
        n_iter_no_change=task.epochs + 1,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it has no other way to stop at a number of epochs
        net.fit(task.X, task.X)
    return Fitted(net.predict, sum(values.size for values in (*net.coefs_, *net.intercepts_)))


def pyod_detector(task, seed):
    """PyOD's detector of outliers.

    It has ReLU after the code too, initializes otherwise, leaves out the last batch of an epoch if that is not full,
    and its fit ends with the scores of all rows and their quantiles.
    """
    from pyod.models.auto_encoder import AutoEncoder

    detector = AutoEncoder(
        preprocessing=False,
        lr=LR,
        epoch_num=task.epochs,
        batch_size=task.batch,
        optimizer_params={},
        hidden_neuron_list=list(task.widths[1:]),
        batch_norm=False,
        dropout_rate=0,
        device=torch.device(task.device),
        random_state=seed,
        verbose=0,
    ).fit(task.X)
    detector.model.eval()
    return fitted_network(detector.model, task.X.shape[1:], task.device)


def pythae_model(task, seed):
    """Pythae's AE with the same halves.

    Its loss is the sum over features, which Adam does not mind. It keeps the weights of the best epoch, and has to be
    given a folder where it saves them.
    """
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.layers = stack(task.widths)

        def forward(self, x):
            return ModelOutput(embedding=self.layers(x))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = stack(task.widths[::-1])

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    torch.manual_seed(seed)
    config = AEConfig(input_dim=task.X.shape[1:], latent_dim=task.widths[-1])
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):  # its bars go there
        model = AE(config, Encoder(), Decoder())
        training = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=task.epochs,
            learning_rate=LR,
            per_device_train_batch_size=task.batch,
            seed=seed,
            no_cuda=task.device == "cpu",
        )
        TrainingPipeline(model=model, training_config=training)(train_data=task.X)
    logging.disable(logging.NOTSET)
    return fitted_network(nn.Sequential(model.encoder.layers, model.decoder.layers), task.X.shape[1:], task.device)


def pca(task, seed):
    """PCA, for comparison."""
    model = PCA(task.widths[-1], random_state=seed).fit(task.X)
    return Fitted(lambda X: model.inverse_transform(model.transform(X)), None)


DENSE = {
    "skae": skae,
    "hand-written loop": by_hand,
    "hand-written loop, DataLoader": by_hand_loader,
    "skorch": skorch_net,
    "MLPRegressor": mlp_regressor,
    "PyOD's AutoEncoder": pyod_detector,
    "pythae's AE": pythae_model,
    "PCA": pca,
}
CONV = {"skae": skae_conv, "hand-written loop": by_hand_conv}
DENSE_CUDA = {"skae": skae, "hand-written loop": by_hand, "skorch": skorch_net}
CONV_CUDA = {"skae": skae_conv_bf16, "skae, float32": skae_conv, "hand-written loop": by_hand_conv}
OPTIONAL = {"PyOD's AutoEncoder": "pyod.models.auto_encoder", "pythae's AE": "pythae.pipelines"}


def is_installed(rival):
    """Return whether the packages of a rival can be imported."""
    try:
        importlib.import_module(OPTIONAL.get(rival, "skae"))
    except ImportError:
        return False
    return True
