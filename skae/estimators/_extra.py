"""Parameters named with double underscores, for what a slot holds as a class."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator

from .._params import check_names

# The slots whose parameters are set by names with double underscores.
_SLOTS = ("module", "optimizer", "iterator_train", "iterator_valid", "callbacks")


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

        Parameters
        ----------
        **params : dict
            Parameter names and their values.

        Returns
        -------
        self : object
            The estimator.
        """
        extra = {name: value for name, value in params.items() if self._is_extra(name, params)}
        super().set_params(**{name: value for name, value in params.items() if name not in extra})
        self._extra = self._extra | extra
        return self

    def _is_extra(self, name: str, params: dict[str, Any]) -> bool:
        """Whether ``name`` is kept for a class, rather than set on a part that is an object."""
        slot, _, rest = name.partition("__")
        part = params.get(slot, getattr(self, slot, None))
        is_object = hasattr(part, "get_params") and not isinstance(part, type)
        if rest and slot in ("bottleneck", "loss", "noise", "prior") and not is_object:
            raise ValueError(f"{name} needs {slot} to be an object that has it, got {slot}={part!r}.")
        return name in self._extra or (bool(rest) and slot in _SLOTS and not is_object)

    def _check_extra_names(self) -> None:
        """Tell a name mistyped in the constructor, which scikit-learn does not want to refuse anything."""
        stray = [name for name in self._extra if name.partition("__")[0] not in _SLOTS or "__" not in name]
        check_names(stray, self._get_param_names(), type(self).__name__)
