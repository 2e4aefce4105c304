use std::{fmt::Write, fs, path::Path};

use cargohold_blobs::LocalDisk;
use cargohold_metadata::{EnsureStore, Metadata, Timestamp};
use cargohold_metrics::{Described, Kind};
use cargohold_oci::UploadId;
use cargohold_registry::{Environment, Lifetimes, Scrub, Stores, Validation};

use super::*;
use crate::logging::{Logging, Logs};

const BEGIN: &str = "<!-- metrics: made from the code -->\n";
const END: &str = "<!-- end of metrics -->\n";

/// Everything that a registry tells of which nothing was asked yet.
async fn page() -> Page {
    let folder = tempfile::tempdir().unwrap();
    let metadata = Metadata::open(&folder.path().join("facts"), Timestamp::from_micros(0)).unwrap();
    let store = EnsureStore { kind: "filesystem", location: ".".to_owned(), random: 7 };
    let store = metadata.run(store).await.unwrap();
    let disk = LocalDisk::open(folder.path(), store.id.number()).unwrap();
    let environment = Environment::new(|| Timestamp::from_micros(1), || UploadId::from_uuid(uuid::Uuid::nil()));
    let stores = Stores::new(store.id, disk);
    let (lifetimes, scrub, validation) = (Lifetimes::default(), Scrub::default(), Validation::default());
    let registry = Registry::new(metadata, stores, lifetimes, scrub, validation, environment);
    let metrics = Metrics::new(registry.clone(), Logs::none(&Logging::default()));
    let page = metrics.page(&management::operator().unwrap()).await;
    registry.close().await;
    page
}

fn told(metric: &Described) -> String {
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!(", by {}", labels.join(", ")) };
    format!("### `{}`\n\n{}{labels}. {}\n", metric.name, metric.kind.name(), metric.help)
}

#[tokio::test]
async fn every_metric_is_documented() {
    let page = page().await;
    let mut made = String::from(BEGIN);
    for metric in page.described() {
        // Writing to a text cannot fail.
        let _ = write!(made, "\n{}", told(metric));
    }
    made.push('\n');
    made.push_str(END);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let text = fs::read_to_string(&file).unwrap();
    let (start, end) = (text.find(BEGIN).unwrap(), text.find(END).unwrap() + END.len());
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(&file, format!("{}{made}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    assert_eq!(&text[start..end], made, "run WRITE_DOCS=1 cargo test -p cargohold --bins metrics");
}

#[tokio::test]
async fn names_follow_the_conventions() {
    for metric in page().await.described() {
        let Described { name, kind, labels, help } = metric;
        assert!(name.starts_with("cargohold_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(!["_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix)), "{name}");
        assert!(help.ends_with('.') && !labels.contains(&"le"), "{name}");
    }
}

/// Every word of our metrics in a text.
fn named(text: &str) -> Vec<String> {
    let words = text.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'));
    words.filter(|word| word.starts_with("cargohold_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn dashboards_and_alerts_name_only_what_there_is() {
    let page = page().await;
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    for file in ["grafana/cargohold.json", "prometheus/alerts.yml"] {
        let text = fs::read_to_string(deploy.join(file)).unwrap();
        let named = named(&text);
        assert!(named.len() > 10, "{file}");
        for name in named {
            let known = page.described().iter().any(|metric| match metric.kind {
                Kind::Histogram => {
                    ["_bucket", "_sum", "_count"].iter().any(|end| name == format!("{}{end}", metric.name))
                }
                Kind::Counter | Kind::Gauge => name == metric.name,
            });
            assert!(known, "{file}: {name}");
        }
    }
}
