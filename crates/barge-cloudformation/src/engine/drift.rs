//! What is stored of drift detections: the latest finding for each resource, and each detection of a whole stack.

use super::comparison::Difference;
use super::tables::{all, execute, json, one};
use barge_core::{AwsError, Timestamp};
use barge_store::rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

/// How a resource compares with what was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Drift {
    InSync,
    /// Properties differ.
    Modified,
    Deleted,
    /// It could not be read.
    Unknown,
}

/// What was found of a resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResourceDrift {
    pub(crate) logical_id: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) type_name: String,
    pub(crate) drift: Drift,
    pub(crate) at: Timestamp,
    /// The properties that the stack gave it, as JSON; `None` where it is deleted.
    pub(crate) expected: Option<String>,
    /// The same properties as they are, as JSON; `None` where they were not compared.
    #[serde(default)]
    pub(crate) actual: Option<String>,
    pub(crate) differences: Vec<Difference>,
    /// Why it could not be read.
    pub(crate) reason: Option<String>,
}

/// A detection of a whole stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Detection {
    pub(crate) id: String,
    pub(crate) stack_id: String,
    pub(crate) at: Timestamp,
    /// How many resources were changed or deleted.
    pub(crate) drifted: usize,
    /// How many could not be read.
    pub(crate) unknown: usize,
}

pub(crate) fn save_drift(tx: &Transaction<'_>, stack_id: &str, found: &ResourceDrift) -> Result<(), AwsError> {
    execute(
        tx,
        "INSERT INTO cloudformation_drifts (stack_id, logical_id, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (stack_id, logical_id) DO UPDATE SET body = ?3",
        params![stack_id, found.logical_id, json(found)?],
    )
    .map(drop)
}

pub(crate) fn save_detection(tx: &Transaction<'_>, detection: &Detection) -> Result<(), AwsError> {
    let statement = "INSERT INTO cloudformation_detections (id, stack_id, at, body) VALUES (?1, ?2, ?3, ?4)";
    let at = detection.at.millis();
    execute(tx, statement, params![detection.id, detection.stack_id, at, json(detection)?]).map(drop)
}

/// What was found of a stack's resources, in the order of their names.
pub(crate) fn drifts(db: &Connection, stack_id: &str) -> Result<Vec<ResourceDrift>, AwsError> {
    all(db, "SELECT body FROM cloudformation_drifts WHERE stack_id = ?1 ORDER BY logical_id", [stack_id])
}

/// The detection with an id.
pub(crate) fn detection(db: &Connection, id: &str) -> Result<Option<Detection>, AwsError> {
    one(db, "SELECT body FROM cloudformation_detections WHERE id = ?1", [id])
}

/// The latest detection of a stack.
pub(crate) fn latest_detection(db: &Connection, stack_id: &str) -> Result<Option<Detection>, AwsError> {
    let query = "SELECT body FROM cloudformation_detections WHERE stack_id = ?1 ORDER BY at DESC LIMIT 1";
    one(db, query, [stack_id])
}
