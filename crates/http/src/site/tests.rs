use std::{net::SocketAddr, sync::Arc};

use super::*;
use crate::body::Transport;

const PROXY: &str = "192.0.2.1";

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn trusting(proxies: &[&str]) -> SiteOptions {
    let trusted_proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    SiteOptions { trusted_proxies, relative_urls: false, ..SiteOptions::default() }
}

/// The address of `/v2/` that a request from the proxy is told.
fn address(options: &SiteOptions, lines: &[(&'static str, &'static str)]) -> String {
    let mut request = Request::new(());
    *request.headers_mut() = headers(lines);
    let peer = SocketAddr::new(PROXY.parse().unwrap(), 1).into();
    let connection =
        ConnectionInfo { peer, tls: false, transport: Transport::Other, max_head: 0, activity: Arc::default() };
    options.site(&request, &connection).lead("/v2/")
}

fn client(options: &SiteOptions, lines: &[(&'static str, &'static str)]) -> String {
    options.client(PROXY.parse().unwrap(), &headers(lines)).to_string()
}

const HOST: (&str, &str) = ("host", "inner:5000");

#[test]
fn the_word_of_a_trusted_proxy_counts() {
    let options = trusting(&[PROXY]);
    for (lines, expected) in [
        (&[HOST][..], "http://inner:5000/v2/"),
        (&[HOST, ("x-forwarded-proto", "https")], "https://inner:5000/v2/"),
        (
            &[HOST, ("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", "registry.example")],
            "https://registry.example/v2/",
        ),
        (
            &[HOST, ("x-forwarded-host", "a.example:8443, b.example"), ("x-forwarded-proto", "https, http")],
            "https://a.example:8443/v2/",
        ),
        (&[HOST, ("x-forwarded-host", "a.example"), ("x-forwarded-port", "8443")], "http://a.example:8443/v2/"),
        (&[HOST, ("x-forwarded-host", "a.example"), ("x-forwarded-port", "443")], "http://a.example/v2/"),
        (&[HOST, ("x-forwarded-host", "[2001:db8::1]"), ("x-forwarded-port", "8443")], "http://[2001:db8::1]:8443/v2/"),
        (&[HOST, ("x-forwarded-prefix", "/registry")], "http://inner:5000/registry/v2/"),
        (&[HOST, ("forwarded", "for=192.0.2.7;host=\"a.example:8443\";proto=https")], "https://a.example:8443/v2/"),
        (&[HOST, ("forwarded", "host=a.example;proto=https, host=b.example;proto=http")], "https://a.example/v2/"),
        (&[HOST, ("forwarded", "host=a.example;proto=https"), ("forwarded", "proto=http")], "https://a.example/v2/"),
    ] {
        assert_eq!(address(&options, lines), expected, "{lines:?}");
    }
}

#[test]
fn what_cannot_be_is_left_out() {
    let options = trusting(&[PROXY]);
    for lines in [
        &[HOST, ("x-forwarded-host", "a/b"), ("x-forwarded-proto", "javascript")][..],
        &[HOST, ("x-forwarded-host", ""), ("x-forwarded-port", "0"), ("x-forwarded-prefix", "//evil.example")],
        &[HOST, ("x-forwarded-port", "99999"), ("x-forwarded-prefix", "/../")],
        &[HOST, ("forwarded", "host=\"a b\";proto=ftp")],
        &[HOST, ("forwarded", "host=a.example, for=\"")],
    ] {
        assert_eq!(address(&options, lines), "http://inner:5000/v2/", "{lines:?}");
    }
    assert_eq!(address(&options, &[("host", "a b\"")]), "/v2/");
}

#[test]
fn where_both_are_the_dialect_counts() {
    let both = [HOST, ("forwarded", "host=spoofed.example;for=198.51.100.66"), ("x-forwarded-for", "198.51.100.7")];
    assert_eq!(address(&trusting(&[PROXY]), &both), "http://inner:5000/v2/");
    assert_eq!(client(&trusting(&[PROXY]), &both), "198.51.100.7");
}

#[test]
fn nobody_else_is_believed() {
    let lines = [
        HOST,
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "a.example"),
        ("x-forwarded-prefix", "/a"),
        ("x-forwarded-for", "198.51.100.7"),
        ("x-real-ip", "198.51.100.7"),
        ("forwarded", "for=198.51.100.7;host=a.example"),
    ];
    for options in [trusting(&[]), trusting(&["192.0.2.2", "10.0.0.0/8"])] {
        assert_eq!(address(&options, &lines), "http://inner:5000/v2/");
        assert_eq!(client(&options, &lines), PROXY);
    }
}

#[test]
fn the_client_is_the_nearest_whose_word_does_not_count() {
    let options = trusting(&[PROXY, "10.0.0.0/8"]);
    for (lines, expected) in [
        (&[][..], PROXY),
        (&[("x-forwarded-for", "198.51.100.66, 198.51.100.7")][..], "198.51.100.7"),
        (&[("x-forwarded-for", "198.51.100.66, 198.51.100.7, 10.1.2.3")], "198.51.100.7"),
        (&[("x-forwarded-for", "198.51.100.66"), ("x-forwarded-for", "198.51.100.7:5000,10.1.2.3")], "198.51.100.7"),
        (&[("x-forwarded-for", "10.1.1.1, 10.1.2.3")], "10.1.1.1"),
        (&[("x-forwarded-for", "198.51.100.7, unknown, 10.1.2.3")], "10.1.2.3"),
        (&[("x-forwarded-for", "198.51.100.7, rubbish")], PROXY),
        (&[("x-forwarded-for", "[2001:db8::1]:443")], "2001:db8::1"),
        (&[("x-real-ip", "198.51.100.7")], "198.51.100.7"),
        (&[("forwarded", "for=198.51.100.66, for=\"[2001:db8::1]:443\";proto=https, for=10.1.2.3")], "2001:db8::1"),
        (&[("forwarded", "for=198.51.100.66, for=_hidden, for=10.1.2.3")], "10.1.2.3"),
        (&[("forwarded", "for=\"198.51.100.66"), ("forwarded", "for=198.51.100.7")], "198.51.100.7"),
        (&[("forwarded", "for=\"198.51.100.66, for=198.51.100.7")], PROXY),
    ] {
        assert_eq!(client(&options, lines), expected, "{lines:?}");
    }
    assert_eq!(client(&trusting(&["any"]), &[("x-forwarded-for", "198.51.100.66, 198.51.100.7")]), "198.51.100.66");
}

#[test]
fn what_the_operator_says_wins() {
    let told = [HOST, ("x-forwarded-host", "a.example"), ("x-forwarded-prefix", "/a")];
    let host = |url: &str, prefix: &str| SiteOptions {
        host: Some(url.parse().unwrap()),
        prefix: prefix.parse().unwrap(),
        relative_urls: true,
        ..trusting(&["any"])
    };
    assert_eq!(address(&host("https://r.example", "/"), &told), "https://r.example/v2/");
    assert_eq!(address(&host("https://r.example", "/b/"), &told), "https://r.example/b/v2/");
    assert_eq!(address(&host("https://r.example/c/", "/b/"), &told), "https://r.example/c/v2/");
}

#[test]
fn relative_addresses_have_the_prefix() {
    let options = SiteOptions { prefix: "/b/".parse().unwrap(), relative_urls: true, ..trusting(&["any"]) };
    assert_eq!(address(&options, &[HOST, ("x-forwarded-host", "a.example")]), "/b/v2/");
    assert_eq!(address(&options, &[HOST, ("x-forwarded-prefix", "/a")]), "/a/b/v2/");
}

#[test]
fn locations_and_links_are_led_on() {
    let whole = Site {
        scheme: Scheme::Https,
        authority: Some("a.example".parse().unwrap()),
        prefix: "/b/".parse().unwrap(),
        whole: true,
    };
    let mut answer = headers(&[("location", "/v2/a"), ("link", "</v2/b?n=1>; rel=\"next\"")]);
    whole.lead_on(&mut answer);
    assert_eq!(answer["location"], "https://a.example/b/v2/a");
    assert_eq!(answer["link"], "<https://a.example/b/v2/b?n=1>; rel=\"next\"");
    let mut elsewhere = headers(&[("location", "https://store.example/x"), ("link", "<https://store.example/x>")]);
    whole.lead_on(&mut elsewhere);
    assert_eq!(elsewhere["location"], "https://store.example/x");
    assert_eq!(elsewhere["link"], "<https://store.example/x>");
}

#[test]
fn a_page_is_ours_if_its_host_is() {
    let site = |authority: Option<&str>| Site {
        scheme: Scheme::Http,
        authority: authority.map(|text| text.parse().unwrap()),
        prefix: Prefix::default(),
        whole: false,
    };
    assert!(site(Some("a.example:1")).has_page("https://a.example:1"));
    assert!(!site(Some("a.example:1")).has_page("https://a.example"));
    assert!(!site(Some("a.example")).has_page("null") && !site(None).has_page("https://"));
}
