"""Parts of an assessment that count: two questions about held-out patients, one about calibration patients."""

from collections.abc import Mapping

import numpy as np

from common.agreement.federation import Federation
from common.assessment.part import Arrays, Asked, SiteSums, Sum, Whose
from common.assessment.patient_view import PatientView


class CountingPart:
    """Sums of the first modality's standardised values: by node, then squared about a center that it is told."""

    name = "counting"
    whose = Whose.HELD_OUT
    member = "counting.json"

    def questions(self, agreement: Federation) -> int:
        return 2

    def asked(self, agreement: Federation, number: int) -> dict[str, Asked]:
        return {"center": Asked((len(agreement.modalities[0].nodes),), -1000.0, 1000.0)} if number else {}

    def sums(self, agreement: Federation, number: int) -> dict[str, Sum]:
        nodes = (len(agreement.modalities[0].nodes),)
        high = 1000.0
        return {"count": Sum(()), "values": Sum(nodes, 0.0 if number else -high, high**2)}

    def computed(self, view: PatientView, asked: Arrays, number: int) -> Arrays:
        values = view.standardised.values[view.federation.modalities[0].name].double().numpy()
        outputs = view.outputs
        assert all(len(output) == len(values) for output in outputs.values())
        sums = np.square(values - asked["center"]).sum(0) if number else values.sum(0)
        return {"count": np.array(float(len(values))), "values": sums}

    def next(self, agreement: Federation, sites: Mapping[str, SiteSums], number: int) -> Arrays:
        count = 1e-9 + sum(float(site.sums["count"]) for site in sites.values())
        nodes = len(agreement.modalities[0].nodes)
        total = np.sum([np.zeros(nodes), *(site.sums["values"] for site in sites.values())], axis=0)
        return {"center": total / count}

    def content(self, agreement: Federation, sites: Mapping[str, SiteSums]) -> bytes | None:
        return str({site: sums.patients for site, sums in sites.items()}).encode()


class CalibratingPart(CountingPart):
    """Same of the patients who neither trained nor chose anything."""

    name = "calibrating"
    whose = Whose.CALIBRATION
    member = "calibrating.json"

    def questions(self, agreement: Federation) -> int:
        return int(agreement.training.calibration_fraction > 0)


COUNTING, CALIBRATING = CountingPart(), CalibratingPart()
