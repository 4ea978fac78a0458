"""
Denoising micrographs without clean images
==========================================

Short exposures are noisy, and clean images to train on are often not available. Two noisy images of the same field are
enough (Lehtinen et al., 2018): the noise of the second cannot be predicted from the first, so that the network learns
to predict the signal that both share.
"""

# %%
# Eight exposures of the upper part of a stained section, simulated with about one hundred photons for white, are for
# training, and a single one of the lower part for testing. ``X_target`` has the exposures in another order, so that the
# network predicts one exposure from another.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

from skae import ConvAutoencoder
from skae.metrics import peak_signal_noise_ratio
from skae.plotting import ReconstructionDisplay

section = data.immunohistochemistry() / 255
upper, lower = section[:320], section[320:]
rng = np.random.default_rng(0)
n_photons = 100


def expose(image):
    """Simulate an exposure: photon counts follow a Poisson distribution."""
    return rng.poisson(n_photons * image) / n_photons


exposures = [expose(upper) for _ in range(8)]
ae = ConvAutoencoder(
    32,
    crop_size=48,
    n_crops=800,
    augmentation="flip_rotate",
    module__dense=False,
    module__channels=48,
    module__downsampling="unshuffle",
    module__upsampling="shuffle",
    module__n_residual_blocks=2,
    batch_size=16,
    max_epochs=10,
    random_state=0,
).fit(exposures, X_target=exposures[1:] + exposures[:1])

noisy = expose(lower)
restored = {"autoencoder": ae.reconstruct([noisy])[0].clip(0, 1)}
display = ReconstructionDisplay.from_predictions(
    [noisy.clip(0, 1)], [restored["autoencoder"]], X_target=[lower], zoom=(60, 150, 60, 90)
)
display.ax_.set_title("The lower part: noisy, denoised and clean")
plt.show()

# %%
# The parameters of the classical filters are chosen on this test image itself, which favors them.


def psnr(image):
    """Peak signal-to-noise ratio on the lower part, in dB."""
    return peak_signal_noise_ratio(lower[None], image.clip(0, 1)[None], data_range=1)


def best(function, name, values, **settings):
    """Filter the lower part with the parameter of the highest PSNR."""
    return max((function(noisy, channel_axis=-1, **settings, **{name: v}).clip(0, 1) for v in values), key=psnr)


means = {"patch_size": 5, "patch_distance": 6, "sigma": 0.08}
shrinkage = {"wavelet": "db2", "convert2ycbcr": True, "rescale_sigma": True}
restored["non-local means"] = best(denoise_nl_means, "h", [0.03, 0.04, 0.06, 0.08], **means)
restored["total variation"] = best(denoise_tv_chambolle, "weight", [0.04, 0.06, 0.08, 0.1])
restored["wavelets"] = best(denoise_wavelet, "sigma", [0.06, 0.07, 0.08, 0.1], **shrinkage)
print(f"{'noisy':16} {psnr(noisy):.2f} dB")
for name, image in restored.items():
    print(f"{name:16} {psnr(image):.2f} dB")

# %%
# A detail, with the PSNR of the whole image.
tiles = {"noisy": noisy, **restored, "clean": lower}
figure, axes = plt.subplots(2, 3, figsize=(9, 4.7), layout="constrained")
for ax, (name, image) in zip(axes.flat, tiles.items(), strict=True):
    ax.imshow(image[30:150, 100:280].clip(0, 1))
    ax.set_title(name if name == "clean" else f"{name}, {psnr(image):.1f} dB")
    ax.set_axis_off()
plt.show()
