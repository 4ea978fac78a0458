"""
Data larger than memory
=======================

A memory-mapped array is read while it is used, never as a whole, where it does not fit in the memory that it may
take. How much that is, is said by scikit-learn's ``working_memory``; here it is set so low that 200 MB count as too
much.
"""

# %%
# A file of 200,000 rows, written block by block: ten factors bent by a sine, seen in 256 columns through noise.
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
    """Rows that lie near a curved surface of ten dimensions; the noise has a variance of 0.01."""
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
# A thread looks at the memory of the process fifty times a second. On Linux ``/proc/self/statm`` has the resident set
# as it is, pages of the file that are mapped at the time included. Elsewhere there is only its maximum so far, from
# ``resource``.


def resident():
    """Resident memory of this process in MB."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    import resource  # which Windows has not

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


class Watch(threading.Thread):
    """Writes down the memory until it is told to stop."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done, self.seconds, self.megabytes = threading.Event(), [], []

    def __enter__(self):
        """Begin."""
        self.begin = time.perf_counter()
        self.start()
        return self

    def __exit__(self, *error):
        """Stop."""
        self.done.set()
        self.join()

    def run(self):
        """Look, and wait."""
        while not self.done.wait(0.02):
            self.seconds.append(time.perf_counter() - self.begin)
            self.megabytes.append(resident())


# %%
# ``working_memory`` is in MiB. Half of it may hold rows, so with 64 those of this file are too many; windows of a
# sixteenth, 4 MiB, are read instead. The default, 1,024, lets them be loaded, for comparison. Where rows are
# read in windows they are shuffled by blocks and fewer are held out, so the errors differ somewhat.
test = make_rows(5000)
AutoencoderTransformer(10, max_epochs=1).fit(test)  # what a first fit loads has nothing to do with the file
pca = PCA(10, random_state=0).fit(rows[:50_000])
print(f"mean squared error on new rows: PCA {((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean():.4f}")

settings = {"module__hidden_layer_sizes": (128, 64), "lr": 0.01, "batch_size": 1024, "max_epochs": 3}  # for a short run
found = {}
for name, working_memory in {"read while used": 64, "loaded": 1024}.items():
    with sklearn.config_context(working_memory=working_memory), Watch() as watch:
        ae = AutoencoderTransformer(10, random_state=0, **settings).fit(rows)
    found[name] = np.array(watch.seconds), np.array(watch.megabytes) - watch.megabytes[0]
    error = ((ae.reconstruct(test) - test) ** 2).mean()
    print(f"{name:15} {found[name][0][-1]:4.1f} s, {found[name][1].max():4.0f} MB more at most, error {error:.4f}")

# %%
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for (name, (seconds, growth)), colour in zip(found.items(), ("C0", "C1"), strict=True):
    ax.fill_between(seconds, growth.clip(0), color=colour, alpha=0.2)
    ax.plot(seconds, growth, color=colour, label=name)
ax.axhline(size, color="black", linestyle="--", linewidth=1)
ax.text(0.5, 0.98 * size, "size of the file", fontsize=11, va="top", ha="left")
highest = max(growth.max() for _, growth in found.values())
ax.set(xlabel="seconds", ylabel="resident memory, MB more than before", ylim=(0, 1.3 * max(size, highest)))
ax.set_title("Memory during a fit")
ax.legend(frameon=False, loc="upper right", ncols=2)
plt.show()

# %%
# dask and zarr arrays, HDF5 datasets and torch's ``Dataset`` go the same way: see :doc:`/guide/large_data`.
del rows
folder.cleanup()
print("the file is there still:", path.exists())
