"""Bad input that no service's own tests send: each fails alone, with its reason, and the next job still runs.

Wrong signatures, unknown operations and members, malformed JSON and bodies over their limit are in test_gateway.py;
functions that crash, hang or print a gigabyte in test_lambda.py; wrong templates in test_cloudformation.py.
"""

import gzip
import hashlib
import io
import json
import socket
import tarfile

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION, BatchBench, needs
from test_ecr import MANIFEST, Registry, code
from test_gateway import signed

# botocore would refuse some of these itself.
UNCHECKED = Config(parameter_validation=False, retries={"total_max_attempts": 1})
TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
})


class Forge:
    """Makes images whose last layer is what a test wants."""

    def __init__(self, server, repository):
        self.server, self.repository = server, repository
        self.registry = Registry(server)
        server.client("ecr").create_repository(repositoryName=repository)
        busybox = tarfile.TarInfo("bin/busybox")
        busybox.mode = 0o755
        with open(needs("busybox", "busybox-static"), "rb") as program:
            busybox.size = len(program.read())
            program.seek(0)
            self.base = layer([(busybox, program.read()), *(link(f"bin/{tool}", "busybox") for tool in ("sh", "cat", "true"))])

    def image(self, tag, *layers, diff_ids=None, kind="tar", config=None):
        """Pushes an image of the base and these layers; gives its AWS name and the layers' descriptors."""
        layers = [self.base, *layers]
        diff_ids = diff_ids or [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in layers]
        document = {
            "os": "linux", "architecture": "amd64", "config": {"Env": ["PATH=/bin"], **(config or {})},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        blobs = [self.registry.blob(self.repository, blob) for blob in layers]
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                **self.registry.blob(self.repository, json.dumps(document).encode()),
            },
            "layers": [
                {"mediaType": f"application/vnd.oci.image.layer.v1.{kind if number else 'tar'}", **blob}
                for number, blob in enumerate(blobs)
            ],
        }
        path = f"/v2/{self.repository}/manifests/{tag}"
        status, _, answer = self.registry("PUT", path, json.dumps(manifest).encode(), Content_Type=MANIFEST)
        assert status == 201, answer
        return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{self.repository}:{tag}", blobs


def layer(entries):
    """A tar of (TarInfo, content) pairs, with names as they are: tarfile cleans nothing when it writes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry, content in entries:
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def file(name, content=b"overwritten"):
    return tarfile.TarInfo(name), content


def link(name, target, kind=tarfile.SYMTYPE):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, str(target)
    return entry, b""


def folder(name, mode=0o777):
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry, b""


@pytest.fixture(scope="module")
def workshop(server, shell_image):
    """A queue whose jobs show that the server still does its work."""
    return BatchBench(server, shell_image, "bad-input")


@pytest.fixture(scope="module")
def forge(server):
    return Forge(server, "bad-input/images")


@pytest.fixture(autouse=True)
def the_server_goes_on(server, workshop):
    """After each test the server is up and runs a job."""
    yield
    assert server.process.poll() is None, server.log.read_text()[-4000:]
    job = workshop.run("sh", "-c", "echo still here")
    assert (job["status"], workshop.log(job)) == ("SUCCEEDED", ["still here"])


def run(workshop, image, *command):
    """The job of a definition with this image, once it has ended."""
    kept, workshop.image = workshop.image, image
    try:
        return workshop.run(*(command or ["true"]))
    finally:
        workshop.image = kept


# Images that reach for the host's files


@pytest.fixture
def canary(tmp_path):
    """A directory of the host's with one file, which an image knows of; afterwards it is as it was."""
    directory = tmp_path / "host"
    directory.mkdir(mode=0o755)
    (directory / "canary").write_text("untouched")
    before = (directory.stat().st_mode, directory.stat().st_mtime_ns)
    yield directory
    assert (directory / "canary").read_text() == "untouched"
    assert [path.name for path in directory.iterdir()] == ["canary"]
    assert (directory.stat().st_mode, directory.stat().st_mtime_ns) == before


UP = "../" * 24
ESCAPES = {
    "dots": lambda host: [file(f"{UP}{host}/canary")],
    "dots-within": lambda host: [folder("a"), file(f"a/../{UP}{host}/new")],
    "dots-folder": lambda host: [folder(f"{UP}{host}/new")],
    "dots-link": lambda host: [link(f"{UP}{host}/new", "/etc/passwd")],
    "absolute-link": lambda host: [link("a", host), file("a/canary")],
    "relative-link": lambda host: [folder("b"), link("b/a", f"{UP}{host}"), file("b/a/new")],
    "chain-of-links": lambda host: [link("a", "b"), link("b", UP), file(f"a{host}/new")],
    "link-then-folder": lambda host: [link("a", host), folder("a/new")],
    "link-then-link": lambda host: [link("a", host), link("a/new", "/etc/passwd")],
    "link-to-the-process": lambda host: [link("a", "/proc/self/root"), file(f"a{host}/new")],
    "hard-link-out": lambda host: [link("a", f"{UP}{host}/canary", tarfile.LNKTYPE), file("a")],
    "hard-link-through-link": lambda host: [link("a", host), link("b", "a/canary", tarfile.LNKTYPE), file("b")],
    "whiteout-through-link": lambda host: [link("a", host), file("a/.wh.canary", b"")],
    "whiteout-of-the-parent": lambda host: [folder("a"), file("a/.wh...", b"")],
    "opaque-through-link": lambda host: [link("a", host), file("a/.wh..wh..opq", b"")],
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_layer_that_escapes_fails_its_job_and_writes_nothing(workshop, forge, canary, escape):
    image, _ = forge.image(escape, layer(ESCAPES[escape](canary)))
    job = run(workshop, image)
    assert job["status"] == "FAILED"
    assert job["container"]["reason"].startswith("CannotPullContainerError: "), job["container"]
    assert "layer sha256:" in job["container"]["reason"], job["container"]


# Legal as far as the layer goes: what counts is what the container's start makes of it.
INNER_LINKS = {
    "file-over-link": lambda host: [link("a", f"{host}/canary"), file("a")],
    "folder-over-link": lambda host: [link("a", host), folder("a", 0o700)],
    "link-over-folder": lambda host: [folder("a"), link("a", host)],
    "dev": lambda host: [link("dev", host)],
    "proc": lambda host: [link("proc", host)],
    "sys": lambda host: [link("sys", host)],
    "etc": lambda host: [link("etc", host)],
    "tmp": lambda host: [link("tmp", host)],
    "resolv.conf": lambda host: [folder("etc"), link("etc/resolv.conf", f"{host}/canary"), link("etc/hosts", f"{UP}{host}/new")],
    "passwd": lambda host: [folder("etc"), link("etc/passwd", f"{host}/canary"), link("etc/group", f"{UP}{host}/canary")],
}


@pytest.mark.parametrize("links", INNER_LINKS)
def test_links_to_the_host_mean_nothing_in_a_container(workshop, forge, canary, links):
    image, _ = forge.image(links, layer([*INNER_LINKS[links](canary), link("out", canary)]))
    job = run(workshop, image, "sh", "-c", f"echo x > /out/canary; echo y > {canary}/canary; cat /out/canary; true")
    if job["status"] == "FAILED":
        assert "Cannot" in job["container"]["reason"], job["container"]
    else:
        assert "untouched" not in workshop.log(job)


def test_a_working_directory_outside_is_inside(workshop, forge, canary):
    image, _ = forge.image("cwd", layer([link("a", canary)]), config={"WorkingDir": "/a/../../a/new"})
    job = run(workshop, image)
    assert job["status"] == "SUCCEEDED" or "Cannot" in job["container"]["reason"], job["container"]


# Images that are not what they say


def test_a_layer_other_than_announced_is_refused_when_it_is_pushed(forge):
    _, headers, _ = forge.registry("POST", f"/v2/{forge.repository}/blobs/uploads/")
    answer = forge.registry("PUT", f"{headers['location']}?digest=sha256:{'0' * 64}", forge.base)
    assert code(answer) == (400, "DIGEST_INVALID")
    _, blobs = forge.image("whole")
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs[0], "layers": []}
    path = f"/v2/{forge.repository}/manifests/sha256:{'0' * 64}"
    answer = forge.registry("PUT", path, json.dumps(manifest).encode(), Content_Type=MANIFEST)
    assert code(answer) == (400, "DIGEST_INVALID")


def test_a_layer_other_than_the_configuration_says_fails_the_job(workshop, forge):
    good = f"sha256:{hashlib.sha256(forge.base).hexdigest()}"
    image, _ = forge.image("diff-id", layer([file("a")]), diff_ids=[good, f"sha256:{'1' * 64}"])
    job = run(workshop, image)
    assert job["status"] == "FAILED"
    assert "CannotPullContainerError: " in job["container"]["reason"] and "digest" in job["container"]["reason"], job["container"]


def test_a_blob_that_rotted_on_the_disk_fails_the_job(server, workshop, forge):
    image, blobs = forge.image("rot", layer([file("rot", b"fresh" * 100)]))
    digest = blobs[-1]["digest"].removeprefix("sha256:")
    blob, = (path for path in server.data_dir.rglob(f"*{digest}*") if path.is_file())
    rotten = bytearray(blob.read_bytes())
    rotten[600] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(rotten)
    job = run(workshop, image)
    assert job["status"] == "FAILED"
    assert "digest" in job["container"]["reason"], job["container"]


BROKEN = {
    "no-tar": (b"this is no tar" * 100, "tar"),
    "cut": (layer([file("a", b"x" * 10_000)])[:4096], "tar"),
    "no-gzip": (layer([file("a")]), "tar+gzip"),
    "cut-gzip": (gzip.compress(layer([file("a", bytes(range(256)) * 400)]))[:-200], "tar+gzip"),
    "unknown": (b"(\xb5/\xfd" + b"x" * 100, "tar+lzma"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_layer_fails_the_job(workshop, forge, broken):
    blob, kind = BROKEN[broken]
    image, _ = forge.image(broken, blob, kind=kind)
    job = run(workshop, image)
    assert job["status"] == "FAILED"
    assert job["container"]["reason"].startswith("CannotPullContainerError: "), job["container"]


def test_an_image_for_another_machine_fails_the_job(workshop, forge):
    image, _ = forge.image("alien", layer([file("bin/true", b"\x7fELF but not for here")]))
    job = run(workshop, image)
    assert job["status"] == "FAILED" and job["container"]["reason"], job["container"]


# Names that are too long, or no names

NAMES = {
    "bucket": ("s3", "create_bucket", lambda n: {"Bucket": n}, "b" * 64, "InvalidBucketName"),
    "key": ("s3", "put_object", lambda n: {"Bucket": "bad-input-bucket", "Key": n}, "k" * 1025, "KeyTooLongError"),
    "function": (
        "lambda", "create_function",
        lambda n: {"FunctionName": n, "Runtime": "python3.12", "Handler": "i.h", "Role": f"arn:aws:iam::{ACCOUNT}:role/r", "Code": {"ZipFile": b"x"}},
        "f" * 65, "ValidationException",
    ),
    "queue": (
        "batch", "create_job_queue",
        lambda n: {"jobQueueName": n, "priority": 1, "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "bad-input-ce"}]},
        "q" * 129, "ClientException",
    ),
    "environment": (
        "batch", "create_compute_environment",
        lambda n: {"computeEnvironmentName": n, "type": "MANAGED", "computeResources": {
            "type": "FARGATE", "maxvCpus": 1, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}},
        "e" * 129, "ClientException",
    ),
    "job": (
        "batch", "submit_job", lambda n: {"jobName": n, "jobQueue": "bad-input-q", "jobDefinition": "bad-input-names"},
        "j" * 129, "ClientException",
    ),
    "definition": (
        "batch", "register_job_definition",
        lambda n: {"jobDefinitionName": n, "type": "container", "containerProperties": {
            "image": "busybox", "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]}},
        "d" * 129, "ClientException",
    ),
    "stack": (
        "cloudformation", "create_stack",
        lambda n: {"StackName": n, "TemplateBody": "Resources: {G: {Type: AWS::Logs::LogGroup}}"}, "s" * 129, "ValidationError",
    ),
    "table": (
        "dynamodb", "create_table",
        lambda n: {"TableName": n, "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                   "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}]},
        "t" * 256, "ValidationException",
    ),
    "log group": ("logs", "create_log_group", lambda n: {"logGroupName": n}, "g" * 513, "InvalidParameterException"),
    "log stream": (
        "logs", "create_log_stream", lambda n: {"logGroupName": "/aws/batch/job", "logStreamName": n}, "l" * 513,
        "InvalidParameterException",
    ),
    "role": ("iam", "create_role", lambda n: {"RoleName": n, "AssumeRolePolicyDocument": TRUST}, "r" * 65, "ValidationError"),
    "profile": ("iam", "create_instance_profile", lambda n: {"InstanceProfileName": n}, "p" * 129, "ValidationError"),
    "repository": ("ecr", "create_repository", lambda n: {"repositoryName": n}, "r" * 257, "InvalidParameterException"),
    "security group": (
        "ec2", "create_security_group", lambda n: {"GroupName": n, "Description": "d"}, "s" * 256, "InvalidParameterValue",
    ),
}


@pytest.fixture(scope="module")
def bucket(server):
    server.client("s3").create_bucket(Bucket="bad-input-bucket")


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_that_can_not_be_is_refused(server, bucket, workshop, kind):
    service, operation, arguments, long, refusal = NAMES[kind]
    workshop.define(["true"], name="bad-input-names")
    client = server.client(service, config=UNCHECKED)
    names = {"long": long, "very long": long * 500, "empty": "", "control": "a\x01b"}
    if service == "s3":  # its names are part of the path, where botocore lets no others through
        names = {"long": long}
    if kind == "log stream":  # may have control characters, on AWS too
        del names["control"]
    for wrong, value in names.items():
        with pytest.raises(ClientError) as error:
            getattr(client, operation)(**arguments(value))
        answer = error.value.response
        assert 400 <= answer["ResponseMetadata"]["HTTPStatusCode"] < 500, (wrong, answer)
        assert wrong != "long" or answer["Error"]["Code"] == refusal, answer


# Malformed XML

XML = {
    "create-bucket": ("PUT", "/bad-input-new"),
    "multi-delete": ("POST", "/bad-input-bucket?delete"),
    "notification": ("PUT", "/bad-input-bucket?notification"),
    "tagging": ("PUT", "/bad-input-bucket?tagging"),
    "object-tagging": ("PUT", "/bad-input-bucket/key?tagging"),
    "complete-upload": ("POST", "/bad-input-bucket/key?uploadId=UPLOAD"),
}
# An entity that grows to gigabytes, and one that would read a file.
BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY a%d "%s">' % (n, (b"&a%d;" % (n - 1) if n > 1 else b"&a;") * 10) for n in range(1, 12)
) + b"]><x>&a11;</x>"
FILE = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><Tagging><TagSet><Tag><Key>k</Key><Value>&f;</Value></Tag></TagSet></Tagging>'
DOCUMENTS = {
    "cut": b"<Tagging><TagSet>",
    "crossed": b"<a><b></a></b>",
    "text": b"not xml",
    "bytes": b"\xff\xfe\x00<a/>",
    "other": b"<Coffee/>",
    "deep": b"<a>" * 20_000 + b"</a>" * 20_000,
    "bomb": BOMB,
    "file": FILE,
}


@pytest.mark.parametrize("operation", XML)
def test_malformed_xml_is_refused(server, bucket, operation):
    s3 = server.client("s3")
    s3.put_object(Bucket="bad-input-bucket", Key="key", Body=b"x")
    method, path = XML[operation]
    upload = s3.create_multipart_upload(Bucket="bad-input-bucket", Key="key")["UploadId"]
    for name, document in DOCUMENTS.items():
        headers = {"Content-Type": "application/xml", "x-amz-content-sha256": hashlib.sha256(document).hexdigest()}
        status, _, answer = signed(server, "s3", method, path.replace("UPLOAD", upload), document, headers)
        assert status == 400, (name, status, answer)
        assert b"<Code>MalformedXML</Code>" in answer or b"<Code>InvalidRequest</Code>" in answer, (name, answer)
    s3.abort_multipart_upload(Bucket="bad-input-bucket", Key="key", UploadId=upload)
    assert s3.get_bucket_location(Bucket="bad-input-bucket")
    assert "bad-input-new" not in [b["Name"] for b in s3.list_buckets()["Buckets"]]


# What is not there, and what Fargate does not have


def test_a_job_for_what_is_not_there_is_refused(server, workshop):
    definition = workshop.define(["true"])
    arn = f"arn:aws:batch:{REGION}:{ACCOUNT}"
    for queue in ("nowhere", f"{arn}:job-queue/nowhere", f"arn:aws:batch:eu-west-1:{ACCOUNT}:job-queue/{workshop.queue}", "arn:x"):
        with pytest.raises(ClientError) as error:
            workshop.submit(definition, queue=queue)
        assert error.value.response["Error"]["Code"] == "ClientException", queue
    for missing in ("nothing", f"{definition}:7", f"{definition}:0", f"{definition}:x", f"{arn}:job-definition/nothing:1"):
        with pytest.raises(ClientError) as error:
            workshop.submit(missing)
        assert error.value.response["Error"]["Code"] == "ClientException", missing


@pytest.mark.parametrize("vcpu, memory", [("0.25", "2049"), ("0.5", "512"), ("2", "17408"), ("8", "16000"), ("3", "8192"), ("-1", "512"), ("NaN", "512")])
def test_a_pair_that_fargate_does_not_have_is_refused_also_in_an_override(workshop, vcpu, memory):
    requirements = [{"type": "VCPU", "value": vcpu}, {"type": "MEMORY", "value": memory}]
    definition = workshop.define(["true"])
    for attempt in (
        lambda: workshop.define(["true"], vcpu=vcpu, memory=memory),
        lambda: workshop.submit(definition, containerOverrides={"resourceRequirements": requirements}),
    ):
        with pytest.raises(ClientError) as error:
            attempt()
        assert error.value.response["Error"]["Code"] == "ClientException", error.value


def test_a_template_with_a_missing_reference_is_refused(server):
    template = "Resources: {G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Ref Nobody}}}"
    client = server.client("cloudformation")
    with pytest.raises(ClientError, match=r"Unresolved resource dependencies \[Nobody\]"):
        client.create_stack(StackName="bad-input", TemplateBody=template)
    with pytest.raises(ClientError, match="does not exist"):
        client.describe_stacks(StackName="bad-input")


# Requests that are no requests


@pytest.mark.parametrize("raw", [
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /%ff%fe%00/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Header: y\r\n" * 5000 + b"\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
], ids=["empty", "verb", "tls", "negative", "two-lengths", "chunk", "path", "headers", "long-path"])
def test_what_is_no_request_gets_no_more_than_a_refusal(server, raw):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        except OSError:
            return  # the server may close before it has read what it refuses
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")), answer[:200]
