"""
Digits on demand: a conditional variational autoencoder
=======================================================

With ``conditional=True`` the decoder is told y. The code then only has to hold what y does not say, such as slant and
stroke, and ``sample`` takes the y that is wanted.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skae import VAEGenerator

digits = load_digits()
images, held_out, y, y_held_out = train_test_split(digits.images, digits.target, test_size=0.3, random_state=0)
vae = VAEGenerator(12, module="conv", conditional=True, lr=4e-3, max_epochs=50, random_state=0).fit(images, y)

# %%
# One row for each class. A classifier that has seen real digits only is asked what it sees.


def tiles(rows):
    """One picture of a table of images, (n, m, 8, 8), with room between them."""
    n, m = rows.shape[:2]
    return np.pad(rows, ((0, 0), (0, 0), (1, 1), (1, 1))).swapaxes(1, 2).reshape(10 * n, 10 * m)


asked = np.repeat(vae.classes_, 100)
made = vae.sample(y=asked, random_state=0)
classifier = SVC().fit(images.reshape(len(images), -1), y)
real, found = held_out.reshape(len(held_out), -1), made.reshape(len(made), -1)
print(f"The classifier is right on {classifier.score(real, y_held_out):.1%} of real digits,")
print(f"and sees the digit asked for in {classifier.score(found, asked):.1%} of those made.")

fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
rows = made.reshape(10, 100, 8, 8)[:, :12]
ax.imshow(tiles(rows), cmap="gray_r", vmin=0, vmax=16)
ax.set_yticks(np.arange(10) * 10 + 4.5, vae.classes_)
ax.set_xticks([])
ax.set_title("Digits asked for by their class, and made")

# %%
# The same code under another y: style stays, the digit changes.
codes = vae.transform(held_out[:8])
fig, ax = plt.subplots(figsize=(6, 4.6), layout="constrained")
columns = [held_out[:8], *(vae.inverse_transform(codes, y=digit) for digit in vae.classes_)]
ax.imshow(tiles(np.stack(columns, axis=1)), cmap="gray_r", vmin=0, vmax=16)
ax.set_xticks(np.arange(11) * 10 + 4.5, ["real", *vae.classes_])
ax.set_yticks([])
ax.set_title("One code, ten digits")

# %%
# log p(x|y) for every y is a classifier too, by Bayes' rule.
bounds = np.stack([vae.score_samples(held_out, y=digit) for digit in vae.classes_], axis=1)
likeliest = bounds.argmax(axis=1)
print(f"The likeliest class is the right one for {(likeliest == y_held_out).mean():.1%} of digits held out.")
plt.show()
