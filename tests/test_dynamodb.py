"""DynamoDB as boto3 sees it: tables, items, queries, batches, transactions, streams, and what is there after a kill."""

import decimal
import threading

import boto3.dynamodb.types
import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION


@pytest.fixture
def dynamodb(aws):
    return aws("dynamodb")


def refused(code, operation, **arguments):
    with pytest.raises(ClientError) as refusal:
        operation(**arguments)
    assert refusal.value.response["Error"]["Code"] == code, refusal.value
    return refusal.value.response


def make_table(client, name, **more):
    """A table of products with a keys-only index on the time of creation."""
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "ProductId", "KeyType": "HASH"},
            {"AttributeName": "ProductName", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("ProductId", "ProductName", "CreatedTime")
        ],
        GlobalSecondaryIndexes=[{
            "IndexName": "by-time",
            "KeySchema": [{"AttributeName": "CreatedTime", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return name


@pytest.fixture
def table(dynamodb, name):
    return make_table(dynamodb, name)


def product(number, **more):
    return {
        "ProductId": {"S": f"{number:06}"}, "ProductName": {"S": f"product {number}"},
        "CreatedTime": {"S": "2026"}, **more,
    }


def key(number):
    item = product(number)
    return {"ProductId": item["ProductId"], "ProductName": item["ProductName"]}


def test_a_table_is_described_with_this_accounts_arns(dynamodb, table):
    described = dynamodb.describe_table(TableName=table)["Table"]
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"
    assert (described["TableArn"], described["TableStatus"]) == (arn, "ACTIVE")
    assert described["GlobalSecondaryIndexes"][0]["IndexArn"] == f"{arn}/index/by-time"
    assert dynamodb.describe_table(TableName=arn)["Table"]["TableId"] == described["TableId"]
    assert table in [name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]]
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "data"}])
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "data"}]
    dynamodb.delete_table(TableName=table)
    refused("ResourceNotFoundException", dynamodb.describe_table, TableName=table)


def test_items_of_every_type_come_back_as_they_went(dynamodb, table):
    write, read = boto3.dynamodb.types.TypeSerializer(), boto3.dynamodb.types.TypeDeserializer()
    values = {
        "text": "ä\n\"", "number": decimal.Decimal("-1.5E-7"), "bytes": b"\x00\xff", "yes": True, "nothing": None,
        "list": [1, "two", [3]], "map": {"a": {"b": 1}}, "texts": {"a", "b"}, "numbers": {1, 2}, "blobs": {b"x"},
    }
    dynamodb.put_item(TableName=table, Item=product(1, all=write.serialize(values)))
    stored = read.deserialize(dynamodb.get_item(TableName=table, Key=key(1), ConsistentRead=True)["Item"]["all"])
    stored["bytes"], stored["blobs"] = stored["bytes"].value, {blob.value for blob in stored["blobs"]}
    assert stored == values


def test_conditions_updates_and_what_they_return(dynamodb, table):
    dynamodb.put_item(TableName=table, Item=product(1, n={"N": "1"}))
    condition = "attribute_not_exists(ProductId)"
    refused("ConditionalCheckFailedException", dynamodb.put_item, TableName=table, Item=product(1),
            ConditionExpression=condition)
    updated = dynamodb.update_item(
        TableName=table, Key=key(1), UpdateExpression="SET n = n + :two, #l = :l REMOVE CreatedTime",
        ExpressionAttributeNames={"#l": "list"},
        ExpressionAttributeValues={":two": {"N": "2"}, ":l": {"L": [{"S": "x"}]}}, ReturnValues="ALL_NEW",
    )["Attributes"]
    assert (updated["n"], updated["list"]) == ({"N": "3"}, {"L": [{"S": "x"}]})
    assert "CreatedTime" not in updated
    gone = dynamodb.delete_item(TableName=table, Key=key(1), ReturnValues="ALL_OLD")["Attributes"]
    assert gone == updated
    assert "Item" not in dynamodb.get_item(TableName=table, Key=key(1))


def test_batches_queries_and_scans_in_pages(dynamodb, table):
    for start in range(0, 100, 25):
        puts = [{"PutRequest": {"Item": product(n)}} for n in range(start, start + 25)]
        assert dynamodb.batch_write_item(RequestItems={table: puts})["UnprocessedItems"] == {}
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, PaginationConfig={"PageSize": 30})
    assert sum(page["Count"] for page in pages) == 100
    by_time = dynamodb.query(
        TableName=table, IndexName="by-time", KeyConditionExpression="CreatedTime = :t",
        ExpressionAttributeValues={":t": {"S": "2026"}}, Limit=7,
    )
    assert (by_time["Count"], set(by_time["Items"][0])) == (7, {"ProductId", "ProductName", "CreatedTime"})
    got = dynamodb.batch_get_item(RequestItems={table: {"Keys": [key(n) for n in (1, 2, 999)]}})
    assert len(got["Responses"][table]) == 2
    one = dynamodb.query(
        TableName=table, KeyConditionExpression="ProductId = :p AND begins_with(ProductName, :n)",
        ExpressionAttributeValues={":p": {"S": "000007"}, ":n": {"S": "product"}},
    )
    assert [item["ProductName"]["S"] for item in one["Items"]] == ["product 7"]


def test_a_transaction_is_all_or_nothing_and_once_per_token(dynamodb, table):
    missing = {"ConditionCheck": {"TableName": table, "Key": key(9), "ConditionExpression": "attribute_exists(ProductId)"}}
    put = {"Put": {"TableName": table, "Item": product(1)}}
    answer = refused("TransactionCanceledException", dynamodb.transact_write_items, TransactItems=[put, missing])
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    assert dynamodb.scan(TableName=table)["Count"] == 0
    add = {"Update": {"TableName": table, "Key": key(1), "UpdateExpression": "ADD n :one",
                      "ExpressionAttributeValues": {":one": {"N": "1"}}}}
    for _ in range(3):
        dynamodb.transact_write_items(TransactItems=[add], ClientRequestToken=table[:30])
    assert dynamodb.get_item(TableName=table, Key=key(1))["Item"]["n"] == {"N": "1"}
    refused("IdempotentParameterMismatchException", dynamodb.transact_write_items, TransactItems=[put],
            ClientRequestToken=table[:30])


def test_a_stream_gives_what_changed(server, dynamodb, name):
    make_table(dynamodb, name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    streams = server.client("dynamodbstreams")
    arn = streams.list_streams(TableName=name)["Streams"][0]["StreamArn"]
    assert arn.startswith(f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}/stream/")
    dynamodb.put_item(TableName=name, Item=product(1))
    dynamodb.delete_item(TableName=name, Key=key(1))
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert [record["eventName"] for record in records] == ["INSERT", "REMOVE"]
    assert {record["awsRegion"] for record in records} == {REGION}


def test_each_region_has_its_own_tables(server, table):
    elsewhere = server.client("dynamodb", region_name="eu-west-1")
    assert table not in elsewhere.list_tables()["TableNames"]
    refused("ResourceNotFoundException", elsewhere.get_item, TableName=table, Key=key(1))


@pytest.mark.parametrize(("operation", "arguments", "code"), [
    ("put_item", {"Item": {}}, "ValidationException"),
    ("put_item", {"Item": product(1, big={"S": "x" * 500_000})}, "ValidationException"),
    ("query", {"KeyConditionExpression": "nonsense ="}, "ValidationException"),
    ("get_item", {"Key": {"ProductId": {"N": "1"}, "ProductName": {"S": "x"}}}, "ValidationException"),
    ("update_item", {"Key": key(1), "UpdateExpression": "SET ProductId = :x",
                     "ExpressionAttributeValues": {":x": {"S": "y"}}}, "ValidationException"),
])
def test_bad_requests_get_dynamodbs_errors(dynamodb, table, operation, arguments, code):
    refused(code, getattr(dynamodb, operation), TableName=table, **arguments)


def test_what_barge_lacks_is_refused_by_name(dynamodb, table):
    answer = refused("NotImplemented", dynamodb.create_backup, TableName=table, BackupName="backup")
    assert "CreateBackup" in answer["Error"]["Message"]
    refused("ResourceInUseException", make_table, client=dynamodb, name=table)


def test_nothing_acknowledged_is_lost_by_a_kill(own_server):
    make_table(own_server.client("dynamodb"), "kept")
    acknowledged, stop = [], threading.Event()

    def write(worker):
        client = own_server.client("dynamodb")
        number = worker * 1000
        while not stop.is_set():
            puts = [{"PutRequest": {"Item": product(n)}} for n in range(number, number + 25)]
            try:
                client.batch_write_item(RequestItems={"kept": puts})
            except Exception:
                return
            acknowledged.extend(range(number, number + 25))
            if len(acknowledged) > 400:
                stop.set()
            number += 25

    workers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    stop.wait(30)
    own_server.kill()
    for worker in workers:
        worker.join()
    own_server.start()
    client = own_server.client("dynamodb")
    pages = client.get_paginator("scan").paginate(TableName="kept", ConsistentRead=True)
    stored = {int(item["ProductId"]["S"]) for page in pages for item in page["Items"]}
    assert acknowledged and set(acknowledged) <= stored
