"""Critics: networks that learn to tell decoded samples from real ones, for a second phase of training.

A decoder that is trained by a loss of values is blurred where a code does not tell everything: it returns the mean of
what the sample may have been. In a second phase the decoder is also trained to pass a critic (Goodfellow et al.,
2014; Larsen et al., 2016). Encoder, codes and prior stay as they are: of the weights only the decoder's change.

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
