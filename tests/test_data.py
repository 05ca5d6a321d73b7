"""The two views: the embedded data, and the real data from files of the same format."""

import functools
import gzip
import hashlib
import http.server
import os
import threading
from pathlib import Path

import matplotlib.font_manager
import numpy as np
import pytest
import scipy.io
import torch
from matplotlib import get_data_path
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST, SVHN

from lab_utils import data, embedded, load_views
from lab_utils.data import DataError

REAL = Path(__file__).parents[2] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"real MNIST and SVHN files are not in {REAL}")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("LAB_DATA", raising=False)
    return tmp_path / "data"


@pytest.mark.parametrize(("split", "at_least"), [("train", 6000), ("test", 1000)])
def test_embedded_views_are_map_datasets_like_torchvisions(split, at_least):
    mnist, svhn = load_views(split)
    assert len(mnist) >= at_least
    assert len(svhn) >= at_least
    for view, labels, shape in ((mnist, mnist.targets, (1, 32, 32)), (svhn, svhn.labels, (3, 32, 32))):
        image, label = view[0]
        assert image.shape == shape
        assert image.dtype == torch.float32
        assert 0 <= image.min() < image.max() <= 1
        assert type(label) is int
        assert label == labels[0]
        assert len(labels) == len(view)
        assert sorted(set(np.asarray(labels).tolist())) == list(range(10))
    assert isinstance(mnist.targets, torch.Tensor)
    assert isinstance(svhn.labels, np.ndarray)
    images, labels = next(iter(DataLoader(svhn, batch_size=4)))
    assert images.shape == (4, 3, 32, 32)
    assert labels.dtype == torch.int64


def test_embedded_data_is_the_same_each_time_and_in_the_cache(own_folder):
    drawn = load_views("test")
    (cache,) = own_folder.glob("embedded-test-*.npz")
    assert cache.stat().st_mode & 0o044 == 0o044  # confined kernels, which are other users, read it
    cached = load_views("test")
    cache.write_bytes(cache.read_bytes()[:1000])  # as after a full disk
    again = load_views("test")
    for a, b, c in zip(drawn, cached, again, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.images, c.images)
    assert sorted(path.name for path in own_folder.iterdir()) == [cache.name]


def test_embedded_data_needs_no_writable_folder(tmp_path, monkeypatch):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    monkeypatch.setenv("LAB_DATA_DIR", str(blocked / "data"))
    assert len(load_views("test").mnist) >= 1000


def test_test_handwriting_comes_from_other_scans():
    train, test = embedded._scans("train")[0], embedded._scans("test")[0]
    assert len(train) + len(test) == 1797
    known = {scan.numpy().tobytes() for scan in train}
    # Two scans in the collection may be equal by chance; none was, when this was written.
    assert not any(scan.numpy().tobytes() in known for scan in test)


def test_house_numbers_use_eight_typefaces_and_both_polarities():
    fonts = Path(get_data_path()) / "fonts" / "ttf"
    families = {matplotlib.font_manager.get_font(str(fonts / name)).family_name for name in embedded.FONTS}
    assert len(families) >= 8
    number, wall = embedded._colours(4000, np.random.default_rng(0))
    lighter = (number.mean(1) > wall.mean(1)).float().mean().item()
    assert 0.45 < lighter < 0.55
    contrast = (number.mean(1) - wall.mean(1)).abs()
    assert contrast.min() > 0.2


def test_shuffled_views_keep_image_and_label_together():
    view = load_views("test").svhn
    shuffled = view.shuffled(torch.Generator().manual_seed(1))
    assert not np.array_equal(view.labels, shuffled.labels)
    by_image = {image.numpy().tobytes(): label for image, label in zip(view.images, view.labels, strict=True)}
    assert all(
        by_image[i.numpy().tobytes()] == label for i, label in zip(shuffled.images, shuffled.labels, strict=True)
    )


def test_transform_sees_each_image():
    mnist, _ = load_views("test", transform=lambda image: image.flatten())
    assert mnist[0][0].shape == (1024,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_views("validation"), "split must be one of"),
        (lambda: load_views(source="minst"), "source must be one of"),
        (lambda: data.MnistView(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.zeros(2)), "32, 32"),
        (lambda: data.MnistView(torch.zeros(2, 1, 32, 32, dtype=torch.uint8), torch.zeros(3)), "2 images but 3 labels"),
    ],
)
def test_mistyped_arguments_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_mistyped_environment_is_named(monkeypatch):
    monkeypatch.setenv("LAB_DATA", "torchvison")
    with pytest.raises(ValueError, match="environment variable LAB_DATA"):
        load_views()


# The real data, from a server on this machine with small files of the official formats.


def idx(array):
    """Return an array of bytes in MNIST's format."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve made-up MNIST and SVHN files; torchvision's addresses and checksums are those of this server."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "server"
    folder.mkdir()
    unpacked, resources = {}, []
    for name in data.MNIST_FILES:
        n = 30 if name.startswith("train") else 20
        shape = (n, 28, 28) if "images" in name else (n,)
        content = idx(rng.integers(0, 256 if "images" in name else 10, shape, dtype=np.uint8))
        packed = gzip.compress(content)
        (folder / f"{name}.gz").write_bytes(packed)
        unpacked[name] = hashlib.md5(content).hexdigest()
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    svhn = {}
    for split in ("train", "test"):
        content = {"X": rng.integers(0, 256, (32, 32, 3, 25), dtype=np.uint8), "y": rng.integers(1, 11, (25, 1))}
        scipy.io.savemat(folder / f"{split}_32x32.mat", content)
        svhn[split] = hashlib.md5((folder / f"{split}_32x32.mat").read_bytes()).hexdigest()

    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path.lstrip("/"))
            super().do_GET()

        def log_message(self, *args):
            """Keep quiet."""

    serve = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    thread = threading.Thread(target=serve.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{serve.server_address[1]}/"
    monkeypatch.setattr(MNIST, "mirrors", [address])
    monkeypatch.setattr(MNIST, "resources", resources)
    names = {split: [f"{address}{split}_32x32.mat", f"{split}_32x32.mat", md5] for split, md5 in svhn.items()}
    monkeypatch.setattr(SVHN, "split_list", names)
    monkeypatch.setattr(data, "MNIST_FILES", unpacked)
    yield folder, requests
    serve.shutdown()
    serve.server_close()
    thread.join()


def test_real_data_is_downloaded_once_and_read_offline(server, own_folder):
    _, requests = server
    train = load_views("train", "torchvision")
    assert (len(train.mnist), len(train.svhn)) == (30, 25)
    assert train.mnist[0][0].shape == (1, 32, 32)
    assert train.svhn[0][0].shape == (3, 32, 32)
    assert set(train.svhn.labels) <= set(range(10))
    asked = len(requests)
    again = load_views("train", "torchvision")
    assert torch.equal(train.svhn.images, again.svhn.images)
    assert len(requests) == asked
    assert len(load_views("test", "torchvision").mnist) == 20
    assert not {"train-images-idx3-ubyte.gz", "train_32x32.mat"} & set(requests[asked:])


@pytest.mark.parametrize("broken", ["train-images-idx3-ubyte.gz", "train_32x32.mat"])
def test_half_a_download_is_refused_and_the_next_run_goes_on(server, own_folder, broken):
    folder, requests = server
    whole = (folder / broken).read_bytes()
    (folder / broken).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="Could not download MNIST and SVHN") as caught:
        load_views("train", "torchvision")
    assert "LAB_DATA=embedded" in str(caught.value)
    assert not (own_folder / "train_32x32.mat").exists()
    assert not (own_folder / "MNIST").exists()
    (folder / broken).write_bytes(whole)
    asked = len(requests)
    assert len(load_views("train", "torchvision").svhn) == 25
    if broken == "train_32x32.mat":  # MNIST had arrived whole before: it is not asked for again
        assert set(requests[asked:]) == {"train_32x32.mat"}


def test_no_network_says_what_to_do(monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])  # nothing listens on the discard port
    with pytest.raises(DataError, match="Check the network") as caught:
        load_views("train", "torchvision")
    assert "train_32x32.mat" in str(caught.value)


@pytest.mark.parametrize("name", ["MNIST/raw/train-labels-idx1-ubyte", "train_32x32.mat"])
def test_a_damaged_file_is_named_and_set_aside(server, own_folder, name):
    load_views("train", "torchvision")
    path = own_folder / name
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    with pytest.raises(DataError, match="is damaged") as caught:
        load_views("train", "torchvision")
    assert str(path) in str(caught.value)
    assert path.with_name(path.name + ".damaged").exists()
    assert len(load_views("train", "torchvision").mnist) == 30  # a good copy came


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot use the data folder"):
        load_views("train", "torchvision", root=tmp_path / "file" / "data")


@needs_real_data
def test_real_mnist_and_the_first_svhn_digits_are_read(monkeypatch, own_folder):
    own_folder.mkdir()
    (own_folder / "MNIST").symlink_to(REAL / "MNIST")
    source = REAL / "SVHN" / "train_32x32_first800.mat"
    os.symlink(source, own_folder / "train_32x32.mat")
    md5 = hashlib.md5(source.read_bytes()).hexdigest()
    monkeypatch.setitem(SVHN.split_list, "train", ["", "train_32x32.mat", md5])
    mnist, svhn = load_views("train", "torchvision")
    assert torch.bincount(mnist.targets).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.images.shape == (60000, 1, 32, 32)
    assert svhn.images.shape == (800, 3, 32, 32)
    official = np.load(REAL / "SVHN" / "svhn_official_labels.npz")
    assert np.array_equal(svhn.labels, official[official.files[0]][:800])


# Files of one's own.


def own_views(**changes):
    """Return arrays as a file of one's own has them: 20 images of either view, 28 pixels wide."""
    rng = np.random.default_rng(0)
    labels = np.arange(20) % 10
    arrays = {
        "mnist": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "mnist_labels": labels,
        "svhn": rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8),
        "svhn_labels": labels[::-1].astype(np.uint8),
    }
    return {name: array for name, array in (arrays | changes).items() if array is not None}


def test_two_views_of_ones_own(own_folder, monkeypatch):
    own_folder.mkdir()
    arrays = own_views()
    np.savez(own_folder / "train.npz", **arrays)
    monkeypatch.setenv("LAB_DATA", "files")
    mnist, svhn = load_views("train")
    assert mnist.images.shape == (20, 1, 32, 32)
    assert svhn.images.shape == (20, 3, 32, 32)
    assert np.array_equal(svhn.images[3].permute(1, 2, 0).numpy(), arrays["svhn"][3])
    assert svhn.labels.tolist() == arrays["svhn_labels"].tolist()
    # Scaled, not cropped: corners stay corners.
    assert int(mnist.images[5, 0, 0, 0]) == int(arrays["mnist"][5, 0, 0])
    as_torch_has_them = arrays["svhn"].transpose(0, 3, 1, 2)
    np.savez(own_folder / "train.npz", **own_views(svhn=as_torch_has_them, mnist=arrays["mnist"][:, None]))
    again = load_views("train")
    assert torch.equal(again.svhn.images, svhn.images)
    assert torch.equal(again.mnist.images, mnist.images)
    with pytest.raises(DataError, match=r"test.npz is not there. LAB_DATA=files wants train.npz and test.npz"):
        load_views("test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"svhn_labels": None}, "has no array svhn_labels"),
        ({"svhn": np.zeros((20, 32, 32, 3))}, r"svhn must be uint8 \(N, S, S, 3\), bytes in 0..255; it is float64"),
        ({"svhn": np.zeros((20, 32, 32), np.uint8)}, "svhn must be uint8"),
        ({"svhn": np.zeros((20, 32, 24, 3), np.uint8)}, "svhn must be uint8"),
        ({"mnist": np.zeros((20, 784), np.uint8)}, r"mnist must be uint8 \(N, S, S\), .* \(20, 784\)"),
        ({"mnist": np.zeros((0, 28, 28), np.uint8)}, "mnist must be uint8"),
        ({"mnist_labels": np.arange(19) % 10}, "one for each of 20 images"),
        ({"mnist_labels": np.arange(20) % 10 / 1.0}, "mnist_labels must be whole numbers"),
        ({"mnist_labels": np.arange(20) % 10 + 1}, "each of 0 to 9, and no other; it has 1, 2, 3"),
        ({"mnist_labels": np.arange(20) % 9}, "each of 0 to 9"),
    ],
)
def test_a_file_that_does_not_fit_is_named(own_folder, changes, message):
    own_folder.mkdir()
    np.savez(own_folder / "train.npz", **own_views(**changes))
    with pytest.raises(DataError, match=message) as caught:
        load_views("train", "files")
    assert str(own_folder / "train.npz") in str(caught.value)


def test_a_file_that_is_none_is_named(own_folder):
    own_folder.mkdir()
    for content in (b"", b"no archive", b"PK\x03\x04 cut off"):
        (own_folder / "train.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"train.npz is not a readable .npz file"):
            load_views("train", "files")
    np.savez(own_folder / "train.npz", **{name: np.array([object()]) for name in data.FILE_ARRAYS})
    with pytest.raises(DataError, match="not a readable"):  # an object would be unpickled, which runs code
        load_views("train", "files")
