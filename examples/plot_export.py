"""
ONNX: the same numbers without Python
=====================================

``skae.export.to_onnx`` writes a fitted autoencoder, or half of it, to one file that onnxruntime runs, in C++, C#, Java
or JavaScript as well. It takes raw rows: the conditioning is in the graph. How far is it from the estimator, and how
fast?
"""

# %%
# An encoder, and the whole way of a row. Both graphs take any number of rows.
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer
from skae.export import to_onnx

X = load_digits().data.astype(np.float32)
ae = AutoencoderTransformer(8, max_epochs=30, random_state=0).fit(X)

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # as skae uses for a network of this size
sessions = {}
with tempfile.TemporaryDirectory() as folder:
    for part in ("encoder", "reconstruct"):
        path = Path(folder, f"{part}.onnx")
        to_onnx(ae, path, part=part)
        sessions[part] = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")

# %%
# The same numbers
# ----------------
# Differences are relative to the root mean square of the values. Many values are equal to the bit. The others differ as
# float32 numbers do that were summed in another order: one rounding is the dashed line.
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
bins = 2.0 ** np.arange(-30.5, -17)  # around powers of two, on which rounding gathers
codes, X_hat = ae.transform(X), ae.reconstruct(X)
for part, by_torch, colour in (("encoder", codes, "C0"), ("reconstruct", X_hat, "C1")):
    (by_onnx,) = sessions[part].run(None, {"X": X})
    difference = (np.abs(by_onnx - by_torch) / np.sqrt((by_torch**2).mean())).ravel()
    equal = (difference == 0).mean()
    print(f"{part:11} largest relative difference {difference.max():.1e}, median {np.median(difference):.1e}")
    shares = np.full(difference.size, 100 / difference.size)
    style = {"histtype": "step", "linewidth": 2, "color": colour, "label": f"{part}; {equal:.0%} are equal"}
    ax.hist(difference, bins, weights=shares, **style)
ax.axvline(np.finfo(np.float32).eps / 2, color="black", linewidth=0.8, linestyle="--")
ax.set(xscale="log", xlabel="difference to the estimator, relative", ylabel="share of the values in %")
ax.set_title("onnxruntime and the estimator")
ax.legend(frameon=False, loc="upper left")
plt.show()

# %%
# Seconds
# -------
# A call costs the estimator its checks of X, whatever the number of rows; the graph checks nothing but shape and dtype.
# So the graph is far ahead for single rows, and the larger the batch, the less. Each figure is the shortest of many
# calls.


def seconds_per_row(call, rows):
    """Time calls for a fifth of a second; the shortest, per row."""
    call(rows)
    times, end = [], time.perf_counter() + 0.2
    while time.perf_counter() < end:
        start = time.perf_counter()
        call(rows)
        times.append(time.perf_counter() - start)
    return min(times) / len(rows)


sizes = [1, 3, 10, 30, 100, 300, 1000]
calls = {
    "estimator": ae.transform,
    "onnxruntime": lambda rows: sessions["encoder"].run(None, {"X": rows}),
}
found = {name: [seconds_per_row(call, X[:size]) for size in sizes] for name, call in calls.items()}
print("encoder       " + "".join(f"{size:8d}" for size in sizes) + "  rows in a call")
for name, seconds in found.items():
    print(f"{name:14}" + "".join(f"{1e6 * value:8.2f}" for value in seconds) + "  µs a row")
ratios = np.divide(found["estimator"], found["onnxruntime"])
print("ratio         " + "".join(f"{ratio:8.1f}" for ratio in ratios))

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for (name, seconds), line in zip(found.items(), ("-o", "--s"), strict=True):
    ax.plot(sizes, 1e6 * np.array(seconds), line, label=name)
ax.set(xscale="log", yscale="log", xlabel="rows in a call", ylabel="microseconds a row", title="Encoding, one thread")
ax.set_xticks(sizes, labels=sizes)
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()
