"""View of a hospital's patients for the parts of an assessment about patients."""

from common.agreement.federation import Federation
from common.assessment.view import View
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing

PatientView = View[Federation, PatientBatch, Preprocessing]
