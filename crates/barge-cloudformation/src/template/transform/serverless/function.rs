//! One `AWS::Serverless::Function`: the function itself, its role, its version and alias, its event invoke configuration.

use super::events::{self, Target};
use super::{Expansion, Path, Stop, attribute, depend, globals, policies, reference, resource};
use barge_core::Document;
use indexmap::IndexMap;
use sha2::{Digest as _, Sha256};

/// Properties that `AWS::Lambda::Function` has by the same name and meaning.
const SAME: &[&str] = &[
    "Architectures",
    "CodeSigningConfigArn",
    "Description",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "FunctionName",
    "Handler",
    "ImageConfig",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "Role",
    "Runtime",
    "RuntimeManagementConfig",
    "SnapStart",
    "Timeout",
    "VpcConfig",
];

/// Properties with a meaning of their own, handled below.
const OWN: &[&str] = &[
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "AutoPublishCodeSha256",
    "CodeUri",
    "EventInvokeConfig",
    "Events",
    "ImageUri",
    "InlineCode",
    "PermissionsBoundary",
    "Policies",
    "RolePath",
    "Tags",
    "Tracing",
    "VersionDescription",
];

/// Attributes of the declaration that the function keeps.
const KEPT: &[&str] = &["Condition", "DeletionPolicy", "DependsOn", "Metadata", "UpdateReplacePolicy"];

pub(super) fn expand(
    work: &mut Expansion<'_>,
    name: &str,
    declaration: Document,
    defaults: &IndexMap<String, Document>,
    path: &Path,
) -> Result<(), Stop> {
    let Document::Map(mut members) = declaration else { return Ok(()) };
    let ignored = members.shift_remove("IgnoreGlobals");
    let defaults = without(defaults, ignored.as_ref());
    let own = members.shift_remove("Properties").unwrap_or_else(|| Document::map::<String>([]));
    let path = path.at("Properties");
    let Document::Map(properties) = globals::merge(&Document::Map(defaults), own) else {
        work.wrong(&path, "Every Properties member must be an object.");
        return Ok(());
    };
    for property in properties.keys().filter(|key| !SAME.contains(&key.as_str()) && !OWN.contains(&key.as_str())) {
        work.unsupported(&path.at(property), format!("the property {property} of AWS::Serverless::Function"));
    }
    let sam = Sam { name, members: &members, properties: &properties, path: &path };
    let function = sam.function(work)?;
    work.add(name, function, &path);
    let alias = sam.alias(work)?;
    sam.invoke_config(work, alias.as_deref());
    if let Some(events) = properties.get("Events") {
        // A Ref to an alias is its ARN with the alias' name.
        let (invoked, arn) = match &alias {
            Some(alias) => (reference(alias), reference(alias)),
            None => (reference(name), attribute(name, "Arn")),
        };
        let target = Target { function: name, invoked, arn, source: &members };
        events::expand(work, &target, events, &path.at("Events"));
    }
    Ok(())
}

/// The global properties that a function does not ignore: `*` ignores all.
fn without(defaults: &IndexMap<String, Document>, ignored: Option<&Document>) -> IndexMap<String, Document> {
    let listed = |name: &str| match ignored {
        Some(Document::String(all)) => all == "*",
        Some(Document::List(names)) => names.iter().any(|ignored| ignored.as_str() == Some(name)),
        _ => false,
    };
    defaults.iter().filter(|(name, _)| !listed(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

struct Sam<'a> {
    name: &'a str,
    members: &'a IndexMap<String, Document>,
    properties: &'a IndexMap<String, Document>,
    path: &'a Path,
}

impl Sam<'_> {
    fn function(&self, work: &mut Expansion<'_>) -> Result<Document, Stop> {
        let mut result = IndexMap::from([("Code".to_owned(), self.code(work)?)]);
        for name in SAME {
            result.extend(self.properties.get(*name).map(|value| ((*name).to_owned(), value.clone())));
        }
        if self.properties.contains_key("ImageUri") {
            result.insert("PackageType".to_owned(), "Image".into());
        }
        if let Some(mode) = self.properties.get("Tracing") {
            result.insert("TracingConfig".to_owned(), Document::map([("Mode", mode.clone())]));
        }
        result.insert("Tags".to_owned(), self.tags());
        if !result.contains_key("Role") {
            let role = format!("{}Role", self.name);
            result.insert("Role".to_owned(), attribute(&role, "Arn"));
            let made = self.role(work);
            work.add(&role, made, self.path);
        }
        let mut members = IndexMap::from([("Type".to_owned(), Document::from("AWS::Lambda::Function"))]);
        members.insert("Properties".to_owned(), Document::Map(result));
        for name in KEPT {
            members.extend(self.members.get(*name).map(|value| ((*name).to_owned(), value.clone())));
        }
        for name in self.members.keys().filter(|name| *name != "Type" && !KEPT.contains(&name.as_str())) {
            work.unsupported(self.path, format!("the attribute {name} of AWS::Serverless::Function"));
        }
        Ok(Document::Map(members))
    }

    fn code(&self, work: &mut Expansion<'_>) -> Result<Document, Stop> {
        let given = |name: &str| self.properties.get(name).cloned();
        Ok(match (given("InlineCode"), given("CodeUri"), given("ImageUri")) {
            (Some(text), _, _) => Document::map([("ZipFile", text)]),
            (None, None, Some(uri)) => Document::map([("ImageUri", uri)]),
            (None, Some(Document::Map(uri)), _) if uri.contains_key("Bucket") => {
                let mut code = IndexMap::new();
                for (from, to) in [("Bucket", "S3Bucket"), ("Key", "S3Key"), ("Version", "S3ObjectVersion")] {
                    code.extend(uri.get(from).map(|value| (to.to_owned(), value.clone())));
                }
                Document::Map(code)
            }
            (None, Some(uri), _) => {
                let path = self.path.at("CodeUri");
                let Some(uri) = work.text(&uri, &path)? else { return Ok(Document::Null) };
                s3_code(&uri).unwrap_or_else(|| {
                let text = format!(
                    "'CodeUri' is not a valid S3 Uri of the form 's3://bucket/key': {uri}. Package the template first (aws \
                     cloudformation package)"
                );
                work.wrong(&path, text);
                Document::Null
                })
            }
            _ => {
                work.wrong(self.path, "'InlineCode', 'CodeUri' or 'ImageUri' must be set");
                Document::Null
            }
        })
    }

    /// Tags as a list, with the one that SAM adds.
    fn tags(&self) -> Document {
        let own = self.properties.get("Tags").and_then(Document::as_map).cloned().unwrap_or_default();
        let sam = [("lambda:createdBy".to_owned(), Document::from("SAM"))];
        let tag = |(key, value): (String, Document)| Document::map([("Key", key.into()), ("Value", value)]);
        Document::List(sam.into_iter().chain(own).map(tag).collect())
    }

    fn role(&self, work: &mut Expansion<'_>) -> Document {
        let trust = Document::map([
            ("Version", "2012-10-17".into()),
            (
                "Statement",
                Document::List(vec![Document::map([
                    ("Action", Document::List(vec!["sts:AssumeRole".into()])),
                    ("Effect", "Allow".into()),
                    ("Principal", Document::map([("Service", Document::List(vec!["lambda.amazonaws.com".into()]))])),
                ])]),
            ),
        ]);
        let trust = self.properties.get("AssumeRolePolicyDocument").cloned().unwrap_or(trust);
        let policies = match self.properties.get("Policies") {
            Some(given) => policies::read(work, self.name, given.clone(), &self.path.at("Policies")),
            None => policies::Policies::default(),
        };
        let mut managed = vec![policies::managed("AWSLambdaBasicExecutionRole")];
        if self.properties.contains_key("VpcConfig") {
            managed.push(policies::managed("AWSLambdaVPCAccessExecutionRole"));
        }
        managed.extend(policies.managed);
        let mut properties = vec![("AssumeRolePolicyDocument", trust), ("ManagedPolicyArns", Document::List(managed))];
        if !policies.inline.is_empty() {
            properties.push(("Policies", Document::List(policies.inline)));
        }
        for (from, to) in [("PermissionsBoundary", "PermissionsBoundary"), ("RolePath", "Path")] {
            properties.extend(self.properties.get(from).map(|value| (to, value.clone())));
        }
        properties.push(("Tags", self.tags()));
        resource("AWS::IAM::Role", Document::map(properties), self.members)
    }

    /// The version and alias of `AutoPublishAlias`: the alias' logical id.
    fn alias(&self, work: &mut Expansion<'_>) -> Result<Option<String>, Stop> {
        let Some(given) = self.properties.get("AutoPublishAlias") else { return Ok(None) };
        let Some(alias) = work.text(given, &self.path.at("AutoPublishAlias"))? else { return Ok(None) };
        // A new code makes a new version: its name changes with the code.
        let code = ["AutoPublishCodeSha256", "CodeUri", "InlineCode", "ImageUri"]
            .iter()
            .find_map(|name| self.properties.get(*name));
        let digest = Sha256::digest(code.map(Document::to_json).unwrap_or_default());
        let digest = hex::encode(&digest[..5]);
        let version = format!("{}Version{digest}", self.name);
        let mut properties = vec![("FunctionName", reference(self.name))];
        properties.extend(self.properties.get("VersionDescription").map(|text| ("Description", text.clone())));
        let mut made = resource("AWS::Lambda::Version", Document::map(properties), self.members);
        if let Document::Map(members) = &mut made {
            members.insert("DeletionPolicy".to_owned(), "Retain".into());
        }
        work.add(&version, made, self.path);
        let properties = Document::map([
            ("Name", alias.as_str().into()),
            ("FunctionName", reference(self.name)),
            ("FunctionVersion", attribute(&version, "Version")),
        ]);
        let id = format!("{}Alias{}", self.name, alias.replace(['-', '_'], ""));
        work.add(&id, resource("AWS::Lambda::Alias", properties, self.members), self.path);
        work.aliases.insert(format!("{}.Alias", self.name), id.clone());
        work.aliases.insert(format!("{}.Version", self.name), version);
        Ok(Some(id))
    }

    fn invoke_config(&self, work: &mut Expansion<'_>, alias: Option<&str>) {
        let Some(Document::Map(config)) = self.properties.get("EventInvokeConfig") else { return };
        if config.contains_key("DestinationConfig") {
            return work.unsupported(&self.path.at("EventInvokeConfig"), "DestinationConfig of EventInvokeConfig");
        }
        let qualifier = match self.properties.get("AutoPublishAlias") {
            Some(name) if alias.is_some() => name.clone(),
            _ => "$LATEST".into(),
        };
        let mut properties =
            IndexMap::from([("FunctionName".to_owned(), reference(self.name)), ("Qualifier".to_owned(), qualifier)]);
        properties.extend(config.iter().map(|(key, value)| (key.clone(), value.clone())));
        let mut made = resource("AWS::Lambda::EventInvokeConfig", Document::Map(properties), self.members);
        if let (Document::Map(members), Some(alias)) = (&mut made, alias) {
            depend(members, alias);
        }
        work.add(&format!("{}EventInvokeConfig", self.name), made, self.path);
    }
}

/// What `s3://bucket/key`, with or without a version, is to a function.
fn s3_code(uri: &str) -> Option<Document> {
    let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/')?;
    let (key, version) = match key.split_once("?versionId=") {
        Some((key, version)) => (key, Some(version)),
        None => (key, None),
    };
    let mut code = vec![("S3Bucket", bucket.into()), ("S3Key", key.into())];
    code.extend(version.map(|version| ("S3ObjectVersion", version.into())));
    Some(Document::map(code))
}
