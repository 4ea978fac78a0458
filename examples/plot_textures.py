"""
Synthesizing textures
=====================

`skae.textures.TextureSynthesizer` trains an autoencoder on one or more exemplars in about half a minute. It then
synthesizes textures of any size, which tile without seams, in about a second each. Most of their pixels are copied from
the exemplars, in another arrangement.
"""

# %%
# The exemplars are photographs of gravel and grass, of 256 × 256 pixels.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.transform import resize

from skae import ConvAutoencoder
from skae.metrics import copied_share, patch_distance, seam_ratio, two_sample_auc
from skae.plotting import TextureDisplay
from skae.textures import TextureSynthesizer


def reduced(image):
    """Resize an image to 256 × 256 pixels."""
    return np.rint(255 * resize(image, (256, 256), anti_aliasing=True)).astype(np.uint8)


gravel, grass = reduced(data.gravel()), reduced(data.grass())
synthesizer = TextureSynthesizer(random_state=0).fit([gravel, grass])
print(f"blocks of {synthesizer.block_size_} pixels, codes at every {synthesizer.stride_} pixels")

# %%
# One texture
# -----------
# ``weights`` selects the first exemplar. The sample is shown tiled 2 × 2, with ticks where the tiles meet. The map on
# the right shows the position in the exemplar that each pixel comes from: a texture is a quilt of blocks of the
# exemplar, cut along the seams where neighbors fit best.
sample, sources = synthesizer.sample(size=(384, 384), weights=(1, 0), random_state=0, return_sources=True)
display = TextureDisplay(exemplars=[gravel], samples=sample, sources=sources, stride=synthesizer.stride_).plot()
display.figure_.suptitle("Gravel, synthesized and tiled")
plt.show()

# %%
# Metrics compare the sample with the exemplar. A patch distance of 1 is that of crops of the exemplar, and an AUC of
# 0.5 means that a classifier cannot distinguish their patches. The copied share is high by design: the method
# rearranges the exemplar, and blends only borders.
copied = copied_share(sample, gravel)
print(f"patch distance  {patch_distance(sample, gravel):.2f}")
print(f"two-sample AUC  {two_sample_auc(sample, gravel):.2f}")
print(f"copied          {copied.share:.0%}, at most {copied.largest} pixels wide")
print(f"seam ratio      {seam_ratio(sample):.2f}")

# %%
# Mixtures of two textures
# ------------------------
# A mask sets where the second exemplar appears; values between 0 and 1 give its share there. ``weights`` sets the
# shares in the whole image. The decoder blends the borders.
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
# Blends
# ------
# ``blend`` keeps the layout of the first exemplar, stained tissue, and moves the mean and covariance of its codes
# toward those of the second, a photograph of galaxies. A shorter training is enough here.
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
# Exemplars have to be textures. An image of objects, such as a face, gives a collage of its parts.
