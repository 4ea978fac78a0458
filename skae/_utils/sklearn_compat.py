"""Names of scikit-learn that are not documented, each with the reason for its use."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neighbors import KernelDensity
from sklearn.utils.metadata_routing import MetadataRequest

# What skops does not trust by itself in searches and in routing, which only hold values.
HARMLESS_TYPES = (
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
)


def get_requests(request: MetadataRequest) -> dict[str, dict]:
    """Return the requested metadata by method; the public object refers to the estimator, which no file can hold."""
    methods = {name: found.requests for name, found in vars(request).items() if hasattr(found, "requests")}
    return {name: dict(requests) for name, requests in methods.items() if requests}


def set_requests(estimator: Any, requests: dict[str, dict]) -> None:
    """Set what `get_requests` returned; ``set_fit_request`` needs metadata routing to be enabled."""
    found = estimator._get_metadata_request()
    for method, params in requests.items():
        for param, alias in params.items():
            getattr(found, method).add_request(param=param, alias=alias)
    estimator._metadata_request = found


def samples_of(density: KernelDensity) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the samples of a fitted KernelDensity and their weights, which it keeps in its tree alone."""
    tree = density.tree_
    return np.array(tree.data), None if tree.sample_weight is None else np.array(tree.sample_weight)
