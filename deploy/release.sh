#!/usr/bin/env bash
# Makes a release of the last commit: wheel, lock, bill of materials, hash of the installed code, and SHA256SUMS of all,
# signed. The wheel is built twice and has to come out the same.
# Usage: deploy/release.sh OUT KEY.pem, with Python 3.11 or 3.12 as python3; KEY.pem is a private key that openssl reads.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -eq 2 ] || { echo "usage: deploy/release.sh OUT KEY.pem" >&2; exit 2; }
[ ! -e "$1" ] || { echo "$1 is there already; name a new folder" >&2; exit 2; }
openssl dgst -sha256 -sign "$2" -out /dev/null "$0" || {
    echo "$2 cannot sign; make a key by openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out KEY.pem" >&2
    exit 2
}
[ -z "$(git -C "$root" status --porcelain)" ] || { echo "the checkout has changes; commit them first" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
export SOURCE_DATE_EPOCH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
umask 022

python3 -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet --require-hashes -r "$root/deploy/lock/release.txt"
for build in first second; do
    mkdir -p "$work/$build/source"
    git -C "$root" archive HEAD | tar -x -C "$work/$build/source"
    "$work/tools/bin/pip" wheel --quiet --no-deps --no-build-isolation --no-cache-dir --wheel-dir "$work/$build" "$work/$build/source"
done
cmp "$work"/first/*.whl "$work"/second/*.whl

python3 -m venv "$work/site"
"$work/site/bin/pip" install --quiet --require-hashes -r "$root/deploy/lock/torch-${TORCH:-cpu}.txt" -r "$root/deploy/lock/site.txt"
"$work/site/bin/pip" install --quiet --no-deps "$work"/first/*.whl

made="$work/release"
mkdir "$made"
cp "$work"/first/*.whl "$root"/deploy/lock/{site,torch-cpu,torch-cuda}.txt "$made"
"$work/tools/bin/cyclonedx-py" environment --output-reproducible --output-format JSON --output-file "$made/sbom.cdx.json" "$work/site/bin/python"
(cd "$work" && "$work/site/bin/python" -P -c "from common.installed_code import code_hash; print(code_hash())") > "$made/code.sha256"
(cd "$made" && sha256sum -- * > SHA256SUMS)
openssl dgst -sha256 -sign "$2" -out "$made/SHA256SUMS.sig" "$made/SHA256SUMS"
mv "$made" "$1"
