"""Where classes are documented: without it scikit-learn's HTML shows no descriptions of parameters either."""

SITE = "https://skae.readthedocs.io/en/stable/"
DOC_LINK_MODULE = "skae"
DOC_LINK_TEMPLATE = f"{SITE}api/skae.{{estimator_name}}.html"
