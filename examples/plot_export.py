"""
Exporting a pipeline of a mixed table to ONNX
=============================================

An ONNX file is run by onnxruntime, from C++, C#, Java or JavaScript, and without skae. ``skae.export.to_onnx`` exports
an autoencoder. After ``register_skl2onnx`` skl2onnx exports whole pipelines: here one that encodes categories, scales
numbers, computes codes and predicts a class. How close are the results, and how fast is a prediction?
"""

# %%
# A survey (Fair, 1978) with two categories and six numbers. The pipeline predicts who reports an affair.
import time

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import skl2onnx
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from statsmodels.datasets import fair

from skae import AutoencoderTransformer
from skae.export import register_skl2onnx

df = fair.load_pandas().data
y = (df.pop("affairs") > 0).astype(int)
categories = ["occupation", "occupation_husb"]
df[categories] = df[categories].astype(int).astype(str)
df = df.astype(dict.fromkeys(df.columns.drop(categories), np.float32))
train, test, y_train, y_test = train_test_split(df, y, random_state=0)

encode = make_column_transformer((OneHotEncoder(sparse_output=False), categories), remainder=StandardScaler())
ae = AutoencoderTransformer(8, max_epochs=20, random_state=0)
pipe = make_pipeline(encode, ae, LogisticRegression()).fit(train, y_train)
print(f"accuracy on test rows {pipe.score(test, y_test):.3f}, of the majority class {1 - y_test.mean():.3f}")

# %%
# The graph has one input for each column, of the types of the sample.
register_skl2onnx()
graph = skl2onnx.to_onnx(pipe, train[:1], target_opset=18, options={"zipmap": False})
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # as skae uses for a network of this size
session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
print(f"{len(graph.SerializeToString()) / 1e3:.0f} kB, inputs: {[entry.name for entry in session.get_inputs()]}")


def as_inputs(rows):
    """Return the columns as arrays, (n_rows, 1), by name."""
    return {name: rows[[name]].to_numpy(object if name in categories else np.float32) for name in rows}


# %%
# The same predictions
# --------------------
# Both compute in float32, but sum in different orders. The dashed line is the rounding of a float32 number between 0.5
# and 1.
labels, probabilities = session.run(None, as_inputs(test))
difference = np.abs(probabilities - pipe.predict_proba(test)).ravel()
print(f"equal labels: {np.mean(labels == pipe.predict(test)):.2%}")
print(f"probabilities: largest difference {difference.max():.1e}, median {np.median(difference):.1e}")

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.hist(difference, np.logspace(-9, -6, 31), weights=np.full(difference.size, 100 / difference.size))
ax.axvline(np.finfo(np.float32).eps / 4, color="black", linewidth=0.8, linestyle="--")
ax.set(xscale="log", xlabel="absolute difference of a probability", ylabel="share of the probabilities, %")
ax.set_title(f"onnxruntime and the pipeline: {np.mean(difference == 0):.0%} of the probabilities are equal")
plt.show()

# %%
# Time per row
# ------------
# Every call of the pipeline validates its input in each step, whatever the number of rows. The graph checks only shapes
# and types, and is far ahead for single rows. Each value is the shortest of many calls.


def seconds_per_call(call, rows):
    """Time calls for a fifth of a second, and return the shortest."""
    call(rows)
    times, end = [], time.perf_counter() + 0.2
    while time.perf_counter() < end:
        start = time.perf_counter()
        call(rows)
        times.append(time.perf_counter() - start)
    return min(times)


sizes = [1, 3, 10, 30, 100, 300, 1000]
found = {
    "pipeline": [seconds_per_call(pipe.predict_proba, test[:n]) / n for n in sizes],
    "onnxruntime": [seconds_per_call(lambda inputs: session.run(None, inputs), as_inputs(test[:n])) / n for n in sizes],
}
print("rows in a call " + "".join(f"{size:8d}" for size in sizes))
for name, seconds in found.items():
    print(f"{name:15}" + "".join(f"{1e3 * value:8.4f}" for value in seconds) + "  ms per row")
print("ratio          " + "".join(f"{a / b:8.1f}" for a, b in zip(*found.values(), strict=True)))

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for (name, seconds), style in zip(found.items(), ("-o", "--s"), strict=True):
    ax.plot(sizes, 1e3 * np.array(seconds), style, label=name)
ax.set(xscale="log", yscale="log", xlabel="rows in a call", ylabel="milliseconds per row")
ax.set_title("Prediction of a mixed table, one thread")
ax.set_xticks(sizes, labels=sizes)
ax.minorticks_off()
ax.legend(frameon=False)
plt.show()
