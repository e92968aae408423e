//! The table of resource types for people, made from the providers so that it can't lie.

use crate::Registry;
use barge_core::resource::{Property, PropertyType, UpdateBehavior};
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
    let kind = match property.kind {
        PropertyType::String => "string",
        PropertyType::Integer => "integer",
        PropertyType::Number => "number",
        PropertyType::Boolean => "boolean",
        PropertyType::List => "list",
        PropertyType::Map => "map",
        PropertyType::Json => "JSON",
    };
    let change = match property.update {
        UpdateBehavior::InPlace => "in place",
        UpdateBehavior::Replacement => "replaces",
        UpdateBehavior::Conditional => "may replace",
    };
    format!("| {} | {kind} | {} | {change} |", property.name, if property.required { "yes" } else { "" })
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
}
