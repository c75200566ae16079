"""docs/search.md says what is measured today: its words, and of its tables what takes seconds."""

from docs import make_search


def test_the_page_about_searching_is_what_is_measured():
    """The first sample's funnels, one of its stops, and the bytes of its layouts stand there as they come out now."""
    page = make_search.PAGE.read_text(encoding="utf-8")
    name = next(iter(make_search.DATA))
    assert make_search.stop_row(name, 64, 0.95) in page, "run python -m docs.make_search"
    for part in (make_search.HEAD, make_search.STOPS, make_search.SETTLE, make_search.COLUMNS):
        assert part in page
    of_sample = [line for line in make_search.funnels([name]) if line.startswith(f"| {name}")]
    assert len(of_sample) == 3 and all(line in page for line in [*of_sample, *make_search.bytes_read()])
