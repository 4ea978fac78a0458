"""
Choosing the latent size
========================

How many components? It depends on what the code is for: the error of reconstruction always falls with more, while a
classifier behind the code may not need them. Both are read off a grid search. One fit with ordered components tells
what each of them adds, as PCA does.
"""

# %%
# The estimator's own ``score`` is minus the mean squared error of reconstruction, so ``GridSearchCV`` needs no scoring.
# PCA goes by the same ``n_components``.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, ShuffleSplit, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from skae import AutoencoderTransformer
from skae.metrics import explained_variance
from skae.model_selection import smallest_within

X, y = load_digits(return_X_y=True)
sizes = [2, 4, 8, 16, 32]
split = ShuffleSplit(2, test_size=0.3, random_state=0)


def minus_error(estimator, X, y=None):
    """Minus the mean squared error, for a transformer that has no such score."""
    return -((estimator.inverse_transform(estimator.transform(X)) - X) ** 2).mean()


ae = AutoencoderTransformer(max_epochs=60, random_state=0)
search = GridSearchCV(ae, {"n_components": sizes}, cv=split).fit(X)
pca = GridSearchCV(PCA(random_state=0), {"n_components": sizes}, cv=split, scoring=minus_error).fit(X)

# %%
# With a classifier behind, the same search answers the other question. The largest size need not be taken:
# ``smallest_within`` chooses the smallest one within a standard error of the best.
pipe = Pipeline([("reduce", ae), ("classify", KNeighborsClassifier(5))])
grid = [{"reduce__n_components": sizes}, {"reduce": [PCA(random_state=0)], "reduce__n_components": sizes}]
classifier = GridSearchCV(pipe, grid, cv=split, refit=False).fit(X, y)
accuracy = classifier.cv_results_["mean_test_score"].reshape(2, -1)
chosen = classifier.cv_results_["params"][smallest_within()(classifier.cv_results_)]

print("components      ", *(f"{size:6d}" for size in sizes))
print("error, ae       ", *(f"{-error:6.2f}" for error in search.cv_results_["mean_test_score"]))
print("error, PCA      ", *(f"{-error:6.2f}" for error in pca.cv_results_["mean_test_score"]))
print("accuracy, ae    ", *(f"{value:6.3f}" for value in accuracy[0]))
print("accuracy, PCA   ", *(f"{value:6.3f}" for value in accuracy[1]))
print("smallest within one standard error:", chosen)

# %%
# One nested fit: the first k components are a code for every k, and ``explained_variance_ratio_`` tells from rows held
# out what each adds. Fits of one size explain more.
A, B = train_test_split(X, test_size=0.3, random_state=0)
nested = AutoencoderTransformer(32, bottleneck="nested", max_epochs=60, random_state=0).fit(A, X_val=B)
linear = PCA(32, random_state=0).fit(A)
Z = linear.transform(B)
by_pca = [explained_variance(B, Z[:, :k] @ linear.components_[:k] + linear.mean_) for k in range(1, 33)]
by_size = 1 + search.cv_results_["mean_test_score"] / X.var(axis=0).mean()

# %%
# The autoencoder needs about half as many numbers as PCA for the same error. Past 8 components the classifier gains
# next to nothing. All but the last of the ordered components explain more than those of PCA.
figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
for name, found, line in (("autoencoder", search, "-o"), ("PCA", pca, "--s")):
    axes[0].plot(sizes, -found.cv_results_["mean_test_score"], line, label=name)
for name, values, line in (("autoencoder", accuracy[0], "-o"), ("PCA", accuracy[1], "--s")):
    axes[1].plot(sizes, values, line, label=name)
axes[0].set(title="Reconstruction", ylabel="mean squared error", yscale="log")
axes[1].set(title="5 nearest neighbors on the code", ylabel="accuracy")
for ax in axes[:2]:
    ax.set(xlabel="components", xscale="log")
    ax.set_xticks(sizes, labels=sizes)
    ax.minorticks_off()
axes[2].plot(sizes, by_size, "-o", label="one fit for each size")
axes[2].plot(np.arange(1, 33), nested.explained_variance_ratio_.cumsum(), "-", label="one nested fit")
axes[2].plot(np.arange(1, 33), by_pca, "--", label="PCA")
axes[2].set(title="Variance explained in new rows", xlabel="first components", ylabel="share")
for ax in axes:
    ax.legend()
plt.show()
