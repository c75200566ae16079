"""Every format is read as it was written, and every bad file is refused in one clear sentence."""

import io
import json
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save as safetensors

from mrl_viz.data import reading
from mrl_viz.data.content import MEGABYTE, cell
from mrl_viz.data.reading import read_corpus, read_queries, read_upload
from mrl_viz.data.tables import label_candidates, table_columns
from mrl_viz.errors import DataFormatError, EmptyInputError, InvalidInputError, MrlVizError, ShapeError

TEXTS = ("Äpfel, „quoted“ and\ttabbed", "a second text", 'with "quotes" inside')
LABELS = ("fruit", "other", None)
VECTORS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
SHAPE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 9)}"
EMBEDDING = b'{"embedding": %s}\n{"embedding": [3, 4]}'


def npy(array, **options):
    """The array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def npz(**arrays):
    """The arrays as the bytes of a compressed .npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def parquet(**columns):
    """The columns as the bytes of a .parquet file."""
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()


def jsonl(*rows):
    """One JSON object a line."""
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def zipped(members, prefix=""):
    """The members, deflated, as the bytes of a .zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(prefix + name, content)
    return buffer.getvalue()


def npy_header(header):
    """A .npy file of some zeros with this header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(100)


def flipped(content, start, stop):
    """The content with the bits of a stretch of bytes inverted."""
    return content[:start] + bytes(byte ^ 255 for byte in content[start:stop]) + content[stop:]


def bfloat16():
    """A .safetensors file of a type that numpy lacks."""
    header = b'{"e": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}'
    return struct.pack("<Q", len(header)) + header + bytes(8)


def lying_bomb():
    """A zip of 5 MB of zeros whose headers promise 100 bytes."""
    content = zipped({"corpus.jsonl": bytes(5 << 20)})
    return content.replace(struct.pack("<L", 5 << 20), struct.pack("<L", 100))


def is_one_sentence(error):
    """Whether the message begins with a name in backticks, is one line and sentence, and says what to do."""
    message = str(error)
    return message.startswith("`") and message.endswith(".") and "\n" not in message and ". " not in message


@pytest.fixture
def beir():
    """The members of a BEIR folder with a duplicate text, a title, two labels and graded relevance."""
    return {
        "corpus.jsonl": jsonl(
            {"_id": "d1", "title": "On rivers", "text": "they flow", "metadata": {"topic": "water"}},
            {"_id": "d2", "title": "", "text": "bread rises", "metadata": {"topic": "food", "level": 1}},
            {"_id": "d3", "text": " bread rises "},
        ),
        "queries.jsonl": jsonl({"_id": "q1", "text": "what flows"}, {"_id": "q2", "text": "what rises"}),
        "qrels/test.tsv": b"query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t1\nq2\td3\t2\n",
    }


def delimited(separator, encoding="utf-8"):
    """The texts and labels as a table with this separator."""
    frame = pd.DataFrame({"id": ["x", "y", "z"], "text": TEXTS, "label": LABELS})
    return frame.to_csv(sep=separator, index=False).encode(encoding)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", delimited(",")),
        ("a.CSV", delimited(",", "utf-8-sig")),
        ("a.csv", delimited(",", "utf-16")),
        ("a.tsv", delimited("\t")),
        ("a.jsonl", jsonl(*({"_id": i, "text": t, "label": c} for i, t, c in zip("xyz", TEXTS, LABELS)))),
        ("a.parquet", parquet(id=["x", "y", "z"], text=TEXTS, label=LABELS)),
    ],
    ids=["csv", "csv-bom", "csv-utf16", "tsv", "jsonl", "parquet"],
)
def test_read_upload_returns_the_table_written(name, content):
    """Texts, ids and labels of a table come back as they were written, a missing label as None."""
    corpus = read_upload(name, content)
    assert (corpus.texts, corpus.ids, dict(corpus.labels)) == (TEXTS, ("x", "y", "z"), {"label": LABELS})
    assert corpus.name == name
    assert corpus.embeddings is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_read_corpus_returns_the_lines_written(tmp_path, encoding, newline):
    """A text file is one text a line, in UTF-8 or in UTF-16 with a byte order mark; empty lines are counted."""
    path = tmp_path / "a.txt"
    path.write_bytes(newline.join([TEXTS[0], "", *TEXTS[1:]]).encode(encoding))
    corpus = read_corpus(path)
    assert (corpus.texts, corpus.ids, corpus.check.n_empty) == (TEXTS, ("0", "2", "3"), 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npy", npy(VECTORS)),
        ("a.npy", npy(np.asfortranarray(VECTORS))),
        ("a.npz", npz(anything=VECTORS)),
        ("a.npz", npz(other=VECTORS * 2, embeddings=VECTORS)),
        ("a.safetensors", safetensors({"anything": VECTORS})),
        ("a.safetensors", safetensors({"other": VECTORS * 2, "embeddings": VECTORS, "scale": np.ones(3)})),
        ("a.parquet", parquet(vector=list(VECTORS))),
        ("a.jsonl", jsonl(*({"embedding": row} for row in VECTORS.tolist()))),
    ],
    ids=["npy", "npy-fortran", "npz", "npz-two", "safetensors", "safetensors-two", "parquet", "jsonl"],
)
def test_read_upload_returns_the_vectors_written(name, content):
    """Vectors come back bit by bit as float32 rows, named by their position."""
    corpus = read_upload(name, content)
    np.testing.assert_array_equal(corpus.embeddings, VECTORS, strict=True)
    assert corpus.embeddings.flags.c_contiguous
    assert corpus.texts == ("vector 0", "vector 1", "vector 2")


@pytest.mark.parametrize(
    ("name", "content", "column"),
    [
        ("a.npz", npz(embeddings=VECTORS, texts=np.array(TEXTS), labels=np.array(["fruit", "other", ""])), "labels"),
        ("a.parquet", parquet(text=TEXTS, embedding=list(VECTORS), label=LABELS), "label"),
    ],
    ids=["npz", "parquet"],
)
def test_read_upload_returns_the_texts_and_labels_of_vectors(name, content, column):
    """Texts and labels that lie beside vectors come with them, row by row, also under a limit."""
    corpus = read_upload(name, content)
    np.testing.assert_array_equal(corpus.embeddings, VECTORS)
    assert (corpus.texts, dict(corpus.labels)) == (TEXTS, {column: LABELS})
    limited = read_upload(name, content, limit=2)
    np.testing.assert_array_equal(limited.embeddings, VECTORS[:2])
    assert (limited.texts, dict(limited.labels)) == (TEXTS[:2], {column: LABELS[:2]})


def test_read_upload_reads_numeric_labels_of_vectors():
    """Labels of a .npz that are whole numbers are read as their digits."""
    corpus = read_upload("a.npz", npz(embeddings=VECTORS, labels=np.array([3, 1, 3])))
    assert dict(corpus.labels) == {"labels": ("3", "1", "3")}


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "uint8", "bool"])
def test_read_upload_notes_vectors_read_as_float32(dtype):
    """Vectors of another type are read as float32, and a note names the type they had."""
    given = np.eye(3, 4).astype(dtype)
    corpus = read_upload("a.npy", npy(given))
    np.testing.assert_array_equal(corpus.embeddings, given.astype(np.float32), strict=True)
    assert corpus.check.notes == (f"The vectors were {dtype} and are read as float32.",)
    assert read_upload("a.npy", npy(given.astype(np.float32))).check.notes == ()


def test_read_upload_notes_zero_vectors():
    """Zero vectors are kept, and a note counts them."""
    corpus = read_upload("a.npy", npy(np.float32([[0, 0], [1, 2], [0, 0]])))
    assert corpus.n_items == 3
    assert corpus.check.notes == ("2 vectors are all zero; their similarity with everything is 0.",)


def test_read_upload_returns_the_pairs_written():
    """Sentence pairs point into the distinct sentences in order; a pair without a score is counted and left out."""
    content = b"sentence1,sentence2,score\na,b,0.5\nb,c,\nc,a,4\nd,a,high\n"
    corpus = read_upload("a.csv", content)
    assert corpus.texts == ("a", "b", "c")
    assert corpus.pairs == ((0, 1, 0.5), (2, 0, 4.0))
    assert corpus.check.notes == ("2 pairs lack a sentence or a score and are left out.",)
    assert read_upload("a.csv", content, limit=1).pairs == ((0, 1, 0.5),)


@pytest.mark.parametrize("prefix", [None, "", "my collection/inner/"], ids=["folder", "zip", "wrapped"])
def test_read_corpus_returns_the_beir_collection_written(tmp_path, beir, prefix):
    """A BEIR folder, its zip, and the zip of a folder around it give the same texts, labels, queries and relevance."""
    path = tmp_path / "collection"
    if prefix is None:
        for name, content in beir.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    else:
        path = path.with_suffix(".zip")
        path.write_bytes(zipped(beir, prefix))
    corpus = read_corpus(path)
    assert corpus.name == path.name
    assert (corpus.texts, corpus.ids) == (("On rivers they flow", "bread rises"), ("d1", "d2"))
    assert dict(corpus.labels) == {"topic": ("water", "food"), "level": (None, "1")}
    assert (corpus.query_ids, corpus.query_texts) == (("q1", "q2"), ("what flows", "what rises"))
    assert corpus.qrels == {"q1": {"d1": 2}, "q2": {"d2": 2}}
    assert corpus.check.notes == ()


def test_read_upload_moves_judgements_of_duplicates(beir):
    """The judgement of a dropped duplicate goes to the text that was kept, the higher grade wins."""
    beir["qrels/test.tsv"] = b"q1\td3\t1\nq2\td2\t3\nq2\td3\t1\n"
    assert read_upload("b.zip", zipped(beir)).qrels == {"q1": {"d2": 1}, "q2": {"d2": 3}}
    kept = read_upload("b.zip", zipped(beir), keep_duplicates=True)
    assert kept.ids == ("d1", "d2", "d3")
    assert kept.qrels == {"q1": {"d3": 1}, "q2": {"d2": 3, "d3": 1}}


def test_read_upload_notes_judgements_of_unknown_documents(beir):
    """Judgements that name no known query or text are left out, and a note counts them."""
    beir["qrels/test.tsv"] += b"q1\tnowhere\t1\nnobody\td1\t1\n"
    corpus = read_upload("b.zip", zipped(beir))
    assert corpus.qrels == {"q1": {"d1": 2}, "q2": {"d2": 2}}
    assert corpus.check.notes == ("2 relevance judgements name a query or text that is not here; they are left out.",)


@pytest.mark.parametrize("left_out", ["queries.jsonl", "qrels/test.tsv"])
def test_read_upload_reads_a_beir_zip_without_relevance(beir, left_out):
    """Without queries or without judgements the texts are read all the same."""
    del beir[left_out]
    corpus = read_upload("b.zip", zipped(beir))
    assert corpus.ids == ("d1", "d2")
    assert corpus.qrels == {}


def test_read_upload_applies_the_limit_before_dropping_duplicates():
    """A limit of 3 rows of which two are equal leaves two texts, and the rest are counted."""
    corpus = read_upload("a.txt", b"one\none\ntwo\nthree\nfour\n", limit=3)
    assert corpus.texts == ("one", "two")
    assert (corpus.check.n_rows, corpus.check.n_duplicates, corpus.check.n_truncated_by_limit) == (5, 1, 2)


def test_read_upload_keeps_duplicates_when_asked():
    """Kept duplicates are still counted."""
    corpus = read_upload("a.txt", b"one\none\n", keep_duplicates=True)
    assert (corpus.texts, corpus.check.n_duplicates) == (("one", "one"), 1)


def test_read_upload_takes_the_columns_named():
    """A named text or label column wins over a guessed one."""
    content = b"text,label,note,kind\na,x,first,p\nb,y,second,q\n"
    corpus = read_upload("a.csv", content, text_column="note", label_column="kind")
    assert (corpus.texts, dict(corpus.labels)) == (("first", "second"), {"kind": ("p", "q")})


def test_read_upload_reads_a_text_of_the_longest_length():
    """A single text of a million characters is read, also as a cell; one more is refused."""
    longest = b"x" * 1_000_000
    for name, start in {"a.txt": b"short\n", "a.csv": b"text\nshort\n"}.items():
        corpus = read_upload(name, start + longest)
        assert (corpus.n_items, corpus.check.longest_chars) == (2, 1_000_000)
        with pytest.raises(InvalidInputError, match=r"text of 1,000,001 characters; the limit is 1,000,000") as caught:
            read_upload(name, start + longest + b"x")
        assert is_one_sentence(caught.value)


def test_columns_that_could_be_labels_are_named():
    """A column that groups the texts is offered whatever its name; numbers of rows, ids and texts are not."""
    rows = "\n".join(f"{n},question {n},{'ab'[n % 2]},{n % 3},{n}" for n in range(12))
    table = f"id,text,intent,group,row\n{rows}\n".encode()
    assert label_candidates("a.csv", table) == {"intent": 2, "group": 3}
    corpus = read_upload("a.csv", table)
    assert not corpus.labels and "`intent` (2 values), `group` (3 values) could be one" in corpus.check.notes[-1]
    assert read_upload("a.csv", table, label_column="intent").labels["intent"][:2] == ("a", "b")
    assert "could be one" not in " ".join(read_upload("a.csv", b"text,topic\na,x\nb,x\nc,y\nd,y\n").check.notes)


def test_table_columns_guesses():
    """The guessed text and label columns are those that reading takes; vectors and pairs have no text column."""
    assert table_columns("a.csv", b"id,body,topic\n1,a,x\n") == (("id", "body", "topic"), "body", ("topic",))
    assert table_columns("a.csv", b"id,remark\n1,a longer one\n") == (("id", "remark"), "remark", ())
    assert table_columns("a.csv", b"sentence1,sentence2,score\na,b,1\n")[1] is None
    assert table_columns("a.parquet", parquet(vector=list(VECTORS)))[1] is None
    with pytest.raises(EmptyInputError, match="is empty"):
        table_columns("a.csv", b"")


def test_read_upload_leaves_out_the_index_of_pandas():
    """An index that pandas stored is no column."""
    buffer = io.BytesIO()
    pd.DataFrame({"remark": ["a", "b"]}, index=["a long index", "another long index"]).to_parquet(buffer)
    assert table_columns("a.parquet", buffer.getvalue())[0] == ("remark",)


def test_read_queries_reads_a_single_query(tmp_path):
    """One query is enough, and equal queries are kept."""
    path = tmp_path / "queries.txt"
    path.write_text("only one\n")
    queries = read_queries(path)
    assert (queries.ids, queries.texts) == (("0",), ("only one",))
    path.write_text("same\nsame\n")
    assert read_queries(path).texts == ("same", "same")


def test_sample_corpus_is_complete():
    """Every judged query and text of the sample is there, and every text has its labels."""
    corpus = read_corpus("sample")
    assert corpus.name == "sample"
    assert corpus.check.n_duplicates == corpus.check.n_empty == 0
    assert corpus.check.notes == ()
    assert set(corpus.qrels) == set(corpus.query_ids)
    assert set(corpus.labels) == {"domain", "topic"}
    assert all(None not in values for values in corpus.labels.values())


QUERIES = np.random.default_rng(1).standard_normal((2, 4)).astype(np.float32)
QRELS = {"q1": {"b": 2}, "q2": {"a": 1}}
NAMED = {
    "embeddings": VECTORS,
    "queries": QUERIES,
    "texts": np.array(TEXTS),
    "ids": np.array(["a", "b", "c"]),
    "topic": np.array(["x", "y", "x"]),
    "query_texts": np.array(["first", "second"]),
    "query_ids": np.array(["q1", "q2"]),
    "qrels": np.array([["q1", "b", "2"], ["q2", "a", "1"]]),
}


def test_read_upload_returns_the_query_vectors_written():
    """Vectors, queries, their texts and ids, labels and judgements of one file come back as they were written."""
    corpus = read_upload("a.npz", npz(**NAMED))
    np.testing.assert_array_equal(corpus.embeddings, VECTORS, strict=True)
    np.testing.assert_array_equal(corpus.query_embeddings, QUERIES, strict=True)
    assert (corpus.texts, corpus.ids, dict(corpus.labels)) == (TEXTS, ("a", "b", "c"), {"topic": ("x", "y", "x")})
    assert (corpus.query_texts, corpus.query_ids, corpus.qrels) == (("first", "second"), ("q1", "q2"), QRELS)
    assert corpus.check.notes == ()


@pytest.mark.parametrize("key", ["queries", "query_embeddings", "query_vectors"])
@pytest.mark.parametrize("name", ["embeddings", "corpus", "anything"])
def test_read_upload_knows_query_vectors_by_name(key, name):
    """Without names, rows are called by their number, which whole-number judgements can use; safetensors work too."""
    arrays = {name: VECTORS, key: QUERIES, "qrels": np.array([[0, 2, 1], [1, 0, 3]])}
    for corpus in (read_upload("a.npz", npz(**arrays)), read_upload("a.safetensors", safetensors(arrays))):
        np.testing.assert_array_equal(corpus.query_embeddings, QUERIES, strict=True)
        assert (corpus.ids, corpus.query_ids) == (("0", "1", "2"), ("0", "1"))
        assert corpus.query_texts == ("query 0", "query 1")
        assert corpus.qrels == {"0": {"2": 1}, "1": {"0": 3}}


def test_read_upload_takes_a_lone_matrix_of_any_name_as_vectors():
    """A file of queries alone is a file of vectors, to be searched or to search with."""
    assert read_upload("a.npz", npz(queries=QUERIES)).query_embeddings is None
    np.testing.assert_array_equal(read_upload("a.npz", npz(queries=QUERIES)).embeddings, QUERIES)


def test_read_upload_names_what_it_does_not_use():
    """Nothing is dropped without a word: arrays, columns, queries without vectors."""
    notes = read_upload("a.npz", npz(embeddings=VECTORS, other=VECTORS, scale=np.ones(3))).check.notes
    assert notes == ("Arrays of a.npz not used: other (float32, shape (3, 4)), scale (float64, shape (3,)).",)
    notes = read_upload("a.npz", npz(**{key: value for key, value in NAMED.items() if key != "queries"})).check.notes
    assert notes == ("Queries and judgements are left out: their vectors are missing; add `queries`.",)
    many = ",".join(f"c{number}" for number in range(10))
    notes = read_upload("a.csv", f"text,{many}\na{',x' * 10}\nb{',y' * 10}\n".encode()).check.notes
    assert notes == ("Columns not used: c0, c1, c2, c3, c4, c5, c6, c7 and 2 more.",)
    notes = read_upload("a.parquet", parquet(text=TEXTS, vector=list(VECTORS), price=[1, 2, 3])).check.notes
    assert notes == ("Columns not used: price.",)
    notes = read_upload("a.parquet", parquet(text=TEXTS, vector=list(VECTORS)), text_column="text").check.notes
    assert notes == ("Columns not used: vector.",)
    notes = read_upload("a.csv", b"sentence1,sentence2,score,genre\na,b,1,x\nc,d,2,y\n").check.notes
    assert notes == ("Columns not used: genre.",)


def test_read_upload_reads_the_ids_of_vectors_in_a_table():
    """An id column names vectors as it names texts."""
    corpus = read_upload("a.parquet", parquet(id=["x", "y", "z"], embedding=list(VECTORS)))
    assert (corpus.ids, corpus.texts) == (("x", "y", "z"), ("vector 0", "vector 1", "vector 2"))


def test_read_upload_takes_the_arrays_named():
    """A named array of texts or labels wins over the usual ones."""
    arrays = {"embeddings": VECTORS, "titles": np.array(TEXTS), "level": np.array([1, 2, 1])}
    corpus = read_upload("a.npz", npz(**arrays), text_column="titles", label_column="level")
    assert (corpus.texts, dict(corpus.labels), corpus.check.notes) == (TEXTS, {"level": ("1", "2", "1")}, ())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"queries": QUERIES[:, :3]},
            ShapeError,
            "has vectors of 3 coordinates and `a.npz` of 4; use one model for both",
        ),
        ({"queries": np.full((2, 4), np.nan)}, ShapeError, "`a.npz: queries` has NaN or infinity in row 0"),
        ({"query_texts": np.array(["one"])}, ShapeError, "`a.npz: queries` has 2 vectors but 1 texts"),
        ({"query_ids": np.array(["one"])}, ShapeError, "`ids` has 1 values for 2 rows; give one each"),
        ({"ids": np.array(["a", "b"])}, ShapeError, "`ids` has 2 values for 3 rows; give one each"),
        ({"ids": np.ones(3)}, ShapeError, r"`ids` in `a\.npz` is float64, shape \(3,\); save a 1-D unicode array"),
        ({"qrels": np.ones((2, 3))}, ShapeError, None),
        ({"qrels": np.array([["q1", "b", "high"]])}, ShapeError, "save rows of query id, text id, whole-number grade"),
        ({"qrels": np.array(["q1", "b", "1"])}, ShapeError, r"`qrels` in `a\.npz` is <U2, shape \(3,\); save rows"),
    ],
)
def test_read_upload_refuses_queries_that_do_not_go_with_the_vectors(changes, error, message):
    """Widths, counts, ids and judgements that do not fit are refused; unknown ids are counted in a note."""
    content = npz(**{**NAMED, **changes})
    if message is None:
        notes = read_upload("a.npz", content).check.notes
        assert notes == ("1 relevance judgements name a query or text that is not here; they are left out.",)
        return
    with pytest.raises(error, match=message) as caught:
        read_upload("a.npz", content)
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize("column", ["text_column", "label_column"])
def test_read_upload_refuses_a_missing_array(column):
    """An array that the file lacks is refused, and the message lists those it has."""
    with pytest.raises(DataFormatError, match=r"`a\.npz` has no array 'nope' beside its vectors; choose one of level"):
        read_upload("a.npz", npz(embeddings=VECTORS, level=np.array([1, 2, 1])), **{column: "nope"})


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Vectors, queries and judgements in files of their own."""
    monkeypatch.chdir(tmp_path)
    np.save("vectors.npy", VECTORS)
    np.save("q.npy", QUERIES)
    (tmp_path / "rows.tsv").write_text("query-id\tcorpus-id\tscore\n0\t1\t2\n1\t0\t1\n1\t9\t1\n")
    (tmp_path / "trec.qrels").write_text("0 0 1 2\n1 0 0 1\n")
    (tmp_path / "texts.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "asked.csv").write_text("id,query\nq1,what\nq2,who\n")
    return tmp_path


def test_read_corpus_searches_vectors_with_a_file_of_vectors(files):
    """Queries and judgements of files of their own belong to the vectors; rows are called by their number."""
    corpus = read_corpus("vectors.npy", queries="q.npy", qrels="rows.tsv")
    np.testing.assert_array_equal(corpus.query_embeddings, QUERIES, strict=True)
    assert corpus.qrels == {"0": {"1": 2}, "1": {"0": 1}}
    assert corpus.query_texts == ("query 0", "query 1")
    assert corpus.check.notes == ("1 relevance judgements name a query or text that is not here; they are left out.",)
    assert read_corpus("vectors.npy", queries="q.npy", qrels="trec.qrels").qrels == corpus.qrels
    np.savez("named.npz", embeddings=QUERIES, texts=np.array(["first", "second"]), ids=np.array(["q1", "q2"]))
    named = read_corpus("vectors.npy", queries="named.npz")
    assert (named.query_texts, named.query_ids) == (("first", "second"), ("q1", "q2"))


def test_read_corpus_searches_texts_with_a_file_of_texts(files):
    """Queries of a file take the place of those that came with the data, and judgements name them by their ids."""
    (files / "q.tsv").write_text("q1\t0\t1\nq2\t2\t1\n")
    corpus = read_corpus("texts.txt", queries="asked.csv", qrels="q.tsv")
    assert (corpus.query_ids, corpus.query_texts) == (("q1", "q2"), ("what", "who"))
    assert corpus.qrels == {"q1": {"0": 1}, "q2": {"2": 1}}


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        (
            "vectors.npy",
            {"queries": "asked.csv"},
            InvalidInputError,
            "`vectors.npy` holds vectors and `asked.csv` texts",
        ),
        (
            "texts.txt",
            {"queries": "q.npy"},
            InvalidInputError,
            "`texts.txt` holds texts and `q.npy` vectors; give both",
        ),
        (
            "vectors.npy",
            {"qrels": "rows.tsv"},
            InvalidInputError,
            r"whose ids are such as \(no queries\); give queries",
        ),
        (
            "texts.txt",
            {"queries": "asked.csv", "qrels": "rows.tsv"},
            InvalidInputError,
            "has 3 judgements and none names",
        ),
        ("vectors.npy", {"queries": "q.npy", "qrels": "no.tsv"}, DataFormatError, "`no.tsv` cannot be opened"),
        (
            "vectors.npy",
            {"queries": "q.npy", "qrels": "asked.csv"},
            DataFormatError,
            "`asked.csv` line 1 is not query-id",
        ),
        ("vectors.npy", {"queries": "no.npy"}, DataFormatError, "`no.npy` is no file here"),
    ],
)
def test_read_corpus_refuses_queries_of_another_kind(files, source, options, error, message):
    """Queries and judgements that do not go with the data are refused in one sentence."""
    with pytest.raises(error, match=message) as caught:
        read_corpus(source, **options)
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize("prefix", [None, "inner/"], ids=["folder", "zip"])
def test_read_corpus_reads_vectors_beside_a_beir_collection(tmp_path, beir, prefix):
    """embeddings.npy and queries.npy beside the .jsonl files are those rows' vectors; every row stays."""
    beir |= {"embeddings.npy": npy(VECTORS), "queries.npy": npy(QUERIES)}
    path = tmp_path / "collection.zip"
    if prefix is None:
        path = tmp_path / "collection"
        for name, content in beir.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    else:
        path.write_bytes(zipped(beir, prefix))
    corpus = read_corpus(path)
    np.testing.assert_array_equal(corpus.embeddings, VECTORS, strict=True)
    np.testing.assert_array_equal(corpus.query_embeddings, QUERIES, strict=True)
    assert (corpus.texts, corpus.ids) == (("On rivers they flow", "bread rises", "bread rises"), ("d1", "d2", "d3"))
    assert (corpus.query_ids, corpus.query_texts) == (("q1", "q2"), ("what flows", "what rises"))
    assert corpus.qrels == {"q1": {"d1": 2}, "q2": {"d2": 1, "d3": 2}}
    assert corpus.labels["topic"] == ("water", "food", None)
    assert corpus.check.notes == ("Vectors are read from embeddings.npy; no model embeds the texts.",)


def test_read_upload_reads_a_collection_of_vectors_alone():
    """Without .jsonl files the rows are called by their number; one .npz may hold everything but the judgements."""
    qrels = b"0\t1\t2\n1\t0\t1\n"
    apart = {"vectors.npy": npy(VECTORS), "query_embeddings.npy": npy(QUERIES), "qrels.tsv": qrels}
    together = {"embeddings.npz": npz(embeddings=VECTORS, queries=QUERIES), "qrels/test.tsv": qrels}
    for members in (apart, together):
        corpus = read_upload("b.zip", zipped(members))
        np.testing.assert_array_equal(corpus.query_embeddings, QUERIES, strict=True)
        assert corpus.qrels == {"0": {"1": 2}, "1": {"0": 1}}


def test_read_upload_notes_queries_without_vectors(beir):
    """Where only the texts have vectors, their queries and judgements cannot be used, and a note says so."""
    corpus = read_upload("b.zip", zipped({**beir, "embeddings.npy": npy(VECTORS)}))
    assert (corpus.query_ids, corpus.qrels) == ((), {})
    assert "Queries and judgements are left out: their vectors are missing; add `queries`." in corpus.check.notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embeddings.npy": npy(VECTORS[:2])}, "`ids` has 3 values for 2 rows; give one each"),
        ({"queries.npy": npy(QUERIES[:1])}, "`ids` has 2 values for 1 rows"),
        ({"queries.npy": npy(QUERIES[:, :2])}, "`b.zip: queries` has vectors of 2 coordinates and `b.zip` of 4"),
    ],
)
def test_read_upload_refuses_vectors_of_other_rows(beir, changes, message):
    """There is one vector for each row of the .jsonl file, of one width."""
    members = {**beir, "embeddings.npy": npy(VECTORS), "queries.npy": npy(QUERIES), **changes}
    with pytest.raises(ShapeError, match=message):
        read_upload("b.zip", zipped(members))


def test_read_upload_notes_metadata_that_is_no_label(beir):
    """Metadata of too many values to be a label is named."""
    rows = ({"_id": str(n), "text": f"text {n}", "metadata": {"url": f"u{n}", "kind": "k"}} for n in range(502))
    corpus = read_upload("b.zip", zipped({**beir, "corpus.jsonl": jsonl(*rows)}))
    assert set(corpus.labels) == {"kind"}
    assert corpus.check.notes[0] == "Metadata not used: url."


# The last of three texts is a number that is no character.
NO_CHARACTERS = npy(np.array(["a", "b", "c"]))[:-4] + b"\xff" * 4
SUFFIXES = ("txt", "csv", "tsv", "jsonl", "parquet", "zip", "npy", "npz", "safetensors", "pdf")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_read_upload_refuses_an_empty_file(suffix):
    """A file without a byte is empty, whatever its name."""
    with pytest.raises(EmptyInputError, match=r"`a\.\w+` is empty; give a file with at least two texts") as caught:
        read_upload(f"a.{suffix}", b"")
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b" \n \n", b"\xa4" + np.random.default_rng(0).bytes(500)], ids=["blank", "random"])
def test_read_upload_refuses_a_file_without_texts(suffix, content):
    """Blank and random bytes are no file of any format."""
    with pytest.raises(MrlVizError, match=rf"`a\.{suffix}`") as caught:
        read_upload(f"a.{suffix}", content)
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.txt", b"one\n\n", EmptyInputError, r"1 item left of 2 rows \(1 empty, 0 duplicate.*add at least one more"),
        ("a.txt", b"x\nx\n x", EmptyInputError, r"1 item left of 3 rows \(0 empty, 2 duplicate"),
        ("a.txt", "x\ncaf\xe9".encode("latin-1"), DataFormatError, r"not UTF-8 \(byte 5\); save it as UTF-8"),
        ("a.txt", "x\ny".encode("utf-16")[:-1], DataFormatError, "not UTF-8"),
        ("a.txt", "x\ny".encode("utf-16-le"), DataFormatError, "holds binary data"),
        ("a.csv", b"text\na\0b\nc", DataFormatError, "holds binary data"),
        ("a.csv", b'text,label\n"abc,x\nd,y\n', DataFormatError, r"readable csv \(EOF inside string.*check its format"),
        ("a.csv", b"text,label\na,b\nc,d,e\n", DataFormatError, r"Expected 2 fields in line 3, saw 3"),
        ("a.csv", b"text\na,b\nc,d\n", DataFormatError, "rows have more cells than the header"),
        ("a.csv", b"text,label\n", EmptyInputError, "has no rows"),
        ("a.csv", b"sentence1,sentence2,score\na,b,\n,d,1\n", EmptyInputError, "2 pairs, none with two sentences"),
        ("a.parquet", b"PAR1" + bytes(range(200)) + b"PAR1", DataFormatError, "no readable parquet"),
        ("a.parquet", parquet(text=TEXTS)[:-30], DataFormatError, "no readable parquet"),
        ("a.parquet", flipped(parquet(text=TEXTS), 20, 60), DataFormatError, "no readable parquet"),
        ("a.jsonl", b'{"text": "a"}\n{"text":', DataFormatError, "line 2 is not JSON; give one JSON object a line"),
        ("a.jsonl", b'{"text": "a"}\n["b"]', DataFormatError, "line 2 is no JSON object"),
        ("a.jsonl", b'{"text": "a"}\n{"text": ' + b"9" * 5000 + b"}", DataFormatError, "line 2 is not JSON"),
        ("a.jsonl", b'{"text": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", DataFormatError, "line 1 is not JSON"),
        ("a.jsonl", b'{"text": "\\ud800"}\n{"text": "b"}', DataFormatError, "surrogates not allowed"),
        ("a.jsonl", b"{}\n{}", EmptyInputError, "has no rows"),
        ("a.pdf", b"%PDF", DataFormatError, r"kind that is not read here; give one of \.txt, \.csv"),
    ],
)
def test_read_upload_refuses_bad_texts(name, content, error, message):
    """A file of texts that cannot be used is refused in one sentence."""
    with pytest.raises(error, match=message) as caught:
        read_upload(name, content)
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize("key", ["text", "label", "embedding", "other"])
def test_read_upload_survives_any_nesting(key):
    """Lists in lists are read or refused, never a recursion error, up to and beyond the depth that JSON is read to."""
    refused = set()
    for depth in range(800, 1000):
        try:
            read_upload("a.jsonl", f'{{"{key}": {"[" * depth}{"]" * depth}}}\n{{"{key}": "b"}}'.encode())
        except MrlVizError as error:
            assert is_one_sentence(error)
            refused.add(str(error))
    assert "`a.jsonl` line 1 is not JSON; give one JSON object a line." in refused


def test_cell_refuses_lists_too_deep_to_write():
    """A value nested deeper than Python writes it is refused in one sentence, however it was read."""
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(DataFormatError, match="`jsonl` cells hold lists nested too deeply; give plain texts") as caught:
        cell(value)
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.npy", npy(np.float32(3)), ShapeError, r"shape \(\); give a matrix of shape \(n_items, full_dim\)"),
        ("a.npy", npy(np.ones(4)), ShapeError, r"shape \(4,\); give a matrix"),
        ("a.npy", npy(np.ones((2, 2, 2))), ShapeError, r"shape \(2, 2, 2\); give a matrix"),
        ("a.npy", npy(np.ones((0, 4))), EmptyInputError, "has no rows"),
        ("a.npy", npy(np.ones((4, 0))), ShapeError, "has no columns"),
        ("a.npy", npy(np.ones((1, 4))), EmptyInputError, "1 item left of 1 rows"),
        ("a.npy", npy(np.ones((2, 2), complex)), ShapeError, "holds complex128, not real numbers"),
        ("a.npy", npy(np.array([["a", "b"]])), ShapeError, "holds <U1, not real numbers"),
        ("a.npy", npy(np.array([[1.0, 2], [np.nan, 1]])), ShapeError, "NaN or infinity in row 1; remove or repair"),
        ("a.npy", npy(np.array([[1.0, 2], [np.inf, 1]])), ShapeError, "NaN or infinity in row 1"),
        ("a.npy", npy(np.array([[1.0, 2], [np.inf, -np.inf]])), ShapeError, "NaN or infinity in row 1"),
        ("a.npy", npy(np.array([[1.0, 2], [1, 1e300]])), ShapeError, r"has 1e\+300 in row 1, beyond float32; rescale"),
        ("a.npy", npy(np.array([[1, "a"]], object), allow_pickle=True), DataFormatError, "pickles are refused"),
        ("a.npy", pickle.dumps([[1.0, 2.0]]), DataFormatError, r"no plain npy .*pickles are refused\); save a float"),
        ("a.npy", npz(e=VECTORS), DataFormatError, "no plain npy"),
        ("a.npy", npy(VECTORS)[:-5], DataFormatError, "no plain npy"),
        ("a.npy", npy_header(b"{'descr': (((("), DataFormatError, "no plain npy"),
        ("a.npy", npy_header(SHAPE % 10**11), DataFormatError, "no plain npy"),
        ("a.npy", npy_header(SHAPE % 10**30), DataFormatError, "no plain npy"),
        ("a.npz", npz(e=np.array([[1, "a"]], object)), DataFormatError, "no plain npz .*pickles are refused"),
        ("a.npz", npz(e=VECTORS, texts=np.array(TEXTS, object)), DataFormatError, "texts as a unicode array"),
        ("a.npz", npz(e=VECTORS, texts=np.array([b"a", b"b", b"c"])), ShapeError, r"`texts` in `a\.npz` is \|S1"),
        ("a.npz", npz(embeddings=VECTORS, texts=np.array([["a"]])), ShapeError, r"`texts` .* \(1, 1\); save a 1-D"),
        ("a.npz", zipped({"e.npy": npy(VECTORS), "texts.npy": NO_CHARACTERS}), DataFormatError, "no plain npz"),
        ("a.npz", npz(e=VECTORS, texts=np.array(["a", "b"])), ShapeError, "3 vectors but 2 texts; give one text each"),
        ("a.npz", npz(e=VECTORS, labels=np.array(["a", "b"])), ShapeError, "`labels` has 2 values for 3 rows"),
        ("a.npz", npz(e=VECTORS, f=VECTORS), DataFormatError, "holds 2 matrices; give one, or call it `embeddings`"),
        ("a.npz", npz(e=np.ones(3)), DataFormatError, "holds 0 matrices"),
        ("a.npz", zipped({"readme.txt": b"hello"}), DataFormatError, "holds 0 matrices"),
        ("a.npz", pickle.dumps([[1.0, 2.0]]), DataFormatError, "no zip archive"),
        ("a.npz", npy(VECTORS), DataFormatError, "no zip archive"),
        ("a.npz", npz(e=np.zeros((1000, 1000))), DataFormatError, "would unpack to 8 MB from 0.0 MB"),
        ("a.safetensors", safetensors({"e": VECTORS})[:-5], DataFormatError, "no safetensors file"),
        ("a.safetensors", bfloat16(), DataFormatError, r"no safetensors file for numpy \('BF16'\); save float32"),
        ("a.parquet", parquet(embedding=[[1.0, 2.0], [3.0]]), ShapeError, "rows of different lengths; give every row"),
        ("a.parquet", parquet(embedding=[[1.0, np.nan], [3.0, 1.0]]), ShapeError, "NaN or infinity in row 0"),
        ("a.jsonl", EMBEDDING % b"[1, NaN]", ShapeError, "NaN or infinity in row 0"),
        ("a.jsonl", EMBEDDING % b"[1]", ShapeError, "rows of different lengths"),
        ("a.jsonl", EMBEDDING % b"null", ShapeError, "rows of different lengths"),
        ("a.jsonl", EMBEDDING % b"[[1], [2, 3]]", ShapeError, "rows of different lengths"),
        ("a.jsonl", EMBEDDING % b"[1, null]", ShapeError, "holds object, not real numbers"),
        ("a.jsonl", EMBEDDING % b'["a", "b"]', ShapeError, "not real numbers"),
    ],
)
def test_read_upload_refuses_bad_vectors(name, content, error, message):
    """Vectors that cannot be used, and anything pickled, are refused in one sentence."""
    with pytest.raises(error, match=message) as caught:
        read_upload(name, content)
    assert is_one_sentence(caught.value)


def test_read_upload_never_unpickles(tmp_path):
    """A pickle that would write a file when loaded writes none, under any name."""
    target = tmp_path / "written"

    class Trap:
        def __reduce__(self):
            return open, (str(target), "w")

    array = np.array([[Trap()]], dtype=object)
    files = {"a.npy": npy(array, allow_pickle=True), "b.npy": pickle.dumps(Trap()), "c.npz": npz(e=array)}
    for name, content in files.items():
        with pytest.raises(DataFormatError, match="pickles are refused"):
            read_upload(name, content)
    assert not target.exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"corpus.jsonl": bytes(5 << 20)}, DataFormatError, "would unpack to 5 MB from 0.0 MB; .*split it"),
        ({"corpus.jsonl": None}, DataFormatError, r"no corpus\.jsonl; zip a BEIR folder"),
        ({"corpus.jsonl": b""}, EmptyInputError, r"`corpus\.jsonl` has no rows"),
        ({"corpus.jsonl": b'{"_id": "a"}'}, DataFormatError, r"`corpus\.jsonl` row 1 has no `_id` or no `text`"),
        ({"corpus.jsonl": b'{"_id": null, "text": "a"}'}, DataFormatError, "row 1 has no `_id`"),
        ({"corpus.jsonl": b'{"_id": %s}' % (b"9" * 5000)}, DataFormatError, "line 1 is not JSON"),
        ({"corpus.jsonl": b'{"_id": "a", "text": "x"}'}, EmptyInputError, "1 item left"),
        ({"queries.jsonl": b'{"text": "a"}'}, DataFormatError, r"`queries\.jsonl` row 1 has no `_id`"),
        ({"queries.jsonl": b"oops"}, DataFormatError, r"`queries\.jsonl` line 1 is not JSON"),
        ({"qrels/test.tsv": b"q1\td1\t0.5"}, DataFormatError, r"`qrels/test\.tsv` line 1 is not .* whole-number score"),
        ({"qrels/test.tsv": b"q1 d1 1"}, DataFormatError, "separate the three by tabs"),
        ({"qrels/test.tsv": b"q1\t\xff\t1"}, DataFormatError, r"`qrels/test\.tsv` is not UTF-8"),
    ],
)
def test_read_upload_refuses_a_bad_beir_zip(beir, changes, error, message):
    """A zip that is a bomb, or no complete BEIR folder, is refused in one sentence."""
    members = {name: content for name, content in {**beir, **changes}.items() if content is not None}
    with pytest.raises(error, match=message) as caught:
        read_upload("b.zip", zipped(members))
    assert is_one_sentence(caught.value)


def test_read_upload_refuses_a_bomb_that_hides_its_size():
    """A member is unpacked to its promised size at most, and refused as it has more."""
    content = lying_bomb()
    tracemalloc.start()
    with pytest.raises(DataFormatError, match=r"`b\.zip` cannot be unpacked \(corpus\.jsonl\)") as caught:
        read_upload("b.zip", content)
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize("kind", ["zip", "npz", "npy", "parquet", "safetensors"])
def test_read_upload_survives_a_flipped_byte(beir, kind):
    """A file with any damaged byte is read or refused in one sentence, never another exception."""
    content = {
        "zip": zipped(beir),
        "npz": npz(embeddings=VECTORS, texts=np.array(["a", "b", "c"])),
        "npy": npy(VECTORS),
        "parquet": parquet(text=TEXTS, embedding=list(VECTORS)),
        "safetensors": safetensors({"embeddings": VECTORS}),
    }[kind]
    for position in range(0, len(content), max(1, len(content) // 150)):
        try:
            read_upload(f"a.{kind}", flipped(content, position, position + 1))
        except MrlVizError as error:
            assert "\n" not in str(error)


def test_read_upload_refuses_a_file_above_the_limit(monkeypatch, tmp_path):
    """A file of more bytes than the limit is refused before it is parsed, from a path as from an upload."""
    monkeypatch.setattr(reading, "MOST_BYTES", 2 * MEGABYTE)
    content = b"a\nb\n" * MEGABYTE
    (tmp_path / "a.txt").write_bytes(content)
    for read in (lambda: read_upload("a.txt", content), lambda: read_corpus(tmp_path / "a.txt")):
        with pytest.raises(DataFormatError, match=r"`a\.txt` has 4 MB; the limit is 2 MB, so split it") as caught:
            read()
        assert is_one_sentence(caught.value)


def test_read_corpus_allows_vectors_more_bytes_than_texts(monkeypatch, tmp_path):
    """On disk vectors may be larger than an upload, up to a limit of their own."""
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    (tmp_path / "a.npy").write_bytes(npy(VECTORS))
    np.testing.assert_array_equal(read_corpus(tmp_path / "a.npy").embeddings, VECTORS)
    monkeypatch.setattr(reading, "MOST_VECTOR_BYTES", 10)
    with pytest.raises(DataFormatError, match=r"`a\.npy` has 0 MB; the limit is 0 MB"):
        read_corpus(tmp_path / "a.npy")


@pytest.mark.parametrize(("option", "known"), [("text_column", "body, topic"), ("label_column", "body, topic")])
def test_read_upload_refuses_a_missing_column(option, known):
    """A column that the table lacks is refused, and the message lists those it has."""
    with pytest.raises(DataFormatError, match=rf"`a\.csv` has no column 'nope'; choose one of {known}") as caught:
        read_upload("a.csv", b"body,topic\na,x\nb,y\n", **{option: "nope"})
    assert is_one_sentence(caught.value)


def test_read_upload_refuses_missing_metadata(beir):
    """A label that no BEIR row has in its metadata is refused, and the message lists those there are."""
    with pytest.raises(DataFormatError, match="`nope` is no metadata here; choose one of topic, level") as caught:
        read_upload("b.zip", zipped(beir), label_column="nope")
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize("limit", [0, -1])
@pytest.mark.parametrize(("name", "content"), [("a.txt", b"a\nb\nc"), ("a.npy", npy(VECTORS))])
def test_read_upload_refuses_a_limit_below_one(name, content, limit):
    """A limit of no rows is a mistake."""
    with pytest.raises(InvalidInputError, match=rf"`limit` is {limit}; choose 1 or more"):
        read_upload(name, content, limit=limit)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.txt", "is no file here; give a path to"),
        ("~nosuchuser/a.txt", "is no file here"),
        ("x" * 5000, "cannot be opened"),
        (".", "is not a BEIR folder: it has no corpus.jsonl; add it"),
    ],
    ids=["missing", "user", "long", "folder"],
)
def test_read_corpus_refuses_what_is_not_there(tmp_path, monkeypatch, source, message):
    """A path that leads to no file, and a folder that is not BEIR, are refused in one sentence."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataFormatError, match=message):
        read_corpus(source)
