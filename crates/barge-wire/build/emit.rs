//! The Rust text of one service.

use crate::model::{Model, members};
use crate::names::{constant, snake, type_name, variant};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Enumerations longer than this stay text: their values are still checked, and the compiler is spared.
const LONGEST_ENUMERATION: usize = 60;

pub(crate) fn service(model: &Model, listed: &[String], validation_code: &str) -> String {
    let reachable = model.reachable(listed);
    let mut out = String::from("use crate::typed::{enumeration, structure};\n\n");
    for name in &reachable {
        out.push_str(&declaration(model, name));
    }
    out.push_str("pub mod shapes {\n    use crate::{Kind, Location, Member, Shape, Text};\n");
    for name in &reachable {
        out.push_str(&table(model, name));
    }
    out.push_str("}\n\n");
    out.push_str(&errors(model));
    out.push_str(&operations(model, listed));
    out.push_str(&description(model, listed, validation_code));
    out.push_str(&service_trait(model, listed));
    out
}

fn enumerated(shape: &Value) -> Option<Vec<&str>> {
    let values: Vec<&str> = shape["enum"].as_array()?.iter().filter_map(Value::as_str).collect();
    (values.len() <= LONGEST_ENUMERATION).then_some(values)
}

/// The Rust type of a shape.
fn rust_type(model: &Model, name: &str) -> String {
    let shape = model.shape(name);
    match shape["type"].as_str().unwrap_or_default() {
        "structure" => type_name(name),
        "string" | "character" if enumerated(shape).is_some() => type_name(name),
        "string" | "character" => "String".to_owned(),
        "integer" | "long" => "i64".to_owned(),
        "float" | "double" => "f64".to_owned(),
        "boolean" => "bool".to_owned(),
        "blob" => "Vec<u8>".to_owned(),
        "timestamp" => "::barge_core::Timestamp".to_owned(),
        "list" => format!("Vec<{}>", rust_type(model, target(&shape["member"]))),
        "map" => format!("::std::collections::BTreeMap<String, {}>", rust_type(model, target(&shape["value"]))),
        other => panic!("{name} is a {other}"),
    }
}

fn target(reference: &Value) -> &str {
    reference["shape"].as_str().expect("a reference names a shape")
}

fn required(shape: &Value) -> BTreeSet<&str> {
    shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Members that a model requires of an answer and AWS leaves out all the same, where there is nothing to tell.
const LEFT_OUT: &[(&str, &str)] = &[("JobDetail", "startedAt")];

/// Enumerations that AWS documents as taken in any case: their texts are read without regard to it, and not checked before.
const ANY_CASE: &[&str] = &["RetryAction"];

/// The Rust declaration of a structure or enumeration; nothing for what Rust has itself.
fn declaration(model: &Model, name: &str) -> String {
    let shape = model.shape(name);
    let mut out = String::new();
    match shape["type"].as_str() {
        Some("structure") => {
            let required = required(shape);
            writeln!(out, "structure! {{ {}, shapes::{} {{", type_name(name), constant(name)).unwrap();
            for (member, reference) in members(shape) {
                let required = required.contains(member.as_str()) && !LEFT_OUT.contains(&(name, member));
                let kind = if required { "req" } else { "opt" };
                let mut rust = rust_type(model, target(reference));
                if model.shape(target(reference))["type"] == "structure" && model.recursive(name, target(reference)) {
                    rust = format!("Box<{rust}>");
                }
                writeln!(out, "    {kind} {}: {rust} = {member:?},", snake(member)).unwrap();
            }
            out.push_str("} }\n\n");
        }
        Some("string") => {
            if let Some(values) = enumerated(shape) {
                let mut taken = BTreeSet::new();
                writeln!(out, "enumeration! {{ {} {{", type_name(name)).unwrap();
                for value in values {
                    let mut rust = variant(value);
                    while !taken.insert(rust.clone()) {
                        rust.push('_');
                    }
                    writeln!(out, "    {rust} = {value:?},").unwrap();
                }
                out.push_str("} }\n\n");
            }
        }
        _ => {}
    }
    out
}

/// The shape's table.
fn table(model: &Model, name: &str) -> String {
    let shape = model.shape(name);
    let kind = match shape["type"].as_str().unwrap_or_default() {
        "structure" => structure_kind(shape),
        "string" | "character" => format!(
            "Kind::String(Text {{ min: {}, max: {}, pattern: {:?}, values: &{:?} }})",
            bound(shape, "min", "0"),
            bound(shape, "max", "u64::MAX"),
            shape["pattern"].as_str(),
            shape["enum"]
                .as_array()
                .filter(|_| !ANY_CASE.contains(&name))
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>(),
        ),
        "integer" => format!(
            "Kind::Integer {{ min: {}, max: {} }}",
            bound(shape, "min", "i32::MIN as i64"),
            bound(shape, "max", "i32::MAX as i64")
        ),
        "long" => format!(
            "Kind::Integer {{ min: {}, max: {} }}",
            bound(shape, "min", "i64::MIN"),
            bound(shape, "max", "i64::MAX")
        ),
        "float" | "double" => format!(
            "Kind::Float {{ min: {}, max: {} }}",
            float_bound(shape, "min", "f64::MIN"),
            float_bound(shape, "max", "f64::MAX")
        ),
        "boolean" => "Kind::Boolean".to_owned(),
        "blob" => format!("Kind::Blob {{ max: {} }}", bound(shape, "max", "u64::MAX")),
        "timestamp" => "Kind::Timestamp".to_owned(),
        "list" => format!(
            "Kind::List {{ entry: &{}, entry_name: {:?}, flattened: {}, min: {}, max: {} }}",
            constant(target(&shape["member"])),
            shape["member"]["locationName"].as_str(),
            shape["flattened"].as_bool().unwrap_or(false),
            bound(shape, "min", "0"),
            bound(shape, "max", "u64::MAX"),
        ),
        "map" => format!(
            "Kind::Map {{ key: &{}, value: &{}, flattened: {}, max: {} }}",
            constant(target(&shape["key"])),
            constant(target(&shape["value"])),
            shape["flattened"].as_bool().unwrap_or(false),
            bound(shape, "max", "u64::MAX"),
        ),
        other => panic!("{name} is a {other}"),
    };
    format!("    pub static {}: Shape = Shape {{ name: {name:?}, kind: {kind} }};\n", constant(name))
}

fn structure_kind(shape: &Value) -> String {
    let required = required(shape);
    let payload = shape["payload"].as_str();
    let mut out = String::from("Kind::Structure(&[\n");
    for (member, reference) in members(shape) {
        let location = match reference["location"].as_str() {
            _ if payload == Some(member) => "Payload",
            None => "Body",
            Some("uri") => "Uri",
            Some("querystring") => "Query",
            Some("header") => "Header",
            Some("headers") => "Headers",
            Some("statusCode") => "StatusCode",
            Some(other) => panic!("{member} is in {other}"),
        };
        writeln!(
            out,
            "        Member {{ name: {member:?}, wire: {:?}, query: {:?}, location: Location::{location}, required: {}, iso8601: {}, shape: &{} }},",
            reference["locationName"].as_str(),
            reference["queryName"].as_str(),
            required.contains(member.as_str()),
            reference["timestampFormat"] == "iso8601",
            constant(target(reference)),
        )
        .unwrap();
    }
    out.push_str("    ])");
    out
}

fn bound(shape: &Value, key: &str, default: &str) -> String {
    match &shape[key] {
        Value::Number(number) => number.to_string(),
        _ => default.to_owned(),
    }
}

fn float_bound(shape: &Value, key: &str, default: &str) -> String {
    shape[key].as_f64().map_or_else(|| default.to_owned(), |bound| format!("{bound:?}"))
}

/// A constructor for each modelled error.
fn errors(model: &Model) -> String {
    let mut out = String::from("pub mod error {\n    use barge_core::AwsError;\n");
    for (name, shape) in &model.shapes {
        if shape["exception"] != true {
            continue;
        }
        let code = shape["error"]["code"].as_str().unwrap_or(name);
        let fault = shape["fault"].as_bool().unwrap_or(false);
        let status = shape["error"]["httpStatusCode"].as_u64().unwrap_or(if fault { 500 } else { 400 });
        writeln!(
            out,
            "    pub fn {}(message: impl Into<String>) -> AwsError {{\n        AwsError::new({code:?}, {status}, message)\n    }}",
            snake(name)
        )
        .unwrap();
    }
    out.push_str("}\n\n");
    out
}

fn operations(model: &Model, listed: &[String]) -> String {
    let mut out = String::from("static OPERATIONS: &[crate::Operation] = &[\n");
    for name in listed {
        let operation = &model.operations[name];
        let side = |side: &str| match operation[side]["shape"].as_str() {
            Some(shape) => format!("&shapes::{}", constant(shape)),
            None => "crate::Shape::EMPTY".to_owned(),
        };
        let (method, path) = binding(operation);
        writeln!(
            out,
            "    crate::Operation {{ name: {name:?}, method: {method:?}, path: {path:?}, status: {}, input: {}, output: {}, wrapper: {:?} }},",
            operation["http"]["responseCode"].as_u64().unwrap_or(200),
            side("input"),
            side("output"),
            operation["output"]["resultWrapper"].as_str(),
        )
        .unwrap();
    }
    out.push_str("];\n\n");
    out
}

fn binding(operation: &Value) -> (&str, &str) {
    let http = &operation["http"];
    (http["method"].as_str().unwrap_or("POST"), http["requestUri"].as_str().unwrap_or("/"))
}

fn description(model: &Model, listed: &[String], validation_code: &str) -> String {
    let protocol = match (model.metadata("protocol"), model.metadata("jsonVersion")) {
        ("json", "1.0") => "Json10",
        ("json", _) => "Json11",
        ("rest-json", _) => "RestJson",
        ("query", _) => "Query",
        ("ec2", _) => "Ec2",
        other => panic!("{other:?} is no protocol of ours"),
    };
    let signing_name = match model.metadata("signingName") {
        "" => model.metadata("endpointPrefix"),
        name => name,
    };
    let others: Vec<_> = model
        .operations
        .iter()
        .filter(|(name, _)| !listed.contains(name))
        .map(|(name, operation)| {
            let (method, path) = binding(operation);
            (name.as_str(), method, path)
        })
        .collect();
    format!(
        "/// What the model says of the service.\npub static DESCRIPTION: crate::Description = crate::Description {{\n    name: {:?},\n    \
         signing_name: {signing_name:?},\n    protocol: crate::Protocol::{protocol},\n    namespace: {:?},\n    target_prefix: {:?},\n    \
         validation_code: {validation_code:?},\n    operations: OPERATIONS,\n    others: &{others:?},\n}};\n\n",
        model.metadata("serviceFullName"),
        model.metadata("xmlNamespace"),
        model.metadata("targetPrefix"),
    )
}

fn service_trait(model: &Model, listed: &[String]) -> String {
    let name = match model.metadata("serviceId") {
        "CloudWatch Logs" => "Logs".to_owned(),
        "CloudFormation" => "CloudFormation".to_owned(),
        id => type_name(&id.replace(' ', "")),
    };
    let (mut methods, mut arms) = (String::new(), String::new());
    for operation in listed {
        let side = |side: &str| model.operations[operation][side]["shape"].as_str().map_or("()".to_owned(), type_name);
        let (input, output, method) = (side("input"), side("output"), snake(operation));
        writeln!(
            methods,
            "    fn {method}(&self, cx: &::barge_core::Context, input: {input}) -> impl Future<Output = Result<{output}, ::barge_core::AwsError>> + Send {{\n        \
             async {{ Err(::barge_core::AwsError::not_implemented(DESCRIPTION.name, {operation:?})) }}\n    }}"
        )
        .unwrap();
        writeln!(arms, "            {operation:?} => generated::run(input, |input| self.0.{method}(cx, input)).await,")
            .unwrap();
    }
    format!(
        "/// The service's operations; one without an implementation answers NotImplemented.\npub trait {name}: Send + Sync + 'static {{\n{methods}}}\n\n\
         /// The service for the gateway.\npub fn service<S: {name}>(service: ::std::sync::Arc<S>) -> ::std::sync::Arc<dyn crate::Service> {{\n    \
         generated::Dispatcher::service(Calls(service))\n}}\n\n\
         use crate::generated;\n\nstruct Calls<S>(::std::sync::Arc<S>);\n\n\
         #[::async_trait::async_trait]\nimpl<S: {name}> generated::Dispatch for Calls<S> {{\n    \
         fn description(&self) -> &'static crate::Description {{\n        &DESCRIPTION\n    }}\n\n    \
         async fn dispatch(&self, cx: &::barge_core::Context, operation: &'static crate::Operation, input: ::barge_core::Document) -> Result<::barge_core::Document, ::barge_core::AwsError> {{\n        \
         match operation.name {{\n{arms}            other => Err(::barge_core::AwsError::not_implemented(DESCRIPTION.name, other)),\n        }}\n    }}\n}}\n"
    )
}
