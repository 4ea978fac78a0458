"""
Training on data larger than memory
===================================

A memory-mapped array that exceeds the memory allowed for it is read in parts during training, and never loaded as a
whole. The limit is scikit-learn's ``working_memory``; here it is set so low that 200 MB exceed it.
"""

# %%
# Write a file of 200,000 samples in blocks: 256 nonlinear functions of ten factors, with noise.
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer

n_rows, n_features, block = 200_000, 256, 5_000
rng = np.random.default_rng(0)
first, second = rng.normal(size=(10, 40)), rng.normal(size=(40, n_features)) / 40**0.5


def make_rows(n):
    """Draw samples near a curved manifold of ten dimensions, with noise of variance 0.01."""
    rows = np.sin(rng.normal(size=(n, 10)) @ first / 3) @ second
    return (rows + rng.normal(scale=0.1, size=rows.shape)).astype(np.float32)


folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "rows.npy")
rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_rows, n_features))
for start in range(0, n_rows, block):
    rows[start : start + block] = make_rows(block)
    rows.flush()
size = path.stat().st_size / 1e6
print(f"{path.name}: {rows.shape}, {size:.0f} MB")
rows = np.load(path, mmap_mode="r")

# %%
# A thread records the resident memory of the process fifty times a second. On Linux it reads ``/proc/self/statm``,
# which includes the pages of the file that are mapped at the time. Elsewhere ``resource`` has only the maximum so far.


def resident():
    """Resident memory of this process in MB."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    import resource  # not available on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


class Watch(threading.Thread):
    """Record the memory in the background."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done, self.seconds, self.megabytes = threading.Event(), [], []

    def __enter__(self):
        """Start recording."""
        self.begin = time.perf_counter()
        self.start()
        return self

    def __exit__(self, *error):
        """Stop recording."""
        self.done.set()
        self.join()

    def run(self):
        """Record until stopped."""
        while not self.done.wait(0.02):
            self.seconds.append(time.perf_counter() - self.begin)
            self.megabytes.append(resident())


# %%
# ``working_memory`` is given in MiB. With 64, this file exceeds the half of it that may be used for data, so it is read
# in windows of a sixteenth, 4 MiB. With the default of 1,024 it is loaded. Windows are shuffled by blocks, and fewer
# samples are held out for validation, so that the errors differ slightly.
test = make_rows(5000)
AutoencoderTransformer(10, max_epochs=1).fit(test)  # the first fit loads libraries
pca = PCA(10, random_state=0).fit(rows[:50_000])
error = ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()
print(f"mean squared error on test samples: PCA {error:.4f}")

settings = {"module__hidden_layer_sizes": (128, 64), "lr": 0.01, "batch_size": 1024, "max_epochs": 3}  # for a short run
found = {}
for name, working_memory in {"read in windows": 64, "loaded": 1024}.items():
    with sklearn.config_context(working_memory=working_memory), Watch() as watch:
        ae = AutoencoderTransformer(10, random_state=0, **settings).fit(rows)
    found[name] = np.array(watch.seconds), np.array(watch.megabytes) - watch.megabytes[0]
    error = ((ae.reconstruct(test) - test) ** 2).mean()
    print(f"{name:15} {found[name][0][-1]:4.1f} s, {found[name][1].max():4.0f} MB more at the peak, error {error:.4f}")

# %%
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for (name, (seconds, growth)), color in zip(found.items(), ("C0", "C1"), strict=True):
    ax.fill_between(seconds, growth.clip(0), color=color, alpha=0.2)
    ax.plot(seconds, growth, color=color, label=name)
ax.axhline(size, color="black", linestyle="--", linewidth=1)
ax.text(0.5, 0.98 * size, "size of the file", fontsize=11, va="top", ha="left")
highest = max(growth.max() for _, growth in found.values())
ax.set(xlabel="seconds", ylabel="increase of resident memory, MB", ylim=(0, 1.3 * max(size, highest)))
ax.set_title("Memory during a fit")
ax.legend(frameon=False, loc="upper right", ncols=2)
plt.show()

# %%
# Dask and Zarr arrays, HDF5 datasets and torch's ``Dataset`` are read in the same way: see :doc:`/guide/large_data`.
del rows
folder.cleanup()
