"""
Choosing the number of components
=================================

The error of reconstruction falls with every component, but a classifier that uses the codes may not need many. A grid
search answers both questions. A single fit with ordered components shows what each of them adds, as PCA does.
"""

# %%
# The data are 30 measurements of 569 tumors, standardized in a pipeline. The score is minus the mean squared error of
# the reconstruction of held-out samples, in standardized units. PCA is searched over the same sizes.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, ShuffleSplit, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer
from skae.metrics import explained_variance
from skae.model_selection import smallest_within

X, y = load_breast_cancer(return_X_y=True)
sizes = [1, 2, 4, 8, 16]
split = ShuffleSplit(2, test_size=0.3, random_state=0)


def minus_error(pipe, X, y=None):
    """Minus the mean squared error of the last step."""
    scaled = pipe[:-1].transform(X)
    return -((pipe[-1].inverse_transform(pipe[-1].transform(scaled)) - scaled) ** 2).mean()


ae, pca = AutoencoderTransformer(max_epochs=60, random_state=0), PCA(random_state=0)
grid = [{"reduce": [reducer], "reduce__n_components": sizes} for reducer in (ae, pca)]
reduce = Pipeline([("scale", StandardScaler()), ("reduce", ae)])
errors = GridSearchCV(reduce, grid, cv=split, scoring=minus_error, refit=False).fit(X)
errors = -errors.cv_results_["mean_test_score"].reshape(2, -1)

# %%
# The same search with a classifier after the codes. ``smallest_within`` selects the smallest size with a score within
# one standard error of the best.
pipe = Pipeline([*reduce.steps, ("classify", KNeighborsClassifier(5))])
search = GridSearchCV(pipe, grid, cv=split, refit=False).fit(X, y)
accuracy = search.cv_results_["mean_test_score"].reshape(2, -1)
chosen = search.cv_results_["params"][smallest_within()(search.cv_results_)]

print("components             ", *(f"{size:6d}" for size in sizes))
for name, values in (("error, autoencoder", errors[0]), ("error, PCA", errors[1])):
    print(f"{name:23}", *(f"{value:6.3f}" for value in values))
for name, values in (("accuracy, autoencoder", accuracy[0]), ("accuracy, PCA", accuracy[1])):
    print(f"{name:23}", *(f"{value:6.3f}" for value in values))
print("smallest within one standard error:", chosen)

# %%
# With the bottleneck ``"nested"`` the components are ordered: the first k are a code for every k. On validation data,
# ``explained_variance_ratio_`` is the share of the variance that each component adds.
A, B = train_test_split(X, test_size=0.3, random_state=0)
scaler = StandardScaler().fit(A)
A, B = scaler.transform(A), scaler.transform(B)
nested = AutoencoderTransformer(16, bottleneck="nested", max_epochs=60, random_state=0).fit(A, X_val=B)
linear = PCA(16, random_state=0).fit(A)
Z = linear.transform(B)
by_pca = [explained_variance(B, Z[:, :k] @ linear.components_[:k] + linear.mean_) for k in range(1, 17)]
by_nested = nested.explained_variance_ratio_.cumsum()
print("variance explained by the first 2, 4 and 8 components:", end=" ")
print("nested", by_nested[[1, 3, 7]].round(3), "PCA", np.round([by_pca[1], by_pca[3], by_pca[7]], 3))

# %%
# The error of the autoencoder is smaller at every size, by about a tenth or less with up to eight components. The
# classifier gains nothing beyond eight, and does nearly as well with PCA, which needs no training.
figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
for name, error, value, style in zip(("autoencoder", "PCA"), errors, accuracy, ("-o", "--s"), strict=True):
    axes[0].plot(sizes, error, style, label=name)
    axes[1].plot(sizes, value, style, label=name)
axes[0].set(title="Reconstruction", ylabel="mean squared error", yscale="log")
axes[1].set(title="5 nearest neighbors on the codes", ylabel="accuracy")
for ax in axes[:2]:
    ax.set(xlabel="components", xscale="log")
    ax.set_xticks(sizes, labels=sizes)
    ax.minorticks_off()
axes[2].plot(np.arange(1, 17), by_nested, "-o", label="one nested autoencoder")
axes[2].plot(np.arange(1, 17), by_pca, "--s", label="PCA")
axes[2].set(title="Variance explained on validation data", xlabel="first components", ylabel="share", xticks=sizes)
for ax in axes:
    ax.legend()
plt.show()
