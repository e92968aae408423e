//! Metric filters: kept with their log group and described. There are no metrics here, so nothing is counted.

use crate::errors::invalid;
use crate::pattern::Pattern;
use crate::{CloudWatchLogs, groups, tokens};
use barge_core::{AwsError, Context, Document};
use barge_store::rusqlite::{Connection, OptionalExtension as _, params};
use barge_store::sql;
use barge_wire::Value as _;
use barge_wire::logs::{
    DeleteMetricFilterRequest, DescribeMetricFiltersRequest, DescribeMetricFiltersResponse, MetricFilter,
    PutMetricFilterRequest, error,
};

/// Filters of one log group, at most (CloudWatch Logs User Guide, "CloudWatch Logs quotas").
const MOST: i64 = 100;
/// Filters per page where the client asks for no number.
const PAGE: i64 = 50;

fn read(body: &str) -> Result<MetricFilter, AwsError> {
    MetricFilter::from_document(Document::from_json(body.as_bytes()).map_err(AwsError::internal)?)
}

/// The filters of a page and whose names say where it ends.
type Rows = Vec<(String, String, String)>;

fn rows(connection: &Connection, cx: &Context, input: &Asked) -> Result<Rows, AwsError> {
    let mut statement = sql(connection.prepare_cached(
        "SELECT g.name, f.name, f.body FROM logs_metric_filters f JOIN logs_groups g ON g.id = f.grp
         WHERE g.account = ?1 AND g.region = ?2 AND (?3 IS NULL OR g.name = ?3)
           AND substr(f.name, 1, length(?4)) = ?4 AND g.name || char(10) || f.name > ?5
         ORDER BY g.name || char(10) || f.name",
    ))?;
    let (account, region) = (cx.scope.account.as_str(), cx.scope.region.as_str());
    let place = params![account, region, input.group, input.prefix, input.after];
    sql(statement.query_map(place, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).and_then(Iterator::collect))
}

struct Asked {
    group: Option<String>,
    prefix: String,
    after: String,
}

impl CloudWatchLogs {
    pub(crate) async fn put_filter(&self, cx: &Context, input: PutMetricFilterRequest) -> Result<(), AwsError> {
        for (member, given) in [
            ("applyOnTransformedLogs", input.apply_on_transformed_logs == Some(true)),
            ("fieldSelectionCriteria", input.field_selection_criteria.is_some()),
            ("emitSystemFieldDimensions", input.emit_system_field_dimensions.as_ref().is_some_and(|l| !l.is_empty())),
        ] {
            if given {
                return Err(invalid(format!("Barge does not support {member}.")));
            }
        }
        Pattern::parse(&input.filter_pattern)
            .map_err(|wrong| invalid(format!("Invalid metric filter pattern: {wrong}")))?;
        let (scope, group, name) = (cx.scope.clone(), input.log_group_name.clone(), input.filter_name.clone());
        let filter = MetricFilter {
            filter_name: Some(input.filter_name),
            filter_pattern: Some(input.filter_pattern),
            metric_transformations: Some(input.metric_transformations),
            creation_time: Some(cx.now.millis()),
            log_group_name: Some(input.log_group_name),
            ..MetricFilter::default()
        };
        let body = filter.into_document().to_json();
        self.store
            .write(move |tx| {
                let group = groups::find(tx, &scope, &group)?.offering("PutMetricFilter")?.id;
                let insert = "INSERT OR REPLACE INTO logs_metric_filters (grp, name, body) VALUES (?1, ?2, ?3)";
                sql(tx.execute(insert, params![group, name, body]))?;
                let count = "SELECT count(*) FROM logs_metric_filters WHERE grp = ?1";
                let count: i64 = sql(tx.query_row(count, [group], |row| row.get(0)))?;
                if count > MOST {
                    return Err(error::limit_exceeded_exception("Resource limit exceeded."));
                }
                Ok(())
            })
            .await
    }

    pub(crate) async fn delete_filter(&self, cx: &Context, input: DeleteMetricFilterRequest) -> Result<(), AwsError> {
        let scope = cx.scope.clone();
        self.store
            .write(move |tx| {
                let group = groups::find(tx, &scope, &input.log_group_name)?.id;
                let delete = "DELETE FROM logs_metric_filters WHERE grp = ?1 AND name = ?2";
                match sql(tx.execute(delete, params![group, input.filter_name]))? {
                    0 => Err(error::resource_not_found_exception("The specified metric filter does not exist.")),
                    _ => Ok(()),
                }
            })
            .await
    }

    /// The filter of that name; `None` where it or its group isn't there.
    pub(crate) async fn filter(&self, cx: &Context, group: &str, name: &str) -> Result<Option<MetricFilter>, AwsError> {
        let (scope, group, name) = (cx.scope.clone(), group.to_owned(), name.to_owned());
        self.store
            .read(move |connection| {
                let query = "SELECT f.body FROM logs_metric_filters f JOIN logs_groups g ON g.id = f.grp
                     WHERE g.account = ?1 AND g.region = ?2 AND g.name = ?3 AND f.name = ?4";
                let place = params![scope.account.as_str(), scope.region.as_str(), group, name];
                let body: Option<String> = sql(connection.query_row(query, place, |row| row.get(0)).optional())?;
                body.map(|body| read(&body)).transpose()
            })
            .await
    }

    pub(crate) async fn describe_filters(
        &self,
        cx: &Context,
        input: DescribeMetricFiltersRequest,
    ) -> Result<DescribeMetricFiltersResponse, AwsError> {
        if input.metric_name.is_some() != input.metric_namespace.is_some() {
            return Err(invalid("metricName and metricNamespace must be given together."));
        }
        let asked = Asked {
            group: input.log_group_name,
            prefix: input.filter_name_prefix.unwrap_or_default(),
            after: input.next_token.as_deref().map(tokens::read_after).transpose()?.unwrap_or_default(),
        };
        let (cx, limit) = (cx.clone(), input.limit.unwrap_or(PAGE));
        self.store
            .read(move |connection| {
                if let Some(group) = &asked.group {
                    groups::find(connection, &cx.scope, group)?;
                }
                let mut found = Vec::new();
                for (group, name, body) in rows(connection, &cx, &asked)? {
                    let filter = read(&body)?;
                    let mut metrics = filter.metric_transformations.iter().flatten();
                    let wanted = input.metric_name.is_none()
                        || metrics.any(|metric| {
                            Some(&metric.metric_name) == input.metric_name.as_ref()
                                && Some(&metric.metric_namespace) == input.metric_namespace.as_ref()
                        });
                    if wanted {
                        found.push((format!("{group}\n{name}"), filter));
                    }
                }
                let next_token = groups::last_within(&mut found, limit).map(|(key, _)| tokens::after(key));
                let metric_filters = Some(found.into_iter().map(|(_, filter)| filter).collect());
                Ok(DescribeMetricFiltersResponse { metric_filters, next_token })
            })
            .await
    }
}
