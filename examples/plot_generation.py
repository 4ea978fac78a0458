"""
Generating digits: where codes come from, and a critic
======================================================

A variational autoencoder is trained as if codes came from N(0, I), but those of the data do not fill it. Between them
lies space in which the decoder has learned nothing. So `~skae.VAEGenerator` draws codes from a Gaussian mixture, which
it fits to the codes of the rows after training (Ghosh et al., 2020). ``prior=None`` draws from N(0, I) instead.

What the code does not keep the decoder fills with a mean, which is blurred. A critic trains it, in a second phase, to
decode what looks like real images (Larsen et al., 2016); codes and mixture stay as they are.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skae import VAEGenerator
from skae.metrics import frechet_distance, memorization, precision_recall_density_coverage, sharpness

digits = load_digits()
images, held_out, y, _ = train_test_split(digits.images, digits.target, test_size=0.4, random_state=0)
vae = VAEGenerator(16, module="conv", lr=4e-3, random_state=0).fit(images)
sharp = clone(vae).set_params(critic="patch").fit(images)
print(f"Evidence lower bound of digits held out: {vae.score(held_out):.1f} nats")
print(f"Components of the code in use: {vae.active_units_}; of the mixture: {vae.prior_.n_components}")

# %%
# One decoder gets codes from either density, and the one with a critic from the mixture.


def tiles(rows):
    """One picture of a table of images, (n, m, 8, 8), with room between them."""
    n, m = rows.shape[:2]
    return np.pad(rows, ((0, 0), (0, 0), (1, 1), (1, 1))).swapaxes(1, 2).reshape(10 * n, 10 * m)


n = len(held_out)
samples = {
    "real": held_out,
    "codes from N(0, I)": vae.set_params(prior=None).sample(n, random_state=0),
    "codes from the mixture": vae.set_params(prior="mixture").sample(n, random_state=0),
    "mixture, with a critic": sharp.sample(n, random_state=0),
}

fig, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for ax, (name, rows) in zip(axes, samples.items(), strict=True):
    ax.imshow(tiles(rows[:100].reshape(10, 10, 8, 8)), cmap="gray_r", vmin=0, vmax=16)
    ax.set_title(name)
    ax.axis("off")

# %%
# How good they are is measured in the features of a classifier of digits. The distance between two samples of real
# digits is the floor. Samples that lay nearer to the rows fitted than rows held out do would be copies: a ratio near 1
# says that they are not.
classifier = MLPClassifier((64,), max_iter=300, random_state=0).fit(images.reshape(len(images), -1), y)
for name, rows in samples.items():
    reference = images[:n] if name == "real" else held_out
    distance = frechet_distance(reference, rows, features=classifier)
    found = precision_recall_density_coverage(reference, rows, features=classifier)
    ratio = memorization(images, rows, held_out).ratio
    print(f"{name:22s} Fréchet {distance:6.1f}  precision {found.precision:.2f}  recall {found.recall:.2f}", end="  ")
    print(f"sharpness {sharpness(rows) / sharpness(held_out):.2f}", end="  ")
    print(f"distance to the nearest row fitted, as a share of that of rows held out: {ratio:.2f}")

# %%
# On the way from one digit to another codes turn about 0 rather than cross it.
ends = np.random.default_rng(1).choice(len(held_out), (6, 2))
ways = vae.interpolate(held_out[ends[:, 0]], held_out[ends[:, 1]], n_steps=10)
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
ax.imshow(tiles(ways), cmap="gray_r", vmin=0, vmax=16)
ax.set_title("from one digit to another")
ax.axis("off")
plt.show()
