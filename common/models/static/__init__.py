"""Forms of a model whose operations follow from no patient; start with patient_form.py."""
