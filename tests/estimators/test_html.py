"""HTML representation of estimators, with descriptions and links."""

import html
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from skae import AutoencoderTransformer, ConvAutoencoder, OutlierDetector, Reconstructor, VAEGenerator
from skae.estimators._html import SITE
from skae.noise import GaussianNoise

OLD = parse_version(sklearn.__version__) < parse_version("1.9")
X = np.random.default_rng(0).normal(size=(40, 16))
y = np.arange(40) % 2
FITTED = {
    "transformer": lambda: AutoencoderTransformer(2, noise=GaussianNoise(0.2), prior="mixture", max_epochs=1).fit(X),
    "conv": lambda: ConvAutoencoder(2, max_epochs=1).fit(X),
    "vae": lambda: VAEGenerator(2, conditional=True, max_epochs=1).fit(X, y),
    "reconstructor": lambda: Reconstructor(AutoencoderTransformer(2, max_epochs=1), filling=np.nan_to_num).fit(X),
    "detector": lambda: OutlierDetector(AutoencoderTransformer(2, max_epochs=1), cv=2).fit(X),
}


def rows(table):
    """The names of a table's rows, and the address that each leads to."""
    links = re.findall(r'<a class="param-doc-link"[^>]*?href="([^"]*)">\s*(\w+)\s*<span[^>]*>(.+?)</span>', table, re.S)
    return {name: html.unescape(link) for link, name, description in links if description.strip()}


@pytest.mark.skipif(OLD, reason="scikit-learn shows fitted attributes from 1.9 on")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # one epoch says little of the rows
@pytest.mark.parametrize("name", FITTED)
def test_parameters_and_attributes_are_described_and_linked(name):
    est = FITTED[name]()
    page = f"{SITE}api/skae.{type(est).__name__}.html"
    shown = est._repr_html_()
    parameters, attributes = shown.split("Fitted attributes", 1)
    described = rows(parameters) | rows(attributes.split("estimator-table", 1)[0])
    own = {*est.get_params(deep=False)} - {"_extra"}
    fitted = {n for n in dir(est) if n.endswith("_") and not n.startswith("_")}
    assert fitted >= {"n_features_in_"}
    assert own | fitted <= described.keys()
    assert all(link.startswith(page) for link in described.values())
    assert f'href="{page}"' in shown


def test_pipeline_and_unfitted_repr():
    shown = make_pipeline(AutoencoderTransformer(), LogisticRegression())._repr_html_()
    assert f"{SITE}api/skae.AutoencoderTransformer.html" in shown
    assert OLD or "n_components: int" in shown


def test_custom_classes_have_no_link():
    class Mine(AutoencoderTransformer):
        pass

    assert SITE not in Mine()._repr_html_()


def test_link_is_that_of_the_project():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["urls"]["Documentation"] == SITE
