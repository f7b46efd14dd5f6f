"""Kinds of task, each with its schema and all of its behaviour; start with task.py."""
