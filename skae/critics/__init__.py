"""Critics: networks that learn to discriminate decoded from real samples, for a second phase of training.

A decoder trained with a pixelwise loss returns the conditional mean given the code, which is blurred. In a second
phase, the decoder is also trained against a critic (Goodfellow et al., 2014; Larsen et al., 2016). The encoder, the
codes and the prior do not change.

References
----------
I. Goodfellow, J. Pouget-Abadie, M. Mirza, B. Xu, D. Warde-Farley, S. Ozair, A. Courville and Y. Bengio, 2014.
Generative adversarial nets. NeurIPS.

A. B. L. Larsen, S. K. Sønderby, H. Larochelle and O. Winther, 2016. Autoencoding beyond pixels using a learned
similarity metric. ICML.
"""

from .base import Critic
from .dense import Dense
from .patch import Patch

__all__ = ["Critic", "Dense", "Patch"]
