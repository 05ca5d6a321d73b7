"""Checks of `PairedDataset(first, second)`: pairs of images that show the same digit."""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from autograder.multiview_vae.values import LabelledImages
from nbverdict.checks.answers import AnswerError
from nbverdict.checks.diagnosis import Wrong, describe

EXERCISE = {"answer": "PairedDataset", "constructs": True}

Answer = Callable[[LabelledImages, LabelledImages], Any]
FIRST, SECOND = 1, 2  # which dataset an image says it is from; it has 1 and 3 channels


class Pair(NamedTuple):
    """One item: which image of which dataset came at each place, and the label."""

    first: tuple[int, int]  # (dataset, index)
    second: tuple[int, int]
    label: int


class Views(NamedTuple):
    """Two small datasets with their labels."""

    first: LabelledImages
    second: LabelledImages
    first_labels: list[int]
    second_labels: list[int]
    start: int = 0  # what the first image of either says is its index

    def pairs_per_label(self) -> Counter[int]:
        """Return how many pairs each label makes: as many as its smaller class has images."""
        return Counter(self.first_labels) & Counter(self.second_labels)


def views(
    first: list[int],
    second: list[int],
    attributes: tuple[str, str] = ("targets tensor int64", "labels array int64"),
    *,
    start: int = 0,
    blank: bool = False,
) -> Views:
    """Return two datasets with these labels; `attributes` say how each keeps them (see `LabelledImages`).

    The indices that the images show begin with `start`, which tells these datasets from others. `blank` ones have no
    images.
    """
    one, two = (
        LabelledImages(number, torch.tensor(labels, dtype=torch.int64), attribute, start, blank)
        for number, labels, attribute in zip((FIRST, SECOND), (first, second), attributes, strict=True)
    )
    return Views(one, two, first, second, start)


def shuffled(counts: dict[int, int], generator: torch.Generator) -> list[int]:
    """Return labels in random order, `counts[label]` of each, but for the first: it is of a rarest one.

    So image 0 is in a pair wherever a label is rarer here than there, with every seed.
    """
    labels = torch.tensor([label for label, count in counts.items() for _ in range(count)], dtype=torch.int64)
    mixed: list[int] = labels[torch.randperm(len(labels), generator=generator)].tolist()
    first = mixed.index(min(counts, key=lambda label: counts[label]))
    mixed[0], mixed[first] = mixed[first], mixed[0]
    return mixed


def unequal(generator: torch.Generator) -> Views:
    """Return datasets of all ten digits with class sizes, and total sizes, that differ within and between them."""

    def sizes(smallest: int) -> dict[int, int]:
        return dict(enumerate((torch.randperm(10, generator=generator) + smallest).tolist()))

    return views(shuffled(sizes(2), generator), shuffled(sizes(3), generator))


def read_image(image: object, place: str) -> tuple[int, int]:
    """Return (dataset, index) of an image, or raise `Wrong` if it is none of those that were given."""
    if not isinstance(image, Tensor):
        raise Wrong(
            expected=f"{place} to be the image as its dataset gives it, a tensor",
            got=describe(image),
            cause="the image was turned into another kind of object"
            if hasattr(image, "shape")
            else "the item holds an index, a label or an (image, label) pair where the image should be"
            if isinstance(image, int | tuple | list)
            else "something else stands where the image should be",
            hint="A dataset's item is (image, label): unpack it, `image, _ = dataset[index]`.",
        )
    numbers = image.flatten().tolist()
    if image.ndim == 3 and image.shape[1:] == (2, 2) and image.shape[0] in (1, 3):
        dataset, index = int(numbers[0]), int(numbers[-1])
        channels = {FIRST: 1, SECOND: 3}.get(dataset)
        if channels == image.shape[0] and index >= 0 and numbers == [dataset, dataset, index, index] * channels:
            return dataset, index
    raise Wrong(
        expected=f"{place} to be an image of the dataset, unchanged",
        got=describe(image),
        cause="the image was changed, batched or reshaped on its way",
        hint="Return the image as `dataset[index]` gives it.",
    )


def read_item(item: object, datasets: tuple[int, int] = (FIRST, SECOND)) -> Pair:
    """Return the pair behind an item, or raise `Wrong` if it is not (x_first, x_second, label) of these datasets."""
    if not (isinstance(item, tuple | list) and len(item) == 3):
        raise Wrong(
            expected="an item of three, (x_first, x_second, label)",
            got=describe(item),
            cause=_item_cause(item),
            hint="End __getitem__ with `return x_first, x_second, label`.",
        )
    first, second = read_image(item[0], "x_first"), read_image(item[1], "x_second")
    if (first[0], second[0]) != datasets:
        swapped = (first[0], second[0]) == (SECOND, FIRST)
        raise Wrong(
            expected="x_first from the first dataset and x_second from the second",
            got="x_first from the second, x_second from the first" if swapped else f"both from dataset {first[0]}",
            cause="the two images are in the wrong order" if swapped else "both images are read from one dataset",
            hint="The constructor's first argument gives the first image of each item.",
        )
    label = item[2]
    whole = isinstance(label, int) and not isinstance(label, bool)
    if isinstance(label, Tensor):
        whole = label.ndim == 0 and not (label.is_floating_point() or label.is_complex() or label.dtype == torch.bool)
    elif hasattr(label, "dtype") and getattr(label, "shape", None) == ():
        whole = label.dtype.kind in "iu"  # a numpy integer collates like an int
    if not whole:
        raise Wrong(
            expected="the label as an int or an integer tensor of shape ()",
            got=describe(label),
            cause=_label_cause(label),
            hint="Both images share one label: return int(label).",
        )
    return Pair(first, second, int(label))


def _item_cause(item: object) -> str:
    if isinstance(item, tuple | list) and len(item) in (2, 4):
        if all(isinstance(part, Tensor) and part.ndim == 3 for part in item):
            return "the label is missing" if len(item) == 2 else "the item holds more than two images"
        images_first = [isinstance(part, Tensor) and part.ndim == 3 for part in item]
        inside = item[0] if isinstance(item[0], tuple | list) else []
        if inside and all(isinstance(part, Tensor) and part.ndim == 3 for part in inside):
            return "the two images are in a tuple of their own"
        if images_first == [True, False, True, False] or all(isinstance(part, tuple | list) for part in item):
            return "each view's own (image, label) is returned"
        if len(item) == 2 and isinstance(item[0], Tensor):
            return "the two images are in one tensor, or one of them is missing"
    return "the item is not a tuple of three"


def _label_cause(label: object) -> str:
    if isinstance(label, tuple | list):
        return "the labels of both views are returned"
    shape = getattr(label, "shape", ())
    if len(shape):
        return "the label is a tensor of one entry" if shape == (1,) else "the label is a vector, perhaps one-hot"
    kind = f"dtype {label.dtype}" if isinstance(label, Tensor) else f"type {type(label).__name__}"
    return f"the label is of {kind}, not a whole number"


def indices(dataset: Any, given: Views) -> range:
    """Return the indices of a dataset, or raise `Wrong` if its length is beyond all pairs there could be."""
    n, limit = len(dataset), len(given.first) * len(given.second)
    if n > limit:
        raise Wrong(
            expected=f"at most {limit} items",
            got=f"len() is {n}",
            cause="the length counts more than there is",
            hint="The length is the number of pairs.",
        )
    return range(n)


def items(answer: Answer, given: Views) -> list[Pair]:
    """Return every item of the answer's dataset as a pair."""
    dataset = answer(given.first, given.second)
    every = indices(dataset, given)
    try:
        taken = dataset.take(every)
    except AnswerError as error:
        if "IndexError" not in str(error) or (readable := last_readable(dataset, every)) is None:
            raise
        raise Wrong(
            expected=f"items 0 to {len(every) - 1}, since len() is {len(every)}",
            got=str(error).replace("\n", " ")[:200],
            cause=f"len() says {len(every)}, but only the first {readable} items can be read",
            hint="Let __len__ return the length of the list that __getitem__ reads.",
        ) from None
    return [read_item(item) for item in taken]


def last_readable(dataset: Any, every: range) -> int | None:
    """Return how many of the first items can be read; None if that is not where the error lies."""
    low, high = 0, len(every)  # item `low - 1` can be read, item `high` perhaps not
    while low < high:
        middle = (low + high) // 2
        try:
            dataset.take([middle])
            low = middle + 1
        except AnswerError as error:
            if "IndexError" not in str(error):
                return None
            high = middle
    return low if 0 < low < len(every) else None


def expect_labels(pairs: list[Pair], given: Views) -> None:
    """Raise `Wrong` unless both images of each pair carry the pair's label."""
    for i, pair in enumerate(pairs):
        try:
            one = given.first_labels[pair.first[1] - given.start]
            two = given.second_labels[pair.second[1] - given.start]
        except IndexError:
            raise Wrong(
                expected=f"item {i} to hold images of the datasets that were given",
                got="an image of other datasets, which were paired before or since",
                cause="pairs or datasets are kept where another PairedDataset finds them: in the class, or in a cache",
                hint="Keep everything in `self`, and make it anew in each __init__.",
            ) from None
        if one == two == pair.label:
            continue
        raise Wrong(
            expected=f"both images and the label of item {i} to be one digit",
            got=f"x_first shows {one}, x_second shows {two}, the label is {pair.label}",
            cause=_mismatch(pairs, given) if one != two else _label_of_right_pair(pairs, given),
            hint="For each label, take the indices of its images in both datasets, and pair these.",
        )


def _label_of_right_pair(pairs: list[Pair], given: Views) -> str:
    """Return a cause for labels that are wrong where both images of a pair show one digit."""
    try:
        shown = [given.first_labels[pair.first[1] - given.start] for pair in pairs]
    except IndexError:
        return "the pairs are those of other datasets"
    labels, classes = [pair.label for pair in pairs], sorted(set(shown))
    if labels == [*range(len(pairs))]:
        return "the returned label is the item's own number, not the digit"
    if labels == [classes.index(digit) for digit in shown]:
        return "the returned label is a position among the labels, not the digit"
    if labels in ([pair.first[1] for pair in pairs], [pair.second[1] for pair in pairs]):
        return "the returned label is the index of an image, not the digit"
    if len(set(labels)) == 1 < len(classes):
        return "the returned label is the same for every item"
    if Counter(labels) == Counter(shown):
        return "the returned label is that of another pair: labels and pairs are in different orders"
    return "the returned label is that of another image, or was changed"


def _mismatch(pairs: list[Pair], given: Views) -> str:
    """Return why the two images of some pairs show different digits."""
    firsts, seconds = [p.first[1] for p in pairs], [p.second[1] for p in pairs]
    if firsts == seconds == list(range(given.start, given.start + len(pairs))):
        return "image i of one dataset is paired with image i of the other, whatever they show"
    for place, used in (("first", firsts), ("second", seconds)):
        if len(pairs) > 2 and len(set(used)) == 1:
            return f"every item has the same image of the {place} dataset: one index or one tensor serves them all"
    each_once = len(set(firsts)) == len(firsts) and len(set(seconds)) == len(seconds)
    if each_once and len(pairs) == min(len(given.first), len(given.second)) != given.pairs_per_label().total():
        return "the images are paired without a look at their labels: as many as the smaller dataset has"
    try:
        shown = [
            (given.first_labels[i - given.start] == p.label, given.second_labels[j - given.start] == p.label)
            for p, i, j in zip(pairs, firsts, seconds, strict=True)
        ]
    except IndexError:
        return "the pairs are those of other datasets"
    if firsts == seconds:
        if any(all(right[k] for right in shown) for k in (0, 1)):
            return "the index of an image in one dataset is used in the other, too"
        return "an index into a class is taken for one into the dataset, in both"
    for k, (place, other) in enumerate((("second", "first"), ("first", "second"))):
        if all(right[k] for right in shown):
            return (
                f"every {other} image shows the label, but not every {place} one: it is read at the index of another "
                "digit's image, or the pairs are those of other datasets"
            )
    return (
        "an image is read at a wrong index (an index into a class is taken for one into the dataset, or the pairs are "
        "those of other datasets), or labels do not decide who meets whom"
    )


def rightly_labelled(pairs: list[Pair], given: Views) -> bool:
    """Return whether both images of each pair carry the pair's label."""
    try:
        expect_labels(pairs, given)
    except Wrong:
        return False
    return True


def expect_once(pairs: list[Pair]) -> None:
    """Raise `Wrong` if an image is in more than one pair."""
    for place, used in (("first", [p.first[1] for p in pairs]), ("second", [p.second[1] for p in pairs])):
        image, times = max(Counter(used).items(), key=lambda entry: entry[1], default=(0, 0))
        if times <= 1:
            continue
        if len(set(pairs)) < len(pairs):
            cause = (
                "the smaller class starts again from its beginning, one image is taken again and again, or the pairs "
                "change while they are read"
            )
        elif len(pairs) > len(set(used)) * 1.5:
            cause = (
                "every image is paired with every image of its label, one image serves a whole class, or partners are "
                "drawn anew for each image"
            )
        else:
            cause = "an image is drawn again after it was used, or the smaller class is repeated"
        raise Wrong(
            expected="each image in at most one pair",
            got=f"image {image} of the {place} dataset is in {times} pairs",
            cause=cause,
            hint="Cut both lists of indices of a label to the shorter one, then join them side by side with zip.",
        )


def expect_number(n: int, given: Views, pairs: list[Pair] | None = None) -> None:
    """Raise `Wrong` unless there are as many pairs as the smaller class of each label has images."""
    per_label = given.pairs_per_label()
    right = per_label.total()
    if n == right:
        return
    one, two = Counter(given.first_labels), Counter(given.second_labels)
    common = sorted(one.keys() & two.keys())
    one_each = "there is only one pair for each label" if pairs else "the length is the number of labels, not of pairs"
    by_label = {  # cause -> pairs of each label
        "the larger class counts, so images of the smaller one are repeated": {c: max(one[c], two[c]) for c in common},
        "every image is paired with every image of its label": {c: one[c] * two[c] for c in common},
        "every class is cut to the smallest class of all": dict.fromkeys(common, min(per_label.values(), default=0)),
        one_each: dict.fromkeys(common, 1),
        "the last pair of each label is lost": {c: per_label[c] - 1 for c in common},
        "each pair counts twice, once for each image": {c: 2 * per_label[c] for c in common},
    }
    by_label |= {
        f"each class is paired {times} times, in as many orders": {c: times * per_label[c] for c in common}
        for times in (*range(3, 11), 20, 30, 50, 100)
    }
    total = {  # cause -> pairs in all
        "one pair is lost": [right - 1],
        "one pair is counted too many": [right + 1],
        "the length is that of one dataset, whatever the labels": [len(given.first), len(given.second)],
        "the length counts the images of both datasets": [len(given.first) + len(given.second)],
    }
    fitting = [cause for cause, numbers in total.items() if n in numbers]
    missing = ""
    otherwise = "some labels have too many or too few pairs"
    if pairs is None:
        fitting += [cause for cause, counts in by_label.items() if sum(counts.values()) == n]
    else:
        got = Counter(pair.label for pair in pairs)
        fitting += [cause for cause, counts in by_label.items() if +Counter(counts) == got]
        otherwise = _off(got, per_label)
        label = max(common or [0], key=lambda c: abs(got[c] - per_label[c]))
        missing = f"label {label}: {per_label[label]} pairs expected, {got[label]} found"
    raise Wrong(
        expected=f"{right} pairs, the sum over labels of min(number in the first, number in the second)",
        got=f"{n} pairs",
        where=missing,
        cause=fitting[0] if len(fitting) == 1 else otherwise,
        hint="Two classes of 3 and 5 images make 3 pairs. Count by label with torch.bincount or numpy.bincount.",
    )


def _off(got: Counter[int], right: Counter[int]) -> str:
    """Return which labels have too many or too few pairs."""
    off = sorted(label for label in got | right if got[label] != right[label])
    none = [label for label in off if not got[label]]
    if not got:
        return "there are no pairs at all"
    if none == off:
        return f"images of {', '.join(map(str, off))} should make pairs, and make none"
    most = max(got.values())
    if all(got[label] == min(right[label], most) for label in right):
        return f"no label has more than {most} pairs, though some have more images"
    if len(off) == 1:
        return f"label {off[0]} alone has {got[off[0]]} pairs and not {right[off[0]]}"
    return "some labels have too many or too few pairs"


@pytest.mark.points(2)
def test_item(paired_dataset: Answer, generator: torch.Generator) -> None:
    """An item is (x_first, x_second, label), the label an int or a 0-d tensor."""
    labels = shuffled(dict.fromkeys(range(10), 3), generator)
    given = views(labels, shuffled(dict.fromkeys(range(10), 3), generator))
    pairs = items(paired_dataset, given)
    expect_number(len(pairs), given, pairs)
    items(paired_dataset, views([3], [3]))  # one pair in all

    def of_datasets_that_nobody_else_holds() -> Any:
        given = views([3, 7], [7, 3])
        return paired_dataset(given.first, given.second)

    read_item(of_datasets_that_nobody_else_holds()[0])


@pytest.mark.points(2)
def test_labels_match(paired_dataset: Answer, generator: torch.Generator) -> None:
    """Both images of a pair show the digit that the label says."""
    given = unequal(generator)
    pairs = items(paired_dataset, given)
    expect_labels(pairs, given)
    if not pairs:
        expect_number(0, given)


@pytest.mark.points(1)
def test_length(paired_dataset: Answer, generator: torch.Generator) -> None:
    """len() is the sum over labels of the smaller class, and no image is read for it."""
    labels = unequal(generator)
    given = views(labels.first_labels, labels.second_labels, ("targets tensor int64", "labels array uint8"), blank=True)
    try:
        n = len(paired_dataset(given.first, given.second))
    except AnswerError as error:
        if "labels and no images" not in str(error):
            raise
        whole = views(given.first_labels, given.second_labels)
        expect_number(len(paired_dataset(whole.first, whole.second)), whole)  # where that fails, too, it is told
        raise Wrong(
            expected="a length from two datasets that have labels and no images",
            got="an error, and none where there are images",
            cause="images are read to make the pairs; the labels are enough",
            hint="In __init__, use .targets or .labels only; read images in __getitem__.",
        ) from None
    expect_number(n, given)


@pytest.mark.points(1)
def test_used_once(paired_dataset: Answer, generator: torch.Generator) -> None:
    """Each image is used at most once in each place, also where one dataset is given as both views."""
    given = unequal(generator)
    pairs = items(paired_dataset, given)
    expect_once(pairs)
    if not pairs:
        expect_number(0, given)
    alone = shuffled({0: 1, 4: 3, 7: 1, 9: 2}, generator)
    one = views(alone, alone).first
    dataset = paired_dataset(one, one)
    itself = Views(one, one, alone, alone)
    taken = [read_item(item, (FIRST, FIRST)) for item in dataset.take(indices(dataset, itself))]
    expect_once(taken)
    if rightly_labelled(pairs, given) and len(pairs) == given.pairs_per_label().total():  # else that costs elsewhere
        expect_labels(taken, itself)
        expect_number(len(taken), itself, taken)


@pytest.mark.points(2)
def test_unequal_classes(paired_dataset: Answer, generator: torch.Generator) -> None:
    """Unequal classes: each label has as many pairs as its smaller class, whichever dataset has it, of any size."""
    expect_every_pair(paired_dataset, unequal(generator))
    as_long = views(shuffled({0: 3, 3: 2, 8: 4}, generator), shuffled({0: 2, 3: 5, 8: 2}, generator))
    expect_every_pair(paired_dataset, as_long)
    bytes_ = ("targets tensor uint8", "labels array uint8")
    many = views(shuffled({0: 4, 3: 270, 8: 2}, generator), shuffled({0: 3, 3: 260, 8: 6}, generator), bytes_)
    expect_every_pair(paired_dataset, many)
    first, second = shuffled({1: 6742, 4: 520}, generator), shuffled({1: 6100, 4: 1040}, generator)
    for middle in (first[100:-100], [5 - label for label in first[100:-100]]):  # only the beginning and the end stay
        expect_some_pairs(paired_dataset, views([*first[:100], *middle, *first[-100:]], second))
    # As many images as the real datasets have, of which few have a partner.
    few, lonely = [1, 2, 3, 2, 1, 3, 3], [0] * 66_000
    for given in ([*lonely[:33_000], *few], few), (few, [*lonely, *few]):
        expect_some_pairs(paired_dataset, views(*given, ("labels array int64", "targets array int64")))


def expect_every_pair(answer: Answer, given: Views) -> None:
    """Raise `Wrong` unless each label has as many pairs as its smaller class, and no image two."""
    pairs = items(answer, given)
    expect_labels(pairs, given)
    expect_once(pairs)
    expect_number(len(pairs), given, pairs)
    if Counter(pair.label for pair in pairs) != given.pairs_per_label():
        raise Wrong(
            expected=f"pairs per label {dict(sorted(given.pairs_per_label().items()))}",
            got=f"{dict(sorted(Counter(pair.label for pair in pairs).items()))}",
            cause="some labels have too many pairs and others too few",
            hint="Cut both lists of indices of each label to the shorter one.",
        )


def expect_some_pairs(answer: Answer, given: Views) -> None:
    """Raise `Wrong` unless large datasets have as many pairs as they should, and some of these are right."""
    dataset = answer(given.first, given.second)
    n, right = len(dataset), given.pairs_per_label().total()
    if n != right:
        sizes = f"{len(given.first):,} and {len(given.second):,}"
        raise Wrong(
            expected=f"{right} pairs of {sizes} images, of whose classes the largest has {max_class(given):,}",
            got=f"{n} pairs",
            cause="right for small datasets, and wrong for large ones: a bound is fixed, or an index overflows",
            hint="Leave out bounds, and let indices be Python's or int64.",
        )
    chosen = sorted({*range(0, n, max(1, n // 40)), *range(max(0, n - 5), n)})
    pairs = [read_item(item) for item in dataset.take(chosen)]
    expect_labels(pairs, given)
    expect_once(pairs)


def max_class(given: Views) -> int:
    """Return how many images the largest class of either dataset has."""
    return max(Counter(labels).most_common(1)[0][1] for labels in (given.first_labels, given.second_labels))


@pytest.mark.points(1)
def test_missing_classes(paired_dataset: Answer, generator: torch.Generator) -> None:
    """A label that only one dataset has makes no pair, and does no harm."""
    first = shuffled({0: 3, 3: 4, 4: 2, 9: 5}, generator)
    second = shuffled({1: 2, 3: 2, 4: 6, 9: 5, 7: 3}, generator)
    for given in (views(first, second), views(second, first)):
        pairs = items(paired_dataset, given)
        expect_labels(pairs, given)
        expect_once(pairs)
        expect_number(len(pairs), given, pairs)


@pytest.mark.points(1)
def test_attributes(paired_dataset: Answer, generator: torch.Generator) -> None:
    """Either dataset may keep its labels in .targets or in .labels, a tensor or an array of any integers."""
    first = shuffled({2: 3, 5: 2, 6: 4}, generator)
    second = shuffled({2: 2, 5: 4, 6: 1}, generator)
    kinds = [f"{name} {kind}" for name in ("targets", "labels") for kind in ("tensor", "array")]
    dtypes = itertools.cycle(("int64", "uint8", "int16", "int32", "int8"))
    every = [(f"{one} {next(dtypes)}", f"{two} {next(dtypes)}") for one, two in itertools.product(kinds, kinds)]
    every.append(("targets array uint64", "labels array int64"))
    every.append(("targets tensor int64 strided", "labels array int64 strided"))
    for attributes in every:
        expect_number_and_labels(paired_dataset, views(first, second, attributes))


def expect_number_and_labels(answer: Answer, given: Views) -> None:
    """Raise `Wrong` unless there are as many pairs as there should be, and both images of each show its label."""
    pairs = items(answer, given)
    expect_labels(pairs, given)
    expect_number(len(pairs), given, pairs)


@pytest.mark.points(1)
def test_empty_overlap(paired_dataset: Answer, generator: torch.Generator) -> None:
    """Datasets without a common label, or without images, make an empty dataset, not an error."""
    some = shuffled({0: 3, 2: 2}, generator)
    for first, second in ((some, shuffled({1: 4, 3: 2}, generator)), ([], some), (some, []), ([], [])):
        given = views(first, second)
        expect_number(len(paired_dataset(given.first, given.second)), given)


@pytest.mark.points(1)
def test_stable(paired_dataset: Answer, generator: torch.Generator) -> None:
    """Item i is the same pair each time: in any order, in workers, after other datasets were paired; labels stay."""
    # Each dataset has a label of its own, too.
    first, second = shuffled({0: 6, 8: 7, 3: 2}, generator), shuffled({0: 7, 8: 6, 5: 1}, generator)
    given = views(first, second)
    dataset = paired_dataset(given.first, given.second)
    forth = indices(dataset, given)
    once = [read_item(item) for item in dataset.take(forth)]
    right = rightly_labelled(once, given)  # else it costs its points elsewhere
    # The same first labels, with second ones in another order and of other numbers.
    sizes = ({0: 7, 8: 6, 5: 1}, {0: 3, 8: 2}, {0: 7, 8: 6, 5: 1})
    others = (second, *(shuffled(counts, generator) for counts in sizes))
    for labels in others:
        other = views(given.first_labels, labels, start=500)
        pairs = items(paired_dataset, other)
        if right:
            expect_labels(pairs, other)
        if (now := len(dataset)) != len(forth):
            raise Wrong(
                expected=f"len() to stay {len(forth)}",
                got=f"{now}, after other datasets were paired",
                cause="the length is kept where another PairedDataset finds it: in the class, or in a cache",
                hint="Keep everything in `self`, and make it anew in each __init__.",
            )
    rest = forth[1:]
    for how, order, workers in (
        ("read backwards", [*forth[::-1]], 0),
        ("read from the second on", [*rest], 0),
        ("read after item 0 was read again", [*forth[:1], *rest], 0),
        ("read by two workers of a DataLoader", [*forth], 2),
    ):
        expect_same(once, dict(zip(order, map(read_item, dataset.take(order, workers=workers)), strict=True)), how)
    # One that nobody has read yet is first read by workers.
    unread = paired_dataset(given.first, given.second)
    there = dict(zip(forth, map(read_item, unread.take(forth, workers=2)), strict=True))
    expect_same([*map(read_item, unread.take(forth))], there, "read by workers of a DataLoader before all others")
    if right:
        expect_labels_stay(paired_dataset, given)
        kept_otherwise = views(first, second, ("labels array int64", "targets tensor int64"))
        items(paired_dataset, kept_otherwise)
        expect_labels_stay(paired_dataset, kept_otherwise)
        alone = views(first, first)
        paired_dataset(alone.first, alone.first)
        expect_labels_stay(paired_dataset, alone)
    if not once:
        expect_number(0, given)


def expect_same(once: list[Pair], again: dict[int, Pair], how: str) -> None:
    """Raise `Wrong` unless items are the same pairs as once before."""
    for i, after in sorted(again.items()):
        if (before := once[i]) != after:
            raise Wrong(
                expected=f"item {i} to be the same pair each time: images {before.first[1]} and {before.second[1]}",
                got=f"images {after.first[1]} and {after.second[1]}, {how}",
                cause="a partner is drawn at random in __getitem__, or an item depends on what was asked for or paired "
                "since",
                hint="Make the list of pairs once, in __init__, and keep it in `self`; __getitem__ only looks it up.",
            )


def expect_labels_stay(answer: Answer, given: Views) -> None:
    """Raise `Wrong` unless datasets that were paired with each other are paired with others by the labels they had.

    An answer that overwrites labels, of images without a partner perhaps, pairs other images now.
    """
    for k, (place, labels) in enumerate((("first", given.first_labels), ("second", given.second_labels))):
        partner = LabelledImages(SECOND if k == 0 else FIRST, torch.tensor(labels), "labels array int64")
        both = Views(given.first, partner, labels, labels) if k == 0 else Views(partner, given.second, labels, labels)
        pairs = items(answer, both)
        if len(pairs) != len(labels) or not rightly_labelled(pairs, both):
            raise Wrong(
                expected=f"{len(labels)} right pairs of the {place} dataset, which was paired before, and its equal",
                got=f"{len(pairs)} pairs" + ("" if rightly_labelled(pairs, both) else ", of which some are wrong"),
                cause=f"labels of the {place} dataset were changed in place when it was paired before",
                hint="Work on a copy: sort, pop and assignments to entries change the dataset's own labels.",
            )
