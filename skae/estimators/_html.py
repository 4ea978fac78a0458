"""How estimators show themselves in a notebook: scikit-learn's table, with links to their pages on the site."""

SITE = "https://skae.readthedocs.io/en/stable/"


class Documented:
    """Tells scikit-learn's HTML where a class is documented; without that it shows no descriptions either."""

    _doc_link_module = "skae"
    _doc_link_template = f"{SITE}api/skae.{{estimator_name}}.html"
