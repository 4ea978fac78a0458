"""Which metadata estimators ask for, without the reference to the estimator that scikit-learn puts into it."""

from __future__ import annotations

from typing import Any

from sklearn.utils.metadata_routing import MetadataRequest


def requests_of(value: MetadataRequest) -> dict[str, dict]:
    """What is asked for, by method."""
    methods = [name for name, found in vars(value).items() if hasattr(found, "requests")]
    return {name: dict(getattr(value, name).requests) for name in methods if getattr(value, name).requests}


def as_requests(wanted: dict[str, dict]) -> MetadataRequest:
    """The way back; nobody owns it yet."""
    found = MetadataRequest(owner=None)
    for method, params in wanted.items():
        for param, alias in params.items():
            getattr(found, method).add_request(param=param, alias=alias)
    return found


def own(requests: MetadataRequest, owner: Any) -> None:
    """Name the owner, an estimator or the name of its class, which messages alone read."""
    for found in (requests, *vars(requests).values()):
        if hasattr(found, "owner"):
            found.owner = owner
