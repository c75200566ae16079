"""The workshop in a real browser: a presenter, a class, a server that is started again in between."""

import asyncio
import csv
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets import Subprotocol
from websockets.asyncio.client import connect

from tests.browser.steps import TIMEOUT_MS, downloaded, headings, opened

N_BROWSERS, N_SOCKETS = 10, 40
CHARTS = "stPlotlyChart"


@pytest.fixture
def screen(window):
    """The presenter's tab. It may complain: a server that is started again is away for a while."""
    tab = window.new_page()
    yield tab
    tab.close()


@pytest.fixture
def telephones(chromium, server):
    """As many tabs as a small class has telephones; a seat is a tab's own, as no cookie tells them apart."""
    with chromium.new_context(viewport={"width": 390, "height": 844}, base_url=server.url) as context:
        context.set_default_timeout(TIMEOUT_MS)
        yield [context.new_page() for _ in range(N_BROWSERS)]


def room_opened(page):
    """The presenter opens a room with the lesson of ten minutes; its code, and the address that participants get."""
    opened(page, "/workshop")
    page.get_by_test_id("stMain").get_by_text("10 minutes", exact=True).click()
    page.get_by_role("tab", name="Open or join a room").click()
    page.get_by_role("button", name="Open a room").click()
    expect(page.get_by_text("0 of 0 locked")).to_be_visible()
    code = re.search(r"[?&]room=(\w{4})", page.url)[1]
    expect(page.get_by_text(re.compile(rf"/workshop\?room={code}$"))).to_be_visible()
    return code


def press(page, name):
    """The presenter's step to what comes next."""
    page.get_by_role("button", name=name, exact=True).click()


def votes_of(page):
    """Rows of the CSV file that the presenter downloads."""
    # A run that begins while a file is on its way takes it back.
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    page.get_by_role("button", name="More").click()
    path = downloaded(page, "Download the answers (CSV)").path()
    page.keyboard.press("Escape")  # while a file is still on its way this would end that
    with open(path, encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def test_a_class_votes_and_a_restart_keeps_its_room(screen, telephones, server):
    """Ten telephones and a presenter: each vote counts once, nobody sees results before the reveal, a reload and a
    server that is started again keep seats, votes and step; a step's link leads to its page, and back to the seat."""
    code = room_opened(screen)
    for telephone in telephones:  # all at once, as a class comes in
        telephone.goto(f"/workshop?room={code}", wait_until="commit")
    for number, telephone in enumerate(telephones):
        slider = telephone.get_by_role("slider", name="Your guess")
        for _ in range(number % 3):
            slider.press("ArrowRight")
        telephone.get_by_role("button", name="Lock").dblclick()
        expect(telephone.get_by_text(f"Locked: {5 + number % 3} texts")).to_be_visible()
    expect(screen.get_by_text("10 of 10 locked")).to_be_visible()
    seats = {re.search(r"seat=([\w-]{16})", telephone.url)[1] for telephone in telephones}
    assert len(seats) == N_BROWSERS
    telephones[0].reload()
    expect(telephones[0].get_by_text("Locked: 5 texts")).to_be_visible()

    server.restart()
    press(screen, "Talk")
    expect(screen.get_by_text("step 1 of 4 · talk")).to_be_visible()
    press(screen, "Guess again")
    for telephone in telephones:
        telephone.get_by_role("slider", name="Your guess").press("Home")
        telephone.get_by_role("button", name="Lock the second guess").click()
    expect(screen.get_by_text("10 of 10 locked")).to_be_visible()
    for one in (screen, *telephones):
        expect(one.get_by_test_id(CHARTS)).to_have_count(0)
    press(screen, "Reveal")
    expect(screen.get_by_test_id(CHARTS)).to_have_count(2)
    expect(screen.get_by_text("After talking: 0 of 10 right (0%).")).to_be_visible()
    for telephone in telephones:
        expect(telephone.get_by_text("What did you see?")).to_be_visible()
        expect(telephone.get_by_text("then 0 texts ✗")).to_be_visible()
    assert {re.search(r"seat=([\w-]{16})", telephone.url)[1] for telephone in telephones} == seats
    rows = votes_of(screen)
    assert [sum(row["answer"] == answer for row in rows if row["type"] == "first") for answer in "567"] == [4, 3, 3]
    for round in ("first", "second"):
        assert sorted(int(row["participant"]) for row in rows if row["type"] == round) == list(range(1, 11))
    assert len(rows) == 2 * N_BROWSERS

    last = telephones[-1]
    last.get_by_role("button", name="Something else").click()
    last.get_by_role("button", name="Look for yourself").click()
    expect(headings(last, "What does each embedding width keep?")).to_be_visible()
    last.go_back()
    expect(last.get_by_text("What did you see? something else")).to_be_visible()
    assert len(rows) + 1 == len(votes_of(screen))


class Socket:
    """A participant without a browser: what her page shows, and the two messages of a locked guess."""

    def __init__(self, connection, code):
        self.connection, self.query = connection, f"room={code}"
        self.ids, self.words = {}, []

    async def run(self, **widgets):
        """One run of the page's script, with the values of some widgets."""
        message = BackMsg()
        message.rerun_script.query_string, message.rerun_script.page_name = self.query, "workshop"
        for name, value in widgets.items():
            state = message.rerun_script.widget_states.widgets.add(id=self.ids[name])
            if name == "guess":
                state.double_array_value.data.append(value)
            else:
                state.trigger_value = value
        await self.connection.send(message.SerializeToString())
        self.words = []
        while True:
            answer = ForwardMsg.FromString(await asyncio.wait_for(self.connection.recv(decode=False), 120))
            kind = answer.WhichOneof("type")
            if kind == "page_info_changed":
                self.query = answer.page_info_changed.query_string
            elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                element = answer.delta.new_element
                assert element.WhichOneof("type") != "exception", element.exception
                if element.WhichOneof("type") == "slider" and element.slider.label.startswith("Your guess"):
                    self.ids["guess"] = element.slider.id
                elif element.WhichOneof("type") == "button" and element.button.label == "Lock":
                    self.ids["lock"] = element.button.id
                elif element.WhichOneof("type") == "markdown":
                    self.words.append(element.markdown.body)
            elif kind == "script_finished":
                return


async def lock(port, code, number):
    """Come in, guess, lock; and once more, which counts no more."""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    async with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=2**28, proxy=None) as connection:
        socket = Socket(connection, code)
        await socket.run()
        await socket.run(guess=number % 11, lock=True)
        assert f"Locked: **{number % 11} texts**" in socket.words
        await socket.run(guess=(number + 1) % 11, lock=True)
        assert f"Locked: **{number % 11} texts**" in socket.words
        return socket.query


def test_forty_lock_over_web_sockets_and_each_is_counted_once(page, server):
    """Forty sessions at once, each with a seat of its own and one vote, however often it presses."""
    code = room_opened(page)

    async def everybody():
        return await asyncio.gather(*(lock(server.port, code, number) for number in range(N_SOCKETS)))

    with ThreadPoolExecutor(1) as beside:  # the browser has the event loop of this thread
        assert len(set(beside.submit(lambda: asyncio.run(everybody())).result())) == N_SOCKETS
    expect(page.get_by_text("40 of 40 locked")).to_be_visible()
    rows = votes_of(page)
    assert sorted(int(row["answer"]) for row in rows) == sorted(number % 11 for number in range(N_SOCKETS))
    assert len({row["participant"] for row in rows}) == N_SOCKETS
