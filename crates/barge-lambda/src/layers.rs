//! Layers: numbered packages of files that functions find under `/opt`. All are in memory for reading and in the database
//! for good. What is in them is in the code store.

use crate::function::CodeRef;
use barge_core::{AccountId, AwsError, Region, Scope, Timestamp};
use barge_store::rusqlite::params;
use barge_store::{Store, sql};
use barge_wire::lambda::{Architecture, Layer, Runtime, error};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

pub(crate) const LAYERS_TABLE: &str = "CREATE TABLE lambda_layers (
    account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (account, region, name)
) WITHOUT ROWID";

/// A layer version as a function refers to it. It stays usable where the version is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRef {
    /// The version's ARN.
    pub arn: String,
    pub code: CodeRef,
}

impl LayerRef {
    pub(crate) fn shown(&self) -> Layer {
        Layer { arn: Some(self.arn.clone()), code_size: i64::try_from(self.code.size).ok(), ..Layer::default() }
    }
}

/// One version of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LayerVersion {
    pub number: i64,
    pub description: Option<String>,
    pub code: CodeRef,
    pub runtimes: Vec<Runtime>,
    pub architectures: Vec<Architecture>,
    pub license: Option<String>,
    pub created: Timestamp,
    /// The template's creation that published it, if one did.
    pub creation_token: Option<String>,
}

/// A layer: its versions in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    /// The last version's number; numbers are never given twice.
    pub last: i64,
    pub versions: Vec<LayerVersion>,
}

/// `arn:aws:lambda:REGION:ACCOUNT:layer:NAME`.
pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.arn("lambda", format!("layer:{name}")).to_string()
}

/// The layer's name and, where there is one, the version in a name or ARN of `scope`; `None` where it is another scope's.
pub(crate) fn parse(scope: &Scope, text: &str) -> Option<(String, Option<i64>)> {
    let own = arn(scope, "");
    let rest = if text.starts_with("arn:") { text.strip_prefix(&own)? } else { text };
    match rest.split_once(':') {
        Some((name, version)) => Some((name.to_owned(), Some(version.parse().ok()?))),
        None => Some((rest.to_owned(), None)),
    }
}

type Key = (Scope, String);

/// Every layer.
pub(crate) struct Layers {
    store: Store,
    by_name: RwLock<BTreeMap<Key, Arc<LayerRecord>>>,
    /// Held from reading a layer until its change is committed.
    changing: tokio::sync::Mutex<()>,
}

impl Layers {
    /// Reads all layers.
    pub(crate) fn open(store: Store) -> Result<Self, AwsError> {
        let rows: Vec<(String, String, String, String)> = store.read_blocking(|connection| {
            let mut statement = sql(connection.prepare("SELECT account, region, name, body FROM lambda_layers"))?;
            let row = |row: &barge_store::rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            sql(statement.query_map([], row).and_then(Iterator::collect))
        })?;
        let mut layers = BTreeMap::new();
        for (account, region, name, body) in rows {
            let scope = Scope {
                account: AccountId::new(&account).unwrap_or_default(),
                region: Region::new(&region).unwrap_or_default(),
            };
            layers.insert((scope, name), Arc::new(serde_json::from_str(&body).map_err(AwsError::internal)?));
        }
        Ok(Self { store, by_name: RwLock::new(layers), changing: tokio::sync::Mutex::default() })
    }

    pub(crate) fn get(&self, scope: &Scope, name: &str) -> Option<Arc<LayerRecord>> {
        let layers = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        layers.get(&(scope.clone(), name.to_owned())).cloned()
    }

    /// The version, or AWS's answer where there is none.
    pub(crate) fn version(&self, scope: &Scope, name: &str, number: i64) -> Result<LayerVersion, AwsError> {
        let found = self.get(scope, name);
        let found = found.and_then(|layer| layer.versions.iter().find(|version| version.number == number).cloned());
        found.ok_or_else(|| error::resource_not_found_exception("The resource you requested does not exist."))
    }

    /// The layers of `scope` that have versions, by name.
    pub(crate) fn all(&self, scope: &Scope) -> Vec<(String, Arc<LayerRecord>)> {
        let layers = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let own = layers.iter().filter(|((place, _), layer)| place == scope && !layer.versions.is_empty());
        own.map(|((_, name), layer)| (name.clone(), Arc::clone(layer))).collect()
    }

    pub(crate) fn uses_code(&self, sha256: &str) -> bool {
        let layers = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        layers.values().any(|layer| layer.versions.iter().any(|version| version.code.sha256 == sha256))
    }

    /// Changes a layer, which begins without versions, and returns once that is durable.
    pub(crate) async fn change<T>(
        &self,
        scope: &Scope,
        name: &str,
        change: impl FnOnce(&mut LayerRecord) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        let _changing = self.changing.lock().await;
        let mut layer = self.get(scope, name).map(|layer| LayerRecord::clone(&layer)).unwrap_or_default();
        let value = change(&mut layer)?;
        let body = serde_json::to_string(&layer).map_err(AwsError::internal)?;
        let key: Key = (scope.clone(), name.to_owned());
        let (place, label) = key.clone();
        self.store
            .write(move |tx| {
                let row = params![place.account.as_str(), place.region.as_str(), label, body];
                let put = "INSERT OR REPLACE INTO lambda_layers (account, region, name, body) VALUES (?1, ?2, ?3, ?4)";
                sql(tx.execute(put, row)).map(drop)
            })
            .await?;
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(layer));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arns_of_layers() {
        let scope = Scope::default();
        for (text, expected) in [
            ("l", Some(("l", None))),
            ("arn:aws:lambda:us-east-1:000000000000:layer:l", Some(("l", None))),
            ("arn:aws:lambda:us-east-1:000000000000:layer:l:3", Some(("l", Some(3)))),
            ("arn:aws:lambda:us-east-1:111111111111:layer:l:3", None),
            ("arn:aws:lambda:us-east-1:000000000000:layer:l:x", None),
        ] {
            let expected = expected.map(|(name, version)| (name.to_owned(), version));
            assert_eq!(parse(&scope, text), expected, "{text}");
        }
    }
}
