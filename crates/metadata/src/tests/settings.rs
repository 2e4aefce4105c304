//! What parts of the program keep for themselves.

use super::Facts;
use crate::{PutSetting, RemoveSetting, SettingName};

#[tokio::test]
async fn a_text_is_kept_until_it_is_replaced_or_forgotten() {
    let facts = Facts::new().await;
    let [one, other] = ["one", "other"].map(|family| SettingName::new(family, "key"));
    let put = |name: &SettingName, value: &str| PutSetting { name: name.clone(), value: value.to_owned() };
    assert_eq!(facts.metadata.setting(&one).await.unwrap(), None);
    facts.run(put(&one, "first")).await;
    facts.run(put(&one, "second")).await;
    facts.run(put(&other, "theirs")).await;
    assert_eq!(facts.metadata.setting(&one).await.unwrap().as_deref(), Some("second"));
    for _ in 0..2 {
        facts.run(RemoveSetting { name: one.clone() }).await;
        assert_eq!(facts.metadata.setting(&one).await.unwrap(), None);
    }
    assert_eq!(facts.metadata.setting(&other).await.unwrap().as_deref(), Some("theirs"));
}
