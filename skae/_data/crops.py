"""Random crops of images of any size, and a training set with new crops in every epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from .batches import Batch, InMemoryDataset, is_in_part
from .chunked import to_tensor
from .image_list import ImageList

AUGMENTATIONS = {
    None: 1,
    "flip": 2,
    "flip_rotate": 8,
    "flip_rotate_scale": 8,
}  # and the number of orientations of a crop
_LARGEST_SCALE = 2.0  # of the side of a window, relative to its crop; the smallest is its inverse
_FEW_IMAGES = 10  # of fewer, parts are held out instead of whole images
_BATCHES_AT_ONCE = 8  # batches whose crops are cut together, if images are read


class CropSource:
    """Crops of one size of images, drawn at random.

    All positions in all images are equally likely, times the weight of the image.

    Parameters
    ----------
    images : ImageList
        Scanned.
    targets : ImageList or None
        Target images, ``factor`` times higher and wider; scanned.
    size : tuple of int
        Height and width of a crop.
    augmentation : {None, 'flip', 'flip_rotate', 'flip_rotate_scale'}
        Random augmentation: none, left-right flips, or the eight flips and rotations by 90°. 'flip_rotate_scale' also
        resamples windows of half to twice the size of a crop.
    weight : ndarray of shape (n_images,), default=None
        Sampling weights of the images, relative to their area.
    regions : ndarray of shape (n_regions, 5), default=None
        Regions of the crops: index of the image, top, left, height and width. Entire images if None.
    """

    def __init__(
        self,
        images: ImageList,
        targets: ImageList | None,
        size: Sequence[int],
        augmentation: str | None,
        weight: np.ndarray | None = None,
        regions: np.ndarray | None = None,
    ) -> None:
        self.images, self.targets, self.size = images, targets, tuple(size)
        self.factor = 1 if targets is None else targets.shapes[0][0] // images.shapes[0][0]
        self.augmentation, self.weight = augmentation, weight
        if regions is None:
            regions = np.array([(i, 0, 0, *shape) for i, shape in enumerate(images.shapes)], dtype=np.int64)
        self.regions = regions
        places = (regions[:, 3:] - self.size + 1).prod(1) * (1.0 if weight is None else weight[regions[:, 0]])
        self._edges = places.cumsum() / places.sum()

    @property
    def is_held(self) -> bool:
        """Whether images are in memory, so that cutting crops is fast."""
        return self.images.is_held and (self.targets is None or self.targets.is_held)

    @property
    def n_distinct(self) -> int:
        """Number of crops that cover the regions once."""
        return math.ceil(self.regions[:, 3:].prod(1).sum() / math.prod(self.size))

    def described(self) -> Iterator[Any]:
        """Yield the data that determine the crops, for a fingerprint; reads all images once."""
        yield from (self.size, self.regions, self.weight)
        for images in (self.images, self.targets):
            yield None if images is None else images.digests()

    def split(self, share: float, rng: np.random.Generator) -> tuple[CropSource, CropSource | None]:
        """Hold out a fraction of the images or, with few images, of their area; None if impossible."""
        n = len(self.regions)
        if n >= _FEW_IMAGES:
            order = rng.permutation(n)
            n_held = min(math.ceil(share * n), n - 1)
            return self._within(self.regions[np.sort(order[n_held:])]), self._within(self.regions[order[:n_held]])
        trained, held = [], []
        for region in self.regions.tolist():
            axis = 3 if region[3] >= region[4] else 4  # a strip at the end of the longer side
            strip = max(math.ceil(share * region[axis]), self.size[axis - 3])
            if region[axis] - strip < self.size[axis - 3]:
                trained.append(region)
                continue
            rest, last = list(region), list(region)
            rest[axis] -= strip
            last[axis - 2] += rest[axis]
            last[axis] = strip
            trained.append(rest)
            held.append(last)
        return self._within(np.array(trained)), self._within(np.array(held)) if held else None

    def _within(self, regions: np.ndarray) -> CropSource:
        return CropSource(self.images, self.targets, self.size, self.augmentation, self.weight, regions)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw ``n`` crops: image index, top, left, orientation, and height of the window, (n, 5)."""
        # Systematic sampling: the number of crops of each region is exact up to one.
        points = (rng.permutation(n) + rng.random()) / n
        region = self.regions[np.searchsorted(self._edges, points).clip(max=len(self.regions) - 1)]
        window = np.tile(self.size, (n, 1))
        if self.augmentation == "flip_rotate_scale":
            most = np.minimum((region[:, 3:] / self.size).min(1), _LARGEST_SCALE)
            scale = np.exp(rng.uniform(-np.log(_LARGEST_SCALE), np.log(most)))[:, None]
            window = np.minimum(np.maximum(1, np.rint(scale * self.size)), region[:, 3:]).astype(np.int64)
        corner = region[:, 1:3] + rng.integers(0, region[:, 3:] - window + 1)
        turn = rng.integers(0, AUGMENTATIONS[self.augmentation], n)
        return np.column_stack([region[:, 0], corner, turn, window[:, 0]])

    def cut(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the crops at ``places``, (n, channels, *size), and the crops of the targets."""
        x = self._cut(self.images, places, self.size)
        if self.targets is None:
            return x, None
        scaled = places * (1, self.factor, self.factor, 1, self.factor)
        return x, self._cut(self.targets, scaled, [self.factor * side for side in self.size])

    @staticmethod
    def _cut(images: ImageList, places: np.ndarray, size: Sequence[int]) -> np.ndarray:
        height, width = size
        out = np.empty((len(places), images.n_channels, height, width), images.dtype)
        last, image = -1, np.empty(0)
        order: Any = range(len(places)) if images.is_held else np.argsort(places[:, 0], kind="stable").tolist()
        rows = places.tolist()
        for k in order:
            i, top, left, turn, window = rows[k]
            if i != last:
                last, image = i, images.read(i)
            if window == height:
                crop = image[:, top : top + height, left : left + width]
            else:
                crop = image[:, top : top + window, left : left + round(window * width / height)]
                crop = _resampled(crop, size, images.dtype)
            out[k] = _turned(crop, turn)
        return out


def _resampled(crop: np.ndarray, size: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Resample a crop to a ``size``, by bicubic interpolation without aliasing, and without values beyond its range."""
    x = to_tensor(np.ascontiguousarray(crop))[None]
    x = F.interpolate(x if x.dtype == torch.float64 else x.float(), tuple(size), mode="bicubic", antialias=True)[0]
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        return x.double().round().clamp(limits.min, limits.max).numpy()
    # Some losses need a range such as [0, 1]; NaN is ignored.
    return x.clamp(float(np.fmin.reduce(crop, None)), float(np.fmax.reduce(crop, None))).numpy()


def _turned(crop: np.ndarray, turn: int) -> np.ndarray:
    """Flip a crop left to right for an odd ``turn``, and rotate it ``turn // 2`` times by 90°."""
    crop = crop[:, :, ::-1] if turn % 2 else crop
    return np.rot90(crop, turn // 2, axes=(1, 2)) if turn > 1 else crop


class CropDataset(Dataset):
    """Training set with new random crops in every epoch.

    Parameters
    ----------
    crops : CropSource
        Source of the crops.
    n_crops : int
        Number of crops in an epoch.
    first : InMemoryDataset
        A sample of crops, for the initialization of parts.
    standardize, find_target : callable
        Compute standardized samples, and targets unless these are the samples.
    device : torch.device
        Device of the batches.
    condition : Tensor of shape (n_images, n_conditions), default=None
        Conditions of the decoder.
    """

    def __init__(
        self,
        crops: CropSource,
        n_crops: int,
        first: InMemoryDataset,
        standardize: Callable[[Tensor], Tensor],
        find_target: Callable[[Tensor], Tensor] | None,
        device: torch.device,
        condition: Tensor | None = None,
    ) -> None:
        self.crops, self.n_crops, self.first = crops, n_crops, first
        self.standardize, self.find_target, self.device, self.condition = standardize, find_target, device, condition

    def __len__(self) -> int:
        return self.n_crops

    @property
    def weight(self) -> None:
        """Return None: weights are applied in drawing the crops."""
        return None

    def at(self, index: np.ndarray) -> InMemoryDataset:
        """Return some of the first crops."""
        return self.first.at(index)

    def whole(self) -> InMemoryDataset:
        """Return the first crops."""
        return self.first

    def in_memory(self) -> InMemoryDataset:
        """Return the first crops."""
        return self.first

    def batches(
        self, sizes: Sequence[int], generator: torch.Generator | None, part: tuple[int, int] = (0, 1)
    ) -> Iterator[Batch]:
        """Yield batches of ``sizes`` of new crops; of each the ``part``, as in `InMemoryDataset.batches`, is cut."""
        seed = 0 if generator is None else int(torch.randint(2**62, (), generator=generator))
        rng = np.random.default_rng(seed)
        places = self.crops.draw(sum(sizes), rng)
        if self.crops.is_held:
            for batch in np.split(places, np.cumsum(sizes)[:-1]):
                own = batch[part[0] :: part[1]]
                yield self._batch(own, *self.crops.cut(own))
            return
        yield from self._read_ahead(_by_image(places, rng), sizes, rng, part)

    def _read_ahead(
        self, places: np.ndarray, sizes: Sequence[int], rng: np.random.Generator, part: tuple[int, int]
    ) -> Iterator[Batch]:
        """Cut the crops of several batches at once, while the batches before them are used."""
        groups = [list(sizes[i : i + _BATCHES_AT_ONCE]) for i in range(0, len(sizes), _BATCHES_AT_ONCE)]
        parts = [rng.permutation(some) for some in np.split(places, np.cumsum([sum(group) for group in groups])[:-1])]
        parts = [some[is_in_part(0, len(some), group, part)] for some, group in zip(parts, groups, strict=True)]
        groups = [[len(range(part[0], size, part[1])) for size in group] for group in groups]
        # A single thread, since reading images need not be thread-safe.
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self.crops.cut, parts[0])
            for k, (some, group) in enumerate(zip(parts, groups, strict=True)):
                x, target = ahead.result()
                if k + 1 < len(parts):
                    ahead = reader.submit(self.crops.cut, parts[k + 1])
                stop = 0
                for size in group:
                    start, stop = stop, stop + size
                    s = slice(start, stop)
                    yield self._batch(some[s], x[s], None if target is None else target[s])

    def _batch(self, places: np.ndarray, x: np.ndarray, target: np.ndarray | None) -> Batch:
        seen = to_tensor(x)
        u = self.standardize(seen).to(self.device)
        found = None
        if self.find_target is not None:
            found = self.find_target(seen if target is None else to_tensor(target)).to(self.device)
        c = None if self.condition is None else self.condition[torch.from_numpy(places[:, 0])].to(self.device)
        return Batch.of(u, found, None, c)


def _by_image(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return crops grouped by image, with the images in random order."""
    images, which = np.unique(places[:, 0], return_inverse=True)
    return places[np.argsort(rng.permutation(len(images))[which], kind="stable")]
