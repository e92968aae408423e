"""AWS Batch with boto3: what environments, queues and definitions take, how they are listed, and tags."""

import pytest

from conftest import ACCOUNT, REGION
from test_batch_arrays import pages, refused

INSTANCES = {
    "type": "EC2", "maxvCpus": 16, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"],
    "instanceTypes": ["optimal"], "instanceRole": "ecsInstanceRole",
}


class TestEnvironments:
    @pytest.mark.parametrize(
        "change, word",
        [
            ({"instanceTypes": ["x9.huge"]}, "x9.huge"),
            ({"instanceTypes": []}, "instanceTypes"),
            ({"instanceRole": None}, "instanceRole"),
            ({"minvCpus": 17}, "minvCpus"),
            ({"desiredvCpus": 17}, "desiredvCpus"),
            ({"maxvCpus": 0}, "maxvCpus"),
            ({"allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}, "SPOT"),
            ({"bidPercentage": 50}, "bidPercentage"),
            ({"imageId": "ami-1"}, "imageId"),
            ({"type": "SPOT"}, "spotIamFleetRole"),
            ({"type": "FARGATE"}, "instanceTypes"),
        ],
    )
    def test_members_go_together_as_in_aws(self, aws, name, change, word):
        resources = {key: value for key, value in {**INSTANCES, **change}.items() if value is not None}
        message = refused(
            aws("batch").create_compute_environment, computeEnvironmentName=name, type="MANAGED", computeResources=resources
        )
        assert word in message, message

    def test_they_change_while_jobs_run_and_are_listed_in_pages(self, aws, name):
        batch = aws("batch")
        for n in range(3):
            batch.create_compute_environment(computeEnvironmentName=f"{name}-{n}", type="MANAGED", computeResources=INSTANCES)
        names = [f"{name}-{n}" for n in range(3)]
        found = pages(batch.describe_compute_environments, "computeEnvironments", computeEnvironments=names, maxResults=2)
        assert [[ce["computeEnvironmentName"] for ce in page] for page in found] == [names[:2], names[2:]]
        batch.update_compute_environment(
            computeEnvironment=names[0], computeResources={"minvCpus": 4, "maxvCpus": 32})
        shown = batch.describe_compute_environments(computeEnvironments=names[:1])["computeEnvironments"][0]
        resources = shown["computeResources"]
        assert (resources["maxvCpus"], resources["desiredvCpus"], shown["status"]) == (32, 4, "VALID")
        assert "instanceTypes" in refused(
            batch.update_compute_environment, computeEnvironment=names[0], computeResources={"instanceTypes": ["odd"]})
        for ce in names:
            batch.update_compute_environment(computeEnvironment=ce, state="DISABLED")
            batch.delete_compute_environment(computeEnvironment=ce)
        assert batch.describe_compute_environments(computeEnvironments=names)["computeEnvironments"] == []


class TestQueues:
    def test_time_limits_are_checked_kept_and_changed(self, bench):
        limit = {"reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
        update = lambda **change: bench.batch.update_job_queue(jobQueue=bench.queue, jobStateTimeLimitActions=[{**limit, **change}])
        update()
        shown = bench.batch.describe_job_queues(jobQueues=[bench.queue])["jobQueues"][0]
        assert (shown["jobStateTimeLimitActions"], shown["status"]) == ([limit], "VALID")
        for change in ({"reason": "ODD"}, {"maxTimeSeconds": 599}, {"action": "TERMINATE"}):
            refused(update, **change)

    def test_orders_and_priorities_are_checked(self, bench, name):
        batch, entry = bench.batch, {"order": 1, "computeEnvironment": bench.environment}
        create = lambda **change: batch.create_job_queue(
            **{"jobQueueName": f"{name}-x", "priority": 1, "computeEnvironmentOrder": [entry], **change})
        for change, word in [
            ({"computeEnvironmentOrder": []}, "computeEnvironmentOrder"),
            ({"computeEnvironmentOrder": [entry, entry]}, "twice"),
            ({"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "nobody"}]}, "nobody"),
            ({"priority": 1001}, "priority"),
            ({"jobQueueType": "ECS"}, "ECS"),
            ({"jobQueueType": "SAGEMAKER_TRAINING"}, "SAGEMAKER_TRAINING"),
            ({"schedulingPolicyArn": "nobody"}, "nobody"),
        ]:
            assert word in refused(create, **change)


class TestDefinitions:
    def test_revisions_are_listed_in_pages_and_inactive_ones_stay(self, bench, name):
        for _ in range(3):
            bench.define(["true"], name=name)
        bench.batch.deregister_job_definition(jobDefinition=f"{name}:2")
        found = pages(bench.batch.describe_job_definitions, "jobDefinitions", jobDefinitionName=name, maxResults=2)
        assert [[d["revision"] for d in page] for page in found] == [[1, 2], [3]]
        inactive = bench.batch.describe_job_definitions(jobDefinitionName=name, status="INACTIVE")["jobDefinitions"]
        assert [d["revision"] for d in inactive] == [2]

    @pytest.mark.parametrize(
        "properties, word",
        [
            ({"privileged": True}, "privileged"),
            ({"ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 1}]}, "ulimits"),
            ({"linuxParameters": {"sharedMemorySize": 64}}, "sharedMemorySize"),
            ({"volumes": [{"name": "v", "host": {"sourcePath": "/data"}}]}, "sourcePath"),
            ({"mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]}, "'v'"),
            ({"ephemeralStorage": {"sizeInGiB": 201}}, "ephemeralStorage"),
            ({"logConfiguration": {"logDriver": "splunk"}}, "splunk"),
            ({"vcpus": 1}, "vcpus"),
        ],
    )
    def test_fargates_rules(self, bench, properties, word):
        arguments = {
            "image": bench.image, "command": ["true"], "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/e",
            "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
        }
        message = refused(
            bench.batch.register_job_definition, jobDefinitionName="x", type="container", platformCapabilities=["FARGATE"],
            containerProperties={**arguments, **properties},
        )
        assert word in message, message


class TestTags:
    def test_every_resource_has_them(self, bench, name):
        batch = bench.batch
        batch.create_scheduling_policy(name=name, fairsharePolicy={})
        batch.create_consumable_resource(consumableResourceName=name)
        definition = bench.define(["true"], name=name)
        job = bench.submit(definition)
        for resource in (
            f"job-queue/{bench.queue}", f"compute-environment/{bench.environment}", f"job-definition/{name}:1",
            f"scheduling-policy/{name}", f"consumable-resource/{name}", f"job/{job}",
        ):
            arn = f"arn:aws:batch:{REGION}:{ACCOUNT}:{resource}"
            batch.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
            batch.untag_resource(resourceArn=arn, tagKeys=["a"])
            assert batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}, resource
            assert "aws:" in refused(batch.tag_resource, resourceArn=arn, tags={"aws:x": "1"})
            assert "50" in refused(batch.tag_resource, resourceArn=arn, tags={f"k{n}": "v" for n in range(50)})
        bench.ended(job)
        missing = f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/nobody"
        assert missing in refused(batch.list_tags_for_resource, resourceArn=missing)


class TestSageMaker:
    @pytest.mark.parametrize(
        "operation, arguments",
        [
            ("describe_service_environments", {}),
            ("submit_service_job", {"jobName": "j", "jobQueue": "q", "serviceRequestPayload": "{}", "serviceJobType": "SAGEMAKER_TRAINING"}),
        ],
    )
    def test_its_jobs_are_refused_by_name(self, aws, operation, arguments):
        from botocore.exceptions import ClientError
        with pytest.raises(ClientError) as error:
            getattr(aws("batch"), operation)(**arguments)
        assert operation.replace("_", "") in error.value.response["Error"]["Message"].lower()
