"""moto with a parameter, a secret and a role, which from then on lets nobody in whose signature is wrong.

Prints its address and what the role signs with, and ends with its standard input.
"""
import json
import logging
import os
import sys

os.environ.setdefault("AWS_ACCESS_KEY_ID", "testing")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "testing")

import boto3  # noqa: E402
from moto import settings  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = "http://%s:%d" % server.get_host_and_port()


def client(service):
    return boto3.client(service, region_name="eu-west-1", endpoint_url=endpoint)


allow = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["ssm:GetParameter", "secretsmanager:GetSecretValue"], "Resource": "*"}]}
trust = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
client("ssm").put_parameter(Name="/git/token", Value="hush", Type="SecureString")
client("secretsmanager").create_secret(Name="git", SecretString=json.dumps({"token": "hush"}))
role = client("iam").create_role(RoleName="web-role", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
client("iam").put_role_policy(RoleName="web-role", PolicyName="p", PolicyDocument=json.dumps(allow))
keys = client("sts").assume_role(RoleArn=role, RoleSessionName="i-1")["Credentials"]
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
print(json.dumps({"endpoint": endpoint, "role": {
    "Code": "Success", "AccessKeyId": keys["AccessKeyId"], "SecretAccessKey": keys["SecretAccessKey"],
    "Token": keys["SessionToken"], "Expiration": keys["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ")}}), flush=True)
sys.stdin.read()
