"""Metadata routing of meta-estimators, which pass all metadata to the `fit` of their estimator."""

from __future__ import annotations

from typing import Any

from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing


def router_to_estimator(owner: Any, estimator: Any) -> MetadataRouter:
    """Return the router of ``owner``, which passes the metadata of `fit` to its ``estimator``."""
    mapping = MethodMapping().add(caller="fit", callee="fit")
    return MetadataRouter(owner=owner).add(estimator=estimator, method_mapping=mapping)


def routed_params(owner: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the estimator's `fit`: all of them, unless metadata routing is enabled."""
    if not get_config()["enable_metadata_routing"]:
        return params
    return process_routing(owner, "fit", **params).estimator.fit
