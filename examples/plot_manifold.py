"""
The plane of all digits
=======================

With two components the code is a plane. Each digit is a cloud in it, and decoding the points of a grid shows what lies
where, and how one digit turns into another.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skae import VAEGenerator

X, y = load_digits(return_X_y=True)
vae = VAEGenerator(2, module="conv", lr=4e-3, max_epochs=50, random_state=0).fit(X)
mean, std = vae.transform_distribution(X)
print(f"A digit takes a spot of {std.mean():.2f} in a plane where the means spread over {mean.std():.2f}.")

# %%
# The grid is even in probability: its points are quantiles of the codes, so crowded parts get more of the picture.
steps = np.linspace(0.02, 0.98, 18)
across, down = np.quantile(mean[:, 0], steps), np.quantile(mean[:, 1], steps)[::-1]
grid = np.stack(np.meshgrid(across, down), axis=-1)
decoded = vae.inverse_transform(grid.reshape(-1, 2)).reshape(18, 18, 8, 8)

fig, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
points = axes[0].scatter(*mean.T, c=y, s=6, cmap="tab10")
axes[0].set(title="codes of the digits", xlabel="first component", ylabel="second component", aspect="equal")
fig.colorbar(points, ax=axes[0], ticks=range(10), shrink=0.8)
axes[1].imshow(decoded.swapaxes(1, 2).reshape(144, 144), cmap="gray_r", vmin=0, vmax=16)
axes[1].set_title("what lies where")
axes[1].axis("off")
plt.show()
