//! One order: a host's proof, and the certificate for it (RFC 8555 §7.4).

use anyhow::{Context, bail};
use instant_acme::{
    Account, AccountBuilder, AuthorizationStatus, ChallengeHandle, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};

use super::{
    AcmeSettings,
    store::{HttpProof, Issued, Store, TlsProof},
};

/// The authority's word for an account that it does not have.
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// Gets a certificate for `host`. `failures` tells how often that has failed before.
pub(super) async fn place(settings: &AcmeSettings, store: &Store, host: &str, failures: u32) -> anyhow::Result<Issued> {
    let account = account(settings, store).await.context("the account at the authority")?;
    let fulfilled = fulfil(settings, store, &account, host, failures).await;
    store.forget_proofs(host).await?;
    fulfilled
}

async fn fulfil(
    settings: &AcmeSettings,
    store: &Store,
    account: &Account,
    host: &str,
    failures: u32,
) -> anyhow::Result<Issued> {
    let names = [Identifier::Dns(host.to_owned())];
    let order = NewOrder::new(&names);
    let order = match &settings.profile {
        Some(profile) => order.profile(profile),
        None => order,
    };
    let mut order = match account.new_order(&order).await {
        Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(NO_ACCOUNT) => {
            store.forget_account().await?;
            bail!("the authority does not know our account any more; another will be made");
        }
        order => order?,
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => bail!("the authority has the host as {other:?}"),
        }
        let kinds = ways(settings.http_addr.is_some(), failures);
        let offered = kinds
            .iter()
            .copied()
            .find(|kind| authorization.challenges.iter().any(|challenge| challenge.r#type == kind.challenge()));
        let Some(way) = offered else { bail!("the authority offers no way to prove the host that we have") };
        let mut challenge = authorization.challenge(way.challenge()).context("the authority took its offer back")?;
        way.prepare(store, host, &challenge).await?;
        challenge.set_ready().await?;
    }
    let polling = RetryPolicy::default();
    let status = order.poll_ready(&polling).await?;
    if status != OrderStatus::Ready {
        bail!("{}", refusal(&mut order).await);
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    order.finalize_csr(params.serialize_request(&key)?.der()).await?;
    let certificate = order.poll_certificate(&polling).await?;
    Ok(Issued { certificate, key: key.serialize_pem(), directory: settings.directory_url.clone() })
}

/// The ways to give a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Http,
    Tls,
}

/// In the order of preference: the other one after each failure.
fn ways(http: bool, failures: u32) -> &'static [Way] {
    match (http, failures.is_multiple_of(2)) {
        (false, _) => &[Way::Tls],
        (true, true) => &[Way::Http, Way::Tls],
        (true, false) => &[Way::Tls, Way::Http],
    }
}

impl Way {
    fn challenge(self) -> ChallengeType {
        match self {
            Self::Http => ChallengeType::Http01,
            Self::Tls => ChallengeType::TlsAlpn01,
        }
    }

    /// Has the proof there before the authority is told to come for it.
    async fn prepare(self, store: &Store, host: &str, challenge: &ChallengeHandle<'_>) -> anyhow::Result<()> {
        let answer = challenge.key_authorization();
        match self {
            Self::Http => {
                let proof = HttpProof { token: challenge.token.clone(), answer: answer.as_str().to_owned() };
                store.put_http_proof(host, &proof).await?;
            }
            Self::Tls => {
                let key = KeyPair::generate()?;
                let mut params = CertificateParams::new([host.to_owned()])?;
                params.custom_extensions = vec![CustomExtension::new_acme_identifier(answer.digest().as_ref())];
                let certificate = params.self_signed(&key)?.pem();
                store.put_tls_proof(host, &TlsProof { certificate, key: key.serialize_pem() }).await?;
            }
        }
        Ok(())
    }
}

/// The account that is kept, or a new one.
async fn account(settings: &AcmeSettings, store: &Store) -> anyhow::Result<Account> {
    if let Some(credentials) = store.account().await? {
        return Ok(client(settings)?.from_credentials(credentials).await?);
    }
    let contact = settings.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = client(settings)?.create(&wanted, settings.directory_url.clone(), None).await?;
    store.put_account(&credentials).await?;
    tracing::info!(directory = settings.directory_url, "made an account at the certificate authority");
    Ok(account)
}

fn client(settings: &AcmeSettings) -> anyhow::Result<AccountBuilder> {
    Ok(match &settings.directory_ca {
        Some(file) => Account::builder_with_root(file)
            .with_context(|| format!("http.tls.letsencrypt.directoryca: {} cannot be used", file.display()))?,
        None => Account::builder()?,
    })
}

/// Why the authority did not take a proof, in its words.
async fn refusal(order: &mut instant_acme::Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(why) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            return format!("the authority did not take the proof: {why}");
        }
    }
    "the authority did not take the proof, and does not say why".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_try_begins_with_the_other_way() {
        assert_eq!(ways(true, 0)[0], Way::Http);
        assert_eq!(ways(true, 1)[0], Way::Tls);
        assert_eq!(ways(false, 0), [Way::Tls]);
    }
}
