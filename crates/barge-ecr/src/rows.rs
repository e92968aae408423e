//! The tables: repositories, the images in them, and their tags. What the rows mean to a client is not known here.

use crate::mutability::Mutability;
use crate::names::Pick;
use barge_core::{AccountId, AwsError, Region, Scope, Timestamp};
use barge_store::rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use barge_store::{StoreError, sql};
use barge_wire::ecr::error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE ecr_repositories (
        account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (account, region, name)) WITHOUT ROWID;
     CREATE TABLE ecr_images (
        account TEXT NOT NULL, region TEXT NOT NULL, repository TEXT NOT NULL, digest TEXT NOT NULL,
        media_type TEXT NOT NULL, size INTEGER NOT NULL, pushed_at INTEGER NOT NULL,
        PRIMARY KEY (account, region, repository, digest)) WITHOUT ROWID;
     CREATE TABLE ecr_tags (
        account TEXT NOT NULL, region TEXT NOT NULL, repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL,
        PRIMARY KEY (account, region, repository, tag)) WITHOUT ROWID;
     CREATE INDEX ecr_tags_by_digest ON ecr_tags (account, region, repository, digest);",
    "CREATE TABLE ecr_token_key (only INTEGER PRIMARY KEY CHECK (only = 1), key TEXT NOT NULL)",
];

/// A repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Repository {
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    #[serde(flatten)]
    pub(crate) mutability: Mutability,
    pub(crate) scan_on_push: bool,
    pub(crate) policy: Option<String>,
    /// The lifecycle policy's text.
    #[serde(default)]
    pub(crate) lifecycle: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// The creation that made it, for a stack that repeats one.
    pub(crate) token: Option<String>,
}

/// An image in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) digest: String,
    pub(crate) media_type: String,
    /// Bytes of its layers, or of its manifest where it is an index.
    pub(crate) size: i64,
    pub(crate) pushed_at: Timestamp,
    pub(crate) tags: Vec<String>,
}

/// The key that tokens are signed with; `fresh` becomes it where there is none.
pub(crate) fn token_key(tx: &Transaction<'_>, fresh: &str) -> Result<String, StoreError> {
    tx.execute("INSERT OR IGNORE INTO ecr_token_key VALUES (1, ?1)", [fresh])?;
    Ok(tx.query_row("SELECT key FROM ecr_token_key", [], |row| row.get(0))?)
}

pub(crate) fn repository(db: &Connection, scope: &Scope, name: &str) -> Result<Option<Repository>, AwsError> {
    let body: Option<String> = sql(db
        .prepare_cached("SELECT body FROM ecr_repositories WHERE account = ?1 AND region = ?2 AND name = ?3")
        .and_then(|mut query| {
            query.query_row(params![scope.account.as_str(), scope.region.as_str(), name], |row| row.get(0)).optional()
        }))?;
    body.map(|body| serde_json::from_str(&body).map_err(AwsError::internal)).transpose()
}

pub(crate) fn existing_repository(db: &Connection, scope: &Scope, name: &str) -> Result<Repository, AwsError> {
    repository(db, scope, name)?.ok_or_else(|| {
        let account = &scope.account;
        error::repository_not_found_exception(format!(
            "The repository with name '{name}' does not exist in the registry with id '{account}'"
        ))
    })
}

/// All repositories of a scope whose names follow `after`, in the order of their names.
pub(crate) fn repositories(
    db: &Connection,
    scope: &Scope,
    after: &str,
    limit: usize,
) -> Result<Vec<Repository>, AwsError> {
    let bodies: Vec<String> = sql(db
        .prepare_cached(
            "SELECT body FROM ecr_repositories WHERE account = ?1 AND region = ?2 AND name > ?3 ORDER BY name LIMIT ?4",
        )
        .and_then(|mut query| {
            let place = params![scope.account.as_str(), scope.region.as_str(), after, limit];
            query.query_map(place, |row| row.get(0))?.collect()
        }))?;
    bodies.iter().map(|body| serde_json::from_str(body).map_err(AwsError::internal)).collect()
}

/// Every repository of every scope that has a lifecycle policy.
pub(crate) fn with_lifecycle(db: &Connection) -> Result<Vec<(Scope, Repository)>, AwsError> {
    let rows: Vec<(String, String, String)> = sql(db
        .prepare_cached("SELECT account, region, body FROM ecr_repositories")
        .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()))?;
    let mut found = Vec::new();
    for (account, region, body) in rows {
        let repository: Repository = serde_json::from_str(&body).map_err(AwsError::internal)?;
        let scope = Scope {
            account: AccountId::new(&account).unwrap_or_default(),
            region: Region::new(&region).unwrap_or_default(),
        };
        if repository.lifecycle.is_some() {
            found.push((scope, repository));
        }
    }
    Ok(found)
}

pub(crate) fn put_repository(tx: &Transaction<'_>, scope: &Scope, repository: &Repository) -> Result<(), AwsError> {
    let body = serde_json::to_string(repository).map_err(AwsError::internal)?;
    sql(tx.execute(
        "INSERT INTO ecr_repositories VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (account, region, name) DO UPDATE SET body = excluded.body",
        params![scope.account.as_str(), scope.region.as_str(), repository.name, body],
    ))?;
    Ok(())
}

/// Changes a repository in place.
pub(crate) fn change_repository(
    tx: &Transaction<'_>,
    scope: &Scope,
    name: &str,
    change: impl FnOnce(&mut Repository),
) -> Result<Repository, AwsError> {
    let mut repository = existing_repository(tx, scope, name)?;
    change(&mut repository);
    put_repository(tx, scope, &repository)?;
    Ok(repository)
}

/// Removes a repository with all that is in it.
pub(crate) fn delete_repository(tx: &Transaction<'_>, scope: &Scope, name: &str) -> Result<(), AwsError> {
    let place = params![scope.account.as_str(), scope.region.as_str(), name];
    for statement in [
        "DELETE FROM ecr_repositories WHERE account = ?1 AND region = ?2 AND name = ?3",
        "DELETE FROM ecr_images WHERE account = ?1 AND region = ?2 AND repository = ?3",
        "DELETE FROM ecr_tags WHERE account = ?1 AND region = ?2 AND repository = ?3",
    ] {
        sql(tx.execute(statement, place))?;
    }
    Ok(())
}

/// The images of a repository, oldest first, each with its tags in order.
pub(crate) fn images(db: &Connection, scope: &Scope, repository: &str) -> Result<Vec<Image>, AwsError> {
    let read = || -> Result<Vec<Image>, barge_store::rusqlite::Error> {
        let place = params![scope.account.as_str(), scope.region.as_str(), repository];
        let mut images: Vec<Image> = db
            .prepare_cached(
                "SELECT digest, media_type, size, pushed_at FROM ecr_images
                 WHERE account = ?1 AND region = ?2 AND repository = ?3 ORDER BY pushed_at, digest",
            )?
            .query_map(place, image)?
            .collect::<Result<_, _>>()?;
        let tags: Vec<(String, String)> = db
            .prepare_cached(
                "SELECT digest, tag FROM ecr_tags WHERE account = ?1 AND region = ?2 AND repository = ?3 ORDER BY tag",
            )?
            .query_map(place, |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut by_digest: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (digest, tag) in tags {
            by_digest.entry(digest).or_default().push(tag);
        }
        for image in &mut images {
            image.tags = by_digest.remove(&image.digest).unwrap_or_default();
        }
        Ok(images)
    };
    sql(read())
}

fn image(row: &Row<'_>) -> Result<Image, barge_store::rusqlite::Error> {
    Ok(Image {
        digest: row.get(0)?,
        media_type: row.get(1)?,
        size: row.get(2)?,
        pushed_at: Timestamp::from_millis(row.get(3)?),
        tags: Vec::new(),
    })
}

/// Digest and media type of the image that `pick` names.
pub(crate) fn find(
    db: &Connection,
    scope: &Scope,
    repository: &str,
    pick: &Pick,
) -> Result<Option<(String, String)>, AwsError> {
    let (query, text) = match pick {
        Pick::Tag(tag) => (
            "SELECT digest, media_type FROM ecr_images JOIN ecr_tags USING (account, region, repository, digest)
             WHERE account = ?1 AND region = ?2 AND repository = ?3 AND tag = ?4",
            tag.as_str(),
        ),
        Pick::Digest(digest) => (
            "SELECT digest, media_type FROM ecr_images
             WHERE account = ?1 AND region = ?2 AND repository = ?3 AND digest = ?4",
            digest.as_str(),
        ),
    };
    sql(db.prepare_cached(query).and_then(|mut query| {
        let place = params![scope.account.as_str(), scope.region.as_str(), repository, text];
        query.query_row(place, |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }))
}

/// Puts an image into a repository and, where one is given, moves the tag to it.
pub(crate) fn put_image(
    tx: &Transaction<'_>,
    scope: &Scope,
    repository: &str,
    image: &Image,
    tag: Option<&str>,
) -> Result<(), AwsError> {
    let mutability = existing_repository(tx, scope, repository)?.mutability;
    sql(tx.execute(
        "INSERT OR IGNORE INTO ecr_images VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            scope.account.as_str(),
            scope.region.as_str(),
            repository,
            image.digest,
            image.media_type,
            image.size,
            image.pushed_at.millis()
        ],
    ))?;
    let Some(tag) = tag else { return Ok(()) };
    let held = find(tx, scope, repository, &Pick::Tag(tag.to_owned()))?;
    let moves = held.is_some_and(|(digest, _)| digest != image.digest);
    if moves && mutability.fixes(tag) {
        return Err(error::image_tag_already_exists_exception(format!(
            "The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the repository is immutable."
        )));
    }
    sql(tx.execute(
        "INSERT INTO ecr_tags VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (account, region, repository, tag) DO UPDATE SET digest = excluded.digest",
        params![scope.account.as_str(), scope.region.as_str(), repository, tag, image.digest],
    ))?;
    Ok(())
}

/// Removes an image with its tags, or only a tag where it is not the image's last one.
pub(crate) fn remove(tx: &Transaction<'_>, scope: &Scope, repository: &str, pick: &Pick) -> Result<(), AwsError> {
    let Some((digest, _)) = find(tx, scope, repository, pick)? else { return Ok(()) };
    let (account, region) = (scope.account.as_str(), scope.region.as_str());
    let tags_left: i64 = match pick {
        Pick::Digest(_) => 0,
        Pick::Tag(tag) => {
            sql(tx.execute(
                "DELETE FROM ecr_tags WHERE account = ?1 AND region = ?2 AND repository = ?3 AND tag = ?4",
                params![account, region, repository, tag],
            ))?;
            sql(tx.query_row(
                "SELECT count(*) FROM ecr_tags WHERE account = ?1 AND region = ?2 AND repository = ?3 AND digest = ?4",
                params![account, region, repository, digest],
                |row| row.get(0),
            ))?
        }
    };
    if tags_left == 0 {
        for table in ["ecr_tags", "ecr_images"] {
            sql(tx.execute(
                &format!("DELETE FROM {table} WHERE account = ?1 AND region = ?2 AND repository = ?3 AND digest = ?4"),
                params![account, region, repository, digest],
            ))?;
        }
    }
    Ok(())
}
