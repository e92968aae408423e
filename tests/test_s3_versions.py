"""Versions of S3 objects as boto3 sees them: what is kept, what is hidden, what is gone."""

import urllib.parse

import pytest
from botocore.exceptions import ClientError

from test_s3 import MIB, body, bucket, fetch, refused, s3  # noqa: F401 (fixtures)


def versioning(s3, bucket, status):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


@pytest.fixture
def versioned(s3, bucket):
    versioning(s3, bucket, "Enabled")
    return bucket


def put(s3, bucket, key, text, **more):
    return s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), **more)["VersionId"]


def listed(s3, bucket, **more):
    """Versions and delete markers, each as (key, id, whether it is the latest)."""
    answer = s3.list_object_versions(Bucket=bucket, **more)
    entries = lambda name: [(v["Key"], v["VersionId"], v["IsLatest"]) for v in answer.get(name, [])]
    return entries("Versions"), entries("DeleteMarkers")


def test_a_bucket_says_what_it_keeps(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended", "Enabled"):
        versioning(s3, bucket, status)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


def test_a_bucket_without_versions_shows_none(s3, bucket):
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key="k")
    assert "VersionId" not in s3.head_object(Bucket=bucket, Key="k")
    assert listed(s3, bucket) == ([("k", "null", True)], [])
    assert body(s3, bucket, "k", VersionId="null") == b"x"
    answer = s3.delete_object(Bucket=bucket, Key="k")
    assert "DeleteMarker" not in answer and "VersionId" not in answer
    assert listed(s3, bucket) == ([], [])


def test_every_version_stays(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    versioning(s3, bucket, "Enabled")
    one, two = put(s3, bucket, "k", "one"), put(s3, bucket, "k", "two")
    assert len({one, two}) == 2 and all(urllib.parse.quote(v, safe="") == v for v in (one, two))
    assert body(s3, bucket, "k") == b"two"
    for version, text in (("null", b"before"), (one, b"one"), (two, b"two")):
        answer = s3.get_object(Bucket=bucket, Key="k", VersionId=version)
        assert (answer["Body"].read(), answer["VersionId"]) == (text, version)
        assert s3.head_object(Bucket=bucket, Key="k", VersionId=version)["ContentLength"] == len(text)
        sizes = s3.get_object_attributes(Bucket=bucket, Key="k", VersionId=version, ObjectAttributes=["ObjectSize"])
        assert (sizes["ObjectSize"], sizes["VersionId"]) == (len(text), version)
    assert listed(s3, bucket) == ([("k", two, True), ("k", one, False), ("k", "null", False)], [])
    assert [entry["Size"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [3]


def test_a_delete_marker_hides_an_object(s3, versioned):
    first = put(s3, versioned, "k", "x")
    answer = s3.delete_object(Bucket=versioned, Key="k")
    marker = answer["VersionId"]
    assert answer["DeleteMarker"] is True and marker != first
    for operation in (s3.get_object, s3.head_object):
        with pytest.raises(ClientError) as refusal:
            operation(Bucket=versioned, Key="k")
        headers = refusal.value.response["ResponseMetadata"]["HTTPHeaders"]
        assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker)
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        with pytest.raises(ClientError) as refusal:
            operation(Bucket=versioned, Key="k", VersionId=marker)
        answer = refusal.value.response["ResponseMetadata"]
        assert (answer["HTTPStatusCode"], answer["HTTPHeaders"]["x-amz-delete-marker"]) == (405, "true")
        assert answer["HTTPHeaders"]["allow"] == "DELETE" and "last-modified" in answer["HTTPHeaders"]
    refused("NoSuchKey", s3.get_object, Bucket=versioned, Key="k")
    refused("MethodNotAllowed", s3.get_object, Bucket=versioned, Key="k", VersionId=marker)
    refused("MethodNotAllowed", s3.get_object_tagging, Bucket=versioned, Key="k", VersionId=marker)
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
    assert listed(s3, versioned) == ([("k", first, False)], [("k", marker, True)])
    assert body(s3, versioned, "k", VersionId=first) == b"x"

    # Without the marker the object is there again.
    answer = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert (answer["DeleteMarker"], answer["VersionId"]) == (True, marker)
    assert body(s3, versioned, "k") == b"x"
    assert [entry["Key"] for entry in s3.list_objects(Bucket=versioned)["Contents"]] == ["k"]


def test_deleting_nothing_makes_a_marker_too(s3, versioned):
    answer = s3.delete_object(Bucket=versioned, Key="none")
    assert answer["DeleteMarker"] is True
    again = s3.delete_object(Bucket=versioned, Key="none")["VersionId"]
    assert listed(s3, versioned) == ([], [("none", again, True), ("none", answer["VersionId"], False)])


def test_a_removed_version_makes_the_one_before_current(s3, versioned):
    one, two, three = (put(s3, versioned, "k", text) for text in ("one", "two", "three"))
    answer = s3.delete_object(Bucket=versioned, Key="k", VersionId=three)
    assert answer["VersionId"] == three and "DeleteMarker" not in answer
    assert body(s3, versioned, "k") == b"two"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=one)
    assert listed(s3, versioned) == ([("k", two, True)], [])
    s3.delete_object(Bucket=versioned, Key="k", VersionId=one)  # gone already
    refused("NoSuchVersion", s3.get_object, Bucket=versioned, Key="k", VersionId=one)
    refused("NoSuchVersion", s3.get_object, Bucket=versioned, Key="other", VersionId=two)


def test_a_suspended_bucket_overwrites_its_null_version(s3, versioned):
    kept = put(s3, versioned, "k", "kept")
    versioning(s3, versioned, "Suspended")
    assert put(s3, versioned, "k", "one") == "null"
    assert put(s3, versioned, "k", "two") == "null"
    assert listed(s3, versioned) == ([("k", "null", True), ("k", kept, False)], [])
    assert body(s3, versioned, "k", VersionId=kept) == b"kept"
    answer = s3.delete_object(Bucket=versioned, Key="k")
    assert (answer["DeleteMarker"], answer["VersionId"]) == (True, "null")
    assert listed(s3, versioned) == ([("k", kept, False)], [("k", "null", True)])
    s3.delete_object(Bucket=versioned, Key="k", VersionId="null")
    assert body(s3, versioned, "k") == b"kept"


def test_many_versions_go_in_one_request(s3, versioned):
    one, two = put(s3, versioned, "a", "one"), put(s3, versioned, "a", "two")
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [
        {"Key": "a"}, {"Key": "a", "VersionId": one}, {"Key": "a", "VersionId": "nonsense"}, {"Key": "b"},
    ]})
    marked, gone, other = answer["Deleted"]
    assert marked["DeleteMarker"] is True and "VersionId" not in marked
    assert gone == {"Key": "a", "VersionId": one}
    assert other["Key"] == "b" and other["DeleteMarker"] is True
    assert [(error["Code"], error["VersionId"]) for error in answer["Errors"]] == [("InvalidArgument", "nonsense")]
    marker = marked["DeleteMarkerVersionId"]
    assert listed(s3, versioned, Prefix="a") == ([("a", two, False)], [("a", marker, True)])
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "a", "VersionId": marker}]})
    assert answer["Deleted"] == [
        {"Key": "a", "VersionId": marker, "DeleteMarker": True, "DeleteMarkerVersionId": marker}
    ]
    assert body(s3, versioned, "a") == b"two"


def test_an_older_version_is_copied_back(s3, versioned):
    old, new = put(s3, versioned, "k", "old", Metadata={"m": "1"}), put(s3, versioned, "k", "new")
    source = {"Bucket": versioned, "Key": "k", "VersionId": old}
    answer = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)
    assert answer["CopySourceVersionId"] == old and answer["VersionId"] not in (old, new)
    assert body(s3, versioned, "k") == b"old" and s3.head_object(Bucket=versioned, Key="k")["Metadata"] == {"m": "1"}
    assert len(listed(s3, versioned)[0]) == 3
    refused("InvalidRequest", s3.copy_object, Bucket=versioned, Key="k", CopySource=f"{versioned}/k")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    refused("NoSuchKey", s3.copy_object, Bucket=versioned, Key="c", CopySource=f"{versioned}/k")
    refused("InvalidRequest", s3.copy_object, Bucket=versioned, Key="c", CopySource={**source, "VersionId": marker})
    refused("NoSuchVersion", s3.copy_object, Bucket=versioned, Key="c", CopySource={**source, "VersionId": "A" * 32})

    upload = s3.create_multipart_upload(Bucket=versioned, Key="c")["UploadId"]
    where = dict(Bucket=versioned, Key="c", UploadId=upload)
    part = s3.upload_part_copy(**where, PartNumber=1, CopySource={**source, "VersionId": new})
    assert part["CopySourceVersionId"] == new
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]}
    done = s3.complete_multipart_upload(**where, MultipartUpload=parts)
    assert body(s3, versioned, "c", VersionId=done["VersionId"]) == b"new"


def test_tags_belong_to_a_version(s3, versioned):
    old, new = put(s3, versioned, "k", "old"), put(s3, versioned, "k", "new")
    tags = lambda **more: s3.get_object_tagging(Bucket=versioned, Key="k", **more)
    tagging = {"TagSet": [{"Key": "a", "Value": "1"}]}
    assert s3.put_object_tagging(Bucket=versioned, Key="k", VersionId=old, Tagging=tagging)["VersionId"] == old
    assert (tags()["TagSet"], tags()["VersionId"]) == ([], new)
    assert tags(VersionId=old)["TagSet"] == tagging["TagSet"]
    assert s3.delete_object_tagging(Bucket=versioned, Key="k", VersionId=old)["VersionId"] == old
    assert tags(VersionId=old)["TagSet"] == []
    assert len(listed(s3, versioned)[0]) == 2


def test_conditions_look_at_the_version(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="k", Body=b"old")
    s3.put_object(Bucket=versioned, Key="k", Body=b"new")
    assert body(s3, versioned, "k", VersionId=old["VersionId"], IfMatch=old["ETag"]) == b"old"
    refused("PreconditionFailed", s3.get_object, Bucket=versioned, Key="k", IfMatch=old["ETag"])
    s3.delete_object(Bucket=versioned, Key="k")
    # A delete marker is no object.
    refused("NoSuchKey", s3.put_object, Bucket=versioned, Key="k", IfMatch=old["ETag"], Body=b"x")
    s3.put_object(Bucket=versioned, Key="k", IfNoneMatch="*", Body=b"x")
    refused("PreconditionFailed", s3.put_object, Bucket=versioned, Key="k", IfNoneMatch="*", Body=b"x")


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_of_versions(s3, versioned, size):
    expected = []
    for key in ("a", "b c", "d/1", "d/2", "é"):
        versions = [put(s3, versioned, key, text) for text in ("1", "2", "3")]
        expected += [(key, version) for version in reversed(versions)]
    pages = s3.get_paginator("list_object_versions")
    found = [
        (version["Key"], version["VersionId"])
        for page in pages.paginate(Bucket=versioned, PaginationConfig={"PageSize": size})
        for version in page.get("Versions", [])
    ]
    assert found == expected
    rolled = list(pages.paginate(Bucket=versioned, Delimiter="/", PaginationConfig={"PageSize": size}))
    assert [p["Prefix"] for page in rolled for p in page.get("CommonPrefixes", [])] == ["d/"]
    assert sum(len(page.get("Versions", [])) for page in rolled) == 9
    after = s3.list_object_versions(Bucket=versioned, KeyMarker="d/1")["Versions"]
    assert [version["Key"] for version in after] == ["d/2"] * 3 + ["é"] * 3


def test_a_bucket_is_emptied_page_by_page(s3, versioned):
    """As tools do it: what a page shows is deleted before the next page is asked for, its marker included."""
    for key in ("a", "b"):
        for text in ("1", "2", "3"):
            put(s3, versioned, key, text)
        s3.delete_object(Bucket=versioned, Key=key)
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=versioned)
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=versioned, PaginationConfig={"PageSize": 3}):
        entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
        names = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
        s3.delete_objects(Bucket=versioned, Delete={"Objects": names})
    s3.delete_bucket(Bucket=versioned)


def test_forms_make_versions(s3, versioned):
    form = s3.generate_presigned_post(versioned, "k")
    boundary = "b0undary"
    fields = {**form["fields"], "file": "posted"}
    lines = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    document = ("".join(lines) + f"--{boundary}--\r\n").encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    status, answer, _ = fetch(form["url"], "POST", document, headers)
    assert status in (200, 201, 204)
    version = s3.head_object(Bucket=versioned, Key="k")["VersionId"]
    assert answer.get("x-amz-version-id", version) == version
    assert body(s3, versioned, "k", VersionId=version) == b"posted"


def test_bad_input(s3, bucket):
    put_versioning = lambda **configuration: dict(Bucket=bucket, VersioningConfiguration=configuration)
    refused("MalformedXML", s3.put_bucket_versioning, **put_versioning(Status="Perhaps"))
    refused("IllegalVersioningConfigurationException", s3.put_bucket_versioning, **put_versioning())
    answer = refused("NotImplemented", s3.put_bucket_versioning, **put_versioning(Status="Enabled", MFADelete="Enabled"))
    assert "MfaDelete" in answer["Error"]["Message"]
    refused("NotImplemented", s3.delete_object, Bucket=bucket, Key="k", MFA="device 123456")
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for version in ("nonsense", "A" * 31, "../../etc/passwd", "é" * 8):
        refused("InvalidArgument", s3.get_object, Bucket=bucket, Key="k", VersionId=version)
        refused("InvalidArgument", s3.delete_object, Bucket=bucket, Key="k", VersionId=version)
        refused("InvalidArgument", s3.list_object_versions, Bucket=bucket, KeyMarker="k", VersionIdMarker=version)
    refused("InvalidArgument", s3.list_object_versions, Bucket=bucket, VersionIdMarker="A" * 32)
    refused("InvalidArgument", s3.list_object_versions, Bucket=bucket, MaxKeys=-1)
    refused("NoSuchVersion", s3.get_object, Bucket=bucket, Key="k", VersionId="A" * 32)
    refused("NoSuchVersion", s3.get_object, Bucket=bucket, Key="k", VersionId="null")
    refused("NoSuchBucket", s3.list_object_versions, Bucket="no-such-bucket-anywhere")
    refused("NoSuchBucket", s3.get_bucket_versioning, Bucket="no-such-bucket-anywhere")


def test_versions_survive_a_kill(own_server):
    s3 = own_server.client("s3")
    s3.create_bucket(Bucket="killed")
    s3.put_object(Bucket="killed", Key="k", Body=b"null")
    versioning(s3, "killed", "Enabled")
    big = "x" * MIB
    versions = [put(s3, "killed", "k", big), put(s3, "killed", "k", "last")]
    marker = s3.delete_object(Bucket="killed", Key="k")["VersionId"]
    own_server.kill()
    own_server.start()
    s3 = own_server.client("s3")
    assert s3.get_bucket_versioning(Bucket="killed")["Status"] == "Enabled"
    assert listed(s3, "killed") == (
        [("k", versions[1], False), ("k", versions[0], False), ("k", "null", False)], [("k", marker, True)],
    )
    assert body(s3, "killed", "k", VersionId=versions[0]) == big.encode()
    assert body(s3, "killed", "k", VersionId="null") == b"null"
    newest = put(s3, "killed", "k", "again")
    assert listed(s3, "killed")[0][0] == ("k", newest, True)


def test_the_cli_shows_and_restores_versions(server, s3, versioned):
    first = put(s3, versioned, "k", "x")
    server.cli("s3", "rm", f"s3://{versioned}/k")
    shown = server.cli("s3api", "list-object-versions", "--bucket", versioned, "--query", "DeleteMarkers[0].VersionId")
    server.cli("s3api", "delete-object", "--bucket", versioned, "--key", "k", "--version-id", shown.stdout.strip('"\n'))
    assert s3.head_object(Bucket=versioned, Key="k")["VersionId"] == first
