"""The gallery's scripts run, warnings being errors, and draw something."""

import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")  # where there is a display
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_script_runs_and_draws(script, capsys):
    try:
        runpy.run_path(str(script), run_name="__main__")
        assert capsys.readouterr().out, "it prints its figures"
        drawn = [ax for number in plt.get_fignums() for ax in plt.figure(number).axes if ax.has_data()]
        assert drawn
    finally:
        plt.close("all")
