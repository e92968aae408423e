"""Batch in CloudFormation templates with boto3: how people and the AWS CDK write it, and what updates do."""

import json

import pytest

from conftest import ACCOUNT, wait_for
from test_cloudformation import Stacks, cloud, outputs, stacks  # noqa: F401 (cloud and stacks are fixtures)
from test_cloudformation_updates import NOWHERE, updated

ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
PATIENT = ["sh", "-c", "trap 'exit 3' TERM; while true; do sleep 0.1; done"]
FARGATE = {"MaxvCpus": 256, "SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"], "Type": "FARGATE"}
EC2 = {
    "AllocationStrategy": "BEST_FIT_PROGRESSIVE", "InstanceRole": "ecsInstanceRole", "InstanceTypes": ["c5.large"],
    "MaxvCpus": 8, "MinvCpus": 0, "SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"], "Type": "EC2",
}
# As the CDK writes them.
CDK = {"ReplaceComputeEnvironment": False, "State": "ENABLED", "Type": "managed", "UpdatePolicy": {}}
CONTAINER = {
    "Environment": [], "ExecutionRoleArn": ROLE, "Image": "busybox", "ReadonlyRootFilesystem": False,
    "ResourceRequirements": [{"Type": "MEMORY", "Value": "2048"}, {"Type": "VCPU", "Value": "1"}],
}
EMPTY = {"RetryStrategy": {}, "Timeout": {}, "Type": "container"}


def environment(resources=EC2, **properties):
    return {"Type": "AWS::Batch::ComputeEnvironment", "Properties": {"Type": "MANAGED", "ComputeResources": resources, **properties}}


def definition(container=None, **properties):
    given = {"Type": "container", "ContainerProperties": {**CONTAINER, **(container or {})}, **properties}
    return {"Type": "AWS::Batch::JobDefinition", "Properties": given}


def queue(order, **properties):
    entry = [{"ComputeEnvironment": order, "Order": 1}]
    return {"Type": "AWS::Batch::JobQueue", "Properties": {"Priority": 1, "ComputeEnvironmentOrder": entry, **properties}}


def described(stacks, kind, arn):
    batch = stacks.server.client("batch")
    calls = {
        "ComputeEnvironment": lambda: batch.describe_compute_environments(computeEnvironments=[arn])["computeEnvironments"],
        "JobQueue": lambda: batch.describe_job_queues(jobQueues=[arn])["jobQueues"],
        "JobDefinition": lambda: batch.describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"],
        "SchedulingPolicy": lambda: batch.describe_scheduling_policies(arns=[arn])["schedulingPolicies"],
        "ConsumableResource": lambda: [batch.describe_consumable_resource(consumableResource=arn)],
    }
    found = calls[kind]()
    return found[0] if found else None


# What templates may say

LIMIT = {"Action": "cancel", "MaxTimeSeconds": "600", "Reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "State": "runnable"}
LOGS = {"LogDriver": "AWSLOGS", "Options": {"awslogs-group": "g", "awslogs-stream-prefix": "x", "awslogs-region": "us-east-1"}}
TASK = {
    "ExecutionRoleArn": ROLE, "RuntimePlatform": {}, "NetworkConfiguration": {"AssignPublicIp": "enabled"},
    "Containers": [
        {"Name": "a", "Image": "busybox", "ResourceRequirements": [{"Type": "vcpu", "Value": 1}, {"Type": "memory", "Value": 2048}]},
        {"Name": "b", "Image": "busybox", "DependsOn": [{"ContainerName": "a", "Condition": "start"}], "Essential": "false",
         "LogConfiguration": {"LogDriver": "awslogs"},
         "ResourceRequirements": [{"Type": "VCPU", "Value": "1"}, {"Type": "MEMORY", "Value": "2048"}]},
    ],
}
NODES = {
    "MainNode": "0", "NumNodes": 3, "NodeRangeProperties": [
        {"TargetNodes": "0:1", "Container": CONTAINER},
        {"TargetNodes": "2:", "Container": {**CONTAINER, "ResourceRequirements": [{"Type": "vcpu", "Value": 2}, {"Type": "memory", "Value": 64}]}},
    ],
}
FARGATE_SIZE = {"ResourceRequirements": [{"Type": "MEMORY", "Value": 512}, {"Type": "VCPU", "Value": 0.25}]}

# A resource, a member of what is described then, and its value.
SPELLINGS = {
    "fargate environment of the CDK": (environment(FARGATE, **CDK), "type", "MANAGED"),
    "spot environment of the CDK": (environment({**FARGATE, "Type": "FARGATE_SPOT"}, **CDK), "state", "ENABLED"),
    "small letters": (environment({**EC2, "Type": "ec2", "AllocationStrategy": "best_fit_progressive"}, State="disabled"), "state", "DISABLED"),
    "numbers as text": (environment({**EC2, "MaxvCpus": "12", "MinvCpus": "0"}, **CDK), "computeResources.maxvCpus", 12),
    "image type": (
        environment({**EC2, "Ec2Configuration": [{"ImageType": "ECS_AL2023"}]}, **CDK),
        "computeResources.ec2Configuration", [{"imageType": "ECS_AL2023"}]),
    "latest image and tags": (
        environment({**EC2, "UpdateToLatestImageVersion": True, "Tags": {"a": "b"}}, **CDK, Tags={"a": "b"}), "computeResources.tags", {"a": "b"}),
    "update policy": (
        environment(ReplaceComputeEnvironment="false", UpdatePolicy={"JobExecutionTimeoutMinutes": "60", "TerminateJobsOnUpdate": "true"}),
        "updatePolicy", {"jobExecutionTimeoutMinutes": 60, "terminateJobsOnUpdate": True}),
    "bid percentage": (
        environment({**EC2, "Type": "SPOT", "AllocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED", "BidPercentage": 20}, **CDK),
        "computeResources.bidPercentage", 20),
    "time limits": (
        queue({"Ref": "Where"}, JobStateTimeLimitActions=[LIMIT], State="ENABLED"), "jobStateTimeLimitActions",
        [{"action": "CANCEL", "maxTimeSeconds": 600, "reason": LIMIT["Reason"], "state": "RUNNABLE"}]),
    "fair-share queue": (
        queue({"Fn::GetAtt": ["Where", "ComputeEnvironmentArn"]}, SchedulingPolicyArn={"Fn::GetAtt": ["Policy", "Arn"]}, Priority="7"), "priority", 7),
    "queue type": (queue({"Ref": "Where"}, JobQueueType="ecs_fargate"), "jobQueueType", "ECS_FARGATE"),
    "shares": (
        {"Type": "AWS::Batch::SchedulingPolicy", "Properties": {"FairsharePolicy": {
            "ComputeReservation": "75", "ShareDecaySeconds": "300",
            "ShareDistribution": [{"ShareIdentifier": "A", "WeightFactor": "0.5"}]}}},
        "fairsharePolicy",
        {"computeReservation": 75, "shareDecaySeconds": 300, "shareDistribution": [{"shareIdentifier": "A", "weightFactor": 0.5}]}),
    "no shares": (
        {"Type": "AWS::Batch::SchedulingPolicy", "Properties": {"FairsharePolicy": {"ShareDecaySeconds": 300, "ShareDistribution": []}}},
        "fairsharePolicy.shareDecaySeconds", 300),
    "consumable": (
        {"Type": "AWS::Batch::ConsumableResource", "Properties": {"ResourceType": "replenishable", "TotalQuantity": "100", "Tags": {"Team": "batch"}}},
        "totalQuantity", 100),
    "empty structures": (definition(**EMPTY, PlatformCapabilities=["EC2"]), "platformCapabilities", ["EC2"]),
    "fargate definition of the CDK": (
        definition({**FARGATE_SIZE, "EphemeralStorage": {"SizeInGiB": "100"}, "FargatePlatformConfiguration": {}, "RuntimePlatform": {},
                    "NetworkConfiguration": {"AssignPublicIp": "DISABLED"}}, **EMPTY, PlatformCapabilities=["fargate"]),
        "containerProperties.ephemeralStorage", {"sizeInGiB": 100}),
    "numbers of sizes": (
        definition(FARGATE_SIZE, PlatformCapabilities=["FARGATE"]), "containerProperties.resourceRequirements",
        [{"type": "MEMORY", "value": "512"}, {"type": "VCPU", "value": "0.25"}]),
    "type in capitals": (definition(Type="Container"), "type", "container"),
    "logs": (definition({"LogConfiguration": LOGS}), "containerProperties.logConfiguration.logDriver", "awslogs"),
    "empty log options": (
        definition({"LogConfiguration": {"LogDriver": "awslogs", "Options": {}}}), "containerProperties.logConfiguration.logDriver", "awslogs"),
    "retries": (
        definition(RetryStrategy={"Attempts": "5", "EvaluateOnExit": [{"Action": "exit", "OnExitCode": "40*", "OnReason": "some reason"}]}),
        "retryStrategy", {"attempts": 5, "evaluateOnExit": [{"action": "EXIT", "onExitCode": "40*", "onReason": "some reason"}]}),
    "timeout, priority, tags": (
        definition(Timeout={"AttemptDurationSeconds": "300"}, SchedulingPriority="5", PropagateTags="true", Tags={"a": "b"}),
        "timeout", {"attemptDurationSeconds": 300}),
    "parameters": (definition({"Command": ["echo", "Ref::x"]}, Parameters={"x": 1}), "parameters", {"x": "1"}),
    "linux": (
        definition({"LinuxParameters": {"InitProcessEnabled": "true", "SharedMemorySize": "64", "Devices": [], "Tmpfs": []},
                    "Ulimits": [{"HardLimit": "100", "Name": "nofile", "SoftLimit": 50}], "Secrets": [], "MountPoints": [], "Volumes": []}),
        "containerProperties.ulimits", [{"hardLimit": 100, "name": "nofile", "softLimit": 50}]),
    "vcpus and memory": (
        definition({"ResourceRequirements": [], "Vcpus": "2", "Memory": "128"}), "containerProperties.vcpus", 2),
    "consumes": (
        definition(ConsumableResourceProperties={"ConsumableResourceList": [{"ConsumableResource": {"Ref": "Licence"}, "Quantity": "2"}]}),
        "consumableResourceProperties.consumableResourceList.0.quantity", 2),
    "several containers": (
        {"Type": "AWS::Batch::JobDefinition", "Properties": {"Type": "container", "EcsProperties": {"TaskProperties": [
            {key: value for key, value in TASK.items() if key != "NetworkConfiguration"}]}}},
        "ecsProperties.taskProperties.0.containers.1.dependsOn", [{"containerName": "a", "condition": "START"}]),
    "several containers on fargate": (
        {"Type": "AWS::Batch::JobDefinition", "Properties": {
            "Type": "container", "PlatformCapabilities": ["FARGATE"], "EcsProperties": {"TaskProperties": [TASK]}}},
        "ecsProperties.taskProperties.0.networkConfiguration.assignPublicIp", "ENABLED"),
    "nodes": (
        {"Type": "AWS::Batch::JobDefinition", "Properties": {"NodeProperties": NODES, **EMPTY, "Type": "Multinode", "PlatformCapabilities": ["EC2"]}},
        "nodeProperties.numNodes", 3),
    "retention": (definition(ResourceRetentionPolicy={"SkipDeregisterOnUpdate": True}), "status", "ACTIVE"),
}


def at(value, path):
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def test_every_spelling_is_taken(stacks, name):
    template = {"Resources": {
        "Where": environment(FARGATE),
        "Policy": {"Type": "AWS::Batch::SchedulingPolicy", "Properties": {}},
        "Licence": {"Type": "AWS::Batch::ConsumableResource", "Properties": {"ResourceType": "REPLENISHABLE", "TotalQuantity": 9}},
        **{f"Case{n}": resource for n, (resource, _, _) in enumerate(SPELLINGS.values())},
    }}
    assert stacks.made(name, template)["StackStatus"] == "CREATE_COMPLETE", [event for event in stacks.events(name) if event[1] == "CREATE_FAILED"]
    ids = stacks.resources(name)
    for n, (case, (resource, path, expected)) in enumerate(SPELLINGS.items()):
        shown = described(stacks, resource["Type"].split("::")[2], ids[f"Case{n}"])
        assert at(shown, path) == expected, case
    stacks.removed(name)


REFUSED = {
    "unmanaged": (environment(Type="unmanaged"), "UNMANAGED"),
    "gpu": (environment({**EC2, "Ec2Configuration": [{"ImageType": "ECS_AL2023_NVIDIA"}]}), "ECS_AL2023_NVIDIA"),
    "launch template": (environment({**EC2, "LaunchTemplate": {"LaunchTemplateName": "x"}}), "launchTemplate"),
    "unmanaged vCPUs": (environment(UnmanagedvCpus=4), "UnmanagedvCpus"),
    "eks": ({"Type": "AWS::Batch::JobDefinition", "Properties": {"Type": "container", "EksProperties": {}}}, "EksProperties"),
    "exec": (definition({"EnableExecuteCommand": True}), "enableExecuteCommand"),
    "instance type of nodes": (
        {"Type": "AWS::Batch::JobDefinition", "Properties": {"Type": "multinode", "NodeProperties": {
            "MainNode": 0, "NumNodes": 1, "NodeRangeProperties": [{"TargetNodes": "0:0", "Container": {**CONTAINER, "InstanceType": "r4.large"}}]}}},
        "instanceType"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_there_is_refused_by_name(stacks, name, case):
    resource, word = REFUSED[case]
    template = {"Resources": {"Bad": resource}}
    try:
        stack = stacks.made(name, template)
    except stacks.client.exceptions.ClientError as refusal:
        assert word in str(refusal)
        return
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert word in stacks.reason(name, "Bad")
    stacks.removed(name)


# Updates of compute environments


def with_queue(resources=EC2, more=None, **properties):
    """An environment, a queue on it, and what `more` there is."""
    return {"Resources": {
        "Environment": environment(resources, **properties), "Queue": queue({"Ref": "Environment"}), **(more or {}),
    }}


def order(stacks, ids):
    return [entry["computeEnvironment"] for entry in described(stacks, "JobQueue", ids["Queue"])["computeEnvironmentOrder"]]


NEW_TYPES = {**EC2, "InstanceTypes": ["m5.large"]}


@pytest.mark.parametrize(
    "before, after, replaced",
    [
        (with_queue(), with_queue({**EC2, "MaxvCpus": 16, "MinvCpus": 2}), False),
        (with_queue(), with_queue(State="DISABLED"), False),
        (with_queue(), with_queue(Type="managed"), False),
        (with_queue(), with_queue(NEW_TYPES), True),
        (with_queue(**CDK), with_queue(NEW_TYPES, **CDK), False),
        (with_queue(**CDK), with_queue({**EC2, "Type": "SPOT", "AllocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}, **CDK), False),
        (with_queue({**EC2, "Ec2KeyPair": "k"}, **CDK), with_queue(**CDK), False),
        (with_queue(**CDK), with_queue({**EC2, "SpotIamFleetRole": "r"}, **CDK), True),
        (with_queue(FARGATE), with_queue({**FARGATE, "Subnets": ["subnet-2"]}), False),
        (with_queue(FARGATE), with_queue({**FARGATE, "Type": "FARGATE_SPOT"}), True),
        (with_queue(FARGATE, **CDK), with_queue({**FARGATE, "Type": "FARGATE_SPOT"}, **CDK), False),
        (with_queue(), with_queue(Tags={"a": "b"}), True),
    ],
)
def test_environments_change_in_place_or_are_replaced(stacks, name, before, after, replaced):
    assert stacks.made(name, before)["StackStatus"] == "CREATE_COMPLETE", stacks.events(name)
    old = stacks.resources(name)
    assert updated(stacks, name, after)["StackStatus"] == "UPDATE_COMPLETE", stacks.events(name)
    new = stacks.resources(name)
    assert (new["Environment"] != old["Environment"], new["Queue"]) == (replaced, old["Queue"])
    assert order(stacks, new) == [new["Environment"]], "the queue follows"
    assert (described(stacks, "ComputeEnvironment", old["Environment"]) is None) == replaced
    shown = described(stacks, "ComputeEnvironment", new["Environment"])
    wanted = after["Resources"]["Environment"]["Properties"]["ComputeResources"]
    assert (shown["status"], shown["computeResources"].get("instanceTypes")) == ("VALID", wanted.get("InstanceTypes"))
    assert shown["computeResources"].get("ec2KeyPair") == wanted.get("Ec2KeyPair")
    stacks.removed(name)


def test_one_with_a_name_is_not_replaced(stacks, name):
    named = {"ComputeEnvironmentName": f"{name}-ce"}
    stacks.made(name, with_queue(**named))
    stack = updated(stacks, name, with_queue(NEW_TYPES, **named))
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    reasons = [reason for _, status, reason in stacks.events(name) if status == "UPDATE_FAILED" and "custom-named" in (reason or "")]
    assert f"Rename {name}-ce and update the stack again." in reasons[0]
    assert updated(stacks, name, with_queue(NEW_TYPES, ReplaceComputeEnvironment=False, **named))["StackStatus"] == "UPDATE_COMPLETE"
    stacks.removed(name)


@pytest.mark.parametrize("properties", [{}, CDK])
def test_a_failed_update_leads_back(stacks, name, properties):
    stacks.made(name, with_queue(**properties))
    old = stacks.resources(name)
    broken = with_queue({**NEW_TYPES, "MaxvCpus": 16}, {"Bad": {**NOWHERE, "DependsOn": "Queue"}}, **properties)
    assert updated(stacks, name, broken)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", stacks.events(name)
    assert stacks.resources(name)["Environment"] == old["Environment"]
    shown = described(stacks, "ComputeEnvironment", old["Environment"])["computeResources"]
    assert (shown["instanceTypes"], shown["maxvCpus"], order(stacks, old)) == (["c5.large"], 8, [old["Environment"]])
    stacks.removed(name)


def test_a_stacks_update_ends_with_the_last_old_instance_also_where_the_server_is_killed(stacks, name, busybox_layout):
    batch = stacks.server.client("batch")
    policy = {**CDK, "UpdatePolicy": {"JobExecutionTimeoutMinutes": 60}}
    work = {"Work": definition({"Image": str(busybox_layout), "Command": PATIENT})}
    stacks.made(name, with_queue(more=work, **policy))
    ids = stacks.resources(name)
    job = batch.submit_job(jobName="j", jobQueue=ids["Queue"], jobDefinition=ids["Work"])["jobId"]
    state = lambda: batch.describe_jobs(jobs=[job])["jobs"][0]["status"]
    wait_for(lambda: state() == "RUNNING")
    stacks.client.update_stack(StackName=name, TemplateBody=json.dumps(with_queue(NEW_TYPES, work, **policy)))
    wait_for(lambda: described(stacks, "ComputeEnvironment", ids["Environment"])["status"] == "UPDATING")
    assert (stacks.stack(name)["StackStatus"], state()) == ("UPDATE_IN_PROGRESS", "RUNNING")
    stacks.server.kill()
    stacks.server.start()
    assert described(stacks, "ComputeEnvironment", ids["Environment"])["status"] == "UPDATING"
    assert (stacks.stack(name)["StackStatus"], state()) == ("UPDATE_IN_PROGRESS", "RUNNING")
    batch.terminate_job(jobId=job, reason="done")
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE"
    assert described(stacks, "ComputeEnvironment", ids["Environment"])["status"] == "VALID"
    stacks.removed(name)
    stacks.server.client("logs").delete_log_group(logGroupName="/aws/batch/job")


# Revisions of job definitions


def revisions(stacks, name, status="ACTIVE"):
    found = stacks.server.client("batch").describe_job_definitions(jobDefinitionName=name, status=status)["jobDefinitions"]
    return [revision["revision"] for revision in found]


def test_a_changed_definition_is_a_new_revision_of_the_same_name(stacks, name):
    command = lambda *words, **more: {"Resources": {"Work": definition({"Command": list(words)}, **more)}}
    stacks.made(name, command("one"))
    first = stacks.resources(name)["Work"]
    called, number = first.rsplit("/", 1)[1].split(":")
    assert number == "1"
    assert updated(stacks, name, command("two"))["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.resources(name)["Work"].endswith(f"/{called}:2")
    assert (revisions(stacks, called), revisions(stacks, called, "INACTIVE")) == ([2], [1])
    broken = command("three")
    broken["Resources"]["Bad"] = {**NOWHERE, "DependsOn": "Work"}
    assert updated(stacks, name, broken)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert (stacks.resources(name)["Work"].endswith(f"/{called}:2"), revisions(stacks, called)) == (True, [2])
    assert updated(stacks, name, command("three"))["StackStatus"] == "UPDATE_COMPLETE"
    assert revisions(stacks, called) == [4], "the number of what was rolled back is not given out again"
    stacks.removed(name)
    assert revisions(stacks, called) == []


def test_former_revisions_of_a_definition_stay_where_its_policy_says_so(stacks, name):
    keep = {"ResourceRetentionPolicy": {"SkipDeregisterOnUpdate": True}}
    command = lambda *words, **more: {"Resources": {"Work": definition({"Command": list(words)}, JobDefinitionName=name, **more)}}
    stacks.made(name, command("one"))
    for template, there in [
        (command("two", **keep), [1, 2]),
        (command("two"), [1, 2]),
        (command("two", **keep), [1, 2]),
        (command("three"), [1, 3]),
        (command("four", **keep), [1, 3, 4]),
    ]:
        assert updated(stacks, name, template)["StackStatus"] == "UPDATE_COMPLETE", stacks.events(name)
        assert revisions(stacks, name) == there
    broken = command("five", **keep)
    broken["Resources"]["Bad"] = {**NOWHERE, "DependsOn": "Work"}
    assert updated(stacks, name, broken)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert revisions(stacks, name) == [1, 3, 4], "what was rolled back goes"
    stacks.removed(name)
    assert revisions(stacks, name) == [1, 3], "the stack takes its own revision along"
    for revision in (1, 3):
        stacks.server.client("batch").deregister_job_definition(jobDefinition=f"{name}:{revision}")


def test_tags_of_policies_and_consumables_change_in_place(stacks, name):
    template = lambda tags: {"Resources": {
        "Policy": {"Type": "AWS::Batch::SchedulingPolicy", "Properties": {"Tags": tags}},
        "Licence": {"Type": "AWS::Batch::ConsumableResource", "Properties": {"ResourceType": "replenishable", "TotalQuantity": 1, "Tags": tags}},
    }}
    stacks.made(name, template({"a": "1"}))
    ids = stacks.resources(name)
    assert updated(stacks, name, template({"b": "2"}))["StackStatus"] == "UPDATE_COMPLETE", stacks.events(name)
    assert stacks.resources(name) == ids
    for arn in ids.values():
        assert stacks.server.client("batch").list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    stacks.removed(name)
