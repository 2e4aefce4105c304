//! What the program says when it is ready: where it is, and how to push the first image.

use std::{fmt, net::SocketAddr, path::Path};

pub(crate) struct Banner<'b> {
    pub(crate) addr: SocketAddr,
    pub(crate) data: &'b Path,
    /// What this machine is called, for others to reach it.
    pub(crate) machine: &'b str,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addr, data, machine } = self;
        // Docker takes a registry on this machine without TLS under either name.
        let name = if addr.ip().is_loopback() { "localhost" } else { machine };
        let host = format!("{name}:{}", addr.port());
        let reach = if addr.ip().is_loopback() { "this machine only" } else { "everybody who reaches this address" };
        writeln!(f, "Cargohold {} is ready.", env!("CARGO_PKG_VERSION"))?;
        writeln!(f)?;
        writeln!(f, "  Registry   http://{addr}")?;
        writeln!(f, "  Open to    {reach}")?;
        writeln!(f, "  Data       {}", data.display())?;
        writeln!(f)?;
        writeln!(f, "Push your first image from another terminal (the README has a way without the internet):")?;
        writeln!(f)?;
        writeln!(f, "  docker pull hello-world")?;
        writeln!(f, "  docker tag hello-world {host}/hello-world")?;
        writeln!(f, "  docker push {host}/hello-world")?;
        writeln!(f)?;
        writeln!(f, "Ctrl-C stops it.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_told_a_name() {
        let banner = Banner { addr: "0.0.0.0:5000".parse().unwrap(), data: Path::new("/srv/data"), machine: "ship" };
        assert!(banner.to_string().contains("docker push ship:5000/hello-world"));
    }

    #[test]
    fn says_where_it_is_and_how_to_push() {
        let banner = Banner { addr: "127.0.0.1:5001".parse().unwrap(), data: Path::new("/srv/data"), machine: "ship" }
            .to_string();
        for line in
            ["http://127.0.0.1:5001", "this machine only", "/srv/data", "docker push localhost:5001/hello-world"]
        {
            assert!(banner.contains(line), "{banner}");
        }
    }
}
