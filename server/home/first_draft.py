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
ranges.age = { unit = "years", low = 0, high = 120, typical = [50, 75] }

[[tasks]]
kind = "survival"
name = "survival"
time = "months"
event = "died"
unit = "months"
longest = 120
typical = [6, 48]                # two thirds of the events lie here

# Differential privacy, which a hospital's policy demands unless it is edited. Plan the noise for your own epsilon,
# rounds and patients by `consilium privacy plan`; removing this section lets weights tell of single patients, and
# every hospital's approval then says so.
[privacy]
noise_multiplier = 5.7           # epsilon 3 over 30 rounds
sampling_rate = 1.0
expected_batch_size = 300.0      # patients that train in a hospital, on average
statistics = "declared"          # scaling from the ranges above: no statistics leave

[training]
rounds = 30
learn_task_weights = false       # [privacy] needs this, and no dropout

[model]
dropout = 0.0
node_dropout = 0.0
modality_dropout = 0.0

[rounds]
quorum = 0.5
deadline_s = 3600
assembly_s = 60

# `patients`: the most patients that a hospital takes part with; a hospital with more refuses to take part. All
# hospitals weigh alike in averages as long as there is [privacy]. Without it, a hospital weighs by its training
# patients up to this number; if it is left out for all hospitals, they weigh alike.
[[participants]]
name = "hospital 1"
patients = 500

[[participants]]
name = "hospital 2"
patients = 500
"""
