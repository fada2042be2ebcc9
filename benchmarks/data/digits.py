"""scikit-learn's handwritten digits: 1,797 real images of 8 x 8 pixels, part of the package, no download.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998 (its
test set). Pixels count the ink in 4 x 4 cells of the original, 0 to 16.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from sklearn.datasets import load_digits as sklearn_digits
from torch import Tensor

from benchmarks.data.checksum import ContentCheck, check_content, warn_of_mismatch

NAME = "scikit-learn digits"
# Of the pixels of all images as unsigned bytes, followed by the labels as unsigned bytes.
SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


@dataclass(frozen=True, eq=False)
class Digits:
    """All images in scikit-learn's order, a row a scanline from the top left, and their labels 0 to 9."""

    pixels: UInt8[Tensor, "count time"]
    labels: Int64[Tensor, "count"]
    checksum: dict[str, ContentCheck]


def load_digits() -> Digits:
    """The digits; other content than the published one is used, with one `DataChecksumWarning`, and marked."""
    pixels, labels = sklearn_digits(return_X_y=True)
    pixels, labels = pixels.astype(np.uint8), labels.astype(np.uint8)
    checksum = {NAME: check_content(pixels.tobytes() + labels.tobytes(), SHA256)}
    warn_of_mismatch(checksum)
    return Digits(torch.from_numpy(pixels), torch.from_numpy(labels).to(torch.int64), checksum)
