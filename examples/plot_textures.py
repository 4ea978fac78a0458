"""
Textures: of any size, mixed, and new ones
==========================================

`skae.textures.TextureSynthesizer` trains an autoencoder on one exemplar or several, which takes half a minute, and then
makes textures of any size that tile, in about a second each.
"""

# %%
# Two exemplars, gravel and grass, of 256 × 256 pixels.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.transform import resize

from skae import ConvAutoencoder
from skae.metrics import copied_share, patch_distance, seam_ratio, two_sample_auc
from skae.plotting import TextureDisplay
from skae.textures import TextureSynthesizer


def reduced(image):
    """An image of 256 × 256 pixels."""
    return np.rint(255 * resize(image, (256, 256), anti_aliasing=True)).astype(np.uint8)


gravel, grass = reduced(data.gravel()), reduced(data.grass())
synthesizer = TextureSynthesizer(random_state=0).fit([gravel, grass])
print(f"blocks of {synthesizer.block_size_} pixels, codes at every {synthesizer.stride_} pixels")

# %%
# More gravel
# -----------
# ``weights`` asks for the first exemplar alone. The sample is drawn tiled 2 × 2; ticks mark where the tiles meet. To
# the right is where its pixels come from: a texture is a quilt of blocks of the exemplar, cut where they fit best.
sample, sources = synthesizer.sample(size=(384, 384), weights=(1, 0), random_state=0, return_sources=True)
display = TextureDisplay(exemplars=[gravel], samples=sample, sources=sources, stride=synthesizer.stride_).plot()
display.figure_.suptitle("Gravel, synthesized and tiled")
plt.show()

# %%
# Figures compare a sample with the exemplar: patches that are distributed as in crops of the exemplar have a distance
# of about 1, and a classifier that cannot tell them apart an AUC of 0.5. Most of it is copied, by design.
copied = copied_share(sample, gravel)
print(f"patch distance  {patch_distance(sample, gravel):.2f}")
print(f"two-sample AUC  {two_sample_auc(sample, gravel):.2f}")
print(f"copied          {copied.share:.0%}, at most {copied.largest} pixels wide")
print(f"seam ratio      {seam_ratio(sample):.2f}")

# %%
# Both at once
# ------------
# A mask says where the second exemplar is to be, and is respected to the cell; a soft one gives patches. ``weights``
# are shares of the whole. The decoder blends the borders.
rows, columns = np.indices((256, 256)) / 255
disk = np.hypot(rows - 0.5, columns - 0.5) < 0.32
mixes = {
    "mask: a disk": synthesizer.sample(mask=disk, random_state=0)[0],
    "mask: from left to right": synthesizer.sample(mask=columns, random_state=0)[0],
    "weights=(0.7, 0.3)": synthesizer.sample(weights=(0.7, 0.3), random_state=0)[0],
}
_, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
for ax, (title, image) in zip(axes, mixes.items(), strict=True):
    ax.imshow(image, cmap="gray")
    ax.set_title(title)
    ax.axis("off")
plt.show()

# %%
# A new material
# --------------
# ``blend`` keeps the layout of the first exemplar and moves the mean and covariance of its codes toward those of the
# second: stained tissue, by night. A shorter training does for this.
tissue = data.immunohistochemistry()[:256, :256]
galaxies = data.hubble_deep_field()[180:692:2, 244:756:2]
ae = ConvAutoencoder(6, module__dense=False, batch_size=8, crop_size=64, n_crops=128, max_epochs=6)
synthesizer = TextureSynthesizer(ae, random_state=0).fit([tissue, galaxies])
_, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained")
for ax, blend in zip(axes, (0, 0.3, 0.6), strict=False):
    only_first = {"weights": (1, 0)} if blend == 0 else {"blend": blend}
    ax.imshow(synthesizer.sample(random_state=0, **only_first)[0])
    ax.set_title(f"blend={blend}")
axes[-1].imshow(galaxies)
axes[-1].set_title("the second exemplar")
for ax in axes:
    ax.axis("off")
plt.show()

# %%
# What is synthesized is made of pieces of the exemplar. Of an image that is no texture, such as a face, one gets a
# collage.
