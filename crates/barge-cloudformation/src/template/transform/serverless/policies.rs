//! A function's `Policies`: managed policies by name or ARN, statements, and SAM's policy templates (AWS SAM Developer
//! Guide, "AWS SAM policy templates").

use super::{Expansion, Path, sub};
use barge_core::Document;
use indexmap::IndexMap;

/// What a role gets out of `Policies`.
#[derive(Default)]
pub(super) struct Policies {
    /// `ManagedPolicyArns`.
    pub(super) managed: Vec<Document>,
    /// `Policies`: inline policies.
    pub(super) inline: Vec<Document>,
}

/// Managed policies whose ARN has the path `service-role/`.
const SERVICE_ROLE: &[&str] = &[
    "AWSBatchServiceEventTargetRole",
    "AWSBatchServiceRole",
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaDynamoDBExecutionRole",
    "AWSLambdaENIManagementAccess",
    "AWSLambdaKinesisExecutionRole",
    "AWSLambdaMSKExecutionRole",
    "AWSLambdaRole",
    "AWSLambdaSQSQueueExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
];

/// The managed policy of that name.
pub(super) fn managed(name: &str) -> Document {
    let path = if SERVICE_ROLE.contains(&name) { "service-role/" } else { "" };
    sub(format!("arn:${{AWS::Partition}}:iam::aws:policy/{path}{name}"))
}

pub(super) fn read(work: &mut Expansion<'_>, function: &str, policies: Document, path: &Path) -> Policies {
    let list = match policies {
        Document::List(list) => list,
        one => vec![one],
    };
    let mut result = Policies::default();
    for (index, policy) in list.into_iter().enumerate() {
        one(work, &mut result, function, index, policy, &path.at(index));
    }
    result
}

fn one(work: &mut Expansion<'_>, result: &mut Policies, function: &str, index: usize, policy: Document, path: &Path) {
    match policy {
        Document::String(text) if text.starts_with("arn:") => result.managed.push(text.into()),
        Document::String(name) => result.managed.push(managed(&name)),
        Document::Map(map) if map.contains_key("Statement") => {
            result.inline.push(inline(function, index, Document::Map(map)));
        }
        Document::Map(map) => match map.first().map(|(name, value)| (name.clone(), value.clone())) {
            Some((name, _)) if name == "Ref" || name.starts_with("Fn::") => result.managed.push(Document::Map(map)),
            Some((name, arguments)) => match template(&name, &arguments) {
                Some(statements) => {
                    let document = Document::map([("Statement", Document::List(statements))]);
                    result.inline.push(inline(function, index, document));
                }
                None => work.unsupported(path, format!("the policy template {name}")),
            },
            None => work.wrong(path, "a policy must not be empty"),
        },
        _ => work.wrong(path, "a policy is a name, an ARN, statements or a policy template"),
    }
}

fn inline(function: &str, index: usize, mut document: Document) -> Document {
    if let Document::Map(map) = &mut document {
        map.entry("Version".to_owned()).or_insert("2012-10-17".into());
    }
    let name = format!("{function}RolePolicy{index}");
    Document::map([("PolicyName", name.into()), ("PolicyDocument", document)])
}

/// The statements of a policy template; `None` where there is no such template here, or its arguments are not its own.
fn template(name: &str, arguments: &Document) -> Option<Vec<Document>> {
    let argument = |name: &str| arguments.as_map().filter(|map| map.len() == 1).and_then(|map| map.get(name)).cloned();
    let resource = |text: &str, variable: &str, value: Document| {
        let variables = Document::Map(IndexMap::from([(variable.to_owned(), value)]));
        Document::map([("Fn::Sub", Document::List(vec![text.into(), variables]))])
    };
    let statement = |actions: &[&str], resources: Vec<Document>| {
        let actions = actions.iter().map(|&action| Document::from(action)).collect();
        Document::map([
            ("Effect", "Allow".into()),
            ("Action", Document::List(actions)),
            ("Resource", Document::List(resources)),
        ])
    };
    let bucket = |actions: &[&str]| {
        let bucket = argument("BucketName")?;
        let all = resource("arn:${AWS::Partition}:s3:::${bucketName}", "bucketName", bucket.clone());
        let objects = resource("arn:${AWS::Partition}:s3:::${bucketName}/*", "bucketName", bucket);
        Some(vec![statement(actions, vec![all, objects])])
    };
    let table = |actions: &[&str]| {
        const TABLE: &str = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${tableName}";
        let table = argument("TableName")?;
        let indexes = resource(&format!("{TABLE}/index/*"), "tableName", table.clone());
        Some(vec![statement(actions, vec![resource(TABLE, "tableName", table), indexes])])
    };
    match name {
        "S3ReadPolicy" => bucket(S3_READ),
        "S3WritePolicy" => bucket(S3_WRITE),
        "S3CrudPolicy" => bucket(&[S3_READ, S3_WRITE, &["s3:DeleteObject"]].concat()),
        "DynamoDBReadPolicy" => table(DYNAMODB_READ),
        "DynamoDBWritePolicy" => table(DYNAMODB_WRITE),
        "DynamoDBCrudPolicy" => {
            table(&[DYNAMODB_READ, DYNAMODB_WRITE, &["dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"]].concat())
        }
        "LambdaInvokePolicy" => {
            const FUNCTION: &str =
                "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${functionName}*";
            let function = argument("FunctionName")?;
            Some(vec![statement(&["lambda:InvokeFunction"], vec![resource(FUNCTION, "functionName", function)])])
        }
        _ => None,
    }
}

const S3_READ: &[&str] =
    &["s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation", "s3:GetObjectVersion", "s3:GetLifecycleConfiguration"];
const S3_WRITE: &[&str] = &["s3:PutObject", "s3:PutObjectAcl", "s3:PutLifecycleConfiguration"];
const DYNAMODB_READ: &[&str] =
    &["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:Query", "dynamodb:BatchGetItem", "dynamodb:DescribeTable"];
const DYNAMODB_WRITE: &[&str] = &["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:BatchWriteItem"];
