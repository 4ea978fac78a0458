"""
Denoising images of one kind, against classical filters
=======================================================

A denoising autoencoder (Vincent et al., 2010) is trained to reconstruct clean images from noisy ones, and so learns how
images of this kind look. Filters such as total variation and non-local means do not use training images. PCA does, but
can only project onto a linear subspace.
"""

# %%
# Training uses clean digits; every batch adds new noise. With ``unit="data"`` its standard deviation
# is given in the units of the images.
import matplotlib.pyplot as plt
import numpy as np
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import ConvAutoencoder
from skae.metrics import peak_signal_noise_ratio, structural_similarity
from skae.noise import GaussianNoise

images = load_digits().images / 16  # (1797, 8, 8), in [0, 1]
train, test = images[:1400], images[1400:]
sigma = 0.3
noisy = test + np.random.default_rng(0).normal(scale=sigma, size=test.shape)

ae = ConvAutoencoder(32, noise=GaussianNoise(sigma, unit="data"), random_state=0).fit(train)
restored = {"noisy": noisy, "autoencoder": ae.reconstruct(noisy)}

# %%
# The parameters of the other methods are chosen on the test digits themselves, which favors them.


def psnr(candidate):
    """Peak signal-to-noise ratio on the test digits, in dB."""
    return peak_signal_noise_ratio(test, candidate.clip(0, 1), data_range=1)


def project(k):
    """Project the noisy digits onto the first principal components of the clean ones."""
    pca = PCA(k, random_state=0).fit(train.reshape(len(train), -1))
    return pca.inverse_transform(pca.transform(noisy.reshape(len(noisy), -1))).reshape(noisy.shape)


def total_variation(weight):
    """Total-variation denoising (Chambolle, 2004)."""
    return np.stack([denoise_tv_chambolle(image, weight=weight) for image in noisy])


def non_local_means(h):
    """Non-local means (Buades et al., 2005)."""
    settings = {"patch_size": 3, "patch_distance": 4, "sigma": sigma, "h": h}
    return np.stack([denoise_nl_means(image, **settings) for image in noisy])


restored["PCA"] = max((project(k) for k in range(4, 33, 4)), key=psnr)
restored["total variation"] = max((total_variation(w) for w in (0.1, 0.2, 0.3, 0.5)), key=psnr)
restored["non-local means"] = max((non_local_means(h) for h in (0.1, 0.2, 0.3, 0.5)), key=psnr)
for name, candidate in restored.items():
    ssim = structural_similarity(test, candidate.clip(0, 1), data_range=1)
    print(f"{name:16} {psnr(candidate):5.2f} dB, SSIM {ssim:.3f}")

# %%
# Ten test digits.
rows = {"clean": test, **restored}
figure, axes = plt.subplots(len(rows), 10, figsize=(9, 5.6), layout="constrained")
for line, (name, row) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, row, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1)
        ax.set_axis_off()
    title = name if name == "clean" else f"{name}\n{psnr(row):.1f} dB"
    line[0].text(-1.5, 3.5, title, ha="right", va="center")
figure.suptitle("Test digits: clean, noisy, and denoised by four methods")
plt.show()
