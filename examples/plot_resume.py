"""
A fit that is broken off and goes on
====================================

Long fits die: of a full disk, a power cut, a job's time limit. With ``checkpoint=``, a path, ``fit`` writes a file
after every epoch. The same ``fit``, called again, goes on from the last whole epoch and ends as if nothing had
happened; on the CPU to the bit.
"""

# %%
# The accident is a skorch callback that raises an error before the 26th epoch. Ctrl-C would do as well. (A callback
# that raises ``KeyboardInterrupt`` itself would be no accident: in skorch that is how a callback ends training in
# order.)
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from skae import AutoencoderTransformer

X = load_digits().data


class Accident(Callback):
    """Breaks training off when so many epochs are done."""

    def __init__(self, after):
        self.after = after

    def on_epoch_begin(self, net, **kwargs):
        """Look at the history, which has a row for every epoch."""
        if len(net.history) == self.after:
            raise OSError("No space left on device")


# %%
# The file is there after the accident and gone after the fit that went on from it. ``callbacks`` may differ between the
# two; other parameters, or other data, and the file would be refused.
settings = {"n_components": 8, "max_epochs": 60, "random_state": 0}
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "fit.skae")
    try:
        AutoencoderTransformer(**settings, checkpoint=path, callbacks=[Accident(25)]).fit(X)
    except OSError as error:
        print(f"broken off: {error}; left {path.name}, {path.stat().st_size / 1e6:.1f} MB")
    resumed = AutoencoderTransformer(**settings, checkpoint=path).fit(X)
    print("the file is there still:", path.exists())

whole = AutoencoderTransformer(**settings).fit(X)

# %%
# Equal means equal: losses, codes and the epoch whose weights were kept.
assert resumed.loss_curve_ == whole.loss_curve_
assert resumed.validation_loss_curve_ == whole.validation_loss_curve_
assert resumed.best_epoch_ == whole.best_epoch_
assert np.array_equal(resumed.transform(X), whole.transform(X))
print(f"largest difference of the codes: {np.abs(resumed.transform(X) - whole.transform(X)).max():g}")

# %%
# The two curves lie on each other: learning rate, order of the rows and the optimizer's averages go on where they were.
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
epochs = np.arange(1, 61)
ax.plot(epochs, whole.loss_curve_, color="0.8", linewidth=8, solid_capstyle="round", label="never broken off")
ax.plot(epochs[:25], resumed.loss_curve_[:25], color="C0", linewidth=2, label="until the accident")
ax.plot(epochs[24:], resumed.loss_curve_[24:], color="C1", linewidth=2, linestyle="--", label="resumed")
ax.axvline(25, color="black", linewidth=0.8, linestyle=":")
ax.text(25.7, max(whole.loss_curve_), "accident", va="top")
ax.set(xlabel="epoch", ylabel="squared error of a row", title="Training loss of a fit in two parts, and of one in one")
ax.legend(frameon=False)
plt.show()
