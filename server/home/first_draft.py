"""First draft of a federation file, for the coordinator to edit."""

FIRST_DRAFT = """\
# The agreement of the federation: edit it, then send this folder to every hospital for approval.
# Whatever is left out has a default; `consilium cohort describe` checks a hospital's tables against it.
version = 1
name = "our-federation"

[[modalities]]
name = "clinical"
node = "clinical"
columns = ["age"]

[[tasks]]
kind = "survival"
name = "survival"
time = "months"
event = "died"
unit = "months"
longest = 120

[training]
rounds = 30

[rounds]
quorum = 0.5
deadline_s = 3600
assembly_s = 60

# `patients`: the most patients that a hospital takes part with. It bounds the hospital's weight in averages, and a
# hospital with more refuses to take part; without it, for all hospitals, every hospital weighs alike.
[[participants]]
name = "hospital 1"
patients = 500

[[participants]]
name = "hospital 2"
patients = 500
"""
