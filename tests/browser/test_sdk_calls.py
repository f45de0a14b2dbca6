"""What the calls of the public surface put on the wire, before, without and after the SDK."""

from __future__ import annotations

import hashlib
import json
import re

from playwright.async_api import Page

from tests.browser.recording_endpoint import Endpoint
from tests.browser.sdk_pages import WATCH_ERRORS, add_page, html, stub, tag

BROWSERS = ("chromium", "firefox")
LOADED = "window.web_event && web_event.version"
SIGN_IN = """web_event.track("user", "sign_in", {
    dims: {customers: {customer_id: window._cdpEventFunction.md5("ann@example.com"), name: "Ann"}},
    extra: {identify_id: window._cdpEventFunction.md5("ann@example.com"),
            identify_time: window._cdpEventFunction._cdpGetLeadTime(),
            identify_event: "user_sign_in", identify_type: "exact"}})"""
ANN = hashlib.md5(b"ann@example.com", usedforsecurity=False).hexdigest()


async def test_page_view_and_track_arrive_with_their_identity(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint))
    await page.evaluate("web_event.track('product', 'view', {dims: {sku: 'k7'}, items: [1], extra: {a: 1}})")
    await endpoint.until(lambda: len(endpoint.events) == 2)
    view, product = endpoint.events
    assert (view["category"], view["action"], view["title"]) == ("page", "view", "A page")
    assert (product["dims"], product["items"], product["extra"]) == ({"sku": "k7"}, [1], {"a": 1})
    assert view["seq"] < product["seq"]
    assert {view[key] == product[key] for key in ("uid", "visit", "page", "device")} == {True}
    assert view["uid_origin"] == "first"
    assert len(endpoint.requests) == 1, "what is tracked together is sent together"


async def test_calls_of_the_seed_carry_the_hash_before_and_after_load(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint, body=f"<script>{SIGN_IN}</script>"))
    await page.wait_for_function(LOADED)
    await page.evaluate(SIGN_IN)
    await endpoint.until(lambda: len(endpoint.events) == 3)
    for event in endpoint.named("user/sign_in"):
        assert event["dims"]["customers"]["customer_id"] == event["extra"]["identify_id"] == ANN
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", event["extra"]["identify_time"])
    view, early, late = endpoint.events
    assert (view["category"], view["seq"] < early["seq"] < late["seq"]) == ("page", True)
    assert view["at"] <= early["at"] <= late["at"], "a call is dated when it was made, not when it was replayed"


async def test_page_code_runs_on_when_the_sdk_never_arrives(page: Page, endpoint: Endpoint) -> None:
    await page.add_init_script(WATCH_ERRORS)
    body = f"<script>{SIGN_IN};md5 = _cdpEventFunction.md5('a').slice(0, 8) + 'x';done = 1</script>"
    endpoint.pages["/bare"] = (html(f"<script>{stub()}</script>", body), {})
    await page.goto(endpoint.url + "bare")
    assert await page.evaluate("[done, md5, JSON.stringify({a: _cdpEventFunction.md5('a')})]") == [1, "x", '{"a":""}']
    assert len(await page.evaluate("_cdpEventFunction.sha256('a')")) == 64
    assert await page.evaluate("errors") == []


async def test_sdk_works_without_the_stub(page: Page, endpoint: Endpoint) -> None:
    bare = re.sub(r"<script>.*?</script>", "", tag(endpoint), count=1)
    endpoint.pages["/bare"] = (html(bare), {})
    await page.goto(endpoint.url + "bare")
    await page.wait_for_function(LOADED)
    await page.evaluate(SIGN_IN)
    await endpoint.until(lambda: endpoint.named("user/sign_in"))
    assert endpoint.named("user/sign_in")[0]["extra"]["identify_id"] == ANN


async def test_stub_and_tag_after_the_sdk_change_nothing(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint))
    await page.wait_for_function(LOADED)
    await page.add_script_tag(content=stub())
    await page.add_script_tag(url=endpoint.url + "sdk.js?site=site-key")
    await page.evaluate(SIGN_IN)
    await endpoint.until(lambda: endpoint.named("user/sign_in"))
    assert len(endpoint.named("page/view")) == 1


async def test_calls_pushed_on_the_queue_work_before_and_after_load(page: Page, endpoint: Endpoint) -> None:
    push = "q = web_event.queue; q.push(['track', 'early', 'one', {dims: {n: 1}}])"
    await page.goto(add_page(endpoint, body=f"<script>{push}</script>"))
    await page.wait_for_function(LOADED)
    await page.evaluate("web_event.queue.push(['track', 'late', 'one'], ['track', 'late', 'two'])")
    await page.evaluate("q.push(['track', 'later', 'still'])")
    await endpoint.until(lambda: len(endpoint.events) == 5)
    names = [f"{event['category']}/{event['action']}" for event in endpoint.events]
    assert names == ["page/view", "early/one", "late/one", "late/two", "later/still"]


async def test_ready_and_flush_call_back(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint, body="<script>web_event.ready(() => { started = true })</script>"))
    await page.wait_for_function("window.started")
    await page.evaluate("(web_event.track('a', 'b'), web_event.flush())")
    assert len(endpoint.events) == 2, "flush resolves after the answer"


async def test_identical_identify_is_sent_once_a_day_but_again_after_reset(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint))
    identify = "web_event.identify('customer-1', {name: 'Ann'})"
    again = f"{identify}; {identify};"
    await page.evaluate(f"{again} web_event.resetAnonymousUId(); {again} web_event.signOut(); {again}")
    await page.reload()
    await page.evaluate(f"{identify}; web_event.identify('customer-1', {{name: 'Anne'}})")
    await endpoint.until(lambda: len(endpoint.named("page/view")) == 2)
    await page.evaluate("web_event.flush()")
    sent = endpoint.named("user/identify")
    assert [event["dims"]["customers"]["name"] for event in sent] == ["Ann", "Ann", "Ann", "Anne"]
    assert sent[0]["dims"]["customers"]["customer_id"] == sent[0]["extra"]["identify_id"] == "customer-1"
    assert sent[0]["extra"]["identify_event"] == "user_identify"
    assert sent[0]["extra"]["identify_type"] == "exact"


async def test_reset_mints_a_uid_that_its_event_carries(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint))
    await page.evaluate("web_event.track('a', 'b'); web_event.resetAnonymousUId(); web_event.track('c', 'd')")
    await endpoint.until(lambda: len(endpoint.events) == 4)
    view, before, reset, after = endpoint.events
    assert reset["action"] == "reset_anonymous_uid"
    assert [event["uid_origin"] for event in (view, before, reset, after)] == ["first", "first", "reset", "reset"]
    assert view["uid"] == before["uid"] != reset["uid"] == after["uid"]
    assert (
        len({event["device"] for event in endpoint.events}) == len({event["visit"] for event in endpoint.events}) == 1
    )


async def test_email_is_lifted_and_text_is_made_valid(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint))
    await page.evaluate(
        r"web_event.track('form', 'submit', {email: 'a@b.c', dims: {t: 'x\ud800y\\ud800 😀', n: 'é€'}, items: 'ü'})"
    )
    await endpoint.until(lambda: endpoint.named("form/submit"))
    event = endpoint.named("form/submit")[0]
    assert event["email"] == "a@b.c"
    assert event["dims"] == {"t": "x\ufffdy\\ud800 😀", "n": "é€"}


async def test_objects_are_read_when_the_call_is_made(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint))
    await page.evaluate("d = {n: 1}; web_event.track('a', 'b', {dims: d}); d.n = 2")
    await endpoint.until(lambda: endpoint.named("a/b"))
    assert endpoint.named("a/b")[0]["dims"] == {"n": 1}


async def test_senseless_calls_do_not_throw(page: Page, endpoint: Endpoint) -> None:
    await page.add_init_script(WATCH_ERRORS)
    await page.goto(add_page(endpoint))
    await page.evaluate("""
        const loop = {}; loop.loop = loop;
        web_event.track('a', 'b', {dims: loop}); web_event.track('a', 'c', {dims: {n: 10n}});
        web_event.track('a', 'd', null); web_event.queue.push(['nothing']); web_event.queue.push([]);
        web_event.ready(() => { throw Error('mine') }); web_event.ready(); web_event.identify();
        web_event.debug(() => { throw Error('mine too') }); web_event.track('a', 'e')
    """)
    await endpoint.until(lambda: endpoint.named("a/e"))
    assert len(endpoint.named("a/d")) == 1
    assert await page.evaluate("errors") == []


async def test_listener_hears_what_was_sent_and_answered(page: Page, endpoint: Endpoint) -> None:
    await page.goto(add_page(endpoint))
    await page.evaluate("web_event.flush()")
    await page.evaluate("heard = []; web_event.debug((entry) => heard.push(entry))")
    await page.evaluate("(web_event.track('a', 'b'), web_event.flush())")
    heard = await page.evaluate("heard.map((entry) => [entry.kind, entry.text])")
    assert [kind for kind, _text in heard] == ["tracked", "sent", "answered"] * 2
    assert heard[3:5] == [["tracked", "a/b"], ["sent", "1 events"]]
    assert json.loads(heard[5][1])["accepted"] == 1


async def test_links_downloads_and_forms_are_tracked_where_the_site_says_so(page: Page, endpoint: Endpoint) -> None:
    endpoint.settings = {"outbound": True, "downloads": True, "forms": True}
    body = """<script>addEventListener('click', (e) => e.target.closest('a') && e.preventDefault());
        addEventListener('submit', (e) => e.preventDefault())</script>
        <a id=in href=/other>in</a><a id=out href=http://elsewhere.test/x><b>out</b></a><a id=file href=/a.pdf>file</a>
        <form id=news><input name=mail value=secret><input type=password name=word value=hidden>
        <button id=go>go</button></form>"""
    await page.goto(add_page(endpoint, body=body))
    for target in ("#in", "#out b", "#file", "#go"):
        await page.click(target)
    await endpoint.until(lambda: len(endpoint.events) == 4)
    _view, out, file, form = endpoint.events
    assert (out["action"], out["dims"]["url"]) == ("outbound", "http://elsewhere.test/x")
    assert (file["action"], file["dims"]["url"]) == ("download", endpoint.url + "a.pdf")
    assert (form["category"], form["dims"]) == ("form", {"form": "news", "fields": ["mail", "word"]})
    assert "secret" not in endpoint.requests[-1].text
    assert "hidden" not in endpoint.requests[-1].text


async def test_pinned_script_takes_its_settings_from_attributes(page: Page, endpoint: Endpoint) -> None:
    src = endpoint.at("localhost") + "sdk/0.1.0/sdk.js"
    element = f'<script async src="{src}" data-site="pinned" data-outbound="on"></script>'
    body = "<script>addEventListener('click', (e) => e.preventDefault())</script><a href=http://out.test/>out</a>"
    endpoint.pages["/pinned"] = (html(element, body), {})
    await page.goto(endpoint.url + "pinned")
    await page.wait_for_function(LOADED)
    await page.click("a")
    await endpoint.until(lambda: endpoint.named("link/outbound"))
    assert endpoint.requests[0].query == "site=pinned"
