"""The XML card is valid by CHAI's schema, which is not ours and stands with the public data."""

import json
import os
from pathlib import Path

import pytest
from lxml import etree

from common.documents.applied_card import NAMESPACE, applied_card
from common.documents.facts.fact import Facts
from common.documents.facts.facts import facts_of
from common.release.card import CardTask
from common.release.release import ModelRelease
from tests.common.documents.conftest import Released

DATA = Path(os.environ.get("CONSILIUM_DATA", Path(__file__).parents[4] / "shared" / "data"))
SCHEMA = DATA / "modelcard" / "schema.xsd"
SIGNATURES = "http://www.w3.org/2000/09/xmldsig#"
STUB = f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{SIGNATURES}">
  <xs:element name="Signature"/>
</xs:schema>"""


@pytest.fixture
def schema(tmp_path: Path) -> etree.XMLSchema:
    """The schema, whose import of XML signatures from the web is one of a stub beside it."""
    if not SCHEMA.is_file():
        pytest.skip("CHAI's schema is not here: set CONSILIUM_DATA to the folder of public data")
    (tmp_path / "signatures.xsd").write_text(STUB)
    document = etree.parse(SCHEMA, etree.XMLParser(no_network=True))
    imported = document.find("{http://www.w3.org/2001/XMLSchema}import")
    imported.set("schemaLocation", str(tmp_path / "signatures.xsd"))
    return etree.XMLSchema(document)


def test_the_card_is_valid(schema: etree.XMLSchema, release: ModelRelease, facts: Facts) -> None:
    schema.assertValid(etree.fromstring(applied_card(release, facts)))


def test_the_schema_refuses_a_card_without_a_part(
    schema: etree.XMLSchema, release: ModelRelease, facts: Facts
) -> None:
    card = etree.fromstring(applied_card(release, facts))
    card.remove(card.find(f"{{{NAMESPACE}}}Warnings"))
    assert not schema.validate(card)


def test_signs_of_xml_in_names_stay_text(schema: etree.XMLSchema, released: Released) -> None:
    release = released(hospitals=("A & <B>", "two"))
    card = etree.fromstring(applied_card(release, facts_of(release)))
    schema.assertValid(card)
    assert "A & <B>" in card.findtext(f".//{{{NAMESPACE}}}DevelopmentDataCharacterization")


def test_results_are_json_and_null_where_nothing_was_measured(released: Released) -> None:
    release = released(tasks=(CardTask(name="survival", concordance=0.7, pairs=80, noise=0.01),))
    card = etree.fromstring(applied_card(release, facts_of(release)))
    results = {
        result.findtext(f"{{{NAMESPACE}}}Label"): json.loads(result.findtext(f"{{{NAMESPACE}}}ValueJson"))
        for result in card.iter(f"{{{NAMESPACE}}}MetricResult")
    }
    assert results["Discrimination"]["run"][0]["concordance"] == 0.7
    assert results["Calibration"] is None
