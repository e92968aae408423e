//! Whether a tag may move to another image (Amazon ECR User Guide, "Preventing image tags from being overwritten in Amazon ECR").
//! Pure.

use barge_core::AwsError;
use barge_wire::ecr::{
    ImageTagMutability, ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType, error,
};
use serde::{Deserialize, Serialize};

/// Wildcards of one filter, at most.
const MOST_WILDCARDS: usize = 2;

/// A repository's rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mutability {
    #[serde(rename = "mutability")]
    mode: ImageTagMutability,
    /// Patterns of tags that the rule does not hold for.
    #[serde(default, rename = "mutability_exclusions")]
    exclusions: Vec<String>,
}

impl Mutability {
    /// The rule that a request asks for.
    ///
    /// # Errors
    /// `InvalidParameterException` where filters and mode do not go together.
    pub(crate) fn of(
        mode: Option<ImageTagMutability>,
        filters: Option<Vec<ImageTagMutabilityExclusionFilter>>,
    ) -> Result<Self, AwsError> {
        let mode = mode.unwrap_or_default();
        let exclusions: Vec<String> = filters.into_iter().flatten().map(|filter| filter.filter).collect();
        let invalid = |message: String| Err(error::invalid_parameter_exception(message));
        match (mode, exclusions.is_empty()) {
            (ImageTagMutability::Mutable | ImageTagMutability::Immutable, false) => {
                return invalid(format!("Exclusion filters cannot be used with imageTagMutability {mode}"));
            }
            (ImageTagMutability::MutableWithExclusion | ImageTagMutability::ImmutableWithExclusion, true) => {
                return invalid(format!("imageTagMutability {mode} needs imageTagMutabilityExclusionFilters"));
            }
            _ => {}
        }
        if let Some(filter) = exclusions.iter().find(|filter| filter.matches('*').count() > MOST_WILDCARDS) {
            return invalid(format!("The filter '{filter}' has more than {MOST_WILDCARDS} wildcards"));
        }
        Ok(Self { mode, exclusions })
    }

    /// How the API shows the mode.
    pub(crate) fn mode(&self) -> ImageTagMutability {
        self.mode
    }

    /// How the API shows the exclusions.
    pub(crate) fn filters(&self) -> Option<Vec<ImageTagMutabilityExclusionFilter>> {
        let shown = |filter: &String| ImageTagMutabilityExclusionFilter {
            filter_type: ImageTagMutabilityExclusionFilterType::Wildcard,
            filter: filter.clone(),
        };
        (!self.exclusions.is_empty()).then(|| self.exclusions.iter().map(shown).collect())
    }

    /// Whether `tag` stays with its image.
    pub(crate) fn fixes(&self, tag: &str) -> bool {
        let excluded = || self.exclusions.iter().any(|filter| matches(filter, tag));
        match self.mode {
            ImageTagMutability::Mutable => false,
            ImageTagMutability::Immutable => true,
            ImageTagMutability::MutableWithExclusion => excluded(),
            ImageTagMutability::ImmutableWithExclusion => !excluded(),
        }
    }
}

/// Whether `tag` is what `filter` says, where `*` stands for anything.
fn matches(filter: &str, tag: &str) -> bool {
    match filter.split_once('*') {
        None => filter == tag,
        Some((start, rest)) => tag
            .strip_prefix(start)
            .is_some_and(|left| (0..=left.len()).any(|at| left.get(at..).is_some_and(|tail| matches(rest, tail)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(texts: &[&str]) -> Vec<ImageTagMutabilityExclusionFilter> {
        let filter = |text: &&str| ImageTagMutabilityExclusionFilter {
            filter_type: ImageTagMutabilityExclusionFilterType::Wildcard,
            filter: (*text).to_owned(),
        };
        texts.iter().map(filter).collect()
    }

    #[test]
    fn which_tags_are_fixed() {
        use ImageTagMutability::{Immutable, ImmutableWithExclusion, Mutable, MutableWithExclusion};
        for (mode, exclusions, tag, fixed) in [
            (Mutable, &[][..], "latest", false),
            (Immutable, &[], "latest", true),
            (ImmutableWithExclusion, &["latest", "dev-*"], "latest", false),
            (ImmutableWithExclusion, &["latest", "dev-*"], "dev-1", false),
            (ImmutableWithExclusion, &["latest", "dev-*"], "v1", true),
            (ImmutableWithExclusion, &["*-rc*"], "v1-rc2", false),
            (ImmutableWithExclusion, &["*-rc*"], "v1", true),
            (ImmutableWithExclusion, &["*1"], "v11", false),
            (MutableWithExclusion, &["v*"], "v1", true),
            (MutableWithExclusion, &["v*"], "latest", false),
        ] {
            let given = (!exclusions.is_empty()).then(|| filters(exclusions));
            assert_eq!(Mutability::of(Some(mode), given).unwrap().fixes(tag), fixed, "{mode} {exclusions:?} {tag}");
        }
    }

    #[test]
    fn filters_go_with_the_modes_that_have_exclusions() {
        use ImageTagMutability::{Immutable, MutableWithExclusion};
        for (mode, given, word) in [
            (Immutable, Some(filters(&["v*"])), "cannot be used"),
            (MutableWithExclusion, None, "needs"),
            (MutableWithExclusion, Some(filters(&["*a*b*"])), "wildcards"),
        ] {
            assert!(Mutability::of(Some(mode), given).unwrap_err().message.contains(word), "{word}");
        }
    }

    #[test]
    fn repositories_of_before_keep_their_rule() {
        let rule: Mutability = serde_json::from_str(r#"{"mutability": "IMMUTABLE"}"#).unwrap();
        assert!(rule.fixes("v1") && rule.filters().is_none());
    }
}
