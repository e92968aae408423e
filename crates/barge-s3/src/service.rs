//! The service: opening it, and its one door for requests.

use crate::api::{Api, RequestId};
use crate::blobs::Blobs;
use crate::core::Core;
use crate::cors::CorsRule;
use crate::door::auth::Guard;
use crate::door::unread::{self, Remainder};
use crate::door::{answer, chunks, cors, host::Hosts};
use crate::error::{Error, NO_SUCH_BUCKET};
use crate::lifecycle::sweep_forever;
use crate::meta::{buckets, schema};
use crate::notify::deliver_forever;
use barge_core::ports::{EventSink, FunctionInvoker, KeyDirectory};
use barge_core::{Ambient, AwsError};
use barge_store::Store;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3Error};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// The largest form upload (browser-based uploads using POST), in bytes: s3s holds it in memory.
pub const LARGEST_FORM: u64 = 64 * 1024 * 1024;
/// The largest XML document in a request, in bytes. A thousand keys of the greatest length fit.
const LARGEST_DOCUMENT: usize = 8 * 1024 * 1024;

/// Amazon S3.
pub struct S3Service {
    pub(crate) core: Arc<Core>,
    protocol: s3s::service::S3Service,
    hosts: Hosts,
    tasks: Vec<JoinHandle<()>>,
}

/// What S3 needs of the others.
pub struct Neighbours {
    /// Verifies requests.
    pub keys: Arc<dyn KeyDirectory>,
    /// Takes notifications for functions.
    pub functions: Arc<dyn FunctionInvoker>,
    /// Takes notifications for EventBridge. Without, buckets remember that they have EventBridge turned on, and
    /// nothing is sent.
    pub events: Option<Arc<dyn EventSink>>,
}

impl S3Service {
    /// Opens the service: tables in `store`, bodies under `data_dir/objects`. Finishes what a run before this one left
    /// half-done, and begins to deliver notifications that are still to be. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// `InternalFailure` where the disk or database can't be used.
    pub fn open(
        store: Store,
        data_dir: &Path,
        ambient: Ambient,
        neighbours: Neighbours,
    ) -> Result<Arc<Self>, AwsError> {
        Self::start(store, data_dir, ambient, neighbours).map_err(AwsError::from)
    }

    fn start(store: Store, data_dir: &Path, ambient: Ambient, neighbours: Neighbours) -> Result<Arc<Self>, Error> {
        store.migrate("s3", schema::STEPS)?;
        let (removed, late) = mpsc::unbounded_channel();
        let (sender, garbage) = mpsc::unbounded_channel();
        let blobs = Blobs::open(data_dir.join("objects"), Arc::clone(&ambient.ids), removed)?;
        let guard = Guard { keys: neighbours.keys, ambient: ambient.clone() };
        let hosts = Hosts::new(&ambient.endpoint);
        let core = Arc::new(Core {
            store,
            blobs: Arc::new(blobs),
            ambient,
            functions: neighbours.functions,
            events: neighbours.events,
            outbox: Notify::new(),
            lifecycle: Notify::new(),
            garbage: sender,
        });
        core.recover()?;
        let tasks = vec![
            tokio::spawn(Arc::clone(&core).collect(garbage, late)),
            tokio::spawn(deliver_forever(Arc::clone(&core))),
            tokio::spawn(sweep_forever(Arc::clone(&core))),
        ];
        let mut config = S3Config::default();
        config.xml_max_body_size = LARGEST_DOCUMENT;
        config.post_object_max_file_size = LARGEST_FORM;
        let mut builder = S3ServiceBuilder::new(Api { core: Arc::clone(&core) });
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.set_host(hosts.clone());
        builder.set_auth(guard.clone());
        builder.set_access(guard);
        Ok(Arc::new(Self { core, protocol: builder.build(), hosts, tasks }))
    }

    /// Answers a request, signature and all. Its body may come from anywhere (`Body::from(hyper::body::Incoming)`);
    /// where its extensions have a [`std::net::SocketAddr`], notifications name it as the client's address.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let request_id = self.core.ambient.ids.upper_alphanumeric(16);
        let resource = request.uri().path().to_owned();
        let (mut parts, body) = request.into_parts();
        let bucket = self.hosts.bucket_of(host(&parts), &resource);
        if parts.method == Method::OPTIONS {
            let response = self.preflight(&parts, bucket).await.unwrap_or_else(refusal);
            return answer::complete(response, &request_id, &resource);
        }
        let asked = cors::ask(&parts.headers, &parts.method).zip(bucket);
        parts.extensions.insert(RequestId(request_id.clone()));
        let (body, rest) = unread::watched(chunks::bounded(&parts.headers, body));
        let mut response = match self.protocol.call(Request::from_parts(parts, body)).await {
            Ok(response) => response,
            Err(error) => failure(&s3s::StdError::from(error)),
        };
        if rest.drain().await == Remainder::Left {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some((ask, bucket)) = asked {
            let rules = self.cors_rules(bucket).await.unwrap_or_default();
            cors::decorate(response.headers_mut(), &rules, &ask);
        }
        answer::complete(response, &request_id, &resource)
    }

    async fn preflight(&self, parts: &Parts, bucket: Option<String>) -> Result<Response<Body>, Error> {
        let ask = cors::preflight(&parts.headers)?;
        let rules = match bucket {
            Some(bucket) => self.cors_rules(bucket).await?,
            None => Vec::new(),
        };
        cors::answer(&rules, &ask)
    }

    /// The cross-origin rules of a bucket, whoever owns it.
    async fn cors_rules(&self, bucket: String) -> Result<Vec<CorsRule>, Error> {
        let found = self.core.read(move |connection| buckets::find(connection, &bucket)).await?;
        Ok(found.ok_or(NO_SUCH_BUCKET)?.settings.cors)
    }
}

/// The host that a request is for.
fn host(parts: &Parts) -> &str {
    let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default()
}

/// A refusal as an answer.
fn refusal(error: Error) -> Response<Body> {
    S3Error::from(error).to_http_response().unwrap_or_else(|error| failure(&s3s::StdError::from(error)))
}

/// The answer where s3s could not make one.
fn failure(error: &s3s::StdError) -> Response<Body> {
    tracing::error!(%error, "S3 could not answer");
    let error = S3Error::from(Error::Aws(AwsError::new("InternalError", 500, error.to_string())));
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

impl Drop for S3Service {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
