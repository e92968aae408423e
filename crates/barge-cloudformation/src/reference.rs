//! The resource types for people and for scripts, made from the providers so that it can't lie.

use crate::Registry;
use barge_core::Document;
use barge_core::resource::{Outline, Property, PropertyType, UpdateBehavior};
use std::fmt::Write as _;

/// A Markdown page of every resource type with its properties and attributes.
pub fn reference(registry: &Registry) -> String {
    let mut page = String::from("# Resource types\n");
    for schema in registry.schemas() {
        // Writing to a String does not fail.
        let _ =
            write!(page, "\n## {}\n\n| property | type | required | a change |\n|---|---|---|---|\n", schema.type_name);
        for property in schema.properties {
            let _ = writeln!(page, "{}", row(property));
        }
        if !schema.attributes.is_empty() {
            let _ = writeln!(page, "\n`Fn::GetAtt`: {}", schema.attributes.join(", "));
        }
    }
    page
}

fn row(property: &Property) -> String {
    let (kind, change) = (kind(property.kind), change(property));
    format!("| {} | {kind} | {} | {change} |", property.name, if property.required { "yes" } else { "" })
}

fn kind(kind: PropertyType) -> &'static str {
    match kind {
        PropertyType::String => "string",
        PropertyType::Integer => "integer",
        PropertyType::Number => "number",
        PropertyType::Boolean => "boolean",
        PropertyType::List => "list",
        PropertyType::Map => "map",
        PropertyType::Json => "JSON",
    }
}

fn change(property: &Property) -> &'static str {
    match property.update {
        UpdateBehavior::InPlace => "in place",
        UpdateBehavior::Replacement => "replaces",
        UpdateBehavior::Conditional => "may replace",
    }
}

/// The same for scripts: a list of types, each with `name`, `attributes` and `properties` by name. Of a property there are
/// `type`, `required` and `change`; where it is known what is within it, `members` by name or `entries`, which have the
/// same but `change`.
pub fn catalogue(registry: &Registry) -> Document {
    registry
        .schemas()
        .map(|schema| {
            let properties = schema.properties.iter().map(|property| {
                let own = [("required", property.required.into()), ("change", change(property).into())];
                (property.name, described(property, own))
            });
            Document::map([
                ("name", schema.type_name.into()),
                ("properties", Document::map(properties)),
                ("attributes", schema.attributes.iter().copied().collect()),
            ])
        })
        .collect()
}

fn described<const N: usize>(outline: &'static dyn Outline, more: [(&'static str, Document); N]) -> Document {
    let members = outline.members().map(|members| {
        let members = members
            .into_iter()
            .map(|member| (member.name.into_owned(), described(member.value, [("required", member.required.into())])));
        ("members", Document::map(members))
    });
    let entries = outline.entries().map(|entries| ("entries", described(entries, [])));
    Document::map([("type", kind(outline.kind()).into())].into_iter().chain(more).chain(members).chain(entries))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use std::sync::Arc;

    #[test]
    fn every_type_has_its_table() {
        let page = reference(&Registry::new(fake::providers(&Arc::default())));
        assert!(page.contains("## AWS::IAM::Role\n"));
        assert!(page.contains("| Name | string |  | replaces |\n| Value | string |  | in place |\n"));
        assert!(page.contains("`Fn::GetAtt`: Arn, Value\n"));
    }

    #[test]
    fn scripts_are_told_what_is_within_properties() {
        let catalogue = catalogue(&Registry::new(fake::providers(&Arc::default())));
        let types = catalogue.as_list().unwrap_or_default();
        let stack = types.iter().find(|listed| listed.get("name") == Some(&"Fake::Thing::One".into()));
        let property = |name| stack?.get("properties")?.get(name).map(Document::to_json);
        assert_eq!(property("Name").as_deref(), Some(r#"{"type":"string","required":false,"change":"replaces"}"#));
        assert_eq!(
            property("Tags").as_deref(),
            Some(concat!(
                r#"{"type":"list","required":false,"change":"in place","entries":{"type":"map","members":{"#,
                r#""Key":{"type":"string","required":true},"Value":{"type":"string","required":true}}}}"#
            ))
        );
    }
}
