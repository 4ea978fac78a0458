"""wandb: an offline run records every epoch by the callback of the guide, without an account."""

import pytest


@pytest.fixture
def logged(client, monkeypatch):
    """What runs log; without output and without a thread that watches the machine."""
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_X_DISABLE_STATS", "true")
    rows, log = [], client.Run.log

    def record(run, data, *args, **kwargs):
        rows.append(dict(data))
        return log(run, data, *args, **kwargs)

    monkeypatch.setattr(client.Run, "log", record)
    return rows


def test_epochs_are_logged_to_an_offline_run(logged, recipe, tmp_path):
    history = recipe["ae"].net_.history
    assert recipe["wandb_run"].offline
    assert len(logged) == len(history) == 12
    for name in ("train_loss", "valid_loss", "largest_weight", "rate"):
        assert [row[name] for row in logged] == history[:, name]
    (stored,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert stored.stat().st_size > 0
