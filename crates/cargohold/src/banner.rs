//! What the program says when it is ready: where it is, and how to push the first image.

use std::{fmt, path::Path};

use crate::{configuration::Auth, listening::Place};

pub(crate) struct Banner<'b> {
    pub(crate) place: &'b Place,
    pub(crate) tls: bool,
    pub(crate) auth: &'b Auth,
    pub(crate) data: &'b Path,
    /// What this machine is called, for others to reach it.
    pub(crate) machine: &'b str,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, tls, auth, data, machine } = self;
        // Docker takes a registry on this machine without TLS under either name.
        let name = if place.is_of_this_machine() { "localhost" } else { machine };
        let reach = auth.in_words(place.is_of_this_machine());
        writeln!(f, "Cargohold {} is ready.", env!("CARGO_PKG_VERSION"))?;
        writeln!(f)?;
        match place {
            Place::Tcp(addr) => writeln!(f, "  Registry   {}://{addr}", if *tls { "https" } else { "http" })?,
            Place::Unix(path) => writeln!(f, "  Registry   {} (a Unix socket)", path.display())?,
        }
        writeln!(f, "  Open to    {reach}")?;
        writeln!(f, "  Data       {}", data.display())?;
        writeln!(f)?;
        let Place::Tcp(addr) = place else { return writeln!(f, "Ctrl-C stops it.") };
        let host = format!("{name}:{}", addr.port());
        writeln!(f, "Push your first image from another terminal (the README has a way without the internet):")?;
        writeln!(f)?;
        if auth.htpasswd.is_some() {
            writeln!(f, "  docker login {host}")?;
        }
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

    fn banner(addr: &str, auth: &Auth) -> String {
        let place = Place::Tcp(addr.parse().unwrap());
        Banner { place: &place, tls: false, auth, data: Path::new("/srv/data"), machine: "ship" }.to_string()
    }

    #[test]
    fn says_how_it_is_reached() {
        let (auth, data, machine) = (&Auth::default(), Path::new("/srv/data"), "ship");
        let place = Place::Tcp("0.0.0.0:443".parse().unwrap());
        let told = Banner { place: &place, tls: true, auth, data, machine }.to_string();
        assert!(told.contains("https://0.0.0.0:443") && told.contains("docker push ship:443/"), "{told}");
        let place = Place::Unix("/run/cargohold.sock".into());
        let told = Banner { place: &place, tls: false, auth, data, machine }.to_string();
        assert!(told.contains("  /run/cargohold.sock (a Unix socket)") && !told.contains("docker"), "{told}");
    }

    #[test]
    fn other_machines_are_told_a_name() {
        assert!(banner("0.0.0.0:5000", &Auth::default()).contains("docker push ship:5000/hello-world"));
    }

    #[test]
    fn those_with_a_password_are_told_to_sign_in() {
        let auth = Auth { htpasswd: Some("/etc/htpasswd".into()), ..Auth::default() };
        let told = banner("0.0.0.0:5000", &auth);
        assert!(told.contains("those with a password") && told.contains("docker login ship:5000"), "{told}");
    }

    #[test]
    fn says_where_it_is_and_how_to_push() {
        let banner = banner("127.0.0.1:5001", &Auth::default());
        for line in
            ["http://127.0.0.1:5001", "this machine only", "/srv/data", "docker push localhost:5001/hello-world"]
        {
            assert!(banner.contains(line), "{banner}");
        }
    }
}
