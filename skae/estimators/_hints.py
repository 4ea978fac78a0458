"""Names of parameters and attributes in other packages, and their equivalents here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from .._utils.slots import check_names, did_you_mean

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _by_name(table: dict[str, str]) -> dict[str, str]:
    """Invert a mapping from equivalents to names into one from names to equivalents."""
    return {name: remedy for remedy, names in table.items() for name in names.split()}


# Equivalents, as a name or a sentence, and the names that they replace.
_PARAMETERS = _by_name(
    {
        "n_components": "latent_dim latent_dims latent_size n_latent encoding_dim code_size bottleneck_size "
        "bottleneck_dim embedding_dim z_dim",
        "max_epochs": "epochs n_epochs num_epochs max_iter n_iter",
        "lr": "learning_rate learning_rate_init eta",
        "lr_schedule": "scheduler lr_scheduler",
        "loss": "criterion loss_fn loss_function",
        "module": "network model",
        "module__activation": "activation",
        "module__hidden_layer_sizes": "hidden_layer_sizes hidden_dims hidden_dim hidden_sizes hidden_layers layers",
        "n_iter_no_change": "patience",
        "optimizer": "solver",
        "random_state": "seed random_seed",
        "validation_fraction": "validation_split train_split val_size",
        "iterator_train__shuffle": "shuffle",
        "device": "gpu use_gpu use_cuda",
        "Use VAEGenerator, which has it.": "beta importance_samples conditional",
        "Use VAEGenerator, where it is beta.": "kl_weight",
        "Use ConvAutoencoder or VAEGenerator, which have it.": "input_shape",
        "Set module=skae.nn.EncoderDecoder, module__encoder= and module__decoder=.": "encoder decoder",
        "Set the number of threads by torch.set_num_threads, or by joblib.parallel_config in a search.": "n_jobs",
        "Add a StandardScaler after it: make_pipeline(autoencoder, StandardScaler()).": "whiten",
        "Use it in an OutlierDetector, which has it.": "contamination threshold",
    }
)
_ARGUMENTS = _by_name(
    {
        "Pass held-out data as X_val.": "validation_data validation_set eval_set val_data X_valid X_test x_val",
        "Pass the target of X as X_target.": "y_target target targets X_clean X_true",
        "Pass sample weights as sample_weight.": "weights sample_weights",
    }
)
_ENCODING = "`transform` encodes and `inverse_transform` decodes; `module_.network` is the network."
_ATTRIBUTES = _by_name(
    {
        "`reconstruct` returns reconstructions, `transform` codes, and `score`, the default of searches, minus the "
        "error. For predictions add a classifier or regressor in a pipeline.": "predict fit_predict "
        "predict_proba predict_log_proba",
        "`score_samples` is lower for more anomalous samples; OutlierDetector has a threshold.": "decision_function",
        "The components share the variance, unless bottleneck='nested' orders them: "
        "skae.metrics.explained_variance(X, reconstruct(X)) is the ratio explained by all of them, like PCA's "
        "explained_variance_ratio_.sum().": "explained_variance_ratio_ explained_variance_ singular_values_",
        "Codes are decoded by a network, so components are not directions in X: skae.plotting.TraversalDisplay "
        "shows the effect of each of them.": "components_",
        _ENCODING: "encode decode encoder decoder encoder_ decoder_",
        "`module_.state_dict()` has the weights.": "coef_ coefs_ intercepts_",
        "`loss_curve_` has the losses, and `net_.history` all recorded values.": "history history_ loss_",
        "Use VAEGenerator, which has it.": "sample_posterior interpolate transform_distribution",
        "`sample` generates samples.": "generate",
        "`score` evaluates.": "evaluate",
        "print(estimator.module_) shows the layers.": "summary",
        "skae.save(estimator, path) writes it to a file.": "save",
        "skae.load(path) reads an estimator from a file.": "load",
    }
)


def parameter_hint(name: str, own: list[str], held: Mapping[str, set[str]]) -> str:
    """Return a suggestion for an unknown parameter ``name``, with a leading blank; '' if there is none.

    ``own`` are the names of the estimator, and ``held`` the parameters of the part in each slot.
    """
    for slot, names in held.items():
        if name in names:
            return f" Did you mean {slot}__{name}?"
    return _sentence(_PARAMETERS.get(name.lower())) or did_you_mean(name, own, str)


def _sentence(hint: str | None) -> str:
    if not hint:
        return ""
    return f" {hint}" if " " in hint else f" Did you mean {hint}?"


def names_arguments(method: _Method) -> _Method:
    """Raise an error for unknown arguments of ``method``, with the name of the estimator and a suggestion."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    accepted = {p.name for p in parameters}
    by_position = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    @wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        def hint(name: str) -> str:
            own = _PARAMETERS.get(name.lower(), name)
            if own in self.get_params(deep=False):
                return f" It is set on the estimator: {type(self).__name__}({own}=...)."
            return _sentence(_ARGUMENTS.get(name))

        owner = f"{type(self).__name__}.{method.__name__}"
        check_names(kwargs, accepted, owner, hint=hint)
        if len(args) > len(by_position):
            others = ", ".join(p.name for p in parameters if p.name not in by_position)
            raise TypeError(
                f"{owner} takes {' and '.join(by_position)} by position, got {len(args)}: pass {others} by name."
            )
        return method(self, *args, **kwargs)

    return cast(_Method, checked)


def explain_missing(obj: Any, name: str) -> Any:
    """Raise the AttributeError of a missing attribute, with a suggestion.

    It is called by ``__getattr__``, that is, if an attribute is not found or its property raises an error.
    """
    try:
        return object.__getattribute__(obj, name)  # raises the original error again
    except AttributeError as error:
        # `available_if` hides the reason in the cause.
        hint = str(error.__cause__ or _ATTRIBUTES.get(name) or "")
        if not hint:
            raise
        missing = f"{type(obj).__name__!r} object has no attribute {name!r}"
        raise AttributeError(f"{missing}. {hint}") from None
