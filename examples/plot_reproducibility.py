"""
Reproducible results, and the variation between random seeds
============================================================

Training uses random numbers: for the initialization, the order of the samples and the validation split. With an integer
``random_state`` the result is reproducible, on the CPU to the bit. How much does it depend on the seed?
"""

# %%
# The same seed
# -------------
# NumPy's and torch's global random states are neither used nor changed, so that ``random_state`` is all there is to
# set. The data are 30 measurements of 569 tumors, standardized.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

X_train, X_test = train_test_split(load_breast_cancer().data, test_size=0.25, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)

first = AutoencoderTransformer(4, max_epochs=15, random_state=0).fit(X_train)
second = AutoencoderTransformer(4, max_epochs=15, random_state=0).fit(X_train)
assert np.array_equal(first.transform(X_test), second.transform(X_test))
assert first.loss_curve_ == second.loss_curve_
print(f"largest difference of the codes: {np.abs(first.transform(X_test) - second.transform(X_test)).max():g}")

# %%
# Serial and parallel searches
# ----------------------------
# Small networks are trained in one thread, so a search in two processes finds exactly the scores of a serial one. For
# large networks this holds with the same number of threads.
grid = {"n_components": [2, 4, 8]}
ae = AutoencoderTransformer(max_epochs=5, random_state=0)
serial = GridSearchCV(ae, grid, cv=3, n_jobs=1).fit(X_train)
parallel = GridSearchCV(ae, grid, cv=3, n_jobs=2).fit(X_train)
for fold in range(3):
    name = f"split{fold}_test_score"
    assert np.array_equal(serial.cv_results_[name], parallel.cv_results_[name])
assert np.array_equal(serial.transform(X_test), parallel.transform(X_test))
print("serial and parallel search: equal scores, equal codes")

# %%
# Other seeds
# -----------
# Eight seeds and the same split of the data: the variation of the error is that of training alone. A difference between
# two settings is no evidence if it is smaller than the variation between seeds. For some seeds no epoch improved the
# validation loss, and the result is PCA, to which the network is initialized.


def error(reducer):
    """Fit to the training samples, and return the mean squared error on the test samples."""
    reducer.fit(X_train)
    return ((reducer.inverse_transform(reducer.transform(X_test)) - X_test) ** 2).mean()


errors = np.array([error(AutoencoderTransformer(4, max_epochs=60, random_state=seed)) for seed in range(8)])
error_pca = error(PCA(4, svd_solver="full"))
print(f"autoencoder: mean {errors.mean():.3f}, from {errors.min():.3f} to {errors.max():.3f}, ", end="")
print(f"standard deviation {errors.std(ddof=1):.3f}")
print(f"PCA: {error_pca:.3f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", width_ratios=[3, 2])
left.plot(errors, np.ones(8), "o", color="C0", alpha=0.6)
left.plot([error_pca], [0], "s", color="C1")
left.set_yticks([0, 1], labels=["PCA", "autoencoder,\n8 seeds"])
left.set(xlabel="mean squared error on test samples", xlim=(0, 1.08 * max(error_pca, errors.max())), ylim=(-0.5, 1.5))
left.set_title("Compared with PCA")
style = {"medianprops": {"color": "black"}, "boxprops": {"color": "0.5"}, "whiskerprops": {"color": "0.5"}}
right.boxplot(errors, positions=[0], widths=0.6, whis=(0, 100), showcaps=False, **style)
right.plot(np.linspace(-0.2, 0.2, 8), errors, "o", color="C0")
right.set(xticks=[], ylabel="mean squared error", title="The eight seeds")
plt.show()
