"""Parameters with double underscores, for parts given as a string or a class."""

from __future__ import annotations

from typing import Any

from .._density.prior import class_of
from .._utils.sklearn_compat import parameter_names
from .._utils.slots import check_names, without_part
from ._hints import parameter_hint
from ._resolve import names_of_parts

# Slots of parts, which may also be objects with their own parameters.
_PARTS = ("bottleneck", "loss", "noise", "prior", "critic")
# All slots with parameters that are set by names with double underscores.
_SLOTS = ("module", *_PARTS, "optimizer", "iterator_train", "iterator_valid", "callbacks")


def split_params(est: Any, params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split the arguments of `set_params` into those of the constructor and of parts, and the new ``_extra``.

    Setting a part to an object discards the parameters set before by its prefix, such as ``noise__*``.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    _check_known(est, params)
    extra = {name: value for name, value in params.items() if _is_extra(est, name, params)}
    replaced = {slot for slot in _PARTS if slot in params and (params[slot] is None or _is_object(params[slot]))}
    kept = {name: value for name, value in est._extra.items() if name.partition("__")[0] not in replaced}
    return {name: value for name, value in params.items() if name not in extra}, kept | extra


def check_extra_names(est: Any) -> None:
    """Raise an error for unknown names in the constructor, where scikit-learn's conventions forbid errors."""
    stray = [name for name in est._extra if not _has_slot(est, name.partition("__")[0]) or "__" not in name]
    check_names(stray, parameter_names(est), type(est).__name__, hint=lambda name: _hint(est, name))


def _has_slot(est: Any, slot: str) -> bool:
    """Return whether the estimator has the slot: not every estimator has a critic."""
    return slot in _SLOTS and (slot not in _PARTS or slot in parameter_names(est))


def _is_extra(est: Any, name: str, params: dict[str, Any]) -> bool:
    """Return whether ``name`` is stored in ``_extra``, for a string or a class, instead of set on an object."""
    slot, _, rest = name.partition("__")
    part = params.get(slot, getattr(est, slot, None))
    part = class_of(part) if slot == "prior" else part
    # 'mixture' is not a class, and has no parameters.
    if rest and (
        (slot == "prior" and isinstance(part, str)) or (slot in ("noise", "prior", "critic") and part is None)
    ):
        raise ValueError(without_part(name, slot, part))
    if name in est._extra and slot not in params:
        return True
    return bool(rest) and slot in _SLOTS and not _is_object(part)


def _check_known(est: Any, params: dict[str, Any]) -> None:
    """Raise scikit-learn's error for an unknown name, with a suggestion."""
    known = est.get_params(deep=False)
    for name in params:
        slot, _, rest = name.partition("__")
        if slot not in known and name not in known and not (rest and _has_slot(est, slot)):
            raise ValueError(
                f"Invalid parameter {slot!r} for estimator {est!r}.{_hint(est, slot)} "
                f"Valid parameters are: {sorted(known)}."
            )


def _hint(est: Any, name: str) -> str:
    return parameter_hint(name, parameter_names(est), names_of_parts(est))


def _is_object(part: Any) -> bool:
    return hasattr(part, "get_params") and not isinstance(part, type)
