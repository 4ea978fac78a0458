"""
Anomaly detection
=================

Nine kinds of digits are usual, and the tenth, which no model has seen in training, is to be found among them.
``OutlierDetector`` decides by what models say of rows that they were not trained on: how badly a row is
reconstructed, how rare its code is, and how far it lies from the others.
"""

# %%
# Some digits take their turn as the anomaly, and every detector is scored by the area under the ROC curve. The code is
# small on purpose: with a large one anything could be reconstructed.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import ShuffleSplit, train_test_split

from skae import AutoencoderTransformer, OutlierDetector

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)

split = ShuffleSplit(1, test_size=0.2, random_state=0)  # one model, scored by a fifth of the rows
detectors = {
    "autoencoder, 8": OutlierDetector(AutoencoderTransformer(8, max_epochs=50), cv=split, random_state=0),
    "PCA, 8": OutlierDetector(PCA(8), cv=split, random_state=0),
    "isolation forest": IsolationForest(random_state=0),
}
area = {name: [] for name in detectors}
for anomaly in range(10):
    usual = X_train[y_train != anomaly]
    for name, detector in detectors.items():
        scores = detector.fit(usual).score_samples(X_test)
        area[name].append(roc_auc_score(y_test == anomaly, -scores))
for name, values in area.items():
    print(f"{name:17} mean area under the ROC curve {np.mean(values):.3f}")

figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
width = 0.27
for i, (name, values) in enumerate(area.items()):
    ax.bar(np.arange(10) + (i - 1) * width, values, width, label=name)
ax.set(xlabel="digit left out of training", ylabel="area under the ROC curve", ylim=(0.3, 1))
ax.set_title("How well digits are found that were left out of training")
ax.set_xticks(range(10))
ax.axhline(0.5, color="black", linewidth=0.8)
figure.legend(ncols=3, loc="outside lower center", frameon=False)

# %%
# ``contamination`` is the rate of false alarms, and the threshold comes from rows held out. The last detector has not
# seen nines.
detector = detectors["autoencoder, 8"]
alarm = detector.predict(X_test) == -1
print(f"false alarms {alarm[y_test != 9].mean():.2f}, wanted 0.10; nines found {alarm[y_test == 9].mean():.2f}")

# %%
# ``explain`` says where a row is odd: each pixel's share of the score, in red, over the six most suspicious digits.
# Below it are the p-values, the share of usual digits that would look as odd.
order = np.argsort(detector.score_samples(X_test))[:6]
shares, p = detector.explain(X_test[order]), detector.p_values(X_test[order])
figure, axes = plt.subplots(1, 6, figsize=(8, 1.9), layout="constrained")
for ax, row, share, value in zip(axes, X_test[order], shares, p, strict=True):
    ax.imshow(row.reshape(8, 8), cmap="gray_r")
    ax.imshow(np.ones((8, 8)), cmap="Reds", vmin=0, vmax=1.5, alpha=(share / share.max()).reshape(8, 8))
    ax.set_xlabel(f"p = {value:.3f}")
    ax.set(xticks=[], yticks=[])
figure.suptitle("The most suspicious test rows, and where they are odd")

# %%
# A tenth of the rows is now a tight cluster far away, negatives of one image. It is learned like anything frequent,
# unless the rows that fit worst to the others are left out (``trim``).
rng = np.random.default_rng(0)
cluster = 16 - X_train[0] + rng.normal(scale=0.2, size=(100, 64))
rows, planted = np.vstack([X_train[:900], cluster]), np.repeat([0, 1], [900, 100])
for trim in (0, 0.2):
    detector = OutlierDetector(PCA(8), criterion="reconstruction", trim=trim, random_state=0).fit(rows)
    print(f"trim={trim}: area under the ROC curve {roc_auc_score(planted, -detector.held_out_scores_):.2f}")
plt.show()
