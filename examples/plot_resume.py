"""
Resuming interrupted training
=============================

Long fits can end early: by a full disk, a power cut or the time limit of a job. With ``checkpoint=path``, ``fit``
writes a file after every epoch. Called again with the same parameters and data, it continues from the last complete
epoch. The result is the same as without the interruption, on the CPU to the bit.
"""

# %%
# Training of a denoiser of photographs is interrupted. The interruption is simulated by a skorch callback that raises
# an error before the sixth epoch.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.color import rgb2gray
from skorch.callbacks import Callback

from skae import ConvAutoencoder
from skae.noise import GaussianNoise

photographs = [data.camera().astype(float), data.coins().astype(float)]


class Interruption(Callback):
    """Raise an error after a number of epochs."""

    def __init__(self, after):
        self.after = after

    def on_epoch_begin(self, net, **kwargs):
        """Count the epochs in the history."""
        if len(net.history) == self.after:
            raise OSError("No space left on device")


settings = {
    "n_components": 16,
    "noise": GaussianNoise(25, unit="data"),
    "crop_size": 32,
    "n_crops": 400,
    "batch_size": 8,
    "module__dense": False,
    "module__channels": 24,
    "module__downsampling": "unshuffle",
    "module__upsampling": "shuffle",
    "max_epochs": 12,
    "random_state": 0,
}

# %%
# The checkpoint exists after the interruption, and is removed by the fit that completes the training. ``callbacks`` may
# differ between the two. With other parameters or other data the checkpoint is refused.
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "fit.skae")
    try:
        ConvAutoencoder(**settings, checkpoint=path, callbacks=[Interruption(5)]).fit(photographs)
    except OSError as error:
        print(f"interrupted: {error}; checkpoint {path.name}, {path.stat().st_size / 1e6:.1f} MB")
    resumed = ConvAutoencoder(**settings, checkpoint=path).fit(photographs)
    print("checkpoint exists after the second fit:", path.exists())

uninterrupted = ConvAutoencoder(**settings).fit(photographs)

# %%
# Losses, the selected epoch and reconstructions are identical.
cat = 255 * rgb2gray(data.chelsea())
noisy = cat + np.random.default_rng(0).normal(scale=25, size=cat.shape)
denoised = resumed.reconstruct([noisy])[0]
assert resumed.loss_curve_ == uninterrupted.loss_curve_
assert resumed.validation_loss_curve_ == uninterrupted.validation_loss_curve_
assert resumed.best_epoch_ == uninterrupted.best_epoch_
assert np.array_equal(denoised, uninterrupted.reconstruct([noisy])[0])
print(f"largest difference: {np.abs(denoised - uninterrupted.reconstruct([noisy])[0]).max():g}")

# %%
# Left, the training losses. The learning rate, the order of the crops and the state of the optimizer continue where
# they were. Right, a detail of another photograph, denoised by the resumed model.
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained", width_ratios=[2, 1.2, 1.2])
ax, epochs = axes[0], np.arange(1, len(uninterrupted.loss_curve_) + 1)
ax.plot(epochs, uninterrupted.loss_curve_, color="0.8", linewidth=8, solid_capstyle="round", label="uninterrupted")
ax.plot(epochs[:5], resumed.loss_curve_[:5], color="C0", linewidth=2, label="until the interruption")
ax.plot(epochs[4:], resumed.loss_curve_[4:], color="C1", linewidth=2, linestyle="--", label="resumed")
ax.axvline(5, color="black", linewidth=0.8, linestyle=":")
ax.set(xlabel="epoch", ylabel="squared error per crop", title="Training loss")
ax.legend(frameon=False)
for ax, title, image in zip(axes[1:], ("noisy", "denoised"), (noisy, denoised), strict=True):
    ax.imshow(image[60:190, 150:280], cmap="gray", vmin=0, vmax=255)
    ax.set_title(title)
    ax.set_axis_off()
plt.show()
