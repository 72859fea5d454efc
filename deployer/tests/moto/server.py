"""moto, and boto3 beside it: says where it listens, then runs what comes as JSON, a line each, and says what that printed.

Ends with its standard input, which is to say with the test that started it.
"""
import contextlib
import io
import json
import logging
import os
import sys
import tempfile
import traceback

# One image instead of the thousands that moto reads for every region.
IMAGE = {
    "ami_id": "ami-0123456789abcdef0", "name": "debian-12", "description": "Debian 12", "owner_id": "801119661308",
    "public": True, "virtualization_type": "hvm", "architecture": "x86_64", "state": "available", "platform": None,
    "image_type": "machine", "image_location": "amazon/debian-12", "hypervisor": "xen", "root_device_name": "/dev/xvda",
    "root_device_type": "ebs", "sriov": "simple", "creation_date": "2026-01-01T00:00:00.000Z",
}
images = os.path.join(tempfile.mkdtemp(), "images.json")
with open(images, "w", encoding="utf-8") as file:
    json.dump([IMAGE], file)
os.environ["MOTO_AMIS_PATH"] = images

import boto3  # noqa: E402
import moto.ec2  # noqa: E402, F401
from moto.server import ThreadedMotoServer  # noqa: E402

# `moto.ec2` has read it.
os.unlink(images)
os.rmdir(os.path.dirname(images))

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = "http://%s:%d" % server.get_host_and_port()
print(endpoint, flush=True)

known = {}


def names(region):
    """What code finds in a region: its clients, and `image`."""
    if region not in known:
        make = lambda service: boto3.client(service, region_name=region, endpoint_url=endpoint)  # noqa: E731
        services = {"ec2": "ec2", "elb": "elb", "elbv2": "elbv2", "ssm": "ssm", "s3": "s3"}
        known[region] = {name: make(service) for name, service in services.items()}
    return {**known[region], "image": IMAGE["ami_id"], "json": json, "region": region}


for line in sys.stdin:
    asked, printed = json.loads(line), io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(asked["code"], names(asked["region"]))  # noqa: S102
        answer = {"printed": printed.getvalue().strip()}
    except Exception:
        answer = {"failed": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
os._exit(0)
