"""Sessions of visitors who come with texts of their own, and go."""

import gc
import weakref

from streamlit.runtime.caching.cache_resource_api import clear_session_cache

from mrl_viz.data.corpus import corpus_from_texts
from tests.app.steps import SESSION, again, go, started

N_SESSIONS, WORDS = 50, ("river", "bread", "tax", "star", "bone", "wool", "salt", "song")


def visit(number):
    """A visitor's own texts, looked at on a page or two; what is to be gone when she is."""
    texts = [f"{WORDS[n % 8]} {WORDS[n // 8 % 8]} number {n} of visitor {number}" for n in range(24)]
    app = again(started(corpus_from_texts(texts, labels={"word": [WORDS[n % 8] for n in range(24)]})))
    if number % 25 == 0:
        go(app, "explore/neighbors")
        go(app, "explore/quality")
    assert not app.exception and not app.error
    workspace = app.session_state["workspace"]
    assert workspace.corpus.n_items == 24
    return [weakref.ref(held) for held in (workspace, workspace.corpus, workspace.embedded)]


def test_what_closed_sessions_held_is_freed():
    """Fifty sessions with their own texts: when each has ended, none of their texts, vectors and results is left."""
    clear_session_cache(SESSION)
    held = []
    for number in range(N_SESSIONS):
        held += visit(number)
        clear_session_cache(SESSION)  # what Streamlit does when a session ends
    gc.unfreeze()
    gc.collect()
    assert len(held) == 3 * N_SESSIONS and not [one for one in held if one() is not None]
