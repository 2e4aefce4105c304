//! Whose word counts about a request that they pass on.

use std::{fmt, net::IpAddr, str::FromStr};

/// One address, those of a network, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// Whoever asks: the CNCF registry trusts everybody.
    Any,
    /// Those whose addresses begin alike.
    Network(Network),
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The first of them.
    first: IpAddr,
    /// How many bits they have in common.
    bits: u8,
}

/// Why a text names no proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has to be an IP address or a network, as in 192.0.2.1, 10.0.0.0/8 or fd00::/8, or any")]
pub struct TrustedProxyError;

impl TrustedProxy {
    /// Whether this address is one of them. An IPv4 address is the same when it is dressed as IPv6.
    pub(super) fn is(&self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Network(Network { first, bits }) => begins(address.to_canonical(), *bits) == Some(*first),
        }
    }
}

impl FromStr for TrustedProxy {
    type Err = TrustedProxyError;

    fn from_str(text: &str) -> Result<Self, TrustedProxyError> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| TrustedProxyError)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|digit| digit.is_ascii_digit()) => {
                bits.parse().map_err(|_| TrustedProxyError)?
            }
            Some(_) => return Err(TrustedProxyError),
            None => all,
        };
        // Of a network of dressed IPv4 addresses the dress is the first 96 bits.
        let canonical = address.to_canonical();
        let bits = if canonical == address { Some(bits) } else { u8::checked_sub(bits, 96) };
        let first = bits.and_then(|bits| Some((begins(canonical, bits)?, bits)));
        first.map(|(first, bits)| Self::Network(Network { first, bits })).ok_or(TrustedProxyError)
    }
}

/// The first address that has so many bits in common with this one, if it has as many.
fn begins(address: IpAddr, bits: u8) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            let rest = 32_u32.checked_sub(bits.into())?;
            IpAddr::V4((address.to_bits() & u32::MAX.checked_shl(rest).unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            let rest = 128_u32.checked_sub(bits.into())?;
            IpAddr::V6((address.to_bits() & u128::MAX.checked_shl(rest).unwrap_or(0)).into())
        }
    })
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any"),
            Self::Network(Network { first, bits }) => match (first, bits) {
                (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => write!(formatter, "{first}"),
                _ => write!(formatter, "{first}/{bits}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(proxy: &str, address: &str) -> bool {
        proxy.parse::<TrustedProxy>().unwrap().is(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_itself_whatever_its_dress() {
        assert!(
            is("192.0.2.1", "192.0.2.1") && is("192.0.2.1", "::ffff:192.0.2.1") && is("::ffff:192.0.2.1", "192.0.2.1")
        );
        assert!(!is("192.0.2.1", "192.0.2.2") && !is("192.0.2.1", "::1") && !is("::1", "0.0.0.1"));
    }

    #[test]
    fn a_network_is_what_begins_alike() {
        assert!(is("10.0.0.0/8", "10.255.0.1") && is("10.1.2.3/8", "10.0.0.1") && !is("10.0.0.0/8", "11.0.0.1"));
        assert!(is("fd00::/8", "fdff::1") && !is("fd00::/8", "fe80::1") && !is("fd00::/8", "10.0.0.1"));
        assert!(
            is("0.0.0.0/0", "192.0.2.1") && !is("0.0.0.0/0", "::1") && is("::/0", "::1") && !is("::/0", "192.0.2.1")
        );
        assert!(is("::ffff:10.0.0.0/104", "10.1.2.3") && is("any", "::1") && is("any", "192.0.2.1"));
    }

    #[test]
    fn nothing_else_names_a_proxy() {
        for text in [
            "",
            "localhost",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "Any",
            "::ffff:10.0.0.0/8",
            "10.0.0.1:80",
        ] {
            assert_eq!(text.parse::<TrustedProxy>(), Err(TrustedProxyError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_the_same(address: IpAddr, bits in 0_u8..=130, other: IpAddr) {
            if let Ok(proxy) = format!("{address}/{bits}").parse::<TrustedProxy>() {
                prop_assert_eq!(proxy.to_string().parse(), Ok(proxy));
                prop_assert!(proxy.is(address));
                prop_assert_eq!(proxy.is(other), proxy.is(other.to_canonical()));
            }
        }
    }
}
