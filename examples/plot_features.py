"""
Features for a classifier
=========================

A classifier that has few labels does better on features that were learnt from all images, labelled or not. Here 1,500
digits have no label but for a handful; a denoising autoencoder learns its code from all of them, and a logistic
regression sees the code of the few. PCA, and the pixels themselves, are there for comparison.
"""

# %%
# The autoencoder is told to restore digits of which half the pixels are hidden: to guess what is behind them it has to
# know how strokes go on. Under such noise a code may be wider than the row: there is more to learn than to copy.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae import AutoencoderTransformer
from skae.noise import MaskingNoise
from skae.plotting import LatentDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=297, random_state=0, stratify=y)

features = {
    "autoencoder, 128": AutoencoderTransformer(128, noise=MaskingNoise(0.5), random_state=0),
    "PCA, 32": PCA(32, random_state=0),
    "pixels, 64": FunctionTransformer(),
}
for transformer in features.values():
    transformer.fit(X_train)  # all of them, without labels

# %%
# Each is judged by the same draws of labelled digits, and by digits that nobody has seen.
numbers = [20, 50, 100, 200, 500]
accuracy = {name: [] for name in features}
for number in numbers:
    for name, transformer in features.items():
        Z_train, Z_test = transformer.transform(X_train), transformer.transform(X_test)
        scores = []
        for seed in range(10):
            chosen, _ = train_test_split(np.arange(1500), train_size=number, stratify=y_train, random_state=seed)
            classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
            scores.append(classifier.fit(Z_train[chosen], y_train[chosen]).score(Z_test, y_test))
        accuracy[name].append(np.mean(scores))
    print(number, "labels:", ", ".join(f"{name} {accuracy[name][-1]:.3f}" for name in features))

# %%
# The curves, and the codes of the test digits in two dimensions.
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
for name, line in zip(features, ("-o", "--s", ":^"), strict=True):
    left.plot(numbers, accuracy[name], line, label=name)
left.set(xscale="log", xlabel="labelled digits", ylabel="accuracy on test digits", title="Logistic regression")
left.set_xticks(numbers, labels=numbers)
left.minorticks_off()
left.legend()
LatentDisplay.from_estimator(features["autoencoder, 128"], X_test, y=y_test, ax=right)
right.set_title("Codes of the test digits")
plt.show()
