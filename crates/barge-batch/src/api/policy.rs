//! Scheduling policies (API Reference, "FairsharePolicy", "ShareAttributes"). Quota shares serve SageMaker's jobs and are refused.

use super::{names, no_such, nothing, paging, refuse, tags};
use crate::core::{Event, QueueId, Refusal};
use crate::dispatcher::Alteration;
use crate::service::BatchService;
use crate::store::{PolicyRow, Write};
use barge_core::{AwsError, Context};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{
    CreateSchedulingPolicyRequest, CreateSchedulingPolicyResponse, DescribeSchedulingPoliciesRequest,
    DescribeSchedulingPoliciesResponse, FairsharePolicy, JQStatus, ListSchedulingPoliciesRequest,
    ListSchedulingPoliciesResponse, SchedulingPolicyDetail, SchedulingPolicyListingDetail, ShareAttributes,
    UpdateSchedulingPolicyRequest,
};
use std::collections::BTreeMap;

pub(super) const KIND: &str = "scheduling-policy";
/// Policies that can be described at a time.
const MOST_ARNS: usize = 100;
/// Shares in a policy.
const MOST_SHARES: usize = 500;
/// Characters of a share identifier.
const LONGEST_SHARE: usize = 255;
/// Seconds.
const DECAY: std::ops::RangeInclusive<i64> = 0..=604_800;
/// Percent.
const RESERVATION: std::ops::RangeInclusive<i64> = 0..=99;
const WEIGHTS: std::ops::RangeInclusive<f64> = 0.0001..=999.9999;

fn missing(arn: &str) -> AwsError {
    no_such("Scheduling policy", arn)
}

fn refused(refusal: Refusal) -> AwsError {
    AwsError::internal(refusal)
}

fn written(write: Write) -> Alteration {
    Alteration { events: Vec::new(), refused, writes: vec![write] }
}

impl BatchService {
    /// Creates a policy; once where it comes with the token of a template's resource.
    pub(crate) async fn create_policy(
        &self,
        cx: &Context,
        input: CreateSchedulingPolicyRequest,
        token: Option<String>,
    ) -> Result<CreateSchedulingPolicyResponse, AwsError> {
        let CreateSchedulingPolicyRequest { name, quota_share_policy, fairshare_policy, tags: given_tags } = input;
        if !names::is_legal(&name) {
            return Err(client_exception("Scheduling policy name should match valid pattern"));
        }
        refuse(&[("quotaSharePolicy", quota_share_policy.is_some())])?;
        check(fairshare_policy.as_ref())?;
        tags::check(given_tags.as_ref().unwrap_or(&BTreeMap::new()))?;
        let arn = cx.scope.arn("batch", format!("{KIND}/{name}")).to_string();
        let detail = SchedulingPolicyDetail {
            name: name.clone(),
            arn: arn.clone(),
            quota_share_policy: None,
            fairshare_policy: Some(fairshare_policy.unwrap_or_default()),
            tags: Some(given_tags.unwrap_or_default()),
        };
        let row = PolicyRow { scope: cx.scope.clone(), token, detail };
        self.dispatcher
            .alter(move |_, directory| match directory.policy(&row.detail.arn) {
                Some(old) if old.token.is_some() && old.token == row.token => Ok(nothing()),
                Some(_) => Err(client_exception("Object already exists")),
                None => Ok(written(Write::PutPolicy(Box::new(row)))),
            })
            .await?;
        Ok(CreateSchedulingPolicyResponse { name, arn })
    }

    pub(crate) async fn describe_policies(
        &self,
        cx: &Context,
        input: DescribeSchedulingPoliciesRequest,
    ) -> Result<DescribeSchedulingPoliciesResponse, AwsError> {
        let DescribeSchedulingPoliciesRequest { arns } = input;
        if arns.len() > MOST_ARNS {
            return Err(client_exception(format!(
                "At most {MOST_ARNS} scheduling policies can be described at a time."
            )));
        }
        let rows = self.rows.resources::<SchedulingPolicyDetail>(cx.scope.clone()).await?;
        let found = rows.into_iter().map(|row| row.detail).filter(|detail| arns.contains(&detail.arn));
        Ok(DescribeSchedulingPoliciesResponse { scheduling_policies: Some(found.collect()) })
    }

    pub(super) async fn list_policies(
        &self,
        cx: &Context,
        input: ListSchedulingPoliciesRequest,
    ) -> Result<ListSchedulingPoliciesResponse, AwsError> {
        let ListSchedulingPoliciesRequest { max_results, next_token } = input;
        let rows = self.rows.resources::<SchedulingPolicyDetail>(cx.scope.clone()).await?;
        let details: Vec<SchedulingPolicyDetail> = rows.into_iter().map(|row| row.detail).collect();
        let (page, next_token) = paging::page(details, |row| &row.name, max_results, next_token.as_deref())?;
        let page = page.into_iter().map(|detail| SchedulingPolicyListingDetail { arn: detail.arn });
        Ok(ListSchedulingPoliciesResponse { scheduling_policies: Some(page.collect()), next_token })
    }

    /// Changes a policy, and with it the queues that use it.
    pub(crate) async fn update_policy(
        &self,
        cx: &Context,
        input: UpdateSchedulingPolicyRequest,
    ) -> Result<(), AwsError> {
        let UpdateSchedulingPolicyRequest { arn, quota_share_policy, fairshare_policy } = input;
        refuse(&[("quotaSharePolicy", quota_share_policy.is_some())])?;
        check(fairshare_policy.as_ref())?;
        let arn = names::resolve(cx, KIND, &arn).filter(|known| *known == arn).ok_or_else(|| missing(&arn))?;
        let named = arn.clone();
        self.dispatcher
            .alter(move |_, directory| {
                let mut row = directory.policy(&named).cloned().ok_or_else(|| missing(&named))?;
                if fairshare_policy.is_some() {
                    row.detail.fairshare_policy = fairshare_policy;
                }
                Ok(written(Write::PutPolicy(Box::new(row))))
            })
            .await?;
        // The core hears of it through the queues; were the program to end between the two, it would hear at its start.
        self.dispatcher
            .alter(move |_, directory| {
                let using = directory.queues_with_policy(&arn);
                let living = using.filter(|row| row.detail.status != Some(JQStatus::Deleting));
                let events = living.map(|row| Event::PutQueue(directory.queue_spec(row))).collect();
                Ok(Alteration { events, refused, writes: Vec::new() })
            })
            .await
    }

    /// Deletes a policy that no queue uses. One that is not there is deleted already.
    pub(crate) async fn delete_policy(&self, cx: &Context, arn: &str) -> Result<(), AwsError> {
        let arn = names::resolve(cx, KIND, arn).filter(|known| known == arn).ok_or_else(|| missing(arn))?;
        self.dispatcher
            .alter(move |_, directory| {
                if directory.policy(&arn).is_none() {
                    return Ok(nothing());
                }
                if let Some(queue) = directory.queues_with_policy(&arn).next() {
                    let id = QueueId::new(queue.detail.job_queue_arn.as_str());
                    return Err(client_exception(format!("Cannot delete, job queue {id} uses the scheduling policy")));
                }
                Ok(written(Write::DeletePolicy(arn)))
            })
            .await
    }
}

fn check(policy: Option<&FairsharePolicy>) -> Result<(), AwsError> {
    let Some(FairsharePolicy { share_decay_seconds, compute_reservation, share_distribution }) = policy else {
        return Ok(());
    };
    if share_decay_seconds.is_some_and(|seconds| !DECAY.contains(&seconds)) {
        return Err(client_exception("shareDecaySeconds must be between 0 and 604800."));
    }
    if compute_reservation.is_some_and(|percent| !RESERVATION.contains(&percent)) {
        return Err(client_exception("computeReservation must be between 0 and 99."));
    }
    let shares = share_distribution.as_deref().unwrap_or_default();
    if shares.len() > MOST_SHARES {
        return Err(client_exception(format!("shareDistribution can have at most {MOST_SHARES} shares.")));
    }
    for ShareAttributes { share_identifier: name, weight_factor } in shares {
        let stem = name.strip_suffix('*').unwrap_or(name);
        if stem.len() > LONGEST_SHARE || !stem.bytes().all(|b| b.is_ascii_alphanumeric()) || name.is_empty() {
            return Err(client_exception(format!("shareIdentifier {name:?} is not valid.")));
        }
        if weight_factor.is_some_and(|weight| !WEIGHTS.contains(&weight)) {
            return Err(client_exception("weightFactor must be between 0.0001 and 999.9999."));
        }
    }
    check_overlap(shares)
}

/// Refuses shares of which one is within another.
fn check_overlap(shares: &[ShareAttributes]) -> Result<(), AwsError> {
    let mut names: Vec<&str> = shares.iter().map(|share| share.share_identifier.as_str()).collect();
    names.sort_unstable();
    // Sorted, a prefix stands right before what begins like it: `*` sorts before letters and digits.
    let mut widest: Option<&str> = None;
    let mut last = None;
    for name in names {
        let prefix = name.strip_suffix('*');
        if last == Some(name)
            || (prefix.is_some() && last == prefix)
            || widest.is_some_and(|prefix| name.starts_with(prefix))
        {
            return Err(client_exception(format!("shareDistribution names {name} twice: identifiers can't overlap.")));
        }
        last = Some(name);
        widest = prefix.or(widest);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(shares: &[(&str, f64)]) -> FairsharePolicy {
        let share = |(name, weight): &(&str, f64)| ShareAttributes {
            share_identifier: (*name).to_owned(),
            weight_factor: Some(*weight),
        };
        FairsharePolicy { share_distribution: Some(shares.iter().map(share).collect()), ..FairsharePolicy::default() }
    }

    #[test]
    fn shares_have_names_weights_and_no_overlap() {
        for (shares, legal) in [
            (&[("a", 1.0), ("b*", 0.0001), ("ba", 1.0)][..], false),
            (&[("a", 1.0), ("b*", 0.0001), ("c", 999.9999)], true),
            (&[("UserA*", 1.0), ("UserA1", 1.0)], false),
            (&[("UserA*", 1.0), ("UserAB*", 1.0)], false),
            (&[("UserA", 1.0), ("UserA1", 1.0)], true),
            (&[("UserA1", 1.0), ("UserA*", 1.0)], false),
            (&[("a", 1.0), ("a", 2.0)], false),
            (&[("a", 1.0), ("*", 2.0)], false),
            (&[("a", 1.0), ("a*", 2.0)], false),
            (&[("a", 0.0)], false),
            (&[("a", 1000.0)], false),
            (&[("a-b", 1.0)], false),
            (&[("", 1.0)], false),
        ] {
            assert_eq!(check(Some(&policy(shares))).is_ok(), legal, "{shares:?}");
        }
        for (decay, reservation, legal) in
            [(0, 0, true), (604_800, 99, true), (604_801, 0, false), (-1, 0, false), (0, 100, false)]
        {
            let policy = FairsharePolicy {
                share_decay_seconds: Some(decay),
                compute_reservation: Some(reservation),
                share_distribution: None,
            };
            assert_eq!(check(Some(&policy)).is_ok(), legal, "{decay} {reservation}");
        }
    }
}
