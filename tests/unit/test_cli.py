"""The command line on real files, with the default model."""

import json
import os
import re
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict
from threading import Thread

import numpy as np
import pytest

from mrl_viz.arrangements import tempered_arrangement
from mrl_viz.cli.main import main
from mrl_viz.cli.printing import table
from mrl_viz.comparison import compare_models
from mrl_viz.data.corpus import corpus_from_texts, same_items, with_retrieval, with_texts
from mrl_viz.data.reading import read_corpus
from mrl_viz.embedding.catalogue import CATALOGUE
from mrl_viz.embedding.embedded import embed
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.openai_compatible import PROBE
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.languages import by_language
from mrl_viz.tasks.long_tail import long_tail
from mrl_viz.tasks.robustness import robustness
from mrl_viz.training.twins import load_twin_run
from mrl_viz.truncation import truncate_and_normalize
from tests.embedding_server import make_endpoint, serving

FOOD = ("bread", "cheese", "soup", "rice", "an omelette", "apple pie", "noodles", "porridge")
SKY = ("Jupiter", "the Moon", "a comet", "Saturn", "a nebula", "Venus", "a galaxy", "an eclipse")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A table of 32 texts in two classes."""
    file = tmp_path_factory.mktemp("labelled") / "texts.csv"
    rows = [f"How long does {dish} keep in the kitchen?,food" for dish in FOOD]
    rows += [f"My grandmother cooked {dish} on Sundays.,food" for dish in FOOD]
    rows += [f"When can {body} be seen with a small telescope?,sky" for body in SKY]
    rows += [f"We watched {body} from the hill last night.,sky" for body in SKY]
    file.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return file


def printed_rows(out):
    """The cells of what was printed, line by line; cells of tables are two spaces apart."""
    return [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]


def test_sweep_writes_schema_1(tmp_path, capsys):
    """`sweep sample` prints a table and writes the documented data."""
    out = tmp_path / "out.json"
    assert main(["sweep", "sample", "--dims", "32,64", "--json", str(out)]) == 0
    data = json.loads(out.read_text())
    assert data["schema"] == 1
    assert data["model"] == {"name": "wordllama", "full_dim": 256, "matryoshka_dims": [64, 128, 256]}
    rows = data["arrangements"]["prefix"]
    assert [row["dim"] for row in rows] == [32, 64, 256]
    assert data["chance"] < rows[0]["overlap"] < rows[1]["overlap"] < rows[2]["overlap"] == 1
    assert "survive" in capsys.readouterr().out


def test_evaluate_prints_and_writes_what_the_library_measures(labelled, tmp_path, capsys):
    """Table and data hold the values of `evaluate` on the same texts."""
    out = tmp_path / "quality.json"
    assert main(["evaluate", str(labelled), "--dims", "16,64", "--seed", "3", "--json", str(out)]) == 0
    expected = evaluate(embed(read_corpus(labelled)), dims=(16, 64), seed=3)
    assert json.loads(out.read_text()) == json.loads(json.dumps(expected.to_dict()))
    printed = capsys.readouterr()
    lines = printed_rows(printed.out)
    for row in expected.rows():
        assert [row["metric"], str(row["dim"]), f"{row['value']:.4f}"] in [line[:3] for line in lines]
    assert expected.takeaway() in printed.out and printed.err == ""


def test_evaluate_takes_the_task_that_is_asked_for(tmp_path):
    """Where the data have judgements and labels, `--task` chooses, and the data say which it was."""
    out = tmp_path / "quality.json"
    assert main(["evaluate", "sample", "--dims", "64", "--task", "retrieval", "--json", str(out)]) == 0
    data = json.loads(out.read_text())
    assert data["task"] == "retrieval"
    expected = evaluate(embed(read_corpus("sample")), dims=(64,), task="retrieval")
    assert [row["value"] for row in data["metrics"]["ndcg@10"]] == [
        one.value for one in expected.curves["ndcg@10"].value
    ]


def test_evaluate_tells_languages_apart(tmp_path, capsys):
    """Scored pairs in several languages are judged together and each by itself; a language alone is a note."""
    out = tmp_path / "quality.json"
    assert main(["evaluate", "sample:languages", "--limit", "80", "--dims", "64", "--json", str(out)]) == 0
    expected = by_language(embed(read_corpus("sample:languages", limit=80)), dims=(64,))
    assert json.loads(out.read_text())["languages"] == json.loads(json.dumps(expected.rows()))
    printed = capsys.readouterr().out
    assert expected.takeaway() in printed and "success@1  English  Japanese" in printed
    table = tmp_path / "few.csv"
    rows = ["id,language,sentence1,sentence2,score", *(f"{n},en,one {n},two {n},{n}" for n in range(4)), "0,de,a,b,1"]
    table.write_text("\n".join(rows))
    assert main(["evaluate", str(table), "--dims", "64"]) == 0
    assert "note: `few.csv` has scored pairs in 1 languages (de is left out" in capsys.readouterr().out


def test_evaluate_measures_few_examples_and_changed_texts(tmp_path, capsys):
    """`--long-tail` and `--changed` give what the library measures, beside a twin; two at once are one sentence."""
    out = tmp_path / "found.json"
    digits, plain = (f"sample:digits{end}" for end in ("", "-plain"))
    assert main(["evaluate", digits, "--dims", "8", "--long-tail", "--twin", plain, "--json", str(out)]) == 0
    tail = long_tail(embed(read_corpus(digits)), dims=(8,), twin=embed(read_corpus(plain)))
    assert json.loads(out.read_text()) == json.loads(json.dumps(tail.to_dict()))
    printed = capsys.readouterr().out
    assert tail.takeaway() in printed and "Against its plain twin it is" in printed
    assert ["tail", "8", f"{tail.curves['tail'].value[0]:.4f}"] in printed_rows(printed)
    asked = ["evaluate", "sample:hard", "--dims", "32", "--json", str(out)]
    assert main([*asked, "--changed", "another domain", "--foreign", "sample", "--task", "classification"]) == 0
    hard = embed(read_corpus("sample:hard"))
    found = robustness(hard, "another domain", dims=(32,), task="classification", foreign=read_corpus("sample"))
    assert json.loads(out.read_text()) == json.loads(json.dumps(found.to_dict()))
    assert found.takeaway() in capsys.readouterr().out
    for wrong, words in (
        (["--changed", "typos", "--long-tail"], "are measured one at a time; leave one of them out"),
        (["--twin", "x"], "`--twin` is compared with by --long-tail or --changed; add one of them."),
        (["--changed", "shouting"], "`change` is 'shouting'; choose one of typos"),
    ):
        assert main([*asked, *wrong]) != 0
        assert words in capsys.readouterr().err


def test_evaluate_and_recommend_fuse_with_words_when_asked(tmp_path, capsys):
    """`--hybrid` gives what the library measures with that constant, dense curves beside it, and says what it is."""
    out, record = tmp_path / "quality.json", tmp_path / "record.json"
    asked = ["sample:hard", "--dims", "32", "--hybrid", "--fusion-k", "20"]
    assert main(["evaluate", *asked, "--task", "retrieval", "--json", str(out)]) == 0
    corpus = embed(read_corpus("sample:hard"))
    expected = evaluate(corpus, dims=(32,), task="retrieval", fusion_k=20)
    assert json.loads(out.read_text()) == json.loads(json.dumps(expected.to_dict()))
    assert next(iter(expected.curves)) == "hybrid ndcg@10" and "ndcg@10" in expected.curves
    printed = capsys.readouterr().out
    assert expected.takeaway() in printed and "1 / (20 + rank)" in printed and "By words alone, BM25" in printed
    quick = ["--dtypes", "float32", "--no-rerank", "--metric", "ndcg@10", "--record", str(record)]
    assert main(["recommend", *asked, *quick]) == 0
    decided = json.loads(record.read_text())
    assert decided["aim"]["metric"] == "hybrid ndcg@10" and any("1 / (20 + rank)" in one for one in decided["caveats"])


def test_further_arrangements_are_measured_by_overlap_and_by_judgements(tmp_path, capsys):
    """`sweep` and `evaluate` take what changes cosine, and give what the library measures."""
    out, source = tmp_path / "out.json", ["sample", "--dims", "64", "--json", str(tmp_path / "out.json")]
    assert main(["sweep", *source, "--arrangements", "prefix,svd,centred,tempered:0.3", "--queries", "sample"]) == 0
    data = json.loads(out.read_text())
    assert list(data["arrangements"]) == ["prefix", "svd", "centred", "tempered:0.3"]
    assert data["arrangements"]["centred"][-1]["overlap"] < data["arrangements"]["svd"][-1]["overlap"] == 1
    assert "centred changes cosine itself" in capsys.readouterr().out
    assert main(["evaluate", *source, "--task", "retrieval", "--arrangement", "tempered:0.3"]) == 0
    vectors = embed(read_corpus("sample"))
    arranged = vectors.arranged(tempered_arrangement(vectors.matrix, 0.3))
    expected = evaluate(arranged, dims=(64,), task="retrieval").to_dict()
    assert json.loads(out.read_text()) == json.loads(json.dumps(expected))
    assert "tempered:0.3" in capsys.readouterr().out


def test_compare_prints_and_writes_what_the_library_measures(labelled, tmp_path, capsys):
    """Every model, width and dtype is a line with what `compare_models` measures; HTML goes to its file."""
    out, page = tmp_path / "comparison.json", tmp_path / "comparison.html"
    models = ("wordllama", "all-MiniLM-L6-v2")
    arguments = [part for model in models for part in ("--model", model)]
    code = main(
        ["compare", str(labelled), *arguments, "--dims", "64", "--k", "5", "--json", str(out), "--html", str(page)]
    )
    assert code == 0
    corpus = read_corpus(labelled)
    expected = compare_models([embed(corpus, model) for model in models], dims=(64,), k=5)
    data = json.loads(out.read_text())
    assert data["points"] == json.loads(json.dumps(expected.to_dict()["points"]))
    assert all(model["texts_per_second"] > 0 for model in data["models"])
    lines = [line[:6] for line in printed_rows(capsys.readouterr().out)]
    for point in expected.points:
        numbers = [str(point.bytes_per_vector), f"{point.overlap.value:.4f}", f"{point.quality.value:.4f}"]
        assert [point.model, str(point.dim), point.dtype, *numbers] in lines
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def points_of(file):
    """The points of a comparison that was written as data."""
    return json.loads(file.read_text())["points"]


def test_compare_takes_vectors_of_another_model(labelled, tmp_path):
    """A file of vectors stands beside a model, and beside another file: its texts are the source's, in their order."""
    corpus = read_corpus(labelled)
    first, second, out = (tmp_path / name for name in ("first.npy", "second.npz", "out.json"))
    np.save(first, embed(corpus).matrix[:, :96])
    np.savez(second, embeddings=np.random.default_rng(0).normal(size=(32, 48)).astype(np.float32))
    quick = ["--dims", "16", "--k", "5", "--json", str(out)]
    assert main(["compare", str(labelled), "--model", "wordllama", "--vectors", str(first), *quick]) == 0
    beside = [embed(corpus), embed(with_texts(read_corpus(first), corpus.texts))]
    expected = compare_models(beside, dims=(16,), k=5).to_dict()
    assert points_of(out) == json.loads(json.dumps(expected["points"]))
    assert {point["model"] for point in points_of(out)} == {"wordllama", "first.npy"}
    assert main(["compare", str(first), "--vectors", str(second), *quick]) == 0
    both = [embed(one) for one in same_items([read_corpus(first), read_corpus(second)])]
    assert points_of(out) == json.loads(json.dumps(compare_models(both, dims=(16,), k=5).to_dict()["points"]))


def test_vectors_are_evaluated_with_vectors_of_queries_and_judgements(tmp_path):
    """Files of vectors, query vectors and judgements give the retrieval quality of the texts that they are of."""
    texts, queries = [*FOOD, *SKY], {"0": "what to cook", "1": "planets and stars"}
    qrels = {"0": {str(row): 1 for row in range(8)}, "1": {str(row): 2 for row in range(8, 16)}}
    embedded = embed(with_retrieval(corpus_from_texts(texts), queries, qrels, {}))
    np.save(tmp_path / "texts.npy", embedded.matrix)
    np.save(tmp_path / "queries.npy", embedded.queries)
    lines = [f"{query}\t{text}\t{grade}" for query, grades in qrels.items() for text, grade in grades.items()]
    (tmp_path / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]), encoding="utf-8")
    files = [str(tmp_path / name) for name in ("texts.npy", "queries.npy", "qrels.tsv", "out.json")]
    asked = [files[0], "--queries", files[1], "--qrels", files[2], "--json", files[3]]
    assert main(["evaluate", *asked, "--dims", "32"]) == 0
    quality = evaluate(embedded, dims=(32,), task="retrieval")
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(json.dumps(quality.to_dict()))


def test_what_an_api_is_sent_is_counted_before(tmp_path, monkeypatch, capsys):
    """Texts and queries are announced with tokens and price on stderr; what was sent before is not sent again."""
    (tmp_path / "texts.txt").write_text("a cat on a sofa\na dog on a lawn\na bird in a tree\n", encoding="utf-8")
    (tmp_path / "queries.txt").write_text("which animal flies\nwhich animal sleeps\n", encoding="utf-8")
    monkeypatch.setenv("MRL_VIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MRL_VIZ_ALLOW_API", "1")
    source = [str(tmp_path / "texts.txt"), "--model", "openai:wordllama", "--price-per-million", "2"]
    with serving(load_encoder()) as server:
        make_endpoint(server, monkeypatch)
        assert main(["sweep", *source, "--queries", str(tmp_path / "queries.txt"), "--dims", "64", "--k", "2"]) == 0
        assert re.match(r"openai:wordllama: up to 5 texts, about \d+ tokens, about 0\.0", capsys.readouterr().err)
        for query in ("a pet", "a pet"):
            assert main(["search", *source, "--query", query, "--k", "1"]) == 0
        assert "up to 4 texts" in capsys.readouterr().err
        sent = [text for body in server.bodies for text in body["input"] if text != PROBE]
    assert sorted(sent) == sorted(
        ["a cat on a sofa", "a dog on a lawn", "a bird in a tree", "which animal flies", "which animal sleeps", "a pet"]
    )


@pytest.mark.parametrize("dim", [None, 32])
def test_embed_writes_the_vectors_of_the_library(labelled, tmp_path, capsys, dim):
    """The file holds the model's float32 vectors, at full width as encoded, at a smaller one cut and renormalised."""
    file, out = tmp_path / "vectors.npy", tmp_path / "vectors.json"
    width = [] if dim is None else ["--dim", str(dim)]
    assert main(["embed", str(labelled), "--out", str(file), *width, "--json", str(out)]) == 0
    corpus = read_corpus(labelled)
    matrix = embed(corpus, queries=()).matrix
    expected = matrix if dim is None else truncate_and_normalize(matrix, dim)
    written = np.load(file)
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written, expected)
    data = json.loads(out.read_text())
    assert (data["n_items"], data["dim"], data["ids"]) == (*expected.shape, list(corpus.ids))
    assert data["corpus"]["fingerprint"] == corpus.fingerprint
    assert f"32 vectors of {dim or 256} coordinates in {file}" in capsys.readouterr().out


def test_recorded_short_vectors_are_compared_with_the_full_ones_cut_here(labelled, tmp_path, capsys):
    """What `embed` recorded at 64 dims agrees; vectors of other texts do not, and a file without vectors is refused."""
    recorded, out = tmp_path / "short.npy", tmp_path / "short.json"
    assert main(["embed", str(labelled), "--dim", "64", "--out", str(recorded)]) == 0
    assert main(["evaluate", str(labelled), "--api-short", str(recorded), "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"32 texts at 64 dims, recorded in {recorded}" in said and "They agree in direction and length." in said
    assert json.loads(out.read_text())["n_turned"] == 0
    np.save(recorded, np.load(recorded)[::-1])
    assert main(["evaluate", str(labelled), "--api-short", str(recorded)]) == 0
    assert "differ by more than rounding" in capsys.readouterr().out
    assert main(["evaluate", str(labelled), "--api-short", str(labelled)]) == 2
    assert "holds no vectors; give a .npy file" in capsys.readouterr().err


def test_models_are_those_of_the_catalogue(tmp_path, capsys):
    """Each model of the catalogue is one line and one record, with its widths and whether it is here."""
    out = tmp_path / "models.json"
    assert main(["models", "--json", str(out)]) == 0
    cards = json.loads(out.read_text())["models"]
    assert [{name: value for name, value in card.items() if name != "available"} for card in cards] == json.loads(
        json.dumps([asdict(card) for card in CATALOGUE.values()])
    )
    lines = printed_rows(capsys.readouterr().out)[1:]
    assert [line[0] for line in lines] == list(CATALOGUE)
    assert {line[0]: line[-1] for line in lines}["wordllama"] == "yes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "{texts}"], "has no labels to evaluate with"),
        (["evaluate", "{labelled}", "--task", "pairs"], "`task` is 'pairs' but"),
        (["evaluate", "{labelled}", "--dims", "0"], "choose 1 to 256"),
        (["evaluate", "{labelled}", "--label-column", "genre"], "has no column 'genre'"),
        (["evaluate", "{labelled}", "--hybrid"], "`task` is 'classification', and hybrid fuses lists that answer"),
        (["evaluate", "sample", "--fusion-k", "10"], "add --hybrid"),
        (
            ["evaluate", "{labelled}", "--arrangement", "svd"],
            "`arrangement` is svd, which would be fitted on the texts",
        ),
        (["evaluate", "sample", "--task", "retrieval", "--arrangement", "suffix"], "is 'suffix', which is not learnt"),
        (["sweep", "{labelled}", "--arrangements", "tempered:7"], "`gamma` is 7; choose 0 (SVD) to 1 (whitening)"),
        (["evaluate", "sample", "--task", "retrieval", "--hybrid", "--fusion-k", "0"], "`fusion_k` is 0"),
        (["recommend", "{vectors}", "--hybrid", "--metric", "overlap@1"], "holds vectors without `texts`, and hybrid"),
        (["recommend", "{labelled}", "--hybrid", "--metric", "accuracy"], "`metric` is accuracy, and hybrid fuses"),
        (["compare", "{labelled}", "--model", "wordllama"], "one model to compare; give two to four"),
        (["compare", "{labelled}", "--vectors", "{vectors}", "--model", "wordllama"], "has 2 vectors but 32 texts"),
        (["compare", "{vectors}", "--vectors", "{vectors}"], "give files different names"),
        (["compare", "{vectors}", "--model", "wordllama"], "`--model` is wordllama, and `SOURCE` holds ready vectors"),
        (["search", "{vectors}", "--query", "a cat"], "`SOURCE` holds ready vectors"),
        (["compare", "{labelled}", "--model", "wordllama", "--model", "wordllama"], "give each model once"),
        (["compare", "{labelled}", "--model", "no/such-model", "--model", "wordllama"], "no/such-model"),
        (["embed", "{labelled}", "--out", "vectors.txt"], "`--out` is 'vectors.txt'"),
        (["embed", "{labelled}", "--out", "{texts}.npy", "--dim", "300"], "`dim` is 300"),
        (["embed", "{labelled}", "--out", "no/such/folder/v.npy"], "No such file or directory: no/such/folder/v.npy"),
        (["sweep", "{labelled}", "--limit", "0"], "`--limit` is 0"),
        (["sweep", "{labelled}", "--k", "32"], "`k` is 32"),
        (["models", "--json", "no/such/folder/models.json"], "no/such/folder/models.json"),
        (["app", "--port", "0"], "`port` is 0"),
    ],
)
def test_bad_input_is_one_line_and_code_2(labelled, tmp_path, capsys, arguments, message):
    """What cannot be is one sentence on stderr."""
    texts = tmp_path / "texts.txt"
    texts.write_text("a cat on a sofa\na dog on a lawn\na bird in a tree\n", encoding="utf-8")
    vectors = tmp_path / "vectors.npy"
    np.save(vectors, np.eye(2, 8, dtype=np.float32))
    assert main([part.format(labelled=labelled, texts=texts, vectors=vectors) for part in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mrl_viz: ") and error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "is empty"),
        ("blank.txt", b"\n \n", "no text in them"),
        ("one.txt", b"one\n", "add at least one more text"),
        ("latin.txt", "caf\u00e9".encode("latin-1"), "not UTF-8 \\(byte 3\\)"),
        ("bad.jsonl", b'{"text": "a"}\n{oops\n', "line 2 is not JSON"),
        ("pickle.npy", b"\x80\x04\x95", "pickles are refused"),
        ("odd.xyz", b"a", "kind that is not read"),
    ],
)
def test_bad_files_are_one_line_and_code_2(tmp_path, capsys, name, content, message):
    """A bad file is one sentence on stderr."""
    (tmp_path / name).write_bytes(content)
    assert main(["sweep", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error)


def test_a_piped_table_is_whole_and_plain(capsys):
    """Columns are as wide as their longest cell, numbers to the right; a control character is shown, not sent."""
    table({"name": "{name}", "dim": "{dim}"}, [{"name": "x" * 300, "dim": 8}, {"name": "a\x1b[2Jb", "dim": 256}])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == f"name{' ' * 296}  dim"
    assert second == f"{'x' * 300}    8"
    assert third.startswith("a\N{REPLACEMENT CHARACTER}[2Jb ") and third.endswith("  256")


@contextmanager
def terminal(monkeypatch, *names):
    """A terminal of 60 columns in place of "stdout" or "stderr"; in the end the list holds what it has shown."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = os.openpty()
    parts, shown = [], []

    def read():
        # Linux says that the other end is closed by an error, macOS by an empty answer.
        with suppress(OSError):
            while part := os.read(ours, 65536):
                parts.append(part)

    reader = Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
        for name in names:
            patch.setattr(sys, name, stream)
        yield shown
    reader.join()
    os.close(ours)
    shown.append(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(parts).decode()))


def test_progress_goes_to_a_terminal_alone(labelled, tmp_path, monkeypatch, capsys):
    """Only a terminal sees the bar, which counts and tells the time; what is piped meanwhile is the sentence alone."""
    out = tmp_path / "vectors.npy"
    with terminal(monkeypatch, "stderr") as shown:
        monkeypatch.setenv("MRL_VIZ_CACHE", str(tmp_path))
        assert main(["embed", str(labelled), "--out", str(out)]) == 0
    assert re.search(r"embedding with wordllama ━+ 32/32 \d:\d\d:\d\d", shown[0])
    assert re.fullmatch(rf"32 vectors of 256 coordinates in {out} \(\d+\.\d\d s\)\n", capsys.readouterr().out)
    assert main(["embed", str(labelled), "--out", str(out)]) == 0
    assert capsys.readouterr().err == ""


def test_a_narrow_terminal_loses_no_digits(monkeypatch):
    """On a terminal of 60 columns long names are folded, and every number of the catalogue is there."""
    with terminal(monkeypatch, "stdout") as shown:
        assert main(["models"]) == 0
    assert "snowflake-arctic-embed-l-v2.0" not in shown[0] and "snowflake" in shown[0]
    for card in CATALOGUE.values():
        assert re.search(rf"\b{card.full_dim} ", shown[0]) and re.search(rf" {card.size_mb:.0f} ", shown[0])


def test_train_compares_on_what_is_held_out_and_with_an_earlier_run(tmp_path, capsys):
    """`train` of scored pairs prints what the library measures, lays an earlier run over it, and refuses in a line."""
    pairs = tmp_path / "pairs.csv"
    rows = [f"How long does {dish} keep?,Does {dish} spoil quickly?,{4 + row % 2}" for row, dish in enumerate(FOOD)]
    rows += [f"We saw {body} last night.,Soup number {row} was cold.,{row % 2}" for row, body in enumerate(SKY)]
    pairs.write_text("\n".join(["sentence1,sentence2,score", *rows]), encoding="utf-8")
    given = ["train", str(pairs), "--epochs", "1", "--batch-size", "4"]
    assert main([*given, "--dims", "64", "--out", str(tmp_path / "one")]) == 0
    out = tmp_path / "out.json"
    more = ["--dims", "64,128", "--weights", "boost", "--alone", "--json", str(out)]
    more += ["--lay-over", str(tmp_path / "one")]
    assert main([*given, *more, "--out", str(tmp_path / "two")]) == 0
    said, data = capsys.readouterr().out, json.loads(out.read_text(encoding="utf-8"))
    run = load_twin_run(tmp_path / "two")
    assert run.comparison.measure == "Spearman" and run.config.alone == (21, 64, 128)
    assert run.takeaway() in said and run.comparison.kept_takeaway() in said
    assert "Against trained alone: one nested model" in said
    assert "Against widths 64 128 256, 2, 1, 1 … weights: widths 64 256, equal weights" in said
    assert data["comparison"]["dims"] == [21, 64, 128, 256] and {"alone", "laid_over"} <= data.keys()
    for wrong, match in (
        (["--weights", "cubic"], "`weights` is 'cubic'"), (["--by", "labels"], "choose one"),
        (["--lay-over", str(tmp_path)], "holds no finished training"), (["--language", "Latin"], "is 'Latin'"),
    ):  # fmt: skip
        assert main([*given, *wrong, "--out", str(tmp_path / "three")]) == 2
        assert re.search(re.escape(match), capsys.readouterr().err)
