"""Federation file, models, tasks and messages, shared by hospitals and coordinator."""
