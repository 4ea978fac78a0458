"""
Disentanglement: one component for each factor
==============================================

For images generated from known factors, metrics show whether each component of a code represents one factor. The
β-TCVAE (Chen et al., 2018) penalizes the dependence between components; a plain variational autoencoder does not.
"""

# %%
# One third of the images of squares, ellipses and hearts in 4 sizes, 6 rotations and 12 × 12 positions, at 16 × 16
# pixels.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import VAEGenerator
from skae.bottlenecks import TotalCorrelation
from skae.datasets import make_sprites
from skae.metrics import disentanglement, mutual_information_gap

images, factors = make_sprites(3456, image_size=16, random_state=0)
flat = images.reshape(len(images), -1)
settings = {
    "loss": "bernoulli",
    "module": "conv",
    "lr": 4e-3,
    "max_epochs": 22,
    "batch_size": 64,
    "prior": None,
    "random_state": 0,
}
models = {
    "PCA": PCA(6, random_state=0).fit(flat),
    "VAE": VAEGenerator(6, **settings).fit(images),
    "β-TCVAE": VAEGenerator(6, bottleneck=TotalCorrelation(6), **settings).fit(images),
}
codes = {name: model.transform(flat if name == "PCA" else images) for name, model in models.items()}

# %%
# Three metrics: the mutual information gap (MIG), the gap of linear predictability (SAP), and disentanglement and
# completeness by the importances of a forest (DCI). Random seeds differ by as much as the methods do, so that one run
# is no evidence; :doc:`/benchmarks` has three.
for name, Z in codes.items():
    found = disentanglement(Z[:1500], factors[:1500], random_state=0)
    print(f"{name:8s}", "  ".join(f"{key} {value:.2f}" for key, value in found._asdict().items()))
names = ["shape", "scale", "rotation", "x", "y"]
for name, Z in codes.items():
    gaps = mutual_information_gap(Z, factors, per_factor=True)
    print(f"{name:8s}", "  ".join(f"{factor} {gap:.2f}" for factor, gap in zip(names, gaps, strict=True)))

# %%
# The effect of each component: it varies from −2 to 2, and the others keep the values of one sprite.
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
steps = np.linspace(-2, 2, 9)
for ax, name in zip(axes, ("VAE", "β-TCVAE"), strict=True):
    start = codes[name][:1]
    moved = np.repeat(start, 6 * len(steps), axis=0).reshape(6, len(steps), 6)
    for component in range(6):
        moved[component, :, component] = steps
    decoded = models[name].inverse_transform(moved.reshape(-1, 6)).reshape(6, len(steps), 16, 16)
    ax.imshow(decoded.swapaxes(1, 2).reshape(96, 16 * len(steps)), cmap="gray", vmin=0, vmax=1)
    ax.set(title=name, xticks=[], yticks=np.arange(6) * 16 + 8, yticklabels=range(6), ylabel="component")
plt.show()
