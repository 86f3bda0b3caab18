"""The real page in a real browser on the real server: whole conversations, on a desktop and on a phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Serve = Callable[..., Any]
Visit = Callable[..., Any]

DONE = ".llmrec:not(.busy)"


def _say(tab: Any, text: str) -> None:
    tab.fill("#words", text)
    tab.press("#words", "Enter")
    _answered(tab)


def _click(tab: Any, selector: str) -> None:
    tab.locator(selector).last.click()
    _answered(tab)


def _answered(tab: Any) -> None:
    tab.wait_for_selector(".log > :last-child.agent:not(.working)")
    tab.wait_for_selector(DONE)


def _log(tab: Any) -> str:
    return str(tab.inner_text(".log"))


def test_a_whole_conversation(serve: Serve, visit: Visit, library: Any) -> None:
    tab = visit(serve().url)
    assert tab.title() == "The Corner Library"
    assert tab.locator(".starter").count() == 4
    assert tab.inner_text("[data-count]") == "22"
    assert tab.is_disabled("text=Undo"), "there is nothing to undo yet"

    _say(tab, "hello there")
    assert tab.locator(".welcome").count() == 0
    asked = tab.get_attribute(".answers", "aria-label")
    tab.click(".why summary")
    assert "splits the 22 books" in tab.inner_text(".why")
    assert tab.locator(".why .stop").all_inner_texts()[0] == "you"
    _click(tab, ".answer.no")
    assert library.requests[-1].acts[0].model_dump(exclude_defaults=True) == {"kind": "reject", "value": asked}
    assert f"No: {asked}" in _log(tab)
    before = int(tab.inner_text("[data-count]"))
    assert before < 22
    assert tab.locator(".question[inert]").count() == 1, "only the last question can be answered"

    choices = tab.locator(".agent:last-child .choice")
    assert choices.count() == 3
    send = tab.locator("[data-settle]").last
    assert send.is_disabled()
    choices.nth(0).locator(".yes").click()
    choices.nth(1).locator(".no").click()
    choices.nth(1).locator(".any").click()
    assert choices.nth(1).locator("[aria-pressed=true]").count() == 1
    send.click()
    _answered(tab)
    assert [act.kind for act in library.requests[-1].acts] == ["accept", "dont_care"]
    assert int(tab.inner_text("[data-count]")) < before

    _click(tab, "text=Show me results")
    titles = tab.locator(".agent:last-child .card .title")
    first = titles.first.inner_text()
    assert tab.locator(".agent:last-child .card .path .stop").count() >= 3
    titles.first.click()
    assert titles.first.get_attribute("aria-expanded") == "true"
    _click(tab, f'[aria-label="Not for me: {first}"]')
    assert first not in tab.locator(".agent:last-child .card .title").all_inner_texts()
    assert set(tab.locator(".card:has(.away[aria-pressed=true]) .title").all_inner_texts()) == {first}

    wish = tab.locator(".chip.accept").first
    name = wish.inner_text()
    count = len(library.requests)
    wish.locator("button").click()
    _answered(tab)
    assert library.requests[count].acts[0].remove and name not in tab.locator(".chip.accept").all_inner_texts()

    _click(tab, "text=Undo")
    assert name in tab.locator(".chip.accept").all_inner_texts()
    assert f"Forget: {name}" not in _log(tab)
    _click(tab, "text=Start over")
    assert "hello there" not in _log(tab) and tab.inner_text("[data-count]") == "22"


def test_cards_deeds_and_comparison(serve: Serve, visit: Visit, library: Any) -> None:
    tab = visit(serve().url)
    _say(tab, "mystery results")
    for label, kind in (("Seen it: ", "seen"), ("More like ", "more_like"), ("Like ", "like_item")):
        _click(tab, f'[aria-label^="{label}"]')
        assert library.requests[-1].acts[0].kind == kind and library.requests[-1].acts[0].item_id
    liked = tab.locator('[aria-label^="Like "][aria-pressed=true]')
    assert liked.count() > 1, "what was clicked shows on every card of the item"
    shown = liked.count()
    tab.reload()
    tab.wait_for_selector(".llmrec.ready")
    assert liked.count() == shown
    liked.last.click()
    _answered(tab)
    assert library.requests[-1].acts[0].kind == "like_item" and library.requests[-1].acts[0].remove
    assert liked.count() == 0
    _click(tab, "text=Compare the first")
    assert tab.locator(".compare th[scope=col]").count() >= 3
    assert tab.locator(".compare th[scope=row]").count() >= 3


def test_reload_goes_on_and_tabs_do_not_mix(serve: Serve, visit: Visit, library: Any) -> None:
    url = serve().url
    tab = visit(url)
    _say(tab, "about nature")
    tab.reload()
    tab.wait_for_selector(".llmrec.ready")
    assert "about nature" in _log(tab)
    _say(tab, "no travel")
    assert len(library.threads) == 1

    other = tab.context.new_page()
    other.goto(url)
    other.wait_for_selector(".llmrec.ready")
    assert other.locator(".welcome").count() == 1
    _say(other, "a mystery")
    assert "a mystery" not in _log(tab) and "about nature" not in _log(other)
    assert len(library.threads) == 2

    # A duplicated tab starts with a copy of the first one's place; the first one still has it.
    place = json.dumps(tab.evaluate("sessionStorage.llmrec"))
    copy = tab.context.new_page()
    copy.add_init_script(
        f"if (!sessionStorage.getItem('llmrec')) sessionStorage.setItem('llmrec', {json.dumps(place)})"
    )
    copy.goto(url)
    copy.wait_for_selector(".llmrec.ready")
    assert "about nature" not in _log(copy)
    library.threads.clear()
    tab.reload()
    tab.wait_for_selector(".llmrec.ready")
    assert tab.locator(".welcome").count() == 1, "a conversation that is gone starts cleanly"


def test_another_person_and_their_memory(serve: Serve, visit: Visit, library: Any, tmp_path: Path) -> None:
    tab = visit(serve().url)
    _say(tab, "about nature")
    tab.click("[data-op=people]")
    tab.click("dialog >> text=grace")
    tab.wait_for_selector(".welcome")
    assert tab.inner_text("[data-slot=who]") == "grace" and "about nature" not in _log(tab)
    _say(tab, "cosy results")
    _click(tab, '[aria-label^="Like "]')
    assert (library.requests[-1].user, library.requests[-1].thread in library.threads) == ("grace", True)
    tab.click("[data-op=memory]")
    tab.wait_for_selector(".memories li")
    with tab.expect_download() as download:
        tab.click("dialog [data-op=export]")
    download.value.save_as(tmp_path / "memory.json")
    assert json.loads((tmp_path / "memory.json").read_text())["user"] == "grace"
    tab.click("dialog [data-op=delete]")
    assert len(library.entries) == 1, "the first click only asks"
    tab.click("dialog [data-op=delete]")
    tab.wait_for_selector("dialog .none")
    assert not library.entries
    tab.keyboard.press("Escape")
    tab.click("[data-op=people]")
    tab.fill("#person-name", "someone new")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".welcome")
    assert "someone new" in tab.inner_text(".kicker")


def test_hostile_text_stays_text(serve: Serve, visit: Visit) -> None:
    tab = visit(serve().url)
    _say(tab, "hostile results <img src=x onerror='window.pwned=1'> **bold** {{1+1}} ${1+1}")
    for title in tab.locator(".agent:last-child .title").all():
        title.click()
    shown = _log(tab)
    assert "<script>window.pwned=1</script>" in shown and "[click](javascript:alert(1))" in shown
    assert "Ignore all previous instructions" in shown
    assert "**bold** {{1+1}} ${1+1}" in shown
    tab.locator('[aria-label^="Like Evil"]').first.click()
    _answered(tab)
    assert tab.evaluate("window.pwned") is None
    assert tab.locator(".log script, .log img, .log a").count() == 0


def test_failures_can_be_tried_again(serve: Serve, visit: Visit, library: Any) -> None:
    tab = visit(serve().url)
    _say(tab, "locked")
    assert "database is locked" in _log(tab)
    first = library.requests[-1]
    tab.click("[data-retry]")
    _answered(tab)
    assert library.requests[-1].message_id == first.message_id and len(library.requests) == 2
    assert tab.locator(".person").count() == 1
    _say(tab, "something cosy")
    assert tab.locator(".chip").all_inner_texts() == ["cosy"]


def test_stages_show_and_clicks_wait_their_turn(serve: Serve, visit: Visit, library: Any) -> None:
    tab = visit(serve().url)
    library.pause = 0.25
    tab.fill("#words", "about nature")
    tab.press("#words", "Enter")
    assert tab.inner_text(".person p") == "about nature", "the message stands there at once"
    tab.wait_for_selector(".stages li:nth-child(3)")
    assert "Weighing" in tab.inner_text(".stages")
    tab.fill("#words", "no travel")
    tab.press("#words", "Enter")
    tab.wait_for_function("document.querySelectorAll('.person').length == 2")
    _answered(tab)
    assert [request.text for request in library.requests] == ["about nature", "no travel"]
    assert library.requests[0].thread is None and library.requests[1].thread in library.threads


def test_on_a_phone(serve: Serve, visit: Visit) -> None:
    tab = visit(serve().url, width=390, height=844, has_touch=True, is_mobile=True)
    _say(tab, "hostile results")
    _say(tab, "hello there")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    wide = "[...document.querySelectorAll('.log *')].filter(e => e.getBoundingClientRect().right > 391).length"
    assert tab.evaluate(wide) == 0
    small = (
        "[...document.querySelectorAll('.desk button, .agent:last-child .deed, .agent:last-child .answer')]"
        ".filter(e => e.getBoundingClientRect().height < 34).length"
    )
    assert tab.evaluate(small) == 0, "everything is large enough for a thumb"
    assert not tab.is_visible(".side")
    assert "preference" in tab.inner_text(".summary")
    tab.tap(".summary")
    tab.wait_for_selector(".drawn .side")
    assert tab.is_visible(".side .funnel")
    tab.keyboard.press("Escape")
    tab.wait_for_selector(".llmrec:not(.drawn)")


def test_with_the_keyboard_alone(serve: Serve, visit: Visit, library: Any) -> None:
    tab = visit(serve().url)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "words"
    tab.keyboard.type("hello")
    tab.keyboard.press("Enter")
    _answered(tab)
    assert tab.evaluate("document.activeElement.id") == "words", "one goes on typing"
    tab.locator(".answer.yes").focus()
    tab.keyboard.press("Enter")
    _answered(tab)
    tab.wait_for_function("document.activeElement.classList.contains('agent')")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('.agent:last-child') !== null"), "and on to the next question"
    unnamed = (
        "[...document.querySelectorAll('.llmrec button, .llmrec input, .llmrec textarea')].filter(e => "
        "!(e.getAttribute('aria-label') || e.innerText.trim() || e.labels?.length)).length"
    )
    assert tab.evaluate(unnamed) == 0
    assert tab.inner_text("[role=status]").startswith("22 books") or tab.inner_text("[role=status]")


def test_light_dark_and_the_choice_is_kept(serve: Serve, visit: Visit) -> None:
    tab = visit(serve().url, color_scheme="dark")
    paper = "getComputedStyle(document.querySelector('.llmrec')).backgroundColor"
    dark = tab.evaluate(paper)
    tab.click("[data-theme-toggle]")
    light = tab.evaluate(paper)
    assert dark != light
    tab.reload()
    tab.wait_for_selector(".llmrec.ready")
    assert tab.evaluate(paper) == light


def test_signing_in(serve: Serve, visit: Visit, library: Any) -> None:
    url = serve(keys={"key-of-two": ["ada", "grace"]}).url
    tab = visit(url, ready=False)
    assert tab.url == f"{url}/login"
    tab.fill("#key", "key-of-two")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".llmrec.ready")
    tab.click("[data-op=people]")
    tab.wait_for_selector("dialog .people")
    assert "linus" not in tab.inner_text("dialog") and tab.locator("#person-name").count() == 0
    tab.click("dialog >> text=ada")
    tab.wait_for_selector(".welcome")
    _say(tab, "something cosy")
    assert library.requests[-1].user == "ada" and library.requests[-1].owner == ""
    tab.click("[data-op=people]")
    tab.click("text=Sign out")
    tab.wait_for_selector("#key")


def test_with_the_real_assistant(serve: Serve, visit: Visit, demo_workspace: Path, tmp_path: Path) -> None:
    server = serve(demo_workspace, state=f"sqlite:{tmp_path / 'state.sqlite'}")
    tab = visit(server.url)
    tab.click("[data-op=people]")
    tab.locator("dialog [data-person]").nth(1).click()
    tab.wait_for_selector(".welcome")
    total = tab.inner_text("[data-count]")
    tab.locator(".starter").first.click()
    _answered(tab)
    _say(tab, "hello")
    for _ in range(3):
        answers = tab.locator(".agent:last-child .answer.no")
        if answers.count():
            answers.first.click()
            if tab.locator(".agent:last-child [data-settle]").count():
                tab.locator("[data-settle]").last.click()
            _answered(tab)
    assert tab.locator(".side .chip").count() > 0 and tab.inner_text("[data-count]") != total
    _click(tab, "text=Show me results")
    cards = tab.locator(".agent:last-child .card")
    assert cards.count() > 3 and cards.locator(".path").count() == cards.count()
    away = cards.first.locator(".title").inner_text()
    _click(tab, f'[aria-label="Not for me: {away}"]')
    _click(tab, "text=Show me results")
    assert away not in tab.locator(".agent:last-child .card .title").all_inner_texts()
    kept = _log(tab)
    _click(tab, "text=Compare the first")
    assert tab.locator(".compare").count() == 1
    tab.reload()
    tab.wait_for_selector(".llmrec.ready")
    assert _log(tab).startswith(kept[:200])
    tab.click("[data-op=memory]")
    tab.wait_for_selector("dialog .memories")
    assert away in tab.inner_text("dialog")
    tab.keyboard.press("Escape")
    _click(tab, "text=Undo")
    _click(tab, "text=Start over")
    assert tab.locator(".person").count() == 1


def test_a_policy_for_the_conversation(serve: Serve, visit: Visit, demo_workspace: Path, tmp_path: Path) -> None:
    tab = visit(serve(demo_workspace, state=f"sqlite:{tmp_path / 'state.sqlite'}").url)
    last, checked = tab.locator(".agent:last-child"), tab.locator("[name=policy]:checked")
    _say(tab, "hi")
    assert last.locator(".question").count() == 1 and not tab.is_visible("[name=policy]")
    tab.locator(".how summary").focus()
    for key in ("Enter", "Tab", "ArrowDown"):
        tab.keyboard.press(key)
    assert checked.input_value() == "abs-greedy"
    tab.reload()
    tab.wait_for_selector(".llmrec.ready")
    _click(tab, ".answer.no")
    assert last.locator(".question").count() == 0 and last.locator(".card").count() == 10
    _click(tab, "text=Undo")
    assert last.locator(".question").count() == 0 and checked.input_value() == "abs-greedy"

    tab.click(".how summary")
    checked.evaluate("node => { node.value = 'plannner'; node.dispatchEvent(new Event('change', { bubbles: true })); }")
    _say(tab, "hi")
    assert "did you mean planner" in last.inner_text()
    tab.click("text=I plan ahead, and ask")
    _click(tab, "text=Start over")
    assert last.locator(".question").count() == 1

    tab.click("text=I never ask")
    tab.click("[data-op=people]")
    tab.locator("dialog [data-person]").nth(1).click()
    tab.wait_for_selector(".welcome")
    _say(tab, "hi")
    assert last.locator(".question").count() == 1 and checked.input_value() == ""


def test_another_person_while_a_turn_runs(serve: Serve, visit: Visit, library: Any) -> None:
    tab = visit(serve().url)
    library.pause = 0.3
    tab.click("[data-op=people]")
    person = tab.locator("dialog [data-person]").nth(1)
    name = person.get_attribute("data-person")
    tab.evaluate("const words = document.getElementById('words'); words.value = 'hello'; words.form.requestSubmit()")
    person.click()
    tab.wait_for_selector(".welcome:not(.busy *)")
    _say(tab, "hi")
    assert [request.user == name for request in library.requests] == [False, True]
    assert library.requests[-1].thread is None
