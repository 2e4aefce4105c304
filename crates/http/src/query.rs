//! The query of a request. What nobody knows in it is ignored.

use std::borrow::Cow;

use cargohold_oci::ErrorCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::ApiError;

/// A query, still encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'r>(&'r str);

impl<'r> Query<'r> {
    pub(crate) fn of(uri: &'r http::Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// The first value of a parameter, decoded.
    pub(crate) fn first(self, name: &str) -> Option<Cow<'r, str>> {
        self.all(name).next()
    }

    /// Every value of a parameter, decoded.
    pub(crate) fn all(self, name: &str) -> impl Iterator<Item = Cow<'r, str>> {
        form_urlencoded::parse(self.0.as_bytes()).filter_map(move |(key, value)| (key == name).then_some(value))
    }

    /// `n`: how much of a list the client wants; none if it does not say. A number that is larger than any is one.
    pub(crate) fn page_size(self) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.first("n").filter(|text| !text.is_empty()) else { return Ok(None) };
        if text.bytes().all(|digit| digit.is_ascii_digit()) {
            return Ok(Some(text.parse().unwrap_or(u64::MAX)));
        }
        let message = format!("n={text:.100} is not the size of a page: it must be a whole number, 0 or more");
        Err(ApiError::invalid(ErrorCode::PaginationNumberInvalid, message))
    }

    /// A value as a query carries it.
    pub(crate) fn encode(value: &str) -> impl std::fmt::Display {
        utf8_percent_encode(value, NON_ALPHANUMERIC)
    }
}

/// The part of a `last` that decides which names come after it: none is longer than `most` bytes, and none has a NUL, which not
/// every database takes. A character across that length stays, since names that end where it begins come before it.
pub(crate) fn comparable(last: &str, most: usize) -> &str {
    let end = last.find('\0').unwrap_or(last.len()).min(last.ceil_char_boundary(most));
    &last[..end]
}

#[cfg(test)]
mod tests {
    fn comparable(last: &str) -> &str {
        super::comparable(last, 128)
    }

    proptest::proptest! {
        /// What is cut off never changes which tags come after.
        #[test]
        fn the_comparable_part_has_the_same_tags_after_it(last: String, tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", shares in 0..200usize) {
            // A tag that begins like `last`, as far as one can.
            let shared: String = tag.chars().take(shares).collect();
            for last in [last.clone(), format!("{shared}{last}"), format!("{shared}\0{last}"), format!("{tag}{last}")] {
                proptest::prop_assert_eq!(tag.as_str() > last.as_str(), tag.as_str() > comparable(&last));
            }
        }
    }

    #[test]
    fn a_long_one_is_cut_where_no_tag_goes_on() {
        assert_eq!(comparable(&"a".repeat(500)).len(), 128);
        assert_eq!(comparable("v1\0beyond"), "v1");
    }

    #[test]
    fn a_character_across_the_longest_length_still_counts() {
        let begun = "a".repeat(127);
        let (last, tag) = (format!("{begun}é"), format!("{begun}0"));
        assert!(tag < last);
        assert!(tag.as_str() < comparable(&last));
        assert_eq!(comparable(&format!("{last}{last}")), last);
    }
}
