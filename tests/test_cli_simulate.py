"""`barge simulate`: plans from templates and JSON, their table, JSON and chart, and what it says of wrong input."""

import json
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import BARGE, EXAMPLE, BatchBench, push

PLAN = {
    "environments": [{"name": "ce", "type": "FARGATE", "maxvCpus": 4}],
    "queues": [{"name": "jobs", "environments": ["ce"]}],
    "definitions": [{"name": "load", "vcpus": 1, "memory": 2048, "attempts": 3}],
}
JOBS = "name,array,definition,duration,depends_on\nload,8,load,60,\nreport,,load,30,load\n"


@pytest.fixture
def simulate(tmp_path):
    """Writes what it is given to files, and runs the command on them."""

    def run(*options, plan=PLAN, jobs=JOBS, template=None, check=True):
        (tmp_path / "jobs").write_text(jobs)
        if template is None:
            (tmp_path / "plan.json").write_text(json.dumps(plan) if isinstance(plan, dict) else plan)
            source = ["--environments", "plan.json"]
        else:
            source = ["--template", template]
        command = [BARGE, "simulate", *source, "--jobs", "jobs", *options]
        return subprocess.run(command, cwd=tmp_path, check=check, capture_output=True, text=True, timeout=120)

    return run


def report(finished):
    return json.loads(finished.stdout)


IDEAL = ["--fargate-start", "0", "--ec2-start", "0", "--instance-boot", "0", "--interruptions", "0"]


def test_a_plan_is_what_can_be_counted_by_hand(simulate):
    (found,) = report(simulate("--json", "--alone", *IDEAL))["outcomes"]
    assert found["title"] == "FARGATE, as given"
    assert (found["succeeded"], found["failed"], found["attempts"]) == (9, 0, 9)
    # Eight children, four at a time, a minute each; then the job that waits for them.
    assert found["makespanSeconds"] == 150
    (wait,) = found["waits"]
    assert (wait["p50"], wait["p90"], wait["max"]) == (60, 120, 120)
    assert found["vcpus"] == {"mean": pytest.approx(3.4), "peak": 4, "most": 4, "utilisation": pytest.approx(0.85)}
    # 8 minutes and a minute at least, of 1 vCPU and 2 GiB at 0.04937 dollars an hour.
    assert found["costMicros"] == pytest.approx(9 * 49370 / 60, abs=9)
    assert found["timeline"]["queues"] == ["jobs"]
    assert found["timeline"]["samples"][1]["queues"] == [[1, 4, 0, 4]]


def test_types_stand_side_by_side_in_the_table(simulate):
    table = simulate("--seed", "7").stdout
    for title in ("FARGATE, as given", "FARGATE_SPOT", "EC2", "SPOT"):
        assert title in table.splitlines()[0]
    for label in ("makespan", "succeeded", "interruptions", "wait in jobs, 99 %", "instance-hours", "cost, USD"):
        assert any(line.startswith(label) for line in table.splitlines()), table
    assert "9 jobs, seed 7." in table


def test_the_same_seed_gives_the_same_report(simulate):
    jobs = 'array,duration,attempts\n200,"lognormal(600,300)",5\n'
    run = lambda seed: simulate("--json", "--interruptions", "1", "--seed", seed, jobs=jobs).stdout  # noqa: E731
    assert run("1") == run("1")
    assert run("1") != run("2")


def test_spot_repeats_work(simulate):
    jobs = "array,duration,attempts\n100,3600,10\n"
    found = report(simulate("--json", "--interruptions", "0.2", "--compare", "FARGATE_SPOT,SPOT", jobs=jobs))
    assert [outcome["scenario"] for outcome in found["outcomes"]] == ["as given", "FARGATE_SPOT", "SPOT"]
    given, *spot = found["outcomes"]
    assert given["interruptions"] == 0
    for outcome in spot:
        assert outcome["interruptions"] > 0
        assert outcome["attempts"] == 100 + outcome["interruptions"] - outcome["failed"]
        assert outcome["makespanSeconds"] > given["makespanSeconds"]


def test_the_examples_template_is_planned(simulate):
    jobs = '{"definition": "JobDefinition", "duration": "uniform(10,20)", "array": 50}\n'
    found = report(simulate("--json", jobs=jobs, template=EXAMPLE / "template.yaml"))
    assert found["jobs"] == 50
    assert found["outcomes"][0]["scenario"] == "as given"
    assert found["outcomes"][0]["succeeded"] == 50


def test_a_machine_bounds_the_plan(simulate):
    found = report(simulate("--json", "--machine", "2:1048576", "--compare", "FARGATE", *IDEAL))
    machine, fargate = found["outcomes"]
    assert (machine["title"], fargate["title"]) == ("this machine", "FARGATE")
    assert (machine["makespanSeconds"], fargate["makespanSeconds"]) == (270, 150)
    assert machine["costMicros"] is None and fargate["costMicros"] > 0


def test_the_chart_is_drawn(simulate, tmp_path):
    simulate("--svg", "chart.svg", "--alone")
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    for text in ("Jobs in jobs", "RUNNABLE", "RUNNING", "maximum 4"):
        assert text in texts, texts


def test_what_waits_for_ever_says_for_what(simulate):
    jobs = "vcpus,memory,duration\n8,16384,10\n1,2048,10\n"
    finished = simulate("--alone", jobs=jobs)
    assert "1 jobs of jobs never start: needs 8 vCPUs; compute environment ce has 4 of 4 free" in finished.stdout


@pytest.mark.parametrize(
    "plan, jobs, message",
    [
        (PLAN, "duration,queue\n1,jobs\n1,other\n", "barge: jobs:3:3: there is no enabled queue `other`"),
        (PLAN, "duration\nsoon\n", "barge: jobs:2:1: `soon` is neither seconds nor"),
        (PLAN, '{"duration": 1}\n{"duration": 1, "colour": 2}\n', "barge: jobs:2:17: `colour` is not known of jobs"),
        (PLAN, '{"duration": 1', "barge: jobs:1:15: `}` is expected here"),
        ('{\n "queues": 7}', JOBS, "barge: plan.json:2:12: invalid type: integer `7`"),
        ({**PLAN, "queues": []}, JOBS, "barge: plan.json: there is no queue"),
    ],
)
def test_wrong_input_is_said_with_its_place(simulate, plan, jobs, message):
    finished = simulate(plan=plan, jobs=jobs, check=False)
    assert finished.returncode == 1
    assert finished.stderr.startswith(message), finished.stderr


def test_wrong_templates_and_arguments_are_refused(simulate, tmp_path):
    template = tmp_path / "t.yaml"
    template.write_text("Resources: {Q: {Type: 'AWS::Batch::JobQueue', Properties: {Priority: high}}}")
    finished = simulate(template=template, check=False)
    assert finished.returncode == 1
    assert "resource Q: Priority `high` is not a number" in finished.stderr
    for wrong in (["--machine", "8"], ["--interruptions", "-1"], ["--compare", "EKS"], ["--parameter", "A=1"]):
        assert simulate(*wrong, check=False).returncode == 2, wrong
    missing = subprocess.run([BARGE, "simulate", "--jobs", "x"], capture_output=True, text=True)
    assert missing.returncode == 2 and "--template" in missing.stderr


class TestHistory:
    """The workload is what the running Barge has had."""

    @pytest.fixture
    def bench(self, own_server, busybox_layout, name):
        return BatchBench(own_server, push(own_server, busybox_layout, name), name, vcpus=1)

    def test_what_has_run_is_planned_as_it_went(self, bench, tmp_path):
        server = bench.server
        empty = server.barge("simulate", "--history", check=False)
        assert (empty.returncode, empty.stderr) == (1, "barge: the server: there are no jobs in its history\n")

        sleeps = bench.define(["sh", "-c", "sleep 0.5"])
        odd = bench.define(
            ["sh", "-c", "exit $((AWS_BATCH_JOB_ARRAY_INDEX % 2))"], retryStrategy={"attempts": 2}
        )
        jobs = [bench.submit(sleeps, jobName=f"sleep-{n}") for n in range(2)]
        array = bench.submit(odd, arrayProperties={"size": 4})
        after = bench.submit(sleeps, dependsOn=[{"jobId": jobs[0]}])
        failed = bench.submit(sleeps, dependsOn=[{"jobId": array}])
        for job in (*jobs, array, after, failed):
            bench.ended(job)
        done = server.barge("simulate", "--history", "--json", "--alone", *IDEAL)
        (found,) = json.loads(done.stdout)["outcomes"]
        assert found["title"] == "FARGATE, as given"
        # Three sleepers and the even children; the odd ones twice, and the job that waited for the array in vain.
        assert (found["succeeded"], found["failed"], found["attempts"]) == (5, 3, 9)
        assert found["waits"][0]["queue"] == bench.queue
        assert found["vcpus"]["most"] == 1
        assert 0.5 <= found["makespanSeconds"] < 60
        assert done.stderr == "not measured: 1 jobs, taken to run as long as others\n"

        # The same jobs elsewhere: four vCPUs, and a queue of that name.
        plan = {
            "environments": [{"name": "ce", "type": "EC2", "maxvCpus": 8}],
            "queues": [{"name": bench.queue, "environments": ["ce"]}],
        }
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        table = server.barge("simulate", "--history", "--environments", tmp_path / "plan.json", "--compare", "FARGATE").stdout
        assert "EC2, as given" in table.splitlines()[0]
        assert "8 jobs, seed 1." in table
        other = {**plan, "queues": [{"name": "other", "environments": ["ce"]}]}
        (tmp_path / "plan.json").write_text(json.dumps(other))
        foreign = server.barge("simulate", "--history", "--environments", tmp_path / "plan.json", check=False)
        assert foreign.returncode == 1
        assert "there are no jobs in its history" in foreign.stderr

    def test_jobs_come_from_one_place(self):
        for wrong in (["--history", "--jobs", "x"], ["--template", "t"]):
            finished = subprocess.run([BARGE, "simulate", *wrong], capture_output=True, text=True)
            assert finished.returncode == 2, finished.stderr
