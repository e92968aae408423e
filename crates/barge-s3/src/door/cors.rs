//! What browsers ask before and beside requests for a page of another origin (Amazon S3 API Reference, "OPTIONS object";
//! the fetch standard's CORS protocol). Preflights are not signed; they tell of a bucket's rules and of nothing else.

use crate::cors::{Ask, CorsRule, Origin, Permission, permission};
use crate::error::{BAD_REQUEST, CORS_FORBIDDEN, Error, Result};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use s3s::Body;

/// Of what answers depend on beside the resource.
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What the browser asks beside a request; `None` where no page of another origin is behind it.
pub(crate) fn ask(headers: &HeaderMap, method: &Method) -> Option<Ask> {
    let origin = text(headers, header::ORIGIN)?.to_owned();
    Some(Ask { origin, method: method.as_str().to_owned(), headers: Vec::new() })
}

/// What a preflight asks.
pub(crate) fn preflight(headers: &HeaderMap) -> Result<Ask> {
    let insufficient = || BAD_REQUEST.because("Insufficient information. Origin request header needed.");
    let origin = text(headers, header::ORIGIN).ok_or_else(insufficient)?;
    let method = text(headers, header::ACCESS_CONTROL_REQUEST_METHOD);
    let method = method.ok_or_else(|| BAD_REQUEST.because("Invalid Access-Control-Request-Method: null"))?;
    let names = text(headers, header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    Ok(Ask {
        origin: origin.to_owned(),
        method: method.to_owned(),
        headers: names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_lowercase).collect(),
    })
}

/// The answer to a preflight, by a bucket's rules.
pub(crate) fn answer(rules: &[CorsRule], ask: &Ask) -> Result<Response<Body>> {
    if rules.is_empty() {
        return Err(CORS_FORBIDDEN.because("CORSResponse: CORS is not enabled for this bucket."));
    }
    let permission = permission(rules, ask).ok_or_else(|| Error::from(CORS_FORBIDDEN))?;
    let mut response = Response::new(Body::empty());
    permit(response.headers_mut(), permission, ask);
    Ok(response)
}

/// Says in the headers of an answer what a bucket's rules permit.
pub(crate) fn decorate(headers: &mut HeaderMap, rules: &[CorsRule], ask: &Ask) {
    if let Some(permission) = permission(rules, ask) {
        permit(headers, permission, ask);
    }
}

fn permit(headers: &mut HeaderMap, Permission { rule, origin }: Permission<'_>, ask: &Ask) {
    let mut add = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    };
    match origin {
        Origin::Any => add(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
        Origin::Asking => {
            add(header::ACCESS_CONTROL_ALLOW_ORIGIN, ask.origin.clone());
            add(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true".to_owned());
        }
    }
    add(header::ACCESS_CONTROL_ALLOW_METHODS, rule.methods.join(", "));
    add(header::ACCESS_CONTROL_ALLOW_HEADERS, ask.headers.join(", "));
    add(header::ACCESS_CONTROL_EXPOSE_HEADERS, rule.exposed.join(", "));
    add(header::ACCESS_CONTROL_MAX_AGE, rule.max_age.map(|seconds| seconds.to_string()).unwrap_or_default());
    add(header::VARY, VARY.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn rules() -> Vec<CorsRule> {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        vec![CorsRule {
            origins: texts(&["https://page.example"]),
            methods: texts(&["GET", "PUT"]),
            headers: texts(&["*"]),
            exposed: texts(&["ETag"]),
            max_age: Some(3000),
            ..CorsRule::default()
        }]
    }

    #[test]
    fn a_preflight_is_answered() {
        let asked = preflight(&headers(&[
            ("origin", "https://page.example"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "X-Amz-Date, content-type"),
        ]));
        let answer = answer(&rules(), &asked.unwrap()).unwrap();
        for (name, value) in [
            ("access-control-allow-origin", "https://page.example"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "x-amz-date, content-type"),
            ("access-control-expose-headers", "ETag"),
            ("access-control-max-age", "3000"),
            ("vary", VARY),
        ] {
            assert_eq!(answer.headers()[name], value);
        }
    }

    #[test]
    fn preflights_that_are_refused() {
        for (given, word) in [
            (headers(&[]), "Origin"),
            (headers(&[("origin", "https://page.example")]), "Access-Control-Request-Method"),
            (headers(&[("origin", "https://other.example"), ("access-control-request-method", "PUT")]), "not allowed"),
            (headers(&[("origin", "https://page.example"), ("access-control-request-method", "HEAD")]), "not allowed"),
        ] {
            let error = preflight(&given).and_then(|ask| answer(&rules(), &ask)).err().unwrap();
            assert!(error.to_string().contains(word), "{error}");
        }
        let ask = Ask { origin: "o".into(), method: "GET".into(), headers: Vec::new() };
        assert!(answer(&[], &ask).err().unwrap().to_string().contains("not enabled"));
    }

    #[test]
    fn an_answer_is_decorated_for_its_origin_only() {
        for (origin, decorated) in [("https://page.example", true), ("https://other.example", false)] {
            let mut answer = HeaderMap::new();
            let ask = ask(&headers(&[("origin", origin)]), &Method::GET).unwrap();
            decorate(&mut answer, &rules(), &ask);
            assert_eq!(answer.contains_key("access-control-allow-origin"), decorated);
        }
        assert!(ask(&headers(&[]), &Method::GET).is_none());
    }
}
