"""The web console in a real browser, against a real server: what people do with it, once through."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from browser_support import browsing, watched

from vecstore.access.file import change_keys
from vecstore.access.keys import new_key
from vecstore.cli.demo_sample import Sample, load_sample
from vecstore.config import Search, Server, Settings
from vecstore.engine.database import Database
from vecstore.gateway.serving import start_server

KEY = "k" * 32
ROWS = 1_200
LARGEST = (1 << 64) - 1
DRAWN = "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))"  # what is due by now
HTTP = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def sample() -> Sample:
    return load_sample()


def serve(**server: Any) -> Iterator[str]:
    settings = Settings(server=Server(port=0, rest_port=0, **server), search=Search(shadow_sample=1.0))
    database = Database.open(None, settings)
    try:
        handle = start_server(database, settings)
        try:
            yield f"http://127.0.0.1:{handle.rest_port}"
        finally:
            handle.stop(0)
    finally:
        database.close()


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    yield from serve()


@pytest.fixture(scope="module")
def words(base: str, sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the sample's points, with two lines that are wrong."""
    lines = [
        json.dumps({
            "id": id,
            "vectors": {"dense": [round(float(one), 6) for one in vector], "body": body},
            "payload": payload,
        })
        for id, vector, body, payload in zip(
            sample.ids[:ROWS], sample.dense, sample.bodies, sample.payloads, strict=False
        )
    ]  # fmt: skip
    lines.insert(700, '{"id": "short", "vectors": {"dense": [1, 2, 3]}}')
    lines.insert(3, "not JSON at all")
    path = tmp_path_factory.mktemp("console") / "words.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def page(browser: Any, base: str) -> Iterator[Any]:
    with watched(browser, base) as page:
        yield page


@pytest.fixture(scope="module")
def filled(browser: Any, base: str, words: Path) -> None:
    """A collection that was made in the form and filled by dropping a file: the first flow, and what the others use."""
    with watched(browser, base, expected=(400,)) as page:
        page.goto(base)
        page.get_by_role("button", name="New collection").first.click()
        page.get_by_role("textbox", name="Name").fill("words")
        page.get_by_label("Dimensions").fill("384")
        page.get_by_role("button", name="Add vector field").click()
        page.get_by_role("textbox", name="Field").last.fill("body")
        page.get_by_label("Kind").last.select_option("text")
        page.get_by_role("button", name="Add payload index").click()
        page.get_by_label("Key").fill("pos")
        page.get_by_role("button", name="Create").click()
        page.get_by_role("heading", name="words").wait_for()
        page.get_by_role("link", name="Import").click()
        drop(page, words)
        page.get_by_text("Errors in words.jsonl").wait_for()
        page.locator(".state", has_text="done").wait_for()
        told = page.locator("section", has_text="Errors in words.jsonl").locator("tbody tr").all_inner_texts()
        assert [one.split("\t")[0] for one in told] == ["4", "702"]
        assert "is no JSON" in told[0]
        assert "has 3 dimensions, not 384" in told[1]
        page.get_by_text(f"{ROWS:,} points", exact=True).first.wait_for()
    schema = HTTP.get(f"{base}/v1/collections/words").json()["schema"]
    assert schema["vectors"]["dense"]["dim"] == 384
    assert schema["vectors"]["body"]["kind"] == "text"
    assert schema["fields"] == {"pos": "keyword"}


def drop(page: Any, path: Path) -> None:
    """What a browser does when a file is let go over the page."""
    given = {"name": path.name, "text": path.read_text()}
    script = """({name, text}) => {
      const data = new DataTransfer();
      data.items.add(new File([text], name));
      return data;
    }"""
    data = page.evaluate_handle(script, given)
    page.locator(".drop").dispatch_event("dragover", {"dataTransfer": data})
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": data})


def results(page: Any) -> list[str]:
    """Ids, best first."""
    page.locator(".results tbody tr").first.wait_for()
    return page.locator(".results button.link").all_inner_texts()


def test_what_was_imported_is_all_there(filled: None, base: str, sample: Sample) -> None:
    for place in (0, 699, ROWS - 1):
        body = {"ids": [sample.ids[place]], "with_vectors": True}
        (point,) = HTTP.post(f"{base}/v1/collections/words/points/get", json=body).json()["points"]
        assert point["payload"] == sample.payloads[place]
        np.testing.assert_allclose(point["vectors"]["dense"], sample.dense[place], atol=1e-6)


def test_search_by_text_filter_and_explain(filled: None, page: Any, base: str) -> None:
    page.goto(f"{base}/#/c/words/search")
    page.get_by_label("Text").fill("a part of the body")
    page.get_by_role("button", name="Search").click()
    everything = results(page)
    page.get_by_role("button", name="Add condition").click()
    page.get_by_label("Key").fill("pos")
    page.get_by_label("Value").fill("verb")
    page.get_by_label("Results").fill("7")
    page.get_by_role("button", name="Search").click()
    page.locator(".results tbody tr:nth-child(7):last-child").wait_for()
    where = {"must": [{"key": "pos", "match": {"value": "verb"}}]}
    query = {"nearest": "a part of the body", "using": "body"}
    asked = HTTP.post(f"{base}/v1/collections/words/points/query", json={**query, "filter": where, "limit": 7}).json()
    assert results(page) == [one["id"] for one in asked["points"]]
    assert results(page) != everything[:7]
    tree = page.locator(".tree").first.inner_text()
    assert "segment" in tree
    assert "allowed" in tree
    page.get_by_label("Id of the point").fill(everything[0])
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("The filter leaves it out.").wait_for()


def test_search_by_vector_and_by_point_and_of_two_fields(filled: None, page: Any, base: str, sample: Sample) -> None:
    page.goto(f"{base}/#/c/words/search")
    page.get_by_label("Field").select_option("dense")
    page.get_by_label("By", exact=True).select_option("vector")
    page.get_by_role("textbox", name="Vector").fill(json.dumps(sample.dense[17].tolist()))
    page.get_by_role("button", name="Search").click()
    nearest = np.argsort(-(sample.dense[:ROWS] @ sample.dense[17]))[:3]
    assert results(page)[:3] == [sample.ids[place] for place in nearest]
    page.get_by_label("By", exact=True).select_option("id")
    page.get_by_label("Id", exact=True).fill(sample.ids[17])
    page.get_by_role("button", name="Add field (hybrid)").click()
    page.get_by_label("Text").fill(sample.bodies[17])
    page.get_by_label("Recall target").fill("0.95")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("columnheader", name="body").wait_for()
    assert "rrf(" in page.locator(".summary").inner_text()
    legs = [
        {"nearest_id": sample.ids[17], "using": "dense", "limit": 100},
        {"nearest": sample.bodies[17], "using": "body", "limit": 100},
    ]
    body = {"prefetch": legs, "fusion": "rrf", "limit": 10}
    asked = HTTP.post(f"{base}/v1/collections/words/points/query", json=body).json()
    assert results(page) == [one["id"] for one in asked["points"]]
    page.get_by_role("button", name="Random").click()
    page.locator(".field small", has_text='"lemma"').wait_for()


def test_a_wrong_query_is_said_to_be_wrong(filled: None, browser: Any, base: str) -> None:
    with watched(browser, base, expected=(400,)) as page:
        page.goto(f"{base}/#/c/words/search")
        page.get_by_label("Field").select_option("dense")
        page.get_by_label("By", exact=True).select_option("vector")
        page.get_by_role("textbox", name="Vector").fill("[1, 2")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("alert").get_by_text("not JSON").wait_for()
        page.get_by_role("textbox", name="Vector").fill("[1, 2]")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("alert").get_by_text("DIMENSION_MISMATCH").wait_for()


def test_the_map_shows_points_in_colours(filled: None, page: Any, base: str, sample: Sample) -> None:
    page.goto(f"{base}/#/c/words/map")
    page.get_by_label("Sample").fill("900")
    page.get_by_role("button", name="Draw").click()
    page.locator("canvas[data-drawn='900']").wait_for()
    script = """canvas => {
      const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const seen = {};
      for (let at = 0; at < data.length; at += 4) {
        const name = data.slice(at, at + 3).join(" ");
        if (data[at + 3] > 190) seen[name] = (seen[name] || 0) + 1;
      }
      return Object.values(seen).filter(count => count > 300).length;
    }"""
    assert page.locator("canvas").evaluate(script) >= 3  # noun, verb and adjective
    legend = page.locator(".legend li").all_inner_texts()
    assert sum(int(one.split("\n")[-1].split()[-1].replace(",", "")) for one in legend) == 900
    page.get_by_label("Sample").fill("2000")  # everything: what is drawn can be told beforehand
    page.get_by_role("button", name="Draw").click()
    page.get_by_text("of the variance").wait_for()
    page.locator(f"canvas[data-drawn='{ROWS}'], canvas[data-drawn='{ROWS - 1}']").wait_for()
    centred = sample.dense[:ROWS] - sample.dense[:ROWS].mean(axis=0)
    spread = np.linalg.svd(centred, compute_uv=False) ** 2
    shares = re.findall(r"([\d.]+) % (?:across|up)", page.locator(".summary").inner_text())
    np.testing.assert_allclose([float(one) for one in shares], 100 * spread[:2] / spread.sum(), atol=0.11)
    box = page.locator("canvas").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for step in range(60):
        page.mouse.move(middle[0] + 4 * step, middle[1] + 2 * step)
        page.evaluate(DRAWN)
        if page.locator(".tip").count():
            break
    named = page.locator(".tip b").first.inner_text()
    page.mouse.down()
    page.mouse.up()
    page.get_by_role("heading", name=f"Point {named}").wait_for()


def test_points_are_browsed_and_deleted(filled: None, page: Any, base: str, sample: Sample) -> None:
    page.goto(f"{base}/#/c/words/points")
    first = results(page)
    assert len(first) == 50
    page.get_by_role("button", name="50 more").click()
    page.locator(".results tbody tr:nth-child(100)").wait_for()
    assert results(page)[:50] == first
    victim = results(page)[60]
    page.get_by_role("button", name=victim, exact=True).click()
    payload = sample.payloads[sample.ids.index(victim)]
    assert payload["text"] in page.locator("dialog pre").inner_text()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("heading", name="Delete point").wait_for()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text(f"{ROWS - 1:,} points, 50 shown").wait_for()
    gone = HTTP.get(f"{base}/v1/collections/words/points/{victim}")
    assert gone.status_code == 404


def test_lines_of_csv_keep_quotes_numbers_and_large_ids(page: Any, base: str, tmp_path: Path) -> None:
    schema = {"vectors": {"v": {"dim": 2}, "body": {"kind": "text"}}, "fields": {"code": "keyword"}}
    HTTP.put(f"{base}/v1/collections/table", json={"schema": schema}).raise_for_status()
    table = tmp_path / "table.csv"
    table.write_text(
        "id,v,body,code,count,note\r\n"
        f'{LARGEST},"[1, 0]",a whale,007,{LARGEST},"a ""whale"", and\na captain"\r\n'
        '"a, b","[0, 1]",a ship,1e3,-2.5,true\r\n'
    )
    page.goto(f"{base}/#/c/table/import")
    drop(page, table)
    page.get_by_role("cell", name="2 points").wait_for()
    told = HTTP.post(f"{base}/v1/collections/table/points/scroll", json={"with_vectors": ["v"]}).json()["points"]
    assert [(one["id"], one["vectors"]["v"], one["payload"]) for one in told] == [
        (LARGEST, [1, 0], {"code": "007", "count": LARGEST, "note": 'a "whale", and\na captain'}),
        ("a, b", [0, 1], {"code": "1e3", "count": -2.5, "note": True}),
    ]
    page.get_by_role("link", name="Points").click()
    assert results(page) == [str(LARGEST), "a, b"]
    page.get_by_label("Open by id").fill(str(LARGEST))
    page.get_by_role("button", name="Open", exact=True).click()
    page.locator("dialog pre", has_text=f'"count": {LARGEST}').wait_for()
    page.get_by_role("button", name="Delete").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("1 points, 1 shown").wait_for()
    assert results(page) == ["a, b"]


def test_everything_can_be_done_by_keyboard(filled: None, page: Any, base: str) -> None:
    page.goto(f"{base}/#/c/words/search")
    page.get_by_label("Text").focus()
    page.keyboard.type("a part of the body")
    page.keyboard.press("Enter")
    first = results(page)[0]
    page.get_by_role("button", name=first, exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"Point {first}").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    page.wait_for_function("first => document.activeElement.textContent === first", arg=first)
    page.goto(f"{base}/#/c/words/map")
    page.get_by_role("button", name="Draw").press("Enter")
    canvas = page.locator("canvas:not([data-drawn='0'])")
    canvas.focus()
    page.evaluate(DRAWN)
    picture, seen = "canvas => canvas.toDataURL()", []
    for key in ("+", "ArrowLeft", "-", "ArrowUp"):
        seen.append(canvas.evaluate(picture))
        page.keyboard.press(key)
        redrawn = "seen => !seen.includes(document.querySelector('canvas').toDataURL())"
        page.wait_for_function(redrawn, arg=seen, polling=100)


def test_documents_are_dropped_and_asked(page: Any, base: str, tmp_path: Path) -> None:
    page.goto(base)
    page.get_by_role("button", name="New collection").first.click()
    page.get_by_role("textbox", name="Name").fill("texts")
    page.get_by_label("For documents").check()
    page.get_by_role("button", name="Create").click()
    page.get_by_role("link", name="Import").click()
    tides = tmp_path / "tides.md"
    tides.write_text("# Tides\n\n## High water\n\nHigh water comes twice a day.\n\n## Fog\n\nFog hides the harbour.\n")
    drop(page, tides)
    page.get_by_text("added").wait_for()
    page.get_by_role("link", name="Search").click()
    page.get_by_label("Question").fill("When is high water?")
    page.get_by_role("button", name="Ask").click()
    passage = page.locator(".passage").first.inner_text()
    assert "[1]" in passage
    assert "High water comes twice a day." in passage
    assert "tides.md" in passage


def test_metrics_are_drawn_with_the_recall_of_live_queries(filled: None, page: Any, base: str, sample: Sample) -> None:
    page.goto(f"{base}/#/metrics")
    page.get_by_text("Calls per second").wait_for()
    for vector in sample.queries[:20]:
        query = {"nearest": vector.tolist(), "using": "dense", "limit": 5}
        assert HTTP.post(f"{base}/v1/collections/words/points/query", json=query).status_code == 200
    page.locator(".chart canvas").nth(1).wait_for()
    plotted = """() => {
      const canvas = document.querySelector(".chart canvas");
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
      copy.drawImage(canvas, 0, 0);  // Chromium warns of reading one often that is to be shown
      const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
      return data.some((one, at) => at % 4 === 0 && one === 0x2a);
    }"""
    page.wait_for_function(plotted, polling=200)


def test_deleting_a_collection_asks_for_its_name(page: Any, base: str) -> None:
    HTTP.put(f"{base}/v1/collections/old", json={"schema": {"vectors": {"v": {"dim": 2}}}}).raise_for_status()
    page.goto(base)
    page.get_by_role("button", name="Delete old").click()
    button = page.locator("dialog").get_by_role("button", name="Delete")
    assert button.is_disabled()
    page.get_by_label("Type old to confirm").fill("old")
    button.click()
    page.get_by_role("link", name="old", exact=True).wait_for(state="detached")
    assert HTTP.get(f"{base}/v1/collections/old").status_code == 404


def test_a_key_is_asked_for_and_kept_in_the_tab_only(browser: Any) -> None:
    for base in serve(api_key=KEY):
        with watched(browser, base, expected=(401,)) as page:
            page.goto(base)
            page.get_by_text("This server asks for an API key (401).").wait_for()
            page.get_by_label("API key").fill("wrong")
            page.get_by_role("button", name="Use this key").click()
            page.get_by_text("The server does not know this key (401).").wait_for()
            page.get_by_label("API key").fill(KEY)
            page.get_by_role("button", name="Use this key").click()
            page.get_by_text("There are no collections yet.").wait_for()
            assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
            page.reload()
            page.get_by_text("There are no collections yet.").wait_for()


def test_what_a_key_may_not_do_is_said(browser: Any, tmp_path: Path) -> None:
    key, record = new_key("reader", "read")
    change_keys(tmp_path / "keys.json", lambda _: (record,))
    for base in serve(keys_file=str(tmp_path / "keys.json")):
        with watched(browser, base, expected=(401, 403)) as page:
            page.goto(base)
            page.get_by_label("API key").fill(key)
            page.get_by_role("button", name="Use this key").click()
            page.get_by_text("as reader (read)").wait_for()
            page.get_by_role("button", name="New collection").first.click()
            page.get_by_role("textbox", name="Name").fill("words")
            page.get_by_label("Dimensions").fill("4")
            page.get_by_role("button", name="Create").click()
            page.get_by_role("alert").get_by_text("Not allowed:").wait_for()


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_inputs_have_names(filled: None, browser: Any, base: str, width: int, scheme: str) -> None:
    with watched(browser, base, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        for part in (
            "",
            "#/metrics",
            *(f"#/c/words/{tab}" for tab in ("overview", "search", "points", "map", "import")),
        ):
            page.goto(f"{base}/{part}")
            page.locator("main section, main form, main .card").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), part
            nameless = "[...document.querySelectorAll('input, select, textarea')].filter(one => !one.labels.length"
            assert page.evaluate(nameless + " && !one.ariaLabel).length") == 0, part
