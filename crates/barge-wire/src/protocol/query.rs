//! awsQuery and ec2Query: input as form parameters with dotted names, answers in XML.

use super::xml::Xml;
use super::{Named, unknown_operation};
use crate::{Description, Kind, Member, Operation, Shape};
use barge_core::{AwsError, Document};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use indexmap::IndexMap;
use percent_encoding::percent_decode;

/// Where the two protocols differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Query,
    Ec2,
}

/// Parameters that belong to the protocol and to older signatures, not to an operation.
const COMMON: &[&str] = &[
    "Action",
    "Version",
    "AWSAccessKeyId",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
    "Expires",
    "SecurityToken",
];

pub(super) fn operation(description: &Description, request: &Request<Bytes>) -> Result<Named, AwsError> {
    let pairs = all_pairs(request);
    let action = pairs.iter().find(|(name, _)| name == "Action").map_or("", |(_, value)| value.as_str());
    Named::find(description, action).ok_or_else(|| {
        if action.is_empty() {
            return AwsError::new("MissingAction", 400, "The request must contain the parameter Action");
        }
        AwsError { status: 400, code: "InvalidAction".into(), ..unknown_operation(action) }
    })
}

fn all_pairs(request: &Request<Bytes>) -> Vec<(String, String)> {
    let mut all = pairs(request.uri().query().unwrap_or_default().as_bytes());
    all.extend(pairs(request.body()));
    all
}

/// The pairs of a form-encoded text, in order.
pub(super) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    text.split(|b| *b == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = match pair.iter().position(|b| *b == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            (form_decoded(name), form_decoded(value))
        })
        .collect()
}

fn form_decoded(text: &[u8]) -> String {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// Parameters by the parts of their dotted names.
#[derive(Debug, Default)]
struct Node {
    value: Option<String>,
    children: IndexMap<String, Node>,
}

impl Node {
    fn insert(&mut self, name: &str, value: String) {
        let mut node = self;
        for part in name.split('.') {
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.value = Some(value);
    }

    /// The children with numbers for names, in the numbers' order.
    fn numbered(&self) -> Result<Vec<&Node>, AwsError> {
        let mut entries = Vec::with_capacity(self.children.len());
        for (name, node) in &self.children {
            let number: u32 = name
                .parse()
                .map_err(|_| malformed(format!("{name} stands where the number of a list's entry should")))?;
            entries.push((number, node));
        }
        entries.sort_by_key(|(number, _)| *number);
        Ok(entries.into_iter().map(|(_, node)| node).collect())
    }
}

fn malformed(message: String) -> AwsError {
    AwsError::new("MalformedQueryString", 400, message)
}

pub(super) fn decode(
    dialect: Dialect,
    operation: &'static Operation,
    request: &Request<Bytes>,
) -> Result<Document, AwsError> {
    let mut root = Node::default();
    for (name, value) in all_pairs(request) {
        if !COMMON.contains(&name.as_str()) && !name.starts_with("X-Amz-") {
            root.insert(&name, value);
        }
    }
    structure(dialect, &root, operation.input)
}

fn value(dialect: Dialect, node: &Node, shape: &'static Shape) -> Result<Document, AwsError> {
    match &shape.kind {
        Kind::Structure(_) => structure(dialect, node, shape),
        Kind::List { entry, entry_name, flattened, .. } => {
            let flat = dialect == Dialect::Ec2 || *flattened;
            let entries = if flat { Some(node) } else { node.children.get(entry_name.unwrap_or("member")) };
            let entries = entries.map_or_else(|| Ok(Vec::new()), Node::numbered)?;
            entries.into_iter().map(|node| value(dialect, node, entry)).collect::<Result<_, _>>().map(Document::List)
        }
        Kind::Map { value: shape, flattened, .. } => {
            let entries = if *flattened { Some(node) } else { node.children.get("entry") };
            let mut map = IndexMap::new();
            for entry in entries.map_or_else(|| Ok(Vec::new()), Node::numbered)? {
                if let (Some(key), Some(node)) = (entry.children.get("key"), entry.children.get("value")) {
                    map.insert(key.value.clone().unwrap_or_default(), value(dialect, node, shape)?);
                }
            }
            Ok(Document::Map(map))
        }
        _ => Ok(node.value.clone().map_or(Document::Null, Document::String)),
    }
}

fn structure(dialect: Dialect, node: &Node, shape: &'static Shape) -> Result<Document, AwsError> {
    let mut map = IndexMap::new();
    for (name, child) in &node.children {
        let member = shape.members().iter().find(|member| parameter_name(dialect, member) == *name);
        match member {
            Some(member) => {
                map.insert(member.name.to_owned(), value(dialect, child, member.shape)?);
            }
            // Left in under its own name: coercion refuses it with its path.
            None => {
                map.insert(name.clone(), Document::String(child.value.clone().unwrap_or_default()));
            }
        }
    }
    Ok(Document::Map(map))
}

/// A member's name in parameters (Smithy documentation, "AWS query protocol", "AWS EC2 query protocol").
fn parameter_name(dialect: Dialect, member: &Member) -> String {
    match dialect {
        Dialect::Query => match &member.shape.kind {
            Kind::List { flattened: true, entry_name: Some(name), .. } => (*name).to_owned(),
            _ => member.wire_name().to_owned(),
        },
        Dialect::Ec2 => member.query.map_or_else(|| capitalised(member.wire_name()), str::to_owned),
    }
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

pub(super) fn encode(
    dialect: Dialect,
    description: &Description,
    operation: &'static Operation,
    request_id: &str,
    output: &Document,
) -> String {
    Xml::document(&format!("{}Response", operation.name), description.namespace, |xml| match dialect {
        Dialect::Query => {
            if let Some(wrapper) = operation.wrapper {
                xml.element(wrapper, |xml| write_members(xml, dialect, output, operation.output));
            }
            xml.element("ResponseMetadata", |xml| xml.leaf("RequestId", request_id));
        }
        Dialect::Ec2 => {
            xml.leaf("requestId", request_id);
            write_members(xml, dialect, output, operation.output);
        }
    })
}

fn write_members(xml: &mut Xml, dialect: Dialect, document: &Document, shape: &'static Shape) {
    for member in shape.members() {
        if let Some(value) = document.get(member.name) {
            write(xml, dialect, member.wire_name(), value, member.shape);
        }
    }
}

fn write(xml: &mut Xml, dialect: Dialect, name: &str, document: &Document, shape: &'static Shape) {
    match (&shape.kind, document) {
        (_, Document::Null) => {}
        (Kind::Structure(_), _) => xml.element(name, |xml| write_members(xml, dialect, document, shape)),
        (Kind::List { entry, entry_name, flattened, .. }, Document::List(entries)) => {
            if *flattened {
                let name = entry_name.unwrap_or(name);
                for value in entries {
                    write(xml, dialect, name, value, entry);
                }
            } else {
                let default = if dialect == Dialect::Ec2 { "item" } else { "member" };
                let entry_name = entry_name.unwrap_or(default);
                xml.element(name, |xml| entries.iter().for_each(|value| write(xml, dialect, entry_name, value, entry)));
            }
        }
        (Kind::Map { value: shape, flattened, .. }, Document::Map(entries)) => {
            let write_entry = |xml: &mut Xml, element: &str, key: &str, value: &Document| {
                xml.element(element, |xml| {
                    xml.leaf("key", key);
                    write(xml, dialect, "value", value, shape);
                });
            };
            if *flattened {
                entries.iter().for_each(|(key, value)| write_entry(xml, name, key, value));
            } else {
                xml.element(name, |xml| entries.iter().for_each(|(key, value)| write_entry(xml, "entry", key, value)));
            }
        }
        (_, Document::Timestamp(moment)) => xml.leaf(name, &moment.iso8601()),
        (_, Document::Blob(bytes)) => xml.leaf(name, &STANDARD.encode(bytes)),
        (_, scalar) => xml.leaf(name, &scalar.scalar_text().unwrap_or_default()),
    }
}

pub(super) fn error(request_id: &str, error: &AwsError) -> String {
    Xml::document("ErrorResponse", "", |xml| {
        xml.element("Error", |xml| {
            xml.leaf("Type", if error.status < 500 { "Sender" } else { "Receiver" });
            xml.leaf("Code", &error.code);
            xml.leaf("Message", &error.message);
        });
        xml.leaf("RequestId", request_id);
    })
}

pub(super) fn ec2_error(request_id: &str, error: &AwsError) -> String {
    Xml::document("Response", "", |xml| {
        xml.element("Errors", |xml| {
            xml.element("Error", |xml| {
                xml.leaf("Code", &error.code);
                xml.leaf("Message", &error.message);
            });
        });
        xml.leaf("RequestID", request_id);
    })
}

pub(super) fn rest_error(request_id: &str, error: &AwsError) -> String {
    Xml::document("Error", "", |xml| {
        xml.leaf("Code", &error.code);
        xml.leaf("Message", &error.message);
        xml.leaf("RequestId", request_id);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Typed;

    fn input(dialect: Dialect, shape: &'static Shape, form: &str) -> Document {
        let mut root = Node::default();
        for (name, value) in pairs(form.as_bytes()) {
            root.insert(&name, value);
        }
        structure(dialect, &root, shape).unwrap()
    }

    #[test]
    fn query_lists_are_numbered_under_member() {
        let document = input(
            Dialect::Query,
            crate::cloudformation::CreateStackInput::SHAPE,
            "StackName=s&Capabilities.member.2=B&Capabilities.member.1=A\
             &Parameters.member.1.ParameterKey=K&Parameters.member.1.ParameterValue=a+b%2Fc",
        );
        assert_eq!(
            document.to_json(),
            r#"{"StackName":"s","Capabilities":["A","B"],"Parameters":[{"ParameterKey":"K","ParameterValue":"a b/c"}]}"#
        );
    }

    #[test]
    fn ec2_lists_are_flat_and_capitalised() {
        let document = input(
            Dialect::Ec2,
            crate::ec2::DescribeVpcsRequest::SHAPE,
            "Filter.1.Name=cidr&Filter.1.Value.1=10.0.0.0%2F16&VpcId.1=vpc-1",
        );
        assert_eq!(document.to_json(), r#"{"Filters":[{"Name":"cidr","Values":["10.0.0.0/16"]}],"VpcIds":["vpc-1"]}"#);
    }

    #[test]
    fn text_is_escaped() {
        let text = Xml::document("x", "", |xml| xml.text("a<b>&\"\u{1}\r\n"));
        assert!(text.ends_with("<x>a&lt;b&gt;&amp;&quot;&#13;\n</x>"), "{text}");
    }
}
