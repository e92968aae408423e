"""S3 as boto3 sees it: buckets, objects, listings, multipart uploads, presigned URLs, notifications."""

import base64
import datetime
import hashlib
import http.client
import io
import json
import pathlib
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib

import boto3.s3.transfer
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION, wait_for

MIB = 1024 * 1024


@pytest.fixture
def s3(aws):
    return aws("s3")


@pytest.fixture
def bucket(s3, name):
    s3.create_bucket(Bucket=name)
    return name


def refused(code, operation, **arguments):
    with pytest.raises(ClientError) as refusal:
        operation(**arguments)
    assert refusal.value.response["Error"]["Code"] == code, refusal.value
    return refusal.value.response


def body(s3, bucket, key, **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def fetch(url, method="GET", data=None, headers=None):
    request = urllib.request.Request(url, method=method, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


# Buckets


def test_a_bucket_lives_and_dies(s3, name):
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    s3.create_bucket(Bucket=name)  # us-east-1 says yes again
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == REGION
    assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=name)
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_bucket(Bucket=name)
    refused("404", s3.head_bucket, Bucket=name)
    refused("NoSuchBucket", s3.list_objects_v2, Bucket=name)
    refused("NoSuchBucket", s3.delete_bucket, Bucket=name)


def test_buckets_have_regions(s3, aws, name):
    west = aws("s3", region_name="eu-west-1")
    refused("IllegalLocationConstraintException", west.create_bucket, Bucket=name)
    west.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    refused(
        "BucketAlreadyOwnedByYou",
        west.create_bucket,
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    west.put_object(Bucket=name, Key="k", Body=b"x")
    assert name in [b["Name"] for b in west.list_buckets(BucketRegion="eu-west-1")["Buckets"]]
    assert name not in [b["Name"] for b in s3.list_buckets(BucketRegion="us-east-1")["Buckets"]]


def test_bucket_names_are_checked(s3):
    for wrong in ("UPPER", "under_score", "192.168.0.1", "xn--a", "a..b"):
        with pytest.raises(ClientError) as refusal:
            s3.create_bucket(Bucket=wrong)
        assert refusal.value.response["Error"]["Code"] == "InvalidBucketName", wrong


def test_list_buckets_pages(s3, name):
    wanted = [f"{name}-{n}" for n in range(5)]
    for bucket in wanted:
        s3.create_bucket(Bucket=bucket)
    pages = s3.get_paginator("list_buckets").paginate(Prefix=name, PaginationConfig={"PageSize": 2})
    found = [[bucket["Name"] for bucket in page["Buckets"]] for page in pages]
    assert [len(page) for page in found] == [2, 2, 1]
    assert sum(found, []) == wanted


def test_settings_of_a_bucket(s3, bucket):
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "a", "Value": "1"}]
    s3.delete_bucket_tagging(Bucket=bucket)
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)

    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == policy
    refused("MalformedPolicy", s3.put_bucket_policy, Bucket=bucket, Policy="{")
    s3.delete_bucket_policy(Bucket=bucket)
    refused("NoSuchBucketPolicy", s3.get_bucket_policy, Bucket=bucket)

    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert block and all(block.values())
    block["BlockPublicAcls"] = False
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == block
    s3.delete_public_access_block(Bucket=bucket)
    refused("NoSuchPublicAccessBlockConfiguration", s3.get_public_access_block, Bucket=bucket)

    controls = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert controls == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_what_barge_lacks_is_refused_by_name(s3, bucket):
    answer = refused("NotImplemented", s3.get_bucket_replication, Bucket=bucket)
    assert "GetBucketReplication" in answer["Error"]["Message"]
    own_key = dict(ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/mine")
    answer = refused("NotImplemented", s3.put_object, Bucket=bucket, Key="k", **own_key)
    assert "SSEKMSKeyId" in answer["Error"]["Message"]
    refused("NotImplemented", s3.get_bucket_website, Bucket=bucket)
    refused("NotImplemented", s3.put_object, Bucket=bucket, Key="k", StorageClass="GLACIER")
    refused("AccessControlListNotSupported", s3.put_object, Bucket=bucket, Key="k", ACL="public-read")
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="k")


# Objects


def test_an_object_comes_back_as_it_went(s3, bucket):
    expires = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    put = s3.put_object(
        Bucket=bucket,
        Key="päth/to a+file?.txt",
        Body=b"hello",
        ContentType="text/plain",
        ContentEncoding="identity",
        ContentLanguage="en",
        ContentDisposition="attachment",
        CacheControl="no-cache",
        Expires=expires,
        Metadata={"Colour": "blue", "n": "1"},
        Tagging="a=1&b=x%20y",
        StorageClass="STANDARD_IA",
    )
    assert put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    for answer in (
        s3.get_object(Bucket=bucket, Key="päth/to a+file?.txt"),
        s3.head_object(Bucket=bucket, Key="päth/to a+file?.txt"),
    ):
        assert answer["ContentLength"] == 5
        assert answer["ContentType"] == "text/plain"
        assert answer["ContentEncoding"] == "identity"
        assert answer["ContentLanguage"] == "en"
        assert answer["ContentDisposition"] == "attachment"
        assert answer["CacheControl"] == "no-cache"
        assert answer["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT"
        assert answer["Metadata"] == {"colour": "blue", "n": "1"}
        assert answer["StorageClass"] == "STANDARD_IA"
        assert answer["AcceptRanges"] == "bytes"
        assert answer["ETag"] == put["ETag"]
        age = datetime.datetime.now(datetime.timezone.utc) - answer["LastModified"]
        assert abs(age) < datetime.timedelta(minutes=5)
    assert body(s3, bucket, "päth/to a+file?.txt") == b"hello"
    assert s3.get_object(Bucket=bucket, Key="päth/to a+file?.txt")["TagCount"] == 2
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["päth/to a+file?.txt"]


def test_an_object_is_replaced_and_removed(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"one")
    s3.put_object(Bucket=bucket, Key="k", Body=b"two")
    assert body(s3, bucket, "k") == b"two"
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert body(s3, bucket, "k") == b""
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="k")
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="k")
    refused("404", s3.head_object, Bucket=bucket, Key="k")


def test_an_open_download_survives_its_object(s3, bucket):
    data = bytes(range(256)) * 4096 * 16
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    stream = s3.get_object(Bucket=bucket, Key="k")["Body"]
    first = stream.read(1000)
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    assert first + stream.read() == data
    assert body(s3, bucket, "k") == b"new"


def test_ranges(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    for range_, expected, content_range in (
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=5-100", b"56789", "bytes 5-9/10"),
    ):
        answer = s3.get_object(Bucket=bucket, Key="k", Range=range_)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["ContentRange"] == content_range
        assert answer["Body"].read() == expected
    answer = refused("InvalidRange", s3.get_object, Bucket=bucket, Key="k", Range="bytes=10-")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 416


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    hour = datetime.timedelta(hours=1)
    get = dict(operation=s3.get_object, Bucket=bucket, Key="k")
    assert body(s3, bucket, "k", IfMatch=etag) == b"x"
    assert body(s3, bucket, "k", IfNoneMatch='"other"') == b"x"
    assert body(s3, bucket, "k", IfModifiedSince=modified - hour) == b"x"
    assert body(s3, bucket, "k", IfUnmodifiedSince=modified) == b"x"
    refused("PreconditionFailed", **get, IfMatch='"other"')
    refused("304", **get, IfNoneMatch=etag)
    refused("304", **get, IfModifiedSince=modified)
    refused("PreconditionFailed", **get, IfUnmodifiedSince=modified - hour)

    put = dict(operation=s3.put_object, Bucket=bucket, Key="k", Body=b"y")
    refused("PreconditionFailed", **put, IfNoneMatch="*")
    refused("PreconditionFailed", **put, IfMatch='"other"')
    s3.put_object(Bucket=bucket, Key="k", Body=b"y", IfMatch=etag)
    s3.put_object(Bucket=bucket, Key="new", Body=b"z", IfNoneMatch="*")
    refused("NoSuchKey", s3.put_object, Bucket=bucket, Key="none", Body=b"", IfMatch=etag)
    refused("PreconditionFailed", s3.delete_object, Bucket=bucket, Key="k", IfMatch='"other"')
    assert body(s3, bucket, "k") == b"y"


def test_of_many_who_create_one_wins(s3, bucket):
    from concurrent.futures import ThreadPoolExecutor

    def create(n):
        try:
            s3.put_object(Bucket=bucket, Key="k", Body=str(n).encode(), IfNoneMatch="*")
            return n
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"

    with ThreadPoolExecutor(8) as pool:
        winners = [n for n in pool.map(create, range(16)) if n is not None]
    assert len(winners) == 1
    assert body(s3, bucket, "k") == str(winners[0]).encode()


def test_deleting_many(s3, bucket):
    for n in range(5):
        s3.put_object(Bucket=bucket, Key=f"k{n}", Body=b"x")
    keys = [{"Key": f"k{n}"} for n in range(4)] + [{"Key": "none"}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    assert [deleted["Key"] for deleted in answer["Deleted"]] == [key["Key"] for key in keys]
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["k4"]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k4"}], "Quiet": True})
    assert "Deleted" not in answer
    too_many = [{"Key": f"k{n}"} for n in range(1001)]
    refused("MalformedXML", s3.delete_objects, Bucket=bucket, Delete={"Objects": too_many})


def test_copies(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a b", Body=b"data", ContentType="text/csv", Metadata={"m": "1"}, Tagging="t=1")
    source = {"Bucket": bucket, "Key": "a b"}
    copy = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)["CopyObjectResult"]
    assert copy["ETag"] == s3.head_object(Bucket=bucket, Key="a b")["ETag"]
    answer = s3.get_object(Bucket=bucket, Key="copy")
    assert (answer["Body"].read(), answer["ContentType"], answer["Metadata"]) == (b"data", "text/csv", {"m": "1"})
    assert s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == [{"Key": "t", "Value": "1"}]

    s3.copy_object(
        Bucket=bucket, Key="other", CopySource=source, MetadataDirective="REPLACE", Metadata={"m": "2"},
        TaggingDirective="REPLACE", Tagging="u=2", ChecksumAlgorithm="SHA256",
    )
    head = s3.head_object(Bucket=bucket, Key="other", ChecksumMode="ENABLED")
    assert head["Metadata"] == {"m": "2"}
    assert head["ContentType"] == "binary/octet-stream"
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"data").digest()).decode()

    refused("InvalidRequest", s3.copy_object, Bucket=bucket, Key="a b", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="a b", CopySource=source, MetadataDirective="REPLACE", Metadata={})
    s3.delete_object(Bucket=bucket, Key="a b")
    assert body(s3, bucket, "copy") == b"data"
    refused("NoSuchKey", s3.copy_object, Bucket=bucket, Key="x", CopySource=source)
    kept = {"Bucket": bucket, "Key": "copy"}
    wrong = dict(CopySourceIfMatch='"other"')
    refused("PreconditionFailed", s3.copy_object, Bucket=bucket, Key="x", CopySource=kept, **wrong)


def test_tags_of_an_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1"}]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    eleven = [{"Key": str(n), "Value": ""} for n in range(11)]
    refused("InvalidTag", s3.put_object_tagging, Bucket=bucket, Key="k", Tagging={"TagSet": eleven})
    refused("NoSuchKey", s3.get_object_tagging, Bucket=bucket, Key="none")
    assert body(s3, bucket, "k") == b"x"


# Checksums


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_kept_and_returned(s3, bucket, algorithm):
    data = b"123456789"
    expected = {
        "CRC32": zlib.crc32(data).to_bytes(4, "big"),
        "SHA1": hashlib.sha1(data).digest(),
        "SHA256": hashlib.sha256(data).digest(),
    }[algorithm]
    expected = base64.b64encode(expected).decode()
    put = s3.put_object(Bucket=bucket, Key="k", Body=data, ChecksumAlgorithm=algorithm)
    assert put[f"Checksum{algorithm}"] == expected
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head[f"Checksum{algorithm}"], head["ChecksumType"]) == (expected, "FULL_OBJECT")
    wrong = {f"Checksum{algorithm}": base64.b64encode(bytes(len(base64.b64decode(expected)))).decode()}
    refused("BadDigest", s3.put_object, Bucket=bucket, Key="k2", Body=data, **wrong)
    refused("404", s3.head_object, Bucket=bucket, Key="k2")


def test_content_md5_is_checked(s3, bucket):
    right = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    wrong = base64.b64encode(hashlib.md5(b"y").digest()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5=right)
    refused("BadDigest", s3.put_object, Bucket=bucket, Key="k", Body=b"x", ContentMD5=wrong)
    refused("InvalidDigest", s3.put_object, Bucket=bucket, Key="k", Body=b"x", ContentMD5="short")


def sign(aws, method, url, headers, payload):
    """Headers of a request whose payload hash is `payload` as it stands."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest

    credentials = aws("s3")._request_signer._credentials

    class Auth(S3SigV4Auth):
        def payload(self, request):
            return payload

    request = AWSRequest(method, url, headers={**headers, "X-Amz-Content-SHA256": payload})
    Auth(credentials, "s3", REGION).add_auth(request)
    return dict(request.headers)


def chunked(chunks, trailer):
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return framed + b"0\r\n" + trailer + b"\r\n\r\n"


def test_trailing_checksums(s3, aws, server, bucket):
    data = bytes(range(256)) * 4096
    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    url = f"{server.endpoint}/{bucket}/k"

    def put(trailer, chunks):
        sent = chunked(chunks, trailer)
        headers = {
            "Content-Encoding": "aws-chunked",
            "X-Amz-Decoded-Content-Length": str(len(data)),
            "X-Amz-Trailer": "x-amz-checksum-crc32",
            "Content-Length": str(len(sent)),
        }
        headers = sign(aws, "PUT", url, headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        return fetch(url, "PUT", sent, headers)

    # Many chunks, and the whole body as one.
    for chunks in ([data[n : n + 65536] for n in range(0, len(data), 65536)], [data]):
        status, headers, answer = put(f"x-amz-checksum-crc32:{crc}".encode(), chunks)
        assert (status, headers.get("x-amz-checksum-crc32")) == (200, crc), answer
        head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert (head["ChecksumCRC32"], head.get("ContentEncoding")) == (crc, None)
        assert body(s3, bucket, "k") == data
    status, _, answer = put(b"x-amz-checksum-crc32:AAAAAA==", [data])
    assert status == 400 and b"BadDigest" in answer
    status, _, answer = put(f"x-amz-checksum-crc32:{crc}".encode(), [data[:-1]])
    assert status == 400 and b"IncompleteBody" in answer


# Listings


def test_listings(s3, bucket):
    keys = ["a/1", "a/2", "b", "c/d/1", "c/e/1", "z z+%"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for operation in ("list_objects", "list_objects_v2"):
        for size in (1, 2, 1000):
            paginator = s3.get_paginator(operation)

            def listed(**arguments):
                pages = list(paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": size}, **arguments))
                contents = [o["Key"] for page in pages for o in page.get("Contents", [])]
                prefixes = [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])]
                return contents, prefixes

            assert listed() == (keys, [])
            assert listed(Delimiter="/") == (["b", "z z+%"], ["a/", "c/"])
            assert listed(Prefix="c/", Delimiter="/") == ([], ["c/d/", "c/e/"])
            assert listed(Prefix="a") == (["a/1", "a/2"], [])
            assert listed(Prefix="none") == ([], [])
    page = s3.list_objects_v2(Bucket=bucket, StartAfter="b", MaxKeys=2, FetchOwner=True)
    assert [o["Key"] for o in page["Contents"]] == ["c/d/1", "c/e/1"]
    assert (page["KeyCount"], page["MaxKeys"], page["IsTruncated"], page["StartAfter"]) == (2, 2, True, "b")
    assert page["Contents"][0]["Size"] == 5 and page["Contents"][0]["Owner"]["ID"]
    assert page["Contents"][0]["StorageClass"] == "STANDARD"
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    refused("InvalidArgument", s3.list_objects_v2, Bucket=bucket, ContinuationToken="nonsense!")
    plain = s3.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=1)
    assert plain["NextMarker"] == "a/"


# Multipart uploads


def start(s3, bucket, key, **more):
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **more)["UploadId"]


def part(s3, bucket, key, upload, number, data, **more):
    answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=data, **more)
    return {"PartNumber": number, "ETag": answer["ETag"]}


def complete(s3, bucket, key, upload, parts, **more):
    return s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more
    )


def test_a_multipart_upload(s3, bucket):
    data = [b"a" * 5 * MIB, b"b" * 6 * MIB, b"end"]
    upload = start(s3, bucket, "k", ContentType="text/plain", Metadata={"m": "1"})
    part(s3, bucket, "k", upload, 2, b"replaced")
    parts = [part(s3, bucket, "k", upload, n, chunk) for n, chunk in zip((1, 2, 7), data)]
    listed = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload, MaxParts=2)
    assert [p["PartNumber"] for p in listed["Parts"]] == [1, 2]
    assert (listed["IsTruncated"], listed["NextPartNumberMarker"]) == (True, 2)
    listed = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload, PartNumberMarker=2)
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(7, 3)]
    refused("404", s3.head_object, Bucket=bucket, Key="k")

    done = complete(s3, bucket, "k", upload, parts)
    md5s = b"".join(hashlib.md5(chunk).digest() for chunk in data)
    assert done["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-3"'
    answer = s3.get_object(Bucket=bucket, Key="k")
    assert answer["Body"].read() == b"".join(data)
    assert (answer["ContentType"], answer["Metadata"]) == ("text/plain", {"m": "1"})
    border = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")
    assert border["Body"].read() == b"aabb"
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert (second["PartsCount"], second["Body"].read()) == (3, data[1])
    attributes = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["ETag", "ObjectSize", "ObjectParts", "Checksum", "StorageClass"]
    )
    assert attributes["ObjectSize"] == 11 * MIB + 3
    assert [p["PartNumber"] for p in attributes["ObjectParts"]["Parts"]] == [1, 2, 7]
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    refused("NoSuchUpload", s3.list_parts, Bucket=bucket, Key="k", UploadId=upload)

    # A copy is one piece again.
    copy = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert copy["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(b"".join(data)).hexdigest()}"'
    assert body(s3, bucket, "copy") == b"".join(data)


def test_multipart_uploads_that_are_refused(s3, bucket):
    upload = start(s3, bucket, "k")
    one = part(s3, bucket, "k", upload, 1, b"small")
    two = part(s3, bucket, "k", upload, 2, b"small too")
    args = (s3, bucket, "k", upload)

    def attempt(parts):
        return lambda: complete(*args, parts)

    refused("EntityTooSmall", attempt([one, two]))
    refused("InvalidPartOrder", attempt([two, one]))
    refused("InvalidPart", attempt([one, {"PartNumber": 3, "ETag": one["ETag"]}]))
    refused("InvalidPart", attempt([{"PartNumber": 1, "ETag": two["ETag"]}]))
    refused("NoSuchUpload", lambda: complete(s3, bucket, "k", "none", [one]))
    refused("NoSuchUpload", lambda: complete(s3, bucket, "other", upload, [one]))
    refused("InvalidArgument", lambda: part(s3, bucket, "k", upload, 10001, b""))
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    refused("NoSuchUpload", s3.abort_multipart_upload, Bucket=bucket, Key="k", UploadId=upload)
    refused("NoSuchUpload", lambda: part(s3, bucket, "k", upload, 1, b""))


def test_listing_uploads_pages(s3, bucket):
    uploads = [(key, start(s3, bucket, key)) for key in ("a", "b/1", "b/2", "c", "c")]
    uploads.sort()
    for size in (1, 2, 1000):
        pages = s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": size}
        )
        assert [(u["Key"], u["UploadId"]) for page in pages for u in page.get("Uploads", [])] == uploads
    page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [u["Key"] for u in page["Uploads"]] == ["a", "c", "c"]
    assert page["CommonPrefixes"] == [{"Prefix": "b/"}]
    # Unfinished uploads do not keep a bucket.
    s3.delete_bucket(Bucket=bucket)


def test_parts_copied_from_objects(s3, bucket):
    data = bytes(range(256)) * (6 * MIB // 256)
    s3.put_object(Bucket=bucket, Key="source", Body=data)
    upload = start(s3, bucket, "k")
    source = {"Bucket": bucket, "Key": "source"}
    parts = []
    for number, range_ in ((1, None), (2, "bytes=10-19")):
        more = {"CopySourceRange": range_} if range_ else {}
        copied = s3.upload_part_copy(
            Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, CopySource=source, **more
        )
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    complete(s3, bucket, "k", upload, parts)
    assert body(s3, bucket, "k") == data + data[10:20]


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
def test_multipart_checksums(s3, bucket, kind):
    data = [b"a" * 5 * MIB, b"b"]
    upload = start(s3, bucket, "k", ChecksumAlgorithm="CRC32", ChecksumType=kind)
    parts = []
    for number, chunk in enumerate(data, 1):
        crc = base64.b64encode(zlib.crc32(chunk).to_bytes(4, "big")).decode()
        named = part(s3, bucket, "k", upload, number, chunk, ChecksumAlgorithm="CRC32")
        parts.append({**named, "ChecksumCRC32": crc})
    done = complete(s3, bucket, "k", upload, parts)
    if kind == "FULL_OBJECT":
        expected = base64.b64encode(zlib.crc32(b"".join(data)).to_bytes(4, "big")).decode()
    else:
        sums = b"".join(zlib.crc32(chunk).to_bytes(4, "big") for chunk in data)
        expected = base64.b64encode(zlib.crc32(sums).to_bytes(4, "big")).decode() + "-2"
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (expected, kind)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (expected, kind)
    answer = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert answer["Body"].read() == b"".join(data)


def test_transfers(s3, bucket, tmp_path):
    data = bytes(range(256)) * (20 * MIB // 256)
    path = tmp_path / "file"
    path.write_bytes(data)
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB)
    s3.upload_file(str(path), bucket, "k", Config=config)
    assert s3.head_object(Bucket=bucket, Key="k")["ETag"].endswith('-3"')
    s3.download_file(bucket, "k", str(tmp_path / "back"), Config=config)
    assert (tmp_path / "back").read_bytes() == data
    s3.upload_fileobj(io.BytesIO(b"small"), bucket, "small")
    assert body(s3, bucket, "small") == b"small"


def test_the_cli(server, name, tmp_path):
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/a.txt").write_text("a")
    (tmp_path / "tree/deep/b.txt").write_text("b")
    server.cli("s3", "mb", f"s3://{name}")
    server.cli("s3", "sync", tmp_path / "tree", f"s3://{name}/tree")
    assert "tree/deep/b.txt" in server.cli("s3", "ls", "--recursive", f"s3://{name}").stdout
    assert server.cli("s3", "cp", f"s3://{name}/tree/a.txt", "-").stdout == "a"
    server.cli("s3", "mv", f"s3://{name}/tree/a.txt", f"s3://{name}/moved")
    server.cli("s3", "rb", "--force", f"s3://{name}")
    assert name not in server.cli("s3", "ls").stdout


# Requests that are signed otherwise, or not


def bare(url, method="GET", data=None):
    """Sends a request with no header that isn't needed, as a presigned URL's owner would."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request(method, f"{parts.path}?{parts.query}", body=data)
    answer = connection.getresponse()
    result = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return result


@pytest.mark.parametrize("version", [None, "s3v4"])
def test_presigned_urls(aws, bucket, version):
    s3 = aws("s3", config=Config(signature_version=version))
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b"}, ExpiresIn=60)
    status, _, answer = bare(put, "PUT", b"data")
    assert status == 200, answer
    get = s3.generate_presigned_url(
        "get_object",
        Params={"Bucket": bucket, "Key": "a b", "ResponseContentType": "text/x"},
        ExpiresIn=60,
    )
    status, headers, answer = bare(get)
    assert (status, answer, headers["content-type"]) == (200, b"data", "text/x")
    status, _, answer = bare(get.replace("a%20b", "other"))
    assert status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in answer
    late = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"}, ExpiresIn=-1)
    status, _, answer = bare(late)
    assert 400 <= status <= 403, answer


def test_presigned_urls_live_for_a_week_at_most(aws, bucket):
    s3 = aws("s3", config=Config(signature_version="s3v4"))
    week = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=604801)
    status, _, answer = bare(week)
    assert status == 400 and b"AuthorizationQueryParametersError" in answer


@pytest.mark.parametrize("version", [None, "s3v4"])
def test_forms(aws, bucket, version):
    s3 = aws("s3", config=Config(signature_version=version))
    form = s3.generate_presigned_post(bucket, "form", ExpiresIn=60)
    boundary = "----boundary"
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items()
    )
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\ndata\r\n--{boundary}--\r\n'
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    status, _, answer = fetch(form["url"], "POST", (fields + file).encode(), kind)
    assert status in (200, 204), answer
    assert body(s3, bucket, "form") == b"data"


def test_nobody_comes_in_unsigned(server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for method, path in (("GET", f"/{bucket}/k"), ("PUT", f"/{bucket}/k"), ("GET", f"/{bucket}?list-type=2")):
        status, headers, answer = fetch(server.endpoint + path, method, b"y" if method == "PUT" else None)
        assert status == 403, answer
        assert b"<Code>AccessDenied</Code>" in answer
        assert headers["x-amz-request-id"].encode() in answer
    assert body(s3, bucket, "k") == b"x"


def test_wrong_keys(aws, bucket):
    stranger = aws("s3", aws_access_key_id="AKIANOBODYNOBODY0000")
    refused("InvalidAccessKeyId", stranger.list_objects_v2, Bucket=bucket)
    forger = aws("s3", aws_secret_access_key="wrong")
    refused("SignatureDoesNotMatch", forger.list_objects_v2, Bucket=bucket)
    confused = aws("s3", aws_session_token="token")
    refused("InvalidToken", confused.list_objects_v2, Bucket=bucket)


def test_virtual_hosts(server, s3, aws, bucket):
    s3.put_object(Bucket=bucket, Key="dir/k", Body=b"x")
    host = f"{bucket}.localhost:{server.port}"
    url = f"http://{host}/dir/k"
    empty = hashlib.sha256(b"").hexdigest()
    headers = {**sign(aws, "GET", url, {}, empty), "Host": host}
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/dir/k", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"x")
    connection.close()


def test_tampered_bodies(server, s3, aws, bucket):
    url = f"{server.endpoint}/{bucket}/k"
    headers = sign(aws, "PUT", url, {}, hashlib.sha256(b"signed").hexdigest())
    status, _, answer = fetch(url, "PUT", b"forged", headers)
    assert status == 400 and b"XAmzContentSHA256Mismatch" in answer, answer
    refused("404", s3.head_object, Bucket=bucket, Key="k")


def test_bad_input(server, s3, aws, bucket):
    refused("KeyTooLongError", s3.put_object, Bucket=bucket, Key="k" * 1025, Body=b"")
    s3.put_object(Bucket=bucket, Key="k" * 1024, Body=b"")
    refused("MetadataTooLarge", s3.put_object, Bucket=bucket, Key="k", Body=b"", Metadata={"m": "v" * 2048})
    refused("NoSuchBucket", s3.put_object, Bucket="no-such-bucket-anywhere", Key="k", Body=b"x")
    refused("InvalidArgument", s3.get_object, Bucket=bucket, Key="k", VersionId="nonsense")
    url = f"{server.endpoint}/{bucket}?delete"
    document = b"<Delete><Object><Key>"
    headers = sign(aws, "POST", url, {}, hashlib.sha256(document).hexdigest())
    status, _, answer = fetch(url, "POST", document, headers)
    assert status == 400 and b"<Code>MalformedXML</Code>" in answer
    url = f"{server.endpoint}/{bucket}/big"
    headers = sign(aws, "PUT", url, {"Content-Length": str(5 * 1024 * MIB + 1)}, "UNSIGNED-PAYLOAD")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("PUT", f"/{bucket}/big", skip_host="Host" in headers)
    for header, value in headers.items():
        connection.putheader(header, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 400 and b"EntityTooLarge" in answer.read()
    connection.close()


# Durability


def test_objects_survive_a_kill(own_server, name):
    server = own_server
    s3 = server.client("s3")
    s3.create_bucket(Bucket=name)
    large = bytes(range(256)) * (6 * MIB // 256)
    for n in range(10):
        s3.put_object(Bucket=name, Key=f"k{n}", Body=f"{n}".encode() * 100)
    upload = start(s3, name, "multi")
    parts = [part(s3, name, "multi", upload, 1, large)]
    s3.put_object(Bucket=name, Key="k0", Body=b"replaced")
    s3.delete_object(Bucket=name, Key="k1")
    server.kill()
    server.start()
    s3 = server.client("s3")
    assert body(s3, name, "k0") == b"replaced"
    for n in range(2, 10):
        assert body(s3, name, f"k{n}") == f"{n}".encode() * 100
    refused("NoSuchKey", s3.get_object, Bucket=name, Key="k1")
    parts.append(part(s3, name, "multi", upload, 2, b"end"))
    complete(s3, name, "multi", upload, parts)
    assert body(s3, name, "multi") == large + b"end"
    objects = pathlib.Path(server.data_dir) / "objects"
    wait_for(lambda: len([path for path in objects.rglob("*") if path.is_file()]) == 11, what="the removal of old bodies")


# Notifications


def function(aws, name):
    """A function that writes what it gets to the bucket in its environment; gives its ARN."""
    source = (
        "import boto3, json, os, uuid\n"
        "def handler(event, context):\n"
        "    body = json.dumps(event).encode()\n"
        "    boto3.client('s3').put_object(Bucket=os.environ['OUT'], Key=uuid.uuid4().hex, Body=body)\n"
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as contents:
        contents.writestr("index.py", source)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    writing = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}-out/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [writing]})
    aws("iam").put_role_policy(RoleName=name, PolicyName="write", PolicyDocument=policy)
    aws("s3").create_bucket(Bucket=f"{name}-out")
    return aws("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler="index.handler",
        Timeout=30,
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": {"OUT": f"{name}-out"}},
    )["FunctionArn"]


def heard(s3, name):
    """The records that the function has got."""
    listed = s3.list_objects_v2(Bucket=f"{name}-out").get("Contents", [])
    return [record for o in listed for record in json.loads(body(s3, f"{name}-out", o["Key"]))["Records"]]


def test_a_function_hears_of_objects(aws, s3, bucket, name):
    arn = function(aws, name)
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".csv"}]
    target = {
        "Id": "mine",
        "LambdaFunctionArn": arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    configuration = {"LambdaFunctionConfigurations": [target]}
    put = dict(Bucket=bucket, NotificationConfiguration=configuration)
    answer = refused("InvalidArgument", s3.put_bucket_notification_configuration, **put)
    assert "Unable to validate the following destination configurations" in answer["Error"]["Message"]
    aws("lambda").add_permission(
        FunctionName=name,
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bucket}",
        SourceAccount=ACCOUNT,
    )
    s3.put_bucket_notification_configuration(**put)
    stored = s3.get_bucket_notification_configuration(Bucket=bucket)["LambdaFunctionConfigurations"]
    assert [(t["Id"], t["LambdaFunctionArn"], t["Events"]) for t in stored] == [("mine", arn, ["s3:ObjectCreated:*"])]

    s3.put_object(Bucket=bucket, Key="in/a b+é.csv", Body=b"x,y")
    s3.put_object(Bucket=bucket, Key="in/not.txt", Body=b"")
    s3.put_object(Bucket=bucket, Key="out/not.csv", Body=b"")
    s3.copy_object(Bucket=bucket, Key="in/copy.csv", CopySource={"Bucket": bucket, "Key": "in/a b+é.csv"})
    s3.delete_object(Bucket=bucket, Key="in/copy.csv")

    def both():
        records = heard(s3, name)
        return records if len({record["eventName"] for record in records}) == 2 else None

    records = {record["eventName"]: record for record in wait_for(both, what="two notifications")}
    record = records["ObjectCreated:Put"]
    assert record["eventSource"] == "aws:s3" and record["awsRegion"] == REGION
    assert record["s3"]["configurationId"] == "mine"
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{bucket}"
    assert record["s3"]["object"]["key"] == urllib.parse.quote_plus("in/a b+é.csv", safe="/")
    assert record["s3"]["object"]["size"] == 3
    assert record["s3"]["object"]["eTag"] == hashlib.md5(b"x,y").hexdigest()
    assert records["ObjectCreated:Copy"]["s3"]["object"]["key"] == "in/copy.csv"
    assert record["s3"]["object"]["sequencer"] < records["ObjectCreated:Copy"]["s3"]["object"]["sequencer"]


def test_notifications_that_are_refused(s3, bucket):
    def attempt(**configuration):
        return lambda: s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=configuration
        )

    def target(function, *events, prefix=""):
        return {
            "LambdaFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}",
            "Events": list(events),
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
        }

    created = target("no-such-function", "s3:ObjectCreated:*")
    refused("InvalidArgument", attempt(LambdaFunctionConfigurations=[created]))
    overlapping = [created, target("other", "s3:ObjectCreated:Put", prefix="x")]
    answer = refused("InvalidArgument", attempt(LambdaFunctionConfigurations=overlapping))
    assert "ambiguously defined" in answer["Error"]["Message"]
    queue = {"QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "Events": ["s3:ObjectCreated:*"]}
    refused("NotImplemented", attempt(QueueConfigurations=[queue]))
    attempt(EventBridgeConfiguration={})()
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=bucket)
    attempt()()
    assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=bucket)
