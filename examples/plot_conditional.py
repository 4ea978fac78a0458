"""
Conditional generation: images of a given class
===============================================

With ``conditional=True`` the decoder takes y as an input. The code then represents what y does not determine, such as
slant and stroke width, and ``sample`` takes the y of each sample.
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
# Generate one row for each class. A classifier trained on real digits checks whether they are of the requested class.


def tiles(rows):
    """Arrange images, (n_rows, n_columns, 8, 8), as one picture with margins."""
    n, m = rows.shape[:2]
    return np.pad(rows, ((0, 0), (0, 0), (1, 1), (1, 1))).swapaxes(1, 2).reshape(10 * n, 10 * m)


requested = np.repeat(vae.classes_, 100)
generated = vae.sample(y=requested, random_state=0)
classifier = SVC().fit(images.reshape(len(images), -1), y)
real = held_out.reshape(len(held_out), -1)
synthetic = generated.reshape(len(generated), -1)
print(f"accuracy of the classifier on real held-out digits: {classifier.score(real, y_held_out):.1%}")
print(f"generated digits classified as requested: {classifier.score(synthetic, requested):.1%}")

fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
rows = generated.reshape(10, 100, 8, 8)[:, :12]
ax.imshow(tiles(rows), cmap="gray_r", vmin=0, vmax=16)
ax.set_yticks(np.arange(10) * 10 + 4.5, vae.classes_)
ax.set_xticks([])
ax.set_title("Generated digits, one class per row")

# %%
# Decode the codes of real digits with every y: the style stays, and the class changes.
codes = vae.transform(held_out[:8])
fig, ax = plt.subplots(figsize=(6, 4.6), layout="constrained")
columns = [held_out[:8], *(vae.inverse_transform(codes, y=digit) for digit in vae.classes_)]
ax.imshow(tiles(np.stack(columns, axis=1)), cmap="gray_r", vmin=0, vmax=16)
ax.set_xticks(np.arange(11) * 10 + 4.5, ["real", *vae.classes_])
ax.set_yticks([])
ax.set_title("One code per row, decoded with each class")

# %%
# A bound on log p(x|y) for every y gives a classifier as well, by Bayes' rule.
bounds = np.stack([vae.score_samples(held_out, y=digit) for digit in vae.classes_], axis=1)
likeliest = bounds.argmax(axis=1)
print(f"accuracy of the class with the largest bound: {(likeliest == y_held_out).mean():.1%} of held-out digits")
plt.show()
