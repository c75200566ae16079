"""Funnels, stops, settling answers and layouts on disk, each against a naive reference of full sorts and loops."""

import numpy as np
import pytest

from mrl_viz import figures
from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError, ShapeError, StoreError
from mrl_viz.retrieval.adaptive import AdaptiveIndex
from mrl_viz.retrieval.funnel import check_design, funnel_losses, neighbor_paths, with_stage
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.layouts import BLOCK, ColumnFiles, RowFile, layout_reads, said_bytes
from mrl_viz.retrieval.plan import Plan
from mrl_viz.retrieval.progressive import ProgressiveIndex
from mrl_viz.retrieval.settling import settling
from mrl_viz.retrieval.stopping import learn_stop

N_ITEMS, FULL_DIM, K = 300, 24, 5
STAGES = ((3, 60), (8, 20), (FULL_DIM, K))


def tied(n_items=N_ITEMS, full_dim=FULL_DIM, n_queries=12, seed=0):
    """Whole numbers: exact ties and duplicates everywhere, and the same cosines in any order of adding."""
    rng = np.random.default_rng(seed)
    draw = rng.integers(-1, 2, size=(n_items + n_queries, full_dim)).astype(np.float32)
    return draw[:n_items], draw[n_items:]


def cosines(corpus, query, dim):
    """Of every item at a width, in float64."""
    left, right = query[:dim].astype(np.float64), corpus[:, :dim].astype(np.float64)
    norms = np.linalg.norm(left) * np.linalg.norm(right, axis=1)
    return (right @ left) / np.where(norms > 0, norms, 1)


def ranked(corpus, query, dim, among):
    """Those items by cosine at a width, equal ones by number."""
    among = np.sort(np.asarray(among))
    return among[np.argsort(-np.round(cosines(corpus[among], query, dim), 6), kind="stable")]


def naive_funnel(corpus, query, stages, own=None):
    """Every stage's whole ranking, by full sorts."""
    left, rankings = [item for item in range(len(corpus)) if item != own], []
    for dim, keep in stages:
        rankings.append(ranked(corpus, query, dim, left))
        left = rankings[-1][:keep]
    return rankings


@pytest.mark.parametrize("searches_itself", [False, True], ids=["queries", "items"])
def test_a_funnel_loses_what_full_sorts_lose_and_where(searches_itself):
    """Shares lost per stage, the stage that drops each neighbor and its rank there are those of naive full sorts; what
    is lost and what is found add up to everything."""
    corpus, queries = tied()
    own = np.array([4, 200, 77]) if searches_itself else None
    asked = corpus[own] if searches_itself else queries
    index = PrefixIndex(corpus, [3, 8])
    losses = funnel_losses(index, asked, STAGES, own=own)
    expected = np.empty((len(asked), K), dtype=int)
    for row, query in enumerate(asked):
        item = None if own is None else int(own[row])
        rankings = naive_funnel(corpus, query, STAGES, item)
        others = [other for other in range(N_ITEMS) if other != item]
        neighbors = ranked(corpus, query, FULL_DIM, others)[:K]
        paths = neighbor_paths(index, query, STAGES, own=item)
        assert list(paths.items) == neighbors.tolist()
        for place, neighbor in enumerate(neighbors):
            expected[row, place] = -1
            for stage, (ranking, (_, keep)) in enumerate(zip(rankings, STAGES)):
                found = np.flatnonzero(ranking == neighbor)
                assert paths.ranks[stage, place] == (found[0] + 1 if len(found) else 0)
                if expected[row, place] == -1 and found[0] >= keep:
                    expected[row, place] = stage
                    break
        # Where it was dropped no later stage ranks it.
        assert paths.dropped_at == tuple(expected[row]) and all(
            not paths.ranks[stage + 1 :, place].any() for place, stage in enumerate(expected[row]) if stage >= 0
        )
    np.testing.assert_array_equal(losses.dropped_at, expected)
    assert (expected >= 0).any() and (expected == -1).any()
    for stage, lost in enumerate(losses.lost):
        assert lost.value == pytest.approx((expected == stage).mean()) and lost.low <= lost.value <= lost.high
    assert losses.recall.share.value + sum(lost.value for lost in losses.lost) == pytest.approx(1)
    n_items = N_ITEMS - searches_itself
    assert losses.scored == (n_items, 60, 20)
    work = [n_items * 3, 60 * 8, 20 * FULL_DIM]
    assert [row["multiply_adds"] for row in losses.rows()] == work
    assert (losses.cost.multiply_adds, losses.cost.bytes_read) == (sum(work), 4 * sum(work))
    assert losses.speedup == pytest.approx(n_items * FULL_DIM / sum(work))
    assert f"of the {K} full-width neighbors" in losses.takeaway() and "loses most" in losses.takeaway()


def test_a_neighbors_way_is_said_and_drawn():
    """The sentence counts what falls out at each stage with its rank; the picture ends its line there with a cross."""
    corpus, queries = tied()
    index = PrefixIndex(corpus, [3, 8])
    losses = funnel_losses(index, queries, STAGES)
    row = int(np.flatnonzero((losses.dropped_at >= 0).any(axis=1))[0])
    paths = neighbor_paths(index, queries[row], STAGES)
    place = paths.lost[0]
    stage = paths.dropped_at[place]
    dim, keep = STAGES[stage]
    rank = paths.ranks[stage, place]
    assert rank > keep and f"at {dim} dims (rank " in paths.takeaway() and f"; {keep} kept)" in paths.takeaway()
    assert paths.rows()[place]["out at"] == f"{dim} dims" and paths.rows()[place][f"rank at {dim}"] == rank
    drawn = figures.funnel(losses, paths, [str(item) for item in paths.items], place)
    wall, *ways = drawn.data
    assert list(wall.x) == [1, N_ITEMS, 60, 20, K, 1]
    assert len(ways) == K and ways[place].x[-1] == rank and ways[place].y[-1] == stage + 1
    assert ways[place].marker.symbol[-1] == "x" and ways[place].line.width > ways[place - 1].line.width
    everything = ((3, N_ITEMS), (FULL_DIM, K))
    assert "All 5 true neighbors" in neighbor_paths(index, queries[row], everything).takeaway()
    assert "no stage loses any" in funnel_losses(index, queries, everything).takeaway()


@pytest.mark.parametrize(
    ("stages", "error", "words"),
    [
        ((), EmptyInputError, "`stages` is empty"),
        (((8, 20), (8, 5)), DimensionError, "Stage 2 is at 8 dims and stage 1 at 8; widths have to rise"),
        (((8, 20), (4, 5)), DimensionError, "Stage 2 is at 4 dims and stage 1 at 8; widths have to rise"),
        (((8, 20), (25, 5)), DimensionError, "Stage 2 is at 25 dims; these vectors have 24: choose 1 to 24"),
        (((0, 20), (8, 5)), DimensionError, "`dim` is 0"),
        (((4, 20), (8, 30), (24, 5)), InvalidInputError, "Stage 2 keeps 30 but stage 1 keeps 20; a list cannot grow"),
        (((4, 400), (24, 5)), InvalidInputError, "Stage 1 keeps 400 but there are 300; a list cannot grow"),
        (((4, 3), (24, 5)), InvalidInputError, "Stage 1 keeps 3, fewer than the 5 that are to be returned"),
        (((4, 20), (24, 0)), InvalidInputError, "`k` is 0"),
    ],
)  # fmt: skip
def test_a_schedule_that_is_no_funnel_is_one_sentence(stages, error, words):
    """Widths rise, lists shrink to what is returned; anything else names its stage."""
    with pytest.raises(error, match=words):
        check_design(stages, N_ITEMS, FULL_DIM)
    corpus, queries = tied()
    with pytest.raises(error, match=words):
        funnel_losses(PrefixIndex(corpus), queries, stages)


def test_a_further_stage_goes_into_the_widest_gap():
    """It is a funnel again, at one of the offered widths where one is in the gap; none is found where there is none."""
    stages = ((64, 64), (256, 10))
    for _ in range(6):
        more = with_stage(stages, 1280, (8, 16, 32, 64, 128, 256))
        assert len(more) == len(stages) + 1 and set(stages) < set(more)
        stages = check_design(more, 1280, 256)
    assert with_stage(((64, 64), (256, 10)), 1280, (8, 16, 32))[0][0] == 8
    assert with_stage(((1, 20), (2, 10)), 1280) is None


def naive_stop(corpus, query, dim, k, most, threshold):
    """How many are reranked until the margin is reached, and what is found by then, by a plain loop."""
    order = ranked(corpus, query, dim, range(len(corpus)))[:most]
    small, full = cosines(corpus, query, dim), cosines(corpus, query, corpus.shape[1])
    for size in range(k, most + 1):
        kth = sorted(full[order[:size]], reverse=True)[k - 1]
        if size == most or kth - small[order[size]] >= threshold - 1e-6:
            break
    nearest = ranked(corpus, query, corpus.shape[1], range(len(corpus)))[:k]
    return size, np.isin(nearest, order[:size]).mean()


@pytest.fixture(scope="module")
def stop():
    """Queries near items of falling variance, an index, and a rule learnt in two halvings of them."""
    rng = np.random.default_rng(3)
    scale = ((1 + np.arange(32)) ** -0.6).astype(np.float32)
    corpus = rng.standard_normal((600, 32), dtype=np.float32) * scale
    queries = corpus[:60] + 0.5 * rng.standard_normal((60, 32), dtype=np.float32) * scale
    index = PrefixIndex(corpus, [6])
    options = {"shortlist_dim": 6, "k": K, "target": 0.9, "most": 200, "n_halvings": 2}
    return corpus, queries, index, learn_stop(index, queries, **options)


def halvings(n_queries, n_halvings, seed=0):
    """(learning, judging) queries, each half once learnt from."""
    rng = np.random.default_rng(seed)
    for _ in range(n_halvings):
        order = rng.permutation(n_queries)
        halves = np.sort(order[: n_queries // 2]), np.sort(order[n_queries // 2 :])
        yield from (halves, halves[::-1])


def test_a_stop_is_learnt_on_one_half_and_measured_on_the_other(stop):
    """At the learnt thresholds stops and recall of the judging halves are those of a plain loop; on the learning
    halves they reach the target, and no lower threshold does."""
    corpus, queries, _, rule = stop
    lengths, recalls = np.zeros(60), np.zeros(60)
    assert len(rule.thresholds) == 4 and rule.threshold == pytest.approx(np.median(rule.thresholds))
    for (learning, judging), threshold in zip(halvings(60, 2), rule.thresholds, strict=True):
        for row in judging:
            size, found = naive_stop(corpus, queries[row], 6, K, 200, threshold)
            lengths[row] += size / 2
            recalls[row] += found / 2

        def reached(at, rows=learning):
            return np.mean([naive_stop(corpus, queries[row], 6, K, 200, at)[1] for row in rows])

        assert reached(threshold) >= 0.9 - 1e-9 > reached(threshold - 0.004)
    np.testing.assert_allclose(rule.stops, lengths)
    assert rule.recall.value == pytest.approx(recalls.mean()) and rule.reranked.value == pytest.approx(lengths.mean())
    assert (rule.n_queries, rule.n_items) == (60, 600)
    assert rule.multiply_adds == pytest.approx(600 * 6 + rule.reranked.value * 32)


def test_a_stop_is_held_against_fixed_lists_of_its_cost(stop):
    """A fixed list of the rule's mean length, mixed of two whole ones, and the shortest that reaches the target, by
    plain loops; the gain is their paired difference and the sentence says what its interval allows."""
    corpus, queries, _, rule = stop
    places = []
    for query in queries:
        order = ranked(corpus, query, 6, range(600)).tolist()
        places.append([order.index(item) for item in ranked(corpus, query, 32, range(600))[:K]])
    places = np.array(places)

    def fixed(rows, size):
        return (places[rows] < size).mean()

    equal, of_fixed, sizes, mixed = [], [], [], []
    for (learning, judging), threshold in zip(halvings(60, 2), rule.thresholds, strict=True):
        mean = np.mean([naive_stop(corpus, queries[row], 6, K, 200, threshold)[0] for row in judging])
        lower = int(mean)
        beside = fixed(judging, lower), fixed(judging, lower + 1)
        equal.append((1 - mean + lower) * beside[0] + (mean - lower) * beside[1])
        mixed.append(beside[0] < equal[-1] < beside[1])
        sizes.append(next(size for size in range(K, 201) if fixed(learning, size) >= 0.9 - 1e-9))
        of_fixed.append(fixed(judging, sizes[-1]))
    assert any(mixed)
    assert rule.equal_recall.value == pytest.approx(np.mean(equal))
    assert rule.gain.value == pytest.approx(rule.recall.value - np.mean(equal), abs=1e-12)
    assert rule.fixed_size == pytest.approx(np.mean(sizes))
    assert rule.fixed_recall.value == pytest.approx(np.mean(of_fixed))
    assert rule.saved.value == pytest.approx(np.mean(sizes) - rule.stops.mean())
    for size, estimate in zip(rule.sizes, rule.by_size):
        assert estimate.value == pytest.approx(fixed(np.arange(60), size))
    assert all(abs(size - length) < 4 for size, length in zip(rule.sizes, rule.rule_sizes))
    verdict = "beats" if rule.gain.low > 0 else "does worse than" if rule.gain.high < 0 else "does not beat"
    assert f"A stop by the margin {verdict} fixed lists of equal cost" in rule.takeaway()
    assert len(rule.rows()) == len(rule.sizes) + len(rule.rule_sizes) and "nine in ten by" in rule.target_takeaway()
    (ring,) = [trace for trace in figures.stop_curves(rule).data if trace.name == "learnt margin"]
    assert (ring.x[0], ring.y[0]) == (rule.reranked.value, rule.recall.value)


def test_a_half_that_no_list_satisfies_reads_the_whole_list():
    """Where the target is reached over all queries but not on a learning half, that half's rule reads to the end."""
    rng = np.random.default_rng(1)
    corpus = rng.standard_normal((300, 16), dtype=np.float32)
    queries = corpus[:40] + 0.2 * rng.standard_normal((40, 16), dtype=np.float32)
    index = PrefixIndex(corpus, [4])
    whole = learn_stop(index, queries, shortlist_dim=4, k=K, target=0.01, most=60, n_halvings=1)
    at_most = whole.by_size[-1].value
    rule = learn_stop(index, queries, shortlist_dim=4, k=K, target=at_most, most=60, n_halvings=1)
    assert max(rule.thresholds) == np.inf and rule.reranked.value > 30
    # 60 for that half, and for the other more than the 10 that every list has.
    assert (rule.stops == 60).sum() >= 20 and rule.fixed_size > (60 + K) / 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"target": 0}, InvalidInputError, "`target` is 0"),
        ({"target": 1.0, "most": 12}, InvalidInputError, "lists of 12 at 6 dims find .*; choose a lower target"),
        ({"most": 3}, InvalidInputError, "`most` is 3; choose a whole number, 5 or more"),
        ({"shortlist_dim": 7}, DimensionError, "`dim` is 7"),
        ({"k": 0}, InvalidInputError, "`k` is 0"),
        ({"n_halvings": 0}, InvalidInputError, "`n_halvings` is 0"),
    ],
)  # fmt: skip
def test_a_stop_that_cannot_be_learnt_is_one_sentence(stop, options, error, words):
    """A target that no list reaches, too few queries, a width that is not there."""
    _, queries, index, _ = stop
    with pytest.raises(error, match=words):
        learn_stop(index, queries, **({"shortlist_dim": 6, "k": K} | options))
    with pytest.raises(EmptyInputError, match="There are 39 queries; a stop needs 40 or more"):
        learn_stop(index, queries[:39], shortlist_dim=6)


def test_a_stop_leaves_a_text_out_of_its_own_list(stop):
    """Items that search are measured among the others: the rule of a corpus that lacks each of them."""
    corpus, _, index, _ = stop
    own = np.arange(60)
    rule = learn_stop(index, corpus[own], shortlist_dim=6, k=K, target=0.8, most=100, n_halvings=1, own=own)
    for (_, judging), threshold in zip(halvings(60, 1), rule.thresholds, strict=True):
        for row in judging[:6]:
            others = np.delete(corpus, row, axis=0)
            assert naive_stop(others, corpus[row], 6, K, 100, threshold)[0] == rule.stops[row]
    assert rule.n_items == 599


def test_answers_settle_rank_by_rank():
    """Since when a rank stands is what a loop over the answers says; the last answer is exact search's."""
    corpus, queries = tied(seed=5)
    index = PrefixIndex(corpus, [2, 6, 12])
    found = settling(index.widen(queries[0], K))
    assert found.dims == (2, 6, 12, FULL_DIM) and (np.diff(found.milliseconds) > 0).all()
    np.testing.assert_array_equal(found.indices[-1], index.search(queries[0], K).indices[0])
    for rank in range(K):
        column = found.indices[:, rank].tolist()
        for level in range(4):
            first = next(n for n in range(level + 1) if len(set(column[n : level + 1])) == 1)
            assert found.since[level, rank] == found.dims[first]
    n_changed = int((found.indices[2] != found.indices[1]).sum())
    assert n_changed and f"{n_changed} of {K} ranks changed" in found.first(3).takeaway()
    assert [row["since"] for row in found.rows()] == list(found.settled) and "a first answer" in found.first(
        1
    ).takeaway()
    assert f"all by {max(found.settled)}." in found.settled_takeaway()
    with pytest.raises(EmptyInputError, match="`answers` is empty"):
        settling([])
    with pytest.raises(ShapeError, match="those to one query"):
        settling([index.search(queries[:2], K)])


def test_refining_leaves_a_text_out_of_its_own_answers():
    """With `own` no answer has the text itself, and the last one is exact search among the others."""
    corpus, queries = tied(seed=2)
    index = PrefixIndex(corpus, [4])
    adaptive = AdaptiveIndex(index, queries, plans=[Plan(FULL_DIM)], k=K, n_runs=4)
    answers = list(adaptive.refine(corpus[9], K, max_latency_ms=60_000, own=[9]))
    assert len(answers) == 2 and not any((answer.indices == 9).any() for answer in answers)
    np.testing.assert_array_equal(answers[-1].indices, index.search(corpus[9], K, own=[9]).indices)
    with pytest.raises(ShapeError, match="`own`"):
        adaptive.refine(corpus[9], K, max_latency_ms=1, own=[9, 10])


@pytest.mark.parametrize("full_dim", [24, 1500, 4096])
def test_a_row_file_counts_the_blocks_that_its_spans_touch(tmp_path, full_dim):
    """What is read is what was written; the bytes are those of all distinct blocks that hold a wanted number, and of
    no other file's end."""
    rows = np.random.default_rng(0).standard_normal((37, full_dim), dtype=np.float32)
    for low, high in ((0, 8), (5, 20), (0, full_dim)):
        file = RowFile.write(tmp_path / "rows.f32", rows)
        np.testing.assert_array_equal(file.read(low, high), rows[:, low:high])
        wanted = {
            (row * full_dim + column) * 4 // BLOCK for row in range(37) for column in range(low, high)
        }  # fmt: skip
        size = (tmp_path / "rows.f32").stat().st_size
        assert file.bytes_read == sum(min(BLOCK, size - block * BLOCK) for block in wanted)
    with pytest.raises(DimensionError, match="within 0 to"):
        file.read(3, 3)


def test_column_files_are_read_once_and_only_as_far_as_needed(tmp_path):
    """A search reads the files of its first columns, a wider one those that are missing, and finds what an index in
    memory finds; what is gone from the disk is one sentence."""
    corpus, queries = tied()
    files = ColumnFiles.write(tmp_path / "columns", corpus, [4, 8, 16])
    index, memory = ProgressiveIndex(files, [4, 6, 16]), PrefixIndex(corpus, [4, 6, 16])
    assert files.bytes_read == 0
    for dim, columns in ((4, 4), (6, 8), (6, 8), (16, 16), (FULL_DIM, FULL_DIM), (4, FULL_DIM)):
        np.testing.assert_array_equal(
            index.search(queries, K, dim=dim).indices, memory.search(queries, K, dim=dim).indices
        )
        assert files.bytes_read == N_ITEMS * columns * 4
    fresh = ColumnFiles(files.folder, N_ITEMS, files.edges)
    (tmp_path / "columns" / "columns_00004.f32").unlink()
    fresh.read(0, 4)
    with pytest.raises(StoreError, match="cannot be read"):
        fresh.read(4, 6)


def test_layouts_read_what_their_files_hold():
    """By rows all of narrow vectors, by chunks whole chunks, cut at the widths exactly what a search needs."""
    corpus, _ = tied()
    reads = layout_reads(corpus, [4, 8], chunk=16)
    assert reads.dims == (4, 8, FULL_DIM) and reads.by_rows == (N_ITEMS * FULL_DIM * 4,) * 3
    assert reads.by_chunks == tuple(N_ITEMS * columns * 4 for columns in (16, 16, FULL_DIM))
    assert reads.by_widths == reads.needed == tuple(N_ITEMS * dim * 4 for dim in (4, 8, FULL_DIM))
    assert "4 of 24 dims reads 4.8 kB of 300 vectors stored by columns and 28.8 kB stored by rows, 6.0 times" in (
        reads.takeaway()
    )
    assert len(figures.layout_bytes(reads, 8).data) == 3
    with pytest.raises(InvalidInputError, match="`chunk` is 0"):
        layout_reads(corpus, [4], chunk=0)


@pytest.mark.parametrize(
    ("size", "said"), [(5, "5 bytes"), (999, "999 bytes"), (40_960, "41.0 kB"), (327_680, "328 kB"), (2e13, "20.0 TB")]
)
def test_bytes_have_units(size, said):
    """Three digits or so, and a unit."""
    assert said_bytes(size) == said
