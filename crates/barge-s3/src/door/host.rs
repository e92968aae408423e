//! Which bucket a host names (Amazon S3 User Guide, "Virtual hosting of general purpose buckets").

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// Names under which this server is reached; a label before one of them is a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    domains: Vec<String>,
}

impl Hosts {
    /// The well-known names, and that of `endpoint` where it isn't an address.
    pub(crate) fn new(endpoint: &str) -> Self {
        let mut domains: Vec<String> = ["s3.localhost", "localhost", "s3.amazonaws.com"].map(str::to_owned).into();
        if let Ok(uri) = endpoint.parse::<http::Uri>()
            && let Some(host) = uri.host().map(|host| host.trim_matches(['[', ']']))
            && host.parse::<std::net::IpAddr>().is_err()
            && !domains.iter().any(|domain| domain == host)
        {
            domains.push(host.to_ascii_lowercase());
        }
        Self { domains }
    }

    /// The bucket that a request is about, by its host or else its path.
    pub(crate) fn bucket_of(&self, host: &str, path: &str) -> Option<String> {
        let addressed = || {
            let first = path.trim_start_matches('/').split('/').next().filter(|first| !first.is_empty())?;
            percent_encoding::percent_decode_str(first).decode_utf8().ok().map(std::borrow::Cow::into_owned)
        };
        self.bucket(host).map(str::to_ascii_lowercase).or_else(addressed)
    }

    fn bucket<'h>(&self, host: &'h str) -> Option<&'h str> {
        let host = host.rsplit_once(':').map_or(host, |(name, port)| if is_port(port) { name } else { host });
        let plain = || self.domains.iter().find_map(|domain| host.strip_suffix(domain.as_str())?.strip_suffix('.'));
        let bucket = ["amazonaws.com", "localhost"].iter().find_map(|base| regional(host, base)).or_else(plain)?;
        // `s3.localhost` and `s3.eu-west-1.localhost` are this server itself.
        (bucket != "s3" && !bucket.starts_with("s3.") && !bucket.is_empty()).then_some(bucket)
    }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The bucket of `BUCKET.s3.REGION.BASE`.
fn regional<'h>(host: &'h str, base: &str) -> Option<&'h str> {
    let (rest, _region) = host.strip_suffix(base)?.strip_suffix('.')?.rsplit_once('.')?;
    rest.strip_suffix(".s3")
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let parsed = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => parsed.with_bucket(bucket.to_ascii_lowercase()),
            None => parsed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_in_a_host() {
        let hosts = Hosts::new("http://barge.example:4566");
        for (host, bucket) in [
            ("localhost:4566", None),
            ("b.localhost:4566", Some("b")),
            ("s3.localhost:4566", None),
            ("b.s3.localhost:4566", Some("b")),
            ("a.b.s3.localhost", Some("a.b")),
            ("s3.eu-west-1.localhost:4566", None),
            ("b.s3.eu-west-1.localhost:4566", Some("b")),
            ("b.s3.amazonaws.com", Some("b")),
            ("s3.eu-west-1.amazonaws.com", None),
            ("b.s3.eu-west-1.amazonaws.com", Some("b")),
            ("barge.example:4566", None),
            ("b.barge.example:4566", Some("b")),
            ("elsewhere.example", None),
        ] {
            assert_eq!(hosts.bucket(host), bucket, "{host}");
        }
    }

    #[test]
    fn the_bucket_of_a_request() {
        let hosts = Hosts::new("http://barge.example:4566");
        for (host, path, bucket) in [
            ("localhost:4566", "/b/k", Some("b")),
            ("b.localhost:4566", "/k", Some("b")),
            ("127.0.0.1:4566", "/b", Some("b")),
            ("localhost", "/", None),
        ] {
            assert_eq!(hosts.bucket_of(host, path).as_deref(), bucket, "{host} {path}");
        }
    }
}
