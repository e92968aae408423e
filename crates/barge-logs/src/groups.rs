//! Log groups (Amazon CloudWatch Logs API Reference, CreateLogGroup, DescribeLogGroups, PutRetentionPolicy).

use crate::errors::{invalid, no_group};
use crate::{CloudWatchLogs, names, tokens};
use barge_core::{AwsError, Context, Scope};
use barge_store::rusqlite::{Connection, OptionalExtension as _, params};
use barge_store::sql;
use barge_wire::logs::{
    CreateLogGroupRequest, DescribeLogGroupsRequest, DescribeLogGroupsResponse, LogGroup, LogGroupClass, error,
};
use std::collections::BTreeMap;

/// Retentions that AWS offers, in days.
const RETENTIONS: [i64; 23] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653, 4018];
/// Log groups per page where the client asks for no number.
const PAGE: i64 = 50;

/// A log group as others need it.
pub(crate) struct Group {
    pub(crate) id: i64,
    /// Days.
    pub(crate) retention: Option<i64>,
    pub(crate) protected: bool,
    pub(crate) class: LogGroupClass,
}

impl Group {
    /// The group, where its class has `operation` (Amazon CloudWatch Logs User Guide, "Log classes").
    pub(crate) fn offering(self, operation: &str) -> Result<Self, AwsError> {
        match self.class {
            LogGroupClass::Standard => Ok(self),
            other => Err(invalid(format!("{operation} is not supported for log groups of the class {other}."))),
        }
    }
}

/// The class that a column names.
fn class(text: &str) -> LogGroupClass {
    LogGroupClass::parse(text).unwrap_or(LogGroupClass::Standard)
}

/// The group called `name`.
pub(crate) fn find(connection: &Connection, scope: &Scope, name: &str) -> Result<Group, AwsError> {
    let mut statement = sql(connection.prepare_cached(
        "SELECT id, retention, protected, class FROM logs_groups WHERE account = ?1 AND region = ?2 AND name = ?3",
    ))?;
    let group = statement
        .query_row(params![scope.account.as_str(), scope.region.as_str(), name], |row| {
            let class = class(&row.get::<_, String>(3)?);
            Ok(Group { id: row.get(0)?, retention: row.get(1)?, protected: row.get(2)?, class })
        })
        .optional();
    sql(group)?.ok_or_else(no_group)
}

/// Makes a group that isn't there; says whether it wasn't.
pub(crate) fn insert(
    connection: &Connection,
    scope: &Scope,
    name: &str,
    created: i64,
    creation: Option<&str>,
) -> Result<bool, AwsError> {
    let changed = sql(connection.execute(
        "INSERT INTO logs_groups (account, region, name, created, creation) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO NOTHING",
        params![scope.account.as_str(), scope.region.as_str(), name, created, creation],
    ))?;
    Ok(changed > 0)
}

/// What a retention must be.
pub(crate) fn check_retention(days: i64) -> Result<(), AwsError> {
    if RETENTIONS.contains(&days) {
        return Ok(());
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: {RETENTIONS:?}"
    )))
}

impl CloudWatchLogs {
    pub(crate) async fn create_group(&self, cx: &Context, input: CreateLogGroupRequest) -> Result<(), AwsError> {
        self.make_group(cx, input, None).await
    }

    /// Creates a group, for a template where `creation` says which creation this is.
    pub(crate) async fn make_group(
        &self,
        cx: &Context,
        input: CreateLogGroupRequest,
        creation: Option<String>,
    ) -> Result<(), AwsError> {
        if input.kms_key_id.is_some() {
            return Err(invalid("Barge does not support kmsKeyId."));
        }
        let class = input.log_group_class.unwrap_or(LogGroupClass::Standard);
        if !matches!(class, LogGroupClass::Standard | LogGroupClass::InfrequentAccess) {
            return Err(invalid(format!("Barge does not support the log group class {class}.")));
        }
        if input.log_group_name.starts_with("aws/") {
            return Err(invalid("Log group names starting with 'aws/' are reserved."));
        }
        let tags = input.tags.unwrap_or_default();
        crate::tags::check(&tags)?;
        let (scope, now, name) = (cx.scope.clone(), cx.now.millis(), input.log_group_name);
        let protected = input.deletion_protection_enabled.unwrap_or(false);
        self.store
            .write(move |tx| {
                if !insert(tx, &scope, &name, now, creation.as_deref())? {
                    return Err(error::resource_already_exists_exception("The specified log group already exists"));
                }
                let group = find(tx, &scope, &name)?;
                let update = "UPDATE logs_groups SET protected = ?2, class = ?3 WHERE id = ?1";
                sql(tx.execute(update, params![group.id, protected, class.as_str()]))?;
                crate::tags::put(tx, group.id, &tags)
            })
            .await
    }

    /// The creation that made a group, for a template's second try.
    pub(crate) async fn group_creation(&self, cx: &Context, name: &str) -> Result<Option<String>, AwsError> {
        let (scope, name) = (cx.scope.clone(), name.to_owned());
        self.store
            .read(move |connection| {
                let group = find(connection, &scope, &name)?;
                let query = "SELECT creation FROM logs_groups WHERE id = ?1";
                sql(connection.query_row(query, [group.id], |row| row.get(0)))
            })
            .await
    }

    pub(crate) async fn delete_group(&self, cx: &Context, name: String) -> Result<(), AwsError> {
        let scope = cx.scope.clone();
        self.store
            .write(move |tx| {
                let group = find(tx, &scope, &name)?;
                if group.protected {
                    return Err(error::validation_exception(
                        "The specified log group cannot be deleted because deletion protection is enabled.",
                    ));
                }
                // The events go with the next sweep: a group may have millions.
                for statement in [
                    "INSERT INTO logs_trash SELECT id FROM logs_streams WHERE grp = ?1",
                    "DELETE FROM logs_streams WHERE grp = ?1",
                    "DELETE FROM logs_groups WHERE id = ?1",
                ] {
                    sql(tx.execute(statement, [group.id]))?;
                }
                Ok(())
            })
            .await
    }

    pub(crate) async fn set_retention(&self, cx: &Context, name: String, days: Option<i64>) -> Result<(), AwsError> {
        days.map_or(Ok(()), check_retention)?;
        let scope = cx.scope.clone();
        self.store
            .write(move |tx| {
                let group = find(tx, &scope, &name)?;
                let update = "UPDATE logs_groups SET retention = ?2 WHERE id = ?1";
                sql(tx.execute(update, params![group.id, days])).map(drop)
            })
            .await
    }

    pub(crate) async fn set_protection(&self, cx: &Context, identifier: &str, protected: bool) -> Result<(), AwsError> {
        let (scope, name) = (cx.scope.clone(), names::from_identifier(&cx.scope, identifier)?);
        self.store
            .write(move |tx| {
                let group = find(tx, &scope, &name)?;
                let update = "UPDATE logs_groups SET protected = ?2 WHERE id = ?1";
                sql(tx.execute(update, params![group.id, protected])).map(drop)
            })
            .await
    }

    pub(crate) async fn describe_groups(
        &self,
        cx: &Context,
        input: DescribeLogGroupsRequest,
    ) -> Result<DescribeLogGroupsResponse, AwsError> {
        if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
            return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
        }
        if input.account_identifiers.is_some() || input.include_linked_accounts == Some(true) {
            return Err(invalid("Barge has no linked accounts."));
        }
        let only = input.log_group_identifiers.map(|identifiers| {
            identifiers
                .iter()
                .map(|identifier| names::from_identifier(&cx.scope, identifier))
                .collect::<Result<Vec<_>, _>>()
        });
        let only = only.transpose()?.map(|names| serde_json::to_string(&names).unwrap_or_default());
        let after = input.next_token.as_deref().map(tokens::read_after).transpose()?.unwrap_or_default();
        let limit = input.limit.unwrap_or(PAGE);
        let scope = cx.scope.clone();
        self.store
            .read(move |connection| {
                let mut statement = sql(connection.prepare_cached(
                    "SELECT name, created, retention, stored, protected,
                            (SELECT count(*) FROM logs_metric_filters f WHERE f.grp = logs_groups.id), class
                     FROM logs_groups
                     WHERE account = ?1 AND region = ?2 AND name > ?3
                       AND substr(name, 1, length(?4)) = ?4 AND instr(name, ?5) > 0
                       AND (?6 IS NULL OR name IN (SELECT value FROM json_each(?6)))
                       AND (?8 IS NULL OR class = ?8)
                     ORDER BY name LIMIT ?7",
                ))?;
                let rows = statement.query_map(
                    params![
                        scope.account.as_str(),
                        scope.region.as_str(),
                        after,
                        input.log_group_name_prefix.unwrap_or_default(),
                        input.log_group_name_pattern.unwrap_or_default(),
                        only,
                        limit + 1,
                        input.log_group_class.map(LogGroupClass::as_str)
                    ],
                    |row| describe(&scope, row),
                );
                let mut groups: Vec<LogGroup> = sql(rows.and_then(Iterator::collect))?;
                let next_token =
                    last_within(&mut groups, limit).and_then(|last| last.log_group_name.as_deref().map(tokens::after));
                Ok(DescribeLogGroupsResponse { log_groups: Some(groups), next_token })
            })
            .await
    }

    /// A group and its tags; `None` where there is no such group.
    pub(crate) async fn group_state(
        &self,
        cx: &Context,
        name: &str,
    ) -> Result<Option<(Group, BTreeMap<String, String>)>, AwsError> {
        let (scope, name) = (cx.scope.clone(), name.to_owned());
        self.store
            .read(move |connection| match find(connection, &scope, &name) {
                Ok(group) => {
                    let tags = crate::tags::get(connection, group.id)?;
                    Ok(Some((group, tags)))
                }
                Err(error) if error.is("ResourceNotFoundException") => Ok(None),
                Err(error) => Err(error),
            })
            .await
    }
}

fn describe(scope: &Scope, row: &barge_store::rusqlite::Row<'_>) -> Result<LogGroup, barge_store::rusqlite::Error> {
    let name: String = row.get(0)?;
    let arn = names::group_arn(scope, &name);
    Ok(LogGroup {
        log_group_name: Some(name),
        creation_time: Some(row.get(1)?),
        retention_in_days: row.get(2)?,
        metric_filter_count: Some(row.get(5)?),
        arn: Some(format!("{arn}:*")),
        log_group_arn: Some(arn),
        stored_bytes: Some(row.get(3)?),
        log_group_class: Some(class(&row.get::<_, String>(6)?)),
        deletion_protection_enabled: Some(row.get(4)?),
        ..LogGroup::default()
    })
}

/// Cuts a list that was read one longer than a page; the last of the page where there was more.
pub(crate) fn last_within<T>(items: &mut Vec<T>, limit: i64) -> Option<&T> {
    let limit = usize::try_from(limit).unwrap_or(0);
    if items.len() <= limit {
        return None;
    }
    items.truncate(limit);
    items.last()
}
