"""Federation file, models, tasks and messages; start with agreement/agreement.py."""
