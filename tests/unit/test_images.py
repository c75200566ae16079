"""Pictures beside vectors: read as they were written, row by row, and every bad one is refused in one sentence."""

import io
import struct
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mrl_viz.archive import read_result, write_result
from mrl_viz.data import images as module
from mrl_viz.data.corpus import Corpus, corpus_from_texts, corpus_from_vectors, same_items, with_images
from mrl_viz.data.images import check_images
from mrl_viz.data.reading import read_corpus, read_upload
from mrl_viz.errors import DataFormatError, MrlVizError, ShapeError

RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((4, 6)).astype(np.float32)
GREY = RNG.integers(0, 256, (4, 8, 10), dtype=np.uint8)
COLORED = RNG.integers(0, 256, (4, 8, 10, 3), dtype=np.uint8)
NAMES = [f"{n}.png" for n in range(4)]


def npy(array):
    """The array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays):
    """The arrays as the bytes of an .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def parquet(**columns):
    """The columns as the bytes of a .parquet file."""
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


def picture(pixels, kind="png", **options):
    """The pixels as the bytes of a picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()


def zipped(members):
    """The members, as they are, as the bytes of a .zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def is_one_sentence(error):
    """Whether the message begins with a name in backticks, is one line and sentence, and says what to do."""
    message = str(error)
    return message.startswith("`") and message.endswith(".") and "\n" not in message and ". " not in message


def table(names=NAMES):
    """A table that names the pictures in another order than the zip has them."""
    rows = [f"text of {name},{name},{'even' if row % 2 == 0 else 'odd'}" for row, name in enumerate(names)]
    return "\n".join(["text,image,label", *rows]).encode()


def members(pixels=GREY, order=(2, 0, 3, 1)):
    """Vectors, a table and pictures, which lie in the zip in any order."""
    return {
        "embeddings.npy": npy(VECTORS),
        "rows.csv": table(),
        "__MACOSX/._0.png": b"",
        **{NAMES[row]: picture(pixels[row]) for row in order},
    }


@pytest.mark.parametrize("pixels", [GREY, COLORED], ids=["grey", "colored"])
@pytest.mark.parametrize("name", ["images", "image", "pictures"])
def test_pictures_beside_vectors_are_read_as_written(pixels, name):
    """An array of pictures in an .npz comes back bit by bit, and stays beside its row under a limit."""
    content = npz(embeddings=VECTORS, texts=np.array(list("abcd")), **{name: pixels})
    corpus = read_upload("a.npz", content)
    np.testing.assert_array_equal(corpus.images, pixels, strict=True)
    limited = read_upload("a.npz", content, limit=2)
    np.testing.assert_array_equal(limited.images, pixels[:2], strict=True)
    assert (limited.texts, limited.check.notes) == (("a", "b"), ())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.array([[[0.0, 0.5, 1.0]]]), [[[0, 128, 255]]]),
        (np.array([[[0, 7, 255]]]), [[[0, 7, 255]]]),
        (np.array([[[False, True]]]), [[[0, 255]]]),
        (np.array([[[[0.0], [1.0]]]], dtype=np.float16), [[[0, 255]]]),
    ],
    ids=["shares", "whole numbers", "booleans", "one channel"],
)
def test_check_images_gives_bytes(given, expected):
    """Shares of 1, whole numbers up to 255 and booleans are bytes afterwards; a channel axis of 1 goes."""
    np.testing.assert_array_equal(check_images(given), np.array(expected, dtype=np.uint8), strict=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 64)), r"`images` of `a` has shape \(4, 64\); give \(n_items, height, width\)"),
        (np.zeros((4, 3, 8, 8)), r"has shape \(4, 3, 8, 8\); give .* with 3 colours last"),
        (np.zeros((4, 8, 8, 4)), r"has shape \(4, 8, 8, 4\)"),
        (np.zeros((4, 0, 8)), r"has shape \(4, 0, 8\)"),
        (np.full((4, 2, 2), 16.0), "goes from 16 to 16; give whole numbers from 0 to 255, or others from 0 to 1"),
        (np.full((4, 2, 2), -1), "goes from -1 to -1"),
        (np.full((4, 2, 2), 256), "goes from 256 to 256"),
        (np.full((4, 2, 2), np.nan), "goes from nan to nan"),
        (np.full((4, 2, 2), "x"), "holds <U1; give uint8, or numbers from 0 to 1"),
    ],
)
def test_check_images_refuses_what_is_no_picture(given, message):
    """Other shapes, kinds and ranges are refused in one sentence."""
    with pytest.raises(ShapeError, match=message) as caught:
        check_images(given, "a")
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (npz(embeddings=VECTORS, images=GREY[:3]), ShapeError, "`images` has 3 values for 4 rows; give one each"),
        (npz(images=GREY), DataFormatError, "`a.npz` holds pictures, which nothing here embeds; add their vectors"),
        (npz(embeddings=VECTORS, images=GREY / 16), ShapeError, r"goes from 0 to 15\.9375; give whole numbers"),
    ],
)
def test_read_upload_refuses_pictures_that_do_not_go_with_vectors(content, error, message):
    """Another number of pictures, pictures alone, another range: one sentence each."""
    with pytest.raises(error, match=message) as caught:
        read_upload("a.npz", content)
    assert is_one_sentence(caught.value)


def test_large_pictures_are_shrunk_and_a_note_says_so():
    """What is longer than 64 pixels is kept at 64, every pixel the mean of those it stands for; smaller ones stay."""
    large = np.repeat(np.repeat(GREY, 16, axis=1), 16, axis=2)
    corpus = corpus_from_vectors(VECTORS, images=large)
    assert corpus.images.shape == (4, 51, 64) and corpus.images.dtype == np.uint8
    assert corpus.check.notes == ("Pictures of 160 × 128 pixels are kept as 64 × 51, to be looked at.",)
    np.testing.assert_allclose(corpus.images.mean(axis=(1, 2)), GREY.mean(axis=(1, 2)), atol=1)
    exact = corpus_from_vectors(VECTORS, images=np.repeat(np.repeat(COLORED[:, :, :8], 16, axis=1), 16, axis=2))
    np.testing.assert_array_equal(exact.images[:, ::8, ::8], COLORED[:, :, :8])


def test_pictures_are_part_of_the_evidence():
    """One other pixel is another fingerprint; without pictures it is what it was before there were any."""
    plain, shown = corpus_from_vectors(VECTORS), corpus_from_vectors(VECTORS, images=GREY)
    other = GREY.copy()
    other[3, 0, 0] ^= 1
    prints = {plain.fingerprint, shown.fingerprint, corpus_from_vectors(VECTORS, images=other).fingerprint}
    trained = replace(plain, matryoshka_dims=(2, 6))
    assert len(prints | {trained.fingerprint}) == 4
    assert corpus_from_texts(["a", "b"]).fingerprint == "ec61c6d013b980cc"


def test_pictures_belong_to_all_files_of_the_same_items():
    """What one file of vectors knows of the items, pictures too, the others know; another number of them is refused."""
    first, second = corpus_from_vectors(VECTORS, name="a", images=GREY), corpus_from_vectors(VECTORS, name="b")
    assert all(corpus.images is first.images for corpus in same_items([second, first]))
    with pytest.raises(ShapeError, match="`b` has 4 texts but 3 pictures; give one each"):
        with_images(second, GREY[:3])


@pytest.mark.parametrize("pixels", [GREY, COLORED], ids=["grey", "colored"])
def test_a_zip_of_pictures_is_read_row_by_row(pixels):
    """The table's column `image` says which picture a row is of, wherever it lies; texts and labels come along."""
    corpus = read_upload("a.zip", zipped(members(pixels)))
    np.testing.assert_array_equal(corpus.images, pixels, strict=True)
    np.testing.assert_array_equal(corpus.embeddings, VECTORS, strict=True)
    assert corpus.texts == tuple(f"text of {name}" for name in NAMES)
    assert dict(corpus.labels) == {"label": ("even", "odd", "even", "odd")}
    assert corpus.check.notes == ()
    limited = read_upload("a.zip", zipped(members(pixels)), limit=3)
    np.testing.assert_array_equal(limited.images, pixels[:3], strict=True)
    assert limited.n_items == 3


FILES = {name: picture(pixels) for name, pixels in zip(NAMES, GREY)}
WITHOUT_VECTORS = "holds pictures, which nothing here embeds, and no vectors; add their vectors, such as embeddings.npy"


@pytest.mark.parametrize(
    "given",
    [
        {"rows.parquet": parquet(image=NAMES, embedding=list(VECTORS))},
        {"deep/rows.parquet": parquet(image=NAMES, embedding=list(VECTORS))},
        {"all.npz": npz(embeddings=VECTORS, image=np.array(NAMES))},
        {"embeddings.npz": npz(embeddings=VECTORS, images=GREY)},
        {"e.safetensors": None, "rows.csv": b"image\n" + "\n".join(NAMES).encode()},
        {"rows.jsonl": b"\n".join(b'{"image": "%s"}' % name.encode() for name in NAMES), "e.npy": npy(VECTORS)},
    ],
    ids=["parquet", "parquet deeper", "npz with names", "npz with pictures", "safetensors and csv", "npy and jsonl"],
)
def test_vectors_and_names_lie_in_any_kind_of_file(given):
    """Names stand in a table or an array, vectors in a column or a file; without texts, files name the rows."""
    from safetensors.numpy import save

    given = {name: save({"e": VECTORS}) if content is None else content for name, content in given.items()}
    corpus = read_upload("a.zip", zipped({**FILES, **given}))
    np.testing.assert_array_equal(corpus.images, GREY, strict=True)
    np.testing.assert_array_equal(corpus.embeddings, VECTORS, strict=True)
    assert corpus.texts == (tuple(NAMES) if "embeddings.npz" not in given else tuple(f"vector {n}" for n in range(4)))


def test_pictures_of_a_beir_collection(tmp_path):
    """`image` in corpus.jsonl names pictures of the zip or folder, beside vectors."""
    rows = [f'{{"_id": "{n}", "text": "text {n}", "image": "p/{name}"}}' for n, name in enumerate(NAMES)]
    given = {"corpus.jsonl": "\n".join(rows).encode(), "embeddings.npy": npy(VECTORS)}
    given |= {f"p/{name}": content for name, content in FILES.items()}
    for name, content in given.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for corpus in (read_upload("a.zip", zipped(given)), read_corpus(tmp_path)):
        np.testing.assert_array_equal(corpus.images, GREY, strict=True)


def test_pictures_of_unequal_sizes_are_scaled_whole_into_one_frame():
    """The largest one's shape is the frame; a picture of another shape has white beside it; a note says so."""
    black = {"wide.png": picture(np.zeros((20, 40), np.uint8)), "tall.png": picture(np.zeros((200, 100), np.uint8))}
    content = zipped({"e.npy": npy(VECTORS[:2]), "rows.csv": b"image\nwide.png\ntall.png", **black})
    corpus = read_upload("a.zip", content)
    wide, tall = corpus.images
    assert corpus.images.shape == (2, 64, 40)
    assert corpus.check.notes == ("Pictures of 2 different sizes are kept as 40 × 64, to be looked at.",)
    assert (wide[:20] == 255).all() and (wide[24:40] == 0).all() and (wide[-20:] == 255).all()
    assert (tall[:, 6:34] == 0).all() and (tall[:, :3] == 255).all() and (tall[:, -3:] == 255).all()


def test_what_shines_through_is_white_and_photos_stand_upright():
    """A transparent pixel is white, 16 bits are 8, and a photo that says how it was held is turned."""
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[:2, :, 3] = 255
    deep = np.full((4, 4), 65535, np.uint16)
    turned, exif = np.zeros((4, 4), np.uint8), Image.Exif()
    turned[0] = 255
    exif[0x0112] = 3  # upside down
    files = {"clear.png": picture(clear), "deep.png": picture(deep), "turned.png": picture(turned, exif=exif)}
    content = zipped({"e.npy": npy(VECTORS[:3]), "rows.csv": ("image\n" + "\n".join(files)).encode(), **files})
    first, second, third = read_upload("a.zip", content).images
    assert (first[:2] == 0).all() and (first[2:] == 255).all()
    assert (second == 255).all()
    assert (third[-1] == 255).all() and (third[:-1] == 0).all()


def png_header(width, height):
    """A .png that promises so many pixels and has none."""
    part = b"IHDR" + struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">L", 13) + part + struct.pack(">L", zlib.crc32(part))
    return start + struct.pack(">L", 4) + b"IDAT" + bytes(8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"2.png": b"no picture"}, "`2.png` in `a.zip` is no readable picture; save it as PNG or JPEG"),
        ({"2.png": FILES["2.png"][:-40]}, "`2.png` in `a.zip` is no readable picture"),
        ({"2.png": FILES["2.png"][:50]}, "`2.png` in `a.zip` is no readable picture"),
        ({"2.png": b""}, "`2.png` in `a.zip` is no readable picture"),
        ({"2.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"}, "`2.png` in `a.zip` is no readable picture"),
        ({"2.png": png_header(9_000, 9_000)}, "`2.png` in `a.zip` has more than 50 million pixels; save it smaller"),
        ({"2.png": png_header(10_000, 10_000)}, "`2.png` in `a.zip` has more than 50 million pixels"),
        ({"2.png": png_header(60_000, 60_000)}, "`2.png` in `a.zip` has more than 50 million pixels"),
        ({"2.png": None}, "`a.zip` names `2.png` in row 3 and does not hold it; add the file"),
        ({"rows.csv": table(["0.png", "../1.png", "2.png", "3.png"])}, "names `../1.png` in row 2, a place outside it"),
        ({"rows.csv": table(["0.png", "/etc/passwd", "2.png", "3.png"])}, "names `/etc/passwd` in row 2, a place"),
        ({"rows.csv": table(["0.png", "..\\1.png", "2.png", "3.png"])}, "in row 2, a place outside it; name files"),
        ({"rows.csv": table(["C:/1.png", "1.png", "2.png", "3.png"])}, "names `C:/1.png` in row 1, a place outside"),
        ({"rows.csv": table(["0.png", "1.png", "2.png", ""])}, "`a.zip` names no picture in row 4; name one"),
        ({"rows.csv": table(NAMES[:3])}, "has 3 values for 4 rows; give one each"),
        ({"rows.csv": b"image\n0.png"}, "`a.zip` has 4 vectors but 1 texts; give one text each"),
        (
            {
                "e.npz": npz(e=VECTORS, texts=np.array(list("abcd")), image=np.array(["0.png"])),
                "embeddings.npy": None,
                "rows.csv": None,
            },
            "`a.zip` has 4 vectors but names 1 pictures; name one each",
        ),
        ({"embeddings.npy": None}, WITHOUT_VECTORS),
        ({"embeddings.npy": None, "rows.csv": None}, WITHOUT_VECTORS),
        ({"more.csv": table()}, r"`a.zip` holds 2 tables, such as rows.csv and more.csv; keep one"),
        ({"more.npy": npy(VECTORS)}, "`a.zip` holds 2 files of vectors, such as embeddings.npy and more.npy; keep one"),
    ],
)
def test_read_upload_refuses_a_bad_zip_of_pictures(changes, message):
    """A broken picture, a bomb, a name outside or of nothing, no vectors: one sentence that names the file."""
    given = {**members(), **changes}
    with pytest.raises(MrlVizError, match=message) as caught:
        read_upload("a.zip", zipped({name: content for name, content in given.items() if content is not None}))
    assert is_one_sentence(caught.value)


def test_a_picture_of_too_many_bytes_is_refused(monkeypatch):
    """The limit of one file's bytes holds before it is decoded."""
    monkeypatch.setattr(module, "MOST_PICTURE_BYTES", 50)
    with pytest.raises(DataFormatError, match=r"`0.png` in `a.zip` has 0 MB; the limit is 0 MB, so save it smaller"):
        read_upload("a.zip", zipped(members()))


def test_any_damage_to_a_picture_is_one_sentence_or_a_picture():
    """Bytes changed anywhere in files of every kind never raise anything else."""
    refused, rng = 0, np.random.default_rng(0)
    for kind in ("png", "jpeg", "gif", "webp", "bmp"):
        content = picture(COLORED[0], kind)
        for _ in range(40):
            damaged = bytearray(content)
            damaged[int(rng.integers(len(content)))] ^= int(rng.integers(1, 256))
            damaged = damaged[: int(rng.integers(len(content)))] if rng.random() < 0.3 else damaged
            given = {"e.npy": npy(VECTORS[:2]), "rows.csv": b"image\na.png\na.png", "a.png": bytes(damaged)}
            try:
                assert read_upload("a.zip", zipped(given)).images.dtype == np.uint8
            except MrlVizError as error:
                assert is_one_sentence(error) and "`a.png`" in str(error)
                refused += 1
    assert refused >= 30


def test_pictures_that_nothing_names_are_left_out_with_a_note():
    """Vectors with stray pictures are read as before; names without files are left out, and notes say so."""
    corpus = read_upload("a.zip", zipped({"embeddings.npy": npy(VECTORS), **FILES}))
    assert corpus.images is None
    assert corpus.check.notes == ("4 pictures are left out: no column `image` says which row they are of.",)
    alone = read_upload("a.npz", npz(embeddings=VECTORS, image=np.array(NAMES)))
    assert alone.images is None
    assert alone.check.notes == ("Pictures are left out: their files are missing; zip them together with this one.",)


def test_no_pickle_beside_pictures():
    """An object array of pictures is refused as everywhere."""
    buffer = io.BytesIO()
    np.savez(buffer, embeddings=VECTORS, images=np.array([{1}, {2}, {3}, {4}], dtype=object))
    with pytest.raises(DataFormatError, match="pickles are refused"):
        read_upload("a.npz", buffer.getvalue())


def test_data_with_pictures_are_kept_whole(tmp_path):
    """What is kept on the machine on request holds pictures and trained widths too: the same fingerprint afterwards."""
    corpus = replace(corpus_from_vectors(VECTORS, images=COLORED), matryoshka_dims=(2, 6))
    write_result(corpus, tmp_path / "kept.npz", key="a")
    found = read_result(Corpus, tmp_path / "kept.npz", key="a")
    np.testing.assert_array_equal(found.images, COLORED, strict=True)
    assert (found.matryoshka_dims, found.fingerprint) == ((2, 6), corpus.fingerprint)
