"""Try an installed wheel: the version, a fit, a file and what it loads to. Run outside the repository."""

import importlib.metadata
import pkgutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

import skae

package = Path(skae.__file__).parent
assert package.is_relative_to(sys.prefix), f"this is {package}, not the installed wheel"
assert skae.__version__ == importlib.metadata.version("skae")
assert (importlib.metadata.distribution("skae").locate_file("skae")) == package

# Every module can be imported without the optional packages.
modules = [module.name for module in pkgutil.walk_packages(skae.__path__, "skae.")]
for name in modules:
    importlib.import_module(name)

X = load_iris().data
estimator = skae.AutoencoderTransformer(n_components=2, max_epochs=20, random_state=0).fit(X)
with tempfile.TemporaryDirectory() as folder:
    skae.save(estimator, Path(folder) / "iris.skae")
    loaded = skae.load(Path(folder) / "iris.skae")
np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))
assert loaded.reconstruct(X).shape == X.shape
samples = skae.VAEGenerator(n_components=2, max_epochs=20, random_state=0).fit(X).sample(5)
assert np.isfinite(samples).all()
print(f"skae {skae.__version__}: {len(modules)} modules imported; fitted, saved, loaded and sampled")
