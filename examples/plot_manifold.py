"""
A two-dimensional map of images
===============================

With two components the code is a plane. Images of the same class form clusters in it, and decoding a grid of points
shows which images each region represents.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skae import VAEGenerator

X, y = load_digits(return_X_y=True)
vae = VAEGenerator(2, module="conv", lr=4e-3, max_epochs=50, random_state=0).fit(X)
mean, std = vae.transform_distribution(X)
print(f"standard deviation: of each posterior {std.mean():.2f}, of the posterior means {mean.std():.2f}")

# %%
# The coordinates of the grid are quantiles of the codes, so that dense regions take more space in the picture.
steps = np.linspace(0.02, 0.98, 18)
across, down = np.quantile(mean[:, 0], steps), np.quantile(mean[:, 1], steps)[::-1]
grid = np.stack(np.meshgrid(across, down), axis=-1)
decoded = vae.inverse_transform(grid.reshape(-1, 2)).reshape(18, 18, 8, 8)

fig, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
points = axes[0].scatter(*mean.T, c=y, s=6, cmap="tab10", vmin=-0.5, vmax=9.5)
axes[0].set(title="Codes, colored by digit", xlabel="first component", ylabel="second component", aspect="equal")
fig.colorbar(points, ax=axes[0], ticks=range(10), shrink=0.8)
axes[1].imshow(decoded.swapaxes(1, 2).reshape(144, 144), cmap="gray_r", vmin=0, vmax=16)
axes[1].set_title("Decoded grid of codes")
axes[1].axis("off")
plt.show()
