"""Where classes are documented: without it scikit-learn's HTML shows no descriptions of parameters either."""

from .._utils.sklearn_compat import documented_at

SITE = "https://skae.readthedocs.io/en/stable/"
documented = documented_at("skae", f"{SITE}api/skae.{{estimator_name}}.html")
