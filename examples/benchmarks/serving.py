"""CPU time of one sample, and of a thousand, by a fitted pipeline and by its ONNX graph.

    OMP_NUM_THREADS=1 python examples/benchmarks/serving.py    # about a minute

Scikit-learn's diabetes data: as an array of 10 numbers, and as a DataFrame of 9 numbers and a category. Each figure is
the median CPU time of 7 blocks of calls, so that other programs on the machine matter little. The table is printed as
Markdown.
"""

import functools
import time

import numpy as np
import onnx
import onnxruntime
import skl2onnx
from onnx.compose import add_prefix, merge_models
from onnx.version_converter import convert_version
from quality import table
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoencoderTransformer, OutlierDetector
from skae.export import register_skl2onnx, to_onnx


def session_of(model):
    """Return a session of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def microseconds(call, argument, n_samples):
    """Return the CPU time of a call per sample: the median of 7 blocks of calls, of a fifth of a second each."""
    call(argument)
    start, n_calls = time.process_time(), 0
    while time.process_time() < start + 0.2:
        call(argument)
        n_calls += 1
    times = []
    for _ in range(7):
        start = time.process_time()
        for _ in range(n_calls):
            call(argument)
        times.append((time.process_time() - start) / n_calls)
    return 1e6 * np.median(times) / n_samples


def main():
    """Fit, export, and print the table."""
    data = load_diabetes(as_frame=True, scaled=False).data
    data["sex"] = data["sex"].map({1.0: "group 1", 2.0: "group 2"})
    numbers = data.columns.drop("sex").tolist()
    columns = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(), ["sex"]))
    X = load_diabetes().data.astype(np.float32)
    plain = make_pipeline(StandardScaler(), AutoencoderTransformer(4, max_epochs=20, random_state=0)).fit(X)
    plain_linear = make_pipeline(StandardScaler(), PCA(4)).fit(X)
    encode = make_pipeline(columns, AutoencoderTransformer(4, max_epochs=20, random_state=0)).fit(data)
    linear = make_pipeline(columns, PCA(4)).fit(data)
    detector = OutlierDetector(AutoencoderTransformer(4, max_epochs=20), random_state=0)
    detect = make_pipeline(columns, detector).fit(data)

    types = [(name, (FloatTensorType if name != "sex" else StringTensorType)([None, 1])) for name in data]
    register_skl2onnx()
    plain_codes = session_of(skl2onnx.to_onnx(plain, X[:1], target_opset=18))
    codes = session_of(skl2onnx.to_onnx(encode, initial_types=types, target_opset=18))
    to_onnx(detector, "detector.onnx")
    score = onnx.load("detector.onnx")
    before = convert_version(skl2onnx.to_onnx(columns, initial_types=types, target_opset=18), 18)
    before.ir_version = score.ir_version
    joint = [("columns_" + before.graph.output[0].name, "X")]
    scores = session_of(merge_models(add_prefix(before, "columns_", rename_inputs=False), score, io_map=joint))

    def feed_of(samples):
        """Return the inputs of a graph."""
        if isinstance(samples, np.ndarray):
            return {"X": samples}
        return {c: samples[[c]].to_numpy(np.float32 if c != "sex" else object) for c in samples}

    rows = []
    many, many_numbers = (
        data.sample(1000, replace=True, random_state=0),
        X[np.random.default_rng(0).integers(442, size=1000)],
    )
    for name, samples, call, session in (
        ("codes of an array, scaler and PCA", many_numbers, plain_linear.transform, None),
        ("codes of an array, scaler and autoencoder", many_numbers, plain.transform, plain_codes),
        ("codes of a DataFrame, columns and PCA", many, linear.transform, None),
        ("codes of a DataFrame, columns and autoencoder", many, encode.transform, codes),
        ("scores of a DataFrame, columns and `OutlierDetector`", many, detect.score_samples, scores),
    ):
        row = [name]
        for part in (samples[:1], samples):
            row.append(f"{microseconds(call, part, len(part)):.1f}")
            if session is None:
                row.append("")
                continue
            feed = feed_of(part)
            assert np.abs(session.run(None, feed)[0] - call(part)).max() < 1e-4
            row.append(f"{microseconds(functools.partial(session.run, None), feed, len(part)):.1f}")
        rows.append(row)
    print("### Microseconds of CPU time a sample, one thread\n")
    table(["", "one sample, pipeline", "one sample, ONNX", "1,000 at once, pipeline", "1,000 at once, ONNX"], rows)


if __name__ == "__main__":
    main()
