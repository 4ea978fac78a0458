"""Quick start: a grid search over PCA and an autoencoder.

Run ``python examples/quickstart.py``. It takes about a minute on two cores, prints a table and writes a picture to
``output/quickstart.png`` (``--output`` sets another folder).
"""

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from skae import AutoencoderTransformer

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--output", type=Path, default=Path("output"), help="folder of the picture")
args = parser.parse_args()

X, y = load_digits(return_X_y=True)  # 1,797 images of 8 × 8 pixels, gray levels from 0 to 16
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)

# A pipeline: reduce the dimensionality, then classify.
pipeline = Pipeline(
    [("reduce", AutoencoderTransformer(random_state=0)), ("classify", LogisticRegression(max_iter=5000))]
)

# The grid: the reducer, and its number of components, a parameter of the same name in both.
sizes = [2, 4, 8, 16]
grid = {
    "reduce": [AutoencoderTransformer(random_state=0), PCA(random_state=0)],
    "reduce__n_components": sizes,
}
print(f"Searching {2 * len(sizes)} settings with 3-fold cross-validation ...", flush=True)
search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X_train, y_train)

accuracy = {
    (type(params["reduce"]).__name__, params["reduce__n_components"]): score
    for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True)
}


def reconstruct(reducer):
    """Fit a reducer to the training images, and reconstruct the test images."""
    reducer.fit(X_train)
    return reducer.inverse_transform(reducer.transform(X_test))


print("\ncomponents   accuracy (3-fold CV)   mean squared error (test)")
print("                  AE     PCA             AE     PCA   ratio")
pictures = {}
for size in sizes:
    pictures[size] = reconstruct(AutoencoderTransformer(size, random_state=0)), reconstruct(PCA(size, random_state=0))
    error_ae, error_pca = (((picture - X_test) ** 2).mean() for picture in pictures[size])
    print(
        f"{size:10d}    {accuracy['AutoencoderTransformer', size]:.3f}   {accuracy['PCA', size]:.3f}"
        f"         {error_ae:6.2f}  {error_pca:6.2f}    {error_ae / error_pca:.2f}"
    )
best = search.best_params_
print(f"\nbest pipeline: {type(best['reduce']).__name__} with n_components={best['reduce__n_components']}")
print(f"accuracy on the test images: {search.score(X_test, y_test):.3f}")

# The picture: ten test images, and their reconstructions from eight numbers.
size = 8
rows = {"original": X_test, "autoencoder": pictures[size][0], "PCA": pictures[size][1]}
figure, axes = plt.subplots(len(rows), 10, figsize=(10, 3.4), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, images, strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set_xticks([])
        ax.set_yticks([])
    line[0].set_ylabel(name)
figure.suptitle(f"Test digits, reconstructed from {size} numbers each")
args.output.mkdir(parents=True, exist_ok=True)
path = args.output / "quickstart.png"
figure.savefig(path, dpi=120)
print(f"picture: {path}")
