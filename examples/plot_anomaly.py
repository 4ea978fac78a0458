"""
Anomaly detection: defects of a material, and tumors
====================================================

``OutlierDetector`` is fitted to normal data only. An autoencoder then reconstructs normal samples well and others
badly. Here it finds scratches on a photograph of bricks, and malignant tumors in a table of measurements.
"""

# %%
# Defects of a material
# ---------------------
# A photograph of a brick wall, at half its size. Training takes patches of 12 × 12 pixels of the left and the right
# part. In the middle part four scratches and two stains are drawn.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.draw import line
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.metrics import RocCurveDisplay, roc_auc_score
from sklearn.model_selection import ShuffleSplit, train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, OutlierDetector

wall = data.brick().astype(float).reshape(256, 2, 256, 2).mean(axis=(1, 3))
left, wall, right = wall[:, :70], wall[:, 70:186], wall[:, 186:]
defects = np.zeros(wall.shape)
for ends, strength in (
    ((20, 15, 55, 60), 28),
    ((90, 100, 110, 55), -28),
    ((150, 20, 205, 32), 28),
    ((215, 60, 240, 105), -28),
):
    rows, columns = line(*ends)
    defects[rows, columns] = defects[rows, columns + 1] = strength
y, x = np.mgrid[: wall.shape[0], : wall.shape[1]]
for center, strength in (((45, 90), 25), ((175, 80), -25)):
    defects += strength * np.exp(-((y - center[0]) ** 2 + (x - center[1]) ** 2) / (2 * 4.0**2))
damaged = wall + defects

side, step = 12, 4
patches = [extract_patches_2d(part, (side, side), max_patches=2000, random_state=0) for part in (left, right)]
patches = np.concatenate(patches).reshape(4000, -1)


def windows(image):
    """All patches of an image at every fourth pixel."""
    return np.lib.stride_tricks.sliding_window_view(image, (side, side))[::step, ::step]


grid, is_defect = windows(damaged), windows(np.abs(defects) > 10).sum(axis=(2, 3)) > 8
print(f"{grid.shape[0] * grid.shape[1]:,} patches of the middle part, {is_defect.mean():.0%} with a defect")

# %%
# One model and one validation set, by ``cv=``, keep the fit short. The detectors see the patches as they are.
split = ShuffleSplit(1, test_size=0.2, random_state=0)
detectors = {
    "autoencoder": OutlierDetector(AutoencoderTransformer(8, max_epochs=40), cv=split, random_state=0),
    "PCA": OutlierDetector(PCA(8), cv=split, random_state=0),
    "isolation forest": IsolationForest(random_state=0),
}
scores = {}
for name, detector in detectors.items():
    scores[name] = -detector.fit(patches).score_samples(grid.reshape(-1, side**2)).reshape(grid.shape[:2])
    print(f"{name:17} area under the ROC curve {roc_auc_score(is_defect.ravel(), scores[name].ravel()):.3f}")

figure, axes = plt.subplots(1, 5, figsize=(10, 4.4), layout="constrained")
axes[0].imshow(damaged, cmap="gray")
axes[0].set_title("photograph")
axes[1].imshow(np.abs(defects) > 10, cmap="gray_r")
axes[1].set_title("defects")
for ax, (name, values) in zip(axes[2:], scores.items(), strict=True):
    low, high = np.quantile(values, [0.5, 0.995])
    ax.imshow(values, cmap="magma", vmin=low, vmax=high)
    ax.set_title(f"{name}\nAUC {roc_auc_score(is_defect.ravel(), values.ravel()):.2f}")
for ax in axes:
    ax.set_axis_off()
figure.suptitle("Outlier scores of the patches of a wall")
plt.show()

# %%
# With eight components the autoencoder marks all four scratches, the dark ones faintly, and PCA only one of them
# clearly. Neither finds the stains, which are as smooth as the shades of the bricks.
#
# Tumors
# ------
# Thirty measurements of tumors. Detectors are fitted to 257 benign ones; the other 100 benign and all 212 malignant
# ones are for testing. The default of ``OutlierDetector`` is a network for tables, which standardizes the columns.
tumors = load_breast_cancer()
benign, malignant = tumors.data[tumors.target == 1], tumors.data[tumors.target == 0]
train, others = train_test_split(benign, test_size=100, random_state=0)
test, is_malignant = np.vstack([others, malignant]), np.repeat([0, 1], [len(others), len(malignant)])

detectors = {
    "OutlierDetector()": OutlierDetector(random_state=0),
    "PCA, 4 components": OutlierDetector(make_pipeline(StandardScaler(), PCA(4)), random_state=0),
    "isolation forest": IsolationForest(random_state=0),
    "local outlier factor": make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True)),
}
figure, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
for name, detector in detectors.items():
    scores = -detector.fit(train).score_samples(test)
    RocCurveDisplay.from_predictions(is_malignant, scores, name=name, ax=ax)
ax.set(xlabel="false positive rate", ylabel="true positive rate", title="Malignant tumors, none of them in training")
plt.show()

# %%
# On this table the four are level: the curves differ by less than those of other splits of the data do. A network is no
# improvement where a forest that is fitted in a tenth of a second does as well.
#
# The threshold and the reasons
# -----------------------------
# ``contamination`` sets the rate of false alarms; the threshold is a quantile of scores of held-out samples.
detector = detectors["OutlierDetector()"]
alarm = detector.predict(test) == -1
print(f"contamination {detector.contamination}: false alarms {alarm[: len(others)].mean():.2f}, ", end="")
print(f"malignant tumors found {alarm[len(others) :].mean():.2f}")

# %%
# ``explain`` gives the share of each feature in the score, and ``p_values`` the share of normal samples with a score as
# high. These are the largest shares of the most unusual tumor.
worst = test[[detector.score_samples(test).argmin()]]
shares = detector.explain(worst)[0]
print(f"p-value {detector.p_values(worst)[0]:.4f}")
for column in np.argsort(-shares)[:4]:
    name, value, typical = tumors.feature_names[column], worst[0, column], np.median(train[:, column])
    print(f"{shares[column]:5.1%}  {name:23} {value:8.3f} (median of benign tumors {typical:.3f})")

# %%
# Contaminated training data
# --------------------------
# A tenth of the training samples is now a tight cluster of copies of one malignant tumor, with some noise. It is
# learned like everything that is frequent, unless ``trim`` leaves the samples out that fit worst to the others.
rng = np.random.default_rng(0)
copies = malignant[0] + rng.normal(scale=0.1, size=(28, 30)) * benign.std(axis=0)
mixed, is_copy = np.vstack([train, copies]), np.repeat([0, 1], [len(train), len(copies)])
for trim in (0, 0.2):
    linear = make_pipeline(StandardScaler(), PCA(8))
    detector = OutlierDetector(linear, criterion="reconstruction", trim=trim, random_state=0).fit(mixed)
    print(f"trim={trim}: area under the ROC curve {roc_auc_score(is_copy, -detector.held_out_scores_):.2f}")
