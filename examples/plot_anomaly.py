"""
Anomaly detection by reconstruction error
=========================================

An autoencoder reconstructs well what it was trained on, and badly what is unlike it: ``score_samples`` is minus the
reconstruction loss of a row, so the lowest scores are the anomalies. Here the usual is nine kinds of digits, and the
tenth, which training never saw, is to be found among them.
"""

# %%
# Each digit takes its turn as the anomaly, and every detector is judged by the area under the ROC curve. The code is
# small on purpose: with a large one anything could be reconstructed.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.plotting import ReconstructionDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)


def pca_score(pca, rows):
    """Minus the squared error of PCA's reconstruction."""
    return -((pca.inverse_transform(pca.transform(rows)) - rows) ** 2).sum(axis=1)


area = {"autoencoder, 8": [], "PCA, 8": [], "isolation forest": []}
for anomaly in range(10):
    usual = X_train[y_train != anomaly]
    ae = AutoencoderTransformer(8, max_epochs=60, random_state=0).fit(usual)
    scores = {
        "autoencoder, 8": ae.score_samples(X_test),
        "PCA, 8": pca_score(PCA(8, random_state=0).fit(usual), X_test),
        "isolation forest": IsolationForest(random_state=0).fit(usual).score_samples(X_test),
    }
    for name, score in scores.items():
        area[name].append(roc_auc_score(y_test == anomaly, -score))
for name, values in area.items():
    print(f"{name:17} mean area under the ROC curve {np.mean(values):.3f}")

# %%
# Which digits are found, and, for the last one, what the most and the least suspicious test rows look like.
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
width = 0.27
for i, (name, values) in enumerate(area.items()):
    ax.bar(np.arange(10) + (i - 1) * width, values, width, label=name)
ax.set(xlabel="digit left out of training", ylabel="area under the ROC curve", ylim=(0.3, 1))
ax.set_title("How well digits are found that were left out of training")
ax.set_xticks(range(10))
ax.axhline(0.5, color="black", linewidth=0.8)
figure.legend(ncols=3, loc="outside lower center", frameon=False)

order = np.argsort(ae.score_samples(X_test))
chosen = X_test[np.concatenate([order[:6], order[-6:]])]
display = ReconstructionDisplay.from_estimator(ae, chosen, n_samples=12, metric="mse", cmap="gray_r")
display.ax_.set_title("Trained without 9: the six most suspicious digits, and the six least")
plt.show()
