"""Checks an OCI image layout in a tar archive and unpacks its layers: unpack.py IMAGE.tar FOLDER"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

image, folder = sys.argv[1:]
with tarfile.open(image) as archive:
    files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


def blob(descriptor: dict) -> bytes:
    data = files["blobs/" + descriptor["digest"].replace(":", "/")]
    assert len(data) == descriptor["size"], descriptor
    assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"], descriptor
    return data


assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
(listed,) = json.loads(files["index.json"])["manifests"]
manifest = json.loads(blob(listed))
config = json.loads(blob(manifest["config"]))
assert config["config"]["Entrypoint"] == ["/usr/bin/sampan"] and config["config"]["User"] == "65532:65532", config
layers = [gzip.decompress(blob(layer)) for layer in manifest["layers"]]
assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
for layer in layers:
    tarfile.open(fileobj=io.BytesIO(layer)).extractall(Path(folder), filter="tar")
