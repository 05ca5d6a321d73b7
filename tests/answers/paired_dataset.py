"""Right and wrong answers to `PairedDataset`; each wrong one names the cause its message must give."""

import random
from collections import defaultdict
from itertools import product
from typing import ClassVar

import numpy as np
import torch
from torch.utils.data import Dataset


def labels_of(dataset):
    return [int(label) for label in (dataset.targets if hasattr(dataset, "targets") else dataset.labels)]


def by_label(labels):
    indices = defaultdict(list)
    for i, label in enumerate(labels):
        indices[label].append(i)
    return indices


class Lists(Dataset):
    def __init__(self, first, second):
        self.first, self.second = first, second
        self.pairs = self.make(by_label(labels_of(first)), by_label(labels_of(second)))

    def make(self, one, two):
        return [(i, j, label) for label in one if label in two for i, j in zip(one[label], two[label], strict=False)]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        i, j, label = self.pairs[index]
        return self.first[i][0], self.second[j][0], label


class Sorted(Dataset):
    def __init__(self, first, second):
        self.first, self.second = first, second
        one, two = (np.array(labels_of(d), dtype=np.int64) for d in (first, second))
        order1, order2 = np.argsort(one, kind="stable"), np.argsort(two, kind="stable")
        counts1, counts2 = np.bincount(one, minlength=10), np.bincount(two, minlength=10)
        smaller = np.minimum(counts1, counts2)
        self.labels = torch.from_numpy(np.repeat(np.arange(10), smaller))
        rank = np.arange(smaller.sum()) - np.repeat(np.cumsum(smaller) - smaller, smaller)
        self.i = order1[np.repeat(np.cumsum(counts1) - counts1, smaller) + rank]
        self.j = order2[np.repeat(np.cumsum(counts2) - counts2, smaller) + rank]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.first[self.i[index]][0], self.second[self.j[index]][0], self.labels[index]


class Shuffled(Lists):
    def make(self, one, two):
        pairs = super().make(one, two)
        random.Random(3).shuffle(pairs)
        return pairs


class Tensors(Dataset):
    def __init__(self, first, second):
        labels1 = torch.as_tensor(first.targets if hasattr(first, "targets") else first.labels)
        labels2 = torch.as_tensor(second.targets if hasattr(second, "targets") else second.labels)
        self.first, self.second, self.pairs = first, second, []
        for label in range(10):
            i, j = (labels1 == label).nonzero()[:, 0], (labels2 == label).nonzero()[:, 0]
            n = min(len(i), len(j))
            self.pairs += [(int(a), int(b), label) for a, b in zip(i[-n:], j[-n:], strict=True)] if n else []

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        i, j, label = self.pairs[index]
        return [self.first[i][0], self.second[j][0], np.int64(label)]


RIGHT = [Lists, Sorted, Shuffled, Tensors]


class SideBySide(Lists):
    def make(self, one, two):
        n = min(len(self.first), len(self.second))
        return [(i, i, labels_of(self.first)[i]) for i in range(n)]


class EveryCombination(Lists):
    def make(self, one, two):
        return [(i, j, label) for label in one if label in two for i, j in product(one[label], two[label])]


class RepeatsSmaller(Lists):
    def make(self, one, two):
        return [
            (one[label][k % len(one[label])], two[label][k % len(two[label])], label)
            for label in one
            if label in two
            for k in range(max(len(one[label]), len(two[label])))
        ]


class SmallestClass(Lists):
    def make(self, one, two):
        common = [label for label in one if label in two]
        n = min((min(len(one[label]), len(two[label])) for label in common), default=0)
        return [(one[label][k], two[label][k], label) for label in common for k in range(n)]


class RandomPartner(Lists):
    def __getitem__(self, index):
        i, _, label = self.pairs[index]
        return self.first[i][0], self.second[random.choice(by_label(labels_of(self.second))[label])][0], label


class Exchanged(Lists):
    def __getitem__(self, index):
        one, two, label = super().__getitem__(index)
        return two, one, label


class FourParts(Lists):
    def __getitem__(self, index):
        i, j, _ = self.pairs[index]
        return *self.first[i], *self.second[j]


class Nested(Lists):
    def __getitem__(self, index):
        one, two, label = super().__getitem__(index)
        return (one, two), label


class WithLabels(Lists):
    def __getitem__(self, index):
        i, j, label = self.pairs[index]
        return self.first[i], self.second[j], label


class LabelVector(Lists):
    def __getitem__(self, index):
        one, two, label = super().__getitem__(index)
        return one, two, torch.tensor([label])


class BothLabels(Lists):
    def __getitem__(self, index):
        one, two, label = super().__getitem__(index)
        return one, two, (label, label)


class FloatLabel(Lists):
    def __getitem__(self, index):
        one, two, label = super().__getitem__(index)
        return one, two, torch.tensor(float(label))


class ClassPosition(Lists):
    def make(self, one, two):
        common = sorted(label for label in one if label in two)
        return [(i, j, common.index(label)) for i, j, label in super().make(one, two)]


class OtherOrder(Lists):
    def make(self, one, two):
        pairs = super().make(one, two)
        return [(*pairs[k][:2], label) for k, (_, _, label) in zip(torch.randperm(len(pairs)), pairs, strict=True)]


class OneLabel(Lists):
    def make(self, one, two):
        return [(i, j, 1) for i, j, _ in super().make(one, two)]


class ImageNumber(Lists):
    def make(self, one, two):
        return [(i, j, int(i)) for i, j, _ in super().make(one, two)]


class OneTensor(Lists):
    def __getitem__(self, index):
        first, second, label = super().__getitem__(index)
        return torch.cat([first, second]), label


class CommonOnly(Lists):
    """Leaves the given datasets with the labels that both have."""

    def __init__(self, first, second):
        super().__init__(first, second)
        common = {label for _, _, label in self.pairs}
        for view in (first, second):
            name = "targets" if hasattr(view, "targets") else "labels"
            labels = torch.as_tensor(getattr(view, name))
            setattr(view, name, labels[torch.tensor([int(label) in common for label in labels], dtype=torch.bool)])


class TargetsOnly(Lists):
    def __init__(self, first, second):
        self.first, self.second = first, second
        self.pairs = self.make(by_label(first.targets.tolist()), by_label(second.targets.tolist()))


class MnistThenSvhn(Lists):
    def __init__(self, first, second):
        self.first, self.second = first, second
        self.pairs = self.make(by_label(first.targets.tolist()), by_label(second.labels.tolist()))


class NeedsEveryClass(Lists):
    def make(self, one, two):
        one, two = dict(one), dict(two)
        return [(i, j, label) for label in one for i, j in zip(one[label], two[label], strict=False)]


class FirstOfClass(Lists):
    def make(self, one, two):
        return [(i, two[label][0], label) for i, _, label in super().make(one, two)]


class LosesLast(Lists):
    def make(self, one, two):
        n = {label: min(len(one[label]), len(two[label])) for label in one if label in two}
        return [(one[label][k], two[label][k], label) for label in n for k in range(n[label] - 1)]


class LengthOfFirst(Lists):
    def __len__(self):
        return len(self.first)


class LengthTooLarge(Lists):
    def __len__(self):
        return len(self.pairs) + 1


class IndexIntoClass(Lists):
    def make(self, one, two):
        pairs = super().make(one, two)
        return [(one[label].index(i), two[label].index(j), label) for i, j, label in pairs]


class EmptyFails(Lists):
    def make(self, one, two):
        self.labels = torch.cat([torch.tensor([label]) for _, _, label in super().make(one, two)])
        return super().make(one, two)


class BothFromFirst(Lists):
    def __getitem__(self, index):
        i, _, label = self.pairs[index]
        return self.first[i][0], self.first[i][0], label


class UsesUp(Lists):
    """Marks each image that it has used in the labels of its dataset."""

    def __init__(self, first, second):
        super().__init__(first, second)
        for dataset, place in ((first, 0), (second, 1)):
            for pair in self.pairs:
                (dataset.targets if hasattr(dataset, "targets") else dataset.labels)[pair[place]] = -1


class SharedByAll(Lists):
    """Keeps its pairs in the class, where the next instance overwrites them."""

    def __init__(self, first, second):
        super().__init__(first, second)
        SharedByAll.kept = self.pairs

    def __getitem__(self, index):
        i, j, label = self.kept[index]
        return self.first[i][0], self.second[j][0], label


class OfTheNewest(Lists):
    """Keeps its length in the class."""

    def __init__(self, first, second):
        super().__init__(first, second)
        OfTheNewest.length = len(self.pairs)

    def __len__(self):
        return self.length


class ByFirstLabels(Lists):
    """Takes pairs from a cache that knows the first labels only."""

    known: ClassVar[dict] = {}

    def __init__(self, first, second):
        super().__init__(first, second)
        self.pairs = self.known.setdefault(tuple(labels_of(first)), self.pairs)


class ReadsImages(Lists):
    def __init__(self, first, second):
        self.first, self.second = first, second
        one, two = ([int(x[i][1]) for i in range(len(x))] for x in (first, second))
        self.pairs = self.make(by_label(one), by_label(two))


class FloatIndices(Lists):  # which np.concatenate makes of indices and an empty array
    def __init__(self, first, second):
        super().__init__(first, second)
        self.pairs = [(np.float64(i), np.float64(j), label) for i, j, label in self.pairs]


class TensorTargets(Lists):
    def __init__(self, first, second):
        self.first, self.second = first, second
        one, two = (x.targets.numpy() if hasattr(x, "targets") else np.asarray(x.labels) for x in (first, second))
        self.pairs = self.make(by_label(one.tolist()), by_label(two.tolist()))


class FirstHundred(Lists):
    def make(self, one, two):
        return super().make(*({label: indices[:100] for label, indices in each.items()} for each in (one, two)))


class Squeezed(Lists):
    def __getitem__(self, index):
        one, two, label = super().__getitem__(index)
        return one.squeeze(0), two, label


class ChangedImages(Lists):
    def __getitem__(self, index):
        one, two, label = super().__getitem__(index)
        return one / 255, two, label


class Indices(Lists):
    def __getitem__(self, index):
        return self.pairs[index]


class ReadsBothToPair(Lists):
    def __init__(self, first, second):
        for dataset in (first, second):
            for i in range(len(dataset)):
                _ = dataset[i]
        super().__init__(first, second)


class AtMostAThousand(Lists):
    def __init__(self, first, second):
        super().__init__(first, second)
        self.pairs = self.pairs[:1000]


class SmallIndices(Lists):
    def __init__(self, first, second):
        super().__init__(first, second)
        self.pairs = [tuple(int(np.array(part).astype(np.int16)) for part in pair) for pair in self.pairs]


class LabelsInBytes(Lists):
    def __init__(self, first, second):
        one, two = (np.asarray(labels_of(d), dtype=np.int64) for d in (first, second))
        n = len(one) + len(two)
        keys = [(labels.astype(np.uint8) * np.uint8(n % 256)) for labels in (one, two)]
        super().__init__(first, second)
        if n > 255 and len(set(keys[0].tolist())) < len(set(one.tolist())):
            self.pairs = []


class ReshuffledAtZero(Lists):
    def __getitem__(self, index):
        if index == 0:
            self.pairs = self.pairs[:1] + self.pairs[:0:-1]
        return super().__getitem__(index)


class PairedInTheWorker(Lists):
    """Makes its pairs when the first item is read, by the random numbers of the process that reads it."""

    shuffled = False

    def __getitem__(self, index):
        if not self.shuffled:
            order = torch.randperm(len(self.pairs), generator=torch.Generator().manual_seed(torch.initial_seed()))
            self.pairs, self.shuffled = [self.pairs[i] for i in order.tolist()], True
        return super().__getitem__(index)


class NotWithItself(Lists):
    def __init__(self, first, second):
        super().__init__(first, second)
        if first is second:
            self.pairs = [(i, j, label) for i, j, label in self.pairs if i != j]


class TwicePermuted(Lists):
    def __init__(self, first, second):
        super().__init__(first, second)
        self.pairs = self.pairs * 4


class NeedsAnImage(Lists):
    def __init__(self, first, second):
        super().__init__(first, second)
        labels_of(first)[0]


class ByPlaces(Lists):
    """Pairs by places in shuffled orders, with a label that is that of the first image."""

    def __init__(self, first, second):
        super().__init__(first, second)
        n = min(len(first), len(second))
        two = list(range(len(second)))[::-1]
        self.pairs = [(i, two[i], int(labels_of(first)[i])) for i in range(n)]


WRONG = {
    SideBySide: "image i of one dataset is paired with image i of the other",
    EveryCombination: "every image is paired with every image of its label",
    RepeatsSmaller: "the larger class counts",
    SmallestClass: "every class is cut to the smallest class",
    RandomPartner: "a partner is drawn at random",
    Exchanged: "in the wrong order",
    FourParts: "each view's own (image, label)",
    Nested: "the two images are in a tuple of their own",
    WithLabels: "an index, a label or an (image, label) pair",
    LabelVector: "the label is a tensor of one entry",
    BothLabels: "the labels of both views",
    FloatLabel: "not a whole number",
    ClassPosition: "the returned label is a position",
    OtherOrder: "that of another pair",
    OneLabel: "the same for every item",
    ImageNumber: "the index of an image",
    OneTensor: "the two images are in one tensor",
    CommonOnly: "changed in place",
    TargetsOnly: "no attribute 'targets'",
    MnistThenSvhn: "no attribute 'targets'",
    NeedsEveryClass: "KeyError",
    FirstOfClass: "one image serves a whole class",
    LosesLast: "the last pair of each label is lost",
    LengthOfFirst: "the length is that of one dataset",
    LengthTooLarge: "one pair is counted too many",
    IndexIntoClass: "an index into a class is taken for one into the dataset",
    EmptyFails: "expected a non-empty list",
    BothFromFirst: "both images are read from one dataset",
    UsesUp: "changed in place",
    SharedByAll: "paired since",
    OfTheNewest: "where another PairedDataset finds it",
    ByFirstLabels: "or the pairs are those of other datasets",
    ReadsImages: "images are read to make the pairs",
    TensorTargets: "no attribute 'numpy'",
    FirstHundred: "no label has more than 100 pairs",
    Squeezed: "changed, batched or reshaped",
    ChangedImages: "changed, batched or reshaped",
    Indices: "an index, a label or an (image, label) pair",
    ReadsBothToPair: "images are read to make the pairs",
    AtMostAThousand: "wrong for large ones",
    SmallIndices: "of other datasets",
    ReshuffledAtZero: "depends on what was asked for",
    PairedInTheWorker: "of a DataLoader",
    NotWithItself: "pairs",
    TwicePermuted: "each class is paired 4 times",
    NeedsAnImage: "IndexError",
    ByPlaces: "without a look at their labels",
    FloatIndices: "valid indices",
}
