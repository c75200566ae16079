"""The audit: a live index beside the exact sweep of its source, and for each fault the cause by its name."""

import json
import sys
from types import SimpleNamespace

import apsw
import faiss
import numpy as np
import pytest
import sqlite_vec
import zarr

from mrl_viz.cli.main import main
from mrl_viz.decide.monitoring import check_deployed_plan
from mrl_viz.errors import (
    DimensionError,
    EmptyInputError,
    InvalidInputError,
    OptionalDependencyError,
    ShapeError,
    StoreError,
)
from mrl_viz.retrieval.ann import AnnIndex
from mrl_viz.retrieval.coded import FaissCodes
from mrl_viz.retrieval.plan import Plan
from mrl_viz.retrieval.quantization import fit_quantizer
from mrl_viz.scale.rows import open_rows
from mrl_viz.stores import STORES, Found, Store, open_store
from mrl_viz.stores.audit import audit_store
from mrl_viz.stores.store import Address
from mrl_viz.truncation import truncate_and_normalize

N, FULL_DIM, DIM = 400, 64, 32
PLAN = Plan(DIM)


def _vectors(rng, centres, n):
    """Vectors in clusters, whose variance falls along the index, none of length 1."""
    spread = np.linspace(1, 0.2, FULL_DIM)
    rows = centres[rng.integers(0, len(centres), n)] + 0.5 * rng.standard_normal((n, FULL_DIM)) * spread
    return (rows * rng.uniform(0.5, 2, (n, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def data():
    """Rows and queries at full width."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((30, FULL_DIM)) * np.linspace(1, 0.2, FULL_DIM)
    return _vectors(rng, centres, N), _vectors(rng, centres, 60)


def unit(rows, dim=DIM):
    """Rows as a right deployment stores them."""
    return np.ascontiguousarray(truncate_and_normalize(rows, dim), dtype=np.float32)


def cut(rows, dim=DIM):
    """Rows of length 1 that were cut and not rescaled."""
    return np.ascontiguousarray(truncate_and_normalize(rows, FULL_DIM)[:, :dim], dtype=np.float32)


def flat(rows, metric=faiss.METRIC_INNER_PRODUCT):
    """An exact faiss index."""
    index = faiss.IndexFlat(rows.shape[1], metric)
    index.add(rows)
    return index


@pytest.fixture
def audit(data, tmp_path):
    """Audits an index, written to a file and opened by its URL."""

    def ask(index, plan=PLAN, options="", **given):
        file = tmp_path / "index.faiss"
        is_binary = isinstance(index, faiss.IndexBinary)
        (faiss.write_index_binary if is_binary else faiss.write_index)(index, str(file))
        with open_store(f"faiss://{file}{options}") as store:
            return audit_store(store, data[0], plan, given.pop("queries", data[1]), **given)

    return ask


class Told(Store):
    """A store in memory that says what it is told to: its rows, as searched and as fetched, and its scores."""

    name, metric = "told", "dot"

    def __init__(self, rows, fetched=None, scored=None, loses=0, is_approximate=False, metric="dot"):
        self.rows, self.fetched, self.dim = rows, fetched, rows.shape[1]
        self.scored, self.loses, self.is_approximate, self.metric = scored, loses, is_approximate, metric

    def count(self):
        return len(self.rows)

    def search(self, vectors, k, *, effort=1):
        scores = vectors @ self.rows.T
        order = np.argsort(-scores, axis=1)[:, self.loses : self.loses + k]
        said = np.take_along_axis(scores, order, axis=1)
        said = said if self.scored is None else self.scored(said)
        return Found.of([list(zip(items.tolist(), line.tolist())) for items, line in zip(order, said)], k)

    def fetch(self, ids):
        return {item: None if self.fetched is None else self.fetched[item] for item in ids if item < len(self.rows)}


def test_a_right_index_finds_what_its_plan_finds(audit, data):
    """Recall is 1, no cause is named, the overlap is that of the monitor, and every vector was compared."""
    result = audit(flat(unit(data[0])), target=1.0, seed=3)
    assert result.recall.value == 1 and result.expected_recall == 1 and result.cause is None
    monitored = check_deployed_plan(data[0], PLAN, data[1], target=0.5, seed=3)
    assert result.overlap == monitored.overlap and result.expected_overlap == monitored.overlap.value < 1
    assert (result.n_checked, result.n_compared, result.n_missing, result.n_unknown) == (N, N, 0, 0)
    assert result.score_largest < 1e-5 and not result.is_below_target
    assert "Nothing looks wrong" in result.takeaway() and "index.faiss finds 100.0%" in result.takeaway()
    assert result.to_dict()["recall"] == 1 and result.to_dict()["cause"] is None
    json.dumps(result.to_dict(), allow_nan=False)


def test_l2_over_vectors_of_length_1_is_no_fault(audit, data):
    """The order is the cosine's and so are the scores, once they are turned round."""
    result = audit(flat(unit(data[0]), faiss.METRIC_L2))
    assert result.recall.value == 1 and result.cause is None and result.score_largest < 1e-5


def test_a_source_that_is_not_renormalised_is_heard(audit, data):
    """Dot products over rows that were cut and not rescaled: the lengths are named, and recall is lost."""
    result = audit(flat(cut(data[0])))
    assert result.cause == "not renormalised" and result.recall.value < 0.99
    assert "rows cut and not rescaled" in result.findings[0].evidence and len(result.findings) == 1


def test_lengths_are_heard_from_scores_alone(data):
    """A store that cannot say its vectors is still heard by what its scores are products of."""
    result = audit_store(Told(cut(data[0])), data[0], PLAN, data[1])
    assert result.n_compared == 0 and result.cause == "not renormalised"
    assert "scores are those of rows cut and not rescaled" in result.findings[0].evidence


@pytest.mark.parametrize(
    ("rows_of", "plan", "metric", "says"),
    [
        (cut, PLAN, faiss.METRIC_L2, "by L2 distance"),
        (lambda rows: rows, Plan(FULL_DIM), faiss.METRIC_INNER_PRODUCT, "by dot product"),
        (unit, PLAN, faiss.METRIC_Linf, "by faiss metric"),
    ],
)
def test_a_wrong_metric_is_heard(audit, data, rows_of, plan, metric, says):
    """L2 or dot product over lengths that are not 1, and what is no cosine for any lengths."""
    result = audit(flat(np.ascontiguousarray(rows_of(data[0])), metric), plan)
    assert result.cause == "wrong metric" and says in result.findings[0].evidence
    assert result.recall.value < 0.99


@pytest.mark.parametrize("dim", [16, 48])
def test_a_wrong_width_is_heard(audit, data, dim):
    """The store is asked at its own width, and both widths are named."""
    result = audit(flat(unit(data[0], dim)))
    assert result.cause == "wrong width" and result.recall.value < 0.99
    assert f"{dim} coordinates and the plan {DIM}" in result.findings[0].evidence


def test_stale_rows_are_counted(audit, data):
    """Rows whose stored vectors are of an earlier text are told from those that are right."""
    old = unit(data[0])
    old[10:50] = old[100:140]
    result = audit(flat(old))
    assert result.cause == "stale rows" and "40 of 400 sampled vectors (10.0%)" in result.findings[0].evidence


def test_stale_rows_under_codes_are_told_from_rounding(audit, data):
    """Eight-bit codes explain their own error and no more."""
    right, old = unit(data[0]), unit(data[0])
    old[10:50] = old[100:140]
    for rows, cause in ((right, None), (old, "stale rows")):
        index = faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
        index.train(rows)
        index.add(rows)
        assert audit(index, Plan(DIM, "int8")).cause == cause


def test_missing_rows_are_counted(audit, data):
    """Rows that were never loaded are counted in the sample and in all."""
    result = audit(flat(unit(data[0])[:350]))
    assert result.cause == "rows missing" and (result.n_missing, result.n_stored) == (50, 350)
    assert "50 of 400 sampled rows (12.5%)" in result.findings[0].evidence and result.recall.value < 1


def test_ids_that_the_source_lacks_are_counted(audit, data):
    """Rows that were deleted in the source and answer still are unknown ids."""
    index = faiss.IndexIDMap(faiss.IndexFlatIP(DIM))
    index.add_with_ids(np.vstack([unit(data[0]), unit(data[1])]), np.arange(N + 60, dtype=np.int64))
    result = audit(index)
    assert result.cause == "rows missing" and result.n_unknown == 60 and result.n_missing == 0
    assert "60 ids in its answers are unknown" in result.findings[0].evidence


def loaded(rows, times):
    """Rows that were loaded so many times under the same ids."""
    index = faiss.IndexIDMap(faiss.IndexFlatIP(DIM))
    for _ in range(times):
        index.add_with_ids(unit(rows), np.arange(len(rows), dtype=np.int64))
    return index


@pytest.mark.parametrize("are_rows_asked", [False, True])
def test_a_store_that_was_loaded_twice_is_heard(audit, data, are_rows_asked):
    """Each row counts once in an answer, so recall falls, and the figures of both are named."""
    queries = {"queries": None, "n_queries": 60} if are_rows_asked else {}
    result = audit(loaded(data[0], 2), **queries)
    assert result.cause == "rows more than once" and len(result.findings) == 1
    assert (result.n_repeating, result.n_stored, result.n_missing) == (60, 2 * N, 0)
    assert 0.4 < result.recall.value < 0.7 and result.overlap.value < 0.7 and result.is_below_target
    assert "60 of 60 answers" in result.findings[0].evidence
    assert "holds 800 vectors where the source has 400" in result.findings[0].evidence
    assert audit(loaded(data[0], 1), **queries).n_repeating == 0


def test_rows_that_are_there_again_and_do_not_answer_are_heard(data):
    """More vectors than rows, where no answer shows them, are said to be there more than once."""

    class Larger(Told):
        def count(self):
            return N + 7

    result = audit_store(Larger(unit(data[0]), unit(data[0])), data[0], PLAN, data[1])
    assert result.cause == "rows more than once" and result.recall.value == 1
    assert "0 of 60 answers" in result.findings[0].evidence


def test_ids_of_other_rows_are_other_vectors(audit, data):
    """Nearly all vectors are another row's: ids that do not belong to them, or another model."""
    result = audit(flat(np.ascontiguousarray(unit(data[0])[::-1])))
    assert result.cause == "other vectors" and result.recall.value < 0.5


def test_ids_of_the_source_are_found_out(audit, data):
    """A store may call rows by the source's own ids or their numbers from 0 or 1: heard from what it finds."""
    numbers = np.arange(N, dtype=np.int64)
    ids = [str(number) for number in 1000 + numbers]
    index = faiss.IndexIDMap(faiss.IndexFlatIP(DIM))
    index.add_with_ids(unit(data[0]), 1000 + numbers)
    own, by_number = audit(index, ids=ids), audit(flat(unit(data[0])), ids=ids)
    assert (own.ids, by_number.ids) == ("own", "number")
    serial = faiss.IndexIDMap(faiss.IndexFlatIP(DIM))
    serial.add_with_ids(unit(data[0]), 1 + numbers)
    from_1 = audit(serial)
    assert from_1.ids == "number from 1"
    for result in (own, by_number, from_1):
        assert result.recall.value == 1 and result.n_compared == N and result.cause is None


def test_a_quantiser_that_clips_is_heard(audit, data):
    """A range that was learnt from shorter rows cuts the ends off; the share of such coordinates is named."""
    index = faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index.train(0.4 * unit(data[0]))
    index.add(unit(data[0]))
    result = audit(index, Plan(DIM, "int8"))
    assert result.cause == "quantiser clipping" and "at the end of their range" in result.findings[0].evidence


def test_clipping_is_heard_from_compressed_scores(data):
    """Codes that are searched beside whole vectors show it in their scores alone."""
    rows = unit(data[0])
    result = audit_store(Told(rows, rows, lambda scores: 0.6 * scores + 0.05), data[0], Plan(DIM, "int8"), data[1])
    assert result.cause == "quantiser clipping" and "0.60 for each 1 of cosine" in result.findings[0].evidence


@pytest.mark.parametrize("options", ["", "?nprobe=1"])
def test_search_parameters_that_are_too_low_are_heard(audit, data, options):
    """Looking at more lists brings back what one list leaves out, and both figures are named."""
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIM), DIM, 10, faiss.METRIC_INNER_PRODUCT)
    index.train(unit(data[0]))
    index.add(unit(data[0]))
    result = audit(index, Plan(DIM, kind="ivf"), options)
    assert result.cause == "search parameters too low" and "nprobe 1 of 10" in result.findings[0].evidence
    assert result.harder_recall > result.recall.value + 0.02 and result.n_compared == N
    assert audit(index, Plan(DIM, kind="ivf"), "?nprobe=10").recall.value == 1


def test_a_graph_is_asked_as_hard_as_the_url_says(audit, data):
    """`ef` of the URL is the graph's; a graph of few links loses more with a smaller one."""
    index = faiss.IndexHNSWFlat(DIM, 4, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 8
    index.add(unit(data[0]))
    low, high = (audit(index, Plan(DIM, kind="hnsw"), f"?ef={ef}") for ef in (10, 400))
    assert low.recall.value < high.recall.value and low.cause == "search parameters too low"


def test_a_graph_is_asked_as_hard_as_it_was_saved(audit, data):
    """Without `ef` the file's own efSearch is used and named, as a program gets it that sets nothing."""
    index = faiss.IndexHNSWFlat(DIM, 4, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 8
    index.add(unit(data[0]))
    index.hnsw.efSearch = 3
    saved, said = audit(index), audit(index, options="?ef=3")
    assert saved.recall == said.recall and saved.cause == "search parameters too low"
    assert "at efSearch 3 it leaves out" in saved.findings[0].evidence
    assert saved.recall.value < audit(index, options="?ef=64").recall.value


@pytest.mark.parametrize("is_approximate", [True, False])
def test_a_loss_without_evidence_is_said_to_be_one(data, is_approximate):
    """True neighbors left out by an index that looks right: no cause is made up."""
    store = Told(unit(data[0]), unit(data[0]), loses=3, is_approximate=is_approximate)
    result = audit_store(store, data[0], PLAN, data[1])
    assert result.cause is None and result.is_below_target and result.recall.value < 0.9
    assert "No evidence points at a cause" in result.takeaway()
    assert ("looking at 8 times as many gives" in result.takeaway()) == is_approximate


def test_scores_that_fit_nothing_are_said(data):
    """Right answers with scores that no hypothesis explains are named, not silently taken."""
    store = Told(unit(data[0]), unit(data[0]), lambda scores: scores + 0.3)
    assert audit_store(store, data[0], PLAN, data[1]).cause == "wrong scores"


def test_a_rerank_is_part_of_the_plan(audit, data):
    """The store is asked for the shortlist, which is reranked: it finds what the plan finds, more than without."""
    plan = Plan(8, rerank=((60, FULL_DIM),))
    result = audit(flat(unit(data[0], 8)), plan)
    assert result.recall.value == 1 and result.cause is None
    assert result.overlap.value > audit(flat(unit(data[0], 8)), Plan(8)).overlap.value


def test_codes_are_judged_by_what_they_give(audit, data):
    """Bits find less than float32; the store is below target only where it finds less than they do."""
    rows = unit(data[0])
    quantizer = fit_quantizer(data[0], DIM, "binary")
    plan = Plan(DIM, "binary")
    result = audit_store(Told(quantizer.decode(quantizer.encode(data[0])), None), data[0], plan, data[1])
    assert result.recall.value == pytest.approx(result.expected_recall, abs=0.01) and result.expected_recall < 0.9
    assert not result.is_below_target and "where its codes give" in result.takeaway()
    index = faiss.IndexBinaryFlat(DIM)
    index.add(np.packbits(rows > 0, axis=1))
    hamming = audit(index, plan)
    assert hamming.cause == "queries coded" and hamming.n_compared == N
    assert hamming.recall.value < result.recall.value


def test_rows_search_for_themselves_without_queries(audit, data):
    """Without queries rows are asked for, each left out of its own list."""
    result = audit(flat(unit(data[0])), queries=None, n_queries=50)
    assert result.n_queries == 50 and result.recall.value == 1
    assert result.score_largest < 1e-5


def test_rows_on_a_disk_give_the_same(audit, data, tmp_path):
    """A source that is read block by block gives the very result of one in memory."""
    np.save(tmp_path / "rows.npy", data[0])
    index = flat(cut(data[0]))
    here = audit(index)
    with open_store(f"faiss://{tmp_path / 'index.faiss'}") as store:
        assert audit_store(store, open_rows(tmp_path / "rows.npy"), PLAN, data[1]).to_dict() == here.to_dict()


def _counted(method, calls):
    """The same, with a note of every call."""

    def counting(*given, **named):
        calls.append(1)
        return method(*given, **named)

    return counting


@pytest.mark.parametrize(
    "plan", [Plan(DIM, kind="pq"), Plan(DIM, "int4"), Plan(DIM, "int8"), Plan(DIM, "opq2")], ids=lambda plan: plan.label
)
def test_codes_of_a_large_source_are_learnt_once(data, monkeypatch, plan):
    """Rows that are coded block by block, the last of 10 rows, give what they give when they are coded at once."""
    rng = np.random.default_rng(1)
    rows = np.vstack([data[0], data[0] + 0.1 * rng.standard_normal(data[0].shape).astype(np.float32)])
    store = Told(unit(rows))
    whole = audit_store(store, rows, plan, data[1])
    learnt = []
    monkeypatch.setattr("mrl_viz.stores.audit.ROWS_AT_ONCE", 158)
    for made in (AnnIndex, FaissCodes):
        monkeypatch.setattr(made, "__init__", _counted(made.__init__, learnt))
    blocks = audit_store(store, rows, plan, data[1])
    assert len(learnt) == (0 if plan.dtype == "int8" else 1) and whole.expected_recall < 0.999
    # Coarse codes tie, and ties fall out otherwise.
    assert blocks.expected_recall == pytest.approx(whole.expected_recall, abs=0.01)
    assert blocks.expected_overlap == pytest.approx(whole.expected_overlap, abs=0.01)


def test_a_promise_is_kept_or_not(audit, data):
    """A store that is as planned, of a plan that keeps too little, is told from one that is at fault."""
    result = audit(flat(unit(data[0])), promised=0.999)
    assert result.recall.value == 1 and result.is_below_target and not result.keeps_promise
    assert "decide again" in result.takeaway() and "not the 99.9% promised" in result.takeaway()


def sqlite(file, column, rows):
    """A vec0 table `items`."""
    db = apsw.Connection(str(file))
    db.enable_load_extension(True)
    db.load_extension(sqlite_vec.loadable_path())
    db.execute(f"CREATE VIRTUAL TABLE items USING vec0(id INTEGER PRIMARY KEY, short {column})")
    maker = {"float": "vec_f32", "int8[": "vec_int8"}[column[:5]]
    with db:
        db.executemany(f"INSERT INTO items VALUES (?, {maker}(?))", ((i, row.tobytes()) for i, row in enumerate(rows)))
    db.close()


@pytest.mark.parametrize(("factor", "cause"), [(1, None), (3, "quantiser clipping")])
def test_a_scale_that_is_too_large_clips(data, tmp_path, factor, cause):
    """sqlite-vec's int8 rows with a scale three times too large lie at ±127 far too often."""
    rows = unit(data[0])
    codes = np.clip(np.rint(rows * factor * 127 / np.abs(rows).max()), -127, 127).astype(np.int8)
    sqlite(tmp_path / "items.db", f"int8[{DIM}] distance_metric=cosine", codes)
    with open_store(f"sqlite-vec://{tmp_path / 'items.db'}") as store:
        assert audit_store(store, data[0], Plan(DIM, "int8"), data[1]).cause == cause


def test_sqlite_ranks_by_l2_where_nothing_is_said(data, tmp_path):
    """Its distance is the root; rows cut and not rescaled are ranked otherwise, which is the metric's fault."""
    sqlite(tmp_path / "items.db", f"float[{DIM}]", cut(data[0]))
    with open_store(f"sqlite-vec://{tmp_path / 'items.db'}") as store:
        assert audit_store(store, data[0], PLAN, data[1]).cause == "wrong metric"


def test_no_store_with_nothing_in_it(audit, data):
    """An empty index, one of another model's width, and ids for other rows are refused."""
    with pytest.raises(EmptyInputError, match=r"`index\.faiss` is empty"):
        audit(faiss.IndexFlatIP(DIM))
    with pytest.raises(DimensionError, match="vectors of 100 coordinates and the source of 64"):
        audit(flat(np.zeros((5, 100), np.float32)))
    with pytest.raises(ShapeError, match="`ids` has 2 entries for 400 rows"):
        audit(flat(unit(data[0])), ids=["a", "b"])
    with pytest.raises(InvalidInputError, match="`target` is 2"):
        audit(flat(unit(data[0])), target=2)
    with pytest.raises(DimensionError, match="choose 1 to 64"):
        audit(flat(unit(data[0])), Plan(128))


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("index.faiss", InvalidInputError, "`STORE_URL` is no URL"),
        ("redis://host/items", InvalidInputError, "begins with 'redis'; give one such as faiss:///"),
        ("faiss:///no/such.faiss", StoreError, "`/no/such.faiss` is no file here"),
        ("faiss:///x?efs=3", InvalidInputError, r"the option 'efs'; faiss takes \['ef', 'nprobe'\]"),
        ("faiss://{tmp}/text.txt", StoreError, "`text.txt` does not answer"),
        ("faiss://{tmp}/text.txt?ef=many", InvalidInputError, "`ef` of `STORE_URL` is 'many'"),
        ("sqlite-vec:///no/such.db", StoreError, "is no file here"),
        ("sqlite-vec://{tmp}/text.txt", StoreError, "`text.txt, table items` does not answer"),
        ("sqlite-vec://{tmp}/items.db?table=things", StoreError, "has no table 'things'; it has items"),
        ("sqlite-vec://{tmp}/items.db?column=wide", StoreError, "has no column 'wide'; it has short"),
        ("postgresql://me:secret@127.0.0.1:9/db", StoreError, "`127.0.0.1:9/db, table items` does not answer"),
        ("postgresql://me:secret@127.0.0.1:9/db?sslmod=x", InvalidInputError, "no address of PostgreSQL"),
        ("postgresql://me@127.0.0.1:9/db?password=secret", StoreError, "does not answer"),
        ("postgresql://me@127.0.0.1:9/db?metric=manhattan", InvalidInputError, "`metric` of `STORE_URL`"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(tmp_path, url, error, message):
    """Addresses that are wrong name what is wrong; no password is in it."""
    if "{tmp}" in url:
        (tmp_path / "text.txt").write_text("no index at all, but some text that is long enough\n" * 20)
        sqlite(tmp_path / "items.db", "float[2]", np.eye(2, dtype=np.float32))
    with pytest.raises(error, match=message) as caught:
        open_store(url.format(tmp=tmp_path))
    assert "secret" not in str(caught.value)


def test_an_address_is_taken_apart():
    """Place, options and password; a user's password is not in the place."""
    address = Address.parse("postgresql://me:p%40ss@host:5432/my%20db?table=a.b&ef=7")
    assert (address.place, address.secret, address.options["table"], address.number("ef")) == (
        "host:5432/my db", "p@ss", "a.b", 7,
    )  # fmt: skip
    assert Address.parse("faiss://relative/index.faiss").place == "relative/index.faiss"


@pytest.mark.parametrize("password", ["pa/ss", "pa?ss", "pa#ss", "pa@ss", "/ss", "pass?x=", "#"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "qdrant+http", "qdrant+https", "milvus+http"])
def test_a_password_that_splits_its_url_is_not_printed(scheme, password):
    """What would be taken for a host, a path or an option is refused, and nothing of the URL is said."""
    with pytest.raises(InvalidInputError, match="percent-encode special characters of the password") as caught:
        Address.parse(f"{scheme}://me:{password}@host/db")
    assert "ss" not in str(caught.value).replace("password", "") and "host" not in str(caught.value)


def test_an_at_sign_in_a_path_is_no_password():
    """Files and folders are called as they are, and an encoded password is read."""
    assert Address.parse("faiss:///srv/a@b/index.faiss").place == "/srv/a@b/index.faiss"
    assert Address.parse("sqlite-vec:///srv/a@b.db?table=x@y").options == {"table": "x@y"}
    assert Address.parse("postgresql://me:pa%2Fs%40s%23@host/db").secret == "pa/s@s#"


@pytest.mark.parametrize(("before", "token"), [("me:p%40ss@", "me:p@ss"), (":key@", "key"), ("", "")])
def test_milvus_is_told_the_user_and_the_password(monkeypatch, before, token):
    """Its token is both, joined by a colon, or a key alone."""
    told = {}

    class Client:
        def __init__(self, at, token):
            told.update(at=at, token=token)
            raise ValueError(f"no {token}")

    monkeypatch.setitem(sys.modules, "pymilvus", SimpleNamespace(MilvusClient=Client, MilvusException=ValueError))
    with pytest.raises(StoreError, match="`host:19530, collection items` does not answer") as caught:
        open_store(f"milvus+http://{before}host:19530/items")
    assert told == {"at": "http://host:19530", "token": token} and "p@ss" not in str(caught.value)


def test_ids_that_are_no_whole_numbers_are_left_out(data):
    """Two signs make no number, nor does a sign alone."""
    assert Told(unit(data[0])).own_ids(["7", "-3", "--5", "-", "1.5", "", 4]) == [7, -3, 4]


@pytest.mark.parametrize("scheme", sorted(STORES))
def test_a_missing_client_says_how_it_comes(scheme, monkeypatch, tmp_path):
    """Each store's client that is not installed is named with the pip command."""
    for module in ("faiss", "psycopg", "qdrant_client", "lancedb", "pymilvus", "apsw"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OptionalDependencyError, match="pip install"):
        open_store(f"{scheme}://{tmp_path}/items.db")


def test_the_verb_says_and_writes_it(data, tmp_path, capsys):
    """0 for a right index and 1 with the cause for a wrong one; the JSON holds what was said."""
    rows, queries, out = tmp_path / "rows.npy", tmp_path / "queries.npy", tmp_path / "out.json"
    np.save(rows, data[0])
    np.save(queries, data[1])
    asked = ["--source", str(rows), "--queries", str(queries), "--plan", str(DIM), "--json", str(out)]
    faiss.write_index(flat(unit(data[0])), str(tmp_path / "right.faiss"))
    assert main(["audit", f"faiss://{tmp_path}/right.faiss", *asked]) == 0
    assert "Nothing looks wrong" in capsys.readouterr().out
    faiss.write_index(flat(np.ascontiguousarray(unit(data[0])[::-1])), str(tmp_path / "wrong.faiss"))
    assert main(["audit", f"faiss://{tmp_path}/wrong.faiss", *asked]) == 1
    said, written = capsys.readouterr().out, json.loads(out.read_text())
    assert "Likely cause: other vectors" in said and written["cause"] == "other vectors"
    assert written["schema"] == 1 and written["takeaway"] in said and written["is_below_target"]
    assert main(["audit", "faiss:///no/such", *asked]) == 2
    assert "is no file here" in capsys.readouterr().err


def test_the_verb_takes_the_promise_of_a_record(data, tmp_path, capsys):
    """The record's plan and its overlap are what is asked for; a record of another width is refused."""
    rows, queries, record = tmp_path / "rows.npy", tmp_path / "queries.npy", tmp_path / "decision.json"
    np.save(rows, data[0])
    np.save(queries, data[1])
    faiss.write_index(flat(unit(data[0])), str(tmp_path / "right.faiss"))
    asked = ["audit", f"faiss://{tmp_path}/right.faiss", "--source", str(rows), "--queries", str(queries)]
    decided = {
        "schema": 2, "kind": "mrl_viz decision record", "plan": Plan(DIM).to_dict(), "model": {"full_dim": FULL_DIM},
        "aim": {"metric": "overlap@10", "target": 0.5},
    }  # fmt: skip
    record.write_text(json.dumps(decided))
    assert main([*asked, "--plan", str(record)]) == 0
    assert "the 50% promised" in capsys.readouterr().out
    decided["aim"]["target"] = 0.9999
    record.write_text(json.dumps(decided))
    assert main([*asked, "--plan", str(record)]) == 1
    assert "decide again" in capsys.readouterr().out
    record.write_text(json.dumps(decided | {"model": {"full_dim": 768}}))
    assert main([*asked, "--plan", str(record)]) == 2
    assert "decided for vectors of 768 coordinates" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["audit", "monitor"])
def test_the_verbs_compare_as_many_neighbors_as_the_record_was_decided_by(data, tmp_path, capsys, verb):
    """A target of overlap@20 is held against 20 neighbors; for another k it has to be said anew, and nothing was
    promised."""
    rows, queries, out = tmp_path / "rows.npy", tmp_path / "queries.npy", tmp_path / "out.json"
    np.save(rows, data[0])
    np.save(queries, data[1])
    faiss.write_index(flat(unit(data[0])), str(tmp_path / "right.faiss"))
    named = ["audit", f"faiss://{tmp_path}/right.faiss", "--source"] if verb == "audit" else ["monitor"]
    (tmp_path / "decision.json").write_text(json.dumps({
        "schema": 2, "kind": "mrl_viz decision record", "plan": Plan(DIM).to_dict(), "model": {"full_dim": FULL_DIM},
        "aim": {"metric": "overlap@20", "target": 0.5},
    }))  # fmt: skip
    asked = [*named, str(rows), "--queries", str(queries), "--json", str(out), "--plan"]
    of_record = [*asked, str(tmp_path / "decision.json")]

    def written(*options):
        assert main([*of_record, *options]) == 0
        found = json.loads(out.read_text())
        return found["k"], found["target"], found.get("promised")

    promised = 0.5 if verb == "audit" else None
    assert written() == written("--k", "20") == (20, 0.5, promised)
    assert main([*of_record, "--k", "10"]) == 2
    assert "`--k` is 10 and the record's target is of overlap@20" in capsys.readouterr().err
    assert written("--k", "10", "--target", "0.4") == (10, 0.4, None)
    assert main([*asked, str(DIM), "--target", "0.4"]) == 0
    assert json.loads(out.read_text())["k"] == 10


@pytest.mark.parametrize("suffix", [".npy", ".zarr", ""])
@pytest.mark.parametrize("items", [[], [7], [0, 1, 1023, 1024, 2499], [5, 5, 2047, 2048]])
def test_single_rows_are_taken_from_a_disk(tmp_path, items, suffix):
    """Rows read together because they lie near each other are the rows of their numbers; a folder's too."""
    rows, place = np.random.default_rng(0).standard_normal((2500, 3)).astype(np.float32), tmp_path / f"rows{suffix}"
    if suffix == ".npy":
        np.save(place, rows)
    for number, part in enumerate((rows[:1500], rows[1500:]) if suffix == "" else (rows,) * (suffix == ".zarr")):
        store = place if suffix else place / f"{number}.zarr"
        zarr.create_array(store=str(store), shape=part.shape, chunks=(700, 3), dtype="float32")[:] = part
    wanted = np.array(items, dtype=np.int64)
    np.testing.assert_array_equal(open_rows(place).take(wanted), rows[wanted])
