"""tensorboard: the curves of a fit are in the files that the callback of the guide writes."""

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def test_curves_are_those_of_the_history(recipe):
    events = EventAccumulator("runs/first")
    events.Reload()
    history = recipe["ae"].net_.history
    assert len(history) == 12
    for tag, name in (
        ("Loss/train_loss", "train_loss"),
        ("Loss/valid_loss", "valid_loss"),
        ("largest_weight", "largest_weight"),
        ("rate", "rate"),
    ):
        logged = [event.value for event in events.Scalars(tag)]
        np.testing.assert_allclose(logged, history[:, name], rtol=1e-6)
