//! Headers that the operator wants on every answer, such as those by which a browser lets the page of another site in (CORS,
//! in the Fetch standard).

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers for every answer. One that the answer has by itself stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeaders(HeaderMap);

/// A header that cannot be the same on every answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the same for all answers: leave it to the registry")]
pub struct OfOneAnswer(pub HeaderName);

impl TryFrom<HeaderMap> for ResponseHeaders {
    type Error = OfOneAnswer;

    fn try_from(headers: HeaderMap) -> Result<Self, OfOneAnswer> {
        match headers.keys().find(|name| is_of_one_answer(name)) {
            Some(name) => Err(OfOneAnswer(name.clone())),
            None => Ok(Self(headers)),
        }
    }
}

impl ResponseHeaders {
    /// What they are.
    pub fn as_map(&self) -> &HeaderMap {
        &self.0
    }

    /// Puts them on the answer to what a page of `origin` asked, if one did.
    pub(crate) fn put_on(&self, answer: &mut HeaderMap, origin: Option<&HeaderValue>) {
        for name in self.0.keys() {
            if answer.contains_key(name) {
                continue;
            }
            if *name == header::ACCESS_CONTROL_ALLOW_ORIGIN && self.0.get_all(name).iter().count() > 1 {
                // Browsers take one and no list: the one that asks, if it is among them.
                let welcome = self.0.get_all(name).iter().find(|welcome| Some(*welcome) == origin);
                answer.extend(welcome.map(|welcome| (name.clone(), welcome.clone())));
                answer.append(header::VARY, HeaderValue::from_name(header::ORIGIN));
                continue;
            }
            for value in self.0.get_all(name) {
                answer.append(name, value.clone());
            }
        }
    }

    /// Whether they let in the pages of this site.
    pub(crate) fn welcome(&self, origin: &str) -> bool {
        self.0.get_all(header::ACCESS_CONTROL_ALLOW_ORIGIN).iter().any(|welcome| welcome == "*" || welcome == origin)
    }
}

fn is_of_one_answer(name: &HeaderName) -> bool {
    const OF_ONE_ANSWER: [HeaderName; 9] = [
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::DATE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    OF_ONE_ANSWER.contains(name) || name == "keep-alive" || name == "proxy-connection"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> ResponseHeaders {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers.try_into().unwrap()
    }

    fn on(headers: &ResponseHeaders, origin: Option<&'static str>) -> HeaderMap {
        let mut answer = HeaderMap::new();
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("ours"));
        headers.put_on(&mut answer, origin.map(HeaderValue::from_static).as_ref());
        answer
    }

    #[test]
    fn they_are_on_every_answer_beside_what_it_has() {
        let wanted = headers(&[("x-a", "1"), ("x-a", "2"), ("cache-control", "theirs"), ("x-b", "\u{e9}")]);
        let answer = on(&wanted, None);
        assert_eq!(answer.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(answer["cache-control"], "ours");
        assert_eq!(answer["x-b"].as_bytes(), "\u{e9}".as_bytes());
    }

    #[test]
    fn of_several_sites_the_one_that_asks_is_let_in() {
        let one = headers(&[("access-control-allow-origin", "https://a.example")]);
        assert_eq!(on(&one, None)["access-control-allow-origin"], "https://a.example");
        let two = headers(&[
            ("access-control-allow-origin", "https://a.example"),
            ("access-control-allow-origin", "https://b.example"),
        ]);
        assert_eq!(on(&two, Some("https://b.example"))["access-control-allow-origin"], "https://b.example");
        let stranger = on(&two, Some("https://c.example"));
        assert!(!stranger.contains_key("access-control-allow-origin") && stranger["vary"] == "origin");
        assert!(two.welcome("https://b.example") && !two.welcome("https://c.example") && !two.welcome("null"));
        assert!(headers(&[("access-control-allow-origin", "*")]).welcome("https://c.example"));
        assert!(!ResponseHeaders::default().welcome("https://c.example"));
    }

    #[test]
    fn what_says_how_an_answer_is_read_is_refused() {
        for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::CONTENT_ENCODING] {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("1"))]);
            assert_eq!(ResponseHeaders::try_from(headers), Err(OfOneAnswer(name)));
        }
    }
}
