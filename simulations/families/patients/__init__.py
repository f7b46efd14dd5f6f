"""Study of patients: hospitals, classical arms, scores and curves; start with study.py."""
