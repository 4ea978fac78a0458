"""Links to the documentation of classes, without which scikit-learn's HTML has no descriptions of parameters."""

from .._utils.sklearn_compat import documented_at

SITE = "https://skae.readthedocs.io/en/stable/"
documented = documented_at("skae", f"{SITE}api/skae.{{estimator_name}}.html")
