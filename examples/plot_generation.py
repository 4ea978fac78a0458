"""
Generating images: priors and a critic
======================================

A variational autoencoder is trained with the prior N(0, I), but the codes of the data do not fill it. Codes drawn from
the regions between them are decoded to images that look like none of the data. `~skae.VAEGenerator` therefore fits a
Gaussian mixture to the codes after training, and draws from it (Ghosh et al., 2020). ``prior=None`` draws from N(0, I).

The decoder predicts the mean of what the code does not determine, which looks blurred. A critic trains it further, to
decode images that the critic cannot distinguish from real ones (Larsen et al., 2016). Codes and mixture do not change.
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
print(f"evidence lower bound of held-out images: {vae.score(held_out):.1f} nats")
print(f"active components of the code: {vae.active_units_}; components of the mixture: {vae.prior_.n_components}")

# %%
# The same decoder, with codes from N(0, I) and from the mixture, and the decoder trained with a critic.


def tiles(rows):
    """Arrange images, (n_rows, n_columns, 8, 8), as one picture with margins."""
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
# The metrics use the features of a classifier of digits. The Fréchet distance between two sets of real images is the
# lowest to expect. The ratio compares distances to the nearest training image, of generated and of held-out images:
# copies would have a ratio far below 1.
classifier = MLPClassifier((64,), max_iter=300, random_state=0).fit(images.reshape(len(images), -1), y)
for name, rows in samples.items():
    reference = images[:n] if name == "real" else held_out
    distance = frechet_distance(reference, rows, features=classifier)
    found = precision_recall_density_coverage(reference, rows, features=classifier)
    ratio = memorization(images, rows, held_out).ratio
    print(f"{name:22s} Fréchet {distance:6.1f}  precision {found.precision:.2f}  recall {found.recall:.2f}", end="  ")
    print(f"sharpness {sharpness(rows) / sharpness(held_out):.2f}  distance ratio {ratio:.2f}")

# %%
# Interpolation between two images. Codes are interpolated along arcs around zero, on which the norm changes little.
ends = np.random.default_rng(1).choice(len(held_out), (6, 2))
sequences = vae.interpolate(held_out[ends[:, 0]], held_out[ends[:, 1]], n_steps=10)
fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
ax.imshow(tiles(sequences), cmap="gray_r", vmin=0, vmax=16)
ax.set_title("Interpolation between test digits")
ax.axis("off")
plt.show()
