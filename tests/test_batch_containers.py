"""What AWS Batch jobs may say of their containers: several that depend on each other, several nodes, volumes, limits, secrets."""

import json
import uuid

import pytest

from conftest import ACCOUNT, REGION, Server, push, wait_for

EXECUTION = f"arn:aws:iam::{ACCOUNT}:role/execution"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:db-AbCdEf"


class Bench:
    """A server whose operator allows secrets and a path of the host, an EC2 queue, and an image with a shell."""

    def __init__(self, folder, layout):
        self.shared = folder / "shared"
        self.shared.mkdir()
        secrets = folder / "secrets.json"
        secrets.write_text(json.dumps({"plain": "open sesame", "db": {"user": "ada", "port": 5432}}))
        self.server = Server(folder / "data", "--secrets", secrets, "--allow-host-path", self.shared).start()
        self.image = push(self.server, layout, "shell")
        self.batch = self.server.client("batch")
        self.batch.create_compute_environment(
            computeEnvironmentName="ec2", type="MANAGED", state="ENABLED",
            computeResources={
                "type": "EC2", "minvCpus": 0, "maxvCpus": 16, "instanceTypes": ["optimal"], "subnets": ["subnet-1"],
                "securityGroupIds": ["sg-1"], "instanceRole": "ecsInstanceRole",
            },
        )
        self.batch.create_job_queue(
            jobQueueName="q", state="ENABLED", priority=1,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "ec2"}],
        )

    def container(self, *command, **properties):
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
        return {"image": self.image, "command": list(command), "resourceRequirements": needs, **properties}

    def submit(self, kind="container", **definition):
        name = f"d-{uuid.uuid4().hex[:8]}"
        self.batch.register_job_definition(jobDefinitionName=name, type=kind, **definition)
        return self.batch.submit_job(jobName="job", jobQueue="q", jobDefinition=name)["jobId"]

    def run(self, *command, **properties):
        return self.ended(self.submit(containerProperties=self.container(*command, **properties)))

    def submit_several(self, *containers, volumes=()):
        task = {"containers": list(containers), "volumes": list(volumes)}
        return self.submit(ecsProperties={"taskProperties": [task]})

    def job(self, job):
        return self.batch.describe_jobs(jobs=[job])["jobs"][0]

    def state(self, job, *states, seconds=30):
        def reached():
            found = self.job(job)
            return found if found["status"] in states else None

        return wait_for(reached, seconds, f"{job} {states}")

    def ended(self, job, seconds=30):
        return self.state(job, "SUCCEEDED", "FAILED", seconds=seconds)

    def lines(self, stream):
        events = self.server.client("logs").get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True)
        return [event["message"] for event in events["events"]]

    def log(self, job):
        return self.lines(job["container"]["logStreamName"])

    def containers(self, job):
        """The last attempt's containers by name."""
        task = job["attempts"][-1]["taskProperties"][0]
        return {container["name"]: container for container in task["containers"]}

    def log_of(self, job, container):
        return self.lines(self.containers(job)[container]["logStreamName"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory, busybox_layout):
    made = Bench(tmp_path_factory.mktemp("containers"), busybox_layout)
    yield made
    assert made.server.stop() == 0


WORK = [{"name": "work"}]
MOUNT = [{"sourceVolume": "work", "containerPath": "/work"}]


def after(container, condition):
    return [{"containerName": container, "condition": condition}]


class TestSeveralContainers:
    def test_they_follow_their_dependencies_and_share_volumes(self, bench):
        job = bench.ended(bench.submit_several(
            bench.container("sh", "-c", "echo made > /work/file", name="setup", essential=False, mountPoints=MOUNT),
            bench.container("cat", "/work/file", name="main", dependsOn=after("setup", "SUCCESS"), mountPoints=MOUNT),
            volumes=WORK,
        ))
        assert job["status"] == "SUCCEEDED", job
        assert {name: c["exitCode"] for name, c in bench.containers(job).items()} == {"setup": 0, "main": 0}
        assert bench.log_of(job, "main") == ["made"]
        streams = {name: c["logStreamName"].split("/")[1] for name, c in bench.containers(job).items()}
        assert streams == {"setup": "setup", "main": "main"}

    def test_the_essential_containers_end_stops_the_others(self, bench):
        job = bench.ended(bench.submit_several(
            bench.container(
                "sh", "-c", "trap 'echo bye; exit 5' TERM; > /work/up; while true; do sleep 0.05; done",
                name="side", essential=False, mountPoints=MOUNT,
            ),
            bench.container(
                "sh", "-c", "until [ -e /work/up ]; do sleep 0.05; done", name="main",
                dependsOn=after("side", "START"), mountPoints=MOUNT,
            ),
            volumes=WORK,
        ))
        assert job["status"] == "SUCCEEDED", job
        assert bench.containers(job)["side"]["exitCode"] == 5
        assert bench.log_of(job, "side") == ["bye"]

    def test_a_dependency_that_fails_fails_the_job(self, bench):
        job = bench.ended(bench.submit_several(
            bench.container("sh", "-c", "exit 3", name="setup", essential=False),
            bench.container("true", name="main", dependsOn=after("setup", "SUCCESS")),
        ))
        assert job["status"] == "FAILED"
        containers = bench.containers(job)
        assert containers["setup"]["exitCode"] == 3
        assert "exitCode" not in containers["main"]

    def test_a_sidecar_may_fail(self, bench):
        job = bench.ended(bench.submit_several(
            bench.container("sh", "-c", "> /work/failed; exit 1", name="side", essential=False, mountPoints=MOUNT),
            bench.container("sh", "-c", "until [ -e /work/failed ]; do sleep 0.05; done", name="main", mountPoints=MOUNT),
            volumes=WORK,
        ))
        assert job["status"] == "SUCCEEDED", job

    def test_they_are_stopped_against_the_order_of_dependencies(self, bench):
        watch = "trap '[ -e /work/stopped ] && echo later; exit 0' TERM; > /work/db; while true; do sleep 0.05; done"
        work = "trap '> /work/stopped; exit 0' TERM; > /work/up; while true; do sleep 0.05; done"
        started = "until [ -e /work/db ] && [ -e /work/up ]; do sleep 0.05; done"
        job = bench.ended(bench.submit_several(
            bench.container("sh", "-c", watch, name="db", essential=False, mountPoints=MOUNT),
            bench.container("sh", "-c", work, name="work", essential=False, dependsOn=after("db", "START"), mountPoints=MOUNT),
            bench.container("sh", "-c", started, name="main", mountPoints=MOUNT),
            volumes=WORK,
        ))
        assert job["status"] == "SUCCEEDED", job
        assert bench.log_of(job, "db") == ["later"]

    def test_a_server_that_is_killed_goes_on_where_they_stand(self, bench):
        gate = bench.shared / f"gate-{uuid.uuid4().hex[:8]}"
        volume = [{"name": "host", "host": {"sourcePath": str(bench.shared)}}]
        mount = [{"sourceVolume": "host", "containerPath": "/host"}]
        wait = f"echo once; until [ -e /host/{gate.name} ]; do sleep 0.05; done"
        job = bench.submit_several(
            bench.container("sh", "-c", wait, name="setup", essential=False, mountPoints=mount),
            bench.container("echo", "main", name="main", dependsOn=after("setup", "SUCCESS")),
            volumes=volume,
        )
        bench.state(job, "RUNNING")
        bench.server.kill()
        gate.touch()
        bench.server.start()
        job = bench.ended(job)
        assert job["status"] == "SUCCEEDED", job
        assert (bench.log_of(job, "setup"), bench.log_of(job, "main")) == (["once"], ["main"])
        assert len(job["attempts"]) == 1


class TestNodes:
    def test_each_node_runs_what_its_range_says_and_the_main_node_decides(self, bench):
        # Its first process ends at SIGTERM: without an init the kernel keeps that signal from it.
        worker = bench.container("sh", "-c", "env; sleep 600", linuxParameters={"initProcessEnabled": True})
        main = bench.container("sh", "-c", "env; exit 0")
        job_id = bench.submit(
            kind="multinode",
            nodeProperties={
                "numNodes": 3, "mainNode": 1,
                "nodeRangeProperties": [
                    {"targetNodes": "0:", "container": worker}, {"targetNodes": "1", "container": main},
                ],
            },
        )
        job = bench.ended(job_id, seconds=60)
        assert job["status"] == "SUCCEEDED", job
        for node in range(3):
            detail = bench.job(f"{job_id}#{node}")
            env = dict(line.split("=", 1) for line in bench.log(detail))
            assert env["AWS_BATCH_JOB_ID"] == f"{job_id}#{node}"
            assert env["AWS_BATCH_JOB_NODE_INDEX"] == str(node)
            assert (env["AWS_BATCH_JOB_NUM_NODES"], env["AWS_BATCH_JOB_MAIN_NODE_INDEX"]) == ("3", "1")
            address = env.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS")
            assert address == (None if node == 1 else "127.0.0.1")


class TestVolumes:
    def test_a_scratch_volume_is_gone_with_its_job(self, bench):
        for _ in range(2):
            job = bench.run("sh", "-c", "ls /work; > /work/file; ls /work", volumes=WORK, mountPoints=MOUNT)
            assert (job["status"], bench.log(job)) == ("SUCCEEDED", ["file"])

    def test_a_path_of_the_host_that_the_operator_allows_is_seen(self, bench):
        folder = bench.shared / f"in-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        (folder / "a").write_text("from outside\n")
        volumes = [{"name": "host", "host": {"sourcePath": str(folder)}}]
        mounts = [{"sourceVolume": "host", "containerPath": "/host"}]
        job = bench.run("sh", "-c", "cat /host/a; echo inside > /host/b", volumes=volumes, mountPoints=mounts)
        assert (bench.log(job), (folder / "b").read_text()) == (["from outside"], "inside\n")
        job = bench.run("sh", "-c", "> /host/c || echo refused", volumes=volumes, mountPoints=[{**mounts[0], "readOnly": True}])
        assert bench.log(job)[-1] == "refused"

    def test_other_paths_are_refused_also_through_links(self, bench):
        link = bench.shared / f"link-{uuid.uuid4().hex[:8]}"
        link.symlink_to("/etc")
        for path in ("/etc", str(bench.shared / ".." / "data"), str(link)):
            volumes = [{"name": "host", "host": {"sourcePath": path}}]
            job = bench.run("true", volumes=volumes, mountPoints=[{"sourceVolume": "host", "containerPath": "/host"}])
            assert job["status"] == "FAILED"
            assert "--allow-host-path" in job["container"]["reason"], job["container"]

    def test_a_tmpfs_is_in_memory_and_of_its_size(self, bench):
        tmpfs = [{"containerPath": "/fast", "size": 4, "mountOptions": ["noexec"]}]
        script = "cat /proc/mounts; head -c 5000000 /dev/zero > /fast/x || echo full"
        lines = bench.log(bench.run("sh", "-c", script, linuxParameters={"tmpfs": tmpfs}))
        mount = next(line for line in lines if line.split()[1:3] == ["/fast", "tmpfs"])
        assert "noexec" in mount and "size=4096k" in mount
        assert lines[-1] == "full"


class TestLimits:
    def test_ulimits_are_set(self, bench):
        limits = [{"name": "nofile", "softLimit": 100, "hardLimit": 200}]
        job = bench.run("sh", "-c", "ulimit -Sn; ulimit -Hn", ulimits=limits)
        assert bench.log(job) == ["100", "200"]

    def test_an_init_process_is_first(self, bench):
        assert bench.log(bench.run("sh", "-c", "echo $$")) == ["1"]
        job = bench.run("sh", "-c", "echo $$; exit 6", linuxParameters={"initProcessEnabled": True})
        assert bench.log(job) != ["1"]
        assert job["container"]["exitCode"] == 6

    def test_shared_memory_has_its_size(self, bench):
        job = bench.run("cat", "/proc/mounts", linuxParameters={"sharedMemorySize": 8})
        mount = next(line for line in bench.log(job) if line.split()[1] == "/dev/shm")
        assert "size=8192k" in mount

    def test_a_user_may_be_a_number(self, bench):
        assert bench.log(bench.run("sh", "-c", "id -u; id -g", user="1234:1234")) == ["1234", "1234"]


class TestSecrets:
    def test_secrets_are_variables(self, bench):
        secrets = [
            {"name": "PLAIN", "valueFrom": "plain"},
            {"name": "DB_USER", "valueFrom": f"{SECRET}:user::"},
            {"name": "DB", "valueFrom": SECRET},
        ]
        job = bench.run("sh", "-c", 'echo "$PLAIN"; echo "$DB_USER"; echo "$DB"', secrets=secrets, executionRoleArn=EXECUTION)
        plain, user, whole = bench.log(job)
        assert (plain, user, json.loads(whole)) == ("open sesame", "ada", {"user": "ada", "port": 5432})

    def test_one_that_is_not_there_fails_the_attempt_and_says_what_to_do(self, bench):
        job = bench.run("true", secrets=[{"name": "X", "valueFrom": "nobody"}], executionRoleArn=EXECUTION)
        assert job["status"] == "FAILED"
        reason = job["container"]["reason"]
        assert reason.startswith("ResourceInitializationError: unable to pull secrets or registry auth: "), reason
        assert "secrets.json" in reason

    def test_an_operator_who_names_none_is_told_how(self, server, shell_image, name):
        from conftest import BatchBench

        job = BatchBench(server, shell_image, name).run("true", secrets=[{"name": "X", "valueFrom": "plain"}])
        assert "--secrets" in job["container"]["reason"]
