//! How a request that lacks credentials is told to show them: `WWW-Authenticate` (RFC 9110 §11.6.1).

use cargohold_access::Challenge;
use http::{HeaderValue, header::WWW_AUTHENTICATE};

use crate::{
    error::{ApiError, Lacking},
    headers,
    site::Site,
    token,
};

/// Tells whoever lacks credentials how to show them; other errors stay as they are.
pub(crate) fn ask(error: ApiError, challenge: Challenge<'_>, site: &Site) -> ApiError {
    match error.lacking().map(|lacking| header(challenge, lacking, site)) {
        Some(asked) => error.with(WWW_AUTHENTICATE, asked),
        None => error,
    }
}

/// The header that asks for credentials.
fn header(challenge: Challenge<'_>, lacking: &Lacking, site: &Site) -> HeaderValue {
    let asked = match challenge {
        Challenge::Basic { realm } => format!("Basic realm={}", quoted(realm)),
        Challenge::Bearer => {
            let realm = quoted(&site.address(token::PATH));
            let scope = lacking.scope.as_ref().map(|scope| format!(",scope={}", quoted(&scope.to_string())));
            let error = lacking.error.map(|error| format!(",error={}", quoted(error)));
            let (scope, error) = (scope.unwrap_or_default(), error.unwrap_or_default());
            format!("Bearer realm={realm},service={}{scope}{error}", quoted(site.service()))
        }
    };
    HeaderValue::try_from(asked).unwrap_or(headers::BASIC)
}

/// A quoted string (RFC 9110 §5.6.4). What cannot be in one is left out.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for sign in text.chars().filter(|sign| matches!(sign, ' '..='~')) {
        if matches!(sign, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(sign);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use cargohold_access::Scope;

    use super::*;

    fn lacking(scope: &str, error: Option<&'static str>) -> Lacking {
        Lacking { scope: Scope::parse_all([scope]).pop(), error }
    }

    #[test]
    fn a_password_is_asked_for_by_its_realm() {
        let asked = header(Challenge::Basic { realm: r#"The "Registry""# }, &lacking("", None), &site("a"));
        assert_eq!(asked, r#"Basic realm="The \"Registry\"""#);
    }

    #[test]
    fn a_token_is_asked_for_by_where_it_is_and_what_for() {
        let asked =
            header(Challenge::Bearer, &lacking("repository:a/b:pull,push", None), &site("registry.example:5000"));
        assert_eq!(
            asked,
            r#"Bearer realm="https://registry.example:5000/auth/token",service="registry.example:5000",scope="repository:a/b:pull,push""#
        );
        let again = header(Challenge::Bearer, &lacking("", Some("invalid_token")), &site("a"));
        assert_eq!(again, r#"Bearer realm="https://a/auth/token",service="a",error="invalid_token""#);
    }

    #[test]
    fn what_is_no_host_is_in_no_challenge() {
        let asked = header(Challenge::Bearer, &lacking("", None), &site("a\",scope=\"x\u{e9}\n"));
        assert_eq!(asked, r#"Bearer realm="/auth/token",service="""#);
    }

    fn site(host: &str) -> Site {
        Site::at(host)
    }
}
