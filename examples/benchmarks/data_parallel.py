"""Speed, CPU time and losses of distributed fits, compared with a single process.

    python examples/benchmarks/data_parallel.py
    python examples/benchmarks/data_parallel.py --ranks 4 --rounds 2 --n-samples 20480

The network is 784-512-256-32, trained by Adam on batches of 1,024 made-up rows, of which a tenth is held out. Every
process has one thread. Rounds alternate between one process and ``--ranks`` of them, so that other work on the machine
meets both. Time is that of the epochs alone, from the beginning of training to its end; "ratio" is the median over the
rounds, of the CPU time the mean over the ranks. A ratio of 0.5 is what two ranks could reach.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
from skorch.callbacks import Callback

from skae import AutoencoderTransformer


class Clock(Callback):
    """Measures training by the clock and in CPU time."""

    def on_train_begin(self, net, **kwargs):
        """Start the clock."""
        self.start_ = time.perf_counter(), time.process_time()

    def on_train_end(self, net, **kwargs):
        """Keep the seconds and the CPU seconds."""
        net.seconds = time.perf_counter() - self.start_[0], time.process_time() - self.start_[1]


def train(options: argparse.Namespace) -> None:
    """Train, as one rank or alone, and print a line of JSON."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(options.n_samples, 32)) @ rng.normal(size=(32, 784)) / 6
    X = np.tanh(X + 0.1 * rng.normal(size=X.shape)).astype(np.float32)
    ae = AutoencoderTransformer(
        32,
        module__hidden_layer_sizes=(512, 256),
        batch_size=1024,
        max_epochs=options.epochs,
        early_stopping=True,
        callbacks=[("clock", Clock())],
        distributed="RANK" in os.environ,
        random_state=0,
    ).fit(X)
    wall, cpu = ae.net_.seconds
    print(json.dumps({"wall": wall, "cpu": cpu, "losses": ae.loss_curve_, "validation": ae.validation_loss_curve_}))


def start(n: int) -> list[dict]:
    """Train in ``n`` processes; return what they print."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {"OMP_NUM_THREADS": "1"}
    if n > 1:
        common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(n)}
    started = [
        subprocess.Popen(
            [sys.executable, *sys.argv, "--trains"],
            env=common | ({"RANK": str(rank)} if n > 1 else {}),
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(n)
    ]
    return [json.loads(process.communicate()[0]) for process in started]


def relative(a: list[float], b: list[float]) -> float:
    """Return the largest relative difference of two curves."""
    return float(np.max(np.abs(np.subtract(a, b)) / np.abs(b)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--n-samples", type=int, default=11_377)  # of which 10,239 are trained on
    parser.add_argument("--trains", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.trains:
        train(options)
        sys.exit()
    walls, cpus = [], []
    for _ in range(options.rounds):
        (alone,), together = start(1), start(options.ranks)
        walls.append((alone["wall"], max(one["wall"] for one in together)))
        cpus.append((alone["cpu"], float(np.mean([one["cpu"] for one in together]))))
        print(f"one process {walls[-1][0]:6.2f} s, CPU {cpus[-1][0]:6.2f} s", end="; ")
        print(f"{options.ranks} ranks {walls[-1][1]:6.2f} s, CPU per rank {cpus[-1][1]:6.2f} s", flush=True)
    print(f"speed-up {np.median([a / b for a, b in walls]):.2f}")
    print(f"CPU per rank, ratio {np.median([b / a for a, b in cpus]):.2f}")
    print(f"losses, largest relative difference {relative(together[0]['losses'], alone['losses']):.1e}", end=", ")
    print(f"validation {relative(together[0]['validation'], alone['validation']):.1e}")
    print("ranks agree to the bit:", all(one["losses"] == together[0]["losses"] for one in together))
