"""What the tests of single pages share: open a page with data and a model, and read what it says."""

from pathlib import Path

from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.caching.cache_resource_api import clear_session_cache
from streamlit.testing.v1 import AppTest

# Every AppTest would read the metadata of all installed packages, half a second of work, for components: none has any.
manifest_scanner.scan_component_manifests = lambda: []
# What AppTest calls every session.
SESSION = "test session id"
APP = str(Path(__file__).parent.parent.parent / "app.py")


def started(corpus=None):
    """The app on its first page, with a session's own corpus or the sample; what earlier sessions held is gone."""
    clear_session_cache(SESSION)
    app = AppTest.from_file(APP, default_timeout=120)
    if corpus is not None:
        app.session_state["own_corpus"] = corpus
    return app


def go(app, page, model=None):
    """Another page, with the session's own data and a model."""
    if model is not None:
        app.session_state["next_model"] = model
    return again(app.switch_page(f"pages/{page}.py"))


def again(app):
    """The page once more, after a widget was set, and when the work beside it is done."""
    once(app)
    # Work may also end between the drawing of its progress, with Stop, and the question whether it is running.
    while (working := [task for task in tasks_of(app) if task.is_running]) or _is_waiting(app):
        for task in working:
            task.thread.join()
        once(app)
    return app


def _is_waiting(app):
    return any(button.label == "Stop" for button in app.button)


def once(app):
    """The page once more, whatever works beside it; AppTest has no URL to carry the choice of data."""
    if "own_corpus" in app.session_state:
        app.session_state["next_data"] = "mine"
    app.run()


def tasks_of(app):
    """The work that the session began beside the page, running or done."""
    return list(app.session_state["background_tasks"].values()) if "background_tasks" in app.session_state else []


def opened(page, corpus=None, model=None):
    """A page without an exception or an error."""
    app = go(started(corpus).run(), page, model)
    assert not app.exception and not app.error
    return app


def said(app):
    """Everything written on the page, as one text."""
    kinds = (app.caption, app.markdown, app.info, app.warning, app.error, app.success)
    return "\n".join(element.value.replace("\\", "") for kind in kinds for element in kind)


def data_of(app, key):
    """The table under a chart, which is made when somebody opens it."""
    app.session_state[f"{key}_data"] = True
    again(app)
    (opened,) = [part for part in app.get("popover") if part.proto.popover.id.endswith(f"-{key}_data")]
    return opened.dataframe[0].value


def parts_of(app):
    """The names of the tabs below a page's main figure; none where all of the page is shown."""
    return [tab.label for tab in app.tabs] if _tab_keys(app) else []


def choose_part(app, name):
    """One of those tabs is open from the next run on: its content is made when it is open."""
    (key,) = _tab_keys(app)
    assert name in parts_of(app)
    app.session_state[key] = name


def open_part(app, name):
    """Open one of those tabs."""
    choose_part(app, name)
    return again(app)


def each_part(app):
    """Open one of those tabs after the other; a page without is looked at as it is. Gives their names."""
    for name in parts_of(app):
        open_part(app, name)
        yield name
    if not parts_of(app):
        yield ""


def _tab_keys(app):
    names = [tabs.proto.tab_container.query_param_key for tabs in app.get("tab_container")]
    return [name for name in names if name]


def open_code(app):
    """Open what hides code, from the next run on; returns how many of it there are."""
    parts = [part for part in app.get("popover") if part.proto.popover.label == "Code"]
    for part in parts:
        app.session_state[part.proto.popover.id.rsplit("-", 1)[-1]] = True
    return len(parts)


def code_of(app):
    """The code blocks of the page, which are sent when somebody opens them."""
    assert not app.code and open_code(app)
    return [block.value for block in again(app).code]


def has(app, key):
    """Whether there is a widget with that key."""
    return any(key == getattr(widget, "key", None) for widget in app.button)
