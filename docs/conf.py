"""The site: `make site` builds it into docs/_build/html."""

import sys
import tomllib
from pathlib import Path

import skae

HERE = Path(__file__).parent
sys.path.append(str(HERE / "_ext"))
urls = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["urls"]

project = "skae"
author = "the skae maintainers"
project_copyright = f"2026, {author}"
version = release = skae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
exclude_patterns = [
    "_build",
    "_ext",
    "_templates",
    "auto_examples/**/*.py",
]
templates_path = ["_templates"]
default_role = "py:obj"  # single backticks in docstrings link to objects
# An unresolved reference is an error, with two exceptions. Single backticks may contain an argument or a name of torch
# or scikit-learn, and are plain code then. References to other projects are not resolved: nothing is downloaded.
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    (
        "py:.*",
        r"(collections|joblib|numpy|os|pathlib|scipy|sklearn|skorch|torch|typing)\..*",
    ),
]

autosummary_imported_members = True
autosummary_ignore_module_all = False
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # numpydoc's sections say more
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # each class's page has its methods in full

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

# A copy button for code, and none for what it prints.
copybutton_selector = "div:not(.highlight-output) > div.highlight > pre"

html_title = "skae"
html_theme = "pydata_sphinx_theme"
html_baseurl = urls["Documentation"]
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_favicon = "_static/logo.svg"
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_show_sourcelink = False
html_copy_source = False
# Pages without a section of their own have no sidebar.
alone = [
    "index",
    "coming_from/*",
    "benchmarks",
    "extending",
    "design",
    "glossary",
    "file_format",
    "security",
    "contributing",
    "release",
    "changelog",
]
html_sidebars = {page: [] for page in alone}
html_theme_options = {
    "logo": {
        "text": "skae",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "header_links_before_dropdown": 5,
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skae",),
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"quickstart\.py|benchmarks",
    "within_subsection_order": "gallery.Order",
    "abort_on_example_error": True,
    "reset_modules_order": "both",
    "reset_modules": ("matplotlib", "gallery.be_strict"),
    "download_all_examples": False,
    "show_memory": False,
    "parallel": 2,  # processes, of one thread each where there are two cores
    "write_computation_times": False,  # its page takes a table from another host
    "show_signature": False,
    "remove_config_comments": True,
}


def of_skae(app, what, name, obj, skip, options):
    """Leave out of a class's page what it inherits from torch and scikit-learn."""
    if what != "class" or skip:
        return skip
    function = obj.fget if isinstance(obj, property) else obj
    module = getattr(function, "__module__", None) or ""
    return not module.startswith("skae")


def setup(app):
    """Sphinx calls it."""
    app.connect("autodoc-skip-member", of_skae)
