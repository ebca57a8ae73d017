//! Evidence that the machine makes, through the kernel.

use std::path::{Path, PathBuf};

use attest::Evidence;
use policies::Digest;
use policies::rules::EvidenceKind;

use super::configfs::{self, ConfigfsError, Provider};
use super::{AttestationOptions, AttesterError, EvidenceChoice, nitro};

/// Makes evidence by the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HardwareAttester {
    source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    SevSnp { certificates: Option<PathBuf> },
    Tdx { collateral: PathBuf },
    Nitro,
}

/// What the machine has.
#[derive(Debug, Clone, Copy, Default)]
struct Present {
    provider: Option<Provider>,
    nitro: bool,
}

impl HardwareAttester {
    /// The machine's attester that the config asks for; none where it asks for the best and there is none.
    pub(super) async fn open(options: &AttestationOptions) -> Result<Option<Self>, AttesterError> {
        let present = blocking(|| Ok(present())).await?;
        let source = choose(options, present)?;
        tracing::info!(
            sev_snp = present.provider == Some(Provider::SevGuest),
            tdx = present.provider == Some(Provider::TdxGuest),
            nitro = present.nitro,
            "evidence that this machine can give"
        );
        Ok(source.map(|source| Self { source }))
    }

    pub(super) const fn kind(&self) -> EvidenceKind {
        match self.source {
            Source::SevSnp { .. } => EvidenceKind::SevSnp,
            Source::Tdx { .. } => EvidenceKind::Tdx,
            Source::Nitro => EvidenceKind::Nitro,
        }
    }

    pub(super) async fn evidence(&self, bound: Digest) -> Result<Evidence, AttesterError> {
        let source = self.source.clone();
        blocking(move || make(&source, bound)).await
    }
}

/// The machine takes milliseconds to seconds.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AttesterError> + Send + 'static,
) -> Result<T, AttesterError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| AttesterError::CutOff)?
}

fn present() -> Present {
    let provider = configfs::is_present().then(|| configfs::provider(Path::new(configfs::ROOT)));
    let provider = provider
        .and_then(|provider| provider.inspect_err(|error| tracing::warn!(%error, "the kernel gives no evidence")).ok());
    Present { provider, nitro: nitro::is_present() }
}

fn choose(options: &AttestationOptions, present: Present) -> Result<Option<Source>, AttesterError> {
    let sev_snp = (present.provider == Some(Provider::SevGuest))
        .then(|| Source::SevSnp { certificates: options.certificates.clone() });
    let tdx = present.provider == Some(Provider::TdxGuest);
    let of_domain = options.collateral.clone().filter(|_| tdx).map(|collateral| Source::Tdx { collateral });
    let nitro = present.nitro.then_some(Source::Nitro);
    let (found, kind) = match options.evidence {
        EvidenceChoice::Software | EvidenceChoice::Tpm => return Ok(None),
        EvidenceChoice::Auto => return Ok(nitro.or(sev_snp).or(of_domain)),
        EvidenceChoice::SevSnp => (sev_snp, EvidenceKind::SevSnp),
        EvidenceChoice::Tdx if tdx && of_domain.is_none() => return Err(AttesterError::Collateral),
        EvidenceChoice::Tdx => (of_domain, EvidenceKind::Tdx),
        EvidenceChoice::Nitro => (nitro, EvidenceKind::Nitro),
    };
    found.map(Some).ok_or(AttesterError::Absent(kind))
}

fn make(source: &Source, bound: Digest) -> Result<Evidence, AttesterError> {
    let mut question = [0; 64];
    question[..32].copy_from_slice(bound.as_bytes());
    let root = Path::new(configfs::ROOT);
    let read = |path: &Path, what| std::fs::read(path).map_err(|error| ConfigfsError::Beside(what, error));
    Ok(match source {
        Source::SevSnp { certificates } => {
            let file = certificates.as_deref().map(|path| read(path, "certificates")).transpose()?;
            Evidence::SevSnp(configfs::sev_snp(configfs::report(&question, root)?, file.as_deref())?)
        }
        Source::Tdx { collateral } => {
            let collateral = read(collateral, "collateral")?;
            Evidence::Tdx(configfs::tdx(configfs::report(&question, root)?, collateral)?)
        }
        Source::Nitro => Evidence::Nitro(nitro::document(&question)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_that_is_present_is_chosen() {
        let collateral = || Some(PathBuf::from("collateral.json"));
        let choose = |evidence, provider, nitro, collateral| {
            let options = AttestationOptions { evidence, certificates: Some("chip.pem".into()), collateral, tpm: None };
            choose(&options, Present { provider, nitro }).map_err(|error| error.to_string())
        };
        let snp = || Ok(Some(Source::SevSnp { certificates: Some("chip.pem".into()) }));
        let tdx = || Ok(Some(Source::Tdx { collateral: "collateral.json".into() }));
        let (amd, intel) = (Some(Provider::SevGuest), Some(Provider::TdxGuest));
        assert_eq!(choose(EvidenceChoice::Auto, None, false, None), Ok(None));
        assert_eq!(choose(EvidenceChoice::Auto, amd, false, None), snp());
        assert_eq!(choose(EvidenceChoice::Auto, intel, false, collateral()), tdx());
        assert_eq!(choose(EvidenceChoice::Auto, intel, false, None), Ok(None), "a quote alone proves nothing");
        assert_eq!(choose(EvidenceChoice::Auto, None, true, None), Ok(Some(Source::Nitro)));
        assert_eq!(choose(EvidenceChoice::Software, amd, true, collateral()), Ok(None));
        assert_eq!(choose(EvidenceChoice::SevSnp, amd, false, None), snp());
        assert_eq!(choose(EvidenceChoice::Tdx, intel, false, collateral()), tdx());
        assert_eq!(choose(EvidenceChoice::Nitro, None, true, None), Ok(Some(Source::Nitro)));
        for (asked, provider, kind) in [
            (EvidenceChoice::SevSnp, intel, "sev-snp"),
            (EvidenceChoice::Tdx, amd, "tdx"),
            (EvidenceChoice::Nitro, amd, "nitro"),
        ] {
            let absent = Err(format!("this machine gives no evidence of the kind {kind}"));
            assert_eq!(choose(asked, provider, false, collateral()), absent);
        }
        let without = Err("TDX quotes need collateral, and the config names no file of it".to_owned());
        assert_eq!(choose(EvidenceChoice::Tdx, intel, false, None), without);
    }
}
