"""How sphinx-gallery runs the examples: in which order, and with warnings as errors."""

import warnings

from sphinx_gallery.sorting import FileNameSortKey

# By task, in the order of the guide.
FIRST = [
    "tour",
    # dimensionality reduction
    "compress",
    "table",
    "latent_size",
    "features",
    "manifold",
    "compression",
    # noise and missing values
    "denoising",
    "photographs",
    "microscopy",
    "inpainting",
    "translation",
    # signals and anomalies
    "sequences",
    "anomaly",
    # generation
    "generation",
    "conditional",
    "synthesis",
    "textures",
    "styles",
    "disentanglement",
    # in practice
    "own_module",
    "large_data",
    "resume",
    "reproducibility",
    "export",
]


class Order(FileNameSortKey):
    """Sort scripts by task; those that are not listed come last, by name."""

    def __call__(self, filename):
        """Return the sort key of a script."""
        name = filename.removeprefix("plot_").removesuffix(".py")
        return (FIRST.index(name) if name in FIRST else len(FIRST), name)


_filters = []


def be_strict(gallery_conf, fname, when):
    """Make warnings errors while a script runs, and restore the filters of Sphinx after it."""
    if when == "before":
        _filters[:] = warnings.filters
        warnings.simplefilter("error")
        # Scripts end in plt.show(), and the backend here has no window.
        warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
    else:
        warnings.filters[:] = _filters
