"""Drives the sandbox with boto3; one function a test, named on the command line by tests/wire/main.rs."""
import base64
import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

FAST = {"Delay": 1, "MaxAttempts": 30}


def client(name, region=None, **config):
    return boto3.client(name, region_name=region, config=Config(**config) if config else None)


def bare(ec2):
    images = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["mayfly-bare-*"]}])
    return images["Images"][0]["ImageId"]


def launch(ec2, count=1, **more):
    more.setdefault("ImageId", bare(ec2))
    answer = ec2.run_instances(MinCount=count, MaxCount=count, **more)
    ids = [instance["InstanceId"] for instance in answer["Instances"]]
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=FAST)
    return ids


def refused(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"{arguments} was not refused")


def instances():
    ec2 = client("ec2")
    answer = ec2.run_instances(
        ImageId=bare(ec2), MinCount=2, MaxCount=2, InstanceType="t3.micro", UserData="#mayfly\nrole: web\n",
        ClientToken="once", SecurityGroupIds=["sg-00000000000000001"], SubnetId="subnet-00000000000000002",
        KeyName="ops", IamInstanceProfile={"Name": "web"}, InstanceInitiatedShutdownBehavior="terminate",
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "a<b>&\"c\" é"}]}],
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 9}}])
    assert answer["OwnerId"] == "000000000000" and answer["ReservationId"].startswith("r-")
    ids = [i["InstanceId"] for i in answer["Instances"]]
    assert [i["AmiLaunchIndex"] for i in answer["Instances"]] == [0, 1]
    assert {i["State"]["Name"] for i in answer["Instances"]} == {"pending"}
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=FAST)
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=ids, WaiterConfig=FAST)
    reservations = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    assert len(reservations) == 1 and len(reservations[0]["Instances"]) == 2
    one = reservations[0]["Instances"][0]
    assert one["PrivateIpAddress"].startswith("10.77.16."), one
    assert one["PublicIpAddress"] == one["PrivateIpAddress"].replace("10.", "127.", 1)
    assert one["Placement"]["AvailabilityZone"] == "us-east-1b" and one["SubnetId"] == "subnet-00000000000000002"
    assert one["SecurityGroups"] == [{"GroupId": "sg-00000000000000001", "GroupName": "default"}]
    assert one["Tags"] == [{"Key": "Name", "Value": "a<b>&\"c\" é"}]
    assert one["MetadataOptions"]["HttpTokens"] == "required"
    assert one["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert one["IamInstanceProfile"]["Arn"].endswith(":instance-profile/web")
    assert one["NetworkInterfaces"][0]["PrivateIpAddress"] == one["PrivateIpAddress"]
    assert one["BlockDeviceMappings"][0]["Ebs"]["VolumeId"].startswith("vol-")
    assert one["KeyName"] == "ops" and one["ClientToken"] == "once" and one["LaunchTime"].year > 2000
    data = ec2.describe_instance_attribute(InstanceId=ids[0], Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(data) == b"#mayfly\nrole: web\n"
    console = ec2.get_console_output(InstanceId=ids[0])
    assert console["Output"] == "console of the machine & more" and console["Timestamp"]
    states = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]
    assert [(s["PreviousState"]["Name"], s["CurrentState"]["Name"]) for s in states] == [("running", "shutting-down")] * 2
    ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig=FAST)
    dead = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]
    assert dead["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert dead["StateTransitionReason"].startswith("User initiated (")
    assert "PrivateIpAddress" not in dead
    types = ec2.describe_instance_types(InstanceTypes=["t3.micro"])["InstanceTypes"]
    assert types[0]["MemoryInfo"]["SizeInMiB"] == 1024 and types[0]["VCpuInfo"]["DefaultVCpus"] == 2
    assert client("sts").get_caller_identity()["Account"] == "000000000000"


def stop_start_and_attributes():
    ec2 = client("ec2")
    ids = launch(ec2)
    ec2.reboot_instances(InstanceIds=ids)
    ec2.stop_instances(InstanceIds=ids)
    ec2.get_waiter("instance_stopped").wait(InstanceIds=ids, WaiterConfig=FAST)
    assert ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"] == []
    status = ec2.describe_instance_status(InstanceIds=ids, IncludeAllInstances=True)["InstanceStatuses"][0]
    assert status["InstanceState"]["Name"] == "stopped" and status["InstanceStatus"]["Status"] == "not-applicable"
    ec2.modify_instance_attribute(InstanceId=ids[0], InstanceType={"Value": "t3.large"})
    ec2.modify_instance_attribute(InstanceId=ids[0], UserData={"Value": b"new"})
    ec2.modify_instance_attribute(InstanceId=ids[0], DisableApiTermination={"Value": True})
    kind = ec2.describe_instance_attribute(InstanceId=ids[0], Attribute="instanceType")["InstanceType"]["Value"]
    assert kind == "t3.large"
    assert refused(ec2.terminate_instances, InstanceIds=ids) == ("OperationNotPermitted", 400)
    ec2.modify_instance_attribute(InstanceId=ids[0], Attribute="disableApiTermination", Value="false")
    started = ec2.start_instances(InstanceIds=ids)["StartingInstances"][0]
    assert started["PreviousState"]["Name"] == "stopped"
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=FAST)
    options = ec2.modify_instance_metadata_options(InstanceId=ids[0], HttpTokens="required")
    assert options["InstanceMetadataOptions"]["HttpTokens"] == "required"
    ec2.terminate_instances(InstanceIds=ids)


def pages_and_filters():
    ec2 = client("ec2")
    ids = launch(ec2, 12)
    ec2.create_tags(Resources=ids[:7], Tags=[{"Key": "mayfly:service", "Value": "greeter"}, {"Key": "empty", "Value": ""}])
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
    assert len(pages) == 3
    seen = [i["InstanceId"] for p in pages for r in p["Reservations"] for i in r["Instances"]]
    assert sorted(seen) == sorted(ids)
    running = {"Name": "instance-state-name", "Values": ["pending", "running"]}
    tagged = {"Name": "tag:mayfly:service", "Values": ["greet*"]}
    found = ec2.describe_instances(Filters=[running, tagged])["Reservations"]
    assert sorted(i["InstanceId"] for r in found for i in r["Instances"]) == sorted(ids[:7])
    tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": ids[:1]}])["Tags"]
    assert [(t["Key"], t["Value"], t["ResourceType"]) for t in tags] == [
        ("empty", "", "instance"), ("mayfly:service", "greeter", "instance")], tags
    ec2.delete_tags(Resources=ids, Tags=[{"Key": "empty"}])
    keys = {t["Key"] for p in ec2.get_paginator("describe_tags").paginate() for t in p["Tags"]}
    assert keys == {"mayfly:service"}
    assert refused(ec2.describe_instances, InstanceIds=ids[:1], MaxResults=5) == ("InvalidParameterCombination", 400)
    ec2.terminate_instances(InstanceIds=ids)


def images():
    ec2 = client("ec2")
    ids = launch(ec2)
    image = ec2.create_image(
        InstanceId=ids[0], Name="seed", Description="a seed", NoReboot=True,
        TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": "role", "Value": "web"}]},
                           {"ResourceType": "snapshot", "Tags": [{"Key": "role", "Value": "web"}]}])["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig=FAST)
    found = ec2.describe_images(Owners=["self"], Filters=[{"Name": "tag:role", "Values": ["web"]}])["Images"]
    assert [i["ImageId"] for i in found] == [image]
    assert found[0]["Name"] == "seed" and found[0]["State"] == "available" and found[0]["SourceInstanceId"] == ids[0]
    snapshot = found[0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:role", "Values": ["web"]}])["Snapshots"][0]["SnapshotId"] == snapshot
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] == "completed"
    assert launch(ec2, ImageId=image)
    share_and_copy(ec2, image, snapshot)
    ec2.deregister_image(ImageId=image)
    assert refused(ec2.describe_images, ImageIds=[image]) == ("InvalidAMIID.NotFound", 400)
    ec2.delete_snapshot(SnapshotId=snapshot)
    assert ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:role", "Values": ["web"]}])["Snapshots"] == []


def share_and_copy(ec2, image, snapshot):
    """Other accounts may use an image and its snapshot; a copy has its own, here and in the other region."""
    for account in ["111111111111", "222222222222"]:
        ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": account}]})
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Remove": [{"UserId": "222222222222"}]})
    shared = ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")
    assert shared["LaunchPermissions"] == [{"UserId": "111111111111"}], shared
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add",
                                  UserIds=["111111111111"])
    shared = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    assert shared["CreateVolumePermissions"] == [{"UserId": "111111111111"}], shared
    bad = {"Add": [{"UserId": "me"}]}
    assert refused(ec2.modify_image_attribute, ImageId=image, LaunchPermission=bad) == ("InvalidAMIAttributeItemValue", 400)
    here = ec2.copy_image(Name="seed-2", SourceImageId=image, SourceRegion="us-east-1", CopyImageTags=True)["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[here], WaiterConfig=FAST)
    copied = ec2.describe_images(ImageIds=[here])["Images"][0]
    assert copied["Tags"] == [{"Key": "role", "Value": "web"}]
    assert copied["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"] != snapshot
    assert launch(ec2, ImageId=here)
    ec2.deregister_image(ImageId=here, DeleteAssociatedSnapshots=True)
    north = client("ec2", "eu-north-1")
    specification = [{"ResourceType": "image", "Tags": [{"Key": "made", "Value": "here"}]}]
    arguments = dict(Name="seed", SourceImageId=image, SourceRegion="us-east-1", ClientToken="once",
                     TagSpecifications=specification)
    there = north.copy_image(**arguments)["ImageId"]
    assert north.copy_image(**arguments)["ImageId"] == there
    north.get_waiter("image_available").wait(ImageIds=[there], WaiterConfig=FAST)
    assert [i["ImageId"] for i in north.describe_images(Owners=["self"])["Images"]] == [there]
    assert refused(ec2.describe_images, ImageIds=[there]) == ("InvalidAMIID.NotFound", 400)
    assert refused(north.run_instances, ImageId=there, MinCount=1, MaxCount=1) == ("UnsupportedOperation", 400)
    assert refused(ec2.run_instances, ImageId=there, MinCount=1, MaxCount=1)[0] == "InvalidAMIID.NotFound"
    north.deregister_image(ImageId=there, DeleteAssociatedSnapshots=True)
    assert north.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def network():
    ec2 = client("ec2")
    assert [r["RegionName"] for r in ec2.describe_regions()["Regions"]] == ["us-east-1", "eu-north-1"]
    zones = ec2.describe_availability_zones(Filters=[{"Name": "state", "Values": ["available"]}])["AvailabilityZones"]
    assert [z["ZoneName"] for z in zones] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
    assert vpc["IsDefault"] is True and vpc["CidrBlock"] == "10.77.0.0/16"
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    assert len(subnets) == 3 and all(s["DefaultForAz"] and s["MapPublicIpOnLaunch"] for s in subnets)
    group = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]
    assert 8080 in [rule["FromPort"] for rule in group["IpPermissions"]]
    made = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc["VpcId"])["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 7000, "ToPort": 7010, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[rule])
    ec2.authorize_security_group_ingress(GroupId=made, IpProtocol="tcp", FromPort=81, ToPort=81, CidrIp="0.0.0.0/0")
    permissions = ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"][0]["IpPermissions"]
    assert [(p["FromPort"], p["ToPort"]) for p in permissions] == [(7000, 7010), (81, 81)]
    ec2.revoke_security_group_ingress(GroupId=made, IpPermissions=[rule])
    ec2.delete_security_group(GroupId=made)
    assert refused(ec2.describe_security_groups, GroupIds=[made]) == ("InvalidGroup.NotFound", 400)


def launch_templates():
    ec2 = client("ec2")
    data = {
        "ImageId": bare(ec2), "InstanceType": "t3.small", "UserData": base64.b64encode(b"one").decode(),
        "NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": "subnet-00000000000000003", "Groups": ["sg-00000000000000001"]}],
        "MetadataOptions": {"HttpTokens": "required"}, "IamInstanceProfile": {"Name": "web"},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "v", "Value": "1"}]}]}
    made = ec2.create_launch_template(
        LaunchTemplateName="greeter", VersionDescription="first", LaunchTemplateData=data,
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": [{"Key": "mayfly:service", "Value": "greeter"}]}])
    made = made["LaunchTemplate"]
    assert made["DefaultVersionNumber"] == made["LatestVersionNumber"] == 1 and made["Tags"][0]["Value"] == "greeter"
    code = refused(ec2.create_launch_template, LaunchTemplateName="greeter", LaunchTemplateData=data)
    assert code == ("InvalidLaunchTemplateName.AlreadyExistsException", 400)
    second = ec2.create_launch_template_version(
        LaunchTemplateId=made["LaunchTemplateId"], SourceVersion="1", VersionDescription="second",
        LaunchTemplateData={"InstanceType": "t3.large"})["LaunchTemplateVersion"]
    assert second["VersionNumber"] == 2 and second["DefaultVersion"] is False
    kept = second["LaunchTemplateData"]
    assert kept["InstanceType"] == "t3.large" and kept["ImageId"] == data["ImageId"]
    assert kept["NetworkInterfaces"][0]["Groups"] == ["sg-00000000000000001"]
    assert kept["NetworkInterfaces"][0]["SubnetId"] == "subnet-00000000000000003"
    assert kept["TagSpecifications"] == data["TagSpecifications"] and kept["UserData"] == data["UserData"]
    assert kept["MetadataOptions"]["HttpTokens"] == "required" and kept["IamInstanceProfile"]["Name"] == "web"
    ec2.modify_launch_template(LaunchTemplateName="greeter", DefaultVersion="2")
    found = ec2.describe_launch_templates(Filters=[{"Name": "tag:mayfly:service", "Values": ["greeter"]}])
    assert found["LaunchTemplates"][0]["DefaultVersionNumber"] == 2
    versions = ec2.describe_launch_template_versions(LaunchTemplateName="greeter")["LaunchTemplateVersions"]
    assert [(v["VersionNumber"], v["VersionDescription"]) for v in versions] == [(2, "second"), (1, "first")]
    latest = ec2.describe_launch_template_versions(LaunchTemplateName="greeter", Versions=["$Latest"])
    assert latest["LaunchTemplateVersions"][0]["DefaultVersion"] is True
    answer = ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateName": "greeter"})
    one = answer["Instances"][0]
    assert one["InstanceType"] == "t3.large" and one["SubnetId"] == "subnet-00000000000000003"
    assert {"Key": "aws:ec2launchtemplate:version", "Value": "2"} in one["Tags"]
    gone = ec2.delete_launch_template_versions(LaunchTemplateName="greeter", Versions=["1", "2", "7"])
    assert [v["VersionNumber"] for v in gone["SuccessfullyDeletedLaunchTemplateVersions"]] == [1]
    codes = [v["ResponseError"]["Code"] for v in gone["UnsuccessfullyDeletedLaunchTemplateVersions"]]
    assert codes == ["unexpectedError", "launchTemplateVersionDoesNotExist"], codes
    ec2.delete_launch_template(LaunchTemplateId=made["LaunchTemplateId"])
    code = refused(ec2.delete_launch_template, LaunchTemplateId=made["LaunchTemplateId"])
    assert code == ("InvalidLaunchTemplateId.NotFound", 400)


def balancers():
    ec2, elb = client("ec2"), client("elb")
    ids = launch(ec2, 2)
    web = {"LoadBalancerName": "web"}
    listener = {"Protocol": "HTTP", "LoadBalancerPort": 80, "InstanceProtocol": "HTTP", "InstancePort": 8080}
    made = elb.create_load_balancer(
        Listeners=[listener], AvailabilityZones=["us-east-1a"], Tags=[{"Key": "team", "Value": "a"}], **web)
    assert made["DNSName"] == "127.78.0.1"
    check = {"Target": "HTTP:8080/ready", "Interval": 5, "Timeout": 2, "UnhealthyThreshold": 2, "HealthyThreshold": 3}
    assert elb.configure_health_check(HealthCheck=check, **web)["HealthCheck"] == check
    registered = elb.register_instances_with_load_balancer(Instances=[{"InstanceId": i} for i in ids], **web)
    assert {i["InstanceId"] for i in registered["Instances"]} == set(ids)
    elb.get_waiter("instance_in_service").wait(WaiterConfig=FAST, **web)
    states = elb.describe_instance_health(**web)["InstanceStates"]
    assert {(s["State"], s["ReasonCode"], s["Description"]) for s in states} == {("InService", "N/A", "N/A")}
    described = elb.describe_load_balancers(LoadBalancerNames=["web"])["LoadBalancerDescriptions"][0]
    assert described["ListenerDescriptions"][0]["Listener"] == listener
    assert described["HealthCheck"] == check and described["Scheme"] == "internet-facing"
    assert described["AvailabilityZones"] == ["us-east-1a"] and len(described["Instances"]) == 2
    assert described["CreatedTime"].year > 2000
    attributes = elb.describe_load_balancer_attributes(**web)["LoadBalancerAttributes"]
    assert attributes["ConnectionDraining"] == {"Enabled": False, "Timeout": 300}
    assert attributes["CrossZoneLoadBalancing"] == {"Enabled": False}
    wanted = {"ConnectionDraining": {"Enabled": True, "Timeout": 60}, "CrossZoneLoadBalancing": {"Enabled": True},
              "ConnectionSettings": {"IdleTimeout": 30}, "AccessLog": {"Enabled": False}}
    elb.modify_load_balancer_attributes(LoadBalancerAttributes=wanted, **web)
    assert elb.describe_load_balancer_attributes(**web)["LoadBalancerAttributes"] == wanted
    left = elb.deregister_instances_from_load_balancer(Instances=[{"InstanceId": ids[0]}], **web)["Instances"]
    assert [i["InstanceId"] for i in left] == ids[1:]
    states = elb.describe_instance_health(Instances=[{"InstanceId": ids[0]}], **web)["InstanceStates"]
    assert states[0]["Description"] == "Instance deregistration currently in progress."
    tls = {"Protocol": "HTTPS", "LoadBalancerPort": 443, "InstancePort": 80}
    assert refused(elb.create_load_balancer_listeners, Listeners=[tls], **web) == ("CertificateNotFound", 400)
    elb.create_load_balancer_listeners(Listeners=[{"Protocol": "TCP", "LoadBalancerPort": 9000, "InstancePort": 9000}], **web)
    elb.delete_load_balancer_listeners(LoadBalancerPorts=[9000], **web)
    elb.enable_availability_zones_for_load_balancer(AvailabilityZones=["us-east-1b"], **web)
    zones = elb.disable_availability_zones_for_load_balancer(AvailabilityZones=["us-east-1a"], **web)
    assert zones["AvailabilityZones"] == ["us-east-1b"]
    subnets = elb.attach_load_balancer_to_subnets(Subnets=["subnet-00000000000000003"], **web)["Subnets"]
    assert subnets == ["subnet-00000000000000003"]
    groups = elb.apply_security_groups_to_load_balancer(SecurityGroups=["sg-00000000000000001"], **web)
    assert groups["SecurityGroups"] == ["sg-00000000000000001"]
    elb.add_tags(LoadBalancerNames=["web"], Tags=[{"Key": "mayfly:service", "Value": "greeter"}])
    elb.remove_tags(LoadBalancerNames=["web"], Tags=[{"Key": "team"}])
    tags = elb.describe_tags(LoadBalancerNames=["web"])["TagDescriptions"][0]["Tags"]
    assert tags == [{"Key": "mayfly:service", "Value": "greeter"}]
    for number in range(5):
        elb.create_load_balancer(LoadBalancerName=f"b{number}", Listeners=[listener], Subnets=["subnet-00000000000000001"])
    pages = elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 2})
    assert [len(p["LoadBalancerDescriptions"]) for p in pages] == [2, 2, 2]
    elb.delete_load_balancer(**web)
    elb.delete_load_balancer(**web)
    assert refused(elb.describe_load_balancers, LoadBalancerNames=["web"]) == ("LoadBalancerNotFound", 400)
    assert refused(elb.describe_instance_health, **web) == ("LoadBalancerNotFound", 400)


def errors():
    ec2, elb = client("ec2"), client("elb")
    assert refused(ec2.describe_instances, InstanceIds=["web-1"]) == ("InvalidInstanceID.Malformed", 400)
    assert refused(ec2.describe_instances, InstanceIds=["i-0123456789abcdef0"]) == ("InvalidInstanceID.NotFound", 400)
    assert refused(ec2.describe_volumes) == ("InvalidAction", 400)
    assert refused(ec2.run_instances, MinCount=1, MaxCount=1) == ("MissingParameter", 400)
    code = refused(ec2.run_instances, MinCount=1, MaxCount=1, ImageId=bare(ec2), DryRun=True)
    assert code == ("DryRunOperation", 412)
    assert refused(client("elbv2").describe_trust_stores) == ("InvalidAction", 400)
    try:
        elb.register_instances_with_load_balancer(LoadBalancerName="none", Instances=[{"InstanceId": "i-1"}])
    except elb.exceptions.AccessPointNotFoundException as error:
        assert error.response["Error"]["Type"] == "Sender"
        assert error.response["ResponseMetadata"]["RequestId"].count("-") == 4
    else:
        raise AssertionError("an unknown balancer was accepted")


def eventual_consistency():
    ec2 = client("ec2")
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}]
    answer = ec2.run_instances(ImageId=bare(ec2), MinCount=1, MaxCount=1, TagSpecifications=tags)
    ids = [answer["Instances"][0]["InstanceId"]]
    assert refused(ec2.describe_instances, InstanceIds=ids) == ("InvalidInstanceID.NotFound", 400)
    assert ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["web"]}])["Reservations"] == []
    # The stock waiter goes on after NotFound.
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=FAST)


def lost_answer():
    ec2 = client("ec2", retries={"mode": "standard", "max_attempts": 3})
    answer = ec2.run_instances(ImageId=bare(ec2), MinCount=1, MaxCount=1)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1, answer["ResponseMetadata"]
    found = ec2.describe_instances()["Reservations"]
    assert [i["InstanceId"] for r in found for i in r["Instances"]] == [answer["Instances"][0]["InstanceId"]]


def hanging_call():
    ec2 = client("ec2", read_timeout=2, retries={"mode": "standard", "max_attempts": 5})
    assert ec2.describe_instances()["ResponseMetadata"]["RetryAttempts"] >= 1


def limits():
    ec2 = client("ec2", retries={"mode": "standard", "max_attempts": 2})
    ec2.describe_vpcs()
    assert refused(ec2.describe_vpcs) == ("RequestLimitExceeded", 503)
    answer = ec2.run_instances(ImageId=bare(ec2), MinCount=1, MaxCount=5, InstanceType="m5.large")
    assert len(answer["Instances"]) == 2
    code = refused(ec2.run_instances, ImageId=bare(ec2), MinCount=1, MaxCount=1, InstanceType="m5.large")
    assert code == ("InsufficientInstanceCapacity", 500)


SUBNETS = ["subnet-00000000000000001", "subnet-00000000000000002"]
PREFIX = "arn:aws:elasticloadbalancing:us-east-1:000000000000:"


def state_of(elb, group, **target):
    """State and reason of one target."""
    described = elb.describe_target_health(TargetGroupArn=group, Targets=[target])["TargetHealthDescriptions"]
    health = described[0]["TargetHealth"]
    return health["State"], health.get("Reason")


def target_groups():
    ec2, elb = client("ec2"), client("elbv2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    wanted = dict(
        Name="web", Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="instance", HealthCheckProtocol="HTTP",
        HealthCheckPath="/ready", HealthCheckPort="traffic-port", HealthCheckEnabled=True, Matcher={"HttpCode": "200-299"},
        HealthCheckIntervalSeconds=10, HealthCheckTimeoutSeconds=3, HealthyThresholdCount=2, UnhealthyThresholdCount=3)
    made = elb.create_target_group(Tags=[{"Key": "team", "Value": "a"}], ProtocolVersion="HTTP1", **wanted)["TargetGroups"][0]
    arn = made["TargetGroupArn"]
    assert arn.startswith(PREFIX + "targetgroup/web/") and len(arn.rsplit("/", 1)[1]) == 16
    assert made["TargetGroupName"] == wanted.pop("Name")
    assert {key: made[key] for key in wanted} == wanted and made["LoadBalancerArns"] == []
    assert elb.create_target_group(Name="web", **wanted)["TargetGroups"][0]["TargetGroupArn"] == arn
    assert refused(elb.create_target_group, Name="web", **{**wanted, "Port": 9090}) == ("DuplicateTargetGroupName", 400)
    assert refused(elb.create_target_group, Name="-", **wanted) == ("ValidationError", 400)
    assert refused(elb.create_target_group, Name="x", Protocol="UDP", Port=1, VpcId=vpc) == ("UnsupportedProtocol", 400)
    changed = elb.modify_target_group(TargetGroupArn=arn, HealthCheckPath="/", HealthCheckPort="9000", Matcher={"HttpCode": "200,204"})
    changed = changed["TargetGroups"][0]
    assert (changed["HealthCheckPath"], changed["HealthCheckPort"], changed["Matcher"]) == ("/", "9000", {"HttpCode": "200,204"})
    assert refused(elb.modify_target_group, TargetGroupArn=arn, HealthCheckEnabled=False) == ("InvalidConfigurationRequest", 400)
    attributes = {a["Key"]: a["Value"] for a in elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]}
    assert attributes["deregistration_delay.timeout_seconds"] == "300" and attributes["slow_start.duration_seconds"] == "0"
    pair = [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}, {"Key": "slow_start.duration_seconds", "Value": "30"}]
    shown = elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=pair)["Attributes"]
    assert sorted(shown, key=lambda a: a["Key"]) == pair
    bad = [{"Key": "slow_start.duration_seconds", "Value": "5"}]
    assert refused(elb.modify_target_group_attributes, TargetGroupArn=arn, Attributes=bad) == ("ValidationError", 400)
    tcp = elb.create_target_group(Name="tcp", Protocol="TCP", Port=22, VpcId=vpc, TargetType="ip")["TargetGroups"][0]
    assert tcp["HealthCheckProtocol"] == "TCP" and tcp["TargetType"] == "ip" and "Matcher" not in tcp
    for number in range(5):
        elb.create_target_group(Name=f"g{number}", Protocol="HTTP", Port=80, VpcId=vpc)
    pages = elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 3})
    assert [len(p["TargetGroups"]) for p in pages] == [3, 3, 1]
    assert elb.describe_target_groups(Names=["tcp"])["TargetGroups"][0]["TargetGroupArn"] == tcp["TargetGroupArn"]
    assert elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]["TargetGroupName"] == "web"
    assert refused(elb.describe_target_groups, Names=["none"]) == ("TargetGroupNotFound", 400)
    elb.add_tags(ResourceArns=[arn], Tags=[{"Key": "mayfly:service", "Value": "greeter"}])
    elb.remove_tags(ResourceArns=[arn], TagKeys=["team"])
    tags = elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]
    assert tags == {"ResourceArn": arn, "Tags": [{"Key": "mayfly:service", "Value": "greeter"}]}
    elb.delete_target_group(TargetGroupArn=arn)
    elb.delete_target_group(TargetGroupArn=arn)
    assert refused(elb.describe_target_health, TargetGroupArn=arn) == ("TargetGroupNotFound", 400)


def load_balancers():
    ec2, elb = client("ec2"), client("elbv2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    blue, green = (elb.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
                   for name in ("blue", "green"))
    made = elb.create_load_balancer(
        Name="web", Subnets=SUBNETS, SecurityGroups=["sg-00000000000000001"], Scheme="internet-facing", Type="application",
        IpAddressType="ipv4", Tags=[{"Key": "team", "Value": "a"}])["LoadBalancers"][0]
    arn = made["LoadBalancerArn"]
    assert arn.startswith(PREFIX + "loadbalancer/app/web/") and made["DNSName"] == "127.78.0.1"
    assert made["State"]["Code"] == "provisioning" and made["CreatedTime"].year > 2000 and made["VpcId"] == vpc
    assert [(z["ZoneName"], z["SubnetId"]) for z in made["AvailabilityZones"]] == list(zip(["us-east-1a", "us-east-1b"], SUBNETS))
    elb.get_waiter("load_balancer_available").wait(Names=["web"], WaiterConfig=FAST)
    elb.get_waiter("load_balancer_exists").wait(LoadBalancerArns=[arn], WaiterConfig=FAST)
    other = elb.create_load_balancer(Name="tcp", Subnets=SUBNETS[:1], Type="network")["LoadBalancers"][0]
    assert other["Type"] == "network" and "/net/tcp/" in other["LoadBalancerArn"]
    assert refused(elb.create_load_balancer, Name="one", Subnets=SUBNETS[:1]) == ("ValidationError", 400)
    assert refused(elb.create_load_balancer, Name="web", Subnets=SUBNETS, Scheme="internal") == ("DuplicateLoadBalancerName", 400)
    assert refused(elb.describe_load_balancers, Names=["none"]) == ("LoadBalancerNotFound", 400)
    pages = elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 1})
    assert [p["LoadBalancers"][0]["LoadBalancerName"] for p in pages] == ["web", "tcp"]
    attributes = {a["Key"]: a["Value"] for a in elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]}
    assert attributes["idle_timeout.timeout_seconds"] == "60" and attributes["load_balancing.cross_zone.enabled"] == "true"
    pair = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    assert elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=pair)["Attributes"] == pair
    assert refused(elb.delete_load_balancer, LoadBalancerArn=arn) == ("OperationNotPermitted", 400)
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}])
    zones = elb.set_subnets(LoadBalancerArn=arn, Subnets=SUBNETS + ["subnet-00000000000000003"])["AvailabilityZones"]
    assert len(zones) == 3
    groups = elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=["sg-00000000000000001"])
    assert groups["SecurityGroupIds"] == ["sg-00000000000000001"]
    plain = [{"Type": "forward", "TargetGroupArn": blue}]
    listener = elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=plain)["Listeners"][0]
    assert listener["ListenerArn"].startswith(arn.replace(":loadbalancer/", ":listener/") + "/")
    assert listener["DefaultActions"][0]["TargetGroupArn"] == blue and listener["Port"] == 80
    assert refused(elb.create_listener, LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=plain) == ("DuplicateListener", 400)
    assert refused(elb.create_listener, LoadBalancerArn=arn, Protocol="HTTPS", Port=443, DefaultActions=plain) == ("CertificateNotFound", 400)
    redirect = [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Port": "443"}}]
    assert refused(elb.create_listener, LoadBalancerArn=arn, Protocol="HTTP", Port=81, DefaultActions=redirect) == ("InvalidLoadBalancerAction", 400)
    weights = [{"TargetGroupArn": blue, "Weight": 9}, {"TargetGroupArn": green, "Weight": 1}]
    shifted = [{"Type": "forward", "Order": 1, "ForwardConfig": {"TargetGroups": weights, "TargetGroupStickinessConfig": {"Enabled": False}}}]
    changed = elb.modify_listener(ListenerArn=listener["ListenerArn"], Port=8080, DefaultActions=shifted)["Listeners"][0]
    assert changed["DefaultActions"][0]["ForwardConfig"]["TargetGroups"] == weights and changed["Port"] == 8080
    assert elb.describe_target_groups(LoadBalancerArn=arn)["TargetGroups"][0]["LoadBalancerArns"] == [arn]
    assert refused(elb.delete_target_group, TargetGroupArn=green) == ("ResourceInUse", 400)
    listed = elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    assert [l["ListenerArn"] for l in listed] == [listener["ListenerArn"]]
    assert elb.describe_listeners(ListenerArns=[listener["ListenerArn"]])["Listeners"] == listed
    rule = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"][0]
    assert rule["Priority"] == "default" and rule["IsDefault"] and rule["Conditions"] == []
    assert rule["Actions"][0]["ForwardConfig"]["TargetGroups"] == weights and ":listener-rule/app/web/" in rule["RuleArn"]
    assert elb.describe_rules(RuleArns=[rule["RuleArn"]])["Rules"] == [rule]
    tags = elb.describe_tags(ResourceArns=[arn, listener["ListenerArn"]])["TagDescriptions"]
    assert [t["Tags"] for t in tags] == [[{"Key": "team", "Value": "a"}], []]
    elb.delete_listener(ListenerArn=listener["ListenerArn"])
    assert refused(elb.delete_listener, ListenerArn=listener["ListenerArn"]) == ("ListenerNotFound", 400)
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn], WaiterConfig=FAST)
    # The two generations do not see each other.
    assert client("elb").describe_load_balancers()["LoadBalancerDescriptions"] == []


def targets():
    ec2, elb = client("ec2"), client("elbv2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    ids = launch(ec2, 2)
    group, addresses = (elb.create_target_group(Name=kind, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType=kind)["TargetGroups"][0]["TargetGroupArn"]
                        for kind in ("instance", "ip"))
    both = [{"Id": i} for i in ids]
    elb.register_targets(TargetGroupArn=group, Targets=both)
    assert state_of(elb, group, Id=ids[0]) == ("unused", "Target.NotInUse")
    balancer = elb.create_load_balancer(Name="web", Subnets=SUBNETS)["LoadBalancers"][0]["LoadBalancerArn"]
    for port, arn in ((80, group), (81, addresses)):
        elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}])
    elb.get_waiter("target_in_service").wait(TargetGroupArn=group, WaiterConfig=FAST)
    described = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    assert sorted(d["Target"]["Id"] for d in described) == sorted(ids)
    assert described[0]["Target"]["Port"] == 8080 and described[0]["HealthCheckPort"] == "8080"
    assert described[0]["TargetHealth"] == {"State": "healthy"}
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "2"}])
    elb.deregister_targets(TargetGroupArn=group, Targets=both)
    assert state_of(elb, group, Id=ids[0]) == ("draining", "Target.DeregistrationInProgress")
    elb.get_waiter("target_deregistered").wait(TargetGroupArn=group, Targets=both, WaiterConfig=FAST)
    assert state_of(elb, group, Id=ids[0]) == ("unused", "Target.NotRegistered")
    address = ec2.describe_instances(InstanceIds=ids[:1])["Reservations"][0]["Instances"][0]["PrivateIpAddress"]
    elb.register_targets(TargetGroupArn=addresses, Targets=[{"Id": address, "Port": 8080}])
    elb.get_waiter("target_in_service").wait(TargetGroupArn=addresses, WaiterConfig=FAST)
    shown = elb.describe_target_health(TargetGroupArn=addresses)["TargetHealthDescriptions"][0]["Target"]
    assert shown == {"Id": address, "Port": 8080, "AvailabilityZone": "us-east-1a"}
    elb.deregister_targets(TargetGroupArn=addresses, Targets=[{"Id": address}])
    assert refused(elb.register_targets, TargetGroupArn=addresses, Targets=[{"Id": address}]) == ("InvalidTarget", 400)
    assert refused(elb.register_targets, TargetGroupArn=addresses, Targets=both) == ("ValidationError", 400)
    assert refused(elb.register_targets, TargetGroupArn=group, Targets=[{"Id": "i-0123456789abcdef0"}]) == ("InvalidTarget", 400)
    assert refused(elb.register_targets, TargetGroupArn=group + "x", Targets=both) == ("TargetGroupNotFound", 400)


def target_faults():
    elb = client("elbv2", retries={"mode": "standard", "total_max_attempts": 1})
    assert refused(elb.register_targets, TargetGroupArn="arn:x", Targets=[{"Id": "i-1"}]) == ("InternalFailure", 500)
    assert refused(elb.describe_target_health, TargetGroupArn="arn:x") == ("Throttling", 400)
    assert refused(client("ssm", retries={"mode": "standard", "total_max_attempts": 1}).get_parameter, Name="x") == ("InternalServerError", 500)


def parameters():
    ssm = client("ssm")
    public = ssm.get_parameter(Name="/aws/service/mayfly/bare/latest")["Parameter"]
    assert public["Value"] == bare(client("ec2")) and public["ARN"] == "arn:aws:ssm:us-east-1::parameter/aws/service/mayfly/bare/latest"
    try:
        ssm.get_parameter(Name="/images/web")
    except ssm.exceptions.ParameterNotFound as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    else:
        raise AssertionError("an unknown parameter was found")
    assert ssm.put_parameter(Name="/images/web", Value="ami-1", Type="String", Description="the image")["Version"] == 1
    assert refused(ssm.put_parameter, Name="/images/web", Value="ami-2") == ("ParameterAlreadyExists", 400)
    assert ssm.put_parameter(Name="/images/web", Value="ami-2", Overwrite=True)["Version"] == 2
    one = ssm.get_parameter(Name="/images/web", WithDecryption=True)["Parameter"]
    assert (one["Value"], one["Version"], one["Type"]) == ("ami-2", 2, "String") and one["LastModifiedDate"].year > 2000
    several = ssm.get_parameters(Names=["/images/web", "/images/db"])
    assert [p["Value"] for p in several["Parameters"]] == ["ami-2"] and several["InvalidParameters"] == ["/images/db"]
    assert refused(ssm.describe_parameters) == ("UnknownOperationException", 400)


def target_story(user_data):
    """On instances that run: launch, register, ask through the balancer, drain, terminate."""
    ec2, elb = client("ec2"), client("elbv2")
    stock = ec2.describe_images(Filters=[{"Name": "name", "Values": ["sandbox/debian-stock-*"]}])
    ids = launch(ec2, ImageId=stock["Images"][0]["ImageId"], InstanceType="t3.micro", UserData=user_data)
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = elb.create_target_group(
        Name="boto", Protocol="HTTP", Port=8080, VpcId=vpc, HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2, UnhealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
    made = elb.create_load_balancer(Name="boto", Subnets=SUBNETS)["LoadBalancers"][0]
    elb.get_waiter("load_balancer_available").wait(Names=["boto"], WaiterConfig=FAST)
    elb.create_listener(LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=8080,
                        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "3"}])
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": ids[0]}])
    elb.get_waiter("target_in_service").wait(TargetGroupArn=group, WaiterConfig=FAST)
    with urllib.request.urlopen(f"http://{made['DNSName']}:8080/", timeout=30) as answer:
        assert answer.read() == b"through the balancer"
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": ids[0]}])
    assert state_of(elb, group, Id=ids[0]) == ("draining", "Target.DeregistrationInProgress")
    elb.get_waiter("target_deregistered").wait(TargetGroupArn=group, Targets=[{"Id": ids[0]}], WaiterConfig=FAST)
    ec2.terminate_instances(InstanceIds=ids)
    ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig=FAST)
    elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    elb.delete_target_group(TargetGroupArn=group)


def story(user_data):
    """On instances that run: launch, console, balance, ask through the balancer, terminate."""
    ec2, elb = client("ec2"), client("elb")
    stock = ec2.describe_images(Filters=[{"Name": "name", "Values": ["sandbox/debian-stock-*"]}])
    ids = launch(ec2, ImageId=stock["Images"][0]["ImageId"], InstanceType="t3.micro", UserData=user_data)
    # Each try is a round trip; the script needs a moment to come up.
    assert any("server starts" in ec2.get_console_output(InstanceId=ids[0]).get("Output", "") for _ in range(5000))
    listener = {"Protocol": "HTTP", "LoadBalancerPort": 8080, "InstanceProtocol": "HTTP", "InstancePort": 8080}
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    name = elb.create_load_balancer(LoadBalancerName="boto", Listeners=[listener], AvailabilityZones=zones)["DNSName"]
    elb.configure_health_check(LoadBalancerName="boto", HealthCheck={
        "Target": "HTTP:8080/", "Interval": 5, "Timeout": 2, "HealthyThreshold": 2, "UnhealthyThreshold": 2})
    members = [{"InstanceId": ids[0]}]
    elb.register_instances_with_load_balancer(LoadBalancerName="boto", Instances=members)
    elb.get_waiter("any_instance_in_service").wait(LoadBalancerName="boto", WaiterConfig=FAST)
    with urllib.request.urlopen(f"http://{name}:8080/", timeout=30) as answer:
        assert answer.read() == b"through the balancer"
    ec2.terminate_instances(InstanceIds=ids)
    ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig=FAST)
    assert elb.describe_instance_health(LoadBalancerName="boto")["InstanceStates"] == []


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
