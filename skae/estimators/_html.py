"""How estimators show themselves in a notebook: scikit-learn's table, with links to their pages on the site."""

from .._utils.sklearn_compat import documented_at

SITE = "https://skae.readthedocs.io/en/stable/"


@documented_at("skae", f"{SITE}api/skae.{{estimator_name}}.html")
class Documented:
    """Tells scikit-learn's HTML where a class is documented; without that it shows no descriptions either."""
