//! Rows of compute environments, queues, scheduling policies and consumable resources: all of one form.

use super::{Rows, collect, parse, text};
use barge_core::{AccountId, AwsError, Region, Scope};
use barge_store::rusqlite::{Connection, Transaction, params};
use barge_store::{rusqlite, sql};
use barge_wire::batch::{
    ComputeEnvironmentDetail, DescribeConsumableResourceResponse, JobQueueDetail, SchedulingPolicyDetail,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A resource's row.
#[derive(Clone, Debug)]
pub(crate) struct Row<D> {
    pub(crate) scope: Scope,
    /// The creation token of the template's resource that made it, where one did.
    pub(crate) token: Option<String>,
    pub(crate) detail: D,
}

/// A compute environment's row.
pub(crate) type EnvironmentRow = Row<ComputeEnvironmentDetail>;
/// A job queue's row.
pub(crate) type QueueRow = Row<JobQueueDetail>;
/// A scheduling policy's row.
pub(crate) type PolicyRow = Row<SchedulingPolicyDetail>;
/// A consumable resource's row; its quantities are the core's.
pub(crate) type ConsumableRow = Row<ConsumableDetail>;

/// A consumable resource as it was made, and the client tokens of its latest updates.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ConsumableDetail {
    pub(crate) shown: DescribeConsumableResourceResponse,
    /// The oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tokens: Vec<String>,
}

/// What is kept of a resource as the API shows it.
pub(crate) trait Detail: Serialize + DeserializeOwned + Send + 'static {
    /// Where it is kept.
    const TABLE: &'static str;
    /// Its ARN.
    fn arn(&self) -> &str;
    /// Its name.
    fn name(&self) -> &str;
}

macro_rules! details {
    ($($detail:ty: $table:literal, $($arn:ident).+, $($name:ident).+;)*) => {
        $(impl Detail for $detail {
            const TABLE: &'static str = $table;

            fn arn(&self) -> &str {
                &self.$($arn).+
            }

            fn name(&self) -> &str {
                &self.$($name).+
            }
        })*
    };
}

details! {
    ComputeEnvironmentDetail: "batch_environments", compute_environment_arn, compute_environment_name;
    JobQueueDetail: "batch_queues", job_queue_arn, job_queue_name;
    SchedulingPolicyDetail: "batch_policies", arn, name;
    ConsumableDetail: "batch_consumables", shown.consumable_resource_arn, shown.consumable_resource_name;
}

impl Rows {
    /// The resources of one kind in a scope, by name.
    pub(crate) async fn resources<D: Detail>(&self, scope: Scope) -> Result<Vec<Row<D>>, AwsError> {
        self.store
            .read(move |conn| {
                let query = format!(
                    "SELECT account, region, token, body FROM {} WHERE account = ?1 AND region = ?2 ORDER BY name",
                    D::TABLE
                );
                let mut statement = sql(conn.prepare_cached(&query))?;
                let texts = collect(&mut statement, params![scope.account.as_str(), scope.region.as_str()], texts)?;
                texts.into_iter().map(row).collect()
            })
            .await
    }
}

/// The resources of one kind, of every account and region.
pub(super) fn all<D: Detail>(conn: &Connection) -> Result<Vec<Row<D>>, AwsError> {
    let mut statement = sql(conn.prepare(&format!("SELECT account, region, token, body FROM {}", D::TABLE)))?;
    collect(&mut statement, [], texts)?.into_iter().map(row).collect()
}

pub(super) fn put<D: Detail>(tx: &Transaction<'_>, row: &Row<D>) -> Result<(), AwsError> {
    let query = format!(
        "INSERT OR REPLACE INTO {} (arn, account, region, name, token, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        D::TABLE
    );
    let Row { scope, token, detail } = row;
    let (account, region) = (scope.account.as_str(), scope.region.as_str());
    sql(tx.execute(&query, params![detail.arn(), account, region, detail.name(), token, text(detail)?])).map(drop)
}

pub(super) fn delete<D: Detail>(tx: &Transaction<'_>, arn: &str) -> Result<(), AwsError> {
    sql(tx.execute(&format!("DELETE FROM {} WHERE arn = ?1", D::TABLE), [arn])).map(drop)
}

type Texts = (Scope, Option<String>, String);

fn texts(row: &rusqlite::Row<'_>) -> rusqlite::Result<Texts> {
    let (account, region): (String, String) = (row.get(0)?, row.get(1)?);
    let account = AccountId::new(&account).unwrap_or_default();
    let region = Region::new(&region).unwrap_or_default();
    Ok((Scope { account, region }, row.get(2)?, row.get(3)?))
}

fn row<D: Detail>((scope, token, body): Texts) -> Result<Row<D>, AwsError> {
    Ok(Row { scope, token, detail: parse(&body)? })
}
