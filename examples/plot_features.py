"""
Features for a classifier with few labels
=========================================

Features can be learned from all images, labeled or not. A classifier then needs only a few labels. Here the images are
patches of three materials, and ``pooling`` makes the codes independent of the position in the patch. Codes are not
always better than simple features, which the examples below show as well.
"""

# %%
# Patches of 32 × 32 pixels from photographs of bricks, grass and gravel, at half their size. The right part of each
# photograph is for testing. The network is trained on all training patches, without labels.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae import AutoencoderTransformer, ConvAutoencoder
from skae.noise import MaskingNoise
from skae.plotting import LatentDisplay

materials = ["brick", "grass", "gravel"]
photographs = [getattr(data, name)().astype(float).reshape(256, 2, 256, 2).mean(axis=(1, 3)) for name in materials]


def cut(columns, n, seed):
    """Cut patches from some columns of each photograph, and return them with their classes."""
    patches = [
        extract_patches_2d(photo[:, columns], (32, 32), max_patches=n, random_state=seed) for photo in photographs
    ]
    return np.concatenate(patches), np.repeat(np.arange(3), n)


X_train, y_train = cut(slice(0, 160), 250, seed=0)
X_test, y_test = cut(slice(160, 256), 150, seed=1)
settings = {"module__dense": False, "module__linear_skip": False, "batch_size": 16, "max_epochs": 30}
ae = ConvAutoencoder(32, pooling="max", random_state=0, **settings)
flatten = FunctionTransformer(lambda images: images.reshape(len(images), -1))
features = {
    "autoencoder, 32 pooled codes": ae,
    "PCA, 32": make_pipeline(flatten, PCA(32, random_state=0)),
    "pixels, 1,024": flatten,
    "mean and standard deviation, 2": FunctionTransformer(lambda X: np.stack([X.mean((1, 2)), X.std((1, 2))], axis=1)),
}

# %%
# The same random draws of labeled patches for all features.


def learning_curve(features, X_train, y_train, X_test, y_test, numbers):
    """Mean accuracy of a logistic regression for each number of labels, over ten draws."""
    found = {}
    for name, transformer in features.items():
        Z_train, Z_test, found[name] = transformer.fit(X_train).transform(X_train), transformer.transform(X_test), []
        for number in numbers:
            scores = []
            for seed in range(10):
                labeled, _ = train_test_split(
                    np.arange(len(y_train)), train_size=number, stratify=y_train, random_state=seed
                )
                classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
                scores.append(classifier.fit(Z_train[labeled], y_train[labeled]).score(Z_test, y_test))
            found[name].append(np.mean(scores))
        print(f"{name:31}", *(f"{value:.3f}" for value in found[name]))
    return found


numbers = [6, 15, 30, 60, 150, 600]
print("labels:", numbers)
accuracy = learning_curve(features, X_train, y_train, X_test, y_test, numbers)

# %%
# A table, for comparison: 30 measurements of tumors. Its columns are chosen by experts and standardized, and a
# classifier does well on them as they are.
X, y = load_breast_cancer(return_X_y=True)
A, B, y_A, y_B = train_test_split(StandardScaler().fit_transform(X), y, test_size=0.4, random_state=0, stratify=y)
table_features = {
    "autoencoder, 8": AutoencoderTransformer(8, max_epochs=40, random_state=0),
    "autoencoder, 32, masking noise": AutoencoderTransformer(
        32, noise=MaskingNoise(0.5), max_epochs=40, random_state=0
    ),
    "columns, 30": FunctionTransformer(),
}
table_numbers = [10, 20, 40, 80, 160, 300]
print("labels:", table_numbers)
table_accuracy = learning_curve(table_features, A, y_A, B, y_B, table_numbers)

# %%
# On the materials the pooled codes are best from fifteen labels on; with six, the mean and the standard deviation of
# the pixels do equally well. The components of PCA are worse than the pixels.
#
# On the table the columns are better than the codes with up to forty labels, and codes are slightly better with more.
# Where features are good already, an autoencoder gains little or loses.
figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.4), layout="constrained")
for ax, found, ticks, title in (
    (axes[0], accuracy, numbers, "Three materials"),
    (axes[1], table_accuracy, table_numbers, "Tumors"),
):
    for (name, values), style in zip(found.items(), ("-o", "--s", ":^", "-.v"), strict=False):
        ax.plot(ticks, values, style, label=name)
    ax.set(xscale="log", xlabel="labeled samples", ylabel="accuracy on test samples", title=title)
    ax.set_xticks(ticks, labels=ticks)
    ax.minorticks_off()
    ax.legend(fontsize=9, loc="lower right")
axes[0].set_ylim(0.1, 1)
LatentDisplay.from_estimator(ae, X_test, y=np.array(materials)[y_test], ax=axes[2])
axes[2].set_title("Pooled codes of the test patches")
plt.show()
