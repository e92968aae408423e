"""ECR: the API with boto3, and the registry with skopeo and plain HTTP."""

import base64
import hashlib
import http.client
import json
import subprocess

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION, needs, push
from test_cloudformation import Stacks

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def ecr(aws):
    return aws("ecr")


@pytest.fixture
def repository(ecr, name):
    ecr.create_repository(repositoryName=f"team/{name}")
    return f"team/{name}"


def refused(code, operation, **arguments):
    with pytest.raises(ClientError) as refusal:
        operation(**arguments)
    assert refusal.value.response["Error"]["Code"] == code, refusal.value
    return refusal.value.response["Error"]["Message"]


class Registry:
    """The distribution API as plain HTTP."""

    def __init__(self, server, password=None):
        self.port = server.port
        token = server.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        self.authorization = f"Basic {token}" if password is None else password

    def __call__(self, method, path, body=b"", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.authorization:
            headers["Authorization"] = self.authorization
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        result = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return result

    def blob(self, repository, content):
        """Pushes a blob in one request; gives its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        status, headers, _ = self("POST", f"/v2/{repository}/blobs/uploads/")
        assert status == 202
        join = "&" if "?" in headers["location"] else "?"
        status, headers, _ = self("PUT", f"{headers['location']}{join}digest={digest}", content)
        assert (status, headers["docker-content-digest"]) == (201, digest)
        return {"digest": digest, "size": len(content)}

    def image(self, repository, tag, text=b"layer"):
        """Pushes a small image; gives its digest."""
        config = self.blob(repository, b'{"os":"linux","architecture":"amd64","config":{},"rootfs":{"type":"layers","diff_ids":[]}}')
        layer = self.blob(repository, text)
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **layer}],
        }).encode()
        status, headers, body = self("PUT", f"/v2/{repository}/manifests/{tag}", manifest, Content_Type=MANIFEST)
        assert status == 201, body
        return headers["docker-content-digest"]


@pytest.fixture
def registry(server):
    return Registry(server)


def code(answer):
    status, _, body = answer
    return status, json.loads(body)["errors"][0]["code"]


def test_a_repositorys_life(server, ecr, name):
    made = ecr.create_repository(
        repositoryName=name, tags=[{"Key": "team", "Value": "data"}],
        imageScanningConfiguration={"scanOnPush": True},
    )["repository"]
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    assert (made["repositoryArn"], made["repositoryUri"]) == (arn, f"127.0.0.1:{server.port}/{name}")
    assert ecr.describe_repositories(repositoryNames=[name])["repositories"] == [made]
    refused("RepositoryAlreadyExistsException", ecr.create_repository, repositoryName=name)
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "team", "Value": "data"}]
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    refused("RepositoryPolicyNotFoundException", ecr.get_repository_policy, repositoryName=name)
    ecr.set_repository_policy(repositoryName=name, policyText=policy)
    assert ecr.get_repository_policy(repositoryName=name)["policyText"] == policy
    ecr.delete_repository(repositoryName=name)
    message = refused("RepositoryNotFoundException", ecr.describe_repositories, repositoryNames=[name])
    assert message == f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"


def test_skopeo_pushes_and_pulls(server, ecr, busybox_layout, name, tmp_path):
    push(server, busybox_layout, name, "v1")
    detail, = ecr.describe_images(repositoryName=name)["imageDetails"]
    assert detail["imageTags"] == ["v1"] and detail["imageSizeInBytes"] > 100_000
    token = ecr.get_authorization_token()["authorizationData"][0]
    assert token["proxyEndpoint"] == server.endpoint
    credentials = base64.b64decode(token["authorizationToken"]).decode()
    skopeo = [needs("skopeo", "skopeo"), "--insecure-policy"]
    source = f"docker://127.0.0.1:{server.port}/{name}:v1"
    copy = ["copy", "--preserve-digests", "--src-tls-verify=false", "--src-creds", credentials, source, f"oci:{tmp_path / 'pulled'}"]
    subprocess.run([*skopeo, *copy], check=True, capture_output=True, text=True, timeout=60)
    pulled = json.loads((tmp_path / "pulled/index.json").read_text())["manifests"][0]["digest"]
    assert pulled == detail["imageDigest"]
    tags = subprocess.run(
        [*skopeo, "list-tags", "--tls-verify=false", "--creds", credentials, f"docker://127.0.0.1:{server.port}/{name}"],
        check=True, capture_output=True, text=True, timeout=60,
    )
    assert json.loads(tags.stdout)["Tags"] == ["v1"]


def test_images_are_listed_fetched_and_deleted(ecr, registry, repository):
    digest = registry.image(repository, "v1")
    registry.image(repository, "latest")
    other = registry.image(repository, "v2", b"another layer")
    ids = ecr.list_images(repositoryName=repository)["imageIds"]
    assert sorted((image["imageTag"], image["imageDigest"]) for image in ids) == [
        ("latest", digest), ("v1", digest), ("v2", other),
    ]
    got = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}, {"imageTag": "none"}])
    assert json.loads(got["images"][0]["imageManifest"])["mediaType"] == MANIFEST
    assert got["failures"][0]["failureCode"] == "ImageNotFound"
    refused("RepositoryNotEmptyException", ecr.delete_repository, repositoryName=repository)
    refused("ImageNotFoundException", ecr.describe_images, repositoryName=repository, imageIds=[{"imageTag": "none"}])
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])["imageDetails"][0]["imageTags"] == ["latest"]
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    assert [image["imageTag"] for image in ecr.list_images(repositoryName=repository)["imageIds"]] == ["v2"]
    ecr.delete_repository(repositoryName=repository, force=True)
    assert code(registry("GET", f"/v2/{repository}/manifests/v2")) == (404, "NAME_UNKNOWN")


def test_put_image_moves_a_tag_and_refuses_another_digest(ecr, registry, repository):
    first = registry.image(repository, "v1")
    second = registry.image(repository, "v2", b"another layer")
    manifest = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"][0]["imageManifest"]
    refused("ImageDigestDoesNotMatchException", ecr.put_image, repositoryName=repository, imageManifest=manifest,
            imageTag="v2", imageDigest=second)
    image = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v2"}])["images"][0]
    assert image["imageId"]["imageDigest"] == second, "a refused image moves no tag"
    ecr.put_image(repositoryName=repository, imageManifest=manifest, imageTag="v2")
    image = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v2"}])["images"][0]
    assert image["imageId"]["imageDigest"] == first


def test_immutable_tags_stay(ecr, registry, repository):
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    registry.image(repository, "v1")
    with pytest.raises(AssertionError, match="immutable"):
        registry.image(repository, "v1", b"another layer")


@pytest.mark.parametrize("mode, moving, fixed", [
    ("IMMUTABLE_WITH_EXCLUSION", "dev-1", "v1"), ("MUTABLE_WITH_EXCLUSION", "v1", "dev-1"),
])
def test_a_rule_for_tags_has_exclusions(ecr, registry, name, mode, moving, fixed):
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    rule = {"imageTagMutability": mode, "imageTagMutabilityExclusionFilters": filters}
    made = ecr.create_repository(repositoryName=name, **rule)["repository"]
    assert (made["imageTagMutability"], made["imageTagMutabilityExclusionFilters"]) == (mode, filters)
    for tag in (moving, fixed):
        registry.image(name, tag)
    registry.image(name, moving, b"another layer")
    with pytest.raises(AssertionError, match="immutable"):
        registry.image(name, fixed, b"another layer")
    refused("InvalidParameterException", ecr.put_image_tag_mutability, repositoryName=name, imageTagMutability=mode)
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
    registry.image(name, fixed, b"another layer")
    assert "imageTagMutabilityExclusionFilters" not in ecr.describe_repositories(repositoryNames=[name])["repositories"][0]


def test_a_templates_rule_for_tags_changes(server, ecr, name):
    def template(**rule):
        return {"Resources": {"Repository": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": name, **rule}}}}

    def rule():
        shown = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
        return shown["imageTagMutability"], [f["filter"] for f in shown.get("imageTagMutabilityExclusionFilters", [])]

    stacks = Stacks(server)
    filters = [{"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": "dev-*"}]
    excluding = template(ImageTagMutability="IMMUTABLE_WITH_EXCLUSION", ImageTagMutabilityExclusionFilters=filters)
    assert stacks.made(name, excluding)["StackStatus"] == "CREATE_COMPLETE", stacks.events(name)
    assert rule() == ("IMMUTABLE_WITH_EXCLUSION", ["dev-*"])
    stacks.client.update_stack(StackName=name, TemplateBody=json.dumps(template(ImageTagMutability="IMMUTABLE")))
    assert stacks.settled(name)["StackStatus"] == "UPDATE_COMPLETE", stacks.events(name)
    assert rule() == ("IMMUTABLE", [])
    stacks.removed(name)


def test_chunks_ranges_and_the_wrong_digest(registry, repository):
    _, headers, _ = registry("POST", f"/v2/{repository}/blobs/uploads/")
    upload = headers["location"]
    status, headers, _ = registry("PATCH", upload, b"hello ", Content_Range="0-5")
    assert (status, headers["range"]) == (202, "0-5")
    assert registry("PATCH", upload, b"x", Content_Range="3-3")[0] == 416
    registry("PATCH", headers["location"], b"world")
    digest = f"sha256:{hashlib.sha256(b'hello world').hexdigest()}"
    assert registry("PUT", f"{upload}?digest={digest}")[0] == 201
    blob = f"/v2/{repository}/blobs/{digest}"
    assert registry("GET", blob)[2] == b"hello world"
    status, headers, body = registry("GET", blob, Range="bytes=6-")
    assert (status, body, headers["content-range"]) == (206, b"world", "bytes 6-10/11")
    status, headers, body = registry("HEAD", blob)
    assert (status, headers["content-length"], body) == (200, "11", b"")
    _, headers, _ = registry("POST", f"/v2/{repository}/blobs/uploads/")
    wrong = f"sha256:{'0' * 64}"
    assert code(registry("PUT", f"{headers['location']}?digest={wrong}", b"x")) == (400, "DIGEST_INVALID")
    assert registry("GET", f"/v2/{repository}/blobs/{wrong}")[0] == 404


def test_a_blob_is_mounted_from_another_repository(ecr, registry, repository, name):
    digest = registry.blob(repository, b"shared")["digest"]
    ecr.create_repository(repositoryName=name)
    status, headers, _ = registry("POST", f"/v2/{name}/blobs/uploads/?mount={digest}&from={repository}")
    assert (status, headers["docker-content-digest"]) == (201, digest)
    assert registry("GET", f"/v2/{name}/blobs/{digest}")[2] == b"shared"


def test_what_is_not_right_is_refused_in_ocis_words(server, registry, repository):
    anonymous = Registry(server, password="")
    status, headers, _ = anonymous("GET", "/v2/")
    assert status == 401 and headers["www-authenticate"].startswith("Basic realm=")
    forged = Registry(server, password="Basic " + base64.b64encode(b"AWS:guess").decode())
    assert forged("GET", "/v2/")[0] == 401
    assert registry("GET", "/v2/")[0] == 200
    assert code(registry("POST", "/v2/not/there/blobs/uploads/")) == (404, "NAME_UNKNOWN")
    assert code(registry("GET", f"/v2/{repository}/manifests/none")) == (404, "MANIFEST_UNKNOWN")
    assert code(registry("PUT", f"/v2/{repository}/manifests/v1", b"{}", Content_Type=MANIFEST)) == (400, "MANIFEST_INVALID")
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config": {
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{'1' * 64}", "size": 1}}
    answer = registry("PUT", f"/v2/{repository}/manifests/v1", json.dumps(manifest).encode(), Content_Type=MANIFEST)
    assert code(answer)[1] == "MANIFEST_BLOB_UNKNOWN", answer


def test_images_are_there_after_a_kill(own_server, busybox_layout):
    push(own_server, busybox_layout, "kept")
    own_server.kill()
    own_server.start()
    tags = own_server.client("ecr").list_images(repositoryName="kept")["imageIds"]
    assert [image["imageTag"] for image in tags] == ["latest"]


def test_lifecycle_policies_are_kept_and_checked(ecr, repository):
    text = json.dumps({"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan",
                                  "countNumber": 3}, "action": {"type": "expire"}}]})
    refused("LifecyclePolicyNotFoundException", ecr.get_lifecycle_policy, repositoryName=repository)
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=text)
    assert ecr.get_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"] == text
    bad = text.replace("imageCountMoreThan", "sinceImagePulled")
    refused("InvalidParameterException", ecr.put_lifecycle_policy, repositoryName=repository, lifecyclePolicyText=bad)
    assert ecr.delete_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"] == text
    refused("LifecyclePolicyNotFoundException", ecr.delete_lifecycle_policy, repositoryName=repository)
