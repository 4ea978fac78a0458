"""
The same seed, the same bits, and what other seeds make of it
=============================================================

Training draws random numbers: for weights, the order of rows, the rows held out. With an integer ``random_state`` the
result repeats, on the CPU to the bit. How much does it depend on the seed?
"""

# %%
# Twice the same
# --------------
# NumPy's and torch's global streams are neither read nor moved, so nothing need be seeded beside ``random_state``.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split

from skae import AutoencoderTransformer

X = load_digits().data
X_train, X_test = train_test_split(X, test_size=0.25, random_state=0)

once = AutoencoderTransformer(8, max_epochs=15, random_state=0).fit(X_train)
again = AutoencoderTransformer(8, max_epochs=15, random_state=0).fit(X_train)
assert np.array_equal(once.transform(X_test), again.transform(X_test))
assert once.loss_curve_ == again.loss_curve_
print(f"largest difference of the codes: {np.abs(once.transform(X_test) - again.transform(X_test)).max():g}")

# %%
# In serial and in parallel
# -------------------------
# A small network computes in one thread, so it does not matter what runs beside it: a search in two processes finds the
# scores that a serial one finds. For large networks that holds with the same number of threads.
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
# Eight seeds, one split of the data: the spread of the error is that of training alone. A difference between two
# settings that is smaller than the spread of seeds says nothing.


def error(reducer):
    """Mean squared error on the test rows, after a fit to the others."""
    reducer.fit(X_train)
    return ((reducer.inverse_transform(reducer.transform(X_test)) - X_test) ** 2).mean()


errors = np.array([error(AutoencoderTransformer(8, max_epochs=30, random_state=seed)) for seed in range(8)])
error_pca = error(PCA(8, svd_solver="full"))
print(f"autoencoder: mean {errors.mean():.2f}, from {errors.min():.2f} to {errors.max():.2f}, ", end="")
print(f"standard deviation {errors.std(ddof=1):.2f}")
print(f"PCA: {error_pca:.2f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", width_ratios=[3, 2])
left.plot(errors, np.ones(8), "o", color="C0", alpha=0.6)
left.plot([error_pca], [0], "s", color="C1")
left.set_yticks([0, 1], labels=["PCA", "autoencoder,\n8 seeds"])
left.set(xlabel="mean squared error on test rows", xlim=(0, 1.08 * error_pca), ylim=(-0.5, 1.5), title="Beside PCA")
style = {"medianprops": {"color": "black"}, "boxprops": {"color": "0.5"}, "whiskerprops": {"color": "0.5"}}
right.boxplot(errors, positions=[0], widths=0.6, whis=(0, 100), showcaps=False, **style)
right.plot(np.linspace(-0.2, 0.2, 8), errors, "o", color="C0")
right.set(xticks=[], ylabel="mean squared error", title="The eight seeds alone")
plt.show()
