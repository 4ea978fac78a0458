"""Fuzz `skae.load` with atheris, which looks at what the loader's own code does with an input.

Run it by hand, ``python tests/fuzz/atheris_load.py -max_total_time=60``; libFuzzer's other options are taken too, and
folders of more seeds. Inputs are whole files. What is changed are bytes at random or, mostly, the document and the
arrays in a file, which gets a right checksum again, so that more than the checksum is tried.
"""

import contextlib
import random
import sys
import tempfile
import warnings
from pathlib import Path


def main():
    """Fuzz until libFuzzer is done."""
    try:
        import atheris
    except ImportError:
        sys.exit("This needs atheris, which skae does not depend on: pip install atheris (Linux and macOS).")
    ours = ["skae._utils.codec", "skae._utils.files", "skae._module.state", "skae._training.state", "skae.persistence"]
    with atheris.instrument_imports(include=ours):
        import hostile_files

        import skae
        from skae._utils import files as _files

    def changed(data, most, seed):
        """Another file made from one."""
        rng = random.Random(seed)
        if rng.random() < 0.8:
            with contextlib.suppress(ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
                document, arrays = _files.unpack(data)
                for _ in range(rng.choice([1, 1, 2])):
                    hostile_files.change(rng, trial.seeds, document, arrays)
                made = hostile_files.packed(hostile_files.text_of(document), arrays)
                if len(made) <= most:
                    return made
        return atheris.Mutate(data, most)

    def test_one(data):
        """Load one input, and use what comes."""
        report = trial.attempt("ae", data)
        if report["wrong"]:
            raise AssertionError("\n".join(report["wrong"]))

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        hostile_files.make_seeds(folder)
        sys.path.insert(0, folder)
        trial = hostile_files.Trial(folder)
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for name in trial.seeds.names:
            (corpus / name).write_bytes(trial.seeds.data(name))
        options = ["-max_len=200000", "-rss_limit_mb=4096", "-timeout=60", f"-artifact_prefix={Path.cwd()}/"]
        atheris.Setup([sys.argv[0], *options, *sys.argv[1:], str(corpus)], test_one, custom_mutator=changed)
        print(f"skae {skae.__version__}, {len(trial.seeds.names)} seeds")
        atheris.Fuzz()


if __name__ == "__main__":
    main()
