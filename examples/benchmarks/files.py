"""Cost of saving models: size of files, memory to load them, time of checkpoints, accuracy of ONNX.

    python examples/benchmarks/files.py sizes load checkpoint export    # some minutes on two cores

Every table is printed as Markdown. ``load`` needs Linux, which says how much memory a process had at its peak.
"""

import argparse
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
from quality import table
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, VAEGenerator

X = load_digits().data.astype(np.float32)


def sizes(folder):
    """Bytes on disk of default models of 16 components, fitted to digits."""
    models = [kind(16, max_epochs=2, random_state=0).fit(X) for kind in (AutoencoderTransformer, VAEGenerator)]

    def size(write, *args, **kwargs):
        path = folder / "model"
        write(*args, path, **kwargs)
        return f"{path.stat().st_size:,}"

    ways = {
        "weights": lambda model: f"{sum(t.nbytes for t in model.module_.state_dict().values()):,}",
        "`skae.save`": lambda model: size(skae.save, model),
        "`skae.save`, `optimizer=True`": lambda model: size(skae.save, model, optimizer=True),
        "`pickle`": lambda model: f"{len(pickle.dumps(model)):,}",
        "`joblib`, `compress=3`": lambda model: size(joblib.dump, model, compress=3),
        "`skae.save` of a pipeline with a scaler": lambda model: size(
            skae.save, make_pipeline(StandardScaler(), model).fit(X)
        ),
    }
    print("### Bytes of a file, digits, default networks\n")
    table(
        ["", "`AutoencoderTransformer(16)`", "`VAEGenerator(16)`"], [[n, *map(way, models)] for n, way in ways.items()]
    )


PEAK = """
import sys
import skae
def megabytes(key):
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines[key].split()[0]) / 1000
before = megabytes("VmRSS")
skae.load(sys.argv[1])
print(megabytes("VmHWM") - before)
"""


def load(folder):
    """Peak memory of ``skae.load``, above that of a process that has imported skae."""
    rng = np.random.default_rng(0)
    rows = []
    for widths in ((512, 256), (2048, 2048), (4096, 4096)):
        ae = AutoencoderTransformer(32, module__hidden_layer_sizes=widths, max_epochs=1, batch_size=32, random_state=0)
        ae.fit(rng.normal(size=(64, 784)).astype(np.float32))
        for optimizer in (False, True):
            path = folder / "model.skae"
            skae.save(ae, path, optimizer=optimizer)
            command = [sys.executable, "-c", PEAK, str(path)]
            peak = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            size = path.stat().st_size / 1e6
            rows.append([f"784-{'-'.join(map(str, widths))}-32", optimizer, f"{size:.1f}", f"{peak:.0f}"])
    print("### Memory to load a file\n")
    table(["network", "optimizer's state", "MB of the file", "MB at the peak"], rows)


def checkpoint(folder):
    """Seconds of an epoch with a checkpoint and without, side by side; medians of five rounds."""
    cases = {
        "digits, default network": (X, {}),
        "20,000 × 784, 512-256": (
            np.random.default_rng(0).normal(size=(20_000, 784)).astype(np.float32),
            {"module__hidden_layer_sizes": (512, 256), "n_components": 32},
        ),
    }
    rows = []
    for name, (A, params) in cases.items():
        epochs = 20 if len(A) < 5000 else 3
        taken = {None: [], folder / "fit.skae": []}
        for _ in range(6):
            for path, times in taken.items():
                ae = AutoencoderTransformer(max_epochs=epochs, random_state=0, checkpoint=path).set_params(**params)
                start = time.perf_counter()
                ae.fit(A)
                times.append((time.perf_counter() - start) / epochs)
        without, beside = (1000 * np.median(times[1:]) for times in taken.values())
        rows.append([name, f"{without:.0f}", f"{beside:.0f}", f"{beside / without:.2f}"])
    print("### Milliseconds of an epoch\n")
    table(["work", "without checkpoint", "with", "ratio"], rows)


def export(folder):
    """Largest difference between a graph in onnxruntime and torch, relative to the largest value."""
    import onnxruntime

    from skae.export import to_onnx

    signals = np.sin(np.arange(20)[:, None] * np.random.default_rng(0).uniform(0.2, 0.9, (200, 1, 2))).astype(
        np.float32
    )
    models = {
        "MLP": (AutoencoderTransformer(8, max_epochs=10, random_state=0), X),
        "Conv": (ConvAutoencoder(8, max_epochs=10, random_state=0), X),
        "Conv, spatial": (ConvAutoencoder(2, module__dense=False, max_epochs=10, random_state=0), X),
        "GRU": (AutoencoderTransformer(4, module="gru", max_epochs=10, random_state=0), signals),
        "TCN": (AutoencoderTransformer(4, module="tcn", max_epochs=10, random_state=0), signals),
        "VAE": (VAEGenerator(8, max_epochs=10, random_state=0), X),
    }
    rows = []
    for name, (model, A) in models.items():
        Z = model.fit(A).transform(A)
        row = [name]
        for part, source, result in (
            ("encoder", {"X": A}, Z),
            ("decoder", {"Z": Z}, model.inverse_transform(Z)),
            ("reconstruct", {"X": A}, model.reconstruct(A)),
        ):
            path = folder / "graph.onnx"
            to_onnx(model, path, part=part)
            session = onnxruntime.InferenceSession(path)
            worst = 0.0
            for n in (1, 2, 37, len(A)):
                (found,) = session.run(None, {key: rows_[:n] for key, rows_ in source.items()})
                worst = max(worst, float(np.abs(found - result[:n]).max() / np.abs(result[:n]).max()))
            row.append(f"{worst:.1e}")
        rows.append(row)
    print("### ONNX against torch, batches of 1, 2, 37 and all rows\n")
    table(["network", "encoder", "decoder", "reconstruct"], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=["sizes", "load", "checkpoint", "export"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for what in arguments.what:
            globals()[what](Path(temporary))
