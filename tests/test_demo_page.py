"""The page of `spclap demo` in headless Chromium, and what it refuses to clients that are no browser."""

import json
import re
import shutil
import socket
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from heard_places import Places

from spclap.demo.examples import EXAMPLES, Example, heard
from spclap.demo.hearing import Ear
from spclap.space.array import SAMPLE_RATE

gradio = pytest.importorskip("gradio")
httpx = pytest.importorskip("httpx")
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # fmt: skip
PATIENCE = 60_000  # ms
FILE = {"_type": "gradio.FileData"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def address(folder):
    from spclap.demo import page

    built = page.build(Ear(Places()), folder)
    yield page.serve(built, None).rstrip("/")
    built.close(verbose=False)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A drum on the left, as a person has it: good, and in ways that it cannot be heard."""
    folder = tmp_path_factory.mktemp("own")
    stereo = heard(Example("", "pair:0.17", (("drum", 1, "left"),))).T
    soundfile.write(folder / "street.wav", stereo, SAMPLE_RATE)
    soundfile.write(folder / "mono.wav", stereo[:, 0], SAMPLE_RATE)
    soundfile.write(folder / "wind.wav", heard(Example("", "ortf", (("wind", 1, "left"),))).T, SAMPLE_RATE)
    (folder / "text.wav").write_text("hello, I am text")
    (folder / "large.wav").write_bytes(bytes(53_000_000))
    return folder


@pytest.fixture(scope="module")
def browser(recordings):
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as engine:
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={recordings / 'wind.wav'}"]
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    context = browser.new_context(permissions=["microphone"])
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("svg.around")
    yield page
    context.close()


def expect_told(page, text: str) -> None:
    playwright.expect(page.locator("#notes")).to_contain_text(text, timeout=PATIENCE)


def expect_first(page, caption: str) -> None:
    playwright.expect(page.locator("#ranked bdi").first).to_have_text(caption, timeout=PATIENCE)


def fullest(page) -> str:
    """The direction whose sector has the most of the colour."""
    shares = page.locator("svg.around g").evaluate_all(
        """all => all.map(g =>
            [parseInt(g.querySelector("path").style.getPropertyValue("--share")), g.dataset.direction])"""
    )
    return max(shares)[1]


def upload(page, path) -> None:
    page.click("#recording button[aria-label=Clear]")
    expect_told(page, "Record or upload")
    page.set_input_files("#recording input[type=file]", path)


def test_upload_rank_and_exchange(page, recordings):
    upload(page, recordings / "street.wav")
    expect_told(page, "sounds as if recorded by")  # the array of the example is not kept
    page.fill("#captions textarea", "it drums on the right side\nit drums on the left side\nit drums in front")
    expect_first(page, "it drums on the left side")
    assert fullest(page) == "left"
    page.click("#exchange")
    expect_first(page, "it drums on the right side")
    assert fullest(page) == "right"
    page.click("#exchange")
    expect_first(page, "it drums on the left side")
    page.locator("#array input").fill("panned")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#notes")).to_have_text("", timeout=PATIENCE)
    upload(page, recordings / "wind.wav")
    page.wait_for_selector("svg.around")
    assert page.locator("#array input").input_value().startswith("panned")  # what the person chose is kept


def test_examples_bring_their_array_and_captions(page):
    for example in reversed(EXAMPLES):
        page.get_by_role("button", name=example.name, exact=True).click()
        playwright.expect(page.locator("#ranked li")).to_have_count(len(example.captions), timeout=PATIENCE)
        captions, array = page.locator("#captions textarea"), page.locator("#array input")
        playwright.expect(captions).to_have_value("\n".join(example.captions), timeout=PATIENCE)
        playwright.expect(array).to_have_value(re.compile(re.escape(example.array)), timeout=PATIENCE)


def test_faults_are_told_and_passed(page, recordings):
    upload(page, recordings / "text.wav")
    expect_told(page, "text.wav: not readable as audio")
    assert page.locator("svg.around").count() == 0
    upload(page, recordings / "mono.wav")
    expect_told(page, "mono.wav: one channel: places cannot be heard; record two")
    upload(page, recordings / "large.wav")
    playwright.expect(page.locator(".toast-body").first).to_contain_text("exceed the maximum", timeout=PATIENCE)
    page.reload()
    page.wait_for_selector("svg.around")


def test_a_microphone_records_both_channels(page, folder):
    page.click("#recording button[aria-label=Clear]")
    page.click("#recording button[aria-label='Record audio']")
    page.click("#recording .record-button")
    page.wait_for_timeout(2500)
    page.click("#recording .stop-button:visible")
    expect_told(page, "sounds as if recorded by")
    page.fill("#captions textarea", "wind on the right side\nwind on the left side")
    expect_first(page, "wind on the left side")
    (recorded,) = folder.rglob("audio.wav")
    stereo, _ = soundfile.read(recorded)
    assert stereo.shape[1] == 2 and np.abs(stereo[:, 0] - stereo[:, 1]).max() > 0.05


def test_words_are_no_html(page):
    page.fill("#captions textarea", "<img src=x onerror=document.title='bad'>\n${1+1} {{value}}")
    playwright.expect(page.locator("#ranked")).to_contain_text("${1+1} {{value}}", timeout=PATIENCE)
    assert set(page.locator("#ranked bdi").all_inner_texts()) == {
        "<img src=x onerror=document.title='bad'>", "${1+1} {{value}}",
    }  # fmt: skip
    assert page.title() == "spclap" and page.locator("#ranked img").count() == 0


def test_nothing_is_asked_from_elsewhere(page, address):
    page.wait_for_timeout(1000)
    assert len(page.asked) > 10
    assert {urlsplit(url).netloc for url in page.asked if not url.startswith(("data:", "blob:"))} == {
        urlsplit(address).netloc
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_and_it_can_be_read(browser, address, scheme):
    context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("svg.around", timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.locator("svg.around").bounding_box()
    assert box["width"] > 300 and box["x"] >= 0
    smallest = page.locator("svg.around text").evaluate_all(
        """all => Math.min(...all.map(text =>
            parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.clientWidth / 400))"""
    )
    assert smallest > 10
    ink, paper = (
        page.locator(own).first.evaluate("(e, what) => getComputedStyle(e)[what]", what)
        for own, what in (("svg.around .name", "fill"), ("body", "backgroundColor"))
    )
    assert contrast(page, ink, paper) > 4.5
    context.close()


def contrast(page, one: str, other: str) -> float:
    """WCAG 2's ratio of two colours of CSS."""
    drawn = """colour => { const c = new OffscreenCanvas(1, 1).getContext("2d"); c.fillStyle = colour;
        c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data.slice(0, 3)]; }"""
    shares = np.array([page.evaluate(drawn, one), page.evaluate(drawn, other)]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    dark, light = np.sort(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)


def called(address: str, event: int, data: list) -> dict:
    """What a client gets that calls an event of the page with its own data."""
    with httpx.Client(base_url=f"{address}/gradio_api", timeout=60) as client:
        body = {"data": data, "fn_index": event, "session_hash": "forged"}
        assert client.post("/queue/join", json=body).status_code == 200
        with client.stream("GET", "/queue/data", params={"session_hash": "forged"}) as lines:
            messages = (json.loads(line[5:]) for line in lines.iter_lines() if line.startswith("data:"))
            return next(message for message in messages if message["msg"] == "process_completed")


def uploaded(address: str, path) -> str:
    with path.open("rb") as file:
        return httpx.post(f"{address}/gradio_api/upload", files={"files": file}).json()[0]


def test_only_what_was_uploaded_is_opened(address, recordings, monkeypatch):
    fetched = []

    async def fetch(*args, **_):
        fetched.append(args)

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_get", fetch)
    rest = ["pair:0.17", "a drum", "a drum on the left side"]
    good = called(address, 0, [{"path": uploaded(address, recordings / "street.wav"), "meta": FILE}, *rest])
    assert good["success"] and "<svg" in json.dumps(good)
    own = str(recordings / "street.wav")
    forged = [
        own,
        "/etc/passwd",
        "setup.py",
        f"{address}/config",
        "https://huggingface.co/a.wav",
        "https://1.1.1.1/a.wav",
    ]
    for path in forged:
        for payload in ({"path": path, "meta": FILE}, {"path": path}, {"path": path, "url": path, "meta": FILE}):
            answer = called(address, 0, [payload, *rest])
            assert not answer["success"] and "street.wav" not in json.dumps(answer), payload
    assert fetched == []
    for path in (own, "/etc/passwd", "setup.py"):
        assert httpx.get(f"{address}/gradio_api/file={path}").status_code in (403, 404)


def test_it_is_served_to_this_machine_alone(address):
    port = urlsplit(address).port
    assert address == f"http://127.0.0.1:{port}"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)
    assert httpx.get(f"{address}/config", headers={"Host": "elsewhere.example"}).status_code == 400
    config = httpx.get(f"{address}/config").json()
    assert not config["analytics_enabled"] and {own["api_visibility"] for own in config["dependencies"]} == {"private"}
    assert httpx.post(f"{address}/gradio_api/upload", files={"files": ("a.wav", bytes(53_000_000))}).status_code == 413
