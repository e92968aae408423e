//! Launch templates: what instances would be made from, in versions. Kept and shown; no instance is made here.

use crate::describe::{Described, Question, describe, page, show};
use crate::filters::{Field, text};
use crate::kind::Kind;
use crate::network::{Network, Record};
use crate::{errors, tags};
use barge_core::{AwsError, Document, Timestamp};
use barge_wire::Value as _;
use barge_wire::ec2::{
    CreateLaunchTemplateRequest, CreateLaunchTemplateResult, CreateLaunchTemplateVersionRequest,
    CreateLaunchTemplateVersionResult, DeleteLaunchTemplateRequest, DeleteLaunchTemplateResult,
    DeleteLaunchTemplateVersionsRequest, DeleteLaunchTemplateVersionsResponseErrorItem,
    DeleteLaunchTemplateVersionsResponseSuccessItem, DeleteLaunchTemplateVersionsResult,
    DescribeLaunchTemplateVersionsRequest, DescribeLaunchTemplateVersionsResult, DescribeLaunchTemplatesRequest,
    DescribeLaunchTemplatesResult, LaunchTemplate, LaunchTemplateErrorCode, LaunchTemplateVersion,
    ModifyLaunchTemplateRequest, ModifyLaunchTemplateResult, RequestLaunchTemplateData, ResponseError,
    ResponseLaunchTemplateData, Tag,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VersionRecord {
    pub(crate) number: i64,
    description: Option<String>,
    created: Timestamp,
    /// The data as JSON: members by name, as both request and response have them.
    data: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LaunchTemplateRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    created: Timestamp,
    pub(crate) default_version: i64,
    /// The number of the version that was made last; numbers are never given twice.
    pub(crate) latest_version: i64,
    /// In the order of their numbers.
    versions: Vec<VersionRecord>,
}

impl Record for LaunchTemplateRecord {
    const KIND: Kind = Kind::LaunchTemplate;

    fn id(&self) -> &str {
        &self.id
    }
}

impl Described for LaunchTemplateRecord {
    type Shown = LaunchTemplate;

    const FILTERS: &'static [Field<LaunchTemplate>] =
        &[("launch-template-name", |template| text(template.launch_template_name.as_ref()))];

    fn show(&self, net: &Network<'_>, tags: Vec<Tag>) -> Result<LaunchTemplate, AwsError> {
        Ok(LaunchTemplate {
            launch_template_id: Some(self.id.clone()),
            launch_template_name: Some(self.name.clone()),
            create_time: Some(self.created),
            created_by: Some(creator(net)),
            default_version_number: Some(self.default_version),
            latest_version_number: Some(self.latest_version),
            tags: Some(tags),
            ..LaunchTemplate::default()
        })
    }

    fn tags(shown: &LaunchTemplate) -> &[Tag] {
        shown.tags.as_deref().unwrap_or_default()
    }
}

fn creator(net: &Network<'_>) -> String {
    format!("arn:aws:iam::{}:root", net.account())
}

impl LaunchTemplateRecord {
    fn version(&self, number: i64) -> Result<&VersionRecord, AwsError> {
        self.versions.iter().find(|version| version.number == number).ok_or_else(|| {
            let text = format!("Could not find launch template version {number} for launch template {}", self.id);
            errors::refused("InvalidLaunchTemplateId.VersionNotFound", text)
        })
    }

    /// The number that a version's name stands for.
    fn number(&self, name: &str) -> Result<i64, AwsError> {
        match name {
            "$Default" => Ok(self.default_version),
            "$Latest" => Ok(self.versions.last().map_or(self.latest_version, |version| version.number)),
            number => number.parse().map_err(|_| {
                errors::invalid_value(format!("Invalid launch template version: the version {number} is invalid."))
            }),
        }
    }

    /// The version that was made last.
    pub(crate) fn latest(&self, net: &Network<'_>) -> Result<LaunchTemplateVersion, AwsError> {
        self.show_version(net, self.version(self.number("$Latest")?)?)
    }

    fn show_version(&self, net: &Network<'_>, version: &VersionRecord) -> Result<LaunchTemplateVersion, AwsError> {
        let data = Document::from_json(version.data.as_bytes()).map_err(AwsError::internal)?;
        Ok(LaunchTemplateVersion {
            launch_template_id: Some(self.id.clone()),
            launch_template_name: Some(self.name.clone()),
            version_number: Some(version.number),
            version_description: version.description.clone(),
            create_time: Some(version.created),
            created_by: Some(creator(net)),
            default_version: Some(version.number == self.default_version),
            launch_template_data: Some(ResponseLaunchTemplateData::from_document(data)?),
            ..LaunchTemplateVersion::default()
        })
    }

    /// Adds a version with what the request says over what its source says.
    fn add(
        &mut self,
        net: &Network<'_>,
        data: RequestLaunchTemplateData,
        source: Option<&str>,
        description: Option<String>,
    ) -> Result<(), AwsError> {
        let mut members = match source {
            Some(source) => {
                let source = self.version(self.number(source)?)?;
                let tree = Document::from_json(source.data.as_bytes()).map_err(AwsError::internal)?;
                tree.as_map().cloned().unwrap_or_default()
            }
            None => IndexMap::new(),
        };
        if let Document::Map(given) = data.into_document() {
            members.extend(given.into_iter().filter(|(_, value)| *value != Document::Null));
        }
        self.latest_version += 1;
        let data = Document::Map(members).to_json();
        self.versions.push(VersionRecord { number: self.latest_version, description, created: net.now, data });
        Ok(())
    }
}

/// The template that a request names, by id or by name.
fn named(net: &Network<'_>, id: Option<&str>, name: Option<&str>) -> Result<LaunchTemplateRecord, AwsError> {
    match (id, name) {
        (Some(id), None) => net.get(id),
        (None, Some(name)) => {
            let found = net.select::<LaunchTemplateRecord>(|template| template.name == name)?.pop();
            found.ok_or_else(|| missing_name(name))
        }
        _ => Err(errors::refused(
            "MissingParameter",
            "Either a launch template ID or a launch template name must be specified in the request, and not both.",
        )),
    }
}

fn missing_name(name: &str) -> AwsError {
    errors::refused(
        "InvalidLaunchTemplateName.NotFoundException",
        format!("The specified launch template, with template name {name}, does not exist."),
    )
}

/// Makes a template, or gives the one that an earlier try with the same ids made.
pub(crate) fn make(
    net: &Network<'_>,
    name: &str,
    data: RequestLaunchTemplateData,
    description: Option<String>,
) -> Result<LaunchTemplateRecord, AwsError> {
    let id = net.mint(Kind::LaunchTemplate);
    if let Some(found) = net.find(&id)? {
        return Ok(found);
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "()./_-".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(legal) {
        return Err(errors::refused(
            "InvalidLaunchTemplateName.MalformedException",
            "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the \
             following characters: - ( ) . / _.",
        ));
    }
    if net.list::<LaunchTemplateRecord>()?.iter().any(|other| other.name == name) {
        return Err(errors::refused(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            "Launch template name already in use.",
        ));
    }
    let mut template = LaunchTemplateRecord {
        id,
        name: name.to_owned(),
        created: net.now,
        default_version: 1,
        latest_version: 0,
        versions: Vec::new(),
    };
    template.add(net, data, None, description)?;
    net.put(&template)?;
    Ok(template)
}

/// Adds a version to a template and gives the template.
pub(crate) fn make_version(
    net: &Network<'_>,
    id: &str,
    data: RequestLaunchTemplateData,
    description: Option<String>,
) -> Result<LaunchTemplateRecord, AwsError> {
    let mut template = net.get::<LaunchTemplateRecord>(id)?;
    template.add(net, data, None, description)?;
    net.put(&template)?;
    Ok(template)
}

pub(crate) fn create(
    net: &Network<'_>,
    input: CreateLaunchTemplateRequest,
) -> Result<CreateLaunchTemplateResult, AwsError> {
    let given = tags::specified(input.tag_specifications, Kind::LaunchTemplate)?;
    let template = make(net, &input.launch_template_name, input.launch_template_data, input.version_description)?;
    tags::put(net, &template.id, &given)?;
    Ok(CreateLaunchTemplateResult { launch_template: Some(show(net, &template)?), warning: None })
}

pub(crate) fn create_version(
    net: &Network<'_>,
    input: CreateLaunchTemplateVersionRequest,
) -> Result<CreateLaunchTemplateVersionResult, AwsError> {
    let mut template = named(net, input.launch_template_id.as_deref(), input.launch_template_name.as_deref())?;
    template.add(net, input.launch_template_data, input.source_version.as_deref(), input.version_description)?;
    net.put(&template)?;
    let version = template.version(template.latest_version)?;
    let shown = template.show_version(net, version)?;
    Ok(CreateLaunchTemplateVersionResult { launch_template_version: Some(shown), warning: None })
}

pub(crate) fn describe_all(
    net: &Network<'_>,
    input: DescribeLaunchTemplatesRequest,
) -> Result<DescribeLaunchTemplatesResult, AwsError> {
    let mut ids = input.launch_template_ids.unwrap_or_default();
    for name in input.launch_template_names.unwrap_or_default() {
        ids.push(named(net, None, Some(&name))?.id);
    }
    let question = Question {
        ids: Some(ids),
        filters: input.filters,
        max_results: input.max_results,
        next_token: input.next_token,
    };
    let (templates, next_token) = describe::<LaunchTemplateRecord>(net, question)?;
    Ok(DescribeLaunchTemplatesResult { launch_templates: Some(templates), next_token })
}

pub(crate) fn describe_versions(
    net: &Network<'_>,
    input: DescribeLaunchTemplateVersionsRequest,
) -> Result<DescribeLaunchTemplateVersionsResult, AwsError> {
    let templates = match (&input.launch_template_id, &input.launch_template_name) {
        (None, None) => net.list::<LaunchTemplateRecord>()?,
        (id, name) => vec![named(net, id.as_deref(), name.as_deref())?],
    };
    let mut shown = Vec::new();
    for template in &templates {
        let numbers: Option<Vec<i64>> = match &input.versions {
            Some(names) if !names.is_empty() => {
                Some(names.iter().map(|name| template.number(name)).collect::<Result<_, _>>()?)
            }
            _ => None,
        };
        let bound = |name: &Option<String>| name.as_deref().map(|name| template.number(name)).transpose();
        let (least, most) = (bound(&input.min_version)?, bound(&input.max_version)?);
        for version in &template.versions {
            let number = version.number;
            let asked = numbers.as_ref().is_none_or(|numbers| numbers.contains(&number))
                && least.is_none_or(|least| number >= least)
                && most.is_none_or(|most| number <= most);
            if asked {
                // AWS shows the newest first.
                let key = format!("{}/{:020}", template.id, i64::MAX - number);
                shown.push((key, template.show_version(net, version)?));
            }
        }
    }
    let (versions, next_token) = page(shown, input.max_results, input.next_token.as_deref())?;
    Ok(DescribeLaunchTemplateVersionsResult { launch_template_versions: Some(versions), next_token })
}

pub(crate) fn modify(
    net: &Network<'_>,
    input: ModifyLaunchTemplateRequest,
) -> Result<ModifyLaunchTemplateResult, AwsError> {
    let mut template = named(net, input.launch_template_id.as_deref(), input.launch_template_name.as_deref())?;
    if let Some(wanted) = &input.default_version {
        template.default_version = template.version(template.number(wanted)?)?.number;
        net.put(&template)?;
    }
    Ok(ModifyLaunchTemplateResult { launch_template: Some(show(net, &template)?) })
}

pub(crate) fn delete(
    net: &Network<'_>,
    input: DeleteLaunchTemplateRequest,
) -> Result<DeleteLaunchTemplateResult, AwsError> {
    let template = named(net, input.launch_template_id.as_deref(), input.launch_template_name.as_deref())?;
    let shown = show(net, &template)?;
    net.remove(&template.id)?;
    Ok(DeleteLaunchTemplateResult { launch_template: Some(shown) })
}

pub(crate) fn delete_versions(
    net: &Network<'_>,
    input: DeleteLaunchTemplateVersionsRequest,
) -> Result<DeleteLaunchTemplateVersionsResult, AwsError> {
    let mut template = named(net, input.launch_template_id.as_deref(), input.launch_template_name.as_deref())?;
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for name in &input.versions {
        let number = template.number(name)?;
        let refusal = if number == template.default_version {
            Some((LaunchTemplateErrorCode::UnexpectedError, "The default version can't be deleted."))
        } else if template.version(number).is_err() {
            let code = LaunchTemplateErrorCode::LaunchTemplateVersionDoesNotExist;
            Some((code, "The specified launch template version does not exist."))
        } else {
            None
        };
        let (id, label) = (Some(template.id.clone()), Some(template.name.clone()));
        if let Some((code, message)) = refusal {
            kept.push(DeleteLaunchTemplateVersionsResponseErrorItem {
                launch_template_id: id,
                launch_template_name: label,
                version_number: Some(number),
                response_error: Some(ResponseError { code: Some(code), message: Some(message.to_owned()) }),
            });
        } else {
            template.versions.retain(|version| version.number != number);
            gone.push(DeleteLaunchTemplateVersionsResponseSuccessItem {
                launch_template_id: id,
                launch_template_name: label,
                version_number: Some(number),
            });
        }
    }
    net.put(&template)?;
    Ok(DeleteLaunchTemplateVersionsResult {
        successfully_deleted_launch_template_versions: Some(gone),
        unsuccessfully_deleted_launch_template_versions: Some(kept),
    })
}
