"""
Denoising photographs of any size
=================================

A convolutional network with a spatial code, ``module__dense=False``, accepts images of any size. It is trained on noisy
crops of five photographs, and applied to three others as a whole.
"""

# %%
# The photographs have several sizes and gray levels from 0 to 255. The noise is Gaussian with a standard deviation of
# 25 gray levels. The code has half the height and width of the image and 32 channels, so it is no bottleneck: the
# network only has to remove the noise.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.color import rgb2gray
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet
from sklearn.datasets import load_sample_images

from skae import ConvAutoencoder
from skae.metrics import peak_signal_noise_ratio
from skae.noise import GaussianNoise
from skae.plotting import ReconstructionDisplay

china, flower = load_sample_images().images
left, right, _ = data.stereo_motorcycle()
train = [255 * rgb2gray(image) for image in (data.astronaut(), data.coffee(), data.rocket(), china, left)]
test = [255 * rgb2gray(data.chelsea()), 255 * rgb2gray(flower), data.camera()]

sigma = 25
ae = ConvAutoencoder(
    32,
    noise=GaussianNoise(sigma, unit="data"),
    crop_size=48,
    n_crops=1000,
    augmentation="flip_rotate",
    module__dense=False,
    module__channels=48,
    module__downsampling="unshuffle",
    module__upsampling="shuffle",
    module__n_residual_blocks=2,
    batch_size=8,
    max_epochs=10,
    early_stopping=False,
    random_state=0,
).fit(train)

# %%
# ``reconstruct`` takes a list of photographs and returns a list of the same sizes.
rng = np.random.default_rng(0)
noisy = [image + rng.normal(scale=sigma, size=image.shape) for image in test]
restored = {"autoencoder": [image.clip(0, 255) for image in ae.reconstruct(noisy)]}
display = ReconstructionDisplay.from_predictions(
    [image.clip(0, 255) for image in noisy], restored["autoencoder"], X_target=test, zoom=(185, 235, 60, 60)
)
display.ax_.set_title("Three test photographs: noisy, denoised by the autoencoder, and clean")
plt.show()

# %%
# Classical filters need no training. Their parameters are chosen on the test photographs themselves, which favors them.


def psnr(images):
    """Mean peak signal-to-noise ratio over the test photographs, in dB."""
    errors = [np.mean((image - truth) ** 2.0) for image, truth in zip(images, test, strict=True)]
    return np.mean(10 * np.log10(255**2 / np.array(errors)))


def best(function, name, values):
    """Filter the photographs with the parameter of the highest PSNR."""
    tried = [[255 * function(image / 255, **{name: value}).clip(0, 1) for image in noisy] for value in values]
    return max(tried, key=psnr)


def non_local_means(image, h):
    """Non-local means (Buades et al., 2005)."""
    return denoise_nl_means(image, patch_size=5, patch_distance=6, sigma=sigma / 255, h=h)


def wavelets(image, sigma):
    """Shrinkage of wavelet coefficients (Chang et al., 2000)."""
    return denoise_wavelet(image, sigma=sigma, wavelet="db2", rescale_sigma=True)


restored["non-local means"] = best(non_local_means, "h", [0.05, 0.06, 0.08])
restored["total variation"] = best(denoise_tv_chambolle, "weight", [0.08, 0.1, 0.12])
restored["wavelets"] = best(wavelets, "sigma", [0.05, 0.07, 0.1])
print(f"{'noisy':16} {psnr([image.clip(0, 255) for image in noisy]):.2f} dB")
for name, images in restored.items():
    print(f"{name:16} {psnr(images):.2f} dB")

# %%
# A detail of the last photograph, with the PSNR of the whole photograph.
tiles = {"noisy": [image.clip(0, 255) for image in noisy], **restored, "photograph": test}
figure, axes = plt.subplots(2, 3, figsize=(9, 4.7), layout="constrained")
for ax, (name, images) in zip(axes.flat, tiles.items(), strict=True):
    ax.imshow(images[-1][70:220, 160:380], cmap="gray", vmin=0, vmax=255)
    value = peak_signal_noise_ratio(test[-1][None], images[-1][None], data_range=255)
    ax.set_title(name if name == "photograph" else f"{name}, {value:.1f} dB")
    ax.set_axis_off()
plt.show()

# %%
# A detail of the second photograph: noisy, denoised by the autoencoder, and by the best of the filters. After this
# short training on five photographs the autoencoder is ahead of non-local means by two to three tenths of a decibel.
filters = {name: images for name, images in restored.items() if name != "autoencoder"}
best_filter = max(filters, key=lambda name: psnr(filters[name]))
tiles = {"noisy": tiles["noisy"], "skae": restored["autoencoder"], best_filter: filters[best_filter]}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
for ax, (name, images) in zip(axes, tiles.items(), strict=True):
    ax.imshow(images[1][130:280, 205:355], cmap="gray", vmin=0, vmax=255)
    value = peak_signal_noise_ratio(test[1][None], images[1][None], data_range=255)
    ax.set_title(f"{name}\n{value:.1f} dB", fontsize=19)
    ax.set_axis_off()
plt.show()
