"""The processes of a running site and how they are started; start with services.py."""
