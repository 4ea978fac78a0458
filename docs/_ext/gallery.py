"""How sphinx-gallery runs the examples: in which order, and that a warning ends them."""

import warnings

from sphinx_gallery.sorting import FileNameSortKey

FIRST = [
    "tour",
    "compress",
    "denoising",
    "inpainting",
    "photographs",
    "microscopy",
    "translation",
    "features",
    "latent_size",
    "anomaly",
    "manifold",
    "generation",
    "conditional",
    "synthesis",
    "textures",
    "styles",
    "disentanglement",
    "sequences",
    "own_module",
]


class Order(FileNameSortKey):
    """The tour, then from codes to rows that never were; what is not listed comes after it, by name."""

    def __call__(self, filename):
        """Return what scripts are sorted by."""
        name = filename.removeprefix("plot_").removesuffix(".py")
        return (FIRST.index(name) if name in FIRST else len(FIRST), name)


_filters = []


def be_strict(gallery_conf, fname, when):
    """While a script runs a warning is an error; after it Sphinx has its own rules back."""
    if when == "before":
        _filters[:] = warnings.filters
        warnings.simplefilter("error")
        # Scripts end in plt.show(), and the backend here has no window.
        warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
    else:
        warnings.filters[:] = _filters
