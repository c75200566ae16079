"""Stop, pressed by the visitor herself, is no error on any page that has it."""

import pytest

from mrl_viz.data.corpus import corpus_from_texts
from mrl_viz.ui import background
from tests.app.steps import again, has, once, said, started, tasks_of

WORK = {
    "explore/map": "draw_umap", "explore/quality": "measure_quality", "decide/compare": "run_compare",
    "decide/choose": "run_choose", "train/adaptive": "train_heads", "train/adaptor": "fit_adaptor",
}  # fmt: skip


@pytest.fixture(scope="module")
def visitor():
    """Two hundred texts of two topics."""
    words = {"water": "a river", "food": "some bread"}
    texts = [f"{word}, number {n}" for n in range(100) for word in words.values()]
    return started(corpus_from_texts(texts, labels={"topic": [*words] * 100})).run()


@pytest.mark.parametrize("page", WORK)
def test_my_own_stop_is_no_error(visitor, page):
    """Stopped while it waits for its turn, the work is not done, and the page offers it again without an error."""
    app = visitor.switch_page(f"pages/{page}.py")
    with background.WORKING:
        once(app)
        if page == "explore/map":
            app.segmented_control(key="method").set_value("UMAP")
            once(app)
        if has(app, WORK[page]):
            app.button(key=WORK[page]).click()
            once(app)
        (task,) = [task for task in tasks_of(app) if task.is_running]
        next(button for button in app.button if button.label == "Stop").click()
        once(app)
    task.thread.join()
    again(app)
    assert not app.exception and not app.error and has(app, WORK[page]), said(app)
    # An adaptor that was stopped is the best one so far, and says so.
    assert task.result is None or "stopped by you" in said(app)
