//! The `Globals` section: what functions have in common (AWS SAM Developer Guide, "Globals section of the AWS SAM
//! template").

use super::super::super::problem::{Fault, Path, Problems};
use barge_core::Document;
use indexmap::IndexMap;

/// The properties that every function starts from.
pub(super) fn read(globals: &Document, problems: &mut Problems) -> IndexMap<String, Document> {
    let path = Path::of(&["Globals"]);
    let mut function = IndexMap::new();
    for (name, section) in globals.as_map().into_iter().flatten() {
        match (name.as_str(), section) {
            ("Function", Document::Map(properties)) => function.clone_from(properties),
            ("Function", _) => {
                problems.add(path.at(name), Fault::Format("Globals of Function must be an object.".to_owned()));
            }
            _ => problems.add(path.at(name), Fault::Unsupported(format!("Globals of {name}"))),
        }
    }
    function
}

/// What a function's own value makes of the global one: maps are merged, lists follow each other, anything else replaces.
pub(super) fn merge(global: &Document, own: Document) -> Document {
    match (global, own) {
        (Document::Map(global), Document::Map(own)) if !is_function(&own) && !is_function(global) => {
            let mut merged = global.clone();
            for (key, value) in own {
                let value = match global.get(&key) {
                    Some(global) => merge(global, value),
                    None => value,
                };
                merged.insert(key, value);
            }
            Document::Map(merged)
        }
        (Document::List(global), Document::List(own)) => Document::List(global.iter().cloned().chain(own).collect()),
        (_, own) => own,
    }
}

fn is_function(map: &IndexMap<String, Document>) -> bool {
    map.len() == 1 && map.keys().all(|key| key == "Ref" || key.starts_with("Fn::"))
}
