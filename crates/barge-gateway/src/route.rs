//! Which service a request is for, and the way to it: verify, read, call.

use crate::body::{Body, full};
use crate::refusal::Refusal;
use crate::signature::Signature;
use barge_core::ports::KeyDirectory;
use barge_core::{Ambient, AwsError, Context, Region, Scope};
use barge_wire::{Protocol, Service};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::collections::HashMap;
use std::sync::Arc;

/// The largest body that is read into memory: a function's code of 50 MB in base64, and the request around it.
/// S3 and the image registry stream theirs.
const LARGEST_BODY: usize = 72 << 20;

/// Something that answers requests itself, streams and signatures included.
pub type Mount = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// What stands behind the gateway.
pub struct Services {
    /// Services whose requests are verified and read here.
    pub services: Vec<Arc<dyn Service>>,
    /// S3: it takes what is signed for `s3`, and what is not signed and not for anyone else.
    pub s3: Mount,
    /// Mounts by path prefix, e.g. `/v2/`, for requests that carry no AWS signature. The longest prefix wins.
    pub mounts: Vec<(&'static str, Mount)>,
}

/// The front door.
pub struct Gateway {
    services: HashMap<&'static str, Arc<dyn Service>>,
    s3: Mount,
    mounts: Vec<(&'static str, Mount)>,
    keys: Arc<dyn KeyDirectory>,
    ambient: Ambient,
}

impl Gateway {
    /// A gateway to `services` for the holders of `keys`.
    pub fn new(services: Services, keys: Arc<dyn KeyDirectory>, ambient: Ambient) -> Self {
        let mut mounts = services.mounts;
        mounts.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Self {
            services: services.services.into_iter().map(|service| (service.signing_name(), service)).collect(),
            s3: services.s3,
            mounts,
            keys,
            ambient,
        }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let signature = Signature::read(&parts);
        if matches!(signature, Err(Refusal::Unsigned)) {
            if parts.uri.path() == "/_barge/health" {
                return health();
            }
            if let Some((_, mount)) = self.mounts.iter().find(|(prefix, _)| parts.uri.path().starts_with(prefix)) {
                return mount(Request::from_parts(parts, body)).await;
            }
        }
        match &signature {
            Ok(signature) if signature.service == "s3" => return (self.s3)(Request::from_parts(parts, body)).await,
            Err(_) if !self.speaks_to_a_service(&parts) => return (self.s3)(Request::from_parts(parts, body)).await,
            _ => {}
        }
        self.call(parts, body, signature).await.map(full)
    }

    async fn call(&self, parts: Parts, body: Incoming, signature: Result<Signature, Refusal>) -> Response<Bytes> {
        let request_id = self.ambient.ids.uuid();
        let body = match read(body).await {
            Ok(body) => body,
            Err(refusal) => {
                let protocol = self.protocol(&Request::from_parts(parts, Bytes::new()), signature.as_ref().ok());
                return protocol.error(&request_id, &refusal.error(protocol));
            }
        };
        let admitted = match &signature {
            Ok(signature) => self.admit(signature, &parts, &body, request_id.clone()),
            Err(refusal) => Err(refusal.clone()),
        };
        let request = Request::from_parts(parts, body);
        let protocol = self.protocol(&request, signature.as_ref().ok());
        let (service_name, cx) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return protocol.error(&request_id, &refusal.error(protocol)),
        };
        let Some(service) = self.services.get(service_name.as_str()) else {
            let message = format!("Barge does not have the service that requests sign as '{service_name}'.");
            return protocol.error(&request_id, &AwsError::new("NotImplemented", 501, message));
        };
        let started = self.ambient.clock.now();
        let operation = service.operation(&request).unwrap_or_default();
        let response = service.call(&cx, request).await;
        let millis = self.ambient.clock.now().millis() - started.millis();
        tracing::debug!(service = service_name, operation, status = response.status().as_u16(), millis, request_id);
        response
    }

    /// Verifies the signature and says who asks, and where.
    fn admit(
        &self,
        signature: &Signature,
        parts: &Parts,
        body: &[u8],
        request_id: String,
    ) -> Result<(String, Context), Refusal> {
        let key = self.keys.access_key(&signature.access_key_id).ok_or(Refusal::UnknownKey)?;
        let region = Region::new(&signature.region)
            .ok_or_else(|| Refusal::Malformed(format!("'{}' is not a region.", signature.region)))?;
        let now = self.ambient.clock.now();
        signature.verify(parts, body, &key, now)?;
        let host = parts.headers.get("host").and_then(|host| host.to_str().ok());
        let endpoint = host.map_or_else(|| self.ambient.endpoint.clone(), |host| format!("http://{host}"));
        let scope = Scope { account: key.account, region };
        Ok((signature.service.clone(), Context { scope, principal: key.principal, request_id, now, endpoint }))
    }

    /// Whether a request that carries no readable signature is still plainly meant for a service other than S3: by what
    /// its protocol puts in the headers, or by a path of one of the REST services.
    fn speaks_to_a_service(&self, parts: &Parts) -> bool {
        let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut head = Request::new(Bytes::new());
        *head.method_mut() = parts.method.clone();
        *head.uri_mut() = parts.uri.clone();
        parts.headers.contains_key("x-amz-target")
            || content_type.starts_with("application/x-amz-json")
            || (content_type.starts_with("application/x-www-form-urlencoded") && parts.uri.path() == "/")
            || self.services.values().any(|service| service.operation(&head).is_some())
    }

    /// The protocol that the client understands: its service's, else the one that the request looks like.
    fn protocol(&self, request: &Request<Bytes>, signature: Option<&Signature>) -> Protocol {
        let signed_for = signature.and_then(|signature| self.services.get(signature.service.as_str()));
        let named = || self.services.values().find(|service| service.operation(request).is_some());
        if let Some(service) = signed_for.or_else(named) {
            return service.protocol();
        }
        let content_type = request.headers().get("content-type").and_then(|value| value.to_str().ok());
        match content_type {
            Some(text) if text.starts_with("application/x-amz-json-1.0") => Protocol::Json10,
            Some(text) if text.starts_with("application/x-amz-json") => Protocol::Json11,
            Some(text) if text.starts_with("application/x-www-form-urlencoded") => Protocol::Query,
            _ => Protocol::RestJson,
        }
    }
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Err(error) => Err(Refusal::Broken(error.to_string())),
    }
}

fn health() -> Response<Body> {
    let mut response =
        Response::new(full(concat!(r#"{"status":"ok","version":""#, env!("CARGO_PKG_VERSION"), "\"}\n")));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
