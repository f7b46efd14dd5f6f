"""Pages of patients: their parts, their order, and strings from tables that are hostile."""

import re
from html.parser import HTMLParser

import pytest

from client.prediction.page.page import NOT_CALIBRATED, WITHHELD
from client.prediction.provenance import TaskCalibrated
from common.structure.answer import Answer
from tests.client.prediction.page.made import CLASSES, SURE_CURVE, column, explanation, forecasts, patient

HOSTILE = "<img src=x onerror=alert(1)>\"'&</style></title><script>\u202e"


class Elements(HTMLParser):
    """Elements of a page with their attributes, the parts in order, and the text that is seen."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    @property
    def parts(self) -> list[str]:
        return [part for _, attributes in self.tags if (part := attributes.get("data-part"))]


def test_parts_stand_in_the_order_of_their_weight() -> None:
    page = Elements(forecasts(warnings=("another unit",)).html())
    assert page.parts == [
        *("warnings", "time", "classes", "labels", "number", "measured"),
        *("reasons", "pathways", "absences", "alternatives", "model", "footer"),
    ]
    assert page.open == []


def test_warnings_stand_before_every_number_and_calibration_is_said() -> None:
    html = forecasts(warnings=("age may be in months",)).html()
    assert html.index("age may be in months") < html.index(NOT_CALIBRATED.format("")) < html.index("in 100")
    calibrated = Elements(forecasts(calibrated=True, checked=True).html())
    assert "warnings" not in calibrated.parts
    assert "Calibrated at this hospital: yes." in calibrated.text


def test_tasks_without_calibration_are_named_and_reasons_say_what_they_explain() -> None:
    here = TaskCalibrated(yes=True, here=12, events=40, words="yes, on 40 events, 12 of them here")
    few = TaskCalibrated(yes=False, here=None, events=3, words="not calibrated: 3 events, 30 are needed")
    moved = {"survival": SURE_CURVE, "response": CLASSES}
    made = patient(tasks=moved, explanations=(explanation(patient=-2.0),))
    text = Elements(forecasts(made, calibration={"survival": here, "response": few}).html()).text
    assert NOT_CALIBRATED.format(" of response") in text
    assert (
        "Calibrated at this hospital: survival yes, on 40 events, 12 of them here; response no, not" in text
    )
    assert "Likely 22 to 39 in 100" in text
    assert "with everything, before calibration" in text
    alike = patient(explanations=(explanation(patient=-1.03),))
    assert "before calibration" not in Elements(forecasts(alike, calibration={"survival": here}).html()).text


def test_the_model_its_file_and_its_use_are_named() -> None:
    text = Elements(forecasts().html()).text
    for part in ("lung-1", "abababababab", "research use"):
        assert part in text


def test_parts_without_content_are_left_out() -> None:
    bare = patient(explanations=(), changes=())
    assert not {"reasons", "alternatives"} & set(Elements(forecasts(bare).html()).parts)
    alone = explanation(absent={}, pathways_higher=(), pathways_lower=())
    parts = Elements(forecasts(patient(explanations=(alone,))).html()).parts
    assert "reasons" in parts
    assert not {"pathways", "absences"} & set(parts)


def test_a_patient_without_prediction_has_the_causes_and_no_number() -> None:
    cause = "rna: check that no columns are in another order"
    nobody = patient(answer=Answer.NONE, warnings=(cause,), tasks={}, explanations=(), changes=())
    look = patient(answer=Answer.LOOK, warnings=(cause, cause))
    page = Elements(forecasts(nobody, warnings=(cause,)).html())
    assert page.parts == ["warnings", "withheld", "measured", "model", "footer"]
    assert page.text.count(cause) == 1
    assert page.text.index(cause) < page.text.index(WITHHELD)
    assert "in 100" not in page.text
    both = Elements(forecasts(nobody, look).html()).text
    contents = both.partition("What was measured")[0]
    assert contents.index("no prediction") < contents.index("look at the warnings")


def test_strings_of_tables_are_text_and_nothing_else() -> None:
    hostile = explanation(
        task=HOSTILE,
        outcome=HOSTILE,
        horizon=None,
        scale="log-odds",
        higher=(column(1.0, column=HOSTILE, modality=HOSTILE, value=HOSTILE),),
        absent={HOSTILE: 0.1},
    )
    tasks = {HOSTILE + kind: task.model_copy() for kind, task in patient().tasks.items()}
    tasks["classes"] = tasks[HOSTILE + "response"].model_copy(
        update={"probability": {HOSTILE: 0.5, HOSTILE + "2": 0.5}}
    )
    tasks["number"] = tasks[HOSTILE + "change"].model_copy(update={"unit": HOSTILE})
    made = patient(patient=HOSTILE, observed={HOSTILE: 1.0}, tasks=tasks, explanations=(hostile,))
    page = Elements(forecasts(made, made, version=HOSTILE, warnings=(HOSTILE,)).html())
    assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object", "link", "form", "base"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count("<img src=x") > 10
    assert "\u202e" not in page.text


def test_words_of_ours_are_not_escaped() -> None:
    numbers = explanation(horizon=None, scale="mmHg", unit="mmHg")
    text = Elements(forecasts(patient(explanations=(explanation(), numbers))).html()).text
    assert "\\" not in text
    assert "\u00d7 1.49" in text


def test_nothing_is_loaded_or_run_and_the_policy_allows_the_one_style_sheet() -> None:
    html = forecasts(patient(), patient()).html()
    page = Elements(html)
    assert "http:" not in html
    assert "https:" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert not [attributes for _, attributes in page.tags if {"src", "style", "srcset"} & set(attributes)]
    links = [attributes["href"] for _, attributes in page.tags if "href" in attributes]
    assert links == ["#patient-1", "#patient-2"]
    (policy,) = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_a_policy_has_the_hash_of_the_sheet_as_a_browser_computes_it() -> None:
    from base64 import b64encode
    from hashlib import sha256

    html = forecasts().html()
    (sheet,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert b64encode(sha256(sheet.encode()).digest()).decode() in html


def test_the_title_names_no_patient() -> None:
    (title,) = re.findall(r"<title>(.*?)</title>", forecasts().html())
    assert "p-1" not in title


def test_several_patients_have_contents_and_a_page_each() -> None:
    made = forecasts(patient(), patient(patient="p-2"))
    page = Elements(made.html())
    assert page.parts[0] == "contents"
    assert page.parts.count("footer") == 2
    assert page.text.index("30 in 100 by 60 months") < page.text.index("What was measured")
    assert "contents" not in Elements(forecasts().html()).parts
    (sheet,) = re.findall(r"<style>(.*?)</style>", made.html(), re.DOTALL)
    assert re.search(r"\.sheet \+ \.sheet \{ break-before: page", sheet)


def test_a_phone_needs_no_width_beyond_its_own() -> None:
    html = forecasts().html()
    (sheet,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    narrow = sheet.partition("@media")[0]
    assert 'content="width=device-width, initial-scale=1"' in html
    assert not re.findall(r"(?<!max-)(?<!stroke-)width: *\d+(?:px|rem|em|mm)", narrow)
    assert not re.findall(r"min-width", narrow)
    assert "overflow-wrap: anywhere" in narrow


def test_drawings_have_words_for_who_does_not_see_them() -> None:
    page = Elements(forecasts().html())
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert drawings
    assert all(a.get("aria-label") or a.get("aria-hidden") == "true" for a in drawings)
    assert "30 of 100 dots are full" in [a.get("aria-label") for a in drawings]


def test_no_list_is_longer_than_ten_and_no_cause_is_claimed() -> None:
    many = tuple(column(1.0, column=f"G{number}") for number in range(40))
    page = Elements(forecasts(patient(explanations=(explanation(higher=many, lower=many),))).html())
    assert len(set(re.findall(r"G\d+", page.text))) <= 10
    assert "no causes" in page.text


@pytest.mark.parametrize("number", [1, 3])
def test_trainings_of_an_ensemble_are_counted(number: int) -> None:
    text = Elements(forecasts(models=number).html()).text
    assert ("mean of 3 trainings" in text) == (number == 3)
