//! Enumerations as Batch spells them: templates may write them in any case (`managed`).

use barge_core::Document;

/// How an enumeration is spelled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Case {
    Upper,
    Lower,
}

/// The text at a path of properties, of which lists may be a part, spelled so.
pub(super) type Spelling = (&'static [&'static str], Case);

/// Properties with every enumeration spelled as Batch does.
pub(super) fn spelled(properties: &Document, spellings: &[Spelling]) -> Document {
    let mut properties = properties.clone();
    for (path, case) in spellings {
        spell(&mut properties, path, *case);
    }
    properties
}

fn spell(document: &mut Document, path: &[&str], case: Case) {
    match (document, path) {
        (Document::List(entries), _) => entries.iter_mut().for_each(|entry| spell(entry, path, case)),
        (Document::Map(map), [first, rest @ ..]) => {
            // Inside structures the API's names are taken too.
            if let Some((_, value)) = map.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(first)) {
                spell(value, rest, case);
            }
        }
        (Document::String(text), []) => match case {
            Case::Upper => text.make_ascii_uppercase(),
            Case::Lower => text.make_ascii_lowercase(),
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_at_paths_are_spelled_and_nothing_else() {
        let spellings: [Spelling; 3] =
            [(&["Type"], Case::Lower), (&["Actions", "Action"], Case::Upper), (&["Missing", "State"], Case::Upper)];
        let given =
            r#"{"Type":"Container","Actions":[{"Action":"cancel","Other":"x"},{"action":"Cancel"},7],"Name":"Mine"}"#;
        let expected =
            r#"{"Type":"container","Actions":[{"Action":"CANCEL","Other":"x"},{"action":"CANCEL"},7],"Name":"Mine"}"#;
        let document = Document::from_json(given.as_bytes()).unwrap();
        assert_eq!(spelled(&document, &spellings).to_json(), expected);
    }
}
