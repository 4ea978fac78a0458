"""What people write who come from elsewhere, and what it is called here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from .._utils.slots import check_names, did_you_mean

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _by_name(table: dict[str, str]) -> dict[str, str]:
    """What to take for each name, from the names for each thing to take."""
    return {name: remedy for remedy, names in table.items() for name in names.split()}


# What to take, a name of ours or a sentence, and for which names.
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
        "Take VAEGenerator, which has it.": "beta importance_samples conditional",
        "Take VAEGenerator, where it is beta.": "kl_weight",
        "Take ConvAutoencoder or VAEGenerator, which have it.": "input_shape",
        "Give module=skae.nn.EncoderDecoder, module__encoder= and module__decoder=.": "encoder decoder",
        "Threads are torch's: torch.set_num_threads, or joblib.parallel_config in a search.": "n_jobs",
        "Put a StandardScaler after it: make_pipeline(autoencoder, StandardScaler()).": "whiten",
        "Put it into an OutlierDetector, which has it.": "contamination threshold",
    }
)
_ARGUMENTS = _by_name(
    {
        "Held-out data go in as X_val.": "validation_data validation_set eval_set val_data X_valid X_test x_val",
        "What X is compared with goes in as X_target.": "y_target target targets X_clean X_true",
        "Weights of samples go in as sample_weight.": "weights sample_weights",
    }
)
_ENCODING = "`transform` encodes and `inverse_transform` decodes; `module_.network` is the network that does both."
_ATTRIBUTES = _by_name(
    {
        "`reconstruct` gives X back, `transform` its codes, and `score`, which a search takes where `scoring` is left "
        "out, minus the error. A classifier or regressor goes after it, in a pipeline.": "predict fit_predict "
        "predict_proba predict_log_proba",
        "`score_samples` is lower for more unusual samples; OutlierDetector decides about them.": "decision_function",
        "The components share the variance, so that there is none for each unless bottleneck='nested' orders them: "
        "skae.metrics.explained_variance(X, reconstruct(X)) is the share that all explain, as PCA's "
        "explained_variance_ratio_.sum() is.": "explained_variance_ratio_ explained_variance_ singular_values_",
        "Codes are decoded by a network, so that no component is a direction in X: skae.plotting.TraversalDisplay "
        "shows what each of them changes.": "components_",
        _ENCODING: "encode decode encoder decoder encoder_ decoder_",
        "`module_.state_dict()` holds the weights.": "coef_ coefs_ intercepts_",
        "`loss_curve_` holds the losses, and `net_.history` whatever was recorded.": "history history_ loss_",
        "Take VAEGenerator, which has it.": "sample_posterior interpolate transform_distribution",
        "`sample` draws new samples.": "generate",
        "`score` evaluates.": "evaluate",
        "print(estimator.module_) shows the layers.": "summary",
        "skae.save(estimator, path) writes it to a file.": "save",
        "skae.load(path) reads an estimator from a file.": "load",
    }
)


def parameter_hint(name: str, own: list[str], held: Mapping[str, set[str]]) -> str:
    """What to write for a parameter ``name`` that there is not, with a blank before it; '' where nothing is known.

    ``own`` are the estimator's names, and ``held`` the parameters of what each slot holds.
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
    """Refuse arguments that ``method`` does not take by the name of the estimator, and say what to take instead."""
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
                f"{owner} takes {' and '.join(by_position)} by position, got {len(args)}: give {others} by name."
            )
        return method(self, *args, **kwargs)

    return cast(_Method, checked)


def explain_missing(obj: Any, name: str) -> Any:
    """Raise the AttributeError of an attribute that is not there, with what to take instead.

    It is meant for ``__getattr__``, which Python calls where an attribute is not found or its property raises.
    """
    try:
        return object.__getattribute__(obj, name)  # which fails again, in the words of what is missing
    except AttributeError as error:
        # `available_if` hides the reason of a condition that does not hold in the cause.
        hint = str(error.__cause__ or _ATTRIBUTES.get(name) or "")
        if not hint:
            raise
        missing = f"{type(obj).__name__!r} object has no attribute {name!r}"
        raise AttributeError(f"{missing}. {hint}") from None
