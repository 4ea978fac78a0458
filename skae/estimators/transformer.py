"""The autoencoder as a transformer."""

from __future__ import annotations

from typing import Any

from .base import BaseAutoencoder


class AutoencoderTransformer(BaseAutoencoder):
    """docstring to come."""

    def __init__(
        self,
        n_components=16,
        *,
        module="mlp",
        bottleneck=None,
        loss="squared_error",
        noise=None,
        prior=None,
        alpha=0.0,
        l1_ratio=0.0,
        optimizer="adam",
        lr=1e-3,
        max_epochs=100,
        batch_size=128,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        lr_schedule=None,
        callbacks=None,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=0,
        **params: Any,
    ):
        self.n_components = n_components
        self.module = module
        self.bottleneck = bottleneck
        self.loss = loss
        self.noise = noise
        self.prior = prior
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.optimizer = optimizer
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.lr_schedule = lr_schedule
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self._extra = params
