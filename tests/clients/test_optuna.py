"""optuna: the search of the guide stops trials by a callback that sees every epoch."""

import numpy as np
import pytest

from skae import AutoencoderTransformer


def test_pruned_trials_leave_estimator_unchanged(recipe, client, digits):
    trials = recipe["study"].trials
    states = [trial.state.name for trial in trials]
    assert {*states} == {"COMPLETE", "PRUNED"}
    assert states[:2] == ["COMPLETE", "COMPLETE"]  # with which the others are compared
    assert all(len(trial.intermediate_values) < 6 for trial in trials if trial.state.name == "PRUNED")

    class Bad:
        def report(self, value, step):
            pass

        def should_prune(self):
            return True

    ae = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(digits)
    before = ae.transform(digits)
    with pytest.raises(client.TrialPruned):
        ae.set_params(callbacks=[("prune", recipe["Pruning"](Bad()))]).fit(-digits)
    np.testing.assert_array_equal(ae.transform(digits), before)
