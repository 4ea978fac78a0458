"""Parameters named with double underscores, for what a slot holds as a string or a class."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from .._utils.sklearn_compat import parameter_names
from .._utils.slots import check_names, without_part
from ._hints import parameter_hint
from ._parts import names_of_parts

# Slots of parts, which may be objects too: these have parameters of their own.
_PARTS = ("bottleneck", "loss", "noise", "prior")
# The slots whose parameters are set by names with double underscores.
_SLOTS = ("module", *_PARTS, "optimizer", "iterator_train", "iterator_valid", "callbacks")


class ExtraParams(BaseEstimator):
    """Keeps a constructor's ``**params`` as ``_extra``, and shows them to `get_params` and `set_params`."""

    _extra: dict[str, Any]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those named with double underscores included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of the parts that are objects.

        Returns
        -------
        params : dict
            Parameter names and their values.
        """
        return super().get_params(deep=deep) | self._extra

    def set_params(self, **params: Any) -> Any:
        """Set parameters: the constructor's, those of parts, and ``module__*``, ``optimizer__*`` and the like.

        An object that is set for a part comes with its own parameters: those set before by ``noise__*`` and the like
        go with the part that it replaces.

        Parameters
        ----------
        **params : dict
            Parameter names and their values.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            For a name that there is not; nothing is set then.
        """
        self._check_known(params)
        extra = {name: value for name, value in params.items() if self._is_extra(name, params)}
        super().set_params(**{name: value for name, value in params.items() if name not in extra})
        replaced = {slot for slot in _PARTS if slot in params and (params[slot] is None or _is_object(params[slot]))}
        kept = {name: value for name, value in self._extra.items() if name.partition("__")[0] not in replaced}
        self._extra = kept | extra
        return self

    def _is_extra(self, name: str, params: dict[str, Any]) -> bool:
        """Whether ``name`` is kept for a string or a class, rather than set on a part that is an object."""
        slot, _, rest = name.partition("__")
        part = params.get(slot, getattr(self, slot, None))
        # 'mixture' is no class, and chooses for itself.
        if rest and ((slot == "prior" and isinstance(part, str)) or (slot in ("noise", "prior") and part is None)):
            raise ValueError(without_part(name, slot, part))
        if name in self._extra and slot not in params:
            return True
        return bool(rest) and slot in _SLOTS and not _is_object(part)

    def _check_known(self, params: dict[str, Any]) -> None:
        """Raise scikit-learn's error for an unknown name, with what to write instead."""
        known = self.get_params(deep=False)
        for name in params:
            slot, _, rest = name.partition("__")
            if slot not in known and name not in known and not (rest and slot in _SLOTS):
                raise ValueError(
                    f"Invalid parameter {slot!r} for estimator {self!r}.{self._hint(slot)} "
                    f"Valid parameters are: {sorted(known)}."
                )

    def _check_extra_names(self) -> None:
        """Refuse a name mistyped in the constructor, which scikit-learn does not want to refuse anything."""
        stray = [name for name in self._extra if name.partition("__")[0] not in _SLOTS or "__" not in name]
        check_names(stray, parameter_names(self), type(self).__name__, hint=self._hint)

    def _hint(self, name: str) -> str:
        return parameter_hint(name, parameter_names(self), names_of_parts(self))


def _is_object(part: Any) -> bool:
    return hasattr(part, "get_params") and not isinstance(part, type)
