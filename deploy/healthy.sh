#!/bin/sh
# Exits with 0 if the site or coordinator runs and answers: healthy.sh site|coordinator FOLDER.
# `status` itself exits with 0 whenever it can tell the state, so what it tells is looked at.
set -eu
case "$1" in
    site) told=$(consilium site status "$2" --json) ;;
    coordinator) told=$(consilium coordinator status "$2" --json) ;;
    *) echo "healthy.sh site|coordinator FOLDER" >&2; exit 2 ;;
esac
printf '%s' "$told" | python3 -c '
import json, sys
told = json.load(sys.stdin)
sys.exit(not (told["running"] and told.get("answering", told.get("healthy"))))'
