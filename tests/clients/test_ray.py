"""ray: a grid search by joblib's backend of ray, as the guide has it, is equal to a serial one."""

import numpy as np


def test_search_equals_a_serial_one_to_the_bit(recipe):
    found, serial, X = (recipe[name] for name in ("found", "serial", "X"))
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(found.cv_results_[name], serial.cv_results_[name])
    np.testing.assert_array_equal(found.transform(X), serial.transform(X))
