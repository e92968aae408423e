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

/// Gives each text of `now` that is as `spelled` has it the spelling of `written`, of which that was made.
pub(super) fn as_written(now: &mut Document, spelled: &Document, written: &Document) {
    match (now, spelled, written) {
        (Document::Map(now), Document::Map(spelled), Document::Map(written)) => {
            for (name, now) in now {
                if let (Some(spelled), Some(written)) = (spelled.get(name), written.get(name)) {
                    as_written(now, spelled, written);
                }
            }
        }
        (Document::List(now), Document::List(spelled), Document::List(written)) => {
            for ((now, spelled), written) in now.iter_mut().zip(spelled).zip(written) {
                as_written(now, spelled, written);
            }
        }
        (Document::String(now), Document::String(spelled), Document::String(written)) if now == spelled => {
            now.clone_from(written);
        }
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
        let spelled = spelled(&document, &spellings);
        assert_eq!(spelled.to_json(), expected);
        let mut now = spelled.clone();
        as_written(&mut now, &spelled, &document);
        assert_eq!(now, document);
    }
}
